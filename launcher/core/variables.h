/* keeprolling - ${NAME} in the values of a pipeline file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/key-file.h"

G_BEGIN_DECLS

/* Where values come from, what is wrong with them, and what has been replaced so far. */
typedef struct _KrVariables KrVariables;

/**
 * kr_variables_new:
 * @path: what to call the file in problems
 * @definitions: (element-type KrEntry): the entries of [Variables]
 * @overrides: (nullable): --set values, char* -> char*; they beat @environment
 * @environment: (nullable): g_get_environ() form; beats @definitions
 * @max_bytes: bound on all replaced values together
 * @problems: (element-type KrProblem): gets what is wrong
 *
 * Borrows everything. Values from --set and the environment are taken as they are; the ones in
 * the file may use other variables.
 */
KrVariables *kr_variables_new (const char *path, const GPtrArray *definitions,
                               GHashTable *overrides, char **environment, gsize max_bytes,
                               GPtrArray *problems);
void kr_variables_free (KrVariables *variables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrVariables, kr_variables_free)

/**
 * kr_variables_expand:
 * @entry: the value to replace variables in
 * @ret_spans: (out) (nullable): array of KrSpan for the result
 * @ret_complete: (out): FALSE if a variable has no value: its "${NAME}" then stays in the text
 *
 * "${NAME}" is the variable's value, "$${" is "${" itself; any other "$" is just that.
 *
 * Returns: (transfer full): the text
 */
char *kr_variables_expand (KrVariables *variables, const KrEntry *entry, GArray **ret_spans,
                           gboolean *ret_complete);

/* Reports what is wrong with the definitions that nothing has used, unless they are overridden.
 */
void kr_variables_check_rest (KrVariables *variables);

/* Set of the names that are defined or were used. (transfer container; free with
 * g_hash_table_unref()) */
GHashTable *kr_variables_names (const KrVariables *variables);

/* Whether @name can be a variable: a letter or "_", then letters, digits, "_"; at most 64. */
gboolean kr_is_variable_name (const char *name);

G_END_DECLS
