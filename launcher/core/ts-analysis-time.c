/* keeprolling - inside ts-analysis: when a packet is due, by the PCRs around it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis-private.h"

#include <string.h>

#define SECOND ((gint64)KR_TS_PCR_HZ)
/* A PMT may name a PCR PID that carries none: then another one counts after that many. */
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

/* The first one announced, and another one when that has ceased: an encoder that comes back may
 * have moved it. */
static gboolean
is_reference (KrTsAnalysis *a, guint pid)
{
  gboolean believed;

  if (pid == a->reference) {
    a->others = 0;
    return TRUE;
  }
  if (a->reference == KR_TS_PID_NULL) {
    believed = is_announced (a, pid) || ++a->others > OTHERS_BELIEVED;
  } else {
    if (a->others == 0)
      a->candidate = pid;
    a->others += pid == a->candidate;
    believed = a->others > OTHERS_BELIEVED ||
               (is_announced (a, pid) && !is_announced (a, a->reference));
  }
  if (!believed)
    return FALSE;
  a->reference = pid;
  a->others = 0;
  return TRUE;
}

static gboolean
is_regular (gint64 step)
{
  return step > 0 && step <= SECOND;
}

/* The first of the two points that @packet lies between, or is nearest to. */
static guint
pair_around (const KrPcrPoint *points, guint n_points, guint64 packet)
{
  guint low = 0, high = n_points - 1;

  while (low < high) {
    guint middle = (low + high + 1) / 2;

    if (points[middle].packet <= packet)
      low = middle;
    else
      high = middle - 1;
  }
  return MIN (low, n_points - 2);
}

/* The PCR @offset packets behind @from, at the rate between the two points at @p, if that has a
 * meaning. */
static gboolean
carry_on (const KrPcrPoint *p, const KrPcrPoint *from, gdouble offset, KrMoment *moment)
{
  gint64 step = kr_ts_pcr_distance (p[1].pcr, p[0].pcr);
  gdouble packets = (gdouble)MAX (1, p[1].packet - p[0].packet);

  if (!is_regular (step))
    return FALSE;
  moment->has_pcr = TRUE;
  moment->pcr =
      (from->pcr + KR_TS_PCR_MODULUS + (guint64)(gint64)((gdouble)step * offset / packets)) %
      KR_TS_PCR_MODULUS;
  return TRUE;
}

/* Between two PCRs the time is interpolated; where they do not follow each other, or outside,
 * the rate before is carried on. */
static void
locate_pcr (const KrPcrPoint *points, guint n_points, guint64 packet, KrMoment *moment)
{
  const KrPcrPoint *p = points + pair_around (points, n_points, packet);
  gdouble offset = (gdouble)packet - (gdouble)p->packet;

  if (!carry_on (p, p, offset, moment) && p > points)
    carry_on (p - 1, p, offset, moment);
}

static void
locate (const KrTsAnalysis *a, guint64 packet, KrMoment *moment)
{
  const KrPcrPoint *p;
  gdouble offset;

  *moment = (KrMoment){FALSE};
  if (a->n_points < 2)
    return;
  p = a->points + pair_around (a->points, a->n_points, packet);
  offset = (gdouble)packet - (gdouble)p->packet;
  moment->has_time = TRUE;
  moment->time = p[0].time +
                 (p[1].time - p[0].time) * offset / (gdouble)MAX (1, p[1].packet - p[0].packet);
  locate_pcr (a->points, a->n_points, packet, moment);
}

/* Programs have clocks of their own, and only theirs tells when their stamps are due. */
static void
locate_own (const KrTsAnalysis *a, guint pcr_pid, guint64 packet, KrMoment *moment)
{
  const KrPidState *s = a->pids[pcr_pid];

  if (s == NULL || s->pcr == NULL)
    return;
  moment->has_pcr = FALSE;
  if (s->pcr->n_points >= 2)
    locate_pcr (s->pcr->points, s->pcr->n_points, packet, moment);
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
  if (!pending->is_pes) {
    judge_section (a, s, pending, &moment);
    return;
  }
  if (s->stream->pcr_pid != a->reference)
    locate_own (a, s->stream->pcr_pid, pending->pes.packet, &moment);
  kr_ts_stream_judge (a, s->stream, &pending->pes, &moment);
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

static void
note_own (KrPcrState *s, guint64 packet, guint64 pcr)
{
  if (s->n_points == KR_TS_OWN_POINTS) {
    s->n_points--;
    memmove (s->points, s->points + 1, s->n_points * sizeof *s->points);
  }
  s->points[s->n_points++] = (KrPcrPoint){.packet = packet, .pcr = pcr};
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
  note_own (s->pcr, a->position, pcr);
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
