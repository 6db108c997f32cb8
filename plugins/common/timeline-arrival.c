/* keeprolling - what a timeline does about lag and drift
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-private.h"

/* The time constant with which DRIFT_FOLLOW works off what has added up. */
#define FOLLOW_SECONDS 20
/* A bend lies this far ahead of all streams, so that each meets it before it has passed it. */
#define BEND_AHEAD (KR_SECOND / 2)
/* And this far behind the last one. */
#define BEND_INTERVAL (5 * KR_SECOND)
/* Less than this, in 10^-9, is not worth a bend. */
#define BEND_MIN 1000

/* Moves the shared map after the source's clock: the measured slope, and what has added up by
 * the line through the minima, which a stall of the network does not lift. The bend is ahead of
 * every stream, so all of them get the same map. */
static void
follow_drift (KrTimelineStream *stream, const KrPush *push)
{
  KrTimeline *timeline = stream->timeline;
  KrClock *clock = &timeline->clock;
  gint64 limit = (gint64)timeline->config.max_rate * 1000;
  gint64 t = kr_add_saturated (push->t, stream->extra), rate = 0;
  KrEpoch *epoch = kr_epochs_find (&timeline->epochs, stream->epoch);
  KrTimelineStream *other;

  if (epoch == NULL || epoch != kr_epochs_newest (&timeline->epochs))
    return;
  if (clock->level_known)
    rate = kr_sub_saturated (
               kr_sub_saturated (clock->level, clock->baseline),
               kr_sub_saturated (kr_epoch_map (epoch, t), kr_epoch_map_unbent (epoch, t))) /
           FOLLOW_SECONDS;
  if (clock->slope_known)
    rate += (gint64)(CLAMP (clock->slope, -1., 1.) * 1e9);
  rate = CLAMP (rate, -limit, limit);
  for (other = timeline->streams; other != NULL; other = other->next)
    if (other != stream && other->started && other->epoch == epoch->number &&
        other->last_t != KR_TIME_NONE)
      t = MAX (t, kr_add_saturated (other->last_t, other->extra));
  if (ABS (rate - kr_epoch_rate (epoch)) < BEND_MIN ||
      (epoch->n_pieces > 1 && t - epoch->pieces[epoch->n_pieces - 1].t < BEND_INTERVAL))
    return;
  kr_epoch_bend (epoch, t + BEND_AHEAD, (gint32)rate);
}

/* The source has paused and does not catch up: move the whole map, from this input time on, for
 * every stream alike. */
static void
resync_lag (KrTimelineStream *stream, KrPush *push)
{
  KrTimeline *timeline = stream->timeline;
  gint64 lag = kr_clock_lag (&timeline->clock);
  guint old = stream->epoch;
  KrEpoch *epoch, *before;

  kr_timeline_make_room (timeline, old);
  epoch = kr_epochs_begin_shifted (&timeline->epochs, old, lag);
  before = kr_epochs_find (&timeline->epochs, old);
  before->successor = epoch->number;
  before->successor_at = kr_add_saturated (push->t, stream->extra);
  before->parent = 0;
  kr_clock_shift (&timeline->clock, lag);
  kr_clock_restart_drift (&timeline->clock);
  kr_timeline_emit (stream, push, KR_TIMELINE_EVENT_LAG_RESYNC, lag, lag);
}

/**
 * kr_timeline_watch_arrival:
 *
 * Compares a buffer whose stamp was believed with its arrival: baseline, lag and drift, and
 * what follows from them. Called before its time is clamped.
 */
void
kr_timeline_watch_arrival (KrTimelineStream *stream, KrPush *push)
{
  KrTimeline *timeline = stream->timeline;
  const KrTimelineConfig *config = &timeline->config;
  KrEpoch *epoch = kr_epochs_find (&timeline->epochs, stream->epoch);
  gboolean second;

  if (epoch == NULL || stream->kind == KR_TIMELINE_SPARSE)
    return;
  second =
      kr_clock_sample (&timeline->clock, push->arrival, push->p,
                       kr_epoch_map_unbent (epoch, kr_add_saturated (push->t, stream->extra)));
  stream->stats.lag_ns =
      kr_sub_saturated (kr_sub_saturated (push->arrival, push->p), timeline->clock.baseline);
  if (G_UNLIKELY (
          kr_clock_lags (&timeline->clock, push->arrival, config->max_lag, config->lag_hold)) &&
      epoch->successor == 0)
    resync_lag (stream, push);
  else if (G_UNLIKELY (second) && config->drift == KR_TIMELINE_DRIFT_FOLLOW)
    follow_drift (stream, push);
}
