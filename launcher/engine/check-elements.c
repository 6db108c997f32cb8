/* keeprolling - which elements there are, and where to get the others
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/check-private.h"

#include <string.h>

#include "launcher/core/nearest.h"

typedef struct {
  const char *word; /* a prefix if it ends in '*' */
  const char *package;
} Source;

/* Debian 12, looked up in the packages themselves. The first match counts. */
static const Source sources[] = {
    {"av*", "gstreamer1.0-libav"},
    {"alsa*", "gstreamer1.0-alsa"},
    {"gl*", "gstreamer1.0-gl"},
    {"ximage*", "gstreamer1.0-x"},
    {"xvimage*", "gstreamer1.0-x"},
    {"textoverlay", "gstreamer1.0-x"},
    {"clockoverlay", "gstreamer1.0-x"},
    {"timeoverlay", "gstreamer1.0-x"},
    {"textrender", "gstreamer1.0-x"},
    {"pulse*", "gstreamer1.0-pulseaudio"},
    {"jack*", "gstreamer1.0-plugins-good"},
    {"nice*", "gstreamer1.0-nice"},
    {"pipewire*", "gstreamer1.0-pipewire"},
    {"libcamera*", "gstreamer1.0-libcamera"},
    {"vaapi*", "gstreamer1.0-vaapi"},
    {"qmlgl*", "gstreamer1.0-qt5"},
    {"gtk*", "gstreamer1.0-gtk3"},
    {"rtspclientsink", "gstreamer1.0-rtsp"},
    {"x264enc", "gstreamer1.0-plugins-ugly"},
    {"a52dec", "gstreamer1.0-plugins-ugly"},
    {"mpeg2dec", "gstreamer1.0-plugins-ugly"},
    {"asfdemux", "gstreamer1.0-plugins-ugly"},
    {"dvdreadsrc", "gstreamer1.0-plugins-ugly"},
    {"realmedia*", "gstreamer1.0-plugins-ugly"},
    {"srt*", "gstreamer1.0-plugins-bad"},
    {"rist*", "gstreamer1.0-plugins-bad"},
    {"rtmp*", "gstreamer1.0-plugins-bad"},
    {"webrtc*", "gstreamer1.0-plugins-bad"},
    {"hls*", "gstreamer1.0-plugins-bad"},
    {"dash*", "gstreamer1.0-plugins-bad"},
    {"ts*", "gstreamer1.0-plugins-bad"},
    {"mpegts*", "gstreamer1.0-plugins-bad"},
    {"mpegps*", "gstreamer1.0-plugins-bad"},
    {"h263parse", "gstreamer1.0-plugins-bad"},
    {"h264*", "gstreamer1.0-plugins-bad"},
    {"h265*", "gstreamer1.0-plugins-bad"},
    {"av1*", "gstreamer1.0-plugins-bad"},
    {"x265enc", "gstreamer1.0-plugins-bad"},
    {"openh264*", "gstreamer1.0-plugins-bad"},
    {"openjpeg*", "gstreamer1.0-plugins-bad"},
    {"voaacenc", "gstreamer1.0-plugins-bad"},
    {"fdkaac*", "gstreamer1.0-plugins-bad"},
    {"faac", "gstreamer1.0-plugins-bad"},
    {"faad", "gstreamer1.0-plugins-bad"},
    {"opusparse", "gstreamer1.0-plugins-bad"},
    {"nv*", "gstreamer1.0-plugins-bad"},
    {"va*", "gstreamer1.0-plugins-bad"},
    {"v4l2codecs*", "gstreamer1.0-plugins-bad"},
    {"kms*", "gstreamer1.0-plugins-bad"},
    {"wayland*", "gstreamer1.0-plugins-bad"},
    {"wpe*", "gstreamer1.0-wpe"},
    {"fdsrc", "gstreamer1.0-plugins-base"},
    {"decklink*", "gstreamer1.0-plugins-bad"},
    {"dvb*", "gstreamer1.0-plugins-bad"},
    {"inter*", "gstreamer1.0-plugins-bad"},
    {"ipc*", "gstreamer1.0-plugins-bad"},
    {"shm*", "gstreamer1.0-plugins-bad"},
    {"proxy*", "gstreamer1.0-plugins-bad"},
    {"clockselect", "gstreamer1.0-plugins-bad"},
    {"fpsdisplaysink", "gstreamer1.0-plugins-bad"},
    {"watchdog", "gstreamer1.0-plugins-bad"},
    {"rtsp*", "gstreamer1.0-plugins-good"},
    {"rtp*", "gstreamer1.0-plugins-good"},
    {"udp*", "gstreamer1.0-plugins-good"},
    {"multiudp*", "gstreamer1.0-plugins-good"},
    {"souphttp*", "gstreamer1.0-plugins-good"},
    {"splitmux*", "gstreamer1.0-plugins-good"},
    {"multifile*", "gstreamer1.0-plugins-good"},
    {"matroska*", "gstreamer1.0-plugins-good"},
    {"webmmux", "gstreamer1.0-plugins-good"},
    {"mp4mux", "gstreamer1.0-plugins-good"},
    {"qt*", "gstreamer1.0-plugins-good"},
    {"flv*", "gstreamer1.0-plugins-good"},
    {"avi*", "gstreamer1.0-plugins-good"},
    {"wav*", "gstreamer1.0-plugins-good"},
    {"vp8*", "gstreamer1.0-plugins-good"},
    {"vp9*", "gstreamer1.0-plugins-good"},
    {"v4l2*", "gstreamer1.0-plugins-good"},
    {"jpeg*", "gstreamer1.0-plugins-good"},
    {"png*", "gstreamer1.0-plugins-good"},
    {"flac*", "gstreamer1.0-plugins-good"},
    {"lame*", "gstreamer1.0-plugins-good"},
    {"mpg123*", "gstreamer1.0-plugins-good"},
    {"aacparse", "gstreamer1.0-plugins-good"},
    {"ac3parse", "gstreamer1.0-plugins-good"},
    {"mpegaudioparse", "gstreamer1.0-plugins-good"},
    {"ximagesrc", "gstreamer1.0-plugins-good"},
    {"level", "gstreamer1.0-plugins-good"},
    {"deinterlace", "gstreamer1.0-plugins-good"},
    {"compositor", "gstreamer1.0-plugins-base"},
    {"audiomixer", "gstreamer1.0-plugins-base"},
    {"audio*", "gstreamer1.0-plugins-base"},
    {"video*", "gstreamer1.0-plugins-base"},
    {"uridecodebin*", "gstreamer1.0-plugins-base"},
    {"decodebin*", "gstreamer1.0-plugins-base"},
    {"playbin*", "gstreamer1.0-plugins-base"},
    {"opus*", "gstreamer1.0-plugins-base"},
    {"ogg*", "gstreamer1.0-plugins-base"},
    {"vorbis*", "gstreamer1.0-plugins-base"},
    {"theora*", "gstreamer1.0-plugins-base"},
    {"tcp*", "gstreamer1.0-plugins-base"},
    {"app*", "gstreamer1.0-plugins-base"},
};

static const char *const own_elements[] = {
    "timestampregen", "mpegtsregen", "growthmonitorsink", "atomicfilesink", "relaysink",
    "relaysrc",       NULL,
};

static const char *
package_of (const char *word)
{
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++) {
    gsize n = strlen (sources[i].word);

    if (sources[i].word[n - 1] == '*' ? strncmp (word, sources[i].word, n - 1) == 0
                                      : strcmp (word, sources[i].word) == 0)
      return sources[i].package;
  }
  return NULL;
}

/* Names of all installed elements, NULL-terminated; made once. */
static const char *const *
installed_elements (void)
{
  static GPtrArray *names;
  static gsize once;

  if (g_once_init_enter (&once)) {
    GList *features =
        gst_registry_get_feature_list (gst_registry_get (), GST_TYPE_ELEMENT_FACTORY);

    names = g_ptr_array_new ();
    for (GList *at = features; at != NULL; at = at->next)
      g_ptr_array_add (names, g_strdup (gst_plugin_feature_get_name (at->data)));
    g_ptr_array_add (names, NULL);
    gst_plugin_feature_list_free (features);
    g_once_init_leave (&once, 1);
  }
  return (const char *const *)names->pdata;
}

static char *
hint_for_missing (const char *word)
{
  const char *package = package_of (word);
  const char *nearest = kr_nearest (word, installed_elements ());

  if (g_strv_contains (own_elements, word))
    return g_strdup ("it is keeprolling's own: install libgstkeeprolling.so, or set "
                     "GST_PLUGIN_PATH to the folder it is in");
  if (nearest != NULL && package != NULL)
    return g_strdup_printf ("did you mean %s? If not: Debian may have it in %s", nearest,
                            package);
  if (nearest != NULL)
    return g_strdup_printf ("did you mean %s?", nearest);
  if (package != NULL)
    return g_strdup_printf ("Debian may have it in %s", package);
  return g_strdup ("gst-inspect-1.0 lists the elements there are");
}

GType
kr_check_element (const KrCheck *check, const char *word, gsize offset)
{
  g_autoptr (GstElementFactory) factory = NULL;
  g_autoptr (GstPluginFeature) loaded = NULL;
  g_autofree char *quoted = NULL;

  if (kr_check_is_unknown (check, word))
    return G_TYPE_INVALID;
  quoted = kr_quote_word (word);
  factory = gst_element_factory_find (word);
  if (factory == NULL) {
    kr_check_complain (check, offset, hint_for_missing (word),
                       "there is no element %s on this machine", quoted);
    return G_TYPE_INVALID;
  }
  loaded = gst_plugin_feature_load (GST_PLUGIN_FEATURE (factory));
  if (loaded == NULL) {
    kr_check_complain (check, offset, g_strdup_printf ("gst-inspect-1.0 %s says why", word),
                       "the plugin of element %s cannot be loaded", quoted);
    return G_TYPE_INVALID;
  }
  return gst_element_factory_get_element_type (GST_ELEMENT_FACTORY (loaded));
}
