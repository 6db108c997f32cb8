/* keeprolling - atomicfilesink's messages and statistics
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "plugins/common/recovery.h"
#include "plugins/common/segment-writer.h"

G_BEGIN_DECLS

/* What recovery did; counted on the recovery and I/O threads, atomic. */
typedef struct {
  gint finalised, quarantined;
} KrRecoveryCounts;

void kr_recovery_counts_reset (KrRecoveryCounts *counts);
/* @action: a name of kr_recovery_action_name() */
void kr_recovery_counts_add (KrRecoveryCounts *counts, const char *action);

/* What the streaming side knows. */
typedef struct {
  guint64 received;
  guint64 dropped_bytes, dropped_buffers; /* by overflow */
  const KrRecoveryCounts *recovered;
} KrSinkCounts;

/* The message for an event, or NULL if it has none (transfer full). */
GstStructure *kr_atomic_file_sink_message (const KrWriterEvent *event, const char *instance);
GstStructure *kr_atomic_file_sink_recovered (const KrRecovered *recovered);
GstStructure *kr_atomic_file_sink_stats (const KrWriterStats *stats, const KrSinkCounts *counts,
                                         gboolean running);

G_END_DECLS
