/* keeprolling - taking over pipeline files that have changed
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/reload.h"

#include <gio/gio.h>
#include <string.h>

#include "launcher/app/log.h"
#include "launcher/app/reload-check.h"
#include "launcher/core/exit-code.h"
#include "launcher/core/reload-plan.h"

/* Twice the workers of all files at once would be too much for the machine that bears them. */
#define MAX_AT_A_TIME 4
#define LOOK_EVERY_MS 250
#define TELL_EVERY_US G_TIME_SPAN_SECOND

typedef enum { TO_DO, UNDER_WAY, DONE } EntryState;

/* One file of a reload. */
typedef struct {
  KrReloadAction action;
  char *name;
  const char *cause;    /* static */
  const char *path;     /* the found file's; NULL = there is none to run */
  KrLoadedFile *loaded; /* NULL unless it could be read without a mistake */
  EntryState state;
} Entry;

typedef struct {
  KrReloader *reloader;
  char **words;
  gboolean all;
  gboolean in_turn;
  const char *who;
  const KrReloadWatcher *watcher;
  gpointer data;
  GPtrArray *files;   /* of KrFoundFile */
  GPtrArray *entries; /* of Entry */
  gboolean renewing;  /* the program comes first */
  gboolean checked;   /* and found right: it is being carried out */
  char *note;         /* for the end; NULL = none */
  int code;
} Job;

struct _KrReloader {
  KrLauncher *launcher;
  char **arguments;
  GHashTable *values;
  const KrReloaderCallbacks *callbacks;
  gpointer data;
  GQueue waiting; /* of Job */
  Job *job;       /* under way; NULL = none */
  GCancellable *cancellable;
  guint look_id;
  guint next_id;
  gint64 told_at;
};

static void
entry_free (Entry *entry)
{
  g_free (entry->name);
  kr_loaded_file_unref (entry->loaded);
  g_free (entry);
}

static void
job_free (Job *job)
{
  g_strfreev (job->words);
  g_free (job->note);
  g_clear_pointer (&job->files, g_ptr_array_unref);
  g_ptr_array_unref (job->entries);
  g_free (job);
}

/* --- telling ------------------------------------------------------------------------------ */

static void
tell_progress (Job *job, const char *file, const char *text)
{
  if (job->watcher != NULL && job->watcher->progress != NULL)
    job->watcher->progress (file, text, job->data);
}

static void
tell_result (Job *job, const char *file, int code, const char *text)
{
  job->code = kr_reload_worse_code (job->code, code);
  if (job->watcher != NULL && job->watcher->result != NULL)
    job->watcher->result (file, code, text, job->data);
}

static gboolean begin_next (gpointer data);

/* @text: what people should know besides the results. */
static void
end_job (Job *job, const char *text)
{
  KrReloader *reloader = job->reloader;

  if (!job->checked)
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "%s: nothing was changed, all goes on as before",
            job->who);
  else if (job->entries->len == 0)
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "%s: nothing has changed", job->who);
  else
    kr_log (job->code == KR_EXIT_OK ? G_LOG_LEVEL_MESSAGE : G_LOG_LEVEL_WARNING, NULL, NULL,
            "%s: %s", job->who,
            job->code == KR_EXIT_OK ? "done" : "done, but not all is as it should be");
  if (job->watcher != NULL && job->watcher->ended != NULL) {
    g_autofree char *all = g_strconcat (job->note != NULL ? job->note : "", text, NULL);

    job->watcher->ended (job->code, all, job->data);
  }
  g_clear_handle_id (&reloader->look_id, g_source_remove);
  reloader->job = NULL;
  job_free (job);
  if (reloader->next_id == 0)
    reloader->next_id = g_idle_add (begin_next, reloader);
}

/* --- carrying out ---------------------------------------------------------------------------
 */

static void
end_entry (Job *job, Entry *entry, int code, const char *text)
{
  entry->state = DONE;
  tell_result (job, entry->name, code, text);
}

static void
begin_entry (Job *job, Entry *entry)
{
  KrLauncher *launcher = job->reloader->launcher;

  entry->state = UNDER_WAY;
  if (kr_launcher_is_stopping (launcher)) {
    end_entry (job, entry, KR_EXIT_TEMP_FAIL, "everything is being stopped");
    return;
  }
  tell_progress (job, entry->name, entry->cause);
  switch (entry->action) {
  case KR_RELOAD_KEEP:
  case KR_RELOAD_LEAVE:
    end_entry (job, entry, KR_EXIT_OK, entry->cause);
    return;
  case KR_RELOAD_ADD:
    kr_log (G_LOG_LEVEL_MESSAGE, entry->name, NULL, "%s: it is started", entry->cause);
    kr_launcher_add (launcher, entry->loaded);
    break;
  case KR_RELOAD_HAND_OVER:
    break;
  case KR_RELOAD_REMOVE:
    kr_log (G_LOG_LEVEL_MESSAGE, entry->name, NULL, "%s: it is told to finish its files",
            entry->cause);
    kr_launcher_remove (launcher, entry->name);
    return;
  }
  if (!kr_launcher_hand_over (launcher, entry->loaded, job->in_turn, entry->cause))
    end_entry (job, entry, KR_EXIT_TEMP_FAIL, "it is on its way out: try again");
}

/* Those that leave do not tell when they are gone. */
static void
look_at_entry (Job *job, Entry *entry)
{
  if (entry->action == KR_RELOAD_REMOVE &&
      kr_launcher_get_loaded (job->reloader->launcher, entry->name) == NULL)
    end_entry (job, entry, KR_EXIT_OK, "has ended: the file is not there any more");
}

static void
describe_entry (Job *job, const Entry *entry)
{
  g_autofree char *text = kr_launcher_describe_handover (job->reloader->launcher, entry->name);

  tell_progress (job, entry->name, text != NULL ? text : "finishes its files");
}

/* Begins what there is room for; ends the job when nothing is left. */
static void
get_on (Job *job)
{
  guint under_way = 0;

  job->checked = TRUE;
  for (guint i = 0; i < job->entries->len; i++) {
    Entry *entry = job->entries->pdata[i];

    if (entry->state == UNDER_WAY)
      look_at_entry (job, entry);
    under_way += entry->state == UNDER_WAY;
  }
  for (guint i = 0; i < job->entries->len && under_way < MAX_AT_A_TIME; i++) {
    Entry *entry = job->entries->pdata[i];

    if (entry->state == TO_DO)
      begin_entry (job, entry);
    else
      continue;
    under_way += entry->state == UNDER_WAY;
  }
  if (under_way == 0)
    end_job (job, "");
}

/* Also a sign of life: who waits and hears nothing gives up. */
static void
tell_all (KrReloader *reloader)
{
  Job *job = reloader->job;

  if (!job->checked)
    tell_progress (job, NULL,
                   job->renewing ? "the program has changed: the new one takes over first"
                                 : "checking the pipeline files");
  for (guint i = 0; i < job->entries->len; i++) {
    const Entry *entry = job->entries->pdata[i];

    if (entry->state == UNDER_WAY)
      describe_entry (job, entry);
  }
  for (GList *at = reloader->waiting.head; at != NULL; at = at->next)
    tell_progress (at->data, NULL, "waits for the reload that is under way");
}

static gboolean
on_look (gpointer data)
{
  KrReloader *reloader = data;
  Job *job = reloader->job;
  gint64 now = g_get_monotonic_time ();

  if (now - reloader->told_at >= TELL_EVERY_US) {
    reloader->told_at = now;
    tell_all (reloader);
  }
  if (job->checked)
    get_on (job); /* may end the job, and this source */
  return reloader->look_id != 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void
kr_reloader_handed_over (KrReloader *reloader, const char *file, KrHandoverResult result,
                         const char *text)
{
  Job *job = reloader->job;

  for (guint i = 0; job != NULL && i < job->entries->len; i++) {
    Entry *entry = job->entries->pdata[i];

    if (entry->state == UNDER_WAY && strcmp (entry->name, file) == 0) {
      end_entry (job, entry, kr_reload_exit_code (result), text);
      return; /* the next look goes on from here: we are in the middle of an event */
    }
  }
}

/* --- planning -------------------------------------------------------------------------------
 */

/* Nothing was changed; @text says what is wrong, line by line. */
static void
refuse (Job *job, int code, const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  job->code = kr_reload_worse_code (job->code, code);
  for (guint i = 0; lines[i] != NULL; i++)
    if (*g_strstrip (lines[i]) != '\0')
      kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "%s", lines[i]);
  end_job (job, text);
}

/* Each file that the check complains of is told as one that was refused. */
static void
refuse_files (Job *job, const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; i < job->entries->len; i++) {
    const Entry *entry = job->entries->pdata[i];
    g_autofree char *begin = g_strdup_printf ("%s:", entry->path);
    g_autofree char *why = NULL;

    for (guint k = 0; why == NULL && lines[k] != NULL; k++)
      if (g_str_has_prefix (lines[k], begin))
        why = g_strdup_printf ("refused: %s; nothing was changed, the old worker goes on",
                               lines[k]);
    if (why != NULL)
      kr_launcher_refuse (job->reloader->launcher, entry->name, why);
  }
}

static gboolean
all_loaded (const Job *job)
{
  for (guint i = 0; i < job->entries->len; i++) {
    const Entry *entry = job->entries->pdata[i];

    if (entry->path != NULL && entry->loaded == NULL)
      return FALSE;
  }
  return TRUE;
}

static void
on_checked (int code, const char *text, gpointer data)
{
  Job *job = data;

  if (code == KR_EXIT_OK && all_loaded (job)) {
    get_on (job);
    return;
  }
  if (code == KR_EXIT_OK) /* somebody mended it while we looked */
    text = "keeprolling: a file was changed while it was being checked: try again\n";
  refuse_files (job, text);
  refuse (job, code != KR_EXIT_OK ? code : KR_EXIT_TEMP_FAIL, text);
}

static void
check_entries (Job *job)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new ();

  for (guint i = 0; i < job->entries->len; i++) {
    const Entry *entry = job->entries->pdata[i];

    if (entry->path != NULL)
      g_ptr_array_add (paths, (gpointer)entry->path);
  }
  if (paths->len == 0) {
    get_on (job);
    return;
  }
  g_ptr_array_add (paths, NULL);
  kr_check_files ((const char *const *)paths->pdata, job->reloader->values,
                  job->reloader->cancellable, on_checked, job);
}

/* What is wrong with it the check tells better, as it knows the elements, too. */
static void
load_entry (Job *job, Entry *entry, const KrFoundFile *found)
{
  g_auto (GStrv) environment = g_get_environ ();
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  KrPipelineFile *file = kr_pipeline_file_parse (found->path, found->text, strlen (found->text),
                                                 job->reloader->values, environment, problems);

  entry->path = found->path;
  if (file != NULL)
    entry->loaded = kr_loaded_file_new (file, found->text, job->reloader->values);
}

static GArray *
make_plan (Job *job, const char **ret_unknown)
{
  KrSnapshot *snapshot = kr_launcher_get_snapshot (job->reloader->launcher);
  g_autofree KrReloadFound *found = g_new0 (KrReloadFound, job->files->len);
  g_autofree KrReloadRunning *running = g_new0 (KrReloadRunning, snapshot->files->len);
  const KrReloadWish wish = {(const char *const *)job->words, job->all};
  guint n = 0;

  for (guint i = 0; i < job->files->len; i++) {
    const KrFoundFile *file = job->files->pdata[i];

    found[i] = (KrReloadFound){file->path, file->name, file->text};
  }
  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];
    const KrLoadedFile *loaded = kr_launcher_get_loaded (job->reloader->launcher, file->name);

    if (loaded != NULL)
      running[n++] = (KrReloadRunning){loaded->file->name, loaded->text, file->state};
  }
  return kr_reload_plan (&wish, found, job->files->len, running, n, ret_unknown);
}

static void
on_found (GPtrArray *files, int code, const char *text, gpointer data)
{
  Job *job = data;
  g_autoptr (GArray) plan = NULL;
  const char *unknown;

  job->files = files;
  if (code != KR_EXIT_OK) {
    refuse (job, code, text);
    return;
  }
  plan = make_plan (job, &unknown);
  if (unknown != NULL) {
    g_autofree char *message =
        g_strdup_printf ("keeprolling: no file '%s' runs here, and none of that name is new\n"
                         "  hint: keeprolling status lists those that run\n",
                         unknown);

    refuse (job, KR_EXIT_NO_INPUT, message);
    return;
  }
  for (guint i = 0; i < plan->len; i++) {
    const KrReloadStep *step = &g_array_index (plan, KrReloadStep, i);
    Entry *entry = g_new0 (Entry, 1);

    entry->action = step->action;
    entry->name = g_strdup (step->name);
    entry->cause = step->cause;
    g_ptr_array_add (job->entries, entry);
    if (step->action == KR_RELOAD_HAND_OVER || step->action == KR_RELOAD_ADD)
      load_entry (job, entry, files->pdata[step->found]);
  }
  check_entries (job);
}

/* --- the queue -------------------------------------------------------------------------------
 */

static gboolean
begin_next (gpointer data)
{
  KrReloader *reloader = data;
  Job *job = g_queue_pop_head (&reloader->waiting);

  reloader->next_id = 0;
  if (job == NULL) {
    reloader->callbacks->busy (FALSE, reloader->data);
    return G_SOURCE_REMOVE;
  }
  reloader->job = job;
  reloader->callbacks->busy (TRUE, reloader->data);
  kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "%s: looking for what has changed", job->who);
  reloader->look_id = g_timeout_add (LOOK_EVERY_MS, on_look, reloader);
  job->renewing = !kr_launcher_is_stopping (reloader->launcher) &&
                  reloader->callbacks->program_changed (reloader->data);
  if (job->renewing)
    reloader->callbacks->renew (job->watcher == NULL, reloader->data);
  else
    kr_find_files (reloader->arguments, reloader->cancellable, on_found, job);
  return G_SOURCE_REMOVE;
}

void
kr_reloader_not_renewed (KrReloader *reloader, const char *why)
{
  Job *job = reloader->job;

  kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
          "the new program is not taken over (%s); the one that runs goes on", why);
  if (job == NULL || !job->renewing)
    return;
  job->renewing = FALSE;
  job->code = KR_EXIT_TEMP_FAIL;
  job->note = g_strdup_printf (
      "keeprolling: the new program is not taken over (%s); the one that runs goes on\n", why);
  kr_find_files (reloader->arguments, reloader->cancellable, on_found, job);
}

static void
tell_to_ask_again (gpointer data)
{
  Job *job = data;

  if (job->watcher != NULL && job->watcher->again != NULL)
    job->watcher->again (job->data);
  job_free (job);
}

void
kr_reloader_renewed (KrReloader *reloader)
{
  g_clear_pointer (&reloader->job, tell_to_ask_again);
  g_queue_clear_full (&reloader->waiting, tell_to_ask_again);
}

KrReloader *
kr_reloader_new (KrLauncher *launcher, char **arguments, GHashTable *values,
                 const KrReloaderCallbacks *callbacks, gpointer data)
{
  KrReloader *reloader = g_new0 (KrReloader, 1);

  reloader->launcher = launcher;
  reloader->arguments = g_strdupv (arguments);
  reloader->values = values != NULL ? g_hash_table_ref (values) : NULL;
  reloader->callbacks = callbacks;
  reloader->data = data;
  reloader->cancellable = g_cancellable_new ();
  g_queue_init (&reloader->waiting);
  return reloader;
}

/* Who waits for it shall know. */
static void
drop_job (gpointer data)
{
  Job *job = data;

  if (job->watcher != NULL && job->watcher->ended != NULL)
    job->watcher->ended (KR_EXIT_TEMP_FAIL, "keeprolling: the supervisor has ended\n",
                         job->data);
  job_free (job);
}

void
kr_reloader_free (KrReloader *reloader)
{
  if (reloader == NULL)
    return;
  g_cancellable_cancel (reloader->cancellable);
  g_object_unref (reloader->cancellable);
  g_clear_handle_id (&reloader->look_id, g_source_remove);
  g_clear_handle_id (&reloader->next_id, g_source_remove);
  g_clear_pointer (&reloader->job, drop_job);
  g_queue_clear_full (&reloader->waiting, drop_job);
  g_strfreev (reloader->arguments);
  g_clear_pointer (&reloader->values, g_hash_table_unref);
  g_free (reloader);
}

/* Two signals ask for nothing that one does not, as long as it has not begun. */
static gboolean
is_asked_for (KrReloader *reloader, const char *who)
{
  for (GList *at = reloader->waiting.head; at != NULL; at = at->next) {
    const Job *job = at->data;

    if (job->watcher == NULL && strcmp (job->who, who) == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
kr_reloader_ask (KrReloader *reloader, const char *const *words, gboolean all, gboolean in_turn,
                 const char *who, const KrReloadWatcher *watcher, gpointer data)
{
  Job *job;

  if (watcher == NULL && is_asked_for (reloader, who))
    return TRUE;
  if (reloader->waiting.length >= KR_RELOAD_MAX_WAITING)
    return FALSE;
  job = g_new0 (Job, 1);
  job->reloader = reloader;
  job->words = g_strdupv ((char **)words);
  job->all = all;
  job->in_turn = in_turn;
  job->who = who;
  job->watcher = watcher;
  job->data = data;
  job->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)entry_free);
  g_queue_push_tail (&reloader->waiting, job);
  if (reloader->job == NULL && reloader->next_id == 0)
    reloader->next_id = g_idle_add (begin_next, reloader);
  return TRUE;
}
