/* keeprolling - one pipeline file and its workers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised.h"

#include <string.h>

#include "launcher/app/disk-job.h"
#include "launcher/app/log.h"
#include "launcher/app/supervised-private.h"
#include "launcher/core/exit-code.h"
#include "launcher/core/redact.h"

/* How long the end waits for a disk that gives a leftover its name. */
#define RESCUE_PATIENCE_US (10 * G_TIME_SPAN_SECOND)

KrWorker *
kr_supervised_find_worker (const KrSupervised *s, guint serial)
{
  for (guint i = 0; i < s->workers->len; i++) {
    KrWorker *worker = s->workers->pdata[i];

    if (worker->serial == serial)
      return worker;
  }
  return NULL;
}

static const char *
pipeline_name (const KrSupervised *s, guint i)
{
  const KrPipelineSpec *spec = s->file->pipelines->pdata[i];

  return spec->name;
}

void
kr_supervised_happened (KrSupervised *s, KrLayer layer, const char *pipeline, const char *kind,
                        const char *text, double seconds, GVariant *details)
{
  g_autofree char *clean = kr_redact (text);

  s->callbacks->happened (s, layer, pipeline, kind, clean, seconds, details, s->data);
}

static void
set_reason (KrSupervised *s, const char *reason)
{
  g_free (s->last_reason);
  s->last_reason = kr_redact (reason);
}

/* --- readiness ------------------------------------------------------------------------- */

/* Whether @worker does all that the one before it did. After the startup grace the rest counts
 * too: a source that left in between must not keep the others from counting as recorded. */
static gboolean
is_ready (const KrSupervised *s, const KrWorker *worker, gint64 now)
{
  gboolean any = FALSE;
  gboolean all_wanted = TRUE;
  gboolean late = now - worker->started > s->machine.policy.startup_grace_us;
  /* Not those of the file that the current one runs: there may be more of them. */
  const GPtrArray *specs = worker->loaded->file->pipelines;

  for (guint i = 0; i < specs->len; i++) {
    const KrPipelineSpec *spec = specs->pdata[i];
    gboolean records = kr_worker_records_well (worker, spec->name);

    any |= records;
    if (worker->wanted != NULL && worker->wanted[i] && !records)
      all_wanted = FALSE;
  }
  return any && (all_wanted || (late && worker->serial == s->machine.current));
}

/* What @worker records now is what its successor, which runs @file, must record. */
static gboolean *
what_it_records (const KrPipelineFile *file, const KrWorker *worker)
{
  gboolean *wanted = g_new0 (gboolean, file->pipelines->len);

  for (guint i = 0; i < file->pipelines->len; i++) {
    const KrPipelineSpec *spec = file->pipelines->pdata[i];

    wanted[i] = kr_worker_records (worker, spec->name);
  }
  return wanted;
}

static void
check_ready (KrSupervised *s, KrWorker *worker, gint64 now)
{
  KrSupervisorEvent event = {.type = KR_SUPERVISOR_EVENT_READY, .serial = worker->serial};

  if (worker->ready || !is_ready (s, worker, now))
    return;
  /* More is asked of a worker that somebody wants: see the handover. */
  if (worker->serial == s->machine.next && s->machine.handover)
    return;
  if (worker->serial != s->machine.next && worker->serial != s->machine.current)
    return;
  if (s->machine.state == KR_SUPERVISOR_REPLACING && worker->serial != s->machine.next)
    return;
  worker->ready = TRUE;
  if (worker->first_segment_utc_us != 0)
    event.age_us =
        CLAMP (g_get_real_time () - worker->first_segment_utc_us, 0, now - worker->started);
  kr_supervised_send (s, &event);
}

/* --- verdicts -------------------------------------------------------------------------- */

static void
judge (KrSupervised *s, gint64 now)
{
  KrWorker *worker = kr_supervised_find_worker (s, s->machine.current);
  guint n = s->file->pipelines->len;
  g_autofree const char **names = g_new0 (const char *, n);
  KrWorkerSample sample = {
      .now_utc_us = g_get_real_time (),
      .in_grace = now < s->machine.grace_until,
      .heartbeat_age_us =
          worker != NULL && worker->heartbeat != 0 ? now - worker->heartbeat : -1,
      .hang_limit_us = s->machine.policy.hang_limit_us,
      .io_age_us = worker != NULL ? worker->io_age_us : -1,
      .brief = s->machine.brief,
      .storm = kr_supervisor_is_storm (&s->machine),
      .destination = s->destination,
  };

  if (worker != NULL) {
    sample.has_rss = worker->usage.known || worker->reported_rss > 0;
    sample.rss = worker->usage.known ? worker->usage.rss : worker->reported_rss;
  }
  for (guint i = 0; i < n; i++) {
    names[i] = pipeline_name (s, i);
    kr_health_judge (&s->file->health, s->file->pipelines->pdata[i],
                     worker != NULL ? kr_worker_find_report (worker, names[i]) : NULL, &sample,
                     &s->health[i]);
  }
  kr_health_sum_up (s->health, names, n, &s->verdict);
}

/* A verdict each IntervalSec, or when there is no need to wait. */
static void
send_verdict (KrSupervised *s, gint64 now)
{
  const KrWorker *worker = kr_supervised_find_worker (s, s->machine.current);
  KrSupervisorEvent event = {
      .type = KR_SUPERVISOR_EVENT_VERDICT,
      .bad = s->verdict.bad,
      .at_once = s->verdict.at_once,
      .harmful = s->verdict.harmful,
      .stuck = s->verdict.stuck,
      .age_us = (gint64)(s->verdict.fault_age_s * G_TIME_SPAN_SECOND),
      .reason = s->verdict.reason,
  };

  if (worker == NULL ||
      !kr_supervisor_wants_verdict (&s->machine, event.bad, event.at_once, now))
    return;
  event.writing = kr_worker_is_writing (worker, now);
  kr_supervised_send (s, &event);
  if (s->machine.state == KR_SUPERVISOR_UNHEALTHY &&
      s->machine.bad < s->machine.policy.threshold)
    kr_log (G_LOG_LEVEL_WARNING, kr_supervised_get_name (s), NULL,
            "unhealthy, %u of %u verdicts: %s; at %u the worker is replaced", s->machine.bad,
            s->machine.policy.threshold, s->verdict.reason, s->machine.policy.threshold);
}

/* --- what workers say ------------------------------------------------------------------ */

static void
on_report (KrWorker *worker, const KrWorkerMessage *message, gint64 now)
{
  KrSupervised *s = worker->owner;
  KrSupervisorEvent event = {.type = KR_SUPERVISOR_EVENT_HEARTBEAT, .serial = worker->serial};

  kr_worker_take_report (worker, message, now);
  kr_worker_process_get_usage (worker->process, &worker->usage);
  kr_supervised_measure_overlaps (s, now);
  kr_supervised_send (s, &event);
  check_ready (s, worker, now);
  kr_supervised_measure_gaps (s, kr_supervised_find_speaker (s, now));
  if (worker->serial == s->machine.current) {
    judge (s, now);
    send_verdict (s, now);
  }
  kr_supervised_step_handover (s);
}

static void
on_event (KrWorker *worker, const KrWorkerMessage *message)
{
  KrSupervised *s = worker->owner;
  const char *location = NULL;
  double seconds = -1;

  if (message->details != NULL) {
    if (g_variant_lookup (message->details, "location", "&s", &location) ||
        g_variant_lookup (message->details, "path", "&s", &location))
      kr_worker_note_open_file (worker, location);
    if (!g_variant_lookup (message->details, "seconds", "d", &seconds))
      seconds = -1;
  }
  kr_supervised_happened (s, KR_LAYER_PIPELINE, message->pipeline,
                          kr_worker_event_kind_name (message->kind), message->text, seconds,
                          message->details);
}

static void
on_message (KrWorkerProcess *process, const KrWorkerMessage *message, gpointer data)
{
  KrWorker *worker = data;
  KrSupervised *s = worker->owner;
  KrSupervisorEvent hello = {.type = KR_SUPERVISOR_EVENT_HELLO, .serial = worker->serial};

  switch (message->type) {
  case KR_WORKER_MESSAGE_HELLO:
    g_free (worker->version);
    worker->version = g_strdup (message->version);
    kr_supervised_send (s, &hello);
    break;
  case KR_WORKER_MESSAGE_REPORT:
    on_report (worker, message, g_get_monotonic_time ());
    break;
  case KR_WORKER_MESSAGE_EVENT:
    on_event (worker, message);
    break;
  case KR_WORKER_MESSAGE_BYE: /* its exit status says it again */
    break;
  case KR_WORKER_MESSAGE_CONFIG:
  case KR_WORKER_MESSAGE_STOP:
  case KR_N_WORKER_MESSAGES:
    kr_log (G_LOG_LEVEL_WARNING, kr_supervised_get_name (s), NULL,
            "worker %u sent a message that only a supervisor sends; ignored", worker->serial);
    break;
  }
}

static void
on_garbled (KrWorkerProcess *process, const GError *error, gpointer data)
{
  KrWorker *worker = data;

  worker->garbled++;
  kr_log (G_LOG_LEVEL_WARNING, kr_supervised_get_name (worker->owner), NULL,
          "worker %u sent a line that makes no sense (%s); it does not count as a sign of life",
          worker->serial, error->message);
}

/* Its counters go on in those of its successors. */
static void
keep_counters (KrSupervised *s, const KrWorker *worker)
{
  for (guint i = 0; i < s->before->len; i++) {
    g_autoptr (KrPipelineReport) before = s->before->pdata[i];
    const KrPipelineReport *report = kr_worker_find_report (worker, before->name);
    KrPipelineReport *sum = kr_pipeline_report_new (before->name);

    g_free (sum->camera);
    sum->camera = g_strdup (before->camera);
    if (report != NULL)
      kr_pipeline_report_carry_on (sum, report);
    kr_pipeline_report_carry_on (sum, before);
    s->before->pdata[i] = sum;
  }
}

/* --- actions --------------------------------------------------------------------------- */

static void
on_exited (KrWorkerProcess *process, int code, int signal, gpointer data)
{
  KrWorker *worker = data;
  KrSupervised *s = worker->owner;
  KrSupervisorEvent event = {.type = KR_SUPERVISOR_EVENT_EXITED,
                             .serial = worker->serial,
                             .code = code,
                             .signal = signal};

  if (worker->serial == s->machine.old && signal == 0)
    kr_log (G_LOG_LEVEL_MESSAGE, kr_supervised_get_name (s), NULL,
            "the old worker has finished its files and ended (status %d)", code);
  kr_supervised_note_end_of_old (s, worker);
  kr_supervised_send (s, &event);
  keep_counters (s, worker);
  g_ptr_array_remove_fast (s->workers, worker);
  kr_supervised_step_handover (s);
  s->callbacks->changed (s->data);
}

const KrWorkerProcessCallbacks kr_supervised_process_callbacks = {
    .message = on_message,
    .garbled = on_garbled,
    .exited = on_exited,
};

/* The one whose work @worker takes over. */
static const KrWorker *
predecessor (const KrSupervised *s, const KrWorker *worker)
{
  const KrWorker *best = NULL;

  for (guint i = 0; i < s->workers->len; i++) {
    const KrWorker *other = s->workers->pdata[i];

    if (other != worker && other->reports->len > 0 &&
        (best == NULL || other->serial > best->serial))
      best = other;
  }
  return best;
}

static void
act_spawn (KrSupervised *s, guint serial, gboolean overlap)
{
  KrLoadedFile *loaded = kr_supervised_loaded_for_next (s);
  KrWorker *worker = kr_worker_new (s, serial, loaded);
  g_autoptr (KrWorkerMessage) config = kr_worker_message_new_config (
      loaded->file->path, loaded->text, loaded->set, worker->instance);
  g_autoptr (GError) error = NULL;
  const KrWorker *before;

  g_ptr_array_add (s->workers, worker);
  before = predecessor (s, worker);
  if (before != NULL)
    worker->wanted = what_it_records (loaded->file, before);
  if (serial == s->machine.current)
    kr_supervised_adopt (s, loaded);
  worker->process =
      kr_worker_process_spawn (config, &kr_supervised_process_callbacks, worker, &error);
  if (worker->process == NULL) {
    KrSupervisorEvent event = {
        .type = KR_SUPERVISOR_EVENT_SPAWN_FAILED, .serial = serial, .reason = error->message};

    g_ptr_array_remove_fast (s->workers, worker);
    kr_supervised_send (s, &event);
    return;
  }
  kr_log (G_LOG_LEVEL_MESSAGE, kr_supervised_get_name (s), NULL,
          "worker %u started%s (process %" G_GINT64_FORMAT ")", serial,
          overlap ? " beside the old one" : "", kr_worker_process_get_pid (worker->process));
}

static void
act_alert (KrSupervised *s, const KrSupervisorAction *action)
{
  g_autofree char *text = kr_supervised_alert_text (s, action);

  kr_log (kr_supervised_alert_level (action->alert), kr_supervised_get_name (s), NULL, "%s",
          text);
  if (action->alert != KR_ALERT_REPLACED && action->alert != KR_ALERT_DONE &&
      action->alert != KR_ALERT_HANDOVER && action->alert != KR_ALERT_MONITOR_PAUSED)
    set_reason (s, action->reason);
  if (action->alert == KR_ALERT_KILLED && s->machine.state == KR_SUPERVISOR_STOPPING)
    s->had_to_kill = TRUE;
  if (action->alert == KR_ALERT_REPLACE_FAILED)
    kr_supervised_note_failed_handover (s, action->reason);
  /* Of a handover people hear once, when it is over. */
  if (s->handover.stage == KR_HANDOVER_NONE || action->alert == KR_ALERT_KILLED ||
      action->alert == KR_ALERT_MONITOR_PAUSED)
    kr_supervised_happened (s, KR_LAYER_WATCHDOG, "", kr_alert_name (action->alert), text, -1,
                            NULL);
}

static void
act_recovered (KrSupervised *s, const KrSupervisorAction *action)
{
  g_autofree char *text =
      action->overlap
          ? g_strdup_printf ("a sound worker records again after %.1f s (%s); nothing is "
                             "missing, since the old one recorded until then",
                             action->seconds, action->reason)
          : g_strdup_printf ("records again after %.1f s (%s)", action->seconds,
                             action->reason);

  s->last_recovery_s = action->seconds;
  kr_log (G_LOG_LEVEL_MESSAGE, kr_supervised_get_name (s), NULL, "%s", text);
  kr_supervised_happened (s, KR_LAYER_WATCHDOG, "", "recovered", text, action->seconds, NULL);
}

static void
carry_out (KrSupervised *s, const KrSupervisorAction *action)
{
  KrWorker *worker = kr_supervised_find_worker (s, action->serial);

  switch (action->type) {
  case KR_SUPERVISOR_ACTION_SPAWN:
    act_spawn (s, action->serial, action->overlap);
    break;
  case KR_SUPERVISOR_ACTION_STOP:
    if (worker != NULL)
      kr_worker_process_stop (worker->process);
    break;
  case KR_SUPERVISOR_ACTION_KILL:
    if (s->machine.state == KR_SUPERVISOR_STOPPING)
      s->had_to_kill = TRUE;
    if (worker != NULL)
      kr_worker_process_kill (worker->process);
    break;
  case KR_SUPERVISOR_ACTION_RECOVER:
    if (worker != NULL)
      kr_supervised_rescue_files (s, worker);
    break;
  case KR_SUPERVISOR_ACTION_PROMOTE:
    if (worker != NULL)
      kr_supervised_adopt (s, worker->loaded);
    break;
  case KR_SUPERVISOR_ACTION_ALERT:
    act_alert (s, action);
    break;
  case KR_SUPERVISOR_ACTION_RECOVERED:
    act_recovered (s, action);
    break;
  case KR_N_SUPERVISOR_ACTIONS:
    g_return_if_reached ();
  }
}

/* --- the machine ----------------------------------------------------------------------- */

static void
tick (KrSupervised *s, gint64 now)
{
  const KrWorker *worker = kr_supervised_find_worker (s, s->machine.current);
  KrSupervisorEvent event = {.type = KR_SUPERVISOR_EVENT_TICK};

  if (worker != NULL) {
    event.writing = kr_worker_is_writing (worker, now);
    if (kr_worker_is_silent (worker, now))
      event.starved_us = kr_worker_get_starved (worker);
  }
  event.next_waits = kr_supervised_next_waits (s);
  kr_supervised_send (s, &event);
  kr_supervised_step_handover (s);
}

static gboolean
on_deadline (gpointer data)
{
  KrSupervised *s = data;
  gint64 now = g_get_monotonic_time ();

  s->deadline_id = 0;
  tick (s, now);
  judge (s, now);
  send_verdict (s, now);
  return G_SOURCE_REMOVE;
}

/* The tick of each second is soon enough for most; a short back-off is not to wait for it. */
static void
arm_deadline (KrSupervised *s)
{
  gint64 now = g_get_monotonic_time ();
  gint64 left = kr_supervisor_next_look (&s->machine, now) - now;

  g_clear_handle_id (&s->deadline_id, g_source_remove);
  if (left < G_TIME_SPAN_SECOND)
    s->deadline_id = g_timeout_add ((guint)(MAX (left, 0) / 1000 + 1), on_deadline, s);
}

/* Feeds the machine and carries out what it decides. Actions can lead to further events. */
void
kr_supervised_send (KrSupervised *s, const KrSupervisorEvent *event)
{
  KrSupervisorState before = s->machine.state;
  KrSupervisorActions actions;

  if (!kr_supervisor_handle (&s->machine, event, g_get_monotonic_time (), &actions)) {
    kr_log (G_LOG_LEVEL_DEBUG, kr_supervised_get_name (s), NULL,
            "event %s of worker %u has no place in state %s",
            kr_supervisor_event_name (event->type), event->serial,
            kr_supervisor_state_name (before));
    return;
  }
  for (guint i = 0; i < actions.n; i++)
    carry_out (s, &actions.items[i]);
  arm_deadline (s);
  if (s->machine.state != before)
    s->callbacks->changed (s->data);
}

/* --- looking ---------------------------------------------------------------------------- */

static void
look (KrSupervised *s, gint64 now)
{
  KrWorker *worker = kr_supervised_find_worker (s, s->machine.current);

  if (worker != NULL)
    kr_supervised_measure_silent_worker (s, worker, now);
  tick (s, now);
  judge (s, now);
  send_verdict (s, now);
}

static gboolean
on_look (gpointer data)
{
  look (data, g_get_monotonic_time ());
  return G_SOURCE_CONTINUE;
}

/* A short IntervalSec cannot wait for the tick of each second. Another file may have been
 * handed over to since it was asked last. */
static void
arm_look (KrSupervised *s)
{
  guint wanted = (guint)(s->machine.policy.look_us / 1000);

  if (wanted == s->look_ms)
    return;
  g_clear_handle_id (&s->look_id, g_source_remove);
  s->look_ms = wanted;
  if (wanted < 1000)
    s->look_id = g_timeout_add (wanted, on_look, s);
}

/* --- the file -------------------------------------------------------------------------- */

static gint
find_pipeline (const GPtrArray *before, const char *name)
{
  for (guint i = 0; before != NULL && i < before->len; i++) {
    const KrPipelineReport *report = before->pdata[i];

    if (g_strcmp0 (report->name, name) == 0)
      return (gint)i;
  }
  return -1;
}

static KrPipelineReport *
new_counters (const KrPipelineSpec *spec)
{
  KrPipelineReport *report = kr_pipeline_report_new (spec->name);

  g_free (report->camera);
  report->camera = g_strdup (spec->camera);
  return report;
}

void
kr_supervised_adopt (KrSupervised *s, KrLoadedFile *loaded)
{
  g_autoptr (GPtrArray) before = g_steal_pointer (&s->before);
  g_autoptr (GPtrArray) gaps = g_steal_pointer (&s->gaps);

  if (loaded == s->loaded) {
    s->before = g_steal_pointer (&before);
    s->gaps = g_steal_pointer (&gaps);
    return;
  }
  kr_loaded_file_ref (loaded);
  kr_loaded_file_unref (s->loaded);
  s->loaded = loaded;
  s->file = loaded->file;
  g_free (s->health);
  s->health = g_new0 (KrHealthReport, s->file->pipelines->len);
  s->before = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_report_free);
  s->gaps = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_gap_meter_free);
  s->utc_offset = g_get_real_time () - g_get_monotonic_time ();
  for (guint i = 0; i < s->file->pipelines->len; i++) {
    gint at = find_pipeline (before, pipeline_name (s, i));
    KrPipelineReport *counters = new_counters (s->file->pipelines->pdata[i]);

    if (at >= 0)
      kr_pipeline_report_carry_on (counters, before->pdata[at]);
    g_ptr_array_add (s->before, counters);
    g_ptr_array_add (s->gaps,
                     at >= 0 ? g_steal_pointer (&gaps->pdata[at]) : kr_gap_meter_new ());
  }
}

/* --- public ---------------------------------------------------------------------------- */

KrSupervised *
kr_supervised_new (KrLoadedFile *loaded, const KrSupervisedCallbacks *callbacks, gpointer data)
{
  KrSupervised *s = g_new0 (KrSupervised, 1);
  KrSupervisorPolicy policy;

  s->callbacks = callbacks;
  s->data = data;
  s->workers = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_worker_free);
  s->cancellable = g_cancellable_new ();
  s->last_reason = g_strdup ("");
  s->last_recovery_s = -1;
  s->handovers.last_overlap_s = -1;
  s->predecessors = g_array_new (FALSE, TRUE, sizeof (KrPredecessor));
  g_array_set_clear_func (s->predecessors, kr_predecessor_clear);
  kr_supervised_adopt (s, loaded);
  kr_supervisor_policy_from_file (&policy, s->file);
  kr_supervisor_init (&s->machine, &policy, g_get_monotonic_time ());
  judge (s, g_get_monotonic_time ());
  return s;
}

void
kr_supervised_free (KrSupervised *supervised)
{
  if (supervised == NULL)
    return;
  g_cancellable_cancel (supervised->cancellable);
  g_object_unref (supervised->cancellable);
  g_clear_handle_id (&supervised->deadline_id, g_source_remove);
  g_clear_handle_id (&supervised->look_id, g_source_remove);
  g_ptr_array_unref (supervised->workers);
  g_ptr_array_unref (supervised->before);
  g_ptr_array_unref (supervised->gaps);
  g_clear_handle_id (&supervised->handover_id, g_source_remove);
  kr_supervised_clear_handover (supervised);
  g_array_unref (supervised->predecessors);
  kr_loaded_file_unref (supervised->loaded);
  g_free (supervised->health);
  g_free (supervised->handovers.last_text);
  g_free (supervised->last_reason);
  g_free (supervised);
}

const char *
kr_supervised_get_name (const KrSupervised *supervised)
{
  return supervised->file->name;
}

void
kr_supervised_start (KrSupervised *supervised)
{
  KrSupervisorEvent event = {.type = KR_SUPERVISOR_EVENT_START};

  supervised->had_to_kill = FALSE;
  arm_look (supervised);
  kr_supervised_send (supervised, &event);
}

void
kr_supervised_stop (KrSupervised *supervised, gboolean force)
{
  KrSupervisorEvent event = {.type =
                                 force ? KR_SUPERVISOR_EVENT_FORCE : KR_SUPERVISOR_EVENT_STOP};

  kr_supervised_give_up_handover (supervised);
  kr_supervised_send (supervised, &event);
  kr_supervised_step_handover (supervised);
}

void
kr_supervised_tick (KrSupervised *supervised)
{
  gint64 now = g_get_monotonic_time ();
  KrWorker *worker = kr_supervised_find_worker (supervised, supervised->machine.current);

  arm_look (supervised);
  if (worker != NULL &&
      supervised->machine.last_serial % 8 == (guint)(now / G_TIME_SPAN_SECOND % 8))
    worker->fds = kr_worker_process_count_fds (worker->process);
  look (supervised, now);
  kr_supervised_measure_silence (supervised, now);
  kr_supervised_measure_overlaps (supervised, now);
  kr_supervised_look_for_leftovers (supervised, now);
}

gboolean
kr_supervised_is_final (const KrSupervised *supervised)
{
  if (!kr_supervisor_state_is_final (supervised->machine.state) ||
      kr_supervisor_n_workers (&supervised->machine) > 0)
    return FALSE;
  return supervised->rescues == 0 ||
         g_get_monotonic_time () - supervised->machine.since > RESCUE_PATIENCE_US;
}

int
kr_supervised_get_exit_code (const KrSupervised *supervised)
{
  if (supervised->machine.exit_code != 0)
    return supervised->machine.exit_code;
  return supervised->had_to_kill ? KR_EXIT_TEMP_FAIL : KR_EXIT_OK;
}

void
kr_supervised_set_destination (KrSupervised *supervised, const KrDestinationProbe *probe)
{
  supervised->destination = *probe;
}
