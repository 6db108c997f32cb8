/* keeprolling - how it goes, in one line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* Troubles that the line names; of the rest it says how many there are. */
#define KR_STATUS_LINE_TROUBLES 3

/**
 * kr_status_line:
 * @snapshot: the newest
 *
 * What a person wants to read behind "Status:" in systemctl:
 * "recording 3 of 4; cam2: source silent for 12 s". The worst comes first.
 *
 * Returns: (transfer full): one line, without a newline
 */
char *kr_status_line (const KrSnapshot *snapshot);

/* What it is about, without the seconds: the line is worth telling again at once if this
 * changes. */
guint kr_status_line_hash (const KrSnapshot *snapshot);

G_END_DECLS
