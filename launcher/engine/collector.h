/* keeprolling - gathers what the elements tell into a pipeline's report
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "launcher/core/report.h"
#include "launcher/core/worker-event.h"

G_BEGIN_DECLS

/* Lives as long as the pipeline's runner, so that counters go on when the pipeline is rebuilt.
 * Main thread only. */
typedef struct _KrCollector KrCollector;

/* @details: (nullable): a floating a{sv} */
typedef void (*KrCollectorFunc) (KrWorkerEventKind kind, const char *text, GVariant *details,
                                 gpointer data);

KrCollector *kr_collector_new (const char *name, const char *camera, KrCollectorFunc func,
                               gpointer data);
void kr_collector_free (KrCollector *collector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrCollector, kr_collector_free)

/* A new pipeline is there: find the elements that have something to tell. */
void kr_collector_attach (KrCollector *collector, GstBin *pipeline);
/* The pipeline is about to go: take its last numbers. */
void kr_collector_detach (KrCollector *collector);

/* A GST_MESSAGE_ELEMENT from the bus. */
void kr_collector_take (KrCollector *collector, GstMessage *message);

/* The statistics of one srtsrc. */
void kr_collector_add_srt (GArray *values, GstElement *srtsrc);

/* Why the file does not grow although data should come: one of KR_STALL_*, NULL if it does. */
const char *kr_collector_get_stall (KrCollector *collector);

/* (nullable): what a source delivers instead of a transport stream, one line for people; then
 * the stall is KR_STALL_NOT_TS. */
const char *kr_collector_get_alien (KrCollector *collector);

/* Whether @warning says what an element message of the same element has said already. */
gboolean kr_collector_has_told (KrCollector *collector, GstMessage *warning);

/**
 * kr_collector_report:
 *
 * Asks the elements for their present numbers.
 *
 * Returns: (transfer none): good until the next call; the fields of layer 1 are the runner's
 *   to fill in
 */
KrPipelineReport *kr_collector_report (KrCollector *collector);

/* Microseconds since the slowest I/O thread made its last round; -1 if there is none. */
gint64 kr_collector_get_io_age (KrCollector *collector);

G_END_DECLS
