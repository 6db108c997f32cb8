/* keeprolling - worker: what run starts for each pipeline file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "launcher/app/pipeline-files.h"
#include "launcher/app/worker.h"
#include "launcher/services/worker-channel.h"

int
kr_cmd_worker (int argc, char **argv)
{
  g_auto (GStrv) set = NULL;
  g_autoptr (GHashTable) values = NULL;
  const GOptionEntry entries[] = {
      {"set", 's', 0, G_OPTION_ARG_FILENAME_ARRAY, &set, "set a variable of the file",
       "NAME=VALUE"},
      {NULL},
  };
  struct stat line;

  if (!kr_command_options (
          entries, "[FILE]",
          "Runs the pipelines of one file without a supervisor. Without FILE it "
          "is what \"keeprolling run\" starts.",
          &argc, &argv))
    return KR_EXIT_USAGE;
  if (argc > 2)
    return kr_command_error (KR_EXIT_USAGE, "keeprolling run FILE...", "one file at most");
  values = kr_set_values_parse (set);
  if (values == NULL)
    return KR_EXIT_CONFIG;
  if (argc == 2)
    return kr_worker_run_file (argv[1], values);
  if (fstat (KR_WORKER_CHANNEL_FD, &line) != 0 || !S_ISSOCK (line.st_mode))
    return kr_command_error (KR_EXIT_USAGE, "keeprolling run FILE...",
                             "\"worker\" is for keeprolling run, not for people");
  return kr_worker_run (KR_WORKER_CHANNEL_FD);
}
