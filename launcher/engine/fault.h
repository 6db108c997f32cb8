/* keeprolling - what an error on the bus means
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "launcher/core/restart-policy.h"

G_BEGIN_DECLS

/**
 * kr_fault_cause:
 * @message: a GST_MESSAGE_ERROR
 *
 * Tells whose fault an error is. basesrc reports what went wrong behind it as its own error,
 * with the flow return in the details: that is not the source's fault.
 *
 * Returns: the cause
 */
KrCause kr_fault_cause (GstMessage *message);

/**
 * kr_fault_text:
 * @message: a GST_MESSAGE_ERROR or GST_MESSAGE_WARNING
 *
 * Returns: (transfer full): one line: who says what, and the element's own detail where that
 *   adds something
 */
char *kr_fault_text (GstMessage *message);

G_END_DECLS
