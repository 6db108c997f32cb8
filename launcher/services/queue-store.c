/* keeprolling - small texts that survive us
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/queue-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* One name. The lock guards all but what is the thread's. */
typedef struct {
  char *name;
  char *text; /* to be written; NULL = nothing waits */
  gboolean load;
  int lock_fd; /* the thread's; -1 = not ours */
} Entry;

struct _KrQueueStore {
  gint ref_count; /* the owner and the thread */
  GMutex mutex;
  GCond cond;
  GHashTable *entries; /* char* -> Entry */
  GQueue due;          /* of Entry */
  gboolean busy;
  gboolean calling;   /* a callback runs */
  gboolean closing;   /* end once nothing waits */
  gboolean abandoned; /* the owner is gone */
  char *folder;
  const KrQueueStoreCallbacks *callbacks;
  gpointer data;
  gboolean failed; /* the thread's */
};

static void
entry_free (Entry *entry)
{
  if (entry->lock_fd >= 0)
    close (entry->lock_fd);
  g_free (entry->name);
  g_free (entry->text);
  g_free (entry);
}

static void
store_unref (KrQueueStore *store)
{
  if (!g_atomic_int_dec_and_test (&store->ref_count))
    return;
  g_queue_clear (&store->due);
  g_hash_table_unref (store->entries);
  g_mutex_clear (&store->mutex);
  g_cond_clear (&store->cond);
  g_free (store->folder);
  g_free (store);
}

/* --- disk; the thread ------------------------------------------------------------------ */

static char *
path_of (const KrQueueStore *store, const char *name, const char *ending)
{
  g_autofree char *file = g_strconcat (name, ending, NULL);

  return g_build_filename (store->folder, file, NULL);
}

static char *
fail (const char *what, const char *path)
{
  return g_strdup_printf ("cannot %s %s: %s", what, path, g_strerror (errno));
}

/* The lock ends with the process, whatever way that ends. */
static char *
take_lock (KrQueueStore *store, Entry *entry)
{
  g_autofree char *path = path_of (store, entry->name, ".lock");
  int fd;

  if (g_mkdir_with_parents (store->folder, 0700) != 0)
    return fail ("make", store->folder);
  fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail ("open", path);
  if (flock (fd, LOCK_EX | LOCK_NB) != 0) {
    close (fd);
    return g_strdup_printf ("%s is in use by another process", path);
  }
  entry->lock_fd = fd;
  return NULL;
}

static char *
read_text (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  char *text;
  gsize length = 0;

  if (fd < 0)
    return NULL;
  if (fstat (fd, &st) != 0 || !S_ISREG (st.st_mode) || st.st_size > KR_QUEUE_STORE_MAX_BYTES) {
    close (fd);
    return NULL;
  }
  text = g_malloc0 ((gsize)st.st_size + 1);
  while (length < (gsize)st.st_size) {
    gssize n = read (fd, text + length, (gsize)st.st_size - length);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    length += (gsize)n;
  }
  close (fd);
  text[length] = '\0';
  return text;
}

static gboolean
write_all (int fd, const char *text)
{
  gsize left = strlen (text);

  while (left > 0) {
    gssize n = write (fd, text, left);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return FALSE;
    text += n;
    left -= (gsize)n;
  }
  return TRUE;
}

/* Under its name there is always a whole text: the old one or the new one. */
static char *
write_text (const char *path, const char *text)
{
  g_autofree char *temp = g_strconcat (path, ".new", NULL);
  char *error = NULL;
  int fd;

  if (text[0] == '\0')
    return unlink (path) != 0 && errno != ENOENT ? fail ("remove", path) : NULL;
  fd = open (temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail ("create", temp);
  if (!write_all (fd, text) || fdatasync (fd) != 0)
    error = fail ("write", temp);
  close (fd);
  if (error == NULL && rename (temp, path) != 0)
    error = fail ("rename", temp);
  if (error != NULL)
    unlink (temp);
  return error;
}

/* --- thread ---------------------------------------------------------------------------- */

/* FALSE if nobody is there any more. The owner waits for the callback that follows. */
static gboolean
begin_call (KrQueueStore *store)
{
  gboolean calling;

  g_mutex_lock (&store->mutex);
  calling = store->calling = !store->abandoned;
  g_mutex_unlock (&store->mutex);
  return calling;
}

static void
end_call (KrQueueStore *store)
{
  g_mutex_lock (&store->mutex);
  store->calling = FALSE;
  g_cond_broadcast (&store->cond);
  g_mutex_unlock (&store->mutex);
}

static void
do_load (KrQueueStore *store, Entry *entry)
{
  g_autofree char *error = take_lock (store, entry);
  g_autofree char *text = NULL;

  if (error == NULL) {
    g_autofree char *path = path_of (store, entry->name, ".jsonl");

    text = read_text (path);
  }
  if (!begin_call (store))
    return;
  store->callbacks->loaded (entry->name, text, error, store->data);
  end_call (store);
}

static void
do_save (KrQueueStore *store, Entry *entry, const char *text)
{
  g_autofree char *path = path_of (store, entry->name, ".jsonl");
  g_autofree char *error = NULL;

  if (entry->lock_fd < 0)
    return;
  error = write_text (path, text);
  if (store->failed == (error != NULL))
    return;
  store->failed = error != NULL;
  if (!begin_call (store))
    return;
  store->callbacks->changed (error, store->data);
  end_call (store);
}

/* With the lock held; gives it up while the disk is at work. */
static void
do_entry (KrQueueStore *store, Entry *entry)
{
  gboolean load = entry->load;
  g_autofree char *text = g_steal_pointer (&entry->text);

  entry->load = FALSE;
  store->busy = TRUE;
  g_mutex_unlock (&store->mutex);
  if (load)
    do_load (store, entry);
  if (text != NULL)
    do_save (store, entry, text);
  g_mutex_lock (&store->mutex);
  store->busy = FALSE;
}

static gpointer
run (gpointer data)
{
  KrQueueStore *store = data;

  g_mutex_lock (&store->mutex);
  while (TRUE) {
    Entry *entry = g_queue_pop_head (&store->due);

    if (entry != NULL) {
      do_entry (store, entry);
      continue;
    }
    g_cond_broadcast (&store->cond); /* nothing waits */
    if (store->closing)
      break;
    g_cond_wait (&store->cond, &store->mutex);
  }
  g_mutex_unlock (&store->mutex);
  store_unref (store);
  return NULL;
}

/* --- public ---------------------------------------------------------------------------- */

KrQueueStore *
kr_queue_store_new (const char *folder, const KrQueueStoreCallbacks *callbacks, gpointer data)
{
  KrQueueStore *store = g_new0 (KrQueueStore, 1);

  store->ref_count = 2;
  store->folder = g_strdup (folder);
  store->callbacks = callbacks;
  store->data = data;
  g_mutex_init (&store->mutex);
  g_cond_init (&store->cond);
  g_queue_init (&store->due);
  store->entries =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)entry_free);
  /* Never joined: it may hang in the kernel for good. */
  g_thread_unref (g_thread_new ("queue-store", run, store));
  return store;
}

gboolean
kr_queue_store_free (KrQueueStore *store, gint64 patience_us)
{
  gint64 end = g_get_monotonic_time () + patience_us;
  gboolean done;

  if (store == NULL)
    return TRUE;
  g_mutex_lock (&store->mutex);
  store->closing = TRUE;
  g_cond_broadcast (&store->cond);
  while (store->busy || !g_queue_is_empty (&store->due)) {
    if (!g_cond_wait_until (&store->cond, &store->mutex, end))
      break;
  }
  done = !store->busy && g_queue_is_empty (&store->due);
  store->abandoned = TRUE;
  while (store->calling)
    g_cond_wait (&store->cond, &store->mutex);
  if (!done)
    g_queue_clear (&store->due);
  else /* The locks are free for whoever comes next, however late the thread is to end. */
    g_hash_table_remove_all (store->entries);
  g_mutex_unlock (&store->mutex);
  store_unref (store);
  return done;
}

/* With the lock held. */
static Entry *
find_entry (KrQueueStore *store, const char *name)
{
  Entry *entry = g_hash_table_lookup (store->entries, name);

  if (entry == NULL) {
    entry = g_new0 (Entry, 1);
    entry->name = g_strdup (name);
    entry->lock_fd = -1;
    g_hash_table_insert (store->entries, entry->name, entry);
  }
  return entry;
}

/* With the lock held. */
static void
make_due (KrQueueStore *store, Entry *entry)
{
  if (g_queue_find (&store->due, entry) == NULL)
    g_queue_push_tail (&store->due, entry);
  g_cond_broadcast (&store->cond);
}

void
kr_queue_store_load (KrQueueStore *store, const char *name)
{
  Entry *entry;

  g_mutex_lock (&store->mutex);
  entry = find_entry (store, name);
  entry->load = TRUE;
  make_due (store, entry);
  g_mutex_unlock (&store->mutex);
}

void
kr_queue_store_save (KrQueueStore *store, const char *name, const char *text)
{
  Entry *entry;

  g_mutex_lock (&store->mutex);
  entry = find_entry (store, name);
  g_free (entry->text);
  entry->text = g_strdup (text);
  make_due (store, entry);
  g_mutex_unlock (&store->mutex);
}
