/* keeprolling - the checks of destinations in "run"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/app/launcher.h"

G_BEGIN_DECLS

/* CheckURL= of the files. Main thread. */
typedef struct _KrDestinations KrDestinations;

KrDestinations *kr_destinations_new (void);
void kr_destinations_free (KrDestinations *destinations);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrDestinations, kr_destinations_free)

/* Reads its CheckURL, which may be another one than before. */
void kr_destinations_set_file (KrDestinations *destinations, const KrPipelineFile *file,
                               KrLauncher *launcher);
/* Hands what was found last to @launcher; a check that fails itself is logged once. */
void kr_destinations_tell (KrDestinations *destinations, KrLauncher *launcher);

G_END_DECLS
