/* keeprolling - resume-check: whether this program could go on in the place of another one
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include "launcher/app/renewal.h"

/* For the supervisor, with the state on descriptor 3. */
int
kr_cmd_resume_check (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (KrResumeState) state = kr_resume_state_from_fd (3, &error);
  g_autoptr (GString) problems = g_string_new (NULL);
  g_autoptr (GPtrArray) files = NULL;

  if (state == NULL)
    return kr_command_error (KR_EXIT_DATA, NULL, "%s", error->message);
  files = kr_renewal_load_files (state, problems);
  if (files == NULL) {
    g_printerr ("%s", problems->str);
    return KR_EXIT_DATA;
  }
  return KR_EXIT_OK;
}
