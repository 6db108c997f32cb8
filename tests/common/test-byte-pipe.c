/* keeprolling - tests of common/byte-pipe; the ones with threads are for ThreadSanitizer
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/byte-pipe.h"

#include <pthread.h>
#include <string.h>

#include "tests/support/kr-test.h"

#define TOTAL (8 * 1024 * 1024)

typedef struct {
  KrBytePipe *pipe;
  guint64 read, marks, finishes;
  gboolean slow;
} Reader;

static guint8
byte_at (guint64 position)
{
  return (guint8)(position * 7 + position / 251);
}

/* Consumes everything that has come; checks each byte. */
static void
read_all (Reader *reader)
{
  for (;;) {
    KrSlice *slice = kr_byte_pipe_head (reader->pipe);
    KrSlice *next = atomic_load_explicit (&slice->next, memory_order_acquire);
    gsize filled = atomic_load_explicit (&slice->filled, memory_order_acquire);

    if (!slice->mark_done) {
      slice->mark_done = TRUE;
      reader->marks += slice->mark.kind == KR_MARK_CUT;
      if (slice->mark.kind == KR_MARK_FINISH) {
        reader->finishes++;
        kr_byte_pipe_finished (reader->pipe);
      }
    }
    for (; slice->consumed < filled; slice->consumed++)
      g_assert_cmpuint (slice->data[slice->consumed], ==, byte_at (reader->read++));
    if (next == NULL)
      return;
    kr_byte_pipe_recycle (reader->pipe, kr_byte_pipe_take_head (reader->pipe));
  }
}

static void *
reader_thread (void *data)
{
  Reader *reader = data;

  while (kr_byte_pipe_wait (reader->pipe, g_get_monotonic_time () + 2000)) {
    read_all (reader);
    if (reader->slow)
      g_usleep (500);
  }
  read_all (reader);
  return NULL;
}

static void
put (KrBytePipe *pipe, guint64 position, gsize size)
{
  guint8 bytes[40000];

  g_assert_cmpuint (size, <=, sizeof bytes);
  for (gsize i = 0; i < size; i++)
    bytes[i] = byte_at (position + i);
  kr_byte_pipe_put (pipe, bytes, size, position);
}

static void
hand_over (gboolean slow, guint64 max_pending)
{
  g_autoptr (KrBytePipe) pipe = kr_byte_pipe_new (16384, max_pending, 65536);
  Reader reader = {.pipe = pipe, .slow = slow};
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  guint64 position = 0, cuts = 0;
  pthread_t thread;

  pthread_create (&thread, NULL, reader_thread, &reader);
  while (position < TOTAL) {
    gsize size = (gsize)g_rand_int_range (rand, 1, g_rand_int_range (rand, 2, 40000));

    g_assert_cmpint (kr_byte_pipe_reserve (pipe, size, TRUE), ==, KR_PIPE_OK);
    if (g_rand_int_range (rand, 0, 50) == 0) {
      KrMark mark = {.kind = KR_MARK_CUT, .header = g_bytes_new_static ("h", 1)};

      kr_byte_pipe_mark (pipe, &mark);
      cuts++;
    }
    put (pipe, position, size);
    position += size;
    g_assert_cmpuint (kr_byte_pipe_bytes_put (pipe), ==, position);
  }
  for (guint i = 0; i < 3; i++) {
    KrMark mark = {.kind = KR_MARK_FINISH};

    kr_byte_pipe_mark (pipe, &mark);
    g_assert_cmpint (kr_byte_pipe_wait_finished (pipe), ==, KR_PIPE_OK);
  }
  kr_byte_pipe_wake (pipe, TRUE);
  pthread_join (thread, NULL);
  g_assert_cmpuint (reader.read, ==, position);
  g_assert_cmpuint (reader.marks, ==, cuts);
  g_assert_cmpuint (reader.finishes, ==, 3);
}

static void
test_hand_over (void)
{
  hand_over (FALSE, 64 * 1024 * 1024);
}

static void
test_hand_over_when_full (void)
{
  hand_over (TRUE, 40000);
}

static void
test_bound (void)
{
  g_autoptr (KrBytePipe) pipe = kr_byte_pipe_new (1000, 4000, 1000000);
  Reader reader = {.pipe = pipe};

  for (guint i = 0; i < 4; i++) {
    g_assert_cmpint (kr_byte_pipe_reserve (pipe, 1000, FALSE), ==, KR_PIPE_OK);
    put (pipe, i * 1000, 1000);
  }
  g_assert_cmpint (kr_byte_pipe_reserve (pipe, 1, FALSE), ==, KR_PIPE_FULL);
  read_all (&reader);
  g_assert_cmpuint (reader.read, ==, 4000);
  /* A buffer above the bound passes once all else is gone: it must not wait for ever. */
  g_assert_cmpint (kr_byte_pipe_reserve (pipe, 9000, FALSE), ==, KR_PIPE_OK);
  put (pipe, 4000, 9000);
  read_all (&reader);
  g_assert_cmpuint (reader.read, ==, 13000);
}

static void *
flush_soon (void *data)
{
  g_usleep (20000);
  kr_byte_pipe_set_flushing (data, TRUE);
  kr_byte_pipe_set_cancelled (data, TRUE);
  return NULL;
}

static void
test_unlock (void)
{
  g_autoptr (KrBytePipe) pipe = kr_byte_pipe_new (1000, 2000, 1000000);
  KrMark mark = {.kind = KR_MARK_FINISH};
  pthread_t thread;

  put (pipe, 0, 1000);
  put (pipe, 1000, 1000);
  pthread_create (&thread, NULL, flush_soon, pipe);
  g_assert_cmpint (kr_byte_pipe_reserve (pipe, 1, TRUE), ==, KR_PIPE_FLUSHING);
  kr_byte_pipe_mark (pipe, &mark);
  g_assert_cmpint (kr_byte_pipe_wait_finished (pipe), ==, KR_PIPE_FLUSHING);
  pthread_join (thread, NULL);
  kr_byte_pipe_set_flushing (pipe, FALSE);
  /* The mark has opened a slice of its own. */
  g_assert_cmpint (kr_byte_pipe_reserve (pipe, 1000, FALSE), ==, KR_PIPE_OK);
  g_assert_cmpint (kr_byte_pipe_reserve (pipe, 1001, FALSE), ==, KR_PIPE_FULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (120);
  g_test_add_func ("/common/byte-pipe/hand-over", test_hand_over);
  g_test_add_func ("/common/byte-pipe/hand-over-when-full", test_hand_over_when_full);
  g_test_add_func ("/common/byte-pipe/bound", test_bound);
  g_test_add_func ("/common/byte-pipe/unlock", test_unlock);
  return g_test_run ();
}
