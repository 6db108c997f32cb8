/* keeprolling - the invariants of a timeline, for any input
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each run is a source with random streams and random faults, made from one seed. What must
 * hold for every buffer is in check_buffer(); after the faults the source is clean for a while
 * and must be believed again. A run that fails is shrunk to the operations it needs and
 * printed.
 *
 *   test-timeline-fuzz                     2000 runs
 *   KR_FUZZ_RUNS=100000 test-timeline-fuzz
 *   KR_FUZZ_SEED=1234 KR_FUZZ_RUNS=1 test-timeline-fuzz --verbose   one run again, traced */

#include <stdio.h>
#include <string.h>

#include "plugins/common/timeline-private.h"
#include "plugins/common/timeline.h"
#include "tests/support/kr-test.h"

#define MAX_STREAMS 4
#define TAIL        200 /* clean buffers per stream at the end, about */
#define RECOVERY    30  /* after so many of its own a stream must be believed */

typedef enum {
  OP_BUFFER,
  OP_EOS,
  OP_START,
  OP_GAP,
  OP_FLUSH,
  OP_FORMAT,
  OP_CLOCK_STEP,
  OP_REPLACE, /* the stream's pad goes and another one comes */
} OpType;

typedef struct {
  OpType type;
  guint stream;
  gboolean clean; /* the faults are over */
  gboolean tail;  /* and have been for a while */
  KrTimelineIn in;
} Op;

typedef struct {
  KrTimelineKind kind;
  gint64 duration;
  gboolean has_dts; /* reordering streams may come without */
} Shape;

typedef struct {
  guint32 seed;
  KrTimelineConfig config;
  guint n_streams;
  Shape shapes[MAX_STREAMS];
  gboolean faultless;
  GArray *ops; /* Op */
} Run;

/* --- making a run ---------------------------------------------------------------------- */

typedef struct {
  GRand *rand;
  Run *run;
  gint64 now;    /* true time */
  gint64 offset; /* the source's stamp - true time */
  gint64 latency;
  gint64 held_until; /* arrivals are held back until then */
  gint64 private_offset[MAX_STREAMS];
  gint64 next[MAX_STREAMS]; /* true time of the stream's next buffer */
  gint64 index[MAX_STREAMS];
  gint64 arrival;
  gboolean hint[MAX_STREAMS];
  gdouble faults; /* probability per buffer */
} Maker;

static gboolean
chance (Maker *maker, gdouble probability)
{
  return g_rand_double (maker->rand) < probability;
}

static gint64
between (Maker *maker, gint64 low, gint64 high)
{
  return low + (gint64)(g_rand_double (maker->rand) * (gdouble)(high - low));
}

static gint64
random_step (Maker *maker)
{
  static const gint64 ranges[] = {50 * KR_MILLISECOND, KR_SECOND, 5 * KR_SECOND,
                                  100 * KR_SECOND, 100000 * KR_SECOND};
  gint64 range = ranges[g_rand_int_range (maker->rand, 0, G_N_ELEMENTS (ranges))];

  return between (maker, -range, range);
}

static gint64
extreme (Maker *maker)
{
  static const gint64 values[] = {0,
                                  1,
                                  -1,
                                  G_MAXINT64,
                                  G_MININT64 + 1,
                                  KR_TIMELINE_LIMIT,
                                  -KR_TIMELINE_LIMIT,
                                  KR_TIMELINE_LIMIT - 1,
                                  G_GINT64_CONSTANT (95443717688888),
                                  G_GINT64_CONSTANT (4294967296000000)};

  return values[g_rand_int_range (maker->rand, 0, G_N_ELEMENTS (values))];
}

static void
add_op (Maker *maker, OpType type, guint stream, const KrTimelineIn *in)
{
  Op op = {.type = type, .stream = stream};

  if (in != NULL)
    op.in = *in;
  g_array_append_val (maker->run->ops, op);
}

static void
disturb_source (Maker *maker)
{
  gint64 seconds;
  guint i;

  switch (g_rand_int_range (maker->rand, 0, 6)) {
  case 0: /* it restarts from zero */
    maker->offset = -maker->now;
    break;
  case 1: /* its clock jumps */
    maker->offset += random_step (maker);
    break;
  case 2: /* it is gone for a while; perhaps it restarts */
    seconds = between (maker, 0, 20 * KR_SECOND);
    maker->now += seconds;
    for (i = 0; i < maker->run->n_streams; i++)
      maker->next[i] += seconds;
    if (chance (maker, 0.5))
      maker->offset = -maker->now + between (maker, 0, 5 * KR_SECOND);
    break;
  case 3: /* the network stalls, then all comes at once */
    maker->held_until = maker->now + between (maker, 0, 6 * KR_SECOND);
    break;
  case 4: /* it pauses and does not catch up */
    maker->latency += between (maker, 0, 6 * KR_SECOND);
    break;
  case 5: /* its counter wraps */
    maker->offset += (chance (maker, 0.5) ? -1 : 1) * G_GINT64_CONSTANT (95443717688888);
    break;
  default:
    g_assert_not_reached ();
  }
}

static void
disturb_stream (Maker *maker, guint i)
{
  KrTimelineIn in = {.pts = maker->next[i] + maker->offset,
                     .duration = between (maker, 0, 5 * KR_SECOND),
                     .arrival = maker->arrival};

  switch (g_rand_int_range (maker->rand, 0, 7)) {
  case 0:
    maker->private_offset[i] += random_step (maker);
    break;
  case 1:
    add_op (maker, OP_EOS, i, NULL);
    if (chance (maker, 0.8)) {
      add_op (maker, OP_START, i, NULL);
      maker->hint[i] = TRUE;
    }
    break;
  case 2:
    add_op (maker, OP_GAP, i, &in);
    maker->next[i] += chance (maker, 0.5) ? in.duration : 0;
    break;
  case 3:
    add_op (maker, OP_FLUSH, i, NULL);
    break;
  case 4:
    in.duration = between (maker, 0, 3) * 20 * KR_MILLISECOND;
    add_op (maker, OP_FORMAT, i, &in);
    break;
  case 5:
    in.duration = random_step (maker);
    add_op (maker, OP_CLOCK_STEP, i, &in);
    break;
  case 6:
    add_op (maker, OP_REPLACE, i, NULL);
    break;
  default:
    g_assert_not_reached ();
  }
}

static void
disturb_buffer (Maker *maker, KrTimelineIn *in)
{
  switch (g_rand_int_range (maker->rand, 0, 9)) {
  case 0:
    in->pts = KR_TIME_NONE;
    break;
  case 1:
    in->dts = KR_TIME_NONE;
    break;
  case 2:
    in->pts = in->dts = KR_TIME_NONE;
    break;
  case 3:
    in->pts += random_step (maker);
    break;
  case 4:
    if (in->dts != KR_TIME_NONE)
      in->dts += random_step (maker);
    break;
  case 5:
    in->pts = extreme (maker);
    break;
  case 6:
    in->dts = extreme (maker);
    break;
  case 7:
    in->duration = chance (maker, 0.5) ? extreme (maker) : KR_TIME_NONE;
    break;
  case 8:
    in->hint = KR_TIMELINE_HINT_DISCONT;
    break;
  default:
    g_assert_not_reached ();
  }
}

static guint
next_stream (const Maker *maker)
{
  guint i, best = 0;

  for (i = 1; i < maker->run->n_streams; i++)
    if (maker->next[i] < maker->next[best])
      best = i;
  return best;
}

/* Like a coder with two B-frames: display times of pictures 0, 3, 1, 2, 6, 4, 5, two late. */
static gint64
display_offset (const Shape *shape, gint64 index)
{
  if (shape->kind != KR_TIMELINE_REORDER)
    return 0;
  if (index == 0)
    return 2 * shape->duration;
  return ((index - 1) % 3 == 0 ? 4 : 1) * shape->duration;
}

static void
make_buffer (Maker *maker, gboolean tail)
{
  guint i = next_stream (maker);
  const Shape *shape = &maker->run->shapes[i];
  gint64 t;
  KrTimelineIn in = {.duration = KR_TIME_NONE};

  maker->now = MAX (maker->now, maker->next[i]);
  t = maker->next[i] + maker->offset + maker->private_offset[i];
  in.pts = t + display_offset (shape, maker->index[i]);
  in.dts = shape->kind == KR_TIMELINE_REORDER && shape->has_dts ? t : KR_TIME_NONE;
  maker->arrival = MAX (maker->arrival, MAX (maker->now, maker->held_until) + maker->latency);
  in.arrival = maker->arrival + (tail ? 0 : between (maker, 0, 10 * KR_MILLISECOND));
  in.hint = maker->hint[i] ? KR_TIMELINE_HINT_DISCONT : KR_TIMELINE_HINT_NONE;
  maker->hint[i] = FALSE;
  if (!tail && chance (maker, maker->faults))
    disturb_buffer (maker, &in);
  add_op (maker, OP_BUFFER, i, &in);
  maker->index[i]++;
  maker->next[i] += shape->duration;
  if (shape->kind == KR_TIMELINE_SPARSE && !tail)
    maker->next[i] += between (maker, 0, 10 * KR_SECOND);
}

static void
choose_shape (Maker *maker, Shape *shape)
{
  static const gint64 durations[] = {40000000, 20000000, 33366667,
                                     21333333, 23219955, 10000000};

  shape->kind = (KrTimelineKind)g_rand_int_range (maker->rand, 0, KR_TIMELINE_OTHER + 1);
  shape->duration = durations[g_rand_int_range (maker->rand, 0, G_N_ELEMENTS (durations))];
  shape->has_dts = chance (maker, 0.7);
}

static void
choose_config (Maker *maker, KrTimelineConfig *config)
{
  static const KrTimelineMode modes[] = {KR_TIMELINE_CORRECT, KR_TIMELINE_CORRECT,
                                         KR_TIMELINE_CORRECT, KR_TIMELINE_MONITOR,
                                         KR_TIMELINE_ARRIVAL, KR_TIMELINE_CFR};

  kr_timeline_config_init (config);
  config->mode = modes[g_rand_int_range (maker->rand, 0, G_N_ELEMENTS (modes))];
  config->live = chance (maker, 0.5);
  config->gap_policy = chance (maker, 0.8) ? KR_TIMELINE_GAP_KEEP : KR_TIMELINE_GAP_COLLAPSE;
  config->drift = chance (maker, 0.8) ? KR_TIMELINE_DRIFT_REPORT : KR_TIMELINE_DRIFT_FOLLOW;
}

static Run *
make_run (guint32 seed)
{
  Run *run = g_new0 (Run, 1);
  Maker maker = {.rand = g_rand_new_with_seed (seed), .run = run};
  guint i, n, buffers, n_clean[MAX_STREAMS] = {0};
  gdouble source_faults, stream_faults;

  run->seed = seed;
  run->ops = g_array_new (FALSE, TRUE, sizeof (Op));
  choose_config (&maker, &run->config);
  run->n_streams = (guint)g_rand_int_range (maker.rand, 1, MAX_STREAMS + 1);
  run->faultless = chance (&maker, 0.1);
  maker.now = maker.arrival = between (&maker, 0, 100 * KR_SECOND);
  maker.latency = between (&maker, 0, KR_SECOND);
  if (!run->faultless && chance (&maker, 0.5))
    maker.offset = random_step (&maker);
  for (i = 0; i < run->n_streams; i++) {
    choose_shape (&maker, &run->shapes[i]);
    maker.next[i] = maker.now + between (&maker, 0, 100 * KR_MILLISECOND);
  }
  maker.faults = run->faultless ? 0 : g_rand_double (maker.rand) * 0.1;
  source_faults = run->faultless ? 0 : g_rand_double (maker.rand) * 0.01;
  stream_faults = run->faultless ? 0 : g_rand_double (maker.rand) * 0.01;
  buffers = (guint)g_rand_int_range (maker.rand, 10, 600);
  for (n = 0; n < buffers; n++) {
    if (chance (&maker, source_faults))
      disturb_source (&maker);
    if (chance (&maker, stream_faults))
      disturb_stream (&maker, (guint)g_rand_int_range (maker.rand, 0, (gint32)run->n_streams));
    make_buffer (&maker, FALSE);
  }
  maker.held_until = 0;
  for (n = 0; n < TAIL * run->n_streams; n++) {
    Op *op;

    make_buffer (&maker, TRUE);
    op = &g_array_index (run->ops, Op, run->ops->len - 1);
    op->clean = TRUE;
    op->tail = n_clean[op->stream]++ >= RECOVERY;
  }
  g_rand_free (maker.rand);
  return run;
}

static void
free_run (Run *run)
{
  g_array_unref (run->ops);
  g_free (run);
}

/* --- what must hold -------------------------------------------------------------------- */

typedef struct {
  gint64 last;   /* stamp that left last, or KR_TIME_NONE */
  GArray *shown; /* gint64: every PTS that left, sorted */
} Seen;

typedef struct {
  const Run *run;
  KrTimeline *timeline;
  KrTimelineStream *streams[MAX_STREAMS];
  Seen seen[MAX_STREAMS];
  GHashTable *offsets; /* epoch number -> output - input */
  char *failure;
  gboolean trace;
} World;

static gboolean fail (World *world, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
fail (World *world, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  world->failure = g_strdup_vprintf (format, args);
  va_end (args);
  return FALSE;
}

/* Whether the buffer was simply mapped, so that its distance to all others of its epoch must be
 * exact. */
static gboolean
is_plain (const KrTimelineStream *stream, const KrTimelineOut *out, gint64 residual_before,
          guint64 nudged_before)
{
  return !(out->flags & KR_TIMELINE_OUT_EXTRAPOLATED) && stream->extra == 0 &&
         stream->residual == 0 && residual_before == 0 &&
         stream->stats.nudged == nudged_before && stream->last_t != KR_TIME_NONE;
}

static gboolean
check_distance (World *world, const Op *op, const KrTimelineOut *out)
{
  KrTimelineStream *stream = world->streams[op->stream];
  gint64 stamp = out->dts != KR_TIME_NONE ? out->dts : out->pts;
  gint64 offset = stamp - stream->stats.last_in;
  gpointer key = GUINT_TO_POINTER (stream->epoch);
  gint64 *known = g_hash_table_lookup (world->offsets, key);

  if (known == NULL) {
    g_hash_table_insert (world->offsets, key, g_memdup2 (&offset, sizeof offset));
    return TRUE;
  }
  if (*known != offset)
    return fail (world,
                 "lip-sync: epoch %u has offset %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT,
                 stream->epoch, *known, offset);
  return TRUE;
}

/* What is the same at 90 kHz is shown at one time. */
static gboolean
check_shown (World *world, GArray *shown, gint64 pts)
{
  guint i = shown->len;

  while (i > 0 && g_array_index (shown, gint64, i - 1) > pts)
    i--;
  if ((i > 0 && pts - g_array_index (shown, gint64, i - 1) < KR_TIMELINE_TICK) ||
      (i < shown->len && g_array_index (shown, gint64, i) - pts < KR_TIMELINE_TICK))
    return fail (world, "doubled PTS %" G_GINT64_FORMAT, pts);
  g_array_insert_val (shown, i, pts);
  return TRUE;
}

static gboolean
check_stamps (World *world, const Op *op, const KrTimelineOut *out, guint64 nudged_before)
{
  Seen *seen = &world->seen[op->stream];
  const KrTimelineStream *stream = world->streams[op->stream];
  gint64 stamp = out->dts != KR_TIME_NONE ? out->dts : out->pts;
  gboolean both = op->in.pts != KR_TIME_NONE && op->in.dts != KR_TIME_NONE &&
                  ABS (op->in.pts) <= KR_TIMELINE_LIMIT &&
                  ABS (op->in.dts) <= KR_TIMELINE_LIMIT;
  gint64 off = both ? op->in.pts - op->in.dts : 0;

  if (out->pts == KR_TIME_NONE || stamp < 0)
    return fail (world, "a buffer left without a PTS or with a negative stamp");
  if (out->dts != KR_TIME_NONE && out->pts < out->dts)
    return fail (world, "PTS %" G_GINT64_FORMAT " before DTS %" G_GINT64_FORMAT, out->pts,
                 out->dts);
  if (seen->last != KR_TIME_NONE && stamp < seen->last + KR_TIMELINE_TICK)
    return fail (world, "stamp %" G_GINT64_FORMAT " after %" G_GINT64_FORMAT, stamp,
                 seen->last);
  seen->last = stamp;
  if (both && off >= 0 && off <= 2 * KR_SECOND && stream->stats.nudged == nudged_before &&
      world->run->config.mode != KR_TIMELINE_CFR && out->pts - out->dts != off)
    return fail (world, "PTS - DTS was %" G_GINT64_FORMAT ", is %" G_GINT64_FORMAT, off,
                 out->pts - out->dts);
  return check_shown (world, seen->shown, out->pts);
}

static gboolean
check_buffer (World *world, const Op *op, const KrTimelineOut *out, gint64 residual_before,
              guint64 nudged_before)
{
  const KrTimelineConfig *config = &world->run->config;
  KrTimelineStream *stream = world->streams[op->stream];
  KrTimelineStreamStats stats;

  kr_timeline_stream_get_stats (stream, &stats);
  if (stats.in != stats.out + stats.dropped)
    return fail (world, "in %" G_GUINT64_FORMAT " is not out + dropped", stats.in);
  if (config->mode == KR_TIMELINE_MONITOR) {
    if (out->pts != op->in.pts || out->dts != op->in.dts || (out->flags & KR_TIMELINE_OUT_DROP))
      return fail (world, "monitor changed a buffer");
    return TRUE;
  }
  if (out->flags & KR_TIMELINE_OUT_DROP) {
    if (stream->kind != KR_TIMELINE_AUDIO && stream->kind != KR_TIMELINE_RAW_VIDEO)
      return fail (world, "a buffer was dropped that others may need");
    return TRUE;
  }
  if (!check_stamps (world, op, out, nudged_before))
    return FALSE;
  if (op->tail && config->mode == KR_TIMELINE_CORRECT && stream->kind != KR_TIMELINE_SPARSE &&
      (out->flags & KR_TIMELINE_OUT_EXTRAPOLATED))
    return fail (world, "the source is clean and still not believed");
  if (config->mode == KR_TIMELINE_CORRECT && config->drift == KR_TIMELINE_DRIFT_REPORT &&
      is_plain (stream, out, residual_before, nudged_before))
    return check_distance (world, op, out);
  return TRUE;
}

static gboolean
check_faultless (World *world, const Op *op, const KrTimelineOut *out)
{
  const Shape *shape = &world->run->shapes[op->stream];

  if (!world->run->faultless || world->run->config.mode != KR_TIMELINE_CORRECT ||
      (shape->kind == KR_TIMELINE_REORDER && !shape->has_dts) ||
      world->run->config.drift == KR_TIMELINE_DRIFT_FOLLOW)
    return TRUE;
  if (out->pts != op->in.pts || out->dts != op->in.dts || out->n_events > 0 || out->flags != 0)
    return fail (world, "clean input was changed");
  return TRUE;
}

static void
forget_seen (Seen *seen)
{
  seen->last = KR_TIME_NONE;
  g_array_set_size (seen->shown, 0);
}

static void
add_stream (World *world, guint i)
{
  const Shape *shape = &world->run->shapes[i];

  world->streams[i] = kr_timeline_add_stream (world->timeline);
  kr_timeline_stream_set_format (world->streams[i], shape->kind, shape->duration, 1000000000,
                                 (gint)shape->duration);
  forget_seen (&world->seen[i]);
}

static void
trace (World *world, const Op *op, const KrTimelineOut *out)
{
  const KrTimelineStream *stream = world->streams[op->stream];
  guint i;

  printf ("#   %s%u t %.6f arrival %.6f -> pts %.6f dts %.6f flags %d epoch %u extra %.6f "
          "residual %.6f nudged %" G_GUINT64_FORMAT,
          op->clean ? "clean " : "", op->stream, (gdouble)stream->stats.last_in / 1e9,
          (gdouble)op->in.arrival / 1e9, (gdouble)out->pts / 1e9, (gdouble)out->dts / 1e9,
          (gint)out->flags, stream->epoch, (gdouble)stream->extra / 1e9,
          (gdouble)stream->residual / 1e9, stream->stats.nudged);
  for (i = 0; i < out->n_events; i++)
    printf (" %s %.6f", kr_timeline_event_name (out->events[i].kind),
            (gdouble)out->events[i].delta / 1e9);
  printf ("\n");
}

static gboolean
push (World *world, const Op *op)
{
  KrTimelineStream *stream = world->streams[op->stream];
  gint64 residual = stream->residual;
  guint64 nudged = stream->stats.nudged;
  KrTimelineOut out;

  kr_timeline_push (stream, &op->in, &out);
  if (world->trace)
    trace (world, op, &out);
  return check_buffer (world, op, &out, residual, nudged) && check_faultless (world, op, &out);
}

static void
flush (World *world, guint i)
{
  guint k;

  kr_timeline_stream_flush (world->streams[i]);
  forget_seen (&world->seen[i]);
  for (k = 0; k < world->run->n_streams; k++)
    if (!world->streams[k]->started)
      forget_seen (&world->seen[k]);
}

static gboolean
apply (World *world, const Op *op)
{
  KrTimelineStream *stream = world->streams[op->stream];
  const Shape *shape = &world->run->shapes[op->stream];
  KrTimelineOut out;

  switch (op->type) {
  case OP_BUFFER:
    return push (world, op);
  case OP_EOS:
    kr_timeline_stream_eos (stream);
    return TRUE;
  case OP_START:
    kr_timeline_stream_start (stream);
    return TRUE;
  case OP_GAP:
    kr_timeline_gap (stream, op->in.pts, op->in.duration, op->in.arrival, &out);
    return TRUE;
  case OP_FLUSH:
    flush (world, op->stream);
    return TRUE;
  case OP_FORMAT:
    kr_timeline_stream_set_format (stream, shape->kind, op->in.duration, 1000000000,
                                   (gint)op->in.duration);
    return TRUE;
  case OP_CLOCK_STEP:
    kr_timeline_clock_step (world->timeline, op->in.duration);
    return TRUE;
  case OP_REPLACE:
    kr_timeline_remove_stream (world->timeline, stream);
    add_stream (world, op->stream);
    return TRUE;
  default:
    g_assert_not_reached ();
  }
}

/* NULL, or what went wrong (transfer full). @keep: which operations to carry out. */
static char *
carry_out (const Run *run, const gboolean *keep, gboolean with_trace)
{
  World world = {.run = run, .trace = with_trace, .timeline = kr_timeline_new (&run->config)};
  guint i;

  world.offsets = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  for (i = 0; i < run->n_streams; i++) {
    world.seen[i].shown = g_array_new (FALSE, FALSE, sizeof (gint64));
    add_stream (&world, i);
  }
  for (i = 0; i < run->ops->len; i++)
    if (keep[i] && !apply (&world, &g_array_index (run->ops, Op, i))) {
      g_autofree char *what = world.failure;

      world.failure = g_strdup_printf ("%s (operation %u)", what, i);
      break;
    }
  for (i = 0; i < run->n_streams; i++)
    g_array_unref (world.seen[i].shown);
  g_hash_table_unref (world.offsets);
  kr_timeline_free (world.timeline);
  return world.failure;
}

/* --- shrinking ------------------------------------------------------------------------- */

static gboolean
fails_alike (const Run *run, const gboolean *keep, const char *failure)
{
  g_autofree char *now = carry_out (run, keep, FALSE);

  return now != NULL && strncmp (now, failure, 8) == 0;
}

static void
shrink (const Run *run, gboolean *keep, const char *failure)
{
  guint n = run->ops->len, size, from, i;
  g_autofree gboolean *attempt = g_new (gboolean, n);

  for (size = n / 2; size > 0; size /= 2)
    for (from = 0; from < n; from += size) {
      memcpy (attempt, keep, n * sizeof *keep);
      for (i = from; i < MIN (from + size, n); i++)
        attempt[i] = g_array_index (run->ops, Op, i).clean;
      if (fails_alike (run, attempt, failure))
        memcpy (keep, attempt, n * sizeof *keep);
    }
}

static void
print_op (const Op *op)
{
  static const char *const names[] = {"buffer", "eos",    "start",      "gap",
                                      "flush",  "format", "clock-step", "replace"};

  printf ("#   %s %u pts %.6f dts %.6f arrival %.6f duration %.6f hint %d%s\n", names[op->type],
          op->stream, (gdouble)op->in.pts / 1e9, (gdouble)op->in.dts / 1e9,
          (gdouble)op->in.arrival / 1e9, (gdouble)op->in.duration / 1e9, (gint)op->in.hint,
          op->tail ? " (tail)" : "");
}

static void
report (const Run *run, gboolean *keep, const char *failure)
{
  g_autofree char *shrunk = NULL;
  guint i;

  shrink (run, keep, failure);
  shrunk = carry_out (run, keep, g_test_verbose ());
  printf ("# seed %u: %s\n# shrunk: %s\n# live %d mode %d gap-policy %d drift %d\n", run->seed,
          failure, shrunk, run->config.live, (gint)run->config.mode,
          (gint)run->config.gap_policy, (gint)run->config.drift);
  for (i = 0; i < run->n_streams; i++)
    printf ("# stream %u: kind %d duration %.6f dts %d\n", i, (gint)run->shapes[i].kind,
            (gdouble)run->shapes[i].duration / 1e9, run->shapes[i].has_dts);
  for (i = 0; i < run->ops->len; i++)
    if (keep[i] && !g_array_index (run->ops, Op, i).clean)
      print_op (&g_array_index (run->ops, Op, i));
}

static guint64
number_from_environment (const char *name, guint64 fallback)
{
  const char *text = g_getenv (name);

  return text != NULL ? g_ascii_strtoull (text, NULL, 10) : fallback;
}

static void
test_invariants (void)
{
  guint64 seed = number_from_environment ("KR_FUZZ_SEED", 1);
  guint64 runs = number_from_environment ("KR_FUZZ_RUNS", 2000);
  guint64 i, buffers = 0;

  for (i = 0; i < runs; i++) {
    Run *run = make_run ((guint32)(seed + i));
    g_autofree gboolean *keep = g_new (gboolean, run->ops->len);
    g_autofree char *failure = NULL;
    guint k;

    for (k = 0; k < run->ops->len; k++)
      keep[k] = TRUE;
    failure = carry_out (run, keep, FALSE);
    if (failure != NULL) {
      report (run, keep, failure);
      g_test_fail ();
      free_run (run);
      return;
    }
    buffers += run->ops->len;
    free_run (run);
  }
  g_test_message ("%" G_GUINT64_FORMAT " runs from seed %" G_GUINT64_FORMAT
                  ", %" G_GUINT64_FORMAT " operations",
                  runs, seed, buffers);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (g_getenv ("KR_FUZZ_RUNS") == NULL)
    kr_test_deadline (300);
  g_test_add_func ("/timeline/fuzz/invariants", test_invariants);
  return g_test_run ();
}
