/* keeprolling - the life of one pipeline, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/pipeline-policy.h"

#define NEVER G_MAXINT64

static const char *const event_names[] = {
    [KR_PIPELINE_EVENT_START] = "start",         [KR_PIPELINE_EVENT_STARTED] = "started",
    [KR_PIPELINE_EVENT_FLOWING] = "flowing",     [KR_PIPELINE_EVENT_SILENT] = "silent",
    [KR_PIPELINE_EVENT_FAULT] = "fault",         [KR_PIPELINE_EVENT_EOS] = "eos",
    [KR_PIPELINE_EVENT_TORN_DOWN] = "torn-down", [KR_PIPELINE_EVENT_STOP] = "stop",
    [KR_PIPELINE_EVENT_FORCE] = "force",         [KR_PIPELINE_EVENT_TICK] = "tick",
};
G_STATIC_ASSERT (G_N_ELEMENTS (event_names) == KR_N_PIPELINE_EVENTS);

/* Which state may follow which. */
#define TO(state) (1u << KR_PIPELINE_##state)
static const guint edges[] = {
    [KR_PIPELINE_IDLE] = TO (STARTING) | TO (STOPPED),
    [KR_PIPELINE_STARTING] = TO (PLAYING) | TO (RECONNECTING) | TO (STOPPING),
    [KR_PIPELINE_PLAYING] = TO (RECONNECTING) | TO (STOPPING),
    [KR_PIPELINE_RECONNECTING] = TO (PLAYING) | TO (STOPPING),
    [KR_PIPELINE_BACKOFF] = TO (STARTING) | TO (STOPPED),
    [KR_PIPELINE_STOPPING] = TO (BACKOFF) | TO (STARTING) | TO (STOPPED) | TO (FAILED),
    [KR_PIPELINE_STOPPED] = TO (STARTING),
    [KR_PIPELINE_FAILED] = TO (STARTING) | TO (STOPPED),
};
#undef TO
G_STATIC_ASSERT (G_N_ELEMENTS (edges) == KR_N_PIPELINE_STATES);

const char *
kr_pipeline_event_name (KrPipelineEvent event)
{
  g_return_val_if_fail ((guint)event < KR_N_PIPELINE_EVENTS, NULL);
  return event_names[event];
}

gboolean
kr_pipeline_state_may_follow (KrPipelineState from, KrPipelineState to)
{
  g_return_val_if_fail ((guint)from < KR_N_PIPELINE_STATES, FALSE);
  return (edges[from] & (1u << to)) != 0;
}

gboolean
kr_pipeline_state_is_final (KrPipelineState state)
{
  return state == KR_PIPELINE_STOPPED || state == KR_PIPELINE_FAILED;
}

void
kr_pipeline_policy_init (KrPipelinePolicy *policy, const KrPipelineSpec *spec,
                         KrRandomFunc random, gpointer data, gint64 now)
{
  KrRestartLimits limits;

  kr_restart_limits_from_spec (&limits, spec);
  *policy = (KrPipelinePolicy){
      .state = KR_PIPELINE_IDLE,
      .since = now,
      .deadline = NEVER,
      .timeout_start_us = spec->timeout_start_us,
      .timeout_stop_us = spec->timeout_stop_us,
      .last_cause = KR_N_CAUSES,
  };
  kr_restart_policy_init (&policy->restart, &limits, random, data);
}

void
kr_pipeline_policy_clear (KrPipelinePolicy *policy)
{
  kr_restart_policy_clear (&policy->restart);
}

/* "0 = no deadline" is how pipeline files say it. */
static gint64
deadline_after (gint64 now, gint64 timeout_us)
{
  return timeout_us > 0 && timeout_us < NEVER - now ? now + timeout_us : NEVER;
}

static KrPipelineActions
enter (KrPipelinePolicy *policy, KrPipelineState state, gint64 deadline, gint64 now)
{
  g_return_val_if_fail (kr_pipeline_state_may_follow (policy->state, state), 0);
  policy->state = state;
  policy->since = now;
  policy->deadline = deadline;
  return KR_PIPELINE_ACTION_CHANGED;
}

static KrPipelineActions
build (KrPipelinePolicy *policy, gint64 now)
{
  policy->silent = FALSE;
  return enter (policy, KR_PIPELINE_STARTING, deadline_after (now, policy->timeout_start_us),
                now) |
         KR_PIPELINE_ACTION_BUILD;
}

static KrPipelineActions
run (KrPipelinePolicy *policy, gint64 now)
{
  /* A silent source is no illness of the pipeline: it counts as healthy. */
  kr_restart_policy_healthy (&policy->restart, now);
  return enter (policy, policy->silent ? KR_PIPELINE_RECONNECTING : KR_PIPELINE_PLAYING, NEVER,
                now);
}

static KrPipelineActions
tear_down (KrPipelinePolicy *policy, KrAfterTeardown after, gint64 now)
{
  KrPipelineActions actions = KR_PIPELINE_ACTION_TEARDOWN;

  policy->after = after;
  policy->draining = FALSE;
  if (policy->state == KR_PIPELINE_STOPPING)
    policy->deadline = policy->stop_by;
  else
    actions |= enter (policy, KR_PIPELINE_STOPPING,
                      deadline_after (now, policy->timeout_stop_us), now);
  return actions;
}

static KrPipelineActions
leave_stopping (KrPipelinePolicy *policy, gint64 now)
{
  switch (policy->after) {
  case KR_AFTER_STOPPED:
    return enter (policy, KR_PIPELINE_STOPPED, NEVER, now);
  case KR_AFTER_FAILED:
    return enter (policy, KR_PIPELINE_FAILED, NEVER, now);
  case KR_AFTER_RESTART:
    break;
  }
  policy->restarts++;
  if (policy->last_cause < KR_N_CAUSES)
    policy->restarts_by_cause[policy->last_cause]++;
  if (policy->restart_at <= now)
    return build (policy, now);
  return enter (policy, KR_PIPELINE_BACKOFF, policy->restart_at, now);
}

/* --- handlers: one per event, used by the states that know the event ------------------- */

static KrPipelineActions
on_start (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  if (kr_pipeline_state_is_final (policy->state))
    kr_restart_policy_reset (&policy->restart);
  return build (policy, now);
}

static KrPipelineActions
on_started (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return run (policy, now);
}

static KrPipelineActions
on_flow_while_starting (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  policy->silent = FALSE;
  return 0;
}

static KrPipelineActions
on_silence_while_starting (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  policy->silent = TRUE;
  return 0;
}

static KrPipelineActions
on_flow (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  policy->silent = FALSE;
  return run (policy, now);
}

static KrPipelineActions
on_silence (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  policy->silent = TRUE;
  return run (policy, now);
}

static KrPipelineActions
on_fault (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  gint64 delay;

  policy->last_cause = cause;
  switch (kr_restart_policy_fault (&policy->restart, cause, now, &delay)) {
  case KR_VERDICT_RESTART:
    policy->restart_at = now + delay;
    return tear_down (policy, KR_AFTER_RESTART, now);
  case KR_VERDICT_STOP:
    return tear_down (policy, KR_AFTER_STOPPED, now);
  case KR_VERDICT_FAIL:
    return tear_down (policy, KR_AFTER_FAILED, now);
  }
  g_return_val_if_reached (0);
}

static KrPipelineActions
on_eos (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return on_fault (policy, KR_CAUSE_EOS, now);
}

/* A start that takes too long hangs in a state change, where EOS cannot help either. */
static KrPipelineActions
on_start_deadline (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return now < policy->deadline ? 0 : on_fault (policy, KR_CAUSE_PIPELINE, now);
}

static KrPipelineActions
on_stop_before_start (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return enter (policy, KR_PIPELINE_STOPPED, NEVER, now);
}

/* Nothing has come through yet that EOS would have to finish. */
static KrPipelineActions
on_stop_while_starting (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return tear_down (policy, KR_AFTER_STOPPED, now);
}

static KrPipelineActions
on_stop (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  gint64 for_eos = policy->timeout_stop_us / 100 * KR_DRAIN_PERCENT;
  KrPipelineActions actions =
      enter (policy, KR_PIPELINE_STOPPING, deadline_after (now, for_eos), now);

  policy->stop_by = deadline_after (now, policy->timeout_stop_us);
  policy->draining = TRUE;
  policy->after = KR_AFTER_STOPPED;
  return actions | KR_PIPELINE_ACTION_DRAIN;
}

static KrPipelineActions
on_force (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  KrPipelineActions actions = tear_down (policy, KR_AFTER_STOPPED, now);

  policy->deadline = MIN (policy->deadline, now + KR_FORCE_TIMEOUT_US);
  return actions;
}

/* While EOS is on its way everything that ends the wait leads to the teardown: EOS itself, and
 * an error, after which EOS would not come any more. */
static KrPipelineActions
on_drained (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return policy->draining ? tear_down (policy, KR_AFTER_STOPPED, now) : 0;
}

static KrPipelineActions
on_stop_while_stopping (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  policy->after = KR_AFTER_STOPPED;
  return 0;
}

static KrPipelineActions
on_force_while_stopping (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  KrPipelineActions actions = on_drained (policy, cause, now);

  policy->after = KR_AFTER_STOPPED;
  policy->deadline = MIN (policy->deadline, now + KR_FORCE_TIMEOUT_US);
  return actions;
}

static KrPipelineActions
on_stop_deadline (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  if (now < policy->deadline)
    return 0;
  if (policy->draining)
    return tear_down (policy, KR_AFTER_STOPPED, now);
  return KR_PIPELINE_ACTION_ABANDON | leave_stopping (policy, now);
}

static KrPipelineActions
on_torn_down (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return policy->draining ? 0 : leave_stopping (policy, now);
}

static KrPipelineActions
on_backoff_over (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return now < policy->deadline ? 0 : build (policy, now);
}

/* What arrives late, or says what is known already, and changes nothing. */
static KrPipelineActions
ignore (KrPipelinePolicy *policy, KrCause cause, gint64 now)
{
  return 0;
}

typedef KrPipelineActions (*Handler) (KrPipelinePolicy *policy, KrCause cause, gint64 now);

/* What each state does about each event; no entry means that the event is refused there. */
#define ON(event) [KR_PIPELINE_EVENT_##event]
static const Handler handlers[KR_N_PIPELINE_STATES][KR_N_PIPELINE_EVENTS] = {
    [KR_PIPELINE_IDLE] =
        {
            ON (START) = on_start,
            ON (STOP) = on_stop_before_start,
            ON (FORCE) = on_stop_before_start,
            ON (TICK) = ignore,
        },
    [KR_PIPELINE_STARTING] =
        {
            ON (START) = ignore,
            ON (STARTED) = on_started,
            ON (FLOWING) = on_flow_while_starting,
            ON (SILENT) = on_silence_while_starting,
            ON (FAULT) = on_fault,
            ON (EOS) = on_eos,
            ON (STOP) = on_stop_while_starting,
            ON (FORCE) = on_force,
            ON (TICK) = on_start_deadline,
        },
    [KR_PIPELINE_PLAYING] =
        {
            ON (START) = ignore,
            ON (FLOWING) = ignore,
            ON (SILENT) = on_silence,
            ON (FAULT) = on_fault,
            ON (EOS) = on_eos,
            ON (STOP) = on_stop,
            ON (FORCE) = on_force,
            ON (TICK) = ignore,
        },
    [KR_PIPELINE_RECONNECTING] =
        {
            ON (START) = ignore,
            ON (FLOWING) = on_flow,
            ON (SILENT) = ignore,
            ON (FAULT) = on_fault,
            ON (EOS) = on_eos,
            ON (STOP) = on_stop,
            ON (FORCE) = on_force,
            ON (TICK) = ignore,
        },
    [KR_PIPELINE_BACKOFF] =
        {
            ON (START) = on_start,
            ON (STOP) = on_stop_before_start,
            ON (FORCE) = on_stop_before_start,
            ON (TICK) = on_backoff_over,
        },
    [KR_PIPELINE_STOPPING] =
        {
            ON (STARTED) = ignore,
            ON (FLOWING) = ignore,
            ON (SILENT) = ignore,
            ON (FAULT) = on_drained,
            ON (EOS) = on_drained,
            ON (TORN_DOWN) = on_torn_down,
            ON (STOP) = on_stop_while_stopping,
            ON (FORCE) = on_force_while_stopping,
            ON (TICK) = on_stop_deadline,
        },
    [KR_PIPELINE_STOPPED] =
        {
            ON (START) = on_start,
            ON (STOP) = ignore,
            ON (FORCE) = ignore,
            ON (TICK) = ignore,
        },
    [KR_PIPELINE_FAILED] =
        {
            ON (START) = on_start,
            ON (STOP) = on_stop_before_start,
            ON (FORCE) = on_stop_before_start,
            ON (TICK) = ignore,
        },
};
#undef ON

gboolean
kr_pipeline_policy_handle (KrPipelinePolicy *policy, KrPipelineEvent event, KrCause cause,
                           gint64 now, KrPipelineActions *ret_actions)
{
  Handler handler;

  g_return_val_if_fail ((guint)event < KR_N_PIPELINE_EVENTS, FALSE);
  handler = handlers[policy->state][event];
  *ret_actions = handler != NULL ? handler (policy, cause, now) : 0;
  return handler != NULL;
}
