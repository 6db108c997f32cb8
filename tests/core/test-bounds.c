/* keeprolling - every fault is repaired in time, and nothing else is taken for one
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/health.h"
#include "launcher/core/supervisor.h"

#include <string.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND
#define MS     G_TIME_SPAN_MILLISECOND
/* An arbitrary moment in UTC. */
#define UTC (G_GINT64_CONSTANT (1700000000) * G_USEC_PER_SEC)

/* One worker with one recording, its reports, the looks at it and the verdicts on it, as
 * worker.c and supervised.c have them; all on one clock. A fault changes what is reported. */
typedef struct {
  KrHealthSpec spec;
  KrSupervisorPolicy policy;
  KrSupervisor machine;
  KrPipelineReport *report;
  KrDestinationProbe probe;
  guint64 rss;
  gint64 now;
  gint64 heartbeat;
  gint64 next_report;
  gint64 next_look;
  gint64 next_tick;
  gint64 next_probe;
  gint64 starved; /* since the last report */
  gboolean writing;
  gint64 replaced_at; /* 0 = not */
  char reason[192];
} World;

typedef struct {
  const char *name;
  void (*before_report) (World *w, gint64 since_fault); /* what it would report now */
  gboolean silent;                                      /* reports nothing any more */
  gboolean writes;                                      /* all the same */
  gboolean wants_two; /* a bad verdict alone is no fact: Threshold must leave room for it */
} Fault;

static void
set_up (World *w, gint64 interval, guint threshold)
{
  g_autoptr (KrPipelineFile) file = NULL;
  g_autoptr (GPtrArray) problems =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_problem_free);
  g_autofree char *text =
      g_strdup_printf ("[Pipeline a]\nLaunch = fakesrc ! fakesink\n[Health]\nIntervalSec = "
                       "%" G_GINT64_FORMAT "ms\nThreshold = %u\nMemoryMax = 100M\n"
                       "CheckURL = http://127.0.0.1/\n",
                       interval / MS, threshold);

  memset (w, 0, sizeof *w);
  file = kr_pipeline_file_parse ("a.pipeline", text, strlen (text), NULL, NULL, problems);
  g_assert_nonnull (file);
  w->spec = file->health;
  w->spec.check_url = g_strdup (file->health.check_url);
  kr_supervisor_policy_from_file (&w->policy, file);
  w->now = 1000 * SECOND;
  kr_supervisor_init (&w->machine, &w->policy, w->now);
  w->report = kr_pipeline_report_new ("a");
  w->report->state = KR_PIPELINE_PLAYING;
  w->report->has_growth = TRUE;
  w->report->sources = 1;
  w->rss = 20 * 1024 * 1024;
  w->probe = (KrDestinationProbe){.done = TRUE, .http = 200};
  w->writing = TRUE;
}

static void
tear_down (World *w)
{
  kr_pipeline_report_free (w->report);
  g_free (w->spec.check_url);
}

static void
send (World *w, KrSupervisorEvent event)
{
  KrSupervisorActions actions;

  if (!kr_supervisor_handle (&w->machine, &event, w->now, &actions))
    return;
  for (guint i = 0; i < actions.n; i++) {
    const KrSupervisorAction *action = &actions.items[i];

    if (action->type == KR_SUPERVISOR_ACTION_ALERT && w->reason[0] == '\0')
      g_strlcpy (w->reason, action->reason, sizeof w->reason);
    /* Killed: it is gone at once, and the next one is started. */
    if (action->type == KR_SUPERVISOR_ACTION_KILL)
      send (w, (KrSupervisorEvent){
                   .type = KR_SUPERVISOR_EVENT_EXITED, .serial = action->serial, .signal = 9});
    if (action->type == KR_SUPERVISOR_ACTION_SPAWN && action->serial > 1 && w->replaced_at == 0)
      w->replaced_at = w->now;
  }
}

static void
judge (World *w)
{
  const char *names[] = {"a"};
  KrWorkerSample sample = {
      .now_utc_us = UTC + w->now,
      .in_grace = w->now < w->machine.grace_until,
      .heartbeat_age_us = w->now - w->heartbeat,
      .hang_limit_us = w->policy.hang_limit_us,
      .has_rss = TRUE,
      .rss = w->rss,
      .io_age_us = -1,
      .destination = w->probe,
  };
  KrHealthReport health;
  KrHealthVerdict verdict;

  kr_health_judge (&w->spec, NULL, w->report, &sample, &health);
  kr_health_sum_up (&health, names, 1, &verdict);
  if (kr_supervisor_wants_verdict (&w->machine, verdict.bad, verdict.at_once, w->now))
    send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_VERDICT,
                                 .bad = verdict.bad,
                                 .at_once = verdict.at_once,
                                 .harmful = verdict.harmful,
                                 .stuck = verdict.stuck,
                                 .age_us = (gint64)(verdict.fault_age_s * SECOND),
                                 .writing = w->writing,
                                 .reason = verdict.reason});
}

static void
take_report (World *w)
{
  w->heartbeat = w->now;
  w->starved = 0;
  send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_HEARTBEAT,
                               .serial = w->machine.current});
  judge (w);
}

static void
tick (World *w)
{
  send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_TICK,
                               .writing = w->writing,
                               .starved_us = w->starved});
  judge (w);
}

/* The next thing that happens, at @until at the latest. */
static void
step (World *w, gint64 until)
{
  w->now = MIN (MIN (w->next_look, w->next_tick),
                MIN (kr_supervisor_next_look (&w->machine, w->now), until));
  if (w->now >= w->next_tick) {
    w->next_tick += SECOND;
    tick (w);
  } else if (w->now >= w->next_look) {
    w->next_look += w->policy.look_us;
    tick (w);
  } else {
    tick (w);
  }
}

/* Records until @w->now, past the grace; reports, looks, ticks and probes have phases of their
 * own. */
static void
record (World *w)
{
  send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_START});
  take_report (w);
  send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_READY, .serial = 1});
  w->now = w->machine.grace_until + SECOND;
  w->report->last_growth_utc_us = w->report->last_keyframe_utc_us = UTC + w->now;
  w->report->since_utc_us = UTC + 1000 * SECOND;
  w->machine.last_tick = w->now;
  take_report (w);
  w->next_report = w->now + g_test_rand_int_range (1, (int)w->policy.look_us);
  w->next_look = w->now + g_test_rand_int_range (1, (int)w->policy.look_us);
  w->next_tick = w->now + g_test_rand_int_range (1, SECOND);
  w->next_probe = w->now + g_test_rand_int_range (1, (int)MIN (w->spec.interval_us, G_MAXINT));
}

/* How long after the fault the next worker is started. */
static gint64
repair (World *w, const Fault *fault)
{
  gint64 began = w->now;
  gint64 whole = w->spec.interval_us * w->spec.threshold;

  if (!fault->writes)
    w->writing = FALSE;
  while (w->replaced_at == 0 && w->now < began + 3 * whole) {
    gint64 until = fault->silent ? G_MAXINT64 : MIN (w->next_report, w->next_probe);

    step (w, until);
    if (fault->silent)
      continue;
    if (w->now >= w->next_probe) {
      w->next_probe += w->spec.interval_us;
      if (fault->before_report != NULL && fault->wants_two)
        fault->before_report (w, w->now - began);
    }
    if (w->now >= w->next_report) {
      w->next_report += w->policy.look_us;
      if (fault->before_report != NULL && !fault->wants_two)
        fault->before_report (w, w->now - began);
      take_report (w);
    }
  }
  return w->replaced_at - began;
}

/* --- faults ---------------------------------------------------------------------------- */

static void
thread_loops (World *w, gint64 since)
{
  w->report->blocked_us = since;
  if (w->report->blocked_by == NULL)
    w->report->blocked_by = g_strdup ("x264enc0");
}

/* The worker has found out by itself and tries to take the pipeline down. */
static void
teardown_hangs (World *w, gint64 since)
{
  gint64 stall = MIN (5 * SECOND, w->spec.interval_us);

  if (since < stall)
    return;
  w->report->state = KR_PIPELINE_STOPPING;
  w->report->since_utc_us = UTC + w->now - (since - stall);
  w->report->teardown_us = since - stall;
}

static void
pipeline_fails (World *w, gint64 since)
{
  w->report->state = KR_PIPELINE_FAILED;
}

static void
memory_leaks (World *w, gint64 since)
{
  w->rss = 120 * 1024 * 1024;
}

static void
destination_is_gone (World *w, gint64 since)
{
  w->probe.http = 404;
}

static const Fault faults[] = {
    {"stopped", NULL, .silent = TRUE},
    {"main-loop-hangs", NULL, .silent = TRUE, .writes = TRUE},
    {"thread-loops", thread_loops},
    {"teardown-hangs", teardown_hangs},
    {"pipeline-failed", pipeline_fails},
    {"leak", memory_leaks, .writes = TRUE},
    {"404", destination_is_gone, .writes = TRUE, .wants_two = TRUE},
};

/* Five sixths of Threshold x IntervalSec, or all but 4 s: what is left is for the start of the
 * new one. */
static void
test_in_time (gconstpointer data)
{
  static const struct {
    gint64 interval;
    guint threshold;
  } paces[] = {
      {SECOND, 3},      {10 * SECOND, 3}, {1500 * MS, 2}, {2 * SECOND, 2},
      {5 * SECOND, 10}, {30 * SECOND, 2}, {300 * MS, 10},
  };
  const Fault *fault = data;

  for (guint i = 0; i < G_N_ELEMENTS (paces); i++) {
    gint64 whole = paces[i].interval * paces[i].threshold;
    gint64 longest = 0;

    for (guint n = 0; n < 300; n++) {
      World w;
      gint64 took;

      set_up (&w, paces[i].interval, paces[i].threshold);
      record (&w);
      took = repair (&w, fault);
      if (w.replaced_at == 0 || took > MAX (whole / 6 * 5, whole - 4 * SECOND))
        g_error ("%s: %.2f s with IntervalSec=%.1f and Threshold=%u (%s)", fault->name,
                 (double)took / SECOND, (double)paces[i].interval / SECOND, paces[i].threshold,
                 w.reason);
      longest = MAX (longest, took);
      tear_down (&w);
    }
    g_test_message ("%s: IntervalSec=%.1f Threshold=%u: at most %.2f s", fault->name,
                    (double)paces[i].interval / SECOND, paces[i].threshold,
                    (double)longest / SECOND);
  }
}

/* --- what is no fault ------------------------------------------------------------------ */

typedef struct {
  const char *name;
  void (*weather) (World *w, gint64 since); /* before each report */
  gint64 late; /* reports come up to this much too late, for want of a processor */
} Weather;

static void
hiccups (World *w, gint64 since)
{
  gboolean away = since % (10 * SECOND) < SECOND;

  w->report->state = away ? KR_PIPELINE_RECONNECTING : KR_PIPELINE_PLAYING;
  w->report->sources_silent = away;
  if (!away)
    w->report->last_growth_utc_us = UTC + w->now;
}

static void
slow_keyframes (World *w, gint64 since)
{
  w->report->last_growth_utc_us = UTC + w->now;
  if (since % (60 * SECOND) < SECOND)
    w->report->last_keyframe_utc_us = UTC + w->now;
}

/* A buffer that takes a second through an encoder, once in a while. */
static void
slow_encoder (World *w, gint64 since)
{
  gint64 phase = since % (7 * SECOND);

  w->report->last_growth_utc_us = UTC + w->now;
  w->report->blocked_us = phase < 1500 * MS ? phase : 0;
}

static void
slow_disk (World *w, gint64 since)
{
  gint64 phase = since % (20 * SECOND);

  /* The worker knows why and calls nothing blocked; what comes waits in memory. */
  if (phase > 4 * SECOND)
    w->report->last_growth_utc_us = UTC + w->now;
}

static void
fair (World *w, gint64 since)
{
  w->report->last_growth_utc_us = UTC + w->now;
}

static const Weather weathers[] = {
    {"hiccups", hiccups},
    {"slow-keyframes", slow_keyframes},
    {"slow-encoder", slow_encoder},
    {"slow-disk", slow_disk},
    {"busy-machine", fair, 3500 * MS},
};

/* Two hours of it at the shortest pace. */
static void
test_no_false_alarm (gconstpointer data)
{
  const Weather *weather = data;
  World w;
  gint64 began, due;

  set_up (&w, SECOND, 3);
  record (&w);
  began = w.now;
  due = w.next_report;
  while (w.now < began + 7200 * SECOND) {
    step (&w, w.next_report);
    w.starved = MAX (0, w.now - due);
    if (w.now >= w.next_report) {
      weather->weather (&w, w.now - began);
      take_report (&w);
      due = w.now + w.policy.look_us;
      w.next_report = due;
      if (weather->late > 0)
        w.next_report += g_test_rand_int_range (0, (int)weather->late);
    }
    if (w.replaced_at != 0)
      g_error ("%s after %.1f s: %s", weather->name, (double)(w.now - began) / SECOND,
               w.reason);
  }
  g_assert_cmpuint (w.machine.hangs + w.machine.replacements, ==, 0);
  tear_down (&w);
}

/* Each worker records for a moment and dies: however long that goes on, the next one is there
 * in time, and in the long run there is room for the others on the machine between two starts.
 */
static void
test_storm (void)
{
  static const gint64 intervals[] = {SECOND / 2, SECOND, 3 * SECOND, 10 * SECOND, 60 * SECOND};

  for (guint i = 0; i < G_N_ELEMENTS (intervals); i++)
    for (guint threshold = 1; threshold <= 5; threshold++) {
      gint64 whole = intervals[i] * threshold;
      gint64 wait = 0;
      World w;

      set_up (&w, intervals[i], threshold);
      send (&w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_START});
      for (guint n = 1; n <= 100; n++) {
        gint64 died;

        send (&w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_READY,
                                      .serial = w.machine.current});
        w.now += SECOND + 1;
        died = w.now;
        send (&w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_EXITED,
                                      .serial = w.machine.current,
                                      .signal = 11});
        w.now = MAX (w.now, MIN (kr_supervisor_deadline (&w.machine), G_MAXINT64 - 1));
        if (w.machine.state != KR_SUPERVISOR_BACKOFF)
          w.now = died;
        send (&w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_TICK});
        g_assert_cmpint (w.machine.state, ==, KR_SUPERVISOR_STARTING);
        wait = w.now - died;
        /* Two thirds of it are left for the start. */
        g_assert_cmpint (wait, <=, whole / 3);
        if (n <= KR_SUPERVISOR_BRIEF_FREE)
          g_assert_cmpint (wait, ==, 0);
      }
      g_assert_cmpint (wait, ==, MIN (whole / 3, 5 * SECOND));
      tear_down (&w);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++) {
    g_autofree char *path = g_strconcat ("/core/bounds/in-time/", faults[i].name, NULL);

    g_test_add_data_func (path, &faults[i], test_in_time);
  }
  g_test_add_func ("/core/bounds/storm", test_storm);
  for (guint i = 0; i < G_N_ELEMENTS (weathers); i++) {
    g_autofree char *path =
        g_strconcat ("/core/bounds/no-false-alarm/", weathers[i].name, NULL);

    g_test_add_data_func (path, &weathers[i], test_no_false_alarm);
  }
  return g_test_run ();
}
