/* keeprolling - what of a sink is to be watched
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/growthtarget.h"

#include <string.h>

gboolean
kr_growth_target_has_location (GstElement *element)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "location");

  return pspec != NULL && pspec->value_type == G_TYPE_STRING &&
         (pspec->flags & G_PARAM_READWRITE) == G_PARAM_READWRITE;
}

/* The first element for which @matches holds (transfer full). */
static GstElement *
find_inside (GstElement *sink, gboolean (*matches) (GstElement *element))
{
  GstIterator *elements;
  GValue item = G_VALUE_INIT;
  GstElement *found = NULL;
  gboolean done = FALSE;

  if (matches (sink))
    return gst_object_ref (sink);
  if (!GST_IS_BIN (sink))
    return NULL;
  elements = gst_bin_iterate_recurse (GST_BIN (sink));
  while (found == NULL && !done) {
    switch (gst_iterator_next (elements, &item)) {
    case GST_ITERATOR_OK:
      if (matches (g_value_get_object (&item)))
        found = g_value_dup_object (&item);
      g_value_reset (&item);
      break;
    case GST_ITERATOR_RESYNC:
      gst_iterator_resync (elements);
      break;
    case GST_ITERATOR_ERROR:
    case GST_ITERATOR_DONE:
      done = TRUE;
      break;
    }
  }
  g_value_unset (&item);
  gst_iterator_free (elements);
  return found;
}

static gboolean
is_writer (GstElement *element)
{
  return GST_OBJECT_FLAG_IS_SET (element, GST_ELEMENT_FLAG_SINK) &&
         kr_growth_target_has_location (element);
}

static gboolean
is_innermost_sink (GstElement *element)
{
  return GST_OBJECT_FLAG_IS_SET (element, GST_ELEMENT_FLAG_SINK) && !GST_IS_BIN (element);
}

GstElement *
kr_growth_target_find_element (GstElement *sink)
{
  GstElement *found = find_inside (sink, is_writer);

  if (found == NULL)
    found = find_inside (sink, is_innermost_sink);
  return found != NULL ? found : gst_object_ref (sink);
}

static gboolean
is_made_by (GstElement *element, const char *name)
{
  GstElementFactory *factory = gst_element_get_factory (element);

  return factory != NULL && g_str_equal (GST_OBJECT_NAME (factory), name);
}

static KrFileWatch *
watch_text (const char *text)
{
  return kr_file_watch_is_pattern (text) ? kr_file_watch_new_pattern (text)
                                         : kr_file_watch_new_path (text);
}

/* A location may be a path, a URI, or a template with a number in it. */
static KrFileWatch *
watch_location_of (GstElement *element)
{
  g_autofree char *location = NULL, *path = NULL, *pattern = NULL;

  if (!kr_growth_target_has_location (element))
    return NULL;
  g_object_get (element, "location", &location, NULL);
  if (location == NULL || *location == '\0')
    return NULL;
  if (gst_uri_is_valid (location) && strstr (location, "://") != NULL) {
    path = g_filename_from_uri (location, NULL, NULL);
    return path != NULL ? kr_file_watch_new_path (path) : NULL;
  }
  if (!is_made_by (element, "filesink"))
    pattern = kr_file_watch_pattern_from_printf (location);
  return pattern != NULL ? kr_file_watch_new_pattern (pattern)
                         : kr_file_watch_new_path (location);
}

KrGrowthTarget
kr_growth_target_find (GstElement *sink, const char *watch_location)
{
  KrGrowthTarget target = {NULL};

  if (sink != NULL)
    target.element = kr_growth_target_find_element (sink);
  if (watch_location != NULL && *watch_location != '\0') {
    target.watch = watch_text (watch_location);
  } else if (target.element != NULL && is_made_by (target.element, "atomicfilesink")) {
    target.watch = kr_file_watch_new_follow ();
    target.follows = TRUE;
  } else if (target.element != NULL) {
    target.watch = watch_location_of (target.element);
  }
  return target;
}
