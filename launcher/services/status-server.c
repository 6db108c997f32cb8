/* keeprolling - the status server
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/status-server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gio/gio.h>
#include <libsoup/soup.h>

#include "launcher/core/readiness.h"
#include "launcher/services/event-stream.h"
#include "launcher/services/http-gate.h"
#include "launcher/services/page-resource.h" /* made from page/ */
#include "launcher/services/status-json.h"

#define MIN_TOKEN         16
#define TOKEN_PATIENCE_MS 3000

G_DEFINE_QUARK (kr - status - error - quark, kr_status_error)

struct _KrStatusServer {
  char *url;
  char *token; /* NULL = none needed */
  GSocket *socket;
  GThread *thread;
  GMainContext *context;
  GMainLoop *loop;

  GMutex lock; /* for what follows */
  KrSnapshot *snapshot;
  KrProcessFigures process;
  gint64 published_at; /* monotonic */

  /* of the thread alone */
  SoupServer *soup;
  KrHttpGate *gate;
  KrEventStream *events;
};

/* --- address and token -------------------------------------------------------------------- */

static GSocketAddress *
parse_address (const char *listen, gboolean *ret_loopback, GError **error)
{
  g_autofree char *host = NULL;
  g_autoptr (GInetAddress) inet = NULL;
  const char *colon = strrchr (listen, ':');
  guint64 port;

  if (colon == NULL || !g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL)) {
    g_set_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_ADDRESS,
                 "\"%s\" is not an address and a port: write 127.0.0.1:9478 or [::1]:9478",
                 listen);
    return NULL;
  }
  host = g_strndup (listen, (gsize)(colon - listen));
  if (g_str_has_prefix (host, "[") && g_str_has_suffix (host, "]")) {
    char *inner = g_strndup (host + 1, strlen (host) - 2);

    g_free (host);
    host = inner;
  }
  inet = g_inet_address_new_from_string (g_str_equal (host, "localhost") ? "127.0.0.1" : host);
  if (inet == NULL) {
    g_set_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_ADDRESS,
                 "\"%s\" is not an IP address: write 127.0.0.1, ::1 in brackets, or 0.0.0.0 "
                 "for all of this machine's",
                 host);
    return NULL;
  }
  *ret_loopback = g_inet_address_get_is_loopback (inet);
  return g_inet_socket_address_new (inet, (guint16)port);
}

/* Reads at most @size bytes: a device has no end. A pipe, such as the shell's <(...), gets some
 * seconds to be written to. Returns a negative number with errno set if that fails. */
static gssize
read_some (int fd, char *buffer, gsize size)
{
  gint64 end = g_get_monotonic_time () + TOKEN_PATIENCE_MS * G_TIME_SPAN_MILLISECOND;
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  gsize length = 0;
  gssize n = 1;

  while (length < size && n != 0) {
    gint64 left = end - g_get_monotonic_time ();

    if (left <= 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    if (poll (&wait, 1, (int)(left / 1000) + 1) <= 0)
      continue;
    n = read (fd, buffer + length, size - length);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return -1;
    length += (gsize)MAX (n, 0);
  }
  return (gssize)length;
}

static gboolean
check_token (const char *path, const char *token, gssize length, GError **error)
{
  gsize strength = strlen (token);

  for (const char *at = token; *at != '\0'; at++)
    if (!g_ascii_isgraph (*at))
      strength = 0;
  if (length <= KR_STATUS_MAX_TOKEN && strength >= MIN_TOKEN)
    return TRUE;
  g_set_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_TOKEN,
               "the first line of %s is no token: it needs %d to %d letters, digits and signs, "
               "no spaces, such as \"openssl rand -hex 32\" prints",
               path, MIN_TOKEN, KR_STATUS_MAX_TOKEN);
  return FALSE;
}

char *
kr_status_token_load (const char *path, GError **error)
{
  /* Where it is longer the whole file is too long. */
  char text[KR_STATUS_MAX_TOKEN + 2] = "";
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  struct stat st;
  gssize length = -1;

  if (fd >= 0 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && (st.st_mode & S_IROTH) != 0) {
    g_set_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_TOKEN,
                 "everybody can read the token in %s: chmod o-r it", path);
    close (fd);
    return NULL;
  }
  if (fd >= 0)
    length = read_some (fd, text, sizeof text - 1);
  if (length < 0)
    g_set_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_TOKEN,
                 "cannot read the token from %s: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  if (length < 0)
    return NULL;
  text[strcspn (text, "\r\n")] = '\0';
  g_strstrip (text);
  return check_token (path, text, length, error) ? g_strdup (text) : NULL;
}

/* The time it takes tells nothing about the token but its length. */
static gboolean
equal_in_constant_time (const char *a, const char *b)
{
  gsize n = strlen (b);
  guint8 difference = strlen (a) == n ? 0 : 1;

  for (gsize i = 0; i < n; i++)
    difference |= (guint8)(a[i % (strlen (a) + 1)] ^ b[i]);
  return difference == 0;
}

static gboolean
is_authorized (const KrStatusServer *server, SoupServerMessage *message)
{
  const char *value = soup_message_headers_get_one (
      soup_server_message_get_request_headers (message), "Authorization");

  if (server->token == NULL)
    return TRUE;
  if (value == NULL || g_ascii_strncasecmp (value, "Bearer ", 7) != 0)
    return FALSE;
  return equal_in_constant_time (value + 7, server->token);
}

/* A page of somebody else's, open in a browser on this machine, could otherwise read the status
 * under a name of its own that it lets point here (DNS rebinding). */
static gboolean
is_our_host (const KrStatusServer *server, SoupServerMessage *message)
{
  const char *host =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), "Host");
  g_autoptr (GUri) uri = NULL;
  g_autofree char *text = NULL;

  if (server->token != NULL || host == NULL)
    return TRUE;
  text = g_strconcat ("http://", host, "/", NULL);
  uri = g_uri_parse (text, G_URI_FLAGS_NONE, NULL);
  return uri != NULL && (g_ascii_strcasecmp (g_uri_get_host (uri), "localhost") == 0 ||
                         g_hostname_is_ip_address (g_uri_get_host (uri)));
}

/* --- answers, in the server's thread ------------------------------------------------------ */

static void
answer (SoupServerMessage *message, guint status, const char *type, const char *text,
        gssize length)
{
  gsize size = length >= 0 ? (gsize)length : strlen (text);

  soup_server_message_set_status (message, status, NULL);
  soup_server_message_set_response (message, type, SOUP_MEMORY_COPY, text, size);
}

static void
answer_line (SoupServerMessage *message, guint status, const char *line)
{
  g_autofree char *text = g_strconcat (line, "\n", NULL);

  answer (message, status, "text/plain; charset=utf-8", text, -1);
}

static KrSnapshot *
get_snapshot (KrStatusServer *server, KrProcessFigures *ret_process, gint64 *ret_age_us)
{
  KrSnapshot *snapshot = NULL;

  g_mutex_lock (&server->lock);
  if (server->snapshot != NULL)
    snapshot = kr_snapshot_ref (server->snapshot);
  if (ret_process != NULL)
    *ret_process = server->process;
  if (ret_age_us != NULL)
    *ret_age_us = g_get_monotonic_time () - server->published_at;
  g_mutex_unlock (&server->lock);
  return snapshot;
}

static void
serve_probe (KrStatusServer *server, SoupServerMessage *message, KrProbe probe)
{
  gint64 age;
  g_autoptr (KrSnapshot) snapshot = get_snapshot (server, NULL, &age);
  g_autofree char *reason = NULL;
  gboolean good = kr_probe (snapshot, probe, age, &reason);

  answer_line (message, good ? SOUP_STATUS_OK : SOUP_STATUS_SERVICE_UNAVAILABLE, reason);
}

static void
serve_livez (KrStatusServer *server, SoupServerMessage *message)
{
  serve_probe (server, message, KR_PROBE_LIVE);
}

static void
serve_readyz (KrStatusServer *server, SoupServerMessage *message)
{
  serve_probe (server, message, KR_PROBE_READY);
}

static void
serve_startupz (KrStatusServer *server, SoupServerMessage *message)
{
  serve_probe (server, message, KR_PROBE_STARTUP);
}

static void
serve_json (KrStatusServer *server, SoupServerMessage *message, KrStatusDetail detail,
            const char *type)
{
  g_autoptr (KrSnapshot) snapshot = get_snapshot (server, NULL, NULL);
  g_autofree char *text = NULL;
  guint status = SOUP_STATUS_OK;

  if (snapshot == NULL) {
    answer_line (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "starting");
    return;
  }
  /* /health is for load balancers, which look at the code; /status is for readers. */
  if (detail == KR_STATUS_HEALTH && snapshot->status == KR_HEALTH_FAIL)
    status = SOUP_STATUS_SERVICE_UNAVAILABLE;
  text = kr_status_to_json (snapshot, detail);
  answer (message, status, type, text, -1);
}

static void
serve_health (KrStatusServer *server, SoupServerMessage *message)
{
  serve_json (server, message, KR_STATUS_HEALTH, "application/health+json");
}

static void
serve_status (KrStatusServer *server, SoupServerMessage *message)
{
  serve_json (server, message, KR_STATUS_FULL, "application/json");
}

static void
serve_metrics (KrStatusServer *server, SoupServerMessage *message)
{
  KrProcessFigures process;
  g_autoptr (KrSnapshot) snapshot = get_snapshot (server, &process, NULL);
  g_autofree char *text = NULL;

  if (snapshot == NULL) {
    answer_line (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "starting");
    return;
  }
  text = kr_metrics_to_text (snapshot, &process);
  answer (message, SOUP_STATUS_OK, "text/plain; version=0.0.4; charset=utf-8", text, -1);
}

static void
serve_events (KrStatusServer *server, SoupServerMessage *message)
{
  g_autoptr (KrSnapshot) snapshot = get_snapshot (server, NULL, NULL);
  g_autofree char *text = NULL;

  if (snapshot != NULL)
    text = kr_status_to_json (snapshot, KR_STATUS_FULL);
  if (!kr_event_stream_add (server->events, message, text))
    answer_line (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "too many pages are open already");
}

static void
serve_resource (SoupServerMessage *message, const char *name, const char *type)
{
  g_autofree char *path = g_strconcat ("/keeprolling/page/", name, NULL);
  g_autoptr (GBytes) bytes = g_resource_lookup_data (kr_page_get_resource (), path, 0, NULL);
  gsize size;
  const char *data;

  g_return_if_fail (bytes != NULL);
  data = g_bytes_get_data (bytes, &size);
  answer (message, SOUP_STATUS_OK, type, data, (gssize)size);
}

static void
serve_page (KrStatusServer *server, SoupServerMessage *message)
{
  serve_resource (message, "page.html", "text/html; charset=utf-8");
}

static void
serve_script (KrStatusServer *server, SoupServerMessage *message)
{
  serve_resource (message, "page.js", "text/javascript; charset=utf-8");
}

static void
serve_style (KrStatusServer *server, SoupServerMessage *message)
{
  serve_resource (message, "page.css", "text/css; charset=utf-8");
}

/* What there is. `open`: without the token too: it holds no data, and asks for the token. */
static const struct {
  const char *path;
  void (*serve) (KrStatusServer *server, SoupServerMessage *message);
  gboolean open;
} routes[] = {
    {"/", serve_page, TRUE},
    {"/events", serve_events, FALSE},
    {"/health", serve_health, FALSE},
    {"/livez", serve_livez, FALSE},
    {"/metrics", serve_metrics, FALSE},
    {"/page.css", serve_style, TRUE},
    {"/page.js", serve_script, TRUE},
    {"/readyz", serve_readyz, FALSE},
    {"/startupz", serve_startupz, FALSE},
    {"/status", serve_status, FALSE},
};

static void
on_request (SoupServer *soup, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  KrStatusServer *server = data;
  const char *method = soup_server_message_get_method (message);
  guint i = 0;

  while (i < G_N_ELEMENTS (routes) && !g_str_equal (routes[i].path, path))
    i++;
  if (!is_our_host (server, message)) {
    answer_line (message, SOUP_STATUS_FORBIDDEN, "not under this name: use the IP address");
  } else if (i == G_N_ELEMENTS (routes)) {
    answer_line (message, SOUP_STATUS_NOT_FOUND,
                 "nothing here; there is / /health /livez /readyz /startupz /status /events "
                 "/metrics");
  } else if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "GET, HEAD");
    answer_line (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "only GET: nothing here changes");
  } else if (!routes[i].open && !is_authorized (server, message)) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                  "WWW-Authenticate", "Bearer");
    answer_line (message, SOUP_STATUS_UNAUTHORIZED, "needs Authorization: Bearer TOKEN");
  } else {
    routes[i].serve (server, message);
  }
}

/* Before the body of a request is read. Nobody here wants one. */
static void
on_headers (SoupServer *soup, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);
  soup_message_headers_replace (headers, "Cache-Control", "no-store");
  soup_message_headers_replace (headers, "X-Content-Type-Options", "nosniff");
  soup_message_headers_replace (headers, "Referrer-Policy", "no-referrer");
  soup_message_headers_replace (headers, "Content-Security-Policy",
                                "default-src 'none'; script-src 'self'; style-src 'self'; "
                                "connect-src 'self'; img-src data:; base-uri 'none'; "
                                "form-action 'none'; frame-ancestors 'none'");
}

/* --- the thread --------------------------------------------------------------------------- */

static gpointer
serve (gpointer data)
{
  KrStatusServer *server = data;

  g_main_context_push_thread_default (server->context);
  server->soup = soup_server_new ("server-header", "keeprolling", NULL);
  soup_server_add_early_handler (server->soup, NULL, on_headers, server, NULL);
  soup_server_add_handler (server->soup, NULL, on_request, server, NULL);
  server->gate = kr_http_gate_new (server->soup, server->socket);
  server->events = kr_event_stream_new (server->gate, KR_STATUS_MAX_EVENT_CLIENTS);
  g_main_loop_run (server->loop);
  kr_event_stream_free (server->events);
  kr_http_gate_free (server->gate);
  soup_server_disconnect (server->soup);
  g_object_unref (server->soup);
  /* What was closed says so by way of the loop; nothing waits for a peer. */
  while (g_main_context_iteration (server->context, FALSE))
    continue;
  g_main_context_pop_thread_default (server->context);
  return NULL;
}

static gboolean
on_published (gpointer data)
{
  KrStatusServer *server = data;
  g_autoptr (KrSnapshot) snapshot = NULL;
  g_autofree char *text = NULL;

  if (kr_event_stream_is_empty (server->events))
    return G_SOURCE_REMOVE;
  snapshot = get_snapshot (server, NULL, NULL);
  text = kr_status_to_json (snapshot, KR_STATUS_FULL);
  kr_event_stream_send (server->events, text);
  return G_SOURCE_REMOVE;
}

static gboolean
on_quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

/* g_main_context_invoke() would run it in the calling thread while the other has not started.
 */
static void
in_thread (KrStatusServer *server, GSourceFunc function, gpointer data)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, function, data, NULL);
  g_source_attach (source, server->context);
}

/* --- from outside ------------------------------------------------------------------------- */

static GSocket *
bind_socket (GSocketAddress *address, GError **error)
{
  g_autoptr (GError) bind_error = NULL;
  g_autoptr (GSocket) socket =
      g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
                    G_SOCKET_PROTOCOL_TCP, &bind_error);

  if (socket != NULL)
    g_socket_set_listen_backlog (socket, 64);
  if (socket == NULL || !g_socket_bind (socket, address, TRUE, &bind_error) ||
      !g_socket_listen (socket, &bind_error)) {
    gboolean in_use = g_error_matches (bind_error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);

    g_set_error_literal (error, KR_STATUS_ERROR,
                         in_use ? KR_STATUS_ERROR_IN_USE : KR_STATUS_ERROR_ADDRESS,
                         bind_error->message);
    return NULL;
  }
  return g_steal_pointer (&socket);
}

static char *
socket_url (GSocket *socket)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (socket, NULL);
  g_autofree char *text = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));

  return g_strdup_printf ("http://%s/", text);
}

KrStatusServer *
kr_status_server_new (const char *listen, const char *token, GError **error)
{
  gboolean loopback;
  g_autoptr (GSocketAddress) address = parse_address (listen, &loopback, error);
  g_autoptr (GSocket) socket = NULL;
  KrStatusServer *server;

  if (address == NULL)
    return NULL;
  if (!loopback && token == NULL) {
    g_set_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_TOKEN,
                 "%s can be reached from outside: give a token with --token-file, or listen on "
                 "127.0.0.1",
                 listen);
    return NULL;
  }
  socket = bind_socket (address, error);
  if (socket == NULL)
    return NULL;

  server = g_new0 (KrStatusServer, 1);
  g_mutex_init (&server->lock);
  server->url = socket_url (socket);
  server->socket = g_steal_pointer (&socket);
  server->token = g_strdup (token);
  server->context = g_main_context_new ();
  server->loop = g_main_loop_new (server->context, FALSE);
  server->published_at = g_get_monotonic_time ();
  server->thread = g_thread_new ("status", serve, server);
  return server;
}

void
kr_status_server_free (KrStatusServer *server)
{
  if (server == NULL)
    return;
  in_thread (server, on_quit, server->loop);
  g_thread_join (server->thread);
  g_main_loop_unref (server->loop);
  g_main_context_unref (server->context);
  kr_snapshot_unref (server->snapshot);
  g_mutex_clear (&server->lock);
  g_object_unref (server->socket);
  g_free (server->token);
  g_free (server->url);
  g_free (server);
}

const char *
kr_status_server_url (const KrStatusServer *server)
{
  return server->url;
}

void
kr_status_server_publish (KrStatusServer *server, KrSnapshot *snapshot,
                          const KrProcessFigures *process)
{
  KrSnapshot *before;

  g_mutex_lock (&server->lock);
  before = server->snapshot;
  server->snapshot = kr_snapshot_ref (snapshot);
  server->process = *process;
  server->published_at = g_get_monotonic_time ();
  g_mutex_unlock (&server->lock);
  kr_snapshot_unref (before);
  in_thread (server, on_published, server);
}
