/* keeprolling - tests of engine/engine
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/engine.h"

#include <stdatomic.h>

#include "tests/support/kr-test.h"

static void
test_lists_bins_and_what_is_in_them (void)
{
  static const char *const names[] = {"a", "b", "c", "d", "e"};
  g_autoptr (GstElement) pipeline = gst_object_ref_sink (gst_parse_launch (
      "fakesrc name=a ! bin.( name=b identity name=c ! identity name=d ) ! fakesink name=e",
      NULL));
  g_autoptr (GPtrArray) elements = kr_engine_list_elements (GST_BIN (pipeline));

  g_assert_cmpuint (elements->len, ==, G_N_ELEMENTS (names));
  for (guint i = 0; i < elements->len; i++)
    g_assert_cmpstr (GST_ELEMENT_NAME (elements->pdata[i]), ==, names[i]);
}

typedef struct {
  GstBin *bin;
  atomic_bool end;
} Changer;

static gpointer
change (gpointer data)
{
  Changer *changer = data;

  while (!atomic_load (&changer->end)) {
    GstElement *element = gst_element_factory_make ("identity", NULL);

    gst_bin_add (changer->bin, element);
    gst_bin_remove (changer->bin, element);
  }
  return NULL;
}

/* As rtspsrc does in its own thread. What stays must be in every list. */
static void
test_lists_while_elements_come_and_go (void)
{
  g_autoptr (GstElement) pipeline =
      gst_object_ref_sink (gst_parse_launch ("fakesrc ! identity ! fakesink name=last", NULL));
  Changer changer = {.bin = GST_BIN (pipeline)};
  GThread *thread = g_thread_new ("changer", change, &changer);

  for (guint i = 0; i < 2000; i++) {
    g_autoptr (GPtrArray) elements = kr_engine_list_elements (GST_BIN (pipeline));

    g_assert_cmpuint (elements->len, >=, 3);
    g_assert_cmpstr (GST_ELEMENT_NAME (elements->pdata[2]), ==, "last");
  }
  atomic_store (&changer.end, TRUE);
  g_thread_join (thread);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (kr_engine_init (NULL));
  kr_test_deadline (60);
  g_test_add_func ("/engine/engine/list", test_lists_bins_and_what_is_in_them);
  g_test_add_func ("/engine/engine/list-while-changing", test_lists_while_elements_come_and_go);
  return g_test_run ();
}
