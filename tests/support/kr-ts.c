/* keeprolling - makes transport streams for tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/support/kr-ts.h"

#include <string.h>

KrTsMaker *
kr_ts_maker_new (void)
{
  KrTsMaker *maker = g_new0 (KrTsMaker, 1);

  maker->bytes = g_byte_array_new ();
  return maker;
}

void
kr_ts_maker_free (KrTsMaker *maker)
{
  if (maker == NULL)
    return;
  g_byte_array_unref (maker->bytes);
  g_free (maker);
}

void
kr_ts_maker_restart (KrTsMaker *maker)
{
  memset (maker->counters, 0, sizeof maker->counters);
}

static guint
put_pcr_bytes (guint8 *out, guint64 pcr)
{
  out[4] = 0x7e;
  out[5] = 0;
  kr_ts_write_pcr (out, pcr);
  return 6;
}

/* A packet with up to 184 bytes; returns how many of @size went in. */
static gsize
put_packet (KrTsMaker *maker, guint pid, gboolean starts, guint64 pcr, guint8 flags,
            guint scrambling, const guint8 *payload, gsize size)
{
  guint8 packet[KR_TS_PACKET_SIZE];
  guint offset = 4;
  gsize room;
  gboolean field = pcr != KR_TS_NO_PCR || flags != 0;

  memset (packet, 0xff, sizeof packet);
  packet[0] = KR_TS_SYNC_BYTE;
  packet[1] = (guint8)((starts ? 0x40 : 0) | pid >> 8);
  packet[2] = (guint8)pid;
  if (field) {
    packet[5] = (guint8)(flags | (pcr != KR_TS_NO_PCR ? 0x10 : 0));
    offset = 6 + (pcr != KR_TS_NO_PCR ? put_pcr_bytes (packet + 6, pcr) : 0);
  }
  room = KR_TS_PACKET_SIZE - offset;
  if (size < room) { /* stuffing goes into the adaptation field */
    guint stuffing = (guint)(room - size);

    if (!field) {
      offset = stuffing == 1 ? 5 : 6;
      packet[5] = 0;
      if (stuffing > 2)
        memset (packet + 6, 0xff, stuffing - 2);
    }
    offset = (guint)(KR_TS_PACKET_SIZE - size);
    field = TRUE;
  }
  if (field)
    packet[4] = (guint8)(offset - 5);
  packet[3] = (guint8)(scrambling << 6 | (field ? 0x20 : 0) | (size > 0 ? 0x10 : 0));
  if (size > 0)
    packet[3] = (guint8)(packet[3] | (maker->counters[pid]++ & 0x0f));
  else
    packet[3] = (guint8)(packet[3] | ((maker->counters[pid] - 1) & 0x0f));
  size = MIN (size, KR_TS_PACKET_SIZE - offset);
  memcpy (packet + offset, payload, size);
  g_byte_array_append (maker->bytes, packet, sizeof packet);
  return size;
}

void
kr_ts_make_pcr (KrTsMaker *maker, guint pid, guint64 pcr, guint8 flags)
{
  put_packet (maker, pid, FALSE, pcr % KR_TS_PCR_MODULUS, flags, 0, (const guint8 *)"", 0);
}

void
kr_ts_make_null (KrTsMaker *maker)
{
  guint8 payload[184] = {0};

  put_packet (maker, KR_TS_PID_NULL, FALSE, KR_TS_NO_PCR, 0, 0, payload, sizeof payload);
}

static void
put_section (KrTsMaker *maker, guint pid, guint8 *section, gsize size)
{
  guint8 packets[8 * KR_TS_PACKET_SIZE];
  guint n;

  section[1] = (guint8)(0xb0 | (size - 3) >> 8);
  section[2] = (guint8)(size - 3);
  kr_ts_section_seal (section, size);
  n = kr_ts_packetize (section, size, pid, maker->counters[pid], packets);
  maker->counters[pid] = (guint8)(maker->counters[pid] + n);
  g_byte_array_append (maker->bytes, packets, n * KR_TS_PACKET_SIZE);
}

void
kr_ts_make_pat (KrTsMaker *maker, guint version, const guint *programs)
{
  guint8 section[KR_TS_SECTION_MAX] = {
      KR_TS_TABLE_PAT, 0, 0, 0, 1, (guint8)(0xc1 | version << 1)};
  gsize size = 8;

  for (; programs[0] != 0; programs += 2) {
    section[size++] = (guint8)(programs[0] >> 8);
    section[size++] = (guint8)programs[0];
    section[size++] = (guint8)(0xe0 | programs[1] >> 8);
    section[size++] = (guint8)programs[1];
  }
  put_section (maker, KR_TS_PID_PAT, section, size + 4);
}

void
kr_ts_make_pmt (KrTsMaker *maker, guint pid, guint program, guint version, guint pcr_pid,
                const guint *streams, guint filler)
{
  guint8 section[KR_TS_SECTION_MAX] = {KR_TS_TABLE_PMT};
  gsize size = 12;

  section[3] = (guint8)(program >> 8);
  section[4] = (guint8)program;
  section[5] = (guint8)(0xc1 | version << 1);
  section[8] = (guint8)(0xe0 | pcr_pid >> 8);
  section[9] = (guint8)pcr_pid;
  section[10] = (guint8)(0xf0 | filler >> 8);
  section[11] = (guint8)filler;
  for (guint left = filler; left >= 2;) { /* user private descriptors */
    guint part = MIN (left, 200);

    section[size] = 0xfe;
    section[size + 1] = (guint8)(part - 2);
    size += part;
    left -= part;
  }
  size = 12 + filler;
  for (; streams[0] != 0; streams += 2) {
    section[size++] = (guint8)streams[0];
    section[size++] = (guint8)(0xe0 | streams[1] >> 8);
    section[size++] = (guint8)streams[1];
    section[size++] = 0xf0;
    section[size++] = 0;
  }
  put_section (maker, pid, section, size + 4);
}

static void
put_stamp (guint8 *out, guint8 prefix, guint64 stamp)
{
  out[0] = (guint8)(prefix << 4 | 1);
  out[2] = out[4] = 1;
  kr_ts_write_stamp (out, stamp % KR_TS_STAMP_MODULUS);
}

void
kr_ts_make_pes (KrTsMaker *maker, guint pid, guint8 stream_id, guint64 pts, guint64 dts,
                guint64 pcr, guint8 flags, guint scrambling, const guint8 *payload, gsize size)
{
  gboolean with_dts = dts != pts;
  guint header = with_dts ? 19 : 14;
  g_autofree guint8 *pes = g_malloc0 (header + size);
  gsize total = header + size, done = 0;
  gsize length = stream_id >= 0xe0 ? 0 : total - 6;

  if (pcr != KR_TS_NO_PCR)
    pcr %= KR_TS_PCR_MODULUS;
  pes[2] = 1;
  pes[3] = stream_id;
  pes[4] = (guint8)(length >> 8);
  pes[5] = (guint8)length;
  pes[6] = 0x84;
  pes[7] = with_dts ? 0xc0 : 0x80;
  pes[8] = (guint8)(header - 9);
  put_stamp (pes + 9, with_dts ? 3 : 2, pts);
  if (with_dts)
    put_stamp (pes + 14, 1, dts);
  memcpy (pes + header, payload, size);
  if (scrambling != 0) {
    for (gsize i = 0; i < total; i++)
      pes[i] ^= 0xa5;
  }
  while (done < total)
    done += put_packet (maker, pid, done == 0, done == 0 ? pcr : KR_TS_NO_PCR,
                        done == 0 ? flags : 0, scrambling, pes + done, total - done);
}

static gsize
fill_video (guint8 *out, guint size, gboolean key, guint n)
{
  static const guint8 delimiter[] = {0, 0, 0, 1, 9, 0xf0};
  static const guint8 parameters[] = {0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9,
                                      0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80};
  static const guint8 idr[] = {0, 0, 0, 1, 0x65, 0x88, 0x84};
  static const guint8 slice[] = {0, 0, 0, 1, 0x41, 0x9a, 0x24};
  gsize have = 0;

  memcpy (out, delimiter, sizeof delimiter);
  have += sizeof delimiter;
  if (key) {
    memcpy (out + have, parameters, sizeof parameters);
    have += sizeof parameters;
  }
  memcpy (out + have, key ? idr : slice, sizeof idr);
  have += sizeof idr;
  for (; have < size; have++)
    out[have] = (guint8)(0x80 | (have * 31 + n * 7) % 101);
  return have;
}

/* MPEG-1 layer II, 192 kbit/s at 48 kHz: 576 bytes last 24 ms. */
static gsize
fill_audio (guint8 *out, guint n)
{
  static const guint8 header[] = {0xff, 0xfd, 0xa4, 0x04};

  memcpy (out, header, sizeof header);
  for (guint i = sizeof header; i < 576; i++)
    out[i] = (guint8)((i * 13 + n * 5) % 97);
  return 576;
}

#define FRAME (KR_TS_STAMP_HZ / 25)
#define AUDIO (KR_TS_STAMP_HZ * 24 / 1000)

void
kr_ts_make_session (KrTsMaker *maker, const KrTsSession *session)
{
  KrTsSession s = *session;
  guint8 payload[65536];
  guint64 audio = 0;
  guint n_audio = 0;

  s.program = s.program != 0 ? s.program : 1;
  s.pmt_pid = s.pmt_pid != 0 ? s.pmt_pid : 0x1000;
  s.video_pid = s.video_pid != 0 ? s.video_pid : 0x100;
  s.audio_pid = s.audio_pid != 0 ? s.audio_pid : 0x101;
  s.pcr_pid = s.pcr_pid != 0 ? s.pcr_pid : s.video_pid;
  s.announced_pcr_pid = s.announced_pcr_pid != 0 ? s.announced_pcr_pid : s.pcr_pid;
  s.start = s.start != 0 ? s.start : 90000;
  s.gop = s.gop != 0 ? s.gop : 25;
  s.lead = s.lead != 0 ? s.lead : 18000;
  s.frame_size = s.frame_size != 0 ? s.frame_size : 1500;
  for (guint n = 0; n < s.frames; n++) {
    guint64 dts = s.start + (guint64)n * FRAME;
    guint64 pcr = (dts + KR_TS_STAMP_MODULUS - s.lead) % KR_TS_STAMP_MODULUS * 300;
    gboolean own = s.pcr_pid != s.video_pid;
    gboolean key = n % s.gop == 0;
    gsize size;

    if (n % 2 == 0 && !s.no_tables) {
      const guint programs[] = {s.program, s.pmt_pid, 0, 0};
      const guint streams[] = {0x1b,
                               s.video_pid,
                               s.no_audio ? 0 : 0x03,
                               s.audio_pid,
                               s.splice_pid != 0 ? 0x86 : 0,
                               s.splice_pid,
                               0,
                               0};

      kr_ts_make_pat (maker, s.version, programs);
      kr_ts_make_pmt (maker, s.pmt_pid, s.program, s.version, s.announced_pcr_pid, streams,
                      s.pmt_filler);
    }
    if (own)
      kr_ts_make_pcr (maker, s.pcr_pid, pcr, 0);
    size = fill_video (payload, s.frame_size, key, n);
    kr_ts_make_pes (maker, s.video_pid, 0xe0, dts + 2 * FRAME, dts, own ? KR_TS_NO_PCR : pcr,
                    key ? KR_TS_ADAPTATION_RANDOM_ACCESS : 0, s.scrambling, payload, size);
    for (; !s.no_audio && audio < (guint64)(n + 1) * FRAME; audio += AUDIO) {
      size = fill_audio (payload, n_audio++);
      kr_ts_make_pes (maker, s.audio_pid, 0xc0, s.start + audio, s.start + audio, KR_TS_NO_PCR,
                      0, s.scrambling, payload, size);
    }
    if (s.splice_pid != 0 && n == 10) {
      guint8 section[KR_TS_SECTION_MAX] = {0xfc};

      put_section (maker, s.splice_pid, section, 30);
    }
    if (s.nulls)
      kr_ts_make_null (maker);
  }
}

/* --- reading back -------------------------------------------------------------------- */

typedef struct {
  gint counter; /* -1 = none */
  guint8 stream_id;
  const guint8 *last;
  gboolean has;
  guint64 dts;
} Pid;

static void
read_clock (KrTsFound *found, const guint8 *p, gboolean *has, guint64 *last)
{
  guint64 pcr = kr_ts_read_pcr (p + kr_ts_pcr_offset (p));
  gboolean signalled = (p[5] & KR_TS_ADAPTATION_DISCONTINUITY) != 0;

  found->pcrs++;
  found->signalled += signalled;
  if (*has) {
    gint64 step = kr_ts_pcr_distance (pcr, *last);

    found->pcr_back += step <= 0;
    found->pcr_steps += step > KR_TS_PCR_HZ / 10 && !signalled;
    found->duration += step;
  } else {
    found->first_pcr = pcr;
  }
  *has = TRUE;
  *last = found->last_pcr = pcr;
}

static void
read_pmt (KrTsFound *found, const guint8 *p, guint8 *before)
{
  found->pmts++;
  if (before[0] != 0 && memcmp (before, p + 5, 180) != 0)
    found->pmt_changes++;
  memcpy (before, p + 5, 180);
}

void
kr_ts_read_back (const guint8 *data, gsize size, KrTsFound *found)
{
  g_autofree Pid *pids = g_new0 (Pid, KR_TS_N_PIDS);
  guint8 before[184] = {0};
  gboolean has_pcr = FALSE;
  guint64 pcr = 0, video = 0, first_video = 0;
  guint pmt_pid = 0;

  memset (found, 0, sizeof *found);
  found->skew_min = G_MAXINT64;
  found->skew_max = G_MININT64;
  for (guint i = 0; i < KR_TS_N_PIDS; i++)
    pids[i].counter = -1;
  g_assert_cmpuint (size % KR_TS_PACKET_SIZE, ==, 0);
  for (gsize i = 0; i < size; i += KR_TS_PACKET_SIZE) {
    const guint8 *p = data + i;
    guint pid = kr_ts_pid (p);
    Pid *s = &pids[pid];
    gint counter = p[3] & 0x0f;
    KrTsPes pes;
    guint offset;

    g_assert_cmpuint (p[0], ==, KR_TS_SYNC_BYTE);
    found->packets++;
    if (pid == KR_TS_PID_NULL)
      continue;
    if (s->counter >= 0 && !(kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY)) {
      gint expected = (s->counter + (kr_ts_has_payload (p) ? 1 : 0)) & 0x0f;

      if (counter != expected && counter != s->counter && g_getenv ("KR_TS_VERBOSE") != NULL)
        g_printerr ("# packet %u pid %u: counter %d, expected %d\n", found->packets, pid,
                    counter, expected);
      /* One repetition of a packet is allowed. */
      if (counter == s->counter && s->last != NULL && memcmp (p + 4, s->last + 4, 184) == 0)
        continue;
      found->cc_errors += counter != expected;
    }
    s->counter = counter;
    s->last = p;
    if (kr_ts_pcr_offset (p) != 0) {
      read_clock (found, p, &has_pcr, &pcr);
      if (before[0] != 0 && pid != ((guint)(before[8] & 0x1f) << 8 | before[9])) {
        found->stray_pcrs++;
        if (g_getenv ("KR_TS_VERBOSE") != NULL)
          g_printerr ("# packet %u pid %u: PCR on another PID than the PMT says\n",
                      found->packets, pid);
      }
    }
    offset = kr_ts_payload_offset (p);
    if (offset == KR_TS_PACKET_SIZE || !kr_ts_starts_unit (p))
      continue;
    if (pid == KR_TS_PID_PAT) {
      found->pats++;
      pmt_pid = (guint)(p[15] & 0x1f) << 8 | p[16];
    } else if (pid == pmt_pid) {
      read_pmt (found, p, before);
    } else if (!kr_ts_is_scrambled (p) &&
               kr_ts_parse_pes (p + offset, KR_TS_PACKET_SIZE - offset, &pes) &&
               pes.pts_offset != 0) {
      guint64 dts =
          kr_ts_read_stamp (p + offset + (pes.dts_offset ? pes.dts_offset : pes.pts_offset));

      /* A number that another stream has now begins anew. */
      if (s->has && pes.stream_id == s->stream_id && kr_ts_stamp_distance (dts, s->dts) <= 0) {
        found->dts_back++;
        if (g_getenv ("KR_TS_VERBOSE") != NULL)
          g_printerr ("# packet %u pid %u: DTS goes back by %" G_GINT64_FORMAT "\n",
                      found->packets, pid, -kr_ts_stamp_distance (dts, s->dts));
      }
      s->has = TRUE;
      s->stream_id = pes.stream_id;
      s->dts = dts;
      found->late += has_pcr && kr_ts_stamp_distance (dts, pcr / 300) < 0;
      if ((p[offset + 3] & 0xf0) == 0xe0) {
        if (found->video++ == 0)
          first_video = dts;
        video = dts;
      } else {
        gint64 skew = kr_ts_stamp_distance (dts, video);

        found->audio++;
        found->skew_min = MIN (found->skew_min, skew);
        found->skew_max = MAX (found->skew_max, skew);
      }
    }
  }
  found->video_span = kr_ts_stamp_distance (video, first_video);
}

void
kr_ts_shift_stamps (GByteArray *bytes, guint from, guint upto, gint64 ticks, gboolean pcr,
                    gboolean stamps)
{
  guint64 shift = (KR_TS_STAMP_MODULUS + (guint64)ticks) % KR_TS_STAMP_MODULUS;

  for (guint i = from * 188; i < bytes->len && i < upto * 188; i += 188) {
    guint8 *p = bytes->data + i;
    guint offset = kr_ts_payload_offset (p);
    KrTsPes pes;

    if (pcr && kr_ts_pcr_offset (p) != 0)
      kr_ts_shift_pcr (p + kr_ts_pcr_offset (p), shift);
    if (!stamps || !kr_ts_starts_unit (p) || kr_ts_pid (p) == 0 || kr_ts_pid (p) == 0x1000 ||
        !kr_ts_parse_pes (p + offset, 188 - offset, &pes) || pes.pts_offset == 0)
      continue;
    kr_ts_write_stamp (p + offset + pes.pts_offset,
                       (kr_ts_read_stamp (p + offset + pes.pts_offset) + shift) %
                           KR_TS_STAMP_MODULUS);
    if (pes.dts_offset != 0)
      kr_ts_write_stamp (p + offset + pes.dts_offset,
                         (kr_ts_read_stamp (p + offset + pes.dts_offset) + shift) %
                             KR_TS_STAMP_MODULUS);
  }
}
