/* keeprolling - constant frame rate
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-private.h"

/* The number of the frame nearest to @time, counted from the grid's base. */
static gint64
nearest_frame (const KrFrames *frames, gint64 time)
{
  gint64 frame = KR_SECOND * frames->rate_d;

  return kr_muldiv (kr_add_saturated (time, frame / frames->rate_n / 2), frames->rate_n, frame);
}

/**
 * kr_timeline_frame_time:
 *
 * Returns: output time of frame @number on the stream's grid, computed anew from the base each
 * time so that nothing adds up
 */
gint64
kr_timeline_frame_time (KrTimelineStream *stream, gint64 number)
{
  const KrFrames *frames = &stream->frames;

  return kr_add_saturated (frames->base,
                           kr_muldiv (number, KR_SECOND * frames->rate_d, frames->rate_n));
}

static void
anchor_grid (KrTimelineStream *stream, KrPush *push)
{
  KrFrames *frames = &stream->frames;

  frames->base = MAX (push->p, 0);
  if (stream->started)
    frames->base = MAX (frames->base, stream->last_out + stream->last_duration);
  /* Repeated frames are placed without asking what pictures of a coder that was before them
   * are still to be shown. */
  if (stream->kind == KR_TIMELINE_RAW_VIDEO && stream->shown.n > 0)
    frames->base =
        MAX (frames->base,
             kr_add_saturated (stream->shown.sorted[stream->shown.n - 1], push->duration));
  frames->last = -1;
  frames->anchored = TRUE;
}

/* Raw frames: one too many is dropped, a hole is filled with the last one. */
static void
place_raw (KrTimelineStream *stream, KrPush *push, gint64 number)
{
  KrFrames *frames = &stream->frames;
  gint64 missing = number - frames->last - 1;

  if (missing < 0) {
    push->out->flags |= KR_TIMELINE_OUT_DROP;
    return;
  }
  if (missing > 0 && frames->last >= 0) {
    if (kr_muldiv (missing, KR_SECOND * frames->rate_d, frames->rate_n) <=
        stream->timeline->config.max_fill) {
      push->out->repeat = (guint)missing;
      push->out->repeat_from = frames->last + 1;
      stream->stats.duplicated += (guint64)missing;
    } else {
      push->out->flags |= KR_TIMELINE_OUT_DISCONT;
    }
  }
  frames->last = number;
}

/**
 * kr_timeline_snap:
 *
 * Moves a corrected time to the stream's frame grid. The number of the frame comes from the
 * time, never from a counter: a lost frame leaves its hole, and lip-sync stays. Coded frames
 * are neither dropped nor repeated. Without a known rate nothing happens.
 */
void
kr_timeline_snap (KrTimelineStream *stream, KrPush *push)
{
  KrFrames *frames = &stream->frames;
  gint64 number;

  if (frames->rate_n <= 0 || frames->rate_d <= 0 || stream->kind > KR_TIMELINE_REORDER)
    return;
  if (!frames->anchored)
    anchor_grid (stream, push);
  number = nearest_frame (frames, kr_sub_saturated (push->p, frames->base));
  if (stream->kind == KR_TIMELINE_RAW_VIDEO) {
    place_raw (stream, push, number);
    if (push->out->flags & KR_TIMELINE_OUT_DROP)
      return;
  } else {
    number = MAX (number, frames->last + 1);
    frames->last = number;
    push->off = kr_timeline_frame_time (stream, number + nearest_frame (frames, push->off)) -
                kr_timeline_frame_time (stream, number);
  }
  push->p = kr_timeline_frame_time (stream, number);
}
