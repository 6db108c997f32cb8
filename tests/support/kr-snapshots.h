/* keeprolling - snapshots for tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* 2026-01-02T03:04:05.678Z, when the test snapshots are taken. */
#define KR_TEST_UTC_US G_GINT64_CONSTANT (1767323045678000)

/* One file "cam1" with one pipeline "record" that plays, judged healthy, and one worker. The
 * caller changes what it likes and calls kr_snapshot_finish(). */
KrSnapshot *kr_test_snapshot_new (void);
KrFileSnapshot *kr_test_snapshot_file (KrSnapshot *snapshot);
KrPipelineReport *kr_test_snapshot_report (KrSnapshot *snapshot);

G_END_DECLS
