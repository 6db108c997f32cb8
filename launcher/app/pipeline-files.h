/* keeprolling - the pipeline files and --set values of a command line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/app/commands.h"

G_BEGIN_DECLS

/**
 * kr_pipeline_files_collect:
 * @arguments: (array zero-terminated=1): files, and folders whose *.pipeline files are meant
 * @paths: (element-type filename): gets the files, those of a folder by name; each file once
 *
 * Says on stderr what is missing, and which two files would have the same name in status and
 * metrics.
 *
 * Returns: KR_EXIT_OK, KR_EXIT_USAGE without arguments, KR_EXIT_NO_INPUT or KR_EXIT_CONFIG
 */
int kr_pipeline_files_collect (char **arguments, GPtrArray *paths);

/**
 * kr_pipeline_file_read:
 * @ret_length: (out): bytes read; one more than KR_PIPELINE_FILE_MAX_BYTES if there are more
 *
 * Returns: (transfer full) (nullable): the content, or NULL with @error set
 */
char *kr_pipeline_file_read (const char *path, gsize *ret_length, GError **error);

/**
 * kr_set_values_parse:
 * @set: (array zero-terminated=1) (nullable): "NAME=VALUE" each, as --set gives them
 *
 * Says on stderr what is wrong. The value may be a secret and is never shown.
 *
 * Returns: (transfer full) (nullable): char* -> char*; NULL: return KR_EXIT_CONFIG
 */
GHashTable *kr_set_values_parse (char **set);

/**
 * kr_set_values_check:
 * @values: as kr_set_values_parse() gave them
 * @known: set of char*: variables of all the files
 *
 * A value that no file uses is a slip of the pen: says so on stderr.
 *
 * Returns: FALSE if there is one: return KR_EXIT_CONFIG
 */
gboolean kr_set_values_check (GHashTable *values, GHashTable *known);

G_END_DECLS
