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
/* Between two looks for files that nobody finishes. */
/* A clock that is slewed gets there in small steps. */
#define CLOCK_STEP_US      (G_TIME_SPAN_SECOND / 2)
#define LEFTOVERS_EVERY_US G_TIME_SPAN_MINUTE

static const char *
name_of (const KrSupervised *s)
{
  return s->file->name;
}

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

  for (guint i = 0; i < s->file->pipelines->len; i++) {
    gboolean records = kr_worker_records_well (worker, pipeline_name (s, i));

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
    kr_log (G_LOG_LEVEL_WARNING, name_of (s), NULL,
            "unhealthy, %u of %u verdicts: %s; at %u the worker is replaced", s->machine.bad,
            s->machine.policy.threshold, s->verdict.reason, s->machine.policy.threshold);
}

static KrPipelineReport *
merge_reports (const KrSupervised *s, const KrWorker *current, const KrPipelineReport *before)
{
  const KrPipelineReport *report =
      current != NULL ? kr_worker_find_report (current, before->name) : NULL;
  KrPipelineReport *merged;

  if (report != NULL) {
    merged = kr_pipeline_report_copy (report);
  } else {
    merged = kr_pipeline_report_new (before->name);
    g_free (merged->camera);
    merged->camera = g_strdup (before->camera);
  }
  kr_pipeline_report_carry_on (merged, before);
  for (guint i = 0; i < s->workers->len; i++) {
    const KrWorker *other = s->workers->pdata[i];
    const KrPipelineReport *beside =
        other != current ? kr_worker_find_report (other, before->name) : NULL;

    if (beside != NULL)
      kr_pipeline_report_carry_on (merged, beside);
  }
  return merged;
}

/* --- gaps ------------------------------------------------------------------------------ */

static gboolean
is_heard (const KrWorker *worker, gint64 now)
{
  return worker->reports->len > 0 && now - worker->heartbeat < KR_HEARTBEAT_WARN_US;
}

/* What is recorded by any of the workers counts. The current one speaks for all, unless it has
 * fallen silent. */
static const KrWorker *
find_speaker (const KrSupervised *s, gint64 now)
{
  const KrWorker *speaker = kr_supervised_find_worker (s, s->machine.current);

  for (guint i = 0; i < s->workers->len && (speaker == NULL || !is_heard (speaker, now)); i++)
    speaker = s->workers->pdata[i];
  return speaker != NULL && is_heard (speaker, now) ? speaker : NULL;
}

/* An hour by which the clock was set is not an hour without data. */
static void
follow_clock (KrSupervised *s)
{
  gint64 offset = g_get_real_time () - g_get_monotonic_time ();
  gint64 step = offset - s->utc_offset;

  if (ABS (step) < CLOCK_STEP_US)
    return;
  s->utc_offset = offset;
  for (guint i = 0; i < s->gaps->len; i++)
    kr_gap_meter_shift (s->gaps->pdata[i], step);
}

/* A file that was told to stop has no gaps. */
static void
measure_gaps (KrSupervised *s, const KrWorker *speaker)
{
  guint serial = speaker != NULL ? speaker->serial : s->machine.current;

  follow_clock (s);
  if (s->machine.state == KR_SUPERVISOR_STOPPING || s->machine.state == KR_SUPERVISOR_STOPPED)
    return;
  for (guint i = 0; i < s->gaps->len; i++) {
    g_autoptr (KrPipelineReport) report = NULL;

    if (speaker != NULL)
      report = merge_reports (s, speaker, s->before->pdata[i]);
    kr_gap_meter_sample (s->gaps->pdata[i], report, serial, g_get_real_time (), NULL);
  }
}

static guint
count_recorders (const KrSupervised *s, const char *pipeline, gint64 now, gint64 *ret_since)
{
  guint n = 0;

  *ret_since = 0;
  for (guint i = 0; i < s->workers->len; i++) {
    const KrWorker *worker = s->workers->pdata[i];

    if (!kr_worker_records (worker, pipeline) || !is_heard (worker, now))
      continue;
    n++;
    *ret_since = MAX (*ret_since, worker->first_segment_utc_us);
  }
  return n;
}

static void
measure_overlaps (KrSupervised *s, gint64 now)
{
  gint64 utc = g_get_real_time ();

  for (guint i = 0; i < s->gaps->len; i++) {
    const KrPipelineReport *before = s->before->pdata[i];
    gint64 since;
    guint n = count_recorders (s, before->name, now, &since);

    kr_gap_meter_note_recorders (s->gaps->pdata[i], n, since, utc);
  }
}

/* Each report is measured when it comes: to look at the last one again a second later would
 * take the next, if it is a little late, for a gap. */
static void
measure_silence (KrSupervised *s, gint64 now)
{
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);

  if (find_speaker (s, now) == NULL &&
      (current == NULL || !kr_worker_is_writing (current, now)))
    measure_gaps (s, NULL);
}

/* --- what workers say ------------------------------------------------------------------ */

static void
on_report (KrWorker *worker, const KrWorkerMessage *message, gint64 now)
{
  KrSupervised *s = worker->owner;
  KrSupervisorEvent event = {.type = KR_SUPERVISOR_EVENT_HEARTBEAT, .serial = worker->serial};

  kr_worker_take_report (worker, message, now);
  kr_worker_process_get_usage (worker->process, &worker->usage);
  measure_overlaps (s, now);
  kr_supervised_send (s, &event);
  check_ready (s, worker, now);
  measure_gaps (s, find_speaker (s, now));
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
    kr_log (G_LOG_LEVEL_WARNING, name_of (s), NULL,
            "worker %u sent a message that only a supervisor sends; ignored", worker->serial);
    break;
  }
}

static void
on_garbled (KrWorkerProcess *process, const GError *error, gpointer data)
{
  KrWorker *worker = data;

  worker->garbled++;
  kr_log (G_LOG_LEVEL_WARNING, name_of (worker->owner), NULL,
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

/* --- rescue ---------------------------------------------------------------------------- */

static void
on_rescued (GPtrArray *rescued, gpointer data)
{
  KrSupervised *s = data;

  s->rescues--;
  for (guint i = 0; i < rescued->len; i++) {
    const KrRescued *one = rescued->pdata[i];
    g_autofree char *text = NULL;

    if (g_strcmp0 (one->action, "failed") == 0)
      text = g_strdup_printf ("the unfinished file %s could not be recovered: %s; keeprolling "
                              "recover can try again",
                              one->temp_path, one->detail);
    else
      text = g_strdup_printf ("unfinished file %s %s%s%s", one->temp_path, one->action,
                              one->path != NULL ? ": now " : "",
                              one->path != NULL ? one->path : "");
    kr_log (G_LOG_LEVEL_MESSAGE, name_of (s), NULL, "%s", text);
    kr_supervised_happened (s, KR_LAYER_WATCHDOG, "", "file-recovered", text, -1, NULL);
  }
  s->callbacks->changed (s->data);
}

static void
rescue_files (KrSupervised *s, const KrWorker *worker)
{
  g_autoptr (GPtrArray) paths = kr_worker_temp_paths (worker);

  if (paths->len == 0)
    return;
  s->rescues++;
  kr_disk_job_rescue (paths, s->cancellable, on_rescued, s);
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
    kr_log (G_LOG_LEVEL_MESSAGE, name_of (s), NULL,
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
  kr_log (G_LOG_LEVEL_MESSAGE, name_of (s), NULL,
          "worker %u started%s (process %" G_GINT64_FORMAT ")", serial,
          overlap ? " beside the old one" : "", kr_worker_process_get_pid (worker->process));
}

static char *
crash_text (const KrSupervised *s, const KrSupervisorAction *action)
{
  const char *why = action->reason;
  guint failures = s->machine.failures;

  if (action->seconds <= 0)
    return g_strdup_printf ("the worker is gone (%s); the next one starts now", why);
  if (failures < 2)
    return g_strdup_printf ("the worker is gone (%s), soon after the one before it; the next "
                            "one starts in %.1f s",
                            why, action->seconds);
  return g_strdup_printf ("the worker is gone (%s); it recorded nothing, the %u. in a row; the "
                          "next one starts in %.1f s, and waits twice as long each time, 5 min "
                          "at most",
                          why, failures, action->seconds);
}

static char *
hang_text (const KrSupervisorAction *action)
{
  const char *why = action->reason;

  if (action->overlap)
    return g_strdup_printf ("the worker hangs (%s), but its files grow: another is started "
                            "beside it, and it is killed once that one records",
                            why);
  if (action->seconds > 0)
    return g_strdup_printf ("the worker hangs (%s) and writes nothing: it is being killed, and "
                            "the next one starts %.0f s later",
                            why, action->seconds);
  return g_strdup_printf ("the worker hangs (%s) and writes nothing: it is being killed, and "
                          "the next one starts at once",
                          why);
}

static char *
replacement_text (const KrSupervisorAction *action)
{
  if (action->overlap)
    return g_strdup_printf ("the worker is being replaced: %s; it records on until the new one "
                            "does, which starts now beside it",
                            action->reason);
  return g_strdup_printf (
      "the worker is being replaced: %s; it records nothing any more, so it "
      "goes first and the new one starts then",
      action->reason);
}

/* What people read about an alert: what happened, why, what happens next. */
static char *
alert_text (const KrSupervised *s, const KrSupervisorAction *action)
{
  const char *why = action->reason;

  switch (action->alert) {
  case KR_ALERT_CRASH:
    return crash_text (s, action);
  case KR_ALERT_HANG:
    return hang_text (action);
  case KR_ALERT_REPLACEMENT:
    return replacement_text (action);
  case KR_ALERT_REPLACED:
    if (why[0] != '\0')
      return g_strdup_printf ("the new worker records; the old one is being killed, since %s, "
                              "and its files will be recovered",
                              why);
    return g_strdup ("the new worker records; the old one finishes its files and ends");
  case KR_ALERT_REPLACE_FAILED:
    return g_strdup_printf ("the new worker did not take over (%s); the old one goes on", why);
  case KR_ALERT_GAVE_UP:
    return g_strdup_printf ("the worker %s: starting it again cannot help, so nothing records "
                            "this file until somebody looks at it",
                            why);
  case KR_ALERT_DONE:
    return g_strdup_printf ("the worker has ended by itself (%s), as its pipelines wanted",
                            why);
  case KR_ALERT_KILLED:
    return g_strdup_printf ("a worker is being killed: %s; its files will be recovered", why);
  case KR_ALERT_HANDOVER:
    return g_strdup_printf ("handover begins: %s", why);
  case KR_ALERT_MONITOR_PAUSED:
    return g_strdup_printf (
        "the supervisor itself stood still for %.1f s; what it did not hear "
        "meanwhile is held against nobody",
        action->seconds);
  case KR_N_ALERTS:
    break;
  }
  g_return_val_if_reached (NULL);
}

static GLogLevelFlags
alert_level (KrAlert alert)
{
  if (alert == KR_ALERT_GAVE_UP)
    return G_LOG_LEVEL_CRITICAL;
  if (alert == KR_ALERT_REPLACED || alert == KR_ALERT_DONE || alert == KR_ALERT_HANDOVER)
    return G_LOG_LEVEL_MESSAGE;
  return G_LOG_LEVEL_WARNING;
}

static void
act_alert (KrSupervised *s, const KrSupervisorAction *action)
{
  g_autofree char *text = alert_text (s, action);

  kr_log (alert_level (action->alert), name_of (s), NULL, "%s", text);
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
  kr_log (G_LOG_LEVEL_MESSAGE, name_of (s), NULL, "%s", text);
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
      rescue_files (s, worker);
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
    kr_log (G_LOG_LEVEL_DEBUG, name_of (s), NULL,
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

/* --- a silent worker's files ------------------------------------------------------------- */

static void
on_measured (guint64 bytes, gpointer data)
{
  KrSupervised *s = data;
  KrWorker *worker = kr_supervised_find_worker (s, s->measuring);

  s->measuring = 0;
  if (worker == NULL)
    return;
  if (worker->measured != 0 && bytes > worker->measured)
    worker->wrote_at = g_get_monotonic_time ();
  worker->measured = bytes;
}

/* A worker that has fallen silent may write on all the same: only its files can tell. */
static void
measure_silent_worker (KrSupervised *s, const KrWorker *worker, gint64 now)
{
  g_autoptr (GPtrArray) paths = NULL;

  if (s->measuring != 0 || !kr_worker_is_silent (worker, now))
    return;
  paths = kr_worker_temp_paths (worker);
  if (paths->len == 0)
    return;
  s->measuring = worker->serial;
  kr_disk_job_measure (paths, s->cancellable, on_measured, s);
}

static void
look (KrSupervised *s, gint64 now)
{
  KrWorker *worker = kr_supervised_find_worker (s, s->machine.current);

  if (worker != NULL)
    measure_silent_worker (s, worker, now);
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

static void
on_leftovers (guint count, gint64 oldest_utc_us, gpointer data)
{
  KrSupervised *s = data;

  s->leftovers = count;
  s->leftover_oldest_utc_us = oldest_utc_us;
  s->next_leftovers = g_get_monotonic_time () + LEFTOVERS_EVERY_US;
}

static void
look_for_leftovers (KrSupervised *s, gint64 now)
{
  g_autoptr (GPtrArray) folders = NULL;
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);

  if (now < s->next_leftovers || current == NULL)
    return;
  folders = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < s->before->len; i++) {
    const KrPipelineReport *before = s->before->pdata[i];
    const KrPipelineReport *report = kr_worker_find_report (current, before->name);

    if (report != NULL && report->segment_path != NULL)
      g_ptr_array_add (folders, g_path_get_dirname (report->segment_path));
  }
  if (folders->len == 0)
    return;
  s->next_leftovers = G_MAXINT64;
  kr_disk_job_leftovers (folders, s->cancellable, on_leftovers, s);
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
  return name_of (supervised);
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
  measure_silence (supervised, now);
  measure_overlaps (supervised, now);
  look_for_leftovers (supervised, now);
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

/* --- snapshot -------------------------------------------------------------------------- */

static void
snapshot_workers (const KrSupervised *s, KrFileSnapshot *snapshot, gint64 now)
{
  for (guint role = 0; role < KR_N_WORKER_ROLES; role++) {
    for (guint i = 0; i < s->workers->len; i++) {
      KrWorkerRole its_role;
      const KrWorker *worker = s->workers->pdata[i];

      if (kr_supervisor_role (&s->machine, worker->serial, &its_role) && its_role == role)
        g_ptr_array_add (snapshot->workers, kr_worker_take_snapshot (worker, role, now));
    }
  }
}

static void
fill_in_gaps (KrPipelineSnapshot *pipeline, const KrGapMeter *meter, gint64 now_utc_us)
{
  for (guint i = 0; i < KR_N_GAP_CAUSES; i++)
    pipeline->gaps[i] = kr_gap_meter_total (meter, i);
  pipeline->overlap_s = kr_gap_meter_overlap (meter);
  pipeline->gaps_24h = kr_gap_meter_recent (meter, now_utc_us);
  pipeline->gap_since_utc_us = kr_gap_meter_open_since (meter);
}

KrFileSnapshot *
kr_supervised_take_snapshot (const KrSupervised *s)
{
  KrFileSnapshot *snapshot = kr_file_snapshot_new (s->file->path, name_of (s));
  gint64 now = g_get_monotonic_time ();
  gint64 to_utc = g_get_real_time () - now;
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);

  snapshot->state = s->machine.state;
  snapshot->since_utc_us = s->machine.since + to_utc;
  if (s->machine.state == KR_SUPERVISOR_BACKOFF)
    snapshot->next_start_utc_us = s->machine.deadline + to_utc;
  snapshot->exit_code = s->machine.exit_code;
  snapshot->is_final = kr_supervised_is_final (s);
  snapshot->killed = s->had_to_kill;
  snapshot->consecutive_bad = s->machine.bad;
  snapshot->threshold = s->machine.policy.threshold;
  snapshot->verdict = s->verdict;
  snapshot->crashes = s->machine.crashes + s->machine.hangs;
  snapshot->replacements = s->machine.replacements;
  g_free (snapshot->last_reason);
  snapshot->last_reason = g_strdup (s->last_reason);
  snapshot->last_recovery_s = s->last_recovery_s;
  snapshot->leftovers = s->leftovers;
  snapshot->leftover_oldest_utc_us = s->leftover_oldest_utc_us;
  snapshot->handovers = s->handovers;
  snapshot->handovers.stage = s->handover.stage;
  snapshot->handovers.last_text = g_strdup (s->handovers.last_text);
  snapshot_workers (s, snapshot, now);
  for (guint i = 0; i < s->before->len; i++) {
    KrPipelineSnapshot *pipeline =
        kr_pipeline_snapshot_new (merge_reports (s, current, s->before->pdata[i]));

    pipeline->health = s->health[i];
    fill_in_gaps (pipeline, s->gaps->pdata[i], g_get_real_time ());
    g_ptr_array_add (snapshot->pipelines, pipeline);
  }
  return snapshot;
}
