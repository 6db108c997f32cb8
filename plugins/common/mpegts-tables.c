/* keeprolling - the PAT and PMTs of a stream, kept up to date packet by packet
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-tables.h"

#include <string.h>

KrTsTables *
kr_ts_tables_new (void)
{
  KrTsTables *tables = g_new0 (KrTsTables, 1);

  tables->programs = g_ptr_array_new_with_free_func (g_free);
  return tables;
}

void
kr_ts_tables_free (KrTsTables *tables)
{
  if (tables == NULL)
    return;
  g_ptr_array_unref (tables->programs);
  g_free (tables);
}

void
kr_ts_tables_reset (KrTsTables *tables)
{
  GPtrArray *programs = tables->programs;

  g_ptr_array_set_size (programs, 0);
  memset (tables, 0, sizeof *tables);
  tables->programs = programs;
}

static KrTsProgramTable *
program_at (const KrTsTables *tables, guint i)
{
  return g_ptr_array_index (tables->programs, i);
}

KrTsProgramTable *
kr_ts_tables_find (const KrTsTables *tables, guint number)
{
  for (guint i = 0; i < tables->programs->len; i++) {
    if (program_at (tables, i)->number == number)
      return program_at (tables, i);
  }
  return NULL;
}

/* The program whose assembler takes the packets of @pid. */
static KrTsProgramTable *
find_by_pid (const KrTsTables *tables, guint pid)
{
  for (guint i = 0; i < tables->programs->len; i++) {
    if (program_at (tables, i)->pmt_pid == pid)
      return program_at (tables, i);
  }
  return NULL;
}

gboolean
kr_ts_tables_wants (const KrTsTables *tables, guint pid)
{
  return pid == KR_TS_PID_PAT || find_by_pid (tables, pid) != NULL;
}

gboolean
kr_ts_tables_is_shared (const KrTsTables *tables, guint pmt_pid)
{
  guint n = 0;

  for (guint i = 0; i < tables->programs->len; i++)
    n += program_at (tables, i)->pmt_pid == pmt_pid;
  return n > 1;
}

gboolean
kr_ts_tables_complete (const KrTsTables *tables)
{
  for (guint i = 0; i < tables->programs->len; i++) {
    if (!program_at (tables, i)->valid)
      return FALSE;
  }
  return tables->has_pat;
}

static void
add_program (KrTsTables *tables, const KrTsPatEntry *entry)
{
  KrTsProgramTable *program = kr_ts_tables_find (tables, entry->number);

  if (program == NULL) {
    if (tables->programs->len >= KR_TS_MAX_PROGRAMS)
      return;
    program = g_new0 (KrTsProgramTable, 1);
    program->number = entry->number;
    program->pmt_pid = entry->pmt_pid;
    g_ptr_array_add (tables->programs, program);
  } else if (program->pmt_pid != entry->pmt_pid) {
    program->pmt_pid = entry->pmt_pid;
    memset (&program->section, 0, sizeof program->section);
  }
}

static gboolean
is_listed (const KrTsPat *pat, guint number)
{
  for (guint i = 0; i < pat->n_entries; i++) {
    if (pat->entries[i].number == number)
      return TRUE;
  }
  return FALSE;
}

/* The counter of the packet in which a section of @size bytes began that is complete now. */
static guint8
first_counter (const KrTsSection *section, gsize size)
{
  return (section->counter + 1u - (guint)KR_TS_SECTION_PACKETS (size)) & 0x0f;
}

static void
on_pat (const guint8 *data, gsize size, gpointer user_data)
{
  KrTsTables *tables = user_data;
  KrTsPat pat;

  tables->change |= KR_TS_TABLES_SEEN;
  if (tables->has_pat && size == tables->pat_size && memcmp (data, tables->pat_raw, size) == 0)
    return;
  if (data[0] != KR_TS_TABLE_PAT)
    return;
  if (!kr_ts_parse_pat (data, size, &pat)) {
    tables->change |= KR_TS_TABLES_CRC;
    return;
  }
  if (!pat.current)
    return;
  /* A PAT of several sections: the first stands for all, the others only add programs. */
  if (pat.section_number == 0) {
    if (pat.last_section_number == 0) {
      for (guint i = tables->programs->len; i > 0; i--) {
        if (!is_listed (&pat, program_at (tables, i - 1)->number))
          g_ptr_array_remove_index (tables->programs, i - 1);
      }
    }
    if (!tables->has_pat)
      tables->pat_first_counter = first_counter (&tables->pat_section, size);
    tables->has_pat = TRUE;
    tables->pat = pat;
    tables->pat_size = size;
    memcpy (tables->pat_raw, data, size);
    tables->change |= KR_TS_TABLES_PAT;
  }
  for (guint i = 0; i < pat.n_entries; i++) {
    if (pat.entries[i].number != 0)
      add_program (tables, &pat.entries[i]);
  }
}

static void
note_changed (KrTsTables *tables, KrTsProgramTable *program)
{
  tables->change |= KR_TS_TABLES_PMT;
  for (guint i = 0; i < tables->n_changed; i++) {
    if (tables->changed[i] == program)
      return;
  }
  if (tables->n_changed < KR_TS_MAX_CHANGED)
    tables->changed[tables->n_changed++] = program;
}

static void
on_pmt (const guint8 *data, gsize size, gpointer user_data)
{
  KrTsTables *tables = user_data;
  KrTsProgramTable *program;
  KrTsPmt pmt;

  tables->change |= KR_TS_TABLES_SEEN;
  if (data[0] != KR_TS_TABLE_PMT || size < 12)
    return;
  program = kr_ts_tables_find (tables, (guint)data[3] << 8 | data[4]);
  if (program != NULL && program->valid && size == program->raw_size &&
      memcmp (data, program->raw, size) == 0)
    return;
  if (!kr_ts_parse_pmt (data, size, &pmt)) {
    tables->change |= KR_TS_TABLES_CRC;
    return;
  }
  if (program == NULL || !pmt.current)
    return;
  if (!program->valid) {
    const KrTsProgramTable *taker = find_by_pid (tables, program->pmt_pid);

    program->first_counter = first_counter (&taker->section, size);
  }
  program->pmt = pmt;
  program->valid = TRUE;
  program->raw_size = size;
  memcpy (program->raw, data, size);
  note_changed (tables, program);
}

KrTsTablesChange
kr_ts_tables_push (KrTsTables *tables, const guint8 *packet)
{
  guint pid = kr_ts_pid (packet);
  KrTsProgramTable *program;

  tables->change = KR_TS_TABLES_SAME;
  tables->n_changed = 0;
  if (pid == KR_TS_PID_PAT) {
    kr_ts_section_push (&tables->pat_section, packet, on_pat, tables);
  } else if ((program = find_by_pid (tables, pid)) != NULL) {
    kr_ts_section_push (&program->section, packet, on_pmt, tables);
  }
  return tables->change;
}

gboolean
kr_ts_tables_differ (const KrTsTables *tables, const guint8 *packet)
{
  guint offset = kr_ts_payload_offset (packet);
  const guint8 *known = NULL, *section;
  gsize known_size = 0, size, room;
  KrTsProgramTable *program;

  if (!kr_ts_starts_unit (packet) || kr_ts_has_error (packet) || kr_ts_is_scrambled (packet) ||
      offset >= KR_TS_PACKET_SIZE || offset + 1u + packet[offset] + 12 > KR_TS_PACKET_SIZE)
    return FALSE;
  section = packet + offset + 1 + packet[offset];
  room = (gsize)(packet + KR_TS_PACKET_SIZE - section);
  size = 3u + ((section[1] & 0x0fu) << 8 | section[2]);
  if (size < 12 || size > KR_TS_SECTION_MAX)
    return FALSE;
  if (kr_ts_pid (packet) == KR_TS_PID_PAT) {
    if (section[0] != KR_TS_TABLE_PAT || section[6] != 0 || !tables->has_pat)
      return FALSE;
    known = tables->pat_raw;
    known_size = tables->pat_size;
  } else {
    program = kr_ts_tables_find (tables, (guint)section[3] << 8 | section[4]);
    if (section[0] != KR_TS_TABLE_PMT || program == NULL || !program->valid)
      return FALSE;
    known = program->raw;
    known_size = program->raw_size;
  }
  if (size == known_size && memcmp (section, known, MIN (size, room)) == 0)
    return FALSE;
  return size > room || kr_ts_crc32 (section, size) == 0;
}

gboolean
kr_ts_tables_may_repeat (const KrTsTables *tables, const guint8 *packet)
{
  guint pid = kr_ts_pid (packet), offset = kr_ts_payload_offset (packet);
  const KrTsProgramTable *program = find_by_pid (tables, pid);
  const KrTsSection *section = program != NULL ? &program->section : NULL;
  guint start;

  if (pid == KR_TS_PID_PAT)
    section = &tables->pat_section;
  if (section == NULL || !kr_ts_starts_unit (packet) || offset >= KR_TS_PACKET_SIZE)
    return TRUE;
  start = offset + 1u + packet[offset];
  if (start + 3 > KR_TS_PACKET_SIZE ||
      start + 3 + ((packet[start + 1] & 0x0fu) << 8 | packet[start + 2]) <= KR_TS_PACKET_SIZE)
    return !kr_ts_tables_differ (tables, packet);
  return section->active;
}

void
kr_ts_tables_assign (KrTsTables *tables, const KrTsTables *from)
{
  kr_ts_tables_reset (tables);
  tables->has_pat = from->has_pat;
  tables->pat_first_counter = from->pat_first_counter;
  tables->pat = from->pat;
  tables->pat_size = from->pat_size;
  memcpy (tables->pat_raw, from->pat_raw, sizeof tables->pat_raw);
  for (guint i = 0; i < from->programs->len; i++) {
    KrTsProgramTable *copy = g_memdup2 (program_at (from, i), sizeof (KrTsProgramTable));

    memset (&copy->section, 0, sizeof copy->section);
    g_ptr_array_add (tables->programs, copy);
  }
}
