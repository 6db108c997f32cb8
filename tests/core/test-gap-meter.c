/* keeprolling - tests of core/gap-meter
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/gap-meter.h"

#include "tests/support/kr-test.h"

#define S     G_TIME_SPAN_SECOND
#define START (G_GINT64_CONSTANT (1700000000) * S)

typedef struct {
  KrGapMeter *meter;
  KrPipelineReport *report;
  guint worker;
  gint64 now;
  KrGap gap;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->meter = kr_gap_meter_new ();
  f->report = kr_pipeline_report_new ("cam1");
  f->report->state = KR_PIPELINE_PLAYING;
  f->worker = 1;
  f->now = START;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  kr_gap_meter_free (f->meter);
  kr_pipeline_report_free (f->report);
}

/* @seconds reports; with data until the moment of each, or with none. */
static gboolean
pass (Fixture *f, guint seconds, gboolean data)
{
  gboolean ended = FALSE;

  for (guint i = 0; i < seconds; i++) {
    f->now += S;
    if (data)
      f->report->last_buffer_utc_us = f->now - S / 50;
    ended |= kr_gap_meter_sample (f->meter, f->report, f->worker, f->now, &f->gap);
  }
  return ended;
}

/* The source was away for 1.4 s, just between two reports. */
static void
test_a_short_outage_between_reports (Fixture *f, gconstpointer data)
{
  f->report->sources = 1;
  pass (f, 10, TRUE);
  f->now += S;
  f->report->last_buffer_utc_us = f->now - 6 * S / 10;
  g_assert_false (kr_gap_meter_sample (f->meter, f->report, f->worker, f->now, &f->gap));
  f->now += S;
  f->report->last_buffer_utc_us = f->now;
  f->report->reconnects++;
  f->report->last_recovery_s = 1.4;
  g_assert_true (kr_gap_meter_sample (f->meter, f->report, f->worker, f->now, &f->gap));
  g_assert_cmpint (f->gap.cause, ==, KR_GAP_SOURCE);
  g_assert_cmpint (f->gap.end_utc_us - f->gap.start_utc_us, ==, 14 * S / 10);
  g_assert_false (pass (f, 10, TRUE));
  /* The file saw less of it than the source. */
  f->now += S;
  f->report->last_buffer_utc_us += 138 * S / 100;
  f->report->reconnects++;
  g_assert_true (kr_gap_meter_sample (f->meter, f->report, f->worker, f->now, &f->gap));
  g_assert_cmpint (f->gap.end_utc_us - f->gap.start_utc_us, ==, 138 * S / 100);
  /* Its data are there a report before the news of its return. */
  f->now += S;
  f->report->last_buffer_utc_us += 145 * S / 100;
  f->report->reconnects++;
  f->report->sources_silent = 1;
  g_assert_false (kr_gap_meter_sample (f->meter, f->report, f->worker, f->now, &f->gap));
  f->now += S;
  f->report->last_buffer_utc_us += S;
  f->report->sources_silent = 0;
  g_assert_true (kr_gap_meter_sample (f->meter, f->report, f->worker, f->now, &f->gap));
  g_assert_cmpint (f->gap.end_utc_us - f->gap.start_utc_us, ==, 14 * S / 10);
  f->now += S;
  /* One of two sources: the other one went on. */
  f->report->sources = 2;
  f->report->reconnects++;
  g_assert_false (pass (f, 10, TRUE));
  g_assert_cmpuint (kr_gap_meter_recent (f->meter, f->now).count, ==, 3);
}

static double
length (const KrGap *gap)
{
  return (double)(gap->end_utc_us - gap->start_utc_us) / S;
}

static void
test_steady_data_leave_no_gap (Fixture *f, gconstpointer data)
{
  g_assert_false (pass (f, 1000, TRUE));
  g_assert_cmpuint (kr_gap_meter_recent (f->meter, f->now).count, ==, 0);
}

static void
test_nothing_counts_before_the_first_data (Fixture *f, gconstpointer data)
{
  f->report->state = KR_PIPELINE_RECONNECTING;
  g_assert_false (pass (f, 500, FALSE));
  g_assert_cmpint (kr_gap_meter_open_since (f->meter), ==, 0);
  g_assert_false (pass (f, 5, TRUE));
}

static void
test_an_absent_source (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->report->state = KR_PIPELINE_RECONNECTING;
  g_assert_false (pass (f, 7, FALSE));
  g_assert_cmpint (kr_gap_meter_open_since (f->meter), ==, START + 10 * S - S / 50);
  g_assert_cmpfloat_with_epsilon (kr_gap_meter_recent (f->meter, f->now).seconds, 7.02, 0.001);

  f->report->state = KR_PIPELINE_PLAYING;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpint (f->gap.cause, ==, KR_GAP_SOURCE);
  g_assert_cmpfloat_with_epsilon (length (&f->gap), 8.0, 0.001);
  g_assert_cmpuint (kr_gap_meter_total (f->meter, KR_GAP_SOURCE).count, ==, 1);
  g_assert_cmpint (kr_gap_meter_open_since (f->meter), ==, 0);
}

/* The report that tells of the last data tells of the silence, too. */
static void
test_a_source_that_has_just_left (Fixture *f, gconstpointer data)
{
  f->report->sources = 1;
  pass (f, 10, TRUE);
  f->report->state = KR_PIPELINE_RECONNECTING;
  f->report->sources_silent = 1;
  f->report->reconnects = 1;
  f->report->last_buffer_utc_us += S / 10;
  g_assert_false (pass (f, 1, FALSE));
  g_assert_cmpint (kr_gap_meter_open_since (f->meter), ==, 0);
  g_assert_false (pass (f, 1, FALSE));
  g_assert_cmpint (kr_gap_meter_open_since (f->meter), ==, f->report->last_buffer_utc_us);
  f->report->sources_silent = 0;
  f->report->state = KR_PIPELINE_PLAYING;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpint (f->gap.cause, ==, KR_GAP_SOURCE);
}

static void
test_a_pipeline_without_data (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->report->state = KR_PIPELINE_BACKOFF;
  pass (f, 3, FALSE);
  f->report->state = KR_PIPELINE_PLAYING;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpint (f->gap.cause, ==, KR_GAP_PIPELINE);
}

static void
test_a_worker_that_is_gone (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  for (guint i = 0; i < 4; i++)
    kr_gap_meter_sample (f->meter, NULL, 1, f->now += S, NULL);
  f->worker = 2;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpint (f->gap.cause, ==, KR_GAP_WORKER);
  g_assert_cmpfloat_with_epsilon (length (&f->gap), 5.0, 0.001);
}

/* The first report of the next one has no data yet, but carries on the stamps of the one that
 * hung: that must not end the gap. */
static void
test_a_worker_that_hung (Fixture *f, gconstpointer data)
{
  f->report->sources = 1;
  pass (f, 10, TRUE);
  pass (f, 5, FALSE);
  f->worker = 2;
  f->report->state = KR_PIPELINE_STARTING;
  g_assert_false (pass (f, 1, FALSE));
  f->report->state = KR_PIPELINE_PLAYING;
  f->report->reconnects++;
  f->report->last_recovery_s = 1.2;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpfloat_with_epsilon (length (&f->gap), 7.0, 0.001);
  g_assert_cmpuint (kr_gap_meter_recent (f->meter, f->now).count, ==, 1);
}

static void
test_a_quick_replacement_leaves_no_gap (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->worker = 2;
  g_assert_false (pass (f, 10, TRUE));
}

static void
test_a_full_disk_though_data_come (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->report->disk_full = TRUE;
  g_assert_false (pass (f, 20, TRUE));
  f->report->disk_full = FALSE;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpint (f->gap.cause, ==, KR_GAP_DISK);
  g_assert_cmpfloat_with_epsilon (length (&f->gap), 21.0, 0.001);
}

static void
test_a_stop_is_no_gap (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->report->state = KR_PIPELINE_STOPPING;
  pass (f, 5, FALSE);
  f->report->state = KR_PIPELINE_STOPPED;
  pass (f, 100, FALSE);
  f->report->state = KR_PIPELINE_PLAYING;
  g_assert_false (pass (f, 10, TRUE));
}

static void
test_a_clock_set_back_invents_nothing (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->now -= 3600 * S;
  g_assert_false (pass (f, 5, TRUE));
  f->worker = 2;
  g_assert_false (pass (f, 10, TRUE));
}

/* By three hours, in the middle of an outage of seven seconds. */
static void
test_a_clock_that_is_set_makes_no_gap_longer (Fixture *f, gconstpointer data)
{
  pass (f, 10, TRUE);
  f->report->state = KR_PIPELINE_RECONNECTING;
  pass (f, 3, FALSE);
  f->now += 10800 * S;
  f->report->sources = f->report->sources_silent = 1;
  f->report->reconnects++;
  kr_gap_meter_shift (f->meter, 10800 * S);
  pass (f, 1, FALSE);
  /* The worker tells the old moment anew. */
  f->report->last_buffer_utc_us += 10800 * S + 3;
  pass (f, 2, FALSE);
  g_assert_cmpint (kr_gap_meter_open_since (f->meter), !=, 0);
  f->report->state = KR_PIPELINE_PLAYING;
  g_assert_true (pass (f, 1, TRUE));
  g_assert_cmpfloat_with_epsilon (length (&f->gap), 7.0, 0.001);
  f->now -= 86400 * S;
  kr_gap_meter_shift (f->meter, -86400 * S);
  pass (f, 3, TRUE);
  g_assert_cmpuint (kr_gap_meter_recent (f->meter, f->now).count, ==, 1);
}

static void
test_the_window_forgets (Fixture *f, gconstpointer data)
{
  KrGapTotal recent;

  pass (f, 1, TRUE);
  for (guint i = 0; i < KR_GAP_WINDOW_MAX + 100; i++) {
    f->report->state = KR_PIPELINE_RECONNECTING;
    pass (f, 3, FALSE);
    f->report->state = KR_PIPELINE_PLAYING;
    g_assert_true (pass (f, 1, TRUE));
  }
  g_assert_cmpuint (kr_gap_meter_total (f->meter, KR_GAP_SOURCE).count, ==,
                    KR_GAP_WINDOW_MAX + 100);
  recent = kr_gap_meter_recent (f->meter, f->now);
  g_assert_cmpuint (recent.count, ==, KR_GAP_WINDOW_MAX);
  recent = kr_gap_meter_recent (f->meter, f->now + KR_GAP_WINDOW_US);
  g_assert_cmpuint (recent.count, ==, 0);
}

/* A replacement, then a handover a minute later: counted while both record, and not in between.
 */
static void
test_two_workers (Fixture *f, gconstpointer data)
{
  static const guint recorders[] = {1, 1, 2, 2, 2, 1, 0, 1, 1, 3, 1};

  for (guint i = 0; i < G_N_ELEMENTS (recorders); i++)
    kr_gap_meter_note_recorders (f->meter, recorders[i], START + i * S - S / 2, START + i * S);
  g_assert_cmpfloat (kr_gap_meter_overlap (f->meter), ==, 3 + 0.5 + 1 + 0.5);
  /* A clock that was set invents nothing. */
  kr_gap_meter_note_recorders (f->meter, 2, START, START + 3600 * S);
  kr_gap_meter_note_recorders (f->meter, 1, START, START);
  g_assert_cmpfloat (kr_gap_meter_overlap (f->meter), ==, 15);
  kr_gap_meter_note_recorders (f->meter, 2, START, START);
  kr_gap_meter_shift (f->meter, 3600 * S);
  kr_gap_meter_note_recorders (f->meter, 1, START, START + 3601 * S);
  g_assert_cmpfloat (kr_gap_meter_overlap (f->meter), ==, 16);
}

#define ADD(name, function)                                                                    \
  g_test_add ("/core/gap-meter/" name, Fixture, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  ADD ("steady", test_steady_data_leave_no_gap);
  ADD ("before-first-data", test_nothing_counts_before_the_first_data);
  ADD ("source", test_an_absent_source);
  ADD ("just-left", test_a_source_that_has_just_left);
  ADD ("short-outage", test_a_short_outage_between_reports);
  ADD ("pipeline", test_a_pipeline_without_data);
  ADD ("worker", test_a_worker_that_is_gone);
  ADD ("hung-worker", test_a_worker_that_hung);
  ADD ("quick-replacement", test_a_quick_replacement_leaves_no_gap);
  ADD ("disk-full", test_a_full_disk_though_data_come);
  ADD ("stop", test_a_stop_is_no_gap);
  ADD ("clock-set-back", test_a_clock_set_back_invents_nothing);
  ADD ("two-workers", test_two_workers);
  ADD ("clock-set", test_a_clock_that_is_set_makes_no_gap_longer);
  ADD ("window", test_the_window_forgets);
  return g_test_run ();
}
