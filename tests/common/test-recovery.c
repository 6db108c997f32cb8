/* keeprolling - tests of common/recovery, container-probe and atomic-file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/common/container-probe.h"
#include "plugins/common/mpegts-psi.h"
#include "tests/support/kr-test.h"

#define PACKET KR_TS_PACKET_SIZE

/* PAT, PMT and @n packets more, the last of which ends in @zeros zeros. */
static GByteArray *
make_ts (guint n, guint zeros)
{
  guint8 pat[16] = {0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0x00};
  guint8 pmt[21] = {0x02, 0xb0, 18, 0,    1,    0xc1, 0,    0, 0xe2,
                    0x00, 0xf0, 0,  0x1b, 0xe2, 0x00, 0xf0, 0};
  GByteArray *bytes = g_byte_array_new ();
  guint8 packet[PACKET];

  kr_ts_section_seal (pat, 16);
  kr_ts_section_seal (pmt, 21);
  kr_ts_packetize (pat, 16, 0, 0, packet);
  g_byte_array_append (bytes, packet, PACKET);
  kr_ts_packetize (pmt, 21, 0x100, 0, packet);
  g_byte_array_append (bytes, packet, PACKET);
  for (guint i = 0; i < n; i++) {
    memset (packet, 0x5a, PACKET);
    packet[0] = KR_TS_SYNC_BYTE;
    packet[1] = 0x02;
    packet[2] = 0x00;
    packet[3] = (guint8)(0x10 | (i & 0x0f));
    if (i + 1 == n)
      memset (packet + PACKET - zeros, 0, zeros);
    g_byte_array_append (bytes, packet, PACKET);
  }
  return bytes;
}

static void
add_zeros (GByteArray *bytes, guint n)
{
  guint before = bytes->len;

  g_byte_array_set_size (bytes, before + n);
  memset (bytes->data + before, 0, n);
}

static void
save (const KrTestDir *dir, const char *name, const GByteArray *bytes)
{
  g_autofree char *path = kr_test_dir_path (dir, name);

  g_assert_true (g_file_set_contents_full (path, (const char *)bytes->data, bytes->len,
                                           G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

static void
save_text (const KrTestDir *dir, const char *name, const char *text)
{
  g_autofree char *path = kr_test_dir_path (dir, name);

  g_assert_true (
      g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

static goffset
size_of (const KrTestDir *dir, const char *name)
{
  g_autofree char *path = kr_test_dir_path (dir, name);
  struct stat st;

  return lstat (path, &st) == 0 ? st.st_size : -1;
}

static void
count (const KrRecovered *recovered, gpointer user_data)
{
  guint *counts = user_data;

  counts[recovered->action]++;
  g_assert_nonnull (recovered->detail);
}

static void
sweep (const KrTestDir *dir, gboolean dry_run, guint counts[KR_N_RECOVERY_ACTIONS])
{
  KrRecoveryOptions options = {.dry_run = dry_run};
  KrIoError error = {0};

  memset (counts, 0, sizeof (guint) * KR_N_RECOVERY_ACTIONS);
  g_assert_true (kr_recover_folder (dir, &options, count, counts, &error));
}

static void
test_tails (void)
{
  static const struct {
    guint packets, zeros_in_last, zero_bytes, keep;
    const char *tail;
  } cases[] = {
      {10, 0, 0, 12, NULL},            /* whole */
      {10, 0, 0, 12, "Gabc"},          /* a partial packet */
      {10, 0, 3 * PACKET, 12, NULL},   /* unwritten blocks */
      {10, 0, 1000, 12, NULL},         /* not a whole number of packets of them */
      {10, 100, 0, 12, NULL},          /* a whole packet that merely ends in zeros */
      {10, 183, 2 * PACKET, 12, NULL}, /* both */
      {10, 0, 2 * PACKET, 12, "G"},    /* unwritten blocks, then a piece */
      {0, 0, 0, 2, "Gxx"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (KrTestDir) dir = kr_test_dir_new ();
    g_autoptr (GByteArray) bytes = make_ts (cases[i].packets, cases[i].zeros_in_last);
    g_autofree char *list = NULL;
    guint counts[KR_N_RECOVERY_ACTIONS];

    add_zeros (bytes, cases[i].zero_bytes);
    if (cases[i].tail != NULL)
      g_byte_array_append (bytes, (const guint8 *)cases[i].tail, (guint)strlen (cases[i].tail));
    save (dir, "a.recording.ts", bytes);
    sweep (dir, FALSE, counts);
    list = kr_test_dir_list (dir);
    g_assert_cmpstr (list, ==, "a.ts");
    g_assert_cmpint (size_of (dir, "a.ts"), ==, cases[i].keep * PACKET);
    g_assert_cmpuint (counts[KR_RECOVERY_FINALISED], ==, 1);
  }
}

static void
keep_detail (const KrRecovered *recovered, gpointer user_data)
{
  *(const char **)user_data = recovered->detail;
}

/* Whoever finds a quarantined M2TS reads that it is one. */
static void
test_wide_packets_are_named (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) bytes = make_ts (20, 0), wide = g_byte_array_new ();
  KrRecoveryOptions options = {.dry_run = FALSE};
  const char *detail = NULL;
  KrIoError error = {0};

  for (guint i = 0; i < bytes->len; i += PACKET) {
    g_byte_array_append (wide, (const guint8 *)"\0\1\2\3", 4);
    g_byte_array_append (wide, bytes->data + i, PACKET);
  }
  save (dir, "a.recording.m2ts", wide);
  g_assert_true (kr_recover_folder (dir, &options, keep_detail, &detail, &error));
  g_assert_nonnull (strstr (detail, "M2TS, packets of 192 bytes"));
  g_assert_cmpint (size_of (dir, "a.quarantine.m2ts"), ==, wide->len);
}

static void
test_what_does_not_play (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) zeros = g_byte_array_new ();
  g_autoptr (GByteArray) no_tables = make_ts (20, 0);
  g_autofree char *list = NULL;
  guint counts[KR_N_RECOVERY_ACTIONS];

  add_zeros (zeros, 5000);
  g_byte_array_remove_range (no_tables, 0, 2 * PACKET);
  save (dir, "zeros.recording.ts", zeros);
  save (dir, "no-tables.recording.ts", no_tables);
  save_text (dir, "text.recording", "not a recording");
  save_text (dir, "taken.recording.ts", "not a recording");
  save_text (dir, "taken.quarantine.ts", "older");
  save_text (dir, "empty.recording.ts", "");
  sweep (dir, FALSE, counts);
  list = kr_test_dir_list (dir);
  g_assert_cmpstr (list, ==,
                   "no-tables.quarantine.ts taken.quarantine-2.ts taken.quarantine.ts "
                   "text.quarantine zeros.quarantine.ts");
  g_assert_cmpint (size_of (dir, "zeros.quarantine.ts"), ==, 5000);
  g_assert_cmpint (size_of (dir, "taken.quarantine.ts"), ==, 5);
  g_assert_cmpuint (counts[KR_RECOVERY_QUARANTINED], ==, 4);
  g_assert_cmpuint (counts[KR_RECOVERY_REMOVED], ==, 1);
}

static void
test_never_overwrites (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) bytes = make_ts (5, 0);
  g_autofree char *list = NULL;
  guint counts[KR_N_RECOVERY_ACTIONS];

  save (dir, "a.recording.ts", bytes);
  save_text (dir, "a.ts", "older");
  save_text (dir, "a-2.ts", "older");
  sweep (dir, FALSE, counts);
  list = kr_test_dir_list (dir);
  g_assert_cmpstr (list, ==, "a-2.ts a-3.ts a.ts");
  g_assert_cmpint (size_of (dir, "a.ts"), ==, 5);
  g_assert_cmpint (size_of (dir, "a-3.ts"), ==, 7 * PACKET);
  /* Once more: nothing to do. */
  sweep (dir, FALSE, counts);
  for (guint i = 0; i < KR_N_RECOVERY_ACTIONS; i++)
    g_assert_cmpuint (counts[i], ==, 0);
}

static void
test_dry_run (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) bytes = make_ts (5, 0);
  g_autofree char *before = NULL, *after = NULL;
  guint counts[KR_N_RECOVERY_ACTIONS];

  add_zeros (bytes, 500);
  save (dir, "a.recording.ts", bytes);
  save_text (dir, "b.recording.ts", "x");
  save_text (dir, "c.recording.ts", "");
  before = kr_test_dir_list (dir);
  sweep (dir, TRUE, counts);
  after = kr_test_dir_list (dir);
  g_assert_cmpstr (before, ==, after);
  g_assert_cmpint (size_of (dir, "a.recording.ts"), ==, bytes->len);
  g_assert_cmpuint (counts[KR_RECOVERY_FINALISED], ==, 1);
  g_assert_cmpuint (counts[KR_RECOVERY_QUARANTINED], ==, 1);
  g_assert_cmpuint (counts[KR_RECOVERY_REMOVED], ==, 1);
}

static void
test_living (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "sub/a.ts");
  KrIoError error = {0};
  KrAtomicFile *file = kr_atomic_file_create (path, KR_ON_EXISTS_NUMBER, &error);
  guint counts[KR_N_RECOVERY_ACTIONS];
  char abc[] = "abc";
  struct iovec iov = {.iov_base = abc, .iov_len = 3};
  KrFinaliseResult result;
  gsize written;

  g_assert_nonnull (file);
  sweep (dir, FALSE, counts);
  g_assert_cmpuint (counts[KR_RECOVERY_LIVE], ==, 1);
  g_assert_true (kr_atomic_file_write (file, 0, &iov, 1, &written, NULL, &error));
  sweep (dir, FALSE, counts);
  g_assert_cmpuint (counts[KR_RECOVERY_LIVE], ==, 1);
  g_assert_true (kr_atomic_file_sync (file, &error));
  result = kr_atomic_file_finalise (file, TRUE, NULL);
  g_assert_true (result.renamed && result.durable);
  g_assert_cmpint (size_of (dir, "sub/a.ts"), ==, 3);
}

static void
test_two_names_of_one_file (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) bytes = make_ts (5, 0);
  g_autofree char *temp = kr_test_dir_path (dir, "a.recording.ts");
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *list = NULL;
  guint counts[KR_N_RECOVERY_ACTIONS];

  save (dir, "a.recording.ts", bytes);
  g_assert_cmpint (link (temp, path), ==, 0);
  sweep (dir, FALSE, counts);
  list = kr_test_dir_list (dir);
  g_assert_cmpstr (list, ==, "a.ts");
  g_assert_cmpint (size_of (dir, "a.ts"), ==, 7 * PACKET);
}

static void
test_links_are_not_followed (void)
{
  g_autoptr (KrTestDir) outside = kr_test_dir_new ();
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) bytes = make_ts (5, 0);
  g_autofree char *target = kr_test_dir_path (outside, "a.recording.ts");
  g_autofree char *link_file = kr_test_dir_path (dir, "b.recording.ts");
  g_autofree char *link_dir = kr_test_dir_path (dir, "sub");
  g_autofree char *dangling = kr_test_dir_path (dir, "c.recording.ts");
  g_autofree char *fifo = kr_test_dir_path (dir, "d.recording.ts");
  g_autofree char *list = NULL, *list_outside = NULL;
  guint counts[KR_N_RECOVERY_ACTIONS];

  add_zeros (bytes, 999);
  save (outside, "a.recording.ts", bytes);
  g_assert_cmpint (symlink (target, link_file), ==, 0);
  g_assert_cmpint (symlink (outside, link_dir), ==, 0);
  g_assert_cmpint (symlink ("/nowhere", dangling), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  sweep (dir, FALSE, counts);
  list = kr_test_dir_list (dir);
  list_outside = kr_test_dir_list (outside);
  g_assert_cmpstr (list, ==, "b.recording.ts c.recording.ts d.recording.ts sub");
  g_assert_cmpstr (list_outside, ==, "a.recording.ts");
  g_assert_cmpint (size_of (outside, "a.recording.ts"), ==, bytes->len);
}

static void
test_huge_sparse (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (GByteArray) bytes = make_ts (50, 0);
  g_autofree char *path = kr_test_dir_path (dir, "a.recording.ts");
  guint counts[KR_N_RECOVERY_ACTIONS];
  goffset huge = G_GINT64_CONSTANT (1) << 42;

  save (dir, "a.recording.ts", bytes);
  if (truncate (path, huge) != 0) {
    /* Not every file system has files of 4 TiB. */
    huge = G_GINT64_CONSTANT (1) << 35;
    g_assert_cmpint (truncate (path, huge), ==, 0);
  }
  sweep (dir, FALSE, counts);
  g_assert_cmpuint (counts[KR_RECOVERY_FINALISED], ==, 1);
  g_assert_cmpint (size_of (dir, "a.ts"), ==, bytes->len);
}

static void
test_unreadable (void)
{
  gboolean root = geteuid () == 0;
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.recording.ts");
  guint counts[KR_N_RECOVERY_ACTIONS];

  /* Root reads everything: be nobody meanwhile. */
  if (root) {
    g_assert_cmpint (chown (dir, 65534, 65534), ==, 0);
    g_assert_cmpint (seteuid (65534), ==, 0);
  }
  save_text (dir, "a.recording.ts", "x");
  g_assert_cmpint (chmod (path, 0), ==, 0);
  sweep (dir, FALSE, counts);
  if (root)
    g_assert_cmpint (seteuid (0), ==, 0);
  g_assert_cmpuint (counts[KR_RECOVERY_FAILED], ==, 1);
  g_assert_cmpint (size_of (dir, "a.recording.ts"), ==, 1);
}

static void
test_template (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *location = kr_test_dir_path (dir, "%Y/cam1_{seq}.ts");
  g_autoptr (KrSegmentTemplate) tmpl = kr_segment_template_new (location, FALSE, NULL);
  g_autoptr (GByteArray) bytes = make_ts (5, 0);
  g_autofree char *year = kr_test_dir_path (dir, "2026");
  g_autofree char *other = kr_test_dir_path (dir, "other");
  KrRecoveryOptions options = {.tmpl = tmpl};
  guint counts[KR_N_RECOVERY_ACTIONS] = {0};
  KrIoError error = {0};

  g_assert_cmpint (mkdir (year, 0755) | mkdir (other, 0755), ==, 0);
  save (dir, "2026/cam1_000001.recording.ts", bytes);
  save (dir, "2026/cam1_000002-2.recording.ts", bytes);
  save (dir, "2026/cam2_000001.recording.ts", bytes);
  save (dir, "other/cam1_000001.recording.ts", bytes);
  save (dir, "cam1_000001.recording.ts", bytes);
  g_assert_true (
      kr_recover_folder (kr_segment_template_root (tmpl), &options, count, counts, &error));
  g_assert_cmpuint (counts[KR_RECOVERY_FINALISED], ==, 2);
  g_assert_cmpint (size_of (dir, "2026/cam1_000001.ts"), >, 0);
  g_assert_cmpint (size_of (dir, "2026/cam1_000002-2.ts"), >, 0);
}

static void
test_other_containers (void)
{
  static const guint8 mkv[] = {0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x18, 0x53, 0x80, 0x67,
                               0x01, 0xff, 0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff};
  static const guint8 mp4[] = {0,   0,   0,   8,   'f', 't', 'y', 'p', 0,   0,   0,   8,   'm',
                               'o', 'o', 'v', 0,   0,   0,   8,   'm', 'o', 'o', 'f', 0,   0,
                               0,   9,   'm', 'd', 'a', 't', 1,   0,   0,   0,   8,   'm', 'o',
                               'o', 'f', 0,   0,   9,   9,   'm', 'd', 'a', 't', 1};
  static const struct {
    const guint8 *data;
    gsize size;
    KrContainer kind;
    guint64 keep;
  } cases[] = {
      {mkv, sizeof mkv, KR_CONTAINER_MATROSKA, sizeof mkv},
      {mkv, 9, KR_CONTAINER_UNKNOWN, 0},
      {mp4, sizeof mp4, KR_CONTAINER_MP4, 33},
      {mp4, 8, KR_CONTAINER_UNKNOWN, 0},
      {mp4, 12, KR_CONTAINER_UNKNOWN, 0},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (KrTestDir) dir = kr_test_dir_new ();
    g_autofree char *path = kr_test_dir_path (dir, "a");
    KrProbe probe;
    int fd;

    g_assert_true (
        g_file_set_contents (path, (const char *)cases[i].data, (gssize)cases[i].size, NULL));
    fd = open (path, O_RDONLY);
    probe = kr_container_probe (fd, NULL, NULL, NULL);
    close (fd);
    g_assert_cmpint (probe.kind, ==, cases[i].kind);
    g_assert_cmpuint (probe.keep, ==, cases[i].keep);
  }
}

/* Damages a file in one of the ways that disks, users and other programs do. */
static void
damage (GByteArray *bytes, GRand *rand)
{
  guint at = (guint)g_rand_int_range (rand, 0, (gint32)bytes->len);
  guint n = (guint)g_rand_int_range (rand, 1, 600);

  switch (g_rand_int_range (rand, 0, 5)) {
  case 0:
    g_byte_array_set_size (bytes, at);
    break;
  case 1:
    for (guint i = at; i < MIN (at + n, bytes->len); i++)
      bytes->data[i] = (guint8)g_rand_int (rand);
    break;
  case 2:
    memset (bytes->data + at, 0, MIN (n, bytes->len - at));
    break;
  case 3:
    g_byte_array_remove_range (bytes, at, MIN (n, bytes->len - at));
    break;
  default:
    add_zeros (bytes, n);
    break;
  }
}

/* Whatever the file looks like: its bytes are there afterwards, but for zeros and a part of a
 * packet at the end; and nothing else has changed. */
static void
test_fuzz (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  for (guint i = 0; i < (g_test_thorough () ? 20000 : 600); i++) {
    g_autoptr (KrTestDir) dir = kr_test_dir_new ();
    g_autoptr (GByteArray) bytes =
        make_ts ((guint)g_rand_int_range (rand, 0, 40), (guint)g_rand_int_range (rand, 0, 184));
    guint counts[KR_N_RECOVERY_ACTIONS];
    g_autofree char *list = NULL, *path = NULL, *content = NULL;
    gsize size;

    for (gint32 n = g_rand_int_range (rand, 0, 5); n > 0 && bytes->len > 0; n--)
      damage (bytes, rand);
    save (dir, "a.recording.ts", bytes);
    sweep (dir, FALSE, counts);
    list = kr_test_dir_list (dir);
    if (bytes->len == 0) {
      g_assert_cmpstr (list, ==, "");
      continue;
    }
    g_assert_true (g_str_equal (list, "a.ts") || g_str_equal (list, "a.quarantine.ts"));
    path = kr_test_dir_path (dir, list);
    g_assert_true (g_file_get_contents (path, &content, &size, NULL));
    g_assert_cmpuint (size, <=, bytes->len);
    g_assert_cmpmem (content, size, bytes->data, size);
    if (g_str_equal (list, "a.quarantine.ts"))
      g_assert_cmpuint (size, ==, bytes->len);
    /* What was cut: at most zeros, a piece below a packet, and zeros again. */
    for (guint cut = (guint)size, pieces = 0; cut < bytes->len; cut++) {
      if (bytes->data[cut] == 0)
        continue;
      g_assert_cmpuint (++pieces, <=, 1);
      g_assert_cmpuint (bytes->len - cut, <, PACKET + 600 * 5);
      cut += PACKET;
    }
  }
}

/* --- atomic-file -------------------------------------------------------------------------- */

static void
test_numbering (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *first = NULL, *second = NULL;
  KrIoError error = {0};
  KrAtomicFile *a = kr_atomic_file_create (path, KR_ON_EXISTS_NUMBER, &error);
  KrAtomicFile *b = kr_atomic_file_create (path, KR_ON_EXISTS_NUMBER, &error);

  g_assert_true (g_str_has_suffix (kr_atomic_file_path (b), "/a-2.ts"));
  g_assert_null (kr_atomic_file_create (path, KR_ON_EXISTS_ERROR, &error));
  g_assert_cmpint (kr_io_error_class (&error), ==, KR_IO_EXISTS);
  /* Somebody takes both names meanwhile. */
  save_text (dir, "a.ts", "other");
  save_text (dir, "a-2.ts", "other");
  g_assert_true (kr_atomic_file_finalise (a, FALSE, &first).renamed);
  g_assert_true (kr_atomic_file_finalise (b, FALSE, &second).renamed);
  g_assert_true (g_str_has_suffix (first, "/a-3.ts"));
  g_assert_true (g_str_has_suffix (second, "/a-4.ts"));
  g_assert_cmpint (size_of (dir, "a.ts"), ==, 5);
  g_assert_cmpint (size_of (dir, "a-2.ts"), ==, 5);
}

static void
test_discard_and_abandon (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *list = NULL;
  char abc[] = "abc";
  struct iovec iov[] = {{abc, 0}, {abc, 2}, {abc, 0}, {abc + 2, 1}};
  KrIoError error = {0};
  KrAtomicFile *file = kr_atomic_file_create (path, KR_ON_EXISTS_ERROR, &error);
  gsize written;

  kr_atomic_file_discard (file);
  list = kr_test_dir_list (dir);
  g_assert_cmpstr (list, ==, "");
  file = kr_atomic_file_create (path, KR_ON_EXISTS_ERROR, &error);
  g_assert_true (kr_atomic_file_write (file, 0, iov, 4, &written, NULL, &error));
  g_assert_cmpuint (written, ==, 3);
  /* With data in it, it is not discarded. */
  kr_atomic_file_discard (file);
  g_assert_cmpint (size_of (dir, "a.recording.ts"), ==, 3);
}

/* Somebody's hands were in the folder: what gets the final name is what was written. */
static void
test_displaced (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "a.ts");
  g_autofree char *temp = kr_test_dir_path (dir, "a.recording.ts");
  g_autofree char *moved = kr_test_dir_path (dir, "moved");
  KrIoError error = {0};
  KrAtomicFile *file = kr_atomic_file_create (path, KR_ON_EXISTS_NUMBER, &error);
  char abc[] = "abc";
  struct iovec iov = {.iov_base = abc, .iov_len = 3};
  KrFinaliseResult result;
  gsize written;

  g_assert_true (kr_atomic_file_write (file, 0, &iov, 1, &written, NULL, &error));
  g_assert_cmpint (rename (temp, moved), ==, 0);
  save_text (dir, "a.recording.ts", "a stranger");
  result = kr_atomic_file_finalise (file, TRUE, NULL);
  g_assert_true (result.renamed && result.durable);
  g_assert_cmpint (size_of (dir, "a.ts"), ==, 3);
  g_assert_cmpint (size_of (dir, "a.recording.ts"), ==, 10);

  /* Removed altogether: said, and the stranger keeps its own name. */
  g_assert_cmpint (unlink (path), ==, 0);
  g_assert_cmpint (unlink (temp), ==, 0);
  file = kr_atomic_file_create (path, KR_ON_EXISTS_NUMBER, &error);
  g_assert_cmpint (unlink (temp), ==, 0);
  save_text (dir, "a.recording.ts", "a stranger");
  result = kr_atomic_file_finalise (file, TRUE, NULL);
  g_assert_false (result.renamed);
  g_assert_cmpint (result.error.code, ==, ENOENT);
  g_assert_cmpint (size_of (dir, "a.recording.ts"), ==, 10);
}

static void
test_bad_paths (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *below = kr_test_dir_path (dir, "file/a.ts");
  g_autofree char *temp_link = kr_test_dir_path (dir, "b.recording.ts");
  g_autofree char *by_link = kr_test_dir_path (dir, "b.ts");
  KrIoError error = {0};
  g_autofree char *text = NULL;

  save_text (dir, "file", "x");
  g_assert_null (kr_atomic_file_create (below, KR_ON_EXISTS_NUMBER, &error));
  g_assert_cmpint (kr_io_error_class (&error), ==, KR_IO_CONFIG);
  text = kr_io_error_text (&error, below);
  g_assert_nonnull (strstr (text, "ENOTDIR"));
  /* A link planted at the temporary name is not written through. */
  g_assert_cmpint (symlink ("/dev/null", temp_link), ==, 0);
  g_assert_null (kr_atomic_file_create (by_link, KR_ON_EXISTS_ERROR, &error));
  g_assert_cmpint (kr_io_error_class (&error), ==, KR_IO_EXISTS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (120);
  g_test_add_func ("/common/recovery/tails", test_tails);
  g_test_add_func ("/common/recovery/wide-packets", test_wide_packets_are_named);
  g_test_add_func ("/common/recovery/what-does-not-play", test_what_does_not_play);
  g_test_add_func ("/common/recovery/never-overwrites", test_never_overwrites);
  g_test_add_func ("/common/recovery/dry-run", test_dry_run);
  g_test_add_func ("/common/recovery/living", test_living);
  g_test_add_func ("/common/recovery/two-names", test_two_names_of_one_file);
  g_test_add_func ("/common/recovery/links", test_links_are_not_followed);
  g_test_add_func ("/common/recovery/huge-sparse", test_huge_sparse);
  g_test_add_func ("/common/recovery/unreadable", test_unreadable);
  g_test_add_func ("/common/recovery/template", test_template);
  g_test_add_func ("/common/recovery/other-containers", test_other_containers);
  g_test_add_func ("/common/recovery/fuzz", test_fuzz);
  g_test_add_func ("/common/atomic-file/numbering", test_numbering);
  g_test_add_func ("/common/atomic-file/discard", test_discard_and_abandon);
  g_test_add_func ("/common/atomic-file/displaced", test_displaced);
  g_test_add_func ("/common/atomic-file/bad-paths", test_bad_paths);
  return g_test_run ();
}
