/* keeprolling - what the line between supervisor and worker carries
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/worker-message.h"

#include "launcher/services/worker-message-private.h"

G_DEFINE_QUARK (kr - worker - channel - error - quark, kr_worker_channel_error)

const char *const kr_worker_message_type_names[] = {
    [KR_WORKER_MESSAGE_CONFIG] = "config", [KR_WORKER_MESSAGE_STOP] = "stop",
    [KR_WORKER_MESSAGE_HELLO] = "hello",   [KR_WORKER_MESSAGE_REPORT] = "report",
    [KR_WORKER_MESSAGE_EVENT] = "event",   [KR_WORKER_MESSAGE_BYE] = "bye",
};
G_STATIC_ASSERT (G_N_ELEMENTS (kr_worker_message_type_names) == KR_N_WORKER_MESSAGES);

KrWorkerMessage *
kr_worker_message_new (KrWorkerMessageType type)
{
  KrWorkerMessage *message = g_new0 (KrWorkerMessage, 1);

  message->type = type;
  message->io_age_us = -1;
  return message;
}

void
kr_worker_message_free (KrWorkerMessage *message)
{
  if (message == NULL)
    return;
  g_free (message->path);
  g_free (message->text);
  g_free (message->instance);
  g_free (message->version);
  g_free (message->pipeline);
  g_clear_pointer (&message->set, g_hash_table_unref);
  g_clear_pointer (&message->pipelines, g_ptr_array_unref);
  g_clear_pointer (&message->details, g_variant_unref);
  g_free (message);
}

KrWorkerMessage *
kr_worker_message_new_hello (gint64 pid, const char *version, const char *instance)
{
  KrWorkerMessage *message = kr_worker_message_new (KR_WORKER_MESSAGE_HELLO);

  message->pid = pid;
  message->version = g_strdup (version);
  message->instance = g_strdup (instance);
  return message;
}

GPtrArray *
kr_worker_message_new_reports (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_report_free);
}

static gpointer
copy_report (gconstpointer report, gpointer data)
{
  return kr_pipeline_report_copy (report);
}

KrWorkerMessage *
kr_worker_message_new_report (GPtrArray *reports, guint64 rss, gint64 io_age_us)
{
  KrWorkerMessage *message = kr_worker_message_new (KR_WORKER_MESSAGE_REPORT);

  message->pipelines = kr_worker_message_new_reports ();
  for (guint i = 0; i < reports->len; i++)
    g_ptr_array_add (message->pipelines, copy_report (reports->pdata[i], NULL));
  message->rss = rss;
  message->io_age_us = io_age_us;
  return message;
}

KrWorkerMessage *
kr_worker_message_new_event (const char *pipeline, KrWorkerEventKind kind, const char *text,
                             GVariant *details)
{
  KrWorkerMessage *message = kr_worker_message_new (KR_WORKER_MESSAGE_EVENT);

  message->pipeline = g_strdup (pipeline);
  message->kind = kind;
  message->text = g_strdup (text);
  if (details != NULL)
    message->details = g_variant_ref_sink (details);
  return message;
}

KrWorkerMessage *
kr_worker_message_new_bye (int code)
{
  KrWorkerMessage *message = kr_worker_message_new (KR_WORKER_MESSAGE_BYE);

  message->code = code;
  return message;
}

GHashTable *
kr_worker_message_new_set (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

KrWorkerMessage *
kr_worker_message_new_config (const char *path, const char *text, GHashTable *set,
                              const char *instance)
{
  KrWorkerMessage *message = kr_worker_message_new (KR_WORKER_MESSAGE_CONFIG);
  GHashTableIter iter;
  gpointer name, value;

  message->path = g_strdup (path);
  message->text = g_strdup (text);
  message->instance = g_strdup (instance);
  message->set = kr_worker_message_new_set ();
  if (set != NULL) {
    g_hash_table_iter_init (&iter, set);
    while (g_hash_table_iter_next (&iter, &name, &value))
      g_hash_table_insert (message->set, g_strdup (name), g_strdup (value));
  }
  return message;
}

/* --- the fields of a report, as a table ------------------------------------------------- */

#define FIELD(type_, name_)                                                                    \
  {                                                                                            \
#name_, KR_FIELD_##type_, G_STRUCT_OFFSET(KrPipelineReport, name_)                         \
  }

/* A test fills each byte of the struct to see that none is missing. */
const KrReportField kr_report_fields[] = {
    FIELD (STRING, name),
    FIELD (STRING, camera),
    FIELD (TIME, since_utc_us),
    FIELD (TIME, next_start_utc_us),
    FIELD (COUNTER, received_bytes),
    FIELD (COUNTER, written_bytes),
    FIELD (COUNTER, durable_bytes),
    FIELD (COUNTER, dropped_bytes),
    FIELD (COUNTER, dropped_buffers),
    FIELD (COUNTER, buffers),
    FIELD (COUNTER, keyframes),
    FIELD (DOUBLE, rate),
    FIELD (TIME, last_buffer_utc_us),
    FIELD (TIME, last_keyframe_utc_us),
    FIELD (TIME, last_growth_utc_us),
    FIELD (TIME, last_sync_utc_us),
    FIELD (BOOLEAN, has_growth),
    FIELD (BOOLEAN, stalled),
    FIELD (STRING, stall_reason),
    FIELD (STRING, segment_path),
    FIELD (COUNTER, segment_bytes),
    FIELD (COUNTER, segment_durable_bytes),
    FIELD (TIME, segment_started_utc_us),
    FIELD (COUNTER, segments_clean),
    FIELD (COUNTER, segments_recovered),
    FIELD (COUNTER, segments_quarantined),
    FIELD (BOOLEAN, disk_full),
    FIELD (COUNTER, disk_free_bytes),
    FIELD (DOUBLE, disk_runway_s),
    FIELD (HISTOGRAM, syncs),
    FIELD (HISTOGRAM, finalises),
    FIELD (DOUBLE, drift_ppm),
    FIELD (COUNTER, corrections),
    FIELD (UINT, sources),
    FIELD (UINT, sources_silent),
    FIELD (COUNTER, restarts),
    FIELD (COUNTER, reconnects),
    FIELD (STRING, last_reason),
    FIELD (DOUBLE, last_recovery_s),
    FIELD (TIME, blocked_us),
    FIELD (TIME, teardown_us),
    FIELD (STRING, blocked_by),
    FIELD (COUNTER, abandoned),
    {0},
};
