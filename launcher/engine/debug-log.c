/* keeprolling - GStreamer's debug log without secrets
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/debug-log.h"

#include <stdio.h>
#include <unistd.h>

#include "launcher/core/redact.h"

/* Any thread. */
static void
write_line (GstDebugCategory *category, GstDebugLevel level, const char *file,
            const char *function, int line, GObject *object, GstDebugMessage *message,
            gpointer output)
{
  g_autofree char *text = NULL;
  g_autofree char *clean = NULL;

  /* The parser's echo of one value of a property, without the name that says what it is. */
  if (g_str_equal (function, "gst_parse_unescape"))
    return;
  text = gst_debug_log_get_line (category, level, file, function, line, object, message);
  clean = kr_redact (text);
  fputs (clean, output);
}

/* As gst_init() has opened it, where %p stands for the process. */
static FILE *
open_file (const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "%p", -1);
  g_autofree char *pid = g_strdup_printf ("%d", (int)getpid ());
  g_autofree char *name = g_strjoinv (pid, parts);
  FILE *file = fopen (name, "ae");

  if (file != NULL)
    setvbuf (file, NULL, _IOLBF, 0);
  return file;
}

static FILE *
open_output (void)
{
  const char *path = g_getenv ("GST_DEBUG_FILE");
  FILE *file = NULL;

  if (g_strcmp0 (path, "-") == 0)
    return stdout;
  if (path != NULL)
    file = open_file (path);
  return file != NULL ? file : stderr;
}

void
kr_debug_log_redact (void)
{
  static gboolean done;

  if (done || !gst_debug_is_active ())
    return;
  done = TRUE;
  gst_debug_remove_log_function (gst_debug_log_default);
  gst_debug_add_log_function (write_line, open_output (), NULL);
}
