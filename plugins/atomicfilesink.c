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
 * begins with the `streamheader` of the caps. Leftovers of a crash are repaired and finalised
 * when the element starts.
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

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugins/atomicfilesink-report.h"
#include "plugins/common/byte-pipe.h"
#include "plugins/common/messages.h"
#include "plugins/common/recovery.h"
#include "plugins/common/segment-cutter.h"
#include "plugins/common/segment-name.h"
#include "plugins/common/segment-writer.h"

#define DEFAULT_BUFFER_SIZE    (4 * 1024 * 1024)
#define DEFAULT_FLUSH_INTERVAL (1 * GST_SECOND)
#define DEFAULT_SYNC_INTERVAL  (5 * GST_SECOND)
#define DEFAULT_MAX_PENDING    (64 * 1024 * 1024)
#define MIN_SLICE              (16 * 1024)
#define MAX_SLICE              (1024 * 1024)
/* A streamheader is some hundred bytes; nobody fills memory with it. */
#define MAX_HEADER (1024 * 1024)
#define CUT_HINT                                                                               \
  "cut MPEG-TS or Matroska (matroskamux streamable=true), or use splitmuxsink "                \
  "sink=atomicfilesink instead of max-size-time and max-size-bytes"

GST_DEBUG_CATEGORY_STATIC (kr_atomic_file_sink_debug);
#define GST_CAT_DEFAULT kr_atomic_file_sink_debug

typedef enum {
  OVERFLOW_BLOCK,
  OVERFLOW_DROP,
} KrOverflow;

typedef enum {
  DISK_FULL_HOLD,
  DISK_FULL_ERROR,
} KrOnDiskFull;

/* Protected by the object lock; a copy is taken when the element starts. */
typedef struct {
  char *location;
  char *instance;
  gboolean local_time;
  KrOnExists on_exists;
  guint64 buffer_size;
  GstClockTime flush_interval, sync_interval;
  guint64 max_pending;
  KrOverflow overflow;
  GstClockTime max_size_time;
  guint64 max_size_bytes;
  gboolean align_to_clock;
  guint64 min_free;
  KrOnDiskFull on_disk_full;
  gboolean recover;
} Settings;

struct _KrAtomicFileSink {
  GstBaseSink parent;

  Settings settings;

  /* From start() to stop(). */
  KrSegmentTemplate *tmpl;
  char *instance, *hostname; /* instance: also protected by the object lock */
  KrBytePipe *pipe;
  KrSegmentWriter *writer; /* replaced under the object lock only */
  GThread *recovery;
  gint cancel_recovery; /* atomic */
  KrRecoveryCounts recovered;
  KrWriterStats last_stats; /* of the run that ended, under the object lock */
  guint64 last_received;

  /* The streaming thread's. */
  KrSegmentCutter cutter;
  gboolean rotating;
  GBytes *header;
  guint64 position; /* where the next byte goes, as upstream counts */
  guint64 last_pts;
  gboolean has_data; /* since start or EOS */
  gboolean asked_live;
  gboolean refused; /* what comes cannot be recorded with these settings */
  KrOverflow overflow;
  gboolean local_time;

  gint split_now;                             /* atomic */
  gint rewrites;                              /* atomic: upstream was told that it can seek */
  guint64 n_dropped_buffers, n_dropped_bytes; /* by overflow, under the object lock */
};

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

/* --- enums ------------------------------------------------------------------------------- */

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
             {OVERFLOW_BLOCK, "Make upstream wait until the disk has taken some", "block"},
             {OVERFLOW_DROP, "Drop what comes, and count it in stats", "drop"})
DEFINE_ENUM (on_disk_full_get_type, "KrAtomicFileSinkOnDiskFull",
             {DISK_FULL_HOLD, "Finish the file, drop what comes, resume when there is space",
              "hold"},
             {DISK_FULL_ERROR, "Finish the file and stop with an error", "error"})

/* --- from the I/O thread to the bus --------------------------------------------------------
 */

static void
post_fatal (KrAtomicFileSink *self, const KrWriterEvent *event)
{
  switch (kr_io_error_class (&event->error)) {
  case KR_IO_FULL:
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT, ("%s", event->text), (NULL));
    break;
  case KR_IO_EXISTS:
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE, ("%s", event->text),
                       ("on-exists=error; on-exists=number would take the next free name"));
    break;
  case KR_IO_CONFIG:
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE, ("%s", event->text), (NULL));
    break;
  case KR_IO_NONE:
  case KR_IO_FAILED:
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("%s", event->text), (NULL));
    break;
  }
}

/* Called on the I/O thread. */
static void
on_writer_event (const KrWriterEvent *event, gpointer user_data)
{
  KrAtomicFileSink *self = user_data;
  GstStructure *structure = kr_atomic_file_sink_message (event, self->instance);

  if (structure != NULL)
    gst_element_post_message (GST_ELEMENT (self),
                              gst_message_new_element (GST_OBJECT (self), structure));
  if (event->kind == KR_WRITER_FATAL)
    post_fatal (self, event);
  if (event->kind == KR_WRITER_INCOMPLETE)
    GST_ELEMENT_WARNING (self, RESOURCE, CLOSE, ("%s", event->text), (NULL));
  if (event->kind == KR_WRITER_RECOVERED)
    kr_recovery_counts_add (&self->recovered, event->reason);
}

/* Called on the recovery thread. */
static void
on_recovered (const KrRecovered *recovered, gpointer user_data)
{
  KrAtomicFileSink *self = user_data;

  if (recovered->action == KR_RECOVERY_LIVE)
    return;
  kr_recovery_counts_add (&self->recovered, kr_recovery_action_name (recovered->action));
  gst_element_post_message (
      GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), kr_atomic_file_sink_recovered (recovered)));
}

static gpointer
recover_leftovers (gpointer data)
{
  KrAtomicFileSink *self = data;
  KrRecoveryOptions options = {
      .tmpl = self->tmpl, .hostname = self->hostname, .cancel = &self->cancel_recovery};
  KrIoError error = {0};
  const char *root = kr_segment_template_root (self->tmpl);

  if (!kr_recover_folder (root, &options, on_recovered, self, &error) && error.code != ENOENT) {
    g_autofree char *text = kr_io_error_text (&error, root);

    GST_ELEMENT_WARNING (self, RESOURCE, READ, ("leftovers cannot be recovered: %s", text),
                         (NULL));
  }
  return NULL;
}

/* --- start and stop ------------------------------------------------------------------------
 */

/* The object lock is held. */
static char *
choose_instance (KrAtomicFileSink *self)
{
  const char *env = g_getenv ("KEEPROLLING_INSTANCE");

  if (self->settings.instance != NULL)
    return g_strdup (self->settings.instance);
  if (env != NULL && env[0] != '\0')
    return g_strdup (env);
  return kr_instance_id_new (g_get_real_time ());
}

/* A folder that cannot be written to is better told now than with the first buffer. Nothing is
 * made yet: a pipeline that fails to start leaves no file, and no folder. */
static gboolean
check_folder (KrAtomicFileSink *self)
{
  g_autofree char *folder = g_strdup (kr_segment_template_root (self->tmpl));

  while (access (folder, W_OK | X_OK) != 0) {
    KrIoError error = {.code = errno, .operation = "record to"};
    g_autofree char *text = kr_io_error_text (&error, folder);
    char *parent = g_path_get_dirname (folder);

    if (error.code != ENOENT || g_str_equal (parent, folder)) {
      GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE, ("%s", text), (NULL));
      g_free (parent);
      return FALSE;
    }
    g_free (folder);
    folder = parent;
  }
  return TRUE;
}

static gboolean
prepare_names (KrAtomicFileSink *self)
{
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (self);
  g_free (self->instance);
  self->instance = choose_instance (self);
  if (self->settings.location == NULL)
    g_set_error (&error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_SYNTAX,
                 "no location is set; give the name of a file, such as "
                 "location=cam1-%%Y%%m%%dT%%H%%M%%SZ.ts");
  else if (kr_instance_id_check (self->instance, &error))
    self->tmpl =
        kr_segment_template_new (self->settings.location, self->settings.local_time, &error);
  GST_OBJECT_UNLOCK (self);
  if (error != NULL) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
    return FALSE;
  }
  g_free (self->hostname);
  self->hostname = g_strdup (g_get_host_name ());
  return check_folder (self);
}

static void
start_writer (KrAtomicFileSink *self, const Settings *settings)
{
  gsize slice = CLAMP (settings->buffer_size / 4, MIN_SLICE, MAX_SLICE);
  guint64 wake = MIN (settings->buffer_size, settings->max_pending / 2);
  KrWriterConfig config = {
      .tmpl = self->tmpl,
      .instance = self->instance,
      .hostname = self->hostname,
      .on_exists = settings->on_exists,
      .buffer_size = settings->buffer_size,
      .flush_interval_us = (gint64)MAX (settings->flush_interval / GST_USECOND, 1000),
      .sync_interval_us = (gint64)(settings->sync_interval / GST_USECOND),
      .min_free = settings->min_free,
      .hold_on_full = settings->on_disk_full == DISK_FULL_HOLD,
      .recover_names = settings->recover,
  };
  KrSegmentWriter *writer;

  self->pipe = kr_byte_pipe_new (MIN (slice, MAX (settings->max_pending / 4, MIN_SLICE)),
                                 settings->max_pending, wake);
  writer = kr_segment_writer_new (&config, self->pipe, on_writer_event, self);
  if (g_atomic_int_get (&self->rewrites))
    kr_segment_writer_set_rewrites (writer);
  GST_OBJECT_LOCK (self);
  self->writer = writer;
  self->n_dropped_buffers = self->n_dropped_bytes = 0;
  GST_OBJECT_UNLOCK (self);
  kr_segment_writer_start (writer, "kr-file-writer");
}

static gboolean
begin_run (KrAtomicFileSink *self)
{
  Settings settings;

  if (!prepare_names (self)) {
    g_clear_pointer (&self->tmpl, kr_segment_template_free);
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  settings = self->settings;
  GST_OBJECT_UNLOCK (self);
  self->cutter = (KrSegmentCutter){.rules = {.max_time = settings.max_size_time,
                                             .max_bytes = settings.max_size_bytes,
                                             .align_to_clock = settings.align_to_clock}};
  if (settings.align_to_clock && settings.max_size_time == 0)
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
                         ("align-to-clock needs max-size-time; files are not cut by time"),
                         (NULL));
  self->rotating = settings.max_size_time > 0 || settings.max_size_bytes > 0;
  self->overflow = settings.overflow;
  self->local_time = settings.local_time;
  self->position = 0;
  self->last_pts = GST_CLOCK_TIME_NONE;
  self->has_data = FALSE;
  self->asked_live = FALSE;
  self->refused = FALSE;
  g_atomic_int_set (&self->split_now, FALSE);
  kr_recovery_counts_reset (&self->recovered);
  start_writer (self, &settings);
  g_atomic_int_set (&self->cancel_recovery, 0);
  if (settings.recover)
    self->recovery = g_thread_new ("kr-recovery", recover_leftovers, self);
  return TRUE;
}

/* Writes and finalises what there is, without EOS. */
static void
end_run (KrAtomicFileSink *self)
{
  KrSegmentWriter *writer = self->writer;

  g_atomic_int_set (&self->cancel_recovery, 1);
  g_clear_pointer (&self->recovery, g_thread_join);
  kr_segment_writer_stop (writer);
  /* "stats" goes on telling how the run ended. */
  GST_OBJECT_LOCK (self);
  self->writer = NULL;
  kr_writer_stats_clear (&self->last_stats);
  kr_segment_writer_get_stats (writer, &self->last_stats);
  self->last_received = kr_byte_pipe_bytes_put (self->pipe) + self->n_dropped_bytes;
  GST_OBJECT_UNLOCK (self);
  kr_segment_writer_free (writer);
  g_clear_pointer (&self->pipe, kr_byte_pipe_free);
  g_clear_pointer (&self->tmpl, kr_segment_template_free);
  g_clear_pointer (&self->header, g_bytes_unref);
  g_atomic_int_set (&self->rewrites, FALSE);
}

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

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !begin_run (self))
    return GST_STATE_CHANGE_FAILURE;
  /* The wait for the final name at EOS ends here; end_run() finishes the work in this thread.
   * Being paused does not disturb it. */
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY && self->pipe != NULL)
    kr_byte_pipe_set_cancelled (self->pipe, TRUE);
  result =
      GST_ELEMENT_CLASS (kr_atomic_file_sink_parent_class)->change_state (element, transition);
  if (self->writer != NULL &&
      (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
       (transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE)))
    end_run (self);
  return result;
}

/* --- the streaming thread ------------------------------------------------------------------
 */

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
  if (!live && self->overflow == OVERFLOW_BLOCK)
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
                 kr_segment_writer_wants_cut (self->writer)))
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
        kr_byte_pipe_reserve (self->pipe, size, self->overflow == OVERFLOW_BLOCK);
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

/* --- events and queries ----------------------------------------------------------------------
 */

static void
take_header (KrAtomicFileSink *self, GstCaps *caps)
{
  const GstStructure *structure = gst_caps_get_structure (caps, 0);
  const GValue *list = gst_structure_get_value (structure, "streamheader");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  g_clear_pointer (&self->header, g_bytes_unref);
  if (list == NULL || !GST_VALUE_HOLDS_ARRAY (list))
    return;
  for (guint i = 0; i < gst_value_array_get_size (list); i++) {
    const GValue *value = gst_value_array_get_value (list, i);
    GstMapInfo map;

    if (!GST_VALUE_HOLDS_BUFFER (value) ||
        !gst_buffer_map (gst_value_get_buffer (value), &map, GST_MAP_READ))
      continue;
    if (bytes->len + map.size <= MAX_HEADER)
      g_byte_array_append (bytes, map.data, (guint)map.size);
    gst_buffer_unmap (gst_value_get_buffer (value), &map);
  }
  if (bytes->len > 0)
    self->header = g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}

/* Formats with one index or size field for the whole file: a piece of it does not play. Muxers
 * that find that they cannot seek write something that does not play either, and say nothing:
 * better refused at the start than found out in the morning. */
static gboolean
can_be_cut (KrAtomicFileSink *self, GstCaps *caps)
{
  static const char *const whole[] = {"video/quicktime", "audio/x-m4a", "video/mj2",
                                      "video/x-msvideo", "audio/x-wav", NULL};
  const char *name = gst_structure_get_name (gst_caps_get_structure (caps, 0));

  if (!self->rotating || !g_strv_contains (whole, name))
    return TRUE;
  /* The caps come again before each buffer that is refused for them; once is enough. */
  if (self->refused)
    return FALSE;
  self->refused = TRUE;
  GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
                     ("%s cannot be cut: its muxer rewrites the beginning of the file at the "
                      "end",
                      name),
                     (CUT_HINT));
  return FALSE;
}

/* A muxer wants to write elsewhere in the file. */
static gboolean
seek_to (KrAtomicFileSink *self, guint64 offset)
{
  KrMark mark = {.kind = KR_MARK_SEEK, .offset = offset};

  if (offset == self->position)
    return TRUE;
  if (!self->has_data) {
    self->position = offset;
    return TRUE;
  }
  if (self->rotating) {
    GST_ELEMENT_ERROR (self, RESOURCE, SEEK,
                       ("the muxer wants to rewrite byte %" G_GUINT64_FORMAT
                        " of a file, which is impossible while files are cut",
                        offset),
                       (CUT_HINT));
    return FALSE;
  }
  kr_byte_pipe_mark (self->pipe, &mark);
  self->position = offset;
  return TRUE;
}

/* Returns once the file has its final name, or the element is being stopped. */
static gboolean
finish_file (KrAtomicFileSink *self)
{
  KrMark mark = {.kind = KR_MARK_FINISH, .reason = KR_REASON_EOS, .utc_us = g_get_real_time ()};

  kr_byte_pipe_mark (self->pipe, &mark);
  kr_segment_cutter_reset (&self->cutter);
  self->has_data = FALSE;
  self->position = 0;
  return kr_byte_pipe_wait_finished (self->pipe) == KR_PIPE_OK &&
         !kr_segment_writer_has_failed (self->writer);
}

static gboolean
kr_atomic_file_sink_event (GstBaseSink *sink, GstEvent *event)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (sink);
  const GstSegment *segment;
  gboolean ok = TRUE;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    take_header (self, caps);
    ok = can_be_cut (self, caps);
    break;
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    if (segment->format == GST_FORMAT_BYTES)
      ok = seek_to (self, segment->start);
    break;
  case GST_EVENT_EOS:
    ok = finish_file (self) && !self->refused;
    break;
  case GST_EVENT_FLUSH_START:
    kr_byte_pipe_set_cancelled (self->pipe, TRUE);
    break;
  case GST_EVENT_FLUSH_STOP:
    /* What was written stays written: a flush is about what is on its way. */
    kr_byte_pipe_set_cancelled (self->pipe, FALSE);
    break;
  default:
    break;
  }
  if (!ok) {
    gst_event_unref (event);
    return FALSE;
  }
  return GST_BASE_SINK_CLASS (kr_atomic_file_sink_parent_class)->event (sink, event);
}

static gboolean
answer_seeking (KrAtomicFileSink *self, GstQuery *query)
{
  GstFormat format;
  gboolean seekable;

  gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
  seekable = (format == GST_FORMAT_BYTES || format == GST_FORMAT_DEFAULT) && !self->rotating;
  gst_query_set_seeking (query, format, seekable, 0, -1);
  if (seekable && !g_atomic_int_get (&self->rewrites)) {
    g_atomic_int_set (&self->rewrites, TRUE);
    GST_OBJECT_LOCK (self);
    if (self->writer != NULL)
      kr_segment_writer_set_rewrites (self->writer);
    GST_OBJECT_UNLOCK (self);
  }
  return TRUE;
}

static gboolean
kr_atomic_file_sink_query (GstBaseSink *sink, GstQuery *query)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (sink);
  GstFormat format;

  switch (GST_QUERY_TYPE (query)) {
  case GST_QUERY_POSITION:
    gst_query_parse_position (query, &format, NULL);
    if (format != GST_FORMAT_BYTES && format != GST_FORMAT_DEFAULT)
      break;
    gst_query_set_position (query, GST_FORMAT_BYTES, (gint64)self->position);
    return TRUE;
  case GST_QUERY_FORMATS:
    gst_query_set_formats (query, 2, GST_FORMAT_DEFAULT, GST_FORMAT_BYTES);
    return TRUE;
  case GST_QUERY_SEEKING:
    return answer_seeking (self, query);
  default:
    break;
  }
  return GST_BASE_SINK_CLASS (kr_atomic_file_sink_parent_class)->query (sink, query);
}

/* --- properties ------------------------------------------------------------------------------
 */

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

static void
kr_atomic_file_sink_set_property (GObject *object, guint id, const GValue *value,
                                  GParamSpec *pspec)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (object);
  Settings *settings = &self->settings;

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

static void
kr_atomic_file_sink_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (object);
  const Settings *settings = &self->settings;

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

static void
split_now (KrAtomicFileSink *self)
{
  if (g_atomic_int_get (&self->rewrites)) {
    GST_ELEMENT_WARNING (
        self, STREAM, WRONG_TYPE,
        ("split-now is ignored: the muxer may rewrite the beginning of the file"), (CUT_HINT));
    return;
  }
  g_atomic_int_set (&self->split_now, TRUE);
}

static void
kr_atomic_file_sink_finalize (GObject *object)
{
  KrAtomicFileSink *self = KR_ATOMIC_FILE_SINK (object);

  g_free (self->settings.location);
  g_free (self->settings.instance);
  g_free (self->instance);
  g_free (self->hostname);
  kr_writer_stats_clear (&self->last_stats);
  G_OBJECT_CLASS (kr_atomic_file_sink_parent_class)->finalize (object);
}

static void
kr_atomic_file_sink_init (KrAtomicFileSink *self)
{
  self->settings = (Settings){
      .on_exists = KR_ON_EXISTS_NUMBER,
      .buffer_size = DEFAULT_BUFFER_SIZE,
      .flush_interval = DEFAULT_FLUSH_INTERVAL,
      .sync_interval = DEFAULT_SYNC_INTERVAL,
      .max_pending = DEFAULT_MAX_PENDING,
      .recover = TRUE,
  };
  self->last_stats.runway_s = -1;
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
  /* It would hold a reference, and take a lock, per buffer. */
  gst_base_sink_set_last_sample_enabled (GST_BASE_SINK (self), FALSE);
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
                         OVERFLOW_BLOCK, FLAGS));
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
                         on_disk_full_get_type (), DISK_FULL_HOLD, FLAGS));
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

  install_name_properties (object_class);
  install_write_properties (object_class);
  install_cut_properties (object_class);

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
                                         "keeprolling");
  gst_type_mark_as_plugin_api (on_exists_get_type (), 0);
  gst_type_mark_as_plugin_api (overflow_get_type (), 0);
  gst_type_mark_as_plugin_api (on_disk_full_get_type (), 0);
  GST_DEBUG_CATEGORY_INIT (kr_atomic_file_sink_debug, "atomicfilesink", 0, "atomic file sink");
}
