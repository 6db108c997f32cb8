/* keeprolling - taking over pipeline files that have changed
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/app/launcher.h"

G_BEGIN_DECLS

/* `keeprolling reload` and SIGHUP: looks at the files, checks those that are concerned, hands
 * them over, a few at a time. One reload at a time; others wait for their turn. If a file is
 * wrong, nothing is changed. Main thread; disks and checks are left to others. */
typedef struct _KrReloader KrReloader;

/* Who asks more than this has to ask again. */
#define KR_RELOAD_MAX_WAITING 16

typedef struct {
  /* The first of several begins, or the last has ended. */
  void (*busy) (gboolean busy, gpointer data);
  /* Whether the program of the supervisor was replaced on the disk. */
  gboolean (*program_changed) (gpointer data);
  /* It is to be taken over, before anything else. @reload: all files are to be handed over
   * then; else a client sees to that. Ends in kr_reloader_renewed() or
   * kr_reloader_not_renewed(). */
  void (*renew) (gboolean reload, gpointer data);
} KrReloaderCallbacks;

/* All may be NULL. */
typedef struct {
  /* @file: (nullable): name of the file that it is about. Comes again each second. */
  void (*progress) (const char *file, const char *text, gpointer data);
  /* One file is done. */
  void (*result) (const char *file, int code, const char *text, gpointer data);
  /* The last call. @text: what people should know besides; "" = nothing. */
  void (*ended) (int code, const char *text, gpointer data);
  /* In place of that: the supervisor becomes another program, which is to be asked again. */
  void (*again) (gpointer data);
} KrReloadWatcher;

/**
 * kr_reloader_new:
 * @launcher: must outlive it
 * @arguments: (array zero-terminated=1): the files and folders that `run` was given
 * @values: --set values
 * @callbacks: static
 * @data: for the callbacks
 */
KrReloader *kr_reloader_new (KrLauncher *launcher, char **arguments, GHashTable *values,
                             const KrReloaderCallbacks *callbacks, gpointer data);
/* Those who wait are told that nothing comes of it any more. */
void kr_reloader_free (KrReloader *reloader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrReloader, kr_reloader_free)

/**
 * kr_reloader_ask:
 * @words: (array zero-terminated=1) (nullable): names or paths; none = all that have changed
 * @all: what has not changed, too
 * @in_turn: the old worker ends before the new one starts
 * @who: static: "SIGHUP", "keeprolling reload"
 * @watcher: (nullable): static
 * @data: for the watcher
 *
 * Returns: FALSE if too many wait already; the watcher is not called then
 */
gboolean kr_reloader_ask (KrReloader *reloader, const char *const *words, gboolean all,
                          gboolean in_turn, const char *who, const KrReloadWatcher *watcher,
                          gpointer data);

/* The supervisor is about to become another program: all who wait are told to ask that one. */
void kr_reloader_renewed (KrReloader *reloader);
/* It cannot: @why, for people. The reload goes on with the program that runs. */
void kr_reloader_not_renewed (KrReloader *reloader, const char *why);

/* For KrLauncherCallbacks.handed_over. */
void kr_reloader_handed_over (KrReloader *reloader, const char *file, KrHandoverResult result,
                              const char *text);

G_END_DECLS
