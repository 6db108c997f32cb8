/* keeprolling - atomicfilesink's messages and statistics
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/atomicfilesink-report.h"

#include "plugins/common/messages.h"

void
kr_recovery_counts_reset (KrRecoveryCounts *counts)
{
  g_atomic_int_set (&counts->finalised, 0);
  g_atomic_int_set (&counts->quarantined, 0);
}

void
kr_recovery_counts_add (KrRecoveryCounts *counts, const char *action)
{
  if (g_strcmp0 (action, kr_recovery_action_name (KR_RECOVERY_FINALISED)) == 0)
    g_atomic_int_inc (&counts->finalised);
  if (g_strcmp0 (action, kr_recovery_action_name (KR_RECOVERY_QUARANTINED)) == 0)
    g_atomic_int_inc (&counts->quarantined);
}

static guint64
ns (gint64 us)
{
  return us > 0 ? (guint64)us * 1000 : 0;
}

static guint64
utc_now_ns (void)
{
  return ns (g_get_real_time ());
}

static GstStructure *
segment_opened (const KrWriterEvent *event, const char *instance)
{
  return gst_structure_new (KR_MSG_SEGMENT_OPENED, "location", G_TYPE_STRING, event->location,
                            "temp-location", G_TYPE_STRING, event->temp_location, "seq",
                            G_TYPE_UINT, event->seq, "instance", G_TYPE_STRING, instance,
                            "utc-start-ns", G_TYPE_UINT64, ns (event->utc_start_us), NULL);
}

static GstStructure *
segment_closed (const KrWriterEvent *event, const char *instance)
{
  return gst_structure_new (
      KR_MSG_SEGMENT_CLOSED, "location", G_TYPE_STRING, event->location, "seq", G_TYPE_UINT,
      event->seq, "instance", G_TYPE_STRING, instance, "bytes", G_TYPE_UINT64, event->bytes,
      "first-pts", G_TYPE_UINT64, event->first_pts, "last-pts", G_TYPE_UINT64, event->last_pts,
      "running-time", G_TYPE_UINT64, event->running_time, "utc-start-ns", G_TYPE_UINT64,
      ns (event->utc_start_us), "utc-end-ns", G_TYPE_UINT64, ns (event->utc_end_us), "reason",
      G_TYPE_STRING, event->reason, "durable", G_TYPE_BOOLEAN, event->durable, NULL);
}

static GstStructure *
disk_full (const KrWriterEvent *event)
{
  return gst_structure_new (KR_MSG_DISK_FULL, "location", G_TYPE_STRING, event->location,
                            "errno", G_TYPE_INT, event->error.code, "error", G_TYPE_STRING,
                            event->text, "free-bytes", G_TYPE_UINT64, event->free_bytes,
                            "dropped-bytes", G_TYPE_UINT64, event->dropped_bytes, "utc-ns",
                            G_TYPE_UINT64, utc_now_ns (), NULL);
}

static GstStructure *
disk_recovered (const KrWriterEvent *event)
{
  return gst_structure_new (KR_MSG_DISK_RECOVERED, "location", G_TYPE_STRING, event->location,
                            "outage-ns", G_TYPE_UINT64, event->outage_ns, "dropped-bytes",
                            G_TYPE_UINT64, event->dropped_bytes, "free-bytes", G_TYPE_UINT64,
                            event->free_bytes, "utc-ns", G_TYPE_UINT64, utc_now_ns (), NULL);
}

static GstStructure *
sync_failed (const KrWriterEvent *event)
{
  return gst_structure_new (KR_MSG_SYNC_FAILED, "location", G_TYPE_STRING, event->location,
                            "errno", G_TYPE_INT, event->error.code, "error", G_TYPE_STRING,
                            event->text, "operation", G_TYPE_STRING, event->error.operation,
                            "durable-bytes", G_TYPE_UINT64, event->durable_bytes, "lost-bytes",
                            G_TYPE_UINT64, event->lost_bytes, "utc-ns", G_TYPE_UINT64,
                            utc_now_ns (), NULL);
}

static GstStructure *
recovered (const char *temp, const char *path, const char *action, guint64 bytes, guint64 cut)
{
  return gst_structure_new (KR_MSG_RECOVERED, "temp-location", G_TYPE_STRING, temp, "location",
                            G_TYPE_STRING, path != NULL ? path : "", "action", G_TYPE_STRING,
                            action, "bytes", G_TYPE_UINT64, bytes, "cut-bytes", G_TYPE_UINT64,
                            cut, "utc-ns", G_TYPE_UINT64, utc_now_ns (), NULL);
}

GstStructure *
kr_atomic_file_sink_recovered (const KrRecovered *found)
{
  return recovered (found->temp_path, found->path, kr_recovery_action_name (found->action),
                    found->bytes, found->cut_bytes);
}

GstStructure *
kr_atomic_file_sink_message (const KrWriterEvent *event, const char *instance)
{
  switch (event->kind) {
  case KR_WRITER_OPENED:
    return segment_opened (event, instance);
  case KR_WRITER_CLOSED:
    return segment_closed (event, instance);
  case KR_WRITER_DISK_FULL:
    return disk_full (event);
  case KR_WRITER_DISK_RECOVERED:
    return disk_recovered (event);
  case KR_WRITER_SYNC_FAILED:
    return sync_failed (event);
  case KR_WRITER_RECOVERED:
    return recovered (event->temp_location, event->location, event->reason, event->bytes,
                      event->lost_bytes);
  case KR_WRITER_INCOMPLETE:
  case KR_WRITER_FATAL:
    break;
  }
  return NULL;
}

static void
add_histogram (GstStructure *structure, const char *name, const KrHistogram *histogram)
{
  GValue list = G_VALUE_INIT;

  g_value_init (&list, GST_TYPE_ARRAY);
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, G_TYPE_UINT64);
    g_value_set_uint64 (&value, histogram->buckets[i]);
    gst_value_array_append_and_take_value (&list, &value);
  }
  gst_structure_take_value (structure, name, &list);
}

GstStructure *
kr_atomic_file_sink_stats (const KrWriterStats *stats, const KrSinkCounts *counts,
                           gboolean running)
{
  gint64 now = g_get_monotonic_time ();
  guint64 taken = stats->written + stats->dropped + counts->dropped_bytes;
  /* The two sides are read one after the other. */
  guint64 pending = counts->received > taken ? counts->received - taken : 0;
  guint64 unwritten_age = running && pending > 0 ? ns (now - stats->looked_us) : 0;
  guint64 unsynced_age =
      running && stats->oldest_dirty_us > 0 ? ns (now - stats->oldest_dirty_us) : unwritten_age;
  GstStructure *structure = gst_structure_new (
      KR_STATS_ATOMICFILESINK, "bytes-received", G_TYPE_UINT64, counts->received,
      "bytes-written", G_TYPE_UINT64, stats->written, "bytes-durable", G_TYPE_UINT64,
      stats->durable, "pending-bytes", G_TYPE_UINT64, pending, "dropped-bytes", G_TYPE_UINT64,
      stats->dropped + counts->dropped_bytes, "dropped-buffers", G_TYPE_UINT64,
      counts->dropped_buffers, "unwritten-age-ns", G_TYPE_UINT64, unwritten_age,
      "unsynced-age-ns", G_TYPE_UINT64, unsynced_age, NULL);

  gst_structure_set (
      structure, "segments", G_TYPE_UINT64, stats->segments, "segments-recovered",
      G_TYPE_UINT64, (guint64)g_atomic_int_get (&counts->recovered->finalised),
      "segments-quarantined", G_TYPE_UINT64,
      (guint64)g_atomic_int_get (&counts->recovered->quarantined), "write-calls", G_TYPE_UINT64,
      stats->write_calls, "sync-calls", G_TYPE_UINT64, stats->sync_calls, "sync-errors",
      G_TYPE_UINT64, stats->sync_errors, "io-errors", G_TYPE_UINT64, stats->io_errors,
      "sync-ns-sum", G_TYPE_UINT64, stats->sync_us_sum * 1000, "sync-ns-max", G_TYPE_UINT64,
      stats->sync_us_max * 1000, "finalise-ns-sum", G_TYPE_UINT64,
      stats->finalise_us_sum * 1000, "finalise-ns-max", G_TYPE_UINT64,
      stats->finalise_us_max * 1000, "last-sync-utc-ns", G_TYPE_UINT64,
      ns (stats->last_sync_utc_us), "io-age-ns", G_TYPE_UINT64,
      running ? ns (now - stats->turn_us) : (guint64)0, NULL);
  gst_structure_set (
      structure, "location", G_TYPE_STRING, stats->location != NULL ? stats->location : "",
      "segment-bytes", G_TYPE_UINT64, stats->segment_bytes, "segment-durable-bytes",
      G_TYPE_UINT64, stats->segment_durable, "segment-utc-start-ns", G_TYPE_UINT64,
      ns (stats->segment_utc_us), "disk-full", G_TYPE_BOOLEAN, stats->disk_full, "free-bytes",
      G_TYPE_UINT64, stats->free_bytes, "runway-s", G_TYPE_DOUBLE, stats->runway_s, NULL);
  add_histogram (structure, "sync-ns-histogram", &stats->syncs);
  add_histogram (structure, "finalise-ns-histogram", &stats->finalises);
  return structure;
}
