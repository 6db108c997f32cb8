/* keeprolling - does the recording really grow?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/growth.h"

#include <string.h>

#include "plugins/common/messages.h"

static const char *const state_names[] = {
    [KR_GROWTH_WAITING] = "waiting",
    [KR_GROWTH_GROWING] = "growing",
    [KR_GROWTH_STALLED] = "stalled",
};
G_STATIC_ASSERT (G_N_ELEMENTS (state_names) == KR_N_GROWTH_STATES);

static const char *const fault_names[] = {
    [KR_GROWTH_NO_FAULT] = NULL,
    [KR_GROWTH_NO_INPUT] = KR_STALL_NO_INPUT,
    [KR_GROWTH_NO_GROWTH] = KR_STALL_NO_GROWTH,
    [KR_GROWTH_BELOW_MIN_RATE] = KR_STALL_BELOW_MIN_RATE,
    [KR_GROWTH_NO_KEYFRAME] = KR_STALL_NO_KEYFRAME,
    [KR_GROWTH_FILE_REPLACED] = KR_STALL_FILE_REPLACED,
    [KR_GROWTH_FILE_UNLINKED] = KR_STALL_FILE_UNLINKED,
};
G_STATIC_ASSERT (G_N_ELEMENTS (fault_names) == KR_N_GROWTH_FAULTS);

const char *
kr_growth_state_name (KrGrowthState state)
{
  g_return_val_if_fail ((guint)state < KR_N_GROWTH_STATES, NULL);
  return state_names[state];
}

const char *
kr_growth_fault_name (KrGrowthFault fault)
{
  g_return_val_if_fail ((guint)fault < KR_N_GROWTH_FAULTS, NULL);
  return fault_names[fault];
}

/* Times come from one clock that never goes back, but a caller's mistake must not turn into an
 * age of 584 years. */
static guint64
since (guint64 then, guint64 now)
{
  return now > then ? now - then : 0;
}

/* --- the rate over a window ----------------------------------------------------------- */

static KrGrowthPoint *
point_at (KrGrowth *growth, guint i)
{
  return &growth->points[(growth->first_point + i) % KR_GROWTH_N_POINTS];
}

/* From the step before this one on, so that this step's progress is part of the rate. */
static void
restart_window (KrGrowth *growth)
{
  growth->first_point = 0;
  growth->n_points = 1;
  growth->points[0] =
      (KrGrowthPoint){.time_ns = growth->stepped_ns, .bytes = growth->grown_before};
  growth->rate_good_ns = growth->stepped_ns;
}

/* Keeps one point at or before the beginning of the window and drops what is older. */
static void
advance_window (KrGrowth *growth, guint64 window_ns, guint64 now)
{
  /* Two points fewer than there are slots: one reaches behind the window, one is `now`. */
  const guint64 spacing = window_ns / (KR_GROWTH_N_POINTS - 2);

  while (growth->n_points > 1 && since (point_at (growth, 1)->time_ns, now) >= window_ns) {
    growth->first_point = (growth->first_point + 1) % KR_GROWTH_N_POINTS;
    growth->n_points--;
  }
  if (since (point_at (growth, growth->n_points - 1)->time_ns, now) < MAX (spacing, 1))
    return;
  if (growth->n_points == KR_GROWTH_N_POINTS) {
    /* Only after the window was made longer: what is known is shorter for a while. */
    growth->first_point = (growth->first_point + 1) % KR_GROWTH_N_POINTS;
    growth->n_points--;
  }
  *point_at (growth, growth->n_points++) =
      (KrGrowthPoint){.time_ns = now, .bytes = growth->grown};
}

/* Nothing may be called too slow before it could be called stalled. */
static guint64
rate_window (const KrGrowthConfig *config)
{
  return MAX (config->window_ns, config->stall_timeout_ns);
}

static guint64
per_second (guint64 bytes, guint64 span_ns)
{
  const guint64 span_us = span_ns / 1000;
  guint64 scaled;

  if (span_us == 0)
    return 0;
  if (g_uint64_checked_mul (&scaled, bytes, G_USEC_PER_SEC))
    return scaled / span_us;
  return bytes / MAX (span_us / G_USEC_PER_SEC, 1);
}

static guint64
window_rate (KrGrowth *growth, guint64 now)
{
  const KrGrowthPoint *oldest = point_at (growth, 0);

  return per_second (growth->grown - oldest->bytes, since (oldest->time_ns, now));
}

/* --- taking a sample in ---------------------------------------------------------------- */

static guint64
sample_total (const KrGrowth *growth, const KrGrowthSample *sample)
{
  if (sample->file == KR_GROWTH_FILE_UNWATCHED)
    return sample->bytes_in;
  /* The writer's own sum includes the last bytes of a finished file, which no sample saw; but
   * it comes only when that file is synced and renamed. Until then the last look counts. */
  return MAX (sample->finished_bytes, growth->carried) +
         (sample->file == KR_GROWTH_FILE_PRESENT ? sample->file_bytes : 0);
}

static void
take_identity (KrGrowth *growth, const KrGrowthSample *sample)
{
  if (sample->generation != growth->last.generation)
    growth->file_known = FALSE;
  if (growth->file_known || sample->file != KR_GROWTH_FILE_PRESENT)
    return;
  growth->file_known = TRUE;
  growth->known_device = sample->file_device;
  growth->known_inode = sample->file_inode;
}

static gboolean
is_known_file (const KrGrowth *growth, const KrGrowthSample *sample)
{
  return growth->known_device == sample->file_device &&
         growth->known_inode == sample->file_inode;
}

static gboolean
watched_another_way (const KrGrowth *growth, const KrGrowthSample *sample)
{
  return (sample->file == KR_GROWTH_FILE_UNWATCHED) !=
         (growth->last.file == KR_GROWTH_FILE_UNWATCHED);
}

/* Returns whether the recording grew. A file that is not ours does not count. */
static gboolean
take_progress (KrGrowth *growth, const KrGrowthSample *sample)
{
  gboolean progress;
  guint64 total;

  if (watched_another_way (growth, sample))
    growth->carried = 0;
  else if (sample->generation != growth->last.generation) {
    growth->carried = growth->total;
    growth->pending = FALSE; /* a new file is given the time to take its first bytes */
  }
  take_identity (growth, sample);
  if (growth->file_known && sample->file != KR_GROWTH_FILE_UNWATCHED &&
      (sample->file == KR_GROWTH_FILE_ABSENT || !is_known_file (growth, sample)))
    return FALSE;

  total = sample_total (growth, sample);
  progress = total > growth->total && !watched_another_way (growth, sample);
  if (progress)
    growth->grown += total - growth->total;
  /* Also when it shrank: somebody cut the file, and it may grow from there. */
  growth->total = total;
  return progress;
}

static gboolean
take_sample (KrGrowth *growth, const KrGrowthSample *sample, guint64 now)
{
  const gboolean input = sample->bytes_in > growth->last.bytes_in || sample->blocked;
  gboolean progress;

  growth->grown_before = growth->grown;
  progress = take_progress (growth, sample);
  if (input)
    growth->input_ns = now;
  if (progress) {
    growth->progress_ns = now;
    growth->pending = FALSE;
    if (!growth->progressed)
      restart_window (growth);
    growth->progressed = TRUE;
  } else if (input && !growth->pending) {
    growth->pending = TRUE;
    growth->pending_ns = now;
  }
  if (sample->keyframes > growth->last.keyframes)
    growth->keyframe_ns = growth->keyframe_from_ns = now;
  return progress;
}

/* --- judging ---------------------------------------------------------------------------- */

static KrGrowthFault
find_file_fault (const KrGrowth *growth, const KrGrowthSample *sample)
{
  if (!growth->file_known || sample->file == KR_GROWTH_FILE_UNWATCHED)
    return KR_GROWTH_NO_FAULT;
  if (sample->file == KR_GROWTH_FILE_ABSENT)
    return KR_GROWTH_FILE_UNLINKED;
  return is_known_file (growth, sample) ? KR_GROWTH_NO_FAULT : KR_GROWTH_FILE_REPLACED;
}

static KrGrowthFault
find_standstill (const KrGrowth *growth, const KrGrowthConfig *config, guint64 now)
{
  guint64 limit = config->stall_timeout_ns, patience = config->stall_timeout_ns;
  gboolean was_without =
      growth->state == KR_GROWTH_STALLED && growth->fault == KR_GROWTH_NO_INPUT;

  if (!growth->progressed && config->startup_timeout_ns != KR_GROWTH_OFF)
    limit = config->startup_timeout_ns;
  if (limit == KR_GROWTH_OFF || since (growth->progress_ns, now) < limit)
    return KR_GROWTH_NO_FAULT;
  if (since (growth->input_ns, now) >= limit)
    return KR_GROWTH_NO_INPUT;
  /* Input that has just come back is given the time to reach the file. At the start there is
   * one grace for both, unless the input came after it. */
  if ((!growth->progressed && !was_without) ||
      (growth->pending && since (growth->pending_ns, now) >= patience))
    return KR_GROWTH_NO_GROWTH;
  return KR_GROWTH_NO_FAULT;
}

static gboolean
lacks_keyframe (const KrGrowth *growth, const KrGrowthConfig *config,
                const KrGrowthSample *sample, guint64 now)
{
  /* No data at all is another fault, with another timeout. */
  if (config->max_keyframe_interval_ns == KR_GROWTH_OFF ||
      sample->bytes_in == growth->last.bytes_in)
    return FALSE;
  if (growth->keyframe_ns == growth->started_ns &&
      since (growth->started_ns, now) < config->startup_timeout_ns)
    return FALSE;
  return since (growth->keyframe_from_ns, now) >= config->max_keyframe_interval_ns;
}

static gboolean
is_too_slow (KrGrowth *growth, const KrGrowthConfig *config, guint64 rate, guint64 now)
{
  if (config->min_rate == KR_GROWTH_OFF || !growth->progressed)
    return FALSE;
  if (rate >= config->min_rate ||
      since (point_at (growth, 0)->time_ns, now) < rate_window (config)) {
    if (rate >= config->min_rate)
      growth->rate_good_ns = now;
    /* A stall is over when the rate is good, not when the window is young again. */
    return growth->fault == KR_GROWTH_BELOW_MIN_RATE && rate < config->min_rate;
  }
  return TRUE;
}

/* From when on the outage counts, by what is missing. */
static guint64
fault_began (const KrGrowth *growth, KrGrowthFault fault)
{
  switch (fault) {
  case KR_GROWTH_BELOW_MIN_RATE:
    return growth->rate_good_ns;
  case KR_GROWTH_NO_KEYFRAME:
    return growth->keyframe_ns;
  case KR_GROWTH_NO_FAULT:
  case KR_GROWTH_NO_INPUT:
  case KR_GROWTH_NO_GROWTH:
  case KR_GROWTH_FILE_REPLACED:
  case KR_GROWTH_FILE_UNLINKED:
  case KR_N_GROWTH_FAULTS:
    break;
  }
  return growth->progress_ns;
}

/* A stall for want of bytes, or of the right file, ends with bytes in that file; the others end
 * when their fault is gone. */
static gboolean
wants_progress (KrGrowthFault fault)
{
  switch (fault) {
  case KR_GROWTH_NO_INPUT:
  case KR_GROWTH_NO_GROWTH:
  case KR_GROWTH_FILE_REPLACED:
  case KR_GROWTH_FILE_UNLINKED:
    return TRUE;
  case KR_GROWTH_NO_FAULT:
  case KR_GROWTH_NO_KEYFRAME:
  case KR_GROWTH_BELOW_MIN_RATE:
  case KR_N_GROWTH_FAULTS:
    break;
  }
  return FALSE;
}

static KrGrowthFault
find_fault (KrGrowth *growth, const KrGrowthConfig *config, const KrGrowthSample *sample,
            guint64 rate, guint64 now)
{
  KrGrowthFault fault = find_file_fault (growth, sample);

  if (fault == KR_GROWTH_NO_FAULT)
    fault = find_standstill (growth, config, now);
  /* The window and the wait for a keyframe begin anew after a standstill, and not before. */
  if (fault != KR_GROWTH_NO_FAULT || wants_progress (growth->fault))
    return fault;
  if (lacks_keyframe (growth, config, sample, now))
    return KR_GROWTH_NO_KEYFRAME;
  return is_too_slow (growth, config, rate, now) ? KR_GROWTH_BELOW_MIN_RATE
                                                 : KR_GROWTH_NO_FAULT;
}

static KrGrowthEvent
enter_stall (KrGrowth *growth, KrGrowthFault fault)
{
  if (growth->state != KR_GROWTH_STALLED)
    growth->outage_from_ns = fault_began (growth, fault);
  growth->state = KR_GROWTH_STALLED;
  growth->fault = fault;
  return KR_GROWTH_EVENT_STALLED;
}

static KrGrowthEvent
leave_stall (KrGrowth *growth, guint64 now)
{
  growth->state = KR_GROWTH_GROWING;
  /* What the outage did to the rate and to the wait for a keyframe is told already. */
  if (growth->fault != KR_GROWTH_NO_KEYFRAME)
    growth->keyframe_from_ns = now;
  restart_window (growth);
  return KR_GROWTH_EVENT_RECOVERED;
}

static KrGrowthEvent
judge (KrGrowth *growth, KrGrowthFault fault, gboolean progress, gboolean overslept,
       guint64 now)
{
  if (growth->state == KR_GROWTH_STALLED) {
    if (fault != KR_GROWTH_NO_FAULT)
      return fault != growth->fault && !overslept ? enter_stall (growth, fault)
                                                  : KR_GROWTH_EVENT_NONE;
    return progress || !wants_progress (growth->fault) ? leave_stall (growth, now)
                                                       : KR_GROWTH_EVENT_NONE;
  }
  if (fault != KR_GROWTH_NO_FAULT && !overslept)
    return enter_stall (growth, fault);
  if (progress)
    growth->state = KR_GROWTH_GROWING;
  return KR_GROWTH_EVENT_NONE;
}

/* Whether the process itself must have stood still: this sample comes far too late, or the one
 * that did was so short a time ago that the data had no chance to arrive since. Never twice in
 * a row, or a machine that is always late would never be told of a stall. */
static gboolean
oversleeps (KrGrowth *growth, const KrGrowthConfig *config, gboolean progress, guint64 now)
{
  const guint64 late = config->interval_ns + config->stall_timeout_ns / 2;

  if (progress)
    growth->overslept = FALSE;
  else if (growth->overslept)
    growth->overslept = since (growth->awake_ns, now) < config->interval_ns;
  else if (since (growth->stepped_ns, now) > late) {
    growth->overslept = TRUE;
    growth->awake_ns = now;
  }
  return growth->overslept;
}

/* --- the interface ---------------------------------------------------------------------- */

static void
restart_ages (KrGrowth *growth, guint64 now)
{
  growth->grown_before = growth->grown;
  growth->started_ns = growth->stepped_ns = growth->input_ns = growth->progress_ns = now;
  growth->keyframe_ns = growth->keyframe_from_ns = now;
  growth->progressed = growth->pending = growth->overslept = FALSE;
  growth->state = KR_GROWTH_WAITING;
  growth->fault = KR_GROWTH_NO_FAULT;
  restart_window (growth);
}

void
kr_growth_start (KrGrowth *growth, const KrGrowthSample *baseline, guint64 now)
{
  g_return_if_fail (growth != NULL && baseline != NULL);

  memset (growth, 0, sizeof *growth);
  growth->last = *baseline;
  take_identity (growth, baseline);
  growth->total = sample_total (growth, baseline);
  restart_ages (growth, now);
}

KrGrowthVerdict
kr_growth_step (KrGrowth *growth, const KrGrowthConfig *config, const KrGrowthSample *sample,
                guint64 now)
{
  KrGrowthVerdict verdict = {.event = KR_GROWTH_EVENT_NONE};
  gboolean progress;

  if (growth->paused)
    now = growth->paused_ns;
  progress = take_sample (growth, sample, now);
  advance_window (growth, rate_window (config), now);
  verdict.rate = window_rate (growth, now);
  if (!growth->paused && !growth->finished) {
    const KrGrowthFault fault = find_fault (growth, config, sample, verdict.rate, now);

    verdict.event =
        judge (growth, fault, progress, oversleeps (growth, config, progress, now), now);
  }
  growth->last = *sample;
  growth->stepped_ns = now;

  verdict.state = growth->state;
  verdict.fault = growth->fault;
  verdict.age_ns = since (growth->progress_ns, now);
  verdict.keyframe_age_ns = since (growth->keyframe_ns, now);
  if (verdict.fault != KR_GROWTH_NO_FAULT)
    verdict.outage_ns = since (growth->outage_from_ns, now);
  if (verdict.event == KR_GROWTH_EVENT_RECOVERED)
    growth->fault = KR_GROWTH_NO_FAULT;
  return verdict;
}

void
kr_growth_pause (KrGrowth *growth, guint64 now)
{
  if (growth->paused)
    return;
  growth->paused = TRUE;
  growth->paused_ns = now;
}

void
kr_growth_resume (KrGrowth *growth, guint64 now)
{
  guint64 *const moments[] = {
      &growth->started_ns,       &growth->stepped_ns,   &growth->input_ns,
      &growth->progress_ns,      &growth->pending_ns,   &growth->keyframe_ns,
      &growth->keyframe_from_ns, &growth->rate_good_ns, &growth->outage_from_ns,
      &growth->awake_ns,
  };
  guint64 shift;

  if (!growth->paused)
    return;
  growth->paused = FALSE;
  shift = since (growth->paused_ns, now);
  for (guint i = 0; i < G_N_ELEMENTS (moments); i++)
    *moments[i] += shift;
  for (guint i = 0; i < growth->n_points; i++)
    point_at (growth, i)->time_ns += shift;
}

void
kr_growth_finish (KrGrowth *growth)
{
  growth->finished = TRUE;
}

void
kr_growth_continue (KrGrowth *growth, guint64 now)
{
  if (!growth->finished)
    return;
  growth->finished = FALSE;
  restart_ages (growth, now);
}
