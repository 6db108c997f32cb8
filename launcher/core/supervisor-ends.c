/* keeprolling - the life of one pipeline file's workers, decided: when a worker is gone
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor-private.h"

#include <string.h>

#include "launcher/core/exit-code.h"

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
  kr_supervisor_enter (s, KR_SUPERVISOR_GAVE_UP, NEVER, now);
  kr_supervisor_alert (actions, KR_ALERT_GAVE_UP, 0, -1, reason);
}

static void
be_done (KrSupervisor *s, int code, const char *reason, gint64 now,
         KrSupervisorActions *actions)
{
  s->exit_code = code;
  if (s->old != 0)
    kr_supervisor_enter (s, KR_SUPERVISOR_STOPPING, s->old_deadline, now);
  else
    kr_supervisor_enter (s, KR_SUPERVISOR_STOPPED, NEVER, now);
  kr_supervisor_alert (actions, KR_ALERT_DONE, 0, -1, reason);
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
  kr_supervisor_note_fault (s, now, reason);
  delay = kr_supervisor_take_failure (s, now);
  kr_supervisor_alert (actions, KR_ALERT_CRASH, event->serial, kr_supervisor_seconds (delay),
                       reason);
  kr_supervisor_spawn_after (s, delay, now, actions);
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
    kr_supervisor_note_fault (s, now, reason);
    kr_supervisor_promote (s, now, actions);
    kr_supervisor_enter (s, KR_SUPERVISOR_STARTING, NEVER, now);
    break;
  case KR_SUPERVISOR_TERMINATING:
    /* What cannot be cured by the same file may be by another. */
    if (is_final_end (event) && !s->handover)
      give_up (s, event->code, reason, now, actions);
    else
      kr_supervisor_spawn_after (s, s->delay_us, now, actions);
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
gboolean
kr_supervisor_on_gone (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
                       KrSupervisorActions *actions)
{
  g_autofree char *reason = describe_end (s, event);
  KrWorkerRole role;

  if (!kr_supervisor_role (s, event->serial, &role))
    return FALSE;
  if (leaves_files_behind (event))
    kr_supervisor_add (actions, KR_SUPERVISOR_ACTION_RECOVER, event->serial);
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
      kr_supervisor_count_failure (s, now);
    kr_supervisor_alert (actions, KR_ALERT_REPLACE_FAILED, event->serial, -1, reason);
    s->hung = FALSE; /* looked at again with the next tick */
    kr_supervisor_back_to_current (s, now);
    break;
  case KR_WORKER_OLD:
    s->old = 0;
    break;
  case KR_N_WORKER_ROLES:
    g_return_val_if_reached (FALSE);
  }
  if (s->state == KR_SUPERVISOR_STOPPING && kr_supervisor_n_workers (s) == 0)
    kr_supervisor_enter (s, KR_SUPERVISOR_STOPPED, NEVER, now);
  return TRUE;
}
