/* keeprolling - when and whether a pipeline is started again
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/pipeline-file.h"

G_BEGIN_DECLS

/* Whose fault it was. It decides whether a restart counts and how long to wait. */
typedef enum {
  KR_CAUSE_SOURCE,   /* the outside does not deliver: never counted, never given up */
  KR_CAUSE_PIPELINE, /* something in the pipeline broke: counted against the start limit */
  KR_CAUSE_CONFIG,   /* the pipeline file asks for what cannot be: three times, then stop */
  KR_CAUSE_DISK,     /* no room: hold and try again, never counted */
  KR_CAUSE_EOS,      /* the stream ended by itself: no fault, but Restart=always goes on */
  KR_N_CAUSES
} KrCause;

/* "source" etc.: the words of logs, events and metrics. */
const char *kr_cause_name (KrCause cause);

typedef enum {
  KR_VERDICT_RESTART, /* after a delay, 0 = at once */
  KR_VERDICT_STOP,    /* Restart= says that this is the end */
  KR_VERDICT_FAIL,    /* the limit is reached: the next layer's turn */
} KrVerdict;

/* Uniformly distributed in [0, 1). */
typedef double (*KrRandomFunc) (gpointer data);

/* Longest wait before another try at a source, whatever RestartMaxSec says. */
#define KR_SOURCE_BACKOFF_MAX_US (30 * G_TIME_SPAN_SECOND)
/* Health for this long makes the next failure a first one again. */
#define KR_HEALTH_RESET_US (60 * G_TIME_SPAN_SECOND)
/* Configuration errors in a row that end the attempts. */
#define KR_CONFIG_ATTEMPTS 3
/* Between two tries while the disk is full. */
#define KR_DISK_HOLD_US (5 * G_TIME_SPAN_SECOND)
/* What StartLimitBurst can be at most: the moments of the last restarts are remembered. */
#define KR_START_LIMIT_BURST_MAX 1000

typedef struct {
  KrRestart mode;
  gint64 restart_us;
  gint64 restart_max_us;
  guint burst;        /* 0 = no limit */
  gint64 interval_us; /* 0 = no limit */
} KrRestartLimits;

/* Owned by one caller; not thread-safe. */
typedef struct {
  KrRestartLimits limits;
  KrRandomFunc random;
  gpointer random_data;
  guint attempt;         /* restarts since health, sources and disks apart */
  guint source_attempt;  /* the same for sources */
  guint config_failures; /* in a row */
  gint64 healthy_since;  /* G_MININT64 = not healthy */
  gint64 *recent;        /* ring of the last limits.burst counted faults */
  guint n_recent;
  guint next_recent;
} KrRestartPolicy;

void kr_restart_limits_from_spec (KrRestartLimits *limits, const KrPipelineSpec *spec);

/**
 * kr_restart_policy_init:
 * @policy: memory to fill
 * @limits: copied
 * @random: (scope notified): where jitter comes from; called from kr_restart_policy_fault()
 * @data: for @random
 */
void kr_restart_policy_init (KrRestartPolicy *policy, const KrRestartLimits *limits,
                             KrRandomFunc random, gpointer data);
void kr_restart_policy_clear (KrRestartPolicy *policy);

/* Forgets all that has happened: somebody has asked for a fresh start. */
void kr_restart_policy_reset (KrRestartPolicy *policy);

/* The pipeline runs since @now. Calling it again while it runs changes nothing. */
void kr_restart_policy_healthy (KrRestartPolicy *policy, gint64 now);

/**
 * kr_restart_policy_fault:
 * @policy: a policy
 * @cause: why the pipeline has ended
 * @now: monotonic microseconds
 * @ret_delay_us: (out): time to wait from @now on; 0 unless the verdict is KR_VERDICT_RESTART
 *
 * The first restart comes at once, the following ones after random(0, min (RestartMaxSec,
 * RestartSec * 2^n)), the "full jitter" of Brooker, "Exponential Backoff And Jitter" (2015):
 * twenty cameras behind one broken switch do not come back in step.
 *
 * Returns: what to do
 */
KrVerdict kr_restart_policy_fault (KrRestartPolicy *policy, KrCause cause, gint64 now,
                                   gint64 *ret_delay_us);

/* min (@max_us, @base_us * 2^@n) without overflow. */
gint64 kr_backoff_ceiling (gint64 base_us, gint64 max_us, guint n);

G_END_DECLS
