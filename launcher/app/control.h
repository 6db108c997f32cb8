/* keeprolling - the control socket's place in "run"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/app/reload.h"

G_BEGIN_DECLS

typedef struct _KrControl KrControl;

/* Recording matters more than being controlled: without a socket it is only said that commands
 * cannot reach us. @launcher must outlive it, @reloader must not: what it has to tell comes
 * here. Main thread. */
KrControl *kr_control_new (const char *runtime_dir, KrLauncher *launcher, KrReloader *reloader);
void kr_control_free (KrControl *control);
/* With each snapshot. */
void kr_control_update (KrControl *control, const KrSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrControl, kr_control_free)

G_END_DECLS
