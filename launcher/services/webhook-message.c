/* keeprolling - what a webhook gets
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/webhook-message.h"

#include <string.h>

#include <json-glib/json-glib.h>

#include "launcher/core/delivery-queue.h"
#include "launcher/core/redact.h"
#include "launcher/services/status-json.h"

/* Of the details. */
#define MAX_MEMBERS 16
#define MAX_STRING  256

static void
add_text (JsonBuilder *builder, const char *name, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text != NULL ? text : "", -1);

  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, valid);
}

static void
add_short_text (JsonBuilder *builder, const char *name, const char *text)
{
  g_autofree char *clean = kr_redact (text);
  g_autofree char *valid = g_utf8_make_valid (clean, -1);
  g_autofree char *cut =
      g_utf8_substring (valid, 0, MIN (g_utf8_strlen (valid, -1), MAX_STRING));

  add_text (builder, name, cut);
}

static void
add_detail (JsonBuilder *builder, const char *name, GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)) {
    add_short_text (builder, name, g_variant_get_string (value, NULL));
    return;
  }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN)) {
    json_builder_set_member_name (builder, name);
    json_builder_add_boolean_value (builder, g_variant_get_boolean (value));
  } else if (g_variant_is_of_type (value, G_VARIANT_TYPE_INT64)) {
    json_builder_set_member_name (builder, name);
    json_builder_add_int_value (builder, g_variant_get_int64 (value));
  } else if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE)) {
    json_builder_set_member_name (builder, name);
    json_builder_add_double_value (builder, g_variant_get_double (value));
  }
}

static gboolean
is_ours (const char *name)
{
  return strcmp (name, "event") == 0 || strcmp (name, "left_out") == 0 || strlen (name) > 64 ||
         !g_utf8_validate (name, -1, NULL);
}

static void
add_details (JsonBuilder *builder, const KrWebhookMessage *message)
{
  GVariantIter iter;
  const char *name;
  GVariant *value;
  guint n = 0;

  json_builder_set_member_name (builder, "details");
  json_builder_begin_object (builder);
  add_text (builder, "event", message->event);
  if (message->left_out > 0) {
    json_builder_set_member_name (builder, "left_out");
    json_builder_add_int_value (builder, message->left_out);
  }
  if (message->details != NULL) {
    g_variant_iter_init (&iter, message->details);
    while (g_variant_iter_next (&iter, "{&sv}", &name, &value)) {
      if (n++ < MAX_MEMBERS && !is_ours (name))
        add_detail (builder, name, value);
      g_variant_unref (value);
    }
  }
  json_builder_end_object (builder);
}

char *
kr_webhook_message_encode (const KrWebhookMessage *message)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *time = kr_format_utc (message->utc_us);
  g_autofree char *text = kr_notice_text (message->file, message->pipeline, message->text);

  json_builder_begin_object (builder);
  add_text (builder, "id", message->id);
  add_text (builder, "time", time);
  add_text (builder, "kind", kr_notice_kind_name (message->kind));
  add_short_text (builder, "file", message->file);
  add_short_text (builder, "pipeline", message->pipeline);
  add_text (builder, "text", text);
  add_details (builder, message);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}

static const char *
get_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || json_node_get_value_type (node) != G_TYPE_STRING)
    return NULL;
  return json_node_get_string (node);
}

char *
kr_webhook_message_parse (const char *line, gsize length, gint64 *ret_utc_us)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GDateTime) time = NULL;
  JsonNode *root;
  const char *id, *text;

  if (length == 0 || length > KR_DELIVERY_MAX_MESSAGE ||
      !json_parser_load_from_data (parser, line, (gssize)length, NULL))
    return NULL;
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return NULL;
  id = get_string (json_node_get_object (root), "id");
  text = get_string (json_node_get_object (root), "time");
  if (id == NULL || id[0] == '\0' || strlen (id) > 64 || !g_str_is_ascii (id) || text == NULL)
    return NULL;
  time = g_date_time_new_from_iso8601 (text, NULL);
  if (time == NULL)
    return NULL;
  *ret_utc_us = g_date_time_to_unix (time) * G_TIME_SPAN_SECOND;
  return g_strdup (id);
}
