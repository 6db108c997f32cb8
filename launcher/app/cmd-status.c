/* keeprolling - status: how it goes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "launcher/app/supervisors.h"
#include "launcher/core/status-table.h"

typedef struct {
  gboolean watch;
  gboolean json;
  char *runtime_dir;
  char **files; /* NULL = all */
  gboolean on_terminal;
} Options;

static volatile sig_atomic_t interrupted;

/* --- rows ------------------------------------------------------------------------------ */

static JsonObject *
sub_object (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static const char *
text_of (JsonObject *object, const char *name)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, name) : NULL;

  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : "";
}

/* @missing if it is null, or not there. */
static double
number_of (JsonObject *object, const char *name, double missing)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, name) : NULL;

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) &&
                 (json_node_get_value_type (node) == G_TYPE_INT64 ||
                  json_node_get_value_type (node) == G_TYPE_DOUBLE)
             ? json_node_get_double (node)
             : missing;
}

static KrHealth
health_of (JsonObject *object)
{
  for (guint i = 0; i < KR_N_HEALTH; i++)
    if (strcmp (text_of (object, "status"), kr_health_name (i)) == 0)
      return i;
  return KR_HEALTH_FAIL;
}

static void
append_reasons (JsonObject *checks, KrHealth status, GString *why)
{
  JsonObjectIter iter;
  JsonNode *node;

  if (checks == NULL)
    return;
  json_object_iter_init (&iter, checks);
  while (json_object_iter_next (&iter, NULL, &node)) {
    JsonObject *check = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;

    if (check == NULL || health_of (check) != status || text_of (check, "reason")[0] == '\0')
      continue;
    g_string_append_printf (why, "%s%s", why->len > 0 ? "; " : "", text_of (check, "reason"));
  }
}

/* What the page says below the name. */
static char *
why_of (JsonObject *pipeline)
{
  JsonObject *restarts = sub_object (pipeline, "restarts");
  GString *why = g_string_new (NULL);
  double next = number_of (restarts, "next_in_s", -1);

  if (next >= 0) {
    g_autofree char *span = kr_status_span (next);

    g_string_append_printf (why, "next start in %s: %s", span,
                            text_of (restarts, "last_reason"));
    return g_string_free (why, FALSE);
  }
  append_reasons (sub_object (pipeline, "checks"), KR_HEALTH_FAIL, why);
  append_reasons (sub_object (pipeline, "checks"), KR_HEALTH_WARN, why);
  if (why->len == 0 && text_of (restarts, "last_reason")[0] != '\0')
    g_string_append_printf (why, "last repair: %s", text_of (restarts, "last_reason"));
  return g_string_free (why, FALSE);
}

static guint
count_pipelines (JsonArray *pipelines, const char *file)
{
  guint n = 0;

  for (guint i = 0; i < json_array_get_length (pipelines); i++)
    n += strcmp (text_of (json_array_get_object_element (pipelines, i), "file"), file) == 0;
  return n;
}

static double
age_of (JsonObject *status, JsonObject *data, const char *name)
{
  g_autoptr (GDateTime) now = g_date_time_new_from_iso8601 (text_of (status, "time"), NULL);
  g_autoptr (GDateTime) then = g_date_time_new_from_iso8601 (text_of (data, name), NULL);

  if (now == NULL || then == NULL)
    return -1;
  return MAX (0, (double)g_date_time_difference (now, then) / G_TIME_SPAN_SECOND);
}

static KrStatusRow *
make_row (JsonObject *status, JsonArray *pipelines, JsonObject *pipeline)
{
  KrStatusRow *row = g_new0 (KrStatusRow, 1);
  JsonObject *data = sub_object (pipeline, "data");
  JsonObject *restarts = sub_object (pipeline, "restarts");
  JsonObject *checks = sub_object (pipeline, "checks");
  JsonObject *gaps = sub_object (pipeline, "gaps_24h");
  const char *file = text_of (pipeline, "file");

  row->name = count_pipelines (pipelines, file) > 1
                  ? g_strdup_printf ("%s/%s", file, text_of (pipeline, "name"))
                  : g_strdup (file);
  row->status = health_of (pipeline);
  row->state = g_strdup (
      text_of (data, "stall_reason")[0] != '\0' ? "stalled" : text_of (pipeline, "state"));
  row->bitrate_bps = number_of (data, "bitrate_bps", 0);
  row->recorded = (guint64)MAX (0, number_of (data, "written_bytes", 0));
  row->keyframe_age_s = age_of (status, data, "last_keyframe");
  row->runway_s =
      number_of (checks != NULL ? sub_object (checks, "disk") : NULL, "runway_s", -1);
  row->restarts = (guint64)MAX (0, number_of (restarts, "pipeline", 0) +
                                       number_of (restarts, "watchdog", 0));
  row->reconnects = (guint64)MAX (0, number_of (restarts, "reconnects", 0));
  row->gaps = (guint64)MAX (0, number_of (gaps, "count", 0));
  row->gap_s = number_of (gaps, "seconds", 0);
  row->why = why_of (pipeline);
  return row;
}

/* --- filter ---------------------------------------------------------------------------- */

static gboolean
is_wanted (const Options *options, const char *file)
{
  g_autoptr (JsonObject) object = NULL;

  if (options->files == NULL)
    return TRUE;
  object = json_object_new ();
  json_object_set_string_member (object, "name", file);
  for (guint i = 0; options->files[i] != NULL; i++)
    if (kr_running_is_file (object, options->files[i]))
      return TRUE;
  return FALSE;
}

static void
filter_member (const Options *options, JsonObject *object, const char *member, const char *key)
{
  JsonNode *node = json_object_get_member (object, member);
  JsonArray *kept = json_array_new ();

  for (guint i = 0; node != NULL && JSON_NODE_HOLDS_ARRAY (node) &&
                    i < json_array_get_length (json_node_get_array (node));
       i++) {
    JsonNode *element = json_array_get_element (json_node_get_array (node), i);

    if (JSON_NODE_HOLDS_OBJECT (element) &&
        is_wanted (options, text_of (json_node_get_object (element), key)))
      json_array_add_element (kept, json_node_ref (element));
  }
  json_object_set_array_member (object, member, kept);
}

/* The status with the wanted files alone. */
static void
filter (const Options *options, KrRunning *running)
{
  JsonObject *all = json_node_get_object (running->status);
  JsonObject *some = json_object_new ();
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  JsonObjectIter iter;
  const char *name;
  JsonNode *value;

  json_object_iter_init (&iter, all);
  while (json_object_iter_next (&iter, &name, &value))
    json_object_set_member (some, name, json_node_ref (value));
  filter_member (options, some, "pipelines", "file");
  filter_member (options, some, "files", "name");
  filter_member (options, some, "history", "file");
  json_node_take_object (node, some);
  json_node_unref (running->status);
  running->status = node;
}

/* --- output ---------------------------------------------------------------------------- */

static guint
terminal_size (gboolean rows)
{
  struct winsize size = {0};

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
    return 0;
  return rows ? size.ws_row : size.ws_col;
}

/* FAIL if anything that is shown fails: of a filtered status, the overall word says too much.
 */
static KrHealth
worst_of (const KrRunning *running)
{
  JsonArray *files = kr_running_files (running);
  JsonArray *pipelines = kr_running_pipelines (running);
  KrHealth worst = KR_HEALTH_PASS;

  for (guint i = 0; files != NULL && i < json_array_get_length (files); i++) {
    JsonObject *file = json_array_get_object_element (files, i);
    const char *state = text_of (file, "state");

    worst = MAX (worst, health_of (file));
    if (strcmp (state, "backoff") == 0 || strcmp (state, "gave-up") == 0)
      worst = KR_HEALTH_FAIL;
  }
  for (guint i = 0; pipelines != NULL && i < json_array_get_length (pipelines); i++)
    worst = MAX (worst, health_of (json_array_get_object_element (pipelines, i)));
  return worst;
}

static gboolean
is_higher_than (const char *text, guint height)
{
  guint lines = 0;

  for (; *text != '\0'; text++)
    lines += *text == '\n';
  return lines > height;
}

/* What is redrawn cannot be scrolled: with trouble first the part that shows is the one that
 * matters. */
static char *
make_table (const Options *options, GPtrArray *rows)
{
  gboolean color = options->on_terminal && g_getenv ("NO_COLOR") == NULL;
  guint width = options->on_terminal ? terminal_size (FALSE) : 0;
  guint height = terminal_size (TRUE);
  char *table = kr_status_table (rows, width, color);

  if (!options->watch || !options->on_terminal || height < 2 ||
      !is_higher_than (table, height - 1))
    return table;
  g_free (table);
  kr_status_rows_put_trouble_first (rows);
  return kr_status_table (rows, width, color);
}

static void
append_one (GString *text, const Options *options, const KrRunning *running)
{
  JsonObject *status = json_node_get_object (running->status);
  JsonArray *pipelines = kr_running_pipelines (running);
  g_autoptr (GPtrArray) rows =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_status_row_free);
  g_autofree char *up = kr_status_span (number_of (status, "uptime_s", -1));
  g_autofree char *table = NULL;

  for (guint i = 0; pipelines != NULL && i < json_array_get_length (pipelines); i++)
    g_ptr_array_add (
        rows, make_row (status, pipelines, json_array_get_object_element (pipelines, i)));
  table = make_table (options, rows);
  if (text->len > 0)
    g_string_append_c (text, '\n');
  g_string_append_printf (
      text, "keeprolling %s, process %" G_GINT64_FORMAT ", up %s: %s%s\n%s",
      text_of (status, "version"), running->pid, up, kr_health_name (worst_of (running)),
      json_object_get_boolean_member_with_default (status, "stopping", FALSE) ? ", stopping"
                                                                              : "",
      table);
}

static char *
make_output (const Options *options, GPtrArray *running)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < running->len; i++) {
    const KrRunning *one = running->pdata[i];

    if (options->json) {
      g_autofree char *line = json_to_string (one->status, FALSE);

      g_string_append_printf (text, "%s\n", line);
    } else {
      append_one (text, options, one);
    }
  }
  return g_string_free (text, FALSE);
}

/* In place, without a flicker: each line is cleared behind its text, and what is below at the
 * end. A terminal that is too low shows the top. */
static void
redraw (const char *output)
{
  g_auto (GStrv) lines = g_strsplit (output, "\n", -1);
  guint n = g_strv_length (lines), height = terminal_size (TRUE);
  g_autoptr (GString) text = g_string_new ("\033[H");

  if (n > 0 && lines[n - 1][0] == '\0')
    n--;
  for (guint i = 0; i < n; i++) {
    if (height > 1 && i + 1 >= height && n > height) {
      g_string_append_printf (text, "... and %u more lines\033[K", n - i);
      break;
    }
    g_string_append_printf (text, "%s\033[K%s", lines[i], i + 1 < n ? "\r\n" : "");
  }
  g_string_append (text, "\033[J");
  fputs (text->str, stdout);
  fflush (stdout);
}

/* --- command --------------------------------------------------------------------------- */

/* One look. @ret_output is empty if nothing runs. */
static int
look (const Options *options, char **ret_output)
{
  g_autofree char *where = NULL;
  g_autoptr (GPtrArray) running = kr_running_find (options->runtime_dir, &where);
  KrHealth worst = KR_HEALTH_PASS;

  *ret_output = NULL;
  if (running->len == 0)
    return options->watch && options->on_terminal ? KR_EXIT_UNAVAILABLE
                                                  : kr_running_none (where);
  for (guint i = 0; options->files != NULL && options->files[i] != NULL; i++)
    if (!kr_running_has_file (running, options->files[i]))
      return kr_running_no_file (running, options->files[i]);
  for (guint i = running->len; i > 0; i--) {
    JsonArray *files;

    if (options->files == NULL)
      break;
    filter (options, running->pdata[i - 1]);
    files = kr_running_files (running->pdata[i - 1]);
    if (files == NULL || json_array_get_length (files) == 0)
      g_ptr_array_remove_index (running, i - 1);
  }
  for (guint i = 0; i < running->len; i++)
    worst = MAX (worst, worst_of (running->pdata[i]));
  *ret_output = make_output (options, running);
  return worst == KR_HEALTH_FAIL ? KR_EXIT_FOUND : KR_EXIT_OK;
}

static void
on_signal (int number)
{
  interrupted = 1;
}

static int
watch (const Options *options)
{
  struct sigaction action = {.sa_handler = on_signal};
  gboolean draws = options->on_terminal && !options->json;
  int code = KR_EXIT_OK;

  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  signal (SIGPIPE, SIG_DFL); /* "status --watch | head" ends with its reader */
  if (draws)
    fputs ("\033[?25l\033[?7l\033[2J", stdout); /* no cursor, no wrapping, a clear screen */
  while (!interrupted) {
    g_autofree char *output = NULL;

    code = look (options, &output);
    if (output == NULL && !draws)
      break;
    if (draws) {
      redraw (output != NULL ? output : "nothing runs: waiting for keeprolling run");
    } else {
      fputs (output, stdout);
      fflush (stdout);
    }
    if (!interrupted)
      g_usleep (G_USEC_PER_SEC);
  }
  if (draws)
    fputs ("\033[?7h\033[?25h\n", stdout);
  return interrupted ? KR_EXIT_OK : code;
}

static int
show (const Options *options)
{
  g_autofree char *output = NULL;
  int code = look (options, &output);

  if (output != NULL)
    fputs (output, stdout);
  return code;
}

int
kr_cmd_status (int argc, char **argv)
{
  Options options = {0};
  const GOptionEntry entries[] = {
      {"watch", 'w', 0, G_OPTION_ARG_NONE, &options.watch, "show it again each second", NULL},
      {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "write it as JSON", NULL},
      {"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.runtime_dir,
       "where the control sockets lie; the one of run by default", "FOLDER"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.files, NULL, NULL},
      {NULL},
  };
  int code = KR_EXIT_USAGE;

  if (kr_command_options (entries, "[FILE...]",
                          "Shows how the pipeline files that run here are doing, all or those "
                          "that are named.\nExit status: 0 all well or a warning, 1 something "
                          "fails, 66 no such file, 69 nothing runs.",
                          &argc, &argv)) {
    options.on_terminal = isatty (STDOUT_FILENO);
    code = options.watch ? watch (&options) : show (&options);
  }
  g_free (options.runtime_dir);
  g_strfreev (options.files);
  return code;
}
