/* keeprolling - handing one pipeline file over to a new worker
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

#include <string.h>

#include "launcher/app/log.h"
#include "launcher/core/redact.h"

/* An event can lead to several steps in a row; never to this many. */
#define MAX_STEPS 8

static gboolean
is_under_way (const KrSupervised *s)
{
  return s->handover.stage != KR_HANDOVER_NONE;
}

void
kr_predecessor_clear (gpointer predecessor)
{
  g_free (((KrPredecessor *)predecessor)->name);
}

void
kr_supervised_clear_handover (KrSupervised *s)
{
  g_clear_pointer (&s->next_loaded, kr_loaded_file_unref);
  g_clear_pointer (&s->handover_cause, g_free);
  g_clear_pointer (&s->handover_lacks, g_free);
  g_clear_pointer (&s->handover_failure, g_free);
  g_array_set_size (s->predecessors, 0);
  s->old_recorded_until_utc_us = 0;
}

KrLoadedFile *
kr_supervised_loaded_for_next (const KrSupervised *s)
{
  /* While it waits, what the watchdog starts runs the file as it was. */
  if (s->next_loaded != NULL && s->handover.stage != KR_HANDOVER_WAITING)
    return s->next_loaded;
  return s->loaded;
}

const KrLoadedFile *
kr_supervised_get_loaded (const KrSupervised *supervised)
{
  return supervised->loaded;
}

KrSupervisorState
kr_supervised_get_state (const KrSupervised *supervised)
{
  return supervised->machine.state;
}

/* --- the worker that is to be relieved ---------------------------------------------------- */

static void
note_predecessors (KrSupervised *s)
{
  const KrWorker *old = kr_supervised_find_worker (s, s->machine.current);

  g_array_set_size (s->predecessors, 0);
  for (guint i = 0; old != NULL && i < s->file->pipelines->len; i++) {
    const KrPipelineSpec *spec = s->file->pipelines->pdata[i];
    const KrPipelineReport *report = kr_worker_find_report (old, spec->name);
    KrPredecessor before = {.name = g_strdup (spec->name)};

    before.recorded = kr_worker_records (old, spec->name);
    before.had_keyframes = report != NULL && report->keyframes > 0;
    g_array_append_val (s->predecessors, before);
  }
}

static const KrPredecessor *
find_predecessor (const KrSupervised *s, const char *name)
{
  for (guint i = 0; i < s->predecessors->len; i++) {
    const KrPredecessor *before = &g_array_index (s->predecessors, KrPredecessor, i);

    if (strcmp (before->name, name) == 0)
      return before;
  }
  return NULL;
}

static gint64
recorded_until (const KrWorker *worker)
{
  gint64 last = 0;

  for (guint i = 0; i < worker->reports->len; i++) {
    const KrPipelineReport *report = worker->reports->pdata[i];

    last = MAX (last, report->last_buffer_utc_us);
  }
  return last;
}

/* Its last word is the best there is about where its files end. */
void
kr_supervised_note_end_of_old (KrSupervised *s, const KrWorker *worker)
{
  if (is_under_way (s) && worker->serial == s->handover.from)
    s->old_recorded_until_utc_us = recorded_until (worker);
}

/* --- the new one ------------------------------------------------------------------------- */

/* Its health apart from the destination's, which is that of the old one as long as it runs. */
static gboolean
fails (const KrSupervised *s, const KrWorker *worker, const KrPipelineSpec *spec,
       const KrPipelineReport *report)
{
  gint64 now = g_get_monotonic_time ();
  KrHealthReport health;
  KrWorkerSample sample = {
      .now_utc_us = g_get_real_time (),
      .in_grace = TRUE,
      .heartbeat_age_us = worker->heartbeat != 0 ? now - worker->heartbeat : -1,
      .hang_limit_us = s->machine.policy.hang_limit_us,
      .has_rss = worker->usage.known || worker->reported_rss > 0,
      .rss = worker->usage.known ? worker->usage.rss : worker->reported_rss,
      .io_age_us = worker->io_age_us,
  };

  kr_health_judge (&worker->loaded->file->health, spec, report, &sample, &health);
  for (guint i = 0; i < KR_N_CHECKS; i++)
    /* A full disk is as full for the old one. */
    if (i != KR_CHECK_DISK && health.checks[i].status == KR_HEALTH_FAIL)
      return TRUE;
  return FALSE;
}

static void
look_at_pipelines (const KrSupervised *s, const KrWorker *worker, KrHandoverPipeline *pipelines)
{
  const GPtrArray *specs = worker->loaded->file->pipelines;

  for (guint i = 0; i < specs->len; i++) {
    const KrPipelineSpec *spec = specs->pdata[i];
    const KrPredecessor *before = find_predecessor (s, spec->name);

    pipelines[i] = (KrHandoverPipeline){
        .report = kr_worker_find_report (worker, spec->name),
        .was_there = before != NULL,
        .recorded = before != NULL && before->recorded,
        .had_keyframes = before != NULL && before->had_keyframes,
    };
    pipelines[i].fails = fails (s, worker, spec, pipelines[i].report);
  }
}

/* What a pipeline that does not record lacks, in words. */
static char *
describe_lack (const char *name, const KrPipelineReport *report)
{
  const char *why = report != NULL ? report->last_reason : "";

  if (report == NULL)
    return g_strdup_printf ("%s: no report yet", name);
  if (report->state == KR_PIPELINE_FAILED)
    return g_strdup_printf ("%s: the pipeline has failed: %s", name, why);
  if (kr_handover_waits_for_source (report) || report->state == KR_PIPELINE_BACKOFF)
    return g_strdup_printf ("%s: nothing comes from its source%s%s", name,
                            *why != '\0' ? ": " : "", why);
  if (report->state != KR_PIPELINE_PLAYING)
    return g_strdup_printf ("%s: still %s%s%s", name, kr_pipeline_state_name (report->state),
                            *why != '\0' ? ": " : "", why);
  if (report->stalled)
    return g_strdup_printf ("%s: not growing (%s)", name,
                            report->stall_reason != NULL ? report->stall_reason : "stalled");
  return g_strdup_printf ("%s: no keyframe yet", name);
}

static KrHandoverReadiness
judge_new_worker (KrSupervised *s, const KrWorker *worker)
{
  const GPtrArray *specs = worker->loaded->file->pipelines;
  g_autofree KrHandoverPipeline *pipelines = g_new0 (KrHandoverPipeline, specs->len);
  KrHandoverReadiness readiness;
  guint culprit;

  look_at_pipelines (s, worker, pipelines);
  readiness = kr_handover_judge (pipelines, specs->len, &culprit);
  g_clear_pointer (&s->handover_lacks, g_free);
  if (culprit < specs->len) {
    const KrPipelineSpec *spec = specs->pdata[culprit];

    s->handover_lacks = describe_lack (spec->name, pipelines[culprit].report);
  }
  return readiness;
}

gboolean
kr_supervised_next_waits (const KrSupervised *s)
{
  const KrWorker *next = kr_supervised_find_worker (s, s->machine.next);

  if (next == NULL || next->reports->len == 0)
    return FALSE;
  for (guint i = 0; i < next->reports->len; i++) {
    const KrPipelineReport *report = next->reports->pdata[i];

    if (!kr_handover_waits_for_source (report) && !kr_worker_records (next, report->name))
      return FALSE;
  }
  return TRUE;
}

/* --- the end ------------------------------------------------------------------------------ */

/* Of the files: from the opening of the new one's first to the last data of the old one. < 0:
 * so long nothing was recorded. */
static double
measure_overlap (const KrSupervised *s)
{
  const KrWorker *worker = kr_supervised_find_worker (s, s->handover.to);
  gint64 from = worker != NULL ? worker->first_segment_utc_us : 0;

  if (from == 0)
    from = s->handover.ready_since + g_get_real_time () - g_get_monotonic_time ();
  return (double)(s->old_recorded_until_utc_us - from) / G_TIME_SPAN_SECOND;
}

static char *
describe_completed (KrSupervised *s, double seconds)
{
  double overlap;

  if (s->handover.why != NULL)
    return g_strdup_printf ("the new worker was started: %s", s->handover.why);
  if (s->handover.from == 0 || s->old_recorded_until_utc_us == 0)
    return g_strdup_printf ("the new worker records, %.1f s after it was asked for; there was "
                            "none to hand over from",
                            seconds);
  overlap = measure_overlap (s);
  if (overlap <= 0)
    return g_strdup_printf ("the new worker records; between the old one's end and its begin "
                            "nothing was recorded for %.1f s",
                            -overlap);
  s->handovers.last_overlap_s = overlap;
  return g_strdup_printf ("handed over within %.1f s: the new worker records, both did for "
                          "%.1f s, the old one has ended",
                          seconds, overlap);
}

/* A file that no worker runs beside the old one often has a source that serves one at a time.
 */
static char *
describe_failure (const KrSupervised *s)
{
  const char *lacks = s->handover_lacks != NULL ? s->handover_lacks : "";
  const char *failure = s->handover_failure != NULL ? s->handover_failure : "";
  gboolean source = strstr (lacks, "source") != NULL;

  return g_strdup_printf (
      "rolled back: the new worker did not take over (%s%s%s); the old one goes on%s%s%s",
      failure, *failure != '\0' && *lacks != '\0' ? "; " : "", lacks,
      source ? ". If the source serves only one receiver at a time, or only one can listen at "
               "its port, the old worker is in the way: keeprolling reload --restart "
             : "",
      source ? s->file->name : "", source ? " ends that one first, with a short gap" : "");
}

static char *
describe_end (KrSupervised *s, KrHandoverResult result)
{
  double seconds = (double)(g_get_monotonic_time () - s->handover.begun) / G_TIME_SPAN_SECOND;
  const char *why = s->handover.why != NULL ? s->handover.why : "";

  switch (result) {
  case KR_HANDOVER_COMPLETED:
    return describe_completed (s, seconds);
  case KR_HANDOVER_ROLLED_BACK:
    return describe_failure (s);
  case KR_HANDOVER_NOT_RECORDING:
    return g_strdup_printf (
        "the new worker has taken the place of one that did not record, %s%s%s; it goes on "
        "trying",
        why, s->handover_lacks != NULL ? ": " : "",
        s->handover_lacks != NULL ? s->handover_lacks : "");
  case KR_HANDOVER_INTERRUPTED:
    return g_strdup_printf ("the handover was given up: %s", why);
  case KR_HANDOVER_REFUSED:
  case KR_N_HANDOVER_RESULTS:
    break;
  }
  g_return_val_if_reached (g_strdup (""));
}

static const char *
event_kind (KrHandoverResult result)
{
  return result == KR_HANDOVER_COMPLETED ? "handover" : "handover-failed";
}

/* Log, history, webhook, figures; @text is taken. */
static void
conclude (KrSupervised *s, KrHandoverResult result, char *text)
{
  g_autofree char *raw = text;
  g_autofree char *clean = kr_redact (raw);
  g_autoptr (GVariant) details = g_variant_ref_sink (
      g_variant_new_parsed ("{'result': <%s>}", kr_handover_result_name (result)));

  kr_log (result == KR_HANDOVER_COMPLETED ? G_LOG_LEVEL_MESSAGE : G_LOG_LEVEL_WARNING,
          s->file->name, NULL, "%s", clean);
  s->handovers.counts[result]++;
  s->handovers.last_result = result;
  s->handovers.last_utc_us = g_get_real_time ();
  s->handovers.begun_utc_us = 0;
  g_free (s->handovers.last_text);
  s->handovers.last_text = g_strdup (clean);
  kr_supervised_happened (s, KR_LAYER_WATCHDOG, "", event_kind (result), clean, -1, details);
}

static void
finish (KrSupervised *s)
{
  KrHandoverResult result = s->handover.result;
  g_autofree char *text = NULL;

  conclude (s, result, describe_end (s, result));
  text = g_strdup (s->handovers.last_text);
  kr_supervised_clear_handover (s);
  s->callbacks->changed (s->data);
  if (s->callbacks->handed_over != NULL)
    s->callbacks->handed_over (s, result, text, s->data);
}

void
kr_supervised_give_up_handover (KrSupervised *s)
{
  if (kr_handover_cancel (&s->handover, "the file is being stopped"))
    finish (s);
}

void
kr_supervised_refuse (KrSupervised *supervised, const char *text)
{
  conclude (supervised, KR_HANDOVER_REFUSED, g_strdup (text));
  supervised->callbacks->changed (supervised->data);
}

/* --- the way ------------------------------------------------------------------------------ */

static KrHandoverView
take_view (KrSupervised *s)
{
  const KrWorker *next = kr_supervised_find_worker (s, s->machine.next);
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);
  KrHandoverView view = {
      .state = s->machine.state,
      .current = s->machine.current,
      .next = s->machine.next,
      .old = s->machine.old,
      .last_serial = s->machine.last_serial,
      .current_ready = s->machine.was_ready,
      /* What it has recorded so far may still be in its memory. */
      .current_opened = current != NULL && current->open_files.length > 0,
  };

  if (next != NULL && next->serial > s->handover.before)
    view.readiness = judge_new_worker (s, next);
  else if (current != NULL && current->serial > s->handover.before && !view.current_ready)
    judge_new_worker (s, current);
  for (guint i = 0; current != NULL && i < current->reports->len; i++)
    view.latency_us = MAX (view.latency_us, kr_handover_latency (current->reports->pdata[i]));
  return view;
}

static void
carry_out (KrSupervised *s, KrHandoverStep step)
{
  KrSupervisorPolicy policy;
  KrSupervisorEvent event = {
      .reason = s->handover_cause, .in_turn = s->handover.in_turn, .policy = &policy};

  switch (step) {
  case KR_HANDOVER_STEP_START:
  case KR_HANDOVER_STEP_REPLACE:
    note_predecessors (s);
    kr_supervisor_policy_from_file (&policy, s->next_loaded->file);
    event.type = step == KR_HANDOVER_STEP_START ? KR_SUPERVISOR_EVENT_START
                                                : KR_SUPERVISOR_EVENT_REPLACE;
    event.writing = s->handover.from != 0;
    break;
  case KR_HANDOVER_STEP_READY:
    event = (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_READY, .serial = s->machine.next};
    kr_supervised_find_worker (s, s->machine.next)->ready = TRUE;
    break;
  case KR_HANDOVER_STEP_NONE:
  case KR_HANDOVER_STEP_END:
    return;
  }
  kr_supervised_send (s, &event);
}

void
kr_supervised_step_handover (KrSupervised *s)
{
  KrHandoverStage before = s->handover.stage;

  for (guint i = 0; i < MAX_STEPS && is_under_way (s); i++) {
    KrHandoverView view = take_view (s);
    KrHandoverStep step = kr_handover_step (&s->handover, &view, g_get_monotonic_time ());

    if (step == KR_HANDOVER_STEP_NONE)
      break;
    if (step == KR_HANDOVER_STEP_END) {
      finish (s);
      return;
    }
    carry_out (s, step);
  }
  if (s->handover.stage != before)
    s->callbacks->changed (s->data);
}

void
kr_supervised_note_failed_handover (KrSupervised *s, const char *reason)
{
  if (!is_under_way (s))
    return;
  /* From here on the file as it was goes on. */
  g_clear_pointer (&s->next_loaded, kr_loaded_file_unref);
  g_free (s->handover_failure);
  s->handover_failure = g_strdup (reason);
}

static gboolean
on_first_step (gpointer data)
{
  KrSupervised *s = data;

  s->handover_id = 0;
  kr_supervised_step_handover (s);
  return G_SOURCE_REMOVE;
}

gboolean
kr_supervised_hand_over (KrSupervised *supervised, KrLoadedFile *loaded, gboolean in_turn,
                         const char *cause)
{
  const KrSupervisorPolicy *policy = &supervised->machine.policy;

  if (is_under_way (supervised))
    return FALSE;
  kr_supervised_clear_handover (supervised);
  supervised->next_loaded = kr_loaded_file_ref (loaded);
  supervised->handover_cause = g_strdup (cause);
  supervised->handovers.begun_utc_us = g_get_real_time ();
  kr_handover_begin (&supervised->handover, in_turn, loaded->file->handover.timeout_ready_us,
                     policy->timeout_ready_us + policy->timeout_stop_us,
                     g_get_monotonic_time ());
  supervised->handover_id = g_idle_add (on_first_step, supervised);
  return TRUE;
}

/* What the stage means to somebody who waits. */
char *
kr_supervised_describe_handover (const KrSupervised *supervised)
{
  const KrHandover *handover = &supervised->handover;
  const char *lacks = supervised->handover_lacks;

  switch (handover->stage) {
  case KR_HANDOVER_NONE:
    return NULL;
  case KR_HANDOVER_WAITING:
    return g_strdup ("waits until the watchdog has replaced the worker");
  case KR_HANDOVER_STARTING:
    if (handover->to == 0)
      return g_strdup ("the old worker ends before the new one starts");
    return g_strdup_printf ("the new worker does not record yet%s%s%s",
                            lacks != NULL ? " (" : "", lacks != NULL ? lacks : "",
                            lacks != NULL ? ")" : "");
  case KR_HANDOVER_OVERLAPPING:
    return g_strdup ("both workers record");
  case KR_HANDOVER_FINISHING:
    return g_strdup (handover->rolled_back ? "the new worker finishes its files"
                                           : "the new worker has taken over, the old one "
                                             "finishes its files");
  case KR_N_HANDOVER_STAGES:
    break;
  }
  g_return_val_if_reached (NULL);
}
