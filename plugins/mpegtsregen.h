/* keeprolling - mpegtsregen: one continuous timeline for a transport stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define KR_TYPE_MPEGTS_REGEN (kr_mpegts_regen_get_type ())
G_DECLARE_FINAL_TYPE (KrMpegtsRegen, kr_mpegts_regen, KR, MPEGTS_REGEN, GstElement)

GST_ELEMENT_REGISTER_DECLARE (mpegtsregen);

G_END_DECLS
