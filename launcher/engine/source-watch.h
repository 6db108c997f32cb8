/* keeprolling - one live source: is it delivering, and opening it again alone
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gst/gst.h>

#include "launcher/core/source-policy.h"

G_BEGIN_DECLS

/* Sits on the source pads of one live source element. Data is counted there without a lock.
 * EOS of the source ends there: for whatever is behind it a source that comes and goes is one
 * endless stream. Only the engine's own EOS (kr_source_watch_let_eos()) passes.
 *
 * All functions belong to the main thread. */
typedef struct _KrSourceWatch KrSourceWatch;

typedef enum {
  KR_SOURCE_WATCH_LOST,      /* silent, ended or broken; it is being opened again */
  KR_SOURCE_WATCH_FIRST,     /* the first data since the start, without an outage before */
  KR_SOURCE_WATCH_BACK,      /* data flows again */
  KR_SOURCE_WATCH_UNREACHED, /* an opening has failed; there will be more */
  KR_SOURCE_WATCH_STUCK,     /* it hangs while being opened: only a rebuild can help */
  KR_SOURCE_WATCH_HOPELESS,  /* opening it does not help: rebuild */
} KrSourceWatchEvent;

/* @text: one line for people, without the pipeline's name; @seconds: of the outage so far */
typedef void (*KrSourceWatchFunc) (KrSourceWatch *watch, KrSourceWatchEvent event,
                                   const char *text, double seconds, gpointer data);

/**
 * kr_source_watch_find:
 * @bin: a pipeline in NULL
 *
 * Returns: (transfer full) (element-type GstElement): the live source elements in @bin and the
 *   plain bins within it, in the order of the text. A bin with a factory of its own (rtspsrc)
 *   is one source.
 */
GPtrArray *kr_source_watch_find (GstBin *bin);

/* Whether @element, a source, is a live one. */
gboolean kr_source_watch_is_live (GstElement *element);

/**
 * kr_source_watch_new:
 * @element: a live source in a pipeline that has not been started
 * @timeout_us: SourceTimeoutSec
 * @deadline_us: an opening that takes longer is stuck
 * @func: told about everything that happens
 * @data: for @func
 */
KrSourceWatch *kr_source_watch_new (GstElement *element, gint64 timeout_us, gint64 deadline_us,
                                    KrSourceWatchFunc func, gpointer data);

/* The pipeline is to start without this source: it is opened later, by itself. */
void kr_source_watch_hold_back (KrSourceWatch *watch);

/* The pipeline plays from now on: silence counts. */
void kr_source_watch_start (KrSourceWatch *watch);

/* The element has posted an error. @text says which. */
void kr_source_watch_failed (KrSourceWatch *watch, const char *text);

/* From now on nothing is opened again and EOS passes: the pipeline is about to end. */
void kr_source_watch_let_eos (KrSourceWatch *watch);

/**
 * kr_source_watch_close:
 *
 * For the thread that tears the pipeline down, before it does: waits for an opening under way
 * and prevents any other. Any thread.
 */
void kr_source_watch_close (KrSourceWatch *watch);

GstElement *kr_source_watch_get_element (KrSourceWatch *watch);
gboolean kr_source_watch_owns (KrSourceWatch *watch, GstObject *object);
gboolean kr_source_watch_is_silent (KrSourceWatch *watch);
/* TRUE if its streaming thread cannot carry EOS: it is closed or has ended. */
gboolean kr_source_watch_is_dead (KrSourceWatch *watch);
guint64 kr_source_watch_get_bytes (KrSourceWatch *watch);
guint64 kr_source_watch_get_buffers (KrSourceWatch *watch);
/* Monotonic microseconds, 0 = never. */
gint64 kr_source_watch_get_last_data (KrSourceWatch *watch);

/**
 * kr_source_watch_get_blocked:
 * @watch: a watch
 * @ret_by: (out) (transfer full) (nullable): name of the element that has its thread; untouched
 *   if it is not blocked
 *
 * Returns: for how many microseconds its last buffer has not come back, 0 if it has
 */
gint64 kr_source_watch_get_blocked (KrSourceWatch *watch, char **ret_by);
guint64 kr_source_watch_get_reopened (KrSourceWatch *watch);

/* No callback comes after this. */
void kr_source_watch_stop (KrSourceWatch *watch);
KrSourceWatch *kr_source_watch_ref (KrSourceWatch *watch);
void kr_source_watch_unref (KrSourceWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrSourceWatch, kr_source_watch_unref)

G_END_DECLS
