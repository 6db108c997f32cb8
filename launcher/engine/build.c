/* keeprolling - one incarnation of a pipeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/build.h"

#include <stdatomic.h>

#include "launcher/engine/job.h"
#include "launcher/engine/source-watch.h"

/* More requests than this at once are an element gone wild. */
#define MAX_PENDING 32

typedef enum { OP_START, OP_SET_STATE, OP_LATENCY } OpKind;

typedef struct {
  KrBuild *build;
  OpKind kind;
  GstState state;
  KrBuildDone done;
  gpointer data;
} Op;

struct _KrBuild {
  int ref_count; /* g_atomic_int_*() is inlined: the thread sanitizer sees it */
  GstElement *pipeline;
  GPtrArray *watches;
  atomic_bool is_live;

  /* Held during every operation, so that none can overtake the teardown. */
  GMutex op_lock;
  atomic_bool closing;

  /* Main thread. */
  GQueue pending;
  Op *running;
  KrJob *job;
  KrJob *teardown;
  KrBuildDone torn_down;
  gpointer torn_down_data;
};

static KrBuild *
build_ref (KrBuild *build)
{
  g_atomic_int_inc (&build->ref_count);
  return build;
}

void
kr_build_unref (KrBuild *build)
{
  if (!g_atomic_int_dec_and_test (&build->ref_count))
    return;
  g_ptr_array_unref (build->watches);
  gst_object_unref (build->pipeline);
  g_mutex_clear (&build->op_lock);
  g_free (build);
}

/* One element alone is a pipeline too. */
static GstElement *
as_pipeline (GstElement *element)
{
  GstElement *pipeline;

  if (GST_IS_PIPELINE (element))
    return gst_object_ref_sink (element);
  pipeline = gst_object_ref_sink (gst_pipeline_new (NULL));
  gst_bin_add (GST_BIN (pipeline), element);
  return pipeline;
}

KrBuild *
kr_build_new (const char *launch, GstClock *clock, GError **error)
{
  GstElement *element =
      gst_parse_launch_full (launch, NULL, GST_PARSE_FLAG_FATAL_ERRORS, error);
  KrBuild *build;

  if (element == NULL)
    return NULL;
  build = g_new0 (KrBuild, 1);
  build->ref_count = 1;
  g_mutex_init (&build->op_lock);
  g_queue_init (&build->pending);
  build->pipeline = as_pipeline (element);
  build->watches = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_source_watch_unref);
  gst_pipeline_use_clock (GST_PIPELINE (build->pipeline), clock);
  /* What a sink says while it closes its file must be read after the teardown. */
  gst_pipeline_set_auto_flush_bus (GST_PIPELINE (build->pipeline), FALSE);
  return build;
}

GstBin *
kr_build_get_pipeline (KrBuild *build)
{
  return GST_BIN (build->pipeline);
}

GPtrArray *
kr_build_get_watches (KrBuild *build)
{
  return build->watches;
}

gboolean
kr_build_is_live (KrBuild *build)
{
  return atomic_load (&build->is_live);
}

gboolean
kr_build_is_busy (KrBuild *build)
{
  return build->job != NULL;
}

/* --- operations ----------------------------------------------------------------------- */

static int
start_in_thread (KrBuild *build)
{
  GstStateChangeReturn result = gst_element_set_state (build->pipeline, GST_STATE_PAUSED);

  /* It may have taken so long that nobody wants it any more. */
  if (result == GST_STATE_CHANGE_FAILURE || atomic_load (&build->closing))
    return result;
  atomic_store (&build->is_live, result == GST_STATE_CHANGE_NO_PREROLL);
  return gst_element_set_state (build->pipeline, GST_STATE_PLAYING);
}

static int
op_in_thread (gpointer data)
{
  Op *op = data;
  KrBuild *build = op->build;
  int result = GST_STATE_CHANGE_FAILURE;

  g_mutex_lock (&build->op_lock);
  if (!atomic_load (&build->closing)) {
    switch (op->kind) {
    case OP_START:
      result = start_in_thread (build);
      break;
    case OP_SET_STATE:
      result = gst_element_set_state (build->pipeline, op->state);
      break;
    case OP_LATENCY:
      result = gst_bin_recalculate_latency (GST_BIN (build->pipeline));
      break;
    }
  }
  g_mutex_unlock (&build->op_lock);
  return result;
}

static void
op_free (gpointer data)
{
  Op *op = data;

  kr_build_unref (op->build);
  g_free (op);
}

static void run_next (KrBuild *build);

static void
on_op_done (int result, gpointer user_data)
{
  KrBuild *build = user_data;
  Op *op = build->running;

  build->job = NULL;
  build->running = NULL;
  if (op->done != NULL && !atomic_load (&build->closing))
    op->done (build, result, op->data);
  op_free (op);
  run_next (build);
  kr_build_unref (build);
}

static void
run_next (KrBuild *build)
{
  if (build->job != NULL || atomic_load (&build->closing))
    return;
  build->running = g_queue_pop_head (&build->pending);
  if (build->running == NULL)
    return;
  build->job = kr_job_start ("kr-state", op_in_thread, build->running, NULL, on_op_done,
                             build_ref (build));
  if (build->job == NULL)
    on_op_done (GST_STATE_CHANGE_FAILURE, build);
}

static void
push_op (KrBuild *build, OpKind kind, GstState state, KrBuildDone done, gpointer data)
{
  Op *op;

  if (atomic_load (&build->closing) || g_queue_get_length (&build->pending) >= MAX_PENDING)
    return;
  op = g_new0 (Op, 1);
  *op = (Op){build_ref (build), kind, state, done, data};
  g_queue_push_tail (&build->pending, op);
  run_next (build);
}

void
kr_build_start (KrBuild *build, KrBuildDone done, gpointer data)
{
  push_op (build, OP_START, GST_STATE_PLAYING, done, data);
}

void
kr_build_set_state (KrBuild *build, GstState state)
{
  push_op (build, OP_SET_STATE, state, NULL, NULL);
}

void
kr_build_recalculate_latency (KrBuild *build)
{
  /* One that has not begun yet will see everything. */
  for (GList *item = build->pending.head; item != NULL; item = item->next)
    if (((Op *)item->data)->kind == OP_LATENCY)
      return;
  push_op (build, OP_LATENCY, GST_STATE_VOID_PENDING, NULL, NULL);
}

/* --- the end -------------------------------------------------------------------------- */

static int
tear_down_in_thread (gpointer data)
{
  KrBuild *build = data;
  int result;

  for (guint i = 0; i < build->watches->len; i++) {
    KrSourceWatch *watch = g_ptr_array_index (build->watches, i);

    kr_source_watch_close (watch);
    /* One that was held back is locked: the pipeline would leave it as it is. */
    gst_element_set_locked_state (kr_source_watch_get_element (watch), FALSE);
  }
  g_mutex_lock (&build->op_lock);
  result = gst_element_set_state (build->pipeline, GST_STATE_NULL);
  g_mutex_unlock (&build->op_lock);
  return result;
}

static void
on_torn_down (int result, gpointer user_data)
{
  KrBuild *build = user_data;
  KrBuildDone done = build->torn_down;

  build->teardown = NULL;
  build->torn_down = NULL;
  if (done != NULL)
    done (build, result, build->torn_down_data);
  kr_build_unref (build);
}

void
kr_build_tear_down (KrBuild *build, KrBuildDone done, gpointer data)
{
  Op *op;

  g_return_if_fail (build->teardown == NULL);
  atomic_store (&build->closing, TRUE);
  while ((op = g_queue_pop_head (&build->pending)) != NULL)
    op_free (op);
  build->torn_down = done;
  build->torn_down_data = data;
  build->teardown =
      kr_job_start ("kr-teardown", tear_down_in_thread, build_ref (build),
                    (GDestroyNotify)kr_build_unref, on_torn_down, build_ref (build));
  if (build->teardown == NULL) {
    /* No thread to be had: better a short stop of everything than a zombie. */
    tear_down_in_thread (build);
    kr_build_unref (build);
    on_torn_down (GST_STATE_CHANGE_SUCCESS, build);
  }
}

static int
switch_off (gpointer data)
{
  return gst_element_set_state (data, GST_STATE_NULL);
}

void
kr_build_abandon (KrBuild *build)
{
  g_autoptr (GstIterator) iterator = gst_bin_iterate_elements (GST_BIN (build->pipeline));
  GValue item = G_VALUE_INIT;

  if (build->teardown == NULL)
    kr_build_tear_down (build, NULL, NULL);
  build->torn_down = NULL;
  /* Sinks come first: so iterates a bin that had them added last. The order does not matter
   * for correctness, each has a thread of its own. */
  while (gst_iterator_next (iterator, &item) == GST_ITERATOR_OK) {
    GstElement *element = g_value_dup_object (&item);

    if (kr_job_start ("kr-switch-off", switch_off, element, gst_object_unref, NULL, NULL) ==
        NULL)
      gst_object_unref (element);
    g_value_reset (&item);
  }
  g_value_unset (&item);
}
