/* keeprolling - where one segment ends and the next begins
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-cutter.h"

static gint64
clock_period (const KrCutRules *rules, const KrCutBuffer *buffer)
{
  if (!rules->align_to_clock || rules->max_time < 1000)
    return 0;
  return (buffer->utc_us + buffer->utc_offset_us) / (gint64)(rules->max_time / 1000);
}

static gboolean
is_due (const KrSegmentCutter *cutter, const KrCutBuffer *buffer)
{
  const KrCutRules *rules = &cutter->rules;

  if (cutter->cut_now)
    return TRUE;
  if (rules->max_bytes > 0 && cutter->bytes + buffer->size > rules->max_bytes)
    return TRUE;
  /* Another period, not a later one: after a clock set back the files go on being aligned. */
  if (rules->align_to_clock)
    return clock_period (rules, buffer) != cutter->period;
  return rules->max_time > 0 && buffer->time != KR_TIME_NONE &&
         cutter->first_time != KR_TIME_NONE && buffer->time > cutter->first_time &&
         buffer->time - cutter->first_time >= rules->max_time;
}

gboolean
kr_segment_cutter_next (KrSegmentCutter *cutter, const KrCutBuffer *buffer)
{
  gboolean cut = !cutter->open || (!buffer->delta && is_due (cutter, buffer));

  if (cut) {
    cutter->open = TRUE;
    cutter->cut_now = FALSE;
    cutter->first_time = KR_TIME_NONE;
    cutter->bytes = 0;
    cutter->period = clock_period (&cutter->rules, buffer);
  }
  if (cutter->first_time == KR_TIME_NONE)
    cutter->first_time = buffer->time;
  cutter->bytes += buffer->size;
  return cut;
}

void
kr_segment_cutter_cut_now (KrSegmentCutter *cutter)
{
  cutter->cut_now = TRUE;
}

void
kr_segment_cutter_reset (KrSegmentCutter *cutter)
{
  cutter->open = FALSE;
  cutter->cut_now = FALSE;
}
