/* keeprolling - pushes a known stream into atomicfilesink, and tells what the sink reports
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* record-driver [--packets N] [--rate BYTES/S] [--gop PACKETS] [--header] [--no-eos]
 *               [--linger MS] [--sinks N] 'atomicfilesink location=... ...'
 *
 * The stream is MPEG-TS in form: PAT and PMT at each keyframe, every other packet carries its
 * own number. Lines on stdout, one JSON object each: {"stats": {...}} about every 20 ms,
 * {"message": "structure"}, {"error": "text"}, {"push-ns-max": N} at the end. SIGTERM ends the
 * stream with EOS. The thread that pushes is the main thread. */

#include <dlfcn.h>
#include <gst/gst.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "plugins/common/messages.h"
#include "plugins/common/mpegts-psi.h"

#define BUFFER_PACKETS 7
#define STATS_US       20000

static int n_packets = 10000, rate, gop = 700, linger, n_sinks = 1;
static gboolean with_header, no_eos;
static volatile sig_atomic_t stopped;
static void (*note) (const char *);
static GMutex out_lock;
static gint failed;

static const GOptionEntry entries[] = {
    {"packets", 0, 0, G_OPTION_ARG_INT, &n_packets, "", NULL},
    {"rate", 0, 0, G_OPTION_ARG_INT, &rate, "", NULL},
    {"gop", 0, 0, G_OPTION_ARG_INT, &gop, "", NULL},
    {"linger", 0, 0, G_OPTION_ARG_INT, &linger, "", NULL},
    {"sinks", 0, 0, G_OPTION_ARG_INT, &n_sinks, "", NULL},
    {"header", 0, 0, G_OPTION_ARG_NONE, &with_header, "", NULL},
    {"no-eos", 0, 0, G_OPTION_ARG_NONE, &no_eos, "", NULL},
    {NULL},
};

typedef struct {
  GstElement *pipeline, *sink;
  GstPad *pad;
} Recording;

static void
on_term (int sig)
{
  stopped = 1;
}

static void
say (const char *name, const char *text)
{
  g_autofree char *escaped = g_strescape (text, "");

  g_mutex_lock (&out_lock);
  printf ("{\"%s\": \"%s\"}\n", name, escaped);
  fflush (stdout);
  g_mutex_unlock (&out_lock);
}

static gboolean
add_stat (GQuark name, const GValue *value, gpointer user_data)
{
  GString *line = user_data;

  if (G_VALUE_HOLDS_UINT64 (value))
    g_string_append_printf (line, "%s\"%s\": %" G_GUINT64_FORMAT, line->len > 0 ? ", " : "",
                            g_quark_to_string (name), g_value_get_uint64 (value));
  else if (G_VALUE_HOLDS_DOUBLE (value))
    g_string_append_printf (line, "%s\"%s\": %f", line->len > 0 ? ", " : "",
                            g_quark_to_string (name), g_value_get_double (value));
  else if (G_VALUE_HOLDS_BOOLEAN (value))
    g_string_append_printf (line, "%s\"%s\": %s", line->len > 0 ? ", " : "",
                            g_quark_to_string (name),
                            g_value_get_boolean (value) ? "true" : "false");
  return TRUE;
}

static void
say_stats (GstElement *sink)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_autoptr (GstStructure) stats = NULL;
  guint64 durable = 0;

  g_object_get (sink, "stats", &stats, NULL);
  gst_structure_foreach (stats, add_stat, line);
  gst_structure_get_uint64 (stats, "bytes-durable", &durable);
  if (note != NULL) {
    g_autofree char *text = g_strdup_printf ("durable %" G_GUINT64_FORMAT, durable);

    note (text);
  }
  g_mutex_lock (&out_lock);
  printf ("{\"stats\": {%s}}\n", line->str);
  fflush (stdout);
  g_mutex_unlock (&out_lock);
}

/* Called on whatever thread posts: what is reported must be out before the next call. */
static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer user_data)
{
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT) {
    g_autofree char *text = gst_structure_to_string (gst_message_get_structure (message));

    say ("message", text);
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR ||
             GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING) {
    gboolean is_error = GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR;
    g_autoptr (GError) error = NULL;

    if (is_error)
      gst_message_parse_error (message, &error, NULL);
    else
      gst_message_parse_warning (message, &error, NULL);
    if (is_error)
      g_atomic_int_set (&failed, TRUE);
    say (is_error ? "error" : "warning", error->message);
  }
  return GST_BUS_PASS;
}

static void
fill_tables (guint8 out[2 * KR_TS_PACKET_SIZE], guint counter)
{
  guint8 pat[16] = {0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0x00};
  guint8 pmt[21] = {0x02, 0xb0, 18, 0,    1,    0xc1, 0,    0, 0xe2,
                    0x00, 0xf0, 0,  0x1b, 0xe2, 0x00, 0xf0, 0};

  kr_ts_section_seal (pat, 16);
  kr_ts_section_seal (pmt, 21);
  kr_ts_packetize (pat, 16, KR_TS_PID_PAT, counter, out);
  kr_ts_packetize (pmt, 21, 0x100, counter, out + KR_TS_PACKET_SIZE);
}

/* Packets 0 and 1 of each GOP are PAT and PMT. */
static void
fill_packet (guint8 *out, guint64 index)
{
  guint64 big = GUINT64_TO_BE (index);
  guint8 tables[2 * KR_TS_PACKET_SIZE];

  if (index % (guint)gop < 2) {
    fill_tables (tables, (guint)(index / (guint)gop));
    memcpy (out, tables + index % (guint)gop * KR_TS_PACKET_SIZE, KR_TS_PACKET_SIZE);
  } else {
    memset (out, (int)(index * 31 & 0x7f) | 1, KR_TS_PACKET_SIZE);
    out[0] = KR_TS_SYNC_BYTE;
    out[1] = 0x02;
    out[2] = 0x00;
    out[3] = 0x10 | (index & 0x0f);
  }
  /* The tables end in stuffing: the number fits there too. */
  memcpy (out + 180, &big, 8);
}

static GstBuffer *
make_buffer (guint64 first, guint n)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, n * KR_TS_PACKET_SIZE, NULL);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < n; i++)
    fill_packet (map.data + i * KR_TS_PACKET_SIZE, first + i);
  gst_buffer_unmap (buffer, &map);
  /* 40 ms of media per 35 packets: a second has 875. */
  GST_BUFFER_PTS (buffer) = first * (GST_SECOND / 875);
  if (first % (guint)gop != 0)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  return buffer;
}

static gboolean
answer_latency (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  gst_query_set_latency (query, rate > 0, 0, GST_CLOCK_TIME_NONE);
  return TRUE;
}

static void
push_start (Recording *recording)
{
  GstSegment segment;
  GstCaps *caps = gst_caps_from_string ("video/mpegts, systemstream=true, packetsize=188");

  if (with_header) {
    GValue list = G_VALUE_INIT, value = G_VALUE_INIT;
    guint8 *header = g_malloc (2 * KR_TS_PACKET_SIZE);

    fill_tables (header, 0);
    g_value_init (&list, GST_TYPE_ARRAY);
    g_value_init (&value, GST_TYPE_BUFFER);
    gst_value_take_buffer (&value, gst_buffer_new_wrapped (header, 2 * KR_TS_PACKET_SIZE));
    gst_value_array_append_and_take_value (&list, &value);
    gst_structure_take_value (gst_caps_get_structure (caps, 0), "streamheader", &list);
  }
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (recording->pad, gst_event_new_stream_start ("driver"));
  gst_pad_push_event (recording->pad, gst_event_new_caps (caps));
  gst_pad_push_event (recording->pad, gst_event_new_segment (&segment));
  gst_caps_unref (caps);
}

static gboolean
set_up (Recording *recording, const char *description, guint number)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_auto (GStrv) parts = g_strsplit (description, "{N}", -1);
  char digits[16];
  g_autoptr (GstBus) bus = NULL;
  GstPad *target;

  g_snprintf (digits, sizeof digits, "%u", number);
  text = g_strjoinv (digits, parts);
  recording->sink = gst_parse_launch (text, &error);
  if (recording->sink == NULL || error != NULL) {
    say ("error", error->message);
    return FALSE;
  }
  recording->pipeline = gst_pipeline_new (NULL);
  gst_bin_add (GST_BIN (recording->pipeline), recording->sink);
  bus = gst_element_get_bus (recording->pipeline);
  gst_bus_set_sync_handler (bus, on_message, NULL, NULL);
  recording->pad = gst_pad_new ("src", GST_PAD_SRC);
  gst_pad_set_query_function (recording->pad, answer_latency);
  gst_pad_set_active (recording->pad, TRUE);
  target = gst_element_get_static_pad (recording->sink, "sink");
  gst_pad_link (recording->pad, target);
  gst_object_unref (target);
  if (gst_element_set_state (recording->pipeline, GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE)
    return FALSE;
  push_start (recording);
  return TRUE;
}

static guint64
record (Recording *recordings)
{
  gint64 start = g_get_monotonic_time (), told = 0;
  guint64 longest = 0;

  for (int at = 0; at < n_packets && !stopped && !g_atomic_int_get (&failed);
       at += BUFFER_PACKETS) {
    gint64 now = g_get_monotonic_time (), due;

    for (int i = 0; i < n_sinks; i++) {
      GstBuffer *buffer = make_buffer ((guint64)at, MIN (BUFFER_PACKETS, n_packets - at));
      gint64 before = g_get_monotonic_time ();

      if (gst_pad_push (recordings[i].pad, buffer) != GST_FLOW_OK)
        return longest;
      longest = MAX (longest, (guint64)(g_get_monotonic_time () - before) * 1000);
    }
    if (now - told > STATS_US) {
      told = now;
      say_stats (recordings[0].sink);
    }
    due =
        start + (gint64)(rate > 0 ? (double)at * KR_TS_PACKET_SIZE / rate * G_USEC_PER_SEC : 0);
    if (rate > 0 && due > now)
      g_usleep ((gulong)(due - now));
  }
  return longest;
}

static void
wait_linger (Recording *recording)
{
  for (int waited = 0; waited < linger && !stopped; waited += 20) {
    g_usleep (20000);
    say_stats (recording->sink);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree Recording *recordings = NULL;
  g_autofree char *longest = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2) {
    g_printerr ("record-driver: %s\n", error != NULL ? error->message : "one description");
    return 64;
  }
  note = (void (*) (const char *))dlsym (RTLD_DEFAULT, "kr_fault_note");
  signal (SIGTERM, on_term);
  recordings = g_new0 (Recording, n_sinks);
  for (int i = 0; i < n_sinks; i++) {
    if (!set_up (&recordings[i], argv[1], (guint)i))
      g_atomic_int_set (&failed, TRUE);
  }
  if (!g_atomic_int_get (&failed)) {
    longest = g_strdup_printf ("%" G_GUINT64_FORMAT, record (recordings));
    wait_linger (&recordings[0]);
  }
  for (int i = 0; i < n_sinks; i++) {
    if (recordings[i].pad == NULL)
      continue;
    if (!no_eos && !g_atomic_int_get (&failed))
      gst_pad_push_event (recordings[i].pad, gst_event_new_eos ());
    gst_element_set_state (recordings[i].pipeline, GST_STATE_NULL);
    say_stats (recordings[i].sink);
    gst_pad_set_active (recordings[i].pad, FALSE);
    gst_object_unref (recordings[i].pad);
    gst_object_unref (recordings[i].pipeline);
  }
  if (longest != NULL)
    say ("push-ns-max", longest);
  say ("end", "");
  return g_atomic_int_get (&failed) ? 1 : 0;
}
