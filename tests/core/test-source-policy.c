/* keeprolling - tests of core/source-policy
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/source-policy.h"

#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND
#define MS     G_TIME_SPAN_MILLISECOND

static double
almost_one (gpointer data)
{
  return 1.0 - 1e-12;
}

static double
from_rand (gpointer data)
{
  return g_rand_double (data);
}

static void
setup (KrSourcePolicy *policy, KrSourceTraits traits)
{
  kr_source_policy_init (policy, traits, 1 * SECOND, almost_one, NULL, 0);
}

/* A look with one more buffer that came just now. */
static gboolean
data (KrSourcePolicy *policy, gint64 now)
{
  gboolean back;

  g_assert_cmpint (kr_source_policy_tick (policy, policy->seen + 1, now, FALSE, now, &back), ==,
                   KR_SOURCE_NOTHING);
  g_assert_cmpint (policy->state, ==, KR_SOURCE_FLOWING);
  return back;
}

static KrSourceAction
look (KrSourcePolicy *policy, gint64 now)
{
  gboolean back;
  KrSourceAction action =
      kr_source_policy_tick (policy, policy->seen, policy->last_data, FALSE, now, &back);

  g_assert_false (back);
  return action;
}

/* Stopped, or without a processor: what the source sent meanwhile waits in the kernel. */
static void
test_own_pause_is_no_silence (void)
{
  KrSourcePolicy policy;

  setup (&policy, KR_SOURCE_PATIENT);
  data (&policy, 100 * MS);
  g_assert_cmpint (look (&policy, 60 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (kr_source_policy_outage (&policy, 60 * SECOND), ==, 0);
  g_assert_false (data (&policy, 60 * SECOND + MS));
  /* It has really gone: told half a timeout later. */
  g_assert_cmpint (look (&policy, 120 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (policy.next, ==, 120 * SECOND + 500 * MS);
  g_assert_cmpint (look (&policy, policy.next), ==, KR_SOURCE_REOPEN);
  /* Late every time: told all the same. */
  setup (&policy, KR_SOURCE_PATIENT);
  data (&policy, 100 * MS);
  g_assert_cmpint (look (&policy, 60 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (look (&policy, 120 * SECOND), ==, KR_SOURCE_REOPEN);
}

static void
test_silence_reopens_once (void)
{
  KrSourcePolicy policy;

  setup (&policy, KR_SOURCE_PATIENT);
  g_assert_false (data (&policy, 100 * MS));
  g_assert_cmpint (policy.next, ==, 1100 * MS);
  g_assert_cmpint (look (&policy, 1099 * MS), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (look (&policy, 1100 * MS), ==, KR_SOURCE_REOPEN);
  g_assert_cmpint (look (&policy, 9000 * MS), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (kr_source_policy_outage (&policy, 1100 * MS), ==, 1 * SECOND);
  kr_source_policy_reopened (&policy, TRUE, 1110 * MS);
  /* It connects by itself from now on: an hour later it is still left alone. */
  g_assert_cmpint (look (&policy, 3600 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_true (data (&policy, 3601 * SECOND));
  g_assert_cmpint (kr_source_policy_outage (&policy, 3601 * SECOND), ==, 0);
}

static void
test_others_are_tried_again (void)
{
  KrSourcePolicy policy;
  gint64 now = 1100 * MS;
  gint64 waits[4];

  setup (&policy, 0);
  data (&policy, 100 * MS);
  for (guint i = 0; i < G_N_ELEMENTS (waits); i++) {
    g_assert_cmpint (look (&policy, now), ==, KR_SOURCE_REOPEN);
    kr_source_policy_reopened (&policy, TRUE, now);
    waits[i] = policy.next - now;
    now = policy.next;
  }
  g_assert_cmpint (waits[0], ==, 10 * SECOND);
  g_assert_cmpint (waits[1], ==, 20 * SECOND);
  g_assert_cmpint (waits[2], ==, 30 * SECOND);
  g_assert_cmpint (waits[3], ==, 30 * SECOND);
}

static void
test_absent_from_the_start (void)
{
  KrSourcePolicy policy;

  setup (&policy, KR_SOURCE_PATIENT);
  g_assert_cmpint (kr_source_policy_outage (&policy, 900 * MS), ==, 0);
  g_assert_cmpint (look (&policy, 1 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (kr_source_policy_outage (&policy, 2 * SECOND), ==, 2 * SECOND);
  g_assert_true (data (&policy, 5 * SECOND));
}

static void
test_blocked_is_not_silent (void)
{
  KrSourcePolicy policy;
  gboolean back;

  setup (&policy, 0);
  data (&policy, 0);
  g_assert_cmpint (kr_source_policy_tick (&policy, policy.seen, 0, TRUE, 60 * SECOND, &back),
                   ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (policy.state, ==, KR_SOURCE_FLOWING);
  g_assert_cmpint (policy.next, ==, 61 * SECOND);
  /* It may have been let go just now. */
  g_assert_cmpint (look (&policy, 61 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (policy.next, ==, 62 * SECOND);
  g_assert_cmpint (look (&policy, 62 * SECOND), ==, KR_SOURCE_REOPEN);
}

static void
test_ended_reopens_at_once (void)
{
  KrSourcePolicy policy;

  setup (&policy, 0);
  data (&policy, 0);
  g_assert_cmpint (kr_source_policy_ended (&policy, 10 * MS), ==, KR_SOURCE_REOPEN);
  g_assert_cmpint (kr_source_policy_ended (&policy, 11 * MS), ==, KR_SOURCE_NOTHING);
  kr_source_policy_reopened (&policy, TRUE, 12 * MS);
  g_assert_true (data (&policy, 20 * MS));
}

static void
test_failed_opening_is_retried (void)
{
  KrSourcePolicy policy;
  gint64 now = 1 * SECOND;
  gint64 longest = 0;

  setup (&policy, 0);
  data (&policy, 0);
  g_assert_cmpint (kr_source_policy_ended (&policy, now), ==, KR_SOURCE_REOPEN);
  while (now < 3600 * SECOND) {
    kr_source_policy_reopened (&policy, FALSE, now);
    g_assert_cmpint (policy.state, ==, KR_SOURCE_CLOSED);
    longest = policy.next - now;
    /* A wait is at most a tenth of the outage, or half a second. */
    g_assert_cmpint (longest, <=,
                     MAX (KR_SOURCE_RETRY_US, kr_source_policy_outage (&policy, now) / 10));
    now = policy.next;
    g_assert_cmpint (look (&policy, now), ==, KR_SOURCE_REOPEN);
  }
  g_assert_cmpint (longest, <=, KR_SOURCE_BACKOFF_MAX_US);
  g_assert_cmpint (longest, >=, KR_SOURCE_BACKOFF_MAX_US - 10);
}

/* As rtspsrc does it: opening succeeds, the error comes later. */
static void
test_late_error_is_retried (void)
{
  KrSourcePolicy policy;

  setup (&policy, 0);
  g_assert_cmpint (kr_source_policy_ended (&policy, 20 * MS), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (policy.state, ==, KR_SOURCE_CLOSED);
  g_assert_cmpint (look (&policy, 520 * MS), ==, KR_SOURCE_REOPEN);
}

static void
test_flapping_escalates (void)
{
  KrSourcePolicy policy;
  gint64 now = 0;
  guint n = 0;

  setup (&policy, 0);
  for (;;) {
    data (&policy, now);
    n++;
    if (kr_source_policy_ended (&policy, now) == KR_SOURCE_ESCALATE)
      break;
    kr_source_policy_reopened (&policy, TRUE, now);
    now += 100 * MS;
    g_assert_cmpuint (n, <, 100);
  }
  g_assert_cmpuint (n, ==, KR_SOURCE_FLAPS);
}

static void
test_slow_flapping_is_the_sources_right (void)
{
  KrSourcePolicy policy;

  setup (&policy, 0);
  for (gint64 now = 0; now < 3600 * SECOND; now += 2 * SECOND) {
    data (&policy, now);
    g_assert_cmpint (kr_source_policy_ended (&policy, now), ==, KR_SOURCE_REOPEN);
    kr_source_policy_reopened (&policy, TRUE, now);
  }
}

static void
test_timeout_off (void)
{
  KrSourcePolicy policy;

  kr_source_policy_init (&policy, 0, 0, almost_one, NULL, 0);
  data (&policy, 0);
  g_assert_cmpint (policy.next, ==, G_MAXINT64);
  g_assert_cmpint (look (&policy, 3600 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (kr_source_policy_ended (&policy, 3600 * SECOND), ==, KR_SOURCE_REOPEN);
}

static void
test_immune (void)
{
  KrSourcePolicy policy;

  setup (&policy, KR_SOURCE_IMMUNE);
  data (&policy, 0);
  g_assert_cmpint (look (&policy, 1 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_cmpint (policy.state, ==, KR_SOURCE_FLOWING);
  g_assert_cmpint (kr_source_policy_outage (&policy, 2 * SECOND), ==, 2 * SECOND);
  g_assert_cmpint (look (&policy, 3600 * SECOND), ==, KR_SOURCE_NOTHING);
  g_assert_true (data (&policy, 3601 * SECOND));
}

static void
test_started_closed (void)
{
  KrSourcePolicy policy;

  setup (&policy, KR_SOURCE_PATIENT);
  kr_source_policy_start_closed (&policy, 0);
  g_assert_cmpint (look (&policy, policy.next), ==, KR_SOURCE_REOPEN);
}

/* Whatever happens in whatever order: data always leads back to FLOWING, and a source that is
 * not flowing, not immune and not patient always has a next moment. */
static void
test_random_sequences_have_a_way_out (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20261120);

  for (guint run = 0; run < 2000; run++) {
    KrSourcePolicy policy;
    gint64 now = 0;
    gboolean back;

    kr_source_policy_init (&policy, g_rand_int_range (rand, 0, 2), 1 * SECOND, from_rand, rand,
                           0);
    for (guint step = 0; step < 200; step++) {
      KrSourceState before = policy.state;

      now += g_rand_int_range (rand, 0, 3 * SECOND);
      switch (g_rand_int_range (rand, 0, 5)) {
      case 0:
        kr_source_policy_tick (&policy, policy.seen + 1, now, FALSE, now, &back);
        break;
      case 1:
        kr_source_policy_tick (&policy, policy.seen, policy.last_data, g_rand_boolean (rand),
                               now, &back);
        break;
      case 2:
        kr_source_policy_ended (&policy, now);
        break;
      default:
        kr_source_policy_reopened (&policy, g_rand_boolean (rand), now);
        break;
      }
      if (before != policy.state && before != KR_SOURCE_WAITING)
        g_assert_true (kr_source_state_may_follow (before, policy.state));
      g_assert_cmpint (kr_source_policy_outage (&policy, now), >=, 0);
      if (policy.state == KR_SOURCE_CLOSED ||
          (policy.state == KR_SOURCE_FLOWING && !kr_source_policy_outage (&policy, now)))
        g_assert_cmpint (policy.next, <, G_MAXINT64);
    }
    if (policy.state == KR_SOURCE_CLOSED)
      g_assert_cmpint (look (&policy, now = MAX (now, policy.next)), ==, KR_SOURCE_REOPEN);
    kr_source_policy_reopened (&policy, TRUE, now);
    data (&policy, now + 1);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/source-policy/silence", test_silence_reopens_once);
  g_test_add_func ("/core/source-policy/own-pause", test_own_pause_is_no_silence);
  g_test_add_func ("/core/source-policy/tried-again", test_others_are_tried_again);
  g_test_add_func ("/core/source-policy/absent", test_absent_from_the_start);
  g_test_add_func ("/core/source-policy/blocked", test_blocked_is_not_silent);
  g_test_add_func ("/core/source-policy/ended", test_ended_reopens_at_once);
  g_test_add_func ("/core/source-policy/failed-opening", test_failed_opening_is_retried);
  g_test_add_func ("/core/source-policy/late-error", test_late_error_is_retried);
  g_test_add_func ("/core/source-policy/flapping", test_flapping_escalates);
  g_test_add_func ("/core/source-policy/slow-flapping",
                   test_slow_flapping_is_the_sources_right);
  g_test_add_func ("/core/source-policy/timeout-off", test_timeout_off);
  g_test_add_func ("/core/source-policy/immune", test_immune);
  g_test_add_func ("/core/source-policy/started-closed", test_started_closed);
  g_test_add_func ("/core/source-policy/random", test_random_sequences_have_a_way_out);
  return g_test_run ();
}
