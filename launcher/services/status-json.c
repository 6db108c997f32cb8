/* keeprolling - health and status as JSON
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/status-json.h"

#include <json-glib/json-glib.h>
#include <math.h>

char *
kr_format_utc (gint64 utc_us)
{
  g_autoptr (GDateTime) seconds = g_date_time_new_from_unix_utc (utc_us / G_TIME_SPAN_SECOND);
  g_autofree char *text = NULL;

  if (seconds == NULL)
    return g_strdup ("0001-01-01T00:00:00.000Z");
  text = g_date_time_format (seconds, "%Y-%m-%dT%H:%M:%S");
  return g_strdup_printf ("%s.%03dZ", text,
                          (int)(utc_us % G_TIME_SPAN_SECOND / G_TIME_SPAN_MILLISECOND));
}

/* --- members: what is not known is null, never a made-up number ------------------------- */

static void
add_text (JsonBuilder *builder, const char *name, const char *text)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, text != NULL ? text : "");
}

static void
add_text_or_null (JsonBuilder *builder, const char *name, const char *text)
{
  json_builder_set_member_name (builder, name);
  if (text != NULL && *text != '\0')
    json_builder_add_string_value (builder, text);
  else
    json_builder_add_null_value (builder);
}

static void
add_count (JsonBuilder *builder, const char *name, guint64 count)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, (gint64)MIN (count, (guint64)G_MAXINT64));
}

static void
add_flag (JsonBuilder *builder, const char *name, gboolean flag)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, flag);
}

/* To the millisecond: more digits would be noise. JSON knows no infinity. */
static void
add_number (JsonBuilder *builder, const char *name, double value)
{
  json_builder_set_member_name (builder, name);
  if (isfinite (value))
    json_builder_add_double_value (builder, round (value * 1000) / 1000);
  else
    json_builder_add_null_value (builder);
}

static void
add_seconds (JsonBuilder *builder, const char *name, double seconds)
{
  add_number (builder, name, seconds >= 0 ? seconds : NAN);
}

static void
add_moment (JsonBuilder *builder, const char *name, gint64 utc_us)
{
  g_autofree char *text = utc_us > 0 ? kr_format_utc (utc_us) : NULL;

  add_text_or_null (builder, name, text);
}

static double
seconds_between (gint64 from_us, gint64 to_us)
{
  return (double)MAX (to_us - from_us, 0) / G_TIME_SPAN_SECOND;
}

/* --- parts ------------------------------------------------------------------------------- */

static void
add_check (JsonBuilder *builder, KrCheckKind kind, const KrCheck *check)
{
  json_builder_set_member_name (builder, kr_check_name (kind));
  json_builder_begin_object (builder);
  add_text (builder, "status", kr_health_name (check->status));
  if (check->age_s >= 0)
    add_seconds (builder, "age_s", check->age_s);
  if (check->limit_s >= 0)
    add_seconds (builder, "limit_s", check->limit_s);
  if (kind == KR_CHECK_DISK)
    add_seconds (builder, "runway_s", check->runway_s);
  if (kind == KR_CHECK_MEMORY)
    add_count (builder, "bytes", check->bytes);
  if (kind == KR_CHECK_DESTINATION)
    add_count (builder, "http", (guint64)MAX (check->http, 0));
  if (check->reason[0] != '\0')
    add_text (builder, "reason", check->reason);
  json_builder_end_object (builder);
}

static void
add_checks (JsonBuilder *builder, const KrHealthReport *health)
{
  json_builder_set_member_name (builder, "checks");
  json_builder_begin_object (builder);
  for (guint i = 0; i < KR_N_CHECKS; i++)
    add_check (builder, (KrCheckKind)i, &health->checks[i]);
  json_builder_end_object (builder);
}

static void
add_restarts (JsonBuilder *builder, const KrSnapshot *snapshot, const KrFileSnapshot *file,
              const KrPipelineReport *report)
{
  gint64 next = MAX (report->next_start_utc_us, file->next_start_utc_us);
  gboolean by_layer_1 = report->last_reason[0] != '\0';

  json_builder_set_member_name (builder, "restarts");
  json_builder_begin_object (builder);
  add_count (builder, "pipeline", report->restarts);
  add_count (builder, "reconnects", report->reconnects);
  add_count (builder, "watchdog", file->crashes + file->replacements);
  add_text (builder, "last_reason", by_layer_1 ? report->last_reason : file->last_reason);
  add_seconds (builder, "next_in_s",
               next != 0 ? seconds_between (snapshot->taken_utc_us, next) : -1);
  add_seconds (builder, "last_recovery_s",
               report->last_recovery_s >= 0 ? report->last_recovery_s : file->last_recovery_s);
  json_builder_end_object (builder);
}

static void
add_segment (JsonBuilder *builder, const KrPipelineReport *report)
{
  json_builder_set_member_name (builder, "segment");
  json_builder_begin_object (builder);
  add_text_or_null (builder, "path", report->segment_path);
  add_count (builder, "bytes", report->segment_bytes);
  add_count (builder, "durable_bytes", report->segment_durable_bytes);
  add_moment (builder, "started", report->segment_started_utc_us);
  json_builder_end_object (builder);
}

static void
add_gaps (JsonBuilder *builder, const KrPipelineSnapshot *pipeline)
{
  json_builder_set_member_name (builder, "gaps_24h");
  json_builder_begin_object (builder);
  add_count (builder, "count", pipeline->gaps_24h.count);
  add_number (builder, "seconds", pipeline->gaps_24h.seconds);
  json_builder_end_object (builder);
}

static void
add_figures (JsonBuilder *builder, const KrPipelineSnapshot *pipeline)
{
  const KrPipelineReport *report = pipeline->report;

  json_builder_set_member_name (builder, "data");
  json_builder_begin_object (builder);
  add_count (builder, "received_bytes", report->received_bytes);
  add_count (builder, "written_bytes", report->written_bytes);
  add_count (builder, "durable_bytes", report->durable_bytes);
  add_count (builder, "dropped_bytes", report->dropped_bytes);
  add_count (builder, "dropped_buffers", report->dropped_buffers);
  add_count (builder, "buffers", report->buffers);
  add_count (builder, "keyframes", report->keyframes);
  add_number (builder, "bitrate_bps", report->rate * 8);
  add_moment (builder, "last_buffer", report->last_buffer_utc_us);
  add_moment (builder, "last_keyframe", report->last_keyframe_utc_us);
  add_moment (builder, "last_growth", report->last_growth_utc_us);
  add_moment (builder, "last_sync", report->last_sync_utc_us);
  add_count (builder, "disk_free_bytes", report->disk_free_bytes);
  add_number (builder, "drift_ppm", report->drift_ppm);
  add_count (builder, "corrections", report->corrections);
  add_count (builder, "segments_clean", report->segments_clean);
  add_count (builder, "segments_recovered", report->segments_recovered);
  add_count (builder, "segments_quarantined", report->segments_quarantined);
  add_count (builder, "sources", report->sources);
  add_count (builder, "sources_silent", report->sources_silent);
  add_text_or_null (builder, "stall_reason", report->stall_reason);
  add_moment (builder, "gap_since", pipeline->gap_since_utc_us);
  json_builder_end_object (builder);

  json_builder_set_member_name (builder, "discontinuities");
  json_builder_begin_object (builder);
  for (guint i = 0; i < report->discontinuities->len; i++) {
    const KrNamedCount *count = &g_array_index (report->discontinuities, KrNamedCount, i);

    add_count (builder, count->name, count->count);
  }
  json_builder_end_object (builder);
}

static void
add_pipeline (JsonBuilder *builder, const KrSnapshot *snapshot, const KrFileSnapshot *file,
              const KrPipelineSnapshot *pipeline, KrStatusDetail detail)
{
  const KrPipelineReport *report = pipeline->report;

  json_builder_begin_object (builder);
  add_text (builder, "name", report->name);
  add_text (builder, "file", file->name);
  add_text (builder, "camera", report->camera);
  add_text (builder, "state", kr_pipeline_state_name (report->state));
  add_moment (builder, "since", report->since_utc_us);
  add_text (builder, "status", kr_health_name (pipeline->health.status));
  add_count (builder, "consecutive_unhealthy", file->consecutive_bad);
  add_count (builder, "threshold", file->threshold);
  add_checks (builder, &pipeline->health);
  add_restarts (builder, snapshot, file, report);
  add_segment (builder, report);
  add_gaps (builder, pipeline);
  if (detail == KR_STATUS_FULL)
    add_figures (builder, pipeline);
  json_builder_end_object (builder);
}

static void
add_worker (JsonBuilder *builder, const KrWorkerSnapshot *worker)
{
  json_builder_begin_object (builder);
  add_count (builder, "pid", (guint64)worker->pid);
  add_text (builder, "instance", worker->instance);
  add_text (builder, "version", worker->version);
  add_text (builder, "role", kr_worker_role_name (worker->role));
  add_flag (builder, "ready", worker->ready);
  add_moment (builder, "started", worker->started_utc_us);
  add_seconds (builder, "heartbeat_age_s", worker->heartbeat_age_s);
  add_count (builder, "rss_bytes", worker->rss);
  add_seconds (builder, "cpu_s", worker->cpu_s);
  json_builder_end_object (builder);
}

static void
add_handovers (JsonBuilder *builder, const KrHandoverSnapshot *handovers)
{
  gboolean any = handovers->last_utc_us != 0;

  json_builder_set_member_name (builder, "handovers");
  json_builder_begin_object (builder);
  add_text_or_null (builder, "stage",
                    handovers->stage != KR_HANDOVER_NONE
                        ? kr_handover_stage_name (handovers->stage)
                        : NULL);
  add_moment (builder, "since", handovers->begun_utc_us);
  json_builder_set_member_name (builder, "counts");
  json_builder_begin_object (builder);
  for (guint i = 0; i < KR_N_HANDOVER_RESULTS; i++)
    add_count (builder, kr_handover_result_name (i), handovers->counts[i]);
  json_builder_end_object (builder);
  add_moment (builder, "last", handovers->last_utc_us);
  add_text_or_null (builder, "last_result",
                    any ? kr_handover_result_name (handovers->last_result) : NULL);
  add_text_or_null (builder, "last_text", handovers->last_text);
  add_seconds (builder, "last_overlap_s", handovers->last_overlap_s);
  json_builder_end_object (builder);
}

static void
add_file (JsonBuilder *builder, const KrFileSnapshot *file)
{
  json_builder_begin_object (builder);
  add_text (builder, "name", file->name);
  add_text (builder, "path", file->path);
  add_text (builder, "state", kr_supervisor_state_name (file->state));
  add_moment (builder, "since", file->since_utc_us);
  add_text (builder, "status", kr_health_name (file->verdict.status));
  add_text_or_null (builder, "reason", file->verdict.reason);
  add_count (builder, "exit_code", (guint64)MAX (file->exit_code, 0));
  add_flag (builder, "killed", file->killed);
  add_count (builder, "crashes", file->crashes);
  add_count (builder, "replacements", file->replacements);
  add_handovers (builder, &file->handovers);
  json_builder_set_member_name (builder, "workers");
  json_builder_begin_array (builder);
  for (guint i = 0; i < file->workers->len; i++)
    add_worker (builder, file->workers->pdata[i]);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
}

static void
add_recovery (JsonBuilder *builder, const KrRecovery *recovery)
{
  json_builder_begin_object (builder);
  add_moment (builder, "time", recovery->utc_us);
  add_text (builder, "layer", kr_layer_name (recovery->layer));
  add_text (builder, "file", recovery->file);
  add_text (builder, "pipeline", recovery->pipeline);
  add_text (builder, "kind", recovery->kind);
  add_text (builder, "reason", recovery->reason);
  add_seconds (builder, "seconds", recovery->seconds);
  json_builder_end_object (builder);
}

static void
add_full (JsonBuilder *builder, const KrSnapshot *snapshot)
{
  json_builder_set_member_name (builder, "files");
  json_builder_begin_array (builder);
  for (guint i = 0; i < snapshot->files->len; i++)
    add_file (builder, snapshot->files->pdata[i]);
  json_builder_end_array (builder);

  json_builder_set_member_name (builder, "history");
  json_builder_begin_array (builder);
  for (guint i = 0; i < snapshot->history->len; i++)
    add_recovery (builder, snapshot->history->pdata[i]);
  json_builder_end_array (builder);
}

char *
kr_status_to_json (const KrSnapshot *snapshot, KrStatusDetail detail)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  add_text (builder, "status", kr_health_name (snapshot->status));
  add_moment (builder, "since", snapshot->status_since_utc_us);
  add_text (builder, "version", snapshot->version);
  add_text (builder, "instance", snapshot->instance);
  add_number (builder, "uptime_s",
              seconds_between (snapshot->started_utc_us, snapshot->taken_utc_us));
  add_moment (builder, "time", snapshot->taken_utc_us);
  add_flag (builder, "ready", snapshot->ready);
  add_flag (builder, "stopping", snapshot->stopping);
  json_builder_set_member_name (builder, "pipelines");
  json_builder_begin_array (builder);
  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    for (guint k = 0; k < file->pipelines->len; k++)
      add_pipeline (builder, snapshot, file, file->pipelines->pdata[k], detail);
  }
  json_builder_end_array (builder);
  if (detail == KR_STATUS_FULL)
    add_full (builder, snapshot);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}
