/* keeprolling - tests of core/health
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/health.h"

#include <string.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

#define NOW    (G_GINT64_CONSTANT (1700000000) * G_USEC_PER_SEC)
#define SECOND G_TIME_SPAN_SECOND
#define MIB    (1024 * 1024)

typedef struct {
  KrHealthSpec spec;
  KrPipelineReport *report;
  KrWorkerSample sample;
  KrHealthReport result;
  KrHealthVerdict verdict;
} Case;

/* A recording in the best of health. */
static void
set_up (Case *c, gconstpointer data)
{
  memset (c, 0, sizeof *c);
  c->spec.interval_us = 10 * SECOND;
  c->spec.threshold = 3;
  c->spec.memory_max = 500 * MIB;
  c->spec.check_url = g_strdup ("http://127.0.0.1/live");
  c->report = kr_pipeline_report_new ("cam1");
  c->report->state = KR_PIPELINE_PLAYING;
  c->report->since_utc_us = NOW - 3600 * SECOND;
  c->report->has_growth = TRUE;
  c->report->sources = 1;
  c->report->last_growth_utc_us = NOW - SECOND;
  c->report->last_buffer_utc_us = NOW - SECOND / 50;
  c->report->last_keyframe_utc_us = NOW - 2 * SECOND;
  c->report->last_sync_utc_us = NOW - 3 * SECOND;
  c->report->disk_runway_s = 86400;
  c->sample.now_utc_us = NOW;
  c->sample.heartbeat_age_us = SECOND;
  c->sample.hang_limit_us = 20 * SECOND;
  c->sample.has_rss = TRUE;
  c->sample.rss = 30 * MIB;
  c->sample.io_age_us = -1;
  c->sample.destination.done = TRUE;
  c->sample.destination.http = 200;
}

static void
tear_down (Case *c, gconstpointer data)
{
  kr_pipeline_report_free (c->report);
  g_free (c->spec.check_url);
}

static void
judge (Case *c)
{
  const char *const names[] = {"cam1"};

  kr_health_judge (&c->spec, NULL, c->report, &c->sample, &c->result);
  kr_health_sum_up (&c->result, names, 1, &c->verdict);
  g_assert_cmpint (c->verdict.status, ==, c->result.status);
}

static void
assert_check (Case *c, KrCheckKind kind, KrHealth status, gboolean counts, const char *word)
{
  const KrCheck *check;

  judge (c);
  check = &c->result.checks[kind];
  if (check->status != status || check->counts != counts ||
      strstr (check->reason, word) == NULL)
    g_error ("%s is %s%s (%s)", kr_check_name (kind), kr_health_name (check->status),
             check->counts ? ", counts" : "", check->reason);
  /* What is bad comes out in the verdict, by name. */
  g_assert_cmpint (c->verdict.bad, ==, counts);
  if (status == KR_HEALTH_FAIL && counts) {
    g_assert_nonnull (strstr (c->verdict.reason, word));
    g_assert_true (g_str_has_prefix (c->verdict.reason, "cam1: "));
  }
}

static void
test_all_well (Case *c, gconstpointer data)
{
  judge (c);
  g_assert_cmpint (c->result.status, ==, KR_HEALTH_PASS);
  g_assert_false (c->verdict.bad);
  g_assert_cmpstr (c->verdict.reason, ==, "");
  g_assert_cmpfloat (c->result.checks[KR_CHECK_GROWTH].age_s, ==, 1);
  g_assert_cmpfloat (c->result.checks[KR_CHECK_GROWTH].limit_s, ==, 5);
  g_assert_cmpfloat (c->result.checks[KR_CHECK_SYNC].age_s, ==, 3);
  g_assert_cmpfloat (c->result.checks[KR_CHECK_DISK].runway_s, ==, 86400);
  g_assert_cmpuint (c->result.checks[KR_CHECK_MEMORY].bytes, ==, 30 * MIB);
  g_assert_cmpint (c->result.checks[KR_CHECK_DESTINATION].http, ==, 200);
}

static void
test_stalled (Case *c, gconstpointer data)
{
  c->report->stalled = TRUE;
  c->report->stall_reason = g_strdup (KR_STALL_NO_GROWTH);
  c->report->last_growth_utc_us = NOW - 7 * SECOND;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_FAIL, TRUE, "no-growth");
  /* Not a fault of the worker's: */
  c->sample.in_grace = TRUE;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "yet");
  c->sample.in_grace = FALSE;
  c->report->sources_silent = 1;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "source is absent");
  c->report->sources_silent = 0;
  c->report->disk_full = TRUE;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "disk is full");
  assert_check (c, KR_CHECK_DISK, KR_HEALTH_FAIL, FALSE, "full");
  c->report->disk_full = FALSE;
  c->report->state = KR_PIPELINE_BACKOFF;
  c->report->next_start_utc_us = NOW + SECOND;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "restarted");
}

/* The operator's to cure, at the encoder: no reason to replace the worker. */
static void
test_wrong_stream (Case *c, gconstpointer data)
{
  c->report->stalled = TRUE;
  c->report->stall_reason = g_strdup (KR_STALL_NOT_TS);
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "delivers no transport stream");
  g_free (c->report->last_reason);
  c->report->last_reason = g_strdup ("srtsrc0 delivers FLV");
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "not growing: srtsrc0 delivers FLV");
  c->report->has_growth = FALSE;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "not growing: srtsrc0 delivers FLV");
}

static void
test_growth_ages (Case *c, gconstpointer data)
{
  /* An hour, because the clock was set: the monitor has not complained. */
  c->report->last_growth_utc_us = NOW - 3600 * SECOND;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_WARN, FALSE, "has not grown for 3600");
  c->report->last_growth_utc_us = NOW + 3600 * SECOND;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_PASS, FALSE, "");
  g_assert_cmpfloat (c->result.checks[KR_CHECK_GROWTH].age_s, ==, 0);
  c->report->has_growth = FALSE;
  c->report->stalled = TRUE;
  assert_check (c, KR_CHECK_GROWTH, KR_HEALTH_PASS, FALSE, "not watched");
}

static void
test_keyframes (Case *c, gconstpointer data)
{
  c->report->last_keyframe_utc_us = NOW - 11 * SECOND;
  assert_check (c, KR_CHECK_KEYFRAME, KR_HEALTH_WARN, FALSE, "no keyframe");
  c->report->last_keyframe_utc_us = 0; /* sound alone */
  assert_check (c, KR_CHECK_KEYFRAME, KR_HEALTH_PASS, FALSE, "");
  g_assert_cmpfloat (c->result.checks[KR_CHECK_KEYFRAME].age_s, <, 0);
  c->report->stalled = TRUE;
  c->report->stall_reason = g_strdup (KR_STALL_NO_KEYFRAME);
  assert_check (c, KR_CHECK_KEYFRAME, KR_HEALTH_FAIL, TRUE, "no-keyframe");
  g_assert_cmpint (c->result.checks[KR_CHECK_GROWTH].status, ==, KR_HEALTH_PASS);
}

static void
test_disk (Case *c, gconstpointer data)
{
  c->report->disk_runway_s = 3599;
  assert_check (c, KR_CHECK_DISK, KR_HEALTH_WARN, FALSE, "60 min");
  c->report->disk_runway_s = -1;
  assert_check (c, KR_CHECK_DISK, KR_HEALTH_PASS, FALSE, "");
  c->sample.io_age_us = 11 * SECOND;
  assert_check (c, KR_CHECK_SYNC, KR_HEALTH_WARN, FALSE, "disk has not answered");
  c->sample.io_age_us = 31 * SECOND;
  assert_check (c, KR_CHECK_SYNC, KR_HEALTH_FAIL, FALSE, "disk has not answered");
}

static void
test_memory (Case *c, gconstpointer data)
{
  c->sample.rss = 451 * MIB;
  assert_check (c, KR_CHECK_MEMORY, KR_HEALTH_WARN, FALSE, "memory");
  c->sample.rss = 501 * MIB;
  assert_check (c, KR_CHECK_MEMORY, KR_HEALTH_FAIL, TRUE, "memory");
  g_assert_true (c->verdict.harmful);
  g_assert_false (c->verdict.at_once);
  c->sample.rss = 1002 * (guint64)MIB;
  judge (c);
  g_assert_true (c->verdict.at_once);
  c->sample.has_rss = FALSE;
  assert_check (c, KR_CHECK_MEMORY, KR_HEALTH_PASS, FALSE, "counts as healthy");
  c->sample.has_rss = TRUE;
  c->spec.memory_max = 0;
  assert_check (c, KR_CHECK_MEMORY, KR_HEALTH_PASS, FALSE, "");
}

static void
test_destination (Case *c, gconstpointer data)
{
  c->sample.destination.http = 404;
  assert_check (c, KR_CHECK_DESTINATION, KR_HEALTH_FAIL, TRUE, "404");
  g_assert_false (c->verdict.harmful);
  c->sample.destination.http = 0;
  assert_check (c, KR_CHECK_DESTINATION, KR_HEALTH_FAIL, TRUE, "does not answer");
  c->sample.in_grace = TRUE;
  assert_check (c, KR_CHECK_DESTINATION, KR_HEALTH_WARN, FALSE, "does not answer so far");
  c->sample.destination.http = 404;
  assert_check (c, KR_CHECK_DESTINATION, KR_HEALTH_WARN, FALSE, "answers 404 so far");
  c->sample.in_grace = FALSE;
  /* The asking itself failed. */
  c->sample.destination.done = FALSE;
  g_strlcpy (c->sample.destination.error, "no descriptors left", 64);
  assert_check (c, KR_CHECK_DESTINATION, KR_HEALTH_PASS, FALSE, "no descriptors left");
}

static void
test_heartbeat (Case *c, gconstpointer data)
{
  c->sample.heartbeat_age_us = 4 * SECOND;
  assert_check (c, KR_CHECK_HEARTBEAT, KR_HEALTH_WARN, FALSE, "has not reported");
  c->sample.heartbeat_age_us = 21 * SECOND;
  assert_check (c, KR_CHECK_HEARTBEAT, KR_HEALTH_FAIL, FALSE, "has not reported");
}

/* A person must see it, though all is well between two deaths. But it is no bad verdict: that
 * would only replace the worker that records. */
static void
test_restart_storm (Case *c, gconstpointer data)
{
  c->sample.brief = KR_BRIEF_WARN - 1;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_PASS, FALSE, "");
  c->sample.brief = KR_BRIEF_WARN;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_WARN, FALSE, "3 workers in a row");
  c->sample.brief = 13;
  c->sample.storm = TRUE;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_FAIL, FALSE, "restart storm: 13");
}

static void
test_states (Case *c, gconstpointer data)
{
  static const struct {
    KrPipelineState state;
    gint64 age_s;
    KrHealth status;
    gboolean counts;
  } rows[] = {
      {KR_PIPELINE_PLAYING, 100000, KR_HEALTH_PASS, FALSE},
      {KR_PIPELINE_STOPPED, 100000, KR_HEALTH_PASS, FALSE},
      {KR_PIPELINE_IDLE, 1, KR_HEALTH_WARN, FALSE},
      {KR_PIPELINE_STARTING, 49, KR_HEALTH_WARN, FALSE},
      {KR_PIPELINE_STARTING, 51, KR_HEALTH_FAIL, TRUE},
      {KR_PIPELINE_STOPPING, 44, KR_HEALTH_WARN, FALSE},
      {KR_PIPELINE_STOPPING, 46, KR_HEALTH_FAIL, TRUE},
      {KR_PIPELINE_RECONNECTING, 100000, KR_HEALTH_WARN, FALSE},
      {KR_PIPELINE_FAILED, 0, KR_HEALTH_FAIL, TRUE},
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    c->report->state = rows[i].state;
    c->report->since_utc_us = NOW - rows[i].age_s * SECOND;
    assert_check (c, KR_CHECK_STATE, rows[i].status, rows[i].counts, "");
  }
  g_assert_true (c->verdict.at_once); /* the failed one, last in the list */

  c->report->state = KR_PIPELINE_BACKOFF;
  c->report->next_start_utc_us = NOW + 25 * SECOND;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_WARN, FALSE, "backoff");
  c->report->next_start_utc_us = NOW - 31 * SECOND;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_FAIL, TRUE, "stuck");
  c->report->state = KR_PIPELINE_PLAYING;
  c->report->abandoned = 1;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_FAIL, TRUE, "hang");
  g_assert_false (c->verdict.at_once); /* it records all the same */
  c->report->sources_silent = 1;
  judge (c);
  g_assert_true (c->verdict.at_once);
}

/* What hangs is a fact: no need to see it Threshold times, and no use in asking it to end. */
static void
test_hangs (Case *c, gconstpointer data)
{
  c->report->blocked_us = 8 * SECOND;
  c->report->blocked_by = g_strdup ("x264enc0");
  judge (c);
  g_assert_cmpint (c->result.status, ==, KR_HEALTH_PASS);
  c->report->blocked_us = 12 * SECOND;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_WARN, FALSE, "through x264enc0 for 12.0 s");
  c->report->blocked_us = 20 * SECOND;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_FAIL, TRUE, "x264enc0 hangs");
  g_assert_true (c->verdict.at_once && c->verdict.stuck);
  g_assert_cmpfloat (c->verdict.fault_age_s, ==, 20);

  /* Layer 1 is at it, and cannot do it. */
  c->report->state = KR_PIPELINE_STOPPING;
  c->report->since_utc_us = NOW - 4 * SECOND;
  c->report->blocked_us = 8 * SECOND;
  c->report->teardown_us = 4 * SECOND;
  judge (c);
  g_assert_false (c->verdict.bad);
  c->report->teardown_us = 5 * SECOND;
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_FAIL, TRUE, "x264enc0 hangs: the pipeline cannot");
  g_assert_true (c->verdict.at_once && c->verdict.stuck);
  g_assert_cmpfloat (c->verdict.fault_age_s, ==, 8);
  g_clear_pointer (&c->report->blocked_by, g_free);
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_FAIL, TRUE, "an element hangs");

  /* With a short IntervalSec all of it is shorter. */
  c->sample.hang_limit_us = 2 * SECOND;
  c->report->teardown_us = SECOND / 2;
  judge (c);
  g_assert_true (c->verdict.at_once && c->verdict.stuck);
}

static void
test_no_report (Case *c, gconstpointer data)
{
  g_clear_pointer (&c->report, kr_pipeline_report_free);
  assert_check (c, KR_CHECK_STATE, KR_HEALTH_WARN, FALSE, "no report yet");
}

static void
test_sum_names_the_worst (Case *c, gconstpointer data)
{
  const char *const names[] = {"one", "two", "three"};
  KrHealthReport reports[3];
  KrHealthVerdict verdict;

  judge (c);
  reports[0] = c->result;
  c->report->disk_full = TRUE; /* fails, does not count */
  judge (c);
  reports[1] = c->result;
  c->report->disk_full = FALSE;
  c->report->state = KR_PIPELINE_FAILED;
  g_free (c->report->last_reason);
  c->report->last_reason = g_strdup ("10 errors");
  judge (c);
  reports[2] = c->result;
  kr_health_sum_up (reports, names, 3, &verdict);
  g_assert_cmpint (verdict.status, ==, KR_HEALTH_FAIL);
  g_assert_true (verdict.bad && verdict.at_once && !verdict.harmful);
  g_assert_cmpstr (verdict.reason, ==, "three: the pipeline has failed: 10 errors");
}

static void
test_long_reasons (Case *c, gconstpointer data)
{
  GString *reason = g_string_new (NULL);

  for (guint i = 0; i < 300; i++)
    g_string_append (reason, "ü");
  c->report->state = KR_PIPELINE_FAILED;
  g_free (c->report->last_reason);
  c->report->last_reason = g_string_free (reason, FALSE);
  judge (c);
  g_assert_true (g_utf8_validate (c->result.checks[KR_CHECK_STATE].reason, -1, NULL));
  g_assert_true (g_utf8_validate (c->verdict.reason, -1, NULL));
}

#define ADD(name, function)                                                                    \
  g_test_add ("/core/health/" name, Case, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  ADD ("all-well", test_all_well);
  ADD ("stalled", test_stalled);
  ADD ("wrong-stream", test_wrong_stream);
  ADD ("growth-ages", test_growth_ages);
  ADD ("keyframes", test_keyframes);
  ADD ("disk", test_disk);
  ADD ("memory", test_memory);
  ADD ("destination", test_destination);
  ADD ("heartbeat", test_heartbeat);
  ADD ("restart-storm", test_restart_storm);
  ADD ("states", test_states);
  ADD ("hangs", test_hangs);
  ADD ("no-report", test_no_report);
  ADD ("sum", test_sum_names_the_worst);
  ADD ("long-reasons", test_long_reasons);
  return g_test_run ();
}
