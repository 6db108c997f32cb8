/* keeprolling - what caps tell about time
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "plugins/timestampregen-private.h"

static gboolean
has_profile (const GstStructure *structure, const char *const *profiles)
{
  const char *profile = gst_structure_get_string (structure, "profile");

  return profile != NULL && g_strv_contains (profiles, profile);
}

/* Whether pictures may come in another order than they are shown in. */
static gboolean
reorders (const GstStructure *structure)
{
  static const char *const codecs[] = {"video/x-h264",
                                       "video/x-h265",
                                       "video/x-h266",
                                       "video/mpeg",
                                       "video/x-wmv",
                                       "video/x-cavs",
                                       NULL};
  static const char *const in_order[] = {"baseline", "constrained-baseline", NULL};

  return g_strv_contains (codecs, gst_structure_get_name (structure)) &&
         !has_profile (structure, in_order);
}

static void
read_video (const GstStructure *structure, KrRegenFormat *format)
{
  gint n, d;

  if (gst_structure_has_name (structure, "video/x-raw"))
    format->kind = KR_TIMELINE_RAW_VIDEO;
  else
    format->kind = reorders (structure) ? KR_TIMELINE_REORDER : KR_TIMELINE_VIDEO;
  if (!gst_structure_get_fraction (structure, "framerate", &n, &d) || n <= 0 || d <= 0)
    return;
  format->rate_n = n;
  format->rate_d = d;
  format->duration = (gint64)gst_util_uint64_scale (GST_SECOND, (guint64)d, (guint64)n);
}

/* Samples per frame: ISO/IEC 11172-3 and 13818-3 for MPEG audio, 14496-3 for AAC. */
static gint
mpeg_audio_samples (const GstStructure *structure)
{
  gint version = 0, layer = 0, audio_version = 1;

  gst_structure_get_int (structure, "mpegversion", &version);
  if (version != 1)
    return 1024;
  gst_structure_get_int (structure, "layer", &layer);
  gst_structure_get_int (structure, "mpegaudioversion", &audio_version);
  if (layer == 1)
    return 384;
  return layer == 3 && audio_version != 1 ? 576 : 1152;
}

static gint
samples_per_frame (const GstStructure *structure)
{
  if (gst_structure_has_name (structure, "audio/mpeg"))
    return mpeg_audio_samples (structure);
  if (gst_structure_has_name (structure, "audio/x-ac3") ||
      gst_structure_has_name (structure, "audio/x-eac3"))
    return 1536;
  return 0;
}

/* A buffer that is known not to be framed cannot be dropped without breaking a frame. */
static gboolean
is_unframed (const GstStructure *structure)
{
  gboolean framed;

  return (gst_structure_get_boolean (structure, "framed", &framed) && !framed) ||
         (gst_structure_get_boolean (structure, "parsed", &framed) && !framed);
}

static void
read_audio (const GstStructure *structure, GstCaps *caps, KrRegenFormat *format)
{
  GstAudioInfo info;
  gint rate = 0, samples;

  format->kind = is_unframed (structure) ? KR_TIMELINE_OTHER : KR_TIMELINE_AUDIO;
  if (gst_structure_has_name (structure, "audio/x-raw")) {
    if (gst_audio_info_from_caps (&info, caps)) {
      format->sample_rate = GST_AUDIO_INFO_RATE (&info);
      format->bytes_per_frame = GST_AUDIO_INFO_BPF (&info);
    }
    return;
  }
  samples = samples_per_frame (structure);
  gst_structure_get_int (structure, "rate", &rate);
  if (samples > 0 && rate > 0)
    format->duration = (gint64)gst_util_uint64_scale_int_round (GST_SECOND, samples, rate);
}

/**
 * kr_regen_format_from_caps:
 *
 * Anything that is neither audio nor video comes when it pleases: subtitles, captions, KLV,
 * SCTE-35.
 */
void
kr_regen_format_from_caps (GstCaps *caps, KrRegenFormat *format)
{
  const GstStructure *structure = gst_caps_get_structure (caps, 0);
  const char *name = gst_structure_get_name (structure);

  *format = (KrRegenFormat){.kind = KR_TIMELINE_SPARSE};
  if (g_str_has_prefix (name, "video/") || g_str_has_prefix (name, "image/"))
    read_video (structure, format);
  else if (g_str_has_prefix (name, "audio/"))
    read_audio (structure, caps, format);
}
