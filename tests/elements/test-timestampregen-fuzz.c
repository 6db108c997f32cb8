/* keeprolling - timestampregen under any order of buffers, events, queries and pads
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Three pads get what a seed says: good and bad buffers, caps, segments, pauses, flushes, ends
 * and beginnings, in any order that a pipeline could send them in. What leaves has to be what
 * the next element may rely on: events in their order, one TIME segment, stamps that rise, no
 * PTS twice. A warning of GLib or GStreamer is a failure.
 *
 *   KR_FUZZ_SEED=1234 KR_FUZZ_RUNS=1 test-elements-timestampregen-fuzz   one run again */

#include <gst/check/gsttestclock.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <string.h>

#include "tests/support/kr-test.h"

#define PADS  3
#define STEPS 300
/* MPEG-TS could not tell two stamps apart that are closer. */
#define TICK 11112

typedef struct {
  GstPad *source, *target; /* linked to the element's */
  GstPad *requested;
  GstClockTime next; /* timestamp of the next buffer */

  /* What those downstream have seen. */
  gboolean started, has_caps, has_segment, is_time, ended;
  GQuark media; /* type in the caps */
  GstClockTime last;
  GHashTable *shown; /* every PTS / TICK */
} Stream;

typedef struct {
  guint32 seed;
  GRand *rand;
  GstElement *element;
  GstTestClock *clock;
  guint mode;
  gboolean live, corrects; /* corrects: not `monitor` */
  Stream streams[PADS];
} World;

static gboolean
chance (World *world, gdouble probability)
{
  return g_rand_double (world->rand) < probability;
}

static guint
below (World *world, guint limit)
{
  return (guint)g_rand_int_range (world->rand, 0, (gint32)limit);
}

static void
forget_output (Stream *stream)
{
  stream->last = GST_CLOCK_TIME_NONE;
  g_hash_table_remove_all (stream->shown);
}

static void
check_stamps (World *world, Stream *stream, GstBuffer *buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer), dts = GST_BUFFER_DTS (buffer);
  GstClockTime stamp = GST_CLOCK_TIME_IS_VALID (dts) ? dts : pts;

  if (!world->corrects || !stream->is_time)
    return;
  if (!GST_CLOCK_TIME_IS_VALID (pts) || (GST_CLOCK_TIME_IS_VALID (dts) && pts < dts))
    g_error ("seed %u, mode %u: PTS %" GST_TIME_FORMAT " with DTS %" GST_TIME_FORMAT,
             world->seed, world->mode, GST_TIME_ARGS (pts), GST_TIME_ARGS (dts));
  if (GST_CLOCK_TIME_IS_VALID (stream->last) && stamp < stream->last + TICK)
    g_error ("seed %u, mode %u: stamp %" GST_TIME_FORMAT " after %" GST_TIME_FORMAT,
             world->seed, world->mode, GST_TIME_ARGS (stamp), GST_TIME_ARGS (stream->last));
  if (!g_hash_table_add (stream->shown, g_memdup2 (&pts, sizeof pts)))
    g_error ("seed %u, mode %u: PTS %" GST_TIME_FORMAT " twice", world->seed, world->mode,
             GST_TIME_ARGS (pts));
  stream->last = stamp;
}

static void
check_event (World *world, Stream *stream, GstEvent *event)
{
  const GstSegment *segment;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_STREAM_START:
    stream->started = TRUE;
    stream->has_segment = stream->ended = FALSE;
    break;
  case GST_EVENT_CAPS:
    g_assert_true (stream->started);
    stream->has_caps = TRUE;
    gst_event_parse_caps (event, &caps);
    /* Pictures that a coder has not shown yet are nothing to sound on the same pad. */
    if (gst_structure_get_name_id (gst_caps_get_structure (caps, 0)) != stream->media)
      g_hash_table_remove_all (stream->shown);
    stream->media = gst_structure_get_name_id (gst_caps_get_structure (caps, 0));
    break;
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    g_assert_true (stream->started && stream->has_caps);
    stream->has_segment = TRUE;
    stream->is_time = segment->format == GST_FORMAT_TIME && segment->rate == 1.0;
    if (world->corrects && stream->is_time)
      g_assert_cmpuint (segment->start + segment->base + segment->offset, ==, 0);
    break;
  case GST_EVENT_GAP:
    g_assert_true (stream->has_segment);
    break;
  case GST_EVENT_EOS:
    stream->ended = TRUE;
    break;
  case GST_EVENT_FLUSH_STOP:
    stream->has_segment = stream->ended = FALSE;
    forget_output (stream);
    break;
  default:
    break;
  }
}

static GstFlowReturn
take_buffer (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  World *world = gst_pad_get_element_private (pad);
  Stream *stream = g_object_get_data (G_OBJECT (pad), "stream");

  g_assert_true (stream->started && stream->has_caps && stream->has_segment && !stream->ended);
  check_stamps (world, stream, buffer);
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
take_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  check_event (gst_pad_get_element_private (pad), g_object_get_data (G_OBJECT (pad), "stream"),
               event);
  gst_event_unref (event);
  return TRUE;
}

static gboolean
answer (GstPad *pad, GstObject *parent, GstQuery *query)
{
  World *world = gst_pad_get_element_private (pad);

  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return FALSE;
  gst_query_set_latency (query, world->live, 0, GST_CLOCK_TIME_NONE);
  return TRUE;
}

static void
send (Stream *stream, GstEvent *event)
{
  gst_pad_push_event (stream->source, event);
}

static void
send_caps (World *world, Stream *stream)
{
  static const char *const list[] = {
      "video/x-h264,stream-format=byte-stream,alignment=au,framerate=25/1",
      "video/x-h264,stream-format=byte-stream,alignment=au",
      "video/x-vp8,framerate=30000/1001",
      "video/x-raw,format=GRAY8,width=4,height=4,framerate=25/1",
      "video/x-raw,format=GRAY8,width=4,height=4,framerate=0/1",
      "audio/mpeg,mpegversion=4,rate=48000,framed=true",
      "audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved",
      "text/x-raw,format=utf8",
      "meta/x-klv,parsed=true",
  };
  g_autoptr (GstCaps) caps = gst_caps_from_string (list[below (world, G_N_ELEMENTS (list))]);

  send (stream, gst_event_new_caps (caps));
}

static void
send_segment (World *world, Stream *stream)
{
  GstSegment segment;
  gboolean odd = chance (world, 0.1);

  gst_segment_init (&segment, odd && chance (world, 0.5) ? GST_FORMAT_BYTES : GST_FORMAT_TIME);
  if (odd && segment.format == GST_FORMAT_TIME)
    segment.rate = chance (world, 0.5) ? -1.0 : 2.0;
  if (segment.format == GST_FORMAT_TIME && chance (world, 0.5)) {
    segment.start = below (world, 5000) * GST_SECOND;
    segment.base = below (world, 5000) * GST_MSECOND;
    segment.time = segment.position = segment.start;
    stream->next = segment.start;
  }
  if (segment.rate < 0)
    segment.stop = segment.start + GST_SECOND;
  send (stream, gst_event_new_segment (&segment));
}

static void
begin_stream (World *world, Stream *stream)
{
  g_autofree char *id = g_strdup_printf ("stream-%u", below (world, G_MAXINT));

  send (stream, gst_event_new_stream_start (id));
  send_caps (world, stream);
  send_segment (world, stream);
}

static void
flush (World *world, Stream *stream)
{
  send (stream, gst_event_new_flush_start ());
  send (stream, gst_event_new_flush_stop (TRUE));
  if (chance (world, 0.2))
    send_caps (world, stream);
  send_segment (world, stream);
}

static GstClockTime
any_time (World *world, const Stream *stream)
{
  switch (below (world, 8)) {
  case 0:
    return GST_CLOCK_TIME_NONE;
  case 1:
    return G_MAXUINT64 - 1 - below (world, 1000);
  case 2:
    return below (world, 100000) * GST_SECOND;
  default:
    return stream->next + below (world, 2000) * GST_MSECOND;
  }
}

static void
push_buffer (World *world, Stream *stream)
{
  static const GstClockTime durations[] = {20 * GST_MSECOND, 40 * GST_MSECOND, 0,
                                           GST_CLOCK_TIME_NONE, 10 * GST_SECOND};
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 16, NULL);

  gst_buffer_memset (buffer, 0, 0, 16);
  GST_BUFFER_PTS (buffer) = stream->next;
  if (chance (world, 0.5)) {
    GST_BUFFER_DTS (buffer) = stream->next;
    GST_BUFFER_PTS (buffer) += below (world, 5) * 40 * GST_MSECOND;
  }
  stream->next += 40 * GST_MSECOND;
  GST_BUFFER_DURATION (buffer) = durations[below (world, G_N_ELEMENTS (durations))];
  if (chance (world, 0.05))
    GST_BUFFER_PTS (buffer) = any_time (world, stream);
  if (chance (world, 0.05))
    GST_BUFFER_DTS (buffer) = any_time (world, stream);
  if (chance (world, 0.02))
    stream->next = any_time (world, stream) / 2;
  if (chance (world, 0.05))
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  if (chance (world, 0.5))
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  gst_pad_push (stream->source, buffer);
}

static void
send_upstream (World *world, Stream *stream)
{
  GstClockTime time = any_time (world, stream);

  if (chance (world, 0.5))
    gst_pad_push_event (stream->target,
                        gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 1.0, 0, time));
  else
    gst_pad_push_event (stream->target,
                        gst_video_event_new_upstream_force_key_unit (time, TRUE, 1));
}

static void
ask (World *world, Stream *stream)
{
  g_autoptr (GstStructure) stats = NULL;
  g_autoptr (GstQuery) query = gst_query_new_latency ();

  gst_pad_peer_query (stream->target, query);
  g_object_get (world->element, "stats", &stats, NULL);
  g_assert_nonnull (stats);
}

static void
set_something (World *world)
{
  switch (below (world, 4)) {
  case 0:
    g_object_set (world->element, "drift", below (world, 2), NULL);
    break;
  case 1:
    g_object_set (world->element, "gap-policy", below (world, 2), NULL);
    break;
  case 2:
    g_object_set (world->element, "wait-keyframe", chance (world, 0.3), NULL);
    break;
  default:
    g_object_set (world->element, "latency", (guint64)below (world, 100) * GST_MSECOND, NULL);
    break;
  }
}

/* A pad without a template takes no other caps than its first ones. */
static GstStaticPadTemplate target_template =
    GST_STATIC_PAD_TEMPLATE ("target", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static GstPad *
new_pad (World *world, Stream *stream, GstPadDirection direction)
{
  GstPad *pad = direction == GST_PAD_SRC
                    ? gst_pad_new (NULL, direction)
                    : gst_pad_new_from_static_template (&target_template, NULL);

  gst_object_ref_sink (pad);
  gst_pad_set_element_private (pad, world);
  g_object_set_data (G_OBJECT (pad), "stream", stream);
  if (direction == GST_PAD_SINK) {
    gst_pad_set_chain_function (pad, take_buffer);
    gst_pad_set_event_function (pad, take_event);
  } else {
    gst_pad_set_query_function (pad, answer);
  }
  gst_pad_set_active (pad, TRUE);
  return pad;
}

static void
add_stream (World *world, Stream *stream)
{
  g_autofree char *src = NULL;
  g_autoptr (GstPad) behind = NULL;

  *stream = (Stream){.last = GST_CLOCK_TIME_NONE};
  stream->shown = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  stream->source = new_pad (world, stream, GST_PAD_SRC);
  stream->target = new_pad (world, stream, GST_PAD_SINK);
  stream->requested = gst_element_request_pad_simple (world->element, "sink_%u");
  src = g_strdup_printf ("src_%s", GST_PAD_NAME (stream->requested) + strlen ("sink_"));
  behind = gst_element_get_static_pad (world->element, src);
  g_assert_cmpint (gst_pad_link (stream->source, stream->requested), ==, GST_PAD_LINK_OK);
  g_assert_cmpint (gst_pad_link (behind, stream->target), ==, GST_PAD_LINK_OK);
  begin_stream (world, stream);
}

static void
remove_stream (World *world, Stream *stream)
{
  gst_element_release_request_pad (world->element, stream->requested);
  gst_object_unref (stream->requested);
  gst_pad_set_active (stream->source, FALSE);
  gst_pad_set_active (stream->target, FALSE);
  gst_object_unref (stream->source);
  gst_object_unref (stream->target);
  g_hash_table_unref (stream->shown);
}

static void
act (World *world, Stream *stream)
{
  switch (below (world, 12)) {
  case 0:
    send_caps (world, stream);
    break;
  case 1:
    send_segment (world, stream);
    break;
  case 2:
    send (stream, gst_event_new_gap (any_time (world, stream) / 2, any_time (world, stream)));
    break;
  case 3:
    flush (world, stream);
    break;
  case 4:
    send (stream, gst_event_new_eos ());
    if (chance (world, 0.8))
      begin_stream (world, stream);
    break;
  case 5:
    begin_stream (world, stream);
    break;
  case 6:
    send (stream, gst_video_event_new_downstream_force_key_unit (
                      any_time (world, stream), 0, any_time (world, stream), TRUE, 1));
    break;
  case 7:
    send_upstream (world, stream);
    break;
  case 8:
    ask (world, stream);
    break;
  case 9:
    set_something (world);
    break;
  case 10:
    remove_stream (world, stream);
    add_stream (world, stream);
    break;
  default:
    gst_test_clock_advance_time (world->clock, below (world, 5000) * GST_MSECOND);
    break;
  }
}

static void
run_seed (guint32 seed)
{
  World world = {.seed = seed, .rand = g_rand_new_with_seed (seed)};
  guint i;

  world.mode = below (&world, 4);
  world.live = chance (&world, 0.5);
  world.corrects = world.mode != 1;
  world.clock = GST_TEST_CLOCK (gst_test_clock_new_with_start_time (100 * GST_SECOND));
  world.element = gst_object_ref_sink (gst_element_factory_make ("timestampregen", NULL));
  g_object_set (world.element, "mode", world.mode, NULL);
  gst_element_set_clock (world.element, GST_CLOCK (world.clock));
  gst_element_set_base_time (world.element, 0);
  gst_element_set_state (world.element, GST_STATE_PLAYING);
  for (i = 0; i < PADS; i++)
    add_stream (&world, &world.streams[i]);
  for (i = 0; i < STEPS; i++) {
    Stream *stream = &world.streams[below (&world, PADS)];

    if (chance (&world, 0.1))
      act (&world, stream);
    else if (!GST_PAD_IS_EOS (stream->source))
      push_buffer (&world, stream);
    gst_test_clock_advance_time (world.clock, 13 * GST_MSECOND);
  }
  for (i = 0; i < PADS; i++)
    remove_stream (&world, &world.streams[i]);
  gst_element_set_state (world.element, GST_STATE_NULL);
  gst_object_unref (world.element);
  gst_object_unref (world.clock);
  g_rand_free (world.rand);
}

static guint64
number_from_environment (const char *name, guint64 fallback)
{
  const char *text = g_getenv (name);

  return text != NULL ? g_ascii_strtoull (text, NULL, 10) : fallback;
}

static void
test_any_order (void)
{
  guint64 seed = number_from_environment ("KR_FUZZ_SEED", 1);
  guint64 runs = number_from_environment ("KR_FUZZ_RUNS", 500);
  guint64 i;

  for (i = 0; i < runs; i++)
    run_seed ((guint32)(seed + i));
  g_test_message ("%" G_GUINT64_FORMAT " runs from seed %" G_GUINT64_FORMAT, runs, seed);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  if (g_getenv ("KR_FUZZ_RUNS") == NULL)
    kr_test_deadline (120);
  g_test_add_func ("/timestampregen/any-order", test_any_order);
  return g_test_run ();
}
