/* keeprolling - what a file that was cut off in the middle is still worth
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "plugins/common/container-probe.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/common/mpegts-psi.h"

#define BLOCK (256 * 1024)
/* The end of a stream that is looked at to find where packets begin. */
#define GRID_BYTES (64 * KR_TS_PACKET_SIZE)
/* Read at once to find PAT and PMT. */
#define TABLES_WINDOW (8 * 1024 * 1024)
/* Enough to tell the size of the packets: six of the largest. */
#define WIDE_BYTES (6 * 208)
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

/* Finds where packets begin: the phase at which most of the places a packet apart hold a sync
 * byte; zeros count for nothing. Returns FALSE if no phase convinces. */
static gboolean
find_grid (const guint8 *data, gsize n, guint *ret_phase)
{
  guint best = 0, places = 0;

  for (guint phase = 0; phase < KR_TS_PACKET_SIZE && phase < n; phase++) {
    guint hits = 0, possible = 0;

    for (gsize at = phase; at < n; at += KR_TS_PACKET_SIZE) {
      hits += data[at] == KR_TS_SYNC_BYTE;
      possible += data[at] != 0;
    }
    if (hits > best) {
      best = hits;
      *ret_phase = phase;
      places = possible;
    }
  }
  return best >= 2 && best * 5 >= places * 4;
}

/* The size without the zeros at the end and without the last packet if that is incomplete. */
static guint64
ts_keep (Reader *reader, guint64 end)
{
  while (end > 0) {
    guint64 start = end > GRID_BYTES ? end - GRID_BYTES : 0;
    gssize n = read_at (reader, start, reader->block, end - start);
    guint64 packet;
    guint phase = 0;

    if (n <= 0)
      return 0;
    /* No grid here: damaged, and not ours to judge. */
    if (!find_grid (reader->block, (gsize)n, &phase))
      return reader->size;
    /* The packet with the last byte that is not zero. */
    packet = start + phase;
    if (end > packet)
      packet += (end - 1 - packet) / KR_TS_PACKET_SIZE * KR_TS_PACKET_SIZE;
    if (packet + KR_TS_PACKET_SIZE <= reader->size)
      return packet + KR_TS_PACKET_SIZE;
    /* It is incomplete; and before it there may be zeros again. */
    end = nonzero_end (reader, packet);
  }
  return 0;
}

/* Whether PAT and PMT are there. They come several times a second, so that some window has both
 * of them even at 100 Mb/s; windows overlap by half. */
static gboolean
has_tables (Reader *reader)
{
  g_autofree guint8 *window = g_malloc (MIN (reader->size, TABLES_WINDOW));
  guint64 at = 0;

  while (at < reader->size) {
    off_t data = lseek (reader->fd, (off_t)at, SEEK_DATA);
    gssize n;

    if (data < 0 && errno == ENXIO)
      return FALSE;
    if (data > (off_t)at)
      at = (guint64)data;
    n = read_at (reader, at, window, MIN (reader->size - at, TABLES_WINDOW));
    if (n <= 0)
      return FALSE;
    if (kr_ts_has_tables (window, (gsize)n))
      return TRUE;
    if (at + (guint64)n >= reader->size)
      return FALSE;
    at += TABLES_WINDOW / 2;
  }
  return FALSE;
}

/* Why it does not play, as closely as it can be told. */
static const char *
name_stranger (Reader *reader)
{
  gssize n = read_at (reader, 0, reader->block, WIDE_BYTES);
  guint packet_size = n > 0 ? kr_ts_detect_packet_size (reader->block, (gsize)n) : 0;

  if (packet_size == 192)
    return "M2TS, packets of 192 bytes: it may well play, but where it was cut off cannot be "
           "repaired";
  if (packet_size != 0 && packet_size != KR_TS_PACKET_SIZE)
    return "packets with Reed-Solomon parity, 204 or 208 bytes: where it was cut off cannot be "
           "repaired";
  return "no PAT and PMT, nor anything else that plays when it is cut off";
}

static gboolean
probe_ts (Reader *reader, KrProbe *probe)
{
  guint64 end = nonzero_end (reader, data_end (reader));

  if (end == 0) {
    probe->detail = "nothing but zeros";
  } else if (has_tables (reader)) {
    probe->keep = ts_keep (reader, end);
    probe->kind = probe->keep > 0 ? KR_CONTAINER_MPEGTS : KR_CONTAINER_UNKNOWN;
    probe->detail = probe->keep > 0 ? "MPEG-TS" : "MPEG-TS of less than a packet";
  } else {
    probe->detail = name_stranger (reader);
  }
  return probe->kind == KR_CONTAINER_MPEGTS;
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
