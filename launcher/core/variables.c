/* keeprolling - ${NAME} in the values of a pipeline file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/variables.h"

#include <string.h>

#include "launcher/core/mapped-text.h"
#include "launcher/core/nearest.h"

#define MAX_NAME 64
/* Variables in variables: deeper than this is no use to anybody, and recursion needs a bound.
 */
#define MAX_DEPTH 32

typedef enum { UNTOUCHED, UNDER_WAY, DONE, BROKEN } State;

typedef struct {
  const KrEntry *entry;
  char *value; /* once DONE */
  State state;
} Definition;

struct _KrVariables {
  const char *path;
  GHashTable *definitions; /* char* -> Definition */
  GPtrArray *names;        /* of the definitions, in the order of the file */
  GHashTable *used;        /* set of char* */
  GHashTable *overrides;
  char **environment;
  gsize bytes_left;
  gboolean complained_size;
  GPtrArray *stack; /* of the names being replaced, outermost first */
  GPtrArray *problems;
};

gboolean
kr_is_variable_name (const char *name)
{
  gsize n = 0;

  if (!g_ascii_isalpha (*name) && *name != '_')
    return FALSE;
  while (g_ascii_isalnum (name[n]) || name[n] == '_')
    n++;
  return name[n] == '\0' && n <= MAX_NAME;
}

static void
definition_free (Definition *definition)
{
  g_free (definition->value);
  g_free (definition);
}

KrVariables *
kr_variables_new (const char *path, const GPtrArray *definitions, GHashTable *overrides,
                  char **environment, gsize max_bytes, GPtrArray *problems)
{
  KrVariables *variables = g_new0 (KrVariables, 1);

  variables->path = path;
  variables->definitions =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)definition_free);
  variables->names = g_ptr_array_new ();
  variables->used = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  variables->overrides = overrides;
  variables->environment = environment;
  variables->bytes_left = max_bytes;
  variables->stack = g_ptr_array_new ();
  variables->problems = problems;
  for (guint i = 0; i < definitions->len; i++) {
    const KrEntry *entry = definitions->pdata[i];
    Definition *definition;

    if (g_hash_table_contains (variables->definitions, entry->key))
      continue;
    definition = g_new0 (Definition, 1);
    definition->entry = entry;
    g_hash_table_insert (variables->definitions, entry->key, definition);
    g_ptr_array_add (variables->names, entry->key);
  }
  return variables;
}

void
kr_variables_free (KrVariables *variables)
{
  if (variables == NULL)
    return;
  g_hash_table_unref (variables->definitions);
  g_ptr_array_unref (variables->names);
  g_hash_table_unref (variables->used);
  g_ptr_array_unref (variables->stack);
  g_free (variables);
}

static char *
hint_unset (const KrVariables *variables, const char *name)
{
  const char *nearest;

  g_ptr_array_add (variables->names, NULL);
  nearest = kr_nearest (name, (const char *const *)variables->names->pdata);
  g_ptr_array_set_size (variables->names, (int)variables->names->len - 1);
  if (nearest != NULL)
    return g_strdup_printf ("did you mean ${%s}?", nearest);
  return g_strdup_printf ("give it a value: with --set %s=VALUE, in the environment, or in "
                          "[Variables]",
                          name);
}

static void
report_cycle (KrVariables *variables, const char *name, KrPlace place)
{
  g_autoptr (GString) chain = g_string_new (NULL);
  guint first = 0;

  while (strcmp (variables->stack->pdata[first], name) != 0)
    first++;
  for (guint i = first; i < variables->stack->len; i++)
    g_string_append_printf (chain, "%s -> ", (char *)variables->stack->pdata[i]);
  g_string_append (chain, name);
  kr_problems_add (variables->problems, variables->path, place,
                   g_strdup_printf ("the circle is %s", chain->str),
                   "the value of variable '%s' contains itself", name);
}

static char *expand (KrVariables *variables, const KrEntry *entry, GArray *spans,
                     gboolean *complete);

static const char *
value_of_definition (KrVariables *variables, Definition *definition, KrPlace place)
{
  gboolean complete = TRUE;

  if (definition->state == UNDER_WAY)
    report_cycle (variables, definition->entry->key, place);
  if (definition->state == UNTOUCHED && variables->stack->len >= MAX_DEPTH) {
    kr_problems_add (
        variables->problems, variables->path, place,
        g_strdup_printf ("at most %d variables may stand in one another", MAX_DEPTH),
        "variable '%s' is nested too deeply", definition->entry->key);
    definition->state = BROKEN;
  }
  if (definition->state == UNTOUCHED) {
    definition->state = UNDER_WAY;
    g_ptr_array_add (variables->stack, definition->entry->key);
    definition->value = expand (variables, definition->entry, NULL, &complete);
    g_ptr_array_set_size (variables->stack, (int)variables->stack->len - 1);
    definition->state = complete ? DONE : BROKEN;
  }
  return definition->state == DONE ? definition->value : NULL;
}

/* A value from outside is not known to be text. */
static const char *
checked (KrVariables *variables, const char *name, const char *value, const char *source,
         KrPlace place)
{
  const char *p = value;

  if (g_utf8_validate (value, -1, NULL)) {
    while (*p != '\0' && (*p == '\t' || !g_unichar_iscntrl (g_utf8_get_char (p))))
      p = g_utf8_next_char (p);
    if (*p == '\0')
      return value;
  }
  kr_problems_add (
      variables->problems, variables->path, place,
      g_strdup_printf ("look at what %s gives it: plain text in UTF-8, one line", source),
      "the value of variable '%s' contains control characters or is no UTF-8", name);
  return NULL;
}

static const char *
value_of (KrVariables *variables, const char *name, KrPlace place)
{
  const char *value = NULL;
  Definition *definition;

  g_hash_table_add (variables->used, g_strdup (name));
  if (variables->overrides != NULL)
    value = g_hash_table_lookup (variables->overrides, name);
  if (value != NULL)
    return checked (variables, name, value, "--set", place);
  if (variables->environment != NULL)
    value = g_environ_getenv (variables->environment, name);
  if (value != NULL)
    return checked (variables, name, value, "the environment", place);
  definition = g_hash_table_lookup (variables->definitions, name);
  if (definition != NULL)
    return value_of_definition (variables, definition, place);
  kr_problems_add (variables->problems, variables->path, place, hint_unset (variables, name),
                   "variable '%s' is not set", name);
  return NULL;
}

/* Appends @n bytes as far as the bound allows. */
static void
append (KrVariables *variables, GString *text, const char *bytes, gsize n, KrPlace place,
        gboolean *complete)
{
  if (n > variables->bytes_left) {
    if (!variables->complained_size)
      kr_problems_add (variables->problems, variables->path, place,
                       g_strdup ("shorten the variables: they are put into one another"),
                       "the values are too long once variables are replaced");
    variables->complained_size = TRUE;
    *complete = FALSE;
    return;
  }
  variables->bytes_left -= n;
  g_string_append_len (text, bytes, (gssize)n);
}

static void
mark (GArray *spans, gsize offset, KrPlace place, gboolean literal)
{
  KrSpan span = {.offset = offset, .place = place, .literal = literal};

  if (spans != NULL)
    g_array_append_val (spans, span);
}

/* Copies a stretch without variables, with the line breaks its spans know about. */
static void
copy_literal (KrVariables *variables, const KrEntry *entry, gsize from, gsize to, GString *text,
              GArray *spans, gboolean *complete)
{
  gsize base = text->len;

  if (from == to)
    return;
  mark (spans, base, kr_spans_place (entry->spans, entry->value->str, from), TRUE);
  for (guint i = 0; spans != NULL && i < entry->spans->len; i++) {
    const KrSpan *span = &g_array_index (entry->spans, KrSpan, i);

    if (span->offset > from && span->offset < to)
      mark (spans, base + span->offset - from, span->place, TRUE);
  }
  append (variables, text, entry->value->str + from, to - from,
          kr_spans_place (entry->spans, entry->value->str, from), complete);
}

/* Reads "${NAME}" at @p. Returns its length, or 0 after saying what is wrong with it. */
static gsize
read_reference (KrVariables *variables, const char *p, KrPlace place, char **ret_name)
{
  const char *end = strchr (p, '}');
  g_autofree char *name = NULL;
  g_autofree char *quoted = NULL;

  if (end == NULL) {
    quoted = kr_quote_word (p);
    kr_problems_add (variables->problems, variables->path, place,
                     g_strdup ("a variable is written ${NAME}; write $${ for ${ itself"),
                     "%s has no closing '}'", quoted);
    return 0;
  }
  name = g_strndup (p + 2, (gsize)(end - p - 2));
  if (!kr_is_variable_name (name)) {
    quoted = kr_quote_word (name);
    kr_problems_add (variables->problems, variables->path, place,
                     g_strdup ("a variable's name has letters, digits and '_', no digit first; "
                               "write $${ for ${ itself"),
                     "%s is no name for a variable", quoted);
    return 0;
  }
  *ret_name = g_steal_pointer (&name);
  return (gsize)(end - p) + 1;
}

/* Whether @text leaves a string in double quotes open behind it, with backslashes as
 * gst-launch-1.0 reads them. @length: -1 = all of it */
static gboolean
leaves_quote_open (const char *text, gssize length, gboolean *ret_any)
{
  gboolean open = FALSE, any = FALSE;
  gsize end = length >= 0 ? (gsize)length : strlen (text);
  gsize i;

  for (i = 0; i < end; i++) {
    if (text[i] == '\\')
      i++;
    else if (text[i] == '"')
      open = !open, any = TRUE;
  }
  if (ret_any != NULL)
    *ret_any = any || i > end; /* a last backslash takes what follows along */
  return open;
}

/* A quote in a value must not end the quotes around the reference: what is behind it would be
 * read as elements, and named in messages although it may be half of a passphrase. */
static gboolean
fits_quotes (KrVariables *variables, const char *raw, gsize at, const char *name,
             const char *value, KrPlace place)
{
  gboolean breaks_out;

  leaves_quote_open (value, -1, &breaks_out);
  if (!breaks_out || !leaves_quote_open (raw, (gssize)at, NULL))
    return TRUE;
  kr_problems_add (variables->problems, variables->path, place,
                   g_strdup ("write \\\" for a quote that belongs to the value, \\\\ for a "
                             "backslash at its end"),
                   "the value of variable '%s' would end the quotes around it", name);
  return FALSE;
}

static char *
expand (KrVariables *variables, const KrEntry *entry, GArray *spans, gboolean *complete)
{
  GString *text = g_string_new (NULL);
  const char *raw = entry->value->str;
  gsize done = 0;

  for (const char *p = strchr (raw, '$'); p != NULL; p = strchr (p, '$')) {
    gsize at = (gsize)(p - raw), length;
    KrPlace place = kr_spans_place (entry->spans, raw, at);
    g_autofree char *name = NULL;
    const char *value;

    if (g_str_has_prefix (p, "$${")) {
      copy_literal (variables, entry, done, at, text, spans, complete);
      done = at + 1;
      p += 3;
      continue;
    }
    if (p[1] != '{') {
      p++;
      continue;
    }
    length = read_reference (variables, p, place, &name);
    value = length > 0 ? value_of (variables, name, place) : NULL;
    p += MAX (length, 2);
    if (value == NULL || !fits_quotes (variables, raw, at, name, value, place)) {
      *complete = FALSE;
      continue; /* the text of the reference stays */
    }
    copy_literal (variables, entry, done, at, text, spans, complete);
    mark (spans, text->len, place, FALSE);
    append (variables, text, value, strlen (value), place, complete);
    done = at + length;
  }
  copy_literal (variables, entry, done, entry->value->len, text, spans, complete);
  return g_string_free (text, FALSE);
}

char *
kr_variables_expand (KrVariables *variables, const KrEntry *entry, GArray **ret_spans,
                     gboolean *ret_complete)
{
  GArray *spans = g_array_new (FALSE, TRUE, sizeof (KrSpan));
  gboolean complete = TRUE;
  char *text = expand (variables, entry, spans, &complete);

  if (ret_spans != NULL)
    *ret_spans = spans;
  else
    g_array_unref (spans);
  *ret_complete = complete;
  return text;
}

void
kr_variables_check_rest (KrVariables *variables)
{
  for (guint i = 0; i < variables->names->len; i++) {
    const char *name = variables->names->pdata[i];
    Definition *definition = g_hash_table_lookup (variables->definitions, name);

    if (definition->state != UNTOUCHED ||
        (variables->overrides != NULL && g_hash_table_contains (variables->overrides, name)) ||
        (variables->environment != NULL &&
         g_environ_getenv (variables->environment, name) != NULL))
      continue;
    value_of_definition (variables, definition, definition->entry->value_place);
  }
}

GHashTable *
kr_variables_names (const KrVariables *variables)
{
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer name;

  for (guint i = 0; i < variables->names->len; i++)
    g_hash_table_add (names, g_strdup (variables->names->pdata[i]));
  g_hash_table_iter_init (&iter, variables->used);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_hash_table_add (names, g_strdup (name));
  return names;
}
