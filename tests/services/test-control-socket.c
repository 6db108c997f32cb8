/* keeprolling - the supervisor's control socket
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/control-socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher/services/control-client.h"
#include "launcher/services/prepare.h"
#include "tests/support/kr-test.h"

typedef struct {
  KrSnapshot *snapshot;
  GString *stopped;
  GString *wish;         /* of the last reload */
  KrControlReply *reply; /* under way */
} Owner;

static KrSnapshot *
on_snapshot (gpointer data)
{
  Owner *owner = data;

  return owner->snapshot;
}

static gboolean
on_stop (const char *const *files, KrControlReply *reply, GError **error, gpointer data)
{
  Owner *owner = data;

  g_string_append (owner->stopped, "stop");
  for (; *files != NULL; files++) {
    if (strcmp (*files, "unknown") == 0) {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no file 'unknown'");
      return FALSE;
    }
    g_string_append_printf (owner->stopped, " %s", *files);
  }
  owner->reply = reply;
  return TRUE;
}

static gboolean
on_reload (const KrControlReload *wish, KrControlReply *reply, GError **error, gpointer data)
{
  Owner *owner = data;

  g_string_printf (owner->wish, "%d %d", wish->all, wish->in_turn);
  for (const char *const *files = wish->files; *files != NULL; files++) {
    if (strcmp (*files, "unknown") == 0) {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "not now");
      return FALSE;
    }
    g_string_append_printf (owner->wish, " %s", *files);
  }
  g_assert_null (owner->reply);
  owner->reply = reply;
  kr_control_reply_progress (reply, NULL, "begins");
  return TRUE;
}

static const KrControlCallbacks callbacks = {
    .snapshot = on_snapshot, .stop = on_stop, .reload = on_reload};

static Owner *
owner_new (void)
{
  Owner *owner = g_new0 (Owner, 1);

  owner->snapshot = kr_snapshot_new ();
  owner->snapshot->version = g_strdup ("1.2.3");
  owner->snapshot->instance = g_strdup ("abc");
  owner->stopped = g_string_new (NULL);
  owner->wish = g_string_new (NULL);
  return owner;
}

static void
owner_free (Owner *owner)
{
  kr_snapshot_unref (owner->snapshot);
  g_string_free (owner->stopped, TRUE);
  g_string_free (owner->wish, TRUE);
  g_free (owner);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Owner, owner_free)

static KrControlSocket *
listen_in (const char *folder, const char *instance, Owner *owner)
{
  g_autoptr (GError) error = NULL;
  KrControlSocket *control =
      kr_control_socket_new (folder, instance, &callbacks, owner, &error);

  g_assert_no_error (error);
  g_assert_nonnull (control);
  return control;
}

/* --- asking, from a thread: the client blocks ------------------------------------------- */

typedef struct {
  const char *path;
  const char *command;
  const char *const *files;
  JsonNode *answer;
  GError *error;
  gint done;
} Question;

static gpointer
ask_in_thread (gpointer data)
{
  Question *question = data;

  question->answer =
      kr_control_ask (question->path, question->command, question->files, &question->error);
  g_atomic_int_set (&question->done, 1);
  return NULL;
}

static JsonNode *
ask (const char *path, const char *command, const char *const *files, GError **error)
{
  Question question = {.path = path, .command = command, .files = files};
  GThread *thread = g_thread_new ("ask", ask_in_thread, &question);

  kr_test_wait (g_atomic_int_get (&question.done), 30);
  g_thread_join (thread);
  if (question.error != NULL)
    g_propagate_error (error, question.error);
  return question.answer;
}

static void
test_status_and_stop (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  const char *path = kr_control_socket_get_path (control);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = ask (path, "status", NULL, &error);
  g_autoptr (JsonNode) stopped = NULL;
  JsonObject *status;

  g_assert_no_error (error);
  g_assert_cmpint (json_object_get_int_member (json_node_get_object (answer), "pid"), ==,
                   getpid ());
  status = json_object_get_object_member (json_node_get_object (answer), "status");
  g_assert_cmpstr (json_object_get_string_member (status, "version"), ==, "1.2.3");

  stopped = ask (path, "stop", (const char *const[]){"cam1", "cam2", NULL}, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (owner->stopped->str, ==, "stop cam1 cam2");
  g_assert_null (ask (path, "stop", (const char *const[]){"unknown", NULL}, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, "no file 'unknown'");
  g_clear_error (&error);
  g_assert_null (ask (path, "dance", NULL, &error));
  g_assert_nonnull (strstr (error->message, "unknown command"));
}

/* --- a reload: an answer that takes its time -----------------------------------------------
 */

typedef struct {
  const char *path;
  const char *const *files;
  GString *heard; /* the thread's until it is done */
  int code;
  char *text;
  GError *error;
  gint done;
} Conversation;

static void
on_progress (const char *file, const char *text, gpointer data)
{
  g_string_append_printf (((Conversation *)data)->heard, "[%s|%s]", file, text);
}

static void
on_result (const char *file, int code, const char *text, gpointer data)
{
  g_string_append_printf (((Conversation *)data)->heard, "{%s|%d|%s}", file, code, text);
}

static gpointer
reload_in_thread (gpointer data)
{
  static const KrControlListener listener = {on_progress, on_result};
  Conversation *talk = data;

  talk->code = kr_control_reload (talk->path, talk->files, TRUE, FALSE, &listener, talk,
                                  &talk->text, &talk->error);
  g_atomic_int_set (&talk->done, 1);
  return NULL;
}

static void
test_reload (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  Conversation talk = {.path = kr_control_socket_get_path (control),
                       .files = (const char *const[]){"cam1", NULL},
                       .heard = g_string_new (NULL)};
  GThread *thread = g_thread_new ("reload", reload_in_thread, &talk);

  kr_test_wait (owner->reply != NULL, 30);
  g_assert_cmpstr (owner->wish->str, ==, "1 0 cam1");
  kr_control_reply_progress (owner->reply, "cam1", "both workers record");
  kr_control_reply_result (owner->reply, "cam1", 75, "rolled back");
  kr_control_reply_end (owner->reply, 75, "line 1\nline 2");
  kr_test_wait (g_atomic_int_get (&talk.done), 30);
  g_thread_join (thread);
  g_assert_no_error (talk.error);
  g_assert_cmpint (talk.code, ==, 75);
  g_assert_cmpstr (talk.heard->str, ==,
                   "[|begins][cam1|both workers record]{cam1|75|rolled back}");
  g_assert_cmpstr (talk.text, ==, "line 1\nline 2");
  g_free (talk.text);
  g_string_free (talk.heard, TRUE);
}

static void
test_reload_refused (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  Conversation talk = {.path = kr_control_socket_get_path (control),
                       .files = (const char *const[]){"unknown", NULL},
                       .heard = g_string_new (NULL)};
  GThread *thread = g_thread_new ("reload", reload_in_thread, &talk);

  kr_test_wait (g_atomic_int_get (&talk.done), 30);
  g_thread_join (thread);
  g_assert_cmpint (talk.code, ==, -1);
  g_assert_error (talk.error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_cmpstr (talk.error->message, ==, "not now");
  g_clear_error (&talk.error);
  g_string_free (talk.heard, TRUE);
}

static gpointer
stop_in_thread (gpointer data)
{
  static const KrControlListener listener = {on_progress, on_result};
  Conversation *talk = data;

  talk->code =
      kr_control_stop (talk->path, talk->files, &listener, talk, &talk->text, &talk->error);
  g_atomic_int_set (&talk->done, 1);
  return NULL;
}

static void
test_stop_and_wait (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  Conversation talk = {.path = kr_control_socket_get_path (control),
                       .files = (const char *const[]){"cam1", NULL},
                       .heard = g_string_new (NULL)};
  GThread *thread = g_thread_new ("stop", stop_in_thread, &talk);

  kr_test_wait (owner->reply != NULL, 30);
  g_assert_cmpstr (owner->stopped->str, ==, "stop cam1");
  kr_control_reply_progress (owner->reply, "cam1", "finishing");
  kr_control_reply_result (owner->reply, "cam1", 75, "killed");
  kr_control_reply_end (owner->reply, 75, NULL);
  /* The last word arrives though it is the last thing that is done. */
  g_clear_pointer (&control, kr_control_socket_free);
  kr_test_wait (g_atomic_int_get (&talk.done), 30);
  g_thread_join (thread);
  g_assert_no_error (talk.error);
  g_assert_cmpint (talk.code, ==, 75);
  g_assert_cmpstr (talk.heard->str, ==, "[cam1|finishing]{cam1|75|killed}");
  g_free (talk.text);
  g_string_free (talk.heard, TRUE);
}

static void
test_stop_and_wait_refused (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  Conversation talk = {.path = kr_control_socket_get_path (control),
                       .files = (const char *const[]){"unknown", NULL},
                       .heard = g_string_new (NULL)};
  GThread *thread = g_thread_new ("stop", stop_in_thread, &talk);

  kr_test_wait (g_atomic_int_get (&talk.done), 30);
  g_thread_join (thread);
  g_assert_cmpint (talk.code, ==, -1);
  g_assert_error (talk.error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_clear_error (&talk.error);
  g_string_free (talk.heard, TRUE);
}

/* Who has asked goes away, or never reads: the reload goes on, and nothing piles up. */
static void
test_reload_without_listener (void)
{
  static const char request[] = "{\"command\":\"reload\",\"files\":[]}\n";
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  KrControlSocket *control = listen_in (dir, "abc", owner);
  int fd = kr_control_connect (kr_control_socket_get_path (control));

  g_assert_cmpint (send (fd, request, strlen (request), 0), >, 0);
  kr_test_wait (owner->reply != NULL, 30);
  for (guint i = 0; i < 20000; i++)
    kr_control_reply_progress (owner->reply, "cam1", "on and on and on and on");
  close (fd);
  for (guint i = 0; i < 100; i++) {
    g_main_context_iteration (NULL, FALSE);
    kr_control_reply_progress (owner->reply, "cam1", "nobody hears it");
  }
  kr_control_reply_end (owner->reply, 0, "");
  owner->reply = NULL;
  /* The socket may go first, too. */
  fd = kr_control_connect (kr_control_socket_get_path (control));
  g_assert_cmpint (send (fd, request, strlen (request), 0), >, 0);
  kr_test_wait (owner->reply != NULL, 30);
  kr_control_socket_free (control);
  kr_control_reply_result (owner->reply, "cam1", 0, "");
  kr_control_reply_end (owner->reply, 0, "");
  close (fd);
}

static void
test_permissions_and_names (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *deep = g_strnfill (90, 'd');
  g_autofree char *folder = g_strdup_printf ("%s/%s/%s", dir, deep, deep);
  g_autoptr (Owner) owner = owner_new ();
  KrControlSocket *control = listen_in (folder, "abc", owner);
  KrControlSocket *beside = listen_in (folder, "def", owner);
  g_autofree char *path = g_strdup (kr_control_socket_get_path (control));
  g_autofree char *list = NULL;
  g_autoptr (JsonNode) answer = NULL;
  struct stat st;

  /* Longer than a socket's name may be, and yet. */
  g_assert_cmpuint (strlen (path), >, 108);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  g_assert_cmpint (stat (folder, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
  list = kr_test_dir_list (folder);
  g_assert_cmpstr (list, ==, "abc.sock def.sock");
  answer = ask (path, "status", NULL, NULL);
  g_assert_nonnull (answer);
  kr_control_socket_free (control);
  g_assert_cmpint (stat (path, &st), !=, 0);
  kr_control_socket_free (beside);
}

/* What a supervisor that was killed left behind goes; what others use stays. */
static void
test_stale (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autofree char *stale = kr_test_dir_path (dir, "stale.sock");
  g_autofree char *other = kr_test_dir_path (dir, "file.txt");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  G_GNUC_UNUSED g_autoptr (KrControlSocket) alive = listen_in (dir, "alive", owner);
  g_autoptr (KrControlSocket) control = NULL;
  g_autoptr (GPtrArray) found = NULL;
  g_autoptr (GError) error = NULL;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, stale, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  close (fd);
  g_assert_true (g_file_set_contents (other, "", 0, NULL));
  g_assert_null (kr_control_ask (stale, "status", NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);

  control = listen_in (dir, "new", owner);
  found = kr_control_find (dir);
  g_assert_cmpuint (found->len, ==, 2);
  g_assert_true (g_str_has_suffix (found->pdata[0], "/alive.sock"));
  g_assert_true (g_str_has_suffix (found->pdata[1], "/new.sock"));
  g_assert_true (g_file_test (other, G_FILE_TEST_EXISTS));
}

static void
test_unusable_folder (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *file = kr_test_dir_path (dir, "file");
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_assert_null (kr_control_socket_new (file, "abc", &callbacks, NULL, &error));
  g_assert_nonnull (error);
}

/* --- clients that are no friends --------------------------------------------------------- */

static gboolean
is_closed (int fd)
{
  char byte;
  gssize n = recv (fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

  return n == 0 || (n < 0 && errno != EAGAIN);
}

static void
test_garbled (void)
{
  static const char *const lines[] = {"nonsense\n",
                                      "[]\n",
                                      "{}\n",
                                      "\n",
                                      "null\n",
                                      "{\"command\":7}\n",
                                      "{\"command\":\"reload\"}\n",
                                      "{\"command\":\"reload\",\"files\":[7]}\n",
                                      "{\"command\":\"stop\"}\n",
                                      "{\"command\":\"stop\",\"files\":7}\n",
                                      "{\"command\":\"stop\",\"files\":[7]}\n",
                                      "{\"command\":\"stop\",\"files\":[null,{}]}\n",
                                      "\xff\xfe\n"};
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  int fd = kr_control_connect (kr_control_socket_get_path (control));
  g_autoptr (GString) answers = g_string_new (NULL);
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    g_assert_cmpint (send (fd, lines[i], strlen (lines[i]), MSG_NOSIGNAL), >, 0);
  while (n < G_N_ELEMENTS (lines)) {
    char buffer[4096];
    gssize got = recv (fd, buffer, sizeof buffer, MSG_DONTWAIT);

    g_main_context_iteration (NULL, FALSE);
    if (got <= 0)
      continue;
    g_string_append_len (answers, buffer, got);
    n = 0;
    for (const char *at = answers->str; (at = strstr (at, "{\"ok\":false,")) != NULL; at++)
      n++;
  }
  /* All of a garbled request is refused: nothing was stopped. */
  g_assert_cmpstr (owner->stopped->str, ==, "");
  g_assert_null (owner->reply);
  close (fd);
}

static void
test_bounds (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  const char *path = kr_control_socket_get_path (control);
  g_autofree char *junk = g_strnfill (KR_CONTROL_MAX_REQUEST, 'x');
  int silent[KR_CONTROL_MAX_CLIENTS + 8];
  guint n_closed = 0, n_sent = 0;

  /* More than it takes: those are closed, the others may stay. */
  for (guint i = 0; i < G_N_ELEMENTS (silent); i++) {
    silent[i] = kr_control_connect (path);
    g_assert_cmpint (silent[i], >=, 0);
    while (g_main_context_iteration (NULL, FALSE))
      ;
  }
  for (guint i = 0; i < G_N_ELEMENTS (silent); i++)
    n_closed += is_closed (silent[i]);
  g_assert_cmpuint (n_closed, ==, 8);
  /* A request without end. */
  while (!is_closed (silent[0])) {
    send (silent[0], junk, KR_CONTROL_MAX_REQUEST, MSG_NOSIGNAL | MSG_DONTWAIT);
    g_main_context_iteration (NULL, FALSE);
  }
  /* One that asks and asks, and never reads. */
  for (guint i = 0; i < 100000; i++) {
    n_sent +=
        send (silent[1], "{\"command\":\"status\"}\n", 21, MSG_NOSIGNAL | MSG_DONTWAIT) == 21;
    g_main_context_iteration (NULL, FALSE);
  }
  g_assert_cmpuint (n_sent, <, 90000);
  /* Somebody else is served all the same. */
  {
    g_autoptr (JsonNode) answer = ask (path, "status", NULL, NULL);

    g_assert_nonnull (answer);
  }
  for (guint i = 0; i < G_N_ELEMENTS (silent); i++)
    close (silent[i]);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* A supervisor that hangs: the client has a bound. */
static void
test_deaf_supervisor (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autoptr (Owner) owner = owner_new ();
  g_autoptr (KrControlSocket) control = listen_in (dir, "abc", owner);
  g_autoptr (GError) error = NULL;

  /* The main loop does not run. */
  g_assert_null (kr_control_ask (kr_control_socket_get_path (control), "status", NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_services_prepare ();
  kr_test_deadline (120);
  g_test_add_func ("/control-socket/status-and-stop", test_status_and_stop);
  g_test_add_func ("/control-socket/stop-and-wait", test_stop_and_wait);
  g_test_add_func ("/control-socket/stop-and-wait-refused", test_stop_and_wait_refused);
  g_test_add_func ("/control-socket/reload", test_reload);
  g_test_add_func ("/control-socket/reload-refused", test_reload_refused);
  g_test_add_func ("/control-socket/reload-without-listener", test_reload_without_listener);
  g_test_add_func ("/control-socket/permissions-and-names", test_permissions_and_names);
  g_test_add_func ("/control-socket/stale", test_stale);
  g_test_add_func ("/control-socket/unusable-folder", test_unusable_folder);
  g_test_add_func ("/control-socket/garbled", test_garbled);
  g_test_add_func ("/control-socket/bounds", test_bounds);
  g_test_add_func ("/control-socket/deaf-supervisor", test_deaf_supervisor);
  return g_test_run ();
}
