/* keeprolling - stop: end recordings in good order
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <string.h>

#include "launcher/app/supervisors.h"
#include "launcher/services/control-client.h"

typedef struct {
  gboolean no_wait;
  char *runtime_dir;
  char **files; /* NULL = all */
} Options;

/* Those of @options that @running has (NULL-terminated); all words stay the options'. */
static GPtrArray *
files_of (const Options *options, const KrRunning *running)
{
  GPtrArray *words = g_ptr_array_new ();
  JsonArray *files = kr_running_files (running);

  for (guint i = 0; options->files != NULL && options->files[i] != NULL; i++) {
    for (guint k = 0; files != NULL && k < json_array_get_length (files); k++) {
      JsonObject *file = json_array_get_object_element (files, k);

      if (!kr_running_is_file (file, options->files[i]))
        continue;
      g_ptr_array_add (words, options->files[i]);
      break;
    }
  }
  g_ptr_array_add (words, NULL);
  return words;
}

static void
on_progress (const char *file, const char *text, gpointer data)
{
}

/* Silent where all is as it should be. */
static void
on_result (const char *file, int code, const char *text, gpointer data)
{
  if (code != KR_EXIT_OK)
    kr_command_error (code, NULL, "%s: %s", file, text);
}

/* The supervisor keeps its deadlines, so this comes to an end. */
static int
stop_and_wait (const KrRunning *running, const char *const *words)
{
  static const KrControlListener listener = {on_progress, on_result};
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  int code = kr_control_stop (running->path, words, &listener, NULL, &text, &error);

  if (code < 0)
    return kr_command_error (
        KR_EXIT_TEMP_FAIL,
        "its log says what became of the files, keeprolling status whether "
        "it still runs",
        "not known whether all was stopped in good order: %s", error->message);
  if (text != NULL && *text != '\0')
    return kr_command_error (code, NULL, "%s", text);
  return code;
}

static int
stop_one (const Options *options, const KrRunning *running)
{
  g_autoptr (GPtrArray) words = files_of (options, running);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = NULL;

  if (options->files != NULL && words->len == 1)
    return KR_EXIT_OK; /* it has none of them */
  if (!options->no_wait)
    return stop_and_wait (running, (const char *const *)words->pdata);
  answer = kr_control_ask (running->path, "stop", (const char *const *)words->pdata, &error);
  if (answer == NULL)
    return kr_command_error (KR_EXIT_TEMP_FAIL, NULL, "%s", error->message);
  return KR_EXIT_OK;
}

static int
stop (const Options *options)
{
  g_autofree char *where = NULL;
  g_autoptr (GPtrArray) running = kr_running_find (options->runtime_dir, &where);
  int code = KR_EXIT_OK;

  if (running->len == 0)
    return kr_running_none (where);
  for (guint i = 0; options->files != NULL && options->files[i] != NULL; i++)
    if (!kr_running_has_file (running, options->files[i]))
      return kr_running_no_file (running, options->files[i]);
  for (guint i = 0; i < running->len; i++) {
    int its_code = stop_one (options, running->pdata[i]);

    code = MAX (code, its_code);
  }
  return code;
}

int
kr_cmd_stop (int argc, char **argv)
{
  Options options = {0};
  const GOptionEntry entries[] = {
      {"no-wait", 0, 0, G_OPTION_ARG_NONE, &options.no_wait,
       "do not wait until the files are finished", NULL},
      {"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.runtime_dir,
       "where the control sockets lie; the one of run by default", "FOLDER"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.files, NULL, NULL},
      {NULL},
  };
  int code = KR_EXIT_USAGE;

  if (kr_command_options (entries, "[FILE...]",
                          "Ends pipeline files that run here in good order, all or those that "
                          "are named: streams\nend and files are finished.\nExit status: 0 "
                          "ended, 66 no such file, 69 nothing runs, 75 not reached.",
                          &argc, &argv))
    code = stop (&options);
  g_free (options.runtime_dir);
  g_strfreev (options.files);
  return code;
}
