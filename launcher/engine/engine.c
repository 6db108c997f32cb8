/* keeprolling - the engine as a whole
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/engine.h"

gboolean
kr_engine_init (GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (gst_init_check (NULL, NULL, &reason))
    return TRUE;
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
