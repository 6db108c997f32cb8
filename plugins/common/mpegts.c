/* keeprolling - MPEG transport stream packets: headers, clocks and stamps, packet boundaries
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts.h"

#include <string.h>

#define PCR_SIZE 6

/* With fewer packets in a row, one that lies about its size is believed too easily. */
#define DETECT_PACKETS 5

guint
kr_ts_payload_offset (const guint8 *packet)
{
  guint offset = 4;

  if (!kr_ts_has_payload (packet))
    return KR_TS_PACKET_SIZE;
  if ((packet[3] & KR_TS_AFC_ADAPTATION) != 0)
    offset = 5u + packet[4];
  return MIN (offset, KR_TS_PACKET_SIZE);
}

/* How much of the adaptation field behind its flags is really there. */
static guint
adaptation_room (const guint8 *packet)
{
  return MIN (packet[4], KR_TS_PACKET_SIZE - 5u) - 1u;
}

guint
kr_ts_pcr_offset (const guint8 *packet)
{
  if ((kr_ts_adaptation_flags (packet) & KR_TS_ADAPTATION_PCR) == 0)
    return 0;
  return adaptation_room (packet) >= PCR_SIZE ? 6 : 0;
}

guint
kr_ts_opcr_offset (const guint8 *packet)
{
  guint8 flags = kr_ts_adaptation_flags (packet);
  guint before = (flags & KR_TS_ADAPTATION_PCR) != 0 ? PCR_SIZE : 0;

  if ((flags & KR_TS_ADAPTATION_OPCR) == 0)
    return 0;
  return adaptation_room (packet) >= before + PCR_SIZE ? 6 + before : 0;
}

guint
kr_ts_next_dts_offset (const guint8 *packet)
{
  guint8 flags = kr_ts_adaptation_flags (packet), extension;
  guint end = 5 + MIN (packet[4], KR_TS_PACKET_SIZE - 5u);
  guint at = 6;

  if ((flags & KR_TS_ADAPTATION_EXTENSION) == 0)
    return 0;
  at += (flags & KR_TS_ADAPTATION_PCR) != 0 ? PCR_SIZE : 0;
  at += (flags & KR_TS_ADAPTATION_OPCR) != 0 ? PCR_SIZE : 0;
  at += (flags & KR_TS_ADAPTATION_SPLICE) != 0 ? 1 : 0;
  if ((flags & KR_TS_ADAPTATION_PRIVATE) != 0 && at < end)
    at += 1u + packet[at];
  if (at + 2 > end)
    return 0;
  end = MIN (end, at + 1 + packet[at]);
  extension = packet[at + 1];
  at += 2;
  at += (extension & 0x80) != 0 ? 2 : 0; /* legal time window */
  at += (extension & 0x40) != 0 ? 3 : 0; /* piecewise rate */
  return (extension & 0x20) != 0 && at + 5 <= end ? at : 0;
}

static guint64
read_pcr_base (const guint8 *b)
{
  return (guint64)b[0] << 25 | (guint64)b[1] << 17 | (guint64)b[2] << 9 | (guint64)b[3] << 1 |
         b[4] >> 7;
}

static void
write_pcr_base (guint8 *b, guint64 base)
{
  b[0] = (guint8)(base >> 25);
  b[1] = (guint8)(base >> 17);
  b[2] = (guint8)(base >> 9);
  b[3] = (guint8)(base >> 1);
  b[4] = (guint8)((b[4] & 0x7f) | (base & 1) << 7);
}

guint64
kr_ts_read_pcr (const guint8 *bytes)
{
  return read_pcr_base (bytes) * 300 + ((guint)(bytes[4] & 1) << 8 | bytes[5]);
}

void
kr_ts_write_pcr (guint8 *bytes, guint64 pcr)
{
  guint64 ticks = pcr % KR_TS_PCR_MODULUS;
  guint extension = (guint)(ticks % 300);

  write_pcr_base (bytes, ticks / 300);
  bytes[4] = (guint8)((bytes[4] & 0xfe) | extension >> 8);
  bytes[5] = (guint8)extension;
}

void
kr_ts_shift_pcr (guint8 *bytes, guint64 stamp)
{
  write_pcr_base (bytes, (read_pcr_base (bytes) + stamp) % KR_TS_STAMP_MODULUS);
}

guint64
kr_ts_read_stamp (const guint8 *b)
{
  return (guint64)(b[0] >> 1 & 7) << 30 | (guint64)b[1] << 22 | (guint64)(b[2] >> 1) << 15 |
         (guint64)b[3] << 7 | b[4] >> 1;
}

void
kr_ts_write_stamp (guint8 *b, guint64 stamp)
{
  b[0] = (guint8)((b[0] & 0xf1) | (stamp >> 29 & 0x0e));
  b[1] = (guint8)(stamp >> 22);
  b[2] = (guint8)((b[2] & 0x01) | (stamp >> 14 & 0xfe));
  b[3] = (guint8)(stamp >> 7);
  b[4] = (guint8)((b[4] & 0x01) | (stamp << 1 & 0xfe));
}

/* These stream_ids have no optional header, hence no stamps (H.222.0 table 2-21). */
static gboolean
is_headerless (guint8 stream_id)
{
  switch (stream_id) {
  case 0xbc: /* program_stream_map */
  case 0xbe: /* padding */
  case 0xbf: /* private_stream_2 */
  case 0xf0: /* ECM */
  case 0xf1: /* EMM */
  case 0xf2: /* DSM-CC */
  case 0xf8: /* H.222.1 type E */
  case 0xff: /* program_stream_directory */
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
kr_ts_parse_pes (const guint8 *data, gsize size, KrTsPes *ret_pes)
{
  KrTsPes pes = {0};
  guint8 flags, length;

  if (size < 6 || data[0] != 0 || data[1] != 0 || data[2] != 1)
    return FALSE;
  pes.stream_id = data[3];
  pes.payload_offset = 6;
  pes.complete = TRUE;
  if (is_headerless (pes.stream_id)) {
    *ret_pes = pes;
    return TRUE;
  }
  /* '10' marks the header of MPEG-2; without it nothing behind it can be relied on. */
  if (size < 9) {
    pes.complete = FALSE;
    *ret_pes = pes;
    return TRUE;
  }
  if ((data[6] & 0xc0) != 0x80)
    return FALSE;

  flags = data[7];
  length = data[8];
  pes.payload_offset = (guint16)(9 + length);
  if ((flags & 0x80) != 0 && length >= 5) {
    pes.complete = size >= 14;
    if (pes.complete)
      pes.pts_offset = 9;
    if ((flags & 0x40) != 0 && length >= 10) {
      pes.complete = size >= 19;
      if (pes.complete)
        pes.dts_offset = 14;
    }
  }
  *ret_pes = pes;
  return TRUE;
}

static gboolean
has_packets_at (const guint8 *data, gsize size, gsize offset, guint packet_size, guint n)
{
  if (size < (gsize)(n - 1) * packet_size + 1 ||
      offset > size - ((gsize)(n - 1) * packet_size + 1))
    return FALSE;
  for (guint i = 0; i < n; i++) {
    if (data[offset + (gsize)i * packet_size] != KR_TS_SYNC_BYTE)
      return FALSE;
  }
  return TRUE;
}

gboolean
kr_ts_find_packets (const guint8 *data, gsize size, guint n, gsize *ret_offset)
{
  const gsize span = (gsize)(n - 1) * KR_TS_PACKET_SIZE + 1;
  const guint8 *p = data, *end = data + size;

  while ((gsize)(end - p) >= span) {
    p = memchr (p, KR_TS_SYNC_BYTE, (gsize)(end - p) - span + 1);
    if (p == NULL)
      return FALSE;
    if (has_packets_at (p, span, 0, KR_TS_PACKET_SIZE, n)) {
      *ret_offset = (gsize)(p - data);
      return TRUE;
    }
    p++;
  }
  return FALSE;
}

guint
kr_ts_detect_packet_size (const guint8 *data, gsize size)
{
  static const guint sizes[] = {KR_TS_PACKET_SIZE, 192, 204, 208};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (gsize offset = 0; offset < sizes[i]; offset++) {
      if (has_packets_at (data, size, offset, sizes[i], DETECT_PACKETS))
        return sizes[i];
    }
  }
  return 0;
}

static gboolean
is_zero (const guint8 *data, gsize size)
{
  return data[0] == 0 && memcmp (data, data + 1, size - 1) == 0;
}

gsize
kr_ts_clean_end (const guint8 *data, gsize size)
{
  gsize end = size - size % KR_TS_PACKET_SIZE;

  while (end > 0 && is_zero (data + end - KR_TS_PACKET_SIZE, KR_TS_PACKET_SIZE))
    end -= KR_TS_PACKET_SIZE;
  return end;
}
