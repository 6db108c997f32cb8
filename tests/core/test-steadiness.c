/* keeprolling - tests of core/steadiness
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/steadiness.h"

#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND
#define BEGIN  (1000 * SECOND)

typedef struct {
  KrSteadiness steadiness;
  KrPipelineReport *report;
} Case;

static void
set_up (Case *c, gconstpointer data)
{
  c->report = kr_pipeline_report_new ("cam1");
  c->report->state = KR_PIPELINE_PLAYING;
}

static void
tear_down (Case *c, gconstpointer data)
{
  kr_pipeline_report_free (c->report);
}

static gboolean
look (Case *c, gint64 now)
{
  kr_steadiness_update (&c->steadiness, c->report, now);
  return kr_steadiness_is_steady (&c->steadiness, now);
}

static void
test_plays_for_a_while (Case *c, gconstpointer data)
{
  g_assert_false (kr_steadiness_is_steady (&c->steadiness, BEGIN));
  g_assert_false (look (c, BEGIN));
  g_assert_false (look (c, BEGIN + KR_STEADY_US - 1));
  g_assert_true (look (c, BEGIN + KR_STEADY_US));
  g_assert_true (look (c, BEGIN + 100 * SECOND));
}

/* It failed and plays again, and no report came in between. */
static void
test_rebuilt_between_reports (Case *c, gconstpointer data)
{
  for (guint i = 0; i < 100; i++) {
    c->report->restarts = i;
    g_assert_false (look (c, BEGIN + i * SECOND));
    g_assert_false (look (c, BEGIN + i * SECOND + SECOND / 2));
  }
}

static void
test_what_does_not_play (Case *c, gconstpointer data)
{
  for (guint state = 0; state < KR_N_PIPELINE_STATES; state++) {
    c->report->state = KR_PIPELINE_PLAYING;
    look (c, BEGIN);
    g_assert_true (look (c, BEGIN + 10 * SECOND));
    c->report->state = (KrPipelineState)state;
    g_assert_cmpint (look (c, BEGIN + 11 * SECOND), ==, state == KR_PIPELINE_PLAYING);
  }
  c->report->state = KR_PIPELINE_PLAYING;
  look (c, BEGIN);
  c->report->stalled = TRUE;
  g_assert_false (look (c, BEGIN + 10 * SECOND));
  c->report->stalled = FALSE;
  g_assert_false (look (c, BEGIN + 11 * SECOND));
  kr_steadiness_update (&c->steadiness, NULL, BEGIN + 20 * SECOND);
  g_assert_false (kr_steadiness_is_steady (&c->steadiness, BEGIN + 30 * SECOND));
}

#define ADD(name, function)                                                                    \
  g_test_add ("/core/steadiness/" name, Case, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  ADD ("plays-for-a-while", test_plays_for_a_while);
  ADD ("rebuilt-between-reports", test_rebuilt_between_reports);
  ADD ("what-does-not-play", test_what_does_not_play);
  return g_test_run ();
}
