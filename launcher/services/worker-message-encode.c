/* keeprolling - messages into lines of JSON
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/worker-message-private.h"

#include <math.h>

#include <json-glib/json-glib.h>

static void
put_string (JsonBuilder *builder, const char *name, const char *value)
{
  g_autofree char *valid = NULL;

  if (value == NULL)
    return;
  valid = g_utf8_make_valid (value, -1);
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, valid);
}

static void
put_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

static void
put_counter (JsonBuilder *builder, const char *name, guint64 value)
{
  put_int (builder, name, (gint64)MIN (value, KR_MAX_COUNTER));
}

/* JSON has no word for infinity: such a value is left out and keeps its default. */
static void
put_double (JsonBuilder *builder, const char *name, double value)
{
  if (!isfinite (value))
    return;
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

static void
put_boolean (JsonBuilder *builder, const char *name, gboolean value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, value);
}

static void
put_histogram (JsonBuilder *builder, const char *name, const KrHistogram *histogram)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_object (builder);
  put_double (builder, "sum", histogram->sum);
  json_builder_set_member_name (builder, "buckets");
  json_builder_begin_array (builder);
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS; i++)
    json_builder_add_int_value (builder, (gint64)MIN (histogram->buckets[i], KR_MAX_COUNTER));
  json_builder_end_array (builder);
  json_builder_end_object (builder);
}

static void
put_field (JsonBuilder *builder, const KrReportField *field, const KrPipelineReport *report)
{
  switch (field->type) {
  case KR_FIELD_STRING:
    put_string (builder, field->name, G_STRUCT_MEMBER (char *, report, field->offset));
    break;
  case KR_FIELD_COUNTER:
    put_counter (builder, field->name, G_STRUCT_MEMBER (guint64, report, field->offset));
    break;
  case KR_FIELD_UINT:
    put_int (builder, field->name, G_STRUCT_MEMBER (guint, report, field->offset));
    break;
  case KR_FIELD_TIME:
    put_int (builder, field->name, G_STRUCT_MEMBER (gint64, report, field->offset));
    break;
  case KR_FIELD_DOUBLE:
    put_double (builder, field->name, G_STRUCT_MEMBER (double, report, field->offset));
    break;
  case KR_FIELD_BOOLEAN:
    put_boolean (builder, field->name, G_STRUCT_MEMBER (gboolean, report, field->offset));
    break;
  case KR_FIELD_HISTOGRAM:
    put_histogram (builder, field->name, G_STRUCT_MEMBER_P (report, field->offset));
    break;
  }
}

static void
put_counts (JsonBuilder *builder, const char *name, const GArray *counts)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_object (builder);
  for (guint i = 0; i < counts->len; i++) {
    const KrNamedCount *count = &g_array_index (counts, KrNamedCount, i);

    put_counter (builder, count->name, count->count);
  }
  json_builder_end_object (builder);
}

static void
put_report (JsonBuilder *builder, const KrPipelineReport *report)
{
  json_builder_begin_object (builder);
  for (const KrReportField *field = kr_report_fields; field->name != NULL; field++)
    put_field (builder, field, report);
  put_string (builder, "state", kr_pipeline_state_name (report->state));

  put_counts (builder, "discontinuities", report->discontinuities);
  put_counts (builder, "restart_causes", report->restart_causes);
  put_counts (builder, "drops", report->drops);
  put_counts (builder, "correction_kinds", report->correction_kinds);
  put_counts (builder, "io_errors", report->io_errors);

  json_builder_set_member_name (builder, "source_stats");
  json_builder_begin_object (builder);
  for (guint i = 0; i < report->source_stats->len; i++) {
    const KrNamedValue *value = &g_array_index (report->source_stats, KrNamedValue, i);

    put_double (builder, value->name, value->value);
  }
  json_builder_end_object (builder);
  json_builder_end_object (builder);
}

static void
put_table (JsonBuilder *builder, const char *name, GHashTable *table)
{
  GHashTableIter iter;
  gpointer key, value;

  json_builder_set_member_name (builder, name);
  json_builder_begin_object (builder);
  if (table != NULL) {
    g_hash_table_iter_init (&iter, table);
    while (g_hash_table_iter_next (&iter, &key, &value))
      put_string (builder, key, value);
  }
  json_builder_end_object (builder);
}

static void
put_detail (JsonBuilder *builder, const char *name, GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    put_string (builder, name, g_variant_get_string (value, NULL));
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_INT64))
    put_int (builder, name, g_variant_get_int64 (value));
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    put_double (builder, name, g_variant_get_double (value));
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    put_boolean (builder, name, g_variant_get_boolean (value));
  else
    g_critical ("detail \"%s\" has type %s, which the channel does not carry", name,
                g_variant_get_type_string (value));
}

static void
put_details (JsonBuilder *builder, GVariant *details)
{
  GVariantIter iter;
  const char *name;
  GVariant *value;

  json_builder_set_member_name (builder, "details");
  json_builder_begin_object (builder);
  if (details != NULL) {
    g_variant_iter_init (&iter, details);
    while (g_variant_iter_loop (&iter, "{&sv}", &name, &value))
      put_detail (builder, name, value);
  }
  json_builder_end_object (builder);
}

static void
put_body (JsonBuilder *builder, const KrWorkerMessage *message)
{
  switch (message->type) {
  case KR_WORKER_MESSAGE_CONFIG:
    put_string (builder, "path", message->path);
    put_string (builder, "text", message->text);
    put_table (builder, "set", message->set);
    put_string (builder, "instance", message->instance);
    break;
  case KR_WORKER_MESSAGE_STOP:
    break;
  case KR_WORKER_MESSAGE_HELLO:
    put_int (builder, "pid", message->pid);
    put_string (builder, "version", message->version);
    put_string (builder, "instance", message->instance);
    break;
  case KR_WORKER_MESSAGE_REPORT:
    json_builder_set_member_name (builder, "pipelines");
    json_builder_begin_array (builder);
    for (guint i = 0; message->pipelines != NULL && i < message->pipelines->len; i++)
      put_report (builder, message->pipelines->pdata[i]);
    json_builder_end_array (builder);
    put_counter (builder, "rss", message->rss);
    put_int (builder, "io_age_us", message->io_age_us);
    break;
  case KR_WORKER_MESSAGE_EVENT:
    put_string (builder, "pipeline", message->pipeline);
    put_string (builder, "kind", kr_worker_event_kind_name (message->kind));
    put_string (builder, "text", message->text);
    put_details (builder, message->details);
    break;
  case KR_WORKER_MESSAGE_BYE:
    put_int (builder, "code", message->code);
    break;
  case KR_N_WORKER_MESSAGES:
    g_assert_not_reached ();
  }
}

GBytes *
kr_worker_message_encode (const KrWorkerMessage *message, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  GString *line = g_string_sized_new (2048);

  g_return_val_if_fail ((guint)message->type < KR_N_WORKER_MESSAGES, NULL);

  json_builder_begin_object (builder);
  put_string (builder, "type", kr_worker_message_type_names[message->type]);
  put_body (builder, message);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  json_generator_set_root (generator, root);
  json_generator_to_gstring (generator, line);
  g_string_append_c (line, '\n');
  if (line->len > KR_WORKER_CHANNEL_MAX_LINE) {
    g_set_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_TOO_LONG,
                 "the \"%s\" message has %" G_GSIZE_FORMAT " bytes, the limit is %d",
                 kr_worker_message_type_names[message->type], line->len,
                 KR_WORKER_CHANNEL_MAX_LINE);
    g_string_free (line, TRUE);
    return NULL;
  }
  return g_string_free_to_bytes (line);
}
