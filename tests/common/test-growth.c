/* keeprolling - tests of the growth verdicts, with time as an argument
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/growth.h"

#include "plugins/common/messages.h"
#include "tests/support/kr-test.h"

#define MS  G_GUINT64_CONSTANT (1000000)
#define SEC (1000 * MS)

/* A recorder under a fake clock: one call is one interval. */
typedef struct {
  KrGrowth growth;
  KrGrowthConfig config;
  KrGrowthSample sample;
  KrGrowthVerdict verdict;
  guint64 now;
} Sim;

static const KrGrowthConfig defaults = {
    .interval_ns = SEC,
    .stall_timeout_ns = 5 * SEC,
    .startup_timeout_ns = 15 * SEC,
    .window_ns = 10 * SEC,
    .min_rate = 1,
};

static void
sim_start (Sim *sim, KrGrowthFile file)
{
  *sim = (Sim){.config = defaults, .now = 1000 * SEC};
  sim->sample.file = file;
  sim->sample.file_device = 1;
  sim->sample.file_inode = 11;
  kr_growth_start (&sim->growth, &sim->sample, sim->now);
}

static KrGrowthEvent
sim_step_after (Sim *sim, guint64 delay, guint64 input, guint64 growth)
{
  sim->now += delay;
  sim->sample.bytes_in += input;
  sim->sample.file_bytes += growth;
  sim->verdict = kr_growth_step (&sim->growth, &sim->config, &sim->sample, sim->now);
  return sim->verdict.event;
}

static KrGrowthEvent
sim_step (Sim *sim, guint64 input, guint64 growth)
{
  return sim_step_after (sim, SEC, input, growth);
}

/* @n intervals without an event. */
static void
sim_quiet (Sim *sim, guint n, guint64 input, guint64 growth)
{
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (sim_step (sim, input, growth), ==, KR_GROWTH_EVENT_NONE);
}

static void
assert_stalled (const Sim *sim, KrGrowthFault fault, guint64 outage_ns)
{
  g_assert_cmpint (sim->verdict.event, ==, KR_GROWTH_EVENT_STALLED);
  g_assert_cmpint (sim->verdict.state, ==, KR_GROWTH_STALLED);
  g_assert_cmpstr (kr_growth_fault_name (sim->verdict.fault), ==, kr_growth_fault_name (fault));
  g_assert_cmpuint (sim->verdict.outage_ns, ==, outage_ns);
}

static void
assert_recovered (const Sim *sim, KrGrowthFault fault, guint64 outage_ns)
{
  g_assert_cmpint (sim->verdict.event, ==, KR_GROWTH_EVENT_RECOVERED);
  g_assert_cmpint (sim->verdict.state, ==, KR_GROWTH_GROWING);
  g_assert_cmpstr (kr_growth_fault_name (sim->verdict.fault), ==, kr_growth_fault_name (fault));
  g_assert_cmpuint (sim->verdict.outage_ns, ==, outage_ns);
}

static void
test_names (void)
{
  g_assert_cmpstr (kr_growth_state_name (KR_GROWTH_WAITING), ==, "waiting");
  g_assert_cmpstr (kr_growth_state_name (KR_GROWTH_GROWING), ==, "growing");
  g_assert_cmpstr (kr_growth_state_name (KR_GROWTH_STALLED), ==, "stalled");
  g_assert_null (kr_growth_fault_name (KR_GROWTH_NO_FAULT));
  for (int i = KR_GROWTH_NO_FAULT + 1; i < KR_N_GROWTH_FAULTS; i++)
    g_assert_nonnull (kr_growth_fault_name ((KrGrowthFault)i));
  g_assert_cmpstr (kr_growth_fault_name (KR_GROWTH_FILE_UNLINKED), ==, KR_STALL_FILE_UNLINKED);
}

static void
test_healthy (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  g_assert_cmpint (sim.growth.state, ==, KR_GROWTH_WAITING);
  for (guint i = 1; i <= 1000; i++) {
    g_assert_cmpint (sim_step (&sim, 1000, 1000), ==, KR_GROWTH_EVENT_NONE);
    g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_GROWING);
    g_assert_cmpuint (sim.verdict.age_ns, ==, 0);
    g_assert_cmpuint (sim.verdict.rate, ==, 1000);
  }
}

static void
test_startup (void)
{
  Sim sim;

  /* Nothing at all: the grace of the start, to the very interval. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim_quiet (&sim, 14, 0, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_WAITING);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 14 * SEC);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 15 * SEC);
  sim_quiet (&sim, 3, 0, 0);
  sim_step (&sim, 1, 0);
  assert_recovered (&sim, KR_GROWTH_NO_INPUT, 19 * SEC);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 0);

  /* Input, and a file that never appears. */
  sim_start (&sim, KR_GROWTH_FILE_ABSENT);
  sim_quiet (&sim, 14, 100, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_WAITING);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 15 * SEC);

  /* The source itself comes after the grace, and its first bytes wait to be written. */
  sim_start (&sim, KR_GROWTH_FILE_ABSENT);
  sim_quiet (&sim, 14, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 15 * SEC);
  sim_quiet (&sim, 24, 0, 0);
  sim_quiet (&sim, 2, 100, 0);
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  sim_step (&sim, 100, 300);
  assert_recovered (&sim, KR_GROWTH_NO_INPUT, 42 * SEC);
  /* They never are. */
  sim_start (&sim, KR_GROWTH_FILE_ABSENT);
  sim_quiet (&sim, 14, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 15 * SEC);
  sim_quiet (&sim, 5, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 21 * SEC);

  /* The file appears late, but in time. From then on stall-timeout holds. */
  sim_start (&sim, KR_GROWTH_FILE_ABSENT);
  sim_quiet (&sim, 14, 100, 0);
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  sim_quiet (&sim, 1, 100, 50);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_GROWING);
  sim_quiet (&sim, 5, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 6 * SEC);

  /* An empty file is no progress yet. */
  sim_start (&sim, KR_GROWTH_FILE_ABSENT);
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  sim_quiet (&sim, 14, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 15 * SEC);

  /* Without a grace of its own the start has that of a stall. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim.config.startup_timeout_ns = KR_GROWTH_OFF;
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 5 * SEC);
}

static void
test_baseline (void)
{
  Sim sim;

  /* What an appended file holds already is not growth. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.sample.file_bytes = 1000000;
  sim.sample.bytes_in = 500;
  kr_growth_start (&sim.growth, &sim.sample, sim.now);
  sim_quiet (&sim, 14, 100, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_WAITING);
  g_assert_cmpuint (sim.verdict.rate, ==, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 15 * SEC);
}

static void
test_no_input (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 20, 100, 100);
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 5 * SEC);
  /* Once, however long it lasts. */
  sim_quiet (&sim, 1000, 0, 0);
  g_assert_cmpuint (sim.verdict.outage_ns, ==, 1005 * SEC);
  /* Input alone is no recovery, and not at once another fault either. */
  sim_quiet (&sim, 2, 100, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_STALLED);
  sim_step (&sim, 100, 300);
  assert_recovered (&sim, KR_GROWTH_NO_INPUT, 1008 * SEC);
  /* The slow window of the outage is not held against what comes after. */
  sim.config.min_rate = 50;
  sim_quiet (&sim, 30, 100, 100);
  g_assert_cmpint (sim.verdict.fault, ==, KR_GROWTH_NO_FAULT);
  g_assert_cmpuint (sim.verdict.outage_ns, ==, 0);
}

static void
test_buffered_tail (void)
{
  Sim sim;

  /* The sink still writes what it holds: no stall while the file grows. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 50);
  sim_quiet (&sim, 10, 0, 50);
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 5 * SEC);

  /* Bytes that a sink keeps for itself do not turn a missing input into its fault. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 100);
  sim_quiet (&sim, 1, 100, 0);
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 6 * SEC);
}

static void
test_no_growth (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 100);
  sim_quiet (&sim, 5, 100, 0); /* the oldest byte that waits is 4 s old */
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 6 * SEC);
  sim_quiet (&sim, 10, 100, 0);
  sim_step (&sim, 100, 1);
  assert_recovered (&sim, KR_GROWTH_NO_GROWTH, 17 * SEC);

  /* A sink that holds one buffer and takes no other: input is not what is missing. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim_quiet (&sim, 10, 100, 0);
  sim.sample.blocked = TRUE;
  sim_quiet (&sim, 5, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 6 * SEC);
}

static void
test_reason_changes (void)
{
  Sim sim;

  /* The source comes back, the file does not: whoever reconnects sources must hear of it. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 100);
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 5 * SEC);
  sim_quiet (&sim, 5, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 11 * SEC);
  /* And the other way round. */
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 16 * SEC);
  sim.sample.file = KR_GROWTH_FILE_ABSENT;
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_FILE_UNLINKED, 17 * SEC);
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  sim_step (&sim, 10, 10);
  assert_recovered (&sim, KR_GROWTH_FILE_UNLINKED, 18 * SEC);
}

static void
test_min_rate (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.config.min_rate = 100;
  sim_quiet (&sim, 20, 100, 100);
  /* 99 B/s over the window is reached at the first slow second, and not before. */
  sim_step (&sim, 90, 90);
  assert_stalled (&sim, KR_GROWTH_BELOW_MIN_RATE, 1 * SEC);
  g_assert_cmpuint (sim.verdict.rate, ==, 99);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 0);
  sim_quiet (&sim, 9, 100, 100);
  sim_step (&sim, 100, 100);
  assert_recovered (&sim, KR_GROWTH_BELOW_MIN_RATE, 11 * SEC);

  /* A young window is not judged: slow from the start on. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.config.min_rate = 100;
  sim_quiet (&sim, 9, 50, 50);
  g_assert_cmpuint (sim.verdict.rate, ==, 50);
  sim_step (&sim, 50, 50);
  assert_stalled (&sim, KR_GROWTH_BELOW_MIN_RATE, 10 * SEC);
  /* It stops altogether: another reason. */
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 15 * SEC);

  /* Off. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.config.min_rate = KR_GROWTH_OFF;
  for (guint i = 0; i < 50; i++)
    sim_quiet (&sim, 1, i % 4 == 0, i % 4 == 0);

  /* The window is never shorter than the stall timeout. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.config.stall_timeout_ns = 60 * SEC;
  sim_quiet (&sim, 100, 1000, 1000);
  sim_quiet (&sim, 59, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 60 * SEC);
}

static void
test_rate_window (void)
{
  Sim sim;

  /* More samples than the ring has places: the rate stays right, within one place. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim.config.interval_ns = 10 * MS;
  for (guint i = 0; i < 5000; i++) {
    g_assert_cmpint (sim_step_after (&sim, 10 * MS, 10, 0), ==, KR_GROWTH_EVENT_NONE);
    g_assert_cmpuint (sim.verdict.rate, ==, 1000);
  }
  for (guint i = 0; i < 499; i++)
    g_assert_cmpint (sim_step_after (&sim, 10 * MS, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  g_assert_cmpuint (sim.verdict.rate, >, 480);
  g_assert_cmpuint (sim.verdict.rate, <, 520);

  /* A window made longer on the way, then shorter. */
  sim.config.window_ns = 100 * SEC;
  for (guint i = 0; i < 20000; i++)
    sim_step_after (&sim, 10 * MS, 10, 0);
  g_assert_cmpuint (sim.verdict.rate, ==, 1000);
  sim.config.window_ns = 1;
  sim.config.stall_timeout_ns = 1 * SEC;
  for (guint i = 0; i < 300; i++) /* the old points are 1.6 s apart */
    sim_step_after (&sim, 10 * MS, 20, 0);
  g_assert_cmpuint (sim.verdict.rate, ==, 2000);

  /* No overflow at any size: 4 EiB within a second. */
  sim_step_after (&sim, SEC, G_MAXUINT64 / 4, 0);
  g_assert_cmpuint (sim.verdict.rate, >, G_MAXUINT64 / 16);
}

static void
test_keyframes (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim.config.max_keyframe_interval_ns = 4 * SEC;
  /* Before the first keyframe the grace of the start holds. */
  sim_quiet (&sim, 14, 100, 0);
  sim.sample.keyframes = 1;
  sim_quiet (&sim, 1, 100, 0);
  g_assert_cmpuint (sim.verdict.keyframe_age_ns, ==, 0);
  sim_quiet (&sim, 3, 100, 0);
  g_assert_cmpuint (sim.verdict.keyframe_age_ns, ==, 3 * SEC);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_KEYFRAME, 4 * SEC);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 0);
  sim_quiet (&sim, 3, 100, 0);
  sim.sample.keyframes++;
  sim_step (&sim, 100, 0);
  assert_recovered (&sim, KR_GROWTH_NO_KEYFRAME, 8 * SEC);

  /* No input: that fault, under its own timeout; and after it a new wait for the keyframe. */
  sim_quiet (&sim, 4, 0, 0);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 5 * SEC);
  sim_step (&sim, 100, 0);
  assert_recovered (&sim, KR_GROWTH_NO_INPUT, 6 * SEC);
  sim_quiet (&sim, 3, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_KEYFRAME, 10 * SEC);

  /* Never one: from the end of the grace on. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim.config.max_keyframe_interval_ns = 4 * SEC;
  sim_quiet (&sim, 14, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_KEYFRAME, 15 * SEC);

  /* Off. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim_quiet (&sim, 100, 100, 0);
  g_assert_cmpuint (sim.verdict.keyframe_age_ns, ==, 100 * SEC);
}

static void
test_replaced (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 3, 100, 100);
  sim.sample.file_inode = 12;
  sim_step (&sim, 100, 100);
  assert_stalled (&sim, KR_GROWTH_FILE_REPLACED, 1 * SEC);
  /* That the other file grows is no comfort. */
  sim_quiet (&sim, 20, 100, 100);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_STALLED);
  sim.sample.file_inode = 11;
  sim_step (&sim, 100, 100);
  assert_recovered (&sim, KR_GROWTH_FILE_REPLACED, 22 * SEC);

  /* The same inode number on another device is another file. */
  sim.sample.file_device = 2;
  sim_step (&sim, 100, 100);
  assert_stalled (&sim, KR_GROWTH_FILE_REPLACED, 1 * SEC);
}

static void
test_unlinked (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 3, 100, 100);
  sim.sample.file = KR_GROWTH_FILE_ABSENT;
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_FILE_UNLINKED, 1 * SEC);
  sim_quiet (&sim, 20, 100, 0);
  /* Another one in its place. */
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  sim.sample.file_inode = 12;
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_FILE_REPLACED, 22 * SEC);
  /* The writer opens a new one: that is the one that counts now. */
  sim.sample.generation++;
  sim.sample.file_bytes = 0;
  sim_quiet (&sim, 1, 100, 0);
  sim_step (&sim, 100, 10);
  assert_recovered (&sim, KR_GROWTH_FILE_REPLACED, 24 * SEC);

  /* Before anything was written as well. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.sample.file = KR_GROWTH_FILE_ABSENT;
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_FILE_UNLINKED, 1 * SEC);
}

static void
test_truncated (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 100);
  sim.sample.file_bytes = 0;
  sim_quiet (&sim, 1, 100, 0);
  sim_quiet (&sim, 50, 100, 100); /* it grows from there */
  g_assert_cmpuint (sim.verdict.rate, ==, 100);
  sim.sample.file_bytes = 0;
  sim_quiet (&sim, 5, 100, 0);
  sim_step (&sim, 100, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 6 * SEC);
}

static void
test_rotation (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  for (guint segment = 0; segment < 100; segment++) {
    sim_quiet (&sim, 4, 1000, 1000);
    /* The next one is open; the last one is finished, with 500 bytes that no sample saw, and
     * with the news of it at once, or only some intervals later. */
    sim.sample.generation++;
    sim.sample.file_inode++;
    sim.sample.file_bytes = 0;
    if (segment % 3 == 0)
      sim.sample.finished_bytes += 4500;
    sim_quiet (&sim, 1, 1000, 500);
    if (segment % 3 == 1)
      sim.sample.finished_bytes += 4500;
    if (segment % 3 == 2) {
      sim_quiet (&sim, 2, 1000, 1000);
      sim.sample.finished_bytes += 4500;
      sim.sample.finished_bytes += 2000;
      sim.sample.file_bytes -= 2000;
    }
    g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_GROWING);
  }
  g_assert_cmpuint (sim.verdict.rate, >, 850);
  g_assert_cmpuint (sim.verdict.rate, <, 1150);

  /* The news of a finished file is late by more than the stall timeout: a growing successor is
   * growth all the same. */
  sim.sample.generation++;
  sim.sample.file_inode++;
  sim.sample.file_bytes = 0;
  sim_quiet (&sim, 30, 1000, 10);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 0);

  /* Closed, and none opened: input that goes nowhere. */
  sim.sample.generation++;
  sim.sample.file = KR_GROWTH_FILE_ABSENT;
  sim.sample.finished_bytes = sim.growth.total;
  sim_quiet (&sim, 5, 1000, 0);
  sim_step (&sim, 1000, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 6 * SEC);
}

static void
test_watch_begins_late (void)
{
  Sim sim;

  /* Only the first message of the writer tells that there is a file. */
  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim_quiet (&sim, 10, 1000000, 0);
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  sim.sample.generation++;
  sim_quiet (&sim, 1, 1000, 10);
  sim_quiet (&sim, 3, 1000, 10);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 0);
  sim_quiet (&sim, 5, 1000, 0);
  sim_step (&sim, 1000, 0);
  assert_stalled (&sim, KR_GROWTH_NO_GROWTH, 6 * SEC);
}

static void
test_pause (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 20, 100, 100);
  sim_quiet (&sim, 3, 0, 0);
  kr_growth_pause (&sim.growth, sim.now);
  kr_growth_pause (&sim.growth, sim.now + SEC);
  sim_quiet (&sim, 100, 0, 0);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 3 * SEC);
  kr_growth_resume (&sim.growth, sim.now);
  kr_growth_resume (&sim.growth, sim.now + 7 * SEC);
  /* The pause took no time; 2 of the 5 s are left. */
  sim_quiet (&sim, 1, 0, 0);
  g_assert_cmpuint (sim.verdict.age_ns, ==, 4 * SEC);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 5 * SEC);
  /* In the outage neither. */
  kr_growth_pause (&sim.growth, sim.now);
  sim.now += 1000 * SEC;
  kr_growth_resume (&sim.growth, sim.now);
  sim_step (&sim, 100, 100);
  assert_recovered (&sim, KR_GROWTH_NO_INPUT, 6 * SEC);
}

static void
test_finish (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 100);
  kr_growth_finish (&sim.growth);
  sim_quiet (&sim, 100, 0, 0);
  sim.sample.file = KR_GROWTH_FILE_ABSENT; /* it has its final name now */
  sim_quiet (&sim, 100, 0, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_GROWING);

  /* Another stream: the grace of a start. */
  sim.sample.file = KR_GROWTH_FILE_PRESENT;
  kr_growth_continue (&sim.growth, sim.now);
  sim_quiet (&sim, 14, 0, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_WAITING);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 15 * SEC);

  /* The end comes within a stall: no more news of it. */
  kr_growth_finish (&sim.growth);
  sim_quiet (&sim, 3, 100, 100);
  kr_growth_continue (&sim.growth, sim.now);
  kr_growth_continue (&sim.growth, sim.now + 100 * SEC);
  sim_quiet (&sim, 3, 100, 100);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_GROWING);
}

static void
test_overslept (void)
{
  Sim sim;

  /* Stopped for a minute, then going on: no alarm. */
  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim_quiet (&sim, 10, 100, 100);
  g_assert_cmpint (sim_step_after (&sim, 60 * SEC, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  sim_quiet (&sim, 5, 100, 100);
  /* The timer catches up: a sample right after the late one proves nothing either. */
  g_assert_cmpint (sim_step_after (&sim, 60 * SEC, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  g_assert_cmpint (sim_step_after (&sim, 1, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  g_assert_cmpint (sim_step_after (&sim, SEC / 2, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  sim_quiet (&sim, 5, 100, 100);
  /* Stopped, and the source gone meanwhile: one interval later. */
  g_assert_cmpint (sim_step_after (&sim, 60 * SEC, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  sim_step (&sim, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 61 * SEC);
  sim_step_after (&sim, 60 * SEC, 100, 100);
  assert_recovered (&sim, KR_GROWTH_NO_INPUT, 121 * SEC);
  /* Late every time: told all the same. */
  g_assert_cmpint (sim_step_after (&sim, 60 * SEC, 0, 0), ==, KR_GROWTH_EVENT_NONE);
  sim_step_after (&sim, 60 * SEC, 0, 0);
  assert_stalled (&sim, KR_GROWTH_NO_INPUT, 120 * SEC);
}

static void
test_timeouts_off (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  sim.config = (KrGrowthConfig){.interval_ns = SEC};
  sim_quiet (&sim, 1000, 0, 0);
  sim_quiet (&sim, 1, 1, 1);
  sim_quiet (&sim, 1000, 1, 0);
  g_assert_cmpint (sim.verdict.state, ==, KR_GROWTH_GROWING);
  /* A file that is gone is gone, without any timeout. */
  sim.sample.file = KR_GROWTH_FILE_ABSENT;
  sim_step (&sim, 1, 0);
  assert_stalled (&sim, KR_GROWTH_FILE_UNLINKED, 1001 * SEC);

  sim_start (&sim, KR_GROWTH_FILE_UNWATCHED);
  sim.config.stall_timeout_ns = sim.config.startup_timeout_ns = G_MAXINT64;
  sim.config.window_ns = sim.config.interval_ns = G_MAXINT64;
  sim_quiet (&sim, 1000, 0, 0);
}

static void
test_clock_that_stands (void)
{
  Sim sim;

  sim_start (&sim, KR_GROWTH_FILE_PRESENT);
  for (guint i = 0; i < 200; i++)
    g_assert_cmpint (sim_step_after (&sim, 0, 1, 1), ==, KR_GROWTH_EVENT_NONE);
  sim.now -= SEC; /* against the contract, but not the end of the world */
  sim_quiet (&sim, 3, 0, 0);
  g_assert_cmpuint (sim.verdict.age_ns, <=, 3 * SEC);
}

/* Random lives against what must hold in all of them. */
static void
test_invariants (void)
{
  for (guint life = 0; life < 400; life++) {
    g_autoptr (GRand) rand = g_rand_new_with_seed (life);
    guint64 last_input, last_progress, quiet_since;
    gboolean stalled = FALSE;
    Sim sim;

    sim_start (&sim, g_rand_boolean (rand) ? KR_GROWTH_FILE_PRESENT : KR_GROWTH_FILE_UNWATCHED);
    sim.config.min_rate = 0;
    last_input = last_progress = quiet_since = sim.now;
    for (guint i = 0; i < 500; i++) {
      /* Phases of some length, so that timeouts are met. */
      const gboolean input = (i / 7 + life) % 3 != 0 || g_rand_int_range (rand, 0, 9) == 0;
      const gboolean growth = (i / 11 + life) % 2 != 0 && g_rand_int_range (rand, 0, 3) != 0;
      const guint64 bytes = (guint64)g_rand_int_range (rand, 1, 100000);
      const gboolean watched = sim.sample.file == KR_GROWTH_FILE_PRESENT;
      const KrGrowthEvent event = sim_step (&sim, input ? bytes : 0, growth ? bytes : 0);
      const gboolean progress = watched ? growth : input;

      if (input)
        last_input = sim.now;
      if (progress)
        last_progress = sim.now;
      g_assert_cmpuint (sim.verdict.age_ns, ==, sim.now - last_progress);
      if (event == KR_GROWTH_EVENT_STALLED) {
        g_assert_cmpuint (sim.verdict.age_ns, >=, sim.config.stall_timeout_ns);
        g_assert_cmpint (sim.verdict.fault, !=, KR_GROWTH_NO_FAULT);
        g_assert_false (progress);
        if (sim.verdict.fault == KR_GROWTH_NO_INPUT)
          g_assert_cmpuint (sim.now - last_input, >=, sim.config.stall_timeout_ns);
        stalled = TRUE;
      }
      if (event == KR_GROWTH_EVENT_RECOVERED) {
        g_assert_true (stalled && progress);
        g_assert_cmpuint (sim.verdict.outage_ns, >, sim.config.stall_timeout_ns);
        stalled = FALSE;
      }
      g_assert_true (stalled == (sim.verdict.state == KR_GROWTH_STALLED));
      if (progress)
        quiet_since = sim.now;
      /* Whatever the pattern: twice the timeout after the last progress it must be told. */
      if (sim.now - quiet_since >=
          2 * MAX (sim.config.stall_timeout_ns, sim.growth.progressed ? 0 : 15 * SEC))
        g_assert_true (stalled);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/growth/names", test_names);
  g_test_add_func ("/growth/healthy", test_healthy);
  g_test_add_func ("/growth/startup", test_startup);
  g_test_add_func ("/growth/baseline", test_baseline);
  g_test_add_func ("/growth/no-input", test_no_input);
  g_test_add_func ("/growth/buffered-tail", test_buffered_tail);
  g_test_add_func ("/growth/no-growth", test_no_growth);
  g_test_add_func ("/growth/reason-changes", test_reason_changes);
  g_test_add_func ("/growth/min-rate", test_min_rate);
  g_test_add_func ("/growth/rate-window", test_rate_window);
  g_test_add_func ("/growth/keyframes", test_keyframes);
  g_test_add_func ("/growth/replaced", test_replaced);
  g_test_add_func ("/growth/unlinked", test_unlinked);
  g_test_add_func ("/growth/truncated", test_truncated);
  g_test_add_func ("/growth/rotation", test_rotation);
  g_test_add_func ("/growth/watch-begins-late", test_watch_begins_late);
  g_test_add_func ("/growth/pause", test_pause);
  g_test_add_func ("/growth/finish", test_finish);
  g_test_add_func ("/growth/overslept", test_overslept);
  g_test_add_func ("/growth/timeouts-off", test_timeouts_off);
  g_test_add_func ("/growth/clock-that-stands", test_clock_that_stands);
  g_test_add_func ("/growth/invariants", test_invariants);
  return g_test_run ();
}
