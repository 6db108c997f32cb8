/* keeprolling - tests of common/segment-writer, turn by turn, with a clock of our own
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-writer.h"

#include <string.h>

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

#define SECOND G_USEC_PER_SEC

typedef struct {
  KrTestDir *dir;
  KrSegmentTemplate *tmpl;
  KrBytePipe *pipe;
  KrSegmentWriter *writer;
  gint64 now;
  GString *events; /* a letter each */
  char *reason;
} Fixture;

static void
on_event (const KrWriterEvent *event, gpointer user_data)
{
  Fixture *f = user_data;

  g_string_append_c (f->events, "OCFRSLIX"[event->kind]);
  if (event->reason != NULL) {
    g_free (f->reason);
    f->reason = g_strdup (event->reason);
  }
}

static Fixture *
fixture_new (guint64 min_free, gboolean hold)
{
  Fixture *f = g_new0 (Fixture, 1);
  KrWriterConfig config = {.instance = "i",
                           .hostname = "h",
                           .buffer_size = 65536,
                           .flush_interval_us = SECOND,
                           .sync_interval_us = 5 * SECOND,
                           .min_free = min_free,
                           .hold_on_full = hold};
  g_autofree char *location = NULL;

  f->dir = kr_test_dir_new ();
  location = kr_test_dir_path (f->dir, "{seq}");
  f->tmpl = kr_segment_template_new (location, FALSE, NULL);
  f->pipe = kr_byte_pipe_new (16384, 1 << 20, 65536);
  f->events = g_string_new (NULL);
  config.tmpl = f->tmpl;
  f->writer = kr_segment_writer_new (&config, f->pipe, on_event, f);
  f->now = g_get_monotonic_time ();
  return f;
}

static void
fixture_free (Fixture *f)
{
  kr_segment_writer_free (f->writer);
  kr_byte_pipe_free (f->pipe);
  kr_segment_template_free (f->tmpl);
  kr_test_dir_free (f->dir);
  g_string_free (f->events, TRUE);
  g_free (f->reason);
  g_free (f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fixture, fixture_free)

static void
mark (Fixture *f, KrMarkKind kind, const char *reason)
{
  KrMark fresh = {.kind = kind, .reason = reason, .utc_us = g_get_real_time ()};

  kr_byte_pipe_mark (f->pipe, &fresh);
}

static void
put (Fixture *f, const char *text)
{
  kr_byte_pipe_put (f->pipe, text, strlen (text), 0);
}

static void
turn (Fixture *f, double seconds)
{
  f->now += (gint64)(seconds * SECOND);
  kr_segment_writer_turn (f->writer, f->now, FALSE);
}

static KrWriterStats
stats_of (Fixture *f)
{
  KrWriterStats stats;

  kr_segment_writer_get_stats (f->writer, &stats);
  kr_writer_stats_clear (&stats);
  return stats;
}

static void
test_ages (void)
{
  g_autoptr (Fixture) f = fixture_new (0, TRUE);
  KrWriterStats stats;
  gint64 first;

  turn (f, 0);
  first = f->now;
  mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  put (f, "abc");
  turn (f, 1);
  stats = stats_of (f);
  g_assert_cmpuint (stats.written, ==, 3);
  g_assert_cmpuint (stats.durable, ==, 0);
  /* They may have come right after the turn before. */
  g_assert_cmpint (stats.oldest_dirty_us, ==, first);
  put (f, "d");
  turn (f, 4);
  stats = stats_of (f);
  g_assert_cmpuint (stats.durable, ==, 4);
  g_assert_cmpuint (stats.sync_calls, ==, 1);
  g_assert_cmpint (stats.oldest_dirty_us, ==, 0);
  /* Nothing new: nothing to sync, nobody woken for it. */
  turn (f, 60);
  g_assert_cmpuint (stats_of (f).sync_calls, ==, 1);
  put (f, "e");
  turn (f, 1);
  g_assert_cmpuint (stats_of (f).durable, ==, 5);
}

static void
test_empty_segments (void)
{
  g_autoptr (Fixture) f = fixture_new (0, TRUE);
  g_autofree char *list = NULL;

  for (guint i = 0; i < 3; i++)
    mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  turn (f, 1);
  mark (f, KR_MARK_FINISH, KR_REASON_EOS);
  turn (f, 1);
  list = kr_test_dir_list (f->dir);
  g_assert_cmpstr (list, ==, "");
  g_assert_cmpstr (f->events->str, ==, "");
}

static void
test_one_turn_for_many_segments (void)
{
  g_autoptr (Fixture) f = fixture_new (0, TRUE);
  g_autofree char *list = NULL;

  for (guint i = 0; i < 3; i++) {
    mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
    put (f, "data");
  }
  mark (f, KR_MARK_FINISH, KR_REASON_EOS);
  turn (f, 0);
  list = kr_test_dir_list (f->dir);
  g_assert_cmpstr (list, ==, "000000 000001 000002");
  g_assert_cmpstr (f->events->str, ==, "OCOCOC");
  g_assert_cmpstr (f->reason, ==, KR_REASON_EOS);
  g_assert_cmpuint (stats_of (f).segments, ==, 3);
}

static void
test_holds (void)
{
  /* So much is never free. */
  g_autoptr (Fixture) f = fixture_new (G_MAXUINT64, TRUE);
  g_autofree char *list = NULL;
  KrWriterStats stats;

  mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  put (f, "first");
  turn (f, 1);
  g_assert_cmpstr (f->events->str, ==, "OF");
  stats = stats_of (f);
  g_assert_true (stats.disk_full);
  g_assert_cmpfloat (stats.runway_s, ==, 0);
  put (f, "more");
  mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  put (f, "and more");
  turn (f, 2);
  /* Announced once; everything is counted; nothing is asked for without space. */
  g_assert_cmpstr (f->events->str, ==, "OF");
  stats = stats_of (f);
  g_assert_cmpuint (stats.dropped, ==, 17);
  g_assert_cmpuint (stats.written, ==, 0);
  g_assert_false (kr_segment_writer_wants_cut (f->writer));
  g_assert_false (kr_segment_writer_has_failed (f->writer));
  list = kr_test_dir_list (f->dir);
  g_assert_cmpstr (list, ==, "");
}

static void
test_full_can_be_fatal (void)
{
  g_autoptr (Fixture) f = fixture_new (G_MAXUINT64, FALSE);

  mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  put (f, "first");
  turn (f, 1);
  g_assert_cmpstr (f->events->str, ==, "OFX");
  g_assert_true (kr_segment_writer_has_failed (f->writer));
}

static void
test_runway (void)
{
  g_autoptr (Fixture) f = fixture_new (0, TRUE);
  g_autofree char *block = g_strnfill (10000, 'x');
  KrWriterStats stats;

  g_assert_cmpfloat (stats_of (f).runway_s, <, 0);
  mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  for (guint i = 0; i < 100; i++) {
    put (f, block);
    turn (f, 1);
  }
  stats = stats_of (f);
  g_assert_cmpuint (stats.free_bytes, >, 0);
  /* 10,000 bytes a second, or more: others write to this disk meanwhile. */
  g_assert_cmpfloat (stats.runway_s, >, 0);
  g_assert_cmpfloat (stats.runway_s, <, (double)stats.free_bytes / 9500);
}

/* MPEG-TS is flushed in whole packets, until the end. */
static void
test_whole_packets (void)
{
  g_autoptr (Fixture) f = fixture_new (0, TRUE);
  g_autofree char *packet = g_strnfill (188, 'G');

  mark (f, KR_MARK_CUT, KR_REASON_ROTATE);
  put (f, packet);
  put (f, packet);
  put (f, "Gpart");
  turn (f, 1);
  g_assert_cmpuint (stats_of (f).written, ==, 2 * 188);
  mark (f, KR_MARK_FINISH, KR_REASON_EOS);
  turn (f, 1);
  g_assert_cmpuint (stats_of (f).written, ==, 2 * 188 + 5);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/common/segment-writer/ages", test_ages);
  g_test_add_func ("/common/segment-writer/empty-segments", test_empty_segments);
  g_test_add_func ("/common/segment-writer/one-turn", test_one_turn_for_many_segments);
  g_test_add_func ("/common/segment-writer/holds", test_holds);
  g_test_add_func ("/common/segment-writer/full-can-be-fatal", test_full_can_be_fatal);
  g_test_add_func ("/common/segment-writer/runway", test_runway);
  g_test_add_func ("/common/segment-writer/whole-packets", test_whole_packets);
  return g_test_run ();
}
