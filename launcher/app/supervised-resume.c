/* keeprolling - a pipeline file that goes from one supervisor to the next
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

#include <string.h>

#include "launcher/app/log.h"

gboolean
kr_supervised_can_suspend (const KrSupervised *supervised)
{
  KrSupervisorResume machine;

  return supervised->handover.stage == KR_HANDOVER_NONE && supervised->handover_id == 0 &&
         supervised->rescues == 0 && kr_supervisor_suspend (&supervised->machine, &machine);
}

static void
suspend_worker (const KrWorker *worker, KrResumeFile *file)
{
  KrResumeWorker *left = kr_resume_file_add_worker (file);
  g_autoptr (GStrvBuilder) open_files = g_strv_builder_new ();

  for (GList *at = worker->open_files.head; at != NULL; at = at->next)
    g_strv_builder_add (open_files, at->data);
  left->serial = worker->serial;
  left->pid = kr_worker_process_get_pid (worker->process);
  left->fd = 0;
  left->rest = g_bytes_new (NULL, 0);
  left->instance = g_strdup (worker->instance);
  left->version = g_strdup (worker->version);
  left->started = worker->started;
  left->started_utc_us = worker->started_utc_us;
  left->ready = worker->ready;
  left->open_files = g_strv_builder_end (open_files);
}

static char *
counters_to_line (GPtrArray *before)
{
  g_autoptr (KrWorkerMessage) message = kr_worker_message_new_report (before, 0, -1);
  g_autoptr (GBytes) line = kr_worker_message_encode (message, NULL);
  gsize length;
  const char *text;

  if (line == NULL)
    return NULL;
  text = g_bytes_get_data (line, &length);
  return g_strndup (text, length);
}

gboolean
kr_supervised_suspend (KrSupervised *supervised, gboolean detach, KrResumeFile *file)
{
  KrWorker *worker = kr_supervised_find_worker (supervised, supervised->machine.current);

  if (!kr_supervised_can_suspend (supervised) ||
      !kr_supervisor_suspend (&supervised->machine, &file->machine))
    return FALSE;
  file->path = g_strdup (supervised->file->path);
  file->text = g_strdup (supervised->loaded->text);
  file->counters = counters_to_line (supervised->before);
  memcpy (file->handovers, supervised->handovers.counts, sizeof file->handovers);
  if (worker == NULL)
    return file->machine.current == 0;
  suspend_worker (worker, file);
  /* One that has died, or has not been told all, is to be heard, or told, first. */
  if (!detach || !kr_worker_process_can_detach (worker->process))
    return kr_worker_process_can_detach (worker->process);
  g_clear_pointer (&file->worker->rest, g_bytes_unref);
  return kr_worker_process_detach (worker->process, &file->worker->fd, &file->worker->rest);
}

static void
resume_counters (KrSupervised *s, const char *line)
{
  g_autoptr (KrWorkerMessage) message =
      line != NULL ? kr_worker_message_decode (line, strcspn (line, "\n"), NULL) : NULL;

  if (message == NULL || message->type != KR_WORKER_MESSAGE_REPORT)
    return;
  for (guint i = 0; i < s->before->len; i++) {
    KrPipelineReport *before = s->before->pdata[i];

    for (guint k = 0; k < message->pipelines->len; k++) {
      const KrPipelineReport *report = message->pipelines->pdata[k];

      if (strcmp (before->name, report->name) == 0)
        kr_pipeline_report_carry_on (before, report);
    }
  }
}

static void
resume_worker (KrSupervised *s, const KrResumeWorker *left)
{
  KrWorker *worker = kr_worker_new (s, left->serial, s->loaded);

  g_free (worker->instance);
  worker->instance = g_strdup (left->instance);
  worker->version = g_strdup (left->version);
  worker->started = left->started;
  worker->started_utc_us = left->started_utc_us;
  worker->ready = left->ready;
  worker->heartbeat = g_get_monotonic_time ();
  for (guint i = 0; left->open_files != NULL && left->open_files[i] != NULL; i++)
    kr_worker_note_open_file (worker, left->open_files[i]);
  g_ptr_array_add (s->workers, worker);
  worker->process = kr_worker_process_adopt (left->pid, left->fd, left->rest,
                                             &kr_supervised_process_callbacks, worker);
}

KrSupervised *
kr_supervised_resume (KrLoadedFile *loaded, const KrResumeFile *file,
                      const KrSupervisedCallbacks *callbacks, gpointer data)
{
  KrSupervised *s = kr_supervised_new (loaded, callbacks, data);
  const KrSupervisorPolicy policy = s->machine.policy;

  kr_supervisor_resume (&s->machine, &policy, &file->machine, g_get_monotonic_time ());
  memcpy (s->handovers.counts, file->handovers, sizeof file->handovers);
  resume_counters (s, file->counters);
  if (file->worker != NULL)
    resume_worker (s, file->worker);
  return s;
}
