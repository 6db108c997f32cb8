/* keeprolling - the life of one pipeline file's workers, as a table
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor.h"

#define TO(state) (1u << KR_SUPERVISOR_##state)

/* Which states may follow which upon what. 0 = the event has no place there and is refused.
 * Every state has a way out: a worker's end, a deadline, or somebody's wish. */
static const guint16 edges[KR_N_SUPERVISOR_STATES][KR_N_SUPERVISOR_EVENTS] = {
    [KR_SUPERVISOR_IDLE] =
        {
            [KR_SUPERVISOR_EVENT_START] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPED),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPED),
            [KR_SUPERVISOR_EVENT_TICK] = TO (IDLE),
        },
    [KR_SUPERVISOR_STARTING] =
        {
            [KR_SUPERVISOR_EVENT_SPAWN_FAILED] = TO (STARTING) | TO (BACKOFF) | TO (GAVE_UP),
            [KR_SUPERVISOR_EVENT_HELLO] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_READY] = TO (RUNNING),
            [KR_SUPERVISOR_EVENT_VERDICT] =
                TO (STARTING) | TO (UNHEALTHY) | TO (REPLACING) | TO (TERMINATING),
            /* to itself: the old one's end, or started again at once */
            [KR_SUPERVISOR_EVENT_EXITED] =
                TO (STARTING) | TO (BACKOFF) | TO (STOPPING) | TO (STOPPED) | TO (GAVE_UP),
            /* to REPLACING: it has just begun to record */
            [KR_SUPERVISOR_EVENT_REPLACE] = TO (REPLACING) | TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_TICK] = TO (STARTING) | TO (REPLACING) | TO (TERMINATING),
        },
    [KR_SUPERVISOR_RUNNING] =
        {
            [KR_SUPERVISOR_EVENT_HELLO] = TO (RUNNING),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (RUNNING),
            [KR_SUPERVISOR_EVENT_VERDICT] =
                TO (RUNNING) | TO (UNHEALTHY) | TO (REPLACING) | TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_EXITED] = TO (RUNNING) | TO (STARTING) | TO (BACKOFF) |
                                           TO (STOPPING) | TO (STOPPED) | TO (GAVE_UP),
            /* to TERMINATING: one after the other, as asked */
            [KR_SUPERVISOR_EVENT_REPLACE] = TO (REPLACING) | TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_TICK] = TO (RUNNING) | TO (REPLACING) | TO (TERMINATING),
        },
    [KR_SUPERVISOR_UNHEALTHY] =
        {
            [KR_SUPERVISOR_EVENT_HELLO] = TO (UNHEALTHY),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (UNHEALTHY),
            [KR_SUPERVISOR_EVENT_READY] = TO (RUNNING),
            /* to STARTING: good again, but it has not recorded yet */
            [KR_SUPERVISOR_EVENT_VERDICT] = TO (UNHEALTHY) | TO (STARTING) | TO (RUNNING) |
                                            TO (REPLACING) | TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_EXITED] = TO (UNHEALTHY) | TO (STARTING) | TO (BACKOFF) |
                                           TO (STOPPING) | TO (STOPPED) | TO (GAVE_UP),
            [KR_SUPERVISOR_EVENT_REPLACE] = TO (REPLACING) | TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_TICK] = TO (UNHEALTHY) | TO (REPLACING) | TO (TERMINATING),
        },
    [KR_SUPERVISOR_REPLACING] =
        {
            /* back to where current was before */
            [KR_SUPERVISOR_EVENT_SPAWN_FAILED] = TO (STARTING) | TO (RUNNING) | TO (UNHEALTHY),
            [KR_SUPERVISOR_EVENT_HELLO] = TO (REPLACING),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (REPLACING),
            [KR_SUPERVISOR_EVENT_READY] = TO (RUNNING),
            [KR_SUPERVISOR_EVENT_VERDICT] = TO (REPLACING),
            /* to STARTING: current died, next takes its place before it records */
            [KR_SUPERVISOR_EVENT_EXITED] = TO (STARTING) | TO (RUNNING) | TO (UNHEALTHY),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_TICK] =
                TO (REPLACING) | TO (STARTING) | TO (RUNNING) | TO (UNHEALTHY),
        },
    [KR_SUPERVISOR_TERMINATING] =
        {
            [KR_SUPERVISOR_EVENT_HELLO] = TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (TERMINATING),
            /* to itself: the old one's end */
            [KR_SUPERVISOR_EVENT_EXITED] =
                TO (TERMINATING) | TO (STARTING) | TO (BACKOFF) | TO (GAVE_UP),
            /* what follows is another one, and at once */
            [KR_SUPERVISOR_EVENT_REPLACE] = TO (TERMINATING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_TICK] = TO (TERMINATING),
        },
    [KR_SUPERVISOR_BACKOFF] =
        {
            [KR_SUPERVISOR_EVENT_START] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_HELLO] = TO (BACKOFF),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (BACKOFF),
            [KR_SUPERVISOR_EVENT_EXITED] = TO (BACKOFF),
            [KR_SUPERVISOR_EVENT_REPLACE] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING) | TO (STOPPED),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING) | TO (STOPPED),
            [KR_SUPERVISOR_EVENT_TICK] = TO (BACKOFF) | TO (STARTING),
        },
    [KR_SUPERVISOR_STOPPING] =
        {
            [KR_SUPERVISOR_EVENT_SPAWN_FAILED] = TO (STOPPING) | TO (STOPPED),
            [KR_SUPERVISOR_EVENT_HELLO] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_EXITED] = TO (STOPPING) | TO (STOPPED),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING),
            [KR_SUPERVISOR_EVENT_TICK] = TO (STOPPING),
        },
    [KR_SUPERVISOR_STOPPED] =
        {
            [KR_SUPERVISOR_EVENT_START] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPED),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPED),
            [KR_SUPERVISOR_EVENT_TICK] = TO (STOPPED),
        },
    [KR_SUPERVISOR_GAVE_UP] =
        {
            [KR_SUPERVISOR_EVENT_START] = TO (STARTING),
            [KR_SUPERVISOR_EVENT_HELLO] = TO (GAVE_UP),
            [KR_SUPERVISOR_EVENT_HEARTBEAT] = TO (GAVE_UP),
            [KR_SUPERVISOR_EVENT_EXITED] = TO (GAVE_UP),
            [KR_SUPERVISOR_EVENT_STOP] = TO (STOPPING) | TO (STOPPED),
            [KR_SUPERVISOR_EVENT_FORCE] = TO (STOPPING) | TO (STOPPED),
            [KR_SUPERVISOR_EVENT_TICK] = TO (GAVE_UP),
        },
};

gboolean
kr_supervisor_may_follow (KrSupervisorState from, KrSupervisorEventType event,
                          KrSupervisorState to)
{
  g_return_val_if_fail ((guint)from < KR_N_SUPERVISOR_STATES, FALSE);
  g_return_val_if_fail ((guint)event < KR_N_SUPERVISOR_EVENTS, FALSE);
  g_return_val_if_fail ((guint)to < KR_N_SUPERVISOR_STATES, FALSE);
  return (edges[from][event] >> to & 1) != 0;
}

static const char *const state_names[] = {
    [KR_SUPERVISOR_IDLE] = "idle",           [KR_SUPERVISOR_STARTING] = "starting",
    [KR_SUPERVISOR_RUNNING] = "running",     [KR_SUPERVISOR_UNHEALTHY] = "unhealthy",
    [KR_SUPERVISOR_REPLACING] = "replacing", [KR_SUPERVISOR_TERMINATING] = "terminating",
    [KR_SUPERVISOR_BACKOFF] = "backoff",     [KR_SUPERVISOR_STOPPING] = "stopping",
    [KR_SUPERVISOR_STOPPED] = "stopped",     [KR_SUPERVISOR_GAVE_UP] = "gave-up",
};
G_STATIC_ASSERT (G_N_ELEMENTS (state_names) == KR_N_SUPERVISOR_STATES);

static const char *const event_names[] = {
    [KR_SUPERVISOR_EVENT_START] = "start",
    [KR_SUPERVISOR_EVENT_SPAWN_FAILED] = "spawn-failed",
    [KR_SUPERVISOR_EVENT_HELLO] = "hello",
    [KR_SUPERVISOR_EVENT_HEARTBEAT] = "heartbeat",
    [KR_SUPERVISOR_EVENT_READY] = "ready",
    [KR_SUPERVISOR_EVENT_VERDICT] = "verdict",
    [KR_SUPERVISOR_EVENT_EXITED] = "exited",
    [KR_SUPERVISOR_EVENT_REPLACE] = "replace",
    [KR_SUPERVISOR_EVENT_STOP] = "stop",
    [KR_SUPERVISOR_EVENT_FORCE] = "force",
    [KR_SUPERVISOR_EVENT_TICK] = "tick",
};
G_STATIC_ASSERT (G_N_ELEMENTS (event_names) == KR_N_SUPERVISOR_EVENTS);

static const char *const role_names[] = {
    [KR_WORKER_CURRENT] = "current",
    [KR_WORKER_NEXT] = "next",
    [KR_WORKER_OLD] = "old",
};
G_STATIC_ASSERT (G_N_ELEMENTS (role_names) == KR_N_WORKER_ROLES);

static const char *const alert_names[] = {
    [KR_ALERT_CRASH] = "crash",
    [KR_ALERT_HANG] = "hang",
    [KR_ALERT_REPLACEMENT] = "replacement",
    [KR_ALERT_REPLACED] = "replaced",
    [KR_ALERT_REPLACE_FAILED] = "replace-failed",
    [KR_ALERT_GAVE_UP] = "gave-up",
    [KR_ALERT_DONE] = "done",
    [KR_ALERT_KILLED] = "killed",
    [KR_ALERT_HANDOVER] = "handover",
    [KR_ALERT_MONITOR_PAUSED] = "monitor-paused",
};
G_STATIC_ASSERT (G_N_ELEMENTS (alert_names) == KR_N_ALERTS);

const char *
kr_supervisor_state_name (KrSupervisorState state)
{
  g_return_val_if_fail ((guint)state < KR_N_SUPERVISOR_STATES, NULL);
  return state_names[state];
}

const char *
kr_supervisor_event_name (KrSupervisorEventType type)
{
  g_return_val_if_fail ((guint)type < KR_N_SUPERVISOR_EVENTS, NULL);
  return event_names[type];
}

const char *
kr_worker_role_name (KrWorkerRole role)
{
  g_return_val_if_fail ((guint)role < KR_N_WORKER_ROLES, NULL);
  return role_names[role];
}

const char *
kr_alert_name (KrAlert alert)
{
  g_return_val_if_fail ((guint)alert < KR_N_ALERTS, NULL);
  return alert_names[alert];
}

gboolean
kr_supervisor_state_is_final (KrSupervisorState state)
{
  return state == KR_SUPERVISOR_STOPPED || state == KR_SUPERVISOR_GAVE_UP;
}
