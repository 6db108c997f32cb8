/* keeprolling - messages that wait for somebody to take them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One endpoint's messages in their order: one is under way at a time, the others wait behind
 * it. Bounded: the oldest go first, since the newest say how things are now. Moments are
 * monotonic microseconds. Not thread-safe. */

#define KR_DELIVERY_MAX_MESSAGES 128
#define KR_DELIVERY_MAX_BYTES    (256 * 1024)
/* One message; a longer one is refused. */
#define KR_DELIVERY_MAX_MESSAGE (16 * 1024)
/* After a failure: 1 s doubling to 5 min, less up to half of it by chance, so that a fleet does
 * not come back all at once. What Retry-After asks for counts up to an hour. */
#define KR_DELIVERY_BACKOFF_US         (1 * G_TIME_SPAN_SECOND)
#define KR_DELIVERY_BACKOFF_MAX_US     (5 * G_TIME_SPAN_MINUTE)
#define KR_DELIVERY_RETRY_AFTER_MAX_US (1 * G_TIME_SPAN_HOUR)

typedef enum {
  KR_DELIVERY_DONE,    /* taken */
  KR_DELIVERY_RETRY,   /* not now: no answer, 3xx, 408, 429, 5xx */
  KR_DELIVERY_REFUSED, /* never: any other 4xx */
} KrDeliveryVerdict;

/* @http: the status; 0 = no answer */
KrDeliveryVerdict kr_delivery_judge (int http);

typedef struct _KrDeliveryQueue KrDeliveryQueue;

KrDeliveryQueue *kr_delivery_queue_new (void);
void kr_delivery_queue_free (KrDeliveryQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrDeliveryQueue, kr_delivery_queue_free)

/**
 * kr_delivery_queue_push:
 * @id: unique
 * @body: one line of text
 *
 * Returns: how many messages were dropped for it, itself included if it is too long
 */
guint kr_delivery_queue_push (KrDeliveryQueue *queue, const char *id, const char *body);

/* The same, before all others but the one under way: for what an earlier run has left. Only
 * while there is room; returns FALSE and drops it otherwise. Push the newest first. */
gboolean kr_delivery_queue_push_front (KrDeliveryQueue *queue, const char *id,
                                       const char *body);

/**
 * kr_delivery_queue_begin:
 * @now: the time
 * @ret_id: (out): of the message; the queue's, until kr_delivery_queue_end()
 * @ret_body: (out): likewise
 *
 * Returns: FALSE if none is due, or one is under way
 */
gboolean kr_delivery_queue_begin (KrDeliveryQueue *queue, gint64 now, const char **ret_id,
                                  const char **ret_body);

/**
 * kr_delivery_queue_end:
 * @http: the answer to the message under way; 0 = none
 * @retry_after_us: what it asks for, 0 = nothing
 * @random: from 0 to 1
 *
 * The message is gone if it was taken or refused, else it is the first of the next attempt.
 */
KrDeliveryVerdict kr_delivery_queue_end (KrDeliveryQueue *queue, int http,
                                         gint64 retry_after_us, gint64 now, double random);

/* When kr_delivery_queue_begin() has something: G_MAXINT64 = not before something else happens.
 */
gint64 kr_delivery_queue_next (const KrDeliveryQueue *queue);
guint kr_delivery_queue_length (const KrDeliveryQueue *queue);
gsize kr_delivery_queue_bytes (const KrDeliveryQueue *queue);
/* Attempts that failed since the last that did not. */
guint kr_delivery_queue_failures (const KrDeliveryQueue *queue);
/* All bodies, a line each, the oldest first (transfer full); "" if it is empty. */
char *kr_delivery_queue_to_text (const KrDeliveryQueue *queue);

G_END_DECLS
