/* keeprolling - tests of core/supervisor
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor.h"

#include <stdlib.h>
#include <string.h>

#include "launcher/core/exit-code.h"
#include "tests/support/kr-test.h"

#define SECOND G_TIME_SPAN_SECOND

/* A supervisor with its own clock. What it does is a line of words, such as "spawn:1" or
 * "alert:crash:1". */
typedef struct {
  KrSupervisor s;
  gint64 now;
  GString *log;
  gint64 spawned_at; /* the last one */
  double recovered;
  gboolean seamless; /* the last recovery: nothing is missing */
} Case;

static const KrSupervisorPolicy policy = {
    .threshold = 3,
    .startup_grace_us = 30 * SECOND,
    .hang_limit_us = 20 * SECOND,
    .look_us = SECOND,
    .interval_us = 10 * SECOND,
    .again_us = 7 * SECOND + SECOND / 2,
    .stalled_stop_us = 5 * SECOND,
    .timeout_ready_us = 30 * SECOND,
    .timeout_stop_us = 18 * SECOND,
    .handover_stop_us = 30 * SECOND,
    .storm_wait_us = 5 * SECOND,
    .restart = KR_RESTART_ALWAYS,
};

static void
set_up (Case *c, gconstpointer data)
{
  c->now = 1000 * SECOND;
  c->log = g_string_new (NULL);
  c->recovered = -1;
  kr_supervisor_init (&c->s, &policy, c->now);
}

static void
tear_down (Case *c, gconstpointer data)
{
  g_string_free (c->log, TRUE);
}

static void
note (Case *c, const KrSupervisorAction *action)
{
  static const char *const words[] = {
      [KR_SUPERVISOR_ACTION_SPAWN] = "spawn",     [KR_SUPERVISOR_ACTION_STOP] = "stop",
      [KR_SUPERVISOR_ACTION_KILL] = "kill",       [KR_SUPERVISOR_ACTION_RECOVER] = "recover",
      [KR_SUPERVISOR_ACTION_PROMOTE] = "promote", [KR_SUPERVISOR_ACTION_ALERT] = "alert",
      [KR_SUPERVISOR_ACTION_RECOVERED] = "back",
  };

  if (c->log->len > 0)
    g_string_append_c (c->log, ' ');
  g_string_append (c->log, words[action->type]);
  if (action->overlap && action->type == KR_SUPERVISOR_ACTION_SPAWN)
    g_string_append (c->log, "+overlap");
  if (action->type == KR_SUPERVISOR_ACTION_ALERT)
    g_string_append_printf (c->log, ":%s", kr_alert_name (action->alert));
  if (action->serial != 0)
    g_string_append_printf (c->log, ":%u", action->serial);
  if (action->type == KR_SUPERVISOR_ACTION_SPAWN)
    c->spawned_at = c->now;
  if (action->type == KR_SUPERVISOR_ACTION_RECOVERED) {
    c->recovered = action->seconds;
    c->seamless = action->overlap;
  }
}

static gboolean
send (Case *c, KrSupervisorEvent event)
{
  KrSupervisorActions actions;
  gboolean taken = kr_supervisor_handle (&c->s, &event, c->now, &actions);

  for (guint i = 0; i < actions.n; i++)
    note (c, &actions.items[i]);
  return taken;
}

#define SEND(c, kind, ...)                                                                     \
  g_assert_true (send (c, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_##kind, __VA_ARGS__}))
#define REFUSED(c, kind, ...)                                                                  \
  g_assert_false (                                                                             \
      send (c, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_##kind, __VA_ARGS__}))

static void
assert_did (Case *c, const char *words)
{
  g_assert_cmpstr (c->log->str, ==, words);
  g_string_truncate (c->log, 0);
}

static void
assert_state (Case *c, KrSupervisorState state)
{
  g_assert_cmpstr (kr_supervisor_state_name (c->s.state), ==, kr_supervisor_state_name (state));
}

/* Time passes second by second; the workers named report. */
static void
pass (Case *c, double seconds, guint reporting, gboolean writing)
{
  gint64 end = c->now + (gint64)(seconds * SECOND);

  while (c->now < end) {
    c->now = MIN (c->now + SECOND, end);
    if (reporting != 0)
      SEND (c, HEARTBEAT, .serial = reporting);
    SEND (c, TICK, .writing = writing);
  }
}

/* Worker 1 records. */
static void
run (Case *c)
{
  SEND (c, START);
  SEND (c, HELLO, .serial = 1);
  SEND (c, HEARTBEAT, .serial = 1);
  SEND (c, READY, .serial = 1);
  assert_did (c, "spawn:1");
  assert_state (c, KR_SUPERVISOR_RUNNING);
  pass (c, 40, 1, TRUE);
  assert_did (c, "");
}

static void
bad_verdicts (Case *c, guint n, gboolean writing)
{
  for (guint i = 0; i < n; i++) {
    pass (c, 10, c->s.current, writing);
    SEND (c, VERDICT, .bad = TRUE, .writing = writing, .reason = "not growing");
  }
}

/* --- crashes ---------------------------------------------------------------------------- */

static void
test_crash_is_restarted_at_once (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1 alert:crash:1 spawn:2");
  assert_state (c, KR_SUPERVISOR_STARTING);
  c->now += SECOND / 2;
  SEND (c, READY, .serial = 2);
  assert_did (c, "back:2");
  g_assert_cmpfloat (c->recovered, ==, 0.5);
  g_assert_cmpuint (c->s.crashes, ==, 1);
}

static void
test_crashes_in_a_row_back_off (Case *c, gconstpointer data)
{
  static const int delays[] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};

  SEND (c, START);
  for (guint i = 0; i < G_N_ELEMENTS (delays); i++) {
    gint64 died = c->now;

    SEND (c, EXITED, .serial = i + 1, .signal = 11);
    if (delays[i] > 0) {
      assert_state (c, KR_SUPERVISOR_BACKOFF);
      g_assert_cmpint (kr_supervisor_deadline (&c->s), ==, died + delays[i] * SECOND);
      c->now = died + delays[i] * SECOND - 1;
      SEND (c, TICK);
      assert_state (c, KR_SUPERVISOR_BACKOFF);
      c->now++;
      SEND (c, TICK);
    }
    assert_state (c, KR_SUPERVISOR_STARTING);
    g_assert_cmpint (c->spawned_at - died, ==, delays[i] * SECOND);
  }
  g_assert_cmpuint (c->s.crashes, ==, 12);
}

/* Starts that lead to nothing are counted until one of them has done well for ten minutes. */
static void
test_ten_minutes_of_health_forgive (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  pass (c, 9 * 60, 2, TRUE);
  SEND (c, VERDICT, .bad = FALSE);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  pass (c, 1, 0, FALSE);
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, VERDICT, .bad = FALSE);
  pass (c, 10 * 60, 3, TRUE);
  SEND (c, EXITED, .serial = 3, .signal = 11);
  assert_state (c, KR_SUPERVISOR_STARTING);
}

/* What a recorder does not record is lost: one that did record is started again at once,
 * however often it is killed. */
static void
test_killed_twelve_times (Case *c, gconstpointer data)
{
  run (c);
  for (guint i = 1; i <= 12; i++) {
    SEND (c, EXITED, .serial = i, .signal = 9);
    assert_state (c, KR_SUPERVISOR_STARTING);
    g_assert_cmpint (c->spawned_at, ==, c->now);
    pass (c, 2, i + 1, FALSE);
    SEND (c, READY, .serial = i + 1);
    g_assert_cmpfloat (c->recovered, ==, 2);
  }
  g_assert_cmpuint (c->s.crashes, ==, 12);
  g_assert_cmpuint (c->s.failures, ==, 0);
}

/* ...but there is no more than one start in a second, whatever dies of its first frame. */
static void
test_no_more_than_one_start_in_a_second (Case *c, gconstpointer data)
{
  gint64 restarted = 0;

  SEND (c, START);
  for (guint i = 1; i <= KR_SUPERVISOR_BRIEF_FREE; i++) {
    c->now += SECOND / 10;
    SEND (c, READY, .serial = i);
    SEND (c, EXITED, .serial = i, .signal = 11);
    if (i > 1) { /* the first time is at once */
      assert_state (c, KR_SUPERVISOR_BACKOFF);
      g_assert_cmpint (kr_supervisor_deadline (&c->s), ==, restarted + SECOND);
      c->now = restarted + SECOND;
      SEND (c, TICK);
    }
    assert_state (c, KR_SUPERVISOR_STARTING);
    restarted = c->now;
  }
}

/* Worker @serial records for so long, then dies; returns the wait for the next one, which is
 * over then. */
static double
live (Case *c, guint serial, double seconds)
{
  gint64 died;

  SEND (c, READY, .serial = serial);
  pass (c, seconds, serial, TRUE);
  died = c->now;
  SEND (c, EXITED, .serial = serial, .signal = 11);
  while (c->s.state == KR_SUPERVISOR_BACKOFF) {
    c->now = kr_supervisor_deadline (&c->s);
    SEND (c, TICK);
  }
  assert_state (c, KR_SUPERVISOR_STARTING);
  return (double)(c->now - died) / SECOND;
}

/* More than twelve in a row that recorded next to nothing are a storm: the others on the
 * machine shall not suffer from it. What is kept of Threshold x IntervalSec for a start bounds
 * the wait.
 */
static void
test_restart_storm (Case *c, gconstpointer data)
{
  static const double waits[] = {2, 4, 5, 5, 5, 5};
  guint serial = 0;

  SEND (c, START);
  while (serial < KR_SUPERVISOR_BRIEF_FREE) {
    serial++;
    g_assert_cmpfloat (live (c, serial, 1.5), ==, 0);
    g_assert_false (kr_supervisor_is_storm (&c->s));
  }
  for (guint i = 0; i < G_N_ELEMENTS (waits); i++) {
    serial++;
    g_assert_cmpfloat (live (c, serial, 1.5), ==, waits[i]);
    g_assert_true (kr_supervisor_is_storm (&c->s));
  }
  /* One that does a little better ends nothing, and adds nothing. */
  serial++;
  g_assert_cmpfloat (live (c, serial, 30), ==, 5);
  g_assert_cmpuint (c->s.brief, ==, serial - 1);
  /* A minute does. */
  serial++;
  g_assert_cmpfloat (live (c, serial, 60), ==, 0);
  g_assert_false (kr_supervisor_is_storm (&c->s));
  g_assert_cmpuint (c->s.brief, ==, 0);
}

/* Those that live a little longer than that record most of the time: none of them waits. */
static void
test_no_storm_of_longer_lives (Case *c, gconstpointer data)
{
  SEND (c, START);
  for (guint serial = 1; serial <= 100; serial++)
    g_assert_cmpfloat (live (c, serial, 5), ==, 0);
  g_assert_cmpuint (c->s.brief, ==, 0);
}

/* Somebody starts it again, or hands another file over: that one has done nothing wrong. */
static void
test_another_file_is_no_storm (Case *c, gconstpointer data)
{
  guint serial = 0;

  SEND (c, START);
  while (!kr_supervisor_is_storm (&c->s)) {
    serial++;
    live (c, serial, 1);
  }
  serial++;
  SEND (c, READY, .serial = serial);
  SEND (c, EXITED, .serial = serial, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  SEND (c, REPLACE, .reason = "the file has changed");
  assert_state (c, KR_SUPERVISOR_STARTING);
  g_assert_false (kr_supervisor_is_storm (&c->s));
}

/* A start that leads to nothing is counted, though one before it did well. */
static void
test_starts_that_lead_to_nothing_count (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, EXITED, .serial = 3, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  pass (c, 1, 0, FALSE);
  SEND (c, EXITED, .serial = 4, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  g_assert_cmpint (kr_supervisor_deadline (&c->s), ==, c->now + 2 * SECOND);
}

/* The news that it records comes with a report; the outage ended when its file was opened. */
static void
test_outage_ends_with_the_file (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, EXITED, .serial = 1, .signal = 9);
  c->now += 3 * SECOND;
  SEND (c, READY, .serial = 2, .age_us = 2 * SECOND);
  g_assert_cmpfloat (c->recovered, ==, 1);
  SEND (c, EXITED, .serial = 2, .signal = 9);
  c->now += SECOND;
  SEND (c, READY, .serial = 3, .age_us = 5 * SECOND);
  g_assert_cmpfloat (c->recovered, ==, 0);
}

/* A source that stays away: never ready, always well. That is health too. */
static void
test_absent_source_is_health (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  for (guint i = 0; i < 61; i++) {
    pass (c, 10, 2, FALSE);
    SEND (c, VERDICT, .bad = FALSE);
  }
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_state (c, KR_SUPERVISOR_STARTING);
}

static void
test_spawn_failure (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, SPAWN_FAILED, .serial = 1, .reason = "no memory");
  assert_did (c, "spawn:1 alert:crash:1 spawn:2");
  SEND (c, SPAWN_FAILED, .serial = 2, .reason = "no memory");
  assert_did (c, "alert:crash:2");
  assert_state (c, KR_SUPERVISOR_BACKOFF);
}

static void
test_final_codes (Case *c, gconstpointer data)
{
  static const int codes[] = {64, 65, 66, 78};

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    kr_supervisor_init (&c->s, &policy, c->now);
    SEND (c, START);
    SEND (c, EXITED, .serial = 1, .code = codes[i]);
    assert_state (c, KR_SUPERVISOR_GAVE_UP);
    assert_did (c, "spawn:1 alert:gave-up");
    g_assert_cmpint (c->s.exit_code, ==, codes[i]);
    pass (c, 1000, 0, FALSE);
    assert_did (c, "");
    /* Somebody has mended the file. */
    SEND (c, START);
    assert_state (c, KR_SUPERVISOR_STARTING);
    assert_did (c, "spawn:2");
  }
  g_assert_false (kr_exit_code_is_final (0));
  g_assert_false (kr_exit_code_is_final (69));
  g_assert_false (kr_exit_code_is_final (75));
}

static void
test_other_codes_restart (Case *c, gconstpointer data)
{
  static const int codes[] = {0, 1, 69, 70, 73, 74, 75, 255};

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    kr_supervisor_init (&c->s, &policy, c->now);
    SEND (c, START);
    SEND (c, EXITED, .serial = 1, .code = codes[i]);
    assert_state (c, KR_SUPERVISOR_STARTING);
  }
}

static void
test_restart_policies (Case *c, gconstpointer data)
{
  static const struct {
    KrRestart restart;
    int code;
    int signal;
    KrSupervisorState state;
    int exit_code;
  } rows[] = {
      {KR_RESTART_ON_FAILURE, 0, 0, KR_SUPERVISOR_STOPPED, 0},
      {KR_RESTART_ON_FAILURE, 70, 0, KR_SUPERVISOR_STARTING, 0},
      {KR_RESTART_ON_FAILURE, 69, 0, KR_SUPERVISOR_STARTING, 0},
      {KR_RESTART_NO, 0, 0, KR_SUPERVISOR_STOPPED, 0},
      {KR_RESTART_NO, 69, 0, KR_SUPERVISOR_STOPPED, 69},
      {KR_RESTART_NO, 74, 0, KR_SUPERVISOR_GAVE_UP, 74},
      {KR_RESTART_NO, 0, 11, KR_SUPERVISOR_GAVE_UP, 70},
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    KrSupervisorPolicy own = policy;

    own.restart = rows[i].restart;
    kr_supervisor_init (&c->s, &own, c->now);
    SEND (c, START);
    SEND (c, EXITED, .serial = 1, .code = rows[i].code, .signal = rows[i].signal);
    assert_state (c, rows[i].state);
    g_assert_cmpint (c->s.exit_code, ==, rows[i].exit_code);
  }
}

/* --- verdicts --------------------------------------------------------------------------- */

static void
test_replaced_beside_one_that_writes (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 2, TRUE);
  assert_state (c, KR_SUPERVISOR_UNHEALTHY);
  assert_did (c, "");
  bad_verdicts (c, 1, TRUE);
  assert_state (c, KR_SUPERVISOR_REPLACING);
  assert_did (c, "alert:replacement:1 spawn+overlap:2");
  g_assert_true (kr_supervisor_wants_overlap (&c->s));
  SEND (c, HELLO, .serial = 2);
  pass (c, 3, 1, TRUE);
  SEND (c, READY, .serial = 2);
  assert_did (c, "promote:2 stop:1 alert:replaced:2 back:2");
  assert_state (c, KR_SUPERVISOR_RUNNING);
  g_assert_cmpfloat (c->recovered, ==, 23); /* since the first bad verdict */
  g_assert_true (c->seamless);
  SEND (c, EXITED, .serial = 1);
  assert_did (c, "");
  g_assert_false (kr_supervisor_wants_overlap (&c->s));
  g_assert_cmpuint (c->s.replacements, ==, 1);
}

static void
test_replaced_in_turn_when_nothing_is_written (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 3, FALSE);
  assert_state (c, KR_SUPERVISOR_TERMINATING);
  assert_did (c, "alert:replacement:1 stop:1");
  pass (c, 5, 1, FALSE);
  assert_did (c, "alert:killed:1 kill:1");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1 spawn:2");
  assert_state (c, KR_SUPERVISOR_STARTING);
}

static void
test_good_verdict_starts_the_count_again (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 2, TRUE);
  SEND (c, VERDICT, .bad = FALSE, .writing = TRUE);
  assert_state (c, KR_SUPERVISOR_RUNNING);
  bad_verdicts (c, 2, TRUE);
  assert_state (c, KR_SUPERVISOR_UNHEALTHY);
  assert_did (c, "");
}

static void
test_grace_is_armed_again (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 3, FALSE);
  SEND (c, EXITED, .serial = 1);
  g_string_truncate (c->log, 0);
  /* 30 s in which the new one may be as bad as it likes */
  bad_verdicts (c, 2, FALSE);
  g_assert_cmpuint (c->s.bad, ==, 0);
  bad_verdicts (c, 2, FALSE);
  assert_state (c, KR_SUPERVISOR_UNHEALTHY);
  assert_did (c, "");
}

static void
test_at_once (Case *c, gconstpointer data)
{
  SEND (c, START);
  g_string_truncate (c->log, 0);
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .writing = FALSE, .reason = "failed");
  assert_did (c, "alert:replacement:1 stop:1");
  SEND (c, EXITED, .serial = 1);
  assert_did (c, "spawn:2");
  /* The second time the back-off holds it: no storm. */
  c->now += SECOND / 2;
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .reason = "failed");
  assert_did (c, "");
  c->now += SECOND / 2;
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .reason = "failed");
  assert_did (c, "alert:replacement:2 stop:2");
}

/* Something in it hangs for good: it is not asked to end, and there is nothing to wait for. */
static void
test_stuck (Case *c, gconstpointer data)
{
  run (c);
  for (guint i = 1; i <= 12; i++) {
    SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .stuck = TRUE,
          .reason = "an element hangs");
    g_string_truncate (c->log, 0);
    assert_state (c, KR_SUPERVISOR_TERMINATING);
    SEND (c, EXITED, .serial = i, .signal = 9);
    assert_state (c, KR_SUPERVISOR_STARTING);
    SEND (c, READY, .serial = i + 1);
    c->now += SECOND;
  }
  g_string_truncate (c->log, 0);
  /* Others record in the same worker: not one of their frames is lost. */
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .stuck = TRUE, .writing = TRUE,
        .reason = "an element hangs");
  assert_did (c, "alert:replacement:13 spawn+overlap:14");
  SEND (c, READY, .serial = 14);
  assert_did (c, "promote:14 stop:13 alert:replaced:14 back:14");
}

static void
test_stuck_before_it_recorded_backs_off (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .stuck = TRUE, .reason = "an element hangs");
  assert_did (c, "spawn:1 alert:replacement:1 kill:1");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1 spawn:2");
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .stuck = TRUE, .reason = "an element hangs");
  assert_did (c, "");
  c->now += SECOND;
  SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .stuck = TRUE, .reason = "an element hangs");
  assert_did (c, "alert:replacement:2 kill:2");
}

/* A leak is cured by a new worker each time; a destination that never answers is not. */
static void
test_leaks_in_a_row (Case *c, gconstpointer data)
{
  run (c);
  for (guint i = 1; i <= 12; i++) {
    SEND (c, VERDICT, .bad = FALSE, .writing = TRUE);
    pass (c, 40, i, TRUE);
    SEND (c, VERDICT, .bad = TRUE, .at_once = TRUE, .harmful = TRUE, .writing = TRUE,
          .reason = "memory");
    assert_state (c, KR_SUPERVISOR_REPLACING);
    SEND (c, READY, .serial = i + 1);
    SEND (c, EXITED, .serial = i);
  }
  g_assert_cmpuint (c->s.failures, ==, 0);
}

static void
test_next_not_ready_in_time (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 3, TRUE);
  g_string_truncate (c->log, 0);
  pass (c, 30, 1, TRUE);
  assert_did (c, "alert:replace-failed:2 stop:2");
  assert_state (c, KR_SUPERVISOR_UNHEALTHY);
  g_assert_cmpuint (c->s.current, ==, 1);
  /* No third one while the second is still ending. */
  bad_verdicts (c, 1, TRUE);
  assert_did (c, "");
  pass (c, 8, 1, TRUE);
  assert_did (c, "alert:killed:2 kill:2");
  SEND (c, EXITED, .serial = 2, .signal = 9);
  assert_did (c, "recover:2");
  bad_verdicts (c, 1, TRUE);
  assert_did (c, "alert:replacement:1 spawn+overlap:3");
}

/* It holds the port that the new one needs, and cannot stay. */
static void
test_harmful_one_goes_all_the_same (Case *c, gconstpointer data)
{
  run (c);
  for (guint i = 0; i < 3; i++) {
    pass (c, 10, 1, TRUE);
    SEND (c, VERDICT, .bad = TRUE, .harmful = TRUE, .writing = TRUE, .reason = "memory");
  }
  g_string_truncate (c->log, 0);
  pass (c, 30, 1, TRUE);
  assert_did (c, "promote:2 stop:1");
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, EXITED, .serial = 1);
  SEND (c, READY, .serial = 2);
  assert_did (c, "back:2");
}

static void
test_next_dies (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 3, TRUE);
  g_string_truncate (c->log, 0);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_did (c, "recover:2 alert:replace-failed:2");
  assert_state (c, KR_SUPERVISOR_UNHEALTHY);
  SEND (c, VERDICT, .bad = FALSE, .writing = TRUE);
  assert_state (c, KR_SUPERVISOR_RUNNING);
}

static void
test_current_dies_while_next_starts (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 3, TRUE);
  g_string_truncate (c->log, 0);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  assert_did (c, "recover:1 promote:2");
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, READY, .serial = 2);
  assert_did (c, "back:2");
  g_assert_false (c->seamless);
}

/* It is replaced beside, but ceases to write before the new one records. */
static void
test_current_stalls_while_next_starts (Case *c, gconstpointer data)
{
  run (c);
  bad_verdicts (c, 3, TRUE);
  pass (c, 2, 1, FALSE);
  SEND (c, READY, .serial = 2);
  g_assert_cmpfloat (c->recovered, ==, 22);
  g_assert_false (c->seamless);
}

/* --- hangs ------------------------------------------------------------------------------ */

static void
test_hung_and_silent_is_killed (Case *c, gconstpointer data)
{
  run (c);
  pass (c, 20, 0, FALSE);
  assert_did (c, "");
  pass (c, 1, 0, FALSE);
  assert_did (c, "alert:hang:1 kill:1");
  assert_state (c, KR_SUPERVISOR_TERMINATING);
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1 spawn:2");
  SEND (c, READY, .serial = 2);
  assert_did (c, "back:2");
  g_assert_cmpfloat (c->recovered, ==, 21); /* since its last sign of life */
}

static void
test_hangs_in_a_row_back_off (Case *c, gconstpointer data)
{
  SEND (c, START);
  for (guint i = 1; i <= 2; i++) {
    SEND (c, HEARTBEAT, .serial = i);
    pass (c, 21, 0, FALSE);
    SEND (c, EXITED, .serial = i, .signal = 9);
  }
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  pass (c, 1, 0, FALSE);
  assert_state (c, KR_SUPERVISOR_STARTING);
}

static void
test_hangs_of_what_recorded_do_not (Case *c, gconstpointer data)
{
  run (c);
  for (guint i = 1; i <= 12; i++) {
    pass (c, 21, 0, FALSE);
    SEND (c, EXITED, .serial = i, .signal = 9);
    assert_state (c, KR_SUPERVISOR_STARTING);
    SEND (c, HEARTBEAT, .serial = i + 1);
    SEND (c, READY, .serial = i + 1);
  }
  g_assert_cmpuint (c->s.hangs, ==, 12);
}

/* On a machine that has no processor to spare a worker is given twice the time, not more. */
static void
test_starved_is_not_hung (Case *c, gconstpointer data)
{
  run (c);
  for (guint i = 1; i <= 40; i++) {
    c->now += SECOND;
    SEND (c, TICK, .starved_us = i * SECOND);
    assert_did (c, "");
  }
  c->now += SECOND;
  SEND (c, TICK, .starved_us = 41 * SECOND);
  assert_did (c, "alert:hang:1 kill:1");
}

/* The supervisor was late itself: what it could not hear meanwhile counts for nobody. */
static void
test_late_ticks (Case *c, gconstpointer data)
{
  run (c);
  pass (c, 19, 0, FALSE);
  c->now += 5 * SECOND / 2;
  SEND (c, TICK);
  assert_did (c, "");
  pass (c, 1, 0, FALSE);
  assert_did (c, "");
  pass (c, 1, 0, FALSE);
  assert_did (c, "alert:hang:1 kill:1");
}

static void
test_hung_but_writing_is_replaced_beside (Case *c, gconstpointer data)
{
  run (c);
  pass (c, 21, 0, TRUE);
  assert_did (c, "alert:hang:1 spawn+overlap:2");
  assert_state (c, KR_SUPERVISOR_REPLACING);
  SEND (c, READY, .serial = 2);
  /* It cannot hear a stop. */
  assert_did (c, "promote:2 kill:1 alert:replaced:2 back:2");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1");
}

static void
test_hung_stops_writing_while_replaced (Case *c, gconstpointer data)
{
  run (c);
  pass (c, 21, 0, TRUE);
  g_string_truncate (c->log, 0);
  pass (c, 2, 0, FALSE);
  assert_did (c, "kill:1");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1 promote:2");
  assert_state (c, KR_SUPERVISOR_STARTING);
}

static void
test_slow_first_report_is_no_hang (Case *c, gconstpointer data)
{
  SEND (c, START);
  g_string_truncate (c->log, 0);
  pass (c, 50, 0, FALSE);
  assert_did (c, "");
  pass (c, 1, 0, FALSE);
  assert_did (c, "alert:hang:1 kill:1");
}

static void
test_own_pause_kills_nobody (Case *c, gconstpointer data)
{
  run (c);
  c->now += 3600 * SECOND;
  SEND (c, TICK, .writing = FALSE);
  assert_did (c, "alert:monitor-paused");
  assert_state (c, KR_SUPERVISOR_RUNNING);
  pass (c, 20, 0, FALSE);
  assert_did (c, "");
  pass (c, 1, 0, FALSE);
  assert_did (c, "alert:hang:1 kill:1");
}

static void
test_unkillable_is_killed_again (Case *c, gconstpointer data)
{
  run (c);
  pass (c, 21, 0, FALSE);
  g_string_truncate (c->log, 0);
  pass (c, 30, 0, FALSE);
  assert_did (c, "kill:1 kill:1 kill:1");
}

/* --- wishes ----------------------------------------------------------------------------- */

static void
test_stop (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, STOP);
  assert_did (c, "stop:1");
  SEND (c, STOP);
  assert_did (c, "");
  pass (c, 17, 1, TRUE);
  assert_did (c, "");
  SEND (c, EXITED, .serial = 1);
  assert_state (c, KR_SUPERVISOR_STOPPED);
  assert_did (c, "");
}

static void
test_stop_deadline (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, STOP);
  pass (c, 18, 1, TRUE);
  assert_did (c, "stop:1 alert:killed:1 kill:1");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1");
  assert_state (c, KR_SUPERVISOR_STOPPED);
}

static void
test_force (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, STOP);
  SEND (c, FORCE);
  assert_did (c, "stop:1 kill:1");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_state (c, KR_SUPERVISOR_STOPPED);
}

static void
test_stop_from_every_state (Case *c, gconstpointer data)
{
  /* nothing there */
  SEND (c, STOP);
  assert_state (c, KR_SUPERVISOR_STOPPED);
  /* two there */
  kr_supervisor_init (&c->s, &policy, c->now);
  run (c);
  bad_verdicts (c, 3, TRUE);
  g_string_truncate (c->log, 0);
  SEND (c, STOP);
  assert_did (c, "stop:1 stop:2");
  SEND (c, EXITED, .serial = 2);
  assert_state (c, KR_SUPERVISOR_STOPPING);
  SEND (c, EXITED, .serial = 1);
  assert_state (c, KR_SUPERVISOR_STOPPED);
  /* waiting */
  kr_supervisor_init (&c->s, &policy, c->now);
  SEND (c, START);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  SEND (c, STOP);
  assert_state (c, KR_SUPERVISOR_STOPPED);
}

static void
test_handover (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, REPLACE, .reason = "reload");
  assert_did (c, "alert:handover:1 spawn+overlap:2");
  REFUSED (c, REPLACE, .reason = "again");
  SEND (c, READY, .serial = 2);
  assert_did (c, "promote:2 stop:1 alert:replaced:2");
  REFUSED (c, REPLACE, .reason = "the old one is still there");
  SEND (c, EXITED, .serial = 1);
  g_assert_cmpuint (c->s.replacements, ==, 0); /* that was no fault */
}

/* It has just opened its file and is not known to record yet: nothing of that may be lost. */
static void
test_handover_of_a_beginning (Case *c, gconstpointer data)
{
  SEND (c, START);
  g_string_truncate (c->log, 0);
  SEND (c, REPLACE, .reason = "reload", .writing = TRUE);
  assert_did (c, "alert:handover:1 spawn+overlap:2");
  assert_state (c, KR_SUPERVISOR_REPLACING);
  SEND (c, READY, .serial = 2);
  assert_did (c, "promote:2 stop:1 alert:replaced:2");
  SEND (c, EXITED, .serial = 1);
  assert_state (c, KR_SUPERVISOR_RUNNING);
}

static void
test_rolled_back_to_a_beginning (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, REPLACE, .reason = "reload", .writing = TRUE);
  SEND (c, EXITED, .serial = 2, .code = 1);
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, READY, .serial = 1);
  assert_state (c, KR_SUPERVISOR_RUNNING);
}

/* The limits of the new file go with its worker. */
static void
test_handover_with_a_policy (Case *c, gconstpointer data)
{
  KrSupervisorPolicy other = policy;

  other.threshold = 7;
  other.timeout_ready_us = 50 * SECOND;
  other.handover_stop_us = 9 * SECOND;
  run (c);
  SEND (c, REPLACE, .reason = "reload", .policy = &other);
  g_assert_cmpint (kr_supervisor_deadline (&c->s), ==, c->now + 50 * SECOND);
  g_assert_cmpuint (c->s.policy.threshold, ==, 3);
  SEND (c, READY, .serial = 2);
  g_assert_cmpuint (c->s.policy.threshold, ==, 7);
  g_assert_cmpint (kr_supervisor_deadline (&c->s), ==, c->now + 9 * SECOND);
  assert_did (c, "alert:handover:1 spawn+overlap:2 promote:2 stop:1 alert:replaced:2");
  pass (c, 9, 2, TRUE);
  assert_did (c, "alert:killed:1 kill:1");
}

static void
test_rolled_back_policy_is_forgotten (Case *c, gconstpointer data)
{
  KrSupervisorPolicy other = policy;

  other.threshold = 7;
  run (c);
  SEND (c, REPLACE, .reason = "reload", .policy = &other);
  SEND (c, EXITED, .serial = 2, .code = 70);
  assert_state (c, KR_SUPERVISOR_RUNNING);
  SEND (c, EXITED, .serial = 1, .signal = 9);
  g_assert_cmpuint (c->s.current, ==, 3);
  g_assert_cmpuint (c->s.policy.threshold, ==, 3);
  assert_did (c, "alert:handover:1 spawn+overlap:2 recover:2 alert:replace-failed:2 recover:1 "
                 "alert:crash:1 spawn:3");
}

/* A source that serves one receiver only. */
static void
test_handover_in_turn (Case *c, gconstpointer data)
{
  KrSupervisorPolicy other = policy;

  other.threshold = 7;
  run (c);
  SEND (c, REPLACE, .reason = "reload", .in_turn = TRUE, .policy = &other);
  assert_did (c, "alert:handover:1 stop:1");
  assert_state (c, KR_SUPERVISOR_TERMINATING);
  REFUSED (c, READY, .serial = 1);
  SEND (c, EXITED, .serial = 1, .code = KR_EXIT_OK);
  assert_did (c, "spawn:2");
  g_assert_cmpuint (c->s.policy.threshold, ==, 7);
  SEND (c, READY, .serial = 2);
  assert_state (c, KR_SUPERVISOR_RUNNING);
}

/* The old worker of a file that was mended ends as it would have anyhow. */
static void
test_handover_while_it_ends (Case *c, gconstpointer data)
{
  SEND (c, START);
  pass (c, 30, 1, FALSE); /* the grace */
  bad_verdicts (c, 3, FALSE);
  assert_state (c, KR_SUPERVISOR_TERMINATING);
  g_string_truncate (c->log, 0);
  SEND (c, REPLACE, .reason = "reload");
  REFUSED (c, READY, .serial = 1);
  SEND (c, EXITED, .serial = 1, .code = KR_EXIT_DATA);
  assert_did (c, "alert:handover:1 spawn:2");
}

static void
test_handover_out_of_backoff (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  g_string_truncate (c->log, 0);
  SEND (c, REPLACE, .reason = "reload");
  assert_did (c, "alert:handover spawn:3");
  /* What the file did before is forgotten. */
  SEND (c, EXITED, .serial = 3, .signal = 11);
  assert_did (c, "recover:3 alert:crash:3 spawn:4");
}

/* Nothing records: the new one stays if its source is all that it lacks. */
static void
test_handover_without_a_source (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, REPLACE, .reason = "reload");
  for (guint i = 0; i < 30; i++) {
    c->now += SECOND;
    SEND (c, HEARTBEAT, .serial = 1);
    SEND (c, TICK, .writing = FALSE, .next_waits = TRUE);
  }
  assert_did (c, "alert:handover:1 spawn+overlap:2 promote:2 stop:1");
  assert_state (c, KR_SUPERVISOR_STARTING);
}

static void
test_handover_old_one_dies (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, REPLACE, .reason = "reload");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "alert:handover:1 spawn+overlap:2 recover:1 promote:2");
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, READY, .serial = 2);
  assert_did (c, "back:2");
}

static void
test_handover_stopped (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, REPLACE, .reason = "reload");
  SEND (c, STOP);
  assert_did (c, "alert:handover:1 spawn+overlap:2 stop:1 stop:2");
  REFUSED (c, REPLACE, .reason = "too late");
  SEND (c, EXITED, .serial = 2);
  SEND (c, EXITED, .serial = 1);
  assert_state (c, KR_SUPERVISOR_STOPPED);
}

/* Another supervisor goes on with worker 5. */
static void
test_suspended_and_resumed (Case *c, gconstpointer data)
{
  KrSupervisorResume resume;

  run (c);
  c->s.failures = 2;
  c->s.crashes = 3;
  g_assert_true (kr_supervisor_suspend (&c->s, &resume));
  memset (&c->s, 0xaa, sizeof c->s);
  kr_supervisor_resume (&c->s, &policy, &resume, c->now);
  assert_state (c, KR_SUPERVISOR_RUNNING);
  g_assert_cmpuint (c->s.current, ==, 1);
  g_assert_cmpuint (c->s.crashes, ==, 3);
  pass (c, 60, 1, TRUE);
  assert_did (c, "");
  SEND (c, EXITED, .serial = 1, .signal = 9);
  assert_did (c, "recover:1 alert:crash:1 spawn:2");
  /* one that does not record yet */
  g_assert_true (kr_supervisor_suspend (&c->s, &resume));
  kr_supervisor_resume (&c->s, &policy, &resume, c->now);
  assert_state (c, KR_SUPERVISOR_STARTING);
  SEND (c, READY, .serial = 2);
  assert_state (c, KR_SUPERVISOR_RUNNING);
  /* not while there are two */
  SEND (c, REPLACE, .reason = "reload");
  g_assert_false (kr_supervisor_suspend (&c->s, &resume));
  SEND (c, READY, .serial = 3);
  g_assert_false (kr_supervisor_suspend (&c->s, &resume));
  SEND (c, EXITED, .serial = 2);
  g_assert_true (kr_supervisor_suspend (&c->s, &resume));
}

static void
test_resumed_without_a_worker (Case *c, gconstpointer data)
{
  KrSupervisorResume resume;

  SEND (c, START);
  SEND (c, EXITED, .serial = 1, .signal = 11);
  SEND (c, EXITED, .serial = 2, .signal = 11);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  g_assert_true (kr_supervisor_suspend (&c->s, &resume));
  /* What another program has left is not trusted with the time. */
  resume.deadline = G_MAXINT64;
  kr_supervisor_resume (&c->s, &policy, &resume, c->now);
  assert_state (c, KR_SUPERVISOR_BACKOFF);
  g_string_truncate (c->log, 0);
  pass (c, 300, 0, FALSE);
  assert_did (c, "spawn:3");
  SEND (c, EXITED, .serial = 3, .code = KR_EXIT_DATA);
  g_assert_true (kr_supervisor_suspend (&c->s, &resume));
  kr_supervisor_resume (&c->s, &policy, &resume, c->now);
  assert_state (c, KR_SUPERVISOR_GAVE_UP);
  g_assert_cmpint (c->s.exit_code, ==, KR_EXIT_DATA);
}

static void
test_handover_rolls_back (Case *c, gconstpointer data)
{
  run (c);
  SEND (c, REPLACE, .reason = "reload");
  g_string_truncate (c->log, 0);
  /* The source is absent for both of them: the old one stays. */
  pass (c, 30, 1, FALSE);
  assert_did (c, "alert:replace-failed:2 stop:2");
  assert_state (c, KR_SUPERVISOR_RUNNING);
  g_assert_cmpuint (c->s.current, ==, 1);
}

static void
test_handover_before_it_records (Case *c, gconstpointer data)
{
  SEND (c, START);
  SEND (c, REPLACE, .reason = "reload");
  assert_state (c, KR_SUPERVISOR_TERMINATING);
  SEND (c, EXITED, .serial = 1);
  assert_did (c, "spawn:1 alert:handover:1 stop:1 spawn:2");
}

/* --- the table -------------------------------------------------------------------------- */

/* Brings a fresh supervisor into @state with whatever events it takes. */
static void
bring_to (Case *c, KrSupervisorState state)
{
  kr_supervisor_init (&c->s, &policy, c->now);
  if (state == KR_SUPERVISOR_IDLE)
    return;
  SEND (c, START);
  switch (state) {
  case KR_SUPERVISOR_RUNNING:
    SEND (c, READY, .serial = 1);
    break;
  case KR_SUPERVISOR_UNHEALTHY:
    SEND (c, READY, .serial = 1);
    c->now += 31 * SECOND;
    SEND (c, VERDICT, .bad = TRUE);
    break;
  case KR_SUPERVISOR_REPLACING:
    SEND (c, READY, .serial = 1);
    SEND (c, REPLACE);
    break;
  case KR_SUPERVISOR_TERMINATING:
    SEND (c, REPLACE);
    break;
  case KR_SUPERVISOR_BACKOFF:
    SEND (c, EXITED, .serial = 1, .signal = 9);
    SEND (c, EXITED, .serial = 2, .signal = 9);
    break;
  case KR_SUPERVISOR_STOPPING:
    SEND (c, STOP);
    break;
  case KR_SUPERVISOR_STOPPED:
    SEND (c, STOP);
    SEND (c, EXITED, .serial = 1);
    break;
  case KR_SUPERVISOR_GAVE_UP:
    SEND (c, EXITED, .serial = 1, .code = 65);
    break;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_STARTING:
  case KR_N_SUPERVISOR_STATES:
    break;
  }
  assert_state (c, state);
}

static void
test_undeclared_edges_are_refused (Case *c, gconstpointer data)
{
  guint refused = 0;

  for (guint state = 0; state < KR_N_SUPERVISOR_STATES; state++) {
    for (guint type = 0; type < KR_N_SUPERVISOR_EVENTS; type++) {
      gboolean declared = FALSE;
      KrSupervisor before;

      for (guint to = 0; to < KR_N_SUPERVISOR_STATES; to++)
        declared |= kr_supervisor_may_follow (state, type, to);
      if (declared)
        continue;
      refused++;
      bring_to (c, state);
      before = c->s;
      g_string_truncate (c->log, 0);
      /* with the serials of all that could be meant */
      for (guint serial = 0; serial < 4; serial++)
        g_assert_false (send (c, (KrSupervisorEvent){.type = type, .serial = serial}));
      assert_did (c, "");
      g_assert_cmpmem (&before, sizeof before, &c->s, sizeof c->s);
    }
  }
  g_assert_cmpuint (refused, >, 20);
}

static void
test_strangers_are_refused (Case *c, gconstpointer data)
{
  run (c);
  REFUSED (c, HEARTBEAT, .serial = 7);
  REFUSED (c, EXITED, .serial = 7);
  REFUSED (c, EXITED, .serial = 0);
  REFUSED (c, HELLO, .serial = 2);
  assert_did (c, "");
}

static void
test_every_name (Case *c, gconstpointer data)
{
  for (guint i = 0; i < KR_N_SUPERVISOR_STATES; i++)
    g_assert_nonnull (kr_supervisor_state_name (i));
  for (guint i = 0; i < KR_N_SUPERVISOR_EVENTS; i++)
    g_assert_nonnull (kr_supervisor_event_name (i));
  for (guint i = 0; i < KR_N_ALERTS; i++)
    g_assert_nonnull (kr_alert_name (i));
  for (guint i = 0; i < KR_N_WORKER_ROLES; i++)
    g_assert_nonnull (kr_worker_role_name (i));
}

/* The page tells of every state and every alert, by the words that logs and status use. */
static void
test_page (Case *c, gconstpointer data)
{
  g_autofree char *path =
      g_build_filename (g_getenv ("KR_SOURCE_DIR"), "docs", "supervision.md", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < KR_N_SUPERVISOR_STATES + KR_N_ALERTS; i++) {
    g_autofree char *word = g_strdup_printf (
        "`%s`", i < KR_N_SUPERVISOR_STATES ? kr_supervisor_state_name (i)
                                           : kr_alert_name (i - KR_N_SUPERVISOR_STATES));

    if (strstr (text, word) == NULL)
      g_error ("docs/supervision.md does not mention %s", word);
  }
}

#define ADD(name, function)                                                                    \
  g_test_add ("/core/supervisor/" name, Case, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  ADD ("crash", test_crash_is_restarted_at_once);
  ADD ("crash/back-off", test_crashes_in_a_row_back_off);
  ADD ("crash/forgiven", test_ten_minutes_of_health_forgive);
  ADD ("crash/end-of-outage", test_outage_ends_with_the_file);
  ADD ("crash/killed-twelve-times", test_killed_twelve_times);
  ADD ("crash/one-start-a-second", test_no_more_than_one_start_in_a_second);
  ADD ("crash/storm", test_restart_storm);
  ADD ("crash/no-storm-of-longer-lives", test_no_storm_of_longer_lives);
  ADD ("crash/another-file-is-no-storm", test_another_file_is_no_storm);
  ADD ("crash/led-to-nothing", test_starts_that_lead_to_nothing_count);
  ADD ("crash/absent-source", test_absent_source_is_health);
  ADD ("crash/spawn-failure", test_spawn_failure);
  ADD ("crash/final-codes", test_final_codes);
  ADD ("crash/other-codes", test_other_codes_restart);
  ADD ("crash/restart-policies", test_restart_policies);
  ADD ("verdict/overlap", test_replaced_beside_one_that_writes);
  ADD ("verdict/in-turn", test_replaced_in_turn_when_nothing_is_written);
  ADD ("verdict/good", test_good_verdict_starts_the_count_again);
  ADD ("verdict/grace", test_grace_is_armed_again);
  ADD ("verdict/at-once", test_at_once);
  ADD ("verdict/stuck", test_stuck);
  ADD ("verdict/stuck-at-start", test_stuck_before_it_recorded_backs_off);
  ADD ("verdict/leaks", test_leaks_in_a_row);
  ADD ("verdict/next-late", test_next_not_ready_in_time);
  ADD ("verdict/harmful", test_harmful_one_goes_all_the_same);
  ADD ("verdict/next-dies", test_next_dies);
  ADD ("verdict/current-dies", test_current_dies_while_next_starts);
  ADD ("verdict/current-stalls", test_current_stalls_while_next_starts);
  ADD ("hang/killed", test_hung_and_silent_is_killed);
  ADD ("hang/back-off", test_hangs_in_a_row_back_off);
  ADD ("hang/of-what-recorded", test_hangs_of_what_recorded_do_not);
  ADD ("hang/starved", test_starved_is_not_hung);
  ADD ("hang/late-ticks", test_late_ticks);
  ADD ("hang/writing", test_hung_but_writing_is_replaced_beside);
  ADD ("hang/stops-writing", test_hung_stops_writing_while_replaced);
  ADD ("hang/slow-start", test_slow_first_report_is_no_hang);
  ADD ("hang/own-pause", test_own_pause_kills_nobody);
  ADD ("hang/unkillable", test_unkillable_is_killed_again);
  ADD ("stop/graceful", test_stop);
  ADD ("stop/deadline", test_stop_deadline);
  ADD ("stop/force", test_force);
  ADD ("stop/every-state", test_stop_from_every_state);
  ADD ("handover/done", test_handover);
  ADD ("handover/of-a-beginning", test_handover_of_a_beginning);
  ADD ("handover/rolled-back-to-a-beginning", test_rolled_back_to_a_beginning);
  ADD ("resume/worker", test_suspended_and_resumed);
  ADD ("resume/none", test_resumed_without_a_worker);
  ADD ("handover/policy", test_handover_with_a_policy);
  ADD ("handover/rolled-back", test_handover_rolls_back);
  ADD ("handover/rolled-back-policy", test_rolled_back_policy_is_forgotten);
  ADD ("handover/in-turn", test_handover_in_turn);
  ADD ("handover/while-it-ends", test_handover_while_it_ends);
  ADD ("handover/out-of-backoff", test_handover_out_of_backoff);
  ADD ("handover/without-a-source", test_handover_without_a_source);
  ADD ("handover/old-one-dies", test_handover_old_one_dies);
  ADD ("handover/stopped", test_handover_stopped);
  ADD ("handover/not-recording", test_handover_before_it_records);
  ADD ("table/undeclared", test_undeclared_edges_are_refused);
  ADD ("table/strangers", test_strangers_are_refused);
  ADD ("table/names", test_every_name);
  if (g_getenv ("KR_SOURCE_DIR") != NULL) /* as meson test sets it */
    ADD ("table/page", test_page);
  return g_test_run ();
}
