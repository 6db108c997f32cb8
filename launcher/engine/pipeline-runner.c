/* keeprolling - runs one pipeline and keeps it running
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/pipeline-runner.h"

#include <gst/base/gstbasesink.h>

#include "launcher/core/complaints.h"
#include "launcher/core/pipeline-policy.h"
#include "launcher/engine/build.h"
#include "launcher/engine/bus-watch.h"
#include "launcher/engine/collector.h"
#include "launcher/engine/drain.h"
#include "launcher/engine/engine.h"
#include "launcher/engine/fault.h"
#include "launcher/engine/hang.h"
#include "launcher/engine/pad-keeper.h"
#include "launcher/engine/source-set.h"
#include "plugins/common/messages.h"

/* A file that still does not grow this long after all sources deliver again is our fault. */
#define STALL_GRACE_US (5 * G_TIME_SPAN_SECOND)
/* When a file sink waits this long for its disk, then a teardown waits for that. */
#define SLOW_DISK_US G_TIME_SPAN_SECOND

typedef struct {
  KrPipelineEvent event;
  KrCause cause;
  char *text; /* why, NULL = nothing to say */
} Pending;

struct _KrPipelineRunner {
  const KrPipelineSpec *spec;
  GstClock *clock;
  const KrPipelineRunnerCallbacks *callbacks;
  gpointer data;
  GMainContext *context;

  KrPipelinePolicy policy;
  KrCollector *collector;
  KrSourceSet *sources;
  KrComplaints *complaints;
  GSource *timer; /* policy.deadline */
  GQueue pending; /* of Pending */
  gboolean handling;
  gint64 state_utc_us;

  /* The present incarnation; NULL = none. */
  KrBuild *build;
  KrBusWatch *bus;
  GPtrArray *keepers;
  KrDrain *drain;
  GSource *drain_timer;
  gboolean start_pending; /* its state change has not returned */
  gboolean plays;         /* it has been PLAYING */
  gboolean stuck;         /* something in it hangs: do not wait for its teardown */
  gint64 teardown_at;     /* monotonic; 0 = it is not being taken down */

  gint64 fault_at; /* the fault whose end has not been reported; 0 = none */
  guint64 abandoned;
  char *last_reason;
  double last_recovery_s;
};

static void feed (KrPipelineRunner *runner, KrPipelineEvent event, KrCause cause,
                  const char *text);

/* --- telling -------------------------------------------------------------------------- */

static void
tell (KrPipelineRunner *runner, KrWorkerEventKind kind, const char *text, GVariant *details)
{
  g_autoptr (GVariant) owned = details != NULL ? g_variant_ref_sink (details) : NULL;

  runner->callbacks->event (runner, kind, text, owned, runner->data);
}

static void
on_collected (KrWorkerEventKind kind, const char *text, GVariant *details, gpointer data)
{
  tell (data, kind, text, details);
}

static void
set_reason (KrPipelineRunner *runner, const char *text)
{
  g_free (runner->last_reason);
  runner->last_reason = g_strdup (text);
}

static void
tell_verdict (KrPipelineRunner *runner, const Pending *pending, gint64 now)
{
  KrPipelinePolicy *policy = &runner->policy;
  const char *why = pending->text != NULL ? pending->text : "the stream has ended";
  double delay = (double)MAX (policy->restart_at - now, 0) / G_TIME_SPAN_SECOND;
  g_autofree char *text = NULL;
  GVariantDict details;

  set_reason (runner, why);
  g_variant_dict_init (&details, NULL);
  g_variant_dict_insert (&details, "cause", "s", kr_cause_name (policy->last_cause));
  switch (policy->after) {
  case KR_AFTER_RESTART:
    runner->fault_at = runner->fault_at != 0 ? runner->fault_at : now;
    g_variant_dict_insert (&details, "delay-s", "d", delay);
    if (delay > 0)
      text = g_strdup_printf ("%s; rebuilding the pipeline in %.1f s", why, delay);
    else
      text = g_strdup_printf ("%s; rebuilding the pipeline at once", why);
    tell (runner, KR_WORKER_EVENT_RESTART, text, g_variant_dict_end (&details));
    break;
  case KR_AFTER_STOPPED:
    text = g_strdup_printf ("%s; not started again: Restart=%s", why,
                            runner->spec->restart == KR_RESTART_NO ? "no" : "on-failure");
    tell (runner, KR_WORKER_EVENT_STATE, text, g_variant_dict_end (&details));
    break;
  case KR_AFTER_FAILED:
    if (policy->last_cause == KR_CAUSE_CONFIG)
      text =
          g_strdup_printf ("%s; given up after %d tries: the pipeline file must be corrected",
                           why, KR_CONFIG_ATTEMPTS);
    else
      text =
          g_strdup_printf ("%s; given up after %u restarts within %.0f s: the worker must be "
                           "replaced",
                           why, policy->restart.limits.burst,
                           (double)policy->restart.limits.interval_us / G_TIME_SPAN_SECOND);
    tell (runner, KR_WORKER_EVENT_FAILED, text, g_variant_dict_end (&details));
    break;
  }
}

static void
tell_recovery (KrPipelineRunner *runner, const char *text, double seconds)
{
  GVariantDict details;

  runner->last_recovery_s = seconds;
  g_variant_dict_init (&details, NULL);
  g_variant_dict_insert (&details, "seconds", "d", seconds);
  tell (runner, KR_WORKER_EVENT_RECOVERED, text, g_variant_dict_end (&details));
}

/* Data flows: if it did not before, that was an outage and this is its end. */
static void
note_recovery (KrPipelineRunner *runner)
{
  g_autofree char *text = NULL;
  double seconds;

  if (runner->fault_at == 0)
    return;
  seconds = (double)(g_get_monotonic_time () - runner->fault_at) / G_TIME_SPAN_SECOND;
  runner->fault_at = 0;
  text = g_strdup_printf ("runs again after %.1f s", seconds);
  tell_recovery (runner, text, seconds);
}

/* --- sources -------------------------------------------------------------------------- */

static void
update_flow (KrPipelineRunner *runner)
{
  if (runner->build == NULL)
    return;
  feed (runner,
        kr_source_set_update_flow (runner->sources) ? KR_PIPELINE_EVENT_FLOWING
                                                    : KR_PIPELINE_EVENT_SILENT,
        0, NULL);
}

static void
on_source (KrSourceWatch *watch, KrSourceWatchEvent event, const char *text, double seconds,
           gpointer data)
{
  KrPipelineRunner *runner = data;

  switch (event) {
  case KR_SOURCE_WATCH_LOST:
    set_reason (runner, text);
    tell (runner, KR_WORKER_EVENT_RECONNECT, text, NULL);
    break;
  case KR_SOURCE_WATCH_UNREACHED:
    /* Said once when it was lost; the tries in between are not news. */
    break;
  case KR_SOURCE_WATCH_BACK:
    tell_recovery (runner, text, seconds);
    /* fall through */
  case KR_SOURCE_WATCH_FIRST:
    note_recovery (runner);
    break;
  case KR_SOURCE_WATCH_STUCK:
    runner->stuck = TRUE;
    feed (runner, KR_PIPELINE_EVENT_FAULT, KR_CAUSE_SOURCE, text);
    return;
  case KR_SOURCE_WATCH_HOPELESS:
    feed (runner, KR_PIPELINE_EVENT_FAULT, KR_CAUSE_PIPELINE, text);
    return;
  }
  update_flow (runner);
}

/* A bin goes on to PLAYING only when all its sinks have had data: with one feed absent every
 * other sink would sit on its first buffer. In a live pipeline nobody needs that preroll. */
static void
free_sinks (GstBin *pipeline)
{
  g_autoptr (GPtrArray) elements = kr_engine_list_elements (pipeline);

  for (guint i = 0; i < elements->len; i++) {
    GstElement *element = g_ptr_array_index (elements, i);

    if (GST_IS_BASE_SINK (element))
      gst_base_sink_set_async_enabled (GST_BASE_SINK (element), FALSE);
  }
}

static void
watch_sources (KrPipelineRunner *runner)
{
  kr_source_set_attach (runner->sources, runner->build);
  if (kr_source_set_get_n_sources (runner->sources) == 0)
    return;
  runner->keepers = kr_pad_keeper_find (kr_build_get_pipeline (runner->build));
  free_sinks (kr_build_get_pipeline (runner->build));
}

/* --- bus ------------------------------------------------------------------------------ */

static void
take_error (KrPipelineRunner *runner, GstMessage *message)
{
  g_autofree char *text = kr_fault_text (message);
  KrCause cause = kr_fault_cause (message);
  KrSourceWatch *watch = kr_source_set_find (runner->sources, GST_MESSAGE_SRC (message));

  if (watch == NULL || cause == KR_CAUSE_PIPELINE) {
    feed (runner, KR_PIPELINE_EVENT_FAULT, cause, text);
  } else if (runner->drain != NULL) {
    /* Its EOS comes all the same, else the drain sends one behind it. */
  } else if (runner->start_pending) {
    /* Whether it spoils the start is known when the state change returns. */
    kr_source_set_blame (runner->sources, watch, text);
    if (cause == KR_CAUSE_CONFIG)
      feed (runner, KR_PIPELINE_EVENT_FAULT, cause, text);
  } else {
    kr_source_watch_failed (watch, text);
  }
}

/* What an element says without giving up. While a source is silent this is why: "wrong
 * passphrase" tells more than "no data". */
static void
take_warning (KrPipelineRunner *runner, GstMessage *message)
{
  g_autofree char *text = kr_fault_text (message);
  g_autofree char *more = NULL;
  guint64 unsaid;
  KrSourceWatch *watch = kr_source_set_find (runner->sources, GST_MESSAGE_SRC (message));

  if (kr_collector_has_told (runner->collector, message))
    return;
  if (watch != NULL && kr_source_watch_is_silent (watch) &&
      g_strcmp0 (runner->last_reason, text) != 0)
    set_reason (runner, text);
  if (!kr_complaints_take (runner->complaints, text, g_get_monotonic_time (), &unsaid))
    return;
  if (unsaid > 0)
    more = g_strdup_printf ("%s (and %" G_GUINT64_FORMAT " times since it was last told)", text,
                            unsaid);
  tell (runner, KR_WORKER_EVENT_WARNING, more != NULL ? more : text, NULL);
}

/* It plays, or waits for nothing but its live sources. */
static void
note_started (KrPipelineRunner *runner)
{
  feed (runner, KR_PIPELINE_EVENT_STARTED, 0, NULL);
  if (runner->build != NULL && kr_source_set_get_n_sources (runner->sources) == 0)
    note_recovery (runner);
}

static void
take_state_change (KrPipelineRunner *runner, GstMessage *message)
{
  GstState state;

  gst_message_parse_state_changed (message, NULL, &state, NULL);
  if (state != GST_STATE_PLAYING)
    return;
  /* This can come before the state change itself has returned; then on_started() goes on. */
  runner->plays = TRUE;
  if (!runner->start_pending && runner->policy.state == KR_PIPELINE_STARTING)
    note_started (runner);
}

/* As gst-launch-1.0 does: a live pipeline is never paused for it. */
static void
take_buffering (KrPipelineRunner *runner, GstMessage *message)
{
  int percent = 100;

  gst_message_parse_buffering (message, &percent);
  if (kr_build_is_live (runner->build) || runner->drain != NULL)
    return;
  kr_build_set_state (runner->build, percent < 100 ? GST_STATE_PAUSED : GST_STATE_PLAYING);
}

static void
take_request (KrPipelineRunner *runner, GstMessage *message)
{
  g_autofree char *text = NULL;
  GstState state;

  gst_message_parse_request_state (message, &state);
  if (state >= GST_STATE_PAUSED) {
    kr_build_set_state (runner->build, state);
    return;
  }
  text = g_strdup_printf ("%s asks for the end", GST_MESSAGE_SRC_NAME (message));
  feed (runner, KR_PIPELINE_EVENT_EOS, 0, text);
}

/* A stall while a source is away is the source's, and so is one in which it delivers the wrong
 * thing; one that stays when all sources deliver is a pipeline that must be rebuilt. */
static void
judge_stall (KrPipelineRunner *runner)
{
  const char *stall = kr_collector_get_stall (runner->collector);
  g_autofree char *text = NULL;
  gint64 flowing_since;

  if (stall == NULL || g_str_equal (stall, KR_STALL_NO_KEYFRAME) ||
      g_str_equal (stall, KR_STALL_BELOW_MIN_RATE) || g_str_equal (stall, KR_STALL_NOT_TS) ||
      runner->policy.state != KR_PIPELINE_PLAYING ||
      kr_collector_report (runner->collector)->disk_full)
    return;
  flowing_since = kr_source_set_get_flowing_since (runner->sources);
  if (flowing_since == G_MAXINT64 || g_get_monotonic_time () - flowing_since < STALL_GRACE_US)
    return;
  text = g_strdup_printf ("the recording does not grow although data comes (%s)", stall);
  feed (runner, KR_PIPELINE_EVENT_FAULT, KR_CAUSE_PIPELINE, text);
}

/* Until the source delivers what it should, that is what people must read. */
static void
note_alien (KrPipelineRunner *runner)
{
  const char *alien = kr_collector_get_alien (runner->collector);

  if (alien != NULL && g_strcmp0 (runner->last_reason, alien) != 0)
    set_reason (runner, alien);
}

static void
take_message (GstMessage *message, gpointer data)
{
  KrPipelineRunner *runner = data;

  switch (GST_MESSAGE_TYPE (message)) {
  case GST_MESSAGE_ERROR:
    take_error (runner, message);
    break;
  case GST_MESSAGE_WARNING:
    take_warning (runner, message);
    break;
  case GST_MESSAGE_EOS:
    feed (runner, KR_PIPELINE_EVENT_EOS, 0, NULL);
    break;
  case GST_MESSAGE_ELEMENT:
    kr_collector_take (runner->collector, message);
    note_alien (runner);
    judge_stall (runner);
    break;
  case GST_MESSAGE_LATENCY:
    kr_build_recalculate_latency (runner->build);
    break;
  case GST_MESSAGE_CLOCK_LOST:
    kr_build_set_state (runner->build, GST_STATE_PAUSED);
    kr_build_set_state (runner->build, GST_STATE_PLAYING);
    break;
  case GST_MESSAGE_BUFFERING:
    take_buffering (runner, message);
    break;
  case GST_MESSAGE_REQUEST_STATE:
    take_request (runner, message);
    break;
  case GST_MESSAGE_STATE_CHANGED:
    take_state_change (runner, message);
    break;
  default:
    break;
  }
}

/* --- carrying out --------------------------------------------------------------------- */

static void
destroy_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
end_drain (KrPipelineRunner *runner)
{
  destroy_source (&runner->drain_timer);
  g_clear_pointer (&runner->drain, kr_drain_free);
}

/* The incarnation is gone or left behind: forget it, keep its numbers. */
static void
drop_build (KrPipelineRunner *runner)
{
  if (runner->build == NULL)
    return;
  runner->teardown_at = 0;
  end_drain (runner);
  kr_collector_detach (runner->collector);
  kr_source_set_detach (runner->sources);
  g_clear_pointer (&runner->bus, kr_bus_watch_free);
  g_clear_pointer (&runner->keepers, g_ptr_array_unref);
  g_clear_pointer (&runner->build, kr_build_unref);
}

static void
on_torn_down (KrBuild *build, int result, gpointer data)
{
  KrPipelineRunner *runner = data;

  if (runner->build != build)
    return;
  kr_bus_watch_read_rest (runner->bus, GST_MESSAGE_ELEMENT);
  kr_collector_report (runner->collector);
  drop_build (runner);
  feed (runner, KR_PIPELINE_EVENT_TORN_DOWN, 0, NULL);
}

static void
tear_down (KrPipelineRunner *runner)
{
  end_drain (runner);
  kr_source_set_let_eos (runner->sources);
  if (runner->stuck) {
    /* Waiting for it would only add its hang to the outage. */
    runner->abandoned++;
    kr_build_abandon (runner->build);
    drop_build (runner);
    feed (runner, KR_PIPELINE_EVENT_TORN_DOWN, 0, NULL);
    return;
  }
  runner->teardown_at = g_get_monotonic_time ();
  kr_build_tear_down (runner->build, on_torn_down, runner);
}

static void
abandon (KrPipelineRunner *runner)
{
  tell (runner, KR_WORKER_EVENT_STATE,
        "the pipeline hangs while it is taken down; leaving it behind, its file keeps its "
        "temporary name for now",
        NULL);
  runner->abandoned++;
  kr_build_abandon (runner->build);
  drop_build (runner);
}

static gboolean
on_drain_tick (gpointer data)
{
  KrPipelineRunner *runner = data;

  kr_drain_tick (runner->drain);
  return G_SOURCE_CONTINUE;
}

static gboolean
source_is_dead (GstElement *element, gpointer data)
{
  KrPipelineRunner *runner = data;
  KrSourceWatch *watch = kr_source_set_find (runner->sources, GST_OBJECT (element));

  return watch != NULL && kr_source_watch_is_dead (watch);
}

static void
drain (KrPipelineRunner *runner)
{
  kr_source_set_let_eos (runner->sources);
  for (guint i = 0; runner->keepers != NULL && i < runner->keepers->len; i++)
    kr_pad_keeper_let_eos (g_ptr_array_index (runner->keepers, i));
  runner->drain = kr_drain_new (kr_build_get_pipeline (runner->build), source_is_dead, runner);
  runner->drain_timer = g_timeout_source_new (KR_DRAIN_INTERVAL_MS);
  g_source_set_callback (runner->drain_timer, on_drain_tick, runner, NULL);
  g_source_attach (runner->drain_timer, runner->context);
}

static void
take_failed_start (KrPipelineRunner *runner)
{
  g_autofree char *text = kr_source_set_take_blame (runner->sources);

  if (text != NULL)
    feed (runner, KR_PIPELINE_EVENT_FAULT, KR_CAUSE_SOURCE, text);
  else
    feed (runner, KR_PIPELINE_EVENT_FAULT, KR_CAUSE_PIPELINE,
          "an element refused to start and did not say why");
}

static void
on_started (KrBuild *build, int result, gpointer data)
{
  KrPipelineRunner *runner = data;

  if (runner->build != build)
    return;
  /* Errors posted meanwhile say more than the result. */
  kr_bus_watch_read_rest (runner->bus, GST_MESSAGE_ANY);
  if (runner->build != build)
    return;
  runner->start_pending = FALSE;
  if (runner->policy.state != KR_PIPELINE_STARTING)
    return;
  if (result == GST_STATE_CHANGE_FAILURE) {
    take_failed_start (runner);
    return;
  }
  kr_source_set_start (runner->sources);
  /* A live pipeline counts as started now: it may wait long for the first data. */
  if (runner->plays || kr_build_is_live (build) ||
      kr_source_set_get_n_sources (runner->sources) > 0 || result == GST_STATE_CHANGE_SUCCESS)
    note_started (runner);
}

static void
build (KrPipelineRunner *runner)
{
  g_autoptr (GError) error = NULL;

  runner->stuck = FALSE;
  runner->plays = FALSE;
  runner->build = kr_build_new (runner->spec->launch, runner->clock, &error);
  if (runner->build == NULL) {
    feed (runner, KR_PIPELINE_EVENT_FAULT, KR_CAUSE_CONFIG, error->message);
    return;
  }
  runner->bus = kr_bus_watch_new (GST_ELEMENT (kr_build_get_pipeline (runner->build)),
                                  take_message, runner);
  watch_sources (runner);
  kr_collector_attach (runner->collector, kr_build_get_pipeline (runner->build));
  runner->start_pending = TRUE;
  kr_build_start (runner->build, on_started, runner);
}

/* --- the policy ----------------------------------------------------------------------- */

static gboolean
on_timer (gpointer data)
{
  KrPipelineRunner *runner = data;
  gboolean starting = runner->policy.state == KR_PIPELINE_STARTING;
  g_autofree char *text = NULL;

  destroy_source (&runner->timer);
  if (starting) {
    /* In a state change it cannot be torn down either. */
    runner->stuck = runner->start_pending;
    text = g_strdup_printf ("the pipeline has not started within %.1f s",
                            (double)runner->spec->timeout_start_us / G_TIME_SPAN_SECOND);
  }
  feed (runner, KR_PIPELINE_EVENT_TICK, 0, text);
  return G_SOURCE_REMOVE;
}

static void
arm (KrPipelineRunner *runner)
{
  gint64 ms;

  destroy_source (&runner->timer);
  if (runner->policy.deadline == G_MAXINT64)
    return;
  ms = (runner->policy.deadline - g_get_monotonic_time () + 999) / 1000;
  runner->timer = g_timeout_source_new ((guint)CLAMP (ms, 0, G_MAXINT));
  g_source_set_callback (runner->timer, on_timer, runner, NULL);
  g_source_attach (runner->timer, runner->context);
}

static gboolean
is_verdict (const Pending *pending, KrPipelineState before, KrPipelineState after)
{
  return after == KR_PIPELINE_STOPPING && before != KR_PIPELINE_STOPPING &&
         (pending->event == KR_PIPELINE_EVENT_FAULT ||
          pending->event == KR_PIPELINE_EVENT_EOS || pending->event == KR_PIPELINE_EVENT_TICK);
}

static void
handle (KrPipelineRunner *runner, const Pending *pending)
{
  KrPipelinePolicy *policy = &runner->policy;
  KrPipelineState before = policy->state;
  gint64 now = g_get_monotonic_time ();
  KrPipelineActions actions;

  if (!kr_pipeline_policy_handle (policy, pending->event, pending->cause, now, &actions))
    return;
  arm (runner);
  if (is_verdict (pending, before, policy->state))
    tell_verdict (runner, pending, now);
  if (actions & KR_PIPELINE_ACTION_ABANDON)
    abandon (runner);
  if (actions & KR_PIPELINE_ACTION_DRAIN)
    drain (runner);
  if (actions & KR_PIPELINE_ACTION_TEARDOWN) {
    if (runner->build != NULL)
      tear_down (runner);
    else /* its text could not even be built */
      feed (runner, KR_PIPELINE_EVENT_TORN_DOWN, 0, NULL);
  }
  if (actions & KR_PIPELINE_ACTION_BUILD)
    build (runner);
  if (actions & KR_PIPELINE_ACTION_CHANGED) {
    runner->state_utc_us = g_get_real_time ();
    runner->callbacks->state_changed (runner, policy->state, runner->data);
  }
}

static void
pending_free (Pending *pending)
{
  g_free (pending->text);
  g_free (pending);
}

/* Events can come out of carrying out others; each is finished before the next begins. */
static void
feed (KrPipelineRunner *runner, KrPipelineEvent event, KrCause cause, const char *text)
{
  Pending *pending = g_new0 (Pending, 1);

  *pending = (Pending){event, cause, g_strdup (text)};
  g_queue_push_tail (&runner->pending, pending);
  if (runner->handling)
    return;
  runner->handling = TRUE;
  while ((pending = g_queue_pop_head (&runner->pending)) != NULL) {
    handle (runner, pending);
    pending_free (pending);
  }
  runner->handling = FALSE;
}

/* --- for the worker ------------------------------------------------------------------- */

static double
random_double (gpointer data)
{
  return g_random_double ();
}

KrPipelineRunner *
kr_pipeline_runner_new (const KrPipelineSpec *spec, GstClock *clock,
                        const KrPipelineRunnerCallbacks *callbacks, gpointer data)
{
  KrPipelineRunner *runner = g_new0 (KrPipelineRunner, 1);

  runner->spec = spec;
  runner->clock = gst_object_ref (clock);
  runner->callbacks = callbacks;
  runner->data = data;
  runner->context = g_main_context_ref_thread_default ();
  g_queue_init (&runner->pending);
  runner->complaints = kr_complaints_new ();
  runner->collector = kr_collector_new (spec->name, spec->camera, on_collected, runner);
  runner->sources =
      kr_source_set_new (spec->source_timeout_us, spec->timeout_start_us, on_source, runner);
  runner->last_reason = g_strdup ("");
  runner->last_recovery_s = -1;
  runner->state_utc_us = g_get_real_time ();
  kr_pipeline_policy_init (&runner->policy, spec, random_double, NULL, g_get_monotonic_time ());
  return runner;
}

void
kr_pipeline_runner_free (KrPipelineRunner *runner)
{
  if (runner == NULL)
    return;
  destroy_source (&runner->timer);
  if (runner->build != NULL) {
    kr_build_abandon (runner->build);
    drop_build (runner);
  }
  g_queue_clear_full (&runner->pending, (GDestroyNotify)pending_free);
  kr_source_set_free (runner->sources);
  kr_collector_free (runner->collector);
  kr_complaints_free (runner->complaints);
  kr_pipeline_policy_clear (&runner->policy);
  gst_object_unref (runner->clock);
  g_main_context_unref (runner->context);
  g_free (runner->last_reason);
  g_free (runner);
}

void
kr_pipeline_runner_start (KrPipelineRunner *runner)
{
  feed (runner, KR_PIPELINE_EVENT_START, 0, NULL);
}

void
kr_pipeline_runner_stop (KrPipelineRunner *runner)
{
  feed (runner, KR_PIPELINE_EVENT_STOP, 0, NULL);
}

void
kr_pipeline_runner_force (KrPipelineRunner *runner)
{
  feed (runner, KR_PIPELINE_EVENT_FORCE, 0, NULL);
}

KrPipelineState
kr_pipeline_runner_get_state (KrPipelineRunner *runner)
{
  return runner->policy.state;
}

const char *
kr_pipeline_runner_get_name (KrPipelineRunner *runner)
{
  return runner->spec->name;
}

KrCause
kr_pipeline_runner_get_cause (KrPipelineRunner *runner)
{
  return runner->policy.last_cause;
}

gint64
kr_pipeline_runner_get_io_age (KrPipelineRunner *runner)
{
  return kr_collector_get_io_age (runner->collector);
}

/* What does not come back, where nobody outside is to blame for it. A stop that somebody asked
 * for has its own deadline. */
static void
report_hang (KrPipelineRunner *runner, KrPipelineReport *report)
{
  const KrPipelinePolicy *policy = &runner->policy;
  gboolean closing = runner->teardown_at != 0 && policy->after != KR_AFTER_STOPPED;

  if (runner->build == NULL || (policy->state != KR_PIPELINE_PLAYING && !closing))
    return;
  if (report->disk_full || kr_collector_get_io_age (runner->collector) >= SLOW_DISK_US)
    return;
  report->blocked_us = kr_source_set_get_blocked (runner->sources, &report->blocked_by);
  if (closing)
    report->teardown_us = g_get_monotonic_time () - runner->teardown_at;
  else if (report->blocked_us > 0 && kr_hang_is_in_sink (kr_build_get_pipeline (runner->build)))
    report->blocked_us = 0;
  if (report->teardown_us >= SLOW_DISK_US / 4 && report->blocked_by == NULL)
    report->blocked_by = kr_hang_find_in (kr_build_get_pipeline (runner->build));
}

KrPipelineReport *
kr_pipeline_runner_report (KrPipelineRunner *runner)
{
  KrPipelineReport *report = kr_pipeline_report_copy (kr_collector_report (runner->collector));
  gint64 now = g_get_monotonic_time ();

  report->state = runner->policy.state;
  report->since_utc_us = runner->state_utc_us;
  if (runner->policy.state == KR_PIPELINE_BACKOFF)
    report->next_start_utc_us = g_get_real_time () + runner->policy.deadline - now;
  kr_source_set_report (runner->sources, report);
  report->restarts = runner->policy.restarts;
  for (guint i = 0; i < KR_N_CAUSES; i++)
    kr_pipeline_report_count (report->restart_causes, kr_cause_name (i),
                              runner->policy.restarts_by_cause[i]);
  report->abandoned = runner->abandoned;
  report_hang (runner, report);
  report->last_recovery_s = runner->last_recovery_s;
  g_free (report->last_reason);
  report->last_reason = g_strdup (runner->last_reason);
  return report;
}
