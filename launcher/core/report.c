/* keeprolling - what a worker tells its supervisor about one pipeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/report.h"

#include <string.h>

static const char *const state_names[] = {
    [KR_PIPELINE_IDLE] = "idle",       [KR_PIPELINE_STARTING] = "starting",
    [KR_PIPELINE_PLAYING] = "playing", [KR_PIPELINE_RECONNECTING] = "reconnecting",
    [KR_PIPELINE_BACKOFF] = "backoff", [KR_PIPELINE_STOPPING] = "stopping",
    [KR_PIPELINE_STOPPED] = "stopped", [KR_PIPELINE_FAILED] = "failed",
};
G_STATIC_ASSERT (G_N_ELEMENTS (state_names) == KR_N_PIPELINE_STATES);

const char *
kr_pipeline_state_name (KrPipelineState state)
{
  g_return_val_if_fail ((guint)state < KR_N_PIPELINE_STATES, NULL);
  return state_names[state];
}

gboolean
kr_pipeline_state_from_name (const char *name, KrPipelineState *ret_state)
{
  for (guint i = 0; i < KR_N_PIPELINE_STATES; i++) {
    if (g_strcmp0 (name, state_names[i]) == 0) {
      *ret_state = (KrPipelineState)i;
      return TRUE;
    }
  }
  return FALSE;
}

const KrSrtStat kr_srt_stats[] = {
    {"packets-received", TRUE},
    {"packets-received-lost", TRUE},
    {"packet-ack-sent", TRUE},
    {"packet-nack-sent", TRUE},
    {"bytes-received", TRUE},
    {"bytes-received-lost", TRUE},
    {"rtt-ms", FALSE},
    {"bandwidth-mbps", FALSE},
    {"receive-rate-mbps", FALSE},
    {"negotiated-latency-ms", FALSE},
    {NULL, FALSE},
};

const char *const kr_drop_stages[] = {KR_DROP_SINK, KR_DROP_REGENERATOR, NULL};

const char *const kr_correction_kinds[] = {
    KR_CORRECTION_REWRITTEN,
    KR_CORRECTION_ADJUSTED,
    KR_CORRECTION_NUDGED,
    KR_CORRECTION_OUTLIER,
    KR_CORRECTION_SYNTHESIZED,
    KR_CORRECTION_DUPLICATED,
    NULL,
};

KrPipelineReport *
kr_pipeline_report_new (const char *name)
{
  KrPipelineReport *report = g_new0 (KrPipelineReport, 1);

  report->name = g_strdup (name);
  report->camera = g_strdup (name);
  report->last_reason = g_strdup ("");
  report->last_recovery_s = -1;
  report->disk_runway_s = -1;
  report->discontinuities = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  report->restart_causes = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  report->drops = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  report->correction_kinds = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  report->io_errors = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  report->source_stats = g_array_new (FALSE, TRUE, sizeof (KrNamedValue));
  return report;
}

KrPipelineReport *
kr_pipeline_report_copy (const KrPipelineReport *report)
{
  KrPipelineReport *copy = g_memdup2 (report, sizeof *report);

  copy->name = g_strdup (report->name);
  copy->camera = g_strdup (report->camera);
  copy->stall_reason = g_strdup (report->stall_reason);
  copy->segment_path = g_strdup (report->segment_path);
  copy->last_reason = g_strdup (report->last_reason);
  copy->blocked_by = g_strdup (report->blocked_by);
  copy->discontinuities = g_array_copy (report->discontinuities);
  copy->restart_causes = g_array_copy (report->restart_causes);
  copy->drops = g_array_copy (report->drops);
  copy->correction_kinds = g_array_copy (report->correction_kinds);
  copy->io_errors = g_array_copy (report->io_errors);
  copy->source_stats = g_array_copy (report->source_stats);
  return copy;
}

void
kr_pipeline_report_free (KrPipelineReport *report)
{
  if (report == NULL)
    return;
  g_free (report->name);
  g_free (report->camera);
  g_free (report->stall_reason);
  g_free (report->segment_path);
  g_free (report->last_reason);
  g_free (report->blocked_by);
  g_array_unref (report->discontinuities);
  g_array_unref (report->restart_causes);
  g_array_unref (report->drops);
  g_array_unref (report->correction_kinds);
  g_array_unref (report->io_errors);
  g_array_unref (report->source_stats);
  g_free (report);
}

static void
add_counts (GArray *counts, const GArray *more)
{
  for (guint i = 0; i < more->len; i++) {
    const KrNamedCount *count = &g_array_index (more, KrNamedCount, i);

    kr_pipeline_report_count (counts, count->name, count->count);
  }
}

void
kr_pipeline_report_carry_on (KrPipelineReport *report, const KrPipelineReport *before)
{
#define SUM(member)   report->member += before->member
#define NEWER(member) report->member = report->member != 0 ? report->member : before->member
  SUM (received_bytes);
  SUM (written_bytes);
  SUM (durable_bytes);
  SUM (dropped_bytes);
  SUM (dropped_buffers);
  SUM (buffers);
  SUM (keyframes);
  SUM (segments_clean);
  SUM (segments_recovered);
  SUM (segments_quarantined);
  SUM (corrections);
  SUM (restarts);
  SUM (reconnects);
  SUM (abandoned);
  kr_histogram_add (&report->syncs, &before->syncs);
  kr_histogram_add (&report->finalises, &before->finalises);
  NEWER (last_buffer_utc_us);
  NEWER (last_keyframe_utc_us);
  NEWER (last_growth_utc_us);
  NEWER (last_sync_utc_us);
#undef SUM
#undef NEWER
  add_counts (report->discontinuities, before->discontinuities);
  add_counts (report->restart_causes, before->restart_causes);
  add_counts (report->drops, before->drops);
  add_counts (report->correction_kinds, before->correction_kinds);
  add_counts (report->io_errors, before->io_errors);
}

guint64
kr_pipeline_report_get_count (const GArray *counts, const char *name)
{
  for (guint i = 0; i < counts->len; i++)
    if (g_strcmp0 (g_array_index (counts, KrNamedCount, i).name, name) == 0)
      return g_array_index (counts, KrNamedCount, i).count;
  return 0;
}

void
kr_pipeline_report_count (GArray *counts, const char *name, guint64 n)
{
  KrNamedCount fresh = {.name = g_intern_string (name), .count = n};

  for (guint i = 0; i < counts->len; i++) {
    KrNamedCount *count = &g_array_index (counts, KrNamedCount, i);

    if (count->name == fresh.name) {
      count->count += n;
      return;
    }
  }
  g_array_append_val (counts, fresh);
}

void
kr_pipeline_report_add_value (GArray *values, const KrSrtStat *stat, double value)
{
  KrNamedValue fresh = {.name = g_intern_string (stat->name), .value = value};

  for (guint i = 0; i < values->len; i++) {
    KrNamedValue *entry = &g_array_index (values, KrNamedValue, i);

    if (entry->name == fresh.name) {
      entry->value = stat->is_count ? entry->value + value : MAX (entry->value, value);
      return;
    }
  }
  g_array_append_val (values, fresh);
}
