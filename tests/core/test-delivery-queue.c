/* keeprolling - messages that wait, and what is worth one
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/delivery-queue.h"

#include <string.h>

#include "launcher/core/notice.h"
#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND

/* --- queue ----------------------------------------------------------------------------- */

static void
push (KrDeliveryQueue *queue, guint n, guint expected_drops)
{
  g_autofree char *id = g_strdup_printf ("id-%u", n);
  g_autofree char *body = g_strdup_printf ("body-%u", n);

  g_assert_cmpuint (kr_delivery_queue_push (queue, id, body), ==, expected_drops);
}

static void
assert_begins (KrDeliveryQueue *queue, gint64 now, guint n)
{
  g_autofree char *expected_id = g_strdup_printf ("id-%u", n);
  g_autofree char *expected_body = g_strdup_printf ("body-%u", n);
  const char *id, *body;

  g_assert_true (kr_delivery_queue_begin (queue, now, &id, &body));
  g_assert_cmpstr (id, ==, expected_id);
  g_assert_cmpstr (body, ==, expected_body);
}

static gboolean
is_idle (KrDeliveryQueue *queue, gint64 now)
{
  const char *id, *body;

  return !kr_delivery_queue_begin (queue, now, &id, &body);
}

static void
test_in_order (void)
{
  g_autoptr (KrDeliveryQueue) queue = kr_delivery_queue_new ();

  g_assert_true (is_idle (queue, 0));
  g_assert_cmpint (kr_delivery_queue_next (queue), ==, G_MAXINT64);
  push (queue, 1, 0);
  push (queue, 2, 0);
  g_assert_cmpint (kr_delivery_queue_next (queue), <=, 0);
  assert_begins (queue, 0, 1);
  /* One at a time. */
  g_assert_true (is_idle (queue, 0));
  g_assert_cmpint (kr_delivery_queue_next (queue), ==, G_MAXINT64);
  g_assert_cmpint (kr_delivery_queue_end (queue, 204, 0, 0, 0), ==, KR_DELIVERY_DONE);
  assert_begins (queue, 0, 2);
  g_assert_cmpint (kr_delivery_queue_end (queue, 404, 0, 0, 0), ==, KR_DELIVERY_REFUSED);
  g_assert_cmpuint (kr_delivery_queue_length (queue), ==, 0);
  g_assert_cmpuint (kr_delivery_queue_bytes (queue), ==, 0);
}

static void
test_verdicts (void)
{
  const struct {
    int http;
    KrDeliveryVerdict verdict;
  } rows[] = {
      {0, KR_DELIVERY_RETRY},     {200, KR_DELIVERY_DONE},    {299, KR_DELIVERY_DONE},
      {302, KR_DELIVERY_RETRY},   {400, KR_DELIVERY_REFUSED}, {404, KR_DELIVERY_REFUSED},
      {408, KR_DELIVERY_RETRY},   {410, KR_DELIVERY_REFUSED}, {429, KR_DELIVERY_RETRY},
      {499, KR_DELIVERY_REFUSED}, {500, KR_DELIVERY_RETRY},   {503, KR_DELIVERY_RETRY},
      {-1, KR_DELIVERY_RETRY},    {100, KR_DELIVERY_RETRY},   {9999, KR_DELIVERY_RETRY}};

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    g_assert_cmpint (kr_delivery_judge (rows[i].http), ==, rows[i].verdict);
}

static gint64
fail_once (KrDeliveryQueue *queue, gint64 *now, gint64 retry_after, double random)
{
  const char *id, *body;
  gint64 next;

  g_assert_true (kr_delivery_queue_begin (queue, *now, &id, &body));
  g_assert_cmpint (kr_delivery_queue_end (queue, 503, retry_after, *now, random), ==,
                   KR_DELIVERY_RETRY);
  next = kr_delivery_queue_next (queue);
  g_assert_true (is_idle (queue, next - 1));
  next -= *now;
  *now += next;
  return next;
}

static void
test_backoff (void)
{
  g_autoptr (KrDeliveryQueue) queue = kr_delivery_queue_new ();
  const gint64 expected[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
  gint64 now = 77 * SECOND;

  push (queue, 1, 0);
  push (queue, 2, 0);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    g_assert_cmpint (fail_once (queue, &now, 0, 0), ==, expected[i] * SECOND);
    g_assert_cmpuint (kr_delivery_queue_failures (queue), ==, i + 1);
  }
  /* By chance up to half less, and never more. */
  g_assert_cmpint (fail_once (queue, &now, 0, 1), ==, 150 * SECOND);
  g_assert_cmpint (fail_once (queue, &now, 0, 17), ==, 150 * SECOND);
  g_assert_cmpint (fail_once (queue, &now, 0, 0.5), ==, 225 * SECOND);
  /* Over 64 failures nothing overflows. */
  for (guint i = 0; i < 100; i++)
    g_assert_cmpint (fail_once (queue, &now, 0, 0), ==, 300 * SECOND);
  /* What it asks for counts, up to an hour. */
  g_assert_cmpint (fail_once (queue, &now, 1000 * SECOND, 0), ==, 1000 * SECOND);
  g_assert_cmpint (fail_once (queue, &now, 10 * SECOND, 0), ==, 300 * SECOND);
  g_assert_cmpint (fail_once (queue, &now, G_MAXINT64, 0), ==, 3600 * SECOND);
  /* The first is still the first, and success makes all forget. */
  assert_begins (queue, now, 1);
  kr_delivery_queue_end (queue, 200, 0, now, 0);
  g_assert_cmpuint (kr_delivery_queue_failures (queue), ==, 0);
  g_assert_cmpint (fail_once (queue, &now, 0, 0), ==, SECOND);
}

static void
test_bounds (void)
{
  g_autoptr (KrDeliveryQueue) queue = kr_delivery_queue_new ();
  g_autofree char *big = g_strnfill (KR_DELIVERY_MAX_MESSAGE, 'x');
  g_autofree char *too_big = g_strnfill (KR_DELIVERY_MAX_MESSAGE + 1, 'x');
  guint dropped = 0;

  for (guint i = 0; i < KR_DELIVERY_MAX_MESSAGES; i++)
    push (queue, i, 0);
  /* The one under way is not dropped, the one behind it is. */
  assert_begins (queue, 0, 0);
  push (queue, 1000, 1);
  kr_delivery_queue_end (queue, 0, 0, 0, 0);
  assert_begins (queue, SECOND, 0);
  kr_delivery_queue_end (queue, 200, 0, SECOND, 0);
  assert_begins (queue, SECOND, 2);
  kr_delivery_queue_end (queue, 200, 0, SECOND, 0);

  g_assert_cmpuint (kr_delivery_queue_push (queue, "id", too_big), ==, 1);
  for (guint i = 0; i < 100; i++) {
    dropped += kr_delivery_queue_push (queue, "id", big);
    g_assert_cmpuint (kr_delivery_queue_bytes (queue), <=, KR_DELIVERY_MAX_BYTES);
  }
  g_assert_cmpuint (kr_delivery_queue_length (queue), ==,
                    KR_DELIVERY_MAX_BYTES / KR_DELIVERY_MAX_MESSAGE);
  g_assert_cmpuint (dropped, ==, KR_DELIVERY_MAX_MESSAGES - 2 + 100 - 16);
  g_assert_false (kr_delivery_queue_push_front (queue, "id", big));
}

static void
test_old_ones_first (void)
{
  g_autoptr (KrDeliveryQueue) queue = kr_delivery_queue_new ();
  g_autofree char *text = NULL;

  text = kr_delivery_queue_to_text (queue);
  g_assert_cmpstr (text, ==, "");
  push (queue, 5, 0);
  assert_begins (queue, 0, 5);
  g_assert_true (kr_delivery_queue_push_front (queue, "id-2", "body-2"));
  g_assert_true (kr_delivery_queue_push_front (queue, "id-1", "body-1"));
  push (queue, 6, 0);
  g_free (text);
  text = kr_delivery_queue_to_text (queue);
  g_assert_cmpstr (text, ==, "body-5\nbody-1\nbody-2\nbody-6\n");
  kr_delivery_queue_end (queue, 200, 0, 0, 0);
  assert_begins (queue, 0, 1);
}

/* --- notices --------------------------------------------------------------------------- */

static void
test_kinds (void)
{
  const struct {
    const char *event, *kind;
  } rows[] = {{"crash", "restart"},
              {"restart", "restart"},
              {"killed", "restart"},
              {"hang", "replacement"},
              {"replacement", "replacement"},
              {"replaced", "handover"},
              {"replace-failed", "handover"},
              {"stall", "stall"},
              {"failed", "stall"},
              {"gave-up", "stall"},
              {"recovered", "recovered"},
              {"file-recovered", "recovered"},
              {"disk", "disk"},
              {"reconnect", "reconnect"}};
  const char *silent[] = {"segment", "state", "discontinuity", "done", "monitor-paused",
                          "",        NULL};
  KrNoticeKind kind = KR_NOTICE_DISK;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_assert_true (kr_notice_kind_for_event (rows[i].event, &kind));
    g_assert_cmpstr (kr_notice_kind_name (kind), ==, rows[i].kind);
  }
  for (guint i = 0; i < G_N_ELEMENTS (silent); i++)
    g_assert_false (kr_notice_kind_for_event (silent[i], &kind));
}

static void
assert_text (const char *pipeline, const char *text, const char *expected)
{
  g_autofree char *got = kr_notice_text ("cam1", pipeline, text);

  g_assert_cmpstr (got, ==, expected);
}

static void
test_text (void)
{
  g_autofree char *long_text = g_strnfill (5000, '&');
  g_autofree char *cut = kr_notice_text ("cam1", "", long_text);

  assert_text ("record", "source silent for 1.0 s", "cam1/record: source silent for 1.0 s");
  assert_text ("", "the worker is gone", "cam1: the worker is gone");
  assert_text (NULL, "x", "cam1: x");
  assert_text ("", "a & b <!channel>\n\tend\x7f", "cam1: a &amp; b &lt;!channel&gt;  end ");
  assert_text ("", "bad \xff byte", "cam1: bad \xef\xbf\xbd byte");
  g_assert_cmpuint (strlen (cut), <=, KR_NOTICE_MAX_TEXT);
  g_assert_true (g_str_has_suffix (cut, "&amp;..."));
}

static void
test_gate (void)
{
  g_autoptr (KrNoticeGate) gate = kr_notice_gate_new ();
  guint left_out = 99;

  for (guint i = 0; i < KR_NOTICE_BURST; i++) {
    g_assert_true (kr_notice_gate_pass (gate, "a", "p", KR_NOTICE_RECONNECT, i, &left_out));
    g_assert_cmpuint (left_out, ==, 0);
  }
  for (guint i = 0; i < 40; i++)
    g_assert_false (
        kr_notice_gate_pass (gate, "a", "p", KR_NOTICE_RECONNECT, i * SECOND, &left_out));
  /* Others are not held back by it. */
  g_assert_true (kr_notice_gate_pass (gate, "a", "p", KR_NOTICE_STALL, 0, &left_out));
  g_assert_true (kr_notice_gate_pass (gate, "a", "q", KR_NOTICE_RECONNECT, 0, &left_out));
  g_assert_true (kr_notice_gate_pass (gate, "b", "p", KR_NOTICE_RECONNECT, 0, &left_out));
  g_assert_true (
      kr_notice_gate_pass (gate, "a", "p", KR_NOTICE_RECONNECT, 60 * SECOND, &left_out));
  g_assert_cmpuint (left_out, ==, 40);
  g_assert_true (
      kr_notice_gate_pass (gate, "a", "p", KR_NOTICE_RECONNECT, 61 * SECOND, &left_out));
  g_assert_cmpuint (left_out, ==, 0);
}

/* A worker that makes up names does not fill our memory, nor silence the others for long. */
static void
test_gate_is_bounded (void)
{
  g_autoptr (KrNoticeGate) gate = kr_notice_gate_new ();
  guint passed = 0, left_out;

  g_assert_true (kr_notice_gate_pass (gate, "good", "p", KR_NOTICE_STALL, 0, &left_out));
  for (guint i = 0; i < 20000; i++) {
    g_autofree char *name = g_strdup_printf ("lie-%u", i);

    passed += kr_notice_gate_pass (gate, "a", name, KR_NOTICE_STALL, 0, &left_out);
  }
  g_assert_cmpuint (passed, <, 5000);
  g_assert_true (kr_notice_gate_pass (gate, "good", "p", KR_NOTICE_STALL, 1, &left_out));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/delivery-queue/in-order", test_in_order);
  g_test_add_func ("/delivery-queue/verdicts", test_verdicts);
  g_test_add_func ("/delivery-queue/backoff", test_backoff);
  g_test_add_func ("/delivery-queue/bounds", test_bounds);
  g_test_add_func ("/delivery-queue/old-ones-first", test_old_ones_first);
  g_test_add_func ("/notice/kinds", test_kinds);
  g_test_add_func ("/notice/text", test_text);
  g_test_add_func ("/notice/gate", test_gate);
  g_test_add_func ("/notice/gate-is-bounded", test_gate_is_bounded);
  return g_test_run ();
}
