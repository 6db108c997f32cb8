/* keeprolling - tests of core/readiness
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/readiness.h"

#include <string.h>

#include "tests/support/kr-snapshots.h"
#include "tests/support/kr-test.h"

static gboolean
ask (KrSnapshot *snapshot, KrProbe probe, gint64 age_us, const char *reason)
{
  g_autofree char *got = NULL;
  gboolean good;

  if (snapshot != NULL)
    kr_snapshot_finish (snapshot, NULL);
  good = kr_probe (snapshot, probe, age_us, &got);
  if (reason != NULL && strstr (got, reason) == NULL)
    g_error ("\"%s\" does not say \"%s\"", got, reason);
  g_assert_cmpint (good, ==, g_str_equal (got, "ok"));
  return good;
}

static void
test_all_well (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  for (guint i = 0; i < KR_N_PROBES; i++)
    g_assert_true (ask (snapshot, i, 0, "ok"));
}

static void
test_before_the_first_snapshot (void)
{
  for (guint i = 0; i < KR_N_PROBES; i++)
    g_assert_false (ask (NULL, i, 0, "starting"));
}

static void
test_a_supervisor_that_stands_still_is_not_alive (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  g_assert_true (ask (snapshot, KR_PROBE_LIVE, KR_LIVE_LIMIT_US, NULL));
  g_assert_false (ask (snapshot, KR_PROBE_LIVE, KR_LIVE_LIMIT_US + 1, "stood still"));
}

static void
test_an_absent_source_is_alive_but_not_ready (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  kr_test_snapshot_report (snapshot)->state = KR_PIPELINE_RECONNECTING;
  g_assert_true (ask (snapshot, KR_PROBE_LIVE, 0, NULL));
  g_assert_true (ask (snapshot, KR_PROBE_STARTUP, 0, NULL));
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, "cam1/record is reconnecting"));
}

static void
test_stalled_or_full (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrPipelineReport *report = kr_test_snapshot_report (snapshot);

  report->stalled = TRUE;
  report->stall_reason = g_strdup ("no-growth");
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, "no-growth"));
  report->stalled = FALSE;
  report->disk_full = TRUE;
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, "disk is full"));
}

static void
test_a_worker_that_has_not_reported (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrFileSnapshot *file = kr_test_snapshot_file (snapshot);

  g_ptr_array_set_size (file->pipelines, 0);
  file->state = KR_SUPERVISOR_STARTING;
  g_assert_false (ask (snapshot, KR_PROBE_STARTUP, 0, "cam1 has not reported"));
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, NULL));
  file->state = KR_SUPERVISOR_GAVE_UP;
  g_assert_true (ask (snapshot, KR_PROBE_STARTUP, 0, NULL));
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, NULL));
}

static void
test_a_crash_makes_unready_for_a_minute (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  g_ptr_array_add (snapshot->history,
                   kr_recovery_new (KR_TEST_UTC_US - 59 * G_TIME_SPAN_SECOND, KR_LAYER_WATCHDOG,
                                    "cam1", "", "crash", "signal 9", 0.3));
  /* A source that went away is no critical error. */
  g_ptr_array_add (snapshot->history,
                   kr_recovery_new (KR_TEST_UTC_US - 5 * G_TIME_SPAN_SECOND, KR_LAYER_PIPELINE,
                                    "cam1", "record", "reconnect", "silent", 1));
  /* Nor is a new worker that somebody wanted, whether it took over or not. */
  for (guint i = 0; i < 2; i++)
    g_ptr_array_add (snapshot->history,
                     kr_recovery_new (KR_TEST_UTC_US, KR_LAYER_WATCHDOG, "cam1", "",
                                      i == 0 ? "handover" : "handover-failed", "rolled back",
                                      -1));
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, "signal 9"));
  snapshot->taken_utc_us += 2 * G_TIME_SPAN_SECOND;
  g_assert_true (ask (snapshot, KR_PROBE_READY, 0, NULL));
}

static void
test_stopping_is_not_ready (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  snapshot->stopping = TRUE;
  g_assert_false (ask (snapshot, KR_PROBE_READY, 0, "stopping"));
  g_assert_true (ask (snapshot, KR_PROBE_LIVE, 0, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/readiness/all-well", test_all_well);
  g_test_add_func ("/core/readiness/before", test_before_the_first_snapshot);
  g_test_add_func ("/core/readiness/hang", test_a_supervisor_that_stands_still_is_not_alive);
  g_test_add_func ("/core/readiness/absent", test_an_absent_source_is_alive_but_not_ready);
  g_test_add_func ("/core/readiness/stalled", test_stalled_or_full);
  g_test_add_func ("/core/readiness/silent-worker", test_a_worker_that_has_not_reported);
  g_test_add_func ("/core/readiness/crash", test_a_crash_makes_unready_for_a_minute);
  g_test_add_func ("/core/readiness/stopping", test_stopping_is_not_ready);
  return g_test_run ();
}
