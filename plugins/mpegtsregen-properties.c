/* keeprolling - properties of mpegtsregen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/mpegtsregen-private.h"

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

void
kr_mpegts_regen_init_properties (KrMpegtsRegen *self)
{
  kr_ts_regen_config_init (&self->config);
  self->live = DEFAULT_LIVE;
  self->latency = DEFAULT_LATENCY;
}

void
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

void
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

void
kr_mpegts_regen_install_properties (GObjectClass *klass)
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
      "Drop the packets of a session up to its first keyframe, for ten seconds at most",
      DEFAULT_WAIT_KEYFRAME, flags);
  properties[PROP_LATENCY] = g_param_spec_uint64 (
      "latency", "Latency", "Latency to add to what the source reports, in ns", 0, longest,
      DEFAULT_LATENCY, flags);
  properties[PROP_STATS] =
      g_param_spec_boxed ("stats", "Statistics", "Counters since the element was started",
                          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (klass, N_PROPS, properties);
  gst_type_mark_as_plugin_api (KR_TYPE_MPEGTS_REGEN_MODE, 0);
  gst_type_mark_as_plugin_api (KR_TYPE_MPEGTS_REGEN_CC, 0);
  gst_type_mark_as_plugin_api (KR_TYPE_MPEGTS_REGEN_LIVE, 0);
}
