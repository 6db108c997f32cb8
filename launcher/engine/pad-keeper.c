/* keeprolling - keeps links alive when an element replaces its source pads
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/pad-keeper.h"

#include <stdatomic.h>

#include "launcher/engine/source-watch.h"

/* Depth of the search for what is before an element: pipelines have no loops, but text can. */
#define MAX_DEPTH 64

/* The media type that last went through a source pad: when it is unlinked its caps are gone. */
#define MEDIA_TYPE "keeprolling-media-type"

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
first_name (const GstCaps *caps)
{
  if (caps == NULL || gst_caps_get_size (caps) == 0)
    return NULL;
  return g_strdup (gst_structure_get_name (gst_caps_get_structure (caps, 0)));
}

static char *
media_type_of (GstPad *pad)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);

  if (caps == NULL)
    caps = gst_pad_query_caps (pad, NULL);
  return first_name (caps);
}

static gpointer
copy_string (gpointer data, gpointer user_data)
{
  return g_strdup (data);
}

/* --- streaming threads ---------------------------------------------------------------- */

static void
remember_media_type (GstPad *pad, char *media_type)
{
  if (media_type != NULL)
    g_object_set_data_full (G_OBJECT (pad), MEDIA_TYPE, media_type, g_free);
}

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
      .media_type = g_object_dup_data (G_OBJECT (pad), MEDIA_TYPE, copy_string, NULL),
  };
  g_mutex_lock (&keeper->lock);
  g_ptr_array_add (keeper->orphans, orphan);
  g_mutex_unlock (&keeper->lock);
}

static GstPadProbeReturn
on_event (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  KrPadKeeper *keeper = data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);

  if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
    GstCaps *caps;

    gst_event_parse_caps (event, &caps);
    remember_media_type (pad, first_name (caps));
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_EOS && !atomic_load (&keeper->lets_eos)) {
    return GST_PAD_PROBE_DROP;
  }
  return GST_PAD_PROBE_OK;
}

/* How well a new pad and an orphan go together; the best are tried first. */
typedef enum { SAME_NAME, SAME_MEDIA_TYPE, UNKNOWN_MEDIA_TYPE, N_FITS } Fit;

static gboolean
fits (const Orphan *orphan, GstPad *pad, Fit fit)
{
  g_autofree char *media_type = media_type_of (pad);

  switch (fit) {
  case SAME_NAME:
    return g_str_equal (GST_PAD_NAME (pad), orphan->name);
  case SAME_MEDIA_TYPE:
    return media_type != NULL && g_strcmp0 (media_type, orphan->media_type) == 0;
  case UNKNOWN_MEDIA_TYPE:
    return media_type == NULL || orphan->media_type == NULL;
  case N_FITS:
    break;
  }
  return FALSE;
}

/* The first orphan from @from on that fits, taken out of the list (transfer full). */
static Orphan *
take_orphan (KrPadKeeper *keeper, GstPad *pad, Fit fit, guint from)
{
  Orphan *found = NULL;

  g_mutex_lock (&keeper->lock);
  for (guint i = from; i < keeper->orphans->len && found == NULL; i++)
    if (fits (g_ptr_array_index (keeper->orphans, i), pad, fit))
      found = g_ptr_array_steal_index (keeper->orphans, i);
  g_mutex_unlock (&keeper->lock);
  return found;
}

static void
give_back (KrPadKeeper *keeper, Orphan *orphan)
{
  g_mutex_lock (&keeper->lock);
  g_ptr_array_insert (keeper->orphans, 0, orphan);
  g_mutex_unlock (&keeper->lock);
}

static void
adopt (KrPadKeeper *keeper, GstPad *pad, Fit fit)
{
  Orphan *orphan;

  /* One that was tried in vain goes to the front, so each is tried once. */
  for (guint tried = 0; (orphan = take_orphan (keeper, pad, fit, tried)) != NULL; tried++) {
    /* gst_pad_link() compares the caps: a picture is not given to a sound decoder. */
    if (gst_pad_is_linked (orphan->sink) ||
        gst_pad_link (pad, orphan->sink) == GST_PAD_LINK_OK) {
      orphan_free (orphan);
      if (gst_pad_is_linked (pad))
        return;
      tried--; /* somebody else has linked it: it is no orphan any more */
      continue;
    }
    give_back (keeper, orphan);
  }
}

static void
keep_pad (KrPadKeeper *keeper, GstPad *pad)
{
  remember_media_type (pad, media_type_of (pad));
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
  for (Fit fit = 0; fit < N_FITS && !gst_pad_is_linked (pad); fit++)
    adopt (keeper, pad, fit);
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
