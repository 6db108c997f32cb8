/* keeprolling - the service manager's notification socket
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/sd-notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/kr-test.h"

/* The manager's end, bound to @name: a path, or '@' and an abstract name. */
static int
bind_manager (const char *name)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  gsize length = strlen (name);
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  g_assert_cmpuint (length, <, sizeof address.sun_path);
  memcpy (address.sun_path, name, length);
  if (name[0] == '@')
    address.sun_path[0] = '\0';
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address,
                         (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length)),
                   ==, 0);
  return fd;
}

static void
assert_hears (int fd, const char *expected)
{
  char buffer[1024];
  gssize n = recv (fd, buffer, sizeof buffer - 1, 0);

  g_assert_cmpint (n, >=, 0);
  buffer[n] = '\0';
  g_assert_cmpstr (buffer, ==, expected);
}

static void
set_environment (const char *socket_name, const char *watchdog, const char *pid)
{
  g_setenv ("NOTIFY_SOCKET", socket_name, TRUE);
  if (watchdog != NULL)
    g_setenv ("WATCHDOG_USEC", watchdog, TRUE);
  if (pid != NULL)
    g_setenv ("WATCHDOG_PID", pid, TRUE);
}

static void
check_delivery (const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (KrSdNotify) notify = NULL;
  int fd = bind_manager (name);

  set_environment (name, NULL, NULL);
  notify = kr_sd_notify_new_from_environment (&error);
  g_assert_no_error (error);
  g_assert_nonnull (notify);
  g_assert_null (g_getenv ("NOTIFY_SOCKET"));
  g_assert_true (kr_sd_notify_send (notify, "READY=1\nSTATUS=recording\n", &error));
  g_assert_no_error (error);
  assert_hears (fd, "READY=1\nSTATUS=recording\n");
  kr_sd_notify_restore_environment (notify);
  g_assert_cmpstr (g_getenv ("NOTIFY_SOCKET"), ==, name);
  g_unsetenv ("NOTIFY_SOCKET");
  close (fd);
}

static void
test_path (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "notify");

  check_delivery (path);
}

static void
test_abstract (void)
{
  g_autofree char *name = g_strdup_printf ("@keeprolling-test-%d", (int)getpid ());

  check_delivery (name);
}

static void
test_nobody_asks (void)
{
  g_autoptr (GError) error = NULL;

  g_unsetenv ("NOTIFY_SOCKET");
  g_assert_null (kr_sd_notify_new_from_environment (&error));
  g_assert_no_error (error);
  set_environment ("", NULL, NULL);
  g_assert_null (kr_sd_notify_new_from_environment (&error));
  g_assert_no_error (error);
}

static void
test_bad_address (void)
{
  g_autofree char *long_name = g_strnfill (200, 'x');
  const char *names[] = {"relative", "@", "/", "vsock:2:1234", NULL};

  long_name[0] = '/';
  names[4] = long_name;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GError) error = NULL;

    set_environment (names[i], "1", NULL);
    g_assert_null (kr_sd_notify_new_from_environment (&error));
    g_assert_error (error, KR_SD_NOTIFY_ERROR, KR_SD_NOTIFY_ERROR_ADDRESS);
    g_assert_null (g_getenv ("NOTIFY_SOCKET"));
    g_assert_null (g_getenv ("WATCHDOG_USEC"));
  }
}

static void
test_watchdog_variables (void)
{
  const struct {
    const char *watchdog, *pid;
    gint64 expected;
  } rows[] = {
      {NULL, NULL, 0},
      {"30000000", NULL, 30000000},
      {"30000000", "self", 30000000},
      {"30000000", "1", 0},
      {"-5", NULL, 0},
      {"nonsense", NULL, 0},
      {"99999999999999999999", NULL, 365 * G_TIME_SPAN_DAY},
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *self = g_strdup_printf ("%d", (int)getpid ());
    g_autoptr (KrSdNotify) notify = NULL;

    set_environment ("@keeprolling-nobody", rows[i].watchdog,
                     g_strcmp0 (rows[i].pid, "self") == 0 ? self : rows[i].pid);
    notify = kr_sd_notify_new_from_environment (NULL);
    g_assert_nonnull (notify);
    g_assert_cmpint (kr_sd_notify_get_watchdog_us (notify), ==, rows[i].expected);
  }
}

/* A manager that is gone, and one that does not read: neither blocks nor kills us. */
static void
test_dead_and_deaf (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *path = kr_test_dir_path (dir, "notify");
  g_autoptr (KrSdNotify) notify = NULL;
  g_autoptr (GError) error = NULL;
  gboolean refused = FALSE;
  int fd;

  set_environment (path, NULL, NULL);
  notify = kr_sd_notify_new_from_environment (NULL);
  g_assert_false (kr_sd_notify_send (notify, "WATCHDOG=1\n", &error));
  g_assert_error (error, KR_SD_NOTIFY_ERROR, KR_SD_NOTIFY_ERROR_SEND);
  g_clear_error (&error);

  fd = bind_manager (path);
  for (guint i = 0; i < 100000 && !refused; i++)
    refused = !kr_sd_notify_send (notify, "WATCHDOG=1\n", NULL);
  g_assert_true (refused);

  /* It reads again, or was started anew at the same place. */
  close (fd);
  unlink (path);
  fd = bind_manager (path);
  g_assert_true (kr_sd_notify_send (notify, "WATCHDOG=1\n", &error));
  assert_hears (fd, "WATCHDOG=1\n");
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/sd-notify/path", test_path);
  g_test_add_func ("/sd-notify/abstract", test_abstract);
  g_test_add_func ("/sd-notify/nobody-asks", test_nobody_asks);
  g_test_add_func ("/sd-notify/bad-address", test_bad_address);
  g_test_add_func ("/sd-notify/watchdog-variables", test_watchdog_variables);
  g_test_add_func ("/sd-notify/dead-and-deaf", test_dead_and_deaf);
  return g_test_run ();
}
