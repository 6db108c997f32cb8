/* keeprolling - what the service manager is told, and when
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/notify-policy.h"

#include "launcher/core/status-line.h"

#define NEVER G_MININT64

void
kr_notify_policy_init (KrNotifyPolicy *policy, gint64 watchdog_us)
{
  *policy = (KrNotifyPolicy){.watchdog_us = watchdog_us,
                             .extended_at = NEVER,
                             .watchdog_at = NEVER,
                             .status_at = NEVER};
}

void
kr_notify_policy_resume (KrNotifyPolicy *policy)
{
  policy->ready = TRUE;
  policy->reloading = TRUE; /* as far as the manager knows */
}

static gboolean
is_due (gint64 last, gint64 period, gint64 now)
{
  return last == NEVER || now - last >= period;
}

/* Whether something waits for a disk that does not answer, while nothing else records. */
static gboolean
io_stands_still (const KrSnapshot *snapshot)
{
  gboolean stuck = FALSE, moves = FALSE;

  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    for (guint k = 0; k < file->pipelines->len; k++) {
      const KrPipelineSnapshot *pipeline = file->pipelines->pdata[k];

      if (pipeline->health.checks[KR_CHECK_SYNC].status == KR_HEALTH_FAIL)
        stuck = TRUE;
      else if (kr_snapshot_pipeline_records (file, pipeline))
        moves = TRUE;
    }
  }
  return stuck && !moves;
}

static void
add_watchdog (KrNotifyPolicy *next, const KrSnapshot *snapshot, gint64 now, GString *lines)
{
  next->withheld = snapshot != NULL && io_stands_still (snapshot);
  if (next->watchdog_us == 0 || next->withheld)
    return;
  /* A period early, so that half of it is never exceeded. */
  if (!is_due (next->watchdog_at, next->watchdog_us / 2 - kr_notify_policy_period (next), now))
    return;
  next->watchdog_at = now;
  g_string_append (lines, "WATCHDOG=1\n");
}

static void
add_state (KrNotifyPolicy *next, const KrSnapshot *snapshot, gboolean reloading, gint64 now,
           GString *lines)
{
  if (snapshot != NULL && snapshot->stopping && !next->stopping) {
    next->stopping = TRUE;
    next->extended_at = NEVER;
    g_string_append (lines, "STOPPING=1\n");
  }
  if (next->stopping)
    return;
  if (reloading && next->ready && !next->reloading) {
    next->reloading = TRUE;
    next->extended_at = NEVER;
    g_string_append_printf (lines, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT "\n", now);
  } else if (!reloading && next->reloading) {
    next->reloading = FALSE;
    g_string_append (lines, "READY=1\n");
  } else if (!next->ready && snapshot != NULL && snapshot->recording) {
    next->ready = TRUE;
    g_string_append (lines, "READY=1\n");
  }
}

static void
add_patience (KrNotifyPolicy *next, gint64 now, GString *lines)
{
  if (next->ready && !next->reloading && !next->stopping)
    return;
  if (!is_due (next->extended_at, KR_NOTIFY_EXTEND_EVERY_US, now))
    return;
  next->extended_at = now;
  g_string_append_printf (lines, "EXTEND_TIMEOUT_USEC=%" G_GINT64_FORMAT "\n",
                          (gint64)KR_NOTIFY_EXTEND_US);
}

static void
add_status (KrNotifyPolicy *next, const KrSnapshot *snapshot, gint64 now, GString *lines)
{
  guint hash = snapshot != NULL ? kr_status_line_hash (snapshot) : 0;
  g_autofree char *line = NULL;

  if (next->status_hash == hash && !is_due (next->status_at, KR_NOTIFY_STATUS_US, now))
    return;
  if (snapshot == NULL && next->status_at != NEVER)
    return;
  next->status_hash = hash;
  next->status_at = now;
  line =
      snapshot != NULL ? kr_status_line (snapshot) : g_strdup ("checking the pipeline files");
  g_string_append_printf (lines, "STATUS=%s\n", line);
}

char *
kr_notify_policy_next (const KrNotifyPolicy *policy, const KrSnapshot *snapshot,
                       gboolean reloading, gint64 now, KrNotifyPolicy *ret_next)
{
  GString *lines = g_string_new (NULL);

  *ret_next = *policy;
  add_state (ret_next, snapshot, reloading, now, lines);
  add_patience (ret_next, now, lines);
  add_watchdog (ret_next, snapshot, now, lines);
  add_status (ret_next, snapshot, now, lines);
  return g_string_free (lines, lines->len == 0);
}

const char *
kr_notify_policy_last_words (KrExitCode exit_code)
{
  switch (exit_code) {
  case KR_EXIT_OK:
    return "STATUS=ended in good order\n";
  case KR_EXIT_USAGE:
    return "STATUS=ended: the command line is wrong, the log says what\n";
  case KR_EXIT_DATA:
    return "STATUS=ended: a pipeline file is wrong, the log says where\n";
  case KR_EXIT_NO_INPUT:
    return "STATUS=ended: a pipeline file is missing or cannot be read, the log says which\n";
  case KR_EXIT_UNAVAILABLE:
    return "STATUS=ended: a source is not available\n";
  case KR_EXIT_CONFIG:
    return "STATUS=ended: the configuration is wrong, the log says what\n";
  case KR_EXIT_TEMP_FAIL:
    return "STATUS=ended: a file was not finished in time, it is recovered at the next start\n";
  case KR_EXIT_FOUND:
  case KR_EXIT_SOFTWARE:
  case KR_EXIT_CANT_CREATE:
  case KR_EXIT_IO:
    break;
  }
  return "STATUS=ended with an error, the log says which\n";
}

gint64
kr_notify_policy_period (const KrNotifyPolicy *policy)
{
  if (policy->watchdog_us == 0)
    return G_TIME_SPAN_SECOND;
  return CLAMP (policy->watchdog_us / 8, 10 * G_TIME_SPAN_MILLISECOND, G_TIME_SPAN_SECOND);
}
