/* keeprolling - the life of one pipeline file's workers, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor.h"

#include <stdarg.h>
#include <string.h>

#include "launcher/core/exit-code.h"
#include "launcher/core/restart-policy.h"

#define NEVER      G_MAXINT64
#define NOT_BEFORE G_MININT64

/* --- actions --------------------------------------------------------------------------- */

static KrSupervisorAction *
add (KrSupervisorActions *actions, KrSupervisorActionType type, guint serial)
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

static KrSupervisorAction *
alert (KrSupervisorActions *actions, KrAlert kind, guint serial, double seconds,
       const char *reason)
{
  KrSupervisorAction *action = add (actions, KR_SUPERVISOR_ACTION_ALERT, serial);

  action->alert = kind;
  action->seconds = seconds;
  copy_reason (action->reason, sizeof action->reason, reason);
  return action;
}

static double
seconds (gint64 us)
{
  return (double)us / G_TIME_SPAN_SECOND;
}

/* --- faults and back-off --------------------------------------------------------------- */

/* The first fault counts until it records again: what follows is part of the same outage. */
static void
note_fault (KrSupervisor *s, gint64 at, const char *reason)
{
  if (s->fault_at != NEVER)
    return;
  s->fault_at = at;
  copy_reason (s->fault, sizeof s->fault, reason);
}

static void
note_recovery (KrSupervisor *s, guint serial, gint64 now, KrSupervisorActions *actions)
{
  KrSupervisorAction *action;

  if (s->fault_at == NEVER)
    return;
  action = add (actions, KR_SUPERVISOR_ACTION_RECOVERED, serial);
  action->seconds = seconds (now - s->fault_at);
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

static void
forgive (KrSupervisor *s, gint64 now)
{
  if (s->healthy_since != NEVER && now - s->healthy_since >= KR_SUPERVISOR_HEALTH_RESET_US)
    s->failures = 0;
}

static void
count_failure (KrSupervisor *s, gint64 now)
{
  s->failures++;
  s->last_failure = now;
}

/* How long to wait after the end of a worker that recorded: no more than one such end in a
 * second.
 */
static gint64
breath (const KrSupervisor *s, gint64 now)
{
  return s->last_end == NOT_BEFORE ? 0 : MAX (0, s->last_end + KR_SUPERVISOR_BACKOFF_US - now);
}

/* Current has failed: how long to wait. What has recorded is not counted. */
static gint64
take_failure (KrSupervisor *s, gint64 now)
{
  gint64 delay;

  forgive (s, now);
  s->healthy_since = NEVER;
  if (s->was_ready) {
    delay = breath (s, now);
    s->last_end = now + delay;
    return delay;
  }
  delay = backoff (s);
  count_failure (s, now);
  return delay;
}

/* A worker that is still there is only replaced when the back-off of the last fault is over. */
static gboolean
may_replace_now (const KrSupervisor *s, gint64 now)
{
  return s->last_failure == NOT_BEFORE || now - s->last_failure >= backoff (s);
}

/* --- workers --------------------------------------------------------------------------- */

static void
enter (KrSupervisor *s, KrSupervisorState state, gint64 deadline, gint64 now)
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
static void
reset_current (KrSupervisor *s, guint serial, gint64 now)
{
  s->current = serial;
  s->heartbeat = now;
  s->starved = 0;
  s->has_reported = FALSE;
  s->grace_until = now + s->policy.startup_grace_us;
  s->was_ready = FALSE;
  s->hung = FALSE;
  s->harmful = FALSE;
  s->killed = FALSE;
  s->writing = FALSE;
  s->bad = 0;
  s->healthy_since = NEVER;
  s->healthy_for = 0;
  s->next_verdict = now + s->policy.interval_us;
}

static void
spawn_current (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  adopt_policy (s);
  s->handover = FALSE;
  reset_current (s, ++s->last_serial, now);
  s->seamless = FALSE;
  enter (s, KR_SUPERVISOR_STARTING, NEVER, now);
  add (actions, KR_SUPERVISOR_ACTION_SPAWN, s->current)->overlap = s->old != 0;
}

static void
spawn_after (KrSupervisor *s, gint64 delay, gint64 now, KrSupervisorActions *actions)
{
  if (delay <= 0)
    spawn_current (s, now, actions);
  else
    enter (s, KR_SUPERVISOR_BACKOFF, now + delay, now);
}

static void
spawn_next (KrSupervisor *s, gboolean handover, gint64 now, KrSupervisorActions *actions)
{
  gint64 ready;

  s->next = ++s->last_serial;
  s->seamless = s->writing;
  s->handover = handover;
  ready = s->has_next_policy ? s->next_policy.timeout_ready_us : s->policy.timeout_ready_us;
  enter (s, KR_SUPERVISOR_REPLACING, now + ready, now);
  add (actions, KR_SUPERVISOR_ACTION_SPAWN, s->next)->overlap = TRUE;
}

static void
kill_worker (guint serial, KrSupervisorActions *actions)
{
  if (serial != 0)
    add (actions, KR_SUPERVISOR_ACTION_KILL, serial);
}

/* @serial becomes old: it finishes its files within @time, or is killed if it cannot hear us.
 */
static void
retire (KrSupervisor *s, guint serial, gboolean hung, gint64 time, gint64 now,
        KrSupervisorActions *actions)
{
  s->old = serial;
  s->old_killed = hung;
  s->old_deadline = now + (hung ? KR_SUPERVISOR_KILL_AGAIN_US : time);
  add (actions, hung ? KR_SUPERVISOR_ACTION_KILL : KR_SUPERVISOR_ACTION_STOP, serial);
}

static void
promote (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  adopt_policy (s);
  reset_current (s, s->next, now);
  s->next = 0;
  s->handover = FALSE;
  add (actions, KR_SUPERVISOR_ACTION_PROMOTE, s->current);
}

/* The state of current when nobody is about to replace it. */
static void
back_to_current (KrSupervisor *s, gint64 now)
{
  s->handover = FALSE;
  s->has_next_policy = FALSE;
  if (s->bad > 0)
    enter (s, KR_SUPERVISOR_UNHEALTHY, NEVER, now);
  else
    enter (s, s->was_ready ? KR_SUPERVISOR_RUNNING : KR_SUPERVISOR_STARTING, NEVER, now);
}

/* End current within @time, then start another @delay later. */
static void
terminate (KrSupervisor *s, gboolean at_once, gint64 time, gint64 delay, gint64 now,
           KrSupervisorActions *actions)
{
  s->killed = at_once;
  s->delay_us = delay;
  enter (s, KR_SUPERVISOR_TERMINATING, now + time, now);
  add (actions, at_once ? KR_SUPERVISOR_ACTION_KILL : KR_SUPERVISOR_ACTION_STOP, s->current);
}

/* The same for one that records nothing: with little patience, or none. */
static void
terminate_idle (KrSupervisor *s, gboolean at_once, gint64 delay, gint64 now,
                KrSupervisorActions *actions)
{
  gint64 time = at_once ? KR_SUPERVISOR_KILL_AGAIN_US
                        : MIN (s->policy.timeout_stop_us, s->policy.stalled_stop_us);

  terminate (s, at_once, time, delay, now, actions);
}

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
  s->failures = 0;
  spawn_current (s, now, actions);
  return TRUE;
}

static gboolean
on_replace (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
            KrSupervisorActions *actions)
{
  if (s->state == KR_SUPERVISOR_BACKOFF) {
    note_next_policy (s, event);
    alert (actions, KR_ALERT_HANDOVER, 0, 0, event->reason);
    s->failures = 0; /* of the file as it was */
    spawn_current (s, now, actions);
    return TRUE;
  }
  if (s->old != 0)
    return FALSE; /* one handover at a time */
  note_next_policy (s, event);
  alert (actions, KR_ALERT_HANDOVER, s->current, 0, event->reason);
  if (s->state == KR_SUPERVISOR_TERMINATING)
    s->delay_us = 0;
  else if (s->was_ready && !event->in_turn)
    spawn_next (s, TRUE, now, actions);
  else if (s->was_ready)
    terminate (s, FALSE, s->policy.handover_stop_us, 0, now, actions);
  else /* it records nothing, so nothing is lost; and it may hold a port the new one needs */
    terminate_idle (s, FALSE, 0, now, actions);
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
    enter (s, KR_SUPERVISOR_STOPPED, NEVER, now);
    return TRUE;
  }
  if (s->current != 0 && !s->killed)
    add (actions, KR_SUPERVISOR_ACTION_STOP, s->current);
  if (s->next != 0)
    add (actions, KR_SUPERVISOR_ACTION_STOP, s->next);
  enter (s, KR_SUPERVISOR_STOPPING, now + s->policy.timeout_stop_us, now);
  return TRUE;
}

static void
kill_all (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  kill_worker (s->current, actions);
  kill_worker (s->next, actions);
  kill_worker (s->old, actions);
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
    kill_all (s, now, actions);
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
  s->bad = 0;
  s->healthy_since = MIN (s->healthy_since, now);
  enter (s, KR_SUPERVISOR_RUNNING, NEVER, now);
  /* What is known late has happened all the same; but not before the fault. */
  note_recovery (s, s->current, MAX (now - MAX (age, 0), s->fault_at), actions);
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
  promote (s, now, actions);
  s->has_reported = TRUE;
  retire (s, before, hung, handover ? s->policy.handover_stop_us : s->policy.timeout_stop_us,
          now, actions);
  alert (actions, KR_ALERT_REPLACED, s->current, 0, hung ? "it hangs" : NULL);
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
  if (s->old != 0 || !(curable ? breath (s, now) == 0 : may_replace_now (s, now)))
    return;
  note_fault (s, s->bad_since, event->reason);
  if (curable)
    s->last_end = now;
  else
    count_failure (s, now);
  s->replacements++;
  alert (actions, KR_ALERT_REPLACEMENT, s->current, 0, event->reason)->overlap = event->writing;
  if (event->writing)
    spawn_next (s, FALSE, now, actions);
  else
    terminate_idle (s, event->stuck, 0, now, actions);
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
  forgive (s, now);
  s->healthy_since = NEVER;
  s->harmful = event->harmful;
  if (s->state == KR_SUPERVISOR_REPLACING)
    return;
  if (s->state != KR_SUPERVISOR_UNHEALTHY)
    enter (s, KR_SUPERVISOR_UNHEALTHY, NEVER, now);
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
    back_to_current (s, now);
  return TRUE;
}

/* --- ends ------------------------------------------------------------------------------ */

gboolean
kr_exit_code_is_final (int code)
{
  return code == KR_EXIT_USAGE || code == KR_EXIT_DATA || code == KR_EXIT_NO_INPUT ||
         code == KR_EXIT_CONFIG;
}

static char *
describe_end (const KrSupervisor *s, const KrSupervisorEvent *event)
{
  if (event->type == KR_SUPERVISOR_EVENT_SPAWN_FAILED)
    return g_strdup_printf ("could not be started: %s",
                            event->reason != NULL ? event->reason : "no reason given");
  if (event->signal != 0)
    return g_strdup_printf ("%s by signal %d", s->killed ? "ended" : "killed", event->signal);
  return g_strdup_printf ("exited with status %d", event->code);
}

static void
give_up (KrSupervisor *s, int code, const char *reason, gint64 now,
         KrSupervisorActions *actions)
{
  s->exit_code = code;
  enter (s, KR_SUPERVISOR_GAVE_UP, NEVER, now);
  alert (actions, KR_ALERT_GAVE_UP, 0, -1, reason);
}

static void
be_done (KrSupervisor *s, int code, const char *reason, gint64 now,
         KrSupervisorActions *actions)
{
  s->exit_code = code;
  if (s->old != 0)
    enter (s, KR_SUPERVISOR_STOPPING, s->old_deadline, now);
  else
    enter (s, KR_SUPERVISOR_STOPPED, NEVER, now);
  alert (actions, KR_ALERT_DONE, 0, -1, reason);
}

/* Whether this end is what the pipelines wanted. With Restart=always there is no such end, and
 * whoever sent the worker a SIGTERM must not have stopped a recording for good. */
static gboolean
is_wanted_end (const KrSupervisor *s, const KrSupervisorEvent *event)
{
  if (event->type != KR_SUPERVISOR_EVENT_EXITED || event->signal != 0)
    return FALSE;
  if (event->code == KR_EXIT_OK)
    return s->policy.restart != KR_RESTART_ALWAYS;
  return event->code == KR_EXIT_UNAVAILABLE && s->policy.restart == KR_RESTART_NO;
}

static gboolean
is_final_end (const KrSupervisorEvent *event)
{
  return event->type == KR_SUPERVISOR_EVENT_EXITED && event->signal == 0 &&
         kr_exit_code_is_final (event->code);
}

/* Current is gone and nobody told it to go. */
static void
after_crash (KrSupervisor *s, const KrSupervisorEvent *event, const char *reason, gint64 now,
             KrSupervisorActions *actions)
{
  gint64 delay;

  s->crashes++;
  if (s->policy.restart == KR_RESTART_NO) {
    give_up (s, event->signal != 0 || event->code == 0 ? KR_EXIT_SOFTWARE : event->code, reason,
             now, actions);
    return;
  }
  note_fault (s, now, reason);
  delay = take_failure (s, now);
  alert (actions, KR_ALERT_CRASH, event->serial, seconds (delay), reason);
  spawn_after (s, delay, now, actions);
}

static void
after_current (KrSupervisor *s, const KrSupervisorEvent *event, const char *reason, gint64 now,
               KrSupervisorActions *actions)
{
  switch (s->state) {
  case KR_SUPERVISOR_STARTING:
  case KR_SUPERVISOR_RUNNING:
  case KR_SUPERVISOR_UNHEALTHY:
    if (is_final_end (event))
      give_up (s, event->code, reason, now, actions);
    else if (is_wanted_end (s, event))
      be_done (s, event->code, reason, now, actions);
    else
      after_crash (s, event, reason, now, actions);
    break;
  case KR_SUPERVISOR_REPLACING:
    s->seamless = FALSE;
    if (!s->killed)
      s->crashes++;
    note_fault (s, now, reason);
    promote (s, now, actions);
    enter (s, KR_SUPERVISOR_STARTING, NEVER, now);
    break;
  case KR_SUPERVISOR_TERMINATING:
    /* What cannot be cured by the same file may be by another. */
    if (is_final_end (event) && !s->handover)
      give_up (s, event->code, reason, now, actions);
    else
      spawn_after (s, s->delay_us, now, actions);
    break;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_BACKOFF:
  case KR_SUPERVISOR_STOPPING:
  case KR_SUPERVISOR_STOPPED:
  case KR_SUPERVISOR_GAVE_UP:
  case KR_N_SUPERVISOR_STATES:
    break;
  }
}

static gboolean
leaves_files_behind (const KrSupervisorEvent *event)
{
  if (event->type != KR_SUPERVISOR_EVENT_EXITED)
    return FALSE;
  return event->signal != 0 || (event->code != KR_EXIT_OK && !is_final_end (event) &&
                                event->code != KR_EXIT_UNAVAILABLE);
}

/* EXITED, or SPAWN_FAILED, which is the shortest of lives. */
static gboolean
on_gone (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
         KrSupervisorActions *actions)
{
  g_autofree char *reason = describe_end (s, event);
  KrWorkerRole role;

  if (!kr_supervisor_role (s, event->serial, &role))
    return FALSE;
  if (leaves_files_behind (event))
    add (actions, KR_SUPERVISOR_ACTION_RECOVER, event->serial);
  switch (role) {
  case KR_WORKER_CURRENT:
    s->current = 0;
    after_current (s, event, reason, now, actions);
    break;
  case KR_WORKER_NEXT:
    s->next = 0;
    if (s->state != KR_SUPERVISOR_REPLACING)
      break;
    if (!s->handover) /* a file that does not work is no fault of the one that does */
      count_failure (s, now);
    alert (actions, KR_ALERT_REPLACE_FAILED, event->serial, -1, reason);
    s->hung = FALSE; /* looked at again with the next tick */
    back_to_current (s, now);
    break;
  case KR_WORKER_OLD:
    s->old = 0;
    break;
  case KR_N_WORKER_ROLES:
    g_return_val_if_reached (FALSE);
  }
  if (s->state == KR_SUPERVISOR_STOPPING && kr_supervisor_n_workers (s) == 0)
    enter (s, KR_SUPERVISOR_STOPPED, NEVER, now);
  return TRUE;
}

/* --- time ------------------------------------------------------------------------------ */

/* Were we stopped ourselves (SIGSTOP, a frozen machine), then the silence of the workers says
 * nothing about them: their reports wait in the sockets. */
static void
check_own_pause (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  gint64 gap = s->last_tick == NOT_BEFORE ? 0 : now - s->last_tick;

  s->last_tick = now;
  if (gap <= KR_SUPERVISOR_LATE_TICK_US || kr_supervisor_n_workers (s) == 0)
    return;
  s->heartbeat = MIN (now, s->heartbeat + gap);
  if (gap <= KR_SUPERVISOR_MAX_TICK_GAP_US)
    return;
  if (s->deadline != NEVER && s->state != KR_SUPERVISOR_BACKOFF)
    s->deadline += gap;
  if (s->old != 0 && s->old_deadline != NEVER)
    s->old_deadline += gap;
  alert (actions, KR_ALERT_MONITOR_PAUSED, 0, seconds (gap), NULL);
}

static void
check_old (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  if (s->old == 0 || now < s->old_deadline)
    return;
  if (!s->old_killed)
    alert (actions, KR_ALERT_KILLED, s->old, -1, "it did not end in time");
  kill_worker (s->old, actions);
  s->old_killed = TRUE;
  s->old_deadline = now + KR_SUPERVISOR_KILL_AGAIN_US;
}

/* How long current may stay silent. */
static gint64
silence_limit (const KrSupervisor *s)
{
  gint64 limit = s->policy.hang_limit_us;

  /* Its first report may wait for a plugin registry to be built. */
  return s->has_reported ? limit : limit + s->policy.startup_grace_us;
}

/* A worker that waits for a processor has not had its chance to speak. But not for ever: what
 * loops waits for one, too, on a busy machine. */
static gboolean
is_silent (const KrSupervisor *s, gint64 now)
{
  gint64 starved = CLAMP (s->starved, 0, s->policy.hang_limit_us);

  return now - s->heartbeat - starved > silence_limit (s);
}

static void
check_heartbeat (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  g_autofree char *reason = NULL;
  gint64 delay;

  if (!is_silent (s, now))
    return;
  /* Its main loop hangs but its threads record on: no haste, unless nothing can be done. */
  if (s->writing && (s->old != 0 || !(s->was_ready || may_replace_now (s, now))))
    return;
  reason = g_strdup_printf ("no report for %.1f s", seconds (now - s->heartbeat));
  note_fault (s, s->heartbeat, reason);
  delay = take_failure (s, now);
  if (s->writing)
    delay = 0;
  s->hangs++;
  alert (actions, KR_ALERT_HANG, s->current, seconds (delay), reason)->overlap = s->writing;
  if (s->writing) {
    s->hung = TRUE;
    spawn_next (s, FALSE, now, actions);
  } else {
    terminate_idle (s, TRUE, delay, now, actions);
  }
}

/* Next is not ready in time. */
static void
end_replacement (KrSupervisor *s, gboolean next_waits, gint64 now, KrSupervisorActions *actions)
{
  guint other;
  gboolean hung = s->hung;

  /* What somebody wants may be wrong, so it must at least run: with the source absent for both,
   * nothing is lost by the change. */
  if (hung || s->harmful || (!s->writing && (!s->handover || next_waits))) {
    /* Current cannot stay. Perhaps it holds what next is waiting for, such as a port. */
    other = s->current;
    promote (s, now, actions);
    retire (s, other, hung, s->policy.timeout_stop_us, now, actions);
    enter (s, KR_SUPERVISOR_STARTING, NEVER, now);
    return;
  }
  other = s->next;
  s->next = 0;
  alert (actions, KR_ALERT_REPLACE_FAILED, other, -1, "it did not record in time");
  retire (s, other, FALSE, s->policy.timeout_stop_us, now, actions);
  back_to_current (s, now);
}

static void
check_replacement (KrSupervisor *s, gboolean next_waits, gint64 now,
                   KrSupervisorActions *actions)
{
  if (is_silent (s, now))
    s->hung = TRUE;
  if (s->hung && !s->writing && !s->killed) {
    s->killed = TRUE;
    kill_worker (s->current, actions);
  }
  if (now >= s->deadline)
    end_replacement (s, next_waits, now, actions);
}

static gboolean
on_tick (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
         KrSupervisorActions *actions)
{
  s->writing = event->writing;
  s->seamless &= s->writing;
  s->starved = event->starved_us;
  check_own_pause (s, now, actions);
  check_old (s, now, actions);
  switch (s->state) {
  case KR_SUPERVISOR_STARTING:
  case KR_SUPERVISOR_RUNNING:
  case KR_SUPERVISOR_UNHEALTHY:
    check_heartbeat (s, now, actions);
    break;
  case KR_SUPERVISOR_REPLACING:
    check_replacement (s, event->next_waits, now, actions);
    break;
  case KR_SUPERVISOR_TERMINATING:
    if (now < s->deadline)
      break;
    if (!s->killed)
      alert (actions, KR_ALERT_KILLED, s->current, -1, "it did not end in time");
    s->killed = TRUE;
    kill_worker (s->current, actions);
    s->deadline = now + KR_SUPERVISOR_KILL_AGAIN_US;
    break;
  case KR_SUPERVISOR_BACKOFF:
    if (now >= s->deadline)
      spawn_current (s, now, actions);
    break;
  case KR_SUPERVISOR_STOPPING:
    if (now < s->deadline)
      break;
    if (!s->killed)
      alert (actions, KR_ALERT_KILLED, s->current, -1, "it did not end in time");
    kill_all (s, now, actions);
    break;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_STOPPED:
  case KR_SUPERVISOR_GAVE_UP:
  case KR_N_SUPERVISOR_STATES:
    break;
  }
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
    return on_gone (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_REPLACE:
    return on_replace (s, event, now, actions);
  case KR_SUPERVISOR_EVENT_STOP:
    return on_stop (s, now, actions);
  case KR_SUPERVISOR_EVENT_FORCE:
    return on_force (s, now, actions);
  case KR_SUPERVISOR_EVENT_TICK:
    return on_tick (s, event, now, actions);
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
  supervisor->fault_at = NEVER;
  supervisor->last_tick = NOT_BEFORE;
  supervisor->last_failure = NOT_BEFORE;
  supervisor->last_end = NOT_BEFORE;
}

/* Threshold x IntervalSec, and what follows from it. */
static void
set_pace (KrSupervisorPolicy *policy, gint64 interval)
{
  gint64 whole = interval * policy->threshold;
  gint64 to_decide = whole - MIN (whole / 3, KR_SUPERVISOR_START_SHARE_US);

  policy->hang_limit_us =
      CLAMP (whole / 3 * 2, KR_SUPERVISOR_HANG_MIN_US, KR_SUPERVISOR_HANG_MAX_US);
  policy->look_us = CLAMP (interval / 4, 250 * G_TIME_SPAN_MILLISECOND, 1 * G_TIME_SPAN_SECOND);
  /* The first bad verdict comes within one interval of the fault. */
  policy->interval_us = policy->again_us = interval;
  if (policy->threshold > 1)
    policy->again_us = CLAMP ((to_decide - interval) / (policy->threshold - 1), 0, interval);
  policy->stalled_stop_us =
      CLAMP (whole / 6, 500 * G_TIME_SPAN_MILLISECOND, KR_SUPERVISOR_STALLED_STOP_US);
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
  supervisor->exit_code = resume->exit_code;
  supervisor->crashes = resume->crashes;
  supervisor->hangs = resume->hangs;
  supervisor->replacements = resume->replacements;
  if (resume->current != 0) {
    reset_current (supervisor, resume->current, now);
    supervisor->was_ready = resume->ready;
    supervisor->has_reported = resume->ready;
    enter (supervisor, resume->ready ? KR_SUPERVISOR_RUNNING : KR_SUPERVISOR_STARTING, NEVER,
           now);
  } else if (state == KR_SUPERVISOR_BACKOFF) {
    enter (supervisor, state, CLAMP (resume->deadline, now, now + KR_SUPERVISOR_BACKOFF_MAX_US),
           now);
  } else if (kr_supervisor_state_is_final (state)) {
    enter (supervisor, state, NEVER, now);
  }
}

void
kr_supervisor_policy_from_file (KrSupervisorPolicy *policy, const KrPipelineFile *file)
{
  gint64 stop = 0;

  memset (policy, 0, sizeof *policy);
  policy->threshold = MAX (1, file->health.threshold);
  policy->startup_grace_us = file->health.startup_grace_us;
  set_pace (policy, file->health.interval_us);
  policy->timeout_ready_us = file->handover.timeout_ready_us;
  policy->handover_stop_us = file->handover.timeout_stop_us;
  policy->restart = KR_RESTART_NO;
  for (guint i = 0; i < file->pipelines->len; i++) {
    const KrPipelineSpec *spec = file->pipelines->pdata[i];

    stop = MAX (stop, spec->timeout_stop_us);
    policy->restart = MIN (policy->restart, spec->restart);
  }
  /* The worker forces its pipelines at TimeoutStopSec; then it must still get to its exit. */
  policy->timeout_stop_us = stop + 3 * G_TIME_SPAN_SECOND;
}
G_STATIC_ASSERT (KR_RESTART_ALWAYS < KR_RESTART_ON_FAILURE &&
                 KR_RESTART_ON_FAILURE < KR_RESTART_NO);

gint64
kr_supervisor_deadline (const KrSupervisor *supervisor)
{
  return supervisor->old != 0 ? MIN (supervisor->deadline, supervisor->old_deadline)
                              : supervisor->deadline;
}

gint64
kr_supervisor_next_look (const KrSupervisor *supervisor, gint64 now)
{
  gint64 next = kr_supervisor_deadline (supervisor);
  gint64 hangs_at = supervisor->heartbeat + silence_limit (supervisor) + 1;

  /* What is silent already is looked at with each regular tick. */
  if (supervisor->current != 0 && hangs_at > now)
    next = MIN (next, hangs_at);
  if (supervisor->bad > 0 && supervisor->next_verdict > now)
    next = MIN (next, supervisor->next_verdict);
  return next;
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
