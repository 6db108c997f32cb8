/* keeprolling - what a worker tells its supervisor about one pipeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "plugins/common/histogram.h"

G_BEGIN_DECLS

/* The states of one pipeline. core/pipeline-policy declares which follow which. */
typedef enum {
  KR_PIPELINE_IDLE,         /* not started yet */
  KR_PIPELINE_STARTING,     /* state change to PLAYING under way */
  KR_PIPELINE_PLAYING,      /* data flows */
  KR_PIPELINE_RECONNECTING, /* the source is silent and is being reconnected; all else runs */
  KR_PIPELINE_BACKOFF,      /* waits before the next start */
  KR_PIPELINE_STOPPING,     /* EOS is on its way, or teardown before a restart */
  KR_PIPELINE_STOPPED,      /* ended as asked, or done with Restart=no */
  KR_PIPELINE_FAILED,       /* start limit reached, or a configuration error: layer 2's turn */
  KR_N_PIPELINE_STATES
} KrPipelineState;

/* "playing" etc.; the words of status, metrics and logs. */
const char *kr_pipeline_state_name (KrPipelineState state);
/* Returns FALSE and leaves @ret_state alone if no state has that name. */
gboolean kr_pipeline_state_from_name (const char *name, KrPipelineState *ret_state);

/* A count by name, e.g. discontinuities by kind. The names come from the fixed lists of
 * messages.h and core, so the table cannot grow without bound. */
typedef struct {
  const char *name; /* interned */
  guint64 count;
} KrNamedCount;

/* A measured value by name; the names come from a fixed list too. */
typedef struct {
  const char *name; /* interned */
  double value;
} KrNamedValue;

/* A snapshot of one pipeline. Counters only ever grow within one worker process. Moments are
 * UTC microseconds (g_get_real_time), 0 = never. */
typedef struct {
  char *name;
  char *camera;
  KrPipelineState state;
  gint64 since_utc_us;      /* of the state */
  gint64 next_start_utc_us; /* 0 unless in back-off */

  /* data */
  guint64 received_bytes;
  guint64 written_bytes;
  guint64 durable_bytes;
  guint64 dropped_bytes;
  guint64 dropped_buffers;
  guint64 buffers;
  guint64 keyframes;
  double rate; /* bytes per second, as the growth monitor sees it */
  gint64 last_buffer_utc_us;
  gint64 last_keyframe_utc_us;
  gint64 last_growth_utc_us;
  gint64 last_sync_utc_us;
  gboolean has_growth; /* a growthmonitorsink reports */
  gboolean stalled;
  char *stall_reason; /* KR_STALL_*, NULL unless stalled */

  /* the open segment */
  char *segment_path; /* NULL = none */
  guint64 segment_bytes;
  guint64 segment_durable_bytes;
  gint64 segment_started_utc_us;
  guint64 segments_clean, segments_recovered, segments_quarantined;

  /* disk */
  gboolean disk_full;
  guint64 disk_free_bytes;
  double disk_runway_s;  /* at the present rate; < 0 = unknown */
  KrHistogram syncs;     /* how long each took */
  KrHistogram finalises; /* the same: sync, rename, sync of the folder */
  GArray *drops;         /* of KrNamedCount: dropped_buffers by kr_drop_stages */
  GArray *io_errors;     /* of KrNamedCount: "OPERATION ERRNO", such as "fdatasync EIO" */

  /* time */
  double drift_ppm;
  GArray *discontinuities; /* of KrNamedCount: by kind */
  guint64 corrections;
  GArray *correction_kinds; /* of KrNamedCount: by kr_correction_kinds; they overlap */

  /* live sources */
  guint sources;        /* how many the pipeline has */
  guint sources_silent; /* how many of them deliver nothing at present */
  GArray *source_stats; /* of KrNamedValue: what srtsrc tells, see kr_srt_stats */

  /* layer 1 */
  guint64 restarts;       /* rebuilds of the pipeline */
  GArray *restart_causes; /* of KrNamedCount: the same by kr_cause_name() */
  guint64 reconnects;     /* of its source alone */
  char *last_reason;      /* of the last restart or reconnect; "" = none */
  double last_recovery_s; /* from the fault to data flowing again; < 0 = never */
  /* What hangs: ages in microseconds, 0 = nothing does. */
  gint64 blocked_us;  /* a source has not come back from what is behind it for so long */
  gint64 teardown_us; /* the pipeline is being taken down after a fault for so long */
  char *blocked_by;   /* name of the element that holds it up, NULL = nobody knows */
  guint64
      abandoned; /* pipelines and sources that hung in a state change and were left behind */
} KrPipelineReport;

/* Where buffers can be dropped, and what happens to stamps. Each ends with NULL. */
extern const char *const kr_drop_stages[];
extern const char *const kr_correction_kinds[];

#define KR_DROP_SINK "sink" /* atomicfilesink: the disk is full, or too slow */
#define KR_DROP_REGENERATOR                                                                    \
  "regenerator" /* before the first keyframe, or without a place in time */

#define KR_CORRECTION_REWRITTEN   "rewritten"   /* mpegtsregen: a stamp in the stream */
#define KR_CORRECTION_ADJUSTED    "adjusted"    /* timestampregen: more than mapped */
#define KR_CORRECTION_NUDGED      "nudged"      /* raised, so that time does not go back */
#define KR_CORRECTION_OUTLIER     "outlier"     /* not believed, and it came to nothing */
#define KR_CORRECTION_SYNTHESIZED "synthesized" /* there was no DTS */
#define KR_CORRECTION_DUPLICATED  "duplicated"  /* cfr: a frame for want of one */

KrPipelineReport *kr_pipeline_report_new (const char *name);
KrPipelineReport *kr_pipeline_report_copy (const KrPipelineReport *report);
void kr_pipeline_report_free (KrPipelineReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrPipelineReport, kr_pipeline_report_free)

/**
 * kr_pipeline_report_carry_on:
 * @report: of a worker
 * @before: of one that was there before it, or is there beside it
 *
 * Adds the counters of @before to those of @report, and takes over the moments that @report does
 * not know yet: what people see goes on over the replacement of a worker. Not the later ones: the
 * wall clock may have been set back in between.
 */
void kr_pipeline_report_carry_on (KrPipelineReport *report, const KrPipelineReport *before);

void kr_pipeline_report_count (GArray *counts, const char *name, guint64 n);
/* 0 if nothing of that name was counted */
guint64 kr_pipeline_report_get_count (const GArray *counts, const char *name);

/* What KrPipelineReport.source_stats can hold: names of libsrt's statistics as srtsrc gives
 * them. Counts are of the present connection and start again with the next one; they are sums
 * over the sources of the pipeline, the others are the largest of them. */
typedef struct {
  const char *name;
  gboolean is_count;
} KrSrtStat;

/* Ends with a NULL name. */
extern const KrSrtStat kr_srt_stats[];

/* Merges one source's @value into @values, a GArray of KrNamedValue. */
void kr_pipeline_report_add_value (GArray *values, const KrSrtStat *stat, double value);

G_END_DECLS
