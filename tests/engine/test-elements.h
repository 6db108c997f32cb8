/* keeprolling - elements that misbehave on request
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* krtestsrc plan="20s,f,20e,i" key=N: a live source. Each opening, counted per key over all
 * elements, takes the next step of the plan, the last one again and again: "20s" gives 20
 * buffers and falls silent, "20e" ends with EOS, "20x" with an error, "f" fails to open, "h"
 * hangs while it is being opened, "i" never stops. A buffer each 5 ms.
 *
 * krtestbin: a source bin around a krtestsrc (plan, key) whose pad comes after it was started
 * and goes when it stops, as those of rtspsrc do.
 *
 * krhang at=start|stop key=N times=N: a filter whose state change hangs, the first so many
 * times, until kr_test_release_hangs().
 *
 * krpost what=latency|clock-lost|buffering|pause|end|disk|warning: a filter that posts such a message,
 * once per process and reset, with its tenth buffer.
 *
 * krtestsink key=N: counts. */
#define KR_TEST_KEYS 8

typedef struct {
  guint opens;   /* of sources */
  guint late;    /* buffers that the machine kept waiting for more than 100 ms */
  guint starts;  /* of sinks: NULL to READY */
  guint buffers; /* at sinks */
  guint eos;     /* at sinks */
  guint hangs;
} KrTestCounts;

void kr_test_elements_register (void);
void kr_test_elements_reset (void);
KrTestCounts kr_test_counts (guint key);
void kr_test_release_hangs (void);

G_END_DECLS
