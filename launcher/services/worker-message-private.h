/* keeprolling - the messages of the line, for their own files
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/services/worker-message.h"

G_BEGIN_DECLS

/* Counters travel as JSON integers, which json-glib reads as gint64. */
#define KR_MAX_COUNTER ((guint64)G_MAXINT64)

typedef enum {
  KR_FIELD_STRING,
  KR_FIELD_COUNTER,
  KR_FIELD_UINT,
  KR_FIELD_TIME,
  KR_FIELD_DOUBLE,
  KR_FIELD_BOOLEAN,
  KR_FIELD_HISTOGRAM
} KrReportFieldType;

typedef struct {
  const char *name;
  KrReportFieldType type;
  gsize offset;
} KrReportField;

/* Every plain member of KrPipelineReport under its own name, then one without a name; state and
 * the lists have code of their own. */
extern const KrReportField kr_report_fields[];
extern const char *const kr_worker_message_type_names[KR_N_WORKER_MESSAGES];

/* The containers that a message owns, empty. */
GPtrArray *kr_worker_message_new_reports (void);
GHashTable *kr_worker_message_new_set (void);

G_END_DECLS
