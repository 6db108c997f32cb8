/* keeprolling - tests of mpegtsregen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <string.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"
#include "tests/support/kr-ts.h"

#define CAPS "video/mpegts, systemstream=(boolean)true"

typedef struct {
  GstHarness *harness;
  GstBus *bus;
  GByteArray *out;
  guint buffers, keyframes, disconts;
  GstClockTime last_pts;
} Run;

static void
run_begin (Run *run, const char *properties, GstFormat format, gboolean live)
{
  GstElement *element = gst_element_factory_make ("mpegtsregen", NULL);
  g_auto (GStrv) settings = g_strsplit (properties, " ", -1);
  GstSegment segment;

  g_assert_nonnull (element);
  for (guint i = 0; settings[i] != NULL; i++) {
    g_auto (GStrv) pair = g_strsplit (settings[i], "=", 2);

    gst_util_set_object_arg (G_OBJECT (element), pair[0], pair[1]);
  }

  memset (run, 0, sizeof *run);
  run->harness = gst_harness_new_with_element (gst_object_ref_sink (element), "sink", "src");
  gst_object_unref (element);
  run->bus = gst_bus_new ();
  gst_element_set_bus (run->harness->element, run->bus);
  run->out = g_byte_array_new ();
  run->last_pts = GST_CLOCK_TIME_NONE;
  gst_harness_set_live (run->harness, live);
  gst_harness_set_src_caps_str (run->harness, CAPS);
  gst_segment_init (&segment, format);
  gst_harness_push_event (run->harness, gst_event_new_segment (&segment));
}

static void
run_end (Run *run)
{
  gst_element_set_bus (run->harness->element, NULL);
  gst_object_unref (run->bus);
  gst_harness_teardown (run->harness);
  g_byte_array_unref (run->out);
}

static void
collect (Run *run)
{
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (run->harness)) != NULL) {
    GstMapInfo map;

    g_assert_true (GST_BUFFER_PTS_IS_VALID (buffer));
    if (GST_CLOCK_TIME_IS_VALID (run->last_pts))
      g_assert_cmpuint (GST_BUFFER_PTS (buffer), >=, run->last_pts);
    run->last_pts = GST_BUFFER_PTS (buffer);
    run->buffers++;
    run->disconts += GST_BUFFER_IS_DISCONT (buffer);
    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
    if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT)) {
      run->keyframes++;
      g_assert_cmpuint (kr_ts_pid (map.data), ==, 0x100);
      g_assert_true (kr_ts_starts_unit (map.data));
    }
    g_assert_cmpuint (map.size % 188, ==, 0);
    g_byte_array_append (run->out, map.data, (guint)map.size);
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
  }
}

static GstFlowReturn
push (Run *run, const guint8 *data, gsize size)
{
  GstFlowReturn flow = gst_harness_push (run->harness, gst_buffer_new_memdup (data, size));

  collect (run);
  return flow;
}

static void
push_all (Run *run, const GByteArray *bytes, gsize block)
{
  for (gsize i = 0; i < bytes->len; i += block)
    g_assert_cmpint (push (run, bytes->data + i, MIN (block, bytes->len - i)), ==, GST_FLOW_OK);
}

static void
assert_same (const Run *run, const GByteArray *bytes)
{
  g_assert_cmpuint (run->out->len, ==, bytes->len);
  g_assert_true (memcmp (run->out->data, bytes->data, bytes->len) == 0);
}

static guint64
stat_of (const Run *run, const char *name)
{
  GstStructure *stats = NULL;
  guint64 value = 0;

  g_object_get (run->harness->element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  gst_structure_free (stats);
  return value;
}

static void
test_clean_from_a_file (gconstpointer data)
{
  gsize block = GPOINTER_TO_SIZE (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  push_all (&run, maker->bytes, block);
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  collect (&run);
  assert_same (&run, maker->bytes);
  g_assert_cmpuint (run.keyframes, ==, 4);
  g_assert_cmpuint (run.disconts, ==, 0);
  /* 99 frames after the first, from the PCR, though the input has no stamps. */
  g_assert_cmpuint (run.last_pts, >=, (block <= 1316 ? 3900 : 3000) * GST_MSECOND);
  g_assert_cmpuint (run.last_pts, <=, 3960 * GST_MSECOND);
  g_assert_cmpuint (stat_of (&run, "bytes-in"), ==, maker->bytes->len);
  g_assert_cmpuint (stat_of (&run, "keyframes"), ==, 4);
  run_end (&run);
}

static void
test_streamheader (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GstCaps) caps = NULL;
  const GValue *header;
  const GstSegment *segment;
  GstEvent *event;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .pmt_filler = 300});
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  push_all (&run, maker->bytes, 4096);
  caps = gst_pad_get_current_caps (run.harness->sinkpad);
  g_assert_nonnull (caps);
  header = gst_structure_get_value (gst_caps_get_structure (caps, 0), "streamheader");
  g_assert_nonnull (header);
  g_assert_cmpuint (gst_value_array_get_size (header), ==, 3);
  for (guint i = 0; i < 3; i++) {
    GstBuffer *packet = gst_value_get_buffer (gst_value_array_get_value (header, i));

    g_assert_cmpuint (gst_buffer_get_size (packet), ==, 188);
    g_assert_true (GST_BUFFER_FLAG_IS_SET (packet, GST_BUFFER_FLAG_HEADER));
  }
  event = gst_pad_get_sticky_event (run.harness->sinkpad, GST_EVENT_SEGMENT, 0);
  g_assert_nonnull (event);
  gst_event_parse_segment (event, &segment);
  g_assert_cmpint (segment->format, ==, GST_FORMAT_TIME);
  gst_event_unref (event);
  run_end (&run);
}

/* A source that also feeds something else: its bytes must stay what they are. */
static void
test_shared_buffers_are_not_touched (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GstBuffer) kept = NULL;
  g_autofree guint8 *before = NULL;
  GstMapInfo map;
  KrTsFound found;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 9000000});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  before = g_memdup2 (maker->bytes->data, maker->bytes->len);
  kept = gst_buffer_new_memdup (maker->bytes->data, maker->bytes->len);
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  g_assert_cmpint (gst_harness_push (run.harness, gst_buffer_ref (kept)), ==, GST_FLOW_OK);
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  collect (&run);
  gst_buffer_map (kept, &map, GST_MAP_READ);
  g_assert_true (memcmp (map.data, before, map.size) == 0);
  gst_buffer_unmap (kept, &map);
  kr_ts_read_back (run.out->data, run.out->len, &found);
  g_assert_cmpuint (found.dts_back + found.pcr_back + found.cc_errors, ==, 0);
  run_end (&run);
}

static void
test_buffer_lists (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  GstBufferList *list = gst_buffer_list_new ();
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  for (gsize i = 0; i < maker->bytes->len; i += 1000)
    gst_buffer_list_add (list, gst_buffer_new_memdup (maker->bytes->data + i,
                                                      MIN (1000, maker->bytes->len - i)));
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  g_assert_cmpint (gst_pad_push_list (run.harness->srcpad, list), ==, GST_FLOW_OK);
  collect (&run);
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  collect (&run);
  assert_same (&run, maker->bytes);
  run_end (&run);
}

static void
test_message (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GstMessage) message = NULL;
  const GstStructure *s;
  gint64 delta, gap;
  guint64 in, out, utc, running;
  guint epoch, suppressed;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 9000000});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 90000});
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  push_all (&run, maker->bytes, 1316);
  message = gst_bus_pop_filtered (run.bus, GST_MESSAGE_ELEMENT);
  g_assert_nonnull (message);
  s = gst_message_get_structure (message);
  g_assert_cmpstr (gst_structure_get_name (s), ==, KR_MSG_MPEGTS_DISCONT);
  g_assert_cmpstr (gst_structure_get_string (s, "pad"), ==, "1");
  g_assert_cmpstr (gst_structure_get_string (s, "kind"), ==, KR_DISCONT_JUMP_BACK);
  g_assert_true (gst_structure_get (s, "delta-ns", G_TYPE_INT64, &delta, "gap-ns", G_TYPE_INT64,
                                    &gap, "epoch", G_TYPE_UINT, &epoch, "in-ts", G_TYPE_UINT64,
                                    &in, "out-ts", G_TYPE_UINT64, &out, "running-time",
                                    G_TYPE_UINT64, &running, "utc-ns", G_TYPE_UINT64, &utc,
                                    "suppressed", G_TYPE_UINT, &suppressed, NULL));
  g_assert_cmpint (delta, ==, -101 * GST_SECOND);
  g_assert_cmpuint (epoch, ==, 2);
  g_assert_cmpuint (in, ==, 800 * GST_MSECOND);
  g_assert_cmpuint (out, >=, 100 * GST_SECOND);
  g_assert_null (gst_bus_pop_filtered (run.bus, GST_MESSAGE_ELEMENT));
  run_end (&run);
}

static void
test_wide_packets_are_an_error (void)
{
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;
  guint8 data[192 * 10] = {0};
  Run run;

  for (guint i = 0; i < 10; i++)
    data[4 + i * 192] = KR_TS_SYNC_BYTE;
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  g_assert_cmpint (push (&run, data, sizeof data), ==, GST_FLOW_ERROR);
  message = gst_bus_pop_filtered (run.bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "192 bytes"));
  run_end (&run);
}

/* A file that is none of ours is refused, at its end: there may be some packets in it. */
static void
test_other_file_is_an_error (void)
{
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *data = g_malloc0 (200000);
  Run run;

  memcpy (data, "FLV\1\5", 5);
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  g_assert_cmpint (push (&run, data, 200000), ==, GST_FLOW_OK);
  g_assert_null (gst_bus_pop_filtered (run.bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING));
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  message = gst_bus_pop_filtered (run.bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);
  g_assert_nonnull (strstr (error->message, "looks like FLV (46 4c 56 01"));
  g_assert_cmpuint (run.out->len, ==, 0);
  run_end (&run);
}

/* Empties the bus; returns how many messages have that name. */
static guint
pop_named (GstBus *bus, const char *name, const char *looks_like, guint *ret_warnings)
{
  GstMessage *message;
  guint n = 0;

  *ret_warnings = 0;
  while ((message = gst_bus_pop (bus)) != NULL) {
    const GstStructure *structure = gst_message_get_structure (message);

    g_assert_cmpint (GST_MESSAGE_TYPE (message), !=, GST_MESSAGE_ERROR);
    *ret_warnings += GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING;
    if (structure != NULL && gst_structure_has_name (structure, name)) {
      g_assert_cmpstr (gst_structure_get_string (structure, "looks-like"), ==, looks_like);
      n++;
    }
    gst_message_unref (message);
  }
  return n;
}

/* A live source that sends the wrong thing is told about once, and waited for. */
static void
test_other_source_is_waited_for (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  const char *text = "status ok: 12 clients, 4711 kbit/s, no loss\n";
  guint warnings;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 25});
  run_begin (&run, "live=true", GST_FORMAT_TIME, TRUE);
  gst_harness_use_testclock (run.harness);
  for (guint n = 0; n < 2; n++) {
    for (guint i = 0; i < 30; i++) {
      gst_harness_set_time (run.harness, (100 * n + i + 1) * 100 * GST_MSECOND);
      g_assert_cmpint (push (&run, (const guint8 *)text, strlen (text)), ==, GST_FLOW_OK);
    }
    g_assert_cmpuint (pop_named (run.bus, KR_MSG_MPEGTS_NO_PACKETS, "text", &warnings), ==, 1);
    g_assert_cmpuint (warnings, ==, 1);
    push_all (&run, maker->bytes, 1316);
    g_assert_cmpuint (pop_named (run.bus, KR_MSG_MPEGTS_PACKETS_AGAIN, NULL, &warnings), ==, 1);
    g_assert_cmpuint (warnings, ==, 0);
    g_assert_cmpuint (run.out->len, >, 0);
    g_byte_array_set_size (maker->bytes, 0);
    kr_ts_make_session (maker, &(KrTsSession){.frames = 25, .start = 90000 + 90000 * 11});
  }
  run_end (&run);
}

typedef enum { PLAIN, READ_ONLY, SHARED, PIECES, LIST, N_KINDS } Memory;

/* @data: stays with the caller, and must not change. */
static GstBuffer *
make_buffer (guint8 *data, gsize size, Memory kind)
{
  GstBuffer *buffer = NULL;

  switch (kind) {
  case READ_ONLY:
    return gst_buffer_new_wrapped_full (GST_MEMORY_FLAG_READONLY, data, size, 0, size, NULL,
                                        NULL);
  case PIECES:
    buffer = gst_buffer_new ();
    for (gsize i = 0; i < size; i += size / 3 + 1)
      gst_buffer_append_memory (
          buffer, gst_memory_new_wrapped (GST_MEMORY_FLAG_READONLY, data + i,
                                          MIN (size / 3 + 1, size - i), 0,
                                          MIN (size / 3 + 1, size - i), NULL, NULL));
    return buffer;
  case PLAIN:
  case SHARED:
  case LIST:
  case N_KINDS:
    break;
  }
  return gst_buffer_new_memdup (data, size);
}

/* However the bytes lie in memory and whoever else looks at them: the same comes out, and what
 * is not ours stays as it is. */
static void
test_any_memory (void)
{
  static const gsize blocks[] = {7, 187, 189, 1316, 65536};
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) expected = g_byte_array_new ();
  g_autofree guint8 *before = NULL;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 26, .start = 900000});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker,
                      &(KrTsSession){.frames = 26, .video_pid = 0x101, .audio_pid = 0x100});
  before = g_memdup2 (maker->bytes->data, maker->bytes->len);
  for (guint i = 0; i < G_N_ELEMENTS (blocks) * N_KINDS; i++) {
    gsize block = blocks[i / N_KINDS];
    Memory kind = i % N_KINDS;
    GstBufferList *list = gst_buffer_list_new ();

    run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
    for (gsize at = 0; at < maker->bytes->len; at += block) {
      gsize part = MIN (block, maker->bytes->len - at);
      GstBuffer *buffer = make_buffer (maker->bytes->data + at, part, kind);
      GstBuffer *other = kind == SHARED ? gst_buffer_ref (buffer) : NULL;

      if (kind == LIST)
        gst_buffer_list_insert (list, -1, buffer);
      else
        g_assert_cmpint (gst_harness_push (run.harness, buffer), ==, GST_FLOW_OK);
      g_assert_true (other == NULL ||
                     gst_buffer_memcmp (other, 0, maker->bytes->data + at, part) == 0);
      gst_clear_buffer (&other);
      collect (&run);
    }
    if (kind == LIST)
      g_assert_cmpint (gst_pad_push_list (run.harness->srcpad, g_steal_pointer (&list)), ==,
                       GST_FLOW_OK);
    gst_clear_buffer_list (&list);
    gst_harness_push_event (run.harness, gst_event_new_eos ());
    collect (&run);
    g_assert_cmpmem (maker->bytes->data, maker->bytes->len, before, maker->bytes->len);
    if (expected->len == 0) {
      g_byte_array_append (expected, run.out->data, run.out->len);
      g_assert_cmpint (memcmp (expected->data, before, expected->len), !=, 0);
    }
    g_assert_cmpmem (run.out->data, run.out->len, expected->data, expected->len);
    run_end (&run);
  }
}

/* Downstream gets its events in order, whatever comes before the first packet. */
static void
test_events_before_data (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  GstEventType types[8];
  GstEvent *event;
  guint n = 0;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 25});
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  gst_harness_push_event (run.harness, gst_event_new_gap (0, GST_SECOND));
  gst_harness_push_event (run.harness,
                          gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, "camera", NULL)));
  gst_harness_push_event (run.harness, gst_event_new_gap (GST_SECOND, GST_SECOND));
  push_all (&run, maker->bytes, 1000);
  while ((event = gst_harness_try_pull_event (run.harness)) != NULL) {
    g_assert_cmpuint (n, <, G_N_ELEMENTS (types));
    types[n++] = GST_EVENT_TYPE (event);
    gst_event_unref (event);
  }
  for (guint i = 0; i < n; i++)
    g_test_message ("%s", gst_event_type_get_name (types[i]));
  /* A gap says nothing about bytes whose time is told by what is in them. */
  g_assert_cmpuint (n, ==, 4);
  g_assert_cmpint (types[0], ==, GST_EVENT_STREAM_START);
  run_end (&run);
}

static void
test_flush_begins_anew (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  GstSegment segment;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 9000000});
  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  push_all (&run, maker->bytes, 1000);
  g_byte_array_set_size (run.out, 0);
  gst_harness_push_event (run.harness, gst_event_new_flush_start ());
  gst_harness_push_event (run.harness, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (run.harness, gst_event_new_segment (&segment));
  run.last_pts = GST_CLOCK_TIME_NONE;
  g_byte_array_set_size (maker->bytes, 0);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 90000});
  push_all (&run, maker->bytes, 1000);
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  collect (&run);
  assert_same (&run, maker->bytes); /* no join: another stream */
  run_end (&run);
}

static void
test_eos_without_data (void)
{
  GstEvent *event;
  gboolean eos = FALSE;
  Run run;

  run_begin (&run, "", GST_FORMAT_BYTES, FALSE);
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  while ((event = gst_harness_try_pull_event (run.harness)) != NULL) {
    eos |= GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  g_assert_true (eos);
  run_end (&run);
}

/* Arrival is the time on the clock: an outage of five seconds stays one. */
static void
test_live_outage (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  gsize second;
  Run run;

  run_begin (&run, "live=true", GST_FORMAT_TIME, TRUE);
  gst_harness_use_testclock (run.harness);
  kr_ts_make_session (maker,
                      &(KrTsSession){.frames = 50, .start = 9000000, .frame_size = 1000});
  second = maker->bytes->len;
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 90000, .frame_size = 1000});
  for (gsize i = 0; i < maker->bytes->len; i += 188) {
    gsize at = i < second ? i : i - second;

    gst_harness_set_time (run.harness, 10 * GST_SECOND + (i < second ? 0 : 7 * GST_SECOND) +
                                           at * (2 * GST_SECOND) / second);
    g_assert_cmpint (push (&run, maker->bytes->data + i, 188), ==, GST_FLOW_OK);
  }
  kr_ts_read_back (run.out->data, run.out->len, &found);
  g_assert_cmpuint (found.dts_back + found.pcr_back + found.cc_errors + found.pcr_steps, ==, 0);
  g_assert_cmpint (ABS (found.duration * 1000 / 27 - 8960 * (gint64)GST_MSECOND), <=,
                   40 * (gint64)GST_MSECOND);
  g_assert_cmpuint (run.disconts, ==, 1);
  /* Stamps are running times: anchored to the arrival. */
  g_assert_cmpuint (run.last_pts, >=, 18850 * GST_MSECOND);
  g_assert_cmpuint (run.last_pts, <=, 19000 * GST_MSECOND);
  run_end (&run);
}

static void
test_latency (void)
{
  GstClockTime latency;
  Run run;

  run_begin (&run, "latency=30000000", GST_FORMAT_TIME, TRUE);
  gst_harness_set_upstream_latency (run.harness, 200 * GST_MSECOND);
  latency = gst_harness_query_latency (run.harness);
  g_assert_cmpuint (latency, ==, 230 * GST_MSECOND);
  run_end (&run);
}

static void
test_properties (void)
{
  static const struct {
    const char *name, *value;
  } cases[] = {
      {"mode", "monitor"},       {"mode", "arrival"},        {"mode", "correct"},
      {"cc", "preserve"},        {"cc", "repair-joins"},     {"live", "true"},
      {"live", "false"},         {"live", "auto"},           {"max-gap", "2000000000"},
      {"max-lag", "5000000000"}, {"lag-hold", "1000000000"}, {"hold-time", "50000000"},
      {"hold-bytes", "100000"},  {"wait-keyframe", "true"},  {"wait-keyframe", "false"},
      {"latency", "10000000"},
  };
  GstElement *element = gst_element_factory_make ("mpegtsregen", NULL);

  g_assert_nonnull (element);
  gst_object_ref_sink (element);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    GParamSpec *spec =
        g_object_class_find_property (G_OBJECT_GET_CLASS (element), cases[i].name);
    g_auto (GValue) value = G_VALUE_INIT;
    g_autofree char *text = NULL;

    gst_util_set_object_arg (G_OBJECT (element), cases[i].name, cases[i].value);
    g_value_init (&value, spec->value_type);
    g_object_get_property (G_OBJECT (element), cases[i].name, &value);
    if (G_IS_PARAM_SPEC_ENUM (spec))
      text = g_strdup (g_enum_get_value (G_ENUM_CLASS (g_type_class_peek (spec->value_type)),
                                         g_value_get_enum (&value))
                           ->value_nick);
    else
      text = gst_value_serialize (&value);
    g_assert_cmpstr (text, ==, cases[i].value);
  }
  gst_object_unref (element);
}

/* Every property does something. */
static void
test_modes (gconstpointer data)
{
  const char *properties = data;
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 9000000});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 90000});
  run_begin (&run, properties, GST_FORMAT_BYTES, FALSE);
  push_all (&run, maker->bytes, 1316);
  gst_harness_push_event (run.harness, gst_event_new_eos ());
  collect (&run);
  kr_ts_read_back (run.out->data, run.out->len, &found);
  if (strstr (properties, "monitor") != NULL)
    assert_same (&run, maker->bytes);
  else
    g_assert_cmpuint (found.dts_back + found.pcr_back, ==, 0);
  g_assert_cmpuint (found.cc_errors > 0, ==, strcmp (properties, "") != 0);
  g_assert_cmpuint (stat_of (&run, "joins"), ==, 1);
  run_end (&run);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (110);
  g_test_add_data_func ("/elements/mpegtsregen/clean/65536", GSIZE_TO_POINTER (65536),
                        test_clean_from_a_file);
  g_test_add_data_func ("/elements/mpegtsregen/clean/1316", GSIZE_TO_POINTER (1316),
                        test_clean_from_a_file);
  g_test_add_data_func ("/elements/mpegtsregen/clean/333", GSIZE_TO_POINTER (333),
                        test_clean_from_a_file);
  g_test_add_func ("/elements/mpegtsregen/streamheader", test_streamheader);
  g_test_add_func ("/elements/mpegtsregen/shared", test_shared_buffers_are_not_touched);
  g_test_add_func ("/elements/mpegtsregen/lists", test_buffer_lists);
  g_test_add_func ("/elements/mpegtsregen/message", test_message);
  g_test_add_func ("/mpegtsregen/any-memory", test_any_memory);
  g_test_add_func ("/mpegtsregen/events-before-data", test_events_before_data);
  g_test_add_func ("/mpegtsregen/other-file", test_other_file_is_an_error);
  g_test_add_func ("/mpegtsregen/other-source", test_other_source_is_waited_for);
  g_test_add_func ("/elements/mpegtsregen/packet-size", test_wide_packets_are_an_error);
  g_test_add_func ("/elements/mpegtsregen/flush", test_flush_begins_anew);
  g_test_add_func ("/elements/mpegtsregen/eos", test_eos_without_data);
  g_test_add_func ("/elements/mpegtsregen/live-outage", test_live_outage);
  g_test_add_func ("/elements/mpegtsregen/latency", test_latency);
  g_test_add_func ("/elements/mpegtsregen/properties", test_properties);
  g_test_add_data_func ("/elements/mpegtsregen/mode/correct", "", test_modes);
  g_test_add_data_func ("/elements/mpegtsregen/mode/monitor", "mode=monitor", test_modes);
  g_test_add_data_func ("/elements/mpegtsregen/mode/preserve", "cc=preserve", test_modes);
  return g_test_run ();
}
