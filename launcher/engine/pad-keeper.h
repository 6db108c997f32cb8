/* keeprolling - keeps links alive when an element replaces its source pads
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* rtspsrc makes new pads each time it is opened, tsdemux when the programme changes. The
 * delayed links of gst_parse_launch() work once; after that the new pads would stay unlinked,
 * and the EOS of the old ones would end whatever is behind them. The keeper joins each new pad
 * to what hung on the old one of the same kind, and lets no EOS of a replaced pad pass. */
typedef struct _KrPadKeeper KrPadKeeper;

/**
 * kr_pad_keeper_find:
 * @bin: a pipeline in NULL
 *
 * Returns: (transfer full) (element-type KrPadKeeper): a keeper for each element in @bin that
 *   has sometimes source pads and no non-live source before it
 */
GPtrArray *kr_pad_keeper_find (GstBin *bin);

/* From now on EOS passes. Any thread. */
void kr_pad_keeper_let_eos (KrPadKeeper *keeper);

void kr_pad_keeper_free (KrPadKeeper *keeper);

G_END_DECLS
