/* keeprolling - tests of engine/pipeline-check
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/engine/pipeline-check.h"

#include <string.h>

#include <gst/gst.h>

#include "tests/support/kr-test.h"

#define HEAD "[Pipeline p]\nLaunch =\n  "

/* One launch line in line 3 from column 3 on: the column of each mistake (0 = none further),
 * and parts of the first one's message and hint. */
typedef struct {
  const char *launch;
  guint columns[6];
  const char *message;
  const char *hint;
} Case;

static const Case cases[] = {
    {"fakesrc ! fakesink", {0}, NULL, NULL},
    {"fakesrc name=a  a.src ! fakesink", {0}, NULL, NULL},
    {"tee name=t ! queue ! fakesink t. ! queue ! fakesink fakesrc ! t.", {0}, NULL, NULL},
    {"fakesrc ! ( queue ! identity ) ! fakesink", {0}, NULL, NULL},
    {"fakesrc ! bin.( name=b queue ! identity ) ! fakesink", {0}, NULL, NULL},
    {"fakesrc ! video/x-raw, width=(int)3; audio/x-raw ! fakesink", {0}, NULL, NULL},
    {"fakesrc : fakesink", {0}, NULL, NULL},
    {"fakesrc num_buffers = 3 ! fakesink name = \"b c\"", {0}, NULL, NULL},
    {"filesrc location=a\\ b ! fakesink", {0}, NULL, NULL},
    {"filesrc location=\"a # ! b\" ! queue max-size-time=-1 ! fakesink", {0}, NULL, NULL},
    {"filesrc location=x ! typefind name=t ! fakesink", {0}, NULL, NULL},

    /* elements and properties */
    {"fakesrcc ! fakesink", {3}, "no element 'fakesrcc'", "did you mean fakesrc?"},
    {"fakesrc ! qqq ! zzz ! fakesink", {13, 19}, "no element 'qqq'", "gst-inspect-1.0"},
    {"fakesrc ! nvh264encc ! fakesink", {13}, "'nvh264encc'", "gstreamer1.0-plugins-bad"},
    {"fakesrc num-bufers=3 ! fakesink sink=x",
     {11, 35},
     "fakesrc has no property 'num-bufers'",
     "did you mean num-buffers?"},
    {"fakesrc ! fakesink stats=x",
     {22},
     "'stats' of fakesink can only be read",
     "take it away"},
    {"fakesrc a::b=3 ! fakesink", {11}, "fakesrc has no children", "mixers"},
    {"fakesrc @preset=x ! fakesink", {11}, "fakesrc has no presets", "one by one"},

    {"fakesrc num-buffers=1 num_buffers=2 ! fakesink",
     {25},
     "sets property 'num_buffers' twice",
     "keep one"},
    {"fakesrc name=a name=b ! fakesink", {18}, "property 'name' twice", "keep one"},

    /* values */
    {"fakesrc num-buffers=many ! fakesink",
     {23},
     "'many' is no value for property 'num-buffers'",
     "a number from -1 to 2147483647"},
    {"fakesrc num-buffers=-7 ! fakesink", {23}, "'-7' is out of range", "a number from -1"},
    {"fakesrc ! queue max-size-buffers=-7 ! fakesink", {36}, "'-7' is out of range", "from 0"},
    {"fakesrc filltype=patern ! fakesink",
     {20},
     "'patern' is no value",
     "One of: nothing, zero"},
    {"fakesrc filltype=zeros ! fakesink", {20}, "'zeros' is no value", "did you mean zero?"},
    {"fakesrc ! fakesink sync=perhaps", {27}, "'perhaps' is no value", "true or false"},
    {"fakesrc ! capsfilter caps=???? ! fakesink",
     {29},
     "the value is no value",
     "caps such as"},
    {"udpsrc uri=udp://127.0.0.1:5000 ! fakesink", {0}, NULL, NULL},
    {"udpsrc uri=http://secret ! fakesink", {14}, "the URI is none that udpsrc", "udp://"},
    {"udpsrc uri=127.0.0.1:5000 ! fakesink", {14}, "the URI is none that udpsrc", "udp://"},
    {"uridecodebin uri=rtsp://x ! fakesink", {0}, NULL, NULL},
    {"filesrc location='x' ! fakesink", {20}, "quotes around it", "double quotes"},
    {"filesrc location=\342\200\234x\342\200\235 ! fakesink",
     {20},
     "quotes around it",
     "double quotes"},

    /* form */
    {"fakesrc ! ! fakesink", {13}, "nothing stands before this '!'", "element ! element"},
    {"! fakesrc ! fakesink", {3}, "nothing stands before this '!'", "element ! element"},
    {"fakesrc ! fakesink !", {22}, "nothing follows the '!'", "element ! element"},
    {"fakesrc ! ( queue", {13}, "the '(' is not closed", "')'"},
    {"fakesrc ! queue ) ! fakesink", {19}, "unexpected ')'", ""},
    {"fakesrc ! ( ) ! fakesink", {13}, "the bin is empty", "between"},
    {"fakesrc ! 'video/x-raw,width=3' ! fakesink",
     {13},
     "'video/x-raw' are in quotes",
     "for the shell"},
    {"fakesrc ! video/x-raw,width=3", {13}, "not linked on both sides", "between two '!'"},
    {"fakesrc ! fakesink # remark", {22}, "unexpected '#'", "a line of its own"},
    {"gst-launch-1.0 -e -v fakesrc ! fakesink", {3}, "'gst-launch-1.0'", "first element"},
    {"name=x fakesrc ! fakesink", {3}, "the property 'name'", "behind their element"},
    {"filesrc location=\"x ! fakesink", {20}, "the quote before the value of 'location'", "\""},
    {"fakesrc ! identity .src", {13}, "the pad '.src' is not linked", "'!'"},
    {"tee name=t ! fakesink fakesrc ! .sink t.", {41}, "a pad before it", "behind the dot"},
    {"fakesrc name=a ! b. ! fakesink", {20, 23}, "no element is named 'b'", "name=b"},

    /* links */
    {"fakesrc fakesink", {3, 11}, "the output of fakesrc is not linked", "'!' missing"},
    {"fakesink ! fakesrc", {3, 14}, "fakesink has no output", "last element"},
    {"fakesrc name=a ! fakesink a. ! fakesink",
     {29},
     "output of fakesrc is linked already",
     "tee"},
    {"fakesrc ! fakesink name=a fakesrc ! a.",
     {39},
     "input of fakesink is linked already",
     "muxer"},
    {"tee name=t ! fakesink fakesrc ! tt.", {35}, "no element is named 'tt'", "name=tt"},
    {"tee ! fakesink fakesrc ! tee0.", {28}, "no element is named 'tee0'", "change with each"},
    {"tee name=t ! fakesink fakesrc ! t.snk", {35}, "tee can have no pad 'snk'", "sink"},
    {"fakesrc name=a ! identity name=a ! fakesink", {20}, "two elements are named 'a'", "own"},
    {"identity name=a ! a.", {19}, "identity is linked to itself", "another"},
    {"audiotestsrc ! video/x-raw ! fakesink",
     {18},
     "audiotestsrc cannot give these caps",
     "audio/x-raw"},
    {"audiotestsrc ! audio/x-raw,rate=abc=3 ! fakesink", {18}, "cannot be read", "media/type"},
    {"audiotestsrc ! videoconvert ! fakesink",
     {16},
     "audiotestsrc cannot be linked to videoconv",
     "videoconvert or audioconvert"},
    {"videotestsrc ! mpegtsmux ! fakesink",
     {16},
     "cannot be linked to mpegtsmux",
     "an encoder"},
    {"nosuch://x?passphrase=secret ! fakesink", {3}, "'nosuch:'", "name an element"},
    {"/secret/x ! fakesink", {3}, "a path stands where", "filesrc"},

    /* children and descriptions that are properties */
    {"compositor name=c sink_0::xpos=3 ! fakesink videotestsrc ! c.", {0}, NULL, NULL},
    {"compositor sink_0::xpoz=3 ! fakesink",
     {14},
     "a pad of compositor has no property",
     "did you mean xpos?"},
    {"compositor sink_0::alpha=3 ! fakesink", {28}, "'3' is out of range", "from 0 to 1"},
    {"compositor snk_0::xpos=3 ! fakesink",
     {14},
     "compositor can have no pad 'snk_0'",
     "sink_%u"},
    {"videotestsrc ! fpsdisplaysink video-sink=\"identity ! fakesink\"", {0}, NULL, NULL},
    {"videotestsrc ! fpsdisplaysink video-sink=\"identity ! fakesinc a=1\"",
     {56},
     "no element 'fakesinc'",
     "did you mean fakesink?"},
    {"videotestsrc ! fpsdisplaysink video-sink=\"identity ! fakesink syn=1\"",
     {65},
     "fakesink has no property 'syn'",
     "did you mean sync?"},
    {"videotestsrc ! fpsdisplaysink video-sink=\"filesink location=\\\"a b\\\" x=1\"",
     {71},
     "filesink has no property 'x'",
     "gst-inspect-1.0 filesink"},
    {"videotestsrc ! fpsdisplaysink video-sink=\"identity !\"",
     {54},
     "nothing follows the '!'",
     "element"},
    {"videotestsrc ! fpsdisplaysink video-sink=\"\"",
     {45},
     "no element in it",
     "linked by '!'"},
};

static void
collect (const char *text, GPtrArray *problems)
{
  g_autoptr (KrPipelineFile) file =
      kr_pipeline_file_parse_partly ("x", text, strlen (text), NULL, NULL, problems);

  kr_pipeline_check_file (file, problems);
  kr_problems_sort (problems, 0);
}

static void
check (const char *text, GPtrArray *problems)
{
  collect (text, problems);
  for (guint i = 0; i < problems->len; i++) {
    g_autofree char *line = kr_problem_to_string (problems->pdata[i]);

    g_test_message ("%s", line);
  }
}

static void
test_case (gconstpointer data)
{
  const Case *it = data;
  g_autofree char *text = g_strconcat (HEAD, it->launch, "\n", NULL);
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  guint n = 0;

  g_test_message ("%s", it->launch);
  check (text, problems);
  while (n < G_N_ELEMENTS (it->columns) && it->columns[n] != 0)
    n++;
  g_assert_cmpuint (problems->len, ==, n);
  for (guint i = 0; i < n; i++) {
    const KrProblem *problem = problems->pdata[i];

    g_assert_cmpuint (problem->place.line, ==, 3);
    g_assert_cmpuint (problem->place.column, ==, it->columns[i]);
    g_assert_null (strstr (problem->message, "secret"));
  }
  if (n > 0) {
    g_assert_nonnull (strstr (((KrProblem *)problems->pdata[0])->message, it->message));
    g_assert_nonnull (strstr (((KrProblem *)problems->pdata[0])->hint, it->hint));
  }
}

/* What only real elements refuse is found by building, and still has its place. */
static void
test_found_by_building (void)
{
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  const KrProblem *problem;

  check (HEAD
         "fakesrc ! capsfilter caps=audio/x-raw\n  ! capsfilter caps=video/x-raw ! fakesink\n",
         problems);
  g_assert_cmpuint (problems->len, ==, 1);
  problem = problems->pdata[0];
  g_assert_cmpuint (problem->place.line, ==, 3);
  g_assert_cmpuint (problem->place.column, ==, 13);
  g_assert_nonnull (strstr (problem->message, "could not link capsfilter to capsfilter"));
}

/* A variable that is not set is one mistake; what it would have been is not judged. */
static void
test_unset_variable_is_one_mistake (void)
{
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  check (HEAD "fakesrc num-buffers=${N} ! ${X} ! fakesinc sync=${S} ! ${CAPS} ! fakesink\n",
         problems);
  for (guint i = 0; i < problems->len; i++) {
    const char *message = ((KrProblem *)problems->pdata[i])->message;

    g_assert_true (strstr (message, "is not set") != NULL ||
                   strstr (message, "fakesinc") != NULL);
  }
  g_assert_cmpuint (problems->len, ==, 5); /* N, X, fakesinc, S, CAPS */
}

static void
test_variable_points_to_its_use (void)
{
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  check ("[Variables]\nN = many\n" HEAD "fakesrc num-buffers=${N}\n   ! fakesink\n", problems);
  g_assert_cmpuint (problems->len, ==, 1);
  g_assert_cmpuint (((KrProblem *)problems->pdata[0])->place.line, ==, 5);
  g_assert_cmpuint (((KrProblem *)problems->pdata[0])->place.column, ==, 23);
}

static void
test_several_pipelines (void)
{
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  check ("[Pipeline a]\nLaunch = qqq ! fakesink\n[Pipeline b]\nRestart = x\n"
         "Launch = fakesrc ! zzz\n",
         problems);
  g_assert_cmpuint (problems->len, ==, 3);
  g_assert_cmpuint (((KrProblem *)problems->pdata[0])->place.line, ==, 2);
  g_assert_cmpuint (((KrProblem *)problems->pdata[1])->place.line, ==, 4);
  g_assert_cmpuint (((KrProblem *)problems->pdata[2])->place.line, ==, 5);
}

/* Checking makes elements, but touches nothing outside. */
static void
test_touches_nothing (void)
{
  g_autoptr (KrTestDir) dir = kr_test_dir_new ();
  g_autofree char *text = g_strdup_printf (
      HEAD "fakesrc ! tee name=t ! queue ! filesink location=%s/new t. ! queue ! filesink "
           "location=%s/no/such/folder/x\n[Pipeline q]\nLaunch = filesrc location=%s/missing ! "
           "tcpserversink port=1\n[Pipeline r]\nLaunch = udpsrc port=1 ! fakesink\n",
      dir, dir, dir);
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autofree char *list = NULL;

  check (text, problems);
  g_assert_cmpuint (problems->len, ==, 0);
  list = kr_test_dir_list (dir);
  g_assert_cmpstr (list, ==, "");
}

static void
test_number_of_problems_is_bounded (void)
{
  g_autoptr (GString) text = g_string_new (HEAD);
  g_autoptr (GPtrArray) problems = kr_problems_new ();

  for (guint i = 0; i < 5000; i++)
    g_string_append (text, "! ");
  collect (text->str, problems);
  g_assert_cmpuint (problems->len, ==, KR_PIPELINE_FILE_MAX_PROBLEMS);
}

static void
test_nested_without_end (void)
{
  g_autoptr (GString) launch = g_string_new ("fakesink");
  g_autoptr (GPtrArray) problems = kr_problems_new ();
  g_autofree char *text = NULL;

  for (guint i = 0; i < 12 && launch->len < 30000; i++) {
    g_autofree char *escaped = g_strescape (launch->str, NULL);

    g_string_printf (launch, "fpsdisplaysink video-sink=\"%s\"", escaped);
  }
  text = g_strconcat (HEAD "videotestsrc ! ", launch->str, "\n", NULL);
  check (text, problems);
  g_assert_cmpuint (problems->len, >=, 1);
}

/* GStreamer's own reader is the reference: what we find no mistake in, it must be able to read,
 * and without a warning (which would end the test). The reverse cannot be asked of it: it
 * crashes on some of what is wrong. */
static void
test_agrees_with_gstreamer (void)
{
  static const char *const words[] = {
      "fakesrc",
      "fakesink",
      "identity",
      "tee",
      "name=a",
      "name=b",
      "a.",
      "b.src",
      "a.src_0,src",
      "!",
      "!",
      "!",
      "!",
      ":",
      "(",
      ")",
      "bin.(",
      "( name=c",
      ".src",
      "! audio/x-raw ; video/x-raw, width=3 !",
      "! video/x-raw !",
      ".sink,x",
      ",",
      "silent=true",
      "\"x\"",
      "=",
      "@preset=x",
      "'",
      ";",
      ".",
      "video/x-raw",
      "a",
  };
  GRand *random = g_rand_new_with_seed ((guint32)g_test_rand_int ());
  guint fine = 0;

  for (guint i = 0; i < 5000; i++) {
    g_autoptr (GString) text = g_string_new (HEAD);
    g_autoptr (GPtrArray) problems = kr_problems_new ();
    guint n = (guint)g_rand_int_range (random, 1, 8);

    for (guint k = 0; k < n; k++)
      g_string_append_printf (text, "%s%s ", k % 2 == 1 && g_rand_boolean (random) ? "! " : "",
                              words[g_rand_int_range (random, 0, G_N_ELEMENTS (words))]);
    collect (text->str, problems);
    fine += problems->len == 0;
    for (guint k = 0; k < problems->len; k++) {
      const char *message = ((KrProblem *)problems->pdata[k])->message;

      if (strstr (message, "syntax") != NULL || strstr (message, "ignoring") != NULL ||
          strstr (message, "link has no") != NULL)
        g_error ("GStreamer reads it differently: %s: %s", text->str, message);
    }
  }
  g_rand_free (random);
  g_assert_cmpuint (fine, >, 20);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gst_init (NULL, NULL);
  kr_test_deadline (120);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/engine/pipeline-check/case/%02u", i);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/engine/pipeline-check/by-building", test_found_by_building);
  g_test_add_func ("/engine/pipeline-check/unset-variable", test_unset_variable_is_one_mistake);
  g_test_add_func ("/engine/pipeline-check/variable-place", test_variable_points_to_its_use);
  g_test_add_func ("/engine/pipeline-check/several", test_several_pipelines);
  g_test_add_func ("/engine/pipeline-check/touches-nothing", test_touches_nothing);
  g_test_add_func ("/engine/pipeline-check/agrees", test_agrees_with_gstreamer);
  g_test_add_func ("/engine/pipeline-check/many-problems", test_number_of_problems_is_bounded);
  g_test_add_func ("/engine/pipeline-check/nested", test_nested_without_end);
  return g_test_run ();
}
