/* keeprolling - the pipeline files and --set values of a command line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/pipeline-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gio/gio.h>

#include "launcher/core/nearest.h"
#include "launcher/core/pipeline-file.h"
#include "launcher/core/variables.h"

#define SUFFIX ".pipeline"

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static int
collect_folder (const char *path, GPtrArray *paths)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &error);
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  const char *name;

  if (dir == NULL)
    return kr_command_error (KR_EXIT_NO_INPUT,
                             "the user who runs keeprolling must be able to "
                             "read it",
                             "%s", error->message);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, SUFFIX) && name[0] != '.')
      g_ptr_array_add (found, g_build_filename (path, name, NULL));
  if (found->len == 0)
    return kr_command_error (KR_EXIT_NO_INPUT, "pipeline files end in " SUFFIX,
                             "there is no pipeline file in the folder '%s'", path);
  g_ptr_array_sort (found, compare_strings);
  g_ptr_array_extend_and_steal (paths, g_steal_pointer (&found));
  return KR_EXIT_OK;
}

static int
collect_one (const char *path, GPtrArray *paths)
{
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return collect_folder (path, paths);
  if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_autofree char *with_suffix = g_strconcat (path, SUFFIX, NULL);
    g_autofree char *hint = g_file_test (with_suffix, G_FILE_TEST_EXISTS)
                                ? g_strdup_printf ("did you mean %s?", with_suffix)
                                : g_strdup ("give the path of a pipeline file, or of a folder "
                                            "with such files");

    return kr_command_error (KR_EXIT_NO_INPUT, hint, "there is no file '%s'", path);
  }
  g_ptr_array_add (paths, g_strdup (path));
  return KR_EXIT_OK;
}

/* A file given twice, by itself and by its folder for example, is meant once. */
static void
remove_repeated (GPtrArray *paths)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, free, NULL);

  for (guint i = 0; i < paths->len;) {
    char *real = realpath (paths->pdata[i], NULL);

    if (real != NULL && !g_hash_table_add (seen, real))
      g_ptr_array_remove_index (paths, i);
    else
      i++;
  }
}

static int
check_labels (GPtrArray *paths)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  int code = KR_EXIT_OK;

  for (guint i = 0; i < paths->len; i++) {
    char *label = kr_pipeline_file_label (paths->pdata[i]);
    const char *first = g_hash_table_lookup (seen, label);

    if (first != NULL) {
      code = kr_command_error (
          KR_EXIT_CONFIG, "rename one: it is what status and metrics call the file",
          "two files are called '%s': %s and %s", label, first, (char *)paths->pdata[i]);
      g_free (label);
    } else {
      g_hash_table_insert (seen, label, paths->pdata[i]);
    }
  }
  return code;
}

int
kr_pipeline_files_collect (char **arguments, GPtrArray *paths)
{
  int code = KR_EXIT_OK;

  if (arguments == NULL || arguments[0] == NULL)
    return kr_command_error (KR_EXIT_USAGE,
                             "give the path of a pipeline file, or of a folder "
                             "with such files",
                             "no pipeline file given");
  for (guint i = 0; arguments[i] != NULL; i++) {
    int one = collect_one (arguments[i], paths);

    if (code == KR_EXIT_OK)
      code = one;
  }
  remove_repeated (paths);
  return code != KR_EXIT_OK ? code : check_labels (paths);
}

static gboolean
fail (GError **error, int saved_errno, const char *path)
{
  g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (saved_errno),
               "cannot read '%s': %s", path, g_strerror (saved_errno));
  return FALSE;
}

static gboolean
read_bounded (int fd, const char *path, GByteArray *bytes, GError **error)
{
  guint8 block[16384];
  struct stat st;

  if (fstat (fd, &st) == 0 && S_ISDIR (st.st_mode))
    return fail (error, EISDIR, path);
  while (bytes->len <= KR_PIPELINE_FILE_MAX_BYTES) {
    gssize n =
        read (fd, block, MIN (sizeof block, KR_PIPELINE_FILE_MAX_BYTES + 1 - bytes->len));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (error, errno, path);
    if (n == 0)
      break;
    g_byte_array_append (bytes, block, (guint)n);
  }
  return TRUE;
}

char *
kr_pipeline_file_read (const char *path, gsize *ret_length, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean fine;

  if (fd < 0) {
    fail (error, errno, path);
    return NULL;
  }
  fine = read_bounded (fd, path, bytes, error);
  close (fd);
  if (!fine)
    return NULL;
  *ret_length = bytes->len;
  g_byte_array_append (bytes, (const guint8 *)"", 1);
  return (char *)g_byte_array_free (g_steal_pointer (&bytes), FALSE);
}

GHashTable *
kr_set_values_parse (char **set)
{
  g_autoptr (GHashTable) values =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  gboolean fine = TRUE;

  for (guint i = 0; set != NULL && set[i] != NULL; i++) {
    const char *equals = strchr (set[i], '=');
    g_autofree char *name = g_strndup (set[i], strcspn (set[i], "="));

    if (equals == NULL || !kr_is_variable_name (name)) {
      kr_command_error (
          KR_EXIT_CONFIG,
          "it is written --set NAME=VALUE; a name has letters, digits and '_', no "
          "digit first",
          equals == NULL ? "--set %s has no '='" : "--set: '%s' is no name for a variable",
          name);
      fine = FALSE;
      continue;
    }
    /* It goes on to the worker as JSON, and into a launch line. */
    if (!g_utf8_validate (equals + 1, -1, NULL)) {
      kr_command_error (KR_EXIT_CONFIG, "give it in UTF-8", "--set %s: the value is not UTF-8",
                        name);
      fine = FALSE;
      continue;
    }
    g_hash_table_replace (values, g_steal_pointer (&name), g_strdup (equals + 1));
  }
  return fine ? g_steal_pointer (&values) : NULL;
}

gboolean
kr_set_values_check (GHashTable *values, GHashTable *known)
{
  g_autofree gpointer *names = g_hash_table_get_keys_as_array (known, NULL);
  g_autoptr (GList) given = g_list_sort (g_hash_table_get_keys (values), (GCompareFunc)strcmp);
  gboolean fine = TRUE;

  for (GList *at = given; at != NULL; at = at->next) {
    g_autofree char *hint = NULL;

    if (g_hash_table_contains (known, at->data))
      continue;
    hint = kr_nearest_hint (at->data, (const char *const *)names,
                            "a file uses a variable as ${%s}", (char *)at->data);
    kr_command_error (KR_EXIT_CONFIG, hint, "--set %s: no file uses this variable",
                      (char *)at->data);
    fine = FALSE;
  }
  return fine;
}
