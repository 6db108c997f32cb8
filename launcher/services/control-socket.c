/* keeprolling - the supervisor's control socket
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/control-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib-unix.h>
#include <json-glib/json-glib.h>

#include "launcher/services/control-client.h"
#include "launcher/services/status-json.h"

struct _KrControlSocket {
  const KrControlCallbacks *callbacks;
  gpointer data;
  char *path;
  int fd;
  guint accept_id;
  GPtrArray *clients; /* of Client */
};

typedef struct {
  KrControlSocket *control;
  int fd;
  GString *in;
  GString *out; /* while it is not empty, nothing is read */
  gsize sent;
  guint io_id;
  guint idle_id;
  KrControlReply *reply; /* it waits for the end of this; NULL = for nothing */
} Client;

struct _KrControlReply {
  Client *client; /* NULL = it has gone */
};

/* What may wait for a client that does not read. */
#define MAX_PROGRESS (64 * 1024)

static void wait_for (Client *client, GIOCondition condition);
static void get_on (Client *client);
static void restart_idle_timer (Client *client);
static gboolean flush (Client *client);

static void
client_free (Client *client)
{
  g_clear_handle_id (&client->io_id, g_source_remove);
  g_clear_handle_id (&client->idle_id, g_source_remove);
  if (client->reply != NULL)
    client->reply->client = NULL;
  close (client->fd);
  g_string_free (client->in, TRUE);
  g_string_free (client->out, TRUE);
  g_free (client);
}

static void
drop (Client *client)
{
  g_ptr_array_remove_fast (client->control->clients, client);
}

/* --- requests -------------------------------------------------------------------------- */

static void
answer_error (Client *client, const char *message)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "ok");
  json_builder_add_boolean_value (builder, FALSE);
  json_builder_set_member_name (builder, "error");
  json_builder_add_string_value (builder, message);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  g_string_append_printf (client->out, "%s\n", text);
}

static void
handle_status (Client *client)
{
  KrControlSocket *control = client->control;
  g_autofree char *status =
      kr_status_to_json (control->callbacks->snapshot (control->data), KR_STATUS_FULL);

  g_string_append_printf (client->out, "{\"ok\":true,\"pid\":%d,\"status\":%s}\n",
                          (int)getpid (), status);
}

/* The "files" of @request, NULL-terminated; NULL: the mistake has been answered. The strings
 * stay the request's. */
static GPtrArray *
take_files (Client *client, JsonObject *request)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new ();
  JsonNode *node = json_object_get_member (request, "files");
  JsonArray *list =
      node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  /* To stop all by a request that was garbled would be the worst of answers. */
  if (list == NULL) {
    answer_error (client, "this needs a list of files, which may be empty: then all are meant");
    return NULL;
  }
  for (guint i = 0; i < json_array_get_length (list); i++) {
    JsonNode *element = json_array_get_element (list, i);

    if (json_node_get_value_type (element) != G_TYPE_STRING) {
      answer_error (client, "a file must be a string");
      return NULL;
    }
    g_ptr_array_add (files, (gpointer)json_node_get_string (element));
  }
  g_ptr_array_add (files, NULL);
  return g_steal_pointer (&files);
}

static gboolean
take_flag (JsonObject *request, const char *name)
{
  JsonNode *node = json_object_get_member (request, name);

  return node != NULL && json_node_get_value_type (node) == G_TYPE_BOOLEAN &&
         json_node_get_boolean (node);
}

/* @client waits for the end of what it asks for. */
static KrControlReply *
begin_reply (Client *client)
{
  client->reply = g_new0 (KrControlReply, 1);
  client->reply->client = client;
  return client->reply;
}

/* It may take long, and is not the client's silence. If it does not begin, @error says why. */
static void
end_beginning (Client *client, gboolean begun, const GError *error)
{
  if (begun) {
    g_clear_handle_id (&client->idle_id, g_source_remove);
    return;
  }
  g_clear_pointer (&client->reply, g_free);
  answer_error (client, error->message);
}

static void
handle_stop (Client *client, JsonObject *request)
{
  KrControlSocket *control = client->control;
  g_autoptr (GPtrArray) files = take_files (client, request);
  g_autoptr (GError) error = NULL;
  gboolean waits = take_flag (request, "wait");
  gboolean begun;

  if (files == NULL)
    return;
  begun = control->callbacks->stop ((const char *const *)files->pdata,
                                    waits ? begin_reply (client) : NULL, &error, control->data);
  if (waits || !begun)
    end_beginning (client, begun, error);
  else
    g_string_append (client->out, "{\"ok\":true}\n");
}

static void
handle_reload (Client *client, JsonObject *request)
{
  KrControlSocket *control = client->control;
  g_autoptr (GPtrArray) files = take_files (client, request);
  g_autoptr (GError) error = NULL;
  KrControlReload wish = {.all = take_flag (request, "all"),
                          .in_turn = take_flag (request, "in_turn")};
  gboolean begun;

  if (files == NULL)
    return;
  wish.files = (const char *const *)files->pdata;
  begun = control->callbacks->reload (&wish, begin_reply (client), &error, control->data);
  end_beginning (client, begun, error);
}

static void
handle_line (Client *client, const char *line, gsize length)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  JsonNode *root, *node;
  const char *command = NULL;

  if (!json_parser_load_from_data (parser, line, (gssize)length, NULL) ||
      (root = json_parser_get_root (parser)) == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    answer_error (client, "a request is a JSON object");
    return;
  }
  node = json_object_get_member (json_node_get_object (root), "command");
  if (node != NULL && json_node_get_value_type (node) == G_TYPE_STRING)
    command = json_node_get_string (node);
  if (g_strcmp0 (command, "status") == 0)
    handle_status (client);
  else if (g_strcmp0 (command, "stop") == 0)
    handle_stop (client, json_node_get_object (root));
  else if (g_strcmp0 (command, "reload") == 0)
    handle_reload (client, json_node_get_object (root));
  else
    answer_error (client, "unknown command; there are: reload, status, stop");
}

/* --- replies that take their time ------------------------------------------------------- */

static JsonBuilder *
begin_line (void)
{
  JsonBuilder *builder = json_builder_new_immutable ();

  json_builder_begin_object (builder);
  return builder;
}

static void
add_text (JsonBuilder *builder, const char *name, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text != NULL ? text : "", -1);

  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, valid);
}

static void
end_line (Client *client, JsonBuilder *builder)
{
  g_autoptr (JsonBuilder) owned = builder;
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_end_object (owned);
  root = json_builder_get_root (owned);
  text = json_to_string (root, FALSE);
  g_string_append_printf (client->out, "%s\n", text);
  get_on (client);
}

void
kr_control_reply_progress (KrControlReply *reply, const char *file, const char *text)
{
  JsonBuilder *builder;

  if (reply->client == NULL || reply->client->out->len > MAX_PROGRESS)
    return;
  builder = begin_line ();
  json_builder_set_member_name (builder, "progress");
  json_builder_add_boolean_value (builder, TRUE);
  add_text (builder, "file", file);
  add_text (builder, "text", text);
  end_line (reply->client, builder);
}

void
kr_control_reply_result (KrControlReply *reply, const char *file, int code, const char *text)
{
  JsonBuilder *builder;

  if (reply->client == NULL)
    return;
  builder = begin_line ();
  json_builder_set_member_name (builder, "result");
  json_builder_add_boolean_value (builder, TRUE);
  add_text (builder, "file", file);
  json_builder_set_member_name (builder, "code");
  json_builder_add_int_value (builder, code);
  add_text (builder, "text", text);
  end_line (reply->client, builder);
}

void
kr_control_reply_again (KrControlReply *reply)
{
  Client *client = reply->client;
  JsonBuilder *builder;

  g_free (reply);
  if (client == NULL)
    return;
  client->reply = NULL;
  builder = begin_line ();
  json_builder_set_member_name (builder, "again");
  json_builder_add_boolean_value (builder, TRUE);
  end_line (client, builder);
  if (!flush (client))
    drop (client);
}

void
kr_control_reply_end (KrControlReply *reply, int code, const char *text)
{
  Client *client = reply->client;
  JsonBuilder *builder;

  g_free (reply);
  if (client == NULL)
    return;
  client->reply = NULL;
  restart_idle_timer (client);
  builder = begin_line ();
  json_builder_set_member_name (builder, "ok");
  json_builder_add_boolean_value (builder, TRUE);
  json_builder_set_member_name (builder, "code");
  json_builder_add_int_value (builder, code);
  add_text (builder, "text", text);
  end_line (client, builder);
  /* At once, as this may be the last thing that this process does. */
  if (!flush (client))
    drop (client);
}

/* --- clients --------------------------------------------------------------------------- */

static gboolean
on_idle_too_long (gpointer data)
{
  Client *client = data;

  client->idle_id = 0;
  drop (client);
  return G_SOURCE_REMOVE;
}

static void
restart_idle_timer (Client *client)
{
  g_clear_handle_id (&client->idle_id, g_source_remove);
  client->idle_id = g_timeout_add_seconds (KR_CONTROL_IDLE_SECONDS, on_idle_too_long, client);
}

/* FALSE if the client is gone. */
static gboolean
flush (Client *client)
{
  while (client->sent < client->out->len) {
    gssize n = send (client->fd, client->out->str + client->sent,
                     client->out->len - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      wait_for (client, G_IO_OUT);
      return TRUE;
    }
    if (n < 0)
      return FALSE;
    client->sent += (gsize)n;
  }
  g_string_truncate (client->out, 0);
  client->sent = 0;
  wait_for (client, G_IO_IN);
  return TRUE;
}

/* One request at a time: as long as its answer is not taken, no more is read. */
static gboolean
handle_requests (Client *client)
{
  while (client->out->len == 0 && client->reply == NULL) {
    const char *end = memchr (client->in->str, '\n', client->in->len);

    if (end == NULL)
      return client->in->len <= KR_CONTROL_MAX_REQUEST;
    restart_idle_timer (client);
    handle_line (client, client->in->str, (gsize)(end - client->in->str));
    g_string_erase (client->in, 0, end - client->in->str + 1);
    if (!flush (client))
      return FALSE;
  }
  return client->in->len <= KR_CONTROL_MAX_REQUEST;
}

/* There is something to say that nobody has just asked for. A client that is gone is noticed by
 * its source, as this may be in the middle of anything. */
static void
get_on (Client *client)
{
  if (client->sent == 0)
    wait_for (client, G_IO_IN | G_IO_OUT);
}

static gboolean
on_readable (Client *client)
{
  char buffer[4096];
  gssize n = recv (client->fd, buffer, sizeof buffer, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return TRUE;
  if (n <= 0)
    return FALSE;
  g_string_append_len (client->in, buffer, n);
  return handle_requests (client);
}

static gboolean
on_io (int fd, GIOCondition condition, gpointer data)
{
  Client *client = data;
  gboolean fine;

  if (client->out->len > 0)
    fine = flush (client) && handle_requests (client);
  else
    fine = on_readable (client);
  if (!fine) {
    drop (client);
    return G_SOURCE_REMOVE;
  }
  return G_SOURCE_CONTINUE;
}

/* May run in the source that it replaces: GLib lets that one end in peace. */
static void
wait_for (Client *client, GIOCondition condition)
{
  g_clear_handle_id (&client->io_id, g_source_remove);
  client->io_id = g_unix_fd_add (client->fd, condition, on_io, client);
}

static gboolean
on_connection (int fd, GIOCondition condition, gpointer data)
{
  KrControlSocket *control = data;
  int client_fd = accept4 (fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  Client *client;

  if (client_fd < 0)
    return G_SOURCE_CONTINUE;
  if (control->clients->len >= KR_CONTROL_MAX_CLIENTS) {
    close (client_fd);
    return G_SOURCE_CONTINUE;
  }
  client = g_new0 (Client, 1);
  client->control = control;
  client->fd = client_fd;
  client->in = g_string_new (NULL);
  client->out = g_string_new (NULL);
  g_ptr_array_add (control->clients, client);
  restart_idle_timer (client);
  wait_for (client, G_IO_IN);
  return G_SOURCE_CONTINUE;
}

/* --- the socket ------------------------------------------------------------------------ */

static gboolean
fail (GError **error, const char *what, const char *path)
{
  int saved = errno;

  g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (saved), "cannot %s %s: %s", what,
               path, g_strerror (saved));
  return FALSE;
}

/* A supervisor that was killed leaves its socket behind. */
static void
remove_stale (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    int fd;

    if (!g_str_has_suffix (name, ".sock"))
      continue;
    fd = kr_control_connect (path);
    if (fd >= 0)
      close (fd);
    else if (errno == ECONNREFUSED)
      unlink (path);
  }
}

/* Under its name it listens from the first moment on, so that nobody takes it for stale. */
static gboolean
bind_and_listen (KrControlSocket *control, int folder_fd, const char *instance, GError **error)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_autofree char *new_name = g_strdup_printf ("%s.new", instance);
  g_autofree char *name = g_strdup_printf ("%s.sock", instance);

  control->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (control->fd < 0)
    return fail (error, "make", control->path);
  /* By the descriptor, as sun_path is too short for some folders. unix(7). */
  g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd,
              new_name);
  unlinkat (folder_fd, new_name, 0);
  /* Before bind(): on Linux the name gets the mode of the socket, so that there is no moment in
   * which others may connect. */
  if (fchmod (control->fd, 0600) != 0 ||
      bind (control->fd, (struct sockaddr *)&address, sizeof address) != 0)
    return fail (error, "bind", control->path);
  if (fchmodat (folder_fd, new_name, 0600, 0) != 0 ||
      listen (control->fd, KR_CONTROL_MAX_CLIENTS) != 0 ||
      renameat (folder_fd, new_name, folder_fd, name) != 0) {
    fail (error, "listen at", control->path);
    unlinkat (folder_fd, new_name, 0);
    return FALSE;
  }
  return TRUE;
}

KrControlSocket *
kr_control_socket_new (const char *folder, const char *instance,
                       const KrControlCallbacks *callbacks, gpointer data, GError **error)
{
  g_autoptr (KrControlSocket) control = g_new0 (KrControlSocket, 1);
  g_autofree char *name = g_strdup_printf ("%s.sock", instance);
  int folder_fd;
  gboolean fine;

  control->fd = -1;
  control->callbacks = callbacks;
  control->data = data;
  control->clients = g_ptr_array_new_with_free_func ((GDestroyNotify)client_free);
  if (g_mkdir_with_parents (folder, 0700) != 0 ||
      (folder_fd = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
    fail (error, "use", folder);
    return NULL;
  }
  remove_stale (folder);
  control->path = g_build_filename (folder, name, NULL);
  fine = bind_and_listen (control, folder_fd, instance, error);
  close (folder_fd);
  if (!fine) {
    g_clear_pointer (&control->path, g_free);
    return NULL;
  }
  control->accept_id = g_unix_fd_add (control->fd, G_IO_IN, on_connection, control);
  return g_steal_pointer (&control);
}

void
kr_control_socket_free (KrControlSocket *control)
{
  if (control == NULL)
    return;
  g_clear_handle_id (&control->accept_id, g_source_remove);
  if (control->path != NULL)
    unlink (control->path);
  if (control->fd >= 0)
    close (control->fd);
  g_ptr_array_unref (control->clients);
  g_free (control->path);
  g_free (control);
}

const char *
kr_control_socket_get_path (const KrControlSocket *control)
{
  return control->path;
}
