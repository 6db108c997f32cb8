/* keeprolling - what a dead instance left behind gets a name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/common/container-probe.h"

/* Folders within folders; more is a loop of mounts or a joke. */
#define MAX_DEPTH 32
/* Names tried before giving up. */
#define MAX_NUMBER 99999

static const char *const action_names[] = {
    [KR_RECOVERY_FINALISED] = "finalised", [KR_RECOVERY_QUARANTINED] = "quarantined",
    [KR_RECOVERY_REMOVED] = "removed",     [KR_RECOVERY_LIVE] = "live",
    [KR_RECOVERY_FAILED] = "failed",
};
G_STATIC_ASSERT (G_N_ELEMENTS (action_names) == KR_N_RECOVERY_ACTIONS);

const char *
kr_recovery_action_name (KrRecoveryAction action)
{
  g_return_val_if_fail ((guint)action < KR_N_RECOVERY_ACTIONS, NULL);
  return action_names[action];
}

typedef struct {
  KrRecoveryOptions options;
  KrRecoveryFunc found;
  gpointer user_data;
  guint64 bytes_read;
  guint files_seen;
} Sweep;

/* One leftover. */
typedef struct {
  Sweep *sweep;
  int folder;
  int fd;
  const char *name; /* temporary, in the folder */
  const char *path; /* of it */
  struct stat st;
} Leftover;

static void
on_progress (guint64 bytes, gpointer user_data)
{
  Sweep *sweep = user_data;

  sweep->bytes_read += bytes;
  if (sweep->options.progress != NULL)
    sweep->options.progress (sweep->bytes_read, sweep->files_seen, sweep->user_data);
}

static gboolean
is_cancelled (const Sweep *sweep)
{
  return sweep->options.cancel != NULL && g_atomic_int_get (sweep->options.cancel) != 0;
}

static KrRecoveryAction
report (const Leftover *left, KrRecovered *recovered)
{
  Sweep *sweep = left->sweep;

  recovered->temp_path = left->path;
  if (recovered->detail == NULL)
    recovered->detail = "";
  if (sweep->found != NULL)
    sweep->found (recovered, sweep->user_data);
  return recovered->action;
}

static KrRecoveryAction
report_failure (const Leftover *left, int code, const char *operation)
{
  KrRecovered recovered = {.action = KR_RECOVERY_FAILED,
                           .path = left->path,
                           .bytes = (guint64)left->st.st_size,
                           .error = {.code = code, .operation = operation},
                           .detail = "left as it is"};

  return report (left, &recovered);
}

static char *
sibling_path (const Leftover *left, const char *name)
{
  const char *slash = strrchr (left->path, '/');

  return slash != NULL
             ? g_strdup_printf ("%.*s%s", (int)(slash + 1 - left->path), left->path, name)
             : g_strdup (name);
}

/* The first name that is free: @wanted, or numbered. In a dry run it is only looked up. */
static gboolean
move_to_free_name (const Leftover *left, const char *wanted, char **ret_name,
                   KrIoError *ret_error)
{
  g_autofree char *name = g_strdup (wanted);

  for (guint number = 2; number <= MAX_NUMBER; number++) {
    struct stat st;

    if (left->sweep->options.dry_run) {
      if (fstatat (left->folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        break;
    } else if (kr_rename_noreplace (left->folder, left->name, name, ret_error)) {
      break;
    } else if (ret_error->code != EEXIST) {
      return FALSE;
    }
    g_free (name);
    name = kr_segment_numbered_path (wanted, number);
    *ret_error = (KrIoError){0};
  }
  *ret_name = g_steal_pointer (&name);
  return TRUE;
}

static KrRecoveryAction
remove_name (const Leftover *left, const char *detail)
{
  KrRecovered recovered = {.action = KR_RECOVERY_REMOVED, .detail = detail, .durable = TRUE};

  if (!left->sweep->options.dry_run) {
    if (unlinkat (left->folder, left->name, 0) != 0)
      return report_failure (left, errno, "remove");
    recovered.durable = kr_sync_folder (left->folder, NULL, &recovered.error);
  }
  return report (left, &recovered);
}

/* linkat() without the unlinkat() that belongs to it: the file is finished already. */
static gboolean
is_second_name (const Leftover *left, const char *final_name)
{
  struct stat st;

  return left->st.st_nlink > 1 &&
         fstatat (left->folder, final_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         st.st_ino == left->st.st_ino && st.st_dev == left->st.st_dev;
}

static KrRecoveryAction
finish (const Leftover *left, const KrProbe *probe, const char *final_name)
{
  gboolean plays = probe->kind != KR_CONTAINER_UNKNOWN && probe->keep > 0;
  g_autofree char *wanted =
      plays ? g_strdup (final_name) : kr_segment_quarantine_path (final_name);
  g_autofree char *name = NULL, *path = NULL;
  KrRecovered recovered = {.action = plays ? KR_RECOVERY_FINALISED : KR_RECOVERY_QUARANTINED,
                           .bytes = plays ? probe->keep : probe->size,
                           .cut_bytes = plays ? probe->size - probe->keep : 0,
                           .detail = probe->detail,
                           .durable = TRUE};
  KrIoError error = {0};

  if (!left->sweep->options.dry_run) {
    if (recovered.cut_bytes > 0 && ftruncate (left->fd, (off_t)probe->keep) != 0)
      return report_failure (left, errno, "truncate");
    if (fsync (left->fd) != 0)
      return report_failure (left, errno, "fsync");
  }
  if (!move_to_free_name (left, wanted, &name, &error))
    return report_failure (left, error.code, error.operation);
  if (!left->sweep->options.dry_run)
    recovered.durable = kr_sync_folder (left->folder, NULL, &recovered.error);
  path = sibling_path (left, name);
  recovered.path = path;
  return report (left, &recovered);
}

/* Called with the file open and locked. */
static KrRecoveryAction
examine (Leftover *left)
{
  g_autofree char *final_name = kr_segment_final_path (left->name);
  KrProbe probe;

  if (is_second_name (left, final_name))
    return remove_name (left, "another name of the finished file");
  if (left->st.st_size == 0)
    return remove_name (left, "empty");
  probe = kr_container_probe (left->fd, left->sweep->options.cancel, on_progress, left->sweep);
  if (probe.error == ECANCELED)
    return KR_RECOVERY_LIVE;
  if (probe.error != 0)
    return report_failure (left, probe.error, "read");
  return finish (left, &probe, final_name);
}

/* Called with the file open. */
static KrRecoveryAction
lock_and_examine (Leftover *left)
{
  /* Shared in a dry run: two of them, and a creator that is just about to lock, do not mind. */
  int how = left->sweep->options.dry_run ? LOCK_SH : LOCK_EX;
  KrRecovered live = {
      .action = KR_RECOVERY_LIVE, .path = left->path, .detail = "somebody records to it"};
  struct stat now;

  if (fstat (left->fd, &left->st) != 0)
    return report_failure (left, errno, "stat");
  if (!S_ISREG (left->st.st_mode))
    return KR_RECOVERY_LIVE; /* replaced under our eyes by something else */
  live.bytes = (guint64)left->st.st_size;
  if (flock (left->fd, how | LOCK_NB) != 0)
    return errno == EWOULDBLOCK ? report (left, &live) : report_failure (left, errno, "lock");
  /* Its owner may have finished it, or grown it, before the lock was ours. */
  if (fstat (left->fd, &left->st) != 0 ||
      fstatat (left->folder, left->name, &now, AT_SYMLINK_NOFOLLOW) != 0 ||
      now.st_ino != left->st.st_ino || now.st_dev != left->st.st_dev)
    return KR_RECOVERY_LIVE;
  return examine (left);
}

static KrRecoveryAction
recover_one (Sweep *sweep, int folder, const char *name, const char *path)
{
  Leftover left = {.sweep = sweep, .folder = folder, .name = name, .path = path};
  int mode = sweep->options.dry_run ? O_RDONLY : O_RDWR;
  KrRecoveryAction action;

  sweep->files_seen++;
  /* NONBLOCK: somebody may have put a FIFO there. */
  left.fd = openat (folder, name, mode | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (left.fd < 0) {
    /* Gone (finished by its owner, or by another sweep), or a link: nothing of ours. */
    if (errno == ENOENT || errno == ELOOP)
      return KR_RECOVERY_LIVE;
    return report_failure (&left, errno, "open");
  }
  action = lock_and_examine (&left);
  close (left.fd);
  return action;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
list_folder (int fd, KrIoError *ret_error)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  int copy = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy >= 0 ? fdopendir (copy) : NULL;
  struct dirent *entry;

  if (dir == NULL) {
    *ret_error = (KrIoError){.code = errno, .operation = "read the folder"};
    if (copy >= 0)
      close (copy);
    g_ptr_array_unref (names);
    return NULL;
  }
  while ((entry = readdir (dir)) != NULL) {
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  }
  closedir (dir);
  g_ptr_array_sort (names, compare_names);
  return names;
}

static gboolean
is_wanted (const Sweep *sweep, guint level, const char *name)
{
  const KrSegmentTemplate *tmpl = sweep->options.tmpl;
  g_autofree char *final_name = kr_segment_final_path (name);

  if (final_name == NULL)
    return FALSE;
  return tmpl == NULL ||
         (level + 1 == kr_segment_template_depth (tmpl) &&
          kr_segment_template_matches (tmpl, level, final_name, sweep->options.hostname));
}

static gboolean
may_enter (const Sweep *sweep, guint level, const char *name)
{
  const KrSegmentTemplate *tmpl = sweep->options.tmpl;

  if (tmpl == NULL)
    return level + 1 < MAX_DEPTH;
  return level + 1 < kr_segment_template_depth (tmpl) &&
         kr_segment_template_matches (tmpl, level, name, sweep->options.hostname);
}

static gboolean
sweep_folder (Sweep *sweep, int fd, const char *path, guint level, KrIoError *ret_error)
{
  g_autoptr (GPtrArray) names = list_folder (fd, ret_error);

  for (guint i = 0; names != NULL && i < names->len && !is_cancelled (sweep); i++) {
    const char *name = names->pdata[i];
    g_autofree char *below = g_build_filename (path, name, NULL);
    KrIoError ignored = {0};
    struct stat st;
    int next;

    if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (S_ISREG (st.st_mode) && is_wanted (sweep, level, name))
      recover_one (sweep, fd, name, below);
    if (!S_ISDIR (st.st_mode) || !may_enter (sweep, level, name))
      continue;
    /* NOFOLLOW once more: it may have become a link since. */
    next = openat (fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
      continue;
    sweep_folder (sweep, next, below, level + 1, &ignored);
    close (next);
  }
  return names != NULL;
}

gboolean
kr_recover_folder (const char *folder, const KrRecoveryOptions *options, KrRecoveryFunc found,
                   gpointer user_data, KrIoError *ret_error)
{
  Sweep sweep = {.found = found, .user_data = user_data};
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok;

  if (options != NULL)
    sweep.options = *options;
  if (fd < 0) {
    *ret_error = (KrIoError){.code = errno, .operation = "open the folder"};
    return FALSE;
  }
  ok = sweep_folder (&sweep, fd, folder, 0, ret_error);
  close (fd);
  return ok;
}

KrRecoveryAction
kr_recover_file (const char *temp_path, const KrRecoveryOptions *options, KrRecoveryFunc found,
                 gpointer user_data)
{
  Sweep sweep = {.found = found, .user_data = user_data};
  g_autofree char *folder = g_path_get_dirname (temp_path);
  g_autofree char *name = g_path_get_basename (temp_path);
  KrRecoveryAction action;
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (options != NULL)
    sweep.options = *options;
  if (fd < 0) {
    Leftover left = {.sweep = &sweep, .path = temp_path};

    return report_failure (&left, errno, "open the folder of");
  }
  action = recover_one (&sweep, fd, name, temp_path);
  close (fd);
  return action;
}
