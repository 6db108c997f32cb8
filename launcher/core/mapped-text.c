/* keeprolling - text that knows where in a file each of its bytes comes from
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/mapped-text.h"

KrPlace
kr_spans_place (const GArray *spans, const char *text, gsize offset)
{
  KrPlace place = {1, 1};
  const KrSpan *span = NULL;
  guint low = 0, high = spans->len;

  /* The last span that begins at or before the offset. */
  while (low < high) {
    guint middle = low + (high - low) / 2;

    if (g_array_index (spans, KrSpan, middle).offset <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0)
    return place;
  span = &g_array_index (spans, KrSpan, low - 1);
  place = span->place;
  if (span->literal)
    for (gsize i = span->offset; i < offset && text[i] != '\0'; i++)
      place.column += ((guchar)text[i] & 0xC0) != 0x80;
  return place;
}
