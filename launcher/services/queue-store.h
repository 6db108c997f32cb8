/* keeprolling - small texts that survive us
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Keeps one text per name in a folder. All that touches the disk happens in a thread of its
 * own: a disk that is slow, full or dead delays nobody. Of each name only the newest text waits
 * to be written, so what waits is bounded too. */
typedef struct _KrQueueStore KrQueueStore;

/* A longer file is not ours, and is not read. */
#define KR_QUEUE_STORE_MAX_BYTES (1024 * 1024)

typedef struct {
  /* @text: (nullable): what the last run left; NULL = nothing. @error: (nullable): why it
   * cannot be kept on the disk; then nothing under @name is written. In the store's thread. */
  void (*loaded) (const char *name, const char *text, const char *error, gpointer data);
  /* The disk has failed, or (@error is NULL) works again. Told once each. In the store's
   * thread. */
  void (*changed) (const char *error, gpointer data);
} KrQueueStoreCallbacks;

KrQueueStore *kr_queue_store_new (const char *folder, const KrQueueStoreCallbacks *callbacks,
                                  gpointer data);

/**
 * kr_queue_store_free:
 * @patience_us: how long what waits may take to reach the disk
 *
 * With a disk that does not answer the thread is left to itself: it holds nothing of the
 * caller's, and calls back no more.
 *
 * Returns: FALSE if not everything is on the disk
 */
gboolean kr_queue_store_free (KrQueueStore *store, gint64 patience_us);

/* Reads what is there, once per name, and locks the name against other processes. Any thread.
 */
void kr_queue_store_load (KrQueueStore *store, const char *name);

/* @text: "" removes the file. Only after that name is loaded. Any thread. */
void kr_queue_store_save (KrQueueStore *store, const char *name, const char *text);

G_END_DECLS
