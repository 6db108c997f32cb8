/* keeprolling - inside mpegts-regen: the output's clock against the arrival
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"

#define SECOND           G_GINT64_CONSTANT (1000000000)
#define BASELINE_TIME    (2 * SECOND)
#define WINDOW           (2 * SECOND)
#define DRIFT_MIN_POINTS 10
/* A baseline that follows the source's clock keeps a real gap as long as it was; one that
 * follows faster than any clock drifts would also follow a source that lags. */
#define BASELINE_PPM 300

void
kr_ts_arrival_reset (KrProgram *program)
{
  program->first_arrival = program->arrival = KR_TS_NO_TIME;
  program->window_start = program->second_start = KR_TS_NO_TIME;
  program->lag_since = KR_TS_NO_TIME;
  program->lag = 0;
  program->n_minima = program->next_minimum = 0;
}

/* Between two sessions the source's clock says nothing about time: a slope across the outage
 * would call it drift. The last result stays. */
void
kr_ts_arrival_restart_drift (KrProgram *program)
{
  program->n_minima = program->next_minimum = 0;
  program->second_start = KR_TS_NO_TIME;
}

static gint64
output_time (const KrProgram *program)
{
  return kr_ticks_to_ns (program->out_ticks);
}

/* Once per second the smallest distance of arrival and the source's own clock: network delay
 * only ever adds. */
static void
note_minimum (KrTsRegen *r, KrProgram *program)
{
  gint64 x = r->arrival - kr_ticks_to_ns (program->drift_ticks);

  if (program->second_start == KR_TS_NO_TIME) {
    program->second_start = r->arrival;
    program->second_min = x;
    return;
  }
  program->second_min = MIN (program->second_min, x);
  if (r->arrival - program->second_start < SECOND)
    return;
  program->minima[program->next_minimum].t = r->arrival;
  program->minima[program->next_minimum].x = program->second_min;
  program->next_minimum = (program->next_minimum + 1) % G_N_ELEMENTS (program->minima);
  program->n_minima = MIN (program->n_minima + 1, G_N_ELEMENTS (program->minima));
  program->second_start = KR_TS_NO_TIME;
}

/* Least squares over the minima. A source that is fast gets ahead of its arrival: minus. */
static void
report_drift (KrTsRegen *r, const KrProgram *program)
{
  gdouble mean_t = 0, mean_x = 0, num = 0, den = 0;
  guint n = program->n_minima;
  gint64 t0 = program->minima[0].t, x0 = program->minima[0].x;

  if (n < DRIFT_MIN_POINTS)
    return;
  for (guint i = 0; i < n; i++) {
    mean_t += (gdouble)(program->minima[i].t - t0) / n;
    mean_x += (gdouble)(program->minima[i].x - x0) / n;
  }
  for (guint i = 0; i < n; i++) {
    gdouble t = (gdouble)(program->minima[i].t - t0) - mean_t;

    num += t * ((gdouble)(program->minima[i].x - x0) - mean_x);
    den += t * t;
  }
  if (den > 0) {
    r->stats.drift_known = TRUE;
    r->stats.drift_ppm = -num / den * 1e6;
  }
}

static void
resync (KrTsRegen *r, KrProgram *program)
{
  gint64 lag = program->lag;
  guint64 shift = (guint64)(kr_ns_to_ticks (lag) / 300);

  kr_ts_regen_begin_epoch (r, program, (program->offset + shift) % KR_TS_STAMP_MODULUS);
  kr_ts_regen_event (r, program, KR_TS_EVENT_LAG_RESYNC, lag, lag, program->pcr_in / 300,
                     program->pcr_out / 300);
  program->lag = 0;
  program->lag_since = KR_TS_NO_TIME;
}

static void
end_window (KrTsRegen *r, KrProgram *program)
{
  gint64 distance = program->window_min - program->baseline;
  gint64 most = (r->arrival - program->baseline_at) / 1000000 * BASELINE_PPM;

  program->lag = distance;
  /* ARRIVAL already follows the wall, not the source. */
  if (r->config.mode != KR_TS_REGEN_ARRIVAL)
    program->baseline += CLAMP (distance, -most, most);
  program->baseline_at = r->arrival;
  program->window_start = KR_TS_NO_TIME;
  if (program == r->programs[0])
    r->stats.lag_ns = distance;

  if (distance <= r->config.max_lag) {
    program->lag_since = KR_TS_NO_TIME;
  } else if (program->lag_since == KR_TS_NO_TIME) {
    program->lag_since = r->arrival;
  } else if (r->arrival - program->lag_since >= r->config.lag_hold) {
    resync (r, program);
  }
}

/* A PCR that was believed came @step ticks after the last one. */
void
kr_ts_arrival_update (KrTsRegen *r, KrProgram *program, gint64 step)
{
  gint64 x;

  if (r->arrival == KR_TS_NO_TIME)
    return;
  program->drift_ticks += step;
  x = r->arrival - output_time (program);
  if (program->first_arrival == KR_TS_NO_TIME) {
    program->first_arrival = r->arrival;
    program->baseline = x;
  }
  if (r->arrival - program->first_arrival <= BASELINE_TIME) {
    program->baseline = MIN (program->baseline, x);
    program->baseline_at = r->arrival;
  } else if (program->window_start == KR_TS_NO_TIME) {
    program->window_start = r->arrival;
    program->window_min = x;
  } else {
    program->window_min = MIN (program->window_min, x);
    if (r->arrival - program->window_start >= WINDOW)
      end_window (r, program);
  }
  note_minimum (r, program);
  if (program == r->programs[0] && program->second_start == KR_TS_NO_TIME)
    report_drift (r, program);
}

gboolean
kr_ts_arrival_target (const KrTsRegen *r, const KrProgram *program, gint64 arrival,
                      gint64 *ret_ticks)
{
  if (!r->config.live || arrival == KR_TS_NO_TIME || program->first_arrival == KR_TS_NO_TIME)
    return FALSE;
  *ret_ticks = kr_ns_to_ticks (arrival - program->baseline) - program->out_ticks;
  return TRUE;
}

/* ARRIVAL: how far the output should be moved before a PCR that is @step ticks after the last.
 */
gint64
kr_ts_arrival_bend (const KrTsRegen *r, const KrProgram *program, gint64 step)
{
  gint64 target, error;

  if (!kr_ts_arrival_target (r, program, r->arrival, &target))
    return 0;
  error = target - step;
  return CLAMP (error / 16, -step / 4, step / 4);
}
