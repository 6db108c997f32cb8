/* keeprolling - does a PES packet begin with a keyframe?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-keyframe.h"

#define SKIP_UNIT 0xff

#define H264_NAL_SLICE       1
#define H264_NAL_PARTITION_A 2
#define H264_NAL_IDR         5
#define H264_NAL_SEI         6
#define H264_NAL_SPS         7

#define H264_SEI_RECOVERY_POINT 6

gboolean
kr_ts_keyframe_knows (KrTsCodec codec)
{
  switch (codec) {
  case KR_TS_CODEC_MPEG1_VIDEO:
  case KR_TS_CODEC_MPEG2_VIDEO:
  case KR_TS_CODEC_MPEG4_VIDEO:
  case KR_TS_CODEC_H264:
  case KR_TS_CODEC_H265:
  case KR_TS_CODEC_H266:
  case KR_TS_CODEC_VC1:
    return TRUE;
  default:
    return FALSE;
  }
}

void
kr_ts_keyframe_begin (KrTsKeyframeScan *scan, KrTsCodec codec)
{
  *scan = (KrTsKeyframeScan){.codec = codec, .history = 0xffffffff};
}

static KrTsKeyframe
yes_or_no (gboolean yes)
{
  return yes ? KR_TS_KEYFRAME_YES : KR_TS_KEYFRAME_NO;
}

/* ITU-T H.264 7.3.1: the NAL unit header is one byte. */
static KrTsKeyframe
h264_unit (KrTsKeyframeScan *scan, guint8 byte)
{
  if (scan->unit == 1) {
    switch (byte & 0x1f) {
    case H264_NAL_IDR:
      return KR_TS_KEYFRAME_YES;
    case H264_NAL_SLICE:
    case H264_NAL_PARTITION_A:
      return yes_or_no (scan->sps && scan->recovery);
    case H264_NAL_SEI:
      scan->sei_type = scan->sei_size = scan->sei_skip = 0;
      scan->size_next = FALSE;
      scan->unit = 2;
      return KR_TS_KEYFRAME_UNDECIDED;
    case H264_NAL_SPS:
      scan->sps = TRUE;
      break;
    default:
      break;
    }
    scan->unit = SKIP_UNIT;
    return KR_TS_KEYFRAME_UNDECIDED;
  }

  /* 7.3.2.3.1: type and size are sums of bytes that go on while they are 255. */
  if ((scan->history & 0xffffff) == 0x000003)
    return KR_TS_KEYFRAME_UNDECIDED; /* emulation prevention */
  if (scan->sei_skip > 0) {
    scan->sei_skip--;
  } else if (!scan->size_next) {
    scan->sei_type += byte;
    if (byte != 0xff) {
      scan->size_next = TRUE;
      if (scan->sei_type == H264_SEI_RECOVERY_POINT)
        scan->recovery = TRUE;
    }
  } else {
    scan->sei_size += byte;
    if (byte != 0xff) {
      scan->sei_skip = scan->sei_size;
      scan->sei_type = scan->sei_size = 0;
      scan->size_next = FALSE;
    }
  }
  return KR_TS_KEYFRAME_UNDECIDED;
}

/* ITU-T H.265 table 7-1: 0 to 15 are other pictures, 16 to 23 are IRAP. */
static KrTsKeyframe
h265_unit (KrTsKeyframeScan *scan, guint8 byte)
{
  guint type = byte >> 1 & 0x3f;

  scan->unit = SKIP_UNIT;
  if (type > 31)
    return KR_TS_KEYFRAME_UNDECIDED;
  return yes_or_no (type >= 16 && type <= 23);
}

/* ITU-T H.266 table 5: the type is in the second byte; 7 to 10 are IDR, CRA and GDR. */
static KrTsKeyframe
h266_unit (KrTsKeyframeScan *scan, guint8 byte)
{
  guint type = byte >> 3;

  if (scan->unit == 1) {
    scan->unit = 2;
    return KR_TS_KEYFRAME_UNDECIDED;
  }
  scan->unit = SKIP_UNIT;
  if (type > 11)
    return KR_TS_KEYFRAME_UNDECIDED;
  return yes_or_no (type >= 7 && type <= 10);
}

/* Slices or a picture before any sequence header: not a place to start. */
static KrTsKeyframe
mpeg12_unit (KrTsKeyframeScan *scan, guint8 byte)
{
  scan->unit = SKIP_UNIT;
  if (byte == 0xb3)
    return KR_TS_KEYFRAME_YES;
  return byte <= 0xaf ? KR_TS_KEYFRAME_NO : KR_TS_KEYFRAME_UNDECIDED;
}

static KrTsKeyframe
mpeg4_unit (KrTsKeyframeScan *scan, guint8 byte)
{
  if (scan->unit == 1) {
    scan->unit = byte == 0xb6 ? 2 : SKIP_UNIT;
    return KR_TS_KEYFRAME_UNDECIDED;
  }
  return yes_or_no (byte >> 6 == 0);
}

static KrTsKeyframe
vc1_unit (KrTsKeyframeScan *scan, guint8 byte)
{
  scan->unit = SKIP_UNIT;
  if (byte == 0x0f)
    return KR_TS_KEYFRAME_YES;
  return byte == 0x0d ? KR_TS_KEYFRAME_NO : KR_TS_KEYFRAME_UNDECIDED;
}

static KrTsKeyframe
unit_byte (KrTsKeyframeScan *scan, guint8 byte)
{
  switch (scan->codec) {
  case KR_TS_CODEC_H264:
    return h264_unit (scan, byte);
  case KR_TS_CODEC_H265:
    return h265_unit (scan, byte);
  case KR_TS_CODEC_H266:
    return h266_unit (scan, byte);
  case KR_TS_CODEC_MPEG1_VIDEO:
  case KR_TS_CODEC_MPEG2_VIDEO:
    return mpeg12_unit (scan, byte);
  case KR_TS_CODEC_MPEG4_VIDEO:
    return mpeg4_unit (scan, byte);
  case KR_TS_CODEC_VC1:
    return vc1_unit (scan, byte);
  default:
    return KR_TS_KEYFRAME_NO;
  }
}

KrTsKeyframe
kr_ts_keyframe_push (KrTsKeyframeScan *scan, const guint8 *data, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    KrTsKeyframe verdict;

    scan->history = scan->history << 8 | data[i];
    if ((scan->history & 0xffffff) == 0x000001) {
      scan->unit = 1;
      continue;
    }
    if (scan->unit == 0 || scan->unit == SKIP_UNIT)
      continue;
    verdict = unit_byte (scan, data[i]);
    if (verdict != KR_TS_KEYFRAME_UNDECIDED)
      return verdict;
  }
  return KR_TS_KEYFRAME_UNDECIDED;
}
