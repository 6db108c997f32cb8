/* keeprolling - epochs: piecewise-linear maps from input to output time
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-epoch.h"

#include <string.h>

#define PER_SECOND G_GINT64_CONSTANT (1000000000)

__extension__ typedef __int128 Int128;

/**
 * kr_muldiv:
 *
 * Returns: @value * @num / @den, rounded down, without overflow on the way and saturated at the
 * end. @den must be positive.
 */
gint64
kr_muldiv (gint64 value, gint64 num, gint64 den)
{
  Int128 product = (Int128)value * num;
  Int128 result = product / den;

  if (product % den < 0)
    result--;
  if (result > G_MAXINT64)
    return G_MAXINT64;
  if (result <= G_MININT64)
    return G_MININT64 + 1;
  return (gint64)result;
}

void
kr_epochs_clear (KrEpochs *epochs)
{
  epochs->n = 0;
}

static KrEpoch *
append (KrEpochs *epochs)
{
  KrEpoch *epoch;

  g_assert (epochs->n < KR_EPOCHS);
  epoch = &epochs->list[epochs->n++];
  memset (epoch, 0, sizeof *epoch);
  epoch->number = ++epochs->begun;
  return epoch;
}

/**
 * kr_epochs_begin:
 *
 * Begins an epoch that maps @t to @out with slope 1. The caller has made room; pointers to
 * epochs stay valid.
 */
KrEpoch *
kr_epochs_begin (KrEpochs *epochs, gint64 t, gint64 out)
{
  KrEpoch *epoch = append (epochs);

  epoch->pieces[0] = (KrEpochPiece){.t = t, .out = out};
  epoch->n_pieces = 1;
  epoch->base_t = t;
  epoch->base_out = out;
  return epoch;
}

/**
 * kr_epochs_begin_shifted:
 *
 * Begins an epoch with the map of epoch number @from, @shift later.
 */
KrEpoch *
kr_epochs_begin_shifted (KrEpochs *epochs, guint from, gint64 shift)
{
  KrEpoch source = *kr_epochs_find (epochs, from);
  KrEpoch *epoch = append (epochs);
  guint i;

  for (i = 0; i < source.n_pieces; i++) {
    epoch->pieces[i] = source.pieces[i];
    epoch->pieces[i].out = kr_add_saturated (epoch->pieces[i].out, shift);
  }
  epoch->n_pieces = source.n_pieces;
  epoch->base_t = source.base_t;
  epoch->base_out = kr_add_saturated (source.base_out, shift);
  return epoch;
}

/* NULL if that epoch is forgotten. */
KrEpoch *
kr_epochs_find (KrEpochs *epochs, guint number)
{
  guint i = epochs->n;

  while (i-- > 0)
    if (epochs->list[i].number == number)
      return &epochs->list[i];
  return NULL;
}

KrEpoch *
kr_epochs_newest (KrEpochs *epochs)
{
  return epochs->n > 0 ? &epochs->list[epochs->n - 1] : NULL;
}

/* Forgets an epoch that turned out to be nobody's; pointers to epochs are void afterwards. */
void
kr_epochs_remove (KrEpochs *epochs, guint number)
{
  KrEpoch *epoch = kr_epochs_find (epochs, number);
  guint i;

  if (epoch == NULL)
    return;
  i = (guint)(epoch - epochs->list);
  memmove (epoch, epoch + 1, (epochs->n - i - 1) * sizeof *epoch);
  epochs->n--;
}

/* The output time of input time @t. */
gint64
kr_epoch_map (const KrEpoch *epoch, gint64 t)
{
  const KrEpochPiece *piece = &epoch->pieces[epoch->n_pieces - 1];
  gint64 since;

  while (piece > epoch->pieces && t < piece->t)
    piece--;
  since = kr_sub_saturated (t, piece->t);
  if (G_UNLIKELY (piece->rate != 0))
    since = kr_add_saturated (since, kr_muldiv (since, piece->rate, PER_SECOND));
  return kr_add_saturated (piece->out, since);
}

/* The input time that kr_epoch_map() takes to @out, to within rounding. */
gint64
kr_epoch_unmap (const KrEpoch *epoch, gint64 out)
{
  const KrEpochPiece *piece = &epoch->pieces[epoch->n_pieces - 1];
  gint64 since;

  while (piece > epoch->pieces && out < piece->out)
    piece--;
  since = kr_sub_saturated (out, piece->out);
  if (G_UNLIKELY (piece->rate != 0))
    since = kr_muldiv (since, PER_SECOND, PER_SECOND + piece->rate);
  return kr_add_saturated (piece->t, since);
}

/* What kr_epoch_map() gave had the epoch never been bent. */
gint64
kr_epoch_map_unbent (const KrEpoch *epoch, gint64 t)
{
  return kr_add_saturated (epoch->base_out, kr_sub_saturated (t, epoch->base_t));
}

/**
 * kr_epoch_bend:
 * @t: input time from which on the slope is 1 + @rate * 10^-9; no stream may be beyond it yet
 *
 * Forgets the oldest piece when there are sixteen; nothing happens if @t is before the newest.
 */
void
kr_epoch_bend (KrEpoch *epoch, gint64 t, gint32 rate)
{
  KrEpochPiece piece = {.t = t, .out = kr_epoch_map (epoch, t), .rate = rate};

  if (t <= epoch->pieces[epoch->n_pieces - 1].t)
    return;
  if (epoch->n_pieces == KR_EPOCH_PIECES) {
    memmove (&epoch->pieces[0], &epoch->pieces[1],
             (KR_EPOCH_PIECES - 1) * sizeof epoch->pieces[0]);
    epoch->n_pieces--;
  }
  epoch->pieces[epoch->n_pieces++] = piece;
}

gint32
kr_epoch_rate (const KrEpoch *epoch)
{
  return epoch->pieces[epoch->n_pieces - 1].rate;
}
