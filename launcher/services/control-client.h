/* keeprolling - asking supervisors that run
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* The other side of control-socket. Blocks, with a bound: for commands, not for the
 * supervisor. */

/* For one answer. */
#define KR_CONTROL_TIMEOUT_MS 5000
#define KR_CONTROL_MAX_ANSWER (64 * 1024 * 1024)

/* A connected socket address may be longer than sun_path allows: goes by the folder's
 * descriptor. Returns a connected, close-on-exec stream socket, or -1 and errno. */
int kr_control_connect (const char *path);

/**
 * kr_control_find:
 * @folder: where to look, and one level below
 *
 * Returns: (transfer full) (element-type utf8): paths of what may be control sockets
 */
GPtrArray *kr_control_find (const char *folder);

/**
 * kr_control_ask:
 * @path: of a socket
 * @command: "status", "stop"
 * @files: (nullable) (array zero-terminated=1): its files
 * @error: %G_IO_ERROR: CONNECTION_REFUSED or NOT_FOUND if nobody is there any more, FAILED with
 * what the supervisor says
 *
 * Returns: (transfer full) (nullable): the answer, an object
 */
JsonNode *kr_control_ask (const char *path, const char *command, const char *const *files,
                          GError **error);

/* What is heard of a reload or a stop. @file: "" = none in particular. */
typedef struct {
  void (*progress) (const char *file, const char *text, gpointer data);
  void (*result) (const char *file, int code, const char *text, gpointer data);
} KrControlListener;

/**
 * kr_control_reload:
 * @path: of a socket
 * @files: (array zero-terminated=1): names or paths, empty = all
 * @all: what has not changed, too
 * @in_turn: the old worker ends before the new one starts
 * @listener: static
 * @data: for the listener
 * @ret_text: (out) (transfer full): what people should know besides the results
 * @error: as kr_control_ask()
 *
 * Waits for the end, however long it takes, as long as the supervisor says something.
 *
 * Returns: an exit code, or -1 and @error
 */
int kr_control_reload (const char *path, const char *const *files, gboolean all,
                       gboolean in_turn, const KrControlListener *listener, gpointer data,
                       char **ret_text, GError **error);

/**
 * kr_control_stop:
 * @path: of a socket
 * @files: (array zero-terminated=1): names or paths, empty = all
 * @listener: static
 * @data: for the listener
 * @ret_text: (out) (transfer full): what people should know besides the results
 * @error: as kr_control_ask()
 *
 * Ends them in good order, and waits for the end as kr_control_reload() does.
 *
 * Returns: an exit code, or -1 and @error
 */
int kr_control_stop (const char *path, const char *const *files,
                     const KrControlListener *listener, gpointer data, char **ret_text,
                     GError **error);

G_END_DECLS
