/* keeprolling - tests of core/ts-analysis
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis.h"

#include <string.h>

#include "tests/support/kr-test.h"
#include "tests/support/kr-ts.h"

#define VIDEO 0x100
#define AUDIO 0x101
#define PMT   0x1000
/* In 100 frames of 40 ms, 24 ms each. */
#define AUDIO_UNITS 167

static KrTsReport *
analyze (const GByteArray *bytes, gsize block)
{
  g_autoptr (KrTsAnalysis) analysis = kr_ts_analysis_new (NULL);

  for (gsize i = 0; i < bytes->len; i += block)
    kr_ts_analysis_push (analysis, bytes->data + i, MIN (block, bytes->len - i));
  return kr_ts_analysis_finish (analysis);
}

/* The packet that begins the @n-th unit of @pid. */
static guint8 *
unit (GByteArray *bytes, guint pid, guint n)
{
  for (guint i = 0; i < bytes->len; i += 188) {
    guint8 *p = bytes->data + i;

    if (kr_ts_pid (p) == pid && kr_ts_starts_unit (p) && n-- == 0)
      return p;
  }
  g_assert_not_reached ();
}

static void
cut (GByteArray *bytes, const guint8 *p, guint packets)
{
  g_byte_array_remove_range (bytes, (guint)(p - bytes->data), packets * 188);
}

static void
shift (GByteArray *bytes, guint pid, guint from, guint upto, gint64 ticks, gboolean pcr,
       gboolean stamps)
{
  guint64 by = (KR_TS_STAMP_MODULUS + (guint64)ticks) % KR_TS_STAMP_MODULUS;

  for (guint n = from; n < upto; n++) {
    guint8 *p = unit (bytes, pid, n);
    guint8 *pes = p + kr_ts_payload_offset (p);
    KrTsPes found;

    g_assert_true (kr_ts_parse_pes (pes, 30, &found));
    if (pcr && kr_ts_pcr_offset (p) != 0)
      kr_ts_shift_pcr (p + kr_ts_pcr_offset (p), by);
    if (!stamps)
      continue;
    kr_ts_write_stamp (pes + found.pts_offset, kr_ts_read_stamp (pes + found.pts_offset) + by);
    if (found.dts_offset != 0)
      kr_ts_write_stamp (pes + found.dts_offset,
                         kr_ts_read_stamp (pes + found.dts_offset) + by);
  }
}

/* --- what goes wrong, one at a time -------------------------------------------------- */

static void
lose_packet (GByteArray *b)
{
  cut (b, unit (b, VIDEO, 30) + 188, 1);
}

static void
bad_transport (GByteArray *b)
{
  unit (b, VIDEO, 30)[188 + 1] |= 0x80;
}

static void
bad_table (GByteArray *b)
{
  unit (b, PMT, 9)[20] ^= 0x10;
}

static void
no_sync (GByteArray *b)
{
  cut (b, unit (b, VIDEO, 30), 1);
  g_byte_array_remove_range (b, (guint)(unit (b, VIDEO, 40) - b->data) + 10, 50);
}

static void
no_tables (GByteArray *b)
{
  for (guint n = 0; n < 9; n++) {
    cut (b, unit (b, 0, 10), 1);
    cut (b, unit (b, PMT, 10), 1);
  }
}

static void
clock_back (GByteArray *b)
{
  shift (b, VIDEO, 50, 100, -90000, TRUE, FALSE);
}

static void
clock_forward (GByteArray *b)
{
  shift (b, VIDEO, 50, 100, 13500, TRUE, FALSE);
}

static void
clock_far_forward (GByteArray *b)
{
  shift (b, VIDEO, 50, 100, -11 * 90000, TRUE, FALSE);
}

static void
no_stamp (GByteArray *b)
{
  guint8 *p = unit (b, AUDIO, 20);

  p[kr_ts_payload_offset (p) + 7] = 0;
}

static void
broken_header (GByteArray *b)
{
  guint8 *p = unit (b, AUDIO, 30);

  p[kr_ts_payload_offset (p) + 6] = 0; /* no '10' */
}

static void
display_before_decode (GByteArray *b)
{
  guint8 *p = unit (b, VIDEO, 20);
  guint8 *pts = p + kr_ts_payload_offset (p) + 9;

  kr_ts_write_stamp (pts, kr_ts_read_stamp (pts) - 9000);
}

static void
same_stamp (GByteArray *b)
{
  shift (b, VIDEO, 50, 51, -3600, FALSE, TRUE);
}

static void
both_back (GByteArray *b)
{
  shift (b, AUDIO, 80, AUDIO_UNITS, -9000, FALSE, TRUE);
}

static void
audio_hole (GByteArray *b)
{
  shift (b, AUDIO, 80, AUDIO_UNITS, 4500, FALSE, TRUE);
}

static void
audio_far (GByteArray *b)
{
  shift (b, AUDIO, 80, AUDIO_UNITS, 45000, FALSE, TRUE);
}

static void
audio_drifts (GByteArray *b)
{
  for (guint n = 0; n < AUDIO_UNITS; n++)
    shift (b, AUDIO, n, n + 1, n * 4, FALSE, TRUE);
}

static void
audio_broken (GByteArray *b)
{
  guint8 *p = unit (b, AUDIO, 20);

  p[kr_ts_payload_offset (p) + 14 + 2] = 0x94; /* claims to be shorter than it is */
}

static void
same_picture (GByteArray *b)
{
  guint8 *from = unit (b, VIDEO, 30), *to = unit (b, VIDEO, 31);
  guint n = 0;

  for (; from < b->data + b->len && n < 9; from += 188) {
    if (kr_ts_pid (from) != VIDEO)
      continue;
    while (kr_ts_pid (to) != VIDEO)
      to += 188;
    if (n++ == 0)
      memcpy (to + kr_ts_payload_offset (to) + 19, from + kr_ts_payload_offset (from) + 19,
              188 - kr_ts_payload_offset (from) - 19);
    else
      memcpy (to + kr_ts_payload_offset (to), from + kr_ts_payload_offset (from),
              188 - kr_ts_payload_offset (from));
    to += 188;
  }
}

static void
restart (GByteArray *b)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  g_byte_array_append (b, maker->bytes->data, maker->bytes->len);
}

static void
other_streams (GByteArray *b)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .no_audio = TRUE});
  g_byte_array_append (b, maker->bytes->data, maker->bytes->len);
}

typedef struct {
  const char *name;
  void (*harm) (GByteArray *bytes);
  const char *found; /* exactly these, "kind=count"; a count of + is any */
} Case;

static const Case cases[] = {
    {"lost-packet", lose_packet, "cc=1"},
    {"transport-error", bad_transport, "cc=1 tei=1"},
    {"crc", bad_table, "crc=1"},
    {"sync", no_sync, "cc=+ sync_loss=1 pts_gap=+"},
    {"tables", no_tables, "cc=2 pat_interval=1 pmt_interval=1"},
    {"clock-back", clock_back, "pcr_backward=1"},
    {"clock-forward", clock_forward, "pcr_discont=1 pcr_interval=1"},
    {"clock-far", clock_far_forward, "pcr_backward=1 lead_big=+"},
    {"no-pts", no_stamp, "no_pts=1 audio_gap=1"},
    {"broken-header", broken_header, "no_pts=1 audio_gap=1"},
    {"pts-lt-dts", display_before_decode, "pts_lt_dts=1 pts_gap=1"},
    {"same-stamp", same_stamp, "dts_equal=1 pts_dup=1 pts_gap=1"},
    {"audio-back", both_back, "dts_back=1 audio_overlap=1"},
    {"audio-hole", audio_hole, "audio_gap=1"},
    {"audio-far", audio_far, "dts_gap=1 audio_gap=1 av_step=1"},
    {"audio-drift", audio_drifts, "audio_drift=1"},
    {"audio-sync", audio_broken, "audio_badsync=1"},
    {"same-picture", same_picture, "dup_pes=1"},
    {"restart", restart, "cc=+ pcr_backward=1 dts_back=2 audio_overlap=1"},
    {"other-streams", other_streams, "cc=+ pcr_backward=1 dts_back=1 pmt_change=1"},
};

static void
assert_found (const KrTsReport *report, const char *expected)
{
  g_auto (GStrv) words = g_strsplit (expected, " ", -1);

  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    g_autofree char *prefix = g_strconcat (kr_ts_finding_name (i), "=", NULL);
    guint64 n = report->findings[i].count + report->findings[i].signalled;
    const char *wanted = "0";

    for (guint k = 0; words[k] != NULL; k++) {
      if (g_str_has_prefix (words[k], prefix))
        wanted = words[k] + strlen (prefix);
    }
    if (strcmp (wanted, "+") == 0 ? n == 0 : n != g_ascii_strtoull (wanted, NULL, 10))
      g_error ("%s%" G_GUINT64_FORMAT ", expected %s", prefix, n, wanted);
  }
}

static void
test_case (gconstpointer data)
{
  static const gsize blocks[] = {1 << 20, 1316, 1000, 77};
  const Case *c = data;
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  c->harm (maker->bytes);
  for (guint i = 0; i < G_N_ELEMENTS (blocks); i++) {
    g_autoptr (KrTsReport) report = analyze (maker->bytes, blocks[i]);

    assert_found (report, c->found);
  }
}

static const KrTsSession clean[] = {
    {.frames = 100},
    {.frames = 100, .pcr_pid = 0x1f0, .nulls = TRUE},
    {.frames = 100, .pmt_filler = 700},
    {.frames = 100, .start = KR_TS_STAMP_MODULUS - 180000},
    {.frames = 100, .scrambling = 2},
};

static void
test_clean (gconstpointer data)
{
  const KrTsSession *session = data;
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsReport) report = NULL;

  kr_ts_make_session (maker, session);
  report = analyze (maker->bytes, 65536);
  assert_found (report, "");
  g_assert_cmpuint (report->packet_size, ==, 188);
  g_assert_cmpuint (report->packets, ==, maker->bytes->len / 188);
  g_assert_cmpuint (report->trailing_bytes, ==, 0);
  g_assert_cmpfloat_with_epsilon (report->duration, 3.96, 1e-6);
  g_assert_cmpuint (report->streams->len, ==, 2);
  if (session->start != 0)
    g_assert_cmpuint (g_array_index (report->pcrs, KrTsPcrReport, 0).wraps, ==, 1);
}

static void
test_pcr_missing (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsReport) report = NULL;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100, .announced_pcr_pid = 0x1fff});
  report = analyze (maker->bytes, 65536);
  assert_found (report, "pcr_missing=1");
  /* The time is that of the PID that has one all the same. */
  g_assert_cmpfloat (report->duration, >, 1);
}

static void
test_signalled_is_told_apart (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsReport) report = NULL;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  shift (maker->bytes, VIDEO, 50, 100, 90000, TRUE, TRUE);
  unit (maker->bytes, VIDEO, 50)[5] |= KR_TS_ADAPTATION_DISCONTINUITY;
  report = analyze (maker->bytes, 65536);
  g_assert_cmpuint (report->findings[KR_TS_PCR_DISCONT].count, ==, 0);
  g_assert_cmpuint (report->findings[KR_TS_PCR_DISCONT].signalled, ==, 1);
  g_assert_cmpuint (report->findings[KR_TS_DTS_GAP].signalled, ==, 1);
}

/* Two programs whose clocks have nothing to do with each other: each is judged by its own. */
static void
test_clocks_of_programs (void)
{
  const guint programs[] = {1, 0x1000, 2, 0x1001, 0, 0};
  const guint streams_a[] = {0x1b, 0x100, 0, 0}, streams_b[] = {0x1b, 0x200, 0, 0};
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsReport) report = NULL, late = NULL;

  for (guint i = 0; i < 100; i++) {
    kr_ts_make_pat (maker, 0, programs);
    kr_ts_make_pmt (maker, 0x1000, 1, 0, 0x100, streams_a, 0);
    kr_ts_make_pmt (maker, 0x1001, 2, 0, 0x200, streams_b, 0);
    kr_ts_make_session (maker, &(KrTsSession){.frames = 1,
                                              .no_tables = TRUE,
                                              .no_audio = TRUE,
                                              .frame_size = 400 + i,
                                              .start = 90000 + i * 3600});
    kr_ts_make_session (maker, &(KrTsSession){.frames = 1,
                                              .no_tables = TRUE,
                                              .no_audio = TRUE,
                                              .frame_size = 300 + i,
                                              .video_pid = 0x200,
                                              .start = 5000000000 + i * 3600});
  }
  report = analyze (maker->bytes, 65536);
  assert_found (report, "");
  g_assert_cmpfloat_with_epsilon (
      g_array_index (report->streams, KrTsStreamReport, 1).lead_mean_ms, 200, 20);
  shift (maker->bytes, 0x200, 50, 60, 90000, TRUE, FALSE);
  late = analyze (maker->bytes, 65536);
  g_assert_cmpuint (late->findings[KR_TS_LATE_DTS].count, >=, 9);
}

/* The PCR of the second session has another PID: what comes too late there is seen all the
 * same.
 */
static void
test_reference_moves (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsReport) report = NULL;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  kr_ts_make_session (maker, &(KrTsSession){.frames = 100,
                                            .start = 90000 + 100 * 3600,
                                            .video_pid = 0x200,
                                            .audio_pid = 0x201,
                                            .lead = 12 * 90000});
  report = analyze (maker->bytes, 65536);
  g_assert_cmpuint (report->findings[KR_TS_LEAD_BIG].count, >=, 190);
  g_assert_cmpfloat_with_epsilon (report->duration, 7.96, 0.05);
}

/* Nothing tells what the streams are: that is not clean. */
static void
test_no_pat (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsReport) report = NULL;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100, .no_tables = TRUE});
  report = analyze (maker->bytes, 65536);
  g_assert_cmpuint (report->findings[KR_TS_PAT_INTERVAL].count, ==, 1);
}

static void
test_wide_packets (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  for (guint size = 192; size <= 204; size += 12) {
    g_autoptr (GByteArray) wide = g_byte_array_new ();
    g_autoptr (KrTsReport) report = NULL;
    guint8 padding[16] = {0};

    for (guint i = 0; i < maker->bytes->len; i += 188) {
      if (size == 192)
        g_byte_array_append (wide, padding, 4);
      g_byte_array_append (wide, maker->bytes->data + i, 188);
      if (size == 204)
        g_byte_array_append (wide, padding, 16);
    }
    report = analyze (wide, 5000);
    g_assert_cmpuint (report->packet_size, ==, size);
    g_assert_cmpuint (report->packets, ==, maker->bytes->len / 188);
    assert_found (report, "");
  }
}

static void
test_no_transport_stream (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (KrTsReport) empty = analyze (bytes, 1000);
  g_autoptr (KrTsReport) text = NULL;

  g_assert_cmpuint (empty->packet_size, ==, 0);
  g_byte_array_set_size (bytes, 20000);
  memset (bytes->data, 'x', bytes->len);
  text = analyze (bytes, 1000);
  g_assert_cmpuint (text->packet_size, ==, 0);
}

static void
test_names (void)
{
  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    g_autofree char *signalled = g_strconcat (kr_ts_finding_name (i), "_signalled", NULL);
    KrTsFindingKind kind = KR_TS_N_FINDINGS;
    gboolean flag = TRUE;

    g_assert_true (kr_ts_finding_from_name (kr_ts_finding_name (i), &kind, &flag));
    g_assert_true (kind == i && !flag);
    g_assert_true (kr_ts_finding_from_name (signalled, &kind, &flag));
    g_assert_true (kind == i && flag);
  }
  g_assert_false (kr_ts_finding_from_name ("cc_", &(KrTsFindingKind){0}, &(gboolean){0}));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (110);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strconcat ("/core/ts-analysis/", cases[i].name, NULL);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  for (guint i = 0; i < G_N_ELEMENTS (clean); i++) {
    g_autofree char *path = g_strdup_printf ("/core/ts-analysis/clean/%u", i);

    g_test_add_data_func (path, &clean[i], test_clean);
  }
  g_test_add_func ("/core/ts-analysis/pcr-missing", test_pcr_missing);
  g_test_add_func ("/core/ts-analysis/clocks-of-programs", test_clocks_of_programs);
  g_test_add_func ("/core/ts-analysis/reference-moves", test_reference_moves);
  g_test_add_func ("/core/ts-analysis/no-pat", test_no_pat);
  g_test_add_func ("/core/ts-analysis/signalled", test_signalled_is_told_apart);
  g_test_add_func ("/core/ts-analysis/wide-packets", test_wide_packets);
  g_test_add_func ("/core/ts-analysis/not-ts", test_no_transport_stream);
  g_test_add_func ("/core/ts-analysis/names", test_names);
  return g_test_run ();
}
