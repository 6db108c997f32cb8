/* keeprolling - work that may block, away from the main thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/job.h"

#include <stdatomic.h>

struct _KrJob {
  KrJobFunc func;
  gpointer data;
  GDestroyNotify free_data;
  GMainContext *context;
  int result;
  /* Everything the thread has done is visible to whoever has seen this. (GMainContext's lock
   * says the same, but the thread sanitizer cannot see into GLib.) */
  atomic_bool finished;

  /* Main thread only. */
  KrJobDone done;
  gpointer user_data;
};

static void
job_free (gpointer data)
{
  KrJob *job = data;

  (void)atomic_load_explicit (&job->finished, memory_order_acquire);
  g_main_context_unref (job->context);
  g_free (job);
}

static gboolean
deliver (gpointer data)
{
  KrJob *job = data;

  if (atomic_load_explicit (&job->finished, memory_order_acquire) && job->done != NULL)
    job->done (job->result, job->user_data);
  return G_SOURCE_REMOVE;
}

static gpointer
run (gpointer data)
{
  KrJob *job = data;
  GMainContext *context = g_main_context_ref (job->context);
  GSource *source;

  job->result = job->func (job->data);
  if (job->free_data != NULL)
    job->free_data (job->data);

  /* Not g_main_context_invoke(): it may run the function in this very thread. */
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, deliver, job, job_free);
  atomic_store_explicit (&job->finished, TRUE, memory_order_release);
  g_source_attach (source, context);
  g_source_unref (source);
  g_main_context_unref (context);
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
