/* keeprolling - fuzzer for what recovery looks at: leftovers of any content, and their names
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugins/common/container-probe.h"
#include "plugins/common/segment-name.h"
#include "tests/fuzz/fuzz.h"

/* The first byte says how much of a hole follows the content, in units of 16 KiB. */
static void
check_content (const uint8_t *data, size_t size)
{
  int fd = memfd_create ("leftover", MFD_CLOEXEC);
  gsize hole = (gsize)data[0] % 8 * 16384;
  KrProbe probe;

  g_assert (write (fd, data + 1, size - 1) == (ssize_t)(size - 1));
  g_assert (ftruncate (fd, (off_t)(size - 1 + hole)) == 0);
  probe = kr_container_probe (fd, NULL, NULL, NULL);
  close (fd);
  g_assert (probe.size == size - 1 + hole && probe.keep <= probe.size && probe.error == 0);
  g_assert (probe.detail[0] != '\0');
  /* What is cut of a transport stream is zeros, and less than a packet of anything else. */
  if (probe.kind == KR_CONTAINER_MPEGTS)
    for (gsize at = probe.keep, pieces = 0; at < size - 1; at++) {
      if (data[1 + at] == 0)
        continue;
      pieces++;
      g_assert (pieces == 1);
      at += 187;
    }
}

static void
check_name (const char *text)
{
  static const KrSegmentFields values = {
      .utc_us = 1795178096000000, .seq = 1, .instance = "a-1", .hostname = "h"};
  g_autoptr (GError) error = NULL;
  g_autoptr (KrSegmentTemplate) tmpl = kr_segment_template_new (text, FALSE, &error);
  g_autofree char *path = NULL, *temp = NULL, *back = NULL;

  g_assert ((tmpl == NULL) == (error != NULL));
  if (tmpl == NULL)
    return;
  path = kr_segment_template_expand (tmpl, &values, NULL);
  if (path == NULL)
    return;
  temp = kr_segment_temp_path (path);
  back = kr_segment_final_path (temp);
  g_assert (g_strcmp0 (back, path) == 0);
  g_assert (kr_segment_template_matches (
      tmpl, kr_segment_template_depth (tmpl) - 1,
      strrchr (path, '/') != NULL ? strrchr (path, '/') + 1 : path, NULL));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);

  if (size > 0)
    check_content (data, size);
  check_name (text);
  return 0;
}
