/* keeprolling - program specific information: sections, PAT, PMT
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-psi.h"

#include <string.h>

/* table_id, section length, table_id_extension, version, section numbers */
#define HEADER_SIZE 8
#define CRC_SIZE    4

/* 0x04c11db7, one nibble at a time: sections are short and rarely change, so a table of 64
 * bytes that needs no initialisation beats a fast one. */
guint32
kr_ts_crc32 (const guint8 *data, gsize size)
{
  static const guint32 nibbles[16] = {
      0x00000000, 0x04c11db7, 0x09823b6e, 0x0d4326d9, 0x130476dc, 0x17c56b6b,
      0x1a864db2, 0x1e475005, 0x2608edb8, 0x22c9f00f, 0x2f8ad6d6, 0x2b4bcb61,
      0x350c9b64, 0x31cd86d3, 0x3c8ea00a, 0x384fbdbd,
  };
  guint32 crc = 0xffffffff;

  for (gsize i = 0; i < size; i++) {
    crc = crc << 4 ^ nibbles[crc >> 28 ^ data[i] >> 4];
    crc = crc << 4 ^ nibbles[crc >> 28 ^ (data[i] & 0x0f)];
  }
  return crc;
}

/* --- sections from packets ----------------------------------------------------------- */

static void
section_reset (KrTsSection *section)
{
  section->active = FALSE;
  section->have = 0;
  section->want = 0;
}

/* Adds bytes of the section under way; returns how many belong to it. */
static gsize
section_append (KrTsSection *section, const guint8 *data, gsize size, KrTsSectionFunc func,
                gpointer user_data)
{
  gsize used = 0;

  while (used < size && section->active) {
    gsize target = section->want != 0 ? section->want : 3;
    gsize n = MIN (size - used, target - section->have);

    memcpy (section->data + section->have, data + used, n);
    section->have = (guint16)(section->have + n);
    used += n;
    if (section->have < target)
      break;
    if (section->want == 0) {
      section->want = (guint16)(3 + ((section->data[1] & 0x0f) << 8 | section->data[2]));
      if (section->want > KR_TS_SECTION_MAX) {
        section_reset (section);
        return size;
      }
      if (section->have < section->want)
        continue;
    }
    func (section->data, section->want, user_data);
    section_reset (section);
  }
  return used;
}

void
kr_ts_section_push (KrTsSection *section, const guint8 *packet, KrTsSectionFunc func,
                    gpointer user_data)
{
  guint offset = kr_ts_payload_offset (packet);
  guint counter = kr_ts_counter (packet);
  const guint8 *data;
  gsize size;

  if (offset >= KR_TS_PACKET_SIZE || kr_ts_has_error (packet))
    return;
  data = packet + offset;
  size = KR_TS_PACKET_SIZE - offset;

  if (section->active && counter == section->counter)
    return; /* the one repetition that is allowed */
  if (section->active && counter != ((section->counter + 1u) & 0x0f))
    section_reset (section);
  section->counter = (guint8)counter;

  if (!kr_ts_starts_unit (packet)) {
    section_append (section, data, size, func, user_data);
    return;
  }
  if (data[0] >= size) {
    section_reset (section);
    return;
  }
  section_append (section, data + 1, data[0], func, user_data);
  section_reset (section);
  size -= 1u + data[0];
  data += 1u + data[0];
  while (size > 0 && data[0] != 0xff) {
    gsize used;

    section->active = TRUE;
    used = section_append (section, data, size, func, user_data);
    data += used;
    size -= used;
  }
}

/* --- PAT and PMT --------------------------------------------------------------------- */

static gboolean
has_section_syntax (const guint8 *section, gsize size, guint8 table_id, gsize min_size)
{
  return size >= min_size && size <= KR_TS_SECTION_MAX && section[0] == table_id &&
         (section[1] & 0x80) != 0 &&
         (gsize)(3 + ((section[1] & 0x0f) << 8 | section[2])) == size;
}

gboolean
kr_ts_parse_pat (const guint8 *section, gsize size, KrTsPat *ret_pat)
{
  gsize end = size - CRC_SIZE;

  if (!has_section_syntax (section, size, KR_TS_TABLE_PAT, HEADER_SIZE + CRC_SIZE) ||
      (end - HEADER_SIZE) % 4 != 0 || kr_ts_crc32 (section, size) != 0)
    return FALSE;

  memset (ret_pat, 0, sizeof *ret_pat);
  ret_pat->stream_id = (guint16)(section[3] << 8 | section[4]);
  ret_pat->version = section[5] >> 1 & 0x1f;
  ret_pat->current = section[5] & 1;
  ret_pat->section_number = section[6];
  ret_pat->last_section_number = section[7];
  for (gsize i = HEADER_SIZE; i < end && ret_pat->n_entries < KR_TS_MAX_PROGRAMS; i += 4) {
    KrTsPatEntry *entry = &ret_pat->entries[ret_pat->n_entries++];

    entry->number = (guint16)(section[i] << 8 | section[i + 1]);
    entry->pmt_pid = (guint16)((section[i + 2] & 0x1f) << 8 | section[i + 3]);
  }
  return TRUE;
}

static const struct {
  const char *name;
  KrTsKind kind;
} codecs[] = {
    [KR_TS_CODEC_UNKNOWN] = {"unknown", KR_TS_KIND_OTHER},
    [KR_TS_CODEC_MPEG1_VIDEO] = {"mpeg1v", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_MPEG2_VIDEO] = {"mpeg2v", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_MPEG4_VIDEO] = {"mpeg4v", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_H264] = {"h264", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_H265] = {"h265", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_H266] = {"vvc", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_DIRAC] = {"dirac", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_VC1] = {"vc1", KR_TS_KIND_VIDEO},
    [KR_TS_CODEC_MPEG_AUDIO] = {"mp2", KR_TS_KIND_AUDIO},
    [KR_TS_CODEC_AAC_ADTS] = {"aac-adts", KR_TS_KIND_AUDIO},
    [KR_TS_CODEC_AAC_LATM] = {"aac-latm", KR_TS_KIND_AUDIO},
    [KR_TS_CODEC_AC3] = {"ac3", KR_TS_KIND_AUDIO},
    [KR_TS_CODEC_EAC3] = {"eac3", KR_TS_KIND_AUDIO},
    [KR_TS_CODEC_OPUS] = {"opus", KR_TS_KIND_AUDIO},
};
G_STATIC_ASSERT (G_N_ELEMENTS (codecs) == KR_TS_N_CODECS);

const char *
kr_ts_codec_name (KrTsCodec codec)
{
  g_return_val_if_fail ((guint)codec < KR_TS_N_CODECS, NULL);
  return codecs[codec].name;
}

static KrTsCodec
codec_from_stream_type (guint8 stream_type)
{
  switch (stream_type) {
  case 0x01:
    return KR_TS_CODEC_MPEG1_VIDEO;
  case 0x02:
    return KR_TS_CODEC_MPEG2_VIDEO;
  case 0x03:
  case 0x04:
    return KR_TS_CODEC_MPEG_AUDIO;
  case 0x0f:
    return KR_TS_CODEC_AAC_ADTS;
  case 0x10:
    return KR_TS_CODEC_MPEG4_VIDEO;
  case 0x11:
    return KR_TS_CODEC_AAC_LATM;
  case 0x1b:
    return KR_TS_CODEC_H264;
  case 0x24:
    return KR_TS_CODEC_H265;
  case 0x33:
    return KR_TS_CODEC_H266;
  case 0x81:
    return KR_TS_CODEC_AC3;
  case 0x87:
    return KR_TS_CODEC_EAC3;
  case 0xd1:
    return KR_TS_CODEC_DIRAC;
  case 0xea:
    return KR_TS_CODEC_VC1;
  default:
    return KR_TS_CODEC_UNKNOWN;
  }
}

static KrTsCodec
codec_from_registration (const guint8 *format)
{
  static const struct {
    char format[5];
    KrTsCodec codec;
  } known[] = {
      {"Opus", KR_TS_CODEC_OPUS}, {"AC-3", KR_TS_CODEC_AC3},   {"EAC3", KR_TS_CODEC_EAC3},
      {"HEVC", KR_TS_CODEC_H265}, {"drac", KR_TS_CODEC_DIRAC}, {"VC-1", KR_TS_CODEC_VC1},
  };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    if (memcmp (format, known[i].format, 4) == 0)
      return known[i].codec;
  }
  return KR_TS_CODEC_UNKNOWN;
}

/* Private types (0x06 and up) say in their descriptors what they are: DVB (EN 300 468) has a
 * descriptor per codec, others use the registration descriptor. */
static KrTsCodec
codec_from_descriptors (const guint8 *data, gsize size)
{
  KrTsCodec codec = KR_TS_CODEC_UNKNOWN;

  while (size >= 2 && codec == KR_TS_CODEC_UNKNOWN) {
    gsize length = data[1];

    if (length > size - 2)
      break;
    if (data[0] == 0x05 && length >= 4)
      codec = codec_from_registration (data + 2);
    else if (data[0] == 0x6a || data[0] == 0x81)
      codec = KR_TS_CODEC_AC3;
    else if (data[0] == 0x7a)
      codec = KR_TS_CODEC_EAC3;
    data += 2 + length;
    size -= 2 + length;
  }
  return codec;
}

gboolean
kr_ts_parse_pmt (const guint8 *section, gsize size, KrTsPmt *ret_pmt)
{
  gsize end = size - CRC_SIZE;
  gsize i;

  if (!has_section_syntax (section, size, KR_TS_TABLE_PMT, HEADER_SIZE + 4 + CRC_SIZE))
    return FALSE;
  i = HEADER_SIZE + 4 + ((section[10] & 0x0f) << 8 | section[11]);
  if (i > end || kr_ts_crc32 (section, size) != 0)
    return FALSE;

  memset (ret_pmt, 0, sizeof *ret_pmt);
  ret_pmt->program = (guint16)(section[3] << 8 | section[4]);
  ret_pmt->version = section[5] >> 1 & 0x1f;
  ret_pmt->current = section[5] & 1;
  ret_pmt->pcr_pid = (guint16)((section[8] & 0x1f) << 8 | section[9]);
  while (i + 5 <= end && ret_pmt->n_entries < KR_TS_MAX_STREAMS) {
    KrTsPmtEntry *entry = &ret_pmt->entries[ret_pmt->n_entries++];
    gsize room = end - (i + 5);

    entry->stream_type = section[i];
    entry->pid = (guint16)((section[i + 1] & 0x1f) << 8 | section[i + 2]);
    entry->descriptors_offset = (guint16)(i + 5);
    entry->descriptors_size =
        (guint16)MIN ((gsize)((section[i + 3] & 0x0f) << 8 | section[i + 4]), room);
    entry->codec = codec_from_stream_type (entry->stream_type);
    if (entry->codec == KR_TS_CODEC_UNKNOWN)
      entry->codec = codec_from_descriptors (section + i + 5, entry->descriptors_size);
    entry->kind = codecs[entry->codec].kind;
    i += 5u + entry->descriptors_size;
  }
  return TRUE;
}

/* --- sections into packets ----------------------------------------------------------- */

void
kr_ts_section_seal (guint8 *section, gsize size)
{
  guint32 crc;

  g_return_if_fail (size > CRC_SIZE);
  crc = kr_ts_crc32 (section, size - CRC_SIZE);
  section[size - 4] = (guint8)(crc >> 24);
  section[size - 3] = (guint8)(crc >> 16);
  section[size - 2] = (guint8)(crc >> 8);
  section[size - 1] = (guint8)crc;
}

void
kr_ts_section_set_version (guint8 *section, gsize size, guint version)
{
  g_return_if_fail (size >= HEADER_SIZE + CRC_SIZE);
  section[5] = (guint8)((section[5] & 0xc1) | (version & 0x1f) << 1);
  kr_ts_section_seal (section, size);
}

guint
kr_ts_packetize (const guint8 *section, gsize size, guint pid, guint counter, guint8 *out)
{
  guint n = 0;
  gsize done = 0;

  g_return_val_if_fail (size <= KR_TS_SECTION_MAX, 0);
  while (done < size) {
    guint8 *packet = out + (gsize)n * KR_TS_PACKET_SIZE;
    guint offset = 4;
    gsize part;

    memset (packet, 0xff, KR_TS_PACKET_SIZE);
    packet[0] = KR_TS_SYNC_BYTE;
    packet[1] = n == 0 ? 0x40 : 0;
    packet[2] = 0;
    packet[3] = (guint8)(KR_TS_AFC_PAYLOAD | ((counter + n) & 0x0f));
    kr_ts_set_pid (packet, pid);
    if (n == 0)
      packet[offset++] = 0; /* pointer_field */
    part = MIN (size - done, KR_TS_PACKET_SIZE - offset);
    memcpy (packet + offset, section + done, part);
    done += part;
    n++;
  }
  return n;
}

/* --- looking for tables -------------------------------------------------------------- */

typedef struct {
  KrTsSection pat_section, pmt_section;
  KrTsPat pat;
  gboolean has_pat, has_pmt;
  guint pmt_pid; /* the PID pmt_section is about */
} TableSearch;

static void
on_pat (const guint8 *data, gsize size, gpointer user_data)
{
  TableSearch *search = user_data;

  if (kr_ts_parse_pat (data, size, &search->pat))
    search->has_pat = TRUE;
}

static void
on_pmt (const guint8 *data, gsize size, gpointer user_data)
{
  TableSearch *search = user_data;
  KrTsPmt pmt;

  if (!kr_ts_parse_pmt (data, size, &pmt))
    return;
  for (guint i = 0; i < search->pat.n_entries; i++) {
    const KrTsPatEntry *entry = &search->pat.entries[i];

    if (entry->number == pmt.program && entry->pmt_pid == search->pmt_pid)
      search->has_pmt = TRUE;
  }
}

static gboolean
is_pmt_pid (const TableSearch *search, guint pid)
{
  for (guint i = 0; i < search->pat.n_entries; i++) {
    if (search->pat.entries[i].number != 0 && search->pat.entries[i].pmt_pid == pid)
      return TRUE;
  }
  return FALSE;
}

static void
search_packet (TableSearch *search, const guint8 *packet)
{
  guint pid = kr_ts_pid (packet);

  if (pid == KR_TS_PID_PAT) {
    kr_ts_section_push (&search->pat_section, packet, on_pat, search);
  } else if (search->has_pat && is_pmt_pid (search, pid)) {
    /* One assembler is enough: one good PMT of any program answers the question, and PMTs that
     * take turns packet by packet do not go on for ever. */
    if (pid != search->pmt_pid || kr_ts_starts_unit (packet)) {
      section_reset (&search->pmt_section);
      search->pmt_pid = pid;
    }
    kr_ts_section_push (&search->pmt_section, packet, on_pmt, search);
  }
}

gboolean
kr_ts_has_tables (const guint8 *data, gsize size)
{
  TableSearch search = {.pmt_pid = KR_TS_PID_NULL};
  gsize i = 0;

  while (i + KR_TS_PACKET_SIZE <= size && !search.has_pmt) {
    if (data[i] == KR_TS_SYNC_BYTE) {
      search_packet (&search, data + i);
      i += KR_TS_PACKET_SIZE;
    } else {
      gsize skip;

      if (!kr_ts_find_sync (data + i, size - i, &skip))
        break;
      i += skip;
    }
  }
  return search.has_pmt;
}

void
kr_ts_continue_counters (guint8 *header, gsize header_size, const guint8 *before,
                         gsize before_size)
{
  gsize end = before_size - before_size % KR_TS_PACKET_SIZE;

  for (gsize h = 0; h + KR_TS_PACKET_SIZE <= header_size; h += KR_TS_PACKET_SIZE) {
    guint pid = kr_ts_pid (header + h);
    guint n_same = 0;

    /* Several packets of one PID: the last of them carries the last counter. */
    for (gsize i = h + KR_TS_PACKET_SIZE; i + KR_TS_PACKET_SIZE <= header_size;
         i += KR_TS_PACKET_SIZE)
      n_same += kr_ts_pid (header + i) == pid;
    for (gsize i = end; i >= KR_TS_PACKET_SIZE; i -= KR_TS_PACKET_SIZE) {
      const guint8 *packet = before + i - KR_TS_PACKET_SIZE;

      if (packet[0] == KR_TS_SYNC_BYTE && kr_ts_pid (packet) == pid) {
        kr_ts_set_counter (header + h, kr_ts_counter (packet) - n_same);
        break;
      }
    }
  }
}
