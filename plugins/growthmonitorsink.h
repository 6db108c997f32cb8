/* keeprolling - growthmonitorsink
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define KR_TYPE_GROWTH_MONITOR_SINK (kr_growth_monitor_sink_get_type ())
G_DECLARE_FINAL_TYPE (KrGrowthMonitorSink, kr_growth_monitor_sink, KR, GROWTH_MONITOR_SINK,
                      GstBin)

GST_ELEMENT_REGISTER_DECLARE (growthmonitorsink);

G_END_DECLS
