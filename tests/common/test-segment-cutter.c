/* keeprolling - tests of common/segment-cutter
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-cutter.h"

#include "tests/support/kr-test.h"

#define SECOND G_GUINT64_CONSTANT (1000000000)

static gboolean
next (KrSegmentCutter *cutter, double seconds, gsize size, gboolean delta)
{
  KrCutBuffer buffer = {.time = seconds < 0 ? KR_TIME_NONE : (guint64)(seconds * SECOND),
                        .utc_us = (gint64)(seconds * G_USEC_PER_SEC),
                        .size = size,
                        .delta = delta};

  return kr_segment_cutter_next (cutter, &buffer);
}

static void
test_first_always_cuts (void)
{
  KrSegmentCutter cutter = {0};

  g_assert_true (next (&cutter, 0, 1, TRUE));
  g_assert_false (next (&cutter, 1000, 1000, FALSE));
  kr_segment_cutter_reset (&cutter);
  g_assert_true (next (&cutter, 1001, 1, TRUE));
}

static void
test_time (void)
{
  KrSegmentCutter cutter = {.rules = {.max_time = 10 * SECOND}};

  g_assert_true (next (&cutter, 5, 1, FALSE));
  g_assert_false (next (&cutter, 14.9, 1, FALSE));
  g_assert_false (next (&cutter, 15, 1, TRUE));
  g_assert_false (next (&cutter, -1, 1, FALSE));
  g_assert_true (next (&cutter, 16, 1, FALSE));
  g_assert_false (next (&cutter, 25.9, 1, FALSE));
  /* Stamps that step back are not a long time. */
  g_assert_false (next (&cutter, 3, 1, FALSE));
  g_assert_true (next (&cutter, 26, 1, FALSE));
}

static void
test_first_without_stamp (void)
{
  KrSegmentCutter cutter = {.rules = {.max_time = 10 * SECOND}};

  g_assert_true (next (&cutter, -1, 1, FALSE));
  g_assert_false (next (&cutter, 100, 1, FALSE));
  g_assert_true (next (&cutter, 110, 1, FALSE));
}

static void
test_bytes (void)
{
  KrSegmentCutter cutter = {.rules = {.max_bytes = 100}};

  g_assert_true (next (&cutter, 0, 500, FALSE));
  g_assert_true (next (&cutter, 0, 60, FALSE));
  g_assert_false (next (&cutter, 0, 40, FALSE));
  g_assert_false (next (&cutter, 0, 1, TRUE));
  g_assert_true (next (&cutter, 0, 1, FALSE));
}

static void
test_clock (void)
{
  KrSegmentCutter cutter = {.rules = {.max_time = 60 * SECOND, .align_to_clock = TRUE}};

  g_assert_true (next (&cutter, 59, 1, FALSE));
  g_assert_false (next (&cutter, 59.9, 1, FALSE));
  g_assert_false (next (&cutter, 60, 1, TRUE));
  g_assert_true (next (&cutter, 61, 1, FALSE));
  g_assert_false (next (&cutter, 119.9, 1, FALSE));
  g_assert_true (next (&cutter, 120, 1, FALSE));
  /* The clock is set back by an hour: still cut on multiples. */
  g_assert_true (next (&cutter, 7, 1, FALSE));
  g_assert_false (next (&cutter, 59.9, 1, FALSE));
  g_assert_true (next (&cutter, 60, 1, FALSE));
}

static void
test_clock_local (void)
{
  KrSegmentCutter cutter = {.rules = {.max_time = 86400 * SECOND, .align_to_clock = TRUE}};
  gint64 hour = G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC;
  KrCutBuffer buffer = {.utc_us = 21 * hour, .utc_offset_us = 2 * hour, .size = 1};

  g_assert_true (kr_segment_cutter_next (&cutter, &buffer));
  buffer.utc_us = 22 * hour - 1;
  g_assert_false (kr_segment_cutter_next (&cutter, &buffer));
  buffer.utc_us = 22 * hour;
  g_assert_true (kr_segment_cutter_next (&cutter, &buffer));
  buffer.utc_us = 24 * hour;
  g_assert_false (kr_segment_cutter_next (&cutter, &buffer));
}

static void
test_now (void)
{
  KrSegmentCutter cutter = {0};

  g_assert_true (next (&cutter, 0, 1, FALSE));
  kr_segment_cutter_cut_now (&cutter);
  g_assert_false (next (&cutter, 1, 1, TRUE));
  g_assert_true (next (&cutter, 2, 1, FALSE));
  g_assert_false (next (&cutter, 3, 1, FALSE));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/common/segment-cutter/first", test_first_always_cuts);
  g_test_add_func ("/common/segment-cutter/time", test_time);
  g_test_add_func ("/common/segment-cutter/first-without-stamp", test_first_without_stamp);
  g_test_add_func ("/common/segment-cutter/bytes", test_bytes);
  g_test_add_func ("/common/segment-cutter/clock", test_clock);
  g_test_add_func ("/common/segment-cutter/clock-local", test_clock_local);
  g_test_add_func ("/common/segment-cutter/now", test_now);
  return g_test_run ();
}
