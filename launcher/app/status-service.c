/* keeprolling - the status server's place in "run"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/status-service.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <glib.h>

#include "launcher/app/commands.h"
#include "launcher/app/log.h"

#ifdef HAVE_STATUS_SERVER
#include "launcher/services/status-server.h"
#endif

#define RETRY_US (10 * G_TIME_SPAN_SECOND)
/* The two clocks drift apart by less than this within a second, whatever NTP does. */
#define CLOCK_STEP_US (500 * G_TIME_SPAN_MILLISECOND)
/* Counting descriptors reads a folder: not each second. */
#define FDS_EVERY_US (8 * G_TIME_SPAN_SECOND)

struct _KrStatusService {
  char *listen; /* NULL = no server wanted */
  char *token;
#ifdef HAVE_STATUS_SERVER
  KrStatusServer *server; /* NULL = not there yet */
#endif
  gint64 retry_at;
  gint64 utc_minus_monotonic;
  double clock_step_s;
  gint64 started_utc_us;
  guint open_fds;
  gint64 fds_at;
};

#ifdef HAVE_STATUS_SERVER
/* FALSE if it can never work. */
static gboolean
try_to_listen (KrStatusService *service, gboolean first)
{
  g_autoptr (GError) error = NULL;

  service->server = kr_status_server_new (service->listen, service->token, &error);
  if (service->server != NULL) {
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "status page at %s",
            kr_status_server_url (service->server));
    return TRUE;
  }
  if (g_error_matches (error, KR_STATUS_ERROR, KR_STATUS_ERROR_IN_USE)) {
    service->retry_at = g_get_monotonic_time () + RETRY_US;
    if (first)
      kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
              "no status page: %s is in use, by another keeprolling? Trying again every %d s; "
              "recording is not affected. --listen takes another port, 127.0.0.1:0 a free one",
              service->listen, (int)(RETRY_US / G_TIME_SPAN_SECOND));
    return TRUE;
  }
  kr_command_error (KR_EXIT_CONFIG, "see --listen and --token-file in keeprolling(1)",
                    "no status page: %s", error->message);
  return FALSE;
}

static gboolean
load_token (KrStatusService *service, const char *path)
{
  g_autoptr (GError) error = NULL;

  if (path == NULL)
    return TRUE;
  service->token = kr_status_token_load (path, &error);
  if (service->token == NULL)
    kr_command_error (KR_EXIT_CONFIG, "see --token-file in keeprolling(1)", "%s",
                      error->message);
  return service->token != NULL;
}
#endif

KrStatusService *
kr_status_service_new (const char *listen, const char *token_file, KrExitCode *ret_code)
{
  g_autoptr (KrStatusService) service = g_new0 (KrStatusService, 1);

  service->started_utc_us = g_get_real_time ();
  service->utc_minus_monotonic = service->started_utc_us - g_get_monotonic_time ();
#ifdef HAVE_STATUS_SERVER
  if (g_strcmp0 (listen, "none") != 0) {
    service->listen = g_strdup (listen != NULL ? listen : KR_STATUS_DEFAULT_LISTEN);
    if (!load_token (service, token_file) || !try_to_listen (service, TRUE)) {
      *ret_code = KR_EXIT_CONFIG;
      return NULL;
    }
  }
#else
  if (listen != NULL && g_strcmp0 (listen, "none") != 0) {
    *ret_code = kr_command_error (KR_EXIT_CONFIG, "leave --listen out",
                                  "this keeprolling was built without the status server");
    return NULL;
  }
#endif
  return g_steal_pointer (&service);
}

void
kr_status_service_free (KrStatusService *service)
{
  if (service == NULL)
    return;
#ifdef HAVE_STATUS_SERVER
  kr_status_server_free (service->server);
#endif
  g_free (service->listen);
  g_free (service->token);
  g_free (service);
}

static double
cpu_seconds (void)
{
  struct rusage usage;

  if (getrusage (RUSAGE_SELF, &usage) != 0)
    return 0;
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static guint64
resident_bytes (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;

  /* statm: size resident shared ... in pages; proc(5) */
  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL)) {
    char *end;

    strtoull (text, &end, 10);
    pages = strtoull (end, NULL, 10);
  }
  return pages * (guint64)sysconf (_SC_PAGESIZE);
}

static guint
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
measure (KrStatusService *service, KrProcessFigures *figures)
{
  gint64 now = g_get_monotonic_time ();
  gint64 offset = g_get_real_time () - now;
  gint64 step = ABS (offset - service->utc_minus_monotonic);

  if (step > CLOCK_STEP_US)
    service->clock_step_s += (double)step / G_TIME_SPAN_SECOND;
  service->utc_minus_monotonic = offset;
  if (now >= service->fds_at) {
    service->open_fds = count_fds ();
    service->fds_at = now + FDS_EVERY_US;
  }
  figures->cpu_s = cpu_seconds ();
  figures->rss = resident_bytes ();
  figures->open_fds = service->open_fds;
  figures->started_utc_us = service->started_utc_us;
  figures->clock_step_s = service->clock_step_s;
}

void
kr_status_service_publish (KrStatusService *service, KrSnapshot *snapshot,
                           const KrProcessFigures *process)
{
  KrProcessFigures figures = *process;

  measure (service, &figures);
#ifdef HAVE_STATUS_SERVER
  if (service->listen != NULL && service->server == NULL &&
      g_get_monotonic_time () >= service->retry_at)
    try_to_listen (service, FALSE);
  if (service->server != NULL)
    kr_status_server_publish (service->server, snapshot, &figures);
#endif
}
