/* keeprolling - MPEG transport stream packets: headers, clocks and stamps, packet boundaries
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Syntax and field names: ISO/IEC 13818-1 (Rec. ITU-T H.222.0). Functions that take a packet
 * need KR_TS_PACKET_SIZE readable bytes; what the bytes say is never trusted. No function here
 * allocates, blocks or keeps state, so any thread may call any of them. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define KR_TS_PACKET_SIZE 188
#define KR_TS_SYNC_BYTE   0x47

#define KR_TS_PID_PAT  0x0000
#define KR_TS_PID_NULL 0x1fff
#define KR_TS_N_PIDS   0x2000

/* PTS and DTS count 90 kHz ticks modulo 2^33, the PCR 27 MHz ticks modulo 300 * 2^33. */
#define KR_TS_STAMP_MODULUS (G_GUINT64_CONSTANT (1) << 33)
#define KR_TS_PCR_MODULUS   (KR_TS_STAMP_MODULUS * 300)
#define KR_TS_STAMP_HZ      90000
#define KR_TS_PCR_HZ        27000000

#define KR_TS_AFC_ADAPTATION 0x20
#define KR_TS_AFC_PAYLOAD    0x10

/* The first four bytes as one number, most significant byte first. */
static inline guint32
kr_ts_header (const guint8 *packet)
{
  return (guint32)packet[0] << 24 | (guint32)packet[1] << 16 | (guint32)packet[2] << 8 |
         packet[3];
}

static inline guint
kr_ts_pid (const guint8 *packet)
{
  return (guint)(packet[1] & 0x1f) << 8 | packet[2];
}

static inline gboolean
kr_ts_has_error (const guint8 *packet)
{
  return (packet[1] & 0x80) != 0;
}

static inline gboolean
kr_ts_starts_unit (const guint8 *packet)
{
  return (packet[1] & 0x40) != 0;
}

static inline gboolean
kr_ts_is_scrambled (const guint8 *packet)
{
  return (packet[3] & 0xc0) != 0;
}

static inline gboolean
kr_ts_has_payload (const guint8 *packet)
{
  return (packet[3] & KR_TS_AFC_PAYLOAD) != 0;
}

static inline guint
kr_ts_counter (const guint8 *packet)
{
  return packet[3] & 0x0f;
}

static inline void
kr_ts_set_counter (guint8 *packet, guint counter)
{
  packet[3] = (guint8)((packet[3] & 0xf0) | (counter & 0x0f));
}

static inline void
kr_ts_set_pid (guint8 *packet, guint pid)
{
  packet[1] = (guint8)((packet[1] & 0xe0) | (pid >> 8 & 0x1f));
  packet[2] = (guint8)pid;
}

/* adaptation_field flags, 0 if the packet has none. */
static inline guint8
kr_ts_adaptation_flags (const guint8 *packet)
{
  return (packet[3] & KR_TS_AFC_ADAPTATION) != 0 && packet[4] > 0 ? packet[5] : 0;
}

#define KR_TS_ADAPTATION_DISCONTINUITY 0x80
#define KR_TS_ADAPTATION_RANDOM_ACCESS 0x40
#define KR_TS_ADAPTATION_PCR           0x10
#define KR_TS_ADAPTATION_OPCR          0x08
#define KR_TS_ADAPTATION_SPLICE        0x04
#define KR_TS_ADAPTATION_PRIVATE       0x02
#define KR_TS_ADAPTATION_EXTENSION     0x01

/**
 * kr_ts_payload_offset:
 * @packet: a packet
 *
 * Returns: where the payload begins, KR_TS_PACKET_SIZE if there is none or the adaptation
 *     field claims to be longer than the packet
 */
guint kr_ts_payload_offset (const guint8 *packet);

/**
 * kr_ts_pcr_offset:
 * @packet: a packet
 *
 * Returns: where the six bytes of the PCR begin, 0 if the packet carries none
 */
guint kr_ts_pcr_offset (const guint8 *packet);

/* The same for the OPCR (original PCR, which follows the PCR). */
guint kr_ts_opcr_offset (const guint8 *packet);

/* The same for the five bytes of DTS_next_AU, which a seamless splice brings. They are laid out
 * as those of a DTS. */
guint kr_ts_next_dts_offset (const guint8 *packet);

/* Six bytes of PCR or OPCR, in 27 MHz ticks. An extension above 299, which is not allowed, is
 * taken as it stands, so that reading and writing back changes nothing. */
guint64 kr_ts_read_pcr (const guint8 *bytes);
/* Reserved bits keep their value. */
void kr_ts_write_pcr (guint8 *bytes, guint64 pcr);
/* Adds @stamp 90 kHz ticks to the base and leaves the extension alone. */
void kr_ts_shift_pcr (guint8 *bytes, guint64 stamp);

/* Five bytes of PTS or DTS, in 90 kHz ticks. Prefix and marker bits are not looked at. */
guint64 kr_ts_read_stamp (const guint8 *bytes);
/* Prefix and marker bits keep their value. */
void kr_ts_write_stamp (guint8 *bytes, guint64 stamp);

/* The signed distance a - b on a circle of @modulus, in [-modulus/2, modulus/2). */
static inline gint64
kr_ts_distance (guint64 a, guint64 b, guint64 modulus)
{
  guint64 up = a >= b ? a - b : a + modulus - b;

  return up < modulus / 2 ? (gint64)up : (gint64)up - (gint64)modulus;
}

static inline gint64
kr_ts_stamp_distance (guint64 a, guint64 b)
{
  /* 2^33 divides 2^64: shifting the difference up and back sign-extends it. */
  return (gint64)((a - b) << 31) >> 31;
}

static inline gint64
kr_ts_pcr_distance (guint64 a, guint64 b)
{
  return kr_ts_distance (a % KR_TS_PCR_MODULUS, b % KR_TS_PCR_MODULUS, KR_TS_PCR_MODULUS);
}

#define KR_TS_PES_HEADER_MAX 19

/* What the first bytes of a PES packet say. Offsets count from its first byte, 0 = not there.
 */
typedef struct {
  guint8 stream_id;
  guint8 pts_offset;
  guint8 dts_offset;
  guint16 payload_offset; /* may lie behind the bytes at hand */
  gboolean complete;      /* FALSE: the header ends behind the bytes at hand */
} KrTsPes;

/**
 * kr_ts_parse_pes:
 * @data: what follows the packet header of a packet that starts a unit
 * @size: bytes at @data
 * @ret_pes: (out): set when TRUE is returned
 *
 * Only what lies inside @size is reported. KR_TS_PES_HEADER_MAX bytes are enough for both
 * stamps.
 *
 * Returns: whether a PES packet starts here
 */
gboolean kr_ts_parse_pes (const guint8 *data, gsize size, KrTsPes *ret_pes);

/**
 * kr_ts_find_packets:
 * @data: bytes
 * @size: how many
 * @n: packets in a row
 * @ret_offset: (out): the first place where @n packets in a row start
 *
 * Returns: whether there is such a place
 */
gboolean kr_ts_find_packets (const guint8 *data, gsize size, guint n, gsize *ret_offset);

/* The same for three of them: fewer are never enough to tell. */
static inline gboolean
kr_ts_find_sync (const guint8 *data, gsize size, gsize *ret_offset)
{
  return kr_ts_find_packets (data, size, 3, ret_offset);
}

/**
 * kr_ts_detect_packet_size:
 * @data: the head of a stream
 * @size: how many bytes; 6 * 208 decide in any case
 *
 * Recognises what is not plain transport stream but looks like it: 192 bytes with a four-byte
 * time code (M2TS) and 204 or 208 bytes with Reed-Solomon parity.
 *
 * Returns: 188, 192, 204 or 208; 0 if none of them fits
 */
guint kr_ts_detect_packet_size (const guint8 *data, gsize size);

/**
 * kr_ts_clean_end:
 * @data: bytes that begin on a packet boundary
 * @size: how many
 *
 * For files that a crash or a power cut has left: the tail may hold part of a packet, and whole
 * packets of zeros where the file had grown but its data never reached the disk. A packet that
 * merely ends in zeros is kept. To look at a file from its end, pass blocks that begin on a
 * packet boundary, last block first, until the answer is not 0.
 *
 * Returns: how many bytes to keep: the end of the last whole packet with a byte other than 0
 */
gsize kr_ts_clean_end (const guint8 *data, gsize size);

G_END_DECLS
