/* keeprolling - the life of one pipeline file's workers, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/pipeline-file.h"

G_BEGIN_DECLS

/* Layer 2 of supervision. What happens to the worker of one file is told by events; what to do
 * about it comes back as actions. Nothing here does anything; app/launcher does.
 *
 * There are at most two workers of a file at any time, in three roles:
 *   current  the one that records (or tries to)
 *   next     being started beside it, to take over once it records: an overlap that is wanted
 *   old      has been told to end and is finishing its files; always has a deadline */

typedef enum {
  KR_SUPERVISOR_IDLE,        /* not started yet */
  KR_SUPERVISOR_STARTING,    /* current is there but does not record yet */
  KR_SUPERVISOR_RUNNING,     /* current records */
  KR_SUPERVISOR_UNHEALTHY,   /* the last verdict on current was bad */
  KR_SUPERVISOR_REPLACING,   /* next is being started beside current */
  KR_SUPERVISOR_TERMINATING, /* current is being ended: it records nothing; another follows */
  KR_SUPERVISOR_BACKOFF,     /* there is none; waits before the next start */
  KR_SUPERVISOR_STOPPING,    /* all have been told to finish their files and end */
  KR_SUPERVISOR_STOPPED,     /* ended as asked, or done with Restart=no */
  KR_SUPERVISOR_GAVE_UP,     /* ended with a code that starting again cannot cure */
  KR_N_SUPERVISOR_STATES
} KrSupervisorState;

/* "running" etc.; the words of status, metrics and logs. */
const char *kr_supervisor_state_name (KrSupervisorState state);

typedef enum {
  KR_WORKER_CURRENT,
  KR_WORKER_NEXT,
  KR_WORKER_OLD,
  KR_N_WORKER_ROLES
} KrWorkerRole;

/* "current", "next", "old" */
const char *kr_worker_role_name (KrWorkerRole role);

typedef enum {
  KR_SUPERVISOR_EVENT_START,        /* somebody wants it to run */
  KR_SUPERVISOR_EVENT_SPAWN_FAILED, /* serial: there is no such process after all */
  KR_SUPERVISOR_EVENT_HELLO,        /* serial: it has started */
  KR_SUPERVISOR_EVENT_HEARTBEAT,    /* serial: it has reported */
  KR_SUPERVISOR_EVENT_READY,        /* serial: it records; a next one as well as its current */
  KR_SUPERVISOR_EVENT_VERDICT,      /* of health, on current: bad, at_once, harmful, writing */
  KR_SUPERVISOR_EVENT_EXITED,       /* serial, code or signal: it is gone */
  KR_SUPERVISOR_EVENT_REPLACE,      /* somebody wants a new one in its place (handover): policy,
                                       in_turn, writing */
  KR_SUPERVISOR_EVENT_STOP,         /* somebody wants it to end in good order */
  KR_SUPERVISOR_EVENT_FORCE,        /* somebody wants it to end now */
  KR_SUPERVISOR_EVENT_TICK,         /* time has passed; writing. At least every second */
  KR_N_SUPERVISOR_EVENTS
} KrSupervisorEventType;

const char *kr_supervisor_event_name (KrSupervisorEventType type);

/* Times are microseconds. */
typedef struct {
  guint threshold;
  gint64 startup_grace_us;
  gint64 hang_limit_us;    /* without a report, or without a sign of life of a thread in it */
  gint64 look_us;          /* between two signs of life: its reports, our looks at it */
  gint64 interval_us;      /* between two verdicts */
  gint64 again_us;         /* between a bad verdict and the next one */
  gint64 stalled_stop_us;  /* for a worker that writes nothing to end */
  gint64 timeout_ready_us; /* for next */
  gint64 timeout_stop_us;  /* for a worker to finish its files, our own margin included */
  gint64 handover_stop_us; /* the same for one that was handed over from: [Handover] */
  gint64 storm_wait_us;    /* between two workers of a restart storm, at most */
  KrRestart restart;       /* of the pipelines, the one that goes on longest */
} KrSupervisorPolicy;

typedef struct {
  KrSupervisorEventType type;
  guint serial; /* which worker */
  int code;     /* exited: its status, meaningless if signal is set */
  int signal;   /* exited: what killed it, 0 = it ended by itself */
  gboolean bad;
  gboolean at_once; /* verdict: no need to see Threshold of them */
  gboolean harmful; /* verdict: staying is worse than a gap */
  gboolean stuck;   /* verdict: it cannot end in good order, so it is not asked to */
  /* verdict: since the fault began, 0 = it is new; ready: since it began to record */
  gint64 age_us;
  gint64 starved_us;   /* tick: of the silence of current, it wanted to run and could not */
  gboolean writing;    /* verdict, tick: current's files grow, whatever else is wrong with it;
                          replace: it has opened one */
  const char *reason;  /* verdict, replace, spawn-failed: why; else NULL */
  gboolean next_waits; /* tick: next lacks nothing but its source, which is absent */
  /* replace: current ends before next starts: a gap, for sources that serve one at a time */
  gboolean in_turn;
  /* replace, start: what goes for the new worker once it is current; NULL = as before */
  const KrSupervisorPolicy *policy;
} KrSupervisorEvent;

typedef enum {
  KR_SUPERVISOR_ACTION_SPAWN, /* start worker `serial`; `overlap`: another records beside it */
  KR_SUPERVISOR_ACTION_STOP,  /* tell it to finish its files and end */
  KR_SUPERVISOR_ACTION_KILL,  /* SIGKILL */
  KR_SUPERVISOR_ACTION_RECOVER,   /* it died: its temporary files want their final names */
  KR_SUPERVISOR_ACTION_PROMOTE,   /* it was next and is current now */
  KR_SUPERVISOR_ACTION_ALERT,     /* tell people: `alert`, `reason` */
  KR_SUPERVISOR_ACTION_RECOVERED, /* it records again after `seconds`; `reason` was the fault */
  KR_N_SUPERVISOR_ACTIONS
} KrSupervisorActionType;

typedef enum {
  KR_ALERT_CRASH,          /* current died; what comes next is in delay_s */
  KR_ALERT_HANG,           /* current does not report and does not write: killed */
  KR_ALERT_REPLACEMENT,    /* a new one is started in the place of an unhealthy one */
  KR_ALERT_REPLACED,       /* the new one records, the old one has been told to end */
  KR_ALERT_REPLACE_FAILED, /* the new one did not get ready, the old one goes on */
  KR_ALERT_GAVE_UP,        /* see KR_SUPERVISOR_GAVE_UP */
  KR_ALERT_DONE,           /* it ended by itself, as its pipelines wanted it to */
  KR_ALERT_KILLED,         /* it did not end in time */
  KR_ALERT_HANDOVER,       /* a new one is started in its place because somebody wants it */
  KR_ALERT_MONITOR_PAUSED, /* the supervisor itself stood still: heartbeats start afresh */
  KR_N_ALERTS
} KrAlert;

/* "crash", "hang", "replacement"...: the words of the history and the webhooks. */
const char *kr_alert_name (KrAlert alert);

typedef struct {
  KrSupervisorActionType type;
  guint serial;
  gboolean overlap; /* spawn, alert, recovered: what was there records until the new one does */
  KrAlert alert;
  double seconds;   /* recovered; alert: until the next start, < 0 = there is none */
  char reason[192]; /* why; "" = nothing to say */
} KrSupervisorAction;

#define KR_SUPERVISOR_MAX_ACTIONS 12
typedef struct {
  guint n;
  KrSupervisorAction items[KR_SUPERVISOR_MAX_ACTIONS];
} KrSupervisorActions;

/* Its own back-off: the first start after a fault comes at once, then 1 s doubling to 5 min. It
 * counts starts that led to nothing. A worker that recorded and died is no crash loop: what it
 * records happens only once, and waiting would not bring it back. It is started again at once,
 * only not more often than every KR_SUPERVISOR_BACKOFF_US.
 *
 * Unless that is a restart storm: more than KR_SUPERVISOR_BRIEF_FREE workers in a row that died
 * within KR_SUPERVISOR_BRIEF_US of recording. A start each second is dear to all the others on
 * the machine, leaves a file each, and brings next to nothing. From then on the wait doubles,
 * but never takes more of Threshold x IntervalSec than is kept for a start. */
#define KR_SUPERVISOR_BACKOFF_US     (1 * G_TIME_SPAN_SECOND)
#define KR_SUPERVISOR_BACKOFF_MAX_US (5 * G_TIME_SPAN_MINUTE)
#define KR_SUPERVISOR_BRIEF_US       (5 * G_TIME_SPAN_SECOND)
/* Twelve may be somebody's doing. */
#define KR_SUPERVISOR_BRIEF_FREE 12
/* A worker that has recorded for this long ends the row. */
#define KR_SUPERVISOR_STEADY_US (1 * G_TIME_SPAN_MINUTE)
/* Health for this long makes the next fault a first one again. */
#define KR_SUPERVISOR_HEALTH_RESET_US (10 * G_TIME_SPAN_MINUTE)
/* A process that survives SIGKILL hangs in the kernel: it is killed again this often. */
#define KR_SUPERVISOR_KILL_AGAIN_US (10 * G_TIME_SPAN_SECOND)
/* More between two ticks means that the supervisor itself was late: it could not listen. */
#define KR_SUPERVISOR_LATE_TICK_US (1500 * G_TIME_SPAN_MILLISECOND)
/* More than this means that it stood still, and somebody is told. */
#define KR_SUPERVISOR_MAX_TICK_GAP_US (3 * G_TIME_SPAN_SECOND)
/* How long a worker that writes nothing may take to end at most: nobody records meanwhile. */
#define KR_SUPERVISOR_STALLED_STOP_US (5 * G_TIME_SPAN_SECOND)
/* Bounds of hang_limit_us, see kr_supervisor_policy_from_file(). */
#define KR_SUPERVISOR_HANG_MIN_US (2 * G_TIME_SPAN_SECOND)
#define KR_SUPERVISOR_HANG_MAX_US (30 * G_TIME_SPAN_SECOND)
/* What Threshold x IntervalSec keeps for the start of the new worker, at most. */
#define KR_SUPERVISOR_START_SHARE_US (5 * G_TIME_SPAN_SECOND)

/**
 * kr_supervisor_policy_from_file:
 * @policy: memory to fill
 * @file: what the user wants
 *
 * All that Threshold x IntervalSec promises follows from here. A third of it, 5 s at most, is
 * for the start of the new worker; by then it must be clear that one is needed:
 * - silence (of the process, or of a thread in it that holds up the data) counts as a hang
 * after two thirds of it, 2 s at least and 30 s at most;
 * - a bad verdict is followed by the next one so soon that the last of Threshold comes in time,
 *   even if the fault happened right after a good one.
 */
void kr_supervisor_policy_from_file (KrSupervisorPolicy *policy, const KrPipelineFile *file);

/* Owned by one caller; not thread-safe. Moments are monotonic microseconds. Only the functions
 * below change it; anybody may read it. */
typedef struct {
  KrSupervisorPolicy policy;
  KrSupervisorState state;
  gint64 since;    /* of the state */
  gint64 deadline; /* of the state; G_MAXINT64 = none */

  guint last_serial;
  guint current; /* serials, 0 = none */
  guint next;
  guint old;

  /* current */
  gint64 heartbeat; /* the last, or when it was started */
  gint64 starved;   /* as the last tick had it */
  gboolean has_reported;
  gint64 grace_until;
  gboolean was_ready;
  gint64 ready_at;      /* when it began to record; G_MAXINT64 = it has not */
  gboolean hung;        /* does not report, but writes: being replaced */
  gboolean harmful;     /* see the verdict */
  gboolean killed;      /* by us */
  gboolean writing;     /* as the last verdict or tick had it */
  guint bad;            /* verdicts in a row */
  gint64 bad_since;     /* the fault that the first of them is about */
  gint64 next_verdict;  /* when one is due */
  gint64 healthy_since; /* G_MAXINT64 = is not */
  gint64 healthy_for;   /* before the first of the bad verdicts */
  gboolean handover;    /* within REPLACING, TERMINATING: because somebody wants it */
  gint64 delay_us;      /* within TERMINATING: before the next one starts */
  gint64 old_deadline;
  gboolean old_killed;

  gboolean seamless;   /* within REPLACING: current has recorded all the time */
  guint failures;      /* starts that led to nothing, since health */
  gint64 last_failure; /* G_MININT64 = none */
  gint64 last_end;     /* of one that recorded and was started again; G_MININT64 = none */
  guint brief;         /* workers in a row that died soon after they began to record */
  gint64 fault_at;     /* G_MAXINT64 = none; until it records again */
  char fault[192];
  gint64 last_tick; /* G_MININT64 = none */
  int exit_code;    /* of the worker that ended for good */

  gboolean has_next_policy; /* for the worker that takes over, wanted by somebody */
  KrSupervisorPolicy next_policy;

  guint64 crashes;
  guint64 hangs;
  guint64 replacements;
} KrSupervisor;

void kr_supervisor_init (KrSupervisor *supervisor, const KrSupervisorPolicy *policy,
                         gint64 now);

/* What another supervisor has to know to go on in the place of this one. */
typedef struct {
  KrSupervisorState state;
  guint current; /* serial, 0 = none */
  gboolean ready;
  guint last_serial;
  gint64 deadline; /* of a back-off */
  guint failures;
  guint brief;
  int exit_code;
  guint64 crashes;
  guint64 hangs;
  guint64 replacements;
} KrSupervisorResume;

/**
 * kr_supervisor_suspend:
 * @ret_resume: (out): for kr_supervisor_resume()
 *
 * Returns: FALSE if workers are being changed just now: wait for the end of that
 */
gboolean kr_supervisor_suspend (const KrSupervisor *supervisor, KrSupervisorResume *ret_resume);

/* As kr_supervisor_init(), for a file whose worker is there already. Its health is judged
 * afresh, after the grace. */
void kr_supervisor_resume (KrSupervisor *supervisor, const KrSupervisorPolicy *policy,
                           const KrSupervisorResume *resume, gint64 now);

/**
 * kr_supervisor_handle:
 * @supervisor: a supervisor
 * @event: what has happened
 * @now: the moment
 * @ret_actions: (out): what to do now, in this order
 *
 * Returns: FALSE if @event has no place in the present state, or names a worker that is not
 * there; nothing changes then
 */
gboolean kr_supervisor_handle (KrSupervisor *supervisor, const KrSupervisorEvent *event,
                               gint64 now, KrSupervisorActions *ret_actions);

/* Whether so many workers died soon after they began to record that the next ones have to wait.
 */
gboolean kr_supervisor_is_storm (const KrSupervisor *supervisor);

/* The present deadline; G_MAXINT64 = none. */
gint64 kr_supervisor_deadline (const KrSupervisor *supervisor);

/* When a tick is wanted at the latest, beside the regular ones: at the deadline, or when
 * silence becomes a hang; G_MAXINT64 = no need. */
gint64 kr_supervisor_next_look (const KrSupervisor *supervisor, gint64 now);

/**
 * kr_supervisor_wants_verdict:
 * @supervisor: a supervisor
 * @bad: what the verdict would be
 * @at_once: the same
 * @now: the moment
 *
 * A verdict is due each IntervalSec; the first bad one as soon as it is known, the next ones
 * after it a little faster, see kr_supervisor_policy_from_file().
 */
gboolean kr_supervisor_wants_verdict (const KrSupervisor *supervisor, gboolean bad,
                                      gboolean at_once, gint64 now);

/* How many workers there should be now, and whether more than one is wanted. */
guint kr_supervisor_n_workers (const KrSupervisor *supervisor);
gboolean kr_supervisor_wants_overlap (const KrSupervisor *supervisor);

/* The role of a worker; FALSE if there is none of that serial. */
gboolean kr_supervisor_role (const KrSupervisor *supervisor, guint serial,
                             KrWorkerRole *ret_role);

/* Whether @to may follow @from upon @event; the table is in supervisor.c. */
gboolean kr_supervisor_may_follow (KrSupervisorState from, KrSupervisorEventType event,
                                   KrSupervisorState to);

/* STOPPED and GAVE_UP: nothing more happens unless somebody asks. */
gboolean kr_supervisor_state_is_final (KrSupervisorState state);

/* Whether starting again cannot cure this exit status (RestartPreventExitStatus). */
gboolean kr_exit_code_is_final (int code);

G_END_DECLS
