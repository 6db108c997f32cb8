/* keeprolling - brings EOS to every sink, whatever stands in its way
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* EOS is what finishes a file. Sent to the sources it travels with the data, which is right.
 * But a source that is not connected has no pads to send it through, and a demuxer that never
 * saw data has none either: `srtsrc ! tsdemux ! ... ! filesink` without a peer never ends. So a
 * drain begins at the sources and goes on to where EOS has not arrived: inputs that hang in the
 * air at once, inputs of muxers when no data has come for a second, sinks after three. */
typedef struct _KrDrain KrDrain;

/* How often kr_drain_tick() wants to be called. */
#define KR_DRAIN_INTERVAL_MS 250

/* Whether EOS sent into @source would get nowhere: it is closed. */
typedef gboolean (*KrDrainDeadFunc) (GstElement *source, gpointer data);

/**
 * kr_drain_new:
 * @pipeline: a running pipeline
 * @is_dead: asked about each source now
 * @data: for @is_dead
 *
 * Sends EOS into all sources. Everything that may block runs in threads of its own.
 */
KrDrain *kr_drain_new (GstBin *pipeline, KrDrainDeadFunc is_dead, gpointer data);

/* Sends EOS to where it is missing and nothing moves any more. */
void kr_drain_tick (KrDrain *drain);

void kr_drain_free (KrDrain *drain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrDrain, kr_drain_free)

G_END_DECLS
