/* keeprolling - fills the plugin registry of the tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gmodule.h>
#include <gst/gst.h>

/* Scanning plugins runs the code of some hundred strangers, whose leaks are not ours. Called by
 * the leak sanitizer, where it is linked in, so it has to be visible. */
G_MODULE_EXPORT int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
  return 1;
}

int
main (int argc, char **argv)
{
  g_autoptr (GstPlugin) plugin = NULL;

  gst_init (&argc, &argv);
  plugin = gst_registry_find_plugin (gst_registry_get (), "keeprolling");
  if (plugin == NULL) {
    g_printerr ("the registry does not find our plugin in %s\n", g_getenv ("GST_PLUGIN_PATH"));
    return 1;
  }
  return 0;
}
