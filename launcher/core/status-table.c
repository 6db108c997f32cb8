/* keeprolling - the status as a table for a terminal
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/status-table.h"

#include <string.h>

typedef enum {
  COLUMN_NAME,
  COLUMN_STATUS,
  COLUMN_STATE,
  COLUMN_RATE,
  COLUMN_RECORDED,
  COLUMN_KEYFRAME,
  COLUMN_DISK,
  COLUMN_RESTARTS,
  COLUMN_GAPS,
  N_COLUMNS
} Column;

static const struct {
  const char *heading;
  gboolean right; /* numbers end in one line */
  guint weight;   /* the lightest goes first */
} columns[] = {
    [COLUMN_NAME] = {"Pipeline", FALSE, 9},    [COLUMN_STATUS] = {"Health", FALSE, 8},
    [COLUMN_STATE] = {"State", FALSE, 7},      [COLUMN_RATE] = {"Bit rate", TRUE, 6},
    [COLUMN_RECORDED] = {"Recorded", TRUE, 5}, [COLUMN_KEYFRAME] = {"Last keyframe", TRUE, 1},
    [COLUMN_DISK] = {"Disk full in", TRUE, 4}, [COLUMN_RESTARTS] = {"Restarts", TRUE, 3},
    [COLUMN_GAPS] = {"Gaps in 24 h", TRUE, 2},
};
G_STATIC_ASSERT (G_N_ELEMENTS (columns) == N_COLUMNS);

#define GAP 2 /* blanks between two columns */

static const char *const signs[] = {
    [KR_HEALTH_PASS] = "\xe2\x9c\x93 pass", /* check mark */
    [KR_HEALTH_WARN] = "! warn",
    [KR_HEALTH_FAIL] = "\xe2\x9c\x95 fail", /* cross */
};
G_STATIC_ASSERT (G_N_ELEMENTS (signs) == KR_N_HEALTH);

static const char *const colors[] = {
    [KR_HEALTH_PASS] = "\033[32m",
    [KR_HEALTH_WARN] = "\033[33m",
    [KR_HEALTH_FAIL] = "\033[1;31m",
};
G_STATIC_ASSERT (G_N_ELEMENTS (colors) == KR_N_HEALTH);

void
kr_status_row_free (KrStatusRow *row)
{
  if (row == NULL)
    return;
  g_free (row->name);
  g_free (row->state);
  g_free (row->why);
  g_free (row);
}

/* --- units ----------------------------------------------------------------------------- */

char *
kr_status_size (guint64 bytes)
{
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = (double)bytes;
  guint i = 0;

  while (value >= 1000 && i < G_N_ELEMENTS (units) - 1) {
    value /= 1000;
    i++;
  }
  return g_strdup_printf (value >= 100 || i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
}

char *
kr_status_rate (double bps)
{
  if (bps >= 1e6)
    return g_strdup_printf ("%.1f Mb/s", bps / 1e6);
  return g_strdup_printf ("%.0f kb/s", MAX (bps, 0) / 1e3);
}

char *
kr_status_span (double seconds)
{
  if (seconds < 0)
    return g_strdup ("\xe2\x80\x93"); /* a dash */
  if (seconds < 10)
    return g_strdup_printf ("%.1f s", seconds);
  if (seconds < 120)
    return g_strdup_printf ("%.0f s", seconds);
  if (seconds < 7200)
    return g_strdup_printf ("%.0f min", seconds / 60);
  if (seconds < 172800)
    return g_strdup_printf ("%.0f h", seconds / 3600);
  return g_strdup_printf ("%.0f days", seconds / 86400);
}

/* --- cells ----------------------------------------------------------------------------- */

static char *
make_gaps (const KrStatusRow *row)
{
  g_autofree char *seconds = kr_status_span (row->gap_s);

  if (row->gaps == 0)
    return g_strdup ("none");
  return g_strdup_printf ("%" G_GUINT64_FORMAT ", %s", row->gaps, seconds);
}

static char *
make_restarts (const KrStatusRow *row)
{
  if (row->reconnects == 0)
    return g_strdup_printf ("%" G_GUINT64_FORMAT, row->restarts);
  return g_strdup_printf ("%" G_GUINT64_FORMAT " (+%" G_GUINT64_FORMAT " reconnect%s)",
                          row->restarts, row->reconnects, row->reconnects == 1 ? "" : "s");
}

static char *
make_cell (const KrStatusRow *row, Column column)
{
  switch (column) {
  case COLUMN_NAME:
    return g_strdup (row->name);
  case COLUMN_STATUS:
    return g_strdup (signs[row->status]);
  case COLUMN_STATE:
    return g_strdup (row->state);
  case COLUMN_RATE:
    return kr_status_rate (row->bitrate_bps);
  case COLUMN_RECORDED:
    return kr_status_size (row->recorded);
  case COLUMN_KEYFRAME: {
    g_autofree char *age = kr_status_span (row->keyframe_age_s);

    return row->keyframe_age_s < 0 ? g_steal_pointer (&age) : g_strdup_printf ("%s ago", age);
  }
  case COLUMN_DISK:
    return kr_status_span (row->runway_s);
  case COLUMN_RESTARTS:
    return make_restarts (row);
  case COLUMN_GAPS:
    return make_gaps (row);
  case N_COLUMNS:
    break;
  }
  g_return_val_if_reached (NULL);
}

/* Columns of the terminal that @text takes. */
static guint
width_of (const char *text)
{
  guint width = 0;

  for (; *text != '\0'; text = g_utf8_next_char (text)) {
    gunichar letter = g_utf8_get_char (text);

    if (!g_unichar_iszerowidth (letter))
      width += g_unichar_iswide (letter) ? 2 : 1;
  }
  return width;
}

/* As much of @text as fits; what comes from outside cannot steer the terminal. */
static char *
fit (const char *text, guint width)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *line = g_string_new (NULL);
  guint used = 0;

  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar letter = g_utf8_get_char (at);
    guint wide;

    if (g_unichar_iscntrl (letter))
      letter = ' ';
    wide = g_unichar_iszerowidth (letter) ? 0 : g_unichar_iswide (letter) ? 2 : 1;
    if (used + wide > width || (used + wide == width && *g_utf8_next_char (at) != '\0')) {
      g_string_append (line, "\xe2\x80\xa6"); /* dots */
      break;
    }
    g_string_append_unichar (line, letter);
    used += wide;
  }
  return g_string_free (line, FALSE);
}

/* --- table ----------------------------------------------------------------------------- */

#define ENOUGH_OF_A_NAME 24
#define LEAST_OF_A_NAME  8

typedef struct {
  guint width; /* of the terminal */
  gboolean color;
  char **cells; /* row * N_COLUMNS + column */
  guint widths[N_COLUMNS];
  gboolean shown[N_COLUMNS];
} Table;

static guint
total_width (const Table *table)
{
  guint total = 0;

  for (guint c = 0; c < N_COLUMNS; c++)
    if (table->shown[c])
      total += table->widths[c] + (total > 0 ? GAP : 0);
  return total;
}

static int
lightest (const Table *table)
{
  int found = -1;

  for (int c = 0; c < N_COLUMNS; c++)
    if (table->shown[c] && c != COLUMN_NAME && c != COLUMN_STATUS &&
        (found < 0 || columns[c].weight < columns[found].weight))
      found = c;
  return found;
}

/* As far as needed, but to no less than @least. */
static void
shorten_names (Table *table, guint least)
{
  guint total = total_width (table), width = table->widths[COLUMN_NAME];

  if (total <= table->width || width <= least)
    return;
  table->widths[COLUMN_NAME] = MAX (least, width - MIN (width, total - table->width));
}

/* One long name is not worth a column; a short one is not worth reading. */
static void
make_room (Table *table)
{
  int column;

  shorten_names (table, ENOUGH_OF_A_NAME);
  while (total_width (table) > table->width && (column = lightest (table)) >= 0)
    table->shown[column] = FALSE;
  shorten_names (table, LEAST_OF_A_NAME);
}

static void
append_cell (GString *line, const Table *table, Column column, const char *text,
             gboolean is_first)
{
  g_autofree char *cell = fit (text, table->widths[column]);
  guint blanks = table->widths[column] - MIN (width_of (cell), table->widths[column]);

  if (!is_first)
    g_string_append_printf (line, "%*s", GAP, "");
  if (columns[column].right)
    g_string_append_printf (line, "%*s", (int)blanks, "");
  g_string_append (line, cell);
  if (!columns[column].right)
    g_string_append_printf (line, "%*s", (int)blanks, "");
}

static void
append_line (GString *text, const Table *table, char **cells, const char *color)
{
  g_autoptr (GString) line = g_string_new (NULL);
  gboolean is_first = TRUE;

  for (guint c = 0; c < N_COLUMNS; c++) {
    if (!table->shown[c])
      continue;
    append_cell (line, table, c, cells != NULL ? cells[c] : columns[c].heading, is_first);
    is_first = FALSE;
  }
  while (line->len > 0 && line->str[line->len - 1] == ' ')
    g_string_truncate (line, line->len - 1);
  if (table->color)
    g_string_append_printf (text, "%s%s\033[0m\n", color, line->str);
  else
    g_string_append_printf (text, "%s\n", line->str);
}

static void
append_why (GString *text, const Table *table, const KrStatusRow *row)
{
  g_autofree char *why = NULL;

  if (row->why == NULL || row->why[0] == '\0')
    return;
  why = fit (row->why, table->width == G_MAXUINT ? G_MAXUINT : MAX (table->width, 20) - 4);
  g_string_append_printf (text, "    %s\n", why);
}

static void
fill (Table *table, GPtrArray *rows)
{
  for (guint c = 0; c < N_COLUMNS; c++) {
    table->shown[c] = TRUE;
    table->widths[c] = width_of (columns[c].heading);
  }
  for (guint r = 0; r < rows->len; r++) {
    for (guint c = 0; c < N_COLUMNS; c++) {
      g_autofree char *raw = make_cell (rows->pdata[r], c);
      char *cell = fit (raw, 64);

      table->cells[r * N_COLUMNS + c] = cell;
      table->widths[c] = MAX (table->widths[c], width_of (cell));
    }
  }
}

static int
compare_trouble (gconstpointer a, gconstpointer b)
{
  const KrStatusRow *first = *(KrStatusRow *const *)a, *second = *(KrStatusRow *const *)b;

  return (int)second->status - (int)first->status;
}

void
kr_status_rows_put_trouble_first (GPtrArray *rows)
{
  /* It merges, and so keeps the order of those that are alike. */
  g_ptr_array_sort (rows, compare_trouble);
}

char *
kr_status_table (GPtrArray *rows, guint width, gboolean color)
{
  Table table = {.width = width > 0 ? width : G_MAXUINT, .color = color};
  GString *text = g_string_new (NULL);

  table.cells = g_new0 (char *, rows->len *N_COLUMNS + 1);
  fill (&table, rows);
  make_room (&table);
  append_line (text, &table, NULL, "\033[1m");
  for (guint r = 0; r < rows->len; r++) {
    const KrStatusRow *row = rows->pdata[r];

    append_line (text, &table, table.cells + r * N_COLUMNS, colors[row->status]);
    append_why (text, &table, row);
  }
  g_strfreev (table.cells);
  return g_string_free (text, FALSE);
}
