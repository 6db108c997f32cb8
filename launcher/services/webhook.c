/* keeprolling - telling people, by webhook
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/webhook.h"

#include <string.h>

#include "launcher/core/delivery-queue.h"
#include "launcher/core/redact.h"
#include "launcher/services/http-client.h"
#include "launcher/services/queue-store.h"

/* Calls to the thread that wait there; more are dropped. It is never busy for long. */
#define MAX_POSTED 1024

typedef struct {
  KrWebhooks *webhooks;
  char *file;      /* its name */
  char *key;       /* in the store */
  gboolean wanted; /* the main thread's */
  /* The rest is the thread's. */
  char *uri;
  KrDeliveryQueue *queue;
  gboolean loaded; /* what an earlier run left is in the queue */
  gboolean stored; /* the store keeps it */
  GSource *timer;
  gboolean failing; /* that was logged */
} Endpoint;

struct _KrWebhooks {
  KrHttpClient *client;
  GMainContext *context;
  KrQueueStore *store;
  KrWebhooksSay say;
  gpointer data;
  GHashTable *endpoints; /* char* -> Endpoint; the main thread's, and never changed by others */
  gboolean closing;      /* the thread's */

  GMutex mutex;
  GCond idle;
  GQueue calls; /* of Call; this and the rest under the lock */
  guint posted; /* those, and the one that runs */
  guint queued;
  guint healthy_queued; /* of endpoints that answer */
  guint64 results[KR_N_WEBHOOK_RESULTS];
};

static void look (Endpoint *endpoint);

/* --- calls to the thread --------------------------------------------------------------- */

typedef struct {
  Endpoint *endpoint;
  void (*function) (Endpoint *endpoint, const char *text, const char *other);
  char *text;
  char *other;
} Call;

static void
call_free (Call *call)
{
  g_free (call->text);
  g_free (call->other);
  g_free (call);
}

static gboolean
on_call (gpointer data)
{
  KrWebhooks *webhooks = data;
  Call *call;

  g_mutex_lock (&webhooks->mutex);
  call = g_queue_pop_head (&webhooks->calls);
  g_mutex_unlock (&webhooks->mutex);
  call->function (call->endpoint, call->text, call->other);
  call_free (call);
  g_mutex_lock (&webhooks->mutex);
  webhooks->posted--;
  g_cond_broadcast (&webhooks->idle);
  g_mutex_unlock (&webhooks->mutex);
  return G_SOURCE_REMOVE;
}

/* FALSE if too much waits already. Any thread. */
static gboolean
post (Endpoint *endpoint, void (*function) (Endpoint *, const char *, const char *),
      const char *text, const char *other)
{
  KrWebhooks *webhooks = endpoint->webhooks;
  gboolean full;
  GSource *source;

  g_mutex_lock (&webhooks->mutex);
  full = webhooks->posted >= MAX_POSTED;
  if (!full) {
    Call *call = g_new0 (Call, 1);

    call->endpoint = endpoint;
    call->function = function;
    call->text = g_strdup (text);
    call->other = g_strdup (other);
    g_queue_push_tail (&webhooks->calls, call);
    webhooks->posted++;
  }
  g_mutex_unlock (&webhooks->mutex);
  if (full)
    return FALSE;
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, on_call, webhooks, NULL);
  g_source_attach (source, webhooks->context);
  g_source_unref (source);
  return TRUE;
}

/* --- results --------------------------------------------------------------------------- */

static void
count (KrWebhooks *webhooks, KrWebhookResult result, guint n)
{
  g_mutex_lock (&webhooks->mutex);
  webhooks->results[result] += n;
  g_mutex_unlock (&webhooks->mutex);
}

/* After each change of a queue; the thread. What came of N messages shows together with it, so
 * that nobody who reads the figures finds a message that is delivered and waits as well. */
static void
publish (Endpoint *endpoint, guint length_before, gboolean healthy_before,
         KrWebhookResult result, guint n)
{
  KrWebhooks *webhooks = endpoint->webhooks;
  guint length = kr_delivery_queue_length (endpoint->queue);
  gboolean healthy = kr_delivery_queue_failures (endpoint->queue) == 0;

  g_mutex_lock (&webhooks->mutex);
  webhooks->results[result] += n;
  webhooks->queued += length - length_before;
  webhooks->healthy_queued += (healthy ? length : 0) - (healthy_before ? length_before : 0);
  g_cond_broadcast (&webhooks->idle);
  g_mutex_unlock (&webhooks->mutex);
}

static void tell (Endpoint *endpoint, GLogLevelFlags level, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

static void
tell (Endpoint *endpoint, GLogLevelFlags level, const char *format, ...)
{
  KrWebhooks *webhooks = endpoint->webhooks;
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  webhooks->say (level, endpoint->file, text, webhooks->data);
}

/* Told when it begins to fail and when that is over, not each time. */
static void
say_result (Endpoint *endpoint, const KrHttpAnswer *answer, KrDeliveryVerdict verdict)
{
  g_autofree char *where = kr_redact_uri (endpoint->uri);
  g_autofree char *what = answer->outcome == KR_HTTP_ANSWERED
                              ? g_strdup_printf ("it answers %d%s", answer->status,
                                                 answer->status >= 300 && answer->status <= 399
                                                     ? ", and redirects are not followed"
                                                     : "")
                              : g_strdup (answer->error);

  switch (verdict) {
  case KR_DELIVERY_DONE:
    if (endpoint->failing)
      tell (endpoint, G_LOG_LEVEL_MESSAGE, "the webhook %s takes messages again", where);
    endpoint->failing = FALSE;
    break;
  case KR_DELIVERY_REFUSED:
    tell (endpoint, G_LOG_LEVEL_WARNING,
          "the webhook %s refused a message (%s); it is dropped, since asking again would not "
          "help",
          where, what);
    break;
  case KR_DELIVERY_RETRY:
    if (!endpoint->failing)
      tell (endpoint, G_LOG_LEVEL_WARNING,
            "the webhook %s does not take messages (%s); they are kept and tried again", where,
            what);
    endpoint->failing = TRUE;
    break;
  }
}

/* --- delivery; the thread -------------------------------------------------------------- */

static void
save (Endpoint *endpoint)
{
  g_autofree char *text = NULL;

  /* At the end the store is gone before the last answers come. */
  if (!endpoint->stored || endpoint->webhooks->closing)
    return;
  text = kr_delivery_queue_to_text (endpoint->queue);
  kr_queue_store_save (endpoint->webhooks->store, endpoint->key, text);
}

static KrWebhookResult
result_of (KrDeliveryVerdict verdict)
{
  switch (verdict) {
  case KR_DELIVERY_DONE:
    return KR_WEBHOOK_DELIVERED;
  case KR_DELIVERY_RETRY:
    return KR_WEBHOOK_RETRIED;
  case KR_DELIVERY_REFUSED:
    return KR_WEBHOOK_DROPPED;
  }
  g_return_val_if_reached (KR_WEBHOOK_DROPPED);
}

static void
on_answer (const KrHttpAnswer *answer, gpointer data)
{
  Endpoint *endpoint = data;
  KrWebhooks *webhooks = endpoint->webhooks;
  guint length = kr_delivery_queue_length (endpoint->queue);
  gboolean healthy = kr_delivery_queue_failures (endpoint->queue) == 0;
  KrDeliveryVerdict verdict =
      kr_delivery_queue_end (endpoint->queue, answer->status, answer->retry_after_us,
                             g_get_monotonic_time (), g_random_double ());

  /* Given up at the end: it is kept for the next run. */
  gboolean counts = !webhooks->closing || answer->outcome == KR_HTTP_ANSWERED;

  if (counts)
    say_result (endpoint, answer, verdict);
  publish (endpoint, length, healthy, result_of (verdict), counts ? 1 : 0);
  if (verdict != KR_DELIVERY_RETRY)
    save (endpoint);
  look (endpoint);
}

static void
stop_timer (Endpoint *endpoint)
{
  if (endpoint->timer == NULL)
    return;
  g_source_destroy (endpoint->timer);
  g_clear_pointer (&endpoint->timer, g_source_unref);
}

static gboolean
on_timer (gpointer data)
{
  Endpoint *endpoint = data;

  stop_timer (endpoint);
  look (endpoint);
  return G_SOURCE_REMOVE;
}

/* Sends what is due, or waits for it. */
static void
look (Endpoint *endpoint)
{
  KrWebhooks *webhooks = endpoint->webhooks;
  gint64 now = g_get_monotonic_time ();
  const char *id, *body;
  gint64 next;

  stop_timer (endpoint);
  if (webhooks->closing || !endpoint->loaded)
    return;
  if (kr_delivery_queue_begin (endpoint->queue, now, &id, &body)) {
    kr_http_client_post (webhooks->client, endpoint->uri, body, id, KR_WEBHOOK_TIMEOUT_MS,
                         on_answer, endpoint);
    return;
  }
  next = kr_delivery_queue_next (endpoint->queue);
  if (next == G_MAXINT64)
    return;
  endpoint->timer = g_timeout_source_new ((guint)(MAX (next - now, 0) / 1000 + 1));
  g_source_set_callback (endpoint->timer, on_timer, endpoint, NULL);
  g_source_attach (endpoint->timer, webhooks->context);
}

static void
do_push (Endpoint *endpoint, const char *id, const char *body)
{
  guint length = kr_delivery_queue_length (endpoint->queue);
  gboolean healthy = kr_delivery_queue_failures (endpoint->queue) == 0;
  guint dropped = kr_delivery_queue_push (endpoint->queue, id, body);

  publish (endpoint, length, healthy, KR_WEBHOOK_DROPPED, dropped);
  save (endpoint);
  look (endpoint);
}

/* The next attempt goes there. */
static void
do_set_uri (Endpoint *endpoint, const char *uri, const char *unused)
{
  g_free (endpoint->uri);
  endpoint->uri = g_strdup (uri);
}

/* --- the store ------------------------------------------------------------------------- */

/* Messages of an earlier run, the newest first, so that the oldest ends up at the front. How
 * many were dropped. */
static guint
take_old_messages (Endpoint *endpoint, char **lines)
{
  gint64 oldest = g_get_real_time () - KR_WEBHOOK_MAX_AGE_US;
  guint dropped = 0;

  for (guint i = g_strv_length (lines); i > 0; i--) {
    const char *line = lines[i - 1];
    gint64 utc_us = 0;
    g_autofree char *id = kr_webhook_message_parse (line, strlen (line), &utc_us);

    if (line[0] == '\0')
      continue;
    if (id == NULL || utc_us < oldest ||
        !kr_delivery_queue_push_front (endpoint->queue, id, line))
      dropped++;
  }
  if (dropped > 0)
    tell (endpoint, G_LOG_LEVEL_MESSAGE,
          "%u webhook messages of an earlier run are dropped: too old, too many or damaged",
          dropped);
  return dropped;
}

/* A late answer of the disk is welcome, too. */
static void
do_loaded (Endpoint *endpoint, const char *text, const char *error)
{
  guint length = kr_delivery_queue_length (endpoint->queue);
  gboolean healthy = kr_delivery_queue_failures (endpoint->queue) == 0;
  guint dropped = 0;

  if (endpoint->loaded && error != NULL)
    return;
  endpoint->loaded = TRUE;
  endpoint->stored = error == NULL;
  if (error != NULL)
    tell (endpoint, G_LOG_LEVEL_WARNING,
          "webhook messages cannot be kept on the disk (%s); they are kept in memory alone",
          error);
  if (text != NULL) {
    g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

    dropped = take_old_messages (endpoint, lines);
  }
  publish (endpoint, length, healthy, KR_WEBHOOK_DROPPED, dropped);
  if (length > 0)
    save (endpoint);
  look (endpoint);
}

/* A disk that does not answer at all: deliver meanwhile. */
static gboolean
on_load_late (gpointer data)
{
  Endpoint *endpoint = data;

  stop_timer (endpoint);
  do_loaded (endpoint, NULL, "the disk does not answer");
  return G_SOURCE_REMOVE;
}

static void
do_load (Endpoint *endpoint, const char *unused, const char *unused_too)
{
  endpoint->timer = g_timeout_source_new (KR_WEBHOOK_TIMEOUT_MS);
  g_source_set_callback (endpoint->timer, on_load_late, endpoint, NULL);
  g_source_attach (endpoint->timer, endpoint->webhooks->context);
  kr_queue_store_load (endpoint->webhooks->store, endpoint->key);
}

/* In the store's thread. */
static void
on_loaded (const char *name, const char *text, const char *error, gpointer data)
{
  KrWebhooks *webhooks = data;
  GHashTableIter iter;
  gpointer value;

  g_mutex_lock (&webhooks->mutex);
  g_hash_table_iter_init (&iter, webhooks->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Endpoint *endpoint = value;

    if (strcmp (endpoint->key, name) != 0)
      continue;
    g_mutex_unlock (&webhooks->mutex);
    post (endpoint, do_loaded, text, error);
    return;
  }
  g_mutex_unlock (&webhooks->mutex);
}

/* In the store's thread. */
static void
on_disk_changed (const char *error, gpointer data)
{
  KrWebhooks *webhooks = data;
  g_autofree char *text =
      error != NULL
          ? g_strdup_printf ("webhook messages cannot be kept on the disk (%s); they are kept "
                             "in memory, and would not survive a restart",
                             error)
          : g_strdup ("webhook messages are kept on the disk again");

  webhooks->say (error != NULL ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_MESSAGE, NULL, text,
                 webhooks->data);
}

static const KrQueueStoreCallbacks store_callbacks = {
    .loaded = on_loaded,
    .changed = on_disk_changed,
};

/* --- public ---------------------------------------------------------------------------- */

static void
endpoint_free (Endpoint *endpoint)
{
  kr_delivery_queue_free (endpoint->queue);
  g_free (endpoint->file);
  g_free (endpoint->key);
  g_free (endpoint->uri);
  g_free (endpoint);
}

KrWebhooks *
kr_webhooks_new (const char *folder, KrWebhooksSay say, gpointer data)
{
  KrWebhooks *webhooks = g_new0 (KrWebhooks, 1);

  webhooks->client = kr_http_client_new ();
  webhooks->context = kr_http_client_get_context (webhooks->client);
  webhooks->say = say;
  webhooks->data = data;
  g_mutex_init (&webhooks->mutex);
  g_cond_init (&webhooks->idle);
  g_queue_init (&webhooks->calls);
  webhooks->endpoints =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)endpoint_free);
  webhooks->store = kr_queue_store_new (folder, &store_callbacks, webhooks);
  return webhooks;
}

/* What is left is either delivered in time, or kept for the next run. */
static void
wait_until_idle (KrWebhooks *webhooks)
{
  gint64 end = g_get_monotonic_time () + KR_WEBHOOK_PATIENCE_US;

  g_mutex_lock (&webhooks->mutex);
  while (webhooks->posted > 0 || webhooks->healthy_queued > 0) {
    if (!g_cond_wait_until (&webhooks->idle, &webhooks->mutex, end))
      break;
  }
  g_mutex_unlock (&webhooks->mutex);
}

/* In the HTTP thread. */
static void
close_all (gpointer data)
{
  KrWebhooks *webhooks = data;
  GHashTableIter iter;
  gpointer value;

  webhooks->closing = TRUE;
  g_hash_table_iter_init (&iter, webhooks->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    stop_timer (value);
}

void
kr_webhooks_free (KrWebhooks *webhooks)
{
  if (webhooks == NULL)
    return;
  wait_until_idle (webhooks);
  kr_http_client_call (webhooks->client, close_all, webhooks);
  /* In this order: the store calls into the thread of the client. */
  kr_queue_store_free (webhooks->store, KR_WEBHOOK_PATIENCE_US);
  kr_http_client_free (webhooks->client);
  g_queue_clear_full (&webhooks->calls, (GDestroyNotify)call_free);
  g_hash_table_unref (webhooks->endpoints);
  g_mutex_clear (&webhooks->mutex);
  g_cond_clear (&webhooks->idle);
  g_free (webhooks);
}

/* Tells apart what has the same name elsewhere. */
static char *
store_key (const char *file, const char *path)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, absolute, -1);
  g_autofree char *name = g_strndup (file, 64);

  g_strcanon (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", '-');
  return g_strdup_printf ("%s-%.12s", name, hash);
}

void
kr_webhooks_set (KrWebhooks *webhooks, const char *file, const char *path, const char *uri)
{
  Endpoint *endpoint = g_hash_table_lookup (webhooks->endpoints, file);

  if (endpoint != NULL) {
    endpoint->wanted = uri != NULL;
    if (uri != NULL)
      post (endpoint, do_set_uri, uri, NULL);
    return;
  }
  if (uri == NULL)
    return;
  endpoint = g_new0 (Endpoint, 1);
  endpoint->webhooks = webhooks;
  endpoint->file = g_strdup (file);
  endpoint->key = store_key (file, path);
  endpoint->wanted = TRUE;
  endpoint->uri = g_strdup (uri);
  endpoint->queue = kr_delivery_queue_new ();
  g_mutex_lock (&webhooks->mutex);
  g_hash_table_insert (webhooks->endpoints, endpoint->file, endpoint);
  g_mutex_unlock (&webhooks->mutex);
  post (endpoint, do_load, NULL, NULL);
}

gboolean
kr_webhooks_has (const KrWebhooks *webhooks, const char *file)
{
  const Endpoint *endpoint = g_hash_table_lookup (webhooks->endpoints, file);

  return endpoint != NULL && endpoint->wanted;
}

void
kr_webhooks_push (KrWebhooks *webhooks, const KrWebhookMessage *message)
{
  Endpoint *endpoint = g_hash_table_lookup (webhooks->endpoints, message->file);
  g_autofree char *body = NULL;

  if (endpoint == NULL || !endpoint->wanted)
    return;
  body = kr_webhook_message_encode (message);
  if (!post (endpoint, do_push, message->id, body))
    count (webhooks, KR_WEBHOOK_DROPPED, 1);
}

void
kr_webhooks_get_figures (KrWebhooks *webhooks, KrProcessFigures *figures)
{
  g_mutex_lock (&webhooks->mutex);
  for (guint i = 0; i < KR_N_WEBHOOK_RESULTS; i++)
    figures->webhooks[i] = webhooks->results[i];
  figures->webhook_queue = webhooks->queued;
  g_mutex_unlock (&webhooks->mutex);
}
