/* keeprolling - pushes buffers into a part of a pipeline as fast as it takes them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests/bench/run measures elements with: no source element, no queue, one thread. Prints
 * one line of JSON about the pushing alone, without the start of the process. */

#include <gst/gst.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static gint64 total_bytes = 250000000;
static gint buffer_size = 1316;
static gint gop = 0;
static gint64 duration_ns = 0;
static char *input;
static char *caps_text;

static const GOptionEntry options[] = {
    {"bytes", 0, 0, G_OPTION_ARG_INT64, &total_bytes, "How much to push (250000000)", "N"},
    {"buffer-size", 0, 0, G_OPTION_ARG_INT, &buffer_size, "Bytes in each buffer (1316)", "N"},
    {"gop", 0, 0, G_OPTION_ARG_INT, &gop, "All but each Nth buffer are DELTA_UNIT (0 = none)",
     "N"},
    {"duration", 0, 0, G_OPTION_ARG_INT64, &duration_ns, "Stamp the buffers this far apart",
     "NS"},
    {"input", 0, 0, G_OPTION_ARG_FILENAME, &input, "Take the bytes from FILE, again and again",
     "FILE"},
    {"caps", 0, 0, G_OPTION_ARG_STRING, &caps_text, "Their caps (video/mpegts)", "CAPS"},
    {NULL},
};

typedef struct {
  double cpu;
  double wall;
  guint64 write_calls;
} Usage;

/* A number that the kernel keeps about this process. */
static guint64
read_proc (const char *path, const char *name)
{
  g_autofree char *text = NULL;
  char *field;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  field = strstr (text, name);
  return field != NULL ? g_ascii_strtoull (field + strlen (name), NULL, 10) : 0;
}

static Usage
get_usage (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (Usage){
      .cpu = usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6 + usage.ru_stime.tv_sec +
             usage.ru_stime.tv_usec / 1e6,
      .wall = g_get_monotonic_time () / 1e6,
      .write_calls = read_proc ("/proc/self/io", "syscw:"),
  };
}

static GstFlowReturn
push_all (GstPad *pad, const guint8 *bytes, gsize n_bytes, guint64 *ret_buffers)
{
  GstFlowReturn flow = GST_FLOW_OK;
  gsize offset = 0;
  guint64 n = 0;

  for (gint64 left = total_bytes; left > 0 && flow == GST_FLOW_OK; left -= buffer_size, n++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, (gsize)buffer_size, NULL);

    if (offset + (gsize)buffer_size > n_bytes)
      offset = 0;
    gst_buffer_fill (buffer, 0, bytes + offset, (gsize)buffer_size);
    offset += (gsize)buffer_size;
    if (duration_ns > 0) {
      GST_BUFFER_PTS (buffer) = GST_BUFFER_DTS (buffer) = n * (guint64)duration_ns;
      GST_BUFFER_DURATION (buffer) = (guint64)duration_ns;
    }
    if (gop > 0 && n % (guint64)gop != 0)
      GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    flow = gst_pad_push (pad, buffer);
  }
  *ret_buffers = n;
  return flow;
}

static gboolean
start (GstElement *pipeline, GstPad *pad)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (
      caps_text != NULL ? caps_text : "video/mpegts, systemstream=true, packetsize=188");
  GstSegment segment;

  if (gst_element_set_state (pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
    return FALSE;
  gst_pad_set_active (pad, TRUE);
  gst_segment_init (&segment, duration_ns > 0 ? GST_FORMAT_TIME : GST_FORMAT_BYTES);
  return gst_pad_push_event (pad, gst_event_new_stream_start ("bench")) &&
         gst_pad_push_event (pad, gst_event_new_caps (caps)) &&
         gst_pad_push_event (pad, gst_event_new_segment (&segment));
}

/* Waits for EOS; prints the error that comes instead. */
static gboolean
finish (GstElement *pipeline, GstPad *pad)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_pad_push_event (pad, gst_event_new_eos ());
  message = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
                                        GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
    return TRUE;
  gst_message_parse_error (message, &error, NULL);
  g_printerr ("bench-push: %s\n", error->message);
  return FALSE;
}

static gboolean
measure (GstElement *pipeline, GstElement *part, const guint8 *bytes, gsize n_bytes)
{
  GstPad *pad = gst_pad_new ("src", GST_PAD_SRC);
  g_autoptr (GstPad) sink = gst_element_get_static_pad (part, "sink");
  Usage before, after;
  guint64 n_buffers = 0;
  gboolean ok;

  gst_object_ref_sink (pad);
  ok = sink != NULL && gst_pad_link (pad, sink) == GST_PAD_LINK_OK && start (pipeline, pad);
  if (ok) {
    before = get_usage ();
    push_all (pad, bytes, n_bytes, &n_buffers);
    ok = finish (pipeline, pad);
    after = get_usage ();
    g_print ("{\"cpu\": %.6f, \"wall\": %.6f, \"buffers\": %" G_GUINT64_FORMAT
             ", \"bytes\": %" G_GINT64_FORMAT ", \"write_calls\": %" G_GUINT64_FORMAT
             ", \"rss_kib\": %" G_GUINT64_FORMAT "}\n",
             after.cpu - before.cpu, after.wall - before.wall, n_buffers, total_bytes,
             after.write_calls - before.write_calls, read_proc ("/proc/self/status", "VmHWM:"));
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_pad_set_active (pad, FALSE);
  gst_object_unref (pad);
  return ok;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("DESCRIPTION");
  g_autoptr (GError) error = NULL;
  g_autofree char *bytes = NULL;
  gsize n_bytes = 0;
  g_autoptr (GstElement) pipeline = NULL;
  GstElement *part;

  g_option_context_add_main_entries (context, options, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2 ||
      buffer_size <= 0 ||
      (input != NULL && !g_file_get_contents (input, &bytes, &n_bytes, &error))) {
    g_printerr ("bench-push: %s\n", error != NULL ? error->message : "one DESCRIPTION, please");
    return 64;
  }
  if (bytes == NULL) {
    n_bytes = (gsize)buffer_size;
    bytes = g_malloc0 (n_bytes);
    memset (bytes, 0x47, n_bytes);
  }
  part = gst_parse_bin_from_description (argv[1], TRUE, &error);
  if (part == NULL) {
    g_printerr ("bench-push: %s\n", error->message);
    return 64;
  }
  pipeline = gst_object_ref_sink (gst_pipeline_new (NULL));
  gst_bin_add (GST_BIN (pipeline), part);
  return measure (pipeline, part, (const guint8 *)bytes, n_bytes) ? 0 : 1;
}
