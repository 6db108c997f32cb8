/* keeprolling - recover: what a crash left behind gets its final name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <json-glib/json-glib.h>
#include <unistd.h>

#include "plugins/common/recovery.h"

/* How often the progress line is renewed. */
#define PROGRESS_US (G_USEC_PER_SEC / 5)

typedef struct {
  char **folders;
  gboolean dry_run, json;
  gboolean show_progress; /* stderr is a terminal */
  gint64 progress_us;
  JsonBuilder *builder;
  guint counts[KR_N_RECOVERY_ACTIONS];
  guint not_durable;
} Recover;

static void
clear_progress (Recover *recover)
{
  if (recover->show_progress)
    g_printerr ("\r\033[K");
}

static void
on_progress (guint64 bytes_read, guint files_seen, gpointer user_data)
{
  Recover *recover = user_data;
  gint64 now = g_get_monotonic_time ();
  g_autofree char *size = NULL;

  if (!recover->show_progress || now - recover->progress_us < PROGRESS_US)
    return;
  recover->progress_us = now;
  size = g_format_size (bytes_read);
  g_printerr ("\r\033[Kfile %u, %s looked at", files_seen, size);
}

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  /* A file name is bytes; JSON is UTF-8. */
  g_autofree char *valid = g_utf8_make_valid (value, -1);

  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, valid);
}

static void
add_number (JsonBuilder *builder, const char *name, guint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, (gint64)value);
}

static void
report_as_json (JsonBuilder *builder, const KrRecovered *found, const char *error)
{
  json_builder_begin_object (builder);
  add_string (builder, "temp_path", found->temp_path);
  add_string (builder, "path", found->path != NULL ? found->path : "");
  add_string (builder, "action", kr_recovery_action_name (found->action));
  add_number (builder, "bytes", found->bytes);
  add_number (builder, "cut_bytes", found->cut_bytes);
  json_builder_set_member_name (builder, "durable");
  json_builder_add_boolean_value (builder, found->durable);
  add_string (builder, "detail", found->detail);
  add_string (builder, "error", error != NULL ? error : "");
  json_builder_end_object (builder);
}

static void
report_as_text (const Recover *recover, const KrRecovered *found, const char *error)
{
  g_autofree char *size = g_format_size (found->bytes);
  const char *would = recover->dry_run ? "would be " : "";

  switch (found->action) {
  case KR_RECOVERY_FINALISED:
    g_print ("%s: %sfinalised as %s (%s, %s", found->temp_path, would, found->path,
             found->detail, size);
    if (found->cut_bytes > 0)
      g_print (", %" G_GUINT64_FORMAT " bytes of zeros or of an incomplete packet cut",
               found->cut_bytes);
    g_print (")\n");
    break;
  case KR_RECOVERY_QUARANTINED:
    g_print ("%s: %skept as %s (%s; %s)\n", found->temp_path, would, found->path, size,
             found->detail);
    break;
  case KR_RECOVERY_REMOVED:
    g_print ("%s: %sremoved (%s)\n", found->temp_path, would, found->detail);
    break;
  case KR_RECOVERY_LIVE:
    g_print ("%s: left alone (%s)\n", found->temp_path, found->detail);
    break;
  case KR_RECOVERY_FAILED:
  case KR_N_RECOVERY_ACTIONS:
    break;
  }
  if (error != NULL)
    g_printerr ("keeprolling: %s; %s\n", error,
                found->action == KR_RECOVERY_FAILED ? "it is left as it is"
                                                    : "it may not survive a power cut");
}

static void
on_found (const KrRecovered *found, gpointer user_data)
{
  Recover *recover = user_data;
  g_autofree char *error =
      found->error.code != 0 ? kr_io_error_text (&found->error, found->temp_path) : NULL;

  recover->counts[found->action]++;
  recover->not_durable += error != NULL && found->action != KR_RECOVERY_FAILED;
  clear_progress (recover);
  if (recover->builder != NULL)
    report_as_json (recover->builder, found, error);
  else
    report_as_text (recover, found, error);
}

static void
print_json (Recover *recover)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_end_array (recover->builder);
  json_builder_set_member_name (recover->builder, "counts");
  json_builder_begin_object (recover->builder);
  for (guint i = 0; i < KR_N_RECOVERY_ACTIONS; i++)
    add_number (recover->builder, kr_recovery_action_name ((KrRecoveryAction)i),
                recover->counts[i]);
  json_builder_end_object (recover->builder);
  json_builder_end_object (recover->builder);
  root = json_builder_get_root (recover->builder);
  json_generator_set_pretty (generator, TRUE);
  json_generator_set_root (generator, root);
  text = json_generator_to_data (generator, NULL);
  g_print ("%s\n", text);
}

static int
recover_folders (Recover *recover)
{
  KrRecoveryOptions options = {.dry_run = recover->dry_run, .progress = on_progress};
  int code = KR_EXIT_OK;

  for (guint i = 0; recover->folders[i] != NULL; i++) {
    KrIoError error = {0};

    if (!kr_recover_folder (recover->folders[i], &options, on_found, recover, &error)) {
      g_autofree char *text = kr_io_error_text (&error, recover->folders[i]);

      clear_progress (recover);
      code = kr_command_error (KR_EXIT_NO_INPUT, "give a folder with recordings", "%s", text);
    }
  }
  clear_progress (recover);
  return code;
}

static int
run_recover (Recover *recover)
{
  int code;

  if (recover->folders == NULL)
    return kr_command_error (KR_EXIT_USAGE, "keeprolling recover FOLDER", "no folder given");
  recover->show_progress = isatty (STDERR_FILENO) == 1;
  if (recover->json) {
    recover->builder = json_builder_new ();
    json_builder_begin_object (recover->builder);
    json_builder_set_member_name (recover->builder, "dry_run");
    json_builder_add_boolean_value (recover->builder, recover->dry_run);
    json_builder_set_member_name (recover->builder, "files");
    json_builder_begin_array (recover->builder);
  }
  code = recover_folders (recover);
  if (recover->json)
    print_json (recover);
  if (code == KR_EXIT_OK &&
      (recover->counts[KR_RECOVERY_FAILED] > 0 || recover->not_durable > 0))
    code = KR_EXIT_IO;
  return code;
}

int
kr_cmd_recover (int argc, char **argv)
{
  Recover recover = {0};
  const GOptionEntry entries[] = {
      {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &recover.dry_run, "only say what would be done",
       NULL},
      {"json", 0, 0, G_OPTION_ARG_NONE, &recover.json, "write the result as JSON", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &recover.folders, NULL, NULL},
      {NULL},
  };
  int code = KR_EXIT_USAGE;

  if (kr_command_options (
          entries, "FOLDER...",
          "Repairs and finalises the NAME.recording.EXT files that crashed instances left, in\n"
          "the folders and below. Files that a living instance writes are not touched, "
          "symbolic\n"
          "links are not followed, nothing with data in it is deleted: what does not play\n"
          "becomes NAME.quarantine.EXT.\n"
          "Exit status: 0 fine, 64 usage, 66 folder missing, 74 a file could not be recovered.",
          &argc, &argv))
    code = run_recover (&recover);
  g_clear_object (&recover.builder);
  g_strfreev (recover.folders);
  return code;
}
