/* keeprolling - one live source: is it delivering, and opening it again alone
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/source-watch.h"

#include <gst/base/gstbasesrc.h>
#include <stdatomic.h>
#include <string.h>

#include "launcher/engine/hang.h"
#include "launcher/engine/job.h"

/* A push that takes no longer than this is nothing to look at. */
#define BLOCKED_MIN_US (300 * G_TIME_SPAN_MILLISECOND)
/* Below the bus: an error that says why a source has ended is read before its EOS. */
#define WAKE_PRIORITY (G_PRIORITY_DEFAULT + 10)

struct _KrSourceWatch {
  int ref_count;
  GstElement *element;
  GMainContext *context;

  /* Written by the streaming threads. */
  _Atomic guint64 buffers;
  _Atomic guint64 bytes;
  _Atomic gint64 last_data;
  atomic_bool ended;
  atomic_bool wants_wake; /* the main thread waits for the next buffer */
  atomic_bool lets_eos;

  /* Held while the element changes its state alone. */
  GMutex state_lock;
  atomic_bool closed; /* set under state_lock: it must not be opened any more */

  /* Main thread. */
  KrSourcePolicy policy;
  gint64 timeout_us;
  gint64 deadline_us;
  KrSourceWatchFunc func; /* NULL once stopped */
  gpointer data;
  GSource *timer;
  GSource *deadline;
  KrJob *job;
  gulong pad_added;
  gboolean started;
  gboolean held_back;
  gboolean announced; /* the outage that goes on has been reported */
  guint64 reopened;
};

static void look (KrSourceWatch *watch);

/* --- which elements ------------------------------------------------------------------- */

static const char *
factory_name (GstElement *element)
{
  GstElementFactory *factory = gst_element_get_factory (element);

  return factory != NULL ? GST_OBJECT_NAME (factory) : "";
}

gboolean
kr_source_watch_is_live (GstElement *element)
{
  GstElementFactory *factory = gst_element_get_factory (element);
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "is-live");
  gboolean live = FALSE;

  if (GST_IS_BASE_SRC (element))
    return gst_base_src_is_live (GST_BASE_SRC (element));
  if (pspec != NULL && pspec->value_type == G_TYPE_BOOLEAN) {
    g_object_get (element, "is-live", &live, NULL);
    return live;
  }
  return factory != NULL &&
         gst_element_factory_list_is_type (factory, GST_ELEMENT_FACTORY_TYPE_SRC) &&
         strstr (gst_element_factory_get_metadata (factory, GST_ELEMENT_METADATA_KLASS),
                 "Network") != NULL;
}

static KrSourceTraits
traits_of (GstElement *element)
{
  static const char *const patient[] = {
      "srtsrc", "srtserversrc", "srtclientsrc", "udpsrc", "ristsrc", "tcpserversrc", NULL};
  static const char *const immune[] = {"relaysrc", "videotestsrc", "audiotestsrc", "appsrc",
                                       NULL};
  const char *name = factory_name (element);

  if (g_strv_contains (immune, name))
    return KR_SOURCE_IMMUNE;
  return g_strv_contains (patient, name) ? KR_SOURCE_PATIENT : 0;
}

static void
find_in (GstBin *bin, GPtrArray *found)
{
  GList *children;

  GST_OBJECT_LOCK (bin);
  children = g_list_copy_deep (bin->children, (GCopyFunc)(GCallback)gst_object_ref, NULL);
  GST_OBJECT_UNLOCK (bin);
  /* A bin prepends what is added. */
  children = g_list_reverse (children);
  for (GList *item = children; item != NULL; item = item->next) {
    GstElement *element = item->data;

    if (!GST_OBJECT_FLAG_IS_SET (element, GST_ELEMENT_FLAG_SOURCE))
      continue;
    if (G_OBJECT_TYPE (element) == GST_TYPE_BIN)
      find_in (GST_BIN (element), found);
    else if (kr_source_watch_is_live (element))
      g_ptr_array_add (found, gst_object_ref (element));
  }
  g_list_free_full (children, gst_object_unref);
}

GPtrArray *
kr_source_watch_find (GstBin *bin)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (gst_object_unref);

  find_in (bin, found);
  return found;
}

/* --- streaming threads ---------------------------------------------------------------- */

static gboolean
on_wake (gpointer data)
{
  look (data);
  return G_SOURCE_REMOVE;
}

/* Any thread. */
static void
wake (KrSourceWatch *watch)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, WAKE_PRIORITY);
  g_source_set_callback (source, on_wake, kr_source_watch_ref (watch),
                         (GDestroyNotify)kr_source_watch_unref);
  g_source_attach (source, watch->context);
  g_source_unref (source);
}

static void
count (KrSourceWatch *watch, guint64 buffers, guint64 bytes)
{
  atomic_fetch_add_explicit (&watch->bytes, bytes, memory_order_relaxed);
  atomic_store_explicit (&watch->last_data, g_get_monotonic_time (), memory_order_relaxed);
  /* Last: whoever sees the count sees the moment. */
  atomic_fetch_add_explicit (&watch->buffers, buffers, memory_order_release);
  if (G_UNLIKELY (atomic_load_explicit (&watch->wants_wake, memory_order_relaxed)) &&
      atomic_exchange (&watch->wants_wake, FALSE))
    wake (watch);
}

/* Called from the streaming thread of the pad for every buffer and event. */
static GstPadProbeReturn
on_pad (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  KrSourceWatch *watch = data;

  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    count (watch, 1, gst_buffer_get_size (GST_PAD_PROBE_INFO_BUFFER (info)));
  } else if (info->type & GST_PAD_PROBE_TYPE_BUFFER_LIST) {
    GstBufferList *list = GST_PAD_PROBE_INFO_BUFFER_LIST (info);

    count (watch, gst_buffer_list_length (list), gst_buffer_list_calculate_size (list));
  } else if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_EOS &&
             !atomic_load (&watch->lets_eos)) {
    if (!atomic_exchange (&watch->ended, TRUE))
      wake (watch);
    return GST_PAD_PROBE_DROP;
  }
  return GST_PAD_PROBE_OK;
}

static void
watch_pad (KrSourceWatch *watch, GstPad *pad)
{
  gst_pad_add_probe (pad,
                     GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST |
                         GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
                     on_pad, kr_source_watch_ref (watch),
                     (GDestroyNotify)kr_source_watch_unref);
}

static gboolean
watch_existing_pad (GstElement *element, GstPad *pad, gpointer data)
{
  watch_pad (data, pad);
  return TRUE;
}

static void
on_pad_added (GstElement *element, GstPad *pad, gpointer data)
{
  if (GST_PAD_IS_SRC (pad))
    watch_pad (data, pad);
}

/* --- opening it again ----------------------------------------------------------------- */

/* In the job's thread. */
static int
reopen_in_thread (gpointer data)
{
  KrSourceWatch *watch = data;
  GstElement *element = watch->element;
  GstStateChangeReturn result = GST_STATE_CHANGE_FAILURE;

  g_mutex_lock (&watch->state_lock);
  if (!atomic_load (&watch->closed)) {
    GstObject *parent = gst_object_get_parent (GST_OBJECT (element));

    gst_element_set_locked_state (element, FALSE);
    gst_element_set_state (element, GST_STATE_NULL);
    if (parent != NULL) {
      g_autoptr (GstClock) clock = gst_element_get_clock (GST_ELEMENT (parent));

      /* Its running time goes on where it was. */
      if (clock != NULL)
        gst_element_set_clock (element, clock);
      gst_element_set_base_time (element, gst_element_get_base_time (GST_ELEMENT (parent)));
      atomic_store (&watch->ended, FALSE);
      if (gst_element_sync_state_with_parent (element))
        result = GST_STATE_CHANGE_SUCCESS;
      gst_object_unref (parent);
    }
  }
  g_mutex_unlock (&watch->state_lock);
  return result;
}

static void
clear_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
tell (KrSourceWatch *watch, KrSourceWatchEvent event, const char *text)
{
  gint64 now = g_get_monotonic_time ();

  if (watch->func != NULL)
    watch->func (watch, event, text,
                 (double)kr_source_policy_outage (&watch->policy, now) / G_TIME_SPAN_SECOND,
                 watch->data);
}

static void
on_reopened (int result, gpointer user_data)
{
  KrSourceWatch *watch = user_data;
  gboolean success = result != GST_STATE_CHANGE_FAILURE;

  watch->job = NULL;
  clear_source (&watch->deadline);
  if (watch->func != NULL) {
    kr_source_policy_reopened (&watch->policy, success, g_get_monotonic_time ());
    look (watch);
  }
  kr_source_watch_unref (watch);
}

static gboolean
on_deadline (gpointer data)
{
  g_autoptr (KrSourceWatch) watch = kr_source_watch_ref (data);
  g_autofree char *text = NULL;

  clear_source (&watch->deadline);
  text = g_strdup_printf ("%s hangs while it is being reconnected for %.1f s now",
                          GST_ELEMENT_NAME (watch->element),
                          (double)watch->deadline_us / G_TIME_SPAN_SECOND);
  tell (watch, KR_SOURCE_WATCH_STUCK, text);
  return G_SOURCE_REMOVE;
}

static GSource *
add_timer (KrSourceWatch *watch, gint64 delay_us, GSourceFunc func)
{
  /* Up, not down: a timer that fires early would look, see nothing, and be set again. */
  gint64 ms = CLAMP ((delay_us + 999) / 1000, 0, G_MAXINT);
  GSource *source = g_timeout_source_new ((guint)ms);

  g_source_set_callback (source, func, watch, NULL);
  g_source_attach (source, watch->context);
  return source;
}

static void
reopen (KrSourceWatch *watch)
{
  watch->reopened++;
  watch->held_back = FALSE;
  watch->job = kr_job_start ("kr-reopen", reopen_in_thread, kr_source_watch_ref (watch),
                             (GDestroyNotify)kr_source_watch_unref, on_reopened,
                             kr_source_watch_ref (watch));
  if (watch->job == NULL) {
    kr_source_watch_unref (watch);
    kr_source_watch_unref (watch);
    kr_source_policy_reopened (&watch->policy, FALSE, g_get_monotonic_time ());
    return;
  }
  if (watch->deadline_us > 0)
    watch->deadline = add_timer (watch, watch->deadline_us, on_deadline);
}

/* --- looking -------------------------------------------------------------------------- */

/* TRUE if the source's thread is inside the chain function of whatever is behind it. */
static gboolean
pad_is_blocked (GstElement *element, GstPad *pad, gpointer data)
{
  g_autoptr (GstPad) peer = gst_pad_get_peer (pad);
  gboolean *blocked = data;

  if (peer == NULL)
    return TRUE;
  if (!GST_PAD_STREAM_TRYLOCK (peer)) {
    *blocked = TRUE;
    return FALSE;
  }
  GST_PAD_STREAM_UNLOCK (peer);
  return TRUE;
}

static gboolean
is_blocked (KrSourceWatch *watch)
{
  gboolean blocked = FALSE;

  gst_element_foreach_src_pad (watch->element, pad_is_blocked, &blocked);
  return blocked;
}

static gboolean
on_timer (gpointer data)
{
  g_autoptr (KrSourceWatch) watch = kr_source_watch_ref (data);

  clear_source (&watch->timer);
  look (watch);
  return G_SOURCE_REMOVE;
}

static void
arm (KrSourceWatch *watch)
{
  clear_source (&watch->timer);
  if (watch->func == NULL || !watch->started || atomic_load (&watch->lets_eos))
    return;
  if (watch->policy.next != G_MAXINT64)
    watch->timer = add_timer (watch, watch->policy.next - g_get_monotonic_time (), on_timer);
  atomic_store (&watch->wants_wake,
                watch->policy.state == KR_SOURCE_WAITING ||
                    kr_source_policy_outage (&watch->policy, G_MAXINT64 / 2));
}

static void
announce_silence (KrSourceWatch *watch, gint64 now)
{
  g_autofree char *text = NULL;
  double seconds = (double)kr_source_policy_outage (&watch->policy, now) / G_TIME_SPAN_SECOND;
  const char *name = GST_ELEMENT_NAME (watch->element);

  watch->announced = TRUE;
  if (watch->policy.traits & KR_SOURCE_IMMUNE)
    text = g_strdup_printf ("no data from %s for %.1f s; waiting for it, all else runs", name,
                            seconds);
  else if (kr_source_watch_get_buffers (watch) == 0 && watch->reopened > 0)
    text = g_strdup_printf ("%s could not be opened at the start; trying again, all else runs",
                            name);
  else if (watch->policy.state == KR_SOURCE_OPENING)
    text = g_strdup_printf ("source silent for %.1f s (no data from %s); reconnecting it, the "
                            "file stays open",
                            seconds, name);
  else
    text = g_strdup_printf ("no data from %s since its start %.1f s ago; waiting for it, all "
                            "else runs",
                            name, seconds);
  tell (watch, KR_SOURCE_WATCH_LOST, text);
}

static void
announce_back (KrSourceWatch *watch, double seconds)
{
  g_autofree char *text = g_strdup_printf ("%s delivers again after %.1f s",
                                           GST_ELEMENT_NAME (watch->element), seconds);

  watch->announced = FALSE;
  if (watch->func != NULL)
    watch->func (watch, KR_SOURCE_WATCH_BACK, text, seconds, watch->data);
}

static void
act (KrSourceWatch *watch, KrSourceAction action)
{
  g_autofree char *text = NULL;

  switch (action) {
  case KR_SOURCE_NOTHING:
    break;
  case KR_SOURCE_REOPEN:
    reopen (watch);
    break;
  case KR_SOURCE_ESCALATE:
    text = g_strdup_printf ("%s breaks again and again although data comes",
                            GST_ELEMENT_NAME (watch->element));
    tell (watch, KR_SOURCE_WATCH_HOPELESS, text);
    break;
  }
}

static void
take_end (KrSourceWatch *watch, const char *why)
{
  gint64 now = g_get_monotonic_time ();
  KrSourceState before = watch->policy.state;
  KrSourceAction action = kr_source_policy_ended (&watch->policy, now);
  g_autofree char *text = NULL;

  act (watch, action);
  if (before == KR_SOURCE_OPENING || before == KR_SOURCE_CLOSED || action == KR_SOURCE_ESCALATE)
    return;
  text = g_strdup_printf ("%s; reconnecting %s, the file stays open", why,
                          GST_ELEMENT_NAME (watch->element));
  if (!watch->announced) {
    watch->announced = TRUE;
    tell (watch, KR_SOURCE_WATCH_LOST, text);
  } else {
    tell (watch, KR_SOURCE_WATCH_UNREACHED, text);
  }
}

static void
look (KrSourceWatch *watch)
{
  gint64 now = g_get_monotonic_time ();
  guint64 buffers = atomic_load_explicit (&watch->buffers, memory_order_acquire);
  gint64 last_data = atomic_load_explicit (&watch->last_data, memory_order_relaxed);
  gint64 outage = kr_source_policy_outage (&watch->policy, last_data);
  KrSourceState before = watch->policy.state;
  KrSourceAction action;
  gboolean blocked, back;

  if (watch->func == NULL || !watch->started || atomic_load (&watch->lets_eos))
    return;
  /* Asked only when it matters: it touches the pad's lock. */
  blocked = before == KR_SOURCE_FLOWING && buffers == watch->policy.seen &&
            now >= watch->policy.next && is_blocked (watch);
  action = kr_source_policy_tick (&watch->policy, buffers, last_data, blocked, now, &back);
  act (watch, action);
  if (watch->func != NULL && back)
    announce_back (watch, (double)outage / G_TIME_SPAN_SECOND);
  else if (before == KR_SOURCE_WAITING && watch->policy.state == KR_SOURCE_FLOWING)
    tell (watch, KR_SOURCE_WATCH_FIRST, "data comes");
  if (watch->func != NULL && !watch->announced &&
      kr_source_policy_outage (&watch->policy, now) > 0)
    announce_silence (watch, now);
  if (watch->func != NULL && atomic_load (&watch->ended) &&
      (watch->policy.state == KR_SOURCE_FLOWING || watch->policy.state == KR_SOURCE_WAITING)) {
    g_autofree char *why = g_strdup_printf ("%s has ended", GST_ELEMENT_NAME (watch->element));

    atomic_store (&watch->ended, FALSE);
    take_end (watch, why);
  }
  arm (watch);
}

/* --- for the pipeline runner ---------------------------------------------------------- */

static double
random_double (gpointer data)
{
  return g_random_double ();
}

KrSourceWatch *
kr_source_watch_new (GstElement *element, gint64 timeout_us, gint64 deadline_us,
                     KrSourceWatchFunc func, gpointer data)
{
  KrSourceWatch *watch = g_new0 (KrSourceWatch, 1);

  watch->ref_count = 1;
  g_mutex_init (&watch->state_lock);
  watch->element = gst_object_ref (element);
  watch->context = g_main_context_ref_thread_default ();
  watch->timeout_us = timeout_us;
  watch->deadline_us = deadline_us;
  watch->func = func;
  watch->data = data;
  kr_source_policy_init (&watch->policy, traits_of (element), timeout_us, random_double, NULL,
                         g_get_monotonic_time ());
  gst_element_foreach_src_pad (element, watch_existing_pad, watch);
  watch->pad_added = g_signal_connect_data (
      element, "pad-added", G_CALLBACK (on_pad_added), kr_source_watch_ref (watch),
      (GClosureNotify)(GCallback)kr_source_watch_unref, 0);
  return watch;
}

void
kr_source_watch_hold_back (KrSourceWatch *watch)
{
  gst_element_set_locked_state (watch->element, TRUE);
  watch->held_back = TRUE;
}

void
kr_source_watch_start (KrSourceWatch *watch)
{
  gint64 now = g_get_monotonic_time ();

  kr_source_policy_init (&watch->policy, traits_of (watch->element), watch->timeout_us,
                         random_double, NULL, now);
  if (watch->held_back)
    kr_source_policy_start_closed (&watch->policy, now);
  watch->started = TRUE;
  look (watch);
}

void
kr_source_watch_failed (KrSourceWatch *watch, const char *text)
{
  if (watch->func == NULL || !watch->started || atomic_load (&watch->lets_eos))
    return;
  /* Its EOS, if it sends one, is the same event. */
  atomic_store (&watch->ended, FALSE);
  take_end (watch, text);
  arm (watch);
}

void
kr_source_watch_let_eos (KrSourceWatch *watch)
{
  atomic_store (&watch->lets_eos, TRUE);
  clear_source (&watch->timer);
}

void
kr_source_watch_close (KrSourceWatch *watch)
{
  g_mutex_lock (&watch->state_lock);
  atomic_store (&watch->closed, TRUE);
  g_mutex_unlock (&watch->state_lock);
}

GstElement *
kr_source_watch_get_element (KrSourceWatch *watch)
{
  return watch->element;
}

gboolean
kr_source_watch_owns (KrSourceWatch *watch, GstObject *object)
{
  return object == GST_OBJECT (watch->element) ||
         (object != NULL && gst_object_has_as_ancestor (object, GST_OBJECT (watch->element)));
}

gboolean
kr_source_watch_is_silent (KrSourceWatch *watch)
{
  return kr_source_policy_outage (&watch->policy, g_get_monotonic_time ()) > 0 ||
         watch->held_back;
}

gboolean
kr_source_watch_is_dead (KrSourceWatch *watch)
{
  return watch->held_back || watch->policy.state == KR_SOURCE_CLOSED ||
         watch->policy.state == KR_SOURCE_OPENING;
}

guint64
kr_source_watch_get_bytes (KrSourceWatch *watch)
{
  return atomic_load_explicit (&watch->bytes, memory_order_relaxed);
}

guint64
kr_source_watch_get_buffers (KrSourceWatch *watch)
{
  return atomic_load_explicit (&watch->buffers, memory_order_relaxed);
}

gint64
kr_source_watch_get_last_data (KrSourceWatch *watch)
{
  return atomic_load_explicit (&watch->last_data, memory_order_relaxed);
}

static gboolean
find_culprit (GstElement *element, GstPad *pad, gpointer data)
{
  char **by = data;

  *by = kr_hang_find_behind (pad);
  return *by == NULL;
}

gint64
kr_source_watch_get_blocked (KrSourceWatch *watch, char **ret_by)
{
  gint64 last = kr_source_watch_get_last_data (watch);
  gint64 age = last != 0 ? g_get_monotonic_time () - last : 0;
  char *by = NULL;

  if (age < BLOCKED_MIN_US || watch->policy.state != KR_SOURCE_FLOWING || !is_blocked (watch))
    return 0;
  gst_element_foreach_src_pad (watch->element, find_culprit, &by);
  *ret_by = by;
  return age;
}

guint64
kr_source_watch_get_reopened (KrSourceWatch *watch)
{
  return watch->reopened;
}

void
kr_source_watch_stop (KrSourceWatch *watch)
{
  watch->func = NULL;
  clear_source (&watch->timer);
  clear_source (&watch->deadline);
  g_clear_signal_handler (&watch->pad_added, watch->element);
}

KrSourceWatch *
kr_source_watch_ref (KrSourceWatch *watch)
{
  g_atomic_int_inc (&watch->ref_count);
  return watch;
}

void
kr_source_watch_unref (KrSourceWatch *watch)
{
  if (!g_atomic_int_dec_and_test (&watch->ref_count))
    return;
  gst_object_unref (watch->element);
  g_main_context_unref (watch->context);
  g_mutex_clear (&watch->state_lock);
  g_free (watch);
}
