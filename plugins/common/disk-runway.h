/* keeprolling - how long until the disk is full?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Plain data, all zero at first but @at_us. */
typedef struct {
  gint64 at_us; /* of the last sample; the creation's at first */
  guint64 written;
  guint64 free_bytes;
  double own_rate;  /* bytes per second that the recording writes */
  double disk_rate; /* by which the free space falls; < 0 = it grows */
  double watched_s; /* how long the free space has been watched */
} KrDiskRunway;

/**
 * kr_disk_runway_sample:
 * @runway: what was seen before
 * @written: bytes that the recording has written in all
 * @free_bytes: what is free on its disk now
 * @now_us: monotonic
 *
 * Samples of less than a second apart do not count.
 */
void kr_disk_runway_sample (KrDiskRunway *runway, guint64 written, guint64 free_bytes,
                            gint64 now_us);

/**
 * kr_disk_runway_seconds:
 * @runway: what was seen so far
 * @usable_bytes: free bytes that may be used up
 *
 * Twenty recordings on one disk fill it twenty times as fast as each of them alone, and others
 * write there too: the larger of the two rates counts. Somebody who makes room all the time
 * does not make it longer: nobody knows how long he goes on.
 *
 * Returns: seconds; < 0 = not known
 */
double kr_disk_runway_seconds (const KrDiskRunway *runway, guint64 usable_bytes);

G_END_DECLS
