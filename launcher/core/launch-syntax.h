/* keeprolling - reads a launch line into elements, properties and links
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* gst_parse_launch() stops at the first mistake and does not say where it is. This reads the
 * same language (elements, properties, presets, links with caps, pads, references, bins, URIs),
 * finds all mistakes of form, and keeps the byte offset of every word. It knows no element:
 * whether the words mean something is for the engine to find out. */

/* NAME=VALUE or @preset=VALUE. */
typedef struct {
  char *name; /* "location", "sink_0::xpos", "@preset" */
  gsize name_offset;
  char *value;       /* quotes and escapes resolved */
  GArray *value_map; /* of gsize: where each byte of `value` stands; one more for its end */
} KrLaunchProperty;

typedef enum { KR_LAUNCH_ELEMENT, KR_LAUNCH_BIN, KR_LAUNCH_URI } KrLaunchNodeKind;

typedef struct {
  KrLaunchNodeKind kind;
  char *word;            /* name of the factory, or the URI; a URI may contain a secret */
  gsize offset;          /* of the word */
  gsize end;             /* behind the word */
  int parent;            /* index of the bin it stands in, -1 = none */
  const char *name;      /* of name=, or NULL */
  GPtrArray *properties; /* of KrLaunchProperty */
} KrLaunchNode;

/* One end of a link. */
typedef struct {
  int node;        /* index, -1: `reference` says what */
  char *reference; /* a name, or NULL */
  GPtrArray *pads; /* of char*; empty = any */
  gsize offset;
} KrLaunchEnd;

typedef struct {
  KrLaunchEnd src, sink;
  char *caps; /* NULL = none */
  gsize caps_offset;
  gsize offset;      /* of the "!" or ":" */
  gboolean all_pads; /* ":" */
} KrLaunchLink;

typedef struct {
  gsize offset;
  char *message;
  char *hint;
} KrLaunchMistake;

typedef struct {
  GPtrArray *nodes;    /* of KrLaunchNode */
  GPtrArray *links;    /* of KrLaunchLink, complete ones only */
  GPtrArray *mistakes; /* of KrLaunchMistake */
} KrLaunch;

/* Bins in bins; the reader calls itself for each. */
#define KR_LAUNCH_MAX_DEPTH 32

/* Reads @text; never fails, but see mistakes. (transfer full) */
KrLaunch *kr_launch_parse (const char *text);
void kr_launch_free (KrLaunch *launch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrLaunch, kr_launch_free)

G_END_DECLS
