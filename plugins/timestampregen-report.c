/* keeprolling - what timestampregen says
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/messages.h"
#include "plugins/timestampregen-private.h"

#define GST_CAT_DEFAULT kr_timestamp_regen_debug

static guint64
to_clock_time (gint64 time)
{
  return time >= 0 ? (guint64)time : GST_CLOCK_TIME_NONE;
}

static void
post_event (KrTimestampRegen *self, const char *pad, const KrTimelineEvent *event,
            guint suppressed, gint64 running_time)
{
  const char *kind = kr_timeline_event_name (event->kind);
  GstStructure *structure = gst_structure_new (
      KR_MSG_TIMESTAMP_DISCONT, "pad", G_TYPE_STRING, pad, "kind", G_TYPE_STRING, kind,
      "delta-ns", G_TYPE_INT64, event->delta, "gap-ns", G_TYPE_INT64, event->gap, "epoch",
      G_TYPE_UINT, event->epoch, "in-ts", G_TYPE_UINT64, to_clock_time (event->in_ts), "out-ts",
      G_TYPE_UINT64, to_clock_time (event->out_ts), "running-time", G_TYPE_UINT64,
      to_clock_time (running_time), "utc-ns", G_TYPE_UINT64, (guint64)g_get_real_time () * 1000,
      "suppressed", G_TYPE_UINT, suppressed, NULL);

  GST_INFO_OBJECT (self, "%" GST_PTR_FORMAT, structure);
  gst_element_post_message (GST_ELEMENT (self),
                            gst_message_new_element (GST_OBJECT (self), structure));
}

/* Posts what a buffer brought to light, at most one message per second of a kind and pad.
 * Called without the lock. */
void
kr_regen_post_events (KrTimestampRegen *self, KrRegenPad *pad, const KrTimelineOut *out,
                      gint64 running_time)
{
  gint64 now = g_get_monotonic_time () * 1000;
  guint i, suppressed;

  for (i = 0; i < out->n_events; i++) {
    gboolean post;

    g_mutex_lock (&self->lock);
    post = kr_timeline_stream_may_report (pad->stream, out->events[i].kind, now, &suppressed);
    g_mutex_unlock (&self->lock);
    if (post)
      post_event (self, GST_PAD_NAME (pad->sink), &out->events[i], suppressed, running_time);
  }
}

/* Tells the application that @buffer was dropped on purpose. Called without the lock. */
void
kr_regen_post_drop (KrTimestampRegen *self, KrRegenPad *pad, GstBuffer *buffer,
                    gint64 running_time)
{
  KrTimelineStreamStats stats;
  gboolean live;
  GstMessage *message;

  g_mutex_lock (&self->lock);
  kr_timeline_stream_get_stats (pad->stream, &stats);
  live = self->config.live;
  g_mutex_unlock (&self->lock);
  message = gst_message_new_qos (GST_OBJECT (pad->sink), live, to_clock_time (running_time),
                                 GST_CLOCK_TIME_NONE, GST_BUFFER_PTS (buffer),
                                 GST_BUFFER_DURATION (buffer));
  gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS, stats.out, stats.dropped);
  gst_element_post_message (GST_ELEMENT (self), message);
}

static GstStructure *
pad_stats (KrRegenPad *pad)
{
  KrTimelineStreamStats stats;

  kr_timeline_stream_get_stats (pad->stream, &stats);
  return gst_structure_new (
      "pad-stats", "in", G_TYPE_UINT64, stats.in, "out", G_TYPE_UINT64, stats.out, "dropped",
      G_TYPE_UINT64, stats.dropped, "duplicated", G_TYPE_UINT64, stats.duplicated, "outliers",
      G_TYPE_UINT64, stats.outliers, "no-pts", G_TYPE_UINT64, stats.no_pts, "no-dts",
      G_TYPE_UINT64, stats.no_dts, "nudged", G_TYPE_UINT64, stats.nudged, "gaps", G_TYPE_UINT64,
      stats.gaps, "gap-ns", G_TYPE_UINT64, stats.gap_ns, "extra-ns", G_TYPE_INT64,
      stats.extra_ns, "residual-ns", G_TYPE_INT64, stats.residual_ns, "last-in", G_TYPE_UINT64,
      to_clock_time (stats.last_in), "last-out", G_TYPE_UINT64, to_clock_time (stats.last_out),
      "lag-ns", G_TYPE_INT64, stats.lag_ns, NULL);
}

/* The "stats" property (transfer full). Takes the lock. */
GstStructure *
kr_regen_stats (KrTimestampRegen *self)
{
  KrTimelineStats stats;
  GstStructure *structure;
  GList *item;

  g_mutex_lock (&self->lock);
  kr_timeline_get_stats (self->timeline, &stats);
  structure = gst_structure_new ("timestampregen-stats", "epochs", G_TYPE_UINT, stats.epochs,
                                 "discontinuities", G_TYPE_UINT64, stats.discontinuities,
                                 "corrections", G_TYPE_UINT64, stats.corrections, "offset-ns",
                                 G_TYPE_INT64, stats.offset_ns, "lag-ns", G_TYPE_INT64,
                                 stats.lag_ns, "live", G_TYPE_BOOLEAN, self->config.live, NULL);
  /* No field rather than a 0 that has not been measured. */
  if (stats.drift_known)
    gst_structure_set (structure, "drift-ppm", G_TYPE_DOUBLE, stats.drift_ppm, NULL);
  for (item = self->pads; item != NULL; item = item->next) {
    KrRegenPad *pad = item->data;
    g_autoptr (GstStructure) fields = pad_stats (pad);

    gst_structure_set (structure, GST_PAD_NAME (pad->sink), GST_TYPE_STRUCTURE, fields, NULL);
  }
  g_mutex_unlock (&self->lock);
  return structure;
}
