/* keeprolling - one continuous timeline in the bytes of a transport stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"
#include "plugins/common/messages.h"

#include <string.h>

G_DEFINE_QUARK (kr - ts - error - quark, kr_ts_error)

/* What run() found at the place where it stopped. */
typedef enum {
  RUN_NEXT,
  RUN_HOLD, /* the packets from here on must wait: r->hold says for what */
  RUN_LOST, /* no sync byte here */
} RunResult;

/* sync byte, transport_error_indicator, payload_unit_start_indicator, adaptation_field_control
 * and continuity_counter: what can make a packet worth a look */
#define HEADER_MASK 0xffc0003fu
#define HEADER_FAST 0x47000010u

/* Units that do not decide within this many bytes are no keyframes. */
#define UNIT_HOLD_BYTES (64 * 1024)
/* Tables come every 100 ms, at most every 500 ms (ETSI TR 101 290). */
#define START_HOLD_FACTOR 5

#define MESSAGE_INTERVAL G_GINT64_CONSTANT (1000000000)

static const char *const event_names[] = {
    [KR_TS_EVENT_JUMP_FORWARD] = KR_DISCONT_JUMP_FORWARD,
    [KR_TS_EVENT_JUMP_BACK] = KR_DISCONT_JUMP_BACK,
    [KR_TS_EVENT_OVERLAP] = KR_DISCONT_OVERLAP,
    [KR_TS_EVENT_GAP] = KR_DISCONT_GAP,
    [KR_TS_EVENT_WRAP_TS33] = KR_DISCONT_WRAP_TS33,
    [KR_TS_EVENT_WRAP_RTP32] = KR_DISCONT_WRAP_RTP32,
    [KR_TS_EVENT_LAG_RESYNC] = KR_DISCONT_LAG_RESYNC,
    [KR_TS_EVENT_STREAM_JUMP] = KR_DISCONT_STREAM_JUMP,
    [KR_TS_EVENT_OUTLIER_RETURN] = KR_DISCONT_OUTLIER_RETURN,
};
G_STATIC_ASSERT (G_N_ELEMENTS (event_names) == KR_TS_N_EVENTS);

const char *
kr_ts_event_name (KrTsEventKind kind)
{
  g_return_val_if_fail ((guint)kind < KR_TS_N_EVENTS, NULL);
  return event_names[kind];
}

void
kr_ts_regen_config_init (KrTsRegenConfig *config)
{
  *config = (KrTsRegenConfig){
      .mode = KR_TS_REGEN_CORRECT,
      .repair_joins = TRUE,
      .max_gap = 1000000000,
      .hold_time = 100000000,
      .hold_bytes = 1024 * 1024,
      .max_lag = G_GINT64_CONSTANT (2000000000),
      .lag_hold = G_GINT64_CONSTANT (3000000000),
  };
}

/* --- life ---------------------------------------------------------------------------- */

static void
clear_piece (gpointer data)
{
  KrTsPiece *piece = data;

  g_clear_pointer (&piece->owner, g_bytes_unref);
}

KrTsRegen *
kr_ts_regen_new (const KrTsRegenConfig *config)
{
  KrTsRegen *r = g_new0 (KrTsRegen, 1);

  r->config = *config;
  r->streams = g_array_new (FALSE, TRUE, sizeof (KrStream));
  r->tables = kr_ts_tables_new ();
  r->scan.tables = kr_ts_tables_new ();
  r->held = g_byte_array_new ();
  r->pieces = g_array_new (FALSE, TRUE, sizeof (KrTsPiece));
  g_array_set_clear_func (r->pieces, clear_piece);
  r->events = g_array_new (FALSE, TRUE, sizeof (KrTsEvent));
  kr_ts_regen_reset (r);
  return r;
}

void
kr_ts_regen_free (KrTsRegen *r)
{
  if (r == NULL)
    return;
  for (guint i = 0; i < r->n_programs; i++)
    g_free (r->programs[i]);
  g_array_unref (r->streams);
  kr_ts_tables_free (r->tables);
  kr_ts_tables_free (r->scan.tables);
  g_byte_array_unref (r->held);
  g_array_unref (r->pieces);
  g_array_unref (r->events);
  g_clear_pointer (&r->header, g_bytes_unref);
  g_free (r);
}

void
kr_ts_regen_configure (KrTsRegen *r, const KrTsRegenConfig *config)
{
  r->config = *config;
}

void
kr_ts_regen_reset (KrTsRegen *r)
{
  memset (r->pids, 0, sizeof r->pids);
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    r->pids[pid].expect = KR_TS_NO_HEADER;
    r->pids[pid].out_pid = (guint16)pid;
    r->pids[pid].program = KR_TS_NO_PROGRAM;
    r->pids[pid].out_counter = KR_TS_NO_COUNTER;
  }
  r->pids[KR_TS_PID_PAT].flags = KR_PID_TABLE;
  for (guint i = 0; i < r->n_programs; i++)
    g_clear_pointer (&r->programs[i], g_free);
  r->n_programs = 0;
  r->n_used = 0;
  g_array_set_size (r->streams, 0);
  kr_ts_tables_reset (r->tables);
  kr_ts_tables_reset (r->scan.tables);
  r->started = FALSE;
  r->has_pat = r->replace_pat = FALSE;
  r->key_pid = KR_TS_PID_NULL;
  r->arrival = r->last_arrival = KR_TS_NO_TIME;
  r->has_base = FALSE;
  r->stamp = 0;
  r->carry_size = 0;
  r->synced = r->sized = FALSE;
  r->hold = KR_HOLD_NONE;
  g_byte_array_set_size (r->held, 0);
  r->force = r->discont = r->tables_changed = FALSE;
  r->position = r->settled = 0;
  g_array_set_size (r->pieces, 0);
  g_array_set_size (r->events, 0);
  g_clear_pointer (&r->header, g_bytes_unref);
}

/* --- small parts the other files use ------------------------------------------------- */

void
kr_pid_update (KrPid *s, guint pid)
{
  s->rewrite = s->delta != 0 || s->out_pid != pid;
  if ((s->flags & (KR_PID_TABLE | KR_PID_DROP | KR_PID_FRESH | KR_PID_SLOW)) != 0 ||
      (s->flags & KR_PID_SEEN) == 0)
    s->expect = KR_TS_NO_HEADER;
  else
    s->expect = HEADER_FAST | ((s->counter + 1u) & 0x0f);
}

guint
kr_ts_regen_program_of (const KrTsRegen *r, guint pid)
{
  guint program = r->pids[pid].program;

  /* With one program everything belongs to it, listed or not. */
  return program == KR_TS_NO_PROGRAM && r->n_programs == 1 ? 0 : program;
}

KrStream *
kr_ts_regen_stream (KrTsRegen *r, const KrPid *s)
{
  return s->stream != 0 ? &g_array_index (r->streams, KrStream, s->stream - 1) : NULL;
}

void
kr_ts_regen_event (KrTsRegen *r, KrProgram *program, KrTsEventKind kind, gint64 delta,
                   gint64 gap, guint64 in, guint64 out)
{
  gint64 now = r->arrival != KR_TS_NO_TIME ? r->arrival : r->stamp;
  KrTsEvent event = {
      .program = program->number,
      .kind = kind,
      .delta = delta,
      .gap = gap,
      .epoch = program->epoch,
      .in_ts = kr_stamp_to_ns ((gint64)in),
      .out_ts = kr_stamp_to_ns ((gint64)out),
      .running_time = now,
  };

  r->stats.discontinuities++;
  if (program->reported[kind] != 0 && now < program->reported[kind] + MESSAGE_INTERVAL) {
    program->suppressed[kind]++;
    return;
  }
  event.suppressed = program->suppressed[kind];
  program->suppressed[kind] = 0;
  program->reported[kind] = MAX (now, 1);
  g_array_append_val (r->events, event);
}

void
kr_ts_region_cut (KrTsRegen *r, KrRegion *g, guint8 *upto)
{
  if (upto > g->start) {
    KrTsPiece piece = {
        .data = g->start,
        .size = (gsize)(upto - g->start),
        .owner = g->owner != NULL ? g_bytes_ref (g->owner) : NULL,
        .stamp = g->stamp,
        .flags = g->flags,
    };

    if (r->tables_changed) {
      piece.flags |= KR_TS_PIECE_TABLES;
      r->tables_changed = FALSE;
    }
    r->stats.bytes_out += piece.size;
    g_array_append_val (r->pieces, piece);
    g->flags = 0;
  }
  g->start = upto;
  g->stamp = r->stamp;
}

void
kr_ts_region_insert (KrTsRegen *r, KrRegion *g, const guint8 *data, gsize size)
{
  KrTsPiece piece = {.size = size, .stamp = g->stamp, .flags = g->flags};
  gsize unused;

  piece.owner = g_bytes_new (data, size);
  piece.data = (guint8 *)g_bytes_get_data (piece.owner, &unused);
  if (r->tables_changed) {
    piece.flags |= KR_TS_PIECE_TABLES;
    r->tables_changed = FALSE;
  }
  r->stats.bytes_out += size;
  g_array_append_val (r->pieces, piece);
  g->flags = 0;
}

/* --- the start of a PES packet ------------------------------------------------------- */

static void
unit_begin (KrUnit *unit, guint pid, gboolean scans, KrTsCodec codec)
{
  memset (unit, 0, sizeof *unit);
  unit->pid = pid;
  unit->scans = scans;
  if (scans)
    kr_ts_keyframe_begin (&unit->scan, codec);
}

static void
unit_end (KrUnit *unit)
{
  unit->done = TRUE;
  if (unit->verdict == KR_TS_KEYFRAME_UNDECIDED)
    unit->verdict = KR_TS_KEYFRAME_NO;
}

/* Takes the next packet of the unit's PID. */
static void
unit_push (KrUnit *unit, guint8 *p)
{
  guint offset = kr_ts_payload_offset (p);
  guint size = KR_TS_PACKET_SIZE - offset;
  guint skip = 0;

  if (unit->have < KR_TS_PES_HEADER_MAX) {
    for (guint i = offset; i < KR_TS_PACKET_SIZE && unit->have < KR_TS_PES_HEADER_MAX; i++) {
      unit->at[unit->have] = p + i;
      unit->head[unit->have++] = p[i];
    }
    unit->has_pes = kr_ts_parse_pes (unit->head, unit->have, &unit->pes);
    if (!unit->has_pes && unit->have >= 9) {
      unit_end (unit);
      return;
    }
  }
  if (!unit->has_pes || !unit->pes.complete) {
    unit->seen += size;
    return;
  }
  if (!unit->scans) {
    unit_end (unit);
    return;
  }
  if (unit->seen < unit->pes.payload_offset)
    skip = MIN (unit->pes.payload_offset - unit->seen, size);
  unit->seen += size;
  unit->verdict = kr_ts_keyframe_push (&unit->scan, p + offset + skip, size - skip);
  if (unit->verdict != KR_TS_KEYFRAME_UNDECIDED)
    unit->done = TRUE;
}

/* Takes what follows @p in the region until the unit is decided. */
static gboolean
unit_look_ahead (KrTsRegen *r, KrUnit *unit, guint8 *p, const guint8 *end)
{
  unit_push (unit, p);
  for (p += KR_TS_PACKET_SIZE; !unit->done && p < end; p += KR_TS_PACKET_SIZE) {
    if (p[0] != KR_TS_SYNC_BYTE) {
      unit_end (unit); /* the stream breaks off here */
    } else if (kr_ts_pid (p) == unit->pid && kr_ts_has_payload (p) && !kr_ts_has_error (p)) {
      if (kr_ts_starts_unit (p))
        unit_end (unit);
      else
        unit_push (unit, p);
    }
  }
  if (!unit->done && r->force)
    unit_end (unit);
  return unit->done;
}

/* Reads and writes the stamps even where the header straddles packets. */
static void
unit_stamps (KrTsRegen *r, KrUnit *unit, KrStream *stream, gboolean repeated)
{
  guint8 head[KR_TS_PES_HEADER_MAX];

  memcpy (head, unit->head, sizeof head);
  kr_ts_regen_pes (r, stream, head + unit->pes.pts_offset,
                   unit->pes.dts_offset != 0 ? head + unit->pes.dts_offset : NULL, repeated);
  if (r->config.mode == KR_TS_REGEN_MONITOR || memcmp (head, unit->head, unit->have) == 0)
    return;
  r->stats.corrections++;
  for (guint i = 9; i < unit->have; i++)
    *unit->at[i] = head[i];
}

/* --- packets ------------------------------------------------------------------------- */

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
  if (stream == NULL || !stream->has || !kr_ts_starts_unit (p) || kr_ts_is_scrambled (p) ||
      !kr_ts_parse_pes (p + offset, KR_TS_PACKET_SIZE - offset, &pes) || pes.pts_offset == 0)
    return TRUE;
  return kr_ts_read_stamp (p + offset + pes.pts_offset) == stream->pts_in;
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

static void
take_counter (KrTsRegen *r, KrPid *s, guint pid, const guint8 *p, gboolean signalled)
{
  guint counter = kr_ts_counter (p);

  if ((s->flags & KR_PID_FRESH) != 0) {
    guint last = r->pids[s->out_pid].out_counter;

    s->flags &= (guint8)~KR_PID_FRESH;
    s->delta = 0;
    if (last != KR_TS_NO_COUNTER && r->config.repair_joins &&
        r->config.mode != KR_TS_REGEN_MONITOR)
      s->delta = (last + kr_ts_has_payload (p) - counter) & 0x0f;
  } else if (!signalled && kr_ts_regen_counter_breaks (r, s, p)) {
    r->stats.cc_errors++;
  }
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
take_adaptation (KrTsRegen *r, KrRegion *g, guint8 *p, guint pid)
{
  guint offset = kr_ts_pcr_offset (p);
  guint opcr = kr_ts_opcr_offset (p);
  guint index;

  if (offset != 0)
    kr_ts_regen_pcr (r, g, p, p + offset, pid);
  index = kr_ts_regen_program_of (r, pid);
  if (opcr != 0 && index != KR_TS_NO_PROGRAM && r->programs[index]->offset != 0 &&
      r->config.mode != KR_TS_REGEN_MONITOR)
    kr_ts_shift_pcr (p + opcr, r->programs[index]->offset);
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
  unit_begin (unit, pid,
              pid == r->key_pid && !r->key_any && kr_ts_keyframe_knows (r->key_codec),
              r->key_codec);
  if (unit_look_ahead (r, unit, p, g->end))
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
    unit_stamps (r, unit, stream, repeated);
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
}

/* SCTE 35: splice_info_section, whose pts_adjustment is there to be changed by whoever moves
 * the stamps. Sections that do not fit one packet are left alone. */
#define STREAM_TYPE_SCTE35 0x86
#define TABLE_SCTE35       0xfc
#define SCTE35_MIN_SIZE    17

static void
take_splice (KrTsRegen *r, const KrPid *s, guint8 *p)
{
  const KrStream *stream = kr_ts_regen_stream (r, s);
  guint offset = kr_ts_payload_offset (p);
  guint64 shift, adjustment;
  guint8 *section;
  gsize room, size;

  if (stream == NULL || stream->stream_type != STREAM_TYPE_SCTE35 ||
      r->config.mode == KR_TS_REGEN_MONITOR || offset >= KR_TS_PACKET_SIZE)
    return;
  shift = r->programs[stream->program]->offset;
  if (shift == 0 || offset + 1u + p[offset] + SCTE35_MIN_SIZE > KR_TS_PACKET_SIZE)
    return;
  section = p + offset + 1 + p[offset];
  room = (gsize)(p + KR_TS_PACKET_SIZE - section);
  size = 3u + ((section[1] & 0x0fu) << 8 | section[2]);
  if (section[0] != TABLE_SCTE35 || size < SCTE35_MIN_SIZE || size > room ||
      kr_ts_crc32 (section, size) != 0)
    return;
  adjustment = (guint64)(section[4] & 1) << 32 | (guint64)section[5] << 24 |
               (guint64)section[6] << 16 | (guint64)section[7] << 8 | section[8];
  adjustment = (adjustment + shift) % KR_TS_STAMP_MODULUS;
  section[4] = (guint8)((section[4] & 0xfe) | adjustment >> 32);
  section[5] = (guint8)(adjustment >> 24);
  section[6] = (guint8)(adjustment >> 16);
  section[7] = (guint8)(adjustment >> 8);
  section[8] = (guint8)adjustment;
  kr_ts_section_seal (section, size);
  r->stats.corrections++;
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

/* Everything but the ordinary packet. */
static RunResult
look (KrTsRegen *r, KrRegion *g, guint8 *p, guint32 header)
{
  guint pid = header >> 8 & 0x1fff;
  KrPid *s = &r->pids[pid];
  gboolean payload = (header & KR_TS_AFC_PAYLOAD) != 0;
  gboolean signalled, repeated, starts, scrambled;
  KrUnit unit;

  if (header >> 24 != KR_TS_SYNC_BYTE)
    return RUN_LOST;
  if (pid == KR_TS_PID_NULL)
    return RUN_NEXT;
  if ((header & 0x800000) != 0) {
    r->stats.tei_packets++; /* not even the PID can be trusted */
    return RUN_NEXT;
  }
  if ((guint64)g->position + (guint64)(p - g->base) >= r->settled && is_suspicious (r, s, p)) {
    r->stats.holds++;
    if (!scan_ahead (r, g, p)) {
      r->hold = KR_HOLD_JOIN;
      return RUN_HOLD;
    }
    /* A muxer that does not count on some side channel must not cost a look ahead each time. */
    if (!r->discont && (s->flags & (KR_PID_TABLE | KR_PID_LISTED)) == 0)
      s->flags |= KR_PID_NOISY;
    mark_discont (r, g, p);
  }
  starts = payload && (header & 0x400000) != 0 && (s->flags & KR_PID_TABLE) == 0;
  scrambled = kr_ts_is_scrambled (p);
  if (starts && !scrambled && !read_unit (r, g, p, pid, &unit)) {
    r->hold = KR_HOLD_UNIT;
    return RUN_HOLD;
  }

  signalled = (kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY) != 0;
  repeated =
      (s->flags & (KR_PID_SEEN | KR_PID_FRESH)) == KR_PID_SEEN && (header & 0x0f) == s->counter;
  /* First, for it may say that the counters go on elsewhere. */
  if ((s->flags & KR_PID_TABLE) != 0 && payload)
    take_table (r, p);
  take_counter (r, s, pid, p, signalled);
  if ((header & KR_TS_AFC_ADAPTATION) != 0)
    take_adaptation (r, g, p, pid);
  mark_discont (r, g, p);
  if (starts)
    take_unit (r, g, p, s, pid, scrambled ? NULL : &unit, repeated);
  if (starts && !scrambled && !unit.has_pes)
    take_splice (r, s, p);
  if ((s->flags & KR_PID_TABLE) != 0 && payload && kr_ts_session_replaces (r, pid)) {
    kr_ts_session_write_table (r, g, p, pid);
    return RUN_NEXT;
  }
  if (is_dropped (r, s)) {
    r->stats.dropped_packets++;
    s->flags |= KR_PID_FRESH; /* the counter goes on when the packets do */
    kr_ts_region_cut (r, g, p);
    g->start = p + KR_TS_PACKET_SIZE;
  }
  kr_pid_update (s, pid);
  if (s->rewrite)
    rewrite_header (p, s);
  return RUN_NEXT;
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
static guint8 *
run (KrTsRegen *r, KrRegion *g, guint8 *p, RunResult *ret_result)
{
  KrPid *pids = r->pids;
  guint8 *end = g->end;

  while (p < end) {
    guint32 header = load_header (p);
    KrPid *s = &pids[header >> 8 & 0x1fff];

    if (G_LIKELY ((header & HEADER_MASK) == s->expect)) {
      s->counter = header & 0x0f;
      s->expect = HEADER_FAST | ((header + 1) & 0x0f);
      if (G_UNLIKELY (s->rewrite))
        rewrite_header (p, s);
    } else {
      RunResult result = look (r, g, p, header);

      if (G_UNLIKELY (result != RUN_NEXT)) {
        *ret_result = result;
        return p;
      }
    }
    p += KR_TS_PACKET_SIZE;
  }
  *ret_result = RUN_NEXT;
  return p;
}

/* --- holding ------------------------------------------------------------------------- */

static void
begin_hold (KrTsRegen *r)
{
  r->hold_since = r->arrival;
  g_byte_array_set_size (r->held, 0);
  if (r->hold != KR_HOLD_UNIT) /* its state was kept by take_unit() */
    kr_ts_scan_begin (r);
  else
    unit_begin (&r->unit, r->unit.pid, r->unit.scans, r->unit.scan.codec);
}

static gboolean
hold_is_over (const KrTsRegen *r)
{
  gsize bytes = r->hold == KR_HOLD_UNIT ? UNIT_HOLD_BYTES : r->config.hold_bytes;
  gint64 time = r->config.hold_time;

  if (r->hold == KR_HOLD_START)
    time *= START_HOLD_FACTOR;
  if (r->held->len >= bytes)
    return TRUE;
  return r->config.live && r->arrival != KR_TS_NO_TIME && r->hold_since != KR_TS_NO_TIME &&
         r->arrival - r->hold_since > time;
}

static gboolean
hold_packet (KrTsRegen *r, guint8 *p)
{
  switch (r->hold) {
  case KR_HOLD_NONE:
    return TRUE;
  case KR_HOLD_START:
    kr_ts_scan_packet (r, p);
    return kr_ts_tables_complete (r->scan.tables);
  case KR_HOLD_JOIN:
    kr_ts_scan_packet (r, p);
    return kr_ts_scan_done (r);
  case KR_HOLD_UNIT:
    if (kr_ts_pid (p) != r->unit.pid || !kr_ts_has_payload (p) || kr_ts_has_error (p))
      return FALSE;
    if (kr_ts_starts_unit (p) && r->unit.seen > 0)
      return TRUE;
    unit_push (&r->unit, p);
    return r->unit.done;
  }
  return TRUE;
}

static guint8 *feed (KrTsRegen *r, guint8 *p, guint8 *end, GBytes *owner);

static void
release_hold (KrTsRegen *r, gboolean force)
{
  KrHold hold = r->hold;
  GByteArray *held = r->held;
  g_autoptr (GBytes) bytes = NULL;
  guint8 *data;
  gsize size;

  r->hold = KR_HOLD_NONE;
  r->held = g_byte_array_new ();
  if (hold == KR_HOLD_START) {
    r->started = TRUE;
    if (r->scan.tables->has_pat) {
      kr_ts_tables_assign (r->tables, r->scan.tables);
      kr_ts_session_begin (r);
    }
  } else if (hold == KR_HOLD_JOIN) {
    r->settled = r->position + held->len;
    kr_ts_scan_resolve (r);
  }
  bytes = g_byte_array_free_to_bytes (held);
  data = (guint8 *)g_bytes_get_data (bytes, &size);
  if (size > 0) {
    gboolean before = r->force;

    r->force = force || before;
    feed (r, data, data + size, bytes);
    r->force = before;
  }
}

/* Adds packets to what is held until it is decided; returns the first that was not taken. */
static guint8 *
hold_take (KrTsRegen *r, guint8 *p, guint8 *end)
{
  while (p < end && p[0] == KR_TS_SYNC_BYTE) {
    gboolean decided = hold_packet (r, p);

    g_byte_array_append (r->held, p, KR_TS_PACKET_SIZE);
    p += KR_TS_PACKET_SIZE;
    if (decided || hold_is_over (r)) {
      release_hold (r, !decided);
      break;
    }
  }
  return p;
}

/* Takes whole packets; returns the first place without a sync byte, or @end. */
static guint8 *
feed (KrTsRegen *r, guint8 *p, guint8 *end, GBytes *owner)
{
  while (p < end) {
    KrRegion g = {.base = p, .start = p, .end = end, .owner = owner};
    RunResult result;

    if (!r->started && r->hold == KR_HOLD_NONE) {
      r->hold = KR_HOLD_START;
      begin_hold (r);
    }
    if (r->hold != KR_HOLD_NONE) {
      p = hold_take (r, p, end);
      if (p < end && p[0] != KR_TS_SYNC_BYTE)
        return p;
      continue;
    }
    g.position = (gint64)r->position;
    g.stamp = r->stamp;
    if (r->discont) {
      g.flags |= KR_TS_PIECE_DISCONT;
      r->discont = FALSE;
    }
    p = run (r, &g, p, &result);
    r->position += (guint64)(p - g.base);
    r->stats.packets += (guint64)(p - g.base) / KR_TS_PACKET_SIZE;
    kr_ts_region_cut (r, &g, p);
    if (g.flags != 0)
      r->discont |= (g.flags & KR_TS_PIECE_DISCONT) != 0;
    if (result == RUN_LOST)
      return p;
    if (result == RUN_HOLD)
      begin_hold (r);
  }
  return p;
}

/* --- bytes to packets ---------------------------------------------------------------- */

static void
skip_garbage (KrTsRegen *r, gsize size)
{
  r->stats.garbage_bytes += size;
  if (size > 0 && r->position > 0)
    r->discont = TRUE;
}

static gboolean
check_packet_size (KrTsRegen *r, const guint8 *data, gsize size, GError **error)
{
  guint found = kr_ts_detect_packet_size (data, size);

  if (found == 0 || found == KR_TS_PACKET_SIZE)
    return TRUE;
  g_set_error (error, KR_TS_ERROR, KR_TS_ERROR_PACKET_SIZE,
               "The stream has packets of %u bytes%s; only plain transport streams of "
               "188-byte packets are supported",
               found, found == 192 ? " (M2TS, as on discs)" : " (with Reed-Solomon parity)");
  return FALSE;
}

/* Finds packets in bytes that are not known to begin with one. Returns how many bytes before
 * the first were looked at and given up; *ret_found tells whether a packet follows them. */
static gsize
find_packets (KrTsRegen *r, const guint8 *data, gsize size, gboolean *ret_found)
{
  const gsize needed = 2 * KR_TS_PACKET_SIZE + 1;
  gsize offset = 0;

  *ret_found = kr_ts_find_sync (data, size, &offset);
  if (*ret_found)
    return offset;
  return size >= needed ? size - needed + 1 : 0;
}

/* Takes what it can of @data, which nothing is carried before; returns how much. */
static gboolean
take_block (KrTsRegen *r, guint8 *data, gsize size, GBytes *owner, gsize *ret_taken,
            GError **error)
{
  gsize taken = 0;

  while (taken < size) {
    guint8 *p = data + taken;
    gsize left = size - taken;

    if (!r->synced) {
      gboolean found;
      gsize skip = find_packets (r, p, left, &found);

      if (!r->sized && !found && !check_packet_size (r, p, left, error))
        return FALSE;
      if (!r->sized && !found && left < sizeof r->carry)
        break; /* the size must be told before anything is thrown away */
      skip_garbage (r, skip);
      taken += skip;
      if (!found)
        break;
      r->synced = r->sized = TRUE;
      continue;
    }
    if (left < KR_TS_PACKET_SIZE)
      break;
    left -= left % KR_TS_PACKET_SIZE;
    taken += (gsize)(feed (r, p, p + left, owner) - p);
    if (taken < size && (gsize)(data + taken - p) < left)
      r->synced = FALSE;
  }
  *ret_taken = taken;
  return TRUE;
}

/* Completes what is carried with the head of @data, until the rest of @data can be taken as it
 * lies. Returns how much was used. */
static gboolean
take_carry (KrTsRegen *r, guint8 *data, gsize size, gsize *ret_used, GError **error)
{
  gsize used = 0;

  while (r->carry_size > 0 && used < size) {
    gsize want = r->synced ? KR_TS_PACKET_SIZE : sizeof r->carry;
    gsize part = MIN (want - r->carry_size, size - used);
    g_autoptr (GBytes) owner = NULL;
    guint8 *block;
    gsize block_size, taken = 0;

    memcpy (r->carry + r->carry_size, data + used, part);
    r->carry_size += (guint)part;
    used += part;
    if (r->synced && r->carry_size < want)
      break;
    owner = g_bytes_new (r->carry, r->carry_size);
    block = (guint8 *)g_bytes_get_data (owner, &block_size);
    if (!take_block (r, block, block_size, owner, &taken, error))
      return FALSE;
    r->carry_size = (guint)(block_size - taken);
    memmove (r->carry, block + taken, r->carry_size);
    /* What is left came from @data: go on there instead of copying. */
    if (r->carry_size <= used) {
      used -= r->carry_size;
      r->carry_size = 0;
    }
  }
  *ret_used = used;
  return TRUE;
}

static void
clear_output (KrTsRegen *r)
{
  g_array_set_size (r->pieces, 0);
  g_array_set_size (r->events, 0);
}

gboolean
kr_ts_regen_push (KrTsRegen *r, guint8 *data, gsize size, gint64 arrival, KrTsHint hints,
                  GError **error)
{
  gsize used = 0, taken = 0;

  clear_output (r);
  r->arrival = r->config.live ? arrival : KR_TS_NO_TIME;
  r->stats.bytes_in += size;
  if ((hints & KR_TS_HINT_DISCONT) != 0 && r->position > 0)
    r->discont = TRUE;
  if (!r->has_base && arrival != KR_TS_NO_TIME && r->config.live && r->position == 0)
    r->stamp = MAX (arrival, 0);
  if (r->carry_size > 0 && !take_carry (r, data, size, &used, error))
    return FALSE;
  if (r->carry_size == 0 && used < size) {
    if (!take_block (r, data + used, size - used, NULL, &taken, error))
      return FALSE;
    used += taken;
    g_assert (size - used <= sizeof r->carry);
    r->carry_size = (guint)(size - used);
    memcpy (r->carry, data + used, r->carry_size);
  }
  r->last_arrival = r->arrival;
  return TRUE;
}

void
kr_ts_regen_drain (KrTsRegen *r)
{
  g_autoptr (GBytes) owner = NULL;
  guint8 *data;
  gsize size, taken = 0;

  clear_output (r);
  r->started |= r->hold != KR_HOLD_START;
  r->force = TRUE;
  /* Too short for three sync bytes in a row: whole packets count all the same. */
  owner = g_bytes_new (r->carry, r->carry_size);
  data = (guint8 *)g_bytes_get_data (owner, &size);
  while (taken + KR_TS_PACKET_SIZE <= size) {
    if (data[taken] == KR_TS_SYNC_BYTE) {
      feed (r, data + taken, data + taken + KR_TS_PACKET_SIZE, owner);
      taken += KR_TS_PACKET_SIZE;
    } else {
      taken++;
      skip_garbage (r, 1);
    }
  }
  skip_garbage (r, size - taken);
  r->carry_size = 0;
  while (r->hold != KR_HOLD_NONE)
    release_hold (r, TRUE);
  r->force = FALSE;
}

/* --- answers ------------------------------------------------------------------------- */

const KrTsPiece *
kr_ts_regen_get_pieces (const KrTsRegen *r, guint *ret_n)
{
  *ret_n = r->pieces->len;
  return (const KrTsPiece *)r->pieces->data;
}

const KrTsEvent *
kr_ts_regen_get_events (const KrTsRegen *r, guint *ret_n)
{
  *ret_n = r->events->len;
  return (const KrTsEvent *)r->events->data;
}

GBytes *
kr_ts_regen_get_header (KrTsRegen *r)
{
  return r->header != NULL ? g_bytes_ref (r->header) : NULL;
}

void
kr_ts_regen_get_stats (KrTsRegen *r, KrTsRegenStats *stats)
{
  r->stats.programs = r->n_programs;
  if (r->n_programs > 0) {
    const KrProgram *first = r->programs[0];

    r->stats.epochs = first->epoch;
    r->stats.offset_ns = kr_stamp_to_ns (kr_ts_stamp_distance (first->offset, 0));
  }
  *stats = r->stats;
}
