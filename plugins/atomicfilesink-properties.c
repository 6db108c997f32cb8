/* keeprolling - properties of atomicfilesink
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/atomicfilesink-private.h"

#define DEFAULT_BUFFER_SIZE    (4 * 1024 * 1024)
#define DEFAULT_FLUSH_INTERVAL (1 * GST_SECOND)
#define DEFAULT_SYNC_INTERVAL  (5 * GST_SECOND)
#define DEFAULT_MAX_PENDING    (64 * 1024 * 1024)

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_INSTANCE,
  PROP_LOCAL_TIME,
  PROP_ON_EXISTS,
  PROP_BUFFER_SIZE,
  PROP_FLUSH_INTERVAL,
  PROP_SYNC_INTERVAL,
  PROP_MAX_PENDING_BYTES,
  PROP_OVERFLOW,
  PROP_MAX_SIZE_TIME,
  PROP_MAX_SIZE_BYTES,
  PROP_ALIGN_TO_CLOCK,
  PROP_MIN_FREE_BYTES,
  PROP_ON_DISK_FULL,
  PROP_RECOVER,
  PROP_STATS,
};

#define DEFINE_ENUM(function, name, ...)                                                       \
  static GType function (void)                                                                 \
  {                                                                                            \
    static gsize type = 0;                                                                     \
    static const GEnumValue values[] = {__VA_ARGS__, {0, NULL, NULL}};                         \
    if (g_once_init_enter (&type))                                                             \
      g_once_init_leave (&type, g_enum_register_static (name, values));                        \
    return (GType)type;                                                                        \
  }

DEFINE_ENUM (on_exists_get_type, "KrAtomicFileSinkOnExists",
             {KR_ON_EXISTS_NUMBER, "Take the next free name: NAME-2.EXT, NAME-3.EXT...",
              "number"},
             {KR_ON_EXISTS_ERROR, "Stop with an error", "error"})
DEFINE_ENUM (overflow_get_type, "KrAtomicFileSinkOverflow",
             {KR_OVERFLOW_BLOCK, "Make upstream wait until the disk has taken some", "block"},
             {KR_OVERFLOW_DROP, "Drop what comes, and count it in stats", "drop"})
DEFINE_ENUM (on_disk_full_get_type, "KrAtomicFileSinkOnDiskFull",
             {KR_DISK_FULL_HOLD, "Finish the file, drop what comes, resume when there is space",
              "hold"},
             {KR_DISK_FULL_ERROR, "Finish the file and stop with an error", "error"})

void
kr_file_sink_settings_init (KrFileSinkSettings *settings)
{
  *settings = (KrFileSinkSettings){
      .on_exists = KR_ON_EXISTS_NUMBER,
      .buffer_size = DEFAULT_BUFFER_SIZE,
      .flush_interval = DEFAULT_FLUSH_INTERVAL,
      .sync_interval = DEFAULT_SYNC_INTERVAL,
      .max_pending = DEFAULT_MAX_PENDING,
      .recover = TRUE,
  };
}

void
kr_file_sink_settings_clear (KrFileSinkSettings *settings)
{
  g_free (settings->location);
  g_free (settings->instance);
}

/* Called with the object lock held. */
static GstStructure *
make_stats (KrAtomicFileSink *self)
{
  KrSinkCounts counts = {.received = self->last_received,
                         .dropped_bytes = self->n_dropped_bytes,
                         .dropped_buffers = self->n_dropped_buffers,
                         .recovered = &self->recovered};
  GstStructure *structure;
  KrWriterStats stats;

  if (self->writer == NULL)
    return kr_atomic_file_sink_stats (&self->last_stats, &counts, FALSE);
  kr_segment_writer_get_stats (self->writer, &stats);
  counts.received = kr_byte_pipe_bytes_put (self->pipe) + self->n_dropped_bytes;
  structure = kr_atomic_file_sink_stats (&stats, &counts, TRUE);
  kr_writer_stats_clear (&stats);
  return structure;
}

static void
set_string (char **target, const GValue *value)
{
  g_free (*target);
  *target = g_value_dup_string (value);
}

void
kr_atomic_file_sink_set_property (GObject *object, guint id, const GValue *value,
                                  GParamSpec *pspec)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (object);
  KrFileSinkSettings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_LOCATION:
    set_string (&settings->location, value);
    break;
  case PROP_INSTANCE:
    set_string (&settings->instance, value);
    break;
  case PROP_LOCAL_TIME:
    settings->local_time = g_value_get_boolean (value);
    break;
  case PROP_ON_EXISTS:
    settings->on_exists = (KrOnExists)g_value_get_enum (value);
    break;
  case PROP_BUFFER_SIZE:
    settings->buffer_size = g_value_get_uint64 (value);
    break;
  case PROP_FLUSH_INTERVAL:
    settings->flush_interval = g_value_get_uint64 (value);
    break;
  case PROP_SYNC_INTERVAL:
    settings->sync_interval = g_value_get_uint64 (value);
    break;
  case PROP_MAX_PENDING_BYTES:
    settings->max_pending = g_value_get_uint64 (value);
    break;
  case PROP_OVERFLOW:
    settings->overflow = (KrOverflow)g_value_get_enum (value);
    break;
  case PROP_MAX_SIZE_TIME:
    settings->max_size_time = g_value_get_uint64 (value);
    break;
  case PROP_MAX_SIZE_BYTES:
    settings->max_size_bytes = g_value_get_uint64 (value);
    break;
  case PROP_ALIGN_TO_CLOCK:
    settings->align_to_clock = g_value_get_boolean (value);
    break;
  case PROP_MIN_FREE_BYTES:
    settings->min_free = g_value_get_uint64 (value);
    break;
  case PROP_ON_DISK_FULL:
    settings->on_disk_full = (KrOnDiskFull)g_value_get_enum (value);
    break;
  case PROP_RECOVER:
    settings->recover = g_value_get_boolean (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  GST_OBJECT_UNLOCK (self);
}

void
kr_atomic_file_sink_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (object);
  const KrFileSinkSettings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_LOCATION:
    g_value_set_string (value, settings->location);
    break;
  case PROP_INSTANCE:
    g_value_set_string (value, self->writer != NULL || settings->instance == NULL
                                   ? self->instance
                                   : settings->instance);
    break;
  case PROP_LOCAL_TIME:
    g_value_set_boolean (value, settings->local_time);
    break;
  case PROP_ON_EXISTS:
    g_value_set_enum (value, settings->on_exists);
    break;
  case PROP_BUFFER_SIZE:
    g_value_set_uint64 (value, settings->buffer_size);
    break;
  case PROP_FLUSH_INTERVAL:
    g_value_set_uint64 (value, settings->flush_interval);
    break;
  case PROP_SYNC_INTERVAL:
    g_value_set_uint64 (value, settings->sync_interval);
    break;
  case PROP_MAX_PENDING_BYTES:
    g_value_set_uint64 (value, settings->max_pending);
    break;
  case PROP_OVERFLOW:
    g_value_set_enum (value, settings->overflow);
    break;
  case PROP_MAX_SIZE_TIME:
    g_value_set_uint64 (value, settings->max_size_time);
    break;
  case PROP_MAX_SIZE_BYTES:
    g_value_set_uint64 (value, settings->max_size_bytes);
    break;
  case PROP_ALIGN_TO_CLOCK:
    g_value_set_boolean (value, settings->align_to_clock);
    break;
  case PROP_MIN_FREE_BYTES:
    g_value_set_uint64 (value, settings->min_free);
    break;
  case PROP_ON_DISK_FULL:
    g_value_set_enum (value, settings->on_disk_full);
    break;
  case PROP_RECOVER:
    g_value_set_boolean (value, settings->recover);
    break;
  case PROP_STATS:
    g_value_take_boxed (value, make_stats (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  GST_OBJECT_UNLOCK (self);
}

#define FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)

static void
install_name_properties (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_LOCATION,
      g_param_spec_string (
          "location", "Location",
          "Name of the files: a path with strftime conversions (UTC), {instance}, {seq} (six "
          "digits) and {hostname}; %% and {{ }} for the characters themselves. Folders are "
          "made "
          "as needed. While it is written a file is called NAME.recording.EXT",
          NULL, FLAGS));
  g_object_class_install_property (
      klass, PROP_INSTANCE,
      g_param_spec_string ("instance", "Instance",
                           "What {instance} stands for: 1 to 20 of a-z, 0-9 and '-'. Default: "
                           "$KEEPROLLING_INSTANCE, else made at start: unique across hosts and "
                           "restarts, sorts by start time",
                           NULL, FLAGS));
  g_object_class_install_property (
      klass, PROP_LOCAL_TIME,
      g_param_spec_boolean ("local-time", "Local time",
                            "Use local time instead of UTC in names, and local midnight for "
                            "align-to-clock",
                            FALSE, FLAGS));
  g_object_class_install_property (
      klass, PROP_ON_EXISTS,
      g_param_spec_enum ("on-exists", "On exists",
                         "What to do when a file of that name exists; it is never overwritten",
                         on_exists_get_type (), KR_ON_EXISTS_NUMBER, FLAGS));
  g_object_class_install_property (
      klass, PROP_RECOVER,
      g_param_spec_boolean (
          "recover", "Recover",
          "At start, repair and finalise what dead instances left under names "
          "of this location; what a living one writes is not touched",
          TRUE, FLAGS));
}

static void
install_write_properties (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_BUFFER_SIZE,
      g_param_spec_uint64 ("buffer-size", "Buffer size",
                           "Bytes collected before they are written to the kernel", 64 * 1024,
                           G_MAXINT32, DEFAULT_BUFFER_SIZE, FLAGS));
  g_object_class_install_property (
      klass, PROP_FLUSH_INTERVAL,
      g_param_spec_uint64 (
          "flush-interval", "Flush interval",
          "Longest time in ns until data are written to the kernel, where they "
          "survive the death of the process; also when no more data come",
          10 * GST_MSECOND, 3600 * GST_SECOND, DEFAULT_FLUSH_INTERVAL, FLAGS));
  g_object_class_install_property (
      klass, PROP_SYNC_INTERVAL,
      g_param_spec_uint64 (
          "sync-interval", "Sync interval",
          "Longest time in ns until written data are synced to the disk, where "
          "they survive the power (0 = only when a file is closed)",
          0, 3600 * GST_SECOND, DEFAULT_SYNC_INTERVAL, FLAGS));
  g_object_class_install_property (
      klass, PROP_MAX_PENDING_BYTES,
      g_param_spec_uint64 ("max-pending-bytes", "Maximum pending bytes",
                           "Bytes that may wait in memory for a slow disk", 64 * 1024,
                           G_MAXINT64, DEFAULT_MAX_PENDING, FLAGS));
  g_object_class_install_property (
      klass, PROP_OVERFLOW,
      g_param_spec_enum ("overflow", "Overflow",
                         "What to do when max-pending-bytes are waiting", overflow_get_type (),
                         KR_OVERFLOW_BLOCK, FLAGS));
  g_object_class_install_property (
      klass, PROP_MIN_FREE_BYTES,
      g_param_spec_uint64 ("min-free-bytes", "Minimum free bytes",
                           "Bytes to leave free on the disk: with less it counts as full (0 = "
                           "use all there is)",
                           0, G_MAXUINT64, 0, FLAGS));
  g_object_class_install_property (
      klass, PROP_ON_DISK_FULL,
      g_param_spec_enum ("on-disk-full", "On disk full",
                         "What to do when the disk is full. hold resumes in a new file, at a "
                         "keyframe, once the larger of min-free-bytes and buffer-size is free",
                         on_disk_full_get_type (), KR_DISK_FULL_HOLD, FLAGS));
}

static void
install_cut_properties (GObjectClass *klass)
{
  g_object_class_install_property (
      klass, PROP_MAX_SIZE_TIME,
      g_param_spec_uint64 (
          "max-size-time", "Maximum time",
          "Media time in ns after which a new file begins, at the next keyframe "
          "(0 = no limit)",
          0, G_MAXUINT64, 0, FLAGS));
  g_object_class_install_property (
      klass, PROP_MAX_SIZE_BYTES,
      g_param_spec_uint64 ("max-size-bytes", "Maximum size",
                           "Bytes after which a new file begins, at the next keyframe (0 = no "
                           "limit)",
                           0, G_MAXUINT64, 0, FLAGS));
  g_object_class_install_property (
      klass, PROP_ALIGN_TO_CLOCK,
      g_param_spec_boolean (
          "align-to-clock", "Align to clock",
          "Begin new files at the first keyframe at or after the wall clock's "
          "multiples of max-size-time, instead of that long after the last",
          FALSE, FLAGS));
  g_object_class_install_property (
      klass, PROP_STATS,
      g_param_spec_boxed (
          "stats", "Statistics",
          "Bytes received, written, durable, pending and dropped, their ages in "
          "ns, syncs and how long they took, free space and runway in seconds",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

void
kr_atomic_file_sink_install_properties (GObjectClass *klass)
{
  install_name_properties (klass);
  install_write_properties (klass);
  install_cut_properties (klass);
  gst_type_mark_as_plugin_api (on_exists_get_type (), 0);
  gst_type_mark_as_plugin_api (overflow_get_type (), 0);
  gst_type_mark_as_plugin_api (on_disk_full_get_type (), 0);
}
