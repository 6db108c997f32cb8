/* keeprolling - one continuous timeline in the bytes of a transport stream
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-tables.h"
#include "plugins/common/stream-guess.h"

G_BEGIN_DECLS

/**
 * SECTION: mpegts-regen
 *
 * The decisions behind mpegtsregen: bytes and their arrival in; rewritten bytes, cut at
 * keyframes, and reports out. Bytes are changed in place and only where a repair needs it, so
 * that a clean stream leaves as it came. Nothing here reads a clock, blocks or logs. The caller
 * serializes all calls on one #KrTsRegen. docs/timestamps.md tells the rules with their
 * reasons.
 */

/* "No time": an unknown arrival. */
#define KR_TS_NO_TIME G_MININT64

typedef enum {
  KR_TS_REGEN_MONITOR, /* judge and report, change nothing */
  KR_TS_REGEN_CORRECT, /* repair; clean input keeps its bytes */
  KR_TS_REGEN_ARRIVAL, /* as CORRECT, and bend the clock after the arrival */
} KrTsRegenMode;

typedef struct {
  KrTsRegenMode mode;
  gboolean live;          /* arrivals mean something */
  gboolean repair_joins;  /* continuity counters go on across a join */
  gboolean wait_keyframe; /* a session begins at its first keyframe */
  gint64 max_gap;         /* ns; the largest step of the PCR that passes as it is */
  gint64 hold_time;       /* ns; how long packets wait for the PCR that places them */
  gsize hold_bytes;       /* and how many */
  gint64 max_lag;         /* ns; output this late for lag_hold is re-anchored */
  gint64 lag_hold;        /* ns */
} KrTsRegenConfig;

/* CORRECT, not live, and the defaults of mpegtsregen's properties. */
void kr_ts_regen_config_init (KrTsRegenConfig *config);

typedef enum {
  KR_TS_PIECE_KEYFRAME = 1 << 0, /* begins with the first packet of a keyframe */
  KR_TS_PIECE_DISCONT = 1 << 1,  /* data or time is missing before it */
  KR_TS_PIECE_TABLES = 1 << 2,   /* kr_ts_regen_get_header() gives something new from here on */
  KR_TS_PIECE_START = 1 << 3,    /* with it, other streams begin: a new file should, too */
} KrTsPieceFlags;

/* A run of whole packets to pass on. */
typedef struct {
  guint8 *data;
  gsize size;
  GBytes *owner; /* (nullable): what @data lies in; NULL: the caller's block */
  gint64 stamp;  /* ns of running time, that of the first PCR in it; never goes back */
  KrTsPieceFlags flags;
} KrTsPiece;

typedef enum {
  KR_TS_EVENT_JUMP_FORWARD,
  KR_TS_EVENT_JUMP_BACK,
  KR_TS_EVENT_OVERLAP,
  KR_TS_EVENT_GAP,
  KR_TS_EVENT_WRAP_TS33,
  KR_TS_EVENT_WRAP_RTP32,
  KR_TS_EVENT_LAG_RESYNC,
  KR_TS_EVENT_STREAM_JUMP,
  KR_TS_EVENT_OUTLIER_RETURN,
  KR_TS_N_EVENTS
} KrTsEventKind;

/* The name used in messages (KR_DISCONT_*). */
const char *kr_ts_event_name (KrTsEventKind kind);

typedef struct {
  guint program; /* number */
  KrTsEventKind kind;
  gint64 delta;  /* ns; what the clock did against what was expected */
  gint64 gap;    /* ns; what remains of it in the output */
  guint epoch;   /* counts the timelines of the program, from 1 */
  gint64 in_ts;  /* ns, of the stamp that decided */
  gint64 out_ts; /* ns, what it became */
  gint64 running_time;
  guint suppressed; /* events of this kind and program left out since the last one */
} KrTsEvent;

typedef struct {
  guint64 packets;
  guint64 bytes_in, bytes_out;
  guint64 garbage_bytes;   /* skipped to find packets */
  guint64 dropped_packets; /* while waiting for a keyframe, and of PIDs in conflict */
  guint64 tei_packets;
  guint64 cc_errors; /* inside sessions; losses */
  guint64 crc_errors;
  guint64 keyframes;
  guint64 outliers;    /* stamps that were not believed and came to nothing */
  guint64 nudged;      /* stamps raised so that time does not go back */
  guint64 corrections; /* stamps written */
  guint64 gaps;        /* real gaps kept */
  guint64 gap_ns;
  guint64 joins; /* sessions joined */
  guint64 holds; /* times that packets had to wait */
  guint64 discontinuities;
  guint programs;
  guint epochs;     /* of the first program */
  gint64 offset_ns; /* output - input of the first program */
  gint64 lag_ns;    /* arrival - output - baseline; live only */
  gboolean drift_known;
  gdouble drift_ppm;                /* > 0: the source's clock is fast */
  gint64 last_pcr_in, last_pcr_out; /* ns, of the first program; KR_TS_NO_TIME before */
} KrTsRegenStats;

/* Input in which there is no packet. */
typedef struct {
  guint64 bytes;     /* since the last packet, or the start */
  gint64 since;      /* arrival of the first of them, KR_TS_NO_TIME if not live */
  guint packet_size; /* 192, 204 or 208 if that is what they are, else 0 */
  guint head_size;
  guint8 head[KR_STREAM_GUESS_BYTES]; /* the first of them */
} KrTsAlien;

typedef enum {
  KR_TS_HINT_NONE = 0,
  KR_TS_HINT_DISCONT = 1 << 0, /* data may be missing before this block */
} KrTsHint;

#define KR_TS_ERROR (kr_ts_error_quark ())
GQuark kr_ts_error_quark (void);
typedef enum {
  KR_TS_ERROR_PACKET_SIZE, /* 192, 204 or 208 byte packets */
} KrTsError;

typedef struct _KrTsRegen KrTsRegen;

KrTsRegen *kr_ts_regen_new (const KrTsRegenConfig *config);
void kr_ts_regen_free (KrTsRegen *regen);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTsRegen, kr_ts_regen_free)

/* May be called between blocks. */
void kr_ts_regen_configure (KrTsRegen *regen, const KrTsRegenConfig *config);

/**
 * kr_ts_regen_push:
 * @regen: the state
 * @data: (array length=size): the next bytes; rewritten in place
 * @size: how many
 * @arrival: running time at which they came, or KR_TS_NO_TIME
 * @hints: what is known besides
 * @error: return location
 *
 * Afterwards the pieces and events tell what to do. They point into @data and stay valid until
 * the next call. Bytes that no piece covers are kept inside (at most hold_bytes) or were
 * dropped and counted.
 *
 * Returns: FALSE with KR_TS_ERROR_PACKET_SIZE if this begins as a stream of packets of another
 *     size, and is not live: a live source may send something better later
 */
gboolean kr_ts_regen_push (KrTsRegen *regen, guint8 *data, gsize size, gint64 arrival,
                           KrTsHint hints, GError **error);

/* The stream has ended: what is held comes out. */
void kr_ts_regen_drain (KrTsRegen *regen);
/* Forgets everything, as after a flush. */
void kr_ts_regen_reset (KrTsRegen *regen);

const KrTsPiece *kr_ts_regen_get_pieces (const KrTsRegen *regen, guint *ret_n);
const KrTsEvent *kr_ts_regen_get_events (const KrTsRegen *regen, guint *ret_n);

/**
 * kr_ts_regen_get_alien:
 * @regen: the state
 *
 * One lost byte or a broken packet are garbage; a source that sends something else altogether
 * is worth a word to a person.
 *
 * Returns: (nullable): what has come instead of packets lately: for 64 KiB or, from a live
 *     source, for 2 s. NULL as soon as there are packets again. Valid until the next push.
 */
const KrTsAlien *kr_ts_regen_get_alien (const KrTsRegen *regen);

/* (nullable): what has come since the start if there was never a packet. Valid until the next
 * push. */
const KrTsAlien *kr_ts_regen_get_search (const KrTsRegen *regen);

/* PAT and PMT packets as they are in force (transfer full), NULL while they are unknown. Their
 * continuity counters lead into the next ones. */
GBytes *kr_ts_regen_get_header (KrTsRegen *regen);

void kr_ts_regen_get_stats (KrTsRegen *regen, KrTsRegenStats *stats);

G_END_DECLS
