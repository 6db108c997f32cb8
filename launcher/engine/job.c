/* keeprolling - work that may block, away from the main thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/job.h"

struct _KrJob {
  KrJobFunc func;
  gpointer data;
  GDestroyNotify free_data;
  GMainContext *context;
  int result;

  /* Main thread only. */
  KrJobDone done;
  gpointer user_data;
};

static void
job_free (gpointer data)
{
  KrJob *job = data;

  g_main_context_unref (job->context);
  g_free (job);
}

static gboolean
deliver (gpointer data)
{
  KrJob *job = data;

  if (job->done != NULL)
    job->done (job->result, job->user_data);
  return G_SOURCE_REMOVE;
}

static gpointer
run (gpointer data)
{
  KrJob *job = data;
  GSource *source;

  job->result = job->func (job->data);
  if (job->free_data != NULL)
    job->free_data (job->data);

  /* Not g_main_context_invoke(): it may run the function in this very thread. */
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, deliver, job, job_free);
  g_source_attach (source, job->context);
  g_source_unref (source);
  return NULL;
}

KrJob *
kr_job_start (const char *name, KrJobFunc func, gpointer data, GDestroyNotify free_data,
              KrJobDone done, gpointer user_data)
{
  KrJob *job = g_new0 (KrJob, 1);
  GThread *thread;

  *job = (KrJob){
      .func = func,
      .data = data,
      .free_data = free_data,
      .context = g_main_context_ref_thread_default (),
      .done = done,
      .user_data = user_data,
  };
  thread = g_thread_try_new (name, run, job, NULL);
  if (thread == NULL) {
    job_free (job);
    return NULL;
  }
  g_thread_unref (thread);
  return job;
}

void
kr_job_leave (KrJob *job)
{
  job->done = NULL;
}
