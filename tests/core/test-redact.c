/* keeprolling - tests of core/redact
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/redact.h"

#include <string.h>

#include "tests/support/kr-test.h"

/* "S3CRET" stands for what must not come out. */
static void
test_secrets_go (void)
{
  static const char *const texts[] = {
      "srtsrc uri=\"srt://h:7001?mode=caller&passphrase=S3CRET&latency=200\"",
      "srt://h:7001?passphrase=S3CRET",
      "srt://h:7001?streamid=#!::u=admin,m=publish,r=S3CRET&x=1",
      "srtsrc passphrase=S3CRET uri=srt://h:1",
      "srtsrc passphrase=\"two S3CRET words\" ! fakesink",
      "srtsrc passphrase='S3CRET' ! fakesink",
      "srtsrc passphrase = S3CRET",
      "srtsrc, passphrase=(string)S3CRET, latency=(int)3",
      "srtsrc, streamid=(string)\"a S3CRET b\";",
      "{\"passphrase\":\"S3CRET\",\"a\":1}",
      "{\"text\":\"srtsrc passphrase=\\\"S3CRET\\\"\"}",
      "{\"stream_key\": \"S3CRET\"}",
      "StreamKey=S3CRET",
      "STREAM_KEY=S3CRET",
      "PASSPHRASE%3DS3CRET",
      "token: S3CRET",
      "curl -H 'Authorization: Bearer S3CRET'",
      "Authorization: Basic S3CRET=",
      "sent Bearer S3CRET to h",
      "https://user:S3CRET@h/path",
      "rtsp://admin:S3CRET/with@slash@192.0.2.1:554/ch1",
      "rtsp://admin:pass@S3CRET@192.0.2.1:554/ch1",
      "https://S3CRET@h/",
      "rtspsrc user-id=a user-pw=S3CRET",
      "rtmp://a.example.org/live/S3CRET",
      "rtmps://a.example.org:443/live2/x/S3CRET?b=1",
      "rtmp2sink location=\"rtmp://a.example.org/app/S3CRET\" ! x",
      "https://h/x?access_token=S3CRET&b=2",
      "https://h/x?sig=S3CRET",
      "webhook=https://hooks.example.org/S3CRET",
      "key=S3CRET",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *clean = kr_redact (texts[i]);
    g_autofree char *again = kr_redact (clean);

    if (strstr (clean, "S3CRET") != NULL)
      g_error ("still in it: %s\nwas: %s", clean, texts[i]);
    g_assert_nonnull (strstr (clean, KR_REDACTED));
    g_assert_cmpstr (again, ==, clean);
  }
}

static void
test_the_rest_stays (void)
{
  static const struct {
    const char *text;
    const char *clean;
  } pairs[] = {
      {"srt://h:7001?mode=caller&passphrase=abc&latency=200",
       "srt://h:7001?mode=caller&passphrase=***&latency=200"},
      {"rtsp://a:b@192.0.2.1:554/ch1", "rtsp://***@192.0.2.1:554/ch1"},
      {"x passphrase=\"a\" y", "x passphrase=\"***\" y"},
      {"rtmp://h/live/abc rest", "rtmp://h/live/*** rest"},
      {"", ""},
  };
  static const char *const harmless[] = {
      "cam1/record: source silent for 1.0 s (no data from srtsrc0); reconnecting it",
      "no keyframe for 4 s",
      "keyframe=12 monkey=3 keys=4",
      "the token has expired",
      "srt://127.0.0.1:7001?mode=caller",
      "rtmp://h/live",
      "https://h/a/b/c?d=e#f",
      "mail to a@b",
      "passphrase=",
      "passphrase",
      "://",
      "a://@",
      "bearer",
      "Größe 3 µs",
      "\xff\xfe",
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_autofree char *clean = kr_redact (pairs[i].text);

    g_assert_cmpstr (clean, ==, pairs[i].clean);
  }
  for (guint i = 0; i < G_N_ELEMENTS (harmless) - 5; i++) {
    g_autofree char *clean = kr_redact (harmless[i]);

    g_assert_cmpstr (clean, ==, harmless[i]);
  }
  for (guint i = G_N_ELEMENTS (harmless) - 5; i < G_N_ELEMENTS (harmless); i++)
    g_free (kr_redact (harmless[i]));
}

static void
test_uri (void)
{
  static const struct {
    const char *uri;
    const char *clean;
  } pairs[] = {
      {"https://hooks.example.org/services/T/B/x", "https://hooks.example.org/..."},
      {"http://u:p@127.0.0.1:9/x?y", "http://127.0.0.1:9/..."},
      {"nonsense", "***"},
      {"", "***"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_autofree char *clean = kr_redact_uri (pairs[i].uri);

    g_assert_cmpstr (clean, ==, pairs[i].clean);
  }
}

/* Wherever a secret stands in a text made of pieces, it goes; and nothing is read out of
 * bounds. */
static void
test_random_texts (void)
{
  static const char *const pieces[] = {
      "passphrase", "=",   "\"", "'", ":",    "//", "://", "@",       "token", " ",   "&", "?",
      "\\",         "%3D", "(",  ")", "rtmp", "/",  "a",   "Bearer ", "\n",    "key", "-", "_"};

  for (guint round = 0; round < 20000; round++) {
    GString *text = g_string_new (NULL);
    g_autofree char *clean = NULL;
    g_autofree char *again = NULL;
    gint32 n = g_test_rand_int_range (0, 12);

    for (gint32 i = 0; i < n; i++)
      g_string_append (text, pieces[g_test_rand_int_range (0, G_N_ELEMENTS (pieces))]);
    g_string_append (text, " passphrase=S3CRET");
    clean = kr_redact (text->str);
    again = kr_redact (clean);
    if (strstr (clean, "S3CRET") != NULL)
      g_error ("still in it: %s\nwas: %s", clean, text->str);
    g_string_free (text, TRUE);
  }
}

static void
test_linear (void)
{
  /* 4 MiB of the worst input: far beyond the deadline if this were quadratic. */
  static const char *const units[] = {"://", "passphrase", "a", "key=", "(", "@", "\\"};

  for (guint i = 0; i < G_N_ELEMENTS (units); i++) {
    GString *text = g_string_new (NULL);

    while (text->len < 4 * 1024 * 1024)
      g_string_append (text, units[i]);
    g_free (kr_redact (text->str));
    g_string_free (text, TRUE);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (120);
  g_test_add_func ("/core/redact/secrets", test_secrets_go);
  g_test_add_func ("/core/redact/rest", test_the_rest_stays);
  g_test_add_func ("/core/redact/uri", test_uri);
  g_test_add_func ("/core/redact/random", test_random_texts);
  g_test_add_func ("/core/redact/linear", test_linear);
  return g_test_run ();
}
