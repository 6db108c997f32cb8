/* keeprolling - one worker, seen from the supervisor
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/worker-process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A dead worker's last words are in the socket already; only a child of its own that kept the
 * descriptor open could keep the line from ending. */
#define LAST_WORDS_MS 500

struct _KrWorkerProcess {
  const KrWorkerProcessCallbacks *callbacks;
  gpointer data;
  GPid pid; /* 0 = reaped */
  KrWorkerChannel *channel;
  guint watch_id;
  guint last_words_id;
  gboolean line_ended;
  int status; /* as waitpid() has it */
};

char *
kr_own_program (void)
{
  static const char deleted[] = " (deleted)";
  char *path = g_file_read_link ("/proc/self/exe", NULL);

  if (path == NULL)
    return g_strdup ("keeprolling");
  if (g_str_has_suffix (path, deleted))
    path[strlen (path) - strlen (deleted)] = '\0';
  return path;
}

static void
report_exit (KrWorkerProcess *process)
{
  int status = process->status;
  int signal = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  int code = WIFEXITED (status) ? WEXITSTATUS (status) : 0;

  g_clear_handle_id (&process->last_words_id, g_source_remove);
  process->callbacks->exited (process, code, signal, process->data);
}

static gboolean
on_last_words_timeout (gpointer data)
{
  KrWorkerProcess *process = data;

  process->last_words_id = 0;
  report_exit (process);
  return G_SOURCE_REMOVE;
}

static void
on_child_exit (GPid pid, int status, gpointer data)
{
  KrWorkerProcess *process = data;

  process->watch_id = 0;
  process->pid = 0;
  process->status = status;
  if (process->line_ended)
    report_exit (process);
  else
    process->last_words_id = g_timeout_add (LAST_WORDS_MS, on_last_words_timeout, process);
}

static void
on_message (KrWorkerChannel *channel, const KrWorkerMessage *message, gpointer data)
{
  KrWorkerProcess *process = data;

  process->callbacks->message (process, message, process->data);
}

static void
on_garbled (KrWorkerChannel *channel, const GError *error, gpointer data)
{
  KrWorkerProcess *process = data;

  process->callbacks->garbled (process, error, process->data);
}

static void
on_closed (KrWorkerChannel *channel, const GError *error, gpointer data)
{
  KrWorkerProcess *process = data;

  process->line_ended = TRUE;
  /* Alive without a line it sends no more reports, and that is what it is judged by. */
  if (process->pid == 0)
    report_exit (process);
}

static const KrWorkerChannelCallbacks channel_callbacks = {
    .message = on_message,
    .garbled = on_garbled,
    .closed = on_closed,
};

/* Called in the child between fork and exec: async-signal-safe functions alone. */
static void
set_up_child (gpointer data)
{
  setpgid (0, 0);
}

static gboolean
spawn (KrWorkerProcess *process, int their_fd, GError **error)
{
  g_autofree char *own = kr_own_program ();
  const char *program = g_getenv ("KEEPROLLING_WORKER");
  const char *argv[] = {program != NULL ? program : own, "worker", NULL};
  const int source_fds[] = {their_fd};
  const int target_fds[] = {KR_WORKER_CHANNEL_FD};

  return g_spawn_async_with_pipes_and_fds (
      NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, set_up_child, NULL, -1, -1, -1, source_fds,
      target_fds, 1, &process->pid, NULL, NULL, NULL, error);
}

KrWorkerProcess *
kr_worker_process_spawn (const KrWorkerMessage *config,
                         const KrWorkerProcessCallbacks *callbacks, gpointer data,
                         GError **error)
{
  g_autofree KrWorkerProcess *process = g_new0 (KrWorkerProcess, 1);
  int ours, theirs;
  gboolean fine;

  if (!kr_worker_channel_pair (&ours, &theirs, error))
    return NULL;
  fine = spawn (process, theirs, error);
  close (theirs);
  if (!fine) {
    close (ours);
    return NULL;
  }
  process->callbacks = callbacks;
  process->data = data;
  process->channel = kr_worker_channel_new (ours, &channel_callbacks, process);
  process->watch_id = g_child_watch_add (process->pid, on_child_exit, process);
  if (!kr_worker_channel_send (process->channel, config, error)) {
    kill (process->pid, SIGKILL);
    kr_worker_process_free (g_steal_pointer (&process));
    return NULL;
  }
  return g_steal_pointer (&process);
}

gboolean
kr_worker_process_can_detach (const KrWorkerProcess *process)
{
  return process->pid != 0 && !process->line_ended &&
         kr_worker_channel_can_detach (process->channel);
}

gboolean
kr_worker_process_detach (KrWorkerProcess *process, int *ret_fd, GBytes **ret_rest)
{
  int fd;

  if (!kr_worker_process_can_detach (process))
    return FALSE;
  fd = kr_worker_channel_detach (process->channel, ret_rest);
  g_return_val_if_fail (fd >= 0, FALSE);
  *ret_fd = fd;
  g_clear_handle_id (&process->watch_id, g_source_remove);
  process->pid = 0;
  return TRUE;
}

KrWorkerProcess *
kr_worker_process_adopt (gint64 pid, int fd, GBytes *rest,
                         const KrWorkerProcessCallbacks *callbacks, gpointer data)
{
  KrWorkerProcess *process = g_new0 (KrWorkerProcess, 1);

  process->callbacks = callbacks;
  process->data = data;
  process->pid = (GPid)pid;
  process->channel = kr_worker_channel_new (fd, &channel_callbacks, process);
  kr_worker_channel_restore (process->channel, rest);
  /* It may have died meanwhile: then this tells at once. */
  process->watch_id = g_child_watch_add (process->pid, on_child_exit, process);
  return process;
}

/* Somebody has to reap a child that nobody watches any more. */
static void
on_forgotten_exit (GPid pid, int status, gpointer data)
{
}

void
kr_worker_process_free (KrWorkerProcess *process)
{
  if (process == NULL)
    return;
  g_clear_handle_id (&process->last_words_id, g_source_remove);
  g_clear_handle_id (&process->watch_id, g_source_remove);
  if (process->pid != 0)
    g_child_watch_add (process->pid, on_forgotten_exit, NULL);
  kr_worker_channel_free (process->channel);
  g_free (process);
}

gint64
kr_worker_process_get_pid (const KrWorkerProcess *process)
{
  return process->pid;
}

void
kr_worker_process_stop (KrWorkerProcess *process)
{
  g_autoptr (KrWorkerMessage) stop = kr_worker_message_new (KR_WORKER_MESSAGE_STOP);

  if (process->pid != 0 && !kr_worker_channel_send (process->channel, stop, NULL))
    kill (process->pid, SIGTERM);
}

void
kr_worker_process_kill (KrWorkerProcess *process)
{
  /* Not reaped yet, so the number cannot be somebody else's. */
  if (process->pid != 0)
    kill (process->pid, SIGKILL);
}

/* The fields of /proc/PID/stat behind the name in brackets: proc(5). */
void
kr_worker_process_get_usage (const KrWorkerProcess *process, KrProcessUsage *ret_usage)
{
  char path[64];
  g_autofree char *text = NULL;
  const char *rest;
  unsigned long utime, stime;
  long rss;

  memset (ret_usage, 0, sizeof *ret_usage);
  if (process->pid == 0)
    return;
  g_snprintf (path, sizeof path, "/proc/%d/stat", (int)process->pid);
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return;
  rest = strrchr (text, ')');
  if (rest == NULL ||
      sscanf (
          rest + 1,
          " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u "
          "%*u %ld",
          &utime, &stime, &rss) != 3)
    return;
  ret_usage->known = TRUE;
  ret_usage->cpu_s = (double)(utime + stime) / (double)sysconf (_SC_CLK_TCK);
  ret_usage->rss = (guint64)MAX (rss, 0) * (guint64)sysconf (_SC_PAGESIZE);
}

/* Time on a processor and time waiting for one, in nanoseconds: Linux,
 * Documentation/scheduler/sched-stats.rst. */
void
kr_worker_process_get_time (const KrWorkerProcess *process, KrProcessTime *ret_time)
{
  char path[64];
  g_autofree char *text = NULL;
  char *rest;

  *ret_time = (KrProcessTime){0};
  if (process->pid == 0)
    return;
  g_snprintf (path, sizeof path, "/proc/%d/schedstat", (int)process->pid);
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return;
  ret_time->ran = (gint64)(g_ascii_strtoull (text, &rest, 10) / 1000);
  ret_time->starved = (gint64)(g_ascii_strtoull (rest, NULL, 10) / 1000);
}

guint
kr_worker_process_count_fds (const KrWorkerProcess *process)
{
  char path[64];
  g_autoptr (GDir) dir = NULL;
  guint n = 0;

  if (process->pid == 0)
    return 0;
  g_snprintf (path, sizeof path, "/proc/%d/fd", (int)process->pid);
  dir = g_dir_open (path, 0, NULL);
  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}
