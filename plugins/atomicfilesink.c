/* keeprolling - a file sink whose files are complete once they have their name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-atomicfilesink
 * @title: atomicfilesink
 *
 * Writes a byte stream to `NAME.recording.EXT` and renames it to `NAME.EXT` when it is
 * complete: the ending of the name says the truth at any moment. Data go to the kernel at least
 * every #KrAtomicFileSink:flush-interval, where they survive the death of the process, and to
 * the disk at least every #KrAtomicFileSink:sync-interval, where they survive the power. All
 * disk work is done by a thread of its own; the streaming thread copies, and never waits for a
 * sync or a rename.
 *
 * Files can be cut by media time, by size, on wall-clock boundaries, and on request
 * (#KrAtomicFileSink::split-now). A cut happens at a buffer without DELTA_UNIT, and every file
 * begins with the `streamheader` of the caps. While files are cut by time or size, another
 * `streamheader` begins a new file too. Leftovers of a crash are repaired and finalised when the
 * element starts.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 -e videotestsrc num-buffers=300 ! video/x-raw,framerate=30/1 ! jpegenc ! \
 *     matroskamux streamable=true ! atomicfilesink location=test-{instance}.mkv
 * ]|
 *
 * Since: 0.1
 */

#include "plugins/atomicfilesink.h"

#include "plugins/atomicfilesink-private.h"
#include "plugins/common/messages.h"

GST_DEBUG_CATEGORY (kr_atomic_file_sink_debug);
#define GST_CAT_DEFAULT kr_atomic_file_sink_debug

enum {
  SIGNAL_SPLIT_NOW,
  N_SIGNALS,
};
static guint signals[N_SIGNALS];

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

G_DEFINE_FINAL_TYPE (KrAtomicFileSink, kr_atomic_file_sink, GST_TYPE_BASE_SINK)
GST_ELEMENT_REGISTER_DEFINE (atomicfilesink, "atomicfilesink", GST_RANK_NONE,
                             KR_TYPE_ATOMIC_FILE_SINK)

/* --- state -------------------------------------------------------------------------- */

static void
set_flushing (KrAtomicFileSink *self, gboolean flushing)
{
  if (self->pipe != NULL)
    kr_byte_pipe_set_flushing (self->pipe, flushing);
}

static gboolean
kr_atomic_file_sink_unlock (GstBaseSink *sink)
{
  set_flushing (KR_ATOMIC_FILE_SINK (sink), TRUE);
  return TRUE;
}

static gboolean
kr_atomic_file_sink_unlock_stop (GstBaseSink *sink)
{
  set_flushing (KR_ATOMIC_FILE_SINK (sink), FALSE);
  return TRUE;
}

/* Not start() and stop(), which come at READY: properties may be set until PAUSED. */
static GstStateChangeReturn
kr_atomic_file_sink_change_state (GstElement *element, GstStateChange transition)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !kr_atomic_file_sink_begin_run (self))
    return GST_STATE_CHANGE_FAILURE;
  /* The wait for the final name at EOS ends here; the run finishes the work in this thread.
   * Being paused does not disturb it. */
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY && self->pipe != NULL)
    kr_byte_pipe_set_cancelled (self->pipe, TRUE);
  result =
      GST_ELEMENT_CLASS (kr_atomic_file_sink_parent_class)->change_state (element, transition);
  if (self->writer != NULL &&
      (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
       (transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE)))
    kr_atomic_file_sink_end_run (self);
  return result;
}

/* --- the streaming thread ----------------------------------------------------------- */

/* Where upstream waits for us anyway, a short queue is enough, and 64 MiB of it are a waste. */
static void
ask_live (KrAtomicFileSink *self)
{
  g_autoptr (GstQuery) query = gst_query_new_latency ();
  gboolean live = FALSE;
  guint64 max_pending, modest;

  self->asked_live = TRUE;
  if (gst_pad_peer_query (GST_BASE_SINK_PAD (self), query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  GST_OBJECT_LOCK (self);
  max_pending = self->settings.max_pending;
  modest = self->settings.buffer_size;
  GST_OBJECT_UNLOCK (self);
  if (!live && self->overflow == KR_OVERFLOW_BLOCK)
    kr_byte_pipe_set_max_pending (self->pipe, MIN (max_pending, modest));
}

static GstClockTime
running_time (KrAtomicFileSink *self, GstBuffer *buffer)
{
  const GstSegment *segment = &GST_BASE_SINK (self)->segment;

  if (segment->format != GST_FORMAT_TIME)
    return GST_CLOCK_TIME_NONE;
  return gst_segment_to_running_time (segment, GST_FORMAT_TIME, GST_BUFFER_DTS_OR_PTS (buffer));
}

static gint64
utc_offset_us (KrAtomicFileSink *self, gint64 utc_us)
{
  g_autoptr (GTimeZone) zone = NULL;

  if (!self->local_time)
    return 0;
  zone = g_time_zone_new_local ();
  return g_time_zone_get_offset (zone, g_time_zone_find_interval (zone, G_TIME_TYPE_UNIVERSAL,
                                                                  utc_us / G_USEC_PER_SEC)) *
         G_USEC_PER_SEC;
}

static void
begin_segment (KrAtomicFileSink *self, GstBuffer *buffer, GstClockTime time)
{
  KrMark mark = {.kind = KR_MARK_CUT,
                 .header = self->header != NULL ? g_bytes_ref (self->header) : NULL,
                 .first_pts = GST_BUFFER_PTS (buffer),
                 .running_time = time,
                 .utc_us = g_get_real_time (),
                 .reason = KR_REASON_ROTATE};

  kr_byte_pipe_mark (self->pipe, &mark);
  self->position = 0;
  self->has_data = TRUE;
}

/* Whether a cut comes before this buffer; puts it into the pipe. */
static void
cut_if_due (KrAtomicFileSink *self, GstBuffer *buffer, gsize size)
{
  gboolean delta = GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  KrCutBuffer facts = {.time = KR_TIME_NONE, .size = size, .delta = delta};

  if (!self->rotating && self->cutter.open &&
      G_LIKELY (delta || (!g_atomic_int_get (&self->split_now) &&
                          !kr_segment_writer_wants_cut (self->writer))))
    return;
  if (!delta && (g_atomic_int_compare_and_exchange (&self->split_now, TRUE, FALSE) ||
                 kr_segment_writer_take_cut (self->writer)))
    kr_segment_cutter_cut_now (&self->cutter);
  if (!delta || self->cutter.first_time == KR_TIME_NONE || !self->cutter.open)
    facts.time = running_time (self, buffer);
  if (self->cutter.rules.align_to_clock && (!delta || !self->cutter.open)) {
    facts.utc_us = g_get_real_time ();
    facts.utc_offset_us = utc_offset_us (self, facts.utc_us);
  }
  if (kr_segment_cutter_next (&self->cutter, &facts))
    begin_segment (self, buffer, facts.time);
}

static void
put_memory (KrAtomicFileSink *self, GstBuffer *buffer, guint64 pts)
{
  guint n = gst_buffer_n_memory (buffer);

  for (guint i = 0; i < n; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);
    GstMapInfo map;

    if (!gst_memory_map (memory, &map, GST_MAP_READ)) {
      GST_ELEMENT_ERROR (self, RESOURCE, READ, ("a buffer's memory cannot be read"), (NULL));
      return;
    }
    kr_byte_pipe_put (self->pipe, map.data, map.size, pts);
    gst_memory_unmap (memory, &map);
  }
}

static void
drop_buffer (KrAtomicFileSink *self, gsize size)
{
  GST_OBJECT_LOCK (self);
  self->n_dropped_buffers++;
  self->n_dropped_bytes += size;
  GST_OBJECT_UNLOCK (self);
}

static GstFlowReturn
kr_atomic_file_sink_render (GstBaseSink *sink, GstBuffer *buffer)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (sink);
  gsize size = gst_buffer_get_size (buffer);

  if (G_UNLIKELY (kr_segment_writer_has_failed (self->writer)))
    return GST_FLOW_ERROR;
  if (G_UNLIKELY (size == 0))
    return GST_FLOW_OK;
  if (G_UNLIKELY (!self->asked_live))
    ask_live (self);
  for (;;) {
    KrPipeResult result =
        kr_byte_pipe_reserve (self->pipe, size, self->overflow == KR_OVERFLOW_BLOCK);
    GstFlowReturn flow;

    if (G_LIKELY (result == KR_PIPE_OK))
      break;
    if (result == KR_PIPE_FULL) {
      drop_buffer (self, size);
      return GST_FLOW_OK;
    }
    flow = gst_base_sink_wait_preroll (sink);
    if (flow != GST_FLOW_OK)
      return flow;
  }
  cut_if_due (self, buffer, size);
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    self->last_pts = GST_BUFFER_PTS (buffer);
  put_memory (self, buffer, self->last_pts);
  self->position += size;
  return GST_FLOW_OK;
}

static GstFlowReturn
kr_atomic_file_sink_render_list (GstBaseSink *sink, GstBufferList *list)
{
  guint n = gst_buffer_list_length (list);
  GstFlowReturn flow = GST_FLOW_OK;

  for (guint i = 0; i < n && flow == GST_FLOW_OK; i++)
    flow = kr_atomic_file_sink_render (sink, gst_buffer_list_get (list, i));
  return flow;
}

static gboolean
kr_atomic_file_sink_event (GstBaseSink *sink, GstEvent *event)
{
  if (!kr_atomic_file_sink_take_event (KR_ATOMIC_FILE_SINK (sink), event)) {
    gst_event_unref (event);
    return FALSE;
  }
  return GST_BASE_SINK_CLASS (kr_atomic_file_sink_parent_class)->event (sink, event);
}

static gboolean
kr_atomic_file_sink_query (GstBaseSink *sink, GstQuery *query)
{
  return kr_atomic_file_sink_answer_query (KR_ATOMIC_FILE_SINK (sink), query) ||
         GST_BASE_SINK_CLASS (kr_atomic_file_sink_parent_class)->query (sink, query);
}

/* --- the type ----------------------------------------------------------------------- */

static void
split_now (KrAtomicFileSink *self)
{
  if (g_atomic_int_get (&self->rewrites)) {
    GST_ELEMENT_WARNING (
        self, STREAM, WRONG_TYPE,
        ("split-now is ignored: the muxer may rewrite the beginning of the file"),
        (KR_CUT_HINT));
    return;
  }
  g_atomic_int_set (&self->split_now, TRUE);
}

static void
kr_atomic_file_sink_finalize (GObject *object)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (object);

  kr_file_sink_settings_clear (&self->settings);
  g_free (self->instance);
  g_free (self->hostname);
  kr_writer_stats_clear (&self->last_stats);
  G_OBJECT_CLASS (kr_atomic_file_sink_parent_class)->finalize (object);
}

static void
kr_atomic_file_sink_init (KrAtomicFileSink *self)
{
  kr_file_sink_settings_init (&self->settings);
  self->last_stats.runway_s = -1;
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
  /* It would hold a reference, and take a lock, per buffer. */
  gst_base_sink_set_last_sample_enabled (GST_BASE_SINK (self), FALSE);
}

static void
kr_atomic_file_sink_class_init (KrAtomicFileSinkClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS (klass);

  object_class->set_property = kr_atomic_file_sink_set_property;
  object_class->get_property = kr_atomic_file_sink_get_property;
  object_class->finalize = kr_atomic_file_sink_finalize;
  element_class->change_state = kr_atomic_file_sink_change_state;
  sink_class->unlock = kr_atomic_file_sink_unlock;
  sink_class->unlock_stop = kr_atomic_file_sink_unlock_stop;
  sink_class->render = kr_atomic_file_sink_render;
  sink_class->render_list = kr_atomic_file_sink_render_list;
  sink_class->event = kr_atomic_file_sink_event;
  sink_class->query = kr_atomic_file_sink_query;

  kr_atomic_file_sink_install_properties (object_class);

  /**
   * KrAtomicFileSink::split-now:
   *
   * Begins a new file at the next keyframe. Can be emitted from any thread.
   */
  signals[SIGNAL_SPLIT_NOW] = g_signal_new_class_handler (
      "split-now", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION,
      G_CALLBACK (split_now), NULL, NULL, NULL, G_TYPE_NONE, 0);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_set_static_metadata (element_class, "Atomic file sink", "Sink/File",
                                         "Writes files that have their final name only when "
                                         "they are complete, and survive crashes, "
                                         "kills, power cuts and full disks",
                                         "The keeprolling developers");
  GST_DEBUG_CATEGORY_INIT (kr_atomic_file_sink_debug, "atomicfilesink", 0, "atomic file sink");
}
