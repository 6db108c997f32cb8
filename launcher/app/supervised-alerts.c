/* keeprolling - one pipeline file and its workers: what people read of them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/supervised-private.h"

static char *
crash_text (const KrSupervised *s, const KrSupervisorAction *action)
{
  const char *why = action->reason;
  guint failures = s->machine.failures;

  if (action->seconds <= 0)
    return g_strdup_printf ("the worker is gone (%s); the next one starts now", why);
  if (failures < 2)
    return g_strdup_printf ("the worker is gone (%s), soon after the one before it; the next "
                            "one starts in %.1f s",
                            why, action->seconds);
  return g_strdup_printf ("the worker is gone (%s); it recorded nothing, the %u. in a row; the "
                          "next one starts in %.1f s, and waits twice as long each time, 5 min "
                          "at most",
                          why, failures, action->seconds);
}

static char *
hang_text (const KrSupervisorAction *action)
{
  const char *why = action->reason;

  if (action->overlap)
    return g_strdup_printf ("the worker hangs (%s), but its files grow: another is started "
                            "beside it, and it is killed once that one records",
                            why);
  if (action->seconds > 0)
    return g_strdup_printf ("the worker hangs (%s) and writes nothing: it is being killed, and "
                            "the next one starts %.0f s later",
                            why, action->seconds);
  return g_strdup_printf ("the worker hangs (%s) and writes nothing: it is being killed, and "
                          "the next one starts at once",
                          why);
}

static char *
replacement_text (const KrSupervisorAction *action)
{
  if (action->overlap)
    return g_strdup_printf ("the worker is being replaced: %s; it records on until the new one "
                            "does, which starts now beside it",
                            action->reason);
  return g_strdup_printf (
      "the worker is being replaced: %s; it records nothing any more, so it "
      "goes first and the new one starts then",
      action->reason);
}

/* What people read about an alert: what happened, why, what happens next. */
char *
kr_supervised_alert_text (const KrSupervised *s, const KrSupervisorAction *action)
{
  const char *why = action->reason;

  switch (action->alert) {
  case KR_ALERT_CRASH:
    return crash_text (s, action);
  case KR_ALERT_HANG:
    return hang_text (action);
  case KR_ALERT_REPLACEMENT:
    return replacement_text (action);
  case KR_ALERT_REPLACED:
    if (why[0] != '\0')
      return g_strdup_printf ("the new worker records; the old one is being killed, since %s, "
                              "and its files will be recovered",
                              why);
    return g_strdup ("the new worker records; the old one finishes its files and ends");
  case KR_ALERT_REPLACE_FAILED:
    return g_strdup_printf ("the new worker did not take over (%s); the old one goes on", why);
  case KR_ALERT_GAVE_UP:
    return g_strdup_printf ("the worker %s: starting it again cannot help, so nothing records "
                            "this file until somebody looks at it",
                            why);
  case KR_ALERT_DONE:
    return g_strdup_printf ("the worker has ended by itself (%s), as its pipelines wanted",
                            why);
  case KR_ALERT_KILLED:
    return g_strdup_printf ("a worker is being killed: %s; its files will be recovered", why);
  case KR_ALERT_HANDOVER:
    return g_strdup_printf ("handover begins: %s", why);
  case KR_ALERT_MONITOR_PAUSED:
    return g_strdup_printf (
        "the supervisor itself stood still for %.1f s; what it did not hear "
        "meanwhile is held against nobody",
        action->seconds);
  case KR_N_ALERTS:
    break;
  }
  g_return_val_if_reached (NULL);
}

GLogLevelFlags
kr_supervised_alert_level (KrAlert alert)
{
  if (alert == KR_ALERT_GAVE_UP)
    return G_LOG_LEVEL_CRITICAL;
  if (alert == KR_ALERT_REPLACED || alert == KR_ALERT_DONE || alert == KR_ALERT_HANDOVER)
    return G_LOG_LEVEL_MESSAGE;
  return G_LOG_LEVEL_WARNING;
}
