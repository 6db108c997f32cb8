/* keeprolling - the snapshot as Prometheus metrics
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/metrics-private.h"

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

/* --- the table
 * -------------------------------------------------------------------------------- */

typedef struct {
  KrMetricFamily public;
  void (*emit) (KrMetricsWriter *w); /* or one of these: */
  const KrMetricsMember *member;
  const char *srt;  /* one of kr_srt_stats */
  double srt_scale; /* to base units */
} Family;

#define MEMBER(kind_, field)                                                                   \
  &(const KrMetricsMember)                                                                     \
  {                                                                                            \
    kind_, G_STRUCT_OFFSET (KrPipelineReport, field)                                           \
  }
#define PER_PIPELINE "file, pipeline"
#define PER_PROCESS  "file, role"

static const Family families[] = {
    {{"build_info", "gauge", "version", "Always 1; the version is in the label."},
     kr_metrics_emit_build_info},
    {{"pipeline_info", "gauge", "file, pipeline, camera, run",
      "Always 1; the camera and the running instance are in the labels."},
     kr_metrics_emit_pipeline_info},
    {{"pipeline_healthy", "gauge", PER_PIPELINE,
      "1 unless a health check fails. An absent source is no failure."},
     kr_metrics_emit_healthy},
    {{"pipeline_state", "gauge", "file, pipeline, state",
      "1 for the state the pipeline is in, 0 for the others."},
     kr_metrics_emit_state},
    {{"restarts_total", "counter", "file, pipeline, layer, reason",
      "Repairs: by the worker itself (layer pipeline) or by its supervisor (layer watchdog)."},
     kr_metrics_emit_restarts},
    {{"reconnects_total", "counter", PER_PIPELINE,
      "Times a silent source was reconnected alone, the file staying open."},
     .member = MEMBER (KR_METRICS_U64, reconnects)},
    {{"backoff_seconds", "gauge", PER_PIPELINE, "Time until the next start; 0 if none waits."},
     kr_metrics_emit_backoff},
    {{"recovery_duration_seconds", "histogram", "layer",
      "From a fault to recording again, by the layer that repaired."},
     kr_metrics_emit_recoveries},
    {{"received_bytes_total", "counter", PER_PIPELINE,
      "Bytes that reached the recording sink."},
     .member = MEMBER (KR_METRICS_U64, received_bytes)},
    {{"written_bytes_total", "counter", PER_PIPELINE,
      "Bytes handed to the kernel: they survive the death of the process."},
     .member = MEMBER (KR_METRICS_U64, written_bytes)},
    {{"durable_bytes_total", "counter", PER_PIPELINE,
      "Bytes synced to the disk: they survive the loss of power."},
     .member = MEMBER (KR_METRICS_U64, durable_bytes)},
    {{"last_buffer_timestamp_seconds", "gauge", PER_PIPELINE,
      "When data last reached the recording sink; 0 = never."},
     .member = MEMBER (KR_METRICS_MOMENT, last_buffer_utc_us)},
    {{"last_keyframe_timestamp_seconds", "gauge", PER_PIPELINE,
      "When the last keyframe came; 0 = never."},
     .member = MEMBER (KR_METRICS_MOMENT, last_keyframe_utc_us)},
    {{"last_growth_timestamp_seconds", "gauge", PER_PIPELINE,
      "When the recording last grew; 0 = never."},
     .member = MEMBER (KR_METRICS_MOMENT, last_growth_utc_us)},
    {{"last_sync_timestamp_seconds", "gauge", PER_PIPELINE,
      "When data were last synced to the disk; 0 = never."},
     .member = MEMBER (KR_METRICS_MOMENT, last_sync_utc_us)},
    {{"segments_total", "counter", "file, pipeline, result",
      "Files that got their final name (clean), that were repaired after a crash (recovered), "
      "or that were not playable and set aside (quarantined)."},
     kr_metrics_emit_segments},
    {{"leftover_files", "gauge", "file",
      "Unfinished files older than ten minutes that no living instance holds."},
     kr_metrics_emit_leftovers},
    {{"leftover_oldest_timestamp_seconds", "gauge", "file",
      "Last change of the oldest of them; 0 = there is none."},
     kr_metrics_emit_leftover_oldest},
    {{"handovers_total", "counter", "file, result",
      "New workers that somebody wanted: completed, rolled back to the old worker, refused as "
      "the file is wrong, not recording yet, or interrupted."},
     kr_metrics_emit_handovers},
    {{"handover_overlap_seconds", "gauge", "file",
      "How long both workers recorded in the last handover; 0 = there was none."},
     kr_metrics_emit_handover_overlap},
    {{"gaps_total", "counter", "file, pipeline, cause",
      "Times longer than a second in which nothing was recorded, after the first data."},
     kr_metrics_emit_gaps},
    {{"gap_seconds_total", "counter", "file, pipeline, cause", "The length of those gaps."},
     kr_metrics_emit_gap_seconds},
    {{"overlap_seconds_total", "counter", PER_PIPELINE,
      "Time in which two workers both recorded it: a replacement or a handover."},
     kr_metrics_emit_overlaps},
    {{"discontinuities_total", "counter", "file, pipeline, kind",
      "Disorders of the source's timestamps that were repaired or reported."},
     kr_metrics_emit_discontinuities},
    {{"corrections_total", "counter", "file, pipeline, kind",
      "Stamps that were rewritten (mpegtsregen), adjusted (timestampregen), nudged, not "
      "believed (outlier), synthesized or duplicated. The kinds overlap: no sum over them."},
     kr_metrics_emit_corrections},
    {{"drift_ppm", "gauge", PER_PIPELINE,
      "How much faster than ours the source's clock runs, in millionths."},
     .member = MEMBER (KR_METRICS_DOUBLE, drift_ppm)},
    {{"dropped_buffers_total", "counter", "file, pipeline, stage",
      "Buffers not recorded: the disk was full or too slow (sink), or they came before the "
      "first keyframe or had no place on the timeline (regenerator; packets for "
      "mpegtsregen)."},
     kr_metrics_emit_drops},
    {{"dropped_bytes_total", "counter", PER_PIPELINE,
      "Bytes not recorded because the disk was full or too slow."},
     .member = MEMBER (KR_METRICS_U64, dropped_bytes)},
    {{"sync_duration_seconds", "histogram", PER_PIPELINE,
      "How long the disk took to make data durable; recording does not wait for it."},
     kr_metrics_emit_syncs},
    {{"finalize_duration_seconds", "histogram", PER_PIPELINE,
      "How long a finished file took to get its name: sync, rename, sync of the folder."},
     kr_metrics_emit_finalises},
    {{"io_errors_total", "counter", "file, pipeline, op, errno",
      "Writes, syncs and renames that failed, a full disk included."},
     kr_metrics_emit_io_errors},
    {{"disk_free_bytes", "gauge", PER_PIPELINE, "Room on the disk of the recording."},
     .member = MEMBER (KR_METRICS_U64, disk_free_bytes)},
    {{"disk_runway_seconds", "gauge", PER_PIPELINE,
      "Time until the disk is full at the present rate; -1 = not known."},
     .member = MEMBER (KR_METRICS_DOUBLE, disk_runway_s)},
    {{"source_bitrate_bps", "gauge", PER_PIPELINE, "Bits per second that arrive."},
     .member = MEMBER (KR_METRICS_BITS, rate)},
    {{"abandoned_total", "counter", PER_PIPELINE,
      "Pipelines and sources that hung in a state change and were left behind."},
     .member = MEMBER (KR_METRICS_U64, abandoned)},
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
     kr_metrics_emit_log_messages},
    {{"webhook_deliveries_total", "counter", "result", "Alerts sent, put off, or given up."},
     kr_metrics_emit_webhooks},
    {{"webhook_queue_length", "gauge", "", "Alerts that wait for their endpoint."},
     kr_metrics_emit_webhook_queue},
    {{"clock_step_seconds_total", "counter", "",
      "How far the wall clock was set, in either direction."},
     kr_metrics_emit_clock_step},
    {{"process_cpu_seconds_total", "counter", PER_PROCESS, "User and system time."},
     kr_metrics_emit_cpu},
    {{"process_resident_memory_bytes", "gauge", PER_PROCESS, "Memory in RAM."},
     kr_metrics_emit_rss},
    {{"process_open_fds", "gauge", PER_PROCESS, "Open file descriptors."}, kr_metrics_emit_fds},
    {{"process_start_time_seconds", "gauge", PER_PROCESS, "When it was started."},
     kr_metrics_emit_process_start},
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
emit_family (KrMetricsWriter *w, const Family *family)
{
  const KrMetricFamily *public = &family->public;

  w->prefix = family_prefix (public);
  w->name = public->name;
  g_string_append_printf (w->text, "# HELP %s%s %s\n# TYPE %s%s %s\n", w->prefix, w->name,
                          public->help, w->prefix, w->name, public->type);
  if (family->emit != NULL)
    family->emit (w);
  else if (family->member != NULL)
    kr_metrics_emit_member (w, family->member);
  else
    kr_metrics_emit_srt (w, family->srt, family->srt_scale);
}

char *
kr_metrics_to_text (const KrSnapshot *snapshot, const KrProcessFigures *process)
{
  KrMetricsWriter w = {
      .text = g_string_sized_new (16384), .snapshot = snapshot, .process = process};

  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    emit_family (&w, &families[i]);
  return g_string_free (w.text, FALSE);
}
