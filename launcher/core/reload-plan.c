/* keeprolling - what a reload has to do
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/reload-plan.h"

#include <string.h>

#include "launcher/core/exit-code.h"
#include "launcher/core/pipeline-file.h"

static gboolean
means (const char *word, const char *name, const char *path)
{
  g_autofree char *label = kr_pipeline_file_label (word);

  return strcmp (word, name) == 0 || strcmp (label, name) == 0 || g_strcmp0 (word, path) == 0;
}

static gboolean
is_named (const KrReloadWish *wish, const char *name, const char *path)
{
  for (guint i = 0; wish->words != NULL && wish->words[i] != NULL; i++)
    if (means (wish->words[i], name, path))
      return TRUE;
  return FALSE;
}

static gboolean
names_any (const KrReloadWish *wish)
{
  return wish->words != NULL && wish->words[0] != NULL;
}

static const KrReloadRunning *
find_running (const KrReloadRunning *running, guint n, const char *name)
{
  for (guint i = 0; i < n; i++)
    if (strcmp (running[i].name, name) == 0)
      return &running[i];
  return NULL;
}

static const KrReloadFound *
find_found (const KrReloadFound *found, guint n, const char *name)
{
  for (guint i = 0; i < n; i++)
    if (strcmp (found[i].name, name) == 0)
      return &found[i];
  return NULL;
}

static KrReloadStep
step_for (const KrReloadWish *wish, const KrReloadFound *found, const KrReloadRunning *runs)
{
  gboolean named = is_named (wish, found->name, found->path);
  gboolean changed;

  if (runs == NULL)
    return (KrReloadStep){KR_RELOAD_ADD, found->name, 0, "the file is new"};
  changed = strcmp (found->text, runs->text) != 0;
  if (runs->state == KR_SUPERVISOR_STOPPED || runs->state == KR_SUPERVISOR_STOPPING) {
    if (named)
      return (KrReloadStep){KR_RELOAD_HAND_OVER, found->name, 0,
                            "somebody wants it to run again"};
    return (KrReloadStep){KR_RELOAD_LEAVE, found->name, 0,
                          changed ? "it has changed but is stopped" : "it is stopped"};
  }
  if (changed)
    return (KrReloadStep){KR_RELOAD_HAND_OVER, found->name, 0, "the file has changed"};
  if (wish->all)
    return (KrReloadStep){KR_RELOAD_HAND_OVER, found->name, 0, "somebody wants a new worker"};
  if (named && runs->state == KR_SUPERVISOR_GAVE_UP)
    return (KrReloadStep){KR_RELOAD_HAND_OVER, found->name, 0,
                          "somebody wants it to run again"};
  return (KrReloadStep){KR_RELOAD_KEEP, found->name, 0, "it has not changed"};
}

static const char *
find_unknown (const KrReloadWish *wish, const KrReloadFound *found, guint n_found,
              const KrReloadRunning *running, guint n_running)
{
  for (guint w = 0; wish->words != NULL && wish->words[w] != NULL; w++) {
    gboolean known = FALSE;

    for (guint i = 0; i < n_found && !known; i++)
      known = means (wish->words[w], found[i].name, found[i].path);
    for (guint i = 0; i < n_running && !known; i++)
      known = means (wish->words[w], running[i].name, NULL);
    if (!known)
      return wish->words[w];
  }
  return NULL;
}

GArray *
kr_reload_plan (const KrReloadWish *wish, const KrReloadFound *found, guint n_found,
                const KrReloadRunning *running, guint n_running, const char **ret_unknown)
{
  GArray *steps = g_array_new (FALSE, FALSE, sizeof (KrReloadStep));

  *ret_unknown = find_unknown (wish, found, n_found, running, n_running);
  for (guint i = 0; i < n_found; i++) {
    KrReloadStep step =
        step_for (wish, &found[i], find_running (running, n_running, found[i].name));

    step.found = i;
    /* Nobody wants to read of a hundred that have not changed. */
    if (names_any (wish) ? is_named (wish, found[i].name, found[i].path)
                         : step.action != KR_RELOAD_KEEP)
      g_array_append_val (steps, step);
  }
  for (guint i = 0; i < n_running; i++) {
    KrReloadStep step = {KR_RELOAD_REMOVE, running[i].name, G_MAXUINT,
                         "the file is not there any more"};

    if (find_found (found, n_found, running[i].name) != NULL)
      continue;
    if (!names_any (wish) || is_named (wish, running[i].name, NULL))
      g_array_append_val (steps, step);
  }
  return steps;
}

int
kr_reload_exit_code (KrHandoverResult result)
{
  switch (result) {
  case KR_HANDOVER_COMPLETED:
    return KR_EXIT_OK;
  case KR_HANDOVER_REFUSED:
    return KR_EXIT_DATA;
  case KR_HANDOVER_NOT_RECORDING:
    return KR_EXIT_UNAVAILABLE;
  case KR_HANDOVER_ROLLED_BACK:
  case KR_HANDOVER_INTERRUPTED:
    return KR_EXIT_TEMP_FAIL;
  case KR_N_HANDOVER_RESULTS:
    break;
  }
  g_return_val_if_reached (KR_EXIT_SOFTWARE);
}

int
kr_reload_worse_code (int one, int other)
{
  static const int codes[] = {KR_EXIT_DATA,     KR_EXIT_CONFIG,    KR_EXIT_NO_INPUT,
                              KR_EXIT_SOFTWARE, KR_EXIT_TEMP_FAIL, KR_EXIT_UNAVAILABLE};

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    if (one == codes[i] || other == codes[i])
      return codes[i];
  return one != KR_EXIT_OK ? one : other;
}
