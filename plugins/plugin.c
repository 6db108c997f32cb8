/* keeprolling - GStreamer elements for recordings that happen only once
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <gst/gst.h>

#include "plugins/atomicfilesink.h"
#include "plugins/growthmonitorsink.h"
#include "plugins/mpegtsregen.h"
#include "plugins/timestampregen.h"

static gboolean
plugin_init (GstPlugin *plugin)
{
  gboolean registered = FALSE;

  registered |= GST_ELEMENT_REGISTER (atomicfilesink, plugin);
  registered |= GST_ELEMENT_REGISTER (growthmonitorsink, plugin);
  registered |= GST_ELEMENT_REGISTER (mpegtsregen, plugin);
  registered |= GST_ELEMENT_REGISTER (timestampregen, plugin);
  return registered;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, keeprolling,
                   "Live recording that survives its sources, its disks and itself", plugin_init,
                   VERSION, "LGPL", PACKAGE, "Unknown package origin")
