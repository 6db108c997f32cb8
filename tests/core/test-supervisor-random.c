/* keeprolling - core/supervisor under whatever comes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/supervisor.h"

#include <stdlib.h>
#include <string.h>

#include "launcher/core/handover.h"
#include "tests/support/kr-test.h"

#define SECOND      G_TIME_SPAN_SECOND
#define MAX_WORKERS 4

/* A world of processes that do as they please: they crash, hang, lie, ignore being told to
 * stop, or survive SIGKILL for a while. The supervisor only sees events. */
typedef struct {
  guint serial; /* 0 = the place is free */
  gboolean told_to_stop;
  gboolean killed;
} Process;

typedef struct {
  KrSupervisor s;
  gint64 now;
  Process processes[MAX_WORKERS];
  guint n_refused;
  guint states_seen; /* bits */
  guint alerts_seen;
  KrHandover h;
  KrSupervisorPolicy other; /* of the file that is handed over to */
  KrHandoverReadiness readiness;
  gboolean within_h; /* carrying out a step of it */
  guint stages_seen; /* bits */
  guint results_seen;
} World;

static Process *
find (World *w, guint serial)
{
  for (guint i = 0; i < MAX_WORKERS; i++) {
    if (w->processes[i].serial == serial)
      return &w->processes[i];
  }
  return NULL;
}

static guint
n_processes (World *w)
{
  guint n = 0;

  for (guint i = 0; i < MAX_WORKERS; i++)
    n += w->processes[i].serial != 0;
  return n;
}

/* How many write as far as anybody can know: all that have not been killed. */
static guint
n_writing (World *w)
{
  guint n = 0;

  for (guint i = 0; i < MAX_WORKERS; i++)
    n += w->processes[i].serial != 0 && !w->processes[i].killed;
  return n;
}

static void
carry_out (World *w, const KrSupervisorAction *action)
{
  Process *process;

  switch (action->type) {
  case KR_SUPERVISOR_ACTION_SPAWN:
    g_assert_cmpuint (n_processes (w), <, 2);
    /* No second one unless that is said. */
    g_assert_true (action->overlap || n_writing (w) == 0);
    process = find (w, 0);
    *process = (Process){.serial = action->serial};
    break;
  case KR_SUPERVISOR_ACTION_STOP:
    process = find (w, action->serial);
    g_assert_nonnull (process);
    process->told_to_stop = TRUE;
    break;
  case KR_SUPERVISOR_ACTION_KILL:
    process = find (w, action->serial);
    g_assert_nonnull (process);
    process->killed = TRUE;
    break;
  case KR_SUPERVISOR_ACTION_PROMOTE:
    g_assert_nonnull (find (w, action->serial));
    break;
  case KR_SUPERVISOR_ACTION_ALERT:
    w->alerts_seen |= 1u << action->alert;
    break;
  case KR_SUPERVISOR_ACTION_RECOVER:
  case KR_SUPERVISOR_ACTION_RECOVERED:
  case KR_N_SUPERVISOR_ACTIONS:
    break;
  }
}

static void
check_invariants (World *w)
{
  KrWorkerRole role;

  w->states_seen |= 1u << w->s.state;
  g_assert_cmpuint (kr_supervisor_n_workers (&w->s), ==, n_processes (w));
  g_assert_cmpuint (n_processes (w), <=, 2);
  if (n_writing (w) > 1)
    g_assert_true (kr_supervisor_wants_overlap (&w->s) || w->s.state == KR_SUPERVISOR_STOPPING);
  for (guint i = 0; i < MAX_WORKERS; i++) {
    if (w->processes[i].serial != 0)
      g_assert_true (kr_supervisor_role (&w->s, w->processes[i].serial, &role));
  }
  /* What is old has been told so, and has a deadline. */
  if (w->s.old != 0) {
    Process *old = find (w, w->s.old);

    g_assert_true (old->told_to_stop || old->killed);
    g_assert_cmpint (kr_supervisor_deadline (&w->s), <, G_MAXINT64);
  }
  /* A way out: a worker, a deadline, or the end. */
  switch (w->s.state) {
  case KR_SUPERVISOR_STARTING:
  case KR_SUPERVISOR_RUNNING:
  case KR_SUPERVISOR_UNHEALTHY:
    g_assert_cmpuint (w->s.current, !=, 0);
    g_assert_cmpuint (w->s.next, ==, 0);
    break;
  case KR_SUPERVISOR_REPLACING:
    g_assert_cmpuint (w->s.current, !=, 0);
    g_assert_cmpuint (w->s.next, !=, 0);
    g_assert_cmpuint (w->s.old, ==, 0);
    g_assert_cmpint (w->s.deadline, <, G_MAXINT64);
    break;
  case KR_SUPERVISOR_TERMINATING:
    g_assert_cmpuint (w->s.current, !=, 0);
    g_assert_cmpint (w->s.deadline, <, G_MAXINT64);
    break;
  case KR_SUPERVISOR_BACKOFF:
    g_assert_cmpuint (w->s.current, ==, 0);
    g_assert_cmpint (w->s.deadline, <=, w->now + KR_SUPERVISOR_BACKOFF_MAX_US);
    break;
  case KR_SUPERVISOR_STOPPING:
    g_assert_cmpuint (n_processes (w), >, 0);
    g_assert_cmpint (w->s.deadline, <, G_MAXINT64);
    break;
  case KR_SUPERVISOR_STOPPED:
    g_assert_cmpuint (n_processes (w), ==, 0);
    break;
  case KR_SUPERVISOR_IDLE:
  case KR_SUPERVISOR_GAVE_UP:
  case KR_N_SUPERVISOR_STATES:
    break;
  }
}

static gboolean send (World *w, KrSupervisorEvent event);

static void
end_handover (World *w)
{
  g_assert_cmpint (w->h.stage, ==, KR_HANDOVER_NONE);
  w->results_seen |= 1u << w->h.result;
  if (w->h.result == KR_HANDOVER_ROLLED_BACK) {
    /* Who recorded before goes on, with the limits that it had. */
    g_assert_cmpuint (w->h.from, !=, 0);
    g_assert_cmpuint (w->h.to, !=, w->s.current);
    g_assert_false (w->s.has_next_policy);
  }
}

/* As app/supervised-handover does it after each event. */
static void
step_handover (World *w)
{
  w->within_h = TRUE;
  for (guint i = 0; w->h.stage != KR_HANDOVER_NONE; i++) {
    KrHandoverView view = {.state = w->s.state,
                           .current = w->s.current,
                           .next = w->s.next,
                           .old = w->s.old,
                           .last_serial = w->s.last_serial,
                           .current_ready = w->s.was_ready,
                           .current_opened = w->s.current != 0 && g_test_rand_bit (),
                           .readiness =
                               w->s.next > w->h.before ? w->readiness : KR_HANDOVER_NOT_READY};
    KrHandoverStep step = kr_handover_step (&w->h, &view, w->now);

    w->stages_seen |= 1u << w->h.stage;
    g_assert_cmpuint (i, <, 8); /* it goes round in circles */
    if (step == KR_HANDOVER_STEP_NONE)
      break;
    if (step == KR_HANDOVER_STEP_END) {
      end_handover (w);
      break;
    }
    /* What it asks for always has its place. */
    if (step == KR_HANDOVER_STEP_READY)
      g_assert_true (send (
          w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_READY, .serial = w->s.next}));
    else
      g_assert_true (send (w, (KrSupervisorEvent){.type = step == KR_HANDOVER_STEP_START
                                                              ? KR_SUPERVISOR_EVENT_START
                                                              : KR_SUPERVISOR_EVENT_REPLACE,
                                                  .reason = "handover",
                                                  .in_turn = w->h.in_turn,
                                                  .writing = w->h.from != 0,
                                                  .policy = &w->other}));
  }
  w->within_h = FALSE;
}

static void
begin_handover (World *w)
{
  gint64 busy = w->s.policy.timeout_ready_us + w->s.policy.timeout_stop_us;

  if (w->h.stage != KR_HANDOVER_NONE)
    return;
  w->other = w->s.policy;
  w->other.threshold = (guint)g_test_rand_int_range (1, 5);
  w->other.timeout_ready_us = g_test_rand_int_range (1, 40) * SECOND;
  w->other.handover_stop_us = g_test_rand_int_range (1, 30) * SECOND;
  kr_handover_begin (&w->h, g_test_rand_int_range (0, 4) == 0, w->other.timeout_ready_us, busy,
                     w->now);
  step_handover (w);
}

static gboolean
send (World *w, KrSupervisorEvent event)
{
  KrSupervisorState from = w->s.state;
  KrSupervisorActions actions;
  gboolean taken = kr_supervisor_handle (&w->s, &event, w->now, &actions);

  if (taken)
    g_assert_true (kr_supervisor_may_follow (from, event.type, w->s.state));
  else
    w->n_refused++;
  g_assert_true (taken || actions.n == 0);
  if (event.type == KR_SUPERVISOR_EVENT_EXITED && taken)
    *find (w, event.serial) = (Process){0};
  for (guint i = 0; i < actions.n; i++)
    carry_out (w, &actions.items[i]);
  check_invariants (w);
  if (!w->within_h)
    step_handover (w);
  return taken;
}

static guint
any_serial (World *w)
{
  Process *process = &w->processes[g_test_rand_int_range (0, MAX_WORKERS)];

  /* now and then one that is not there */
  return g_test_rand_int_range (0, 50) == 0 ? (guint)g_test_rand_int_range (0, 9)
                                            : process->serial;
}

static void
die (World *w)
{
  static const int codes[] = {0, 0, 0, 1, 69, 70, 73, 74, 75, 65, 78};
  guint serial = any_serial (w);

  if (serial == 0 || find (w, serial) == NULL)
    return;
  if (g_test_rand_bit ())
    send (w, (KrSupervisorEvent){
                 .type = KR_SUPERVISOR_EVENT_EXITED, .serial = serial, .signal = 9});
  else
    send (w,
          (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_EXITED,
                              .serial = serial,
                              .code = codes[g_test_rand_int_range (0, G_N_ELEMENTS (codes))]});
}

static void
random_event (World *w)
{
  KrSupervisorEvent event = {
      .serial = any_serial (w),
      .writing = g_test_rand_bit (),
      .bad = g_test_rand_int_range (0, 3) > 0,
      .at_once = g_test_rand_int_range (0, 20) == 0,
      .harmful = g_test_rand_int_range (0, 10) == 0,
      .stuck = g_test_rand_int_range (0, 10) == 0,
      .age_us = g_test_rand_int_range (0, 30) * SECOND,
      .starved_us = g_test_rand_int_range (0, 40) * SECOND,
      .next_waits = g_test_rand_bit (),
      .in_turn = g_test_rand_int_range (0, 5) == 0,
      .reason = "chance",
  };
  gint32 dice = g_test_rand_int_range (0, 1000);

  w->now += g_test_rand_int_range (0, 2 * (gint32)SECOND);
  if (g_test_rand_int_range (0, 4) == 0)
    w->readiness = (KrHandoverReadiness)g_test_rand_int_range (0, 3);
  if (dice == 0)
    w->now += g_test_rand_int_range (0, 1200) * SECOND; /* a pause, or a long quiet time */
  if (dice < 400)
    event.type = KR_SUPERVISOR_EVENT_TICK;
  else if (dice < 600)
    event.type = KR_SUPERVISOR_EVENT_HEARTBEAT;
  else if (dice < 720)
    event.type = KR_SUPERVISOR_EVENT_VERDICT;
  else if (dice < 820)
    event.type = KR_SUPERVISOR_EVENT_READY;
  else if (dice < 860)
    event.type = KR_SUPERVISOR_EVENT_HELLO;
  else if (dice < 900) {
    die (w);
    return;
  } else if (dice < 940)
    event.type = KR_SUPERVISOR_EVENT_START;
  else if (dice < 955)
    event.type = KR_SUPERVISOR_EVENT_REPLACE;
  else if (dice < 970) {
    begin_handover (w);
    return;
  } else if (dice < 985) {
    event.type = KR_SUPERVISOR_EVENT_STOP;
    if (kr_handover_cancel (&w->h, "stop"))
      end_handover (w);
  } else if (dice < 990)
    event.type = KR_SUPERVISOR_EVENT_FORCE;
  else { /* not there after all: as if it had never been */
    Process *process = find (w, event.serial);

    event.type = KR_SUPERVISOR_EVENT_SPAWN_FAILED;
    if (event.serial == 0 || process == NULL)
      return;
    if (event.serial == w->s.old || w->s.state == KR_SUPERVISOR_RUNNING ||
        w->s.state == KR_SUPERVISOR_UNHEALTHY || w->s.state == KR_SUPERVISOR_TERMINATING ||
        (w->s.state == KR_SUPERVISOR_REPLACING && event.serial == w->s.current))
      return; /* that one has been seen alive */
    *process = (Process){0};
  }
  send (w, event);
}

/* From wherever chance has led: a stop ends it within bounded time, a start starts it. */
static void
check_way_out (World *w)
{
  gint64 end;

  if (kr_handover_cancel (&w->h, "stop"))
    end_handover (w);
  send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_STOP});
  end = w->now + 120 * SECOND;
  while (!kr_supervisor_state_is_final (w->s.state)) {
    g_assert_cmpint (w->now, <, end);
    w->now += SECOND;
    send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_TICK});
    for (guint i = 0; i < MAX_WORKERS; i++) {
      if (w->processes[i].serial != 0 && w->processes[i].killed)
        send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_EXITED,
                                     .serial = w->processes[i].serial,
                                     .signal = 9});
    }
  }
  g_assert_cmpuint (n_writing (w), ==, 0);
  g_assert_cmpint (w->h.stage, ==, KR_HANDOVER_NONE);
  g_assert_true (send (w, (KrSupervisorEvent){.type = KR_SUPERVISOR_EVENT_START}));
  g_assert_cmpint (w->s.state, ==, KR_SUPERVISOR_STARTING);
}

static void
test_random (void)
{
  static const KrRestart restarts[] = {KR_RESTART_ALWAYS, KR_RESTART_ALWAYS,
                                       KR_RESTART_ON_FAILURE, KR_RESTART_NO};
  const char *option = g_getenv ("KR_TEST_RANDOM_EVENTS");
  guint n_events = option != NULL ? (guint)atoi (option) : 1000000;
  guint states_seen = 0, alerts_seen = 0, stages_seen = 0, results_seen = 0, n = 0;

  while (n < n_events) {
    KrSupervisorPolicy policy = {
        .threshold = (guint)g_test_rand_int_range (1, 5),
        .startup_grace_us = g_test_rand_int_range (0, 40) * SECOND,
        .hang_limit_us = g_test_rand_int_range (3, 30) * SECOND,
        .timeout_ready_us = g_test_rand_int_range (1, 40) * SECOND,
        .timeout_stop_us = g_test_rand_int_range (3, 30) * SECOND,
        .handover_stop_us = g_test_rand_int_range (1, 30) * SECOND,
        .restart = restarts[g_test_rand_int_range (0, G_N_ELEMENTS (restarts))],
    };
    World world = {.now = 1000 * SECOND};

    kr_supervisor_init (&world.s, &policy, world.now);
    for (guint i = 0; i < 1000; i++, n++)
      random_event (&world);
    check_way_out (&world);
    states_seen |= world.states_seen;
    alerts_seen |= world.alerts_seen;
    stages_seen |= world.stages_seen;
    results_seen |= world.results_seen;
  }
  g_test_message ("%u events", n);
  /* Chance has been everywhere, or this test says little. */
  g_assert_cmpuint (states_seen, ==, (1u << KR_N_SUPERVISOR_STATES) - 1);
  g_assert_cmpuint (alerts_seen, ==, (1u << KR_N_ALERTS) - 1);
  g_assert_cmpuint (stages_seen, ==, (1u << KR_N_HANDOVER_STAGES) - 1);
  /* A file that is wrong never comes so far. */
  g_assert_cmpuint (results_seen, ==,
                    ((1u << KR_N_HANDOVER_RESULTS) - 1) & ~(1u << KR_HANDOVER_REFUSED));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (600);
  g_test_add_func ("/core/supervisor/random", test_random);
  return g_test_run ();
}
