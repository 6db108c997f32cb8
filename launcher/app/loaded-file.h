/* keeprolling - a pipeline file as a worker gets it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/pipeline-file.h"

G_BEGIN_DECLS

/* The text at one moment, with all that decides what it means. Never changed: during a handover
 * the old worker and the new one each have theirs. Main thread. */
typedef struct {
  guint ref_count;
  KrPipelineFile *file;
  char *text;
  GHashTable *set; /* of --set: char* -> char*; nullable */
} KrLoadedFile;

/* Takes over @file; takes a reference of @set (nullable). */
KrLoadedFile *kr_loaded_file_new (KrPipelineFile *file, const char *text, GHashTable *set);
KrLoadedFile *kr_loaded_file_ref (KrLoadedFile *loaded);
void kr_loaded_file_unref (KrLoadedFile *loaded);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrLoadedFile, kr_loaded_file_unref)

G_END_DECLS
