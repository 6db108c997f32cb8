/* keeprolling - the snapshot as Prometheus metrics: the series of each family
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/metrics-private.h"

#include <math.h>
#include <string.h>

#include "launcher/core/restart-policy.h"
#include "plugins/common/messages.h"

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

/* --- writing ------------------------------------------------------------------------------ */

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
sample_named (KrMetricsWriter *w, const char *suffix, double value, const char *const *labels)
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

static double
member_value (const KrPipelineReport *report, const KrMetricsMember *member)
{
  const void *address = G_STRUCT_MEMBER_P (report, member->offset);

  switch (member->kind) {
  case KR_METRICS_U64:
    return (double)*(const guint64 *)address;
  case KR_METRICS_DOUBLE:
    return *(const double *)address;
  case KR_METRICS_MOMENT:
    return (double)*(const gint64 *)address / G_TIME_SPAN_SECOND;
  case KR_METRICS_BITS:
    return *(const double *)address * 8;
  }
  g_return_val_if_reached (0);
}

void
kr_metrics_emit_member (KrMetricsWriter *w, const KrMetricsMember *member)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, member_value (pipeline->report, member), "file", file->name, "pipeline",
            pipeline->report->name, NULL);
  }
}

/* --- the others -----------------------------------------------------------------------------
 */

void
kr_metrics_emit_build_info (KrMetricsWriter *w)
{
  sample (w, 1, "version", w->snapshot->version, NULL);
}

void
kr_metrics_emit_pipeline_info (KrMetricsWriter *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    const KrWorkerSnapshot *worker = file->workers->len > 0 ? file->workers->pdata[0] : NULL;

    sample (w, 1, "file", file->name, "pipeline", pipeline->report->name, "camera",
            pipeline->report->camera, "run", worker != NULL ? worker->instance : "", NULL);
  }
}

void
kr_metrics_emit_healthy (KrMetricsWriter *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, pipeline->health.status == KR_HEALTH_FAIL ? 0 : 1, "file", file->name,
            "pipeline", pipeline->report->name, NULL);
  }
}

void
kr_metrics_emit_state (KrMetricsWriter *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    for (guint i = 0; i < KR_N_PIPELINE_STATES; i++)
      sample (w, pipeline->report->state == i, "file", file->name, "pipeline",
              pipeline->report->name, "state", kr_pipeline_state_name (i), NULL);
  }
}

static void
emit_named (KrMetricsWriter *w, gsize offset, const char *label, const char *const *names)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    const GArray *counts = G_STRUCT_MEMBER (GArray *, pipeline->report, offset);

    for (guint i = 0; names[i] != NULL; i++)
      sample (w, (double)kr_pipeline_report_get_count (counts, names[i]), "file", file->name,
              "pipeline", pipeline->report->name, label, names[i], NULL);
  }
}

void
kr_metrics_emit_discontinuities (KrMetricsWriter *w)
{
  emit_named (w, G_STRUCT_OFFSET (KrPipelineReport, discontinuities), "kind",
              discontinuity_kinds);
}

void
kr_metrics_emit_corrections (KrMetricsWriter *w)
{
  emit_named (w, G_STRUCT_OFFSET (KrPipelineReport, correction_kinds), "kind",
              kr_correction_kinds);
}

void
kr_metrics_emit_drops (KrMetricsWriter *w)
{
  emit_named (w, G_STRUCT_OFFSET (KrPipelineReport, drops), "stage", kr_drop_stages);
}

void
kr_metrics_emit_overlaps (KrMetricsWriter *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, pipeline->overlap_s, "file", file->name, "pipeline", pipeline->report->name,
            NULL);
  }
}

void
kr_metrics_emit_segments (KrMetricsWriter *w)
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

void
kr_metrics_emit_gaps (KrMetricsWriter *w)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    for (guint i = 0; i < KR_N_GAP_CAUSES; i++)
      sample (w, (double)pipeline->gaps[i].count, "file", file->name, "pipeline",
              pipeline->report->name, "cause", kr_gap_cause_name (i), NULL);
  }
}

void
kr_metrics_emit_leftovers (KrMetricsWriter *w)
{
  EACH_FILE (w, file)
  {
    sample (w, file->leftovers, "file", file->name, NULL);
  }
}

void
kr_metrics_emit_leftover_oldest (KrMetricsWriter *w)
{
  EACH_FILE (w, file)
  {
    sample (w, (double)file->leftover_oldest_utc_us / G_TIME_SPAN_SECOND, "file", file->name,
            NULL);
  }
}

void
kr_metrics_emit_handovers (KrMetricsWriter *w)
{
  EACH_FILE (w, file)
  {
    for (guint i = 0; i < KR_N_HANDOVER_RESULTS; i++)
      sample (w, (double)file->handovers.counts[i], "file", file->name, "result",
              kr_handover_result_name (i), NULL);
  }
}

void
kr_metrics_emit_handover_overlap (KrMetricsWriter *w)
{
  EACH_FILE (w, file)
  {
    sample (w, MAX (file->handovers.last_overlap_s, 0), "file", file->name, NULL);
  }
}

void
kr_metrics_emit_gap_seconds (KrMetricsWriter *w)
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
sample_io_error (KrMetricsWriter *w, const KrFileSnapshot *file,
                 const KrPipelineSnapshot *pipeline, const char *name)
{
  const char *space = strrchr (name, ' ');
  g_autofree char *op =
      space != NULL ? g_strndup (name, (gsize)(space - name)) : g_strdup (name);

  sample (w, (double)kr_pipeline_report_get_count (pipeline->report->io_errors, name), "file",
          file->name, "pipeline", pipeline->report->name, "op", op, "errno",
          space != NULL ? space + 1 : "", NULL);
}

/* What disks do is there from the start; any other error from its first time on. */
void
kr_metrics_emit_io_errors (KrMetricsWriter *w)
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

void
kr_metrics_emit_backoff (KrMetricsWriter *w)
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

void
kr_metrics_emit_srt (KrMetricsWriter *w, const char *name, double scale)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    sample (w, named_value (pipeline->report->source_stats, name) * scale, "file", file->name,
            "pipeline", pipeline->report->name, NULL);
  }
}

/* Layer 1 names a cause; layer 2 tells a death from a verdict, of the worker as a whole. */
void
kr_metrics_emit_restarts (KrMetricsWriter *w)
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
emit_histogram (KrMetricsWriter *w, const KrHistogram *histogram, const char *const *labels)
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

void
kr_metrics_emit_recoveries (KrMetricsWriter *w)
{
  for (guint i = 0; i < KR_N_LAYERS; i++)
    emit_histogram (w, &w->snapshot->recoveries[i],
                    (const char *const[]){"layer", kr_layer_name (i), NULL});
}

static void
emit_durations (KrMetricsWriter *w, gsize offset)
{
  EACH_PIPELINE (w, file, pipeline)
  {
    emit_histogram (
        w, G_STRUCT_MEMBER_P (pipeline->report, offset),
        (const char *const[]){"file", file->name, "pipeline", pipeline->report->name, NULL});
  }
}

void
kr_metrics_emit_syncs (KrMetricsWriter *w)
{
  emit_durations (w, G_STRUCT_OFFSET (KrPipelineReport, syncs));
}

void
kr_metrics_emit_finalises (KrMetricsWriter *w)
{
  emit_durations (w, G_STRUCT_OFFSET (KrPipelineReport, finalises));
}

void
kr_metrics_emit_log_messages (KrMetricsWriter *w)
{
  for (guint i = 0; i < KR_N_LOG; i++)
    sample (w, (double)w->process->log_messages[i], "level", kr_log_level_name (i), NULL);
}

void
kr_metrics_emit_webhooks (KrMetricsWriter *w)
{
  for (guint i = 0; i < KR_N_WEBHOOK_RESULTS; i++)
    sample (w, (double)w->process->webhooks[i], "result", kr_webhook_result_name (i), NULL);
}

void
kr_metrics_emit_webhook_queue (KrMetricsWriter *w)
{
  sample (w, w->process->webhook_queue, NULL);
}

void
kr_metrics_emit_clock_step (KrMetricsWriter *w)
{
  sample (w, w->process->clock_step_s, NULL);
}

/* The supervisor is the process without a file; a worker has the label of its file. */
static void
emit_process (KrMetricsWriter *w, double (*of_worker) (const KrWorkerSnapshot *),
              double of_supervisor)
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

void
kr_metrics_emit_cpu (KrMetricsWriter *w)
{
  emit_process (w, worker_cpu, w->process->cpu_s);
}

void
kr_metrics_emit_rss (KrMetricsWriter *w)
{
  emit_process (w, worker_rss, (double)w->process->rss);
}

void
kr_metrics_emit_fds (KrMetricsWriter *w)
{
  emit_process (w, worker_fds, w->process->open_fds);
}

void
kr_metrics_emit_process_start (KrMetricsWriter *w)
{
  emit_process (w, worker_started, (double)w->process->started_utc_us / G_TIME_SPAN_SECOND);
}
