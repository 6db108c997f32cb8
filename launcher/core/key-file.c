/* keeprolling - groups, keys and values of a text file, each with its place
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/key-file.h"

#include <string.h>

#include "launcher/core/mapped-text.h"

/* A file with more lines than this that are no text is something else, a recording for example.
 */
#define MAX_BINARY_LINES 8

typedef struct {
  const char *path;
  const KrKeyFileWords *words;
  GPtrArray *problems;
  GPtrArray *groups;
  KrGroup *group; /* the open one, or NULL */
  KrEntry *entry; /* the open one, or NULL */
  guint line;
  guint binary_lines;
  gboolean complained_no_group;
} Reader;

static void
entry_free (KrEntry *entry)
{
  g_free (entry->key);
  g_string_free (entry->value, TRUE);
  g_array_unref (entry->spans);
  g_free (entry);
}

static void
group_free (KrGroup *group)
{
  g_free (group->kind);
  g_free (group->name);
  g_ptr_array_unref (group->entries);
  g_free (group);
}

/* The place of @p within the line that begins at @line. */
static KrPlace
place_at (const Reader *reader, const char *line, const char *p)
{
  return (KrPlace){reader->line, (guint)g_utf8_pointer_to_offset (line, p) + 1};
}

static const char *
skip_blanks (const char *p)
{
  while (*p == ' ' || *p == '\t')
    p++;
  return p;
}

static gboolean
has_word (const char *const *words, const char *word, gsize length)
{
  for (guint i = 0; words[i] != NULL; i++)
    if (strlen (words[i]) == length && strncmp (words[i], word, length) == 0)
      return TRUE;
  return FALSE;
}

static gsize
key_length (const char *p)
{
  gsize n = 0;

  while (g_ascii_isalnum (p[n]) || p[n] == '_')
    n++;
  return n;
}

/* "KEY =" with a key that exists. */
static gboolean
is_known_assignment (const Reader *reader, const char *p)
{
  gsize n = key_length (p);

  return n > 0 && *skip_blanks (p + n) == '=' && has_word (reader->words->keys, p, n);
}

/* "[KIND" with a kind that exists. */
static gboolean
is_known_header (const Reader *reader, const char *p)
{
  return *p == '[' && has_word (reader->words->kinds, p + 1, key_length (p + 1));
}

/* Appends one line to the open entry; @p is its first character that counts. */
static void
add_value_line (Reader *reader, const char *line, const char *p)
{
  KrEntry *entry = reader->entry;
  KrSpan span = {.place = place_at (reader, line, p), .literal = TRUE};
  gsize length = strlen (p);

  if (length == 0)
    return;
  if (p[length - 1] == '\\') {
    length--;
    kr_problems_add (reader->problems, reader->path, place_at (reader, line, p + length),
                     g_strdup ("take it away: an indented line continues the value by itself"),
                     "the line ends in '\\'");
  }
  if (entry->value->len > 0)
    g_string_append_c (entry->value, ' ');
  else
    entry->value_place = span.place;
  span.offset = entry->value->len;
  g_array_append_val (entry->spans, span);
  g_string_append_len (entry->value, p, (gssize)length);
}

static void
read_header (Reader *reader, const char *line, const char *p)
{
  KrGroup *group = g_new0 (KrGroup, 1);
  const char *end = strchr (p, ']');
  const char *name;
  g_autofree char *quoted = NULL;

  group->place = group->name_place = place_at (reader, line, p);
  group->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)entry_free);
  g_ptr_array_add (reader->groups, group);
  reader->group = group;
  reader->entry = NULL;

  if (end == NULL) {
    quoted = kr_quote_word (p);
    kr_problems_add (reader->problems, reader->path, group->place,
                     g_strdup ("a group is written [Name], for example [Pipeline cam1]"),
                     "%s has no closing ']'", quoted);
    end = p + strlen (p);
  } else if (end[1] != '\0') {
    quoted = kr_quote_word (skip_blanks (end + 1));
    kr_problems_add (reader->problems, reader->path,
                     place_at (reader, line, skip_blanks (end + 1)),
                     g_strdup ("nothing may follow a group on its line; "
                               "a comment is a line of its own"),
                     "%s follows the group", quoted);
  }
  p = skip_blanks (p + 1);
  name = p;
  while (name < end && *name != ' ' && *name != '\t')
    name++;
  group->kind = g_strndup (p, (gsize)(name - p));
  name = skip_blanks (name);
  if (name < end) {
    group->name_place = place_at (reader, line, name);
    group->name = g_strstrip (g_strndup (name, (gsize)(end - name)));
  }
}

static void
read_entry (Reader *reader, const char *line, const char *p, gsize n)
{
  KrEntry *entry;
  const char *value = skip_blanks (skip_blanks (p + n) + 1);

  if (reader->group == NULL) {
    if (!reader->complained_no_group)
      kr_problems_add (reader->problems, reader->path, place_at (reader, line, p),
                       g_strdup ("begin with a group, for example [Pipeline cam1]"),
                       "'%.*s' stands before the first group", (int)MIN (n, 60), p);
    reader->complained_no_group = TRUE;
    reader->entry = NULL;
    return;
  }
  entry = g_new0 (KrEntry, 1);
  entry->key = g_strndup (p, n);
  entry->key_place = place_at (reader, line, p);
  entry->value = g_string_new (NULL);
  entry->spans = g_array_new (FALSE, TRUE, sizeof (KrSpan));
  entry->value_place = place_at (reader, line, value);
  g_ptr_array_add (reader->group->entries, entry);
  reader->entry = entry;
  add_value_line (reader, line, value);
}

static void
read_indented (Reader *reader, const char *line, const char *p)
{
  gboolean header = is_known_header (reader, p);
  g_autofree char *quoted = NULL;

  if (header || is_known_assignment (reader, p)) {
    gsize n = header ? strlen (p) : key_length (p);
    g_autofree char *word = g_strndup (p, n);

    quoted = kr_quote_word (word);
    kr_problems_add (reader->problems, reader->path, place_at (reader, line, p),
                     g_strdup ("begin it in the first column: an indented line continues the "
                               "value before it"),
                     "%s is indented", quoted);
    if (header)
      read_header (reader, line, p);
    else
      read_entry (reader, line, p, n);
    return;
  }
  if (reader->entry != NULL) {
    add_value_line (reader, line, p);
    return;
  }
  if (reader->complained_no_group)
    return;
  quoted = kr_quote_word (p);
  kr_problems_add (reader->problems, reader->path, place_at (reader, line, p),
                   g_strdup ("groups and keys begin in the first column; only lines that "
                             "continue a value are indented"),
                   "%s is indented, but there is no value to continue", quoted);
}

static void
read_line (Reader *reader, const char *line)
{
  const char *p = skip_blanks (line);
  gsize n = key_length (p);
  g_autofree char *quoted = NULL;

  if (*p == '\0' || *p == '#')
    return;
  if (p > line) {
    read_indented (reader, line, p);
  } else if (*p == '[') {
    read_header (reader, line, p);
  } else if (n > 0 && *skip_blanks (p + n) == '=') {
    read_entry (reader, line, p, n);
  } else {
    quoted = kr_quote_word (p);
    kr_problems_add (reader->problems, reader->path, place_at (reader, line, p),
                     g_strdup (reader->entry != NULL
                                   ? "indent the line if it continues the value before it"
                                   : "a line is [Group], Key = value, or a # comment"),
                     "%s is no group, no key with a value and no comment", quoted);
    /* Most likely it was meant so: then the rest of the value makes sense. */
    if (reader->entry != NULL)
      add_value_line (reader, line, p);
  }
}

/* Makes a line of text from anything, and says what was wrong with it. (transfer full) */
static char *
clean_line (Reader *reader, const char *bytes, gsize length)
{
  g_autofree char *copy = g_strndup (bytes, length);
  GString *clean = g_string_sized_new (length);
  guint column = 0;
  gboolean complained = FALSE;

  memcpy (copy, bytes, length); /* g_strndup() stops at a NUL */
  for (gsize i = 0; i < length;) {
    gunichar c = g_utf8_get_char_validated (copy + i, (gssize)(length - i));
    const char *what = NULL;
    guint value = (guchar)copy[i];

    column++;
    if (c == 0 || copy[i] == '\0')
      what = "a NUL byte";
    else if (c == (gunichar)-1 || c == (gunichar)-2)
      what = "no UTF-8";
    else if (c != '\t' && g_unichar_iscntrl (c))
      what = "a control character";
    if (what != NULL && !complained) {
      kr_problems_add (
          reader->problems, reader->path, (KrPlace){reader->line, column},
          g_strdup ("a pipeline file is plain text in UTF-8; see whether it is the "
                    "right file, and save it anew"),
          "the byte 0x%02x is %s", value, what);
      complained = TRUE;
      reader->binary_lines++;
    }
    if (what != NULL) {
      g_string_append (clean, "\357\277\275");
      i++;
    } else {
      g_string_append_unichar (clean, c);
      i += (gsize)g_unichar_to_utf8 (c, NULL);
    }
  }
  g_strchomp (clean->str);
  return g_string_free (clean, FALSE);
}

GPtrArray *
kr_key_file_parse (const char *path, const char *text, gsize length,
                   const KrKeyFileWords *words, GPtrArray *problems)
{
  Reader reader = {.path = path, .words = words, .problems = problems};

  reader.groups = g_ptr_array_new_with_free_func ((GDestroyNotify)group_free);
  if (length >= 3 && memcmp (text, "\357\273\277", 3) == 0) {
    text += 3; /* a byte order mark, as some editors write it */
    length -= 3;
  }
  for (gsize at = 0; at < length && reader.binary_lines < MAX_BINARY_LINES;) {
    const char *newline = memchr (text + at, '\n', length - at);
    gsize next = newline != NULL ? (gsize)(newline - text) + 1 : length;
    gsize end = newline != NULL ? next - 1 : length;
    g_autofree char *line = NULL;

    if (end > at && text[end - 1] == '\r')
      end--;
    reader.line++;
    line = clean_line (&reader, text + at, end - at);
    read_line (&reader, line);
    at = next;
  }
  if (reader.binary_lines >= MAX_BINARY_LINES)
    g_ptr_array_set_size (reader.groups, 0);
  return reader.groups;
}
