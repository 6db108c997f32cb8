/* keeprolling - the engine as a whole
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/engine.h"

#include <gst/gst.h>

gboolean
kr_engine_init (GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (gst_init_check (NULL, NULL, &reason))
    return TRUE;
  /* It may fail without saying why. */
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  else
    g_set_error_literal (error, GST_CORE_ERROR, GST_CORE_ERROR_FAILED, "it gives no reason");
  return FALSE;
}
