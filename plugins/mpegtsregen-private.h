/* keeprolling - mpegtsregen, for its own files
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-regen.h"
#include "plugins/mpegtsregen.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (kr_mpegts_regen_debug);

typedef enum { KR_LIVE_AUTO, KR_LIVE_YES, KR_LIVE_NO } KrLive;

struct _KrMpegtsRegen {
  GstElement parent;

  GstPad *sinkpad, *srcpad;

  /* Properties, under the object lock. */
  KrTsRegenConfig config;
  KrLive live;
  GstClockTime latency;
  gboolean config_changed;
  KrTsRegenStats numbers;

  /* The streaming thread's, under the stream lock of the sink pad. */
  KrTsRegen *regen;
  GstSegment segment; /* of the input */
  gboolean is_live;
  gboolean knows_live;
  gboolean need_stream_start, need_caps, need_segment;
  guint segment_seqnum;
  gboolean is_alien;   /* and it has been told */
  guint64 alien_bytes; /* so far */
  guint64 alien_since; /* utc-ns */
};

/* mpegtsregen-properties.c */
void kr_mpegts_regen_init_properties (KrMpegtsRegen *self);
void kr_mpegts_regen_set_property (GObject *object, guint id, const GValue *value,
                                   GParamSpec *pspec);
void kr_mpegts_regen_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec);
void kr_mpegts_regen_install_properties (GObjectClass *klass);

/* mpegtsregen-alien.c */
/* After each buffer. */
void kr_mpegts_regen_watch_alien (KrMpegtsRegen *self);
void kr_mpegts_regen_end_alien (KrMpegtsRegen *self);

G_END_DECLS
