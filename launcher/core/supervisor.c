/* keeprolling - the life of one pipeline file's workers, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor-private.h"

#include <string.h>

/* --- wishes ---------------------------------------------------------------------------- */

static void
note_next_policy (KrSupervisor *s, const KrSupervisorEvent *event)
{
  s->has_next_policy = event->policy != NULL;
  if (event->policy != NULL)
    s->next_policy = *event->policy;
}

static gboolean
on_start (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
          KrSupervisorActions *actions)
{
  note_next_policy (s, event);
  s->exit_code = 0;
  s->failures = s->brief = 0;
  kr_supervisor_spawn_current (s, now, actions);
  return TRUE;
}

static gboolean
on_replace (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
            KrSupervisorActions *actions)
{
  if (s->state == KR_SUPERVISOR_BACKOFF) {
    note_next_policy (s, event);
    kr_supervisor_alert (actions, KR_ALERT_HANDOVER, 0, 0, event->reason);
    s->failures = s->brief = 0; /* of the file as it was */
    kr_supervisor_spawn_current (s, now, actions);
    return TRUE;
  }
  if (s->old != 0)
    return FALSE; /* one handover at a time */
  note_next_policy (s, event);
  kr_supervisor_alert (actions, KR_ALERT_HANDOVER, s->current, 0, event->reason);
  if (s->state == KR_SUPERVISOR_TERMINATING)
    s->delay_us = 0;
  else if ((s->was_ready || event->writing) && !event->in_turn)
    kr_supervisor_spawn_next (s, TRUE, now, actions);
  else if (s->was_ready || event->writing)
    kr_supervisor_terminate (s, FALSE, s->policy.handover_stop_us, 0, now, actions);
  else /* it records nothing, so nothing is lost; and it may hold a port the new one needs */
    kr_supervisor_terminate_idle (s, FALSE, 0, now, actions);
  s->handover = TRUE;
  return TRUE;
}

static gboolean
on_stop (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  if (s->state == KR_SUPERVISOR_STOPPING)
    return TRUE;
  s->handover = FALSE;
  s->has_next_policy = FALSE;
  if (kr_supervisor_n_workers (s) == 0) {
    kr_supervisor_enter (s, KR_SUPERVISOR_STOPPED, NEVER, now);
    return TRUE;
  }
  if (s->current != 0 && !s->killed)
    kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_STOP, s->current);
  if (s->next != 0)
    kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_STOP, s->next);
  kr_supervisor_enter (s, KR_SUPERVISOR_STOPPING, now + s->policy.timeout_stop_us, now);
  return TRUE;
}

void
kr_supervisor_kill_all (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  kr_supervisor_kill_worker (s->current, actions);
  kr_supervisor_kill_worker (s->next, actions);
  kr_supervisor_kill_worker (s->old, actions);
  s->killed = TRUE;
  s->old_killed = TRUE;
  s->deadline = now + KR_SUPERVISOR_KILL_AGAIN_US;
  s->old_deadline = NEVER;
}

static gboolean
on_force (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  KrSupervisorActions not_wanted = {0};

  on_stop (s, now, &not_wanted);
  if (s->state == KR_SUPERVISOR_STOPPING)
    kr_supervisor_kill_all (s, now, actions);
  return TRUE;
}

/* --- what workers say ------------------------------------------------------------------ */

static gboolean
on_heartbeat (KrSupervisor *s, guint serial, gboolean report, gint64 now)
{
  KrWorkerRole role;

  if (!kr_supervisor_role (s, serial, &role))
    return FALSE;
  if (role != KR_WORKER_CURRENT)
    return TRUE;
  s->heartbeat = now;
  s->has_reported |= report;
  return TRUE;
}

static void
set_ready (KrSupervisor *s, gint64 age, gint64 now, KrSupervisorActions *actions)
{
  s->was_ready = TRUE;
  s->ready_at = now - MAX (age, 0);
  s->bad = 0;
  s->healthy_since = MIN (s->healthy_since, now);
  kr_supervisor_enter (s, KR_SUPERVISOR_RUNNING, NEVER, now);
  /* What is known late has happened all the same; but not before the fault. */
  kr_supervisor_note_recovery (s, s->current, MAX (now - MAX (age, 0), s->fault_at), actions);
}

static gboolean
on_ready (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
          KrSupervisorActions *actions)
{
  guint serial = event->serial;
  guint before = s->current;
  gboolean hung = s->hung;
  gboolean handover = s->handover;

  if (s->state != KR_SUPERVISOR_REPLACING) {
    if (serial != s->current)
      return FALSE;
    set_ready (s, event->age_us, now, actions);
    return TRUE;
  }
  if (serial != s->next)
    return FALSE;
  kr_supervisor_promote (s, now, actions);
  s->has_reported = TRUE;
  kr_supervisor_retire (s, before, hung,
                        handover ? s->policy.handover_stop_us : s->policy.timeout_stop_us, now,
                        actions);
  kr_supervisor_alert (actions, KR_ALERT_REPLACED, s->current, 0, hung ? "it hangs" : NULL);
  set_ready (s, event->age_us, now, actions);
  return TRUE;
}

/* --- verdicts -------------------------------------------------------------------------- */

/* Whether a new worker has helped before: this one did well, and then something hung in it, or
 * its memory grew in the long run. Else the new one may be no better, and that is counted. */
static gboolean
is_cured_by_a_new_one (const KrSupervisor *s, const KrSupervisorEvent *event)
{
  if (event->stuck)
    return s->was_ready;
  return event->harmful && s->was_ready && s->healthy_for >= s->policy.startup_grace_us;
}

/* Threshold is reached: something must happen, if it may. */
static void
replace_unhealthy (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
                   KrSupervisorActions *actions)
{
  gboolean curable = is_cured_by_a_new_one (s, event);

  /* With an old one still there a third would be needed; it has a deadline, so wait. */
  if (s->old != 0 ||
      !(curable ? kr_supervisor_breath (s, now) == 0 : kr_supervisor_may_replace_now (s, now)))
    return;
  kr_supervisor_note_fault (s, s->bad_since, event->reason);
  if (curable)
    s->last_end = now;
  else
    kr_supervisor_count_failure (s, now);
  s->replacements++;
  kr_supervisor_alert (actions, KR_ALERT_REPLACEMENT, s->current, 0, event->reason)->overlap =
      event->writing;
  if (event->writing)
    kr_supervisor_spawn_next (s, FALSE, now, actions);
  else
    kr_supervisor_terminate_idle (s, event->stuck, 0, now, actions);
}

static void
on_bad_verdict (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
                KrSupervisorActions *actions)
{
  if (s->bad++ == 0) {
    s->bad_since = now - MAX (event->age_us, 0);
    s->healthy_for = s->healthy_since != NEVER ? now - s->healthy_since : 0;
  }
  if (event->at_once)
    s->bad = MAX (s->bad, s->policy.threshold);
  kr_supervisor_forgive (s, now);
  s->healthy_since = NEVER;
  s->harmful = event->harmful;
  if (s->state == KR_SUPERVISOR_REPLACING)
    return;
  if (s->state != KR_SUPERVISOR_UNHEALTHY)
    kr_supervisor_enter (s, KR_SUPERVISOR_UNHEALTHY, NEVER, now);
  if (s->bad >= s->policy.threshold)
    replace_unhealthy (s, event, now, actions);
}

static gboolean
on_verdict (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
            KrSupervisorActions *actions)
{
  s->writing = event->writing;
  s->seamless &= s->writing;
  if (!event->bad)
    s->next_verdict = now + s->policy.interval_us;
  else if (s->bad == 0)
    s->next_verdict = now + s->policy.again_us;
  else /* not from now: what each of them comes late must not add up */
    s->next_verdict = MAX (s->next_verdict + s->policy.again_us, now + s->policy.again_us / 2);
  if (event->bad && (event->at_once || now >= s->grace_until)) {
    on_bad_verdict (s, event, now, actions);
    return TRUE;
  }
  if (event->bad)
    return TRUE; /* the startup grace */
  s->bad = 0;
  s->harmful = FALSE;
  if (s->healthy_since == NEVER)
    s->healthy_since = now;
  if (s->state == KR_SUPERVISOR_UNHEALTHY)
    kr_supervisor_back_to_current (s, now);
  return TRUE;
}

/* --- the machine ----------------------------------------------------------------------- */

static gboolean
dispatch (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
          KrSupervisorActions *actions)
{
  switch (event->type) {
  case KR_SUPERVISOR_EVENT_START:
    return on_start (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_HELLO:
    return on_heartbeat (s, event->serial, FALSE, now);
  case KR_SUPERVISOR_EVENT_HEARTBEAT:
    return on_heartbeat (s, event->serial, TRUE, now);
  case KR_SUPERVISOR_EVENT_READY:
    return on_ready (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_VERDICT:
    return on_verdict (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_SPAWN_FAILED:
  case KR_SUPERVISOR_EVENT_EXITED:
    return kr_supervisor_on_gone (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_REPLACE:
    return on_replace (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_STOP:
    return on_stop (s, now, actions);
  case KR_SUPERVISOR_EVENT_FORCE:
    return on_force (s, now, actions);
  case KR_SUPERVISOR_EVENT_TICK:
    return kr_supervisor_on_tick (s, event, now, actions);
  case KR_N_SUPERVISOR_EVENTS:
    break;
  }
  g_return_val_if_reached (FALSE);
}

static gboolean
has_any_edge (KrSupervisorState from, KrSupervisorEventType event)
{
  for (guint to = 0; to < KR_N_SUPERVISOR_STATES; to++) {
    if (kr_supervisor_may_follow (from, event, (KrSupervisorState)to))
      return TRUE;
  }
  return FALSE;
}

gboolean
kr_supervisor_handle (KrSupervisor *supervisor, const KrSupervisorEvent *event, gint64 now,
                      KrSupervisorActions *ret_actions)
{
  /* Decided on a copy: an edge that the table does not have leaves no trace. */
  KrSupervisor after = *supervisor;

  ret_actions->n = 0;
  g_return_val_if_fail ((guint)event->type < KR_N_SUPERVISOR_EVENTS, FALSE);
  if (!has_any_edge (supervisor->state, event->type))
    return FALSE;
  if (!dispatch (&after, event, now, ret_actions) ||
      !kr_supervisor_may_follow (supervisor->state, event->type, after.state)) {
    ret_actions->n = 0;
    return FALSE;
  }
  *supervisor = after;
  return TRUE;
}

void
kr_supervisor_init (KrSupervisor *supervisor, const KrSupervisorPolicy *policy, gint64 now)
{
  memset (supervisor, 0, sizeof *supervisor);
  supervisor->policy = *policy;
  supervisor->state = KR_SUPERVISOR_IDLE;
  supervisor->since = now;
  supervisor->deadline = NEVER;
  supervisor->old_deadline = NEVER;
  supervisor->healthy_since = NEVER;
  supervisor->ready_at = NEVER;
  supervisor->fault_at = NEVER;
  supervisor->last_tick = NOT_BEFORE;
  supervisor->last_failure = NOT_BEFORE;
  supervisor->last_end = NOT_BEFORE;
}

gboolean
kr_supervisor_suspend (const KrSupervisor *supervisor, KrSupervisorResume *ret_resume)
{
  if (supervisor->next != 0 || supervisor->old != 0 ||
      supervisor->state == KR_SUPERVISOR_TERMINATING ||
      supervisor->state == KR_SUPERVISOR_STOPPING || supervisor->hung)
    return FALSE;
  *ret_resume = (KrSupervisorResume){.state = supervisor->state,
                                     .current = supervisor->current,
                                     .ready = supervisor->was_ready,
                                     .last_serial = supervisor->last_serial,
                                     .deadline = supervisor->deadline,
                                     .failures = supervisor->failures,
                                     .brief = supervisor->brief,
                                     .exit_code = supervisor->exit_code,
                                     .crashes = supervisor->crashes,
                                     .hangs = supervisor->hangs,
                                     .replacements = supervisor->replacements};
  return TRUE;
}

void
kr_supervisor_resume (KrSupervisor *supervisor, const KrSupervisorPolicy *policy,
                      const KrSupervisorResume *resume, gint64 now)
{
  KrSupervisorState state = resume->state;

  kr_supervisor_init (supervisor, policy, now);
  supervisor->last_serial = MAX (resume->last_serial, resume->current);
  supervisor->failures = resume->failures;
  supervisor->brief = resume->brief;
  supervisor->exit_code = resume->exit_code;
  supervisor->crashes = resume->crashes;
  supervisor->hangs = resume->hangs;
  supervisor->replacements = resume->replacements;
  if (resume->current != 0) {
    kr_supervisor_reset_current (supervisor, resume->current, now);
    supervisor->was_ready = resume->ready;
    supervisor->ready_at = resume->ready ? now : NEVER;
    supervisor->has_reported = resume->ready;
    kr_supervisor_enter (
        supervisor, resume->ready ? KR_SUPERVISOR_RUNNING : KR_SUPERVISOR_STARTING, NEVER, now);
  } else if (state == KR_SUPERVISOR_BACKOFF) {
    kr_supervisor_enter (supervisor, state,
                         CLAMP (resume->deadline, now, now + KR_SUPERVISOR_BACKOFF_MAX_US),
                         now);
  } else if (kr_supervisor_state_is_final (state)) {
    kr_supervisor_enter (supervisor, state, NEVER, now);
  }
}

gint64
kr_supervisor_deadline (const KrSupervisor *supervisor)
{
  return supervisor->old != 0 ? MIN (supervisor->deadline, supervisor->old_deadline)
                              : supervisor->deadline;
}

gboolean
kr_supervisor_wants_verdict (const KrSupervisor *supervisor, gboolean bad, gboolean at_once,
                             gint64 now)
{
  if (supervisor->current == 0 || !(supervisor->state == KR_SUPERVISOR_STARTING ||
                                    supervisor->state == KR_SUPERVISOR_RUNNING ||
                                    supervisor->state == KR_SUPERVISOR_UNHEALTHY ||
                                    supervisor->state == KR_SUPERVISOR_REPLACING))
    return FALSE;
  return now >= supervisor->next_verdict || at_once ||
         (bad && supervisor->bad == 0 && now >= supervisor->grace_until);
}

guint
kr_supervisor_n_workers (const KrSupervisor *supervisor)
{
  return (supervisor->current != 0) + (supervisor->next != 0) + (supervisor->old != 0);
}

gboolean
kr_supervisor_wants_overlap (const KrSupervisor *supervisor)
{
  return supervisor->next != 0 || (supervisor->old != 0 && supervisor->current != 0);
}

gboolean
kr_supervisor_role (const KrSupervisor *supervisor, guint serial, KrWorkerRole *ret_role)
{
  if (serial == 0)
    return FALSE;
  if (serial == supervisor->current)
    *ret_role = KR_WORKER_CURRENT;
  else if (serial == supervisor->next)
    *ret_role = KR_WORKER_NEXT;
  else if (serial == supervisor->old)
    *ret_role = KR_WORKER_OLD;
  else
    return FALSE;
  return TRUE;
}
