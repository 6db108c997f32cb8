/* keeprolling - asking others over HTTP
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A thread that makes requests and trusts nobody: each has one deadline for all of it, names
 * and handshakes included, and only the head of an answer is read. */
typedef struct _KrHttpClient KrHttpClient;

/* Requests under way at a time; more fail at once. */
#define KR_HTTP_CLIENT_MAX_REQUESTS 256

typedef enum {
  KR_HTTP_ANSWERED,  /* there is a status */
  KR_HTTP_NO_ANSWER, /* nobody there, too slow, or nonsense */
  KR_HTTP_NOT_ASKED, /* we could not even ask: no name service, no network, a bad address */
} KrHttpOutcome;

/* Valid while the callback runs. */
typedef struct {
  KrHttpOutcome outcome;
  int status;            /* answered: of HTTP, else 0 */
  gint64 retry_after_us; /* answered: Retry-After in seconds, 0 = none */
  const char *error;     /* in words, without the address; NULL if there is an answer */
} KrHttpAnswer;

/* In the client's thread. */
typedef void (*KrHttpDone) (const KrHttpAnswer *answer, gpointer data);

KrHttpClient *kr_http_client_new (void);
/* Ends the thread. What is under way is given up, and its callbacks are called before this
 * returns. */
void kr_http_client_free (KrHttpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrHttpClient, kr_http_client_free)

/* The thread's, for timers and calls of one's own. */
GMainContext *kr_http_client_get_context (KrHttpClient *client);
/* Runs @function in the thread, and waits until it has. Not from the thread itself. */
void kr_http_client_call (KrHttpClient *client, void (*function) (gpointer), gpointer data);

/**
 * kr_http_client_get:
 * @uri: where; redirects are followed within the deadline
 * @timeout_ms: for all of it
 * @done: called once, and not before this function has returned
 *
 * In the client's thread.
 */
void kr_http_client_get (KrHttpClient *client, const char *uri, guint timeout_ms,
                         KrHttpDone done, gpointer data);

/* The same, with a JSON @body and its Idempotency-Key. Redirects are not followed. */
void kr_http_client_post (KrHttpClient *client, const char *uri, const char *body,
                          const char *key, guint timeout_ms, KrHttpDone done, gpointer data);

G_END_DECLS
