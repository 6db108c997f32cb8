/* keeprolling - what the service manager is told, and when
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/exit-code.h"
#include "launcher/core/snapshot.h"

G_BEGIN_DECLS

/* Layer 3, decided: which lines of sd_notify(3) are due. Readiness means that something
 * records, not that a process has started. */

/* A changed text goes out at once if it is about something else, else no more often than this:
 * the seconds in it are no news. */
#define KR_NOTIFY_STATUS_US (5 * G_TIME_SPAN_SECOND)
/* While starting, stopping and reloading the manager's patience is renewed this often, */
#define KR_NOTIFY_EXTEND_EVERY_US (5 * G_TIME_SPAN_SECOND)
/* to this. If we hang, it runs out. */
#define KR_NOTIFY_EXTEND_US (30 * G_TIME_SPAN_SECOND)

/* Plain data: a copy is a copy. Moments are monotonic microseconds, G_MININT64 = never. */
typedef struct {
  gint64 watchdog_us; /* WATCHDOG_USEC, 0 = off */
  gboolean ready;     /* READY=1 has been said */
  gboolean reloading; /* RELOADING=1 has been said */
  gboolean stopping;  /* STOPPING=1 has been said */
  gint64 extended_at;
  gint64 watchdog_at;
  gint64 status_at;
  guint status_hash;
  gboolean withheld; /* no WATCHDOG=1 at present: the I/O of everything stands still */
} KrNotifyPolicy;

/* @watchdog_us: WATCHDOG_USEC, 0 = the manager watches nothing */
void kr_notify_policy_init (KrNotifyPolicy *policy, gint64 watchdog_us);

/* The program before this one has said READY=1 and then, as it became this one, RELOADING=1.
 * The manager waits for another READY=1, whether or not anything records just now. */
void kr_notify_policy_resume (KrNotifyPolicy *policy);

/**
 * kr_notify_policy_next:
 * @policy: what has been said so far
 * @snapshot: (nullable): the newest; NULL = nothing is started yet
 * @reloading: a handover is under way
 * @now: monotonic microseconds
 * @ret_next: (out): the policy once the message has reached the manager; keep @policy if it
 * has not, and it is tried again
 *
 * Works out what is due. WATCHDOG=1 comes at half of WATCHDOG_USEC at the latest, as
 * sd_notify(3) asks, unless the I/O threads stand still and nothing records: then only a
 * restart can help. One dead disk among several is no reason to restart the rest, and an absent
 * source none at all.
 *
 * Returns: (transfer full) (nullable): lines for one datagram, NULL if none is due
 */
char *kr_notify_policy_next (const KrNotifyPolicy *policy, const KrSnapshot *snapshot,
                             gboolean reloading, gint64 now, KrNotifyPolicy *ret_next);

/**
 * kr_notify_policy_last_words:
 * @exit_code: with which the program ends
 *
 * What "systemctl status" goes on showing when nothing runs any more.
 *
 * Returns: (transfer none): lines for one datagram
 */
const char *kr_notify_policy_last_words (KrExitCode exit_code);

/* How often to ask, in microseconds: once a second, or more for an impatient manager. */
gint64 kr_notify_policy_period (const KrNotifyPolicy *policy);

G_END_DECLS
