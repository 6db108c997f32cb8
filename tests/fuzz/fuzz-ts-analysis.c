/* keeprolling - fuzzer for the transport stream analyzer
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/ts-analysis.h"
#include "tests/fuzz/fuzz.h"

static KrTsReport *
analyze (const uint8_t *data, size_t size, size_t block)
{
  g_autoptr (KrTsAnalysis) analysis = kr_ts_analysis_new (NULL);

  for (size_t i = 0; i < size; i += block)
    kr_ts_analysis_push (analysis, data + i, MIN (block, size - i));
  return kr_ts_analysis_finish (analysis);
}

/* The first two bytes are a block size: what is found must not depend on it. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (KrTsReport) report = NULL, whole = NULL;

  if (size < 2)
    return 0;
  report = analyze (data + 2, size - 2, 1 + data[0] + data[1] * 64u);
  whole = analyze (data + 2, size - 2, size);
  g_assert (report->bytes == size - 2);
  g_assert (report->packet_size == whole->packet_size);
  g_assert (report->packets == whole->packets);
  g_assert (report->packets * KR_TS_PACKET_SIZE <= size);
  g_assert (report->trailing_bytes == whole->trailing_bytes);
  for (guint i = 0; i < KR_TS_N_FINDINGS; i++) {
    g_assert_cmpuint (report->findings[i].count, ==, whole->findings[i].count);
    g_assert_cmpuint (report->findings[i].signalled, ==, whole->findings[i].signalled);
    g_assert (report->findings[i].n_notes <= KR_TS_MAX_NOTES);
  }
  return 0;
}
