/* keeprolling - whether a pipeline that nobody watches has been playing for a while
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/steadiness.h"

void
kr_steadiness_update (KrSteadiness *steadiness, const KrPipelineReport *report, gint64 now)
{
  if (report == NULL || report->state != KR_PIPELINE_PLAYING || report->stalled) {
    steadiness->since = 0;
    return;
  }
  if (steadiness->since == 0 || report->restarts != steadiness->restarts)
    steadiness->since = now;
  steadiness->restarts = report->restarts;
}

gboolean
kr_steadiness_is_steady (const KrSteadiness *steadiness, gint64 now)
{
  return steadiness->since != 0 && now - steadiness->since >= KR_STEADY_US;
}
