/* keeprolling - groups, keys and values of a text file, each with its place
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "launcher/core/problem.h"

G_BEGIN_DECLS

/* KEY = VALUE */
typedef struct {
  char *key;
  KrPlace key_place;
  GString *value;      /* continuation lines joined by one space, comments gone */
  GArray *spans;       /* of KrSpan: where the value's bytes stand */
  KrPlace value_place; /* of the value's first character, or where it should be */
} KrEntry;

/* [KIND NAME] */
typedef struct {
  char *kind;
  char *name; /* NULL if there is none */
  KrPlace place;
  KrPlace name_place;
  GPtrArray *entries; /* of KrEntry, in the order of the file */
} KrGroup;

/* What the file may contain: only to give better hints for lines that are indented by mistake.
 */
typedef struct {
  const char *const *kinds; /* NULL-terminated */
  const char *const *keys;  /* NULL-terminated */
} KrKeyFileWords;

/**
 * kr_key_file_parse:
 * @path: what to call the file in problems
 * @text: (array length=length): anything
 * @words: the group kinds and keys there are
 * @problems: (element-type KrProblem): gets what is wrong with the form of the file
 *
 * Splits a file into groups and entries. A comment is a line of its own whose first character
 * other than space is "#"; an indented line continues the value before it; blank lines and
 * comments do not end a value. Knows nothing of what the keys mean.
 *
 * Returns: (transfer full) (element-type KrGroup): the groups; empty if it is no text at all
 */
GPtrArray *kr_key_file_parse (const char *path, const char *text, gsize length,
                              const KrKeyFileWords *words, GPtrArray *problems);

G_END_DECLS
