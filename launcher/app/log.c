/* keeprolling - what the processes say to people and to the journal
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/core/redact.h"

#define DOMAIN "keeprolling"

/* One write of at most PIPE_BUF bytes arrives whole, so that the lines of several processes on
 * one pipe do not mix. */
#define MAX_LINE 4000

/* What one subject may say: a burst, then so much per second. Subjects share a bucket when
 * their hashes collide, so the table cannot grow. */
#define N_BUCKETS  256
#define BURST      40
#define PER_SECOND 5

typedef struct {
  double tokens;
  gint64 refilled_us;
  guint64 left_out;
} Bucket;

typedef enum {
  COUNT_CRITICAL,
  COUNT_WARNING,
  COUNT_MESSAGE,
  COUNT_INFO,
  COUNT_DEBUG,
  N_COUNTS
} Count;

static GMutex mutex; /* guards what follows */
static Bucket buckets[N_BUCKETS];
static guint64 counts[N_COUNTS];

/* Written once before there are threads. */
static const char *default_file;
static gboolean to_journal;

/* What a log call is about, found among its fields. */
typedef struct {
  const char *message;
  const char *domain;
  const char *file;
  const char *pipeline;
} Line;

static Count
count_of (GLogLevelFlags level)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return COUNT_CRITICAL;
  if (level & G_LOG_LEVEL_WARNING)
    return COUNT_WARNING;
  if (level & G_LOG_LEVEL_MESSAGE)
    return COUNT_MESSAGE;
  return level & G_LOG_LEVEL_INFO ? COUNT_INFO : COUNT_DEBUG;
}

guint64
kr_log_count (GLogLevelFlags level)
{
  guint64 count;

  g_mutex_lock (&mutex);
  count = counts[count_of (level)];
  g_mutex_unlock (&mutex);
  return count;
}

static const char *
string_field (const GLogField *field)
{
  return field->length < 0 ? field->value : NULL;
}

static Line
find_line (const GLogField *fields, gsize n_fields)
{
  Line line = {.message = "", .file = default_file};

  for (gsize i = 0; i < n_fields; i++) {
    const char *value = string_field (&fields[i]);

    if (value == NULL)
      continue;
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      line.message = value;
    else if (strcmp (fields[i].key, "GLIB_DOMAIN") == 0)
      line.domain = value;
    else if (strcmp (fields[i].key, "KEEPROLLING_FILE") == 0)
      line.file = value;
    else if (strcmp (fields[i].key, "KEEPROLLING_PIPELINE") == 0)
      line.pipeline = value;
  }
  return line;
}

/* Takes a token for @line; FALSE if it is to be left out. @ret_left_out: how many lines before
 * it were. */
static gboolean
may_speak (const Line *line, Count level, guint64 *ret_left_out)
{
  guint hash = g_str_hash (line->domain != NULL ? line->domain : "") ^
               g_str_hash (line->file != NULL ? line->file : "") * 31 ^
               g_str_hash (line->pipeline != NULL ? line->pipeline : "") * 17 ^ (guint)level;
  Bucket *bucket = &buckets[hash % N_BUCKETS];
  gint64 now = g_get_monotonic_time ();
  gboolean may;

  *ret_left_out = 0;
  g_mutex_lock (&mutex);
  counts[level]++;
  if (bucket->refilled_us == 0)
    bucket->tokens = BURST;
  else
    bucket->tokens = MIN (BURST, bucket->tokens + (double)(now - bucket->refilled_us) *
                                                      PER_SECOND / G_USEC_PER_SEC);
  bucket->refilled_us = now;
  may = level == COUNT_DEBUG || bucket->tokens >= 1;
  if (may) {
    bucket->tokens -= level == COUNT_DEBUG ? 0 : 1;
    *ret_left_out = bucket->left_out;
    bucket->left_out = 0;
  } else {
    bucket->left_out++;
  }
  g_mutex_unlock (&mutex);
  return may;
}

/* A message from a peer must not look like two lines of ours. */
static void
flatten (char *text)
{
  for (; *text != '\0'; text++) {
    if ((guchar)*text < 0x20 || *text == 0x7f)
      *text = ' ';
  }
}

static char *
make_text (const Line *line, guint64 left_out)
{
  GString *text = g_string_new (NULL);
  g_autofree char *clean = kr_redact (line->message);

  if (line->domain != NULL && strcmp (line->domain, DOMAIN) != 0)
    g_string_append_printf (text, "[%s] ", line->domain);
  g_string_append (text, clean);
  if (left_out > 0)
    g_string_append_printf (
        text, " (%" G_GUINT64_FORMAT " lines before this one were left out)", left_out);
  flatten (text->str);
  return g_string_free (text, FALSE);
}

static const char *
level_word (GLogLevelFlags level)
{
  switch (count_of (level)) {
  case COUNT_CRITICAL:
    return "CRITICAL: ";
  case COUNT_WARNING:
    return "warning: ";
  case COUNT_DEBUG:
    return "debug: ";
  case COUNT_MESSAGE:
  case COUNT_INFO:
  case N_COUNTS:
    break;
  }
  return "";
}

static void
write_line (GLogLevelFlags level, const Line *line, const char *text)
{
  gint64 now = g_get_real_time ();
  g_autoptr (GDateTime) seconds = g_date_time_new_from_unix_utc (now / G_USEC_PER_SEC);
  g_autofree char *time = g_date_time_format (seconds, "%Y-%m-%dT%H:%M:%S");
  GString *out = g_string_new (NULL);
  struct pollfd item = {.fd = STDERR_FILENO, .events = POLLOUT};

  g_string_printf (out, "%s.%03dZ ", time, (int)(now % G_USEC_PER_SEC / 1000));
  if (line->file != NULL)
    g_string_append (out, line->file);
  if (line->pipeline != NULL)
    g_string_append_printf (out, "%s%s", line->file != NULL ? "/" : "", line->pipeline);
  if (line->file != NULL || line->pipeline != NULL)
    g_string_append (out, ": ");
  g_string_append (out, level_word (level));
  g_string_append (out, text);
  if (out->len > MAX_LINE)
    g_string_truncate (out, MAX_LINE);
  g_string_append_c (out, '\n');
  /* A reader that has stopped reading must not stop a recording: then the line is lost. */
  if (poll (&item, 1, 0) == 1 && write (STDERR_FILENO, out->str, out->len) < 0)
    (void)0;
  g_string_free (out, TRUE);
}

/* As write_line(), but the journal keeps time and subject as fields. */
static void
write_journal (GLogLevelFlags level, const Line *line, const char *text)
{
  GLogField fields[6];
  gsize n = 0;
  g_autofree char *message = NULL;

  message = line->file != NULL || line->pipeline != NULL
                ? g_strdup_printf ("%s%s%s: %s", line->file != NULL ? line->file : "",
                                   line->file != NULL && line->pipeline != NULL ? "/" : "",
                                   line->pipeline != NULL ? line->pipeline : "", text)
                : g_strdup (text);
  fields[n++] = (GLogField){"MESSAGE", message, -1};
  /* syslog's numbers: 2 critical, 4 warning, 5 notice, 6 info, 7 debug */
  fields[n++] = (GLogField){
      "PRIORITY", ((const char *const[]){"2", "4", "5", "6", "7"})[count_of (level)], -1};
  fields[n++] = (GLogField){"SYSLOG_IDENTIFIER", DOMAIN, -1};
  fields[n++] = (GLogField){"GLIB_DOMAIN", line->domain != NULL ? line->domain : DOMAIN, -1};
  if (line->file != NULL)
    fields[n++] = (GLogField){"KEEPROLLING_FILE", line->file, -1};
  if (line->pipeline != NULL)
    fields[n++] = (GLogField){"KEEPROLLING_PIPELINE", line->pipeline, -1};
  g_log_writer_journald (level, fields, n, NULL);
}

static GLogWriterOutput
writer (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  Line line = find_line (fields, n_fields);
  g_autofree char *text = NULL;
  guint64 left_out;

  if (g_log_writer_default_would_drop (level, line.domain))
    return G_LOG_WRITER_HANDLED;
  if (!may_speak (&line, count_of (level), &left_out))
    return G_LOG_WRITER_HANDLED;
  text = make_text (&line, left_out);
  if (to_journal)
    write_journal (level, &line, text);
  else
    write_line (level, &line, text);
  return G_LOG_WRITER_HANDLED;
}

void
kr_log_set_name (const char *name)
{
  default_file = name != NULL ? g_intern_string (name) : NULL;
}

void
kr_log_setup (const char *name)
{
  kr_log_set_name (name);
  to_journal = g_log_writer_is_journald (STDERR_FILENO);
  g_log_set_writer_func (writer, NULL, NULL);
}

void
kr_log (GLogLevelFlags level, const char *file, const char *pipeline, const char *format, ...)
{
  GLogField fields[4];
  gsize n = 0;
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  fields[n++] = (GLogField){"MESSAGE", message, -1};
  fields[n++] = (GLogField){"GLIB_DOMAIN", DOMAIN, -1};
  if (file != NULL)
    fields[n++] = (GLogField){"KEEPROLLING_FILE", file, -1};
  if (pipeline != NULL)
    fields[n++] = (GLogField){"KEEPROLLING_PIPELINE", pipeline, -1};
  g_log_structured_array (level, fields, n);
}
