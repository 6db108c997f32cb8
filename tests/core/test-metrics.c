/* keeprolling - tests of core/metrics
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/metrics.h"

#include <string.h>

#include "tests/support/kr-snapshots.h"
#include "tests/support/kr-test.h"

static const KrProcessFigures no_figures;

#define assert_has(text, line)                                                                 \
  G_STMT_START                                                                                 \
  {                                                                                            \
    if (strstr (text, line "\n") == NULL)                                                      \
      g_error ("no line %s in\n%s", line, text);                                               \
  }                                                                                            \
  G_STMT_END

static void
test_every_family_is_there_from_the_start (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  g_autofree char *text = NULL;

  kr_snapshot_finish (snapshot, NULL);
  text = kr_metrics_to_text (snapshot, &no_figures);
  for (guint i = 0; i < kr_metrics_n_families (); i++) {
    const KrMetricFamily *family = kr_metrics_family (i);
    g_autofree char *name = kr_metric_family_name (family);
    g_autofree char *type = g_strdup_printf ("\n# TYPE %s %s\n%s", name, family->type, name);

    if (strstr (text, type) == NULL)
      g_error ("%s has no TYPE, or no series", name);
  }
  g_assert_null (kr_metrics_family (kr_metrics_n_families ()));
}

/* The list of the specification, with its labels; what is per pipeline has file and pipeline,
 * too.
 */
static const struct {
  const char *name;
  const char *labels; /* beyond file and pipeline */
} specified[] = {
    {"keeprolling_build_info", "version"},
    {"keeprolling_pipeline_info", "file,pipeline,run"},
    {"keeprolling_pipeline_healthy", "file,pipeline"},
    {"keeprolling_pipeline_state", "file,pipeline,state"},
    {"keeprolling_restarts_total", "file,pipeline,layer,reason"},
    {"keeprolling_backoff_seconds", "file,pipeline"},
    {"keeprolling_recovery_duration_seconds", "layer"},
    {"keeprolling_received_bytes_total", "file,pipeline"},
    {"keeprolling_written_bytes_total", "file,pipeline"},
    {"keeprolling_durable_bytes_total", "file,pipeline"},
    {"keeprolling_last_buffer_timestamp_seconds", "file,pipeline"},
    {"keeprolling_last_keyframe_timestamp_seconds", "file,pipeline"},
    {"keeprolling_last_growth_timestamp_seconds", "file,pipeline"},
    {"keeprolling_last_sync_timestamp_seconds", "file,pipeline"},
    {"keeprolling_segments_total", "file,pipeline,result"},
    {"keeprolling_gaps_total", "file,pipeline,cause"},
    {"keeprolling_gap_seconds_total", "file,pipeline,cause"},
    {"keeprolling_overlap_seconds_total", "file,pipeline"},
    {"keeprolling_discontinuities_total", "file,pipeline,kind"},
    {"keeprolling_corrections_total", "file,pipeline,kind"},
    {"keeprolling_drift_ppm", "file,pipeline"},
    {"keeprolling_dropped_buffers_total", "file,pipeline,stage"},
    {"keeprolling_sync_duration_seconds", "file,pipeline"},
    {"keeprolling_finalize_duration_seconds", "file,pipeline"},
    {"keeprolling_io_errors_total", "file,pipeline,op,errno"},
    {"keeprolling_disk_free_bytes", "file,pipeline"},
    {"keeprolling_disk_runway_seconds", "file,pipeline"},
    {"keeprolling_clock_step_seconds_total", ""},
    {"keeprolling_handovers_total", "file,result"},
    {"keeprolling_handover_overlap_seconds", "file"},
    {"keeprolling_webhook_deliveries_total", "result"},
    {"keeprolling_webhook_queue_length", ""},
    {"keeprolling_log_messages_total", "level"},
    {"keeprolling_source_bitrate_bps", "file,pipeline"},
    {"keeprolling_srt_rtt_seconds", "file,pipeline"},
    {"keeprolling_srt_packets_lost", "file,pipeline"},
    {"process_cpu_seconds_total", "file"},
    {"process_resident_memory_bytes", "file"},
    {"process_open_fds", "file"},
    {"process_start_time_seconds", "file"},
};

static gboolean
has_labels (const char *series, const char *end, const char *labels)
{
  g_auto (GStrv) names = g_strsplit (labels, ",", 0);
  g_autofree char *line = g_strndup (series, (gsize)(end - series));

  for (guint i = 0; names[i] != NULL && *names[i] != '\0'; i++) {
    g_autofree char *label = g_strdup_printf ("%s=\"", names[i]);

    if (strstr (line, label) == NULL)
      return FALSE;
  }
  return TRUE;
}

/* Each is there at once, before anything has happened, with every label; counters at 0. */
static void
test_the_list (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  g_autofree char *text = NULL;

  kr_snapshot_finish (snapshot, NULL);
  text = kr_metrics_to_text (snapshot, &no_figures);
  for (guint i = 0; i < G_N_ELEMENTS (specified); i++) {
    const char *name = specified[i].name;
    g_autofree char *type = g_strdup_printf ("# TYPE %s ", name);
    const char *series = strstr (text, type);

    if (series == NULL)
      g_error ("%s is missing", name);
    series = strchr (series, '\n') + 1;
    if (!g_str_has_prefix (series, name))
      g_error ("%s has no series from the start", name);
    if (!has_labels (series, strchr (series, '\n'), specified[i].labels))
      g_error ("%s should have the labels %s: %.200s", name, specified[i].labels, series);
  }
}

static void
test_values (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrPipelineReport *report = kr_test_snapshot_report (snapshot);
  KrPipelineSnapshot *pipeline = kr_test_snapshot_file (snapshot)->pipelines->pdata[0];
  KrProcessFigures figures = {.cpu_s = 0.25, .webhook_queue = 7};
  g_autofree char *text = NULL;

  kr_pipeline_report_count (report->discontinuities, "jump-back", 4);
  kr_pipeline_report_count (report->restart_causes, "source", 2);
  kr_pipeline_report_count (report->io_errors, "fsync EIO", 1);
  kr_pipeline_report_count (report->io_errors, "write EIO", 3);
  kr_pipeline_report_count (report->drops, KR_DROP_SINK, 8);
  kr_pipeline_report_count (report->correction_kinds, KR_CORRECTION_NUDGED, 9);
  pipeline->overlap_s = 2.5;
  kr_pipeline_report_add_value (report->source_stats, &kr_srt_stats[6], 12.5);
  pipeline->gaps[KR_GAP_DISK] = (KrGapTotal){3, 4.5};
  kr_test_snapshot_file (snapshot)->crashes = 5;
  kr_histogram_observe (&snapshot->recoveries[KR_LAYER_WATCHDOG], 0.4);
  kr_histogram_observe (&snapshot->recoveries[KR_LAYER_WATCHDOG], 1000);
  kr_test_snapshot_file (snapshot)->leftovers = 2;
  kr_test_snapshot_file (snapshot)->leftover_oldest_utc_us = KR_TEST_UTC_US;
  kr_histogram_observe (&report->syncs, 0.003);
  kr_snapshot_finish (snapshot, NULL);
  text = kr_metrics_to_text (snapshot, &figures);

#define L "{file=\"cam1\",pipeline=\"record\""
  assert_has (text, "keeprolling_build_info{version=\"0.1.0\"} 1");
  assert_has (text, "keeprolling_written_bytes_total" L "} 123456");
  assert_has (text, "keeprolling_source_bitrate_bps" L "} 8000");
  assert_has (text, "keeprolling_last_growth_timestamp_seconds" L "} 1767323044.678");
  assert_has (text, "keeprolling_last_sync_timestamp_seconds" L "} 0");
  assert_has (text, "keeprolling_disk_runway_seconds" L "} -1");
  assert_has (text, "keeprolling_pipeline_state" L ",state=\"playing\"} 1");
  assert_has (text, "keeprolling_pipeline_state" L ",state=\"failed\"} 0");
  assert_has (text, "keeprolling_discontinuities_total" L ",kind=\"jump-back\"} 4");
  assert_has (text, "keeprolling_discontinuities_total" L ",kind=\"gap\"} 0");
  assert_has (text, "keeprolling_restarts_total" L ",layer=\"pipeline\",reason=\"source\"} 2");
  assert_has (text, "keeprolling_restarts_total" L ",layer=\"watchdog\",reason=\"crash\"} 5");
  assert_has (text, "keeprolling_io_errors_total" L ",op=\"fsync\",errno=\"EIO\"} 1");
  assert_has (text, "keeprolling_io_errors_total" L ",op=\"write\",errno=\"EIO\"} 3");
  assert_has (text, "keeprolling_io_errors_total" L ",op=\"write\",errno=\"ENOSPC\"} 0");
  assert_has (text, "keeprolling_dropped_buffers_total" L ",stage=\"sink\"} 8");
  assert_has (text, "keeprolling_dropped_buffers_total" L ",stage=\"regenerator\"} 0");
  assert_has (text, "keeprolling_corrections_total" L ",kind=\"nudged\"} 9");
  assert_has (text, "keeprolling_corrections_total" L ",kind=\"rewritten\"} 0");
  assert_has (text, "keeprolling_overlap_seconds_total" L "} 2.5");
  assert_has (text, "keeprolling_gap_seconds_total" L ",cause=\"disk\"} 4.5");
  assert_has (text, "keeprolling_sync_duration_seconds_bucket" L ",le=\"0.002\"} 0");
  assert_has (text, "keeprolling_sync_duration_seconds_bucket" L ",le=\"0.005\"} 1");
  assert_has (text, "keeprolling_sync_duration_seconds_count" L "} 1");
  assert_has (text, "keeprolling_srt_rtt_seconds" L "} 0.0125");
  assert_has (text,
              "keeprolling_recovery_duration_seconds_bucket{layer=\"watchdog\",le=\"0.5\"} 1");
  assert_has (text,
              "keeprolling_recovery_duration_seconds_bucket{layer=\"watchdog\",le=\"300\"} 1");
  assert_has (text,
              "keeprolling_recovery_duration_seconds_bucket{layer=\"watchdog\",le=\"+Inf\"} 2");
  assert_has (text, "keeprolling_recovery_duration_seconds_sum{layer=\"watchdog\"} 1000.4");
  assert_has (text, "process_resident_memory_bytes{file=\"cam1\",role=\"current\"} 20971520");
  assert_has (text, "process_cpu_seconds_total{file=\"\",role=\"supervisor\"} 0.25");
  assert_has (text, "keeprolling_webhook_queue_length 7");
  assert_has (text, "keeprolling_leftover_files{file=\"cam1\"} 2");
  assert_has (text,
              "keeprolling_leftover_oldest_timestamp_seconds{file=\"cam1\"} 1767323045.678");
#undef L
}

static void
test_labels_are_escaped (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrPipelineReport *report = kr_test_snapshot_report (snapshot);
  g_autofree char *text = NULL;

  g_free (report->camera);
  report->camera = g_strdup ("a\"b\\c\nd");
  kr_snapshot_finish (snapshot, NULL);
  text = kr_metrics_to_text (snapshot, &no_figures);
  g_assert_nonnull (strstr (text, "camera=\"a\\\"b\\\\c\\nd\""));
}

static void
test_histogram (void)
{
  KrHistogram histogram = {0};

  kr_histogram_observe (&histogram, -1);
  g_assert_true (histogram.sum == 0);
  for (guint i = 0; i < KR_HISTOGRAM_BOUNDS; i++)
    kr_histogram_observe (&histogram, kr_histogram_bounds[i]);
  kr_histogram_observe (&histogram, 301);
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS; i++)
    g_assert_cmpuint (histogram.buckets[i], ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/metrics/from-the-start", test_every_family_is_there_from_the_start);
  g_test_add_func ("/core/metrics/list", test_the_list);
  g_test_add_func ("/core/metrics/values", test_values);
  g_test_add_func ("/core/metrics/escaping", test_labels_are_escaped);
  g_test_add_func ("/core/metrics/histogram", test_histogram);
  return g_test_run ();
}
