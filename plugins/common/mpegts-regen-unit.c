/* keeprolling - inside mpegts-regen: the start of a PES packet
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/mpegts-regen-private.h"

#include <string.h>

void
kr_unit_begin (KrUnit *unit, guint pid, gboolean scans, KrTsCodec codec)
{
  memset (unit, 0, sizeof *unit);
  unit->pid = pid;
  unit->scans = scans;
  if (scans)
    kr_ts_keyframe_begin (&unit->scan, codec);
}

static void
unit_end (KrUnit *unit)
{
  unit->done = TRUE;
  if (unit->verdict == KR_TS_KEYFRAME_UNDECIDED)
    unit->verdict = KR_TS_KEYFRAME_NO;
}

/* Takes the next packet of the unit's PID. */
void
kr_unit_push (KrUnit *unit, guint8 *p)
{
  guint offset = kr_ts_payload_offset (p);
  guint size = KR_TS_PACKET_SIZE - offset;
  guint skip = 0;

  if (unit->have < KR_TS_PES_HEADER_MAX) {
    for (guint i = offset; i < KR_TS_PACKET_SIZE && unit->have < KR_TS_PES_HEADER_MAX; i++) {
      unit->at[unit->have] = p + i;
      unit->head[unit->have++] = p[i];
    }
    unit->has_pes = kr_ts_parse_pes (unit->head, unit->have, &unit->pes);
    if (!unit->has_pes && unit->have >= 9) {
      unit_end (unit);
      return;
    }
  }
  if (!unit->has_pes || !unit->pes.complete) {
    unit->seen += size;
    return;
  }
  if (!unit->scans) {
    unit_end (unit);
    return;
  }
  if (unit->seen < unit->pes.payload_offset)
    skip = MIN (unit->pes.payload_offset - unit->seen, size);
  unit->seen += size;
  unit->verdict = kr_ts_keyframe_push (&unit->scan, p + offset + skip, size - skip);
  if (unit->verdict != KR_TS_KEYFRAME_UNDECIDED)
    unit->done = TRUE;
}

/* Takes what follows @p in the region until the unit is decided. */
gboolean
kr_unit_look_ahead (const KrTsRegen *r, KrUnit *unit, guint8 *p, const guint8 *end)
{
  kr_unit_push (unit, p);
  for (p += KR_TS_PACKET_SIZE; !unit->done && p < end; p += KR_TS_PACKET_SIZE) {
    if (p[0] != KR_TS_SYNC_BYTE) {
      unit_end (unit); /* the stream breaks off here */
    } else if (kr_ts_pid (p) == unit->pid && kr_ts_has_payload (p) && !kr_ts_has_error (p)) {
      if (kr_ts_starts_unit (p))
        unit_end (unit);
      else
        kr_unit_push (unit, p);
    }
  }
  if (!unit->done && r->force)
    unit_end (unit);
  return unit->done;
}

/* Reads and writes the stamps even where the header straddles packets. */
void
kr_unit_stamps (KrTsRegen *r, KrUnit *unit, KrStream *stream, gboolean repeated)
{
  guint8 head[KR_TS_PES_HEADER_MAX];

  memcpy (head, unit->head, sizeof head);
  kr_ts_regen_pes (r, stream, head + unit->pes.pts_offset,
                   unit->pes.dts_offset != 0 ? head + unit->pes.dts_offset : NULL, repeated);
  if (r->config.mode == KR_TS_REGEN_MONITOR || memcmp (head, unit->head, unit->have) == 0)
    return;
  r->stats.corrections++;
  for (guint i = 9; i < unit->have; i++)
    *unit->at[i] = head[i];
}
