/* keeprolling - looking at destinations
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/url-check.h"

#include "launcher/services/http-client.h"

typedef struct {
  KrUrlChecks *checks;
  char *name;
  /* the thread's */
  char *uri; /* NULL = nobody wants to know any more */
  GSource *timer;
  gboolean under_way;
  gboolean outdated; /* what is under way asks at an address that has changed */
  /* under the lock */
  gint64 interval_us;
  gint64 finished_at; /* monotonic, 0 = never */
  gboolean asked;
  int status;
  const char *error; /* static */
} Check;

struct _KrUrlChecks {
  KrHttpClient *client;
  GMutex mutex;
  GHashTable *table; /* char* -> Check; under the lock */
};

KrDestinationProbe
kr_url_check_outcome (gboolean asked, int status, const char *error, gint64 age_us,
                      gint64 interval_us)
{
  KrDestinationProbe probe = {
      .done = asked, .http = status, .age_s = (double)age_us / G_TIME_SPAN_SECOND};

  if (age_us > 3 * interval_us + KR_URL_CHECK_TIMEOUT_US) {
    probe.done = FALSE;
    probe.http = 0;
    error = "the check itself does not get on";
  }
  if (!probe.done)
    g_strlcpy (probe.error, error != NULL ? error : "it could not be asked",
               sizeof probe.error);
  return probe;
}

static void
on_answer (const KrHttpAnswer *answer, gpointer data)
{
  Check *check = data;

  check->under_way = FALSE;
  if (check->outdated) {
    check->outdated = FALSE;
    return;
  }
  g_mutex_lock (&check->checks->mutex);
  check->finished_at = g_get_monotonic_time ();
  check->asked = answer->outcome != KR_HTTP_NOT_ASKED;
  check->status = answer->status;
  check->error = answer->error;
  g_mutex_unlock (&check->checks->mutex);
}

static gboolean
on_timer (gpointer data)
{
  Check *check = data;
  gint64 timeout_us = MIN (check->interval_us, KR_URL_CHECK_TIMEOUT_US);

  if (!check->under_way) {
    check->under_way = TRUE;
    kr_http_client_get (check->checks->client, check->uri,
                        (guint)(timeout_us / G_TIME_SPAN_MILLISECOND), on_answer, check);
  }
  return G_SOURCE_CONTINUE;
}

static void
start (gpointer data)
{
  Check *check = data;

  check->timer = g_timeout_source_new ((guint)(check->interval_us / G_TIME_SPAN_MILLISECOND));
  g_source_set_callback (check->timer, on_timer, check, NULL);
  g_source_attach (check->timer, kr_http_client_get_context (check->checks->client));
  on_timer (check);
}

static void
stop (Check *check)
{
  if (check->timer == NULL)
    return;
  g_source_destroy (check->timer);
  g_clear_pointer (&check->timer, g_source_unref);
}

typedef struct {
  Check *check;
  const char *uri;
  gint64 interval_us;
} Change;

/* The thread. */
static void
change (gpointer data)
{
  const Change *wanted = data;
  Check *check = wanted->check;

  stop (check);
  check->outdated = check->under_way;
  g_free (check->uri);
  check->uri = g_strdup (wanted->uri);
  g_mutex_lock (&check->checks->mutex);
  check->interval_us = wanted->interval_us;
  check->finished_at = 0;
  g_mutex_unlock (&check->checks->mutex);
  if (check->uri != NULL)
    start (check);
}

static void
stop_all (gpointer data)
{
  KrUrlChecks *checks = data;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, checks->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    stop (value);
  }
}

static void
check_free (Check *check)
{
  g_free (check->name);
  g_free (check->uri);
  g_free (check);
}

KrUrlChecks *
kr_url_checks_new (void)
{
  KrUrlChecks *checks = g_new0 (KrUrlChecks, 1);

  g_mutex_init (&checks->mutex);
  checks->table =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)check_free);
  checks->client = kr_http_client_new ();
  return checks;
}

void
kr_url_checks_free (KrUrlChecks *checks)
{
  if (checks == NULL)
    return;
  kr_http_client_call (checks->client, stop_all, checks);
  kr_http_client_free (checks->client);
  g_hash_table_unref (checks->table);
  g_mutex_clear (&checks->mutex);
  g_free (checks);
}

void
kr_url_checks_set (KrUrlChecks *checks, const char *name, const char *uri, gint64 interval_us)
{
  Change wanted = {.uri = uri, .interval_us = MAX (interval_us, 100 * G_TIME_SPAN_MILLISECOND)};
  Check *check;

  g_mutex_lock (&checks->mutex);
  check = g_hash_table_lookup (checks->table, name);
  if (check == NULL) {
    check = g_new0 (Check, 1);
    check->checks = checks;
    check->name = g_strdup (name);
    g_hash_table_insert (checks->table, check->name, check);
  }
  g_mutex_unlock (&checks->mutex);
  wanted.check = check;
  kr_http_client_call (checks->client, change, &wanted);
}

gboolean
kr_url_checks_get (KrUrlChecks *checks, const char *name, KrDestinationProbe *ret_probe)
{
  const Check *check;
  gboolean has_result;

  g_mutex_lock (&checks->mutex);
  check = g_hash_table_lookup (checks->table, name);
  has_result = check != NULL && check->finished_at != 0;
  if (has_result)
    *ret_probe =
        kr_url_check_outcome (check->asked, check->status, check->error,
                              g_get_monotonic_time () - check->finished_at, check->interval_us);
  g_mutex_unlock (&checks->mutex);
  return has_result;
}
