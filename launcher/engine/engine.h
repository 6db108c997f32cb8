/* keeprolling - the engine as a whole
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Starts GStreamer, unless it runs already: before anything else of the engine. Returns FALSE
 * with @error set if it does not start. */
gboolean kr_engine_init (GError **error);

G_END_DECLS
