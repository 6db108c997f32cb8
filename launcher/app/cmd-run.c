/* keeprolling - run: keep pipeline files running
 * SPDX-License-Identifier: LGPL-2.1-or-later */

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
#include "launcher/app/runtime-dir.h"
#include "launcher/app/service-manager.h"
#include "launcher/app/status-service.h"
#include "launcher/app/worker-process.h"
#include "launcher/core/pipeline-file.h"
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

static const KrReloaderCallbacks reloader_callbacks = {.busy = on_busy};

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

  if (run->check_pid != 0) {
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

static int
run_files (Run *run)
{
  KrExitCode config;
  int code;

  if (run->interrupted)
    return KR_EXIT_OK;
  code = parse_files (run);
  if (code != KR_EXIT_OK)
    return code;
  run->status = kr_status_service_new (run->listen, run->token_file, &config);
  if (run->status == NULL)
    return config;
  run->reloader =
      kr_reloader_new (run->launcher, run->arguments, run->values, &reloader_callbacks, run);
  run->control = kr_control_new (run->runtime_dir, run->launcher, run->reloader);
  kr_launcher_start (run->launcher);
  if (run->wants_reload)
    on_hangup (run);
  g_main_loop_run (run->loop);
  if (run->code == KR_EXIT_OK)
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "all ended in good order");
  return run->code;
}

static int
run_supervisor (Run *run)
{
  /* Before the end of a worker that systemd has sent the same signal: that is no crash then. */
  guint term_id = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGTERM, on_signal, run, NULL);
  guint int_id = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGINT, on_signal, run, NULL);
  guint hup_id = g_unix_signal_add (SIGHUP, on_hangup, run);
  int code = kr_pipeline_files_collect (run->arguments, run->paths);

  if (code == KR_EXIT_OK)
    code = read_files (run);
  if (code == KR_EXIT_OK)
    code = run_check (run);
  if (run->interrupted && run->launcher != NULL && code != KR_EXIT_OK)
    code = KR_EXIT_OK; /* stopped as asked, before anything was started */
  else if (code == KR_EXIT_OK)
    code = run_files (run);
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
    run.manager = kr_service_manager_new ();
    if (run.runtime_dir == NULL)
      run.runtime_dir = kr_default_runtime_dir ();
    if (run.state_dir == NULL)
      run.state_dir = kr_default_state_dir ();
    run.alerts = kr_alerts_new (run.state_dir);
    run.destinations = kr_destinations_new ();
    run.paths = g_ptr_array_new_with_free_func (g_free);
    run.texts = g_ptr_array_new_with_free_func (g_free);
    run.loop = g_main_loop_new (NULL, FALSE);
    run.launcher = kr_launcher_new (&launcher_callbacks, &run);
    run.values = kr_set_values_parse (run.set);
    code = run.values != NULL ? run_supervisor (&run) : KR_EXIT_CONFIG;
    kr_reloader_free (run.reloader);
    kr_control_free (run.control);
    kr_launcher_free (run.launcher);
    kr_status_service_free (run.status);
    kr_alerts_free (run.alerts);
    kr_destinations_free (run.destinations);
    kr_service_manager_end (run.manager, (KrExitCode)code);
    kr_service_manager_free (run.manager);
    g_main_loop_unref (run.loop);
    g_ptr_array_unref (run.paths);
    g_ptr_array_unref (run.texts);
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
