/* keeprolling - tests of services/status-json
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/status-json.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "tests/support/kr-snapshots.h"
#include "tests/support/kr-test.h"

/* The node at @path, such as "$.pipelines[0].name"; it must be there, once. */
static JsonNode *
find (JsonNode *root, const char *path)
{
  g_autoptr (JsonNode) matches = json_path_query (path, root, NULL);
  JsonArray *array;

  g_assert_nonnull (matches);
  array = json_node_get_array (matches);
  if (json_array_get_length (array) != 1)
    g_error ("%s: found %u times", path, json_array_get_length (array));
  return json_node_copy (json_array_get_element (array, 0));
}

static void
assert_is (JsonNode *root, const char *path, const char *expected)
{
  g_autoptr (JsonNode) node = find (root, path);
  g_autofree char *text = json_to_string (node, FALSE);

  if (!g_str_equal (text, expected))
    g_error ("%s is %s, not %s", path, text, expected);
}

static JsonNode *
render (KrSnapshot *snapshot, KrStatusDetail detail)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  JsonNode *root;

  kr_snapshot_finish (snapshot, NULL);
  text = kr_status_to_json (snapshot, detail);
  g_assert_null (strchr (text, '\n'));
  root = json_from_string (text, &error);
  g_assert_no_error (error);
  return root;
}

static void
test_health (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrPipelineSnapshot *pipeline = kr_test_snapshot_file (snapshot)->pipelines->pdata[0];
  KrCheck *growth = &pipeline->health.checks[KR_CHECK_GROWTH];
  g_autoptr (JsonNode) root = NULL;

  *growth = (KrCheck){.status = KR_HEALTH_FAIL, .age_s = 6.5, .limit_s = 5, .reason = "why"};
  pipeline->gaps_24h = (KrGapTotal){2, 3.5};
  root = render (snapshot, KR_STATUS_HEALTH);
  assert_is (root, "$.status", "\"pass\"");
  assert_is (root, "$.version", "\"0.1.0\"");
  assert_is (root, "$.uptime_s", "90.0");
  assert_is (root, "$.time", "\"2026-01-02T03:04:05.678Z\"");
  assert_is (root, "$.pipelines[0].name", "\"record\"");
  assert_is (root, "$.pipelines[0].file", "\"cam1\"");
  assert_is (root, "$.pipelines[0].state", "\"playing\"");
  assert_is (root, "$.pipelines[0].threshold", "3");
  assert_is (root, "$.pipelines[0].checks.growth.status", "\"fail\"");
  assert_is (root, "$.pipelines[0].checks.growth.age_s", "6.5");
  assert_is (root, "$.pipelines[0].checks.growth.limit_s", "5.0");
  assert_is (root, "$.pipelines[0].checks.growth.reason", "\"why\"");
  assert_is (root, "$.pipelines[0].restarts.next_in_s", "null");
  assert_is (root, "$.pipelines[0].segment.path", "\"rec/a.ts\"");
  assert_is (root, "$.pipelines[0].gaps_24h.count", "2");
  assert_is (root, "$.pipelines[0].gaps_24h.seconds", "3.5");
  g_assert_false (json_object_has_member (json_node_get_object (root), "history"));
}

static void
test_full (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrPipelineReport *report = kr_test_snapshot_report (snapshot);
  g_autoptr (JsonNode) root = NULL;

  kr_pipeline_report_count (report->discontinuities, "jump-back", 4);
  report->next_start_utc_us = KR_TEST_UTC_US + 2500 * G_TIME_SPAN_MILLISECOND;
  g_ptr_array_add (snapshot->history,
                   kr_recovery_new (KR_TEST_UTC_US, KR_LAYER_WATCHDOG, "cam1", "", "crash",
                                    "killed by signal 9", -1));
  root = render (snapshot, KR_STATUS_FULL);
  assert_is (root, "$.pipelines[0].data.bitrate_bps", "8000.0");
  assert_is (root, "$.pipelines[0].data.last_sync", "null");
  assert_is (root, "$.pipelines[0].discontinuities['jump-back']", "4");
  assert_is (root, "$.pipelines[0].restarts.next_in_s", "2.5");
  assert_is (root, "$.files[0].workers[0].pid", "4711");
  assert_is (root, "$.history[0].layer", "\"watchdog\"");
  assert_is (root, "$.history[0].seconds", "null");
}

/* No number that JSON cannot say, whatever a report carries. */
static void
test_odd_numbers (void)
{
  g_autoptr (KrSnapshot) snapshot = kr_test_snapshot_new ();
  KrPipelineReport *report = kr_test_snapshot_report (snapshot);
  g_autoptr (JsonNode) root = NULL;

  report->drift_ppm = NAN;
  report->rate = INFINITY;
  report->received_bytes = G_MAXUINT64;
  report->last_buffer_utc_us = G_MAXINT64;
  root = render (snapshot, KR_STATUS_FULL);
  assert_is (root, "$.pipelines[0].data.drift_ppm", "null");
  assert_is (root, "$.pipelines[0].data.bitrate_bps", "null");
  assert_is (root, "$.pipelines[0].data.received_bytes", "9223372036854775807");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/services/status-json/health", test_health);
  g_test_add_func ("/services/status-json/full", test_full);
  g_test_add_func ("/services/status-json/odd-numbers", test_odd_numbers);
  return g_test_run ();
}
