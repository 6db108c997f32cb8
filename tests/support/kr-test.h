/* keeprolling - what every C test needs
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A fresh private folder below the system's temporary folder. kr_test_dir_free() removes it
 * with all that is in it. */
typedef char KrTestDir;

KrTestDir *kr_test_dir_new (void);
void kr_test_dir_free (KrTestDir *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTestDir, kr_test_dir_free)

/* Path of @name below @dir (transfer full). */
char *kr_test_dir_path (const KrTestDir *dir, const char *name);
/* Sorted names of the files in @dir, joined by one space (transfer full). */
char *kr_test_dir_list (const KrTestDir *dir);

/* Aborts the test program with a message if it still runs after @seconds; replaces an earlier
 * deadline. A guard against hangs, not a measure of speed. Scaled by KR_TEST_TIMEOUT_SCALE. */
void kr_test_deadline (guint seconds);

/* Iterates the default main context until @condition is TRUE; fails the test after @seconds. */
#define kr_test_wait(condition, seconds)                                                       \
  G_STMT_START                                                                                 \
  {                                                                                            \
    gint64 _end = g_get_monotonic_time () + kr_test_scale (seconds) * G_TIME_SPAN_SECOND;      \
    while (!(condition)) {                                                                     \
      if (g_get_monotonic_time () > _end)                                                      \
        g_error ("%s:%d: not within %d s: %s", __FILE__, __LINE__, (int) (seconds),            \
                 #condition);                                                                  \
      if (!g_main_context_iteration (NULL, FALSE))                                             \
        g_usleep (1000);                                                                       \
    }                                                                                          \
  }                                                                                            \
  G_STMT_END

gint64 kr_test_scale (gint64 value);

G_END_DECLS
