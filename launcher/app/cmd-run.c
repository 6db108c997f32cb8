/* keeprolling - run: keep pipeline files running
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "launcher/app/commands.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <glib-unix.h>

#include "launcher/app/alerts.h"
#include "launcher/app/control.h"
#include "launcher/app/destinations.h"
#include "launcher/app/launcher.h"
#include "launcher/app/log.h"
#include "launcher/app/pipeline-files.h"
#include "launcher/app/reload-check.h"
#include "launcher/app/reload.h"
#include "launcher/app/renewal.h"
#include "launcher/app/runtime-dir.h"
#include "launcher/app/service-manager.h"
#include "launcher/app/status-service.h"
#include "launcher/app/worker-process.h"
#include "launcher/core/pipeline-file.h"
#include "launcher/core/redact.h"
#include "launcher/services/prepare.h"

typedef struct {
  char **set;
  char **arguments;
  char *runtime_dir;
  char *state_dir;
  char *listen;
  char *token_file;
  KrStatusService *status;
  GHashTable *values; /* of --set */
  GPtrArray *paths;
  GPtrArray *texts; /* of char*: what the files said when they were checked */
  GMainLoop *loop;
  KrLauncher *launcher;
  KrServiceManager *manager;
  KrAlerts *alerts;
  KrControl *control;
  KrReloader *reloader;
  KrDestinations *destinations;
  GPid check_pid; /* 0 = no check is running */
  gboolean interrupted;
  gboolean wants_reload; /* since before anything was started */
  KrRenewal *renewal;    /* under way */
  gboolean renew;        /* the loop was left for that */
  gboolean renew_reload; /* and all files are to be handed over then */
  KrResumeState *resume; /* what another program has left; NULL = nothing */
  int code;
} Run;

/* --- the check --------------------------------------------------------------------------- */

static void
on_check_exit (GPid pid, int status, gpointer data)
{
  Run *run = data;

  run->check_pid = 0;
  run->code = WIFEXITED (status) ? WEXITSTATUS (status) : KR_EXIT_SOFTWARE;
  if (WIFSIGNALED (status) && !run->interrupted)
    kr_command_error (KR_EXIT_SOFTWARE, "keeprolling check FILE may say more",
                      "the check of the pipeline files was ended by signal %d",
                      WTERMSIG (status));
  g_main_loop_quit (run->loop);
}

/* In a process of its own, since elements are looked at and the supervisor keeps clear of
 * GStreamer: a plugin that crashes takes nothing along. */
static int
run_check (Run *run)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) environment = kr_check_environment (run->values);
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (argv, kr_own_program ());
  g_ptr_array_add (argv, g_strdup ("check"));
  g_ptr_array_add (argv, g_strdup ("--quiet"));
  g_ptr_array_add (argv, g_strdup ("--"));
  for (guint i = 0; i < run->paths->len; i++)
    g_ptr_array_add (argv, g_strdup (run->paths->pdata[i]));
  g_ptr_array_add (argv, NULL);
  if (!g_spawn_async (NULL, (char **)argv->pdata, environment, G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                      NULL, &run->check_pid, &error))
    return kr_command_error (KR_EXIT_SOFTWARE, NULL, "cannot check the pipeline files: %s",
                             error->message);
  g_child_watch_add (run->check_pid, on_check_exit, run);
  g_main_loop_run (run->loop);
  return run->code;
}

/* --- the files --------------------------------------------------------------------------- */

static int
read_files (Run *run)
{
  int code = KR_EXIT_OK;

  for (guint i = 0; i < run->paths->len; i++) {
    g_autoptr (GError) error = NULL;
    gsize length;
    char *text = kr_pipeline_file_read (run->paths->pdata[i], &length, &error);

    if (text == NULL)
      code = kr_command_error (KR_EXIT_NO_INPUT,
                               "the user who runs keeprolling must be able to read it", "%s",
                               error->message);
    g_ptr_array_add (run->texts, text);
  }
  return code;
}

static void
note_variables (GHashTable *known, const KrPipelineFile *file)
{
  GHashTableIter iter;
  gpointer name;

  if (file->variables == NULL)
    return;
  g_hash_table_iter_init (&iter, file->variables);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_hash_table_add (known, g_strdup (name));
}

/* The check has found nothing wrong; only a file that was changed since can fail here. */
static int
parse_files (Run *run)
{
  g_auto (GStrv) environment = g_get_environ ();
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  int code = KR_EXIT_OK;

  for (guint i = 0; i < run->paths->len; i++) {
    g_autoptr (GPtrArray) problems =
        g_ptr_array_new_with_free_func ((GDestroyNotify)kr_problem_free);
    const char *text = run->texts->pdata[i];
    g_autoptr (KrLoadedFile) loaded = NULL;
    KrPipelineFile *file = kr_pipeline_file_parse (run->paths->pdata[i], text, strlen (text),
                                                   run->values, environment, problems);

    for (guint k = 0; k < problems->len; k++) {
      g_autofree char *line = kr_problem_to_string (problems->pdata[k]);

      g_printerr ("%s", line);
      code = KR_EXIT_DATA;
    }
    if (file == NULL)
      continue;
    note_variables (known, file);
    loaded = kr_loaded_file_new (file, text, run->values);
    kr_launcher_add (run->launcher, loaded);
  }
  if (code == KR_EXIT_OK && !kr_set_values_check (run->values, known))
    code = KR_EXIT_CONFIG;
  return code;
}

/* --- running --------------------------------------------------------------------------- */

static void
on_finished (KrLauncher *launcher, int exit_code, gpointer data)
{
  Run *run = data;

  run->code = exit_code;
  g_main_loop_quit (run->loop);
}

static void
on_snapshot (KrLauncher *launcher, KrSnapshot *snapshot, gpointer data)
{
  Run *run = data;
  KrProcessFigures figures = {
      .log_messages = {[KR_LOG_ERROR] = kr_log_count (G_LOG_LEVEL_CRITICAL),
                       [KR_LOG_WARNING] = kr_log_count (G_LOG_LEVEL_WARNING),
                       [KR_LOG_NOTICE] = kr_log_count (G_LOG_LEVEL_MESSAGE),
                       [KR_LOG_INFO] = kr_log_count (G_LOG_LEVEL_INFO)}};

  kr_destinations_tell (run->destinations, launcher);
  kr_alerts_get_figures (run->alerts, &figures);
  if (run->status != NULL)
    kr_status_service_publish (run->status, snapshot, &figures);
  kr_service_manager_take_snapshot (run->manager, snapshot);
  if (run->control != NULL)
    kr_control_update (run->control, snapshot);
}

static void
on_event (KrLauncher *launcher, const char *file, const char *pipeline, const char *kind,
          const char *text, GVariant *details, gpointer data)
{
  Run *run = data;

  kr_alerts_push (run->alerts, file, pipeline, kind, text, details);
}

static void
on_file (KrLauncher *launcher, const KrPipelineFile *file, gpointer data)
{
  Run *run = data;

  kr_alerts_set_file (run->alerts, file);
  kr_destinations_set_file (run->destinations, file, launcher);
}

static void
on_handed_over (KrLauncher *launcher, const char *file, KrHandoverResult result,
                const char *text, gpointer data)
{
  Run *run = data;

  if (run->reloader != NULL)
    kr_reloader_handed_over (run->reloader, file, result, text);
}

static void
on_busy (gboolean busy, gpointer data)
{
  Run *run = data;

  kr_service_manager_set_reloading (run->manager, busy);
}

static void
on_fill (KrResumeState *state, gpointer data)
{
  Run *run = data;

  state->reload = run->renew_reload;
  state->told_ready = kr_service_manager_is_ready (run->manager);
  g_strfreev (state->arguments);
  state->arguments = g_strdupv (run->arguments);
  g_hash_table_unref (state->set);
  state->set = g_hash_table_ref (run->values);
  state->listen = g_strdup (run->listen);
  state->token_file = g_strdup (run->token_file);
  state->runtime_dir = g_strdup (run->runtime_dir);
  state->state_dir = g_strdup (run->state_dir);
}

static void
on_tried (const char *why, gpointer data)
{
  Run *run = data;
  g_autofree char *text = g_strdup (why);

  g_clear_pointer (&run->renewal, kr_renewal_free);
  if (text != NULL) {
    kr_reloader_not_renewed (run->reloader, text);
    return;
  }
  run->renew = TRUE;
  g_main_loop_quit (run->loop);
}

static const KrRenewalCallbacks renewal_callbacks = {.fill = on_fill, .tried = on_tried};

static gboolean
on_program_changed (gpointer data)
{
  return kr_renewal_is_due ();
}

static void
on_renew (gboolean reload, gpointer data)
{
  Run *run = data;

  kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL,
          "the program was replaced by another one: trying that one, the workers go on");
  run->renew_reload = reload;
  kr_renewal_free (run->renewal);
  run->renewal = kr_renewal_new (run->launcher, &renewal_callbacks, run);
}

static const KrReloaderCallbacks reloader_callbacks = {
    .busy = on_busy, .program_changed = on_program_changed, .renew = on_renew};

static const KrLauncherCallbacks launcher_callbacks = {
    .handed_over = on_handed_over,
    .file = on_file,
    .finished = on_finished,
    .snapshot = on_snapshot,
    .event = on_event,
};

static gboolean
on_signal (gpointer data)
{
  Run *run = data;

  if (run->launcher == NULL) {
    ; /* just becoming another program: it is seen to before, or after */
  } else if (run->check_pid != 0) {
    kill (run->check_pid, SIGTERM);
  } else if (!run->interrupted) {
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL,
            "told to stop: finishing the files; once more ends it at once");
    kr_launcher_stop (run->launcher);
  } else {
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
            "told to stop again: ending at once, the unfinished files get recovered");
    kr_launcher_stop (run->launcher);
  }
  run->interrupted = TRUE;
  return G_SOURCE_CONTINUE;
}

/* SIGHUP: what has changed. Also what a terminal sends that is closed: recording goes on. */
static gboolean
on_hangup (gpointer data)
{
  Run *run = data;

  if (run->reloader == NULL)
    run->wants_reload = TRUE;
  else
    kr_reloader_ask (run->reloader, NULL, FALSE, FALSE, "SIGHUP", NULL, NULL);
  return G_SOURCE_CONTINUE;
}

/* What another program has left: it is no longer the time to refuse anything. */
static void
resume_files (Run *run)
{
  g_autoptr (GString) problems = g_string_new (NULL);
  g_autoptr (GPtrArray) loaded = kr_renewal_load_files (run->resume, problems);

  if (loaded != NULL) {
    kr_launcher_resume (run->launcher, run->resume, loaded);
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL,
            "goes on as version %s with the workers of the program before it", VERSION);
  } else {
    /* It has been tried. The workers notice, finish their files and end. */
    kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL, "cannot go on: %s", problems->str);
  }
  run->wants_reload |= run->resume->reload;
}

static int
run_files (Run *run)
{
  KrExitCode config;
  int code = KR_EXIT_OK;

  if (run->interrupted && run->resume == NULL)
    return KR_EXIT_OK;
  if (run->resume != NULL)
    resume_files (run);
  else
    code = parse_files (run);
  if (code != KR_EXIT_OK)
    return code;
  run->status = kr_status_service_new (run->listen, run->token_file, &config);
  if (run->status == NULL && run->resume == NULL)
    return config;
  if (run->status == NULL)
    kr_log (
        G_LOG_LEVEL_CRITICAL, NULL, NULL,
        "no status page, health and metrics until this is mended and keeprolling is started "
        "again, or becomes another program; recording is not affected");
  run->reloader =
      kr_reloader_new (run->launcher, run->arguments, run->values, &reloader_callbacks, run);
  run->control = kr_control_new (run->runtime_dir, run->launcher, run->reloader);
  kr_launcher_start (run->launcher);
  if (run->wants_reload)
    kr_reloader_ask (run->reloader, NULL, run->resume != NULL && run->resume->reload, FALSE,
                     "SIGHUP", NULL, NULL);
  run->wants_reload = FALSE;
  g_clear_pointer (&run->resume, kr_resume_state_free);
  if (run->interrupted)
    kr_launcher_stop (run->launcher);
  g_main_loop_run (run->loop);
  if (run->renew)
    return KR_EXIT_OK;
  if (run->code == KR_EXIT_OK)
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "all ended in good order");
  return run->code;
}

static int
run_supervisor (Run *run)
{
  int code;

  if (run->resume != NULL)
    return run_files (run);
  code = kr_pipeline_files_collect (run->arguments, run->paths);
  if (code == KR_EXIT_OK)
    code = read_files (run);
  if (code == KR_EXIT_OK)
    code = run_check (run);
  if (run->interrupted && code != KR_EXIT_OK)
    return KR_EXIT_OK; /* stopped as asked, before anything was started */
  return code == KR_EXIT_OK ? run_files (run) : code;
}

/* --- becoming another program ------------------------------------------------------------ */

/* Everything but the workers ends here; NULL: they could not be let go of, and all goes on. */
static KrResumeState *
suspend (Run *run)
{
  g_autoptr (KrResumeState) state = kr_resume_state_new ();

  on_fill (state, run);
  if (!kr_launcher_suspend (run->launcher, TRUE, state))
    return NULL;
  kr_reloader_renewed (run->reloader);
  return g_steal_pointer (&state);
}

static void
take_options (Run *run, KrResumeState *state)
{
  g_strfreev (run->arguments);
  run->arguments = g_strdupv (state->arguments);
  g_clear_pointer (&run->values, g_hash_table_unref);
  run->values = g_hash_table_ref (state->set);
  g_free (run->listen);
  run->listen = g_strdup (state->listen);
  g_free (run->token_file);
  run->token_file = g_strdup (state->token_file);
  g_free (run->runtime_dir);
  run->runtime_dir = g_strdup (state->runtime_dir);
  g_free (run->state_dir);
  run->state_dir = g_strdup (state->state_dir);
  run->resume = state;
}

static void
set_up (Run *run)
{
  run->renew = FALSE;
  run->manager = kr_service_manager_new (run->resume != NULL && run->resume->told_ready);
  run->alerts = kr_alerts_new (run->state_dir);
  run->destinations = kr_destinations_new ();
  run->paths = g_ptr_array_new_with_free_func (g_free);
  run->texts = g_ptr_array_new_with_free_func (g_free);
  run->loop = g_main_loop_new (NULL, FALSE);
  run->launcher = kr_launcher_new (&launcher_callbacks, run);
}

static void
tear_down (Run *run, int code)
{
  g_clear_pointer (&run->renewal, kr_renewal_free);
  g_clear_pointer (&run->reloader, kr_reloader_free);
  g_clear_pointer (&run->control, kr_control_free);
  g_clear_pointer (&run->launcher, kr_launcher_free);
  g_clear_pointer (&run->status, kr_status_service_free);
  g_clear_pointer (&run->alerts, kr_alerts_free);
  g_clear_pointer (&run->destinations, kr_destinations_free);
  if (run->renew)
    kr_service_manager_restore_environment (run->manager);
  else
    kr_service_manager_end (run->manager, (KrExitCode)code);
  g_clear_pointer (&run->manager, kr_service_manager_free);
  g_clear_pointer (&run->loop, g_main_loop_unref);
  g_clear_pointer (&run->paths, g_ptr_array_unref);
  g_clear_pointer (&run->texts, g_ptr_array_unref);
}

/* Returns only if that fails, or somebody wants something else meanwhile. */
static void
become_another (Run *run, KrResumeState *state, char **words)
{
  g_autoptr (GError) error = NULL;

  /* From here on they wait for the next program, except those that have come already. */
  kr_renewal_block_signals ();
  while (g_main_context_iteration (NULL, FALSE))
    ;
  state->reload |= run->wants_reload;
  if (!run->interrupted) {
    kr_renewal_execute (state, words, &error);
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
            "the new program cannot be executed (%s); the one that runs goes on",
            error->message);
  }
  kr_renewal_unblock_signals ();
}

/* Runs until the end, be it as another program. @words: the command line, free of secrets. */
static int
run_to_the_end (Run *run, char **words)
{
  for (;;) {
    KrResumeState *state;
    int code;

    set_up (run);
    code = run->values != NULL ? run_supervisor (run) : KR_EXIT_CONFIG;
    state = run->renew ? suspend (run) : NULL;
    /* Cannot be, as nothing has happened since that was looked at; if so, the workers finish
     * their files and the service manager starts us again. */
    if (run->renew && state == NULL)
      code = KR_EXIT_SOFTWARE;
    tear_down (run, code);
    if (state == NULL)
      return code;
    become_another (run, state, words);
    take_options (run, state);
  }
}

/* Of the command line of the program before, which only had the true ones in its state: the
 * stars of kr_command_hide(), cut off where the value was shorter. */
static gboolean
has_hidden_values (char **set)
{
  for (; set != NULL && *set != NULL; set++)
    if (strchr (*set, KR_REDACTED[0]) != NULL)
      return TRUE;
  return FALSE;
}

static int
start_or_resume (Run *run, char **words)
{
  g_autoptr (GError) error = NULL;
  KrResumeState *state = kr_renewal_take (&error);
  guint term_id, int_id, hup_id;
  int code;

  if (state != NULL)
    take_options (run, state);
  else
    run->values = kr_set_values_parse (run->set);
  if (error != NULL && has_hidden_values (run->set)) {
    kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL,
            "%s: what the program before has left, the values of --set with it; its workers "
            "finish their files, and whoever started it must start it again",
            error->message);
    return KR_EXIT_SOFTWARE;
  }
  if (error != NULL)
    kr_log (
        G_LOG_LEVEL_CRITICAL, NULL, NULL,
        "%s: what the program before has left; starting anew, its workers finish their files",
        error->message);
  if (run->runtime_dir == NULL)
    run->runtime_dir = kr_default_runtime_dir ();
  if (run->state_dir == NULL)
    run->state_dir = kr_default_state_dir ();
  /* Before the end of a worker that systemd has sent the same signal: that is no crash then. */
  term_id = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGTERM, on_signal, run, NULL);
  int_id = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGINT, on_signal, run, NULL);
  hup_id = g_unix_signal_add (SIGHUP, on_hangup, run);
  kr_renewal_unblock_signals ();
  code = run_to_the_end (run, words);
  g_source_remove (term_id);
  g_source_remove (int_id);
  g_source_remove (hup_id);
  return code;
}

int
kr_cmd_run (int argc, char **argv)
{
  Run run = {0};
  const GOptionEntry entries[] = {
      {"set", 's', 0, G_OPTION_ARG_FILENAME_ARRAY, &run.set,
       "give a variable a value; beats the environment and the file", "NAME=VALUE"},
      {"listen", 0, 0, G_OPTION_ARG_STRING, &run.listen,
       "where the status page, health and metrics are served; default 127.0.0.1:9478; \"none\" "
       "for nowhere",
       "ADDR:PORT"},
      {"token-file", 0, 0, G_OPTION_ARG_FILENAME, &run.token_file,
       "file with the token that requests must carry; needed for any address but loopback",
       "FILE"},
      {"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &run.runtime_dir,
       "where the control socket lies; default $RUNTIME_DIRECTORY, else "
       "$XDG_RUNTIME_DIR/keeprolling",
       "FOLDER"},
      {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &run.state_dir,
       "where queues are kept; default $STATE_DIRECTORY, else $XDG_STATE_HOME/keeprolling",
       "FOLDER"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &run.arguments, NULL, NULL},
      {NULL},
  };
  g_autofree char **words = g_memdup2 (argv, sizeof *argv * ((gsize)argc + 1));
  int code = KR_EXIT_USAGE;

  if (kr_command_options (
          entries, "FILE|FOLDER...",
          "Runs each pipeline file in a process of its own and keeps it running. Starts "
          "nothing "
          "if\nanything is wrong with any of them. SIGTERM and SIGINT end it in good order, a "
          "second one\nat once.\nExit status: 0 stopped as asked, 64 usage, 65 bad pipeline "
          "file, 66 file missing, 69 source\nunavailable (with Restart=no), 75 a file was not "
          "finished in time, 78 configuration.",
          &argc, &argv)) {
    kr_command_hide (words, run.set);
    kr_log_setup (NULL);
    kr_services_prepare ();
    signal (SIGPIPE, SIG_IGN);
    code = start_or_resume (&run, words);
  }
  g_clear_pointer (&run.values, g_hash_table_unref);
  g_free (run.listen);
  g_free (run.token_file);
  g_free (run.runtime_dir);
  g_free (run.state_dir);
  g_strfreev (run.set);
  g_strfreev (run.arguments);
  return code;
}
