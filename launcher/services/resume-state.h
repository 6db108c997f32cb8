/* keeprolling - what a supervisor leaves to the program that it becomes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

#include "launcher/core/handover.h"
#include "launcher/core/supervisor.h"

G_BEGIN_DECLS

/* A supervisor whose program was replaced executes the new one in its own place: the process
 * stays, so its workers stay its children, and the descriptors of their lines go along. The
 * rest travels as JSON in a memory file, which holds secrets and is on no disk. Between two
 * versions of keeprolling this is an interface: members may be added, but what is there keeps
 * its meaning, or KR_RESUME_FORMAT grows; then the old program goes on. */

/* Of the state; another one is not understood. */
#define KR_RESUME_FORMAT 1
/* The environment variable that names the descriptor. */
#define KR_RESUME_VARIABLE  "KEEPROLLING_RESUME_FD"
#define KR_RESUME_MAX_BYTES (256 * 1024 * 1024)

/* The one worker of a file. */
typedef struct {
  guint serial;
  gint64 pid;
  int fd;       /* of its line */
  GBytes *rest; /* of the line: what has been read of a message that is not complete */
  char *instance;
  char *version;
  gint64 started; /* monotonic: the clock goes on */
  gint64 started_utc_us;
  gboolean ready;
  char **open_files; /* final names of what it opened last */
} KrResumeWorker;

typedef struct {
  char *path;
  char *text;
  KrSupervisorResume machine;
  KrResumeWorker *worker; /* NULL = there is none */
  char *counters; /* a report line with those of the workers that are gone; NULL = none */
  guint64 handovers[KR_N_HANDOVER_RESULTS];
} KrResumeFile;

typedef struct {
  char *instance;
  gint64 started_utc_us;
  gboolean reload;     /* hand all files over afterwards */
  gboolean told_ready; /* the service manager has been told READY=1 */
  char **arguments;    /* files and folders */
  GHashTable *set;     /* of --set */
  char *listen;        /* NULL = the default */
  char *token_file;    /* NULL = none */
  char *runtime_dir;
  char *state_dir;
  GPtrArray *files; /* of KrResumeFile */
} KrResumeState;

KrResumeState *kr_resume_state_new (void);
void kr_resume_state_free (KrResumeState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrResumeState, kr_resume_state_free)
/* An empty file of @state, which owns it. */
KrResumeFile *kr_resume_state_add_file (KrResumeState *state);
/* An empty worker of @file, which owns it. */
KrResumeWorker *kr_resume_file_add_worker (KrResumeFile *file);

/* (transfer full) */
char *kr_resume_state_encode (const KrResumeState *state);

/**
 * kr_resume_state_decode:
 * @error: %G_IO_ERROR: what is not understood; nothing of it is to be used then
 *
 * Returns: (transfer full) (nullable): the state
 */
KrResumeState *kr_resume_state_decode (const char *text, gssize length, GError **error);

/* Writes @state into a memory file, close-on-exec, to be read from its beginning; -1 and
 * @error. */
int kr_resume_state_to_fd (const KrResumeState *state, GError **error);
/* Reads it from its beginning; the descriptor stays open. */
KrResumeState *kr_resume_state_from_fd (int fd, GError **error);

G_END_DECLS
