/* keeprolling - pipeline files: text in, checked values out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Everything here is plain data: parsed once, never changed, so any thread may read it. */

typedef enum { KR_RESTART_ALWAYS, KR_RESTART_ON_FAILURE, KR_RESTART_NO } KrRestart;

/* Where a value stands, so that every error can name it. Lines and columns count from 1. */
typedef struct {
  guint line;
  guint column;
} KrPlace;

/* One [Pipeline NAME]. Times are microseconds. */
typedef struct {
  char *name;
  char *camera;         /* Camera=, default: the name */
  char *launch;         /* variables replaced, comments gone, continuation joined by spaces */
  KrPlace launch_place; /* of the first character of the value */
  GArray *launch_map;   /* of KrLaunchSpan: maps an offset in `launch` back to a place in the file */
  KrRestart restart;
  gint64 restart_us;
  gint64 restart_max_us;
  guint start_limit_burst;
  gint64 start_limit_interval_us;
  gint64 source_timeout_us; /* 0 = off */
  gint64 timeout_start_us;
  gint64 timeout_stop_us;
} KrPipelineSpec;

/* `launch` from byte `offset` on stands at `place` in the file. */
typedef struct {
  gsize offset;
  KrPlace place;
} KrLaunchSpan;

typedef struct {
  gint64 interval_us;
  guint threshold;
  gint64 startup_grace_us;
  guint64 memory_max; /* bytes, 0 = no limit */
  char *check_url;    /* NULL = none */
} KrHealthSpec;

typedef struct {
  char *webhook; /* NULL = none; a secret: never print it whole */
} KrAlertSpec;

typedef struct {
  gint64 timeout_ready_us;
  gint64 timeout_stop_us;
} KrHandoverSpec;

typedef struct {
  char *path;           /* as given by the user */
  char *name;           /* file name without folder and ".pipeline": the label "file" everywhere */
  GPtrArray *pipelines; /* of KrPipelineSpec, at least one */
  KrHealthSpec health;
  KrAlertSpec alerts;
  KrHandoverSpec handover;
} KrPipelineFile;

/* One thing wrong. Printed as "FILE:LINE:COLUMN: error: MESSAGE" and "  hint: HINT". */
typedef struct {
  char *path;
  KrPlace place;
  char *message; /* names the offending word */
  char *hint;    /* what would be right; never NULL */
} KrProblem;

void kr_pipeline_file_free (KrPipelineFile *file);
void kr_problem_free (KrProblem *problem);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrPipelineFile, kr_pipeline_file_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrProblem, kr_problem_free)

/**
 * kr_pipeline_file_parse:
 * @path: what to call the file in errors
 * @text: (array length=length): its content; need not be UTF-8 or free of NUL: both are reported
 * @overrides: (nullable): --set values, char* -> char*; they beat @environment
 * @environment: (nullable): g_get_environ() form; beats [Variables]
 * @problems: (element-type KrProblem): gets one entry per mistake, in the order of the file
 *
 * Parses a pipeline file and reports everything that is wrong with it, not just the first
 * mistake. Knows nothing of GStreamer: elements and properties are checked by the engine.
 *
 * Returns: (transfer full) (nullable): the file, or NULL if anything was wrong
 */
KrPipelineFile *kr_pipeline_file_parse (const char *path, const char *text, gsize length,
                                        GHashTable *overrides, char **environment,
                                        GPtrArray *problems);

/* Where the byte at @offset of spec->launch stands in the file. */
KrPlace kr_pipeline_spec_place (const KrPipelineSpec *spec, gsize offset);

/* "FILE:LINE:COLUMN: error: MESSAGE\n  hint: HINT\n" (transfer full) */
char *kr_problem_to_string (const KrProblem *problem);

/* "250ms", "1s", "5min", "1min 30s", plain numbers are seconds; as systemd.time(7).
 * Returns FALSE and leaves @ret_us alone if @text is not a time span. */
gboolean kr_parse_time_span (const char *text, gint64 *ret_us);

/* "500M", "4G", "1024", base 1024; as systemd. */
gboolean kr_parse_size (const char *text, guint64 *ret_bytes);

G_END_DECLS
