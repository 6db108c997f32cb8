/* keeprolling - what the service manager is told, and when
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/notify-policy.h"

#include <string.h>

#include "launcher/core/status-line.h"
#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND
#define T0     (1000 * SECOND)

/* --- snapshots ------------------------------------------------------------------------- */

static KrFileSnapshot *
add_file (KrSnapshot *snapshot, const char *name, KrSupervisorState state)
{
  KrFileSnapshot *file = kr_file_snapshot_new ("/etc/keeprolling/x.pipeline", name);

  file->state = state;
  g_ptr_array_add (snapshot->files, file);
  return file;
}

static KrPipelineSnapshot *
add_pipeline (KrFileSnapshot *file, const char *name, KrPipelineState state)
{
  KrPipelineSnapshot *pipeline = kr_pipeline_snapshot_new (kr_pipeline_report_new (name));

  pipeline->report->state = state;
  g_ptr_array_add (file->pipelines, pipeline);
  return pipeline;
}

static void
blame (KrPipelineSnapshot *pipeline, KrCheckKind check, KrHealth status, const char *reason)
{
  pipeline->health.status = MAX (pipeline->health.status, status);
  pipeline->health.checks[check].status = status;
  g_strlcpy (pipeline->health.checks[check].reason, reason,
             sizeof pipeline->health.checks[check].reason);
}

static KrSnapshot *
new_snapshot (void)
{
  KrSnapshot *snapshot = kr_snapshot_new ();

  snapshot->taken_utc_us = 5000 * SECOND;
  return snapshot;
}

/* One file with one pipeline that records, or whose source is absent. */
static KrSnapshot *
one_camera (gboolean records)
{
  KrSnapshot *snapshot = new_snapshot ();
  KrFileSnapshot *file =
      add_file (snapshot, "cam1", records ? KR_SUPERVISOR_RUNNING : KR_SUPERVISOR_STARTING);
  KrPipelineSnapshot *pipeline =
      add_pipeline (file, "record", records ? KR_PIPELINE_PLAYING : KR_PIPELINE_RECONNECTING);

  if (!records)
    blame (pipeline, KR_CHECK_STATE, KR_HEALTH_WARN, "the source is absent");
  kr_snapshot_finish (snapshot, NULL);
  return snapshot;
}

/* What is said at @now; it reaches the manager. */
static char *
say (KrNotifyPolicy *policy, const KrSnapshot *snapshot, gint64 now)
{
  KrNotifyPolicy next;
  char *lines = kr_notify_policy_next (policy, snapshot, FALSE, now, &next);

  *policy = next;
  return lines != NULL ? lines : g_strdup ("");
}

static void
assert_says (KrNotifyPolicy *policy, const KrSnapshot *snapshot, gint64 now, const char *lines)
{
  g_autofree char *said = say (policy, snapshot, now);

  g_assert_cmpstr (said, ==, lines);
}

/* --- the status line ------------------------------------------------------------------- */

static void
assert_line (const KrSnapshot *snapshot, const char *expected)
{
  g_autofree char *line = kr_status_line (snapshot);

  g_assert_cmpstr (line, ==, expected);
}

static void
test_line_good (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (TRUE);

  assert_line (snapshot, "recording 1 of 1");
  snapshot->stopping = TRUE;
  assert_line (snapshot, "stopping, finishing the files; recording 1 of 1");
}

static void
test_line_troubles (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (TRUE);
  KrFileSnapshot *file = add_file (snapshot, "cam2", KR_SUPERVISOR_RUNNING);
  KrPipelineSnapshot *silent = add_pipeline (file, "record", KR_PIPELINE_RECONNECTING);

  blame (silent, KR_CHECK_STATE, KR_HEALTH_WARN, "the source is absent");
  assert_line (snapshot, "recording 1 of 2; cam2: source not there yet");
  silent->report->last_buffer_utc_us = snapshot->taken_utc_us - 12 * SECOND;
  assert_line (snapshot, "recording 1 of 2; cam2: source silent for 12 s");

  /* Several pipelines in one file need their names, and the worst comes first. */
  blame (add_pipeline (file, "audio", KR_PIPELINE_PLAYING), KR_CHECK_GROWTH, KR_HEALTH_FAIL,
         "not growing (no-growth)");
  assert_line (snapshot, "recording 2 of 3; cam2/audio: not growing (no-growth); "
                         "cam2/record: source silent for 12 s");
}

static void
test_line_files (void)
{
  g_autoptr (KrSnapshot) snapshot = new_snapshot ();
  KrFileSnapshot *file = add_file (snapshot, "cam1", KR_SUPERVISOR_BACKOFF);

  add_pipeline (file, "record", KR_PIPELINE_PLAYING);
  file->next_start_utc_us = snapshot->taken_utc_us + 4 * SECOND;
  g_free (file->last_reason);
  file->last_reason = g_strdup ("killed by signal 9\nand so on");
  assert_line (snapshot,
               "recording 0 of 1; cam1: starts again in 4 s (killed by signal 9 and so on)");
  file->state = KR_SUPERVISOR_GAVE_UP;
  assert_line (snapshot, "recording 0 of 1; cam1: given up (killed by signal 9 and so on)");
  file->state = KR_SUPERVISOR_STOPPED;
  assert_line (snapshot, "recording 0 of 1");
}

static void
test_line_is_bounded (void)
{
  g_autoptr (KrSnapshot) snapshot = new_snapshot ();
  g_autofree char *line = NULL;

  for (guint i = 0; i < 100; i++) {
    g_autofree char *name = g_strdup_printf ("cam%u", i);
    KrFileSnapshot *file = add_file (snapshot, name, KR_SUPERVISOR_RUNNING);

    blame (add_pipeline (file, "record", KR_PIPELINE_PLAYING), KR_CHECK_DISK, KR_HEALTH_FAIL,
           "the disk is full");
  }
  line = kr_status_line (snapshot);
  g_assert_true (g_str_has_suffix (line, "; and 97 more"));
  g_assert_cmpuint (strlen (line), <, 1024);
}

static void
test_hash (void)
{
  g_autoptr (KrSnapshot) one = one_camera (FALSE);
  g_autoptr (KrSnapshot) later = one_camera (FALSE);
  g_autoptr (KrSnapshot) other = one_camera (TRUE);

  later->taken_utc_us += 7 * SECOND;
  g_assert_cmpuint (kr_status_line_hash (one), ==, kr_status_line_hash (later));
  g_assert_cmpuint (kr_status_line_hash (one), !=, kr_status_line_hash (other));
}

/* --- the policy ------------------------------------------------------------------------ */

static void
test_ready_once_it_records (void)
{
  g_autoptr (KrSnapshot) absent = one_camera (FALSE);
  g_autoptr (KrSnapshot) there = one_camera (TRUE);
  KrNotifyPolicy policy;

  kr_notify_policy_init (&policy, 0);
  assert_says (&policy, NULL, T0,
               "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=checking the pipeline files\n");
  assert_says (&policy, NULL, T0 + SECOND, "");
  assert_says (&policy, absent, T0 + 2 * SECOND,
               "STATUS=recording 0 of 1; cam1: source not there yet\n");
  /* For as long as it takes, the manager is asked to wait on. */
  for (guint i = 1; i < 100; i++) {
    g_autofree char *said = say (&policy, absent, T0 + i * 5 * SECOND);

    g_assert_nonnull (strstr (said, "EXTEND_TIMEOUT_USEC=30000000\n"));
    g_assert_null (strstr (said, "READY"));
  }
  assert_says (&policy, there, T0 + 500 * SECOND, "READY=1\nSTATUS=recording 1 of 1\n");
  /* And not again, nor is the manager asked for patience. */
  assert_says (&policy, there, T0 + 501 * SECOND, "");
  assert_says (&policy, there, T0 + 505 * SECOND, "STATUS=recording 1 of 1\n");
  assert_says (&policy, absent, T0 + 506 * SECOND,
               "STATUS=recording 0 of 1; cam1: source not there yet\n");
  assert_says (&policy, there, T0 + 507 * SECOND, "STATUS=recording 1 of 1\n");
}

static void
test_stopping (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (TRUE);
  KrNotifyPolicy policy;

  kr_notify_policy_init (&policy, 0);
  g_free (say (&policy, snapshot, T0));
  snapshot->stopping = TRUE;
  assert_says (&policy, snapshot, T0 + SECOND,
               "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\n"
               "STATUS=stopping, finishing the files; recording 1 of 1\n");
  assert_says (&policy, snapshot, T0 + 2 * SECOND, "");
  assert_says (&policy, snapshot, T0 + 6 * SECOND,
               "EXTEND_TIMEOUT_USEC=30000000\n"
               "STATUS=stopping, finishing the files; recording 1 of 1\n");
}

static void
test_stopped_before_ready (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (FALSE);
  KrNotifyPolicy policy;
  g_autofree char *said = NULL;

  kr_notify_policy_init (&policy, 0);
  g_free (say (&policy, snapshot, T0));
  snapshot->stopping = TRUE;
  snapshot->recording = TRUE;
  said = say (&policy, snapshot, T0 + SECOND);
  g_assert_true (g_str_has_prefix (said, "STOPPING=1\n"));
  g_assert_null (strstr (said, "READY"));
}

static void
test_reloading (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (TRUE);
  KrNotifyPolicy policy, next;
  g_autofree char *begin = NULL;
  g_autofree char *end = NULL;

  kr_notify_policy_init (&policy, 0);
  g_free (say (&policy, snapshot, T0));
  begin = kr_notify_policy_next (&policy, snapshot, TRUE, T0 + SECOND, &next);
  g_assert_cmpstr (begin, ==,
                   "RELOADING=1\nMONOTONIC_USEC=1001000000\n"
                   "EXTEND_TIMEOUT_USEC=30000000\n");
  policy = next;
  end = kr_notify_policy_next (&policy, snapshot, FALSE, T0 + 2 * SECOND, &next);
  g_assert_cmpstr (end, ==, "READY=1\n");
}

/* Another program has become this one, and just then no source is there. */
static void
test_resumed (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (FALSE);
  KrNotifyPolicy policy;
  g_autofree char *said = NULL;

  kr_notify_policy_init (&policy, 0);
  kr_notify_policy_resume (&policy);
  said = say (&policy, snapshot, T0);
  g_assert_true (g_str_has_prefix (said, "READY=1\n"));
  g_assert_null (strstr (said, "EXTEND_TIMEOUT_USEC"));
}

/* A manager whose socket is full gets to hear it later. */
static void
test_not_sent (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (TRUE);
  KrNotifyPolicy policy, next;

  kr_notify_policy_init (&policy, 0);
  for (guint i = 0; i < 3; i++) {
    g_autofree char *lines =
        kr_notify_policy_next (&policy, snapshot, FALSE, T0 + i * SECOND, &next);

    g_assert_true (g_str_has_prefix (lines, "READY=1\n"));
  }
}

/* The longest time without WATCHDOG=1 over ten minutes of asking as often as is wanted. */
static gint64
longest_silence (const KrSnapshot *snapshot, gint64 watchdog_us)
{
  KrNotifyPolicy policy;
  gint64 last = T0, longest = 0;

  kr_notify_policy_init (&policy, watchdog_us);
  for (gint64 now = T0; now < T0 + 600 * SECOND; now += kr_notify_policy_period (&policy)) {
    g_autofree char *said = say (&policy, snapshot, now);

    longest = MAX (longest, now - last);
    if (strstr (said, "WATCHDOG=1\n") != NULL)
      last = now;
  }
  return longest;
}

static void
test_watchdog (void)
{
  g_autoptr (KrSnapshot) there = one_camera (TRUE);
  g_autoptr (KrSnapshot) absent = one_camera (FALSE);
  const gint64 limits[] = {200 * G_TIME_SPAN_MILLISECOND, SECOND, 3 * SECOND, 30 * SECOND};

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++) {
    g_assert_cmpint (longest_silence (there, limits[i]), <=, limits[i] / 2);
    /* Not tied to a source being there. */
    g_assert_cmpint (longest_silence (absent, limits[i]), <=, limits[i] / 2);
  }
  g_assert_cmpint (longest_silence (there, 0), >, 590 * SECOND);
  /* It is not asked for more often than it needs to be. */
  {
    KrNotifyPolicy policy;

    kr_notify_policy_init (&policy, 30 * SECOND);
    g_assert_cmpint (kr_notify_policy_period (&policy), ==, SECOND);
  }
}

static void
test_watchdog_and_disks (void)
{
  g_autoptr (KrSnapshot) snapshot = one_camera (TRUE);
  KrFileSnapshot *cam1 = snapshot->files->pdata[0];
  KrFileSnapshot *cam2;

  blame (cam1->pipelines->pdata[0], KR_CHECK_SYNC, KR_HEALTH_WARN, "slow");
  g_assert_cmpint (longest_silence (snapshot, 10 * SECOND), <=, 5 * SECOND);
  blame (cam1->pipelines->pdata[0], KR_CHECK_SYNC, KR_HEALTH_FAIL, "no answer");
  g_assert_cmpint (longest_silence (snapshot, 10 * SECOND), >, 590 * SECOND);

  /* Another one records: that one is not to suffer. */
  cam2 = add_file (snapshot, "cam2", KR_SUPERVISOR_RUNNING);
  add_pipeline (cam2, "record", KR_PIPELINE_PLAYING);
  g_assert_cmpint (longest_silence (snapshot, 10 * SECOND), <=, 5 * SECOND);
}

/* Each tells of itself alone, in one line that is not empty. */
static void
test_last_words (void)
{
  const KrExitCode codes[] = {KR_EXIT_OK,          KR_EXIT_USAGE,   KR_EXIT_DATA,
                              KR_EXIT_NO_INPUT,    KR_EXIT_CONFIG,  KR_EXIT_TEMP_FAIL,
                              KR_EXIT_UNAVAILABLE, KR_EXIT_SOFTWARE};

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    const char *words = kr_notify_policy_last_words (codes[i]);

    g_assert_true (g_str_has_prefix (words, "STATUS=ended"));
    g_assert_cmpint (strchr (words, '\n') - words, ==, strlen (words) - 1);
    for (guint k = 0; k < i; k++)
      g_assert_cmpstr (words, !=, kr_notify_policy_last_words (codes[k]));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/status-line/good", test_line_good);
  g_test_add_func ("/status-line/troubles", test_line_troubles);
  g_test_add_func ("/status-line/files", test_line_files);
  g_test_add_func ("/status-line/bounded", test_line_is_bounded);
  g_test_add_func ("/status-line/hash", test_hash);
  g_test_add_func ("/notify-policy/ready-once-it-records", test_ready_once_it_records);
  g_test_add_func ("/notify-policy/stopping", test_stopping);
  g_test_add_func ("/notify-policy/stopped-before-ready", test_stopped_before_ready);
  g_test_add_func ("/notify-policy/reloading", test_reloading);
  g_test_add_func ("/notify-policy/resumed", test_resumed);
  g_test_add_func ("/notify-policy/not-sent", test_not_sent);
  g_test_add_func ("/notify-policy/watchdog", test_watchdog);
  g_test_add_func ("/notify-policy/watchdog-and-disks", test_watchdog_and_disks);
  g_test_add_func ("/notify-policy/last-words", test_last_words);
  return g_test_run ();
}
