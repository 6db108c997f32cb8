/* keeprolling - what of a sink is to be watched
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "plugins/common/file-watch.h"

G_BEGIN_DECLS

typedef struct {
  GstElement *element; /* the one that writes, in whatever bin it is; NULL = no sink at all */
  KrFileWatch *watch;  /* NULL = no file to watch */
  gboolean follows;    /* its messages say which file is open */
} KrGrowthTarget;

/* @sink and @watch_location are optional. */
KrGrowthTarget kr_growth_target_find (GstElement *sink, const char *watch_location);

/* Returns @sink or the element in it that has a readable string property "location"; else the
 * innermost sink (transfer full). */
GstElement *kr_growth_target_find_element (GstElement *sink);

/* Whether @element has a string property "location". */
gboolean kr_growth_target_has_location (GstElement *element);

G_END_DECLS
