/* keeprolling - the service manager's notification socket
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* sd_notify(3): a datagram with lines NAME=VALUE to the socket that $NOTIFY_SOCKET names. The
 * protocol is declared stable by systemd and understood by others. Never blocks. Main thread.
 */
typedef struct _KrSdNotify KrSdNotify;

#define KR_SD_NOTIFY_ERROR (kr_sd_notify_error_quark ())
GQuark kr_sd_notify_error_quark (void);
typedef enum {
  KR_SD_NOTIFY_ERROR_ADDRESS, /* $NOTIFY_SOCKET is no address that we know */
  KR_SD_NOTIFY_ERROR_SEND,    /* the manager does not take it now: try again */
} KrSdNotifyError;

/**
 * kr_sd_notify_new_from_environment:
 * @error: KR_SD_NOTIFY_ERROR_ADDRESS
 *
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment: no
 * child shall speak for us. Call it before other threads run.
 *
 * Returns: (transfer full) (nullable): NULL without @error if nobody wants to be notified
 */
KrSdNotify *kr_sd_notify_new_from_environment (GError **error);
void kr_sd_notify_free (KrSdNotify *notify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrSdNotify, kr_sd_notify_free)

/* WATCHDOG_USEC if it is meant for this process, else 0. */
gint64 kr_sd_notify_get_watchdog_us (const KrSdNotify *notify);

/**
 * kr_sd_notify_send:
 * @lines: "READY=1\nSTATUS=..."
 * @error: KR_SD_NOTIFY_ERROR_SEND
 *
 * Returns: FALSE if the manager's socket is full or gone
 */
gboolean kr_sd_notify_send (KrSdNotify *notify, const char *lines, GError **error);

/* Puts the variables back, for a process that executes itself anew. */
void kr_sd_notify_restore_environment (const KrSdNotify *notify);

G_END_DECLS
