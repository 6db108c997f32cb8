/* keeprolling - what the probes of an orchestrator ask
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

typedef enum {
  KR_PROBE_STARTUP, /* every file's worker has reported, or ended for good */
  KR_PROBE_LIVE,    /* the supervisor itself makes progress */
  KR_PROBE_READY,   /* everything configured records, and has room to */
  KR_N_PROBES
} KrProbe;

/* A supervisor that has shown nothing new for this long hangs: it takes a snapshot a second. */
#define KR_LIVE_LIMIT_US (10 * G_TIME_SPAN_SECOND)
/* A critical error makes us not ready for this long. */
#define KR_CRITICAL_WINDOW_US (60 * G_TIME_SPAN_SECOND)

/**
 * kr_probe:
 * @snapshot: (nullable): the newest; NULL = there was none yet
 * @probe: which
 * @snapshot_age_us: since it was taken, on a monotonic clock
 * @ret_reason: (out) (transfer full): one line that says why, "ok" if all is well
 *
 * An absent source is no critical error, but while it is absent its pipeline does not record,
 * so readiness is refused. Cheap: looks at the snapshot only.
 *
 * Returns: TRUE for 200, FALSE for 503
 */
gboolean kr_probe (const KrSnapshot *snapshot, KrProbe probe, gint64 snapshot_age_us,
                   char **ret_reason);

G_END_DECLS
