/* keeprolling - everything the supervisor knows, at one moment
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/snapshot.h"

static const char *const layer_names[] = {
    [KR_LAYER_PIPELINE] = "pipeline",
    [KR_LAYER_WATCHDOG] = "watchdog",
};
G_STATIC_ASSERT (G_N_ELEMENTS (layer_names) == KR_N_LAYERS);

const char *
kr_layer_name (KrLayer layer)
{
  g_return_val_if_fail ((guint)layer < KR_N_LAYERS, NULL);
  return layer_names[layer];
}

KrWorkerSnapshot *
kr_worker_snapshot_new (void)
{
  KrWorkerSnapshot *worker = g_new0 (KrWorkerSnapshot, 1);

  worker->heartbeat_age_s = -1;
  worker->cpu_s = -1;
  return worker;
}

void
kr_worker_snapshot_free (KrWorkerSnapshot *worker)
{
  if (worker == NULL)
    return;
  g_free (worker->instance);
  g_free (worker->version);
  g_free (worker);
}

KrPipelineSnapshot *
kr_pipeline_snapshot_new (KrPipelineReport *report)
{
  KrPipelineSnapshot *pipeline = g_new0 (KrPipelineSnapshot, 1);

  pipeline->report = report;
  return pipeline;
}

void
kr_pipeline_snapshot_free (KrPipelineSnapshot *pipeline)
{
  if (pipeline == NULL)
    return;
  kr_pipeline_report_free (pipeline->report);
  g_free (pipeline);
}

KrFileSnapshot *
kr_file_snapshot_new (const char *path, const char *name)
{
  KrFileSnapshot *file = g_new0 (KrFileSnapshot, 1);

  file->path = g_strdup (path);
  file->name = g_strdup (name);
  file->last_reason = g_strdup ("");
  file->last_recovery_s = -1;
  file->handovers.last_overlap_s = -1;
  file->workers = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_worker_snapshot_free);
  file->pipelines = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_snapshot_free);
  return file;
}

void
kr_file_snapshot_free (KrFileSnapshot *file)
{
  if (file == NULL)
    return;
  g_free (file->path);
  g_free (file->name);
  g_free (file->last_reason);
  g_free (file->handovers.last_text);
  g_ptr_array_unref (file->workers);
  g_ptr_array_unref (file->pipelines);
  g_free (file);
}

KrRecovery *
kr_recovery_new (gint64 utc_us, KrLayer layer, const char *file, const char *pipeline,
                 const char *kind, const char *reason, double seconds)
{
  KrRecovery *recovery = g_new0 (KrRecovery, 1);

  recovery->utc_us = utc_us;
  recovery->layer = layer;
  recovery->file = g_strdup (file);
  recovery->pipeline = g_strdup (pipeline);
  recovery->kind = g_strdup (kind);
  recovery->reason = g_strdup (reason);
  recovery->seconds = seconds;
  return recovery;
}

gboolean
kr_recovery_is_fault (const KrRecovery *recovery)
{
  return !g_str_has_prefix (recovery->kind, "handover");
}

KrRecovery *
kr_recovery_copy (const KrRecovery *recovery)
{
  return kr_recovery_new (recovery->utc_us, recovery->layer, recovery->file, recovery->pipeline,
                          recovery->kind, recovery->reason, recovery->seconds);
}

void
kr_recovery_free (KrRecovery *recovery)
{
  if (recovery == NULL)
    return;
  g_free (recovery->file);
  g_free (recovery->pipeline);
  g_free (recovery->kind);
  g_free (recovery->reason);
  g_free (recovery);
}

KrSnapshot *
kr_snapshot_new (void)
{
  KrSnapshot *snapshot = g_new0 (KrSnapshot, 1);

  snapshot->ref_count = 1;
  snapshot->files = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_file_snapshot_free);
  snapshot->history = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_recovery_free);
  return snapshot;
}

KrSnapshot *
kr_snapshot_ref (KrSnapshot *snapshot)
{
  g_atomic_int_inc (&snapshot->ref_count);
  return snapshot;
}

void
kr_snapshot_unref (KrSnapshot *snapshot)
{
  if (snapshot == NULL || !g_atomic_int_dec_and_test (&snapshot->ref_count))
    return;
  g_free (snapshot->version);
  g_free (snapshot->instance);
  g_ptr_array_unref (snapshot->files);
  g_ptr_array_unref (snapshot->history);
  g_free (snapshot);
}

gboolean
kr_snapshot_pipeline_records (const KrFileSnapshot *file, const KrPipelineSnapshot *pipeline)
{
  const KrPipelineReport *report = pipeline->report;

  if (file->state != KR_SUPERVISOR_RUNNING && file->state != KR_SUPERVISOR_UNHEALTHY &&
      file->state != KR_SUPERVISOR_REPLACING)
    return FALSE;
  return report->state == KR_PIPELINE_PLAYING && !report->stalled;
}

/* A file that should be running and is not, is not well; one that ended as wanted is. */
static KrHealth
file_status (const KrFileSnapshot *file)
{
  switch (file->state) {
  case KR_SUPERVISOR_GAVE_UP:
  case KR_SUPERVISOR_BACKOFF:
  case KR_SUPERVISOR_TERMINATING:
    return KR_HEALTH_FAIL;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_STARTING:
  case KR_SUPERVISOR_REPLACING:
  case KR_SUPERVISOR_STOPPING:
    return MAX (KR_HEALTH_WARN, file->verdict.status);
  case KR_SUPERVISOR_RUNNING:
  case KR_SUPERVISOR_UNHEALTHY:
    return file->verdict.status;
  case KR_SUPERVISOR_STOPPED:
    return KR_HEALTH_PASS;
  case KR_N_SUPERVISOR_STATES:
    break;
  }
  g_return_val_if_reached (KR_HEALTH_FAIL);
}

void
kr_snapshot_finish (KrSnapshot *snapshot, const KrSnapshot *before)
{
  snapshot->ready = snapshot->files->len > 0;
  snapshot->recording = FALSE;
  snapshot->status = KR_HEALTH_PASS;
  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    snapshot->status = MAX (snapshot->status, file_status (file));
    snapshot->ready &= file->pipelines->len > 0;
    for (guint k = 0; k < file->pipelines->len; k++) {
      const KrPipelineSnapshot *pipeline = file->pipelines->pdata[k];
      gboolean is_recording = kr_snapshot_pipeline_records (file, pipeline);

      snapshot->ready &= is_recording;
      snapshot->recording |= is_recording && !pipeline->unproven;
    }
  }
  snapshot->status_since_utc_us = before != NULL && before->status == snapshot->status
                                      ? before->status_since_utc_us
                                      : snapshot->taken_utc_us;
}
