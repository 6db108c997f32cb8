/* keeprolling - one continuous timeline for raw and parsed streams
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define KR_TYPE_TIMESTAMP_REGEN (kr_timestamp_regen_get_type ())
G_DECLARE_FINAL_TYPE (KrTimestampRegen, kr_timestamp_regen, KR, TIMESTAMP_REGEN, GstElement)

GST_ELEMENT_REGISTER_DECLARE (timestampregen)

G_END_DECLS
