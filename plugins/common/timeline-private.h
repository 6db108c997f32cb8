/* keeprolling - the state of a timeline, for its own files
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/timeline-clock.h"
#include "plugins/common/timeline-dts.h"
#include "plugins/common/timeline-epoch.h"
#include "plugins/common/timeline-shown.h"
#include "plugins/common/timeline.h"

G_BEGIN_DECLS

#define KR_SECOND      G_GINT64_CONSTANT (1000000000)
#define KR_MILLISECOND G_GINT64_CONSTANT (1000000)

/* A jump that waits for witnesses. */
typedef struct {
  guint n;         /* buffers seen, 0 = none */
  guint n_loose;   /* buffers that at least went forward by less than max_gap */
  gint64 t;        /* input time of the newest */
  gint64 t0;       /* of the first */
  gint64 arrival;  /* of the newest */
  gint64 error;    /* of the first: found - expected */
  gint64 expected; /* of the first */
  gint64 arrival0; /* of the first */
  gboolean outage; /* nothing came for a while before the first */
} KrCandidate;

/* Frames on a grid. */
typedef struct {
  gint rate_n, rate_d; /* 0 = unknown */
  gboolean anchored;
  gint64 base; /* output time of frame 0 */
  gint64 last; /* number of the last frame */
} KrFrames;

struct _KrTimelineStream {
  KrTimeline *timeline;
  KrTimelineStream *next;

  KrTimelineKind kind;
  gint64 duration; /* of the format, 0 = unknown */
  gint64 measured; /* last plausible distance of two stamps, 0 = none yet */
  gint64 interval; /* of arrivals, on average; KR_TIMELINE_ARRIVAL only */
  gint n_arrivals; /* in that average */

  gboolean started;   /* has output */
  gboolean eos;       /* does not count as a sibling */
  gboolean restarted; /* STREAM_START came after EOS */
  guint epoch;

  gint64 last; /* output time of the last buffer before clamping */
  gint64 last_duration;
  gint64 last_out;     /* and as it left */
  gint64 last_t;       /* of the last buffer whose stamp was believed */
  gint64 last_arrival; /* of the same */
  gint64 any_arrival;  /* of the last buffer */
  gint64 last_off;     /* last good PTS - DTS */
  gint64
      extra; /* against its siblings, in input time: a bent map bends for all at one moment */
  gint64 residual;
  gint64 early; /* how much a regular buffer came before it was expected, < 0; 0 = none did */
  gint64 early_at;         /* its output time */
  gboolean dropping_early; /* until a buffer is behind the last one again */
  gint64 mark;             /* output time when the newest epoch began */

  KrCandidate candidate;
  KrDts dts;
  KrShown shown;
  guint n_without_dts; /* in a row; G_MAXUINT: never had one */
  KrFrames frames;

  KrTimelineStreamStats stats;
  gint64 reported_at[KR_TIMELINE_N_EVENTS];
  guint suppressed[KR_TIMELINE_N_EVENTS];
};

struct _KrTimeline {
  KrTimelineConfig config;
  KrTimelineStream *streams;
  KrEpochs epochs;
  KrClock clock;
  guint64 discontinuities, corrections;
};

/* One buffer on its way through. */
typedef struct {
  gint64 t;        /* input DTS or what stands for it, or KR_TIME_NONE */
  gint64 off;      /* PTS - DTS */
  gint64 duration; /* never negative */
  gint64 arrival;  /* KR_TIME_NONE unless live */
  gint64 p;        /* output DTS before clamping */
  gboolean no_pts;
  gboolean hint;
  gboolean outage; /* nothing came for a while before this buffer */
  gboolean extrapolated;
  gboolean corrected;
  gboolean has_dts; /* it leaves with a DTS */
  KrTimelineOut *out;
} KrPush;

void kr_timeline_emit (KrTimelineStream *stream, KrPush *push, KrTimelineEventKind kind,
                       gint64 delta, gint64 gap);

/* timeline-stamp.c: from a buffer's stamps to the one time that is judged */
void kr_timeline_read_stamps (KrTimelineStream *stream, const KrTimelineIn *in, KrPush *push);

/* timeline-place.c: from input to output time */
void kr_timeline_place (KrTimelineStream *stream, KrPush *push);
void kr_timeline_place_sparse (KrTimelineStream *stream, KrPush *push);
void kr_timeline_place_by_arrival (KrTimelineStream *stream, KrPush *push);
gint64 kr_timeline_free_time (KrTimelineStream *stream, gint64 t, gint64 arrival);
void kr_timeline_make_room (KrTimeline *timeline, guint from);
void kr_timeline_drop_candidate (KrTimelineStream *stream);
gboolean kr_timeline_sibling_position (KrTimelineStream *stream, gint64 *ret_position);

/* timeline-classify.c: what a step means */
void kr_timeline_classify (KrTimelineStream *stream, KrPush *push, gint64 expected);
void kr_timeline_settle (KrTimelineStream *stream, KrPush *push);
gboolean kr_timeline_is_regular (const KrTimelineStream *stream, gint64 p, gint64 expected);

/* timeline-arrival.c: lag and drift */
void kr_timeline_watch_arrival (KrTimelineStream *stream, KrPush *push);

/* timeline-frames.c: constant frame rate */
void kr_timeline_snap (KrTimelineStream *stream, KrPush *push);

/* Where @epoch takes input time @t of @stream. */
static inline gint64
kr_timeline_map (const KrTimelineStream *stream, const KrEpoch *epoch, gint64 t)
{
  return kr_epoch_map (epoch, kr_add_saturated (t, stream->extra));
}

/* Whether @stream counts when others ask where the source is. */
static inline gboolean
kr_timeline_is_sibling (const KrTimelineStream *stream, const KrTimelineStream *other)
{
  return other != stream && other->started && !other->eos && other->kind != KR_TIMELINE_SPARSE;
}

G_END_DECLS
