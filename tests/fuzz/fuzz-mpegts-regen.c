/* keeprolling - fuzzer for the transport stream regenerator: any bytes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "plugins/common/mpegts-regen.h"
#include "tests/fuzz/fuzz.h"

#define HOLD_BYTES 20000

static gsize
check_pieces (KrTsRegen *regen, gint64 *stamp)
{
  guint n;
  const KrTsPiece *pieces = kr_ts_regen_get_pieces (regen, &n);
  gsize size = 0;

  for (guint i = 0; i < n; i++) {
    g_assert (pieces[i].size > 0 && pieces[i].size % KR_TS_PACKET_SIZE == 0);
    g_assert (pieces[i].stamp >= *stamp);
    *stamp = pieces[i].stamp;
    for (gsize k = 0; k < pieces[i].size; k += KR_TS_PACKET_SIZE)
      g_assert (pieces[i].data[k] == KR_TS_SYNC_BYTE);
    size += pieces[i].size;
  }
  return size;
}

/* The first four bytes choose how, the others are the stream. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (KrTsRegen) regen = NULL;
  KrTsRegenConfig config;
  KrTsRegenStats stats;
  gint64 stamp = G_MININT64, now = 1000000000;
  gsize block, out = 0, in = 0;
  gboolean ok = TRUE;

  if (size < 4)
    return 0;
  kr_ts_regen_config_init (&config);
  config.mode = data[0] % 3;
  config.live = data[0] >> 2 & 1;
  config.repair_joins = data[0] >> 3 & 1;
  config.wait_keyframe = data[0] >> 4 & 1;
  config.hold_bytes = HOLD_BYTES;
  block = 1 + data[1] * 64u + data[2];
  regen = kr_ts_regen_new (&config);
  for (size_t i = 4; i < size && ok; i += block) {
    gsize part = MIN (block, size - i);
    g_autofree guint8 *copy = g_memdup2 (data + i, part);

    now += (gint64)data[3] * 10000000;
    ok = kr_ts_regen_push (regen, copy, part, now, data[3] & 1, NULL);
    in += part;
    out += check_pieces (regen, &stamp);
    kr_ts_regen_get_stats (regen, &stats);
    /* What is kept inside is bounded. */
    g_assert (stats.bytes_in == in && stats.bytes_out == out);
    if (config.mode == KR_TS_REGEN_MONITOR && ok)
      g_assert (in - out - stats.garbage_bytes <= 2 * (HOLD_BYTES + 64 * 1024) + block);
  }
  kr_ts_regen_drain (regen);
  out += check_pieces (regen, &stamp);
  kr_ts_regen_get_stats (regen, &stats);
  if (config.mode == KR_TS_REGEN_MONITOR && ok)
    g_assert (in == out + stats.garbage_bytes);
  kr_ts_regen_reset (regen);
  return 0;
}
