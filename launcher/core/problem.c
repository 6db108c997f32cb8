/* keeprolling - one thing that is wrong with a pipeline file, and where
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/problem.h"

#define MAX_WORD_CHARACTERS 60

void
kr_problem_free (KrProblem *problem)
{
  if (problem == NULL)
    return;
  g_free (problem->path);
  g_free (problem->message);
  g_free (problem->hint);
  g_free (problem);
}

GPtrArray *
kr_problems_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify)kr_problem_free);
}

void
kr_problems_add (GPtrArray *problems, const char *path, KrPlace place, char *hint,
                 const char *format, ...)
{
  KrProblem *problem;
  va_list args;

  problem = g_new0 (KrProblem, 1);
  problem->path = g_strdup (path);
  problem->place = place;
  problem->hint = hint;
  va_start (args, format);
  problem->message = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (problems, problem);
}

static int
compare_places (gconstpointer a, gconstpointer b, gpointer data)
{
  const KrProblem *x = *(const KrProblem *const *)a;
  const KrProblem *y = *(const KrProblem *const *)b;

  if (x->place.line != y->place.line)
    return x->place.line < y->place.line ? -1 : 1;
  if (x->place.column != y->place.column)
    return x->place.column < y->place.column ? -1 : 1;
  return 0;
}

void
kr_problems_sort (GPtrArray *problems, guint first)
{
  g_return_if_fail (first <= problems->len);
  if (problems->len - first < 2)
    return;
  /* Documented as stable, unlike qsort(). */
  g_qsort_with_data (problems->pdata + first, (int)(problems->len - first), sizeof (gpointer),
                     compare_places, NULL);
}

char *
kr_problem_to_string (const KrProblem *problem)
{
  return g_strdup_printf ("%s:%u:%u: error: %s\n  hint: %s\n", problem->path,
                          problem->place.line, problem->place.column, problem->message,
                          problem->hint);
}

char *
kr_quote_word (const char *word)
{
  GString *quoted = g_string_new ("'");
  guint n = 0;

  for (const char *p = word; *p != '\0'; n++) {
    gunichar c = g_utf8_get_char_validated (p, -1);

    if (n == MAX_WORD_CHARACTERS) {
      g_string_append (quoted, "...");
      break;
    }
    if (c == (gunichar)-1 || c == (gunichar)-2 || g_unichar_iscntrl (c)) {
      g_string_append_printf (quoted, "\\x%02x", (guchar)*p++);
      continue;
    }
    g_string_append_unichar (quoted, c);
    p = g_utf8_next_char (p);
  }
  g_string_append_c (quoted, '\'');
  return g_string_free (quoted, FALSE);
}
