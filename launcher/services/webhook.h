/* keeprolling - telling people, by webhook
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/metrics.h"
#include "launcher/services/webhook-message.h"

G_BEGIN_DECLS

/* Delivers messages in a thread of their own, each endpoint in order and for itself. What waits
 * is kept on the disk by another thread, so that neither a dead endpoint nor a dead disk holds
 * up anything, not even each other. */
typedef struct _KrWebhooks KrWebhooks;

/* For one attempt. */
#define KR_WEBHOOK_TIMEOUT_MS 5000
/* What an earlier run has left is told no more after this long. */
#define KR_WEBHOOK_MAX_AGE_US (24 * G_TIME_SPAN_HOUR)
/* At the end, for what is still to be sent to an endpoint that answers, and for the disk. */
#define KR_WEBHOOK_PATIENCE_US (2 * G_TIME_SPAN_SECOND)

/* Something to be logged: an endpoint that fails or answers again, a disk that cannot keep the
 * queue. @file: (nullable): which. Free of secrets. Any thread, but none after
 * kr_webhooks_free(). */
typedef void (*KrWebhooksSay) (GLogLevelFlags level, const char *file, const char *text,
                               gpointer data);

/* @folder: for the queues; made when needed. */
KrWebhooks *kr_webhooks_new (const char *folder, KrWebhooksSay say, gpointer data);
/* Waits for KR_WEBHOOK_PATIENCE_US at most, twice. What was not delivered is kept on the disk.
 */
void kr_webhooks_free (KrWebhooks *webhooks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrWebhooks, kr_webhooks_free)

/* @file: its name; @path: of the file, to tell two of one name apart; @uri: (nullable): a
 * secret; NULL = nobody wants to hear any more, but what waits is still delivered. Main thread.
 */
void kr_webhooks_set (KrWebhooks *webhooks, const char *file, const char *path,
                      const char *uri);

/* Whether anybody wants to hear of @file. Main thread. */
gboolean kr_webhooks_has (const KrWebhooks *webhooks, const char *file);

/* Queues @message for its file's endpoint, if it has one. Never waits. Main thread. */
void kr_webhooks_push (KrWebhooks *webhooks, const KrWebhookMessage *message);

/* Fills in webhooks and webhook_queue. Any thread. */
void kr_webhooks_get_figures (KrWebhooks *webhooks, KrProcessFigures *figures);

G_END_DECLS
