/* keeprolling - what a worker says beyond its regular reports
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What kind of thing happened in a worker. The words of the channel, the history and the
 * webhooks. */
typedef enum {
  KR_WORKER_EVENT_RESTART,       /* a pipeline is being rebuilt (layer 1) */
  KR_WORKER_EVENT_RECONNECT,     /* a silent source is being reconnected alone */
  KR_WORKER_EVENT_RECOVERED,     /* data flows again, or a leftover file got its final name */
  KR_WORKER_EVENT_STALL,         /* the recording has stopped growing */
  KR_WORKER_EVENT_SEGMENT,       /* a segment was opened or closed */
  KR_WORKER_EVENT_DISCONTINUITY, /* the timeline was repaired */
  KR_WORKER_EVENT_DISK,          /* disk full, disk back, or a failed sync */
  KR_WORKER_EVENT_FAILED,        /* a pipeline gave up: layer 2's turn */
  KR_WORKER_EVENT_STATE,         /* a pipeline went to another state */
  KR_WORKER_EVENT_WARNING,       /* an element has complained */
  KR_N_WORKER_EVENTS
} KrWorkerEventKind;

/**
 * kr_worker_event_kind_name:
 * @kind: a kind
 *
 * Returns: its word, such as "restart"
 */
const char *kr_worker_event_kind_name (KrWorkerEventKind kind);

/**
 * kr_worker_event_kind_from_name:
 * @name: (nullable): a word
 * @ret_kind: (out): the kind; untouched on failure
 *
 * Returns: FALSE if no kind has that name
 */
gboolean kr_worker_event_kind_from_name (const char *name, KrWorkerEventKind *ret_kind);

G_END_DECLS
