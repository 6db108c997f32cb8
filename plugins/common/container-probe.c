/* keeprolling - what a file that was cut off in the middle is still worth
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/container-probe.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK     (256 * 1024)
#define TS_SYNC   0x47
#define TS_PACKET 188
/* Packets looked at to find the grid; most of them must agree. */
#define GRID_PACKETS 64
/* MP4 boxes walked; a day of one-second fragments has 170,000. */
#define MAX_BOXES 4000000
/* How far into a Matroska file its first cluster may be. */
#define CLUSTER_SEARCH (16 * 1024 * 1024)

typedef struct {
  int fd;
  guint64 size;
  const gint *cancel;
  void (*progress) (guint64 bytes, gpointer user_data);
  gpointer user_data;
  int error;
  guint8 *block; /* BLOCK bytes */
} Reader;

/* Reads up to @n bytes at @at; fewer only at the end of the file. -1 and reader->error on error
 * or when cancelled. */
static gssize
read_at (Reader *reader, guint64 at, gpointer buffer, gsize n)
{
  gsize done = 0;

  if (reader->cancel != NULL && g_atomic_int_get (reader->cancel) != 0) {
    reader->error = ECANCELED;
    return -1;
  }
  while (done < n) {
    gssize got = pread (reader->fd, (guint8 *)buffer + done, n - done, (off_t)(at + done));

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      reader->error = errno;
      return -1;
    }
    if (got == 0)
      break;
    done += (gsize)got;
  }
  if (reader->progress != NULL && done > 0)
    reader->progress (done, reader->user_data);
  return (gssize)done;
}

/* The end of the last extent that is not a hole: a sparse file of a terabyte is not read. */
static guint64
data_end (const Reader *reader)
{
  guint64 end = 0;
  off_t at = 0;

  for (;;) {
    off_t data = lseek (reader->fd, at, SEEK_DATA);
    off_t hole;

    if (data < 0)
      return errno == ENXIO ? end : reader->size;
    hole = lseek (reader->fd, data, SEEK_HOLE);
    if (hole <= data)
      return reader->size;
    end = (guint64)hole;
    at = hole;
  }
}

/* One past the last byte that is not zero, at or below @end. */
static guint64
nonzero_end (Reader *reader, guint64 end)
{
  while (end > 0) {
    guint64 start = end > BLOCK ? end - BLOCK : 0;
    gssize n = read_at (reader, start, reader->block, end - start);

    if (n < 0)
      return 0;
    while (n > 0 && reader->block[n - 1] == 0)
      n--;
    if (n > 0)
      return start + (guint64)n;
    end = start;
  }
  return 0;
}

/* Finds where packets begin in the bytes [at, at + n): the phase at which most of the places
 * @stride apart hold a sync byte. Returns FALSE if no phase convinces. */
static gboolean
find_grid (const guint8 *data, gsize n, guint stride, guint *ret_phase)
{
  guint best = 0, best_phase = 0, places = 0;

  for (guint phase = 0; phase < stride && phase < n; phase++) {
    guint hits = 0, possible = 0;

    for (gsize at = phase; at < n; at += stride, possible++)
      hits += data[at] == TS_SYNC;
    if (hits > best) {
      best = hits;
      best_phase = phase;
      places = possible;
    }
  }
  *ret_phase = best_phase;
  return best >= 2 ? best * 5 >= places * 4 : best == 1 && n <= 2 * stride;
}

static const guint strides[] = {TS_PACKET, 192, 204};

/* The tail without zeros and without the last packet if that is incomplete. */
static guint64
ts_keep (Reader *reader, guint stride, guint64 end)
{
  guint lead = stride == 192 ? 4 : 0; /* M2TS: four bytes of time before the sync byte */

  for (;;) {
    guint64 start = end > GRID_PACKETS * stride ? end - GRID_PACKETS * stride : 0;
    gssize n = read_at (reader, start, reader->block, end - start);
    guint64 packet;
    guint phase;

    if (n <= 0)
      return 0;
    /* Not a grid here: damaged, and not ours to judge. */
    if (!find_grid (reader->block, (gsize)n, stride, &phase))
      return reader->size;
    /* The packet with the last byte that is not zero. */
    packet = start + phase - lead;
    if (end > packet)
      packet += (end - 1 - packet) / stride * stride;
    if (packet + stride <= reader->size)
      return packet + stride;
    /* It is incomplete; and before it there may be zeros again. */
    end = nonzero_end (reader, packet);
    if (end == 0)
      return 0;
  }
}

typedef struct {
  gboolean pat, pmt;
  guint8 is_pmt[8192 / 8];
} Tables;

static void
look_at_pat (Tables *tables, const guint8 *section, gsize n)
{
  gsize length = ((section[1] & 0x0f) << 8) | section[2];

  for (gsize at = 8; at + 4 <= n && at + 4 + 4 <= length + 3; at += 4) {
    guint pid = ((section[at + 2] & 0x1f) << 8) | section[at + 3];

    if (section[at] == 0 && section[at + 1] == 0)
      continue; /* the network's, no programme */
    tables->is_pmt[pid / 8] |= 1 << pid % 8;
    tables->pat = TRUE;
  }
}

/* ISO/IEC 13818-1, 2.4.3.2 (packet) and 2.4.4 (tables). The first packet of a section is enough
 * to know that it is there. */
static void
look_at_packet (Tables *tables, const guint8 *packet)
{
  guint pid = ((packet[1] & 0x1f) << 8) | packet[2];
  gsize at = 4;

  if ((packet[1] & 0xc0) != 0x40 || (packet[3] & 0x10) == 0)
    return;
  if ((packet[3] & 0x20) != 0)
    at += 1 + packet[4];
  if (at >= TS_PACKET)
    return;
  at += 1 + packet[at];
  if (at + 8 > TS_PACKET)
    return;
  if (pid == 0 && packet[at] == 0)
    look_at_pat (tables, packet + at, TS_PACKET - at);
  else if ((tables->is_pmt[pid / 8] & (1 << pid % 8)) != 0 && packet[at] == 2)
    tables->pmt = TRUE;
}

static gsize
look_for_tables (Tables *tables, const guint8 *data, gsize n, guint stride, gboolean last)
{
  gsize at = 0;

  while (at + TS_PACKET <= n && !(tables->pat && tables->pmt)) {
    if (data[at] != TS_SYNC || (at + stride < n && data[at + stride] != TS_SYNC)) {
      at++;
      continue;
    }
    if (at + stride >= n && !last)
      break;
    look_at_packet (tables, data + at);
    at += stride;
  }
  return at;
}

static gboolean
has_tables (Reader *reader, guint stride)
{
  Tables tables = {0};
  guint64 at = 0;

  while (at < reader->size) {
    off_t data = lseek (reader->fd, (off_t)at, SEEK_DATA);
    gssize n;
    gsize used;

    if (data < 0 && errno == ENXIO)
      return FALSE;
    if (data > (off_t)at)
      at = (guint64)data;
    n = read_at (reader, at, reader->block, BLOCK);
    if (n <= 0)
      return FALSE;
    used = look_for_tables (&tables, reader->block, (gsize)n, stride,
                            at + (guint64)n >= reader->size);
    if (tables.pat && tables.pmt)
      return TRUE;
    if (at + (guint64)n >= reader->size)
      return FALSE;
    at += MAX (used, 1);
  }
  return FALSE;
}

static gboolean
probe_ts (Reader *reader, KrProbe *probe)
{
  guint64 end = nonzero_end (reader, data_end (reader));
  gboolean grid = FALSE;
  guint phase;

  if (end == 0) {
    probe->detail = reader->error != 0 ? "cannot be read" : "nothing but zeros";
    return FALSE;
  }
  for (guint i = 0; i < G_N_ELEMENTS (strides) && reader->error == 0; i++) {
    gssize n = read_at (reader, 0, reader->block,
                        MIN (reader->size, (guint64)GRID_PACKETS * strides[i]));
    guint64 tail =
        end > (guint64)GRID_PACKETS * strides[i] ? end - (guint64)GRID_PACKETS * strides[i] : 0;

    if (n > 0 && !find_grid (reader->block, (gsize)n, strides[i], &phase))
      n = read_at (reader, tail, reader->block, end - tail);
    if (n <= 0 || !find_grid (reader->block, (gsize)n, strides[i], &phase))
      continue;
    grid = TRUE;
    if (!has_tables (reader, strides[i]))
      continue;
    probe->kind = KR_CONTAINER_MPEGTS;
    probe->keep = ts_keep (reader, strides[i], end);
    probe->detail = "MPEG-TS";
    return reader->error == 0 && probe->keep > 0;
  }
  probe->detail = reader->error != 0 ? "cannot be read"
                  : grid             ? "MPEG-TS without PAT and PMT"
                                     : "not a format that plays when it is cut off";
  return FALSE;
}

static gboolean
probe_matroska (Reader *reader, KrProbe *probe)
{
  static const guint8 ebml[] = {0x1a, 0x45, 0xdf, 0xa3};
  static const guint8 cluster[] = {0x1f, 0x43, 0xb6, 0x75};
  gssize n = read_at (reader, 0, reader->block, BLOCK);

  if (n < 4 || memcmp (reader->block, ebml, sizeof ebml) != 0)
    return FALSE;
  for (guint64 at = 0; at < CLUSTER_SEARCH && n > 4; at += BLOCK - 4) {
    n = read_at (reader, at, reader->block, BLOCK);
    if (n > 4 && memmem (reader->block, (gsize)n, cluster, sizeof cluster) != NULL) {
      probe->kind = KR_CONTAINER_MATROSKA;
      probe->keep = reader->size;
      probe->detail = "Matroska";
      return TRUE;
    }
  }
  probe->detail = "Matroska without a cluster";
  return TRUE;
}

/* ISO/IEC 14496-12, 4.2: 32 bits of size, four characters, perhaps 64 bits of size. */
static gboolean
read_box (Reader *reader, guint64 at, guint64 *ret_size, char ret_type[4])
{
  guint8 header[16];
  gssize n = read_at (reader, at, header, sizeof header);

  if (n < 8)
    return FALSE;
  memcpy (ret_type, header + 4, 4);
  *ret_size = (guint64)header[0] << 24 | header[1] << 16 | header[2] << 8 | header[3];
  if (*ret_size == 1 && n == 16) {
    *ret_size = 0;
    for (guint i = 8; i < 16; i++)
      *ret_size = *ret_size << 8 | header[i];
    return *ret_size >= 16;
  }
  return *ret_size >= 8;
}

static gboolean
probe_mp4 (Reader *reader, KrProbe *probe)
{
  gboolean moov = FALSE, fragments = FALSE;
  guint64 at = 0, whole = 0, size;
  char type[4];

  if (!read_box (reader, 0, &size, type) || memcmp (type, "ftyp", 4) != 0)
    return FALSE;
  for (guint i = 0; i < MAX_BOXES && read_box (reader, at, &size, type); i++) {
    if (size > reader->size - at)
      break;
    at += size;
    moov |= memcmp (type, "moov", 4) == 0;
    fragments |= memcmp (type, "moof", 4) == 0;
    /* A fragment's index is worth nothing without its data. */
    if (memcmp (type, "moof", 4) != 0)
      whole = at;
  }
  if (moov) {
    probe->kind = KR_CONTAINER_MP4;
    probe->keep = fragments ? whole : reader->size;
    probe->detail = "MP4";
  } else {
    probe->detail = "MP4 without its index (moov), which is written at the end";
  }
  return TRUE;
}

/**
 * kr_container_probe:
 * @fd: open for reading
 *
 * For MPEG-TS: it plays if it has a PAT and a PMT; zeros (blocks that a power cut left
 * unwritten) and an incomplete packet at its end go, a whole packet that merely ends in zeros
 * stays. Matroska plays up to where it ends; MP4 plays if its index is there, and fragmented
 * MP4 up to its last whole fragment.
 */
KrProbe
kr_container_probe (int fd, const gint *cancel,
                    void (*progress) (guint64 bytes, gpointer user_data), gpointer user_data)
{
  Reader reader = {.fd = fd, .cancel = cancel, .progress = progress, .user_data = user_data};
  KrProbe probe = {.kind = KR_CONTAINER_UNKNOWN, .detail = ""};
  struct stat st;

  if (fstat (fd, &st) != 0) {
    probe.error = errno;
    return probe;
  }
  probe.size = reader.size = (guint64)st.st_size;
  reader.block = g_malloc (BLOCK);
  if (!probe_matroska (&reader, &probe) && !probe_mp4 (&reader, &probe))
    probe_ts (&reader, &probe);
  probe.error = reader.error;
  if (reader.error != 0)
    probe.kind = KR_CONTAINER_UNKNOWN;
  g_free (reader.block);
  return probe;
}
