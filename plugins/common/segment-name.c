/* keeprolling - names of segments: templates, temporary names, instance ids
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-name.h"

#include <limits.h>
#include <locale.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TEMP_MARK       ".recording"
#define QUARANTINE_MARK ".quarantine"
/* What may still be put into a name: the longer mark and "-99999". */
#define NAME_RESERVE 17
/* The largest number of fields and conversions in one location; nobody needs a tenth of it. */
#define MAX_PIECES 256

typedef enum {
  PIECE_LITERAL,
  PIECE_STRFTIME,
  PIECE_INSTANCE,
  PIECE_SEQ,
  PIECE_HOSTNAME,
} PieceKind;

typedef struct {
  PieceKind kind;
  char *text; /* the literal, or the conversion with its percent sign */
} Piece;

struct _KrSegmentTemplate {
  char *location;
  gboolean local_time;
  GArray *pieces;    /* of Piece */
  GPtrArray *levels; /* of GArray of Piece, borrowed from pieces: components below the root */
  char *root;
};

/* The conversions that make sense in a name, and what they expand to. Those left out depend on
 * the locale, hold a '/', or have control characters. */
static const struct {
  char conversion;
  const char *pattern;
} conversions[] = {
    {'Y', "[0-9]{4,}"},
    {'m', "[0-9]{2}"},
    {'d', "[0-9]{2}"},
    {'H', "[0-9]{2}"},
    {'M', "[0-9]{2}"},
    {'S', "[0-9]{2}"},
    {'F', "[0-9]{4,}-[0-9]{2}-[0-9]{2}"},
    {'T', "[0-9]{2}:[0-9]{2}:[0-9]{2}"},
    {'R', "[0-9]{2}:[0-9]{2}"},
    {'s', "[0-9]+"},
    {'j', "[0-9]{3}"},
    {'y', "[0-9]{2}"},
    {'C', "[0-9]{2}"},
    {'G', "[0-9]{4,}"},
    {'g', "[0-9]{2}"},
    {'V', "[0-9]{2}"},
    {'U', "[0-9]{2}"},
    {'W', "[0-9]{2}"},
    {'u', "[1-7]"},
    {'w', "[0-6]"},
    {'I', "[0-9]{2}"},
    {'p', "[AP]M"},
    {'a', "[A-Z][a-z]{2}"},
    {'A', "[A-Z][a-z]+"},
    {'b', "[A-Z][a-z]{2}"},
    {'B', "[A-Z][a-z]+"},
    {'z', "[+-][0-9]{4}"},
    {'Z', "[A-Za-z0-9+-]+"},
};

static const struct {
  const char *name;
  PieceKind kind;
} fields[] = {
    {"{instance}", PIECE_INSTANCE},
    {"{seq}", PIECE_SEQ},
    {"{hostname}", PIECE_HOSTNAME},
};

GQuark
kr_segment_name_error_quark (void)
{
  return g_quark_from_static_string ("kr-segment-name-error-quark");
}

static void
piece_clear (gpointer data)
{
  g_free (((Piece *)data)->text);
}

/* Names in file names are for machines: the same in every locale. */
static locale_t
c_locale (void)
{
  static gsize locale = 0;

  if (g_once_init_enter (&locale))
    g_once_init_leave (&locale, (gsize)newlocale (LC_ALL_MASK, "C", (locale_t)0));
  return (locale_t)locale;
}

static void
add_literal (GArray *pieces, const char *text, gsize length)
{
  Piece *last = pieces->len > 0 ? &g_array_index (pieces, Piece, pieces->len - 1) : NULL;
  Piece fresh = {.kind = PIECE_LITERAL};

  if (last != NULL && last->kind == PIECE_LITERAL) {
    g_autofree char *head = g_steal_pointer (&last->text);
    g_autofree char *tail = g_strndup (text, length);

    last->text = g_strconcat (head, tail, NULL);
    return;
  }
  fresh.text = g_strndup (text, length);
  g_array_append_val (pieces, fresh);
}

static const char *
conversion_pattern (char conversion)
{
  for (guint i = 0; i < G_N_ELEMENTS (conversions); i++) {
    if (conversions[i].conversion == conversion)
      return conversions[i].pattern;
  }
  return NULL;
}

static char *
known_conversions (void)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (conversions); i++)
    g_string_append_printf (text, "%%%c ", conversions[i].conversion);
  g_string_append (text, "%%");
  return g_string_free (text, FALSE);
}

static gboolean
fail_conversion (const char *location, const char *at, GError **error)
{
  g_autofree char *known = known_conversions ();
  const char *end = at + 1;

  while (g_ascii_isdigit (*end))
    end++;
  if (*end == 'd' && end > at + 1)
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_SYNTAX,
                 "location \"%s\": \"%.*s\" at character %d is no conversion here; write {seq} "
                 "for a counter",
                 location, (int)(end - at + 1), at, (int)(at - location) + 1);
  else
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_SYNTAX,
                 "location \"%s\": unknown conversion \"%.*s\" at character %d; known are %s",
                 location, *end != '\0' ? (int)(end - at + 1) : (int)(end - at), at,
                 (int)(at - location) + 1, known);
  return FALSE;
}

static gboolean
parse_conversion (GArray *pieces, const char *location, const char **at, GError **error)
{
  Piece fresh = {.kind = PIECE_STRFTIME};
  char conversion = (*at)[1];

  if (conversion == '%') {
    add_literal (pieces, "%", 1);
    *at += 2;
    return TRUE;
  }
  if (conversion == '\0' || conversion_pattern (conversion) == NULL)
    return fail_conversion (location, *at, error);
  fresh.text = g_strndup (*at, 2);
  g_array_append_val (pieces, fresh);
  *at += 2;
  return TRUE;
}

static gboolean
parse_field (GArray *pieces, const char *location, const char **at, GError **error)
{
  const char *end;

  if ((*at)[1] == (*at)[0]) {
    add_literal (pieces, *at, 1);
    *at += 2;
    return TRUE;
  }
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    if (g_str_has_prefix (*at, fields[i].name)) {
      Piece fresh = {.kind = fields[i].kind};

      g_array_append_val (pieces, fresh);
      *at += strlen (fields[i].name);
      return TRUE;
    }
  }
  end = strchr (*at, '}');
  if (**at == '{' && end != NULL)
    g_set_error (
        error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_SYNTAX,
        "location \"%s\": unknown field \"%.*s\" at character %d; known are {instance} "
        "{seq} {hostname}, and {{ for a brace",
        location, (int)(end - *at + 1), *at, (int)(*at - location) + 1);
  else
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_SYNTAX,
                 "location \"%s\": single \"%c\" at character %d; write it twice for a brace",
                 location, **at, (int)(*at - location) + 1);
  return FALSE;
}

static gboolean
parse_pieces (GArray *pieces, const char *location, GError **error)
{
  const char *at = location;

  while (*at != '\0') {
    gsize plain = strcspn (at, "%{}");

    if (pieces->len > MAX_PIECES) {
      g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_LENGTH,
                   "location \"%.60s...\": more than %d fields", location, MAX_PIECES);
      return FALSE;
    }
    if (plain > 0) {
      add_literal (pieces, at, plain);
      at += plain;
    } else if (*at == '%') {
      if (!parse_conversion (pieces, location, &at, error))
        return FALSE;
    } else if (!parse_field (pieces, location, &at, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

/* Splits the literals at '/', so that each level is a list of pieces without one. */
static GPtrArray *
split_levels (const GArray *pieces)
{
  GPtrArray *levels = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
  GArray *level = NULL;

  for (guint i = 0; i <= pieces->len; i++) {
    const Piece *piece = i < pieces->len ? &g_array_index (pieces, Piece, i) : NULL;
    g_auto (GStrv) parts = NULL;

    if (level == NULL) {
      level = g_array_new (FALSE, FALSE, sizeof (Piece));
      g_array_set_clear_func (level, piece_clear);
      g_ptr_array_add (levels, level);
    }
    if (piece == NULL)
      break;
    if (piece->kind != PIECE_LITERAL) {
      Piece copy = {.kind = piece->kind, .text = g_strdup (piece->text)};

      g_array_append_val (level, copy);
      continue;
    }
    parts = g_strsplit (piece->text, "/", -1);
    for (guint p = 0; parts[p] != NULL; p++) {
      if (p > 0) {
        level = g_array_new (FALSE, FALSE, sizeof (Piece));
        g_array_set_clear_func (level, piece_clear);
        g_ptr_array_add (levels, level);
      }
      if (parts[p][0] != '\0')
        add_literal (level, parts[p], strlen (parts[p]));
    }
  }
  return levels;
}

static gboolean
level_is_literal (const GArray *level)
{
  return level->len == 0 ||
         (level->len == 1 && g_array_index (level, Piece, 0).kind == PIECE_LITERAL);
}

/* Takes the components before the first field away from the levels and returns them as a path.
 */
static char *
take_root (GPtrArray *levels, gboolean absolute)
{
  GString *root = g_string_new (absolute ? "/" : "");

  while (levels->len > 1 && level_is_literal (levels->pdata[0])) {
    const GArray *level = levels->pdata[0];

    if (level->len > 0) {
      if (root->len > 0 && root->str[root->len - 1] != '/')
        g_string_append_c (root, '/');
      g_string_append (root, g_array_index (level, Piece, 0).text);
    }
    g_ptr_array_remove_index (levels, 0);
  }
  if (root->len == 0)
    g_string_append_c (root, '.');
  return g_string_free (root, FALSE);
}

static gboolean
check_last_level (const KrSegmentTemplate *tmpl, GError **error)
{
  const GArray *last = tmpl->levels->pdata[tmpl->levels->len - 1];
  const char *name = last->len > 0 ? g_array_index (last, Piece, 0).text : NULL;
  g_autofree char *temp_of = NULL;

  if (last->len == 0 ||
      (level_is_literal (last) && (strcmp (name, ".") == 0 || strcmp (name, "..") == 0))) {
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_RESERVED,
                 "location \"%s\" names a folder, not a file", tmpl->location);
    return FALSE;
  }
  temp_of = kr_segment_final_path (tmpl->location);
  if (temp_of != NULL) {
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_RESERVED,
                 "location \"%s\" ends like a temporary name; \"%s\" is called so while it is "
                 "written",
                 tmpl->location, temp_of);
    return FALSE;
  }
  return TRUE;
}

/**
 * kr_segment_template_new:
 * @location: the template
 * @local_time: whether strftime conversions use local time instead of UTC
 * @error: a #KrSegmentNameError with the place and the offending word
 *
 * Returns: (transfer full) (nullable): the parsed template
 */
KrSegmentTemplate *
kr_segment_template_new (const char *location, gboolean local_time, GError **error)
{
  g_autoptr (KrSegmentTemplate) tmpl = NULL;

  g_return_val_if_fail (location != NULL, NULL);

  if (location[0] == '\0' || strlen (location) >= PATH_MAX) {
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_LENGTH,
                 location[0] == '\0' ? "the location is empty; give the name of a file"
                                     : "the location is longer than the %d bytes of a path",
                 PATH_MAX - 1);
    return NULL;
  }
  tmpl = g_new0 (KrSegmentTemplate, 1);
  tmpl->location = g_strdup (location);
  tmpl->local_time = local_time;
  tmpl->pieces = g_array_new (FALSE, FALSE, sizeof (Piece));
  g_array_set_clear_func (tmpl->pieces, piece_clear);
  if (!parse_pieces (tmpl->pieces, location, error))
    return NULL;
  tmpl->levels = split_levels (tmpl->pieces);
  tmpl->root = take_root (tmpl->levels, location[0] == '/');
  if (!check_last_level (tmpl, error))
    return NULL;
  return g_steal_pointer (&tmpl);
}

void
kr_segment_template_free (KrSegmentTemplate *tmpl)
{
  if (tmpl == NULL)
    return;
  g_free (tmpl->location);
  g_free (tmpl->root);
  g_clear_pointer (&tmpl->pieces, g_array_unref);
  g_clear_pointer (&tmpl->levels, g_ptr_array_unref);
  g_free (tmpl);
}

/* A host name (or TZ) may hold anything a clumsy administrator can type. */
static void
append_name_safe (GString *path, const char *value)
{
  for (const char *c = value; *c != '\0'; c++)
    g_string_append_c (path, g_ascii_isalnum (*c) || strchr ("-_.:+", *c) != NULL ? *c : '-');
}

static void
append_piece (GString *path, const Piece *piece, const KrSegmentFields *values,
              const struct tm *tm)
{
  char text[64];

  switch (piece->kind) {
  case PIECE_LITERAL:
    g_string_append (path, piece->text);
    break;
  case PIECE_STRFTIME:
    if (strftime_l (text, sizeof text, piece->text, tm, c_locale ()) > 0)
      append_name_safe (path, text);
    break;
  case PIECE_INSTANCE:
    append_name_safe (path, values->instance);
    break;
  case PIECE_SEQ:
    g_string_append_printf (path, "%06u", values->seq);
    break;
  case PIECE_HOSTNAME:
    append_name_safe (path, values->hostname);
    break;
  }
}

static gboolean
check_lengths (const KrSegmentTemplate *tmpl, const char *path, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);

  for (guint i = 0; parts[i] != NULL; i++) {
    gsize room = NAME_MAX - (parts[i + 1] == NULL ? NAME_RESERVE : 0);

    if (strlen (parts[i]) > room) {
      g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_LENGTH,
                   "location \"%s\" gives a name of %" G_GSIZE_FORMAT
                   " bytes; at most %" G_GSIZE_FORMAT " fit: \"%.40s...\"",
                   tmpl->location, strlen (parts[i]), room, parts[i]);
      return FALSE;
    }
  }
  if (strlen (path) + NAME_RESERVE >= PATH_MAX) {
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_LENGTH,
                 "location \"%s\" gives a path longer than %d bytes", tmpl->location,
                 PATH_MAX - NAME_RESERVE);
    return FALSE;
  }
  return TRUE;
}

/**
 * kr_segment_template_expand:
 *
 * Returns: (transfer full) (nullable): the final path of the segment that @values describe
 */
char *
kr_segment_template_expand (const KrSegmentTemplate *tmpl, const KrSegmentFields *values,
                            GError **error)
{
  g_autoptr (GString) path = g_string_new (NULL);
  time_t seconds = values->utc_us / G_USEC_PER_SEC;
  struct tm tm = {0};

  if (tmpl->local_time) {
    /* localtime_r() need not look at TZ by itself. */
    tzset ();
    localtime_r (&seconds, &tm);
  } else {
    gmtime_r (&seconds, &tm);
  }
  for (guint i = 0; i < tmpl->pieces->len; i++)
    append_piece (path, &g_array_index (tmpl->pieces, Piece, i), values, &tm);
  if (!check_lengths (tmpl, path->str, error))
    return NULL;
  return g_strdup (path->str);
}

const char *
kr_segment_template_root (const KrSegmentTemplate *tmpl)
{
  return tmpl->root;
}

guint
kr_segment_template_depth (const KrSegmentTemplate *tmpl)
{
  return tmpl->levels->len;
}

/* g_regex_escape_string() wants UTF-8; a file name is bytes. */
static void
append_escaped (GString *pattern, const char *text)
{
  for (const char *c = text; *c != '\0'; c++) {
    if ((guchar)*c < 0x80 && !g_ascii_isalnum (*c))
      g_string_append_c (pattern, '\\');
    g_string_append_c (pattern, *c);
  }
}

static char *
level_pattern (const GArray *level, const char *hostname)
{
  GString *pattern = g_string_new ("^");

  for (guint i = 0; i < level->len; i++) {
    const Piece *piece = &g_array_index (level, Piece, i);
    g_autoptr (GString) safe = NULL;

    switch (piece->kind) {
    case PIECE_LITERAL:
      append_escaped (pattern, piece->text);
      break;
    case PIECE_STRFTIME:
      g_string_append (pattern, conversion_pattern (piece->text[1]));
      break;
    case PIECE_INSTANCE:
      g_string_append_printf (pattern, "[a-z0-9-]{1,%d}", KR_INSTANCE_MAX_LENGTH);
      break;
    case PIECE_SEQ:
      g_string_append (pattern, "[0-9]{6,10}");
      break;
    case PIECE_HOSTNAME:
      if (hostname == NULL) {
        g_string_append (pattern, "[A-Za-z0-9_.:+-]+");
        break;
      }
      safe = g_string_new (NULL);
      append_name_safe (safe, hostname);
      append_escaped (pattern, safe->str);
      break;
    }
  }
  g_string_append (pattern, "$");
  return g_string_free (pattern, FALSE);
}

static gsize
stem_length (const char *path)
{
  const char *name = strrchr (path, '/');
  const char *dot;

  name = name != NULL ? name + 1 : path;
  dot = strrchr (name, '.');
  return dot != NULL && dot != name ? (gsize)(dot - path) : strlen (path);
}

/* "a-2.ts" -> "a.ts"; NULL if there is no number. */
static char *
without_number (const char *name)
{
  gsize stem = stem_length (name);
  gsize at = stem;

  while (at > 0 && g_ascii_isdigit (name[at - 1]))
    at--;
  if (at == stem || at < 2 || name[at - 1] != '-')
    return NULL;
  return g_strdup_printf ("%.*s%s", (int)(at - 1), name, name + stem);
}

gboolean
kr_segment_template_matches (const KrSegmentTemplate *tmpl, guint level, const char *name,
                             const char *hostname)
{
  g_autofree char *pattern = NULL;
  g_autofree char *plain = NULL;
  g_autoptr (GRegex) regex = NULL;

  if (level >= tmpl->levels->len)
    return FALSE;
  pattern = level_pattern (tmpl->levels->pdata[level], hostname);
  /* RAW: file names are bytes, not necessarily UTF-8. */
  regex = g_regex_new (pattern, G_REGEX_RAW | G_REGEX_DOLLAR_ENDONLY, 0, NULL);
  if (regex == NULL)
    return FALSE;
  if (g_regex_match (regex, name, 0, NULL))
    return TRUE;
  if (level + 1 < tmpl->levels->len)
    return FALSE;
  plain = without_number (name);
  return plain != NULL && g_regex_match (regex, plain, 0, NULL);
}

static char *
insert_in_name (const char *path, const char *text)
{
  gsize stem = stem_length (path);

  return g_strdup_printf ("%.*s%s%s", (int)stem, path, text, path + stem);
}

char *
kr_segment_temp_path (const char *final_path)
{
  return insert_in_name (final_path, TEMP_MARK);
}

char *
kr_segment_quarantine_path (const char *final_path)
{
  return insert_in_name (final_path, QUARANTINE_MARK);
}

char *
kr_segment_numbered_path (const char *final_path, guint number)
{
  char text[16];

  g_snprintf (text, sizeof text, "-%u", number);
  return insert_in_name (final_path, text);
}

/* Whether @path[0..@end) ends with the mark and has a name before it. */
static gboolean
has_mark (const char *path, gsize end)
{
  gsize mark = strlen (TEMP_MARK);

  return end > mark && strncmp (path + end - mark, TEMP_MARK, mark) == 0 &&
         path[end - mark - 1] != '/';
}

char *
kr_segment_final_path (const char *temp_path)
{
  gsize length = strlen (temp_path);
  gsize stem = stem_length (temp_path);
  gsize mark = strlen (TEMP_MARK);

  /* "a.recording": the mark itself looks like the ending. */
  if (has_mark (temp_path, length))
    return g_strndup (temp_path, length - mark);
  if (stem < length && has_mark (temp_path, stem))
    return g_strdup_printf ("%.*s%s", (int)(stem - mark), temp_path, temp_path + stem);
  return NULL;
}

static void
append_base36 (GString *text, guint64 value, guint digits)
{
  char buffer[16];

  for (guint i = digits; i > 0; i--) {
    buffer[i - 1] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % 36];
    value /= 36;
  }
  g_string_append_len (text, buffer, digits);
}

/**
 * kr_instance_id_new:
 * @utc_us: the start, microseconds since 1970 (until 2059 the ids sort by it)
 *
 * Eight base-36 digits of milliseconds, a dash, and six digits of the kernel's random numbers:
 * two that start in the same millisecond collide once in 2 * 10^9 times. Not GLib's random
 * numbers: a forked child would repeat its parent's.
 */
char *
kr_instance_id_new (gint64 utc_us)
{
  GString *id = g_string_sized_new (KR_INSTANCE_MAX_LENGTH);
  guint64 noise = 0;

  if (getrandom (&noise, sizeof noise, 0) != sizeof noise)
    noise = ((guint64)g_random_int () << 32) | g_random_int ();
  append_base36 (id, (guint64)utc_us / 1000, 8);
  g_string_append_c (id, '-');
  append_base36 (id, noise, 6);
  return g_string_free (id, FALSE);
}

gboolean
kr_instance_id_check (const char *instance, GError **error)
{
  gsize length = strlen (instance);

  if (length < 1 || length > KR_INSTANCE_MAX_LENGTH ||
      strspn (instance, "abcdefghijklmnopqrstuvwxyz0123456789-") != length) {
    g_set_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_INSTANCE,
                 "instance \"%.60s\": use 1 to %d of a-z, 0-9 and '-'", instance,
                 KR_INSTANCE_MAX_LENGTH);
    return FALSE;
  }
  return TRUE;
}
