/* keeprolling - the supervisor becomes another program
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

#include "launcher/app/launcher.h"
#include "launcher/services/resume-state.h"

G_BEGIN_DECLS

/* After an update the program on the disk is another one than the one that runs. The supervisor
 * executes it in its own place and leaves it its workers, which never notice. */

/* Whether the program was replaced on the disk. */
gboolean kr_renewal_is_due (void);

/* What is left to a supervisor that is about to become another program. */
typedef struct _KrRenewal KrRenewal;

typedef struct {
  /* Adds to @state what the launcher does not know: the command line. */
  void (*fill) (KrResumeState *state, gpointer data);
  /* @why: NULL: the main loop is to be left, and kr_renewal_execute() called; else why it
   * cannot be done. */
  void (*tried) (const char *why, gpointer data);
} KrRenewalCallbacks;

/**
 * kr_renewal_new:
 *
 * Waits until no worker is being changed. Then it starts the new program as a child which only
 * looks at the state, so that one that does not even start, or does not understand it, costs
 * nothing.
 */
KrRenewal *kr_renewal_new (KrLauncher *launcher, const KrRenewalCallbacks *callbacks,
                           gpointer data);
void kr_renewal_free (KrRenewal *renewal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrRenewal, kr_renewal_free)

/**
 * kr_renewal_load_files:
 * @state: a state
 * @problems: gets what is wrong
 *
 * Returns: (transfer full) (nullable) (element-type KrLoadedFile): its files
 */
GPtrArray *kr_renewal_load_files (const KrResumeState *state, GString *problems);

/**
 * kr_renewal_execute:
 * @state: what the new program goes on with
 * @words: (array zero-terminated=1): the command line from "run" on, free of secrets
 * @error: why not
 *
 * Blocks the signals that ask for something before: they wait until the new program takes them,
 * see kr_renewal_unblock_signals().
 *
 * Returns: FALSE; otherwise it does not return
 */
gboolean kr_renewal_execute (const KrResumeState *state, char **words, GError **error);

/* SIGTERM, SIGINT and SIGHUP: between two sets of handlers nobody takes them. */
void kr_renewal_block_signals (void);
void kr_renewal_unblock_signals (void);

/* What kr_renewal_execute() has left to this process; NULL without @error: nothing. Before
 * other threads run. */
KrResumeState *kr_renewal_take (GError **error);

G_END_DECLS
