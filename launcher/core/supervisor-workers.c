/* keeprolling - the life of one pipeline file's workers, decided: actions, faults, workers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor-private.h"

#include <string.h>

#include "launcher/core/restart-policy.h"

/* --- actions --------------------------------------------------------------------------- */

KrSupervisorAction *
kr_supervisor_add (KrSupervisorActions *actions, KrSupervisorActionType type, guint serial)
{
  KrSupervisorAction *action;

  /* The longest chain is a forced stop of two workers: well below the bound. */
  g_assert (actions->n < KR_SUPERVISOR_MAX_ACTIONS);
  action = &actions->items[actions->n++];
  memset (action, 0, sizeof *action);
  action->type = type;
  action->serial = serial;
  action->seconds = -1;
  return action;
}

static void
copy_reason (char *to, gsize size, const char *reason)
{
  const char *end;

  g_strlcpy (to, reason != NULL ? reason : "", size);
  if (!g_utf8_validate (to, -1, &end))
    to[end - to] = '\0';
}

KrSupervisorAction *
kr_supervisor_alert (KrSupervisorActions *actions, KrAlert kind, guint serial, double seconds,
                     const char *reason)
{
  KrSupervisorAction *action = kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_ALERT, serial);

  action->alert = kind;
  action->seconds = seconds;
  copy_reason (action->reason, sizeof action->reason, reason);
  return action;
}

double
kr_supervisor_seconds (gint64 us)
{
  return (double)us / G_TIME_SPAN_SECOND;
}

/* --- faults and back-off --------------------------------------------------------------- */

/* The first fault counts until it records again: what follows is part of the same outage. */
void
kr_supervisor_note_fault (KrSupervisor *s, gint64 at, const char *reason)
{
  if (s->fault_at != NEVER)
    return;
  s->fault_at = at;
  copy_reason (s->fault, sizeof s->fault, reason);
}

void
kr_supervisor_note_recovery (KrSupervisor *s, guint serial, gint64 now,
                             KrSupervisorActions *actions)
{
  KrSupervisorAction *action;

  if (s->fault_at == NEVER)
    return;
  action = kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_RECOVERED, serial);
  action->seconds = kr_supervisor_seconds (now - s->fault_at);
  action->overlap = s->seamless;
  copy_reason (action->reason, sizeof action->reason, s->fault);
  s->fault_at = NEVER;
  s->fault[0] = '\0';
}

/* How long to wait after the fault at hand. */
static gint64
backoff (const KrSupervisor *s)
{
  if (s->failures == 0)
    return 0;
  return kr_backoff_ceiling (KR_SUPERVISOR_BACKOFF_US, KR_SUPERVISOR_BACKOFF_MAX_US,
                             s->failures - 1);
}

void
kr_supervisor_forgive (KrSupervisor *s, gint64 now)
{
  if (s->healthy_since != NEVER && now - s->healthy_since >= KR_SUPERVISOR_HEALTH_RESET_US)
    s->failures = 0;
}

void
kr_supervisor_count_failure (KrSupervisor *s, gint64 now)
{
  s->failures++;
  s->last_failure = now;
}

/* It has recorded for long enough now. */
void
kr_supervisor_end_row (KrSupervisor *s, gint64 now)
{
  if (s->was_ready && now - s->ready_at >= KR_SUPERVISOR_STEADY_US)
    s->brief = 0;
}

gboolean
kr_supervisor_is_storm (const KrSupervisor *supervisor)
{
  return supervisor->brief > KR_SUPERVISOR_BRIEF_FREE;
}

/* A worker that recorded has failed: how long to wait for the sake of all others. */
static gint64
storm_wait (KrSupervisor *s, gint64 now)
{
  kr_supervisor_end_row (s, now);
  if (now - s->ready_at < KR_SUPERVISOR_BRIEF_US && s->brief < G_MAXUINT)
    s->brief++;
  if (!kr_supervisor_is_storm (s))
    return 0;
  return kr_backoff_ceiling (KR_SUPERVISOR_BACKOFF_US, s->policy.storm_wait_us,
                             s->brief - KR_SUPERVISOR_BRIEF_FREE);
}

/* How long to wait after the end of a worker that recorded: no more than one such end in a
 * second.
 */
gint64
kr_supervisor_breath (const KrSupervisor *s, gint64 now)
{
  return s->last_end == NOT_BEFORE ? 0 : MAX (0, s->last_end + KR_SUPERVISOR_BACKOFF_US - now);
}

/* Current has failed: how long to wait. What has recorded is not counted. */
gint64
kr_supervisor_take_failure (KrSupervisor *s, gint64 now)
{
  gint64 delay, wait;

  kr_supervisor_forgive (s, now);
  s->healthy_since = NEVER;
  if (s->was_ready) {
    wait = storm_wait (s, now);
    delay = MAX (kr_supervisor_breath (s, now), wait);
    s->last_end = now + delay;
    return delay;
  }
  delay = backoff (s);
  kr_supervisor_count_failure (s, now);
  return delay;
}

/* A worker that is still there is only replaced when the back-off of the last fault is over. */
gboolean
kr_supervisor_may_replace_now (const KrSupervisor *s, gint64 now)
{
  return s->last_failure == NOT_BEFORE || now - s->last_failure >= backoff (s);
}

/* --- workers --------------------------------------------------------------------------- */

void
kr_supervisor_enter (KrSupervisor *s, KrSupervisorState state, gint64 deadline, gint64 now)
{
  if (s->state != state)
    s->since = now;
  s->state = state;
  s->deadline = deadline;
}

/* The file that the new worker runs may have other limits. */
static void
adopt_policy (KrSupervisor *s)
{
  if (s->has_next_policy)
    s->policy = s->next_policy;
  s->has_next_policy = FALSE;
}

/* What is known of current starts afresh. */
void
kr_supervisor_reset_current (KrSupervisor *s, guint serial, gint64 now)
{
  s->current = serial;
  s->heartbeat = now;
  s->starved = 0;
  s->has_reported = FALSE;
  s->grace_until = now + s->policy.startup_grace_us;
  s->was_ready = FALSE;
  s->ready_at = NEVER;
  s->hung = FALSE;
  s->harmful = FALSE;
  s->killed = FALSE;
  s->writing = FALSE;
  s->bad = 0;
  s->healthy_since = NEVER;
  s->healthy_for = 0;
  s->next_verdict = now + s->policy.interval_us;
}

void
kr_supervisor_spawn_current (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  adopt_policy (s);
  s->handover = FALSE;
  kr_supervisor_reset_current (s, ++s->last_serial, now);
  s->seamless = FALSE;
  kr_supervisor_enter (s, KR_SUPERVISOR_STARTING, NEVER, now);
  kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_SPAWN, s->current)->overlap = s->old != 0;
}

void
kr_supervisor_spawn_after (KrSupervisor *s, gint64 delay, gint64 now,
                           KrSupervisorActions *actions)
{
  if (delay <= 0)
    kr_supervisor_spawn_current (s, now, actions);
  else
    kr_supervisor_enter (s, KR_SUPERVISOR_BACKOFF, now + delay, now);
}

void
kr_supervisor_spawn_next (KrSupervisor *s, gboolean handover, gint64 now,
                          KrSupervisorActions *actions)
{
  gint64 ready;

  s->next = ++s->last_serial;
  s->seamless = s->writing;
  s->handover = handover;
  ready = s->has_next_policy ? s->next_policy.timeout_ready_us : s->policy.timeout_ready_us;
  kr_supervisor_enter (s, KR_SUPERVISOR_REPLACING, now + ready, now);
  kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_SPAWN, s->next)->overlap = TRUE;
}

void
kr_supervisor_kill_worker (guint serial, KrSupervisorActions *actions)
{
  if (serial != 0)
    kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_KILL, serial);
}

/* @serial becomes old: it finishes its files within @time, or is killed if it cannot hear us.
 */
void
kr_supervisor_retire (KrSupervisor *s, guint serial, gboolean hung, gint64 time, gint64 now,
                      KrSupervisorActions *actions)
{
  s->old = serial;
  s->old_killed = hung;
  s->old_deadline = now + (hung ? KR_SUPERVISOR_KILL_AGAIN_US : time);
  kr_supervisor_add (actions, hung ? KR_SUPERVISOR_ACTION_KILL : KR_SUPERVISOR_ACTION_STOP,
                     serial);
}

void
kr_supervisor_promote (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  adopt_policy (s);
  kr_supervisor_reset_current (s, s->next, now);
  s->next = 0;
  s->handover = FALSE;
  kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_PROMOTE, s->current);
}

/* The state of current when nobody is about to replace it. */
void
kr_supervisor_back_to_current (KrSupervisor *s, gint64 now)
{
  s->handover = FALSE;
  s->has_next_policy = FALSE;
  if (s->bad > 0)
    kr_supervisor_enter (s, KR_SUPERVISOR_UNHEALTHY, NEVER, now);
  else
    kr_supervisor_enter (s, s->was_ready ? KR_SUPERVISOR_RUNNING : KR_SUPERVISOR_STARTING,
                         NEVER, now);
}

/* End current within @time, then start another @delay later. */
void
kr_supervisor_terminate (KrSupervisor *s, gboolean at_once, gint64 time, gint64 delay,
                         gint64 now, KrSupervisorActions *actions)
{
  s->killed = at_once;
  s->delay_us = delay;
  kr_supervisor_enter (s, KR_SUPERVISOR_TERMINATING, now + time, now);
  kr_supervisor_add (actions, at_once ? KR_SUPERVISOR_ACTION_KILL : KR_SUPERVISOR_ACTION_STOP,
                     s->current);
}

/* The same for one that records nothing: with little patience, or none. */
void
kr_supervisor_terminate_idle (KrSupervisor *s, gboolean at_once, gint64 delay, gint64 now,
                              KrSupervisorActions *actions)
{
  gint64 time = at_once ? KR_SUPERVISOR_KILL_AGAIN_US
                        : MIN (s->policy.timeout_stop_us, s->policy.stalled_stop_us);

  kr_supervisor_terminate (s, at_once, time, delay, now, actions);
}
