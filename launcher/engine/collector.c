/* keeprolling - gathers what the elements tell into a pipeline's report
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/collector.h"

#include <math.h>

#include "launcher/engine/engine.h"
#include "plugins/common/messages.h"

/* Until the first bytes of the right stream are in the file, its standing still is old news. */
#define ALIEN_AFTERMATH_US (5 * G_TIME_SPAN_SECOND)

/* What one pipeline has counted. Begins anew with each element, so that the sum over all that
 * were before is kept apart. */
typedef struct {
  guint64 written, durable, dropped;
  guint64 buffers, keyframes;
  guint64 dropped_by_sink, dropped_by_regenerator;
  guint64 rewritten, adjusted, nudged, outliers, synthesized, duplicated;
  KrHistogram syncs, finalises;
} Counts;

typedef enum { FILE_SINK, GROWTH_MONITOR, TS_REGENERATOR, REGENERATOR } Role;

typedef struct {
  GstElement *element;
  Role role;
  Counts counts; /* at the last look */
  /* growth monitors */
  double rate;
  gint64 last_growth_utc_us, last_keyframe_utc_us, last_input_utc_us;
  guint64 bytes_in;
  char *stall;
  gboolean stall_untold; /* the reason was told before the stall */
  /* regenerators */
  char *alien; /* what comes instead of a transport stream, for people; NULL = one comes */
  /* file sinks */
  gint64 io_age_us, last_sync_utc_us;
} Member;

struct _KrCollector {
  KrPipelineReport *report;
  KrCollectorFunc func;
  gpointer data;
  Counts before;      /* of the pipelines that are gone */
  GstBin *pipeline;   /* the present one; NULL = none */
  GPtrArray *members; /* of that */
  gint64 alien_end;   /* monotonic: when a transport stream came again; 0 = never */
};

static void
member_free (gpointer data)
{
  Member *member = data;

  gst_object_unref (member->element);
  g_free (member->stall);
  g_free (member->alien);
  g_free (member);
}

KrCollector *
kr_collector_new (const char *name, const char *camera, KrCollectorFunc func, gpointer data)
{
  KrCollector *collector = g_new0 (KrCollector, 1);

  collector->report = kr_pipeline_report_new (name);
  if (camera != NULL) {
    g_free (collector->report->camera);
    collector->report->camera = g_strdup (camera);
  }
  collector->members = g_ptr_array_new_with_free_func (member_free);
  collector->func = func;
  collector->data = data;
  return collector;
}

void
kr_collector_free (KrCollector *collector)
{
  if (collector == NULL)
    return;
  g_ptr_array_unref (collector->members);
  gst_clear_object (&collector->pipeline);
  kr_pipeline_report_free (collector->report);
  g_free (collector);
}

/* --- structures ----------------------------------------------------------------------- */

/* A counter by whatever integer type it has; 0 if it is not there. */
static guint64
get_number (const GstStructure *structure, const char *field)
{
  const GValue *value = gst_structure_get_value (structure, field);

  if (value == NULL)
    return 0;
  if (G_VALUE_HOLDS_UINT64 (value))
    return g_value_get_uint64 (value);
  if (G_VALUE_HOLDS_INT64 (value))
    return (guint64)MAX (g_value_get_int64 (value), 0);
  if (G_VALUE_HOLDS_UINT (value))
    return g_value_get_uint (value);
  if (G_VALUE_HOLDS_INT (value))
    return (guint64)MAX (g_value_get_int (value), 0);
  return 0;
}

static double
get_double (const GstStructure *structure, const char *field, double fallback)
{
  double value = fallback;

  gst_structure_get_double (structure, field, &value);
  return isfinite (value) ? value : fallback;
}

/* The element and the report use the same bounds. */
static void
get_histogram (const GstStructure *structure, const char *field, const char *sum_ns,
               KrHistogram *ret_histogram)
{
  const GValue *list = gst_structure_get_value (structure, field);

  *ret_histogram = (KrHistogram){.sum = (double)get_number (structure, sum_ns) / GST_SECOND};
  if (list == NULL || !GST_VALUE_HOLDS_ARRAY (list))
    return;
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS && i < gst_value_array_get_size (list); i++) {
    const GValue *count = gst_value_array_get_value (list, i);

    if (G_VALUE_HOLDS_UINT64 (count))
      ret_histogram->buckets[i] = g_value_get_uint64 (count);
  }
}

static gint64
utc_us (const GstStructure *structure)
{
  guint64 ns = get_number (structure, "utc-ns");

  return ns > 0 ? (gint64)(ns / 1000) : g_get_real_time ();
}

/* The moment @age_field before the message, 0 if there was none. */
static gint64
moment (const GstStructure *structure, const char *age_field)
{
  guint64 age = 0;

  if (!gst_structure_get_uint64 (structure, age_field, &age) || !GST_CLOCK_TIME_IS_VALID (age))
    return 0;
  return utc_us (structure) - (gint64)(age / 1000);
}

static gboolean
add_detail (GQuark field, const GValue *value, gpointer data)
{
  GVariantDict *dict = data;
  const char *name = g_quark_to_string (field);

  if (G_VALUE_HOLDS_STRING (value)) {
    if (g_value_get_string (value) != NULL)
      g_variant_dict_insert (dict, name, "s", g_value_get_string (value));
  } else if (G_VALUE_HOLDS_BOOLEAN (value)) {
    g_variant_dict_insert (dict, name, "b", g_value_get_boolean (value));
  } else if (G_VALUE_HOLDS_DOUBLE (value)) {
    g_variant_dict_insert (dict, name, "d", g_value_get_double (value));
  } else if (G_VALUE_HOLDS_UINT64 (value)) {
    /* "None" has no place among the numbers. */
    if (g_value_get_uint64 (value) <= G_MAXINT64)
      g_variant_dict_insert (dict, name, "x", (gint64)g_value_get_uint64 (value));
  } else if (G_VALUE_HOLDS_INT64 (value)) {
    g_variant_dict_insert (dict, name, "x", g_value_get_int64 (value));
  } else if (G_VALUE_HOLDS_UINT (value)) {
    g_variant_dict_insert (dict, name, "x", (gint64)g_value_get_uint (value));
  } else if (G_VALUE_HOLDS_INT (value)) {
    g_variant_dict_insert (dict, name, "x", (gint64)g_value_get_int (value));
  }
  return TRUE;
}

static GVariant *
details_of (const GstStructure *structure)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  gst_structure_foreach (structure, add_detail, &dict);
  return g_variant_dict_end (&dict);
}

G_GNUC_PRINTF (4, 5)
static void
tell (KrCollector *collector, KrWorkerEventKind kind, const GstStructure *structure,
      const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  collector->func (kind, text, details_of (structure), collector->data);
}

/* --- who is there --------------------------------------------------------------------- */

static gboolean
role_of (GstElement *element, Role *ret_role)
{
  static const struct {
    const char *factory;
    Role role;
  } roles[] = {
      {"atomicfilesink", FILE_SINK},
      {"growthmonitorsink", GROWTH_MONITOR},
      {"mpegtsregen", TS_REGENERATOR},
      {"timestampregen", REGENERATOR},
  };
  GstElementFactory *factory = gst_element_get_factory (element);

  if (factory == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (roles); i++) {
    if (g_str_equal (GST_OBJECT_NAME (factory), roles[i].factory)) {
      *ret_role = roles[i].role;
      return TRUE;
    }
  }
  return FALSE;
}

static void
add_member (KrCollector *collector, GstElement *element)
{
  Member *member;
  Role role;

  if (!role_of (element, &role))
    return;
  member = g_new0 (Member, 1);
  member->element = gst_object_ref (element);
  member->role = role;
  member->io_age_us = -1;
  g_ptr_array_add (collector->members, member);
}

void
kr_collector_attach (KrCollector *collector, GstBin *pipeline)
{
  g_autoptr (GPtrArray) elements = kr_engine_list_elements (pipeline);

  kr_collector_detach (collector);
  collector->pipeline = gst_object_ref (pipeline);
  for (guint i = 0; i < elements->len; i++)
    add_member (collector, g_ptr_array_index (elements, i));
}

static void
add_counts (Counts *sum, const Counts *counts)
{
  sum->written += counts->written;
  sum->durable += counts->durable;
  sum->dropped += counts->dropped;
  sum->buffers += counts->buffers;
  sum->keyframes += counts->keyframes;
  sum->dropped_by_sink += counts->dropped_by_sink;
  sum->dropped_by_regenerator += counts->dropped_by_regenerator;
  sum->rewritten += counts->rewritten;
  sum->adjusted += counts->adjusted;
  sum->nudged += counts->nudged;
  sum->outliers += counts->outliers;
  sum->synthesized += counts->synthesized;
  sum->duplicated += counts->duplicated;
  kr_histogram_add (&sum->syncs, &counts->syncs);
  kr_histogram_add (&sum->finalises, &counts->finalises);
}

static Counts
sum_counts (KrCollector *collector)
{
  Counts sum = collector->before;

  for (guint i = 0; i < collector->members->len; i++)
    add_counts (&sum, &((Member *)g_ptr_array_index (collector->members, i))->counts);
  return sum;
}

static Member *
find_member (KrCollector *collector, GstObject *element)
{
  for (guint i = 0; i < collector->members->len; i++) {
    Member *member = g_ptr_array_index (collector->members, i);

    if (GST_OBJECT (member->element) == element)
      return member;
  }
  return NULL;
}

/* --- asking --------------------------------------------------------------------------- */

static GstStructure *
get_stats (GstElement *element)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "stats");
  GstStructure *stats = NULL;

  if (pspec != NULL && pspec->value_type == GST_TYPE_STRUCTURE &&
      (pspec->flags & G_PARAM_READABLE))
    g_object_get (element, "stats", &stats, NULL);
  return stats;
}

static void
look_at_file (KrCollector *collector, Member *member, const GstStructure *stats)
{
  KrPipelineReport *report = collector->report;

  member->counts.written = get_number (stats, "bytes-written");
  member->counts.durable = get_number (stats, "bytes-durable");
  member->counts.dropped = get_number (stats, "dropped-bytes");
  report->segment_bytes = get_number (stats, "segment-bytes");
  report->segment_durable_bytes = get_number (stats, "segment-durable-bytes");
  report->disk_free_bytes = get_number (stats, "free-bytes");
  report->disk_runway_s = get_double (stats, "runway-s", -1);
  member->last_sync_utc_us = (gint64)(get_number (stats, "last-sync-utc-ns") / 1000);
  member->counts.dropped_by_sink = get_number (stats, "dropped-buffers");
  get_histogram (stats, "sync-ns-histogram", "sync-ns-sum", &member->counts.syncs);
  get_histogram (stats, "finalise-ns-histogram", "finalise-ns-sum", &member->counts.finalises);
  member->io_age_us = (gint64)(get_number (stats, "io-age-ns") / 1000);
}

static void
look_at_ts_regenerator (KrCollector *collector, Member *member, const GstStructure *stats)
{
  member->counts.rewritten = get_number (stats, "corrections");
  member->counts.nudged = get_number (stats, "nudged");
  member->counts.outliers = get_number (stats, "outliers");
  member->counts.dropped_by_regenerator = get_number (stats, "dropped-packets");
  collector->report->drift_ppm = get_double (stats, "drift-ppm", collector->report->drift_ppm);
}

/* One structure in the stats for each pad. */
static gboolean
add_pad_stats (GQuark field, const GValue *value, gpointer data)
{
  Counts *counts = data;
  const GstStructure *pad;

  if (!GST_VALUE_HOLDS_STRUCTURE (value))
    return TRUE;
  pad = gst_value_get_structure (value);
  counts->nudged += get_number (pad, "nudged");
  counts->outliers += get_number (pad, "outliers");
  counts->synthesized += get_number (pad, "no-dts");
  counts->duplicated += get_number (pad, "duplicated");
  counts->dropped_by_regenerator += get_number (pad, "dropped");
  return TRUE;
}

static void
look_at_regenerator (KrCollector *collector, Member *member, const GstStructure *stats)
{
  Counts counts = {.adjusted = get_number (stats, "corrections")};

  gst_structure_foreach (stats, add_pad_stats, &counts);
  member->counts = counts;
  collector->report->drift_ppm = get_double (stats, "drift-ppm", collector->report->drift_ppm);
}

static void
look_at_members (KrCollector *collector)
{
  for (guint i = 0; i < collector->members->len; i++) {
    Member *member = g_ptr_array_index (collector->members, i);
    GstStructure *stats;

    if (member->role == GROWTH_MONITOR)
      continue; /* tells by itself, each second */
    stats = get_stats (member->element);
    if (stats == NULL)
      continue;
    if (member->role == FILE_SINK)
      look_at_file (collector, member, stats);
    else if (member->role == TS_REGENERATOR)
      look_at_ts_regenerator (collector, member, stats);
    else
      look_at_regenerator (collector, member, stats);
    gst_structure_free (stats);
  }
}

void
kr_collector_detach (KrCollector *collector)
{
  KrPipelineReport *report = collector->report;

  collector->before = sum_counts (collector);
  g_ptr_array_set_size (collector->members, 0);
  gst_clear_object (&collector->pipeline);
  g_clear_pointer (&report->segment_path, g_free);
  report->segment_bytes = report->segment_durable_bytes = 0;
  report->segment_started_utc_us = 0;
  report->disk_full = FALSE;
}

gint64
kr_collector_get_io_age (KrCollector *collector)
{
  gint64 age = -1;

  for (guint i = 0; i < collector->members->len; i++)
    age = MAX (age, ((Member *)g_ptr_array_index (collector->members, i))->io_age_us);
  return age;
}

const char *
kr_collector_get_alien (KrCollector *collector)
{
  for (guint i = 0; i < collector->members->len; i++) {
    const Member *member = g_ptr_array_index (collector->members, i);

    if (member->alien != NULL)
      return member->alien;
  }
  return NULL;
}

const char *
kr_collector_get_stall (KrCollector *collector)
{
  if (kr_collector_get_alien (collector) != NULL)
    return KR_STALL_NOT_TS;
  for (guint i = 0; i < collector->members->len; i++) {
    const Member *member = g_ptr_array_index (collector->members, i);

    if (member->stall != NULL)
      return member->stall;
  }
  return NULL;
}

/* The latest stamp of the members; where they have none yet, that of those before them. Never
 * the later of the two: the wall clock may have been set back. */
static void
set_stamp (gint64 *stamp, gint64 latest)
{
  if (latest != 0)
    *stamp = latest;
}

static void
sum_up (KrCollector *collector)
{
  KrPipelineReport *report = collector->report;
  gint64 growth = 0, keyframe = 0, input = 0, sync = 0;

  report->rate = 0;
  report->has_growth = FALSE;
  for (guint i = 0; i < collector->members->len; i++) {
    const Member *member = g_ptr_array_index (collector->members, i);

    sync = MAX (sync, member->last_sync_utc_us);
    if (member->role != GROWTH_MONITOR)
      continue;
    report->has_growth = TRUE;
    report->rate += member->rate;
    growth = MAX (growth, member->last_growth_utc_us);
    keyframe = MAX (keyframe, member->last_keyframe_utc_us);
    input = MAX (input, member->last_input_utc_us);
  }
  set_stamp (&report->last_growth_utc_us, growth);
  set_stamp (&report->last_keyframe_utc_us, keyframe);
  set_stamp (&report->last_buffer_utc_us, input);
  set_stamp (&report->last_sync_utc_us, sync);
}

static void
report_corrections (KrPipelineReport *report, const Counts *sum)
{
  GArray *kinds = report->correction_kinds;

  report->corrections = sum->rewritten + sum->adjusted;
  g_array_set_size (kinds, 0);
  kr_pipeline_report_count (kinds, KR_CORRECTION_REWRITTEN, sum->rewritten);
  kr_pipeline_report_count (kinds, KR_CORRECTION_ADJUSTED, sum->adjusted);
  kr_pipeline_report_count (kinds, KR_CORRECTION_NUDGED, sum->nudged);
  kr_pipeline_report_count (kinds, KR_CORRECTION_OUTLIER, sum->outliers);
  kr_pipeline_report_count (kinds, KR_CORRECTION_SYNTHESIZED, sum->synthesized);
  kr_pipeline_report_count (kinds, KR_CORRECTION_DUPLICATED, sum->duplicated);
}

static void
report_drops (KrPipelineReport *report, const Counts *sum)
{
  report->dropped_buffers = sum->dropped_by_sink + sum->dropped_by_regenerator;
  g_array_set_size (report->drops, 0);
  kr_pipeline_report_count (report->drops, KR_DROP_SINK, sum->dropped_by_sink);
  kr_pipeline_report_count (report->drops, KR_DROP_REGENERATOR, sum->dropped_by_regenerator);
}

KrPipelineReport *
kr_collector_report (KrCollector *collector)
{
  KrPipelineReport *report = collector->report;
  const char *stall = kr_collector_get_stall (collector);
  Counts sum;

  look_at_members (collector);
  sum_up (collector);
  sum = sum_counts (collector);
  report->written_bytes = sum.written;
  report->durable_bytes = sum.durable;
  report->dropped_bytes = sum.dropped;
  report->buffers = sum.buffers;
  report->keyframes = sum.keyframes;
  report_corrections (report, &sum);
  report_drops (report, &sum);
  report->syncs = sum.syncs;
  report->finalises = sum.finalises;
  report->stalled = stall != NULL;
  if (g_strcmp0 (stall, report->stall_reason) != 0) {
    g_free (report->stall_reason);
    report->stall_reason = g_strdup (stall);
  }
  return report;
}

static void
add_srt_connection (GArray *values, const GstStructure *stats)
{
  for (const KrSrtStat *stat = kr_srt_stats; stat->name != NULL; stat++) {
    const GValue *value = gst_structure_get_value (stats, stat->name);

    if (value == NULL)
      continue;
    kr_pipeline_report_add_value (values, stat,
                                  G_VALUE_HOLDS_DOUBLE (value)
                                      ? get_double (stats, stat->name, 0)
                                      : (double)get_number (stats, stat->name));
  }
}

void
kr_collector_add_srt (GArray *values, GstElement *srtsrc)
{
  GstStructure *stats = get_stats (srtsrc);
  const GValue *callers;

  if (stats == NULL)
    return;
  add_srt_connection (values, stats);
  /* A listener has its callers in an array, of the type that GLib would like to forget. */
  callers = gst_structure_get_value (stats, "callers");
  if (callers != NULL && g_str_equal (G_VALUE_TYPE_NAME (callers), "GValueArray")) {
    GValueArray *array = g_value_get_boxed (callers);

    for (guint i = 0; array != NULL && i < array->n_values; i++)
      if (GST_VALUE_HOLDS_STRUCTURE (&array->values[i]))
        add_srt_connection (values, gst_value_get_structure (&array->values[i]));
  }
  gst_structure_free (stats);
}

/* --- being told ----------------------------------------------------------------------- */

static void
take_sample (KrCollector *collector, Member *member, const GstStructure *structure)
{
  guint64 bytes_in = get_number (structure, "bytes-in");

  member->counts.buffers = get_number (structure, "buffers");
  member->counts.keyframes = get_number (structure, "keyframes");
  member->rate = get_double (structure, "rate", 0);
  member->last_growth_utc_us = moment (structure, "age-ns");
  if (member->counts.keyframes > 0)
    member->last_keyframe_utc_us = moment (structure, "keyframe-age-ns");
  if (bytes_in != member->bytes_in)
    member->last_input_utc_us = utc_us (structure);
  member->bytes_in = bytes_in;
}

static gboolean
is_alien_lately (KrCollector *collector)
{
  return kr_collector_get_alien (collector) != NULL ||
         (collector->alien_end != 0 &&
          g_get_monotonic_time () - collector->alien_end < ALIEN_AFTERMATH_US);
}

static void
take_stall (KrCollector *collector, Member *member, const GstStructure *structure)
{
  const char *reason = gst_structure_get_string (structure, "reason");
  const char *location = gst_structure_get_string (structure, "location");

  g_free (member->stall);
  member->stall = g_strdup (reason != NULL ? reason : KR_STALL_NO_GROWTH);
  member->stall_untold = is_alien_lately (collector);
  if (member->stall_untold)
    return;
  tell (collector, KR_WORKER_EVENT_STALL, structure,
        "the recording does not grow: %s for %.1f s%s%s", member->stall,
        (double)get_number (structure, "age-ns") / GST_SECOND, location != NULL ? ", " : "",
        location != NULL ? location : "");
}

static void
take_recovery (KrCollector *collector, Member *member, const GstStructure *structure)
{
  g_clear_pointer (&member->stall, g_free);
  if (member->stall_untold)
    return;
  tell (collector, KR_WORKER_EVENT_RECOVERED, structure,
        "the recording grows again after %.1f s",
        (double)get_number (structure, "outage-ns") / GST_SECOND);
}

static void
take_growth (KrCollector *collector, GstMessage *message, const GstStructure *structure)
{
  Member *member = find_member (collector, GST_MESSAGE_SRC (message));

  if (member == NULL)
    return;
  if (gst_structure_has_name (structure, KR_MSG_GROWTH_SAMPLE))
    take_sample (collector, member, structure);
  else if (gst_structure_has_name (structure, KR_MSG_GROWTH_STALLED))
    take_stall (collector, member, structure);
  else
    take_recovery (collector, member, structure);
}

/* Some bins make their sinks when they start, such as growthmonitorsink that has only a
 * location, or while they run. Such a sink is known from its first file on, and until the bin
 * drops it. */
static void
take_new_sink (KrCollector *collector, GstObject *sink)
{
  if (collector->pipeline == NULL || !GST_IS_ELEMENT (sink) ||
      !gst_object_has_as_ancestor (sink, GST_OBJECT (collector->pipeline)) ||
      find_member (collector, sink) != NULL)
    return;
  look_at_members (collector);
  for (guint i = collector->members->len; i > 0; i--) {
    const Member *member = g_ptr_array_index (collector->members, i - 1);

    if (gst_object_has_as_ancestor (GST_OBJECT (member->element),
                                    GST_OBJECT (collector->pipeline)))
      continue;
    add_counts (&collector->before, &member->counts);
    g_ptr_array_remove_index (collector->members, i - 1);
  }
  add_member (collector, GST_ELEMENT (sink));
}

static void
take_opened (KrCollector *collector, GstMessage *message, const GstStructure *structure)
{
  KrPipelineReport *report = collector->report;

  take_new_sink (collector, GST_MESSAGE_SRC (message));
  g_free (report->segment_path);
  report->segment_path = g_strdup (gst_structure_get_string (structure, "location"));
  report->segment_bytes = report->segment_durable_bytes = 0;
  report->segment_started_utc_us = (gint64)(get_number (structure, "utc-start-ns") / 1000);
  tell (collector, KR_WORKER_EVENT_SEGMENT, structure, "recording into %s",
        report->segment_path != NULL ? report->segment_path : "?");
}

static void
take_closed (KrCollector *collector, const GstStructure *structure)
{
  KrPipelineReport *report = collector->report;
  const char *location = gst_structure_get_string (structure, "location");
  const char *reason = gst_structure_get_string (structure, "reason");

  report->segments_clean++;
  if (g_strcmp0 (location, report->segment_path) == 0)
    g_clear_pointer (&report->segment_path, g_free);
  tell (collector, KR_WORKER_EVENT_SEGMENT, structure,
        "%s is complete: %" G_GUINT64_FORMAT " bytes (%s)", location != NULL ? location : "?",
        get_number (structure, "bytes"), reason != NULL ? reason : "?");
}

static void
take_leftover (KrCollector *collector, const GstStructure *structure)
{
  const char *action = gst_structure_get_string (structure, "action");
  const char *from = gst_structure_get_string (structure, "temp-location");
  const char *to = gst_structure_get_string (structure, "location");

  if (g_strcmp0 (action, "quarantined") == 0)
    collector->report->segments_quarantined++;
  else if (g_strcmp0 (action, "finalised") == 0)
    collector->report->segments_recovered++;
  tell (collector, KR_WORKER_EVENT_RECOVERED, structure, "leftover of a crash %s: %s%s%s",
        action != NULL ? action : "found", from != NULL ? from : "?", to != NULL ? " -> " : "",
        to != NULL ? to : "");
}

/* The names are bounded: a few operations, and the errors of the system. */
static void
count_io_error (KrCollector *collector, const GstStructure *structure)
{
  const char *operation = gst_structure_get_string (structure, "operation");
  g_autofree char *name = NULL;
  int code = 0;

  gst_structure_get_int (structure, "errno", &code);
  if (code == 0)
    return;
  name = g_strdup_printf ("%s %s", operation != NULL ? operation : "write",
                          strerrorname_np (code) != NULL ? strerrorname_np (code) : "?");
  kr_pipeline_report_count (collector->report->io_errors, name, 1);
}

static void
take_disk (KrCollector *collector, const GstStructure *structure)
{
  const char *error = gst_structure_get_string (structure, "error");

  if (error == NULL)
    error = "?";
  count_io_error (collector, structure);
  if (gst_structure_has_name (structure, KR_MSG_DISK_FULL)) {
    collector->report->disk_full = TRUE;
    tell (collector, KR_WORKER_EVENT_DISK, structure,
          "disk full (%s); what comes is dropped until there is room, the pipeline goes on",
          error);
  } else if (gst_structure_has_name (structure, KR_MSG_DISK_RECOVERED)) {
    collector->report->disk_full = FALSE;
    tell (collector, KR_WORKER_EVENT_DISK, structure,
          "there is room on the disk again after %.1f s, %" G_GUINT64_FORMAT
          " bytes were dropped",
          (double)get_number (structure, "outage-ns") / GST_SECOND,
          get_number (structure, "dropped-bytes"));
  } else {
    tell (collector, KR_WORKER_EVENT_DISK, structure,
          "the disk could not keep what was written (%s); going on in a new file", error);
  }
}

static void
take_discontinuity (KrCollector *collector, const GstStructure *structure)
{
  const char *kind = gst_structure_get_string (structure, "kind");
  gint64 delta = 0, gap = 0;

  if (kind == NULL)
    return;
  gst_structure_get_int64 (structure, "delta-ns", &delta);
  gst_structure_get_int64 (structure, "gap-ns", &gap);
  kr_pipeline_report_count (collector->report->discontinuities, kind,
                            1 + get_number (structure, "suppressed"));
  tell (collector, KR_WORKER_EVENT_DISCONTINUITY, structure,
        "timeline repaired: %s of %.3f s, gap %.3f s", kind, (double)delta / GST_SECOND,
        (double)gap / GST_SECOND);
}

/* The wrong thing comes: nothing here can cure that, and somebody must look at the encoder. */
static void
take_alien (KrCollector *collector, GstMessage *message, const GstStructure *structure)
{
  Member *member = find_member (collector, GST_MESSAGE_SRC (message));
  const char *guess = gst_structure_get_string (structure, "looks-like");
  const char *head = gst_structure_get_string (structure, "head");
  g_autofree char *source = NULL;

  if (member == NULL || member->alien != NULL)
    return;
  source = kr_engine_name_source (member->element);
  member->alien =
      g_strdup_printf ("%s delivers no transport stream (%s%s%s%s)", source,
                       guess != NULL && *guess != '\0' ? "looks like " : "it begins ",
                       guess != NULL ? guess : "", guess != NULL && *guess != '\0' ? ": " : "",
                       head != NULL ? head : "?");
  tell (collector, KR_WORKER_EVENT_STALL, structure, "%s; waiting for one, the file stays open",
        member->alien);
}

static void
take_packets_again (KrCollector *collector, GstMessage *message, const GstStructure *structure)
{
  Member *member = find_member (collector, GST_MESSAGE_SRC (message));
  g_autofree char *source = NULL;

  if (member == NULL || member->alien == NULL)
    return;
  source = kr_engine_name_source (member->element);
  g_clear_pointer (&member->alien, g_free);
  collector->alien_end = g_get_monotonic_time ();
  tell (collector, KR_WORKER_EVENT_RECOVERED, structure,
        "%s delivers a transport stream after %.1f s", source,
        (double)get_number (structure, "outage-ns") / GST_SECOND);
}

void
kr_collector_take (KrCollector *collector, GstMessage *message)
{
  const GstStructure *structure = gst_message_get_structure (message);
  const char *name;

  if (structure == NULL)
    return;
  name = gst_structure_get_name (structure);
  if (g_str_has_prefix (name, "growthmonitor-"))
    take_growth (collector, message, structure);
  else if (g_str_equal (name, KR_MSG_SEGMENT_OPENED))
    take_opened (collector, message, structure);
  else if (g_str_equal (name, KR_MSG_SEGMENT_CLOSED))
    take_closed (collector, structure);
  else if (g_str_equal (name, KR_MSG_RECOVERED))
    take_leftover (collector, structure);
  else if (g_str_equal (name, KR_MSG_DISK_FULL) || g_str_equal (name, KR_MSG_DISK_RECOVERED) ||
           g_str_equal (name, KR_MSG_SYNC_FAILED))
    take_disk (collector, structure);
  else if (g_str_equal (name, KR_MSG_TIMESTAMP_DISCONT) ||
           g_str_equal (name, KR_MSG_MPEGTS_DISCONT))
    take_discontinuity (collector, structure);
  else if (g_str_equal (name, KR_MSG_MPEGTS_NO_PACKETS))
    take_alien (collector, message, structure);
  else if (g_str_equal (name, KR_MSG_MPEGTS_PACKETS_AGAIN))
    take_packets_again (collector, message, structure);
}

gboolean
kr_collector_has_told (KrCollector *collector, GstMessage *warning)
{
  const Member *member = find_member (collector, GST_MESSAGE_SRC (warning));

  return member != NULL && member->alien != NULL;
}
