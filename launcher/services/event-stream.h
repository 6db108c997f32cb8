/* keeprolling - server-sent events
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <libsoup/soup.h>

#include "launcher/services/http-gate.h"

G_BEGIN_DECLS

/* Clients that want to be told what is new, as text/event-stream (HTML standard, 9.2). For each
 * client at most one event is in flight: one that reads slowly misses events in between, and
 * always gets the newest next. One that does not read at all is dropped. */
typedef struct _KrEventStream KrEventStream;

/* @gate must outlive the stream. */
KrEventStream *kr_event_stream_new (KrHttpGate *gate, guint max_clients);
void kr_event_stream_free (KrEventStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrEventStream, kr_event_stream_free)

/* Turns @message into a stream that begins with @data (nullable). FALSE if there are too many
 * clients; @message is as it was then. */
gboolean kr_event_stream_add (KrEventStream *stream, SoupServerMessage *message,
                              const char *data);
/* Sends one event to everybody. @data has no newline in it. */
void kr_event_stream_send (KrEventStream *stream, const char *data);
gboolean kr_event_stream_is_empty (const KrEventStream *stream);

G_END_DECLS
