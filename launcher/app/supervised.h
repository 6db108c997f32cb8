/* keeprolling - one pipeline file and its workers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/app/loaded-file.h"
#include "launcher/core/handover.h"
#include "launcher/core/snapshot.h"
#include "launcher/services/resume-state.h"

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
  /* A handover is over; @text is for people. May be NULL. */
  void (*handed_over) (KrSupervised *supervised, KrHandoverResult result, const char *text,
                       gpointer data);
} KrSupervisedCallbacks;

/* Takes a reference of @loaded. */
KrSupervised *kr_supervised_new (KrLoadedFile *loaded, const KrSupervisedCallbacks *callbacks,
                                 gpointer data);
void kr_supervised_free (KrSupervised *supervised);

const char *kr_supervised_get_name (const KrSupervised *supervised);

void kr_supervised_start (KrSupervised *supervised);
/* @force: end it at once. */
void kr_supervised_stop (KrSupervised *supervised, gboolean force);
/**
 * kr_supervised_hand_over:
 * @loaded: what a new worker is to run; a reference is taken
 * @in_turn: the old one ends before the new one starts
 * @cause: why, for people: "the file has changed"
 *
 * Begins a handover; the callback tells how it ended, never before this returns. A file that
 * has stopped or given up is started.
 *
 * Returns: FALSE if one is under way already
 */
gboolean kr_supervised_hand_over (KrSupervised *supervised, KrLoadedFile *loaded,
                                  gboolean in_turn, const char *cause);
/* Counts a file that was not even tried, as it is wrong. */
void kr_supervised_refuse (KrSupervised *supervised, const char *text);
/* What is going on in a handover, for people; NULL = none is under way. (transfer full) */
char *kr_supervised_describe_handover (const KrSupervised *supervised);
const KrLoadedFile *kr_supervised_get_loaded (const KrSupervised *supervised);
KrSupervisorState kr_supervised_get_state (const KrSupervised *supervised);

/**
 * kr_supervised_can_suspend:
 *
 * Returns: whether kr_supervised_suspend() would be possible now: nothing is being changed
 */
gboolean kr_supervised_can_suspend (const KrSupervised *supervised);
/* Fills @file; with @detach its worker is let go of: @supervised can only be freed then. FALSE
 * if that is not possible now. */
gboolean kr_supervised_suspend (KrSupervised *supervised, gboolean detach, KrResumeFile *file);
/* Goes on where kr_supervised_suspend() has left off. */
KrSupervised *kr_supervised_resume (KrLoadedFile *loaded, const KrResumeFile *file,
                                    const KrSupervisedCallbacks *callbacks, gpointer data);

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
