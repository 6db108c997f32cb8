/* keeprolling - the line between the supervisor and a worker
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/services/worker-message.h"

G_BEGIN_DECLS

/* The descriptor on which a worker finds its end of the line. */
#define KR_WORKER_CHANNEL_FD 3
/* What may wait unsent before kr_worker_channel_send() refuses, in bytes. */
#define KR_WORKER_CHANNEL_MAX_QUEUE (2 * KR_WORKER_CHANNEL_MAX_LINE)

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
 * kr_worker_channel_detach:
 * @channel: a channel
 * @ret_rest: (out) (transfer full): what has been read of a line whose end has not come yet
 *
 * Lets go of the socket for another channel, which begins with kr_worker_channel_restore().
 * @channel can only be freed afterwards.
 *
 * Returns: the socket, or -1 if it is closed or something waits to be sent: nothing changes
 * then
 */
int kr_worker_channel_detach (KrWorkerChannel *channel, GBytes **ret_rest);
gboolean kr_worker_channel_can_detach (const KrWorkerChannel *channel);
/* Before anything is read. */
void kr_worker_channel_restore (KrWorkerChannel *channel, GBytes *rest);

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
