/* keeprolling - a file that is complete once it has its name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#include <sys/uio.h>

G_BEGIN_DECLS

/* POSIX only; blocks on the disk: never call it on a streaming thread. Not locked inside: one
 * thread at a time. docs/durability.md states what is promised. */

/* What an error of the system means for a recording. */
typedef enum {
  KR_IO_NONE,
  KR_IO_FULL,   /* ENOSPC, EDQUOT, EFBIG: space may come back */
  KR_IO_EXISTS, /* the name is taken and on-exists says not to number */
  KR_IO_CONFIG, /* a path that cannot work: EXDEV, ENOTDIR, ENAMETOOLONG, EROFS, EACCES... */
  KR_IO_FAILED, /* EIO and all the rest: what was handed over may be lost */
} KrIoClass;

typedef struct {
  int code;              /* errno, 0 = no error */
  const char *operation; /* static: "write", "fsync", "rename"... NULL = no error */
} KrIoError;

KrIoClass kr_io_error_class (const KrIoError *error);
/* "cannot write /x/a.recording.ts: No space left on device (ENOSPC)" (transfer full). */
char *kr_io_error_text (const KrIoError *error, const char *path);

typedef enum {
  KR_ON_EXISTS_NUMBER, /* take the first free NAME-2.EXT, NAME-3.EXT... */
  KR_ON_EXISTS_ERROR,
} KrOnExists;

typedef struct _KrAtomicFile KrAtomicFile;

/* Makes the folders of @final_path as needed (each synced into its parent), and creates the
 * temporary file, locked, its entry in the folder synced. */
KrAtomicFile *kr_atomic_file_create (const char *final_path, KrOnExists on_exists,
                                     KrIoError *ret_error);

/* The names; the final one may differ from what was asked for, and may change once more in
 * kr_atomic_file_finalise() when somebody took it meanwhile. */
const char *kr_atomic_file_path (const KrAtomicFile *file);
const char *kr_atomic_file_temp_path (const KrAtomicFile *file);
int kr_atomic_file_fd (const KrAtomicFile *file);
guint64 kr_atomic_file_size (const KrAtomicFile *file);

/* Writes all of @iov at @offset (pwritev in a loop). *@ret_written says how much arrived, also
 * on failure; *@ret_calls (optional) is increased by the number of system calls. */
gboolean kr_atomic_file_write (KrAtomicFile *file, guint64 offset, struct iovec *iov,
                               guint n_iov, gsize *ret_written, guint *ret_calls,
                               KrIoError *ret_error);
gboolean kr_atomic_file_truncate (KrAtomicFile *file, guint64 size, KrIoError *ret_error);
/* fdatasync. After a failure the kernel has forgotten what it could not write: never ask again
 * and believe the answer. */
gboolean kr_atomic_file_sync (KrAtomicFile *file, KrIoError *ret_error);
/* fsync of the file of descriptor @fd, or of a folder; TRUE where a file system cannot sync
 * folders, with *@ret_supported FALSE. */
gboolean kr_sync_folder (int fd, gboolean *ret_supported, KrIoError *ret_error);
/* Hints, without effect on what is promised; errors do not matter. Begin to write these bytes
 * to the disk, without waiting. */
void kr_atomic_file_start_writeback (KrAtomicFile *file, guint64 offset, guint64 size);
/* These bytes are synced and will hardly be read soon: their cache may go. */
void kr_atomic_file_drop_cache (KrAtomicFile *file, guint64 offset, guint64 size);
/* Bytes free for us on the file's file system. */
gboolean kr_atomic_file_free_space (const KrAtomicFile *file, guint64 *ret_bytes);

/* How a file ended. */
typedef struct {
  gboolean renamed; /* it has its final name */
  gboolean durable; /* file and folder are synced: it survives the power */
  KrIoError error;  /* what went wrong, if anything */
} KrFinaliseResult;

/* Renames without overwriting, syncs the folder, closes and frees @file. @synced: the caller
 * has just synced the data with success; without it the name comes all the same, but nothing is
 * called durable. *@ret_path (optional, transfer full) is the name the file has now. */
KrFinaliseResult kr_atomic_file_finalise (KrAtomicFile *file, gboolean synced, char **ret_path);
/* Closes and frees @file; it keeps its temporary name. Recovery will find it. */
void kr_atomic_file_abandon (KrAtomicFile *file);
/* Removes, closes and frees an empty @file; one with data is abandoned instead. */
void kr_atomic_file_discard (KrAtomicFile *file);

/* renameat2(RENAME_NOREPLACE), or linkat() and unlinkat() where the file system has no such
 * thing. FALSE with EEXIST if @to is taken by another inode; TRUE if it is the same inode
 * already (a rename on NFS may fail and have happened). */
gboolean kr_rename_noreplace (int folder, const char *from, const char *to,
                              KrIoError *ret_error);

G_END_DECLS
