/* keeprolling - tests of common/disk-runway
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/disk-runway.h"

#include "tests/support/kr-test.h"

#define GIB  (G_GUINT64_CONSTANT (1) << 30)
#define RATE 125000 /* 1 Mb/s */

typedef struct {
  KrDiskRunway runway;
  guint64 written;
  guint64 free;
  gint64 now;
} Disk;

static Disk
disk_new (void)
{
  return (Disk){.runway.at_us = 7, .free = 100 * GIB, .now = 7};
}

/* @seconds in which the recording writes @own bytes a second, and @others something of theirs.
 */
static double
pass (Disk *disk, guint seconds, gint64 own, gint64 others)
{
  for (guint i = 0; i < seconds; i++) {
    disk->now += G_USEC_PER_SEC;
    disk->written += (guint64)own;
    disk->free -= (guint64)(own + others);
    kr_disk_runway_sample (&disk->runway, disk->written, disk->free, disk->now);
  }
  return kr_disk_runway_seconds (&disk->runway, disk->free);
}

static void
assert_near (double seconds, double expected, double percent)
{
  g_assert_cmpfloat (seconds, >, expected * (1 - percent / 100));
  g_assert_cmpfloat (seconds, <, expected * (1 + percent / 100));
}

static void
test_not_known_at_first (void)
{
  Disk disk = disk_new ();

  g_assert_cmpfloat (kr_disk_runway_seconds (&disk.runway, disk.free), <, 0);
  kr_disk_runway_sample (&disk.runway, 1, disk.free, disk.now + 1000);
  g_assert_cmpfloat (kr_disk_runway_seconds (&disk.runway, disk.free), <, 0);
  g_assert_cmpfloat (pass (&disk, 100, 0, 0), <, 0);
}

static void
test_alone (void)
{
  Disk disk = disk_new ();

  assert_near (pass (&disk, 1, RATE, 0), (double)disk.free / RATE, 1);
  assert_near (pass (&disk, 600, RATE, 0), (double)disk.free / RATE, 1);
  assert_near (pass (&disk, 600, 2 * RATE, 0), (double)disk.free / (2 * RATE), 5);
}

/* Nineteen others write as much to the same disk. */
static void
test_shared_disk (void)
{
  Disk disk = disk_new ();

  assert_near (pass (&disk, 60, RATE, 19 * RATE), (double)disk.free / (20 * RATE), 2);
  /* They have ended. */
  assert_near (pass (&disk, 3600, RATE, 0), (double)disk.free / RATE, 2);
}

/* Somebody deletes the oldest files once a minute: that may end at any time. */
static void
test_room_is_made (void)
{
  Disk disk = disk_new ();
  double seconds = 0;

  for (guint i = 0; i < 60; i++) {
    pass (&disk, 59, RATE, 0);
    seconds = pass (&disk, 1, RATE, -60 * RATE);
  }
  assert_near (seconds, (double)disk.free / RATE, 2);
  g_assert_cmpuint (disk.free, ==, 100 * GIB);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/common/disk-runway/not-known", test_not_known_at_first);
  g_test_add_func ("/common/disk-runway/alone", test_alone);
  g_test_add_func ("/common/disk-runway/shared", test_shared_disk);
  g_test_add_func ("/common/disk-runway/room", test_room_is_made);
  return g_test_run ();
}
