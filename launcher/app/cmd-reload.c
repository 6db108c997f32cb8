/* keeprolling - reload: take over pipeline files that have changed
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <string.h>
#include <unistd.h>

#include "launcher/app/supervisors.h"
#include "launcher/core/reload-plan.h"
#include "launcher/services/control-client.h"

typedef struct {
  gboolean all;
  gboolean restart;
  gboolean on_terminal;
  char *runtime_dir;
  char **files;     /* NULL = all */
  GHashTable *said; /* file -> what was said of it last: char* -> char* */
  guint n_results;
} Reload;

static void
print_line (const char *file, const char *text, gboolean trouble)
{
  g_autofree char *line =
      *file != '\0' ? g_strdup_printf ("%s: %s\n", file, text) : g_strdup_printf ("%s\n", text);

  if (trouble)
    g_printerr ("keeprolling: %s", line);
  else
    g_print ("%s", line);
}

/* The same is said once. */
static void
on_progress (const char *file, const char *text, gpointer data)
{
  Reload *reload = data;

  if (!reload->on_terminal || g_strcmp0 (g_hash_table_lookup (reload->said, file), text) == 0)
    return;
  g_hash_table_replace (reload->said, g_strdup (file), g_strdup (text));
  print_line (file, text, FALSE);
}

static void
on_result (const char *file, int code, const char *text, gpointer data)
{
  Reload *reload = data;

  reload->n_results++;
  if (code != KR_EXIT_OK || reload->on_terminal)
    print_line (file, text, code != KR_EXIT_OK);
}

/* Those that @running has, if several run; with one it is left to that one, as a file may be
 * new there. (NULL-terminated; all words stay the options'.) */
static GPtrArray *
files_for (const Reload *reload, GPtrArray *all, const KrRunning *running)
{
  GPtrArray *words = g_ptr_array_new ();
  JsonArray *files = kr_running_files (running);

  for (guint i = 0; reload->files != NULL && reload->files[i] != NULL; i++) {
    gboolean known = all->len == 1;

    for (guint k = 0; files != NULL && k < json_array_get_length (files) && !known; k++)
      known = kr_running_is_file (json_array_get_object_element (files, k), reload->files[i]);
    if (known)
      g_ptr_array_add (words, reload->files[i]);
  }
  g_ptr_array_add (words, NULL);
  return words;
}

static int
reload_one (Reload *reload, GPtrArray *all, const KrRunning *running)
{
  static const KrControlListener listener = {on_progress, on_result};
  g_autoptr (GPtrArray) words = files_for (reload, all, running);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  int code;

  if (reload->files != NULL && words->len == 1)
    return KR_EXIT_OK; /* it has none of them */
  code = kr_control_reload (running->path, (const char *const *)words->pdata, reload->all,
                            reload->restart, &listener, reload, &text, &error);
  if (code < 0)
    return kr_command_error (KR_EXIT_TEMP_FAIL, "keeprolling status shows what has come of it",
                             "%s", error->message);
  if (text != NULL && *text != '\0')
    g_printerr ("%s%s", text, g_str_has_suffix (text, "\n") ? "" : "\n");
  if (code == KR_EXIT_DATA || code == KR_EXIT_CONFIG || code == KR_EXIT_NO_INPUT)
    g_printerr ("keeprolling: nothing was changed\n");
  return code;
}

static int
reload_all (Reload *reload)
{
  g_autofree char *where = NULL;
  g_autoptr (GPtrArray) running = kr_running_find (reload->runtime_dir, &where);
  int code = KR_EXIT_OK;

  if (running->len == 0)
    return kr_running_none (where);
  for (guint i = 0; running->len > 1 && reload->files != NULL && reload->files[i] != NULL; i++)
    if (!kr_running_has_file (running, reload->files[i]))
      return kr_running_no_file (running, reload->files[i]);
  for (guint i = 0; i < running->len; i++)
    code = kr_reload_worse_code (code, reload_one (reload, running, running->pdata[i]));
  return code;
}

int
kr_cmd_reload (int argc, char **argv)
{
  Reload reload = {0};
  const GOptionEntry entries[] = {
      {"all", 'a', 0, G_OPTION_ARG_NONE, &reload.all,
       "new workers for files that have not changed, too", NULL},
      {"restart", 0, 0, G_OPTION_ARG_NONE, &reload.restart,
       "end the old worker before the new one starts: a short gap, for sources that serve one "
       "receiver only",
       NULL},
      {"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &reload.runtime_dir,
       "where the control sockets lie; the one of run by default", "FOLDER"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &reload.files, NULL, NULL},
      {NULL},
  };
  int code = KR_EXIT_USAGE;

  if (kr_command_options (
          entries, "[FILE...]",
          "Takes over pipeline files that have changed, all or those that are named. The new "
          "worker\nstarts beside the old one, which goes on until the new one records: no "
          "frame "
          "is lost. If it\ndoes not record in time, the old one goes on. Files that are new in "
          "a "
          "folder are started,\nthose that have gone are ended in good order. Waits for the "
          "end.\nExit status: 0 done, 65 mistakes and nothing changed, 66 no such file, 69 "
          "nothing runs, or a new\nworker waits for its source, 75 an old worker goes on, or "
          "not "
          "reached, 78 configuration.",
          &argc, &argv)) {
    reload.on_terminal = isatty (STDOUT_FILENO) == 1;
    reload.said = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    code = reload_all (&reload);
    if (code == KR_EXIT_OK && reload.on_terminal && reload.n_results == 0)
      g_print ("no pipeline file has changed\n");
    g_hash_table_unref (reload.said);
  }
  g_free (reload.runtime_dir);
  g_strfreev (reload.files);
  return code;
}
