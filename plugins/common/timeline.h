/* keeprolling - one continuous timeline for all streams of a source
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * SECTION: timeline
 *
 * The timestamp arithmetic behind timestampregen: integers in, integers out. All times are
 * signed nanoseconds; input stamps and arrivals are running times. Nothing here reads a clock,
 * allocates after set-up, blocks or logs. The caller serializes all calls on one #KrTimeline.
 *
 * A timeline is one source: its streams share up to four *epochs*, each a piecewise-linear map
 * from input to output time. What one stream sees (a jump, a wrap, a restart) moves the map
 * that all of them use, and this is what keeps lip-sync: two buffers of one epoch leave exactly
 * as far apart as they came. docs/timestamps.md tells the rules with their reasons.
 */

/* "No time": a missing stamp or an unknown arrival. */
#define KR_TIME_NONE G_MININT64

/* Output DTS rise by at least one tick of 90 kHz, or MPEG-TS would write one value twice. */
#define KR_TIMELINE_TICK G_GINT64_CONSTANT (11112)

/* Stamps further from zero than this (73 years) count as missing. */
#define KR_TIMELINE_LIMIT (G_GINT64_CONSTANT (1) << 61)

typedef enum {
  KR_TIMELINE_CORRECT, /* repair; clean input keeps its stamps */
  KR_TIMELINE_MONITOR, /* judge and report, change nothing */
  KR_TIMELINE_ARRIVAL, /* ignore the stamps, smooth the arrival */
  KR_TIMELINE_CFR,     /* repair, then snap video to its frame rate */
} KrTimelineMode;

typedef enum {
  KR_TIMELINE_GAP_KEEP,     /* a loss that both clocks agree on stays a gap */
  KR_TIMELINE_GAP_COLLAPSE, /* every gap above max_gap is closed */
} KrTimelineGapPolicy;

typedef enum {
  KR_TIMELINE_DRIFT_REPORT, /* measure the drift */
  KR_TIMELINE_DRIFT_FOLLOW, /* and bend the shared map after it */
} KrTimelineDriftPolicy;

typedef enum {
  KR_TIMELINE_RAW_VIDEO, /* frames can be dropped and repeated */
  KR_TIMELINE_VIDEO,     /* coded, display order = coding order */
  KR_TIMELINE_REORDER,   /* coded with B-frames: needs a DTS */
  KR_TIMELINE_AUDIO,     /* whole frames that can be dropped one by one */
  KR_TIMELINE_SPARSE,    /* subtitles, metadata: silence says nothing */
  KR_TIMELINE_OTHER,     /* anything else: never dropped */
} KrTimelineKind;

typedef enum {
  KR_TIMELINE_EVENT_ANCHOR,
  KR_TIMELINE_EVENT_JUMP_FORWARD,
  KR_TIMELINE_EVENT_JUMP_BACK,
  KR_TIMELINE_EVENT_OVERLAP,
  KR_TIMELINE_EVENT_GAP,
  KR_TIMELINE_EVENT_WRAP_TS33,
  KR_TIMELINE_EVENT_WRAP_RTP32,
  KR_TIMELINE_EVENT_WRAP_MS32,
  KR_TIMELINE_EVENT_LAG_RESYNC,
  KR_TIMELINE_EVENT_UNRELATED_CLOCK,
  KR_TIMELINE_EVENT_STREAM_OVERLAP,
  KR_TIMELINE_EVENT_STREAM_JUMP,
  KR_TIMELINE_EVENT_OUTLIER_RETURN,
  KR_TIMELINE_EVENT_SHIFT_NEGATIVE,
  KR_TIMELINE_N_EVENTS
} KrTimelineEventKind;

typedef struct {
  KrTimelineMode mode;
  gboolean live;  /* arrivals mean something */
  gint64 max_gap; /* largest forward step that passes as it is */
  gint64 jitter;  /* how far a stamp may be off and still count as regular behind a jump */
  guint confirm;  /* regular buffers after which a jump is believed */
  gint64 settle;  /* how long one stream may keep an epoch alone */
  gint64 max_lag; /* output this late for lag_hold is re-anchored */
  gint64 lag_hold;
  KrTimelineGapPolicy gap_policy;
  KrTimelineDriftPolicy drift;
  guint max_rate;  /* ppm, bound of DRIFT_FOLLOW */
  gint64 max_fill; /* CFR: longest hole filled with repeated frames */
} KrTimelineConfig;

typedef enum {
  KR_TIMELINE_HINT_NONE = 0,
  KR_TIMELINE_HINT_DISCONT = 1 << 0, /* DISCONT, a new segment or a new stream: a jump may be
                                        believed at once */
} KrTimelineHint;

typedef struct {
  gint64 pts;      /* or KR_TIME_NONE */
  gint64 dts;      /* or KR_TIME_NONE */
  gint64 arrival;  /* or KR_TIME_NONE */
  gint64 duration; /* or KR_TIME_NONE: the format's, else measured */
  KrTimelineHint hint;
} KrTimelineIn;

typedef enum {
  KR_TIMELINE_OUT_DISCONT = 1 << 0,      /* mark the buffer DISCONT */
  KR_TIMELINE_OUT_DROP = 1 << 1,         /* do not pass the buffer on */
  KR_TIMELINE_OUT_EXTRAPOLATED = 1 << 2, /* the stamp was not believed */
  KR_TIMELINE_OUT_NEW_SESSION = 1 << 3,  /* the stream enters an epoch begun by a jump */
} KrTimelineOutFlags;

typedef struct _KrTimeline KrTimeline;
typedef struct _KrTimelineStream KrTimelineStream;

typedef struct {
  KrTimelineEventKind kind;
  gint64 delta;  /* the step that was found, or the offset that was applied */
  gint64 gap;    /* what remains of it in the output */
  guint epoch;   /* number of the epoch the stream is in now, from 1 */
  gint64 in_ts;  /* input time of the buffer that decided */
  gint64 out_ts; /* its output time */
} KrTimelineEvent;

#define KR_TIMELINE_MAX_EVENTS 4

typedef struct {
  gint64 pts;      /* or KR_TIME_NONE */
  gint64 dts;      /* or KR_TIME_NONE: leave without */
  gint64 duration; /* as given or known, 0 if unknown */
  KrTimelineOutFlags flags;
  guint repeat;       /* CFR: push the previous buffer this often before this one */
  gint64 repeat_from; /* CFR: number of the first repeated frame, for
                         kr_timeline_frame_time() */
  guint n_events;
  KrTimelineEvent events[KR_TIMELINE_MAX_EVENTS];
} KrTimelineOut;

typedef struct {
  guint64 in, out, dropped, duplicated;
  guint64 outliers;         /* stamps that were not believed and came to nothing */
  guint64 no_pts;           /* buffers without PTS */
  guint64 no_dts;           /* DTS that had to be synthesized */
  guint64 nudged;           /* PTS raised to the DTS, DTS raised to stay increasing */
  guint64 gaps;             /* real gaps kept */
  guint64 gap_ns;           /* and their sum */
  gint64 extra_ns;          /* private constant against the shared map */
  gint64 residual_ns;       /* what is left of an overlap; decays to 0 */
  gint64 last_in, last_out; /* or KR_TIME_NONE */
  gint64 lag_ns;            /* arrival - output - baseline of the last buffer; live only */
} KrTimelineStreamStats;

typedef struct {
  guint epochs;            /* begun so far */
  guint64 discontinuities; /* events reported */
  guint64 corrections;     /* buffers whose stamp was not simply mapped */
  gint64 offset_ns;        /* output - input in the newest epoch */
  gboolean drift_known;
  gdouble drift_ppm; /* > 0: the source's clock is fast */
  gint64 lag_ns;     /* smallest lag within 2 s; live only */
} KrTimelineStats;

void kr_timeline_config_init (KrTimelineConfig *config);

KrTimeline *kr_timeline_new (const KrTimelineConfig *config);
void kr_timeline_free (KrTimeline *timeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTimeline, kr_timeline_free)
void kr_timeline_configure (KrTimeline *timeline, const KrTimelineConfig *config);
void kr_timeline_reset (KrTimeline *timeline);
void kr_timeline_clock_step (KrTimeline *timeline, gint64 step);
void kr_timeline_get_stats (KrTimeline *timeline, KrTimelineStats *stats);

KrTimelineStream *kr_timeline_add_stream (KrTimeline *timeline);
void kr_timeline_remove_stream (KrTimeline *timeline, KrTimelineStream *stream);
void kr_timeline_stream_set_format (KrTimelineStream *stream, KrTimelineKind kind,
                                    gint64 duration, gint rate_n, gint rate_d);
void kr_timeline_stream_eos (KrTimelineStream *stream);
void kr_timeline_stream_start (KrTimelineStream *stream);
void kr_timeline_stream_flush (KrTimelineStream *stream);

void kr_timeline_push (KrTimelineStream *stream, const KrTimelineIn *in, KrTimelineOut *out);
gint64 kr_timeline_gap (KrTimelineStream *stream, gint64 t, gint64 duration, gint64 arrival,
                        KrTimelineOut *out);
gint64 kr_timeline_frame_time (KrTimelineStream *stream, gint64 number);
void kr_timeline_stream_drop (KrTimelineStream *stream);
void kr_timeline_stream_passed (KrTimelineStream *stream, gint64 time);

gint64 kr_timeline_stream_offset (KrTimelineStream *stream);
void kr_timeline_stream_get_stats (KrTimelineStream *stream, KrTimelineStreamStats *stats);
gboolean kr_timeline_stream_may_report (KrTimelineStream *stream, KrTimelineEventKind kind,
                                        gint64 now, guint *ret_suppressed);

const char *kr_timeline_event_name (KrTimelineEventKind kind);

G_END_DECLS
