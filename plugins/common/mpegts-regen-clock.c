/* keeprolling - inside mpegts-regen: one stamp in, one stamp out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"

/* Until two PCRs have told. */
#define DEFAULT_INTERVAL (KR_TS_PCR_HZ / 25)
#define DEFAULT_DURATION (KR_TS_STAMP_HZ / 25)

#define CONFIRM 3
/* Two stamps that jumped by as much as each other jumped together. */
#define SAME_JUMP (KR_TS_STAMP_HZ / 10)
/* Two clocks that differ by less agree that time has passed. */
#define AGREEMENT      G_GINT64_CONSTANT (500000000)
#define OUTAGE         G_GINT64_CONSTANT (1000000000)
#define REGULAR_STEP   (KR_TS_STAMP_HZ / 25)
#define MAX_LEAD       (10 * KR_TS_STAMP_HZ)
#define MAX_COMPOSE    (10 * KR_TS_STAMP_HZ)
#define MAX_RECOMPOSE  (2 * KR_TS_STAMP_HZ)
#define RTP_WRAP       (G_GUINT64_CONSTANT (1) << 32)
#define OTHER_PCR_TIME KR_TS_PCR_HZ

static gint64
max_gap_stamp (const KrTsRegen *r)
{
  return r->config.max_gap / 100000 * 9;
}

static gint64
max_gap_pcr (const KrTsRegen *r)
{
  return max_gap_stamp (r) * 300;
}

static guint64
map_pcr (guint64 pcr, guint64 offset)
{
  return (pcr + offset * 300) % KR_TS_PCR_MODULUS;
}

/* --- epochs -------------------------------------------------------------------------- */

static void
push_epoch (KrProgram *program, guint64 offset)
{
  if (program->n_epochs < KR_TS_N_EPOCHS)
    program->n_epochs++;
  for (guint i = program->n_epochs - 1; i > 0; i--)
    program->epochs[i] = program->epochs[i - 1];
  program->epochs[0] = offset;
  program->epoch++;
}

static void
start_epochs (KrProgram *program)
{
  if (program->n_epochs == 0)
    push_epoch (program, program->offset);
}

void
kr_ts_regen_begin_epoch (KrTsRegen *r, KrProgram *program, guint64 offset)
{
  push_epoch (program, offset);
  program->offset = offset;
  program->joining = TRUE;
  program->broken = FALSE;
  program->candidate.n = 0;
  for (guint i = 0; i < r->streams->len; i++) {
    KrStream *stream = &g_array_index (r->streams, KrStream, i);

    if (r->programs[stream->program] != program)
      continue;
    stream->offset = offset;
    stream->joining = TRUE;
    stream->candidate.n = 0;
  }
}

static gboolean
same_jump (gint64 a, gint64 b)
{
  return a - b <= SAME_JUMP && b - a <= SAME_JUMP;
}

/* Adds a stamp to the jump under suspicion; @regular is the largest step that continues it. */
static void
extend_candidate (KrTsRegen *r, KrCandidate *candidate, guint64 stamp, gint64 step,
                  gint64 regular, guint64 expected, gint64 error)
{
  if (candidate->n > 0 && step > 0 && step <= regular) {
    candidate->n++;
  } else {
    r->stats.outliers += candidate->n;
    *candidate = (KrCandidate){.n = 1, .first = stamp, .expected = expected, .error = error};
  }
  candidate->last = stamp;
}

static void
forget_candidate (KrTsRegen *r, KrCandidate *candidate)
{
  r->stats.outliers += candidate->n;
  candidate->n = 0;
}

/* --- PCR ----------------------------------------------------------------------------- */

/* The PMT names the PCR's PID, but not every PMT tells the truth: then the first PID that has
 * one counts. */
static gboolean
is_reference (KrProgram *program, guint pid, guint64 pcr)
{
  if (program->ref_pid == pid) {
    program->has_other = FALSE;
    return TRUE;
  }
  if (pid == program->pcr_pid || program->pcr_pid == KR_TS_PID_NULL) {
    if (program->ref_pid == KR_TS_PID_NULL || pid == program->pcr_pid) {
      program->ref_pid = pid;
      program->has_other = FALSE;
      return TRUE;
    }
  }
  if (!program->has_other) {
    program->has_other = TRUE;
    program->other_pcr = pcr;
    return FALSE;
  }
  if (ABS (kr_ts_pcr_distance (pcr, program->other_pcr)) < OTHER_PCR_TIME)
    return FALSE;
  program->ref_pid = pid;
  program->has_other = FALSE;
  return TRUE;
}

static gint64
since_last (const KrTsRegen *r, const KrProgram *program)
{
  return r->arrival != KR_TS_NO_TIME && program->arrival != KR_TS_NO_TIME
             ? r->arrival - program->arrival
             : 0;
}

static gboolean
streams_jumped_too (const KrTsRegen *r, const KrProgram *program, gint64 error)
{
  for (guint i = 0; i < r->streams->len; i++) {
    const KrStream *stream = &g_array_index (r->streams, KrStream, i);

    if (r->programs[stream->program] == program && stream->candidate.n > 0 &&
        same_jump (stream->candidate.error, error))
      return TRUE;
  }
  return FALSE;
}

static KrTsEventKind
jump_kind (gint64 delta_ns)
{
  if (delta_ns > 0)
    return KR_TS_EVENT_JUMP_FORWARD;
  return delta_ns > -OUTAGE ? KR_TS_EVENT_OVERLAP : KR_TS_EVENT_JUMP_BACK;
}

static gboolean
follow_epoch (KrTsRegen *r, KrProgram *program, guint64 pcr, guint64 *ret_out)
{
  for (guint i = 0; i < program->n_epochs; i++) {
    guint64 out = map_pcr (pcr, program->epochs[i]);
    gint64 step = kr_ts_pcr_distance (out, program->pcr_out);

    if (program->epochs[i] != program->offset && step > 0 && step <= max_gap_pcr (r)) {
      program->offset = program->epochs[i];
      *ret_out = out;
      return TRUE;
    }
  }
  return FALSE;
}

/* Some gateways keep 32 bits of the 90 kHz clock. */
static gboolean
follow_short_wrap (KrTsRegen *r, KrProgram *program, guint64 pcr, guint64 *ret_out)
{
  guint64 offset = (program->offset + RTP_WRAP) % KR_TS_STAMP_MODULUS;
  guint64 out = map_pcr (pcr, offset);
  gint64 step = kr_ts_pcr_distance (out, program->pcr_out);

  if (step <= 0 || step > max_gap_pcr (r))
    return FALSE;
  push_epoch (program, offset);
  program->offset = offset;
  *ret_out = out;
  kr_ts_regen_event (r, program, KR_TS_EVENT_WRAP_RTP32, -kr_stamp_to_ns ((gint64)RTP_WRAP),
                     kr_ticks_to_ns (step - program->interval), pcr / 300, out / 300);
  return TRUE;
}

/* A jump that is believed: everything goes on where it would have been without it, or where the
 * arrival says after an outage. Streams follow when their own stamps jump. */
static guint64
begin_jump (KrTsRegen *r, KrProgram *program, guint64 pcr, gint64 outage)
{
  KrCandidate *candidate = &program->candidate;
  gint64 delta = kr_ticks_to_ns (candidate->error * 300);
  guint64 offset = (candidate->expected + 299) / 300 + KR_TS_STAMP_MODULUS;
  gboolean session = program->broken;
  gint64 target, step;
  guint64 out;

  offset = (offset - candidate->first / 300) % KR_TS_STAMP_MODULUS;
  if (outage > OUTAGE && kr_ts_arrival_target (r, program, r->arrival, &target)) {
    guint64 want = (program->pcr_out + KR_TS_PCR_MODULUS + (guint64)target) % KR_TS_PCR_MODULUS;
    guint64 later = (want / 300 + KR_TS_STAMP_MODULUS - pcr / 300) % KR_TS_STAMP_MODULUS;

    if (target > 0 && kr_ts_stamp_distance (later, offset) > 0)
      offset = later;
  }
  if (session)
    kr_ts_regen_begin_epoch (r, program, offset);
  else
    push_epoch (program, offset);
  program->offset = offset;
  program->joining = TRUE;
  program->candidate.n = 0;
  out = map_pcr (pcr, offset);
  step = kr_ts_pcr_distance (out, program->pcr_out);
  /* Where time goes on without a gap, nothing is missing: a demuxer that was told so would
   * throw away a picture that is whole. */
  r->discont |= session || step > max_gap_pcr (r);
  kr_ts_regen_event (r, program, jump_kind (delta), delta,
                     MAX (0, kr_ticks_to_ns (step - program->interval)), pcr / 300, out / 300);
  return out;
}

/* A PCR that does not follow the last one. */
static guint64
judge_pcr (KrTsRegen *r, KrProgram *program, guint64 pcr, gint64 step)
{
  gint64 passed = since_last (r, program);
  gint64 error = (step - program->interval) / 300;
  guint64 expected = (program->pcr_out + (guint64)program->interval) % KR_TS_PCR_MODULUS;
  guint64 out;

  if (follow_epoch (r, program, pcr, &out) || follow_short_wrap (r, program, pcr, &out)) {
    forget_candidate (r, &program->candidate);
    return out;
  }
  if (step > 0 && passed > 0 && ABS (passed - kr_ticks_to_ns (step)) <= AGREEMENT) {
    gint64 gap = kr_ticks_to_ns (step - program->interval);

    r->stats.gaps++;
    r->stats.gap_ns += (guint64)gap;
    r->discont = TRUE;
    program->joining = TRUE;
    out = map_pcr (pcr, program->offset);
    kr_ts_regen_event (r, program, KR_TS_EVENT_GAP, gap, gap, pcr / 300, out / 300);
    return out;
  }
  extend_candidate (r, &program->candidate, pcr,
                    kr_ts_pcr_distance (pcr, program->candidate.last), max_gap_pcr (r),
                    expected, error);
  if (program->candidate.n >= CONFIRM || program->broken || passed > OUTAGE ||
      streams_jumped_too (r, program, program->candidate.error))
    return begin_jump (r, program, pcr, passed);
  return expected;
}

static void
write_pcr (KrTsRegen *r, guint8 *p, guint8 *bytes, guint64 pcr, guint64 out, gboolean signal)
{
  if (r->config.mode == KR_TS_REGEN_MONITOR)
    return;
  if (out != pcr) {
    kr_ts_write_pcr (bytes, out);
    r->stats.corrections++;
  }
  if (signal)
    p[5] |= KR_TS_ADAPTATION_DISCONTINUITY;
}

static void
note_pcr (KrTsRegen *r, KrProgram *program, guint64 pcr, guint64 out)
{
  program->ahead = 0;
  program->pcr_in = pcr;
  program->pcr_out = out;
  program->arrival = r->arrival;
  if (program != r->programs[0])
    return;
  if (!r->has_base) {
    r->has_base = TRUE;
    r->stamp_base = r->stamp;
  }
  r->stamp = MAX (r->stamp, r->stamp_base + kr_ticks_to_ns (program->out_ticks));
  r->stats.last_pcr_in = kr_ticks_to_ns ((gint64)pcr);
  r->stats.last_pcr_out = kr_ticks_to_ns ((gint64)out);
}

/* ARRIVAL: small moves at each PCR, the same for all that shares its epoch. */
static guint64
bend_pcr (KrTsRegen *r, KrProgram *program, guint64 pcr, gint64 step)
{
  gint64 bend = kr_ts_arrival_bend (r, program, step) / 300;
  guint64 old = program->offset;
  guint64 offset = (old + KR_TS_STAMP_MODULUS + (guint64)bend) % KR_TS_STAMP_MODULUS;

  if (bend != 0) {
    program->offset = offset;
    program->epochs[0] = offset;
    for (guint i = 0; i < r->streams->len; i++) {
      KrStream *stream = &g_array_index (r->streams, KrStream, i);

      if (r->programs[stream->program] == program && stream->offset == old)
        stream->offset = offset;
    }
  }
  return map_pcr (pcr, offset);
}

/* A demuxer measures PCRs against the stamp of the buffer they are in, and smooths the
 * difference into its own stamps. Live there is one to a piece, so that there is none; from a
 * file nothing is measured, and big blocks stay whole. */
static void
stamp_piece (KrTsRegen *r, KrRegion *g, guint8 *p)
{
  if (g->pcr != NULL && r->config.live)
    kr_ts_region_cut (r, g, p);
  if (g->pcr == NULL) {
    g->pcr = p;
    g->pcr_stamp = r->stamp;
  }
}

void
kr_ts_regen_pcr (KrTsRegen *r, KrRegion *g, guint8 *p, guint8 *bytes, guint pid)
{
  guint index = kr_ts_regen_program_of (r, pid);
  guint64 pcr = kr_ts_read_pcr (bytes) % KR_TS_PCR_MODULUS;
  gboolean believed = TRUE, signal = FALSE;
  KrProgram *program;
  gint64 step = 0;
  guint64 out;

  if (index == KR_TS_NO_PROGRAM)
    return;
  program = r->programs[index];
  start_epochs (program);
  out = map_pcr (pcr, program->offset);
  if (!is_reference (program, pid, pcr)) {
    write_pcr (r, p, bytes, pcr, out, FALSE);
    return;
  }
  if (program->has_pcr) {
    step = kr_ts_pcr_distance (out, program->pcr_out);
    if (!program->joining && (step < 0 || step > max_gap_pcr (r))) {
      out = judge_pcr (r, program, pcr, step);
      step = kr_ts_pcr_distance (out, program->pcr_out);
      believed = program->candidate.n == 0;
    } else {
      forget_candidate (r, &program->candidate);
      if (pcr < program->pcr_in && !program->joining)
        kr_ts_regen_event (r, program, KR_TS_EVENT_WRAP_TS33,
                           -kr_stamp_to_ns ((gint64)KR_TS_STAMP_MODULUS), 0, pcr / 300,
                           out / 300);
      if (r->config.mode == KR_TS_REGEN_ARRIVAL && !program->joining && step > 0) {
        out = bend_pcr (r, program, pcr, step);
        step = kr_ts_pcr_distance (out, program->pcr_out);
      }
    }
    if (step < 0) { /* a new epoch that would begin in the past */
      step = 300;
      out = (program->pcr_out + 300) % KR_TS_PCR_MODULUS;
      r->stats.nudged++;
    }
    signal = (program->joining && step > KR_TS_SIGNAL_STEP) || program->signal;
    program->signal = FALSE;
  }
  program->out_ticks += step;
  if (believed) {
    gint64 regular = program->joining ? program->interval : step;

    if (step > 0 && step <= max_gap_pcr (r) && !program->joining)
      program->interval = step;

    if (program->joining)
      kr_ts_arrival_restart_drift (program);
    program->joining = program->broken = FALSE;
    kr_ts_arrival_update (r, program, regular); /* may begin an epoch */
  }
  program->has_pcr = TRUE;
  note_pcr (r, program, pcr, out);
  if (program == r->programs[0])
    stamp_piece (r, g, p);
  write_pcr (r, p, bytes, pcr, out, signal);
}

/* --- PTS and DTS --------------------------------------------------------------------- */

static gint64
lead_of (const KrProgram *program, guint64 out)
{
  return kr_ts_stamp_distance (out, program->pcr_out / 300) - program->ahead;
}

/* A stream in which PTS take turns because their DTS are missing: only coarse steps mean
 * anything. */
static gboolean
is_unordered (KrTsRegen *r, KrStream *stream, gint64 step, gboolean has_dts)
{
  if (has_dts || stream->had_dts || stream->kind == KR_TS_KIND_AUDIO ||
      ABS (step) > max_gap_stamp (r))
    return FALSE;
  if (step < 0)
    stream->unordered = TRUE;
  return stream->unordered;
}

static gboolean
follow_epoch_pes (KrTsRegen *r, const KrProgram *program, KrStream *stream, guint64 stamp,
                  guint64 *ret_out)
{
  for (guint i = 0; i < program->n_epochs; i++) {
    guint64 out = (stamp + program->epochs[i]) % KR_TS_STAMP_MODULUS;
    gint64 step = kr_ts_stamp_distance (out, stream->last_out);

    if (program->epochs[i] != stream->offset &&
        ABS (step - stream->duration) <= max_gap_stamp (r)) {
      stream->offset = program->epochs[i];
      *ret_out = out;
      return TRUE;
    }
  }
  return FALSE;
}

/* The stream's own gap: its distance to the PCR is what it was before, or it is one that comes
 * when it likes. */
static gboolean
is_stream_gap (const KrProgram *program, const KrStream *stream, guint64 out, gint64 step)
{
  gint64 lead = lead_of (program, out);

  if (step <= 0 || !program->has_pcr)
    return FALSE;
  if (stream->kind == KR_TS_KIND_OTHER)
    return ABS (lead) <= MAX_LEAD;
  return ABS (lead - stream->lead) <= AGREEMENT / 100000 * 9;
}

static gboolean
siblings_jumped_too (const KrTsRegen *r, const KrProgram *program, const KrStream *stream)
{
  gint64 error = stream->candidate.error;

  if (program->candidate.n > 0 && same_jump (program->candidate.error, error))
    return TRUE;
  for (guint i = 0; i < r->streams->len; i++) {
    const KrStream *sibling = &g_array_index (r->streams, KrStream, i);

    if (sibling != stream && sibling->program == stream->program && sibling->candidate.n > 0 &&
        same_jump (sibling->candidate.error, error))
      return TRUE;
  }
  return FALSE;
}

/* A stamp that does not follow the last one of its stream. */
static guint64
judge_pes (KrTsRegen *r, KrProgram *program, KrStream *stream, guint64 stamp, gint64 step,
           gboolean has_dts, gboolean *ret_believed)
{
  gint64 duration = stream->duration != 0 ? stream->duration : DEFAULT_DURATION;
  guint64 mapped = (stamp + stream->offset) % KR_TS_STAMP_MODULUS;
  guint64 expected = (stream->last_out + (guint64)duration) % KR_TS_STAMP_MODULUS;
  guint64 out;

  *ret_believed = TRUE;
  if (is_unordered (r, stream, step, has_dts))
    return mapped;
  if (follow_epoch_pes (r, program, stream, stamp, &out) ||
      (is_stream_gap (program, stream, mapped, step) && (out = mapped, TRUE))) {
    forget_candidate (r, &stream->candidate);
    return out;
  }
  extend_candidate (r, &stream->candidate, stamp,
                    kr_ts_stamp_distance (stamp, stream->candidate.last),
                    MAX (2 * duration, REGULAR_STEP), expected, step - duration);
  if (stream->candidate.n < CONFIRM && !siblings_jumped_too (r, program, stream)) {
    *ret_believed = FALSE;
    return expected;
  }
  /* Where its first stamp would have been without the jump. */
  stream->offset =
      (stream->candidate.expected + KR_TS_STAMP_MODULUS - stream->candidate.first) %
      KR_TS_STAMP_MODULUS;
  push_epoch (program, stream->offset);
  kr_ts_regen_event (r, program, KR_TS_EVENT_STREAM_JUMP,
                     kr_stamp_to_ns (stream->candidate.error), 0, stamp, expected);
  stream->candidate.n = 0;
  return (stamp + stream->offset) % KR_TS_STAMP_MODULUS;
}

static void
note_pes (const KrProgram *program, KrStream *stream, guint64 in, guint64 out,
          gboolean believed)
{
  gint64 step = stream->has ? kr_ts_stamp_distance (out, stream->last_out) : 0;

  if (believed && !stream->joining) {
    /* The smaller of two in a row: one lost frame does not double it. */
    if (step > 0 && step <= KR_TS_STAMP_HZ) {
      stream->duration = stream->last_step > 0 ? MIN (step, stream->last_step) : step;
      stream->last_step = step;
    }
  }
  if (believed) {
    stream->last_in = in;
    stream->lead = lead_of (program, out);
    stream->joining = FALSE;
  }
  if (!stream->unordered || step > 0 || !stream->has)
    stream->last_out = out;
  stream->has = TRUE;
}

/* The PTS for a DTS that left as @out. */
static guint64
compose (KrStream *stream, guint64 pts, guint64 dts, guint64 out, gboolean believed)
{
  gint64 composition = kr_ts_stamp_distance (pts, dts);
  guint64 mapped = (pts + stream->offset) % KR_TS_STAMP_MODULUS;
  gint64 distance = kr_ts_stamp_distance (mapped, out);

  if (composition >= 0 && composition <= MAX_COMPOSE && believed)
    stream->composition = (guint64)composition;
  if (distance >= 0 && distance <= (believed ? MAX_COMPOSE : MAX_RECOMPOSE))
    return mapped;
  if (distance < 0 && distance >= -MAX_COMPOSE && believed)
    return out;
  if (composition >= 0 && composition <= MAX_RECOMPOSE)
    return (out + (guint64)composition) % KR_TS_STAMP_MODULUS;
  return (out + stream->composition) % KR_TS_STAMP_MODULUS;
}

static void
write_stamps (guint8 *pts_bytes, guint64 pts, guint8 *dts_bytes, guint64 dts)
{
  kr_ts_write_stamp (pts_bytes, pts);
  if (dts_bytes != NULL)
    kr_ts_write_stamp (dts_bytes, dts);
}

/* @repeated: the packet has the counter of the one before it, and may be the repetition that is
 * allowed. */
void
kr_ts_regen_pes (KrTsRegen *r, KrStream *stream, guint8 *pts_bytes, guint8 *dts_bytes,
                 gboolean repeated)
{
  KrProgram *program = r->programs[stream->program];
  guint64 pts = kr_ts_read_stamp (pts_bytes);
  guint64 stamp = dts_bytes != NULL ? kr_ts_read_stamp (dts_bytes) : pts;
  guint64 out = (stamp + stream->offset) % KR_TS_STAMP_MODULUS;
  gboolean believed = TRUE;
  guint64 out_pts;

  if (repeated && stream->has && stamp == stream->stamp_in && pts == stream->pts_in) {
    write_stamps (pts_bytes, stream->pts_out, dts_bytes, stream->stamp_out);
    return;
  }
  start_epochs (program);
  if (stream->has) {
    gint64 step = kr_ts_stamp_distance (out, stream->last_out);
    gint64 limit = MAX (max_gap_stamp (r), 4 * stream->duration);

    if (stream->joining) {
      gboolean turns = stream->unordered && step > -max_gap_stamp (r);

      if (step <= 0 && !turns) {
        out = (stream->last_out + 1) % KR_TS_STAMP_MODULUS;
        r->stats.nudged++;
      }
    } else if (step <= 0 || step > limit) {
      out = judge_pes (r, program, stream, stamp, step, dts_bytes != NULL, &believed);
      if (!stream->unordered && kr_ts_stamp_distance (out, stream->last_out) <= 0) {
        out = (stream->last_out + 1) % KR_TS_STAMP_MODULUS;
        r->stats.nudged++;
      }
    } else {
      forget_candidate (r, &stream->candidate);
    }
  }
  out_pts = dts_bytes != NULL ? compose (stream, pts, stamp, out, believed) : out;
  stream->had_dts |= dts_bytes != NULL;
  note_pes (program, stream, stamp, out, believed);
  stream->stamp_in = stamp;
  stream->stamp_out = out;
  stream->pts_in = pts;
  stream->pts_out = out_pts;
  write_stamps (pts_bytes, out_pts, dts_bytes, out);
}
