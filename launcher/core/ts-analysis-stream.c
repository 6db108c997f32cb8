/* keeprolling - inside ts-analysis: PES packets of one stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis-private.h"

#include <string.h>

#define INTERVAL_700 0.7 /* s; TR 101 290 2.5 */
#define MIN_HASHED   16  /* bytes; less says nothing about repetition */
#define MAX_STEP     (10 * KR_TS_STAMP_HZ)
#define STEP_BIN     (4 * KR_TS_STAMP_HZ / 1000)
#define HZ           ((gdouble)KR_TS_STAMP_HZ)

/* --- putting PES packets together ---------------------------------------------------- */

static guint64
hash_bytes (guint64 hash, const guint8 *data, gsize size)
{
  const guint64 prime = G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  guint64 other = ~hash;

  for (; size >= 16; data += 16, size -= 16) {
    guint64 a, b;

    memcpy (&a, data, 8);
    memcpy (&b, data + 8, 8);
    hash = (hash ^ a) * prime;
    other = (other ^ b) * prime;
    hash ^= hash >> 29;
    other ^= other >> 31;
  }
  for (; size > 0; data++, size--)
    hash = (hash ^ *data) * prime;
  return hash ^ other << 1;
}

static void
add_payload (KrStreamState *stream, const guint8 *data, gsize size)
{
  stream->pes.hash = hash_bytes (stream->pes.hash, data, size);
  stream->pes.size += size;
  if (stream->report.kind == KR_TS_KIND_AUDIO)
    kr_ts_count_frames (&stream->pes.frames, stream->report.codec, data, size);
}

/* One point of lip-sync: how far an audio stamp is from the video stamp before it. */
static gdouble median (gdouble *values, guint n);

static void
judge_step (KrTsAnalysis *a, KrStreamState *audio, const gdouble *points, guint window,
            guint *ret_skip)
{
  gdouble before[KR_TS_AV_WINDOW], after[KR_TS_AV_WINDOW], step;

  *ret_skip = 0;
  memcpy (before, points, window * sizeof *before);
  memcpy (after, points + window, window * sizeof *after);
  step = median (after, window) - median (before, window);
  if (ABS (step) * 1000 <= a->limits.skew_ms)
    return;
  kr_ts_note (a, KR_TS_AV_STEP, FALSE, a->position, audio->report.pid, step * 1000, "ms");
  *ret_skip = 2 * window;
}

static void
add_point (KrTsAnalysis *a, KrStreamState *audio, guint64 dts)
{
  gdouble x = (gdouble)kr_ts_stamp_distance (dts, a->video_dts) / HZ;
  guint n;

  if (audio->n_points >= KR_TS_AV_POINTS) {
    memmove (audio->points, audio->points + 1, (KR_TS_AV_POINTS - 1) * sizeof x);
    n = KR_TS_AV_POINTS - 1;
  } else {
    n = (guint)audio->n_points;
  }
  audio->points[n++] = x;
  audio->n_points++;
  /* Below that the windows depend on how many there will be: see finish_lip_sync(). */
  if (audio->n_points < 4 * KR_TS_AV_WINDOW)
    return;
  if (audio->n_points == 4 * KR_TS_AV_WINDOW) {
    for (guint i = 0; i + 2 * KR_TS_AV_WINDOW <= n;) {
      guint skip;

      judge_step (a, audio, audio->points + i, KR_TS_AV_WINDOW, &skip);
      if (i + skip + 2 * KR_TS_AV_WINDOW > n && skip > 0)
        audio->skip_points = i + skip + 2 * KR_TS_AV_WINDOW - n;
      i += MAX (skip, 1);
    }
    return;
  }
  if (audio->skip_points > 1) {
    audio->skip_points--;
    return;
  }
  audio->skip_points = 0;
  judge_step (a, audio, audio->points + n - 2 * KR_TS_AV_WINDOW, KR_TS_AV_WINDOW,
              &audio->skip_points);
}

static void
finish_lip_sync (KrTsAnalysis *a, KrStreamState *audio)
{
  guint n = (guint)MIN (audio->n_points, KR_TS_AV_POINTS);
  guint window = MIN (KR_TS_AV_WINDOW, MAX (2, n / 4));

  if (audio->n_points >= 4 * KR_TS_AV_WINDOW || n < 4)
    return;
  for (guint i = 0; i + 2 * window <= n;) {
    guint skip;

    judge_step (a, audio, audio->points + i, window, &skip);
    i += MAX (skip, 1);
  }
}

static int
compare_doubles (const void *a, const void *b)
{
  gdouble x = *(const gdouble *)a, y = *(const gdouble *)b;

  return x < y ? -1 : x > y;
}

static gdouble
median (gdouble *values, guint n)
{
  qsort (values, n, sizeof *values, compare_doubles);
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void
kr_ts_stream_start (KrTsAnalysis *a, KrStreamState *stream, const guint8 *payload, gsize size,
                    const guint8 *packet)
{
  KrTsPes pes;
  guint64 dts;

  kr_ts_stream_end_pes (a, stream);
  if (kr_ts_is_scrambled (packet)) {
    stream->report.scrambled++;
    return;
  }
  if (!kr_ts_parse_pes (payload, size, &pes)) {
    /* A damaged header tells no time, which it should. */
    if (size < 9 || payload[0] != 0 || payload[1] != 0 || payload[2] != 1)
      return;
    pes = (KrTsPes){.payload_offset = (guint16)(9 + payload[8]), .complete = TRUE};
  }
  /* Without the optional header there is nothing to time. */
  if (pes.complete && pes.payload_offset == 6)
    return;
  stream->open = TRUE;
  stream->pes = (KrPes){.packet = a->position, .signalled = stream->signalled};
  stream->signalled = FALSE;
  stream->report.random_access +=
      (kr_ts_adaptation_flags (packet) & KR_TS_ADAPTATION_RANDOM_ACCESS) != 0;
  if (pes.pts_offset != 0) {
    stream->pes.has_pts = TRUE;
    stream->pes.pts = stream->pes.dts = kr_ts_read_stamp (payload + pes.pts_offset);
  }
  if (pes.dts_offset != 0) {
    stream->pes.has_dts = TRUE;
    stream->pes.dts = kr_ts_read_stamp (payload + pes.dts_offset);
    stream->report.with_dts++;
  }
  if (size > pes.payload_offset)
    add_payload (stream, payload + pes.payload_offset, size - pes.payload_offset);
  if (!stream->pes.has_pts)
    return;
  dts = stream->pes.dts;
  if (stream->report.pid == a->video_pid) {
    a->has_video_dts = TRUE;
    a->video_dts = dts;
  } else if (stream->report.kind == KR_TS_KIND_AUDIO && a->has_video_dts) {
    add_point (a, stream, dts);
  }
}

void
kr_ts_stream_continue (KrStreamState *stream, const guint8 *payload, gsize size)
{
  if (stream->open)
    add_payload (stream, payload, size);
}

void
kr_ts_stream_end_pes (KrTsAnalysis *a, KrStreamState *stream)
{
  KrPending pending = {.pid = stream->report.pid, .is_pes = TRUE};

  if (!stream->open)
    return;
  stream->open = FALSE;
  stream->report.pes++;
  pending.pes = stream->pes;
  kr_ts_time_defer (a, &pending);
}

/* --- PTS in order -------------------------------------------------------------------- */

static void
count_step (KrStepTable *table, gint64 step)
{
  guint bin = (guint)MIN (step / STEP_BIN, KR_TS_STEP_BINS - 1);

  table->total++;
  table->counts[bin]++;
  table->sums[bin] += step;
}

static gint64
median_step (const KrStepTable *table)
{
  guint64 before = 0;

  for (guint i = 0; i < KR_TS_STEP_BINS; i++) {
    before += table->counts[i];
    if (before > 0 && before * 2 >= table->total)
      return table->sums[i] / table->counts[i];
  }
  return 0;
}

static void
pop_pts (KrTsAnalysis *a, KrStreamState *stream)
{
  gint64 pts = stream->window[0];
  gint64 typical = median_step (&stream->steps);

  stream->n_window--;
  memmove (stream->window, stream->window + 1, stream->n_window * sizeof pts);
  if (stream->has_popped && typical > 0) {
    gint64 step = pts - stream->popped;

    if (step == 0)
      kr_ts_note (a, KR_TS_PTS_DUP, FALSE, a->position, stream->report.pid, 0, "ms");
    else if ((gdouble)step > 1.6 * (gdouble)typical)
      kr_ts_note (a, KR_TS_PTS_GAP, FALSE, a->position, stream->report.pid, (gdouble)step / 90,
                  "ms");
  }
  stream->has_popped = TRUE;
  stream->popped = pts;
}

static void
flush_pts (KrTsAnalysis *a, KrStreamState *stream)
{
  while (stream->n_window > 0)
    pop_pts (a, stream);
  stream->has_popped = FALSE;
}

static void
push_pts (KrTsAnalysis *a, KrStreamState *stream, gint64 pts)
{
  guint i;

  if (stream->report.kind != KR_TS_KIND_VIDEO)
    return;
  if (stream->n_window == KR_TS_PTS_WINDOW)
    pop_pts (a, stream);
  for (i = stream->n_window; i > 0 && stream->window[i - 1] > pts; i--)
    stream->window[i] = stream->window[i - 1];
  stream->window[i] = pts;
  stream->n_window++;
}

/* --- coded audio against its stamps -------------------------------------------------- */

static void
restart_fit (KrStreamState *stream)
{
  stream->n_fit = 0;
  stream->fit_t = stream->fit_x = stream->fit_tt = stream->fit_tx = 0;
}

static void
add_fit (KrStreamState *stream, gdouble t, gdouble x)
{
  if (stream->n_fit++ == 0)
    stream->fit_first = t;
  stream->fit_last = t;
  stream->fit_t += t;
  stream->fit_x += x;
  stream->fit_tt += t * t;
  stream->fit_tx += t * x;
}

static void
judge_audio (KrTsAnalysis *a, KrStreamState *stream, const KrPes *pes, gint64 pts)
{
  gdouble elapsed, deviation, step;

  if (pes->frames.rate == 0)
    return;
  if (pes->frames.junk > 0)
    kr_ts_note (a, KR_TS_AUDIO_BADSYNC, FALSE, pes->packet, stream->report.pid,
                (gdouble)pes->frames.junk, "bytes");
  if (stream->rate != pes->frames.rate) {
    stream->rate = stream->report.sample_rate = pes->frames.rate;
    stream->base_pts = pts;
    stream->samples = 0;
    stream->last_deviation = 0;
    restart_fit (stream);
  }
  elapsed = (gdouble)(pts - stream->base_pts) / HZ;
  deviation = elapsed - (gdouble)stream->samples / pes->frames.rate;
  step = deviation - stream->last_deviation;
  if (ABS (step) * 1000 > a->limits.audio_tolerance_ms) {
    kr_ts_note (a, step > 0 ? KR_TS_AUDIO_GAP : KR_TS_AUDIO_OVERLAP, FALSE, pes->packet,
                stream->report.pid, step * 1000, "ms");
    stream->base_pts = pts;
    stream->samples = 0;
    restart_fit (stream);
    deviation = elapsed = 0;
  }
  stream->last_deviation = deviation;
  add_fit (stream, elapsed, deviation);
  stream->samples += pes->frames.samples;
  stream->report.samples += pes->frames.samples;
}

static void
finish_audio (KrTsAnalysis *a, KrStreamState *stream)
{
  gdouble n = (gdouble)stream->n_fit;
  gdouble spread = stream->fit_tt - stream->fit_t * stream->fit_t / MAX (n, 1);

  if (n <= 20 || stream->fit_last <= 2 || spread <= 0)
    return;
  stream->report.drift_ppm =
      (stream->fit_tx - stream->fit_t * stream->fit_x / n) / spread * 1e6;
  if (ABS (stream->report.drift_ppm) > a->limits.drift_ppm)
    kr_ts_note (a, KR_TS_AUDIO_DRIFT, FALSE, a->position, stream->report.pid,
                stream->report.drift_ppm, "ppm");
}

/* --- DTS ----------------------------------------------------------------------------- */

static void
judge_dts (KrTsAnalysis *a, KrStreamState *stream, const KrPes *pes)
{
  gdouble limit =
      stream->report.kind == KR_TS_KIND_AUDIO ? a->limits.audio_gap_ms : a->limits.video_gap_ms;
  gint64 step = kr_ts_stamp_distance (pes->dts, stream->last_dts);
  gdouble ms = (gdouble)step / 90;
  guint pid = stream->report.pid;

  stream->unwrapped += step;
  if (step == 0) {
    kr_ts_note (a, KR_TS_DTS_EQUAL, pes->signalled, pes->packet, pid, 0, "ms");
  } else if (step < 0) {
    kr_ts_note (a, KR_TS_DTS_BACK, pes->signalled, pes->packet, pid, ms, "ms");
    flush_pts (a, stream);
  } else if (stream->report.kind != KR_TS_KIND_OTHER && ms > limit) {
    kr_ts_note (a, KR_TS_DTS_GAP, pes->signalled, pes->packet, pid, ms, "ms");
    flush_pts (a, stream);
  }
  if (step > 0 && step < MAX_STEP) {
    if (stream->steps.total == 0)
      stream->min_step = stream->max_step = step;
    stream->min_step = MIN (stream->min_step, step);
    stream->max_step = MAX (stream->max_step, step);
    count_step (&stream->steps, step);
  }
}

static void
judge_lead (KrTsAnalysis *a, KrStreamState *stream, const KrPes *pes, guint64 pcr)
{
  gdouble ms = (gdouble)kr_ts_stamp_distance (pes->dts, pcr / 300) / 90;
  KrTsStreamReport *report = &stream->report;

  report->lead_min_ms = report->has_lead ? MIN (report->lead_min_ms, ms) : ms;
  report->lead_max_ms = report->has_lead ? MAX (report->lead_max_ms, ms) : ms;
  report->has_lead = TRUE;
  stream->lead_sum += ms;
  stream->n_leads++;
  report->lead_mean_ms = stream->lead_sum / (gdouble)stream->n_leads;
  if (ms < 0)
    kr_ts_note (a, KR_TS_LATE_DTS, FALSE, pes->packet, report->pid, ms, "ms");
  else if (ms > a->limits.lead_ms)
    kr_ts_note (a, KR_TS_LEAD_BIG, FALSE, pes->packet, report->pid, ms, "ms");
}

static void
judge_repetition (KrTsAnalysis *a, KrStreamState *stream, const KrPes *pes)
{
  if (stream->has_hash && pes->size > MIN_HASHED && pes->hash == stream->last_hash) {
    stream->report.repeated_pes++;
    /* Silence is repeated lawfully. */
    if (stream->report.kind == KR_TS_KIND_VIDEO)
      kr_ts_note (a, KR_TS_DUP_PES, FALSE, pes->packet, stream->report.pid, 0, NULL);
  }
  stream->has_hash = TRUE;
  stream->last_hash = pes->hash;
}

void
kr_ts_stream_judge (KrTsAnalysis *a, KrStreamState *stream, const KrPes *pes,
                    const KrMoment *moment)
{
  guint pid = stream->report.pid;
  gint64 pts;

  judge_repetition (a, stream, pes);
  if (!pes->has_pts) {
    stream->report.no_pts++;
    kr_ts_note (a, KR_TS_NO_PTS, FALSE, pes->packet, pid, 0, NULL);
    return;
  }
  if (pes->has_dts && kr_ts_stamp_distance (pes->pts, pes->dts) < 0)
    kr_ts_note (a, KR_TS_PTS_LT_DTS, FALSE, pes->packet, pid,
                (gdouble)kr_ts_stamp_distance (pes->pts, pes->dts) / 90, "ms");
  if (moment->has_time) {
    if (stream->has_last_time && moment->time - stream->last_time > INTERVAL_700)
      kr_ts_note (a, KR_TS_PTS_INTERVAL700, FALSE, pes->packet, pid,
                  (moment->time - stream->last_time) * 1000, "ms");
    stream->has_last_time = TRUE;
    stream->last_time = moment->time;
  }
  if (stream->has_dts) {
    judge_dts (a, stream, pes);
  } else {
    stream->unwrapped = stream->first_unwrapped = (gint64)pes->dts;
    stream->report.has_pts = TRUE;
    stream->report.first_pts = (gdouble)pes->pts / HZ;
  }
  stream->has_dts = TRUE;
  stream->last_dts = pes->dts;
  pts = stream->unwrapped + kr_ts_stamp_distance (pes->pts, pes->dts);
  push_pts (a, stream, pts);
  if (moment->has_pcr)
    judge_lead (a, stream, pes, moment->pcr);
  if (stream->report.kind == KR_TS_KIND_AUDIO)
    judge_audio (a, stream, pes, pts);
}

void
kr_ts_stream_finish (KrTsAnalysis *a, KrStreamState *stream)
{
  flush_pts (a, stream);
  if (stream->report.kind == KR_TS_KIND_AUDIO) {
    finish_audio (a, stream);
    finish_lip_sync (a, stream);
  }
  stream->report.span = (gdouble)(stream->unwrapped - stream->first_unwrapped) / HZ;
  stream->report.step_min_ms = (gdouble)stream->min_step / 90;
  stream->report.step_max_ms = (gdouble)stream->max_step / 90;
  stream->report.step_median_ms = (gdouble)median_step (&stream->steps) / 90;
}
