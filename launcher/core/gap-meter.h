/* keeprolling - how much of the live time is missing from the recording
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/report.h"

G_BEGIN_DECLS

/* Watches the reports of one pipeline, over restarts and replacements of its worker, and counts
 * the times in which nothing was recorded. It sees a report each second, so the ends of a gap
 * are exact to about a second; the recordings themselves say it exactly. */

/* Shorter ones are no gaps: a frame late, a network hiccup. */
#define KR_GAP_MIN_US G_TIME_SPAN_SECOND
/* News of a worker that has begun to record come this late at most. */
#define KR_GAP_MAX_NEWS_US (10 * G_TIME_SPAN_SECOND)
/* How far back kr_gap_meter_recent() looks, and how many gaps it can tell apart. */
#define KR_GAP_WINDOW_US  (24 * G_TIME_SPAN_HOUR)
#define KR_GAP_WINDOW_MAX 512

typedef enum {
  KR_GAP_SOURCE,   /* the source sent nothing */
  KR_GAP_PIPELINE, /* the pipeline was rebuilt, or stood still */
  KR_GAP_WORKER,   /* its process died, hung or was replaced */
  KR_GAP_DISK,     /* the disk was full */
  KR_N_GAP_CAUSES
} KrGapCause;

/* "source", "pipeline", "worker", "disk" */
const char *kr_gap_cause_name (KrGapCause cause);

/* Moments are UTC microseconds. */
typedef struct {
  gint64 start_utc_us;
  gint64 end_utc_us;
  KrGapCause cause;
} KrGap;

typedef struct {
  guint64 count;
  double seconds;
} KrGapTotal;

typedef struct _KrGapMeter KrGapMeter;

KrGapMeter *kr_gap_meter_new (void);
void kr_gap_meter_free (KrGapMeter *meter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrGapMeter, kr_gap_meter_free)

/**
 * kr_gap_meter_sample:
 * @meter: a meter
 * @report: (nullable): the newest report; NULL = there is no worker, or it says nothing
 * @worker: a number that is another one for another process
 * @now_utc_us: the moment of the report
 * @ret_gap: (out) (optional): the gap that has just ended
 *
 * Nothing counts before the first data: a camera that was never there leaves no gap. Nothing
 * counts while the pipeline stops or is stopped as asked.
 *
 * Returns: TRUE if a gap has just ended
 */
gboolean kr_gap_meter_sample (KrGapMeter *meter, const KrPipelineReport *report, guint worker,
                              gint64 now_utc_us, KrGap *ret_gap);

/**
 * kr_gap_meter_note_recorders:
 * @meter: a meter
 * @n: how many workers record this pipeline now
 * @since: when the newest of them began to; what is known late is counted all the same
 * @now: the moment; UTC microseconds, as @since
 *
 * Counts the other way round: the time in which more than one worker recorded.
 */
void kr_gap_meter_note_recorders (KrGapMeter *meter, guint n, gint64 since, gint64 now);
/* Seconds. */
double kr_gap_meter_overlap (const KrGapMeter *meter);

/* The wall clock was set by @delta_us: what went before is told by the new one. */
void kr_gap_meter_shift (KrGapMeter *meter, gint64 delta_us);

/* All ended gaps of one cause. */
KrGapTotal kr_gap_meter_total (const KrGapMeter *meter, KrGapCause cause);
/* Those of the last 24 hours, and the part of the present one. */
KrGapTotal kr_gap_meter_recent (const KrGapMeter *meter, gint64 now_utc_us);
/* Since when nothing is recorded, 0 = it is. */
gint64 kr_gap_meter_open_since (const KrGapMeter *meter);

G_END_DECLS
