/* keeprolling - the snapshot as Prometheus metrics
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/metrics.h"

#include <math.h>
#include <string.h>

#include "launcher/core/restart-policy.h"
#include "plugins/common/messages.h"

static const char *const log_level_names[] = {
    [KR_LOG_ERROR] = "error",
    [KR_LOG_WARNING] = "warning",
    [KR_LOG_NOTICE] = "notice",
    [KR_LOG_INFO] = "info",
};
G_STATIC_ASSERT (G_N_ELEMENTS (log_level_names) == KR_N_LOG);

static const char *const webhook_result_names[] = {
    [KR_WEBHOOK_DELIVERED] = "delivered",
    [KR_WEBHOOK_RETRIED] = "retried",
    [KR_WEBHOOK_DROPPED] = "dropped",
};
G_STATIC_ASSERT (G_N_ELEMENTS (webhook_result_names) == KR_N_WEBHOOK_RESULTS);

/* Every kind that an element can name: each has its series from the start. */
static const char *const discontinuity_kinds[] = {
    KR_DISCONT_ANCHOR,
    KR_DISCONT_JUMP_FORWARD,
    KR_DISCONT_JUMP_BACK,
    KR_DISCONT_OVERLAP,
    KR_DISCONT_GAP,
    KR_DISCONT_WRAP_TS33,
    KR_DISCONT_WRAP_RTP32,
    KR_DISCONT_WRAP_MS32,
    KR_DISCONT_LAG_RESYNC,
    KR_DISCONT_UNRELATED_CLOCK,
    KR_DISCONT_STREAM_OVERLAP,
    KR_DISCONT_STREAM_JUMP,
    KR_DISCONT_OUTLIER_RETURN,
    KR_DISCONT_SHIFT_NEGATIVE,
    NULL,
};

const char *
kr_log_level_name (KrLogLevel level)
{
  g_return_val_if_fail ((guint)level < KR_N_LOG, NULL);
  return log_level_names[level];
}

const char *
kr_webhook_result_name (KrWebhookResult result)
{
  g_return_val_if_fail ((guint)result < KR_N_WEBHOOK_RESULTS, NULL);
  return webhook_result_names[result];
}

/* --- writing ------------------------------------------------------------------------------ */

typedef struct {
  GString *text;
  const char *prefix;
  const char *name;
  const KrSnapshot *snapshot;
  const KrProcessFigures *process;
} Writer;

static void
append_label (GString *text, const char *name, const char *value, gboolean first)
{
  g_string_append_printf (text, "%c%s=\"", first ? '{' : ',', name);
  for (const char *p = value != NULL ? value : ""; *p != '\0'; p++) {
    if (*p == '\n')
      g_string_append (text, "\\n");
    else if (*p == '"' || *p == '\\')
      g_string_append_printf (text, "\\%c", *p);
    else
      g_string_append_c (text, *p);
  }
  g_string_append_c (text, '"');
}

/* Whole numbers without a point; the locale has no say. */
static void
append_value (GString *text, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  if (isnan (value))
    g_string_append (text, " NaN\n");
  else if (isinf (value))
    g_string_append (text, value > 0 ? " +Inf\n" : " -Inf\n");
  else if (value == floor (value) && fabs (value) < 1e15)
    g_string_append_printf (text, " %" G_GINT64_FORMAT "\n", (gint64)value);
  else
    g_string_append_printf (text, " %s\n",
                            g_ascii_formatd (digits, sizeof digits, "%.14g", value));
}

/* One line. @labels: name, value, ..., NULL. */
static void
sample_named (Writer *w, const char *suffix, double value, const char *const *labels)
{
  gboolean first = TRUE;

  g_string_append_printf (w->text, "%s%s%s", w->prefix, w->name, suffix);
  for (; *labels != NULL; labels += 2) {
    append_label (w->text, labels[0], labels[1], first);
    first = FALSE;
  }
  if (!first)
    g_string_append_c (w->text, '}');
  append_value (w->text, value);
}

#define sample(w, value, ...) sample_named (w, "", value, (const char *const[]){__VA_ARGS__})

/* For each pipeline of each file. */
#define EACH_FILE(w, file)                                                                     \
  for (guint f_ = 0; f_ < (w)->snapshot->files->len; f_++)                                     \
    for (const KrFileSnapshot *file = (w)->snapshot->files->pdata[f_]; file != NULL;           \
         file = NULL)
#define EACH_PIPELINE(w, file, pipeline)                                                       \
  EACH_FILE (w, file)                                                                          \
  for (guint p_ = 0; p_ < file->pipelines->len; p_++)                                          \
    for (const KrPipelineSnapshot *pipeline = file->pipelines->pdata[p_]; pipeline != NULL;    \
         pipeline = NULL)

/* --- families that are one member of the report ------------------------------------------- */

typedef enum { MEMBER_U64, MEMBER_DOUBLE, MEMBER_MOMENT, MEMBER_BITS } MemberKind;

typedef struct {
  MemberKind kind;
  gsize offset;
} Member;

static double
member_value (const KrPipelineReport *report, const Member *member)
{
  const void *address = G_STRUCT_MEMBER_P (report, member->offset);

  switch (member->kind) {
  case MEMBER_U64:
    return (double)*(const guint64 *)address;
  case MEMBER_DOUBLE:
    return *(const double *)address;
  case MEMBER_MOMENT:
    return (double)*(const gint64 *)address / G_TIME_SPAN_SECOND;
  case MEMBER_BITS:
    return *(const double *)address * 8;
  }
  g_return_val_if_reached (0);
}

static void
emit_member (Writer *w, const Member *member)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, member_value (pipeline->report, member), "file", file->name, "pipeline",
            pipeline->report->name, NULL);
  }
}

/* --- the others -----------------------------------------------------------------------------
 */

static void
emit_build_info (Writer *w)
{
  sample (w, 1, "version", w->snapshot->version, NULL);
}

static void
emit_pipeline_info (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    const KrWorkerSnapshot *worker = file->workers->len > 0 ? file->workers->pdata[0] : NULL;

    sample (w, 1, "file", file->name, "pipeline", pipeline->report->name, "camera",
            pipeline->report->camera, "run", worker != NULL ? worker->instance : "", NULL);
  }
}

static void
emit_healthy (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, pipeline->health.status == KR_HEALTH_FAIL ? 0 : 1, "file", file->name,
            "pipeline", pipeline->report->name, NULL);
  }
}

static void
emit_state (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    for (guint i = 0; i < KR_N_PIPELINE_STATES; i++)
      sample (w, pipeline->report->state == i, "file", file->name, "pipeline",
              pipeline->report->name, "state", kr_pipeline_state_name (i), NULL);
  }
}

static void
emit_named (Writer *w, gsize offset, const char *label, const char *const *names)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    const GArray *counts = G_STRUCT_MEMBER (GArray *, pipeline->report, offset);

    for (guint i = 0; names[i] != NULL; i++)
      sample (w, (double)kr_pipeline_report_get_count (counts, names[i]), "file", file->name,
              "pipeline", pipeline->report->name, label, names[i], NULL);
  }
}

static void
emit_discontinuities (Writer *w)
{
  emit_named (w, G_STRUCT_OFFSET (KrPipelineReport, discontinuities), "kind",
              discontinuity_kinds);
}

static void
emit_corrections (Writer *w)
{
  emit_named (w, G_STRUCT_OFFSET (KrPipelineReport, correction_kinds), "kind",
              kr_correction_kinds);
}

static void
emit_drops (Writer *w)
{
  emit_named (w, G_STRUCT_OFFSET (KrPipelineReport, drops), "stage", kr_drop_stages);
}

static void
emit_overlaps (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, pipeline->overlap_s, "file", file->name, "pipeline", pipeline->report->name,
            NULL);
  }
}

static void
emit_segments (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    const KrPipelineReport *report = pipeline->report;
    const struct {
      const char *result;
      guint64 count;
    } results[] = {{"clean", report->segments_clean},
                   {"recovered", report->segments_recovered},
                   {"quarantined", report->segments_quarantined}};

    for (guint i = 0; i < G_N_ELEMENTS (results); i++)
      sample (w, (double)results[i].count, "file", file->name, "pipeline", report->name,
              "result", results[i].result, NULL);
  }
}

static void
emit_gaps (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    for (guint i = 0; i < KR_N_GAP_CAUSES; i++)
      sample (w, (double)pipeline->gaps[i].count, "file", file->name, "pipeline",
              pipeline->report->name, "cause", kr_gap_cause_name (i), NULL);
  }
}

static void
emit_leftovers (Writer *w)
{
  EACH_FILE (w, file)
  {
    sample (w, file->leftovers, "file", file->name, NULL);
  }
}

static void
emit_leftover_oldest (Writer *w)
{
  EACH_FILE (w, file)
  {
    sample (w, (double)file->leftover_oldest_utc_us / G_TIME_SPAN_SECOND, "file", file->name,
            NULL);
  }
}

static void
emit_handovers (Writer *w)
{
  EACH_FILE (w, file)
  {
    for (guint i = 0; i < KR_N_HANDOVER_RESULTS; i++)
      sample (w, (double)file->handovers.counts[i], "file", file->name, "result",
              kr_handover_result_name (i), NULL);
  }
}

static void
emit_handover_overlap (Writer *w)
{
  EACH_FILE (w, file)
  {
    sample (w, MAX (file->handovers.last_overlap_s, 0), "file", file->name, NULL);
  }
}

static void
emit_gap_seconds (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    for (guint i = 0; i < KR_N_GAP_CAUSES; i++)
      sample (w, pipeline->gaps[i].seconds, "file", file->name, "pipeline",
              pipeline->report->name, "cause", kr_gap_cause_name (i), NULL);
  }
}

/* @name is "OPERATION ERRNO". */
static void
sample_io_error (Writer *w, const KrFileSnapshot *file, const KrPipelineSnapshot *pipeline,
                 const char *name)
{
  const char *space = strrchr (name, ' ');
  g_autofree char *op =
      space != NULL ? g_strndup (name, (gsize)(space - name)) : g_strdup (name);

  sample (w, (double)kr_pipeline_report_get_count (pipeline->report->io_errors, name), "file",
          file->name, "pipeline", pipeline->report->name, "op", op, "errno",
          space != NULL ? space + 1 : "", NULL);
}

/* What disks do is there from the start; any other error from its first time on. */
static void
emit_io_errors (Writer *w)
{
  static const char *const usual[] = {"write EIO", "write ENOSPC", "fdatasync EIO",
                                      "fdatasync ENOSPC", NULL};

  EACH_PIPELINE (w, file, pipeline)
  {
    const GArray *counts = pipeline->report->io_errors;

    for (guint i = 0; usual[i] != NULL; i++)
      sample_io_error (w, file, pipeline, usual[i]);
    for (guint i = 0; i < counts->len; i++) {
      const char *name = g_array_index (counts, KrNamedCount, i).name;

      if (!g_strv_contains (usual, name))
        sample_io_error (w, file, pipeline, name);
    }
  }
}

static void
emit_backoff (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    gint64 next = MAX (pipeline->report->next_start_utc_us, file->next_start_utc_us);
    gint64 left = next != 0 ? MAX (next - w->snapshot->taken_utc_us, 0) : 0;

    sample (w, (double)left / G_TIME_SPAN_SECOND, "file", file->name, "pipeline",
            pipeline->report->name, NULL);
  }
}

static double
named_value (const GArray *values, const char *name)
{
  for (guint i = 0; i < values->len; i++)
    if (g_str_equal (g_array_index (values, KrNamedValue, i).name, name))
      return g_array_index (values, KrNamedValue, i).value;
  return 0;
}

static void
emit_srt (Writer *w, const char *name, double scale)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, named_value (pipeline->report->source_stats, name) * scale, "file", file->name,
            "pipeline", pipeline->report->name, NULL);
  }
}

/* Layer 1 names a cause; layer 2 tells a death from a verdict, of the worker as a whole. */
static void
emit_restarts (Writer *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    const char *name = pipeline->report->name;

    for (guint i = 0; i < KR_N_CAUSES; i++)
      sample (w,
              (double)kr_pipeline_report_get_count (pipeline->report->restart_causes,
                                                    kr_cause_name (i)),
              "file", file->name, "pipeline", name, "layer", kr_layer_name (KR_LAYER_PIPELINE),
              "reason", kr_cause_name (i), NULL);
    sample (w, (double)file->crashes, "file", file->name, "pipeline", name, "layer",
            kr_layer_name (KR_LAYER_WATCHDOG), "reason", "crash", NULL);
    sample (w, (double)file->replacements, "file", file->name, "pipeline", name, "layer",
            kr_layer_name (KR_LAYER_WATCHDOG), "reason", "unhealthy", NULL);
  }
}

/* @labels: name, value, ..., NULL; one pair less than fits. */
static void
emit_histogram (Writer *w, const KrHistogram *histogram, const char *const *labels)
{
  const char *with_bound[9] = {0};
  guint n = 0;

  guint64 below = 0;

  for (; labels[n] != NULL; n++)
    with_bound[n] = labels[n];
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS; i++) {
    char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";

    if (i < KR_HISTOGRAM_BOUNDS)
      g_ascii_formatd (bound, sizeof bound, "%g", kr_histogram_bounds[i]);
    below += histogram->buckets[i];
    with_bound[n] = "le";
    with_bound[n + 1] = bound;
    sample_named (w, "_bucket", (double)below, with_bound);
  }
  sample_named (w, "_sum", histogram->sum, labels);
  sample_named (w, "_count", (double)below, labels);
}

static void
emit_recoveries (Writer *w)
{
  for (guint i = 0; i < KR_N_LAYERS; i++)
    emit_histogram (w, &w->snapshot->recoveries[i],
                    (const char *const[]){"layer", kr_layer_name (i), NULL});
}

static void
emit_durations (Writer *w, gsize offset)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    emit_histogram (
        w, G_STRUCT_MEMBER_P (pipeline->report, offset),
        (const char *const[]){"file", file->name, "pipeline", pipeline->report->name, NULL});
  }
}

static void
emit_syncs (Writer *w)
{
  emit_durations (w, G_STRUCT_OFFSET (KrPipelineReport, syncs));
}

static void
emit_finalises (Writer *w)
{
  emit_durations (w, G_STRUCT_OFFSET (KrPipelineReport, finalises));
}

static void
emit_log_messages (Writer *w)
{
  for (guint i = 0; i < KR_N_LOG; i++)
    sample (w, (double)w->process->log_messages[i], "level", log_level_names[i], NULL);
}

static void
emit_webhooks (Writer *w)
{
  for (guint i = 0; i < KR_N_WEBHOOK_RESULTS; i++)
    sample (w, (double)w->process->webhooks[i], "result", webhook_result_names[i], NULL);
}

static void
emit_webhook_queue (Writer *w)
{
  sample (w, w->process->webhook_queue, NULL);
}

static void
emit_clock_step (Writer *w)
{
  sample (w, w->process->clock_step_s, NULL);
}

/* The supervisor is the process without a file; a worker has the label of its file. */
static void
emit_process (Writer *w, double (*of_worker) (const KrWorkerSnapshot *), double of_supervisor)
{
  sample (w, of_supervisor, "file", "", "role", "supervisor", NULL);
  EACH_FILE (w, file)
  {
    for (guint i = 0; i < file->workers->len; i++) {
      const KrWorkerSnapshot *worker = file->workers->pdata[i];

      sample (w, of_worker (worker), "file", file->name, "role",
              kr_worker_role_name (worker->role), NULL);
    }
  }
}

static double
worker_cpu (const KrWorkerSnapshot *worker)
{
  return MAX (worker->cpu_s, 0);
}

static double
worker_rss (const KrWorkerSnapshot *worker)
{
  return (double)worker->rss;
}

static double
worker_fds (const KrWorkerSnapshot *worker)
{
  return worker->open_fds;
}

static double
worker_started (const KrWorkerSnapshot *worker)
{
  return (double)worker->started_utc_us / G_TIME_SPAN_SECOND;
}

static void
emit_cpu (Writer *w)
{
  emit_process (w, worker_cpu, w->process->cpu_s);
}

static void
emit_rss (Writer *w)
{
  emit_process (w, worker_rss, (double)w->process->rss);
}

static void
emit_fds (Writer *w)
{
  emit_process (w, worker_fds, w->process->open_fds);
}

static void
emit_process_start (Writer *w)
{
  emit_process (w, worker_started, (double)w->process->started_utc_us / G_TIME_SPAN_SECOND);
}

/* --- the table
 * -------------------------------------------------------------------------------- */

typedef struct {
  KrMetricFamily public;
  void (*emit) (Writer *w); /* or one of these: */
  const Member *member;
  const char *srt;  /* one of kr_srt_stats */
  double srt_scale; /* to base units */
} Family;

#define MEMBER(kind_, field)                                                                   \
  &(const Member)                                                                              \
  {                                                                                            \
    kind_, G_STRUCT_OFFSET (KrPipelineReport, field)                                           \
  }
#define PER_PIPELINE "file, pipeline"
#define PER_PROCESS  "file, role"

static const Family families[] = {
    {{"build_info", "gauge", "version", "Always 1; the version is in the label."},
     emit_build_info},
    {{"pipeline_info", "gauge", "file, pipeline, camera, run",
      "Always 1; the camera and the running instance are in the labels."},
     emit_pipeline_info},
    {{"pipeline_healthy", "gauge", PER_PIPELINE,
      "1 unless a health check fails. An absent source is no failure."},
     emit_healthy},
    {{"pipeline_state", "gauge", "file, pipeline, state",
      "1 for the state the pipeline is in, 0 for the others."},
     emit_state},
    {{"restarts_total", "counter", "file, pipeline, layer, reason",
      "Repairs: by the worker itself (layer pipeline) or by its supervisor (layer watchdog)."},
     emit_restarts},
    {{"reconnects_total", "counter", PER_PIPELINE,
      "Times a silent source was reconnected alone, the file staying open."},
     .member = MEMBER (MEMBER_U64, reconnects)},
    {{"backoff_seconds", "gauge", PER_PIPELINE, "Time until the next start; 0 if none waits."},
     emit_backoff},
    {{"recovery_duration_seconds", "histogram", "layer",
      "From a fault to recording again, by the layer that repaired."},
     emit_recoveries},
    {{"received_bytes_total", "counter", PER_PIPELINE,
      "Bytes that reached the recording sink."},
     .member = MEMBER (MEMBER_U64, received_bytes)},
    {{"written_bytes_total", "counter", PER_PIPELINE,
      "Bytes handed to the kernel: they survive the death of the process."},
     .member = MEMBER (MEMBER_U64, written_bytes)},
    {{"durable_bytes_total", "counter", PER_PIPELINE,
      "Bytes synced to the disk: they survive the loss of power."},
     .member = MEMBER (MEMBER_U64, durable_bytes)},
    {{"last_buffer_timestamp_seconds", "gauge", PER_PIPELINE,
      "When data last reached the recording sink; 0 = never."},
     .member = MEMBER (MEMBER_MOMENT, last_buffer_utc_us)},
    {{"last_keyframe_timestamp_seconds", "gauge", PER_PIPELINE,
      "When the last keyframe came; 0 = never."},
     .member = MEMBER (MEMBER_MOMENT, last_keyframe_utc_us)},
    {{"last_growth_timestamp_seconds", "gauge", PER_PIPELINE,
      "When the recording last grew; 0 = never."},
     .member = MEMBER (MEMBER_MOMENT, last_growth_utc_us)},
    {{"last_sync_timestamp_seconds", "gauge", PER_PIPELINE,
      "When data were last synced to the disk; 0 = never."},
     .member = MEMBER (MEMBER_MOMENT, last_sync_utc_us)},
    {{"segments_total", "counter", "file, pipeline, result",
      "Files that got their final name (clean), that were repaired after a crash (recovered), "
      "or that were not playable and set aside (quarantined)."},
     emit_segments},
    {{"leftover_files", "gauge", "file",
      "Unfinished files older than ten minutes that no living instance holds."},
     emit_leftovers},
    {{"leftover_oldest_timestamp_seconds", "gauge", "file",
      "Last change of the oldest of them; 0 = there is none."},
     emit_leftover_oldest},
    {{"handovers_total", "counter", "file, result",
      "New workers that somebody wanted: completed, rolled back to the old worker, refused as "
      "the file is wrong, not recording yet, or interrupted."},
     emit_handovers},
    {{"handover_overlap_seconds", "gauge", "file",
      "How long both workers recorded in the last handover; 0 = there was none."},
     emit_handover_overlap},
    {{"gaps_total", "counter", "file, pipeline, cause",
      "Times longer than a second in which nothing was recorded, after the first data."},
     emit_gaps},
    {{"gap_seconds_total", "counter", "file, pipeline, cause", "The length of those gaps."},
     emit_gap_seconds},
    {{"overlap_seconds_total", "counter", PER_PIPELINE,
      "Time in which two workers both recorded it: a replacement or a handover."},
     emit_overlaps},
    {{"discontinuities_total", "counter", "file, pipeline, kind",
      "Disorders of the source's timestamps that were repaired or reported."},
     emit_discontinuities},
    {{"corrections_total", "counter", "file, pipeline, kind",
      "Stamps that were rewritten (mpegtsregen), adjusted (timestampregen), nudged, not "
      "believed (outlier), synthesized or duplicated. The kinds overlap: no sum over them."},
     emit_corrections},
    {{"drift_ppm", "gauge", PER_PIPELINE,
      "How much faster than ours the source's clock runs, in millionths."},
     .member = MEMBER (MEMBER_DOUBLE, drift_ppm)},
    {{"dropped_buffers_total", "counter", "file, pipeline, stage",
      "Buffers not recorded: the disk was full or too slow (sink), or they came before the "
      "first keyframe or had no place on the timeline (regenerator; packets for "
      "mpegtsregen)."},
     emit_drops},
    {{"dropped_bytes_total", "counter", PER_PIPELINE,
      "Bytes not recorded because the disk was full or too slow."},
     .member = MEMBER (MEMBER_U64, dropped_bytes)},
    {{"sync_duration_seconds", "histogram", PER_PIPELINE,
      "How long the disk took to make data durable; recording does not wait for it."},
     emit_syncs},
    {{"finalize_duration_seconds", "histogram", PER_PIPELINE,
      "How long a finished file took to get its name: sync, rename, sync of the folder."},
     emit_finalises},
    {{"io_errors_total", "counter", "file, pipeline, op, errno",
      "Writes, syncs and renames that failed, a full disk included."},
     emit_io_errors},
    {{"disk_free_bytes", "gauge", PER_PIPELINE, "Room on the disk of the recording."},
     .member = MEMBER (MEMBER_U64, disk_free_bytes)},
    {{"disk_runway_seconds", "gauge", PER_PIPELINE,
      "Time until the disk is full at the present rate; -1 = not known."},
     .member = MEMBER (MEMBER_DOUBLE, disk_runway_s)},
    {{"source_bitrate_bps", "gauge", PER_PIPELINE, "Bits per second that arrive."},
     .member = MEMBER (MEMBER_BITS, rate)},
    {{"abandoned_total", "counter", PER_PIPELINE,
      "Pipelines and sources that hung in a state change and were left behind."},
     .member = MEMBER (MEMBER_U64, abandoned)},
    {{"srt_packets_received", "gauge", PER_PIPELINE, "Of the present connections."},
     .srt = "packets-received",
     .srt_scale = 1},
    {{"srt_packets_lost", "gauge", PER_PIPELINE, "Of the present connections."},
     .srt = "packets-received-lost",
     .srt_scale = 1},
    {{"srt_acks_sent", "gauge", PER_PIPELINE, "Of the present connections."},
     .srt = "packet-ack-sent",
     .srt_scale = 1},
    {{"srt_naks_sent", "gauge", PER_PIPELINE, "Of the present connections."},
     .srt = "packet-nack-sent",
     .srt_scale = 1},
    {{"srt_bytes_received", "gauge", PER_PIPELINE, "Of the present connections."},
     .srt = "bytes-received",
     .srt_scale = 1},
    {{"srt_bytes_lost", "gauge", PER_PIPELINE, "Of the present connections."},
     .srt = "bytes-received-lost",
     .srt_scale = 1},
    {{"srt_rtt_seconds", "gauge", PER_PIPELINE, "Round trip, the longest of its sources."},
     .srt = "rtt-ms",
     .srt_scale = 1e-3},
    {{"srt_bandwidth_bps", "gauge", PER_PIPELINE, "Estimated by libsrt."},
     .srt = "bandwidth-mbps",
     .srt_scale = 1e6},
    {{"srt_receive_rate_bps", "gauge", PER_PIPELINE, "Measured by libsrt."},
     .srt = "receive-rate-mbps",
     .srt_scale = 1e6},
    {{"srt_latency_seconds", "gauge", PER_PIPELINE, "As negotiated with the peer."},
     .srt = "negotiated-latency-ms",
     .srt_scale = 1e-3},
    {{"log_messages_total", "counter", "level", "Lines logged by the supervisor."},
     emit_log_messages},
    {{"webhook_deliveries_total", "counter", "result", "Alerts sent, put off, or given up."},
     emit_webhooks},
    {{"webhook_queue_length", "gauge", "", "Alerts that wait for their endpoint."},
     emit_webhook_queue},
    {{"clock_step_seconds_total", "counter", "",
      "How far the wall clock was set, in either direction."},
     emit_clock_step},
    {{"process_cpu_seconds_total", "counter", PER_PROCESS, "User and system time."}, emit_cpu},
    {{"process_resident_memory_bytes", "gauge", PER_PROCESS, "Memory in RAM."}, emit_rss},
    {{"process_open_fds", "gauge", PER_PROCESS, "Open file descriptors."}, emit_fds},
    {{"process_start_time_seconds", "gauge", PER_PROCESS, "When it was started."},
     emit_process_start},
};

guint
kr_metrics_n_families (void)
{
  return G_N_ELEMENTS (families);
}

const KrMetricFamily *
kr_metrics_family (guint i)
{
  return i < G_N_ELEMENTS (families) ? &families[i].public : NULL;
}

static const char *
family_prefix (const KrMetricFamily *family)
{
  return g_str_has_prefix (family->name, "process_") ? "" : "keeprolling_";
}

char *
kr_metric_family_name (const KrMetricFamily *family)
{
  return g_strconcat (family_prefix (family), family->name, NULL);
}

static void
emit_family (Writer *w, const Family *family)
{
  const KrMetricFamily *public = &family->public;

  w->prefix = family_prefix (public);
  w->name = public->name;
  g_string_append_printf (w->text, "# HELP %s%s %s\n# TYPE %s%s %s\n", w->prefix, w->name,
                          public->help, w->prefix, w->name, public->type);
  if (family->emit != NULL)
    family->emit (w);
  else if (family->member != NULL)
    emit_member (w, family->member);
  else
    emit_srt (w, family->srt, family->srt_scale);
}

char *
kr_metrics_to_text (const KrSnapshot *snapshot, const KrProcessFigures *process)
{
  Writer w = {.text = g_string_sized_new (16384), .snapshot = snapshot, .process = process};

  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    emit_family (&w, &families[i]);
  return g_string_free (w.text, FALSE);
}
