/* keeprolling - a timer thread that stopping cannot hang on
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/clocktimer.h"

/* Long enough for any function that is not stuck, short enough for whoever waits for a stop. */
#define STOP_PATIENCE G_TIME_SPAN_SECOND

struct _KrClockTimer {
  gatomicrefcount refs; /* the owner's, and the thread's */
  GstClock *clock;
  KrClockTimerFunc func;
  gpointer data;
  GDestroyNotify destroy;
  GThread *thread;

  GMutex lock; /* guards all below; never held while waiting for the clock or in func */
  GCond ended_cond;
  GstClockID wait; /* what the thread waits for at present */
  GstClockTime interval;
  gboolean stopping, ended, rescheduled;
};

static void
timer_unref (KrClockTimer *timer)
{
  if (!g_atomic_ref_count_dec (&timer->refs))
    return;
  if (timer->destroy != NULL)
    timer->destroy (timer->data);
  gst_object_unref (timer->clock);
  g_mutex_clear (&timer->lock);
  g_cond_clear (&timer->ended_cond);
  g_free (timer);
}

/* Called with the lock held, and gives it up meanwhile. Returns FALSE when the wait was cut
 * short. */
static gboolean
wait_until (KrClockTimer *timer, GstClockTime time)
{
  GstClockID id = gst_clock_new_single_shot_id (timer->clock, time);
  GstClockReturn ret;

  /* Unscheduling before the wait begins is remembered by the clock. */
  timer->wait = id;
  g_mutex_unlock (&timer->lock);
  ret = gst_clock_id_wait (id, NULL);
  g_mutex_lock (&timer->lock);
  timer->wait = NULL;
  gst_clock_id_unref (id);
  return ret == GST_CLOCK_OK || ret == GST_CLOCK_EARLY;
}

static gpointer
timer_main (gpointer data)
{
  KrClockTimer *timer = data;
  GstClockTime next = gst_clock_get_time (timer->clock);

  g_mutex_lock (&timer->lock);
  while (!timer->stopping) {
    const GstClockTime now = gst_clock_get_time (timer->clock);

    if (timer->rescheduled) {
      timer->rescheduled = FALSE;
      next = now;
    }
    if (now < next) {
      if (!wait_until (timer, next) && !timer->stopping && !timer->rescheduled)
        break; /* a clock that cannot wait would make this loop spin */
      continue;
    }
    g_mutex_unlock (&timer->lock);
    timer->func (timer->data, now);
    g_mutex_lock (&timer->lock);
    if (timer->rescheduled) /* just so late that this call was the first of the new ones */
      next = now;
    timer->rescheduled = FALSE;
    next = MAX (next, now - MIN (now, timer->interval)) + timer->interval;
  }
  timer->ended = TRUE;
  g_cond_signal (&timer->ended_cond);
  g_mutex_unlock (&timer->lock);
  timer_unref (timer);
  return NULL;
}

KrClockTimer *
kr_clock_timer_start (const char *name, GstClock *clock, GstClockTime interval,
                      KrClockTimerFunc func, gpointer data, GDestroyNotify destroy)
{
  KrClockTimer *timer = g_new0 (KrClockTimer, 1);

  g_atomic_ref_count_init (&timer->refs);
  g_atomic_ref_count_inc (&timer->refs);
  timer->clock = gst_object_ref (clock);
  timer->interval = MAX (interval, 1);
  timer->func = func;
  timer->data = data;
  timer->destroy = destroy;
  g_mutex_init (&timer->lock);
  g_cond_init (&timer->ended_cond);
  timer->thread = g_thread_new (name, timer_main, timer);
  return timer;
}

/* Called with the lock held. */
static void
cut_wait_short (KrClockTimer *timer)
{
  if (timer->wait != NULL)
    gst_clock_id_unschedule (timer->wait);
}

void
kr_clock_timer_set_interval (KrClockTimer *timer, GstClockTime interval)
{
  g_mutex_lock (&timer->lock);
  timer->interval = MAX (interval, 1);
  timer->rescheduled = TRUE;
  cut_wait_short (timer);
  g_mutex_unlock (&timer->lock);
}

gboolean
kr_clock_timer_stop (KrClockTimer *timer)
{
  const gint64 deadline = g_get_monotonic_time () + STOP_PATIENCE;
  const gboolean from_itself = g_thread_self () == timer->thread;
  gboolean ended;

  g_mutex_lock (&timer->lock);
  timer->stopping = TRUE;
  cut_wait_short (timer);
  while (!timer->ended && !from_itself &&
         g_cond_wait_until (&timer->ended_cond, &timer->lock, deadline))
    ;
  ended = timer->ended;
  g_mutex_unlock (&timer->lock);

  if (ended)
    g_thread_join (timer->thread);
  else
    g_thread_unref (timer->thread);
  timer_unref (timer);
  return ended || from_itself;
}
