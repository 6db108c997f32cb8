/* keeprolling - events through timestampregen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gst/video/video.h>

#include "plugins/timestampregen-private.h"

#define GST_CAT_DEFAULT kr_timestamp_regen_debug

/* Everything leaves in one segment in which timestamps are running times. Called from the
 * streaming thread, without the lock. */
gboolean
kr_regen_pad_send_segment (KrTimestampRegen *self, KrRegenPad *pad, guint32 seqnum)
{
  GstSegment segment;
  GstEvent *event;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  event = gst_event_new_segment (&segment);
  if (seqnum != GST_SEQNUM_INVALID)
    gst_event_set_seqnum (event, seqnum);
  pad->segment_sent = TRUE;
  return gst_pad_push_event (pad->src, event);
}

/* Tells the timeline about the pad's format. Called with the lock. */
void
kr_regen_apply_format (KrTimestampRegen *self, KrRegenPad *pad)
{
  const KrRegenFormat *format = &pad->format;
  gint rate_n = self->rate_n > 0 ? self->rate_n : format->rate_n;
  gint rate_d = self->rate_n > 0 ? self->rate_d : format->rate_d;

  kr_timeline_stream_set_format (pad->stream, format->kind, format->duration, rate_n, rate_d);
}

/* In CFR mode "framerate" is a promise to those downstream. */
static GstEvent *
with_frame_rate (KrTimestampRegen *self, GstEvent *event, GstCaps *caps)
{
  const GstStructure *structure = gst_caps_get_structure (caps, 0);
  g_autoptr (GstCaps) changed = NULL;
  GstEvent *result;

  if (self->config.mode != KR_TIMELINE_CFR || self->rate_n <= 0 ||
      !g_str_has_prefix (gst_structure_get_name (structure), "video/"))
    return event;
  changed = gst_caps_copy (caps);
  gst_caps_set_simple (changed, "framerate", GST_TYPE_FRACTION, self->rate_n, self->rate_d,
                       NULL);
  result = gst_event_new_caps (changed);
  gst_event_set_seqnum (result, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return result;
}

static gboolean
take_caps (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  g_mutex_lock (&self->lock);
  kr_regen_format_from_caps (caps, &pad->format);
  kr_regen_apply_format (self, pad);
  if (pad->audio_end > 0)
    kr_timeline_stream_passed (pad->stream, (gint64)pad->audio_end);
  event = with_frame_rate (self, event, caps);
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&pad->align, gst_audio_stream_align_free);
  gst_clear_buffer (&pad->previous);
  return gst_pad_push_event (pad->src, event);
}

static gboolean
pass_segment (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  if (!pad->warned) {
    pad->warned = TRUE;
    GST_ELEMENT_WARNING (self, STREAM, FORMAT,
                         ("%s passes its buffers on as they are", GST_PAD_NAME (pad->sink)),
                         ("timestamps can be repaired in TIME segments at rate 1.0, not in "
                          "%s at rate %.2f",
                          gst_format_get_name (pad->segment.format), pad->segment.rate));
  }
  pad->segment_sent = FALSE;
  return gst_pad_push_event (pad->src, event);
}

static gboolean
take_segment (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  guint32 seqnum = gst_event_get_seqnum (event);
  gboolean monitor;

  gst_event_copy_segment (event, &pad->segment);
  pad->passthrough = pad->segment.format != GST_FORMAT_TIME || pad->segment.rate != 1.0;
  if (pad->passthrough)
    return pass_segment (self, pad, event);
  pad->to_running = (gint64)(pad->segment.base - (pad->segment.start + pad->segment.offset));
  pad->hint |= pad->n_segments++ > 0;

  g_mutex_lock (&self->lock);
  monitor = self->config.mode == KR_TIMELINE_MONITOR;
  g_mutex_unlock (&self->lock);
  if (monitor)
    return gst_pad_push_event (pad->src, event);
  gst_event_unref (event);
  return pad->segment_sent || kr_regen_pad_send_segment (self, pad, seqnum);
}

static gboolean
take_gap (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  GstClockTime timestamp, duration;
  GstGapFlags flags;
  KrTimelineOut out;
  GstEvent *mapped;
  gint64 arrival, time;
  gboolean monitor;

  gst_event_parse_gap (event, &timestamp, &duration);
  gst_event_parse_gap_flags (event, &flags);
  if (pad->passthrough || !GST_CLOCK_TIME_IS_VALID (timestamp))
    return gst_pad_push_event (pad->src, event);
  g_mutex_lock (&self->lock);
  arrival = kr_regen_arrival (self);
  monitor = self->config.mode == KR_TIMELINE_MONITOR;
  time = kr_timeline_gap (
      pad->stream, kr_regen_pad_to_running (pad, timestamp),
      GST_CLOCK_TIME_IS_VALID (duration) ? (gint64)MIN (duration, (GstClockTime)G_MAXINT64) : 0,
      arrival, &out);
  g_mutex_unlock (&self->lock);
  if (monitor)
    return gst_pad_push_event (pad->src, event);
  mapped = gst_event_new_gap ((GstClockTime)time, duration);
  gst_event_set_gap_flags (mapped, flags);
  gst_event_set_seqnum (mapped, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return gst_pad_push_event (pad->src, mapped);
}

static void
forget_flushed (KrTimestampRegen *self, KrRegenPad *pad)
{
  g_mutex_lock (&self->lock);
  kr_timeline_stream_flush (pad->stream);
  gst_flow_combiner_update_pad_flow (self->combiner, pad->src, GST_FLOW_OK);
  pad->wait_keyframe = self->wait_keyframe;
  g_mutex_unlock (&self->lock);
  kr_regen_pad_reset (pad);
}

static gint64
offset_of (KrTimestampRegen *self, KrRegenPad *pad)
{
  gint64 offset = 0;

  g_mutex_lock (&self->lock);
  if (pad->stream != NULL)
    offset = kr_timeline_stream_offset (pad->stream);
  g_mutex_unlock (&self->lock);
  return offset;
}

static GstClockTime
moved (GstClockTime time, gint64 offset)
{
  gint64 result;

  if (!GST_CLOCK_TIME_IS_VALID (time) || time > (GstClockTime)G_MAXINT64 ||
      __builtin_add_overflow ((gint64)time, offset, &result))
    return time;
  return (GstClockTime)MAX (result, 0);
}

static GstEvent *
move_downstream_key_unit (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  GstClockTime timestamp, stream_time, running_time;
  gboolean all_headers;
  guint count;
  GstEvent *result;

  if (pad->passthrough ||
      !gst_video_event_parse_downstream_force_key_unit (event, &timestamp, &stream_time,
                                                        &running_time, &all_headers, &count))
    return event;
  running_time = moved (running_time, offset_of (self, pad));
  result = gst_video_event_new_downstream_force_key_unit (running_time, running_time,
                                                          running_time, all_headers, count);
  gst_event_set_seqnum (result, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return result;
}

static GstEvent *
move_upstream_key_unit (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  GstClockTime running_time;
  gboolean all_headers;
  guint count;
  GstEvent *result;

  if (!gst_video_event_parse_upstream_force_key_unit (event, &running_time, &all_headers,
                                                      &count))
    return event;
  result = gst_video_event_new_upstream_force_key_unit (
      moved (running_time, -offset_of (self, pad)), all_headers, count);
  gst_event_set_seqnum (result, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return result;
}

static GstEvent *
move_qos (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  GstQOSType type;
  gdouble proportion;
  GstClockTimeDiff diff;
  GstClockTime timestamp;
  GstEvent *result;

  gst_event_parse_qos (event, &type, &proportion, &diff, &timestamp);
  result =
      gst_event_new_qos (type, proportion, diff, moved (timestamp, -offset_of (self, pad)));
  gst_event_set_seqnum (result, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return result;
}

static void
note_stream_start (KrTimestampRegen *self, KrRegenPad *pad)
{
  g_mutex_lock (&self->lock);
  kr_timeline_stream_start (pad->stream);
  g_mutex_unlock (&self->lock);
  pad->hint = TRUE;
  pad->segment_sent = FALSE;
}

static void
note_eos (KrTimestampRegen *self, KrRegenPad *pad)
{
  g_mutex_lock (&self->lock);
  kr_timeline_stream_eos (pad->stream);
  g_mutex_unlock (&self->lock);
}

/* What is not serialized may come while the pad is being released. */
static gboolean
push_downstream (KrTimestampRegen *self, KrRegenPad *pad, GstEvent *event)
{
  g_autoptr (GstPad) src = NULL;

  g_mutex_lock (&self->lock);
  if (pad->src != NULL)
    src = gst_object_ref (pad->src);
  g_mutex_unlock (&self->lock);
  if (src == NULL) {
    gst_event_unref (event);
    return FALSE;
  }
  return gst_pad_push_event (src, event);
}

gboolean
kr_regen_pad_sink_event (GstPad *sink, GstObject *parent, GstEvent *event)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (parent);
  KrRegenPad *pad = gst_pad_get_element_private (sink);

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_STREAM_START:
    note_stream_start (self, pad);
    break;
  case GST_EVENT_CAPS:
    return take_caps (self, pad, event);
  case GST_EVENT_SEGMENT:
    return take_segment (self, pad, event);
  case GST_EVENT_GAP:
    return take_gap (self, pad, event);
  case GST_EVENT_FLUSH_STOP:
    forget_flushed (self, pad);
    break;
  case GST_EVENT_EOS:
    note_eos (self, pad);
    break;
  case GST_EVENT_CUSTOM_DOWNSTREAM:
    if (gst_video_event_is_force_key_unit (event))
      event = move_downstream_key_unit (self, pad, event);
    break;
  default:
    break;
  }
  return push_downstream (self, pad, event);
}

gboolean
kr_regen_pad_src_event (GstPad *src, GstObject *parent, GstEvent *event)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (parent);
  KrRegenPad *pad = gst_pad_get_element_private (src);
  g_autoptr (GstPad) sink = NULL;

  g_mutex_lock (&self->lock);
  if (pad->sink != NULL)
    sink = gst_object_ref (pad->sink);
  g_mutex_unlock (&self->lock);
  if (sink == NULL) {
    gst_event_unref (event);
    return FALSE;
  }
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS)
    event = move_qos (self, pad, event);
  else if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM &&
           gst_video_event_is_force_key_unit (event))
    event = move_upstream_key_unit (self, pad, event);
  return gst_pad_push_event (sink, event);
}
