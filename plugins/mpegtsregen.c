/* keeprolling - mpegtsregen: one continuous timeline for a transport stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-mpegtsregen
 * @title: mpegtsregen
 *
 * Repairs the time of an MPEG transport stream without demuxing it: PCR, PTS and DTS are
 * rewritten in place where a source restarted, jumped or lost its clock, so that what is
 * recorded has one continuous timeline. All streams of a program move together: lip-sync cannot
 * change. Continuity counters go on across a restart, while real losses inside a session stay
 * visible. If the next session carries the same streams under other PIDs, it is remapped to the
 * PIDs of the first. A clean stream leaves byte for byte as it came.
 *
 * Buffers are cut so that each keyframe begins one, and so do the tables of a session with
 * other streams; all others are marked DELTA_UNIT, and the caps carry PAT and PMT as
 * `streamheader`: a sink that rotates its file cuts playable segments. Buffers are stamped from
 * the PCR, also when they come from a file.
 *
 * Input need not be packet aligned. Bytes that are no packets are skipped and counted. A file
 * that is no transport stream, or one of 192 or 204-byte packets, is refused; while a live
 * source sends anything else, it is waited for, and a message says what comes.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=in.ts blocksize=65536 ! mpegtsregen ! filesink
 * location=out.ts
 * ]|
 * |[
 * gst-launch-1.0 -e srtsrc uri="srt://127.0.0.1:7001?mode=caller" ! mpegtsregen ! filesink
 * location=out.ts
 * ]|
 *
 * Since: 0.1
 */

#include "plugins/mpegtsregen.h"

#include "plugins/common/messages.h"
#include "plugins/mpegtsregen-private.h"

GST_DEBUG_CATEGORY (kr_mpegts_regen_debug);
#define GST_CAT_DEFAULT kr_mpegts_regen_debug

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                             GST_STATIC_CAPS ("video/mpegts, systemstream = (boolean) true"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("video/mpegts, systemstream = (boolean) true, packetsize = (int) 188"));

G_DEFINE_FINAL_TYPE (KrMpegtsRegen, kr_mpegts_regen, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (mpegtsregen, "mpegtsregen", GST_RANK_NONE,
                                       KR_TYPE_MPEGTS_REGEN,
                                       GST_DEBUG_CATEGORY_INIT (kr_mpegts_regen_debug,
                                                                "mpegtsregen", 0,
                                                                "transport stream regenerator"))

/* --- messages ----------------------------------------------------------------------- */

static void
post_events (KrMpegtsRegen *self)
{
  guint n;
  const KrTsEvent *events = kr_ts_regen_get_events (self->regen, &n);

  for (guint i = 0; i < n; i++) {
    const KrTsEvent *event = &events[i];
    g_autofree char *pad = g_strdup_printf ("%u", event->program);
    guint64 utc = (guint64)g_get_real_time () * 1000;

    gst_element_post_message (
        GST_ELEMENT (self),
        gst_message_new_element (
            GST_OBJECT (self),
            gst_structure_new (KR_MSG_MPEGTS_DISCONT, "pad", G_TYPE_STRING, pad, "kind",
                               G_TYPE_STRING, kr_ts_event_name (event->kind), "delta-ns",
                               G_TYPE_INT64, event->delta, "gap-ns", G_TYPE_INT64, event->gap,
                               "epoch", G_TYPE_UINT, event->epoch, "in-ts", G_TYPE_UINT64,
                               (guint64)event->in_ts, "out-ts", G_TYPE_UINT64,
                               (guint64)event->out_ts, "running-time", G_TYPE_UINT64,
                               (guint64)MAX (event->running_time, 0), "utc-ns", G_TYPE_UINT64,
                               utc, "suppressed", G_TYPE_UINT, event->suppressed, NULL)));
  }
}

/* --- caps and segment ---------------------------------------------------------------- */

static void
append_header (GValue *array, GBytes *packets)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (packets, &size);

  for (gsize i = 0; i < size; i += 188) {
    GValue value = G_VALUE_INIT;
    GstBuffer *buffer = gst_buffer_new_memdup (data + i, 188);

    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_HEADER);
    g_value_init (&value, GST_TYPE_BUFFER);
    gst_value_take_buffer (&value, buffer);
    gst_value_array_append_and_take_value (array, &value);
  }
}

static void
push_caps (KrMpegtsRegen *self)
{
  g_autoptr (GstCaps) caps = gst_static_pad_template_get_caps (&src_template);
  g_autoptr (GBytes) header = kr_ts_regen_get_header (self->regen);

  caps = gst_caps_make_writable (g_steal_pointer (&caps));
  if (header != NULL) {
    GValue array = G_VALUE_INIT;

    g_value_init (&array, GST_TYPE_ARRAY);
    append_header (&array, header);
    gst_caps_set_value (caps, "streamheader", &array);
    g_value_unset (&array);
  }
  gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
  self->need_caps = FALSE;
}

static void
prepare_output (KrMpegtsRegen *self, KrTsPieceFlags flags)
{
  if (self->need_stream_start) {
    g_autofree char *id =
        gst_pad_create_stream_id (self->srcpad, GST_ELEMENT (self), "mpegtsregen");

    self->need_stream_start = FALSE;
    gst_pad_push_event (self->srcpad, gst_event_new_stream_start (id));
  }
  if (self->need_caps || (flags & KR_TS_PIECE_TABLES) != 0)
    push_caps (self);
  if (self->need_segment) {
    GstSegment segment;
    GstEvent *event;

    gst_segment_init (&segment, GST_FORMAT_TIME);
    event = gst_event_new_segment (&segment);
    if (self->segment_seqnum != GST_SEQNUM_INVALID)
      gst_event_set_seqnum (event, self->segment_seqnum);
    self->need_segment = FALSE;
    gst_pad_push_event (self->srcpad, event);
  }
}

/* --- data ---------------------------------------------------------------------------- */

static gboolean
ask_whether_live (KrMpegtsRegen *self)
{
  g_autoptr (GstQuery) query = gst_query_new_latency ();
  gboolean live = FALSE;

  if (gst_pad_peer_query (self->sinkpad, query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  return live;
}

/* Called from the streaming thread. */
static void
apply_config (KrMpegtsRegen *self)
{
  KrTsRegenConfig config;
  KrLive live;

  GST_OBJECT_LOCK (self);
  config = self->config;
  live = self->live;
  self->config_changed = FALSE;
  GST_OBJECT_UNLOCK (self);

  if (live == KR_LIVE_AUTO) {
    if (!self->knows_live) {
      self->is_live = ask_whether_live (self);
      self->knows_live = TRUE;
    }
    config.live = self->is_live;
  } else {
    config.live = live == KR_LIVE_YES;
  }
  self->is_live = config.live;
  kr_ts_regen_configure (self->regen, &config);
}

/* Running time of now: when the buffer came is what counts, not what its stamp says. */
static gint64
arrival_time (KrMpegtsRegen *self)
{
  GstClockTime base = gst_element_get_base_time (GST_ELEMENT (self));
  g_autoptr (GstClock) clock = NULL;

  if (!self->is_live)
    return KR_TS_NO_TIME;
  clock = gst_element_get_clock (GST_ELEMENT (self));
  if (clock == NULL || base == GST_CLOCK_TIME_NONE)
    return KR_TS_NO_TIME;
  return GST_CLOCK_DIFF (base, gst_clock_get_time (clock));
}

static GstBuffer *
piece_to_buffer (const KrTsPiece *piece, GstBuffer *input, const guint8 *base, gsize size)
{
  GstBuffer *buffer;

  if (piece->owner != NULL) {
    buffer =
        gst_buffer_new_wrapped_full (0, piece->data, piece->size, 0, piece->size,
                                     g_bytes_ref (piece->owner), (GDestroyNotify)g_bytes_unref);
  } else if (piece->size == size) {
    buffer = gst_buffer_ref (input);
  } else {
    buffer = gst_buffer_copy_region (input, GST_BUFFER_COPY_MEMORY, (gsize)(piece->data - base),
                                     piece->size);
  }
  return buffer;
}

static void
stamp_buffer (GstBuffer *buffer, const KrTsPiece *piece)
{
  GST_BUFFER_PTS (buffer) = (GstClockTime)MAX (piece->stamp, 0);
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_OFFSET (buffer) = GST_BUFFER_OFFSET_NONE;
  GST_BUFFER_OFFSET_END (buffer) = GST_BUFFER_OFFSET_NONE;
  GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_DELTA_UNIT |
                                     GST_BUFFER_FLAG_HEADER | GST_BUFFER_FLAG_RESYNC);
  if ((piece->flags & (KR_TS_PIECE_KEYFRAME | KR_TS_PIECE_START)) == 0)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  if ((piece->flags & KR_TS_PIECE_DISCONT) != 0)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
}

/* Takes @buffer. */
static GstFlowReturn
push_one (KrMpegtsRegen *self, GstBuffer *buffer, const KrTsPiece *piece)
{
  buffer = gst_buffer_make_writable (buffer);
  stamp_buffer (buffer, piece);
  prepare_output (self, piece->flags);
  return gst_pad_push (self->srcpad, buffer);
}

/* Several pieces of one block. Tables that change in between, at most once in a while, are
 * worth a push of their own, so that the caps come before what they describe. */
static GstFlowReturn
push_list (KrMpegtsRegen *self, GstBufferList *list, const KrTsPiece *pieces)
{
  guint n = gst_buffer_list_length (list);
  KrTsPieceFlags flags = 0;

  for (guint i = 1; i < n; i++)
    flags |= pieces[i].flags;
  if ((flags & KR_TS_PIECE_TABLES) != 0) {
    GstFlowReturn flow = GST_FLOW_OK;

    for (guint i = 0; i < n && flow == GST_FLOW_OK; i++)
      flow = push_one (self, gst_buffer_ref (gst_buffer_list_get (list, i)), &pieces[i]);
    gst_buffer_list_unref (list);
    return flow;
  }
  for (guint i = 0; i < n; i++)
    stamp_buffer (gst_buffer_list_get_writable (list, i), &pieces[i]);
  prepare_output (self, pieces[0].flags);
  return gst_pad_push_list (self->srcpad, list);
}

/* Passes on what the regenerator has made of @input (transfer full, nullable: nothing but what
 * was held). */
static GstFlowReturn
push_pieces (KrMpegtsRegen *self, GstBuffer *input, const guint8 *base, gsize size)
{
  guint n;
  const KrTsPiece *pieces = kr_ts_regen_get_pieces (self->regen, &n);
  GstBufferList *list;

  if (n == 1) { /* most buffers of a network source */
    GstBuffer *buffer = piece_to_buffer (&pieces[0], input, base, size);

    g_clear_pointer (&input, gst_buffer_unref);
    return push_one (self, buffer, &pieces[0]);
  }
  if (n == 0) {
    g_clear_pointer (&input, gst_buffer_unref);
    return GST_FLOW_OK;
  }
  list = gst_buffer_list_new_sized (n);
  for (guint i = 0; i < n; i++)
    gst_buffer_list_add (list, piece_to_buffer (&pieces[i], input, base, size));
  /* Not before: a buffer that is passed on whole must be ours alone to be stamped. */
  g_clear_pointer (&input, gst_buffer_unref);
  return push_list (self, list, pieces);
}

static void
publish_stats (KrMpegtsRegen *self)
{
  KrTsRegenStats stats;

  kr_ts_regen_get_stats (self->regen, &stats);
  GST_OBJECT_LOCK (self);
  self->numbers = stats;
  GST_OBJECT_UNLOCK (self);
}

static GstFlowReturn
kr_mpegts_regen_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (parent);
  g_autoptr (GError) error = NULL;
  KrTsHint hints = KR_TS_HINT_NONE;
  GstFlowReturn flow;
  GstMapInfo map;
  guint8 *base;
  gboolean ok;

  if (G_UNLIKELY (self->config_changed))
    apply_config (self);
  if (GST_BUFFER_IS_DISCONT (buffer))
    hints |= KR_TS_HINT_DISCONT;

  buffer = gst_buffer_make_writable (buffer);
  if (!gst_buffer_map (buffer, &map, GST_MAP_READWRITE)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, RESOURCE, FAILED, ("A buffer could not be mapped for writing."),
                       (NULL));
    return GST_FLOW_ERROR;
  }
  base = map.data;
  ok = kr_ts_regen_push (self->regen, map.data, map.size, arrival_time (self), hints, &error);
  gst_buffer_unmap (buffer, &map);
  publish_stats (self);
  if (!ok) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("%s.", error->message), (NULL));
    return GST_FLOW_ERROR;
  }
  kr_mpegts_regen_watch_alien (self);
  flow = push_pieces (self, buffer, base, map.size);
  post_events (self);
  return flow;
}

static void
drain (KrMpegtsRegen *self)
{
  kr_ts_regen_drain (self->regen);
  publish_stats (self);
  push_pieces (self, NULL, NULL, 0);
  post_events (self);
}

/* --- events and queries -------------------------------------------------------------- */

static void
reset_stream (KrMpegtsRegen *self)
{
  kr_ts_regen_reset (self->regen);
  self->need_segment = TRUE;
  self->need_caps = TRUE;
}

static gboolean
kr_mpegts_regen_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (parent);

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_STREAM_START:
    self->need_stream_start = FALSE;
    /* Another source may be live where the last one was not. */
    self->knows_live = FALSE;
    self->config_changed = TRUE;
    return gst_pad_event_default (pad, parent, event);
  case GST_EVENT_CAPS:
    /* Ours say more: the packet size and, once they are known, the tables. */
    gst_event_unref (event);
    return TRUE;
  case GST_EVENT_SEGMENT:
    /* Output has one timeline of its own, whatever the input's is. */
    gst_event_copy_segment (event, &self->segment);
    self->segment_seqnum = gst_event_get_seqnum (event);
    gst_event_unref (event);
    return TRUE;
  case GST_EVENT_GAP:
    /* In the input's time, which says nothing about that of the output. */
    gst_event_unref (event);
    return TRUE;
  case GST_EVENT_FLUSH_STOP:
    reset_stream (self);
    return gst_pad_event_default (pad, parent, event);
  case GST_EVENT_EOS:
    kr_mpegts_regen_end_alien (self);
    drain (self);
    prepare_output (self, 0);
    return gst_pad_event_default (pad, parent, event);
  default:
    return gst_pad_event_default (pad, parent, event);
  }
}

static gboolean
query_latency (KrMpegtsRegen *self, GstQuery *query)
{
  GstClockTime min, max, own;
  gboolean live;

  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;
  gst_query_parse_latency (query, &live, &min, &max);
  GST_OBJECT_LOCK (self);
  own = self->latency;
  GST_OBJECT_UNLOCK (self);
  min += own;
  if (max != GST_CLOCK_TIME_NONE)
    max += own;
  gst_query_set_latency (query, live, min, max);
  return TRUE;
}

static gboolean
kr_mpegts_regen_src_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (parent);

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    return query_latency (self, query);
  return gst_pad_query_default (pad, parent, query);
}

static gboolean
kr_mpegts_regen_sink_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_CAPS) {
    g_autoptr (GstCaps) caps = gst_pad_get_pad_template_caps (pad);
    GstCaps *filter;

    gst_query_parse_caps (query, &filter);
    if (filter != NULL) {
      GstCaps *narrow = gst_caps_intersect_full (filter, caps, GST_CAPS_INTERSECT_FIRST);

      gst_caps_unref (caps);
      caps = narrow;
    }
    gst_query_set_caps_result (query, caps);
    return TRUE;
  }
  return gst_pad_query_default (pad, parent, query);
}

/* --- GstElement ---------------------------------------------------------------------- */

static GstStateChangeReturn
kr_mpegts_regen_change_state (GstElement *element, GstStateChange transition)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    kr_ts_regen_free (self->regen);
    self->regen = kr_ts_regen_new (&self->config);
    self->need_stream_start = self->need_caps = self->need_segment = TRUE;
    self->is_alien = FALSE;
    self->segment_seqnum = GST_SEQNUM_INVALID;
    self->knows_live = FALSE;
    self->config_changed = TRUE;
    gst_segment_init (&self->segment, GST_FORMAT_UNDEFINED);
  }
  result = GST_ELEMENT_CLASS (kr_mpegts_regen_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    kr_ts_regen_reset (self->regen);
  return result;
}

static void
kr_mpegts_regen_finalize (GObject *object)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (object);

  kr_ts_regen_free (self->regen);
  G_OBJECT_CLASS (kr_mpegts_regen_parent_class)->finalize (object);
}

static void
kr_mpegts_regen_class_init (KrMpegtsRegenClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  object_class->set_property = kr_mpegts_regen_set_property;
  object_class->get_property = kr_mpegts_regen_get_property;
  object_class->finalize = kr_mpegts_regen_finalize;
  element_class->change_state = kr_mpegts_regen_change_state;
  kr_mpegts_regen_install_properties (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (
      element_class, "MPEG-TS timestamp regenerator", "Filter",
      "Gives a transport stream one continuous timeline, in place and without demuxing",
      "The keeprolling developers");
}

static void
kr_mpegts_regen_init (KrMpegtsRegen *self)
{
  kr_mpegts_regen_init_properties (self);

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, kr_mpegts_regen_chain);
  gst_pad_set_event_function (self->sinkpad, kr_mpegts_regen_sink_event);
  gst_pad_set_query_function (self->sinkpad, kr_mpegts_regen_sink_query);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_query_function (self->srcpad, kr_mpegts_regen_src_query);
  gst_pad_use_fixed_caps (self->srcpad);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
