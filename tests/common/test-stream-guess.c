/* keeprolling - tests of common/stream-guess
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/stream-guess.h"

#include <string.h>

#include "tests/support/kr-test.h"

static void
assert_guess (const char *head, gsize size, const char *word)
{
  const char *guess = kr_stream_guess ((const guint8 *)head, size);

  if (word == NULL)
    g_assert_cmpstr (guess, ==, NULL);
  else if (guess == NULL || strstr (guess, word) == NULL)
    g_error ("%s instead of %s", guess != NULL ? guess : "nothing", word);
}

#define GUESS(head, word) assert_guess (head, sizeof head - 1, word)

static void
test_known (void)
{
  GUESS ("FLV\x01\x05\x00\x00\x00\x09", "FLV");
  GUESS ("\x00\x00\x00\x20"
         "ftypisom",
         "MP4");
  GUESS ("\x1a\x45\xdf\xa3\x9f", "Matroska");
  GUESS ("\x00\x00\x00\x01\x67\x64", "H.264");
  GUESS ("\x00\x00\x01\xba\x44", "program stream");
  GUESS ("HTTP/1.1 404 Not Found", "HTTP");
  GUESS ("<html>", "text");
  GUESS ("\x00\x00\x00\x00\x00\x00\x00\x00", "zeros");
}

static void
test_unknown (void)
{
  GUESS ("", NULL);
  GUESS ("a", NULL);
  GUESS ("FL", NULL);
  GUESS ("\x8c\x13\x99\x04\xe5", NULL);
  /* Nothing behind the end is looked at. */
  assert_guess ("\x00\x00\x00\x20"
                "ftyp",
                7, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (30);
  g_test_add_func ("/common/stream-guess/known", test_known);
  g_test_add_func ("/common/stream-guess/unknown", test_unknown);
  return g_test_run ();
}
