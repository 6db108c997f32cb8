/* keeprolling - a file sink whose files are complete once they have their name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/base/gstbasesink.h>

G_BEGIN_DECLS

#define KR_TYPE_ATOMIC_FILE_SINK (kr_atomic_file_sink_get_type ())
G_DECLARE_FINAL_TYPE (KrAtomicFileSink, kr_atomic_file_sink, KR, ATOMIC_FILE_SINK, GstBaseSink)

GST_ELEMENT_REGISTER_DECLARE (atomicfilesink)

G_END_DECLS
