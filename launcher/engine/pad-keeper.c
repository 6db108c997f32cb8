/* keeprolling - keeps links alive when an element replaces its source pads
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/pad-keeper.h"

#include <stdatomic.h>

#include "launcher/engine/source-watch.h"

/* Depth of the search for what is before an element: pipelines have no loops, but text can. */
#define MAX_DEPTH 64

/* What has lost its source pad. */
typedef struct {
  GstPad *sink;
  char *name;       /* of the source pad it was linked to */
  char *media_type; /* NULL = unknown */
} Orphan;

struct _KrPadKeeper {
  int ref_count;
  GstElement *element;
  gulong pad_added;
  atomic_bool lets_eos;
  atomic_bool stopped;
  GMutex lock;
  GPtrArray *orphans; /* under lock */
};

static KrPadKeeper *
keeper_ref (KrPadKeeper *keeper)
{
  g_atomic_int_inc (&keeper->ref_count);
  return keeper;
}

static void
keeper_unref (gpointer data)
{
  KrPadKeeper *keeper = data;

  if (!g_atomic_int_dec_and_test (&keeper->ref_count))
    return;
  gst_object_unref (keeper->element);
  g_ptr_array_unref (keeper->orphans);
  g_mutex_clear (&keeper->lock);
  g_free (keeper);
}

static void
orphan_free (gpointer data)
{
  Orphan *orphan = data;

  gst_object_unref (orphan->sink);
  g_free (orphan->name);
  g_free (orphan->media_type);
  g_free (orphan);
}

static char *
media_type_of (GstPad *pad)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);

  if (caps == NULL)
    caps = gst_pad_query_caps (pad, NULL);
  if (caps == NULL || gst_caps_get_size (caps) == 0)
    return NULL;
  return g_strdup (gst_structure_get_name (gst_caps_get_structure (caps, 0)));
}

/* --- streaming threads ---------------------------------------------------------------- */

/* Emitted by gst_element_remove_pad() too, before the pad is gone. */
static void
on_unlinked (GstPad *pad, GstPad *peer, gpointer data)
{
  KrPadKeeper *keeper = data;
  Orphan *orphan;

  if (atomic_load (&keeper->stopped))
    return;
  orphan = g_new0 (Orphan, 1);
  *orphan = (Orphan){
      .sink = gst_object_ref (peer),
      .name = gst_pad_get_name (pad),
      .media_type = media_type_of (pad),
  };
  g_mutex_lock (&keeper->lock);
  g_ptr_array_add (keeper->orphans, orphan);
  g_mutex_unlock (&keeper->lock);
}

static GstPadProbeReturn
on_event (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  KrPadKeeper *keeper = data;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_EOS &&
      !atomic_load (&keeper->lets_eos))
    return GST_PAD_PROBE_DROP;
  return GST_PAD_PROBE_OK;
}

static Orphan *
take_orphan (KrPadKeeper *keeper, GstPad *pad, gboolean same_name)
{
  g_autofree char *name = gst_pad_get_name (pad);
  g_autofree char *media_type = media_type_of (pad);
  Orphan *found = NULL;

  g_mutex_lock (&keeper->lock);
  for (guint i = 0; i < keeper->orphans->len && found == NULL; i++) {
    Orphan *orphan = g_ptr_array_index (keeper->orphans, i);

    if (g_strcmp0 (media_type, orphan->media_type) == 0 &&
        (!same_name || g_str_equal (name, orphan->name)) && !gst_pad_is_linked (orphan->sink))
      found = g_ptr_array_steal_index (keeper->orphans, i);
  }
  g_mutex_unlock (&keeper->lock);
  return found;
}

static void
adopt (KrPadKeeper *keeper, GstPad *pad)
{
  Orphan *orphan = take_orphan (keeper, pad, TRUE);

  if (orphan == NULL)
    orphan = take_orphan (keeper, pad, FALSE);
  if (orphan == NULL)
    return;
  gst_pad_link (pad, orphan->sink);
  orphan_free (orphan);
}

static void
keep_pad (KrPadKeeper *keeper, GstPad *pad)
{
  g_signal_connect_data (pad, "unlinked", G_CALLBACK (on_unlinked), keeper_ref (keeper),
                         (GClosureNotify)(GCallback)keeper_unref, 0);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_event, keeper_ref (keeper),
                     keeper_unref);
}

/* Runs after the handlers of gst_parse_launch(), which were connected first. */
static void
on_pad_added (GstElement *element, GstPad *pad, gpointer data)
{
  KrPadKeeper *keeper = data;

  if (!GST_PAD_IS_SRC (pad) || atomic_load (&keeper->stopped))
    return;
  keep_pad (keeper, pad);
  if (!gst_pad_is_linked (pad))
    adopt (keeper, pad);
}

/* --- which elements ------------------------------------------------------------------- */

/* Pads that come with the data; not those that come with a request pad, as multiqueue's. */
static gboolean
makes_pads (GstElement *element)
{
  const GList *templates =
      gst_element_class_get_pad_template_list (GST_ELEMENT_GET_CLASS (element));
  gboolean sometimes_src = FALSE;

  for (const GList *item = templates; item != NULL; item = item->next) {
    GstPadTemplate *template = item->data;

    if (template->presence == GST_PAD_REQUEST && template->direction == GST_PAD_SINK)
      return FALSE;
    if (template->presence == GST_PAD_SOMETIMES && template->direction == GST_PAD_SRC)
      sometimes_src = TRUE;
  }
  return sometimes_src;
}

typedef struct {
  guint depth;
  gboolean found;
} Search;

static gboolean
look_before (GstElement *element, GstPad *sink, gpointer data)
{
  Search *search = data;
  g_autoptr (GstPad) peer = gst_pad_get_peer (sink);
  g_autoptr (GstElement) before = peer != NULL ? gst_pad_get_parent_element (peer) : NULL;

  if (before == NULL || search->depth >= MAX_DEPTH)
    return TRUE;
  if (before->numsinkpads == 0 && !kr_source_watch_is_live (before)) {
    search->found = TRUE;
    return FALSE;
  }
  search->depth++;
  gst_element_foreach_sink_pad (before, look_before, search);
  search->depth--;
  return !search->found;
}

static gboolean
has_other_source_before (GstElement *element)
{
  Search search = {0};

  if (element->numsinkpads == 0)
    return !kr_source_watch_is_live (element);
  gst_element_foreach_sink_pad (element, look_before, &search);
  return search.found;
}

static void
find_in (GstBin *bin, GPtrArray *found)
{
  g_autoptr (GstIterator) iterator = gst_bin_iterate_elements (bin);
  GValue item = G_VALUE_INIT;

  while (gst_iterator_next (iterator, &item) == GST_ITERATOR_OK) {
    GstElement *element = g_value_get_object (&item);

    if (G_OBJECT_TYPE (element) == GST_TYPE_BIN) {
      find_in (GST_BIN (element), found);
    } else if (makes_pads (element) && !has_other_source_before (element)) {
      KrPadKeeper *keeper = g_new0 (KrPadKeeper, 1);

      keeper->ref_count = 1;
      g_mutex_init (&keeper->lock);
      keeper->element = gst_object_ref (element);
      keeper->orphans = g_ptr_array_new_with_free_func (orphan_free);
      keeper->pad_added = g_signal_connect_data (element, "pad-added",
                                                 G_CALLBACK (on_pad_added), keeper_ref (keeper),
                                                 (GClosureNotify)(GCallback)keeper_unref, 0);
      g_ptr_array_add (found, keeper);
    }
    g_value_reset (&item);
  }
  g_value_unset (&item);
}

GPtrArray *
kr_pad_keeper_find (GstBin *bin)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pad_keeper_free);

  find_in (bin, found);
  return found;
}

void
kr_pad_keeper_let_eos (KrPadKeeper *keeper)
{
  atomic_store (&keeper->lets_eos, TRUE);
}

void
kr_pad_keeper_free (KrPadKeeper *keeper)
{
  atomic_store (&keeper->stopped, TRUE);
  g_clear_signal_handler (&keeper->pad_added, keeper->element);
  keeper_unref (keeper);
}
