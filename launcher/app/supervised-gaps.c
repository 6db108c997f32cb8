/* keeprolling - one pipeline file and its workers: what is missing, or there twice
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

/* A clock that is slewed gets there in small steps. */
#define CLOCK_STEP_US (G_TIME_SPAN_SECOND / 2)

KrPipelineReport *
kr_supervised_merge_reports (const KrSupervised *s, const KrWorker *current,
                             const KrPipelineReport *before)
{
  const KrPipelineReport *report =
      current != NULL ? kr_worker_find_report (current, before->name) : NULL;
  KrPipelineReport *merged;

  if (report != NULL) {
    merged = kr_pipeline_report_copy (report);
  } else {
    merged = kr_pipeline_report_new (before->name);
    g_free (merged->camera);
    merged->camera = g_strdup (before->camera);
  }
  kr_pipeline_report_carry_on (merged, before);
  for (guint i = 0; i < s->workers->len; i++) {
    const KrWorker *other = s->workers->pdata[i];
    const KrPipelineReport *beside =
        other != current ? kr_worker_find_report (other, before->name) : NULL;

    if (beside != NULL)
      kr_pipeline_report_carry_on (merged, beside);
  }
  return merged;
}

static gboolean
is_heard (const KrWorker *worker, gint64 now)
{
  return worker->reports->len > 0 && now - worker->heartbeat < KR_HEARTBEAT_WARN_US;
}

/* What is recorded by any of the workers counts. The current one speaks for all, unless it has
 * fallen silent. */
const KrWorker *
kr_supervised_find_speaker (const KrSupervised *s, gint64 now)
{
  const KrWorker *speaker = kr_supervised_find_worker (s, s->machine.current);

  for (guint i = 0; i < s->workers->len && (speaker == NULL || !is_heard (speaker, now)); i++)
    speaker = s->workers->pdata[i];
  return speaker != NULL && is_heard (speaker, now) ? speaker : NULL;
}

/* An hour by which the clock was set is not an hour without data. */
static void
follow_clock (KrSupervised *s)
{
  gint64 offset = g_get_real_time () - g_get_monotonic_time ();
  gint64 step = offset - s->utc_offset;

  if (ABS (step) < CLOCK_STEP_US)
    return;
  s->utc_offset = offset;
  for (guint i = 0; i < s->gaps->len; i++)
    kr_gap_meter_shift (s->gaps->pdata[i], step);
}

/* A file that was told to stop has no gaps. */
void
kr_supervised_measure_gaps (KrSupervised *s, const KrWorker *speaker)
{
  guint serial = speaker != NULL ? speaker->serial : s->machine.current;

  follow_clock (s);
  if (s->machine.state == KR_SUPERVISOR_STOPPING || s->machine.state == KR_SUPERVISOR_STOPPED)
    return;
  for (guint i = 0; i < s->gaps->len; i++) {
    g_autoptr (KrPipelineReport) report = NULL;

    if (speaker != NULL)
      report = kr_supervised_merge_reports (s, speaker, s->before->pdata[i]);
    kr_gap_meter_sample (s->gaps->pdata[i], report, serial, g_get_real_time (), NULL);
  }
}

/* Each report is measured when it comes: to look at the last one again a second later would
 * take the next, if it is a little late, for a gap. */
void
kr_supervised_measure_silence (KrSupervised *s, gint64 now)
{
  const KrWorker *current = kr_supervised_find_worker (s, s->machine.current);

  if (kr_supervised_find_speaker (s, now) == NULL &&
      (current == NULL || !kr_worker_is_writing (current, now)))
    kr_supervised_measure_gaps (s, NULL);
}

static guint
count_recorders (const KrSupervised *s, const char *pipeline, gint64 now, gint64 *ret_since)
{
  guint n = 0;

  *ret_since = 0;
  for (guint i = 0; i < s->workers->len; i++) {
    const KrWorker *worker = s->workers->pdata[i];

    if (!kr_worker_records (worker, pipeline) || !is_heard (worker, now))
      continue;
    n++;
    *ret_since = MAX (*ret_since, worker->first_segment_utc_us);
  }
  return n;
}

void
kr_supervised_measure_overlaps (KrSupervised *s, gint64 now)
{
  gint64 utc = g_get_real_time ();

  follow_clock (s);
  for (guint i = 0; i < s->gaps->len; i++) {
    const KrPipelineReport *before = s->before->pdata[i];
    gint64 since;
    guint n = count_recorders (s, before->name, now, &since);

    kr_gap_meter_note_recorders (s->gaps->pdata[i], n, since, utc);
  }
}
