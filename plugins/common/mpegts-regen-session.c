/* keeprolling - inside mpegts-regen: the tables and PIDs in force across sessions
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"

#include <string.h>

/* --- programs and PIDs --------------------------------------------------------------- */

static guint
find_program (const KrTsRegen *r, guint in_number)
{
  for (guint i = 0; i < r->n_programs; i++) {
    if (r->programs[i]->in_number == in_number)
      return i;
  }
  return KR_TS_NO_PROGRAM;
}

static guint
add_program (KrTsRegen *r, guint number)
{
  KrProgram *program;

  if (r->n_programs >= KR_TS_REGEN_PROGRAMS)
    return KR_TS_NO_PROGRAM;
  program = g_new0 (KrProgram, 1);
  program->number = program->in_number = number;
  program->pcr_pid = program->ref_pid = KR_TS_PID_NULL;
  program->interval = KR_TS_PCR_HZ / 25;
  program->out_pmt_pid = program->in_pmt_pid = KR_TS_PID_NULL;
  kr_ts_arrival_reset (program);
  program->clock = r->n_programs;
  r->programs[r->n_programs] = program;
  return r->n_programs++;
}

/* A stream of one program that changed its number keeps its place. */
static guint
program_for (KrTsRegen *r, guint in_number)
{
  guint index = find_program (r, in_number);

  if (index != KR_TS_NO_PROGRAM)
    return index;
  if (r->n_programs == 1 && r->tables->programs->len == 1) {
    r->programs[0]->in_number = in_number;
    return 0;
  }
  return add_program (r, in_number);
}

static guint16
stream_for_entry (KrTsRegen *r, guint index, const KrTsPmtEntry *entry, guint16 known)
{
  KrStream *stream;

  if (known == 0) /* one per PID at most, whatever the PMTs say */
    known = r->pids[entry->pid].stream;
  if (known == 0) {
    const KrProgram *clock = r->programs[r->programs[index]->clock];
    KrStream fresh = {.offset = clock->offset};

    g_array_append_val (r->streams, fresh);
    known = (guint16)r->streams->len;
  }
  stream = &g_array_index (r->streams, KrStream, known - 1);
  stream->pid = entry->pid;
  stream->program = (guint8)r->programs[index]->clock;
  stream->kind = entry->kind;
  stream->codec = entry->codec;
  stream->stream_type = entry->stream_type;
  return known;
}

static void
unlist (KrTsRegen *r, guint index)
{
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    KrPid *s = &r->pids[pid];

    if (s->program != index)
      continue;
    s->flags &= (guint8) ~(KR_PID_LISTED | KR_PID_DROP | KR_PID_SLOW | KR_PID_TABLE);
    s->program = KR_TS_NO_PROGRAM;
    s->out_pid = (guint16)pid;
    kr_pid_update (s, pid);
  }
}

/* --- which keyframes count ----------------------------------------------------------- */

static void
choose_key_pid (KrTsRegen *r)
{
  const KrTsProgramTable *first = NULL;
  const KrTsPmtEntry *chosen = NULL;

  r->key_pid = KR_TS_PID_NULL;
  r->key_any = FALSE;
  if (r->n_programs > 0)
    first = kr_ts_tables_find (r->tables, r->programs[0]->in_number);
  if (first == NULL || !first->valid)
    return;
  for (guint i = 0; i < first->pmt.n_entries; i++) {
    const KrTsPmtEntry *entry = &first->pmt.entries[i];

    if (chosen == NULL ||
        (entry->kind == KR_TS_KIND_VIDEO && chosen->kind != KR_TS_KIND_VIDEO) ||
        (entry->kind == KR_TS_KIND_AUDIO && chosen->kind == KR_TS_KIND_OTHER))
      chosen = entry;
  }
  if (chosen == NULL)
    return;
  r->key_pid = chosen->pid;
  r->key_codec = chosen->codec;
  r->key_any = chosen->kind == KR_TS_KIND_AUDIO;
}

void
kr_ts_session_await_keyframe (KrTsRegen *r, guint index)
{
  KrProgram *program = r->programs[index];

  if (!r->config.wait_keyframe || index != 0 || r->key_pid == KR_TS_PID_NULL)
    return;
  program->waiting = TRUE;
  program->waiting_since = KR_TS_NO_TIME;
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    KrPid *s = &r->pids[pid];

    if (s->program == index && (s->flags & KR_PID_LISTED) != 0) {
      s->flags |= KR_PID_SLOW;
      kr_pid_update (s, pid);
    }
  }
}

/* --- the header ---------------------------------------------------------------------- */

static void
append_table (GByteArray *out, const guint8 *section, gsize size, guint pid, guint last_counter)
{
  guint8 packets[KR_TS_SECTION_PACKETS (KR_TS_SECTION_MAX) * KR_TS_PACKET_SIZE];
  guint n = (guint)KR_TS_SECTION_PACKETS (size);

  kr_ts_packetize (section, size, pid, last_counter - (n - 1), packets);
  g_byte_array_append (out, packets, n * KR_TS_PACKET_SIZE);
}

/* The counter that the packet before the next one of @in_pid has on the output. */
static guint
last_counter (const KrTsRegen *r, guint in_pid, guint out_pid, guint first_counter)
{
  const KrPid *s = &r->pids[in_pid];

  if (r->pids[out_pid].out_counter != KR_TS_NO_COUNTER)
    return r->pids[out_pid].out_counter;
  if ((s->flags & KR_PID_SEEN) != 0)
    return s->counter + s->delta;
  return first_counter - 1u;
}

static void
update_header (KrTsRegen *r)
{
  GByteArray *out;

  if (!r->has_pat)
    return;
  out = g_byte_array_new ();
  append_table (out, r->pat, r->pat_size, KR_TS_PID_PAT,
                last_counter (r, KR_TS_PID_PAT, KR_TS_PID_PAT, r->tables->pat_first_counter));
  for (guint i = 0; i < r->n_programs; i++) {
    const KrProgram *program = r->programs[i];
    const KrTsProgramTable *table = kr_ts_tables_find (r->tables, program->in_number);

    if (program->has_pmt)
      append_table (out, program->pmt, program->pmt_size, program->out_pmt_pid,
                    last_counter (r, program->in_pmt_pid, program->out_pmt_pid,
                                  table != NULL ? table->first_counter : 0));
  }
  g_clear_pointer (&r->header, g_bytes_unref);
  r->header = g_byte_array_free_to_bytes (out);
  r->tables_changed |= KR_TS_PIECE_TABLES;
}

/* Notes where the counters of the output stand, so that they go on when a number is given to
 * another PID or a table is replaced. */
static void
settle_counter (KrTsRegen *r, guint pid)
{
  KrPid *s = &r->pids[pid];

  if ((s->flags & KR_PID_SEEN) == 0)
    return;
  /* Replaced tables count for themselves. */
  if ((s->flags & KR_PID_FRESH) == 0 && !kr_ts_session_replaces (r, pid))
    r->pids[s->out_pid].out_counter = (guint8)((s->counter + s->delta) & 0x0f);
  s->flags |= KR_PID_FRESH;
  kr_pid_update (s, pid);
}

static void
settle_counters (KrTsRegen *r, guint index)
{
  settle_counter (r, KR_TS_PID_PAT);
  for (guint i = 0; i < r->n_used; i++) {
    if (r->pids[r->used[i]].program == index)
      settle_counter (r, r->used[i]);
  }
}

/* --- what is in force ---------------------------------------------------------------- */

static void
force_pat (KrTsRegen *r, gboolean raise)
{
  guint version = r->pat[5] >> 1 & 0x1f;

  memcpy (r->pat, r->tables->pat_raw, r->tables->pat_size);
  r->pat_size = r->tables->pat_size;
  if (raise)
    kr_ts_section_set_version (r->pat, r->pat_size, version + 1);
  r->has_pat = TRUE;
  r->pat_due = raise;
  r->replace_pat = memcmp (r->pat, r->tables->pat_raw, r->pat_size) != 0;
}

static void
force_pmt (KrTsRegen *r, KrProgram *program, const KrTsProgramTable *table, gboolean raise)
{
  guint version = program->pmt[5] >> 1 & 0x1f;

  memcpy (program->pmt, table->raw, table->raw_size);
  program->pmt_size = table->raw_size;
  if (raise)
    kr_ts_section_set_version (program->pmt, program->pmt_size, version + 1);
  program->parsed = table->pmt;
  program->out_pmt_pid = program->in_pmt_pid = table->pmt_pid;
  program->has_pmt = TRUE;
  program->replace_pmt = raise && memcmp (program->pmt, table->raw, table->raw_size) != 0;
}

/* A PID that was not seen yet but goes out under a number that was. */
static void
continue_counter (const KrTsRegen *r, KrPid *s)
{
  if ((s->flags & KR_PID_SEEN) == 0 && r->pids[s->out_pid].out_counter != KR_TS_NO_COUNTER)
    s->flags |= KR_PID_FRESH;
}

static gboolean
has_entry (const KrTsPmt *pmt, guint pid, guint *ret_entry)
{
  for (guint i = 0; i < pmt->n_entries; i++) {
    if (pmt->entries[i].pid == pid) {
      *ret_entry = i;
      return TRUE;
    }
  }
  return FALSE;
}

/* The PID of the PCR, which may be one of the streams, or one of its own. A PCR that another
 * program came to first is shared: then both are on one timeline. */
static void
list_clock (KrTsRegen *r, guint index, const KrTsPmt *pmt, gboolean mapped)
{
  KrProgram *program = r->programs[index];
  KrPid *s = &r->pids[pmt->pcr_pid];
  guint entry;

  if (program->pcr_pid != pmt->pcr_pid) {
    program->pcr_pid = pmt->pcr_pid;
    program->ref_pid = KR_TS_PID_NULL;
  }
  program->clock = index;
  if (pmt->pcr_pid == KR_TS_PID_NULL || (s->flags & KR_PID_TABLE) != 0)
    return;
  if (s->program != KR_TS_NO_PROGRAM && s->program != index) {
    program->clock = r->programs[s->program]->clock;
    return;
  }
  s->program = (guint8)index;
  if (mapped && !has_entry (pmt, pmt->pcr_pid, &entry)) {
    s->out_pid = program->parsed.pcr_pid;
    continue_counter (r, s);
  }
  kr_pid_update (s, pmt->pcr_pid);
}

/* Lists the PIDs of a program as its PMT has them now. @map gives, for each entry, the entry in
 * force that it goes on as, or is NULL: each as itself. */
static void
list_program (KrTsRegen *r, guint index, const KrTsProgramTable *table, const guint *map)
{
  KrProgram *program = r->programs[index];
  guint16 known[KR_TS_MAX_STREAMS] = {0};
  guint8 claimed[KR_TS_N_PIDS / 8] = {0};

  for (guint i = 0; i < table->pmt.n_entries; i++)
    known[i] =
        map != NULL ? program->entry_stream[map[i]] : r->pids[table->pmt.entries[i].pid].stream;
  unlist (r, index);
  list_clock (r, index, &table->pmt, map != NULL);

  r->pids[table->pmt_pid].program = (guint8)index;
  r->pids[table->pmt_pid].flags |= KR_PID_TABLE;
  r->pids[table->pmt_pid].out_pid =
      (guint16)(map != NULL ? program->out_pmt_pid : table->pmt_pid);
  continue_counter (r, &r->pids[table->pmt_pid]);
  kr_pid_update (&r->pids[table->pmt_pid], table->pmt_pid);
  for (guint i = 0; i < table->pmt.n_entries; i++) {
    const KrTsPmtEntry *entry = &table->pmt.entries[i];
    KrPid *s = &r->pids[entry->pid];

    if (map == NULL)
      program->entry_stream[i] = 0;
    if ((s->flags & KR_PID_TABLE) != 0 ||
        (s->program != KR_TS_NO_PROGRAM && s->program != index))
      continue; /* shared with a program that came first */
    s->program = (guint8)index;
    s->flags |= KR_PID_LISTED;
    s->stream = stream_for_entry (r, index, entry, known[i]);
    s->out_pid = map != NULL ? program->parsed.entries[map[i]].pid : entry->pid;
    if (map == NULL)
      program->entry_stream[i] = s->stream;
    continue_counter (r, s);
    claimed[entry->pid / 8] |= (guint8)(1u << entry->pid % 8);
    kr_pid_update (s, entry->pid);
  }
  claimed[table->pmt_pid / 8] |= (guint8)(1u << table->pmt_pid % 8);
  claimed[table->pmt.pcr_pid / 8] |= (guint8)(1u << table->pmt.pcr_pid % 8);
  /* Numbers that remapped streams go out under belong to them alone. */
  for (guint i = 0; map != NULL && i <= program->parsed.n_entries; i++) {
    guint pid = i < program->parsed.n_entries ? program->parsed.entries[i].pid
                                              : program->parsed.pcr_pid;

    if ((claimed[pid / 8] & 1u << pid % 8) == 0 && pid != KR_TS_PID_NULL) {
      r->pids[pid].flags |= KR_PID_DROP;
      r->pids[pid].program = (guint8)index; /* until the next session's PMT */
      kr_pid_update (&r->pids[pid], pid);
    }
  }
  program->in_pmt_pid = table->pmt_pid;
  if (index == 0)
    choose_key_pid (r);
}

static gboolean
same_codec (const KrTsPmtEntry *a, const KrTsPmtEntry *b)
{
  return a->stream_type == b->stream_type && a->codec == b->codec;
}

/* Pairs the entries of the new PMT with those in force: the same PID first, then the same codec
 * in the same order. FALSE if they do not carry the same streams. */
static gboolean
pair_entries (const KrTsPmt *now, const KrTsPmt *before, guint *map)
{
  gboolean taken[KR_TS_MAX_STREAMS] = {FALSE};
  gboolean paired[KR_TS_MAX_STREAMS] = {FALSE};

  if (now->n_entries != before->n_entries)
    return FALSE;
  for (guint pass = 0; pass < 2; pass++) {
    for (guint i = 0; i < now->n_entries; i++) {
      for (guint j = 0; j < before->n_entries && !paired[i]; j++) {
        if (taken[j] || !same_codec (&now->entries[i], &before->entries[j]) ||
            (pass == 0 && now->entries[i].pid != before->entries[j].pid))
          continue;
        map[i] = j;
        paired[i] = taken[j] = TRUE;
      }
    }
  }
  for (guint i = 0; i < now->n_entries; i++) {
    if (!paired[i])
      return FALSE;
  }
  return TRUE;
}

/* Whether players that go by the PMT in force find the PCR of @now as it is mapped. */
static gboolean
same_clock (const KrTsPmt *now, const KrTsPmt *before, const guint *map)
{
  guint entry_now, entry_before;
  gboolean in_now = has_entry (now, now->pcr_pid, &entry_now);
  gboolean in_before = has_entry (before, before->pcr_pid, &entry_before);

  if (in_now || in_before)
    return in_now && in_before && map[entry_now] == entry_before;
  return (now->pcr_pid == KR_TS_PID_NULL) == (before->pcr_pid == KR_TS_PID_NULL);
}

static gboolean
may_replace (const KrTsRegen *r, const KrTsProgramTable *table)
{
  return r->config.mode != KR_TS_REGEN_MONITOR &&
         !kr_ts_tables_is_shared (r->tables, table->pmt_pid);
}

static void
match_pat (KrTsRegen *r)
{
  gboolean listed = TRUE;

  if (!r->tables->has_pat)
    return;
  if (!r->has_pat || r->config.mode == KR_TS_REGEN_MONITOR ||
      r->tables->pat.last_section_number != 0) {
    force_pat (r, FALSE);
    return;
  }
  if (r->tables->pat_size == r->pat_size &&
      memcmp (r->tables->pat_raw, r->pat, r->pat_size) == 0) {
    r->replace_pat = FALSE;
    return;
  }
  /* The PAT in force stays as long as every program still goes out where it says. */
  for (guint i = 0; i < r->tables->programs->len; i++) {
    const KrTsProgramTable *table = g_ptr_array_index (r->tables->programs, i);
    guint index = find_program (r, table->number);
    KrTsPat pat;

    if (index == KR_TS_NO_PROGRAM || !kr_ts_parse_pat (r->pat, r->pat_size, &pat)) {
      listed = FALSE;
      break;
    }
    listed = FALSE;
    for (guint j = 0; j < pat.n_entries; j++) {
      if (pat.entries[j].number == r->programs[index]->number &&
          pat.entries[j].pmt_pid == r->programs[index]->out_pmt_pid)
        listed = TRUE;
    }
    if (!listed)
      break;
  }
  if (listed)
    r->replace_pat = TRUE;
  else
    force_pat (r, TRUE);
}

/* What begins here is of no use to whoever decodes what was before: a file should end. Of
 * several programs the first is the one that files are cut by. */
static void
begin_other_streams (KrTsRegen *r, guint index)
{
  if (index == 0)
    r->tables_changed |= KR_TS_PIECE_START;
}

void
kr_ts_session_match (KrTsRegen *r, guint index)
{
  KrProgram *program = r->programs[index];
  const KrTsProgramTable *table = kr_ts_tables_find (r->tables, program->in_number);
  guint map[KR_TS_MAX_STREAMS];
  gboolean same;

  if (table == NULL || !table->valid)
    return;
  program->await_pmt = FALSE;
  same = program->has_pmt && pair_entries (&table->pmt, &program->parsed, map) &&
         same_clock (&table->pmt, &program->parsed, map);
  if (program->has_pmt) {
    settle_counters (r, index);
    if (!same)
      begin_other_streams (r, index);
  }
  if (!program->has_pmt || !may_replace (r, table)) {
    force_pmt (r, program, table, FALSE);
    list_program (r, index, table, NULL);
  } else if (same) {
    program->replace_pmt = table->raw_size != program->pmt_size ||
                           table->pmt_pid != program->out_pmt_pid ||
                           memcmp (table->raw, program->pmt, table->raw_size) != 0;
    list_program (r, index, table, map);
    match_pat (r);
    return; /* what is in force stays in force: no new header */
  } else {
    force_pmt (r, program, table, TRUE);
    list_program (r, index, table, NULL);
  }
  match_pat (r);
  update_header (r);
}

/* --- what the main loop calls -------------------------------------------------------- */

void
kr_ts_session_begin (KrTsRegen *r)
{
  kr_ts_session_tables (r, KR_TS_TABLES_PAT);
  for (guint i = 0; i < r->n_programs; i++) {
    kr_ts_session_match (r, i);
    kr_ts_session_await_keyframe (r, i);
  }
}

/* A PMT that changes inside a session: its streams keep the numbers they have on the output,
 * and the version goes on from the last. While the picture goes on a file may end at its next
 * keyframe. */
static void
change_pmt (KrTsRegen *r, guint index, const KrTsProgramTable *table)
{
  KrProgram *program = r->programs[index];
  gboolean renumbered = program->replace_pmt;
  guint key_pid = r->key_pid;
  KrTsCodec key_codec = r->key_codec;

  if (renumbered)
    settle_counters (r, index);
  else if (r->replace_pat)
    settle_counter (r, KR_TS_PID_PAT);
  force_pmt (r, program, table, renumbered && may_replace (r, table));
  list_program (r, index, table, NULL);
  if (r->key_pid != key_pid || r->key_codec != key_codec)
    begin_other_streams (r, index);
  /* A PAT that replaces another must name the PID that this PMT has now. */
  if ((renumbered || r->replace_pat) && r->has_pat)
    match_pat (r);
  update_header (r);
}

void
kr_ts_session_tables (KrTsRegen *r, KrTsTablesChange change)
{
  if ((change & KR_TS_TABLES_PAT) != 0) {
    for (guint i = 0; i < r->tables->programs->len; i++) {
      const KrTsProgramTable *table = g_ptr_array_index (r->tables->programs, i);
      guint index = program_for (r, table->number);

      r->pids[table->pmt_pid].flags |= KR_PID_TABLE;
      if (index != KR_TS_NO_PROGRAM && r->pids[table->pmt_pid].program == KR_TS_NO_PROGRAM)
        r->pids[table->pmt_pid].program = (guint8)index;
      kr_pid_update (&r->pids[table->pmt_pid], table->pmt_pid);
    }
    if (!r->replace_pat) {
      force_pat (r, FALSE);
    } else {
      settle_counter (r, KR_TS_PID_PAT);
      match_pat (r);
    }
    update_header (r);
  }
  for (guint i = 0; (change & KR_TS_TABLES_PMT) != 0 && i < r->tables->n_changed; i++) {
    const KrTsProgramTable *table = r->tables->changed[i];
    guint index = program_for (r, table->number);

    if (index == KR_TS_NO_PROGRAM)
      continue;
    if (r->programs[index]->await_pmt || !r->programs[index]->has_pmt)
      kr_ts_session_match (r, index);
    else
      change_pmt (r, index, table);
  }
}

void
kr_ts_session_table_repeated (KrTsRegen *r, guint pid)
{
  guint index = r->pids[pid].program;

  if (pid != KR_TS_PID_PAT && index != KR_TS_NO_PROGRAM &&
      r->programs[index]->in_pmt_pid == pid && !kr_ts_tables_is_shared (r->tables, pid))
    r->programs[index]->await_pmt = FALSE;
}

gboolean
kr_ts_session_replaces (const KrTsRegen *r, guint pid)
{
  guint index = r->pids[pid].program;

  if (r->config.mode == KR_TS_REGEN_MONITOR)
    return FALSE;
  if (pid == KR_TS_PID_PAT)
    return r->replace_pat;
  return index != KR_TS_NO_PROGRAM && r->programs[index]->in_pmt_pid == pid &&
         r->programs[index]->replace_pmt;
}

void
kr_ts_session_join (KrTsRegen *r, guint index, gboolean all)
{
  for (guint i = 0; i < r->n_used; i++) {
    if (all || r->pids[r->used[i]].program == index)
      settle_counter (r, r->used[i]);
  }
  r->programs[index]->await_pmt = TRUE;
}

/* Writes a table that replaces another; @first is the counter if there was none before. */
static void
insert_table (KrTsRegen *r, KrRegion *g, const guint8 *section, gsize size, guint out_pid,
              guint first)
{
  guint8 packets[KR_TS_SECTION_PACKETS (KR_TS_SECTION_MAX) * KR_TS_PACKET_SIZE];
  guint8 *counter = &r->pids[out_pid].out_counter;
  guint next = *counter != KR_TS_NO_COUNTER ? *counter + 1u : first;
  guint n = kr_ts_packetize (section, size, out_pid, next, packets);

  *counter = (guint8)((next + n - 1) & 0x0f);
  kr_ts_region_insert (r, g, packets, (gsize)n * KR_TS_PACKET_SIZE);
}

void
kr_ts_session_write_table (KrTsRegen *r, KrRegion *g, guint8 *p, guint pid)
{
  const KrProgram *program = pid != KR_TS_PID_PAT ? r->programs[r->pids[pid].program] : NULL;

  kr_ts_region_cut (r, g, p);
  g->start = p + KR_TS_PACKET_SIZE;
  if (!kr_ts_starts_unit (p))
    return;
  if (program != NULL) {
    insert_table (r, g, program->pmt, program->pmt_size, program->out_pmt_pid,
                  kr_ts_counter (p));
  } else {
    insert_table (r, g, r->pat, r->pat_size, KR_TS_PID_PAT, kr_ts_counter (p));
  }
}

void
kr_ts_session_insert_pat (KrTsRegen *r, KrRegion *g, guint8 *p)
{
  if (!r->pat_due)
    return;
  r->pat_due = FALSE;
  if (kr_ts_pid (p) == KR_TS_PID_PAT)
    return;
  kr_ts_region_cut (r, g, p);
  insert_table (r, g, r->pat, r->pat_size, KR_TS_PID_PAT, 0);
}
