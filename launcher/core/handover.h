/* keeprolling - handing a recording over to a new worker, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/report.h"
#include "launcher/core/supervisor.h"

G_BEGIN_DECLS

/* A handover is a wish of somebody: run this file from now on, without losing a frame. core/
 * supervisor moves the workers; this follows it from the wish to its end, says when the new
 * worker is good enough to take over, and what has come of it. Pure: nothing here does
 * anything.
 *
 *   waiting     the watchdog is replacing the worker just now: one change at a time
 *   starting    the new worker does not record yet; the old one goes on
 *   overlapping both record, for long enough that nothing lies between their files
 *   finishing   it is decided; the one that goes finishes its files */

typedef enum {
  KR_HANDOVER_NONE,
  KR_HANDOVER_WAITING,
  KR_HANDOVER_STARTING,
  KR_HANDOVER_OVERLAPPING,
  KR_HANDOVER_FINISHING,
  KR_N_HANDOVER_STAGES
} KrHandoverStage;

/* "none", "waiting", ...: the words of status and progress. */
const char *kr_handover_stage_name (KrHandoverStage stage);

typedef enum {
  KR_HANDOVER_COMPLETED,     /* the new one records, the old one is gone */
  KR_HANDOVER_ROLLED_BACK,   /* the new one did not get ready: the old one goes on */
  KR_HANDOVER_REFUSED,       /* nothing was started: the file is wrong */
  KR_HANDOVER_NOT_RECORDING, /* the new one is in place but does not record (yet) */
  KR_HANDOVER_INTERRUPTED,   /* something else came first: a stop, a watchdog without end */
  KR_N_HANDOVER_RESULTS
} KrHandoverResult;

/* "completed", "rolled-back", ...: the words of metrics, status and messages. */
const char *kr_handover_result_name (KrHandoverResult result);

/* How long both record at least once the new one does, its source's latency not counted. */
#define KR_HANDOVER_OVERLAP_US (2 * G_TIME_SPAN_SECOND)
/* A latency that a source claims is believed up to this. */
#define KR_HANDOVER_MAX_LATENCY_US (10 * G_TIME_SPAN_SECOND)
/* What is added to the watchdog's own deadlines before it is given up on. */
#define KR_HANDOVER_PATIENCE_US (30 * G_TIME_SPAN_SECOND)

/* --- whether the new worker is good enough ---------------------------------------------- */

/* One pipeline of the new worker. */
typedef struct {
  const KrPipelineReport *report; /* nullable: it has not said anything yet */
  gboolean recorded;              /* the old worker recorded a pipeline of that name */
  gboolean had_keyframes;         /* and saw keyframes in it */
  gboolean was_there;             /* the old worker had one of that name */
  gboolean fails;                 /* a health check of it fails */
} KrHandoverPipeline;

typedef enum {
  KR_HANDOVER_NOT_READY,
  /* All that the old one recorded is recorded; the rest only lacks its source. */
  KR_HANDOVER_READY_BUT_SOURCES,
  KR_HANDOVER_READY,
} KrHandoverReadiness;

/**
 * kr_handover_judge:
 * @pipelines: (array length=n): those of the new worker
 * @n: how many
 * @ret_culprit: (out): the first one that is to blame for the result, or n
 *
 * "It records" means: it plays, its file grows, it is past the first keyframe if the old one
 * saw keyframes, and no health check of it fails.
 */
KrHandoverReadiness kr_handover_judge (const KrHandoverPipeline *pipelines, guint n,
                                       guint *ret_culprit);

/* Whether the pipeline lacks nothing but its source. */
gboolean kr_handover_waits_for_source (const KrPipelineReport *report);

/* What negotiated latency the sources of @report have, in microseconds; 0 = none known. A new
 * worker with less of it is ahead of the old one by that much. */
gint64 kr_handover_latency (const KrPipelineReport *report);

/* --- the way ---------------------------------------------------------------------------- */

/* What is seen of the machine and its workers. */
typedef struct {
  KrSupervisorState state;
  guint current, next, old, last_serial;
  gboolean current_ready;  /* it records, as the machine knows */
  gboolean current_opened; /* it has opened a file, of which the machine may not know yet */
  KrHandoverReadiness readiness; /* of the new worker, as long as that one is next */
  gint64 latency_us;             /* of the old one's sources */
} KrHandoverView;

typedef enum {
  KR_HANDOVER_STEP_NONE,
  KR_HANDOVER_STEP_START,   /* send KR_SUPERVISOR_EVENT_START */
  KR_HANDOVER_STEP_REPLACE, /* send KR_SUPERVISOR_EVENT_REPLACE */
  KR_HANDOVER_STEP_READY,   /* send KR_SUPERVISOR_EVENT_READY for next */
  KR_HANDOVER_STEP_END,     /* it is over: result */
} KrHandoverStep;

/* Plain data, read by anybody. Moments are monotonic microseconds. */
typedef struct {
  KrHandoverStage stage;
  gboolean in_turn; /* the old one ends before the new one starts */
  gint64 ready_us;  /* how long the new one may take to record */
  gint64 begun;
  gint64 deadline;
  guint before;         /* the last serial before it began */
  guint from;           /* who recorded then, or began to; 0 = nobody did */
  guint to;             /* the new one; 0 = not started yet */
  gint64 ready_since;   /* since when the new one records */
  gboolean rolled_back; /* finishing: it is the new one that ends */
  KrHandoverResult result;
  const char *why; /* static: what the result alone does not say; NULL = nothing */
} KrHandover;

/**
 * kr_handover_begin:
 * @handover: one in stage NONE
 * @in_turn: the old one ends first
 * @ready_us: TimeoutReadySec
 * @busy_us: how long the watchdog may keep us waiting
 * @now: the moment
 */
void kr_handover_begin (KrHandover *handover, gboolean in_turn, gint64 ready_us, gint64 busy_us,
                        gint64 now);

/**
 * kr_handover_step:
 * @handover: a handover
 * @view: what there is to see
 * @now: the moment
 *
 * Call it after each event that the machine was given, and at least once a second; again after
 * it has asked for something and that was done. At END the stage is NONE again.
 *
 * Returns: what to do
 */
KrHandoverStep kr_handover_step (KrHandover *handover, const KrHandoverView *view, gint64 now);

/**
 * kr_handover_cancel:
 * @handover: a handover
 * @why: static: for people
 *
 * Ends one that is not decided yet: interrupted.
 *
 * Returns: FALSE if there was nothing to end
 */
gboolean kr_handover_cancel (KrHandover *handover, const char *why);

G_END_DECLS
