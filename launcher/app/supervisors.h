/* keeprolling - the supervisors that a command is about
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <json-glib/json-glib.h>

#include "launcher/core/exit-code.h"

G_BEGIN_DECLS

/* One that runs. */
typedef struct {
  char *path; /* of its socket */
  gint64 pid;
  JsonNode *status; /* the object that /status gives */
} KrRunning;

/**
 * kr_running_find:
 * @runtime_dir: (nullable): the one folder to look in; NULL = where run puts its socket by
 * default, and where systemd's units do
 * @ret_where: (out) (transfer full): the folders, for people
 *
 * Asks all of them for their status.
 *
 * Returns: (transfer full) (element-type KrRunning): those that answer; others are told of on
 * stderr
 */
GPtrArray *kr_running_find (const char *runtime_dir, char **ret_where);

/* The objects of its "files" (name, path, state) and "pipelines". */
JsonArray *kr_running_files (const KrRunning *running);
JsonArray *kr_running_pipelines (const KrRunning *running);

/* Whether @word (a name or a path) means @file, an element of "files". */
gboolean kr_running_is_file (JsonObject *file, const char *word);

/* Says that nothing runs, or that none of them has the file. */
int kr_running_none (const char *where);
int kr_running_no_file (GPtrArray *running, const char *word);

/* Whether one of @running has a file that @word means. */
gboolean kr_running_has_file (GPtrArray *running, const char *word);

G_END_DECLS
