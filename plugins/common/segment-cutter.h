/* keeprolling - where one segment ends and the next begins
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Pure: buffer's facts in, decision out. One thread. */

#define KR_TIME_NONE G_MAXUINT64

typedef struct {
  guint64 max_time;        /* ns of media time; 0 = off */
  guint64 max_bytes;       /* 0 = off */
  gboolean align_to_clock; /* cut on wall-clock multiples of max_time */
} KrCutRules;

typedef struct {
  KrCutRules rules;
  gboolean open; /* a segment is open */
  gboolean cut_now;
  guint64 first_time; /* running time of its first buffer that had one */
  guint64 bytes;
  gint64 period; /* the multiple of max_time in which it began */
} KrSegmentCutter;

/* One buffer. */
typedef struct {
  guint64 time;         /* running time, ns, or KR_TIME_NONE */
  gint64 utc_us;        /* wall clock; looked at only with align_to_clock */
  gint64 utc_offset_us; /* of local time, if multiples count from local midnight */
  gsize size;
  gboolean delta; /* cannot begin a segment */
} KrCutBuffer;

/* Whether the buffer begins a new segment; accounts for it either way. The first buffer always
 * does, delta or not. */
gboolean kr_segment_cutter_next (KrSegmentCutter *cutter, const KrCutBuffer *buffer);
/* The next buffer that can begin a segment shall. */
void kr_segment_cutter_cut_now (KrSegmentCutter *cutter);
/* The segment is over; whatever comes next begins a new one. */
void kr_segment_cutter_reset (KrSegmentCutter *cutter);

G_END_DECLS
