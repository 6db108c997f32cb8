/* keeprolling - cuts a launch line into words
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/launch-tokens.h"

#include <string.h>

/* Each matcher returns the length of its match at @p, 0 = none. */

static gsize
match_spaces (const char *p)
{
  gsize n = 0;

  while (g_ascii_isspace (p[n]) || p[n] == '\v')
    n++;
  return n;
}

static gsize
match_identifier (const char *p)
{
  gsize n = 0;

  if (!g_ascii_isalnum (*p) && *p != '_')
    return 0;
  while (g_ascii_isalnum (p[n]) || (p[n] != '\0' && strchr ("-_%:", p[n]) != NULL))
    n++;
  return n;
}

/* Up to the closing quote; \" is one only if no other follows. */
static gsize
match_quoted (const char *p, char quote)
{
  gsize escaped_end = 0;

  if (*p != quote)
    return 0;
  for (gsize i = 1; p[i] != '\0'; i++) {
    if (p[i] != quote)
      continue;
    if (p[i - 1] != '\\' || i == 1)
      return i + 1;
    escaped_end = i + 1;
  }
  return escaped_end;
}

static gsize
match_string (const char *p)
{
  gsize plain = 0, quoted = MAX (match_quoted (p, '"'), match_quoted (p, '\''));

  for (;;) {
    if (p[plain] == '\\' && p[plain + 1] != '\0' && p[plain + 1] != '\n')
      plain += 2;
    else if (p[plain] != '\0' && match_spaces (p + plain) == 0)
      plain++;
    else
      return MAX (plain, quoted);
  }
}

/* @n is the length of the name: adds " = value". */
static gsize
match_assign (const char *p, gsize n)
{
  gsize value;

  if (n == 0)
    return 0;
  n += match_spaces (p + n);
  if (p[n++] != '=')
    return 0;
  n += match_spaces (p + n);
  value = match_string (p + n);
  return value > 0 ? n + value : 0;
}

static gsize
match_reference (const char *p)
{
  gsize n = match_identifier (p);

  if (n == 0 || p[n] != '.')
    return 0;
  return n + 1 + match_identifier (p + n + 1);
}

static gsize
match_bin (const char *p)
{
  gsize n = match_identifier (p);

  if (n == 0)
    return 0;
  n += match_spaces (p + n);
  if (p[n++] != '.')
    return 0;
  n += match_spaces (p + n);
  return p[n] == '(' ? n + 1 : 0;
}

static gsize
match_uri (const char *p)
{
  gsize n = 0;

  if (g_ascii_isalpha (*p))
    while (g_ascii_isalnum (p[n]) || (p[n] != '\0' && strchr ("+,-.", p[n]) != NULL))
      n++;
  if (n > 0 && strncmp (p + n, "://", 3) == 0)
    return n + 3 + match_string (p + n + 3);
  n = *p == '.' ? 1 : 0;
  if (p[n] == '/' && match_string (p + n + 1) > 0)
    return n + 1 + match_string (p + n + 1);
  return 0;
}

gsize
kr_launch_media_type (const char *p)
{
  gsize n = 0, slash;

  while (g_ascii_isalnum (p[n]) || p[n] == '-')
    n++;
  if (n == 0 || p[n] != '/')
    return 0;
  slash = n++;
  while (g_ascii_isalnum (p[n]) || p[n] == '-')
    n++;
  return n > slash + 1 ? n : 0;
}

/* "!" alone, or "! caps !" with the caps up to the next "!" that is not escaped. */
static gsize
match_link (const char *p)
{
  gsize n = 1, type, colon = 0;

  if (*p != '!' && *p != ':')
    return 0;
  n += match_spaces (p + n);
  while ((type = kr_launch_media_type (p + n)) > 0) {
    for (n += type; p[n] != '\0' && p[n] != '!' && p[n] != ';'; n++) {
      if (p[n] == '\\' && p[n + 1] != '\0')
        n++;
      else if (p[n] == ':')
        colon = n + 1;
    }
    if (p[n] == '!')
      return n + 1;
    if (p[n] == '\0')
      break;
    n++;
    n += match_spaces (p + n);
  }
  return MAX (colon, 1);
}

static gsize
match_preset (const char *p)
{
  return strncmp (p, "@preset", 7) == 0 ? match_assign (p, 7) : 0;
}

static gsize
match_pad (const char *p)
{
  gsize n = *p == '.' ? match_identifier (p + 1) : 0;

  return n > 0 ? n + 1 : 0;
}

KrToken
kr_launch_token (const char *text, gsize offset)
{
  gsize start = offset + match_spaces (text + offset);
  const char *p = text + start;
  const gsize lengths[] = {
      [KR_TOKEN_ASSIGNMENT] = match_assign (p, match_identifier (p)),
      [KR_TOKEN_PRESET] = match_preset (p),
      [KR_TOKEN_PADREF] = match_pad (p),
      [KR_TOKEN_REFERENCE] = match_reference (p),
      [KR_TOKEN_BIN] = match_bin (p),
      [KR_TOKEN_IDENTIFIER] = match_identifier (p),
      [KR_TOKEN_LINK] = match_link (p),
      [KR_TOKEN_URI] = match_uri (p),
      [KR_TOKEN_OTHER] = *p != '\0' ? (gsize)(g_utf8_next_char (p) - p) : 0,
  };
  KrToken token = {KR_TOKEN_END, start, start};

  for (guint type = KR_TOKEN_ASSIGNMENT; type <= KR_TOKEN_OTHER; type++)
    if (start + lengths[type] > token.end)
      token = (KrToken){(KrTokenType)type, start, start + lengths[type]};
  return token;
}
