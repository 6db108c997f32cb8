/* keeprolling - inside mpegts-regen: one packet after the other
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"

#include <string.h>

#define MAX_KEYFRAME_WAIT (10 * (gint64)KR_TS_PCR_HZ)

/* One repetition of a packet is allowed; where the packet starts a PES packet, its stamp tells
 * whether it is one. */
static gboolean
is_repetition (const KrTsRegen *r, const KrPid *s, const guint8 *p)
{
  const KrStream *stream = kr_ts_regen_stream ((KrTsRegen *)r, s);
  guint offset = kr_ts_payload_offset (p);
  KrTsPes pes;

  if ((s->flags & KR_PID_TABLE) != 0)
    return kr_ts_tables_may_repeat (r->tables, p);
  if (stream == NULL || !kr_ts_starts_unit (p) || kr_ts_is_scrambled (p) ||
      !kr_ts_parse_pes (p + offset, KR_TS_PACKET_SIZE - offset, &pes) || pes.pts_offset == 0)
    return TRUE;
  return stream->has && kr_ts_read_stamp (p + offset + pes.pts_offset) == stream->pts_in;
}

gboolean
kr_ts_regen_counter_breaks (const KrTsRegen *r, const KrPid *s, const guint8 *p)
{
  guint counter = kr_ts_counter (p);

  if ((s->flags & KR_PID_SEEN) == 0 || (s->flags & KR_PID_FRESH) != 0)
    return FALSE;
  if (!kr_ts_has_payload (p))
    return counter != s->counter;
  if (counter == s->counter)
    return !is_repetition (r, s, p);
  return counter != ((s->counter + 1u) & 0x0f);
}

/* Could another session begin here? */
static gboolean
is_suspicious (const KrTsRegen *r, const KrPid *s, const guint8 *p)
{
  gboolean signalled = (kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY) != 0;

  if (r->paused)
    return TRUE;
  if ((s->flags & KR_PID_NOISY) != 0)
    return FALSE;
  if (signalled)
    return kr_ts_pcr_offset (p) != 0 && (s->flags & KR_PID_SEEN) != 0;
  if (kr_ts_regen_counter_breaks (r, s, p))
    return TRUE;
  return (s->flags & KR_PID_TABLE) != 0 && kr_ts_tables_differ (r->tables, p);
}

/* Looks ahead inside the region; FALSE if it ends before all is known. */
static gboolean
scan_ahead (KrTsRegen *r, const KrRegion *g, guint8 *p)
{
  guint8 *q = p;

  kr_ts_scan_begin (r);
  while (q < g->end && q[0] == KR_TS_SYNC_BYTE) {
    kr_ts_scan_packet (r, q);
    q += KR_TS_PACKET_SIZE;
    if (kr_ts_scan_done (r) || (gsize)(q - p) >= r->config.hold_bytes || q == g->end) {
      if (q == g->end && !r->force && !kr_ts_scan_done (r))
        return FALSE;
      break;
    }
  }
  r->settled = (guint64)g->position + (guint64)(q - g->base);
  kr_ts_scan_resolve (r);
  return TRUE;
}

/* A demuxer copes with what is missing from pictures. A parser of sound that gets one half of
 * a frame may take what follows for the header of a large one, and wait for seconds of it. */
static void
note_loss (KrTsRegen *r, const KrPid *s)
{
  const KrStream *stream = kr_ts_regen_stream (r, s);

  r->lost |=
      stream != NULL && stream->kind == KR_TS_KIND_AUDIO && (s->flags & KR_PID_TOLD) == 0;
}

void
kr_ts_regen_note_told (KrTsRegen *r)
{
  r->lost = FALSE;
  for (guint i = 0; i < r->n_used; i++) {
    r->pids[r->used[i]].flags |= KR_PID_TOLD;
    kr_pid_update (&r->pids[r->used[i]], r->used[i]);
  }
}

static void
take_counter (KrTsRegen *r, KrPid *s, guint pid, const guint8 *p, gboolean broken)
{
  guint counter = kr_ts_counter (p);

  if ((s->flags & KR_PID_FRESH) != 0) {
    guint last = r->pids[s->out_pid].out_counter;

    s->flags &= (guint8)~KR_PID_FRESH;
    s->delta = 0;
    if (last != KR_TS_NO_COUNTER && r->config.repair_joins &&
        r->config.mode != KR_TS_REGEN_MONITOR)
      s->delta = (last + kr_ts_has_payload (p) - counter) & 0x0f;
  } else if (broken && (s->flags & KR_PID_SEEN) != 0) {
    r->stats.cc_errors++;
    note_loss (r, s);
  }
  s->flags &= (guint8)~KR_PID_TOLD;
  if ((s->flags & KR_PID_SEEN) == 0) {
    s->flags |= KR_PID_SEEN;
    r->used[r->n_used++] = (guint16)pid;
  }
  s->counter = (guint8)counter;
}

static void
rewrite_header (guint8 *p, const KrPid *s)
{
  kr_ts_set_pid (p, s->out_pid);
  kr_ts_set_counter (p, kr_ts_counter (p) + s->delta);
}

static void
stop_waiting (KrTsRegen *r, guint index, guint8 *p)
{
  r->programs[index]->waiting = FALSE;
  /* The PCRs in between were dropped. */
  if (kr_ts_pcr_offset (p) != 0 && r->config.mode != KR_TS_REGEN_MONITOR)
    p[5] |= KR_TS_ADAPTATION_DISCONTINUITY;
  else
    r->programs[index]->signal = TRUE;
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    if (r->pids[pid].program == index && (r->pids[pid].flags & KR_PID_SLOW) != 0) {
      r->pids[pid].flags &= (guint8)~KR_PID_SLOW;
      kr_pid_update (&r->pids[pid], pid);
    }
  }
}

/* A source may have no keyframe that is known as one: late is better than never. */
static void
end_long_wait (KrTsRegen *r, guint index, guint8 *p)
{
  KrProgram *program = r->programs[index];

  if (program->waiting_since == KR_TS_NO_TIME)
    program->waiting_since = program->out_ticks;
  else if (program->out_ticks - program->waiting_since > MAX_KEYFRAME_WAIT)
    stop_waiting (r, index, p);
}

static void
take_adaptation (KrTsRegen *r, KrRegion *g, guint8 *p, guint pid)
{
  guint offset = kr_ts_pcr_offset (p);
  guint opcr = kr_ts_opcr_offset (p), next = kr_ts_next_dts_offset (p);
  guint64 shift;
  guint index;

  if (offset != 0)
    kr_ts_regen_pcr (r, g, p, p + offset, pid);
  index = kr_ts_regen_program_of (r, pid);
  if (offset != 0 && index != KR_TS_NO_PROGRAM && r->programs[index]->waiting)
    end_long_wait (r, index, p);
  shift = index != KR_TS_NO_PROGRAM && r->config.mode != KR_TS_REGEN_MONITOR
              ? r->programs[index]->offset
              : 0;
  if (opcr != 0 && shift != 0)
    kr_ts_shift_pcr (p + opcr, shift);
  if (next != 0 && shift != 0)
    kr_ts_write_stamp (p + next, kr_ts_read_stamp (p + next) + shift);
}

/* The PID's stream; before the tables are known every PID with PES packets gets one. */
static KrStream *
stream_for (KrTsRegen *r, KrPid *s, guint pid)
{
  if (s->stream == 0) {
    guint index = kr_ts_regen_program_of (r, pid);
    KrStream stream = {.pid = (guint16)pid};

    if (index == KR_TS_NO_PROGRAM)
      return NULL;
    stream.program = (guint8)index;
    stream.offset = r->programs[index]->offset;
    g_array_append_val (r->streams, stream);
    s->stream = (guint16)r->streams->len;
  }
  return kr_ts_regen_stream (r, s);
}

static gboolean
is_keyframe (const KrTsRegen *r, const KrUnit *unit, const guint8 *p, guint pid)
{
  if (pid != r->key_pid)
    return FALSE;
  if (r->key_any)
    return TRUE;
  if (unit != NULL && unit->scans)
    return unit->verdict == KR_TS_KEYFRAME_YES;
  return (kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_RANDOM_ACCESS) != 0;
}

/* Reads ahead what is needed of a unit that starts at @p. FALSE: more bytes are needed. */
static gboolean
read_unit (KrTsRegen *r, const KrRegion *g, guint8 *p, guint pid, KrUnit *unit)
{
  kr_unit_begin (unit, pid,
                 pid == r->key_pid && !r->key_any && kr_ts_keyframe_knows (r->key_codec),
                 r->key_codec);
  if (kr_unit_look_ahead (r, unit, p, g->end))
    return TRUE;
  r->unit = *unit;
  return FALSE;
}

/* @unit is NULL if it is scrambled. */
static void
take_unit (KrTsRegen *r, KrRegion *g, guint8 *p, KrPid *s, guint pid, KrUnit *unit,
           gboolean repeated)
{
  KrStream *stream = NULL;

  if (unit != NULL && unit->has_pes && unit->pes.pts_offset != 0)
    stream = stream_for (r, s, pid);
  if (stream != NULL)
    kr_unit_stamps (r, unit, stream, repeated);
  if (!repeated && is_keyframe (r, unit, p, pid)) {
    r->stats.keyframes++;
    kr_ts_region_cut (r, g, p);
    g->flags |= KR_TS_PIECE_KEYFRAME;
    if (s->program != KR_TS_NO_PROGRAM && r->programs[s->program]->waiting)
      stop_waiting (r, s->program, p);
  }
}

static gboolean
is_dropped (const KrTsRegen *r, const KrPid *s)
{
  if (r->config.mode == KR_TS_REGEN_MONITOR)
    return FALSE;
  if ((s->flags & KR_PID_DROP) != 0)
    return TRUE;
  return (s->flags & (KR_PID_LISTED | KR_PID_SLOW)) == (KR_PID_LISTED | KR_PID_SLOW) &&
         s->program != KR_TS_NO_PROGRAM && r->programs[s->program]->waiting;
}

static void
take_table (KrTsRegen *r, const guint8 *p)
{
  KrTsTablesChange change = kr_ts_tables_push (r->tables, p);

  if ((change & KR_TS_TABLES_CRC) != 0)
    r->stats.crc_errors++;
  if ((change & (KR_TS_TABLES_PAT | KR_TS_TABLES_PMT)) != 0)
    kr_ts_session_tables (r, change);
  else if (change == KR_TS_TABLES_SEEN)
    kr_ts_session_table_repeated (r, kr_ts_pid (p));
}

/* SCTE 35: splice_info_section, whose pts_adjustment is there to be changed by whoever moves
 * the stamps. Sections that do not fit one packet are left alone. */
#define STREAM_TYPE_SCTE35 0x86
#define TABLE_SCTE35       0xfc
#define SCTE35_MIN_SIZE    17

static void
move_splice (guint8 *section, gsize size, guint64 shift)
{
  guint64 adjustment = (guint64)(section[4] & 1) << 32 | (guint64)section[5] << 24 |
                       (guint64)section[6] << 16 | (guint64)section[7] << 8 | section[8];

  adjustment = (adjustment + shift) % KR_TS_STAMP_MODULUS;
  section[4] = (guint8)((section[4] & 0xfe) | adjustment >> 32);
  section[5] = (guint8)(adjustment >> 24);
  section[6] = (guint8)(adjustment >> 16);
  section[7] = (guint8)(adjustment >> 8);
  section[8] = (guint8)adjustment;
  kr_ts_section_seal (section, size);
}

static void
take_splice (KrTsRegen *r, const KrPid *s, guint8 *p)
{
  const KrStream *stream = kr_ts_regen_stream (r, s);
  guint offset = kr_ts_payload_offset (p);
  guint64 shift;

  if (stream == NULL || stream->stream_type != STREAM_TYPE_SCTE35 ||
      r->config.mode == KR_TS_REGEN_MONITOR || offset >= KR_TS_PACKET_SIZE)
    return;
  shift = r->programs[stream->program]->offset;
  if (shift == 0)
    return;
  offset += 1u + p[offset];
  while (offset + SCTE35_MIN_SIZE <= KR_TS_PACKET_SIZE && p[offset] == TABLE_SCTE35) {
    gsize size = 3u + ((p[offset + 1] & 0x0fu) << 8 | p[offset + 2]);

    if (size < SCTE35_MIN_SIZE || size > KR_TS_PACKET_SIZE - offset ||
        kr_ts_crc32 (p + offset, size) != 0)
      return;
    move_splice (p + offset, size, shift);
    r->stats.corrections++;
    offset += (guint)size;
  }
}

static void
mark_discont (KrTsRegen *r, KrRegion *g, guint8 *p)
{
  if (!r->discont)
    return;
  kr_ts_region_cut (r, g, p);
  g->flags |= KR_TS_PIECE_DISCONT;
  r->discont = FALSE;
}

/* Where it hears of a loss, a demuxer gives up what it has of any stream: it hears of it where
 * no picture is under way. Packets that are missing are in the counters all the same. */
static void
tell_loss (KrTsRegen *r, gboolean starts, guint pid)
{
  if (!r->lost || (r->key_pid != KR_TS_PID_NULL && (pid != r->key_pid || !starts)))
    return;
  kr_ts_regen_note_told (r);
  r->discont = TRUE;
}

/* Everything but the ordinary packet. */
static KrRun
look (KrTsRegen *r, KrRegion *g, guint8 *p, guint32 header)
{
  guint pid = header >> 8 & 0x1fff;
  KrPid *s = &r->pids[pid];
  gboolean payload = (header & KR_TS_AFC_PAYLOAD) != 0;
  gboolean broken, repeated, starts, scrambled;
  KrUnit unit;

  if (header >> 24 != KR_TS_SYNC_BYTE)
    return KR_RUN_LOST;
  if (pid == KR_TS_PID_NULL)
    return KR_RUN_NEXT;
  if ((header & 0x800000) != 0) {
    r->stats.tei_packets++; /* not even the PID can be trusted */
    return KR_RUN_NEXT;
  }
  if ((guint64)g->position + (guint64)(p - g->base) >= r->settled && is_suspicious (r, s, p)) {
    gboolean paused = r->paused;

    r->stats.holds++;
    if (!scan_ahead (r, g, p)) {
      r->hold = KR_HOLD_JOIN;
      return KR_RUN_HOLD;
    }
    /* A muxer that does not count on some side channel must not cost a look ahead each time. */
    if (!r->discont && !r->lost && !paused && (s->flags & (KR_PID_TABLE | KR_PID_LISTED)) == 0)
      s->flags |= KR_PID_NOISY;
    mark_discont (r, g, p);
    kr_ts_region_mark_tables (r, g, p);
  }
  starts = payload && (header & 0x400000) != 0 && (s->flags & KR_PID_TABLE) == 0;
  scrambled = kr_ts_is_scrambled (p);
  if (starts && !scrambled && !read_unit (r, g, p, pid, &unit)) {
    r->hold = KR_HOLD_UNIT;
    return KR_RUN_HOLD;
  }

  /* Before a table is taken, for it is compared with the one known. */
  broken = (kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY) == 0 &&
           kr_ts_regen_counter_breaks (r, s, p);
  repeated =
      (s->flags & (KR_PID_SEEN | KR_PID_FRESH)) == KR_PID_SEEN && (header & 0x0f) == s->counter;
  /* First, for it may say that the counters go on elsewhere. */
  if ((s->flags & KR_PID_TABLE) != 0 && payload) {
    take_table (r, p);
    kr_ts_region_mark_tables (r, g, p);
    kr_ts_session_insert_pat (r, g, p);
  }
  take_counter (r, s, pid, p, broken);
  if ((header & KR_TS_AFC_ADAPTATION) != 0)
    take_adaptation (r, g, p, pid);
  tell_loss (r, starts, pid);
  mark_discont (r, g, p);
  if (starts)
    take_unit (r, g, p, s, pid, scrambled ? NULL : &unit, repeated);
  if (starts && !scrambled && !unit.has_pes)
    take_splice (r, s, p);
  if ((s->flags & KR_PID_TABLE) != 0 && payload && kr_ts_session_replaces (r, pid)) {
    kr_ts_session_write_table (r, g, p, pid);
    return KR_RUN_NEXT;
  }
  if (is_dropped (r, s)) {
    r->stats.dropped_packets++;
    s->flags |= KR_PID_FRESH; /* the counter goes on when the packets do */
    kr_ts_region_cut (r, g, p);
    g->start = p + KR_TS_PACKET_SIZE;
    g->pcr = NULL; /* it goes, too */
  }
  kr_pid_update (s, pid);
  if (s->rewrite)
    rewrite_header (p, s);
  return KR_RUN_NEXT;
}

static inline guint32
load_header (const guint8 *p)
{
  guint32 word;

  memcpy (&word, p, sizeof word);
  return GUINT32_FROM_BE (word);
}

/* Runs over a region from @p; returns where it stopped. The loop is the price of every packet:
 * one word read, one table entry read and written. */
guint8 *
kr_ts_regen_run (KrTsRegen *r, KrRegion *g, guint8 *p, KrRun *ret_result)
{
  KrPid *pids = r->pids;
  guint8 *end = g->end;
  gboolean paused = r->paused;

  while (p < end) {
    guint32 header = load_header (p);
    KrPid *s = &pids[header >> 8 & 0x1fff];

    if (G_LIKELY ((header & KR_TS_HEADER_MASK) == s->expect && !paused)) {
      s->counter = header & 0x0f;
      s->expect = KR_TS_HEADER_FAST | ((header + 1) & 0x0f);
      if (G_UNLIKELY (s->rewrite))
        rewrite_header (p, s);
    } else {
      KrRun result = look (r, g, p, header);

      if (G_UNLIKELY (result != KR_RUN_NEXT)) {
        *ret_result = result;
        return p;
      }
      paused = r->paused;
    }
    p += KR_TS_PACKET_SIZE;
  }
  *ret_result = KR_RUN_NEXT;
  return p;
}
