/* keeprolling - what the processes say to people and to the journal
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Every line says what happened, why, and what happens next. On a terminal or in a file:
 *   2026-11-20T12:00:00.123Z cam1/record: source silent for 1.0 s (...); reconnecting it
 * In the journal the same text, with the fields KEEPROLLING_FILE and KEEPROLLING_PIPELINE.
 * Secrets are taken out of all of it, GStreamer's and GLib's own messages included, and a
 * subject that talks without end is cut short. May be used from any thread. */

/**
 * kr_log_setup:
 * @name: (nullable): what a line begins with if it has no subject of its own: the file's name
 * in a worker, NULL in the supervisor
 *
 * Installs the log writer. Call it once, first thing in main, before any thread runs.
 */
void kr_log_setup (const char *name);

/* Changes what kr_log_setup() was told, before any other thread runs: a worker learns its name
 * late. */
void kr_log_set_name (const char *name);

/**
 * kr_log:
 * @level: G_LOG_LEVEL_WARNING, _MESSAGE, _INFO or _DEBUG; _CRITICAL for what a person must see
 * to. _DEBUG and _INFO appear when G_MESSAGES_DEBUG names keeprolling or all
 * @file: (nullable): name of the pipeline file the line is about; NULL = kr_log_setup()'s name
 * @pipeline: (nullable): name of the pipeline
 * @format: printf format
 *
 * Writes one line. Never fatal, unlike g_critical() under G_DEBUG=fatal-criticals: the trouble
 * told here is that of cameras and disks, not a mistake in the program.
 */
void kr_log (GLogLevelFlags level, const char *file, const char *pipeline, const char *format,
             ...) G_GNUC_PRINTF (4, 5);

/**
 * kr_log_count:
 * @level: one level
 *
 * Returns: how many messages of that level were logged so far, those left out included
 */
guint64 kr_log_count (GLogLevelFlags level);

G_END_DECLS
