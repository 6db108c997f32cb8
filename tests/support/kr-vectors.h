/* keeprolling - timestamp vectors for the tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define KR_VECTOR_NONE G_MININT64

/* What happens to a stream, beside a buffer. */
typedef enum { KR_VECTOR_BUFFER, KR_VECTOR_EOS, KR_VECTOR_START, KR_VECTOR_GAP } KrVectorOp;

/* Times are ns. */
typedef struct {
  KrVectorOp op;
  guint stream;
  gint64 pts, dts, arrival, duration; /* or KR_VECTOR_NONE */
  gboolean hint;

  gboolean dropped; /* expected: nothing comes out */
  gint64 out_pts, out_dts;
  gboolean discont, extrapolated;
  guint repeats; /* expected: this many repeated frames before it */
} KrVectorRow;

typedef struct {
  char *name;
  char kind[8]; /* v, vr, a, raw, s */
  gint64 duration;
  gint64 in, out, dropped, outliers, no_pts, no_dts, nudged, gaps; /* -1: not given */
} KrVectorStream;

typedef struct {
  guint stream;
  char *kind;
  gint64 delta;
} KrVectorMessage;

typedef struct {
  char *name, *note;
  gboolean live;
  char *mode, *gap_policy, *drift; /* NULL: default */
  gint64 max_gap;                  /* or KR_VECTOR_NONE */
  GArray *streams;                 /* KrVectorStream */
  GArray *rows;                    /* KrVectorRow */
  GArray *messages;                /* KrVectorMessage */
  gboolean has_ppm;
  gdouble ppm;
} KrVector;

/* All vectors of a file (element-type KrVector); a malformed file ends the test. */
GPtrArray *kr_vectors_load (const char *path);

G_END_DECLS
