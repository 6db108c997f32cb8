/* keeprolling - inside ts-analysis: when a packet is due, by the PCRs around it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis-private.h"

#include <string.h>

#define SECOND ((gint64)KR_TS_PCR_HZ)
/* A PMT may name a PCR PID that carries none. */
#define OTHERS_BELIEVED 50

/* --- the reference ------------------------------------------------------------------- */

static gboolean
is_announced (const KrTsAnalysis *a, guint pid)
{
  for (guint i = 0; i < a->tables->programs->len; i++) {
    const KrTsProgramTable *table = g_ptr_array_index (a->tables->programs, i);

    if (table->valid && table->pmt.pcr_pid == pid)
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_reference (KrTsAnalysis *a, guint pid)
{
  if (a->reference == pid)
    return TRUE;
  if (a->reference != KR_TS_PID_NULL)
    return FALSE;
  if (is_announced (a, pid) || ++a->others > OTHERS_BELIEVED)
    a->reference = pid;
  return a->reference == pid;
}

/* The number of the last point at or before @packet; 0 if it lies before all. */
static guint
point_before (const KrTsAnalysis *a, guint64 packet)
{
  guint low = 0, high = a->n_points - 1;

  while (low < high) {
    guint middle = (low + high + 1) / 2;

    if (a->points[middle].packet <= packet)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

static gboolean
is_regular (gint64 step)
{
  return step > 0 && step <= SECOND;
}

/* Between two PCRs the time is interpolated; where they do not follow each other, or outside,
 * the rate before is carried on. */
static void
locate (const KrTsAnalysis *a, guint64 packet, KrMoment *moment)
{
  const KrPcrPoint *p = a->points;
  guint i, last = a->n_points - 1;
  gint64 step;
  gdouble offset;

  *moment = (KrMoment){FALSE};
  if (a->n_points < 2)
    return;
  i = MIN (point_before (a, packet), last - 1);
  offset = (gdouble)packet - (gdouble)p[i].packet;
  moment->has_time = TRUE;
  moment->time = p[i].time + (p[i + 1].time - p[i].time) * offset /
                                 (gdouble)MAX (1, p[i + 1].packet - p[i].packet);
  step = kr_ts_pcr_distance (p[i + 1].pcr, p[i].pcr);
  if (is_regular (step)) {
    gint64 ticks = (gint64)((gdouble)step * offset / (gdouble)(p[i + 1].packet - p[i].packet));

    moment->has_pcr = TRUE;
    moment->pcr = (p[i].pcr + KR_TS_PCR_MODULUS + (guint64)ticks) % KR_TS_PCR_MODULUS;
  } else if (i > 0 && is_regular (kr_ts_pcr_distance (p[i].pcr, p[i - 1].pcr))) {
    gint64 before = kr_ts_pcr_distance (p[i].pcr, p[i - 1].pcr);

    moment->has_pcr = TRUE;
    moment->pcr = (p[i].pcr + (guint64)((gdouble)before * offset /
                                        (gdouble)(p[i].packet - p[i - 1].packet))) %
                  KR_TS_PCR_MODULUS;
  }
}

/* --- what waits for the next PCR ----------------------------------------------------- */

static void
judge_section (KrTsAnalysis *a, KrPidState *s, const KrPending *pending, const KrMoment *moment)
{
  gdouble ms = (moment->time - s->section_time) * 1000;

  if (!moment->has_time)
    return;
  if (s->has_section_time && ms > a->limits.psi_ms)
    kr_ts_note (a, pending->pid == KR_TS_PID_PAT ? KR_TS_PAT_INTERVAL : KR_TS_PMT_INTERVAL,
                FALSE, pending->packet, pending->pid, ms, "ms");
  s->has_section_time = TRUE;
  s->section_time = moment->time;
}

static void
resolve (KrTsAnalysis *a, const KrPending *pending)
{
  KrPidState *s = a->pids[pending->pid];
  KrMoment moment;

  locate (a, pending->is_pes ? pending->pes.packet : pending->packet, &moment);
  if (pending->is_pes)
    kr_ts_stream_judge (a, s->stream, &pending->pes, &moment);
  else
    judge_section (a, s, pending, &moment);
}

static void
resolve_all (KrTsAnalysis *a)
{
  for (guint i = 0; i < a->pending->len; i++)
    resolve (a, &g_array_index (a->pending, KrPending, i));
  g_array_set_size (a->pending, 0);
}

void
kr_ts_time_defer (KrTsAnalysis *a, const KrPending *pending)
{
  g_array_append_val (a->pending, *pending);
  /* Without any PCR for that long there is no time to wait for. */
  if (a->pending->len >= KR_TS_MAX_PENDING)
    resolve_all (a);
}

/* --- PCRs ---------------------------------------------------------------------------- */

static void
add_point (KrTsAnalysis *a, guint64 pcr)
{
  KrPcrPoint point = {.packet = a->position, .pcr = pcr};

  if (a->n_points > 0) {
    const KrPcrPoint *last = &a->points[a->n_points - 1];
    gint64 step = kr_ts_pcr_distance (pcr, last->pcr);
    guint64 packets = MAX (1, point.packet - last->packet);

    if (is_regular (step)) {
      point.time = last->time + (gdouble)step / KR_TS_PCR_HZ;
      a->nominal = (gdouble)step / KR_TS_PCR_HZ / (gdouble)packets;
    } else {
      point.time = last->time + a->nominal * (gdouble)packets;
    }
  }
  if (a->n_points == KR_TS_PCR_POINTS) { /* half of them go: moving is rare then */
    a->n_points = KR_TS_PCR_POINTS / 2;
    memmove (a->points, a->points + KR_TS_PCR_POINTS / 2, a->n_points * sizeof *a->points);
  }
  a->points[a->n_points++] = point;
  a->report->duration = point.time;
  if (a->n_points >= 2)
    resolve_all (a);
}

static void
judge_interval (KrTsAnalysis *a, KrPcrState *s, guint pid, guint64 pcr, gboolean signalled)
{
  gint64 step = kr_ts_pcr_distance (pcr, s->last);
  gdouble ms = (gdouble)step / (KR_TS_PCR_HZ / 1000);

  s->report.wraps += pcr < s->last && step > 0;
  if (step <= 0)
    kr_ts_note (a, KR_TS_PCR_BACKWARD, signalled, a->position, pid, ms, "ms");
  else if (step > SECOND / 10)
    kr_ts_note (a, KR_TS_PCR_DISCONT, signalled, a->position, pid, ms, "ms");
  if (is_regular (step)) {
    s->report.min_ms = s->intervals == 0 ? ms : MIN (s->report.min_ms, ms);
    s->report.max_ms = MAX (s->report.max_ms, ms);
    s->report.over_40ms += ms > 40;
    s->report.over_100ms += ms > 100;
    s->sum_ms += ms;
    s->intervals++;
    s->report.mean_ms = s->sum_ms / (gdouble)s->intervals;
  }
  if (step > 0 && ms > a->limits.pcr_ms)
    kr_ts_note (a, KR_TS_PCR_INTERVAL, signalled, a->position, pid, ms, "ms");
}

void
kr_ts_time_pcr (KrTsAnalysis *a, guint pid, guint64 pcr, gboolean signalled)
{
  KrPidState *s = a->pids[pid];

  pcr %= KR_TS_PCR_MODULUS;
  if (s->pcr == NULL) {
    s->pcr = g_new0 (KrPcrState, 1);
    s->pcr->report.pid = pid;
  } else {
    judge_interval (a, s->pcr, pid, pcr, signalled);
  }
  s->pcr->report.count++;
  s->pcr->report.discontinuity_flags += signalled;
  s->pcr->last = pcr;
  if (is_reference (a, pid))
    add_point (a, pcr);
}

void
kr_ts_time_finish (KrTsAnalysis *a)
{
  resolve_all (a);
  if (a->n_points < 2)
    a->report->duration = -1;
}
