/* keeprolling - decoding stamps where a coder leaves them out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* H.264 allows more, but coders in use reorder over at most four pictures. */
#define KR_DTS_DEPTH 4
#define KR_DTS_SHOWN 16

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

  gint64 shown[KR_DTS_SHOWN]; /* output PTS given out last */
  guint next_shown;
} KrDts;

void kr_dts_init (KrDts *dts);
gint64 kr_dts_from_pts (KrDts *dts, gint64 pts, gint64 duration, gboolean at_once);
void kr_dts_skip (KrDts *dts, gint64 duration);
void kr_dts_show (KrDts *dts, gint64 pts);
gint64 kr_dts_free_slot (const KrDts *dts, gint64 from, gint64 duration);

G_END_DECLS
