/* keeprolling - one pipeline file and its workers: what its parts share
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

#include "launcher/app/supervised.h"
#include "launcher/app/worker-process.h"
#include "launcher/core/gap-meter.h"
#include "launcher/core/supervisor.h"

/* How long what was seen of a worker's writing counts. */
#define KR_WRITING_US (5 * G_TIME_SPAN_SECOND)
/* Places that a worker's temporary files are looked for in: the open ones and a few before. */
#define KR_MAX_OPEN_FILES 64

typedef struct {
  KrSupervised *owner;
  guint serial;
  KrWorkerProcess *process;
  char *instance;
  char *version;
  gint64 started; /* monotonic */
  gint64 started_utc_us;
  gint64 heartbeat;   /* monotonic, of the last report; 0 = none */
  GPtrArray *reports; /* of KrPipelineReport: its last word */
  guint64 reported_rss;
  gint64 io_age_us;
  KrProcessUsage usage;
  guint fds;
  gboolean ready;    /* the machine knows */
  gboolean *wanted;  /* pipelines that must record before it is ready, by index; NULL = any */
  guint64 progress;  /* bytes and buffers, by its reports */
  guint64 measured;  /* bytes, by looking at its files */
  gint64 wrote_at;   /* monotonic, when one of the two last grew; 0 = never */
  GQueue open_files; /* of char*: final names of what it opened last */
  guint garbled;
} KrWorker;

struct _KrSupervised {
  KrPipelineFile *file;
  char *text;
  GHashTable *set;
  const KrSupervisedCallbacks *callbacks;
  gpointer data;

  KrSupervisor machine;
  GPtrArray *workers;     /* of KrWorker */
  GPtrArray *before;      /* of KrPipelineReport: counters of the workers that are gone */
  KrHealthReport *health; /* per pipeline, the last judgement */
  GPtrArray *gaps;        /* of KrGapMeter, per pipeline */
  gint64 next_leftovers;  /* monotonic: when to look for them again; G_MAXINT64 = looking */
  guint leftovers;
  gint64 leftover_oldest_utc_us;
  KrHealthVerdict verdict;
  KrDestinationProbe destination;
  gint64 next_verdict; /* monotonic */
  guint deadline_id;
  guint rescues;        /* under way */
  guint measuring;      /* serial of the worker whose files are being looked at, 0 = none */
  gboolean had_to_kill; /* while stopping */
  GCancellable *cancellable;

  char *last_reason;
  double last_recovery_s;
};

/* worker */
KrWorker *kr_worker_new (KrSupervised *owner, guint serial);
void kr_worker_free (KrWorker *worker);
const KrPipelineReport *kr_worker_find_report (const KrWorker *worker, const char *pipeline);
/* Takes over what a report says; sees whether it writes. */
void kr_worker_take_report (KrWorker *worker, const KrWorkerMessage *message, gint64 now);
void kr_worker_note_open_file (KrWorker *worker, const char *path);
/* Names under which its unfinished files may lie (transfer full). */
GPtrArray *kr_worker_temp_paths (const KrWorker *worker);
gboolean kr_worker_is_writing (const KrWorker *worker, gint64 now);
/* What @pipeline does in it: data flows, and a recording grows where that is watched. */
gboolean kr_worker_records (const KrWorker *worker, const char *pipeline);
/* That, and it is past the first keyframe. */
gboolean kr_worker_records_well (const KrWorker *worker, const char *pipeline);
KrWorkerSnapshot *kr_worker_take_snapshot (const KrWorker *worker, KrWorkerRole role,
                                           gint64 now);
