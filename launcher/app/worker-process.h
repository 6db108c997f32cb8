/* keeprolling - one worker, seen from the supervisor
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/services/worker-channel.h"

G_BEGIN_DECLS

/* A child process and the line to it. Main thread only; nothing here waits. */

typedef struct _KrWorkerProcess KrWorkerProcess;

typedef struct {
  void (*message) (KrWorkerProcess *process, const KrWorkerMessage *message, gpointer data);
  /* A line that was no message. */
  void (*garbled) (KrWorkerProcess *process, const GError *error, gpointer data);
  /* It is gone, and all it had to say has been heard. The last callback; it may free the
   * process. @signal is 0 if it ended by itself with @code. */
  void (*exited) (KrWorkerProcess *process, int code, int signal, gpointer data);
} KrWorkerProcessCallbacks;

/* What the kernel knows about it. */
typedef struct {
  gboolean known;
  guint64 rss;  /* bytes */
  double cpu_s; /* user and system */
} KrProcessUsage;

/**
 * kr_worker_process_spawn:
 * @config: what it is to run; sent down the line, so that no secret is on a command line
 * @callbacks: static
 * @data: for the callbacks
 * @error: why there is no process
 *
 * Starts this same program as a worker, or the one that the environment variable
 * KEEPROLLING_WORKER names (a wrapper that starts it under a debugger; a test double). The
 * worker gets a process group of its own: Ctrl-C is for the supervisor alone.
 *
 * Returns: (transfer full) (nullable): the process
 */
KrWorkerProcess *kr_worker_process_spawn (const KrWorkerMessage *config,
                                          const KrWorkerProcessCallbacks *callbacks,
                                          gpointer data, GError **error);

/* Frees what belongs to it; a living process is left to itself: the line is closed, so it
 * finishes its files and ends. */
void kr_worker_process_free (KrWorkerProcess *process);

/**
 * kr_worker_process_detach:
 * @ret_fd: (out): the line; whoever takes it over owns it
 * @ret_rest: (out) (transfer full): what was read of an unfinished message
 *
 * Lets go of a living worker without ending it or its line; it stays a child of this process.
 * @process can only be freed afterwards.
 *
 * Returns: FALSE if that is not possible now; nothing changes then
 */
gboolean kr_worker_process_detach (KrWorkerProcess *process, int *ret_fd, GBytes **ret_rest);

gboolean kr_worker_process_can_detach (const KrWorkerProcess *process);

/* The other side of it: @pid is a child of this process, @fd the line to it. */
KrWorkerProcess *kr_worker_process_adopt (gint64 pid, int fd, GBytes *rest,
                                          const KrWorkerProcessCallbacks *callbacks,
                                          gpointer data);

gint64 kr_worker_process_get_pid (const KrWorkerProcess *process);

/* Tells it to finish its files and end: over the line, or by SIGTERM if the line is stuck. */
void kr_worker_process_stop (KrWorkerProcess *process);
void kr_worker_process_kill (KrWorkerProcess *process);

void kr_worker_process_get_usage (const KrWorkerProcess *process, KrProcessUsage *ret_usage);
/* Of its main thread, in microseconds since its start; 0 if not known. */
typedef struct {
  gint64 ran;     /* on a processor */
  gint64 starved; /* wanting to run while others did */
} KrProcessTime;

void kr_worker_process_get_time (const KrWorkerProcess *process, KrProcessTime *ret_time);
/* 0 if not known. Reads a folder: not for every second. */
guint kr_worker_process_count_fds (const KrWorkerProcess *process);

/* Path of this program, also after the file was replaced by a newer one (transfer full). */
char *kr_own_program (void);

G_END_DECLS
