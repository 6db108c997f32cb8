/* keeprolling - what a dead instance left behind gets a name
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "plugins/common/atomic-file.h"
#include "plugins/common/segment-name.h"

G_BEGIN_DECLS

/* Finalises "NAME.recording.EXT" files that nobody holds locked. Idempotent, and safe beside
 * living instances: theirs are locked. Never follows a symbolic link, never leaves the folder,
 * never deletes a file with data in it. Blocks on the disk. */

typedef enum {
  KR_RECOVERY_FINALISED,   /* repaired, synced, has its final name */
  KR_RECOVERY_QUARANTINED, /* not something that plays: NAME.quarantine.EXT */
  KR_RECOVERY_REMOVED,     /* it was empty, or a second name of a finished file */
  KR_RECOVERY_LIVE,        /* locked by a living instance: left alone */
  KR_RECOVERY_FAILED,      /* left alone, see error */
  KR_N_RECOVERY_ACTIONS
} KrRecoveryAction;

/* "finalised", "quarantined", "removed", "live", "failed" */
const char *kr_recovery_action_name (KrRecoveryAction action);

typedef struct {
  KrRecoveryAction action;
  const char *temp_path;
  const char *path;   /* what it is called now, or in a dry run would be; NULL if it is gone */
  guint64 bytes;      /* size afterwards */
  guint64 cut_bytes;  /* zeros and the partial packet cut from its tail */
  const char *detail; /* why, for people: "no PAT and PMT found" */
  gboolean durable;   /* file and folder are synced */
  KrIoError error;    /* action FAILED, or not durable */
} KrRecovered;

typedef void (*KrRecoveryFunc) (const KrRecovered *recovered, gpointer user_data);

typedef struct {
  gboolean dry_run;
  /* Only leftovers of this template; NULL = every temporary file below the folder. */
  const KrSegmentTemplate *tmpl;
  const char *hostname; /* see kr_segment_template_matches() */
  /* Checked between files and in long reads; set it to 1 to stop early. May be NULL. */
  const gint *cancel;
  /* For progress: called now and then with the number of bytes looked at. May be NULL. */
  void (*progress) (guint64 bytes_read, guint files_seen, gpointer user_data);
} KrRecoveryOptions;

/* Sweeps @folder and everything below it (with a template: its root, as deep as it goes).
 * @found is called for every temporary file. FALSE if the folder itself cannot be read. */
gboolean kr_recover_folder (const char *folder, const KrRecoveryOptions *options,
                            KrRecoveryFunc found, gpointer user_data, KrIoError *ret_error);
/* The same for one temporary file. */
KrRecoveryAction kr_recover_file (const char *temp_path, const KrRecoveryOptions *options,
                                  KrRecoveryFunc found, gpointer user_data);

G_END_DECLS
