/* keeprolling - atomicfilesink, for its own files
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/atomicfilesink-report.h"
#include "plugins/atomicfilesink.h"
#include "plugins/common/byte-pipe.h"
#include "plugins/common/recovery.h"
#include "plugins/common/segment-cutter.h"
#include "plugins/common/segment-name.h"
#include "plugins/common/segment-writer.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (kr_atomic_file_sink_debug);

#define KR_CUT_HINT                                                                            \
  "cut MPEG-TS or Matroska (matroskamux streamable=true), or use splitmuxsink "                \
  "sink=atomicfilesink instead of max-size-time and max-size-bytes"

typedef enum {
  KR_OVERFLOW_BLOCK,
  KR_OVERFLOW_DROP,
} KrOverflow;

typedef enum {
  KR_DISK_FULL_HOLD,
  KR_DISK_FULL_ERROR,
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
} KrFileSinkSettings;

struct _KrAtomicFileSink {
  GstBaseSink parent;

  KrFileSinkSettings settings;

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

/* atomicfilesink-properties.c */
void kr_file_sink_settings_init (KrFileSinkSettings *settings);
void kr_file_sink_settings_clear (KrFileSinkSettings *settings);
void kr_atomic_file_sink_set_property (GObject *object, guint id, const GValue *value,
                                       GParamSpec *pspec);
void kr_atomic_file_sink_get_property (GObject *object, guint id, GValue *value,
                                       GParamSpec *pspec);
void kr_atomic_file_sink_install_properties (GObjectClass *klass);

/* atomicfilesink-run.c: from PAUSED to READY. Called on the thread that changes the state. */
/* FALSE: the reason is on the bus and nothing is running. */
gboolean kr_atomic_file_sink_begin_run (KrAtomicFileSink *self);
/* Writes and finalises what there is, without EOS. */
void kr_atomic_file_sink_end_run (KrAtomicFileSink *self);

/* atomicfilesink-events.c */
/* FALSE: refused, and the base class must not see it. @event stays the caller's. */
gboolean kr_atomic_file_sink_take_event (KrAtomicFileSink *self, GstEvent *event);
/* FALSE: the base class answers. */
gboolean kr_atomic_file_sink_answer_query (KrAtomicFileSink *self, GstQuery *query);

G_END_DECLS
