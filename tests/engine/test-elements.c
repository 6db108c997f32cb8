/* keeprolling - elements that misbehave on request
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/engine/test-elements.h"

#include <gst/base/gstbasesink.h>
#include <gst/base/gstbasetransform.h>
#include <gst/base/gstpushsrc.h>
#include <stdlib.h>
#include <string.h>

static GMutex lock;
static GCond cond;
static KrTestCounts counts[KR_TEST_KEYS];
static guint releases;
static gboolean posted;

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

void
kr_test_elements_reset (void)
{
  g_mutex_lock (&lock);
  memset (counts, 0, sizeof counts);
  posted = FALSE;
  g_mutex_unlock (&lock);
}

KrTestCounts
kr_test_counts (guint key)
{
  KrTestCounts copy;

  g_mutex_lock (&lock);
  copy = counts[key];
  g_mutex_unlock (&lock);
  return copy;
}

void
kr_test_release_hangs (void)
{
  g_mutex_lock (&lock);
  releases++;
  g_cond_broadcast (&cond);
  g_mutex_unlock (&lock);
}

static void
hang (guint key)
{
  guint before;

  g_mutex_lock (&lock);
  counts[key].hangs++;
  before = releases;
  while (releases == before)
    g_cond_wait (&cond, &lock);
  g_mutex_unlock (&lock);
}

/* --- krtestsrc ------------------------------------------------------------------------ */

typedef struct {
  GstPushSrc parent;
  char *plan;
  guint key;
  char step;  /* s, e, x, f, h, i */
  guint left; /* buffers */
  gint64 waits_since;
  gboolean unlocked;
} KrTestSrc;
typedef GstPushSrcClass KrTestSrcClass;

enum { PROP_PLAN = 1, PROP_KEY, PROP_AT, PROP_TIMES };

GType kr_test_src_get_type (void);
G_DEFINE_TYPE (KrTestSrc, kr_test_src, GST_TYPE_PUSH_SRC)

static void
take_step (KrTestSrc *self)
{
  g_auto (GStrv) steps = g_strsplit (self->plan != NULL ? self->plan : "i", ",", -1);
  guint n = g_strv_length (steps);
  char *end;
  guint opening;

  g_mutex_lock (&lock);
  opening = counts[self->key].opens++;
  g_mutex_unlock (&lock);
  self->left = (guint)strtoul (steps[MIN (opening, n - 1)], &end, 10);
  self->step = *end;
}

static gboolean
test_src_start (GstBaseSrc *base)
{
  KrTestSrc *self = (KrTestSrc *)base;

  take_step (self);
  self->waits_since = g_get_monotonic_time ();
  if (self->step == 'h')
    hang (self->key);
  if (self->step == 'f') {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("Nobody is there."), (NULL));
    return FALSE;
  }
  return TRUE;
}

static gboolean
test_src_unlock (GstBaseSrc *base)
{
  g_mutex_lock (&lock);
  ((KrTestSrc *)base)->unlocked = TRUE;
  g_cond_broadcast (&cond);
  g_mutex_unlock (&lock);
  return TRUE;
}

static gboolean
test_src_unlock_stop (GstBaseSrc *base)
{
  g_mutex_lock (&lock);
  ((KrTestSrc *)base)->unlocked = FALSE;
  g_mutex_unlock (&lock);
  return TRUE;
}

/* FALSE when unlocked. */
static gboolean
sleep_until (KrTestSrc *self, gint64 end)
{
  gboolean unlocked;

  g_mutex_lock (&lock);
  while (!self->unlocked && g_cond_wait_until (&cond, &lock, end))
    ;
  unlocked = self->unlocked;
  g_mutex_unlock (&lock);
  return !unlocked;
}

/* Whether the buffer may go. The first one waits since the start. */
static gboolean
wait_for_buffer (KrTestSrc *self)
{
  gboolean unlocked;
  gint64 now = g_get_monotonic_time ();

  if (self->waits_since == 0)
    self->waits_since = now;
  unlocked = !sleep_until (self, now + 5000);
  if (g_get_monotonic_time () - self->waits_since > 100 * G_TIME_SPAN_MILLISECOND) {
    g_mutex_lock (&lock);
    counts[self->key].late++;
    g_mutex_unlock (&lock);
  }
  self->waits_since = 0;
  return !unlocked;
}

static GstFlowReturn
test_src_create (GstPushSrc *push, GstBuffer **ret_buffer)
{
  KrTestSrc *self = (KrTestSrc *)push;

  if (!wait_for_buffer (self))
    return GST_FLOW_FLUSHING;
  if (self->step != 'i' && self->left-- == 0) {
    self->left = 0;
    if (self->step == 'e')
      return GST_FLOW_EOS;
    if (self->step == 'x') {
      GST_ELEMENT_ERROR (self, RESOURCE, READ, ("The cable is cut."), (NULL));
      return GST_FLOW_ERROR;
    }
    sleep_until (self, G_MAXINT64);
    return GST_FLOW_FLUSHING;
  }
  *ret_buffer = gst_buffer_new_allocate (NULL, 188, NULL);
  gst_buffer_memset (*ret_buffer, 0, 0xff, 188);
  return GST_FLOW_OK;
}

static void
test_src_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  KrTestSrc *self = (KrTestSrc *)object;

  if (id == PROP_PLAN) {
    g_free (self->plan);
    self->plan = g_value_dup_string (value);
  } else {
    self->key = g_value_get_uint (value);
  }
}

static void
test_src_finalize (GObject *object)
{
  g_free (((KrTestSrc *)object)->plan);
  G_OBJECT_CLASS (kr_test_src_parent_class)->finalize (object);
}

static void
install_key (GObjectClass *object_class)
{
  g_object_class_install_property (
      object_class, PROP_KEY,
      g_param_spec_uint ("key", NULL, NULL, 0, KR_TEST_KEYS - 1, 0, G_PARAM_WRITABLE));
}

static void
install_plan (GObjectClass *object_class)
{
  g_object_class_install_property (
      object_class, PROP_PLAN, g_param_spec_string ("plan", NULL, NULL, "i", G_PARAM_WRITABLE));
}

static void
kr_test_src_class_init (KrTestSrcClass *klass)
{
  G_OBJECT_CLASS (klass)->set_property = test_src_set_property;
  G_OBJECT_CLASS (klass)->finalize = test_src_finalize;
  install_plan (G_OBJECT_CLASS (klass));
  install_key (G_OBJECT_CLASS (klass));
  GST_BASE_SRC_CLASS (klass)->start = test_src_start;
  GST_BASE_SRC_CLASS (klass)->unlock = test_src_unlock;
  GST_BASE_SRC_CLASS (klass)->unlock_stop = test_src_unlock_stop;
  klass->create = test_src_create;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &src_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "test source",
                                         "Source/Network", "misbehaves", "keeprolling");
}

static void
kr_test_src_init (KrTestSrc *self)
{
  gst_base_src_set_live (GST_BASE_SRC (self), TRUE);
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
  gst_base_src_set_do_timestamp (GST_BASE_SRC (self), TRUE);
}

/* --- krtestbin ------------------------------------------------------------------------ */

typedef struct {
  GstBin parent;
  GstElement *src;
  GstPad *pad;
  guint n_pads;
} KrTestBin;
typedef GstBinClass KrTestBinClass;

GType kr_test_bin_get_type (void);
G_DEFINE_TYPE (KrTestBin, kr_test_bin, GST_TYPE_BIN)

static GstStaticPadTemplate sometimes_template =
    GST_STATIC_PAD_TEMPLATE ("stream_%u", GST_PAD_SRC, GST_PAD_SOMETIMES, GST_STATIC_CAPS_ANY);

static void
show_pad (KrTestBin *self)
{
  g_autoptr (GstPad) target = gst_element_get_static_pad (self->src, "src");
  g_autofree char *name = g_strdup_printf ("stream_%u", self->n_pads++);

  self->pad = gst_ghost_pad_new (name, target);
  gst_pad_set_active (self->pad, TRUE);
  gst_element_add_pad (GST_ELEMENT (self), self->pad);
}

static void
hide_pad (KrTestBin *self)
{
  if (self->pad == NULL)
    return;
  gst_pad_push_event (self->pad, gst_event_new_eos ());
  gst_pad_set_active (self->pad, FALSE);
  gst_element_remove_pad (GST_ELEMENT (self), self->pad);
  self->pad = NULL;
}

static GstStateChangeReturn
test_bin_change_state (GstElement *element, GstStateChange change)
{
  KrTestBin *self = (KrTestBin *)element;
  GstStateChangeReturn result;

  if (change == GST_STATE_CHANGE_READY_TO_PAUSED)
    show_pad (self);
  result = GST_ELEMENT_CLASS (kr_test_bin_parent_class)->change_state (element, change);
  if (change == GST_STATE_CHANGE_PAUSED_TO_READY)
    hide_pad (self);
  return result;
}

static void
test_bin_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  g_object_set_property (G_OBJECT (((KrTestBin *)object)->src), pspec->name, value);
}

static void
kr_test_bin_class_init (KrTestBinClass *klass)
{
  G_OBJECT_CLASS (klass)->set_property = test_bin_set_property;
  install_plan (G_OBJECT_CLASS (klass));
  install_key (G_OBJECT_CLASS (klass));
  GST_ELEMENT_CLASS (klass)->change_state = test_bin_change_state;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &sometimes_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "test bin",
                                         "Source/Network", "shows its pad late", "keeprolling");
}

static void
kr_test_bin_init (KrTestBin *self)
{
  self->src = g_object_new (kr_test_src_get_type (), NULL);
  gst_bin_add (GST_BIN (self), self->src);
}

/* --- krhang --------------------------------------------------------------------------- */

typedef struct {
  GstBaseTransform parent;
  guint key;
  guint times;
  gboolean at_stop;
} KrHang;
typedef GstBaseTransformClass KrHangClass;

GType kr_hang_get_type (void);
G_DEFINE_TYPE (KrHang, kr_hang, GST_TYPE_BASE_TRANSFORM)

static GstStateChangeReturn
hang_change_state (GstElement *element, GstStateChange change)
{
  KrHang *self = (KrHang *)element;
  GstStateChange where =
      self->at_stop ? GST_STATE_CHANGE_PAUSED_TO_READY : GST_STATE_CHANGE_READY_TO_PAUSED;

  if (change == where && kr_test_counts (self->key).hangs < self->times)
    hang (self->key);
  return GST_ELEMENT_CLASS (kr_hang_parent_class)->change_state (element, change);
}

static void
hang_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  KrHang *self = (KrHang *)object;

  if (id == PROP_KEY)
    self->key = g_value_get_uint (value);
  else if (id == PROP_TIMES)
    self->times = g_value_get_uint (value);
  else
    self->at_stop = g_strcmp0 (g_value_get_string (value), "stop") == 0;
}

static void
kr_hang_class_init (KrHangClass *klass)
{
  G_OBJECT_CLASS (klass)->set_property = hang_set_property;
  install_key (G_OBJECT_CLASS (klass));
  g_object_class_install_property (
      G_OBJECT_CLASS (klass), PROP_AT,
      g_param_spec_string ("at", NULL, NULL, NULL, G_PARAM_WRITABLE));
  g_object_class_install_property (
      G_OBJECT_CLASS (klass), PROP_TIMES,
      g_param_spec_uint ("times", NULL, NULL, 0, G_MAXUINT, 1, G_PARAM_WRITABLE));
  GST_ELEMENT_CLASS (klass)->change_state = hang_change_state;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &src_template);
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &sink_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "hang", "Filter", "hangs",
                                         "keeprolling");
}

static void
kr_hang_init (KrHang *self)
{
  self->times = 1;
  gst_base_transform_set_passthrough (GST_BASE_TRANSFORM (self), TRUE);
}

/* --- krpost --------------------------------------------------------------------------- */

typedef struct {
  GstBaseTransform parent;
  char *what;
  guint n;
} KrPost;
typedef GstBaseTransformClass KrPostClass;

GType kr_post_get_type (void);
G_DEFINE_TYPE (KrPost, kr_post, GST_TYPE_BASE_TRANSFORM)

static GstFlowReturn
post_now (KrPost *self)
{
  GstElement *element = GST_ELEMENT (self);
  GstObject *object = GST_OBJECT (self);

  if (g_str_equal (self->what, "latency")) {
    gst_element_post_message (element, gst_message_new_latency (object));
  } else if (g_str_equal (self->what, "clock-lost")) {
    g_autoptr (GstClock) clock = gst_system_clock_obtain ();

    gst_element_post_message (element, gst_message_new_clock_lost (object, clock));
  } else if (g_str_equal (self->what, "buffering")) {
    gst_element_post_message (element, gst_message_new_buffering (object, 10));
    gst_element_post_message (element, gst_message_new_buffering (object, 100));
  } else if (g_str_equal (self->what, "pause")) {
    gst_element_post_message (element,
                              gst_message_new_request_state (object, GST_STATE_PAUSED));
    gst_element_post_message (element,
                              gst_message_new_request_state (object, GST_STATE_PLAYING));
  } else if (g_str_equal (self->what, "end")) {
    gst_element_post_message (element, gst_message_new_request_state (object, GST_STATE_NULL));
  } else if (g_str_equal (self->what, "warning")) {
    GST_ELEMENT_WARNING (self, RESOURCE, READ, ("Incorrect passphrase."), (NULL));
  } else {
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT, ("No room."), (NULL));
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn
post_transform_ip (GstBaseTransform *base, GstBuffer *buffer)
{
  KrPost *self = (KrPost *)base;
  gboolean first;

  if (++self->n != 10)
    return GST_FLOW_OK;
  g_mutex_lock (&lock);
  first = !posted;
  posted = TRUE;
  g_mutex_unlock (&lock);
  return first ? post_now (self) : GST_FLOW_OK;
}

static void
post_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  g_free (((KrPost *)object)->what);
  ((KrPost *)object)->what = g_value_dup_string (value);
}

static void
post_finalize (GObject *object)
{
  g_free (((KrPost *)object)->what);
  G_OBJECT_CLASS (kr_post_parent_class)->finalize (object);
}

static void
kr_post_class_init (KrPostClass *klass)
{
  G_OBJECT_CLASS (klass)->set_property = post_set_property;
  G_OBJECT_CLASS (klass)->finalize = post_finalize;
  g_object_class_install_property (
      G_OBJECT_CLASS (klass), PROP_AT,
      g_param_spec_string ("what", NULL, NULL, NULL, G_PARAM_WRITABLE));
  klass->transform_ip = post_transform_ip;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &src_template);
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &sink_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "post", "Filter", "posts",
                                         "keeprolling");
}

static void
kr_post_init (KrPost *self)
{
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}

/* --- krtestsink ----------------------------------------------------------------------- */

typedef struct {
  GstBaseSink parent;
  guint key;
} KrTestSink;
typedef GstBaseSinkClass KrTestSinkClass;

GType kr_test_sink_get_type (void);
G_DEFINE_TYPE (KrTestSink, kr_test_sink, GST_TYPE_BASE_SINK)

static gboolean
test_sink_start (GstBaseSink *base)
{
  g_mutex_lock (&lock);
  counts[((KrTestSink *)base)->key].starts++;
  g_mutex_unlock (&lock);
  return TRUE;
}

static GstFlowReturn
test_sink_render (GstBaseSink *base, GstBuffer *buffer)
{
  g_mutex_lock (&lock);
  counts[((KrTestSink *)base)->key].buffers++;
  g_mutex_unlock (&lock);
  return GST_FLOW_OK;
}

static gboolean
test_sink_event (GstBaseSink *base, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS) {
    g_mutex_lock (&lock);
    counts[((KrTestSink *)base)->key].eos++;
    g_mutex_unlock (&lock);
  }
  return GST_BASE_SINK_CLASS (kr_test_sink_parent_class)->event (base, event);
}

static void
test_sink_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  ((KrTestSink *)object)->key = g_value_get_uint (value);
}

static void
kr_test_sink_class_init (KrTestSinkClass *klass)
{
  G_OBJECT_CLASS (klass)->set_property = test_sink_set_property;
  install_key (G_OBJECT_CLASS (klass));
  klass->start = test_sink_start;
  klass->render = test_sink_render;
  klass->event = test_sink_event;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &sink_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "test sink", "Sink",
                                         "counts", "keeprolling");
}

static void
kr_test_sink_init (KrTestSink *self)
{
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
}

void
kr_test_elements_register (void)
{
  gst_element_register (NULL, "krtestsrc", GST_RANK_NONE, kr_test_src_get_type ());
  gst_element_register (NULL, "krtestbin", GST_RANK_NONE, kr_test_bin_get_type ());
  gst_element_register (NULL, "krhang", GST_RANK_NONE, kr_hang_get_type ());
  gst_element_register (NULL, "krpost", GST_RANK_NONE, kr_post_get_type ());
  gst_element_register (NULL, "krtestsink", GST_RANK_NONE, kr_test_sink_get_type ());
}
