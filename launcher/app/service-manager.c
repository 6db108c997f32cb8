/* keeprolling - what systemd gets to hear of us
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/service-manager.h"

#include "launcher/app/log.h"
#include "launcher/core/notify-policy.h"
#include "launcher/services/sd-notify.h"

struct _KrServiceManager {
  KrSdNotify *notify; /* NULL = nobody asks */
  KrNotifyPolicy policy;
  KrSnapshot *snapshot;
  gboolean reloading;
  gboolean unreachable; /* that was logged */
  guint timer_id;
};

static void
log_watchdog (const KrNotifyPolicy *before, const KrNotifyPolicy *after)
{
  if (after->watchdog_us == 0 || before->withheld == after->withheld)
    return;
  if (after->withheld)
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL,
            "no disk answers and nothing records: the service manager's watchdog is left alone "
            "until one does, so that it restarts us");
  else
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL,
            "a disk answers again: the service manager's watchdog is served again");
}

static void
log_reach (KrServiceManager *manager, const GError *error)
{
  if (error != NULL && !manager->unreachable)
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "%s; it is tried again, all else goes on",
            error->message);
  else if (error == NULL && manager->unreachable)
    kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL, "the service manager listens again");
  manager->unreachable = error != NULL;
}

static void
say (KrServiceManager *manager)
{
  KrNotifyPolicy next;
  g_autofree char *lines = NULL;
  g_autoptr (GError) error = NULL;

  if (manager->notify == NULL)
    return;
  lines = kr_notify_policy_next (&manager->policy, manager->snapshot, manager->reloading,
                                 g_get_monotonic_time (), &next);
  if (lines != NULL && !kr_sd_notify_send (manager->notify, lines, &error)) {
    log_reach (manager, error);
    return;
  }
  if (lines != NULL)
    log_reach (manager, NULL);
  log_watchdog (&manager->policy, &next);
  manager->policy = next;
}

static gboolean
on_timer (gpointer data)
{
  say (data);
  return G_SOURCE_CONTINUE;
}

KrServiceManager *
kr_service_manager_new (gboolean was_ready)
{
  KrServiceManager *manager = g_new0 (KrServiceManager, 1);
  g_autoptr (GError) error = NULL;

  manager->notify = kr_sd_notify_new_from_environment (&error);
  if (error != NULL)
    kr_log (G_LOG_LEVEL_WARNING, NULL, NULL, "%s; the service manager hears nothing of us",
            error->message);
  if (manager->notify == NULL)
    return manager;
  kr_notify_policy_init (&manager->policy, kr_sd_notify_get_watchdog_us (manager->notify));
  if (was_ready)
    kr_notify_policy_resume (&manager->policy);
  manager->timer_id = g_timeout_add ((guint)(kr_notify_policy_period (&manager->policy) / 1000),
                                     on_timer, manager);
  say (manager);
  return manager;
}

void
kr_service_manager_free (KrServiceManager *manager)
{
  if (manager == NULL)
    return;
  g_clear_handle_id (&manager->timer_id, g_source_remove);
  kr_snapshot_unref (manager->snapshot);
  kr_sd_notify_free (manager->notify);
  g_free (manager);
}

void
kr_service_manager_take_snapshot (KrServiceManager *manager, KrSnapshot *snapshot)
{
  KrSnapshot *before = manager->snapshot;

  manager->snapshot = kr_snapshot_ref (snapshot);
  kr_snapshot_unref (before);
  say (manager);
}

void
kr_service_manager_set_reloading (KrServiceManager *manager, gboolean reloading)
{
  manager->reloading = reloading;
  say (manager);
}

gboolean
kr_service_manager_is_ready (const KrServiceManager *manager)
{
  return manager->policy.ready;
}

void
kr_service_manager_end (KrServiceManager *manager, KrExitCode code)
{
  /* Nobody is left to be told if that fails. */
  if (manager->notify != NULL)
    (void)kr_sd_notify_send (manager->notify, kr_notify_policy_last_words (code), NULL);
}

void
kr_service_manager_restore_environment (const KrServiceManager *manager)
{
  if (manager->notify != NULL)
    kr_sd_notify_restore_environment (manager->notify);
}
