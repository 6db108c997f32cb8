/* keeprolling - whether a pipeline that nobody watches has been playing for a while
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/report.h"

G_BEGIN_DECLS

/* PLAYING alone proves little: an element may fail with the first buffer that reaches it. Where
 * a growth monitor tells of a file that has grown there is proof; without one this is what
 * there is. */
#define KR_STEADY_US (2 * G_TIME_SPAN_SECOND)

/* Plain data. */
typedef struct {
  gint64 since;     /* monotonic microseconds of the first report of it; 0 = does not play */
  guint64 restarts; /* as of that report */
} KrSteadiness;

/**
 * kr_steadiness_update:
 * @steadiness: zeros at first
 * @report: (nullable): the newest; NULL = none
 * @now: monotonic microseconds
 *
 * By our own clock, not by the wall clock of the report, which may be set. A pipeline that was
 * rebuilt between two reports, both of which say that it plays, begins afresh.
 */
void kr_steadiness_update (KrSteadiness *steadiness, const KrPipelineReport *report,
                           gint64 now);

/* Whether it has been playing for KR_STEADY_US. */
gboolean kr_steadiness_is_steady (const KrSteadiness *steadiness, gint64 now);

G_END_DECLS
