/* keeprolling - tests of growthmonitorsink
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <gst/check/gstharness.h>
#include <gst/check/gsttestclock.h>
#include <gst/gst.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

#define PATIENCE (60 * GST_SECOND)

/* --- a monitor under a test clock -------------------------------------------------------- */

typedef struct {
  GstTestClock *clock;
  GstElement *element;
  GstHarness *harness;
  GstBus *bus;
  GstStructure *sample;  /* of the last tick */
  GstStructure *stalled; /* of the last tick, if there was one */
  GstStructure *recovered;
  GError *error;
} Fixture;

/* @launch is a growthmonitorsink with its properties. */
static void
fixture_start (Fixture *fix, const char *launch)
{
  g_autoptr (GError) error = NULL;

  *fix = (Fixture){.clock = GST_TEST_CLOCK (gst_test_clock_new ())};
  /* The element times itself by the system's clock, whatever the pipeline's is. */
  gst_system_clock_set_default (GST_CLOCK (fix->clock));
  fix->element = gst_parse_launch (launch, &error);
  g_assert_no_error (error);
  fix->bus = gst_bus_new ();
  gst_element_set_bus (fix->element, fix->bus);
  fix->harness = gst_harness_new_with_element (fix->element, "sink", NULL);
  gst_harness_set_src_caps_str (fix->harness, "application/x-test");
  /* The first look, at what is there already, has been taken. */
  gst_test_clock_wait_for_next_pending_id (fix->clock, NULL);
}

static void
fixture_clear_news (Fixture *fix)
{
  g_clear_pointer (&fix->sample, gst_structure_free);
  g_clear_pointer (&fix->stalled, gst_structure_free);
  g_clear_pointer (&fix->recovered, gst_structure_free);
  g_clear_error (&fix->error);
}

static void
fixture_stop (Fixture *fix)
{
  gst_element_set_bus (fix->element, NULL);
  gst_harness_teardown (fix->harness);
  gst_object_unref (fix->element);
  gst_object_unref (fix->bus);
  gst_system_clock_set_default (NULL);
  gst_object_unref (fix->clock);
  fixture_clear_news (fix);
}

static void
take_news (Fixture *fix, GstMessage *message)
{
  const GstStructure *structure = gst_message_get_structure (message);

  if (gst_message_has_name (message, KR_MSG_GROWTH_SAMPLE))
    fix->sample = gst_structure_copy (structure);
  else if (gst_message_has_name (message, KR_MSG_GROWTH_STALLED))
    fix->stalled = gst_structure_copy (structure);
  else if (gst_message_has_name (message, KR_MSG_GROWTH_RECOVERED))
    fix->recovered = gst_structure_copy (structure);
  else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &fix->error, NULL);
}

/* One interval passes; what is posted meanwhile becomes the fixture's news. */
static void
tick (Fixture *fix)
{
  fixture_clear_news (fix);
  gst_test_clock_wait_for_next_pending_id (fix->clock, NULL);
  g_assert_true (gst_test_clock_crank (fix->clock));
  while (fix->sample == NULL) {
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (
        fix->bus, PATIENCE, GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR);

    g_assert_nonnull (message);
    take_news (fix, message);
  }
}

static void
tick_quiet (Fixture *fix, guint n)
{
  for (guint i = 0; i < n; i++) {
    tick (fix);
    g_assert_null (fix->stalled);
    g_assert_null (fix->recovered);
    g_assert_no_error (fix->error);
  }
}

static guint64
get_uint64 (const GstStructure *structure, const char *field)
{
  guint64 value;

  g_assert_true (gst_structure_get_uint64 (structure, field, &value));
  return value;
}

static void
assert_stalled (const Fixture *fix, const char *reason, GstClockTime age)
{
  g_assert_nonnull (fix->stalled);
  g_assert_cmpstr (gst_structure_get_string (fix->stalled, "reason"), ==, reason);
  g_assert_cmpuint (get_uint64 (fix->stalled, "age-ns"), ==, age);
  g_assert_true (gst_structure_has_field_typed (fix->stalled, "location", G_TYPE_STRING));
  g_assert_true (gst_structure_has_field_typed (fix->stalled, "bytes-in", G_TYPE_UINT64));
  g_assert_true (gst_structure_has_field_typed (fix->stalled, "file-bytes", G_TYPE_UINT64));
  g_assert_true (gst_structure_has_field_typed (fix->stalled, "utc-ns", G_TYPE_UINT64));
  g_assert_cmpstr (gst_structure_get_string (fix->sample, "state"), ==, "stalled");
}

static void
assert_recovered (const Fixture *fix, const char *reason, GstClockTime outage)
{
  g_assert_nonnull (fix->recovered);
  g_assert_cmpstr (gst_structure_get_string (fix->recovered, "reason"), ==, reason);
  g_assert_cmpuint (get_uint64 (fix->recovered, "outage-ns"), ==, outage);
  g_assert_true (gst_structure_has_field_typed (fix->recovered, "location", G_TYPE_STRING));
  g_assert_true (gst_structure_has_field_typed (fix->recovered, "utc-ns", G_TYPE_UINT64));
  g_assert_cmpstr (gst_structure_get_string (fix->sample, "state"), ==, "growing");
}

static GstBuffer *
new_buffer (gsize size, gboolean keyframe)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_memset (buffer, 0, 0x47, size);
  if (!keyframe)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  return buffer;
}

static void
push (Fixture *fix, gsize size, gboolean keyframe)
{
  g_assert_cmpint (gst_harness_push (fix->harness, new_buffer (size, keyframe)), ==,
                   GST_FLOW_OK);
}

/* @n intervals with data and without news. */
static void
flow_quiet (Fixture *fix, guint n, gboolean keyframes)
{
  for (guint i = 0; i < n; i++) {
    push (fix, 1000, keyframes);
    tick_quiet (fix, 1);
  }
}

/* --- the sink inside --------------------------------------------------------------------- */

static GstElement *
get_child (GstElement *element)
{
  GstElement *sink = NULL;

  g_object_get (element, "sink", &sink, NULL);
  return sink;
}

static void
assert_factory (GstElement *element, const char *name)
{
  g_assert_nonnull (element);
  g_assert_cmpstr (GST_OBJECT_NAME (gst_element_get_factory (element)), ==, name);
}

static GstElement *
launch (const char *description)
{
  g_autoptr (GError) error = NULL;
  GstElement *element = gst_parse_launch (description, &error);

  g_assert_no_error (error);
  return gst_object_ref_sink (element);
}

static void
test_sink_forms (void)
{
  /* The name of an element, a bin, an element. */
  g_autoptr (GstElement) named = launch ("growthmonitorsink sink=fakesink");
  g_autoptr (GstElement) bin = launch ("growthmonitorsink sink=\"identity ! fakesink\"");
  g_autoptr (GstElement) given = gst_element_factory_make ("growthmonitorsink", NULL);
  g_autoptr (GstElement) child = get_child (named);
  g_autoptr (GstElement) inner = get_child (bin);
  g_autoptr (GstElement) fresh = NULL;

  assert_factory (child, "fakesink");
  g_assert_true (GST_IS_BIN (inner));
  g_assert_cmpint (GST_BIN_NUMCHILDREN (inner), ==, 2);

  gst_object_ref_sink (given);
  fresh = get_child (given);
  g_assert_null (fresh);
  fresh = gst_object_ref_sink (gst_element_factory_make ("fakesink", "mine"));
  g_object_set (given, "sink", fresh, NULL);
  g_assert_true (GST_OBJECT_PARENT (fresh) == GST_OBJECT (given));
  /* Another one instead; the first is free again. */
  g_object_set (given, "sink", gst_element_factory_make ("filesink", NULL), NULL);
  g_assert_null (GST_OBJECT_PARENT (fresh));
  g_assert_cmpint (GST_BIN_NUMCHILDREN (given), ==, 1);
  g_object_set (given, "sink", NULL, NULL);
  g_assert_cmpint (GST_BIN_NUMCHILDREN (given), ==, 0);
  g_assert_true (GST_OBJECT_FLAG_IS_SET (given, GST_ELEMENT_FLAG_SINK));
}

static void
test_sink_refused (void)
{
  g_autoptr (GstElement) element = launch ("growthmonitorsink sink=fakesink");
  g_autoptr (GstElement) child = get_child (element);
  g_autoptr (GstElement) after = NULL;

  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*has no sink pad*");
  g_object_set (element, "sink", gst_element_factory_make ("fakesrc", NULL), NULL);
  g_test_assert_expected_messages ();
  g_object_set (element, "sink", gst_element_factory_make ("fakesink", NULL), NULL);
  gst_element_set_state (element, GST_STATE_PAUSED);
  child = (gst_object_unref (child), get_child (element));
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*only be changed in the states*");
  g_object_set (element, "sink", NULL, NULL);
  g_test_assert_expected_messages ();
  after = get_child (element);
  g_assert_true (after == child);
  gst_element_set_state (element, GST_STATE_NULL);
}

static void
test_sink_that_muxes (void)
{
  /* No pad called "sink": it has to be asked for one. */
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *location = kr_test_dir_path (dir, "seg%02d.mkv");
  g_autofree char *text = g_strdup_printf (
      "videotestsrc num-buffers=60 ! video/x-raw,width=64,height=48,framerate=30/1 ! jpegenc ! "
      "jpegparse ! growthmonitorsink name=m interval=10000000 "
      "sink=\"splitmuxsink muxer-factory=matroskamux max-size-time=1000000000 location=%s\"",
      location);
  g_autoptr (GstElement) pipeline = launch (text);
  g_autoptr (GstElement) monitor = gst_bin_get_by_name (GST_BIN (pipeline), "m");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GstStructure) stats = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, PATIENCE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  g_object_get (monitor, "stats", &stats, NULL);
  g_assert_true (g_str_has_prefix (gst_structure_get_string (stats, "location"), dir));
  g_assert_cmpuint (get_uint64 (stats, "file-bytes"), >, 0);
  g_assert_cmpuint (get_uint64 (stats, "buffers"), ==, 60);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static void
assert_location (GstElement *element, const char *expected)
{
  g_autofree char *location = NULL;

  g_object_get (element, "location", &location, NULL);
  g_assert_cmpstr (location, ==, expected);
}

static void
test_default_sink (void)
{
  g_autoptr (GstElement) element = launch ("growthmonitorsink location=/nowhere/x.ts");
  g_autoptr (GstElement) child = NULL;

  assert_location (element, "/nowhere/x.ts");
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_READY), !=,
                   GST_STATE_CHANGE_FAILURE);
  child = get_child (element);
  assert_factory (child, "atomicfilesink");
  assert_location (child, "/nowhere/x.ts");
  assert_location (element, "/nowhere/x.ts");
  gst_element_set_state (element, GST_STATE_NULL);
}

static void
test_location (void)
{
  g_autoptr (GstElement) before = launch ("growthmonitorsink location=a.ts sink=filesink");
  g_autoptr (GstElement) after = launch ("growthmonitorsink sink=filesink location=b.ts");
  g_autoptr (GstElement) own = launch ("growthmonitorsink sink=\"filesink location=c.ts\"");
  g_autoptr (GstElement) deep =
      launch ("growthmonitorsink sink=\"identity ! filesink name=f\" location=d.ts");
  g_autoptr (GstElement) wrong = launch ("growthmonitorsink sink=fakesink location=e.ts");
  g_autoptr (GstElement) child = get_child (after);
  g_autoptr (GstElement) filesink = gst_bin_get_by_name (GST_BIN (deep), "f");
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  assert_location (before, "a.ts");
  assert_location (after, "b.ts");
  assert_location (child, "b.ts");
  assert_location (own, "c.ts");
  assert_location (deep, "d.ts");
  assert_location (filesink, "d.ts");
  g_object_set (own, "location", "f.ts", NULL);
  assert_location (own, "f.ts");

  /* A location that nobody takes would be a recording that nobody makes. */
  assert_location (wrong, "e.ts");
  gst_element_set_bus (wrong, bus);
  g_assert_cmpint (gst_element_set_state (wrong, GST_STATE_PAUSED), ==,
                   GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  g_assert_nonnull (strstr (error->message, "e.ts"));
  gst_element_set_state (wrong, GST_STATE_NULL);
  gst_element_set_bus (wrong, NULL);
}

static void
test_properties (void)
{
  static const struct {
    const char *name;
    guint64 standard, other;
  } numbers[] = {
      {"interval", GST_SECOND, 250 * GST_MSECOND}, {"stall-timeout", 5 * GST_SECOND, 0},
      {"startup-timeout", 15 * GST_SECOND, 1},     {"min-rate", 1, G_MAXUINT64},
      {"window", 10 * GST_SECOND, GST_SECOND},     {"max-keyframe-interval", 0, 4 * GST_SECOND},
  };
  g_autoptr (GstElement) element = launch ("growthmonitorsink");
  g_autofree char *watch_location = NULL;
  gint on_stall;

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    guint64 value = 0;

    g_object_get (element, numbers[i].name, &value, NULL);
    g_assert_cmpuint (value, ==, numbers[i].standard);
    g_object_set (element, numbers[i].name, numbers[i].other, NULL);
    g_object_get (element, numbers[i].name, &value, NULL);
    g_assert_cmpuint (value, ==, numbers[i].other);
  }
  g_object_get (element, "on-stall", &on_stall, "watch-location", &watch_location, NULL);
  g_assert_cmpint (on_stall, ==, 0);
  g_assert_null (watch_location);
  gst_util_set_object_arg (G_OBJECT (element), "on-stall", "error");
  g_object_set (element, "watch-location", "x*.ts", NULL);
  g_object_get (element, "on-stall", &on_stall, "watch-location", &watch_location, NULL);
  g_assert_cmpint (on_stall, ==, 1);
  g_assert_cmpstr (watch_location, ==, "x*.ts");
}

/* --- verdicts ---------------------------------------------------------------------------- */

static void
test_sample (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *text = g_strdup_printf (
      "growthmonitorsink sink=\"filesink async=false buffer-mode=2 location=%s\"", path);
  g_autoptr (GstStructure) stats = NULL;
  const gint64 before = g_get_real_time ();
  const GstStructure *child_stats;
  GstBufferList *list = gst_buffer_list_new ();
  Fixture fix;
  double rate;

  fixture_start (&fix, text);
  push (&fix, 1000, TRUE);
  push (&fix, 500, FALSE);
  for (guint i = 0; i < 5; i++)
    gst_buffer_list_add (list, new_buffer (100, i == 0));
  g_assert_cmpint (gst_pad_push_list (fix.harness->srcpad, list), ==, GST_FLOW_OK);
  tick_quiet (&fix, 1);

  g_assert_cmpstr (gst_structure_get_string (fix.sample, "location"), ==, path);
  g_assert_cmpuint (get_uint64 (fix.sample, "bytes-in"), ==, 2000);
  g_assert_cmpuint (get_uint64 (fix.sample, "file-bytes"), ==, 2000);
  g_assert_cmpuint (get_uint64 (fix.sample, "buffers"), ==, 7);
  g_assert_cmpuint (get_uint64 (fix.sample, "keyframes"), ==, 2);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 0);
  g_assert_cmpuint (get_uint64 (fix.sample, "keyframe-age-ns"), ==, 0);
  g_assert_cmpuint (get_uint64 (fix.sample, "utc-ns"), >=, (guint64)before * 1000);
  g_assert_cmpstr (gst_structure_get_string (fix.sample, "state"), ==, "growing");
  g_assert_true (gst_structure_get_double (fix.sample, "rate", &rate));
  g_assert_cmpfloat (rate, ==, 2000);
  child_stats = gst_value_get_structure (gst_structure_get_value (fix.sample, "child-stats"));
  g_assert_nonnull (child_stats);
  g_assert_true (gst_structure_has_field (child_stats, "rendered"));

  tick_quiet (&fix, 3);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 3 * GST_SECOND);
  g_object_get (fix.element, "stats", &stats, NULL);
  g_assert_cmpuint (get_uint64 (stats, "bytes-in"), ==, 2000);
  g_assert_cmpuint (get_uint64 (stats, "samples"), ==, 4);
  g_assert_cmpuint (get_uint64 (stats, "stalls"), ==, 0);
  g_assert_true (gst_structure_has_field (stats, "child-stats"));
  fixture_stop (&fix);
}

static void
test_no_input (void)
{
  Fixture fix;
  g_autoptr (GstStructure) stats = NULL;

  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\"");
  tick_quiet (&fix, 14);
  g_assert_cmpstr (gst_structure_get_string (fix.sample, "state"), ==, "waiting");
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_INPUT, 15 * GST_SECOND);
  tick_quiet (&fix, 2);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_NO_INPUT, 18 * GST_SECOND);
  flow_quiet (&fix, 20, TRUE);
  tick_quiet (&fix, 4);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_INPUT, 5 * GST_SECOND);

  g_object_get (fix.element, "stats", &stats, NULL);
  g_assert_cmpuint (get_uint64 (stats, "stalls"), ==, 2);
  g_assert_cmpuint (get_uint64 (stats, "stalled-ns"), ==, 18 * GST_SECOND);
  g_assert_cmpstr (gst_structure_get_string (stats, "reason"), ==, KR_STALL_NO_INPUT);
  fixture_stop (&fix);
}

static void
test_no_growth (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *text = g_strdup_printf (
      "growthmonitorsink sink=\"fakesink async=false\" watch-location=%s", path);
  Fixture fix;

  /* The file does not appear: the grace of the start. */
  fixture_start (&fix, text);
  flow_quiet (&fix, 14, TRUE);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_GROWTH, 15 * GST_SECOND);
  g_assert_true (g_file_set_contents (path, "xy", 2, NULL));
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_NO_GROWTH, 16 * GST_SECOND);
  g_assert_cmpuint (get_uint64 (fix.sample, "file-bytes"), ==, 2);
  /* It stops. */
  flow_quiet (&fix, 5, TRUE);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_GROWTH, 6 * GST_SECOND);
  g_assert_cmpstr (gst_structure_get_string (fix.stalled, "location"), ==, path);
  fixture_stop (&fix);
}

static GstPadProbeReturn
hold (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_PAD_PROBE_OK;
}

static gpointer
push_in_thread (gpointer data)
{
  push (data, 10, TRUE);
  return NULL;
}

static void
test_blocked_sink (void)
{
  g_autoptr (GstElement) child = NULL;
  g_autoptr (GstPad) pad = NULL;
  g_autoptr (GThread) thread = NULL;
  Fixture fix;
  gulong probe;

  /* The sink holds a buffer and takes no other: the source is not to blame. */
  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\"");
  flow_quiet (&fix, 3, TRUE);
  child = get_child (fix.element);
  pad = gst_element_get_static_pad (child, "sink");
  probe = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, hold,
                             NULL, NULL);
  thread = g_thread_new ("push", push_in_thread, &fix);
  kr_test_wait (gst_pad_is_blocking (pad), 30);
  tick_quiet (&fix, 6);
  g_assert_cmpuint (get_uint64 (fix.sample, "buffers"), ==, 4);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_GROWTH, 6 * GST_SECOND);
  gst_pad_remove_probe (pad, probe);
  g_thread_join (g_steal_pointer (&thread));
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_NO_GROWTH, 7 * GST_SECOND);
  fixture_stop (&fix);
}

static void
test_min_rate (void)
{
  Fixture fix;

  fixture_start (
      &fix, "growthmonitorsink sink=\"fakesink async=false\" min-rate=1000 window=8000000000");
  flow_quiet (&fix, 20, TRUE);
  push (&fix, 900, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_BELOW_MIN_RATE, GST_SECOND);
  g_object_set (fix.element, "min-rate", G_GUINT64_CONSTANT (100), NULL);
  push (&fix, 900, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_BELOW_MIN_RATE, 2 * GST_SECOND);
  g_object_set (fix.element, "min-rate", G_GUINT64_CONSTANT (0), NULL);
  for (guint i = 0; i < 30; i++) {
    push (&fix, 1, TRUE);
    tick_quiet (&fix, 1);
  }
  fixture_stop (&fix);
}

static void
test_no_keyframe (void)
{
  Fixture fix;

  fixture_start (
      &fix, "growthmonitorsink sink=\"fakesink async=false\" max-keyframe-interval=4000000000");
  flow_quiet (&fix, 3, TRUE);
  flow_quiet (&fix, 3, FALSE);
  push (&fix, 1000, FALSE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_KEYFRAME, 4 * GST_SECOND);
  g_assert_cmpuint (get_uint64 (fix.sample, "keyframe-age-ns"), ==, 4 * GST_SECOND);
  push (&fix, 1000, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_NO_KEYFRAME, 5 * GST_SECOND);
  g_object_set (fix.element, "max-keyframe-interval", G_GUINT64_CONSTANT (0), NULL);
  flow_quiet (&fix, 30, FALSE);
  fixture_stop (&fix);
}

static void
test_file_lost (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *away = kr_test_dir_path (dir, "away.ts");
  g_autofree char *text = g_strdup_printf (
      "growthmonitorsink sink=\"filesink async=false buffer-mode=2 location=%s\"", path);
  Fixture fix;

  fixture_start (&fix, text);
  flow_quiet (&fix, 3, TRUE);
  /* Moved away: filesink writes on, where nobody will look for it. */
  g_assert_cmpint (rename (path, away), ==, 0);
  push (&fix, 1000, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_FILE_UNLINKED, GST_SECOND);
  g_assert_true (g_file_set_contents (path, "another", -1, NULL));
  push (&fix, 1000, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_FILE_REPLACED, 2 * GST_SECOND);
  g_assert_cmpint (rename (away, path), ==, 0);
  push (&fix, 1000, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_FILE_REPLACED, 3 * GST_SECOND);
  g_assert_cmpuint (get_uint64 (fix.sample, "file-bytes"), ==, 6000);
  fixture_stop (&fix);
}

static void
test_device (void)
{
  Fixture fix;

  /* A device has no size to grow: the bytes that come in are all there is. */
  fixture_start (&fix, "growthmonitorsink sink=\"filesink async=false location=/dev/null\"");
  flow_quiet (&fix, 30, TRUE);
  tick_quiet (&fix, 4);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_INPUT, 5 * GST_SECOND);
  fixture_stop (&fix);
}

static void
test_pattern (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *pattern = kr_test_dir_path (dir, "seg%03d.ts");
  g_autofree char *last = kr_test_dir_path (dir, "seg007.ts");
  g_autofree char *text = g_strdup_printf (
      "growthmonitorsink sink=\"multifilesink async=false location=%s\"", pattern);
  Fixture fix;

  /* One file per buffer. The kernel stamps files by its tick: not two in one of them. */
  fixture_start (&fix, text);
  for (guint i = 0; i < 8; i++) {
    g_usleep (25000);
    flow_quiet (&fix, 1, TRUE);
  }
  g_assert_cmpuint (get_uint64 (fix.sample, "file-bytes"), ==, 1000);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 0);
  g_assert_cmpstr (gst_structure_get_string (fix.sample, "location"), ==, last);
  g_assert_cmpint (unlink (last), ==, 0);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_FILE_UNLINKED, GST_SECOND);
  fixture_stop (&fix);
}

/* --- a sink that announces its files ------------------------------------------------------ */

static void
announce (GstElement *child, const char *name, guint seq, const char *temp, guint64 bytes)
{
  GstStructure *structure = gst_structure_new (
      name, "location", G_TYPE_STRING, "final", "temp-location", G_TYPE_STRING, temp, "seq",
      G_TYPE_UINT, seq, "bytes", G_TYPE_UINT64, bytes, NULL);

  gst_element_post_message (child, gst_message_new_element (GST_OBJECT (child), structure));
}

static void
append (const char *path, gsize n)
{
  const int fd = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  g_autofree char *bytes = g_malloc0 (n);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, bytes, n), ==, (gssize)n);
  close (fd);
}

static void
test_segments (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *first = kr_test_dir_path (dir, "0.recording.ts");
  g_autofree char *second = kr_test_dir_path (dir, "1.recording.ts");
  g_autofree char *final = kr_test_dir_path (dir, "0.ts");
  g_autoptr (GstElement) child = NULL;
  Fixture fix;

  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\"");
  child = get_child (fix.element);
  append (first, 100);
  announce (child, KR_MSG_SEGMENT_OPENED, 0, first, 0);
  flow_quiet (&fix, 1, TRUE);
  append (first, 100);
  flow_quiet (&fix, 1, TRUE);
  g_assert_cmpstr (gst_structure_get_string (fix.sample, "location"), ==, first);
  g_assert_cmpuint (get_uint64 (fix.sample, "file-bytes"), ==, 200);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 0);

  /* Rotation: the new one is open, the old one gets its name, then the news of it comes. */
  append (first, 50);
  g_assert_cmpint (rename (first, final), ==, 0);
  flow_quiet (&fix, 1, TRUE);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 0);
  append (second, 10);
  announce (child, KR_MSG_SEGMENT_OPENED, 1, second, 0);
  flow_quiet (&fix, 1, TRUE);
  announce (child, KR_MSG_SEGMENT_CLOSED, 0, first, 250);
  g_assert_cmpstr (gst_structure_get_string (fix.sample, "location"), ==, second);
  append (second, 10);
  flow_quiet (&fix, 1, TRUE);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 0);
  g_assert_cmpuint (get_uint64 (fix.sample, "file-bytes"), ==, 20);
  /* Removed by hand. */
  g_assert_cmpint (unlink (second), ==, 0);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_FILE_UNLINKED, GST_SECOND);
  /* A new segment heals it. */
  announce (child, KR_MSG_SEGMENT_CLOSED, 1, second, 20);
  append (first, 5);
  announce (child, KR_MSG_SEGMENT_OPENED, 2, first, 0);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_recovered (&fix, KR_STALL_FILE_UNLINKED, 2 * GST_SECOND);
  /* Closed, none opened, data comes in. */
  announce (child, KR_MSG_SEGMENT_CLOSED, 2, first, 5);
  flow_quiet (&fix, 5, TRUE);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_GROWTH, 6 * GST_SECOND);
  fixture_stop (&fix);
}

static void
test_segment_discarded (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "0.recording.ts");
  g_autoptr (GstElement) child = NULL;
  Fixture fix;

  /* The disk is full before the first byte: the file goes without having been a segment. That
   * is no file that somebody took away. */
  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\"");
  child = get_child (fix.element);
  append (path, 100);
  announce (child, KR_MSG_SEGMENT_OPENED, 0, path, 0);
  flow_quiet (&fix, 1, TRUE);
  append (path, 100);
  flow_quiet (&fix, 1, TRUE);
  g_assert_cmpint (unlink (path), ==, 0);
  announce (child, KR_MSG_DISK_FULL, 0, NULL, 0);
  flow_quiet (&fix, 5, TRUE);
  push (&fix, 10, TRUE);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_GROWTH, 6 * GST_SECOND);
  fixture_stop (&fix);
}

/* Ticks until the sample sees @file_bytes in the file. The flush timer of the sink has its own
 * time, so it is waited for. */
static void
flow_to_disk (Fixture *fix, guint64 file_bytes)
{
  const gint64 end = g_get_monotonic_time () + kr_test_scale (60) * G_USEC_PER_SEC;

  do {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (2000);
    tick (fix);
  } while (get_uint64 (fix->sample, "file-bytes") != file_bytes);
}

static void
test_atomicfilesink (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *location = kr_test_dir_path (dir, "a-{seq}.ts");
  g_autofree char *text = g_strdup_printf (
      "growthmonitorsink stall-timeout=3600000000000 "
      "startup-timeout=3600000000000 min-rate=0 "
      "sink=\"atomicfilesink async=false flush-interval=10000000 location=%s\"",
      location);
  g_autofree char *first = NULL, *second = NULL;
  g_autoptr (GstElement) child = NULL;
  const GstStructure *stats;
  Fixture fix;

  fixture_start (&fix, text);
  child = get_child (fix.element);
  push (&fix, 1880, TRUE);
  flow_to_disk (&fix, 1880);
  first = g_strdup (gst_structure_get_string (fix.sample, "location"));
  g_assert_true (g_str_has_prefix (first, dir));
  g_assert_true (g_str_has_suffix (first, ".recording.ts"));
  stats = gst_value_get_structure (gst_structure_get_value (fix.sample, "child-stats"));
  g_assert_nonnull (stats);
  g_assert_cmpuint (get_uint64 (stats, "bytes-received"), ==, 1880);

  /* Follow the rotation. */
  g_signal_emit_by_name (child, "split-now");
  push (&fix, 188, TRUE);
  push (&fix, 188, FALSE);
  flow_to_disk (&fix, 376);
  second = g_strdup (gst_structure_get_string (fix.sample, "location"));
  g_assert_cmpstr (first, !=, second);
  g_assert_true (g_str_has_suffix (second, ".recording.ts"));
  g_assert_null (fix.stalled);
  g_assert_cmpstr (gst_structure_get_string (fix.sample, "state"), ==, "growing");
  for (guint i = 0; i < 10; i++) {
    push (&fix, 188, FALSE);
    flow_to_disk (&fix, 376 + 188 * (i + 1));
  }

  /* Somebody removes the file. */
  g_assert_cmpint (unlink (second), ==, 0);
  tick (&fix);
  g_assert_nonnull (fix.stalled);
  g_assert_cmpstr (gst_structure_get_string (fix.stalled, "reason"), ==,
                   KR_STALL_FILE_UNLINKED);
  fixture_stop (&fix);
}

/* --- states ------------------------------------------------------------------------------ */

static void
test_pause (void)
{
  Fixture fix;

  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\"");
  flow_quiet (&fix, 3, TRUE);
  tick_quiet (&fix, 3);
  gst_element_set_state (fix.element, GST_STATE_PAUSED);
  for (guint i = 0; i < 100; i++) {
    gst_test_clock_wait_for_next_pending_id (fix.clock, NULL);
    gst_test_clock_crank (fix.clock);
  }
  gst_test_clock_wait_for_next_pending_id (fix.clock, NULL);
  g_assert_null (gst_bus_pop_filtered (fix.bus, GST_MESSAGE_ELEMENT));
  gst_element_set_state (fix.element, GST_STATE_PLAYING);
  /* At once, and it has taken no time. */
  fixture_clear_news (&fix);
  while (fix.sample == NULL) {
    g_autoptr (GstMessage) message =
        gst_bus_timed_pop_filtered (fix.bus, PATIENCE, GST_MESSAGE_ELEMENT);

    g_assert_nonnull (message);
    take_news (&fix, message);
  }
  g_assert_null (fix.stalled);
  g_assert_cmpuint (get_uint64 (fix.sample, "age-ns"), ==, 3 * GST_SECOND);
  tick_quiet (&fix, 1);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_INPUT, 5 * GST_SECOND);
  fixture_stop (&fix);
}

static void
test_eos (void)
{
  GstSegment segment;
  Fixture fix;

  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\"");
  flow_quiet (&fix, 3, TRUE);
  g_assert_true (gst_harness_push_event (fix.harness, gst_event_new_eos ()));
  /* The last numbers, and then the end. */
  fixture_clear_news (&fix);
  for (gboolean ended = FALSE; !ended;) {
    g_autoptr (GstMessage) message =
        gst_bus_timed_pop_filtered (fix.bus, PATIENCE, GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS);

    g_assert_nonnull (message);
    take_news (&fix, message);
    ended = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
  }
  g_assert_nonnull (fix.sample);
  g_assert_cmpuint (get_uint64 (fix.sample, "bytes-in"), ==, 3000);
  for (guint i = 0; i < 100; i++) {
    gst_test_clock_wait_for_next_pending_id (fix.clock, NULL);
    gst_test_clock_crank (fix.clock);
  }
  gst_test_clock_wait_for_next_pending_id (fix.clock, NULL);
  g_assert_null (gst_bus_pop_filtered (fix.bus, GST_MESSAGE_ELEMENT));

  /* A seek, and data again: watched again, with the grace of a start. */
  gst_harness_push_event (fix.harness, gst_event_new_flush_start ());
  gst_harness_push_event (fix.harness, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (fix.harness, gst_event_new_segment (&segment));
  tick_quiet (&fix, 15); /* the first of them notices that data may follow */
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_INPUT, 15 * GST_SECOND);
  fixture_stop (&fix);
}

static void
test_on_stall_error (void)
{
  Fixture fix;

  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\" on-stall=error");
  tick_quiet (&fix, 14);
  tick (&fix);
  assert_stalled (&fix, KR_STALL_NO_INPUT, 15 * GST_SECOND);
  /* The message was first: take_news() saw it before the error, both before the sample. */
  g_assert_error (fix.error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ);
  fixture_stop (&fix);

  fixture_start (
      &fix, "growthmonitorsink sink=\"fakesink async=false\" watch-location=/nowhere/at/all "
            "startup-timeout=3000000000 on-stall=error");
  flow_quiet (&fix, 2, TRUE);
  push (&fix, 1, TRUE);
  gst_test_clock_wait_for_next_pending_id (fix.clock, NULL);
  gst_test_clock_crank (fix.clock);
  {
    g_autoptr (GstMessage) first =
        gst_bus_timed_pop_filtered (fix.bus, PATIENCE, GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR);
    g_autoptr (GstMessage) second =
        gst_bus_timed_pop_filtered (fix.bus, PATIENCE, GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR);
    g_autoptr (GError) error = NULL;

    g_assert_true (gst_message_has_name (first, KR_MSG_GROWTH_STALLED));
    g_assert_cmpint (GST_MESSAGE_TYPE (second), ==, GST_MESSAGE_ERROR);
    gst_message_parse_error (second, &error, NULL);
    g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE);
  }
  fixture_stop (&fix);
}

static void
test_interval (void)
{
  Fixture fix;
  GstClockTime before;

  fixture_start (&fix, "growthmonitorsink sink=\"fakesink async=false\" interval=100000000");
  tick_quiet (&fix, 1);
  before = gst_clock_get_time (GST_CLOCK (fix.clock));
  tick_quiet (&fix, 3);
  g_assert_cmpuint (gst_clock_get_time (GST_CLOCK (fix.clock)) - before, ==, 300 * GST_MSECOND);
  /* While it waits: from now on. */
  gst_test_clock_wait_for_next_pending_id (fix.clock, NULL);
  g_object_set (fix.element, "interval", 2 * GST_SECOND, NULL);
  while (fix.bus != NULL) {
    g_autoptr (GstMessage) message =
        gst_bus_timed_pop_filtered (fix.bus, PATIENCE, GST_MESSAGE_ELEMENT);

    if (message != NULL && gst_message_has_name (message, KR_MSG_GROWTH_SAMPLE))
      break;
  }
  before = gst_clock_get_time (GST_CLOCK (fix.clock));
  tick_quiet (&fix, 2);
  g_assert_cmpuint (gst_clock_get_time (GST_CLOCK (fix.clock)) - before, ==, 4 * GST_SECOND);
  fixture_stop (&fix);
}

/* A live source that delivers nothing: the sink waits for its first buffer for ever, and is
 * never told to play. */
static void
test_absent_source (void)
{
  g_autoptr (GstElement) pipeline =
      launch ("audiotestsrc is-live=true ! valve drop=true ! growthmonitorsink sink=fakesink "
              "interval=10000000 startup-timeout=50000000 on-stall=error");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  /* Not while it is only meant to be PAUSED. */
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  message = gst_bus_timed_pop_filtered (bus, 300 * GST_MSECOND, GST_MESSAGE_ERROR);
  g_assert_null (message);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, PATIENCE, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static void
test_pulling_sink (void)
{
  g_autoptr (GstElement) pipeline =
      launch ("fakesrc can-activate-pull=true can-activate-push=false sizetype=2 sizemax=100 "
              "num-buffers=50 ! growthmonitorsink name=m "
              "sink=\"fakesink can-activate-pull=true can-activate-push=false\"");
  g_autoptr (GstElement) monitor = gst_bin_get_by_name (GST_BIN (pipeline), "m");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GstStructure) stats = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, PATIENCE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  g_object_get (monitor, "stats", &stats, NULL);
  g_assert_cmpuint (get_uint64 (stats, "buffers"), >, 0);
  g_assert_cmpuint (get_uint64 (stats, "bytes-in"), >, 0);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

/* --- stopping ---------------------------------------------------------------------------- */

static void
test_stop_while_firing (void)
{
  g_autoptr (GstElement) pipeline =
      launch ("fakesrc is-live=true do-timestamp=true num-buffers=1 ! "
              "growthmonitorsink sink=fakesink interval=1000000 stall-timeout=1 "
              "startup-timeout=1 on-stall=error");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);

  for (guint i = 0; i < 1000; i++) {
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    /* At all moments around the first looks, and some time after. */
    g_usleep (i % 20 * 150);
    if (i % 50 == 0) {
      g_autoptr (GstMessage) message =
          gst_bus_timed_pop_filtered (bus, PATIENCE, GST_MESSAGE_ERROR | GST_MESSAGE_EOS);

      g_assert_nonnull (message);
    }
    gst_element_set_state (pipeline, GST_STATE_NULL);
    gst_bus_set_flushing (bus, FALSE);
  }
}

static void
test_stop_loops (void)
{
  g_autoptr (GstElement) element = launch (
      "growthmonitorsink sink=\"fakesink async=false\" interval=1000000 stall-timeout=1 "
      "startup-timeout=1 on-stall=error");
  g_autoptr (GstBus) bus = gst_bus_new ();
  guint fired = 0;

  gst_element_set_bus (element, bus);
  for (guint i = 0; i < 1000; i++) {
    g_autoptr (GstMessage) message = NULL;

    gst_element_set_state (element, GST_STATE_PLAYING);
    if (i % 4 == 0) {
      /* It has fired, and goes on firing. */
      message = gst_bus_timed_pop_filtered (bus, PATIENCE, GST_MESSAGE_ERROR);
      g_assert_nonnull (message);
      fired++;
    } else {
      g_usleep (i % 16 * 150);
    }
    gst_element_set_state (element, i % 4 == 1 ? GST_STATE_PAUSED : GST_STATE_NULL);
    gst_bus_set_flushing (bus, TRUE);
    gst_bus_set_flushing (bus, FALSE);
  }
  g_assert_cmpuint (fired, ==, 250);
  gst_element_set_state (element, GST_STATE_NULL);
  /* Nothing comes after the stop. */
  gst_bus_set_flushing (bus, TRUE);
  gst_bus_set_flushing (bus, FALSE);
  g_usleep (20000);
  g_assert_null (gst_bus_pop (bus));
  gst_element_set_bus (element, NULL);
}

static GstBusSyncReply
stop_from_within (GstBus *bus, GstMessage *message, gpointer data)
{
  if (gst_message_has_name (message, KR_MSG_GROWTH_STALLED)) {
    gst_element_set_state (GST_ELEMENT (GST_MESSAGE_SRC (message)), GST_STATE_NULL);
    g_atomic_int_inc ((gint *)data);
  }
  return GST_BUS_PASS;
}

static void
test_stop_from_timer (void)
{
  g_autoptr (GstElement) element = launch (
      "growthmonitorsink sink=\"fakesink async=false\" interval=1000000 stall-timeout=1 "
      "startup-timeout=1");
  g_autoptr (GstBus) bus = gst_bus_new ();
  gint stopped = 0;

  /* A handler that stops the element on the very thread that tells of the stall. */
  gst_bus_set_sync_handler (bus, stop_from_within, &stopped, NULL);
  gst_element_set_bus (element, bus);
  for (gint i = 1; i <= 50; i++) {
    gst_element_set_state (element, GST_STATE_PLAYING);
    kr_test_wait (g_atomic_int_get (&stopped) >= i, 60);
  }
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  /* The last thread has still to leave its own message. */
  g_usleep (20000);
}

typedef struct {
  GMutex lock;
  GCond cond;
  gboolean inside, released, left;
} Stuck;

static GstBusSyncReply
be_stuck (GstBus *bus, GstMessage *message, gpointer data)
{
  Stuck *stuck = data;

  if (!gst_message_has_name (message, KR_MSG_GROWTH_STALLED))
    return GST_BUS_PASS;
  g_mutex_lock (&stuck->lock);
  stuck->inside = TRUE;
  g_cond_broadcast (&stuck->cond);
  while (!stuck->released)
    g_cond_wait (&stuck->cond, &stuck->lock);
  stuck->left = TRUE;
  g_cond_broadcast (&stuck->cond);
  g_mutex_unlock (&stuck->lock);
  gst_message_unref (message);
  return GST_BUS_DROP;
}

static void
stuck_wait (Stuck *stuck, gboolean *condition)
{
  g_mutex_lock (&stuck->lock);
  while (!*condition)
    g_cond_wait (&stuck->cond, &stuck->lock);
  g_mutex_unlock (&stuck->lock);
}

static void
test_stop_while_stuck (void)
{
  GstElement *element = launch (
      "growthmonitorsink sink=\"fakesink async=false\" interval=1000000 stall-timeout=1 "
      "startup-timeout=1");
  g_autoptr (GstBus) bus = gst_bus_new ();
  Stuck stuck = {.inside = FALSE};

  /* The firing thread waits for whoever stops it, as it may when the lock that it wants is held
   * there: the stop comes back all the same, and the thread is left behind. */
  gst_bus_set_sync_handler (bus, be_stuck, &stuck, NULL);
  gst_element_set_bus (element, bus);
  gst_element_set_state (element, GST_STATE_PLAYING);
  stuck_wait (&stuck, &stuck.inside);
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_NULL), ==,
                   GST_STATE_CHANGE_SUCCESS);
  gst_element_set_bus (element, NULL);
  g_object_add_weak_pointer (G_OBJECT (element), (gpointer *)&element);
  gst_object_unref (element);
  g_mutex_lock (&stuck.lock);
  stuck.released = TRUE;
  g_cond_broadcast (&stuck.cond);
  g_mutex_unlock (&stuck.lock);
  stuck_wait (&stuck, &stuck.left);
  gst_bus_set_flushing (bus, TRUE); /* the messages in it refer to the element */
  kr_test_wait (g_atomic_pointer_get (&element) == NULL, 60);
}

/* --- documentation ----------------------------------------------------------------------- */

/* The pipeline of the launch line in the documentation, options apart. */
static GstElement *
launch_documented (const char *name)
{
  g_autofree char *path = g_build_filename (g_getenv ("KR_SOURCE_DIR"), "plugins", name, NULL);
  g_autofree char *source = NULL, *line = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;
  g_auto (GStrv) words = NULL;
  GstElement *pipeline;
  guint first = 1;
  char *begin, *end;

  g_file_get_contents (path, &source, NULL, &error);
  g_assert_no_error (error);
  begin = strstr (source, " * |[\n * gst-launch-1.0 ");
  g_assert_nonnull (begin);
  begin += strlen (" * |[\n * ");
  end = strstr (begin, "\n * ]|");
  g_assert_nonnull (end);
  *end = '\0';
  lines = g_strsplit (begin, "\\\n * ", -1);
  line = g_strjoinv ("", lines);
  g_shell_parse_argv (line, NULL, &words, &error);
  g_assert_no_error (error);
  while (words[first][0] == '-')
    first++;
  pipeline = gst_parse_launchv ((const char **)words + first, &error);
  g_assert_no_error (error);
  return gst_object_ref_sink (pipeline);
}

static void
test_launch_line (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *tone = kr_test_dir_path (dir, "tone.wav");
  g_autofree char *cwd = g_get_current_dir ();
  g_autoptr (GstElement) pipeline = launch_documented ("growthmonitorsink.c");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  guint samples = 0;

  g_assert_cmpint (g_chdir (dir), ==, 0);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (gboolean ended = FALSE; !ended;) {
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (
        bus, PATIENCE, GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

    g_assert_nonnull (message);
    g_assert_cmpint (GST_MESSAGE_TYPE (message), !=, GST_MESSAGE_ERROR);
    samples += gst_message_has_name (message, KR_MSG_GROWTH_SAMPLE);
    ended = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_assert_cmpint (g_chdir (cwd), ==, 0);
  g_assert_cmpuint (samples, >, 0);
  g_assert_true (g_file_test (tone, G_FILE_TEST_IS_REGULAR));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  kr_test_deadline (280);
  g_test_add_func ("/growthmonitorsink/sink-forms", test_sink_forms);
  g_test_add_func ("/growthmonitorsink/sink-refused", test_sink_refused);
  g_test_add_func ("/growthmonitorsink/sink-that-muxes", test_sink_that_muxes);
  g_test_add_func ("/growthmonitorsink/default-sink", test_default_sink);
  g_test_add_func ("/growthmonitorsink/location", test_location);
  g_test_add_func ("/growthmonitorsink/properties", test_properties);
  g_test_add_func ("/growthmonitorsink/sample", test_sample);
  g_test_add_func ("/growthmonitorsink/no-input", test_no_input);
  g_test_add_func ("/growthmonitorsink/no-growth", test_no_growth);
  g_test_add_func ("/growthmonitorsink/blocked-sink", test_blocked_sink);
  g_test_add_func ("/growthmonitorsink/min-rate", test_min_rate);
  g_test_add_func ("/growthmonitorsink/no-keyframe", test_no_keyframe);
  g_test_add_func ("/growthmonitorsink/file-lost", test_file_lost);
  g_test_add_func ("/growthmonitorsink/device", test_device);
  g_test_add_func ("/growthmonitorsink/pattern", test_pattern);
  g_test_add_func ("/growthmonitorsink/segments", test_segments);
  g_test_add_func ("/growthmonitorsink/segment-discarded", test_segment_discarded);
  g_test_add_func ("/growthmonitorsink/atomicfilesink", test_atomicfilesink);
  g_test_add_func ("/growthmonitorsink/pause", test_pause);
  g_test_add_func ("/growthmonitorsink/eos", test_eos);
  g_test_add_func ("/growthmonitorsink/on-stall-error", test_on_stall_error);
  g_test_add_func ("/growthmonitorsink/interval", test_interval);
  g_test_add_func ("/growthmonitorsink/absent-source", test_absent_source);
  g_test_add_func ("/growthmonitorsink/pulling-sink", test_pulling_sink);
  g_test_add_func ("/growthmonitorsink/stop-while-firing", test_stop_while_firing);
  g_test_add_func ("/growthmonitorsink/stop-loops", test_stop_loops);
  g_test_add_func ("/growthmonitorsink/stop-from-timer", test_stop_from_timer);
  g_test_add_func ("/growthmonitorsink/stop-while-stuck", test_stop_while_stuck);
  g_test_add_func ("/growthmonitorsink/launch-line", test_launch_line);
  return g_test_run ();
}
