/* keeprolling - from input to output time
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-private.h"

/* A live source may be this far from the pipeline's running time before it is moved there. */
#define ANCHOR_DISTANCE (2 * KR_SECOND)
/* Streams further apart than this do not share a clock. */
#define UNRELATED_DISTANCE (10 * KR_SECOND)
/* How far ahead of the others a file's subtitles may be read. */
#define READ_AHEAD (3600 * KR_SECOND)
/* A buffer this early has taken a step back; less is rounding. */
#define EARLY (5 * KR_MILLISECOND)
/* Streams closer than this are at the same place. */
#define NEAR KR_SECOND

static gboolean
is_used (const KrTimeline *timeline, guint epoch)
{
  const KrTimelineStream *stream;
  guint i;

  for (i = 0; i < timeline->epochs.n; i++)
    if (timeline->epochs.list[i].successor == epoch)
      return TRUE;
  for (stream = timeline->streams; stream != NULL; stream = stream->next)
    if (stream->started && stream->epoch == epoch)
      return TRUE;
  return FALSE;
}

/* Streams of a forgotten epoch keep their time, as a private constant against the newest map.
 */
static void
rehome (KrTimeline *timeline, const KrEpoch *from)
{
  const KrEpoch *newest = kr_epochs_newest (&timeline->epochs);
  KrTimelineStream *stream;

  for (stream = timeline->streams; stream != NULL; stream = stream->next) {
    if (!stream->started || stream->epoch != from->number)
      continue;
    stream->epoch = newest->number;
    if (stream->last_t != KR_TIME_NONE)
      stream->extra = kr_sub_saturated (
          kr_epoch_unmap (newest, kr_timeline_map (stream, from, stream->last_t)),
          stream->last_t);
  }
}

/**
 * kr_timeline_make_room:
 * @from: number of an epoch that must stay, or 0
 *
 * Forgets the oldest epoch that no stream is in if four are known, else the oldest one. To be
 * called before an epoch begins; pointers to epochs are void afterwards.
 */
void
kr_timeline_make_room (KrTimeline *timeline, guint from)
{
  KrEpochs *epochs = &timeline->epochs;
  guint i, oldest = epochs->list[0].number == from ? 1 : 0;

  if (epochs->n < KR_EPOCHS)
    return;
  for (i = 0; i < epochs->n; i++)
    if (epochs->list[i].number != from && !is_used (timeline, epochs->list[i].number)) {
      kr_epochs_remove (epochs, epochs->list[i].number);
      return;
    }
  rehome (timeline, &epochs->list[oldest]);
  kr_epochs_remove (epochs, epochs->list[oldest].number);
}

/* Where the source is, by the furthest of the other streams. FALSE if there is none. */
gboolean
kr_timeline_sibling_position (KrTimelineStream *stream, gint64 *ret_position)
{
  KrTimelineStream *other;
  gboolean found = FALSE;
  gint64 position = G_MININT64;

  for (other = stream->timeline->streams; other != NULL; other = other->next) {
    if (!kr_timeline_is_sibling (stream, other))
      continue;
    position = MAX (position, other->last);
    found = TRUE;
  }
  if (found)
    *ret_position = position;
  return found;
}

void
kr_timeline_drop_candidate (KrTimelineStream *stream)
{
  stream->stats.outliers += stream->candidate.n;
  stream->candidate.n = 0;
}

/* Buffers without a stamp that can be believed follow the last one. */
static void
extrapolate (KrPush *push, gint64 expected)
{
  push->p = expected;
  push->extrapolated = TRUE;
}

static gboolean
is_arrival_off (const KrTimelineStream *stream, const KrPush *push, gint64 p, gint64 limit)
{
  const KrClock *clock = &stream->timeline->clock;
  gint64 distance;

  if (push->arrival == KR_TIME_NONE)
    return TRUE;
  distance = kr_sub_saturated (kr_sub_saturated (push->arrival, clock->baseline), p);
  return ABS (distance) > limit;
}

/* Whether the first stamp of a live source is too far from running time to be meant as one. */
static gboolean
needs_anchor (gint64 t, gint64 arrival)
{
  return arrival != KR_TIME_NONE && ABS (kr_sub_saturated (t, arrival)) > ANCHOR_DISTANCE;
}

/* Where @stream, of which nothing is expected, is at input time @t: by the newest epoch that
 * brings it near the others, or near arrival without any. In a file whose clock has not jumped,
 * subtitles may be read long before their picture. */
static gint64
map_freely (KrTimelineStream *stream, gint64 t, gint64 arrival, const KrEpoch **ret_epoch)
{
  KrEpochs *epochs = &stream->timeline->epochs;
  gint64 position = KR_TIME_NONE, near = UNRELATED_DISTANCE, p;
  guint i = epochs->n;

  if (!stream->timeline->config.live && i == 1)
    near = READ_AHEAD;
  if (!kr_timeline_sibling_position (stream, &position) && arrival != KR_TIME_NONE)
    position = kr_sub_saturated (arrival, stream->timeline->clock.baseline);
  while (i-- > 0) {
    p = kr_epoch_map (&epochs->list[i], t);
    if (position != KR_TIME_NONE && ABS (kr_sub_saturated (p, position)) > near)
      continue;
    if (ret_epoch != NULL)
      *ret_epoch = &epochs->list[i];
    return p;
  }
  return MAX (position, stream->started ? stream->last : 0);
}

/* Where input time @t leaves while no buffer tells: of a stream without one yet, or of a sparse
 * one. Nothing begins. */
gint64
kr_timeline_free_time (KrTimelineStream *stream, gint64 t, gint64 arrival)
{
  KrTimeline *timeline = stream->timeline;
  gint64 time = CLAMP (t, -KR_TIMELINE_LIMIT, KR_TIMELINE_LIMIT);

  if (t == KR_TIME_NONE)
    return MAX (stream->last, 0);
  if (timeline->epochs.n > 0)
    time = map_freely (stream, time, arrival, NULL);
  else if (needs_anchor (time, arrival))
    time = arrival;
  return MAX (time, 0);
}

static void
place_first_of_group (KrTimelineStream *stream, KrPush *push)
{
  KrTimeline *timeline = stream->timeline;
  gint64 out = MAX (push->t, 0);
  gboolean anchor = needs_anchor (push->t, push->arrival);

  if (anchor)
    out = push->arrival;
  stream->epoch = kr_epochs_begin (&timeline->epochs, push->t, out)->number;
  push->p = out;
  if (anchor)
    kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_ANCHOR, out - push->t, 0);
  else if (push->t < 0)
    kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_SHIFT_NEGATIVE, -push->t, 0);
}

/* The epoch in which a late stream begins: the newest one, but not one that still may turn out
 * to be the matter of a single stream if the others' map fits as well. */
static KrEpoch *
epoch_for_newcomer (KrTimelineStream *stream, const KrPush *push)
{
  KrEpochs *epochs = &stream->timeline->epochs;
  KrEpoch *newest = kr_epochs_newest (epochs);
  KrEpoch *parent = newest->parent != 0 ? kr_epochs_find (epochs, newest->parent) : NULL;
  gint64 position;

  if (parent == NULL || !kr_timeline_sibling_position (stream, &position) ||
      ABS (kr_sub_saturated (kr_epoch_map (parent, push->t), position)) > NEAR)
    return newest;
  return parent;
}

/* A stream that comes late uses the map that is there. One whose stamps have nothing to do with
 * the others' gets a private constant: better somewhere than hours away. */
static void
place_first_of_stream (KrTimelineStream *stream, KrPush *push)
{
  KrEpoch *epoch = epoch_for_newcomer (stream, push);
  gint64 p = kr_epoch_map (epoch, push->t);
  gint64 position;

  stream->epoch = epoch->number;
  push->p = p;
  if (!kr_timeline_sibling_position (stream, &position) ||
      ABS (kr_sub_saturated (p, position)) <= UNRELATED_DISTANCE ||
      !is_arrival_off (stream, push, p, UNRELATED_DISTANCE))
    return;
  stream->extra = kr_sub_saturated (kr_epoch_unmap (epoch, position), push->t);
  push->p = position;
  kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_UNRELATED_CLOCK, stream->extra, 0);
}

/* The epoch the stream is in; the newest one if its own has been forgotten. */
static KrEpoch *
current_epoch (KrTimelineStream *stream)
{
  KrEpochs *epochs = &stream->timeline->epochs;
  KrEpoch *epoch = kr_epochs_find (epochs, stream->epoch);

  if (G_UNLIKELY (epoch == NULL)) {
    epoch = kr_epochs_newest (epochs);
    stream->epoch = epoch->number;
  }
  return epoch;
}

/* An epoch that was re-anchored as a whole hands its streams over at one input time. What is
 * expected moves along, whatever becomes of this buffer. */
static void
follow_successor (KrTimelineStream *stream, const KrEpoch *epoch, KrPush *push)
{
  KrEpoch *successor;

  if (epoch->successor == 0 || kr_add_saturated (push->t, stream->extra) < epoch->successor_at)
    return;
  successor = kr_epochs_find (&stream->timeline->epochs, epoch->successor);
  if (successor == NULL)
    return;
  stream->last = kr_add_saturated (
      stream->last, kr_sub_saturated (kr_timeline_map (stream, successor, push->t),
                                      kr_timeline_map (stream, epoch, push->t)));
  stream->epoch = successor->number;
  push->out->flags |= KR_TIMELINE_OUT_DISCONT;
}

static void
place_next (KrTimelineStream *stream, KrPush *push)
{
  KrEpoch *epoch = current_epoch (stream);
  gint64 expected;

  if (G_UNLIKELY (epoch->successor != 0 || epoch->parent != 0)) {
    follow_successor (stream, epoch, push);
    kr_timeline_settle (stream, push);
    epoch = current_epoch (stream);
  }
  expected = kr_add_saturated (stream->last, stream->last_duration);
  push->p = kr_add_saturated (kr_timeline_map (stream, epoch, push->t), stream->residual);
  if (G_LIKELY (kr_timeline_is_regular (stream, push->p, expected))) {
    if (G_UNLIKELY (stream->candidate.n > 0))
      kr_timeline_drop_candidate (stream);
    if (G_UNLIKELY (push->p - expected < -EARLY)) {
      stream->early = push->p - expected;
      stream->early_at = push->p;
    }
    return;
  }
  kr_timeline_classify (stream, push, expected);
}

void
kr_timeline_place (KrTimelineStream *stream, KrPush *push)
{
  if (push->t == KR_TIME_NONE) {
    gint64 first = 0;

    if (!stream->started && !kr_timeline_sibling_position (stream, &first) &&
        push->arrival != KR_TIME_NONE)
      first = push->arrival;
    extrapolate (push, stream->started ? stream->last + stream->last_duration : first);
  } else if (stream->timeline->epochs.n == 0) {
    place_first_of_group (stream, push);
    /* Buffers without any stamp may have gone before. */
    if (stream->started && push->p <= stream->last) {
      KrEpoch *epoch = kr_epochs_newest (&stream->timeline->epochs);

      push->p = stream->last + stream->last_duration;
      epoch->base_out = epoch->pieces[0].out = push->p;
    }
  } else if (!stream->started || stream->epoch == 0) {
    place_first_of_stream (stream, push);
  } else {
    place_next (stream, push);
  }
}

/* Subtitles and metadata: a pause says nothing, so there is nothing to expect. What the other
 * streams have found out is applied; the rest must be near them. */
void
kr_timeline_place_sparse (KrTimelineStream *stream, KrPush *push)
{
  const KrEpoch *epoch = NULL;

  if (push->t == KR_TIME_NONE || stream->timeline->epochs.n == 0) {
    kr_timeline_place (stream, push);
    return;
  }
  push->p = map_freely (stream, push->t, push->arrival, &epoch);
  if (epoch == NULL) {
    stream->stats.outliers++;
    extrapolate (push, push->p);
    return;
  }
  if (stream->started && stream->epoch != epoch->number)
    push->out->flags |= KR_TIMELINE_OUT_DISCONT;
  stream->epoch = epoch->number;
}

/* Smooths arrivals into stamps: each buffer moves by at most a sixteenth of its error and a
 * quarter of its duration. For sources whose stamps are worth nothing; lip-sync is only as good
 * as the arrivals are. */
void
kr_timeline_place_by_arrival (KrTimelineStream *stream, KrPush *push)
{
  gint64 target, expected, error;

  if (push->arrival == KR_TIME_NONE) {
    kr_timeline_place (stream, push);
    return;
  }
  if (stream->timeline->epochs.n == 0)
    kr_epochs_begin (&stream->timeline->epochs, push->arrival, push->arrival);
  stream->epoch = kr_epochs_newest (&stream->timeline->epochs)->number;
  target = push->arrival;
  push->p = target;
  push->corrected = TRUE;
  /* Nothing to smooth by before a duration is known. */
  if (!stream->started || push->duration == 0 || stream->last_duration == 0)
    return;

  expected = stream->last + stream->last_duration;
  error = target - expected;
  if (ABS (error) <= stream->timeline->config.max_gap) {
    push->p = expected + CLAMP (error / 16, -push->duration / 4, push->duration / 4);
    return;
  }
  push->out->flags |= KR_TIMELINE_OUT_DISCONT;
  if (error > 0) {
    stream->stats.gaps++;
    stream->stats.gap_ns += (guint64)error;
  }
  kr_timeline_emit (stream, push, error > 0 ? KR_TIMELINE_EVENT_GAP : KR_TIMELINE_EVENT_OVERLAP,
                    error, MAX (error, 0));
}
