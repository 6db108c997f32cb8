/* keeprolling - inside mpegts-regen
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-keyframe.h"
#include "plugins/common/mpegts-regen.h"

G_BEGIN_DECLS

#define KR_TS_NO_PROGRAM 0xff
#define KR_TS_NO_COUNTER 0xff
/* Matches no header: the mask leaves some of its bits out. */
#define KR_TS_NO_HEADER 0xffffffffu
#define KR_TS_N_EPOCHS  4
/* A step of the PCR above this is a discontinuity to a decoder (TR 101 290, 2.3b). */
#define KR_TS_SIGNAL_STEP (KR_TS_PCR_HZ / 10)
/* Programs with a timeline of their own; any others pass untouched. */
#define KR_TS_REGEN_PROGRAMS 64

typedef enum {
  KR_PID_SEEN = 1 << 0,
  KR_PID_TABLE = 1 << 1,  /* PAT or a PMT */
  KR_PID_DROP = 1 << 2,   /* its number is in use for another stream */
  KR_PID_FRESH = 1 << 3,  /* first packet of a session: its counter decides the delta */
  KR_PID_SLOW = 1 << 4,   /* every packet needs a look */
  KR_PID_LISTED = 1 << 5, /* in a PMT */
  KR_PID_NOISY = 1 << 6,  /* unlisted, its counter breaks without a new session */
  KR_PID_TOLD = 1 << 7,   /* what is missing before its next packet has been told */
} KrPidFlags;

/* One per PID, 16 bytes: four in a cache line. */
typedef struct {
  guint32 expect; /* header of the next packet if nothing happens, or KR_TS_NO_HEADER */
  guint16 out_pid;
  guint16 stream;     /* index + 1 */
  guint8 rewrite;     /* the header changes */
  guint8 flags;       /* KrPidFlags */
  guint8 counter;     /* of the last packet, as it came */
  guint8 delta;       /* output counter - input counter */
  guint8 out_counter; /* last one written under this number; only kept up to date at joins */
  guint8 program;     /* index */
  guint8 scan;        /* number of the scan that has seen it */
} KrPid;
G_STATIC_ASSERT (sizeof (KrPid) <= 20);

/* A jump that is not believed yet. */
typedef struct {
  guint n;
  guint64 first; /* stamp that began it */
  guint64 last;
  guint64 expected; /* where the first would have been in the output */
  gint64 error;     /* first mapped - expected */
} KrCandidate;

typedef struct {
  guint16 pid; /* input */
  guint8 program;
  KrTsKind kind;
  KrTsCodec codec;
  guint8 stream_type;
  gboolean has;       /* last_* are set */
  gboolean joining;   /* the first stamp of a session is accepted as it is */
  gboolean had_dts;   /* ever carried a DTS */
  gboolean unordered; /* no DTS, PTS not in order */
  guint64 offset;     /* output = input + offset, 90 kHz */
  guint64 last_in, last_out;
  guint64 stamp_in, stamp_out, pts_in, pts_out; /* of the last PES packet, for a repetition */
  gint64 duration, last_step;                   /* ticks of 90 kHz; 0 = unknown */
  gint64 lead;                                  /* last_out - PCR, ticks */
  guint64 composition;                          /* last good PTS - DTS */
  KrCandidate candidate;
} KrStream;

typedef struct {
  guint number;      /* on the output */
  guint in_number;   /* on the input */
  guint clock;       /* index of the program whose PCR it lives by: itself, if not shared */
  guint pcr_pid;     /* as announced, input */
  guint ref_pid;     /* the one that is used, KR_TS_PID_NULL = none yet */
  guint64 other_pcr; /* first PCR of another PID since ref_pid last had one */
  gboolean has_other;

  gboolean has_pcr;
  gboolean joining;     /* the next PCR begins a session or comes after a gap */
  gboolean broken;      /* a join is suspected that no PCR has decided yet */
  gboolean await_pmt;   /* the session's PMT has not come yet */
  gboolean waiting;     /* for a keyframe */
  gint64 waiting_since; /* out_ticks of the first PCR since, or KR_TS_NO_TIME */
  gboolean signal;      /* the next PCR that goes out follows a gap */
  gint64 ahead;         /* ticks of 90 kHz by which it is known to be later than the last */
  guint64 offset;       /* 90 kHz */
  guint64 pcr_in, pcr_out;
  gint64 out_ticks; /* 27 MHz since the first PCR, unwrapped */
  gint64 arrival;   /* of the last PCR, or KR_TS_NO_TIME */
  gint64 interval;  /* last good PCR step, 27 MHz */
  KrCandidate candidate;

  guint64 epochs[KR_TS_N_EPOCHS]; /* offsets, newest first */
  guint n_epochs;
  guint epoch; /* number of the newest, from 1 */

  /* Arrival against output, live only; see mpegts-regen-arrival.c. */
  gint64 first_arrival;
  gint64 baseline, baseline_at;
  gint64 window_min, window_start;
  gint64 lag, lag_since;
  gint64 second_min, second_start;
  gint64 drift_ticks; /* out_ticks without the steps of corrections */
  guint n_minima, next_minimum;
  struct {
    gint64 t, x;
  } minima[60];

  /* What is in force on the output. */
  guint out_pmt_pid;
  gsize pmt_size;
  guint8 pmt[KR_TS_SECTION_MAX];
  KrTsPmt parsed;
  guint16 entry_stream[KR_TS_MAX_STREAMS]; /* stream index + 1 of each entry of parsed */
  gboolean has_pmt;
  gboolean replace_pmt;
  guint in_pmt_pid;

  /* Throttling, by kind. */
  gint64 reported[KR_TS_N_EVENTS];
  guint suppressed[KR_TS_N_EVENTS];
} KrProgram;

/* Bytes under work: whole packets, either in the caller's block or owned. */
typedef struct {
  guint8 *base, *end;
  GBytes *owner;
  guint8 *start;    /* first byte not passed on yet */
  guint64 position; /* of base in the stream of packets */
  gint64 stamp;     /* of the piece that begins at start, unless a PCR in it tells */
  guint8 *pcr;      /* packet with the first PCR from start on, or NULL */
  gint64 pcr_stamp;
  guint flags;
} KrRegion;

/* What is seen of a session before its place in time is known. */
typedef struct {
  guint16 pid;
  guint64 dts;
} KrScanStamp;

#define KR_TS_SCAN_STAMPS 64

typedef struct {
  gboolean flagged; /* may have jumped */
  gboolean has_pcr;
  guint64 pcr;
  gint64 arrival;
} KrScanProgram;

typedef struct {
  guint8 number;     /* of this scan, never 0 */
  gboolean hint_pat; /* the PAT's counter broke: all programs are concerned */
  guint n_breaks;    /* PIDs whose counter broke */
  guint n_followed;  /* and whose counter went on */
  KrTsTables *tables;
  gboolean new_tables;
  KrScanProgram programs[KR_TS_REGEN_PROGRAMS];
  guint n_stamps;
  KrScanStamp stamps[KR_TS_SCAN_STAMPS];
} KrScan;

/* The beginning of a PES packet, put together from the packets of its PID. */
typedef struct {
  guint pid;
  guint have; /* bytes in head */
  guint8 head[KR_TS_PES_HEADER_MAX];
  guint8 *at[KR_TS_PES_HEADER_MAX]; /* where they lie */
  guint seen;                       /* bytes of the PES packet so far */
  gboolean has_pes;
  KrTsPes pes;
  gboolean scans;
  KrTsKeyframeScan scan;
  KrTsKeyframe verdict;
  gboolean done;
} KrUnit;

typedef enum {
  KR_HOLD_NONE,
  KR_HOLD_START, /* for PAT and PMT */
  KR_HOLD_JOIN,  /* for the PCR that places a session */
  KR_HOLD_UNIT,  /* for the rest of a PES header or the units of a frame */
} KrHold;

struct _KrTsRegen {
  KrTsRegenConfig config;
  KrPid pids[KR_TS_N_PIDS];
  guint16 used[KR_TS_N_PIDS];
  guint n_used;

  GArray *streams; /* of KrStream */
  KrProgram *programs[KR_TS_REGEN_PROGRAMS];
  guint n_programs;
  KrTsTables *tables; /* as the input has them */
  gboolean started;   /* the first tables are known or were given up */

  gboolean has_pat;
  gboolean replace_pat;
  gboolean pat_due; /* another one than before is in force; it has not gone out yet */
  gsize pat_size;
  guint8 pat[KR_TS_SECTION_MAX];
  guint key_pid; /* input PID whose keyframes count, KR_TS_PID_NULL = none */
  KrTsCodec key_codec;
  gboolean key_any; /* no video: every unit of key_pid will do */

  gint64 arrival; /* of the present block */
  gint64 last_arrival;
  gint64 usual_pause; /* between blocks; the longest of late */
  gint64 stamp_base;
  gboolean has_base;
  gint64 stamp;      /* running time of the last PCR */
  gsize fresh_bytes; /* that are still to come at the start, or where data is missing */
  gboolean has_fresh_stamp;
  gint64 fresh_stamp;

  /* Input that is no packet yet. */
  guint8 carry[6 * 208];
  guint carry_size;
  gboolean synced;
  gboolean sized;         /* the packet size was checked */
  KrTsAlien alien;        /* while not synced */
  guint64 garbage_before; /* of the stats, when sync was lost */

  KrHold hold;
  GByteArray *held;
  gint64 hold_since;
  KrUnit unit;    /* KR_HOLD_UNIT: what is waited for */
  gboolean force; /* decide with what there is */
  KrScan scan;
  guint64 position;     /* packets' bytes taken so far */
  guint64 settled;      /* up to here joins are decided */
  gboolean discont;     /* for the next piece */
  gboolean lost;        /* something is missing; told where the next picture begins */
  gboolean paused;      /* nothing came for a while: the next packet may begin a session */
  GBytes *header;       /* as kr_ts_regen_get_header() gives it */
  guint tables_changed; /* KR_TS_PIECE_TABLES and _START, for the next piece */

  GArray *pieces;
  GArray *events;
  KrTsRegenStats stats;
};

/* --- mpegts-regen-packet.c: one packet after the other ---------------------------------- */

/* sync byte, transport_error_indicator, payload_unit_start_indicator, adaptation_field_control
 * and continuity_counter: what can make a packet worth a look */
#define KR_TS_HEADER_MASK 0xffc0003fu
#define KR_TS_HEADER_FAST 0x47000010u

/* What kr_ts_regen_run() found at the place where it stopped. */
typedef enum {
  KR_RUN_NEXT,
  KR_RUN_HOLD, /* the packets from here on must wait: r->hold says for what */
  KR_RUN_LOST, /* no sync byte here */
} KrRun;

/* A discontinuity goes out: the packets of any PID that are missing up to here are no news. */
void kr_ts_regen_note_told (KrTsRegen *r);
/* Runs over a region from @p; returns where it stopped. */
guint8 *kr_ts_regen_run (KrTsRegen *r, KrRegion *g, guint8 *p, KrRun *ret_result);

/* --- mpegts-regen-unit.c: the start of a PES packet ---------------------------------- */

void kr_unit_begin (KrUnit *unit, guint pid, gboolean scans, KrTsCodec codec);
/* Takes the next packet of the unit's PID. */
void kr_unit_push (KrUnit *unit, guint8 *p);
/* Takes what follows @p in the region until the unit is decided. */
gboolean kr_unit_look_ahead (const KrTsRegen *r, KrUnit *unit, guint8 *p, const guint8 *end);
/* Reads and writes the stamps even where the header straddles packets. */
void kr_unit_stamps (KrTsRegen *r, KrUnit *unit, KrStream *stream, gboolean repeated);

/* --- mpegts-regen.c ------------------------------------------------------------------ */

/* @delta and @gap in ns, @in and @out in 90 kHz ticks. */
void kr_ts_regen_event (KrTsRegen *r, KrProgram *program, KrTsEventKind kind, gint64 delta,
                        gint64 gap, guint64 in, guint64 out);
/* Passes on what lies before @upto; the next piece begins there. */
void kr_ts_region_cut (KrTsRegen *r, KrRegion *g, guint8 *upto);
/* Flags what begins at @p with what the tables have become. */
void kr_ts_region_mark_tables (KrTsRegen *r, KrRegion *g, guint8 *p);
void kr_ts_region_insert (KrTsRegen *r, KrRegion *g, const guint8 *data, gsize size);
void kr_pid_update (KrPid *s, guint pid);
/* A packet is missing before @p, or it belongs to another session. */
gboolean kr_ts_regen_counter_breaks (const KrTsRegen *r, const KrPid *s, const guint8 *p);
/* The program whose timeline the PID is on. */
guint kr_ts_regen_program_of (const KrTsRegen *r, guint pid);
KrStream *kr_ts_regen_stream (KrTsRegen *r, const KrPid *s);

/* --- mpegts-regen-clock.c: one stamp in, one stamp out ------------------------------- */

/* @p is the packet, @bytes its PCR. Returns the stamp as it leaves. */
void kr_ts_regen_pcr (KrTsRegen *r, KrRegion *g, guint8 *p, guint8 *bytes, guint pid);
void kr_ts_regen_pes (KrTsRegen *r, KrStream *stream, guint8 *pts, guint8 *dts,
                      gboolean repeated);
/* Begins a new epoch for the program with @offset for everything in it. */
void kr_ts_regen_begin_epoch (KrTsRegen *r, KrProgram *program, guint64 offset);

/* --- mpegts-regen-arrival.c: output against the clock on the wall -------------------- */

void kr_ts_arrival_reset (KrProgram *program);
void kr_ts_arrival_restart_drift (KrProgram *program);
void kr_ts_arrival_update (KrTsRegen *r, KrProgram *program, gint64 step);
/* Where the arrival baseline would put a PCR that came at @arrival: 27 MHz ticks from the last.
 */
gboolean kr_ts_arrival_target (const KrTsRegen *r, const KrProgram *program, gint64 arrival,
                               gint64 *ret_ticks);
gint64 kr_ts_arrival_bend (const KrTsRegen *r, const KrProgram *program, gint64 step);

/* --- mpegts-regen-session.c: tables and PIDs in force -------------------------------- */

/* Takes what r->tables says as the first session's. */
void kr_ts_session_begin (KrTsRegen *r);
/* A table changed inside a session, or the first one of a session has come. */
void kr_ts_session_tables (KrTsRegen *r, KrTsTablesChange change);
/* A section on @pid has come again as it was: if it is the PMT, the session carries the streams
 * of the one before, and what changes from now on changes inside it. */
void kr_ts_session_table_repeated (KrTsRegen *r, guint pid);
/* A join: @all marks every PID, else those of @program. */
void kr_ts_session_join (KrTsRegen *r, guint program, gboolean all);
/* Drops what comes before the next keyframe, if that is wanted. */
void kr_ts_session_await_keyframe (KrTsRegen *r, guint program);
/* Compares r->tables with what is in force and remaps or raises versions. */
void kr_ts_session_match (KrTsRegen *r, guint program);
/* Writes the packets of a table that is replaced. */
void kr_ts_session_write_table (KrTsRegen *r, KrRegion *g, guint8 *p, guint pid);
/* Writes the PAT before @p, which says what it does not, if another one is due. */
void kr_ts_session_insert_pat (KrTsRegen *r, KrRegion *g, guint8 *p);
gboolean kr_ts_session_replaces (const KrTsRegen *r, guint pid);

/* --- mpegts-regen-hold.c: looking ahead before a join is decided --------------------- */

void kr_ts_scan_begin (KrTsRegen *r);
void kr_ts_scan_packet (KrTsRegen *r, const guint8 *p);
/* Whether all that is needed has been seen. */
gboolean kr_ts_scan_done (const KrTsRegen *r);
void kr_ts_scan_resolve (KrTsRegen *r);

static inline gint64
kr_ticks_to_ns (gint64 ticks)
{
  return ticks / 27 * 1000 + ticks % 27 * 1000 / 27;
}

static inline gint64
kr_ns_to_ticks (gint64 ns)
{
  return ns / 1000 * 27 + ns % 1000 * 27 / 1000;
}

static inline gint64
kr_stamp_to_ns (gint64 stamp)
{
  return stamp / 9 * 100000 + stamp % 9 * 100000 / 9;
}

G_END_DECLS
