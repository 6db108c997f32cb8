/* keeprolling - tests of core/restart-policy
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/restart-policy.h"

#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND
#define MS     G_TIME_SPAN_MILLISECOND

static const KrRestartLimits defaults = {
    .mode = KR_RESTART_ALWAYS,
    .restart_us = 250 * MS,
    .restart_max_us = 15 * SECOND,
    .burst = 10,
    .interval_us = 60 * SECOND,
};

/* The longest wait that jitter allows, a hair less. */
static double
almost_one (gpointer data)
{
  return 1.0 - 1e-12;
}

static double
half (gpointer data)
{
  return 0.5;
}

typedef KrRestartPolicy Policy;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Policy, kr_restart_policy_clear)

static gint64
restart (KrRestartPolicy *policy, KrCause cause, gint64 now)
{
  gint64 delay = -1;

  g_assert_cmpint (kr_restart_policy_fault (policy, cause, now, &delay), ==,
                   KR_VERDICT_RESTART);
  return delay;
}

static void
assert_ms (gint64 delay, gint64 ms)
{
  g_assert_cmpint (ABS (delay - ms * MS), <=, 1);
}

static void
test_ceiling (void)
{
  g_assert_cmpint (kr_backoff_ceiling (250, 15000, 0), ==, 250);
  g_assert_cmpint (kr_backoff_ceiling (250, 15000, 5), ==, 8000);
  g_assert_cmpint (kr_backoff_ceiling (250, 15000, 6), ==, 15000);
  g_assert_cmpint (kr_backoff_ceiling (250, 15000, 61), ==, 15000);
  g_assert_cmpint (kr_backoff_ceiling (250, 15000, 4000000000u), ==, 15000);
  g_assert_cmpint (kr_backoff_ceiling (1, G_MAXINT64, 61), ==, G_GINT64_CONSTANT (1) << 61);
  g_assert_cmpint (kr_backoff_ceiling (20000, 15000, 0), ==, 15000);
  g_assert_cmpint (kr_backoff_ceiling (0, 15000, 3), ==, 0);
}

static void
test_first_at_once_then_doubling (void)
{
  static const gint64 expected[] = {0, 250, 500, 1000, 2000, 4000, 8000, 15000, 15000};
  g_auto (Policy) policy = {0};

  kr_restart_policy_init (&policy, &defaults, almost_one, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    assert_ms (restart (&policy, KR_CAUSE_PIPELINE, i * SECOND), expected[i]);
}

static void
test_jitter_comes_from_outside (void)
{
  g_auto (Policy) policy = {0};

  kr_restart_policy_init (&policy, &defaults, half, NULL);
  restart (&policy, KR_CAUSE_PIPELINE, 0);
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 0), 125);
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 0), 250);
}

static void
test_health_resets (void)
{
  g_auto (Policy) policy = {0};

  kr_restart_policy_init (&policy, &defaults, almost_one, NULL);
  restart (&policy, KR_CAUSE_PIPELINE, 0);
  kr_restart_policy_healthy (&policy, 1 * SECOND);
  kr_restart_policy_healthy (&policy, 40 * SECOND); /* still the same health */
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 60 * SECOND), 250);
  kr_restart_policy_healthy (&policy, 61 * SECOND);
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 121 * SECOND), 0);
  /* The health that has just ended counts once. */
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 122 * SECOND), 250);
}

static void
test_limit (void)
{
  g_auto (Policy) policy = {0};
  gint64 delay = -1;

  kr_restart_policy_init (&policy, &defaults, half, NULL);
  for (guint i = 0; i < 9; i++)
    restart (&policy, KR_CAUSE_PIPELINE, i * SECOND);
  g_assert_cmpint (kr_restart_policy_fault (&policy, KR_CAUSE_EOS, 59 * SECOND, &delay), ==,
                   KR_VERDICT_FAIL);
  g_assert_cmpint (delay, ==, 0);
}

static void
test_limit_window_slides (void)
{
  g_auto (Policy) policy = {0};

  kr_restart_policy_init (&policy, &defaults, half, NULL);
  for (guint i = 0; i < 1000; i++)
    restart (&policy, KR_CAUSE_PIPELINE, i * 60 * SECOND / 9);
}

static void
test_limit_off (void)
{
  KrRestartLimits limits = defaults;

  for (guint off = 0; off < 2; off++) {
    g_auto (Policy) policy = {0};

    limits = defaults;
    if (off == 0)
      limits.burst = 0;
    else
      limits.interval_us = 0;
    kr_restart_policy_init (&policy, &limits, half, NULL);
    for (guint i = 0; i < 1000; i++)
      restart (&policy, KR_CAUSE_PIPELINE, 0);
  }
}

static void
test_source_never_counts (void)
{
  g_auto (Policy) policy = {0};
  gint64 longest = 0;

  kr_restart_policy_init (&policy, &defaults, almost_one, NULL);
  assert_ms (restart (&policy, KR_CAUSE_SOURCE, 0), 0);
  for (guint i = 0; i < 1000; i++)
    longest = MAX (longest, restart (&policy, KR_CAUSE_SOURCE, i * SECOND));
  assert_ms (longest, 30000);
  /* And leaves the pipeline's own account alone. */
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 1000 * SECOND), 0);
}

static void
test_config_three_times (void)
{
  g_auto (Policy) policy = {0};
  gint64 delay = -1;

  kr_restart_policy_init (&policy, &defaults, half, NULL);
  restart (&policy, KR_CAUSE_CONFIG, 0);
  restart (&policy, KR_CAUSE_CONFIG, 0);
  kr_restart_policy_healthy (&policy, 1); /* in a row, it says */
  restart (&policy, KR_CAUSE_CONFIG, 2);
  restart (&policy, KR_CAUSE_CONFIG, 2);
  g_assert_cmpint (kr_restart_policy_fault (&policy, KR_CAUSE_CONFIG, 3, &delay), ==,
                   KR_VERDICT_FAIL);
}

static void
test_disk_holds (void)
{
  g_auto (Policy) policy = {0};

  kr_restart_policy_init (&policy, &defaults, half, NULL);
  for (guint i = 0; i < 1000; i++)
    g_assert_cmpint (restart (&policy, KR_CAUSE_DISK, 0), ==, KR_DISK_HOLD_US);
}

static void
test_modes (void)
{
  static const struct {
    KrRestart mode;
    KrCause cause;
    KrVerdict verdict;
  } rows[] = {
      {KR_RESTART_ALWAYS, KR_CAUSE_EOS, KR_VERDICT_RESTART},
      {KR_RESTART_ALWAYS, KR_CAUSE_PIPELINE, KR_VERDICT_RESTART},
      {KR_RESTART_ON_FAILURE, KR_CAUSE_EOS, KR_VERDICT_STOP},
      {KR_RESTART_ON_FAILURE, KR_CAUSE_PIPELINE, KR_VERDICT_RESTART},
      {KR_RESTART_ON_FAILURE, KR_CAUSE_SOURCE, KR_VERDICT_RESTART},
      {KR_RESTART_NO, KR_CAUSE_EOS, KR_VERDICT_STOP},
      {KR_RESTART_NO, KR_CAUSE_SOURCE, KR_VERDICT_STOP},
      {KR_RESTART_NO, KR_CAUSE_CONFIG, KR_VERDICT_STOP},
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    KrRestartLimits limits = defaults;
    g_auto (Policy) policy = {0};
    gint64 delay;

    limits.mode = rows[i].mode;
    kr_restart_policy_init (&policy, &limits, half, NULL);
    g_assert_cmpint (kr_restart_policy_fault (&policy, rows[i].cause, 0, &delay), ==,
                     rows[i].verdict);
  }
}

static void
test_reset (void)
{
  g_auto (Policy) policy = {0};

  kr_restart_policy_init (&policy, &defaults, almost_one, NULL);
  for (guint i = 0; i < 9; i++)
    restart (&policy, KR_CAUSE_PIPELINE, 0);
  kr_restart_policy_reset (&policy);
  assert_ms (restart (&policy, KR_CAUSE_PIPELINE, 0), 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/restart-policy/ceiling", test_ceiling);
  g_test_add_func ("/core/restart-policy/doubling", test_first_at_once_then_doubling);
  g_test_add_func ("/core/restart-policy/jitter", test_jitter_comes_from_outside);
  g_test_add_func ("/core/restart-policy/health-resets", test_health_resets);
  g_test_add_func ("/core/restart-policy/limit", test_limit);
  g_test_add_func ("/core/restart-policy/limit-slides", test_limit_window_slides);
  g_test_add_func ("/core/restart-policy/limit-off", test_limit_off);
  g_test_add_func ("/core/restart-policy/source", test_source_never_counts);
  g_test_add_func ("/core/restart-policy/config", test_config_three_times);
  g_test_add_func ("/core/restart-policy/disk", test_disk_holds);
  g_test_add_func ("/core/restart-policy/modes", test_modes);
  g_test_add_func ("/core/restart-policy/reset", test_reset);
  return g_test_run ();
}
