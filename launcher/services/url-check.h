/* keeprolling - looking at destinations
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include "launcher/core/health.h"

G_BEGIN_DECLS

/* Asks each address again and again, in a thread of its own. What comes of it is a probe for
 * core/health: an answer, nobody there, or (where we could not even ask) no knowledge. */
typedef struct _KrUrlChecks KrUrlChecks;

/* For one request, or the interval if that is shorter. */
#define KR_URL_CHECK_TIMEOUT_US (5 * G_TIME_SPAN_SECOND)

KrUrlChecks *kr_url_checks_new (void);
void kr_url_checks_free (KrUrlChecks *checks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrUrlChecks, kr_url_checks_free)

/* @name: of what is checked; @uri: (nullable): a secret; the first request goes out at once.
 * What was there under that name is forgotten; NULL = and nothing comes in its place. Main
 * thread. */
void kr_url_checks_set (KrUrlChecks *checks, const char *name, const char *uri,
                        gint64 interval_us);

/* What was found last. FALSE if there is none of that name, or no result yet. Any thread. */
gboolean kr_url_checks_get (KrUrlChecks *checks, const char *name,
                            KrDestinationProbe *ret_probe);

/**
 * kr_url_check_outcome:
 * @asked: whether the asking worked, even if nobody answered
 * @status: of HTTP, 0 = none
 * @error: (nullable): why it was not asked, or not answered
 * @age_us: since then
 * @interval_us: between two requests
 *
 * A result that is older than three intervals says nothing any more: then it is the check that
 * does not work.
 */
KrDestinationProbe kr_url_check_outcome (gboolean asked, int status, const char *error,
                                         gint64 age_us, gint64 interval_us);

G_END_DECLS
