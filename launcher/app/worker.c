/* keeprolling - the process that runs the pipelines of one file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "launcher/app/worker.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher/app/log.h"
#include "launcher/app/pipeline-files.h"
#include "launcher/core/pipeline-file.h"
#include "launcher/core/pipeline-policy.h"
#include "launcher/core/redact.h"
#include "launcher/core/supervisor.h"
#include "launcher/engine/engine.h"
#include "launcher/engine/pipeline-runner.h"
#include "launcher/services/worker-channel.h"

/* The supervisor sends the configuration first thing; without one there is nothing to do. */
#define CONFIG_TIMEOUT_S 30
/* For the last words. */
#define FLUSH_TIMEOUT_MS 1000

/* Who wants us to end. A service manager signals all processes of a service, so that one stop
 * may come by several ways; only the same way a second time means that it is to be at once. */
typedef enum {
  WISH_MESSAGE = 1 << 0,
  WISH_SIGTERM = 1 << 1,
  WISH_SIGINT = 1 << 2,
  WISH_NO_SUPERVISOR = 1 << 3,
} Wish;

typedef struct {
  GMainLoop *loop;
  KrWorkerChannel *channel; /* NULL = none (any more) */
  KrPipelineFile *file;
  GPtrArray *runners;
  guint report_timer;
  guint config_timer;
  guint wishes; /* of Wish */
  gboolean done;
  KrExitCode code;
} Worker;

/* --- talking to the supervisor -------------------------------------------------------- */

/* Takes @message. What the supervisor cannot take now is lost: a worker never waits for it. */
static void
say (Worker *worker, KrWorkerMessage *message)
{
  g_autoptr (KrWorkerMessage) owned = message;
  g_autoptr (GError) error = NULL;

  if (worker->channel != NULL && !kr_worker_channel_send (worker->channel, owned, &error))
    kr_log (G_LOG_LEVEL_DEBUG, NULL, NULL, "the supervisor was not told: %s", error->message);
}

static guint64
resident_bytes (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;
  char *rest;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    return 0;
  /* size resident shared ..., in pages: proc(5) */
  g_ascii_strtoull (text, &rest, 10);
  pages = g_ascii_strtoull (rest, NULL, 10);
  return pages * (guint64)sysconf (_SC_PAGESIZE);
}

static void
report (Worker *worker)
{
  g_autoptr (GPtrArray) reports =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_report_free);
  gint64 io_age = -1;

  for (guint i = 0; i < worker->runners->len; i++) {
    KrPipelineRunner *runner = g_ptr_array_index (worker->runners, i);
    KrPipelineReport *entry = kr_pipeline_runner_report (runner);
    char *reason = kr_redact (entry->last_reason);

    g_free (entry->last_reason);
    entry->last_reason = reason;
    g_ptr_array_add (reports, entry);
    io_age = MAX (io_age, kr_pipeline_runner_get_io_age (runner));
  }
  say (worker, kr_worker_message_new_report (reports, resident_bytes (), io_age));
}

static gboolean
on_report_timer (gpointer data)
{
  report (data);
  return G_SOURCE_CONTINUE;
}

static GLogLevelFlags
level_of (KrWorkerEventKind kind)
{
  switch (kind) {
  case KR_WORKER_EVENT_RESTART:
  case KR_WORKER_EVENT_STALL:
  case KR_WORKER_EVENT_DISK:
  case KR_WORKER_EVENT_FAILED:
  case KR_WORKER_EVENT_WARNING:
    return G_LOG_LEVEL_WARNING;
  case KR_WORKER_EVENT_RECONNECT:
  case KR_WORKER_EVENT_RECOVERED:
  case KR_WORKER_EVENT_SEGMENT:
    return G_LOG_LEVEL_MESSAGE;
  case KR_WORKER_EVENT_DISCONTINUITY:
  case KR_WORKER_EVENT_STATE:
    return G_LOG_LEVEL_INFO;
  case KR_N_WORKER_EVENTS:
    break;
  }
  g_return_val_if_reached (G_LOG_LEVEL_MESSAGE);
}

/* A copy of @details with the secrets taken out of its strings (transfer floating). */
static GVariant *
redact_details (GVariant *details)
{
  GVariantDict clean;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  if (details == NULL)
    return NULL;
  g_variant_dict_init (&clean, NULL);
  g_variant_iter_init (&iter, details);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value)) {
    if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)) {
      g_autofree char *text = kr_redact (g_variant_get_string (value, NULL));

      g_variant_dict_insert (&clean, key, "s", text);
    } else {
      g_variant_dict_insert_value (&clean, key, value);
    }
  }
  return g_variant_dict_end (&clean);
}

static void
on_event (KrPipelineRunner *runner, KrWorkerEventKind kind, const char *text, GVariant *details,
          gpointer data)
{
  const char *name = kr_pipeline_runner_get_name (runner);
  g_autofree char *clean = kr_redact (text);

  kr_log (level_of (kind), NULL, name, "%s", clean);
  say (data, kr_worker_message_new_event (name, kind, clean, redact_details (details)));
}

/* --- the end -------------------------------------------------------------------------- */

/* Why a pipeline that will not run again ended. */
static KrExitCode
code_of (KrPipelineRunner *runner)
{
  gboolean failed = kr_pipeline_runner_get_state (runner) == KR_PIPELINE_FAILED;

  switch (kr_pipeline_runner_get_cause (runner)) {
  case KR_CAUSE_SOURCE:
    return KR_EXIT_UNAVAILABLE;
  case KR_CAUSE_PIPELINE:
    return KR_EXIT_SOFTWARE;
  case KR_CAUSE_CONFIG:
    return KR_EXIT_DATA;
  case KR_CAUSE_DISK:
    return KR_EXIT_IO;
  case KR_CAUSE_EOS:
    return failed ? KR_EXIT_SOFTWARE : KR_EXIT_OK;
  case KR_N_CAUSES:
    break;
  }
  return KR_EXIT_OK;
}

static gboolean
all_final (Worker *worker)
{
  for (guint i = 0; i < worker->runners->len; i++)
    if (!kr_pipeline_state_is_final (
            kr_pipeline_runner_get_state (g_ptr_array_index (worker->runners, i))))
      return FALSE;
  return TRUE;
}

static gboolean
on_all_ended (gpointer data)
{
  Worker *worker = data;

  if (worker->done)
    return G_SOURCE_REMOVE;
  if (!all_final (worker)) {
    report (worker); /* one of several has failed: that does not wait for the next second */
    return G_SOURCE_REMOVE;
  }
  worker->done = TRUE;
  for (guint i = 0; worker->wishes == 0 && i < worker->runners->len; i++)
    worker->code = MAX (worker->code, code_of (g_ptr_array_index (worker->runners, i)));
  g_main_loop_quit (worker->loop);
  return G_SOURCE_REMOVE;
}

static void
on_state (KrPipelineRunner *runner, KrPipelineState state, gpointer data)
{
  Worker *worker = data;

  say (worker,
       kr_worker_message_new_event (kr_pipeline_runner_get_name (runner), KR_WORKER_EVENT_STATE,
                                    kr_pipeline_state_name (state), NULL));
  /* Not at once: the runner is in the middle of its work. */
  if (kr_pipeline_state_is_final (state))
    g_idle_add (on_all_ended, worker);
}

static const char *
wish_word (Wish wish)
{
  switch (wish) {
  case WISH_MESSAGE:
    return "stop";
  case WISH_SIGTERM:
    return "SIGTERM";
  case WISH_SIGINT:
    return "SIGINT";
  case WISH_NO_SUPERVISOR:
    return "the supervisor is gone";
  }
  g_return_val_if_reached ("");
}

static void
stop (Worker *worker, Wish wish)
{
  const char *why = wish_word (wish);

  if (worker->wishes & wish) {
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
            "%s again: ending at once; what is not finished keeps its temporary name", why);
    for (guint i = 0; i < worker->runners->len; i++)
      kr_pipeline_runner_force (g_ptr_array_index (worker->runners, i));
  } else if (worker->wishes == 0) {
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "%s: finishing the files", why);
    for (guint i = 0; i < worker->runners->len; i++)
      kr_pipeline_runner_stop (g_ptr_array_index (worker->runners, i));
  }
  worker->wishes |= wish;
  g_idle_add (on_all_ended, worker);
}

static gboolean
on_sigterm (gpointer data)
{
  stop (data, WISH_SIGTERM);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_sigint (gpointer data)
{
  stop (data, WISH_SIGINT);
  return G_SOURCE_CONTINUE;
}

/* --- the beginning -------------------------------------------------------------------- */

static const KrPipelineRunnerCallbacks runner_callbacks = {on_event, on_state};

/* Nothing runs, and nothing will: ends with @code. */
static void
give_up (Worker *worker, KrExitCode code)
{
  worker->code = code;
  worker->done = TRUE;
  g_main_loop_quit (worker->loop);
}

static gboolean
start_gstreamer (void)
{
  g_autoptr (GError) error = NULL;

  if (kr_engine_init (&error))
    return TRUE;
  kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL, "GStreamer does not start: %s", error->message);
  return FALSE;
}

static void
start_pipelines (Worker *worker)
{
  g_autoptr (GstClock) clock = gst_system_clock_obtain ();
  KrSupervisorPolicy policy;

  kr_supervisor_policy_from_file (&policy, worker->file);
  for (guint i = 0; i < worker->file->pipelines->len; i++)
    g_ptr_array_add (worker->runners,
                     kr_pipeline_runner_new (g_ptr_array_index (worker->file->pipelines, i),
                                             clock, &runner_callbacks, worker));
  for (guint i = 0; i < worker->runners->len; i++)
    kr_pipeline_runner_start (g_ptr_array_index (worker->runners, i));
  worker->report_timer =
      g_timeout_add ((guint)(policy.look_us / 1000), on_report_timer, worker);
  report (worker);
}

static void
start (Worker *worker, const char *path, const char *text, gsize length, GHashTable *set,
       const char *instance)
{
  g_autoptr (GPtrArray) problems =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_problem_free);
  g_auto (GStrv) environment = g_get_environ ();

  worker->file = kr_pipeline_file_parse (path, text, length, set, environment, problems);
  for (guint i = 0; i < problems->len; i++) {
    g_autofree char *problem = kr_problem_to_string (g_ptr_array_index (problems, i));

    kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL, "%s", g_strchomp (problem));
  }
  if (worker->file == NULL) {
    give_up (worker, KR_EXIT_DATA);
    return;
  }
  kr_log_set_name (worker->file->name);
  /* Elements take it from here: before any other thread runs. */
  if (instance != NULL && *instance != '\0')
    g_setenv ("KEEPROLLING_INSTANCE", instance, TRUE);
  say (worker, kr_worker_message_new_hello (getpid (), VERSION, instance));
  if (start_gstreamer ())
    start_pipelines (worker);
  else
    give_up (worker, KR_EXIT_SOFTWARE);
}

static void
on_message (KrWorkerChannel *channel, const KrWorkerMessage *message, gpointer data)
{
  Worker *worker = data;

  if (message->type == KR_WORKER_MESSAGE_STOP) {
    stop (worker, WISH_MESSAGE);
  } else if (message->type == KR_WORKER_MESSAGE_CONFIG && worker->file == NULL &&
             worker->wishes == 0) {
    g_clear_handle_id (&worker->config_timer, g_source_remove);
    start (worker, message->path, message->text, strlen (message->text), message->set,
           message->instance);
  } else {
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
            "a message from the supervisor has no place here; ignoring it");
  }
}

static void
on_garbled (KrWorkerChannel *channel, const GError *error, gpointer data)
{
  kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "a line from the supervisor makes no sense (%s)",
          error->message);
}

static void
on_closed (KrWorkerChannel *channel, const GError *error, gpointer data)
{
  Worker *worker = data;

  g_clear_pointer (&worker->channel, kr_worker_channel_free);
  /* It may have gone while the files are being finished: that goes on. */
  stop (worker, WISH_NO_SUPERVISOR);
}

static gboolean
on_no_config (gpointer data)
{
  Worker *worker = data;

  worker->config_timer = 0;
  kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL, "no configuration came within %d s",
          CONFIG_TIMEOUT_S);
  give_up (worker, KR_EXIT_SOFTWARE);
  return G_SOURCE_REMOVE;
}

/* --- running -------------------------------------------------------------------------- */

static void
worker_init (Worker *worker)
{
  *worker = (Worker){
      .loop = g_main_loop_new (NULL, FALSE),
      .runners = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_runner_free),
  };
  signal (SIGPIPE, SIG_IGN);
  signal (SIGHUP, SIG_IGN); /* for the supervisor, even where all of us are sent it */
  g_unix_signal_add (SIGTERM, on_sigterm, worker);
  g_unix_signal_add (SIGINT, on_sigint, worker);
}

static gboolean
left_something_behind (Worker *worker)
{
  for (guint i = 0; i < worker->runners->len; i++) {
    g_autoptr (KrPipelineReport) entry =
        kr_pipeline_runner_report (g_ptr_array_index (worker->runners, i));

    if (entry->abandoned > 0)
      return TRUE;
  }
  return FALSE;
}

static KrExitCode
worker_run (Worker *worker)
{
  KrExitCode code;
  gboolean hung;

  if (!worker->done)
    g_main_loop_run (worker->loop);
  code = worker->code;
  if (worker->file != NULL)
    report (worker);
  say (worker, kr_worker_message_new_bye (code));
  if (worker->channel != NULL)
    kr_worker_channel_flush (worker->channel, FLUSH_TIMEOUT_MS);
  hung = left_something_behind (worker);
  g_clear_handle_id (&worker->report_timer, g_source_remove);
  g_clear_handle_id (&worker->config_timer, g_source_remove);
  /* Threads that hang in an element would meet what exit() takes away. */
  if (hung)
    _exit (code);
  g_clear_pointer (&worker->channel, kr_worker_channel_free);
  g_ptr_array_unref (worker->runners);
  g_clear_pointer (&worker->file, kr_pipeline_file_free);
  g_main_loop_unref (worker->loop);
  return code;
}

KrExitCode
kr_worker_run (int fd)
{
  static const KrWorkerChannelCallbacks callbacks = {on_message, on_garbled, on_closed};
  Worker worker;

  kr_log_setup (NULL);
  worker_init (&worker);
  /* When the supervisor hangs, systemd's watchdog sends it to all processes of the service. It
   * is not for us: our files are finished once the supervisor is gone. abort() works all the
   * same. */
  signal (SIGABRT, SIG_IGN);
  worker.channel = kr_worker_channel_new (fd, &callbacks, &worker);
  worker.config_timer = g_timeout_add_seconds (CONFIG_TIMEOUT_S, on_no_config, &worker);
  return worker_run (&worker);
}

KrExitCode
kr_worker_run_file (const char *path, GHashTable *set)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  gsize length;
  Worker worker;

  kr_log_setup (NULL);
  text = kr_pipeline_file_read (path, &length, &error);
  if (text == NULL) {
    kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL, "%s", error->message);
    return KR_EXIT_NO_INPUT;
  }
  worker_init (&worker);
  start (&worker, path, text, length, set, g_getenv ("KEEPROLLING_INSTANCE"));
  return worker_run (&worker);
}
