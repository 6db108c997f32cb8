/* keeprolling - tests of common/mpegts-regen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen.h"

#include <string.h>

#include "tests/support/kr-test.h"
#include "tests/support/kr-ts.h"

#define SECOND  G_GINT64_CONSTANT (1000000000)
#define MSECOND G_GINT64_CONSTANT (1000000)

typedef struct {
  KrTsRegen *regen;
  GByteArray *out;
  guint keyframes, disconts, tables, starts;
  gsize last_start; /* offset in out */
  guint events[KR_TS_N_EVENTS];
  gint64 last_stamp;
  KrTsEvent last;
} Run;

static void
run_begin (Run *run, const KrTsRegenConfig *config)
{
  KrTsRegenConfig defaults;

  kr_ts_regen_config_init (&defaults);
  memset (run, 0, sizeof *run);
  run->regen = kr_ts_regen_new (config != NULL ? config : &defaults);
  run->out = g_byte_array_new ();
  run->last_stamp = G_MININT64;
}

static void
run_end (Run *run)
{
  kr_ts_regen_free (run->regen);
  g_byte_array_unref (run->out);
}

static void
collect (Run *run)
{
  guint n;
  const KrTsPiece *pieces = kr_ts_regen_get_pieces (run->regen, &n);
  const KrTsEvent *events;

  for (guint i = 0; i < n; i++) {
    g_assert_cmpuint (pieces[i].size, >, 0);
    g_assert_cmpuint (pieces[i].size % KR_TS_PACKET_SIZE, ==, 0);
    g_assert_cmpint (pieces[i].stamp, >=, run->last_stamp);
    run->last_stamp = pieces[i].stamp;
    run->keyframes += (pieces[i].flags & KR_TS_PIECE_KEYFRAME) != 0;
    run->disconts += (pieces[i].flags & KR_TS_PIECE_DISCONT) != 0;
    run->tables += (pieces[i].flags & KR_TS_PIECE_TABLES) != 0;
    if ((pieces[i].flags & KR_TS_PIECE_START) != 0) {
      g_assert_true ((pieces[i].flags & KR_TS_PIECE_TABLES) != 0);
      run->starts++;
      run->last_start = run->out->len;
    }
    g_byte_array_append (run->out, pieces[i].data, (guint)pieces[i].size);
  }
  events = kr_ts_regen_get_events (run->regen, &n);
  for (guint i = 0; i < n; i++) {
    run->events[events[i].kind] += 1 + events[i].suppressed;
    run->last = events[i];
  }
}

static void
push (Run *run, const guint8 *data, gsize size, gint64 arrival)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  g_autoptr (GError) error = NULL;
  gboolean ok = kr_ts_regen_push (run->regen, copy, size, arrival, KR_TS_HINT_NONE, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
  collect (run);
}

static void
push_all (Run *run, const GByteArray *bytes, gsize block)
{
  for (gsize i = 0; i < bytes->len; i += block)
    push (run, bytes->data + i, MIN (block, bytes->len - i), KR_TS_NO_TIME);
  kr_ts_regen_drain (run->regen);
  collect (run);
}

/* Paces a session by its own PCR, from @arrival on; returns when it ends. */
static gint64
push_live (Run *run, const guint8 *data, gsize size, gint64 arrival)
{
  gint64 now = arrival;
  guint64 first = 0;
  gboolean has = FALSE;

  for (gsize i = 0; i < size; i += 7 * KR_TS_PACKET_SIZE) {
    gsize part = MIN (7 * KR_TS_PACKET_SIZE, size - i);

    for (gsize k = i; k < i + part; k += KR_TS_PACKET_SIZE) {
      if (kr_ts_pcr_offset (data + k) == 0)
        continue;
      if (!has)
        first = kr_ts_read_pcr (data + k + kr_ts_pcr_offset (data + k));
      has = TRUE;
      now = arrival + kr_ts_pcr_distance (
                          kr_ts_read_pcr (data + k + kr_ts_pcr_offset (data + k)), first) *
                          1000 / 27;
    }
    push (run, data + i, part, now);
  }
  return now;
}

static void
assert_same (const GByteArray *a, const GByteArray *b)
{
  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++) {
    if (a->data[i] != b->data[i])
      g_error ("byte %u (packet %u, byte %u of it) differs", i, i / 188, i % 188);
  }
}

static guint
n_events (const Run *run)
{
  guint n = 0;

  for (guint i = 0; i < KR_TS_N_EVENTS; i++)
    n += run->events[i];
  return n;
}

/* --- clean input --------------------------------------------------------------------- */

typedef struct {
  const char *name;
  KrTsSession session;
} CleanCase;

static const CleanCase clean[] = {
    {"plain", {.frames = 100}},
    {"own-pcr-pid", {.frames = 100, .pcr_pid = 0x1f0}},
    {"announced-8191", {.frames = 100, .announced_pcr_pid = 0x1fff}},
    {"announced-elsewhere", {.frames = 100, .announced_pcr_pid = 0x333}},
    {"long-pmt", {.frames = 100, .pmt_filler = 700}},
    {"scrambled", {.frames = 100, .scrambling = 2}},
    {"nulls", {.frames = 100, .nulls = TRUE}},
    {"wrap", {.frames = 100, .start = KR_TS_STAMP_MODULUS - 180000}},
    {"no-tables", {.frames = 100, .no_tables = TRUE}},
    {"video-only", {.frames = 100, .no_audio = TRUE}},
    {"big-frames", {.frames = 60, .frame_size = 60000}},
};

static void
test_clean (gconstpointer data)
{
  static const gsize blocks[] = {188, 1316, 1000, 65536, 97, 1 << 20, 11};
  const CleanCase *c = data;
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();

  kr_ts_make_session (maker, &c->session);
  for (guint i = 0; i < G_N_ELEMENTS (blocks); i++) {
    Run run;

    if (blocks[i] < 100 && maker->bytes->len > 1000000)
      continue; /* a block per byte would take too long under a sanitizer */
    run_begin (&run, NULL);
    push_all (&run, maker->bytes, blocks[i]);
    assert_same (run.out, maker->bytes);
    g_assert_cmpuint (run.events[KR_TS_EVENT_WRAP_TS33], ==, c->session.start != 0);
    g_assert_cmpuint (n_events (&run), ==, c->session.start != 0);
    if (!c->session.no_tables) {
      guint keys = (c->session.frames + 24) / 25;

      g_assert_cmpuint (run.keyframes, ==, keys);
      g_assert_cmpuint (run.tables, ==, 1);
    }
    run_end (&run);
  }
}

/* Two programs interleaved; @pcr_a and @pcr_b: the PIDs of their PCRs, 0 = on the video. With
 * the same PID for both, the PCR is that of the first. */
static void
make_multi (KrTsMaker *maker, guint64 start_a, guint64 start_b, guint frames, guint pcr_a,
            guint pcr_b)
{
  g_autoptr (KrTsMaker) a = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) b = kr_ts_maker_new ();
  const guint programs[] = {1, 0x1000, 2, 0x1001, 0, 0};
  const guint streams_a[] = {0x1b, 0x100, 0x03, 0x101, 0, 0};
  const guint streams_b[] = {0x1b, 0x200, 0x03, 0x201, 0, 0};

  memcpy (a->counters, maker->counters, sizeof a->counters);
  memcpy (b->counters, maker->counters, sizeof b->counters);
  for (guint i = 0; i < frames; i += 2) {
    kr_ts_make_pat (maker, 0, programs);
    kr_ts_make_pmt (maker, 0x1000, 1, 0, pcr_a != 0 ? pcr_a : 0x100, streams_a, 0);
    kr_ts_make_pmt (maker, 0x1001, 2, 0, pcr_b != 0 ? pcr_b : 0x200, streams_b, 0);
    g_byte_array_set_size (a->bytes, 0);
    g_byte_array_set_size (b->bytes, 0);
    kr_ts_make_session (a, &(KrTsSession){.frames = 2,
                                          .no_tables = TRUE,
                                          .no_audio = TRUE,
                                          .pcr_pid = pcr_a,
                                          .start = start_a + i * 3600});
    kr_ts_make_session (b, &(KrTsSession){.frames = 2,
                                          .no_tables = TRUE,
                                          .no_audio = TRUE,
                                          .video_pid = 0x200,
                                          .pcr_pid = pcr_b,
                                          .start = start_b + i * 3600});
    g_byte_array_append (maker->bytes, a->bytes->data, a->bytes->len);
    for (guint k = 0; k < b->bytes->len; k += 188) {
      if (pcr_a == 0 || pcr_a != pcr_b || kr_ts_pid (b->bytes->data + k) != pcr_b)
        g_byte_array_append (maker->bytes, b->bytes->data + k, 188);
    }
  }
  for (guint pid = 0x100; pid < 0x300; pid++)
    maker->counters[pid] = MAX (a->counters[pid], b->counters[pid]);
}

static void
test_programs_are_apart (gconstpointer data)
{
  guint own = GPOINTER_TO_UINT (data); /* distance of the PCR's PID from the video's */
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) before = NULL;
  KrTsRegenStats stats;
  Run run;

  make_multi (maker, 900000, 5000000000, 50, 0x100 + own, 0x200 + own);
  /* program 1 jumps back */
  make_multi (maker, 90000, 5000000000 + 50 * 3600, 50, 0x100 + own, 0x200 + own);
  before = g_byte_array_new ();
  g_byte_array_append (before, maker->bytes->data, maker->bytes->len);
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 4096);
  g_assert_cmpuint (run.out->len, ==, before->len);
  g_assert_cmpuint (n_events (&run), ==, 1);
  g_assert_cmpuint (run.last.program, ==, 1);
  for (guint i = 0; i < before->len; i += 188) {
    if ((kr_ts_pid (before->data + i) & 0xf00) == 0x200)
      g_assert_cmpint (memcmp (before->data + i, run.out->data + i, 188), ==, 0);
  }
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_cmpuint (stats.programs, ==, 2);
  run_end (&run);
}

static guint64
first_pcr_after (const GByteArray *bytes, guint from, guint pid)
{
  for (guint i = from; i < bytes->len; i += 188) {
    const guint8 *p = bytes->data + i;

    if (kr_ts_pid (p) == pid && kr_ts_pcr_offset (p) != 0)
      return kr_ts_read_pcr (p + kr_ts_pcr_offset (p));
  }
  g_assert_not_reached ();
}

/* Where the PCR has a PID of its own it is repaired with what it times. */
static void
test_own_pcr_of_programs (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  guint half;
  Run run;

  make_multi (maker, 900000, 5000000000, 50, 0x1f0, 0x2f0);
  half = maker->bytes->len;
  make_multi (maker, 90000, 5000000000 + 50 * 3600, 50, 0x1f0, 0x2f0);
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 4096);
  g_assert_cmpuint (run.out->len, ==, maker->bytes->len);
  g_assert_cmpuint (first_pcr_after (maker->bytes, half, 0x1f0), ==, (90000 - 18000) * 300);
  g_assert_cmpuint (first_pcr_after (run.out, half, 0x1f0), ==,
                    (900000 + 50 * 3600 - 18000) * 300);
  run_end (&run);
}

/* Two programs with one PCR are on one timeline: what moves the PCR moves both. */
static void
test_shared_pcr (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  const guint64 shift = 900000 + 50 * 3600 - 90000;
  guint half;
  Run run;

  make_multi (maker, 900000, 903000, 50, 0x1f0, 0x1f0);
  half = maker->bytes->len;
  make_multi (maker, 90000, 93000, 50, 0x1f0, 0x1f0);
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 4096);
  g_assert_cmpuint (run.out->len, ==, maker->bytes->len);
  for (guint i = half; i < maker->bytes->len; i += 188) {
    guint8 *p = maker->bytes->data + i;
    KrTsPes pes;
    guint offset = kr_ts_payload_offset (p);

    if (kr_ts_pcr_offset (p) != 0)
      kr_ts_shift_pcr (p + kr_ts_pcr_offset (p), shift);
    if (!kr_ts_starts_unit (p) || !kr_ts_parse_pes (p + offset, 188 - offset, &pes))
      continue;
    kr_ts_write_stamp (p + offset + 9, kr_ts_read_stamp (p + offset + 9) + shift);
    kr_ts_write_stamp (p + offset + 14, kr_ts_read_stamp (p + offset + 14) + shift);
  }
  assert_same (run.out, maker->bytes);
  run_end (&run);
}

/* --- joins --------------------------------------------------------------------------- */

static void
assert_sound (const Run *run, KrTsFound *found)
{
  kr_ts_read_back (run->out->data, run->out->len, found);
  g_assert_cmpuint (found->cc_errors, ==, 0);
  g_assert_cmpuint (found->pcr_back, ==, 0);
  g_assert_cmpuint (found->pcr_steps, ==, 0);
  g_assert_cmpuint (found->dts_back, ==, 0);
  g_assert_cmpuint (found->late, ==, 0);
  g_assert_cmpuint (found->pmt_changes, ==, 0);
  g_assert_cmpuint (found->stray_pcrs, ==, 0);
}

static void
test_restarts_in_a_file (gconstpointer data)
{
  gsize block = GPOINTER_TO_SIZE (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound one, found;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 75, .start = 63000});
  kr_ts_read_back (maker->bytes->data, maker->bytes->len, &one);
  for (guint i = 1; i < 10; i++) {
    kr_ts_maker_restart (maker);
    kr_ts_make_session (maker, &(KrTsSession){.frames = 75, .start = 63000});
  }
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, block);
  g_assert_cmpuint (run.out->len, ==, maker->bytes->len);
  assert_sound (&run, &found);
  g_assert_cmpuint (found.video, ==, 750);
  g_assert_cmpuint (found.signalled, ==, 0); /* contiguous: nothing above 100 ms */
  /* One timeline: as long as its parts, to a frame each. */
  g_assert_cmpint (found.video_span, >=, 749 * 3600);
  g_assert_cmpint (found.video_span, <=, 749 * 3600 + 9 * 3600);
  g_assert_cmpint (found.skew_min, >=, one.skew_min - 1);
  g_assert_cmpint (found.skew_max, <=, one.skew_max + 3600);
  run_end (&run);
}

static void
test_other_pids_are_remapped (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000});
  kr_ts_maker_restart (maker);
  /* The numbers change places, the program changes its number, the version is another. */
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50,
                                            .start = 0,
                                            .program = 9,
                                            .pmt_pid = 0x100,
                                            .video_pid = 0x101,
                                            .audio_pid = 0x1000,
                                            .version = 4});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  assert_sound (&run, &found);
  g_assert_cmpuint (found.video, ==, 100);
  g_assert_cmpuint (found.pmts, ==, 50);
  g_assert_cmpuint (run.tables, ==, 1);
  g_assert_cmpuint (run.starts, ==, 0); /* the same streams: the file goes on */
  g_assert_cmpuint (run.keyframes, ==, 4);
  for (guint i = 0; i < run.out->len; i += 188) {
    guint pid = kr_ts_pid (run.out->data + i);

    g_assert_true (pid == 0 || pid == 0x1000 || pid == 0x100 || pid == 0x101);
  }
  run_end (&run);
}

/* A PMT over several packets is replaced by one that fits one, and the other way round. */
static void
test_long_pmt_is_replaced (gconstpointer data)
{
  gboolean first_long = GPOINTER_TO_INT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  kr_ts_make_session (
      maker, &(KrTsSession){.frames = 50, .start = 900000, .pmt_filler = first_long ? 400 : 0});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50,
                                            .pmt_pid = 0x500,
                                            .video_pid = 0x501,
                                            .pmt_filler = first_long ? 0 : 400});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  assert_sound (&run, &found);
  g_assert_cmpuint (found.video, ==, 100);
  g_assert_cmpuint (found.pmts, ==, 50);
  run_end (&run);
}

/* An encoder and its stand-in take turns, with other numbers. */
static void
make_turns (KrTsMaker *maker, guint n)
{
  for (guint i = 0; i < n; i++) {
    gboolean first = i % 2 == 0;

    kr_ts_maker_restart (maker);
    kr_ts_make_session (maker, &(KrTsSession){.frames = 50,
                                              .start = 900000 * (1 + i % 3),
                                              .video_pid = first ? 0x100 : 0x44,
                                              .audio_pid = first ? 0x101 : 0x45,
                                              .pmt_pid = first ? 0x1000 : 0x66,
                                              .pcr_pid = first ? 0x1f0 : 0x1f1});
  }
}

static void
test_encoders_take_turns (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  make_turns (maker, 5);
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  assert_sound (&run, &found);
  g_assert_cmpuint (found.video, ==, 250);
  g_assert_cmpuint (found.audio, ==, 5 * 84);
  g_assert_cmpuint (found.pcrs, ==, 250);
  g_assert_cmpuint (run.tables, ==, 1);
  run_end (&run);
}

/* The numbers of the first encoder, which its stand-in goes out under, come back as something
 * else. */
static void
test_numbers_come_back (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  make_turns (maker, 2);
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50,
                                            .no_audio = TRUE,
                                            .video_pid = 0x1000,
                                            .pmt_pid = 0x101,
                                            .pcr_pid = 0x100});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  kr_ts_read_back (run.out->data, run.out->len, &found);
  g_assert_cmpuint (found.video, ==, 150);
  g_assert_cmpuint (found.pcrs, ==, 150);
  g_assert_cmpuint (found.pmts, ==, 75);
  g_assert_cmpuint (found.stray_pcrs + found.cc_errors + found.pcr_back + found.dts_back, ==,
                    0);
  g_assert_cmpuint (run.tables, ==, 2);
  run_end (&run);
}

/* Inside a session: while the picture goes on, a file may end at its next keyframe; if it does
 * not, it should end here. */
static void
test_tables_change_on_the_way (gconstpointer data)
{
  gboolean other_picture = GPOINTER_TO_INT (data);
  const guint sound[] = {0x1b, 0x100, 0x03, 0x101, 0x0f, 0x102, 0, 0};
  const guint picture[] = {0x24, 0x100, 0x03, 0x101, 0, 0};
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  gsize change;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  change = maker->bytes->len;
  for (guint i = 0; i < 2; i++)
    kr_ts_make_pmt (maker, 0x1000, 1, 1, 0x100, other_picture ? picture : sound, 0);
  kr_ts_make_session (
      maker, &(KrTsSession){.frames = 50, .start = 90000 + 50 * 3600, .no_tables = TRUE});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 50000);
  assert_same (run.out, maker->bytes);
  g_assert_cmpuint (run.tables, ==, 2);
  g_assert_cmpuint (run.starts, ==, other_picture);
  g_assert_true (!other_picture || run.last_start == change);
  run_end (&run);
}

/* A PCR with a PID of its own is remapped as the streams are. */
static void
test_own_pcr_is_remapped (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000, .pcr_pid = 0x1f0});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (
      maker,
      &(KrTsSession){
          .frames = 50, .start = 0, .video_pid = 0x1f0, .audio_pid = 0x100, .pcr_pid = 0x101});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  assert_sound (&run, &found);
  g_assert_cmpuint (found.pcrs, ==, 100);
  g_assert_cmpuint (run.tables, ==, 1);
  run_end (&run);
}

/* Players look for the PCR where the PMT says: one that is elsewhere needs another PMT. */
static void
test_pcr_elsewhere_raises_the_version (gconstpointer data)
{
  gboolean own_first = GPOINTER_TO_INT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsFound found;
  Run run;

  kr_ts_make_session (
      maker, &(KrTsSession){.frames = 50, .start = 900000, .pcr_pid = own_first ? 0x1f0 : 0});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (
      maker, &(KrTsSession){.frames = 50, .start = 0, .pcr_pid = own_first ? 0 : 0x1f0});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  kr_ts_read_back (run.out->data, run.out->len, &found);
  g_assert_cmpuint (found.pmt_changes, ==, 1);
  g_assert_cmpuint (found.stray_pcrs, ==, 0);
  g_assert_cmpuint (found.cc_errors + found.dts_back + found.pcr_back + found.late, ==, 0);
  g_assert_cmpuint (run.tables, ==, 2);
  run_end (&run);
}

static void
test_other_streams_raise_the_version (gconstpointer data)
{
  gsize block = GPOINTER_TO_SIZE (data);

  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GBytes) header = NULL;
  KrTsFound found;
  Run run;
  guint version = 99;
  gsize first;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000});
  first = maker->bytes->len;
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .no_audio = TRUE});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, block);
  kr_ts_read_back (run.out->data, run.out->len, &found);
  g_assert_cmpuint (found.pmt_changes, ==, 1);
  g_assert_cmpuint (found.cc_errors, ==, 0);
  g_assert_cmpuint (found.dts_back, ==, 0);
  g_assert_cmpuint (run.tables, ==, 2);
  /* That is where a file should end: neither before nor behind the first new packet. */
  g_assert_cmpuint (run.starts, ==, 1);
  g_assert_cmpuint (run.last_start, ==, first);
  for (guint i = 0; i < run.out->len; i += 188) {
    if (kr_ts_pid (run.out->data + i) == 0x1000)
      version = run.out->data[i + 10] >> 1 & 0x1f;
  }
  g_assert_cmpuint (version, ==, 1);
  header = kr_ts_regen_get_header (run.regen);
  g_assert_cmpuint (g_bytes_get_size (header), ==, 2 * 188);
  run_end (&run);
}

/* What a splice says about time moves with the time. */
/* Writes each section of @pid a second time behind itself. */
static void
double_sections (GByteArray *bytes, guint pid, gsize size)
{
  for (guint i = 0; i < bytes->len; i += 188) {
    guint8 *section = bytes->data + i + 5;

    if (kr_ts_pid (bytes->data + i) == pid)
      memcpy (section + size, section, size);
  }
}

static void
test_splices_are_adjusted (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  guint64 adjustments[4] = {99, 99, 99, 99};
  KrTsRegenStats stats;
  KrTsFound found;
  guint n = 0;
  Run run;

  kr_ts_make_session (maker,
                      &(KrTsSession){.frames = 50, .start = 9000000, .splice_pid = 0x190});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 90000, .splice_pid = 0x190});
  double_sections (maker->bytes, 0x190, 30);
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  assert_sound (&run, &found);
  for (guint i = 0; i < run.out->len; i += 188) {
    guint8 *p = run.out->data + i;
    guint8 *section = p + kr_ts_payload_offset (p) + 1;

    for (guint k = 0; kr_ts_pid (p) == 0x190 && k < 2; k++, section += 30) {
      g_assert_cmpuint (kr_ts_crc32 (section, 30), ==, 0);
      adjustments[n++] = (guint64)(section[4] & 1) << 32 | (guint64)section[5] << 24 |
                         (guint64)section[6] << 16 | (guint64)section[7] << 8 | section[8];
    }
  }
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_cmpuint (n, ==, 4);
  g_assert_cmpuint (adjustments[0] + adjustments[1], ==, 0);
  g_assert_cmpuint (adjustments[2] * 100000 / 9, ==, (guint64)stats.offset_ns);
  g_assert_cmpuint (adjustments[3], ==, adjustments[2]);
  run_end (&run);
}

/* A seamless splice names the DTS behind it. */
static void
test_next_dts_moves (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenStats stats;
  guint n = 0;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000, .pcr_pid = 0x1f0});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 90000, .pcr_pid = 0x1f0});
  for (guint i = 0; i < maker->bytes->len; i += 188) {
    guint8 *p = maker->bytes->data + i;

    if (kr_ts_pid (p) != 0x1f0)
      continue;
    p[5] |= KR_TS_ADAPTATION_EXTENSION;
    memcpy (p + 12, "\x06\x20\x01\x00\x01\x00\x01", 7);
    kr_ts_write_stamp (p + 14, 5000000);
  }
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  kr_ts_regen_get_stats (run.regen, &stats);
  for (guint i = 0; i < run.out->len; i += 188) {
    guint8 *p = run.out->data + i;
    guint64 shift = n < 50 ? 0 : (guint64)stats.offset_ns / 100000 * 9;

    if (kr_ts_pid (p) != 0x1f0)
      continue;
    g_assert_cmpuint (kr_ts_next_dts_offset (p), ==, 14);
    g_assert_cmpuint (kr_ts_read_stamp (p + 14), ==, 5000000 + shift);
    n++;
  }
  g_assert_cmpuint (n, ==, 100);
  run_end (&run);
}

static void
test_counters_are_preserved (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsFound in, out;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  kr_ts_regen_config_init (&config);
  config.repair_joins = FALSE;
  run_begin (&run, &config);
  push_all (&run, maker->bytes, 1316);
  kr_ts_read_back (maker->bytes->data, maker->bytes->len, &in);
  kr_ts_read_back (run.out->data, run.out->len, &out);
  g_assert_cmpuint (in.cc_errors, >, 0);
  g_assert_cmpuint (out.cc_errors, ==, in.cc_errors);
  g_assert_cmpuint (out.dts_back, ==, 0);
  run_end (&run);
}

static void
test_monitor_changes_nothing (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000});
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker,
                      &(KrTsSession){.frames = 50, .pmt_pid = 0x700, .video_pid = 0x701});
  kr_ts_regen_config_init (&config);
  config.mode = KR_TS_REGEN_MONITOR;
  run_begin (&run, &config);
  push_all (&run, maker->bytes, 1316);
  assert_same (run.out, maker->bytes);
  g_assert_cmpuint (run.events[KR_TS_EVENT_JUMP_BACK], ==, 1);
  run_end (&run);
}

/* A loss inside a session stays what it is. */
static void
test_losses_stay_visible (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) lossy = g_byte_array_new ();
  KrTsRegenStats stats;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  for (guint i = 0; i < maker->bytes->len / 188; i++) {
    if (i % 97 != 50)
      g_byte_array_append (lossy, maker->bytes->data + i * 188, 188);
  }
  run_begin (&run, NULL);
  push_all (&run, lossy, 1316);
  assert_same (run.out, lossy);
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_cmpuint (stats.cc_errors, >=, 5);
  g_assert_cmpuint (stats.joins, ==, 0);
  g_assert_cmpuint (n_events (&run), ==, 0);
  run_end (&run);
}

static void
test_wait_keyframe (void)
{
  g_autoptr (KrTsMaker) first = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) second = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsRegenStats stats;
  KrTsFound found;
  guint skip = 0;
  Run run;

  kr_ts_make_session (first, &(KrTsSession){.frames = 50, .start = 900000});
  kr_ts_make_session (second, &(KrTsSession){.frames = 75});
  /* Joins in the middle of a group: without its keyframe. */
  for (guint n = 0; n < 10; skip += 188)
    n += kr_ts_pid (second->bytes->data + skip) == 0x100 &&
         kr_ts_starts_unit (second->bytes->data + skip);
  g_byte_array_remove_range (second->bytes, 0, skip);
  g_byte_array_append (first->bytes, second->bytes->data, second->bytes->len);
  kr_ts_regen_config_init (&config);
  config.wait_keyframe = TRUE;
  run_begin (&run, &config);
  push_all (&run, first->bytes, 1316);
  assert_sound (&run, &found);
  g_assert_cmpuint (found.video, ==, 50 + 50);
  g_assert_cmpuint (run.keyframes, ==, 4);
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_cmpuint (stats.dropped_packets, >, 100);
  run_end (&run);
}

/* Output - input of every stamp of a session is the same, 90 kHz: lip-sync is what it was.
 * Returns how many differ. */
static guint
count_apart (const guint8 *in, const guint8 *out, gsize size)
{
  guint64 offset = 0;
  gboolean has = FALSE;
  guint apart = 0;

  for (gsize i = 0; i < size; i += KR_TS_PACKET_SIZE) {
    guint at = kr_ts_payload_offset (in + i);
    guint64 moved;
    KrTsPes pes;

    if (!kr_ts_starts_unit (in + i) ||
        !kr_ts_parse_pes (in + i + at, KR_TS_PACKET_SIZE - at, &pes) || pes.pts_offset == 0)
      continue;
    moved = (kr_ts_read_stamp (out + i + at + pes.pts_offset) + KR_TS_STAMP_MODULUS -
             kr_ts_read_stamp (in + i + at + pes.pts_offset)) %
            KR_TS_STAMP_MODULUS;
    if (!has)
      offset = moved;
    has = TRUE;
    apart += moved != offset;
  }
  return apart;
}

/* Live, a piece has at most one PCR, whose time is its stamp: a demuxer that measures one
 * against the other finds no difference. */
static void
test_pieces_are_timed_by_their_pcr (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) anew = kr_ts_maker_new ();
  KrTsRegenConfig config;
  gint64 base = 0, now = SECOND;
  guint64 first = 0;
  guint timed = 0;
  gsize done = 0;
  Run run;

  /* Frames of a packet: several PCRs to a block. */
  kr_ts_make_session (maker, &(KrTsSession){.frames = 75, .start = 900000, .frame_size = 100});
  kr_ts_make_session (anew, &(KrTsSession){.frames = 75, .frame_size = 100});
  g_byte_array_append (maker->bytes, anew->bytes->data, anew->bytes->len);
  kr_ts_regen_config_init (&config);
  config.live = TRUE;
  run_begin (&run, &config);
  for (gsize i = 0; i < maker->bytes->len; i += 1316, now += 40 * MSECOND) {
    const KrTsPiece *pieces;
    guint n;

    push (&run, maker->bytes->data + i, MIN (1316, maker->bytes->len - i), now);
    pieces = kr_ts_regen_get_pieces (run.regen, &n);
    for (guint k = 0; k < n; k++) {
      guint pcrs = 0;

      for (gsize at = 0; at < pieces[k].size; at += KR_TS_PACKET_SIZE) {
        const guint8 *p = run.out->data + done + at;
        guint64 pcr;

        if (kr_ts_pcr_offset (p) == 0)
          continue;
        pcr = kr_ts_read_pcr (p + kr_ts_pcr_offset (p));
        if (timed++ == 0) {
          first = pcr;
          base = pieces[k].stamp;
        }
        g_assert_cmpuint (++pcrs, ==, 1);
        g_assert_cmpint (
            ABS (pieces[k].stamp - base - kr_ts_pcr_distance (pcr, first) * 1000 / 27), <=, 1);
      }
      done += pieces[k].size;
    }
  }
  g_assert_cmpuint (timed, >, 140);
  g_assert_cmpuint (run.events[KR_TS_EVENT_JUMP_BACK], ==, 1);
  run_end (&run);
}

/* A source that dies anywhere and comes back anywhere in its new session, as live ones do: in
 * the middle of a frame, of a table, of whatever was being waited for. */
typedef struct {
  const char *name;
  gint64 away;       /* ns */
  guint64 start;     /* of the second session */
  gboolean counters; /* they go on; what is missing stays to be seen */
} Outage;

static const Outage outages[] = {
    {"anew", 5 * SECOND, 90000, FALSE},
    {"anew-at-once", 300 * MSECOND, 90000, FALSE},
    {"clock-goes-on", 5 * SECOND, 900000 + 75 * 3600 + 5 * 90000, TRUE},
    {"suspended", 5 * SECOND, 900000 + 75 * 3600, TRUE},
};

static void
test_any_cut_and_any_start (gconstpointer data)
{
  const Outage *outage = data;
  g_autoptr (KrTsMaker) first = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) second = kr_ts_maker_new ();
  const gsize datagram = 7 * KR_TS_PACKET_SIZE;
  /* All cuts with "-m thorough": minutes under a sanitizer. */
  const gsize step = g_test_thorough () ? 1 : 7;
  KrTsRegenConfig config;

  kr_ts_make_session (first, &(KrTsSession){.frames = 75, .start = 900000, .frame_size = 4000});
  if (outage->counters)
    memcpy (second->counters, first->counters, sizeof second->counters);
  kr_ts_make_session (second,
                      &(KrTsSession){.frames = 50, .start = outage->start, .frame_size = 4000});
  kr_ts_regen_config_init (&config);
  config.live = TRUE;
  for (gsize cut = first->bytes->len / 2 / datagram; cut * datagram < first->bytes->len;
       cut += step) {
    for (guint begin = 0; begin < 400; begin += 1 + (begin + (guint)cut) % 13) {
      const guint8 *rest = second->bytes->data + begin * KR_TS_PACKET_SIZE;
      gsize left = second->bytes->len - begin * KR_TS_PACKET_SIZE;
      KrTsFound found;
      guint apart;
      gint64 end;
      Run run;

      run_begin (&run, &config);
      end = push_live (&run, first->bytes->data, cut * datagram, SECOND);
      push_live (&run, rest, left, end + outage->away);
      kr_ts_regen_drain (run.regen);
      collect (&run);
      g_assert_cmpuint (run.out->len, ==, cut * datagram + left);
      kr_ts_read_back (run.out->data, run.out->len, &found);
      apart = count_apart (rest, run.out->data + cut * datagram, left);
      g_assert_cmpuint (apart, ==, 0);
      g_assert_cmpuint (found.pcr_back, ==, 0);
      g_assert_cmpuint (found.dts_back, ==, 0);
      g_assert_cmpuint (found.late, ==, 0);
      g_assert_cmpuint (found.pcr_steps, ==, 0);
      if (!outage->counters)
        g_assert_cmpuint (found.cc_errors, ==, 0);
      run_end (&run);
    }
  }
}

/* --- stamps that jump without a new session ------------------------------------------ */

typedef struct {
  const char *name;
  gint64 ticks;
} Jump;

static const Jump jumps[] = {
    {"plus-1h", 3600 * 90000},
    {"minus-3s", -3 * 90000},
    {"plus-5s", 5 * 90000},
    {"minus-80ms", -7200},
    {"half-circle", G_GINT64_CONSTANT (1) << 31},
    {"wrap-32", -(G_GINT64_CONSTANT (1) << 32)},
};

static void
check_jump (const Jump *jump, gboolean live)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsFound before, found;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 150, .start = 90000000});
  kr_ts_read_back (maker->bytes->data, maker->bytes->len, &before);
  kr_ts_shift_stamps (maker->bytes, 700, G_MAXUINT / 188, jump->ticks, TRUE, TRUE);
  kr_ts_regen_config_init (&config);
  config.live = live;
  run_begin (&run, &config);
  for (gsize i = 0; i < maker->bytes->len; i += 1316) /* data go on coming at their rate */
    push (&run, maker->bytes->data + i, MIN (1316, maker->bytes->len - i),
          SECOND + (gint64)(i * 6000 / maker->bytes->len) * MSECOND);
  kr_ts_regen_drain (run.regen);
  collect (&run);
  assert_sound (&run, &found);
  g_assert_cmpuint (n_events (&run), >=, 1);
  /* Nothing gained, nothing lost, and both streams moved by the same. */
  g_assert_cmpint (ABS (found.video_span - before.video_span), <=, 3600);
  g_assert_cmpint (ABS (found.duration - before.duration), <=, 40 * 27000);
  g_assert_cmpint (ABS (found.skew_min - before.skew_min), <=, 3600);
  g_assert_cmpint (ABS (found.skew_max - before.skew_max), <=, 3600);
  run_end (&run);
}

static void
test_jump (gconstpointer data)
{
  check_jump (data, FALSE);
  check_jump (data, TRUE);
}

/* One wild PCR, or one wild stamp, is no jump. */
static void
test_outlier (gconstpointer data)
{
  gboolean pcr = GPOINTER_TO_INT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenStats stats;
  KrTsFound before, found;
  guint at = 700;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 150, .start = 90000000});
  kr_ts_read_back (maker->bytes->data, maker->bytes->len, &before);
  while (kr_ts_pid (maker->bytes->data + at * 188) != 0x100 ||
         !kr_ts_starts_unit (maker->bytes->data + at * 188))
    at++;
  kr_ts_shift_stamps (maker->bytes, at, at + 1, 3600 * 90000, pcr, !pcr);
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 1316);
  assert_sound (&run, &found);
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_cmpuint (stats.outliers, ==, 1);
  g_assert_cmpuint (stats.epochs, ==, 1);
  g_assert_cmpint (found.duration, ==, before.duration);
  g_assert_cmpint (found.video_span, ==, before.video_span);
  run_end (&run);
}

/* --- live: the clock on the wall ----------------------------------------------------- */

static void
live_config (KrTsRegenConfig *config)
{
  kr_ts_regen_config_init (config);
  config->live = TRUE;
}

static void
test_outage_keeps_the_gap (void)
{
  g_autoptr (KrTsMaker) a = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsFound found;
  gint64 start = 5 * SECOND, end = 0;
  Run run;

  live_config (&config);
  run_begin (&run, &config);
  for (guint i = 0; i < 10; i++) {
    gint64 begin = end == 0 ? start : end + (200 + 613 * i) * MSECOND;

    g_byte_array_set_size (a->bytes, 0);
    kr_ts_maker_restart (a);
    kr_ts_make_session (a, &(KrTsSession){.frames = 80 + i, .start = 63000 + i * 900});
    end = push_live (&run, a->bytes->data, a->bytes->len, begin);
  }
  assert_sound (&run, &found);
  g_assert_cmpuint (found.signalled, ==, 9);
  g_assert_cmpuint (run.disconts, ==, 9);
  /* The duration is what the clock on the wall says. */
  g_assert_cmpint (ABS (found.duration * 1000 / 27 - (end - start)), <=, 40 * MSECOND);
  g_assert_cmpint (run.last_stamp, <=, end);
  g_assert_cmpint (run.last_stamp, >=, end - 100 * MSECOND);
  run_end (&run);
}

static void
test_loss_both_clocks_agree (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) rest = kr_ts_maker_new ();
  KrTsRegenConfig config;
  gint64 end;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  memcpy (rest->counters, maker->counters, sizeof rest->counters);
  rest->counters[0x100] = (guint8)(rest->counters[0x100] + 5); /* packets are missing */
  rest->counters[0x101] = (guint8)(rest->counters[0x101] + 3);
  kr_ts_make_session (rest, &(KrTsSession){.frames = 50, .start = 90000 + (50 + 125) * 3600});
  live_config (&config);
  run_begin (&run, &config);
  end = push_live (&run, maker->bytes->data, maker->bytes->len, SECOND);
  push_live (&run, rest->bytes->data, rest->bytes->len, end + 5040 * MSECOND);
  g_assert_cmpuint (run.events[KR_TS_EVENT_GAP], ==, 1);
  g_assert_cmpuint (n_events (&run), ==, 1);
  for (guint i = 0; i < rest->bytes->len; i += 188) { /* not rewritten, but for the signal */
    guint8 *p = run.out->data + maker->bytes->len + i;

    if (kr_ts_pcr_offset (p) == 0)
      g_assert_cmpint (memcmp (p, rest->bytes->data + i, 188), ==, 0);
  }
  run_end (&run);
}

static void
test_stall_and_burst_is_untouched (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  gint64 end;
  gsize half;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 200});
  half = maker->bytes->len / 188 / 2 * 188;
  live_config (&config);
  run_begin (&run, &config);
  end = push_live (&run, maker->bytes->data, half, SECOND);
  push (&run, maker->bytes->data + half, maker->bytes->len - half, end + 5 * SECOND);
  assert_same (run.out, maker->bytes);
  g_assert_cmpuint (n_events (&run), ==, 0);
  run_end (&run);
}

/* The source pauses and never catches up: one step forward. */
static void
test_lag_is_resynced (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsFound found;
  gint64 end;
  gsize third;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 750});
  third = maker->bytes->len / 188 / 3 * 188;
  live_config (&config);
  run_begin (&run, &config);
  end = push_live (&run, maker->bytes->data, third, SECOND);
  push_live (&run, maker->bytes->data + third, maker->bytes->len - third, end + 6 * SECOND);
  assert_sound (&run, &found);
  g_assert_cmpuint (run.events[KR_TS_EVENT_LAG_RESYNC], ==, 1);
  g_assert_cmpint (ABS (found.duration * 1000 / 27 - 36 * SECOND), <=, 200 * MSECOND);
  run_end (&run);
}

static void
test_drift_is_measured (void)
{
  KrTsRegenConfig config;
  KrTsRegenStats stats;
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  Run run;

  live_config (&config);
  run_begin (&run, &config);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 25 * 60, .frame_size = 300});
  for (gsize i = 0, n = 0; i < maker->bytes->len; i += 188) {
    /* The source's clock is fast by 200 ppm: its data come early. */
    n += kr_ts_pcr_offset (maker->bytes->data + i) != 0;
    push (&run, maker->bytes->data + i, 188,
          SECOND + (gint64)((gdouble)n * 40e6 * (1 - 200e-6)));
  }
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_true (stats.drift_known);
  g_assert_cmpfloat (ABS (stats.drift_ppm - 200), <, 5);
  g_assert_cmpuint (n_events (&run), ==, 0);
  run_end (&run);
}

/* Outages are no drift, however many there are. */
static void
test_drift_is_not_outages (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsRegenStats stats;
  gint64 end = 0;
  Run run;

  live_config (&config);
  run_begin (&run, &config);
  for (guint i = 0; i < 6; i++) {
    g_byte_array_set_size (maker->bytes, 0);
    kr_ts_maker_restart (maker);
    kr_ts_make_session (maker, &(KrTsSession){.frames = 25 * 15, .frame_size = 300});
    end = push_live (&run, maker->bytes->data, maker->bytes->len, end + 1400 * MSECOND);
  }
  kr_ts_regen_get_stats (run.regen, &stats);
  g_assert_true (stats.drift_known);
  g_assert_cmpfloat (ABS (stats.drift_ppm), <, 5);
  g_assert_cmpuint (run.disconts, ==, 5);
  run_end (&run);
}

static void
test_arrival_mode_bends (void)
{
  KrTsRegenConfig config;
  KrTsFound found;
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  Run run;

  live_config (&config);
  config.mode = KR_TS_REGEN_ARRIVAL;
  run_begin (&run, &config);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 25 * 60, .frame_size = 300});
  for (gsize i = 0, n = 0; i < maker->bytes->len; i += 188) {
    n += kr_ts_pcr_offset (maker->bytes->data + i) != 0;
    push (&run, maker->bytes->data + i, 188,
          SECOND + (gint64)((gdouble)n * 40e6 * (1 - 2000e-6)));
  }
  assert_sound (&run, &found);
  /* The output keeps the time of the wall, not that of the source. */
  g_assert_cmpint (ABS (found.duration * 1000 / 27 - (gint64)(1499 * 40e6 * (1 - 2000e-6))), <,
                   20 * MSECOND);
  run_end (&run);
}

/* --- rough input --------------------------------------------------------------------- */

static void
test_garbage_is_skipped (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) dirty = g_byte_array_new ();
  KrTsRegenStats stats;
  gsize half;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  half = maker->bytes->len / 188 / 2 * 188;
  g_byte_array_append (dirty, (const guint8 *)"GET / HTTP", 10);
  g_byte_array_append (dirty, maker->bytes->data, (guint)half);
  g_byte_array_append (dirty, maker->bytes->data + 88,
                       100); /* a packet whose head is missing */
  g_byte_array_append (dirty, maker->bytes->data + half, (guint)(maker->bytes->len - half));
  g_byte_array_append (dirty, maker->bytes->data, 77);
  for (gsize block = 61; block < 70000; block = block * 3 + 1) {
    run_begin (&run, NULL);
    push_all (&run, dirty, block);
    assert_same (run.out, maker->bytes);
    kr_ts_regen_get_stats (run.regen, &stats);
    g_assert_cmpuint (stats.garbage_bytes, ==, 10 + 100 + 77);
    g_assert_cmpuint (stats.bytes_in, ==, dirty->len);
    run_end (&run);
  }
}

static void
test_other_packet_sizes_are_refused (gconstpointer data)
{
  guint size = GPOINTER_TO_UINT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) wide = g_byte_array_new ();
  g_autofree char *number = g_strdup_printf ("%u bytes", size);
  KrTsRegenConfig config;
  guint8 padding[20] = {0};

  kr_ts_make_session (maker, &(KrTsSession){.frames = 10});
  for (guint i = 0; i < maker->bytes->len; i += 188) {
    if (size == 192)
      g_byte_array_append (wide, padding, 4);
    g_byte_array_append (wide, maker->bytes->data + i, 188);
    if (size != 192)
      g_byte_array_append (wide, padding, size - 188);
  }
  kr_ts_regen_config_init (&config);
  for (gsize block = 188; block < 20000; block *= 7) {
    g_autoptr (KrTsRegen) regen = kr_ts_regen_new (&config);
    g_autoptr (GError) error = NULL;

    for (gsize i = 0; i < wide->len && error == NULL; i += block) {
      g_autofree guint8 *copy = g_memdup2 (wide->data + i, MIN (block, wide->len - i));

      kr_ts_regen_push (regen, copy, MIN (block, wide->len - i), KR_TS_NO_TIME, 0, &error);
    }
    g_assert_error (error, KR_TS_ERROR, KR_TS_ERROR_PACKET_SIZE);
    g_assert_nonnull (strstr (error->message, number));
  }
}

/* A source that breaks off inside a packet and begins anew: no packet is made of two halves,
 * and nothing of the new session is lost. */
static void
test_torn_packet (gconstpointer data)
{
  gboolean live = GPOINTER_TO_INT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  KrTsRegenConfig config;
  KrTsRegenStats stats;
  KrTsFound found;
  gsize first;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .start = 900000});
  first = maker->bytes->len - 5 * 188;
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50});
  kr_ts_regen_config_init (&config);
  config.live = live;
  for (gsize piece = 1; piece < 188; piece += 31) {
    const gsize second = maker->bytes->len / 2;
    g_autofree guint8 *copy = g_memdup2 (maker->bytes->data + second, second);
    Run run;

    run_begin (&run, &config);
    push (&run, maker->bytes->data, first + piece, live ? SECOND : KR_TS_NO_TIME);
    /* Live a second without data tells, else whoever pushes. */
    g_assert_true (kr_ts_regen_push (run.regen, copy, second, live ? 3 * SECOND : KR_TS_NO_TIME,
                                     live ? KR_TS_HINT_NONE : KR_TS_HINT_DISCONT, NULL));
    collect (&run);
    kr_ts_regen_drain (run.regen);
    collect (&run);
    g_assert_cmpuint (run.out->len, ==, first + second);
    assert_sound (&run, &found);
    kr_ts_regen_get_stats (run.regen, &stats);
    g_assert_cmpuint (stats.garbage_bytes, ==, piece);
    run_end (&run);
  }
}

/* --- something else altogether --------------------------------------------------------- */

/* Bytes without any order: 64 KiB of them have 256 sync bytes. */
static void
append_noise (GByteArray *bytes, gsize size, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);

  for (gsize i = 0; i < size; i++) {
    guint8 byte = (guint8)g_rand_int_range (rand, 0, 256);

    g_byte_array_append (bytes, &byte, 1);
  }
}

/* What comes is told after a while, and not told any more once packets come. */
static void
test_alien_is_told (gconstpointer data)
{
  gboolean live = GPOINTER_TO_INT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) noise = g_byte_array_new ();
  KrTsRegenConfig config;
  gsize told = 0;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 25});
  g_byte_array_append (noise, (const guint8 *)"FLV\1\5", 5);
  append_noise (noise, 100000, 1);
  kr_ts_regen_config_init (&config);
  config.live = live;
  run_begin (&run, &config);
  for (guint session = 0; session < 2; session++) {
    g_assert_null (kr_ts_regen_get_alien (run.regen));
    for (gsize i = 0; i < noise->len; i += 1316) {
      const KrTsAlien *alien;

      push (&run, noise->data + i, MIN (1316, noise->len - i),
            live ? (gint64)(session * 100000 + i) * 100000 : KR_TS_NO_TIME);
      alien = kr_ts_regen_get_alien (run.regen);
      told = alien != NULL && told == 0 ? i : told;
      g_assert_true (alien == NULL || (alien->packet_size == 0 && alien->bytes <= i + 1316 &&
                                       memcmp (alien->head, noise->data, 64) == 0));
    }
    /* 1316 bytes in 131.6 ms */
    g_assert_cmpuint (told / 1316, ==, live ? 2000 / 131 + 1 : 65536 / 1316);
    told = 0;
    g_assert_cmpuint (run.out->len, ==, session * maker->bytes->len);
    push (&run, maker->bytes->data, maker->bytes->len,
          live ? (session + 1) * 10 * SECOND : KR_TS_NO_TIME);
    g_assert_null (kr_ts_regen_get_alien (run.regen));
  }
  run_end (&run);
}

/* Nothing of it gets out, also not at the end, wherever it ends. */
static void
test_alien_stays_outside (void)
{
  KrTsRegenStats stats;
  Run run;

  for (guint seed = 0; seed < 40; seed++) {
    g_autoptr (GByteArray) noise = g_byte_array_new ();

    g_byte_array_append (noise, (const guint8 *)"\x1a\x45", 2);
    append_noise (noise, 400 + seed * 997, seed);
    run_begin (&run, NULL);
    push_all (&run, noise, 700);
    g_assert_cmpuint (run.out->len, ==, 0);
    kr_ts_regen_get_stats (run.regen, &stats);
    g_assert_cmpuint (stats.garbage_bytes, ==, noise->len);
    g_assert_nonnull (kr_ts_regen_get_search (run.regen));
    run_end (&run);
  }
}

static void
make_wide (GByteArray *wide, const GByteArray *bytes)
{
  for (guint i = 0; i < bytes->len; i += 188) {
    g_byte_array_append (wide, (const guint8 *)"\0\1\2\3", 4);
    g_byte_array_append (wide, bytes->data + i, 188);
  }
}

/* An M2TS with a payload in which sync bytes lie 188 bytes apart is an M2TS all the same; and a
 * live source that sends it is told about and waited for. */
static void
test_wide_alien (gconstpointer data)
{
  gboolean live = GPOINTER_TO_INT (data);
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) wide = g_byte_array_new ();
  g_autofree guint8 *copy = NULL;
  g_autoptr (GError) error = NULL;
  KrTsRegenConfig config;
  gboolean ok;
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 25});
  make_wide (wide, maker->bytes);
  g_byte_array_set_size (wide, wide->len - 50);
  for (guint i = 0; i < 3; i++)
    wide->data[192 * 9 + 100 + i * 188] = KR_TS_SYNC_BYTE;
  kr_ts_regen_config_init (&config);
  config.live = live;
  run_begin (&run, &config);
  copy = g_memdup2 (wide->data, wide->len);
  ok = kr_ts_regen_push (run.regen, copy, wide->len, live ? SECOND : KR_TS_NO_TIME, 0, &error);
  collect (&run);
  g_assert_cmpint (ok, ==, live);
  g_assert_cmpuint (run.out->len, ==, 0);
  if (live) {
    g_assert_cmpuint (kr_ts_regen_get_alien (run.regen)->packet_size, ==, 192);
    push (&run, maker->bytes->data, maker->bytes->len, 2 * SECOND);
    kr_ts_regen_drain (run.regen);
    collect (&run);
    assert_same (run.out, maker->bytes);
  }
  run_end (&run);
}

/* The next session is one: found, too, though the size was right before. */
static void
test_wide_second_session (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) wide = g_byte_array_new ();
  Run run;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 25});
  make_wide (wide, maker->bytes);
  run_begin (&run, NULL);
  push (&run, maker->bytes->data, maker->bytes->len, KR_TS_NO_TIME);
  for (gsize i = 0; i < wide->len; i += 1316)
    push (&run, wide->data + i, MIN (1316, wide->len - i), KR_TS_NO_TIME);
  g_assert_nonnull (kr_ts_regen_get_alien (run.regen));
  g_assert_cmpuint (kr_ts_regen_get_alien (run.regen)->packet_size, ==, 192);
  run_end (&run);
}

/* Less than the three packets that finding them needs. */
static void
test_tiny_streams (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();

  kr_ts_make_session (maker, &(KrTsSession){.frames = 1});
  for (guint n = 0; n <= 4; n++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    Run run;

    g_byte_array_append (bytes, maker->bytes->data, n * 188);
    run_begin (&run, NULL);
    push_all (&run, bytes, 50);
    assert_same (run.out, bytes);
    run_end (&run);
  }
}

static void
test_header_leads_into_the_stream (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) file = g_byte_array_new ();
  g_autoptr (GBytes) header = NULL;
  KrTsFound found;
  Run run;

  maker->counters[0] = 9;
  maker->counters[0x1000] = 4;
  kr_ts_make_session (maker, &(KrTsSession){.frames = 50, .pmt_filler = 300});
  run_begin (&run, NULL);
  push_all (&run, maker->bytes, 4096);
  header = kr_ts_regen_get_header (run.regen);
  g_assert_cmpuint (g_bytes_get_size (header), ==, 3 * 188);
  g_byte_array_append (file, g_bytes_get_data (header, NULL), 3 * 188);
  g_byte_array_append (file, run.out->data, run.out->len);
  kr_ts_read_back (file->data, file->len, &found);
  g_assert_cmpuint (found.cc_errors, ==, 0);
  g_assert_cmpuint (found.pmt_changes, ==, 0);
  run_end (&run);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (110);
  for (guint i = 0; i < G_N_ELEMENTS (clean); i++) {
    g_autofree char *path = g_strconcat ("/common/mpegts-regen/clean/", clean[i].name, NULL);

    g_test_add_data_func (path, &clean[i], test_clean);
  }
  for (guint i = 0; i < G_N_ELEMENTS (jumps); i++) {
    g_autofree char *path = g_strconcat ("/common/mpegts-regen/jump/", jumps[i].name, NULL);

    g_test_add_data_func (path, &jumps[i], test_jump);
  }
  g_test_add_data_func ("/common/mpegts-regen/programs/apart", GUINT_TO_POINTER (0),
                        test_programs_are_apart);
  g_test_add_data_func ("/common/mpegts-regen/programs/own-pcr-pids", GUINT_TO_POINTER (0xf0),
                        test_programs_are_apart);
  g_test_add_func ("/common/mpegts-regen/programs/own-pcr-repaired", test_own_pcr_of_programs);
  g_test_add_func ("/common/mpegts-regen/programs/shared-pcr", test_shared_pcr);
  g_test_add_data_func ("/common/mpegts-regen/restarts/1316", GSIZE_TO_POINTER (1316),
                        test_restarts_in_a_file);
  g_test_add_data_func ("/common/mpegts-regen/restarts/65536", GSIZE_TO_POINTER (65536),
                        test_restarts_in_a_file);
  g_test_add_data_func ("/common/mpegts-regen/restarts/100", GSIZE_TO_POINTER (100),
                        test_restarts_in_a_file);
  g_test_add_func ("/common/mpegts-regen/remap", test_other_pids_are_remapped);
  g_test_add_data_func ("/common/mpegts-regen/replace-pmt/long-first", GINT_TO_POINTER (TRUE),
                        test_long_pmt_is_replaced);
  g_test_add_data_func ("/common/mpegts-regen/replace-pmt/short-first", GINT_TO_POINTER (FALSE),
                        test_long_pmt_is_replaced);
  g_test_add_data_func ("/common/mpegts-regen/on-the-way/sound", GINT_TO_POINTER (FALSE),
                        test_tables_change_on_the_way);
  g_test_add_data_func ("/common/mpegts-regen/on-the-way/picture", GINT_TO_POINTER (TRUE),
                        test_tables_change_on_the_way);
  g_test_add_func ("/common/mpegts-regen/turns", test_encoders_take_turns);
  g_test_add_func ("/common/mpegts-regen/numbers-come-back", test_numbers_come_back);
  g_test_add_func ("/common/mpegts-regen/remap-pcr", test_own_pcr_is_remapped);
  for (gsize block = 100; block < 1000000; block *= 9) {
    g_autofree char *path =
        g_strdup_printf ("/common/mpegts-regen/raise/streams/%" G_GSIZE_FORMAT, block);

    g_test_add_data_func (path, GSIZE_TO_POINTER (block), test_other_streams_raise_the_version);
  }
  g_test_add_data_func ("/common/mpegts-regen/raise/pcr-to-its-own", GINT_TO_POINTER (FALSE),
                        test_pcr_elsewhere_raises_the_version);
  g_test_add_data_func ("/common/mpegts-regen/raise/pcr-to-video", GINT_TO_POINTER (TRUE),
                        test_pcr_elsewhere_raises_the_version);
  g_test_add_func ("/common/mpegts-regen/splice", test_splices_are_adjusted);
  g_test_add_func ("/common/mpegts-regen/next-dts", test_next_dts_moves);
  g_test_add_func ("/common/mpegts-regen/cc-preserve", test_counters_are_preserved);
  g_test_add_func ("/common/mpegts-regen/monitor", test_monitor_changes_nothing);
  g_test_add_func ("/common/mpegts-regen/losses", test_losses_stay_visible);
  g_test_add_func ("/common/mpegts-regen/wait-keyframe", test_wait_keyframe);
  g_test_add_data_func ("/common/mpegts-regen/outlier/pcr", GINT_TO_POINTER (TRUE),
                        test_outlier);
  g_test_add_data_func ("/common/mpegts-regen/outlier/stamp", GINT_TO_POINTER (FALSE),
                        test_outlier);
  g_test_add_func ("/common/mpegts-regen/live/outages", test_outage_keeps_the_gap);
  for (guint i = 0; i < G_N_ELEMENTS (outages); i++) {
    g_autofree char *path =
        g_strconcat ("/common/mpegts-regen/live/any-cut/", outages[i].name, NULL);

    g_test_add_data_func (path, &outages[i], test_any_cut_and_any_start);
  }
  g_test_add_func ("/common/mpegts-regen/live/stamps", test_pieces_are_timed_by_their_pcr);
  g_test_add_func ("/common/mpegts-regen/live/loss", test_loss_both_clocks_agree);
  g_test_add_func ("/common/mpegts-regen/live/stall", test_stall_and_burst_is_untouched);
  g_test_add_func ("/common/mpegts-regen/live/lag", test_lag_is_resynced);
  g_test_add_func ("/common/mpegts-regen/live/drift", test_drift_is_measured);
  g_test_add_func ("/common/mpegts-regen/live/drift-and-outages", test_drift_is_not_outages);
  g_test_add_func ("/common/mpegts-regen/live/arrival", test_arrival_mode_bends);
  g_test_add_func ("/common/mpegts-regen/garbage", test_garbage_is_skipped);
  g_test_add_data_func ("/common/mpegts-regen/size/192", GUINT_TO_POINTER (192),
                        test_other_packet_sizes_are_refused);
  g_test_add_data_func ("/common/mpegts-regen/size/204", GUINT_TO_POINTER (204),
                        test_other_packet_sizes_are_refused);
  g_test_add_data_func ("/common/mpegts-regen/torn/hint", GINT_TO_POINTER (FALSE),
                        test_torn_packet);
  g_test_add_data_func ("/common/mpegts-regen/torn/pause", GINT_TO_POINTER (TRUE),
                        test_torn_packet);
  g_test_add_data_func ("/common/mpegts-regen/alien/file", GINT_TO_POINTER (FALSE),
                        test_alien_is_told);
  g_test_add_data_func ("/common/mpegts-regen/alien/live", GINT_TO_POINTER (TRUE),
                        test_alien_is_told);
  g_test_add_func ("/common/mpegts-regen/alien/outside", test_alien_stays_outside);
  g_test_add_data_func ("/common/mpegts-regen/alien/wide-file", GINT_TO_POINTER (FALSE),
                        test_wide_alien);
  g_test_add_data_func ("/common/mpegts-regen/alien/wide-live", GINT_TO_POINTER (TRUE),
                        test_wide_alien);
  g_test_add_func ("/common/mpegts-regen/alien/wide-later", test_wide_second_session);
  g_test_add_func ("/common/mpegts-regen/tiny", test_tiny_streams);
  g_test_add_func ("/common/mpegts-regen/header", test_header_leads_into_the_stream);
  return g_test_run ();
}
