/* keeprolling - what the supervisor asks of disks, on other threads
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/disk-job.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/common/recovery.h"
#include "plugins/common/segment-name.h"

typedef struct {
  GPtrArray *paths;
  void (*run) (GTask *task); /* on the thread */
  KrRescueFunc rescued;
  KrMeasureFunc measured;
  KrLeftoversFunc counted;
  gpointer data;
} Job;

static void
job_free (gpointer data)
{
  Job *job = data;

  g_ptr_array_unref (job->paths);
  g_free (job);
}

/* A thread for each: GTask's pool is small, and one dead disk would fill it. */
static gpointer
run_thread (gpointer data)
{
  g_autoptr (GTask) task = data;
  Job *job = g_task_get_task_data (task);

  job->run (task);
  return NULL;
}

static void
start (GPtrArray *paths, GCancellable *cancellable, Job *job, GAsyncReadyCallback done)
{
  GTask *task = g_task_new (NULL, cancellable, done, NULL);
  g_autoptr (GThread) thread = NULL;

  job->paths = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < paths->len; i++)
    g_ptr_array_add (job->paths, g_strdup (paths->pdata[i]));
  g_task_set_task_data (task, job, job_free);
  g_task_set_check_cancellable (task, FALSE);
  thread = g_thread_try_new ("disk-job", run_thread, task, NULL);
  if (thread == NULL) /* no more threads: then there is no answer, as from a dead disk */
    g_object_unref (task);
}

/* --- rescue ---------------------------------------------------------------------------- */

static void
rescued_free (gpointer data)
{
  KrRescued *rescued = data;

  g_free (rescued->temp_path);
  g_free (rescued->path);
  g_free (rescued->detail);
  g_free (rescued);
}

static void
on_found (const KrRecovered *found, gpointer data)
{
  GPtrArray *list = data;
  KrRescued *rescued;

  if (found->action == KR_RECOVERY_LIVE)
    return;
  rescued = g_new0 (KrRescued, 1);
  rescued->temp_path = g_strdup (found->temp_path);
  rescued->path = g_strdup (found->path);
  rescued->action = kr_recovery_action_name (found->action);
  rescued->detail = found->action == KR_RECOVERY_FAILED
                        ? kr_io_error_text (&found->error, found->temp_path)
                        : g_strdup (found->detail != NULL ? found->detail : "");
  rescued->bytes = found->bytes;
  g_ptr_array_add (list, rescued);
}

static void
run_rescue (GTask *task)
{
  Job *job = g_task_get_task_data (task);
  GPtrArray *list = g_ptr_array_new_with_free_func (rescued_free);
  KrRecoveryOptions options = {0};
  struct stat st;

  for (guint i = 0; i < job->paths->len; i++) {
    if (lstat (job->paths->pdata[i], &st) == 0)
      kr_recover_file (job->paths->pdata[i], &options, on_found, list);
  }
  g_task_return_pointer (task, list, (GDestroyNotify)g_ptr_array_unref);
}

static void
on_rescued (GObject *object, GAsyncResult *result, gpointer data)
{
  GTask *task = G_TASK (result);
  Job *job = g_task_get_task_data (task);
  g_autoptr (GPtrArray) list = g_task_propagate_pointer (task, NULL);

  if (!g_cancellable_is_cancelled (g_task_get_cancellable (task)))
    job->rescued (list, job->data);
}

void
kr_disk_job_rescue (GPtrArray *temp_paths, GCancellable *cancellable, KrRescueFunc done,
                    gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->rescued = done;
  job->data = data;
  job->run = run_rescue;
  start (temp_paths, cancellable, job, on_rescued);
}

/* --- measure --------------------------------------------------------------------------- */

static void
run_measure (GTask *task)
{
  Job *job = g_task_get_task_data (task);
  gint64 bytes = 0;
  struct stat st;

  for (guint i = 0; i < job->paths->len; i++) {
    if (stat (job->paths->pdata[i], &st) == 0)
      bytes += st.st_size;
  }
  g_task_return_int (task, (gssize)bytes);
}

static void
on_measured (GObject *object, GAsyncResult *result, gpointer data)
{
  GTask *task = G_TASK (result);
  Job *job = g_task_get_task_data (task);
  gssize bytes = g_task_propagate_int (task, NULL);

  if (!g_cancellable_is_cancelled (g_task_get_cancellable (task)))
    job->measured ((guint64)bytes, job->data);
}

void
kr_disk_job_measure (GPtrArray *paths, GCancellable *cancellable, KrMeasureFunc done,
                     gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->measured = done;
  job->data = data;
  job->run = run_measure;
  start (paths, cancellable, job, on_measured);
}

/* --- leftovers ------------------------------------------------------------------------- */

/* A folder may hold a million finished files, but has hardly more unfinished ones than that. */
#define MAX_LEFTOVERS 10000

typedef struct {
  guint count;
  gint64 oldest_utc_us;
} Leftovers;

/* What was written to lately is being written, or recovered right now; trying its lock could
 * get in the way of that. */
#define LEFTOVER_MIN_AGE_US (10 * G_TIME_SPAN_MINUTE)

/* Its writer holds the lock as long as it lives. */
static gboolean
is_held (int fd)
{
  return flock (fd, LOCK_SH | LOCK_NB) != 0;
}

static void
look_at (Leftovers *leftovers, const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  int fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;

  if (fd < 0)
    return;
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode) &&
      g_get_real_time () - st.st_mtim.tv_sec * G_TIME_SPAN_SECOND > LEFTOVER_MIN_AGE_US &&
      !is_held (fd)) {
    gint64 changed = (gint64)st.st_mtim.tv_sec * G_TIME_SPAN_SECOND;

    leftovers->count++;
    if (leftovers->oldest_utc_us == 0 || changed < leftovers->oldest_utc_us)
      leftovers->oldest_utc_us = changed;
  }
  close (fd);
}

static void
run_leftovers (GTask *task)
{
  Job *job = g_task_get_task_data (task);
  Leftovers *leftovers = g_new0 (Leftovers, 1);

  for (guint i = 0; i < job->paths->len; i++) {
    g_autoptr (GDir) dir = g_dir_open (job->paths->pdata[i], 0, NULL);
    const char *name;

    while (dir != NULL && leftovers->count < MAX_LEFTOVERS &&
           (name = g_dir_read_name (dir)) != NULL) {
      g_autofree char *final = kr_segment_final_path (name);

      if (final != NULL)
        look_at (leftovers, job->paths->pdata[i], name);
    }
  }
  g_task_return_pointer (task, leftovers, g_free);
}

static void
on_leftovers (GObject *object, GAsyncResult *result, gpointer data)
{
  GTask *task = G_TASK (result);
  Job *job = g_task_get_task_data (task);
  g_autofree Leftovers *leftovers = g_task_propagate_pointer (task, NULL);

  if (!g_cancellable_is_cancelled (g_task_get_cancellable (task)))
    job->counted (leftovers->count, leftovers->oldest_utc_us, job->data);
}

void
kr_disk_job_leftovers (GPtrArray *folders, GCancellable *cancellable, KrLeftoversFunc done,
                       gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->counted = done;
  job->data = data;
  job->run = run_leftovers;
  start (folders, cancellable, job, on_leftovers);
}
