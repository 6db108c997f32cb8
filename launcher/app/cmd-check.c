/* keeprolling - check: everything that is wrong with pipeline files, at once
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <json-glib/json-glib.h>

#include "launcher/app/pipeline-files.h"
#include "launcher/core/pipeline-file.h"
#include "launcher/engine/engine.h"
#include "launcher/engine/pipeline-check.h"

typedef struct {
  char **set, **arguments;
  gboolean json, quiet;
  GHashTable *values; /* of --set */
  GHashTable *known;  /* set of char*: variables of all files */
  char **environment;
  JsonBuilder *builder;
  guint bad_files, problems;
} Check;

/* Returns (transfer full): what is wrong with the file, or NULL with @error if it cannot be
 * read. */
static GPtrArray *
check_file (Check *check, const char *path, GError **error)
{
  gsize length;
  g_autofree char *text = kr_pipeline_file_read (path, &length, error);
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autoptr (KrPipelineFile) file = NULL;
  GHashTableIter iter;
  gpointer name;

  if (text == NULL)
    return NULL;
  file = kr_pipeline_file_parse_partly (path, text, length, check->values, check->environment,
                                        problems);
  kr_pipeline_check_file (file, problems);
  kr_problems_sort (problems, 0);
  if (file->variables != NULL) {
    g_hash_table_iter_init (&iter, file->variables);
    while (g_hash_table_iter_next (&iter, &name, NULL))
      g_hash_table_add (check->known, g_strdup (name));
  }
  return g_steal_pointer (&problems);
}

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

static void
add_number (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

static void
report_as_json (JsonBuilder *builder, const char *path, const GPtrArray *problems)
{
  json_builder_begin_object (builder);
  add_string (builder, "path", path);
  json_builder_set_member_name (builder, "ok");
  json_builder_add_boolean_value (builder, problems->len == 0);
  json_builder_set_member_name (builder, "problems");
  json_builder_begin_array (builder);
  for (guint i = 0; i < problems->len; i++) {
    const KrProblem *problem = problems->pdata[i];

    json_builder_begin_object (builder);
    add_number (builder, "line", problem->place.line);
    add_number (builder, "column", problem->place.column);
    add_string (builder, "message", problem->message);
    add_string (builder, "hint", problem->hint);
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
  json_builder_end_object (builder);
}

static void
report (Check *check, const char *path, const GPtrArray *problems)
{
  check->problems += problems->len;
  check->bad_files += problems->len > 0;
  if (check->builder != NULL) {
    report_as_json (check->builder, path, problems);
    return;
  }
  for (guint i = 0; i < problems->len; i++) {
    g_autofree char *text = kr_problem_to_string (problems->pdata[i]);

    g_printerr ("%s", text);
  }
  if (problems->len == 0 && !check->quiet)
    g_print ("%s: ok\n", path);
}

static int
check_files (Check *check, const GPtrArray *paths)
{
  int code = KR_EXIT_OK;

  for (guint i = 0; i < paths->len; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) problems = check_file (check, paths->pdata[i], &error);

    if (problems == NULL)
      code = kr_command_error (KR_EXIT_NO_INPUT,
                               "the user who runs keeprolling must be able to read it", "%s",
                               error->message);
    else
      report (check, paths->pdata[i], problems);
  }
  if (code == KR_EXIT_OK && check->bad_files > 0)
    code = KR_EXIT_DATA;
  if (!kr_set_values_check (check->values, check->known) && code == KR_EXIT_OK)
    code = KR_EXIT_CONFIG;
  if (check->problems > 1 && !check->quiet && check->builder == NULL)
    g_printerr ("keeprolling: %u mistakes in %u of %u files\n", check->problems,
                check->bad_files, paths->len);
  return code;
}

static void
print_json (JsonBuilder *builder)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *text = NULL;

  json_generator_set_pretty (generator, TRUE);
  json_generator_set_root (generator, root);
  text = json_generator_to_data (generator, NULL);
  g_print ("%s\n", text);
}

static int
run_check (Check *check)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  int missing, code;

  check->values = kr_set_values_parse (check->set);
  if (check->values == NULL)
    return KR_EXIT_CONFIG;
  missing = kr_pipeline_files_collect (check->arguments, paths);
  if (missing == KR_EXIT_USAGE)
    return missing;
  if (!kr_engine_init (&error))
    return kr_command_error (KR_EXIT_SOFTWARE, "gst-inspect-1.0 may say more",
                             "GStreamer does not start: %s", error->message);
  if (check->json) {
    check->builder = json_builder_new ();
    json_builder_begin_object (check->builder);
    json_builder_set_member_name (check->builder, "files");
    json_builder_begin_array (check->builder);
  }
  code = check_files (check, paths);
  if (check->json) {
    json_builder_end_array (check->builder);
    json_builder_end_object (check->builder);
    print_json (check->builder);
  }
  return missing != KR_EXIT_OK ? missing : code;
}

int
kr_cmd_check (int argc, char **argv)
{
  Check check = {0};
  const GOptionEntry entries[] = {
      {"set", 's', 0, G_OPTION_ARG_FILENAME_ARRAY, &check.set,
       "give a variable a value; beats the environment and the file", "NAME=VALUE"},
      {"json", 0, 0, G_OPTION_ARG_NONE, &check.json, "write the result as JSON", NULL},
      {"quiet", 'q', 0, G_OPTION_ARG_NONE, &check.quiet,
       "say nothing about files that are fine", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &check.arguments, NULL, NULL},
      {NULL},
  };
  int code = KR_EXIT_USAGE;

  if (kr_command_options (
          entries, "FILE|FOLDER...",
          "Reports every mistake with file, line and column, and what would be "
          "right. Starts nothing.\nExit status: 0 fine, 64 usage, 65 mistakes, 66 "
          "file missing, 78 configuration.",
          &argc, &argv)) {
    check.environment = g_get_environ ();
    check.known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    code = run_check (&check);
    g_hash_table_unref (check.known);
    g_strfreev (check.environment);
  }
  g_clear_pointer (&check.values, g_hash_table_unref);
  g_clear_object (&check.builder);
  g_strfreev (check.set);
  g_strfreev (check.arguments);
  return code;
}
