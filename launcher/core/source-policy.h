/* keeprolling - when a live source is opened again
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/restart-policy.h"

G_BEGIN_DECLS

/* One live source of a running pipeline: what it does, and when it is closed and opened again
 * while everything behind it keeps running. */
typedef enum {
  KR_SOURCE_WAITING, /* open; nothing has come since it was opened */
  KR_SOURCE_FLOWING, /* data comes */
  KR_SOURCE_OPENING, /* being closed and opened right now */
  KR_SOURCE_CLOSED,  /* could not be opened; waits for the next try */
  KR_N_SOURCE_STATES
} KrSourceState;

const char *kr_source_state_name (KrSourceState state);

/* What the engine knows about the kind of element. */
typedef enum {
  /* Opened once, it connects by itself whenever the other side is there, as srtsrc and udpsrc
   * do. Opening it again meanwhile is not only useless: it can cut the very connection that has
   * just been accepted, and a one-shot peer such as ffmpeg in listener mode then ends. */
  KR_SOURCE_PATIENT = 1 << 0,
  /* It has no connection that could be opened again: relaysrc, generators. Its silence is an
   * outage all the same. */
  KR_SOURCE_IMMUNE = 1 << 1,
} KrSourceTraits;

typedef enum {
  KR_SOURCE_NOTHING,
  KR_SOURCE_REOPEN,   /* close it and open it again, off the main thread */
  KR_SOURCE_ESCALATE, /* reopening does not help: the pipeline is at fault */
} KrSourceAction;

/* A source that has opened but says nothing is tried again after this long, then after double
 * the time, up to KR_SOURCE_BACKOFF_MAX_US: an RTSP camera may need seconds to its first byte.
 */
#define KR_SOURCE_PATIENCE_US (10 * G_TIME_SPAN_SECOND)
/* Shortest wait after a failed opening. */
#define KR_SOURCE_RETRY_US (500 * G_TIME_SPAN_MILLISECOND)
/* That many errors with data between them within KR_SOURCE_FLAP_WINDOW_US come from behind the
 * source, not from in front of it. */
#define KR_SOURCE_FLAPS          8
#define KR_SOURCE_FLAP_WINDOW_US (10 * G_TIME_SPAN_SECOND)

/* Owned by one caller; not thread-safe. Moments are monotonic microseconds. */
typedef struct {
  KrSourceState state;
  KrSourceTraits traits;
  gint64 timeout_us; /* SourceTimeoutSec; 0 = silence is no fault */
  KrRandomFunc random;
  gpointer random_data;
  gint64 last_data; /* or the moment it was first opened */
  gint64 since;     /* of the state */
  gint64 next; /* when kr_source_policy_tick() may have something to do; G_MAXINT64 = not */
  gboolean overslept;   /* the last look came far too late: what is there had no time to come */
  gboolean was_blocked; /* at the last look, and has sent nothing since */
  gint64 outage_from;   /* of the present outage; G_MININT64 = none */
  guint tries;          /* openings in the present outage */
  guint64 seen;         /* buffers at the last look */
  gint64 flaps[KR_SOURCE_FLAPS];
  guint next_flap;
} KrSourcePolicy;

void kr_source_policy_init (KrSourcePolicy *policy, KrSourceTraits traits, gint64 timeout_us,
                            KrRandomFunc random, gpointer data, gint64 now);

/* It starts out closed: the pipeline was started without it. */
void kr_source_policy_start_closed (KrSourcePolicy *policy, gint64 now);

/**
 * kr_source_policy_tick:
 * @policy: a policy
 * @buffers: how many buffers the source has delivered so far
 * @last_data: when the last of them came
 * @blocked: the last buffer has not come back yet: whoever is behind the source holds it up
 * @now: the moment
 * @ret_back: (out): TRUE if data flows again after an outage
 *
 * Looks at one source. Call it at policy->next at the latest; earlier does no harm.
 */
KrSourceAction kr_source_policy_tick (KrSourcePolicy *policy, guint64 buffers, gint64 last_data,
                                      gboolean blocked, gint64 now, gboolean *ret_back);

/* It has ended or posted an error: its streaming thread has stopped. */
KrSourceAction kr_source_policy_ended (KrSourcePolicy *policy, gint64 now);

/* The opening asked for by KR_SOURCE_REOPEN is done. If it failed, the source is closed now. */
void kr_source_policy_reopened (KrSourcePolicy *policy, gboolean success, gint64 now);

/* How long the present outage has lasted, 0 if there is none. */
gint64 kr_source_policy_outage (const KrSourcePolicy *policy, gint64 now);

/* Whether @to may follow @from. */
gboolean kr_source_state_may_follow (KrSourceState from, KrSourceState to);

G_END_DECLS
