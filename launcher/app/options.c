/* keeprolling - what all subcommands need to read their command line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <string.h>

#include "launcher/core/nearest.h"
#include "launcher/core/redact.h"

/* Where this thread's errors go; NULL = stderr. */
static GPrivate capture;

void
kr_command_capture_errors (GString *text)
{
  g_private_set (&capture, text);
}

int
kr_command_error (KrExitCode code, const char *hint, const char *format, ...)
{
  GString *text = g_private_get (&capture);
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  if (text != NULL) {
    g_string_append_printf (text, "keeprolling: %s\n", message);
    if (hint != NULL)
      g_string_append_printf (text, "  hint: %s\n", hint);
    return code;
  }
  g_printerr ("keeprolling: %s\n", message);
  if (hint != NULL)
    g_printerr ("  hint: %s\n", hint);
  return code;
}

/* The long option in @argv that @entries does not know, without its dashes and value. */
static char *
find_unknown_option (const GOptionEntry *entries, char **argv)
{
  for (guint i = 1; argv[i] != NULL && strcmp (argv[i], "--") != 0; i++) {
    g_autofree char *word = NULL;
    gboolean known = FALSE;

    if (!g_str_has_prefix (argv[i], "--"))
      continue;
    word = g_strndup (argv[i] + 2, strcspn (argv[i] + 2, "="));
    for (const GOptionEntry *entry = entries; entry->long_name != NULL && !known; entry++)
      known = strcmp (word, entry->long_name) == 0;
    if (!known)
      return g_steal_pointer (&word);
  }
  return NULL;
}

static char *
hint_for_unknown_option (const GOptionEntry *entries, const char *command, char **argv)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *word = find_unknown_option (entries, argv);
  const char *nearest;

  for (const GOptionEntry *entry = entries; entry->long_name != NULL; entry++)
    g_ptr_array_add (names, (gpointer)entry->long_name);
  g_ptr_array_add (names, NULL);
  nearest = word != NULL ? kr_nearest (word, (const char *const *)names->pdata) : NULL;
  if (nearest != NULL)
    return g_strdup_printf ("did you mean --%s?", nearest);
  return g_strdup_printf ("see keeprolling %s --help", command);
}

gboolean
kr_command_options (const GOptionEntry *entries, const char *arguments, const char *description,
                    int *argc, char ***argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (arguments);
  g_autofree char *command = g_strdup ((*argv)[0]);
  g_autofree char *program = g_strdup_printf ("keeprolling %s", command);
  g_autoptr (GError) error = NULL;
  gboolean fine;

  g_option_context_add_main_entries (context, entries, NULL);
  if (description != NULL)
    g_option_context_set_description (context, description);
  /* --help shows the program's name and exits. */
  g_set_prgname (program);
  fine = g_option_context_parse (context, argc, argv, &error);
  g_set_prgname ("keeprolling");
  if (!fine) {
    g_autofree char *hint = hint_for_unknown_option (entries, command, *argv);

    kr_command_error (KR_EXIT_USAGE, hint, "%s: %s", command, error->message);
  }
  return fine;
}

static void
hide_value (char *word, const char *value, const char *clean)
{
  gsize room = strlen (value);
  char *at = word + strlen (word) - room;

  memset (at, '\0', room);
  memcpy (at, clean, MIN (room, strlen (clean)));
}

void
kr_command_hide (char **words, char **values)
{
  for (guint i = 0; values != NULL && values[i] != NULL; i++) {
    g_autofree char *clean = kr_redact (values[i]);

    /* "--set", "NAME=VALUE" as well as "--set=NAME=VALUE" and "-sNAME=VALUE". */
    for (char **word = words; *word != NULL && strcmp (clean, values[i]) != 0; word++)
      if (g_str_has_suffix (*word, values[i]))
        hide_value (*word, values[i], clean);
  }
}
