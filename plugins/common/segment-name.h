/* keeprolling - names of segments: templates, temporary names, instance ids
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A location template: a path with strftime conversions and the fields {instance}, {seq} and
 * {hostname}. "%%" is a percent sign, "{{" and "}}" are braces.
 *
 *   recordings/%Y-%m-%d/cam1_%Y%m%dT%H%M%SZ_{instance}_{seq}.ts
 *
 * While a segment "NAME.EXT" is written it is called "NAME.recording.EXT"; what recovery cannot
 * make sense of is called "NAME.quarantine.EXT". Where a name is taken, "NAME-2.EXT",
 * "NAME-3.EXT" and so on are tried. */

#define KR_INSTANCE_MAX_LENGTH 20

/* KR_SEGMENT_NAME_ERROR: what a user can get wrong in a template or an instance id. */
typedef enum {
  KR_SEGMENT_NAME_ERROR_SYNTAX,   /* unknown conversion or field, unbalanced brace */
  KR_SEGMENT_NAME_ERROR_LENGTH,   /* a name or path longer than the system takes */
  KR_SEGMENT_NAME_ERROR_RESERVED, /* the name of a folder, or of a temporary file */
  KR_SEGMENT_NAME_ERROR_INSTANCE, /* not [a-z0-9-]{1,20} */
} KrSegmentNameError;
#define KR_SEGMENT_NAME_ERROR (kr_segment_name_error_quark ())
GQuark kr_segment_name_error_quark (void);

typedef struct _KrSegmentTemplate KrSegmentTemplate;

/* What one segment's name is made of. */
typedef struct {
  gint64 utc_us;        /* when the segment begins, g_get_real_time() */
  guint seq;            /* {seq}: at least six digits */
  const char *instance; /* {instance} */
  const char *hostname; /* {hostname}: characters that do not belong in a name become '-' */
} KrSegmentFields;

KrSegmentTemplate *kr_segment_template_new (const char *location, gboolean local_time,
                                            GError **error);
void kr_segment_template_free (KrSegmentTemplate *tmpl);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrSegmentTemplate, kr_segment_template_free)

char *kr_segment_template_expand (const KrSegmentTemplate *tmpl, const KrSegmentFields *fields,
                                  GError **error);

/* The folder above everything the template can name: its components before the first field. */
const char *kr_segment_template_root (const KrSegmentTemplate *tmpl);
/* Number of path components below the root; 1 = all files lie in the root itself. */
guint kr_segment_template_depth (const KrSegmentTemplate *tmpl);
/* Whether @name may be component @level (0 = first below the root) of a segment's path. On the
 * last level @name is the final name, numbered or not. With @hostname given, {hostname} stands
 * for that host alone: on a shared disk everybody sweeps his own leftovers. */
gboolean kr_segment_template_matches (const KrSegmentTemplate *tmpl, guint level,
                                      const char *name, const char *hostname);

/* "dir/a.ts" -> "dir/a.recording.ts", "dir/a" -> "dir/a.recording" (transfer full). */
char *kr_segment_temp_path (const char *final_path);
/* "dir/a.ts" -> "dir/a.quarantine.ts" (transfer full). */
char *kr_segment_quarantine_path (const char *final_path);
/* "dir/a.ts", 2 -> "dir/a-2.ts" (transfer full). */
char *kr_segment_numbered_path (const char *final_path, guint number);
/* The inverse of kr_segment_temp_path(), for a name or a path; NULL if it is not a temporary
 * one (transfer full). */
char *kr_segment_final_path (const char *temp_path);

/* A new instance id: unique across hosts and restarts, sorts by @utc_us (transfer full). */
char *kr_instance_id_new (gint64 utc_us);
gboolean kr_instance_id_check (const char *instance, GError **error);

G_END_DECLS
