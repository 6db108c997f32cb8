/* keeprolling - "did you mean ...?"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/nearest.h"

#include <string.h>

/* Longer words are not typing mistakes; the bound keeps the three rows on the stack. */
#define MAX_WORD 64

/* Optimal string alignment distance: Levenshtein's, plus the swap of two neighbours (Damerau).
 */
static guint
edit_distance (const char *a, gsize a_len, const char *b, gsize b_len)
{
  guint rows[3][MAX_WORD + 1];
  guint *before = rows[0], *last = rows[1], *now = rows[2];

  for (gsize j = 0; j <= b_len; j++)
    last[j] = (guint)j;
  for (gsize i = 1; i <= a_len; i++) {
    guint *recycled = before;

    now[0] = (guint)i;
    for (gsize j = 1; j <= b_len; j++) {
      char x = g_ascii_tolower (a[i - 1]);
      char y = g_ascii_tolower (b[j - 1]);
      guint cost = MIN (MIN (last[j], now[j - 1]) + 1, last[j - 1] + (x != y));

      if (i > 1 && j > 1 && x == g_ascii_tolower (b[j - 2]) && y == g_ascii_tolower (a[i - 2]))
        cost = MIN (cost, before[j - 2] + 1);
      now[j] = cost;
    }
    before = last;
    last = now;
    now = recycled;
  }
  return last[b_len];
}

static const char *
only_completion (const char *word, gsize length, const char *const *candidates)
{
  const char *found = NULL;

  if (length < 3)
    return NULL;
  for (guint i = 0; candidates[i] != NULL; i++) {
    if (g_ascii_strncasecmp (candidates[i], word, length) != 0)
      continue;
    if (found != NULL)
      return NULL;
    found = candidates[i];
  }
  return found;
}

const char *
kr_nearest (const char *word, const char *const *candidates)
{
  gsize length = strlen (word);
  guint best = G_MAXUINT;
  const char *found = NULL;

  if (length == 0 || length > MAX_WORD)
    return NULL;
  for (guint i = 0; candidates[i] != NULL; i++) {
    gsize other = strlen (candidates[i]);
    guint distance;

    if (other > MAX_WORD)
      continue;
    distance = edit_distance (word, length, candidates[i], other);
    if (distance < best && distance <= MAX (length, other) / 3) {
      best = distance;
      found = candidates[i];
    }
  }
  return found != NULL ? found : only_completion (word, length, candidates);
}

char *
kr_nearest_hint (const char *word, const char *const *candidates, const char *format, ...)
{
  const char *nearest = kr_nearest (word, candidates);
  char *text;
  va_list args;

  if (nearest != NULL)
    return g_strdup_printf ("did you mean %s?", nearest);
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  return text;
}
