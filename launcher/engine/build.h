/* keeprolling - one incarnation of a pipeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Made from text, started once, torn down once; a restart makes another one, because what
 * gst_parse_launch() built does not survive NULL. Nothing here blocks the caller: whatever
 * calls into the elements' state runs in threads that can be left behind.
 *
 * All functions belong to the main thread. */
typedef struct _KrBuild KrBuild;

/* @result: what the operation returned, a GstStateChangeReturn */
typedef void (*KrBuildDone) (KrBuild *build, int result, gpointer data);

/**
 * kr_build_new:
 * @launch: the text, as for gst-launch-1.0
 * @clock: the clock to run by
 * @error: of gst_parse_launch()
 *
 * Returns: (transfer full) (nullable): a pipeline in NULL; nothing is open yet
 */
KrBuild *kr_build_new (const char *launch, GstClock *clock, GError **error);
void kr_build_unref (KrBuild *build);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrBuild, kr_build_unref)

GstBin *kr_build_get_pipeline (KrBuild *build);
/* (element-type KrSourceWatch), to be filled by the owner: teardown waits for these. */
GPtrArray *kr_build_get_watches (KrBuild *build);

/* To PAUSED and on to PLAYING. */
void kr_build_start (KrBuild *build, KrBuildDone done, gpointer data);
/* TRUE once the elements have said that they are live (GST_STATE_CHANGE_NO_PREROLL). */
gboolean kr_build_is_live (KrBuild *build);
gboolean kr_build_is_busy (KrBuild *build);

/* In order, one after the other. */
void kr_build_set_state (KrBuild *build, GstState state);
void kr_build_recalculate_latency (KrBuild *build);

/* To NULL. Nothing else is begun from now on. */
void kr_build_tear_down (KrBuild *build, KrBuildDone done, gpointer data);

/**
 * kr_build_abandon:
 *
 * It hangs. Tries to switch off each element by itself, so that sockets and files are let go
 * even while one of them is stuck, and does not wait for any of it. @done of earlier calls is
 * not called any more.
 */
void kr_build_abandon (KrBuild *build);

G_END_DECLS
