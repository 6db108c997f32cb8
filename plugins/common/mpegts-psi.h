/* keeprolling - program specific information: sections, PAT, PMT
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts.h"

G_BEGIN_DECLS

/* PAT and PMT sections have at most 1021 bytes behind their length (H.222.0 2.4.4). */
#define KR_TS_SECTION_MAX 1024

#define KR_TS_TABLE_PAT 0x00
#define KR_TS_TABLE_PMT 0x02

/* CRC of Annex A: polynomial 0x04c11db7, starting from all ones. 0 over a whole section that
 * ends in its own CRC. */
guint32 kr_ts_crc32 (const guint8 *data, gsize size);

/* Puts one PID's sections together from its packets. All zeros is the empty state. */
typedef struct {
  guint16 have;    /* bytes in data */
  guint16 want;    /* section size, 0 = not known yet */
  guint8 counter;  /* of the last packet */
  gboolean active; /* inside a section */
  guint8 data[KR_TS_SECTION_MAX];
} KrTsSection;

/* Called for each complete section. @data is valid during the call only. The CRC is not
 * checked: comparing with a section that is known already is cheaper. */
typedef void (*KrTsSectionFunc) (const guint8 *data, gsize size, gpointer user_data);

/**
 * kr_ts_section_push:
 * @section: the PID's state
 * @packet: its next packet
 * @func: called for each section that this packet completes
 * @user_data: for @func
 *
 * A missing packet drops the section it belongs to; a repeated one is skipped. Sections above
 * KR_TS_SECTION_MAX are skipped.
 */
void kr_ts_section_push (KrTsSection *section, const guint8 *packet, KrTsSectionFunc func,
                         gpointer user_data);

#define KR_TS_MAX_PROGRAMS 253 /* as many as fit one PAT section */
#define KR_TS_MAX_STREAMS  202 /* as many as fit one PMT section */

typedef struct {
  guint16 number; /* 0: the network PID, not a program */
  guint16 pmt_pid;
} KrTsPatEntry;

typedef struct {
  guint16 stream_id; /* transport_stream_id */
  guint8 version;
  gboolean current;
  guint8 section_number, last_section_number;
  guint n_entries;
  KrTsPatEntry entries[KR_TS_MAX_PROGRAMS];
} KrTsPat;

typedef enum {
  KR_TS_KIND_OTHER,
  KR_TS_KIND_VIDEO,
  KR_TS_KIND_AUDIO,
} KrTsKind;

typedef enum {
  KR_TS_CODEC_UNKNOWN,
  KR_TS_CODEC_MPEG1_VIDEO,
  KR_TS_CODEC_MPEG2_VIDEO,
  KR_TS_CODEC_MPEG4_VIDEO,
  KR_TS_CODEC_H264,
  KR_TS_CODEC_H265,
  KR_TS_CODEC_H266,
  KR_TS_CODEC_DIRAC,
  KR_TS_CODEC_VC1,
  KR_TS_CODEC_MPEG_AUDIO,
  KR_TS_CODEC_AAC_ADTS,
  KR_TS_CODEC_AAC_LATM,
  KR_TS_CODEC_AC3,
  KR_TS_CODEC_EAC3,
  KR_TS_CODEC_OPUS,
  KR_TS_N_CODECS
} KrTsCodec;

/* "h264", "aac-adts" etc., "unknown". */
const char *kr_ts_codec_name (KrTsCodec codec);

typedef struct {
  guint16 pid;
  guint8 stream_type;
  KrTsKind kind;
  KrTsCodec codec;
  /* Where the entry's descriptors lie in the section. */
  guint16 descriptors_offset, descriptors_size;
} KrTsPmtEntry;

typedef struct {
  guint16 program;
  guint8 version;
  gboolean current;
  guint16 pcr_pid;
  guint n_entries;
  KrTsPmtEntry entries[KR_TS_MAX_STREAMS];
} KrTsPmt;

/* Parse one whole section, CRC included. FALSE, with the output untouched, if it is another
 * table, is cut short, contradicts itself or its CRC does not fit. */
gboolean kr_ts_parse_pat (const guint8 *section, gsize size, KrTsPat *ret_pat);
gboolean kr_ts_parse_pmt (const guint8 *section, gsize size, KrTsPmt *ret_pmt);

/* Replace the version number (0 to 31) and the CRC of a section with section syntax. */
void kr_ts_section_set_version (guint8 *section, gsize size, guint version);
/* Write the CRC into the last four bytes. */
void kr_ts_section_seal (guint8 *section, gsize size);

/* Packets that a section of @size bytes takes. */
#define KR_TS_SECTION_PACKETS(size) (((size) + 1 + 183) / 184)

/**
 * kr_ts_packetize:
 * @section: a section
 * @size: its bytes, at most KR_TS_SECTION_MAX
 * @pid: PID of the packets
 * @counter: continuity counter of the first packet
 * @out: room for KR_TS_SECTION_PACKETS (size) packets
 *
 * Returns: how many packets were written
 */
guint kr_ts_packetize (const guint8 *section, gsize size, guint pid, guint counter,
                       guint8 *out);

/**
 * kr_ts_has_tables:
 * @data: transport stream, from any byte on
 * @size: bytes
 *
 * For the recovery of files: does this play? Holds some 20 kB on the stack.
 *
 * Returns: whether there is a PAT and a PMT of one of its programs, both with a good CRC
 */
gboolean kr_ts_has_tables (const guint8 *data, gsize size);

/**
 * kr_ts_continue_counters:
 * @header: packets that are about to be written at the start of a new file, such as PAT and PMT
 *     of the caps' streamheader
 * @header_size: bytes at @header
 * @before: what was written before, on packet boundaries; the end of it is enough
 * @before_size: bytes at @before
 *
 * Gives each packet of @header the continuity counter of the last packet of its PID in @before,
 * so that the counters go on from the header into what follows it. PIDs that do not appear in
 * @before keep theirs.
 */
void kr_ts_continue_counters (guint8 *header, gsize header_size, const guint8 *before,
                              gsize before_size);

G_END_DECLS
