/* keeprolling - what a supervisor leaves to the program that it becomes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/resume-state.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <json-glib/json-glib.h>

KrResumeState *
kr_resume_state_new (void)
{
  return kr_resume_state_decode ("{\"format\":1,\"files\":[]}", -1, NULL);
}
G_STATIC_ASSERT (KR_RESUME_FORMAT == 1);

static void
worker_free (KrResumeWorker *worker)
{
  if (worker == NULL)
    return;
  g_clear_pointer (&worker->rest, g_bytes_unref);
  g_free (worker->instance);
  g_free (worker->version);
  g_strfreev (worker->open_files);
  g_free (worker);
}

static void
file_free (KrResumeFile *file)
{
  g_free (file->path);
  g_free (file->text);
  g_free (file->counters);
  worker_free (file->worker);
  g_free (file);
}

void
kr_resume_state_free (KrResumeState *state)
{
  if (state == NULL)
    return;
  g_free (state->instance);
  g_strfreev (state->arguments);
  g_clear_pointer (&state->set, g_hash_table_unref);
  g_free (state->listen);
  g_free (state->token_file);
  g_free (state->runtime_dir);
  g_free (state->state_dir);
  g_ptr_array_unref (state->files);
  g_free (state);
}

KrResumeFile *
kr_resume_state_add_file (KrResumeState *state)
{
  KrResumeFile *file = g_new0 (KrResumeFile, 1);

  g_ptr_array_add (state->files, file);
  return file;
}

KrResumeWorker *
kr_resume_file_add_worker (KrResumeFile *file)
{
  worker_free (file->worker);
  file->worker = g_new0 (KrResumeWorker, 1);
  file->worker->fd = -1;
  return file->worker;
}

/* --- writing. File names need not be UTF-8: what must come back as it was goes as base64.
 * ----- */

static void
put_bytes (JsonBuilder *builder, const char *name, const void *bytes, gsize length)
{
  g_autofree char *text = g_base64_encode (bytes, length);

  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, text);
}

static void
put_string (JsonBuilder *builder, const char *name, const char *string)
{
  if (string != NULL)
    put_bytes (builder, name, string, strlen (string));
}

static void
put_number (JsonBuilder *builder, const char *name, gint64 number)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, number);
}

static void
put_flag (JsonBuilder *builder, const char *name, gboolean flag)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, flag);
}

static void
put_strings (JsonBuilder *builder, const char *name, char **strings)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (; strings != NULL && *strings != NULL; strings++) {
    g_autofree char *text = g_base64_encode ((const guchar *)*strings, strlen (*strings));

    json_builder_add_string_value (builder, text);
  }
  json_builder_end_array (builder);
}

static void
put_worker (JsonBuilder *builder, const KrResumeWorker *worker)
{
  gsize length = 0;
  const void *rest = worker->rest != NULL ? g_bytes_get_data (worker->rest, &length) : NULL;

  json_builder_set_member_name (builder, "worker");
  json_builder_begin_object (builder);
  put_number (builder, "serial", worker->serial);
  put_number (builder, "pid", worker->pid);
  put_number (builder, "fd", worker->fd);
  put_bytes (builder, "rest", rest, length);
  put_string (builder, "instance", worker->instance);
  put_string (builder, "version", worker->version);
  put_number (builder, "started", worker->started);
  put_number (builder, "started_utc_us", worker->started_utc_us);
  put_flag (builder, "ready", worker->ready);
  put_strings (builder, "open_files", worker->open_files);
  json_builder_end_object (builder);
}

static void
put_machine (JsonBuilder *builder, const KrSupervisorResume *machine)
{
  json_builder_set_member_name (builder, "machine");
  json_builder_begin_object (builder);
  put_string (builder, "state", kr_supervisor_state_name (machine->state));
  put_number (builder, "current", machine->current);
  put_flag (builder, "ready", machine->ready);
  put_number (builder, "last_serial", machine->last_serial);
  put_number (builder, "deadline", machine->deadline);
  put_number (builder, "failures", machine->failures);
  put_number (builder, "brief", machine->brief);
  put_number (builder, "exit_code", machine->exit_code);
  put_number (builder, "crashes", (gint64)machine->crashes);
  put_number (builder, "hangs", (gint64)machine->hangs);
  put_number (builder, "replacements", (gint64)machine->replacements);
  json_builder_end_object (builder);
}

static void
put_file (JsonBuilder *builder, const KrResumeFile *file)
{
  json_builder_begin_object (builder);
  put_string (builder, "path", file->path);
  put_string (builder, "text", file->text);
  put_machine (builder, &file->machine);
  if (file->worker != NULL)
    put_worker (builder, file->worker);
  put_string (builder, "counters", file->counters);
  json_builder_set_member_name (builder, "handovers");
  json_builder_begin_object (builder);
  for (guint i = 0; i < KR_N_HANDOVER_RESULTS; i++)
    put_number (builder, kr_handover_result_name (i), (gint64)file->handovers[i]);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
}

static void
put_set (JsonBuilder *builder, GHashTable *set)
{
  GHashTableIter iter;
  gpointer name, value;

  json_builder_set_member_name (builder, "set");
  json_builder_begin_object (builder);
  if (set != NULL) {
    g_hash_table_iter_init (&iter, set);
    while (g_hash_table_iter_next (&iter, &name, &value))
      put_string (builder, name, value);
  }
  json_builder_end_object (builder);
}

char *
kr_resume_state_encode (const KrResumeState *state)
{
  g_autoptr (JsonBuilder) builder = json_builder_new_immutable ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  put_number (builder, "format", KR_RESUME_FORMAT);
  put_string (builder, "instance", state->instance);
  put_number (builder, "started_utc_us", state->started_utc_us);
  put_flag (builder, "reload", state->reload);
  put_flag (builder, "told_ready", state->told_ready);
  put_strings (builder, "arguments", state->arguments);
  put_set (builder, state->set);
  put_string (builder, "listen", state->listen);
  put_string (builder, "token_file", state->token_file);
  put_string (builder, "runtime_dir", state->runtime_dir);
  put_string (builder, "state_dir", state->state_dir);
  json_builder_set_member_name (builder, "files");
  json_builder_begin_array (builder);
  for (guint i = 0; i < state->files->len; i++)
    put_file (builder, state->files->pdata[i]);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}

/* --- reading: what is missing is empty ------------------------------------------------------
 */

static char *
decode_string (JsonNode *node)
{
  const char *text = node != NULL && json_node_get_value_type (node) == G_TYPE_STRING
                         ? json_node_get_string (node)
                         : NULL;
  gsize length;
  guchar *bytes;
  char *string;

  if (text == NULL)
    return NULL;
  bytes = g_base64_decode (text, &length);
  string = g_strndup ((const char *)bytes, length);
  g_free (bytes);
  return string;
}

static char *
get_string (JsonObject *object, const char *name)
{
  return decode_string (json_object_get_member (object, name));
}

static gint64
get_number (JsonObject *object, const char *name)
{
  return json_object_get_int_member_with_default (object, name, 0);
}

static gboolean
get_flag (JsonObject *object, const char *name)
{
  return json_object_get_boolean_member_with_default (object, name, FALSE);
}

static JsonObject *
get_object (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static JsonArray *
get_array (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

static char **
get_strings (JsonObject *object, const char *name)
{
  JsonArray *array = get_array (object, name);
  g_autoptr (GStrvBuilder) strings = g_strv_builder_new ();

  for (guint i = 0; array != NULL && i < json_array_get_length (array); i++) {
    g_autofree char *string = decode_string (json_array_get_element (array, i));

    if (string != NULL)
      g_strv_builder_add (strings, string);
  }
  return g_strv_builder_end (strings);
}

static gboolean
fail (GError **error, const char *what)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s is not understood", what);
  return FALSE;
}

static gboolean
take_machine (JsonObject *object, KrSupervisorResume *machine, GError **error)
{
  g_autofree char *state = object != NULL ? get_string (object, "state") : NULL;
  guint i = 0;

  while (i < KR_N_SUPERVISOR_STATES && g_strcmp0 (state, kr_supervisor_state_name (i)) != 0)
    i++;
  if (i == KR_N_SUPERVISOR_STATES)
    return fail (error, "the state of a file");
  machine->state = (KrSupervisorState)i;
  machine->current = (guint)get_number (object, "current");
  machine->ready = get_flag (object, "ready");
  machine->last_serial = (guint)get_number (object, "last_serial");
  machine->deadline = get_number (object, "deadline");
  machine->failures = (guint)get_number (object, "failures");
  machine->brief = (guint)get_number (object, "brief");
  machine->exit_code = (int)get_number (object, "exit_code");
  machine->crashes = (guint64)get_number (object, "crashes");
  machine->hangs = (guint64)get_number (object, "hangs");
  machine->replacements = (guint64)get_number (object, "replacements");
  return TRUE;
}

static gboolean
take_worker (JsonObject *object, KrResumeFile *file, GError **error)
{
  KrResumeWorker *worker = kr_resume_file_add_worker (file);
  const char *rest = json_object_get_string_member_with_default (object, "rest", "");
  gsize length;
  guchar *bytes = g_base64_decode (rest, &length);

  worker->rest = g_bytes_new_take (bytes, length);
  worker->serial = (guint)get_number (object, "serial");
  worker->pid = get_number (object, "pid");
  worker->fd = (int)json_object_get_int_member_with_default (object, "fd", -1);
  worker->instance = get_string (object, "instance");
  worker->version = get_string (object, "version");
  worker->started = get_number (object, "started");
  worker->started_utc_us = get_number (object, "started_utc_us");
  worker->ready = get_flag (object, "ready");
  worker->open_files = get_strings (object, "open_files");
  if (worker->serial == 0 || worker->serial != file->machine.current || worker->pid <= 1 ||
      worker->fd < 0 || worker->instance == NULL)
    return fail (error, "a worker");
  return TRUE;
}

static gboolean
take_file (JsonObject *object, KrResumeState *state, GError **error)
{
  KrResumeFile *file = kr_resume_state_add_file (state);
  JsonObject *worker = get_object (object, "worker");
  JsonObject *handovers = get_object (object, "handovers");

  file->path = get_string (object, "path");
  file->text = get_string (object, "text");
  file->counters = get_string (object, "counters");
  if (file->path == NULL || file->text == NULL)
    return fail (error, "a file");
  if (!take_machine (get_object (object, "machine"), &file->machine, error))
    return FALSE;
  if (worker != NULL && !take_worker (worker, file, error))
    return FALSE;
  if ((worker != NULL) != (file->machine.current != 0))
    return fail (error, "which worker a file has");
  for (guint i = 0; handovers != NULL && i < KR_N_HANDOVER_RESULTS; i++)
    file->handovers[i] = (guint64)get_number (handovers, kr_handover_result_name (i));
  return TRUE;
}

static void
take_set (JsonObject *object, GHashTable *set)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;

  if (object == NULL)
    return;
  json_object_iter_init (&iter, object);
  while (json_object_iter_next (&iter, &name, &node))
    g_hash_table_replace (set, g_strdup (name), decode_string (node));
}

static gboolean
take_state (JsonObject *object, KrResumeState *state, GError **error)
{
  JsonArray *files = get_array (object, "files");

  if (get_number (object, "format") != KR_RESUME_FORMAT || files == NULL)
    return fail (error, "the format of the state");
  state->instance = get_string (object, "instance");
  state->started_utc_us = get_number (object, "started_utc_us");
  state->reload = get_flag (object, "reload");
  state->told_ready = get_flag (object, "told_ready");
  state->arguments = get_strings (object, "arguments");
  take_set (get_object (object, "set"), state->set);
  state->listen = get_string (object, "listen");
  state->token_file = get_string (object, "token_file");
  state->runtime_dir = get_string (object, "runtime_dir");
  state->state_dir = get_string (object, "state_dir");
  for (guint i = 0; i < json_array_get_length (files); i++) {
    JsonNode *node = json_array_get_element (files, i);

    if (!JSON_NODE_HOLDS_OBJECT (node))
      return fail (error, "the list of files");
    if (!take_file (json_node_get_object (node), state, error))
      return FALSE;
  }
  return TRUE;
}

KrResumeState *
kr_resume_state_decode (const char *text, gssize length, GError **error)
{
  g_autoptr (KrResumeState) state = g_new0 (KrResumeState, 1);
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  JsonNode *root;

  state->files = g_ptr_array_new_with_free_func ((GDestroyNotify)file_free);
  state->set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (!json_parser_load_from_data (parser, text, length, error))
    return NULL;
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    fail (error, "the state");
    return NULL;
  }
  return take_state (json_node_get_object (root), state, error) ? g_steal_pointer (&state)
                                                                : NULL;
}

/* --- the memory file ------------------------------------------------------------------------
 */

static gboolean
write_all (int fd, const char *bytes, gsize length)
{
  while (length > 0) {
    gssize n = write (fd, bytes, length);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return FALSE;
    bytes += n;
    length -= (gsize)n;
  }
  return TRUE;
}

int
kr_resume_state_to_fd (const KrResumeState *state, GError **error)
{
  g_autofree char *text = kr_resume_state_encode (state);
  int fd = memfd_create ("keeprolling-state", MFD_CLOEXEC);

  if (fd >= 0 && write_all (fd, text, strlen (text)) && lseek (fd, 0, SEEK_SET) == 0)
    return fd;
  g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (errno),
               "the state cannot be kept: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return -1;
}

KrResumeState *
kr_resume_state_from_fd (int fd, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char buffer[64 * 1024];
  gssize n;

  while ((n = pread (fd, buffer, sizeof buffer, (off_t)text->len)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 || text->len + (gsize)n > KR_RESUME_MAX_BYTES) {
      g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (n < 0 ? errno : EFBIG),
                   "the state cannot be read: %s", g_strerror (n < 0 ? errno : EFBIG));
      return NULL;
    }
    g_string_append_len (text, buffer, n);
  }
  return kr_resume_state_decode (text->str, (gssize)text->len, error);
}
