/* keeprolling - who is told of what happens
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/alerts.h"

#include "launcher/app/log.h"
#include "launcher/core/notice.h"
#include "launcher/core/redact.h"
#include "plugins/common/segment-name.h"

#ifdef HAVE_STATUS_SERVER
#include "launcher/services/webhook.h"
#endif

struct _KrAlerts {
  char *folder;
  char *instance; /* begins the ids */
  guint64 n;
  KrNoticeGate *gate;
#ifdef HAVE_STATUS_SERVER
  KrWebhooks *webhooks; /* NULL = nobody wants to hear anything */
#endif
};

KrAlerts *
kr_alerts_new (const char *state_dir)
{
  KrAlerts *alerts = g_new0 (KrAlerts, 1);

  alerts->folder = g_build_filename (state_dir, "webhooks", NULL);
  alerts->instance = kr_instance_id_new (g_get_real_time ());
  alerts->gate = kr_notice_gate_new ();
  return alerts;
}

void
kr_alerts_free (KrAlerts *alerts)
{
  if (alerts == NULL)
    return;
#ifdef HAVE_STATUS_SERVER
  kr_webhooks_free (alerts->webhooks);
#endif
  kr_notice_gate_free (alerts->gate);
  g_free (alerts->folder);
  g_free (alerts->instance);
  g_free (alerts);
}

#ifdef HAVE_STATUS_SERVER
/* Any thread. */
static void
say (GLogLevelFlags level, const char *file, const char *text, gpointer data)
{
  kr_log (level, file, NULL, "%s", text);
}
#endif

void
kr_alerts_set_file (KrAlerts *alerts, const KrPipelineFile *file)
{
#ifdef HAVE_STATUS_SERVER
  if (alerts->webhooks == NULL && file->alerts.webhook != NULL)
    alerts->webhooks = kr_webhooks_new (alerts->folder, say, NULL);
  if (alerts->webhooks != NULL)
    kr_webhooks_set (alerts->webhooks, file->name, file->path, file->alerts.webhook);
#else
  if (file->alerts.webhook == NULL)
    return;
  kr_log (G_LOG_LEVEL_WARNING, file->name, NULL,
          "this keeprolling was built without webhooks: nobody will be told of trouble");
#endif
}

void
kr_alerts_push (KrAlerts *alerts, const char *file, const char *pipeline, const char *kind,
                const char *text, GVariant *details)
{
#ifdef HAVE_STATUS_SERVER
  KrNoticeKind notice;
  guint left_out;
  g_autofree char *id = NULL;
  g_autofree char *clean = NULL;
  KrWebhookMessage message = {.utc_us = g_get_real_time ()};

  if (alerts->webhooks == NULL || !kr_webhooks_has (alerts->webhooks, file) ||
      !kr_notice_kind_for_event (kind, &notice))
    return;
  if (!kr_notice_gate_pass (alerts->gate, file, pipeline, notice, g_get_monotonic_time (),
                            &left_out))
    return;
  id = g_strdup_printf ("%s-%" G_GUINT64_FORMAT, alerts->instance, ++alerts->n);
  clean = kr_redact (text);
  message.id = id;
  message.kind = notice;
  message.file = file;
  message.pipeline = pipeline;
  message.event = kind;
  message.text = clean;
  message.details = details;
  message.left_out = left_out;
  kr_webhooks_push (alerts->webhooks, &message);
#endif
}

void
kr_alerts_get_figures (KrAlerts *alerts, KrProcessFigures *figures)
{
#ifdef HAVE_STATUS_SERVER
  if (alerts->webhooks != NULL)
    kr_webhooks_get_figures (alerts->webhooks, figures);
#endif
}
