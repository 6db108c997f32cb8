/* keeprolling - the engine as a whole
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Lets GStreamer find the elements that were installed with this program, wherever that is;
 * those in $GST_PLUGIN_PATH go before. Before there are threads; child processes inherit it. */
void kr_engine_prepare (void);

/* Starts GStreamer, unless it runs already: before anything else of the engine. Returns FALSE
 * with @error set if it does not start. */
gboolean kr_engine_init (GError **error);

/**
 * kr_engine_list_elements:
 * @bin: a bin
 *
 * What is in @bin and in the bins in it, these included, the first in the launch line first. A
 * GstIterator stops half-way when a source adds an element meanwhile; this does not. Any
 * thread.
 *
 * Returns: (transfer full) (element-type GstElement): the elements
 */
GPtrArray *kr_engine_list_elements (GstBin *bin);

/**
 * kr_engine_name_source:
 * @element: an element of a pipeline
 *
 * Follows the first sink pad upwards.
 *
 * Returns: (transfer full): the name of the element in which what reaches @element begins, as
 *   far as it is linked
 */
char *kr_engine_name_source (GstElement *element);

G_END_DECLS
