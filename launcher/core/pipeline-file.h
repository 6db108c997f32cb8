/* keeprolling - pipeline files: text in, checked values out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/mapped-text.h"
#include "launcher/core/problem.h"
#include "launcher/core/units.h"

G_BEGIN_DECLS

/* The whole text travels to the worker as one JSON line of at most 1 MiB; escaping at most
 * doubles it, as control characters are refused. */
#define KR_PIPELINE_FILE_MAX_BYTES (256 * 1024)
/* All values of a file together, once variables are replaced. */
#define KR_PIPELINE_FILE_MAX_EXPANDED  (4 * 1024 * 1024)
#define KR_PIPELINE_FILE_MAX_PIPELINES 256
/* One launch line. Reading it is quadratic in the worst case, here and in GStreamer. */
#define KR_PIPELINE_FILE_MAX_LAUNCH (64 * 1024)
/* More mistakes in one file are not worth reading: the rest is only counted. */
#define KR_PIPELINE_FILE_MAX_PROBLEMS 500

/* Everything here is plain data: parsed once, never changed, so any thread may read it. */

typedef enum { KR_RESTART_ALWAYS, KR_RESTART_ON_FAILURE, KR_RESTART_NO } KrRestart;

/* One [Pipeline NAME]. Times are microseconds. */
typedef struct {
  char *name;
  char *camera;         /* Camera=, default: the name */
  char *launch;         /* variables replaced, comments gone, continuation joined by spaces */
  KrPlace place;        /* of the group */
  KrPlace launch_place; /* of the first character of the value */
  GArray *launch_map;   /* of KrSpan: maps an offset in `launch` back to a place in the file */
  gboolean launch_complete; /* FALSE: a variable is not set, and "${NAME}" stands in `launch` */
  KrRestart restart;
  gint64 restart_us;
  gint64 restart_max_us;
  guint start_limit_burst;
  gint64 start_limit_interval_us;
  gint64 source_timeout_us; /* 0 = off */
  gint64 timeout_start_us;
  gint64 timeout_stop_us;
} KrPipelineSpec;

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
  char *path; /* as given by the user */
  char *name; /* file name without folder and ".pipeline": the label "file" everywhere */
  GPtrArray *pipelines; /* of KrPipelineSpec, at least one */
  KrHealthSpec health;
  KrAlertSpec alerts;
  KrHandoverSpec handover;
  GHashTable *variables; /* set of char*: names that [Variables] defines or some value uses */
} KrPipelineFile;

void kr_pipeline_file_free (KrPipelineFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrPipelineFile, kr_pipeline_file_free)

/**
 * kr_pipeline_file_parse:
 * @path: what to call the file in errors
 * @text: (array length=length): its content; need not be UTF-8 or free of NUL: both are
 * reported
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

/**
 * kr_pipeline_file_parse_partly:
 *
 * As kr_pipeline_file_parse(), but returns what could be understood of a file that is wrong, so
 * that the engine can look for further mistakes in it. Never run its result if @problems grew.
 *
 * Returns: (transfer full): the file; it may have no pipeline at all
 */
KrPipelineFile *kr_pipeline_file_parse_partly (const char *path, const char *text, gsize length,
                                               GHashTable *overrides, char **environment,
                                               GPtrArray *problems);

/* One key that a pipeline file may have. */
typedef struct {
  const char *group; /* "Pipeline" etc. */
  const char *name;
} KrKeyName;

/* All keys there are, in the order of the manual; @ret_n says how many. */
const KrKeyName *kr_pipeline_file_keys (guint *ret_n);

/* "record-srt" for "pipelines/record-srt.pipeline". (transfer full) */
char *kr_pipeline_file_label (const char *path);

G_END_DECLS
