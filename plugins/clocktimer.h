/* keeprolling - a timer thread that stopping cannot hang on
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * KrClockTimer:
 *
 * Calls a function again and again on a thread of its own, timed by a #GstClock (the system's
 * in production, a #GstTestClock in tests). Every timer has its own thread, so that one that
 * waits for a dead file system blinds no other.
 *
 * The stock watchdog element shows what must not happen: it joins its thread under a lock that
 * the firing function wants. Here kr_clock_timer_stop() waits for the thread for a bounded time
 * only, and not at all when called from it; a thread that is stuck is left behind and ends by
 * itself, on data that it holds a reference to.
 */
typedef struct _KrClockTimer KrClockTimer;

/* @now is the clock's time, on the timer's thread. */
typedef void (*KrClockTimerFunc) (gpointer data, GstClockTime now);

/* Calls @func at once, and then every @interval. Calls that would be late are left out, not
 * made up for. @data is given to @destroy when the thread has ended, on whichever thread. */
KrClockTimer *kr_clock_timer_start (const char *name, GstClock *clock, GstClockTime interval,
                                    KrClockTimerFunc func, gpointer data,
                                    GDestroyNotify destroy);

/* From now on every @interval, beginning now. Any thread. */
void kr_clock_timer_set_interval (KrClockTimer *timer, GstClockTime interval);

/* No call of the function begins after this; one under way is waited for, for a second at most
 * (then returns FALSE). Frees @timer. */
gboolean kr_clock_timer_stop (KrClockTimer *timer);

G_END_DECLS
