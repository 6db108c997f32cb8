/* keeprolling - tests of core/pipeline-file
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/pipeline-file.h"

#include <string.h>

#include "launcher/core/nearest.h"
#include "launcher/core/variables.h"
#include "tests/support/kr-test.h"

#define P "[Pipeline cam1]\nLaunch = fakesrc ! fakesink\n"

static KrPipelineFile *
parse_fine (const char *text, GHashTable *overrides, char **environment)
{
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  KrPipelineFile *file = kr_pipeline_file_parse ("pipelines/x.pipeline", text, strlen (text),
                                                 overrides, environment, problems);

  for (guint i = 0; i < problems->len; i++)
    g_test_message ("%s", ((KrProblem *)problems->pdata[i])->message);
  g_assert_cmpuint (problems->len, ==, 0);
  g_assert_nonnull (file);
  return file;
}

static const KrPipelineSpec *
spec_at (const KrPipelineFile *file, guint i)
{
  g_assert_cmpuint (i, <, file->pipelines->len);
  return file->pipelines->pdata[i];
}

static void
assert_place (const KrPipelineSpec *spec, const char *word, guint line, guint column)
{
  const char *found = strstr (spec->launch, word);
  KrPlace place;

  g_assert_nonnull (found);
  place = kr_pipeline_spec_place (spec, (gsize)(found - spec->launch));
  g_assert_cmpuint (place.line, ==, line);
  g_assert_cmpuint (place.column, ==, column);
}

static void
test_defaults (void)
{
  g_autoptr (KrPipelineFile) file = parse_fine (P, NULL, NULL);
  const KrPipelineSpec *spec = spec_at (file, 0);

  g_assert_cmpstr (file->name, ==, "x");
  g_assert_cmpstr (file->path, ==, "pipelines/x.pipeline");
  g_assert_cmpuint (file->pipelines->len, ==, 1);
  g_assert_cmpstr (spec->name, ==, "cam1");
  g_assert_cmpstr (spec->camera, ==, "cam1");
  g_assert_cmpstr (spec->launch, ==, "fakesrc ! fakesink");
  g_assert_true (spec->launch_complete);
  g_assert_cmpint (spec->restart, ==, KR_RESTART_ALWAYS);
  g_assert_cmpint (spec->restart_us, ==, 250000);
  g_assert_cmpint (spec->restart_max_us, ==, 15000000);
  g_assert_cmpuint (spec->start_limit_burst, ==, 10);
  g_assert_cmpint (spec->start_limit_interval_us, ==, 60000000);
  g_assert_cmpint (spec->source_timeout_us, ==, 1000000);
  g_assert_cmpint (spec->timeout_start_us, ==, 20000000);
  g_assert_cmpint (spec->timeout_stop_us, ==, 15000000);
  g_assert_cmpint (file->health.interval_us, ==, 10000000);
  g_assert_cmpuint (file->health.threshold, ==, 3);
  g_assert_cmpint (file->health.startup_grace_us, ==, 30000000);
  g_assert_cmpuint (file->health.memory_max, ==, 0);
  g_assert_null (file->health.check_url);
  g_assert_null (file->alerts.webhook);
  g_assert_cmpint (file->handover.timeout_ready_us, ==, 30000000);
  g_assert_cmpint (file->handover.timeout_stop_us, ==, 30000000);
}

static void
test_every_key (void)
{
  g_autoptr (KrPipelineFile) file = parse_fine ("[Pipeline a.b-c_1]\n"
                                                "Launch=fakesrc ! fakesink # no comment\n"
                                                "Camera = Front door\n"
                                                "Restart = on-failure\n"
                                                "RestartSec = 1s 500ms\n"
                                                "RestartMaxSec = 1min\n"
                                                "StartLimitBurst = 3\n"
                                                "StartLimitIntervalSec = 2min\n"
                                                "SourceTimeoutSec = 0\n"
                                                "TimeoutStartSec = 5\n"
                                                "TimeoutStopSec = 0.5s\n"
                                                "[Health]\n"
                                                "IntervalSec = 1s\n"
                                                "Threshold = 1\n"
                                                "StartupGraceSec = 0\n"
                                                "MemoryMax = 1.5G\n"
                                                "CheckURL = https://example.org/live?x=1\n"
                                                "[Alerts]\n"
                                                "Webhook = http://127.0.0.1:8080/hook\n"
                                                "[Handover]\n"
                                                "TimeoutReadySec = 10s\n"
                                                "TimeoutStopSec = 20s\n",
                                                NULL, NULL);
  const KrPipelineSpec *spec = spec_at (file, 0);

  g_assert_cmpstr (spec->name, ==, "a.b-c_1");
  g_assert_cmpstr (spec->camera, ==, "Front door");
  g_assert_cmpstr (spec->launch, ==, "fakesrc ! fakesink # no comment");
  g_assert_cmpint (spec->restart, ==, KR_RESTART_ON_FAILURE);
  g_assert_cmpint (spec->restart_us, ==, 1500000);
  g_assert_cmpint (spec->restart_max_us, ==, 60000000);
  g_assert_cmpuint (spec->start_limit_burst, ==, 3);
  g_assert_cmpint (spec->start_limit_interval_us, ==, 120000000);
  g_assert_cmpint (spec->source_timeout_us, ==, 0);
  g_assert_cmpint (spec->timeout_start_us, ==, 5000000);
  g_assert_cmpint (spec->timeout_stop_us, ==, 500000);
  g_assert_cmpint (file->health.interval_us, ==, 1000000);
  g_assert_cmpuint (file->health.threshold, ==, 1);
  g_assert_cmpint (file->health.startup_grace_us, ==, 0);
  g_assert_cmpuint (file->health.memory_max, ==, (guint64)3 << 29);
  g_assert_cmpstr (file->health.check_url, ==, "https://example.org/live?x=1");
  g_assert_cmpstr (file->alerts.webhook, ==, "http://127.0.0.1:8080/hook");
  g_assert_cmpint (file->handover.timeout_ready_us, ==, 10000000);
  g_assert_cmpint (file->handover.timeout_stop_us, ==, 20000000);
}

static void
test_continuation (void)
{
  g_autoptr (KrPipelineFile) file = parse_fine ("\357\273\277# two lines\r\n"
                                                "[Pipeline cam1]\r\n"
                                                "Launch =\r\n"
                                                "    fakesrc name=\"a # b\"\r\n"
                                                "    # a comment inside\r\n"
                                                "# another, not indented\r\n"
                                                "\r\n"
                                                "  ! \t fakesink  \r\n"
                                                "Restart = no\r\n",
                                                NULL, NULL);
  const KrPipelineSpec *spec = spec_at (file, 0);

  g_assert_cmpstr (spec->launch, ==, "fakesrc name=\"a # b\" ! \t fakesink");
  g_assert_cmpuint (spec->launch_place.line, ==, 4);
  g_assert_cmpuint (spec->launch_place.column, ==, 5);
  g_assert_cmpint (spec->restart, ==, KR_RESTART_NO);
  assert_place (spec, "fakesrc", 4, 5);
  assert_place (spec, "# b", 4, 21);
  assert_place (spec, "!", 8, 3);
  assert_place (spec, "fakesink", 8, 7);
}

static void
test_no_newline_at_the_end (void)
{
  g_autoptr (KrPipelineFile) file =
      parse_fine ("[Pipeline a]\nLaunch = fakesrc !\n fakesink", NULL, NULL);

  g_assert_cmpstr (spec_at (file, 0)->launch, ==, "fakesrc ! fakesink");
}

static void
test_variables (void)
{
  static const char text[] = "[Variables]\n"
                             "A = one\n"
                             "B = ${A}-${C}\n"
                             "C = $x $${A}\n"
                             "EMPTY =\n"
                             "UNUSED = ${A}\n"
                             "[Pipeline cam1]\n"
                             "Launch = \303\244 ${B} <${EMPTY}> ${FROM_ENV} ! x\n"
                             "  y ${A} z\n";
  char *environment[] = {(char *)"FROM_ENV=env ${A}", (char *)"A=ignored?", NULL};
  g_autoptr (GHashTable) overrides = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (KrPipelineFile) file = parse_fine (text, NULL, environment);

  g_assert_cmpstr (spec_at (file, 0)->launch, ==,
                   "\303\244 ignored?-$x ${A} <> env ${A} ! x y ignored? z");
  assert_place (spec_at (file, 0), "ignored?-", 8, 12);
  assert_place (spec_at (file, 0), "$x", 8, 12);
  assert_place (spec_at (file, 0), "env", 8, 28);
  assert_place (spec_at (file, 0), "! x", 8, 40);
  assert_place (spec_at (file, 0), "y ", 9, 3);
  assert_place (spec_at (file, 0), " z", 9, 9);
  g_assert_true (g_hash_table_contains (file->variables, "UNUSED"));
  g_assert_true (g_hash_table_contains (file->variables, "FROM_ENV"));
  g_assert_false (g_hash_table_contains (file->variables, "x"));
  g_clear_pointer (&file, kr_pipeline_file_free);

  g_hash_table_insert (overrides, (gpointer) "A", (gpointer) "set");
  file = parse_fine (text, overrides, environment);
  g_assert_cmpstr (spec_at (file, 0)->launch, ==,
                   "\303\244 set-$x ${A} <> env ${A} ! x y set z");
}

static void
test_overridden_definition_need_not_work (void)
{
  char *environment[] = {(char *)"A=1", NULL};
  g_autoptr (KrPipelineFile) file = parse_fine (
      "[Variables]\nA = ${NOT_SET}\n[Pipeline p]\nLaunch = ${A}\n", NULL, environment);

  g_assert_cmpstr (spec_at (file, 0)->launch, ==, "1");
}

static void
test_small_max_follows_first_delay (void)
{
  g_autoptr (KrPipelineFile) file = parse_fine (P "RestartSec = 1min\n", NULL, NULL);

  g_assert_cmpint (spec_at (file, 0)->restart_max_us, ==, 60000000);
}

/* One mistake each: the place, a part of the message, a part of the hint. */
typedef struct {
  const char *text;
  guint line, column;
  const char *message;
  const char *hint;
} Bad;

static const Bad bad[] = {
    {"", 1, 1, "no [Pipeline NAME]", "add a group"},
    {"# nothing\n\n", 1, 1, "no [Pipeline NAME]", "add a group"},
    {"[Health]\nThreshold = 3\n", 1, 1, "no [Pipeline NAME]", "add a group"},
    {"\n[Pipeline a]\nRestart = no\n", 2, 1, "[Pipeline a] has no Launch", "Launch ="},
    {"[Pipeline a]\nLaunch =\n", 2, 1, "Launch is empty", "gst-launch-1.0"},
    {"[Pipeline a]\nLaunch =\n  # only this\n", 2, 1, "Launch is empty", "indented"},
    {"[Variables]\nE =\n[Pipeline a]\nLaunch = ${E}\n", 4, 1, "Launch is empty", "indented"},
    {"[Pipeline]\nLaunch = x\n", 1, 1, "no name", "[Pipeline cam1]"},
    {"[Pipeline a b]\nLaunch = x\n", 1, 11, "'a b' cannot name", "letters, digits"},
    {"[Pipeline ../a]\nLaunch = x\n", 1, 11, "'../a' cannot name", "letters, digits"},
    {"[Pipeline .a]\nLaunch = x\n", 1, 11, "'.a' cannot name", "letters, digits"},
    {"[Pipelin a]\nLaunch = x\n", 1, 1, "unknown group 'Pipelin'", "did you mean Pipeline?"},
    {P "[Nonsense]\nx = y\n", 3, 1, "unknown group 'Nonsense'", "[Handover]"},
    {P "[pipeline b]\nLaunch = x\n", 3, 1, "unknown group 'pipeline'",
     "did you mean Pipeline?"},
    {P "[]\n", 3, 1, "unknown group ''", "one of"},
    {P "[Health\nThreshold = 3\n", 3, 1, "no closing ']'", "[Pipeline cam1]"},
    {P "[Health] # mine\n", 3, 10, "'# mine' follows the group", "a comment is a line"},
    {P "[Health x]\n", 3, 9, "'x' follows 'Health'", "write [Health]"},
    {P "[Health]\n[Health]\n", 4, 1, "'Health' stands twice", "line 3"},
    {P "[Pipeline cam1]\nLaunch = y\n", 3, 1, "'Pipeline cam1' stands twice", "line 1"},
    {P "Lunch = y\n", 3, 1, "unknown key 'Lunch' in [Pipeline]", "did you mean Launch?"},
    {P "Frobnicate = y\n", 3, 1, "unknown key 'Frobnicate'", "one of: Launch, Camera"},
    {P "restartsec = 1s\n", 3, 1, "unknown key 'restartsec'", "did you mean RestartSec?"},
    {P "Webhook = http://a/\n", 3, 1, "unknown key 'Webhook'", "belongs into [Alerts]"},
    {P "[Health]\nRestartSec = 1s\n", 4, 1, "unknown key 'RestartSec'", "[Pipeline NAME]"},
    {P "Restart = no\nRestart = no\n", 4, 1, "'Restart' stands twice", "line 3"},
    {P "Restart = sometimes\n", 3, 11, "Restart: 'sometimes'", "always, on-failure, no"},
    {P "Restart = alway\n", 3, 11, "Restart: 'alway'", "did you mean always?"},
    {P "Restart =\n", 3, 10, "Restart: ''", "always, on-failure, no"},
    {P "RestartSec = soon\n", 3, 14, "'soon' is not a time span", "250ms"},
    {P "RestartSec = 1s  # often\n", 3, 14, "not a time span",
     "a comment is a line of its own"},
    {P "RestartSec = -1s\n", 3, 14, "'-1s' is not a time span", "250ms"},
    {P "RestartSec = 1ms\n", 3, 14, "'1ms' is out of range", "from 10ms to 1h"},
    {P "RestartSec = 99999999999999999999\n", 3, 14, "is not a time span", "250ms"},
    {P "SourceTimeoutSec = 1ms\n", 3, 20, "out of range", "from 100ms to 1h, or 0 for off"},
    {P "RestartMaxSec = 100ms\n", 3, 17, "less than RestartSec, which is 250ms by default",
     "250ms or more"},
    {P "StartLimitBurst = 0\n", 3, 19, "'0' is out of range", "from 1 to 10000"},
    {P "StartLimitBurst = 3.5\n", 3, 19, "'3.5' is not a whole number", "from 1 to 10000"},
    {P "StartLimitBurst = many\n", 3, 19, "'many' is not a whole number", "from 1"},
    {P "StartLimitBurst = 99999999999999999999999\n", 3, 19, "out of range", "from 1"},
    {P "[Health]\nMemoryMax = 1k5\n", 4, 13, "'1k5' is not a size", "500M"},
    {P "[Health]\nMemoryMax = 1M\n", 4, 13, "'1M' is out of range", "16M or more"},
    {P "[Health]\nCheckURL = example.org\n", 4, 12, "CheckURL: the value is not", "https://"},
    {P "[Alerts]\nWebhook = ftp://secret/\n", 4, 11, "Webhook: the value is not", "https://"},
    {P "Camera = a/b\n", 3, 10, "'a/b' cannot name a camera", "without '/'"},
    {P "Camera =\n", 3, 9, "'' cannot name a camera", "1 to 64"},
    {"[Pipeline a]\nLaunch = x ${OUT} y\n", 2, 12, "variable 'OUT' is not set", "--set OUT="},
    {"[Variables]\nOUTPUT = 1\n[Pipeline a]\nLaunch = x\n y ${OUTPT}\n", 5, 4,
     "variable 'OUTPT' is not set", "did you mean ${OUTPUT}?"},
    {"[Variables]\nA = ${B}\nB = ${A}\n[Pipeline a]\nLaunch = ${A}\n", 3, 5, "contains itself",
     "A -> B -> A"},
    {"[Variables]\nA = ${A}\n[Pipeline a]\nLaunch = x\n", 2, 5, "contains itself", "A -> A"},
    {"[Variables]\nA = ${NO}\n[Pipeline a]\nLaunch = x\n", 2, 5, "variable 'NO' is not set",
     "--set NO="},
    {"[Variables]\n2ND = x\n[Pipeline a]\nLaunch = x\n", 2, 1, "'2ND' is no name", "letters"},
    {"[Pipeline a]\nLaunch = x ${A\n", 2, 12, "no closing '}'", "$${"},
    {"[Pipeline a]\nLaunch = x ${A B}\n", 2, 12, "'A B' is no name", "letters, digits"},
    {"[Pipeline a]\nLaunch = x ${}\n", 2, 12, "'' is no name", "letters, digits"},
    {P "[Variables]\nCAM-1 = x\n", 4, 1, "'CAM-1 = x' is no group", "a line is"},
    {"Launch = x\n" P, 1, 1, "'Launch' stands before the first group", "[Pipeline cam1]"},
    {P "nonsense\n", 3, 1, "'nonsense' is no group", "indent the line"},
    {"[Pipeline a]\nnonsense\nLaunch = x\n", 2, 1, "'nonsense' is no group", "# comment"},
    {"[Pipeline a]\nLaunch = x\n! y\n", 3, 1, "'! y' is no group", "indent the line"},
    {P "  Restart = no\n", 3, 3, "'Restart' is indented", "first column"},
    {P "  [Health]\n  Threshold = 1\n", 3, 3, "'[Health]' is indented", "first column"},
    {"[Pipeline a]\n  fakesrc\nLaunch = x\n", 2, 3, "no value to continue", "first column"},
    {"[Pipeline a]\nLaunch = x \\\n  y\n", 2, 12, "ends in '\\'", "by itself"},
    {"[Variables]\nU = a\"secret b\n[Pipeline a]\nLaunch = x uri=\"${U}\"\n", 4, 17,
     "'U' would end the quotes", "write \\\""},
    {"[Variables]\nU = a\\\n[Pipeline a]\nLaunch = x uri=\"${U}${U}\"\n", 2, 6, "ends in '\\'",
     "by itself"},
    {P "Camera = \377\n", 3, 10, "0xff is no UTF-8", "plain text"},
    {P "Camera = a\001\n", 3, 11, "0x01 is a control character", "plain text"},
};

static void
test_bad (gconstpointer data)
{
  const Bad *it = data;
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autoptr (KrPipelineFile) file =
      kr_pipeline_file_parse ("x.pipeline", it->text, strlen (it->text), NULL, NULL, problems);
  const KrProblem *problem;

  g_assert_null (file);
  g_assert_cmpuint (problems->len, >=, 1);
  problem = problems->pdata[0];
  for (guint i = 0; i < problems->len; i++)
    g_test_message ("%u:%u %s | %s", ((KrProblem *)problems->pdata[i])->place.line,
                    ((KrProblem *)problems->pdata[i])->place.column,
                    ((KrProblem *)problems->pdata[i])->message,
                    ((KrProblem *)problems->pdata[i])->hint);
  g_assert_cmpuint (problem->place.line, ==, it->line);
  g_assert_cmpuint (problem->place.column, ==, it->column);
  g_assert_nonnull (strstr (problem->message, it->message));
  g_assert_nonnull (strstr (problem->hint, it->hint));
  g_assert_null (strstr (problem->message, "secret"));
}

static void
test_all_at_once_in_order (void)
{
  static const char text[] = "[Variables]\n"
                             "A = ${NOPE}\n"
                             "[Pipeline a]\n"
                             "Launch = ${NOPE2} ${NOPE3}\n"
                             "RestartSec = x\n"
                             "Restrat = no\n"
                             "[Health]\n"
                             "Threshold = 0\n"
                             "  Threshold = 1\n"
                             "[Pipeline a]\n";
  static const guint lines[] = {2, 4, 4, 5, 6, 8, 9, 9, 10, 10};
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autoptr (KrPipelineFile) file =
      kr_pipeline_file_parse_partly ("x", text, strlen (text), NULL, NULL, problems);

  for (guint i = 0; i < problems->len; i++)
    g_test_message ("%u %s", ((KrProblem *)problems->pdata[i])->place.line,
                    ((KrProblem *)problems->pdata[i])->message);
  g_assert_cmpuint (problems->len, ==, G_N_ELEMENTS (lines));
  for (guint i = 0; i < problems->len; i++)
    g_assert_cmpuint (((KrProblem *)problems->pdata[i])->place.line, ==, lines[i]);
  /* What could be understood is there for the engine to look at. */
  g_assert_cmpstr (spec_at (file, 0)->launch, ==, "${NOPE2} ${NOPE3}");
  g_assert_false (spec_at (file, 0)->launch_complete);
}

static void
test_problem_text (void)
{
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autofree char *text = NULL;

  g_assert_null (kr_pipeline_file_parse ("a b.pipeline", "x", 1, NULL, NULL, problems));
  text = kr_problem_to_string (problems->pdata[0]);
  g_assert_cmpstr (
      text, ==,
      "a b.pipeline:1:1: error: 'x' is no group, no key with a value and no comment\n"
      "  hint: a line is [Group], Key = value, or a # comment\n");
}

static void
test_binary_and_size (void)
{
  g_autofree char *big = g_malloc (KR_PIPELINE_FILE_MAX_BYTES + 1);
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  /* Lines of NUL bytes: a few are reported, then it is clear that this is no text. */
  memset (big, 0, KR_PIPELINE_FILE_MAX_BYTES);
  for (gsize i = 0; i < KR_PIPELINE_FILE_MAX_BYTES; i += 188)
    big[i] = '\n';
  g_assert_null (
      kr_pipeline_file_parse ("x", big, KR_PIPELINE_FILE_MAX_BYTES, NULL, NULL, problems));
  g_assert_cmpuint (problems->len, >, 0);
  g_assert_cmpuint (problems->len, <, 20);
  g_assert_nonnull (strstr (((KrProblem *)problems->pdata[0])->message, "NUL"));

  g_ptr_array_set_size (problems, 0);
  memset (big, '#', KR_PIPELINE_FILE_MAX_BYTES + 1);
  g_assert_null (
      kr_pipeline_file_parse ("x", big, KR_PIPELINE_FILE_MAX_BYTES + 1, NULL, NULL, problems));
  g_assert_cmpuint (problems->len, ==, 1);
  g_assert_nonnull (strstr (((KrProblem *)problems->pdata[0])->message, "larger than 256 KiB"));
}

static void
test_number_of_problems_is_bounded (void)
{
  g_autoptr (GString) text = g_string_new (P);
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  const KrProblem *last;

  for (guint i = 0; i < 20000; i++)
    g_string_append_printf (text, "K%u=\n", i);
  g_assert_null (kr_pipeline_file_parse ("x", text->str, text->len, NULL, NULL, problems));
  g_assert_cmpuint (problems->len, ==, KR_PIPELINE_FILE_MAX_PROBLEMS + 1);
  last = problems->pdata[problems->len - 1];
  g_assert_cmpstr (last->message, ==, "19500 more mistakes from here on");
}

static void
test_length_of_launch_is_bounded (void)
{
  g_autoptr (GString) text = g_string_new (P);
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  g_string_append (text, "[Variables]\nX = 0123456789abcdef\n[Pipeline b]\nLaunch = ");
  for (guint i = 0; i <= KR_PIPELINE_FILE_MAX_LAUNCH / 16; i++)
    g_string_append (text, "${X}");
  g_string_append_c (text, '\n');
  g_assert_null (kr_pipeline_file_parse ("x", text->str, text->len, NULL, NULL, problems));
  g_assert_cmpuint (problems->len, ==, 1);
  g_assert_nonnull (strstr (((KrProblem *)problems->pdata[0])->message, "longer than 64 KiB"));
}

/* Each variable is the one before twice: 2^40 bytes if nobody counted. */
static void
test_growing_variables_are_bounded (gconstpointer first)
{
  g_autoptr (GString) text = g_string_new ("[Variables]\n");
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  g_string_append_printf (text, "V0 =%s\n", (const char *)first);
  for (guint i = 1; i <= 40; i++)
    g_string_append_printf (text, "V%u = ${V%u}${V%u}\n", i, i - 1, i - 1);
  g_string_append (text, "[Pipeline a]\nLaunch = x ${V40}\n");
  g_assert_null (kr_pipeline_file_parse ("x", text->str, text->len, NULL, NULL, problems));
  g_assert_cmpuint (problems->len, >=, 1);
}

static void
test_bad_values_from_outside (void)
{
  static const char *const values[] = {"a\nb", "\377", "a\033[0m", NULL};

  for (guint i = 0; values[i] != NULL; i++) {
    g_autoptr (GHashTable) overrides = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GPtrArray) problems = kr_problems_new ();

    g_hash_table_insert (overrides, (gpointer) "A", (gpointer)values[i]);
    g_assert_null (kr_pipeline_file_parse ("x", "[Pipeline a]\nLaunch = ${A}\n", 27, overrides,
                                           NULL, problems));
    g_assert_cmpuint (problems->len, ==, 1);
    g_assert_nonnull (strstr (((KrProblem *)problems->pdata[0])->hint, "--set"));
  }
}

static void
test_time_spans (void)
{
  static const struct {
    const char *text;
    gint64 us;
  } fine[] = {
      {"0", 0},
      {"1", 1000000},
      {"250ms", 250000},
      {"1.5s", 1500000},
      {"5min", 300000000},
      {"1min 30s", 90000000},
      {"1min30s", 90000000},
      {"2 h", 7200000000},
      {"1d", 86400000000},
      {"1w", 604800000000},
      {"7us", 7},
      {"7\302\265s", 7},
      {"0.0000019s", 1},
      {"1 hour 1 minute 1 second 1 msec", 3661001000},
      {" 3s ", 3000000},
  };
  static const char *const wrong[] = {"",
                                      " ",
                                      "s",
                                      "-1s",
                                      "1x",
                                      "1.s",
                                      ".5s",
                                      "1..5s",
                                      "1s,",
                                      "1 2 x",
                                      "1e3s",
                                      "infinity",
                                      "999999999999999w",
                                      "99999999999999999999999",
                                      NULL};

  for (guint i = 0; i < G_N_ELEMENTS (fine); i++) {
    gint64 us = -1;

    g_assert_true (kr_parse_time_span (fine[i].text, &us));
    g_assert_cmpint (us, ==, fine[i].us);
  }
  for (guint i = 0; wrong[i] != NULL; i++) {
    gint64 us = -1;

    g_test_message ("%s", wrong[i]);
    g_assert_false (kr_parse_time_span (wrong[i], &us));
    g_assert_cmpint (us, ==, -1);
  }
  for (gint64 us = 1; us < G_GINT64_CONSTANT (1) << 60; us = us * 3 + 1) {
    g_autofree char *text = kr_format_time_span (us);
    gint64 again = -1;

    g_assert_true (kr_parse_time_span (text, &again));
    g_assert_cmpint (again, ==, us);
  }
}

static void
test_sizes (void)
{
  static const struct {
    const char *text;
    guint64 bytes;
  } fine[] = {
      {"0", 0},
      {"1024", 1024},
      {"1K", 1024},
      {"500M", 524288000},
      {"4G", (guint64)4 << 30},
      {"1.5G", (guint64)3 << 29},
      {"2T", (guint64)2 << 40},
      {"10B", 10},
      {"1 M", 1 << 20},
  };
  static const char *const wrong[] = {
      "",     "M", "-1", "1MB", "1m", "1M 1K", "1.M", "16777216T", "99999999999999999999999",
      "0x10", NULL};

  for (guint i = 0; i < G_N_ELEMENTS (fine); i++) {
    guint64 bytes = 7;
    g_autofree char *text = kr_format_size (fine[i].bytes);
    guint64 again = 7;

    g_assert_true (kr_parse_size (fine[i].text, &bytes));
    g_assert_cmpuint (bytes, ==, fine[i].bytes);
    g_assert_true (kr_parse_size (text, &again));
    g_assert_cmpuint (again, ==, bytes);
  }
  for (guint i = 0; wrong[i] != NULL; i++) {
    guint64 bytes = 7;

    g_test_message ("%s", wrong[i]);
    g_assert_false (kr_parse_size (wrong[i], &bytes));
    g_assert_cmpuint (bytes, ==, 7);
  }
}

static void
test_labels (void)
{
  static const char *const cases[][2] = {
      {"a/b/record-srt.pipeline", "record-srt"},
      {"x", "x"},
      {".pipeline", ".pipeline"},
      {"x.pipeline.pipeline", "x.pipeline"},
      {"/etc/cam 1.pipeline", "cam 1"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *label = kr_pipeline_file_label (cases[i][0]);

    g_assert_cmpstr (label, ==, cases[i][1]);
  }
}

static void
test_nearest (void)
{
  static const char *const names[] = {"srtsrc", "srtsink", "filesink", "mpegtsmux", NULL};

  g_assert_cmpstr (kr_nearest ("srtscr", names), ==, "srtsrc");
  g_assert_cmpstr (kr_nearest ("SRTSink", names), ==, "srtsink");
  g_assert_cmpstr (kr_nearest ("mpegts", names), ==, "mpegtsmux");
  g_assert_null (kr_nearest ("srt", names)); /* two begin with it */
  g_assert_null (kr_nearest ("x", names));
  g_assert_null (kr_nearest ("", names));
}

static void
test_variable_names (void)
{
  g_assert_true (kr_is_variable_name ("_"));
  g_assert_true (kr_is_variable_name ("SRT_URI_1"));
  g_assert_false (kr_is_variable_name (""));
  g_assert_false (kr_is_variable_name ("1A"));
  g_assert_false (kr_is_variable_name ("A-B"));
  g_assert_false (kr_is_variable_name ("\303\204"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/pipeline-file/defaults", test_defaults);
  g_test_add_func ("/core/pipeline-file/every-key", test_every_key);
  g_test_add_func ("/core/pipeline-file/continuation", test_continuation);
  g_test_add_func ("/core/pipeline-file/no-newline", test_no_newline_at_the_end);
  g_test_add_func ("/core/pipeline-file/variables", test_variables);
  g_test_add_func ("/core/pipeline-file/overridden", test_overridden_definition_need_not_work);
  g_test_add_func ("/core/pipeline-file/restart-max", test_small_max_follows_first_delay);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *path = g_strdup_printf ("/core/pipeline-file/bad/%02u", i);

    g_test_add_data_func (path, &bad[i], test_bad);
  }
  g_test_add_func ("/core/pipeline-file/all-at-once", test_all_at_once_in_order);
  g_test_add_func ("/core/pipeline-file/problem-text", test_problem_text);
  g_test_add_func ("/core/pipeline-file/binary-and-size", test_binary_and_size);
  g_test_add_func ("/core/pipeline-file/many-problems", test_number_of_problems_is_bounded);
  g_test_add_func ("/core/pipeline-file/long-launch", test_length_of_launch_is_bounded);
  g_test_add_data_func ("/core/pipeline-file/growing/bytes", " x",
                        test_growing_variables_are_bounded);
  g_test_add_data_func ("/core/pipeline-file/growing/nothing", "",
                        test_growing_variables_are_bounded);
  g_test_add_func ("/core/pipeline-file/values-from-outside", test_bad_values_from_outside);
  g_test_add_func ("/core/pipeline-file/labels", test_labels);
  g_test_add_func ("/core/units/time-spans", test_time_spans);
  g_test_add_func ("/core/units/sizes", test_sizes);
  g_test_add_func ("/core/nearest", test_nearest);
  g_test_add_func ("/core/variables/names", test_variable_names);
  return g_test_run ();
}
