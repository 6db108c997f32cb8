/* keeprolling - events and queries of atomicfilesink
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/atomicfilesink-private.h"
#include "plugins/common/messages.h"

#define GST_CAT_DEFAULT kr_atomic_file_sink_debug

/* A streamheader is some hundred bytes; nobody fills memory with it. */
#define MAX_HEADER (1024 * 1024)

static void
take_header (KrAtomicFileSink *self, GstCaps *caps)
{
  const GstStructure *structure = gst_caps_get_structure (caps, 0);
  const GValue *list = gst_structure_get_value (structure, "streamheader");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GBytes) before = g_steal_pointer (&self->header);

  if (list == NULL || !GST_VALUE_HOLDS_ARRAY (list))
    return;
  for (guint i = 0; i < gst_value_array_get_size (list); i++) {
    const GValue *value = gst_value_array_get_value (list, i);
    GstMapInfo map;

    if (!GST_VALUE_HOLDS_BUFFER (value) ||
        !gst_buffer_map (gst_value_get_buffer (value), &map, GST_MAP_READ))
      continue;
    if (bytes->len + map.size <= MAX_HEADER)
      g_byte_array_append (bytes, map.data, (guint)map.size);
    gst_buffer_unmap (gst_value_get_buffer (value), &map);
  }
  if (bytes->len > 0)
    self->header = g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
  /* Other streams than before, another codec: in one file they would be played by hardly any
   * player, and found by no index. */
  if (self->rotating && before != NULL && self->header != NULL &&
      !g_bytes_equal (before, self->header))
    kr_segment_cutter_cut_now (&self->cutter);
}

/* Formats with one index or size field for the whole file: a piece of it does not play. Muxers
 * that find that they cannot seek write something that does not play either, and say nothing:
 * better refused at the start than found out in the morning. */
static gboolean
can_be_cut (KrAtomicFileSink *self, GstCaps *caps)
{
  static const char *const whole[] = {"video/quicktime", "audio/x-m4a", "video/mj2",
                                      "video/x-msvideo", "audio/x-wav", NULL};
  const char *name = gst_structure_get_name (gst_caps_get_structure (caps, 0));

  if (!self->rotating || !g_strv_contains (whole, name))
    return TRUE;
  /* The caps come again before each buffer that is refused for them; once is enough. */
  if (self->refused)
    return FALSE;
  self->refused = TRUE;
  GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
                     ("%s cannot be cut: its muxer rewrites the beginning of the file at the "
                      "end",
                      name),
                     (KR_CUT_HINT));
  return FALSE;
}

/* A muxer wants to write elsewhere in the file. */
static gboolean
seek_to (KrAtomicFileSink *self, guint64 offset)
{
  KrMark mark = {.kind = KR_MARK_SEEK, .offset = offset};

  if (offset == self->position)
    return TRUE;
  if (!self->has_data) {
    self->position = offset;
    return TRUE;
  }
  if (self->rotating) {
    GST_ELEMENT_ERROR (self, RESOURCE, SEEK,
                       ("the muxer wants to rewrite byte %" G_GUINT64_FORMAT
                        " of a file, which is impossible while files are cut",
                        offset),
                       (KR_CUT_HINT));
    return FALSE;
  }
  kr_byte_pipe_mark (self->pipe, &mark);
  self->position = offset;
  return TRUE;
}

/* Returns once the file has its final name, or the element is being stopped. */
static gboolean
finish_file (KrAtomicFileSink *self)
{
  KrMark mark = {.kind = KR_MARK_FINISH, .reason = KR_REASON_EOS, .utc_us = g_get_real_time ()};

  kr_byte_pipe_mark (self->pipe, &mark);
  kr_segment_cutter_reset (&self->cutter);
  self->has_data = FALSE;
  self->position = 0;
  return kr_byte_pipe_wait_finished (self->pipe) == KR_PIPE_OK &&
         !kr_segment_writer_has_failed (self->writer);
}

gboolean
kr_atomic_file_sink_take_event (KrAtomicFileSink *self, GstEvent *event)
{
  const GstSegment *segment;
  gboolean ok = TRUE;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    take_header (self, caps);
    ok = can_be_cut (self, caps);
    break;
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    if (segment->format == GST_FORMAT_BYTES)
      ok = seek_to (self, segment->start);
    break;
  case GST_EVENT_EOS:
    ok = finish_file (self) && !self->refused;
    break;
  case GST_EVENT_FLUSH_START:
    kr_byte_pipe_set_cancelled (self->pipe, TRUE);
    break;
  case GST_EVENT_FLUSH_STOP:
    /* What was written stays written: a flush is about what is on its way. */
    kr_byte_pipe_set_cancelled (self->pipe, FALSE);
    break;
  default:
    break;
  }
  return ok;
}

static gboolean
answer_seeking (KrAtomicFileSink *self, GstQuery *query)
{
  GstFormat format;
  gboolean seekable;

  gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
  seekable = (format == GST_FORMAT_BYTES || format == GST_FORMAT_DEFAULT) && !self->rotating;
  gst_query_set_seeking (query, format, seekable, 0, -1);
  if (seekable && !g_atomic_int_get (&self->rewrites)) {
    g_atomic_int_set (&self->rewrites, TRUE);
    GST_OBJECT_LOCK (self);
    if (self->writer != NULL)
      kr_segment_writer_set_rewrites (self->writer);
    GST_OBJECT_UNLOCK (self);
  }
  return TRUE;
}

gboolean
kr_atomic_file_sink_answer_query (KrAtomicFileSink *self, GstQuery *query)
{
  GstFormat format;

  switch (GST_QUERY_TYPE (query)) {
  case GST_QUERY_POSITION:
    gst_query_parse_position (query, &format, NULL);
    if (format != GST_FORMAT_BYTES && format != GST_FORMAT_DEFAULT)
      break;
    gst_query_set_position (query, GST_FORMAT_BYTES, (gint64)self->position);
    return TRUE;
  case GST_QUERY_FORMATS:
    gst_query_set_formats (query, 2, GST_FORMAT_DEFAULT, GST_FORMAT_BYTES);
    return TRUE;
  case GST_QUERY_SEEKING:
    return answer_seeking (self, query);
  default:
    break;
  }
  return FALSE;
}
