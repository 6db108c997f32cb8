/* keeprolling - what the line between supervisor and worker carries
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/report.h"
#include "launcher/core/worker-event.h"

G_BEGIN_DECLS

/* JSON objects, one per line, over a socket pair. Only the files of this name know what they
 * look like. Neither side trusts the other's bytes: a line that makes no sense is a GError and
 * the next line is read as if nothing had happened.
 *
 *   supervisor -> worker   config {path, text, set{}, instance}; stop
 *   worker -> supervisor   hello {pid, version, instance}; report {pipelines[], rss,
 * io_age_us}; event {pipeline, kind, text, details{}}; bye {code}
 */

/* Longest line in bytes, the newline included. */
#define KR_WORKER_CHANNEL_MAX_LINE (1024 * 1024)

typedef enum {
  KR_WORKER_CHANNEL_ERROR_GARBLED,  /* a line that is no message */
  KR_WORKER_CHANNEL_ERROR_TOO_LONG, /* a line or message beyond KR_WORKER_CHANNEL_MAX_LINE */
  KR_WORKER_CHANNEL_ERROR_FULL,     /* the other side does not read: the queue is full */
  KR_WORKER_CHANNEL_ERROR_CLOSED,   /* the other side is gone */
} KrWorkerChannelError;

#define KR_WORKER_CHANNEL_ERROR (kr_worker_channel_error_quark ())
GQuark kr_worker_channel_error_quark (void);

typedef enum {
  KR_WORKER_MESSAGE_CONFIG,
  KR_WORKER_MESSAGE_STOP,
  KR_WORKER_MESSAGE_HELLO,
  KR_WORKER_MESSAGE_REPORT,
  KR_WORKER_MESSAGE_EVENT,
  KR_WORKER_MESSAGE_BYE,
  KR_N_WORKER_MESSAGES
} KrWorkerMessageType;

/* One message. Only the fields of its type mean anything; the others are 0 or NULL. All
 * strings are UTF-8; a file name that is not is sent with its bad bytes replaced. */
typedef struct {
  KrWorkerMessageType type;

  /* config; instance also in hello */
  char *path;
  char *text;
  GHashTable *set; /* char* -> char*, may be NULL */
  char *instance;

  /* hello */
  gint64 pid;
  char *version;

  /* report */
  GPtrArray *pipelines; /* of KrPipelineReport */
  guint64 rss;          /* bytes */
  gint64 io_age_us;     /* since the I/O threads made progress; < 0 = nothing to do */

  /* event; text also in config */
  char *pipeline; /* "" = the worker as a whole */
  KrWorkerEventKind kind;
  GVariant *details; /* a{sv} of b, x, d and s only; NULL = none */

  /* bye */
  int code;
} KrWorkerMessage;

/**
 * kr_worker_message_new:
 * @type: its type
 *
 * Returns: (transfer full): an empty message; fill in the fields of its type
 */
KrWorkerMessage *kr_worker_message_new (KrWorkerMessageType type);
void kr_worker_message_free (KrWorkerMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrWorkerMessage, kr_worker_message_free)

/* The messages of a worker, ready to send (transfer full). */
KrWorkerMessage *kr_worker_message_new_hello (gint64 pid, const char *version,
                                              const char *instance);
/* @reports: (element-type KrPipelineReport): copied */
KrWorkerMessage *kr_worker_message_new_report (GPtrArray *reports, guint64 rss,
                                               gint64 io_age_us);
/* @details: (nullable): a{sv}; a floating reference is taken */
KrWorkerMessage *kr_worker_message_new_event (const char *pipeline, KrWorkerEventKind kind,
                                              const char *text, GVariant *details);
KrWorkerMessage *kr_worker_message_new_bye (int code);
/* @set: (nullable): copied */
KrWorkerMessage *kr_worker_message_new_config (const char *path, const char *text,
                                               GHashTable *set, const char *instance);

/**
 * kr_worker_message_encode:
 * @message: a message
 * @error: KR_WORKER_CHANNEL_ERROR_TOO_LONG
 *
 * Returns: (transfer full) (nullable): one line, with its newline
 */
GBytes *kr_worker_message_encode (const KrWorkerMessage *message, GError **error);

/**
 * kr_worker_message_decode:
 * @line: (array length=length): a line, with or without its newline; any bytes at all
 * @error: KR_WORKER_CHANNEL_ERROR_GARBLED or _TOO_LONG, naming the field at fault
 *
 * Unknown fields are ignored, so that the two sides may differ by a version during a handover.
 *
 * Returns: (transfer full) (nullable): the message
 */
KrWorkerMessage *kr_worker_message_decode (const char *line, gsize length, GError **error);

G_END_DECLS
