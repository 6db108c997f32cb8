/* keeprolling - timing and continuity of a transport stream, in the terms of TR 101 290
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis-private.h"

#include <string.h>

static const struct {
  const char *name, *title;
} findings[] = {
    [KR_TS_SYNC_LOSS] = {"sync_loss", "1.1 TS_sync_loss"},
    [KR_TS_TEI] = {"tei", "2.1 Transport_error"},
    [KR_TS_CC] = {"cc", "1.4 Continuity_count_error"},
    [KR_TS_CRC] = {"crc", "2.2 CRC_error"},
    [KR_TS_PAT_INTERVAL] = {"pat_interval", "1.3 PAT_error"},
    [KR_TS_PMT_INTERVAL] = {"pmt_interval", "1.5 PMT_error"},
    [KR_TS_PID_MISSING] = {"pid_missing", "1.6 PID_error"},
    [KR_TS_PMT_CHANGE] = {"pmt_change", ""},
    [KR_TS_PCR_INTERVAL] = {"pcr_interval", "2.3a PCR_repetition_error"},
    [KR_TS_PCR_DISCONT] = {"pcr_discont", "2.3b PCR_discontinuity_indicator_error"},
    [KR_TS_PCR_BACKWARD] = {"pcr_backward", "2.3b PCR_discontinuity_indicator_error"},
    [KR_TS_PCR_MISSING] = {"pcr_missing", "2.3 PCR_error"},
    [KR_TS_NO_PTS] = {"no_pts", "2.5 PTS_error"},
    [KR_TS_PTS_INTERVAL700] = {"pts_interval700", "2.5 PTS_error"},
    [KR_TS_PTS_LT_DTS] = {"pts_lt_dts", ""},
    [KR_TS_DTS_EQUAL] = {"dts_equal", ""},
    [KR_TS_DTS_BACK] = {"dts_back", ""},
    [KR_TS_DTS_GAP] = {"dts_gap", ""},
    [KR_TS_PTS_DUP] = {"pts_dup", ""},
    [KR_TS_PTS_GAP] = {"pts_gap", ""},
    [KR_TS_LATE_DTS] = {"late_dts", ""},
    [KR_TS_LEAD_BIG] = {"lead_big", ""},
    [KR_TS_DUP_PES] = {"dup_pes", ""},
    [KR_TS_AV_STEP] = {"av_step", ""},
    [KR_TS_AUDIO_GAP] = {"audio_gap", ""},
    [KR_TS_AUDIO_OVERLAP] = {"audio_overlap", ""},
    [KR_TS_AUDIO_DRIFT] = {"audio_drift", ""},
    [KR_TS_AUDIO_BADSYNC] = {"audio_badsync", ""},
};
G_STATIC_ASSERT (G_N_ELEMENTS (findings) == KR_TS_N_FINDINGS);

#define DETECT_BYTES (208 * 6)
#define BLOCK_CARRY  (2 * 208)

const char *
kr_ts_finding_name (KrTsFindingKind kind)
{
  g_return_val_if_fail ((guint)kind < KR_TS_N_FINDINGS, NULL);
  return findings[kind].name;
}

const char *
kr_ts_finding_title (KrTsFindingKind kind)
{
  g_return_val_if_fail ((guint)kind < KR_TS_N_FINDINGS, NULL);
  return findings[kind].title;
}

gboolean
kr_ts_finding_from_name (const char *name, KrTsFindingKind *ret_kind, gboolean *ret_signalled)
{
  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    gsize length = strlen (findings[i].name);

    if (strncmp (name, findings[i].name, length) != 0)
      continue;
    if (name[length] == '\0' || strcmp (name + length, "_signalled") == 0) {
      *ret_kind = (KrTsFindingKind)i;
      *ret_signalled = name[length] != '\0';
      return TRUE;
    }
  }
  return FALSE;
}

void
kr_ts_limits_init (KrTsLimits *limits)
{
  *limits = (KrTsLimits){.video_gap_ms = 200,
                         .audio_gap_ms = 400,
                         .audio_tolerance_ms = 4,
                         .drift_ppm = 500,
                         .skew_ms = 100,
                         .pcr_ms = 100,
                         .psi_ms = 500,
                         .lead_ms = 10000};
}

void
kr_ts_report_free (KrTsReport *report)
{
  if (report == NULL)
    return;
  g_array_unref (report->programs);
  g_array_unref (report->pcrs);
  g_array_unref (report->streams);
  g_free (report);
}

KrTsAnalysis *
kr_ts_analysis_new (const KrTsLimits *limits)
{
  KrTsAnalysis *a = g_new0 (KrTsAnalysis, 1);

  if (limits != NULL)
    a->limits = *limits;
  else
    kr_ts_limits_init (&a->limits);
  a->report = g_new0 (KrTsReport, 1);
  a->report->duration = -1;
  a->report->programs = g_array_new (FALSE, TRUE, sizeof (KrTsProgramReport));
  a->report->pcrs = g_array_new (FALSE, TRUE, sizeof (KrTsPcrReport));
  a->report->streams = g_array_new (FALSE, TRUE, sizeof (KrTsStreamReport));
  a->order = g_array_new (FALSE, FALSE, sizeof (guint));
  a->tables = kr_ts_tables_new ();
  a->pmts_seen = g_hash_table_new (NULL, NULL);
  a->carry = g_byte_array_new ();
  a->pending = g_array_new (FALSE, FALSE, sizeof (KrPending));
  a->reference = a->candidate = a->video_pid = KR_TS_PID_NULL;
  return a;
}

void
kr_ts_analysis_free (KrTsAnalysis *a)
{
  if (a == NULL)
    return;
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    if (a->pids[pid] == NULL)
      continue;
    g_free (a->pids[pid]->stream);
    g_free (a->pids[pid]->pcr);
    g_free (a->pids[pid]);
  }
  kr_ts_report_free (a->report);
  g_array_unref (a->order);
  g_array_unref (a->pending);
  g_hash_table_unref (a->pmts_seen);
  g_byte_array_unref (a->carry);
  kr_ts_tables_free (a->tables);
  g_free (a);
}

void
kr_ts_note (KrTsAnalysis *a, KrTsFindingKind kind, gboolean signalled, guint64 packet,
            guint pid, gdouble value, const char *unit)
{
  KrTsFinding *finding = &a->report->findings[kind];

  if (signalled)
    finding->signalled++;
  else
    finding->count++;
  if (finding->n_notes == KR_TS_MAX_NOTES)
    return;
  finding->notes[finding->n_notes++] = (KrTsNote){
      .packet = packet, .pid = pid, .has_value = unit != NULL, .value = value, .unit = unit};
}

/* --- tables -------------------------------------------------------------------------- */

static KrPidState *
pid_state (KrTsAnalysis *a, guint pid)
{
  if (a->pids[pid] == NULL)
    a->pids[pid] = g_new0 (KrPidState, 1);
  return a->pids[pid];
}

static KrStreamState *
stream_state (KrTsAnalysis *a, guint pid)
{
  KrPidState *s = pid_state (a, pid);

  if (s->stream == NULL) {
    s->stream = g_new0 (KrStreamState, 1);
    s->stream->report.pid = pid;
    s->stream->pcr_pid = KR_TS_PID_NULL;
  }
  return s->stream;
}

static void
list_streams (KrTsAnalysis *a, const KrTsPmt *pmt)
{
  for (guint i = 0; i < pmt->n_entries; i++) {
    KrStreamState *stream = stream_state (a, pmt->entries[i].pid);

    stream->listed = TRUE;
    stream->pcr_pid = pmt->pcr_pid;
    stream->report.kind = pmt->entries[i].kind;
    stream->report.codec = pmt->entries[i].codec;
    if (stream->report.kind == KR_TS_KIND_VIDEO && a->video_pid == KR_TS_PID_NULL)
      a->video_pid = pmt->entries[i].pid;
  }
}

static void
take_table (KrTsAnalysis *a, KrPidState *s, const guint8 *p, guint pid)
{
  KrTsTablesChange change;

  if (kr_ts_starts_unit (p))
    s->section_packet = a->position;
  change = kr_ts_tables_push (a->tables, p);
  if ((change & KR_TS_TABLES_CRC) != 0) {
    kr_ts_note (a, KR_TS_CRC, FALSE, s->section_packet, pid, 0, NULL);
    if ((change & (KR_TS_TABLES_PAT | KR_TS_TABLES_PMT)) == 0)
      return;
  }
  if ((change & KR_TS_TABLES_PAT) != 0) {
    for (guint i = 0; i < a->tables->programs->len; i++) {
      const KrTsProgramTable *table = g_ptr_array_index (a->tables->programs, i);

      pid_state (a, table->pmt_pid)->is_table = TRUE;
    }
  }
  for (guint i = 0; i < a->tables->n_changed; i++) {
    const KrTsProgramTable *table = a->tables->changed[i];

    if (!g_hash_table_add (a->pmts_seen, GUINT_TO_POINTER (table->number)))
      kr_ts_note (a, KR_TS_PMT_CHANGE, FALSE, s->section_packet, pid, 0, NULL);
    list_streams (a, &table->pmt);
  }
  if ((change & KR_TS_TABLES_SEEN) != 0) {
    KrPending pending = {.pid = pid, .packet = s->section_packet};

    s->n_sections++;
    kr_ts_time_defer (a, &pending);
  }
}

/* --- packets ------------------------------------------------------------------------- */

/* FALSE: the packet is the repetition that is allowed, and says nothing new. */
static gboolean
take_counter (KrTsAnalysis *a, KrPidState *s, const guint8 *p, guint pid, gboolean signalled)
{
  guint counter = kr_ts_counter (p);
  guint expected = s->counter;

  if (s->seen && !signalled) {
    if (kr_ts_has_payload (p)) {
      if (counter == s->counter && !s->repeated && s->last != NULL &&
          memcmp (p + 12, s->last + 12, KR_TS_PACKET_SIZE - 12) == 0) {
        s->repeated = TRUE;
        return FALSE;
      }
      expected = (s->counter + 1u) & 0x0f;
      s->repeated = FALSE;
    }
    if (counter != expected) {
      KrTsFinding *finding = &a->report->findings[KR_TS_CC];
      guint n = finding->n_notes;

      kr_ts_note (a, KR_TS_CC, FALSE, a->position, pid, counter, "counter");
      if (finding->n_notes > n)
        finding->notes[n].expected = expected;
    }
  }
  s->seen = TRUE;
  s->counter = (guint8)counter;
  s->last = p;
  return TRUE;
}

static void
take_packet (KrTsAnalysis *a, const guint8 *p)
{
  guint pid = kr_ts_pid (p);
  KrPidState *s;
  gboolean signalled;
  guint offset;

  if (pid == KR_TS_PID_NULL) {
    a->report->null_packets++;
    return;
  }
  s = a->pids[pid];
  if (G_UNLIKELY (s == NULL))
    s = pid_state (a, pid);
  if (G_UNLIKELY (s->packets++ == 0)) {
    s->is_table |= pid == KR_TS_PID_PAT;
    g_array_append_val (a->order, pid);
  }
  if (G_UNLIKELY (kr_ts_has_error (p))) {
    kr_ts_note (a, KR_TS_TEI, FALSE, a->position, pid, 0, NULL);
    return;
  }
  signalled = (kr_ts_adaptation_flags (p) & KR_TS_ADAPTATION_DISCONTINUITY) != 0;
  if (kr_ts_pcr_offset (p) != 0)
    kr_ts_time_pcr (a, pid, kr_ts_read_pcr (p + kr_ts_pcr_offset (p)), signalled);
  if (signalled && s->stream != NULL)
    s->stream->signalled = TRUE;
  if (!take_counter (a, s, p, pid, signalled))
    return;
  offset = kr_ts_payload_offset (p);
  if (offset == KR_TS_PACKET_SIZE)
    return;
  if (s->is_table) {
    take_table (a, s, p, pid);
  } else if (kr_ts_starts_unit (p)) {
    kr_ts_stream_start (a, stream_state (a, pid), p + offset, KR_TS_PACKET_SIZE - offset, p);
    s->stream->signalled &= s->stream->open ? FALSE : signalled;
  } else if (s->stream != NULL) {
    kr_ts_stream_continue (s->stream, p + offset, KR_TS_PACKET_SIZE - offset);
  }
}

/* --- bytes --------------------------------------------------------------------------- */

/* What was said about a packet is compared with the next one of its PID, which may come in
 * another block. */
static void
keep_last_packets (KrTsAnalysis *a)
{
  for (guint i = 0; i < a->order->len; i++) {
    KrPidState *s = a->pids[g_array_index (a->order, guint, i)];

    if (s->last != NULL && s->last != s->kept) {
      memcpy (s->kept, s->last, KR_TS_PACKET_SIZE);
      s->last = s->kept;
    }
  }
}

/* After a loss a packet is only believed if another one follows it. */
static gboolean
is_believed (const KrTsAnalysis *a, const guint8 *data, gsize i, gsize size)
{
  if (data[i] != KR_TS_SYNC_BYTE)
    return FALSE;
  return !a->lost || i + a->packet_size >= size || data[i + a->packet_size] == KR_TS_SYNC_BYTE;
}

/* Takes the packets of a block; returns how many bytes are done with. */
static gsize
take_block (KrTsAnalysis *a, const guint8 *data, gsize size, gboolean last)
{
  gsize i = 0;

  while (i + a->packet_size <= size || (last && i + KR_TS_PACKET_SIZE <= size)) {
    if (a->lost && !last && data[i] == KR_TS_SYNC_BYTE && i + a->packet_size == size)
      break; /* what follows it comes with the next block */
    if (G_UNLIKELY (!is_believed (a, data, i, size))) {
      const guint8 *next = memchr (data + i + 1, KR_TS_SYNC_BYTE, size - i - 1);

      if (!a->lost)
        kr_ts_note (a, KR_TS_SYNC_LOSS, FALSE, a->position, 0, 0, NULL);
      a->lost = TRUE;
      i = next != NULL ? (gsize)(next - data) : size;
      continue;
    }
    a->lost = FALSE;
    take_packet (a, data + i);
    a->position++;
    i += a->packet_size;
    a->end = a->taken + MIN (i, size);
  }
  keep_last_packets (a);
  i = MIN (i, size);
  a->taken += i;
  return i;
}

/* Finds the packet size in windows of a fixed size, so that the answer does not depend on the
 * blocks; drops what cannot be the beginning. */
static gboolean
detect (KrTsAnalysis *a, gboolean last)
{
  gsize base = 0, offset = 0;
  guint found = 0;

  if (a->carry->len == 0)
    return FALSE;
  while (found == 0 && a->carry->len - base >= DETECT_BYTES) {
    found = kr_ts_detect_packet_size (a->carry->data + base, DETECT_BYTES);
    if (found == 0)
      base += KR_TS_PACKET_SIZE;
  }
  if (found == 0 && last) {
    gsize left = a->carry->len - base;

    found = kr_ts_detect_packet_size (a->carry->data + base, left);
    /* Too short to be sure. */
    if (found == 0 && base == 0 && left >= KR_TS_PACKET_SIZE && left < 5 * KR_TS_PACKET_SIZE &&
        a->carry->data[0] == KR_TS_SYNC_BYTE)
      found = KR_TS_PACKET_SIZE;
  }
  if (found != 0) {
    const guint8 *p = a->carry->data + base;
    gsize size = a->carry->len - base;

    while (offset + 4 * found < size &&
           (p[offset] != KR_TS_SYNC_BYTE || p[offset + found] != KR_TS_SYNC_BYTE ||
            p[offset + 2 * found] != KR_TS_SYNC_BYTE ||
            p[offset + 3 * found] != KR_TS_SYNC_BYTE ||
            p[offset + 4 * found] != KR_TS_SYNC_BYTE))
      offset++;
    if (offset + 4 * found >= size)
      offset = 0;
    a->packet_size = a->report->packet_size = found;
  }
  a->taken += base + offset;
  g_byte_array_remove_range (a->carry, 0, (guint)(base + offset));
  return found != 0;
}

void
kr_ts_analysis_push (KrTsAnalysis *a, const guint8 *data, gsize size)
{
  gsize used = 0, taken;

  a->report->bytes += size;
  if (a->packet_size == 0) {
    g_byte_array_append (a->carry, data, (guint)MIN (size, G_MAXUINT / 2));
    if (!detect (a, FALSE))
      return;
    taken = take_block (a, a->carry->data, a->carry->len, FALSE);
    g_byte_array_remove_range (a->carry, 0, (guint)taken);
    return;
  }
  /* As many bytes as it takes to get past what was left. */
  while (a->carry->len > 0 && used < size) {
    gsize part = MIN (size - used, BLOCK_CARRY);

    g_byte_array_append (a->carry, data + used, (guint)part);
    used += part;
    taken = take_block (a, a->carry->data, a->carry->len, FALSE);
    g_byte_array_remove_range (a->carry, 0, (guint)taken);
    if (a->carry->len <= used) {
      used -= a->carry->len;
      g_byte_array_set_size (a->carry, 0);
    }
  }
  if (used == size)
    return;
  taken = take_block (a, data + used, size - used, FALSE);
  g_byte_array_append (a->carry, data + used + taken, (guint)(size - used - taken));
}

/* --- the end ------------------------------------------------------------------------- */

static void
finish_programs (KrTsAnalysis *a)
{
  for (guint i = 0; i < a->tables->programs->len; i++) {
    const KrTsProgramTable *table = g_ptr_array_index (a->tables->programs, i);
    KrTsProgramReport program = {
        .number = table->number, .pmt_pid = table->pmt_pid, .pcr_pid = KR_TS_PID_NULL};

    if (table->valid) {
      program.pcr_pid = table->pmt.pcr_pid;
      if (a->pids[program.pcr_pid] == NULL || a->pids[program.pcr_pid]->pcr == NULL)
        kr_ts_note (a, KR_TS_PCR_MISSING, FALSE, a->position, program.pcr_pid, 0, NULL);
      for (guint k = 0; k < table->pmt.n_entries; k++) {
        const KrTsPmtEntry *entry = &table->pmt.entries[k];

        if (entry->kind != KR_TS_KIND_OTHER &&
            (a->pids[entry->pid] == NULL || a->pids[entry->pid]->packets == 0))
          kr_ts_note (a, KR_TS_PID_MISSING, FALSE, a->position, entry->pid, 0, NULL);
      }
    }
    g_array_append_val (a->report->programs, program);
  }
}

static void
finish_pid (KrTsAnalysis *a, guint pid)
{
  KrPidState *s = a->pids[pid];

  if (s->pcr != NULL)
    g_array_append_val (a->report->pcrs, s->pcr->report);
  if (s->is_table && s->n_sections <= 1 && a->report->duration > 1 &&
      (pid != KR_TS_PID_PAT || a->tables->has_pat))
    kr_ts_note (a, pid == KR_TS_PID_PAT ? KR_TS_PAT_INTERVAL : KR_TS_PMT_INTERVAL, FALSE,
                a->position, pid, a->report->duration * 1000, "ms");
  if (s->stream == NULL || s->is_table)
    return;
  kr_ts_stream_finish (a, s->stream);
  s->stream->report.packets = s->packets;
  if (s->stream->listed || s->stream->report.pes > 0)
    g_array_append_val (a->report->streams, s->stream->report);
}

KrTsReport *
kr_ts_analysis_finish (KrTsAnalysis *a)
{
  KrTsReport *report = a->report;

  if (a->packet_size == 0)
    detect (a, TRUE);
  if (a->packet_size != 0)
    take_block (a, a->carry->data, a->carry->len, TRUE);
  report->trailing_bytes = report->bytes - a->end;
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    if (a->pids[pid] != NULL && a->pids[pid]->stream != NULL)
      kr_ts_stream_end_pes (a, a->pids[pid]->stream);
  }
  kr_ts_time_finish (a);
  report->packets = a->position;
  /* Not one PAT, perhaps not even its PID: nothing tells what the streams are. */
  if (!a->tables->has_pat && a->position > 0)
    kr_ts_note (a, KR_TS_PAT_INTERVAL, FALSE, a->position, KR_TS_PID_PAT, 0, NULL);
  if (report->duration > 0)
    report->bitrate = (gdouble)(a->position * KR_TS_PACKET_SIZE * 8) / report->duration;
  for (guint pid = 0; pid < KR_TS_N_PIDS; pid++) {
    if (a->pids[pid] != NULL)
      finish_pid (a, pid);
  }
  finish_programs (a);
  a->report = NULL;
  return report;
}
