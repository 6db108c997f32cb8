/* keeprolling - inside ts-analysis: how much time coded audio lasts
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis-private.h"

#include <string.h>

typedef struct {
  guint size, samples, rate;
} Frame;

/* ISO/IEC 13818-7 6.2: fixed and variable header. */
static gboolean
parse_adts (const guint8 *p, Frame *frame)
{
  static const guint rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                22050, 16000, 12000, 11025, 8000,  7350};
  guint index = p[2] >> 2 & 15;

  if (p[0] != 0xff || (p[1] & 0xf6) != 0xf0 || index >= G_N_ELEMENTS (rates))
    return FALSE;
  frame->size = (p[3] & 3u) << 11 | (guint)p[4] << 3 | p[5] >> 5;
  frame->samples = 1024 * ((p[6] & 3u) + 1);
  frame->rate = rates[index];
  return frame->size >= 7;
}

/* ISO/IEC 11172-3 2.4.2.3 and 13818-3. */
static gboolean
parse_mpeg (const guint8 *p, Frame *frame)
{
  static const guint rates[] = {44100, 48000, 32000};
  static const guint16 bitrates[2][2][15] = {
      /* MPEG-1: layer III, layer II */
      {{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
       {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384}},
      /* MPEG-2 and 2.5, both layers */
      {{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
       {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}},
  };
  guint version = p[1] >> 3 & 3, layer = p[1] >> 1 & 3;
  guint bitrate = p[2] >> 4, rate = p[2] >> 2 & 3, padding = p[2] >> 1 & 1;
  gboolean half = version != 3;

  if (p[0] != 0xff || (p[1] & 0xe0) != 0xe0 || version == 1 || (layer != 1 && layer != 2) ||
      rate == 3 || bitrate == 0 || bitrate == 15)
    return FALSE;
  frame->rate = rates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
  frame->samples = layer == 1 && half ? 576 : 1152;
  frame->size =
      frame->samples / 8 * 1000 * bitrates[half][layer - 1][bitrate] / frame->rate + padding;
  return TRUE;
}

/* ATSC A/52 5.3 and table 5.18. */
static gboolean
parse_ac3 (const guint8 *p, Frame *frame)
{
  static const guint16 kbits[] = {32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                  192, 224, 256, 320, 384, 448, 512, 576, 640};
  guint code = p[4] >> 6, size = p[4] & 63;

  if (p[0] != 0x0b || p[1] != 0x77 || code == 3 || size / 2 >= G_N_ELEMENTS (kbits))
    return FALSE;
  frame->samples = 1536;
  if (code == 0) {
    frame->rate = 48000;
    frame->size = kbits[size / 2] * 4u;
  } else if (code == 1) {
    frame->rate = 44100;
    frame->size = 2 * (320u * kbits[size / 2] / 147 + (size & 1));
  } else {
    frame->rate = 32000;
    frame->size = kbits[size / 2] * 6u;
  }
  return TRUE;
}

static guint
header_size (KrTsCodec codec)
{
  switch ((guint)codec) {
  case KR_TS_CODEC_AAC_ADTS:
    return 7;
  case KR_TS_CODEC_MPEG_AUDIO:
    return 4;
  case KR_TS_CODEC_AC3:
    return 6;
  default:
    return 0;
  }
}

static gboolean
parse (KrTsCodec codec, const guint8 *p, Frame *frame)
{
  switch ((guint)codec) {
  case KR_TS_CODEC_AAC_ADTS:
    return parse_adts (p, frame);
  case KR_TS_CODEC_MPEG_AUDIO:
    return parse_mpeg (p, frame);
  default:
    return parse_ac3 (p, frame);
  }
}

/* The header is complete: on to the next frame, or one byte on where there is none. */
static void
take_header (KrFrameCount *count, KrTsCodec codec)
{
  Frame frame;

  if (parse (codec, count->header, &frame) && frame.size >= count->have) {
    count->rate = frame.rate;
    count->samples += frame.samples;
    count->skip = frame.size - count->have;
    count->have = 0;
  } else {
    count->junk++;
    count->have--;
    memmove (count->header, count->header + 1, count->have);
  }
}

void
kr_ts_count_frames (KrFrameCount *count, KrTsCodec codec, const guint8 *data, gsize size)
{
  guint wanted = header_size (codec);

  while (wanted > 0 && size > 0) {
    gsize skip = MIN (count->skip, size);

    count->skip -= (guint)skip;
    data += skip;
    size -= skip;
    while (count->skip == 0 && count->have < wanted && size > 0) {
      count->header[count->have++] = *data++;
      size--;
    }
    /* More than that if the PMT has made another codec of it on the way. */
    if (count->skip == 0 && count->have >= wanted)
      take_header (count, codec);
  }
}
