/* keeprolling - the command
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <locale.h>
#include <string.h>

#include "launcher/app/commands.h"
#include "launcher/core/nearest.h"
#include "launcher/engine/engine.h"

typedef struct {
  const char *name;
  int (*run) (int argc, char **argv);
  const char *summary; /* NULL = hidden: not for people */
} Command;

/* In alphabetical order: --help prints them so. */
static const Command commands[] = {
    {"analyze", kr_cmd_analyze, "judge the timing and continuity of transport streams"},
    {"check", kr_cmd_check, "check pipeline files and report everything that is wrong"},
    {"recover", kr_cmd_recover, "finalise what crashed recordings left behind"},
    {"reload", kr_cmd_reload, "take over pipeline files that have changed, without a gap"},
    {"resume-check", kr_cmd_resume_check, NULL},
    {"run", kr_cmd_run, "run pipeline files and keep them running"},
    {"status", kr_cmd_status, "show how the files that run are doing"},
    {"stop", kr_cmd_stop, "end files that run in good order"},
    {"worker", kr_cmd_worker, NULL},
    {NULL, NULL, NULL},
};

static void
print_help (void)
{
  g_print ("Usage:\n"
           "  keeprolling COMMAND [OPTION...] [ARGUMENT...]\n"
           "\n"
           "Keeps live recordings and live programmes running unattended.\n"
           "\n"
           "Commands:\n");
  for (const Command *command = commands; command->name != NULL; command++)
    if (command->summary != NULL)
      g_print ("  %-10s %s\n", command->name, command->summary);
  g_print (
      "\n"
      "Options:\n"
      "  --help     show this text\n"
      "  --version  show the version\n"
      "\n"
      "keeprolling COMMAND --help shows the options of a command. The manual: keeprolling(1),\n"
      "and keeprolling-pipeline(5) for pipeline files.\n");
}

static int
unknown_command (const char *word)
{
  const char *names[G_N_ELEMENTS (commands)] = {NULL};
  g_autofree char *hint = NULL;
  guint n = 0;

  for (const Command *command = commands; command->name != NULL; command++)
    if (command->summary != NULL)
      names[n++] = command->name;
  hint = kr_nearest_hint (word, names, "keeprolling --help lists the commands");
  return kr_command_error (KR_EXIT_USAGE, hint, "unknown %s '%s'",
                           word[0] == '-' ? "option" : "command", word);
}

int
main (int argc, char **argv)
{
  /* Not LC_NUMERIC: numbers look the same everywhere. */
  setlocale (LC_CTYPE, "");
  g_set_prgname ("keeprolling");
  kr_engine_prepare ();

  if (argc < 2)
    return kr_command_error (KR_EXIT_USAGE, "keeprolling --help lists the commands",
                             "no command given");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0 ||
      strcmp (argv[1], "help") == 0) {
    print_help ();
    return KR_EXIT_OK;
  }
  if (strcmp (argv[1], "--version") == 0) {
    g_print ("keeprolling %s\n", VERSION);
    return KR_EXIT_OK;
  }
  for (const Command *command = commands; command->name != NULL; command++)
    if (strcmp (argv[1], command->name) == 0)
      return command->run (argc - 1, argv + 1);
  return unknown_command (argv[1]);
}
