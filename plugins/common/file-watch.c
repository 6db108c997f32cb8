/* keeprolling - how large is the file that somebody else writes?
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/file-watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/common/segment-name.h"

/* A scan of a large folder may take at most one part in SCAN_SHARE of the time between scans; a
 * folder is large when its scan takes longer than this. */
#define SCAN_SHARE   10
#define LONG_SCAN_US 5000
/* A file system may round the time of a modification down by up to 2 s (FAT). */
#define MTIME_SLACK_NS (2 * G_GINT64_CONSTANT (1000000000))

typedef enum { WATCH_PATH, WATCH_PATTERN, WATCH_FOLLOW } WatchKind;

struct _KrFileWatch {
  WatchKind kind;
  char *path; /* of the file; for a pattern NULL until one was found */

  /* What was seen last. */
  KrGrowthFile file;
  dev_t device;
  ino_t inode;
  guint64 bytes;
  gint64 mtime_ns;
  guint64 generation;

  /* pattern */
  char *folder, *glob, *pattern;
  dev_t left_device; /* the file watched before this one */
  ino_t left_inode;
  struct timespec folder_mtime;
  gint64 looked_utc_ns, scanned_us, scan_took_us;

  /* follow: an O_PATH descriptor of the announced file, -1 until it could be opened */
  int fd;
  guint strangers; /* WATCH_FOLLOW: looks in a row that found another file at the path */
};

static KrFileWatch *
watch_new (WatchKind kind)
{
  KrFileWatch *watch = g_new0 (KrFileWatch, 1);

  watch->kind = kind;
  watch->fd = -1;
  watch->file = KR_GROWTH_FILE_ABSENT;
  return watch;
}

KrFileWatch *
kr_file_watch_new_path (const char *path)
{
  KrFileWatch *watch = watch_new (WATCH_PATH);

  watch->path = g_strdup (path);
  return watch;
}

KrFileWatch *
kr_file_watch_new_pattern (const char *pattern)
{
  KrFileWatch *watch = watch_new (WATCH_PATTERN);

  watch->pattern = g_strdup (pattern);
  watch->folder = g_path_get_dirname (pattern);
  watch->glob = g_path_get_basename (pattern);
  return watch;
}

KrFileWatch *
kr_file_watch_new_follow (void)
{
  return watch_new (WATCH_FOLLOW);
}

static void
close_followed (KrFileWatch *watch)
{
  if (watch->fd >= 0)
    close (watch->fd);
  watch->fd = -1;
}

void
kr_file_watch_free (KrFileWatch *watch)
{
  if (watch == NULL)
    return;
  close_followed (watch);
  g_free (watch->path);
  g_free (watch->folder);
  g_free (watch->glob);
  g_free (watch->pattern);
  g_free (watch);
}

const char *
kr_file_watch_path (const KrFileWatch *watch)
{
  return watch->path != NULL ? watch->path : watch->pattern;
}

static gint64
timespec_ns (const struct timespec *time)
{
  return (gint64)time->tv_sec * G_GINT64_CONSTANT (1000000000) + time->tv_nsec;
}

static void
see (KrFileWatch *watch, const struct stat *st)
{
  watch->file = S_ISREG (st->st_mode) ? KR_GROWTH_FILE_PRESENT : KR_GROWTH_FILE_UNWATCHED;
  watch->device = st->st_dev;
  watch->inode = st->st_ino;
  watch->mtime_ns = timespec_ns (&st->st_mtim);
  watch->bytes = S_ISREG (st->st_mode) ? (guint64)st->st_size : 0;
}

/* Whether errno says that there is no such file, rather than that we cannot tell. */
static gboolean
is_absent (void)
{
  return errno == ENOENT || errno == ENOTDIR;
}

static void
look_at_path (KrFileWatch *watch)
{
  struct stat st;

  if (stat (watch->path, &st) == 0)
    see (watch, &st);
  else if (is_absent ())
    watch->file = KR_GROWTH_FILE_ABSENT;
}

/* --- pattern ---------------------------------------------------------------------------- */

static gboolean
is_watched (const KrFileWatch *watch, const struct stat *st)
{
  return watch->path != NULL && watch->device == st->st_dev && watch->inode == st->st_ino;
}

/* The file whose last modification is nearest to now is the one that is written. Not the
 * latest: the clock may have been set back meanwhile. */
static gboolean
find_newest (KrFileWatch *watch, gint64 now_ns, char **ret_name, struct stat *ret_st)
{
  gint64 best = G_MAXINT64;
  DIR *dir = opendir (watch->folder);
  struct dirent *entry;

  if (dir == NULL)
    return FALSE;
  while ((entry = readdir (dir)) != NULL) {
    struct stat st;
    gint64 distance;

    if (fnmatch (watch->glob, entry->d_name, FNM_PERIOD) != 0 ||
        fstatat (dirfd (dir), entry->d_name, &st, 0) != 0 || !S_ISREG (st.st_mode))
      continue;
    /* Two files may be open for a moment around a rotation: never back to the one left. */
    if (st.st_dev == watch->left_device && st.st_ino == watch->left_inode)
      continue;
    distance = ABS (now_ns - timespec_ns (&st.st_mtim));
    if (distance > best || (distance == best && is_watched (watch, ret_st)))
      continue;
    best = distance;
    g_free (*ret_name);
    *ret_name = g_strdup (entry->d_name);
    *ret_st = st;
  }
  closedir (dir);
  return *ret_name != NULL;
}

static void
switch_to (KrFileWatch *watch, const char *name, const struct stat *st)
{
  if (watch->path != NULL) {
    watch->left_device = watch->device;
    watch->left_inode = watch->inode;
  }
  g_free (watch->path);
  watch->path = g_build_filename (watch->folder, name, NULL);
  watch->generation++;
  see (watch, st);
}

/* Whether a scan of the folder can tell anything new, and may cost its time. */
static gboolean
scan_is_due (KrFileWatch *watch, gboolean grew, gint64 now_us)
{
  gboolean changed = FALSE;
  struct stat st;

  if (watch->scan_took_us > LONG_SCAN_US &&
      now_us - watch->scanned_us < watch->scan_took_us * SCAN_SHARE)
    return FALSE;
  if (stat (watch->folder, &st) == 0) {
    changed = memcmp (&st.st_mtim, &watch->folder_mtime, sizeof st.st_mtim) != 0;
    watch->folder_mtime = st.st_mtim;
  }
  /* A ring of files that are written over and over leaves the folder as it is. */
  return changed || !grew;
}

/* Whether the file that was found has been written since the last look, and after the one that
 * is watched. What is left when that one was removed does not take its place. */
static gboolean
is_successor (const KrFileWatch *watch, const struct stat *st, gint64 now_ns)
{
  const gint64 since_look = now_ns - watch->looked_utc_ns;
  const gint64 mtime_ns = timespec_ns (&st->st_mtim);

  if (watch->path == NULL)
    return TRUE;
  if (is_watched (watch, st) || ABS (now_ns - mtime_ns) > ABS (since_look) + MTIME_SLACK_NS)
    return FALSE;
  return mtime_ns > watch->mtime_ns || since_look < 0; /* < 0: the clock was set back */
}

static void
scan (KrFileWatch *watch, gint64 now_us)
{
  const gint64 now_ns = g_get_real_time () * 1000;
  g_autofree char *name = NULL;
  struct stat st = {0};

  if (find_newest (watch, now_ns, &name, &st) && is_successor (watch, &st, now_ns))
    switch_to (watch, name, &st);
  watch->looked_utc_ns = now_ns;
  watch->scanned_us = now_us;
  watch->scan_took_us = g_get_monotonic_time () - now_us;
}

static void
look_for_pattern (KrFileWatch *watch)
{
  const gint64 now_us = g_get_monotonic_time ();
  const guint64 bytes = watch->bytes;
  const ino_t inode = watch->inode;
  struct stat st;

  if (watch->path != NULL) {
    if (stat (watch->path, &st) == 0) {
      /* Overwritten in place is the next round of a ring; another inode is the next file. */
      if (!is_watched (watch, &st) || (guint64)st.st_size < watch->bytes)
        watch->generation++;
      see (watch, &st);
    } else if (is_absent ()) {
      watch->file = KR_GROWTH_FILE_ABSENT;
    }
  }
  if (scan_is_due (watch, watch->inode == inode && watch->bytes > bytes, now_us))
    scan (watch, now_us);
}

/* --- follow ----------------------------------------------------------------------------- */

void
kr_file_watch_follow (KrFileWatch *watch, const char *path, guint64 generation)
{
  g_return_if_fail (watch->kind == WATCH_FOLLOW);

  if (generation == watch->generation)
    return;
  close_followed (watch);
  g_free (watch->path);
  watch->path = g_strdup (path);
  watch->generation = generation;
  watch->file = KR_GROWTH_FILE_ABSENT;
  watch->bytes = 0;
  watch->strangers = 0;
}

static gboolean
is_temp_name (const char *name)
{
  g_autofree char *final = kr_segment_final_path (name);

  return final != NULL;
}

/* Whether the file, which is no longer at its path, got its final name there, maybe with a
 * number. Where nobody can tell it is taken for that. */
static gboolean
is_final (const KrFileWatch *watch)
{
  g_autofree char *link = g_strdup_printf ("/proc/self/fd/%d", watch->fd);
  g_autofree char *now = g_file_read_link (link, NULL);
  g_autofree char *final = kr_segment_final_path (watch->path);
  g_autofree char *now_name = NULL, *stem = NULL;
  char *ending;

  if (now == NULL || final == NULL)
    return TRUE;
  now_name = g_path_get_basename (now);
  stem = g_path_get_basename (final);
  ending = strrchr (stem, '.');
  if (ending != NULL)
    *ending = '\0';
  return g_str_has_prefix (now_name, stem) && !is_temp_name (now_name);
}

/* Whether the file that is written was moved away, it or its folder, or another one has taken
 * its place. For a moment that can be its successor under the same name, while the news of the
 * rename is on its way. */
static gboolean
is_replaced (KrFileWatch *watch, const struct stat *own)
{
  struct stat st;
  gboolean elsewhere;

  if (lstat (watch->path, &st) == 0)
    elsewhere = st.st_ino != own->st_ino || st.st_dev != own->st_dev;
  else
    elsewhere = is_absent () && !is_final (watch);
  watch->strangers = elsewhere ? watch->strangers + 1 : 0;
  return watch->strangers > 1;
}

static void
look_at_followed (KrFileWatch *watch)
{
  struct stat st;

  if (watch->path == NULL)
    return;
  /* O_PATH: neither reads, nor waits, nor stands in the way of a lock. */
  if (watch->fd < 0)
    watch->fd = open (watch->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
  if (watch->fd < 0)
    return; /* renamed already: the news of it is on its way */
  if (fstat (watch->fd, &st) != 0)
    return;
  if (st.st_nlink > 0 && !is_replaced (watch, &st))
    see (watch, &st);
  else
    look_at_path (watch);
}

void
kr_file_watch_look (KrFileWatch *watch, KrGrowthSample *sample)
{
  switch (watch->kind) {
  case WATCH_PATH:
    look_at_path (watch);
    break;
  case WATCH_PATTERN:
    look_for_pattern (watch);
    break;
  case WATCH_FOLLOW:
    look_at_followed (watch);
    break;
  }
  sample->file = watch->file;
  sample->file_device = watch->device;
  sample->file_inode = watch->inode;
  sample->file_bytes = watch->file == KR_GROWTH_FILE_PRESENT ? watch->bytes : 0;
  sample->generation = watch->generation;
}

/* --- patterns as text ------------------------------------------------------------------- */

gboolean
kr_file_watch_is_pattern (const char *text)
{
  for (; *text != '\0'; text++) {
    if (*text == '\\' && text[1] != '\0')
      text++;
    else if (strchr ("*?[", *text) != NULL)
      return TRUE;
  }
  return FALSE;
}

char *
kr_file_watch_pattern_from_printf (const char *name_template)
{
  g_autofree char *folder = g_path_get_dirname (name_template);
  g_autofree char *name = g_path_get_basename (name_template);
  g_autoptr (GString) glob = g_string_new (NULL);
  gboolean found = FALSE;

  for (const char *p = name; *p != '\0'; p++) {
    if (*p == '%' && p[1] == '%') {
      g_string_append_c (glob, *p++);
    } else if (*p == '%') {
      const gsize flags = strspn (p + 1, "0123456789 -+#'l");

      if (p[1 + flags] == '\0' || strchr ("diuxX", p[1 + flags]) == NULL) {
        g_string_append_c (glob, *p);
        continue;
      }
      g_string_append_c (glob, '*');
      found = TRUE;
      p += 1 + flags;
    } else {
      if (strchr ("*?[]\\", *p) != NULL)
        g_string_append_c (glob, '\\');
      g_string_append_c (glob, *p);
    }
  }
  if (!found)
    return NULL;
  if (strchr (name_template, '/') == NULL)
    return g_strdup (glob->str);
  return g_build_filename (folder, glob->str, NULL);
}
