/* keeprolling - the supervisor's control socket
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* JSON objects, one per line, over a stream socket that only its owner may use:
 *   {"command":"status"}                   {"ok":true,"pid":1,"status":{...}}
 *   {"command":"stop","files":["cam1"]}    {"ok":true}
 *   ...,"wait":true}                       progress, results and code, as for a reload
 *   {"command":"reload","files":[],"all":false,"in_turn":false}
 *                                          {"progress":true,"file":"cam1","text":"..."} ...
 *                                          {"result":true,"file":"cam1","code":0,"text":""} ...
 *                                          {"ok":true,"code":0,"text":""}, or
 *                                          {"again":true}: connect and ask again
 *   anything else                          {"ok":false,"error":"..."}
 * An empty list of files means all. Each supervisor has a socket of its own in the folder,
 * named after its instance, so that several can live beside each other. Main thread; a client
 * that is slow or says nothing only waits for itself. */
typedef struct _KrControlSocket KrControlSocket;

#define KR_CONTROL_MAX_CLIENTS  16
#define KR_CONTROL_MAX_REQUEST  (64 * 1024)
#define KR_CONTROL_IDLE_SECONDS 30

/* A client that waits for the end of what it has asked for. It hears of it until it goes away.
 */
typedef struct _KrControlReply KrControlReply;

/* @file: (nullable): what it is about. Left out where the client does not listen. */
void kr_control_reply_progress (KrControlReply *reply, const char *file, const char *text);
/* One of its files is done. */
void kr_control_reply_result (KrControlReply *reply, const char *file, int code,
                              const char *text);
/* The program is being replaced by a new one: the client is to ask that one again. The last
 * word; frees @reply. */
void kr_control_reply_again (KrControlReply *reply);
/* The last word; frees @reply. @code: an exit code. */
void kr_control_reply_end (KrControlReply *reply, int code, const char *text);

/* What a client wants. */
typedef struct {
  const char *const *files; /* (array zero-terminated=1): names or paths, empty = all */
  gboolean all;
  gboolean in_turn;
} KrControlReload;

typedef struct {
  /* The newest one, which stays the owner's. */
  KrSnapshot *(*snapshot) (gpointer data);
  /* @files: (array zero-terminated=1): names or paths, empty = all. FALSE and @error if one is
   * not known; then nothing is stopped. Returns before they have ended. @reply: (nullable):
   * gets to hear how it goes, and is to be ended, after this has returned; unless that is
   * FALSE. */
  gboolean (*stop) (const char *const *files, KrControlReply *reply, GError **error,
                    gpointer data);
  /* Begins; @reply gets to hear how it goes, and is to be ended, after this has returned. FALSE
   * and @error if it does not begin: @reply is not to be used then. */
  gboolean (*reload) (const KrControlReload *wish, KrControlReply *reply, GError **error,
                      gpointer data);
} KrControlCallbacks;

/**
 * kr_control_socket_new:
 * @folder: made with mode 0700 if it is not there
 * @instance: of this supervisor
 * @callbacks: static
 * @error: %G_IO_ERROR
 *
 * Sockets in @folder that nobody listens at any more are removed.
 *
 * Returns: (transfer full) (nullable): the socket, listening
 */
KrControlSocket *kr_control_socket_new (const char *folder, const char *instance,
                                        const KrControlCallbacks *callbacks, gpointer data,
                                        GError **error);
void kr_control_socket_free (KrControlSocket *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrControlSocket, kr_control_socket_free)

const char *kr_control_socket_get_path (const KrControlSocket *control);

G_END_DECLS
