/* keeprolling - taking the secrets out of a text
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What stands where a secret was. */
#define KR_REDACTED "***"

/**
 * kr_redact:
 * @text: any text that is about to leave the process: a log line, a reason, a path, a URI
 *
 * Replaces the values of passphrase, streamid, stream keys, tokens, passwords and the like
 * (whether NAME=VALUE, NAME="VALUE", "NAME":"VALUE" or NAME: VALUE), user:password@ in URIs,
 * the stream key at the end of an RTMP URI, and what follows Bearer or Basic. When in doubt it
 * takes out too much. Linear in the length of @text; redacting twice changes nothing.
 *
 * Returns: (transfer full): the text without them
 */
char *kr_redact (const char *text);

/**
 * kr_redact_uri:
 * @uri: a URI that is a secret as a whole, such as a webhook's
 *
 * Returns: (transfer full): its scheme and host alone: "https://hooks.example.org/..."
 */
char *kr_redact_uri (const char *uri);

G_END_DECLS
