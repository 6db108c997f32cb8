/* keeprolling - the subcommands
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/exit-code.h"

G_BEGIN_DECLS

/* One file cmd-NAME.c each, one row in the table of main.c, and one section in
 * docs/keeprolling.1.scd, options and all: tests/integration/test_manual.py compares.
 * argv[0] is the subcommand's name; argv is NULL-terminated and may be reordered. The result is
 * a KrExitCode. */
int kr_cmd_analyze (int argc, char **argv);
int kr_cmd_check (int argc, char **argv);
int kr_cmd_recover (int argc, char **argv);
int kr_cmd_reload (int argc, char **argv);
int kr_cmd_resume_check (int argc, char **argv);
int kr_cmd_run (int argc, char **argv);
int kr_cmd_status (int argc, char **argv);
int kr_cmd_stop (int argc, char **argv);
int kr_cmd_worker (int argc, char **argv);

/**
 * kr_command_options:
 * @entries: (array zero-terminated=1): the options of the subcommand
 * @arguments: (nullable): what follows the options, for --help: "FILE..."
 * @description: (nullable): what --help says below the options
 * @argc: (inout): of the subcommand
 * @argv: (inout): of the subcommand; options are taken out, argv[0] stays
 *
 * Parses the options of a subcommand. Says on stderr what is wrong with them, with the nearest
 * option that exists. --help prints and exits with 0.
 *
 * Returns: FALSE if the command line is wrong: return KR_EXIT_USAGE then
 */
gboolean kr_command_options (const GOptionEntry *entries, const char *arguments,
                             const char *description, int *argc, char ***argv);

/**
 * kr_command_hide:
 * @words: (array zero-terminated=1): the words of the command line, as main() got them
 * @values: (array zero-terminated=1) (nullable): copies of what was given to an option
 *
 * Overwrites the secrets among @values where they stand in @words: everybody on the machine can
 * read the command line of a process that runs for months.
 */
void kr_command_hide (char **words, char **values);

/* Prints "keeprolling: MESSAGE" and "  hint: HINT" to stderr; returns @code. @hint may be NULL.
 */
int kr_command_error (KrExitCode code, const char *hint, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

/* What kr_command_error() has to say in this thread is appended to @text instead; NULL ends
 * that.
 */
void kr_command_capture_errors (GString *text);

G_END_DECLS
