/* keeprolling - mpegtsregen: what comes is no transport stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/messages.h"
#include "plugins/mpegtsregen-private.h"

#define GST_CAT_DEFAULT kr_mpegts_regen_debug

/* As much as is read at a glance. */
#define SHOWN_BYTES 12

static const char *
describe (const KrTsAlien *alien)
{
  const char *guess;

  if (alien->packet_size == 192)
    return "M2TS, packets of 192 bytes";
  if (alien->packet_size != 0)
    return "packets with Reed-Solomon parity, 204 or 208 bytes";
  guess = kr_stream_guess (alien->head, alien->head_size);
  return guess != NULL ? guess : "";
}

static char *
show_bytes (const KrTsAlien *alien)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < MIN (alien->head_size, SHOWN_BYTES); i++)
    g_string_append_printf (text, "%s%02x", i == 0 ? "" : " ", alien->head[i]);
  return g_string_free (text, FALSE);
}

static char *
full_text (const KrTsAlien *alien)
{
  g_autofree char *bytes = show_bytes (alien);
  const char *guess = describe (alien);

  if (*guess != '\0')
    return g_strdup_printf ("No transport stream comes: it looks like %s (%s)", guess, bytes);
  return g_strdup_printf ("No transport stream comes, but bytes such as %s", bytes);
}

static void
post_alien (KrMpegtsRegen *self, const KrTsAlien *alien)
{
  g_autofree char *bytes = show_bytes (alien);
  guint64 utc = (guint64)g_get_real_time () * 1000;

  gst_element_post_message (
      GST_ELEMENT (self),
      gst_message_new_element (
          GST_OBJECT (self),
          gst_structure_new (KR_MSG_MPEGTS_NO_PACKETS, "looks-like", G_TYPE_STRING,
                             describe (alien), "head", G_TYPE_STRING, bytes, "packet-size",
                             G_TYPE_UINT, alien->packet_size, "garbage-bytes", G_TYPE_UINT64,
                             alien->bytes, "utc-ns", G_TYPE_UINT64, utc, NULL)));
}

static void
post_end_of_alien (KrMpegtsRegen *self)
{
  guint64 utc = (guint64)g_get_real_time () * 1000;

  gst_element_post_message (
      GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
                               gst_structure_new (KR_MSG_MPEGTS_PACKETS_AGAIN, "garbage-bytes",
                                                  G_TYPE_UINT64, self->alien_bytes, "outage-ns",
                                                  G_TYPE_UINT64, (utc - self->alien_since),
                                                  "utc-ns", G_TYPE_UINT64, utc, NULL)));
}

/* Called from the streaming thread. A live source may send something better later, when
 * somebody has looked at the encoder: it is waited for. What a file is shows at its end. */
void
kr_mpegts_regen_watch_alien (KrMpegtsRegen *self)
{
  const KrTsAlien *alien = kr_ts_regen_get_alien (self->regen);
  g_autofree char *text = NULL;

  if (G_LIKELY (alien == NULL && !self->is_alien))
    return;
  if (alien == NULL) {
    self->is_alien = FALSE;
    post_end_of_alien (self);
    return;
  }
  self->alien_bytes = alien->bytes;
  if (self->is_alien || !self->is_live)
    return;
  self->is_alien = TRUE;
  self->alien_since = (guint64)g_get_real_time () * 1000;
  post_alien (self, alien);
  /* For whoever does not read element messages. */
  text = full_text (alien);
  GST_ELEMENT_WARNING (self, STREAM, WRONG_TYPE, ("%s; waiting for one.", text), (NULL));
}

/* Called from the streaming thread, at the end of the stream and before what is held is let
 * out. */
void
kr_mpegts_regen_end_alien (KrMpegtsRegen *self)
{
  const KrTsAlien *alien = kr_ts_regen_get_search (self->regen);
  g_autofree char *text = NULL;

  if (self->is_live || alien == NULL || alien->bytes < KR_TS_PACKET_SIZE)
    return;
  text = full_text (alien);
  GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE, ("%s.", text), (NULL));
}
