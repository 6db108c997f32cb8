/* keeprolling - the supervisor: clock, timers, children and actions wired together
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/app/loaded-file.h"
#include "launcher/core/handover.h"
#include "launcher/core/snapshot.h"
#include "launcher/core/worker-event.h"
#include "launcher/services/resume-state.h"

G_BEGIN_DECLS

/* Carries out what core/supervisor decides, for each file apart: one file's trouble never
 * reaches another. Main thread only; disks are touched on other threads alone. Never
 * initialises GStreamer. */

typedef struct _KrLauncher KrLauncher;

typedef struct {
  /* Every file has come to its end. */
  void (*finished) (KrLauncher *launcher, int exit_code, gpointer data);
  /* There is a new snapshot: at least one per second. May be NULL. */
  void (*snapshot) (KrLauncher *launcher, KrSnapshot *snapshot, gpointer data);
  /* Something that people may want to hear of. @pipeline is "" for the worker as a whole, @kind
   * a word such as "crash" or "reconnect", @details (nullable) an a{sv}. May be NULL. */
  void (*event) (KrLauncher *launcher, const char *file, const char *pipeline, const char *kind,
                 const char *text, GVariant *details, gpointer data);
  /* @file is what runs under its name from now on: a new one, or one that was taken over. May
   * be NULL. */
  void (*file) (KrLauncher *launcher, const KrPipelineFile *file, gpointer data);
  /* A handover is over. @text is for people. May be NULL. */
  void (*handed_over) (KrLauncher *launcher, const char *file, KrHandoverResult result,
                       const char *text, gpointer data);
} KrLauncherCallbacks;

KrLauncher *kr_launcher_new (const KrLauncherCallbacks *callbacks, gpointer data);
/* Workers that still live are left to themselves: they finish their files and end. */
void kr_launcher_free (KrLauncher *launcher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrLauncher, kr_launcher_free)

/* Takes a reference of @loaded. Its name is a new one. Where the others run already, a handover
 * starts it. */
void kr_launcher_add (KrLauncher *launcher, KrLoadedFile *loaded);

/* Lets the worker of a file finish and end, then forgets the file. FALSE if there is none, or
 * it is leaving already. */
gboolean kr_launcher_remove (KrLauncher *launcher, const char *name);

/* What the file of that name runs, or ran last; NULL = there is none. */
const KrLoadedFile *kr_launcher_get_loaded (KrLauncher *launcher, const char *name);

/* See kr_supervised_hand_over(). FALSE if there is no such file, or a handover of it is under
 * way.
 */
gboolean kr_launcher_hand_over (KrLauncher *launcher, KrLoadedFile *loaded, gboolean in_turn,
                                const char *cause);
/* Counts and tells a handover that was not even begun. */
void kr_launcher_refuse (KrLauncher *launcher, const char *name, const char *text);
/* What is going on, for people; NULL = nothing. (transfer full) */
char *kr_launcher_describe_handover (KrLauncher *launcher, const char *name);

gboolean kr_launcher_can_suspend (const KrLauncher *launcher);

/**
 * kr_launcher_suspend:
 * @state: what is told of the launcher and its files
 * @detach: let go of the workers, too: the launcher can only be freed then
 *
 * Returns: FALSE if that is not possible now. With @detach some workers may be in @state
 * already, and it is to be resumed with.
 */
gboolean kr_launcher_suspend (KrLauncher *launcher, gboolean detach, KrResumeState *state);

/* Goes on with what kr_launcher_suspend() has left. @loaded: (element-type KrLoadedFile): its
 * files, in the same order. Before kr_launcher_start(), which starts only what does not run. */
void kr_launcher_resume (KrLauncher *launcher, const KrResumeState *state, GPtrArray *loaded);

/* Starts all files. */
void kr_launcher_start (KrLauncher *launcher);

/* The first call lets every worker finish its files, the second ends them at once. */
void kr_launcher_stop (KrLauncher *launcher);

gboolean kr_launcher_is_stopping (const KrLauncher *launcher);

/* Lets the worker of one file finish and end; the others go on. FALSE if there is no such file.
 */
gboolean kr_launcher_stop_file (KrLauncher *launcher, const char *name);

/* The present one; take a reference to keep it. */
KrSnapshot *kr_launcher_get_snapshot (KrLauncher *launcher);

/**
 * kr_launcher_set_destination:
 * @file: name of a file
 * @probe: what asking its CheckURL gave
 *
 * What the next verdict on the file takes into account.
 */
void kr_launcher_set_destination (KrLauncher *launcher, const char *file,
                                  const KrDestinationProbe *probe);

G_END_DECLS
