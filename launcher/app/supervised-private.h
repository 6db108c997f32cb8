/* keeprolling - one pipeline file and its workers: what its parts share
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

#include "launcher/app/supervised.h"
#include "launcher/app/worker-process.h"
#include "launcher/core/gap-meter.h"
#include "launcher/core/handover.h"
#include "launcher/core/steadiness.h"
#include "launcher/core/supervisor.h"

/* How long what was seen of a worker's writing counts, at most. */
#define KR_WRITING_US (5 * G_TIME_SPAN_SECOND)
/* On a processor: long enough for a report, by far. */
#define KR_TIME_TO_SPEAK_US (500 * G_TIME_SPAN_MILLISECOND)
/* Places that a worker's temporary files are looked for in: the open ones and a few before. */
#define KR_MAX_OPEN_FILES 64

typedef struct {
  KrSupervised *owner;
  guint serial;
  KrLoadedFile *loaded; /* what it runs */
  KrWorkerProcess *process;
  char *instance;
  char *version;
  gint64 started; /* monotonic */
  gint64 started_utc_us;
  gint64 heartbeat;   /* monotonic, of the last report; 0 = none */
  GPtrArray *reports; /* of KrPipelineReport: its last word */
  guint64 reported_rss;
  gint64 io_age_us;
  KrProcessTime time; /* as of the last report */
  KrProcessUsage usage;
  guint fds;
  gboolean ready;   /* the machine knows */
  gboolean *wanted; /* pipelines that must record before it is ready, by index in its file;
                       NULL = any */
  KrSteadiness *steadiness; /* of the pipelines, by index in its file */
  guint64 progress;         /* bytes and buffers, by its reports */
  guint64 measured;         /* bytes, by looking at its files */
  gint64 wrote_at;          /* monotonic, when one of the two last grew; 0 = never */
  GQueue open_files;        /* of char*: final names of what it opened last */
  guint garbled;
  gint64 first_segment_utc_us; /* when the first file was opened; 0 = not yet */
} KrWorker;

/* What a pipeline did when a handover began. */
typedef struct {
  char *name;
  gboolean recorded;
  gboolean had_keyframes;
} KrPredecessor;

struct _KrSupervised {
  KrLoadedFile *loaded;       /* what current runs, or ran last */
  const KrPipelineFile *file; /* its file */
  const KrSupervisedCallbacks *callbacks;
  gpointer data;

  KrSupervisor machine;
  GPtrArray *workers;     /* of KrWorker */
  GPtrArray *before;      /* of KrPipelineReport: counters of the workers that are gone */
  KrHealthReport *health; /* per pipeline, the last judgement */
  GPtrArray *gaps;        /* of KrGapMeter, per pipeline */
  gint64 utc_offset;      /* of the wall clock to the monotonic one, as the meters know it */
  gint64 next_leftovers;  /* monotonic: when to look for them again; G_MAXINT64 = looking */
  guint leftovers;
  gint64 leftover_oldest_utc_us;
  KrHealthVerdict verdict;
  KrDestinationProbe destination;
  guint deadline_id;
  guint look_id; /* more often than the tick of each second; 0 = no need */
  guint look_ms;
  guint rescues;        /* under way */
  guint measuring;      /* serial of the worker whose files are being looked at, 0 = none */
  gboolean had_to_kill; /* while stopping */
  GCancellable *cancellable;

  char *last_reason;
  double last_recovery_s;

  KrHandover handover;
  KrLoadedFile *next_loaded; /* what the new worker runs until it is current */
  GArray *predecessors;      /* of KrPredecessor */
  char *handover_cause;      /* "the file has changed" */
  char *handover_lacks;      /* what the new worker lacks; "" = not known */
  char *handover_failure;    /* why it did not take over; "" = not known */
  gint64 old_recorded_until_utc_us;
  guint handover_id;            /* its first step is due */
  KrHandoverSnapshot handovers; /* what people see of them */
};

/* Feeds the machine and carries out what it decides. */
void kr_supervised_send (KrSupervised *s, const KrSupervisorEvent *event);
KrWorker *kr_supervised_find_worker (const KrSupervised *s, guint serial);
/* Tells the owner, free of secrets. */
void kr_supervised_happened (KrSupervised *s, KrLayer layer, const char *pipeline,
                             const char *kind, const char *text, double seconds,
                             GVariant *details);
/* Takes over what @loaded says about the pipelines; the figures of those that stay go on. */
void kr_supervised_adopt (KrSupervised *s, KrLoadedFile *loaded);

/* handover */

/* What a worker that is started now has to run. */
KrLoadedFile *kr_supervised_loaded_for_next (const KrSupervised *s);
/* Looks where the handover stands, after events and each second. Not from within an action. */
void kr_supervised_step_handover (KrSupervised *s);
/* Whether the new one lacks nothing but its source. */
gboolean kr_supervised_next_waits (const KrSupervised *s);
/* The machine says that next does not take over. */
void kr_supervised_note_failed_handover (KrSupervised *s, const char *reason);
/* Somebody stops the file. */
void kr_supervised_give_up_handover (KrSupervised *s);
/* @worker is gone. */
void kr_supervised_note_end_of_old (KrSupervised *s, const KrWorker *worker);
void kr_supervised_clear_handover (KrSupervised *s);
void kr_predecessor_clear (gpointer predecessor);

/* Of a worker's process; shared by those who make one. */
extern const KrWorkerProcessCallbacks kr_supervised_process_callbacks;

/* parts of it: alerts, gaps, files */
char *kr_supervised_alert_text (const KrSupervised *s, const KrSupervisorAction *action);
GLogLevelFlags kr_supervised_alert_level (KrAlert alert);
KrPipelineReport *kr_supervised_merge_reports (const KrSupervised *s, const KrWorker *current,
                                               const KrPipelineReport *before);
const KrWorker *kr_supervised_find_speaker (const KrSupervised *s, gint64 now);
void kr_supervised_measure_gaps (KrSupervised *s, const KrWorker *speaker);
void kr_supervised_measure_silence (KrSupervised *s, gint64 now);
void kr_supervised_measure_overlaps (KrSupervised *s, gint64 now);
void kr_supervised_rescue_files (KrSupervised *s, const KrWorker *worker);
void kr_supervised_measure_silent_worker (KrSupervised *s, const KrWorker *worker, gint64 now);
void kr_supervised_look_for_leftovers (KrSupervised *s, gint64 now);

/* worker */
/* Takes a reference of @loaded. */
KrWorker *kr_worker_new (KrSupervised *owner, guint serial, KrLoadedFile *loaded);
void kr_worker_free (KrWorker *worker);
const KrPipelineReport *kr_worker_find_report (const KrWorker *worker, const char *pipeline);
/* Takes over what a report says; sees whether it writes. */
void kr_worker_take_report (KrWorker *worker, const KrWorkerMessage *message, gint64 now);
void kr_worker_note_open_file (KrWorker *worker, const char *path);
/* Names under which its unfinished files may lie (transfer full). */
GPtrArray *kr_worker_temp_paths (const KrWorker *worker);
gboolean kr_worker_is_writing (const KrWorker *worker, gint64 now);
/* Of the time since its last report: wanting to run, and not being let. In microseconds. */
gint64 kr_worker_get_starved (const KrWorker *worker);
/* Whether a report is overdue; @now is monotonic. */
gboolean kr_worker_is_silent (const KrWorker *worker, gint64 now);
/* What @pipeline does in it: data flows, and a recording grows where that is watched. */
gboolean kr_worker_records (const KrWorker *worker, const char *pipeline);
/* That, and it is past the first keyframe. */
gboolean kr_worker_records_well (const KrWorker *worker, const char *pipeline);
/* Whether that is more than the word of a pipeline that nobody watches and that has only just
 * begun to play. @i: its index in the file */
gboolean kr_worker_has_proof (const KrWorker *worker, guint i, const KrPipelineReport *report,
                              gint64 now);
KrWorkerSnapshot *kr_worker_take_snapshot (const KrWorker *worker, KrWorkerRole role,
                                           gint64 now);
