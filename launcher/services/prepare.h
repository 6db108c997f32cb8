/* keeprolling - what must be there before threads are
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * kr_services_prepare:
 *
 * Makes the types of the network and of HTTP known. GLib before 2.78 can deadlock for ever when
 * one thread initialises a class that needs such a type while another is registering it; seen
 * as a supervisor that hung at its start, about once in fifty, between the status server and
 * the webhooks' thread. Call it on the main thread before any service is made; a second call
 * does nothing.
 */
void kr_services_prepare (void);

G_END_DECLS
