/* keeprolling - analyze: timing and continuity of transport streams
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/core/ts-analysis.h"
#include "plugins/common/stream-guess.h"

#define BLOCK (1024 * 1024)
#define ANY   "any"

typedef struct {
  gboolean json, fail;
  char *fail_kinds; /* NULL: any */
  gboolean found;   /* what --fail asks for */
} Analyze;

/* --- reading ------------------------------------------------------------------------- */

/* Returns (transfer full): the report, or NULL with a message printed and @code set. */
static KrTsReport *
analyze_file (const char *path, int *ret_code)
{
  g_autoptr (KrTsAnalysis) analysis = kr_ts_analysis_new (NULL);
  g_autofree guint8 *block = g_malloc (BLOCK);
  g_autoptr (KrTsReport) report = NULL;
  guint8 head[KR_STREAM_GUESS_BYTES];
  gsize n_head = 0;
  gboolean standard_input = strcmp (path, "-") == 0;
  int fd = standard_input ? STDIN_FILENO : open (path, O_RDONLY | O_CLOEXEC);
  int saved = errno;
  gssize n = 0;

  if (fd >= 0) {
    posix_fadvise (fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((n = read (fd, block, BLOCK)) > 0 || (n < 0 && errno == EINTR)) {
      gsize part = MIN ((gsize)MAX (n, 0), sizeof head - n_head);

      memcpy (head + n_head, block, part);
      n_head += part;
      if (n > 0)
        kr_ts_analysis_push (analysis, block, (gsize)n);
    }
    saved = errno;
    if (!standard_input)
      close (fd);
  }
  if (fd < 0 || n < 0) {
    *ret_code = kr_command_error (KR_EXIT_NO_INPUT, NULL, "cannot read %s: %s", path,
                                  g_strerror (saved));
    return NULL;
  }
  report = kr_ts_analysis_finish (analysis);
  if (report->packet_size == 0) {
    const char *guess = kr_stream_guess (head, n_head);

    if (n_head == 0)
      guess = "an empty file";
    *ret_code =
        kr_command_error (KR_EXIT_DATA, "give an MPEG transport stream (.ts)",
                          "%s: no transport stream packets found%s%s", path,
                          guess != NULL ? "; it looks like " : "", guess != NULL ? guess : "");
    return NULL;
  }
  return g_steal_pointer (&report);
}

/* --- text ---------------------------------------------------------------------------- */

static void
print_streams (const KrTsReport *report)
{
  for (guint i = 0; i < report->programs->len; i++) {
    const KrTsProgramReport *program = &g_array_index (report->programs, KrTsProgramReport, i);

    g_print ("  program %u: PMT on PID %u, PCR on PID %u\n", program->number, program->pmt_pid,
             program->pcr_pid);
  }
  for (guint i = 0; i < report->pcrs->len; i++) {
    const KrTsPcrReport *pcr = &g_array_index (report->pcrs, KrTsPcrReport, i);

    g_print ("  PCR %u: every %.1f ms (%.1f to %.1f)%s\n", pcr->pid, pcr->mean_ms, pcr->min_ms,
             pcr->max_ms, pcr->wraps > 0 ? ", wraps" : "");
  }
  for (guint i = 0; i < report->streams->len; i++) {
    const KrTsStreamReport *stream = &g_array_index (report->streams, KrTsStreamReport, i);

    g_print ("  stream %u: %s, %" G_GUINT64_FORMAT " PES packets", stream->pid,
             kr_ts_codec_name (stream->codec), stream->pes);
    if (stream->has_pts)
      g_print (" in %.3f s, every %.1f ms (%.1f to %.1f)", stream->span, stream->step_median_ms,
               stream->step_min_ms, stream->step_max_ms);
    if (stream->has_lead)
      g_print (", %.0f to %.0f ms ahead of the PCR", stream->lead_min_ms, stream->lead_max_ms);
    if (stream->scrambled > 0)
      g_print (", scrambled");
    g_print ("\n");
  }
}

static void
print_note (const KrTsNote *note)
{
  g_print ("      packet %" G_GUINT64_FORMAT ", PID %u", note->packet, note->pid);
  if (note->has_value && strcmp (note->unit, "counter") == 0)
    g_print (": counter %.0f where %u was due", note->value, note->expected);
  else if (note->has_value)
    g_print (": %.*f %s", strcmp (note->unit, "bytes") == 0 ? 0 : 3, note->value, note->unit);
  g_print ("\n");
}

static void
print_report (const char *path, const KrTsReport *report)
{
  guint64 total = 0;
  guint kinds = 0;

  g_print ("%s: %" G_GUINT64_FORMAT " packets of %u bytes", path, report->packets,
           report->packet_size);
  if (report->duration >= 0)
    g_print (", %.3f s at %.3f Mbit/s", report->duration, report->bitrate / 1e6);
  g_print ("\n");
  print_streams (report);
  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    const KrTsFinding *finding = &report->findings[i];
    guint64 n = finding->count + finding->signalled;

    if (n == 0)
      continue;
    total += n;
    kinds++;
    g_print ("  %s: %" G_GUINT64_FORMAT, kr_ts_finding_name (i), n);
    if (finding->signalled > 0)
      g_print (" (%" G_GUINT64_FORMAT " signalled)", finding->signalled);
    if (*kr_ts_finding_title (i) != '\0')
      g_print ("   TR 101 290 %s", kr_ts_finding_title (i));
    g_print ("\n");
    for (guint k = 0; k < finding->n_notes; k++)
      print_note (&finding->notes[k]);
  }
  if (total == 0)
    g_print ("  verdict: clean\n");
  else
    g_print ("  verdict: %" G_GUINT64_FORMAT " finding%s of %u kind%s\n", total,
             total == 1 ? "" : "s", kinds, kinds == 1 ? "" : "s");
}

/* --- JSON ---------------------------------------------------------------------------- */

static void
add_number (JsonBuilder *b, const char *name, guint64 value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_int_value (b, (gint64)value);
}

static void
add_double (JsonBuilder *b, const char *name, gdouble value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_double_value (b, value);
}

static void
add_string (JsonBuilder *b, const char *name, const char *value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_string_value (b, value);
}

static void
begin_numbered (JsonBuilder *b, guint number)
{
  g_autofree char *name = g_strdup_printf ("%u", number);

  json_builder_set_member_name (b, name);
  json_builder_begin_object (b);
}

static void
add_programs (JsonBuilder *b, const KrTsReport *report)
{
  json_builder_set_member_name (b, "programs");
  json_builder_begin_object (b);
  for (guint i = 0; i < report->programs->len; i++) {
    const KrTsProgramReport *program = &g_array_index (report->programs, KrTsProgramReport, i);

    begin_numbered (b, program->number);
    add_number (b, "pmt_pid", program->pmt_pid);
    add_number (b, "pcr_pid", program->pcr_pid);
    json_builder_end_object (b);
  }
  json_builder_end_object (b);
  json_builder_set_member_name (b, "pcr");
  json_builder_begin_object (b);
  for (guint i = 0; i < report->pcrs->len; i++) {
    const KrTsPcrReport *pcr = &g_array_index (report->pcrs, KrTsPcrReport, i);

    begin_numbered (b, pcr->pid);
    add_number (b, "count", pcr->count);
    add_number (b, "wraps", pcr->wraps);
    add_double (b, "min_ms", pcr->min_ms);
    add_double (b, "max_ms", pcr->max_ms);
    add_double (b, "mean_ms", pcr->mean_ms);
    add_number (b, "over_40ms", pcr->over_40ms);
    add_number (b, "over_100ms", pcr->over_100ms);
    add_number (b, "discontinuity_flags", pcr->discontinuity_flags);
    json_builder_end_object (b);
  }
  json_builder_end_object (b);
}

static void
add_streams (JsonBuilder *b, const KrTsReport *report)
{
  static const char *const kinds[] = {"other", "video", "audio"};

  json_builder_set_member_name (b, "streams");
  json_builder_begin_object (b);
  for (guint i = 0; i < report->streams->len; i++) {
    const KrTsStreamReport *stream = &g_array_index (report->streams, KrTsStreamReport, i);

    begin_numbered (b, stream->pid);
    add_string (b, "kind", kinds[stream->kind]);
    add_string (b, "codec", kr_ts_codec_name (stream->codec));
    add_number (b, "packets", stream->packets);
    add_number (b, "pes", stream->pes);
    add_number (b, "scrambled", stream->scrambled);
    add_number (b, "rai", stream->random_access);
    add_number (b, "no_pts", stream->no_pts);
    add_number (b, "with_dts", stream->with_dts);
    add_number (b, "dup_pes", stream->repeated_pes);
    if (stream->has_pts) {
      add_double (b, "first_pts", stream->first_pts);
      add_double (b, "span_s", stream->span);
      add_double (b, "dts_step_min_ms", stream->step_min_ms);
      add_double (b, "dts_step_median_ms", stream->step_median_ms);
      add_double (b, "dts_step_max_ms", stream->step_max_ms);
    }
    if (stream->has_lead) {
      add_double (b, "dts_minus_pcr_min_ms", stream->lead_min_ms);
      add_double (b, "dts_minus_pcr_mean_ms", stream->lead_mean_ms);
      add_double (b, "dts_minus_pcr_max_ms", stream->lead_max_ms);
    }
    if (stream->sample_rate != 0) {
      add_number (b, "sample_rate", stream->sample_rate);
      add_double (b, "coded_s", (gdouble)stream->samples / stream->sample_rate);
      add_double (b, "pts_vs_samples_ppm", stream->drift_ppm);
    }
    json_builder_end_object (b);
  }
  json_builder_end_object (b);
}

static void
add_events (JsonBuilder *b, const KrTsReport *report)
{
  json_builder_set_member_name (b, "events");
  json_builder_begin_object (b);
  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    const KrTsFinding *finding = &report->findings[i];

    if (finding->n_notes == 0)
      continue;
    json_builder_set_member_name (b, kr_ts_finding_name (i));
    json_builder_begin_array (b);
    for (guint k = 0; k < finding->n_notes; k++) {
      const KrTsNote *note = &finding->notes[k];

      json_builder_begin_object (b);
      add_number (b, "packet", note->packet);
      add_number (b, "pid", note->pid);
      if (note->has_value && strcmp (note->unit, "counter") == 0) {
        add_number (b, "expected", note->expected);
        add_number (b, "got", (guint64)note->value);
      } else if (note->has_value) {
        add_double (b, note->unit, note->value);
      }
      json_builder_end_object (b);
    }
    json_builder_end_array (b);
  }
  json_builder_end_object (b);
}

static void
print_json (const char *path, const KrTsReport *report)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;
  /* A name may be any bytes, JSON is UTF-8. */
  g_autofree char *name = g_utf8_make_valid (path, -1);
  gboolean clean = TRUE;

  json_builder_begin_object (b);
  add_string (b, "file", name);
  add_number (b, "bytes", report->bytes);
  add_number (b, "packets", report->packets);
  add_number (b, "packet_size", report->packet_size);
  add_number (b, "null_packets", report->null_packets);
  add_number (b, "trailing_bytes", report->trailing_bytes);
  if (report->duration >= 0) {
    add_double (b, "pcr_duration_s", report->duration);
    add_double (b, "bitrate", report->bitrate);
  }
  add_programs (b, report);
  add_streams (b, report);
  json_builder_set_member_name (b, "errors");
  json_builder_begin_object (b);
  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    const KrTsFinding *finding = &report->findings[i];
    g_autofree char *signalled = g_strconcat (kr_ts_finding_name (i), "_signalled", NULL);

    if (finding->count > 0)
      add_number (b, kr_ts_finding_name (i), finding->count);
    if (finding->signalled > 0)
      add_number (b, signalled, finding->signalled);
    clean &= finding->count + finding->signalled == 0;
  }
  json_builder_end_object (b);
  add_events (b, report);
  json_builder_set_member_name (b, "ok");
  json_builder_add_boolean_value (b, clean);
  json_builder_end_object (b);
  root = json_builder_get_root (b);
  text = json_to_string (root, FALSE);
  g_print ("%s\n", text);
}

/* --- the command --------------------------------------------------------------------- */

static Analyze analyze;

static gboolean
fail_option (const char *name, const char *value, gpointer data, GError **error)
{
  analyze.fail = TRUE;
  g_clear_pointer (&analyze.fail_kinds, g_free);
  if (g_strcmp0 (value, ANY) != 0)
    analyze.fail_kinds = g_strdup (value);
  return TRUE;
}

/* GOption would take the word behind a bare --fail for its value: a file. */
static void
complete_fail_option (int argc, char **argv)
{
  for (int i = 1; i < argc && strcmp (argv[i], "--") != 0; i++) {
    if (strcmp (argv[i], "--fail") == 0)
      argv[i] = (char *)"--fail=" ANY;
  }
}

/* FALSE: one of the names is not a kind of finding; it is left in *ret_bad (transfer full). */
static gboolean
look_for (const KrTsReport *report, const char *kinds, gboolean *ret_found, char **ret_bad)
{
  g_auto (GStrv) names = kinds != NULL ? g_strsplit (kinds, ",", -1) : NULL;

  for (guint i = 0; kinds == NULL && i < KR_TS_N_FINDINGS; i++)
    *ret_found |= report->findings[i].count + report->findings[i].signalled > 0;
  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    KrTsFindingKind kind;
    gboolean signalled;

    if (!kr_ts_finding_from_name (names[i], &kind, &signalled)) {
      *ret_bad = g_strdup (names[i]);
      return FALSE;
    }
    *ret_found |=
        signalled ? report->findings[kind].signalled > 0 : report->findings[kind].count > 0;
  }
  return TRUE;
}

static char *
kinds_text (void)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < KR_TS_N_FINDINGS; i++)
    g_string_append_printf (text, "%s%s", i == 0 ? "" : ", ", kr_ts_finding_name (i));
  return g_string_free (text, FALSE);
}

int
kr_cmd_analyze (int argc, char **argv)
{
  const GOptionEntry entries[] = {
      {"json", 0, 0, G_OPTION_ARG_NONE, &analyze.json, "one JSON object per file and line",
       NULL},
      {"fail", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK, fail_option,
       "exit 1 if anything, or one of KINDS (comma separated), was found", "KINDS"},
      {NULL}};
  g_autofree char *kinds = kinds_text ();
  g_autofree char *description = g_strconcat (
      "Kinds: ", kinds,
      ".\nEach may end in _signalled: ", "right behind a discontinuity_indicator.", NULL);
  static const KrTsReport nothing = {0};
  g_autofree char *bad = NULL;
  int code = KR_EXIT_OK;

  complete_fail_option (argc, argv);
  if (!kr_command_options (entries, "FILE...|-", description, &argc, &argv))
    return KR_EXIT_USAGE;
  if (argc < 2)
    return kr_command_error (KR_EXIT_USAGE, "name transport streams, or - for standard input",
                             "analyze needs a file");
  if (analyze.fail_kinds != NULL &&
      !look_for (&nothing, analyze.fail_kinds, &analyze.found, &bad))
    return kr_command_error (KR_EXIT_USAGE, description, "--fail: unknown kind \"%s\"", bad);
  for (int i = 1; i < argc; i++) {
    g_autoptr (KrTsReport) report = analyze_file (argv[i], &code);

    if (report == NULL)
      continue;
    if (analyze.json)
      print_json (argv[i], report);
    else
      print_report (argv[i], report);
    look_for (report, analyze.fail_kinds, &analyze.found, &bad);
  }
  g_clear_pointer (&analyze.fail_kinds, g_free);
  if (fflush (stdout) != 0 || ferror (stdout))
    return kr_command_error (KR_EXIT_IO, NULL, "cannot write the result: %s",
                             g_strerror (errno));
  if (code != KR_EXIT_OK)
    return code;
  return analyze.fail && analyze.found ? KR_EXIT_FOUND : KR_EXIT_OK;
}
