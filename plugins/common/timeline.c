/* keeprolling - one continuous timeline for all streams of a source
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline.h"

#include <string.h>

#include "plugins/common/messages.h"
#include "plugins/common/timeline-private.h"

/* A stream that gets nothing for this long has had an outage. */
#define OUTAGE KR_SECOND
/* A gentle slope: an overlap is worked off by so much of each buffer. */
#define VIDEO_DECAY_DIVISOR 10
#define AUDIO_DECAY_DIVISOR 200
/* Distances up to this can be the duration of a buffer. */
#define MAX_MEASURED KR_SECOND
/* Their average is that of about so many. */
#define ARRIVALS 256
/* At most one message of a kind per stream in this time. */
#define REPORT_INTERVAL KR_SECOND
/**
 * kr_timeline_config_init:
 *
 * Fills in the defaults: mode correct, not live, and the figures that docs/timestamps.md gives.
 */
void
kr_timeline_config_init (KrTimelineConfig *config)
{
  *config = (KrTimelineConfig){
      .mode = KR_TIMELINE_CORRECT,
      .max_gap = KR_SECOND,
      .jitter = 40 * KR_MILLISECOND,
      .confirm = 3,
      .settle = KR_SECOND,
      .max_lag = 2 * KR_SECOND,
      .lag_hold = 3 * KR_SECOND,
      .gap_policy = KR_TIMELINE_GAP_KEEP,
      .drift = KR_TIMELINE_DRIFT_REPORT,
      .max_rate = 20000,
      .max_fill = KR_SECOND,
  };
}

KrTimeline *
kr_timeline_new (const KrTimelineConfig *config)
{
  KrTimeline *timeline = g_new0 (KrTimeline, 1);

  timeline->config = *config;
  kr_clock_init (&timeline->clock);
  return timeline;
}

/* Frees the streams too. */
void
kr_timeline_free (KrTimeline *timeline)
{
  if (timeline == NULL)
    return;
  while (timeline->streams != NULL)
    kr_timeline_remove_stream (timeline, timeline->streams);
  g_free (timeline);
}

/* Takes effect with the next buffer; what has been decided stays. */
void
kr_timeline_configure (KrTimeline *timeline, const KrTimelineConfig *config)
{
  timeline->config = *config;
}

/* Forgets what the stream has seen; its format and its statistics stay. */
static void
forget (KrTimelineStream *stream)
{
  kr_timeline_drop_candidate (stream);
  stream->started = FALSE;
  stream->restarted = FALSE;
  stream->epoch = 0;
  stream->extra = stream->residual = 0;
  stream->last = stream->last_duration = stream->last_out = 0;
  stream->last_t = stream->last_arrival = stream->any_arrival = KR_TIME_NONE;
  stream->last_off = stream->early = stream->interval = 0;
  stream->n_arrivals = 0;
  stream->n_without_dts = G_MAXUINT;
  stream->frames.anchored = FALSE;
  kr_dts_init (&stream->dts);
  kr_shown_init (&stream->shown);
}

/**
 * kr_timeline_reset:
 *
 * Begins anew, as after a flush of all streams: output may start at zero again.
 */
void
kr_timeline_reset (KrTimeline *timeline)
{
  KrTimelineStream *stream;

  kr_epochs_clear (&timeline->epochs);
  kr_clock_init (&timeline->clock);
  for (stream = timeline->streams; stream != NULL; stream = stream->next)
    forget (stream);
}

static void
shift_time (gint64 *time, gint64 step)
{
  if (*time != KR_TIME_NONE)
    *time = kr_add_saturated (*time, step);
}

/**
 * kr_timeline_clock_step:
 * @step: by how much the clock that arrivals are read from has jumped
 *
 * The source has not jumped: baseline and lag are measured anew and no stamp is corrected.
 */
void
kr_timeline_clock_step (KrTimeline *timeline, gint64 step)
{
  KrTimelineStream *stream;

  kr_clock_rebase (&timeline->clock);
  for (stream = timeline->streams; stream != NULL; stream = stream->next) {
    shift_time (&stream->last_arrival, step);
    shift_time (&stream->any_arrival, step);
    shift_time (&stream->candidate.arrival, step);
    shift_time (&stream->candidate.arrival0, step);
  }
}

/**
 * kr_timeline_add_stream:
 *
 * Returns: a stream owned by @timeline, of kind OTHER and without a format
 */
KrTimelineStream *
kr_timeline_add_stream (KrTimeline *timeline)
{
  KrTimelineStream *stream = g_new0 (KrTimelineStream, 1);
  guint i;

  stream->timeline = timeline;
  stream->kind = KR_TIMELINE_OTHER;
  stream->stats.last_in = stream->stats.last_out = KR_TIME_NONE;
  for (i = 0; i < KR_TIMELINE_N_EVENTS; i++)
    stream->reported_at[i] = KR_TIME_NONE;
  forget (stream);
  stream->next = timeline->streams;
  timeline->streams = stream;
  return stream;
}

void
kr_timeline_remove_stream (KrTimeline *timeline, KrTimelineStream *stream)
{
  KrTimelineStream **link = &timeline->streams;
  guint i;

  while (*link != stream)
    link = &(*link)->next;
  *link = stream->next;
  for (i = 0; i < timeline->epochs.n; i++)
    if (timeline->epochs.list[i].creator == stream) {
      timeline->epochs.list[i].creator = NULL;
      timeline->epochs.list[i].parent = 0;
    }
  g_free (stream);
}

/**
 * kr_timeline_stream_set_format:
 * @duration: of one buffer, 0 if it varies or is unknown
 * @rate_n: frames per @rate_d seconds for KR_TIMELINE_CFR, 0 if unknown
 *
 * The map stays: a change of format is no change of time.
 */
void
kr_timeline_stream_set_format (KrTimelineStream *stream, KrTimelineKind kind, gint64 duration,
                               gint rate_n, gint rate_d)
{
  KrFrames *frames = &stream->frames;

  if (stream->kind != kind) {
    kr_dts_init (&stream->dts);
    stream->n_without_dts = G_MAXUINT;
    frames->anchored = FALSE;
  }
  stream->kind = kind;
  stream->duration = MAX (duration, 0);
  if (frames->rate_n != rate_n || frames->rate_d != rate_d)
    frames->anchored = FALSE;
  frames->rate_n = rate_n;
  frames->rate_d = rate_d;
}

/* The stream has ended: its siblings do not wait for what it thinks any more. */
void
kr_timeline_stream_eos (KrTimelineStream *stream)
{
  kr_timeline_drop_candidate (stream);
  stream->eos = TRUE;
}

/* The stream begins, perhaps again after its end. */
void
kr_timeline_stream_start (KrTimelineStream *stream)
{
  stream->restarted = stream->eos && stream->started;
  stream->eos = FALSE;
}

/* Forgets the stream's past; if no other stream has one left, the whole timeline's. */
void
kr_timeline_stream_flush (KrTimelineStream *stream)
{
  KrTimelineStream *other;

  forget (stream);
  stream->eos = FALSE;
  for (other = stream->timeline->streams; other != NULL; other = other->next)
    if (other->started)
      return;
  kr_timeline_reset (stream->timeline);
}

void
kr_timeline_emit (KrTimelineStream *stream, KrPush *push, KrTimelineEventKind kind,
                  gint64 delta, gint64 gap)
{
  KrTimelineOut *out = push->out;

  stream->timeline->discontinuities++;
  if (out->n_events == KR_TIMELINE_MAX_EVENTS)
    return;
  out->events[out->n_events++] = (KrTimelineEvent){
      .kind = kind,
      .delta = delta,
      .gap = gap,
      .epoch = stream->epoch,
      .in_ts = push->t,
      .out_ts = push->p,
  };
}

/* The time that dropping this buffer saves: not more than stamps really advance by, whatever
 * the duration claims, or the next one would be early. */
static gint64
worth_of (const KrTimelineStream *stream, const KrPush *push)
{
  if (stream->measured > 0 && stream->measured < push->duration)
    return stream->measured;
  return push->duration;
}

/* Works off what an overlap has left. A hole in the stream takes it up for nothing. Audio loses
 * whole frames, as a player would have dropped them; the rest shrinks buffer by buffer, too
 * slowly to be seen or heard. */
static void
decay_residual (KrTimelineStream *stream, KrPush *push)
{
  gboolean audio = stream->kind == KR_TIMELINE_AUDIO;
  gint64 worth = worth_of (stream, push);
  gint64 hole = stream->started ? push->p - stream->last - stream->last_duration : 0;
  gint64 step;

  push->corrected = TRUE;
  if (hole > stream->timeline->config.jitter) {
    step = MIN (stream->residual, hole);
    push->p -= step;
    stream->residual -= step;
    hole -= step;
  }
  if (audio && worth > 0 && stream->residual >= worth) {
    /* The next buffer is to come where this one would have been, also on a bent map. */
    stream->residual -= CLAMP (worth + hole, 0, stream->residual);
    push->out->flags |= KR_TIMELINE_OUT_DROP;
    return;
  }
  step = worth > 0 ? worth : 20 * KR_MILLISECOND;
  step /= audio ? AUDIO_DECAY_DIVISOR : VIDEO_DECAY_DIVISOR;
  step = MIN (stream->residual, MAX (step, 1));
  push->p -= step;
  stream->residual -= step;
}

/* The PTS of a buffer that leaves with @stamp: no other one of the stream has it. */
static gint64
display_time (KrTimelineStream *stream, KrPush *push, gint64 stamp)
{
  gboolean guess = push->no_pts && stream->kind == KR_TIMELINE_REORDER;
  gint64 pts = kr_add_saturated (push->p, push->off), place;

  if (guess)
    pts = kr_shown_guess (&stream->shown, push->p, push->duration);
  pts = MAX (pts, stamp);
  place = kr_shown_place (&stream->shown, pts, worth_of (stream, push));
  if (place != pts) {
    stream->stats.nudged++;
    push->corrected = TRUE;
  }
  if (!guess)
    kr_shown_note_lead (&stream->shown, place, stamp);
  kr_shown_add (&stream->shown, place, kr_sub_saturated (stamp, push->duration));
  return place;
}

/* From the judged time to the stamps: they rise, and PTS is never before DTS. */
static void
write_stamps (KrTimelineStream *stream, KrPush *push)
{
  KrTimelineOut *out = push->out;
  gint64 floor = stream->started ? stream->last_out + KR_TIMELINE_TICK : 0;
  gint64 stamp = MAX (push->p, MAX (floor, 0));

  if (stamp != push->p) {
    stream->stats.nudged++;
    push->corrected = TRUE;
  }
  out->pts = display_time (stream, push, stamp);
  out->dts = push->has_dts ? stamp : KR_TIME_NONE;
  stream->last_out = push->has_dts ? stamp : out->pts;
}

/* What comes in bursts comes at an average interval. */
static void
measure_arrival (KrTimelineStream *stream, const KrPush *push)
{
  gint64 step;

  if (push->arrival == KR_TIME_NONE || stream->any_arrival == KR_TIME_NONE)
    return;
  step = push->arrival - stream->any_arrival;
  if (step < 0 || step > MAX_MEASURED)
    return;
  stream->n_arrivals = MIN (stream->n_arrivals + 1, ARRIVALS);
  stream->interval += (step - stream->interval) / stream->n_arrivals;
}

static void
measure_duration (KrTimelineStream *stream, const KrPush *push)
{
  gint64 step;

  if (stream->last_t == KR_TIME_NONE)
    return;
  step = kr_sub_saturated (push->t, stream->last_t);
  if (step > 0 && step <= MAX_MEASURED)
    stream->measured = step;
}

static void
remember (KrTimelineStream *stream, KrPush *push, const KrTimelineIn *in)
{
  gboolean believed = push->t != KR_TIME_NONE && !push->extrapolated;
  gboolean by_arrival = stream->timeline->config.mode == KR_TIMELINE_ARRIVAL;

  if (believed && push->arrival != KR_TIME_NONE && !by_arrival)
    kr_timeline_watch_arrival (stream, push);
  if (by_arrival)
    measure_arrival (stream, push);
  if (believed) {
    measure_duration (stream, push);
    stream->last_t = push->t;
    stream->last_arrival = push->arrival;
  }
  stream->any_arrival = push->arrival;
  stream->restarted = FALSE;
  stream->stats.extra_ns = stream->extra;
  stream->stats.residual_ns = stream->residual;
  if (push->t != KR_TIME_NONE)
    stream->stats.last_in = push->t;
}

static void
place (KrTimelineStream *stream, KrPush *push)
{
  if (stream->timeline->config.mode == KR_TIMELINE_ARRIVAL)
    kr_timeline_place_by_arrival (stream, push);
  else if (stream->kind == KR_TIMELINE_SPARSE)
    kr_timeline_place_sparse (stream, push);
  else
    kr_timeline_place (stream, push);
}

static void
write_untouched (const KrTimelineIn *in, KrTimelineOut *out)
{
  out->pts = in->pts;
  out->dts = in->dts;
  out->flags &= KR_TIMELINE_OUT_EXTRAPOLATED;
  out->repeat = 0;
}

/**
 * kr_timeline_push:
 * @in: one buffer's stamps as running times
 * @out: (out): what to do with it
 *
 * Judges one buffer and gives its place on the output timeline. The caller passes the buffers
 * of a stream in order and calls from one thread at a time.
 */
void
kr_timeline_push (KrTimelineStream *stream, const KrTimelineIn *in, KrTimelineOut *out)
{
  KrTimeline *timeline = stream->timeline;
  gboolean arrival_counts =
      timeline->config.live || timeline->config.mode == KR_TIMELINE_ARRIVAL;
  KrPush push = {.arrival = KR_TIME_NONE, .hint = in->hint != 0, .out = out};

  out->flags = 0;
  out->n_events = 0;
  out->repeat = 0;
  stream->stats.in++;
  stream->eos = FALSE;
  if (arrival_counts && in->arrival >= 0 && in->arrival <= KR_TIMELINE_LIMIT) {
    push.arrival = in->arrival;
    push.outage =
        stream->any_arrival != KR_TIME_NONE && push.arrival - stream->any_arrival > OUTAGE;
  }
  kr_timeline_read_stamps (stream, in, &push);
  out->duration = push.duration;

  place (stream, &push);
  if (push.extrapolated) {
    out->flags |= KR_TIMELINE_OUT_EXTRAPOLATED;
    push.corrected = TRUE;
  } else if (G_UNLIKELY (stream->residual > 0 && !(out->flags & KR_TIMELINE_OUT_DROP))) {
    decay_residual (stream, &push);
  }
  remember (stream, &push, in);

  if (!(out->flags & KR_TIMELINE_OUT_DROP)) {
    stream->dropping_early = FALSE;
    stream->last = push.p;
    stream->last_duration = push.duration;
    if (timeline->config.mode == KR_TIMELINE_CFR)
      kr_timeline_snap (stream, &push);
  }
  if (timeline->config.mode == KR_TIMELINE_MONITOR)
    out->flags &= ~KR_TIMELINE_OUT_DROP;
  if (out->flags & KR_TIMELINE_OUT_DROP) {
    timeline->corrections += push.corrected;
    stream->stats.dropped++;
    return;
  }
  write_stamps (stream, &push);
  timeline->corrections += push.corrected;
  stream->started = TRUE;
  stream->stats.out++;
  if (timeline->config.mode == KR_TIMELINE_MONITOR)
    write_untouched (in, out);
  stream->stats.last_out = out->dts != KR_TIME_NONE ? out->dts : out->pts;
}

/**
 * kr_timeline_gap:
 * @t: running time at which a GAP event says that nothing comes for @duration
 * @out: (out): events only
 *
 * A gap that is announced is no fault: the stream's time goes on over it. What the event says
 * is often only as good as a demuxer's guess, so a stamp inside the gap is still welcome and a
 * gap that does not fit the map begins no epoch.
 *
 * Returns: output time of the gap
 */
gint64
kr_timeline_gap (KrTimelineStream *stream, gint64 t, gint64 duration, gint64 arrival,
                 KrTimelineOut *out)
{
  KrTimeline *timeline = stream->timeline;
  KrPush push = {.t = t, .arrival = timeline->config.live ? arrival : KR_TIME_NONE, .out = out};
  KrEpoch *epoch;
  gint64 position, expected;

  out->flags = 0;
  out->n_events = 0;
  out->repeat = 0;
  duration = CLAMP (duration, 0, KR_TIMELINE_LIMIT);
  if (!stream->started || timeline->epochs.n == 0 || stream->kind == KR_TIMELINE_SPARSE)
    return kr_timeline_free_time (stream, t, push.arrival);
  epoch = kr_epochs_find (&timeline->epochs, stream->epoch);
  expected = kr_add_saturated (stream->last, stream->last_duration);
  push.p = expected;
  if (epoch != NULL && t >= -KR_TIMELINE_LIMIT && t <= KR_TIMELINE_LIMIT)
    push.p = kr_add_saturated (kr_timeline_map (stream, epoch, t), stream->residual);
  if (!kr_timeline_is_regular (stream, push.p, expected) &&
      !(push.p > expected && kr_timeline_sibling_position (stream, &position) &&
        push.p <= kr_add_saturated (position, timeline->config.max_gap)))
    push.p = expected;
  /* A stamp may come anywhere between the last one and the end of the gap. */
  stream->last_duration = kr_add_saturated (push.p - stream->last, duration);
  return MAX (push.p, 0);
}

/* A buffer that kr_timeline_push() let pass is not passed on after all. */
void
kr_timeline_stream_drop (KrTimelineStream *stream)
{
  stream->stats.out--;
  stream->stats.dropped++;
}

/* What the caller has stamped by itself reached until @time: the next stamp is not before it. */
void
kr_timeline_stream_passed (KrTimelineStream *stream, gint64 time)
{
  stream->last_out = MAX (stream->last_out, kr_sub_saturated (time, KR_TIMELINE_TICK));
}

/**
 * kr_timeline_stream_offset:
 *
 * Returns: output - input time of the stream now, 0 before its first buffer
 */
gint64
kr_timeline_stream_offset (KrTimelineStream *stream)
{
  if (!stream->started || stream->last_t == KR_TIME_NONE ||
      stream->timeline->config.mode == KR_TIMELINE_MONITOR)
    return 0;
  return kr_sub_saturated (stream->last, stream->last_t);
}

void
kr_timeline_stream_get_stats (KrTimelineStream *stream, KrTimelineStreamStats *stats)
{
  *stats = stream->stats;
}

void
kr_timeline_get_stats (KrTimeline *timeline, KrTimelineStats *stats)
{
  KrEpoch *newest = kr_epochs_newest (&timeline->epochs);

  *stats = (KrTimelineStats){
      .epochs = timeline->epochs.begun,
      .discontinuities = timeline->discontinuities,
      .corrections = timeline->corrections,
      .offset_ns =
          newest != NULL ? kr_sub_saturated (newest->pieces[0].out, newest->pieces[0].t) : 0,
      .drift_known = timeline->clock.slope_known,
      .drift_ppm = -timeline->clock.slope * 1e6,
      .lag_ns = kr_clock_lag (&timeline->clock),
  };
}

/**
 * kr_timeline_stream_may_report:
 * @now: monotonic time in ns
 * @ret_suppressed: (out): reports of this kind and stream left out since the last one
 *
 * Returns: whether an event may be reported; at most once per second for each kind and stream
 */
gboolean
kr_timeline_stream_may_report (KrTimelineStream *stream, KrTimelineEventKind kind, gint64 now,
                               guint *ret_suppressed)
{
  gint64 last = stream->reported_at[kind];

  if (last != KR_TIME_NONE && now - last < REPORT_INTERVAL) {
    stream->suppressed[kind]++;
    return FALSE;
  }
  stream->reported_at[kind] = now;
  *ret_suppressed = stream->suppressed[kind];
  stream->suppressed[kind] = 0;
  return TRUE;
}

/* The kind's name in messages. */
const char *
kr_timeline_event_name (KrTimelineEventKind kind)
{
  static const char *const names[] = {
      [KR_TIMELINE_EVENT_ANCHOR] = KR_DISCONT_ANCHOR,
      [KR_TIMELINE_EVENT_JUMP_FORWARD] = KR_DISCONT_JUMP_FORWARD,
      [KR_TIMELINE_EVENT_JUMP_BACK] = KR_DISCONT_JUMP_BACK,
      [KR_TIMELINE_EVENT_OVERLAP] = KR_DISCONT_OVERLAP,
      [KR_TIMELINE_EVENT_GAP] = KR_DISCONT_GAP,
      [KR_TIMELINE_EVENT_WRAP_TS33] = KR_DISCONT_WRAP_TS33,
      [KR_TIMELINE_EVENT_WRAP_RTP32] = KR_DISCONT_WRAP_RTP32,
      [KR_TIMELINE_EVENT_WRAP_MS32] = KR_DISCONT_WRAP_MS32,
      [KR_TIMELINE_EVENT_LAG_RESYNC] = KR_DISCONT_LAG_RESYNC,
      [KR_TIMELINE_EVENT_UNRELATED_CLOCK] = KR_DISCONT_UNRELATED_CLOCK,
      [KR_TIMELINE_EVENT_STREAM_OVERLAP] = KR_DISCONT_STREAM_OVERLAP,
      [KR_TIMELINE_EVENT_STREAM_JUMP] = KR_DISCONT_STREAM_JUMP,
      [KR_TIMELINE_EVENT_OUTLIER_RETURN] = KR_DISCONT_OUTLIER_RETURN,
      [KR_TIMELINE_EVENT_SHIFT_NEGATIVE] = KR_DISCONT_SHIFT_NEGATIVE,
  };

  G_STATIC_ASSERT (G_N_ELEMENTS (names) == KR_TIMELINE_N_EVENTS);
  return names[kind];
}
