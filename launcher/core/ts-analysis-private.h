/* keeprolling - inside ts-analysis
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/ts-analysis.h"

G_BEGIN_DECLS

#define KR_TS_PCR_POINTS  256
#define KR_TS_MAX_PENDING 65536
#define KR_TS_OWN_POINTS  8
#define KR_TS_AV_WINDOW   25
#define KR_TS_AV_POINTS   128
#define KR_TS_STEP_BINS   256 /* of 4 ms; the last one takes the rest */
#define KR_TS_PTS_WINDOW  64

/* A PCR of the reference. */
typedef struct {
  guint64 packet;
  gdouble time; /* s since the first, unwrapped; jumps are bridged at the last rate */
  guint64 pcr;
} KrPcrPoint;

/* Where a packet lies in time. */
typedef struct {
  gboolean has_time, has_pcr;
  gdouble time;
  guint64 pcr;
} KrMoment;

typedef struct {
  KrTsPcrReport report;
  gdouble sum_ms;
  guint64 last, intervals;
  /* The last ones, oldest first. */
  guint n_points;
  KrPcrPoint points[KR_TS_OWN_POINTS];
} KrPcrState;

/* Coded audio, counted as it comes. All zeros at the start of a PES packet. */
typedef struct {
  guint8 header[8];
  guint have; /* bytes in header */
  guint skip; /* of the frame under way */
  guint rate; /* 0 = no frame so far */
  guint64 samples, junk;
} KrFrameCount;

typedef struct {
  guint64 packet;
  gboolean has_pts, has_dts, signalled;
  guint64 pts, dts;
  guint64 hash, size;
  KrFrameCount frames;
} KrPes;

typedef struct {
  guint pid;
  gboolean is_pes;
  guint64 packet; /* of a section */
  KrPes pes;
} KrPending;

/* Steps of the DTS by their size; enough for the median. */
typedef struct {
  guint64 total;
  guint32 counts[KR_TS_STEP_BINS];
  gint64 sums[KR_TS_STEP_BINS];
} KrStepTable;

typedef struct {
  KrTsStreamReport report;
  gboolean listed, open;
  guint pcr_pid;      /* of its program, KR_TS_PID_NULL = not listed */
  KrPes pes;          /* under way */
  gboolean signalled; /* discontinuity_indicator since the last PES packet */
  guint64 last_hash;
  gboolean has_hash;
  gdouble last_time;
  gboolean has_last_time;
  guint64 last_dts;
  gboolean has_dts;
  gint64 unwrapped; /* DTS */
  gint64 first_unwrapped;
  KrStepTable steps;
  gint64 min_step, max_step;
  guint64 n_leads;
  gdouble lead_sum;

  /* PTS in order */
  guint n_window;
  gint64 window[KR_TS_PTS_WINDOW];
  gboolean has_popped;
  gint64 popped;

  /* coded audio */
  guint rate;
  gint64 base_pts;
  guint64 samples;
  gdouble last_deviation;
  guint64 n_fit;
  gdouble fit_t, fit_x, fit_tt, fit_tx, fit_first, fit_last;

  /* lip-sync, audio only */
  guint64 n_points;
  gdouble points[KR_TS_AV_POINTS]; /* s; the last ones, in order once full */
  guint skip_points;
} KrStreamState;

typedef struct {
  guint8 counter;
  gboolean seen, repeated, is_table;
  KrStreamState *stream; /* NULL: only counted */
  const guint8 *last;    /* last packet, in the block or in kept */
  guint8 kept[KR_TS_PACKET_SIZE];
  guint64 section_packet;
  guint64 n_sections;
  gboolean has_section_time;
  gdouble section_time;
  guint64 packets;
  KrPcrState *pcr;
} KrPidState;

struct _KrTsAnalysis {
  KrTsLimits limits;
  KrTsReport *report;
  KrPidState *pids[KR_TS_N_PIDS];
  GArray *order; /* guint PIDs in order of appearance */
  KrTsTables *tables;
  GHashTable *pmts_seen; /* program number -> itself */

  guint packet_size;
  gboolean lost;
  GByteArray *carry;
  guint64 position; /* packets so far */
  guint64 taken;    /* bytes done with */
  guint64 end;      /* of the last packet, in bytes */

  guint reference; /* PCR PID that time goes by */
  guint candidate; /* another one, that has come since the reference last did */
  guint others;    /* how often */
  guint video_pid; /* first one: the partner of lip-sync */
  gboolean has_video_dts;
  guint64 video_dts;
  guint n_points;
  KrPcrPoint points[KR_TS_PCR_POINTS]; /* the last ones, oldest first */
  gdouble nominal;                     /* s per packet; 0 = unknown */
  GArray *pending;                     /* of KrPending */
};

void kr_ts_note (KrTsAnalysis *a, KrTsFindingKind kind, gboolean signalled, guint64 packet,
                 guint pid, gdouble value, const char *unit);

/* ts-analysis-time.c */
void kr_ts_time_pcr (KrTsAnalysis *a, guint pid, guint64 pcr, gboolean signalled);
void kr_ts_time_defer (KrTsAnalysis *a, const KrPending *pending);
void kr_ts_time_finish (KrTsAnalysis *a);

/* ts-analysis-stream.c */
void kr_ts_stream_start (KrTsAnalysis *a, KrStreamState *stream, const guint8 *payload,
                         gsize size, const guint8 *packet);
void kr_ts_stream_continue (KrStreamState *stream, const guint8 *payload, gsize size);
void kr_ts_stream_end_pes (KrTsAnalysis *a, KrStreamState *stream);
void kr_ts_stream_judge (KrTsAnalysis *a, KrStreamState *stream, const KrPes *pes,
                         const KrMoment *moment);
void kr_ts_stream_finish (KrTsAnalysis *a, KrStreamState *stream);

/* ts-analysis-audio.c: goes on counting the frames whose header lies in @data, which follows
 * what was there before. Codecs whose frames are not known count nothing. */
void kr_ts_count_frames (KrFrameCount *count, KrTsCodec codec, const guint8 *data, gsize size);

G_END_DECLS
