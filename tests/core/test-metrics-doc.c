/* keeprolling - docs/metrics.md says what the program does, no more and no less
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/metrics.h"

#include <string.h>

#include "tests/support/kr-test.h"

static char *
row_of (const KrMetricFamily *family)
{
  g_autofree char *name = kr_metric_family_name (family);

  return g_strdup_printf ("| `%s` | %s | %s | %s |", name, family->type, family->labels,
                          family->help);
}

static void
test_table (void)
{
  g_autofree char *path =
      g_build_filename (g_getenv ("KR_SOURCE_DIR"), "docs/metrics.md", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GString) expected = g_string_new (NULL);
  guint n_rows = 0, n_wrong = 0;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  for (const char *at = text; (at = strstr (at, "\n| `")) != NULL; at++)
    n_rows++;
  for (guint i = 0; i < kr_metrics_n_families (); i++) {
    g_autofree char *row = row_of (kr_metrics_family (i));

    g_string_append_printf (expected, "%s\n", row);
    n_wrong += strstr (text, row) == NULL;
  }
  if (n_wrong > 0 || n_rows != kr_metrics_n_families ())
    g_printerr ("%u rows are wrong; the table of docs/metrics.md should be:\n%s", n_wrong,
                expected->str);
  g_assert_cmpuint (n_wrong, ==, 0);
  g_assert_cmpuint (n_rows, ==, kr_metrics_n_families ());
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/metrics-doc/table", test_table);
  return g_test_run ();
}
