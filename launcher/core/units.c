/* keeprolling - time spans and sizes as people write them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/units.h"

#include <string.h>

typedef struct {
  const char *name;
  guint64 factor;
} Unit;

/* The first name of each factor is the one that is printed. */
static const Unit time_units[] = {
    {"w", 604800000000},  {"weeks", 604800000000}, {"week", 604800000000},
    {"d", 86400000000},   {"days", 86400000000},   {"day", 86400000000},
    {"h", 3600000000},    {"hours", 3600000000},   {"hour", 3600000000},
    {"hr", 3600000000},   {"min", 60000000},       {"minutes", 60000000},
    {"minute", 60000000}, {"m", 60000000},         {"s", 1000000},
    {"seconds", 1000000}, {"second", 1000000},     {"sec", 1000000},
    {"ms", 1000},         {"msec", 1000},          {"us", 1},
    {"usec", 1},          {"\302\265s", 1},        {"\316\274s", 1},
};

static const Unit size_units[] = {
    {"T", (guint64)1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1}, {"", 1},
};

static const char *
skip_spaces (const char *text)
{
  while (*text == ' ' || *text == '\t')
    text++;
  return text;
}

/* Reads "1.25" as 1 + 250000/1000000; further digits are below what we resolve. */
static gboolean
read_number (const char **text, guint64 *ret_whole, guint64 *ret_millionths)
{
  const char *p = *text;
  guint64 whole = 0, millionths = 0, digit = 100000;

  if (!g_ascii_isdigit (*p))
    return FALSE;
  for (; g_ascii_isdigit (*p); p++)
    if (!g_uint64_checked_mul (&whole, whole, 10) ||
        !g_uint64_checked_add (&whole, whole, (guint64)(*p - '0')))
      return FALSE;
  if (*p == '.') {
    p++;
    if (!g_ascii_isdigit (*p))
      return FALSE;
    for (; g_ascii_isdigit (*p); p++, digit /= 10)
      millionths += digit * (guint64)(*p - '0');
  }
  *text = p;
  *ret_whole = whole;
  *ret_millionths = millionths;
  return TRUE;
}

/* The end of the letters at @text; the micro sign is two bytes that are no ASCII. */
static gsize
word_length (const char *text)
{
  gsize n = 0;

  while (g_ascii_isalpha (text[n]) || (guchar)text[n] >= 0x80)
    n++;
  return n;
}

static const Unit *
find_unit (const Unit *units, guint n_units, const char *word, gsize length)
{
  for (guint i = 0; i < n_units; i++)
    if (strlen (units[i].name) == length && strncmp (units[i].name, word, length) == 0)
      return &units[i];
  return NULL;
}

/* @total += (whole + millionths / 10^6) * factor, FALSE on overflow. */
static gboolean
add_product (guint64 *total, guint64 whole, guint64 millionths, guint64 factor)
{
  guint64 product;
  guint64 part = factor / 1000000 * millionths + factor % 1000000 * millionths / 1000000;

  return g_uint64_checked_mul (&product, whole, factor) &&
         g_uint64_checked_add (&product, product, part) &&
         g_uint64_checked_add (total, *total, product);
}

gboolean
kr_parse_time_span (const char *text, gint64 *ret_us)
{
  static const Unit seconds = {"", 1000000};
  guint64 total = 0;

  text = skip_spaces (text);
  do {
    const Unit *unit = &seconds;
    guint64 whole, millionths;
    gsize length;

    if (!read_number (&text, &whole, &millionths))
      return FALSE;
    text = skip_spaces (text);
    length = word_length (text);
    if (length > 0)
      unit = find_unit (time_units, G_N_ELEMENTS (time_units), text, length);
    if (unit == NULL || !add_product (&total, whole, millionths, unit->factor))
      return FALSE;
    text = skip_spaces (text + length);
  } while (*text != '\0');
  if (total > G_MAXINT64)
    return FALSE;
  *ret_us = (gint64)total;
  return TRUE;
}

gboolean
kr_parse_size (const char *text, guint64 *ret_bytes)
{
  guint64 total = 0, whole, millionths;
  const Unit *unit;
  gsize length;

  text = skip_spaces (text);
  if (!read_number (&text, &whole, &millionths))
    return FALSE;
  text = skip_spaces (text);
  length = word_length (text);
  unit = find_unit (size_units, G_N_ELEMENTS (size_units), text, length);
  if (unit == NULL || !add_product (&total, whole, millionths, unit->factor) ||
      *skip_spaces (text + length) != '\0')
    return FALSE;
  *ret_bytes = total;
  return TRUE;
}

char *
kr_format_time_span (gint64 us)
{
  GString *text = g_string_new (NULL);
  guint64 rest = (guint64)MAX (us, 0), last = 0;

  for (guint i = 0; i < G_N_ELEMENTS (time_units) && rest > 0; i++) {
    guint64 factor = time_units[i].factor;

    if (factor != last && rest >= factor) {
      g_string_append_printf (text, "%s%" G_GUINT64_FORMAT "%s", text->len > 0 ? " " : "",
                              rest / factor, time_units[i].name);
      rest %= factor;
    }
    last = factor;
  }
  return g_string_free (text->len > 0 ? text : g_string_append_c (text, '0'), FALSE);
}

char *
kr_format_size (guint64 bytes)
{
  for (guint i = 0; i < G_N_ELEMENTS (size_units); i++)
    if (bytes >= size_units[i].factor && bytes % size_units[i].factor == 0 &&
        size_units[i].factor > 1)
      return g_strdup_printf ("%" G_GUINT64_FORMAT "%s", bytes / size_units[i].factor,
                              size_units[i].name);
  return g_strdup_printf ("%" G_GUINT64_FORMAT, bytes);
}
