/* keeprolling - what a worker says beyond its regular reports
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/worker-event.h"

static const char *const kind_names[] = {
    [KR_WORKER_EVENT_RESTART] = "restart",
    [KR_WORKER_EVENT_RECONNECT] = "reconnect",
    [KR_WORKER_EVENT_RECOVERED] = "recovered",
    [KR_WORKER_EVENT_STALL] = "stall",
    [KR_WORKER_EVENT_SEGMENT] = "segment",
    [KR_WORKER_EVENT_DISCONTINUITY] = "discontinuity",
    [KR_WORKER_EVENT_DISK] = "disk",
    [KR_WORKER_EVENT_FAILED] = "failed",
    [KR_WORKER_EVENT_STATE] = "state",
    [KR_WORKER_EVENT_WARNING] = "warning",
};
G_STATIC_ASSERT (G_N_ELEMENTS (kind_names) == KR_N_WORKER_EVENTS);

const char *
kr_worker_event_kind_name (KrWorkerEventKind kind)
{
  g_return_val_if_fail ((guint)kind < KR_N_WORKER_EVENTS, NULL);
  return kind_names[kind];
}

gboolean
kr_worker_event_kind_from_name (const char *name, KrWorkerEventKind *ret_kind)
{
  for (guint i = 0; i < KR_N_WORKER_EVENTS; i++) {
    if (g_strcmp0 (name, kind_names[i]) == 0) {
      *ret_kind = (KrWorkerEventKind)i;
      return TRUE;
    }
  }
  return FALSE;
}
