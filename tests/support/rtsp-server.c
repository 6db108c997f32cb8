/* keeprolling - an RTSP camera for the tests
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* rtsp-server "( LAUNCH LINE with payloaders pay0, pay1 )"
 * Serves it at /stream on a free port of 127.0.0.1 and prints the port. Ends when killed. */

#include <gst/rtsp-server/rtsp-server.h>

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (GstRTSPServer) server = NULL;
  g_autoptr (GstRTSPMountPoints) mounts = NULL;
  GstRTSPMediaFactory *factory;

  gst_init (&argc, &argv);
  if (argc != 2) {
    g_printerr ("usage: rtsp-server \"( LAUNCH LINE )\"\n");
    return 64;
  }

  loop = g_main_loop_new (NULL, FALSE);
  server = gst_rtsp_server_new ();
  gst_rtsp_server_set_address (server, "127.0.0.1");
  gst_rtsp_server_set_service (server, "0");

  factory = gst_rtsp_media_factory_new ();
  gst_rtsp_media_factory_set_launch (factory, argv[1]);
  gst_rtsp_media_factory_set_shared (factory, TRUE);
  mounts = gst_rtsp_server_get_mount_points (server);
  gst_rtsp_mount_points_add_factory (mounts, "/stream", factory);

  if (gst_rtsp_server_attach (server, NULL) == 0) {
    g_printerr ("cannot listen on 127.0.0.1\n");
    return 74;
  }
  g_print ("%d\n", gst_rtsp_server_get_bound_port (server));
  g_main_loop_run (loop);
  return 0;
}
