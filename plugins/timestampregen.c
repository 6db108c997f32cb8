/* keeprolling - one continuous timeline for raw and parsed streams
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-timestampregen
 * @title: timestampregen
 * @short_description: repairs timestamps, for all streams of a source alike
 *
 * One timestampregen takes all streams of one source and gives them one continuous timeline:
 * what #KrTimestampRegen:mode `correct` repairs are missing, doubled, wild and backward stamps,
 * jumps, counter wraps and restarts of the source. All streams share every correction, so
 * lip-sync survives. A loss that stamps and arrival agree on stays a gap; stamps that need no
 * repair leave as they came.
 *
 * Each requested pad `sink_N` brings a `src_N`. The element has no thread of its own: **put a
 * queue behind each src pad**, or a muxer that waits for one stream stops the other.
 *
 * Each correction is told by an element message `timestampregen-discontinuity`, and counted in
 * #KrTimestampRegen:stats.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=50 ! x264enc ! timestampregen ! queue ! mpegtsmux !
 * fakesink
 * ]|
 * |[
 * gst-launch-1.0 timestampregen name=t  videotestsrc num-buffers=50 !
 * video/x-raw,framerate=25/1 ! t.sink_0  audiotestsrc num-buffers=100 ! audio/x-raw,rate=48000
 * ! t.sink_1  t.src_0 ! queue ! fakesink  t.src_1 ! queue ! fakesink
 * ]|
 * |[
 * gst-launch-1.0 videotestsrc is-live=true num-buffers=50 ! video/x-raw,framerate=25/1 !
 * timestampregen mode=cfr ! queue ! fakesink
 * ]|
 *
 * Since: 0.1
 */

#include "plugins/timestampregen.h"

#include "plugins/timestampregen-private.h"

GST_DEBUG_CATEGORY (kr_timestamp_regen_debug);
#define GST_CAT_DEFAULT kr_timestamp_regen_debug

/* The pipeline clock has stepped when it and the monotonic clock differ by this since the last
 * buffer. */
#define CLOCK_STEP (250 * GST_MSECOND)

enum {
  PROP_0,
  PROP_MODE,
  PROP_LIVE,
  PROP_MAX_GAP,
  PROP_JITTER,
  PROP_CONFIRM,
  PROP_SETTLE,
  PROP_MAX_LAG,
  PROP_LAG_HOLD,
  PROP_GAP_POLICY,
  PROP_DRIFT,
  PROP_MAX_RATE,
  PROP_FRAMERATE,
  PROP_MAX_FILL,
  PROP_WAIT_KEYFRAME,
  PROP_LATENCY,
  PROP_STATS,
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src_%u", GST_PAD_SRC, GST_PAD_SOMETIMES, GST_STATIC_CAPS_ANY);

G_DEFINE_TYPE_WITH_CODE (KrTimestampRegen, kr_timestamp_regen, GST_TYPE_ELEMENT,
                         GST_DEBUG_CATEGORY_INIT (kr_timestamp_regen_debug, "timestampregen", 0,
                                                  "timestamp regenerator"))
GST_ELEMENT_REGISTER_DEFINE (timestampregen, "timestampregen", GST_RANK_NONE,
                             KR_TYPE_TIMESTAMP_REGEN)

static GType
mode_get_type (void)
{
  static const GEnumValue values[] = {
      {KR_TIMELINE_CORRECT, "Repair what is wrong, leave the rest alone", "correct"},
      {KR_TIMELINE_MONITOR, "Judge and report, change nothing", "monitor"},
      {KR_TIMELINE_ARRIVAL, "Ignore the stamps, smooth the times of arrival", "arrival"},
      {KR_TIMELINE_CFR, "Repair, then snap video to its frame rate", "cfr"},
      {0, NULL, NULL},
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrTimestampRegenMode", values));
  return type;
}

static GType
live_get_type (void)
{
  static const GEnumValue values[] = {
      {KR_TIMESTAMP_REGEN_LIVE_AUTO, "Ask upstream by a LATENCY query", "auto"},
      {KR_TIMESTAMP_REGEN_LIVE_TRUE, "Arrival counts", "true"},
      {KR_TIMESTAMP_REGEN_LIVE_FALSE, "Arrival does not count", "false"},
      {0, NULL, NULL},
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrTimestampRegenLive", values));
  return type;
}

static GType
gap_policy_get_type (void)
{
  static const GEnumValue values[] = {
      {KR_TIMELINE_GAP_KEEP, "Keep the time that has really passed", "keep"},
      {KR_TIMELINE_GAP_COLLAPSE, "Close every gap above max-gap", "collapse"},
      {0, NULL, NULL},
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrTimestampRegenGapPolicy", values));
  return type;
}

static GType
drift_get_type (void)
{
  static const GEnumValue values[] = {
      {KR_TIMELINE_DRIFT_REPORT, "Measure the source's clock", "report"},
      {KR_TIMELINE_DRIFT_FOLLOW, "Bend the timeline to the pipeline's clock", "follow"},
      {0, NULL, NULL},
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("KrTimestampRegenDrift", values));
  return type;
}

/* Called with the lock, after a change of the configuration. */
void
kr_regen_configure (KrTimestampRegen *self)
{
  kr_timeline_configure (self->timeline, &self->config);
}

/* Called with the lock. */
static void
set_live (KrTimestampRegen *self, KrTimestampRegenLive live)
{
  self->live = live;
  self->live_known = live != KR_TIMESTAMP_REGEN_LIVE_AUTO;
  self->config.live = live == KR_TIMESTAMP_REGEN_LIVE_TRUE;
}

static void
apply_formats (KrTimestampRegen *self)
{
  GList *item;

  for (item = self->pads; item != NULL; item = item->next)
    kr_regen_apply_format (self, item->data);
}

/* Called with the lock. */
static void
set_wait_keyframe (KrTimestampRegen *self, gboolean wait)
{
  GList *item;

  self->wait_keyframe = wait;
  for (item = self->pads; item != NULL; item = item->next)
    ((KrRegenPad *)item->data)->wait_keyframe = wait;
}

static void
kr_timestamp_regen_set_property (GObject *object, guint id, const GValue *value,
                                 GParamSpec *pspec)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (object);
  KrTimelineConfig *config = &self->config;
  gboolean new_latency = FALSE;

  g_mutex_lock (&self->lock);
  switch (id) {
  case PROP_MODE:
    config->mode = (KrTimelineMode)g_value_get_enum (value);
    break;
  case PROP_LIVE:
    set_live (self, (KrTimestampRegenLive)g_value_get_enum (value));
    break;
  case PROP_MAX_GAP:
    config->max_gap = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_JITTER:
    config->jitter = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_CONFIRM:
    config->confirm = g_value_get_uint (value);
    break;
  case PROP_SETTLE:
    config->settle = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_MAX_LAG:
    config->max_lag = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_LAG_HOLD:
    config->lag_hold = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_GAP_POLICY:
    config->gap_policy = (KrTimelineGapPolicy)g_value_get_enum (value);
    break;
  case PROP_DRIFT:
    config->drift = (KrTimelineDriftPolicy)g_value_get_enum (value);
    break;
  case PROP_MAX_RATE:
    config->max_rate = g_value_get_uint (value);
    break;
  case PROP_FRAMERATE:
    self->rate_n = gst_value_get_fraction_numerator (value);
    self->rate_d = gst_value_get_fraction_denominator (value);
    apply_formats (self);
    break;
  case PROP_MAX_FILL:
    config->max_fill = (gint64)g_value_get_uint64 (value);
    break;
  case PROP_WAIT_KEYFRAME:
    set_wait_keyframe (self, g_value_get_boolean (value));
    break;
  case PROP_LATENCY:
    new_latency = self->latency != g_value_get_uint64 (value);
    self->latency = g_value_get_uint64 (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  kr_regen_configure (self);
  g_mutex_unlock (&self->lock);
  if (new_latency)
    gst_element_post_message (GST_ELEMENT (self), gst_message_new_latency (GST_OBJECT (self)));
}

static void
kr_timestamp_regen_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (object);
  const KrTimelineConfig *config = &self->config;

  if (id == PROP_STATS) {
    g_value_take_boxed (value, kr_regen_stats (self));
    return;
  }
  g_mutex_lock (&self->lock);
  switch (id) {
  case PROP_MODE:
    g_value_set_enum (value, (gint)config->mode);
    break;
  case PROP_LIVE:
    g_value_set_enum (value, (gint)self->live);
    break;
  case PROP_MAX_GAP:
    g_value_set_uint64 (value, (guint64)config->max_gap);
    break;
  case PROP_JITTER:
    g_value_set_uint64 (value, (guint64)config->jitter);
    break;
  case PROP_CONFIRM:
    g_value_set_uint (value, config->confirm);
    break;
  case PROP_SETTLE:
    g_value_set_uint64 (value, (guint64)config->settle);
    break;
  case PROP_MAX_LAG:
    g_value_set_uint64 (value, (guint64)config->max_lag);
    break;
  case PROP_LAG_HOLD:
    g_value_set_uint64 (value, (guint64)config->lag_hold);
    break;
  case PROP_GAP_POLICY:
    g_value_set_enum (value, (gint)config->gap_policy);
    break;
  case PROP_DRIFT:
    g_value_set_enum (value, (gint)config->drift);
    break;
  case PROP_MAX_RATE:
    g_value_set_uint (value, config->max_rate);
    break;
  case PROP_FRAMERATE:
    gst_value_set_fraction (value, self->rate_n, self->rate_d);
    break;
  case PROP_MAX_FILL:
    g_value_set_uint64 (value, (guint64)config->max_fill);
    break;
  case PROP_WAIT_KEYFRAME:
    g_value_set_boolean (value, self->wait_keyframe);
    break;
  case PROP_LATENCY:
    g_value_set_uint64 (value, self->latency);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  g_mutex_unlock (&self->lock);
}

/* Asks upstream whether it is live until it knows: a source that has not connected yet cannot
 * say. Called with the lock, which it gives up meanwhile, from the streaming thread. */
void
kr_regen_find_live (KrTimestampRegen *self, KrRegenPad *pad)
{
  g_autoptr (GstQuery) query = NULL;
  gboolean live = FALSE, known;

  if (self->live != KR_TIMESTAMP_REGEN_LIVE_AUTO)
    return;
  g_mutex_unlock (&self->lock);
  query = gst_query_new_latency ();
  known = gst_pad_peer_query (pad->sink, query);
  if (known)
    gst_query_parse_latency (query, &live, NULL, NULL);
  g_mutex_lock (&self->lock);
  self->live_known |= known;
  self->config.live |= live;
  kr_regen_configure (self);
}

/* Only clocks that are set from outside can step. Called with the lock. */
static void
watch_clock (KrTimestampRegen *self, gint64 running)
{
  gint64 now = g_get_monotonic_time () * 1000;
  gint64 step = (running - self->watched_running) - (now - self->watched_at);

  if (self->watched_at != 0 && ABS (step) > (gint64)CLOCK_STEP) {
    GST_INFO_OBJECT (self, "the pipeline clock stepped by %" G_GINT64_FORMAT " ns", step);
    kr_timeline_clock_step (self->timeline, step);
  }
  self->watched_at = now;
  self->watched_running = running;
}

/* Running time of the pipeline clock now, or KR_TIME_NONE without a clock or when arrival does
 * not count. Called with the lock. */
gint64
kr_regen_arrival (KrTimestampRegen *self)
{
  GstClockTime now;
  gint64 running;

  if (!self->config.live && self->config.mode != KR_TIMELINE_ARRIVAL)
    return KR_TIME_NONE;
  now = gst_element_get_current_running_time (GST_ELEMENT (self));
  if (!GST_CLOCK_TIME_IS_VALID (now))
    return KR_TIME_NONE;
  running = (gint64)now;
  if (self->watch_clock)
    watch_clock (self, running);
  return running;
}

static gboolean
can_step (GstClock *clock)
{
  GstClockType type;

  if (clock == NULL || !GST_IS_SYSTEM_CLOCK (clock))
    return FALSE;
  g_object_get (clock, "clock-type", &type, NULL);
  return G_OBJECT_TYPE (clock) != GST_TYPE_SYSTEM_CLOCK || type != GST_CLOCK_TYPE_MONOTONIC;
}

static gboolean
kr_timestamp_regen_set_clock (GstElement *element, GstClock *clock)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (element);

  g_mutex_lock (&self->lock);
  self->watch_clock = can_step (clock);
  self->watched_at = 0;
  g_mutex_unlock (&self->lock);
  return GST_ELEMENT_CLASS (kr_timestamp_regen_parent_class)->set_clock (element, clock);
}

/* Takes the number of a requested name, else the next free one. Called with the lock. */
static gboolean
choose_number (KrTimestampRegen *self, const char *name, guint *ret_number)
{
  guint64 number;
  GList *item;

  if (name == NULL || !g_str_has_prefix (name, "sink_") || name[5] == '%') {
    *ret_number = self->next_pad;
    return TRUE;
  }
  if (!g_ascii_string_to_unsigned (name + 5, 10, 0, G_MAXUINT - 1, &number, NULL))
    return FALSE;
  for (item = self->pads; item != NULL; item = item->next)
    if (((KrRegenPad *)item->data)->number == number)
      return FALSE;
  *ret_number = (guint)number;
  return TRUE;
}

static GstPad *
kr_timestamp_regen_request_new_pad (GstElement *element, GstPadTemplate *template,
                                    const char *name, const GstCaps *caps)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (element);
  GstElementClass *class = GST_ELEMENT_GET_CLASS (element);
  g_autofree char *sink_name = NULL, *src_name = NULL;
  KrRegenPad *pad;
  guint number;

  g_mutex_lock (&self->lock);
  if (!choose_number (self, name, &number)) {
    g_mutex_unlock (&self->lock);
    GST_WARNING_OBJECT (self, "pad name %s is taken or has no number", name);
    return NULL;
  }
  self->next_pad = MAX (self->next_pad, number + 1);
  sink_name = g_strdup_printf ("sink_%u", number);
  src_name = g_strdup_printf ("src_%u", number);
  pad = kr_regen_pad_new (self, sink_name, src_name, template,
                          gst_element_class_get_pad_template (class, "src_%u"));
  pad->number = number;
  self->pads = g_list_append (self->pads, pad);
  gst_flow_combiner_add_pad (self->combiner, pad->src);
  g_mutex_unlock (&self->lock);

  gst_pad_set_active (pad->src, TRUE);
  gst_element_add_pad (element, pad->src);
  gst_pad_set_active (pad->sink, TRUE);
  gst_element_add_pad (element, pad->sink);
  return pad->sink;
}

static void
kr_timestamp_regen_release_pad (GstElement *element, GstPad *sink)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (element);
  KrRegenPad *pad = gst_pad_get_element_private (sink);
  g_autoptr (GstPad) src = gst_object_ref (pad->src);

  /* Waits for the streaming thread to leave. */
  gst_pad_set_active (src, FALSE);
  gst_pad_set_active (sink, FALSE);
  g_mutex_lock (&self->lock);
  self->pads = g_list_remove (self->pads, pad);
  gst_flow_combiner_remove_pad (self->combiner, src);
  kr_timeline_remove_stream (self->timeline, pad->stream);
  pad->stream = NULL;
  pad->sink = pad->src = NULL;
  g_mutex_unlock (&self->lock);
  gst_element_remove_pad (element, src);
  gst_element_remove_pad (element, sink);
  kr_regen_pad_unref (pad);
}

static void
start_anew (KrTimestampRegen *self)
{
  GList *item;

  g_mutex_lock (&self->lock);
  for (item = self->pads; item != NULL; item = item->next) {
    KrRegenPad *pad = item->data;

    kr_timeline_stream_flush (pad->stream);
    pad->wait_keyframe = self->wait_keyframe;
    kr_regen_pad_reset (pad);
  }
  kr_timeline_reset (self->timeline);
  set_live (self, self->live);
  kr_regen_configure (self);
  gst_flow_combiner_reset (self->combiner);
  self->watched_at = 0;
  g_mutex_unlock (&self->lock);
}

/* PLAYING again, running time goes on where it was: that is no step of the clock. */
static void
forget_watched_clock (KrTimestampRegen *self)
{
  g_mutex_lock (&self->lock);
  self->watched_at = 0;
  g_mutex_unlock (&self->lock);
}

static GstStateChangeReturn
kr_timestamp_regen_change_state (GstElement *element, GstStateChange transition)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING)
    forget_watched_clock (self);
  result =
      GST_ELEMENT_CLASS (kr_timestamp_regen_parent_class)->change_state (element, transition);
  if (result != GST_STATE_CHANGE_FAILURE && transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    start_anew (self);
  return result;
}

static void
kr_timestamp_regen_finalize (GObject *object)
{
  KrTimestampRegen *self = KR_TIMESTAMP_REGEN (object);

  g_list_free_full (self->pads, (GDestroyNotify)kr_regen_pad_unref);
  gst_flow_combiner_free (self->combiner);
  kr_timeline_free (self->timeline);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (kr_timestamp_regen_parent_class)->finalize (object);
}

static void
kr_timestamp_regen_init (KrTimestampRegen *self)
{
  g_mutex_init (&self->lock);
  kr_timeline_config_init (&self->config);
  self->timeline = kr_timeline_new (&self->config);
  self->combiner = gst_flow_combiner_new ();
  self->rate_n = 0;
  self->rate_d = 1;
}

static void
install_time (GObjectClass *class, guint id, const char *name, const char *nick,
              const char *blurb, GstClockTime minimum, GstClockTime value)
{
  g_object_class_install_property (
      class, id,
      g_param_spec_uint64 (name, nick, blurb, minimum, 3600 * GST_SECOND, value,
                           G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                               GST_PARAM_MUTABLE_PLAYING));
}

static void
install_times (GObjectClass *class)
{
  install_time (class, PROP_MAX_GAP, "max-gap", "Largest gap",
                "Largest step forward that passes as it is, in ns", GST_MSECOND, GST_SECOND);
  install_time (
      class, PROP_JITTER, "jitter", "Jitter",
      "How far stamps may be off their expected distance and still vouch for a jump or "
      "for a return from one, in ns",
      0, 40 * GST_MSECOND);
  install_time (class, PROP_SETTLE, "settle", "Settle time",
                "How long one stream keeps a jump to itself before it returns to the timeline "
                "of the others, in ns",
                0, GST_SECOND);
  install_time (class, PROP_MAX_LAG, "max-lag", "Largest lag",
                "Live: output that falls this far behind arrival is re-anchored, in ns",
                GST_MSECOND, 2 * GST_SECOND);
  install_time (class, PROP_LAG_HOLD, "lag-hold", "Lag hold",
                "Live: but only if it has done so for this long, in ns", 0, 3 * GST_SECOND);
  install_time (class, PROP_MAX_FILL, "max-fill", "Longest fill",
                "cfr: longest hole that is filled by repeating the last raw frame, in ns", 0,
                GST_SECOND);
  install_time (class, PROP_LATENCY, "latency", "Latency",
                "Latency to report on top of upstream's, in ns; no mode needs any", 0, 0);
}

static void
install_enum (GObjectClass *class, guint id, const char *name, const char *nick,
              const char *blurb, GType type, gint value, GParamFlags when)
{
  g_object_class_install_property (
      class, id,
      g_param_spec_enum (name, nick, blurb, type, value,
                         G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | when));
}

static void
install_properties (GObjectClass *class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;

  install_enum (class, PROP_MODE, "mode", "Mode", "What to do with timestamps",
                mode_get_type (), KR_TIMELINE_CORRECT, GST_PARAM_MUTABLE_READY);
  install_enum (class, PROP_LIVE, "live", "Live",
                "Whether times of arrival mean something: a second clock that tells a real gap "
                "from a jump",
                live_get_type (), KR_TIMESTAMP_REGEN_LIVE_AUTO, GST_PARAM_MUTABLE_READY);
  install_enum (class, PROP_GAP_POLICY, "gap-policy", "Gap policy",
                "What becomes of gaps above max-gap that are real", gap_policy_get_type (),
                KR_TIMELINE_GAP_KEEP, GST_PARAM_MUTABLE_PLAYING);
  install_enum (class, PROP_DRIFT, "drift", "Drift",
                "Live: what to do when the source's clock and the pipeline's run at different "
                "speeds; follow changes stamps only, raw audio then needs resampling behind",
                drift_get_type (), KR_TIMELINE_DRIFT_REPORT, GST_PARAM_MUTABLE_PLAYING);
  install_times (class);
  g_object_class_install_property (
      class, PROP_CONFIRM,
      g_param_spec_uint ("confirm", "Confirm",
                         "Number of regular buffers after which a jump is believed", 1, 1000, 3,
                         flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (
      class, PROP_MAX_RATE,
      g_param_spec_uint ("max-rate", "Largest rate",
                         "drift=follow: largest change of speed, in ppm", 0, 100000, 20000,
                         flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (
      class, PROP_FRAMERATE,
      gst_param_spec_fraction ("framerate", "Frame rate",
                               "cfr: frames per second; 0/1 takes the rate from the caps", 0, 1,
                               G_MAXINT, 1, 0, 1, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (
      class, PROP_WAIT_KEYFRAME,
      g_param_spec_boolean ("wait-keyframe", "Wait for a keyframe",
                            "Drop coded video up to the first keyframe of each session", FALSE,
                            flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (
      class, PROP_STATS,
      g_param_spec_boxed (
          "stats", "Statistics",
          "Figures of the timeline (epochs, discontinuities, corrections, "
          "offset-ns, drift-ppm once it is known, lag-ns, live) and, in a "
          "structure named as the pad, of each sink pad (in, out, dropped, "
          "duplicated, outliers, no-pts, no-dts, nudged, gaps, gap-ns, extra-ns, "
          "residual-ns, last-in, last-out, lag-ns)",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
kr_timestamp_regen_class_init (KrTimestampRegenClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  GstElementClass *element_class = GST_ELEMENT_CLASS (class);

  object_class->set_property = kr_timestamp_regen_set_property;
  object_class->get_property = kr_timestamp_regen_get_property;
  object_class->finalize = kr_timestamp_regen_finalize;
  element_class->request_new_pad = kr_timestamp_regen_request_new_pad;
  element_class->release_pad = kr_timestamp_regen_release_pad;
  element_class->change_state = kr_timestamp_regen_change_state;
  element_class->set_clock = kr_timestamp_regen_set_clock;
  install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (
      element_class, "Timestamp regenerator", "Generic",
      "Gives all streams of one source one continuous timeline, whatever the source does",
      "The keeprolling developers");
  gst_type_mark_as_plugin_api (mode_get_type (), 0);
  gst_type_mark_as_plugin_api (live_get_type (), 0);
  gst_type_mark_as_plugin_api (gap_policy_get_type (), 0);
  gst_type_mark_as_plugin_api (drift_get_type (), 0);
}
