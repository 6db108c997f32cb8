/* keeprolling - epochs: piecewise-linear maps from input to output time
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "plugins/common/timeline.h"

G_BEGIN_DECLS

/* A stream that stopped four source restarts ago has no claim to its old map. */
#define KR_EPOCHS 4

/* A new piece at most every 5 s: streams may lag by more than a minute behind one another and
 * still meet the very map that the others used. */
#define KR_EPOCH_PIECES 16

typedef struct {
  gint64 t;    /* holds from this input time on */
  gint64 out;  /* output time there */
  gint32 rate; /* output gains this many ns per second of input (10^-9) */
} KrEpochPiece;

typedef struct {
  guint number; /* from 1 */
  guint n_pieces;
  KrEpochPiece pieces[KR_EPOCH_PIECES];
  gint64 base_t, base_out; /* the map before any bending, for measuring drift */
  guint successor;         /* number of the epoch that replaces it, or 0 */
  gint64 successor_at;     /* from this input time on */
  guint parent; /* the epoch it left, while only its creator believes in it; else 0 */
  KrTimelineStream *creator;
} KrEpoch;

/* The newest epochs, oldest first. */
typedef struct {
  KrEpoch list[KR_EPOCHS];
  guint n;
  guint begun; /* number of the newest one ever */
} KrEpochs;

void kr_epochs_clear (KrEpochs *epochs);
KrEpoch *kr_epochs_begin (KrEpochs *epochs, gint64 t, gint64 out);
KrEpoch *kr_epochs_begin_shifted (KrEpochs *epochs, guint from, gint64 shift);
KrEpoch *kr_epochs_find (KrEpochs *epochs, guint number);
KrEpoch *kr_epochs_newest (KrEpochs *epochs);
void kr_epochs_remove (KrEpochs *epochs, guint number);

gint64 kr_epoch_unmap (const KrEpoch *epoch, gint64 out);
gint64 kr_epoch_map (const KrEpoch *epoch, gint64 t);
gint64 kr_epoch_map_unbent (const KrEpoch *epoch, gint64 t);
void kr_epoch_bend (KrEpoch *epoch, gint64 t, gint32 rate);
gint32 kr_epoch_rate (const KrEpoch *epoch);

/* Sum that stops at the ends of the range instead of wrapping: stamps come from outside. */
static inline gint64
kr_add_saturated (gint64 a, gint64 b)
{
  gint64 sum;

  if (__builtin_add_overflow (a, b, &sum))
    return a < 0 ? G_MININT64 + 1 : G_MAXINT64;
  return sum;
}

static inline gint64
kr_sub_saturated (gint64 a, gint64 b)
{
  gint64 difference;

  if (__builtin_sub_overflow (a, b, &difference))
    return a < 0 ? G_MININT64 + 1 : G_MAXINT64;
  return difference;
}

gint64 kr_muldiv (gint64 value, gint64 num, gint64 den);

G_END_DECLS
