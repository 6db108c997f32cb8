/* keeprolling - what is worth waking somebody for
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/notice.h"

#include <string.h>

/* Names come from pipeline files, but also from workers, which may lie. */
#define MAX_KEYS 4096

static const char *const kind_names[] = {
    [KR_NOTICE_STALL] = "stall",         [KR_NOTICE_RECOVERED] = "recovered",
    [KR_NOTICE_RESTART] = "restart",     [KR_NOTICE_REPLACEMENT] = "replacement",
    [KR_NOTICE_HANDOVER] = "handover",   [KR_NOTICE_DISK] = "disk",
    [KR_NOTICE_RECONNECT] = "reconnect",
};
G_STATIC_ASSERT (G_N_ELEMENTS (kind_names) == KR_N_NOTICES);

static const struct {
  const char *event;
  KrNoticeKind kind;
} events[] = {
    {"stall", KR_NOTICE_STALL},
    {"failed", KR_NOTICE_STALL},
    {"gave-up", KR_NOTICE_STALL},
    {"recovered", KR_NOTICE_RECOVERED},
    {"file-recovered", KR_NOTICE_RECOVERED},
    {"restart", KR_NOTICE_RESTART},
    {"crash", KR_NOTICE_RESTART},
    {"killed", KR_NOTICE_RESTART},
    {"replacement", KR_NOTICE_REPLACEMENT},
    {"hang", KR_NOTICE_REPLACEMENT},
    {"replaced", KR_NOTICE_HANDOVER},
    {"replace-failed", KR_NOTICE_HANDOVER},
    {"handover", KR_NOTICE_HANDOVER},
    {"handover-failed", KR_NOTICE_HANDOVER},
    {"disk", KR_NOTICE_DISK},
    {"reconnect", KR_NOTICE_RECONNECT},
};

const char *
kr_notice_kind_name (KrNoticeKind kind)
{
  g_return_val_if_fail ((guint)kind < KR_N_NOTICES, NULL);
  return kind_names[kind];
}

gboolean
kr_notice_kind_for_event (const char *event, KrNoticeKind *ret_kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (events); i++) {
    if (g_strcmp0 (event, events[i].event) == 0) {
      *ret_kind = events[i].kind;
      return TRUE;
    }
  }
  return FALSE;
}

/* --- text ------------------------------------------------------------------------------ */

static void
append_escaped (GString *line, gunichar letter)
{
  switch (letter) {
  case '&':
    g_string_append (line, "&amp;");
    break;
  case '<':
    g_string_append (line, "&lt;");
    break;
  case '>':
    g_string_append (line, "&gt;");
    break;
  default:
    if (g_unichar_iscntrl (letter) || letter == 0x2028 || letter == 0x2029)
      g_string_append_c (line, ' ');
    else
      g_string_append_unichar (line, letter);
  }
}

char *
kr_notice_text (const char *file, const char *pipeline, const char *text)
{
  g_autofree char *raw = pipeline != NULL && pipeline[0] != '\0'
                             ? g_strdup_printf ("%s/%s: %s", file, pipeline, text)
                             : g_strdup_printf ("%s: %s", file, text);
  g_autofree char *valid = g_utf8_make_valid (raw, -1);
  GString *line = g_string_new (NULL);

  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at)) {
    if (line->len > KR_NOTICE_MAX_TEXT - 12) { /* room for the longest escape and the dots */
      g_string_append (line, "...");
      break;
    }
    append_escaped (line, g_utf8_get_char (at));
  }
  return g_string_free (line, FALSE);
}

/* --- gate ------------------------------------------------------------------------------ */

typedef struct {
  gint64 since; /* of the window */
  guint passed; /* within it */
  guint left_out;
} Window;

struct _KrNoticeGate {
  GHashTable *windows; /* char* -> Window */
};

KrNoticeGate *
kr_notice_gate_new (void)
{
  KrNoticeGate *gate = g_new0 (KrNoticeGate, 1);

  gate->windows = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return gate;
}

void
kr_notice_gate_free (KrNoticeGate *gate)
{
  if (gate == NULL)
    return;
  g_hash_table_unref (gate->windows);
  g_free (gate);
}

static Window *
find_window (KrNoticeGate *gate, const char *file, const char *pipeline, KrNoticeKind kind,
             gint64 now)
{
  g_autofree char *key = g_strdup_printf ("%d %s/%s", kind, file, pipeline);
  Window *window = g_hash_table_lookup (gate->windows, key);

  if (window != NULL)
    return window;
  if (g_hash_table_size (gate->windows) >= MAX_KEYS) {
    g_free (key);
    key = g_strdup ("the rest");
    window = g_hash_table_lookup (gate->windows, key);
  }
  if (window == NULL) {
    window = g_new0 (Window, 1);
    window->since = now;
    g_hash_table_insert (gate->windows, g_steal_pointer (&key), window);
  }
  return window;
}

gboolean
kr_notice_gate_pass (KrNoticeGate *gate, const char *file, const char *pipeline,
                     KrNoticeKind kind, gint64 now, guint *ret_left_out)
{
  Window *window = find_window (gate, file, pipeline != NULL ? pipeline : "", kind, now);

  if (now - window->since >= KR_NOTICE_WINDOW_US) {
    window->since = now;
    window->passed = 0;
  }
  if (window->passed >= KR_NOTICE_BURST) {
    window->left_out++;
    return FALSE;
  }
  window->passed++;
  *ret_left_out = window->left_out;
  window->left_out = 0;
  return TRUE;
}
