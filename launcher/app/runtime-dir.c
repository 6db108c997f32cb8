/* keeprolling - where a running process keeps what others look for
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/runtime-dir.h"

#include <string.h>

static char *
default_dir (const char *variable, const char *base)
{
  const char *given = g_getenv (variable);

  /* systemd gives several folders separated by colons; the first is ours. */
  if (given != NULL && given[0] != '\0')
    return g_strndup (given, strcspn (given, ":"));
  return g_build_filename (base, "keeprolling", NULL);
}

char *
kr_default_runtime_dir (void)
{
  return default_dir ("RUNTIME_DIRECTORY", g_get_user_runtime_dir ());
}

char *
kr_default_state_dir (void)
{
  return default_dir ("STATE_DIRECTORY", g_get_user_state_dir ());
}
