/* keeprolling - what is worth waking somebody for
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The kinds of webhook messages. What happened exactly stands in details.event, with the words
 * of the history. */
typedef enum {
  KR_NOTICE_STALL,       /* nothing is recorded any more: stalled, failed or given up */
  KR_NOTICE_RECOVERED,   /* it records again, or a leftover file was rescued */
  KR_NOTICE_RESTART,     /* a pipeline or a crashed worker is started again */
  KR_NOTICE_REPLACEMENT, /* an unhealthy or hung worker is being replaced */
  KR_NOTICE_HANDOVER,    /* a new worker has taken over, or could not */
  KR_NOTICE_DISK,        /* full, back, or failing */
  KR_NOTICE_RECONNECT,   /* a silent source is being reconnected */
  KR_N_NOTICES
} KrNoticeKind;

/* "stall", "recovered", ... */
const char *kr_notice_kind_name (KrNoticeKind kind);

/**
 * kr_notice_kind_for_event:
 * @event: a word of the history, such as "crash"
 * @ret_kind: (out): the kind; untouched on failure
 *
 * Returns: FALSE if nobody needs to hear of it
 */
gboolean kr_notice_kind_for_event (const char *event, KrNoticeKind *ret_kind);

/* Bytes of a text at most; more is cut. */
#define KR_NOTICE_MAX_TEXT 600

/**
 * kr_notice_text:
 * @file: name of the file
 * @pipeline: name of the pipeline, "" = the worker as a whole
 * @text: what happened, free of secrets
 *
 * One line that says by itself what it is about: "cam1/record: source silent for 1.0 s". With
 * &, < and > escaped as Slack's documentation ("Formatting text for app surfaces") asks, so
 * that no text can call a whole channel.
 *
 * Returns: (transfer full): valid UTF-8 without control characters
 */
char *kr_notice_text (const char *file, const char *pipeline, const char *text);

/* Keeps a source that comes and goes all night from filling somebody's telephone: of each kind
 * for each pipeline so many pass within a time, and the next one that passes says how many were
 * left out. */
#define KR_NOTICE_BURST     6
#define KR_NOTICE_WINDOW_US (60 * G_TIME_SPAN_SECOND)

typedef struct _KrNoticeGate KrNoticeGate;

KrNoticeGate *kr_notice_gate_new (void);
void kr_notice_gate_free (KrNoticeGate *gate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrNoticeGate, kr_notice_gate_free)

/**
 * kr_notice_gate_pass:
 * @now: monotonic microseconds
 * @ret_left_out: (out): how many like it were left out since the last that passed
 *
 * Returns: whether this one passes; it is counted if not
 */
gboolean kr_notice_gate_pass (KrNoticeGate *gate, const char *file, const char *pipeline,
                              KrNoticeKind kind, gint64 now, guint *ret_left_out);

G_END_DECLS
