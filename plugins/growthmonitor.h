/* keeprolling - takes the samples of a growthmonitorsink and tells what they mean
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>
#include <stdatomic.h>

#include "plugins/common/growth.h"

G_BEGIN_DECLS

/**
 * KrGrowthMonitor:
 *
 * One life of a growthmonitorsink, from READY to READY, apart from being a bin: counters that
 * the streaming thread increases, and a timer thread that looks at them and at the file, judges
 * (plugins/common/growth.h) and posts the messages in its owner's name. Reference counted, and
 * made anew for each life, because a timer thread that is stuck in a dead file system outlives
 * the element's stop.
 */
typedef struct _KrGrowthMonitor KrGrowthMonitor;

/* Written by the streaming thread alone, read by the timer: plain loads and stores, no lock and
 * no locked instruction. */
typedef struct {
  _Atomic guint64 bytes;
  _Atomic guint64 buffers;
  _Atomic guint64 keyframes; /* buffers without DELTA_UNIT */
  _Atomic guint64 entered;   /* pushes that began... */
  _Atomic guint64 left;      /* ...and returned: the sink holds one while they differ */
} KrGrowthCounters;

/* Called from the streaming thread only. */
static inline void
kr_growth_count (_Atomic guint64 *counter, guint64 n)
{
  const guint64 value = atomic_load_explicit (counter, memory_order_relaxed);

  atomic_store_explicit (counter, value + n, memory_order_relaxed);
}

/* @owner is not referenced: kr_growth_monitor_close() cuts the tie. @sink (optional) is the bin
 * or element whose recording is watched; it need not have started yet. @watch_location
 * (optional) is a file or a glob pattern and beats the sink's own location. */
KrGrowthMonitor *kr_growth_monitor_new (GstElement *owner, GstElement *sink,
                                        const char *watch_location);
KrGrowthMonitor *kr_growth_monitor_ref (KrGrowthMonitor *monitor);
void kr_growth_monitor_unref (KrGrowthMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrGrowthMonitor, kr_growth_monitor_unref)

KrGrowthCounters *kr_growth_monitor_counters (KrGrowthMonitor *monitor);

/* Any time, any thread; a new interval holds at once. @fatal: a stall posts an error too. */
void kr_growth_monitor_configure (KrGrowthMonitor *monitor, const KrGrowthConfig *config,
                                  gboolean fatal);

/* Starts the timer. Nothing is judged until the owner is meant to play: that is, until its
 * pipeline is, for a sink that still waits for its first buffer is not told so itself, and just
 * then somebody must notice that nothing comes in. */
void kr_growth_monitor_start (KrGrowthMonitor *monitor);
/* The owner is told to play, or to do so no longer: what lies between takes no time. The timer
 * would notice by itself, within an interval. */
void kr_growth_monitor_release (KrGrowthMonitor *monitor);
void kr_growth_monitor_hold (KrGrowthMonitor *monitor);
/* Stops the timer and cuts the tie to the owner: nothing is posted in its name after this.
 * Comes back within a second, whatever the timer is doing. The numbers stay. */
void kr_growth_monitor_close (KrGrowthMonitor *monitor);

/* The end of the stream has come in: no stall from here on. */
void kr_growth_monitor_finish (KrGrowthMonitor *monitor);
/* Data follows after all. */
void kr_growth_monitor_continue (KrGrowthMonitor *monitor);
/* The sink has written all: one last sample. */
void kr_growth_monitor_end (KrGrowthMonitor *monitor);
/* Takes what a sink that rotates its files says about them. Any thread. */
void kr_growth_monitor_take_message (KrGrowthMonitor *monitor, GstMessage *message);

/* (transfer full) */
GstStructure *kr_growth_monitor_stats (KrGrowthMonitor *monitor);

G_END_DECLS
