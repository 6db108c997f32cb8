/* keeprolling - tests of what a supervisor leaves to the next program
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/resume-state.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/kr-test.h"

static KrResumeState *
example (void)
{
  KrResumeState *state = kr_resume_state_new ();
  KrResumeFile *file = kr_resume_state_add_file (state);
  KrResumeWorker *worker;

  state->instance = g_strdup ("abc-def");
  state->started_utc_us = 1700000000123456;
  state->reload = TRUE;
  state->told_ready = TRUE;
  g_strfreev (state->arguments);
  state->arguments = g_strsplit ("/d/\xff\xfe.pipeline|/d", "|", -1);
  g_hash_table_replace (state->set, g_strdup ("URI"), g_strdup ("srt://x?passphrase=y\n\""));
  state->listen = g_strdup ("none");
  state->runtime_dir = g_strdup ("/run/x");
  state->state_dir = g_strdup ("/var/x");

  file->path = g_strdup ("/d/\xff\xfe.pipeline");
  file->text = g_strdup ("[Pipeline record]\nLaunch = \xc3\xa4\n");
  file->machine = (KrSupervisorResume){.state = KR_SUPERVISOR_RUNNING,
                                       .current = 7,
                                       .ready = TRUE,
                                       .last_serial = 8,
                                       .deadline = G_MAXINT64,
                                       .failures = 2,
                                       .brief = 13,
                                       .exit_code = 3,
                                       .crashes = 4,
                                       .hangs = 5,
                                       .replacements = 6};
  file->counters = g_strdup ("{}\n");
  file->handovers[KR_HANDOVER_ROLLED_BACK] = 9;
  worker = kr_resume_file_add_worker (file);
  worker->serial = 7;
  worker->pid = 4711;
  worker->fd = 12;
  worker->rest = g_bytes_new_static ("{\"ty\0\xff", 6);
  worker->instance = g_strdup ("ghi");
  worker->version = g_strdup ("0.1");
  worker->started = 99;
  worker->started_utc_us = 98;
  worker->ready = TRUE;
  worker->open_files = g_strsplit ("/d/\xfe.ts", "|", -1);

  file = kr_resume_state_add_file (state);
  file->path = g_strdup ("/d/idle.pipeline");
  file->text = g_strdup ("");
  file->machine.state = KR_SUPERVISOR_STOPPED;
  return state;
}

static void
assert_example (const KrResumeState *state)
{
  const KrResumeFile *file = state->files->pdata[0];
  gsize length;

  g_assert_cmpuint (state->files->len, ==, 2);
  g_assert_cmpstr (state->instance, ==, "abc-def");
  g_assert_cmpint (state->started_utc_us, ==, 1700000000123456);
  g_assert_true (state->reload && state->told_ready);
  g_assert_cmpuint (g_strv_length (state->arguments), ==, 2);
  g_assert_cmpstr (state->arguments[0], ==, "/d/\xff\xfe.pipeline");
  g_assert_cmpuint (g_hash_table_size (state->set), ==, 1);
  g_assert_cmpstr (g_hash_table_lookup (state->set, "URI"), ==, "srt://x?passphrase=y\n\"");
  g_assert_cmpstr (state->listen, ==, "none");
  g_assert_null (state->token_file);
  g_assert_cmpstr (state->runtime_dir, ==, "/run/x");
  g_assert_cmpstr (state->state_dir, ==, "/var/x");
  g_assert_cmpstr (file->path, ==, "/d/\xff\xfe.pipeline");
  g_assert_cmpstr (file->text, ==, "[Pipeline record]\nLaunch = \xc3\xa4\n");
  g_assert_cmpint (file->machine.state, ==, KR_SUPERVISOR_RUNNING);
  g_assert_cmpuint (file->machine.current, ==, 7);
  g_assert_true (file->machine.ready);
  g_assert_cmpuint (file->machine.last_serial, ==, 8);
  g_assert_cmpint (file->machine.deadline, ==, G_MAXINT64);
  g_assert_cmpuint (file->machine.failures, ==, 2);
  g_assert_cmpuint (file->machine.brief, ==, 13);
  g_assert_cmpint (file->machine.exit_code, ==, 3);
  g_assert_cmpuint (file->machine.crashes, ==, 4);
  g_assert_cmpuint (file->machine.hangs, ==, 5);
  g_assert_cmpuint (file->machine.replacements, ==, 6);
  g_assert_cmpstr (file->counters, ==, "{}\n");
  g_assert_cmpuint (file->handovers[KR_HANDOVER_ROLLED_BACK], ==, 9);
  g_assert_cmpuint (file->handovers[KR_HANDOVER_COMPLETED], ==, 0);
  g_assert_cmpuint (file->worker->serial, ==, 7);
  g_assert_cmpint (file->worker->pid, ==, 4711);
  g_assert_cmpint (file->worker->fd, ==, 12);
  g_assert_cmpmem (g_bytes_get_data (file->worker->rest, &length),
                   g_bytes_get_size (file->worker->rest), "{\"ty\0\xff", 6);
  g_assert_cmpstr (file->worker->instance, ==, "ghi");
  g_assert_cmpstr (file->worker->version, ==, "0.1");
  g_assert_cmpint (file->worker->started, ==, 99);
  g_assert_cmpint (file->worker->started_utc_us, ==, 98);
  g_assert_true (file->worker->ready);
  g_assert_cmpstr (file->worker->open_files[0], ==, "/d/\xfe.ts");
  file = state->files->pdata[1];
  g_assert_null (file->worker);
  g_assert_cmpint (file->machine.state, ==, KR_SUPERVISOR_STOPPED);
}

static void
test_round_trip (void)
{
  g_autoptr (KrResumeState) state = example ();
  g_autoptr (KrResumeState) again = NULL;
  g_autoptr (GError) error = NULL;
  int fd = kr_resume_state_to_fd (state, &error);

  g_assert_no_error (error);
  again = kr_resume_state_from_fd (fd, &error);
  g_assert_no_error (error);
  assert_example (again);
  kr_resume_state_free (again);
  /* Both the trial and the real one read it. */
  again = kr_resume_state_from_fd (fd, &error);
  assert_example (again);
  close (fd);
}

/* A program of another version, or one that was given something else: never half of it. */
static void
test_not_understood (void)
{
  static const char *const texts[] = {
      "",
      "{",
      "[]",
      "null",
      "{}",
      "{\"format\":2,\"files\":[]}",
      "{\"format\":\"1\",\"files\":[]}",
      "{\"format\":1}",
      "{\"format\":1,\"files\":[7]}",
      "{\"format\":1,\"files\":[{}]}",
      "{\"format\":1,\"files\":[{\"path\":\"YQ==\",\"text\":\"YQ==\"}]}",
      "{\"format\":1,\"files\":[{\"path\":\"YQ==\",\"text\":\"YQ==\",\"machine\":{\"state\":"
      "\"YQ==\"}}]}",
      /* running without a worker */
      "{\"format\":1,\"files\":[{\"path\":\"YQ==\",\"text\":\"YQ==\",\"machine\":{\"state\":"
      "\"cnVubmluZw==\",\"current\":1}}]}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (kr_resume_state_decode (texts[i], -1, &error));
    g_assert_nonnull (error);
  }
}

/* Whatever is cut off or garbled: refused or understood, but no crash. */
static void
test_damaged (void)
{
  g_autoptr (KrResumeState) state = example ();
  g_autofree char *text = kr_resume_state_encode (state);
  gsize length = strlen (text);

  for (gsize cut = 0; cut < length; cut++)
    g_assert_null (kr_resume_state_decode (text, (gssize)cut, NULL));
  for (guint i = 0; i < 5000; i++) {
    g_autofree char *garbled = g_strdup (text);

    garbled[g_test_rand_int_range (0, (gint32)length)] = (char)g_test_rand_int_range (1, 256);
    kr_resume_state_free (kr_resume_state_decode (garbled, -1, NULL));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (120);
  g_test_add_func ("/resume-state/round-trip", test_round_trip);
  g_test_add_func ("/resume-state/not-understood", test_not_understood);
  g_test_add_func ("/resume-state/damaged", test_damaged);
  return g_test_run ();
}
