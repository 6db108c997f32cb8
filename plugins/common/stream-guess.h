/* keeprolling - what bytes look like that are not what was expected
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* More of the beginning than this says nothing more. */
#define KR_STREAM_GUESS_BYTES 64

/**
 * kr_stream_guess:
 * @head: the first bytes of a stream or of what a peer sends
 * @size: how many; KR_STREAM_GUESS_BYTES are enough
 *
 * For messages alone: it tells a person who sent the wrong thing what was sent, and decides
 * nothing.
 *
 * Returns: (nullable): a static word or two such as "FLV", or NULL if nothing known begins so
 */
const char *kr_stream_guess (const guint8 *head, gsize size);

G_END_DECLS
