/* keeprolling - one pipeline file and its workers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/pipeline-file.h"
#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* Owns a core/supervisor machine, feeds it with what the workers say and do, and carries out
 * what it decides. Main thread only. */

typedef struct _KrSupervised KrSupervised;

typedef struct {
  /* Something has changed that a snapshot shows. */
  void (*changed) (gpointer data);
  /* For the history, the webhooks, the index. @seconds: how long it took to record again, < 0 =
   * not (yet). */
  void (*happened) (KrSupervised *supervised, KrLayer layer, const char *pipeline,
                    const char *kind, const char *text, double seconds, GVariant *details,
                    gpointer data);
} KrSupervisedCallbacks;

/* Takes over @file; takes a reference of @set (nullable). */
KrSupervised *kr_supervised_new (KrPipelineFile *file, const char *text, GHashTable *set,
                                 const KrSupervisedCallbacks *callbacks, gpointer data);
void kr_supervised_free (KrSupervised *supervised);

const char *kr_supervised_get_name (const KrSupervised *supervised);

void kr_supervised_start (KrSupervised *supervised);
/* @force: end it at once. */
void kr_supervised_stop (KrSupervised *supervised, gboolean force);
/* Once a second. */
void kr_supervised_tick (KrSupervised *supervised);

/* Nothing more happens unless somebody asks; no process and no rescue of files is left. */
gboolean kr_supervised_is_final (const KrSupervised *supervised);
/* Of the worker that ended for good; KR_EXIT_TEMP_FAIL if one had to be killed at the end. */
int kr_supervised_get_exit_code (const KrSupervised *supervised);

void kr_supervised_set_destination (KrSupervised *supervised, const KrDestinationProbe *probe);

/* (transfer full) */
KrFileSnapshot *kr_supervised_take_snapshot (const KrSupervised *supervised);

G_END_DECLS
