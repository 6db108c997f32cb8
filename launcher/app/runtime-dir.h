/* keeprolling - where a running process keeps what others look for
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* $RUNTIME_DIRECTORY, which systemd sets, else $XDG_RUNTIME_DIR/keeprolling (transfer full). */
char *kr_default_runtime_dir (void);
/* $STATE_DIRECTORY, else $XDG_STATE_HOME/keeprolling (transfer full). */
char *kr_default_state_dir (void);

G_END_DECLS
