/* keeprolling - who may connect to the status server, and for how long
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>
#include <libsoup/soup.h>

G_BEGIN_DECLS

/* Accepts connections for a SoupServer and bounds what a peer can take: how many connections
 * there are, and how long one may stay without having asked for anything. Lives in the thread
 * default main context of its maker. */
typedef struct _KrHttpGate KrHttpGate;

/* With more, the one that has waited longest without asking for anything has to go: a crowd
 * that says nothing keeps no probe out. */
#define KR_HTTP_MAX_CONNECTIONS 128
/* A connection that has no whole request after this long is closed: it is slow, or lying. The
 * same holds for one that is kept alive without a further request, and for one that does not
 * take its answer. */
#define KR_HTTP_IDLE_SECONDS 10

/* Takes a reference on @server and on @socket, which listens already. */
KrHttpGate *kr_http_gate_new (SoupServer *server, GSocket *socket);
void kr_http_gate_free (KrHttpGate *gate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrHttpGate, kr_http_gate_free)

/* The peer of @message is doing what it should until told otherwise: no deadline for it. */
void kr_http_gate_keep (KrHttpGate *gate, SoupServerMessage *message);
/* It is not: close its connection. */
void kr_http_gate_drop (KrHttpGate *gate, SoupServerMessage *message);

guint kr_http_gate_n_connections (const KrHttpGate *gate);
guint64 kr_http_gate_n_refused (const KrHttpGate *gate);

G_END_DECLS
