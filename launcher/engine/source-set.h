/* keeprolling - the live sources of one pipeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/report.h"
#include "launcher/engine/build.h"
#include "launcher/engine/source-watch.h"

G_BEGIN_DECLS

/* The watches of the present incarnation, and what is remembered of the sources from one
 * incarnation to the next: what they delivered, and which ones would spoil the start of the
 * others. All functions belong to the main thread. */
typedef struct _KrSourceSet KrSourceSet;

/**
 * kr_source_set_new:
 * @timeout_us: SourceTimeoutSec
 * @deadline_us: an opening that takes longer is stuck
 * @func: told about everything that happens to one of the sources
 * @data: for @func
 *
 * Returns: (transfer full): a set without a pipeline
 */
KrSourceSet *kr_source_set_new (gint64 timeout_us, gint64 deadline_us, KrSourceWatchFunc func,
                                gpointer data);
/* The set must be detached. */
void kr_source_set_free (KrSourceSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrSourceSet, kr_source_set_free)

/* A new pipeline is there, in NULL: watches its live sources. @build must stay until
 * kr_source_set_detach(). */
void kr_source_set_attach (KrSourceSet *set, KrBuild *build);
/* The pipeline is about to go: keeps the numbers; no callback comes after this. */
void kr_source_set_detach (KrSourceSet *set);

/* The pipeline plays from now on. */
void kr_source_set_start (KrSourceSet *set);
/* From now on nothing is opened again and EOS passes. */
void kr_source_set_let_eos (KrSourceSet *set);

/* How many the present pipeline has. */
guint kr_source_set_get_n_sources (KrSourceSet *set);
/* Returns: (transfer none) (nullable): the watch whose source @object is, or is a part of */
KrSourceWatch *kr_source_set_find (KrSourceSet *set, GstObject *object);

/* Returns: TRUE if all sources deliver now; remembers since when */
gboolean kr_source_set_update_flow (KrSourceSet *set);
/* Monotonic microseconds; G_MAXINT64 = at the last kr_source_set_update_flow() they did not. */
gint64 kr_source_set_get_flowing_since (KrSourceSet *set);

/* @watch's source has failed while the pipeline starts. The first one is remembered. */
void kr_source_set_blame (KrSourceSet *set, KrSourceWatch *watch, const char *text);

/**
 * kr_source_set_take_blame:
 *
 * The start has failed. If one of several sources is to blame, the others need not suffer: they
 * start without it until it has delivered.
 *
 * Returns: (transfer full) (nullable): what it said; NULL if no source is to blame
 */
char *kr_source_set_take_blame (KrSourceSet *set);

/**
 * kr_source_set_get_blocked:
 * @set: a set
 * @ret_by: (out) (transfer full) (nullable): name of the element that holds it up; untouched if
 *   none is blocked
 *
 * While any source is silent none counts as blocked: a muxer may have to wait for that one.
 *
 * Returns: for how many microseconds the one that is blocked longest has been, 0 = none is
 */
gint64 kr_source_set_get_blocked (KrSourceSet *set, char **ret_by);

/* Fills in what @report says about sources. */
void kr_source_set_report (KrSourceSet *set, KrPipelineReport *report);

G_END_DECLS
