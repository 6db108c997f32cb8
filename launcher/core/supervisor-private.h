/* keeprolling - the life of one pipeline file's workers, decided: what its parts share
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/supervisor.h"

#define NEVER      G_MAXINT64
#define NOT_BEFORE G_MININT64

/* Actions, faults, workers: what all the others are made of. */
KrSupervisorAction *kr_supervisor_add (KrSupervisorActions *actions,
                                       KrSupervisorActionType type, guint serial);
KrSupervisorAction *kr_supervisor_alert (KrSupervisorActions *actions, KrAlert kind,
                                         guint serial, double seconds, const char *reason);
double kr_supervisor_seconds (gint64 us);
void kr_supervisor_note_fault (KrSupervisor *s, gint64 at, const char *reason);
void kr_supervisor_note_recovery (KrSupervisor *s, guint serial, gint64 now,
                                  KrSupervisorActions *actions);
void kr_supervisor_forgive (KrSupervisor *s, gint64 now);
void kr_supervisor_count_failure (KrSupervisor *s, gint64 now);
void kr_supervisor_end_row (KrSupervisor *s, gint64 now);
gint64 kr_supervisor_breath (const KrSupervisor *s, gint64 now);
gint64 kr_supervisor_take_failure (KrSupervisor *s, gint64 now);
gboolean kr_supervisor_may_replace_now (const KrSupervisor *s, gint64 now);
void kr_supervisor_enter (KrSupervisor *s, KrSupervisorState state, gint64 deadline,
                          gint64 now);
void kr_supervisor_reset_current (KrSupervisor *s, guint serial, gint64 now);
void kr_supervisor_spawn_current (KrSupervisor *s, gint64 now, KrSupervisorActions *actions);
void kr_supervisor_spawn_after (KrSupervisor *s, gint64 delay, gint64 now,
                                KrSupervisorActions *actions);
void kr_supervisor_spawn_next (KrSupervisor *s, gboolean handover, gint64 now,
                               KrSupervisorActions *actions);
void kr_supervisor_kill_worker (guint serial, KrSupervisorActions *actions);
void kr_supervisor_retire (KrSupervisor *s, guint serial, gboolean hung, gint64 time,
                           gint64 now, KrSupervisorActions *actions);
void kr_supervisor_promote (KrSupervisor *s, gint64 now, KrSupervisorActions *actions);
void kr_supervisor_back_to_current (KrSupervisor *s, gint64 now);
void kr_supervisor_terminate (KrSupervisor *s, gboolean at_once, gint64 time, gint64 delay,
                              gint64 now, KrSupervisorActions *actions);
void kr_supervisor_terminate_idle (KrSupervisor *s, gboolean at_once, gint64 delay, gint64 now,
                                   KrSupervisorActions *actions);

/* EXITED and SPAWN_FAILED. */
gboolean kr_supervisor_on_gone (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
                                KrSupervisorActions *actions);

/* TICK. */
gboolean kr_supervisor_on_tick (KrSupervisor *s, const KrSupervisorEvent *event, gint64 now,
                                KrSupervisorActions *actions);

/* The rest. */
void kr_supervisor_kill_all (KrSupervisor *s, gint64 now, KrSupervisorActions *actions);
