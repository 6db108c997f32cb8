/* keeprolling - whether a recording is healthy, judged from what is known
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/pipeline-file.h"
#include "launcher/core/report.h"

G_BEGIN_DECLS

/* "Process exists" is not "stream is healthy". Two rules stand above all others:
 * - a source that is not there is never a fault of ours: it warns, it does not count;
 * - what cannot be known counts as healthy, and says so: no false alarm may kill a recording.
 */

typedef enum { KR_HEALTH_PASS, KR_HEALTH_WARN, KR_HEALTH_FAIL, KR_N_HEALTH } KrHealth;

/* "pass", "warn", "fail" */
const char *kr_health_name (KrHealth health);

typedef enum {
  KR_CHECK_STATE,       /* the state of the pipeline, and how long it has lasted */
  KR_CHECK_GROWTH,      /* the recording grows */
  KR_CHECK_KEYFRAME,    /* keyframes come */
  KR_CHECK_SYNC,        /* the disk takes it */
  KR_CHECK_DISK,        /* there is room */
  KR_CHECK_MEMORY,      /* of the worker */
  KR_CHECK_DESTINATION, /* CheckURL answers */
  KR_CHECK_HEARTBEAT,   /* the worker reports */
  KR_N_CHECKS
} KrCheckKind;

/* "growth" etc.: the members of "checks" in /health. */
const char *kr_check_name (KrCheckKind kind);

/* Plain data; a copy is a copy. */
typedef struct {
  KrHealth status;
  gboolean counts;    /* a new worker may cure it: a bad verdict */
  gboolean at_once;   /* no need to look again */
  gboolean stuck;     /* something hangs: it cannot end in good order either */
  double fault_age_s; /* since what is wrong began, 0 = since it is seen */
  double age_s;       /* < 0 = has none */
  double limit_s;     /* < 0 = has none */
  double runway_s;    /* disk; < 0 = unknown */
  guint64 bytes;      /* memory */
  int http;           /* destination; 0 = no answer */
  char reason[112];   /* "" = nothing to say; always valid UTF-8 */
} KrCheck;

typedef struct {
  KrHealth status; /* the worst of the checks */
  KrCheck checks[KR_N_CHECKS];
} KrHealthReport;

/* What the last HTTP check of the destination gave. */
typedef struct {
  gboolean done;  /* it was tried and the asking itself worked */
  int http;       /* status; 0 = nobody answers */
  double age_s;   /* since then */
  char error[64]; /* why it was not done, "" otherwise */
} KrDestinationProbe;

/* What is known about a worker as a whole. */
typedef struct {
  gint64 now_utc_us;
  gboolean in_grace;       /* within StartupGraceSec */
  gint64 heartbeat_age_us; /* since its last report, < 0 = not known */
  gint64 hang_limit_us;    /* when it, or a thread in it, counts as hung */
  gboolean has_rss;        /* else monitoring failed */
  guint64 rss;             /* bytes */
  gint64 io_age_us;        /* since its I/O threads made progress, < 0 = nothing to do */
  guint brief;             /* workers in a row that died soon after they began to record */
  gboolean storm;          /* so many that the next ones have to wait */
  KrDestinationProbe destination;
} KrWorkerSample;

/* Bounds that no pipeline file sets. */
#define KR_BRIEF_WARN         3
#define KR_GROWTH_LIMIT_US    (5 * G_TIME_SPAN_SECOND)
#define KR_KEYFRAME_LIMIT_US  (10 * G_TIME_SPAN_SECOND)
#define KR_IO_WARN_US         (10 * G_TIME_SPAN_SECOND)
#define KR_IO_FAIL_US         (30 * G_TIME_SPAN_SECOND)
#define KR_HEARTBEAT_WARN_US  (3 * G_TIME_SPAN_SECOND)
#define KR_DISK_RUNWAY_WARN_S 3600.0
/* A pipeline that is taken down after a fault is gone in no time, unless something in it hangs;
 * a quarter of hang_limit_us, but within these. */
#define KR_TEARDOWN_MIN_US (500 * G_TIME_SPAN_MILLISECOND)
#define KR_TEARDOWN_MAX_US (5 * G_TIME_SPAN_SECOND)
/* Layer 1 has its own deadlines; a state that outlives them by this much is layer 2's turn. */
#define KR_STATE_MARGIN_US (30 * G_TIME_SPAN_SECOND)

/**
 * kr_health_judge:
 * @health: the [Health] group of the file
 * @spec: (nullable): the pipeline's own limits
 * @report: (nullable): the worker's last word on the pipeline; NULL = none so far
 * @sample: the worker
 * @ret_report: (out): the result
 *
 * Judges one pipeline of a worker. The growth monitor in the worker is the one authority on
 * growth, since it alone knows the stall-timeout that the user set; the ages of a report say
 * more only as a warning, because a step of the clock makes them wrong.
 */
void kr_health_judge (const KrHealthSpec *health, const KrPipelineSpec *spec,
                      const KrPipelineReport *report, const KrWorkerSample *sample,
                      KrHealthReport *ret_report);

/* What it comes to for a whole worker. */
typedef struct {
  KrHealth status;
  gboolean bad;     /* counts towards Threshold */
  gboolean at_once; /* no need to look again: the worker itself gave up, or memory runs away */
  gboolean harmful; /* staying is worse than a gap: memory */
  gboolean stuck;   /* something in it hangs: it cannot end in good order */
  double fault_age_s; /* of the worst: since it began, 0 = since it is seen */
  char reason[160];   /* of the worst; "" unless warn or fail */
} KrHealthVerdict;

/**
 * kr_health_sum_up:
 * @reports: (array length=n_reports): the pipelines of one worker
 * @names: (array length=n_reports): their names
 * @n_reports: at least 1
 * @ret_verdict: (out): the verdict on the worker
 */
void kr_health_sum_up (const KrHealthReport *reports, const char *const *names, guint n_reports,
                       KrHealthVerdict *ret_verdict);

G_END_DECLS
