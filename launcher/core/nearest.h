/* keeprolling - "did you mean ...?"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * kr_nearest:
 * @word: what the user wrote
 * @candidates: (array zero-terminated=1): what there is
 *
 * Finds what the user most likely meant: the candidate with the least edits (insert, delete,
 * replace, swap of neighbours; case does not count), as long as less than about a third of the
 * word would have to change; or else the only candidate that begins with @word.
 *
 * Returns: (nullable): the element of @candidates, or NULL if none is near
 */
const char *kr_nearest (const char *word, const char *const *candidates);

/**
 * kr_nearest_hint:
 * @word: what the user wrote
 * @candidates: (array zero-terminated=1): what there is
 * @format: what to say when nothing is near, a printf format
 *
 * Returns: (transfer full): "did you mean NAME?", or the text from @format
 */
char *kr_nearest_hint (const char *word, const char *const *candidates, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

G_END_DECLS
