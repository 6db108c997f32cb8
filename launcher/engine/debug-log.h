/* keeprolling - GStreamer's debug log without secrets
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * kr_debug_log_redact:
 *
 * With GST_DEBUG=4 GStreamer writes each launch line and each URI as it is, and such a log is
 * what people send to others for help. Puts kr_redact() before its default log function's
 * output, be it the standard error or GST_DEBUG_FILE. Does nothing while nothing is logged.
 * After gst_init(), on the main thread, before a pipeline is made; again does nothing.
 */
void kr_debug_log_redact (void);

G_END_DECLS
