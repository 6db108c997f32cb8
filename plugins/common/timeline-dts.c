/* keeprolling - decoding stamps where a coder leaves them out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/timeline-dts.h"

#include <string.h>

#include "plugins/common/timeline-epoch.h"
#include "plugins/common/timeline.h"

#define SECOND G_GINT64_CONSTANT (1000000000)

/* A PTS this far beyond all others belongs to another timeline. */
#define FAR_AHEAD (2 * SECOND)
/* That many of them in a row are believed. */
#define SUSPECTS_BELIEVED 3

static void
heap_clear (KrDtsHeap *heap)
{
  heap->n = heap->given = 0;
}

void
kr_dts_init (KrDts *dts)
{
  heap_clear (&dts->heap);
  heap_clear (&dts->suspects);
  dts->n_suspects = 0;
}

static void
heap_add (KrDtsHeap *heap, gint64 pts)
{
  guint i = heap->n++;

  while (i > 0 && heap->sorted[i - 1] > pts) {
    heap->sorted[i] = heap->sorted[i - 1];
    i--;
  }
  heap->sorted[i] = pts;
}

static gint64
heap_pop (KrDtsHeap *heap)
{
  gint64 smallest = heap->sorted[0];

  memmove (&heap->sorted[0], &heap->sorted[1], --heap->n * sizeof heap->sorted[0]);
  return smallest;
}

/* In coding order the k-th picture is decoded when the k-th in display order would be shown,
 * the depth of reordering earlier: so the DTS are the sorted PTS, delayed by the depth. The
 * first ones, for which nothing has been sorted yet, lead up to the first PTS. */
static gint64
heap_push (KrDtsHeap *heap, gint64 pts, gint64 duration)
{
  if (heap->given == 0)
    heap->first = pts;
  heap_add (heap, pts);
  if (heap->n > KR_DTS_DEPTH) {
    heap->last = heap_pop (heap);
  } else {
    heap->last = heap->first - (gint64)(KR_DTS_DEPTH - heap->given) * duration;
    heap->given++;
  }
  return MIN (heap->last, pts);
}

static gboolean
heap_expects (const KrDtsHeap *heap, gint64 pts, gint64 duration)
{
  return heap->n == 0 ||
         (pts >= heap->last - 2 * duration && pts - heap->sorted[heap->n - 1] <= FAR_AHEAD);
}

/* Where the next picture would be shown if it came without reordering; a wild stamp among the
 * sorted ones must not lead away. */
static gint64
heap_guess (const KrDtsHeap *heap, gint64 duration)
{
  return MIN (heap->sorted[heap->n - 1] + duration, heap->last + (KR_DTS_DEPTH + 1) * duration);
}

/**
 * kr_dts_from_pts:
 * @duration: of a picture
 * @at_once: believe a jump without waiting for a second witness (after an outage, on DISCONT)
 *
 * Stamps of another timeline must not meet the old ones in the heap: a source that restarts
 * from zero would get its DTS unsorted for as long as the old PTS are the larger ones. So they
 * are gathered apart, and the old ones go on with a guess, until three in a row agree.
 *
 * Returns: a DTS for the picture with @pts, at most @pts unless @pts is not believed
 */
gint64
kr_dts_from_pts (KrDts *dts, gint64 pts, gint64 duration, gboolean at_once)
{
  if (heap_expects (&dts->heap, pts, duration)) {
    dts->n_suspects = 0;
    return heap_push (&dts->heap, pts, duration);
  }

  if (dts->n_suspects > 0 && !heap_expects (&dts->suspects, pts, duration))
    dts->n_suspects = 0;
  if (dts->n_suspects == 0)
    heap_clear (&dts->suspects);
  dts->n_suspects++;
  heap_push (&dts->suspects, pts, duration);
  if (at_once || dts->n_suspects >= SUSPECTS_BELIEVED) {
    dts->heap = dts->suspects;
    dts->n_suspects = 0;
    return MIN (dts->heap.last, pts);
  }
  return heap_push (&dts->heap, heap_guess (&dts->heap, duration), duration);
}

/* A picture without any stamp goes by: it has its place in the order all the same. */
void
kr_dts_skip (KrDts *dts, gint64 duration)
{
  if (dts->heap.n > 0)
    heap_push (&dts->heap, heap_guess (&dts->heap, duration), duration);
}
