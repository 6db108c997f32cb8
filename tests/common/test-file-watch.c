/* keeprolling - tests of looking at a file that somebody else writes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/file-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/kr-test.h"

/* Appends @n bytes to the file, which is made if need be. */
static void
grow (const char *path, gsize n)
{
  g_autofree char *bytes = g_malloc0 (n);
  FILE *file = fopen (path, "a");

  g_assert_nonnull (file);
  g_assert_cmpuint (fwrite (bytes, 1, n, file), ==, n);
  g_assert_cmpint (fclose (file), ==, 0);
}

/* Makes the file look as if it had been written @seconds ago. */
static void
age (const char *path, gint64 seconds)
{
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                    {.tv_sec = g_get_real_time () / 1000000 - seconds}};

  g_assert_cmpint (utimensat (AT_FDCWD, path, times, 0), ==, 0);
}

static KrGrowthSample
look (KrFileWatch *watch)
{
  KrGrowthSample sample = {0};

  kr_file_watch_look (watch, &sample);
  return sample;
}

static gboolean
sees (KrFileWatch *watch, const char *path, guint64 bytes)
{
  const KrGrowthSample sample = look (watch);

  return sample.file == KR_GROWTH_FILE_PRESENT && sample.file_bytes == bytes &&
         g_strcmp0 (kr_file_watch_path (watch), path) == 0;
}

static void
assert_seen (KrFileWatch *watch, const char *path, guint64 bytes, guint64 generation)
{
  KrGrowthSample sample;
  struct stat st;

  /* On a busy machine a scan may be long enough for the next to be put off. */
  kr_test_wait (sees (watch, path, bytes), 30);
  sample = look (watch);
  g_assert_cmpint (sample.file, ==, KR_GROWTH_FILE_PRESENT);
  g_assert_cmpstr (kr_file_watch_path (watch), ==, path);
  g_assert_cmpuint (sample.file_bytes, ==, bytes);
  g_assert_cmpuint (sample.generation, ==, generation);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (sample.file_inode, ==, st.st_ino);
  g_assert_cmpuint (sample.file_device, ==, st.st_dev);
}

static void
assert_absent (KrFileWatch *watch)
{
  const KrGrowthSample sample = look (watch);

  g_assert_cmpint (sample.file, ==, KR_GROWTH_FILE_ABSENT);
  g_assert_cmpuint (sample.file_bytes, ==, 0);
}

static void
test_path (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *other = kr_test_dir_path (dir, "b.ts");
  g_autoptr (KrFileWatch) watch = kr_file_watch_new_path (path);
  KrGrowthSample before;

  assert_absent (watch);
  g_assert_cmpstr (kr_file_watch_path (watch), ==, path);
  grow (path, 10);
  assert_seen (watch, path, 10, 0);
  grow (path, 5);
  assert_seen (watch, path, 15, 0);
  before = look (watch);

  /* Renamed over: another file under the same generation. */
  grow (other, 7);
  g_assert_cmpint (rename (other, path), ==, 0);
  assert_seen (watch, path, 7, 0);
  g_assert_cmpuint (look (watch).file_inode, !=, before.file_inode);
  g_assert_cmpint (unlink (path), ==, 0);
  assert_absent (watch);
}

static void
test_odd_paths (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *file = kr_test_dir_path (dir, "file");
  g_autofree char *below = kr_test_dir_path (dir, "file/below");
  g_autofree char *fifo = kr_test_dir_path (dir, "fifo");
  g_autofree char *link = kr_test_dir_path (dir, "link");
  g_autofree char *loop = kr_test_dir_path (dir, "loop");
  g_autoptr (KrFileWatch) device = kr_file_watch_new_path ("/dev/null");
  g_autoptr (KrFileWatch) folder = kr_file_watch_new_path (dir);
  g_autoptr (KrFileWatch) no_folder = kr_file_watch_new_path (below);
  g_autoptr (KrFileWatch) pipe = kr_file_watch_new_path (fifo);
  g_autoptr (KrFileWatch) symlinked = kr_file_watch_new_path (link);
  g_autoptr (KrFileWatch) unknowable = kr_file_watch_new_path (loop);

  /* What cannot grow is not blamed for not growing, and opening a FIFO would hang. */
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (look (device).file, ==, KR_GROWTH_FILE_UNWATCHED);
  g_assert_cmpint (look (folder).file, ==, KR_GROWTH_FILE_UNWATCHED);
  g_assert_cmpint (look (pipe).file, ==, KR_GROWTH_FILE_UNWATCHED);

  grow (file, 3);
  assert_absent (no_folder);
  g_assert_cmpint (symlink ("file", link), ==, 0);
  g_assert_cmpuint (look (symlinked).file_bytes, ==, 3);

  /* A look that fails for another reason leaves what was seen last. */
  grow (loop, 4);
  g_assert_cmpuint (look (unknowable).file_bytes, ==, 4);
  g_assert_cmpint (unlink (loop), ==, 0);
  g_assert_cmpint (symlink ("loop", loop), ==, 0);
  g_assert_cmpint (look (unknowable).file, ==, KR_GROWTH_FILE_PRESENT);
  g_assert_cmpuint (look (unknowable).file_bytes, ==, 4);
}

static void
test_pattern (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *pattern = kr_test_dir_path (dir, "seg*.ts");
  g_autofree char *old = kr_test_dir_path (dir, "seg0.ts");
  g_autofree char *first = kr_test_dir_path (dir, "seg1.ts");
  g_autofree char *second = kr_test_dir_path (dir, "seg2.ts");
  g_autofree char *foreign = kr_test_dir_path (dir, "other.ts");
  g_autofree char *hidden = kr_test_dir_path (dir, ".seg9.ts");
  g_autoptr (KrFileWatch) watch = kr_file_watch_new_pattern (pattern);

  assert_absent (watch);
  g_assert_cmpstr (kr_file_watch_path (watch), ==, pattern);
  /* A leftover of yesterday is better than nothing, until something new is written. */
  grow (old, 1000);
  age (old, 86400);
  assert_seen (watch, old, 1000, 1);
  grow (first, 10);
  assert_seen (watch, first, 10, 2);
  grow (first, 10);
  assert_seen (watch, first, 20, 2);
  grow (foreign, 1);
  grow (hidden, 1);
  assert_seen (watch, first, 20, 2);
  /* The next one; what the last one still gets is no way back. */
  grow (second, 1);
  age (first, 1);
  assert_seen (watch, second, 1, 3);
  age (second, 1);
  grow (first, 1);
  assert_seen (watch, second, 1, 3);
  /* Housekeeping removes what is old. */
  g_assert_cmpint (unlink (old), ==, 0);
  grow (second, 1);
  assert_seen (watch, second, 2, 3);
  /* The one that is written is removed: nothing takes its place. */
  age (first, 3600);
  g_assert_cmpint (unlink (second), ==, 0);
  assert_absent (watch);
  assert_absent (watch);
}

static void
test_pattern_ring (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *pattern = kr_test_dir_path (dir, "ring[0-9].ts");
  g_autofree char *ring0 = kr_test_dir_path (dir, "ring0.ts");
  g_autofree char *ring1 = kr_test_dir_path (dir, "ring1.ts");
  g_autofree char *ring2 = kr_test_dir_path (dir, "ring2.ts");
  const char *name[3] = {ring0, ring1, ring2};
  g_autoptr (KrFileWatch) watch = kr_file_watch_new_pattern (pattern);
  guint64 generation = 0;

  /* Three files, written over in turn: from the second round on the folder does not change. */
  for (guint i = 0; i < 12; i++) {
    const KrGrowthSample before = look (watch);

    if (i > 0)
      age (name[(i - 1) % 3], 5);
    g_assert_true (truncate (name[i % 3], 0) == 0 || errno == ENOENT);
    grow (name[i % 3], 10 + i);
    assert_seen (watch, name[i % 3], 10 + i, before.generation + 1);
    g_assert_cmpuint (before.generation, ==, generation);
    generation = before.generation + 1;
  }
}

static void
test_pattern_nowhere (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *pattern = kr_test_dir_path (dir, "not/yet/*.ts");
  g_autofree char *folder = kr_test_dir_path (dir, "not/yet");
  g_autofree char *path = kr_test_dir_path (dir, "not/yet/a.ts");
  g_autoptr (KrFileWatch) watch = kr_file_watch_new_pattern (pattern);

  assert_absent (watch);
  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  assert_absent (watch);
  grow (path, 5);
  assert_seen (watch, path, 5, 1);
}

static void
test_follow (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *temp = kr_test_dir_path (dir, "a.recording.ts");
  g_autofree char *final = kr_test_dir_path (dir, "a.ts");
  g_autofree char *next = kr_test_dir_path (dir, "b.recording.ts");
  g_autoptr (KrFileWatch) watch = kr_file_watch_new_follow ();
  KrGrowthSample sample;

  assert_absent (watch);
  g_assert_null (kr_file_watch_path (watch));
  grow (temp, 10);
  kr_file_watch_follow (watch, temp, 1);
  assert_seen (watch, temp, 10, 1);
  kr_file_watch_follow (watch, temp, 1);

  /* It gets its final name before the news of it arrives, and its last bytes after that. */
  g_assert_cmpint (rename (temp, final), ==, 0);
  grow (final, 5);
  sample = look (watch);
  g_assert_cmpint (sample.file, ==, KR_GROWTH_FILE_PRESENT);
  g_assert_cmpuint (sample.file_bytes, ==, 15);
  /* Another one takes the temporary name: still the same file for us. */
  grow (temp, 99);
  g_assert_cmpuint (look (watch).file_bytes, ==, 15);
  /* No news of a rename a look later: then ours has been moved away, and that one is not it. */
  g_assert_cmpuint (look (watch).file_bytes, ==, 99);
  g_assert_cmpuint (look (watch).file_inode, !=, sample.file_inode);

  kr_file_watch_follow (watch, next, 2);
  assert_absent (watch);
  grow (next, 1);
  assert_seen (watch, next, 1, 2);
  kr_file_watch_follow (watch, NULL, 3);
  assert_absent (watch);
  g_assert_cmpuint (look (watch).generation, ==, 3);

  /* Really gone, and really replaced. */
  kr_file_watch_follow (watch, next, 4);
  assert_seen (watch, next, 1, 4);
  g_assert_cmpint (unlink (next), ==, 0);
  assert_absent (watch);
  grow (next, 2);
  assert_seen (watch, next, 2, 4);
}

/* The file, or its folder: it grows, but not where it is looked for. */
static void
test_moved_away (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *folder = kr_test_dir_path (dir, "rec");
  g_autofree char *away = kr_test_dir_path (dir, "away");
  g_autofree char *temp = g_build_filename (folder, "a.recording.ts", NULL);
  g_autofree char *numbered = g_build_filename (folder, "a-2.ts", NULL);
  g_autofree char *moved = kr_test_dir_path (dir, "b.ts");
  g_autoptr (KrFileWatch) watch = kr_file_watch_new_follow ();

  g_assert_cmpint (mkdir (folder, 0700), ==, 0);
  grow (temp, 10);
  kr_file_watch_follow (watch, temp, 1);
  assert_seen (watch, temp, 10, 1);
  g_assert_cmpint (rename (folder, away), ==, 0);
  look (watch);
  assert_absent (watch);
  g_assert_cmpint (rename (away, folder), ==, 0);
  assert_seen (watch, temp, 10, 1);
  g_assert_cmpint (rename (temp, moved), ==, 0);
  look (watch);
  assert_absent (watch);
  /* That is no move: its final name was taken, and the news of it is on its way. */
  g_assert_cmpint (rename (moved, numbered), ==, 0);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpuint (look (watch).file_bytes, ==, 10);
}

static void
assert_pattern (const char *text, const char *pattern)
{
  g_autofree char *found = kr_file_watch_pattern_from_printf (text);

  g_assert_cmpstr (found, ==, pattern);
}

static void
test_texts (void)
{
  g_assert_true (kr_file_watch_is_pattern ("a*.ts"));
  g_assert_true (kr_file_watch_is_pattern ("a?.ts"));
  g_assert_true (kr_file_watch_is_pattern ("a[0-9].ts"));
  g_assert_false (kr_file_watch_is_pattern ("a.ts"));
  g_assert_false (kr_file_watch_is_pattern ("a\\*.ts"));
  g_assert_false (kr_file_watch_is_pattern (""));
  g_assert_false (kr_file_watch_is_pattern ("\\"));

  assert_pattern ("seg%05d.ts", "seg*.ts");
  assert_pattern ("/x/y/seg%d-%02u.ts", "/x/y/seg*-*.ts");
  assert_pattern ("100%%-%d[1].ts", "100%-*\\[1\\].ts");
  assert_pattern ("seg.ts", NULL);
  assert_pattern ("seg%s.ts", NULL);
  assert_pattern ("seg%", NULL);
  assert_pattern ("%d/seg.ts", NULL);
  assert_pattern ("cam-%Y%m%dT.ts", "cam-%Y%m*T.ts");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/file-watch/path", test_path);
  g_test_add_func ("/file-watch/odd-paths", test_odd_paths);
  g_test_add_func ("/file-watch/pattern", test_pattern);
  g_test_add_func ("/file-watch/pattern-ring", test_pattern_ring);
  g_test_add_func ("/file-watch/pattern-nowhere", test_pattern_nowhere);
  g_test_add_func ("/file-watch/follow", test_follow);
  g_test_add_func ("/file-watch/moved-away", test_moved_away);
  g_test_add_func ("/file-watch/texts", test_texts);
  return g_test_run ();
}
