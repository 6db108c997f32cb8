/* keeprolling - what the probes of an orchestrator ask
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/readiness.h"

static gboolean
refuse (char **ret_reason, char *reason)
{
  *ret_reason = reason;
  return FALSE;
}

static gboolean
probe_startup (const KrSnapshot *snapshot, char **ret_reason)
{
  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    if (file->pipelines->len == 0 && !kr_supervisor_state_is_final (file->state))
      return refuse (ret_reason, g_strdup_printf ("%s has not reported yet", file->name));
  }
  return TRUE;
}

static gboolean
probe_pipeline (const KrFileSnapshot *file, const KrPipelineSnapshot *pipeline,
                char **ret_reason)
{
  const KrPipelineReport *report = pipeline->report;

  if (report->disk_full)
    return refuse (ret_reason,
                   g_strdup_printf ("%s/%s: the disk is full", file->name, report->name));
  if (report->stalled)
    return refuse (ret_reason, g_strdup_printf ("%s/%s is stalled: %s", file->name,
                                                report->name, report->stall_reason));
  if (report->state != KR_PIPELINE_PLAYING)
    return refuse (ret_reason, g_strdup_printf ("%s/%s is %s", file->name, report->name,
                                                kr_pipeline_state_name (report->state)));
  return TRUE;
}

/* What a person would want to look at: a worker that died or was replaced, not a source that
 * went away and came back. */
static gboolean
probe_history (const KrSnapshot *snapshot, char **ret_reason)
{
  for (guint i = snapshot->history->len; i > 0; i--) {
    const KrRecovery *recovery = snapshot->history->pdata[i - 1];

    if (snapshot->taken_utc_us - recovery->utc_us > KR_CRITICAL_WINDOW_US)
      break;
    if (recovery->layer == KR_LAYER_WATCHDOG && kr_recovery_is_fault (recovery))
      return refuse (ret_reason,
                     g_strdup_printf ("%s: %s within the last minute: %s", recovery->file,
                                      recovery->kind, recovery->reason));
  }
  return TRUE;
}

static gboolean
probe_ready (const KrSnapshot *snapshot, char **ret_reason)
{
  if (snapshot->stopping)
    return refuse (ret_reason, g_strdup ("stopping"));
  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    for (guint k = 0; k < file->pipelines->len; k++)
      if (!probe_pipeline (file, file->pipelines->pdata[k], ret_reason))
        return FALSE;
  }
  if (!snapshot->ready)
    return refuse (ret_reason, g_strdup ("not everything records yet"));
  return probe_history (snapshot, ret_reason);
}

gboolean
kr_probe (const KrSnapshot *snapshot, KrProbe probe, gint64 snapshot_age_us, char **ret_reason)
{
  gboolean good = TRUE;

  *ret_reason = NULL;
  if (snapshot == NULL)
    return refuse (ret_reason, g_strdup ("starting"));
  switch (probe) {
  case KR_PROBE_STARTUP:
    good = probe_startup (snapshot, ret_reason);
    break;
  case KR_PROBE_LIVE:
    if (snapshot_age_us > KR_LIVE_LIMIT_US)
      return refuse (ret_reason, g_strdup_printf ("the supervisor has stood still for %.1f s",
                                                  (double)snapshot_age_us / 1e6));
    break;
  case KR_PROBE_READY:
    good = probe_ready (snapshot, ret_reason);
    break;
  case KR_N_PROBES:
    g_return_val_if_reached (FALSE);
  }
  if (good)
    *ret_reason = g_strdup ("ok");
  return good;
}
