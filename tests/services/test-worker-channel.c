/* keeprolling - tests of services/worker-channel
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/services/worker-channel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <glib-unix.h>

#include "tests/support/kr-test.h"

/* --- what a line carries --------------------------------------------------------------- */

static KrWorkerMessage *
round_trip (KrWorkerMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (KrWorkerMessage) sent = message;
  g_autoptr (GBytes) line = kr_worker_message_encode (sent, &error);
  KrWorkerMessage *got;
  gsize length;
  const char *bytes;

  g_assert_no_error (error);
  bytes = g_bytes_get_data (line, &length);
  g_assert_cmpint (bytes[length - 1], ==, '\n');
  g_assert_null (memchr (bytes, '\n', length - 1));
  got = kr_worker_message_decode (bytes, length, &error);
  g_assert_no_error (error);
  g_assert_cmpint (got->type, ==, sent->type);
  return got;
}

static void
test_config (void)
{
  g_autoptr (GHashTable) set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (KrWorkerMessage) got = NULL;

  g_hash_table_insert (set, g_strdup ("SRT_URI"), g_strdup ("srt://h:1?passphrase=\"x\""));
  g_hash_table_insert (set, g_strdup ("EMPTY"), g_strdup (""));
  got = round_trip (kr_worker_message_new_config (
      "a b/ü.pipeline", "[Pipeline a]\n\tLaunch = \"x\"\n", set, "i-1"));
  g_assert_cmpstr (got->path, ==, "a b/ü.pipeline");
  g_assert_cmpstr (got->text, ==, "[Pipeline a]\n\tLaunch = \"x\"\n");
  g_assert_cmpstr (got->instance, ==, "i-1");
  g_assert_cmpuint (g_hash_table_size (got->set), ==, 2);
  g_assert_cmpstr (g_hash_table_lookup (got->set, "SRT_URI"), ==, "srt://h:1?passphrase=\"x\"");
  g_assert_cmpstr (g_hash_table_lookup (got->set, "EMPTY"), ==, "");
}

static void
test_small_messages (void)
{
  g_autoptr (KrWorkerMessage) stop =
      round_trip (kr_worker_message_new (KR_WORKER_MESSAGE_STOP));
  g_autoptr (KrWorkerMessage) hello =
      round_trip (kr_worker_message_new_hello (77, "0.1", "i-2"));
  g_autoptr (KrWorkerMessage) bye = round_trip (kr_worker_message_new_bye (74));

  g_assert_cmpint (stop->type, ==, KR_WORKER_MESSAGE_STOP);
  g_assert_cmpint (hello->pid, ==, 77);
  g_assert_cmpstr (hello->version, ==, "0.1");
  g_assert_cmpstr (hello->instance, ==, "i-2");
  g_assert_cmpint (bye->code, ==, 74);
}

static void
test_event (void)
{
  GVariantDict dict;
  g_autoptr (KrWorkerMessage) got = NULL;
  g_autoptr (KrWorkerMessage) bare = NULL;
  const char *location = NULL;
  gint64 bytes = 0;
  double rate = 0;
  gboolean durable = FALSE;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "location", "s", "a.ts");
  g_variant_dict_insert (&dict, "bytes", "x", G_MAXINT64);
  g_variant_dict_insert (&dict, "rate", "d", 0.1);
  g_variant_dict_insert (&dict, "durable", "b", TRUE);
  got = round_trip (kr_worker_message_new_event ("cam1", KR_WORKER_EVENT_SEGMENT, "closed a.ts",
                                                 g_variant_dict_end (&dict)));
  g_assert_cmpstr (got->pipeline, ==, "cam1");
  g_assert_cmpint (got->kind, ==, KR_WORKER_EVENT_SEGMENT);
  g_assert_cmpstr (got->text, ==, "closed a.ts");
  g_assert_true (g_variant_lookup (got->details, "location", "&s", &location));
  g_assert_cmpstr (location, ==, "a.ts");
  g_assert_true (g_variant_lookup (got->details, "bytes", "x", &bytes));
  g_assert_cmpint (bytes, ==, G_MAXINT64);
  g_assert_true (g_variant_lookup (got->details, "rate", "d", &rate));
  g_assert_true (rate == 0.1);
  g_assert_true (g_variant_lookup (got->details, "durable", "b", &durable));
  g_assert_true (durable);

  bare = round_trip (kr_worker_message_new_event ("", KR_WORKER_EVENT_FAILED, "gone", NULL));
  g_assert_null (bare->details);
}

/* Every word of the struct is set before the trip; a member that the codec forgot comes out as
 * zeros. Strings are compared one by one. */
static void
test_report_carries_every_member (void)
{
  g_autoptr (GPtrArray) reports =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_report_free);
  KrPipelineReport *report = g_new (KrPipelineReport, 1);
  g_autoptr (KrWorkerMessage) got = NULL;
  KrPipelineReport *back;

  memset (report, 0x11, sizeof *report);
  report->name = g_strdup ("cam1");
  report->camera = g_strdup ("north");
  report->state = KR_PIPELINE_RECONNECTING;
  report->has_growth = report->stalled = report->disk_full = TRUE;
  report->stall_reason = g_strdup ("no-input");
  report->segment_path = g_strdup ("out/a.recording.ts");
  report->last_reason = g_strdup ("because");
  report->blocked_by = g_strdup ("x264enc0");
  report->discontinuities = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  kr_pipeline_report_count (report->discontinuities, "jump-back", 3);
  kr_pipeline_report_count (report->discontinuities, "gap", 1);
  report->restart_causes = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  kr_pipeline_report_count (report->restart_causes, "source", 2);
  report->drops = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  kr_pipeline_report_count (report->drops, KR_DROP_SINK, 5);
  report->correction_kinds = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  kr_pipeline_report_count (report->correction_kinds, KR_CORRECTION_NUDGED, 6);
  report->io_errors = g_array_new (FALSE, TRUE, sizeof (KrNamedCount));
  kr_pipeline_report_count (report->io_errors, "fsync EIO", 1);
  report->source_stats = g_array_new (FALSE, TRUE, sizeof (KrNamedValue));
  kr_pipeline_report_add_value (report->source_stats, &kr_srt_stats[0], 12.5);
  g_ptr_array_add (reports, report);

  got = round_trip (kr_worker_message_new_report (reports, 123456789, 42));
  g_assert_cmpuint (got->rss, ==, 123456789);
  g_assert_cmpint (got->io_age_us, ==, 42);
  g_assert_cmpuint (got->pipelines->len, ==, 1);
  back = got->pipelines->pdata[0];
  for (gsize i = 0; i + 8 <= sizeof *report; i += 8) {
    static const char zeros[8];

    if (memcmp ((char *)back + i, zeros, 8) == 0)
      g_error ("the member at byte %" G_GSIZE_FORMAT " of KrPipelineReport is not sent", i);
  }
  g_assert_cmpstr (back->name, ==, "cam1");
  g_assert_cmpstr (back->camera, ==, "north");
  g_assert_cmpint (back->state, ==, KR_PIPELINE_RECONNECTING);
  g_assert_cmpstr (back->stall_reason, ==, "no-input");
  g_assert_cmpstr (back->segment_path, ==, "out/a.recording.ts");
  g_assert_cmpstr (back->last_reason, ==, "because");
  g_assert_cmpstr (back->blocked_by, ==, "x264enc0");
  g_assert_true (back->has_growth && back->stalled && back->disk_full);
  g_assert_cmpuint (back->corrections, ==, report->corrections);
  g_assert_cmpint (back->last_sync_utc_us, ==, report->last_sync_utc_us);
  g_assert_true (back->drift_ppm == report->drift_ppm);
  g_assert_cmpuint (back->sources, ==, 0x11111111);
  g_assert_cmpuint (back->sources_silent, ==, 0x11111111);
  g_assert_cmpuint (back->source_stats->len, ==, 1);
  g_assert_true (g_array_index (back->source_stats, KrNamedValue, 0).value == 12.5);
  g_assert_cmpuint (back->discontinuities->len, ==, 2);
  g_assert_cmpstr (g_array_index (back->discontinuities, KrNamedCount, 0).name, ==,
                   "jump-back");
  g_assert_cmpuint (g_array_index (back->discontinuities, KrNamedCount, 0).count, ==, 3);
  g_assert_cmpmem (&back->syncs, sizeof back->syncs, &report->syncs, sizeof report->syncs);
  g_assert_cmpmem (&back->finalises, sizeof back->finalises, &report->finalises,
                   sizeof report->finalises);
  g_assert_cmpuint (g_array_index (back->restart_causes, KrNamedCount, 0).count, ==, 2);
  g_assert_cmpuint (kr_pipeline_report_get_count (back->drops, "sink"), ==, 5);
  g_assert_cmpuint (kr_pipeline_report_get_count (back->correction_kinds, "nudged"), ==, 6);
  g_assert_cmpuint (kr_pipeline_report_get_count (back->drops, "nowhere"), ==, 0);
  g_assert_cmpstr (g_array_index (back->io_errors, KrNamedCount, 0).name, ==, "fsync EIO");
}

static void
test_report_with_odd_values (void)
{
  g_autoptr (GPtrArray) reports =
      g_ptr_array_new_with_free_func ((GDestroyNotify)kr_pipeline_report_free);
  KrPipelineReport *report = kr_pipeline_report_new ("a");
  g_autoptr (KrWorkerMessage) got = NULL;
  KrPipelineReport *back;

  report->rate = (double)INFINITY;
  report->drift_ppm = (double)NAN;
  report->received_bytes = G_MAXUINT64;
  report->segment_path = g_strdup ("caf\xe9.ts"); /* a Latin-1 file name */
  g_ptr_array_add (reports, report);
  got = round_trip (kr_worker_message_new_report (reports, 0, -1));
  back = got->pipelines->pdata[0];
  g_assert_true (back->rate == 0);
  g_assert_true (back->drift_ppm == 0);
  g_assert_true (back->last_recovery_s == -1);
  g_assert_cmpuint (back->received_bytes, ==, G_MAXINT64);
  g_assert_cmpstr (back->segment_path, ==, "caf\xef\xbf\xbd.ts");
  g_assert_null (back->stall_reason);
}

static void
test_too_long_is_refused (void)
{
  g_autofree char *text = g_strnfill (KR_WORKER_CHANNEL_MAX_LINE, 'x');
  g_autoptr (KrWorkerMessage) message = kr_worker_message_new_config ("p", text, NULL, "i");
  g_autoptr (GError) error = NULL;

  g_assert_null (kr_worker_message_encode (message, &error));
  g_assert_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_TOO_LONG);
}

/* --- bytes that make no sense ------------------------------------------------------------ */

static void
assert_garbled (const char *line, gsize length, const char *word)
{
  g_autoptr (GError) error = NULL;
  KrWorkerMessage *message = kr_worker_message_decode (line, length, &error);

  if (message != NULL)
    g_error ("taken for a message: %.60s", line);
  g_assert_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_GARBLED);
  if (strstr (error->message, word) == NULL)
    g_error ("\"%s\" does not name \"%s\"", error->message, word);
}

static void
test_garbled (void)
{
  static const struct {
    const char *line;
    const char *word;
  } lines[] = {
      {"", "not a JSON object"},
      {"{", "not JSON"},
      {"[]", "not a JSON object"},
      {"7", "not a JSON object"},
      {"null", "not a JSON object"},
      {"{}", "\"type\" is missing"},
      {"{\"type\":1}", "\"type\" is not a string"},
      {"{\"type\":\"dance\"}", "dance"},
      {"{\"type\":\"stop\"} // x", "stray"},
      {"x = {\"type\":\"stop\"}", "stray"},
      {"{\"type\":\"hello\"}", "version"},
      {"{\"type\":\"hello\",\"pid\":-1,\"version\":\"\",\"instance\":\"\"}", "pid"},
      {"{\"type\":\"hello\",\"pid\":\"1\",\"version\":\"\",\"instance\":\"\"}", "pid"},
      {"{\"type\":\"bye\"}", "code"},
      {"{\"type\":\"bye\",\"code\":999}", "code"},
      {"{\"type\":\"event\",\"pipeline\":\"a\",\"kind\":\"party\",\"text\":\"\"}", "party"},
      {"{\"type\":\"event\",\"pipeline\":\"a\",\"kind\":\"stall\"}", "text"},
      {"{\"type\":\"event\",\"pipeline\":\"\\ud800\",\"kind\":\"stall\",\"text\":\"\"}", ""},
      {"{\"type\":\"report\"}", "pipelines"},
      {"{\"type\":\"report\",\"pipelines\":{}}", "pipelines"},
      {"{\"type\":\"report\",\"pipelines\":[1]}", "report"},
      {"{\"type\":\"report\",\"pipelines\":[{}]}", "name"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\"}]}", "state"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"x\"}]}", "state"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"idle\",\"buffers\":-1}]"
       "}",
       "buffers"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"idle\",\"rate\":\"x\"}]"
       "}",
       "rate"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"idle\",\"rate\":1e999}]"
       "}",
       "rate"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"idle\",\"stalled\":1}]"
       "}",
       "stalled"},
      {"{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"idle\","
       "\"discontinuities\":[]}]}",
       "discontinuities"},
      {"{\"type\":\"config\",\"path\":\"\",\"text\":\"\",\"instance\":\"\",\"set\":{\"A\":1}}",
       "\"A\""},
  };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    assert_garbled (lines[i].line, strlen (lines[i].line), lines[i].word);
  assert_garbled ("{\"type\":\0\"stop\"}", 17, "UTF-8");
  assert_garbled ("{\"type\":\"\xff\"}", 12, "UTF-8");
}

static void
test_nesting_is_bounded (void)
{
  g_autofree char *brackets = g_strnfill (KR_WORKER_CHANNEL_MAX_LINE, '[');
  g_autofree char *hidden = g_strconcat ("/*\"*/", brackets + 10, NULL);

  assert_garbled (brackets, KR_WORKER_CHANNEL_MAX_LINE, "deep");
  assert_garbled (hidden, strlen (hidden), "stray");
}

static void
test_unknown_fields_are_ignored (void)
{
  static const char line[] = "{\"type\":\"bye\",\"new\":[{}],\"code\":0,\"pipelines\":7}";
  g_autoptr (GError) error = NULL;
  g_autoptr (KrWorkerMessage) message = kr_worker_message_decode (line, strlen (line), &error);

  g_assert_no_error (error);
  g_assert_cmpint (message->code, ==, 0);
}

static void
test_count_names_are_bounded (void)
{
  gboolean refused = FALSE;

  for (guint i = 0; i < 1000 && !refused; i++) {
    g_autofree char *line = g_strdup_printf (
        "{\"type\":\"report\",\"pipelines\":[{\"name\":\"a\",\"state\":\"idle\","
        "\"discontinuities\":{\"made-up-%u\":1}}]}",
        i);
    g_autoptr (GError) error = NULL;
    g_autoptr (KrWorkerMessage) message =
        kr_worker_message_decode (line, strlen (line), &error);

    refused = message == NULL;
  }
  g_assert_true (refused);
}

/* Good lines with bytes changed, cut, doubled: each is a message or an error, never a crash. */
static void
test_mutations (void)
{
  static const char *const seeds[] = {
      "{\"type\":\"report\",\"pipelines\":[{\"name\":\"cam1\",\"camera\":\"north\",\"rate\":1."
      "5e3,"
      "\"state\":\"playing\",\"stalled\":false,\"discontinuities\":{\"gap\":2}},{\"name\":"
      "\"b\","
      "\"state\":\"idle\"}],\"rss\":1000,\"io_age_us\":-1}",
      "{\"type\":\"event\",\"pipeline\":\"cam1\",\"kind\":\"segment\",\"text\":\"\\u00fc\\n\","
      "\"details\":{\"a\":1,\"b\":true,\"c\":null,\"d\":\"\\ud83d\\ude00\",\"e\":[1]}}",
      "{\"type\":\"config\",\"path\":\"p\",\"text\":\"t\",\"set\":{\"A\":\"b\"},\"instance\":"
      "\"i\"}",
      "{\"type\":\"hello\",\"pid\":77,\"version\":\"0.1\",\"instance\":\"i\"}",
      "{\"type\":\"bye\",\"code\":74}",
  };
  static const char alphabet[] = "{}[]:,\"\\u0d8-+.eE19 \ntfn\x80\xc3\xff";
  const char *option = g_getenv ("KR_TEST_FUZZ_ROUNDS");
  guint rounds = option != NULL ? (guint)atoi (option) : 20000;
  guint taken = 0;

  for (guint round = 0; round < rounds; round++) {
    const char *seed = seeds[g_test_rand_int_range (0, G_N_ELEMENTS (seeds))];
    g_autoptr (GByteArray) line = g_byte_array_new ();
    guint changes = (guint)g_test_rand_int_range (1, 6);
    g_autoptr (GError) error = NULL;
    KrWorkerMessage *message;

    g_byte_array_append (line, (const guint8 *)seed, (guint)strlen (seed));
    for (guint i = 0; i < changes && line->len > 1; i++) {
      guint at = (guint)g_test_rand_int_range (0, (gint32)line->len);
      char c = alphabet[g_test_rand_int_range (0, sizeof alphabet)];

      switch (g_test_rand_int_range (0, 4)) {
      case 0:
        line->data[at] = (guint8)c;
        break;
      case 1:
        g_byte_array_remove_range (line, at, MIN (line->len - at, 1 + at % 7));
        break;
      case 2: /* a piece of it again */
        g_byte_array_append (line, (const guint8 *)seed, MIN (at, (guint)strlen (seed)));
        break;
      default:
        g_byte_array_append (line, (const guint8 *)&c, 1);
        break;
      }
    }
    message = kr_worker_message_decode ((const char *)line->data, line->len, &error);
    g_assert_true ((message == NULL) == (error != NULL));
    if (message != NULL) {
      /* What was taken can be said again. */
      g_autoptr (GBytes) again = kr_worker_message_encode (message, NULL);

      g_assert_nonnull (again);
      taken++;
    }
    kr_worker_message_free (message);
  }
  g_test_message ("%u of %u mutations were still messages", taken, rounds);
  g_assert_cmpuint (taken, >, 0);
}

/* --- the line itself -------------------------------------------------------------------- */

typedef struct {
  KrWorkerChannel *channel;
  GString *log; /* one word per callback */
  guint n_messages;
  gboolean free_at_message;
} End;

static void
on_message (KrWorkerChannel *channel, const KrWorkerMessage *message, gpointer data)
{
  End *end = data;

  end->n_messages++;
  if (end->n_messages <= 8)
    g_string_append_printf (end->log, "message:%d ", message->type);
  if (end->free_at_message)
    g_clear_pointer (&end->channel, kr_worker_channel_free);
}

static void
on_garbled (KrWorkerChannel *channel, const GError *error, gpointer data)
{
  End *end = data;

  g_string_append_printf (end->log, "garbled:%d ", error->code);
}

static void
on_closed (KrWorkerChannel *channel, const GError *error, gpointer data)
{
  End *end = data;

  g_string_append (end->log, error == NULL ? "closed" : "broken");
}

static const KrWorkerChannelCallbacks callbacks = {
    .message = on_message,
    .garbled = on_garbled,
    .closed = on_closed,
};

static void
end_init (End *end, int fd)
{
  end->channel = kr_worker_channel_new (fd, &callbacks, end);
  end->log = g_string_new (NULL);
  end->n_messages = 0;
  end->free_at_message = FALSE;
}

static void
end_clear (End *end)
{
  g_clear_pointer (&end->channel, kr_worker_channel_free);
  g_string_free (end->log, TRUE);
}

static void
make_pair (int fds[2])
{
  g_autoptr (GError) error = NULL;

  kr_worker_channel_pair (&fds[0], &fds[1], &error);
  g_assert_no_error (error);
}

static void
write_all (int fd, const char *bytes, gsize length)
{
  while (length > 0) {
    ssize_t n = write (fd, bytes, length);

    if (n < 0) {
      g_main_context_iteration (NULL, FALSE);
      continue;
    }
    bytes += n;
    length -= (gsize)n;
  }
}

static void
test_talk_both_ways (void)
{
  g_autoptr (KrWorkerMessage) stop = kr_worker_message_new (KR_WORKER_MESSAGE_STOP);
  g_autoptr (KrWorkerMessage) bye = kr_worker_message_new_bye (0);
  g_autoptr (GError) error = NULL;
  End ours, theirs;
  int fds[2];

  make_pair (fds);
  end_init (&ours, fds[0]);
  end_init (&theirs, fds[1]);
  g_assert_true (kr_worker_channel_send (ours.channel, stop, &error));
  kr_test_wait (theirs.n_messages == 1, 30);
  g_assert_true (kr_worker_channel_send (theirs.channel, bye, &error));
  g_assert_true (kr_worker_channel_flush (theirs.channel, 1000));
  g_clear_pointer (&theirs.channel, kr_worker_channel_free);
  kr_test_wait (strstr (ours.log->str, "closed") != NULL, 30);
  g_assert_cmpstr (ours.log->str, ==, "message:5 closed");
  g_assert_false (kr_worker_channel_send (ours.channel, stop, &error));
  g_assert_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_CLOSED);
  end_clear (&ours);
  end_clear (&theirs);
}

static void
test_lines_in_pieces_and_in_one (void)
{
  static const char bytes[] = "{\"type\":\"stop\"}\nnonsense\n{\"type\":\"bye\",\"code\":1}\n"
                              "{\"type\":\"stop\"}"; /* the last never ends */
  End end;
  int fds[2];

  for (gsize piece = 1; piece < sizeof bytes; piece += 7) {
    make_pair (fds);
    end_init (&end, fds[0]);
    for (gsize at = 0; at < sizeof bytes - 1; at += piece) {
      write_all (fds[1], bytes + at, MIN (piece, sizeof bytes - 1 - at));
      g_main_context_iteration (NULL, FALSE);
    }
    close (fds[1]);
    kr_test_wait (strstr (end.log->str, "closed") != NULL, 30);
    g_assert_cmpstr (end.log->str, ==, "message:1 garbled:0 message:5 closed");
    end_clear (&end);
  }
}

/* The line goes to another channel in the middle of a message. */
static void
test_detached (void)
{
  static const char bytes[] = "{\"type\":\"bye\",\"code\":1}\n";
  End first, second;
  int fds[2];

  for (gsize cut = 0; cut < sizeof bytes - 1; cut++) {
    g_autoptr (GBytes) rest = NULL;
    int fd;

    make_pair (fds);
    end_init (&first, fds[0]);
    write_all (fds[1], bytes, cut);
    while (g_main_context_iteration (NULL, FALSE))
      ;
    g_assert_true (kr_worker_channel_can_detach (first.channel));
    fd = kr_worker_channel_detach (first.channel, &rest);
    g_assert_cmpint (fd, ==, fds[0]);
    g_assert_cmpuint (g_bytes_get_size (rest), ==, cut);
    g_assert_false (kr_worker_channel_can_detach (first.channel));
    end_clear (&first);
    write_all (fds[1], bytes + cut, sizeof bytes - 1 - cut);
    end_init (&second, fd);
    kr_worker_channel_restore (second.channel, rest);
    kr_test_wait (second.n_messages == 1, 30);
    g_assert_cmpstr (second.log->str, ==, "message:5 ");
    close (fds[1]);
    end_clear (&second);
  }
}

static void
test_endless_line (void)
{
  g_autofree char *chunk = g_strnfill (60000, 'x');
  End end;
  int fds[2];

  make_pair (fds);
  end_init (&end, fds[0]);
  g_unix_set_fd_nonblocking (fds[1], TRUE, NULL);
  for (guint i = 0; i < 100; i++)
    write_all (fds[1], chunk, 60000);
  write_all (fds[1], "\n{\"type\":\"stop\"}\n", 17);
  kr_test_wait (end.n_messages == 1, 60);
  g_assert_cmpstr (end.log->str, ==, "garbled:1 message:1 ");
  close (fds[1]);
  end_clear (&end);
}

static void
test_queue_is_bounded_and_order_kept (void)
{
  g_autofree char *text = g_strnfill (100000, 'x');
  g_autoptr (GError) error = NULL;
  End ours, theirs;
  guint sent = 0;
  int fds[2];

  make_pair (fds);
  end_init (&ours, fds[0]);
  for (guint i = 0; i < 1000; i++) {
    g_autoptr (KrWorkerMessage) message =
        kr_worker_message_new_event ("a", KR_WORKER_EVENT_STATE, text, NULL);

    if (!kr_worker_channel_send (ours.channel, message, &error))
      break;
    sent++;
  }
  g_assert_error (error, KR_WORKER_CHANNEL_ERROR, KR_WORKER_CHANNEL_ERROR_FULL);
  g_assert_false (kr_worker_channel_flush (ours.channel, 1));
  /* As soon as somebody reads, all that was taken arrives. */
  end_init (&theirs, fds[1]);
  kr_test_wait (theirs.n_messages == sent, 60);
  g_assert_true (kr_worker_channel_flush (ours.channel, 1000));
  g_assert_null (strstr (theirs.log->str, "garbled"));
  end_clear (&ours);
  end_clear (&theirs);
}

static void
test_peer_dies_while_much_waits (void)
{
  g_autofree char *text = g_strnfill (1000000, 'x');
  g_autoptr (KrWorkerMessage) message =
      kr_worker_message_new_event ("a", KR_WORKER_EVENT_STATE, text, NULL);
  End end;
  int fds[2];

  make_pair (fds);
  end_init (&end, fds[0]);
  g_assert_true (kr_worker_channel_send (end.channel, message, NULL));
  close (fds[1]);
  kr_test_wait (strstr (end.log->str, "closed") != NULL, 30);
  g_assert_cmpstr (end.log->str, ==, "closed");
  end_clear (&end);
}

static void
test_freed_in_a_callback (void)
{
  End end;
  int fds[2];

  make_pair (fds);
  end_init (&end, fds[0]);
  end.free_at_message = TRUE;
  write_all (fds[1], "{\"type\":\"stop\"}\n{\"type\":\"stop\"}\n", 32);
  kr_test_wait (end.channel == NULL, 30);
  g_assert_cmpstr (end.log->str, ==, "message:1 ");
  close (fds[1]);
  end_clear (&end);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kr_test_deadline (300);
  g_test_add_func ("/services/worker-channel/config", test_config);
  g_test_add_func ("/services/worker-channel/small-messages", test_small_messages);
  g_test_add_func ("/services/worker-channel/event", test_event);
  g_test_add_func ("/services/worker-channel/report", test_report_carries_every_member);
  g_test_add_func ("/services/worker-channel/report-odd", test_report_with_odd_values);
  g_test_add_func ("/services/worker-channel/too-long", test_too_long_is_refused);
  g_test_add_func ("/services/worker-channel/garbled", test_garbled);
  g_test_add_func ("/services/worker-channel/nesting", test_nesting_is_bounded);
  g_test_add_func ("/services/worker-channel/unknown-fields", test_unknown_fields_are_ignored);
  g_test_add_func ("/services/worker-channel/count-names", test_count_names_are_bounded);
  g_test_add_func ("/services/worker-channel/mutations", test_mutations);
  g_test_add_func ("/services/worker-channel/both-ways", test_talk_both_ways);
  g_test_add_func ("/services/worker-channel/pieces", test_lines_in_pieces_and_in_one);
  g_test_add_func ("/services/worker-channel/detached", test_detached);
  g_test_add_func ("/services/worker-channel/endless-line", test_endless_line);
  g_test_add_func ("/services/worker-channel/queue", test_queue_is_bounded_and_order_kept);
  g_test_add_func ("/services/worker-channel/peer-dies", test_peer_dies_while_much_waits);
  g_test_add_func ("/services/worker-channel/freed-in-callback", test_freed_in_a_callback);
  return g_test_run ();
}
