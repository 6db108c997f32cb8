/* keeprolling - how it goes, in one line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/status-line.h"

typedef struct {
  const KrFileSnapshot *file;
  const KrPipelineSnapshot *pipeline; /* NULL = the file as a whole */
  KrHealth status;
} Trouble;

static int
compare_troubles (gconstpointer a, gconstpointer b)
{
  const Trouble *left = a, *right = b;

  return (int)right->status - (int)left->status;
}

/* A file whose worker is gone or going says it for all its pipelines. */
static gboolean
is_trouble_of_file (const KrFileSnapshot *file)
{
  switch (file->state) {
  case KR_SUPERVISOR_GAVE_UP:
  case KR_SUPERVISOR_BACKOFF:
  case KR_SUPERVISOR_TERMINATING:
    return TRUE;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_STARTING:
  case KR_SUPERVISOR_RUNNING:
  case KR_SUPERVISOR_UNHEALTHY:
  case KR_SUPERVISOR_REPLACING:
  case KR_SUPERVISOR_STOPPING:
  case KR_SUPERVISOR_STOPPED:
    return FALSE;
  case KR_N_SUPERVISOR_STATES:
    break;
  }
  g_return_val_if_reached (FALSE);
}

static void
collect_of_file (GArray *troubles, const KrFileSnapshot *file)
{
  Trouble trouble = {.file = file, .status = KR_HEALTH_FAIL};

  if (is_trouble_of_file (file)) {
    g_array_append_val (troubles, trouble);
    return;
  }
  if (file->state == KR_SUPERVISOR_STOPPED)
    return;
  for (guint i = 0; i < file->pipelines->len; i++) {
    trouble.pipeline = file->pipelines->pdata[i];
    trouble.status = trouble.pipeline->health.status;
    if (trouble.status != KR_HEALTH_PASS)
      g_array_append_val (troubles, trouble);
  }
}

static GArray *
collect (const KrSnapshot *snapshot)
{
  GArray *troubles = g_array_new (FALSE, FALSE, sizeof (Trouble));

  for (guint i = 0; i < snapshot->files->len; i++)
    collect_of_file (troubles, snapshot->files->pdata[i]);
  g_array_sort (troubles, compare_troubles);
  return troubles;
}

static double
seconds_since (const KrSnapshot *snapshot, gint64 utc_us)
{
  return (double)MAX (0, snapshot->taken_utc_us - utc_us) / G_TIME_SPAN_SECOND;
}

static void
append_name (GString *line, const Trouble *trouble)
{
  g_string_append (line, trouble->file->name);
  if (trouble->pipeline != NULL && trouble->file->pipelines->len > 1)
    g_string_append_printf (line, "/%s", trouble->pipeline->report->name);
}

static void
append_trouble_of_file (GString *line, const KrSnapshot *snapshot, const KrFileSnapshot *file)
{
  if (file->state == KR_SUPERVISOR_GAVE_UP) {
    g_string_append_printf (line, "given up (%s)", file->last_reason);
  } else if (file->state == KR_SUPERVISOR_TERMINATING) {
    g_string_append_printf (line, "being replaced (%s)", file->last_reason);
  } else {
    double left =
        file->next_start_utc_us != 0
            ? (double)(file->next_start_utc_us - snapshot->taken_utc_us) / G_TIME_SPAN_SECOND
            : 0;

    g_string_append_printf (line, "starts again in %.0f s (%s)", MAX (left, 0),
                            file->last_reason);
  }
}

static const KrCheck *
worst_check (const KrHealthReport *health)
{
  const KrCheck *worst = &health->checks[0];

  for (guint i = 1; i < KR_N_CHECKS; i++)
    if (health->checks[i].status > worst->status)
      worst = &health->checks[i];
  return worst;
}

static void
append_trouble_of_pipeline (GString *line, const KrSnapshot *snapshot,
                            const KrPipelineSnapshot *pipeline)
{
  const KrPipelineReport *report = pipeline->report;

  if (report->state == KR_PIPELINE_RECONNECTING && report->last_buffer_utc_us > 0)
    g_string_append_printf (line, "source silent for %.0f s",
                            seconds_since (snapshot, report->last_buffer_utc_us));
  else if (report->state == KR_PIPELINE_RECONNECTING)
    g_string_append (line, "source not there yet");
  else
    g_string_append (line, worst_check (&pipeline->health)->reason);
}

static void
append_counts (GString *line, const KrSnapshot *snapshot)
{
  guint n = 0, n_recording = 0;

  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    for (guint k = 0; k < file->pipelines->len; k++) {
      n++;
      n_recording += kr_snapshot_pipeline_records (file, file->pipelines->pdata[k]);
    }
  }
  g_string_append_printf (line, "recording %u of %u", n_recording, n);
}

char *
kr_status_line (const KrSnapshot *snapshot)
{
  g_autoptr (GArray) troubles = collect (snapshot);
  GString *line = g_string_new (NULL);

  if (snapshot->stopping)
    g_string_append (line, "stopping, finishing the files; ");
  append_counts (line, snapshot);
  for (guint i = 0; i < MIN (troubles->len, KR_STATUS_LINE_TROUBLES); i++) {
    const Trouble *trouble = &g_array_index (troubles, Trouble, i);

    g_string_append (line, "; ");
    append_name (line, trouble);
    g_string_append (line, ": ");
    if (trouble->pipeline != NULL)
      append_trouble_of_pipeline (line, snapshot, trouble->pipeline);
    else
      append_trouble_of_file (line, snapshot, trouble->file);
  }
  if (troubles->len > KR_STATUS_LINE_TROUBLES)
    g_string_append_printf (line, "; and %u more", troubles->len - KR_STATUS_LINE_TROUBLES);
  g_strdelimit (line->str, "\n\r", ' ');
  return g_string_free (line, FALSE);
}

guint
kr_status_line_hash (const KrSnapshot *snapshot)
{
  guint hash = snapshot->stopping;

  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    hash = hash * 31 + (guint)file->state;
    for (guint k = 0; k < file->pipelines->len; k++) {
      const KrPipelineSnapshot *pipeline = file->pipelines->pdata[k];

      hash = hash * 31 + (guint)pipeline->report->state;
      hash = hash * 31 + (guint)pipeline->health.status;
      hash = hash * 31 + (guint)kr_snapshot_pipeline_records (file, pipeline);
    }
  }
  return hash;
}
