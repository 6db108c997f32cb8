/* keeprolling - what arrival tells: baseline, lag, drift
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-clock.h"

#include <math.h>

#include "plugins/common/timeline-epoch.h"
#include "plugins/common/timeline.h"

#define SECOND          G_GINT64_CONSTANT (1000000000)
#define BUCKET          (SECOND / 4)
#define BASELINE_WINDOW (2 * SECOND)

/* More than this, in seconds, within the window is no drift. */
#define MAX_LEVEL 60

/* Fewer seconds than this say more about jitter than about drift. */
#define DRIFT_MIN_SECONDS 30

void
kr_clock_init (KrClock *clock)
{
  guint i;

  *clock = (KrClock){.lag_since = KR_TIME_NONE, .bucket = G_MININT64, .older = G_MAXINT64};
  for (i = 0; i < KR_CLOCK_BUCKETS; i++)
    clock->low[i] = G_MAXINT64;
  kr_clock_restart_drift (clock);
}

/* The pipeline clock has stepped: nothing measured against the old one is worth keeping but the
 * drift that was found. */
void
kr_clock_rebase (KrClock *clock)
{
  gboolean slope_known = clock->slope_known;
  gdouble slope = clock->slope;

  kr_clock_init (clock);
  clock->slope_known = slope_known;
  clock->slope = slope;
}

/* After an epoch change the map is only right to within a frame; a slope across it is not. The
 * last result stays. */
void
kr_clock_restart_drift (KrClock *clock)
{
  clock->n_seconds = 0;
  clock->next_second = 0;
  clock->second = KR_TIME_NONE;
  clock->level_known = FALSE;
}

static guint
slot_of (gint64 bucket)
{
  return (guint)(bucket & (KR_CLOCK_BUCKETS - 1));
}

static void
advance_buckets (KrClock *clock, gint64 bucket)
{
  guint i;

  if (clock->bucket == G_MININT64 || bucket - clock->bucket >= KR_CLOCK_BUCKETS) {
    for (i = 0; i < KR_CLOCK_BUCKETS; i++)
      clock->low[i] = G_MAXINT64;
    clock->bucket = bucket;
  }
  while (clock->bucket < bucket)
    clock->low[slot_of (++clock->bucket)] = G_MAXINT64;

  clock->older = G_MAXINT64;
  for (i = 0; i < KR_CLOCK_BUCKETS; i++)
    if (i != slot_of (bucket))
      clock->older = MIN (clock->older, clock->low[i]);
}

typedef struct {
  gdouble slope, mean_x, mean_y;
} Line;

/* Both axes in seconds from the first point, so that doubles keep the nanoseconds. */
static gdouble
point_x (const KrClock *clock, guint i)
{
  return (gdouble)(clock->at[i] - clock->at[0]) / (gdouble)SECOND;
}

static gdouble
point_y (const KrClock *clock, guint i)
{
  return (gdouble)kr_sub_saturated (clock->lows[i], clock->lows[0]) / (gdouble)SECOND;
}

static gdouble
distance (const KrClock *clock, const Line *line, guint i)
{
  return fabs (point_y (clock, i) - line->mean_y -
               line->slope * (point_x (clock, i) - line->mean_x));
}

/* Least squares over the gathered seconds, leaving out those further than @limit from @near. */
static gboolean
fit (const KrClock *clock, const Line *near, gdouble limit, Line *ret_line)
{
  gdouble sx = 0, sy = 0, sxx = 0, sxy = 0, spread;
  guint i, n = 0;

  for (i = 0; i < clock->n_seconds; i++) {
    gdouble x = point_x (clock, i), y = point_y (clock, i);

    if (near != NULL && distance (clock, near, i) > limit)
      continue;
    n++;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  spread = n * sxx - sx * sx;
  if (n < DRIFT_MIN_SECONDS / 2 || spread <= 0)
    return FALSE;
  *ret_line = (Line){(n * sxy - sx * sy) / spread, sx / n, sy / n};
  return TRUE;
}

static gdouble
mean_distance (const KrClock *clock, const Line *line)
{
  gdouble sum = 0;
  guint i;

  for (i = 0; i < clock->n_seconds; i++)
    sum += distance (clock, line, i);
  return sum / clock->n_seconds;
}

/* A stall longer than a second lifts its minima by seconds where drift moves them by
 * microseconds: fit twice, the second time without what the first fit misses badly. */
static void
measure_slope (KrClock *clock)
{
  Line line, better;
  gdouble level;
  guint newest;

  if (clock->n_seconds < DRIFT_MIN_SECONDS || !fit (clock, NULL, 0, &line))
    return;
  if (fit (clock, &line, 2 * mean_distance (clock, &line) + 1e-6, &better))
    line = better;
  clock->slope = line.slope;
  clock->slope_known = TRUE;
  newest = (clock->next_second + KR_CLOCK_SECONDS - 1) % KR_CLOCK_SECONDS;
  level = line.mean_y + line.slope * (point_x (clock, newest) - line.mean_x);
  clock->level_known = fabs (level) < MAX_LEVEL;
  if (clock->level_known)
    clock->level = kr_add_saturated (clock->lows[0], (gint64)(level * (gdouble)SECOND));
}

/* TRUE once per second, when one is complete. */
static gboolean
gather_second (KrClock *clock, gint64 arrival, gint64 y)
{
  gint64 second = arrival / SECOND;

  if (clock->second != KR_TIME_NONE && second <= clock->second) {
    if (y < clock->second_low) {
      clock->second_low = y;
      clock->second_at = arrival;
    }
    return FALSE;
  }
  if (clock->second != KR_TIME_NONE) {
    clock->at[clock->next_second] = clock->second_at;
    clock->lows[clock->next_second] = clock->second_low;
    clock->next_second = (clock->next_second + 1) % KR_CLOCK_SECONDS;
    clock->n_seconds = MIN (clock->n_seconds + 1, KR_CLOCK_SECONDS);
  }
  clock->second = second;
  clock->second_low = y;
  clock->second_at = arrival;
  return TRUE;
}

/**
 * kr_clock_sample:
 * @arrival: running time at which the buffer came, at least 0
 * @output: its output time
 * @unbent: the same without what following the drift has added
 *
 * Returns: TRUE about once per second, when lag and drift have been measured anew
 */
gboolean
kr_clock_sample (KrClock *clock, gint64 arrival, gint64 output, gint64 unbent)
{
  gint64 x = kr_sub_saturated (arrival, output);
  gint64 bucket = MAX (arrival / BUCKET, clock->bucket);

  if (!clock->known) {
    clock->known = TRUE;
    clock->baseline = x;
    clock->baseline_until = arrival + BASELINE_WINDOW;
  } else if (arrival < clock->baseline_until) {
    clock->baseline = MIN (clock->baseline, x);
  }

  if (bucket != clock->bucket)
    advance_buckets (clock, bucket);
  clock->low[slot_of (bucket)] = MIN (clock->low[slot_of (bucket)], x);

  if (!gather_second (clock, arrival, kr_sub_saturated (arrival, unbent)))
    return FALSE;
  measure_slope (clock);
  return TRUE;
}

/* How much later than at first the output is now: the smallest value within 2 s. */
gint64
kr_clock_lag (const KrClock *clock)
{
  if (!clock->known || clock->bucket == G_MININT64)
    return 0;
  return kr_sub_saturated (MIN (clock->older, clock->low[slot_of (clock->bucket)]),
                           clock->baseline);
}

/* Whether the lag has been above @max_lag for @hold without a break. Call after each sample. */
gboolean
kr_clock_lags (KrClock *clock, gint64 arrival, gint64 max_lag, gint64 hold)
{
  if (kr_clock_lag (clock) <= max_lag) {
    clock->lag_since = KR_TIME_NONE;
    return FALSE;
  }
  if (clock->lag_since == KR_TIME_NONE)
    clock->lag_since = arrival;
  return arrival - clock->lag_since >= hold;
}

/* The output has been moved by @shift against arrival. */
void
kr_clock_shift (KrClock *clock, gint64 shift)
{
  guint i;

  for (i = 0; i < KR_CLOCK_BUCKETS; i++)
    if (clock->low[i] != G_MAXINT64)
      clock->low[i] = kr_sub_saturated (clock->low[i], shift);
  if (clock->older != G_MAXINT64)
    clock->older = kr_sub_saturated (clock->older, shift);
  clock->lag_since = KR_TIME_NONE;
}
