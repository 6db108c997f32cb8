/* keeprolling - health and status as JSON
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* docs/status-api.md describes every member. Moments are RFC 3339 in UTC with milliseconds,
 * lengths of time are seconds, sizes bytes; null = not known. Any thread. */

typedef enum {
  KR_STATUS_HEALTH, /* what a monitoring system wants */
  KR_STATUS_FULL,   /* and what a person or the page wants: workers, figures, history */
} KrStatusDetail;

/* One line, without a newline at its end (transfer full). */
char *kr_status_to_json (const KrSnapshot *snapshot, KrStatusDetail detail);

/* "2026-11-20T12:00:00.123Z" (transfer full). */
char *kr_format_utc (gint64 utc_us);

G_END_DECLS
