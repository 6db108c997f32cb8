/* keeprolling - whether what is linked fits together
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/check-private.h"

#include <string.h>

#include "launcher/core/nearest.h"

/* Everything here is judged from pad templates: what they rule out can never work. What they
 * allow is tried by linking real elements, in pipeline-check.c. */

#define MAX_LISTED 4

int
kr_check_resolve (const KrCheck *check, const KrLaunchEnd *end)
{
  if (end->reference == NULL)
    return end->node;
  for (guint i = 0; i < check->launch->nodes->len; i++) {
    const KrLaunchNode *node = check->launch->nodes->pdata[i];

    if (g_strcmp0 (node->name, end->reference) == 0)
      return (int)i;
  }
  return -1;
}

/* "srtsrc0" was probably meant to be the name of the first srtsrc. */
static gboolean
is_automatic_name (const KrCheck *check, const char *reference)
{
  for (guint i = 0; i < check->launch->nodes->len; i++) {
    const KrLaunchNode *node = check->launch->nodes->pdata[i];
    gsize n = strlen (node->word);

    if (node->kind == KR_LAUNCH_ELEMENT && strncmp (reference, node->word, n) == 0 &&
        reference[n] != '\0' && reference[n + strspn (reference + n, "0123456789")] == '\0')
      return TRUE;
  }
  return FALSE;
}

/* Returns FALSE, after saying so, if nothing has that name. */
static gboolean
check_reference (const KrCheck *check, const KrLaunchEnd *end)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *quoted = NULL;
  GHashTableIter iter;
  gpointer name;
  char *hint;

  if (end->reference == NULL || g_hash_table_contains (check->names, end->reference))
    return TRUE;
  g_hash_table_iter_init (&iter, check->names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, name);
  g_ptr_array_add (names, NULL);
  quoted = kr_quote_word (end->reference);
  if (is_automatic_name (check, end->reference))
    hint = g_strdup_printf (
        "give the element name=%s: automatic names change with each restart", end->reference);
  else
    hint = kr_nearest_hint (end->reference, (const char *const *)names->pdata,
                            "give an element name=%s", end->reference);
  kr_check_complain (check, end->offset, hint, "no element is named %s", quoted);
  return FALSE;
}

/* Whether a pad of template @pattern can be called @name. */
static gboolean
can_be_called (const char *pattern, const char *name)
{
  gsize fixed = strcspn (pattern, "%");

  return pattern[fixed] == '\0' ? strcmp (pattern, name) == 0
                                : strncmp (pattern, name, fixed) == 0;
}

/* What a side of a link can carry: the caps of all its pads that may be meant. Returns NULL,
 * with a problem if there is something to say, when nothing is known or nothing fits. */
static GstCaps *
caps_of_end (const KrCheck *check, const KrLaunchEnd *end, int index, GstPadDirection direction)
{
  const char *word = ((KrLaunchNode *)check->launch->nodes->pdata[index])->word;
  const char *pad = end->pads != NULL && end->pads->len > 0 ? end->pads->pdata[0] : NULL;
  g_autoptr (GTypeClass) klass = g_type_class_ref (check->types[index]);
  GList *templates = gst_element_class_get_pad_template_list (GST_ELEMENT_CLASS (klass));
  g_autoptr (GstCaps) caps = gst_caps_new_empty ();
  g_autoptr (GString) list = g_string_new (NULL);
  guint n = 0;

  if (templates == NULL)
    return NULL; /* a bin that makes its pads as it likes */
  for (; templates != NULL; templates = templates->next) {
    GstPadTemplate *template = templates->data;

    if (GST_PAD_TEMPLATE_DIRECTION (template) != direction)
      continue;
    g_string_append_printf (list, "%s%s", n++ > 0 ? ", " : "",
                            GST_PAD_TEMPLATE_NAME_TEMPLATE (template));
    if (pad == NULL || can_be_called (GST_PAD_TEMPLATE_NAME_TEMPLATE (template), pad))
      gst_caps_append (caps, gst_pad_template_get_caps (template));
  }
  if (n == 0) {
    kr_check_complain (
        check, end->offset,
        direction == GST_PAD_SRC
            ? g_strdup ("it can only be the last element of a chain")
            : g_strdup ("it can only be the first element of a chain; is a '!' too "
                        "many?"),
        direction == GST_PAD_SRC ? "%s has no output to link" : "%s has no input to link",
        word);
    return NULL;
  }
  if (pad != NULL && gst_caps_is_empty (caps)) {
    g_autofree char *quoted = kr_quote_word (pad);

    kr_check_complain (check, end->offset, g_strdup_printf ("its pads here: %s", list->str),
                       "%s can have no pad %s", word, quoted);
    return NULL;
  }
  return g_steal_pointer (&caps);
}

/* "video/x-raw, audio/x-raw" (transfer full) */
static char *
describe_caps (const GstCaps *caps)
{
  GString *list = g_string_new (NULL);
  guint n = 0;

  for (guint i = 0; i < gst_caps_get_size (caps); i++) {
    const char *name = gst_structure_get_name (gst_caps_get_structure (caps, i));

    if (strstr (list->str, name) != NULL)
      continue;
    if (n == MAX_LISTED)
      g_string_append (list, " ...");
    if (n++ < MAX_LISTED)
      g_string_append_printf (list, "%s%s", list->len > 0 ? ", " : "", name);
  }
  return g_string_free (list, FALSE);
}

static gboolean
is_raw (const GstCaps *caps)
{
  for (guint i = 0; i < gst_caps_get_size (caps); i++) {
    const GstStructure *structure = gst_caps_get_structure (caps, i);

    if (gst_structure_has_name (structure, "video/x-raw") ||
        gst_structure_has_name (structure, "audio/x-raw"))
      return TRUE;
  }
  return FALSE;
}

static char *
hint_for_mismatch (const GstCaps *src, const GstCaps *sink)
{
  if (is_raw (src) && is_raw (sink))
    return g_strdup ("one is picture and the other sound, or they want different formats: "
                     "videoconvert or audioconvert between them may help");
  if (is_raw (src))
    return g_strdup ("put an encoder between them");
  if (is_raw (sink))
    return g_strdup ("put a decoder between them, for example decodebin");
  return g_strdup (
      "put an element between them that makes the one of the other: a parser, muxer "
      "or demuxer");
}

static void
check_caps (const KrCheck *check, const KrLaunchLink *link, const char *src_word,
            const GstCaps *src, const char *sink_word, const GstCaps *sink)
{
  g_autoptr (GstCaps) filter = link->caps != NULL ? gst_caps_from_string (link->caps) : NULL;
  g_autofree char *gives = src != NULL ? describe_caps (src) : NULL;
  g_autofree char *takes = sink != NULL ? describe_caps (sink) : NULL;

  if (filter != NULL && src != NULL && !gst_caps_can_intersect (src, filter)) {
    kr_check_complain (check, link->caps_offset, g_strdup_printf ("it gives %s", gives),
                       "%s cannot give these caps", src_word);
    return;
  }
  if (filter != NULL && sink != NULL && !gst_caps_can_intersect (filter, sink)) {
    kr_check_complain (check, link->caps_offset, g_strdup_printf ("it takes %s", takes),
                       "%s cannot take these caps", sink_word);
    return;
  }
  if (src != NULL && sink != NULL && !gst_caps_can_intersect (src, sink))
    kr_check_complain (check, link->offset, hint_for_mismatch (src, sink),
                       "%s cannot be linked to %s: the one gives %s, the other takes %s",
                       src_word, sink_word, gives, takes);
}

static const char *
word_of (const KrCheck *check, int index)
{
  return index >= 0 ? ((KrLaunchNode *)check->launch->nodes->pdata[index])->word : "it";
}

static void
check_link (const KrCheck *check, const KrLaunchLink *link)
{
  int src = kr_check_resolve (check, &link->src), sink = kr_check_resolve (check, &link->sink);
  g_autoptr (GstCaps) src_caps = NULL;
  g_autoptr (GstCaps) sink_caps = NULL;
  g_autofree char *quoted = NULL;

  if (link->caps != NULL && !kr_check_is_unknown (check, link->caps)) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (link->caps);

    quoted = kr_quote_word (link->caps);
    if (caps == NULL)
      kr_check_complain (check, link->caps_offset,
                         g_strdup ("caps are written media/type,field=value,field=value"),
                         "the caps %s cannot be read", quoted);
  }
  if (src >= 0 && src == sink) {
    kr_check_complain (check, link->offset, g_strdup ("link it to another element"),
                       "%s is linked to itself", word_of (check, src));
    return;
  }
  if (src >= 0 && check->types[src] != G_TYPE_INVALID)
    src_caps = caps_of_end (check, &link->src, src, GST_PAD_SRC);
  if (sink >= 0 && check->types[sink] != G_TYPE_INVALID)
    sink_caps = caps_of_end (check, &link->sink, sink, GST_PAD_SINK);
  check_caps (check, link, word_of (check, src), src_caps, word_of (check, sink), sink_caps);
}

typedef struct {
  guint always, others; /* templates by presence */
} PadCount;

static PadCount
count_pads (GType type, GstPadDirection direction)
{
  g_autoptr (GTypeClass) klass = g_type_class_ref (type);
  PadCount count = {0, 0};

  for (GList *at = gst_element_class_get_pad_template_list (GST_ELEMENT_CLASS (klass));
       at != NULL; at = at->next) {
    if (GST_PAD_TEMPLATE_DIRECTION (at->data) != direction)
      continue;
    if (GST_PAD_TEMPLATE_PRESENCE (at->data) == GST_PAD_ALWAYS)
      count.always++;
    else
      count.others++;
  }
  return count;
}

/* One direction of one element: something must be linked, and not more than there are pads. */
static void
check_side (const KrCheck *check, guint index, GstPadDirection direction)
{
  const KrLaunchNode *node = check->launch->nodes->pdata[index];
  PadCount pads = count_pads (check->types[index], direction);
  gboolean is_src = direction == GST_PAD_SRC;
  guint n = 0;

  for (guint i = 0; i < check->launch->links->len; i++) {
    const KrLaunchLink *link = check->launch->links->pdata[i];
    const KrLaunchEnd *end = is_src ? &link->src : &link->sink;

    if (kr_check_resolve (check, end) != (int)index)
      continue;
    n++;
    if (pads.others == 0 && pads.always > 0 && n == pads.always + 1)
      kr_check_complain (
          check, end->offset,
          g_strdup (is_src ? "put a tee behind it: ... ! tee name=t t. ! queue ! ..."
                           : "put a muxer, a mixer or funnel before it"),
          is_src ? "the output of %s is linked already" : "the input of %s is linked already",
          node->word);
  }
  /* In a property's description the open ends become pads of the whole. */
  if (n > 0 || pads.always == 0 || check->parent != NULL || check->launch->nodes->len == 1)
    return;
  kr_check_complain (
      check, node->offset,
      g_strdup (is_src ? "is a '!' missing behind it? fakesink takes what nobody "
                         "wants"
                       : "is a '!' missing before it?"),
      is_src ? "the output of %s is not linked" : "the input of %s is not linked", node->word);
}

void
kr_check_links (const KrCheck *check)
{
  guint n = check->launch->nodes->len;
  g_autofree gboolean *blamed = g_new0 (gboolean, n);
  /* What is linked to what must be certain before something can be said to be missing. */
  gboolean certain = check->launch->mistakes->len == 0;

  for (guint i = 0; i < check->launch->links->len; i++) {
    const KrLaunchLink *link = check->launch->links->pdata[i];
    int ends[] = {kr_check_resolve (check, &link->src), kr_check_resolve (check, &link->sink)};
    guint before = check->problems->len;

    certain &= check_reference (check, &link->src);
    certain &= check_reference (check, &link->sink);
    check_link (check, link);
    for (guint k = 0; k < G_N_ELEMENTS (ends); k++)
      if (ends[k] >= 0)
        blamed[ends[k]] |= check->problems->len > before;
  }
  for (guint i = 0; i < n && certain; i++) {
    if (check->types[i] == G_TYPE_INVALID || blamed[i])
      continue;
    check_side (check, i, GST_PAD_SINK);
    check_side (check, i, GST_PAD_SRC);
  }
}
