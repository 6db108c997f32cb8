/* keeprolling - which element holds up the data
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/hang.h"

#include "launcher/engine/engine.h"

/* A pipeline that is longer than this is a loop. */
#define MAX_STEPS 256

static gboolean
is_held (GstPad *pad)
{
  if (!GST_PAD_STREAM_TRYLOCK (pad))
    return TRUE;
  GST_PAD_STREAM_UNLOCK (pad);
  return FALSE;
}

static GList *
copy_pads (GstElement *element, gboolean sinks)
{
  GList *pads;

  GST_OBJECT_LOCK (element);
  pads = g_list_copy_deep (sinks ? element->sinkpads : element->srcpads,
                           (GCopyFunc)(GCallback)gst_object_ref, NULL);
  GST_OBJECT_UNLOCK (element);
  return pads;
}

static gboolean
has_thread (GstElement *element)
{
  GList *pads = copy_pads (element, TRUE);
  gboolean held = FALSE;

  for (GList *item = pads; item != NULL && !held; item = item->next)
    held = is_held (item->data);
  g_list_free_full (pads, gst_object_unref);
  return held;
}

static gboolean
is_sink (GstElement *element)
{
  gboolean leads_nowhere;

  GST_OBJECT_LOCK (element);
  leads_nowhere = element->numsrcpads == 0;
  GST_OBJECT_UNLOCK (element);
  return leads_nowhere;
}

/* What @pad is linked to, through the walls of bins (transfer full). */
static GstPad *
get_real_peer (GstPad *pad)
{
  GstPad *peer = gst_pad_get_peer (pad);

  for (guint i = 0; peer != NULL && i < MAX_STEPS; i++) {
    GstPad *next;

    if (GST_IS_GHOST_PAD (peer)) { /* into a bin */
      next = gst_ghost_pad_get_target (GST_GHOST_PAD (peer));
    } else if (GST_IS_PROXY_PAD (peer)) { /* out of one */
      g_autoptr (GstProxyPad) outside = gst_proxy_pad_get_internal (GST_PROXY_PAD (peer));

      next = outside != NULL ? gst_pad_get_peer (GST_PAD (outside)) : NULL;
    } else {
      break;
    }
    gst_object_unref (peer);
    peer = next;
  }
  return peer;
}

/* The element behind @pad, if a thread has come through @pad and is there (transfer full). */
static GstElement *
get_next (GstPad *pad)
{
  g_autoptr (GstPad) peer = get_real_peer (pad);

  return peer != NULL && is_held (peer) ? gst_pad_get_parent_element (peer) : NULL;
}

static GstElement *
get_next_of (GstElement *element)
{
  GList *pads = copy_pads (element, FALSE);
  GstElement *next = NULL;

  for (GList *item = pads; item != NULL && next == NULL; item = item->next)
    next = get_next (item->data);
  g_list_free_full (pads, gst_object_unref);
  return next;
}

char *
kr_hang_find_behind (GstPad *pad)
{
  GstElement *element = get_next (pad);
  char *name;

  for (guint i = 0; element != NULL && i < MAX_STEPS; i++) {
    GstElement *next = get_next_of (element);

    if (next == NULL)
      break;
    gst_object_unref (element);
    element = next;
  }
  if (element == NULL)
    return NULL;
  name = gst_element_get_name (element);
  gst_object_unref (element);
  return name;
}

char *
kr_hang_find_in (GstBin *pipeline)
{
  g_autoptr (GPtrArray) elements = kr_engine_list_elements (pipeline);

  for (guint i = 0; i < elements->len; i++) {
    GstElement *element = g_ptr_array_index (elements, i);
    g_autoptr (GstElement) next = NULL;

    if (GST_IS_BIN (element) || !has_thread (element))
      continue;
    next = get_next_of (element);
    if (next == NULL)
      return gst_element_get_name (element);
  }
  return NULL;
}

gboolean
kr_hang_is_in_sink (GstBin *pipeline)
{
  g_autoptr (GPtrArray) elements = kr_engine_list_elements (pipeline);

  for (guint i = 0; i < elements->len; i++) {
    GstElement *element = g_ptr_array_index (elements, i);

    if (!GST_IS_BIN (element) && is_sink (element) && has_thread (element))
      return TRUE;
  }
  return FALSE;
}
