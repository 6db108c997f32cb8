/* keeprolling - stop: end recordings in good order
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <string.h>

#include "launcher/app/supervisors.h"
#include "launcher/services/control-client.h"

#define LOOK_EVERY_US (200 * G_TIME_SPAN_MILLISECOND)

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

static gboolean
has_ended (JsonObject *file)
{
  const char *state = json_object_get_string_member_with_default (file, "state", "");

  return strcmp (state, "stopped") == 0 || strcmp (state, "gave-up") == 0;
}

/* Whether a supervisor still has something to do for us. */
static gboolean
is_at_it (const KrRunning *running, GPtrArray *words)
{
  g_autoptr (JsonNode) answer = kr_control_ask (running->path, "status", NULL, NULL);
  JsonObject *object = answer != NULL ? json_node_get_object (answer) : NULL;
  JsonNode *status = object != NULL ? json_object_get_member (object, "status") : NULL;
  KrRunning now = {.status = status};
  JsonArray *files;

  if (status == NULL || !JSON_NODE_HOLDS_OBJECT (status))
    return FALSE; /* it is gone */
  files = kr_running_files (&now);
  if (words->len == 1)
    return TRUE; /* all of it is to go */
  for (guint i = 0; files != NULL && i < json_array_get_length (files); i++) {
    JsonObject *file = json_array_get_object_element (files, i);

    for (guint k = 0; words->pdata[k] != NULL; k++)
      if (kr_running_is_file (file, words->pdata[k]) && !has_ended (file))
        return TRUE;
  }
  return FALSE;
}

/* The supervisor keeps its deadlines, so this comes to an end. */
static int
stop_one (const Options *options, const KrRunning *running)
{
  g_autoptr (GPtrArray) words = files_of (options, running);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = NULL;

  if (options->files != NULL && words->len == 1)
    return KR_EXIT_OK; /* it has none of them */
  answer = kr_control_ask (running->path, "stop", (const char *const *)words->pdata, &error);
  if (answer == NULL)
    return kr_command_error (KR_EXIT_TEMP_FAIL, NULL, "%s", error->message);
  while (!options->no_wait && is_at_it (running, words))
    g_usleep (LOOK_EVERY_US);
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
