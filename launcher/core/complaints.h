/* keeprolling - which warnings of elements are worth a line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Elements may warn a hundred times a second (srtsrc does while a passphrase is wrong), with
 * the same words or with ever new ones. The same words are said again only after a while, and
 * new ones not faster than a reader can follow. */
typedef struct _KrComplaints KrComplaints;

/* The same words are news again after this. */
#define KR_COMPLAINTS_REPEAT_US (30 * G_TIME_SPAN_MINUTE)
/* At most so many lines a minute, whatever the words. */
#define KR_COMPLAINTS_PER_MINUTE 6
/* So many texts are told apart; the one that was said longest ago makes room. */
#define KR_COMPLAINTS_MAX 16

KrComplaints *kr_complaints_new (void);
void kr_complaints_free (KrComplaints *complaints);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrComplaints, kr_complaints_free)

/**
 * kr_complaints_take:
 * @text: what was said
 * @now: monotonic microseconds
 * @ret_unsaid: (out): how often these words were kept back since they were last said; untouched
 *   when FALSE is returned
 *
 * Returns: whether to say it
 */
gboolean kr_complaints_take (KrComplaints *complaints, const char *text, gint64 now,
                             guint64 *ret_unsaid);

G_END_DECLS
