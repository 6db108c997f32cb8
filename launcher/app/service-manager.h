/* keeprolling - what systemd gets to hear of us
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/exit-code.h"
#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* Layer 3: core/notify-policy said over services/sd-notify, from the main loop, so that a main
 * loop that hangs falls silent. Does nothing where no service manager asks. Main thread. */
typedef struct _KrServiceManager KrServiceManager;

/* Before other threads and children run: takes its variables out of the environment.
 * @was_ready: the program that was this process before has said that it is ready */
KrServiceManager *kr_service_manager_new (gboolean was_ready);
void kr_service_manager_free (KrServiceManager *manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrServiceManager, kr_service_manager_free)

/* There is a new snapshot; a reference is taken. */
void kr_service_manager_take_snapshot (KrServiceManager *manager, KrSnapshot *snapshot);
/* A handover begins or ends. */
void kr_service_manager_set_reloading (KrServiceManager *manager, gboolean reloading);
/* Whether it has been told READY=1. */
gboolean kr_service_manager_is_ready (const KrServiceManager *manager);
/* This process ends with @code: the last line of what "systemctl status" shows. */
void kr_service_manager_end (KrServiceManager *manager, KrExitCode code);
/* Before this process executes itself anew. */
void kr_service_manager_restore_environment (const KrServiceManager *manager);

G_END_DECLS
