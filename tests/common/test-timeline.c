/* keeprolling - each setting of a timeline both ways, and what is too long for a vector
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <math.h>

#include "plugins/common/timeline.h"
#include "tests/support/kr-test.h"

#define MS     G_GINT64_CONSTANT (1000000)
#define SECOND (1000 * MS)
#define FRAME  (40 * MS)
#define NONE   KR_TIME_NONE

typedef struct {
  KrTimelineConfig config;
  KrTimeline *timeline;
  KrTimelineStream *video, *audio;
  KrTimelineOut out; /* of the last push */
} World;

static void
set_up (World *world)
{
  world->timeline = kr_timeline_new (&world->config);
  world->video = kr_timeline_add_stream (world->timeline);
  world->audio = kr_timeline_add_stream (world->timeline);
  kr_timeline_stream_set_format (world->video, KR_TIMELINE_VIDEO, FRAME, 25, 1);
  kr_timeline_stream_set_format (world->audio, KR_TIMELINE_AUDIO, FRAME / 2, 0, 1);
}

static World *
world_new (void)
{
  World *world = g_new0 (World, 1);

  kr_timeline_config_init (&world->config);
  return world;
}

static void
world_free (World *world)
{
  kr_timeline_free (world->timeline);
  g_free (world);
}

static gint64
push (World *world, KrTimelineStream *stream, gint64 pts, gint64 arrival)
{
  KrTimelineIn in = {.pts = pts, .dts = NONE, .arrival = arrival, .duration = NONE};

  kr_timeline_push (stream, &in, &world->out);
  return world->out.pts;
}

static gboolean
told (const World *world, KrTimelineEventKind kind)
{
  guint i;

  for (i = 0; i < world->out.n_events; i++)
    if (world->out.events[i].kind == kind)
      return TRUE;
  return FALSE;
}

static gboolean
is_extrapolated (const World *world)
{
  return (world->out.flags & KR_TIMELINE_OUT_EXTRAPOLATED) != 0;
}

/* Frames of 5 ms that come 30 ms apart behind a jump: jitter, or nothing to rely on? */
static void
test_jitter (void)
{
  const gint64 limits[] = {0, 40 * MS};
  guint i, k;

  for (i = 0; i < 2; i++) {
    World *world = world_new ();
    gboolean believed = FALSE;

    world->config.jitter = limits[i];
    set_up (world);
    kr_timeline_stream_set_format (world->audio, KR_TIMELINE_AUDIO, 5 * MS, 0, 1);
    push (world, world->audio, 0, NONE);
    for (k = 1; k <= 3; k++) {
      push (world, world->audio, 9000 * SECOND + k * 30 * MS, NONE);
      believed |= told (world, KR_TIMELINE_EVENT_JUMP_FORWARD);
    }
    g_assert_cmpint (believed, ==, i == 1);
    world_free (world);
  }
}

static void
test_confirm (void)
{
  const guint confirm[] = {1, 2, 5};
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (confirm); i++) {
    World *world = world_new ();

    world->config.confirm = confirm[i];
    set_up (world);
    push (world, world->video, 0, NONE);
    for (k = 1; k < 8; k++) {
      g_assert_cmpint (push (world, world->video, 9000 * SECOND + k * FRAME, NONE), ==,
                       k * FRAME);
      g_assert_cmpint (is_extrapolated (world), ==, k < confirm[i]);
      g_assert_cmpint (told (world, KR_TIMELINE_EVENT_JUMP_FORWARD), ==, k == confirm[i]);
    }
    world_free (world);
  }
}

static void
test_max_gap (void)
{
  const gint64 limits[] = {SECOND / 2, 3 * SECOND};
  guint i;

  for (i = 0; i < 2; i++) {
    World *world = world_new ();

    world->config.max_gap = limits[i];
    set_up (world);
    push (world, world->video, 0, NONE);
    push (world, world->video, 2 * SECOND, NONE);
    g_assert_cmpint (is_extrapolated (world), ==, i == 0);
    world_free (world);
  }
}

/* Audio alone steps 100 ms back; how long until it returns to the map? */
static gint64
time_to_settle (gint64 settle)
{
  World *world = world_new ();
  gint64 t, result = -1;

  world->config.settle = settle;
  set_up (world);
  for (t = 0; t < 8 * SECOND && result < 0; t += FRAME / 2) {
    if (t % FRAME == 0)
      push (world, world->video, t, NONE);
    push (world, world->audio, t < SECOND ? t : t - 100 * MS, NONE);
    if (told (world, KR_TIMELINE_EVENT_STREAM_OVERLAP))
      result = t - SECOND;
  }
  world_free (world);
  return result;
}

static void
test_settle (void)
{
  g_assert_cmpint (time_to_settle (SECOND), >=, SECOND);
  g_assert_cmpint (time_to_settle (SECOND), <, SECOND + 200 * MS);
  g_assert_cmpint (time_to_settle (3 * SECOND), >=, 3 * SECOND);
  g_assert_cmpint (time_to_settle (3 * SECOND), <, 3 * SECOND + 200 * MS);
}

/* The source pauses for so long and goes on late. Returns when the output was moved, or -1. */
static gint64
time_to_resync (gint64 pause, gint64 max_lag, gint64 hold)
{
  World *world = world_new ();
  gint64 t, result = -1;

  world->config.live = TRUE;
  world->config.max_lag = max_lag;
  world->config.lag_hold = hold;
  set_up (world);
  for (t = 0; t < 20 * SECOND && result < 0; t += FRAME) {
    push (world, world->video, t, t < 3 * SECOND ? t : t + pause);
    if (told (world, KR_TIMELINE_EVENT_LAG_RESYNC)) {
      g_assert_cmpint (world->out.events[0].delta, ==, pause);
      g_assert_cmpint (push (world, world->video, t + FRAME, t + FRAME + pause), ==,
                       t + FRAME + pause);
      result = t - 3 * SECOND;
    }
  }
  world_free (world);
  return result;
}

static void
test_lag (void)
{
  g_assert_cmpint (time_to_resync (5 * SECOND, 2 * SECOND, 3 * SECOND), ==, 3 * SECOND);
  g_assert_cmpint (time_to_resync (5 * SECOND, 2 * SECOND, 7 * SECOND), ==, 7 * SECOND);
  g_assert_cmpint (time_to_resync (5 * SECOND, 6 * SECOND, 3 * SECOND), ==, -1);
  g_assert_cmpint (time_to_resync (1 * SECOND, 2 * SECOND, 3 * SECOND), ==, -1);
}

/* A source whose clock runs at 1 + ppm, for ten minutes. Returns how far the output is from
 * arrival at the end, against the start. */
static gint64
run_drift (KrTimelineDriftPolicy drift, gint ppm, guint max_rate, gdouble *ret_ppm)
{
  World *world = world_new ();
  KrTimelineStats stats;
  gint64 k, error = 0;

  world->config.live = TRUE;
  world->config.drift = drift;
  world->config.max_rate = max_rate;
  world->config.max_lag = 1000 * SECOND;
  set_up (world);
  for (k = 0; k < 600 * 25; k++) {
    gint64 arrival = 10 * SECOND + k * FRAME;
    gint64 t = 10 * SECOND + k * FRAME + k * FRAME / 1000000 * ppm;
    gint64 video = push (world, world->video, t, arrival + k * 7 % 5 * MS);
    gint64 audio;

    g_assert_cmpuint (world->out.n_events, ==, 0);
    /* The same input time leaves at the same output time, whatever the map does. */
    audio = push (world, world->audio, t, arrival + k * 7 % 5 * MS);
    g_assert_cmpint (audio, ==, video);
    audio = push (world, world->audio, t + FRAME / 2, arrival + FRAME / 2 + k * 7 % 5 * MS);
    error = arrival - video;
  }
  kr_timeline_get_stats (world->timeline, &stats);
  g_assert_true (stats.drift_known);
  *ret_ppm = stats.drift_ppm;
  world_free (world);
  return error;
}

static void
test_drift (void)
{
  static const gint rates[] = {100, -100, 3000, -10000};
  gdouble ppm;
  gint64 error;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rates); i++) {
    error = run_drift (KR_TIMELINE_DRIFT_FOLLOW, rates[i], 20000, &ppm);
    g_assert_cmpfloat (fabs (ppm - rates[i]), <, 20);
    g_assert_cmpint (ABS (error), <, 40 * MS);
    error = run_drift (KR_TIMELINE_DRIFT_REPORT, rates[i], 20000, &ppm);
    g_assert_cmpfloat (fabs (ppm - rates[i]), <, 20);
    g_assert_cmpint (ABS (error + 600 * MS * rates[i] / 1000), <, 10 * MS);
  }
  /* No more than it may. */
  error = run_drift (KR_TIMELINE_DRIFT_FOLLOW, -10000, 4000, &ppm);
  g_assert_cmpint (error, >, 3 * SECOND);
  g_assert_cmpint (error, <, 4 * SECOND);
}

/* Four hours of a source that is 100 ppm fast. Each hour its clock is set back, and every ten
 * minutes the network stalls for 5 s and then delivers all at once. */
static void
test_follow_for_hours (void)
{
  World *world = world_new ();
  gint64 k, clock = 100000 * SECOND, last = 0, first_lag = 0;

  world->config.live = TRUE;
  world->config.drift = KR_TIMELINE_DRIFT_FOLLOW;
  set_up (world);
  for (k = 0; k < 4 * 3600 * 25; k++) {
    gint64 now = k * FRAME, stalled = now % (600 * SECOND), lag, video, audio;
    gint64 arrival = 10 * SECOND + now + k * 7919 % 21 * MS;

    if (stalled > 590 * SECOND && stalled < 595 * SECOND)
      arrival = 10 * SECOND + now - stalled + 595 * SECOND;
    if (k > 0 && now % (3600 * SECOND) == 0)
      clock -= 5000 * SECOND + k;
    video = push (world, world->video, clock + now + now / 10000, arrival);
    audio = push (world, world->audio, clock + now + now / 10000, arrival);
    /* Exactly together, but while the picture does not believe a jump yet. */
    g_assert_cmpint (ABS (audio - video), <, now % (3600 * SECOND) == 0 ? MS : 1);
    push (world, world->audio, clock + now + now / 10000 + FRAME / 2, arrival);
    lag = now - video;
    if (now == 60 * SECOND)
      first_lag = lag;
    if (now > 60 * SECOND) {
      g_assert_cmpint (ABS (lag - first_lag), <, 10 * MS);
      g_assert_cmpint (ABS (video - last - FRAME), <, MS);
    }
    last = video;
  }
  world_free (world);
}

/* A stream with a private constant follows as well: a bend of the map must not act on it from
 * hours away. */
static void
test_follow_unrelated_clock (void)
{
  const gint64 away[] = {100000 * SECOND, -50000 * SECOND};
  guint i;

  for (i = 0; i < G_N_ELEMENTS (away); i++) {
    World *world = world_new ();
    gint64 k, distance = 0;

    world->config.live = TRUE;
    world->config.drift = KR_TIMELINE_DRIFT_FOLLOW;
    set_up (world);
    for (k = 0; k < 600 * 25; k++) {
      gint64 arrival = 60000 * SECOND + k * FRAME, t = arrival + k * FRAME / 1000;
      gint64 video = push (world, world->video, t, arrival);
      gint64 audio = push (world, world->audio, t + away[i], arrival);

      if (k == 0) {
        g_assert_true (told (world, KR_TIMELINE_EVENT_UNRELATED_CLOCK));
        distance = audio - video;
      }
      push (world, world->audio, t + away[i] + FRAME / 2, arrival + FRAME / 2);
      g_assert_cmpint (ABS (audio - video - distance), <, MS);
      g_assert_cmpint (ABS (video - arrival), <, 40 * MS);
    }
    world_free (world);
  }
}

/* 25 pictures a second come in threes, without stamps, and nobody knows how long one lasts. */
static void
test_arrival_alone (void)
{
  World *world = world_new ();
  gint64 k, last = 0;

  world->config.mode = KR_TIMELINE_ARRIVAL;
  set_up (world);
  kr_timeline_stream_set_format (world->video, KR_TIMELINE_VIDEO, 0, 0, 1);
  for (k = 0; k < 1500; k++) {
    gint64 arrival = SECOND + k / 3 * 3 * FRAME;
    gint64 out = push (world, world->video, NONE, arrival);

    g_assert_cmpint (ABS (out - arrival), <, 4 * FRAME);
    if (k > 150)
      g_assert_cmpint (ABS (out - last - FRAME), <, 20 * MS);
    last = out;
  }
  world_free (world);
}

static void
test_clock_step (void)
{
  const gint64 steps[] = {-SECOND, 3600 * SECOND, -30 * SECOND};
  guint i;

  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    World *world = world_new ();
    gint64 t;

    world->config.live = TRUE;
    set_up (world);
    for (t = 0; t < 20 * SECOND; t += FRAME) {
      gint64 arrival = 100 * SECOND + t + (t >= 5 * SECOND ? steps[i] : 0);

      if (t == 5 * SECOND)
        kr_timeline_clock_step (world->timeline, steps[i]);
      g_assert_cmpint (push (world, world->video, 100 * SECOND + t, arrival), ==,
                       100 * SECOND + t);
      g_assert_cmpuint (world->out.n_events, ==, 0);
    }
    /* And a real gap is still one. */
    push (world, world->video, 130 * SECOND, 130 * SECOND + steps[i]);
    g_assert_true (told (world, KR_TIMELINE_EVENT_GAP));
    world_free (world);
  }
}

static void
test_reports (void)
{
  World *world = world_new ();
  guint suppressed = 7, i;

  set_up (world);
  for (i = 0; i < 5; i++)
    g_assert_cmpint (kr_timeline_stream_may_report (world->video, KR_TIMELINE_EVENT_GAP,
                                                    i * 200 * MS, &suppressed),
                     ==, i == 0);
  g_assert_cmpuint (suppressed, ==, 0);
  /* Another kind and another stream are told. */
  g_assert_true (kr_timeline_stream_may_report (world->video, KR_TIMELINE_EVENT_OVERLAP,
                                                900 * MS, &suppressed));
  g_assert_true (kr_timeline_stream_may_report (world->audio, KR_TIMELINE_EVENT_GAP, 900 * MS,
                                                &suppressed));
  g_assert_true (
      kr_timeline_stream_may_report (world->video, KR_TIMELINE_EVENT_GAP, SECOND, &suppressed));
  g_assert_cmpuint (suppressed, ==, 4);
  world_free (world);
}

/* The stream that found a jump goes away before another has followed. */
static void
test_creator_leaves (void)
{
  World *world = world_new ();
  gint64 k;

  set_up (world);
  for (k = 0; k < 10; k++) {
    push (world, world->video, k * FRAME, NONE);
    push (world, world->audio, k * FRAME, NONE);
  }
  for (k = 10; k < 13; k++)
    push (world, world->video, 5000 * SECOND + k * FRAME, NONE);
  kr_timeline_remove_stream (world->timeline, world->video);
  g_assert_cmpint (push (world, world->audio, 5000 * SECOND + 10 * FRAME, NONE), ==,
                   10 * FRAME);
  g_assert_true (world->out.flags & KR_TIMELINE_OUT_DISCONT);
  world_free (world);
}

static void
test_offset (void)
{
  World *world = world_new ();

  set_up (world);
  g_assert_cmpint (kr_timeline_stream_offset (world->video), ==, 0);
  push (world, world->video, -5 * SECOND, NONE);
  g_assert_cmpint (kr_timeline_stream_offset (world->video), ==, 5 * SECOND);
  kr_timeline_stream_flush (world->video);
  g_assert_cmpint (kr_timeline_stream_offset (world->video), ==, 0);
  world_free (world);
}

/* One stream flushes: it begins anew on the map of the other. Both: from zero. */
static void
test_flush (void)
{
  World *world = world_new ();

  set_up (world);
  push (world, world->video, -5 * SECOND, NONE);
  push (world, world->audio, -5 * SECOND, NONE);
  kr_timeline_stream_flush (world->audio);
  g_assert_cmpint (push (world, world->audio, 0, NONE), ==, 5 * SECOND);
  kr_timeline_stream_flush (world->video);
  kr_timeline_stream_flush (world->audio);
  g_assert_cmpint (push (world, world->audio, SECOND, NONE), ==, SECOND);
  world_free (world);
}

/* Stamps of a week at 100 frames a second would take a while; those of a day do. */
static void
test_day_of_wraps (void)
{
  World *world = world_new ();
  KrTimelineStats stats;
  const gint64 period = G_GINT64_CONSTANT (47721858844444);
  gint64 t;

  set_up (world);
  kr_timeline_stream_set_format (world->video, KR_TIMELINE_VIDEO, 100 * MS, 10, 1);
  for (t = 0; t < 30 * 3600 * SECOND; t += 100 * MS)
    g_assert_cmpint (push (world, world->video, t % period, NONE), ==, t);
  kr_timeline_get_stats (world->timeline, &stats);
  g_assert_cmpuint (stats.epochs, ==, 3);
  g_assert_cmpuint (stats.discontinuities, ==, 2);
  world_free (world);
}

/* Twenty restarts of the source, each after an outage: D does not wander. */
static void
test_many_restarts (void)
{
  World *world = world_new ();
  gint64 now = 10 * SECOND;
  guint round, k;

  world->config.live = TRUE;
  set_up (world);
  for (round = 0; round < 20; round++) {
    for (k = 0; k < 100; k++) {
      gint64 t = (round == 0 ? 10 * SECOND : 0) + k * FRAME;
      gint64 arrival = now + k * FRAME + 50 * MS + (k == 0 ? 0 : k * 13 % 7 * MS);

      g_assert_cmpint (push (world, world->video, t, arrival), ==, now + k * FRAME);
      g_assert_cmpint (push (world, world->audio, t, arrival), ==, now + k * FRAME);
      push (world, world->audio, t + FRAME / 2, arrival + FRAME / 2);
    }
    now += 100 * FRAME + 3 * SECOND + round * SECOND;
  }
  world_free (world);
}

/* Behind a loss a decoder gives out pictures that all have the stamp of the last one. The map
 * stands: what follows is where its stamps say. */
static void
test_repeated_pictures (void)
{
  guint repeated;

  for (repeated = 1; repeated <= 4; repeated++) {
    World *world = world_new ();
    guint i;

    set_up (world);
    kr_timeline_stream_set_format (world->video, KR_TIMELINE_RAW_VIDEO, FRAME, 25, 1);
    push (world, world->video, 0, NONE);
    push (world, world->video, FRAME, NONE);
    for (i = 0; i < repeated; i++) {
      gint64 pts = push (world, world->video, FRAME, NONE);

      g_assert_cmpint ((world->out.flags & KR_TIMELINE_OUT_DROP) != 0, ==, i > 0);
      g_assert_true (i > 0 || pts == 2 * FRAME);
      g_assert_cmpuint (world->out.n_events, ==, 0);
    }
    /* Its place is taken: it is next to it, and the one after that is exact. */
    g_assert_cmpint (push (world, world->video, 2 * FRAME, NONE), <, 2 * FRAME + MS);
    g_assert_cmpuint (world->out.n_events, ==, 0);
    for (i = 3; i < 10; i++)
      g_assert_cmpint (push (world, world->video, i * FRAME, NONE), ==, i * FRAME);
    world_free (world);
  }
}

/* But a stamp that stands still for good is a fault: pictures go on. */
static void
test_frozen_stamp (void)
{
  World *world = world_new ();
  guint passed = 0, i;

  set_up (world);
  kr_timeline_stream_set_format (world->video, KR_TIMELINE_RAW_VIDEO, FRAME, 25, 1);
  push (world, world->video, 0, NONE);
  for (i = 0; i < 200; i++) {
    push (world, world->video, FRAME, NONE);
    passed += (world->out.flags & KR_TIMELINE_OUT_DROP) == 0;
  }
  g_assert_cmpuint (passed, >, 20);
  world_free (world);
}

/* Sound that comes as a block is late by what it holds. The last block from before an outage is
 * let go of with the first one after it: the time between is real all the same. */
static void
test_late_block_after_outage (void)
{
  const gint64 late[] = {100 * MS, 600 * MS, SECOND};
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (late); i++) {
    World *world = world_new ();

    world->config.live = TRUE;
    set_up (world);
    for (k = 0; k < 100; k++)
      push (world, world->video, k * FRAME, k * FRAME);
    for (k = 0; k < 180; k++)
      push (world, world->audio, k * FRAME / 2, k * FRAME / 2 + 300 * MS);
    /* Ten more that the demuxer had kept, five seconds late; the next is in time, nearly. */
    for (; k < 190; k++)
      push (world, world->audio, k * FRAME / 2, 9 * SECOND);
    push (world, world->audio, 9 * SECOND - late[i], 9 * SECOND);
    g_assert_true (told (world, KR_TIMELINE_EVENT_GAP));
    g_assert_cmpint (world->out.pts, ==, 9 * SECOND - late[i]);
    world_free (world);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (100);
  g_test_add_func ("/timeline/jitter", test_jitter);
  g_test_add_func ("/timeline/confirm", test_confirm);
  g_test_add_func ("/timeline/max-gap", test_max_gap);
  g_test_add_func ("/timeline/settle", test_settle);
  g_test_add_func ("/timeline/lag", test_lag);
  g_test_add_func ("/timeline/drift", test_drift);
  g_test_add_func ("/timeline/follow-for-hours", test_follow_for_hours);
  g_test_add_func ("/timeline/follow-unrelated-clock", test_follow_unrelated_clock);
  g_test_add_func ("/timeline/arrival-alone", test_arrival_alone);
  g_test_add_func ("/timeline/clock-step", test_clock_step);
  g_test_add_func ("/timeline/reports", test_reports);
  g_test_add_func ("/timeline/creator-leaves", test_creator_leaves);
  g_test_add_func ("/timeline/offset", test_offset);
  g_test_add_func ("/timeline/flush", test_flush);
  g_test_add_func ("/timeline/day-of-wraps", test_day_of_wraps);
  g_test_add_func ("/timeline/many-restarts", test_many_restarts);
  g_test_add_func ("/timeline/repeated-pictures", test_repeated_pictures);
  g_test_add_func ("/timeline/frozen-stamp", test_frozen_stamp);
  g_test_add_func ("/timeline/late-block", test_late_block_after_outage);
  return g_test_run ();
}
