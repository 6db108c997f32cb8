/* keeprolling - tells the thread sanitizer about GLib's locks
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* GLib's mutexes and conditions are futexes of its own and its queues lock inside the library,
 * which Debian builds without instrumentation: the sanitizer sees two threads touch the same
 * memory and not what orders them. Preloaded by the test setup "tsan", this library stands
 * before GLib's functions, calls them, and says what they guarantee: what happened before an
 * unlock or a push is seen after the next lock or pop. */

#include <dlfcn.h>
#include <gmodule.h>

void __tsan_acquire (void *address);
void __tsan_release (void *address);

/* One lookup per function; the race of two first calls is harmless, both find the same. */
#define FORWARD(name, ...)                                                                     \
  ({                                                                                           \
    static __typeof__ (&name) function;                                                        \
    __typeof__ (&name) found = __atomic_load_n (&function, __ATOMIC_RELAXED);                  \
    if (found == NULL) {                                                                       \
      found = dlsym (RTLD_NEXT, #name);                                                        \
      __atomic_store_n (&function, found, __ATOMIC_RELAXED);                                   \
    }                                                                                          \
    found (__VA_ARGS__);                                                                       \
  })

G_MODULE_EXPORT void
g_mutex_lock (GMutex *mutex)
{
  FORWARD (g_mutex_lock, mutex);
  __tsan_acquire (mutex);
}

G_MODULE_EXPORT gboolean
g_mutex_trylock (GMutex *mutex)
{
  gboolean locked = FORWARD (g_mutex_trylock, mutex);

  if (locked)
    __tsan_acquire (mutex);
  return locked;
}

G_MODULE_EXPORT void
g_mutex_unlock (GMutex *mutex)
{
  __tsan_release (mutex);
  FORWARD (g_mutex_unlock, mutex);
}

G_MODULE_EXPORT void
g_rec_mutex_lock (GRecMutex *mutex)
{
  FORWARD (g_rec_mutex_lock, mutex);
  __tsan_acquire (mutex);
}

G_MODULE_EXPORT gboolean
g_rec_mutex_trylock (GRecMutex *mutex)
{
  gboolean locked = FORWARD (g_rec_mutex_trylock, mutex);

  if (locked)
    __tsan_acquire (mutex);
  return locked;
}

G_MODULE_EXPORT void
g_rec_mutex_unlock (GRecMutex *mutex)
{
  __tsan_release (mutex);
  FORWARD (g_rec_mutex_unlock, mutex);
}

G_MODULE_EXPORT void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  __tsan_release (mutex);
  FORWARD (g_cond_wait, cond, mutex);
  __tsan_acquire (mutex);
}

G_MODULE_EXPORT gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end)
{
  gboolean signalled;

  __tsan_release (mutex);
  signalled = FORWARD (g_cond_wait_until, cond, mutex, end);
  __tsan_acquire (mutex);
  return signalled;
}

G_MODULE_EXPORT void
g_async_queue_push (GAsyncQueue *queue, gpointer data)
{
  __tsan_release (queue);
  FORWARD (g_async_queue_push, queue, data);
}

G_MODULE_EXPORT gpointer
g_async_queue_pop (GAsyncQueue *queue)
{
  gpointer data = FORWARD (g_async_queue_pop, queue);

  __tsan_acquire (queue);
  return data;
}

G_MODULE_EXPORT gpointer
g_async_queue_try_pop (GAsyncQueue *queue)
{
  gpointer data = FORWARD (g_async_queue_try_pop, queue);

  __tsan_acquire (queue);
  return data;
}

G_MODULE_EXPORT gpointer
g_async_queue_timeout_pop (GAsyncQueue *queue, guint64 timeout)
{
  gpointer data = FORWARD (g_async_queue_timeout_pop, queue, timeout);

  __tsan_acquire (queue);
  return data;
}
