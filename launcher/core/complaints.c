/* keeprolling - which warnings of elements are worth a line
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/complaints.h"

typedef struct {
  char *text; /* NULL = free */
  gint64 said;
  guint64 unsaid;
} Complaint;

struct _KrComplaints {
  Complaint list[KR_COMPLAINTS_MAX];
  gint64 minute; /* when the present one began */
  guint said;    /* lines in it */
  gboolean began;
};

KrComplaints *
kr_complaints_new (void)
{
  return g_new0 (KrComplaints, 1);
}

void
kr_complaints_free (KrComplaints *complaints)
{
  if (complaints == NULL)
    return;
  for (guint i = 0; i < KR_COMPLAINTS_MAX; i++)
    g_free (complaints->list[i].text);
  g_free (complaints);
}

/* The entry of @text, else the one to be given to it. */
static Complaint *
find (KrComplaints *complaints, const char *text)
{
  Complaint *oldest = &complaints->list[0];

  for (guint i = 0; i < KR_COMPLAINTS_MAX; i++) {
    Complaint *entry = &complaints->list[i];

    if (entry->text == NULL)
      return entry;
    if (g_str_equal (entry->text, text))
      return entry;
    if (entry->said < oldest->said)
      oldest = entry;
  }
  return oldest;
}

static gboolean
has_room (KrComplaints *complaints, gint64 now)
{
  if (!complaints->began || now - complaints->minute >= G_TIME_SPAN_MINUTE) {
    complaints->began = TRUE;
    complaints->minute = now;
    complaints->said = 0;
  }
  return complaints->said < KR_COMPLAINTS_PER_MINUTE;
}

gboolean
kr_complaints_take (KrComplaints *complaints, const char *text, gint64 now, guint64 *ret_unsaid)
{
  Complaint *entry = find (complaints, text);
  gboolean known = entry->text != NULL && g_str_equal (entry->text, text);

  if (known && now - entry->said < KR_COMPLAINTS_REPEAT_US) {
    entry->unsaid++;
    return FALSE;
  }
  if (!has_room (complaints, now)) {
    if (known)
      entry->unsaid++;
    return FALSE;
  }
  if (!known) {
    g_free (entry->text);
    *entry = (Complaint){.text = g_strdup (text)};
  }
  complaints->said++;
  *ret_unsaid = entry->unsaid;
  entry->said = now;
  entry->unsaid = 0;
  return TRUE;
}
