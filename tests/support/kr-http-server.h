/* keeprolling - an HTTP server that behaves as badly as a test wants
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  KR_SERVER_GOOD,         /* answers with the status */
  KR_SERVER_SILENT,       /* takes the request and says nothing */
  KR_SERVER_TRICKLE,      /* a byte of the head now and then */
  KR_SERVER_ENDLESS_BODY, /* answers with the status and a body without end */
  KR_SERVER_ENDLESS_HEAD, /* headers without end */
  KR_SERVER_CIRCLE,       /* redirects to itself */
  KR_SERVER_GARBAGE,      /* no HTTP */
  KR_SERVER_CLOSE,        /* hangs up at once */
} KrServerMode;

/* Its handlers run in threads of their own; all functions may be called from any thread. */
typedef struct _KrHttpServer KrHttpServer;

KrHttpServer *kr_http_server_new (KrServerMode mode, int status);
/* Ends what the handlers are doing. */
void kr_http_server_free (KrHttpServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrHttpServer, kr_http_server_free)

void kr_http_server_set (KrHttpServer *server, KrServerMode mode, int status);
/* A header line of all answers from now on, such as "Retry-After: 3"; NULL = none. */
void kr_http_server_set_header (KrHttpServer *server, const char *header);
/* "http://127.0.0.1:PORT/hook/SECRET"; the server's */
const char *kr_http_server_uri (const KrHttpServer *server);
/* Requests so far. */
guint kr_http_server_n_requests (KrHttpServer *server);
/* Head and body of the request @i (transfer full). */
char *kr_http_server_request (KrHttpServer *server, guint i);
/* Bytes of answers sent. */
guint64 kr_http_server_sent (KrHttpServer *server);

G_END_DECLS
