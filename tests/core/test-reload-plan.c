/* keeprolling - tests of core/reload-plan
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/reload-plan.h"

#include "launcher/core/exit-code.h"
#include "tests/support/kr-test.h"

static const KrReloadRunning running[] = {
    {"same", "a", KR_SUPERVISOR_RUNNING},      {"changed", "a", KR_SUPERVISOR_RUNNING},
    {"stopped", "a", KR_SUPERVISOR_STOPPED},   {"gave-up", "a", KR_SUPERVISOR_GAVE_UP},
    {"mended", "a", KR_SUPERVISOR_GAVE_UP},    {"gone", "a", KR_SUPERVISOR_RUNNING},
    {"stopping", "a", KR_SUPERVISOR_STOPPING},
};

static const KrReloadFound found[] = {
    {"/d/same.pipeline", "same", "a"},         {"/d/changed.pipeline", "changed", "b"},
    {"/d/stopped.pipeline", "stopped", "b"},   {"/d/gave-up.pipeline", "gave-up", "a"},
    {"/d/mended.pipeline", "mended", "b"},     {"/d/new.pipeline", "new", "a"},
    {"/d/stopping.pipeline", "stopping", "a"},
};

/* "changed:hand-over new:add" */
static void
assert_plan (const char *const *words, gboolean all, const char *expected)
{
  static const char *const names[] = {[KR_RELOAD_KEEP] = "keep",
                                      [KR_RELOAD_LEAVE] = "leave",
                                      [KR_RELOAD_HAND_OVER] = "hand-over",
                                      [KR_RELOAD_ADD] = "add",
                                      [KR_RELOAD_REMOVE] = "remove"};
  const KrReloadWish wish = {words, all};
  const char *unknown;
  g_autoptr (GArray) steps = kr_reload_plan (&wish, found, G_N_ELEMENTS (found), running,
                                             G_N_ELEMENTS (running), &unknown);
  g_autoptr (GString) text = g_string_new (NULL);

  g_assert_null (unknown);
  for (guint i = 0; i < steps->len; i++) {
    const KrReloadStep *step = &g_array_index (steps, KrReloadStep, i);

    g_string_append_printf (text, "%s%s:%s", i > 0 ? " " : "", step->name, names[step->action]);
    g_assert_nonnull (step->cause);
    if (step->action != KR_RELOAD_REMOVE)
      g_assert_cmpstr (found[step->found].name, ==, step->name);
  }
  g_assert_cmpstr (text->str, ==, expected);
}

static void
test_what_has_changed (void)
{
  assert_plan (NULL, FALSE,
               "changed:hand-over stopped:leave mended:hand-over new:add stopping:leave "
               "gone:remove");
}

static void
test_all (void)
{
  assert_plan (NULL, TRUE,
               "same:hand-over changed:hand-over stopped:leave gave-up:hand-over "
               "mended:hand-over new:add stopping:leave gone:remove");
}

static void
test_named (void)
{
  assert_plan ((const char *const[]){"same", NULL}, FALSE, "same:keep");
  assert_plan ((const char *const[]){"same", NULL}, TRUE, "same:hand-over");
  assert_plan ((const char *const[]){"/d/changed.pipeline", NULL}, FALSE, "changed:hand-over");
  assert_plan ((const char *const[]){"elsewhere/changed.pipeline", "new", NULL}, FALSE,
               "changed:hand-over new:add");
  /* Whoever names it wants it to run. */
  assert_plan ((const char *const[]){"stopped", "gave-up", NULL}, FALSE,
               "stopped:hand-over gave-up:hand-over");
  assert_plan ((const char *const[]){"gone", NULL}, FALSE, "gone:remove");
}

static void
test_unknown (void)
{
  const KrReloadWish wish = {(const char *const[]){"same", "nobody", NULL}, FALSE};
  const char *unknown;
  g_autoptr (GArray) steps = kr_reload_plan (&wish, found, G_N_ELEMENTS (found), running,
                                             G_N_ELEMENTS (running), &unknown);

  g_assert_cmpstr (unknown, ==, "nobody");
  g_assert_cmpuint (steps->len, ==, 1);
}

static void
test_codes (void)
{
  g_assert_cmpint (kr_reload_exit_code (KR_HANDOVER_COMPLETED), ==, KR_EXIT_OK);
  g_assert_cmpint (kr_reload_exit_code (KR_HANDOVER_REFUSED), ==, KR_EXIT_DATA);
  g_assert_cmpint (kr_reload_exit_code (KR_HANDOVER_ROLLED_BACK), ==, KR_EXIT_TEMP_FAIL);
  g_assert_cmpint (kr_reload_exit_code (KR_HANDOVER_INTERRUPTED), ==, KR_EXIT_TEMP_FAIL);
  g_assert_cmpint (kr_reload_exit_code (KR_HANDOVER_NOT_RECORDING), ==, KR_EXIT_UNAVAILABLE);
  g_assert_cmpint (kr_reload_worse_code (0, 75), ==, 75);
  g_assert_cmpint (kr_reload_worse_code (75, 69), ==, 75);
  g_assert_cmpint (kr_reload_worse_code (69, 65), ==, 65);
  g_assert_cmpint (kr_reload_worse_code (0, 0), ==, 0);
  g_assert_cmpint (kr_reload_worse_code (3, 0), ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/core/reload-plan/what-has-changed", test_what_has_changed);
  g_test_add_func ("/core/reload-plan/all", test_all);
  g_test_add_func ("/core/reload-plan/named", test_named);
  g_test_add_func ("/core/reload-plan/unknown", test_unknown);
  g_test_add_func ("/core/reload-plan/codes", test_codes);
  return g_test_run ();
}
