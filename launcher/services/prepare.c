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
prepare_sockets (void)
{
  static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
  g_autoptr (GSocketAddress) inet = g_inet_socket_address_new_from_string ("127.0.0.1", 1);
  g_autoptr (GSocketAddress) local = g_unix_socket_address_new ("/");
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, NULL, NULL);
  g_autoptr (GResolver) resolver = g_resolver_get_default ();

  for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
    g_autoptr (GSocket) socket = g_socket_new (families[i], G_SOCKET_TYPE_STREAM, 0, NULL);
    g_autoptr (GSocketConnection) connection = NULL;

    if (socket != NULL)
      connection = g_socket_connection_factory_create_connection (socket);
    if (connection != NULL) {
      g_io_stream_get_input_stream (G_IO_STREAM (connection));
      g_io_stream_get_output_stream (G_IO_STREAM (connection));
    }
  }
  g_task_return_boolean (task, TRUE);
}

#ifdef HAVE_STATUS_SERVER
static void
prepare_http (void)
{
  g_autoptr (SoupServer) server = soup_server_new (NULL, NULL);
  g_autoptr (SoupSession) session = soup_session_new ();
  g_autoptr (SoupMessage) message = soup_message_new ("GET", "http://127.0.0.1/");

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
