/* keeprolling - work that may block, away from the main thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A state change can block for as long as an element likes, for ever if it has a bug. So each
 * runs in a thread of its own that can be left behind: a pool would fill up with stuck ones. */
typedef struct _KrJob KrJob;

/* Runs in the job's thread. */
typedef int (*KrJobFunc) (gpointer data);
/* Runs in the main context that was thread-default at kr_job_start(). The job is gone after
 * it. */
typedef void (*KrJobDone) (int result, gpointer user_data);

/**
 * kr_job_start:
 * @name: (not nullable): what the thread is called, at most 15 characters
 * @func: the work
 * @data: for @func
 * @free_data: (nullable): called with @data in the thread after @func, however late that is
 * @done: (nullable): told about the result unless the job was left behind before
 * @user_data: for @done
 *
 * Returns: (transfer none) (nullable): a handle that is good until @done or kr_job_leave();
 *   NULL if the system gave no thread, in which case nothing is called, not even @free_data
 */
KrJob *kr_job_start (const char *name, KrJobFunc func, gpointer data, GDestroyNotify free_data,
                     KrJobDone done, gpointer user_data);

/* Nobody waits for @job any more: it runs to its end, if it has one, and tells nobody. */
void kr_job_leave (KrJob *job);

G_END_DECLS
