/* keeprolling - tests of app/log
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/log.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/kr-test.h"

static void
say_readable (void)
{
  kr_log_setup (NULL);
  kr_log (G_LOG_LEVEL_MESSAGE, "cam1", "record", "opened srt://h?passphrase=%s", "S3CRET");
  kr_log (G_LOG_LEVEL_WARNING, "cam1", NULL, "two\nlines");
  kr_log (G_LOG_LEVEL_CRITICAL, NULL, NULL, "not fatal");
  kr_log (G_LOG_LEVEL_DEBUG, NULL, NULL, "quiet");
  g_log ("Other", G_LOG_LEVEL_MESSAGE, "token=S3CRET");
  g_assert_cmpuint (kr_log_count (G_LOG_LEVEL_WARNING), ==, 1);
  g_assert_cmpuint (kr_log_count (G_LOG_LEVEL_CRITICAL), ==, 1);
}

static void
test_readable (void)
{
  if (g_test_subprocess ()) {
    say_readable ();
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*T??:??:??.???Z cam1/record: opened srt://h?passphrase=***\n*");
  g_test_trap_assert_stderr ("*Z cam1: warning: two lines\n*");
  g_test_trap_assert_stderr ("*Z CRITICAL: not fatal\n*");
  g_test_trap_assert_stderr ("*Z *Other*token=***\n*");
  g_test_trap_assert_stderr_unmatched ("*quiet*");
  g_test_trap_assert_stderr_unmatched ("*S3CRET*");
}

static void
test_rate (void)
{
  if (g_test_subprocess ()) {
    kr_log_setup ("noisy");
    for (guint i = 0; i < 100000; i++)
      kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "again");
    kr_log (G_LOG_LEVEL_WARNING, "other", NULL, "heard");
    g_usleep (1500000);
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "afterwards");
    g_assert_cmpuint (kr_log_count (G_LOG_LEVEL_WARNING), ==, 100002);
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*other: warning: heard\n*");
  g_test_trap_assert_stderr (
      "*noisy: warning: afterwards (* lines before this one were left out)\n*");
}

/* Nobody reads the log: the writer goes on all the same. */
static void
test_stuck_reader (void)
{
  if (g_test_subprocess ()) {
    int fds[2];

    g_assert_cmpint (pipe (fds), ==, 0);
    g_assert_cmpint (dup2 (fds[1], STDERR_FILENO), ==, STDERR_FILENO);
    kr_test_deadline (60);
    kr_log_setup (NULL);
    for (guint i = 0; i < 5000; i++) {
      g_autofree char *file = g_strdup_printf ("f%u", i); /* past the rate bound */

      kr_log (G_LOG_LEVEL_WARNING, file, NULL, "%0500u", i);
    }
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (180);
  g_test_add_func ("/app/log/readable", test_readable);
  g_test_add_func ("/app/log/rate", test_rate);
  g_test_add_func ("/app/log/stuck-reader", test_stuck_reader);
  return g_test_run ();
}
