/* keeprolling - the PAT and PMTs of a stream, kept up to date packet by packet
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "plugins/common/mpegts-psi.h"

G_BEGIN_DECLS

typedef struct {
  guint16 number;
  guint16 pmt_pid;
  gboolean valid;       /* pmt and raw are set */
  guint8 first_counter; /* of the packet in which the first valid section began */
  KrTsPmt pmt;
  gsize raw_size;
  guint8 raw[KR_TS_SECTION_MAX];

  KrTsSection section; /* of pmt_pid; the first program with that PID has it */
} KrTsProgramTable;

typedef enum {
  KR_TS_TABLES_SAME = 0,
  KR_TS_TABLES_PAT = 1 << 0, /* a PAT that differs from the last one */
  KR_TS_TABLES_PMT = 1 << 1, /* PMTs that differ: see changed */
  KR_TS_TABLES_CRC = 1 << 2, /* a section with a wrong CRC, ignored */
  KR_TS_TABLES_SEEN = 1 << 3 /* a section was complete */
} KrTsTablesChange;

/* PMT sections have at least 16 bytes; one may end in a packet, and others follow it. */
#define KR_TS_MAX_CHANGED (KR_TS_PACKET_SIZE / 16 + 1)

/* Bounded: KR_TS_MAX_PROGRAMS programs. */
typedef struct {
  gboolean has_pat;
  guint8 pat_first_counter;
  KrTsPat pat;
  gsize pat_size;
  guint8 pat_raw[KR_TS_SECTION_MAX];
  GPtrArray *programs; /* of KrTsProgramTable, in the order of the PAT */

  KrTsProgramTable *changed[KR_TS_MAX_CHANGED]; /* by the last push, each once */
  guint n_changed;
  KrTsTablesChange change;
  KrTsSection pat_section;
} KrTsTables;

KrTsTables *kr_ts_tables_new (void);
void kr_ts_tables_free (KrTsTables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KrTsTables, kr_ts_tables_free)
void kr_ts_tables_reset (KrTsTables *tables);

/* Whether packets of @pid should be pushed. */
gboolean kr_ts_tables_wants (const KrTsTables *tables, guint pid);
/* Takes the next packet of a PID that is wanted. */
KrTsTablesChange kr_ts_tables_push (KrTsTables *tables, const guint8 *packet);

/* PAT and every PMT it names are known. */
gboolean kr_ts_tables_complete (const KrTsTables *tables);
/* Whether several programs share the PID for their PMTs. */
gboolean kr_ts_tables_is_shared (const KrTsTables *tables, guint pmt_pid);
/* (nullable) */
KrTsProgramTable *kr_ts_tables_find (const KrTsTables *tables, guint number);

/**
 * kr_ts_tables_differ:
 * @tables: what is known
 * @packet: a packet of a wanted PID
 *
 * Looks ahead without taking the packet. Of a section over several packets only what lies in
 * the first one is compared, and its CRC cannot be checked.
 *
 * Returns: whether a section begins in @packet that differs from the one known
 */
gboolean kr_ts_tables_differ (const KrTsTables *tables, const guint8 *packet);

/* Whether @packet, which has the counter of the one before it, may be its repetition: not if it
 * holds another section than the one known, nor if it begins a section over several packets
 * when the last one was complete. */
gboolean kr_ts_tables_may_repeat (const KrTsTables *tables, const guint8 *packet);

/* Takes over what @from knows and forgets sections under way. */
void kr_ts_tables_assign (KrTsTables *tables, const KrTsTables *from);

G_END_DECLS
