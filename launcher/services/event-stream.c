/* keeprolling - server-sent events
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/event-stream.h"

#include <string.h>

/* A client that has not taken an event after this long counts as gone. */
#define PATIENCE_US (15 * G_TIME_SPAN_SECOND)

struct _KrEventStream {
  KrHttpGate *gate;
  guint max_clients;
  GPtrArray *clients; /* of KrEventClient */
};

typedef struct {
  KrEventStream *stream;
  SoupServerMessage *message;
  gboolean in_flight; /* the last event is not written yet */
  gint64 sent_at;     /* monotonic */
} KrEventClient;

KrEventStream *
kr_event_stream_new (KrHttpGate *gate, guint max_clients)
{
  KrEventStream *stream = g_new0 (KrEventStream, 1);

  stream->gate = gate;
  stream->max_clients = max_clients;
  stream->clients = g_ptr_array_new ();
  return stream;
}

static void
free_client (KrEventClient *client)
{
  g_signal_handlers_disconnect_by_data (client->message, client);
  g_object_unref (client->message);
  g_free (client);
}

void
kr_event_stream_free (KrEventStream *stream)
{
  if (stream == NULL)
    return;
  for (guint i = 0; i < stream->clients->len; i++)
    free_client (stream->clients->pdata[i]);
  g_ptr_array_unref (stream->clients);
  g_free (stream);
}

static void
on_wrote_chunk (SoupServerMessage *message, gpointer data)
{
  KrEventClient *client = data;

  client->in_flight = FALSE;
}

static void
on_finished (SoupServerMessage *message, gpointer data)
{
  KrEventClient *client = data;

  g_ptr_array_remove_fast (client->stream->clients, client);
  free_client (client);
}

static void
send_to (KrEventClient *client, const char *data)
{
  g_autofree char *event = g_strconcat ("data: ", data, "\n\n", NULL);
  gsize size = strlen (event);

  client->in_flight = TRUE;
  client->sent_at = g_get_monotonic_time ();
  soup_message_body_append_take (soup_server_message_get_response_body (client->message),
                                 (guchar *)g_steal_pointer (&event), size);
  soup_server_message_unpause (client->message);
}

gboolean
kr_event_stream_add (KrEventStream *stream, SoupServerMessage *message, const char *data)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  KrEventClient *client;

  if (stream->clients->len >= stream->max_clients)
    return FALSE;
  client = g_new0 (KrEventClient, 1);
  client->stream = stream;
  client->message = g_object_ref (message);
  g_ptr_array_add (stream->clients, client);
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (on_wrote_chunk), client);
  g_signal_connect (message, "finished", G_CALLBACK (on_finished), client);
  kr_http_gate_keep (stream->gate, message);

  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_set_encoding (headers, SOUP_ENCODING_CHUNKED);
  soup_message_headers_set_content_type (headers, "text/event-stream", NULL);
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  soup_server_message_pause (message);
  send_to (client, data != NULL ? data : "null");
  return TRUE;
}

void
kr_event_stream_send (KrEventStream *stream, const char *data)
{
  for (guint i = stream->clients->len; i > 0; i--) {
    KrEventClient *client = stream->clients->pdata[i - 1];

    if (!client->in_flight)
      send_to (client, data);
    else if (g_get_monotonic_time () - client->sent_at > PATIENCE_US)
      kr_http_gate_drop (stream->gate, client->message);
  }
}

gboolean
kr_event_stream_is_empty (const KrEventStream *stream)
{
  return stream->clients->len == 0;
}
