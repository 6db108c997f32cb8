/* keeprolling - timestampregen as an element: pads, events, queries, properties
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <string.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

#define VIDEO_CAPS "video/x-h264,stream-format=byte-stream,alignment=au,framerate=25/1"
#define VP8_CAPS   "video/x-vp8,framerate=25/1"
#define AUDIO_CAPS "audio/mpeg,mpegversion=4,rate=48000,framed=true"
#define RAW_CAPS   "video/x-raw,format=GRAY8,width=4,height=4,framerate=25/1"
#define PCM_CAPS   "audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved"

static GstBuffer *
make_buffer (GstClockTime pts, GstClockTime duration)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 16, NULL);

  gst_buffer_memset (buffer, 0, 0, 16);
  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  return buffer;
}

static GstHarness *
new_harness (const char *caps, const char *first_property, ...)
{
  GstElement *element = gst_element_factory_make ("timestampregen", NULL);
  GstHarness *harness;
  va_list args;

  g_assert_nonnull (element);
  va_start (args, first_property);
  g_object_set_valist (G_OBJECT (element), first_property, args);
  va_end (args);
  harness = gst_harness_new_with_element (element, "sink_0", "src_0");
  gst_harness_set_src_caps_str (harness, caps);
  gst_object_unref (element);
  return harness;
}

/* Pushes a buffer and returns the PTS it leaves with. */
static GstClockTime
through (GstHarness *harness, GstBuffer *buffer)
{
  g_autoptr (GstBuffer) result = NULL;

  g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  result = gst_harness_pull (harness);
  return GST_BUFFER_PTS (result);
}

static void
push_times (GstHarness *harness, GstClockTime from, guint n, GstClockTime step)
{
  guint i;

  for (i = 0; i < n; i++)
    through (harness, make_buffer (from + i * step, step));
}

static guint64
pad_counter (GstHarness *harness, const char *pad, const char *name)
{
  g_autoptr (GstStructure) stats = NULL, of = NULL;
  guint64 value;

  g_object_get (harness->element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get (stats, pad, GST_TYPE_STRUCTURE, &of, NULL));
  g_assert_true (gst_structure_get_uint64 (of, name, &value));
  return value;
}

static GstMessage *
next_message (GstBus *bus, const char *name)
{
  GstMessage *message;

  while ((message = gst_bus_pop (bus)) != NULL) {
    const GstStructure *structure = gst_message_get_structure (message);

    if (structure != NULL && gst_structure_has_name (structure, name))
      return message;
    gst_message_unref (message);
  }
  return NULL;
}

static GstBus *
watch (GstHarness *harness)
{
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (harness->element, bus);
  return bus;
}

static void
unwatch (GstHarness *harness, GstBus *bus)
{
  gst_element_set_bus (harness->element, NULL);
  gst_object_unref (bus);
}

static void
test_properties (void)
{
  static const struct {
    const char *name, *value;
  } list[] = {
      {"mode", "monitor"},
      {"mode", "arrival"},
      {"mode", "cfr"},
      {"mode", "correct"},
      {"live", "true"},
      {"live", "false"},
      {"live", "auto"},
      {"max-gap", "2000000000"},
      {"jitter", "0"},
      {"confirm", "7"},
      {"settle", "5000000000"},
      {"max-lag", "1000000"},
      {"lag-hold", "0"},
      {"gap-policy", "collapse"},
      {"gap-policy", "keep"},
      {"drift", "follow"},
      {"drift", "report"},
      {"max-rate", "100"},
      {"framerate", "30000/1001"},
      {"max-fill", "0"},
      {"latency", "5000000"},
      {"wait-keyframe", "true"},
      {"wait-keyframe", "false"},
  };
  g_autoptr (GstElement) element =
      gst_object_ref_sink (gst_element_factory_make ("timestampregen", NULL));
  guint i;

  for (i = 0; i < G_N_ELEMENTS (list); i++) {
    GParamSpec *spec =
        g_object_class_find_property (G_OBJECT_GET_CLASS (element), list[i].name);
    g_auto (GValue) wanted = G_VALUE_INIT, found = G_VALUE_INIT;

    g_value_init (&wanted, spec->value_type);
    g_value_init (&found, spec->value_type);
    g_assert_true (gst_value_deserialize (&wanted, list[i].value));
    gst_util_set_object_arg (G_OBJECT (element), list[i].name, list[i].value);
    g_object_get_property (G_OBJECT (element), list[i].name, &found);
    g_assert_cmpint (gst_value_compare (&wanted, &found), ==, GST_VALUE_EQUAL);
  }
}

/* The clean case costs next to nothing: the very buffer goes on. */
static void
test_clean_is_not_copied (void)
{
  GstHarness *harness = new_harness (VIDEO_CAPS, "live", 2, NULL);
  guint i;

  for (i = 0; i < 50; i++) {
    GstBuffer *buffer = make_buffer (i * 40 * GST_MSECOND, 40 * GST_MSECOND);
    g_autoptr (GstBuffer) result = NULL;

    GST_BUFFER_DTS (buffer) = GST_BUFFER_PTS (buffer);
    gst_buffer_ref (buffer); /* not writable: a copy would show */
    g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
    result = gst_harness_pull (harness);
    g_assert_true (result == buffer);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (harness);
}

static void
push_segment (GstHarness *harness, GstClockTime start, GstClockTime base)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = start;
  segment.base = base;
  g_assert_true (gst_harness_push_event (harness, gst_event_new_segment (&segment)));
}

static guint
count_events (GstHarness *harness, GstEventType type)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_event (harness)) != NULL) {
    n += GST_EVENT_TYPE (event) == type;
    gst_event_unref (event);
  }
  return n;
}

static void
test_segments_become_one (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
  GstEvent *event;
  const GstSegment *segment;

  g_assert_cmpuint (count_events (harness, GST_EVENT_SEGMENT), ==, 1);
  push_segment (harness, 100 * GST_SECOND, 7 * GST_SECOND);
  g_assert_cmpuint (through (harness, make_buffer (100 * GST_SECOND, 40 * GST_MSECOND)), ==,
                    7 * GST_SECOND);
  /* The same running time in another segment: no jump. */
  push_segment (harness, 5 * GST_SECOND, 7 * GST_SECOND + 40 * GST_MSECOND);
  g_assert_cmpuint (through (harness, make_buffer (5 * GST_SECOND, 40 * GST_MSECOND)), ==,
                    7 * GST_SECOND + 40 * GST_MSECOND);
  g_assert_cmpuint (count_events (harness, GST_EVENT_SEGMENT), ==, 0);
  event = gst_pad_get_sticky_event (harness->sinkpad, GST_EVENT_SEGMENT, 0);
  gst_event_parse_segment (event, &segment);
  g_assert_cmpint (segment->format, ==, GST_FORMAT_TIME);
  g_assert_cmpuint (segment->start, ==, 0);
  g_assert_cmpuint (segment->base, ==, 0);
  gst_event_unref (event);
  gst_harness_teardown (harness);
}

static void
test_other_segments_pass (gconstpointer data)
{
  gboolean bytes = GPOINTER_TO_INT (data);
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
  GstBus *bus = watch (harness);
  GstSegment segment;
  GstEvent *event;
  const GstSegment *found;
  GstMessage *warning;

  gst_segment_init (&segment, bytes ? GST_FORMAT_BYTES : GST_FORMAT_TIME);
  segment.rate = bytes ? 1.0 : 2.0;
  g_assert_true (gst_harness_push_event (harness, gst_event_new_segment (&segment)));
  g_assert_true (gst_harness_push_event (harness, gst_event_new_segment (&segment)));
  g_assert_cmpuint (through (harness, make_buffer (70 * GST_SECOND, 0)), ==, 70 * GST_SECOND);
  g_assert_cmpuint (through (harness, make_buffer (3 * GST_SECOND, 0)), ==, 3 * GST_SECOND);
  event = gst_pad_get_sticky_event (harness->sinkpad, GST_EVENT_SEGMENT, 0);
  gst_event_parse_segment (event, &found);
  g_assert_true (gst_segment_is_equal (found, &segment));
  gst_event_unref (event);
  warning = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (warning);
  gst_message_unref (warning);
  g_assert_null (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING));
  /* And back to what can be repaired. */
  push_segment (harness, 0, 0);
  push_times (harness, 0, 3, 40 * GST_MSECOND);
  unwatch (harness, bus);
  gst_harness_teardown (harness);
}

static void
test_message (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
  GstBus *bus = watch (harness);
  GstMessage *message;
  const GstStructure *structure;
  guint64 in, out, running, utc;
  gint64 delta, gap;
  guint epoch, suppressed, i;

  push_times (harness, 0, 3, 40 * GST_MSECOND);
  push_times (harness, 3600 * GST_SECOND, 3, 40 * GST_MSECOND);
  message = next_message (bus, KR_MSG_TIMESTAMP_DISCONT);
  g_assert_nonnull (message);
  g_assert_true (GST_MESSAGE_SRC (message) == GST_OBJECT (harness->element));
  structure = gst_message_get_structure (message);
  g_assert_true (gst_structure_get (
      structure, "delta-ns", G_TYPE_INT64, &delta, "gap-ns", G_TYPE_INT64, &gap, "epoch",
      G_TYPE_UINT, &epoch, "in-ts", G_TYPE_UINT64, &in, "out-ts", G_TYPE_UINT64, &out,
      "running-time", G_TYPE_UINT64, &running, "utc-ns", G_TYPE_UINT64, &utc, "suppressed",
      G_TYPE_UINT, &suppressed, NULL));
  g_assert_cmpstr (gst_structure_get_string (structure, "pad"), ==, "sink_0");
  g_assert_cmpstr (gst_structure_get_string (structure, "kind"), ==, "jump-forward");
  g_assert_cmpint (delta, ==, 3600 * GST_SECOND - 120 * GST_MSECOND);
  g_assert_cmpint (gap, ==, 0);
  g_assert_cmpuint (epoch, ==, 2);
  g_assert_cmpuint (in, ==, 3600 * GST_SECOND + 80 * GST_MSECOND);
  g_assert_cmpuint (out, ==, 200 * GST_MSECOND);
  g_assert_cmpuint (utc / GST_SECOND, >, 1600000000);
  g_assert_cmpuint (suppressed, ==, 0);
  gst_message_unref (message);

  /* Ten more of the kind at once: at most one a second is told, the rest is counted. */
  for (i = 2; i < 12; i++)
    push_times (harness, i * 3600 * GST_SECOND, 3, 40 * GST_MSECOND);
  {
    g_autoptr (GstStructure) stats = NULL;
    guint64 discontinuities;
    guint told = 0;

    g_object_get (harness->element, "stats", &stats, NULL);
    g_assert_true (gst_structure_get_uint64 (stats, "discontinuities", &discontinuities));
    g_assert_cmpuint (discontinuities, ==, 11);
    while ((message = next_message (bus, KR_MSG_TIMESTAMP_DISCONT)) != NULL) {
      told++;
      gst_message_unref (message);
    }
    g_assert_cmpuint (told, <, 10);
  }
  unwatch (harness, bus);
  gst_harness_teardown (harness);
}

static void
test_flush (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);

  push_times (harness, 9000 * GST_SECOND, 3, 40 * GST_MSECOND);
  g_assert_true (gst_harness_push_event (harness, gst_event_new_flush_start ()));
  g_assert_true (gst_harness_push_event (harness, gst_event_new_flush_stop (TRUE)));
  count_events (harness, GST_EVENT_SEGMENT);
  push_segment (harness, 0, 0);
  g_assert_cmpuint (count_events (harness, GST_EVENT_SEGMENT), ==, 1);
  g_assert_cmpuint (through (harness, make_buffer (GST_SECOND, 40 * GST_MSECOND)), ==,
                    GST_SECOND);
  gst_harness_teardown (harness);
}

static void
test_start_after_eos (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);

  push_times (harness, 0, 5, 40 * GST_MSECOND);
  g_assert_true (gst_harness_push_event (harness, gst_event_new_eos ()));
  g_assert_cmpuint (count_events (harness, GST_EVENT_EOS), ==, 1);
  g_assert_true (gst_harness_push_event (harness, gst_event_new_stream_start ("again")));
  push_segment (harness, 0, 0);
  g_assert_cmpuint (count_events (harness, GST_EVENT_SEGMENT), ==, 1);
  g_assert_cmpuint (through (harness, make_buffer (0, 40 * GST_MSECOND)), ==,
                    200 * GST_MSECOND);
  gst_harness_teardown (harness);
}

static void
test_caps_change (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);

  push_times (harness, 0, 3, 40 * GST_MSECOND);
  gst_harness_set_src_caps_str (harness, "video/x-vp8,framerate=50/1");
  g_assert_cmpuint (count_events (harness, GST_EVENT_CAPS), >=, 1);
  /* Without duration and stamp the new rate tells where it belongs. */
  g_assert_cmpuint (through (harness, make_buffer (120 * GST_MSECOND, GST_CLOCK_TIME_NONE)), ==,
                    120 * GST_MSECOND);
  g_assert_cmpuint (through (harness, make_buffer (GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE)),
                    ==, 140 * GST_MSECOND);
  gst_harness_teardown (harness);
}

static void
test_upstream_events (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
  GstEvent *event;
  GstClockTime timestamp, running;
  GstClockTimeDiff diff;
  gdouble proportion;
  gboolean headers;
  guint count;

  push_times (harness, 0, 3, 40 * GST_MSECOND);
  push_times (harness, 100 * GST_SECOND, 3, 40 * GST_MSECOND);
  while ((event = gst_harness_try_pull_upstream_event (harness)) != NULL)
    gst_event_unref (event);

  /* 100 s became 120 ms, so output 1.2 s was input 101.08 s. */
  g_assert_true (gst_harness_push_upstream_event (
      harness, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 1.5, 7, 1200 * GST_MSECOND)));
  event = gst_harness_pull_upstream_event (harness);
  gst_event_parse_qos (event, NULL, &proportion, &diff, &timestamp);
  g_assert_cmpuint (timestamp, ==, 101080 * GST_MSECOND);
  g_assert_cmpint (diff, ==, 7);
  gst_event_unref (event);

  g_assert_true (gst_harness_push_upstream_event (
      harness, gst_video_event_new_upstream_force_key_unit (1200 * GST_MSECOND, TRUE, 3)));
  event = gst_harness_pull_upstream_event (harness);
  g_assert_true (
      gst_video_event_parse_upstream_force_key_unit (event, &running, &headers, &count));
  g_assert_cmpuint (running, ==, 101080 * GST_MSECOND);
  g_assert_true (headers);
  g_assert_cmpuint (count, ==, 3);
  gst_event_unref (event);
  gst_harness_teardown (harness);
}

static void
test_downstream_key_unit (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
  g_autoptr (GstEvent) event = NULL;
  GstClockTime running;

  push_times (harness, 0, 3, 40 * GST_MSECOND);
  push_times (harness, 100 * GST_SECOND, 3, 40 * GST_MSECOND);
  count_events (harness, GST_EVENT_CAPS);
  g_assert_true (gst_harness_push_event (
      harness, gst_video_event_new_downstream_force_key_unit (
                   101 * GST_SECOND, 101 * GST_SECOND, 101 * GST_SECOND, FALSE, 1)));
  event = gst_harness_pull_event (harness);
  g_assert_true (gst_video_event_parse_downstream_force_key_unit (event, NULL, NULL, &running,
                                                                  NULL, NULL));
  g_assert_cmpuint (running, ==, 1120 * GST_MSECOND);
  gst_harness_teardown (harness);
}

static void
test_latency (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "latency", 30 * GST_MSECOND, NULL);
  g_autoptr (GstQuery) query = gst_query_new_latency ();
  g_autoptr (GstStructure) stats = NULL;
  GstClockTime min, max;
  gboolean live;

  gst_harness_set_live (harness, TRUE);
  gst_harness_set_upstream_latency (harness, 100 * GST_MSECOND);
  g_assert_true (gst_pad_peer_query (harness->sinkpad, query));
  gst_query_parse_latency (query, &live, &min, &max);
  g_assert_true (live);
  g_assert_cmpuint (min, ==, 130 * GST_MSECOND);
  g_object_get (harness->element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_boolean (stats, "live", &live));
  g_assert_true (live);
  gst_harness_teardown (harness);
}

static void
test_not_live_stays (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "latency", 30 * GST_MSECOND, NULL);
  g_autoptr (GstQuery) query = gst_query_new_latency ();
  g_autoptr (GstStructure) stats = NULL;
  GstClockTime min;
  gboolean live;

  gst_harness_set_live (harness, FALSE);
  push_times (harness, 0, 2, 40 * GST_MSECOND);
  g_assert_true (gst_pad_peer_query (harness->sinkpad, query));
  gst_query_parse_latency (query, &live, &min, NULL);
  g_assert_false (live);
  g_assert_cmpuint (min, ==, 0);
  g_object_get (harness->element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_boolean (stats, "live", &live));
  g_assert_false (live);
  gst_harness_teardown (harness);
}

static void
test_live_is_found (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 0, NULL);

  gst_harness_set_live (harness, TRUE);
  gst_harness_use_testclock (harness);
  gst_harness_set_time (harness, 500 * GST_SECOND);
  g_assert_cmpuint (through (harness, make_buffer (0, 40 * GST_MSECOND)), ==, 500 * GST_SECOND);
  gst_harness_teardown (harness);
}

static void
test_pads (void)
{
  g_autoptr (GstElement) element =
      gst_object_ref_sink (gst_element_factory_make ("timestampregen", NULL));
  GstPad *first = gst_element_request_pad_simple (element, "sink_%u");
  GstPad *fifth = gst_element_request_pad_simple (element, "sink_5");
  GstPad *sixth = gst_element_request_pad_simple (element, "sink_%u");
  GstPad *src;
  guint i;

  g_assert_cmpstr (GST_PAD_NAME (first), ==, "sink_0");
  g_assert_cmpstr (GST_PAD_NAME (fifth), ==, "sink_5");
  g_assert_cmpstr (GST_PAD_NAME (sixth), ==, "sink_6");
  g_assert_cmpuint (element->numsrcpads, ==, 3);
  g_assert_null (gst_element_request_pad_simple (element, "sink_x"));
  g_assert_null (gst_element_request_pad_simple (element, "sink_05"));
  src = gst_element_get_static_pad (element, "src_5");
  g_assert_nonnull (src);
  gst_element_release_request_pad (element, fifth);
  gst_object_unref (fifth);
  g_assert_cmpuint (element->numsrcpads, ==, 2);
  /* Whoever still holds the pad gets a no, not a crash. */
  g_assert_false (gst_pad_send_event (src, gst_event_new_reconfigure ()));
  gst_object_unref (src);
  for (i = 0; i < 100; i++) {
    GstPad *pad = gst_element_request_pad_simple (element, "sink_%u");

    gst_element_release_request_pad (element, pad);
    gst_object_unref (pad);
  }
  gst_object_unref (first);
  gst_object_unref (sixth);
}

static gpointer
push_until_stopped (gpointer data)
{
  GstHarness *harness = data;
  GstClockTime time = 0;

  while (gst_harness_push (harness, make_buffer (time, GST_MSECOND)) == GST_FLOW_OK)
    time += GST_MSECOND;
  return NULL;
}

/* One stream runs while others come and go, and is then stopped in its tracks. */
static void
test_pads_while_running (void)
{
  guint round, i;

  for (round = 0; round < 5; round++) {
    GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
    GThread *thread;

    gst_harness_set_drop_buffers (harness, TRUE);
    thread = g_thread_new ("push", push_until_stopped, harness);
    for (i = 0; i < 50; i++) {
      GstHarness *other = gst_harness_new_with_element (harness->element, "sink_%u", NULL);
      g_autoptr (GstStructure) stats = NULL;
      GstPad *pad = gst_pad_get_peer (other->srcpad);

      gst_harness_set_src_caps_str (other, AUDIO_CAPS);
      gst_harness_push (other, make_buffer (i * GST_MSECOND, GST_MSECOND));
      g_object_get (harness->element, "stats", &stats, NULL);
      gst_object_unref (pad);
      gst_harness_teardown (other);
    }
    gst_element_set_state (harness->element, GST_STATE_NULL);
    g_thread_join (thread);
    gst_harness_teardown (harness);
  }
}

static void
test_flows_are_combined (void)
{
  GstHarness *one = new_harness (VP8_CAPS, "live", 2, NULL);
  GstHarness *two = gst_harness_new_with_element (one->element, "sink_1", "src_1");
  GstPad *src_one = gst_pad_get_peer (one->sinkpad), *src_two = gst_pad_get_peer (two->sinkpad);

  gst_harness_set_src_caps_str (two, AUDIO_CAPS);
  push_times (one, 0, 2, 40 * GST_MSECOND);
  push_times (two, 0, 2, 20 * GST_MSECOND);
  gst_pad_unlink (src_two, two->sinkpad);
  g_assert_cmpint (gst_harness_push (two, make_buffer (40 * GST_MSECOND, 20 * GST_MSECOND)), ==,
                   GST_FLOW_OK);
  gst_pad_unlink (src_one, one->sinkpad);
  g_assert_cmpint (gst_harness_push (one, make_buffer (80 * GST_MSECOND, 40 * GST_MSECOND)), ==,
                   GST_FLOW_NOT_LINKED);
  /* One of them works again: the other one alone is no reason to stop. */
  g_assert_cmpint (gst_pad_link (src_one, one->sinkpad), ==, GST_PAD_LINK_OK);
  g_assert_cmpint (gst_harness_push (one, make_buffer (120 * GST_MSECOND, 40 * GST_MSECOND)),
                   ==, GST_FLOW_OK);
  g_assert_cmpint (gst_harness_push (two, make_buffer (60 * GST_MSECOND, 20 * GST_MSECOND)), ==,
                   GST_FLOW_OK);
  gst_object_unref (src_one);
  gst_object_unref (src_two);
  gst_harness_teardown (two);
  gst_harness_teardown (one);
}

typedef struct {
  GstPad *pad; /* pushes into the element */
  gint stop;
} Pusher;

static gpointer
push_buffers (gpointer data)
{
  Pusher *pusher = data;
  GstClockTime time = 0;

  while (!g_atomic_int_get (&pusher->stop) &&
         gst_pad_push (pusher->pad, make_buffer (time, GST_MSECOND)) == GST_FLOW_OK)
    time += GST_MSECOND;
  return NULL;
}

static gpointer
push_events (gpointer data)
{
  Pusher *pusher = data;

  while (!g_atomic_int_get (&pusher->stop))
    gst_pad_push_event (pusher->pad, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
                                                           gst_structure_new_empty ("any")));
  return NULL;
}

/* A pad goes while buffers and events that wait for nobody are on their way through it. */
static void
test_release_under_load (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);
  guint round;

  push_times (harness, 0, 2, 40 * GST_MSECOND);
  for (round = 0; round < 100; round++) {
    GstHarness *other = gst_harness_new_with_element (harness->element, "sink_1", "src_1");
    GstPad *sink = gst_pad_get_peer (other->srcpad);
    Pusher pusher = {.pad = other->srcpad};
    GThread *buffers, *events;

    gst_harness_set_drop_buffers (other, TRUE);
    gst_harness_set_src_caps_str (other, AUDIO_CAPS);
    buffers = g_thread_new ("buffers", push_buffers, &pusher);
    events = g_thread_new ("events", push_events, &pusher);
    while (gst_harness_buffers_received (other) < 3)
      g_thread_yield ();
    gst_element_release_request_pad (harness->element, sink);
    g_atomic_int_set (&pusher.stop, TRUE);
    g_thread_join (buffers);
    g_thread_join (events);
    gst_object_unref (sink);
    gst_harness_teardown (other);
  }
  g_assert_cmpuint (harness->element->numsinkpads, ==, 1);
  gst_harness_teardown (harness);
}

static void
test_wait_keyframe (void)
{
  GstHarness *harness = new_harness (VIDEO_CAPS, "live", 2, "wait-keyframe", TRUE, NULL);
  GstBus *bus = watch (harness);
  GstMessage *qos;
  GstBuffer *buffer;
  guint i;

  for (i = 0; i < 5; i++) {
    buffer = make_buffer (i * 40 * GST_MSECOND, 40 * GST_MSECOND);
    GST_BUFFER_DTS (buffer) = GST_BUFFER_PTS (buffer);
    if (i < 3)
      GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  }
  g_assert_cmpuint (gst_harness_buffers_in_queue (harness), ==, 2);
  buffer = gst_harness_pull (harness);
  g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, 120 * GST_MSECOND);
  g_assert_true (GST_BUFFER_IS_DISCONT (buffer));
  gst_buffer_unref (buffer);
  g_assert_cmpuint (pad_counter (harness, "sink_0", "dropped"), ==, 3);
  qos = gst_bus_pop_filtered (bus, GST_MESSAGE_QOS);
  g_assert_nonnull (qos);
  gst_message_unref (qos);
  unwatch (harness, bus);
  gst_harness_teardown (harness);
}

static void
test_cfr_repeats (void)
{
  GstHarness *harness = new_harness (RAW_CAPS, "live", 2, "mode", 3, NULL);
  guint i;

  push_times (harness, 0, 2, 40 * GST_MSECOND);
  g_assert_cmpint (
      gst_harness_push (harness, make_buffer (203 * GST_MSECOND, 40 * GST_MSECOND)), ==,
      GST_FLOW_OK);
  g_assert_cmpuint (gst_harness_buffers_in_queue (harness), ==, 4);
  for (i = 2; i < 6; i++) {
    g_autoptr (GstBuffer) buffer = gst_harness_pull (harness);

    g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, i * 40 * GST_MSECOND);
    g_assert_cmpuint (GST_BUFFER_DURATION (buffer), ==, 40 * GST_MSECOND);
  }
  g_assert_cmpuint (pad_counter (harness, "sink_0", "duplicated"), ==, 3);
  gst_harness_teardown (harness);
}

static void
test_cfr_framerate (void)
{
  GstHarness *harness = new_harness (RAW_CAPS, "live", 2, "mode", 3, "framerate", 50, 1, NULL);
  g_autoptr (GstCaps) caps = NULL;
  gint n, d;

  g_assert_cmpint (gst_harness_push (harness, make_buffer (0, 40 * GST_MSECOND)), ==,
                   GST_FLOW_OK);
  g_assert_cmpint (gst_harness_push (harness, make_buffer (40 * GST_MSECOND, 40 * GST_MSECOND)),
                   ==, GST_FLOW_OK);
  g_assert_cmpuint (gst_harness_buffers_in_queue (harness), ==, 3);
  caps = gst_pad_get_current_caps (harness->sinkpad);
  g_assert_true (
      gst_structure_get_fraction (gst_caps_get_structure (caps, 0), "framerate", &n, &d));
  g_assert_cmpint (n, ==, 50);
  gst_harness_teardown (harness);
}

/* Stamps that are rounded to ms: the samples count. */
static void
test_cfr_audio (void)
{
  GstHarness *harness = new_harness (PCM_CAPS, "live", 2, "mode", 3, NULL);
  guint i;

  for (i = 0; i < 100; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 1024 * 2, NULL);

    gst_buffer_memset (buffer, 0, 0, 2048);
    GST_BUFFER_PTS (buffer) =
        gst_util_uint64_scale (i, 1024 * GST_SECOND, 48000) / GST_MSECOND * GST_MSECOND;
    g_assert_cmpuint (through (harness, buffer), ==,
                      gst_util_uint64_scale (i, 1024 * GST_SECOND, 48000));
  }
  gst_harness_teardown (harness);
}

/* A source whose samples last longer than its stamps say. Where the stamps take over, what has
 * been heard is cut off: time does not go back, and the sound does not run away from its
 * stamps. */
static void
test_cfr_slow_audio (void)
{
  GstHarness *harness = new_harness (PCM_CAPS, "mode", 3, "live", 2, NULL);
  GstClockTime end = 0;
  guint i, cut = 0;

  for (i = 0; i < 3000; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 1920, NULL);
    g_autoptr (GstBuffer) result = NULL;

    gst_buffer_memset (buffer, 0, 0, 1920);
    GST_BUFFER_PTS (buffer) = i * 19900 * GST_USECOND;
    gst_harness_push (harness, buffer);
    result = gst_harness_try_pull (harness);
    if (result == NULL) {
      cut++;
      continue;
    }
    cut += gst_buffer_get_size (result) < 1920;
    g_assert_cmpuint (GST_BUFFER_PTS (result) + 1000, >=, end);
    g_assert_cmpuint (GST_BUFFER_PTS (result), <, i * 19900 * GST_USECOND + 60 * GST_MSECOND);
    end = GST_BUFFER_PTS (result) +
          gst_util_uint64_scale (gst_buffer_get_size (result) / 2, GST_SECOND, 48000);
  }
  g_assert_cmpuint (cut, >, 0);
  gst_harness_teardown (harness);
}

static void
test_monitor (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, "mode", 1, NULL);
  GstBus *bus = watch (harness);
  GstMessage *message;
  guint i;

  push_segment (harness, 10 * GST_SECOND, 0);
  for (i = 0; i < 6; i++) {
    GstClockTime time = (i < 3 ? 10 : 5000) * GST_SECOND + i * 40 * GST_MSECOND;

    g_assert_cmpuint (through (harness, make_buffer (time, 40 * GST_MSECOND)), ==, time);
  }
  g_assert_cmpuint (count_events (harness, GST_EVENT_SEGMENT), ==, 2);
  message = next_message (bus, KR_MSG_TIMESTAMP_DISCONT);
  g_assert_nonnull (message);
  gst_message_unref (message);
  unwatch (harness, bus);
  gst_harness_teardown (harness);
}

/* A pipeline clock that is set from outside, as PTP and network clocks are. */
typedef GstSystemClock StepClock;
typedef GstSystemClockClass StepClockClass;
static GstClockTime step_clock_offset;

GType step_clock_get_type (void);
G_DEFINE_TYPE (StepClock, step_clock, GST_TYPE_SYSTEM_CLOCK)

static GstClockTime
step_clock_get_internal_time (GstClock *clock)
{
  return (GstClockTime)g_get_monotonic_time () * 1000 + step_clock_offset;
}

static void
step_clock_class_init (StepClockClass *class)
{
  GST_CLOCK_CLASS (class)->get_internal_time = step_clock_get_internal_time;
}

static void
step_clock_init (StepClock *clock)
{
}

static void
check_gap (GstHarness *harness, GstClockTime in, GstClockTime out)
{
  g_autoptr (GstEvent) event = NULL;
  GstClockTime time, duration;

  while ((event = gst_harness_try_pull_event (harness)) != NULL)
    gst_event_unref (g_steal_pointer (&event));
  g_assert_true (gst_harness_push_event (harness, gst_event_new_gap (in, 20 * GST_MSECOND)));
  event = gst_harness_pull_event (harness);
  g_assert_cmpint (GST_EVENT_TYPE (event), ==, GST_EVENT_GAP);
  gst_event_parse_gap (event, &time, &duration);
  g_assert_cmpuint (time, ==, out);
  g_assert_cmpuint (duration, ==, 20 * GST_MSECOND);
}

/* GAP events follow the map, even one that no clock could tell; `monitor` leaves them alone. */
static void
test_gap (void)
{
  const GstClockTime hour = 3600 * GST_SECOND, mad = G_MAXUINT64 - 2;
  GstHarness *corrects = new_harness (VP8_CAPS, "live", 2, NULL);
  GstHarness *monitors = new_harness (VP8_CAPS, "live", 2, "mode", 1, NULL);

  push_times (corrects, 0, 2, 40 * GST_MSECOND);
  gst_harness_push (corrects, make_buffer (hour, 40 * GST_MSECOND));
  gst_harness_push (corrects, make_buffer (hour + 40 * GST_MSECOND, 40 * GST_MSECOND));
  gst_harness_push (corrects, make_buffer (hour + 80 * GST_MSECOND, 40 * GST_MSECOND));
  check_gap (corrects, hour + 120 * GST_MSECOND, 200 * GST_MSECOND);
  check_gap (corrects, mad, 220 * GST_MSECOND);
  push_times (monitors, 0, 2, 40 * GST_MSECOND);
  check_gap (monitors, hour, hour);
  check_gap (monitors, mad, mad);
  gst_harness_teardown (corrects);
  gst_harness_teardown (monitors);
}

static void
test_clock_step (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 1, NULL);
  GstBus *bus = watch (harness);
  GstClock *clock = g_object_new (step_clock_get_type (), NULL);
  GstClockTime time;
  guint i;

  step_clock_offset = 0;
  gst_element_set_clock (harness->element, clock);
  time = gst_clock_get_time (clock);
  gst_element_set_base_time (harness->element, time);
  for (i = 0; i < 50; i++)
    through (harness, make_buffer (i * 40 * GST_MSECOND, 40 * GST_MSECOND));
  step_clock_offset = 3600 * GST_SECOND;
  /* Arrival is an hour later all of a sudden; that is not the source's fault. */
  for (; i < 100; i++)
    g_assert_cmpuint (through (harness, make_buffer (i * 40 * GST_MSECOND, 40 * GST_MSECOND)),
                      ==, i * 40 * GST_MSECOND);
  g_assert_null (next_message (bus, KR_MSG_TIMESTAMP_DISCONT));
  gst_element_set_clock (harness->element, NULL);
  gst_object_unref (clock);
  unwatch (harness, bus);
  gst_harness_teardown (harness);
}

/* 26.5 hours by stamps: the 33-bit counter wraps once, in video and audio. */
static void
test_day (void)
{
  const GstClockTime period = G_GUINT64_CONSTANT (95443717688888);
  GstHarness *video = new_harness ("video/x-vp8,framerate=1/1", "live", 2, NULL);
  GstHarness *audio = gst_harness_new_with_element (video->element, "sink_1", "src_1");
  guint i;

  gst_harness_set_src_caps_str (audio, "audio/x-opus");
  for (i = 0; i < 26 * 3600 + 1800 + 600; i++) {
    GstClockTime time = i * GST_SECOND;

    g_assert_cmpuint (through (video, make_buffer (time % period, GST_SECOND)), ==, time);
    time += 300 * GST_MSECOND;
    g_assert_cmpuint (through (audio, make_buffer (time % period, GST_SECOND)), ==, time);
  }
  gst_harness_teardown (audio);
  gst_harness_teardown (video);
}

static void
test_restart_of_the_pipeline (void)
{
  GstHarness *harness = new_harness (VP8_CAPS, "live", 2, NULL);

  push_times (harness, 700 * GST_SECOND, 3, 40 * GST_MSECOND);
  gst_element_set_state (harness->element, GST_STATE_READY);
  gst_element_set_state (harness->element, GST_STATE_PLAYING);
  g_assert_true (gst_harness_push_event (harness, gst_event_new_stream_start ("x")));
  gst_harness_set_src_caps_str (harness, VP8_CAPS);
  g_assert_cmpuint (through (harness, make_buffer (0, 40 * GST_MSECOND)), ==, 0);
  gst_harness_teardown (harness);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (100);
  g_test_add_func ("/timestampregen/properties", test_properties);
  g_test_add_func ("/timestampregen/clean-is-not-copied", test_clean_is_not_copied);
  g_test_add_func ("/timestampregen/segments-become-one", test_segments_become_one);
  g_test_add_data_func ("/timestampregen/bytes-segment-passes", GINT_TO_POINTER (TRUE),
                        test_other_segments_pass);
  g_test_add_data_func ("/timestampregen/fast-segment-passes", GINT_TO_POINTER (FALSE),
                        test_other_segments_pass);
  g_test_add_func ("/timestampregen/message", test_message);
  g_test_add_func ("/timestampregen/flush", test_flush);
  g_test_add_func ("/timestampregen/start-after-eos", test_start_after_eos);
  g_test_add_func ("/timestampregen/caps-change", test_caps_change);
  g_test_add_func ("/timestampregen/upstream-events", test_upstream_events);
  g_test_add_func ("/timestampregen/downstream-key-unit", test_downstream_key_unit);
  g_test_add_func ("/timestampregen/latency", test_latency);
  g_test_add_func ("/timestampregen/not-live-stays", test_not_live_stays);
  g_test_add_func ("/timestampregen/live-is-found", test_live_is_found);
  g_test_add_func ("/timestampregen/pads", test_pads);
  g_test_add_func ("/timestampregen/pads-while-running", test_pads_while_running);
  g_test_add_func ("/timestampregen/flows-are-combined", test_flows_are_combined);
  g_test_add_func ("/timestampregen/release-under-load", test_release_under_load);
  g_test_add_func ("/timestampregen/gap", test_gap);
  g_test_add_func ("/timestampregen/wait-keyframe", test_wait_keyframe);
  g_test_add_func ("/timestampregen/cfr-repeats", test_cfr_repeats);
  g_test_add_func ("/timestampregen/cfr-framerate", test_cfr_framerate);
  g_test_add_func ("/timestampregen/cfr-audio", test_cfr_audio);
  g_test_add_func ("/timestampregen/cfr-slow-audio", test_cfr_slow_audio);
  g_test_add_func ("/timestampregen/monitor", test_monitor);
  g_test_add_func ("/timestampregen/clock-step", test_clock_step);
  g_test_add_func ("/timestampregen/day", test_day);
  g_test_add_func ("/timestampregen/restart-of-the-pipeline", test_restart_of_the_pipeline);
  return g_test_run ();
}
