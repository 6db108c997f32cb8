/* keeprolling - runs one pipeline and keeps it running
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "launcher/core/pipeline-file.h"
#include "launcher/core/report.h"
#include "launcher/core/restart-policy.h"
#include "launcher/core/worker-event.h"

G_BEGIN_DECLS

/* Layer 1 of supervision. core/pipeline-policy decides, this carries out: it builds the
 * pipeline from its text, watches its bus and its sources, and tears it down. Every call that
 * an element could make block runs in a thread of its own with a deadline; what hangs is left
 * behind.
 *
 * All functions belong to the main thread; callbacks come from its main context. */
typedef struct _KrPipelineRunner KrPipelineRunner;

typedef struct {
  /* Something happened. @text is one line that may hold secrets: redact it before it leaves the
   * process. @details: (nullable): a floating a{sv}, to be sunk or ignored. */
  void (*event) (KrPipelineRunner *runner, KrWorkerEventKind kind, const char *text,
                 GVariant *details, gpointer data);
  /* The state is another one now. The runner may not be freed in here. */
  void (*state_changed) (KrPipelineRunner *runner, KrPipelineState state, gpointer data);
} KrPipelineRunnerCallbacks;

/**
 * kr_pipeline_runner_new:
 * @spec: (transfer none): must outlive the runner
 * @clock: what all pipelines of the process run by, so that buffers can go from one to another
 * @callbacks: static
 * @data: for the callbacks
 */
KrPipelineRunner *kr_pipeline_runner_new (const KrPipelineSpec *spec, GstClock *clock,
                                          const KrPipelineRunnerCallbacks *callbacks,
                                          gpointer data);

/* A pipeline that still runs is left to a thread that tears it down. */
void kr_pipeline_runner_free (KrPipelineRunner *runner);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrPipelineRunner, kr_pipeline_runner_free)

void kr_pipeline_runner_start (KrPipelineRunner *runner);
/* EOS, so that files are finished, within TimeoutStopSec. */
void kr_pipeline_runner_stop (KrPipelineRunner *runner);
/* Without EOS, at once; what cannot be finished keeps its temporary name. */
void kr_pipeline_runner_force (KrPipelineRunner *runner);

KrPipelineState kr_pipeline_runner_get_state (KrPipelineRunner *runner);
const char *kr_pipeline_runner_get_name (KrPipelineRunner *runner);
/* Of the last fault; KR_N_CAUSES if there was none. */
KrCause kr_pipeline_runner_get_cause (KrPipelineRunner *runner);

/* Returns: (transfer full): a snapshot of this moment */
KrPipelineReport *kr_pipeline_runner_report (KrPipelineRunner *runner);

/* Microseconds since the slowest I/O thread made progress; -1 if there is nothing to do. */
gint64 kr_pipeline_runner_get_io_age (KrPipelineRunner *runner);

G_END_DECLS
