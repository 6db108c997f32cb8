/* keeprolling - the status server
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/metrics.h"
#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* HTTP for people, scripts and Prometheus: / (page), /health, /livez, /readyz, /startupz,
 * /status, /events (the status as server-sent events), /metrics. It only reads: nothing here
 * changes anything. It runs in a thread of its own and sees nothing but snapshots, so no client
 * can hold up the supervisor, and it still answers when the supervisor hangs. */
typedef struct _KrStatusServer KrStatusServer;

#define KR_STATUS_DEFAULT_LISTEN "127.0.0.1:9478"
/* Clients of /events at the same time; more get 503. */
#define KR_STATUS_MAX_EVENT_CLIENTS 32
/* Token files are short; a longer one is the wrong file. */
#define KR_STATUS_MAX_TOKEN 4096

#define KR_STATUS_ERROR (kr_status_error_quark ())
GQuark kr_status_error_quark (void);
typedef enum {
  KR_STATUS_ERROR_ADDRESS, /* not ADDR:PORT, or not an address of this machine: exit code 78 */
  KR_STATUS_ERROR_TOKEN,   /* token missing for that address, or unusable: exit code 78 */
  KR_STATUS_ERROR_IN_USE,  /* somebody else listens there: try again later, record meanwhile */
} KrStatusErrorCode;

/**
 * kr_status_token_load:
 * @path: of a file with the token in its first line
 * @error: KR_STATUS_ERROR_TOKEN
 *
 * Refuses a file that other users can read, and a token shorter than 16 characters.
 *
 * Returns: (transfer full) (nullable): the token
 */
char *kr_status_token_load (const char *path, GError **error);

/**
 * kr_status_server_new:
 * @listen: "127.0.0.1:9478", "[::1]:0", "localhost:9478"; port 0 takes a free one
 * @token: (nullable): what "Authorization: Bearer" must carry; needed unless @listen is
 * loopback
 * @error: KR_STATUS_ERROR_*
 *
 * Binds at once and serves in a thread of its own until kr_status_server_free().
 *
 * Returns: (transfer full) (nullable): the server
 */
KrStatusServer *kr_status_server_new (const char *listen, const char *token, GError **error);
/* Closes all connections and waits for the thread, which waits for nobody. */
void kr_status_server_free (KrStatusServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrStatusServer, kr_status_server_free)

/* "http://127.0.0.1:9478/" */
const char *kr_status_server_url (const KrStatusServer *server);

/**
 * kr_status_server_publish:
 * @server: a server
 * @snapshot: what to show from now on; a reference is taken
 * @process: the figures of the supervisor itself, copied
 *
 * Never blocks on a client. Main thread.
 */
void kr_status_server_publish (KrStatusServer *server, KrSnapshot *snapshot,
                               const KrProcessFigures *process);

G_END_DECLS
