/* keeprolling - taking the secrets out of a text
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/redact.h"

#include <string.h>

/* The longest "(type)" in front of a value. */
#define MAX_TYPE 64

/* Names whose values are secrets: properties of GStreamer's network elements, parameters of
 * SRT, RTMP, RTSP and HTTP URIs, and what people call such things. Lower case; '-' also stands
 * for '_' or nothing. A name counts only as a whole word. */
static const char *const secret_names[] = {
    "access-token", "api-key",    "auth",       "auth-token",    "authorization",
    "key",          "passphrase", "passwd",     "password",      "pbkey",
    "proxy-pw",     "pw",         "secret",     "secret-key",    "session-token",
    "sig",          "signature",  "stream-key", "stream-id",     "token",
    "user-pw",      "webhook",    "access-key", "client-secret", "proxy-authorization",
};

static gboolean
is_word (char c)
{
  return g_ascii_isalnum (c) || c == '_' || c == '-';
}

static gboolean
is_space (char c)
{
  return c == ' ' || c == '\t';
}

/* Whether @word is @name, ignoring case, '-' and '_'. */
static gboolean
matches_name (const char *word, gsize length, const char *name)
{
  gsize i = 0;

  for (; *name != '\0'; name++) {
    if (*name == '-')
      continue;
    while (i < length && (word[i] == '-' || word[i] == '_'))
      i++;
    if (i == length || g_ascii_tolower (word[i]) != *name)
      return FALSE;
    i++;
  }
  return i == length;
}

static gboolean
is_secret_name (const char *word, gsize length)
{
  for (guint i = 0; i < G_N_ELEMENTS (secret_names); i++) {
    if (matches_name (word, length, secret_names[i]))
      return TRUE;
  }
  return FALSE;
}

/* The end of a value that begins at @p: its closing quote, or where an unquoted one ends. SRT
 * stream ids contain '#', ':', ',' and '='. */
static const char *
value_end (const char *p, char quote)
{
  for (; *p != '\0'; p++) {
    if (quote != '\0' && *p == '\\' && p[1] != '\0')
      p++;
    else if (quote != '\0' && *p == quote)
      break;
    else if (quote == '\0' && strchr (" \t\r\n&\"'<>", *p) != NULL)
      break;
  }
  return p;
}

/* "Bearer" and "Basic" are followed by the secret itself. */
static const char *
skip_scheme (const char *p)
{
  static const char *const schemes[] = {"bearer ", "basic "};

  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++) {
    if (g_ascii_strncasecmp (p, schemes[i], strlen (schemes[i])) == 0)
      return p + strlen (schemes[i]);
  }
  return p;
}

/* If a separator and a value follow a secret name at @p: where the value begins, its quote and
 * its end. The name itself may have been quoted, as in JSON; GStreamer's caps and structures
 * put a type in between: "passphrase=(string)x". */
static const char *
find_value (const char *p, char *ret_quote, const char **ret_end)
{
  char quote = '\0';

  while (*p == '\\') /* quotes within a quoted text */
    p++;
  if (*p == '"' || *p == '\'')
    p++;
  while (is_space (*p))
    p++;
  if (*p == '%' && p[1] == '3' && (p[2] == 'D' || p[2] == 'd'))
    p += 3;
  else if (*p == '=' || *p == ':')
    p++;
  else
    return NULL;
  while (is_space (*p))
    p++;
  if (*p == '(') {
    const char *close = memchr (p, ')', strnlen (p, MAX_TYPE));

    if (close != NULL)
      p = close + 1;
  }
  while (*p == '\\')
    p++;
  if (*p == '"' || *p == '\'')
    quote = *p++;
  p = skip_scheme (p);
  *ret_quote = quote;
  *ret_end = value_end (p, quote);
  return *ret_end > p ? p : NULL;
}

/* Copies the name at *@p, and its value as asterisks if it is a secret one; moves *@p on. */
static void
copy_word (GString *out, const char **p)
{
  const char *word = *p;
  const char *value, *end = NULL;
  gsize length = 0;
  char quote;

  while (is_word (word[length]))
    length++;
  *p = word + length;
  if (is_secret_name (word, length)) {
    value = find_value (word + length, &quote, &end);
  } else if ((length == 6 && g_ascii_strncasecmp (word, "bearer", 6) == 0) && word[6] == ' ') {
    value = word + 7;
    end = value_end (value, '\0');
  } else {
    value = NULL;
  }
  if (value == NULL || end == value) {
    g_string_append_len (out, word, (gssize)length);
    return;
  }
  g_string_append_len (out, word, value - word);
  g_string_append (out, KR_REDACTED);
  *p = end;
}

/* Where the authority of a URI ends. */
static const char *
authority_end (const char *p)
{
  return p + strcspn (p, "/?#\"' \t\r\n<>");
}

/* An RTMP URI is rtmp://HOST/APP/KEY: whoever knows KEY can broadcast in somebody's name. */
static void
copy_rtmp_path (GString *out, const char **p)
{
  const char *end = value_end (*p, '\0');
  const char *key = *p < end ? memchr (*p + 1, '/', (gsize)(end - *p - 1)) : NULL;

  if (key == NULL || key + 1 == end)
    return;
  g_string_append_len (out, *p, key + 1 - *p);
  g_string_append (out, KR_REDACTED);
  *p = end;
}

/* The last '@' from @p up to where a query or the URI ends, NULL if there is none. People do
 * not encode the '/' and '@' in their passwords: looking that far takes the path of some URIs
 * without a secret along. @clear_until saves looking at the same bytes again. */
static const char *
find_at (const char *p, const char **clear_until)
{
  const char *at = NULL;

  if (p < *clear_until)
    return NULL;
  for (; strchr ("?\"' \t\r\n<>", *p) == NULL; p++) {
    if (*p == '@')
      at = p;
  }
  *clear_until = at == NULL ? p : at;
  return at;
}

/* *@p stands behind "://". */
static void
copy_authority (GString *out, const char **p, gboolean rtmp, const char **clear_until)
{
  const char *at = find_at (*p, clear_until);
  const char *end;

  if (at != NULL) {
    g_string_append (out, KR_REDACTED);
    *p = at;
  }
  end = authority_end (*p);
  g_string_append_len (out, *p, end - *p);
  *p = end;
  if (rtmp)
    copy_rtmp_path (out, p);
}

static gboolean
ends_in_rtmp_scheme (const GString *out)
{
  gsize start = out->len;

  while (start > 0 && g_ascii_isalpha (out->str[start - 1]))
    start--;
  return g_ascii_strncasecmp (out->str + start, "rtmp", 4) == 0;
}

char *
kr_redact (const char *text)
{
  GString *out;
  const char *p = text;
  const char *clear_until = text;

  g_return_val_if_fail (text != NULL, NULL);
  out = g_string_sized_new (strlen (text) + 8);
  while (*p != '\0') {
    if (strncmp (p, "://", 3) == 0) {
      gboolean rtmp = ends_in_rtmp_scheme (out);

      g_string_append (out, "://");
      p += 3;
      copy_authority (out, &p, rtmp, &clear_until);
    } else if (is_word (*p)) {
      copy_word (out, &p);
    } else {
      g_string_append_c (out, *p++);
    }
  }
  return g_string_free (out, FALSE);
}

char *
kr_redact_uri (const char *uri)
{
  const char *host = strstr (uri, "://");
  const char *end, *at;

  if (host == NULL)
    return g_strdup (KR_REDACTED);
  host += 3;
  end = authority_end (host);
  at = g_strrstr_len (host, end - host, "@");
  return g_strdup_printf ("%.*s%.*s/...", (int)(host - uri), uri,
                          (int)(end - (at != NULL ? at + 1 : host)),
                          at != NULL ? at + 1 : host);
}
