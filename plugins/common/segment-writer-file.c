/* keeprolling - the file of a segment: opening, syncing, its final name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-writer-private.h"

#include <errno.h>
#include <unistd.h>

#include "plugins/common/container-probe.h"
#include "plugins/common/messages.h"
#include "plugins/common/recovery.h"

static void
account_sync (KrSegmentWriter *writer, gint64 took_us, gboolean ok)
{
  KrWriterStats *stats = &writer->stats;

  pthread_mutex_lock (&writer->lock);
  stats->sync_calls++;
  stats->sync_us_sum += (guint64)took_us;
  stats->sync_us_max = MAX (stats->sync_us_max, (guint64)took_us);
  kr_histogram_observe (&stats->syncs, (double)took_us / G_TIME_SPAN_SECOND);
  if (ok) {
    stats->durable += writer->segment.data - writer->segment.synced_data;
    stats->segment_durable = kr_atomic_file_size (writer->file);
    stats->oldest_dirty_us = 0;
    stats->last_sync_utc_us = g_get_real_time ();
  } else {
    stats->sync_errors++;
    stats->io_errors++;
  }
  pthread_mutex_unlock (&writer->lock);
}

gboolean
kr_segment_writer_sync (KrSegmentWriter *writer, KrIoError *ret_error)
{
  gint64 before = g_get_monotonic_time ();
  gboolean ok = kr_atomic_file_sync (writer->file, ret_error);

  account_sync (writer, g_get_monotonic_time () - before, ok);
  writer->last_sync_us = writer->now_us;
  if (ok) {
    writer->segment.durable = writer->segment.position;
    writer->segment.synced_data = writer->segment.data;
    writer->replaced = 0;
    kr_segment_writer_release_kept (writer);
  }
  return ok;
}

static void
emit_recovered (const KrRecovered *recovered, gpointer user_data)
{
  KrSegmentWriter *writer = user_data;
  KrWriterEvent event = {.kind = KR_WRITER_RECOVERED,
                         .location = recovered->path,
                         .temp_location = recovered->temp_path,
                         .reason = kr_recovery_action_name (recovered->action),
                         .bytes = recovered->bytes,
                         .lost_bytes = recovered->cut_bytes,
                         .error = recovered->error};

  if (recovered->action != KR_RECOVERY_LIVE)
    writer->func (&event, writer->user_data);
}

/* Opens the file of writer->segment. Its position starts over. */
gboolean
kr_segment_writer_open (KrSegmentWriter *writer, KrIoError *ret_error)
{
  KrOpenSegment *segment = &writer->segment;
  KrSegmentFields fields = {.utc_us = segment->utc_us,
                            .seq = writer->next_seq,
                            .instance = writer->instance,
                            .hostname = writer->hostname};
  g_autoptr (GError) error = NULL;
  g_autofree char *path = kr_segment_template_expand (writer->config.tmpl, &fields, &error);
  KrWriterEvent event = {.kind = KR_WRITER_OPENED};

  g_free (writer->last_path);
  writer->last_path = g_strdup (path != NULL ? path : error->message);
  if (path == NULL) {
    *ret_error = (KrIoError){.code = ENAMETOOLONG, .operation = "name a segment by"};
    return FALSE;
  }
  if (writer->config.recover_names) {
    g_autofree char *temp = kr_segment_temp_path (path);

    if (access (temp, F_OK) == 0)
      kr_recover_file (temp, NULL, emit_recovered, writer);
  }
  writer->file = kr_atomic_file_create (path, writer->config.on_exists, ret_error);
  if (writer->file == NULL)
    return FALSE;
  segment->seq = writer->next_seq++;
  segment->position = segment->durable = segment->data = segment->synced_data = 0;
  segment->started = segment->uncached = 0;
  pthread_mutex_lock (&writer->lock);
  g_free (writer->stats.location);
  writer->stats.location = g_strdup (kr_atomic_file_path (writer->file));
  writer->stats.segment_bytes = writer->stats.segment_durable = 0;
  writer->stats.segment_utc_us = segment->utc_us;
  pthread_mutex_unlock (&writer->lock);
  event.location = kr_atomic_file_path (writer->file);
  event.temp_location = kr_atomic_file_temp_path (writer->file);
  kr_segment_writer_emit (writer, &event);
  if (writer->resuming)
    kr_segment_writer_resumed (writer);
  return TRUE;
}

static void
forget_segment_file (KrSegmentWriter *writer)
{
  writer->file = NULL;
  kr_segment_writer_release_kept (writer);
  pthread_mutex_lock (&writer->lock);
  g_clear_pointer (&writer->stats.location, g_free);
  writer->stats.segment_bytes = writer->stats.segment_durable = 0;
  writer->stats.oldest_dirty_us = 0;
  pthread_mutex_unlock (&writer->lock);
}

/* Without EOS a muxer has not written its end. What does not play without keeps the name that
 * says so. */
static gboolean
leave_incomplete (KrSegmentWriter *writer, const char *reason)
{
  KrProbe probe;
  KrWriterEvent event = {.kind = KR_WRITER_INCOMPLETE, .reason = reason};
  g_autofree char *text = NULL;

  if (!kr_segment_writer_may_rewrite (writer) || g_str_equal (reason, KR_REASON_EOS))
    return FALSE;
  probe = kr_container_probe (kr_atomic_file_fd (writer->file), NULL, NULL, NULL);
  if (probe.kind != KR_CONTAINER_UNKNOWN)
    return FALSE;
  text = g_strdup_printf ("%s is not complete (%s) and keeps its temporary name",
                          kr_atomic_file_temp_path (writer->file), probe.detail);
  event.text = text;
  event.location = kr_atomic_file_path (writer->file);
  event.temp_location = kr_atomic_file_temp_path (writer->file);
  event.bytes = kr_atomic_file_size (writer->file);
  kr_segment_writer_emit (writer, &event);
  kr_atomic_file_abandon (writer->file);
  forget_segment_file (writer);
  return TRUE;
}

static void
report_bad_end (KrSegmentWriter *writer, const KrFinaliseResult *result, const char *path)
{
  KrWriterEvent event = {.kind = KR_WRITER_SYNC_FAILED,
                         .location = path,
                         .error = result->error,
                         .durable_bytes = writer->segment.durable};
  g_autofree char *text = kr_io_error_text (&result->error, path);

  event.text = text;
  pthread_mutex_lock (&writer->lock);
  writer->stats.io_errors++;
  pthread_mutex_unlock (&writer->lock);
  kr_segment_writer_emit (writer, &event);
  if (!result->renamed)
    kr_segment_writer_fail (writer, &result->error, g_strdup (text));
}

/* Gives the open file its final name. */
void
kr_segment_writer_finalise (KrSegmentWriter *writer, const char *reason, gboolean synced,
                            gint64 utc_end_us)
{
  g_autofree char *path = NULL;
  guint64 bytes = kr_atomic_file_size (writer->file);
  gint64 before = g_get_monotonic_time ();
  KrFinaliseResult result = kr_atomic_file_finalise (writer->file, synced, &path);
  guint64 took = (guint64)(g_get_monotonic_time () - before);
  KrWriterEvent event = {.kind = KR_WRITER_CLOSED,
                         .location = path,
                         .reason = reason,
                         .bytes = bytes,
                         .utc_end_us = utc_end_us,
                         .durable = result.durable};

  forget_segment_file (writer);
  pthread_mutex_lock (&writer->lock);
  writer->stats.segments += result.renamed ? 1 : 0;
  writer->stats.finalise_us_sum += took;
  kr_histogram_observe (&writer->stats.finalises, (double)took / G_TIME_SPAN_SECOND);
  writer->stats.finalise_us_max = MAX (writer->stats.finalise_us_max, took);
  pthread_mutex_unlock (&writer->lock);
  if (result.error.code != 0)
    report_bad_end (writer, &result, path);
  if (result.renamed)
    kr_segment_writer_emit (writer, &event);
}

/* A file without a byte of the stream, at most with a header, is no segment. Returns TRUE if it
 * was one. */
gboolean
kr_segment_writer_discard_empty (KrSegmentWriter *writer)
{
  KrIoError error;

  if (writer->segment.data > 0)
    return FALSE;
  if (kr_atomic_file_size (writer->file) > 0)
    kr_atomic_file_truncate (writer->file, 0, &error);
  kr_atomic_file_discard (writer->file);
  forget_segment_file (writer);
  return TRUE;
}

/* Syncs the open file and gives it its final name. Does nothing without a file. */
void
kr_segment_writer_close (KrSegmentWriter *writer, const char *reason, gint64 utc_end_us)
{
  KrIoError error = {0};
  gboolean synced = TRUE;

  if (writer->file == NULL)
    return;
  if (kr_segment_writer_discard_empty (writer))
    return;
  if (!kr_segment_writer_sync (writer, &error)) {
    /* What is still in memory goes into another file, which then is the one to close. */
    if (!kr_segment_writer_replace (writer, &error))
      return;
    synced = writer->segment.synced_data == writer->segment.data;
  }
  if (!leave_incomplete (writer, reason))
    kr_segment_writer_finalise (writer, reason, synced, utc_end_us);
}
