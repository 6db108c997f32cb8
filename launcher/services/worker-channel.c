/* keeprolling - the line between the supervisor and a worker
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/worker-channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib-unix.h>

#define READ_SIZE (64 * 1024)

struct _KrWorkerChannel {
  int fd; /* -1 = closed */
  const KrWorkerChannelCallbacks *callbacks;
  gpointer data;
  GMainContext *context;
  GSource *in;
  GSource *out; /* only while something is queued */

  GByteArray *incoming; /* the beginning of a line whose end has not come yet */
  gboolean skipping;    /* the line is too long: drop it up to its newline */
  GByteArray *outgoing; /* what the socket would not take; sent from its beginning */
  gsize sent;           /* how much of it is gone */

  gboolean *freed; /* set while callbacks run, so that they may free the channel */
};

gboolean
kr_worker_channel_pair (int *ret_ours, int *ret_theirs, GError **error)
{
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
    int saved = errno;

    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
                 "no socket pair for a worker: %s", g_strerror (saved));
    return FALSE;
  }
  *ret_ours = fds[0];
  *ret_theirs = fds[1];
  return TRUE;
}

static void
drop_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
close_line (KrWorkerChannel *channel)
{
  drop_source (&channel->in);
  drop_source (&channel->out);
  if (channel->fd >= 0)
    close (channel->fd);
  channel->fd = -1;
  g_byte_array_set_size (channel->outgoing, 0);
  channel->sent = 0;
}

/* The last callback. The channel may be gone afterwards. */
static void
report_closed (KrWorkerChannel *channel, int error_number)
{
  g_autoptr (GError) error = NULL;

  if (error_number != 0)
    error = g_error_new (KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_CLOSED,
                         "the line broke: %s", g_strerror (error_number));
  close_line (channel);
  channel->callbacks->closed (channel, error, channel->data);
}

/* --- receiving ------------------------------------------------------------------------- */

static void
deliver (KrWorkerChannel *channel, const char *line, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (KrWorkerMessage) message = kr_worker_message_decode (line, length, &error);

  if (message != NULL)
    channel->callbacks->message (channel, message, channel->data);
  else if (channel->callbacks->garbled != NULL)
    channel->callbacks->garbled (channel, error, channel->data);
}

static void
deliver_too_long (KrWorkerChannel *channel)
{
  g_autoptr (GError) error =
      g_error_new (KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_TOO_LONG,
                   "a line of more than %d bytes was dropped", KR_WORKER_CHANNEL_MAX_LINE);

  if (channel->callbacks->garbled != NULL)
    channel->callbacks->garbled (channel, error, channel->data);
}

/* Keeps the beginning of a line until its end comes. */
static void
keep_rest (KrWorkerChannel *channel, const char *bytes, gsize length)
{
  if (channel->skipping || length == 0)
    return;
  if (channel->incoming->len + length >= KR_WORKER_CHANNEL_MAX_LINE) {
    g_byte_array_set_size (channel->incoming, 0);
    channel->skipping = TRUE;
    return;
  }
  g_byte_array_append (channel->incoming, (const guint8 *)bytes, (guint)length);
}

/* One whole line: what was kept and @bytes, without the newline. */
static void
take_line (KrWorkerChannel *channel, const char *bytes, gsize length)
{
  g_autoptr (GByteArray) whole = NULL;

  if (channel->skipping) {
    channel->skipping = FALSE;
    deliver_too_long (channel);
  } else if (channel->incoming->len == 0) {
    deliver (channel, bytes, length);
  } else {
    /* A callback may free the channel: the line must outlive it. */
    whole = g_steal_pointer (&channel->incoming);
    channel->incoming = g_byte_array_new ();
    g_byte_array_append (whole, (const guint8 *)bytes, (guint)length);
    deliver (channel, (const char *)whole->data, whole->len);
  }
}

/* FALSE if a callback freed or closed the channel. */
static gboolean
take_bytes (KrWorkerChannel *channel, const char *bytes, gsize length)
{
  gboolean freed = FALSE;
  gboolean *outer = channel->freed;

  channel->freed = &freed;
  while (length > 0) {
    const char *newline = memchr (bytes, '\n', length);
    gsize line_length = newline != NULL ? (gsize)(newline - bytes) : length;

    if (newline == NULL) {
      keep_rest (channel, bytes, length);
      break;
    }
    take_line (channel, bytes, line_length);
    if (freed) {
      if (outer != NULL)
        *outer = TRUE;
      return FALSE;
    }
    bytes = newline + 1;
    length -= line_length + 1;
  }
  channel->freed = outer;
  return channel->fd >= 0;
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  KrWorkerChannel *channel = data;
  char buffer[READ_SIZE];
  ssize_t n = read (fd, buffer, sizeof buffer);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n <= 0) {
    /* A peer killed with our bytes unread resets the line: that too is just its end. */
    report_closed (channel, n < 0 && errno != ECONNRESET ? errno : 0);
    return G_SOURCE_REMOVE;
  }
  if (!take_bytes (channel, buffer, (gsize)n))
    return G_SOURCE_REMOVE;
  return G_SOURCE_CONTINUE;
}

/* --- sending --------------------------------------------------------------------------- */

/* How many bytes the socket took, 0 if it is full, < 0 if the other side is gone. MSG_NOSIGNAL
 * rather than a changed disposition of SIGPIPE, which belongs to the program. */
static ssize_t
send_some (KrWorkerChannel *channel, const guint8 *bytes, gsize length)
{
  ssize_t n;

  do
    n = send (channel->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n < 0 && errno == EAGAIN ? 0 : n;
}

/* FALSE if the other side is gone. */
static gboolean
send_queued (KrWorkerChannel *channel)
{
  while (channel->sent < channel->outgoing->len) {
    ssize_t n = send_some (channel, channel->outgoing->data + channel->sent,
                           channel->outgoing->len - channel->sent);

    if (n < 0)
      return FALSE;
    if (n == 0)
      return TRUE;
    channel->sent += (gsize)n;
  }
  g_byte_array_set_size (channel->outgoing, 0);
  channel->sent = 0;
  return TRUE;
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  KrWorkerChannel *channel = data;

  /* When the other side is gone the reading source says so, after what it still had to say. */
  if (send_queued (channel) && channel->outgoing->len > 0)
    return G_SOURCE_CONTINUE;
  g_byte_array_set_size (channel->outgoing, 0);
  channel->sent = 0;
  g_clear_pointer (&channel->out, g_source_unref);
  return G_SOURCE_REMOVE;
}

static void
queue (KrWorkerChannel *channel, const guint8 *bytes, gsize length)
{
  /* Only when half of it is gone, so that moving the rest costs little per byte. */
  if (channel->sent > channel->outgoing->len / 2) {
    g_byte_array_remove_range (channel->outgoing, 0, (guint)channel->sent);
    channel->sent = 0;
  }
  g_byte_array_append (channel->outgoing, bytes, (guint)length);
  if (channel->out != NULL)
    return;
  channel->out = g_unix_fd_source_new (channel->fd, G_IO_OUT | G_IO_ERR | G_IO_HUP);
  g_source_set_callback (channel->out, G_SOURCE_FUNC (on_writable), channel, NULL);
  g_source_attach (channel->out, channel->context);
}

static gboolean
set_closed_error (GError **error)
{
  g_set_error_literal (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_CLOSED,
                       "the other side is gone");
  return FALSE;
}

gboolean
kr_worker_channel_send (KrWorkerChannel *channel, const KrWorkerMessage *message,
                        GError **error)
{
  g_autoptr (GBytes) line = NULL;
  const guint8 *bytes;
  gsize length, waiting;
  ssize_t n = 0;

  g_return_val_if_fail (channel != NULL && message != NULL, FALSE);

  if (channel->fd < 0)
    return set_closed_error (error);
  line = kr_worker_message_encode (message, error);
  if (line == NULL)
    return FALSE;
  bytes = g_bytes_get_data (line, &length);
  waiting = channel->outgoing->len - channel->sent;
  if (waiting + length > KR_WORKER_CHANNEL_MAX_QUEUE) {
    g_set_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_FULL,
                 "the other side does not read: %" G_GSIZE_FORMAT " bytes wait", waiting);
    return FALSE;
  }
  if (waiting == 0)
    n = send_some (channel, bytes, length);
  if (n < 0)
    return set_closed_error (error);
  if ((gsize)n < length)
    queue (channel, bytes + n, length - (gsize)n);
  return TRUE;
}

gboolean
kr_worker_channel_flush (KrWorkerChannel *channel, int timeout_ms)
{
  gint64 end = g_get_monotonic_time () + (gint64)timeout_ms * 1000;

  while (channel->fd >= 0 && send_queued (channel) && channel->outgoing->len > 0) {
    struct pollfd item = {.fd = channel->fd, .events = POLLOUT};
    gint64 left = (end - g_get_monotonic_time () + 999) / 1000;

    if (left <= 0 || (poll (&item, 1, (int)left) < 0 && errno != EINTR))
      return FALSE;
  }
  return channel->outgoing->len == 0;
}

/* --- life ------------------------------------------------------------------------------ */

KrWorkerChannel *
kr_worker_channel_new (int fd, const KrWorkerChannelCallbacks *callbacks, gpointer data)
{
  KrWorkerChannel *channel = g_new0 (KrWorkerChannel, 1);

  g_return_val_if_fail (fd >= 0, NULL);
  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  channel->fd = fd;
  channel->callbacks = callbacks;
  channel->data = data;
  channel->context = g_main_context_ref_thread_default ();
  channel->incoming = g_byte_array_new ();
  channel->outgoing = g_byte_array_new ();
  channel->in = g_unix_fd_source_new (fd, G_IO_IN | G_IO_ERR | G_IO_HUP);
  g_source_set_callback (channel->in, G_SOURCE_FUNC (on_readable), channel, NULL);
  g_source_attach (channel->in, channel->context);
  return channel;
}

/* The rest of a line that is too long would be taken for a line of its own: it comes to its end
 * soon. */
gboolean
kr_worker_channel_can_detach (const KrWorkerChannel *channel)
{
  return channel->fd >= 0 && channel->outgoing->len == 0 && !channel->skipping;
}

int
kr_worker_channel_detach (KrWorkerChannel *channel, GBytes **ret_rest)
{
  int fd = channel->fd;

  if (!kr_worker_channel_can_detach (channel))
    return -1;
  *ret_rest = g_bytes_new (channel->incoming->data, channel->incoming->len);
  channel->fd = -1;
  close_line (channel);
  return fd;
}

void
kr_worker_channel_restore (KrWorkerChannel *channel, GBytes *rest)
{
  gsize length;
  const void *bytes = g_bytes_get_data (rest, &length);

  keep_rest (channel, bytes, length);
}

void
kr_worker_channel_free (KrWorkerChannel *channel)
{
  if (channel == NULL)
    return;
  if (channel->freed != NULL)
    *channel->freed = TRUE;
  close_line (channel);
  g_byte_array_unref (channel->incoming);
  g_byte_array_unref (channel->outgoing);
  g_main_context_unref (channel->context);
  g_free (channel);
}
