/* keeprolling - makes transport streams for tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-psi.h"

G_BEGIN_DECLS

/* A muxer that does what it is told, mistakes included. */
typedef struct {
  GByteArray *bytes;
  guint8 counters[KR_TS_N_PIDS];
} KrTsMaker;

KrTsMaker *kr_ts_maker_new (void);
void kr_ts_maker_free (KrTsMaker *maker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTsMaker, kr_ts_maker_free)

/* All continuity counters begin anew, as after a restart. */
void kr_ts_maker_restart (KrTsMaker *maker);

#define KR_TS_NO_PCR G_MAXUINT64

/* One packet with an adaptation field alone. @flags are those of the field. */
void kr_ts_make_pcr (KrTsMaker *maker, guint pid, guint64 pcr, guint8 flags);
void kr_ts_make_null (KrTsMaker *maker);
/* @programs: pairs of number and PMT PID, ended by 0, 0. */
void kr_ts_make_pat (KrTsMaker *maker, guint version, const guint *programs);
/* @streams: pairs of stream type and PID, ended by 0, 0. @filler: bytes of a private descriptor
 * in front of them, to make the section longer. */
void kr_ts_make_pmt (KrTsMaker *maker, guint pid, guint program, guint version, guint pcr_pid,
                     const guint *streams, guint filler);
/* @dts may be equal to @pts: then it is left out. @pcr may be KR_TS_NO_PCR. @scrambling goes
 * into transport_scrambling_control. */
void kr_ts_make_pes (KrTsMaker *maker, guint pid, guint8 stream_id, guint64 pts, guint64 dts,
                     guint64 pcr, guint8 flags, guint scrambling, const guint8 *payload,
                     gsize size);

/* Two seconds of a camera are 50 frames. Zeros are defaults. */
typedef struct {
  guint program;           /* 1 */
  guint pmt_pid;           /* 0x1000 */
  guint video_pid;         /* 0x100 */
  guint audio_pid;         /* 0x101 */
  guint pcr_pid;           /* video_pid; another one gets packets of its own */
  guint announced_pcr_pid; /* pcr_pid */
  guint64 start;           /* DTS of the first frame, 90 kHz; 90000 */
  guint frames;            /* at 25 per second */
  guint gop;               /* 25 */
  guint lead;              /* DTS - PCR, 90 kHz; 18000 */
  guint version;           /* of PAT and PMT */
  guint pmt_filler;
  guint scrambling;
  guint splice_pid; /* SCTE 35, one section with pts_adjustment 0 at the tenth frame */
  gboolean no_tables;
  gboolean no_audio;
  gboolean nulls;
  guint frame_size; /* 1500 */
} KrTsSession;

/* H.264 with access unit delimiters, DTS and PTS, and MPEG audio of 24 ms per PES packet; PAT
 * and PMT every 80 ms, the PCR every 40 ms. */
void kr_ts_make_session (KrTsMaker *maker, const KrTsSession *session);

/* Moves stamps from packet @from on by @ticks, without a break of any counter. */
void kr_ts_shift_stamps (GByteArray *bytes, guint from, guint upto, gint64 ticks, gboolean pcr,
                         gboolean stamps);

/* What an independent reader finds. */
typedef struct {
  guint packets, pats, pmts, pmt_changes, pcrs;
  guint cc_errors;
  guint pcr_back, pcr_steps; /* backwards; above 100 ms without discontinuity_indicator */
  guint stray_pcrs;          /* on a PID that the PMT before it does not name */
  guint signalled;           /* PCRs with discontinuity_indicator */
  guint dts_back;
  guint late;                /* DTS before the PCR */
  guint video, audio;        /* PES packets */
  gint64 skew_min, skew_max; /* audio - video DTS at the same place, 90 kHz */
  guint64 first_pcr, last_pcr;
  gint64 duration;   /* 27 MHz, unwrapped sum of steps */
  gint64 video_span; /* 90 kHz, last - first DTS */
  guint first_pmt_video, last_pmt_video;
} KrTsFound;

void kr_ts_read_back (const guint8 *data, gsize size, KrTsFound *found);

G_END_DECLS
