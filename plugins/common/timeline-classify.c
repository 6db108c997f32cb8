/* keeprolling - what a step in a stream's time means
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-private.h"

/* No buffer for so long, and a jump is a restart: nobody has to witness it, and the time that
 * has passed is real. */
#define OUTAGE KR_SECOND
/* Stamps and arrival agree on a gap if they differ by less than this. */
#define CLOCKS_AGREE (500 * KR_MILLISECOND)
/* Two streams that jumped by about the same took the same jump. */
#define SAME_JUMP (100 * KR_MILLISECOND)
/* And if it was too small to be a jump, by about this. */
#define SAME_EARLY (10 * KR_MILLISECOND)
/* A stream that enters another stream's epoch may be this much early or late there. */
#define JOIN_WINDOW KR_SECOND
/* A stream moves back onto the common map by dropping or squeezing up to this. */
#define MAX_OVERLAP KR_SECOND

/* The intervals after which stamps start anew: 33 bits and 32 bits at 90 kHz, 32 bits of ms. */
static const struct {
  gint64 period;
  KrTimelineEventKind kind;
} wraps[] = {
    {G_GINT64_CONSTANT (95443717688888), KR_TIMELINE_EVENT_WRAP_TS33},
    {G_GINT64_CONSTANT (47721858844444), KR_TIMELINE_EVENT_WRAP_RTP32},
    {G_GINT64_CONSTANT (4294967296000000), KR_TIMELINE_EVENT_WRAP_MS32},
};

/* Whether @p can follow the last buffer, which ends at @expected. */
gboolean
kr_timeline_is_regular (const KrTimelineStream *stream, gint64 p, gint64 expected)
{
  const KrTimelineConfig *config = &stream->timeline->config;
  gint64 error = kr_sub_saturated (p, expected);

  return p > stream->last && error <= config->max_gap &&
         error >= -MAX (config->jitter, stream->last_duration);
}

static void
begin_marks (KrTimeline *timeline)
{
  KrTimelineStream *stream;

  for (stream = timeline->streams; stream != NULL; stream = stream->next)
    stream->mark = stream->last;
}

/* a: a sibling has found the jump before. */
static gboolean
join_sibling (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  KrEpochs *epochs = &stream->timeline->epochs;
  gint64 late = 0;
  guint i = epochs->n;

  if (push->arrival != KR_TIME_NONE && stream->last_arrival != KR_TIME_NONE)
    late = MAX (0, push->arrival - stream->last_arrival - push->duration);
  while (i-- > 0 && epochs->list[i].number > stream->epoch) {
    KrEpoch *epoch = &epochs->list[i];
    gint64 p = kr_epoch_map (epoch, push->t);
    gint64 error = kr_sub_saturated (p, expected);

    if (error < -JOIN_WINDOW || (error > JOIN_WINDOW + late && !stream->restarted))
      continue;
    stream->epoch = epoch->number;
    stream->extra = 0;
    stream->residual = MAX (0, -error);
    push->p = kr_add_saturated (p, stream->residual);
    push->out->flags |= KR_TIMELINE_OUT_DISCONT | KR_TIMELINE_OUT_NEW_SESSION;
    if (epoch->creator != stream)
      epoch->parent = 0; /* it is not its creator's alone any more */
    stream->candidate.n = 0;
    return TRUE;
  }
  return FALSE;
}

/* b: the source's counter has started anew; the step is exact, so one buffer is proof. */
static gboolean
undo_wrap (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  guint i;

  for (i = 0; i < 2 * G_N_ELEMENTS (wraps); i++) {
    gint64 shift = wraps[i / 2].period * (i % 2 == 0 ? 1 : -1);
    gint64 p = kr_add_saturated (push->p, shift);

    if (!kr_timeline_is_regular (stream, p, expected))
      continue;
    kr_timeline_make_room (stream->timeline, stream->epoch);
    stream->epoch =
        kr_epochs_begin_shifted (&stream->timeline->epochs, stream->epoch, shift)->number;
    push->p = p;
    kr_timeline_drop_candidate (stream);
    kr_timeline_emit (stream, push, wraps[i / 2].kind, shift, 0);
    return TRUE;
  }
  return FALSE;
}

/* Another stream of the same epoch has got there: the time between is real. */
static gboolean
sibling_is_near (KrTimelineStream *stream, gint64 p)
{
  KrTimelineStream *other;

  for (other = stream->timeline->streams; other != NULL; other = other->next)
    if (kr_timeline_is_sibling (stream, other) && other->epoch == stream->epoch &&
        other->extra == stream->extra && other->candidate.n == 0 &&
        ABS (kr_sub_saturated (other->last, p)) <= JOIN_WINDOW)
      return TRUE;
  return FALSE;
}

/* How much later than its place in the output a buffer came, compared with the best of them. */
static gint64
lateness (const KrTimeline *timeline, gint64 arrival, gint64 out)
{
  return kr_sub_saturated (kr_sub_saturated (arrival, out), timeline->clock.baseline);
}

/* Arrival vouches for a gap. A demuxer or decoder that keeps each buffer until the next one
 * comes lets go of the last one from before an outage together with the first one after it: the
 * time between the two says nothing then, but the first was late and the second is in time, or
 * as good as: pieces of sound that come as a block are late by what they hold. */
static gboolean
arrival_agrees (const KrTimelineStream *stream, const KrPush *push, gint64 gap)
{
  const KrTimeline *timeline = stream->timeline;
  gint64 difference;

  if (push->arrival == KR_TIME_NONE || stream->last_arrival == KR_TIME_NONE)
    return FALSE;
  difference = kr_sub_saturated (push->arrival - stream->last_arrival,
                                 kr_sub_saturated (push->t, stream->last_t));
  if (ABS (difference) <= CLOCKS_AGREE)
    return TRUE;
  return timeline->clock.known &&
         lateness (timeline, stream->last_arrival, stream->last) > CLOCKS_AGREE &&
         ABS (lateness (timeline, push->arrival, push->p)) <= MAX (CLOCKS_AGREE, gap / 4);
}

/* c: what is missing has been lost: the second clock, arrival or a sibling, says so too. */
static gboolean
keep_gap (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  gint64 gap = kr_sub_saturated (push->p, expected);

  if (gap <= 0 || stream->timeline->config.gap_policy != KR_TIMELINE_GAP_KEEP)
    return FALSE;
  if (!arrival_agrees (stream, push, gap) && !sibling_is_near (stream, push->p))
    return FALSE;
  stream->stats.gaps++;
  stream->stats.gap_ns += (guint64)gap;
  push->out->flags |= KR_TIMELINE_OUT_DISCONT;
  kr_timeline_drop_candidate (stream);
  kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_GAP, gap, gap);
  return TRUE;
}

static gboolean
is_used (const KrTimeline *timeline, guint epoch)
{
  const KrTimelineStream *stream;

  for (stream = timeline->streams; stream != NULL; stream = stream->next)
    if (stream->started && !stream->eos && stream->epoch == epoch)
      return TRUE;
  return FALSE;
}

/* Moves a stream out of an epoch; forgets the epoch if it was the last one in it, so that a
 * late stream does not start there. */
static void
leave_epoch (KrTimelineStream *stream, guint to)
{
  guint from = stream->epoch;

  stream->epoch = to;
  if (!is_used (stream->timeline, from))
    kr_epochs_remove (&stream->timeline->epochs, from);
}

static gboolean
sibling_is_in (KrTimelineStream *stream, guint epoch)
{
  KrTimelineStream *other;

  for (other = stream->timeline->streams; other != NULL; other = other->next)
    if (kr_timeline_is_sibling (stream, other) && other->epoch == epoch)
      return TRUE;
  return FALSE;
}

/* Whether a stream that expects something else by @error may return to @epoch. Where a sibling
 * is, it need not fit to the frame: tsdemux re-anchors up to 80 ms beside the old time, and if
 * the picture fits just so and the sound just not, they would part. */
static gboolean
may_return (KrTimelineStream *stream, const KrPush *push, const KrEpoch *epoch, gint64 error)
{
  gint64 jitter = stream->timeline->config.jitter;

  if (epoch->number >= stream->epoch || epoch->successor != 0)
    return FALSE;
  if (error >= -jitter && error <= MAX (jitter, 2 * push->duration))
    return TRUE;
  return ABS (error) <= JOIN_WINDOW && sibling_is_in (stream, epoch->number);
}

/* d: the jump was a burst of wild stamps, and the old time goes on. A small step is no return:
 * an epoch that lies 80 ms beside this one fits it by chance. */
static gboolean
return_to_older (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  KrEpochs *epochs = &stream->timeline->epochs;
  gint64 delta = kr_sub_saturated (push->p, expected);
  guint i = ABS (delta) > stream->timeline->config.max_gap ? epochs->n : 0;

  while (i-- > 0) {
    KrEpoch *epoch = &epochs->list[i];
    gint64 p = kr_timeline_map (stream, epoch, push->t);
    gint64 error = kr_sub_saturated (p, expected);

    if (!may_return (stream, push, epoch, error))
      continue;
    stream->residual = p > stream->last ? 0 : -error;
    push->p = kr_add_saturated (p, stream->residual);
    push->out->flags |= KR_TIMELINE_OUT_DISCONT;
    leave_epoch (stream, epoch->number);
    kr_timeline_drop_candidate (stream);
    kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_OUTLIER_RETURN, delta, 0);
    return TRUE;
  }
  return FALSE;
}

/* Whether a sibling in @epoch has taken a step back by @error as well, within what passes as
 * jitter there. */
static gboolean
sibling_was_early (KrTimelineStream *stream, guint epoch, gint64 error)
{
  KrTimelineStream *other;

  for (other = stream->timeline->streams; other != NULL; other = other->next)
    if (kr_timeline_is_sibling (stream, other) && other->epoch == epoch && other->early != 0 &&
        ABS (kr_sub_saturated (other->early, error)) <= SAME_EARLY &&
        ABS (kr_sub_saturated (other->early_at, stream->last)) <= JOIN_WINDOW)
      return TRUE;
  return FALSE;
}

/* The map stands, and the frames that lie before the last one go. */
static void
begin_dropping (KrTimelineStream *stream, KrPush *push)
{
  if (push->p > stream->last)
    return;
  stream->dropping_early = TRUE;
  push->out->flags |= KR_TIMELINE_OUT_DROP;
}

/* e: all streams have gone back by less than a picture lasts: that passed as jitter in the
 * video and did not in the sound, whose frames are shorter. */
static gboolean
drop_early (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  gint64 error = kr_sub_saturated (push->p, expected);

  if (stream->kind != KR_TIMELINE_AUDIO || push->p > stream->last || error < -JOIN_WINDOW ||
      (!stream->dropping_early && !sibling_was_early (stream, stream->epoch, error)))
    return FALSE;
  begin_dropping (stream, push);
  kr_timeline_drop_candidate (stream);
  return TRUE;
}

/* Whether another stream passes a step back by @error as jitter, and so stays on the map that
 * this one would leave: its frames last longer. */
static gboolean
sibling_stays (KrTimelineStream *stream, gint64 error)
{
  KrTimelineStream *other;

  for (other = stream->timeline->streams; other != NULL; other = other->next)
    if (kr_timeline_is_sibling (stream, other) && other->epoch == stream->epoch &&
        kr_timeline_is_regular (other, other->last + other->last_duration + error,
                                other->last + other->last_duration))
      return TRUE;
  return FALSE;
}

/* The same, confirmed before the video has shown that it stepped back, or where it did so bit
 * by bit. Whether it did or not: it stays, and the sound would have to come back to it. */
static gboolean
drop_confirmed (KrTimelineStream *stream, KrPush *push)
{
  const KrCandidate *candidate = &stream->candidate;

  if (stream->kind != KR_TIMELINE_AUDIO || candidate->outage || candidate->error >= 0 ||
      candidate->error < -JOIN_WINDOW || !sibling_stays (stream, candidate->error))
    return FALSE;
  begin_dropping (stream, push);
  stream->candidate.n = 0;
  return TRUE;
}

static gboolean
sibling_took_it (const KrTimelineStream *stream)
{
  const KrTimelineStream *other;

  for (other = stream->timeline->streams; other != NULL; other = other->next)
    if (kr_timeline_is_sibling (stream, other) && other->candidate.n > 0 &&
        ABS (kr_sub_saturated (other->candidate.error, stream->candidate.error)) <= SAME_JUMP)
      return TRUE;
  return FALSE;
}

/* Whether the stamp goes on where the candidate's last one left off. */
static gboolean
extends (const KrCandidate *candidate, const KrPush *push, gint64 jitter)
{
  gint64 step = kr_sub_saturated (push->t, candidate->t);
  gint64 limit = MAX (2 * push->duration, jitter);

  if (candidate->n == 0)
    return FALSE;
  if (ABS (kr_sub_saturated (step, push->duration)) <= limit)
    return TRUE;
  /* Pictures at a variable rate: their own arrival vouches for them. */
  return push->arrival != KR_TIME_NONE && candidate->arrival != KR_TIME_NONE && step > 0 &&
         ABS (step - (push->arrival - candidate->arrival)) <= limit;
}

/* Without a duration and without arrival there is no telling what is regular; that stamps go
 * forward has to do, but with more patience, and without making the first one the measure. */
static guint
count_loose (const KrTimelineStream *stream, const KrPush *push)
{
  const KrCandidate *candidate = &stream->candidate;
  gint64 step = kr_sub_saturated (push->t, candidate->t);

  if (candidate->n == 0 || step <= 0 || step > stream->timeline->config.max_gap)
    return 1;
  return candidate->n_loose + 1;
}

static void
put_as_expected (KrPush *push, gint64 expected)
{
  push->p = expected;
  push->extrapolated = TRUE;
}

static void
note_candidate (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  KrCandidate *candidate = &stream->candidate;
  guint n_loose = count_loose (stream, push);

  if (extends (candidate, push, stream->timeline->config.jitter)) {
    candidate->n++;
  } else {
    kr_timeline_drop_candidate (stream);
    *candidate = (KrCandidate){.n = 1,
                               .t0 = push->t,
                               .error = kr_sub_saturated (push->p, expected),
                               .expected = expected,
                               .arrival0 = push->arrival,
                               .outage = push->outage};
  }
  candidate->n_loose = n_loose;
  candidate->t = push->t;
  candidate->arrival = push->arrival;
}

/* Behind a loss a decoder lets go of pictures that it had no place for, all with the stamp of
 * the last one. That is no jump: the first of them is put where the next picture belongs, the
 * others go. So many can be in its hands at a time; a stamp that stands still for longer is a
 * fault. */
#define MAX_REPEATED 16

static gboolean
drop_repeated (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  gint64 step = kr_sub_saturated (push->t, stream->last_t);

  if (stream->kind != KR_TIMELINE_RAW_VIDEO || stream->last_t == KR_TIME_NONE ||
      ABS (step) >= KR_TIMELINE_TICK || stream->candidate.n > MAX_REPEATED)
    return FALSE;
  if (stream->candidate.n > 0) {
    stream->candidate.n++;
    push->out->flags |= KR_TIMELINE_OUT_DROP;
    return TRUE;
  }
  note_candidate (stream, push, expected);
  put_as_expected (push, expected);
  return TRUE;
}

/* The picture that belongs where a repeated one was put cannot follow it, nor could any other
 * after that; but it follows the last one that was believed. It takes its place, and the map
 * stands. */
static gboolean
take_back_place (KrTimelineStream *stream, KrPush *push)
{
  gint64 step = kr_sub_saturated (push->t, stream->last_t);

  if (stream->kind != KR_TIMELINE_RAW_VIDEO || stream->candidate.n == 0 ||
      stream->last_t == KR_TIME_NONE || push->p > stream->last || step < KR_TIMELINE_TICK ||
      step > 2 * push->duration || kr_sub_saturated (stream->last, push->p) > push->duration)
    return FALSE;
  kr_timeline_drop_candidate (stream);
  return TRUE;
}

static gboolean
is_confirmed (const KrTimelineStream *stream, const KrPush *push)
{
  const KrCandidate *candidate = &stream->candidate;
  guint confirm = stream->timeline->config.confirm;

  return candidate->n >= confirm || candidate->n_loose >= 3 * confirm || push->hint ||
         candidate->outage || sibling_took_it (stream);
}

static KrTimelineEventKind
kind_of_jump (const KrTimelineStream *stream, gint64 error)
{
  if (error > 0)
    return KR_TIMELINE_EVENT_JUMP_FORWARD;
  return error >= -stream->timeline->config.max_gap ? KR_TIMELINE_EVENT_OVERLAP
                                                    : KR_TIMELINE_EVENT_JUMP_BACK;
}

/* Where the new session begins in the output: right behind the old one. After an outage its
 * arrival tells how much time has really passed. Streams that all had ended start together. */
static gint64
base_of_session (KrTimelineStream *stream)
{
  const KrTimeline *timeline = stream->timeline;
  const KrCandidate *candidate = &stream->candidate;
  const KrTimelineStream *other;
  gint64 base = candidate->expected;

  if (candidate->outage && candidate->arrival0 != KR_TIME_NONE && timeline->clock.known &&
      timeline->config.gap_policy == KR_TIMELINE_GAP_KEEP)
    base = MAX (base, kr_sub_saturated (candidate->arrival0, timeline->clock.baseline));
  if (stream->restarted)
    for (other = timeline->streams; other != NULL; other = other->next)
      if (other->started && (other->eos || other->restarted) &&
          other->kind != KR_TIMELINE_SPARSE)
        base = MAX (base, kr_add_saturated (other->last, other->last_duration));
  return base;
}

static void
begin_session (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  KrTimeline *timeline = stream->timeline;
  KrCandidate candidate = stream->candidate;
  gint64 base = base_of_session (stream);
  guint parent = stream->epoch;
  KrEpoch *epoch;

  kr_timeline_make_room (timeline, parent);
  epoch = kr_epochs_begin (&timeline->epochs, candidate.t0, base);
  epoch->parent = parent;
  epoch->creator = stream;
  begin_marks (timeline);
  kr_clock_restart_drift (&timeline->clock);
  stream->epoch = epoch->number;
  stream->extra = 0;
  stream->residual = 0;
  stream->candidate.n = 0;
  push->p = kr_epoch_map (epoch, push->t);
  if (push->p <= stream->last) {
    stream->residual = kr_sub_saturated (expected, push->p);
    push->p = expected;
  }
  push->out->flags |= KR_TIMELINE_OUT_DISCONT | KR_TIMELINE_OUT_NEW_SESSION;
  kr_timeline_emit (stream, push, kind_of_jump (stream, candidate.error), candidate.error,
                    kr_sub_saturated (base, candidate.expected));
}

/**
 * kr_timeline_classify:
 * @push: with p = the mapped time, which does not follow @expected
 *
 * Finds out what happened, first match, and sets p: joins, begins or leaves an epoch, or puts
 * the buffer where it was expected until more is known. docs/timestamps.md has the rules.
 */
void
kr_timeline_classify (KrTimelineStream *stream, KrPush *push, gint64 expected)
{
  if (join_sibling (stream, push, expected) || undo_wrap (stream, push, expected) ||
      keep_gap (stream, push, expected) || return_to_older (stream, push, expected) ||
      drop_early (stream, push, expected) || drop_repeated (stream, push, expected) ||
      take_back_place (stream, push))
    return;
  note_candidate (stream, push, expected);
  if (is_confirmed (stream, push)) {
    if (!drop_confirmed (stream, push))
      begin_session (stream, push, expected);
    return;
  }
  put_as_expected (push, expected);
}

/* The older epoch in which siblings have gone on long enough, or NULL. */
static KrEpoch *
epoch_of_siblings (KrTimelineStream *stream, guint number)
{
  KrTimeline *timeline = stream->timeline;
  KrTimelineStream *other;

  for (other = timeline->streams; other != NULL; other = other->next)
    if (kr_timeline_is_sibling (stream, other) && other->epoch < number &&
        other->candidate.n == 0 &&
        kr_sub_saturated (other->last, other->mark) >= timeline->config.settle)
      return kr_epochs_find (&timeline->epochs, other->epoch);
  return NULL;
}

/* Back on the map of the others: what the stream is ahead of it decays; what it is behind is
 * given up at once, as a hole; a larger difference stays as its private constant. */
static void
return_to_map (KrTimelineStream *stream, KrPush *push, const KrEpoch *common, gint64 difference)
{
  stream->extra = 0;
  if (difference >= 0 && difference <= MAX_OVERLAP) {
    stream->residual = kr_add_saturated (stream->residual, difference);
    kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_STREAM_OVERLAP, difference, 0);
  } else if (difference < 0 && difference >= -MAX_OVERLAP) {
    push->p = kr_sub_saturated (push->p, difference);
    push->out->flags |= KR_TIMELINE_OUT_DISCONT;
    kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_STREAM_JUMP, difference, -difference);
  } else {
    stream->extra = kr_sub_saturated (kr_epoch_unmap (common, push->p), push->t);
    kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_STREAM_JUMP, difference, 0);
  }
}

/**
 * kr_timeline_settle:
 *
 * Ends an epoch that concerned its creator alone: the siblings have gone on in an older one for
 * config.settle, so the stream returns to their map.
 */
void
kr_timeline_settle (KrTimelineStream *stream, KrPush *push)
{
  KrEpoch *epoch = kr_epochs_find (&stream->timeline->epochs, stream->epoch);
  KrEpoch *common;
  gint64 difference;

  if (G_LIKELY (epoch == NULL || epoch->parent == 0) || epoch->creator != stream)
    return;
  common = epoch_of_siblings (stream, epoch->number);
  if (common == NULL)
    return;
  push->p = kr_timeline_map (stream, epoch, push->t);
  difference = kr_sub_saturated (push->p, kr_epoch_map (common, push->t));
  leave_epoch (stream, common->number);
  return_to_map (stream, push, common, difference);
}
