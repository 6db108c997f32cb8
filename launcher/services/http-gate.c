/* keeprolling - who may connect to the status server, and for how long
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/http-gate.h"

struct _KrHttpGate {
  SoupServer *server;
  GSocketListener *listener;
  GCancellable *cancel;
  GQueue peers; /* of KrHttpPeer, the oldest first */
  guint64 n_refused;
  gulong signals[2];
};

/* One connection. The remote address object carries it from here to the messages. */
typedef struct {
  KrHttpGate *gate;
  GSocketAddress *remote; /* knows the peer as long as that lives */
  GIOStream *stream;      /* not owned: libsoup closes it; we learn of it by a weak reference */
  GSource *deadline;      /* NULL = none */
  gboolean closing;
  GList link; /* in peers */
} KrHttpPeer;

#define PEER_KEY "kr-http-peer"

static void accept_next (KrHttpGate *gate);

static void
clear_deadline (KrHttpPeer *peer)
{
  if (peer->deadline == NULL)
    return;
  g_source_destroy (peer->deadline);
  g_clear_pointer (&peer->deadline, g_source_unref);
}

/* Both directions at once: libsoup sees the end of the stream and cleans up by itself. Closing
 * the stream would pull it away under its reads. */
static void
shut_down (KrHttpPeer *peer)
{
  GSocket *socket = g_socket_connection_get_socket (G_SOCKET_CONNECTION (peer->stream));

  clear_deadline (peer);
  peer->closing = TRUE;
  g_socket_shutdown (socket, TRUE, TRUE, NULL);
}

static gboolean
on_deadline (gpointer data)
{
  shut_down (data);
  return G_SOURCE_REMOVE;
}

static void
arm (KrHttpPeer *peer)
{
  clear_deadline (peer);
  peer->deadline = g_timeout_source_new_seconds (KR_HTTP_IDLE_SECONDS);
  g_source_set_callback (peer->deadline, on_deadline, peer, NULL);
  g_source_attach (peer->deadline, g_main_context_get_thread_default ());
}

/* A message may outlive its connection, and would ask for the peer. */
static void
free_peer (KrHttpPeer *peer)
{
  clear_deadline (peer);
  g_object_set_data (G_OBJECT (peer->remote), PEER_KEY, NULL);
  g_object_unref (peer->remote);
  g_queue_unlink (&peer->gate->peers, &peer->link);
  g_free (peer);
}

static void
on_stream_gone (gpointer data, GObject *stream)
{
  KrHttpPeer *peer = data;

  free_peer (peer);
}

/* The oldest of those that have a deadline: it has asked for nothing yet, or takes its time
 * with the answer. Closing takes a round of the loop; the closed ones are still in the queue.
 */
static gboolean
make_room (KrHttpGate *gate)
{
  if (gate->peers.length >= 2 * KR_HTTP_MAX_CONNECTIONS)
    return FALSE;
  for (GList *l = gate->peers.head; l != NULL; l = l->next) {
    KrHttpPeer *peer = l->data;

    if (peer->deadline != NULL && !peer->closing) {
      shut_down (peer);
      return TRUE;
    }
  }
  return FALSE;
}

static void
admit (KrHttpGate *gate, GSocketConnection *connection)
{
  g_autoptr (GSocketAddress) local = g_socket_connection_get_local_address (connection, NULL);
  g_autoptr (GSocketAddress) remote = g_socket_connection_get_remote_address (connection, NULL);
  KrHttpPeer *peer;

  if (local == NULL || remote == NULL)
    return; /* gone already */
  if (gate->peers.length >= KR_HTTP_MAX_CONNECTIONS && !make_room (gate)) {
    gate->n_refused++;
    return; /* the last reference goes, and the connection with it */
  }
  peer = g_new0 (KrHttpPeer, 1);
  peer->gate = gate;
  peer->stream = G_IO_STREAM (connection);
  g_object_weak_ref (G_OBJECT (connection), on_stream_gone, peer);
  peer->link.data = peer;
  g_queue_push_tail_link (&gate->peers, &peer->link);
  peer->remote = g_object_ref (remote);
  g_object_set_data (G_OBJECT (remote), PEER_KEY, peer);
  arm (peer);
  if (!soup_server_accept_iostream (gate->server, peer->stream, local, remote, NULL))
    shut_down (peer);
}

static gboolean
on_accept_again (gpointer data)
{
  accept_next (data);
  return G_SOURCE_REMOVE;
}

static void
on_accepted (GObject *listener, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketConnection) connection =
      g_socket_listener_accept_finish (G_SOCKET_LISTENER (listener), result, NULL, &error);
  KrHttpGate *gate = data;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* the gate is gone: do not touch it */
  if (connection != NULL) {
    admit (gate, connection);
    accept_next (gate);
  } else {
    /* Out of descriptors, most likely. Trying again at once would spin. */
    g_autoptr (GSource) later = g_timeout_source_new (100);

    g_source_set_callback (later, on_accept_again, gate, NULL);
    g_source_attach (later, g_main_context_get_thread_default ());
  }
}

static void
accept_next (KrHttpGate *gate)
{
  g_socket_listener_accept_async (gate->listener, gate->cancel, on_accepted, gate);
}

static KrHttpPeer *
peer_of (SoupServerMessage *message)
{
  GSocketAddress *remote = soup_server_message_get_remote_address (message);

  return remote != NULL ? g_object_get_data (G_OBJECT (remote), PEER_KEY) : NULL;
}

/* A whole request is there, and now an answer is due; a slow reader has as long again. */
static void
on_request_read (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  KrHttpPeer *peer = peer_of (message);

  if (peer != NULL)
    arm (peer);
}

static void
on_request_finished (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  KrHttpPeer *peer = peer_of (message);

  if (peer != NULL)
    arm (peer);
}

KrHttpGate *
kr_http_gate_new (SoupServer *server, GSocket *socket)
{
  KrHttpGate *gate = g_new0 (KrHttpGate, 1);

  gate->server = g_object_ref (server);
  gate->listener = g_socket_listener_new ();
  gate->cancel = g_cancellable_new ();
  g_queue_init (&gate->peers);
  gate->signals[0] =
      g_signal_connect (server, "request-read", G_CALLBACK (on_request_read), gate);
  gate->signals[1] =
      g_signal_connect (server, "request-finished", G_CALLBACK (on_request_finished), gate);
  g_socket_listener_add_socket (gate->listener, socket, NULL, NULL);
  accept_next (gate);
  return gate;
}

void
kr_http_gate_free (KrHttpGate *gate)
{
  KrHttpPeer *peer;

  if (gate == NULL)
    return;
  g_cancellable_cancel (gate->cancel);
  g_signal_handler_disconnect (gate->server, gate->signals[0]);
  g_signal_handler_disconnect (gate->server, gate->signals[1]);
  while ((peer = g_queue_peek_head (&gate->peers)) != NULL) {
    g_object_weak_unref (G_OBJECT (peer->stream), on_stream_gone, peer);
    shut_down (peer);
    free_peer (peer);
  }
  g_socket_listener_close (gate->listener);
  g_object_unref (gate->listener);
  g_object_unref (gate->cancel);
  g_object_unref (gate->server);
  g_free (gate);
}

void
kr_http_gate_keep (KrHttpGate *gate, SoupServerMessage *message)
{
  KrHttpPeer *peer = peer_of (message);

  if (peer != NULL)
    clear_deadline (peer);
}

void
kr_http_gate_drop (KrHttpGate *gate, SoupServerMessage *message)
{
  KrHttpPeer *peer = peer_of (message);

  if (peer != NULL)
    shut_down (peer);
}

guint
kr_http_gate_n_connections (const KrHttpGate *gate)
{
  return gate->peers.length;
}

guint64
kr_http_gate_n_refused (const KrHttpGate *gate)
{
  return gate->n_refused;
}
