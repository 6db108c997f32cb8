/* keeprolling - tests of services/status-server
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/status-server.h"

#include <stdio.h>
#include <string.h>

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "launcher/services/http-gate.h"
#include "launcher/services/prepare.h"
#include "tests/support/kr-snapshots.h"
#include "tests/support/kr-test.h"

static const KrProcessFigures no_figures;

static KrStatusServer *
start (const char *token)
{
  g_autoptr (GError) error = NULL;
  KrStatusServer *server = kr_status_server_new ("127.0.0.1:0", token, &error);

  g_assert_no_error (error);
  return server;
}

static void
publish (KrStatusServer *server)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  kr_snapshot_finish (snapshot, NULL);
  kr_status_server_publish (server, snapshot, &no_figures);
}

static GSocketConnection *
connect_to (KrStatusServer *server)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection;

  g_socket_client_set_timeout (client, (guint)kr_test_scale (30));
  connection =
      g_socket_client_connect_to_uri (client, kr_status_server_url (server), 80, NULL, &error);
  g_assert_no_error (error);
  return connection;
}

static void
say (GSocketConnection *connection, const char *text)
{
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));

  /* The other side may have closed; what it said before is what counts. */
  g_output_stream_write_all (out, text, strlen (text), NULL, NULL, NULL);
}

/* All until the other side closes (transfer full). */
static char *
hear_all (GSocketConnection *connection)
{
  GInputStream *in = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  GString *text = g_string_new (NULL);
  char buffer[4096];
  gssize n;

  while ((n = g_input_stream_read (in, buffer, sizeof buffer, NULL, NULL)) > 0)
    g_string_append_len (text, buffer, n);
  return g_string_free (text, FALSE);
}

/* Until @word has come. */
static char *
hear (GSocketConnection *connection, const char *word)
{
  GInputStream *in = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  GString *text = g_string_new (NULL);
  char buffer[4096];

  while (strstr (text->str, word) == NULL) {
    gssize n = g_input_stream_read (in, buffer, sizeof buffer, NULL, NULL);

    if (n <= 0)
      g_error ("\"%s\" has not come: %s", word, text->str);
    g_string_append_len (text, buffer, n);
  }
  return g_string_free (text, FALSE);
}

static char *
request (KrStatusServer *server, const char *first_line, const char *headers)
{
  g_autoptr (GSocketConnection) connection = connect_to (server);
  g_autofree char *text = g_strdup_printf (
      "%s HTTP/1.1\r\n%sConnection: close\r\n%s\r\n", first_line,
      headers != NULL && strstr (headers, "Host:") != NULL ? "" : "Host: 127.0.0.1\r\n",
      headers != NULL ? headers : "");

  say (connection, text);
  return hear_all (connection);
}

static void
assert_answer (KrStatusServer *server, const char *first_line, const char *headers,
               const char *status, const char *word)
{
  g_autofree char *answer = request (server, first_line, headers);

  if (!g_str_has_prefix (answer, "HTTP/1.1 ") || strncmp (answer + 9, status, 3) != 0)
    g_error ("%s: not %s but %s", first_line, status, answer);
  if (word != NULL && strstr (answer, word) == NULL)
    g_error ("%s: no \"%s\" in %s", first_line, word, answer);
}

static void
test_routes (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);

  assert_answer (server, "GET /health", NULL, "503", "starting");
  assert_answer (server, "GET /metrics", NULL, "503", "starting");
  assert_answer (server, "GET /readyz", NULL, "503", "starting");
  publish (server);
  assert_answer (server, "GET /", NULL, "200", "<title>keeprolling</title>");
  assert_answer (server, "GET /page.js", NULL, "200", "text/javascript");
  assert_answer (server, "GET /page.css", NULL, "200", "text/css");
  assert_answer (server, "GET /health", NULL, "200", "application/health+json");
  assert_answer (server, "GET /status", NULL, "200", "\"history\":[");
  assert_answer (server, "GET /metrics", NULL, "200", "keeprolling_build_info");
  assert_answer (server, "GET /livez", NULL, "200", "ok");
  assert_answer (server, "GET /readyz", NULL, "200", "ok");
  assert_answer (server, "GET /startupz", NULL, "200", "ok");
  assert_answer (server, "HEAD /status", NULL, "200", NULL);
  assert_answer (server, "GET /nothing", NULL, "404", "/health");
  assert_answer (server, "GET /../etc/passwd", NULL, "404", NULL);
  assert_answer (server, "GET /", NULL, "200", "frame-ancestors 'none'");
}

static void
test_nothing_changes_state (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"};

  publish (server);
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++) {
    g_autofree char *line = g_strconcat (methods[i], " /status", NULL);

    assert_answer (server, line, "Content-Length: 0\r\n", "405", "Allow: GET, HEAD");
  }
}

static void
test_failing_health_is_503 (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();

  kr_test_snapshot_file (snapshot)->verdict.status = KR_HEALTH_FAIL;
  kr_snapshot_finish (snapshot, NULL);
  kr_status_server_publish (server, snapshot, &no_figures);
  assert_answer (server, "GET /health", NULL, "503", "\"status\":\"fail\"");
  assert_answer (server, "GET /status", NULL, "200", "\"status\":\"fail\"");
}

static void
test_token (void)
{
  g_autoptr (KrStatusServer) server = start ("0123456789abcdef");
  static const char *const wrong[] = {
      "",
      "Authorization: Bearer 0123456789abcdeX\r\n",
      "Authorization: Bearer 0123456789abcde\r\n",
      "Authorization: Bearer 0123456789abcdef0\r\n",
      "Authorization: Bearer \r\n",
      "Authorization: Basic 0123456789abcdef\r\n",
  };

  publish (server);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    assert_answer (server, "GET /status", wrong[i], "401", "WWW-Authenticate: Bearer");
    assert_answer (server, "GET /metrics", wrong[i], "401", NULL);
    assert_answer (server, "GET /events", wrong[i], "401", NULL);
  }
  assert_answer (server, "GET /status", "Authorization: Bearer 0123456789abcdef\r\n", "200",
                 NULL);
  assert_answer (server, "GET /status", "authorization: bearer 0123456789abcdef\r\n", "200",
                 NULL);
  /* The page itself has no data in it, and asks for the token. */
  assert_answer (server, "GET /", "", "200", "token-form");
}

static void
test_a_foreign_name_is_refused (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);

  publish (server);
  assert_answer (server, "GET /status", "Host: evil.example\r\n", "403", NULL);
  assert_answer (server, "GET /status", "Host: localhost:9478\r\n", "200", NULL);
  assert_answer (server, "GET /status", "Host: [::1]:9478\r\n", "200", NULL);
}

static void
test_addresses (void)
{
  static const struct {
    const char *listen, *token;
    KrStatusErrorCode code;
  } bad[] = {
      {"9478", NULL, KR_STATUS_ERROR_ADDRESS},
      {"127.0.0.1:http", NULL, KR_STATUS_ERROR_ADDRESS},
      {"127.0.0.1:65536", NULL, KR_STATUS_ERROR_ADDRESS},
      {"nowhere.example:9478", NULL, KR_STATUS_ERROR_ADDRESS},
      {"0.0.0.0:0", NULL, KR_STATUS_ERROR_TOKEN},
      {"[::]:0", NULL, KR_STATUS_ERROR_TOKEN},
  };
  g_autoptr (KrStatusServer) any = kr_status_server_new ("0.0.0.0:0", "0123456789abcdef", NULL);
  g_autoptr (KrStatusServer) named = kr_status_server_new ("localhost:0", NULL, NULL);

  g_assert_nonnull (any);
  g_assert_nonnull (named);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (kr_status_server_new (bad[i].listen, bad[i].token, &error));
    g_assert_error (error, KR_STATUS_ERROR, (int)bad[i].code);
  }
}

static void
test_a_port_in_use (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autofree char *listen = g_strdup (kr_status_server_url (server) + strlen ("http://"));
  g_autoptr (GError) error = NULL;

  listen[strlen (listen) - 1] = '\0';
  g_assert_null (kr_status_server_new (listen, NULL, &error));
  g_assert_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_IN_USE);
}

static void
test_token_files (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "token");
  g_autofree char *token = NULL;
  static const char *const bad[] = {"",
                                    "\n",
                                    "short\n",
                                    "\n0123456789abcdef\n",
                                    "0123456789 abcdef\n",
                                    "0123456789abcd\xff\xfe\n"};

  g_assert_null (kr_status_token_load (path, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_true (g_file_set_contents_full (path, bad[i], -1, 0, 0600, NULL));
    g_assert_null (kr_status_token_load (path, &error));
    g_assert_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_TOKEN);
  }
  g_assert_true (
      g_file_set_contents_full (path, "0123456789abcdef\nrest\n", -1, 0, 0600, NULL));
  g_chmod (path, 0644);
  g_assert_null (kr_status_token_load (path, NULL));
  g_chmod (path, 0600);
  token = kr_status_token_load (path, NULL);
  g_assert_cmpstr (token, ==, "0123456789abcdef");
}

static gpointer
write_token (gpointer path)
{
  FILE *pipe = fopen (path, "w");

  g_assert_nonnull (pipe);
  fputs ("0123456789abcdef\n", pipe);
  fclose (pipe);
  return NULL;
}

/* What is no file in the common sense: no end, nobody behind it, a shell's <(...). */
static void
test_odd_token_files (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "pipe");
  g_autofree char *token = NULL;
  g_autoptr (GError) error = NULL;
  GThread *writer;

  g_assert_null (kr_status_token_load (dir, NULL));
  g_assert_null (kr_status_token_load ("/dev/zero", NULL));
  g_assert_null (kr_status_token_load ("/dev/null", NULL));
  g_assert_null (kr_status_token_load ("/dev/urandom", NULL));
  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  g_assert_null (kr_status_token_load (path, &error));
  g_assert_error (error, KR_STATUS_ERROR, KR_STATUS_ERROR_TOKEN);
  writer = g_thread_new ("writer", write_token, path);
  token = kr_status_token_load (path, NULL);
  g_thread_join (writer);
  g_assert_cmpstr (token, ==, "0123456789abcdef");
}

static void
test_events (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autoptr (GSocketConnection) connection = connect_to (server);

  publish (server);
  say (connection, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (guint i = 0; i < 3; i++) {
    g_autofree char *text = hear (connection, "\n\n");

    g_assert_nonnull (strstr (text, "data: {\"status\":\"pass\""));
    publish (server);
  }
}

/* One that never reads gets no more than fits into the socket, others get all. */
static void
test_a_client_that_does_not_read (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autoptr (GSocketConnection) deaf = connect_to (server);
  g_autoptr (GSocketConnection) good = connect_to (server);

  publish (server);
  say (deaf, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  say (good, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (guint i = 0; i < 2000; i++)
    publish (server);
  for (guint i = 0; i < 3; i++) {
    G_GNUC_UNUSED g_autofree char *text = hear (good, "\n\n");

    publish (server);
  }
  assert_answer (server, "GET /livez", NULL, "200", "ok");
}

static void
test_too_many_event_clients (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);

  publish (server);
  for (guint i = 0; i < KR_STATUS_MAX_EVENT_CLIENTS; i++) {
    GSocketConnection *client = connect_to (server);
    g_autofree char *text = NULL;

    g_ptr_array_add (clients, client);
    say (client, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    text = hear (client, "\n\n");
  }
  assert_answer (server, "GET /events", NULL, "503", "too many");
  assert_answer (server, "GET /status", NULL, "200", NULL);
}

/* Connections that say nothing take all places; they are thrown out, and the server answers
 * again. The one test here that has to wait for a limit. */
static void
test_a_crowd_that_says_nothing (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autoptr (GPtrArray) crowd = g_ptr_array_new_with_free_func (g_object_unref);

  publish (server);
  for (guint i = 0; i < KR_HTTP_MAX_CONNECTIONS + 20; i++) {
    g_ptr_array_add (crowd, connect_to (server));
    say (crowd->pdata[i], "GET /status HTTP/1.1\r\nX-Slow: ");
  }
  /* Who asks is answered, crowd or no crowd. */
  for (guint i = 0; i < 20; i++)
    assert_answer (server, "GET /livez", NULL, "200", "ok");
  for (guint i = 0; i < crowd->len; i++) {
    G_GNUC_UNUSED g_autofree char *rest = hear_all (crowd->pdata[i]);
  }
  publish (server); /* the last one is older than a living supervisor's */
  assert_answer (server, "GET /livez", NULL, "200", "ok");
}

static void
test_garbage_and_floods (void)
{
  g_autoptr (KrStatusServer) server = start (NULL);
  g_autofree char *long_line = g_strnfill (300000, 'a');
  static const char *const garbage[] = {"\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\xff",
                                        "GET /status HTTP/9.9\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\n"};

  publish (server);
  for (guint i = 0; i < G_N_ELEMENTS (garbage); i++) {
    g_autoptr (GSocketConnection) connection = connect_to (server);

    say (connection, garbage[i]);
  }
  {
    g_autoptr (GSocketConnection) connection = connect_to (server);

    say (connection, "GET /");
    say (connection, long_line);
  }
  {
    g_autoptr (GSocketConnection) connection = connect_to (server);

    say (connection, "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999"
                     "\r\n\r\n");
    say (connection, long_line);
  }
  assert_answer (server, "GET /livez", NULL, "200", "ok");
}

/* Stops while clients are in every state. */
static void
test_stop_at_any_moment (void)
{
  for (guint i = 0; i < 200; i++) {
    KrStatusServer *server = start (NULL);
    G_GNUC_UNUSED g_autoptr (GSocketConnection) quiet = connect_to (server);
    g_autoptr (GSocketConnection) events = connect_to (server);
    g_autoptr (GSocketConnection) asking = connect_to (server);

    publish (server);
    say (events, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    say (asking, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (i % 3 == 0)
      publish (server);
    if (i % 2 == 0) {
      G_GNUC_UNUSED g_autofree char *text = hear (events, "data:");
    }
    kr_status_server_free (server);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_services_prepare ();
  kr_test_deadline (240);
  g_test_add_func ("/services/status-server/routes", test_routes);
  g_test_add_func ("/services/status-server/read-only", test_nothing_changes_state);
  g_test_add_func ("/services/status-server/failing", test_failing_health_is_503);
  g_test_add_func ("/services/status-server/token", test_token);
  g_test_add_func ("/services/status-server/foreign-name", test_a_foreign_name_is_refused);
  g_test_add_func ("/services/status-server/addresses", test_addresses);
  g_test_add_func ("/services/status-server/in-use", test_a_port_in_use);
  g_test_add_func ("/services/status-server/token-files", test_token_files);
  g_test_add_func ("/services/status-server/odd-token-files", test_odd_token_files);
  g_test_add_func ("/services/status-server/events", test_events);
  g_test_add_func ("/services/status-server/deaf", test_a_client_that_does_not_read);
  g_test_add_func ("/services/status-server/event-limit", test_too_many_event_clients);
  g_test_add_func ("/services/status-server/crowd", test_a_crowd_that_says_nothing);
  g_test_add_func ("/services/status-server/garbage", test_garbage_and_floods);
  g_test_add_func ("/services/status-server/stop", test_stop_at_any_moment);
  return g_test_run ();
}
