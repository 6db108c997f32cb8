/* keeprolling - how often something took how long
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define KR_HISTOGRAM_BOUNDS 16

/* Upper bounds in seconds, from a fast sync to a long outage. */
extern const double kr_histogram_bounds[KR_HISTOGRAM_BOUNDS];

/* Plain data, all zero at first. The last bucket is for what is above the last bound. */
typedef struct {
  guint64 buckets[KR_HISTOGRAM_BOUNDS + 1];
  double sum;
} KrHistogram;

/* One observation; a negative one is not known and does not count. */
void kr_histogram_observe (KrHistogram *histogram, double seconds);
void kr_histogram_add (KrHistogram *histogram, const KrHistogram *more);

G_END_DECLS
