/* keeprolling - the service manager's notification socket
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/sd-notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct _KrSdNotify {
  int fd;
  struct sockaddr_un address;
  socklen_t address_length;
  gint64 watchdog_us;
  char *socket_variable; /* what the environment said */
  char *watchdog_variable;
  char *pid_variable;
};

G_DEFINE_QUARK (kr - sd - notify - error, kr_sd_notify_error)

static gboolean
set_address (KrSdNotify *notify, const char *name, GError **error)
{
  gsize length = strlen (name);

  if ((name[0] != '/' && name[0] != '@') || length < 2 ||
      length >= sizeof notify->address.sun_path) {
    g_set_error (error, KR_SD_NOTIFY_ERROR, KR_SD_NOTIFY_ERROR_ADDRESS,
                 "NOTIFY_SOCKET is '%s': neither an absolute path nor '@' and a name, of at "
                 "most %" G_GSIZE_FORMAT " bytes",
                 name, sizeof notify->address.sun_path - 1);
    return FALSE;
  }
  notify->address.sun_family = AF_UNIX;
  memcpy (notify->address.sun_path, name, length);
  notify->address_length = (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length);
  if (name[0] == '@')
    notify->address.sun_path[0] = '\0'; /* abstract: its length ends it */
  else
    notify->address_length++;
  return TRUE;
}

static char *
take_variable (const char *name)
{
  char *value = g_strdup (g_getenv (name));

  g_unsetenv (name);
  return value;
}

/* WATCHDOG_PID names the process that is watched, unless it is any of the service's. */
static gint64
watchdog_us (const KrSdNotify *notify)
{
  gint64 us;

  if (notify->watchdog_variable == NULL)
    return 0;
  if (notify->pid_variable != NULL &&
      g_ascii_strtoll (notify->pid_variable, NULL, 10) != getpid ())
    return 0;
  us = g_ascii_strtoll (notify->watchdog_variable, NULL, 10);
  return CLAMP (us, 0, 365 * G_TIME_SPAN_DAY);
}

KrSdNotify *
kr_sd_notify_new_from_environment (GError **error)
{
  g_autoptr (KrSdNotify) notify = g_new0 (KrSdNotify, 1);

  notify->fd = -1;
  notify->socket_variable = take_variable ("NOTIFY_SOCKET");
  notify->watchdog_variable = take_variable ("WATCHDOG_USEC");
  notify->pid_variable = take_variable ("WATCHDOG_PID");
  if (notify->socket_variable == NULL || notify->socket_variable[0] == '\0')
    return NULL;
  if (!set_address (notify, notify->socket_variable, error))
    return NULL;
  notify->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (notify->fd < 0) {
    g_set_error (error, KR_SD_NOTIFY_ERROR, KR_SD_NOTIFY_ERROR_ADDRESS, "no socket: %s",
                 g_strerror (errno));
    return NULL;
  }
  notify->watchdog_us = watchdog_us (notify);
  return g_steal_pointer (&notify);
}

void
kr_sd_notify_free (KrSdNotify *notify)
{
  if (notify == NULL)
    return;
  if (notify->fd >= 0)
    close (notify->fd);
  g_free (notify->socket_variable);
  g_free (notify->watchdog_variable);
  g_free (notify->pid_variable);
  g_free (notify);
}

gint64
kr_sd_notify_get_watchdog_us (const KrSdNotify *notify)
{
  return notify->watchdog_us;
}

gboolean
kr_sd_notify_send (KrSdNotify *notify, const char *lines, GError **error)
{
  gssize sent;

  do {
    sent = sendto (notify->fd, lines, strlen (lines), MSG_NOSIGNAL | MSG_DONTWAIT,
                   (const struct sockaddr *)&notify->address, notify->address_length);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0)
    return TRUE;
  g_set_error (error, KR_SD_NOTIFY_ERROR, KR_SD_NOTIFY_ERROR_SEND,
               "the service manager does not listen at %s: %s", notify->socket_variable,
               g_strerror (errno));
  return FALSE;
}

static void
restore (const char *name, const char *value)
{
  if (value != NULL)
    g_setenv (name, value, TRUE);
}

void
kr_sd_notify_restore_environment (const KrSdNotify *notify)
{
  restore ("NOTIFY_SOCKET", notify->socket_variable);
  restore ("WATCHDOG_USEC", notify->watchdog_variable);
  restore ("WATCHDOG_PID", notify->pid_variable);
}
