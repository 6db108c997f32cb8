/* keeprolling - from a buffer's stamps to the one time that is judged
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-private.h"

/* A duration above this is a mistake rather than a long buffer. */
#define MAX_DURATION (10 * KR_SECOND)
/* PTS - DTS above this is not reordering but one of the two being wild. */
#define MAX_REORDER (2 * KR_SECOND)
/* So many pictures without DTS, and the coder has stopped to give any. */
#define FORGET_DTS 8

static gboolean
is_time (gint64 stamp)
{
  return stamp >= -KR_TIMELINE_LIMIT && stamp <= KR_TIMELINE_LIMIT;
}

static gboolean
is_duration (gint64 duration)
{
  return duration > 0 && duration <= MAX_DURATION;
}

static gint64
duration_of (const KrTimelineStream *stream, gint64 given)
{
  if (is_duration (given))
    return given;
  if (stream->duration > 0)
    return stream->duration;
  return stream->measured > 0 ? stream->measured : stream->interval;
}

/* Pictures of a stream that usually has DTS. What is missing is the expected one, unless the
 * PTS tells of a jump. */
static gint64
bridge_dts (KrTimelineStream *stream, gint64 pts)
{
  gint64 dts = kr_add_saturated (stream->last_t, stream->last_duration);

  if (dts <= pts && pts - dts <= MAX_REORDER)
    return dts;
  if (dts > pts && dts - pts <= stream->last_duration)
    return pts;
  return pts - stream->last_off;
}

static gint64
synthesize_dts (KrTimelineStream *stream, const KrPush *push, gint64 pts)
{
  stream->stats.no_dts++;
  if (stream->n_without_dts < FORGET_DTS) {
    stream->n_without_dts++;
    return bridge_dts (stream, pts);
  }
  return kr_dts_from_pts (&stream->dts, pts, push->duration, push->hint || push->outage);
}

/* PTS - DTS as it can be believed. */
static gint64
reorder_offset (KrTimelineStream *stream, KrPush *push, gint64 pts, gint64 dts,
                gboolean synthesized)
{
  gint64 off = pts - dts;

  if (off >= 0 && off <= MAX_REORDER)
    return stream->last_off = off;
  stream->stats.nudged++;
  push->corrected = TRUE;
  if (off < 0 && !synthesized)
    return 0;
  return stream->last_off;
}

/**
 * kr_timeline_read_stamps:
 *
 * Fills in the duration, the time to judge and PTS - DTS. Stamps that cannot be running times
 * count as missing.
 */
void
kr_timeline_read_stamps (KrTimelineStream *stream, const KrTimelineIn *in, KrPush *push)
{
  gboolean reorder = stream->kind == KR_TIMELINE_REORDER;
  gint64 pts = is_time (in->pts) ? in->pts : KR_TIME_NONE;
  gint64 dts = is_time (in->dts) ? in->dts : KR_TIME_NONE;
  gboolean synthesized = FALSE;

  push->duration = duration_of (stream, in->duration);
  push->no_pts = pts == KR_TIME_NONE;
  push->has_dts = reorder || dts != KR_TIME_NONE;
  if (push->no_pts) {
    stream->stats.no_pts++;
    push->corrected = TRUE;
  }

  if (reorder && dts != KR_TIME_NONE) {
    stream->n_without_dts = 0;
  } else if (reorder && pts != KR_TIME_NONE) {
    dts = synthesize_dts (stream, push, pts);
    synthesized = TRUE;
    push->corrected = TRUE;
  } else if (reorder) {
    kr_dts_skip (&stream->dts, push->duration);
  }

  if (pts != KR_TIME_NONE && dts != KR_TIME_NONE)
    push->off = reorder_offset (stream, push, pts, dts, synthesized);
  push->t = dts != KR_TIME_NONE ? dts : pts;
}
