/* keeprolling - the I/O thread when the disk is full, or lies
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-writer-private.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "plugins/common/messages.h"

#define HOLD_CHECK_US G_USEC_PER_SEC
/* Files given up in a row, without one good sync between, until the disk counts as broken. */
#define MAX_REPLACED 3

void
kr_segment_writer_drop (KrSegmentWriter *writer, guint64 bytes)
{
  pthread_mutex_lock (&writer->lock);
  writer->stats.dropped += bytes;
  pthread_mutex_unlock (&writer->lock);
}

static gboolean
free_space_at (const char *path, guint64 *ret_bytes)
{
  g_autofree char *folder = g_path_get_dirname (path);
  struct statvfs fs;

  /* Where there was no space for the folder itself, the one above it tells. */
  while (statvfs (folder, &fs) != 0) {
    char *parent = g_path_get_dirname (folder);

    if (errno != ENOENT || g_str_equal (parent, folder)) {
      g_free (parent);
      return FALSE;
    }
    g_free (folder);
    folder = parent;
  }
  *ret_bytes = (guint64)fs.f_bavail * fs.f_frsize;
  return TRUE;
}

/* Free space, rate and runway, about once a second; now with @force. */
void
kr_segment_writer_update_space (KrSegmentWriter *writer, gboolean force)
{
  guint64 free_bytes;
  guint64 min_free = writer->config.min_free;

  if (!force && writer->space_us != 0 && writer->now_us - writer->space_us < G_USEC_PER_SEC)
    return;
  if (writer->file != NULL
          ? !kr_atomic_file_free_space (writer->file, &free_bytes)
          : writer->last_path == NULL || !free_space_at (writer->last_path, &free_bytes))
    return;
  writer->space_us = writer->now_us;
  kr_disk_runway_sample (&writer->runway, writer->stats.written, free_bytes, writer->now_us);
  pthread_mutex_lock (&writer->lock);
  writer->stats.free_bytes = free_bytes;
  if (writer->stats.disk_full || free_bytes <= min_free)
    writer->stats.runway_s = 0;
  else
    writer->stats.runway_s = kr_disk_runway_seconds (&writer->runway, free_bytes - min_free);
  pthread_mutex_unlock (&writer->lock);
}

/* Acts on min-free-bytes before the disk is full. Returns FALSE if the recording holds now. */
gboolean
kr_segment_writer_has_space (KrSegmentWriter *writer)
{
  KrIoError error = {.code = ENOSPC, .operation = "keep min-free-bytes free beside"};
  guint64 free_bytes;

  if (writer->config.min_free == 0 || !kr_atomic_file_free_space (writer->file, &free_bytes) ||
      free_bytes >= writer->config.min_free)
    return TRUE;
  kr_segment_writer_hold (writer, &error);
  return FALSE;
}

/* A packet that is there in part is worse than none. */
static void
cut_to_packet (KrSegmentWriter *writer)
{
  KrOpenSegment *segment = &writer->segment;
  guint64 excess = segment->position > segment->grid
                       ? (segment->position - segment->grid) % segment->packet
                       : 0;
  KrIoError error;

  if (excess == 0 || excess > segment->data ||
      !kr_atomic_file_truncate (writer->file, segment->position - excess, &error))
    return;
  segment->position -= excess;
  segment->data -= excess;
  segment->durable = MIN (segment->durable, segment->position);
  segment->synced_data = MIN (segment->synced_data, segment->data);
  pthread_mutex_lock (&writer->lock);
  writer->stats.written -= excess;
  writer->stats.dropped += excess;
  writer->stats.segment_bytes = segment->position;
  pthread_mutex_unlock (&writer->lock);
}

static void
emit_disk_full (KrSegmentWriter *writer, const KrIoError *error, const char *path)
{
  KrWriterEvent event = {.kind = KR_WRITER_DISK_FULL, .location = path, .error = *error};
  g_autofree char *text = kr_io_error_text (error, path);

  event.text = text;
  event.free_bytes = writer->stats.free_bytes;
  event.dropped_bytes = writer->stats.dropped;
  kr_segment_writer_emit (writer, &event);
}

/* No space: finishes the file on a packet boundary, says so once, and drops what comes until
 * there is space again. */
void
kr_segment_writer_hold (KrSegmentWriter *writer, const KrIoError *error)
{
  g_autofree char *path =
      g_strdup (writer->file != NULL ? kr_atomic_file_path (writer->file) : writer->last_path);
  gboolean can_hold = writer->config.hold_on_full && !kr_segment_writer_may_rewrite (writer);
  /* The space went again before a file could be opened: the same outage goes on. */
  gboolean again = writer->resuming;

  writer->holding = TRUE;
  writer->resuming = FALSE;
  writer->hold_checked_us = writer->now_us;
  if (!again)
    writer->hold_since_us = writer->now_us;
  pthread_mutex_lock (&writer->lock);
  writer->stats.disk_full = TRUE;
  pthread_mutex_unlock (&writer->lock);
  kr_segment_writer_update_space (writer, TRUE);
  if (writer->file != NULL) {
    cut_to_packet (writer);
    kr_segment_writer_close (writer, KR_REASON_DISK_FULL, g_get_real_time ());
  }
  if (!again)
    emit_disk_full (writer, error, path);
  if (!can_hold)
    kr_segment_writer_fail (writer, error, kr_io_error_text (error, path));
}

static gboolean
enough_space (KrSegmentWriter *writer)
{
  guint64 free_bytes;

  if (!free_space_at (writer->last_path, &free_bytes))
    return FALSE;
  pthread_mutex_lock (&writer->lock);
  writer->stats.free_bytes = free_bytes;
  pthread_mutex_unlock (&writer->lock);
  return free_bytes >= MAX (writer->config.min_free, writer->config.buffer_size);
}

/* While holding: asks the streaming thread for a place to begin again once there is space. */
void
kr_segment_writer_check_hold (KrSegmentWriter *writer)
{
  if (!writer->holding || kr_segment_writer_has_failed (writer) ||
      writer->now_us - writer->hold_checked_us < HOLD_CHECK_US)
    return;
  writer->hold_checked_us = writer->now_us;
  atomic_store (&writer->wants_cut, enough_space (writer));
}

/* At a CUT mark while holding: the segment that was just begun is written if there is space. */
void
kr_segment_writer_resume (KrSegmentWriter *writer)
{
  atomic_store (&writer->wants_cut, FALSE);
  if (kr_segment_writer_has_failed (writer) || !enough_space (writer))
    return;
  writer->holding = FALSE;
  writer->resuming = TRUE;
}

/* The first file after a hold is open. */
void
kr_segment_writer_resumed (KrSegmentWriter *writer)
{
  KrWriterEvent event = {.kind = KR_WRITER_DISK_RECOVERED,
                         .location = kr_atomic_file_path (writer->file)};

  writer->resuming = FALSE;
  pthread_mutex_lock (&writer->lock);
  writer->stats.disk_full = FALSE;
  pthread_mutex_unlock (&writer->lock);
  event.outage_ns = (guint64)(writer->now_us - writer->hold_since_us) * 1000;
  event.dropped_bytes = writer->stats.dropped;
  event.free_bytes = writer->stats.free_bytes;
  kr_segment_writer_emit (writer, &event);
}

static void
emit_sync_failed (KrSegmentWriter *writer, const KrIoError *error, guint64 start)
{
  const char *path = kr_atomic_file_path (writer->file);
  g_autofree char *text = kr_io_error_text (error, path);
  KrWriterEvent event = {.kind = KR_WRITER_SYNC_FAILED,
                         .location = path,
                         .error = *error,
                         .text = text,
                         .durable_bytes = writer->segment.durable,
                         .lost_bytes = start - writer->segment.durable};

  kr_segment_writer_emit (writer, &event);
}

/* The first byte of the segment that must be, and can be, written again. */
static gint64
held_start (KrSegmentWriter *writer)
{
  const KrSlice *head = kr_byte_pipe_head (writer->pipe);
  const KrOpenSegment *segment = &writer->segment;
  gint64 oldest = (gint64)segment->position;
  gint64 excess;

  if (head->consumed > 0 && head->position != KR_NOT_KEPT)
    oldest = head->position;
  if (writer->kept_first != NULL)
    oldest = writer->kept_first->position;
  /* A slice ends anywhere; the new file begins with a whole packet. */
  excess = (oldest - (gint64)segment->grid) % (gint64)segment->packet;
  if (excess > 0)
    oldest += (gint64)segment->packet - excess;
  return CLAMP (oldest, (gint64)segment->durable, (gint64)segment->position);
}

/* Collects the bytes from @start on of the segment that are still in memory. */
static GArray *
held_bytes (KrSegmentWriter *writer, gint64 start)
{
  GArray *iov = g_array_new (FALSE, FALSE, sizeof (struct iovec));
  KrSlice *head = kr_byte_pipe_head (writer->pipe);
  KrSlice *slice = writer->kept_first != NULL ? writer->kept_first : head;

  while (slice != NULL) {
    if (slice->consumed > 0 && slice->position != KR_NOT_KEPT &&
        slice->position + (gint64)slice->consumed > start) {
      gsize skip = start > slice->position ? (gsize)(start - slice->position) : 0;
      struct iovec part = {.iov_base = slice->data + skip, .iov_len = slice->consumed - skip};

      g_array_append_val (iov, part);
    }
    slice = slice == head ? NULL : slice->kept_next != NULL ? slice->kept_next : head;
  }
  return iov;
}

/* Writes header and held bytes into the file just opened, and syncs. */
static gboolean
write_again (KrSegmentWriter *writer, GArray *held, KrIoError *ret_error)
{
  KrOpenSegment *segment = &writer->segment;
  gsize size = 0, written = 0;

  if (kr_open_segment_header_size (segment) > 0) {
    struct iovec iov = {.iov_base = (gpointer)g_bytes_get_data (segment->header, &size)};

    iov.iov_len = size;
    if (!kr_atomic_file_write (writer->file, 0, &iov, 1, &written, NULL, ret_error))
      return FALSE;
  }
  if (!kr_atomic_file_write (writer->file, size, (struct iovec *)held->data, held->len,
                             &written, NULL, ret_error) ||
      !kr_atomic_file_sync (writer->file, ret_error))
    return FALSE;
  segment->position = segment->durable = size + written;
  segment->data = segment->synced_data = written;
  segment->grid = size % segment->packet;
  return TRUE;
}

/* Everything from the old file's @start on is in the new one, and synced: only now may the old
 * one give it up. */
static void
close_replaced (KrSegmentWriter *writer, KrAtomicFile *old, const KrOpenSegment *segment,
                gint64 start)
{
  g_autofree char *path = NULL;
  KrIoError error = {0};
  KrFinaliseResult result;
  KrWriterEvent event = {
      .kind = KR_WRITER_CLOSED, .reason = KR_REASON_ERROR, .utc_end_us = g_get_real_time ()};
  gboolean empty = (guint64)start <= segment->position - segment->data;

  if (kr_atomic_file_truncate (old, empty ? 0 : (guint64)start, &error) && empty) {
    kr_atomic_file_discard (old);
    return;
  }
  event.bytes = kr_atomic_file_size (old);
  event.first_pts = segment->first_pts;
  event.last_pts = segment->last_pts;
  event.running_time = segment->running_time;
  event.utc_start_us = segment->utc_us;
  event.seq = segment->seq;
  result = kr_atomic_file_finalise (old, FALSE, &path);
  event.location = path;
  if (!result.renamed)
    return;
  pthread_mutex_lock (&writer->lock);
  writer->stats.segments++;
  pthread_mutex_unlock (&writer->lock);
  writer->func (&event, writer->user_data);
}

/* The new file could not take it either. The old one keeps all that it has. */
static void
back_to_old (KrSegmentWriter *writer, KrAtomicFile *old, const KrOpenSegment *segment)
{
  KrIoError error;

  if (writer->file != NULL) {
    if (kr_atomic_file_truncate (writer->file, 0, &error))
      kr_atomic_file_discard (writer->file);
    else
      kr_atomic_file_abandon (writer->file);
  }
  writer->file = old;
  writer->segment = *segment;
}

/* Ends the open file as it is, without calling it durable. */
static gboolean
end_unsynced (KrSegmentWriter *writer, const KrIoError *error)
{
  g_autofree char *path = g_strdup (kr_atomic_file_path (writer->file));
  gboolean full = kr_io_error_class (error) == KR_IO_FULL;

  if (!kr_segment_writer_discard_empty (writer))
    kr_segment_writer_finalise (writer, full ? KR_REASON_DISK_FULL : KR_REASON_ERROR, FALSE,
                                g_get_real_time ());
  if (!full)
    kr_segment_writer_fail (writer, error, kr_io_error_text (error, path));
  else if (!writer->holding)
    kr_segment_writer_hold (writer, error);
  return FALSE;
}

static void
account_replaced (KrSegmentWriter *writer, guint64 rescued)
{
  pthread_mutex_lock (&writer->lock);
  writer->stats.durable += rescued;
  writer->stats.segment_bytes = writer->stats.segment_durable = writer->segment.position;
  writer->stats.oldest_dirty_us = 0;
  pthread_mutex_unlock (&writer->lock);
}

/**
 * kr_segment_writer_replace:
 * @error: a failed sync, or a write that failed for other reasons than space
 *
 * A failed sync is not asked again: the kernel has marked the pages clean and would say yes
 * (fsyncgate, 2018). What is still in memory goes into a new file, on other blocks; what is not
 * is reported as lost. The old file is cut where the new one begins, so that together they are
 * the stream, but only once the new one is synced.
 *
 * Returns: TRUE if writer->file is a new file now, synced
 */
gboolean
kr_segment_writer_replace (KrSegmentWriter *writer, const KrIoError *error)
{
  KrSlice *head = kr_byte_pipe_head (writer->pipe);
  KrAtomicFile *old = writer->file;
  KrOpenSegment segment = writer->segment;
  gint64 start = held_start (writer);
  g_autoptr (GArray) held = NULL;
  KrIoError new_error = *error;
  guint64 rescued = segment.position - (guint64)start;

  emit_sync_failed (writer, error, (guint64)start);
  if (kr_io_error_class (error) == KR_IO_FULL || kr_segment_writer_may_rewrite (writer) ||
      ++writer->replaced > MAX_REPLACED)
    return end_unsynced (writer, error);
  segment.write_header = writer->segment.write_header = TRUE;
  if (rescued == 0) {
    /* Nothing to write again: the next bytes open the next file. */
    if (!kr_segment_writer_discard_empty (writer))
      kr_segment_writer_finalise (writer, KR_REASON_ERROR, FALSE, g_get_real_time ());
    return FALSE;
  }
  held = held_bytes (writer, start);
  writer->file = NULL;
  writer->segment.utc_us = g_get_real_time ();
  if (!kr_segment_writer_open (writer, &new_error) || !write_again (writer, held, &new_error)) {
    back_to_old (writer, old, &segment);
    return end_unsynced (writer, &new_error);
  }
  close_replaced (writer, old, &segment, start);
  kr_segment_writer_release_kept (writer);
  if (head->consumed > 0 && head->position != KR_NOT_KEPT)
    head->position = (gint64)writer->segment.position - (gint64)head->consumed;
  account_replaced (writer, rescued);
  return TRUE;
}
