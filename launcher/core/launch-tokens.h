/* keeprolling - cuts a launch line into words
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  KR_TOKEN_END,
  KR_TOKEN_ASSIGNMENT, /* name=value */
  KR_TOKEN_PRESET,     /* @preset=value */
  KR_TOKEN_PADREF,     /* .pad */
  KR_TOKEN_REFERENCE,  /* name. or name.pad */
  KR_TOKEN_BIN,        /* name.( */
  KR_TOKEN_IDENTIFIER,
  KR_TOKEN_LINK, /* ! or :, also ! caps ! */
  KR_TOKEN_URI,
  KR_TOKEN_OTHER, /* one character */
} KrTokenType;

typedef struct {
  KrTokenType type;
  gsize start, end;
} KrToken;

/* The first word of @text at or after @offset. The rules are those of GStreamer 1.22's parse.l:
 * the longest match wins, then the order above. */
KrToken kr_launch_token (const char *text, gsize offset);

/* Length of the media type ("video/x-raw") at @p, 0 = none. */
gsize kr_launch_media_type (const char *p);

G_END_DECLS
