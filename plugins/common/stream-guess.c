/* keeprolling - what bytes look like that are not what was expected
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/stream-guess.h"

#include <string.h>

/* Text shorter than this may be chance. */
#define MIN_TEXT 4

/* In this order: what is longer, and so less likely by chance, first. */
static const struct {
  guint8 offset, size;
  const char *bytes;
  const char *name;
} signatures[] = {
    {0, 4, "\x1a\x45\xdf\xa3", "Matroska or WebM"},
    {4, 4, "ftyp", "MP4"},
    {4, 4, "styp", "MP4"},
    {4, 4, "moov", "MP4"},
    {4, 4, "moof", "MP4"},
    {4, 4, "mdat", "MP4"},
    {4, 4, "sidx", "MP4"},
    {0, 4, "RIFF", "RIFF (AVI or WAV)"},
    {0, 4, "OggS", "Ogg"},
    {0, 4, "fLaC", "FLAC"},
    {0, 4, "\x00\x00\x01\xba", "MPEG program stream"},
    {0, 4, "\x00\x00\x01\xb3", "MPEG-2 video without a container"},
    {0, 4, "\x00\x00\x01\xe0", "PES packets without a transport stream"},
    {0, 4, "\x00\x00\x00\x01", "H.264 or H.265 without a container"},
    {0, 3, "\x00\x00\x01", "H.264 or H.265 without a container"},
    {0, 7, "#EXTM3U", "an HLS playlist"},
    {0, 5, "HTTP/", "an HTTP answer"},
    {0, 4, "GET ", "an HTTP request"},
    {0, 5, "POST ", "an HTTP request"},
    {0, 4, "PUT ", "an HTTP request"},
    {0, 5, "RTSP/", "RTSP"},
    {0, 3, "FLV", "FLV"},
    {0, 3, "ID3", "MP3"},
    {0, 2, "\xff\xf1", "AAC without a container"},
    {0, 2, "\xff\xf9", "AAC without a container"},
    {0, 2, "\xff\xfb", "MP3"},
};

static gboolean
is_text (const guint8 *head, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    if (!g_ascii_isprint ((char)head[i]) && !g_ascii_isspace ((char)head[i]))
      return FALSE;
  }
  return size >= MIN_TEXT;
}

static gboolean
is_zero (const guint8 *head, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    if (head[i] != 0)
      return FALSE;
  }
  return size >= MIN_TEXT;
}

const char *
kr_stream_guess (const guint8 *head, gsize size)
{
  for (guint i = 0; i < G_N_ELEMENTS (signatures); i++) {
    gsize end = (gsize)signatures[i].offset + signatures[i].size;

    if (size >= end &&
        memcmp (head + signatures[i].offset, signatures[i].bytes, signatures[i].size) == 0)
      return signatures[i].name;
  }
  if (is_zero (head, size))
    return "nothing but zeros";
  return is_text (head, size) ? "text" : NULL;
}
