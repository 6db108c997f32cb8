/* keeprolling - what a reload has to do
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/handover.h"
#include "launcher/core/supervisor.h"

G_BEGIN_DECLS

/* Compares the files that are there with those that run. Pure. */

typedef enum {
  KR_RELOAD_KEEP,      /* it runs as it should */
  KR_RELOAD_LEAVE,     /* somebody has stopped it: only by its name it is started again */
  KR_RELOAD_HAND_OVER, /* or start, if it has ended */
  KR_RELOAD_ADD,
  KR_RELOAD_REMOVE,
} KrReloadAction;

/* A file that is there now. All strings are the caller's. */
typedef struct {
  const char *path;
  const char *name; /* its label */
  const char *text;
} KrReloadFound;

/* One that runs, or has run. */
typedef struct {
  const char *name;
  const char *text;
  KrSupervisorState state;
} KrReloadRunning;

/* What somebody asks for. */
typedef struct {
  const char *const
      *words;   /* (array zero-terminated=1) (nullable): names or paths; none = all */
  gboolean all; /* what has not changed, too */
} KrReloadWish;

typedef struct {
  KrReloadAction action;
  const char *name;  /* of the file: a string of the caller's */
  guint found;       /* index, unless it is to be removed */
  const char *cause; /* static: why, for people */
} KrReloadStep;

/**
 * kr_reload_plan:
 * @wish: what is asked for
 * @found: (array length=n_found): the files that are there
 * @running: (array length=n_running): the files that run
 * @ret_unknown: (out): a word of @wish that means none of them, or NULL
 *
 * Returns: (transfer full) (element-type KrReloadStep): a step for each file that is concerned,
 * those found first, in their order
 */
GArray *kr_reload_plan (const KrReloadWish *wish, const KrReloadFound *found, guint n_found,
                        const KrReloadRunning *running, guint n_running,
                        const char **ret_unknown);

/* The exit code that tells of @result. */
int kr_reload_exit_code (KrHandoverResult result);

/* The one of two codes that tells of more trouble: mistakes before failures, those before
 * sources that are not there. */
int kr_reload_worse_code (int one, int other);

G_END_DECLS
