/* keeprolling - the live sources of one pipeline
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/source-set.h"

#include "launcher/engine/collector.h"

/* Sources of one pipeline that can be held back at a start; the others are simply started. */
#define MAX_HELD 64
/* A clock that is slewed gets there in small steps. */
#define CLOCK_STEP_US (G_TIME_SPAN_SECOND / 2)

struct _KrSourceSet {
  gint64 timeout_us;
  gint64 deadline_us;
  KrSourceWatchFunc func;
  gpointer data;

  /* The present incarnation. */
  GPtrArray *watches; /* the build's; NULL = there is none */
  int failed;         /* which one has spoilt the start, -1 = none */
  char *failed_text;
  gint64 flowing_since; /* all deliver; G_MAXINT64 = they do not */

  gboolean held[MAX_HELD]; /* those that would spoil the start of the others */
  guint64 received_before; /* by incarnations that are gone */
  guint64 reconnects;
  gint64 last_data; /* monotonic */
  gint64 last_data_utc_us;
};

KrSourceSet *
kr_source_set_new (gint64 timeout_us, gint64 deadline_us, KrSourceWatchFunc func, gpointer data)
{
  KrSourceSet *set = g_new0 (KrSourceSet, 1);

  set->timeout_us = timeout_us;
  set->deadline_us = deadline_us;
  set->func = func;
  set->data = data;
  set->failed = -1;
  set->flowing_since = G_MAXINT64;
  return set;
}

void
kr_source_set_free (KrSourceSet *set)
{
  if (set == NULL)
    return;
  g_assert (set->watches == NULL);
  g_free (set);
}

static guint
n_watches (KrSourceSet *set)
{
  return set->watches != NULL ? set->watches->len : 0;
}

static KrSourceWatch *
nth_watch (KrSourceSet *set, guint i)
{
  return g_ptr_array_index (set->watches, i);
}

static void
on_source (KrSourceWatch *watch, KrSourceWatchEvent event, const char *text, double seconds,
           gpointer data)
{
  KrSourceSet *set = data;
  guint index;

  if (event == KR_SOURCE_WATCH_LOST)
    set->reconnects++;
  if ((event == KR_SOURCE_WATCH_BACK || event == KR_SOURCE_WATCH_FIRST) &&
      g_ptr_array_find (set->watches, watch, &index) && index < MAX_HELD)
    set->held[index] = FALSE;
  set->func (watch, event, text, seconds, set->data);
}

void
kr_source_set_attach (KrSourceSet *set, KrBuild *build)
{
  g_autoptr (GPtrArray) sources = kr_source_watch_find (kr_build_get_pipeline (build));
  guint n_held = 0;

  g_assert (set->watches == NULL);
  set->watches = kr_build_get_watches (build);
  set->flowing_since = g_get_monotonic_time ();
  for (guint i = 0; i < sources->len && i < MAX_HELD; i++)
    n_held += set->held[i];
  for (guint i = 0; i < sources->len; i++) {
    KrSourceWatch *watch = kr_source_watch_new (g_ptr_array_index (sources, i), set->timeout_us,
                                                set->deadline_us, on_source, set);

    g_ptr_array_add (set->watches, watch);
    /* A pipeline without any live source would wait for the data of these: then all or none. */
    if (i < MAX_HELD && set->held[i] && n_held < sources->len)
      kr_source_watch_hold_back (watch);
  }
}

void
kr_source_set_detach (KrSourceSet *set)
{
  for (guint i = 0; i < n_watches (set); i++) {
    set->received_before += kr_source_watch_get_bytes (nth_watch (set, i));
    kr_source_watch_stop (nth_watch (set, i));
  }
  set->watches = NULL;
  set->failed = -1;
  g_clear_pointer (&set->failed_text, g_free);
}

void
kr_source_set_start (KrSourceSet *set)
{
  for (guint i = 0; i < n_watches (set); i++)
    kr_source_watch_start (nth_watch (set, i));
  if (set->failed >= 0)
    kr_source_watch_failed (nth_watch (set, (guint)set->failed), set->failed_text);
}

void
kr_source_set_let_eos (KrSourceSet *set)
{
  for (guint i = 0; i < n_watches (set); i++)
    kr_source_watch_let_eos (nth_watch (set, i));
}

guint
kr_source_set_get_n_sources (KrSourceSet *set)
{
  return n_watches (set);
}

KrSourceWatch *
kr_source_set_find (KrSourceSet *set, GstObject *object)
{
  for (guint i = 0; i < n_watches (set); i++)
    if (kr_source_watch_owns (nth_watch (set, i), object))
      return nth_watch (set, i);
  return NULL;
}

static gboolean
any_silent (KrSourceSet *set)
{
  for (guint i = 0; i < n_watches (set); i++)
    if (kr_source_watch_is_silent (nth_watch (set, i)))
      return TRUE;
  return FALSE;
}

gboolean
kr_source_set_update_flow (KrSourceSet *set)
{
  if (any_silent (set)) {
    set->flowing_since = G_MAXINT64;
    return FALSE;
  }
  if (set->flowing_since == G_MAXINT64)
    set->flowing_since = g_get_monotonic_time ();
  return TRUE;
}

gint64
kr_source_set_get_flowing_since (KrSourceSet *set)
{
  return set->flowing_since;
}

gint64
kr_source_set_get_blocked (KrSourceSet *set, char **ret_by)
{
  g_autofree char *worst_by = NULL;
  gint64 worst = 0;

  if (any_silent (set))
    return 0;
  for (guint i = 0; i < n_watches (set); i++) {
    g_autofree char *by = NULL;
    gint64 age = kr_source_watch_get_blocked (nth_watch (set, i), &by);

    if (age <= worst)
      continue;
    worst = age;
    g_free (worst_by);
    worst_by = g_steal_pointer (&by);
  }
  if (worst > 0)
    *ret_by = g_steal_pointer (&worst_by);
  return worst;
}

void
kr_source_set_blame (KrSourceSet *set, KrSourceWatch *watch, const char *text)
{
  guint index;

  if (set->failed >= 0 || !g_ptr_array_find (set->watches, watch, &index))
    return;
  set->failed = (int)index;
  set->failed_text = g_strdup (text);
}

char *
kr_source_set_take_blame (KrSourceSet *set)
{
  if (set->failed < 0)
    return NULL;
  if (n_watches (set) > 1 && set->failed < MAX_HELD)
    set->held[set->failed] = TRUE;
  return g_steal_pointer (&set->failed_text);
}

/* Once for each moment: two clocks are never read at one, and who reads the same moment told
 * otherwise would take it for new data. But when the wall clock has been set it is told anew.
 */
static void
note_data (KrSourceSet *set, gint64 last)
{
  gint64 latest = MAX (set->last_data, last);
  gint64 utc_us = g_get_real_time () - (g_get_monotonic_time () - latest);

  if (latest == 0 ||
      (latest == set->last_data && ABS (utc_us - set->last_data_utc_us) < CLOCK_STEP_US))
    return;
  set->last_data = latest;
  set->last_data_utc_us = utc_us;
}

static void
report_source (KrSourceSet *set, KrSourceWatch *watch, KrPipelineReport *report)
{
  GstElement *element = kr_source_watch_get_element (watch);

  report->received_bytes += kr_source_watch_get_bytes (watch);
  report->sources_silent += kr_source_watch_is_silent (watch);
  note_data (set, kr_source_watch_get_last_data (watch));
  if (g_str_has_prefix (G_OBJECT_TYPE_NAME (element), "GstSRTSrc"))
    kr_collector_add_srt (report->source_stats, element);
}

void
kr_source_set_report (KrSourceSet *set, KrPipelineReport *report)
{
  report->received_bytes = set->received_before;
  report->sources = n_watches (set);
  for (guint i = 0; i < n_watches (set); i++)
    report_source (set, nth_watch (set, i), report);
  report->last_buffer_utc_us = MAX (report->last_buffer_utc_us, set->last_data_utc_us);
  report->reconnects = set->reconnects;
}
