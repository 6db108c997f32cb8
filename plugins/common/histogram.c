/* keeprolling - how often something took how long
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/histogram.h"

const double kr_histogram_bounds[KR_HISTOGRAM_BOUNDS] = {
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300};

void
kr_histogram_observe (KrHistogram *histogram, double seconds)
{
  guint i = 0;

  if (!(seconds >= 0))
    return;
  while (i < KR_HISTOGRAM_BOUNDS && seconds > kr_histogram_bounds[i])
    i++;
  histogram->buckets[i]++;
  histogram->sum += seconds;
}

void
kr_histogram_add (KrHistogram *histogram, const KrHistogram *more)
{
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS; i++)
    histogram->buckets[i] += more->buckets[i];
  histogram->sum += more->sum;
}
