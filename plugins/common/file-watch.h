/* keeprolling - how large is the file that somebody else writes?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "plugins/common/growth.h"

G_BEGIN_DECLS

/**
 * KrFileWatch:
 *
 * Looks at a file from outside, with stat(), as the one who later plays it would: by its path.
 * POSIX; a look blocks as long as the file system does, so it belongs on a thread of its own,
 * never on a streaming thread. Not locked inside: one thread at a time.
 */
typedef struct _KrFileWatch KrFileWatch;

/* Watches the one file at @path. */
KrFileWatch *kr_file_watch_new_path (const char *path);

/* Watches whichever file of @pattern is written at present. The last component of @pattern is
 * a glob(7) pattern; the folder before it is taken literally. A file that was modified since
 * the last look and is not the one watched so far begins a new generation. */
KrFileWatch *kr_file_watch_new_pattern (const char *pattern);

/* Watches the files that the writer announces with kr_file_watch_follow(); none as yet. */
KrFileWatch *kr_file_watch_new_follow (void);

void kr_file_watch_free (KrFileWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrFileWatch, kr_file_watch_free)

/* The writer has opened @path (NULL: has closed its file and opened no other) as its
 * @generation-th. Repeating the same generation does nothing. Such a file may be renamed by its
 * writer before the news of it arrives: it counts as present as long as any name leads to it.
 */
void kr_file_watch_follow (KrFileWatch *watch, const char *path, guint64 generation);

/* Fills in the file's part of @sample: file, file_device, file_inode, file_bytes, generation.
 * What cannot grow by its nature (a device, a FIFO) is reported as unwatched. When the look
 * itself fails (EIO, EACCES), what was seen last is reported again. */
void kr_file_watch_look (KrFileWatch *watch, KrGrowthSample *sample);

/* The path of the file seen last, the pattern if there is none yet, NULL if nothing is known.
 * Valid until the next call. */
const char *kr_file_watch_path (const KrFileWatch *watch);

/* Whether @text holds an unescaped wildcard of glob(7). */
gboolean kr_file_watch_is_pattern (const char *text);

/* The pattern for files that are numbered by a printf conversion, as "seg%05d.ts" of
 * splitmuxsink, hlssink2 and multifilesink: "seg*.ts". NULL if @name_template has no such
 * conversion in its last component (transfer full). */
char *kr_file_watch_pattern_from_printf (const char *name_template);

G_END_DECLS
