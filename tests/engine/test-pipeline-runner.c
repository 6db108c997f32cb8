/* keeprolling - tests of engine/pipeline-runner
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/pipeline-runner.h"

#include "tests/engine/test-elements.h"
#include "tests/support/kr-test.h"

#include <string.h>

/* A guard against hangs, not a measure of speed. */
#define PATIENCE 60

typedef struct {
  KrPipelineSpec spec;
  KrPipelineRunner *runner;
  GPtrArray *events; /* "kind: text" */
  guint states;      /* those that were seen, as bits */
} Fixture;

static void
on_event (KrPipelineRunner *runner, KrWorkerEventKind kind, const char *text, GVariant *details,
          gpointer data)
{
  Fixture *fixture = data;

  g_test_message ("%s: %s", kr_worker_event_kind_name (kind), text);
  g_ptr_array_add (fixture->events,
                   g_strdup_printf ("%s: %s", kr_worker_event_kind_name (kind), text));
}

static void
on_state (KrPipelineRunner *runner, KrPipelineState state, gpointer data)
{
  Fixture *fixture = data;

  g_test_message ("-> %s", kr_pipeline_state_name (state));
  fixture->states |= 1u << state;
}

static const KrPipelineRunnerCallbacks callbacks = {on_event, on_state};

static void
fixture_init (Fixture *fixture, const char *launch)
{
  kr_test_elements_reset ();
  *fixture = (Fixture){
      .spec =
          {
              .name = (char *)"test",
              .camera = (char *)"test",
              .launch = (char *)launch,
              .restart = KR_RESTART_ALWAYS,
              .restart_us = 20 * G_TIME_SPAN_MILLISECOND,
              .restart_max_us = 100 * G_TIME_SPAN_MILLISECOND,
              .start_limit_burst = 1000,
              .start_limit_interval_us = 60 * G_TIME_SPAN_SECOND,
              .source_timeout_us = 200 * G_TIME_SPAN_MILLISECOND,
              .timeout_start_us = PATIENCE * G_TIME_SPAN_SECOND,
              .timeout_stop_us = PATIENCE * G_TIME_SPAN_SECOND,
          },
      .events = g_ptr_array_new_with_free_func (g_free),
  };
}

static void
fixture_start (Fixture *fixture)
{
  g_autoptr (GstClock) clock = gst_system_clock_obtain ();

  fixture->runner = kr_pipeline_runner_new (&fixture->spec, clock, &callbacks, fixture);
  kr_pipeline_runner_start (fixture->runner);
}

static KrPipelineState
state (Fixture *fixture)
{
  return kr_pipeline_runner_get_state (fixture->runner);
}

static void
fixture_stop (Fixture *fixture)
{
  kr_pipeline_runner_stop (fixture->runner);
  kr_test_wait (state (fixture) == KR_PIPELINE_STOPPED, PATIENCE);
}

static void
fixture_clear (Fixture *fixture)
{
  g_clear_pointer (&fixture->runner, kr_pipeline_runner_free);
  g_ptr_array_unref (fixture->events);
}

static gboolean
has_event (Fixture *fixture, const char *beginning)
{
  for (guint i = 0; i < fixture->events->len; i++)
    if (g_str_has_prefix (g_ptr_array_index (fixture->events, i), beginning))
      return TRUE;
  return FALSE;
}

static guint
buffers (void)
{
  return kr_test_counts (0).buffers;
}

/* What every reconnect must show: the pipeline itself was never touched. @openings are those of
 * the plan. On a machine that lets the source's thread wait for longer than its timeout there
 * are more of both, rightly so; one that is late at its start is waited for, without another
 * opening. */
static void
assert_reconnected_alone (Fixture *fixture, guint reconnects, guint openings)
{
  g_autoptr (KrPipelineReport) report = kr_pipeline_runner_report (fixture->runner);
  KrTestCounts sink = kr_test_counts (0);

  g_assert_cmpuint (sink.opens, >=, openings);
  g_assert_cmpuint (report->reconnects, >=, reconnects);
  g_assert_cmpuint (report->reconnects - reconnects, <=, sink.opens - openings + sink.late);
  g_assert_cmpuint (report->restarts, ==, 0);
  g_assert_cmpuint (report->sources, ==, 1);
  g_assert_cmpuint (report->sources_silent, ==, 0);
  g_assert_cmpuint (report->received_bytes, >, 0);
  g_assert_cmpuint (sink.starts, ==, 1);
  g_assert_cmpuint (sink.eos, ==, 0);
  g_assert_true (has_event (fixture, "recovered: "));
}

static void
test_plays_and_stops (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING && buffers () > 10, PATIENCE);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).eos, ==, 1);
  g_assert_cmpuint (kr_test_counts (0).starts, ==, 1);
  fixture_clear (&fixture);
}

static void
check_reconnect (const char *launch, guint openings)
{
  Fixture fixture;

  fixture_init (&fixture, launch);
  fixture_start (&fixture);
  kr_test_wait (has_event (&fixture, "recovered: ") && buffers () > 60, PATIENCE);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING, PATIENCE);
  g_assert_true (fixture.states & (1u << KR_PIPELINE_RECONNECTING));
  assert_reconnected_alone (&fixture, 1, openings);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).eos, ==, 1);
  fixture_clear (&fixture);
}

static void
test_silence (void)
{
  check_reconnect ("krtestsrc plan=20s,i ! krtestsink", 2);
}

static void
test_eos_of_source (void)
{
  check_reconnect ("krtestsrc plan=20e,i ! krtestsink", 2);
}

static void
test_error_of_source (void)
{
  check_reconnect ("krtestsrc plan=20x,i ! krtestsink", 2);
}

static void
test_queue_behind (void)
{
  check_reconnect ("krtestsrc plan=20s,i ! queue ! identity ! queue ! krtestsink", 2);
}

static void
test_failed_reopening (void)
{
  check_reconnect ("krtestsrc plan=20e,f,f,i ! krtestsink", 4);
}

static void
test_nested_source (void)
{
  check_reconnect ("( krtestsrc plan=20s,i ! identity ) ! krtestsink", 2);
}

/* As rtspsrc: the pad goes, another comes, with another name. */
static void
test_pads_that_come_and_go (void)
{
  check_reconnect ("krtestbin plan=20s,i ! krtestsink", 2);
}

static void
test_many_outages (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc plan=20s,30e,20s,30e,20s,30e,i ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (kr_test_counts (0).opens >= 7 && buffers () > 200, PATIENCE);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING, PATIENCE);
  assert_reconnected_alone (&fixture, 6, 7);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_absent_at_start (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc plan=0s ! krtestsink  krtestsrc key=1 ! krtestsink key=1");
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_RECONNECTING, PATIENCE);
  kr_test_wait (kr_test_counts (1).buffers > 20, PATIENCE);
  g_assert_cmpuint (buffers (), ==, 0);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).eos, ==, 1);
  g_assert_cmpuint (kr_test_counts (1).eos, ==, 1);
  fixture_clear (&fixture);
}

/* One that cannot even be opened must not keep the other from starting. */
static void
test_unreachable_at_start (void)
{
  Fixture fixture;

  fixture_init (&fixture,
                "krtestsrc plan=f,f,f,i ! krtestsink  krtestsrc key=1 ! krtestsink key=1");
  fixture_start (&fixture);
  kr_test_wait (kr_test_counts (1).buffers > 20 && buffers () > 20, PATIENCE);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING, PATIENCE);
  /* Started once with it, once without. */
  g_assert_cmpuint (kr_test_counts (1).starts, ==, 2);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_only_source_unreachable (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc plan=f,f,f,f,f,i ! krtestsink");
  fixture.spec.start_limit_burst = 2; /* not counted */
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING && buffers () > 5, PATIENCE);
  g_assert_true (has_event (&fixture, "restart: krtestsrc"));
  g_assert_false (has_event (&fixture, "failed: "));
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_missing_file_is_a_source (void)
{
  Fixture fixture;

  fixture_init (&fixture, "filesrc location=/nonexistent/file ! krtestsink");
  fixture.spec.start_limit_burst = 2;
  fixture_start (&fixture);
  kr_test_wait (kr_pipeline_runner_get_cause (fixture.runner) == KR_CAUSE_SOURCE &&
                    kr_test_counts (0).starts > 5,
                PATIENCE);
  g_assert_false (has_event (&fixture, "failed: "));
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_error_rebuilds (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! identity error-after=20 ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (kr_test_counts (0).starts >= 3, PATIENCE);
  g_assert_true (has_event (&fixture, "restart: identity"));
  kr_test_wait (has_event (&fixture, "recovered: runs again"), PATIENCE);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_limit (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! identity error-after=5 ! krtestsink");
  fixture.spec.start_limit_burst = 4;
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_FAILED, PATIENCE);
  g_assert_true (has_event (&fixture, "failed: identity"));
  g_assert_cmpuint (kr_test_counts (0).starts, ==, 4);
  fixture_clear (&fixture);
}

static void
test_bad_text (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! nosuchelement");
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_FAILED, PATIENCE);
  g_assert_cmpint (kr_pipeline_runner_get_cause (fixture.runner), ==, KR_CAUSE_CONFIG);
  fixture_clear (&fixture);
}

static void
test_not_linked_is_ours (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc  videotestsrc is-live=true ! krtestsink");
  fixture.spec.start_limit_burst = 3;
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_FAILED, PATIENCE);
  g_assert_cmpint (kr_pipeline_runner_get_cause (fixture.runner), ==, KR_CAUSE_PIPELINE);
  fixture_clear (&fixture);
}

static void
check_end (KrRestart restart, guint starts)
{
  Fixture fixture;

  fixture_init (&fixture, "fakesrc num-buffers=5 ! krtestsink");
  fixture.spec.restart = restart;
  fixture_start (&fixture);
  if (restart == KR_RESTART_ALWAYS)
    kr_test_wait (kr_test_counts (0).starts >= starts, PATIENCE);
  else
    kr_test_wait (state (&fixture) == KR_PIPELINE_STOPPED, PATIENCE);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).starts, >=, starts);
  fixture_clear (&fixture);
}

static void
test_end_of_stream (void)
{
  check_end (KR_RESTART_ALWAYS, 3);
  check_end (KR_RESTART_ON_FAILURE, 1);
  check_end (KR_RESTART_NO, 1);
}

static void
test_hang_at_start (void)
{
  Fixture fixture;
  g_autoptr (KrPipelineReport) report = NULL;

  fixture_init (&fixture, "krtestsrc ! krhang at=start key=2 times=2 ! krtestsink");
  fixture.spec.timeout_start_us = kr_test_scale (500 * G_TIME_SPAN_MILLISECOND);
  fixture_start (&fixture);
  kr_test_wait (kr_test_counts (2).hangs == 2, PATIENCE);
  kr_test_wait (has_event (&fixture, "restart: the pipeline has not started"), PATIENCE);
  /* A busy machine may need longer than the deadline above for a good start too. */
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING && buffers () > 5, PATIENCE);
  report = kr_pipeline_runner_report (fixture.runner);
  g_assert_cmpuint (report->abandoned, >=, 2);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
  kr_test_release_hangs ();
}

static void
test_hang_at_stop (void)
{
  Fixture fixture;
  g_autoptr (KrPipelineReport) report = NULL;

  fixture_init (&fixture, "krtestsrc ! krhang at=stop key=3 ! krtestsink");
  fixture.spec.timeout_stop_us = 300 * G_TIME_SPAN_MILLISECOND;
  fixture_start (&fixture);
  kr_test_wait (buffers () > 5, PATIENCE);
  fixture_stop (&fixture);
  report = kr_pipeline_runner_report (fixture.runner);
  g_assert_cmpuint (report->abandoned, ==, 1);
  fixture_clear (&fixture);
  kr_test_release_hangs ();
}

static void
test_hang_while_reopening (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc key=5 plan=20s,h,i ! krtestsink");
  fixture.spec.timeout_start_us = kr_test_scale (500 * G_TIME_SPAN_MILLISECOND);
  fixture_start (&fixture);
  kr_test_wait (kr_test_counts (5).hangs == 1, PATIENCE);
  kr_test_wait (has_event (&fixture, "restart: krtestsrc"), PATIENCE);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING && buffers () > 40, PATIENCE);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
  kr_test_release_hangs ();
}

static void
test_force (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! krhang at=stop key=4 ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (buffers () > 5, PATIENCE);
  kr_pipeline_runner_stop (fixture.runner);
  kr_test_wait (kr_test_counts (4).hangs == 1, PATIENCE);
  kr_pipeline_runner_force (fixture.runner);
  kr_test_wait (state (&fixture) == KR_PIPELINE_STOPPED, PATIENCE);
  fixture_clear (&fixture);
  kr_test_release_hangs ();
}

/* EOS has no way to the sink: the demuxer never made a pad. */
static void
test_stop_without_pads (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc plan=0s ! tsdemux ! h264parse ! mpegtsmux ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_RECONNECTING, PATIENCE);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).eos, ==, 1);
  fixture_clear (&fixture);
}

static void
test_stop_with_a_closed_source (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc plan=20e,f ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (kr_test_counts (0).opens >= 3, PATIENCE);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).eos, ==, 1);
  fixture_clear (&fixture);
}

/* As gst-launch-1.0 answers them: the pipeline goes on, nothing is rebuilt. */
static void
check_message (const char *launch)
{
  Fixture fixture;
  g_autoptr (KrPipelineReport) report = NULL;

  fixture_init (&fixture, launch);
  fixture.spec.source_timeout_us = 0;
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_PLAYING && buffers () > 60, PATIENCE);
  report = kr_pipeline_runner_report (fixture.runner);
  g_assert_cmpuint (report->restarts, ==, 0);
  fixture_stop (&fixture);
  g_assert_cmpuint (kr_test_counts (0).starts, ==, 1);
  g_assert_cmpuint (kr_test_counts (0).eos, ==, 1);
  fixture_clear (&fixture);
}

static void
test_messages (void)
{
  check_message ("krtestsrc ! krpost what=latency ! krtestsink");
  check_message ("krtestsrc ! krpost what=clock-lost ! krtestsink");
  check_message ("krtestsrc ! krpost what=buffering ! krtestsink");
  check_message ("krtestsrc ! krpost what=pause ! krtestsink");
  check_message (
      "fakesrc sizetype=2 ! identity sleep-time=1000 ! krpost what=buffering ! krtestsink");
  check_message (
      "fakesrc sizetype=2 ! identity sleep-time=1000 ! krpost what=clock-lost ! krtestsink");
}

/* What an element says without giving up reaches whoever reads the log. */
static void
test_warnings_are_told (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! krpost name=post what=warning ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (has_event (&fixture, "warning: post: Incorrect passphrase."), PATIENCE);
  g_assert_cmpint (state (&fixture), ==, KR_PIPELINE_PLAYING);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_asks_for_the_end (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! krpost what=end ! krtestsink");
  fixture.spec.restart = KR_RESTART_ON_FAILURE;
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_STOPPED, PATIENCE);
  g_assert_cmpint (kr_pipeline_runner_get_cause (fixture.runner), ==, KR_CAUSE_EOS);
  fixture_clear (&fixture);
}

static void
test_full_disk_holds (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! krpost what=disk ! krtestsink");
  fixture.spec.start_limit_burst = 1; /* not counted */
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_BACKOFF, PATIENCE);
  g_assert_cmpint (kr_pipeline_runner_get_cause (fixture.runner), ==, KR_CAUSE_DISK);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

/* Nobody may write there; a person has to repair that, and meanwhile it is tried again. */
static void
test_unwritable_folder_holds (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc ! filesink location=/proc/no-such-folder/a.ts");
  fixture.spec.start_limit_burst = 1; /* not counted */
  fixture_start (&fixture);
  kr_test_wait (state (&fixture) == KR_PIPELINE_BACKOFF, PATIENCE);
  g_assert_cmpint (kr_pipeline_runner_get_cause (fixture.runner), ==, KR_CAUSE_DISK);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

/* Whoever is behind the source takes half a second for each buffer: the source is not to blame.
 */
static void
test_slow_pipeline_is_not_silent (void)
{
  Fixture fixture;
  g_autoptr (KrPipelineReport) report = NULL;

  fixture_init (&fixture, "krtestsrc ! identity sleep-time=500000 ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (buffers () >= 4, PATIENCE);
  report = kr_pipeline_runner_report (fixture.runner);
  /* Else it was silent indeed: the machine kept it waiting. */
  g_assert_cmpuint (report->reconnects, <=, kr_test_counts (0).late);
  g_assert_cmpuint (kr_test_counts (0).opens, <=, 1 + kr_test_counts (0).late);
  fixture_stop (&fixture);
  fixture_clear (&fixture);
}

static void
test_stop_at_any_moment (void)
{
  for (guint i = 0; i < 60; i++) {
    Fixture fixture;

    fixture_init (&fixture, "krtestsrc plan=4e,3x,f,5s,i ! queue ! krtestsink");
    fixture.spec.source_timeout_us = 10 * G_TIME_SPAN_MILLISECOND;
    fixture_start (&fixture);
    for (guint turn = 0; turn < i * 3; turn++) {
      if (!g_main_context_iteration (NULL, FALSE))
        g_usleep (500);
    }
    fixture_stop (&fixture);
    fixture_clear (&fixture);
  }
}

static void
test_freed_while_running (void)
{
  Fixture fixture;

  fixture_init (&fixture, "krtestsrc plan=20s,i ! krtestsink");
  fixture_start (&fixture);
  kr_test_wait (buffers () > 5, PATIENCE);
  fixture_clear (&fixture);
  /* The thread that takes it down tells nobody, and nobody is there to be told. */
  for (guint i = 0; i < 100; i++)
    if (!g_main_context_iteration (NULL, FALSE))
      g_usleep (1000);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (400);
  kr_test_elements_register ();
  g_test_add_func ("/engine/runner/plays", test_plays_and_stops);
  g_test_add_func ("/engine/runner/silence", test_silence);
  g_test_add_func ("/engine/runner/source-eos", test_eos_of_source);
  g_test_add_func ("/engine/runner/source-error", test_error_of_source);
  g_test_add_func ("/engine/runner/queue-behind", test_queue_behind);
  g_test_add_func ("/engine/runner/failed-reopening", test_failed_reopening);
  g_test_add_func ("/engine/runner/nested-source", test_nested_source);
  g_test_add_func ("/engine/runner/sometimes-pads", test_pads_that_come_and_go);
  g_test_add_func ("/engine/runner/many-outages", test_many_outages);
  g_test_add_func ("/engine/runner/absent", test_absent_at_start);
  g_test_add_func ("/engine/runner/unreachable", test_unreachable_at_start);
  g_test_add_func ("/engine/runner/only-unreachable", test_only_source_unreachable);
  g_test_add_func ("/engine/runner/missing-file", test_missing_file_is_a_source);
  g_test_add_func ("/engine/runner/error", test_error_rebuilds);
  g_test_add_func ("/engine/runner/limit", test_limit);
  g_test_add_func ("/engine/runner/bad-text", test_bad_text);
  g_test_add_func ("/engine/runner/not-linked", test_not_linked_is_ours);
  g_test_add_func ("/engine/runner/end-of-stream", test_end_of_stream);
  g_test_add_func ("/engine/runner/hang-at-start", test_hang_at_start);
  g_test_add_func ("/engine/runner/hang-at-stop", test_hang_at_stop);
  g_test_add_func ("/engine/runner/hang-while-reopening", test_hang_while_reopening);
  g_test_add_func ("/engine/runner/force", test_force);
  g_test_add_func ("/engine/runner/stop-without-pads", test_stop_without_pads);
  g_test_add_func ("/engine/runner/stop-closed", test_stop_with_a_closed_source);
  g_test_add_func ("/engine/runner/messages", test_messages);
  g_test_add_func ("/engine/runner/warnings", test_warnings_are_told);
  g_test_add_func ("/engine/runner/asks-for-the-end", test_asks_for_the_end);
  g_test_add_func ("/engine/runner/full-disk", test_full_disk_holds);
  g_test_add_func ("/engine/runner/unwritable-folder", test_unwritable_folder_holds);
  g_test_add_func ("/engine/runner/slow-pipeline", test_slow_pipeline_is_not_silent);
  g_test_add_func ("/engine/runner/stop-any-moment", test_stop_at_any_moment);
  g_test_add_func ("/engine/runner/freed", test_freed_while_running);
  return g_test_run ();
}
