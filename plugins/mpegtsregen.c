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
 * Buffers are cut so that each keyframe begins one; all others are marked DELTA_UNIT, and the
 * caps carry PAT and PMT as `streamheader`: a sink that rotates its file cuts playable
 * segments. Buffers are stamped from the PCR, also when they come from a file.
 *
 * Input need not be packet aligned. Bytes that are no packets are skipped and counted; streams
 * of 192 or 204-byte packets are refused.
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

#include "config.h"

#include "plugins/mpegtsregen.h"
#include "plugins/common/messages.h"
#include "plugins/common/mpegts-regen.h"

GST_DEBUG_CATEGORY_STATIC (mpegts_regen_debug);
#define GST_CAT_DEFAULT mpegts_regen_debug

#define DEFAULT_MODE          KR_TS_REGEN_CORRECT
#define DEFAULT_CC            KR_CC_REPAIR_JOINS
#define DEFAULT_LIVE          KR_LIVE_AUTO
#define DEFAULT_MAX_GAP       (1 * GST_SECOND)
#define DEFAULT_MAX_LAG       (2 * GST_SECOND)
#define DEFAULT_LAG_HOLD      (3 * GST_SECOND)
#define DEFAULT_HOLD_TIME     (100 * GST_MSECOND)
#define DEFAULT_HOLD_BYTES    (1024 * 1024)
#define DEFAULT_WAIT_KEYFRAME FALSE
#define DEFAULT_LATENCY       0

typedef enum { KR_CC_REPAIR_JOINS, KR_CC_PRESERVE } KrCc;
typedef enum { KR_LIVE_AUTO, KR_LIVE_YES, KR_LIVE_NO } KrLive;

enum {
  PROP_0,
  PROP_MODE,
  PROP_CC,
  PROP_LIVE,
  PROP_MAX_GAP,
  PROP_MAX_LAG,
  PROP_LAG_HOLD,
  PROP_HOLD_TIME,
  PROP_HOLD_BYTES,
  PROP_WAIT_KEYFRAME,
  PROP_LATENCY,
  PROP_STATS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

struct _KrMpegtsRegen {
  GstElement parent;

  GstPad *sinkpad, *srcpad;

  /* Properties, under the object lock. */
  KrTsRegenConfig config;
  KrLive live;
  GstClockTime latency;
  gboolean config_changed;
  KrTsRegenStats numbers;

  /* The streaming thread's, under the stream lock of the sink pad. */
  KrTsRegen *regen;
  GstSegment segment; /* of the input */
  gboolean is_live;
  gboolean knows_live;
  gboolean need_stream_start, need_caps, need_segment;
  guint segment_seqnum;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                             GST_STATIC_CAPS ("video/mpegts, systemstream = (boolean) true"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("video/mpegts, systemstream = (boolean) true, packetsize = (int) 188"));

G_DEFINE_FINAL_TYPE (KrMpegtsRegen, kr_mpegts_regen, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (mpegtsregen, "mpegtsregen", GST_RANK_NONE,
                                       KR_TYPE_MPEGTS_REGEN,
                                       GST_DEBUG_CATEGORY_INIT (mpegts_regen_debug,
                                                                "mpegtsregen", 0,
                                                                "transport stream regenerator"))

/* --- enums --------------------------------------------------------------------------- */

#define KR_TYPE_MPEGTS_REGEN_MODE (mode_get_type ())
static GType
mode_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
      {KR_TS_REGEN_MONITOR, "Judge and report, change nothing", "monitor"},
      {KR_TS_REGEN_CORRECT, "Repair; a clean stream keeps its bytes", "correct"},
      {KR_TS_REGEN_ARRIVAL, "Repair, and bend the clock after the arrival", "arrival"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrMpegtsRegenMode", values));
  return type;
}

#define KR_TYPE_MPEGTS_REGEN_CC (cc_get_type ())
static GType
cc_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
      {KR_CC_REPAIR_JOINS, "Counters go on across a join; losses inside a session stay visible",
       "repair-joins"},
      {KR_CC_PRESERVE, "Counters stay as they came", "preserve"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrMpegtsRegenCC", values));
  return type;
}

#define KR_TYPE_MPEGTS_REGEN_LIVE (live_get_type ())
static GType
live_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
      {KR_LIVE_AUTO, "As the latency query tells", "auto"},
      {KR_LIVE_YES, "Arrival times count", "true"},
      {KR_LIVE_NO, "Arrival times mean nothing", "false"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrMpegtsRegenLive", values));
  return type;
}

/* --- stats and messages -------------------------------------------------------------- */

static GstStructure *
make_stats (const KrTsRegenStats *s)
{
  return gst_structure_new (
      "mpegtsregen-stats", "packets", G_TYPE_UINT64, s->packets, "bytes-in", G_TYPE_UINT64,
      s->bytes_in, "bytes-out", G_TYPE_UINT64, s->bytes_out, "garbage-bytes", G_TYPE_UINT64,
      s->garbage_bytes, "dropped-packets", G_TYPE_UINT64, s->dropped_packets, "tei-packets",
      G_TYPE_UINT64, s->tei_packets, "cc-errors", G_TYPE_UINT64, s->cc_errors, "crc-errors",
      G_TYPE_UINT64, s->crc_errors, "keyframes", G_TYPE_UINT64, s->keyframes, "outliers",
      G_TYPE_UINT64, s->outliers, "nudged", G_TYPE_UINT64, s->nudged, "corrections",
      G_TYPE_UINT64, s->corrections, "gaps", G_TYPE_UINT64, s->gaps, "gap-ns", G_TYPE_UINT64,
      s->gap_ns, "joins", G_TYPE_UINT64, s->joins, "holds", G_TYPE_UINT64, s->holds,
      "discontinuities", G_TYPE_UINT64, s->discontinuities, "programs", G_TYPE_UINT,
      s->programs, "epochs", G_TYPE_UINT, s->epochs, "offset-ns", G_TYPE_INT64, s->offset_ns,
      "lag-ns", G_TYPE_INT64, s->lag_ns, "drift-known", G_TYPE_BOOLEAN, s->drift_known,
      "drift-ppm", G_TYPE_DOUBLE, s->drift_ppm, NULL);
}

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
  if ((piece->flags & KR_TS_PIECE_KEYFRAME) == 0)
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
  case GST_EVENT_FLUSH_STOP:
    reset_stream (self);
    return gst_pad_event_default (pad, parent, event);
  case GST_EVENT_EOS:
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
kr_mpegts_regen_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_MODE:
    self->config.mode = g_value_get_enum (value);
    break;
  case PROP_CC:
    self->config.repair_joins = g_value_get_enum (value) == KR_CC_REPAIR_JOINS;
    break;
  case PROP_LIVE:
    self->live = g_value_get_enum (value);
    break;
  case PROP_MAX_GAP:
    self->config.max_gap = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_MAX_LAG:
    self->config.max_lag = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_LAG_HOLD:
    self->config.lag_hold = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_HOLD_TIME:
    self->config.hold_time = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_HOLD_BYTES:
    self->config.hold_bytes = g_value_get_uint (value);
    break;
  case PROP_WAIT_KEYFRAME:
    self->config.wait_keyframe = g_value_get_boolean (value);
    break;
  case PROP_LATENCY:
    self->latency = g_value_get_uint64 (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  self->config_changed = TRUE;
  GST_OBJECT_UNLOCK (self);
}

static void
kr_mpegts_regen_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_MODE:
    g_value_set_enum (value, self->config.mode);
    break;
  case PROP_CC:
    g_value_set_enum (value, self->config.repair_joins ? KR_CC_REPAIR_JOINS : KR_CC_PRESERVE);
    break;
  case PROP_LIVE:
    g_value_set_enum (value, self->live);
    break;
  case PROP_MAX_GAP:
    g_value_set_uint64 (value, (guint64)self->config.max_gap);
    break;
  case PROP_MAX_LAG:
    g_value_set_uint64 (value, (guint64)self->config.max_lag);
    break;
  case PROP_LAG_HOLD:
    g_value_set_uint64 (value, (guint64)self->config.lag_hold);
    break;
  case PROP_HOLD_TIME:
    g_value_set_uint64 (value, (guint64)self->config.hold_time);
    break;
  case PROP_HOLD_BYTES:
    g_value_set_uint (value, (guint)self->config.hold_bytes);
    break;
  case PROP_WAIT_KEYFRAME:
    g_value_set_boolean (value, self->config.wait_keyframe);
    break;
  case PROP_LATENCY:
    g_value_set_uint64 (value, self->latency);
    break;
  case PROP_STATS:
    g_value_take_boxed (value, make_stats (&self->numbers));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
kr_mpegts_regen_finalize (GObject *object)
{
  KrMpegtsRegen *self = KR_MPEGTS_REGEN (object);

  kr_ts_regen_free (self->regen);
  G_OBJECT_CLASS (kr_mpegts_regen_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
  const guint64 longest = G_GUINT64_CONSTANT (3600) * GST_SECOND;

  properties[PROP_MODE] =
      g_param_spec_enum ("mode", "Mode", "What to do about time that is not continuous",
                         KR_TYPE_MPEGTS_REGEN_MODE, DEFAULT_MODE, flags);
  properties[PROP_CC] = g_param_spec_enum (
      "cc", "Continuity counters", "What to do about continuity counters where sessions join",
      KR_TYPE_MPEGTS_REGEN_CC, DEFAULT_CC, flags);
  properties[PROP_LIVE] =
      g_param_spec_enum ("live", "Live", "Whether arrival times tell how much time has passed",
                         KR_TYPE_MPEGTS_REGEN_LIVE, DEFAULT_LIVE, flags);
  properties[PROP_MAX_GAP] = g_param_spec_uint64 (
      "max-gap", "Maximum gap", "Largest step of the PCR that passes as it is, in ns",
      GST_MSECOND * 100, longest, DEFAULT_MAX_GAP, flags);
  properties[PROP_MAX_LAG] = g_param_spec_uint64 (
      "max-lag", "Maximum lag",
      "A live source that is later than this for lag-hold is moved forward, in ns", GST_MSECOND,
      longest, DEFAULT_MAX_LAG, flags);
  properties[PROP_LAG_HOLD] = g_param_spec_uint64 (
      "lag-hold", "Lag hold", "How long a lag must last before it is believed, in ns", 0,
      longest, DEFAULT_LAG_HOLD, flags);
  properties[PROP_HOLD_TIME] = g_param_spec_uint64 (
      "hold-time", "Hold time",
      "How long packets of a new session wait for the PCR that places them, in ns (live)", 0,
      10 * GST_SECOND, DEFAULT_HOLD_TIME, flags);
  properties[PROP_HOLD_BYTES] = g_param_spec_uint (
      "hold-bytes", "Hold bytes",
      "How much of a new session may wait for the PCR that places it, in bytes", 188,
      64 * 1024 * 1024, DEFAULT_HOLD_BYTES, flags);
  properties[PROP_WAIT_KEYFRAME] = g_param_spec_boolean (
      "wait-keyframe", "Wait for a keyframe",
      "Drop the packets of a session up to its first keyframe", DEFAULT_WAIT_KEYFRAME, flags);
  properties[PROP_LATENCY] = g_param_spec_uint64 (
      "latency", "Latency", "Latency to add to what the source reports, in ns", 0, longest,
      DEFAULT_LATENCY, flags);
  properties[PROP_STATS] =
      g_param_spec_boxed ("stats", "Statistics", "Counters since the element was started",
                          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
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
  install_properties (object_class);
  gst_type_mark_as_plugin_api (KR_TYPE_MPEGTS_REGEN_MODE, 0);
  gst_type_mark_as_plugin_api (KR_TYPE_MPEGTS_REGEN_CC, 0);
  gst_type_mark_as_plugin_api (KR_TYPE_MPEGTS_REGEN_LIVE, 0);

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
  kr_ts_regen_config_init (&self->config);
  self->live = DEFAULT_LIVE;
  self->latency = DEFAULT_LATENCY;

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
