/* keeprolling - does a PES packet begin with a keyframe?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-psi.h"

G_BEGIN_DECLS

typedef enum {
  KR_TS_KEYFRAME_UNDECIDED, /* needs more bytes */
  KR_TS_KEYFRAME_NO,
  KR_TS_KEYFRAME_YES,
} KrTsKeyframe;

/* Looks at the first access unit of a PES packet, byte by byte, until the codec's own units
 * decide: H.264 IDR, or a recovery point with a sequence parameter set; HEVC IRAP; VVC IRAP or
 * GDR; MPEG-1/2 sequence header; MPEG-4 I-VOP; VC-1 sequence header. */
typedef struct {
  KrTsCodec codec;
  guint32 history;    /* the last four bytes */
  guint8 unit;        /* bytes seen of the present unit's header, 0 = outside, 0xff = skip */
  guint8 first;       /* first byte of the unit's header */
  gboolean sps;       /* H.264: the unit was seen */
  gboolean recovery;  /* H.264: SEI with recovery point */
  gboolean size_next; /* SEI: the payload size follows, not the type */
  guint sei_type, sei_size, sei_skip;
} KrTsKeyframeScan;

/* Whether this codec's units can be told apart; if not, random_access_indicator must do. */
gboolean kr_ts_keyframe_knows (KrTsCodec codec);

void kr_ts_keyframe_begin (KrTsKeyframeScan *scan, KrTsCodec codec);

/* Goes on with the next bytes of the elementary stream. */
KrTsKeyframe kr_ts_keyframe_push (KrTsKeyframeScan *scan, const guint8 *data, gsize size);

G_END_DECLS
