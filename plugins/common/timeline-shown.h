/* keeprolling - which display times of a stream are taken
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* So many pictures may wait to be shown; coders reorder over at most 16. */
#define KR_SHOWN 64
/* The last pictures that were to be shown later than all before them. */
#define KR_SHOWN_LEADS 4

/* Display times given out that a picture still to come could have as well. */
typedef struct {
  gint64 sorted[KR_SHOWN];
  guint n;
  gint64 leads[KR_SHOWN_LEADS]; /* PTS - DTS of those, 0 = none yet */
  guint next_lead;
} KrShown;

void kr_shown_init (KrShown *shown);
gint64 kr_shown_guess (const KrShown *shown, gint64 dts, gint64 duration);
gint64 kr_shown_place (const KrShown *shown, gint64 pts, gint64 duration);
void kr_shown_note_lead (KrShown *shown, gint64 pts, gint64 dts);
void kr_shown_add (KrShown *shown, gint64 pts, gint64 from);

G_END_DECLS
