/* keeprolling - what a demuxer makes of the pieces of common/mpegts-regen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen.h"

#include <string.h>

#include "tests/support/kr-test.h"
#include "tests/support/kr-ts.h"

#define SECOND    G_GINT64_CONSTANT (1000000000)
#define MSECOND   G_GINT64_CONSTANT (1000000)
#define DATAGRAM  (7 * KR_TS_PACKET_SIZE)
#define VIDEO_PID 0x100

/* tsdemux: anchors its clock where it begins and wherever data is missing, and measures each
 * PCR against the stamp of the last buffer it was given. Before that it looks for the size of
 * packets, in 832 bytes. */
typedef struct {
  KrTsRegen *regen;
  GByteArray *pending;
  gboolean sized, anchored, has_origin;
  gint64 stamp, last_stamp; /* of the last buffer; of the last PCR's */
  guint64 origin_pcr;       /* the first ever */
  gint64 origin;            /* its stamp */
  gint64 base;              /* stamp - time since origin_pcr, where it was anchored */
  gint64 worst;             /* ns; the largest difference found, of either kind */
  guint n_pcrs, n_anchors, n_discont, n_discont_elsewhere;
  gsize n_bytes;
} Demuxer;

static void
demuxer_begin (Demuxer *d, gboolean wait_keyframe)
{
  KrTsRegenConfig config;

  memset (d, 0, sizeof *d);
  kr_ts_regen_config_init (&config);
  config.live = TRUE;
  config.wait_keyframe = wait_keyframe;
  d->regen = kr_ts_regen_new (&config);
  d->pending = g_byte_array_new ();
}

static void
demuxer_end (Demuxer *d)
{
  kr_ts_regen_free (d->regen);
  g_byte_array_unref (d->pending);
}

static void
measure (Demuxer *d, guint64 pcr)
{
  gint64 time;

  if (!d->has_origin) {
    d->has_origin = TRUE;
    d->origin_pcr = pcr;
    d->origin = d->stamp;
  }
  time = kr_ts_pcr_distance (pcr, d->origin_pcr) * 1000 / 27;
  d->n_pcrs++;
  if (!d->anchored) {
    d->anchored = TRUE;
    d->n_anchors++;
    d->base = d->stamp - time;
    d->worst = MAX (d->worst, ABS (d->base - d->origin));
  } else if (d->stamp != d->last_stamp) {
    d->worst = MAX (d->worst, ABS (d->stamp - time - d->base));
  }
  d->last_stamp = d->stamp;
}

static void
take_piece (Demuxer *d, const KrTsPiece *piece)
{
  gsize done = 0;

  d->n_bytes += piece->size;
  if ((piece->flags & KR_TS_PIECE_DISCONT) != 0) {
    g_byte_array_set_size (d->pending, 0);
    d->sized = d->anchored = FALSE;
    d->n_discont++;
    d->n_discont_elsewhere +=
        kr_ts_pid (piece->data) != VIDEO_PID || !kr_ts_starts_unit (piece->data);
  }
  d->stamp = piece->stamp;
  g_byte_array_append (d->pending, piece->data, (guint)piece->size);
  if (!d->sized && d->pending->len < 832)
    return;
  d->sized = TRUE;
  for (; done < d->pending->len; done += KR_TS_PACKET_SIZE) {
    const guint8 *p = d->pending->data + done;

    if (kr_ts_pcr_offset (p) != 0)
      measure (d, kr_ts_read_pcr (p + kr_ts_pcr_offset (p)));
  }
  g_byte_array_set_size (d->pending, 0);
}

static void
push_hinted (Demuxer *d, const guint8 *data, gsize size, gint64 arrival, KrTsHint hint)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  g_autoptr (GError) error = NULL;
  const KrTsPiece *pieces;
  guint n;

  kr_ts_regen_push (d->regen, copy, size, arrival, hint, &error);
  g_assert_no_error (error);
  pieces = kr_ts_regen_get_pieces (d->regen, &n);
  for (guint i = 0; i < n; i++)
    take_piece (d, &pieces[i]);
}

/* In datagrams, each when its last PCR says, wherever that jumps to; returns when it ends. */
static gint64
push_live (Demuxer *d, const guint8 *data, gsize size, gint64 arrival, KrTsHint hint)
{
  gint64 now = arrival;
  guint64 last = KR_TS_NO_PCR;

  for (gsize i = 0; i < size; i += DATAGRAM) {
    gsize part = MIN (DATAGRAM, size - i);

    for (gsize k = i; k < i + part; k += KR_TS_PACKET_SIZE) {
      guint at = kr_ts_pcr_offset (data + k);
      gint64 step;

      if (at == 0)
        continue;
      if (last != KR_TS_NO_PCR) {
        step = kr_ts_pcr_distance (kr_ts_read_pcr (data + k + at), last) * 1000 / 27;
        now += step > 0 && step < SECOND ? step : 40 * MSECOND;
      }
      last = kr_ts_read_pcr (data + k + at);
    }
    push_hinted (d, data + i, part, now, i == 0 ? hint : KR_TS_HINT_NONE);
  }
  return now;
}

/* Pictures of a packet or two, as a quiet scene has: several PCRs to a datagram. */
static void
make_quiet (KrTsMaker *maker, guint64 start, guint frames, gboolean mute)
{
  kr_ts_make_session (
      maker,
      &(KrTsSession){
          .frames = frames, .start = start, .frame_size = 100, .gop = 20, .no_audio = mute});
}

typedef struct {
  const char *name;
  gint64 away; /* ns */
  gboolean wait_keyframe;
  gboolean mute; /* tables come right behind a picture that is dropped, and its PCR with it */
} Outage;

static const Outage outages[] = {
    {"at-once", 100 * MSECOND, FALSE},
    {"at-once-with-keyframe", 100 * MSECOND, TRUE},
    {"later", 5 * SECOND, FALSE},
    {"later-with-keyframe", 5 * SECOND, TRUE},
    {"at-once-mute-with-keyframe", 100 * MSECOND, TRUE, TRUE},
    {"later-mute-with-keyframe", 5 * SECOND, TRUE, TRUE},
};

/* However a source dies and comes back, the demuxer's clock is the one of the stream. */
static void
test_nothing_to_measure (gconstpointer data)
{
  const Outage *outage = data;
  g_autoptr (KrTsMaker) first = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) second = kr_ts_maker_new ();

  guint tries = 0, told = 0;

  make_quiet (first, 900000, outage->mute ? 250 : 75, outage->mute);
  make_quiet (second, 90000, outage->mute ? 250 : 75, outage->mute);
  for (gsize cut = first->bytes->len / 2 / DATAGRAM; cut * DATAGRAM < first->bytes->len;
       cut++) {
    for (guint begin = (guint)cut % 3; begin < 180; begin += 3) {
      const gsize skipped = begin * KR_TS_PACKET_SIZE;
      Demuxer d;
      gint64 end;

      demuxer_begin (&d, outage->wait_keyframe);
      end = push_live (&d, first->bytes->data + skipped, cut * DATAGRAM - skipped, SECOND,
                       KR_TS_HINT_NONE);
      push_live (&d, second->bytes->data + skipped, second->bytes->len - skipped,
                 end + outage->away, KR_TS_HINT_DISCONT);
      g_assert_cmpuint (d.n_pcrs, >, 20);
      g_assert_true (d.n_discont <= 1 || outage->away < SECOND);
      told += d.n_anchors == 2;
      tries++;
      g_assert_cmpint (d.worst, <=, 1);
      demuxer_end (&d);
    }
  }
  /* Not all: a source that is back at once and whose counters happen to go on is the same. */
  g_assert_cmpuint (told, >, tries * 3 / 4);
}

/* A clock that is set, anywhere: nothing is missing, so nothing is thrown away, however long
 * nothing came. */
static void
test_jumps_cost_nothing (void)
{
  const gint64 jumps[] = {3600 * 90000, -3 * 90000, 5 * 90000};
  const gint64 pauses[] = {40 * MSECOND, 300 * MSECOND, 450 * MSECOND};

  for (guint i = 0; i < G_N_ELEMENTS (jumps) * G_N_ELEMENTS (pauses) * 30; i++) {
    g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
    guint at = 30 * 7 + i % 30;
    gsize before = at / 7 * DATAGRAM;
    KrTsRegenStats stats;
    gint64 end;
    Demuxer d;

    make_quiet (maker, 900000, 150, FALSE);
    kr_ts_shift_stamps (maker->bytes, at, G_MAXUINT, jumps[i / 90], TRUE, TRUE);
    demuxer_begin (&d, TRUE);
    end = push_live (&d, maker->bytes->data, before, SECOND, KR_TS_HINT_NONE);
    push_live (&d, maker->bytes->data + before, maker->bytes->len - before,
               end + pauses[i / 30 % 3], KR_TS_HINT_NONE);
    kr_ts_regen_get_stats (d.regen, &stats);
    g_assert_cmpuint (stats.discontinuities, >, 0);
    g_assert_cmpuint (stats.dropped_packets, ==, 0);
    g_assert_cmpuint (d.n_discont, ==, 0);
    g_assert_cmpuint (d.n_bytes, ==, maker->bytes->len);
    g_assert_cmpint (d.worst, <=, 1);
    demuxer_end (&d);
  }
}

/* The first packet of @pid that does not start a unit, from @from on. */
static gsize
find_packet (const GByteArray *bytes, gsize from, guint pid)
{
  for (gsize i = from; i < bytes->len; i += KR_TS_PACKET_SIZE)
    if (kr_ts_pid (bytes->data + i) == pid && !kr_ts_starts_unit (bytes->data + i))
      return i;
  g_assert_not_reached ();
}

/* A loss is told where no picture is under way, if there is anybody who needs to know. */
static void
test_losses_are_told_between_pictures (void)
{
  const guint pids[] = {0x101, VIDEO_PID, 0x101};
  const guint lost_packets[] = {1, 1, 20};

  for (guint i = 0; i < G_N_ELEMENTS (pids); i++) {
    g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
    gsize lost;
    Demuxer d;

    kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
    lost = find_packet (maker->bytes, maker->bytes->len / 2 / DATAGRAM * DATAGRAM, pids[i]);
    g_byte_array_remove_range (maker->bytes, (guint)lost, lost_packets[i] * KR_TS_PACKET_SIZE);
    demuxer_begin (&d, FALSE);
    push_live (&d, maker->bytes->data, maker->bytes->len, SECOND, KR_TS_HINT_NONE);
    g_assert_cmpuint (d.n_discont, ==, pids[i] != VIDEO_PID);
    g_assert_cmpuint (d.n_discont_elsewhere, ==, 0);
    g_assert_cmpint (d.worst, <=, 1);
    demuxer_end (&d);
  }
}

static void
test_hints_are_told_between_pictures (void)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  Demuxer d;
  guint i = 0;

  kr_ts_make_session (maker, &(KrTsSession){.frames = 100});
  demuxer_begin (&d, FALSE);
  for (gsize at = 0; at < maker->bytes->len; at += DATAGRAM, i++)
    push_hinted (&d, maker->bytes->data + at, MIN (DATAGRAM, maker->bytes->len - at),
                 SECOND + i * 20 * MSECOND, i == 50 ? KR_TS_HINT_DISCONT : KR_TS_HINT_NONE);
  g_assert_cmpuint (d.n_discont, ==, 1);
  g_assert_cmpuint (d.n_discont_elsewhere, ==, 0);
  g_assert_cmpint (d.worst, <=, 1);
  demuxer_end (&d);
}

/* A source without a keyframe that is known as one is there all the same, ten seconds later. */
static void
test_keyframes_are_not_awaited_for_ever (void)
{
  g_autoptr (KrTsMaker) first = kr_ts_maker_new ();
  g_autoptr (KrTsMaker) second = kr_ts_maker_new ();
  KrTsRegenStats stats;
  gsize begin;
  gint64 end;
  Demuxer d;

  kr_ts_make_session (first, &(KrTsSession){.frames = 50, .start = 900000});
  kr_ts_make_session (second, &(KrTsSession){.frames = 20 * 25, .gop = 10000});
  begin = second->bytes->len / 40 / KR_TS_PACKET_SIZE * KR_TS_PACKET_SIZE;
  demuxer_begin (&d, TRUE);
  end = push_live (&d, first->bytes->data, first->bytes->len, SECOND, KR_TS_HINT_NONE);
  push_live (&d, second->bytes->data + begin, second->bytes->len - begin, end + 2 * SECOND,
             KR_TS_HINT_NONE);
  kr_ts_regen_get_stats (d.regen, &stats);
  g_assert_cmpuint (stats.keyframes, ==, 2);
  g_assert_cmpuint (stats.dropped_packets, >, second->bytes->len / 188 * 4 / 10);
  g_assert_cmpuint (stats.dropped_packets, <, second->bytes->len / 188 * 6 / 10);
  g_assert_cmpint (d.worst, <=, 1);
  demuxer_end (&d);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (110);
  for (guint i = 0; i < G_N_ELEMENTS (outages); i++) {
    g_autofree char *path =
        g_strconcat ("/common/mpegts-regen/demuxer/nothing-to-measure/", outages[i].name, NULL);

    g_test_add_data_func (path, &outages[i], test_nothing_to_measure);
  }
  g_test_add_func ("/common/mpegts-regen/demuxer/jumps", test_jumps_cost_nothing);
  g_test_add_func ("/common/mpegts-regen/demuxer/losses",
                   test_losses_are_told_between_pictures);
  g_test_add_func ("/common/mpegts-regen/demuxer/hints", test_hints_are_told_between_pictures);
  g_test_add_func ("/common/mpegts-regen/demuxer/no-keyframe",
                   test_keyframes_are_not_awaited_for_ever);
  return g_test_run ();
}
