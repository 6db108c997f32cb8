/* keeprolling - atomicfilesink from start to stop: its threads, and what they tell
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/atomicfilesink-private.h"

#include <errno.h>
#include <unistd.h>

#define GST_CAT_DEFAULT kr_atomic_file_sink_debug

#define MIN_SLICE (16 * 1024)
#define MAX_SLICE (1024 * 1024)

/* --- from the I/O thread to the bus ------------------------------------------------- */

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

/* --- start and stop ----------------------------------------------------------------- */

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
start_writer (KrAtomicFileSink *self, const KrFileSinkSettings *settings)
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
      .hold_on_full = settings->on_disk_full == KR_DISK_FULL_HOLD,
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

gboolean
kr_atomic_file_sink_begin_run (KrAtomicFileSink *self)
{
  KrFileSinkSettings settings;

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

void
kr_atomic_file_sink_end_run (KrAtomicFileSink *self)
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
