/* keeprolling - the status server's place in "run"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/exit-code.h"
#include "launcher/core/metrics.h"
#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* Recording matters more than being watched: a port that somebody else has is a warning, and is
 * tried again while everything records. Only a configuration that cannot work is an error. */
typedef struct _KrStatusService KrStatusService;

/**
 * kr_status_service_new:
 * @listen: (nullable): ADDR:PORT, NULL for the default; "none" for no server at all
 * @token_file: (nullable): file with the token
 * @ret_code: (out): KR_EXIT_CONFIG if NULL is returned; the mistake has been printed
 *
 * Returns: (transfer full) (nullable): the service
 */
KrStatusService *kr_status_service_new (const char *listen, const char *token_file,
                                        KrExitCode *ret_code);
void kr_status_service_free (KrStatusService *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrStatusService, kr_status_service_free)

/* Shows @snapshot from now on. @process has what others know about this process; its own
 * figures (CPU, memory, descriptors, clock steps, log lines) are filled in here. */
void kr_status_service_publish (KrStatusService *service, KrSnapshot *snapshot,
                                const KrProcessFigures *process);

G_END_DECLS
