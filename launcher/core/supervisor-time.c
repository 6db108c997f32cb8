/* keeprolling - the life of one pipeline file's workers, decided: when time passes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor-private.h"

#include <string.h>

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
  kr_supervisor_alert (actions, KR_ALERT_MONITOR_PAUSED, 0, kr_supervisor_seconds (gap), NULL);
}

static void
check_old (KrSupervisor *s, gint64 now, KrSupervisorActions *actions)
{
  if (s->old == 0 || now < s->old_deadline)
    return;
  if (!s->old_killed)
    kr_supervisor_alert (actions, KR_ALERT_KILLED, s->old, -1, "it did not end in time");
  kr_supervisor_kill_worker (s->old, actions);
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
  if (s->writing && (s->old != 0 || !(s->was_ready || kr_supervisor_may_replace_now (s, now))))
    return;
  reason = g_strdup_printf ("no report for %.1f s", kr_supervisor_seconds (now - s->heartbeat));
  kr_supervisor_note_fault (s, s->heartbeat, reason);
  delay = kr_supervisor_take_failure (s, now);
  if (s->writing)
    delay = 0;
  s->hangs++;
  kr_supervisor_alert (actions, KR_ALERT_HANG, s->current, kr_supervisor_seconds (delay),
                       reason)
      ->overlap = s->writing;
  if (s->writing) {
    s->hung = TRUE;
    kr_supervisor_spawn_next (s, FALSE, now, actions);
  } else {
    kr_supervisor_terminate_idle (s, TRUE, delay, now, actions);
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
    kr_supervisor_promote (s, now, actions);
    kr_supervisor_retire (s, other, hung, s->policy.timeout_stop_us, now, actions);
    kr_supervisor_enter (s, KR_SUPERVISOR_STARTING, NEVER, now);
    return;
  }
  other = s->next;
  s->next = 0;
  kr_supervisor_alert (actions, KR_ALERT_REPLACE_FAILED, other, -1,
                       "it did not record in time");
  kr_supervisor_retire (s, other, FALSE, s->policy.timeout_stop_us, now, actions);
  kr_supervisor_back_to_current (s, now);
}

static void
check_replacement (KrSupervisor *s, gboolean next_waits, gint64 now,
                   KrSupervisorActions *actions)
{
  if (is_silent (s, now))
    s->hung = TRUE;
  if (s->hung && !s->writing && !s->killed) {
    s->killed = TRUE;
    kr_supervisor_kill_worker (s->current, actions);
  }
  if (now >= s->deadline)
    end_replacement (s, next_waits, now, actions);
}

gboolean
kr_supervisor_on_tick (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
                       KrSupervisorActions *actions)
{
  s->writing = event->writing;
  s->seamless &= s->writing;
  s->starved = event->starved_us;
  kr_supervisor_end_row (s, now);
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
      kr_supervisor_alert (actions, KR_ALERT_KILLED, s->current, -1, "it did not end in time");
    s->killed = TRUE;
    kr_supervisor_kill_worker (s->current, actions);
    s->deadline = now + KR_SUPERVISOR_KILL_AGAIN_US;
    break;
  case KR_SUPERVISOR_BACKOFF:
    if (now >= s->deadline)
      kr_supervisor_spawn_current (s, now, actions);
    break;
  case KR_SUPERVISOR_STOPPING:
    if (now < s->deadline)
      break;
    if (!s->killed)
      kr_supervisor_alert (actions, KR_ALERT_KILLED, s->current, -1, "it did not end in time");
    kr_supervisor_kill_all (s, now, actions);
    break;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_STOPPED:
  case KR_SUPERVISOR_GAVE_UP:
  case KR_N_SUPERVISOR_STATES:
    break;
  }
  return TRUE;
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
