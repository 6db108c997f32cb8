/* keeprolling - who waits for files to be stopped
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/stop-watch.h"

#include "launcher/core/exit-code.h"

typedef struct {
  KrControlReply *reply;
  GPtrArray *names; /* still to end */
  gboolean all;
  int code;
} Waiting;

struct _KrStopWatch {
  GPtrArray *waiting; /* of Waiting */
};

static void
waiting_free (Waiting *waiting)
{
  g_ptr_array_unref (waiting->names);
  g_free (waiting);
}

KrStopWatch *
kr_stop_watch_new (void)
{
  KrStopWatch *watch = g_new0 (KrStopWatch, 1);

  watch->waiting = g_ptr_array_new_with_free_func ((GDestroyNotify)waiting_free);
  return watch;
}

void
kr_stop_watch_free (KrStopWatch *watch)
{
  if (watch == NULL)
    return;
  for (guint i = 0; i < watch->waiting->len; i++) {
    Waiting *waiting = watch->waiting->pdata[i];

    kr_control_reply_end (waiting->reply, KR_EXIT_TEMP_FAIL,
                          "the supervisor ends before all has been stopped");
  }
  g_ptr_array_unref (watch->waiting);
  g_free (watch);
}

void
kr_stop_watch_add (KrStopWatch *watch, GPtrArray *names, KrControlReply *reply)
{
  Waiting *waiting = g_new0 (Waiting, 1);

  waiting->reply = reply;
  waiting->names = names;
  waiting->all = names->len == 0;
  g_ptr_array_add (watch->waiting, waiting);
}

static const KrFileSnapshot *
find_file (const KrSnapshot *snapshot, const char *name)
{
  for (guint i = 0; i < snapshot->files->len; i++) {
    const KrFileSnapshot *file = snapshot->files->pdata[i];

    if (g_strcmp0 (file->name, name) == 0)
      return file;
  }
  return NULL;
}

static gboolean
has_ended (const KrFileSnapshot *file)
{
  return file == NULL || file->is_final;
}

static void
tell_end (Waiting *waiting, const char *name, const KrFileSnapshot *file)
{
  if (file == NULL || !file->killed) {
    kr_control_reply_result (waiting->reply, name, KR_EXIT_OK,
                             "stopped, its files are finished");
    return;
  }
  waiting->code = KR_EXIT_TEMP_FAIL;
  kr_control_reply_result (
      waiting->reply, name, KR_EXIT_TEMP_FAIL,
      "its worker did not end in time and had to be killed; what was written is kept, and the "
      "unfinished files were given their names: the log says which");
}

/* TRUE if nothing is left to wait for. */
static gboolean
update_one (Waiting *waiting, const KrSnapshot *snapshot)
{
  if (waiting->all && waiting->names->len == 0)
    for (guint i = 0; i < snapshot->files->len; i++) {
      const KrFileSnapshot *file = snapshot->files->pdata[i];

      g_ptr_array_add (waiting->names, g_strdup (file->name));
    }
  waiting->all = FALSE;
  for (guint i = 0; i < waiting->names->len;) {
    const char *name = waiting->names->pdata[i];
    const KrFileSnapshot *file = find_file (snapshot, name);

    if (has_ended (file)) {
      tell_end (waiting, name, file);
      g_ptr_array_remove_index (waiting->names, i);
    } else {
      kr_control_reply_progress (waiting->reply, name, "finishing its files");
      i++;
    }
  }
  return waiting->names->len == 0;
}

void
kr_stop_watch_update (KrStopWatch *watch, const KrSnapshot *snapshot)
{
  for (guint i = 0; i < watch->waiting->len;) {
    Waiting *waiting = watch->waiting->pdata[i];

    if (!update_one (waiting, snapshot)) {
      i++;
      continue;
    }
    kr_control_reply_end (waiting->reply, waiting->code, NULL);
    g_ptr_array_remove_index (watch->waiting, i);
  }
}
