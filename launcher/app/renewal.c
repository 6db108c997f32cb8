/* keeprolling - the supervisor becomes another program
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/renewal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/app/loaded-file.h"
#include "launcher/app/worker-process.h"

#define LOOK_EVERY_MS 200
/* For workers that are being changed, and for the child. */
#define PATIENCE_US (90 * G_TIME_SPAN_SECOND)
/* The descriptor on which the child finds the state. */
#define TRY_FD 3

gboolean
kr_renewal_is_due (void)
{
  g_autofree char *path = kr_own_program ();
  struct stat runs, lies;

  /* The one that runs keeps its inode, so that no other one can have the same number. */
  return stat ("/proc/self/exe", &runs) == 0 && stat (path, &lies) == 0 &&
         S_ISREG (lies.st_mode) && access (path, X_OK) == 0 &&
         (runs.st_dev != lies.st_dev || runs.st_ino != lies.st_ino);
}

/* --- trying ------------------------------------------------------------------------------- */

struct _KrRenewal {
  KrLauncher *launcher;
  const KrRenewalCallbacks *callbacks;
  gpointer data;
  GCancellable *cancellable;
  GSubprocess *process; /* NULL = not tried yet */
  guint look_id;
  gint64 patience; /* monotonic */
};

/* May free @renewal. */
static void
tell (KrRenewal *renewal, const char *why)
{
  g_clear_handle_id (&renewal->look_id, g_source_remove);
  renewal->callbacks->tried (why, renewal->data);
}

static char *
verdict (GSubprocess *process, gboolean heard, char *text, const GError *error)
{
  if (heard && g_subprocess_get_if_exited (process) &&
      g_subprocess_get_exit_status (process) == 0)
    return NULL;
  if (!heard)
    return g_strdup (error->message);
  g_strdelimit (g_strstrip (text), "\n", ' ');
  if (*text != '\0')
    return g_strdup (text);
  return g_strdup ("it does not start");
}

static void
on_tried (GObject *source, GAsyncResult *result, gpointer data)
{
  GSubprocess *process = G_SUBPROCESS (source);
  KrRenewal *renewal = data;
  g_autofree char *text = NULL;
  g_autofree char *why = NULL;
  g_autoptr (GError) error = NULL;
  gboolean heard = g_subprocess_communicate_utf8_finish (process, result, NULL, &text, &error);

  if (!heard)
    g_subprocess_force_exit (process);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* @renewal is gone */
  why = verdict (process, heard, text, error);
  g_clear_object (&renewal->process);
  /* What has happened meanwhile is waited for, then the next look tries anew. */
  if (why != NULL || kr_launcher_can_suspend (renewal->launcher))
    tell (renewal, why);
}

static gboolean
try_it (KrRenewal *renewal, const KrResumeState *state, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autofree char *program = kr_own_program ();
  int fd = kr_resume_state_to_fd (state, error);

  if (fd < 0)
    return FALSE;
  g_subprocess_launcher_take_fd (launcher, fd, TRY_FD);
  renewal->process =
      g_subprocess_launcher_spawn (launcher, error, program, "resume-check", NULL);
  if (renewal->process == NULL)
    return FALSE;
  g_subprocess_communicate_utf8_async (renewal->process, NULL, renewal->cancellable, on_tried,
                                       renewal);
  return TRUE;
}

static gboolean
on_look (gpointer data)
{
  KrRenewal *renewal = data;
  g_autoptr (KrResumeState) state = NULL;
  g_autoptr (GError) error = NULL;

  if (g_get_monotonic_time () > renewal->patience) {
    renewal->look_id = 0;
    tell (renewal, renewal->process != NULL ? "it does not answer"
                                            : "workers are being replaced all the time");
    return G_SOURCE_REMOVE;
  }
  if (renewal->process != NULL)
    return G_SOURCE_CONTINUE;
  state = kr_resume_state_new ();
  if (!kr_launcher_suspend (renewal->launcher, FALSE, state))
    return G_SOURCE_CONTINUE;
  renewal->callbacks->fill (state, renewal->data);
  if (try_it (renewal, state, &error))
    return G_SOURCE_CONTINUE;
  renewal->look_id = 0;
  tell (renewal, error->message);
  return G_SOURCE_REMOVE;
}

KrRenewal *
kr_renewal_new (KrLauncher *launcher, const KrRenewalCallbacks *callbacks, gpointer data)
{
  KrRenewal *renewal = g_new0 (KrRenewal, 1);

  renewal->launcher = launcher;
  renewal->callbacks = callbacks;
  renewal->data = data;
  renewal->cancellable = g_cancellable_new ();
  renewal->patience = g_get_monotonic_time () + PATIENCE_US;
  renewal->look_id = g_timeout_add (LOOK_EVERY_MS, on_look, renewal);
  return renewal;
}

void
kr_renewal_free (KrRenewal *renewal)
{
  if (renewal == NULL)
    return;
  g_clear_handle_id (&renewal->look_id, g_source_remove);
  g_cancellable_cancel (renewal->cancellable);
  g_object_unref (renewal->cancellable);
  if (renewal->process != NULL)
    g_subprocess_force_exit (renewal->process);
  g_clear_object (&renewal->process);
  g_free (renewal);
}

GPtrArray *
kr_renewal_load_files (const KrResumeState *state, GString *problems)
{
  g_autoptr (GPtrArray) loaded =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_loaded_file_unref);
  g_auto (GStrv) environment = g_get_environ ();

  for (guint i = 0; i < state->files->len; i++) {
    const KrResumeFile *left = state->files->pdata[i];
    g_autoptr (GPtrArray) list = kr_problems_new ();
    KrPipelineFile *file = kr_pipeline_file_parse (left->path, left->text, strlen (left->text),
                                                   state->set, environment, list);

    for (guint k = 0; k < list->len; k++) {
      g_autofree char *text = kr_problem_to_string (list->pdata[k]);

      g_string_append (problems, text);
    }
    if (file == NULL)
      return NULL;
    g_ptr_array_add (loaded, kr_loaded_file_new (file, left->text, state->set));
  }
  return g_steal_pointer (&loaded);
}

/* --- becoming it ----------------------------------------------------------------------------
 */

static void
change_signals (int how)
{
  sigset_t signals;

  sigemptyset (&signals);
  sigaddset (&signals, SIGTERM);
  sigaddset (&signals, SIGINT);
  sigaddset (&signals, SIGHUP);
  sigprocmask (how, &signals, NULL);
}

void
kr_renewal_block_signals (void)
{
  change_signals (SIG_BLOCK);
}

void
kr_renewal_unblock_signals (void)
{
  change_signals (SIG_UNBLOCK);
}

static gboolean
keep_over_exec (int fd, gboolean keep)
{
  int flags = fcntl (fd, F_GETFD);

  return flags >= 0 &&
         fcntl (fd, F_SETFD, keep ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC) == 0;
}

static void
keep_lines (const KrResumeState *state, gboolean keep)
{
  for (guint i = 0; i < state->files->len; i++) {
    const KrResumeFile *file = state->files->pdata[i];

    if (file->worker != NULL)
      keep_over_exec (file->worker->fd, keep);
  }
}

gboolean
kr_renewal_execute (const KrResumeState *state, char **words, GError **error)
{
  g_autofree char *program = kr_own_program ();
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autofree char *number = NULL;
  int fd = kr_resume_state_to_fd (state, error);
  int saved;

  if (fd < 0)
    return FALSE;
  g_ptr_array_add (argv, program);
  for (; *words != NULL; words++)
    g_ptr_array_add (argv, *words);
  g_ptr_array_add (argv, NULL);
  number = g_strdup_printf ("%d", fd);
  g_setenv (KR_RESUME_VARIABLE, number, TRUE);
  keep_lines (state, TRUE);
  keep_over_exec (fd, TRUE);
  execv (program, (char **)argv->pdata);
  saved = errno;
  keep_lines (state, FALSE);
  close (fd);
  g_unsetenv (KR_RESUME_VARIABLE);
  g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (saved), "cannot execute %s: %s",
               program, g_strerror (saved));
  return FALSE;
}

KrResumeState *
kr_renewal_take (GError **error)
{
  g_autofree char *number = g_strdup (g_getenv (KR_RESUME_VARIABLE));
  KrResumeState *state;
  int fd;

  if (number == NULL)
    return NULL;
  g_unsetenv (KR_RESUME_VARIABLE);
  fd = atoi (number);
  state = kr_resume_state_from_fd (fd, error);
  close (fd);
  if (state != NULL)
    keep_lines (state, FALSE); /* our own children must not inherit them */
  return state;
}
