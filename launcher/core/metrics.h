/* keeprolling - the snapshot as Prometheus metrics
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* The text format 0.0.4 of Prometheus: every family with HELP and TYPE, base units, and every
 * series there from the start at 0, so that increase() sees the first event too. The families
 * are declared as data; docs/metrics.md lists them, and a test compares the two. */

typedef enum { KR_LOG_ERROR, KR_LOG_WARNING, KR_LOG_NOTICE, KR_LOG_INFO, KR_N_LOG } KrLogLevel;

/* "error", "warning", "notice", "info" */
const char *kr_log_level_name (KrLogLevel level);

typedef enum {
  KR_WEBHOOK_DELIVERED,
  KR_WEBHOOK_RETRIED, /* not taken this time; it is tried again */
  KR_WEBHOOK_DROPPED, /* given up: refused for good, or the queue was full */
  KR_N_WEBHOOK_RESULTS
} KrWebhookResult;

/* "delivered", "retried", "dropped" */
const char *kr_webhook_result_name (KrWebhookResult result);

/* What the supervisor knows about itself beyond the snapshot. Plain data. */
typedef struct {
  double cpu_s; /* user and system */
  guint64 rss;  /* bytes */
  guint open_fds;
  gint64 started_utc_us;
  guint64 log_messages[KR_N_LOG];
  guint64 webhooks[KR_N_WEBHOOK_RESULTS];
  guint webhook_queue;
  double clock_step_s; /* sum of the sizes of the wall clock's steps, without sign */
} KrProcessFigures;

typedef struct {
  const char *name;   /* without the prefix, see kr_metric_family_name() */
  const char *type;   /* "counter", "gauge", "histogram" */
  const char *labels; /* for the documentation: "file, pipeline" */
  const char *help;
} KrMetricFamily;

/* The number of families, and each of them (nullable at the end). */
guint kr_metrics_n_families (void);
const KrMetricFamily *kr_metrics_family (guint i);
/* With its prefix: "keeprolling_" for all but process_* (transfer full). */
char *kr_metric_family_name (const KrMetricFamily *family);

/* All of it (transfer full). Any thread. */
char *kr_metrics_to_text (const KrSnapshot *snapshot, const KrProcessFigures *process);

G_END_DECLS
