/* keeprolling - how fast an element takes a transport stream, without any I/O
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* push-ts FILE BLOCK ROUNDS [ELEMENT]: reads FILE into buffers of BLOCK bytes, pushes them
 * through ELEMENT (default mpegtsregen) into a pad that drops them, and prints bytes per second
 * of CPU of the pushing thread, one line per round. Filling the buffers is not measured. */

#include <gst/gst.h>
#include <stdlib.h>
#include <time.h>

static guint64 received;

static GstFlowReturn
drop (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  received += gst_buffer_get_size (buffer);
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gdouble
thread_seconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (gdouble)now.tv_sec + (gdouble)now.tv_nsec / 1e9;
}

static gdouble
push_round (const char *data, gsize size, gsize block, const char *name)
{
  g_autoptr (GstElement) element = gst_element_factory_make (name, NULL);
  g_autoptr (GstPad) in = gst_pad_new ("in", GST_PAD_SRC);
  g_autoptr (GstPad) out = gst_pad_new ("out", GST_PAD_SINK);
  g_autoptr (GstPad) sink = NULL, source = NULL;
  g_autoptr (GPtrArray) buffers = g_ptr_array_new ();
  GstSegment segment;
  gdouble start, end;

  gst_object_ref_sink (element);
  sink = gst_element_get_static_pad (element, "sink");
  source = gst_element_get_static_pad (element, "src");
  gst_pad_set_chain_function (out, drop);
  gst_pad_link (in, sink);
  gst_pad_link (source, out);
  gst_pad_set_active (in, TRUE);
  gst_pad_set_active (out, TRUE);
  gst_element_set_state (element, GST_STATE_PLAYING);
  gst_pad_push_event (in, gst_event_new_stream_start ("bench"));
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_pad_push_event (in, gst_event_new_segment (&segment));
  for (gsize i = 0; i < size; i += block)
    g_ptr_array_add (buffers, gst_buffer_new_memdup (data + i, MIN (block, size - i)));
  start = thread_seconds ();
  for (guint i = 0; i < buffers->len; i++)
    gst_pad_push (in, g_ptr_array_index (buffers, i));
  end = thread_seconds ();
  gst_element_set_state (element, GST_STATE_NULL);
  gst_pad_set_active (in, FALSE);
  gst_pad_set_active (out, FALSE);
  return (gdouble)size / (end - start);
}

int
main (int argc, char **argv)
{
  g_autofree char *data = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;

  gst_init (&argc, &argv);
  if (argc < 4) {
    g_printerr ("push-ts FILE BLOCK ROUNDS [ELEMENT]\n");
    return 64;
  }
  if (!g_file_get_contents (argv[1], &data, &size, &error)) {
    g_printerr ("%s\n", error->message);
    return 66;
  }
  for (int i = 0; i < atoi (argv[3]); i++) {
    received = 0;
    g_print ("%.0f\n", push_round (data, size, (gsize)atol (argv[2]),
                                   argc > 4 ? argv[4] : "mpegtsregen"));
  }
  return 0;
}
