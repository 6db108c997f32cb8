/* keeprolling - runs a fuzzer over the files of its corpus, as a test
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/kr-test.h"

static void
replay (gconstpointer path)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  gsize length = 0;

  g_file_get_contents (path, &text, &length, &error);
  g_assert_no_error (error);
  LLVMFuzzerTestOneInput ((const uint8_t *)text, length);
  /* Cut anywhere, it must be just as safe. */
  for (gsize cut = 1; cut < length; cut += 1 + length / 64) {
    g_autofree char *head = g_memdup2 (text, cut);

    LLVMFuzzerTestOneInput ((const uint8_t *)head, cut);
  }
}

/* replay FOLDER */
int
main (int argc, char **argv)
{
  g_autoptr (GDir) dir = NULL;
  g_autoptr (GError) error = NULL;
  const char *name;

  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (240);
  g_assert_cmpint (argc, ==, 2);
  dir = g_dir_open (argv[1], 0, &error);
  g_assert_no_error (error);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_strconcat ("/fuzz/", name, NULL);

    g_test_add_data_func_full (path, g_build_filename (argv[1], name, NULL), replay, g_free);
  }
  return g_test_run ();
}
