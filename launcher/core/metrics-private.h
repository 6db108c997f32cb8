/* keeprolling - the snapshot as Prometheus metrics: what its parts share
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/metrics.h"

/* Where the text grows, and the family that is being written. */
typedef struct {
  GString *text;
  const char *prefix;
  const char *name;
  const KrSnapshot *snapshot;
  const KrProcessFigures *process;
} KrMetricsWriter;

/* A family that is one member of KrPipelineReport. */
typedef enum {
  KR_METRICS_U64,
  KR_METRICS_DOUBLE,
  KR_METRICS_MOMENT,
  KR_METRICS_BITS
} KrMetricsMemberKind;

typedef struct {
  KrMetricsMemberKind kind;
  gsize offset;
} KrMetricsMember;

/* Each writes all series of the family in @w. */
void kr_metrics_emit_member (KrMetricsWriter *w, const KrMetricsMember *member);
void kr_metrics_emit_build_info (KrMetricsWriter *w);
void kr_metrics_emit_pipeline_info (KrMetricsWriter *w);
void kr_metrics_emit_healthy (KrMetricsWriter *w);
void kr_metrics_emit_state (KrMetricsWriter *w);
void kr_metrics_emit_discontinuities (KrMetricsWriter *w);
void kr_metrics_emit_corrections (KrMetricsWriter *w);
void kr_metrics_emit_drops (KrMetricsWriter *w);
void kr_metrics_emit_overlaps (KrMetricsWriter *w);
void kr_metrics_emit_segments (KrMetricsWriter *w);
void kr_metrics_emit_gaps (KrMetricsWriter *w);
void kr_metrics_emit_leftovers (KrMetricsWriter *w);
void kr_metrics_emit_leftover_oldest (KrMetricsWriter *w);
void kr_metrics_emit_handovers (KrMetricsWriter *w);
void kr_metrics_emit_handover_overlap (KrMetricsWriter *w);
void kr_metrics_emit_gap_seconds (KrMetricsWriter *w);
void kr_metrics_emit_io_errors (KrMetricsWriter *w);
void kr_metrics_emit_backoff (KrMetricsWriter *w);
void kr_metrics_emit_srt (KrMetricsWriter *w, const char *name, double scale);
void kr_metrics_emit_restarts (KrMetricsWriter *w);
void kr_metrics_emit_recoveries (KrMetricsWriter *w);
void kr_metrics_emit_syncs (KrMetricsWriter *w);
void kr_metrics_emit_finalises (KrMetricsWriter *w);
void kr_metrics_emit_log_messages (KrMetricsWriter *w);
void kr_metrics_emit_webhooks (KrMetricsWriter *w);
void kr_metrics_emit_webhook_queue (KrMetricsWriter *w);
void kr_metrics_emit_clock_step (KrMetricsWriter *w);
void kr_metrics_emit_cpu (KrMetricsWriter *w);
void kr_metrics_emit_rss (KrMetricsWriter *w);
void kr_metrics_emit_fds (KrMetricsWriter *w);
void kr_metrics_emit_process_start (KrMetricsWriter *w);
