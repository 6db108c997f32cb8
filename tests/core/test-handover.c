/* keeprolling - tests of core/handover
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/handover.h"

#include <string.h>

#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND

/* A handover and the machine that it follows, with a clock of their own. */
typedef struct {
  KrHandover h;
  KrSupervisor s;
  gint64 now;
  KrHandoverReadiness readiness;
  gint64 latency_us;
  gboolean opened; /* current has opened a file */
  gboolean over;
} Case;

static const KrSupervisorPolicy policy = {
    .threshold = 3,
    .startup_grace_us = 30 * SECOND,
    .hang_limit_us = 20 * SECOND,
    .interval_us = 10 * SECOND,
    .timeout_ready_us = 30 * SECOND,
    .timeout_stop_us = 18 * SECOND,
    .handover_stop_us = 30 * SECOND,
    .restart = KR_RESTART_ALWAYS,
};

static gboolean
send (Case *c, KrSupervisorEvent event)
{
  KrSupervisorActions actions;

  return kr_supervisor_handle (&c->s, &event, c->now, &actions);
}

#define SEND(c, kind, ...)                                                                     \
  g_assert_true (send (c, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_##kind, __VA_ARGS__}))

static void
set_up (Case *c, gconstpointer data)
{
  c->now = 1000 * SECOND;
  kr_supervisor_init (&c->s, &policy, c->now);
}

static void
tear_down (Case *c, gconstpointer data)
{
}

/* Worker 1 records. */
static void
run (Case *c)
{
  SEND (c, START);
  SEND (c, HEARTBEAT, .serial = 1);
  SEND (c, READY, .serial = 1);
}

static void
begin (Case *c, gboolean in_turn)
{
  kr_handover_begin (&c->h, in_turn, 30 * SECOND, 48 * SECOND, c->now);
}

/* As app/supervised-handover does it. */
static void
step (Case *c)
{
  for (guint i = 0; i < 8; i++) {
    KrHandoverView view = {.state = c->s.state,
                           .current = c->s.current,
                           .next = c->s.next,
                           .old = c->s.old,
                           .last_serial = c->s.last_serial,
                           .current_ready = c->s.was_ready,
                           .current_opened = c->opened,
                           .readiness = c->s.next != 0 ? c->readiness : KR_HANDOVER_NOT_READY,
                           .latency_us = c->latency_us};

    switch (kr_handover_step (&c->h, &view, c->now)) {
    case KR_HANDOVER_STEP_NONE:
      return;
    case KR_HANDOVER_STEP_START:
      SEND (c, START);
      break;
    case KR_HANDOVER_STEP_REPLACE:
      SEND (c, REPLACE, .reason = "test", .in_turn = c->h.in_turn, .writing = c->h.from != 0);
      break;
    case KR_HANDOVER_STEP_READY:
      SEND (c, READY, .serial = c->s.next);
      break;
    case KR_HANDOVER_STEP_END:
      c->over = TRUE;
      return;
    }
  }
  g_assert_not_reached (); /* it goes round in circles */
}

static void
pass (Case *c, double seconds)
{
  gint64 end = c->now + (gint64)(seconds * SECOND);

  while (c->now < end) {
    c->now = MIN (c->now + SECOND, end);
    if (c->s.current != 0 && c->s.state != KR_SUPERVISOR_TERMINATING)
      SEND (c, HEARTBEAT, .serial = c->s.current);
    send (c, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_TICK, .writing = TRUE});
    step (c);
  }
}

static void
assert_stage (Case *c, KrHandoverStage stage)
{
  g_assert_cmpstr (kr_handover_stage_name (c->h.stage), ==, kr_handover_stage_name (stage));
}

static void
assert_over (Case *c, KrHandoverResult result)
{
  g_assert_true (c->over);
  assert_stage (c, KR_HANDOVER_NONE);
  g_assert_cmpstr (kr_handover_result_name (c->h.result), ==, kr_handover_result_name (result));
}

/* --- the way ------------------------------------------------------------------------------ */

static void
test_completed (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  assert_stage (c, KR_HANDOVER_WAITING);
  step (c);
  assert_stage (c, KR_HANDOVER_STARTING);
  g_assert_cmpuint (c->h.from, ==, 1);
  g_assert_cmpuint (c->h.to, ==, 2);
  pass (c, 5);
  assert_stage (c, KR_HANDOVER_STARTING);
  c->readiness = KR_HANDOVER_READY;
  pass (c, 1);
  assert_stage (c, KR_HANDOVER_OVERLAPPING);
  pass (c, 1);
  assert_stage (c, KR_HANDOVER_OVERLAPPING);
  g_assert_cmpuint (c->s.current, ==, 1);
  pass (c, 1);
  assert_stage (c, KR_HANDOVER_FINISHING);
  g_assert_cmpuint (c->s.current, ==, 2);
  g_assert_cmpuint (c->s.old, ==, 1);
  SEND (c, EXITED, .serial = 1);
  step (c);
  assert_over (c, KR_HANDOVER_COMPLETED);
}

/* The new one may be ahead of the old one by that much. */
static void
test_latency (Case *c, gconstpointer data)
{
  run (c);
  c->latency_us = 3 * SECOND;
  c->readiness = KR_HANDOVER_READY;
  begin (c, FALSE);
  step (c);
  pass (c, 4);
  assert_stage (c, KR_HANDOVER_OVERLAPPING);
  pass (c, 1);
  assert_stage (c, KR_HANDOVER_FINISHING);
}

/* It falls back before it has taken over: the overlap begins afresh. */
static void
test_not_ready_again (Case *c, gconstpointer data)
{
  run (c);
  c->readiness = KR_HANDOVER_READY;
  begin (c, FALSE);
  step (c);
  pass (c, 1);
  c->readiness = KR_HANDOVER_NOT_READY;
  pass (c, 3);
  assert_stage (c, KR_HANDOVER_STARTING);
  c->readiness = KR_HANDOVER_READY;
  pass (c, 2);
  assert_stage (c, KR_HANDOVER_OVERLAPPING);
  pass (c, 1);
  assert_stage (c, KR_HANDOVER_FINISHING);
}

/* Ready in the last moment: a short overlap is better than a rollback. */
static void
test_ready_late (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  step (c);
  pass (c, 28);
  c->readiness = KR_HANDOVER_READY;
  pass (c, 1);
  assert_stage (c, KR_HANDOVER_FINISHING);
  g_assert_cmpuint (c->s.current, ==, 2);
}

/* What is new and only lacks its source is waited for half of the time. */
static void
test_new_source_is_absent (Case *c, gconstpointer data)
{
  run (c);
  c->readiness = KR_HANDOVER_READY_BUT_SOURCES;
  begin (c, FALSE);
  step (c);
  pass (c, 14);
  assert_stage (c, KR_HANDOVER_STARTING);
  pass (c, 4);
  assert_stage (c, KR_HANDOVER_FINISHING);
}

static void
test_rolled_back (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  step (c);
  pass (c, 30);
  /* Not over before the new one's files are finished. */
  g_assert_false (c->over);
  g_assert_cmpuint (c->s.current, ==, 1);
  g_assert_cmpuint (c->s.old, ==, 2);
  SEND (c, EXITED, .serial = 2);
  step (c);
  assert_over (c, KR_HANDOVER_ROLLED_BACK);
}

static void
test_new_one_dies (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  step (c);
  SEND (c, EXITED, .serial = 2, .signal = 9);
  step (c);
  assert_over (c, KR_HANDOVER_ROLLED_BACK);
}

static void
test_old_one_dies (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  step (c);
  SEND (c, EXITED, .serial = 1, .signal = 9);
  step (c);
  assert_stage (c, KR_HANDOVER_STARTING);
  pass (c, 3);
  SEND (c, READY, .serial = 2);
  step (c);
  assert_over (c, KR_HANDOVER_COMPLETED);
}

/* Then there is nobody to go back to. */
static void
test_both_die (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  step (c);
  SEND (c, EXITED, .serial = 1, .signal = 9);
  step (c);
  SEND (c, EXITED, .serial = 2, .code = 65);
  step (c);
  assert_over (c, KR_HANDOVER_NOT_RECORDING);
}

static void
test_in_turn (Case *c, gconstpointer data)
{
  run (c);
  begin (c, TRUE);
  step (c);
  g_assert_cmpint (c->s.state, ==, KR_SUPERVISOR_TERMINATING);
  pass (c, 3);
  SEND (c, EXITED, .serial = 1);
  step (c);
  g_assert_cmpuint (c->h.to, ==, 2);
  pass (c, 29);
  g_assert_false (c->over);
  SEND (c, READY, .serial = 2);
  step (c);
  assert_over (c, KR_HANDOVER_COMPLETED);
}

/* The old one has just opened its file, and is not known to record. */
static void
begin_with_a_beginning (Case *c)
{
  SEND (c, START);
  c->opened = TRUE;
  begin (c, FALSE);
  step (c);
  g_assert_cmpuint (c->h.from, ==, 1);
  g_assert_cmpuint (c->h.to, ==, 2);
  g_assert_cmpuint (c->s.current, ==, 1);
}

static void
test_from_a_beginning (Case *c, gconstpointer data)
{
  begin_with_a_beginning (c);
  c->readiness = KR_HANDOVER_READY;
  pass (c, 3);
  g_assert_cmpuint (c->s.current, ==, 2);
  SEND (c, EXITED, .serial = 1);
  step (c);
  assert_over (c, KR_HANDOVER_COMPLETED);
}

static void
test_back_to_a_beginning (Case *c, gconstpointer data)
{
  begin_with_a_beginning (c);
  pass (c, 30);
  g_assert_cmpuint (c->s.old, ==, 2);
  SEND (c, EXITED, .serial = 2);
  step (c);
  g_assert_cmpuint (c->s.current, ==, 1);
  assert_over (c, KR_HANDOVER_ROLLED_BACK);
}

static void
test_nobody_records (Case *c, gconstpointer data)
{
  SEND (c, START);
  begin (c, FALSE);
  step (c);
  SEND (c, EXITED, .serial = 1);
  step (c);
  pass (c, 29);
  g_assert_false (c->over);
  pass (c, 1);
  assert_over (c, KR_HANDOVER_NOT_RECORDING);
}

static void
test_waits_for_the_watchdog (Case *c, gconstpointer data)
{
  run (c);
  pass (c, 31);
  for (guint i = 0; i < 3; i++)
    SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .writing = TRUE, .reason = "memory");
  g_assert_cmpint (c->s.state, ==, KR_SUPERVISOR_REPLACING);
  begin (c, FALSE);
  step (c);
  assert_stage (c, KR_HANDOVER_WAITING);
  SEND (c, READY, .serial = 2);
  step (c);
  assert_stage (c, KR_HANDOVER_WAITING);
  SEND (c, EXITED, .serial = 1);
  step (c);
  assert_stage (c, KR_HANDOVER_STARTING);
  g_assert_cmpuint (c->h.from, ==, 2);
  g_assert_cmpuint (c->h.to, ==, 3);
}

/* A process that survives SIGKILL must not hold up a reload for ever. */
static void
test_watchdog_without_end (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, REPLACE, .reason = "another");
  SEND (c, READY, .serial = 2);
  begin (c, FALSE);
  step (c);
  pass (c, 77);
  g_assert_false (c->over);
  pass (c, 1);
  assert_over (c, KR_HANDOVER_INTERRUPTED);
}

static void
test_stopped (Case *c, gconstpointer data)
{
  run (c);
  begin (c, FALSE);
  step (c);
  SEND (c, STOP);
  step (c);
  assert_over (c, KR_HANDOVER_INTERRUPTED);
}

static void
test_cancelled (Case *c, gconstpointer data)
{
  run (c);
  g_assert_false (kr_handover_cancel (&c->h, "nothing"));
  begin (c, FALSE);
  g_assert_true (kr_handover_cancel (&c->h, "why"));
  g_assert_cmpint (c->h.result, ==, KR_HANDOVER_INTERRUPTED);
  g_assert_cmpstr (c->h.why, ==, "why");
  /* What is decided runs its course. */
  c->h.stage = KR_HANDOVER_FINISHING;
  g_assert_false (kr_handover_cancel (&c->h, "too late"));
}

static void
test_starts_what_has_ended (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, EXITED, .serial = 1, .code = 65);
  g_assert_cmpint (c->s.state, ==, KR_SUPERVISOR_GAVE_UP);
  begin (c, FALSE);
  step (c);
  g_assert_cmpuint (c->s.current, ==, 2);
  SEND (c, READY, .serial = 2);
  step (c);
  assert_over (c, KR_HANDOVER_COMPLETED);
  /* and one that gives up again */
  SEND (c, EXITED, .serial = 2, .code = 65);
  c->over = FALSE;
  begin (c, FALSE);
  step (c);
  SEND (c, EXITED, .serial = 3, .code = 65);
  step (c);
  assert_over (c, KR_HANDOVER_NOT_RECORDING);
}

/* --- whether it is good enough --------------------------------------------------------------
 */

static KrPipelineReport *
recording (void)
{
  KrPipelineReport *report = kr_pipeline_report_new ("record");

  report->state = KR_PIPELINE_PLAYING;
  report->has_growth = TRUE;
  report->written_bytes = 1000;
  report->last_growth_utc_us = 1;
  report->buffers = 10;
  report->keyframes = 1;
  report->sources = 1;
  return report;
}

static void
assert_judged (const KrHandoverPipeline *pipelines, guint n, KrHandoverReadiness readiness,
               guint culprit)
{
  guint found;

  g_assert_cmpint (kr_handover_judge (pipelines, n, &found), ==, readiness);
  g_assert_cmpuint (found, ==, culprit);
}

static void
test_judge (Case *c, gconstpointer data)
{
  g_autoptr (KrPipelineReport) good = recording ();
  g_autoptr (KrPipelineReport) bad = recording ();
  KrHandoverPipeline one[] = {{.report = bad, .recorded = TRUE, .was_there = TRUE}};
  KrHandoverPipeline two[] = {{.report = good, .recorded = TRUE, .was_there = TRUE},
                              {.report = bad}};

  assert_judged (one, 1, KR_HANDOVER_READY, 1);
  one[0].report = NULL;
  assert_judged (one, 1, KR_HANDOVER_NOT_READY, 0);
  one[0].report = bad;
  bad->stalled = TRUE;
  assert_judged (one, 1, KR_HANDOVER_NOT_READY, 0);
  bad->stalled = FALSE;
  bad->written_bytes = 0;
  assert_judged (one, 1, KR_HANDOVER_NOT_READY, 0);
  bad->written_bytes = 1;
  one[0].fails = TRUE;
  assert_judged (one, 1, KR_HANDOVER_NOT_READY, 0);
  one[0].fails = FALSE;
  /* Keyframes are asked for only where the old one saw some. */
  bad->keyframes = 0;
  assert_judged (one, 1, KR_HANDOVER_READY, 1);
  one[0].had_keyframes = TRUE;
  assert_judged (one, 1, KR_HANDOVER_NOT_READY, 0);
  /* A second one whose source is absent: waited for if it is new, not if it was so before. */
  bad->state = KR_PIPELINE_RECONNECTING;
  assert_judged (two, 2, KR_HANDOVER_READY_BUT_SOURCES, 1);
  two[1].was_there = TRUE;
  assert_judged (two, 2, KR_HANDOVER_READY, 2);
  two[1].recorded = TRUE;
  assert_judged (two, 2, KR_HANDOVER_NOT_READY, 1);
  /* What is wrong with it is not its source. */
  two[1].recorded = FALSE;
  bad->state = KR_PIPELINE_FAILED;
  assert_judged (two, 2, KR_HANDOVER_NOT_READY, 1);
  bad->state = KR_PIPELINE_BACKOFF;
  assert_judged (two, 2, KR_HANDOVER_NOT_READY, 1);
  /* Nothing at all recorded is not enough, whoever is to blame. */
  bad->state = KR_PIPELINE_RECONNECTING;
  one[0] = (KrHandoverPipeline){.report = bad, .was_there = TRUE};
  assert_judged (one, 1, KR_HANDOVER_NOT_READY, 0);
}

static void
test_latency_of_a_source (Case *c, gconstpointer data)
{
  g_autoptr (KrPipelineReport) report = recording ();
  KrNamedValue value = {"negotiated-latency-ms", 200};

  g_assert_cmpint (kr_handover_latency (NULL), ==, 0);
  g_assert_cmpint (kr_handover_latency (report), ==, 0);
  g_array_append_val (report->source_stats, value);
  g_assert_cmpint (kr_handover_latency (report), ==, 200000);
  /* It comes from a worker, which may lie. */
  g_array_index (report->source_stats, KrNamedValue, 0).value = 1e300;
  g_assert_cmpint (kr_handover_latency (report), ==, KR_HANDOVER_MAX_LATENCY_US);
  g_array_index (report->source_stats, KrNamedValue, 0).value = -5;
  g_assert_cmpint (kr_handover_latency (report), ==, 0);
}

static void
test_words (Case *c, gconstpointer data)
{
  g_autofree char *path =
      g_build_filename (g_getenv ("KR_SOURCE_DIR"), "docs", "supervision.md", NULL);
  g_autofree char *page = NULL;

  g_assert_true (g_file_get_contents (path, &page, NULL, NULL));
  for (guint i = KR_HANDOVER_NONE + 1; i < KR_N_HANDOVER_STAGES; i++) {
    g_autofree char *word = g_strdup_printf ("| `%s` |", kr_handover_stage_name (i));

    g_assert_nonnull (strstr (page, word));
  }
  for (guint i = 0; i < KR_N_HANDOVER_RESULTS; i++) {
    g_autofree char *word = g_strdup_printf ("| `%s` |", kr_handover_result_name (i));

    g_assert_nonnull (strstr (page, word));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
#define ADD(name, function)                                                                    \
  g_test_add ("/core/handover/" name, Case, NULL, set_up, function, tear_down)
  ADD ("completed", test_completed);
  ADD ("latency", test_latency);
  ADD ("not-ready-again", test_not_ready_again);
  ADD ("ready-late", test_ready_late);
  ADD ("new-source-is-absent", test_new_source_is_absent);
  ADD ("rolled-back", test_rolled_back);
  ADD ("new-one-dies", test_new_one_dies);
  ADD ("old-one-dies", test_old_one_dies);
  ADD ("both-die", test_both_die);
  ADD ("in-turn", test_in_turn);
  ADD ("from-a-beginning", test_from_a_beginning);
  ADD ("back-to-a-beginning", test_back_to_a_beginning);
  ADD ("nobody-records", test_nobody_records);
  ADD ("waits-for-the-watchdog", test_waits_for_the_watchdog);
  ADD ("watchdog-without-end", test_watchdog_without_end);
  ADD ("stopped", test_stopped);
  ADD ("cancelled", test_cancelled);
  ADD ("starts-what-has-ended", test_starts_what_has_ended);
  ADD ("judge", test_judge);
  ADD ("latency-of-a-source", test_latency_of_a_source);
  ADD ("words", test_words);
  return g_test_run ();
}
