/* keeprolling - what the supervisor asks of disks, on other threads
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A disk may answer after an hour. The supervisor's main thread never waits for one: each job
 * runs on a thread of its own, and the answer comes back to the main context, if it comes. */

/* One leftover and what became of it. */
typedef struct {
  char *temp_path;
  char *path;         /* NULL = gone */
  const char *action; /* static: "finalised", "quarantined", "removed", "failed" */
  char *detail;
  guint64 bytes;
} KrRescued;

/* @rescued: (element-type KrRescued): those that were there and not locked */
typedef void (*KrRescueFunc) (GPtrArray *rescued, gpointer data);

/**
 * kr_disk_job_rescue:
 * @temp_paths: (element-type filename): temporary files of a worker that is dead
 * @cancellable: cancel it and @done is not called
 * @done: called in the main context
 *
 * Gives what a dead worker left behind its final name, unless its successor has done so.
 */
void kr_disk_job_rescue (GPtrArray *temp_paths, GCancellable *cancellable, KrRescueFunc done,
                         gpointer data);

/* @bytes: the sum of the sizes; files that are not there count nothing */
typedef void (*KrMeasureFunc) (guint64 bytes, gpointer data);

/**
 * kr_disk_job_measure:
 * @paths: (element-type filename): files
 * @cancellable: cancel it and @done is not called
 * @done: called in the main context
 *
 * Looks how large some files are: whether a worker that does not report still writes.
 */
void kr_disk_job_measure (GPtrArray *paths, GCancellable *cancellable, KrMeasureFunc done,
                          gpointer data);

/* @count: unfinished files that nobody holds; @oldest_utc_us: last change of the oldest, 0 =
 * none */
typedef void (*KrLeftoversFunc) (guint count, gint64 oldest_utc_us, gpointer data);

/**
 * kr_disk_job_leftovers:
 * @folders: (element-type filename): where recordings are written
 * @cancellable: cancel it and @done is not called
 * @done: called in the main context
 *
 * Looks for temporary files of dead instances that are older than ten minutes: there should be
 * none, so they tell that recovery does not work. Changes nothing.
 */
void kr_disk_job_leftovers (GPtrArray *folders, GCancellable *cancellable, KrLeftoversFunc done,
                            gpointer data);

G_END_DECLS
