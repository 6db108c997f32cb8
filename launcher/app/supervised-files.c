/* keeprolling - one pipeline file and its workers: what lies on the disk
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

#include "launcher/app/disk-job.h"
#include "launcher/app/log.h"

/* Between two looks for files that nobody finishes. */
#define LEFTOVERS_EVERY_US G_TIME_SPAN_MINUTE

static void
on_rescued (GPtrArray *rescued, gpointer data)
{
  KrSupervised *s = data;

  s->rescues--;
  for (guint i = 0; i < rescued->len; i++) {
    const KrRescued *one = rescued->pdata[i];
    g_autofree char *text = NULL;

    if (g_strcmp0 (one->action, "failed") == 0)
      text = g_strdup_printf ("the unfinished file %s could not be recovered: %s; keeprolling "
                              "recover can try again",
                              one->temp_path, one->detail);
    else
      text = g_strdup_printf ("unfinished file %s %s%s%s", one->temp_path, one->action,
                              one->path != NULL ? ": now " : "",
                              one->path != NULL ? one->path : "");
    kr_log (G_LOG_LEVEL_MESSAGE, kr_supervised_get_name (s), NULL, "%s", text);
    kr_supervised_happened (s, KR_LAYER_WATCHDOG, "", "file-recovered", text, -1, NULL);
  }
  s->callbacks->changed (s->data);
}

void
kr_supervised_rescue_files (KrSupervised *s, const KrWorker *worker)
{
  g_autoptr (GPtrArray) paths = kr_worker_temp_paths (worker);

  if (paths->len == 0)
    return;
  s->rescues++;
  kr_disk_job_rescue (paths, s->cancellable, on_rescued, s);
}

static void
on_measured (guint64 bytes, gpointer data)
{
  KrSupervised *s = data;
  KrWorker *worker = kr_supervised_find_worker (s, s->measuring);

  s->measuring = 0;
  if (worker == NULL)
    return;
  if (worker->measured != 0 && bytes > worker->measured)
    worker->wrote_at = g_get_monotonic_time ();
  worker->measured = bytes;
}

/* A worker that has fallen silent may write on all the same: only its files can tell. */
void
kr_supervised_measure_silent_worker (KrSupervised *s, const KrWorker *worker, gint64 now)
{
  g_autoptr (GPtrArray) paths = NULL;

  if (s->measuring != 0 || !kr_worker_is_silent (worker, now))
    return;
  paths = kr_worker_temp_paths (worker);
  if (paths->len == 0)
    return;
  s->measuring = worker->serial;
  kr_disk_job_measure (paths, s->cancellable, on_measured, s);
}

static void
on_leftovers (guint count, gint64 oldest_utc_us, gpointer data)
{
  KrSupervised *s = data;

  s->leftovers = count;
  s->leftover_oldest_utc_us = oldest_utc_us;
  s->next_leftovers = g_get_monotonic_time () + LEFTOVERS_EVERY_US;
}

void
kr_supervised_look_for_leftovers (KrSupervised *s, gint64 now)
{
  g_autoptr (GPtrArray) folders = NULL;
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);

  if (now < s->next_leftovers || current == NULL)
    return;
  folders = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < s->before->len; i++) {
    const KrPipelineReport *before = s->before->pdata[i];
    const KrPipelineReport *report = kr_worker_find_report (current, before->name);

    if (report != NULL && report->segment_path != NULL)
      g_ptr_array_add (folders, g_path_get_dirname (report->segment_path));
  }
  if (folders->len == 0)
    return;
  s->next_leftovers = G_MAXINT64;
  kr_disk_job_leftovers (folders, s->cancellable, on_leftovers, s);
}
