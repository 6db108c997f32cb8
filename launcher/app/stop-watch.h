/* keeprolling - who waits for files to be stopped
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/snapshot.h"
#include "launcher/services/control-socket.h"

G_BEGIN_DECLS

/* Clients of the control socket that have told files to stop hear what became of each of them.
 * Main thread. */
typedef struct _KrStopWatch KrStopWatch;

KrStopWatch *kr_stop_watch_new (void);
/* Who still waits is told that we end first. */
void kr_stop_watch_free (KrStopWatch *watch);

/* @names: (element-type utf8) (transfer full): files; empty = all. @reply: (transfer full) */
void kr_stop_watch_add (KrStopWatch *watch, GPtrArray *names, KrControlReply *reply);

/* With each snapshot; at least every second, which is how a client knows that we are there. */
void kr_stop_watch_update (KrStopWatch *watch, const KrSnapshot *snapshot);

G_END_DECLS
