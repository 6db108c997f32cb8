/* keeprolling - lines of JSON, whoever wrote them, into messages
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/worker-message-private.h"

#include <math.h>
#include <string.h>

#include <json-glib/json-glib.h>

/* json-glib descends by recursion: without a bound a line of a million brackets would exhaust
 * the stack. Our own messages need 4 levels. */
#define MAX_DEPTH 16
/* Bounds on what one line may make the reader keep. */
#define MAX_PIPELINES   1024
#define MAX_DETAILS     64
#define MAX_COUNTS      128
#define MAX_COUNT_NAMES 256

static gboolean G_GNUC_PRINTF (2, 3) garbled (GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_GARBLED, text);
  return FALSE;
}

/* The value's node; NULL if it is absent or null. */
static JsonNode *
get_node (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && !JSON_NODE_HOLDS_NULL (node) ? node : NULL;
}

static GType
node_type (JsonNode *node)
{
  return JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;
}

static gboolean
get_string (JsonObject *object, const char *name, char **ret_value, GError **error)
{
  JsonNode *node = get_node (object, name);

  if (node == NULL)
    return TRUE;
  if (node_type (node) != G_TYPE_STRING)
    return garbled (error, "\"%s\" is not a string", name);
  /* Half of a surrogate pair, escaped, passes json-glib. */
  if (!g_utf8_validate (json_node_get_string (node), -1, NULL))
    return garbled (error, "\"%s\" is not UTF-8 text", name);
  g_free (*ret_value);
  *ret_value = g_strdup (json_node_get_string (node));
  return TRUE;
}

static gboolean
need_string (JsonObject *object, const char *name, char **ret_value, GError **error)
{
  if (get_node (object, name) == NULL)
    return garbled (error, "\"%s\" is missing", name);
  return get_string (object, name, ret_value, error);
}

static gboolean
get_int (JsonObject *object, const char *name, gint64 min, gint64 max, gint64 *ret_value,
         GError **error)
{
  JsonNode *node = get_node (object, name);
  gint64 value;

  if (node == NULL)
    return TRUE;
  if (node_type (node) != G_TYPE_INT64)
    return garbled (error, "\"%s\" is not an integer", name);
  value = json_node_get_int (node);
  if (value < min || value > max)
    return garbled (error, "\"%s\" is out of range: %" G_GINT64_FORMAT, name, value);
  *ret_value = value;
  return TRUE;
}

static gboolean
get_counter (JsonObject *object, const char *name, guint64 *ret_value, GError **error)
{
  gint64 value = (gint64)MIN (*ret_value, KR_MAX_COUNTER);

  if (!get_int (object, name, 0, G_MAXINT64, &value, error))
    return FALSE;
  *ret_value = (guint64)value;
  return TRUE;
}

static gboolean
get_uint (JsonObject *object, const char *name, guint *ret_value, GError **error)
{
  gint64 value = *ret_value;

  if (!get_int (object, name, 0, G_MAXUINT, &value, error))
    return FALSE;
  *ret_value = (guint)value;
  return TRUE;
}

static gboolean
get_double (JsonObject *object, const char *name, double *ret_value, GError **error)
{
  JsonNode *node = get_node (object, name);
  double value;

  if (node == NULL)
    return TRUE;
  if (node_type (node) != G_TYPE_DOUBLE && node_type (node) != G_TYPE_INT64)
    return garbled (error, "\"%s\" is not a number", name);
  value = json_node_get_double (node);
  if (!isfinite (value))
    return garbled (error, "\"%s\" is not a finite number", name);
  *ret_value = value;
  return TRUE;
}

static gboolean
get_boolean (JsonObject *object, const char *name, gboolean *ret_value, GError **error)
{
  JsonNode *node = get_node (object, name);

  if (node == NULL)
    return TRUE;
  if (node_type (node) != G_TYPE_BOOLEAN)
    return garbled (error, "\"%s\" is not true or false", name);
  *ret_value = json_node_get_boolean (node);
  return TRUE;
}

/* The object of that name in @ret_object, NULL if there is none. */
static gboolean
get_object (JsonObject *object, const char *name, guint max_members, JsonObject **ret_object,
            GError **error)
{
  JsonNode *node = get_node (object, name);

  *ret_object = NULL;
  if (node == NULL)
    return TRUE;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return garbled (error, "\"%s\" is not an object", name);
  if (json_object_get_size (json_node_get_object (node)) > max_members)
    return garbled (error, "\"%s\" has more than %u members", name, max_members);
  *ret_object = json_node_get_object (node);
  return TRUE;
}

/* A worker of another version may know more or fewer buckets: those that both know are taken.
 */
static gboolean
get_histogram (JsonObject *object, const char *name, KrHistogram *ret_histogram, GError **error)
{
  JsonObject *members = NULL;
  JsonNode *node;
  JsonArray *array;

  if (!get_object (object, name, MAX_COUNTS, &members, error))
    return FALSE;
  if (members == NULL)
    return TRUE;
  if (!get_double (members, "sum", &ret_histogram->sum, error))
    return FALSE;
  node = get_node (members, "buckets");
  if (node == NULL || !JSON_NODE_HOLDS_ARRAY (node))
    return garbled (error, "\"%s\" has no list of buckets", name);
  array = json_node_get_array (node);
  for (guint i = 0; i <= KR_HISTOGRAM_BOUNDS && i < json_array_get_length (array); i++) {
    JsonNode *count = json_array_get_element (array, i);

    if (json_node_get_value_type (count) != G_TYPE_INT64 || json_node_get_int (count) < 0)
      return garbled (error, "\"%s\" counts what is no number", name);
    ret_histogram->buckets[i] = (guint64)json_node_get_int (count);
  }
  return TRUE;
}

static gboolean
get_field (JsonObject *object, const KrReportField *field, KrPipelineReport *report,
           GError **error)
{
  gpointer value = G_STRUCT_MEMBER_P (report, field->offset);

  switch (field->type) {
  case KR_FIELD_STRING:
    return get_string (object, field->name, value, error);
  case KR_FIELD_COUNTER:
    return get_counter (object, field->name, value, error);
  case KR_FIELD_UINT:
    return get_uint (object, field->name, value, error);
  case KR_FIELD_TIME:
    return get_int (object, field->name, G_MININT64, G_MAXINT64, value, error);
  case KR_FIELD_DOUBLE:
    return get_double (object, field->name, value, error);
  case KR_FIELD_BOOLEAN:
    return get_boolean (object, field->name, value, error);
  case KR_FIELD_HISTOGRAM:
    return get_histogram (object, field->name, value, error);
  }
  g_return_val_if_reached (FALSE);
}

/* Names of counts are interned, which is for ever: a worker gone mad must not fill the
 * supervisor's memory with them. Called from the main thread alone. */
static const char *
intern_count_name (const char *name)
{
  static guint n_names;

  if (strlen (name) > 64)
    return NULL;
  if (g_quark_try_string (name) == 0 && ++n_names > MAX_COUNT_NAMES)
    return NULL;
  return g_intern_string (name);
}

static gboolean
get_counts (JsonObject *object, const char *name, GArray *counts, GError **error)
{
  JsonObject *members = NULL;
  g_autoptr (GList) names = NULL;

  if (!get_object (object, name, MAX_COUNTS, &members, error))
    return FALSE;
  if (members == NULL)
    return TRUE;
  names = json_object_get_members (members);
  for (GList *l = names; l != NULL; l = l->next) {
    guint64 n = 0;
    const char *interned = intern_count_name (l->data);

    if (interned == NULL)
      return garbled (error, "\"%s\" counts too many different things", name);
    if (!get_counter (members, l->data, &n, error))
      return FALSE;
    kr_pipeline_report_count (counts, interned, n);
  }
  return TRUE;
}

/* Only the names that core knows are taken; another version's are ignored. */
static gboolean
get_source_stats (JsonObject *object, GArray *values, GError **error)
{
  JsonObject *members = NULL;

  if (!get_object (object, "source_stats", MAX_COUNTS, &members, error))
    return FALSE;
  for (const KrSrtStat *stat = kr_srt_stats; members != NULL && stat->name != NULL; stat++) {
    double value = 0;

    if (get_node (members, stat->name) == NULL)
      continue;
    if (!get_double (members, stat->name, &value, error))
      return FALSE;
    kr_pipeline_report_add_value (values, stat, value);
  }
  return TRUE;
}

static gboolean
get_state (JsonObject *object, KrPipelineState *ret_state, GError **error)
{
  g_autofree char *name = NULL;

  if (!need_string (object, "state", &name, error))
    return FALSE;
  if (!kr_pipeline_state_from_name (name, ret_state))
    return garbled (error, "\"state\" is none: %.64s", name);
  return TRUE;
}

static KrPipelineReport *
decode_report (JsonNode *node, GError **error)
{
  g_autoptr (KrPipelineReport) report = kr_pipeline_report_new (NULL);
  JsonObject *object;

  if (!JSON_NODE_HOLDS_OBJECT (node)) {
    garbled (error, "a pipeline's report is not an object");
    return NULL;
  }
  object = json_node_get_object (node);
  for (const KrReportField *field = kr_report_fields; field->name != NULL; field++) {
    if (!get_field (object, field, report, error))
      return NULL;
  }
  if (report->name == NULL) {
    garbled (error, "a pipeline's report has no \"name\"");
    return NULL;
  }
  if (report->camera == NULL)
    report->camera = g_strdup (report->name);
  if (!get_state (object, &report->state, error) ||
      !get_counts (object, "discontinuities", report->discontinuities, error) ||
      !get_counts (object, "restart_causes", report->restart_causes, error) ||
      !get_counts (object, "drops", report->drops, error) ||
      !get_counts (object, "correction_kinds", report->correction_kinds, error) ||
      !get_counts (object, "io_errors", report->io_errors, error) ||
      !get_source_stats (object, report->source_stats, error))
    return NULL;
  return g_steal_pointer (&report);
}

static gboolean
decode_reports (JsonObject *object, KrWorkerMessage *message, GError **error)
{
  JsonNode *node = get_node (object, "pipelines");
  JsonArray *array;

  message->pipelines = kr_worker_message_new_reports ();
  if (node == NULL || !JSON_NODE_HOLDS_ARRAY (node))
    return garbled (error, "\"pipelines\" is not a list");
  array = json_node_get_array (node);
  if (json_array_get_length (array) > MAX_PIPELINES)
    return garbled (error, "\"pipelines\" has more than %d entries", MAX_PIPELINES);
  for (guint i = 0; i < json_array_get_length (array); i++) {
    KrPipelineReport *report = decode_report (json_array_get_element (array, i), error);

    if (report == NULL)
      return FALSE;
    g_ptr_array_add (message->pipelines, report);
  }
  return TRUE;
}

static gboolean
decode_set (JsonObject *object, KrWorkerMessage *message, GError **error)
{
  JsonObject *members = NULL;
  g_autoptr (GList) names = NULL;

  message->set = kr_worker_message_new_set ();
  if (!get_object (object, "set", G_MAXUINT, &members, error))
    return FALSE;
  if (members == NULL)
    return TRUE;
  names = json_object_get_members (members);
  for (GList *l = names; l != NULL; l = l->next) {
    char *value = NULL;

    if (!need_string (members, l->data, &value, error))
      return FALSE;
    g_hash_table_insert (message->set, g_strdup (l->data), value);
  }
  return TRUE;
}

/* NULL for what a detail cannot be; it is left out. */
static GVariant *
detail_from_node (JsonNode *node)
{
  switch (node_type (node)) {
  case G_TYPE_STRING:
    return g_variant_new_take_string (g_utf8_make_valid (json_node_get_string (node), -1));
  case G_TYPE_INT64:
    return g_variant_new_int64 (json_node_get_int (node));
  case G_TYPE_DOUBLE:
    return g_variant_new_double (json_node_get_double (node));
  case G_TYPE_BOOLEAN:
    return g_variant_new_boolean (json_node_get_boolean (node));
  default:
    return NULL;
  }
}

static gboolean
decode_details (JsonObject *object, KrWorkerMessage *message, GError **error)
{
  JsonObject *members = NULL;
  GVariantDict dict;
  g_autoptr (GList) names = NULL;

  if (!get_object (object, "details", MAX_DETAILS, &members, error))
    return FALSE;
  if (members == NULL || json_object_get_size (members) == 0)
    return TRUE;
  names = json_object_get_members (members);
  g_variant_dict_init (&dict, NULL);
  for (GList *l = names; l != NULL; l = l->next) {
    GVariant *value = detail_from_node (json_object_get_member (members, l->data));

    if (value != NULL && g_utf8_validate (l->data, -1, NULL))
      g_variant_dict_insert_value (&dict, l->data, value);
    else if (value != NULL)
      g_variant_unref (g_variant_ref_sink (value));
  }
  message->details = g_variant_ref_sink (g_variant_dict_end (&dict));
  return TRUE;
}

static gboolean
decode_event (JsonObject *object, KrWorkerMessage *message, GError **error)
{
  g_autofree char *kind = NULL;

  if (!need_string (object, "pipeline", &message->pipeline, error) ||
      !need_string (object, "kind", &kind, error) ||
      !need_string (object, "text", &message->text, error))
    return FALSE;
  if (!kr_worker_event_kind_from_name (kind, &message->kind))
    return garbled (error, "\"kind\" is none: %.64s", kind);
  return decode_details (object, message, error);
}

static gboolean
decode_bye (JsonObject *object, KrWorkerMessage *message, GError **error)
{
  gint64 code = -1;

  if (!get_int (object, "code", 0, 255, &code, error))
    return FALSE;
  if (code < 0)
    return garbled (error, "\"code\" is missing");
  message->code = (int)code;
  return TRUE;
}

static gboolean
decode_body (JsonObject *object, KrWorkerMessage *message, GError **error)
{
  switch (message->type) {
  case KR_WORKER_MESSAGE_CONFIG:
    return need_string (object, "path", &message->path, error) &&
           need_string (object, "text", &message->text, error) &&
           need_string (object, "instance", &message->instance, error) &&
           decode_set (object, message, error);
  case KR_WORKER_MESSAGE_STOP:
    return TRUE;
  case KR_WORKER_MESSAGE_HELLO:
    return get_int (object, "pid", 0, G_MAXINT32, &message->pid, error) &&
           need_string (object, "version", &message->version, error) &&
           need_string (object, "instance", &message->instance, error);
  case KR_WORKER_MESSAGE_REPORT:
    return decode_reports (object, message, error) &&
           get_counter (object, "rss", &message->rss, error) &&
           get_int (object, "io_age_us", G_MININT64, G_MAXINT64, &message->io_age_us, error);
  case KR_WORKER_MESSAGE_EVENT:
    return decode_event (object, message, error);
  case KR_WORKER_MESSAGE_BYE:
    return decode_bye (object, message, error);
  case KR_N_WORKER_MESSAGES:
    break;
  }
  g_return_val_if_reached (FALSE);
}

static gboolean
decode_type (JsonObject *object, KrWorkerMessageType *ret_type, GError **error)
{
  g_autofree char *name = NULL;

  if (!need_string (object, "type", &name, error))
    return FALSE;
  for (guint i = 0; i < KR_N_WORKER_MESSAGES; i++) {
    if (strcmp (name, kr_worker_message_type_names[i]) == 0) {
      *ret_type = (KrWorkerMessageType)i;
      return TRUE;
    }
  }
  return garbled (error, "\"type\" is none: %.64s", name);
}

/* What may stand outside of strings. json-glib also takes comments, assignments and single
 * quotes, which would let nested brackets past the bound below. */
static gboolean
is_structural (char c)
{
  return g_ascii_isalnum (c) || g_ascii_isspace (c) || strchr ("{}[]:,\"+-.", c) != NULL;
}

static gboolean
check_structure (const char *line, gsize length, GError **error)
{
  guint depth = 0;
  gboolean in_string = FALSE;

  for (gsize i = 0; i < length; i++) {
    if (in_string) {
      if (line[i] == '\\')
        i++;
      else if (line[i] == '"')
        in_string = FALSE;
    } else if (!is_structural (line[i])) {
      return garbled (error, "not JSON: stray character at byte %" G_GSIZE_FORMAT, i);
    } else if (line[i] == '"') {
      in_string = TRUE;
    } else if (line[i] == '[' || line[i] == '{') {
      if (++depth > MAX_DEPTH)
        return garbled (error, "nested more than %d deep", MAX_DEPTH);
    } else if ((line[i] == ']' || line[i] == '}') && depth > 0) {
      depth--;
    }
  }
  return TRUE;
}

KrWorkerMessage *
kr_worker_message_decode (const char *line, gsize length, GError **error)
{
  g_autoptr (JsonParser) parser = NULL;
  g_autoptr (KrWorkerMessage) message = NULL;
  g_autoptr (GError) local = NULL;
  JsonNode *root;
  JsonObject *object;

  if (length > KR_WORKER_CHANNEL_MAX_LINE) {
    g_set_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_TOO_LONG,
                 "a line of more than %d bytes", KR_WORKER_CHANNEL_MAX_LINE);
    return NULL;
  }
  /* json-glib would stop at a NUL and take bytes that are not UTF-8 for text. */
  if (!g_utf8_validate_len (line, length, NULL)) {
    garbled (error, "not UTF-8 text");
    return NULL;
  }
  if (!check_structure (line, length, error))
    return NULL;

  parser = json_parser_new_immutable ();
  if (!json_parser_load_from_data (parser, line, (gssize)length, &local)) {
    garbled (error, "not JSON: %s", local->message);
    return NULL;
  }
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    garbled (error, "not a JSON object");
    return NULL;
  }
  object = json_node_get_object (root);
  message = kr_worker_message_new (KR_N_WORKER_MESSAGES);
  if (!decode_type (object, &message->type, error) || !decode_body (object, message, error))
    return NULL;
  return g_steal_pointer (&message);
}
