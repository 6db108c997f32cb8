/* keeprolling - timestamp vectors for the tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/support/kr-vectors.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

static gint64
time_of (JsonNode *node)
{
  if (node == NULL || JSON_NODE_HOLDS_NULL (node))
    return KR_VECTOR_NONE;
  return (gint64)llround (json_node_get_double (node) * 1e6);
}

static gint64
element_time (JsonArray *row, guint i)
{
  return i < json_array_get_length (row) ? time_of (json_array_get_element (row, i))
                                         : KR_VECTOR_NONE;
}

static guint
stream_of (const KrVector *vector, const char *name)
{
  guint i;

  for (i = 0; i < vector->streams->len; i++)
    if (strcmp (g_array_index (vector->streams, KrVectorStream, i).name, name) == 0)
      return i;
  g_error ("%s: no stream \"%s\"", vector->name, name);
}

static void
load_config (KrVector *vector, JsonObject *cfg)
{
  vector->live = json_object_get_boolean_member_with_default (cfg, "live", FALSE);
  vector->mode = g_strdup (json_object_get_string_member_with_default (cfg, "mode", NULL));
  vector->gap_policy =
      g_strdup (json_object_get_string_member_with_default (cfg, "gap-policy", NULL));
  vector->drift = g_strdup (json_object_get_string_member_with_default (cfg, "drift", NULL));
  vector->max_gap = time_of (json_object_get_member (cfg, "max-gap"));
}

static gint64
counter (JsonObject *stats, const char *name)
{
  return stats != NULL ? json_object_get_int_member_with_default (stats, name, -1) : -1;
}

static void
load_streams (KrVector *vector, JsonArray *list, JsonObject *stats)
{
  guint i;

  for (i = 0; i < json_array_get_length (list); i++) {
    JsonArray *row = json_array_get_array_element (list, i);
    const char *name = json_array_get_string_element (row, 0);
    JsonObject *of = stats != NULL && json_object_has_member (stats, name)
                         ? json_object_get_object_member (stats, name)
                         : NULL;
    KrVectorStream stream = {
        .name = g_strdup (name),
        .duration = element_time (row, 2),
        .in = counter (of, "in_"),
        .out = counter (of, "out"),
        .dropped = counter (of, "drop"),
        .outliers = counter (of, "outlier"),
        .no_pts = counter (of, "no_pts"),
        .no_dts = counter (of, "no_dts"),
        .nudged = counter (of, "nudged"),
        .gaps = counter (of, "gap"),
    };

    g_strlcpy (stream.kind, json_array_get_string_element (row, 1), sizeof stream.kind);
    g_array_append_val (vector->streams, stream);
  }
}

static KrVectorOp
op_of (const KrVector *vector, const char *name)
{
  if (strcmp (name, "eos") == 0)
    return KR_VECTOR_EOS;
  if (strcmp (name, "start") == 0)
    return KR_VECTOR_START;
  if (strcmp (name, "gap") == 0)
    return KR_VECTOR_GAP;
  g_error ("%s: unknown hint \"%s\"", vector->name, name);
}

static void
load_input (KrVector *vector, JsonArray *list)
{
  guint i;

  for (i = 0; i < json_array_get_length (list); i++) {
    JsonArray *in = json_array_get_array_element (list, i);
    JsonNode *hint = json_array_get_length (in) > 5 ? json_array_get_element (in, 5) : NULL;
    KrVectorRow row = {
        .stream = stream_of (vector, json_array_get_string_element (in, 0)),
        .pts = element_time (in, 1),
        .dts = element_time (in, 2),
        .arrival = element_time (in, 3),
        .duration = element_time (in, 4),
        .out_pts = KR_VECTOR_NONE,
        .out_dts = KR_VECTOR_NONE,
    };

    /* ["v",null,null,null,null,"eos"] and the like are no buffers. */
    if (hint != NULL && JSON_NODE_HOLDS_VALUE (hint) &&
        json_node_get_value_type (hint) == G_TYPE_STRING &&
        strcmp (json_node_get_string (hint), "discont") != 0)
      row.op = op_of (vector, json_node_get_string (hint));
    else
      row.hint = hint != NULL && !JSON_NODE_HOLDS_NULL (hint);
    g_array_append_val (vector->rows, row);
  }
}

static void
load_output (KrVector *vector, JsonArray *list)
{
  guint i, k;

  g_assert_cmpuint (json_array_get_length (list), ==, vector->rows->len);
  for (i = 0; i < vector->rows->len; i++) {
    KrVectorRow *row = &g_array_index (vector->rows, KrVectorRow, i);
    JsonArray *out, *flags;

    if (JSON_NODE_HOLDS_NULL (json_array_get_element (list, i))) {
      row->dropped = TRUE;
      continue;
    }
    out = json_array_get_array_element (list, i);
    row->out_pts = element_time (out, 0);
    row->out_dts = element_time (out, 1);
    flags = json_array_get_array_element (out, 2);
    for (k = 0; k < json_array_get_length (flags); k++) {
      const char *flag = json_array_get_string_element (flags, k);

      if (strcmp (flag, "discont") == 0)
        row->discont = TRUE;
      else if (strcmp (flag, "ext") == 0)
        row->extrapolated = TRUE;
      else if (strcmp (flag, "repeat") == 0)
        row->repeats++;
      else
        g_error ("%s: unknown flag \"%s\"", vector->name, flag);
    }
  }
}

static void
load_messages (KrVector *vector, JsonArray *list)
{
  guint i;

  for (i = 0; i < json_array_get_length (list); i++) {
    JsonArray *row = json_array_get_array_element (list, i);
    KrVectorMessage message = {
        .stream = stream_of (vector, json_array_get_string_element (row, 0)),
        .kind = g_strdup (json_array_get_string_element (row, 1)),
        .delta = element_time (row, 2),
    };

    g_array_append_val (vector->messages, message);
  }
}

static KrVector *
load_vector (JsonObject *object)
{
  KrVector *vector = g_new0 (KrVector, 1);
  JsonNode *ppm = json_object_get_member (object, "ppm");

  vector->name = g_strdup (json_object_get_string_member (object, "name"));
  vector->note = g_strdup (json_object_get_string_member_with_default (object, "note", ""));
  vector->streams = g_array_new (FALSE, TRUE, sizeof (KrVectorStream));
  vector->rows = g_array_new (FALSE, TRUE, sizeof (KrVectorRow));
  vector->messages = g_array_new (FALSE, TRUE, sizeof (KrVectorMessage));
  load_config (vector, json_object_get_object_member (object, "cfg"));
  load_streams (vector, json_object_get_array_member (object, "streams"),
                json_object_has_member (object, "stats")
                    ? json_object_get_object_member (object, "stats")
                    : NULL);
  load_input (vector, json_object_get_array_member (object, "input"));
  load_output (vector, json_object_get_array_member (object, "output"));
  load_messages (vector, json_object_get_array_member (object, "messages"));
  if (ppm != NULL && !JSON_NODE_HOLDS_NULL (ppm)) {
    vector->has_ppm = TRUE;
    vector->ppm = json_node_get_double (ppm);
  }
  return vector;
}

static void
free_vector (gpointer data)
{
  KrVector *vector = data;
  guint i;

  for (i = 0; i < vector->streams->len; i++)
    g_free (g_array_index (vector->streams, KrVectorStream, i).name);
  for (i = 0; i < vector->messages->len; i++)
    g_free (g_array_index (vector->messages, KrVectorMessage, i).kind);
  g_array_unref (vector->streams);
  g_array_unref (vector->rows);
  g_array_unref (vector->messages);
  g_free (vector->name);
  g_free (vector->note);
  g_free (vector->mode);
  g_free (vector->gap_policy);
  g_free (vector->drift);
  g_free (vector);
}

GPtrArray *
kr_vectors_load (const char *path)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  GPtrArray *vectors = g_ptr_array_new_with_free_func (free_vector);
  JsonArray *list;
  guint i;

  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  list = json_node_get_array (json_parser_get_root (parser));
  for (i = 0; i < json_array_get_length (list); i++)
    g_ptr_array_add (vectors, load_vector (json_array_get_object_element (list, i)));
  return vectors;
}
