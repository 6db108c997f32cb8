/* keeprolling - growthmonitorsink
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-growthmonitorsink
 * @title: growthmonitorsink
 *
 * A bin around any sink that tells whether the recording really grows. It counts what comes in,
 * looks at the file from outside as the one who later plays it would (its size, and whether the
 * path still leads to it), and notices when keyframes stay away. It posts
 *
 * * `growthmonitor-sample` every #growthmonitorsink:interval, with all the numbers;
 * * `growthmonitor-stalled` when the recording has stopped growing, with the reason:
 * `no-input`, `no-growth`, `below-min-rate`, `no-keyframe`, `file-replaced` or `file-unlinked`;
 * again when the reason changes;
 * * `growthmonitor-recovered` when it grows again, with the length of the outage, counted from
 *   the last progress.
 *
 * Stalls are told with no data flowing at all, and not while PAUSED nor after EOS.
 *
 * The sink is #growthmonitorsink:sink: an element or, in gst-launch, a string such as
 * "identity ! fakesink". A sink with a `location` is watched as a file, one that numbers its
 * files (splitmuxsink, hlssink2) by the file it writes at present, an atomicfilesink by the
 * segments that it announces. For others #growthmonitorsink:watch-location names a file or a
 * pattern; without it the bytes that come in are all there is to go by.
 *
 * A keyframe is a buffer without the flag DELTA_UNIT, as parsers, muxers and mpegtsregen mark
 * them. In a stream without such marks every buffer counts as one.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 -e -m audiotestsrc is-live=true num-buffers=100 ! wavenc \
 *   ! growthmonitorsink sink="filesink location=tone.wav"
 * ]| Records two seconds of a tone, and says every second how the file has grown.
 *
 * Since: 0.1
 */

#include "plugins/growthmonitorsink.h"

#include "plugins/growthmonitor.h"
#include "plugins/growthtarget.h"

GST_DEBUG_CATEGORY_STATIC (growth_monitor_sink_debug);
#define GST_CAT_DEFAULT growth_monitor_sink_debug

#define DEFAULT_SINK                  "atomicfilesink"
#define DEFAULT_INTERVAL              (1 * GST_SECOND)
#define DEFAULT_STALL_TIMEOUT         (5 * GST_SECOND)
#define DEFAULT_STARTUP_TIMEOUT       (15 * GST_SECOND)
#define DEFAULT_MIN_RATE              1
#define DEFAULT_WINDOW                (10 * GST_SECOND)
#define DEFAULT_MAX_KEYFRAME_INTERVAL 0
#define DEFAULT_ON_STALL              ON_STALL_MESSAGE

typedef enum { ON_STALL_MESSAGE, ON_STALL_ERROR } OnStall;

enum {
  PROP_0,
  PROP_SINK,
  PROP_LOCATION,
  PROP_WATCH_LOCATION,
  PROP_INTERVAL,
  PROP_STALL_TIMEOUT,
  PROP_STARTUP_TIMEOUT,
  PROP_MIN_RATE,
  PROP_WINDOW,
  PROP_MAX_KEYFRAME_INTERVAL,
  PROP_ON_STALL,
  PROP_STATS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

struct _KrGrowthMonitorSink {
  GstBin parent;

  GstPad *pad;
  /* The streaming thread's way to the counters: set before the pads are active, and valid
   * until they are no more. */
  KrGrowthCounters *counters;

  /* Guarded by the object lock. */
  GstElement *sink;
  char *location; /* as given; the sink's own beats it once there is one */
  char *watch_location;
  KrGrowthConfig config;
  OnStall on_stall;
  KrGrowthMonitor *monitor; /* of this life, or of the last one */
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

G_DEFINE_FINAL_TYPE_WITH_CODE (KrGrowthMonitorSink, kr_growth_monitor_sink, GST_TYPE_BIN,
                               GST_DEBUG_CATEGORY_INIT (growth_monitor_sink_debug,
                                                        "growthmonitorsink", 0,
                                                        "whether a recording grows"))
GST_ELEMENT_REGISTER_DEFINE (growthmonitorsink, "growthmonitorsink", GST_RANK_NONE,
                             KR_TYPE_GROWTH_MONITOR_SINK)

#define TYPE_ON_STALL (on_stall_get_type ())
static GType
on_stall_get_type (void)
{
  static const GEnumValue values[] = {
      {ON_STALL_MESSAGE, "Post growthmonitor-stalled", "message"},
      {ON_STALL_ERROR, "Post growthmonitor-stalled, then an error", "error"},
      {0, NULL, NULL},
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrGrowthMonitorOnStall", values));
  return type;
}

static KrGrowthMonitor *
get_monitor (KrGrowthMonitorSink *self)
{
  KrGrowthMonitor *monitor;

  GST_OBJECT_LOCK (self);
  monitor = kr_growth_monitor_ref (self->monitor);
  GST_OBJECT_UNLOCK (self);
  return monitor;
}

/* --- the streaming thread ---------------------------------------------------------------- */

static void
count_buffer (KrGrowthCounters *counters, GstBuffer *buffer)
{
  kr_growth_count (&counters->bytes, gst_buffer_get_size (buffer));
  kr_growth_count (&counters->buffers, 1);
  if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT))
    kr_growth_count (&counters->keyframes, 1);
}

static GstFlowReturn
chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  KrGrowthCounters *counters = ((KrGrowthMonitorSink *)parent)->counters;
  GstFlowReturn flow;

  count_buffer (counters, buffer);
  kr_growth_count (&counters->entered, 1);
  flow = gst_proxy_pad_chain_default (pad, parent, buffer);
  kr_growth_count (&counters->left, 1);
  return flow;
}

static GstFlowReturn
chain_list (GstPad *pad, GstObject *parent, GstBufferList *list)
{
  KrGrowthCounters *counters = ((KrGrowthMonitorSink *)parent)->counters;
  const guint n = gst_buffer_list_length (list);
  GstFlowReturn flow;

  for (guint i = 0; i < n; i++)
    count_buffer (counters, gst_buffer_list_get (list, i));
  kr_growth_count (&counters->entered, 1);
  flow = gst_proxy_pad_chain_list_default (pad, parent, list);
  kr_growth_count (&counters->left, 1);
  return flow;
}

/* A sink that pulls does so through the ghost pad's other side. */
static GstFlowReturn
get_range (GstPad *pad, GstObject *parent, guint64 offset, guint length, GstBuffer **buffer)
{
  const GstFlowReturn flow =
      gst_proxy_pad_getrange_default (pad, parent, offset, length, buffer);
  g_autoptr (GstObject) self = gst_object_get_parent (parent);

  if (flow == GST_FLOW_OK && self != NULL)
    count_buffer (((KrGrowthMonitorSink *)self)->counters, *buffer);
  return flow;
}

static gboolean
handle_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (parent);
  g_autoptr (KrGrowthMonitor) monitor = NULL;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_EOS:
    monitor = get_monitor (self);
    kr_growth_monitor_finish (monitor);
    break;
  case GST_EVENT_STREAM_START:
  case GST_EVENT_FLUSH_STOP:
    monitor = get_monitor (self);
    kr_growth_monitor_continue (monitor);
    break;
  default:
    break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* --- the sink inside --------------------------------------------------------------------- */

/* The pad of @sink that takes the stream; a muxing sink may have to be asked for one. */
static GstPad *
find_sink_pad (GstElement *sink)
{
  GstPad *pad = gst_element_get_static_pad (sink, "sink");
  const GList *templates =
      gst_element_class_get_pad_template_list (GST_ELEMENT_GET_CLASS (sink));

  if (pad != NULL)
    return pad;
  if (sink->sinkpads != NULL)
    return gst_object_ref (sink->sinkpads->data);
  for (; templates != NULL; templates = templates->next) {
    GstPadTemplate *template = templates->data;

    if (template->direction != GST_PAD_SINK || template->presence != GST_PAD_REQUEST)
      continue;
    pad = gst_element_request_pad (sink, template, NULL, NULL);
    if (pad != NULL)
      return pad;
  }
  return NULL;
}

static void
remove_sink (KrGrowthMonitorSink *self)
{
  GstElement *sink;

  GST_OBJECT_LOCK (self);
  sink = g_steal_pointer (&self->sink);
  GST_OBJECT_UNLOCK (self);
  if (sink == NULL)
    return;
  gst_ghost_pad_set_target (GST_GHOST_PAD (self->pad), NULL);
  gst_element_set_state (sink, GST_STATE_NULL);
  gst_bin_remove (GST_BIN (self), sink);
  gst_object_unref (sink);
}

/* Takes a floating or a full reference. */
static gboolean
add_sink (KrGrowthMonitorSink *self, GstElement *sink)
{
  g_autoptr (GstPad) pad = NULL;

  gst_object_ref_sink (sink);
  pad = find_sink_pad (sink);
  if (pad == NULL || !gst_bin_add (GST_BIN (self), sink)) {
    g_warning ("%s: sink \"%s\" %s", GST_OBJECT_NAME (self), GST_OBJECT_NAME (sink),
               pad == NULL ? "has no sink pad" : "cannot be added: is it in use elsewhere?");
    gst_object_unref (sink);
    return FALSE;
  }
  gst_ghost_pad_set_target (GST_GHOST_PAD (self->pad), pad);
  GST_OBJECT_LOCK (self);
  self->sink = sink;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static GstElement *
get_sink (KrGrowthMonitorSink *self)
{
  GstElement *sink;

  GST_OBJECT_LOCK (self);
  sink = self->sink != NULL ? gst_object_ref (self->sink) : NULL;
  GST_OBJECT_UNLOCK (self);
  return sink;
}

/* The element inside that has a "location" (transfer full), or NULL. */
static GstElement *
get_located (KrGrowthMonitorSink *self)
{
  g_autoptr (GstElement) sink = get_sink (self);
  g_autoptr (GstElement) element = NULL;

  if (sink == NULL)
    return NULL;
  element = kr_growth_target_find_element (sink);
  return kr_growth_target_has_location (element) ? g_steal_pointer (&element) : NULL;
}

/* Hands the location on, if there is one and somebody to take it. */
static void
pass_location (KrGrowthMonitorSink *self)
{
  g_autoptr (GstElement) element = get_located (self);
  g_autofree char *location = NULL;

  GST_OBJECT_LOCK (self);
  location = g_strdup (self->location);
  GST_OBJECT_UNLOCK (self);
  if (element != NULL && location != NULL)
    g_object_set (element, "location", location, NULL);
}

static void
set_sink (KrGrowthMonitorSink *self, GstElement *sink)
{
  gboolean started;

  /* One that waits for its first buffer counts as READY still. */
  GST_OBJECT_LOCK (self);
  started = MAX (GST_STATE (self), GST_STATE_TARGET (self)) > GST_STATE_READY;
  GST_OBJECT_UNLOCK (self);
  if (started) {
    g_warning ("%s: \"sink\" can only be changed in the states NULL and READY",
               GST_OBJECT_NAME (self));
    return;
  }
  remove_sink (self);
  if (sink != NULL && add_sink (self, sink))
    pass_location (self);
}

/* Makes the default sink if none was given, and checks that a location has found its taker. */
static gboolean
prepare_sink (KrGrowthMonitorSink *self)
{
  g_autoptr (GstElement) sink = get_sink (self);
  g_autoptr (GstElement) located = NULL;

  if (sink == NULL) {
    GstElement *fresh = gst_element_factory_make (DEFAULT_SINK, NULL);

    if (fresh == NULL) {
      GST_ELEMENT_ERROR (self, CORE, MISSING_PLUGIN,
                         ("There is no element \"" DEFAULT_SINK "\", the default sink."),
                         ("set the property \"sink\", e.g. sink=\"filesink location=FILE\""));
      return FALSE;
    }
    add_sink (self, fresh);
    pass_location (self);
  }
  located = get_located (self);
  if (located == NULL && self->location != NULL) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
                       ("The sink takes no location, but \"%s\" was given.", self->location),
                       ("to watch a file that the sink writes, set \"watch-location\""));
    return FALSE;
  }
  return TRUE;
}

/* --- states and messages ----------------------------------------------------------------- */

/* Before the sink starts: its first messages count already. */
static void
open_monitor (KrGrowthMonitorSink *self)
{
  g_autoptr (GstElement) sink = get_sink (self);
  g_autoptr (KrGrowthMonitor) old = NULL;
  g_autofree char *watch_location = NULL;
  KrGrowthMonitor *monitor;

  GST_OBJECT_LOCK (self);
  watch_location = g_strdup (self->watch_location);
  GST_OBJECT_UNLOCK (self);
  monitor = kr_growth_monitor_new (GST_ELEMENT (self), sink, watch_location);
  GST_OBJECT_LOCK (self);
  kr_growth_monitor_configure (monitor, &self->config, self->on_stall == ON_STALL_ERROR);
  old = self->monitor;
  self->monitor = monitor;
  self->counters = kr_growth_monitor_counters (monitor);
  GST_OBJECT_UNLOCK (self);
}

static GstStateChangeReturn
change_state (GstElement *element, GstStateChange transition)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !prepare_sink (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    open_monitor (self);

  ret = GST_ELEMENT_CLASS (kr_growth_monitor_sink_parent_class)
            ->change_state (element, transition);

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && ret != GST_STATE_CHANGE_FAILURE)
    kr_growth_monitor_start (self->monitor);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && ret == GST_STATE_CHANGE_FAILURE))
    kr_growth_monitor_close (self->monitor);
  return ret;
}

/* For the exact moment of a pause and its end; see kr_growth_monitor_start(). */
static GstStateChangeReturn
set_state (GstElement *element, GstState state)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (element);
  GstStateChangeReturn ret;

  if (state < GST_STATE_PLAYING)
    kr_growth_monitor_hold (self->monitor);
  ret = GST_ELEMENT_CLASS (kr_growth_monitor_sink_parent_class)->set_state (element, state);
  if (state == GST_STATE_PLAYING && ret != GST_STATE_CHANGE_FAILURE)
    kr_growth_monitor_release (self->monitor);
  return ret;
}

static void
handle_message (GstBin *bin, GstMessage *message)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (bin);
  g_autoptr (KrGrowthMonitor) monitor = NULL;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT) {
    monitor = get_monitor (self);
    kr_growth_monitor_take_message (monitor, message);
  }
  GST_BIN_CLASS (kr_growth_monitor_sink_parent_class)->handle_message (bin, message);
}

/* The bin's own EOS, made from those of its sinks, goes up here: the last numbers go first. */
static gboolean
post_message (GstElement *element, GstMessage *message)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (element);

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS) {
    g_autoptr (KrGrowthMonitor) monitor = get_monitor (self);

    kr_growth_monitor_end (monitor);
  }
  return GST_ELEMENT_CLASS (kr_growth_monitor_sink_parent_class)
      ->post_message (element, message);
}

/* --- object ------------------------------------------------------------------------------ */

static guint64 *
config_field (KrGrowthMonitorSink *self, guint id)
{
  switch (id) {
  case PROP_INTERVAL:
    return &self->config.interval_ns;
  case PROP_STALL_TIMEOUT:
    return &self->config.stall_timeout_ns;
  case PROP_STARTUP_TIMEOUT:
    return &self->config.startup_timeout_ns;
  case PROP_MIN_RATE:
    return &self->config.min_rate;
  case PROP_WINDOW:
    return &self->config.window_ns;
  case PROP_MAX_KEYFRAME_INTERVAL:
    return &self->config.max_keyframe_interval_ns;
  default:
    return NULL;
  }
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (object);

  if (id == PROP_SINK) {
    set_sink (self, g_value_get_object (value));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_LOCATION:
    g_free (self->location);
    self->location = g_value_dup_string (value);
    break;
  case PROP_WATCH_LOCATION:
    g_free (self->watch_location);
    self->watch_location = g_value_dup_string (value);
    break;
  case PROP_ON_STALL:
    self->on_stall = (OnStall)g_value_get_enum (value);
    break;
  default:
    if (config_field (self, id) != NULL)
      *config_field (self, id) = g_value_get_uint64 (value);
    else
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  kr_growth_monitor_configure (self->monitor, &self->config, self->on_stall == ON_STALL_ERROR);
  GST_OBJECT_UNLOCK (self);
  if (id == PROP_LOCATION)
    pass_location (self);
}

static void
get_location (KrGrowthMonitorSink *self, GValue *value)
{
  g_autoptr (GstElement) element = get_located (self);

  if (element != NULL) {
    g_object_get_property (G_OBJECT (element), "location", value);
    return;
  }
  GST_OBJECT_LOCK (self);
  g_value_set_string (value, self->location);
  GST_OBJECT_UNLOCK (self);
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (object);
  g_autoptr (KrGrowthMonitor) monitor = NULL;

  switch (id) {
  case PROP_SINK:
    g_value_take_object (value, get_sink (self));
    return;
  case PROP_LOCATION:
    get_location (self, value);
    return;
  case PROP_STATS:
    monitor = get_monitor (self);
    g_value_take_boxed (value, kr_growth_monitor_stats (monitor));
    return;
  default:
    break;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_WATCH_LOCATION:
    g_value_set_string (value, self->watch_location);
    break;
  case PROP_ON_STALL:
    g_value_set_enum (value, (gint)self->on_stall);
    break;
  default:
    if (config_field (self, id) != NULL)
      g_value_set_uint64 (value, *config_field (self, id));
    else
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
kr_growth_monitor_sink_dispose (GObject *object)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (object);

  if (self->monitor != NULL)
    kr_growth_monitor_close (self->monitor);
  remove_sink (self);
  G_OBJECT_CLASS (kr_growth_monitor_sink_parent_class)->dispose (object);
}

static void
kr_growth_monitor_sink_finalize (GObject *object)
{
  KrGrowthMonitorSink *self = KR_GROWTH_MONITOR_SINK (object);

  kr_growth_monitor_unref (self->monitor);
  g_free (self->location);
  g_free (self->watch_location);
  G_OBJECT_CLASS (kr_growth_monitor_sink_parent_class)->finalize (object);
}

static void
kr_growth_monitor_sink_init (KrGrowthMonitorSink *self)
{
  GstPadTemplate *template = gst_static_pad_template_get (&sink_template);
  g_autoptr (GstProxyPad) inner = NULL;

  self->config = (KrGrowthConfig){
      .interval_ns = DEFAULT_INTERVAL,
      .stall_timeout_ns = DEFAULT_STALL_TIMEOUT,
      .startup_timeout_ns = DEFAULT_STARTUP_TIMEOUT,
      .window_ns = DEFAULT_WINDOW,
      .min_rate = DEFAULT_MIN_RATE,
      .max_keyframe_interval_ns = DEFAULT_MAX_KEYFRAME_INTERVAL,
  };
  self->monitor = kr_growth_monitor_new (GST_ELEMENT (self), NULL, NULL);
  self->counters = kr_growth_monitor_counters (self->monitor);

  self->pad = gst_ghost_pad_new_no_target_from_template ("sink", template);
  gst_object_unref (template);
  /* Counting here instead of in a probe costs no lock and no hook list per buffer. */
  gst_pad_set_chain_function (self->pad, chain);
  gst_pad_set_chain_list_function (self->pad, chain_list);
  gst_pad_set_event_function (self->pad, handle_event);
  inner = gst_proxy_pad_get_internal (GST_PROXY_PAD (self->pad));
  gst_pad_set_getrange_function (GST_PAD (inner), get_range);
  gst_element_add_pad (GST_ELEMENT (self), self->pad);

  /* A sink before it has one inside, so that a pipeline waits for its EOS. */
  gst_bin_set_suppressed_flags (GST_BIN (self),
                                GST_ELEMENT_FLAG_SOURCE | GST_ELEMENT_FLAG_SINK);
  GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SINK);
}

static void
install_times (void)
{
  const GParamFlags flags =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

  properties[PROP_INTERVAL] = g_param_spec_uint64 (
      "interval", "Interval", "How often the recording is looked at, in nanoseconds",
      GST_MSECOND, G_MAXINT64, DEFAULT_INTERVAL, flags);
  properties[PROP_STALL_TIMEOUT] =
      g_param_spec_uint64 ("stall-timeout", "Stall timeout",
                           "The recording has stalled when it has not grown for this long, in "
                           "nanoseconds (0 = never)",
                           0, G_MAXINT64, DEFAULT_STALL_TIMEOUT, flags);
  properties[PROP_STARTUP_TIMEOUT] = g_param_spec_uint64 (
      "startup-timeout", "Startup timeout",
      "How long the recording may take to begin to grow after the start, in nanoseconds "
      "(0 = stall-timeout)",
      0, G_MAXINT64, DEFAULT_STARTUP_TIMEOUT, flags);
  properties[PROP_MIN_RATE] = g_param_spec_uint64 (
      "min-rate", "Minimum rate",
      "The recording has stalled when it grows more slowly than this over window, in bytes per "
      "second (0 = off)",
      0, G_MAXUINT64, DEFAULT_MIN_RATE, flags);
  properties[PROP_WINDOW] =
      g_param_spec_uint64 ("window", "Window",
                           "Over how long the rate is taken, in nanoseconds (min-rate: "
                           "stall-timeout if that is longer)",
                           GST_MSECOND, G_MAXINT64, DEFAULT_WINDOW, flags);
  properties[PROP_MAX_KEYFRAME_INTERVAL] = g_param_spec_uint64 (
      "max-keyframe-interval", "Maximum keyframe interval",
      "The recording has stalled when data comes in without a keyframe for this long, in "
      "nanoseconds (0 = off)",
      0, G_MAXINT64, DEFAULT_MAX_KEYFRAME_INTERVAL, flags);
}

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;

  properties[PROP_SINK] = g_param_spec_object (
      "sink", "Sink",
      "The sink inside: an element, or in a launch line its name or a description of a bin "
      "(NULL = " DEFAULT_SINK ")",
      GST_TYPE_ELEMENT, flags | GST_PARAM_MUTABLE_READY);
  properties[PROP_LOCATION] = g_param_spec_string (
      "location", "Location", "The location of the sink inside, handed on to it", NULL,
      flags | GST_PARAM_MUTABLE_READY);
  properties[PROP_WATCH_LOCATION] = g_param_spec_string (
      "watch-location", "Watch location",
      "The file to watch, or a pattern with wildcards in its last component, of which the file "
      "written at present is watched (NULL = what the sink inside writes)",
      NULL, flags | GST_PARAM_MUTABLE_READY);
  properties[PROP_ON_STALL] =
      g_param_spec_enum ("on-stall", "On stall", "What to do when the recording has stalled",
                         TYPE_ON_STALL, DEFAULT_ON_STALL, flags | GST_PARAM_MUTABLE_PLAYING);
  properties[PROP_STATS] = g_param_spec_boxed (
      "stats", "Statistics",
      "The fields of growthmonitor-sample as of the last sample (bytes-in, buffers and "
      "keyframes "
      "as of now), and samples, stalls, stalled-ns (outages that are over) and reason (of the "
      "last stall)",
      GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  install_times ();
  g_object_class_install_properties (klass, N_PROPS, properties);
}

static void
kr_growth_monitor_sink_class_init (KrGrowthMonitorSinkClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->dispose = kr_growth_monitor_sink_dispose;
  object_class->finalize = kr_growth_monitor_sink_finalize;
  element_class->change_state = change_state;
  element_class->set_state = set_state;
  element_class->post_message = post_message;
  GST_BIN_CLASS (klass)->handle_message = handle_message;
  install_properties (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_set_static_metadata (
      element_class, "Growth monitor sink", "Sink/Bin/File",
      "Tells whether the recording that the sink inside makes really grows",
      "The keeprolling developers");
  gst_type_mark_as_plugin_api (TYPE_ON_STALL, 0);
}
