/* keeprolling - buffers through timestampregen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/timestampregen-private.h"

#define GST_CAT_DEFAULT kr_timestamp_regen_debug

/* A raw audio buffer that is further than this from the sample count begins it anew, at once or
 * when it has been so for the second time given. */
#define AUDIO_ALIGN_THRESHOLD (40 * GST_MSECOND)
#define AUDIO_ALIGN_WAIT      GST_SECOND

/* Of a timestamp in upstream's segment; KR_TIME_NONE if it is none. */
gint64
kr_regen_pad_to_running (const KrRegenPad *pad, GstClockTime timestamp)
{
  gint64 time;

  if (!GST_CLOCK_TIME_IS_VALID (timestamp) ||
      __builtin_add_overflow ((gint64)timestamp, pad->to_running, &time))
    return KR_TIME_NONE;
  return time;
}

static gint64
duration_of (const KrRegenPad *pad, GstBuffer *buffer)
{
  const KrRegenFormat *format = &pad->format;

  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    return (gint64)MIN (GST_BUFFER_DURATION (buffer), (GstClockTime)G_MAXINT64);
  if (format->sample_rate > 0 && format->bytes_per_frame > 0)
    return (gint64)gst_util_uint64_scale (gst_buffer_get_size (buffer) /
                                              (gsize)format->bytes_per_frame,
                                          GST_SECOND, (guint64)format->sample_rate);
  return KR_TIME_NONE;
}

/* Nothing is decoded here: a DTS of its own means nothing. */
static gboolean
is_raw (const KrRegenFormat *format)
{
  return format->kind == KR_TIMELINE_RAW_VIDEO || format->sample_rate > 0;
}

static void
read_buffer (KrRegenPad *pad, GstBuffer *buffer, gint64 arrival, KrTimelineIn *in)
{
  in->pts = kr_regen_pad_to_running (pad, GST_BUFFER_PTS (buffer));
  in->dts = kr_regen_pad_to_running (pad, GST_BUFFER_DTS (buffer));
  if (is_raw (&pad->format) && in->pts != KR_TIME_NONE && in->dts != in->pts)
    in->dts = KR_TIME_NONE;
  in->arrival = arrival;
  in->duration = duration_of (pad, buffer);
  in->hint = pad->hint || GST_BUFFER_IS_DISCONT (buffer) ? KR_TIMELINE_HINT_DISCONT
                                                         : KR_TIMELINE_HINT_NONE;
}

/* Called with the lock. Pictures that refer to others nobody has are worth nothing at the
 * beginning of a session. */
static gboolean
lacks_keyframe (KrTimestampRegen *self, KrRegenPad *pad, GstBuffer *buffer, KrTimelineOut *out)
{
  if (G_LIKELY (!self->wait_keyframe) || self->config.mode == KR_TIMELINE_MONITOR ||
      (pad->format.kind != KR_TIMELINE_VIDEO && pad->format.kind != KR_TIMELINE_REORDER))
    return FALSE;
  if (out->flags & KR_TIMELINE_OUT_NEW_SESSION)
    pad->wait_keyframe = TRUE;
  if (!pad->wait_keyframe)
    return FALSE;
  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT)) {
    kr_timeline_stream_drop (pad->stream);
    return TRUE;
  }
  pad->wait_keyframe = FALSE;
  return FALSE;
}

static GstClockTime
to_stamp (gint64 time)
{
  return time == KR_TIME_NONE ? GST_CLOCK_TIME_NONE : (GstClockTime)time;
}

/* Copies the buffer's metadata only if something changes. */
static GstBuffer *
stamp (GstBuffer *buffer, GstClockTime pts, GstClockTime dts, gboolean discont)
{
  discont = discont && !GST_BUFFER_IS_DISCONT (buffer);
  if (G_LIKELY (pts == GST_BUFFER_PTS (buffer) && dts == GST_BUFFER_DTS (buffer) && !discont))
    return buffer;
  buffer = gst_buffer_make_writable (buffer);
  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DTS (buffer) = dts;
  if (discont)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  return buffer;
}

/* Pushes the last frame again for each place that is empty in front of this one. */
static GstFlowReturn
push_repeats (KrTimestampRegen *self, KrRegenPad *pad, const KrTimelineOut *out)
{
  GstFlowReturn flow = GST_FLOW_OK;
  guint i;

  for (i = 0; i < out->repeat && flow == GST_FLOW_OK && pad->previous != NULL; i++) {
    GstBuffer *copy = gst_buffer_copy (pad->previous);
    gint64 from, until;

    g_mutex_lock (&self->lock);
    from = kr_timeline_frame_time (pad->stream, out->repeat_from + i);
    until = kr_timeline_frame_time (pad->stream, out->repeat_from + i + 1);
    g_mutex_unlock (&self->lock);
    GST_BUFFER_PTS (copy) = (GstClockTime)from;
    GST_BUFFER_DTS (copy) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION (copy) = (GstClockTime)(until - from);
    GST_BUFFER_FLAG_UNSET (copy, GST_BUFFER_FLAG_DISCONT);
    GST_BUFFER_FLAG_SET (copy, GST_BUFFER_FLAG_GAP);
    flow = gst_pad_push (pad->src, copy);
  }
  return flow;
}

static GstClockTime
samples_last (const KrRegenFormat *format, gsize samples)
{
  return gst_util_uint64_scale (samples, GST_SECOND, (guint64)format->sample_rate);
}

/* Raw audio in CFR mode is timed by its samples; the corrected time takes over when the two
 * have come apart. Where it takes over backward, the samples that have been heard go. NULL if
 * that is all of them. */
static GstBuffer *
align_audio (KrRegenPad *pad, GstBuffer *buffer, const KrTimelineOut *out, GstClockTime *pts)
{
  const KrRegenFormat *format = &pad->format;
  gsize frame = (gsize)MAX (format->bytes_per_frame, 1);
  gsize samples = gst_buffer_get_size (buffer) / frame, heard = 0;

  if (pad->align == NULL)
    pad->align = gst_audio_stream_align_new (format->sample_rate, AUDIO_ALIGN_THRESHOLD,
                                             AUDIO_ALIGN_WAIT);
  gst_audio_stream_align_process (pad->align, (out->flags & KR_TIMELINE_OUT_DISCONT) != 0,
                                  to_stamp (out->pts), (guint)samples, pts, NULL, NULL);
  if (*pts < pad->audio_end)
    heard =
        gst_util_uint64_scale (pad->audio_end - *pts, (guint64)format->sample_rate, GST_SECOND);
  if (heard > 0 && heard >= samples) {
    gst_buffer_unref (buffer);
    return NULL;
  }
  if (heard > 0)
    buffer = gst_audio_buffer_truncate (buffer, (gint)frame, heard, (gsize)-1);
  *pts = MAX (*pts + samples_last (format, heard), pad->audio_end);
  /* An empty buffer takes its time, too. */
  pad->audio_end = *pts + MAX (samples_last (format, samples - heard), KR_TIMELINE_TICK);
  return buffer;
}

static void
count_drop (KrTimestampRegen *self, KrRegenPad *pad)
{
  g_mutex_lock (&self->lock);
  kr_timeline_stream_drop (pad->stream);
  g_mutex_unlock (&self->lock);
}

/* Called without the lock. */
static GstFlowReturn
push_frame (KrTimestampRegen *self, KrRegenPad *pad, GstBuffer *buffer,
            const KrTimelineOut *out)
{
  GstClockTime pts = to_stamp (out->pts), dts = to_stamp (out->dts);
  GstFlowReturn flow = GST_FLOW_OK;

  if (pad->format.sample_rate > 0) {
    buffer = align_audio (pad, buffer, out, &pts);
    if (buffer == NULL) {
      count_drop (self, pad);
      pad->discont = TRUE;
      return GST_FLOW_OK;
    }
    dts = GST_CLOCK_TIME_IS_VALID (dts) ? pts : dts;
  } else if (pad->format.kind == KR_TIMELINE_RAW_VIDEO) {
    flow = push_repeats (self, pad, out);
    gst_buffer_replace (&pad->previous, buffer);
  }
  if (flow != GST_FLOW_OK) {
    gst_buffer_unref (buffer);
    return flow;
  }
  buffer = stamp (buffer, pts, dts, pad->discont || (out->flags & KR_TIMELINE_OUT_DISCONT));
  pad->discont = FALSE;
  return gst_pad_push (pad->src, buffer);
}

static GstFlowReturn
push_corrected (KrTimestampRegen *self, KrRegenPad *pad, GstBuffer *buffer,
                const KrTimelineOut *out)
{
  buffer = stamp (buffer, to_stamp (out->pts), to_stamp (out->dts),
                  pad->discont || (out->flags & KR_TIMELINE_OUT_DISCONT));
  pad->discont = FALSE;
  return gst_pad_push (pad->src, buffer);
}

static GstFlowReturn
combine (KrTimestampRegen *self, KrRegenPad *pad, GstFlowReturn flow)
{
  GstFlowReturn last = pad->flow;

  pad->flow = flow;
  /* That a pad works again the combiner has to know, too. */
  if (G_LIKELY (flow == GST_FLOW_OK && last == GST_FLOW_OK))
    return flow;
  g_mutex_lock (&self->lock);
  flow = gst_flow_combiner_update_pad_flow (self->combiner, pad->src, flow);
  g_mutex_unlock (&self->lock);
  return flow;
}

static GstFlowReturn
chain (GstPad *sink, GstObject *parent, GstBuffer *buffer)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (parent);
  KrRegenPad *pad = gst_pad_get_element_private (sink);
  KrTimelineIn in;
  KrTimelineOut out;
  KrTimelineMode mode;
  gboolean dropped;
  gint64 arrival;

  if (G_UNLIKELY (pad->passthrough))
    return combine (self, pad, gst_pad_push (pad->src, buffer));

  g_mutex_lock (&self->lock);
  if (G_UNLIKELY (pad->hint || !self->live_known))
    kr_regen_find_live (self, pad);
  arrival = kr_regen_arrival (self);
  read_buffer (pad, buffer, arrival, &in);
  kr_timeline_push (pad->stream, &in, &out);
  dropped = (out.flags & KR_TIMELINE_OUT_DROP) != 0 || lacks_keyframe (self, pad, buffer, &out);
  mode = self->config.mode;
  g_mutex_unlock (&self->lock);

  pad->hint = FALSE;
  if (G_UNLIKELY (out.n_events > 0))
    kr_regen_post_events (self, pad, &out, arrival);
  if (G_UNLIKELY (!pad->segment_sent) && mode != KR_TIMELINE_MONITOR)
    kr_regen_pad_send_segment (self, pad, GST_SEQNUM_INVALID);
  if (G_UNLIKELY (dropped)) {
    kr_regen_post_drop (self, pad, buffer, arrival);
    gst_buffer_unref (buffer);
    pad->discont = TRUE;
    return GST_FLOW_OK;
  }
  if (mode == KR_TIMELINE_MONITOR)
    return combine (self, pad, gst_pad_push (pad->src, buffer));
  if (mode == KR_TIMELINE_CFR)
    return combine (self, pad, push_frame (self, pad, buffer, &out));
  return combine (self, pad, push_corrected (self, pad, buffer, &out));
}

static GstIterator *
iterate_internal_links (GstPad *one, GstObject *parent)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (parent);
  KrRegenPad *pad = gst_pad_get_element_private (one);
  GValue value = G_VALUE_INIT;
  GstIterator *iterator = NULL;
  GstPad *other;

  g_mutex_lock (&self->lock);
  other = GST_PAD_IS_SINK (one) ? pad->src : pad->sink;
  if (other != NULL) {
    g_value_init (&value, GST_TYPE_PAD);
    g_value_set_object (&value, other);
    iterator = gst_iterator_new_single (GST_TYPE_PAD, &value);
    g_value_unset (&value);
  }
  g_mutex_unlock (&self->lock);
  return iterator;
}

static gboolean
answer_latency (KrTimestampRegen *self, GstPad *src, GstObject *parent, GstQuery *query)
{
  GstClockTime min, max, latency;
  gboolean live;

  if (!gst_pad_query_default (src, parent, query))
    return FALSE;
  gst_query_parse_latency (query, &live, &min, &max);
  g_mutex_lock (&self->lock);
  latency = self->latency;
  if (self->live == KR_TIMESTAMP_REGEN_LIVE_AUTO) {
    self->config.live |= live;
    self->live_known = TRUE;
    kr_regen_configure (self);
  }
  g_mutex_unlock (&self->lock);
  if (live) {
    min += latency;
    if (GST_CLOCK_TIME_IS_VALID (max))
      max += latency;
    gst_query_set_latency (query, live, min, max);
  }
  return TRUE;
}

static gboolean
src_query (GstPad *src, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    return answer_latency (KR_TIMESTAMP_REGEN (parent), src, parent, query);
  return gst_pad_query_default (src, parent, query);
}

static void
free_pad (gpointer data)
{
  KrRegenPad *pad = data;

  gst_clear_buffer (&pad->previous);
  g_clear_pointer (&pad->align, gst_audio_stream_align_free);
}

void
kr_regen_pad_unref (KrRegenPad *pad)
{
  g_atomic_rc_box_release_full (pad, free_pad);
}

static void
attach (KrRegenPad *pad, GstPad *to)
{
  gst_pad_set_element_private (to, pad);
  g_object_set_data_full (G_OBJECT (to), "kr-regen-pad", g_atomic_rc_box_acquire (pad),
                          (GDestroyNotify)kr_regen_pad_unref);
  gst_pad_set_iterate_internal_links_function (to, iterate_internal_links);
  GST_PAD_SET_PROXY_CAPS (to);
  GST_PAD_SET_PROXY_SCHEDULING (to);
}

/* A pair of pads and its stream; not yet added to the element. Called with the lock. */
KrRegenPad *
kr_regen_pad_new (KrTimestampRegen *self, const char *sink_name, const char *src_name,
                  GstPadTemplate *sink_template, GstPadTemplate *src_template)
{
  KrRegenPad *pad = g_atomic_rc_box_new0 (KrRegenPad);

  pad->sink = gst_pad_new_from_template (sink_template, sink_name);
  pad->src = gst_pad_new_from_template (src_template, src_name);
  gst_pad_set_chain_function (pad->sink, chain);
  gst_pad_set_event_function (pad->sink, kr_regen_pad_sink_event);
  gst_pad_set_event_function (pad->src, kr_regen_pad_src_event);
  gst_pad_set_query_function (pad->src, src_query);
  attach (pad, pad->sink);
  attach (pad, pad->src);
  /* CFR keeps a frame, which a pool sized for those downstream does not count on. */
  if (self->config.mode != KR_TIMELINE_CFR)
    GST_PAD_SET_PROXY_ALLOCATION (pad->sink);
  pad->stream = kr_timeline_add_stream (self->timeline);
  pad->wait_keyframe = self->wait_keyframe;
  kr_regen_apply_format (self, pad);
  kr_regen_pad_reset (pad);
  return pad;
}

/* Forgets what belongs to the stream that was; the format is announced again or stays. */
void
kr_regen_pad_reset (KrRegenPad *pad)
{
  gst_segment_init (&pad->segment, GST_FORMAT_TIME);
  pad->to_running = 0;
  pad->n_segments = 0;
  pad->passthrough = pad->segment_sent = pad->hint = pad->discont = FALSE;
  pad->flow = GST_FLOW_OK;
  pad->audio_end = 0;
  gst_clear_buffer (&pad->previous);
  g_clear_pointer (&pad->align, gst_audio_stream_align_free);
}
