/* keeprolling - how often something took how long
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/histogram.h"

const double kr_histogram_bounds[KR_HISTOGRAM_BOUNDS] = {
    0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300};

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
