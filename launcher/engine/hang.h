/* keeprolling - which element holds up the data
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* A thread that pushes a buffer holds the stream lock of each pad that it has gone through,
 * from the first to the one of the element it is in. So the locks tell where it is, without
 * asking the element, which may never answer. Nothing here waits; call it from any thread. */

/**
 * kr_hang_find_behind:
 * @pad: a source pad
 *
 * Follows the thread, and behind a queue the next one, as far as they have come.
 *
 * Returns: (transfer full) (nullable): name of the last element on the way that has a thread in
 *   it; NULL if there is none right behind @pad
 */
char *kr_hang_find_behind (GstPad *pad);

/**
 * kr_hang_find_in:
 * @pipeline: a pipeline that is being taken down
 *
 * Returns: (transfer full) (nullable): name of an element that still has a thread in it
 */
char *kr_hang_find_in (GstBin *pipeline);

/* Whether a thread is in a sink: then it waits for what is behind that, such as a disk, the
 * network or the clock, and no element hangs. */
gboolean kr_hang_is_in_sink (GstBin *pipeline);

G_END_DECLS
