/* keeprolling - what every C test needs
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/support/kr-test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

KrTestDir *
kr_test_dir_new (void)
{
  g_autoptr (GError) error = NULL;
  char *dir = g_dir_make_tmp ("kr-test-XXXXXX", &error);

  g_assert_no_error (error);
  return dir;
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  return remove (path);
}

void
kr_test_dir_free (KrTestDir *dir)
{
  if (dir == NULL)
    return;
  nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (dir);
}

char *
kr_test_dir_path (const KrTestDir *dir, const char *name)
{
  return g_build_filename (dir, name, NULL);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char *
kr_test_dir_list (const KrTestDir *dir)
{
  g_autoptr (GDir) handle = g_dir_open (dir, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  g_assert_nonnull (handle);
  while ((name = g_dir_read_name (handle)) != NULL)
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

static void
on_alarm (int sig)
{
  static const char text[] = "Bail out! the test hangs: its deadline has passed\n";

  if (write (STDOUT_FILENO, text, sizeof text - 1) < 0)
    _exit (99);
  abort ();
}

gint64
kr_test_scale (gint64 value)
{
  const char *scale = g_getenv ("KR_TEST_TIMEOUT_SCALE");

  return scale != NULL ? (gint64) (value * g_ascii_strtod (scale, NULL)) : value;
}

void
kr_test_deadline (guint seconds)
{
  signal (SIGALRM, on_alarm);
  alarm ((guint) kr_test_scale (seconds));
}
