/* keeprolling - what arrival tells: baseline, lag, drift
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define KR_CLOCK_BUCKETS 8  /* of 250 ms: the window of the lag */
#define KR_CLOCK_SECONDS 60 /* the window of the drift */

/* Compares output time with arrival. The network can only delay, never hurry: minima are the
 * truth, everything above them is jitter. */
typedef struct {
  gboolean known;        /* a baseline exists */
  gint64 baseline;       /* D: smallest arrival - output of the first 2 s */
  gint64 baseline_until; /* arrival at which it is final */

  gint64 low[KR_CLOCK_BUCKETS]; /* smallest arrival - output per bucket */
  gint64 bucket;                /* number of the newest: arrival / 250 ms */
  gint64 older;                 /* smallest of all buckets but the newest */
  gint64 lag_since;             /* arrival since which the lag is too large, or KR_TIME_NONE */

  gint64 second;                 /* number of the second being gathered */
  gint64 second_low;             /* smallest arrival - unbent output in it */
  gint64 second_at;              /* when that was */
  gint64 at[KR_CLOCK_SECONDS];   /* the gathered ones: when */
  gint64 lows[KR_CLOCK_SECONDS]; /* and how much */
  guint n_seconds;
  guint next_second;
  gboolean slope_known;
  gdouble slope; /* of arrival - unbent output against arrival */
  gboolean level_known;
  gint64 level; /* arrival - unbent output now, by the same line */
} KrClock;

void kr_clock_init (KrClock *clock);
void kr_clock_rebase (KrClock *clock);
gboolean kr_clock_sample (KrClock *clock, gint64 arrival, gint64 output, gint64 unbent);
gint64 kr_clock_lag (const KrClock *clock);
gboolean kr_clock_lags (KrClock *clock, gint64 arrival, gint64 max_lag, gint64 hold);
void kr_clock_shift (KrClock *clock, gint64 shift);
void kr_clock_restart_drift (KrClock *clock);

G_END_DECLS
