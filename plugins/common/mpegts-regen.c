/* keeprolling - one continuous timeline in the bytes of a transport stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"
#include "plugins/common/messages.h"

#include <string.h>

G_DEFINE_QUARK (kr - ts - error - quark, kr_ts_error)

/* Units that do not decide within this many bytes are no keyframes. */
#define UNIT_HOLD_BYTES (64 * 1024)
/* Tables come every 100 ms, at most every 500 ms (ETSI TR 101 290). */
#define START_HOLD_FACTOR 5

/* Live data come more often than this, and much more often than they sometimes do: a few
 * kilobytes a second come in pieces that are 200 ms apart on a busy machine. */
#define PAUSE        G_GINT64_CONSTANT (200000000)
#define PAUSE_FACTOR 3
#define MAX_PAUSE    G_GINT64_CONSTANT (1000000000)

/* tsdemux forgets all when data is missing and looks for the size of packets again, in as many
 * bytes as four of the largest have: 832. What it finds in them it measures against the stamp
 * of the buffer that completed them, not of the one they came in. */
#define FRESH_BYTES (5 * KR_TS_PACKET_SIZE)

/* No damage is that long: the source sends something else. */
#define ALIEN_BYTES (64 * 1024)
#define ALIEN_TIME  G_GINT64_CONSTANT (2000000000)
/* Among that many bytes without a packet three sync bytes in a row come by chance (once in
 * 16 MiB of any data). */
#define DOUBTFUL_BYTES (16 * 1024)

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

/* From here on there are no packets, until some are found. */
static void
begin_search (KrTsRegen *r)
{
  r->synced = FALSE;
  r->alien = (KrTsAlien){.since = KR_TS_NO_TIME};
  r->garbage_before = r->stats.garbage_bytes;
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
  r->has_pat = r->replace_pat = r->pat_due = FALSE;
  r->key_pid = KR_TS_PID_NULL;
  r->arrival = r->last_arrival = KR_TS_NO_TIME;
  r->usual_pause = 0;
  r->has_base = FALSE;
  r->stamp = 0;
  r->fresh_bytes = FRESH_BYTES;
  r->has_fresh_stamp = FALSE;
  r->carry_size = 0;
  r->sized = FALSE;
  begin_search (r);
  r->hold = KR_HOLD_NONE;
  g_byte_array_set_size (r->held, 0);
  r->force = r->discont = r->lost = r->paused = FALSE;
  r->tables_changed = 0;
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
  if ((s->flags & (KR_PID_TABLE | KR_PID_DROP | KR_PID_FRESH | KR_PID_SLOW | KR_PID_TOLD)) !=
          0 ||
      (s->flags & KR_PID_SEEN) == 0)
    s->expect = KR_TS_NO_HEADER;
  else
    s->expect = KR_TS_HEADER_FAST | ((s->counter + 1u) & 0x0f);
}

guint
kr_ts_regen_program_of (const KrTsRegen *r, guint pid)
{
  guint program = r->pids[pid].program;

  if (program != KR_TS_NO_PROGRAM)
    return r->programs[program]->clock;
  /* With one program everything belongs to it, listed or not. */
  return r->n_programs == 1 ? 0 : KR_TS_NO_PROGRAM;
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

/* All that comes first has the stamp of the first PCR in it. */
static void
stamp_fresh_piece (KrTsRegen *r, KrTsPiece *piece, gboolean timed)
{
  if ((piece->flags & KR_TS_PIECE_DISCONT) != 0) {
    r->fresh_bytes = FRESH_BYTES;
    r->has_fresh_stamp = FALSE;
  }
  if (r->fresh_bytes == 0)
    return;
  r->fresh_bytes -= MIN (r->fresh_bytes, piece->size);
  if (r->has_fresh_stamp) {
    piece->stamp = r->fresh_stamp;
  } else if (timed) {
    r->has_fresh_stamp = TRUE;
    r->fresh_stamp = piece->stamp;
  }
}

/* Takes the piece's owner. @timed: its stamp is that of a PCR in it. */
static void
add_piece (KrTsRegen *r, KrTsPiece *piece, gboolean timed)
{
  stamp_fresh_piece (r, piece, timed);
  r->stats.bytes_out += piece->size;
  g_array_append_val (r->pieces, *piece);
}

void
kr_ts_region_cut (KrTsRegen *r, KrRegion *g, guint8 *upto)
{
  gboolean timed = g->pcr != NULL && g->pcr < upto;

  if (upto > g->start) {
    KrTsPiece piece = {
        .data = g->start,
        .size = (gsize)(upto - g->start),
        .owner = g->owner != NULL ? g_bytes_ref (g->owner) : NULL,
        .stamp = timed ? g->pcr_stamp : g->stamp,
        .flags = g->flags,
    };

    add_piece (r, &piece, timed);
    g->flags = 0;
  }
  g->start = upto;
  g->stamp = r->stamp;
  if (timed)
    g->pcr = NULL;
}

void
kr_ts_region_mark_tables (KrTsRegen *r, KrRegion *g, guint8 *p)
{
  if (r->tables_changed == 0)
    return;
  kr_ts_region_cut (r, g, p);
  g->flags |= r->tables_changed;
  r->tables_changed = 0;
}

void
kr_ts_region_insert (KrTsRegen *r, KrRegion *g, const guint8 *data, gsize size)
{
  KrTsPiece piece = {.size = size, .stamp = g->stamp, .flags = g->flags};
  gsize unused;

  piece.owner = g_bytes_new (data, size);
  piece.data = (guint8 *)g_bytes_get_data (piece.owner, &unused);
  add_piece (r, &piece, FALSE);
  g->flags = 0;
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
    kr_unit_begin (&r->unit, r->unit.pid, r->unit.scans, r->unit.scan.codec);
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
    kr_unit_push (&r->unit, p);
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

/* What has waited too long goes out by itself: bytes that come so late may belong to another
 * session, and must not be looked at together with it. */
static void
end_late_holds (KrTsRegen *r)
{
  while (r->hold != KR_HOLD_NONE && r->held->len > 0 && hold_is_over (r))
    release_hold (r, TRUE);
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
    KrRun result;

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
    kr_ts_region_mark_tables (r, &g, p);
    p = kr_ts_regen_run (r, &g, p, &result);
    r->position += (guint64)(p - g.base);
    r->stats.packets += (guint64)(p - g.base) / KR_TS_PACKET_SIZE;
    kr_ts_region_cut (r, &g, p);
    if (g.flags != 0) { /* nothing of it was passed on */
      r->discont |= (g.flags & KR_TS_PIECE_DISCONT) != 0;
      r->tables_changed |= g.flags & (KR_TS_PIECE_TABLES | KR_TS_PIECE_START);
    }
    if (result == KR_RUN_LOST)
      return p;
    if (result == KR_RUN_HOLD)
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

/* What lies in the stream where packets should. */
static void
note_head (KrTsRegen *r, const guint8 *data, gsize size)
{
  KrTsAlien *alien = &r->alien;
  gsize part = MIN (size, sizeof alien->head - alien->head_size);

  if (alien->head_size == 0)
    alien->since = r->arrival;
  memcpy (alien->head + alien->head_size, data, part);
  alien->head_size += (guint)part;
}

/* FALSE: it must not even begin like this. */
static gboolean
check_packet_size (KrTsRegen *r, const guint8 *data, gsize size, GError **error)
{
  guint found = kr_ts_detect_packet_size (data, size);

  if (found == 0 || found == KR_TS_PACKET_SIZE)
    return TRUE;
  r->alien.packet_size = found;
  if (r->sized || r->config.live)
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
  guint n = r->alien.bytes > DOUBTFUL_BYTES || r->alien.packet_size != 0 ? 5 : 3;
  gsize needed = (n - 1) * KR_TS_PACKET_SIZE + 1;
  gsize offset = 0;

  *ret_found = kr_ts_find_packets (data, size, n, &offset);
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
      gsize skip;

      /* First: three sync bytes in a row are found in other things, too. */
      if (!check_packet_size (r, p, MIN (left, sizeof r->carry), error))
        return FALSE;
      skip = find_packets (r, p, left, &found);
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
    if (taken < size && (gsize)(data + taken - p) < left) {
      begin_search (r);
      note_head (r, data + taken, size - taken);
    }
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

/* A source that was silent may have begun anew meanwhile, whatever its counters say: one in 16
 * goes on by chance. */
static void
note_pause (KrTsRegen *r)
{
  gint64 pause;

  if (r->arrival == KR_TS_NO_TIME || r->last_arrival == KR_TS_NO_TIME)
    return;
  pause = r->arrival - r->last_arrival;
  if (pause > MIN (MAX (PAUSE, PAUSE_FACTOR * r->usual_pause), MAX_PAUSE))
    r->paused = TRUE;
  else
    r->usual_pause = MAX (pause, r->usual_pause - r->usual_pause / 64);
}

/* Behind an interruption: what is carried may be the head of a packet whose rest never came,
 * because the source begins anew. Put together with what it sends now it would be a packet that
 * nobody sent. */
static void
drop_torn_packet (KrTsRegen *r, const guint8 *data, gsize size)
{
  gsize rest = KR_TS_PACKET_SIZE - MIN (r->carry_size, KR_TS_PACKET_SIZE);

  if (!r->synced || r->carry_size == 0 || size == 0 || (!r->discont && !r->lost && !r->paused))
    return;
  if (data[0] != KR_TS_SYNC_BYTE ||
      (size > KR_TS_PACKET_SIZE && data[KR_TS_PACKET_SIZE] != KR_TS_SYNC_BYTE) ||
      (size > rest && data[rest] == KR_TS_SYNC_BYTE))
    return;
  skip_garbage (r, r->carry_size);
  r->carry_size = 0;
}

gboolean
kr_ts_regen_push (KrTsRegen *r, guint8 *data, gsize size, gint64 arrival, KrTsHint hints,
                  GError **error)
{
  gsize used = 0, taken = 0;

  clear_output (r);
  r->arrival = r->config.live ? arrival : KR_TS_NO_TIME;
  r->stats.bytes_in += size;
  end_late_holds (r);
  note_pause (r);
  if ((hints & KR_TS_HINT_DISCONT) != 0 && r->position > 0)
    r->lost = TRUE;
  drop_torn_packet (r, data, size);
  if (!r->has_base && arrival != KR_TS_NO_TIME && r->config.live && r->position == 0)
    r->stamp = MAX (arrival, 0);
  if (!r->synced && size > 0)
    note_head (r, data, size);
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
  if (!r->synced)
    r->alien.bytes = r->stats.garbage_bytes - r->garbage_before + r->carry_size;
  r->last_arrival = r->arrival;
  return TRUE;
}

/* What is left of a stream that was no transport stream; a byte in it may look like a packet.
 */
static gboolean
ends_alien (const KrTsRegen *r)
{
  if (r->synced || r->carry_size == 0)
    return FALSE;
  return r->alien.bytes > DOUBTFUL_BYTES ||
         (r->position == 0 && !r->sized && r->carry[0] != KR_TS_SYNC_BYTE);
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
  while (taken + KR_TS_PACKET_SIZE <= size && !ends_alien (r)) {
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

const KrTsAlien *
kr_ts_regen_get_alien (const KrTsRegen *r)
{
  const KrTsAlien *alien = &r->alien;

  if (r->synced || alien->bytes == 0)
    return NULL;
  if (alien->packet_size != 0 || alien->bytes >= ALIEN_BYTES)
    return alien;
  if (r->arrival == KR_TS_NO_TIME || alien->since == KR_TS_NO_TIME ||
      r->arrival - alien->since < ALIEN_TIME)
    return NULL;
  /* It may be a stream of very few packets after all. */
  return alien->head[0] != KR_TS_SYNC_BYTE || alien->bytes >= sizeof r->carry ? alien : NULL;
}

const KrTsAlien *
kr_ts_regen_get_search (const KrTsRegen *r)
{
  /* The last bytes have not been looked at: a stream of one or two packets. */
  gboolean tiny =
      !r->sized && r->alien.bytes == r->carry_size && r->alien.head[0] == KR_TS_SYNC_BYTE;

  return r->synced || r->sized || tiny || r->alien.bytes == 0 ? NULL : &r->alien;
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
