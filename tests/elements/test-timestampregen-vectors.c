/* keeprolling - every timestamp vector through the element
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <string.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"
#include "tests/support/kr-vectors.h"

#define MAX_STREAMS 4

/* Stamps before zero exist as running times only: with a segment that begins later. */
#define NEGATIVE_SHIFT (4000 * GST_SECOND)

typedef struct {
  const KrVector *vector;
  GstElement *element;
  GstHarness *harness[MAX_STREAMS];
  GstBus *bus;
  GstClockTime shift;
  gboolean dropped[MAX_STREAMS]; /* the stream's last buffer was */
  guint n_messages;
} Bench;

static gboolean
has_negative (const KrVector *vector)
{
  guint i;

  for (i = 0; i < vector->rows->len; i++) {
    const KrVectorRow *row = &g_array_index (vector->rows, KrVectorRow, i);

    if ((row->pts < 0 && row->pts != KR_VECTOR_NONE) ||
        (row->dts < 0 && row->dts != KR_VECTOR_NONE))
      return TRUE;
  }
  return FALSE;
}

static GstCaps *
caps_of (const KrVectorStream *stream)
{
  static const struct {
    const char *kind, *caps;
  } list[] = {
      {"v", "video/x-vp8"},
      {"vr", "video/x-h264,stream-format=byte-stream,alignment=au"},
      {"raw", "video/x-raw,format=GRAY8,width=4,height=4"},
      {"a", "audio/x-opus"},
      {"s", "text/x-raw,format=utf8"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (list); i++)
    if (strcmp (list[i].kind, stream->kind) == 0) {
      GstCaps *caps = gst_caps_from_string (list[i].caps);

      if (stream->kind[0] != 'a' && stream->kind[0] != 's' &&
          stream->duration != KR_VECTOR_NONE)
        gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, 1000000000,
                             (gint)stream->duration, NULL);
      return caps;
    }
  g_error ("unknown stream kind \"%s\"", stream->kind);
}

static void
push_segment (Bench *bench, guint i)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = bench->shift;
  g_assert_true (gst_harness_push_event (bench->harness[i], gst_event_new_segment (&segment)));
}

static void
push_start (Bench *bench, guint i, const char *id)
{
  const KrVectorStream *stream = &g_array_index (bench->vector->streams, KrVectorStream, i);

  g_assert_true (gst_harness_push_event (bench->harness[i], gst_event_new_stream_start (id)));
  g_assert_true (
      gst_harness_push_event (bench->harness[i], gst_event_new_caps (caps_of (stream))));
  push_segment (bench, i);
}

static void
add_stream (Bench *bench, guint i)
{
  g_autofree char *sink = g_strdup_printf ("sink_%u", i);
  g_autofree char *src = g_strdup_printf ("src_%u", i);

  bench->harness[i] = gst_harness_new_with_element (bench->element, sink, src);
  if (i == 0)
    gst_harness_use_testclock (bench->harness[0]);
  gst_harness_play (bench->harness[i]);
  push_start (bench, i, "first");
}

static void
set_up (Bench *bench, const KrVector *vector)
{
  guint i;

  *bench = (Bench){.vector = vector};
  bench->shift = has_negative (vector) ? NEGATIVE_SHIFT : 0;
  bench->element = gst_element_factory_make ("timestampregen", NULL);
  g_assert_nonnull (bench->element);
  bench->bus = gst_bus_new ();
  gst_element_set_bus (bench->element, bench->bus);
  gst_util_set_object_arg (G_OBJECT (bench->element), "live", vector->live ? "true" : "false");
  if (vector->mode != NULL)
    gst_util_set_object_arg (G_OBJECT (bench->element), "mode", vector->mode);
  if (vector->gap_policy != NULL)
    gst_util_set_object_arg (G_OBJECT (bench->element), "gap-policy", vector->gap_policy);
  if (vector->drift != NULL)
    gst_util_set_object_arg (G_OBJECT (bench->element), "drift", vector->drift);
  if (vector->max_gap != KR_VECTOR_NONE)
    g_object_set (bench->element, "max-gap", (guint64)vector->max_gap, NULL);
  for (i = 0; i < vector->streams->len; i++)
    add_stream (bench, i);
}

static void
tear_down (Bench *bench)
{
  guint i;

  for (i = 0; i < bench->vector->streams->len; i++)
    gst_harness_teardown (bench->harness[i]);
  gst_element_set_bus (bench->element, NULL);
  gst_object_unref (bench->bus);
  gst_object_unref (bench->element);
}

static GstClockTime
stamp_of (const Bench *bench, gint64 time)
{
  return time == KR_VECTOR_NONE ? GST_CLOCK_TIME_NONE
                                : (GstClockTime)(time + (gint64)bench->shift);
}

static GstBuffer *
make_buffer (const Bench *bench, const KrVectorRow *row)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 16, NULL);
  gint64 usual = g_array_index (bench->vector->streams, KrVectorStream, row->stream).duration;
  gint64 duration = row->duration != KR_VECTOR_NONE ? row->duration : usual;

  gst_buffer_memset (buffer, 0, 0, 16);
  GST_BUFFER_PTS (buffer) = stamp_of (bench, row->pts);
  GST_BUFFER_DTS (buffer) = stamp_of (bench, row->dts);
  if (duration != KR_VECTOR_NONE)
    GST_BUFFER_DURATION (buffer) = (GstClockTime)duration;
  if (row->hint)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  return buffer;
}

static gboolean
is_near (GstClockTime found, gint64 expected)
{
  if (expected == KR_VECTOR_NONE)
    return !GST_CLOCK_TIME_IS_VALID (found);
  return ABS ((gint64)found - expected) <= 1;
}

static void
check_buffer (Bench *bench, guint i, const KrVectorRow *row)
{
  g_autoptr (GstBuffer) buffer = NULL;
  gboolean discont, expected;
  guint k;

  if (row->dropped) {
    g_assert_cmpuint (gst_harness_buffers_in_queue (bench->harness[row->stream]), ==, 0);
    bench->dropped[row->stream] = TRUE;
    return;
  }
  for (k = 0; k < row->repeats; k++)
    gst_buffer_unref (gst_harness_pull (bench->harness[row->stream]));
  g_assert_cmpuint (gst_harness_buffers_in_queue (bench->harness[row->stream]), ==, 1);
  buffer = gst_harness_pull (bench->harness[row->stream]);
  if (!is_near (GST_BUFFER_PTS (buffer), row->out_pts) ||
      !is_near (GST_BUFFER_DTS (buffer), row->out_dts))
    g_error ("%s, row %u: pts %" GST_TIME_FORMAT " dts %" GST_TIME_FORMAT
             ", expected pts %" GST_TIME_FORMAT " dts %" GST_TIME_FORMAT,
             bench->vector->name, i, GST_TIME_ARGS (GST_BUFFER_PTS (buffer)),
             GST_TIME_ARGS (GST_BUFFER_DTS (buffer)), GST_TIME_ARGS (row->out_pts),
             GST_TIME_ARGS (row->out_dts));
  discont = GST_BUFFER_IS_DISCONT (buffer);
  expected = row->discont || row->hint || bench->dropped[row->stream];
  if (discont != expected)
    g_error ("%s, row %u: discont %d", bench->vector->name, i, discont);
  bench->dropped[row->stream] = FALSE;
}

static void
check_gap (Bench *bench, const KrVectorRow *row)
{
  g_autoptr (GstEvent) event = NULL;
  GstClockTime timestamp, duration;

  while ((event = gst_harness_try_pull_event (bench->harness[row->stream])) != NULL &&
         GST_EVENT_TYPE (event) != GST_EVENT_GAP)
    gst_clear_event (&event);
  g_assert_nonnull (event);
  gst_event_parse_gap (event, &timestamp, &duration);
  g_assert_true (is_near (timestamp, row->out_pts));
  g_assert_cmpuint (duration, ==, (guint64)row->duration);
}

static void
check_message (Bench *bench, const GstStructure *structure)
{
  const KrVector *vector = bench->vector;
  const KrVectorMessage *expected;
  g_autofree char *pad = NULL;
  gint64 delta;

  if (bench->n_messages >= vector->messages->len)
    g_error ("%s: unexpected message %s", vector->name, gst_structure_to_string (structure));
  expected = &g_array_index (vector->messages, KrVectorMessage, bench->n_messages++);
  pad = g_strdup_printf ("sink_%u", expected->stream);
  g_assert_cmpstr (gst_structure_get_string (structure, "pad"), ==, pad);
  g_assert_cmpstr (gst_structure_get_string (structure, "kind"), ==, expected->kind);
  g_assert_true (gst_structure_get_int64 (structure, "delta-ns", &delta));
  g_assert_cmpint (ABS (delta - expected->delta), <=, 1);
}

static void
check_messages (Bench *bench)
{
  GstMessage *message;

  while ((message = gst_bus_pop (bench->bus)) != NULL) {
    const GstStructure *structure = gst_message_get_structure (message);

    if (structure != NULL && gst_structure_has_name (structure, KR_MSG_TIMESTAMP_DISCONT))
      check_message (bench, structure);
    gst_message_unref (message);
  }
}

static void
check_counter (const Bench *bench, const GstStructure *stats, const char *name, gint64 expected)
{
  guint64 found;

  g_assert_true (gst_structure_get_uint64 (stats, name, &found));
  if (expected >= 0 && found != (guint64)expected)
    g_error ("%s: %s is %" G_GUINT64_FORMAT ", expected %" G_GINT64_FORMAT, bench->vector->name,
             name, found, expected);
}

static void
check_stats (const Bench *bench)
{
  g_autoptr (GstStructure) stats = NULL;
  guint i;

  g_object_get (bench->element, "stats", &stats, NULL);
  for (i = 0; i < bench->vector->streams->len; i++) {
    const KrVectorStream *stream = &g_array_index (bench->vector->streams, KrVectorStream, i);
    g_autofree char *name = g_strdup_printf ("sink_%u", i);
    g_autoptr (GstStructure) of = NULL;

    g_assert_true (gst_structure_get (stats, name, GST_TYPE_STRUCTURE, &of, NULL));
    check_counter (bench, of, "in", stream->in);
    check_counter (bench, of, "out", stream->out);
    check_counter (bench, of, "dropped", stream->dropped);
    check_counter (bench, of, "outliers", stream->outliers);
    check_counter (bench, of, "no-pts", stream->no_pts);
    check_counter (bench, of, "no-dts", stream->no_dts);
    check_counter (bench, of, "nudged", stream->nudged);
    check_counter (bench, of, "gaps", stream->gaps);
  }
  if (bench->vector->has_ppm) {
    gdouble ppm;

    g_assert_true (gst_structure_get_double (stats, "drift-ppm", &ppm));
    g_assert_cmpfloat_with_epsilon (ppm, bench->vector->ppm, 5);
  }
}

static void
run_row (Bench *bench, guint i)
{
  const KrVectorRow *row = &g_array_index (bench->vector->rows, KrVectorRow, i);
  GstHarness *harness = bench->harness[row->stream];

  if (row->arrival != KR_VECTOR_NONE)
    gst_test_clock_set_time (gst_harness_get_testclock (bench->harness[0]),
                             (GstClockTime)row->arrival);
  switch (row->op) {
  case KR_VECTOR_BUFFER:
    g_assert_cmpint (gst_harness_push (harness, make_buffer (bench, row)), ==, GST_FLOW_OK);
    check_buffer (bench, i, row);
    break;
  case KR_VECTOR_EOS:
    g_assert_true (gst_harness_push_event (harness, gst_event_new_eos ()));
    break;
  case KR_VECTOR_START:
    push_start (bench, row->stream, "second");
    break;
  case KR_VECTOR_GAP:
    g_assert_true (gst_harness_push_event (
        harness, gst_event_new_gap (stamp_of (bench, row->pts), (GstClockTime)row->duration)));
    check_gap (bench, row);
    break;
  default:
    g_assert_not_reached ();
  }
}

static void
test_vector (gconstpointer data)
{
  Bench bench;
  guint i;

  set_up (&bench, data);
  for (i = 0; i < bench.vector->rows->len; i++)
    run_row (&bench, i);
  check_messages (&bench);
  g_assert_cmpuint (bench.n_messages, ==, bench.vector->messages->len);
  check_stats (&bench);
  tear_down (&bench);
}

static void
add_vectors (GPtrArray *vectors, const char *set)
{
  guint i;

  for (i = 0; i < vectors->len; i++) {
    KrVector *vector = g_ptr_array_index (vectors, i);
    g_autofree char *path = g_strdup_printf ("/timestampregen/%s/%s", set, vector->name);

    g_test_add_data_func (path, vector, test_vector);
  }
}

int
main (int argc, char **argv)
{
  g_autofree char *path = NULL, *shared_path = NULL;
  g_autoptr (GPtrArray) vectors = NULL, shared = NULL;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (100);
  path =
      g_build_filename (g_getenv ("KR_SOURCE_DIR"), "tests", "data", "timestamps.json", NULL);
  vectors = kr_vectors_load (path);
  add_vectors (vectors, "vector");
  if (g_getenv ("KR_SHARED") != NULL) {
    shared_path = g_build_filename (g_getenv ("KR_SHARED"), "vectors", "timestamps.json", NULL);
    shared = kr_vectors_load (shared_path);
    add_vectors (shared, "shared");
  }
  return g_test_run ();
}
