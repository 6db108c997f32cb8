/* keeprolling - the bus of one pipeline, read on the main thread
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* What nobody reads is dropped where it is posted and does not wake the main thread. All
 * functions belong to the main thread. */
typedef struct _KrBusWatch KrBusWatch;

/* The watch may be freed in it. */
typedef void (*KrBusWatchFunc) (GstMessage *message, gpointer data);

/**
 * kr_bus_watch_new:
 * @pipeline: a pipeline
 * @func: called from the thread-default main context for each message that matters
 * @data: for @func
 */
KrBusWatch *kr_bus_watch_new (GstElement *pipeline, KrBusWatchFunc func, gpointer data);

/* Hands out what was posted and not read yet, of @types; the others are gone. */
void kr_bus_watch_read_rest (KrBusWatch *watch, GstMessageType types);

/* The pipeline may live on, in threads that hang: whatever it posts is dropped. */
void kr_bus_watch_free (KrBusWatch *watch);

G_END_DECLS
