/* keeprolling - timestampregen, for its own files
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/audio/audio.h>
#include <gst/base/base.h>
#include <gst/gst.h>

#include "plugins/common/timeline.h"
#include "plugins/timestampregen.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (kr_timestamp_regen_debug);

typedef enum {
  KR_TIMESTAMP_REGEN_LIVE_AUTO,
  KR_TIMESTAMP_REGEN_LIVE_TRUE,
  KR_TIMESTAMP_REGEN_LIVE_FALSE,
} KrTimestampRegenLive;

/* What caps tell about time. */
typedef struct {
  KrTimelineKind kind;
  gint64 duration;      /* of one buffer, 0 = varies or unknown */
  gint rate_n, rate_d;  /* of video, 0 = unknown */
  gint sample_rate;     /* of raw audio, else 0 */
  gint bytes_per_frame; /* of raw audio: one sample of all channels */
} KrRegenFormat;

/* One sink pad with its src pad. Held by both pads, freed with the last one. The fields up to
 * the first blank line belong to the element's lock, the others to the sink's stream lock. */
typedef struct {
  GstPad *sink, *src; /* NULL once released */
  KrTimelineStream *stream;
  guint number; /* in the pads' names */
  KrRegenFormat format;
  gboolean wait_keyframe; /* pass nothing until a keyframe comes */

  GstSegment segment;   /* upstream's */
  gint64 to_running;    /* running time - timestamp in it */
  guint n_segments;     /* seen since the start or the last flush */
  gboolean passthrough; /* nothing that a timeline applies to */
  gboolean warned;
  gboolean segment_sent;
  gboolean hint;              /* a segment or a stream start came before the next buffer */
  gboolean discont;           /* buffers have been dropped before the next one */
  GstFlowReturn flow;         /* of the last push */
  GstBuffer *previous;        /* CFR: the frame to repeat */
  GstAudioStreamAlign *align; /* CFR: raw audio */
  GstClockTime audio_end;     /* and where its last buffer ended, 0 = none yet */
} KrRegenPad;

struct _KrTimestampRegen {
  GstElement parent;

  GMutex lock; /* everything below; never held while something is pushed, posted or queried */
  KrTimeline *timeline;
  KrTimelineConfig config;
  KrTimestampRegenLive live;
  gboolean live_known; /* AUTO: upstream has answered */
  gint rate_n, rate_d; /* property "framerate" */
  gboolean wait_keyframe;
  GstClockTime latency;
  GstFlowCombiner *combiner;
  GList *pads; /* KrRegenPad */
  guint next_pad;

  gboolean watch_clock; /* the pipeline clock can step */
  gint64 watched_at;    /* monotonic time and running time of the last buffer, ns */
  gint64 watched_running;
};

/* timestampregen-caps.c */
void kr_regen_format_from_caps (GstCaps *caps, KrRegenFormat *format);

/* timestampregen-pad.c */
KrRegenPad *kr_regen_pad_new (KrTimestampRegen *self, const char *sink_name,
                              const char *src_name, GstPadTemplate *sink_template,
                              GstPadTemplate *src_template);
void kr_regen_pad_unref (KrRegenPad *pad);
void kr_regen_pad_reset (KrRegenPad *pad);
gint64 kr_regen_pad_to_running (const KrRegenPad *pad, GstClockTime timestamp);

/* timestampregen-event.c */
gboolean kr_regen_pad_sink_event (GstPad *sink, GstObject *parent, GstEvent *event);
gboolean kr_regen_pad_src_event (GstPad *src, GstObject *parent, GstEvent *event);
gboolean kr_regen_pad_send_segment (KrTimestampRegen *self, KrRegenPad *pad, guint32 seqnum);
void kr_regen_apply_format (KrTimestampRegen *self, KrRegenPad *pad);

/* timestampregen-report.c */
void kr_regen_post_events (KrTimestampRegen *self, KrRegenPad *pad, const KrTimelineOut *out,
                           gint64 running_time);
void kr_regen_post_drop (KrTimestampRegen *self, KrRegenPad *pad, GstBuffer *buffer,
                         gint64 running_time);
GstStructure *kr_regen_stats (KrTimestampRegen *self);

/* timestampregen.c */
void kr_regen_configure (KrTimestampRegen *self);
gint64 kr_regen_arrival (KrTimestampRegen *self);
void kr_regen_find_live (KrTimestampRegen *self, KrRegenPad *pad);

G_END_DECLS
