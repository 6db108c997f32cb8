/* keeprolling - bytes from a streaming thread to an I/O thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#include <stdatomic.h>

G_BEGIN_DECLS

/* One producer, one consumer. The producer copies into slices; within a slice it takes no lock,
 * makes no system call and wakes nobody: it publishes how far the slice is filled, and the
 * consumer comes to look. A lock is taken once per slice. (Measured against handing over buffer
 * references: 1.01 of stock filesink's CPU instead of 1.09 to 1.25; a lock and a signal per
 * buffer cost 2.4.)
 *
 * Marks are in-band: they stand between two bytes of the stream, before the slice that carries
 * them. */

typedef enum {
  KR_MARK_NONE,
  KR_MARK_CUT,    /* the slice begins a new segment */
  KR_MARK_SEEK,   /* the slice goes to @offset of the segment */
  KR_MARK_FINISH, /* the segment is over; the slice carries no bytes */
} KrMarkKind;

typedef struct {
  KrMarkKind kind;
  guint64 offset; /* SEEK */
  /* CUT: the segment that begins */
  GBytes *header; /* owned; the caps' streamheader; may be NULL */
  guint64 first_pts;
  guint64 running_time;
  gint64 utc_us; /* CUT: of its first buffer. FINISH: of its end */
  /* CUT, FINISH: the segment that ends */
  guint64 last_pts;
  const char *reason; /* static */
} KrMark;

typedef struct _KrSlice KrSlice;
struct _KrSlice {
  KrMark mark;
  guint8 *data;
  gsize capacity;
  /* The producer's release store of @filled publishes the bytes and @last_pts; the release
   * store of @next says that @filled is final. */
  _Atomic gsize filled;
  _Atomic guint64 last_pts;
  _Atomic (KrSlice *) next;
  /* The consumer's own: */
  gboolean mark_done;
  gsize consumed;
  gint64 position; /* of its first byte in the segment */
  KrSlice *kept_next;
};

typedef enum {
  KR_PIPE_OK,
  KR_PIPE_FULL,     /* no room, and the producer did not want to wait */
  KR_PIPE_FLUSHING, /* woken by kr_byte_pipe_set_flushing() */
} KrPipeResult;

typedef struct _KrBytePipe KrBytePipe;

KrBytePipe *kr_byte_pipe_new (gsize slice_size, guint64 max_pending, guint64 wake_bytes);
void kr_byte_pipe_free (KrBytePipe *pipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrBytePipe, kr_byte_pipe_free)

/* --- the producer --- */

/* Makes sure that @size bytes can be put without waiting. @wait: block until there is room. */
KrPipeResult kr_byte_pipe_reserve (KrBytePipe *pipe, gsize size, gboolean wait);
/* Copies @size bytes, for which there is room; @pts goes with them. */
void kr_byte_pipe_put (KrBytePipe *pipe, const void *data, gsize size, guint64 pts);
/* Ends the open slice and begins a new one with @mark (taken over). Always succeeds. */
void kr_byte_pipe_mark (KrBytePipe *pipe, KrMark *mark);
/* Waits until the consumer has called kr_byte_pipe_finished() for the last FINISH mark. */
KrPipeResult kr_byte_pipe_wait_finished (KrBytePipe *pipe);
guint64 kr_byte_pipe_bytes_put (const KrBytePipe *pipe);

/* --- any thread --- */

void kr_byte_pipe_set_flushing (KrBytePipe *pipe, gboolean flushing);
/* Ends kr_byte_pipe_wait_finished(), which flushing does not. */
void kr_byte_pipe_set_cancelled (KrBytePipe *pipe, gboolean cancelled);
void kr_byte_pipe_set_max_pending (KrBytePipe *pipe, guint64 max_pending);
/* Makes kr_byte_pipe_wait() return now and, with @stop, ever after. */
void kr_byte_pipe_wake (KrBytePipe *pipe, gboolean stop);

/* --- the consumer --- */

/* Sleeps until there is work or it is @deadline_us (g_get_monotonic_time()). Returns FALSE once
 * stopped. */
gboolean kr_byte_pipe_wait (KrBytePipe *pipe, gint64 deadline_us);
/* The oldest slice; the open one is the last. Never NULL. */
KrSlice *kr_byte_pipe_head (KrBytePipe *pipe);
/* Drops the head, which is sealed (it has a next) and consumed. The slice belongs to the caller
 * until kr_byte_pipe_recycle(). */
KrSlice *kr_byte_pipe_take_head (KrBytePipe *pipe);
void kr_byte_pipe_recycle (KrBytePipe *pipe, KrSlice *slice);
void kr_byte_pipe_finished (KrBytePipe *pipe);

G_END_DECLS
