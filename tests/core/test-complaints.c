/* keeprolling - tests of core/complaints
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/complaints.h"

#include "tests/support/kr-test.h"

static void
test_repetitions (void)
{
  g_autoptr (KrComplaints) complaints = kr_complaints_new ();
  guint64 unsaid = 99;

  g_assert_true (kr_complaints_take (complaints, "wrong passphrase", 0, &unsaid));
  g_assert_cmpuint (unsaid, ==, 0);
  for (guint i = 1; i <= 1000; i++)
    g_assert_false (kr_complaints_take (complaints, "wrong passphrase", i * 10000, &unsaid));
  /* Others are heard beside it. */
  g_assert_true (kr_complaints_take (complaints, "no route", G_TIME_SPAN_SECOND, &unsaid));
  g_assert_cmpuint (unsaid, ==, 0);
  g_assert_false (kr_complaints_take (complaints, "wrong passphrase",
                                      KR_COMPLAINTS_REPEAT_US - 1, &unsaid));
  g_assert_true (
      kr_complaints_take (complaints, "wrong passphrase", KR_COMPLAINTS_REPEAT_US, &unsaid));
  g_assert_cmpuint (unsaid, ==, 1001);
}

/* Words with a number in them are always new. */
static void
test_ever_new_words (void)
{
  g_autoptr (KrComplaints) complaints = kr_complaints_new ();
  guint64 unsaid;
  guint said = 0;

  for (guint i = 0; i < 6000; i++) {
    g_autofree char *text = g_strdup_printf ("packet %u is late", i);

    said += kr_complaints_take (complaints, text, i * 10000, &unsaid);
  }
  g_assert_cmpuint (said, ==, KR_COMPLAINTS_PER_MINUTE);
  g_assert_true (kr_complaints_take (complaints, "at last", G_TIME_SPAN_MINUTE, &unsaid));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/complaints/repetitions", test_repetitions);
  g_test_add_func ("/core/complaints/ever-new-words", test_ever_new_words);
  return g_test_run ();
}
