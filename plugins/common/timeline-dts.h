/* keeprolling - decoding stamps where a coder leaves them out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* H.264 allows more, but coders in use reorder over at most four pictures. */
#define KR_DTS_DEPTH 4

typedef struct {
  gint64 sorted[KR_DTS_DEPTH + 1];
  guint n;
  guint given;  /* DTS given out since the start, up to KR_DTS_DEPTH */
  gint64 first; /* the PTS it started with */
  gint64 last;  /* the DTS given out last */
} KrDtsHeap;

/* DTS from PTS in coding order, without delay. */
typedef struct {
  KrDtsHeap heap;
  KrDtsHeap suspects; /* stamps out of all order, until they are believed */
  guint n_suspects;
} KrDts;

void kr_dts_init (KrDts *dts);
gint64 kr_dts_from_pts (KrDts *dts, gint64 pts, gint64 duration, gboolean at_once);
void kr_dts_skip (KrDts *dts, gint64 duration);

G_END_DECLS
