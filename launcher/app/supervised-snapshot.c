/* keeprolling - one pipeline file and its workers: as others see it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

static void
snapshot_workers (const KrSupervised *s, KrFileSnapshot *snapshot, gint64 now)
{
  for (guint role = 0; role < KR_N_WORKER_ROLES; role++) {
    for (guint i = 0; i < s->workers->len; i++) {
      KrWorkerRole its_role;
      const KrWorker *worker = s->workers->pdata[i];

      if (kr_supervisor_role (&s->machine, worker->serial, &its_role) && its_role == role)
        g_ptr_array_add (snapshot->workers, kr_worker_take_snapshot (worker, role, now));
    }
  }
}

static void
fill_in_gaps (KrPipelineSnapshot *pipeline, const KrGapMeter *meter, gint64 now_utc_us)
{
  for (guint i = 0; i < KR_N_GAP_CAUSES; i++)
    pipeline->gaps[i] = kr_gap_meter_total (meter, i);
  pipeline->overlap_s = kr_gap_meter_overlap (meter);
  pipeline->gaps_24h = kr_gap_meter_recent (meter, now_utc_us);
  pipeline->gap_since_utc_us = kr_gap_meter_open_since (meter);
}

KrFileSnapshot *
kr_supervised_take_snapshot (const KrSupervised *s)
{
  KrFileSnapshot *snapshot = kr_file_snapshot_new (s->file->path, kr_supervised_get_name (s));
  gint64 now = g_get_monotonic_time ();
  gint64 to_utc = g_get_real_time () - now;
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);

  snapshot->state = s->machine.state;
  snapshot->since_utc_us = s->machine.since + to_utc;
  if (s->machine.state == KR_SUPERVISOR_BACKOFF)
    snapshot->next_start_utc_us = s->machine.deadline + to_utc;
  snapshot->exit_code = s->machine.exit_code;
  snapshot->is_final = kr_supervised_is_final (s);
  snapshot->killed = s->had_to_kill;
  snapshot->consecutive_bad = s->machine.bad;
  snapshot->threshold = s->machine.policy.threshold;
  snapshot->verdict = s->verdict;
  snapshot->crashes = s->machine.crashes + s->machine.hangs;
  snapshot->replacements = s->machine.replacements;
  g_free (snapshot->last_reason);
  snapshot->last_reason = g_strdup (s->last_reason);
  snapshot->last_recovery_s = s->last_recovery_s;
  snapshot->leftovers = s->leftovers;
  snapshot->leftover_oldest_utc_us = s->leftover_oldest_utc_us;
  snapshot->handovers = s->handovers;
  snapshot->handovers.stage = s->handover.stage;
  snapshot->handovers.last_text = g_strdup (s->handovers.last_text);
  snapshot_workers (s, snapshot, now);
  for (guint i = 0; i < s->before->len; i++) {
    KrPipelineSnapshot *pipeline = kr_pipeline_snapshot_new (
        kr_supervised_merge_reports (s, current, s->before->pdata[i]));

    pipeline->health = s->health[i];
    pipeline->unproven =
        current != NULL && !kr_worker_has_proof (current, i, pipeline->report, now);
    fill_in_gaps (pipeline, s->gaps->pdata[i], g_get_real_time ());
    g_ptr_array_add (snapshot->pipelines, pipeline);
  }
  return snapshot;
}
