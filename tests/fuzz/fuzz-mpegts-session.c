/* keeprolling - fuzzer for the transport stream regenerator: sources that restart and jump
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "plugins/common/mpegts-regen.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/kr-ts.h"

/* Each step is eight bytes: what the source does next. Whatever it does, no stamp on the output
 * goes back, no counter breaks where sessions join, and every picture gets through. */
typedef struct {
  guint8 kind, frames, start_high, start_low, pids, lead, pause, block;
} Step;

#define MAX_STEPS 24

static void
push (KrTsRegen *regen, GByteArray *out, const guint8 *data, gsize size, gint64 now)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  gboolean ok = kr_ts_regen_push (regen, copy, size, now, KR_TS_HINT_NONE, NULL);
  guint n;
  const KrTsPiece *pieces;

  g_assert (ok);
  pieces = kr_ts_regen_get_pieces (regen, &n);
  for (guint i = 0; i < n; i++)
    g_byte_array_append (out, pieces[i].data, (guint)pieces[i].size);
}

static void
make_step (KrTsMaker *maker, const Step *step)
{
  static const guint videos[] = {0x100, 0x101, 0x1000, 0x44};
  static const guint audios[] = {0x101, 0x100, 0x45, 0x1000};
  static const guint pmts[] = {0x1000, 0x200, 0x100, 0x101};
  guint64 start = ((guint64)step->start_high << 25 | (guint64)step->start_low << 13) + 90000;
  guint pids = step->pids % 4;

  g_byte_array_set_size (maker->bytes, 0);
  kr_ts_maker_restart (maker);
  kr_ts_make_session (maker, &(KrTsSession){.frames = 30 + step->frames % 64,
                                            .start = start % KR_TS_STAMP_MODULUS,
                                            .video_pid = videos[pids],
                                            .audio_pid = audios[pids],
                                            .pmt_pid = pmts[pids],
                                            .version = step->kind >> 3,
                                            .pmt_filler = (step->kind & 1) * 250u,
                                            .pcr_pid = (step->kind & 2) ? 0x55 : 0,
                                            .lead = 9000u + step->lead * 128u,
                                            .frame_size = 200});
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (KrTsMaker) maker = kr_ts_maker_new ();
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (KrTsRegen) regen = NULL;
  KrTsRegenConfig config;
  KrTsRegenStats stats;
  KrTsFound found;
  gint64 now = 5000000000;
  guint n, steps = 0, frames = 0;
  const KrTsPiece *pieces;

  if (size < 1)
    return 0;
  kr_ts_regen_config_init (&config);
  config.live = data[0] & 1;
  regen = kr_ts_regen_new (&config);
  for (size_t i = 1; i + sizeof (Step) <= size && steps < MAX_STEPS;
       i += sizeof (Step), steps++) {
    Step step;
    gsize block;

    memcpy (&step, data + i, sizeof step);
    make_step (maker, &step);
    frames += 30 + step.frames % 64;
    block = 188 * (1 + step.block);
    now += (gint64)step.pause * 40000000;
    for (gsize k = 0; k < maker->bytes->len; k += block) {
      gsize part = MIN (block, maker->bytes->len - k);

      now += (gint64)(part * 8 * 1000 / 30) / 188 * 188; /* about its own rate */
      push (regen, out, maker->bytes->data + k, part, now);
    }
  }
  kr_ts_regen_drain (regen);
  pieces = kr_ts_regen_get_pieces (regen, &n);
  for (guint i = 0; i < n; i++)
    g_byte_array_append (out, pieces[i].data, (guint)pieces[i].size);
  kr_ts_read_back (out->data, out->len, &found);
  /* A session whose clock happens to go on where the last one ended cannot be told from a
   * loss: then what is missing stays visible, and is counted. */
  kr_ts_regen_get_stats (regen, &stats);
  g_assert_cmpuint (found.cc_errors, <=, stats.cc_errors);
  g_assert_true (stats.cc_errors == 0 || stats.joins + 1 < steps || config.live);
  g_assert_cmpuint (found.dts_back, ==, 0);
  g_assert_cmpuint (found.pcr_back, ==, 0);
  g_assert_cmpuint (found.video, ==, frames); /* nothing is lost on the way */
  g_assert_true (found.stray_pcrs == 0 || stats.joins + 1 < steps);
  return 0;
}
