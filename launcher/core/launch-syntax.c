/* keeprolling - reads a launch line into elements, properties and links
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/launch-syntax.h"

#include <string.h>

#include "launcher/core/launch-tokens.h"
#include "launcher/core/problem.h"

typedef struct {
  const char *text;
  KrLaunch *launch;
  KrToken token; /* the next one */
  guint depth;
} Reader;

/* The chain that is being read: elements joined by links. */
typedef struct {
  KrLaunchEnd first, last; /* of all chains so far; offset of `last` G_MAXSIZE = none */
  gboolean has_first, has_last;
  gboolean closed;    /* ends at a reference or URI: no link may follow */
  KrLaunchLink *link; /* waits for its right side */
} Chain;

static void
property_free (KrLaunchProperty *property)
{
  g_free (property->name);
  g_free (property->value);
  g_array_unref (property->value_map);
  g_free (property);
}

static void
node_free (KrLaunchNode *node)
{
  g_free (node->word);
  g_ptr_array_unref (node->properties);
  g_free (node);
}

static void
end_clear (KrLaunchEnd *end)
{
  g_clear_pointer (&end->reference, g_free);
  g_clear_pointer (&end->pads, g_ptr_array_unref);
}

static void
end_copy (KrLaunchEnd *to, const KrLaunchEnd *from)
{
  end_clear (to);
  *to = *from;
  to->reference = g_strdup (from->reference);
  to->pads = from->pads != NULL ? g_ptr_array_ref (from->pads) : NULL;
}

static void
link_free (KrLaunchLink *link)
{
  end_clear (&link->src);
  end_clear (&link->sink);
  g_free (link->caps);
  g_free (link);
}

static void
mistake_free (KrLaunchMistake *mistake)
{
  g_free (mistake->message);
  g_free (mistake->hint);
  g_free (mistake);
}

void
kr_launch_free (KrLaunch *launch)
{
  if (launch == NULL)
    return;
  g_ptr_array_unref (launch->nodes);
  g_ptr_array_unref (launch->links);
  g_ptr_array_unref (launch->mistakes);
  g_free (launch);
}

static void G_GNUC_PRINTF (4, 5)
    complain (Reader *reader, gsize offset, const char *hint, const char *format, ...)
{
  KrLaunchMistake *mistake = g_new0 (KrLaunchMistake, 1);
  va_list args;

  va_start (args, format);
  mistake->message = g_strdup_vprintf (format, args);
  va_end (args);
  mistake->hint = g_strdup (hint);
  mistake->offset = offset;
  g_ptr_array_add (reader->launch->mistakes, mistake);
}

static void
advance (Reader *reader)
{
  reader->token = kr_launch_token (reader->text, reader->token.end);
}

static char *
token_text (const Reader *reader)
{
  return g_strndup (reader->text + reader->token.start,
                    reader->token.end - reader->token.start);
}

static gboolean
token_is (const Reader *reader, char c)
{
  return reader->token.type == KR_TOKEN_OTHER && reader->text[reader->token.start] == c;
}

/* As web pages and word processors make them: U+2018 to U+201E. */
static gboolean
is_typographic_quote (const char *p)
{
  return (guchar)p[0] == 0xE2 && (guchar)p[1] == 0x80 && (guchar)p[2] >= 0x98 &&
         (guchar)p[2] <= 0x9E;
}

/* Resolves quotes and escapes as gst_parse_unescape() does, and remembers where each byte was.
 */
static void
read_value (Reader *reader, KrLaunchProperty *property, gsize start, gsize end)
{
  const char *text = reader->text;
  GString *value = g_string_new (NULL);
  gboolean in_quotes = FALSE;

  property->value_map = g_array_new (FALSE, FALSE, sizeof (gsize));
  if (end > start + 1 && text[start] == '"' && text[end - 1] == '"') {
    start++;
    end--;
  } else if (text[start] == '"') {
    complain (reader, start, "put a \" behind the value",
              "the quote before the value of '%s' is "
              "not closed",
              property->name);
  } else if (text[start] == '\'' || is_typographic_quote (text + start)) {
    complain (reader, start, "use double quotes: \"",
              "the quotes around it become a part of the value of '%s'", property->name);
  }
  for (gsize i = start; i < end; i++) {
    if (text[i] == '\\' && !in_quotes) {
      if (++i == end)
        break;
    } else if (text[i] == '"' && (!in_quotes || text[i - 1] != '\\')) {
      in_quotes = !in_quotes;
    }
    g_string_append_c (value, text[i]);
    g_array_append_val (property->value_map, i);
  }
  g_array_append_val (property->value_map, end);
  property->value = g_string_free (value, FALSE);
}

static void
read_properties (Reader *reader, KrLaunchNode *node)
{
  while (reader->token.type == KR_TOKEN_ASSIGNMENT || reader->token.type == KR_TOKEN_PRESET) {
    KrLaunchProperty *property = g_new0 (KrLaunchProperty, 1);
    const char *text = reader->text;
    gsize at = reader->token.start;

    while (!g_ascii_isspace (text[at]) && text[at] != '=')
      at++;
    property->name_offset = reader->token.start;
    property->name = g_strndup (text + reader->token.start, at - reader->token.start);
    at += strcspn (text + at, "=") + 1;
    while (g_ascii_isspace (text[at]))
      at++;
    read_value (reader, property, at, reader->token.end);
    g_ptr_array_add (node->properties, property);
    if (strcmp (property->name, "name") == 0)
      node->name = property->value;
    advance (reader);
  }
}

static int
add_node (Reader *reader, KrLaunchNodeKind kind, char *word, int parent)
{
  KrLaunchNode *node = g_new0 (KrLaunchNode, 1);

  node->kind = kind;
  node->word = word;
  node->offset = reader->token.start;
  node->end = reader->token.end;
  node->parent = parent;
  node->properties = g_ptr_array_new_with_free_func ((GDestroyNotify)property_free);
  g_ptr_array_add (reader->launch->nodes, node);
  return (int)reader->launch->nodes->len - 1;
}

/* ", pad, pad" */
static void
read_more_pads (Reader *reader, GPtrArray *pads)
{
  while (token_is (reader, ',')) {
    advance (reader);
    if (reader->token.type != KR_TOKEN_IDENTIFIER) {
      complain (reader, reader->token.start, "name.pad1,pad2", "no pad follows the ','");
      return;
    }
    g_ptr_array_add (pads, token_text (reader));
    advance (reader);
  }
}

/* ".pad" behind or before an element. */
static GPtrArray *
read_pads (Reader *reader)
{
  GPtrArray *pads = g_ptr_array_new_with_free_func (g_free);

  if (reader->token.type == KR_TOKEN_PADREF) {
    g_autofree char *word = token_text (reader);

    g_ptr_array_add (pads, g_strdup (word + 1));
    advance (reader);
    read_more_pads (reader, pads);
  }
  return pads;
}

static void
set_last (Chain *chain, KrLaunchEnd *end)
{
  if (!chain->has_first)
    end_copy (&chain->first, end);
  chain->has_first = TRUE;
  end_copy (&chain->last, end);
  chain->has_last = TRUE;
}

static void
forget_last (Chain *chain)
{
  end_clear (&chain->last);
  chain->has_last = FALSE;
}

/* A new chain begins, or the text ends: what is left over? */
static void
finish_chain (Reader *reader, Chain *chain)
{
  if (chain->link != NULL) {
    complain (reader, chain->link->offset, "a link is written: element ! element",
              "nothing follows the '%c'", reader->text[chain->link->offset]);
    g_clear_pointer (&chain->link, link_free);
  } else if (chain->has_last && chain->last.reference != NULL) {
    complain (reader, chain->last.offset, "put '!' and an element behind it",
              "the reference '%s.' is not linked to anything", chain->last.reference);
  } else if (chain->has_last && chain->last.pads->len > 0) {
    complain (reader, chain->last.offset, "put '!' and an element behind it",
              "the pad '.%s' is not linked to anything", (char *)chain->last.pads->pdata[0]);
  }
  forget_last (chain);
  chain->closed = FALSE;
}

/* @end is what stands here; joins it to what stood before. */
static void
join (Reader *reader, Chain *chain, const KrLaunchEnd *end)
{
  KrLaunchLink *link = g_steal_pointer (&chain->link);

  if (link == NULL) {
    finish_chain (reader, chain);
    return;
  }
  {
    g_autoptr (GPtrArray) before = g_steal_pointer (&link->sink.pads);

    end_copy (&link->sink, end);
    if (before != NULL && before->len > 0) {
      g_ptr_array_unref (link->sink.pads);
      link->sink.pads = g_steal_pointer (&before);
    }
  }
  g_ptr_array_add (reader->launch->links, link);
}

static void read_chains (Reader *reader, int parent, gsize opened_at, Chain *chain);

static void
read_element (Reader *reader, Chain *chain, int parent)
{
  KrLaunchEnd end = {.offset = reader->token.start};
  const KrLaunchNode *node;

  end.node = add_node (reader, KR_LAUNCH_ELEMENT, token_text (reader), parent);
  node = reader->launch->nodes->pdata[end.node];
  end.pads = g_ptr_array_new_with_free_func (g_free);
  join (reader, chain, &end);
  g_clear_pointer (&end.pads, g_ptr_array_unref);
  advance (reader);
  read_properties (reader, (KrLaunchNode *)node);
  end.pads = read_pads (reader);
  set_last (chain, &end);
  end_clear (&end);
}

/* "( ... )" or "name.( ... )": links from outside go to its first and last element. */
static void
read_bin (Reader *reader, Chain *chain, int parent)
{
  Chain inside = {0};
  gsize offset = reader->token.start;
  const char *text = reader->text + offset;
  gsize length = strcspn (text, " \t\r\n.(");
  int index = add_node (reader, KR_LAUNCH_BIN,
                        length > 0 ? g_strndup (text, length) : g_strdup ("bin"), parent);
  gsize mistakes = reader->launch->mistakes->len;

  advance (reader);
  read_properties (reader, reader->launch->nodes->pdata[index]);
  if (reader->depth++ == KR_LAUNCH_MAX_DEPTH) {
    complain (reader, offset, "put fewer bins into one another", "too many '('");
    reader->token = (KrToken){KR_TOKEN_END, reader->token.end, reader->token.end};
  }
  read_chains (reader, index, offset, &inside);
  reader->depth--;
  if (!inside.has_first) {
    g_clear_pointer (&chain->link, link_free);
    forget_last (chain);
    if (reader->token.type == KR_TOKEN_LINK)
      advance (reader);
  }
  if (!inside.has_first && mistakes == reader->launch->mistakes->len)
    complain (reader, offset, "put elements between '(' and ')'", "the bin is empty");
  if (inside.has_first) {
    join (reader, chain, &inside.first);
    if (!chain->has_first)
      end_copy (&chain->first, &inside.first);
    chain->has_first = TRUE;
    if (inside.has_last) {
      g_autoptr (GPtrArray) pads = read_pads (reader);

      if (pads->len > 0) {
        g_ptr_array_unref (inside.last.pads);
        inside.last.pads = g_steal_pointer (&pads);
      }
      set_last (chain, &inside.last);
    } else {
      forget_last (chain);
      chain->closed = TRUE;
    }
  }
  end_clear (&inside.first);
  end_clear (&inside.last);
}

static void
read_reference (Reader *reader, Chain *chain)
{
  g_autofree char *word = token_text (reader);
  char *dot = strchr (word, '.');
  KrLaunchEnd end = {.node = -1, .offset = reader->token.start};

  *dot = '\0';
  end.reference = g_strdup (word);
  end.pads = g_ptr_array_new_with_free_func (g_free);
  if (dot[1] != '\0')
    g_ptr_array_add (end.pads, g_strdup (dot + 1));
  advance (reader);
  read_more_pads (reader, end.pads);
  if (chain->link != NULL) {
    if (chain->link->sink.pads->len > 0)
      complain (reader, end.offset, "write the pad behind the dot of the reference",
                "the reference '%s.' has a pad before it", end.reference);
    join (reader, chain, &end);
    forget_last (chain);
    chain->closed = TRUE;
  } else {
    finish_chain (reader, chain);
    set_last (chain, &end);
  }
  end_clear (&end);
}

static void
read_uri (Reader *reader, Chain *chain, int parent)
{
  KrLaunchEnd end = {.offset = reader->token.start};
  gboolean is_sink = chain->link != NULL;

  end.node = add_node (reader, KR_LAUNCH_URI, token_text (reader), parent);
  end.pads = g_ptr_array_new_with_free_func (g_free);
  join (reader, chain, &end);
  set_last (chain, &end);
  if (is_sink) {
    forget_last (chain);
    chain->closed = TRUE;
  }
  end_clear (&end);
  advance (reader);
}

static void
read_link (Reader *reader, Chain *chain)
{
  KrLaunchLink *link;
  gsize from = reader->token.start + 1, to = reader->token.end - 1;
  char sign = reader->text[reader->token.start];

  if (chain->link != NULL || !chain->has_last) {
    complain (reader, reader->token.start,
              chain->closed ? "a chain ends at a reference: begin a new one behind it"
                            : "a link is written: element ! element",
              "nothing stands before this '%c' that could be linked", sign);
    advance (reader);
    return;
  }
  link = g_new0 (KrLaunchLink, 1);
  link->offset = reader->token.start;
  link->all_pads = sign == ':';
  if (to > from) {
    link->all_pads |= reader->text[to] == ':';
    while (g_ascii_isspace (reader->text[from]))
      from++;
    while (to > from && g_ascii_isspace (reader->text[to - 1]))
      to--;
    link->caps = g_strndup (reader->text + from, to - from);
    link->caps_offset = from;
  }
  end_copy (&link->src, &chain->last);
  advance (reader);
  link->sink.pads = read_pads (reader);
  chain->link = link;
}

/* Caps that are not between two "!" come out as other words. Returns TRUE if it was that. */
static gboolean
read_stray_caps (Reader *reader, Chain *chain)
{
  const char *p = reader->text + reader->token.start;
  gsize type, length;
  g_autofree char *word = NULL;

  if (*p == '"' || *p == '\'') {
    const char *close = strchr (p + 1, *p);

    type = kr_launch_media_type (p + 1);
    if (type == 0 || close == NULL)
      return FALSE;
    word = g_strndup (p + 1, type);
    complain (reader, reader->token.start, "take the quotes away: they are for the shell",
              "the caps '%.60s' are in quotes", word);
    reader->token.end = (gsize)(close - reader->text) + 1;
  } else {
    type = kr_launch_media_type (p);
    if (type == 0)
      return FALSE;
    length = type + strcspn (p + type, " \t\n!");
    word = g_strndup (p, type);
    complain (reader, reader->token.start, "caps stand between two '!'",
              "the caps '%.60s' are not linked on both sides", word);
    reader->token.end = reader->token.start + length;
  }
  advance (reader);
  /* What follows is judged on its own. */
  g_clear_pointer (&chain->link, link_free);
  if (reader->token.type == KR_TOKEN_LINK)
    advance (reader);
  forget_last (chain);
  return TRUE;
}

static void
complain_about_word (Reader *reader)
{
  g_autofree char *word = token_text (reader);
  g_autofree char *quoted = NULL;
  const char *hint = "see gst-launch-1.0(1) for what may stand here";

  if (reader->token.type == KR_TOKEN_ASSIGNMENT || reader->token.type == KR_TOKEN_PRESET) {
    word[strcspn (word, " =")] = '\0'; /* the value may be a secret */
    quoted = kr_quote_word (word);
    complain (reader, reader->token.start, "properties stand behind their element",
              "the property %s stands where an element should be", quoted);
    return;
  }
  if (*word == '#')
    hint = "a comment is a line of its own";
  else if (*word == '"' || *word == '\'')
    hint = "a quote before it is not closed, or it is one too many";
  else if (*word == '=')
    hint = "a property is written name=value";
  else if (*word == '\\')
    hint = "indented lines continue the value by themselves";
  else if ((guchar)*word >= 0x80)
    hint = "write it in ASCII: it looks like a sign that a web page or word processor made";
  quoted = kr_quote_word (word);
  complain (reader, reader->token.start, hint, "unexpected %s", quoted);
}

/* Skips to where something can begin again, so that one slip is one mistake. */
static void
skip_word (Reader *reader)
{
  gsize end = reader->token.end;
  char c = reader->text[reader->token.start];

  if (c == '#')
    end += strcspn (reader->text + end, "!()");
  else if ((guchar)c >= 0x80)
    end += strcspn (reader->text + end, " \t\n!");
  reader->token.end = end;
  advance (reader);
}

static void
read_chains (Reader *reader, int parent, gsize opened_at, Chain *chain)
{
  for (;;) {
    switch (reader->token.type) {
    case KR_TOKEN_END:
      if (parent >= 0)
        complain (reader, opened_at, "close the bin with ')'", "the '(' is not closed");
      if (parent < 0 || chain->link != NULL)
        finish_chain (reader, chain);
      return;
    case KR_TOKEN_IDENTIFIER:
      if (!read_stray_caps (reader, chain))
        read_element (reader, chain, parent);
      break;
    case KR_TOKEN_BIN:
      read_bin (reader, chain, parent);
      break;
    case KR_TOKEN_REFERENCE:
      read_reference (reader, chain);
      break;
    case KR_TOKEN_URI:
      read_uri (reader, chain, parent);
      break;
    case KR_TOKEN_LINK:
      read_link (reader, chain);
      break;
    case KR_TOKEN_ASSIGNMENT:
    case KR_TOKEN_PRESET:
      complain_about_word (reader);
      advance (reader);
      break;
    case KR_TOKEN_PADREF:
    case KR_TOKEN_OTHER:
      if (token_is (reader, '(')) {
        read_bin (reader, chain, parent);
      } else if (token_is (reader, ')') && parent >= 0) {
        if (chain->link != NULL)
          finish_chain (reader, chain);
        advance (reader);
        return;
      } else if (!read_stray_caps (reader, chain)) {
        complain_about_word (reader);
        skip_word (reader);
      }
      break;
    }
  }
}

/* Length of "gst-launch-1.0 -e -v". */
static gsize
skip_command (const char *text)
{
  gsize end = strcspn (text, " \t");

  for (;;) {
    gsize next = end + strspn (text + end, " \t");

    if (text[next] != '-')
      return end;
    end = next + strcspn (text + next, " \t");
  }
}

KrLaunch *
kr_launch_parse (const char *text)
{
  Reader reader = {.text = text};
  Chain chain = {0};

  reader.launch = g_new0 (KrLaunch, 1);
  reader.launch->nodes = g_ptr_array_new_with_free_func ((GDestroyNotify)node_free);
  reader.launch->links = g_ptr_array_new_with_free_func ((GDestroyNotify)link_free);
  reader.launch->mistakes = g_ptr_array_new_with_free_func ((GDestroyNotify)mistake_free);
  if (g_str_has_prefix (text, "gst-launch-1.0")) {
    complain (&reader, 0, "begin with the first element: Launch is what follows the command",
              "'gst-launch-1.0' is not a part of the pipeline");
    reader.token.end = skip_command (text);
  }
  advance (&reader);
  read_chains (&reader, -1, 0, &chain);
  end_clear (&chain.first);
  end_clear (&chain.last);
  return reader.launch;
}
