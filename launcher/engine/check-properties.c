/* keeprolling - whether elements have these properties and take these values
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/check-private.h"

#include <string.h>

#include "launcher/core/nearest.h"

#define MAX_LISTED 24

/* Collects words for a hint; ", ..." when there are too many. */
static void
list_word (GString *list, guint i, const char *word)
{
  if (i < MAX_LISTED)
    g_string_append_printf (list, "%s%s", i > 0 ? ", " : "", word);
  else if (i == MAX_LISTED)
    g_string_append (list, ", ...");
}

static char *
hint_for_enum (GEnumClass *klass, const char *value)
{
  g_autoptr (GPtrArray) nicks = g_ptr_array_new ();
  GString *list = g_string_new (NULL);
  const char *nearest;

  for (guint i = 0; i < klass->n_values; i++)
    g_ptr_array_add (nicks, (gpointer)klass->values[i].value_nick);
  g_ptr_array_add (nicks, NULL);
  nearest = kr_nearest (value, (const char *const *)nicks->pdata);
  if (nearest != NULL)
    g_string_append_printf (list, "did you mean %s? ", nearest);
  g_string_append (list, "One of: ");
  for (guint i = 0; i < klass->n_values; i++)
    list_word (list, i, klass->values[i].value_nick);
  return g_string_free (list, FALSE);
}

static char *
hint_for_flags (GFlagsClass *klass)
{
  GString *list = g_string_new ("joined by '+', any of: ");

  for (guint i = 0; i < klass->n_values; i++)
    list_word (list, i, klass->values[i].value_nick);
  return g_string_free (list, FALSE);
}

#define RANGE(Type, format)                                                                    \
  g_strdup_printf ("a number from %" format " to %" format, Type (pspec)->minimum,             \
                   Type (pspec)->maximum)

/* What a property takes. */
static char *
hint_for_value (GParamSpec *pspec, const char *value)
{
  GType type = pspec->value_type;

  if (G_IS_PARAM_SPEC_ENUM (pspec))
    return hint_for_enum (G_PARAM_SPEC_ENUM (pspec)->enum_class, value);
  if (G_IS_PARAM_SPEC_FLAGS (pspec))
    return hint_for_flags (G_PARAM_SPEC_FLAGS (pspec)->flags_class);
  if (type == G_TYPE_BOOLEAN)
    return g_strdup ("true or false");
  if (G_IS_PARAM_SPEC_INT (pspec))
    return RANGE (G_PARAM_SPEC_INT, "i");
  if (G_IS_PARAM_SPEC_UINT (pspec))
    return RANGE (G_PARAM_SPEC_UINT, "u");
  if (G_IS_PARAM_SPEC_INT64 (pspec))
    return RANGE (G_PARAM_SPEC_INT64, G_GINT64_FORMAT);
  if (G_IS_PARAM_SPEC_UINT64 (pspec))
    return RANGE (G_PARAM_SPEC_UINT64, G_GUINT64_FORMAT);
  if (G_IS_PARAM_SPEC_LONG (pspec))
    return RANGE (G_PARAM_SPEC_LONG, "li");
  if (G_IS_PARAM_SPEC_ULONG (pspec))
    return RANGE (G_PARAM_SPEC_ULONG, "lu");
  if (G_IS_PARAM_SPEC_FLOAT (pspec))
    return RANGE (G_PARAM_SPEC_FLOAT, "g");
  if (G_IS_PARAM_SPEC_DOUBLE (pspec))
    return RANGE (G_PARAM_SPEC_DOUBLE, "g");
  if (type == GST_TYPE_FRACTION)
    return g_strdup ("a fraction such as 30/1");
  if (type == GST_TYPE_CAPS)
    return g_strdup ("caps such as video/x-raw,width=1280");
  if (type == GST_TYPE_STRUCTURE)
    return g_strdup ("a structure such as \"props,name=value\"");
  return g_strdup_printf ("it takes a %s, which cannot be written here", g_type_name (type));
}

/* -1 is written for "the largest" now and then; other negative numbers are mistakes, and
 * GStreamer would wrap them around. */
static gboolean
is_wrapped (GParamSpec *pspec, const char *value)
{
  return (G_IS_PARAM_SPEC_UINT (pspec) || G_IS_PARAM_SPEC_UINT64 (pspec) ||
          G_IS_PARAM_SPEC_ULONG (pspec)) &&
         value[0] == '-' && strcmp (value, "-1") != 0;
}

/* Elements only warn of a URI that they cannot take, and then wait for data from nowhere. The
 * URI itself is not shown: it may hold a secret. */
static void
check_uri (const KrCheck *check, const char *word, const KrLaunchProperty *property)
{
  g_autoptr (GstElementFactory) factory = gst_element_factory_find (word);
  const char *const *protocols =
      factory != NULL ? gst_element_factory_get_uri_protocols (factory) : NULL;
  g_autofree char *protocol = gst_uri_get_protocol (property->value);
  GString *hint;

  if (protocols == NULL || *property->value == '\0')
    return;
  for (guint i = 0; protocol != NULL && protocols[i] != NULL; i++)
    if (g_ascii_strcasecmp (protocol, protocols[i]) == 0)
      return;
  hint = g_string_new ("it begins with ");
  for (guint i = 0; protocols[i] != NULL; i++)
    g_string_append_printf (hint, "%s%s://", i > 0 ? " or " : "", protocols[i]);
  kr_check_complain (check, g_array_index (property->value_map, gsize, 0),
                     g_string_free (hint, FALSE), "the URI is none that %s can take", word);
}

static void
check_simple_value (const KrCheck *check, const char *word, const KrLaunchProperty *property,
                    GParamSpec *pspec)
{
  g_auto (GValue) value = G_VALUE_INIT;
  g_autofree char *quoted = kr_quote_word (property->value);
  gsize offset = g_array_index (property->value_map, gsize, 0);
  const char *problem = NULL;

  g_value_init (&value, pspec->value_type);
  if (!gst_value_deserialize_with_pspec (&value, property->value, pspec))
    problem = "is no value for";
  else if (is_wrapped (pspec, property->value) ||
           (!(pspec->flags & G_PARAM_LAX_VALIDATION) && g_param_value_validate (pspec, &value)))
    problem = "is out of range for";
  if (problem == NULL)
    return;
  /* Text and structures may contain secrets; what has a fixed form cannot. */
  if (G_TYPE_IS_BOXED (pspec->value_type) || G_TYPE_IS_OBJECT (pspec->value_type) ||
      pspec->value_type == G_TYPE_STRING) {
    g_free (quoted);
    quoted = g_strdup ("the value");
  }
  kr_check_complain (check, offset, hint_for_value (pspec, property->value),
                     "%s %s property '%s' of %s", quoted, problem, property->name, word);
}

static void
check_value (const KrCheck *check, const char *word, const KrLaunchProperty *property,
             GParamSpec *pspec)
{
  if (!(pspec->flags & G_PARAM_WRITABLE)) {
    kr_check_complain (check, property->name_offset,
                       g_strdup ("take it away: the element sets it itself"),
                       "property '%s' of %s can only be read", property->name, word);
    return;
  }
  if (kr_check_is_unknown (check, property->value))
    return;
  if (g_type_is_a (pspec->value_type, GST_TYPE_ELEMENT)) {
    kr_check_nested (check, property);
    return;
  }
  check_simple_value (check, word, property, pspec);
  if (pspec->value_type == G_TYPE_STRING && strcmp (pspec->name, "uri") == 0)
    check_uri (check, word, property);
  /* splitmuxsink sink-factory=atomicfilesink and the like. */
  if (pspec->value_type == G_TYPE_STRING && g_str_has_suffix (pspec->name, "-factory") &&
      *property->value != '\0')
    kr_check_element (check, property->value, g_array_index (property->value_map, gsize, 0));
}

static void
report_unknown_property (const KrCheck *check, const char *word, const char *owner,
                         const KrLaunchProperty *property, GObjectClass *klass,
                         const char *name)
{
  guint n = 0;
  g_autofree GParamSpec **specs = g_object_class_list_properties (klass, &n);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *quoted = kr_quote_word (property->name);

  for (guint i = 0; i < n; i++)
    if (specs[i]->flags & G_PARAM_WRITABLE)
      g_ptr_array_add (names, (gpointer)specs[i]->name);
  g_ptr_array_add (names, NULL);
  kr_check_complain (check, property->name_offset,
                     kr_nearest_hint (name, (const char *const *)names->pdata,
                                      "gst-inspect-1.0 %s lists its properties", word),
                     "%s has no property %s", owner, quoted);
}

/* The template whose pads can be called @name; NULL = none. */
static GstPadTemplate *
find_pad_template (GstElementClass *klass, const char *name)
{
  for (GList *at = gst_element_class_get_pad_template_list (klass); at != NULL; at = at->next) {
    const char *pattern = GST_PAD_TEMPLATE_NAME_TEMPLATE (at->data);
    gsize fixed = strcspn (pattern, "%");

    if (pattern[fixed] == '\0' ? strcmp (pattern, name) == 0
                               : strncmp (pattern, name, fixed) == 0)
      return at->data;
  }
  return NULL;
}

static char *
list_pads (GstElementClass *klass)
{
  GString *list = g_string_new ("its pads: ");
  guint n = 0;

  for (GList *at = gst_element_class_get_pad_template_list (klass); at != NULL; at = at->next)
    list_word (list, n++, GST_PAD_TEMPLATE_NAME_TEMPLATE (at->data));
  return g_string_free (list, FALSE);
}

/* "sink_0::xpos": the pad comes to be when it is linked, its class is known before. Children of
 * a bin are its own matter. */
static void
check_child_property (const KrCheck *check, const char *word, GType type,
                      const KrLaunchProperty *property, const char *separator)
{
  g_autoptr (GTypeClass) klass = g_type_class_ref (type);
  g_autoptr (GTypeClass) pad_class = NULL;
  g_autofree char *child = g_strndup (property->name, (gsize)(separator - property->name));
  g_autofree char *quoted = kr_quote_word (child);
  GstPadTemplate *template;
  GType pad_type = G_TYPE_NONE;
  GParamSpec *pspec;

  if (!g_type_is_a (type, GST_TYPE_CHILD_PROXY)) {
    kr_check_complain (check, property->name_offset,
                       g_strdup ("only bins, mixers and the like have properties of children"),
                       "%s has no children, so no property '%.60s'", word, property->name);
    return;
  }
  if (g_type_is_a (type, GST_TYPE_BIN))
    return;
  template = find_pad_template (GST_ELEMENT_CLASS (klass), child);
  if (template == NULL) {
    kr_check_complain (check, property->name_offset, list_pads (GST_ELEMENT_CLASS (klass)),
                       "%s can have no pad %s", word, quoted);
    return;
  }
  g_object_get (template, "gtype", &pad_type, NULL);
  if (!g_type_is_a (pad_type, GST_TYPE_PAD))
    return;
  pad_class = g_type_class_ref (pad_type);
  pspec = g_object_class_find_property (G_OBJECT_CLASS (pad_class), separator + 2);
  if (pspec != NULL) {
    g_autofree char *owner = g_strdup_printf ("%s's pads", word);

    check_value (check, owner, property, pspec);
  } else {
    g_autofree char *owner = g_strdup_printf ("a pad of %s", word);

    report_unknown_property (check, word, owner, property, G_OBJECT_CLASS (pad_class),
                             separator + 2);
  }
}

static void
check_preset (const KrCheck *check, const char *word, GType type,
              const KrLaunchProperty *property)
{
  if (!g_type_is_a (type, GST_TYPE_PRESET))
    kr_check_complain (check, property->name_offset, g_strdup ("set its properties one by one"),
                       "%s has no presets", word);
}

/* GObject takes '_' for '-' in names. */
static gboolean
is_same_property (const char *a, const char *b)
{
  for (; *a != '\0' && *b != '\0'; a++, b++)
    if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-')))
      return FALSE;
  return *a == *b;
}

static gboolean
is_set_before (const KrLaunchNode *node, guint index)
{
  const KrLaunchProperty *property = node->properties->pdata[index];

  for (guint i = 0; i < index; i++)
    if (is_same_property (((KrLaunchProperty *)node->properties->pdata[i])->name,
                          property->name))
      return TRUE;
  return FALSE;
}

void
kr_check_properties (KrCheck *check, guint index)
{
  const KrLaunchNode *node = check->launch->nodes->pdata[index];
  g_autoptr (GTypeClass) klass = NULL;

  if (check->types[index] == G_TYPE_INVALID)
    return;
  klass = g_type_class_ref (check->types[index]);
  for (guint i = 0; i < node->properties->len; i++) {
    const KrLaunchProperty *property = node->properties->pdata[i];
    const char *separator = g_strrstr (property->name, "::");
    GParamSpec *pspec;

    if (is_set_before (node, i)) {
      kr_check_complain (check, property->name_offset, g_strdup ("keep one of them"),
                         "%s sets property '%.60s' twice", node->word, property->name);
      continue;
    }
    if (*property->name == '@') {
      check_preset (check, node->word, check->types[index], property);
      continue;
    }
    if (separator != NULL) {
      check_child_property (check, node->word, check->types[index], property, separator);
      continue;
    }
    pspec = g_object_class_find_property (G_OBJECT_CLASS (klass), property->name);
    if (pspec != NULL)
      check_value (check, node->word, property, pspec);
    else
      report_unknown_property (check, node->word, node->word, property, G_OBJECT_CLASS (klass),
                               property->name);
  }
}
