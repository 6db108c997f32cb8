/* keeprolling - the checks of destinations in "run"
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/app/destinations.h"

#include "launcher/app/log.h"

#ifdef HAVE_STATUS_SERVER
#include "launcher/services/url-check.h"
#endif

typedef struct {
  char *file;
  gboolean failing; /* the check itself, and that was logged */
} Destination;

struct _KrDestinations {
  GPtrArray *list; /* of Destination */
#ifdef HAVE_STATUS_SERVER
  KrUrlChecks *checks; /* NULL = there is nothing to check */
#endif
};

static void
destination_free (Destination *destination)
{
  g_free (destination->file);
  g_free (destination);
}

KrDestinations *
kr_destinations_new (void)
{
  KrDestinations *destinations = g_new0 (KrDestinations, 1);

  destinations->list = g_ptr_array_new_with_free_func ((GDestroyNotify)destination_free);
  return destinations;
}

void
kr_destinations_free (KrDestinations *destinations)
{
  if (destinations == NULL)
    return;
#ifdef HAVE_STATUS_SERVER
  kr_url_checks_free (destinations->checks);
#endif
  g_ptr_array_unref (destinations->list);
  g_free (destinations);
}

#ifdef HAVE_STATUS_SERVER
static Destination *
find_listed (const KrDestinations *destinations, const char *file)
{
  for (guint i = 0; i < destinations->list->len; i++) {
    Destination *destination = destinations->list->pdata[i];

    if (g_strcmp0 (destination->file, file) == 0)
      return destination;
  }
  return NULL;
}

static void
add_to_list (KrDestinations *destinations, const char *file)
{
  Destination *destination = g_new0 (Destination, 1);

  destination->file = g_strdup (file);
  g_ptr_array_add (destinations->list, destination);
}
#endif

void
kr_destinations_set_file (KrDestinations *destinations, const KrPipelineFile *file,
                          KrLauncher *launcher)
{
#ifdef HAVE_STATUS_SERVER
  Destination *listed = find_listed (destinations, file->name);
  const KrDestinationProbe nothing = {0};

  if (listed == NULL && file->health.check_url == NULL)
    return;
  /* What was found at the old address says nothing about the new one. */
  kr_launcher_set_destination (launcher, file->name, &nothing);
  if (destinations->checks == NULL)
    destinations->checks = kr_url_checks_new ();
  kr_url_checks_set (destinations->checks, file->name, file->health.check_url,
                     file->health.interval_us);
  if (listed != NULL)
    g_ptr_array_remove (destinations->list, listed);
  if (file->health.check_url != NULL)
    add_to_list (destinations, file->name);
#else
  if (file->health.check_url != NULL)
    kr_log (G_LOG_LEVEL_WARNING, file->name, NULL,
            "this keeprolling was built without HTTP: CheckURL is not checked, and counts as "
            "healthy");
#endif
}

#ifdef HAVE_STATUS_SERVER
static void
log_change (Destination *destination, const KrDestinationProbe *probe)
{
  if (probe->done == !destination->failing)
    return;
  destination->failing = !probe->done;
  if (destination->failing)
    kr_log (G_LOG_LEVEL_WARNING, destination->file, NULL,
            "CheckURL cannot be checked (%s): that counts as healthy, and is tried again",
            probe->error);
  else
    kr_log (G_LOG_LEVEL_MESSAGE, destination->file, NULL, "CheckURL can be checked again");
}
#endif

void
kr_destinations_tell (KrDestinations *destinations, KrLauncher *launcher)
{
#ifdef HAVE_STATUS_SERVER
  for (guint i = 0; i < destinations->list->len; i++) {
    Destination *destination = destinations->list->pdata[i];
    KrDestinationProbe probe;

    if (!kr_url_checks_get (destinations->checks, destination->file, &probe))
      continue;
    log_change (destination, &probe);
    kr_launcher_set_destination (launcher, destination->file, &probe);
  }
#endif
}
