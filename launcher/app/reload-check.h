/* keeprolling - the files that a reload finds, and whether they are right
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A file as it is on the disk now. */
typedef struct {
  char *path;
  char *name; /* its label */
  char *text;
} KrFoundFile;

/* @files: (element-type KrFoundFile) (transfer full): empty unless @code is KR_EXIT_OK; @text:
 * what people should read about it, "" = nothing. */
typedef void (*KrFilesFound) (GPtrArray *files, int code, const char *text, gpointer data);

/* @arguments: (array zero-terminated=1): files and folders. Looks on another thread; a disk may
 * be slow. Not called any more once @cancellable is cancelled. */
void kr_find_files (char **arguments, GCancellable *cancellable, KrFilesFound done,
                    gpointer data);

typedef void (*KrFilesChecked) (int code, const char *text, gpointer data);

/**
 * kr_check_files:
 * @paths: (array zero-terminated=1): the files
 * @values: --set values
 * @cancellable: ends it; @done is not called then
 * @done: gets what `keeprolling check` says, and its exit status
 *
 * In a process of its own, since elements are looked at and the supervisor keeps clear of
 * GStreamer: a plugin that crashes takes nothing along.
 */
void kr_check_files (const char *const *paths, GHashTable *values, GCancellable *cancellable,
                     KrFilesChecked done, gpointer data);

/* The environment with the --set values, where they beat [Variables] just the same: what is on
 * a command line anybody on the machine can read. (transfer full) */
char **kr_check_environment (GHashTable *values);

G_END_DECLS
