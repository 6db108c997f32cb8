/* keeprolling - what a webhook gets
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/notice.h"

G_BEGIN_DECLS

/* JSON {id, time, kind, file, pipeline, text, details}, see keeprolling-pipeline(5). A
 * Slack-compatible endpoint shows the text and passes over the rest. */

typedef struct {
  const char *id; /* also the Idempotency-Key of the request */
  gint64 utc_us;
  KrNoticeKind kind;
  const char *file;
  const char *pipeline; /* "" = the worker as a whole */
  const char *event;    /* the word of the history: details.event */
  const char *text;     /* free of secrets */
  GVariant *details;    /* (nullable): a{sv} of b, x, d and s; others are left out */
  guint left_out;       /* like it, by the gate: details.left_out */
} KrWebhookMessage;

/* One line without a newline, of at most KR_DELIVERY_MAX_MESSAGE bytes; secrets in @details are
 * taken out (transfer full). */
char *kr_webhook_message_encode (const KrWebhookMessage *message);

/**
 * kr_webhook_message_parse:
 * @line: (array length=length): what an earlier run has kept; any bytes
 * @ret_utc_us: (out): when it happened
 *
 * Returns: (transfer full) (nullable): its id; NULL if it is no message
 */
char *kr_webhook_message_parse (const char *line, gsize length, gint64 *ret_utc_us);

G_END_DECLS
