/* keeprolling - who is told of what happens
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/metrics.h"
#include "launcher/core/pipeline-file.h"

G_BEGIN_DECLS

/* The webhooks' place in "run". Main thread. */
typedef struct _KrAlerts KrAlerts;

/* @state_dir: below it the queues are kept */
KrAlerts *kr_alerts_new (const char *state_dir);
/* Takes a few seconds at most, to deliver or to keep what is still there. */
void kr_alerts_free (KrAlerts *alerts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrAlerts, kr_alerts_free)

/* Reads its [Alerts], which may be other ones than those of before. */
void kr_alerts_set_file (KrAlerts *alerts, const KrPipelineFile *file);

/* See KrLauncherCallbacks.event. Most kinds are no alert. */
void kr_alerts_push (KrAlerts *alerts, const char *file, const char *pipeline, const char *kind,
                     const char *text, GVariant *details);

/* Fills in the webhooks' part. */
void kr_alerts_get_figures (KrAlerts *alerts, KrProcessFigures *figures);

G_END_DECLS
