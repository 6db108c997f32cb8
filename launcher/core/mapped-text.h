/* keeprolling - text that knows where in a file each of its bytes comes from
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/problem.h"

G_BEGIN_DECLS

/* From byte `offset` of the text on, up to the next span. */
typedef struct {
  gsize offset;
  KrPlace place;    /* of the first byte */
  gboolean literal; /* FALSE: all of it stands for the one word at `place`, a variable */
} KrSpan;

/**
 * kr_spans_place:
 * @spans: (element-type KrSpan): in the order of their offsets
 * @text: the text the spans are about
 * @offset: a byte of @text; one behind the last is fine
 *
 * Returns: where the byte stands in the file; {1, 1} if there are no spans
 */
KrPlace kr_spans_place (const GArray *spans, const char *text, gsize offset);

G_END_DECLS
