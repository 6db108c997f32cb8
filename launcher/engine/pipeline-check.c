/* keeprolling - finds out whether GStreamer can build a pipeline, without starting it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/pipeline-check.h"

#include <string.h>

#include "launcher/core/redact.h"
#include "launcher/engine/check-private.h"

/* Elements without a name get this one and their number, so that GStreamer's errors can be
 * traced back to their place. */
#define TRACE_NAME "kr-check-"
/* Begins a word that stands for something not known. */
#define UNKNOWN_WORD "_%"

KrPlace
kr_check_place (const KrCheck *check, gsize offset)
{
  for (; check->parent != NULL; check = check->parent) {
    guint last = check->value_map->len - 1;

    offset = g_array_index (check->value_map, gsize, MIN (offset, last));
  }
  return kr_pipeline_spec_place (check->spec, offset);
}

void
kr_check_complain (const KrCheck *check, gsize offset, char *hint, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  if (check->problems->len >= check->max_problems) {
    g_free (hint);
    return;
  }
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  kr_problems_add (check->problems, check->path, kr_check_place (check, offset), hint, "%s",
                   message);
}

gboolean
kr_check_is_unknown (const KrCheck *check, const char *text)
{
  return !check->spec->launch_complete && strstr (text, UNKNOWN_WORD) != NULL;
}

/* Turns the "${NAME}" of variables without a value into words of the same length that may stand
 * anywhere. (transfer full) */
static char *
with_unknown_words (const char *launch)
{
  char *text = g_strdup (launch);

  for (char *p = strstr (text, "${"); p != NULL; p = strstr (p, "${")) {
    char *end = strchr (p, '}');

    memcpy (p, UNKNOWN_WORD, strlen (UNKNOWN_WORD));
    if (end == NULL)
      break;
    *end = '%';
  }
  return text;
}

static void
report_mistakes (const KrCheck *check)
{
  for (guint i = 0; i < check->launch->mistakes->len; i++) {
    const KrLaunchMistake *mistake = check->launch->mistakes->pdata[i];

    kr_check_complain (check, mistake->offset, g_strdup (mistake->hint), "%s",
                       mistake->message);
  }
}

/* Names must be unique within their bin; a second one would silently be left out. */
static void
check_names (const KrCheck *check)
{
  for (guint i = 0; i < check->launch->nodes->len; i++) {
    const KrLaunchNode *node = check->launch->nodes->pdata[i];

    if (node->name == NULL)
      continue;
    for (guint k = 0; k < i; k++) {
      const KrLaunchNode *other = check->launch->nodes->pdata[k];

      if (other->parent == node->parent && g_strcmp0 (other->name, node->name) == 0) {
        g_autofree char *quoted = kr_quote_word (node->name);

        kr_check_complain (check, node->offset, g_strdup ("give each element its own name"),
                           "two elements are named %s", quoted);
        break;
      }
    }
  }
}

static void
check_uri (const KrCheck *check, guint index)
{
  const KrLaunchNode *node = check->launch->nodes->pdata[index];
  g_autofree char *scheme = gst_uri_get_protocol (node->word);
  gboolean is_sink = FALSE;

  for (guint i = 0; i < check->launch->links->len; i++)
    is_sink |= ((KrLaunchLink *)check->launch->links->pdata[i])->sink.node == (int)index;
  if (scheme == NULL)
    kr_check_complain (check, node->offset, g_strdup ("a file is read by filesrc location=..."),
                       "a path stands where an element should be");
  else if (!gst_uri_protocol_is_supported (is_sink ? GST_URI_SINK : GST_URI_SRC, scheme))
    kr_check_complain (
        check, node->offset, g_strdup ("name an element and give it the URI as a property"),
        "no element %s URIs of the kind '%.20s:'", is_sink ? "writes" : "reads", scheme);
}

static void
check_nodes (KrCheck *check)
{
  for (guint i = 0; i < check->launch->nodes->len; i++) {
    const KrLaunchNode *node = check->launch->nodes->pdata[i];

    switch (node->kind) {
    case KR_LAUNCH_ELEMENT:
      check->types[i] = kr_check_element (check, node->word, node->offset);
      break;
    case KR_LAUNCH_BIN:
      check->types[i] = kr_check_element (check, node->word, node->offset);
      kr_check_properties (check, i);
      /* Links go to what is inside. */
      check->types[i] = G_TYPE_INVALID;
      continue;
    case KR_LAUNCH_URI:
      check_uri (check, i);
      break;
    }
    kr_check_properties (check, i);
  }
}

/* The text with a traceable name for every element that has none. */
static char *
with_names (const KrCheck *check, const char *text)
{
  GString *named = g_string_new (NULL);
  gsize done = 0;

  for (guint i = 0; i < check->launch->nodes->len; i++) {
    const KrLaunchNode *node = check->launch->nodes->pdata[i];

    if (node->kind != KR_LAUNCH_ELEMENT || node->name != NULL)
      continue;
    g_string_append_len (named, text + done, (gssize)(node->end - done));
    g_string_append_printf (named, " name=" TRACE_NAME "%u", i);
    done = node->end;
  }
  g_string_append (named, text + done);
  return g_string_free (named, FALSE);
}

/* Turns traceable names back into what the user wrote, and finds the first place named. */
static char *
without_names (const KrCheck *check, const char *message, gsize *ret_offset)
{
  GString *plain = g_string_new (NULL);
  const char *found;

  while ((found = strstr (message, TRACE_NAME)) != NULL) {
    char *end = NULL;
    guint64 index = g_ascii_strtoull (found + strlen (TRACE_NAME), &end, 10);
    const KrLaunchNode *node;

    g_string_append_len (plain, message, found - message);
    message = end;
    if (index >= check->launch->nodes->len)
      continue;
    node = check->launch->nodes->pdata[index];
    g_string_append (plain, node->word);
    if (*ret_offset == 0)
      *ret_offset = node->offset;
  }
  g_string_append (plain, message);
  return g_string_free (plain, FALSE);
}

/* Named elements are named in the message as they are. */
static gsize
find_named (const KrCheck *check, const char *message)
{
  for (guint i = 0; i < check->launch->nodes->len; i++) {
    const KrLaunchNode *node = check->launch->nodes->pdata[i];

    if (node->name != NULL && *node->name != '\0' && strstr (message, node->name) != NULL)
      return node->offset;
  }
  return 0;
}

/* Builds it, as the worker would, and throws it away. What remains to be found by this: links
 * that only real pads refuse, presets, and whatever an element does not like. */
static void
check_by_building (const KrCheck *check, const char *text)
{
  g_autofree char *named = with_names (check, text);
  g_autoptr (GError) error = NULL;
  GstElement *element;

  if (check->parent != NULL)
    element = gst_parse_bin_from_description_full (
        named, TRUE, NULL, GST_PARSE_FLAG_NO_SINGLE_ELEMENT_BINS | GST_PARSE_FLAG_PLACE_IN_BIN,
        &error);
  else
    element = gst_parse_launch_full (named, NULL, GST_PARSE_FLAG_NONE, &error);
  if (element != NULL)
    gst_object_unref (gst_object_ref_sink (element));
  if (error != NULL) {
    gsize offset = 0;
    g_autofree char *plain = without_names (check, error->message, &offset);
    g_autofree char *message = kr_redact (plain);

    if (offset == 0)
      offset = find_named (check, message);
    kr_check_complain (
        check, offset,
        g_strdup ("gst-inspect-1.0 ELEMENT says what an element gives and takes"),
        "GStreamer cannot build it: %s", message);
  }
}

static void
collect_names (const KrLaunch *launch, GHashTable *names)
{
  for (guint i = 0; i < launch->nodes->len; i++) {
    const KrLaunchNode *node = launch->nodes->pdata[i];

    if (node->name != NULL)
      g_hash_table_add (names, g_strdup (node->name));
  }
}

static void
check_text (KrCheck *check, const char *text)
{
  guint before = check->problems->len;

  check->types = g_new0 (GType, check->launch->nodes->len);
  report_mistakes (check);
  if (check->launch->nodes->len == 0 && check->launch->mistakes->len == 0)
    kr_check_complain (check, 0, g_strdup ("write elements, linked by '!'"),
                       "there is no element in it");
  check_names (check);
  check_nodes (check);
  kr_check_links (check);
  if (check->problems->len == before && check->spec->launch_complete)
    check_by_building (check, text);
  g_free (check->types);
}

void
kr_check_nested (const KrCheck *parent, const KrLaunchProperty *property)
{
  g_autoptr (KrLaunch) launch = NULL;
  KrCheck check = *parent;

  if (parent->depth == KR_CHECK_MAX_DEPTH) {
    kr_check_complain (parent, property->name_offset, g_strdup ("write it more simply"),
                       "too many descriptions within descriptions");
    return;
  }
  launch = kr_launch_parse (property->value);
  check.launch = launch;
  check.parent = parent;
  check.value_map = property->value_map;
  check.depth++;
  collect_names (launch, check.names);
  check_text (&check, property->value);
}

void
kr_pipeline_check (const char *path, const KrPipelineSpec *spec, GPtrArray *problems)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (KrLaunch) launch = NULL;
  g_autofree char *text = NULL;
  KrCheck check = {.path = path, .spec = spec, .problems = problems, .names = names};
  guint first = problems->len;

  if (spec->launch == NULL)
    return; /* reported with the file */
  check.max_problems = first + KR_PIPELINE_FILE_MAX_PROBLEMS;
  text = spec->launch_complete ? g_strdup (spec->launch) : with_unknown_words (spec->launch);
  launch = kr_launch_parse (text);
  check.launch = launch;
  collect_names (launch, names);
  check_text (&check, text);
  kr_problems_sort (problems, first);
}

void
kr_pipeline_check_file (const KrPipelineFile *file, GPtrArray *problems)
{
  for (guint i = 0; i < file->pipelines->len; i++)
    kr_pipeline_check (file->path, file->pipelines->pdata[i], problems);
}
