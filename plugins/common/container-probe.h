/* keeprolling - what a file that was cut off in the middle is still worth
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Reads only. Works on any bytes, of any size, with holes. */

typedef enum {
  KR_CONTAINER_UNKNOWN, /* nothing that we know to play: see detail */
  KR_CONTAINER_MPEGTS,
  KR_CONTAINER_MATROSKA,
  KR_CONTAINER_MP4,
} KrContainer;

typedef struct {
  KrContainer kind;
  guint64 size;
  guint64 keep;       /* bytes worth keeping from the start; the rest is zeros or a piece */
  const char *detail; /* static: why UNKNOWN, else what it is */
  int error;          /* errno of a failed read; kind is UNKNOWN then */
} KrProbe;

/* @cancel (may be NULL) is looked at between reads; @progress (may be NULL) is told how many
 * bytes were read. */
KrProbe kr_container_probe (int fd, const gint *cancel,
                            void (*progress) (guint64 bytes, gpointer user_data),
                            gpointer user_data);

G_END_DECLS
