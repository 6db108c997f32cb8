/* keeprolling - inside mpegts-regen: looking ahead before a join is decided
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"

/* PAT, PMT and payload of a new session come before its first PCR. A break of a counter, a
 * signalled discontinuity or another table is where a session may begin; from there on packets
 * are only looked at, until the PCR of every program concerned has told and the first DTS of
 * its streams are known. Then the whole session is placed at once. */

#define DEFAULT_DURATION (KR_TS_STAMP_HZ / 25)
#define MAX_LEAD         (10 * KR_TS_STAMP_HZ)
#define AGREEMENT        G_GINT64_CONSTANT (500000000)
#define OUTAGE           G_GINT64_CONSTANT (1000000000)
/* Arrivals further apart than this are not regular any more. */
#define REGULAR_ARRIVAL G_GINT64_CONSTANT (100000000)

static void
flag_program (KrTsRegen *r, guint index)
{
  for (guint i = 0; i < r->n_programs; i++) {
    if (index == i || index == KR_TS_NO_PROGRAM)
      r->scan.programs[i].flagged = TRUE;
  }
}

void
kr_ts_scan_begin (KrTsRegen *r)
{
  KrScan *scan = &r->scan;

  scan->number++;
  if (scan->number == 0) { /* 0 marks PIDs that no scan has seen */
    scan->number = 1;
    for (guint pid = 0; pid < KR_TS_N_PIDS; pid++)
      r->pids[pid].scan = 0;
  }
  scan->hint_pat = scan->new_tables = FALSE;
  scan->n_breaks = scan->n_followed = scan->n_stamps = 0;
  for (guint i = 0; i < KR_TS_REGEN_PROGRAMS; i++)
    scan->programs[i] = (KrScanProgram){FALSE};
  kr_ts_tables_assign (scan->tables, r->tables);
  if (r->paused)
    flag_program (r, KR_TS_NO_PROGRAM);
}

/* The program by whose PCR a program of ours lives. */
static guint
clock_of (const KrTsRegen *r, guint index)
{
  return index != KR_TS_NO_PROGRAM ? r->programs[index]->clock : index;
}

/* Which of our programs a program of the new tables is. */
static guint
index_of_number (const KrTsRegen *r, guint number)
{
  for (guint i = 0; i < r->n_programs; i++) {
    if (r->programs[i]->in_number == number)
      return i;
  }
  return r->n_programs == 1 && r->scan.tables->programs->len == 1 ? 0 : KR_TS_NO_PROGRAM;
}

static guint
program_of (const KrTsRegen *r, guint pid)
{
  const KrScan *scan = &r->scan;

  if (scan->new_tables) {
    for (guint i = 0; i < scan->tables->programs->len; i++) {
      const KrTsProgramTable *table = g_ptr_array_index (scan->tables->programs, i);

      if (table->valid && table->pmt.pcr_pid == pid)
        return clock_of (r, index_of_number (r, table->number));
      for (guint j = 0; table->valid && j < table->pmt.n_entries; j++) {
        if (table->pmt.entries[j].pid == pid)
          return clock_of (r, index_of_number (r, table->number));
      }
    }
  }
  return kr_ts_regen_program_of (r, pid);
}

static void
scan_counter (KrTsRegen *r, const guint8 *p, guint pid)
{
  KrPid *s = &r->pids[pid];

  if (s->scan == r->scan.number)
    return;
  s->scan = r->scan.number;
  if ((s->flags & KR_PID_NOISY) != 0 ||
      (kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY) != 0)
    return;
  if (!kr_ts_regen_counter_breaks (r, s, p)) {
    r->scan.n_followed += (s->flags & KR_PID_SEEN) != 0 && kr_ts_has_payload (p);
    return;
  }
  r->scan.n_breaks++;
  if (pid == KR_TS_PID_PAT) {
    r->scan.hint_pat = TRUE;
    flag_program (r, KR_TS_NO_PROGRAM);
  } else {
    flag_program (r, kr_ts_regen_program_of (r, pid));
  }
}

static void
scan_table (KrTsRegen *r, const guint8 *p)
{
  KrTsTablesChange change = kr_ts_tables_push (r->scan.tables, p);

  if ((change & KR_TS_TABLES_PAT) != 0) {
    r->scan.new_tables = TRUE;
    flag_program (r, KR_TS_NO_PROGRAM);
  }
  if ((change & KR_TS_TABLES_PMT) != 0) {
    r->scan.new_tables = TRUE;
    for (guint i = 0; i < r->scan.tables->n_changed; i++)
      flag_program (r, clock_of (r, index_of_number (r, r->scan.tables->changed[i]->number)));
  }
}

static void
scan_unit (KrTsRegen *r, const guint8 *p, guint pid)
{
  guint offset = kr_ts_payload_offset (p);
  KrScan *scan = &r->scan;
  KrTsPes pes;

  if (scan->n_stamps == KR_TS_SCAN_STAMPS || kr_ts_is_scrambled (p) ||
      !kr_ts_parse_pes (p + offset, KR_TS_PACKET_SIZE - offset, &pes) || pes.pts_offset == 0)
    return;
  for (guint i = 0; i < scan->n_stamps; i++) {
    if (scan->stamps[i].pid == pid)
      return;
  }
  scan->stamps[scan->n_stamps].pid = (guint16)pid;
  scan->stamps[scan->n_stamps++].dts =
      kr_ts_read_stamp (p + offset + (pes.dts_offset != 0 ? pes.dts_offset : pes.pts_offset));
}

void
kr_ts_scan_packet (KrTsRegen *r, const guint8 *p)
{
  guint pid = kr_ts_pid (p);
  guint pcr = kr_ts_pcr_offset (p);

  if (pid == KR_TS_PID_NULL || kr_ts_has_error (p))
    return;
  scan_counter (r, p, pid);
  if (kr_ts_has_payload (p) && kr_ts_tables_wants (r->scan.tables, pid))
    scan_table (r, p);
  else if (kr_ts_has_payload (p) && kr_ts_starts_unit (p))
    scan_unit (r, p, pid);
  if (pcr != 0) {
    guint index = program_of (r, pid);
    KrScanProgram *seen = index != KR_TS_NO_PROGRAM ? &r->scan.programs[index] : NULL;

    if (seen == NULL)
      return;
    if ((kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY) != 0)
      seen->flagged = TRUE;
    if (!seen->has_pcr) {
      seen->has_pcr = TRUE;
      seen->pcr = kr_ts_read_pcr (p + pcr) % KR_TS_PCR_MODULUS;
      seen->arrival = r->arrival;
    }
  }
}

static gint64
step_of (const KrProgram *program, const KrScanProgram *seen)
{
  return kr_ts_pcr_distance (seen->pcr + program->offset * 300, program->pcr_out);
}

/* Goes on as before, or both clocks agree about how much is missing: no new session. */
static gboolean
is_continuous (const KrTsRegen *r, const KrProgram *program, const KrScanProgram *seen)
{
  gint64 step = step_of (program, seen);

  if (step >= 0 && step <= r->config.max_gap / 1000 * 27)
    return TRUE;
  if (step < 0 || seen->arrival == KR_TS_NO_TIME || program->arrival == KR_TS_NO_TIME)
    return FALSE;
  return ABS (seen->arrival - program->arrival - kr_ticks_to_ns (step)) <= AGREEMENT;
}

/* Where every counter goes on and the tables are the same, a clock has jumped and nothing is
 * missing. A single counter says little, one in 16 goes on by chance; and a source that was
 * away for long has rather begun anew. */
static gboolean
is_same_session (const KrTsRegen *r, guint index)
{
  const KrScan *scan = &r->scan;
  const KrScanProgram *seen = &scan->programs[index];
  gint64 last = r->programs[index]->arrival;

  if (scan->n_breaks > 0 || scan->new_tables || scan->n_followed < 2)
    return FALSE;
  return seen->arrival == KR_TS_NO_TIME || last == KR_TS_NO_TIME ||
         seen->arrival - last < OUTAGE;
}

static const KrScanStamp *
find_stamp (const KrScan *scan, guint pid)
{
  for (guint i = 0; i < scan->n_stamps; i++) {
    if (scan->stamps[i].pid == pid)
      return &scan->stamps[i];
  }
  return NULL;
}

/* Whether the first stamp of every audio and video stream is known. */
static gboolean
has_stamps (const KrTsRegen *r, guint index)
{
  const KrTsProgramTable *table = NULL;

  for (guint i = 0; i < r->scan.tables->programs->len && table == NULL; i++) {
    const KrTsProgramTable *candidate = g_ptr_array_index (r->scan.tables->programs, i);

    if (index_of_number (r, candidate->number) == index)
      table = candidate;
  }
  if (table == NULL || !table->valid)
    return r->scan.n_stamps > 0;
  for (guint i = 0; i < table->pmt.n_entries; i++) {
    const KrTsPmtEntry *entry = &table->pmt.entries[i];

    if (entry->kind != KR_TS_KIND_OTHER && find_stamp (&r->scan, entry->pid) == NULL)
      return FALSE;
  }
  return TRUE;
}

gboolean
kr_ts_scan_done (const KrTsRegen *r)
{
  for (guint i = 0; i < r->n_programs; i++) {
    const KrScanProgram *seen = &r->scan.programs[i];

    if (!seen->flagged || !r->programs[i]->has_pcr)
      continue;
    if (!seen->has_pcr)
      return FALSE;
    if (!is_continuous (r, r->programs[i], seen) && !has_stamps (r, i))
      return FALSE;
  }
  return TRUE;
}

/* --- placing a session --------------------------------------------------------------- */

static void
at_least (guint64 *offset, guint64 other)
{
  if (kr_ts_stamp_distance (other, *offset) > 0)
    *offset = other;
}

/* The first stamp of the session on the stream that goes out as @stream. Streams of which none
 * is known begin with the earliest there is. */
static gboolean
first_stamp (const KrTsRegen *r, guint index, const KrStream *stream, guint64 pcr,
             guint64 *ret_stamp)
{
  const KrScan *scan = &r->scan;
  gboolean found = FALSE;

  for (guint i = 0; i < scan->n_stamps; i++) {
    guint pid = scan->stamps[i].pid;
    guint64 dts = scan->stamps[i].dts;

    if (program_of (r, pid) != index || ABS (kr_ts_stamp_distance (dts, pcr / 300)) > MAX_LEAD)
      continue;
    if (!scan->new_tables && kr_ts_regen_stream ((KrTsRegen *)r, &r->pids[pid]) == stream) {
      *ret_stamp = dts;
      return TRUE;
    }
    if (!found || kr_ts_stamp_distance (dts, *ret_stamp) < 0)
      *ret_stamp = dts;
    found = TRUE;
  }
  return found;
}

/* The smallest offset with which neither the PCR nor any DTS of the program goes back. */
static guint64
contiguous_offset (const KrTsRegen *r, guint index, guint64 pcr)
{
  const KrProgram *program = r->programs[index];
  guint64 next = program->pcr_out + (guint64)program->interval + 299;
  guint64 offset = (next / 300 + KR_TS_STAMP_MODULUS - pcr / 300) % KR_TS_STAMP_MODULUS;

  for (guint i = 0; i < r->streams->len; i++) {
    const KrStream *stream = &g_array_index (r->streams, KrStream, i);
    gint64 duration = stream->duration != 0 ? stream->duration : DEFAULT_DURATION;
    guint64 first = 0;

    if (stream->program != index || !stream->has ||
        ABS (kr_ts_stamp_distance (stream->last_out, program->pcr_out / 300)) > MAX_LEAD ||
        !first_stamp (r, index, stream, pcr, &first))
      continue;
    at_least (&offset, (stream->last_out + (guint64)duration + KR_TS_STAMP_MODULUS - first) %
                           KR_TS_STAMP_MODULUS);
  }
  return offset;
}

static guint64
place_session (const KrTsRegen *r, guint index, const KrScanProgram *seen)
{
  const KrProgram *program = r->programs[index];
  guint64 offset = contiguous_offset (r, index, seen->pcr);
  gint64 regular = MAX (REGULAR_ARRIVAL, 4 * kr_ticks_to_ns (program->interval));
  gint64 target;

  if (seen->arrival != KR_TS_NO_TIME && program->arrival != KR_TS_NO_TIME &&
      seen->arrival - program->arrival > regular &&
      kr_ts_arrival_target (r, program, seen->arrival, &target) && target > 0) {
    guint64 want = program->pcr_out + (guint64)target + 299;

    at_least (&offset,
              (want / 300 + KR_TS_STAMP_MODULUS - seen->pcr / 300) % KR_TS_STAMP_MODULUS);
  }
  return offset;
}

static KrTsEventKind
join_kind (gint64 delta_ns)
{
  if (delta_ns > 0)
    return KR_TS_EVENT_JUMP_FORWARD;
  return delta_ns > -1000000000 ? KR_TS_EVENT_OVERLAP : KR_TS_EVENT_JUMP_BACK;
}

static void
join (KrTsRegen *r, guint index, gboolean all)
{
  KrProgram *program = r->programs[index];
  const KrScanProgram *seen = &r->scan.programs[index];
  gint64 delta = kr_ticks_to_ns (step_of (program, seen) - program->interval);
  guint64 offset = place_session (r, index, seen);
  guint64 out = (seen->pcr + offset * 300) % KR_TS_PCR_MODULUS;
  gint64 gap = kr_ticks_to_ns (kr_ts_pcr_distance (out, program->pcr_out) - program->interval);

  kr_ts_session_join (r, index, all);
  kr_ts_regen_begin_epoch (r, program, offset);
  if (!is_same_session (r, index)) {
    kr_ts_session_await_keyframe (r, index);
    r->lost = FALSE;
    r->discont = TRUE;
  }
  r->stats.joins++;
  kr_ts_regen_event (r, program, join_kind (delta), delta, MAX (gap, 0), seen->pcr / 300,
                     out / 300);
}

/* The session goes on behind a loss. Stamps that come before the PCR that tells so are measured
 * against it all the same, and a step above what a decoder takes for regular is signalled. */
static void
go_on (KrTsRegen *r, guint index)
{
  KrProgram *program = r->programs[index];
  gint64 step = step_of (program, &r->scan.programs[index]);

  if (step <= MAX (KR_TS_SIGNAL_STEP, 2 * program->interval))
    return;
  program->ahead = step / 300;
  program->signal = TRUE;
  if (kr_ticks_to_ns (step) < OUTAGE)
    return;
  /* So long that nothing of before goes on, as with a session that has ended. */
  kr_ts_session_await_keyframe (r, index);
  kr_ts_regen_note_told (r);
  r->discont = TRUE;
}

void
kr_ts_scan_resolve (KrTsRegen *r)
{
  KrScan *scan = &r->scan;
  gboolean all = scan->hint_pat || r->n_programs == 1;
  guint64 joined = 0;

  r->paused = FALSE;
  for (guint i = 0; i < r->n_programs; i++) {
    KrProgram *program = r->programs[i];
    const KrScanProgram *seen = &scan->programs[i];

    if (!seen->flagged || !program->has_pcr)
      continue;
    if (!seen->has_pcr) {
      program->broken = TRUE;
    } else if (!is_continuous (r, program, seen)) {
      join (r, i, all);
      for (guint k = 0; k < r->n_programs; k++) {
        if (r->programs[k]->clock != i)
          continue;
        if (k != i)
          kr_ts_session_join (r, k, FALSE);
        joined |= G_GUINT64_CONSTANT (1) << k;
      }
    } else {
      go_on (r, i);
    }
  }
  if (joined == 0 || !scan->new_tables)
    return;
  kr_ts_tables_assign (r->tables, scan->tables);
  for (guint i = 0; i < r->n_programs; i++) {
    if ((joined >> i & 1) != 0) {
      const KrProgram *program = r->programs[i];

      if (kr_ts_tables_find (r->tables, program->in_number) == NULL && r->n_programs == 1 &&
          r->tables->programs->len == 1) {
        const KrTsProgramTable *only = g_ptr_array_index (r->tables->programs, 0);

        r->programs[i]->in_number = only->number;
      }
      kr_ts_session_match (r, i);
    }
  }
}
