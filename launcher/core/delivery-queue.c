/* keeprolling - messages that wait for somebody to take them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/delivery-queue.h"

#include <string.h>

typedef struct {
  char *id;
  char *body;
  gsize size;
} Message;

struct _KrDeliveryQueue {
  GQueue messages; /* of Message, the oldest first */
  gsize bytes;
  gboolean under_way; /* the first one */
  guint failures;
  gint64 not_before;
};

KrDeliveryVerdict
kr_delivery_judge (int http)
{
  if (http >= 200 && http <= 299)
    return KR_DELIVERY_DONE;
  if (http >= 400 && http <= 499 && http != 408 && http != 429)
    return KR_DELIVERY_REFUSED;
  return KR_DELIVERY_RETRY;
}

static void
message_free (Message *message)
{
  g_free (message->id);
  g_free (message->body);
  g_free (message);
}

static Message *
message_new (const char *id, const char *body)
{
  Message *message = g_new0 (Message, 1);

  message->id = g_strdup (id);
  message->body = g_strdup (body);
  message->size = strlen (body);
  return message;
}

KrDeliveryQueue *
kr_delivery_queue_new (void)
{
  KrDeliveryQueue *queue = g_new0 (KrDeliveryQueue, 1);

  g_queue_init (&queue->messages);
  queue->not_before = G_MININT64;
  return queue;
}

void
kr_delivery_queue_free (KrDeliveryQueue *queue)
{
  if (queue == NULL)
    return;
  g_queue_clear_full (&queue->messages, (GDestroyNotify)message_free);
  g_free (queue);
}

static gboolean
has_room (const KrDeliveryQueue *queue, gsize size)
{
  return queue->messages.length < KR_DELIVERY_MAX_MESSAGES &&
         queue->bytes + size <= KR_DELIVERY_MAX_BYTES;
}

static void
drop_nth (KrDeliveryQueue *queue, guint n)
{
  Message *message = g_queue_pop_nth (&queue->messages, n);

  queue->bytes -= message->size;
  message_free (message);
}

guint
kr_delivery_queue_push (KrDeliveryQueue *queue, const char *id, const char *body)
{
  gsize size = strlen (body);
  guint dropped = 0;

  if (size > KR_DELIVERY_MAX_MESSAGE)
    return 1;
  /* Two of the longest always fit, so the one under way is never in the way. */
  while (!has_room (queue, size)) {
    drop_nth (queue, queue->under_way ? 1 : 0);
    dropped++;
  }
  g_queue_push_tail (&queue->messages, message_new (id, body));
  queue->bytes += size;
  return dropped;
}

gboolean
kr_delivery_queue_push_front (KrDeliveryQueue *queue, const char *id, const char *body)
{
  gsize size = strlen (body);

  if (size > KR_DELIVERY_MAX_MESSAGE || !has_room (queue, size))
    return FALSE;
  g_queue_push_nth (&queue->messages, message_new (id, body), queue->under_way ? 1 : 0);
  queue->bytes += size;
  return TRUE;
}

gboolean
kr_delivery_queue_begin (KrDeliveryQueue *queue, gint64 now, const char **ret_id,
                         const char **ret_body)
{
  const Message *first = g_queue_peek_head (&queue->messages);

  if (first == NULL || queue->under_way || now < queue->not_before)
    return FALSE;
  queue->under_way = TRUE;
  *ret_id = first->id;
  *ret_body = first->body;
  return TRUE;
}

static gint64
backoff_us (guint failures, double random)
{
  gint64 longest = KR_DELIVERY_BACKOFF_US << MIN (failures - 1, 20);

  longest = MIN (longest, KR_DELIVERY_BACKOFF_MAX_US);
  return longest - (gint64)((double)longest / 2 * CLAMP (random, 0, 1));
}

KrDeliveryVerdict
kr_delivery_queue_end (KrDeliveryQueue *queue, int http, gint64 retry_after_us, gint64 now,
                       double random)
{
  KrDeliveryVerdict verdict = kr_delivery_judge (http);

  g_return_val_if_fail (queue->under_way, verdict);
  queue->under_way = FALSE;
  if (verdict == KR_DELIVERY_RETRY) {
    gint64 asked = CLAMP (retry_after_us, 0, KR_DELIVERY_RETRY_AFTER_MAX_US);

    queue->failures++;
    queue->not_before = now + MAX (backoff_us (queue->failures, random), asked);
    return verdict;
  }
  queue->failures = 0;
  queue->not_before = now;
  drop_nth (queue, 0);
  return verdict;
}

gint64
kr_delivery_queue_next (const KrDeliveryQueue *queue)
{
  if (queue->messages.length == 0 || queue->under_way)
    return G_MAXINT64;
  return queue->not_before;
}

guint
kr_delivery_queue_length (const KrDeliveryQueue *queue)
{
  return queue->messages.length;
}

gsize
kr_delivery_queue_bytes (const KrDeliveryQueue *queue)
{
  return queue->bytes;
}

guint
kr_delivery_queue_failures (const KrDeliveryQueue *queue)
{
  return queue->failures;
}

char *
kr_delivery_queue_to_text (const KrDeliveryQueue *queue)
{
  GString *text = g_string_sized_new (queue->bytes + queue->messages.length + 1);

  for (const GList *l = queue->messages.head; l != NULL; l = l->next) {
    const Message *message = l->data;

    g_string_append (text, message->body);
    g_string_append_c (text, '\n');
  }
  return g_string_free (text, FALSE);
}
