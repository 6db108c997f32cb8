/* keeprolling - the I/O thread's state, shared by its source files
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "plugins/common/disk-runway.h"
#include "plugins/common/segment-writer.h"

/* KrSlice.position of bytes that were dropped. */
#define KR_NOT_KEPT G_MAXINT64

/* The open segment, or the one that opens with the next byte. */
typedef struct {
  GBytes *header;      /* to stand at its beginning; NULL = none */
  GBytes *caps_header; /* as it came, before its counters were made to fit */
  gboolean header_decided;
  gboolean write_header; /* the stream does not bring it itself */
  guint64 first_pts, last_pts, running_time;
  gint64 utc_us;
  guint seq;
  guint64 position;    /* where the next byte goes */
  guint64 durable;     /* everything below is synced */
  guint64 data;        /* bytes of the stream in it */
  guint64 started;     /* write-back of all below has begun */
  guint64 uncached;    /* the cache below has been dropped */
  guint64 synced_data; /* of these, synced */
  guint64 packet;      /* KR_TS_PACKET_SIZE, or 1 for anything else */
  guint64 grid;        /* packets begin at this offset */
} KrOpenSegment;

/* Bytes that stand before the stream in each file of the segment. */
static inline gsize
kr_open_segment_header_size (const KrOpenSegment *segment)
{
  return segment->write_header && segment->header != NULL ? g_bytes_get_size (segment->header)
                                                          : 0;
}

struct _KrSegmentWriter {
  KrWriterConfig config;
  char *instance, *hostname;
  KrBytePipe *pipe;
  KrWriterFunc func;
  gpointer user_data;
  GThread *thread;

  KrAtomicFile *file; /* NULL = no file is open */
  KrOpenSegment segment;
  guint next_seq;
  gboolean holding; /* the disk is full: drop until there is room and a keyframe */
  gint64 hold_since_us, hold_checked_us;
  gboolean resuming; /* there is space again, but no file yet */
  char *last_path;   /* of the segment opened last, or tried to */
  /* Written but not yet synced, oldest first: what a failed sync would lose. */
  KrSlice *kept_first, *kept_last;
  guint64 kept_bytes;
  guint replaced; /* files given up since the last good sync */
  gint64 now_us, last_flush_us, last_sync_us;
  gint64 writeback_us; /* of the last start of write-back */
  gint64 space_us;     /* of the last look at the free space */
  KrDiskRunway runway;

  gboolean rewritten; /* a muxer has sought back */
  _Atomic gboolean rewrites, failed, wants_cut;

  pthread_mutex_t lock;
  KrWriterStats stats; /* protected by lock; written by the I/O thread alone */
};

void kr_segment_writer_emit (KrSegmentWriter *writer, KrWriterEvent *event);
void kr_segment_writer_fail (KrSegmentWriter *writer, const KrIoError *error, char *text);
gboolean kr_segment_writer_may_rewrite (KrSegmentWriter *writer);
void kr_segment_writer_release_kept (KrSegmentWriter *writer);

/* segment-writer-file.c */
gboolean kr_segment_writer_open (KrSegmentWriter *writer, KrIoError *ret_error);
gboolean kr_segment_writer_sync (KrSegmentWriter *writer, KrIoError *ret_error);
void kr_segment_writer_close (KrSegmentWriter *writer, const char *reason, gint64 utc_end_us);
void kr_segment_writer_finalise (KrSegmentWriter *writer, const char *reason, gboolean synced,
                                 gint64 utc_end_us);
gboolean kr_segment_writer_discard_empty (KrSegmentWriter *writer);

/* segment-writer-trouble.c */
void kr_segment_writer_hold (KrSegmentWriter *writer, const KrIoError *error);
void kr_segment_writer_check_hold (KrSegmentWriter *writer);
void kr_segment_writer_resume (KrSegmentWriter *writer);
void kr_segment_writer_resumed (KrSegmentWriter *writer);
gboolean kr_segment_writer_replace (KrSegmentWriter *writer, const KrIoError *error);
gboolean kr_segment_writer_has_space (KrSegmentWriter *writer);
void kr_segment_writer_update_space (KrSegmentWriter *writer, gboolean force);
void kr_segment_writer_drop (KrSegmentWriter *writer, guint64 bytes);
