/* keeprolling - time spans and sizes as people write them
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * kr_parse_time_span:
 * @text: "250ms", "1s", "5min", "1min 30s", "1.5h"; a number without a unit is seconds
 * @ret_us: (out): the span in microseconds
 *
 * The units are those of systemd.time(7) up to the week: us, ms, s, min, h, d, w and their long
 * forms.
 *
 * Returns: FALSE, leaving @ret_us alone, if @text is not a time span or does not fit
 */
gboolean kr_parse_time_span (const char *text, gint64 *ret_us);

/**
 * kr_parse_size:
 * @text: "500M", "4G", "1.5G", "1024"; K, M, G and T count by 1024, as systemd has it
 * @ret_bytes: (out): the size in bytes
 *
 * Returns: FALSE, leaving @ret_bytes alone, if @text is not a size or does not fit
 */
gboolean kr_parse_size (const char *text, guint64 *ret_bytes);

/* "1min 30s", "250ms", "0": the shortest form kr_parse_time_span() reads. (transfer full) */
char *kr_format_time_span (gint64 us);

/* "500M", "1000": the shortest form kr_parse_size() reads. (transfer full) */
char *kr_format_size (guint64 bytes);

G_END_DECLS
