/* keeprolling - what one pipeline file's supervisor knows of a worker
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

#include "launcher/core/health.h"
#include "plugins/common/segment-name.h"

KrWorker *
kr_worker_new (KrSupervised *owner, guint serial, KrLoadedFile *loaded)
{
  KrWorker *worker = g_new0 (KrWorker, 1);

  worker->owner = owner;
  worker->serial = serial;
  worker->loaded = kr_loaded_file_ref (loaded);
  worker->started_utc_us = g_get_real_time ();
  worker->started = g_get_monotonic_time ();
  worker->instance = kr_instance_id_new (worker->started_utc_us);
  worker->io_age_us = -1;
  worker->steadiness = g_new0 (KrSteadiness, loaded->file->pipelines->len);
  worker->reports = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_report_free);
  g_queue_init (&worker->open_files);
  return worker;
}

void
kr_worker_free (KrWorker *worker)
{
  if (worker == NULL)
    return;
  kr_worker_process_free (worker->process);
  g_ptr_array_unref (worker->reports);
  g_queue_clear_full (&worker->open_files, g_free);
  g_free (worker->wanted);
  g_free (worker->steadiness);
  g_free (worker->instance);
  g_free (worker->version);
  kr_loaded_file_unref (worker->loaded);
  g_free (worker);
}

const KrPipelineReport *
kr_worker_find_report (const KrWorker *worker, const char *pipeline)
{
  for (guint i = 0; i < worker->reports->len; i++) {
    const KrPipelineReport *report = worker->reports->pdata[i];

    if (g_strcmp0 (report->name, pipeline) == 0)
      return report;
  }
  return NULL;
}

void
kr_worker_note_open_file (KrWorker *worker, const char *path)
{
  if (path == NULL || g_queue_find_custom (&worker->open_files, path, (GCompareFunc)g_strcmp0))
    return;
  g_queue_push_tail (&worker->open_files, g_strdup (path));
  if (worker->open_files.length > KR_MAX_OPEN_FILES)
    g_free (g_queue_pop_head (&worker->open_files));
}

GPtrArray *
kr_worker_temp_paths (const KrWorker *worker)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);

  for (GList *l = worker->open_files.head; l != NULL; l = l->next) {
    g_autofree char *final = kr_segment_final_path (l->data);

    g_ptr_array_add (paths,
                     final != NULL ? g_strdup (l->data) : kr_segment_temp_path (l->data));
  }
  return paths;
}

static void
look_at_steadiness (KrWorker *worker, gint64 now)
{
  const GPtrArray *specs = worker->loaded->file->pipelines;

  for (guint i = 0; i < specs->len; i++) {
    const KrPipelineSpec *spec = specs->pdata[i];

    kr_steadiness_update (&worker->steadiness[i], kr_worker_find_report (worker, spec->name),
                          now);
  }
}

void
kr_worker_take_report (KrWorker *worker, const KrWorkerMessage *message, gint64 now)
{
  guint64 progress = 0;

  g_ptr_array_set_size (worker->reports, 0);
  for (guint i = 0; i < message->pipelines->len; i++) {
    const KrPipelineReport *report = message->pipelines->pdata[i];

    g_ptr_array_add (worker->reports, kr_pipeline_report_copy (report));
    kr_worker_note_open_file (worker, report->segment_path);
    if (worker->first_segment_utc_us == 0)
      worker->first_segment_utc_us = report->segment_started_utc_us;
    progress += report->has_growth ? report->written_bytes : report->buffers;
  }
  look_at_steadiness (worker, now);
  if (progress > worker->progress)
    worker->wrote_at = now;
  worker->progress = progress;
  worker->heartbeat = now;
  kr_worker_process_get_time (worker->process, &worker->time);
  worker->reported_rss = message->rss;
  worker->io_age_us = message->io_age_us;
}

/* Long enough for a second with a flush in it, but over when a hang is certain. */
gboolean
kr_worker_is_writing (const KrWorker *worker, gint64 now)
{
  gint64 window = MIN (KR_WRITING_US, worker->owner->machine.policy.hang_limit_us / 4 * 3);

  return worker->wrote_at != 0 && now - worker->wrote_at <= window;
}

gint64
kr_worker_get_starved (const KrWorker *worker)
{
  KrProcessTime now;

  if (worker->heartbeat == 0)
    return 0;
  kr_worker_process_get_time (worker->process, &now);
  /* A report takes milliseconds: who had that much time and did not use it has no excuse. */
  if (now.ran - worker->time.ran > KR_TIME_TO_SPEAK_US)
    return 0;
  return MAX (0, now.starved - worker->time.starved);
}

gboolean
kr_worker_is_silent (const KrWorker *worker, gint64 now)
{
  gint64 patience = MIN (KR_HEARTBEAT_WARN_US, worker->owner->machine.policy.hang_limit_us / 4);

  return now - worker->heartbeat >= patience;
}

gboolean
kr_worker_records (const KrWorker *worker, const char *pipeline)
{
  const KrPipelineReport *report = kr_worker_find_report (worker, pipeline);

  if (report == NULL || report->state != KR_PIPELINE_PLAYING || report->stalled)
    return FALSE;
  return !report->has_growth || report->last_growth_utc_us > 0;
}

gboolean
kr_worker_records_well (const KrWorker *worker, const char *pipeline)
{
  const KrPipelineReport *report = kr_worker_find_report (worker, pipeline);

  if (!kr_worker_records (worker, pipeline))
    return FALSE;
  /* Not everything that is recorded has keyframes that anybody sees. */
  return report->keyframes > 0 || report->buffers > 0 || !report->has_growth;
}

gboolean
kr_worker_has_proof (const KrWorker *worker, guint i, const KrPipelineReport *report,
                     gint64 now)
{
  if (report->has_growth)
    return TRUE;
  return i < worker->loaded->file->pipelines->len &&
         kr_steadiness_is_steady (&worker->steadiness[i], now);
}

KrWorkerSnapshot *
kr_worker_take_snapshot (const KrWorker *worker, KrWorkerRole role, gint64 now)
{
  KrWorkerSnapshot *snapshot = kr_worker_snapshot_new ();

  snapshot->serial = worker->serial;
  snapshot->pid = worker->process != NULL ? kr_worker_process_get_pid (worker->process) : 0;
  snapshot->instance = g_strdup (worker->instance);
  snapshot->version = g_strdup (worker->version);
  snapshot->role = role;
  snapshot->ready = worker->ready;
  snapshot->started_utc_us = worker->started_utc_us;
  if (worker->heartbeat != 0)
    snapshot->heartbeat_age_s = (double)(now - worker->heartbeat) / G_TIME_SPAN_SECOND;
  snapshot->rss = worker->usage.known ? worker->usage.rss : worker->reported_rss;
  snapshot->cpu_s = worker->usage.known ? worker->usage.cpu_s : -1;
  snapshot->open_fds = worker->fds;
  return snapshot;
}
