/* keeprolling - tests of core/snapshot
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/snapshot.h"

#include "tests/support/kr-test.h"

static KrFileSnapshot *
add_file (KrSnapshot *snapshot, const char *name, KrSupervisorState state,
          KrPipelineState pipeline_state)
{
  KrFileSnapshot *file = kr_file_snapshot_new ("x.pipeline", name);
  KrPipelineReport *report = kr_pipeline_report_new ("record");

  file->state = state;
  report->state = pipeline_state;
  g_ptr_array_add (file->pipelines, kr_pipeline_snapshot_new (report));
  g_ptr_array_add (file->workers, kr_worker_snapshot_new ());
  g_ptr_array_add (snapshot->files, file);
  return file;
}

static void
test_ready (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_snapshot_new ();

  kr_snapshot_finish (snapshot, NULL);
  g_assert_false (snapshot->ready || snapshot->recording);
  add_file (snapshot, "a", KR_SUPERVISOR_RUNNING, KR_PIPELINE_PLAYING);
  kr_snapshot_finish (snapshot, NULL);
  g_assert_true (snapshot->ready && snapshot->recording);
  /* It plays, and that is all that is known of it as yet. */
  {
    const KrFileSnapshot *file = snapshot->files->pdata[0];
    KrPipelineSnapshot *pipeline = file->pipelines->pdata[0];

    pipeline->unproven = TRUE;
    kr_snapshot_finish (snapshot, NULL);
    g_assert_false (snapshot->recording);
    pipeline->unproven = FALSE;
  }
  /* An absent source is no fault, but it does not record either. */
  add_file (snapshot, "b", KR_SUPERVISOR_STARTING, KR_PIPELINE_RECONNECTING);
  kr_snapshot_finish (snapshot, NULL);
  g_assert_true (!snapshot->ready && snapshot->recording);
  g_assert_cmpint (snapshot->status, ==, KR_HEALTH_WARN);
}

static void
test_worst_file_counts (void)
{
  static const struct {
    KrSupervisorState state;
    KrHealth verdict;
    KrHealth status;
  } rows[] = {
      {KR_SUPERVISOR_RUNNING, KR_HEALTH_PASS, KR_HEALTH_PASS},
      {KR_SUPERVISOR_RUNNING, KR_HEALTH_WARN, KR_HEALTH_WARN},
      {KR_SUPERVISOR_UNHEALTHY, KR_HEALTH_FAIL, KR_HEALTH_FAIL},
      {KR_SUPERVISOR_STARTING, KR_HEALTH_PASS, KR_HEALTH_WARN},
      {KR_SUPERVISOR_REPLACING, KR_HEALTH_FAIL, KR_HEALTH_FAIL},
      {KR_SUPERVISOR_BACKOFF, KR_HEALTH_PASS, KR_HEALTH_FAIL},
      {KR_SUPERVISOR_GAVE_UP, KR_HEALTH_PASS, KR_HEALTH_FAIL},
      {KR_SUPERVISOR_STOPPED, KR_HEALTH_PASS, KR_HEALTH_PASS},
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (KrSnapshot) snapshot = kr_snapshot_new ();

    add_file (snapshot, "well", KR_SUPERVISOR_RUNNING, KR_PIPELINE_PLAYING);
    add_file (snapshot, "other", rows[i].state, KR_PIPELINE_PLAYING)->verdict.status =
        rows[i].verdict;
    kr_snapshot_finish (snapshot, NULL);
    g_assert_cmpint (snapshot->status, ==, rows[i].status);
  }
}

static void
test_since (void)
{
  g_autoptr (KrSnapshot) first = kr_snapshot_new ();
  g_autoptr (KrSnapshot) second = kr_snapshot_new ();
  g_autoptr (KrSnapshot) third = kr_snapshot_new ();

  first->taken_utc_us = 100;
  second->taken_utc_us = 200;
  third->taken_utc_us = 300;
  add_file (third, "a", KR_SUPERVISOR_GAVE_UP, KR_PIPELINE_IDLE);
  kr_snapshot_finish (first, NULL);
  kr_snapshot_finish (second, first);
  kr_snapshot_finish (third, second);
  g_assert_cmpint (second->status_since_utc_us, ==, 100);
  g_assert_cmpint (third->status_since_utc_us, ==, 300);
}

static void
test_references (void)
{
  KrSnapshot *snapshot = kr_snapshot_new ();
  KrRecovery *entry = kr_recovery_new (1, KR_LAYER_WATCHDOG, "a", "", "crash", "signal 9", 0.5);

  g_ptr_array_add (snapshot->history, kr_recovery_copy (entry));
  kr_recovery_free (entry);
  g_assert_true (kr_snapshot_ref (snapshot) == snapshot);
  kr_snapshot_unref (snapshot);
  entry = snapshot->history->pdata[0];
  g_assert_cmpstr (entry->kind, ==, "crash");
  g_assert_cmpfloat (entry->seconds, ==, 0.5);
  kr_snapshot_unref (snapshot);
  g_assert_cmpstr (kr_layer_name (KR_LAYER_PIPELINE), ==, "pipeline");
  g_assert_cmpstr (kr_layer_name (KR_LAYER_WATCHDOG), ==, "watchdog");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/snapshot/ready", test_ready);
  g_test_add_func ("/core/snapshot/worst", test_worst_file_counts);
  g_test_add_func ("/core/snapshot/since", test_since);
  g_test_add_func ("/core/snapshot/references", test_references);
  return g_test_run ();
}
