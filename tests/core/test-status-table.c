/* keeprolling - the status as a table for a terminal
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/status-table.h"

#include <string.h>

#include "tests/support/kr-test.h"

static void
add_row (GPtrArray *rows, const char *name, KrHealth status, const char *state, const char *why)
{
  KrStatusRow *row = g_new0 (KrStatusRow, 1);

  row->name = g_strdup (name);
  row->status = status;
  row->state = g_strdup (state);
  row->bitrate_bps = 1234567;
  row->recorded = 98765432;
  row->keyframe_age_s = 0.42;
  row->runway_s = 86400;
  row->restarts = 2;
  row->why = g_strdup (why);
  g_ptr_array_add (rows, row);
}

static GPtrArray *
new_rows (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify)kr_status_row_free);
}

static void
test_wide (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();
  g_autofree char *table = NULL;
  KrStatusRow *second;

  add_row (rows, "cam1", KR_HEALTH_PASS, "playing", "");
  add_row (rows, "studio/left", KR_HEALTH_FAIL, "stalled", "not growing (no-growth)");
  second = rows->pdata[1];
  second->keyframe_age_s = second->runway_s = -1;
  second->reconnects = 12;
  second->gaps = 3;
  second->gap_s = 125;
  table = kr_status_table (rows, 0, FALSE);
  g_assert_cmpstr (
      table, ==,
      "Pipeline     Health  State    Bit rate  Recorded  Last keyframe  Disk full in  "
      "          Restarts  Gaps in 24 h\n"
      "cam1         ✓ pass  playing  1.2 Mb/s   98.8 MB      0.4 s ago          24 h  "
      "                 2          none\n"
      "studio/left  ✕ fail  stalled  1.2 Mb/s   98.8 MB              –             –  "
      "2 (+12 reconnects)      3, 2 min\n"
      "    not growing (no-growth)\n");
}

/* Columns of a line, sequences for color apart. */
static guint
visible (const char *line)
{
  guint n = 0;

  for (; *line != '\0'; line = g_utf8_next_char (line)) {
    if (*line == '\033') {
      line = strchr (line, 'm');
      continue;
    }
    n += g_unichar_iswide (g_utf8_get_char (line)) ? 2 : 1;
  }
  return n;
}

static void
test_narrow (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();

  add_row (rows, "cam1", KR_HEALTH_PASS, "playing", "");
  add_row (rows, "a-camera-with-a-long-name", KR_HEALTH_WARN, "reconnecting",
           "the source is absent and has been for longer than anybody cares to remember");
  add_row (rows, "カメラ一号機/録画", KR_HEALTH_FAIL, "backoff",
           "次の開始まで五秒待っています五秒");
  for (guint width = 20; width < 160; width++) {
    g_autofree char *table = kr_status_table (rows, width, width % 2 == 0);
    g_auto (GStrv) lines = g_strsplit (table, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++)
      g_assert_cmpuint (visible (lines[i]), <=, width);
    /* The name's beginning and the health stay to the end. */
    g_assert_nonnull (strstr (table, "Health"));
    g_assert_nonnull (strstr (table, "cam1"));
    g_assert_nonnull (strstr (table, "! warn"));
  }
  {
    g_autofree char *table = kr_status_table (rows, 60, FALSE);

    g_assert_null (strstr (table, "Last keyframe"));
    g_assert_nonnull (strstr (table, "State"));
  }
}

static void
test_long_name (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();
  g_autofree char *table = NULL;

  add_row (rows, "the-camera-in-the-north-east-corner-of-the-upper-car-park", KR_HEALTH_PASS,
           "playing", "");
  add_row (rows, "cam1", KR_HEALTH_PASS, "playing", "");
  table = kr_status_table (rows, 120, FALSE);
  g_assert_nonnull (strstr (table, "the-camera-in-the-north"));
  g_assert_nonnull (strstr (table, "Last keyframe"));
}

static void
test_trouble_first (void)
{
  static const char expected[] = "dbeac";
  g_autoptr (GPtrArray) rows = new_rows ();

  add_row (rows, "a", KR_HEALTH_PASS, "playing", "");
  add_row (rows, "b", KR_HEALTH_WARN, "playing", "");
  add_row (rows, "c", KR_HEALTH_PASS, "playing", "");
  add_row (rows, "d", KR_HEALTH_FAIL, "failed", "");
  add_row (rows, "e", KR_HEALTH_WARN, "playing", "");
  kr_status_rows_put_trouble_first (rows);
  for (guint i = 0; i < rows->len; i++)
    g_assert_cmpint (((KrStatusRow *)rows->pdata[i])->name[0], ==, expected[i]);
}

static void
test_hostile_text (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();
  g_autofree char *table = NULL;

  add_row (rows, "cam\033[2J1", KR_HEALTH_PASS, "playing", "\033]0;title\a\nx\xff\x9b");
  table = kr_status_table (rows, 80, FALSE);
  g_assert_null (strchr (table, '\033'));
  g_assert_null (strchr (table, '\a'));
  g_assert_true (g_utf8_validate (table, -1, NULL));
}

static void
test_empty (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();
  g_autofree char *table = kr_status_table (rows, 80, TRUE);

  g_assert_true (g_str_has_prefix (table, "\033[1mPipeline"));
}

static void
assert_text (char *got, const char *expected)
{
  g_assert_cmpstr (got, ==, expected);
  g_free (got);
}

static void
test_units (void)
{
  assert_text (kr_status_size (0), "0 B");
  assert_text (kr_status_size (999), "999 B");
  assert_text (kr_status_size (1000), "1.0 kB");
  assert_text (kr_status_size (123456789), "123 MB");
  assert_text (kr_status_size (G_MAXUINT64), "18447 PB");
  assert_text (kr_status_rate (0), "0 kb/s");
  assert_text (kr_status_rate (-5), "0 kb/s");
  assert_text (kr_status_rate (2500000), "2.5 Mb/s");
  assert_text (kr_status_span (-1), "–");
  assert_text (kr_status_span (9.94), "9.9 s");
  assert_text (kr_status_span (119), "119 s");
  assert_text (kr_status_span (7199), "120 min");
  assert_text (kr_status_span (7200), "2 h");
  assert_text (kr_status_span (1e6), "12 days");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/status-table/wide", test_wide);
  g_test_add_func ("/status-table/narrow", test_narrow);
  g_test_add_func ("/status-table/long-name", test_long_name);
  g_test_add_func ("/status-table/trouble-first", test_trouble_first);
  g_test_add_func ("/status-table/hostile-text", test_hostile_text);
  g_test_add_func ("/status-table/empty", test_empty);
  g_test_add_func ("/status-table/units", test_units);
  return g_test_run ();
}
