/* keeprolling - bytes from a streaming thread to an I/O thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/byte-pipe.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* Slices kept for reuse: enough that a steady stream never allocates, few enough that a burst
 * does not leave its memory behind. */
#define MAX_FREE 4

/* pthread and not GLib's locks: ThreadSanitizer understands them without a rebuilt GLib. */
struct _KrBytePipe {
  gsize slice_size;
  guint64 wake_bytes;

  /* the producer's own */
  KrSlice *open;
  gsize open_filled;      /* = open->filled, without the atomic load */
  guint64 sealed_unwoken; /* bytes since the consumer was last woken */
  _Atomic guint64 bytes_put;

  /* the consumer's own */
  KrSlice *head;

  pthread_mutex_t lock;
  pthread_cond_t work; /* the consumer waits for it */
  pthread_cond_t room; /* the producer waits for it: room, finished, flushing */
  /* all below: protected by lock */
  KrSlice *free_slices; /* linked by kept_next */
  guint n_free;
  guint64 max_pending;
  guint64 n_pending; /* slices between open and head, both included */
  guint64 finish_wanted, finish_done;
  gboolean flushing, cancelled, woken, stopped;
};

static KrSlice *
slice_new (gsize capacity)
{
  KrSlice *slice = g_new0 (KrSlice, 1);

  slice->data = g_malloc (capacity);
  slice->capacity = capacity;
  return slice;
}

static void
slice_free (KrSlice *slice)
{
  g_clear_pointer (&slice->mark.header, g_bytes_unref);
  g_free (slice->data);
  g_free (slice);
}

/* Called with the lock held. */
static KrSlice *
get_slice (KrBytePipe *pipe)
{
  KrSlice *slice = pipe->free_slices;

  pipe->n_pending++;
  if (slice == NULL)
    return slice_new (pipe->slice_size);
  pipe->free_slices = slice->kept_next;
  pipe->n_free--;
  slice->kept_next = NULL;
  return slice;
}

/**
 * kr_byte_pipe_new:
 * @slice_size: bytes per slice
 * @max_pending: bytes that may wait for the consumer, in whole slices, at least two
 * @wake_bytes: the consumer is woken when that much has been sealed
 */
KrBytePipe *
kr_byte_pipe_new (gsize slice_size, guint64 max_pending, guint64 wake_bytes)
{
  KrBytePipe *pipe = g_new0 (KrBytePipe, 1);
  pthread_condattr_t attr;

  pipe->slice_size = slice_size;
  pipe->max_pending = max_pending;
  pipe->wake_bytes = wake_bytes;
  pthread_mutex_init (&pipe->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&pipe->work, &attr);
  pthread_cond_init (&pipe->room, &attr);
  pthread_condattr_destroy (&attr);
  pipe->open = pipe->head = get_slice (pipe);
  return pipe;
}

void
kr_byte_pipe_free (KrBytePipe *pipe)
{
  if (pipe == NULL)
    return;
  for (KrSlice *slice = pipe->head, *next; slice != NULL; slice = next) {
    next = atomic_load (&slice->next);
    slice_free (slice);
  }
  for (KrSlice *slice = pipe->free_slices, *next; slice != NULL; slice = next) {
    next = slice->kept_next;
    slice_free (slice);
  }
  pthread_cond_destroy (&pipe->work);
  pthread_cond_destroy (&pipe->room);
  pthread_mutex_destroy (&pipe->lock);
  g_free (pipe);
}

/* Called with the lock held. */
static gboolean
has_room (const KrBytePipe *pipe, guint64 slices)
{
  /* Two always fit: else a buffer larger than the bound could never pass. */
  return pipe->n_pending <= 1 ||
         (pipe->n_pending + slices) * pipe->slice_size <= pipe->max_pending;
}

KrPipeResult
kr_byte_pipe_reserve (KrBytePipe *pipe, gsize size, gboolean wait)
{
  gsize left = pipe->open->capacity - pipe->open_filled;
  KrPipeResult result = KR_PIPE_OK;
  guint64 slices;

  if (G_LIKELY (size <= left))
    return KR_PIPE_OK;
  slices = (size - left + pipe->slice_size - 1) / pipe->slice_size;
  pthread_mutex_lock (&pipe->lock);
  while (!has_room (pipe, slices) && result == KR_PIPE_OK) {
    if (!wait) {
      result = KR_PIPE_FULL;
    } else if (pipe->flushing) {
      result = KR_PIPE_FLUSHING;
    } else {
      /* What has been put must get out, or there will never be room. */
      pipe->woken = TRUE;
      pipe->sealed_unwoken = 0;
      pthread_cond_signal (&pipe->work);
      pthread_cond_wait (&pipe->room, &pipe->lock);
    }
  }
  pthread_mutex_unlock (&pipe->lock);
  return result;
}

/* Called with the lock held. */
static void
seal_and_open (KrBytePipe *pipe, KrSlice *fresh)
{
  pipe->sealed_unwoken += pipe->open_filled;
  /* Publishes the final fill level of the old slice and the mark of the new one. */
  atomic_store_explicit (&pipe->open->next, fresh, memory_order_release);
  pipe->open = fresh;
  pipe->open_filled = 0;
  if (pipe->sealed_unwoken >= pipe->wake_bytes || fresh->mark.kind != KR_MARK_NONE) {
    pipe->sealed_unwoken = 0;
    pipe->woken = TRUE;
    pthread_cond_signal (&pipe->work);
  }
}

void
kr_byte_pipe_put (KrBytePipe *pipe, const void *data, gsize size, guint64 pts)
{
  const guint8 *from = data;
  guint64 total = atomic_load_explicit (&pipe->bytes_put, memory_order_relaxed) + size;

  for (;;) {
    KrSlice *slice = pipe->open;
    gsize n = MIN (size, slice->capacity - pipe->open_filled);

    memcpy (slice->data + pipe->open_filled, from, n);
    pipe->open_filled += n;
    atomic_store_explicit (&slice->last_pts, pts, memory_order_relaxed);
    atomic_store_explicit (&slice->filled, pipe->open_filled, memory_order_release);
    from += n;
    size -= n;
    if (size == 0)
      break;
    pthread_mutex_lock (&pipe->lock);
    seal_and_open (pipe, get_slice (pipe));
    pthread_mutex_unlock (&pipe->lock);
  }
  atomic_store_explicit (&pipe->bytes_put, total, memory_order_relaxed);
}

void
kr_byte_pipe_mark (KrBytePipe *pipe, KrMark *mark)
{
  KrSlice *fresh;

  pthread_mutex_lock (&pipe->lock);
  if (mark->kind == KR_MARK_FINISH)
    pipe->finish_wanted++;
  fresh = get_slice (pipe);
  fresh->mark = *mark;
  *mark = (KrMark){0};
  seal_and_open (pipe, fresh);
  pthread_mutex_unlock (&pipe->lock);
}

KrPipeResult
kr_byte_pipe_wait_finished (KrBytePipe *pipe)
{
  KrPipeResult result = KR_PIPE_OK;

  pthread_mutex_lock (&pipe->lock);
  while (pipe->finish_done < pipe->finish_wanted && !pipe->cancelled)
    pthread_cond_wait (&pipe->room, &pipe->lock);
  if (pipe->finish_done < pipe->finish_wanted)
    result = KR_PIPE_FLUSHING;
  pthread_mutex_unlock (&pipe->lock);
  return result;
}

guint64
kr_byte_pipe_bytes_put (const KrBytePipe *pipe)
{
  return atomic_load_explicit (&((KrBytePipe *)pipe)->bytes_put, memory_order_relaxed);
}

void
kr_byte_pipe_set_flushing (KrBytePipe *pipe, gboolean flushing)
{
  pthread_mutex_lock (&pipe->lock);
  pipe->flushing = flushing;
  pthread_cond_broadcast (&pipe->room);
  pthread_mutex_unlock (&pipe->lock);
}

void
kr_byte_pipe_set_cancelled (KrBytePipe *pipe, gboolean cancelled)
{
  pthread_mutex_lock (&pipe->lock);
  pipe->cancelled = cancelled;
  pthread_cond_broadcast (&pipe->room);
  pthread_mutex_unlock (&pipe->lock);
}

void
kr_byte_pipe_set_max_pending (KrBytePipe *pipe, guint64 max_pending)
{
  pthread_mutex_lock (&pipe->lock);
  pipe->max_pending = max_pending;
  pthread_cond_broadcast (&pipe->room);
  pthread_mutex_unlock (&pipe->lock);
}

void
kr_byte_pipe_wake (KrBytePipe *pipe, gboolean stop)
{
  pthread_mutex_lock (&pipe->lock);
  pipe->woken = TRUE;
  pipe->stopped |= stop;
  pthread_cond_signal (&pipe->work);
  pthread_mutex_unlock (&pipe->lock);
}

gboolean
kr_byte_pipe_wait (KrBytePipe *pipe, gint64 deadline_us)
{
  struct timespec until = {.tv_sec = deadline_us / G_USEC_PER_SEC,
                           .tv_nsec = deadline_us % G_USEC_PER_SEC * 1000};
  gboolean going_on;

  pthread_mutex_lock (&pipe->lock);
  while (!pipe->woken && !pipe->stopped) {
    if (pthread_cond_timedwait (&pipe->work, &pipe->lock, &until) == ETIMEDOUT)
      break;
  }
  pipe->woken = FALSE;
  going_on = !pipe->stopped;
  pthread_mutex_unlock (&pipe->lock);
  return going_on;
}

KrSlice *
kr_byte_pipe_head (KrBytePipe *pipe)
{
  return pipe->head;
}

KrSlice *
kr_byte_pipe_take_head (KrBytePipe *pipe)
{
  KrSlice *slice = pipe->head;

  pipe->head = atomic_load_explicit (&slice->next, memory_order_acquire);
  g_assert (pipe->head != NULL);
  pthread_mutex_lock (&pipe->lock);
  pipe->n_pending--;
  pthread_cond_broadcast (&pipe->room);
  pthread_mutex_unlock (&pipe->lock);
  return slice;
}

void
kr_byte_pipe_recycle (KrBytePipe *pipe, KrSlice *slice)
{
  g_clear_pointer (&slice->mark.header, g_bytes_unref);
  slice->mark = (KrMark){0};
  atomic_store_explicit (&slice->filled, 0, memory_order_relaxed);
  atomic_store_explicit (&slice->next, NULL, memory_order_relaxed);
  slice->mark_done = FALSE;
  slice->consumed = 0;
  slice->position = 0;
  pthread_mutex_lock (&pipe->lock);
  if (pipe->n_free < MAX_FREE) {
    slice->kept_next = pipe->free_slices;
    pipe->free_slices = slice;
    pipe->n_free++;
    slice = NULL;
  }
  pthread_mutex_unlock (&pipe->lock);
  if (slice != NULL)
    slice_free (slice);
}

void
kr_byte_pipe_finished (KrBytePipe *pipe)
{
  pthread_mutex_lock (&pipe->lock);
  pipe->finish_done++;
  pthread_cond_broadcast (&pipe->room);
  pthread_mutex_unlock (&pipe->lock);
}
