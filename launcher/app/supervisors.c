/* keeprolling - the supervisors that a command is about
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervisors.h"

#include <string.h>

#include "launcher/app/commands.h"
#include "launcher/app/runtime-dir.h"
#include "launcher/core/nearest.h"
#include "launcher/core/pipeline-file.h"
#include "launcher/services/control-client.h"

/* RuntimeDirectory=keeprolling/NAME of the units. */
#define SYSTEM_FOLDER "/run/keeprolling"

static void
running_free (KrRunning *running)
{
  g_free (running->path);
  json_node_unref (running->status);
  g_free (running);
}

static gboolean
is_gone (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static void
ask_all_in (const char *folder, GPtrArray *found)
{
  g_autoptr (GPtrArray) paths = kr_control_find (folder);

  for (guint i = 0; i < paths->len; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (JsonNode) answer = kr_control_ask (paths->pdata[i], "status", NULL, &error);
    JsonObject *object = answer != NULL ? json_node_get_object (answer) : NULL;
    JsonNode *status = object != NULL ? json_object_get_member (object, "status") : NULL;
    KrRunning *running;

    if (error != NULL && !is_gone (error))
      g_printerr ("keeprolling: %s\n", error->message);
    if (status == NULL || !JSON_NODE_HOLDS_OBJECT (status))
      continue;
    running = g_new0 (KrRunning, 1);
    running->path = g_strdup (paths->pdata[i]);
    running->pid = json_object_get_int_member_with_default (object, "pid", 0);
    running->status = json_node_ref (status);
    g_ptr_array_add (found, running);
  }
}

GPtrArray *
kr_running_find (const char *runtime_dir, char **ret_where)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify)running_free);
  g_autofree char *own =
      runtime_dir != NULL ? g_strdup (runtime_dir) : kr_default_runtime_dir ();

  ask_all_in (own, found);
  if (runtime_dir != NULL || strcmp (own, SYSTEM_FOLDER) == 0 ||
      g_getenv ("RUNTIME_DIRECTORY") != NULL) {
    *ret_where = g_steal_pointer (&own);
    return found;
  }
  ask_all_in (SYSTEM_FOLDER, found);
  *ret_where = g_strdup_printf ("%s or %s", own, SYSTEM_FOLDER);
  return found;
}

/* A member that is a list; an empty one if it is not. */
static JsonArray *
list_member (const KrRunning *running, const char *name)
{
  JsonNode *node = json_object_get_member (json_node_get_object (running->status), name);

  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

JsonArray *
kr_running_files (const KrRunning *running)
{
  return list_member (running, "files");
}

JsonArray *
kr_running_pipelines (const KrRunning *running)
{
  return list_member (running, "pipelines");
}

gboolean
kr_running_is_file (JsonObject *file, const char *word)
{
  const char *name = json_object_get_string_member_with_default (file, "name", "");
  g_autofree char *label = kr_pipeline_file_label (word);

  return strcmp (name, word) == 0 || strcmp (name, label) == 0;
}

gboolean
kr_running_has_file (GPtrArray *running, const char *word)
{
  for (guint i = 0; i < running->len; i++) {
    JsonArray *files = kr_running_files (running->pdata[i]);

    for (guint k = 0; files != NULL && k < json_array_get_length (files); k++)
      if (kr_running_is_file (json_array_get_object_element (files, k), word))
        return TRUE;
  }
  return FALSE;
}

int
kr_running_none (const char *where)
{
  g_autofree char *hint = g_strdup_printf (
      "looked in %s; start one with keeprolling run, or name another folder with --runtime-dir",
      where);

  return kr_command_error (KR_EXIT_UNAVAILABLE, hint, "nothing runs: no keeprolling answers");
}

int
kr_running_no_file (GPtrArray *running, const char *word)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *hint = NULL;

  for (guint i = 0; i < running->len; i++) {
    JsonArray *files = kr_running_files (running->pdata[i]);

    for (guint k = 0; files != NULL && k < json_array_get_length (files); k++)
      g_ptr_array_add (names, (gpointer)json_object_get_string_member_with_default (
                                  json_array_get_object_element (files, k), "name", ""));
  }
  g_ptr_array_add (names, NULL);
  hint = kr_nearest_hint (word, (const char *const *)names->pdata,
                          "keeprolling status lists those that run");
  return kr_command_error (KR_EXIT_NO_INPUT, hint, "no file '%s' runs", word);
}
