/* keeprolling - when a live source is opened again
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/source-policy.h"

#define NEVER     G_MAXINT64
#define NO_OUTAGE G_MININT64

static const char *const state_names[] = {
    [KR_SOURCE_WAITING] = "waiting",
    [KR_SOURCE_FLOWING] = "flowing",
    [KR_SOURCE_OPENING] = "opening",
    [KR_SOURCE_CLOSED] = "closed",
};
G_STATIC_ASSERT (G_N_ELEMENTS (state_names) == KR_N_SOURCE_STATES);

#define TO(state) (1u << KR_SOURCE_##state)
static const guint edges[] = {
    [KR_SOURCE_WAITING] = TO (FLOWING) | TO (OPENING) | TO (CLOSED),
    [KR_SOURCE_FLOWING] = TO (OPENING),
    [KR_SOURCE_OPENING] = TO (WAITING) | TO (CLOSED),
    [KR_SOURCE_CLOSED] = TO (OPENING),
};
#undef TO
G_STATIC_ASSERT (G_N_ELEMENTS (edges) == KR_N_SOURCE_STATES);

const char *
kr_source_state_name (KrSourceState state)
{
  g_return_val_if_fail ((guint)state < KR_N_SOURCE_STATES, NULL);
  return state_names[state];
}

gboolean
kr_source_state_may_follow (KrSourceState from, KrSourceState to)
{
  g_return_val_if_fail ((guint)from < KR_N_SOURCE_STATES, FALSE);
  return (edges[from] & (1u << to)) != 0;
}

static void
enter (KrSourcePolicy *policy, KrSourceState state, gint64 next, gint64 now)
{
  g_return_if_fail (kr_source_state_may_follow (policy->state, state));
  policy->state = state;
  policy->since = now;
  policy->next = next;
}

void
kr_source_policy_init (KrSourcePolicy *policy, KrSourceTraits traits, gint64 timeout_us,
                       KrRandomFunc random, gpointer data, gint64 now)
{
  *policy = (KrSourcePolicy){
      .state = KR_SOURCE_WAITING,
      .traits = traits,
      .timeout_us = timeout_us,
      .random = random,
      .random_data = data,
      .last_data = now,
      .since = now,
      .next = NEVER,
      .outage_from = NO_OUTAGE,
  };
  for (guint i = 0; i < KR_SOURCE_FLAPS; i++)
    policy->flaps[i] = G_MININT64 / 2;
  /* Not there at the start is an outage too, as soon as it has lasted long enough. */
  if (timeout_us > 0)
    policy->next = now + timeout_us;
}

gint64
kr_source_policy_outage (const KrSourcePolicy *policy, gint64 now)
{
  return policy->outage_from == NO_OUTAGE ? 0 : now - policy->outage_from;
}

static void
begin_outage (KrSourcePolicy *policy, gint64 from)
{
  if (policy->outage_from != NO_OUTAGE)
    return;
  policy->outage_from = from;
  policy->tries = 0;
}

/* The wait is a tenth of the outage so far: whatever the length of an outage, trying too seldom
 * adds at most a tenth to it. Half of it is jitter. */
static gint64
retry_delay (KrSourcePolicy *policy, gint64 now)
{
  gint64 ceiling = CLAMP (kr_source_policy_outage (policy, now) / 10, KR_SOURCE_RETRY_US,
                          KR_SOURCE_BACKOFF_MAX_US);

  return ceiling / 2 + (gint64)(policy->random (policy->random_data) * (double)(ceiling / 2));
}

static gint64
patience (const KrSourcePolicy *policy, gint64 now)
{
  if (policy->timeout_us == 0 || (policy->traits & (KR_SOURCE_PATIENT | KR_SOURCE_IMMUNE)))
    return NEVER;
  return now + kr_backoff_ceiling (MAX (KR_SOURCE_PATIENCE_US, policy->timeout_us),
                                   MAX (KR_SOURCE_BACKOFF_MAX_US, policy->timeout_us),
                                   policy->tries > 0 ? policy->tries - 1 : 0);
}

void
kr_source_policy_start_closed (KrSourcePolicy *policy, gint64 now)
{
  begin_outage (policy, now);
  enter (policy, KR_SOURCE_CLOSED, now + retry_delay (policy, now), now);
}

static KrSourceAction
reopen (KrSourcePolicy *policy, gint64 now)
{
  policy->tries++;
  enter (policy, KR_SOURCE_OPENING, NEVER, now);
  return KR_SOURCE_REOPEN;
}

static void
note_data (KrSourcePolicy *policy, gint64 last_data, gint64 now, gboolean *ret_back)
{
  policy->last_data = last_data;
  policy->overslept = policy->was_blocked = FALSE;
  *ret_back = policy->outage_from != NO_OUTAGE;
  policy->outage_from = NO_OUTAGE;
  policy->tries = 0;
  if (policy->state == KR_SOURCE_WAITING)
    enter (policy, KR_SOURCE_FLOWING, NEVER, now);
  if (policy->timeout_us > 0)
    policy->next = last_data + policy->timeout_us;
}

/* Whether the process itself stood still (stopped, no processor, the machine suspended): then
 * what the source has sent meanwhile waits in the kernel and comes now. Once, or a machine that
 * is always late would never look again. */
static gboolean
oversleeps (KrSourcePolicy *policy, gint64 now)
{
  policy->overslept = !policy->overslept && now - policy->next > policy->timeout_us / 2;
  return policy->overslept;
}

static KrSourceAction
tick_silent (KrSourcePolicy *policy, gboolean blocked, gint64 now)
{
  switch (policy->state) {
  case KR_SOURCE_FLOWING:
    if (blocked || policy->was_blocked) {
      /* It has something to say and nobody takes it: a full disk, a stuck encoder. Once they
       * do, it has as long as ever to say the next thing. */
      policy->was_blocked = blocked;
      policy->next = now + policy->timeout_us;
      return KR_SOURCE_NOTHING;
    }
    if (oversleeps (policy, now)) {
      policy->next = now + policy->timeout_us / 2;
      return KR_SOURCE_NOTHING;
    }
    begin_outage (policy, policy->last_data);
    if (policy->traits & KR_SOURCE_IMMUNE) {
      policy->next = NEVER;
      return KR_SOURCE_NOTHING;
    }
    return reopen (policy, now);
  case KR_SOURCE_WAITING:
    if (policy->outage_from == NO_OUTAGE) {
      begin_outage (policy, policy->last_data);
      policy->next = patience (policy, now);
      return KR_SOURCE_NOTHING;
    }
    return reopen (policy, now);
  case KR_SOURCE_CLOSED:
    return reopen (policy, now);
  case KR_SOURCE_OPENING:
  case KR_N_SOURCE_STATES:
    break;
  }
  return KR_SOURCE_NOTHING;
}

KrSourceAction
kr_source_policy_tick (KrSourcePolicy *policy, guint64 buffers, gint64 last_data,
                       gboolean blocked, gint64 now, gboolean *ret_back)
{
  gboolean fresh = buffers != policy->seen;

  *ret_back = FALSE;
  policy->seen = buffers;
  /* What comes while it is being closed or opened does not prove that it is well. */
  if (fresh && (policy->state == KR_SOURCE_WAITING || policy->state == KR_SOURCE_FLOWING))
    note_data (policy, last_data, now, ret_back);
  if (now < policy->next)
    return KR_SOURCE_NOTHING;
  return tick_silent (policy, blocked, now);
}

/* TRUE if it breaks again and again although data comes in between. */
static gboolean
flaps (KrSourcePolicy *policy, gint64 now)
{
  policy->flaps[policy->next_flap] = now;
  policy->next_flap = (policy->next_flap + 1) % KR_SOURCE_FLAPS;
  return now - policy->flaps[policy->next_flap] < KR_SOURCE_FLAP_WINDOW_US;
}

KrSourceAction
kr_source_policy_ended (KrSourcePolicy *policy, gint64 now)
{
  switch (policy->state) {
  case KR_SOURCE_FLOWING:
    begin_outage (policy, now);
    if (flaps (policy, now))
      return KR_SOURCE_ESCALATE;
    return reopen (policy, now);
  case KR_SOURCE_WAITING:
    begin_outage (policy, policy->last_data);
    enter (policy, KR_SOURCE_CLOSED, now + retry_delay (policy, now), now);
    return KR_SOURCE_NOTHING;
  case KR_SOURCE_OPENING: /* the result of the opening will tell */
  case KR_SOURCE_CLOSED:
  case KR_N_SOURCE_STATES:
    break;
  }
  return KR_SOURCE_NOTHING;
}

void
kr_source_policy_reopened (KrSourcePolicy *policy, gboolean success, gint64 now)
{
  if (policy->state != KR_SOURCE_OPENING)
    return;
  if (success)
    enter (policy, KR_SOURCE_WAITING, patience (policy, now), now);
  else
    enter (policy, KR_SOURCE_CLOSED, now + retry_delay (policy, now), now);
}
