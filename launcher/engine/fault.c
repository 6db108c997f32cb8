/* keeprolling - what an error on the bus means
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/fault.h"

#include <string.h>

static void
parse (GstMessage *message, GError **error, char **debug)
{
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, error, debug);
  else
    gst_message_parse_warning (message, error, debug);
}

static gboolean
from_source (GstMessage *message)
{
  GstObject *object = GST_MESSAGE_SRC (message);

  return GST_IS_ELEMENT (object) && GST_OBJECT_FLAG_IS_SET (object, GST_ELEMENT_FLAG_SOURCE);
}

/* What the source's own push returned, GST_FLOW_OK if that was not the matter. */
static GstFlowReturn
flow_return (GstMessage *message)
{
  const GstStructure *details = NULL;
  int flow = GST_FLOW_OK;

  gst_message_parse_error_details (message, &details);
  if (details != NULL)
    gst_structure_get_int (details, "flow-return", &flow);
  return flow;
}

static KrCause
source_cause (GstMessage *message, const GError *error)
{
  if (error->domain == GST_STREAM_ERROR) {
    GstFlowReturn flow = flow_return (message);

    if (flow == GST_FLOW_NOT_LINKED || flow == GST_FLOW_NOT_NEGOTIATED)
      return KR_CAUSE_PIPELINE;
  }
  /* basesrc adds a "Failed to start" of its own to what the element has said. */
  if (error->domain == GST_CORE_ERROR && error->code != GST_CORE_ERROR_FAILED &&
      error->code != GST_CORE_ERROR_STATE_CHANGE)
    return KR_CAUSE_PIPELINE;
  return KR_CAUSE_SOURCE;
}

/* A sink that cannot open or write its file: a folder without permission, a file system that is
 * read-only or gone. Building the pipeline anew cures none of it, and neither does a new
 * worker; trying again until somebody has repaired it does. A sink that writes elsewhere is
 * another matter. */
static gboolean
cannot_write_file (GstMessage *message, const GError *error)
{
  GstObject *object = GST_MESSAGE_SRC (message);
  g_autofree char *location = NULL;
  GParamSpec *pspec;

  if (error->domain != GST_RESOURCE_ERROR ||
      (error->code != GST_RESOURCE_ERROR_OPEN_WRITE && error->code != GST_RESOURCE_ERROR_WRITE))
    return FALSE;
  if (!GST_IS_ELEMENT (object) || !GST_OBJECT_FLAG_IS_SET (object, GST_ELEMENT_FLAG_SINK))
    return FALSE;
  pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (object), "location");
  if (pspec == NULL || pspec->value_type != G_TYPE_STRING)
    return FALSE;
  g_object_get (object, "location", &location, NULL);
  return location != NULL && strstr (location, "://") == NULL;
}

KrCause
kr_fault_cause (GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  parse (message, &error, &debug);
  if (g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT) ||
      cannot_write_file (message, error))
    return KR_CAUSE_DISK;
  if (g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN) ||
      g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS) ||
      g_error_matches (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS))
    return KR_CAUSE_CONFIG;
  return from_source (message) ? source_cause (message, error) : KR_CAUSE_PIPELINE;
}

/* GST_ELEMENT_ERROR puts "file.c(123): function (): /path/of:element:\nwhat it really is" into
 * the debug text: the second line is the one to read. */
static const char *
detail (const char *debug)
{
  const char *newline = debug != NULL ? strchr (debug, '\n') : NULL;

  return newline != NULL && newline[1] != '\0' ? newline + 1 : NULL;
}

char *
kr_fault_text (GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;
  const char *more;
  char *text;

  parse (message, &error, &debug);
  more = detail (debug);
  if (more != NULL && strstr (error->message, more) == NULL)
    text =
        g_strdup_printf ("%s: %s (%s)", GST_MESSAGE_SRC_NAME (message), error->message, more);
  else
    text = g_strdup_printf ("%s: %s", GST_MESSAGE_SRC_NAME (message), error->message);
  return g_strdelimit (text, "\r\n", ' ');
}
