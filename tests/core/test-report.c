/* keeprolling - tests of core/report
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/report.h"

#include "tests/support/kr-test.h"

static void
test_state_names (void)
{
  for (guint i = 0; i < KR_N_PIPELINE_STATES; i++) {
    KrPipelineState state = KR_N_PIPELINE_STATES;

    g_assert_true (kr_pipeline_state_from_name (kr_pipeline_state_name (i), &state));
    g_assert_cmpuint (state, ==, i);
  }
}

static void
test_unknown_name_leaves_output_alone (void)
{
  KrPipelineState state = KR_PIPELINE_PLAYING;

  g_assert_false (kr_pipeline_state_from_name ("dancing", &state));
  g_assert_false (kr_pipeline_state_from_name (NULL, &state));
  g_assert_cmpuint (state, ==, KR_PIPELINE_PLAYING);
}

static void
test_copy_is_independent (void)
{
  g_autoptr (KrPipelineReport) report = kr_pipeline_report_new ("cam1");
  g_autoptr (KrPipelineReport) copy = NULL;

  kr_pipeline_report_count (report->discontinuities, "gap", 2);
  copy = kr_pipeline_report_copy (report);
  kr_pipeline_report_count (report->discontinuities, "gap", 1);

  g_assert_cmpstr (copy->name, ==, "cam1");
  g_assert_cmpuint (g_array_index (copy->discontinuities, KrNamedCount, 0).count, ==, 2);
  g_assert_cmpuint (g_array_index (report->discontinuities, KrNamedCount, 0).count, ==, 3);
}

static void
test_carry_on (void)
{
  g_autoptr (KrPipelineReport) before = kr_pipeline_report_new ("cam1");
  g_autoptr (KrPipelineReport) report = kr_pipeline_report_new ("cam1");

  before->written_bytes = 100;
  before->restarts = 2;
  before->last_growth_utc_us = 50;
  before->last_sync_utc_us = 50;
  before->last_keyframe_utc_us = 3650; /* the clock was set back since */
  before->disk_free_bytes = 7;
  before->state = KR_PIPELINE_FAILED;
  kr_pipeline_report_count (before->discontinuities, "gap", 2);
  report->written_bytes = 11;
  report->last_growth_utc_us = 60;
  report->last_keyframe_utc_us = 61;
  kr_pipeline_report_count (report->discontinuities, "gap", 1);
  kr_pipeline_report_carry_on (report, before);

  g_assert_cmpuint (report->written_bytes, ==, 111);
  g_assert_cmpuint (report->restarts, ==, 2);
  g_assert_cmpint (report->last_growth_utc_us, ==, 60);
  g_assert_cmpint (report->last_sync_utc_us, ==, 50);
  g_assert_cmpint (report->last_keyframe_utc_us, ==, 61);
  g_assert_cmpuint (report->disk_free_bytes, ==, 0);
  g_assert_cmpint (report->state, ==, KR_PIPELINE_IDLE);
  g_assert_cmpuint (g_array_index (report->discontinuities, KrNamedCount, 0).count, ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/report/state-names", test_state_names);
  g_test_add_func ("/core/report/unknown-name", test_unknown_name_leaves_output_alone);
  g_test_add_func ("/core/report/copy", test_copy_is_independent);
  g_test_add_func ("/core/report/carry-on", test_carry_on);
  return g_test_run ();
}
