/* keeprolling - every timestamp vector against the pure timeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "plugins/common/timeline.h"
#include "tests/support/kr-test.h"
#include "tests/support/kr-vectors.h"

static KrTimelineKind
kind_of (const char *name)
{
  static const struct {
    const char *name;
    KrTimelineKind kind;
  } kinds[] = {
      {"v", KR_TIMELINE_VIDEO}, {"vr", KR_TIMELINE_REORDER}, {"raw", KR_TIMELINE_RAW_VIDEO},
      {"a", KR_TIMELINE_AUDIO}, {"s", KR_TIMELINE_SPARSE},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].name, name) == 0)
      return kinds[i].kind;
  g_error ("unknown stream kind \"%s\"", name);
}

static void
configure (const KrVector *vector, KrTimelineConfig *config)
{
  kr_timeline_config_init (config);
  config->live = vector->live;
  if (g_strcmp0 (vector->mode, "monitor") == 0)
    config->mode = KR_TIMELINE_MONITOR;
  else if (g_strcmp0 (vector->mode, "arrival") == 0)
    config->mode = KR_TIMELINE_ARRIVAL;
  else if (g_strcmp0 (vector->mode, "cfr") == 0)
    config->mode = KR_TIMELINE_CFR;
  if (g_strcmp0 (vector->gap_policy, "collapse") == 0)
    config->gap_policy = KR_TIMELINE_GAP_COLLAPSE;
  if (g_strcmp0 (vector->drift, "follow") == 0)
    config->drift = KR_TIMELINE_DRIFT_FOLLOW;
  if (vector->max_gap != KR_VECTOR_NONE)
    config->max_gap = vector->max_gap;
}

static gboolean
is_near (gint64 a, gint64 b)
{
  return a == KR_TIME_NONE || b == KR_TIME_NONE ? a == b : ABS (a - b) <= 1;
}

static void
check_row (const KrVector *vector, guint i, const KrTimelineOut *out)
{
  const KrVectorRow *row = &g_array_index (vector->rows, KrVectorRow, i);
  gboolean dropped = (out->flags & KR_TIMELINE_OUT_DROP) != 0;
  gboolean discont = (out->flags & KR_TIMELINE_OUT_DISCONT) != 0;
  gboolean extrapolated = (out->flags & KR_TIMELINE_OUT_EXTRAPOLATED) != 0;

  if (dropped != row->dropped)
    g_error ("%s, row %u: dropped %d, expected %d", vector->name, i, dropped, row->dropped);
  if (dropped)
    return;
  if (!is_near (out->pts, row->out_pts) || !is_near (out->dts, row->out_dts))
    g_error ("%s, row %u: pts %" G_GINT64_FORMAT " dts %" G_GINT64_FORMAT
             ", expected pts %" G_GINT64_FORMAT " dts %" G_GINT64_FORMAT,
             vector->name, i, out->pts, out->dts, row->out_pts, row->out_dts);
  if (discont != row->discont || extrapolated != row->extrapolated ||
      out->repeat != row->repeats)
    g_error ("%s, row %u: discont %d extrapolated %d repeats %u, expected %d %d %u",
             vector->name, i, discont, extrapolated, out->repeat, row->discont,
             row->extrapolated, row->repeats);
}

static void
check_counter (const KrVector *vector, const char *stream, const char *name, guint64 found,
               gint64 expected)
{
  if (expected >= 0 && found != (guint64)expected)
    g_error ("%s: %s of %s is %" G_GUINT64_FORMAT ", expected %" G_GINT64_FORMAT, vector->name,
             name, stream, found, expected);
}

static void
check_stats (const KrVector *vector, KrTimelineStream *stream, const KrVectorStream *expected)
{
  KrTimelineStreamStats stats;

  kr_timeline_stream_get_stats (stream, &stats);
  check_counter (vector, expected->name, "in", stats.in, expected->in);
  check_counter (vector, expected->name, "out", stats.out, expected->out);
  check_counter (vector, expected->name, "dropped", stats.dropped, expected->dropped);
  check_counter (vector, expected->name, "outliers", stats.outliers, expected->outliers);
  check_counter (vector, expected->name, "no-pts", stats.no_pts, expected->no_pts);
  check_counter (vector, expected->name, "no-dts", stats.no_dts, expected->no_dts);
  check_counter (vector, expected->name, "nudged", stats.nudged, expected->nudged);
  check_counter (vector, expected->name, "gaps", stats.gaps, expected->gaps);
}

static void
check_message (const KrVector *vector, guint *n, guint stream, const KrTimelineEvent *event)
{
  const KrVectorMessage *expected;

  if (*n >= vector->messages->len)
    g_error ("%s: unexpected message %s %" G_GINT64_FORMAT, vector->name,
             kr_timeline_event_name (event->kind), event->delta);
  expected = &g_array_index (vector->messages, KrVectorMessage, (*n)++);
  if (stream != expected->stream ||
      strcmp (kr_timeline_event_name (event->kind), expected->kind) != 0 ||
      !is_near (event->delta, expected->delta))
    g_error ("%s: message %u is %s %" G_GINT64_FORMAT ", expected %s %" G_GINT64_FORMAT,
             vector->name, *n - 1, kr_timeline_event_name (event->kind), event->delta,
             expected->kind, expected->delta);
}

static void
run_row (KrTimelineStream *stream, const KrVectorRow *row, KrTimelineOut *out)
{
  KrTimelineIn in = {.pts = row->pts,
                     .dts = row->dts,
                     .arrival = row->arrival,
                     .duration = row->duration,
                     .hint = row->hint ? KR_TIMELINE_HINT_DISCONT : 0};

  kr_timeline_push (stream, &in, out);
}

static void
test_vector (gconstpointer data)
{
  const KrVector *vector = data;
  KrTimelineConfig config;
  g_autoptr (KrTimeline) timeline = NULL;
  KrTimelineStream *streams[8];
  gboolean restarted[8] = {FALSE};
  KrTimelineStats group;
  guint i, k, n_messages = 0;

  configure (vector, &config);
  timeline = kr_timeline_new (&config);
  for (i = 0; i < vector->streams->len; i++) {
    const KrVectorStream *stream = &g_array_index (vector->streams, KrVectorStream, i);
    gboolean known = stream->duration != KR_VECTOR_NONE && stream->duration > 0;

    streams[i] = kr_timeline_add_stream (timeline);
    kr_timeline_stream_set_format (streams[i], kind_of (stream->kind),
                                   known ? stream->duration : 0, known ? 1000000000 : 0,
                                   known ? (gint)stream->duration : 0);
  }
  for (i = 0; i < vector->rows->len; i++) {
    KrVectorRow *row = &g_array_index (vector->rows, KrVectorRow, i);
    KrVectorRow now = *row;
    KrTimelineOut out = {0};

    switch (row->op) {
    case KR_VECTOR_EOS:
      kr_timeline_stream_eos (streams[row->stream]);
      continue;
    case KR_VECTOR_START:
      kr_timeline_stream_start (streams[row->stream]);
      restarted[row->stream] = TRUE;
      continue;
    case KR_VECTOR_GAP:
      g_assert_true (is_near (
          kr_timeline_gap (streams[row->stream], row->pts, row->duration, row->arrival, &out),
          row->out_pts));
      continue;
    case KR_VECTOR_BUFFER:
      break;
    }
    now.hint |= restarted[row->stream];
    restarted[row->stream] = FALSE;
    run_row (streams[row->stream], &now, &out);
    check_row (vector, i, &out);
    for (k = 0; k < out.n_events; k++)
      check_message (vector, &n_messages, row->stream, &out.events[k]);
  }
  if (n_messages != vector->messages->len)
    g_error ("%s: %u messages, expected %u", vector->name, n_messages, vector->messages->len);
  for (i = 0; i < vector->streams->len; i++)
    check_stats (vector, streams[i], &g_array_index (vector->streams, KrVectorStream, i));
  kr_timeline_get_stats (timeline, &group);
  if (vector->has_ppm) {
    g_assert_true (group.drift_known);
    g_assert_cmpfloat_with_epsilon (group.drift_ppm, vector->ppm, 5);
  }
}

static void
add_vectors (GPtrArray *vectors, const char *set)
{
  guint i;

  for (i = 0; i < vectors->len; i++) {
    KrVector *vector = g_ptr_array_index (vectors, i);
    g_autofree char *path = g_strdup_printf ("/timeline/%s/%s", set, vector->name);

    g_test_add_data_func (path, vector, test_vector);
  }
}

int
main (int argc, char **argv)
{
  g_autofree char *path = NULL, *shared_path = NULL;
  g_autoptr (GPtrArray) vectors = NULL, shared = NULL;

  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
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
