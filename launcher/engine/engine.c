/* keeprolling - the engine as a whole
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "launcher/engine/engine.h"

#include "launcher/engine/debug-log.h"

/* Elements between a source and what reads it; a circle would have none. */
#define MAX_CHAIN 64

void
kr_engine_prepare (void)
{
  /* GStreamer reads the first of these that is set. */
  const char *variable =
      g_getenv ("GST_PLUGIN_PATH_1_0") != NULL ? "GST_PLUGIN_PATH_1_0" : "GST_PLUGIN_PATH";
  const char *given = g_getenv (variable);
  g_auto (GStrv) folders = g_strsplit (given != NULL ? given : "", ":", -1);
  g_autofree char *path = NULL;

  /* A worker has inherited it. */
  if (PLUGIN_PATH[0] == '\0' || g_strv_contains ((const char *const *)folders, PLUGIN_PATH))
    return;
  path = given != NULL && given[0] != '\0' ? g_strconcat (given, ":", PLUGIN_PATH, NULL)
                                           : g_strdup (PLUGIN_PATH);
  g_setenv (variable, path, TRUE);
}

gboolean
kr_engine_init (GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (gst_init_check (NULL, NULL, &reason)) {
    kr_debug_log_redact ();
    return TRUE;
  }
  /* It may fail without saying why. */
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  else
    g_set_error_literal (error, GST_CORE_ERROR, GST_CORE_ERROR_FAILED, "it gives no reason");
  return FALSE;
}

static void
list_into (GstBin *bin, GPtrArray *elements)
{
  GList *children;

  GST_OBJECT_LOCK (bin);
  children = g_list_copy_deep (bin->children, (GCopyFunc)(GCallback)gst_object_ref, NULL);
  GST_OBJECT_UNLOCK (bin);
  /* A bin prepends what is added. */
  children = g_list_reverse (children);
  for (GList *item = children; item != NULL; item = item->next) {
    g_ptr_array_add (elements, item->data);
    if (GST_IS_BIN (item->data))
      list_into (item->data, elements);
  }
  g_list_free (children);
}

GPtrArray *
kr_engine_list_elements (GstBin *bin)
{
  GPtrArray *elements = g_ptr_array_new_with_free_func (gst_object_unref);

  list_into (bin, elements);
  return elements;
}

/* What feeds @element; NULL if nothing does. */
static GstElement *
element_before (GstElement *element)
{
  g_autoptr (GstPad) pad = NULL, peer = NULL;

  GST_OBJECT_LOCK (element);
  if (element->sinkpads != NULL)
    pad = gst_object_ref (element->sinkpads->data);
  GST_OBJECT_UNLOCK (element);
  if (pad != NULL)
    peer = gst_pad_get_peer (pad);
  while (peer != NULL && GST_IS_GHOST_PAD (peer)) {
    GstPad *inner = gst_ghost_pad_get_target (GST_GHOST_PAD (peer));

    gst_object_unref (peer);
    peer = inner;
  }
  return peer != NULL ? gst_pad_get_parent_element (peer) : NULL;
}

char *
kr_engine_name_source (GstElement *element)
{
  g_autoptr (GstElement) source = gst_object_ref (element);

  for (guint i = 0; i < MAX_CHAIN; i++) {
    GstElement *before = element_before (source);

    if (before == NULL)
      break;
    gst_object_unref (source);
    source = before;
  }
  return gst_object_get_name (GST_OBJECT (source));
}
