/* keeprolling - finds out whether GStreamer can build a pipeline, without starting it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/pipeline-file.h"

G_BEGIN_DECLS

/**
 * kr_pipeline_check:
 * @path: what to call the file in problems
 * @spec: the pipeline; only its launch line is looked at
 * @problems: (element-type KrProblem): gets one entry per mistake, in the order of the file
 *
 * Reports elements that are not installed, properties that do not exist, values that they do
 * not take, mistakes of form, and links that cannot work, also within descriptions that are
 * properties themselves (growthmonitorsink sink="..."). Elements are made, but no state is
 * changed: no device, socket or file is opened. Call kr_engine_init() before.
 */
void kr_pipeline_check (const char *path, const KrPipelineSpec *spec, GPtrArray *problems);

/* kr_pipeline_check() for every pipeline of @file. */
void kr_pipeline_check_file (const KrPipelineFile *file, GPtrArray *problems);

G_END_DECLS
