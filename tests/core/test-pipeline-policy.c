/* keeprolling - tests of core/pipeline-policy
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/pipeline-policy.h"

#include "tests/support/kr-test.h"

#include <stdlib.h>

#define SECOND G_TIME_SPAN_SECOND

#define BUILD    KR_PIPELINE_ACTION_BUILD
#define DRAIN    KR_PIPELINE_ACTION_DRAIN
#define TEARDOWN KR_PIPELINE_ACTION_TEARDOWN
#define ABANDON  KR_PIPELINE_ACTION_ABANDON
#define CHANGED  KR_PIPELINE_ACTION_CHANGED

static const KrPipelineSpec spec = {
    .restart = KR_RESTART_ALWAYS,
    .restart_us = SECOND / 4,
    .restart_max_us = 15 * SECOND,
    .start_limit_burst = 10,
    .start_limit_interval_us = 60 * SECOND,
    .source_timeout_us = 1 * SECOND,
    .timeout_start_us = 20 * SECOND,
    .timeout_stop_us = 15 * SECOND,
};

static double
half (gpointer data)
{
  return 0.5;
}

static double
from_rand (gpointer data)
{
  return g_rand_double (data);
}

typedef KrPipelinePolicy Policy;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Policy, kr_pipeline_policy_clear)

/* One line of a story: at @now comes @event; then the pipeline is in @state and @actions are
 * asked for. */
#define STEP(event, now, expected_state, expected_actions)                                     \
  G_STMT_START                                                                                 \
  {                                                                                            \
    KrPipelineActions _actions = 0;                                                            \
    g_assert_true (kr_pipeline_policy_handle (&policy, KR_PIPELINE_EVENT_##event, cause,       \
                                              (now)*SECOND, &_actions));                       \
    g_assert_cmpstr (kr_pipeline_state_name (policy.state), ==,                                \
                     kr_pipeline_state_name (KR_PIPELINE_##expected_state));                   \
    g_assert_cmphex (_actions, ==, expected_actions);                                          \
  }                                                                                            \
  G_STMT_END

#define STORY(...)                                                                             \
  g_auto (Policy) policy = {0};                                                                \
  KrCause cause = KR_CAUSE_PIPELINE;                                                           \
  KrPipelineSpec the_spec = spec;                                                              \
  (void)cause;                                                                                 \
  __VA_ARGS__;                                                                                 \
  kr_pipeline_policy_init (&policy, &the_spec, half, NULL, 0)

static void
test_start_play_stop (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STARTED, 1, PLAYING, CHANGED);
  g_assert_cmpint (policy.deadline, ==, G_MAXINT64);
  STEP (STOP, 10, STOPPING, DRAIN | CHANGED);
  STEP (EOS, 11, STOPPING, TEARDOWN);
  STEP (TORN_DOWN, 12, STOPPED, CHANGED);
  g_assert_true (kr_pipeline_state_is_final (policy.state));
  g_assert_cmpuint (policy.restarts, ==, 0);
}

static void
test_silent_source_is_no_fault (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (SILENT, 0, STARTING, 0);
  STEP (STARTED, 1, RECONNECTING, CHANGED);
  STEP (TICK, 100000, RECONNECTING, 0);
  STEP (FLOWING, 100001, PLAYING, CHANGED);
  STEP (SILENT, 100002, RECONNECTING, CHANGED);
  STEP (FLOWING, 100003, PLAYING, CHANGED);
  g_assert_cmpuint (policy.restarts, ==, 0);
}

static void
test_fault_restarts_at_once (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STARTED, 1, PLAYING, CHANGED);
  STEP (FAULT, 2, STOPPING, TEARDOWN | CHANGED);
  STEP (FAULT, 2, STOPPING, 0); /* one error seldom comes alone */
  STEP (TORN_DOWN, 2, STARTING, BUILD | CHANGED);
  g_assert_cmpuint (policy.restarts, ==, 1);
  /* The second time it waits, counted from the fault. */
  STEP (FAULT, 3, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 3, BACKOFF, CHANGED);
  g_assert_cmpint (policy.deadline, ==, 3 * SECOND + SECOND / 8);
  STEP (TICK, 3, BACKOFF, 0);
  STEP (TICK, 4, STARTING, BUILD | CHANGED);
}

static void
test_backoff_runs_during_teardown (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (FAULT, 1, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 1, STARTING, BUILD | CHANGED);
  STEP (FAULT, 2, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 9, STARTING, BUILD | CHANGED);
}

static void
test_start_deadline (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (TICK, 19, STARTING, 0);
  STEP (TICK, 20, STOPPING, TEARDOWN | CHANGED);
  /* It hangs there too. */
  STEP (TICK, 34, STOPPING, 0);
  STEP (TICK, 35, STARTING, ABANDON | BUILD | CHANGED);
}

static void
test_stop_deadline (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STARTED, 1, PLAYING, CHANGED);
  STEP (STOP, 10, STOPPING, DRAIN | CHANGED);
  STEP (TICK, 20, STOPPING, 0);
  STEP (TICK, 21, STOPPING, TEARDOWN);
  STEP (TICK, 24, STOPPING, 0);
  STEP (TICK, 25, STOPPED, ABANDON | CHANGED); /* TimeoutStopSec in all */
}

static void
test_no_deadlines (void)
{
  STORY (the_spec.timeout_start_us = the_spec.timeout_stop_us = 0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (TICK, 1000000, STARTING, 0);
  STEP (STARTED, 1000001, PLAYING, CHANGED);
  STEP (STOP, 1000001, STOPPING, DRAIN | CHANGED);
  STEP (TICK, 2000000, STOPPING, 0);
  STEP (FORCE, 2000000, STOPPING, TEARDOWN);
  STEP (TICK, 2000002, STOPPED, ABANDON | CHANGED);
}

static void
test_second_signal_forces (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STARTED, 1, PLAYING, CHANGED);
  STEP (STOP, 10, STOPPING, DRAIN | CHANGED);
  STEP (FORCE, 11, STOPPING, TEARDOWN);
  STEP (TICK, 12, STOPPING, 0);
  STEP (TICK, 13, STOPPED, ABANDON | CHANGED);
}

static void
test_force_while_playing (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STARTED, 1, PLAYING, CHANGED);
  STEP (FORCE, 10, STOPPING, TEARDOWN | CHANGED);
  g_assert_cmpint (policy.deadline, ==, 12 * SECOND);
  STEP (TORN_DOWN, 11, STOPPED, CHANGED);
}

static void
test_stop_cancels_restart (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (FAULT, 1, STOPPING, TEARDOWN | CHANGED);
  STEP (STOP, 1, STOPPING, 0);
  STEP (TORN_DOWN, 2, STOPPED, CHANGED);
}

static void
test_stop_in_backoff (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (FAULT, 1, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 1, STARTING, BUILD | CHANGED);
  STEP (FAULT, 1, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 1, BACKOFF, CHANGED);
  STEP (STOP, 1, STOPPED, CHANGED);
}

static void
test_stop_while_starting (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STOP, 1, STOPPING, TEARDOWN | CHANGED);
  STEP (STARTED, 1, STOPPING, 0);
  STEP (TORN_DOWN, 2, STOPPED, CHANGED);
}

static void
test_error_while_draining_ends_the_wait (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (STARTED, 1, PLAYING, CHANGED);
  STEP (STOP, 2, STOPPING, DRAIN | CHANGED);
  STEP (FAULT, 3, STOPPING, TEARDOWN);
  STEP (EOS, 3, STOPPING, 0);
  STEP (TORN_DOWN, 3, STOPPED, CHANGED);
}

static void
test_limit_fails_and_start_revives (void)
{
  STORY ((void)0);
  STEP (START, 0, STARTING, BUILD | CHANGED);
  for (guint i = 0; i < 9; i++) {
    KrPipelineActions actions;

    STEP (FAULT, 1, STOPPING, TEARDOWN | CHANGED);
    g_assert_true (kr_pipeline_policy_handle (&policy, KR_PIPELINE_EVENT_TORN_DOWN, cause,
                                              20 * SECOND, &actions));
  }
  STEP (FAULT, 1, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 2, FAILED, CHANGED);
  STEP (TICK, 1000, FAILED, 0);
  STEP (START, 1000, STARTING, BUILD | CHANGED);
  STEP (FAULT, 1000, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 1000, STARTING, BUILD | CHANGED);
}

static void
test_eos_by_itself (void)
{
  {
    STORY (the_spec.restart = KR_RESTART_ALWAYS);
    STEP (START, 0, STARTING, BUILD | CHANGED);
    STEP (STARTED, 1, PLAYING, CHANGED);
    STEP (EOS, 2, STOPPING, TEARDOWN | CHANGED);
    STEP (TORN_DOWN, 2, STARTING, BUILD | CHANGED);
  }
  {
    STORY (the_spec.restart = KR_RESTART_ON_FAILURE);
    STEP (START, 0, STARTING, BUILD | CHANGED);
    STEP (EOS, 2, STOPPING, TEARDOWN | CHANGED);
    STEP (TORN_DOWN, 2, STOPPED, CHANGED);
    g_assert_cmpint (policy.last_cause, ==, KR_CAUSE_EOS);
  }
}

static void
test_restart_no_keeps_the_cause (void)
{
  STORY (the_spec.restart = KR_RESTART_NO);
  cause = KR_CAUSE_SOURCE;
  STEP (START, 0, STARTING, BUILD | CHANGED);
  STEP (FAULT, 2, STOPPING, TEARDOWN | CHANGED);
  STEP (TORN_DOWN, 2, STOPPED, CHANGED);
  g_assert_cmpint (policy.last_cause, ==, KR_CAUSE_SOURCE);
}

static void
test_undeclared_is_refused (void)
{
  static const struct {
    KrPipelineState state;
    KrPipelineEvent event;
  } rows[] = {
      {KR_PIPELINE_IDLE, KR_PIPELINE_EVENT_STARTED},
      {KR_PIPELINE_IDLE, KR_PIPELINE_EVENT_FAULT},
      {KR_PIPELINE_IDLE, KR_PIPELINE_EVENT_TORN_DOWN},
      {KR_PIPELINE_STARTING, KR_PIPELINE_EVENT_TORN_DOWN},
      {KR_PIPELINE_PLAYING, KR_PIPELINE_EVENT_STARTED},
      {KR_PIPELINE_PLAYING, KR_PIPELINE_EVENT_TORN_DOWN},
      {KR_PIPELINE_BACKOFF, KR_PIPELINE_EVENT_FAULT},
      {KR_PIPELINE_BACKOFF, KR_PIPELINE_EVENT_EOS},
      {KR_PIPELINE_STOPPING, KR_PIPELINE_EVENT_START},
      {KR_PIPELINE_STOPPED, KR_PIPELINE_EVENT_FAULT},
      {KR_PIPELINE_FAILED, KR_PIPELINE_EVENT_STARTED},
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    KrPipelineActions actions = 99;
    STORY ((void)0);

    policy.state = rows[i].state;
    g_assert_false (kr_pipeline_policy_handle (&policy, rows[i].event, KR_CAUSE_PIPELINE,
                                               SECOND, &actions));
    g_assert_cmpuint (actions, ==, 0);
    g_assert_cmpint (policy.state, ==, rows[i].state);
  }
}

/* The engine as far as the policy sees it: what has been asked for and not been answered. */
typedef struct {
  gboolean exists; /* a pipeline that was built and not torn down or abandoned */
  gboolean torn;   /* its teardown has been asked for */
} FakeEngine;

static void
obey (FakeEngine *engine, KrPipelineActions actions)
{
  if (actions & ABANDON) {
    g_assert_true (engine->exists && engine->torn);
    engine->exists = FALSE;
  }
  if (actions & DRAIN)
    g_assert_true (engine->exists && !engine->torn);
  if (actions & TEARDOWN) {
    g_assert_true (engine->exists && !engine->torn);
    engine->torn = TRUE;
  }
  if (actions & BUILD) {
    g_assert_false (engine->exists); /* never two of one pipeline */
    *engine = (FakeEngine){.exists = TRUE};
  }
}

static void
feed (KrPipelinePolicy *policy, FakeEngine *engine, KrPipelineEvent event, KrCause cause,
      gint64 now)
{
  KrPipelineState before = policy->state;
  KrPipelineActions actions;

  /* The engine reports only what can be. */
  if (event == KR_PIPELINE_EVENT_TORN_DOWN) {
    if (!engine->exists || !engine->torn)
      return;
    engine->exists = FALSE;
  }
  kr_pipeline_policy_handle (policy, event, cause, now, &actions);
  obey (engine, actions);
  g_assert_cmpint ((actions & CHANGED) != 0, ==, before != policy->state);
  if (kr_pipeline_state_is_final (policy->state) || policy->state == KR_PIPELINE_BACKOFF)
    g_assert_false (engine->exists);
  if (policy->state == KR_PIPELINE_STARTING || policy->state == KR_PIPELINE_BACKOFF ||
      policy->state == KR_PIPELINE_STOPPING)
    g_assert_cmpint (policy->deadline, <, G_MAXINT64); /* none of these lasts for ever */
}

static void
test_random_sequences_have_a_way_out (void)
{
  const char *length = g_getenv ("KR_TEST_RANDOM_EVENTS");
  guint64 events = length != NULL ? g_ascii_strtoull (length, NULL, 10) : 100000;
  g_autoptr (GRand) rand = g_rand_new_with_seed (20261120);
  guint visited = 0;

  for (guint64 n = 0; n < events;) {
    g_auto (Policy) policy = {0};
    KrPipelineSpec the_spec = spec;
    FakeEngine engine = {0};
    gint64 now = 0;

    the_spec.restart = g_rand_int_range (rand, 0, 3);
    the_spec.start_limit_burst = g_rand_int_range (rand, 0, 12);
    kr_pipeline_policy_init (&policy, &the_spec, from_rand, rand, now);
    for (guint i = 0; i < 200; i++, n++) {
      now += g_rand_int_range (rand, 0, g_rand_boolean (rand) ? SECOND : 30 * SECOND);
      feed (&policy, &engine, g_rand_int_range (rand, 0, KR_N_PIPELINE_EVENTS),
            g_rand_int_range (rand, 0, KR_N_CAUSES), now);
      visited |= 1u << policy.state;
    }
    /* From wherever it is now, time alone leads from a stop to the end... */
    feed (&policy, &engine, KR_PIPELINE_EVENT_STOP, 0, now);
    for (guint i = 0; i < 3 && !kr_pipeline_state_is_final (policy.state); i++) {
      now = policy.deadline;
      feed (&policy, &engine, KR_PIPELINE_EVENT_TICK, 0, now);
    }
    g_assert_cmpint (policy.state, ==, KR_PIPELINE_STOPPED);
    /* ...and a start leads back to life. */
    feed (&policy, &engine, KR_PIPELINE_EVENT_START, 0, now);
    feed (&policy, &engine, KR_PIPELINE_EVENT_STARTED, 0, now);
    g_assert_cmpint (policy.state, ==, KR_PIPELINE_PLAYING);
  }
  g_assert_cmphex (visited, ==, (1u << KR_N_PIPELINE_STATES) - 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (300);
  g_test_add_func ("/core/pipeline-policy/start-play-stop", test_start_play_stop);
  g_test_add_func ("/core/pipeline-policy/silent-source", test_silent_source_is_no_fault);
  g_test_add_func ("/core/pipeline-policy/fault", test_fault_restarts_at_once);
  g_test_add_func ("/core/pipeline-policy/backoff-teardown", test_backoff_runs_during_teardown);
  g_test_add_func ("/core/pipeline-policy/start-deadline", test_start_deadline);
  g_test_add_func ("/core/pipeline-policy/stop-deadline", test_stop_deadline);
  g_test_add_func ("/core/pipeline-policy/no-deadlines", test_no_deadlines);
  g_test_add_func ("/core/pipeline-policy/second-signal", test_second_signal_forces);
  g_test_add_func ("/core/pipeline-policy/force", test_force_while_playing);
  g_test_add_func ("/core/pipeline-policy/stop-cancels-restart", test_stop_cancels_restart);
  g_test_add_func ("/core/pipeline-policy/stop-in-backoff", test_stop_in_backoff);
  g_test_add_func ("/core/pipeline-policy/stop-while-starting", test_stop_while_starting);
  g_test_add_func ("/core/pipeline-policy/error-while-draining",
                   test_error_while_draining_ends_the_wait);
  g_test_add_func ("/core/pipeline-policy/limit", test_limit_fails_and_start_revives);
  g_test_add_func ("/core/pipeline-policy/eos", test_eos_by_itself);
  g_test_add_func ("/core/pipeline-policy/restart-no", test_restart_no_keeps_the_cause);
  g_test_add_func ("/core/pipeline-policy/refused", test_undeclared_is_refused);
  g_test_add_func ("/core/pipeline-policy/random", test_random_sequences_have_a_way_out);
  return g_test_run ();
}
