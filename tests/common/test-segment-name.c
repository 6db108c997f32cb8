/* keeprolling - tests of common/segment-name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/segment-name.h"

#include <string.h>

#include "tests/support/kr-test.h"

/* 2026-11-20T12:34:56Z */
#define THEN_US (G_GINT64_CONSTANT (1795178096) * G_USEC_PER_SEC)

static const KrSegmentFields fields = {
    .utc_us = THEN_US, .seq = 7, .instance = "abc-1", .hostname = "cam/host one"};

static void
test_expand (void)
{
  static const struct {
    const char *location, *path;
  } cases[] = {
      {"a.ts", "a.ts"},
      {"%Y%m%dT%H%M%SZ.ts", "20261120T123456Z.ts"},
      {"/r/%Y-%m-%d/cam1_{instance}_{seq}.ts", "/r/2026-11-20/cam1_abc-1_000007.ts"},
      {"{hostname}/x.ts", "cam-host-one/x.ts"},
      {"100%%-{{x}}.ts", "100%-{x}.ts"},
      {"%F_%s_%j.ts", "2026-11-20_1795178096_324.ts"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (KrSegmentTemplate) tmpl =
        kr_segment_template_new (cases[i].location, FALSE, &error);
    g_autofree char *path = NULL;

    g_assert_no_error (error);
    path = kr_segment_template_expand (tmpl, &fields, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (path, ==, cases[i].path);
  }
}

static void
test_local_time (void)
{
  g_autoptr (KrSegmentTemplate) tmpl = NULL;
  g_autofree char *path = NULL;

  g_setenv ("TZ", "XYZ-5", TRUE);
  tmpl = kr_segment_template_new ("%H-%Z-%z.ts", TRUE, NULL);
  path = kr_segment_template_expand (tmpl, &fields, NULL);
  g_assert_cmpstr (path, ==, "17-XYZ-+0500.ts");
  g_unsetenv ("TZ");
}

static void
test_bad_locations (void)
{
  static const struct {
    const char *location;
    KrSegmentNameError code;
    const char *says;
  } cases[] = {
      {"", KR_SEGMENT_NAME_ERROR_LENGTH, "empty"},
      {"a%Q.ts", KR_SEGMENT_NAME_ERROR_SYNTAX, "\"%Q\" at character 2"},
      {"a%", KR_SEGMENT_NAME_ERROR_SYNTAX, "\"%\" at character 2"},
      {"part%05d.ts", KR_SEGMENT_NAME_ERROR_SYNTAX, "write {seq}"},
      {"a{sequence}.ts", KR_SEGMENT_NAME_ERROR_SYNTAX, "\"{sequence}\" at character 2"},
      {"a}.ts", KR_SEGMENT_NAME_ERROR_SYNTAX, "\"}\" at character 2"},
      {"a{.ts", KR_SEGMENT_NAME_ERROR_SYNTAX, "\"{\" at character 2"},
      {"%D.ts", KR_SEGMENT_NAME_ERROR_SYNTAX, "\"%D\""},
      {"folder/", KR_SEGMENT_NAME_ERROR_RESERVED, "names a folder"},
      {"folder/..", KR_SEGMENT_NAME_ERROR_RESERVED, "names a folder"},
      {"a.recording.ts", KR_SEGMENT_NAME_ERROR_RESERVED, "\"a.ts\""},
      {"a.recording", KR_SEGMENT_NAME_ERROR_RESERVED, "temporary"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (kr_segment_template_new (cases[i].location, FALSE, &error));
    g_assert_error (error, KR_SEGMENT_NAME_ERROR, (int)cases[i].code);
    if (strstr (error->message, cases[i].says) == NULL)
      g_error ("\"%s\": %s", cases[i].location, error->message);
  }
}

static void
test_long_names (void)
{
  g_autofree char *name = g_strnfill (250, 'x');
  g_autofree char *path = g_strnfill (5000, 'x');
  g_autoptr (KrSegmentTemplate) tmpl = kr_segment_template_new (name, FALSE, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (kr_segment_template_expand (tmpl, &fields, &error));
  g_assert_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_LENGTH);
  g_clear_error (&error);
  g_assert_null (kr_segment_template_new (path, FALSE, &error));
  g_assert_error (error, KR_SEGMENT_NAME_ERROR, KR_SEGMENT_NAME_ERROR_LENGTH);
}

static void
test_temporary_names (void)
{
  static const char *const pairs[][2] = {
      {"a.ts", "a.recording.ts"},           {"d.x/a", "d.x/a.recording"},
      {"d/.hidden", "d/.hidden.recording"}, {".hidden.ts", ".hidden.recording.ts"},
      {"a.tar.gz", "a.tar.recording.gz"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_autofree char *temp = kr_segment_temp_path (pairs[i][0]);
    g_autofree char *final_path = kr_segment_final_path (temp);

    g_assert_cmpstr (temp, ==, pairs[i][1]);
    g_assert_cmpstr (final_path, ==, pairs[i][0]);
    g_assert_null (kr_segment_final_path (pairs[i][0]));
  }
  g_assert_null (kr_segment_final_path ("d/.recording"));
  g_assert_null (kr_segment_final_path (".recording.ts"));
  g_assert_null (kr_segment_final_path ("recording.ts"));
  g_assert_null (kr_segment_final_path ("a.recording.d/b.ts"));
}

static void
test_other_names (void)
{
  g_autofree char *numbered = kr_segment_numbered_path ("d.e/a.ts", 2);
  g_autofree char *plain = kr_segment_numbered_path ("d.e/a", 13);
  g_autofree char *quarantine = kr_segment_quarantine_path ("a.b.ts");

  g_assert_cmpstr (numbered, ==, "d.e/a-2.ts");
  g_assert_cmpstr (plain, ==, "d.e/a-13");
  g_assert_cmpstr (quarantine, ==, "a.b.quarantine.ts");
}

static void
test_root (void)
{
  static const struct {
    const char *location, *root;
    guint depth;
  } cases[] = {
      {"a.ts", ".", 1},         {"/a.ts", "/", 1},
      {"/r/s/a.ts", "/r/s", 1}, {"r//s/%Y/x/{seq}.ts", "r/s", 3},
      {"../%Y.ts", "..", 1},    {"/%Y/a.ts", "/", 2},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (KrSegmentTemplate) tmpl =
        kr_segment_template_new (cases[i].location, FALSE, NULL);

    g_assert_cmpstr (kr_segment_template_root (tmpl), ==, cases[i].root);
    g_assert_cmpuint (kr_segment_template_depth (tmpl), ==, cases[i].depth);
  }
}

static void
test_matches (void)
{
  g_autoptr (KrSegmentTemplate) tmpl = kr_segment_template_new (
      "/r/%Y-%m-%d/cam1.x_%Y%m%dT%H%M%SZ_{instance}_{seq}.ts", FALSE, NULL);
  g_autoptr (KrSegmentTemplate) host = kr_segment_template_new ("{hostname}-a.ts", FALSE, NULL);

  g_assert_true (kr_segment_template_matches (tmpl, 0, "2026-11-20", NULL));
  g_assert_false (kr_segment_template_matches (tmpl, 0, "2026-11-2", NULL));
  g_assert_false (kr_segment_template_matches (tmpl, 0, "x2026-11-20", NULL));
  g_assert_true (
      kr_segment_template_matches (tmpl, 1, "cam1.x_20261120T123456Z_a-b_000001.ts", NULL));
  g_assert_true (
      kr_segment_template_matches (tmpl, 1, "cam1.x_20261120T123456Z_a-b_000001-12.ts", NULL));
  g_assert_false (
      kr_segment_template_matches (tmpl, 1, "cam1xx_20261120T123456Z_a-b_000001.ts", NULL));
  g_assert_false (
      kr_segment_template_matches (tmpl, 1, "cam2.x_20261120T123456Z_a-b_000001.ts", NULL));
  g_assert_false (
      kr_segment_template_matches (tmpl, 1, "cam1.x_20261120T123456Z_A_000001.ts", NULL));
  g_assert_false (
      kr_segment_template_matches (tmpl, 1, "cam1.x_20261120T123456Z_a-b_000001.ts\n", NULL));
  g_assert_false (kr_segment_template_matches (tmpl, 2, "a.ts", NULL));
  g_assert_true (kr_segment_template_matches (host, 0, "one-a.ts", NULL));
  g_assert_true (kr_segment_template_matches (host, 0, "one-a.ts", "one"));
  g_assert_false (kr_segment_template_matches (host, 0, "two-a.ts", "one"));
}

/* Whatever a template makes, it recognises. */
static void
test_expands_to_what_matches (void)
{
  g_autoptr (KrSegmentTemplate) tmpl =
      kr_segment_template_new ("%Y%m%d%H%M%S%F%T%R%s%j%y%C%G%g%V%U%W%u%w%I%p%a%A%b%B%z%Z{"
                               "instance}{seq}{hostname}[.*+\xca(",
                               FALSE, NULL);

  for (guint i = 0; i < 2000; i++) {
    g_autofree char *instance = kr_instance_id_new (THEN_US + i);
    KrSegmentFields some = {.utc_us = (gint64)i * 5000000 * G_USEC_PER_SEC / 3,
                            .seq = i * 2000000,
                            .instance = instance,
                            .hostname = "a b/c\xff"};
    g_autofree char *path = kr_segment_template_expand (tmpl, &some, NULL);

    g_assert_nonnull (path);
    if (!kr_segment_template_matches (tmpl, 0, path, "a b/c\xff"))
      g_error ("%s", path);
  }
}

static void
test_instance (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *early = kr_instance_id_new (THEN_US);
  g_autofree char *late = kr_instance_id_new (THEN_US + 1000);

  g_assert_cmpstr (early, <, late);
  /* Of 2,000 ids in one millisecond two are alike once in a thousand runs. */
  for (guint i = 0; i < 50; i++) {
    char *id = kr_instance_id_new (THEN_US);

    g_assert_true (kr_instance_id_check (id, NULL));
    g_assert_true (g_hash_table_add (seen, id));
  }
  g_assert_true (kr_instance_id_check ("a", NULL));
  g_assert_true (kr_instance_id_check ("12345678901234567890", NULL));
  g_assert_false (kr_instance_id_check ("123456789012345678901", NULL));
  g_assert_false (kr_instance_id_check ("", NULL));
  g_assert_false (kr_instance_id_check ("A", NULL));
  g_assert_false (kr_instance_id_check ("a/b", NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (60);
  g_test_add_func ("/common/segment-name/expand", test_expand);
  g_test_add_func ("/common/segment-name/local-time", test_local_time);
  g_test_add_func ("/common/segment-name/bad-locations", test_bad_locations);
  g_test_add_func ("/common/segment-name/long-names", test_long_names);
  g_test_add_func ("/common/segment-name/temporary-names", test_temporary_names);
  g_test_add_func ("/common/segment-name/other-names", test_other_names);
  g_test_add_func ("/common/segment-name/root", test_root);
  g_test_add_func ("/common/segment-name/matches", test_matches);
  g_test_add_func ("/common/segment-name/expands-to-what-matches",
                   test_expands_to_what_matches);
  g_test_add_func ("/common/segment-name/instance", test_instance);
  return g_test_run ();
}
