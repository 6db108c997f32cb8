/* keeprolling - what a sink costs: pushes bytes into it and counts CPU, calls and memory
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* push-bytes [--bytes N] [--size BYTES] [--rate BYTES/S] [--sinks N] 'filesink location=...'
 *
 * "{N}" in the description is the number of the sink. One line of JSON: cpu and wall in s, rss
 * (peak) in KiB, write calls, the longest push in ns, bytes dropped. The buffers are made
 * beforehand: nothing but the sink costs anything. */

#include <gst/gst.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define N_BUFFERS 64

static gint64 n_bytes = 250 * 1000 * 1000, rate;
static int size = 1316, n_sinks = 1;

static const GOptionEntry entries[] = {
    {"bytes", 0, 0, G_OPTION_ARG_INT64, &n_bytes, "", NULL},
    {"size", 0, 0, G_OPTION_ARG_INT, &size, "", NULL},
    {"rate", 0, 0, G_OPTION_ARG_INT64, &rate, "", NULL},
    {"sinks", 0, 0, G_OPTION_ARG_INT, &n_sinks, "", NULL},
    {NULL},
};

static guint64
proc_number (const char *path, const char *key)
{
  g_autofree char *text = NULL;
  const char *at;

  if (!g_file_get_contents (path, &text, NULL, NULL) || (at = strstr (text, key)) == NULL)
    return 0;
  return g_ascii_strtoull (at + strlen (key), NULL, 10);
}

static double
cpu_seconds (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static gboolean
answer_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  gst_query_set_latency (query, rate > 0, 0, GST_CLOCK_TIME_NONE);
  return TRUE;
}

static GstPad *
start_sink (const char *description, int number, GstElement **ret_sink)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) parts = g_strsplit (description, "{N}", -1);
  g_autofree char *digits = g_strdup_printf ("%d", number);
  g_autofree char *text = g_strjoinv (digits, parts);
  GstElement *sink = gst_parse_launch (text, &error);
  GstPad *pad, *target;
  GstSegment segment;

  if (sink == NULL || error != NULL)
    g_error ("%s: %s", text, error->message);
  gst_object_ref_sink (sink);
  pad = gst_pad_new ("src", GST_PAD_SRC);
  gst_pad_set_query_function (pad, answer_query);
  target = gst_element_get_static_pad (sink, "sink");
  gst_pad_set_active (pad, TRUE);
  gst_pad_link (pad, target);
  gst_object_unref (target);
  g_object_set (sink, "async", FALSE, NULL);
  gst_element_set_state (sink, GST_STATE_PLAYING);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (pad, gst_event_new_stream_start ("bench"));
  gst_pad_push_event (pad, gst_event_new_segment (&segment));
  *ret_sink = sink;
  return pad;
}

static void
make_buffers (GstBuffer *buffers[N_BUFFERS])
{
  for (int i = 0; i < N_BUFFERS; i++) {
    buffers[i] = gst_buffer_new_allocate (NULL, (gsize)size, NULL);
    gst_buffer_memset (buffers[i], 0, 0x47, (gsize)size);
    GST_BUFFER_PTS (buffers[i]) = 0;
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree GstElement **sinks = NULL;
  g_autofree GstPad **pads = NULL;
  GstBuffer *buffers[N_BUFFERS];
  guint64 calls, longest = 0, dropped = 0;
  gint64 start;
  double cpu;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2)
    g_error ("%s", error != NULL ? error->message : "one description");
  sinks = g_new0 (GstElement *, n_sinks);
  pads = g_new0 (GstPad *, n_sinks);
  for (int i = 0; i < n_sinks; i++)
    pads[i] = start_sink (argv[1], i, &sinks[i]);
  make_buffers (buffers);

  start = g_get_monotonic_time ();
  calls = proc_number ("/proc/self/io", "syscw: ");
  cpu = cpu_seconds ();
  for (gint64 at = 0, n = 0; at < n_bytes; at += size, n++) {
    gint64 now = rate > 0 || n_sinks > 1 ? g_get_monotonic_time () : 0;
    gint64 due = rate > 0 ? start + (gint64)((double)at / (double)rate * 1e6) : 0;

    for (int i = 0; i < n_sinks; i++) {
      if (gst_pad_push (pads[i], gst_buffer_ref (buffers[n % N_BUFFERS])) != GST_FLOW_OK)
        g_error ("the sink does not take it");
      if (rate > 0) {
        gint64 after = g_get_monotonic_time ();

        longest = MAX (longest, (guint64)(after - now) * 1000);
        now = after;
      }
    }
    if (due > now)
      g_usleep ((gulong)(due - now));
  }
  for (int i = 0; i < n_sinks; i++)
    gst_pad_push_event (pads[i], gst_event_new_eos ());
  cpu = cpu_seconds () - cpu;
  calls = proc_number ("/proc/self/io", "syscw: ") - calls;
  for (int i = 0; i < n_sinks; i++) {
    gst_element_set_state (sinks[i], GST_STATE_NULL);
    if (g_object_class_find_property (G_OBJECT_GET_CLASS (sinks[i]), "stats") != NULL) {
      GstStructure *stats = NULL;
      guint64 one = 0;

      g_object_get (sinks[i], "stats", &stats, NULL);
      if (gst_structure_get_uint64 (stats, "dropped-bytes", &one))
        dropped += one;
      gst_structure_free (stats);
    }
  }
  printf ("{\"cpu\": %.4f, \"wall\": %.4f, \"rss\": %" G_GUINT64_FORMAT
          ", \"writes\": %" G_GUINT64_FORMAT ", \"push_ns_max\": %" G_GUINT64_FORMAT
          ", \"dropped\": %" G_GUINT64_FORMAT "}\n",
          cpu, (double)(g_get_monotonic_time () - start) / 1e6,
          proc_number ("/proc/self/status", "VmHWM:"), calls, longest, dropped);
  return 0;
}
