/* keeprolling - the bus of one pipeline, read on the main thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/bus-watch.h"

#include <stdatomic.h>

struct _KrBusWatch {
  int ref_count;
  atomic_bool freed;

  /* Main thread. */
  GstBus *bus;
  GSource *source;
  KrBusWatchFunc func;
  gpointer data;
};

static void
watch_unref (gpointer data)
{
  KrBusWatch *watch = data;

  if (g_atomic_int_dec_and_test (&watch->ref_count))
    g_free (watch);
}

static KrBusWatch *
watch_ref (KrBusWatch *watch)
{
  g_atomic_int_inc (&watch->ref_count);
  return watch;
}

/* Called from whatever thread posts, for every message. */
static GstBusSyncReply
filter (GstBus *bus, GstMessage *message, gpointer data)
{
  KrBusWatch *watch = data;
  gboolean wanted = FALSE;

  if (!atomic_load (&watch->freed)) {
    switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_WARNING:
    case GST_MESSAGE_EOS:
    case GST_MESSAGE_ELEMENT:
    case GST_MESSAGE_LATENCY:
    case GST_MESSAGE_CLOCK_LOST:
    case GST_MESSAGE_BUFFERING:
    case GST_MESSAGE_REQUEST_STATE:
      wanted = TRUE;
      break;
    case GST_MESSAGE_STATE_CHANGED:
      wanted = GST_IS_PIPELINE (GST_MESSAGE_SRC (message));
      break;
    default:
      break;
    }
  }
  if (wanted)
    return GST_BUS_PASS;
  gst_message_unref (message);
  return GST_BUS_DROP;
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  KrBusWatch *watch = data;

  if (!atomic_load (&watch->freed))
    watch->func (message, watch->data);
  return G_SOURCE_CONTINUE;
}

KrBusWatch *
kr_bus_watch_new (GstElement *pipeline, KrBusWatchFunc func, gpointer data)
{
  KrBusWatch *watch = g_new0 (KrBusWatch, 1);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();

  watch->ref_count = 1;
  watch->bus = gst_element_get_bus (pipeline);
  watch->func = func;
  watch->data = data;
  gst_bus_set_sync_handler (watch->bus, filter, watch_ref (watch), watch_unref);
  watch->source = gst_bus_create_watch (watch->bus);
  g_source_set_callback (watch->source, (GSourceFunc)(GCallback)on_message, watch_ref (watch),
                         watch_unref);
  g_source_attach (watch->source, context);
  return watch;
}

void
kr_bus_watch_read_rest (KrBusWatch *watch, GstMessageType types)
{
  g_autoptr (GstBus) bus = gst_object_ref (watch->bus);
  GstMessage *message;

  watch_ref (watch);
  /* Not gst_bus_pop_filtered(): it throws away what it does not return. Ends when a message has
   * led to the end of the watch. */
  while (!atomic_load (&watch->freed) && (message = gst_bus_pop (bus)) != NULL) {
    if (GST_MESSAGE_TYPE (message) & types)
      watch->func (message, watch->data);
    gst_message_unref (message);
  }
  watch_unref (watch);
}

void
kr_bus_watch_free (KrBusWatch *watch)
{
  if (watch == NULL)
    return;
  atomic_store (&watch->freed, TRUE);
  g_source_destroy (watch->source);
  g_clear_pointer (&watch->source, g_source_unref);
  gst_clear_object (&watch->bus);
  watch_unref (watch);
}
