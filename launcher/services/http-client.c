/* keeprolling - asking others over HTTP
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/http-client.h"

#include "config.h"

#include <string.h>

#include <libsoup/soup.h>

struct _KrHttpClient {
  GThread *thread;
  GMainContext *context;
  GMainLoop *loop;
  SoupSession *session;  /* the thread's */
  GCancellable *closing; /* the thread's */
  guint n_requests;      /* the thread's */
};

typedef struct {
  KrHttpClient *client;
  SoupMessage *message; /* NULL = @error alone */
  GCancellable *cancellable;
  gulong closing_id;
  GSource *deadline;
  gboolean late;
  const char *error;
  KrHttpDone done;
  gpointer data;
} Request;

/* --- requests -------------------------------------------------------------------------- */

static void
request_free (Request *request)
{
  if (request->closing_id != 0)
    g_cancellable_disconnect (request->client->closing, request->closing_id);
  if (request->deadline != NULL) {
    g_source_destroy (request->deadline);
    g_source_unref (request->deadline);
  }
  g_clear_object (&request->message);
  g_object_unref (request->cancellable);
  request->client->n_requests--;
  g_free (request);
}

static void
finish (Request *request, const KrHttpAnswer *answer)
{
  request->done (answer, request->data);
  request_free (request);
}

/* Whether the fault lies with us or on the way, so that it says nothing about the other side.
 */
static gboolean
is_our_fault (const GError *error)
{
  if (error->domain == G_RESOLVER_ERROR || error->domain == G_TLS_ERROR)
    return TRUE;
  if (error->domain != G_IO_ERROR)
    return FALSE;
  return error->code == G_IO_ERROR_NETWORK_UNREACHABLE ||
         error->code == G_IO_ERROR_HOST_UNREACHABLE ||
         error->code == G_IO_ERROR_HOST_NOT_FOUND || error->code == G_IO_ERROR_PROXY_FAILED ||
         error->code == G_IO_ERROR_PROXY_AUTH_FAILED ||
         error->code == G_IO_ERROR_TOO_MANY_OPEN_FILES ||
         error->code == G_IO_ERROR_PERMISSION_DENIED || error->code == G_IO_ERROR_NOT_SUPPORTED;
}

/* In our own words: GLib's name the address, which is a secret. */
static const char *
describe (const GError *error)
{
  if (error->domain == G_RESOLVER_ERROR)
    return "its name cannot be resolved";
  if (error->domain == G_TLS_ERROR)
    return "its TLS certificate or handshake is not in order";
  if (g_error_matches (error, SOUP_SESSION_ERROR, SOUP_SESSION_ERROR_TOO_MANY_REDIRECTS))
    return "it redirects in a circle";
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    return "the connection was refused";
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE) ||
      g_error_matches (error, G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE))
    return "there is no way to it from here";
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES))
    return "too many open files here";
  if (is_our_fault (error))
    return "it could not be asked";
  return "it closed the connection or answered nonsense";
}

static gint64
retry_after (SoupMessage *message)
{
  const char *value =
      soup_message_headers_get_one (soup_message_get_response_headers (message), "Retry-After");
  guint64 seconds;

  /* The other form, a date, is rare: the back-off does for it. */
  if (value == NULL || !g_ascii_string_to_unsigned (value, 10, 0, 86400, &seconds, NULL))
    return 0;
  return (gint64)seconds * G_TIME_SPAN_SECOND;
}

static void
on_sent (GObject *object, GAsyncResult *result, gpointer data)
{
  Request *request = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (object), result, &error);
  KrHttpAnswer answer = {.outcome = KR_HTTP_NO_ANSWER};

  if (stream != NULL) {
    answer.outcome = KR_HTTP_ANSWERED;
    answer.status = (int)soup_message_get_status (request->message);
    answer.retry_after_us = retry_after (request->message);
    /* Closing would read all the rest of the answer first, unless it is told not to. */
    g_cancellable_cancel (request->cancellable);
    g_input_stream_close (stream, request->cancellable, NULL);
  } else if (request->late) {
    answer.error = "it did not answer in time";
  } else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    answer.outcome = KR_HTTP_NOT_ASKED;
    answer.error = "the asking was given up";
  } else {
    answer.outcome = is_our_fault (error) ? KR_HTTP_NOT_ASKED : KR_HTTP_NO_ANSWER;
    answer.error = describe (error);
  }
  finish (request, &answer);
}

static gboolean
on_deadline (gpointer data)
{
  Request *request = data;

  request->late = TRUE;
  g_cancellable_cancel (request->cancellable);
  return G_SOURCE_REMOVE;
}

static gboolean
on_not_asked (gpointer data)
{
  Request *request = data;
  KrHttpAnswer answer = {.outcome = KR_HTTP_NOT_ASKED, .error = request->error};

  finish (request, &answer);
  return G_SOURCE_REMOVE;
}

static void
fail_later (Request *request, const char *error)
{
  GSource *source = g_idle_source_new ();

  request->error = error;
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, on_not_asked, request, NULL);
  g_source_attach (source, request->client->context);
  g_source_unref (source);
}

static void
on_closing (GCancellable *closing, gpointer data)
{
  g_cancellable_cancel (data);
}

static void
start (Request *request, guint timeout_ms)
{
  KrHttpClient *client = request->client;

  request->deadline = g_timeout_source_new (timeout_ms);
  g_source_set_callback (request->deadline, on_deadline, request, NULL);
  g_source_attach (request->deadline, client->context);
  request->closing_id = g_cancellable_connect (client->closing, G_CALLBACK (on_closing),
                                               request->cancellable, NULL);
  soup_session_send_async (client->session, request->message, G_PRIORITY_DEFAULT,
                           request->cancellable, on_sent, request);
}

static Request *
request_new (KrHttpClient *client, const char *method, const char *uri, KrHttpDone done,
             gpointer data)
{
  Request *request = g_new0 (Request, 1);

  request->client = client;
  request->cancellable = g_cancellable_new ();
  request->done = done;
  request->data = data;
  client->n_requests++;
  if (client->n_requests > KR_HTTP_CLIENT_MAX_REQUESTS)
    fail_later (request, "too many are being asked already");
  else if ((request->message = soup_message_new (method, uri)) == NULL)
    fail_later (request, "its address makes no sense");
  return request;
}

void
kr_http_client_get (KrHttpClient *client, const char *uri, guint timeout_ms, KrHttpDone done,
                    gpointer data)
{
  Request *request = request_new (client, SOUP_METHOD_GET, uri, done, data);

  if (request->error == NULL)
    start (request, timeout_ms);
}

void
kr_http_client_post (KrHttpClient *client, const char *uri, const char *body, const char *key,
                     guint timeout_ms, KrHttpDone done, gpointer data)
{
  Request *request = request_new (client, SOUP_METHOD_POST, uri, done, data);
  g_autoptr (GBytes) bytes = NULL;

  if (request->error != NULL)
    return;
  bytes = g_bytes_new (body, strlen (body));
  soup_message_set_request_body_from_bytes (request->message, "application/json", bytes);
  soup_message_add_flags (request->message, SOUP_MESSAGE_NO_REDIRECT);
  soup_message_headers_replace (soup_message_get_request_headers (request->message),
                                "Idempotency-Key", key);
  start (request, timeout_ms);
}

/* --- thread ---------------------------------------------------------------------------- */

static SoupSession *
new_session (void)
{
  SoupSession *session = soup_session_new_with_options (
      "user-agent", "keeprolling/" VERSION, "timeout", 0u, "idle-timeout", 15u, "max-conns",
      KR_HTTP_CLIENT_MAX_REQUESTS, "max-conns-per-host", KR_HTTP_CLIENT_MAX_REQUESTS, NULL);

  /* Bodies are not looked at. */
  soup_session_remove_feature_by_type (session, SOUP_TYPE_CONTENT_DECODER);
  return session;
}

static gpointer
run (gpointer data)
{
  KrHttpClient *client = data;

  g_main_context_push_thread_default (client->context);
  client->closing = g_cancellable_new ();
  client->session = new_session ();
  g_main_loop_run (client->loop);
  g_cancellable_cancel (client->closing);
  while (client->n_requests > 0)
    g_main_context_iteration (client->context, TRUE);
  soup_session_abort (client->session);
  g_object_unref (client->session);
  g_object_unref (client->closing);
  while (g_main_context_iteration (client->context, FALSE))
    ;
  g_main_context_pop_thread_default (client->context);
  return NULL;
}

KrHttpClient *
kr_http_client_new (void)
{
  KrHttpClient *client = g_new0 (KrHttpClient, 1);

  client->context = g_main_context_new ();
  client->loop = g_main_loop_new (client->context, FALSE);
  client->thread = g_thread_new ("http-client", run, client);
  return client;
}

static void
quit (gpointer data)
{
  KrHttpClient *client = data;

  g_main_loop_quit (client->loop);
}

void
kr_http_client_free (KrHttpClient *client)
{
  if (client == NULL)
    return;
  /* By a call: the loop may not run yet. */
  kr_http_client_call (client, quit, client);
  g_thread_join (client->thread);
  g_main_loop_unref (client->loop);
  g_main_context_unref (client->context);
  g_free (client);
}

GMainContext *
kr_http_client_get_context (KrHttpClient *client)
{
  return client->context;
}

typedef struct {
  void (*function) (gpointer);
  gpointer data;
  GMutex mutex;
  GCond cond;
  gboolean done;
} Call;

static gboolean
on_call (gpointer data)
{
  Call *call = data;

  g_mutex_lock (&call->mutex);
  call->function (call->data);
  call->done = TRUE;
  g_cond_signal (&call->cond);
  g_mutex_unlock (&call->mutex);
  return G_SOURCE_REMOVE;
}

void
kr_http_client_call (KrHttpClient *client, void (*function) (gpointer), gpointer data)
{
  Call call = {.function = function, .data = data};
  GSource *source = g_idle_source_new ();

  g_mutex_init (&call.mutex);
  g_cond_init (&call.cond);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, on_call, &call, NULL);
  g_mutex_lock (&call.mutex);
  g_source_attach (source, client->context);
  g_source_unref (source);
  while (!call.done)
    g_cond_wait (&call.cond, &call.mutex);
  g_mutex_unlock (&call.mutex);
  g_mutex_clear (&call.mutex);
  g_cond_clear (&call.cond);
}
