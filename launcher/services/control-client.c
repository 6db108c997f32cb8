/* keeprolling - asking supervisors that run
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/control-client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* How long a supervisor that becomes another program may be away. */
#define RETURN_PATIENCE_US (30 * G_TIME_SPAN_SECOND)
#define RETURN_LOOK_US     (100 * G_TIME_SPAN_MILLISECOND)

int
kr_control_connect (const char *path)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  int folder_fd = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd, saved;

  if (folder_fd < 0)
    return -1;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd,
              name);
  if (fd >= 0 && connect (fd, (struct sockaddr *)&address, sizeof address) != 0) {
    saved = errno;
    close (fd);
    fd = -1;
    errno = saved;
  }
  saved = errno;
  close (folder_fd);
  errno = saved;
  return fd;
}

static void
find_in (const char *folder, guint depth, GPtrArray *found)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);

    if (g_str_has_suffix (name, ".sock"))
      g_ptr_array_add (found, g_steal_pointer (&path));
    else if (depth > 0 && g_file_test (path, G_FILE_TEST_IS_DIR))
      find_in (path, depth - 1, found);
  }
}

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
kr_control_find (const char *folder)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (g_free);

  find_in (folder, 1, found);
  g_ptr_array_sort (found, compare_paths);
  return found;
}

/* --- one question ---------------------------------------------------------------------- */

static gboolean
fail (GError **error, const char *what, const char *path)
{
  int saved = errno;

  g_set_error (error, G_IO_ERROR,
               saved == EAGAIN ? (int)G_IO_ERROR_TIMED_OUT : (int)g_io_error_from_errno (saved),
               "cannot %s %s: %s", what, path,
               saved == EAGAIN ? "the supervisor does not answer" : g_strerror (saved));
  return FALSE;
}

/* @flags: (nullable): "all", "in_turn"... that are set, NULL-terminated */
static char *
make_request (const char *command, const char *const *files, const char *const *flags)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "command");
  json_builder_add_string_value (builder, command);
  if (files != NULL) {
    json_builder_set_member_name (builder, "files");
    json_builder_begin_array (builder);
    for (; *files != NULL; files++)
      json_builder_add_string_value (builder, *files);
    json_builder_end_array (builder);
  }
  for (; flags != NULL && *flags != NULL; flags++) {
    json_builder_set_member_name (builder, *flags);
    json_builder_add_boolean_value (builder, TRUE);
  }
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  return g_strdup_printf ("%s\n", text);
}

static gboolean
send_request (int fd, const char *path, const char *request, GError **error)
{
  gsize left = strlen (request);

  while (left > 0) {
    gssize n = send (fd, request, left, MSG_NOSIGNAL);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (error, "ask", path);
    request += n;
    left -= (gsize)n;
  }
  return TRUE;
}

/* One line. */
static gboolean
read_answer (int fd, const char *path, GString *answer, GError **error)
{
  gint64 end = g_get_monotonic_time () + KR_CONTROL_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
  char buffer[16384];

  while (answer->len == 0 || answer->str[answer->len - 1] != '\n') {
    gssize n = recv (fd, buffer, sizeof buffer, 0);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (error, "hear", path);
    if (n == 0 || answer->len + (gsize)n > KR_CONTROL_MAX_ANSWER ||
        g_get_monotonic_time () > end) {
      errno = n == 0 ? ECONNREFUSED : EAGAIN;
      return fail (error, "hear", path);
    }
    g_string_append_len (answer, buffer, n);
  }
  return TRUE;
}

/* What it says, if that is good news. */
static JsonNode *
parse_answer (const char *path, const GString *answer, GError **error)
{
  g_autoptr (JsonNode) root = json_from_string (answer->str, NULL);
  JsonObject *object =
      root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;

  if (object == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s answers nonsense", path);
    return NULL;
  }
  if (!json_object_get_boolean_member_with_default (object, "ok", FALSE)) {
    g_set_error_literal (
        error, G_IO_ERROR, G_IO_ERROR_FAILED,
        json_object_get_string_member_with_default (object, "error", "refused"));
    return NULL;
  }
  return g_steal_pointer (&root);
}

static int
connect_patiently (const char *path, GError **error)
{
  const struct timeval patience = {.tv_sec = KR_CONTROL_TIMEOUT_MS / 1000};
  int fd = kr_control_connect (path);

  if (fd < 0) {
    fail (error, "reach", path);
    return -1;
  }
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return fd;
}

JsonNode *
kr_control_ask (const char *path, const char *command, const char *const *files, GError **error)
{
  g_autofree char *request = make_request (command, files, NULL);
  g_autoptr (GString) answer = g_string_new (NULL);
  int fd = connect_patiently (path, error);
  gboolean fine;

  if (fd < 0)
    return NULL;
  fine = send_request (fd, path, request, error) && read_answer (fd, path, answer, error);
  close (fd);
  return fine ? parse_answer (path, answer, error) : NULL;
}

/* --- a conversation ------------------------------------------------------------------- */

/* The first line of what has been heard, taken out of it; reads on where there is none. */
static char *
read_line (int fd, const char *path, GString *heard, GError **error)
{
  char buffer[4096];
  const char *end;
  char *line;

  while ((end = memchr (heard->str, '\n', heard->len)) == NULL) {
    gssize n = recv (fd, buffer, sizeof buffer, 0);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0 || heard->len > KR_CONTROL_MAX_ANSWER) {
      errno = n == 0 ? ECONNREFUSED : n < 0 ? errno : EAGAIN;
      fail (error, "hear", path);
      return NULL;
    }
    g_string_append_len (heard, buffer, n);
  }
  line = g_strndup (heard->str, (gsize)(end - heard->str));
  g_string_erase (heard, 0, end - heard->str + 1);
  return line;
}

/* TRUE if there is more to come. */
static gboolean
take_news (JsonObject *news, const KrControlListener *listener, gpointer data)
{
  const char *file = json_object_get_string_member_with_default (news, "file", "");
  const char *text = json_object_get_string_member_with_default (news, "text", "");

  if (json_object_get_boolean_member_with_default (news, "progress", FALSE))
    listener->progress (file, text, data);
  else if (json_object_get_boolean_member_with_default (news, "result", FALSE))
    listener->result (file, (int)json_object_get_int_member_with_default (news, "code", 0),
                      text, data);
  else
    return FALSE;
  return TRUE;
}

#define ASK_AGAIN -2

static int
hear_out (int fd, const char *path, const KrControlListener *listener, gpointer data,
          char **ret_text, GError **error)
{
  g_autoptr (GString) heard = g_string_new (NULL);

  for (;;) {
    g_autofree char *line = read_line (fd, path, heard, error);
    g_autoptr (JsonNode) root = NULL;
    g_autoptr (GString) answer = NULL;

    if (line == NULL)
      return -1;
    root = json_from_string (line, NULL);
    if (root != NULL && JSON_NODE_HOLDS_OBJECT (root) &&
        take_news (json_node_get_object (root), listener, data))
      continue;
    if (root != NULL && JSON_NODE_HOLDS_OBJECT (root) &&
        json_object_get_boolean_member_with_default (json_node_get_object (root), "again",
                                                     FALSE))
      return ASK_AGAIN;
    g_clear_pointer (&root, json_node_unref);
    answer = g_string_new (line);
    root = parse_answer (path, answer, error);
    if (root == NULL)
      return -1;
    *ret_text = g_strdup (
        json_object_get_string_member_with_default (json_node_get_object (root), "text", ""));
    return (int)json_object_get_int_member_with_default (json_node_get_object (root), "code",
                                                         0);
  }
}

static int
converse (const char *path, const char *request, const KrControlListener *listener,
          gpointer data, char **ret_text, GError **error)
{
  int fd = connect_patiently (path, error);
  int code = -1;

  if (fd < 0)
    return -1;
  if (send_request (fd, path, request, error))
    code = hear_out (fd, path, listener, data, ret_text, error);
  close (fd);
  return code;
}

static int
reload_once (const char *path, const char *const *files, gboolean all, gboolean in_turn,
             const KrControlListener *listener, gpointer data, char **ret_text, GError **error)
{
  const char *flags[3] = {NULL};
  g_autofree char *request = NULL;
  guint n = 0;

  if (all)
    flags[n++] = "all";
  if (in_turn)
    flags[n++] = "in_turn";
  request = make_request ("reload", files, flags);
  return converse (path, request, listener, data, ret_text, error);
}

int
kr_control_stop (const char *path, const char *const *files, const KrControlListener *listener,
                 gpointer data, char **ret_text, GError **error)
{
  static const char *const flags[] = {"wait", NULL};
  g_autofree char *request = make_request ("stop", files, flags);

  return converse (path, request, listener, data, ret_text, error);
}

int
kr_control_reload (const char *path, const char *const *files, gboolean all, gboolean in_turn,
                   const KrControlListener *listener, gpointer data, char **ret_text,
                   GError **error)
{
  int code = reload_once (path, files, all, in_turn, listener, data, ret_text, error);
  gint64 end = g_get_monotonic_time () + RETURN_PATIENCE_US;

  /* The supervisor becomes another program and is away for a moment. The workers are still
   * those of the one before it: all files are meant then. */
  while (code == ASK_AGAIN && g_get_monotonic_time () < end) {
    g_autoptr (GError) not_yet = NULL;

    g_usleep (RETURN_LOOK_US);
    code = reload_once (path, files, TRUE, in_turn, listener, data, ret_text, &not_yet);
    if (code == -1 && g_error_matches (not_yet, G_IO_ERROR, G_IO_ERROR_FAILED))
      g_propagate_error (error, g_steal_pointer (&not_yet)); /* it has said no */
    else if (code == -1)
      code = ASK_AGAIN;
  }
  if (code != ASK_AGAIN)
    return code;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
               "%s is becoming another program, and has not come back", path);
  return -1;
}
