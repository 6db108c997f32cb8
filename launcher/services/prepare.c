/* keeprolling - what must be there before threads are
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/prepare.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <sys/socket.h>

#ifdef HAVE_STATUS_SERVER
#include <libsoup/soup.h>
#endif

/* Making one of each, and not only asking for its type, initialises the classes too. */
static void
made (gpointer object)
{
  if (object != NULL)
    g_object_unref (object);
}

static void
prepare_connection (int family)
{
  g_autoptr (GSocket) socket = g_socket_new (family, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GSocketConnection) connection = NULL;

  if (socket != NULL)
    connection = g_socket_connection_factory_create_connection (socket);
  if (connection == NULL)
    return;
  g_io_stream_get_input_stream (G_IO_STREAM (connection));
  g_io_stream_get_output_stream (G_IO_STREAM (connection));
}

static void
prepare_sockets (void)
{
  made (g_inet_socket_address_new_from_string ("127.0.0.1", 1));
  made (g_unix_socket_address_new ("/"));
  made (g_socket_client_new ());
  made (g_socket_listener_new ());
  made (g_cancellable_new ());
  made (g_resolver_get_default ());
  g_type_ensure (G_TYPE_TASK);
  prepare_connection (AF_INET);
  prepare_connection (AF_INET6);
  prepare_connection (AF_UNIX);
}

#ifdef HAVE_STATUS_SERVER
static void
prepare_http (void)
{
  made (soup_server_new (NULL, NULL));
  made (soup_session_new ());
  made (soup_message_new ("GET", "http://127.0.0.1/"));
  g_type_class_unref (g_type_class_ref (SOUP_TYPE_SERVER_MESSAGE));
}
#endif

void
kr_services_prepare (void)
{
  static gboolean done;

  if (done)
    return;
  done = TRUE;
  prepare_sockets ();
#ifdef HAVE_STATUS_SERVER
  prepare_http ();
#endif
}
