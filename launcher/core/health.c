/* keeprolling - whether a recording is healthy, judged from what is known
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/health.h"

#include <string.h>

#include "plugins/common/messages.h"

static const char *const health_names[] = {
    [KR_HEALTH_PASS] = "pass",
    [KR_HEALTH_WARN] = "warn",
    [KR_HEALTH_FAIL] = "fail",
};
G_STATIC_ASSERT (G_N_ELEMENTS (health_names) == KR_N_HEALTH);

static const char *const check_names[] = {
    [KR_CHECK_STATE] = "state",
    [KR_CHECK_GROWTH] = "growth",
    [KR_CHECK_KEYFRAME] = "keyframe",
    [KR_CHECK_SYNC] = "sync",
    [KR_CHECK_DISK] = "disk",
    [KR_CHECK_MEMORY] = "memory",
    [KR_CHECK_DESTINATION] = "destination",
    [KR_CHECK_HEARTBEAT] = "heartbeat",
};
G_STATIC_ASSERT (G_N_ELEMENTS (check_names) == KR_N_CHECKS);

const char *
kr_health_name (KrHealth health)
{
  g_return_val_if_fail ((guint)health < KR_N_HEALTH, NULL);
  return health_names[health];
}

const char *
kr_check_name (KrCheckKind kind)
{
  g_return_val_if_fail ((guint)kind < KR_N_CHECKS, NULL);
  return check_names[kind];
}

/* --- one check ------------------------------------------------------------------------- */

static const KrCheck passed = {
    .status = KR_HEALTH_PASS, .age_s = -1, .limit_s = -1, .runway_s = -1};

/* A text cut in the middle of a letter is no text. */
static void
cut_to_utf8 (char *text)
{
  const char *end;

  if (!g_utf8_validate (text, -1, &end))
    text[end - text] = '\0';
}

static void say (KrCheck *check, KrHealth status, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
say (KrCheck *check, KrHealth status, const char *format, ...)
{
  va_list args;

  check->status = status;
  va_start (args, format);
  g_vsnprintf (check->reason, sizeof check->reason, format, args);
  va_end (args);
  cut_to_utf8 (check->reason);
}

static void
count (KrCheck *check)
{
  check->counts = TRUE;
}

static double
seconds (gint64 us)
{
  return (double)us / G_TIME_SPAN_SECOND;
}

/* Age of a moment; < 0 = never. A clock that was set back makes nothing younger than new. */
static gint64
age_us (gint64 moment_utc_us, const KrWorkerSample *sample)
{
  if (moment_utc_us == 0)
    return -1;
  return MAX (0, sample->now_utc_us - moment_utc_us);
}

static void
set_age (KrCheck *check, gint64 age, gint64 limit)
{
  check->age_s = age < 0 ? -1 : seconds (age);
  check->limit_s = limit < 0 ? -1 : seconds (limit);
}

/* --- the checks ------------------------------------------------------------------------ */

static gboolean
source_is_absent (const KrPipelineReport *report)
{
  return report->state == KR_PIPELINE_RECONNECTING ||
         (report->sources > 0 && report->sources_silent > 0);
}

/* Layer 1 has the pipeline in hand: the recording stands still, but somebody is at it. */
static gboolean
layer_1_is_at_work (const KrPipelineReport *report)
{
  return report->state == KR_PIPELINE_IDLE || report->state == KR_PIPELINE_STARTING ||
         report->state == KR_PIPELINE_STOPPING || report->state == KR_PIPELINE_BACKOFF;
}

/* A state that should have ended by itself long ago. */
static void
judge_duration (KrCheck *check, const KrPipelineReport *report, gint64 age, gint64 limit)
{
  const char *state = kr_pipeline_state_name (report->state);

  set_age (check, age, limit);
  if (age > limit) {
    say (check, KR_HEALTH_FAIL, "stuck in state %s for %.0f s", state, seconds (age));
    count (check);
  } else {
    say (check, KR_HEALTH_WARN, "%s", state);
  }
}

/* How long a recording has stood still. Computed from the wall clock, which may have been set:
 * not longer than anybody would leave it. */
static double
stall_age_s (gint64 last_growth_utc_us, const KrWorkerSample *sample)
{
  return CLAMP (seconds (age_us (last_growth_utc_us, sample)), 0, 3600);
}

static void
hangs (KrCheck *check, const KrPipelineReport *report, const KrWorkerSample *sample)
{
  count (check);
  check->fault_age_s = seconds (MAX (report->blocked_us, report->teardown_us));
  if (report->stalled)
    check->fault_age_s =
        MAX (check->fault_age_s, stall_age_s (report->last_growth_utc_us, sample));
  check->at_once = TRUE;
  check->stuck = TRUE;
}

/* A thread that does not come back, or a pipeline that cannot be taken down: facts, which no
 * second look makes truer. The worker tells them only where neither the source nor the disk nor
 * whatever is behind a sink can be meant. */
static void
judge_hang (KrCheck *check, const KrPipelineReport *report, const KrWorkerSample *sample)
{
  const char *who = report->blocked_by != NULL ? report->blocked_by : "an element";
  gint64 limit = sample->hang_limit_us;
  gint64 to_close = CLAMP (limit / 4, KR_TEARDOWN_MIN_US, KR_TEARDOWN_MAX_US);

  if (report->teardown_us >= to_close) {
    say (check, KR_HEALTH_FAIL, "%s hangs: the pipeline cannot be taken down (%.1f s now)", who,
         seconds (report->teardown_us));
    hangs (check, report, sample);
  } else if (report->blocked_us >= limit) {
    say (check, KR_HEALTH_FAIL, "%s hangs: no data has come through it for %.1f s", who,
         seconds (report->blocked_us));
    hangs (check, report, sample);
  } else if (report->blocked_us >= limit / 2 && check->status == KR_HEALTH_PASS) {
    say (check, KR_HEALTH_WARN, "no data has come through %s for %.1f s", who,
         seconds (report->blocked_us));
  }
}

static void
judge_state (KrCheck *check, const KrPipelineSpec *spec, const KrPipelineReport *report,
             const KrWorkerSample *sample)
{
  gint64 age = age_us (report->since_utc_us, sample);
  gint64 start = spec != NULL ? spec->timeout_start_us : 20 * G_TIME_SPAN_SECOND;
  gint64 stop = spec != NULL ? spec->timeout_stop_us : 15 * G_TIME_SPAN_SECOND;

  switch (report->state) {
  case KR_PIPELINE_PLAYING:
  case KR_PIPELINE_STOPPED:
    set_age (check, age, -1);
    break;
  case KR_PIPELINE_IDLE:
  case KR_PIPELINE_STARTING:
    judge_duration (check, report, age, start + KR_STATE_MARGIN_US);
    break;
  case KR_PIPELINE_STOPPING:
    judge_duration (check, report, age, stop + KR_STATE_MARGIN_US);
    break;
  case KR_PIPELINE_RECONNECTING:
    set_age (check, age, -1);
    say (check, KR_HEALTH_WARN, "the source is absent");
    break;
  case KR_PIPELINE_BACKOFF:
    judge_duration (check, report, age_us (report->next_start_utc_us, sample),
                    KR_STATE_MARGIN_US);
    break;
  case KR_PIPELINE_FAILED:
    set_age (check, age, -1);
    say (check, KR_HEALTH_FAIL, "the pipeline has failed: %s", report->last_reason);
    count (check);
    check->at_once = TRUE;
    break;
  case KR_N_PIPELINE_STATES:
    g_return_if_reached ();
  }
  if (check->status != KR_HEALTH_FAIL && report->abandoned > 0) {
    say (check, KR_HEALTH_FAIL, "%" G_GUINT64_FORMAT " pipelines hang and were left behind",
         report->abandoned);
    count (check);
    /* They may hold what the present one waits for, such as a port. With nothing recorded there
     * is nothing to lose. */
    check->at_once = report->stalled || source_is_absent (report);
  }
  if (check->status != KR_HEALTH_FAIL)
    judge_hang (check, report, sample);
}

static gboolean
is_alien_stall (const KrPipelineReport *report)
{
  return g_strcmp0 (report->stall_reason, KR_STALL_NOT_TS) == 0;
}

/* A stall, told by the growth monitor or, of the wrong kind of stream, by mpegtsregen. */
static void
judge_stall (KrCheck *check, const KrPipelineReport *report, const KrWorkerSample *sample)
{
  const char *reason = report->stall_reason != NULL ? report->stall_reason : "stalled";

  if (source_is_absent (report)) {
    say (check, KR_HEALTH_WARN, "not growing (%s): the source is absent", reason);
  } else if (is_alien_stall (report)) {
    /* As absent as if it sent nothing: neither a rebuild nor another worker cures it. */
    say (check, KR_HEALTH_WARN, "not growing: %s",
         report->last_reason != NULL && *report->last_reason != '\0'
             ? report->last_reason
             : "the source delivers no transport stream");
  } else if (report->disk_full) {
    say (check, KR_HEALTH_WARN, "not growing (%s): the disk is full", reason);
  } else if (layer_1_is_at_work (report)) {
    say (check, KR_HEALTH_WARN, "not growing (%s): the pipeline is being restarted", reason);
  } else if (sample->in_grace) {
    say (check, KR_HEALTH_WARN, "not growing yet (%s)", reason);
  } else {
    say (check, KR_HEALTH_FAIL, "not growing (%s)", reason);
    count (check);
    check->fault_age_s = stall_age_s (report->last_growth_utc_us, sample);
  }
}

static gboolean
is_keyframe_stall (const KrPipelineReport *report)
{
  return report->stalled && g_strcmp0 (report->stall_reason, KR_STALL_NO_KEYFRAME) == 0;
}

static void
judge_growth (KrCheck *check, const KrPipelineReport *report, const KrWorkerSample *sample)
{
  gint64 age = age_us (report->last_growth_utc_us, sample);

  if (report->state == KR_PIPELINE_STOPPED)
    return;
  if (!report->has_growth && !(report->stalled && is_alien_stall (report))) {
    say (check, KR_HEALTH_PASS, "not watched: no growthmonitorsink reports");
    return;
  }
  set_age (check, age, KR_GROWTH_LIMIT_US);
  if (report->stalled && !is_keyframe_stall (report))
    judge_stall (check, report, sample);
  else if (age > KR_GROWTH_LIMIT_US)
    say (check, KR_HEALTH_WARN, "has not grown for %.1f s", seconds (age));
}

static void
judge_keyframe (KrCheck *check, const KrPipelineReport *report, const KrWorkerSample *sample)
{
  gint64 age = age_us (report->last_keyframe_utc_us, sample);

  if (report->state == KR_PIPELINE_STOPPED)
    return;
  if (age >= 0)
    set_age (check, age, KR_KEYFRAME_LIMIT_US);
  if (is_keyframe_stall (report))
    judge_stall (check, report, sample);
  else if (age > KR_KEYFRAME_LIMIT_US)
    say (check, KR_HEALTH_WARN, "no keyframe for %.1f s", seconds (age));
}

/* A disk that does not answer is no better for a new worker: it does not count. If the worker
 * itself is at fault, its growth monitor says so. */
static void
judge_sync (KrCheck *check, const KrPipelineReport *report, const KrWorkerSample *sample)
{
  set_age (check, age_us (report->last_sync_utc_us, sample), -1);
  if (sample->io_age_us > KR_IO_FAIL_US)
    say (check, KR_HEALTH_FAIL, "the disk has not answered for %.0f s",
         seconds (sample->io_age_us));
  else if (sample->io_age_us > KR_IO_WARN_US)
    say (check, KR_HEALTH_WARN, "the disk has not answered for %.0f s",
         seconds (sample->io_age_us));
}

/* Nor does a new worker make room. */
static void
judge_disk (KrCheck *check, const KrPipelineReport *report)
{
  check->runway_s = report->disk_runway_s;
  if (report->disk_full)
    say (check, KR_HEALTH_FAIL, "the disk is full");
  else if (report->disk_runway_s >= 0 && report->disk_runway_s < KR_DISK_RUNWAY_WARN_S)
    say (check, KR_HEALTH_WARN, "the disk will be full in %.0f min",
         report->disk_runway_s / 60);
}

static void
judge_memory (KrCheck *check, const KrHealthSpec *health, const KrWorkerSample *sample)
{
  const double mib = 1024 * 1024;

  if (!sample->has_rss) {
    if (health->memory_max > 0)
      say (check, KR_HEALTH_PASS, "memory is not known: it counts as healthy");
    return;
  }
  check->bytes = sample->rss;
  if (health->memory_max == 0 || sample->rss <= health->memory_max - health->memory_max / 10)
    return;
  if (sample->rss <= health->memory_max) {
    say (check, KR_HEALTH_WARN, "%.0f MiB of memory, the limit is %.0f MiB",
         (double)sample->rss / mib, (double)health->memory_max / mib);
    return;
  }
  say (check, KR_HEALTH_FAIL, "%.0f MiB of memory, over the limit of %.0f MiB",
       (double)sample->rss / mib, (double)health->memory_max / mib);
  count (check);
  /* So fast a leak would not wait for Threshold x IntervalSec. */
  check->at_once = sample->rss / 2 > health->memory_max;
}

static void
judge_destination (KrCheck *check, const KrHealthSpec *health, const KrWorkerSample *sample)
{
  const KrDestinationProbe *probe = &sample->destination;
  KrHealth verdict = sample->in_grace ? KR_HEALTH_WARN : KR_HEALTH_FAIL;
  const char *so_far = sample->in_grace ? " so far" : "";

  if (health->check_url == NULL)
    return;
  if (!probe->done) {
    say (check, KR_HEALTH_PASS, "not checked%s%s: it counts as healthy",
         probe->error[0] != '\0' ? ": " : "", probe->error);
    return;
  }
  check->http = probe->http;
  check->age_s = probe->age_s;
  if (probe->http >= 200 && probe->http <= 299)
    return;
  if (probe->http == 0)
    say (check, verdict, "CheckURL does not answer%s", so_far);
  else
    say (check, verdict, "CheckURL answers %d%s", probe->http, so_far);
  if (!sample->in_grace)
    count (check);
}

/* Whether a silent worker is hung is the supervisor's own decision, with its own deadline:
 * counting it here too would judge the same fault twice. */
static void
judge_heartbeat (KrCheck *check, const KrWorkerSample *sample)
{
  gint64 age = sample->heartbeat_age_us;

  set_age (check, age, sample->hang_limit_us);
  if (age > sample->hang_limit_us)
    say (check, KR_HEALTH_FAIL, "the worker has not reported for %.1f s", seconds (age));
  else if (age > KR_HEARTBEAT_WARN_US)
    say (check, KR_HEALTH_WARN, "the worker has not reported for %.1f s", seconds (age));
}

/* Between two deaths all may look well. It does not count: the next worker is no cure. */
static void
judge_row (KrCheck *check, const KrWorkerSample *sample)
{
  KrHealth status = KR_HEALTH_PASS;

  if (sample->storm)
    status = KR_HEALTH_FAIL;
  else if (sample->brief >= KR_BRIEF_WARN)
    status = KR_HEALTH_WARN;
  if (status > check->status)
    say (check, status, "%s%u workers in a row died soon after they began to record",
         sample->storm ? "restart storm: " : "", sample->brief);
}

void
kr_health_judge (const KrHealthSpec *health, const KrPipelineSpec *spec,
                 const KrPipelineReport *report, const KrWorkerSample *sample,
                 KrHealthReport *ret_report)
{
  KrCheck *checks = ret_report->checks;

  memset (ret_report, 0, sizeof *ret_report);
  for (guint i = 0; i < KR_N_CHECKS; i++)
    checks[i] = passed;
  if (report != NULL) {
    judge_state (&checks[KR_CHECK_STATE], spec, report, sample);
    judge_growth (&checks[KR_CHECK_GROWTH], report, sample);
    judge_keyframe (&checks[KR_CHECK_KEYFRAME], report, sample);
    judge_sync (&checks[KR_CHECK_SYNC], report, sample);
    judge_disk (&checks[KR_CHECK_DISK], report);
  } else {
    say (&checks[KR_CHECK_STATE], KR_HEALTH_WARN, "no report yet");
  }
  judge_row (&checks[KR_CHECK_STATE], sample);
  judge_memory (&checks[KR_CHECK_MEMORY], health, sample);
  judge_destination (&checks[KR_CHECK_DESTINATION], health, sample);
  judge_heartbeat (&checks[KR_CHECK_HEARTBEAT], sample);
  for (guint i = 0; i < KR_N_CHECKS; i++)
    ret_report->status = MAX (ret_report->status, checks[i].status);
}

/* --- a whole worker ---------------------------------------------------------------------- */

/* Worse than @than: what counts before what does not, then by status. */
static gboolean
is_worse (const KrCheck *check, const KrCheck *than)
{
  if (than == NULL)
    return check->status > KR_HEALTH_PASS;
  if (check->counts != than->counts)
    return check->counts;
  return check->status > than->status;
}

void
kr_health_sum_up (const KrHealthReport *reports, const char *const *names, guint n_reports,
                  KrHealthVerdict *ret_verdict)
{
  const KrCheck *worst = NULL;
  const char *whose = NULL;

  memset (ret_verdict, 0, sizeof *ret_verdict);
  for (guint i = 0; i < n_reports; i++) {
    for (guint k = 0; k < KR_N_CHECKS; k++) {
      const KrCheck *check = &reports[i].checks[k];

      ret_verdict->status = MAX (ret_verdict->status, check->status);
      ret_verdict->bad |= check->counts;
      ret_verdict->at_once |= check->at_once;
      ret_verdict->stuck |= check->stuck;
      if (k == KR_CHECK_MEMORY && check->counts)
        ret_verdict->harmful = TRUE;
      if (is_worse (check, worst)) {
        worst = check;
        whose = names[i];
      }
    }
  }
  if (worst == NULL)
    return;
  ret_verdict->fault_age_s = worst->fault_age_s;
  g_snprintf (ret_verdict->reason, sizeof ret_verdict->reason, "%s: %s", whose, worst->reason);
  cut_to_utf8 (ret_verdict->reason);
}
