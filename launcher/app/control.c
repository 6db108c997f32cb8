/* keeprolling - the control socket's place in "run"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/control.h"

#include <gio/gio.h>

#include "launcher/app/log.h"
#include "launcher/app/stop-watch.h"
#include "launcher/core/nearest.h"
#include "launcher/core/pipeline-file.h"
#include "launcher/services/control-socket.h"

struct _KrControl {
  KrLauncher *launcher;
  KrReloader *reloader;
  KrControlSocket *socket; /* NULL = there is none */
  KrStopWatch *stops;
};

static KrSnapshot *
on_snapshot (gpointer data)
{
  KrControl *control = data;

  return kr_launcher_get_snapshot (control->launcher);
}

/* What the user calls @word: "cam1", "cam1.pipeline" or "/etc/keeprolling/cam1.pipeline". NULL
 * = no such file. */
static const char *
find_file (const KrSnapshot *snapshot, const char *word)
{
  g_autofree char *label = kr_pipeline_file_label (word);

  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    if (g_strcmp0 (file->name, word) == 0 || g_strcmp0 (file->path, word) == 0 ||
        g_strcmp0 (file->name, label) == 0)
      return file->name;
  }
  return NULL;
}

static char *
unknown_file (const KrSnapshot *snapshot, const char *word)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *hint = NULL;

  for (guint i = 0; i < snapshot->files->len; i++)
    g_ptr_array_add (names, ((KrFileSnapshot *)snapshot->files->pdata[i])->name);
  g_ptr_array_add (names, NULL);
  hint = kr_nearest_hint (word, (const char *const *)names->pdata,
                          "keeprolling status lists them");
  return g_strdup_printf ("no file '%s' runs here: %s", word, hint);
}

static void
stop_all (KrControl *control)
{
  /* A second request is no second signal: it does not force anything. */
  if (kr_launcher_get_snapshot (control->launcher)->stopping)
    return;
  kr_log (G_LOG_LEVEL_MESSAGE, NULL, NULL,
          "told to stop by keeprolling stop: finishing the files");
  kr_launcher_stop (control->launcher);
}

static gboolean
on_stop (const char *const *files, KrControlReply *reply, GError **error, gpointer data)
{
  KrControl *control = data;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; files[i] != NULL; i++) {
    const KrSnapshot *snapshot = kr_launcher_get_snapshot (control->launcher);
    const char *name = find_file (snapshot, files[i]);

    if (name == NULL) {
      g_autofree char *text = unknown_file (snapshot, files[i]);

      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, text);
      return FALSE;
    }
    g_ptr_array_add (names, g_strdup (name));
  }
  if (names->len == 0)
    stop_all (control);
  for (guint i = 0; i < names->len; i++) {
    kr_log (G_LOG_LEVEL_MESSAGE, names->pdata[i], NULL,
            "told to stop by keeprolling stop: finishing the file; the others go on");
    kr_launcher_stop_file (control->launcher, names->pdata[i]);
  }
  if (reply != NULL)
    kr_stop_watch_add (control->stops, g_steal_pointer (&names), reply);
  return TRUE;
}

/* --- reload: what the reloader says goes to the client that has asked ----------------------
 */

static void
on_reload_progress (const char *file, const char *text, gpointer data)
{
  kr_control_reply_progress (data, file, text);
}

static void
on_reload_result (const char *file, int code, const char *text, gpointer data)
{
  kr_control_reply_result (data, file, code, text);
}

static void
on_reload_ended (int code, const char *text, gpointer data)
{
  kr_control_reply_end (data, code, text);
}

static void
on_reload_again (gpointer data)
{
  kr_control_reply_again (data);
}

static const KrReloadWatcher reload_watcher = {
    .again = on_reload_again,
    .progress = on_reload_progress,
    .result = on_reload_result,
    .ended = on_reload_ended,
};

static gboolean
on_reload (const KrControlReload *wish, KrControlReply *reply, GError **error, gpointer data)
{
  KrControl *control = data;

  if (kr_launcher_is_stopping (control->launcher)) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "everything is being stopped");
    return FALSE;
  }
  if (!kr_reloader_ask (control->reloader, wish->files, wish->all, wish->in_turn,
                        "keeprolling reload", &reload_watcher, reply)) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                         "too many reloads wait already: try again");
    return FALSE;
  }
  return TRUE;
}

static const KrControlCallbacks callbacks = {
    .reload = on_reload,
    .snapshot = on_snapshot,
    .stop = on_stop,
};

KrControl *
kr_control_new (const char *runtime_dir, KrLauncher *launcher, KrReloader *reloader)
{
  KrControl *control = g_new0 (KrControl, 1);
  g_autoptr (GError) error = NULL;

  control->launcher = launcher;
  control->reloader = reloader;
  control->stops = kr_stop_watch_new ();
  control->socket = kr_control_socket_new (
      runtime_dir, kr_launcher_get_snapshot (launcher)->instance, &callbacks, control, &error);
  if (control->socket == NULL)
    kr_log (
        G_LOG_LEVEL_WARNING, NULL, NULL,
        "no control socket (%s): keeprolling status, reload and stop do not reach this one; "
        "recording is not affected. See --runtime-dir",
        error->message);
  return control;
}

void
kr_control_update (KrControl *control, const KrSnapshot *snapshot)
{
  kr_stop_watch_update (control->stops, snapshot);
}

void
kr_control_free (KrControl *control)
{
  if (control == NULL)
    return;
  kr_control_update (control, kr_launcher_get_snapshot (control->launcher));
  kr_stop_watch_free (control->stops);
  kr_control_socket_free (control->socket);
  g_free (control);
}
