/* keeprolling - the files that a reload finds, and whether they are right
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/reload-check.h"

#include "launcher/app/pipeline-files.h"
#include "launcher/app/worker-process.h"
#include "launcher/core/exit-code.h"
#include "launcher/core/pipeline-file.h"

/* A plugin may hang while it is looked at. */
#define CHECK_PATIENCE_S 120
/* Of what the check says. */
#define MAX_TEXT (64 * 1024)

static void
found_file_free (KrFoundFile *found)
{
  g_free (found->path);
  g_free (found->name);
  g_free (found->text);
  g_free (found);
}

/* --- looking ------------------------------------------------------------------------------ */

typedef struct {
  char **arguments;
  KrFilesFound done;
  gpointer data;
  GPtrArray *files;
  GString *text;
  int code;
} Search;

static void
search_free (Search *search)
{
  g_strfreev (search->arguments);
  g_clear_pointer (&search->files, g_ptr_array_unref);
  g_string_free (search->text, TRUE);
  g_free (search);
}

static void
read_one (Search *search, const char *path)
{
  g_autoptr (GError) error = NULL;
  gsize length;
  char *text = kr_pipeline_file_read (path, &length, &error);
  KrFoundFile *found;

  if (text == NULL) {
    search->code = kr_command_error (KR_EXIT_NO_INPUT,
                                     "the user who runs keeprolling must be able to read it",
                                     "%s", error->message);
    return;
  }
  found = g_new0 (KrFoundFile, 1);
  found->path = g_strdup (path);
  found->name = kr_pipeline_file_label (path);
  found->text = text;
  g_ptr_array_add (search->files, found);
}

/* A thread of its own. */
static void
look (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Search *search = data;
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);

  kr_command_capture_errors (search->text);
  search->code = kr_pipeline_files_collect (search->arguments, paths);
  for (guint i = 0; search->code == KR_EXIT_OK && i < paths->len; i++)
    read_one (search, paths->pdata[i]);
  kr_command_capture_errors (NULL);
  g_task_return_boolean (task, TRUE);
}

static void
on_found (GObject *source, GAsyncResult *result, gpointer data)
{
  Search *search = g_task_get_task_data (G_TASK (result));

  if (!g_task_propagate_boolean (G_TASK (result), NULL))
    return; /* cancelled: nobody waits any more */
  search->done (g_steal_pointer (&search->files), search->code, search->text->str,
                search->data);
}

void
kr_find_files (char **arguments, GCancellable *cancellable, KrFilesFound done, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, on_found, NULL);
  Search *search = g_new0 (Search, 1);

  search->arguments = g_strdupv (arguments);
  search->done = done;
  search->data = data;
  search->files = g_ptr_array_new_with_free_func ((GDestroyNotify)found_file_free);
  search->text = g_string_new (NULL);
  g_task_set_task_data (task, search, (GDestroyNotify)search_free);
  g_task_run_in_thread (task, look);
}

/* --- checking ----------------------------------------------------------------------------- */

typedef struct {
  KrFilesChecked done;
  gpointer data;
  GSubprocess *process;
  guint patience_id;
  gboolean too_slow;
} Check;

char **
kr_check_environment (GHashTable *values)
{
  char **environment = g_get_environ ();
  GHashTableIter iter;
  gpointer name, value;

  if (values == NULL)
    return environment;
  g_hash_table_iter_init (&iter, values);
  while (g_hash_table_iter_next (&iter, &name, &value))
    environment = g_environ_setenv (environment, name, value, TRUE);
  return environment;
}

static gboolean
on_patience (gpointer data)
{
  Check *check = data;

  check->patience_id = 0;
  check->too_slow = TRUE;
  g_subprocess_force_exit (check->process);
  return G_SOURCE_REMOVE;
}

static int
exit_code_of (const Check *check, char **text)
{
  if (g_subprocess_get_if_exited (check->process))
    return g_subprocess_get_exit_status (check->process);
  g_free (*text);
  *text = check->too_slow
              ? g_strdup_printf ("keeprolling: the check of the pipeline files took longer "
                                 "than %d s\n",
                                 CHECK_PATIENCE_S)
              : g_strdup_printf ("keeprolling: the check of the pipeline files was ended by "
                                 "signal %d\n",
                                 g_subprocess_get_term_sig (check->process));
  return KR_EXIT_SOFTWARE;
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  Check *check = data;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  gboolean fine =
      g_subprocess_communicate_utf8_finish (check->process, result, NULL, &text, &error);
  int code;

  g_clear_handle_id (&check->patience_id, g_source_remove);
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    if (!fine) {
      g_subprocess_force_exit (check->process);
      g_free (text);
      text = g_strdup_printf ("keeprolling: cannot check the pipeline files: %s\n",
                              error->message);
      code = KR_EXIT_SOFTWARE;
    } else {
      code = exit_code_of (check, &text);
    }
    if (strlen (text) > MAX_TEXT)
      text[MAX_TEXT] = '\0';
    check->done (code, text, check->data);
  } else {
    g_subprocess_force_exit (check->process);
  }
  g_object_unref (check->process);
  g_free (check);
}

void
kr_check_files (const char *const *paths, GHashTable *values, GCancellable *cancellable,
                KrFilesChecked done, gpointer data)
{
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) environment = kr_check_environment (values);
  g_autoptr (GError) error = NULL;
  Check *check;
  GSubprocess *process;

  g_ptr_array_add (argv, kr_own_program ());
  g_ptr_array_add (argv, g_strdup ("check"));
  g_ptr_array_add (argv, g_strdup ("--quiet"));
  g_ptr_array_add (argv, g_strdup ("--"));
  for (; *paths != NULL; paths++)
    g_ptr_array_add (argv, g_strdup (*paths));
  g_ptr_array_add (argv, NULL);
  g_subprocess_launcher_set_environ (launcher, environment);
  process = g_subprocess_launcher_spawnv (launcher, (const char *const *)argv->pdata, &error);
  if (process == NULL) {
    g_autofree char *text =
        g_strdup_printf ("keeprolling: cannot check the pipeline files: %s\n", error->message);

    done (KR_EXIT_SOFTWARE, text, data);
    return;
  }
  check = g_new0 (Check, 1);
  check->done = done;
  check->data = data;
  check->process = process;
  check->patience_id = g_timeout_add_seconds (CHECK_PATIENCE_S, on_patience, check);
  g_subprocess_communicate_utf8_async (process, NULL, cancellable, on_checked, check);
}
