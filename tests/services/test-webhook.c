/* keeprolling - telling people, by webhook
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/webhook.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "launcher/services/http-client.h"
#include "launcher/services/url-check.h"
#include "launcher/services/prepare.h"
#include "tests/support/kr-http-server.h"
#include "tests/support/kr-test.h"

/* --- what was said, and one message ---------------------------------------------------- */

typedef struct {
  GMutex mutex;
  GString *text;
} Said;

static void
on_say (GLogLevelFlags level, const char *file, const char *text, gpointer data)
{
  Said *said = data;

  g_mutex_lock (&said->mutex);
  g_string_append_printf (said->text, "%s: %s\n", file != NULL ? file : "-", text);
  g_mutex_unlock (&said->mutex);
}

static Said *
said_new (void)
{
  Said *said = g_new0 (Said, 1);

  g_mutex_init (&said->mutex);
  said->text = g_string_new (NULL);
  return said;
}

static void
said_free (Said *said)
{
  g_mutex_clear (&said->mutex);
  g_string_free (said->text, TRUE);
  g_free (said);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Said, said_free)

/* How often @word was said. */
static guint
times_said (Said *said, const char *word)
{
  guint n = 0;

  g_mutex_lock (&said->mutex);
  for (const char *at = said->text->str; (at = strstr (at, word)) != NULL; at++)
    n++;
  g_mutex_unlock (&said->mutex);
  return n;
}

static void
push (KrWebhooks *webhooks, const char *file, const char *id)
{
  g_autoptr (GVariant) details =
      g_variant_ref_sink (g_variant_new_parsed ("{'seconds': <0.4>, 'n': <int64 7>}"));
  KrWebhookMessage message = {.id = id,
                              .utc_us = g_get_real_time (),
                              .kind = KR_NOTICE_RESTART,
                              .file = file,
                              .pipeline = "record",
                              .event = "crash",
                              .text = "killed by signal 9",
                              .details = details};

  kr_webhooks_push (webhooks, &message);
}

static KrProcessFigures
figures_of (KrWebhooks *webhooks)
{
  KrProcessFigures figures = {0};

  kr_webhooks_get_figures (webhooks, &figures);
  return figures;
}

/* The member @name of the body of a request (transfer full). */
static char *
member (KrHttpServer *server, guint i, const char *name)
{
  g_autofree char *request = kr_http_server_request (server, i);
  g_autoptr (JsonNode) root = json_from_string (strstr (request, "\r\n\r\n") + 4, NULL);

  g_assert_nonnull (root);
  return g_strdup (json_object_get_string_member (json_node_get_object (root), name));
}

static void
assert_got (KrHttpServer *server, guint i, const char *id)
{
  g_autofree char *got = NULL;

  kr_test_wait (kr_http_server_n_requests (server) > i, 30);
  got = member (server, i, "id");
  g_assert_cmpstr (got, ==, id);
}

/* What the store holds of @file (transfer full); "" = nothing. */
static char *
stored (const KrTestDir *dir, const char *file)
{
  g_autoptr (GDir) folder = g_dir_open (dir, 0, NULL);
  const char *name;

  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL) {
    g_autofree char *path = g_build_filename (dir, name, NULL);
    char *text;

    if (g_str_has_prefix (name, file) && g_str_has_suffix (name, ".jsonl") &&
        g_file_get_contents (path, &text, NULL, NULL))
      return text;
  }
  return g_strdup ("");
}

static gboolean
has_stored (const KrTestDir *dir, const char *file, const char *word)
{
  g_autofree char *text = stored (dir, file);

  return strstr (text, word) != NULL;
}

/* --- message --------------------------------------------------------------------------- */

static void
test_message (void)
{
  g_autoptr (GVariant) details = g_variant_ref_sink (g_variant_new_parsed (
      "{'uri': <'srt://h:1?passphrase=T0PSECRET'>, 'event': <'lie'>, 'n': <int64 3>,"
      " 'ok': <true>, 'x': <[1, 2]>}"));
  KrWebhookMessage message = {.id = "i-1",
                              .utc_us = G_GINT64_CONSTANT (1795176000123000),
                              .kind = KR_NOTICE_RECONNECT,
                              .file = "cam1",
                              .pipeline = "record",
                              .event = "reconnect",
                              .text = "source silent",
                              .details = details,
                              .left_out = 4};
  g_autofree char *line = kr_webhook_message_encode (&message);
  g_autofree char *id = NULL;
  gint64 utc_us = 0;

  g_assert_cmpstr (line, ==,
                   "{\"id\":\"i-1\",\"time\":\"2026-11-20T12:00:00.123Z\","
                   "\"kind\":\"reconnect\",\"file\":\"cam1\",\"pipeline\":\"record\","
                   "\"text\":\"cam1/record: source silent\",\"details\":{"
                   "\"event\":\"reconnect\",\"left_out\":4,"
                   "\"uri\":\"srt://h:1?passphrase=***\",\"n\":3,\"ok\":true}}");
  id = kr_webhook_message_parse (line, strlen (line), &utc_us);
  g_assert_cmpstr (id, ==, "i-1");
  g_assert_cmpint (utc_us, ==, G_GINT64_CONSTANT (1795176000000000));
}

static void
test_message_bounds (void)
{
  g_autofree char *long_text = g_strnfill (100000, 'x');
  g_autoptr (GVariantDict) dict = g_variant_dict_new (NULL);
  g_autoptr (GVariant) details = NULL;
  KrWebhookMessage message = {
      .id = "i", .file = long_text, .pipeline = "\xff", .text = long_text};
  g_autofree char *line = NULL;

  for (guint i = 0; i < 1000; i++) {
    g_autofree char *name = g_strdup_printf ("name-%u", i);

    g_variant_dict_insert (dict, name, "s", long_text);
  }
  details = g_variant_ref_sink (g_variant_dict_end (dict));
  message.details = details;
  message.event = "crash";
  line = kr_webhook_message_encode (&message);
  g_assert_cmpuint (strlen (line), <, 16384);
  g_assert_true (g_utf8_validate (line, -1, NULL));
  g_assert_null (strchr (line, '\n'));
}

static void
test_message_garbled (void)
{
  const char *lines[] = {"",
                         "{}",
                         "nonsense",
                         "[]",
                         "null",
                         "{\"id\":1,\"time\":\"2026-11-20T12:00:00Z\"}",
                         "{\"id\":\"a\"}",
                         "{\"id\":\"\",\"time\":\"2026-11-20T12:00:00Z\"}",
                         "{\"id\":\"a\",\"time\":\"yesterday\"}",
                         "{\"id\":\"a\",\"time\":{}}",
                         "{\"id\":\"a\\r\\nX: y\",\"time\":\"now\"}",
                         "\xff\xfe"};
  gint64 utc_us = 5;

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    g_assert_null (kr_webhook_message_parse (lines[i], strlen (lines[i]), &utc_us));
  g_assert_cmpint (utc_us, ==, 5);
}

/* --- delivery -------------------------------------------------------------------------- */

static void
test_delivers_in_order (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_GOOD, 200);
  g_autoptr (KrWebhooks) webhooks = kr_webhooks_new (dir, on_say, said);
  g_autofree char *request = NULL;

  kr_webhooks_set (webhooks, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  g_assert_true (kr_webhooks_has (webhooks, "cam1"));
  push (webhooks, "cam1", "a");
  push (webhooks, "cam1", "b");
  push (webhooks, "cam2", "nobody wants it");
  push (webhooks, "cam1", "c");
  assert_got (server, 0, "a");
  assert_got (server, 1, "b");
  assert_got (server, 2, "c");
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DELIVERED] == 3, 30);
  g_assert_cmpuint (figures_of (webhooks).webhook_queue, ==, 0);
  request = kr_http_server_request (server, 0);
  g_assert_true (g_str_has_prefix (request, "POST /hook/T0PSECRET HTTP/1.1\r\n"));
  g_assert_nonnull (strstr (request, "Content-Type: application/json\r\n"));
  g_assert_nonnull (strstr (request, "Idempotency-Key: a\r\n"));
  kr_test_wait (!has_stored (dir, "cam1", "id"), 30);
}

/* A pipeline file may name another endpoint after a reload, or none. */
static void
test_other_endpoint (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) one = kr_http_server_new (KR_SERVER_GOOD, 200);
  g_autoptr (KrHttpServer) two = kr_http_server_new (KR_SERVER_GOOD, 200);
  g_autoptr (KrWebhooks) webhooks = kr_webhooks_new (dir, on_say, said);

  kr_webhooks_set (webhooks, "cam1", "/x", NULL);
  g_assert_false (kr_webhooks_has (webhooks, "cam1"));
  kr_webhooks_set (webhooks, "cam1", "/x", kr_http_server_uri (one));
  push (webhooks, "cam1", "a");
  assert_got (one, 0, "a");
  kr_webhooks_set (webhooks, "cam1", "/x", kr_http_server_uri (two));
  push (webhooks, "cam1", "b");
  assert_got (two, 0, "b");
  kr_webhooks_set (webhooks, "cam1", "/x", NULL);
  g_assert_false (kr_webhooks_has (webhooks, "cam1"));
  push (webhooks, "cam1", "nobody wants it");
  kr_webhooks_set (webhooks, "cam1", "/x", kr_http_server_uri (one));
  push (webhooks, "cam1", "c");
  assert_got (one, 1, "c");
  g_assert_cmpuint (kr_http_server_n_requests (two), ==, 1);
}

static void
test_refused_and_retried (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_GOOD, 404);
  g_autoptr (KrWebhooks) webhooks = kr_webhooks_new (dir, on_say, said);

  kr_webhooks_set (webhooks, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  push (webhooks, "cam1", "a");
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DROPPED] == 1, 30);
  g_assert_cmpuint (times_said (said, "refused a message (it answers 404)"), ==, 1);

  kr_http_server_set (server, KR_SERVER_GOOD, 503);
  push (webhooks, "cam1", "b");
  push (webhooks, "cam1", "c");
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_RETRIED] >= 2, 30);
  g_assert_cmpuint (figures_of (webhooks).webhook_queue, ==, 2);
  kr_http_server_set (server, KR_SERVER_GOOD, 204);
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DELIVERED] == 2, 30);
  /* Told once each, and without the secret. */
  g_assert_cmpuint (times_said (said, "does not take messages (it answers 503)"), ==, 1);
  g_assert_cmpuint (times_said (said, "takes messages again"), ==, 1);
  g_assert_cmpuint (times_said (said, "T0PSECRET"), ==, 0);
}

/* A dozen endpoints that are dead, slow or lying, and one that is not. */
static void
test_bad_endpoints (void)
{
  const KrServerMode modes[] = {KR_SERVER_SILENT, KR_SERVER_TRICKLE, KR_SERVER_ENDLESS_HEAD,
                                KR_SERVER_CIRCLE, KR_SERVER_GARBAGE, KR_SERVER_CLOSE};
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) good = kr_http_server_new (KR_SERVER_GOOD, 200);
  g_autoptr (KrHttpServer) endless = kr_http_server_new (KR_SERVER_ENDLESS_BODY, 200);
  KrHttpServer *bad[G_N_ELEMENTS (modes)];
  KrWebhooks *webhooks = kr_webhooks_new (dir, on_say, said);
  gint64 began;

  for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
    g_autofree char *name = g_strdup_printf ("bad%u", i);

    bad[i] = kr_http_server_new (modes[i], 200);
    kr_webhooks_set (webhooks, name, "/x", kr_http_server_uri (bad[i]));
    push (webhooks, name, "a");
  }
  kr_webhooks_set (webhooks, "refused", "/x", "http://127.0.0.1:1/");
  push (webhooks, "refused", "a");
  kr_webhooks_set (webhooks, "no-such-name", "/x", "http://no-such-name.invalid/");
  push (webhooks, "no-such-name", "a");
  kr_webhooks_set (webhooks, "nonsense", "/x", "http://[::");
  push (webhooks, "nonsense", "a");
  kr_webhooks_set (webhooks, "endless", "/x", kr_http_server_uri (endless));
  kr_webhooks_set (webhooks, "good", "/x", kr_http_server_uri (good));
  for (guint i = 0; i < 20; i++) {
    g_autofree char *id = g_strdup_printf ("n%u", i);

    push (webhooks, "good", id);
    push (webhooks, "endless", id);
    assert_got (good, i, id);
    /* A status is a status, whatever comes after it. */
    assert_got (endless, i, id);
  }
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DELIVERED] == 40, 30);
  g_test_message ("sent by the endless one: %" G_GUINT64_FORMAT, kr_http_server_sent (endless));
  g_assert_cmpuint (kr_http_server_sent (endless), <, 400 * 1024 * 1024);
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
    g_autofree char *told = g_strdup_printf ("bad%u: the webhook", i);

    kr_test_wait (times_said (said, told) == 1, 60);
  }
  kr_test_wait (times_said (said, "does not take messages") == G_N_ELEMENTS (modes) + 3, 60);
  g_assert_cmpuint (times_said (said, "it did not answer in time"), >=, 2);
  g_assert_cmpuint (times_said (said, "T0PSECRET"), ==, 0);
  /* The end waits for none of them. */
  began = g_get_monotonic_time ();
  kr_webhooks_free (webhooks);
  g_assert_cmpint (g_get_monotonic_time () - began, <, kr_test_scale (10) * G_TIME_SPAN_SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    kr_http_server_free (bad[i]);
}

/* --- the queue on the disk ------------------------------------------------------------- */

static void
test_survives_a_restart (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *folder = kr_test_dir_path (dir, "state/webhooks");
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_GOOD, 500);
  KrWebhooks *webhooks = kr_webhooks_new (folder, on_say, said);
  KrWebhooks *beside;
  struct stat st;

  kr_webhooks_set (webhooks, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  push (webhooks, "cam1", "a");
  push (webhooks, "cam1", "b");
  kr_test_wait (has_stored (folder, "cam1", "\"b\""), 30);
  g_assert_false (has_stored (folder, "cam1", "T0PSECRET"));
  g_assert_cmpint (stat (folder, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);

  /* Another process with the same file keeps its hands off. */
  beside = kr_webhooks_new (folder, on_say, said);
  kr_webhooks_set (beside, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  kr_test_wait (times_said (said, "is in use by another process") == 1, 30);
  kr_webhooks_free (beside);
  g_assert_true (has_stored (folder, "cam1", "\"a\""));
  kr_webhooks_free (webhooks);

  kr_http_server_set (server, KR_SERVER_GOOD, 200);
  webhooks = kr_webhooks_new (folder, on_say, said);
  kr_webhooks_set (webhooks, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  push (webhooks, "cam1", "c");
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DELIVERED] == 3, 30);
  {
    guint n = kr_http_server_n_requests (server);

    assert_got (server, n - 3, "a");
    assert_got (server, n - 2, "b");
    assert_got (server, n - 1, "c");
  }
  kr_webhooks_free (webhooks);
  g_assert_false (has_stored (folder, "cam1", "id"));
}

static void
test_damaged_queue (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_SILENT, 200);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GDir) folder = NULL;
  KrWebhooks *webhooks = kr_webhooks_new (dir, on_say, said);
  const char *name;

  kr_webhooks_set (webhooks, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  push (webhooks, "cam1", "good");
  kr_test_wait (has_stored (dir, "cam1", "good"), 30);
  kr_webhooks_free (webhooks);
  folder = g_dir_open (dir, 0, NULL);
  while ((name = g_dir_read_name (folder)) != NULL) {
    g_autofree char *path = g_build_filename (dir, name, NULL);
    g_autofree char *before = NULL;

    if (!g_str_has_suffix (name, ".jsonl"))
      continue;
    g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
    g_string_printf (
        text,
        "\xff\xfe\n{\"id\":\"old\",\"time\":\"2001-01-01T00:00:00Z\"}\n%s{\"id\":", before);
    g_assert_true (g_file_set_contents (path, text->str, -1, NULL));
  }
  kr_http_server_set (server, KR_SERVER_GOOD, 200);
  webhooks = kr_webhooks_new (dir, on_say, said);
  kr_webhooks_set (webhooks, "cam1", "/etc/cam1.pipeline", kr_http_server_uri (server));
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DELIVERED] == 1, 30);
  g_assert_cmpuint (figures_of (webhooks).webhooks[KR_WEBHOOK_DROPPED], ==, 3);
  g_assert_cmpuint (times_said (said, "3 webhook messages of an earlier run are dropped"), ==,
                    1);
  kr_webhooks_free (webhooks);
}

/* A folder that cannot be used: all goes on in memory, and it is said once. */
static void
test_unusable_folder (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *folder = kr_test_dir_path (dir, "file");
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_GOOD, 200);
  g_autoptr (KrWebhooks) webhooks = NULL;

  g_assert_true (g_file_set_contents (folder, "not a folder", -1, NULL));
  webhooks = kr_webhooks_new (folder, on_say, said);
  kr_webhooks_set (webhooks, "cam1", "/x", kr_http_server_uri (server));
  push (webhooks, "cam1", "a");
  push (webhooks, "cam1", "b");
  assert_got (server, 0, "a");
  assert_got (server, 1, "b");
  g_assert_cmpuint (times_said (said, "are kept in memory alone"), ==, 1);
}

/* The disk fails while it runs (here: the folder is gone), and comes back. */
static void
test_disk_fails_and_returns (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *folder = kr_test_dir_path (dir, "webhooks");
  g_autofree char *away = kr_test_dir_path (dir, "away");
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_GOOD, 500);
  g_autoptr (KrWebhooks) webhooks = kr_webhooks_new (folder, on_say, said);

  kr_http_server_set_header (server, "Retry-After: 3600");
  kr_webhooks_set (webhooks, "cam1", "/x", kr_http_server_uri (server));
  push (webhooks, "cam1", "a");
  kr_test_wait (g_file_test (folder, G_FILE_TEST_IS_DIR), 30);
  kr_test_wait (has_stored (folder, "cam1", "\"a\""), 30);
  kr_test_wait (kr_http_server_n_requests (server) == 1, 30);
  g_assert_cmpint (g_rename (folder, away), ==, 0);
  push (webhooks, "cam1", "b");
  push (webhooks, "cam1", "c");
  kr_test_wait (times_said (said, "would not survive a restart") == 1, 30);
  g_assert_cmpint (g_rename (away, folder), ==, 0);
  push (webhooks, "cam1", "d");
  kr_test_wait (times_said (said, "are kept on the disk again") == 1, 30);
  g_assert_true (has_stored (folder, "cam1", "\"b\""));
  g_assert_cmpuint (times_said (said, "would not survive"), ==, 1);
  /* And Retry-After is heeded: one attempt. */
  kr_test_wait (kr_http_server_n_requests (server) > 0, 30);
  g_assert_cmpuint (kr_http_server_n_requests (server), ==, 1);
  g_assert_cmpuint (figures_of (webhooks).webhook_queue, ==, 4);
}

/* A disk that hangs: here a queue that is a pipe whose other end nobody opens. */
static void
test_disk_hangs (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *temp = NULL;
  g_autoptr (Said) said = said_new ();
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_GOOD, 500);
  KrWebhooks *webhooks = kr_webhooks_new (dir, on_say, said);
  g_autofree char *checksum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "/x", -1);
  gint64 began;

  temp = g_strdup_printf ("%s/cam1-%.12s.jsonl.new", dir, checksum);
  g_assert_cmpint (mkfifo (temp, 0600), ==, 0);
  kr_webhooks_set (webhooks, "cam1", "/x", kr_http_server_uri (server));
  push (webhooks, "cam1", "a");
  kr_test_wait (kr_http_server_n_requests (server) == 1, 30);
  kr_http_server_set (server, KR_SERVER_GOOD, 200);
  for (guint i = 0; i < 50; i++) {
    g_autofree char *id = g_strdup_printf ("n%u", i);

    push (webhooks, "cam1", id);
  }
  kr_test_wait (figures_of (webhooks).webhooks[KR_WEBHOOK_DELIVERED] == 51, 30);
  /* The end leaves the thread behind that hangs in open(). */
  began = g_get_monotonic_time ();
  kr_webhooks_free (webhooks);
  g_assert_cmpint (g_get_monotonic_time () - began, <, kr_test_scale (20) * G_TIME_SPAN_SECOND);
  /* Let it go, so that nothing is left behind. */
  close (open (temp, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

/* --- http client ----------------------------------------------------------------------- */

typedef struct {
  KrHttpClient *client;
  const char *uri;
  KrHttpOutcome outcome;
  int status;
  gint done;
} Get;

static void
on_got (const KrHttpAnswer *answer, gpointer data)
{
  Get *get = data;

  get->outcome = answer->outcome;
  get->status = answer->status;
  g_atomic_int_set (&get->done, 1);
}

static void
do_get (gpointer data)
{
  Get *get = data;

  kr_http_client_get (get->client, get->uri, 1000, on_got, get);
}

static void
assert_get (KrHttpClient *client, const char *uri, KrHttpOutcome outcome, int status)
{
  Get get = {.client = client, .uri = uri};

  kr_http_client_call (client, do_get, &get);
  kr_test_wait (g_atomic_int_get (&get.done), 30);
  g_assert_cmpint (get.outcome, ==, outcome);
  g_assert_cmpint (get.status, ==, status);
}

static void
assert_server_gives (KrHttpClient *client, KrServerMode mode, int status, KrHttpOutcome outcome,
                     int expected)
{
  g_autoptr (KrHttpServer) server = kr_http_server_new (mode, status);

  assert_get (client, kr_http_server_uri (server), outcome, expected);
}

static void
test_get (void)
{
  g_autoptr (KrHttpClient) client = kr_http_client_new ();

  assert_server_gives (client, KR_SERVER_GOOD, 200, KR_HTTP_ANSWERED, 200);
  assert_server_gives (client, KR_SERVER_GOOD, 404, KR_HTTP_ANSWERED, 404);
  assert_server_gives (client, KR_SERVER_ENDLESS_BODY, 500, KR_HTTP_ANSWERED, 500);
  assert_server_gives (client, KR_SERVER_SILENT, 200, KR_HTTP_NO_ANSWER, 0);
  assert_server_gives (client, KR_SERVER_TRICKLE, 200, KR_HTTP_NO_ANSWER, 0);
  assert_server_gives (client, KR_SERVER_ENDLESS_HEAD, 200, KR_HTTP_NO_ANSWER, 0);
  assert_server_gives (client, KR_SERVER_GARBAGE, 200, KR_HTTP_NO_ANSWER, 0);
  assert_server_gives (client, KR_SERVER_CLOSE, 200, KR_HTTP_NO_ANSWER, 0);
  assert_server_gives (client, KR_SERVER_CIRCLE, 200, KR_HTTP_NO_ANSWER, 0);
  assert_get (client, "http://127.0.0.1:1/", KR_HTTP_NO_ANSWER, 0);
  assert_get (client, "http://[::", KR_HTTP_NOT_ASKED, 0);
  assert_get (client, "http://no-such-name.invalid/", KR_HTTP_NOT_ASKED, 0);
}

static void
test_get_given_up (void)
{
  g_autoptr (KrHttpServer) server = kr_http_server_new (KR_SERVER_SILENT, 200);
  KrHttpClient *client = kr_http_client_new ();
  Get get = {.client = client, .uri = kr_http_server_uri (server)};

  kr_http_client_call (client, do_get, &get);
  kr_http_client_free (client);
  g_assert_cmpint (get.done, ==, 1);
  g_assert_cmpint (get.outcome, ==, KR_HTTP_NOT_ASKED);
}

/* --- checks of destinations ------------------------------------------------------------- */

static void
wait_for_probe (KrUrlChecks *checks, const char *name, KrDestinationProbe *probe)
{
  kr_test_wait (kr_url_checks_get (checks, name, probe), 30);
}

static void
test_url_checks (void)
{
  g_autoptr (KrUrlChecks) checks = kr_url_checks_new ();
  g_autoptr (KrHttpServer) good = kr_http_server_new (KR_SERVER_GOOD, 204);
  g_autoptr (KrHttpServer) silent = kr_http_server_new (KR_SERVER_SILENT, 200);
  KrDestinationProbe probe;

  kr_url_checks_set (checks, "good", kr_http_server_uri (good), 200000);
  kr_url_checks_set (checks, "silent", kr_http_server_uri (silent), 200000);
  kr_url_checks_set (checks, "refused", "http://127.0.0.1:1/", 200000);
  kr_url_checks_set (checks, "unknown", "http://no-such-name.invalid/", 200000);
  g_assert_false (kr_url_checks_get (checks, "none", &probe));
  wait_for_probe (checks, "good", &probe);
  g_assert_true (probe.done);
  g_assert_cmpint (probe.http, ==, 204);
  wait_for_probe (checks, "silent", &probe);
  g_assert_true (probe.done && probe.http == 0);
  wait_for_probe (checks, "refused", &probe);
  g_assert_true (probe.done && probe.http == 0);
  wait_for_probe (checks, "unknown", &probe);
  g_assert_false (probe.done);
  g_assert_cmpstr (probe.error, ==, "its name cannot be resolved");
  /* It goes on, and one that is silent is not asked more than once at a time. */
  kr_http_server_set (good, KR_SERVER_GOOD, 404);
  kr_test_wait (kr_url_checks_get (checks, "good", &probe) && probe.http == 404, 30);
  kr_test_wait (kr_http_server_n_requests (good) >= 5, 30);
}

/* The same for CheckURL. */
static void
test_other_url (void)
{
  g_autoptr (KrUrlChecks) checks = kr_url_checks_new ();
  g_autoptr (KrHttpServer) one = kr_http_server_new (KR_SERVER_GOOD, 404);
  g_autoptr (KrHttpServer) two = kr_http_server_new (KR_SERVER_GOOD, 204);
  g_autoptr (KrHttpServer) silent = kr_http_server_new (KR_SERVER_SILENT, 200);
  KrDestinationProbe probe;

  kr_url_checks_set (checks, "cam", kr_http_server_uri (one), 200000);
  wait_for_probe (checks, "cam", &probe);
  g_assert_cmpint (probe.http, ==, 404);
  kr_url_checks_set (checks, "cam", kr_http_server_uri (two), 200000);
  wait_for_probe (checks, "cam", &probe);
  g_assert_cmpint (probe.http, ==, 204);
  /* What is under way when it changes says nothing about the next one. */
  kr_url_checks_set (checks, "cam", kr_http_server_uri (silent), 10000000);
  g_assert_false (kr_url_checks_get (checks, "cam", &probe));
  kr_url_checks_set (checks, "cam", kr_http_server_uri (two), 200000);
  wait_for_probe (checks, "cam", &probe);
  g_assert_cmpint (probe.http, ==, 204);
  kr_url_checks_set (checks, "cam", NULL, 200000);
  g_assert_false (kr_url_checks_get (checks, "cam", &probe));
}

static void
test_url_check_outcome (void)
{
  const gint64 second = G_TIME_SPAN_SECOND;
  KrDestinationProbe probe = kr_url_check_outcome (TRUE, 200, NULL, second / 2, second);

  g_assert_true (probe.done);
  g_assert_cmpfloat (probe.age_s, ==, 0.5);
  g_assert_cmpstr (probe.error, ==, "");
  probe = kr_url_check_outcome (FALSE, 0, "no network", 0, second);
  g_assert_false (probe.done);
  g_assert_cmpstr (probe.error, ==, "no network");
  /* A bad answer of long ago must not replace a worker today. */
  probe = kr_url_check_outcome (TRUE, 404, NULL, 8 * second + 1, second);
  g_assert_false (probe.done);
  g_assert_cmpint (probe.http, ==, 0);
  probe = kr_url_check_outcome (TRUE, 404, NULL, 8 * second, second);
  g_assert_true (probe.done);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_services_prepare ();
  kr_test_deadline (240);
  g_test_add_func ("/webhook/message", test_message);
  g_test_add_func ("/webhook/message-bounds", test_message_bounds);
  g_test_add_func ("/webhook/message-garbled", test_message_garbled);
  g_test_add_func ("/http-client/get", test_get);
  g_test_add_func ("/http-client/given-up", test_get_given_up);
  g_test_add_func ("/url-check/outcome", test_url_check_outcome);
  g_test_add_func ("/url-check/asks", test_url_checks);
  g_test_add_func ("/url-check/other-url", test_other_url);
  g_test_add_func ("/webhook/in-order", test_delivers_in_order);
  g_test_add_func ("/webhook/other-endpoint", test_other_endpoint);
  g_test_add_func ("/webhook/refused-and-retried", test_refused_and_retried);
  g_test_add_func ("/webhook/bad-endpoints", test_bad_endpoints);
  g_test_add_func ("/webhook/survives-a-restart", test_survives_a_restart);
  g_test_add_func ("/webhook/damaged-queue", test_damaged_queue);
  g_test_add_func ("/webhook/unusable-folder", test_unusable_folder);
  g_test_add_func ("/webhook/disk-fails-and-returns", test_disk_fails_and_returns);
  g_test_add_func ("/webhook/disk-hangs", test_disk_hangs);
  return g_test_run ();
}
