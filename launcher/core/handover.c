/* keeprolling - handing a recording over to a new worker, decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/handover.h"

#include <math.h>
#include <string.h>

static const char *const stage_names[] = {
    [KR_HANDOVER_NONE] = "none",           [KR_HANDOVER_WAITING] = "waiting",
    [KR_HANDOVER_STARTING] = "starting",   [KR_HANDOVER_OVERLAPPING] = "overlapping",
    [KR_HANDOVER_FINISHING] = "finishing",
};
G_STATIC_ASSERT (G_N_ELEMENTS (stage_names) == KR_N_HANDOVER_STAGES);

static const char *const result_names[] = {
    [KR_HANDOVER_COMPLETED] = "completed",     [KR_HANDOVER_ROLLED_BACK] = "rolled-back",
    [KR_HANDOVER_REFUSED] = "refused",         [KR_HANDOVER_NOT_RECORDING] = "not-recording",
    [KR_HANDOVER_INTERRUPTED] = "interrupted",
};
G_STATIC_ASSERT (G_N_ELEMENTS (result_names) == KR_N_HANDOVER_RESULTS);

const char *
kr_handover_stage_name (KrHandoverStage stage)
{
  g_return_val_if_fail ((guint)stage < KR_N_HANDOVER_STAGES, NULL);
  return stage_names[stage];
}

const char *
kr_handover_result_name (KrHandoverResult result)
{
  g_return_val_if_fail ((guint)result < KR_N_HANDOVER_RESULTS, NULL);
  return result_names[result];
}

/* --- whether the new worker is good enough ---------------------------------------------- */

static gboolean
records (const KrHandoverPipeline *pipeline)
{
  const KrPipelineReport *report = pipeline->report;

  if (report == NULL || pipeline->fails || report->state != KR_PIPELINE_PLAYING ||
      report->stalled)
    return FALSE;
  if (report->has_growth && (report->last_growth_utc_us == 0 || report->written_bytes == 0))
    return FALSE;
  if (pipeline->had_keyframes && report->has_growth)
    return report->keyframes > 0;
  return !report->has_growth || report->buffers > 0 || report->keyframes > 0;
}

gboolean
kr_handover_waits_for_source (const KrPipelineReport *report)
{
  return report != NULL && report->state != KR_PIPELINE_FAILED &&
         (report->state == KR_PIPELINE_RECONNECTING || report->sources_silent > 0);
}

KrHandoverReadiness
kr_handover_judge (const KrHandoverPipeline *pipelines, guint n, guint *ret_culprit)
{
  KrHandoverReadiness readiness = KR_HANDOVER_READY;
  gboolean any = FALSE;

  *ret_culprit = n;
  for (guint i = 0; i < n; i++) {
    const KrHandoverPipeline *pipeline = &pipelines[i];

    if (records (pipeline)) {
      any = TRUE;
      continue;
    }
    if (pipeline->recorded || pipeline->fails ||
        !kr_handover_waits_for_source (pipeline->report)) {
      *ret_culprit = i;
      return KR_HANDOVER_NOT_READY;
    }
    /* What did not record before holds up nothing; what is new is waited for a while. */
    if (!pipeline->was_there && readiness == KR_HANDOVER_READY) {
      readiness = KR_HANDOVER_READY_BUT_SOURCES;
      *ret_culprit = i;
    }
  }
  if (!any) {
    *ret_culprit = 0;
    return KR_HANDOVER_NOT_READY;
  }
  return readiness;
}

gint64
kr_handover_latency (const KrPipelineReport *report)
{
  for (guint i = 0; report != NULL && i < report->source_stats->len; i++) {
    const KrNamedValue *value = &g_array_index (report->source_stats, KrNamedValue, i);

    if (strcmp (value->name, "negotiated-latency-ms") == 0 && isfinite (value->value))
      return (gint64)CLAMP (value->value * G_TIME_SPAN_MILLISECOND, 0,
                            (double)KR_HANDOVER_MAX_LATENCY_US);
  }
  return 0;
}

/* --- the way ---------------------------------------------------------------------------- */

void
kr_handover_begin (KrHandover *handover, gboolean in_turn, gint64 ready_us, gint64 busy_us,
                   gint64 now)
{
  g_return_if_fail (handover->stage == KR_HANDOVER_NONE);
  *handover = (KrHandover){.stage = KR_HANDOVER_WAITING,
                           .in_turn = in_turn,
                           .ready_us = ready_us,
                           .begun = now,
                           .deadline = now + busy_us + KR_HANDOVER_PATIENCE_US};
}

static KrHandoverStep
end (KrHandover *h, KrHandoverResult result, const char *why)
{
  h->stage = KR_HANDOVER_NONE;
  h->result = result;
  h->why = why;
  return KR_HANDOVER_STEP_END;
}

gboolean
kr_handover_cancel (KrHandover *handover, const char *why)
{
  if (handover->stage == KR_HANDOVER_NONE || handover->stage == KR_HANDOVER_FINISHING)
    return FALSE;
  end (handover, KR_HANDOVER_INTERRUPTED, why);
  return TRUE;
}

static KrHandoverStep
set_off (KrHandover *h, const KrHandoverView *view, gint64 now, KrHandoverStep step)
{
  h->stage = KR_HANDOVER_STARTING;
  h->before = view->last_serial;
  h->from = view->current_ready || view->current_opened ? view->current : 0;
  /* Next has its deadline from the machine, which starts when we are told to; ours is for a
   * worker that is alone. */
  h->deadline = now + h->ready_us;
  return step;
}

static KrHandoverStep
step_waiting (KrHandover *h, const KrHandoverView *view, gint64 now)
{
  switch (view->state) {
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_STOPPED:
    return set_off (h, view, now, KR_HANDOVER_STEP_START);
  case KR_SUPERVISOR_GAVE_UP:
    if (view->old == 0)
      return set_off (h, view, now, KR_HANDOVER_STEP_START);
    break;
  case KR_SUPERVISOR_STARTING:
  case KR_SUPERVISOR_RUNNING:
  case KR_SUPERVISOR_UNHEALTHY:
  case KR_SUPERVISOR_TERMINATING:
  case KR_SUPERVISOR_BACKOFF:
    if (view->old == 0)
      return set_off (h, view, now, KR_HANDOVER_STEP_REPLACE);
    break;
  case KR_SUPERVISOR_REPLACING:
    break;
  case KR_SUPERVISOR_STOPPING:
    return end (h, KR_HANDOVER_INTERRUPTED, "it is being stopped");
  case KR_N_SUPERVISOR_STATES:
    g_return_val_if_reached (KR_HANDOVER_STEP_NONE);
  }
  if (now >= h->deadline)
    return end (h, KR_HANDOVER_INTERRUPTED, "the watchdog is busy replacing the worker");
  return KR_HANDOVER_STEP_NONE;
}

/* The new one is being started beside the old one. */
static KrHandoverStep
step_beside (KrHandover *h, const KrHandoverView *view, gint64 now)
{
  gint64 settle = KR_HANDOVER_OVERLAP_US + view->latency_us;

  if (view->readiness == KR_HANDOVER_NOT_READY) {
    h->stage = KR_HANDOVER_STARTING;
    return KR_HANDOVER_STEP_NONE;
  }
  /* A source that is new to us is given half of the time. */
  if (view->readiness == KR_HANDOVER_READY_BUT_SOURCES && now < h->deadline - h->ready_us / 2)
    return KR_HANDOVER_STEP_NONE;
  if (h->stage == KR_HANDOVER_STARTING) {
    h->stage = KR_HANDOVER_OVERLAPPING;
    h->ready_since = now;
  }
  /* Rather a short overlap than none, if the time runs out. */
  if (now < h->ready_since + settle && now + G_TIME_SPAN_SECOND < h->deadline)
    return KR_HANDOVER_STEP_NONE;
  return KR_HANDOVER_STEP_READY;
}

/* The new one is current, as there was nobody to hand over from (any more). */
static KrHandoverStep
step_alone (KrHandover *h, const KrHandoverView *view, gint64 now)
{
  h->stage = KR_HANDOVER_STARTING;
  if (view->current_ready) {
    h->ready_since = h->ready_since != 0 ? h->ready_since : now;
    h->stage = KR_HANDOVER_FINISHING;
    return KR_HANDOVER_STEP_NONE;
  }
  if (view->state == KR_SUPERVISOR_GAVE_UP)
    return end (h, KR_HANDOVER_NOT_RECORDING, "the new worker gave up");
  if (view->state == KR_SUPERVISOR_STOPPED)
    return end (h, KR_HANDOVER_COMPLETED, "it has ended by itself");
  if (now >= h->deadline)
    return end (h, KR_HANDOVER_NOT_RECORDING, "it does not record yet");
  return KR_HANDOVER_STEP_NONE;
}

static KrHandoverStep
step_starting (KrHandover *h, const KrHandoverView *view, gint64 now)
{
  if (view->state == KR_SUPERVISOR_STOPPING)
    return end (h, KR_HANDOVER_INTERRUPTED, "it is being stopped");
  if (view->next > h->before) {
    if (h->to != view->next) {
      /* The machine's clock began with this one. */
      h->to = view->next;
      h->deadline = now + h->ready_us;
    }
    return step_beside (h, view, now);
  }
  if (view->current > h->before) {
    if (h->to == 0)
      h->deadline = now + h->ready_us;
    h->to = view->current;
    return step_alone (h, view, now);
  }
  if (h->to != 0 && h->from != 0 && view->current == h->from) {
    h->rolled_back = TRUE;
    h->stage = KR_HANDOVER_FINISHING;
    return KR_HANDOVER_STEP_NONE;
  }
  if (kr_supervisor_state_is_final (view->state))
    return step_alone (h, view, now);
  return KR_HANDOVER_STEP_NONE; /* the old one is ending, or a back-off goes by */
}

KrHandoverStep
kr_handover_step (KrHandover *handover, const KrHandoverView *view, gint64 now)
{
  switch (handover->stage) {
  case KR_HANDOVER_NONE:
    return KR_HANDOVER_STEP_NONE;
  case KR_HANDOVER_WAITING:
    return step_waiting (handover, view, now);
  case KR_HANDOVER_STARTING:
  case KR_HANDOVER_OVERLAPPING: {
    KrHandoverStep step = step_starting (handover, view, now);

    if (step != KR_HANDOVER_STEP_NONE || handover->stage != KR_HANDOVER_FINISHING)
      return step;
    break;
  }
  case KR_HANDOVER_FINISHING:
    break;
  case KR_N_HANDOVER_STAGES:
    g_return_val_if_reached (KR_HANDOVER_STEP_NONE);
  }
  if (view->old != 0)
    return KR_HANDOVER_STEP_NONE;
  return end (handover, handover->rolled_back ? KR_HANDOVER_ROLLED_BACK : KR_HANDOVER_COMPLETED,
              NULL);
}
