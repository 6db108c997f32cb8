/* keeprolling - the supervisor: clock, timers, children and actions wired together
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/launcher.h"

#include <string.h>

#include "config.h"
#include "launcher/app/log.h"
#include "launcher/app/supervised.h"
#include "launcher/core/exit-code.h"
#include "plugins/common/segment-name.h"

struct _KrLauncher {
  const KrLauncherCallbacks *callbacks;
  gpointer data;
  GPtrArray *files;   /* of KrSupervised */
  GPtrArray *leaving; /* of KrSupervised, not owned: those that go once they have ended */
  GPtrArray *history; /* of KrRecovery, the newest last */
  KrHistogram recoveries[KR_N_LAYERS];
  KrSnapshot *snapshot;
  char *instance;
  gint64 started; /* monotonic */
  guint n_stops;  /* how often somebody has asked */
  guint tick_id;
  guint changed_id; /* a snapshot is due */
  gboolean finished;
};

/* --- history --------------------------------------------------------------------------- */

/* What tells of trouble; the rest (segments, states) is too much to keep here. */
static gboolean
belongs_to_history (const char *kind)
{
  static const char *const kinds[] = {
      "crash",          "hang",           "replacement", "replace-failed", "gave-up", "killed",
      "done",           "restart",        "reconnect",   "stall",          "disk",    "failed",
      "monitor-paused", "file-recovered", "handover",    "handover-failed"};

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if (g_strcmp0 (kind, kinds[i]) == 0)
      return TRUE;
  }
  return FALSE;
}

/* The trouble that @pipeline has recovered from: the newest entry of its layer without an end.
 */
static void
close_history (KrLauncher *launcher, KrLayer layer, const char *file, const char *pipeline,
               double seconds)
{
  for (guint i = launcher->history->len; i > 0; i--) {
    KrRecovery *entry = launcher->history->pdata[i - 1];

    if (entry->layer != layer || entry->seconds >= 0 || !kr_recovery_is_fault (entry) ||
        g_strcmp0 (entry->file, file) != 0 || g_strcmp0 (entry->pipeline, pipeline) != 0)
      continue;
    entry->seconds = seconds >= 0
                         ? seconds
                         : (double)(g_get_real_time () - entry->utc_us) / G_TIME_SPAN_SECOND;
    kr_histogram_observe (&launcher->recoveries[layer], entry->seconds);
    return;
  }
}

static void
on_happened (KrSupervised *supervised, KrLayer layer, const char *pipeline, const char *kind,
             const char *text, double seconds, GVariant *details, gpointer data)
{
  KrLauncher *launcher = data;
  const char *file = kr_supervised_get_name (supervised);

  if (g_strcmp0 (kind, "recovered") == 0) {
    close_history (launcher, layer, file, pipeline, seconds);
  } else if (belongs_to_history (kind)) {
    if (launcher->history->len == KR_HISTORY_MAX)
      g_ptr_array_remove_index (launcher->history, 0);
    g_ptr_array_add (launcher->history, kr_recovery_new (g_get_real_time (), layer, file,
                                                         pipeline, kind, text, seconds));
  }
  if (launcher->callbacks->event != NULL)
    launcher->callbacks->event (launcher, file, pipeline, kind, text, details, launcher->data);
}

/* By the wall clock as it is now: it may have been set since. */
static gint64
started_utc_us (const KrLauncher *launcher)
{
  return g_get_real_time () - (g_get_monotonic_time () - launcher->started);
}

/* --- snapshot -------------------------------------------------------------------------- */

static void
take_snapshot (KrLauncher *launcher)
{
  KrSnapshot *snapshot = kr_snapshot_new ();
  KrSnapshot *before = launcher->snapshot;

  snapshot->taken_utc_us = g_get_real_time ();
  snapshot->started_utc_us = started_utc_us (launcher);
  snapshot->version = g_strdup (VERSION);
  snapshot->instance = g_strdup (launcher->instance);
  snapshot->stopping = launcher->n_stops > 0;
  for (guint i = 0; i < launcher->files->len; i++)
    g_ptr_array_add (snapshot->files, kr_supervised_take_snapshot (launcher->files->pdata[i]));
  for (guint i = 0; i < launcher->history->len; i++)
    g_ptr_array_add (snapshot->history, kr_recovery_copy (launcher->history->pdata[i]));
  memcpy (snapshot->recoveries, launcher->recoveries, sizeof snapshot->recoveries);
  kr_snapshot_finish (snapshot, before);
  launcher->snapshot = snapshot;
  kr_snapshot_unref (before);
  if (launcher->callbacks->snapshot != NULL)
    launcher->callbacks->snapshot (launcher, snapshot, launcher->data);
}

KrSnapshot *
kr_launcher_get_snapshot (KrLauncher *launcher)
{
  if (launcher->snapshot == NULL)
    take_snapshot (launcher);
  return launcher->snapshot;
}

/* --- files that come and go ----------------------------------------------------------- */

static void
file_runs (KrLauncher *launcher, const KrLoadedFile *loaded)
{
  if (launcher->callbacks->file != NULL)
    launcher->callbacks->file (launcher, loaded->file, launcher->data);
}

static KrSupervised *
find_file (const KrLauncher *launcher, const char *name)
{
  for (guint i = 0; i < launcher->files->len; i++)
    if (g_strcmp0 (kr_supervised_get_name (launcher->files->pdata[i]), name) == 0)
      return launcher->files->pdata[i];
  return NULL;
}

gboolean
kr_launcher_hand_over (KrLauncher *launcher, KrLoadedFile *loaded, gboolean in_turn,
                       const char *cause)
{
  KrSupervised *supervised = find_file (launcher, loaded->file->name);

  return supervised != NULL && kr_supervised_hand_over (supervised, loaded, in_turn, cause);
}

void
kr_launcher_refuse (KrLauncher *launcher, const char *name, const char *text)
{
  KrSupervised *supervised = find_file (launcher, name);

  if (supervised != NULL)
    kr_supervised_refuse (supervised, text);
}

char *
kr_launcher_describe_handover (KrLauncher *launcher, const char *name)
{
  const KrSupervised *supervised = find_file (launcher, name);

  return supervised != NULL ? kr_supervised_describe_handover (supervised) : NULL;
}

const KrLoadedFile *
kr_launcher_get_loaded (KrLauncher *launcher, const char *name)
{
  const KrSupervised *supervised = find_file (launcher, name);

  return supervised != NULL ? kr_supervised_get_loaded (supervised) : NULL;
}

gboolean
kr_launcher_remove (KrLauncher *launcher, const char *name)
{
  KrSupervised *supervised = find_file (launcher, name);

  if (supervised == NULL || g_ptr_array_find (launcher->leaving, supervised, NULL))
    return FALSE;
  g_ptr_array_add (launcher->leaving, supervised);
  kr_supervised_stop (supervised, FALSE);
  return TRUE;
}

/* --- life ------------------------------------------------------------------------------ */

static int
find_exit_code (const KrLauncher *launcher)
{
  for (guint i = 0; i < launcher->files->len; i++) {
    int code = kr_supervised_get_exit_code (launcher->files->pdata[i]);

    /* Told to stop, only what went wrong with the stopping counts. */
    if (code != KR_EXIT_OK && (launcher->n_stops == 0 || code == KR_EXIT_TEMP_FAIL))
      return code;
  }
  return KR_EXIT_OK;
}

/* Files that are no longer there, once nothing of them runs. */
static void
let_go (KrLauncher *launcher)
{
  for (guint i = 0; i < launcher->leaving->len;) {
    KrSupervised *supervised = launcher->leaving->pdata[i];

    if (!kr_supervised_is_final (supervised)) {
      i++;
      continue;
    }
    kr_log (G_LOG_LEVEL_MESSAGE, kr_supervised_get_name (supervised), NULL,
            "has ended in good order; it is not in the folder any more, so it is forgotten");
    g_ptr_array_remove_index (launcher->leaving, i);
    g_ptr_array_remove (launcher->files, supervised);
  }
}

static void
check_finished (KrLauncher *launcher)
{
  let_go (launcher);
  if (launcher->finished)
    return;
  for (guint i = 0; i < launcher->files->len; i++) {
    if (!kr_supervised_is_final (launcher->files->pdata[i]))
      return;
  }
  launcher->finished = TRUE;
  launcher->callbacks->finished (launcher, find_exit_code (launcher), launcher->data);
}

/* Many changes at once make one snapshot. */
static gboolean
on_changed_idle (gpointer data)
{
  KrLauncher *launcher = data;

  launcher->changed_id = 0;
  take_snapshot (launcher);
  check_finished (launcher);
  return G_SOURCE_REMOVE;
}

static void
on_changed (gpointer data)
{
  KrLauncher *launcher = data;

  if (launcher->changed_id == 0)
    launcher->changed_id = g_idle_add (on_changed_idle, launcher);
}

static gboolean
on_tick (gpointer data)
{
  KrLauncher *launcher = data;

  for (guint i = 0; i < launcher->files->len; i++)
    kr_supervised_tick (launcher->files->pdata[i]);
  check_finished (launcher);
  take_snapshot (launcher);
  return G_SOURCE_CONTINUE;
}

static void
on_handed_over (KrSupervised *supervised, KrHandoverResult result, const char *text,
                gpointer data)
{
  KrLauncher *launcher = data;

  if (result == KR_HANDOVER_COMPLETED || result == KR_HANDOVER_NOT_RECORDING)
    file_runs (launcher, kr_supervised_get_loaded (supervised));
  if (launcher->callbacks->handed_over != NULL)
    launcher->callbacks->handed_over (launcher, kr_supervised_get_name (supervised), result,
                                      text, launcher->data);
}

static const KrSupervisedCallbacks supervised_callbacks = {
    .changed = on_changed,
    .happened = on_happened,
    .handed_over = on_handed_over,
};

KrLauncher *
kr_launcher_new (const KrLauncherCallbacks *callbacks, gpointer data)
{
  KrLauncher *launcher = g_new0 (KrLauncher, 1);

  launcher->callbacks = callbacks;
  launcher->data = data;
  launcher->started = g_get_monotonic_time ();
  launcher->instance = kr_instance_id_new (g_get_real_time ());
  launcher->files = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_supervised_free);
  launcher->leaving = g_ptr_array_new ();
  launcher->history = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_recovery_free);
  return launcher;
}

void
kr_launcher_free (KrLauncher *launcher)
{
  if (launcher == NULL)
    return;
  g_clear_handle_id (&launcher->tick_id, g_source_remove);
  g_ptr_array_unref (launcher->leaving);
  g_ptr_array_unref (launcher->files);
  g_clear_handle_id (&launcher->changed_id, g_source_remove);
  g_ptr_array_unref (launcher->history);
  kr_snapshot_unref (launcher->snapshot);
  g_free (launcher->instance);
  g_free (launcher);
}

void
kr_launcher_add (KrLauncher *launcher, KrLoadedFile *loaded)
{
  KrSupervised *supervised = kr_supervised_new (loaded, &supervised_callbacks, launcher);

  g_ptr_array_add (launcher->files, supervised);
  file_runs (launcher, loaded);
}

gboolean
kr_launcher_is_stopping (const KrLauncher *launcher)
{
  return launcher->n_stops > 0;
}

gboolean
kr_launcher_can_suspend (const KrLauncher *launcher)
{
  if (launcher->n_stops > 0 || launcher->leaving->len > 0)
    return FALSE;
  for (guint i = 0; i < launcher->files->len; i++)
    if (!kr_supervised_can_suspend (launcher->files->pdata[i]))
      return FALSE;
  return TRUE;
}

gboolean
kr_launcher_suspend (KrLauncher *launcher, gboolean detach, KrResumeState *state)
{
  gboolean fine = kr_launcher_can_suspend (launcher);

  g_free (state->instance);
  state->instance = g_strdup (launcher->instance);
  state->started_utc_us = started_utc_us (launcher);
  for (guint i = 0; fine && i < launcher->files->len; i++)
    fine = kr_supervised_suspend (launcher->files->pdata[i], detach,
                                  kr_resume_state_add_file (state));
  return fine;
}

void
kr_launcher_resume (KrLauncher *launcher, const KrResumeState *state, GPtrArray *loaded)
{
  g_free (launcher->instance);
  launcher->instance = g_strdup (state->instance);
  launcher->started = g_get_monotonic_time () - (g_get_real_time () - state->started_utc_us);
  for (guint i = 0; i < state->files->len; i++) {
    g_ptr_array_add (launcher->files,
                     kr_supervised_resume (loaded->pdata[i], state->files->pdata[i],
                                           &supervised_callbacks, launcher));
    file_runs (launcher, loaded->pdata[i]);
  }
}

void
kr_launcher_start (KrLauncher *launcher)
{
  for (guint i = 0; i < launcher->files->len; i++)
    if (kr_supervised_get_state (launcher->files->pdata[i]) == KR_SUPERVISOR_IDLE)
      kr_supervised_start (launcher->files->pdata[i]);
  launcher->tick_id = g_timeout_add (1000, on_tick, launcher);
  on_changed (launcher);
}

void
kr_launcher_stop (KrLauncher *launcher)
{
  launcher->n_stops++;
  for (guint i = 0; i < launcher->files->len; i++)
    kr_supervised_stop (launcher->files->pdata[i], launcher->n_stops > 1);
  on_changed (launcher);
}

gboolean
kr_launcher_stop_file (KrLauncher *launcher, const char *name)
{
  KrSupervised *supervised = find_file (launcher, name);

  if (supervised != NULL)
    kr_supervised_stop (supervised, FALSE);
  on_changed (launcher);
  return supervised != NULL;
}

void
kr_launcher_set_destination (KrLauncher *launcher, const char *file,
                             const KrDestinationProbe *probe)
{
  KrSupervised *supervised = find_file (launcher, file);

  if (supervised != NULL)
    kr_supervised_set_destination (supervised, probe);
}
