/* keeprolling - an element that makes trouble when told to
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* For tests alone: what no stock element does on demand. Passes buffers through until `after`
 * of them have gone by, then misbehaves; with `once` naming a file only if that file does not
 * exist yet (it is created then), so that the successor of the process gets along. */

#include "config.h"

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define KR_TYPE_TROUBLE (kr_trouble_get_type ())
G_DECLARE_FINAL_TYPE (KrTrouble, kr_trouble, KR, TROUBLE, GstBaseTransform)

struct _KrTrouble {
  GstBaseTransform parent;

  /* set before the pipeline starts */
  char *kind;
  char *once;
  guint after;

  guint seen;
  gboolean due;
};

G_DEFINE_TYPE (KrTrouble, kr_trouble, GST_TYPE_BASE_TRANSFORM)

enum { PROP_0, PROP_KIND, PROP_AFTER, PROP_ONCE };

static void
loop_for_ever (void)
{
  volatile guint64 n = 0;

  for (;;)
    n++;
}

/* 4 MiB per buffer, touched, so that it counts. */
static void
leak (void)
{
  static char *volatile last;
  gsize size = 4 * 1024 * 1024;

  last = g_malloc (size);
  memset (last, 1, size);
}

static gboolean
block_main_loop (gpointer data)
{
  loop_for_ever ();
  return G_SOURCE_REMOVE;
}

static GstFlowReturn
make_trouble (KrTrouble *self)
{
  if (strcmp (self->kind, "loop") == 0)
    loop_for_ever ();
  if (strcmp (self->kind, "main-loop") == 0)
    g_idle_add (block_main_loop, NULL);
  if (strcmp (self->kind, "leak") == 0)
    leak ();
  if (strcmp (self->kind, "crash") == 0)
    abort ();
  if (strcmp (self->kind, "error") == 0) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED, ("trouble, as asked for"), (NULL));
    return GST_FLOW_ERROR;
  }
  /* once for those that last, again and again for those that add up */
  self->due = strcmp (self->kind, "leak") == 0;
  return GST_FLOW_OK;
}

static gboolean
is_due (KrTrouble *self)
{
  int fd;

  if (self->due)
    return TRUE;
  if (self->seen++ != self->after)
    return FALSE;
  if (self->once == NULL)
    return self->due = TRUE;
  fd = open (self->once, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    close (fd);
  return self->due = fd >= 0;
}

static GstFlowReturn
kr_trouble_transform_ip (GstBaseTransform *transform, GstBuffer *buffer)
{
  KrTrouble *self = KR_TROUBLE (transform);

  return is_due (self) ? make_trouble (self) : GST_FLOW_OK;
}

static void
kr_trouble_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  KrTrouble *self = KR_TROUBLE (object);

  switch (id) {
  case PROP_KIND:
    g_free (self->kind);
    self->kind = g_value_dup_string (value);
    break;
  case PROP_AFTER:
    self->after = g_value_get_uint (value);
    break;
  case PROP_ONCE:
    g_free (self->once);
    self->once = g_value_dup_string (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
}

static void
kr_trouble_finalize (GObject *object)
{
  KrTrouble *self = KR_TROUBLE (object);

  g_free (self->kind);
  g_free (self->once);
  G_OBJECT_CLASS (kr_trouble_parent_class)->finalize (object);
}

static void
kr_trouble_init (KrTrouble *self)
{
  self->kind = g_strdup ("none");
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}

static void
kr_trouble_class_init (KrTroubleClass *klass)
{
  static GstStaticPadTemplate sink =
      GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
  static GstStaticPadTemplate src =
      GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  const GParamFlags flags = G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS;

  object_class->set_property = kr_trouble_set_property;
  object_class->finalize = kr_trouble_finalize;
  g_object_class_install_property (
      object_class, PROP_KIND,
      g_param_spec_string ("kind", "Kind", "none, loop, main-loop, leak, crash or error",
                           "none", flags));
  g_object_class_install_property (object_class, PROP_AFTER,
                                   g_param_spec_uint ("after", "After",
                                                      "Buffers before the trouble", 0,
                                                      G_MAXUINT, 0, flags));
  g_object_class_install_property (
      object_class, PROP_ONCE,
      g_param_spec_string ("once", "Once", "File that keeps the trouble from happening again",
                           NULL, flags));
  gst_element_class_set_static_metadata (element_class, "Trouble", "Filter",
                                         "Misbehaves on demand", "keeprolling");
  gst_element_class_add_static_pad_template (element_class, &sink);
  gst_element_class_add_static_pad_template (element_class, &src);
  GST_BASE_TRANSFORM_CLASS (klass)->transform_ip = kr_trouble_transform_ip;
}

static gboolean
plugin_init (GstPlugin *plugin)
{
  return gst_element_register (plugin, "krtrouble", GST_RANK_NONE, KR_TYPE_TROUBLE);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, krtrouble, "Trouble for tests",
                   plugin_init, VERSION, "LGPL", PACKAGE, "https://example.org/")
