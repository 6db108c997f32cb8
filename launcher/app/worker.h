/* keeprolling - the process that runs the pipelines of one file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/exit-code.h"

G_BEGIN_DECLS

/**
 * kr_worker_run:
 * @fd: the worker's end of the line to its supervisor
 *
 * Takes its configuration from the supervisor, runs the pipelines, reports each second, and
 * ends when it is told to, when SIGTERM or SIGINT comes (a second one forces it), when all its
 * pipelines have ended, or when the supervisor is gone. In each case the files are finished.
 *
 * Returns: the exit status
 */
KrExitCode kr_worker_run (int fd);

/**
 * kr_worker_run_file:
 * @path: a pipeline file
 * @set: (nullable): --set values, char* -> char*
 *
 * The same by hand, without a supervisor: for a debugger or a profiler.
 *
 * Returns: the exit status
 */
KrExitCode kr_worker_run_file (const char *path, GHashTable *set);

G_END_DECLS
