/* keeprolling - timing and continuity of a transport stream, in the terms of TR 101 290
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-tables.h"

G_BEGIN_DECLS

/**
 * SECTION:ts-analysis
 *
 * Bytes in, findings out. Limits and names are those of ETSI TR 101 290, with what it does not
 * cover added: the distance of DTS and PCR, lip-sync, gaps and overlaps of coded audio. Memory
 * is bounded, so a stream may be as long as it likes. No I/O, no clock, no thread of its own.
 */

typedef enum {
  KR_TS_SYNC_LOSS,
  KR_TS_TEI,
  KR_TS_CC,
  KR_TS_CRC,
  KR_TS_PAT_INTERVAL,
  KR_TS_PMT_INTERVAL,
  KR_TS_PID_MISSING,
  KR_TS_PMT_CHANGE,
  KR_TS_PCR_INTERVAL,
  KR_TS_PCR_DISCONT,
  KR_TS_PCR_BACKWARD,
  KR_TS_PCR_MISSING,
  KR_TS_NO_PTS,
  KR_TS_PTS_INTERVAL700,
  KR_TS_PTS_LT_DTS,
  KR_TS_DTS_EQUAL,
  KR_TS_DTS_BACK,
  KR_TS_DTS_GAP,
  KR_TS_PTS_DUP,
  KR_TS_PTS_GAP,
  KR_TS_LATE_DTS,
  KR_TS_LEAD_BIG,
  KR_TS_DUP_PES,
  KR_TS_AV_STEP,
  KR_TS_AUDIO_GAP,
  KR_TS_AUDIO_OVERLAP,
  KR_TS_AUDIO_DRIFT,
  KR_TS_AUDIO_BADSYNC,
  KR_TS_N_FINDINGS
} KrTsFindingKind;

/* "cc", "pcr_backward" etc. */
const char *kr_ts_finding_name (KrTsFindingKind kind);
/* "1.4 Continuity_count_error"; "" where TR 101 290 has no such check. */
const char *kr_ts_finding_title (KrTsFindingKind kind);
/* @name may end in "_signalled": right behind a discontinuity_indicator. */
gboolean kr_ts_finding_from_name (const char *name, KrTsFindingKind *ret_kind,
                                  gboolean *ret_signalled);

typedef struct {
  gdouble video_gap_ms;       /* 200 */
  gdouble audio_gap_ms;       /* 400 */
  gdouble audio_tolerance_ms; /* 4: PTS against coded samples */
  gdouble drift_ppm;          /* 500 */
  gdouble skew_ms;            /* 100: a step of lip-sync */
  gdouble pcr_ms;             /* 100 */
  gdouble psi_ms;             /* 500 */
  gdouble lead_ms;            /* 10000: DTS - PCR */
} KrTsLimits;

void kr_ts_limits_init (KrTsLimits *limits);

#define KR_TS_MAX_NOTES 8

/* One finding. `value` is in ms unless `unit` says otherwise. */
typedef struct {
  guint64 packet;
  guint pid;
  gboolean has_value;
  gdouble value;
  const char *unit; /* "ms", "ppm", "bytes", "counter" */
  guint expected;   /* of a counter */
} KrTsNote;

typedef struct {
  guint64 count, signalled;
  guint n_notes;
  KrTsNote notes[KR_TS_MAX_NOTES]; /* the first ones, signalled or not */
} KrTsFinding;

typedef struct {
  guint pid;
  guint64 count, wraps, discontinuity_flags, over_40ms, over_100ms;
  gdouble min_ms, max_ms, mean_ms;
} KrTsPcrReport;

typedef struct {
  guint pid;
  KrTsKind kind;
  KrTsCodec codec;
  guint64 packets, pes, scrambled, random_access, no_pts, with_dts, repeated_pes;
  gboolean has_pts;
  gdouble first_pts, span; /* s */
  gdouble step_min_ms, step_median_ms, step_max_ms;
  gdouble lead_min_ms, lead_mean_ms, lead_max_ms; /* DTS - PCR */
  gboolean has_lead;
  guint sample_rate; /* 0 = not decoded */
  guint64 samples;
  gdouble drift_ppm;
} KrTsStreamReport;

typedef struct {
  guint number, pmt_pid, pcr_pid;
} KrTsProgramReport;

typedef struct {
  guint packet_size; /* 0: this is no transport stream */
  guint64 bytes, packets, null_packets, trailing_bytes;
  gdouble duration; /* s, by the PCR of the first program; < 0 = unknown */
  gdouble bitrate;  /* bit/s */
  KrTsFinding findings[KR_TS_N_FINDINGS];
  GArray *programs; /* of KrTsProgramReport */
  GArray *pcrs;     /* of KrTsPcrReport */
  GArray *streams;  /* of KrTsStreamReport */
} KrTsReport;

void kr_ts_report_free (KrTsReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTsReport, kr_ts_report_free)

typedef struct _KrTsAnalysis KrTsAnalysis;

/* @limits: (nullable): the defaults */
KrTsAnalysis *kr_ts_analysis_new (const KrTsLimits *limits);
void kr_ts_analysis_free (KrTsAnalysis *analysis);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTsAnalysis, kr_ts_analysis_free)

/* The next bytes, in blocks of any size; large ones are faster. */
void kr_ts_analysis_push (KrTsAnalysis *analysis, const guint8 *data, gsize size);

/* The stream has ended. (transfer full); nothing can be pushed afterwards. */
KrTsReport *kr_ts_analysis_finish (KrTsAnalysis *analysis);

G_END_DECLS
