/* keeprolling - tests of common/mpegts, mpegts-psi and mpegts-keyframe
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-keyframe.h"
#include "plugins/common/mpegts-tables.h"

#include <string.h>

#include "tests/support/kr-test.h"
#include "tests/support/kr-ts.h"

static void
test_clock_round_trip (void)
{
  static const guint64 values[] = {
      0, 299, 300, 27000000, KR_TS_PCR_MODULUS - 1, KR_TS_PCR_MODULUS - 300};
  guint8 bytes[6];

  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    memset (bytes, 0xff, sizeof bytes);
    kr_ts_write_pcr (bytes, values[i]);
    g_assert_cmpuint (kr_ts_read_pcr (bytes), ==, values[i]);
    g_assert_cmpuint (bytes[4] & 0x7e, ==, 0x7e); /* reserved bits stay */
    kr_ts_shift_pcr (bytes, KR_TS_STAMP_MODULUS - 1);
    kr_ts_shift_pcr (bytes, 1);
    g_assert_cmpuint (kr_ts_read_pcr (bytes), ==, values[i]);
  }
}

static void
test_stamp_round_trip (void)
{
  static const guint64 values[] = {0,
                                   1,
                                   0x7fff,
                                   0x8000,
                                   90000,
                                   KR_TS_STAMP_MODULUS - 1,
                                   G_GUINT64_CONSTANT (0x155555555),
                                   0xaaaaaaaa};

  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    guint8 bytes[5] = {0x31, 0xff, 0x01, 0xff, 0x01};

    kr_ts_write_stamp (bytes, values[i]);
    g_assert_cmpuint (kr_ts_read_stamp (bytes), ==, values[i]);
    g_assert_cmpuint (bytes[0] & 0xf1, ==, 0x31);
    g_assert_cmpuint (bytes[2] & 1, ==, 1);
    g_assert_cmpuint (bytes[4] & 1, ==, 1);
  }
}

static void
test_distance (void)
{
  g_assert_cmpint (kr_ts_stamp_distance (5, KR_TS_STAMP_MODULUS - 5), ==, 10);
  g_assert_cmpint (kr_ts_stamp_distance (KR_TS_STAMP_MODULUS - 5, 5), ==, -10);
  g_assert_cmpint (kr_ts_pcr_distance (5, KR_TS_PCR_MODULUS - 5), ==, 10);
  g_assert_cmpint (kr_ts_pcr_distance (KR_TS_PCR_MODULUS - 5, 5), ==, -10);
  g_assert_cmpint (kr_ts_pcr_distance (7, 7), ==, 0);
}

/* An adaptation field that lies about its length must not lead outside the packet. */
static void
test_lying_adaptation (void)
{
  guint8 packet[KR_TS_PACKET_SIZE] = {KR_TS_SYNC_BYTE, 0x41, 0x00, 0x30};

  for (guint length = 0; length < 256; length++) {
    packet[4] = (guint8)length;
    packet[5] = 0xff;
    g_assert_cmpuint (kr_ts_payload_offset (packet), <=, KR_TS_PACKET_SIZE);
    g_assert_cmpuint (kr_ts_pcr_offset (packet), ==, length >= 7 ? 6 : 0);
    g_assert_cmpuint (kr_ts_opcr_offset (packet), ==, length >= 13 ? 12 : 0);
  }
  packet[3] = 0x10;
  g_assert_cmpuint (kr_ts_payload_offset (packet), ==, 4);
  g_assert_cmpuint (kr_ts_pcr_offset (packet), ==, 0);
}

static void
test_pes_headers (void)
{
  guint8 pes[19] = {0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10};
  KrTsPes found;

  g_assert_true (kr_ts_parse_pes (pes, sizeof pes, &found));
  g_assert_cmpuint (found.pts_offset, ==, 9);
  g_assert_cmpuint (found.dts_offset, ==, 14);
  g_assert_true (found.complete);
  g_assert_true (kr_ts_parse_pes (pes, 15, &found));
  g_assert_false (found.complete);
  g_assert_cmpuint (found.dts_offset, ==, 0);
  pes[8] = 4; /* claims a PTS but has no room for it */
  g_assert_true (kr_ts_parse_pes (pes, sizeof pes, &found));
  g_assert_cmpuint (found.pts_offset, ==, 0);
  pes[3] = 0xbe;
  g_assert_true (kr_ts_parse_pes (pes, sizeof pes, &found));
  g_assert_cmpuint (found.payload_offset, ==, 6);
  pes[2] = 2;
  g_assert_false (kr_ts_parse_pes (pes, sizeof pes, &found));
}

static void
test_find_sync (void)
{
  guint8 data[1000] = {0};
  gsize offset = 77;

  g_assert_false (kr_ts_find_sync (data, sizeof data, &offset));
  data[3] = data[3 + 188] = 0x47;
  g_assert_false (kr_ts_find_sync (data, sizeof data, &offset));
  g_assert_cmpuint (offset, ==, 77);
  data[3 + 376] = 0x47;
  g_assert_true (kr_ts_find_sync (data, sizeof data, &offset));
  g_assert_cmpuint (offset, ==, 3);
  g_assert_true (kr_ts_find_sync (data, 3 + 377, &offset));
  g_assert_false (kr_ts_find_sync (data, 3 + 376, &offset));
}

static void
test_packet_sizes (void)
{
  static const guint sizes[] = {188, 192, 204, 208};
  g_autofree guint8 *data = g_malloc0 (208 * 8);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    memset (data, 0, 208 * 8);
    for (guint k = 0; k < 6; k++)
      data[4 + k * sizes[i]] = 0x47;
    g_assert_cmpuint (kr_ts_detect_packet_size (data, 208 * 6), ==, sizes[i]);
  }
  memset (data, 0, 208 * 8);
  g_assert_cmpuint (kr_ts_detect_packet_size (data, 208 * 8), ==, 0);
}

static void
test_clean_end (void)
{
  g_autofree guint8 *data = g_malloc0 (188 * 10);

  data[0] = data[188] = 0x47;
  g_assert_cmpuint (kr_ts_clean_end (data, 188 * 10), ==, 188 * 2);
  g_assert_cmpuint (kr_ts_clean_end (data, 188 * 2 + 100), ==, 188 * 2);
  data[188 * 10 - 1] = 1; /* merely begins with zeros */
  g_assert_cmpuint (kr_ts_clean_end (data, 188 * 10), ==, 188 * 10);
  g_assert_cmpuint (kr_ts_clean_end (data, 187), ==, 0);
  g_assert_cmpuint (kr_ts_clean_end (data + 188 * 3, 188 * 3), ==, 0);
}

static void
test_crc (void)
{
  /* The check value of CRC-32/MPEG-2. */
  g_assert_cmphex (kr_ts_crc32 ((const guint8 *)"123456789", 9), ==, 0x0376e6e7);
}

/* Behind everything else that may be in an adaptation field, and never outside of it. */
static void
test_next_dts (void)
{
  guint8 packet[188] = {0x47, 1, 0, 0x30};
  guint at = 6 + 6 + 6 + 1 + 1 + 4;

  for (guint length = 0; length <= 255; length++) {
    packet[4] = (guint8)length;
    packet[5] = 0x1f;
    packet[19] = 4; /* private data */
    packet[at] = 1 + 2 + 3 + 5;
    packet[at + 1] = 0xe0;
    g_assert_cmpuint (kr_ts_next_dts_offset (packet), ==, length >= at + 7 ? at + 7 : 0);
    packet[at]--; /* the extension ends before it does */
    g_assert_cmpuint (kr_ts_next_dts_offset (packet), ==, 0);
    packet[at]++;
    packet[19] = (guint8)length;
    (void)kr_ts_next_dts_offset (packet);
  }
  packet[4] = 100;
  packet[5] = KR_TS_ADAPTATION_EXTENSION;
  packet[6] = 6;
  packet[7] = 0x20;
  g_assert_cmpuint (kr_ts_next_dts_offset (packet), ==, 8);
  packet[7] = 0;
  g_assert_cmpuint (kr_ts_next_dts_offset (packet), ==, 0);
}

/* PMTs of two programs in one packet: both are told. */
static void
test_packed_sections (void)
{
  const guint programs[] = {7, 0x100, 9, 0x100, 0, 0};
  const guint streams[] = {0x1b, 0x200, 0, 0};
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsTables) tables = kr_ts_tables_new ();
  guint8 *first, *second;
  gsize size;

  kr_ts_make_pat (maker, 0, programs);
  kr_ts_make_pmt (maker, 0x100, 7, 0, 0x200, streams, 0);
  kr_ts_make_pmt (maker, 0x100, 9, 0, 0x200, streams, 0);
  first = maker->bytes->data + 188;
  second = first + 188;
  size = 3u + second[7];
  memcpy (first + 5 + size, second + 5, size);
  kr_ts_tables_push (tables, maker->bytes->data);
  g_assert_cmpuint (kr_ts_tables_push (tables, first), ==,
                    KR_TS_TABLES_PMT | KR_TS_TABLES_SEEN);
  g_assert_cmpuint (tables->n_changed, ==, 2);
  g_assert_true (kr_ts_tables_complete (tables));
  g_assert_cmpuint (tables->changed[0]->number + tables->changed[1]->number, ==, 16);
}

static void
test_tables_over_packets (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsTables) tables = kr_ts_tables_new ();
  const guint programs[] = {7, 0x200, 9, 0x300, 0, 0};
  const guint streams[] = {0x1b, 0x100, 0x0f, 0x101, 0, 0};
  KrTsTablesChange change = KR_TS_TABLES_SAME;

  kr_ts_make_pat (maker, 3, programs);
  kr_ts_make_pmt (maker, 0x200, 7, 1, 0x100, streams, 600);
  kr_ts_make_pmt (maker, 0x300, 9, 1, 0x1fff, streams, 0);
  g_assert_cmpuint (maker->bytes->len, ==, 188 * 6);
  for (guint i = 0; i < maker->bytes->len; i += 188) {
    g_assert_false (kr_ts_tables_complete (tables));
    g_assert_true (kr_ts_tables_wants (tables, kr_ts_pid (maker->bytes->data + i)));
    change = kr_ts_tables_push (tables, maker->bytes->data + i);
  }
  g_assert_true ((change & KR_TS_TABLES_PMT) != 0);
  g_assert_true (kr_ts_tables_complete (tables));
  g_assert_cmpuint (tables->pat.version, ==, 3);
  g_assert_cmpuint (kr_ts_tables_find (tables, 7)->pmt.n_entries, ==, 2);
  g_assert_cmpuint (kr_ts_tables_find (tables, 7)->pmt.entries[1].codec, ==,
                    KR_TS_CODEC_AAC_ADTS);
  g_assert_cmpuint (kr_ts_tables_find (tables, 9)->pmt.pcr_pid, ==, 0x1fff);
  g_assert_null (kr_ts_tables_find (tables, 8));
  g_assert_true (kr_ts_has_tables (maker->bytes->data, maker->bytes->len));
  g_assert_false (kr_ts_has_tables (maker->bytes->data, 188 * 2));
}

static void
test_bad_crc_is_no_table (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsTables) tables = kr_ts_tables_new ();
  const guint programs[] = {7, 0x200, 0, 0};

  kr_ts_make_pat (maker, 3, programs);
  maker->bytes->data[15] ^= 1;
  g_assert_cmpuint (kr_ts_tables_push (tables, maker->bytes->data), ==,
                    KR_TS_TABLES_SEEN | KR_TS_TABLES_CRC);
  g_assert_false (tables->has_pat);
}

static void
test_continue_counters (void)
{
  g_autoptr (KrTsMaker) before = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) header = kr_ts_maker_new ();
  const guint programs[] = {1, 0x200, 0, 0};
  const guint streams[] = {0x1b, 0x100, 0, 0};

  for (guint i = 0; i < 7; i++)
    kr_ts_make_pat (before, 0, programs);
  kr_ts_make_pmt (before, 0x200, 1, 0, 0x100, streams, 500);
  kr_ts_make_pat (header, 0, programs);
  kr_ts_make_pmt (header, 0x200, 1, 0, 0x100, streams, 500);
  header->bytes->data[3] |= 0x0f;
  kr_ts_continue_counters (header->bytes->data, header->bytes->len, before->bytes->data,
                           before->bytes->len);
  g_assert_cmpuint (kr_ts_counter (header->bytes->data), ==, 6);
  g_assert_cmpuint (kr_ts_counter (header->bytes->data + 188), ==, 0);
  g_assert_cmpuint (kr_ts_counter (header->bytes->data + 188 * 3), ==, 2);
}

typedef struct {
  const char *name;
  KrTsCodec codec;
  KrTsKeyframe verdict;
  guint8 size;
  guint8 bytes[40];
} KeyframeCase;

static const KeyframeCase keyframes[] = {
    {"h264/idr",
     KR_TS_CODEC_H264,
     KR_TS_KEYFRAME_YES,
     12,
     {0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 1}},
    {"h264/slice",
     KR_TS_CODEC_H264,
     KR_TS_KEYFRAME_NO,
     12,
     {0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x41, 1}},
    {"h264/recovery", KR_TS_CODEC_H264, KR_TS_KEYFRAME_YES, 30, {0,    0, 1, 0x67, 1,    2,
                                                                 3,    0, 0, 1,    6,    1,
                                                                 2,    9, 9, 6,    1,    0x84,
                                                                 0x80, 0, 0, 1,    0x41, 1}},
    {"h264/recovery-without-sps",
     KR_TS_CODEC_H264,
     KR_TS_KEYFRAME_NO,
     30,
     {0, 0, 1, 6, 6, 1, 0x84, 0x80, 0, 0, 1, 0x41, 1}},
    /* The payload of another SEI message holds a 6 where a type would stand. */
    {"h264/sei-payload", KR_TS_CODEC_H264, KR_TS_KEYFRAME_NO, 30, {0,    0, 1, 0x67, 1,    0, 0,
                                                                   1,    6, 5, 3,    6,    6, 6,
                                                                   0x80, 0, 0, 1,    0x41, 1}},
    {"h264/undecided",
     KR_TS_CODEC_H264,
     KR_TS_KEYFRAME_UNDECIDED,
     10,
     {0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67}},
    {"h265/cra",
     KR_TS_CODEC_H265,
     KR_TS_KEYFRAME_YES,
     12,
     {0, 0, 1, 0x46, 1, 0, 0, 1, 0x2a, 1}},
    {"h265/trail",
     KR_TS_CODEC_H265,
     KR_TS_KEYFRAME_NO,
     12,
     {0, 0, 1, 0x46, 1, 0, 0, 1, 0x02, 1}},
    {"h266/idr", KR_TS_CODEC_H266, KR_TS_KEYFRAME_YES, 6, {0, 0, 1, 0, 7 << 3, 1}},
    {"mpeg2/sequence", KR_TS_CODEC_MPEG2_VIDEO, KR_TS_KEYFRAME_YES, 6, {0, 0, 1, 0xb3, 1}},
    {"mpeg2/picture", KR_TS_CODEC_MPEG2_VIDEO, KR_TS_KEYFRAME_NO, 6, {0, 0, 1, 0x00, 1}},
    {"mpeg2/gop", KR_TS_CODEC_MPEG2_VIDEO, KR_TS_KEYFRAME_UNDECIDED, 6, {0, 0, 1, 0xb8, 1}},
    {"mpeg4/intra", KR_TS_CODEC_MPEG4_VIDEO, KR_TS_KEYFRAME_YES, 6, {0, 0, 1, 0xb6, 0x10}},
    {"mpeg4/predicted", KR_TS_CODEC_MPEG4_VIDEO, KR_TS_KEYFRAME_NO, 6, {0, 0, 1, 0xb6, 0x50}},
};

static void
test_keyframe (gconstpointer data)
{
  const KeyframeCase *c = data;

  for (guint cut = 0; cut < c->size; cut++) { /* split anywhere */
    KrTsKeyframeScan scan;
    KrTsKeyframe verdict;

    kr_ts_keyframe_begin (&scan, c->codec);
    verdict = kr_ts_keyframe_push (&scan, c->bytes, cut);
    if (verdict == KR_TS_KEYFRAME_UNDECIDED)
      verdict = kr_ts_keyframe_push (&scan, c->bytes + cut, c->size - cut);
    g_assert_cmpint (verdict, ==, c->verdict);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/common/mpegts/clock", test_clock_round_trip);
  g_test_add_func ("/common/mpegts/stamp", test_stamp_round_trip);
  g_test_add_func ("/common/mpegts/distance", test_distance);
  g_test_add_func ("/common/mpegts/lying-adaptation", test_lying_adaptation);
  g_test_add_func ("/common/mpegts/pes", test_pes_headers);
  g_test_add_func ("/common/mpegts/find-sync", test_find_sync);
  g_test_add_func ("/common/mpegts/packet-sizes", test_packet_sizes);
  g_test_add_func ("/common/mpegts/clean-end", test_clean_end);
  g_test_add_func ("/common/mpegts/crc", test_crc);
  g_test_add_func ("/common/mpegts/tables", test_tables_over_packets);
  g_test_add_func ("/common/mpegts/next-dts", test_next_dts);
  g_test_add_func ("/common/mpegts/packed-sections", test_packed_sections);
  g_test_add_func ("/common/mpegts/bad-crc", test_bad_crc_is_no_table);
  g_test_add_func ("/common/mpegts/continue-counters", test_continue_counters);
  for (guint i = 0; i < G_N_ELEMENTS (keyframes); i++) {
    g_autofree char *path = g_strconcat ("/common/mpegts/keyframe/", keyframes[i].name, NULL);

    g_test_add_data_func (path, &keyframes[i], test_keyframe);
  }
  return g_test_run ();
}
