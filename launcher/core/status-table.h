/* keeprolling - the status as a table for a terminal
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/health.h"

G_BEGIN_DECLS

/* The words and units of the status page. */
typedef struct {
  char *name; /* "cam1", or "cam1/record" where a file has several pipelines */
  KrHealth status;
  char *state;
  double bitrate_bps;
  guint64 recorded;      /* bytes */
  double keyframe_age_s; /* < 0 = none yet */
  double runway_s;       /* of the disk; < 0 = not known */
  guint64 restarts;
  guint64 reconnects;
  guint64 gaps; /* within 24 h */
  double gap_s;
  char *why; /* what is wrong, or was; "" = nothing to say */
} KrStatusRow;

void kr_status_row_free (KrStatusRow *row);

/**
 * kr_status_table:
 * @rows: (element-type KrStatusRow): in their order
 * @width: columns of the terminal; 0 = as wide as it gets
 * @color: whether ANSI escape sequences may be used (ECMA-48, 8.3.117)
 *
 * Where it does not fit, long names get shorter, then columns go: the least important first. No
 * line is wider than @width, unless that is below 20.
 *
 * Returns: (transfer full): lines, each with its newline
 */
char *kr_status_table (GPtrArray *rows, guint width, gboolean color);

/* For a terminal that is too low for all of them. Those of one health keep their order. */
void kr_status_rows_put_trouble_first (GPtrArray *rows);

/* "12.3 MB", "1.2 Mb/s", "5 min" (transfer full); the units of the page. */
char *kr_status_size (guint64 bytes);
char *kr_status_rate (double bps);
char *kr_status_span (double seconds);

G_END_DECLS
