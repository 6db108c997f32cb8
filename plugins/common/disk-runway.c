/* keeprolling - how long until the disk is full?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/disk-runway.h"

/* The rates are smoothed over about that long. What others do with a disk goes by leaps. */
#define OWN_SMOOTHING_S  30.0
#define DISK_SMOOTHING_S 300.0

static double
change_per_second (guint64 from, guint64 to, double seconds)
{
  return ((double)to - (double)from) / seconds;
}

/* A low-pass of first order; s / (s + T) is near enough to 1 - exp (-s / T), without libm. */
static double
smooth (double before, double now, double seconds, double time_constant)
{
  return before + seconds / (seconds + time_constant) * (now - before);
}

void
kr_disk_runway_sample (KrDiskRunway *runway, guint64 written, guint64 free_bytes, gint64 now_us)
{
  double seconds = (double)(now_us - runway->at_us) / G_USEC_PER_SEC;
  double own;

  if (seconds < 1)
    return;
  own = change_per_second (runway->written, written, seconds);
  if (runway->own_rate == 0)
    runway->own_rate = MAX (own, 0);
  else
    runway->own_rate = smooth (runway->own_rate, own, seconds, OWN_SMOOTHING_S);
  if (runway->free_bytes > 0) {
    /* A plain mean until the past is as long as the smoothing. */
    runway->disk_rate =
        smooth (runway->disk_rate, change_per_second (free_bytes, runway->free_bytes, seconds),
                seconds, MIN (runway->watched_s, DISK_SMOOTHING_S));
    runway->watched_s += seconds;
  }
  runway->at_us = now_us;
  runway->written = written;
  runway->free_bytes = free_bytes;
}

double
kr_disk_runway_seconds (const KrDiskRunway *runway, guint64 usable_bytes)
{
  double rate = MAX (runway->own_rate, runway->disk_rate);

  return rate > 0 ? (double)usable_bytes / rate : -1;
}
