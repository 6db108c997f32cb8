/* keeprolling - the I/O thread: from a pipe of bytes to durable segments
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-writer-private.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "plugins/common/messages.h"
#include "plugins/common/mpegts-psi.h"

/* Slices in one pwritev(). */
#define MAX_IOV 32
/* Write-back in smaller pieces than this costs the disk more than it evens out. */
#define MIN_WRITEBACK (256 * 1024)
#define WRITEBACK_US  G_USEC_PER_SEC
/* The end of a file in which the last PAT and PMT are looked for: they come every 100 ms. */
#define COUNTERS_WINDOW (1024 * 1024)

void
kr_segment_writer_emit (KrSegmentWriter *writer, KrWriterEvent *event)
{
  const KrOpenSegment *segment = &writer->segment;

  event->first_pts = segment->first_pts;
  event->last_pts = segment->last_pts;
  event->running_time = segment->running_time;
  event->utc_start_us = segment->utc_us;
  event->seq = segment->seq;
  writer->func (event, writer->user_data);
}

/* Takes @text. */
void
kr_segment_writer_fail (KrSegmentWriter *writer, const KrIoError *error, char *text)
{
  KrWriterEvent event = {.kind = KR_WRITER_FATAL, .error = *error, .text = text};

  if (!atomic_exchange (&writer->failed, TRUE))
    kr_segment_writer_emit (writer, &event);
  g_free (text);
}

/* Whether the file is whole only with an end that has not come yet. A muxer that asks whether
 * it can seek may do so; one that writes MPEG-TS will not. */
gboolean
kr_segment_writer_may_rewrite (KrSegmentWriter *writer)
{
  return writer->rewritten ||
         (atomic_load (&writer->rewrites) && writer->segment.packet != KR_TS_PACKET_SIZE);
}

void
kr_segment_writer_release_kept (KrSegmentWriter *writer)
{
  while (writer->kept_first != NULL) {
    KrSlice *slice = writer->kept_first;

    writer->kept_first = slice->kept_next;
    slice->kept_next = NULL;
    kr_byte_pipe_recycle (writer->pipe, slice);
  }
  writer->kept_last = NULL;
  writer->kept_bytes = 0;
}

/* A written slice stays in memory until it is synced, within bounds. Without regular syncs that
 * would hold the last part of a file that is lost as a whole: then it is not worth the cache.
 */
static void
keep_slice (KrSegmentWriter *writer, KrSlice *slice)
{
  if (writer->config.sync_interval_us == 0 || writer->file == NULL || slice->consumed == 0 ||
      slice->position == KR_NOT_KEPT || kr_segment_writer_may_rewrite (writer)) {
    kr_byte_pipe_recycle (writer->pipe, slice);
    return;
  }
  slice->kept_next = NULL;
  if (writer->kept_last != NULL)
    writer->kept_last->kept_next = slice;
  else
    writer->kept_first = slice;
  writer->kept_last = slice;
  writer->kept_bytes += slice->capacity;
  while (writer->kept_bytes > 2 * writer->config.buffer_size &&
         writer->kept_first != writer->kept_last) {
    KrSlice *oldest = writer->kept_first;

    writer->kept_first = oldest->kept_next;
    writer->kept_bytes -= oldest->capacity;
    oldest->kept_next = NULL;
    kr_byte_pipe_recycle (writer->pipe, oldest);
  }
}

/* Whether the stream's own first bytes are the header: then it must not stand there twice.
 * Returns FALSE while too few bytes are there to tell. */
static gboolean
decide_header (KrSegmentWriter *writer, const KrSlice *slice, gsize available, gboolean final)
{
  KrOpenSegment *segment = &writer->segment;
  gsize size = 0;
  const guint8 *header;

  if (segment->header_decided)
    return TRUE;
  segment->write_header = segment->header != NULL;
  if (segment->header != NULL) {
    header = g_bytes_get_data (segment->caps_header, &size);
    if (memcmp (header, slice->data, MIN (size, available)) == 0) {
      if (available < size && !final)
        return FALSE;
      segment->write_header = available < size;
    }
  }
  segment->header_decided = TRUE;
  return TRUE;
}

/* MPEG-TS is flushed, and cut when the disk is full, on packet boundaries. */
static void
sniff_packets (KrSegmentWriter *writer, const guint8 *data, gsize available)
{
  KrOpenSegment *segment = &writer->segment;

  segment->packet = KR_TS_PACKET_SIZE;
  for (gsize at = 0; at < MIN (available, 4 * KR_TS_PACKET_SIZE); at += KR_TS_PACKET_SIZE) {
    if (data[at] != KR_TS_SYNC_BYTE)
      segment->packet = 1;
  }
}

static guint
gather (KrSegmentWriter *writer, struct iovec *iov, gsize *ret_total, gboolean *ret_final)
{
  guint n = 0;
  gsize total = 0;
  KrSlice *slice = kr_byte_pipe_head (writer->pipe);

  *ret_final = FALSE;
  while (slice != NULL && n < MAX_IOV) {
    /* next first: once it is there, filled is final. */
    KrSlice *next = atomic_load_explicit (&slice->next, memory_order_acquire);
    gsize filled = atomic_load_explicit (&slice->filled, memory_order_acquire);

    if (n > 0 && slice->mark.kind != KR_MARK_NONE) {
      *ret_final = TRUE;
      break;
    }
    if (filled > slice->consumed) {
      iov[n++] = (struct iovec){.iov_base = slice->data + slice->consumed,
                                .iov_len = filled - slice->consumed};
      total += filled - slice->consumed;
    }
    slice = next;
  }
  *ret_total = total;
  return n;
}

static guint
shorten (struct iovec *iov, guint n, gsize excess)
{
  while (n > 0 && excess > 0) {
    gsize cut = MIN (excess, iov[n - 1].iov_len);

    iov[n - 1].iov_len -= cut;
    excess -= cut;
    if (iov[n - 1].iov_len == 0)
      n--;
  }
  return n;
}

/* Drops the head if it is sealed and read to its end. */
static gboolean
pop_consumed (KrSegmentWriter *writer)
{
  KrSlice *slice = kr_byte_pipe_head (writer->pipe);
  KrSlice *next = atomic_load_explicit (&slice->next, memory_order_acquire);

  if (next == NULL ||
      slice->consumed < atomic_load_explicit (&slice->filled, memory_order_acquire))
    return FALSE;
  keep_slice (writer, kr_byte_pipe_take_head (writer->pipe));
  return TRUE;
}

/* Moves the read position by @n bytes that are there. */
static void
consume (KrSegmentWriter *writer, gsize n, gboolean written)
{
  KrOpenSegment *segment = &writer->segment;

  while (n > 0) {
    KrSlice *slice = kr_byte_pipe_head (writer->pipe);
    gsize filled = atomic_load_explicit (&slice->filled, memory_order_acquire);
    gsize part = MIN (n, filled - slice->consumed);

    slice->consumed += part;
    n -= part;
    if (written) {
      segment->position += part;
      segment->data += part;
      segment->last_pts = atomic_load_explicit (&slice->last_pts, memory_order_relaxed);
      slice->position = (gint64)segment->position - (gint64)slice->consumed;
    } else {
      /* Nothing of it will have to be written again. */
      slice->position = KR_NOT_KEPT;
    }
    pop_consumed (writer);
  }
}

static void
account_write (KrSegmentWriter *writer, gsize n, guint calls, gboolean ok)
{
  pthread_mutex_lock (&writer->lock);
  writer->stats.written += n;
  writer->stats.write_calls += calls;
  writer->stats.io_errors += ok ? 0 : 1;
  writer->stats.segment_bytes = kr_atomic_file_size (writer->file);
  if (n > 0 && writer->stats.oldest_dirty_us == 0)
    writer->stats.oldest_dirty_us = writer->stats.looked_us;
  pthread_mutex_unlock (&writer->lock);
}

static gboolean
write_header (KrSegmentWriter *writer, KrIoError *ret_error)
{
  KrOpenSegment *segment = &writer->segment;
  struct iovec iov;
  gsize written, size;
  guint calls = 0;
  gboolean ok;

  segment->grid = kr_open_segment_header_size (segment) % segment->packet;
  if (kr_open_segment_header_size (segment) == 0)
    return TRUE;
  iov.iov_base = (gpointer)g_bytes_get_data (segment->header, &size);
  iov.iov_len = size;
  ok = kr_atomic_file_write (writer->file, 0, &iov, 1, &written, &calls, ret_error);
  segment->position = written;
  account_write (writer, 0, calls, ok);
  return ok;
}

/* Called with data at the head and no file. */
static gboolean
begin_file (KrSegmentWriter *writer)
{
  KrIoError error = {0};

  if (!kr_segment_writer_open (writer, &error)) {
    if (kr_io_error_class (&error) == KR_IO_FULL) {
      kr_segment_writer_hold (writer, &error);
    } else {
      kr_segment_writer_fail (writer, &error, kr_io_error_text (&error, writer->last_path));
    }
    return FALSE;
  }
  if (write_header (writer, &error))
    return TRUE;
  if (kr_io_error_class (&error) == KR_IO_FULL)
    kr_segment_writer_hold (writer, &error);
  else
    kr_segment_writer_replace (writer, &error);
  return FALSE;
}

/* Writes what has come, as far as it can be. Returns FALSE when there is nothing more to do. */
static gboolean
write_some (KrSegmentWriter *writer, gboolean stopping)
{
  KrOpenSegment *segment = &writer->segment;
  KrSlice *head = kr_byte_pipe_head (writer->pipe);
  struct iovec iov[MAX_IOV];
  gsize total, written = 0;
  gboolean final, ok;
  guint calls = 0, n = gather (writer, iov, &total, &final);
  KrIoError error = {0};

  final |= stopping;
  if (total == 0)
    return FALSE;
  if (writer->holding || kr_segment_writer_has_failed (writer)) {
    consume (writer, total, FALSE);
    kr_segment_writer_drop (writer, total);
    return TRUE;
  }
  if (writer->file == NULL) {
    /* When it goes on in another file, the slice does not begin with the segment. */
    if (!decide_header (writer, head, iov[0].iov_len, final || n > 1))
      return FALSE;
    if (segment->data == 0)
      sniff_packets (writer, iov[0].iov_base, iov[0].iov_len);
    begin_file (writer);
    return TRUE;
  }
  if (!final)
    n = shorten (iov, n,
                 MIN (total, (segment->position + total - segment->grid) % segment->packet));
  if (n == 0)
    return FALSE;
  if (!kr_segment_writer_has_space (writer))
    return TRUE;
  ok = kr_atomic_file_write (writer->file, segment->position, iov, n, &written, &calls, &error);
  consume (writer, written, TRUE);
  account_write (writer, written, calls, ok);
  if (ok)
    return TRUE;
  if (kr_io_error_class (&error) == KR_IO_FULL)
    kr_segment_writer_hold (writer, &error);
  else
    kr_segment_writer_replace (writer, &error);
  return TRUE;
}

/* PAT and PMT that are repeated at the beginning of a file get the continuity counters that
 * make what follows them go on. The end of the file before, which is in the page cache, tells
 * them. Called before it is closed. */
static GBytes *
fit_counters (KrSegmentWriter *writer, GBytes *header)
{
  const KrOpenSegment *segment = &writer->segment;
  guint64 start = segment->position > COUNTERS_WINDOW ? segment->position - COUNTERS_WINDOW : 0;
  g_autofree guint8 *before = NULL;
  const guint8 *data;
  guint8 *fitting;
  gsize size;
  gssize n;

  if (header == NULL || writer->file == NULL || segment->packet != KR_TS_PACKET_SIZE ||
      kr_segment_writer_may_rewrite (writer))
    return header != NULL ? g_bytes_ref (header) : NULL;
  start += (segment->position - start) % KR_TS_PACKET_SIZE;
  before = g_malloc (COUNTERS_WINDOW);
  n = pread (kr_atomic_file_fd (writer->file), before, segment->position - start, (off_t)start);
  data = g_bytes_get_data (header, &size);
  fitting = g_memdup2 (data, size);
  if (n > 0)
    kr_ts_continue_counters (fitting, size, before, (gsize)n);
  return g_bytes_new_take (fitting, size);
}

static void
clear_headers (KrOpenSegment *segment)
{
  g_clear_pointer (&segment->header, g_bytes_unref);
  g_clear_pointer (&segment->caps_header, g_bytes_unref);
}

static void
begin_segment (KrSegmentWriter *writer, KrMark *mark, GBytes *header)
{
  KrOpenSegment *segment = &writer->segment;

  clear_headers (segment);
  *segment = (KrOpenSegment){.header = header,
                             .caps_header = g_steal_pointer (&mark->header),
                             .first_pts = mark->first_pts,
                             .last_pts = mark->first_pts,
                             .running_time = mark->running_time,
                             .utc_us = mark->utc_us,
                             .packet = 1};
  if (writer->holding)
    kr_segment_writer_resume (writer);
}

static void
do_mark (KrSegmentWriter *writer, KrMark *mark)
{
  GBytes *header;

  switch (mark->kind) {
  case KR_MARK_NONE:
    break;
  case KR_MARK_CUT:
    header = fit_counters (writer, mark->header);
    if (writer->file != NULL)
      kr_segment_writer_close (writer, mark->reason, mark->utc_us);
    begin_segment (writer, mark, header);
    break;
  case KR_MARK_SEEK:
    writer->rewritten = TRUE;
    writer->segment.packet = 1;
    writer->segment.position = mark->offset + kr_open_segment_header_size (&writer->segment);
    break;
  case KR_MARK_FINISH:
    kr_segment_writer_close (writer, mark->reason, mark->utc_us);
    kr_byte_pipe_finished (writer->pipe);
    break;
  }
}

static void
drain (KrSegmentWriter *writer, gboolean stopping)
{
  do {
    KrSlice *head = kr_byte_pipe_head (writer->pipe);

    if (!head->mark_done) {
      head->mark_done = TRUE;
      do_mark (writer, &head->mark);
    }
  } while (pop_consumed (writer) || write_some (writer, stopping));
}

/* Once a second and not with each flush, which at full speed would cost a fifth of the CPU. */
static void
start_writeback_if_due (KrSegmentWriter *writer)
{
  KrOpenSegment *segment = &writer->segment;

  if (writer->config.sync_interval_us == 0 || writer->file == NULL ||
      writer->now_us - writer->writeback_us < WRITEBACK_US ||
      segment->position < segment->started + MIN_WRITEBACK)
    return;
  kr_atomic_file_start_writeback (writer->file, segment->started,
                                  segment->position - segment->started);
  segment->started = segment->position;
  writer->writeback_us = writer->now_us;
}

static void
sync_if_due (KrSegmentWriter *writer)
{
  KrIoError error = {0};
  guint64 before;

  if (writer->config.sync_interval_us == 0 || writer->file == NULL ||
      writer->segment.data == writer->segment.synced_data)
    return;
  if (writer->now_us - writer->last_sync_us < writer->config.sync_interval_us)
    return;
  before = writer->segment.durable;
  if (!kr_segment_writer_sync (writer, &error)) {
    kr_segment_writer_replace (writer, &error);
    return;
  }
  /* The last interval stays: somebody may watch what is being recorded. */
  if (before > writer->segment.uncached && !kr_segment_writer_may_rewrite (writer)) {
    kr_atomic_file_drop_cache (writer->file, writer->segment.uncached,
                               before - writer->segment.uncached);
    writer->segment.uncached = before;
  }
}

void
kr_segment_writer_turn (KrSegmentWriter *writer, gint64 now_us, gboolean stopping)
{
  writer->now_us = now_us;
  pthread_mutex_lock (&writer->lock);
  writer->stats.turn_us = now_us;
  pthread_mutex_unlock (&writer->lock);
  kr_segment_writer_check_hold (writer);
  drain (writer, stopping);
  writer->last_flush_us = now_us;
  kr_segment_writer_update_space (writer, FALSE);
  pthread_mutex_lock (&writer->lock);
  writer->stats.looked_us = now_us;
  pthread_mutex_unlock (&writer->lock);
  start_writeback_if_due (writer);
  sync_if_due (writer);
  if (stopping)
    kr_segment_writer_close (writer, KR_REASON_RESTART, g_get_real_time ());
}

static gpointer
thread_main (gpointer data)
{
  KrSegmentWriter *writer = data;
  gboolean going_on = TRUE;
  sigset_t all;

  /* Signals are the application's, on its own threads. SIGXFSZ above all: blocked here, a file
   * size limit is an EFBIG like any other full disk. */
  sigfillset (&all);
  pthread_sigmask (SIG_BLOCK, &all, NULL);
  while (going_on) {
    gint64 now = g_get_monotonic_time ();

    going_on = kr_byte_pipe_wait (writer->pipe, now + writer->config.flush_interval_us);
    kr_segment_writer_turn (writer, g_get_monotonic_time (), !going_on);
  }
  return NULL;
}

/**
 * kr_segment_writer_new:
 * @config: copied, but for the template
 * @pipe: where the bytes come from; must outlive the writer
 * @func: told on the I/O thread about everything that happens
 */
KrSegmentWriter *
kr_segment_writer_new (const KrWriterConfig *config, KrBytePipe *pipe, KrWriterFunc func,
                       gpointer user_data)
{
  KrSegmentWriter *writer = g_new0 (KrSegmentWriter, 1);
  gint64 now = g_get_monotonic_time ();

  writer->config = *config;
  writer->instance = g_strdup (config->instance);
  writer->hostname = g_strdup (config->hostname);
  writer->pipe = pipe;
  writer->func = func;
  writer->user_data = user_data;
  writer->segment.packet = 1;
  writer->now_us = writer->last_flush_us = writer->last_sync_us = now;
  writer->runway.at_us = now;
  writer->writeback_us = now;
  writer->stats.turn_us = writer->stats.looked_us = now;
  writer->stats.runway_s = -1;
  pthread_mutex_init (&writer->lock, NULL);
  return writer;
}

void
kr_segment_writer_start (KrSegmentWriter *writer, const char *thread_name)
{
  writer->thread = g_thread_new (thread_name, thread_main, writer);
}

void
kr_segment_writer_stop (KrSegmentWriter *writer)
{
  kr_byte_pipe_wake (writer->pipe, TRUE);
  g_clear_pointer (&writer->thread, g_thread_join);
}

void
kr_segment_writer_free (KrSegmentWriter *writer)
{
  if (writer == NULL)
    return;
  g_assert (writer->thread == NULL);
  kr_segment_writer_release_kept (writer);
  if (writer->file != NULL)
    kr_atomic_file_abandon (writer->file);
  clear_headers (&writer->segment);
  pthread_mutex_destroy (&writer->lock);
  kr_writer_stats_clear (&writer->stats);
  g_free (writer->last_path);
  g_free (writer->instance);
  g_free (writer->hostname);
  g_free (writer);
}

void
kr_segment_writer_set_rewrites (KrSegmentWriter *writer)
{
  atomic_store (&writer->rewrites, TRUE);
}

gboolean
kr_segment_writer_has_failed (KrSegmentWriter *writer)
{
  return atomic_load_explicit (&writer->failed, memory_order_relaxed);
}

gboolean
kr_segment_writer_wants_cut (KrSegmentWriter *writer)
{
  return atomic_load_explicit (&writer->wants_cut, memory_order_relaxed);
}

gboolean
kr_segment_writer_take_cut (KrSegmentWriter *writer)
{
  return kr_segment_writer_wants_cut (writer) && atomic_exchange (&writer->wants_cut, FALSE);
}

void
kr_segment_writer_get_stats (KrSegmentWriter *writer, KrWriterStats *ret_stats)
{
  pthread_mutex_lock (&writer->lock);
  *ret_stats = writer->stats;
  ret_stats->location = g_strdup (writer->stats.location);
  pthread_mutex_unlock (&writer->lock);
}

void
kr_writer_stats_clear (KrWriterStats *stats)
{
  g_clear_pointer (&stats->location, g_free);
}
