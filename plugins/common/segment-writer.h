/* keeprolling - the I/O thread: from a pipe of bytes to durable segments
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "plugins/common/atomic-file.h"
#include "plugins/common/byte-pipe.h"
#include "plugins/common/histogram.h"
#include "plugins/common/segment-name.h"

G_BEGIN_DECLS

/* Consumes a KrBytePipe on a thread of its own. It flushes by size and by timer, syncs, cuts,
 * holds while the disk is full, and starts a new file when a sync fails. GStreamer-free, so
 * that the fault ladder and the power-loss simulation can drive it alone. */

typedef struct {
  const KrSegmentTemplate *tmpl; /* must outlive the writer */
  const char *instance;
  const char *hostname;
  KrOnExists on_exists;
  guint64 buffer_size;      /* flush when that much waits */
  gint64 flush_interval_us; /* ... or after that time */
  gint64 sync_interval_us;  /* 0 = only at close */
  guint64 min_free;
  gboolean hold_on_full;  /* else a full disk is fatal */
  gboolean recover_names; /* a dead instance's leftover in the way is finalised first */
} KrWriterConfig;

typedef enum {
  KR_WRITER_OPENED,
  KR_WRITER_CLOSED,
  KR_WRITER_DISK_FULL,
  KR_WRITER_DISK_RECOVERED,
  KR_WRITER_SYNC_FAILED,
  KR_WRITER_RECOVERED,  /* a leftover was in the way */
  KR_WRITER_INCOMPLETE, /* stopped without EOS: a format that needs its end keeps its temp name
                         */
  KR_WRITER_FATAL,      /* nothing more will be written */
} KrWriterEventKind;

/* Borrowed by the callback. Fields as in messages.h; those that do not apply are 0. */
typedef struct {
  KrWriterEventKind kind;
  const char *location;
  const char *temp_location;
  const char *reason;
  const char *text; /* for people: of errors and incomplete files */
  guint seq;
  guint64 bytes, first_pts, last_pts, running_time;
  gint64 utc_start_us, utc_end_us;
  gboolean durable;
  KrIoError error;
  guint64 free_bytes, dropped_bytes, durable_bytes, lost_bytes, outage_ns;
} KrWriterEvent;

/* Called on the writer's thread. */
typedef void (*KrWriterFunc) (const KrWriterEvent *event, gpointer user_data);

typedef struct {
  guint64 written, durable, dropped; /* of the stream; repeated headers do not count */
  guint64 segments, write_calls, sync_calls, sync_errors, io_errors;
  guint64 sync_us_sum, sync_us_max, finalise_us_sum, finalise_us_max;
  KrHistogram syncs, finalises;
  gint64 last_sync_utc_us;
  gint64 turn_us;         /* monotonic: the thread's last round */
  gint64 looked_us;       /* monotonic: everything that had come by then is written */
  gint64 oldest_dirty_us; /* monotonic: upper bound of the age of unsynced bytes; 0 = none */
  char *location;         /* NULL = no segment is open */
  guint64 segment_bytes, segment_durable;
  gint64 segment_utc_us;
  gboolean disk_full;
  guint64 free_bytes;
  double runway_s; /* < 0 = unknown */
} KrWriterStats;

typedef struct _KrSegmentWriter KrSegmentWriter;

KrSegmentWriter *kr_segment_writer_new (const KrWriterConfig *config, KrBytePipe *pipe,
                                        KrWriterFunc func, gpointer user_data);
void kr_segment_writer_start (KrSegmentWriter *writer, const char *thread_name);
/* Writes what is in the pipe, finalises the open segment and ends the thread. */
void kr_segment_writer_stop (KrSegmentWriter *writer);
void kr_segment_writer_free (KrSegmentWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrSegmentWriter, kr_segment_writer_free)

/* Any thread. The muxer will seek back to rewrite its header: no part of the file is complete
 * without the rest, so it can neither be cut nor continued elsewhere. */
void kr_segment_writer_set_rewrites (KrSegmentWriter *writer);
/* Any thread, cheap. TRUE: nothing more will be written. */
gboolean kr_segment_writer_has_failed (KrSegmentWriter *writer);
/* Any thread, cheap. TRUE: put a CUT mark before the next buffer that can begin a segment. */
gboolean kr_segment_writer_wants_cut (KrSegmentWriter *writer);
/* The same, once for each time that it is wanted: when the disk is slow the next keyframe comes
 * before it is known that there was a cut. */
gboolean kr_segment_writer_take_cut (KrSegmentWriter *writer);
/* Any thread. kr_writer_stats_clear() the copy. */
void kr_segment_writer_get_stats (KrSegmentWriter *writer, KrWriterStats *ret_stats);
void kr_writer_stats_clear (KrWriterStats *stats);

/* One round of the thread, for tests: @now_us is monotonic. */
void kr_segment_writer_turn (KrSegmentWriter *writer, gint64 now_us, gboolean stopping);

G_END_DECLS
