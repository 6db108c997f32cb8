/* keeprolling - tests of atomicfilesink behind its pad
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gst/gst.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

/* A sink in a pipeline of its own, fed through a pad of ours. */
typedef struct {
  KrTestDir *dir;
  GstElement *pipeline, *sink;
  GstPad *pad;
  GstBus *bus;
} Fixture;

static Fixture *
fixture_new (const char *name, const char *properties)
{
  Fixture *f = g_new0 (Fixture, 1);
  g_autofree char *location = NULL;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  GstPad *target;

  f->dir = kr_test_dir_new ();
  location = kr_test_dir_path (f->dir, name);
  text = g_strdup_printf ("atomicfilesink location=\"%s\" %s", location, properties);
  f->sink = gst_parse_launch (text, &error);
  g_assert_no_error (error);
  f->pipeline = gst_pipeline_new (NULL);
  f->bus = gst_element_get_bus (f->pipeline);
  gst_bin_add (GST_BIN (f->pipeline), f->sink);
  f->pad = gst_pad_new ("src", GST_PAD_SRC);
  target = gst_element_get_static_pad (f->sink, "sink");
  gst_pad_link (f->pad, target);
  gst_object_unref (target);
  return f;
}

static void
fixture_free (Fixture *f)
{
  gst_element_set_state (f->pipeline, GST_STATE_NULL);
  gst_pad_set_active (f->pad, FALSE);
  gst_object_unref (f->pad);
  gst_object_unref (f->bus);
  gst_object_unref (f->pipeline);
  kr_test_dir_free (f->dir);
  g_free (f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fixture, fixture_free)

static GstCaps *
caps_with_header (const char *header)
{
  GstCaps *caps = gst_caps_from_string ("application/x-test");
  GValue list = G_VALUE_INIT, value = G_VALUE_INIT;

  if (header == NULL)
    return caps;
  g_value_init (&list, GST_TYPE_ARRAY);
  g_value_init (&value, GST_TYPE_BUFFER);
  gst_value_take_buffer (&value, gst_buffer_new_memdup (header, strlen (header)));
  gst_value_array_append_and_take_value (&list, &value);
  gst_structure_take_value (gst_caps_get_structure (caps, 0), "streamheader", &list);
  return caps;
}

static void
fixture_play (Fixture *f, const char *header)
{
  g_autoptr (GstCaps) caps = caps_with_header (header);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_set_active (f->pad, TRUE);
  g_assert_cmpint (gst_element_set_state (f->pipeline, GST_STATE_PLAYING), !=,
                   GST_STATE_CHANGE_FAILURE);
  gst_pad_push_event (f->pad, gst_event_new_stream_start ("test"));
  gst_pad_push_event (f->pad, gst_event_new_caps (caps));
  gst_pad_push_event (f->pad, gst_event_new_segment (&segment));
}

static GstBuffer *
make_buffer (const void *data, gsize size, double seconds, gboolean delta)
{
  GstBuffer *buffer = gst_buffer_new_memdup (data, size);

  if (seconds >= 0)
    GST_BUFFER_PTS (buffer) = (GstClockTime)(seconds * GST_SECOND);
  if (delta)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  return buffer;
}

static void
push (Fixture *f, const char *text, double seconds, gboolean delta)
{
  g_assert_cmpint (gst_pad_push (f->pad, make_buffer (text, strlen (text), seconds, delta)), ==,
                   GST_FLOW_OK);
}

static void
eos (Fixture *f)
{
  g_assert_true (gst_pad_push_event (f->pad, gst_event_new_eos ()));
}

static char *
read_file (Fixture *f, const char *name)
{
  g_autofree char *path = kr_test_dir_path (f->dir, name);
  char *text = NULL;

  g_file_get_contents (path, &text, NULL, NULL);
  return text;
}

static void
assert_file (Fixture *f, const char *name, const char *content)
{
  g_autofree char *text = read_file (f, name);

  g_assert_cmpstr (text, ==, content);
}

static void
assert_list (Fixture *f, const char *expected)
{
  g_autofree char *list = kr_test_dir_list (f->dir);

  g_assert_cmpstr (list, ==, expected);
}

/* The next element message of that name. */
static GstStructure *
pop_message (Fixture *f, const char *name)
{
  GstMessage *message;

  while ((message = gst_bus_timed_pop_filtered (f->bus, 0, GST_MESSAGE_ELEMENT)) != NULL) {
    const GstStructure *structure = gst_message_get_structure (message);
    GstStructure *copy = NULL;

    if (gst_structure_has_name (structure, name))
      copy = gst_structure_copy (structure);
    gst_message_unref (message);
    if (copy != NULL)
      return copy;
  }
  return NULL;
}

static char *
pop_error (Fixture *f)
{
  GstMessage *message = gst_bus_timed_pop_filtered (f->bus, 0, GST_MESSAGE_ERROR);
  g_autoptr (GError) error = NULL;

  if (message == NULL)
    return NULL;
  gst_message_parse_error (message, &error, NULL);
  gst_message_unref (message);
  return g_strdup (error->message);
}

static guint64
stat_of (Fixture *f, const char *name)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 value = 0;

  g_object_get (f->sink, "stats", &stats, NULL);
  g_assert_cmpstr (gst_structure_get_name (stats), ==, KR_STATS_ATOMICFILESINK);
  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  return value;
}

static void
test_one_file (void)
{
  g_autoptr (Fixture) f = fixture_new ("d/a.ts", "flush-interval=10000000 instance=me");
  g_autoptr (GstStructure) opened = NULL, closed = NULL;
  g_autofree char *recording = NULL;
  guint64 bytes, first, last, start, end;
  gboolean durable;
  guint seq;

  fixture_play (f, NULL);
  g_assert_false (g_file_test (f->dir, G_FILE_TEST_IS_SYMLINK));
  assert_list (f, "");
  push (f, "hello ", 1, FALSE);
  push (f, "world", 2, TRUE);
  /* The timer flushes without more data. */
  kr_test_wait (stat_of (f, "bytes-written") == 11, 20);
  assert_file (f, "d/a.recording.ts", "hello world");
  opened = pop_message (f, KR_MSG_SEGMENT_OPENED);
  g_assert_nonnull (opened);
  g_assert_true (g_str_has_suffix (gst_structure_get_string (opened, "temp-location"),
                                   "d/a.recording.ts"));
  eos (f);
  assert_file (f, "d/a.ts", "hello world");
  closed = pop_message (f, KR_MSG_SEGMENT_CLOSED);
  g_assert_true (gst_structure_get (
      closed, "bytes", G_TYPE_UINT64, &bytes, "first-pts", G_TYPE_UINT64, &first, "last-pts",
      G_TYPE_UINT64, &last, "utc-start-ns", G_TYPE_UINT64, &start, "utc-end-ns", G_TYPE_UINT64,
      &end, "durable", G_TYPE_BOOLEAN, &durable, "seq", G_TYPE_UINT, &seq, NULL));
  g_assert_cmpuint (bytes, ==, 11);
  g_assert_cmpuint (first, ==, GST_SECOND);
  g_assert_cmpuint (last, ==, 2 * GST_SECOND);
  g_assert_cmpuint (end, >=, start);
  g_assert_true (durable);
  g_assert_cmpuint (seq, ==, 0);
  g_assert_cmpstr (gst_structure_get_string (closed, "reason"), ==, KR_REASON_EOS);
  g_assert_cmpstr (gst_structure_get_string (closed, "instance"), ==, "me");
  g_assert_cmpuint (stat_of (f, "bytes-durable"), ==, 11);
  g_assert_cmpuint (stat_of (f, "bytes-received"), ==, 11);
  g_assert_cmpuint (stat_of (f, "pending-bytes"), ==, 0);
  g_assert_cmpuint (stat_of (f, "unsynced-age-ns"), ==, 0);
  gst_element_set_state (f->pipeline, GST_STATE_NULL);
  g_assert_cmpuint (stat_of (f, "segments"), ==, 1);
  recording = read_file (f, "d/a.recording.ts");
  g_assert_null (recording);
}

static void
test_sync_interval (void)
{
  g_autoptr (Fixture) f = fixture_new ("a", "flush-interval=10000000 sync-interval=20000000");

  fixture_play (f, NULL);
  push (f, "x", 0, FALSE);
  kr_test_wait (stat_of (f, "bytes-durable") == 1, 20);
  g_assert_cmpuint (stat_of (f, "sync-calls"), >=, 1);
  g_assert_cmpuint (stat_of (f, "last-sync-utc-ns"), >, 0);
}

static void
test_stop_without_eos (void)
{
  g_autoptr (Fixture) f = fixture_new ("a.ts", "");
  g_autoptr (GstStructure) closed = NULL;

  fixture_play (f, NULL);
  push (f, "abc", 0, FALSE);
  gst_element_set_state (f->pipeline, GST_STATE_READY);
  assert_file (f, "a.ts", "abc");
  closed = pop_message (f, KR_MSG_SEGMENT_CLOSED);
  g_assert_cmpstr (gst_structure_get_string (closed, "reason"), ==, KR_REASON_RESTART);
}

static void
test_no_data_no_file (void)
{
  g_autoptr (Fixture) f = fixture_new ("sub/a.ts", "");

  fixture_play (f, "header");
  gst_pad_push (f->pad, gst_buffer_new ());
  eos (f);
  gst_element_set_state (f->pipeline, GST_STATE_NULL);
  assert_list (f, "");
}

static void
assert_does_not_start (const char *name, const char *properties, const char *says)
{
  g_autoptr (Fixture) f = fixture_new (name, properties);
  g_autofree char *text = NULL;

  g_assert_cmpint (gst_element_set_state (f->pipeline, GST_STATE_PLAYING), ==,
                   GST_STATE_CHANGE_FAILURE);
  text = pop_error (f);
  g_assert_nonnull (text);
  if (strstr (text, says) == NULL)
    g_error ("\"%s\" does not say \"%s\"", text, says);
  assert_list (f, "");
}

static void
test_bad_settings (void)
{
  g_autoptr (Fixture) f = fixture_new ("a.ts", "");
  g_autofree char *text = NULL;

  assert_does_not_start ("x/%Q.ts", "", "unknown conversion");
  assert_does_not_start ("x/{no}.ts", "", "unknown field");
  assert_does_not_start ("x/", "", "names a folder");
  assert_does_not_start ("a.ts", "instance=NO", "instance");
  g_object_set (f->sink, "location", NULL, NULL);
  g_assert_cmpint (gst_element_set_state (f->pipeline, GST_STATE_PLAYING), ==,
                   GST_STATE_CHANGE_FAILURE);
  text = pop_error (f);
  g_assert_nonnull (strstr (text, "no location is set"));
}

static void
test_unusable_folder (void)
{
  g_autoptr (Fixture) f = fixture_new ("file/sub/a.ts", "");
  g_autofree char *path = kr_test_dir_path (f->dir, "file");
  g_autofree char *text = NULL;

  g_assert_true (g_file_set_contents (path, "x", 1, NULL));
  g_assert_cmpint (gst_element_set_state (f->pipeline, GST_STATE_PLAYING), ==,
                   GST_STATE_CHANGE_FAILURE);
  text = pop_error (f);
  g_assert_nonnull (strstr (text, "ENOTDIR"));
}

static void
test_on_exists (void)
{
  g_autoptr (Fixture) number = fixture_new ("a.ts", "");
  g_autoptr (Fixture) error = fixture_new ("a.ts", "on-exists=error");
  Fixture *both[] = {number, error};
  g_autofree char *text = NULL;

  for (guint i = 0; i < 2; i++) {
    g_autofree char *path = kr_test_dir_path (both[i]->dir, "a.ts");

    g_assert_true (g_file_set_contents (path, "older", -1, NULL));
    fixture_play (both[i], NULL);
    push (both[i], "new", 0, FALSE);
    gst_pad_push_event (both[i]->pad, gst_event_new_eos ());
    assert_file (both[i], "a.ts", "older");
  }
  assert_file (number, "a-2.ts", "new");
  assert_list (error, "a.ts");
  text = pop_error (error);
  g_assert_nonnull (strstr (text, "EEXIST"));
}

/* Pushes a random stream, cuts it, and puts it together again. */
static void
test_rotation_is_exact (void)
{
  for (guint round = 0; round < 30; round++) {
    guint32 seed = (guint32)g_test_rand_int_range (0, G_MAXINT32);
    g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
    gboolean with_header = g_rand_boolean (rand), brings_header = g_rand_boolean (rand);
    g_autofree char *properties = g_strdup_printf (
        "max-size-bytes=%d max-size-time=%d buffer-size=65536 "
        "flush-interval=10000000",
        g_rand_int_range (rand, 1, 50000), g_rand_int_range (rand, 0, 2) * 700000000);
    g_autoptr (Fixture) f = fixture_new ("{seq}", properties);
    g_autoptr (GString) sent = g_string_new (NULL), found = g_string_new (NULL);
    g_autofree char *list = NULL;
    g_auto (GStrv) names = NULL;

    fixture_play (f, with_header ? "THE-HEADER" : NULL);
    for (guint i = 0; i < 300; i++) {
      gsize size = (gsize)g_rand_int_range (rand, 1, g_rand_int_range (rand, 2, 40000));
      g_autofree char *data = g_malloc (size + 16);
      gboolean delta = g_rand_int_range (rand, 0, 3) > 0;

      for (gsize b = 0; b < size; b++)
        data[b] = (char)g_rand_int_range (rand, 'a', 'z');
      /* A muxer that begins with its header itself: not to stand there twice. */
      if (i == 0 && with_header && brings_header && size >= 10)
        memcpy (data, "THE-HEADER", 10);
      g_string_append_len (sent, data, (gssize)size);
      g_assert_cmpint (gst_pad_push (f->pad, make_buffer (data, size, i * 0.04, delta)), ==,
                       GST_FLOW_OK);
      if (g_rand_int_range (rand, 0, 100) == 0)
        g_signal_emit_by_name (f->sink, "split-now");
      if (g_rand_int_range (rand, 0, 60) == 0)
        g_usleep (15000);
    }
    eos (f);
    list = kr_test_dir_list (f->dir);
    names = g_strsplit (list, " ", -1);
    for (guint i = 0; names[i] != NULL; i++) {
      g_autofree char *path = kr_test_dir_path (f->dir, names[i]);
      g_autofree char *data = NULL;
      gsize size, skip = 0;

      g_assert_true (g_file_get_contents (path, &data, &size, NULL));
      if (with_header) {
        g_assert_true (g_str_has_prefix (data, "THE-HEADER"));
        skip = i == 0 && g_str_has_prefix (sent->str, "THE-HEADER") ? 0 : 10;
      }
      g_assert_cmpuint (size, >, skip);
      g_string_append_len (found, data + skip, (gssize)(size - skip));
    }
    if (!g_string_equal (sent, found))
      g_error ("seed %u: %" G_GSIZE_FORMAT " bytes sent, %" G_GSIZE_FORMAT " found in %s", seed,
               sent->len, found->len, list);
    g_assert_cmpuint (g_strv_length (names), >, 1);
  }
}

static void
test_cuts (void)
{
  g_autoptr (Fixture) f = fixture_new ("{seq}.ts", "max-size-time=10000000000");

  fixture_play (f, "H");
  push (f, "a", 0, FALSE);
  push (f, "b", 9.9, FALSE);
  push (f, "c", 10.5, TRUE);
  push (f, "d", 11, FALSE);
  push (f, "e", 12, FALSE);
  g_signal_emit_by_name (f->sink, "split-now");
  push (f, "f", 13, TRUE);
  push (f, "g", 14, FALSE);
  eos (f);
  assert_file (f, "000000.ts", "Habc");
  assert_file (f, "000001.ts", "Hdef");
  assert_file (f, "000002.ts", "Hg");
  assert_list (f, "000000.ts 000001.ts 000002.ts");
}

static void
test_new_header (void)
{
  g_autoptr (Fixture) f = fixture_new ("{seq}", "");
  g_autoptr (GstCaps) caps = caps_with_header ("NEW-");

  fixture_play (f, "OLD-");
  push (f, "a", 0, FALSE);
  gst_pad_push_event (f->pad, gst_event_new_caps (caps));
  push (f, "b", 1, FALSE);
  g_signal_emit_by_name (f->sink, "split-now");
  push (f, "c", 2, FALSE);
  eos (f);
  assert_file (f, "000000", "OLD-ab");
  assert_file (f, "000001", "NEW-c");
}

/* Other streams in the middle of the recording: they get a file of their own. */
static void
test_new_header_cuts (void)
{
  g_autoptr (Fixture) f = fixture_new ("{seq}", "max-size-bytes=1000000");
  g_autoptr (GstCaps) same = caps_with_header ("OLD-");
  g_autoptr (GstCaps) caps = caps_with_header ("NEW-");

  fixture_play (f, "OLD-");
  push (f, "a", 0, FALSE);
  gst_pad_push_event (f->pad, gst_event_new_caps (same));
  push (f, "b", 1, FALSE);
  gst_pad_push_event (f->pad, gst_event_new_caps (caps));
  push (f, "c", 2, TRUE);
  push (f, "d", 3, FALSE);
  push (f, "e", 4, FALSE);
  eos (f);
  assert_file (f, "000000", "OLD-abc");
  assert_file (f, "000001", "NEW-de");
  assert_list (f, "000000 000001");
}

static void
test_lists_and_memories (void)
{
  g_autoptr (Fixture) f = fixture_new ("a", "");
  GstBufferList *list = gst_buffer_list_new ();
  GString *expected = g_string_new (NULL);
  g_autofree char *content = NULL;

  fixture_play (f, NULL);
  for (guint i = 0; i < 50; i++) {
    GstBuffer *buffer = gst_buffer_new ();

    for (guint m = 0; m < 1 + i % 5; m++) {
      char *text = g_strdup_printf ("%u.%u ", i, m);

      g_string_append (expected, text);
      gst_buffer_append_memory (buffer, gst_memory_new_wrapped (GST_MEMORY_FLAG_READONLY, text,
                                                                strlen (text), 0, strlen (text),
                                                                text, g_free));
    }
    gst_buffer_list_add (list, buffer);
  }
  g_assert_cmpint (gst_pad_push_list (f->pad, list), ==, GST_FLOW_OK);
  eos (f);
  content = read_file (f, "a");
  g_assert_cmpstr (content, ==, expected->str);
  g_string_free (expected, TRUE);
}

static void
push_bytes_segment (Fixture *f, guint64 start)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = start;
  gst_pad_push_event (f->pad, gst_event_new_segment (&segment));
}

static void
test_seek_back (void)
{
  g_autoptr (Fixture) f = fixture_new ("a", "flush-interval=10000000");
  GstQuery *query = gst_query_new_seeking (GST_FORMAT_BYTES);
  gboolean seekable = FALSE;
  gint64 position = 0;

  fixture_play (f, NULL);
  g_assert_true (gst_pad_peer_query (f->pad, query));
  gst_query_parse_seeking (query, NULL, &seekable, NULL, NULL);
  gst_query_unref (query);
  g_assert_true (seekable);
  push_bytes_segment (f, 0);
  push (f, "....body", 0, FALSE);
  g_assert_true (gst_pad_peer_query_position (f->pad, GST_FORMAT_BYTES, &position));
  g_assert_cmpint (position, ==, 8);
  g_usleep (30000);
  push (f, "more", 0, FALSE);
  push_bytes_segment (f, 0);
  push (f, "head", 0, FALSE);
  g_assert_true (gst_pad_peer_query_position (f->pad, GST_FORMAT_BYTES, &position));
  g_assert_cmpint (position, ==, 4);
  /* A file that is being rewritten cannot be cut. */
  g_signal_emit_by_name (f->sink, "split-now");
  push_bytes_segment (f, 12);
  push (f, "end", 0, FALSE);
  eos (f);
  assert_file (f, "a", "headbodymoreend");
  g_assert_cmpuint (stat_of (f, "bytes-written"), ==, stat_of (f, "bytes-received"));
  g_assert_cmpuint (stat_of (f, "bytes-durable"), ==, stat_of (f, "bytes-received"));
}

static void
test_seek_while_rotating (void)
{
  g_autoptr (Fixture) f = fixture_new ("{seq}", "max-size-bytes=100");
  GstQuery *query = gst_query_new_seeking (GST_FORMAT_BYTES);
  g_autofree char *text = NULL;
  gboolean seekable = TRUE;

  fixture_play (f, NULL);
  gst_pad_peer_query (f->pad, query);
  gst_query_parse_seeking (query, NULL, &seekable, NULL, NULL);
  gst_query_unref (query);
  g_assert_false (seekable);
  push_bytes_segment (f, 0);
  push (f, "body", 0, FALSE);
  push_bytes_segment (f, 0);
  text = pop_error (f);
  g_assert_nonnull (text);
  g_assert_nonnull (strstr (text, "rewrite byte 0"));
}

static void
test_refuses_to_cut (void)
{
  static const char *const whole[] = {"video/quicktime", "video/x-msvideo", "audio/x-wav"};

  for (guint i = 0; i < G_N_ELEMENTS (whole); i++) {
    g_autoptr (Fixture) f = fixture_new ("{seq}", "max-size-time=1000000000");
    g_autoptr (GstCaps) caps = gst_caps_new_empty_simple (whole[i]);
    g_autofree char *first = NULL, *second = NULL;

    fixture_play (f, NULL);
    gst_pad_push_event (f->pad, gst_event_new_caps (caps));
    g_assert_cmpint (gst_pad_push (f->pad, make_buffer ("x", 1, 0, FALSE)), !=, GST_FLOW_OK);
    g_assert_cmpint (gst_pad_push (f->pad, make_buffer ("x", 1, 0, FALSE)), !=, GST_FLOW_OK);
    g_assert_false (gst_pad_push_event (f->pad, gst_event_new_eos ()));
    first = pop_error (f);
    g_assert_nonnull (strstr (first, "cannot be cut"));
    second = pop_error (f);
    g_assert_null (second);
    assert_list (f, "");
  }
}

static void
test_flush_wipes_nothing (void)
{
  g_autoptr (Fixture) f = fixture_new ("a", "");
  GstSegment segment;

  fixture_play (f, NULL);
  push (f, "before ", 0, FALSE);
  gst_pad_push_event (f->pad, gst_event_new_flush_start ());
  gst_pad_push_event (f->pad, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (f->pad, gst_event_new_segment (&segment));
  push (f, "after", 0, FALSE);
  eos (f);
  assert_file (f, "a", "before after");
}

static void
test_data_after_eos (void)
{
  g_autoptr (Fixture) f = fixture_new ("a", "");
  GstSegment segment;

  fixture_play (f, NULL);
  push (f, "one", 0, FALSE);
  eos (f);
  gst_pad_push_event (f->pad, gst_event_new_flush_start ());
  gst_pad_push_event (f->pad, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (f->pad, gst_event_new_segment (&segment));
  push (f, "two", 0, FALSE);
  eos (f);
  assert_file (f, "a", "one");
  assert_file (f, "a-2", "two");
}

static void
test_again_after_stop (void)
{
  g_autoptr (Fixture) f = fixture_new ("a-{seq}", "");

  for (guint i = 0; i < 3; i++) {
    fixture_play (f, NULL);
    push (f, "x", 0, FALSE);
    if (i == 1)
      eos (f);
    gst_element_set_state (f->pipeline, GST_STATE_NULL);
    gst_pad_set_active (f->pad, FALSE);
  }
  assert_list (f, "a-000000 a-000000-2 a-000000-3");
}

static void
test_instance (void)
{
  g_autoptr (Fixture) f = fixture_new ("{instance}", "");
  g_autofree char *first = NULL, *second = NULL;

  g_unsetenv ("KEEPROLLING_INSTANCE");
  fixture_play (f, NULL);
  g_object_get (f->sink, "instance", &first, NULL);
  push (f, "x", 0, FALSE);
  eos (f);
  assert_file (f, first, "x");
  gst_element_set_state (f->pipeline, GST_STATE_NULL);
  gst_pad_set_active (f->pad, FALSE);
  g_setenv ("KEEPROLLING_INSTANCE", "from-outside", TRUE);
  fixture_play (f, NULL);
  g_object_get (f->sink, "instance", &second, NULL);
  g_unsetenv ("KEEPROLLING_INSTANCE");
  g_assert_cmpstr (second, ==, "from-outside");
}

static void
test_properties (void)
{
  static const struct {
    const char *name, *value;
  } cases[] = {
      {"location", "x.ts"},     {"instance", "i"},
      {"local-time", "true"},   {"on-exists", "error"},
      {"buffer-size", "70000"}, {"flush-interval", "20000000"},
      {"sync-interval", "0"},   {"max-pending-bytes", "100000"},
      {"overflow", "drop"},     {"max-size-time", "7"},
      {"max-size-bytes", "8"},  {"align-to-clock", "true"},
      {"min-free-bytes", "9"},  {"on-disk-full", "error"},
      {"recover", "false"},
  };
  GstElement *sink = gst_object_ref_sink (gst_element_factory_make ("atomicfilesink", NULL));
  guint n;
  g_autofree GParamSpec **specs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (sink), &n);
  guint own = 0;

  for (guint i = 0; i < n; i++)
    own += specs[i]->owner_type == G_OBJECT_TYPE (sink);
  /* All of them, and the read-only stats. */
  g_assert_cmpuint (own, ==, G_N_ELEMENTS (cases) + 1);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    GValue value = G_VALUE_INIT;
    GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (sink), cases[i].name);
    g_autofree char *text = NULL;

    g_assert_cmpuint (strlen (g_param_spec_get_blurb (spec)), >, 20);
    gst_util_set_object_arg (G_OBJECT (sink), cases[i].name, cases[i].value);
    g_value_init (&value, spec->value_type);
    g_object_get_property (G_OBJECT (sink), cases[i].name, &value);
    if (G_VALUE_HOLDS_STRING (&value))
      text = g_value_dup_string (&value);
    else
      text = gst_value_serialize (&value);
    g_assert_cmpstr (text, ==, cases[i].value);
    g_value_unset (&value);
  }
  gst_object_unref (sink);
}

typedef struct {
  Fixture *f;
  gint stop;
} Feeder;

static gpointer
feed (gpointer data)
{
  Feeder *feeder = data;
  g_autofree char *bytes = g_malloc0 (30000);
  guint n = 0;

  while (gst_pad_push (feeder->f->pad, make_buffer (bytes, 30000, n * 0.01, n % 10 != 0)) ==
         GST_FLOW_OK)
    n++;
  return NULL;
}

/* Stopped at any moment: blocked on a full queue, in the middle of a cut, while the timer
 * fires. */
static void
test_stop_loop (void)
{
  for (guint i = 0; i < (g_test_thorough () ? 1000 : 100); i++) {
    g_autoptr (Fixture) f = fixture_new (
        "{instance}-{seq}", "max-pending-bytes=65536 max-size-bytes=500000 buffer-size=65536 "
                            "flush-interval=10000000 sync-interval=10000000");
    Feeder feeder = {.f = f};
    g_autofree char *list = NULL;
    GThread *thread;

    fixture_play (f, NULL);
    thread = g_thread_new ("feed", feed, &feeder);
    g_usleep ((gulong)g_test_rand_int_range (0, 15000));
    if (i % 3 == 0) {
      gst_element_set_state (f->pipeline, GST_STATE_PAUSED);
      g_usleep ((gulong)g_test_rand_int_range (0, 3000));
      if (i % 2 == 0)
        gst_element_set_state (f->pipeline, GST_STATE_PLAYING);
    }
    g_assert_cmpint (gst_element_set_state (f->pipeline, GST_STATE_NULL), ==,
                     GST_STATE_CHANGE_SUCCESS);
    g_thread_join (thread);
    g_assert_cmpuint (stat_of (f, "bytes-received"), ==, stat_of (f, "bytes-durable"));
    list = kr_test_dir_list (f->dir);
    g_assert_null (strstr (list, "recording"));
  }
}

static gpointer
send_eos (gpointer data)
{
  gst_pad_push_event (((Fixture *)data)->pad, gst_event_new_eos ());
  return NULL;
}

static void
test_stop_during_eos (void)
{
  for (guint i = 0; i < 100; i++) {
    g_autoptr (Fixture) f = fixture_new ("a", "");
    GThread *thread;

    fixture_play (f, NULL);
    push (f, "abc", 0, FALSE);
    thread = g_thread_new ("eos", send_eos, f);
    g_usleep ((gulong)g_test_rand_int_range (0, 2000));
    if (i % 2 == 0)
      gst_element_set_state (f->pipeline, GST_STATE_PAUSED);
    gst_element_set_state (f->pipeline, GST_STATE_NULL);
    g_thread_join (thread);
    assert_file (f, "a", "abc");
    assert_list (f, "a");
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (200);
  g_test_add_func ("/elements/atomicfilesink/one-file", test_one_file);
  g_test_add_func ("/elements/atomicfilesink/sync-interval", test_sync_interval);
  g_test_add_func ("/elements/atomicfilesink/stop-without-eos", test_stop_without_eos);
  g_test_add_func ("/elements/atomicfilesink/no-data-no-file", test_no_data_no_file);
  g_test_add_func ("/elements/atomicfilesink/bad-settings", test_bad_settings);
  g_test_add_func ("/elements/atomicfilesink/unusable-folder", test_unusable_folder);
  g_test_add_func ("/elements/atomicfilesink/on-exists", test_on_exists);
  g_test_add_func ("/elements/atomicfilesink/rotation-is-exact", test_rotation_is_exact);
  g_test_add_func ("/elements/atomicfilesink/cuts", test_cuts);
  g_test_add_func ("/elements/atomicfilesink/new-header", test_new_header);
  g_test_add_func ("/elements/atomicfilesink/new-header-cuts", test_new_header_cuts);
  g_test_add_func ("/elements/atomicfilesink/lists-and-memories", test_lists_and_memories);
  g_test_add_func ("/elements/atomicfilesink/seek-back", test_seek_back);
  g_test_add_func ("/elements/atomicfilesink/seek-while-rotating", test_seek_while_rotating);
  g_test_add_func ("/elements/atomicfilesink/refuses-to-cut", test_refuses_to_cut);
  g_test_add_func ("/elements/atomicfilesink/flush-wipes-nothing", test_flush_wipes_nothing);
  g_test_add_func ("/elements/atomicfilesink/data-after-eos", test_data_after_eos);
  g_test_add_func ("/elements/atomicfilesink/again-after-stop", test_again_after_stop);
  g_test_add_func ("/elements/atomicfilesink/instance", test_instance);
  g_test_add_func ("/elements/atomicfilesink/properties", test_properties);
  g_test_add_func ("/elements/atomicfilesink/stop-loop", test_stop_loop);
  g_test_add_func ("/elements/atomicfilesink/stop-during-eos", test_stop_during_eos);
  return g_test_run ();
}
