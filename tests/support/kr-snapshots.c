/* keeprolling - snapshots for tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/support/kr-snapshots.h"

KrFileSnapshot *
kr_test_snapshot_file (KrSnapshot *snapshot)
{
  return snapshot->files->pdata[0];
}

KrPipelineReport *
kr_test_snapshot_report (KrSnapshot *snapshot)
{
  KrPipelineSnapshot *pipeline = kr_test_snapshot_file (snapshot)->pipelines->pdata[0];

  return pipeline->report;
}

KrSnapshot *
kr_test_snapshot_new (void)
{
  KrSnapshot *snapshot = kr_snapshot_new ();
  KrFileSnapshot *file = kr_file_snapshot_new ("/etc/keeprolling/cam1.pipeline", "cam1");
  KrWorkerSnapshot *worker = kr_worker_snapshot_new ();
  KrPipelineReport *report = kr_pipeline_report_new ("record");

  snapshot->taken_utc_us = KR_TEST_UTC_US;
  snapshot->started_utc_us = KR_TEST_UTC_US - 90 * G_TIME_SPAN_SECOND;
  snapshot->version = g_strdup ("0.1.0");
  snapshot->instance = g_strdup ("instance-1");

  worker->pid = 4711;
  worker->instance = g_strdup ("worker-1");
  worker->version = g_strdup ("0.1.0");
  worker->ready = TRUE;
  worker->rss = 20 << 20;
  worker->cpu_s = 1.5;
  g_ptr_array_add (file->workers, worker);

  report->state = KR_PIPELINE_PLAYING;
  report->written_bytes = 123456;
  report->rate = 1000;
  report->last_growth_utc_us = KR_TEST_UTC_US - G_TIME_SPAN_SECOND;
  report->segment_path = g_strdup ("rec/a.ts");
  g_ptr_array_add (file->pipelines, kr_pipeline_snapshot_new (report));
  file->state = KR_SUPERVISOR_RUNNING;
  file->threshold = 3;
  g_ptr_array_add (snapshot->files, file);
  return snapshot;
}
