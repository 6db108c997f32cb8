/* keeprolling - which display times of a stream are taken
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-shown.h"

#include <string.h>

#include "plugins/common/timeline-epoch.h"
#include "plugins/common/timeline.h"

void
kr_shown_init (KrShown *shown)
{
  *shown = (KrShown){0};
}

static gboolean
is_taken (const KrShown *shown, gint64 time, gint64 distance)
{
  guint i = shown->n;

  while (i-- > 0 && kr_sub_saturated (time, shown->sorted[i]) < distance)
    if (kr_sub_saturated (shown->sorted[i], time) < distance)
      return TRUE;
  return FALSE;
}

static gboolean
is_latest (const KrShown *shown, gint64 time)
{
  return shown->n == 0 || time > shown->sorted[shown->n - 1];
}

/* The first time at or after @from, in steps of @duration, at which nothing is shown. */
static gint64
free_slot (const KrShown *shown, gint64 from, gint64 duration)
{
  guint i;

  for (i = 0; i < KR_SHOWN && duration > 0; i++) {
    if (!is_taken (shown, from, duration / 2 + 1))
      break;
    from = kr_add_saturated (from, duration);
  }
  return from;
}

/**
 * kr_shown_guess:
 * @dts: output DTS of a picture without PTS
 * @duration: of a picture, 0 if unknown
 *
 * Where it belongs. A hole in what is shown is most likely its place. Without one it is shown
 * after all others, as the first of a group is whose B-frames come next: they need the places
 * in between, so it goes as far ahead as the ones like it went.
 *
 * Returns: a display time at or after @dts
 */
gint64
kr_shown_guess (const KrShown *shown, gint64 dts, gint64 duration)
{
  gint64 slot = free_slot (shown, dts, duration);
  guint i;

  if (is_latest (shown, slot))
    for (i = 0; i < KR_SHOWN_LEADS; i++)
      slot = MAX (slot, kr_add_saturated (dts, shown->leads[i]));
  return slot;
}

/**
 * kr_shown_place:
 * @duration: of a picture, 0 if unknown
 *
 * Two pictures cannot be shown at one time. Where sessions join between a picture and its
 * B-frames, or a guess was wrong, that is what the stamps ask for. The later one then moves
 * halfway to the next one: whole places further on are wanted by the pictures behind it.
 *
 * Returns: @pts, or a time behind it that is at least a tick of 90 kHz from all others
 */
gint64
kr_shown_place (const KrShown *shown, gint64 pts, gint64 duration)
{
  gint64 step = duration;
  guint i;

  if (G_LIKELY (!is_taken (shown, pts, KR_TIMELINE_TICK)))
    return pts;
  while ((step /= 2) >= KR_TIMELINE_TICK)
    if (!is_taken (shown, kr_add_saturated (pts, step), KR_TIMELINE_TICK))
      return kr_add_saturated (pts, step);
  for (i = 0; i <= 2 * KR_SHOWN && is_taken (shown, pts, KR_TIMELINE_TICK); i++)
    pts = kr_add_saturated (pts, KR_TIMELINE_TICK);
  return pts;
}

/* Notes how far ahead of its decoding a picture is shown, for kr_shown_guess(). To be called
 * before kr_shown_add(), not for what was guessed. */
void
kr_shown_note_lead (KrShown *shown, gint64 pts, gint64 dts)
{
  if (!is_latest (shown, pts))
    return;
  shown->leads[shown->next_lead] = pts - dts;
  shown->next_lead = (shown->next_lead + 1) % KR_SHOWN_LEADS;
}

/* Notes that something is shown at @pts; what comes later is shown at @from at the earliest. */
void
kr_shown_add (KrShown *shown, gint64 pts, gint64 from)
{
  guint i, passed = 0;

  while (passed < shown->n && shown->sorted[passed] < from)
    passed++;
  if (passed == 0 && shown->n == KR_SHOWN)
    passed = 1;
  shown->n -= passed;
  if (passed > 0)
    memmove (shown->sorted, shown->sorted + passed, shown->n * sizeof shown->sorted[0]);
  for (i = shown->n++; i > 0 && shown->sorted[i - 1] > pts; i--)
    shown->sorted[i] = shown->sorted[i - 1];
  shown->sorted[i] = pts;
}
