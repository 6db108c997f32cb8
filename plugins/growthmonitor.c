/* keeprolling - takes the samples of a growthmonitorsink and tells what they mean
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/growthmonitor.h"

#include "plugins/clocktimer.h"
#include "plugins/common/messages.h"
#include "plugins/growthtarget.h"

/* How long the end of the stream waits for a sample under way, to add the last one. */
#define END_PATIENCE (G_TIME_SPAN_SECOND / 4)

/* As of one sample; what the messages and the stats tell. */
typedef struct {
  KrGrowthSample seen;
  KrGrowthVerdict verdict;
  guint64 buffers;
  gint64 utc_ns;
  char *location;
} Reading;

struct _KrGrowthMonitor {
  gatomicrefcount refs; /* the owner's, and the running timer's */
  KrGrowthCounters counters;
  GstClock *clock;
  GstElement *target; /* whose "stats" go into the sample; may be NULL */

  /* Owned by whoever is sampling. That takes as long as the file system likes, hence it is no
   * mutex: a streaming thread waits for it for END_PATIENCE at most, a state change never. */
  KrFileWatch *watch; /* NULL = nothing to watch but the bytes that come in */
  KrGrowth growth;
  gboolean started;     /* growth has its baseline */
  guint64 seen_entered; /* pushes that had begun by the last sample... */
  gboolean was_in_push; /* ...and whether the last of them was under way */

  /* Guards all below; held for moments, never across a system call or a message. */
  GMutex lock;
  GCond idle;
  gboolean sampling;
  GstElement *owner; /* not referenced; NULL once closed */
  KrClockTimer *timer;
  KrGrowthConfig config;
  gboolean fatal;
  gboolean finished, ended, continued;
  gboolean held;          /* the owner is not meant to play */
  GstClockTime held_at;   /* since when */
  GstClockTime paused_ns; /* past holds, not yet told to growth */

  /* A sink that tells which file is open. */
  gboolean follows, adopts; /* adopts: the first that announces */
  gconstpointer announcer;  /* compared, never used */
  char *announced;          /* path of the open file, NULL = none */
  guint announced_seq;
  guint64 generation, finished_bytes;

  Reading reading; /* the last one */
  guint64 samples, stalls, stalled_ns;
  KrGrowthFault last_fault;
};

KrGrowthMonitor *
kr_growth_monitor_new (GstElement *owner, GstElement *sink, const char *watch_location)
{
  const KrGrowthTarget target = kr_growth_target_find (sink, watch_location);
  KrGrowthMonitor *monitor = g_new0 (KrGrowthMonitor, 1);

  g_atomic_ref_count_init (&monitor->refs);
  monitor->owner = owner;
  monitor->target = target.element;
  monitor->watch = target.watch;
  monitor->follows = target.follows;
  monitor->adopts = target.watch == NULL;
  monitor->announcer = target.follows ? target.element : NULL;
  monitor->clock = gst_system_clock_obtain ();
  monitor->held = TRUE;
  monitor->held_at = gst_clock_get_time (monitor->clock);
  g_mutex_init (&monitor->lock);
  g_cond_init (&monitor->idle);
  return monitor;
}

KrGrowthMonitor *
kr_growth_monitor_ref (KrGrowthMonitor *monitor)
{
  g_atomic_ref_count_inc (&monitor->refs);
  return monitor;
}

void
kr_growth_monitor_unref (KrGrowthMonitor *monitor)
{
  if (!g_atomic_ref_count_dec (&monitor->refs))
    return;
  kr_file_watch_free (monitor->watch);
  gst_clear_object (&monitor->target);
  gst_object_unref (monitor->clock);
  g_free (monitor->announced);
  g_free (monitor->reading.location);
  g_mutex_clear (&monitor->lock);
  g_cond_clear (&monitor->idle);
  g_free (monitor);
}

KrGrowthCounters *
kr_growth_monitor_counters (KrGrowthMonitor *monitor)
{
  return &monitor->counters;
}

/* --- messages ---------------------------------------------------------------------------- */

/* The sink's own numbers: what it says is written and durable. */
static void
add_child_stats (GstStructure *structure, GstElement *target)
{
  g_autoptr (GstStructure) stats = NULL;
  GParamSpec *pspec;

  if (target == NULL)
    return;
  pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (target), "stats");
  if (pspec == NULL || pspec->value_type != GST_TYPE_STRUCTURE ||
      (pspec->flags & G_PARAM_READABLE) == 0)
    return;
  g_object_get (target, "stats", &stats, NULL);
  if (stats != NULL)
    gst_structure_set (structure, "child-stats", GST_TYPE_STRUCTURE, stats, NULL);
}

/* The fields that the sample and the stats have in common. */
static GstStructure *
describe_reading (const char *name, const Reading *reading)
{
  const KrGrowthVerdict *verdict = &reading->verdict;

  return gst_structure_new (
      name, "location", G_TYPE_STRING, reading->location, "bytes-in", G_TYPE_UINT64,
      reading->seen.bytes_in, "file-bytes", G_TYPE_UINT64, reading->seen.file_bytes, "rate",
      G_TYPE_DOUBLE, (double)verdict->rate, "buffers", G_TYPE_UINT64, reading->buffers,
      "keyframes", G_TYPE_UINT64, reading->seen.keyframes, "state", G_TYPE_STRING,
      kr_growth_state_name (verdict->state), "age-ns", G_TYPE_UINT64, verdict->age_ns,
      "keyframe-age-ns", G_TYPE_UINT64, verdict->keyframe_age_ns, "utc-ns", G_TYPE_UINT64,
      (guint64)reading->utc_ns, NULL);
}

static void
post (GstElement *owner, GstStructure *structure)
{
  gst_element_post_message (owner, gst_message_new_element (GST_OBJECT (owner), structure));
}

static const char *
explain_fault (KrGrowthFault fault)
{
  switch (fault) {
  case KR_GROWTH_NO_INPUT:
    return "nothing comes in";
  case KR_GROWTH_NO_GROWTH:
    return "data comes in, but the recording does not grow";
  case KR_GROWTH_BELOW_MIN_RATE:
    return "the recording grows more slowly than min-rate";
  case KR_GROWTH_NO_KEYFRAME:
    return "no keyframe comes in";
  case KR_GROWTH_FILE_REPLACED:
    return "another file has taken the place of the recording";
  case KR_GROWTH_FILE_UNLINKED:
    return "the file of the recording was removed or renamed";
  case KR_GROWTH_NO_FAULT:
  case KR_N_GROWTH_FAULTS:
    break;
  }
  g_return_val_if_reached ("");
}

static void
post_stalled (GstElement *owner, const Reading *reading, gboolean fatal)
{
  const KrGrowthVerdict *verdict = &reading->verdict;
  const char *reason = kr_growth_fault_name (verdict->fault);
  const char *where = reading->location != NULL ? reading->location : "no file";

  post (owner,
        gst_structure_new (KR_MSG_GROWTH_STALLED, "reason", G_TYPE_STRING, reason, "age-ns",
                           G_TYPE_UINT64, verdict->outage_ns, "location", G_TYPE_STRING,
                           reading->location, "bytes-in", G_TYPE_UINT64, reading->seen.bytes_in,
                           "file-bytes", G_TYPE_UINT64, reading->seen.file_bytes, "utc-ns",
                           G_TYPE_UINT64, (guint64)reading->utc_ns, NULL));
  if (!fatal)
    return;
  if (verdict->fault == KR_GROWTH_NO_INPUT || verdict->fault == KR_GROWTH_NO_KEYFRAME)
    GST_ELEMENT_ERROR (owner, RESOURCE, READ,
                       ("The recording has stalled: %s.", explain_fault (verdict->fault)),
                       ("%s: %s for %.3f s", where, reason, verdict->outage_ns / 1e9));
  else
    GST_ELEMENT_ERROR (owner, RESOURCE, WRITE,
                       ("The recording has stalled: %s.", explain_fault (verdict->fault)),
                       ("%s: %s for %.3f s", where, reason, verdict->outage_ns / 1e9));
}

static void
post_recovered (GstElement *owner, const Reading *reading)
{
  post (owner, gst_structure_new (KR_MSG_GROWTH_RECOVERED, "reason", G_TYPE_STRING,
                                  kr_growth_fault_name (reading->verdict.fault), "outage-ns",
                                  G_TYPE_UINT64, reading->verdict.outage_ns, "location",
                                  G_TYPE_STRING, reading->location, "utc-ns", G_TYPE_UINT64,
                                  (guint64)reading->utc_ns, NULL));
}

/* Called while sampling, with no lock held. */
static void
post_reading (KrGrowthMonitor *monitor, GstElement *owner, const Reading *reading,
              gboolean fatal)
{
  GstStructure *sample;

  /* The news first: the sink's stats may have to wait for the sink. */
  switch (reading->verdict.event) {
  case KR_GROWTH_EVENT_STALLED:
    post_stalled (owner, reading, fatal);
    break;
  case KR_GROWTH_EVENT_RECOVERED:
    post_recovered (owner, reading);
    break;
  case KR_GROWTH_EVENT_NONE:
    break;
  }
  sample = describe_reading (KR_MSG_GROWTH_SAMPLE, reading);
  add_child_stats (sample, monitor->target);
  post (owner, sample);
}

/* --- sampling ---------------------------------------------------------------------------- */

/* What the timer takes over from the other threads for one sample. */
typedef struct {
  GstElement *owner; /* referenced */
  KrGrowthConfig config;
  gboolean fatal, finished, continued;
  GstClockTime paused_ns;
  gboolean follows;
  char *announced;
  guint64 generation, finished_bytes;
} Order;

/* Returns FALSE when there is nothing to sample any more. Takes the lock. */
static gboolean
take_order (KrGrowthMonitor *monitor, Order *ret_order)
{
  gboolean wanted;

  g_mutex_lock (&monitor->lock);
  wanted = monitor->owner != NULL && !monitor->ended && !monitor->held;
  if (wanted) {
    *ret_order = (Order){
        .owner = gst_object_ref (monitor->owner),
        .config = monitor->config,
        .fatal = monitor->fatal,
        .finished = monitor->finished,
        .continued = monitor->continued,
        .paused_ns = monitor->paused_ns,
        .follows = monitor->follows,
        .announced = g_strdup (monitor->announced),
        .generation = monitor->generation,
        .finished_bytes = monitor->finished_bytes,
    };
    monitor->continued = FALSE;
    monitor->paused_ns = 0;
  }
  g_mutex_unlock (&monitor->lock);
  return wanted;
}

static guint64
read_counter (_Atomic guint64 *counter)
{
  return atomic_load_explicit (counter, memory_order_relaxed);
}

/* Whether the sink has been holding one and the same buffer since the last sample. */
static gboolean
is_blocked (KrGrowthMonitor *monitor)
{
  const guint64 left = read_counter (&monitor->counters.left);
  const guint64 entered = read_counter (&monitor->counters.entered);
  const gboolean in_push = entered != left;
  const gboolean blocked = in_push && monitor->was_in_push && entered == monitor->seen_entered;

  monitor->seen_entered = entered;
  monitor->was_in_push = in_push;
  return blocked;
}

static void
look (KrGrowthMonitor *monitor, const Order *order, Reading *reading)
{
  KrGrowthSample *seen = &reading->seen;

  seen->bytes_in = read_counter (&monitor->counters.bytes);
  seen->keyframes = read_counter (&monitor->counters.keyframes);
  seen->blocked = is_blocked (monitor);
  seen->finished_bytes = order->finished_bytes;
  reading->buffers = read_counter (&monitor->counters.buffers);
  if (order->follows) {
    /* Announcements may begin only after the start, from a sink inside the sink. */
    if (monitor->watch == NULL)
      monitor->watch = kr_file_watch_new_follow ();
    kr_file_watch_follow (monitor->watch, order->announced, order->generation);
  }
  if (monitor->watch != NULL) {
    kr_file_watch_look (monitor->watch, seen);
    reading->location = g_strdup (kr_file_watch_path (monitor->watch));
  }
  reading->utc_ns = g_get_real_time () * 1000;
}

/* Called while sampling. Returns FALSE for the first look, which only sets the baseline. */
static gboolean
judge (KrGrowthMonitor *monitor, const Order *order, Reading *reading, GstClockTime now)
{
  KrGrowth *growth = &monitor->growth;

  if (!monitor->started) {
    monitor->started = TRUE;
    kr_growth_start (growth, &reading->seen, now);
    return FALSE;
  }
  if (order->paused_ns > 0) {
    kr_growth_pause (growth, now - MIN (now, order->paused_ns));
    kr_growth_resume (growth, now);
  }
  if (order->continued)
    kr_growth_finish (growth); /* even if the end went by between two samples */
  if (order->finished)
    kr_growth_finish (growth);
  else
    kr_growth_continue (growth, now);
  reading->verdict = kr_growth_step (growth, &order->config, &reading->seen, now);
  return TRUE;
}

/* Takes the lock. */
static void
keep_reading (KrGrowthMonitor *monitor, const Reading *reading)
{
  const KrGrowthVerdict *verdict = &reading->verdict;

  g_mutex_lock (&monitor->lock);
  g_free (monitor->reading.location);
  monitor->reading = *reading;
  monitor->reading.location = g_strdup (reading->location);
  monitor->samples++;
  if (verdict->event == KR_GROWTH_EVENT_STALLED) {
    monitor->stalls++;
    monitor->last_fault = verdict->fault;
  } else if (verdict->event == KR_GROWTH_EVENT_RECOVERED) {
    monitor->stalled_ns += verdict->outage_ns;
  }
  g_mutex_unlock (&monitor->lock);
}

/* Called while sampling. */
static void
take_sample (KrGrowthMonitor *monitor, GstClockTime now)
{
  Reading reading = {.location = NULL};
  Order order;

  if (!take_order (monitor, &order))
    return;
  look (monitor, &order, &reading);
  if (judge (monitor, &order, &reading, now)) {
    keep_reading (monitor, &reading);
    post_reading (monitor, order.owner, &reading, order.fatal);
  }
  g_free (reading.location);
  g_free (order.announced);
  gst_object_unref (order.owner);
}

/* Waits until nobody else is sampling, until @deadline. Takes the lock. */
static gboolean
begin_sampling (KrGrowthMonitor *monitor, gint64 deadline)
{
  gboolean mine;

  g_mutex_lock (&monitor->lock);
  while (monitor->sampling && g_cond_wait_until (&monitor->idle, &monitor->lock, deadline))
    ;
  mine = !monitor->sampling;
  monitor->sampling = TRUE;
  g_mutex_unlock (&monitor->lock);
  return mine;
}

static void
end_sampling (KrGrowthMonitor *monitor)
{
  g_mutex_lock (&monitor->lock);
  monitor->sampling = FALSE;
  g_cond_signal (&monitor->idle);
  g_mutex_unlock (&monitor->lock);
}

/* What is asked of the pipeline, or of the part of it that is locked apart from the rest. */
static gboolean
is_meant_to_play (GstElement *owner)
{
  g_autoptr (GstElement) top = gst_object_ref (owner);
  gboolean active, meant;

  GST_OBJECT_LOCK (owner);
  active = GST_STATE (owner) == GST_STATE_PLAYING ||
           GST_STATE_PENDING (owner) != GST_STATE_VOID_PENDING;
  GST_OBJECT_UNLOCK (owner);
  while (!gst_element_is_locked_state (top)) {
    GstObject *parent = gst_object_get_parent (GST_OBJECT (top));

    if (parent == NULL)
      break;
    gst_object_unref (top);
    top = GST_ELEMENT (parent);
  }
  GST_OBJECT_LOCK (top);
  meant = GST_STATE_TARGET (top) == GST_STATE_PLAYING;
  GST_OBJECT_UNLOCK (top);
  return active && meant;
}

/* Called with the lock held. */
static gboolean
end_hold (KrGrowthMonitor *monitor)
{
  const GstClockTime now = gst_clock_get_time (monitor->clock);

  if (!monitor->held)
    return FALSE;
  monitor->held = FALSE;
  monitor->paused_ns += now - MIN (now, monitor->held_at);
  return TRUE;
}

static void
on_timer (gpointer data, GstClockTime now)
{
  KrGrowthMonitor *monitor = data;
  g_autoptr (GstElement) owner = NULL;

  g_mutex_lock (&monitor->lock);
  if (monitor->owner != NULL)
    owner = gst_object_ref (monitor->owner);
  g_mutex_unlock (&monitor->lock);
  if (owner == NULL)
    return;
  if (!is_meant_to_play (owner)) {
    kr_growth_monitor_hold (monitor);
    return;
  }
  g_mutex_lock (&monitor->lock);
  end_hold (monitor);
  g_mutex_unlock (&monitor->lock);
  if (begin_sampling (monitor, G_MAXINT64)) {
    take_sample (monitor, now);
    end_sampling (monitor);
  }
}

/* --- the interface ----------------------------------------------------------------------- */

void
kr_growth_monitor_configure (KrGrowthMonitor *monitor, const KrGrowthConfig *config,
                             gboolean fatal)
{
  g_mutex_lock (&monitor->lock);
  if (monitor->timer != NULL && monitor->config.interval_ns != config->interval_ns)
    kr_clock_timer_set_interval (monitor->timer, config->interval_ns);
  monitor->config = *config;
  monitor->fatal = fatal;
  g_mutex_unlock (&monitor->lock);
}

void
kr_growth_monitor_start (KrGrowthMonitor *monitor)
{
  g_mutex_lock (&monitor->lock);
  if (monitor->timer == NULL)
    monitor->timer = kr_clock_timer_start (
        "growthmonitor", monitor->clock, monitor->config.interval_ns, on_timer,
        kr_growth_monitor_ref (monitor), (GDestroyNotify)kr_growth_monitor_unref);
  g_mutex_unlock (&monitor->lock);
}

void
kr_growth_monitor_hold (KrGrowthMonitor *monitor)
{
  g_mutex_lock (&monitor->lock);
  if (!monitor->held) {
    monitor->held = TRUE;
    monitor->held_at = gst_clock_get_time (monitor->clock);
  }
  g_mutex_unlock (&monitor->lock);
}

void
kr_growth_monitor_release (KrGrowthMonitor *monitor)
{
  g_mutex_lock (&monitor->lock);
  /* From this moment on, every interval. */
  if (end_hold (monitor) && monitor->timer != NULL)
    kr_clock_timer_set_interval (monitor->timer, monitor->config.interval_ns);
  g_mutex_unlock (&monitor->lock);
}

void
kr_growth_monitor_close (KrGrowthMonitor *monitor)
{
  KrClockTimer *timer;

  g_mutex_lock (&monitor->lock);
  timer = g_steal_pointer (&monitor->timer);
  monitor->owner = NULL;
  g_mutex_unlock (&monitor->lock);
  /* Without a lock: the timer may want every one of them to come to its end. */
  if (timer != NULL && !kr_clock_timer_stop (timer))
    GST_WARNING ("the growth monitor is stuck in the file system; left behind");
}

void
kr_growth_monitor_finish (KrGrowthMonitor *monitor)
{
  g_mutex_lock (&monitor->lock);
  monitor->finished = TRUE;
  g_mutex_unlock (&monitor->lock);
}

void
kr_growth_monitor_continue (KrGrowthMonitor *monitor)
{
  g_mutex_lock (&monitor->lock);
  if (monitor->finished) {
    monitor->finished = monitor->ended = FALSE;
    monitor->continued = TRUE;
  }
  g_mutex_unlock (&monitor->lock);
}

void
kr_growth_monitor_end (KrGrowthMonitor *monitor)
{
  if (begin_sampling (monitor, g_get_monotonic_time () + END_PATIENCE)) {
    if (monitor->started)
      take_sample (monitor, gst_clock_get_time (monitor->clock));
    end_sampling (monitor);
  }
  g_mutex_lock (&monitor->lock);
  monitor->ended = TRUE;
  g_mutex_unlock (&monitor->lock);
}

static guint64
get_uint64 (const GstStructure *structure, const char *field)
{
  guint64 value = 0;

  gst_structure_get_uint64 (structure, field, &value);
  return value;
}

/* The file that is open from now on; NULL = none. Called with the lock held. */
static void
follow (KrGrowthMonitor *monitor, const char *path, guint seq)
{
  g_free (monitor->announced);
  monitor->announced = g_strdup (path);
  monitor->announced_seq = seq;
  monitor->generation++;
}

void
kr_growth_monitor_take_message (KrGrowthMonitor *monitor, GstMessage *message)
{
  const GstStructure *structure = gst_message_get_structure (message);
  const gboolean opened = gst_message_has_name (message, KR_MSG_SEGMENT_OPENED);
  const gboolean closed = gst_message_has_name (message, KR_MSG_SEGMENT_CLOSED);
  const gboolean full = gst_message_has_name (message, KR_MSG_DISK_FULL);
  guint seq = 0;

  if (!opened && !closed && !full)
    return;
  gst_structure_get_uint (structure, "seq", &seq);
  g_mutex_lock (&monitor->lock);
  if (monitor->announcer == NULL && monitor->adopts) {
    monitor->announcer = GST_MESSAGE_SRC (message);
    monitor->follows = TRUE;
  }
  if (monitor->follows && monitor->announcer == GST_MESSAGE_SRC (message)) {
    if (closed)
      monitor->finished_bytes += get_uint64 (structure, "bytes");
    if (opened)
      follow (monitor, gst_structure_get_string (structure, "temp-location"), seq);
    /* A full disk ends the file, and an empty one is removed without being called a segment. */
    else if (monitor->announced != NULL && (full || monitor->announced_seq == seq))
      follow (monitor, NULL, seq);
  }
  g_mutex_unlock (&monitor->lock);
}

GstStructure *
kr_growth_monitor_stats (KrGrowthMonitor *monitor)
{
  GstStructure *stats;

  g_mutex_lock (&monitor->lock);
  stats = describe_reading ("growthmonitor-stats", &monitor->reading);
  gst_structure_set (stats, "bytes-in", G_TYPE_UINT64, read_counter (&monitor->counters.bytes),
                     "buffers", G_TYPE_UINT64, read_counter (&monitor->counters.buffers),
                     "keyframes", G_TYPE_UINT64, read_counter (&monitor->counters.keyframes),
                     "samples", G_TYPE_UINT64, monitor->samples, "stalls", G_TYPE_UINT64,
                     monitor->stalls, "stalled-ns", G_TYPE_UINT64, monitor->stalled_ns,
                     "reason", G_TYPE_STRING, kr_growth_fault_name (monitor->last_fault), NULL);
  g_mutex_unlock (&monitor->lock);
  add_child_stats (stats, monitor->target);
  return stats;
}
