/* keeprolling - how much of the live time is missing from the recording
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/gap-meter.h"

/* Two clocks are never read at one: stamps that differ by less are of one moment. */
#define SAME_US (50 * G_TIME_SPAN_MILLISECOND)

struct _KrGapMeter {
  gint64 last_data; /* 0 = none yet */
  gint64 last_told; /* the same as the report had it: the clock may have been set since */
  guint worker;     /* that wrote it */
  guint64 restarts; /* of the pipeline then */
  guint64 reconnects;

  gboolean open; /* a gap is */
  KrGapCause cause;

  gint64 both_since; /* counted until then; 0 = the last look saw no two recorders */
  double overlap_s;

  KrGapTotal totals[KR_N_GAP_CAUSES];
  KrGap window[KR_GAP_WINDOW_MAX]; /* a ring */
  guint n_window, next_window;
};

static const char *const cause_names[] = {
    [KR_GAP_SOURCE] = "source",
    [KR_GAP_PIPELINE] = "pipeline",
    [KR_GAP_WORKER] = "worker",
    [KR_GAP_DISK] = "disk",
};
G_STATIC_ASSERT (G_N_ELEMENTS (cause_names) == KR_N_GAP_CAUSES);

const char *
kr_gap_cause_name (KrGapCause cause)
{
  g_return_val_if_fail ((guint)cause < KR_N_GAP_CAUSES, NULL);
  return cause_names[cause];
}

KrGapMeter *
kr_gap_meter_new (void)
{
  return g_new0 (KrGapMeter, 1);
}

void
kr_gap_meter_free (KrGapMeter *meter)
{
  g_free (meter);
}

static gboolean
is_over (KrPipelineState state)
{
  return state == KR_PIPELINE_STOPPING || state == KR_PIPELINE_STOPPED;
}

/* What stands in the way of data right now. The nearest cause wins: a dead worker says nothing
 * about its source, and a source that is away explains a pipeline without data. */
static KrGapCause
cause_now (const KrGapMeter *meter, const KrPipelineReport *report, guint worker)
{
  if (report == NULL || worker != meter->worker)
    return KR_GAP_WORKER;
  if (report->disk_full)
    return KR_GAP_DISK;
  if (report->state == KR_PIPELINE_RECONNECTING || report->sources_silent > 0)
    return KR_GAP_SOURCE;
  return KR_GAP_PIPELINE;
}

static void
remember (KrGapMeter *meter, const KrGap *gap)
{
  KrGapTotal *total = &meter->totals[gap->cause];

  total->count++;
  total->seconds += (double)(gap->end_utc_us - gap->start_utc_us) / G_TIME_SPAN_SECOND;
  meter->window[meter->next_window] = *gap;
  meter->next_window = (meter->next_window + 1) % KR_GAP_WINDOW_MAX;
  meter->n_window = MIN (meter->n_window + 1, KR_GAP_WINDOW_MAX);
}

static void
go_on (KrGapMeter *meter, const KrPipelineReport *report, guint worker)
{
  meter->last_data = meter->last_told = report->last_buffer_utc_us;
  meter->worker = worker;
  meter->restarts = report->restarts;
  meter->reconnects = report->reconnects;
  meter->open = FALSE;
}

/* The last data are news, and so is that nothing has come since. A report alone that is old
 * does not say that: it may have come late. */
static void
note_silence (KrGapMeter *meter, const KrPipelineReport *report, guint worker,
              gint64 now_utc_us)
{
  if (report->sources_silent == 0 || report->sources_silent < report->sources ||
      now_utc_us - meter->last_data <= KR_GAP_MIN_US)
    return;
  meter->open = TRUE;
  meter->cause = cause_now (meter, report, worker);
}

/* A source that was silent between two samples, and is back, has told for how long. With
 * several sources the others went on. */
static gboolean
was_reconnected (const KrGapMeter *meter, const KrPipelineReport *report, KrGap *gap)
{
  gint64 outage = (gint64)(report->last_recovery_s * G_TIME_SPAN_SECOND);

  if (report->sources != 1 || report->sources_silent > 0 ||
      report->reconnects == meter->reconnects || outage <= KR_GAP_MIN_US)
    return FALSE;
  /* Measured at the source; the last data may have come a little later where they are written.
   */
  gap->end_utc_us = MIN (gap->end_utc_us, gap->start_utc_us + outage);
  gap->cause = KR_GAP_SOURCE;
  return TRUE;
}

/* Whether the report tells of new data. Not by the worker: a new one begins with what the one
 * before it told. And the same moment told by a clock that was set in between is no news. */
static gboolean
is_fresh (const KrGapMeter *meter, const KrPipelineReport *report)
{
  if (report == NULL || report->last_buffer_utc_us == 0 || report->disk_full)
    return FALSE;
  return report->last_buffer_utc_us != meter->last_told &&
         ABS (report->last_buffer_utc_us - meter->last_data) > SAME_US;
}

gboolean
kr_gap_meter_sample (KrGapMeter *meter, const KrPipelineReport *report, guint worker,
                     gint64 now_utc_us, KrGap *ret_gap)
{
  gboolean fresh = is_fresh (meter, report);
  KrGap gap;

  if (meter->last_data == 0) {
    if (fresh)
      go_on (meter, report, worker);
    return FALSE;
  }
  if (report != NULL && is_over (report->state)) {
    /* Ended as asked; what comes after a new start is another recording. A teardown before a
     * restart passes through "stopping" too, but leaves it within a report or two. */
    if (report->state == KR_PIPELINE_STOPPED)
      meter->last_data = 0, meter->open = FALSE;
    return FALSE;
  }
  if (!fresh) {
    if (!meter->open && now_utc_us - meter->last_data > KR_GAP_MIN_US) {
      meter->open = TRUE;
      meter->cause = cause_now (meter, report, worker);
    }
    return FALSE;
  }

  gap = (KrGap){meter->last_data, report->last_buffer_utc_us, meter->cause};
  if (!meter->open) {
    /* No sample fell into it. Data that came within the last second are no sign of a gap. A
     * whole new worker or pipeline in between is. */
    gboolean renewed = worker != meter->worker || report->restarts != meter->restarts;

    if (renewed && gap.end_utc_us - gap.start_utc_us > 2 * KR_GAP_MIN_US) {
      gap.cause = worker != meter->worker ? KR_GAP_WORKER : KR_GAP_PIPELINE;
    } else if (!renewed && report->sources == 1 && report->sources_silent > 0 &&
               report->reconnects != meter->reconnects &&
               now_utc_us - report->last_buffer_utc_us <= KR_GAP_MIN_US) {
      return FALSE; /* data, but not yet the news of how long there were none: next time */
    } else if (renewed || !was_reconnected (meter, report, &gap)) {
      go_on (meter, report, worker);
      note_silence (meter, report, worker, now_utc_us);
      return FALSE;
    }
  }
  go_on (meter, report, worker);
  if (gap.end_utc_us <= gap.start_utc_us)
    return FALSE; /* the wall clock was set back meanwhile: nothing can be said */
  remember (meter, &gap);
  if (ret_gap != NULL)
    *ret_gap = gap;
  return TRUE;
}

void
kr_gap_meter_shift (KrGapMeter *meter, gint64 delta_us)
{
  if (meter->last_data != 0)
    meter->last_data += delta_us;
  if (meter->both_since != 0)
    meter->both_since += delta_us;
  for (guint i = 0; i < meter->n_window; i++) {
    meter->window[i].start_utc_us += delta_us;
    meter->window[i].end_utc_us += delta_us;
  }
}

KrGapTotal
kr_gap_meter_total (const KrGapMeter *meter, KrGapCause cause)
{
  g_return_val_if_fail ((guint)cause < KR_N_GAP_CAUSES, (KrGapTotal){0});
  return meter->totals[cause];
}

static void
add_part (KrGapTotal *total, gint64 start, gint64 end, gint64 from)
{
  if (end <= from)
    return;
  total->count++;
  total->seconds += (double)(end - MAX (start, from)) / G_TIME_SPAN_SECOND;
}

KrGapTotal
kr_gap_meter_recent (const KrGapMeter *meter, gint64 now_utc_us)
{
  gint64 from = now_utc_us - KR_GAP_WINDOW_US;
  KrGapTotal total = {0};

  for (guint i = 0; i < meter->n_window; i++)
    add_part (&total, meter->window[i].start_utc_us, meter->window[i].end_utc_us, from);
  if (meter->open)
    add_part (&total, meter->last_data, now_utc_us, from);
  return total;
}

gint64
kr_gap_meter_open_since (const KrGapMeter *meter)
{
  return meter->open ? meter->last_data : 0;
}

void
kr_gap_meter_note_recorders (KrGapMeter *meter, guint n, gint64 since, gint64 now)
{
  if (n > 1 && meter->both_since == 0)
    meter->both_since = CLAMP (since, now - KR_GAP_MAX_NEWS_US, now);
  if (meter->both_since != 0)
    meter->overlap_s += (double)MAX (0, now - meter->both_since) / G_TIME_SPAN_SECOND;
  meter->both_since = n > 1 ? now : 0;
}

double
kr_gap_meter_overlap (const KrGapMeter *meter)
{
  return meter->overlap_s;
}
