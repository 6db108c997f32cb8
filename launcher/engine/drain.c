/* keeprolling - brings EOS to every sink, whatever stands in its way
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/drain.h"

#include <stdatomic.h>

#include "launcher/engine/engine.h"
#include "launcher/engine/job.h"

/* Idle time, in ticks, after which an input gets its own EOS. */
#define MUXER_TICKS (1000 / KR_DRAIN_INTERVAL_MS)
#define SINK_TICKS  (3000 / KR_DRAIN_INTERVAL_MS)

/* An input that EOS has to reach. */
typedef struct {
  int ref_count;
  GstPad *pad;
  gulong probe;
  _Atomic guint buffers; /* streaming thread */
  guint seen;
  guint idle;
  guint limit; /* in ticks */
  gboolean sent;
} Input;

struct _KrDrain {
  GPtrArray *inputs;
};

static Input *
input_ref (Input *input)
{
  g_atomic_int_inc (&input->ref_count);
  return input;
}

static void
input_unref (gpointer data)
{
  Input *input = data;

  if (!g_atomic_int_dec_and_test (&input->ref_count))
    return;
  gst_object_unref (input->pad);
  g_free (input);
}

/* Streaming thread. */
static GstPadProbeReturn
count_buffer (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Input *input = data;

  atomic_fetch_add_explicit (&input->buffers, 1, memory_order_relaxed);
  return GST_PAD_PROBE_OK;
}

/* --- sending -------------------------------------------------------------------------- */

/* Waits for the pad's stream lock, hence a thread. */
static int
send_eos_to_pad (gpointer data)
{
  GstPad *pad = data;
  GstEvent *start = gst_pad_get_sticky_event (pad, GST_EVENT_STREAM_START, 0);
  GstEvent *segment = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);

  if (start == NULL)
    gst_pad_send_event (pad, gst_event_new_stream_start ("keeprolling-drain"));
  if (segment == NULL) {
    GstSegment time;

    gst_segment_init (&time, GST_FORMAT_TIME);
    gst_pad_send_event (pad, gst_event_new_segment (&time));
  }
  g_clear_pointer (&start, gst_event_unref);
  g_clear_pointer (&segment, gst_event_unref);
  return gst_pad_send_event (pad, gst_event_new_eos ());
}

static int
send_eos_to_source (gpointer data)
{
  return gst_element_send_event (data, gst_event_new_eos ());
}

static void
start (const char *name, KrJobFunc func, gpointer object)
{
  if (kr_job_start (name, func, gst_object_ref (object), gst_object_unref, NULL, NULL) == NULL)
    gst_object_unref (object);
}

static gboolean
send_eos_behind (GstElement *source, GstPad *pad, gpointer data)
{
  g_autoptr (GstPad) peer = gst_pad_get_peer (pad);

  if (peer != NULL)
    start ("kr-eos", send_eos_to_pad, peer);
  return TRUE;
}

/* --- what there is -------------------------------------------------------------------- */

static void
add_input (KrDrain *drain, GstPad *pad, guint limit)
{
  Input *input = g_new0 (Input, 1);

  input->ref_count = 1;
  input->pad = gst_object_ref (pad);
  input->limit = limit;
  input->probe =
      gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST,
                         count_buffer, input_ref (input), input_unref);
  g_ptr_array_add (drain->inputs, input);
}

static void
add_element (KrDrain *drain, GstElement *element)
{
  g_autoptr (GList) pads = NULL;
  guint16 n_sinks, n_sources;

  if (GST_IS_BIN (element))
    return;
  GST_OBJECT_LOCK (element);
  n_sinks = element->numsinkpads;
  n_sources = element->numsrcpads;
  pads = g_list_copy_deep (element->sinkpads, (GCopyFunc)(GCallback)gst_object_ref, NULL);
  GST_OBJECT_UNLOCK (element);
  for (GList *item = pads; item != NULL; item = item->next) {
    GstPad *pad = item->data;

    if (!gst_pad_is_linked (pad))
      start ("kr-eos", send_eos_to_pad, pad);
    else if (n_sources == 0)
      add_input (drain, pad, SINK_TICKS);
    else if (n_sinks > 1)
      add_input (drain, pad, MUXER_TICKS);
    gst_object_unref (pad);
  }
}

static void
end_sources (GstBin *bin, KrDrainDeadFunc is_dead, gpointer data)
{
  GList *children;

  GST_OBJECT_LOCK (bin);
  children = g_list_copy_deep (bin->children, (GCopyFunc)(GCallback)gst_object_ref, NULL);
  GST_OBJECT_UNLOCK (bin);
  for (GList *item = children; item != NULL; item = item->next) {
    GstElement *element = item->data;

    if (!GST_OBJECT_FLAG_IS_SET (element, GST_ELEMENT_FLAG_SOURCE))
      continue;
    if (G_OBJECT_TYPE (element) == GST_TYPE_BIN)
      end_sources (GST_BIN (element), is_dead, data);
    else if (is_dead (element, data))
      gst_element_foreach_src_pad (element, send_eos_behind, NULL);
    else
      start ("kr-eos", send_eos_to_source, element);
  }
  g_list_free_full (children, gst_object_unref);
}

KrDrain *
kr_drain_new (GstBin *pipeline, KrDrainDeadFunc is_dead, gpointer data)
{
  KrDrain *drain = g_new0 (KrDrain, 1);
  g_autoptr (GPtrArray) elements = kr_engine_list_elements (pipeline);

  drain->inputs = g_ptr_array_new_with_free_func (input_unref);
  end_sources (pipeline, is_dead, data);
  for (guint i = 0; i < elements->len; i++)
    add_element (drain, g_ptr_array_index (elements, i));
  return drain;
}

void
kr_drain_tick (KrDrain *drain)
{
  for (guint i = 0; i < drain->inputs->len; i++) {
    Input *input = g_ptr_array_index (drain->inputs, i);
    guint buffers = atomic_load_explicit (&input->buffers, memory_order_relaxed);

    input->idle = buffers == input->seen ? input->idle + 1 : 0;
    input->seen = buffers;
    if (input->sent || input->idle < input->limit || GST_PAD_IS_EOS (input->pad))
      continue;
    input->sent = TRUE;
    start ("kr-eos", send_eos_to_pad, input->pad);
  }
}

void
kr_drain_free (KrDrain *drain)
{
  if (drain == NULL)
    return;
  for (guint i = 0; i < drain->inputs->len; i++) {
    Input *input = g_ptr_array_index (drain->inputs, i);

    gst_pad_remove_probe (input->pad, input->probe);
  }
  g_ptr_array_unref (drain->inputs);
  g_free (drain);
}
