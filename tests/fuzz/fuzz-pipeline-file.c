/* keeprolling - fuzzer for pipeline files and the launch lines in them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "launcher/core/launch-syntax.h"
#include "launcher/core/pipeline-file.h"
#include "tests/fuzz/fuzz.h"

/* Every offset must stand somewhere, within the text it belongs to. */
static void
check_launch (const char *text)
{
  g_autoptr (KrLaunch) launch = kr_launch_parse (text);
  gsize length = strlen (text);

  for (guint i = 0; i < launch->nodes->len; i++) {
    const KrLaunchNode *node = launch->nodes->pdata[i];

    g_assert (node->offset < node->end && node->end <= length && node->parent < (int)i);
    for (guint k = 0; k < node->properties->len; k++) {
      const KrLaunchProperty *property = node->properties->pdata[k];
      const GArray *map = property->value_map;

      g_assert (property->name_offset < length);
      g_assert (map->len == strlen (property->value) + 1);
      for (guint m = 0; m < map->len; m++)
        g_assert (g_array_index (map, gsize, m) <= length);
    }
  }
  for (guint i = 0; i < launch->links->len; i++) {
    const KrLaunchLink *link = launch->links->pdata[i];

    g_assert (link->offset < length && link->src.pads != NULL && link->sink.pads != NULL);
    g_assert (link->src.node < (int)launch->nodes->len);
    g_assert (link->sink.node < (int)launch->nodes->len);
    g_assert ((link->src.node < 0) == (link->src.reference != NULL));
    g_assert ((link->sink.node < 0) == (link->sink.reference != NULL));
  }
  for (guint i = 0; i < launch->mistakes->len; i++)
    g_assert (((KrLaunchMistake *)launch->mistakes->pdata[i])->offset <= length);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *environment[] = {(char *)"FROM_ENV=x y", NULL};
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autoptr (KrPipelineFile) file = kr_pipeline_file_parse_partly (
      "fuzz.pipeline", (const char *)data, size, NULL, environment, problems);

  for (guint i = 0; i < problems->len; i++) {
    const KrProblem *problem = problems->pdata[i];

    g_assert (problem->place.line >= 1 && problem->place.column >= 1);
    g_assert (problem->hint != NULL && *problem->hint != '\0');
    g_assert (g_utf8_validate (problem->message, -1, NULL));
    if (i > 0)
      g_assert (((KrProblem *)problems->pdata[i - 1])->place.line <= problem->place.line);
  }
  g_assert (problems->len > 0 || file->pipelines->len > 0);
  for (guint i = 0; i < file->pipelines->len; i++) {
    const KrPipelineSpec *spec = file->pipelines->pdata[i];

    g_assert (spec->restart_max_us >= spec->restart_us || problems->len > 0);
    if (spec->launch == NULL)
      continue;
    for (gsize k = 0; k <= strlen (spec->launch); k++)
      g_assert (kr_pipeline_spec_place (spec, k).line >= 1);
    check_launch (spec->launch);
  }
  return 0;
}
