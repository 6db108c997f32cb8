/* keeprolling - does the recording really grow?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * KrGrowth:
 *
 * Judges a recording from samples taken at regular intervals: how many bytes came in, how large
 * the file is, whether it is still the same file, how many keyframes passed. It has no clock,
 * no file and no thread of its own: the caller takes the samples and hands in the time, so that
 * every verdict can be tested with a fake clock.
 *
 * Times are nanoseconds of any clock that never goes back; sizes are bytes. None of these
 * functions allocates, blocks or locks; the caller serialises the calls.
 */

/* For a timeout: never. For the minimum rate: none. */
#define KR_GROWTH_OFF 0

typedef struct {
  guint64 interval_ns;        /* how often a sample is due */
  guint64 stall_timeout_ns;   /* without progress, once there was some; 0 = off */
  guint64 startup_timeout_ns; /* without any progress since the start; 0 = as stall_timeout */
  guint64 window_ns; /* over which min_rate is judged; stall_timeout if that is longer */
  guint64 min_rate;  /* bytes per second; 0 = off */
  guint64 max_keyframe_interval_ns; /* 0 = off */
} KrGrowthConfig;

typedef enum {
  KR_GROWTH_FILE_UNWATCHED, /* there is no file: the bytes that came in are the progress */
  KR_GROWTH_FILE_ABSENT,    /* the path leads to nothing */
  KR_GROWTH_FILE_PRESENT,
} KrGrowthFile;

/* What the caller saw at one moment. Counters only ever grow. */
typedef struct {
  guint64 bytes_in;
  guint64 keyframes;
  gboolean blocked; /* the sink has been holding one buffer since the last sample */

  KrGrowthFile file;
  guint64 file_device, file_inode; /* of the file that the path leads to */
  guint64 file_bytes;              /* its size */
  /* The writer's own count of the files it has opened. Another file under another generation
   * is a rotation; another file under the same generation was put there by somebody else. */
  guint64 generation;
  guint64 finished_bytes; /* sum of the files that the writer has finished; may come late */
} KrGrowthSample;

typedef enum {
  KR_GROWTH_WAITING, /* nothing has grown since the start, and it is too early to complain */
  KR_GROWTH_GROWING,
  KR_GROWTH_STALLED,
  KR_N_GROWTH_STATES
} KrGrowthState;

typedef enum {
  KR_GROWTH_NO_FAULT,
  KR_GROWTH_NO_INPUT,       /* nothing comes in */
  KR_GROWTH_NO_GROWTH,      /* it comes in, but does not reach the file */
  KR_GROWTH_BELOW_MIN_RATE, /* it grows, but too slowly */
  KR_GROWTH_NO_KEYFRAME,    /* it grows, but cannot be decoded from here */
  KR_GROWTH_FILE_REPLACED,  /* the path leads to a file that is not ours */
  KR_GROWTH_FILE_UNLINKED,  /* the path leads nowhere any more */
  KR_N_GROWTH_FAULTS
} KrGrowthFault;

typedef enum {
  KR_GROWTH_EVENT_NONE,
  KR_GROWTH_EVENT_STALLED,   /* a stall began, or goes on for another reason */
  KR_GROWTH_EVENT_RECOVERED, /* the stall is over */
} KrGrowthEvent;

typedef struct {
  KrGrowthState state;
  KrGrowthEvent event;
  /* Of the stall under way, or of the one that this event ends. */
  KrGrowthFault fault;
  guint64 age_ns;          /* since the last progress; since the start while waiting */
  guint64 keyframe_age_ns; /* since the last keyframe, or the start */
  /* Of a stall under way or just ended: since the last progress of the kind that is missing
   * (bytes; a keyframe; a rate in order). */
  guint64 outage_ns;
  guint64 rate; /* bytes per second over the window, or what there is of it */
} KrGrowthVerdict;

#define KR_GROWTH_N_POINTS 64

/* Private; here so that it can be part of another struct. */
typedef struct {
  guint64 time_ns;
  guint64 bytes;
} KrGrowthPoint;

typedef struct {
  KrGrowthState state;
  KrGrowthFault fault;
  gboolean paused, finished, overslept;

  guint64 started_ns, stepped_ns, paused_ns;
  guint64 input_ns;         /* the last sample that saw input */
  guint64 progress_ns;      /* the last sample that saw progress */
  guint64 pending_ns;       /* the first sample with input that is not in the file yet */
  guint64 keyframe_ns;      /* the last sample that saw a keyframe */
  guint64 keyframe_from_ns; /* from when on the next keyframe is awaited */
  guint64 rate_good_ns;     /* the last sample with the rate in order */
  guint64 outage_from_ns;
  guint64 awake_ns; /* the sample that came so late; with `overslept` */
  gboolean progressed, pending;

  KrGrowthSample last;
  gboolean file_known; /* in this generation */
  guint64 known_device, known_inode;
  guint64 carried;      /* total of the generations before */
  guint64 total;        /* as of the last sample */
  guint64 grown;        /* sum of all progress */
  guint64 grown_before; /* ...as of the last sample */

  KrGrowthPoint points[KR_GROWTH_N_POINTS]; /* ring: `grown` over the window */
  guint first_point, n_points;
} KrGrowth;

/* Begins at @now with @baseline: what is there already is not progress. The file's identity is
 * learned from the first sample of each generation in which it is present. */
void kr_growth_start (KrGrowth *growth, const KrGrowthSample *baseline, guint64 now);

/**
 * kr_growth_step:
 * @growth: a started monitor
 * @config: the limits that hold now; they may change from step to step
 * @sample: what was seen at @now
 * @now: the time of @sample, not before that of the step before
 *
 * Takes one sample and judges it. While paused or finished nothing is judged. A sample that
 * comes far too late proves that the process itself stood still (stopped, swapped out, the
 * machine suspended): a stall is then declared an interval later at the earliest, because the
 * data had no chance to arrive either.
 *
 * Returns: the verdict; its event is set at most once per change
 */
KrGrowthVerdict kr_growth_step (KrGrowth *growth, const KrGrowthConfig *config,
                                const KrGrowthSample *sample, guint64 now);

/* The time until kr_growth_resume() counts as no time at all: neither towards a timeout nor in
 * an age. Pausing twice, and resuming what is not paused, does nothing. */
void kr_growth_pause (KrGrowth *growth, guint64 now);
void kr_growth_resume (KrGrowth *growth, guint64 now);

/* The stream has ended: no stall any more, whatever the file does. */
void kr_growth_finish (KrGrowth *growth);
/* Data flows again after the end (a seek, another stream): as at the start, with the grace of
 * the start, but a stall under way at the end is forgotten. */
void kr_growth_continue (KrGrowth *growth, guint64 now);

/* "waiting", "growing", "stalled" */
const char *kr_growth_state_name (KrGrowthState state);
/* One of KR_STALL_* of messages.h; NULL for KR_GROWTH_NO_FAULT. */
const char *kr_growth_fault_name (KrGrowthFault fault);

G_END_DECLS
