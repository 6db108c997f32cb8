/* keeprolling - when and whether a pipeline is started again
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/restart-policy.h"

#define NOT_HEALTHY G_MININT64

static const char *const cause_names[] = {
    [KR_CAUSE_SOURCE] = "source", [KR_CAUSE_PIPELINE] = "pipeline",
    [KR_CAUSE_CONFIG] = "config", [KR_CAUSE_DISK] = "disk",
    [KR_CAUSE_EOS] = "eos",
};
G_STATIC_ASSERT (G_N_ELEMENTS (cause_names) == KR_N_CAUSES);

const char *
kr_cause_name (KrCause cause)
{
  g_return_val_if_fail ((guint)cause < KR_N_CAUSES, NULL);
  return cause_names[cause];
}

gint64
kr_backoff_ceiling (gint64 base_us, gint64 max_us, guint n)
{
  if (base_us <= 0 || max_us <= 0)
    return 0;
  /* Shifting further than this leaves 63 bits for certain, and every cap behind. */
  if (n >= 62 || base_us > (max_us >> n))
    return max_us;
  return base_us << n;
}

void
kr_restart_limits_from_spec (KrRestartLimits *limits, const KrPipelineSpec *spec)
{
  *limits = (KrRestartLimits){
      .mode = spec->restart,
      .restart_us = spec->restart_us,
      .restart_max_us = spec->restart_max_us,
      .burst = spec->start_limit_burst,
      .interval_us = spec->start_limit_interval_us,
  };
}

void
kr_restart_policy_init (KrRestartPolicy *policy, const KrRestartLimits *limits,
                        KrRandomFunc random, gpointer data)
{
  *policy = (KrRestartPolicy){.limits = *limits, .random = random, .random_data = data};
  policy->limits.burst = MIN (limits->burst, KR_START_LIMIT_BURST_MAX);
  policy->recent = g_new0 (gint64, MAX (policy->limits.burst, 1));
  kr_restart_policy_reset (policy);
}

void
kr_restart_policy_clear (KrRestartPolicy *policy)
{
  g_clear_pointer (&policy->recent, g_free);
}

void
kr_restart_policy_reset (KrRestartPolicy *policy)
{
  policy->attempt = 0;
  policy->source_attempt = 0;
  policy->config_failures = 0;
  policy->healthy_since = NOT_HEALTHY;
  policy->n_recent = 0;
  policy->next_recent = 0;
}

void
kr_restart_policy_healthy (KrRestartPolicy *policy, gint64 now)
{
  policy->config_failures = 0;
  if (policy->healthy_since == NOT_HEALTHY)
    policy->healthy_since = now;
}

static gint64
next_delay (KrRestartPolicy *policy, guint *attempt, gint64 max_us)
{
  guint n = (*attempt)++;

  if (n == 0)
    return 0;
  return (gint64)(policy->random (policy->random_data) *
                  (double)kr_backoff_ceiling (policy->limits.restart_us, max_us, n - 1));
}

/* TRUE if this fault is the one that fills the window. */
static gboolean
start_limit_reached (KrRestartPolicy *policy, gint64 now)
{
  guint burst = policy->limits.burst;

  if (burst == 0 || policy->limits.interval_us == 0)
    return FALSE;
  policy->recent[policy->next_recent] = now;
  policy->next_recent = (policy->next_recent + 1) % burst;
  policy->n_recent = MIN (policy->n_recent + 1, burst);
  /* When the ring is full its oldest entry is the one to be overwritten next. */
  return policy->n_recent == burst &&
         now - policy->recent[policy->next_recent] < policy->limits.interval_us;
}

static gboolean
is_end (const KrRestartPolicy *policy, KrCause cause)
{
  switch (policy->limits.mode) {
  case KR_RESTART_ALWAYS:
    return FALSE;
  case KR_RESTART_ON_FAILURE:
    return cause == KR_CAUSE_EOS;
  case KR_RESTART_NO:
    return TRUE;
  }
  g_return_val_if_reached (FALSE);
}

KrVerdict
kr_restart_policy_fault (KrRestartPolicy *policy, KrCause cause, gint64 now,
                         gint64 *ret_delay_us)
{
  *ret_delay_us = 0;
  if (policy->healthy_since != NOT_HEALTHY && now - policy->healthy_since >= KR_HEALTH_RESET_US)
    policy->attempt = policy->source_attempt = 0;
  policy->healthy_since = NOT_HEALTHY;

  if (is_end (policy, cause))
    return KR_VERDICT_STOP;

  switch (cause) {
  case KR_CAUSE_SOURCE:
    *ret_delay_us = next_delay (policy, &policy->source_attempt, KR_SOURCE_BACKOFF_MAX_US);
    return KR_VERDICT_RESTART;
  case KR_CAUSE_DISK:
    *ret_delay_us = KR_DISK_HOLD_US;
    return KR_VERDICT_RESTART;
  case KR_CAUSE_CONFIG:
    if (++policy->config_failures >= KR_CONFIG_ATTEMPTS)
      return KR_VERDICT_FAIL;
    break;
  case KR_CAUSE_PIPELINE:
  case KR_CAUSE_EOS:
    if (start_limit_reached (policy, now))
      return KR_VERDICT_FAIL;
    break;
  case KR_N_CAUSES:
    g_return_val_if_reached (KR_VERDICT_FAIL);
  }
  *ret_delay_us = next_delay (policy, &policy->attempt, policy->limits.restart_max_us);
  return KR_VERDICT_RESTART;
}
