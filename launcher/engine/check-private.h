/* keeprolling - what the parts of pipeline-check share
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "launcher/core/launch-syntax.h"
#include "launcher/core/pipeline-file.h"

G_BEGIN_DECLS

/* One description that is being checked: a launch line, or a property's value in it. */
typedef struct _KrCheck KrCheck;
struct _KrCheck {
  const char *path;
  const KrPipelineSpec *spec;
  GPtrArray *problems;
  guint max_problems; /* length of `problems` from which on nothing is added */
  KrLaunch *launch;
  GType *types;            /* of each node; G_TYPE_INVALID = not installed, or no element */
  const KrCheck *parent;   /* NULL for the launch line itself */
  const GArray *value_map; /* of gsize: offsets in the parent's text; with `parent` */
  GHashTable *names;       /* set of char*: all names in the launch line, shared */
  guint depth;
};

/* Descriptions in descriptions. */
#define KR_CHECK_MAX_DEPTH 8

/* Where byte @offset of the description stands in the file. */
KrPlace kr_check_place (const KrCheck *check, gsize offset);

/* Adds a problem at @offset; takes @hint. */
void kr_check_complain (const KrCheck *check, gsize offset, char *hint, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

/* Whether @text stands for something that is not known because a variable is not set. */
gboolean kr_check_is_unknown (const KrCheck *check, const char *text);

/* check-elements.c */

/* The type of element @word, loaded; after saying so at @offset, G_TYPE_INVALID if there is
 * none. */
GType kr_check_element (const KrCheck *check, const char *word, gsize offset);

/* check-properties.c */
void kr_check_properties (KrCheck *check, guint node);

/* check-links.c */

/* Index of the node that @end means, -1 if it is in another description or nowhere. */
int kr_check_resolve (const KrCheck *check, const KrLaunchEnd *end);
void kr_check_links (const KrCheck *check);

/* pipeline-check.c */

/* Checks a description that is the value of a property. */
void kr_check_nested (const KrCheck *parent, const KrLaunchProperty *property);

G_END_DECLS
