/* keeprolling - one thing that is wrong with a pipeline file, and where
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where something stands in a file. Lines and columns count from 1; a column is one character,
 * not one byte, and a tab counts as one. */
typedef struct {
  guint line;
  guint column;
} KrPlace;

/* One thing wrong. Printed as "FILE:LINE:COLUMN: error: MESSAGE" and "  hint: HINT". */
typedef struct {
  char *path;
  KrPlace place;
  char *message; /* names the offending word */
  char *hint;    /* what would be right; never NULL */
} KrProblem;

void kr_problem_free (KrProblem *problem);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrProblem, kr_problem_free)

/* A list for problems, empty. Free with g_ptr_array_unref(). */
GPtrArray *kr_problems_new (void);

/**
 * kr_problems_add:
 * @problems: (element-type KrProblem): where to add it
 * @hint: (transfer full): what would be right
 * @format: the message, a printf format
 */
void kr_problems_add (GPtrArray *problems, const char *path, KrPlace place, char *hint,
                      const char *format, ...) G_GNUC_PRINTF (5, 6);

/* Sorts the entries from index @first on by their place; equal places keep their order. */
void kr_problems_sort (GPtrArray *problems, guint first);

/* "FILE:LINE:COLUMN: error: MESSAGE\n  hint: HINT\n" (transfer full) */
char *kr_problem_to_string (const KrProblem *problem);

/* @word fit for a message: in single quotes, control characters as \xNN, cut after 60
 * characters. (transfer full) */
char *kr_quote_word (const char *word);

G_END_DECLS
