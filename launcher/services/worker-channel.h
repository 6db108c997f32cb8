/* keeprolling - the line between the supervisor and a worker
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/report.h"
#include "launcher/core/worker-event.h"

#include <glib.h>

G_BEGIN_DECLS

/* JSON objects, one per line, over a socket pair. This is the only place that knows what they
 * look like. Neither side trusts the other's bytes: a line that makes no sense is a GError and
 * the next line is read as if nothing had happened.
 *
 *   supervisor -> worker   config {path, text, set{}, instance}; stop
 *   worker -> supervisor   hello {pid, version, instance}; report {pipelines[], rss,
 * io_age_us}; event {pipeline, kind, text, details{}}; bye {code}
 */

/* The descriptor on which a worker finds its end of the line. */
#define KR_WORKER_CHANNEL_FD 3
/* Longest line in bytes, the newline included. */
#define KR_WORKER_CHANNEL_MAX_LINE (1024 * 1024)
/* What may wait unsent before kr_worker_channel_send() refuses, in bytes. */
#define KR_WORKER_CHANNEL_MAX_QUEUE (2 * KR_WORKER_CHANNEL_MAX_LINE)

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

typedef struct _KrWorkerChannel KrWorkerChannel;

/* All are called from the main context that was thread-default when the channel was made. The
 * channel may be freed in any of them. */
typedef struct {
  /* @message is the channel's. */
  void (*message) (KrWorkerChannel *channel, const KrWorkerMessage *message, gpointer data);
  /* A line was no message; the channel goes on with the next one. May be NULL. */
  void (*garbled) (KrWorkerChannel *channel, const GError *error, gpointer data);
  /* The other side is gone (@error is NULL) or the socket broke. Called once, the last. */
  void (*closed) (KrWorkerChannel *channel, const GError *error, gpointer data);
} KrWorkerChannelCallbacks;

/**
 * kr_worker_channel_pair:
 * @ret_ours: (out): the supervisor's end, close-on-exec
 * @ret_theirs: (out): the worker's end, close-on-exec too: dup it to KR_WORKER_CHANNEL_FD
 *
 * Returns: FALSE and sets @error if the system has no more descriptors
 */
gboolean kr_worker_channel_pair (int *ret_ours, int *ret_theirs, GError **error);

/**
 * kr_worker_channel_new:
 * @fd: a stream socket; the channel owns it from now on and makes it non-blocking
 * @callbacks: static
 * @data: for the callbacks
 *
 * Reads at most 64 KiB per turn of the main loop, so that a side that floods the line cannot
 * keep the rest of the process from its work.
 *
 * Returns: (transfer full): a channel
 */
KrWorkerChannel *kr_worker_channel_new (int fd, const KrWorkerChannelCallbacks *callbacks,
                                        gpointer data);
void kr_worker_channel_free (KrWorkerChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrWorkerChannel, kr_worker_channel_free)

/**
 * kr_worker_channel_send:
 * @channel: a channel
 * @message: what to say
 * @error: KR_WORKER_CHANNEL_ERROR_TOO_LONG, _FULL or _CLOSED
 *
 * Never waits: what the socket does not take is queued, up to KR_WORKER_CHANNEL_MAX_QUEUE. A
 * refused report may simply be dropped; the next one says more.
 *
 * Returns: TRUE if the message is sent or queued
 */
gboolean kr_worker_channel_send (KrWorkerChannel *channel, const KrWorkerMessage *message,
                                 GError **error);

/**
 * kr_worker_channel_flush:
 * @channel: a channel
 * @timeout_ms: how long it may take
 *
 * Waits until what is queued is with the kernel. For a worker's last words before it exits;
 * the supervisor never calls it.
 *
 * Returns: TRUE if nothing is left in the queue
 */
gboolean kr_worker_channel_flush (KrWorkerChannel *channel, int timeout_ms);

G_END_DECLS
