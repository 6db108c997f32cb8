/* keeprolling - everything the supervisor knows, at one moment
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/gap-meter.h"
#include "launcher/core/handover.h"
#include "launcher/core/health.h"
#include "launcher/core/report.h"
#include "launcher/core/supervisor.h"
#include "plugins/common/histogram.h"

G_BEGIN_DECLS

/* Plain data, made each second and on every change, never changed afterwards: whoever holds a
 * reference may read it from any thread. Moments are UTC microseconds, 0 = never. Texts are
 * free of secrets. */

/* Who repaired: layer 1 in the worker, or layer 2. */
typedef enum { KR_LAYER_PIPELINE, KR_LAYER_WATCHDOG, KR_N_LAYERS } KrLayer;

/* "pipeline", "watchdog": the words of metrics and status. */
const char *kr_layer_name (KrLayer layer);

/* One entry of the history. */
typedef struct {
  gint64 utc_us;
  KrLayer layer;
  char *file;
  char *pipeline; /* "" = the whole worker */
  char *kind;     /* "crash", "hang", "unhealthy", "restart", "reconnect", "gave-up"... */
  char *reason;
  double seconds; /* from the fault to recording again; < 0 = not yet, or not at all */
} KrRecovery;

/* How many the history keeps; the oldest go first. */
#define KR_HISTORY_MAX 256

/* One process. */
typedef struct {
  guint serial;
  gint64 pid;
  char *instance;
  char *version;
  KrWorkerRole role;
  gboolean ready; /* it records */
  gint64 started_utc_us;
  double heartbeat_age_s; /* < 0 = not known */
  guint64 rss;            /* bytes, 0 = not known */
  double cpu_s;           /* user and system, < 0 = not known */
  guint open_fds;         /* 0 = not known */
} KrWorkerSnapshot;

typedef struct {
  KrPipelineReport *report; /* of the current worker; counters go on over its replacements */
  KrHealthReport health;
  KrGapTotal gaps[KR_N_GAP_CAUSES]; /* since the supervisor started, by cause */
  KrGapTotal gaps_24h;
  double overlap_s;        /* in which two workers recorded it, since the supervisor started */
  gint64 gap_since_utc_us; /* nothing is recorded since then; 0 = it is */
  gboolean unproven; /* it has only just begun to play, and no growth monitor tells more */
} KrPipelineSnapshot;

/* The handovers of a file. */
typedef struct {
  KrHandoverStage stage; /* NONE = none is under way */
  gint64 begun_utc_us;   /* that one; 0 = none */
  guint64 counts[KR_N_HANDOVER_RESULTS];
  gint64 last_utc_us; /* when the last one ended; 0 = there was none */
  KrHandoverResult last_result;
  char *last_text;
  double last_overlap_s; /* both recorded for so long, in the last that was completed; < 0 =
                            there was none */
} KrHandoverSnapshot;

typedef struct {
  char *path;
  char *name;
  KrSupervisorState state;
  gint64 since_utc_us;      /* of the state */
  gint64 next_start_utc_us; /* 0 unless in back-off */
  int exit_code;            /* of a worker that ended for good; 0 */
  gboolean is_final;        /* ended, and its files are finished as far as they can be */
  gboolean killed;          /* the last stop had to kill a worker */
  guint consecutive_bad;    /* verdicts */
  guint threshold;
  KrHealthVerdict verdict;
  guint64 crashes;        /* of workers, hangs included */
  guint64 replacements;   /* by the watchdog */
  char *last_reason;      /* of the last crash or replacement; "" = none */
  double last_recovery_s; /* layer 2; < 0 = never */
  guint leftovers;        /* unfinished files that nobody holds, where it records */
  gint64 leftover_oldest_utc_us;
  KrHandoverSnapshot handovers;
  GPtrArray *workers;   /* of KrWorkerSnapshot; the current one first */
  GPtrArray *pipelines; /* of KrPipelineSnapshot, in the order of the file */
} KrFileSnapshot;

typedef struct {
  gint ref_count;
  gint64 taken_utc_us;
  gint64 started_utc_us; /* the supervisor */
  char *version;
  char *instance; /* of the supervisor */
  gboolean stopping;
  gboolean ready;     /* every configured pipeline records */
  gboolean recording; /* at least one does, and there is proof of it */
  KrHealth status;
  gint64 status_since_utc_us;
  GPtrArray *files;                    /* of KrFileSnapshot, in the order of the command line */
  GPtrArray *history;                  /* of KrRecovery, the newest last */
  KrHistogram recoveries[KR_N_LAYERS]; /* their lengths, of all there ever were */
} KrSnapshot;

KrWorkerSnapshot *kr_worker_snapshot_new (void);
void kr_worker_snapshot_free (KrWorkerSnapshot *worker);
/* Takes over @report. */
KrPipelineSnapshot *kr_pipeline_snapshot_new (KrPipelineReport *report);
void kr_pipeline_snapshot_free (KrPipelineSnapshot *pipeline);
KrFileSnapshot *kr_file_snapshot_new (const char *path, const char *name);
void kr_file_snapshot_free (KrFileSnapshot *file);
KrRecovery *kr_recovery_new (gint64 utc_us, KrLayer layer, const char *file,
                             const char *pipeline, const char *kind, const char *reason,
                             double seconds);
/* Whether it tells of a fault, and not of somebody's wish. */
gboolean kr_recovery_is_fault (const KrRecovery *recovery);
KrRecovery *kr_recovery_copy (const KrRecovery *recovery);
void kr_recovery_free (KrRecovery *recovery);

/* Whether a pipeline does its work: data flows, and a recording grows where that is watched. */
gboolean kr_snapshot_pipeline_records (const KrFileSnapshot *file,
                                       const KrPipelineSnapshot *pipeline);

/* An empty one, with one reference. */
KrSnapshot *kr_snapshot_new (void);
KrSnapshot *kr_snapshot_ref (KrSnapshot *snapshot);
void kr_snapshot_unref (KrSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrSnapshot, kr_snapshot_unref)

/**
 * kr_snapshot_finish:
 * @snapshot: one whose files are filled in
 * @before: (nullable): the one before it, for status-since
 *
 * Works out ready, recording, status and since when.
 */
void kr_snapshot_finish (KrSnapshot *snapshot, const KrSnapshot *before);

G_END_DECLS
