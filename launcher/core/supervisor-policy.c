/* keeprolling - the life of one pipeline file's workers, decided: what Threshold x IntervalSec
 * means SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor-private.h"

#include <string.h>

/* Threshold x IntervalSec, and what follows from it. */
static void
set_pace (KrSupervisorPolicy *policy, gint64 interval)
{
  gint64 whole = interval * policy->threshold;
  gint64 to_decide = whole - MIN (whole / 3, KR_SUPERVISOR_START_SHARE_US);

  policy->hang_limit_us =
      CLAMP (whole / 3 * 2, KR_SUPERVISOR_HANG_MIN_US, KR_SUPERVISOR_HANG_MAX_US);
  policy->storm_wait_us = whole - to_decide;
  policy->look_us = CLAMP (interval / 4, 250 * G_TIME_SPAN_MILLISECOND, 1 * G_TIME_SPAN_SECOND);
  /* The first bad verdict comes within one interval of the fault. */
  policy->interval_us = policy->again_us = interval;
  if (policy->threshold > 1)
    policy->again_us = CLAMP ((to_decide - interval) / (policy->threshold - 1), 0, interval);
  policy->stalled_stop_us =
      CLAMP (whole / 6, 500 * G_TIME_SPAN_MILLISECOND, KR_SUPERVISOR_STALLED_STOP_US);
}

void
kr_supervisor_policy_from_file (KrSupervisorPolicy *policy, const KrPipelineFile *file)
{
  gint64 stop = 0;

  memset (policy, 0, sizeof *policy);
  policy->threshold = MAX (1, file->health.threshold);
  policy->startup_grace_us = file->health.startup_grace_us;
  set_pace (policy, file->health.interval_us);
  policy->timeout_ready_us = file->handover.timeout_ready_us;
  policy->handover_stop_us = file->handover.timeout_stop_us;
  policy->restart = KR_RESTART_NO;
  for (guint i = 0; i < file->pipelines->len; i++) {
    const KrPipelineSpec *spec = file->pipelines->pdata[i];

    stop = MAX (stop, spec->timeout_stop_us);
    policy->restart = MIN (policy->restart, spec->restart);
  }
  /* The worker forces its pipelines at TimeoutStopSec; then it must still get to its exit. */
  policy->timeout_stop_us = stop + 3 * G_TIME_SPAN_SECOND;
}
G_STATIC_ASSERT (KR_RESTART_ALWAYS < KR_RESTART_ON_FAILURE &&
                 KR_RESTART_ON_FAILURE < KR_RESTART_NO);
