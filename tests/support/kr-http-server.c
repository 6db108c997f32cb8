/* keeprolling - an HTTP server that behaves as badly as a test wants
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/support/kr-http-server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct _KrHttpServer {
  int fd;
  char *uri;
  GThread *thread;
  GMutex mutex; /* guards the rest */
  GCond ended;
  gboolean closing;
  guint n_handlers;
  KrServerMode mode;
  int status;
  char *header;
  GPtrArray *requests; /* of char* */
  guint64 sent;
};

typedef struct {
  KrHttpServer *server;
  int fd;
} Handler;

static gboolean
is_closing (KrHttpServer *server)
{
  gboolean closing;

  g_mutex_lock (&server->mutex);
  closing = server->closing;
  g_mutex_unlock (&server->mutex);
  return closing;
}

/* FALSE if the client is gone, or the test is over. */
static gboolean
wait_for (Handler *handler, short events)
{
  while (!is_closing (handler->server)) {
    struct pollfd poll_fd = {.fd = handler->fd, .events = events};

    if (poll (&poll_fd, 1, 50) > 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean
send_all (Handler *handler, const char *data, gsize length)
{
  while (length > 0) {
    gssize n;

    if (!wait_for (handler, POLLOUT))
      return FALSE;
    n = send (handler->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n < 0)
      return FALSE;
    g_mutex_lock (&handler->server->mutex);
    handler->server->sent += (guint64)n;
    g_mutex_unlock (&handler->server->mutex);
    data += n;
    length -= (gsize)n;
  }
  return TRUE;
}

static gboolean
send_text (Handler *handler, const char *text)
{
  return send_all (handler, text, strlen (text));
}

static gboolean
is_whole (const GString *request)
{
  const char *body = strstr (request->str, "\r\n\r\n");
  const char *length = strcasestr (request->str, "\r\nContent-Length:");

  if (body == NULL)
    return FALSE;
  return length == NULL || strlen (body + 4) >= strtoul (length + 17, NULL, 10);
}

/* NULL = the client is gone. */
static char *
read_request (Handler *handler)
{
  g_autoptr (GString) request = g_string_new (NULL);
  char buffer[4096];

  while (!is_whole (request)) {
    gssize n;

    if (!wait_for (handler, POLLIN))
      return NULL;
    n = recv (handler->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n <= 0)
      return NULL;
    g_string_append_len (request, buffer, n);
  }
  return g_string_free (g_steal_pointer (&request), FALSE);
}

static void
pour (Handler *handler, const char *line)
{
  while (send_text (handler, line))
    ;
}

static void
trickle (Handler *handler, const char *text)
{
  for (; *text != '\0' && send_all (handler, text, 1); text++)
    g_usleep (100 * 1000);
}

/* FALSE if the connection is to end. */
static gboolean
answer (Handler *handler, KrServerMode mode, int status, const char *header)
{
  g_autofree char *head =
      g_strdup_printf ("HTTP/1.1 %d Test\r\n%s%s", status, header != NULL ? header : "",
                       header != NULL ? "\r\n" : "");
  g_autofree char *good = g_strconcat (head, "Content-Length: 2\r\n\r\nok", NULL);
  g_autofree char *slow = g_strconcat (head, "Content-Length: 2\r\n", NULL);
  g_autofree char *endless = g_strconcat (head, "Transfer-Encoding: chunked\r\n\r\n", NULL);
  g_autofree char *circle = g_strdup_printf (
      "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", handler->server->uri);
  g_autofree char *chunk = g_strnfill (4096, 'x');
  g_autofree char *body = g_strdup_printf ("1000\r\n%s\r\n", chunk);

  switch (mode) {
  case KR_SERVER_GOOD:
    return send_text (handler, good);
  case KR_SERVER_SILENT:
    g_free (read_request (handler)); /* until the client has enough */
    return FALSE;
  case KR_SERVER_TRICKLE:
    trickle (handler, slow);
    while (!is_closing (handler->server) && send_text (handler, "X"))
      g_usleep (100 * 1000);
    return FALSE;
  case KR_SERVER_ENDLESS_BODY:
    if (send_text (handler, endless))
      pour (handler, body);
    return FALSE;
  case KR_SERVER_ENDLESS_HEAD:
    if (send_text (handler, head))
      pour (handler, "X-Header: and one more, and one more, and one more\r\n");
    return FALSE;
  case KR_SERVER_CIRCLE:
    return send_text (handler, circle);
  case KR_SERVER_GARBAGE:
    send_text (handler, "\x16\x03\x01\xff\xfe no HTTP at all\n\n\n\n");
    return FALSE;
  case KR_SERVER_CLOSE:
    return FALSE;
  }
  return FALSE;
}

static gpointer
handle (gpointer data)
{
  Handler *handler = data;
  KrHttpServer *server = handler->server;
  gboolean go_on = TRUE;

  while (go_on) {
    char *request = read_request (handler);
    g_autofree char *header = NULL;
    KrServerMode mode;
    int status;

    if (request == NULL)
      break;
    g_mutex_lock (&server->mutex);
    g_ptr_array_add (server->requests, request);
    mode = server->mode;
    status = server->status;
    header = g_strdup (server->header);
    g_mutex_unlock (&server->mutex);
    go_on = answer (handler, mode, status, header);
  }
  close (handler->fd);
  g_mutex_lock (&server->mutex);
  server->n_handlers--;
  g_cond_broadcast (&server->ended);
  g_mutex_unlock (&server->mutex);
  g_free (handler);
  return NULL;
}

static gpointer
serve (gpointer data)
{
  KrHttpServer *server = data;

  while (!is_closing (server)) {
    struct pollfd poll_fd = {.fd = server->fd, .events = POLLIN};
    Handler *handler;
    int fd;

    if (poll (&poll_fd, 1, 50) <= 0)
      continue;
    fd = accept4 (server->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
      continue;
    handler = g_new0 (Handler, 1);
    handler->server = server;
    handler->fd = fd;
    g_mutex_lock (&server->mutex);
    server->n_handlers++;
    g_mutex_unlock (&server->mutex);
    g_thread_unref (g_thread_new ("handler", handle, handler));
  }
  return NULL;
}

KrHttpServer *
kr_http_server_new (KrServerMode mode, int status)
{
  KrHttpServer *server = g_new0 (KrHttpServer, 1);
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t length = sizeof address;

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  server->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (server->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (server->fd, 64), ==, 0);
  getsockname (server->fd, (struct sockaddr *)&address, &length);
  server->uri =
      g_strdup_printf ("http://127.0.0.1:%d/hook/T0PSECRET", ntohs (address.sin_port));
  server->mode = mode;
  server->status = status;
  server->requests = g_ptr_array_new_with_free_func (g_free);
  g_mutex_init (&server->mutex);
  g_cond_init (&server->ended);
  server->thread = g_thread_new ("server", serve, server);
  return server;
}

void
kr_http_server_free (KrHttpServer *server)
{
  if (server == NULL)
    return;
  g_mutex_lock (&server->mutex);
  server->closing = TRUE;
  g_mutex_unlock (&server->mutex);
  g_thread_join (server->thread);
  g_mutex_lock (&server->mutex);
  while (server->n_handlers > 0)
    g_cond_wait (&server->ended, &server->mutex);
  g_mutex_unlock (&server->mutex);
  close (server->fd);
  g_ptr_array_unref (server->requests);
  g_mutex_clear (&server->mutex);
  g_cond_clear (&server->ended);
  g_free (server->header);
  g_free (server->uri);
  g_free (server);
}

void
kr_http_server_set (KrHttpServer *server, KrServerMode mode, int status)
{
  g_mutex_lock (&server->mutex);
  server->mode = mode;
  server->status = status;
  g_mutex_unlock (&server->mutex);
}

void
kr_http_server_set_header (KrHttpServer *server, const char *header)
{
  g_mutex_lock (&server->mutex);
  g_free (server->header);
  server->header = g_strdup (header);
  g_mutex_unlock (&server->mutex);
}

const char *
kr_http_server_uri (const KrHttpServer *server)
{
  return server->uri;
}

guint
kr_http_server_n_requests (KrHttpServer *server)
{
  guint n;

  g_mutex_lock (&server->mutex);
  n = server->requests->len;
  g_mutex_unlock (&server->mutex);
  return n;
}

char *
kr_http_server_request (KrHttpServer *server, guint i)
{
  char *request;

  g_mutex_lock (&server->mutex);
  g_assert_cmpuint (i, <, server->requests->len);
  request = g_strdup (server->requests->pdata[i]);
  g_mutex_unlock (&server->mutex);
  return request;
}

guint64
kr_http_server_sent (KrHttpServer *server)
{
  guint64 sent;

  g_mutex_lock (&server->mutex);
  sent = server->sent;
  g_mutex_unlock (&server->mutex);
  return sent;
}
