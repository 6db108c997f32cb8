/* keeprolling - a pipeline file as a worker gets it
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/loaded-file.h"

KrLoadedFile *
kr_loaded_file_new (KrPipelineFile *file, const char *text, GHashTable *set)
{
  KrLoadedFile *loaded = g_new0 (KrLoadedFile, 1);

  loaded->ref_count = 1;
  loaded->file = file;
  loaded->text = g_strdup (text);
  loaded->set = set != NULL ? g_hash_table_ref (set) : NULL;
  return loaded;
}

KrLoadedFile *
kr_loaded_file_ref (KrLoadedFile *loaded)
{
  loaded->ref_count++;
  return loaded;
}

void
kr_loaded_file_unref (KrLoadedFile *loaded)
{
  if (loaded == NULL || --loaded->ref_count > 0)
    return;
  kr_pipeline_file_free (loaded->file);
  g_clear_pointer (&loaded->set, g_hash_table_unref);
  g_free (loaded->text);
  g_free (loaded);
}
