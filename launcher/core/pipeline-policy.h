/* keeprolling - the life of one pipeline, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/report.h"
#include "launcher/core/restart-policy.h"

G_BEGIN_DECLS

/* Layer 1 of supervision: what happens to one pipeline is told by events, what to do about it
 * comes back as actions. Nothing here does anything; the engine does. */

typedef enum {
  KR_PIPELINE_EVENT_START,     /* somebody wants it to run */
  KR_PIPELINE_EVENT_STARTED,   /* it plays, or waits for nothing but its live sources */
  KR_PIPELINE_EVENT_FLOWING,   /* every live source delivers */
  KR_PIPELINE_EVENT_SILENT,    /* one of them does not */
  KR_PIPELINE_EVENT_FAULT,     /* it is broken; `cause` says by whom */
  KR_PIPELINE_EVENT_EOS,       /* all sinks have had EOS */
  KR_PIPELINE_EVENT_TORN_DOWN, /* it is gone, every file closed */
  KR_PIPELINE_EVENT_STOP,      /* somebody wants it to end in good order */
  KR_PIPELINE_EVENT_FORCE,     /* somebody wants it to end now */
  KR_PIPELINE_EVENT_TICK,      /* time has passed */
  KR_N_PIPELINE_EVENTS
} KrPipelineEvent;

const char *kr_pipeline_event_name (KrPipelineEvent event);

typedef enum {
  KR_PIPELINE_ACTION_BUILD = 1 << 0,    /* from its text, never again the old one */
  KR_PIPELINE_ACTION_DRAIN = 1 << 1,    /* EOS, so that files get finished */
  KR_PIPELINE_ACTION_TEARDOWN = 1 << 2, /* to NULL, off the main thread */
  KR_PIPELINE_ACTION_ABANDON = 1 << 3,  /* it hangs: leave it where it is, do not wait */
  KR_PIPELINE_ACTION_CHANGED = 1 << 4,  /* the state is another one now */
} KrPipelineActions;

/* Where a pipeline that is being torn down goes next. */
typedef enum { KR_AFTER_RESTART, KR_AFTER_STOPPED, KR_AFTER_FAILED } KrAfterTeardown;

/* The part of TimeoutStopSec that EOS gets, in percent; what is left is for closing. */
#define KR_DRAIN_PERCENT 70

/* After a forced stop a pipeline has this long to let go. */
#define KR_FORCE_TIMEOUT_US (2 * G_TIME_SPAN_SECOND)

/* Owned by one caller; not thread-safe. Moments are monotonic microseconds. */
typedef struct {
  KrPipelineState state;
  gint64 since;    /* of the state */
  gint64 deadline; /* send KR_PIPELINE_EVENT_TICK then; G_MAXINT64 = no need */
  KrRestartPolicy restart;
  gint64 timeout_start_us;
  gint64 timeout_stop_us;

  gboolean silent;       /* some source is */
  gboolean draining;     /* within STOPPING: EOS is on its way, teardown comes after it */
  KrAfterTeardown after; /* within STOPPING */
  gint64 restart_at;     /* with KR_AFTER_RESTART */
  gint64 stop_by;        /* within STOPPING, after a stop: all of it must be over by then */
  KrCause last_cause;    /* of the last fault, KR_N_CAUSES = none */
  guint64 restarts;
  guint64 restarts_by_cause[KR_N_CAUSES];
} KrPipelinePolicy;

/**
 * kr_pipeline_policy_init:
 * @policy: memory to fill
 * @spec: limits and timeouts are copied
 * @random: source of jitter
 * @data: for @random
 * @now: the moment
 */
void kr_pipeline_policy_init (KrPipelinePolicy *policy, const KrPipelineSpec *spec,
                              KrRandomFunc random, gpointer data, gint64 now);
void kr_pipeline_policy_clear (KrPipelinePolicy *policy);

/**
 * kr_pipeline_policy_handle:
 * @policy: a policy
 * @event: what has happened
 * @cause: with KR_PIPELINE_EVENT_FAULT: whose fault; else ignored
 * @now: the moment
 * @ret_actions: (out): what to do now, 0 = nothing
 *
 * Returns: FALSE if @event has no place in the present state; nothing changes then
 */
gboolean kr_pipeline_policy_handle (KrPipelinePolicy *policy, KrPipelineEvent event,
                                    KrCause cause, gint64 now, KrPipelineActions *ret_actions);

/* Whether @to may follow @from; the table is in pipeline-policy.c. */
gboolean kr_pipeline_state_may_follow (KrPipelineState from, KrPipelineState to);

/* Whether the pipeline has come to its end: nothing more happens unless somebody asks. */
gboolean kr_pipeline_state_is_final (KrPipelineState state);

G_END_DECLS
