/* keeprolling - pipeline files: text in, checked values out
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "launcher/core/pipeline-file.h"

#include <string.h>

#include "launcher/core/key-file.h"
#include "launcher/core/nearest.h"
#include "launcher/core/variables.h"

#define MS       1000
#define SECOND   1000000
#define MINUTE   (60 * (gint64)SECOND)
#define HOUR     (60 * MINUTE)
#define DAY      (24 * HOUR)
#define MEBIBYTE (1024 * 1024)
#define MAX_NAME 64
#define NO_BOUND G_MAXINT64

typedef enum {
  KEY_LAUNCH,
  KEY_CAMERA,
  KEY_RESTART,
  KEY_TIME,
  KEY_COUNT,
  KEY_SIZE,
  KEY_URL
} Type;

/* One key: what it may be, what it is when it is missing, and where it goes. */
typedef struct {
  KrKeyName name;
  Type type;
  gsize offset; /* in the spec of its group */
  gint64 fallback, min, max;
  gboolean zero_is_off; /* 0 is allowed although it is below min */
} Key;

#define IN_PIPELINE(member) G_STRUCT_OFFSET (KrPipelineSpec, member)
#define IN_HEALTH(member)   G_STRUCT_OFFSET (KrHealthSpec, member)
#define IN_ALERTS(member)   G_STRUCT_OFFSET (KrAlertSpec, member)
#define IN_HANDOVER(member) G_STRUCT_OFFSET (KrHandoverSpec, member)

/* clang-format off */
static const Key keys[] = {
  {{"Pipeline", "Launch"}, KEY_LAUNCH, IN_PIPELINE (launch), 0, 0, 0, FALSE},
  {{"Pipeline", "Camera"}, KEY_CAMERA, IN_PIPELINE (camera), 0, 0, 0, FALSE},
  {{"Pipeline", "Restart"}, KEY_RESTART, IN_PIPELINE (restart), KR_RESTART_ALWAYS, 0, 0, FALSE},
  {{"Pipeline", "RestartSec"}, KEY_TIME, IN_PIPELINE (restart_us), 250 * MS, 10 * MS, HOUR, FALSE},
  {{"Pipeline", "RestartMaxSec"}, KEY_TIME, IN_PIPELINE (restart_max_us), 15 * SECOND, 10 * MS, HOUR, FALSE},
  {{"Pipeline", "StartLimitBurst"}, KEY_COUNT, IN_PIPELINE (start_limit_burst), 10, 1, 10000, FALSE},
  {{"Pipeline", "StartLimitIntervalSec"}, KEY_TIME, IN_PIPELINE (start_limit_interval_us), MINUTE, 100 * MS, DAY, FALSE},
  {{"Pipeline", "SourceTimeoutSec"}, KEY_TIME, IN_PIPELINE (source_timeout_us), SECOND, 100 * MS, HOUR, TRUE},
  {{"Pipeline", "TimeoutStartSec"}, KEY_TIME, IN_PIPELINE (timeout_start_us), 20 * SECOND, 100 * MS, HOUR, FALSE},
  {{"Pipeline", "TimeoutStopSec"}, KEY_TIME, IN_PIPELINE (timeout_stop_us), 15 * SECOND, 100 * MS, HOUR, FALSE},
  {{"Health", "IntervalSec"}, KEY_TIME, IN_HEALTH (interval_us), 10 * SECOND, 100 * MS, HOUR, FALSE},
  {{"Health", "Threshold"}, KEY_COUNT, IN_HEALTH (threshold), 3, 1, 1000, FALSE},
  {{"Health", "StartupGraceSec"}, KEY_TIME, IN_HEALTH (startup_grace_us), 30 * SECOND, 0, DAY, FALSE},
  {{"Health", "MemoryMax"}, KEY_SIZE, IN_HEALTH (memory_max), 0, 16 * MEBIBYTE, NO_BOUND, TRUE},
  {{"Health", "CheckURL"}, KEY_URL, IN_HEALTH (check_url), 0, 0, 0, FALSE},
  {{"Alerts", "Webhook"}, KEY_URL, IN_ALERTS (webhook), 0, 0, 0, FALSE},
  {{"Handover", "TimeoutReadySec"}, KEY_TIME, IN_HANDOVER (timeout_ready_us), 30 * SECOND, 100 * MS, HOUR, FALSE},
  {{"Handover", "TimeoutStopSec"}, KEY_TIME, IN_HANDOVER (timeout_stop_us), 30 * SECOND, 100 * MS, HOUR, FALSE},
};
/* clang-format on */

static const char *const kinds[] = {"Variables", "Pipeline", "Health",
                                    "Alerts",    "Handover", NULL};

typedef struct {
  const char *path;
  KrPipelineFile *file;
  KrVariables *variables;
  GPtrArray *problems;
  GHashTable *places; /* char* "Kind" or "Kind Name" -> KrPlace*: the first of each group */
} Parser;

const KrKeyName *
kr_pipeline_file_keys (guint *ret_n)
{
  static KrKeyName names[G_N_ELEMENTS (keys)];
  static gsize once;

  if (g_once_init_enter (&once)) {
    for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
      names[i] = keys[i].name;
    g_once_init_leave (&once, 1);
  }
  *ret_n = G_N_ELEMENTS (keys);
  return names;
}

static void
pipeline_spec_free (KrPipelineSpec *spec)
{
  g_free (spec->name);
  g_free (spec->camera);
  g_free (spec->launch);
  g_clear_pointer (&spec->launch_map, g_array_unref);
  g_free (spec);
}

void
kr_pipeline_file_free (KrPipelineFile *file)
{
  if (file == NULL)
    return;
  g_free (file->path);
  g_free (file->name);
  g_ptr_array_unref (file->pipelines);
  g_free (file->health.check_url);
  g_free (file->alerts.webhook);
  g_clear_pointer (&file->variables, g_hash_table_unref);
  g_free (file);
}

KrPlace
kr_pipeline_spec_place (const KrPipelineSpec *spec, gsize offset)
{
  return kr_spans_place (spec->launch_map, spec->launch, offset);
}

char *
kr_pipeline_file_label (const char *path)
{
  char *label = g_path_get_basename (path);

  if (g_str_has_suffix (label, ".pipeline") && strlen (label) > strlen (".pipeline"))
    label[strlen (label) - strlen (".pipeline")] = '\0';
  return label;
}

static char *
describe_range (const Key *key)
{
  g_autofree char *low = NULL;
  g_autofree char *high = NULL;

  switch (key->type) {
  case KEY_TIME:
    low = kr_format_time_span (key->min);
    high = kr_format_time_span (key->max);
    break;
  case KEY_SIZE:
    low = kr_format_size ((guint64)key->min);
    break;
  case KEY_COUNT:
  case KEY_LAUNCH:
  case KEY_CAMERA:
  case KEY_RESTART:
  case KEY_URL:
    low = g_strdup_printf ("%" G_GINT64_FORMAT, key->min);
    high = g_strdup_printf ("%" G_GINT64_FORMAT, key->max);
    break;
  }
  return g_strdup_printf ("%s%s %s%s%s", high != NULL ? "from " : "", low,
                          high != NULL ? "to " : "or more", high != NULL ? high : "",
                          key->zero_is_off ? ", or 0 for off" : "");
}

/* Says that a value cannot be used. A remark behind the value is the most likely reason. */
static void
bad_value (Parser *parser, const Key *key, const KrEntry *entry, const char *value,
           const char *problem, char *hint)
{
  g_autofree char *quoted = kr_quote_word (value);

  if (strstr (value, " #") != NULL || strstr (value, "\t#") != NULL) {
    g_free (hint);
    hint = g_strdup ("a comment is a line of its own, not behind a value");
  }
  kr_problems_add (parser->problems, parser->path, entry->value_place, hint, "%s: %s %s",
                   key->name.name, quoted, problem);
}

static void
set_time (Parser *parser, const Key *key, const KrEntry *entry, const char *value,
          gint64 *target)
{
  gint64 us;

  if (!kr_parse_time_span (value, &us))
    bad_value (parser, key, entry, value, "is not a time span",
               g_strdup ("for example 250ms, 5s, 2min or 1min 30s"));
  else if ((us < key->min || us > key->max) && !(us == 0 && key->zero_is_off))
    bad_value (parser, key, entry, value, "is out of range", describe_range (key));
  else
    *target = us;
}

static void
set_count (Parser *parser, const Key *key, const KrEntry *entry, const char *value,
           guint *target)
{
  gint64 count;
  char *end = NULL;

  if (!g_ascii_isdigit (*value)) {
    bad_value (parser, key, entry, value, "is not a whole number", describe_range (key));
    return;
  }
  count = g_ascii_strtoll (value, &end, 10);
  if (*end != '\0')
    bad_value (parser, key, entry, value, "is not a whole number", describe_range (key));
  else if (count < key->min || count > key->max)
    bad_value (parser, key, entry, value, "is out of range", describe_range (key));
  else
    *target = (guint)count;
}

static void
set_size (Parser *parser, const Key *key, const KrEntry *entry, const char *value,
          guint64 *target)
{
  guint64 size;

  if (strcmp (value, "infinity") == 0)
    *target = 0;
  else if (!kr_parse_size (value, &size))
    bad_value (parser, key, entry, value, "is not a size",
               g_strdup ("for example 500M or 2G; K, M, G and T count by 1024"));
  else if (size < (guint64)key->min && !(size == 0 && key->zero_is_off))
    bad_value (parser, key, entry, value, "is out of range", describe_range (key));
  else
    *target = size;
}

static void
set_restart (Parser *parser, const Key *key, const KrEntry *entry, const char *value,
             KrRestart *target)
{
  static const char *const names[] = {
      [KR_RESTART_ALWAYS] = "always",
      [KR_RESTART_ON_FAILURE] = "on-failure",
      [KR_RESTART_NO] = "no",
      [KR_RESTART_NO + 1] = NULL,
  };

  for (guint i = 0; names[i] != NULL; i++)
    if (strcmp (value, names[i]) == 0) {
      *target = (KrRestart)i;
      return;
    }
  bad_value (parser, key, entry, value, "is not known",
             kr_nearest_hint (value, names, "one of: always, on-failure, no"));
}

/* A URL may contain a secret: no message shows it. */
static void
set_url (Parser *parser, const Key *key, const KrEntry *entry, const char *value, char **target)
{
  g_autoptr (GUri) uri = NULL;

  if (*value == '\0')
    return;
  uri = g_uri_parse (value, G_URI_FLAGS_ENCODED, NULL);
  if (uri == NULL || g_uri_get_host (uri) == NULL || *g_uri_get_host (uri) == '\0' ||
      (strcmp (g_uri_get_scheme (uri), "http") != 0 &&
       strcmp (g_uri_get_scheme (uri), "https") != 0)) {
    kr_problems_add (parser->problems, parser->path, entry->value_place,
                     g_strdup ("for example https://example.org/path"),
                     "%s: the value is not an http or https URL", key->name.name);
    return;
  }
  g_free (*target);
  *target = g_strdup (value);
}

static void
set_camera (Parser *parser, const Key *key, const KrEntry *entry, const char *value,
            char **target)
{
  if (*value == '\0' || g_utf8_strlen (value, -1) > MAX_NAME || strchr (value, '/') != NULL) {
    bad_value (parser, key, entry, value, "cannot name a camera",
               g_strdup_printf ("1 to %d characters without '/'", MAX_NAME));
    return;
  }
  g_free (*target);
  *target = g_strdup (value);
}

static void
set_launch (Parser *parser, const KrEntry *entry, char *value, GArray *spans, gboolean complete,
            KrPipelineSpec *spec)
{
  spec->launch_place = entry->value_place;
  if (complete && value[strspn (value, " \t")] == '\0') {
    kr_problems_add (parser->problems, parser->path, entry->key_place,
                     g_strdup ("write the pipeline as for gst-launch-1.0, on this line or on "
                               "indented lines below it"),
                     "Launch is empty");
    return;
  }
  if (strlen (value) > KR_PIPELINE_FILE_MAX_LAUNCH) {
    kr_problems_add (
        parser->problems, parser->path, entry->value_place,
        g_strdup ("make several pipelines of it; relaysink and relaysrc join them"),
        "Launch is longer than %d KiB", KR_PIPELINE_FILE_MAX_LAUNCH / 1024);
    return;
  }
  g_free (spec->launch);
  g_clear_pointer (&spec->launch_map, g_array_unref);
  spec->launch = g_strdup (value);
  spec->launch_map = g_array_ref (spans);
  spec->launch_complete = complete;
}

static void
set_value (Parser *parser, const Key *key, const KrEntry *entry, gpointer spec)
{
  g_autoptr (GArray) spans = NULL;
  gboolean complete;
  g_autofree char *value = kr_variables_expand (parser->variables, entry, &spans, &complete);
  gpointer target = (guint8 *)spec + key->offset;

  /* A variable may end in spaces. At the beginning of Launch they stay: the map counts them. */
  if (key->type == KEY_LAUNCH)
    g_strchomp (value);
  else
    g_strstrip (value);
  if (!complete && key->type != KEY_LAUNCH)
    return; /* reported already */
  switch (key->type) {
  case KEY_LAUNCH:
    set_launch (parser, entry, value, spans, complete, spec);
    break;
  case KEY_CAMERA:
    set_camera (parser, key, entry, value, target);
    break;
  case KEY_RESTART:
    set_restart (parser, key, entry, value, target);
    break;
  case KEY_TIME:
    set_time (parser, key, entry, value, target);
    break;
  case KEY_COUNT:
    set_count (parser, key, entry, value, target);
    break;
  case KEY_SIZE:
    set_size (parser, key, entry, value, target);
    break;
  case KEY_URL:
    set_url (parser, key, entry, value, target);
    break;
  }
}

static void
set_defaults (const char *kind, gpointer spec)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    gpointer target = (guint8 *)spec + keys[i].offset;

    if (strcmp (keys[i].name.group, kind) != 0)
      continue;
    switch (keys[i].type) {
    case KEY_RESTART:
      *(KrRestart *)target = (KrRestart)keys[i].fallback;
      break;
    case KEY_TIME:
      *(gint64 *)target = keys[i].fallback;
      break;
    case KEY_COUNT:
      *(guint *)target = (guint)keys[i].fallback;
      break;
    case KEY_SIZE:
      *(guint64 *)target = (guint64)keys[i].fallback;
      break;
    case KEY_LAUNCH:
    case KEY_CAMERA:
    case KEY_URL:
      break;
    }
  }
}

/* The key's row, or NULL after saying that there is none. */
static const Key *
find_key (Parser *parser, const char *kind, const KrEntry *entry)
{
  const char *names[G_N_ELEMENTS (keys) + 1] = {NULL};
  const char *elsewhere = NULL;
  g_autofree char *all = NULL;
  g_autofree char *quoted = NULL;
  char *hint;
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    gboolean same = strcmp (keys[i].name.name, entry->key) == 0;

    if (strcmp (keys[i].name.group, kind) == 0) {
      if (same)
        return &keys[i];
      names[n++] = keys[i].name.name;
    } else if (same) {
      elsewhere = keys[i].name.group;
    }
  }
  quoted = kr_quote_word (entry->key);
  all = g_strjoinv (", ", (char **)names);
  if (elsewhere != NULL)
    hint = g_strdup_printf ("it belongs into [%s%s]", elsewhere,
                            strcmp (elsewhere, "Pipeline") == 0 ? " NAME" : "");
  else
    hint = kr_nearest_hint (entry->key, names, "one of: %s", all);
  kr_problems_add (parser->problems, parser->path, entry->key_place, hint,
                   "unknown key %s in [%s]", quoted, kind);
  return NULL;
}

static const KrEntry *
find_entry (const KrGroup *group, const char *key)
{
  for (guint i = 0; i < group->entries->len; i++) {
    const KrEntry *entry = group->entries->pdata[i];

    if (strcmp (entry->key, key) == 0)
      return entry;
  }
  return NULL;
}

static void
report_duplicate_keys (Parser *parser, const KrGroup *group)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < group->entries->len; i++) {
    const KrEntry *entry = group->entries->pdata[i];
    const KrEntry *first = g_hash_table_lookup (seen, entry->key);

    if (first == NULL) {
      g_hash_table_insert (seen, entry->key, (gpointer)entry);
      continue;
    }
    kr_problems_add (parser->problems, parser->path, entry->key_place,
                     g_strdup_printf ("it has a value in line %u already; keep one of them",
                                      first->key_place.line),
                     "'%.60s' stands twice in this group", entry->key);
  }
}

static void
read_entries (Parser *parser, const KrGroup *group, gpointer spec)
{
  for (guint i = 0; i < group->entries->len; i++) {
    const KrEntry *entry = group->entries->pdata[i];
    const Key *key = find_key (parser, group->kind, entry);

    if (key != NULL)
      set_value (parser, key, entry, spec);
  }
}

/* Names go into metrics, file names and commands. */
static gboolean
is_pipeline_name (const char *name)
{
  gsize n = 0;

  if (!g_ascii_isalnum (name[0]))
    return FALSE;
  while (g_ascii_isalnum (name[n]) || name[n] == '_' || name[n] == '-' || name[n] == '.')
    n++;
  return name[n] == '\0' && n <= MAX_NAME;
}

static void
check_pipeline_name (Parser *parser, const KrGroup *group)
{
  g_autofree char *quoted = NULL;

  if (group->name == NULL) {
    kr_problems_add (parser->problems, parser->path, group->place,
                     g_strdup ("give it one, for example [Pipeline cam1]"),
                     "[Pipeline] has no name");
  } else if (!is_pipeline_name (group->name)) {
    quoted = kr_quote_word (group->name);
    kr_problems_add (
        parser->problems, parser->path, group->name_place,
        g_strdup_printf ("letters, digits, '-', '_' and '.', the first a letter or "
                         "digit, at most %d",
                         MAX_NAME),
        "%s cannot name a pipeline", quoted);
  }
}

static void
read_pipeline (Parser *parser, const KrGroup *group)
{
  KrPipelineSpec *spec = g_new0 (KrPipelineSpec, 1);
  const KrEntry *restart = find_entry (group, "RestartSec");
  const KrEntry *restart_max = find_entry (group, "RestartMaxSec");

  spec->name = g_strdup (group->name != NULL ? group->name : "");
  spec->place = group->place;
  g_ptr_array_add (parser->file->pipelines, spec);
  set_defaults ("Pipeline", spec);
  check_pipeline_name (parser, group);
  read_entries (parser, group, spec);
  if (spec->camera == NULL)
    spec->camera = g_strdup (spec->name);
  if (find_entry (group, "Launch") == NULL)
    kr_problems_add (parser->problems, parser->path, group->place,
                     g_strdup ("add Launch = and the pipeline, as for gst-launch-1.0"),
                     "[Pipeline %s] has no Launch", spec->name);
  if (spec->restart_max_us >= spec->restart_us)
    return;
  if (restart_max == NULL) {
    spec->restart_max_us = spec->restart_us; /* the default is not what the user meant */
  } else {
    g_autofree char *first = kr_format_time_span (spec->restart_us);

    kr_problems_add (parser->problems, parser->path, restart_max->value_place,
                     g_strdup_printf ("%s or more", first),
                     "RestartMaxSec is less than RestartSec, which is %s%s", first,
                     restart == NULL ? " by default" : "");
  }
}

static gboolean
is_duplicate_group (Parser *parser, const KrGroup *group)
{
  gboolean named = group->name != NULL && strcmp (group->kind, "Pipeline") == 0;
  g_autofree char *id =
      named ? g_strdup_printf ("%s %s", group->kind, group->name) : g_strdup (group->kind);
  const KrPlace *first = g_hash_table_lookup (parser->places, id);
  g_autofree char *quoted = NULL;

  if (first == NULL) {
    g_hash_table_insert (parser->places, g_steal_pointer (&id),
                         g_memdup2 (&group->place, sizeof group->place));
    return FALSE;
  }
  quoted = kr_quote_word (id);
  kr_problems_add (
      parser->problems, parser->path, group->place,
      g_strdup_printf ("the first one is in line %u; %s", first->line,
                       named ? "give each pipeline its own name" : "put the keys together"),
      "the group %s stands twice", quoted);
  return TRUE;
}

static gpointer
spec_of_kind (Parser *parser, const char *kind)
{
  if (strcmp (kind, "Health") == 0)
    return &parser->file->health;
  if (strcmp (kind, "Alerts") == 0)
    return &parser->file->alerts;
  if (strcmp (kind, "Handover") == 0)
    return &parser->file->handover;
  return NULL;
}

static void
read_group (Parser *parser, const KrGroup *group)
{
  g_autofree char *quoted = NULL;

  if (!g_strv_contains (kinds, group->kind)) {
    quoted = kr_quote_word (group->kind);
    kr_problems_add (
        parser->problems, parser->path, group->place,
        kr_nearest_hint (group->kind, kinds,
                         "one of: [Variables], [Pipeline NAME], [Health], [Alerts], "
                         "[Handover]"),
        "unknown group %s", quoted);
    return;
  }
  is_duplicate_group (parser, group);
  report_duplicate_keys (parser, group);
  if (strcmp (group->kind, "Pipeline") == 0) {
    if (parser->file->pipelines->len < KR_PIPELINE_FILE_MAX_PIPELINES)
      read_pipeline (parser, group);
    else if (parser->file->pipelines->len == KR_PIPELINE_FILE_MAX_PIPELINES)
      kr_problems_add (parser->problems, parser->path, group->place,
                       g_strdup ("split the file: each file has a process of its own"),
                       "more than %d pipelines in one file", KR_PIPELINE_FILE_MAX_PIPELINES);
    return;
  }
  if (group->name != NULL) {
    quoted = kr_quote_word (group->name);
    kr_problems_add (parser->problems, parser->path, group->name_place,
                     g_strdup_printf ("write [%s]; only pipelines have names", group->kind),
                     "%s follows '%s'", quoted, group->kind);
  }
  if (spec_of_kind (parser, group->kind) != NULL)
    read_entries (parser, group, spec_of_kind (parser, group->kind));
}

/* All entries of all [Variables] groups; a second group is reported elsewhere. */
static GPtrArray *
collect_definitions (Parser *parser, const GPtrArray *groups)
{
  GPtrArray *definitions = g_ptr_array_new ();

  for (guint i = 0; i < groups->len; i++) {
    const KrGroup *group = groups->pdata[i];

    if (strcmp (group->kind, "Variables") != 0)
      continue;
    for (guint k = 0; k < group->entries->len; k++) {
      const KrEntry *entry = group->entries->pdata[k];
      g_autofree char *quoted = NULL;

      g_ptr_array_add (definitions, (gpointer)entry);
      if (kr_is_variable_name (entry->key))
        continue;
      quoted = kr_quote_word (entry->key);
      kr_problems_add (
          parser->problems, parser->path, entry->key_place,
          g_strdup_printf ("letters, digits and '_', no digit first, at most %d", MAX_NAME),
          "%s is no name for a variable", quoted);
    }
  }
  return definitions;
}

static void
read_groups (Parser *parser, const GPtrArray *groups, GHashTable *overrides, char **environment)
{
  g_autoptr (GPtrArray) definitions = collect_definitions (parser, groups);
  g_autoptr (KrVariables) variables =
      kr_variables_new (parser->path, definitions, overrides, environment,
                        KR_PIPELINE_FILE_MAX_EXPANDED, parser->problems);

  parser->variables = variables;
  for (guint i = 0; i < groups->len; i++)
    read_group (parser, groups->pdata[i]);
  kr_variables_check_rest (variables);
  parser->file->variables = kr_variables_names (variables);
}

static void
parse_text (Parser *parser, const char *text, gsize length, GHashTable *overrides,
            char **environment)
{
  const char *key_names[G_N_ELEMENTS (keys) + 1] = {NULL};
  KrKeyFileWords words = {.kinds = kinds, .keys = key_names};
  guint before = parser->problems->len;
  g_autoptr (GPtrArray) groups = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    key_names[i] = keys[i].name.name;
  groups = kr_key_file_parse (parser->path, text, length, &words, parser->problems);
  if (groups->len == 0 && parser->problems->len > before)
    return; /* no text, or nothing where it belongs: said already */
  read_groups (parser, groups, overrides, environment);
  if (parser->file->pipelines->len == 0 && parser->problems->len == before)
    kr_problems_add (parser->problems, parser->path, (KrPlace){1, 1},
                     g_strdup ("add a group [Pipeline NAME] with Launch = and the pipeline"),
                     "there is no [Pipeline NAME] in the file");
}

/* Moves what was found to @problems, in the order of the file. */
static void
hand_over_problems (const char *path, GPtrArray *found, GPtrArray *problems)
{
  kr_problems_sort (found, 0);
  if (found->len > KR_PIPELINE_FILE_MAX_PROBLEMS) {
    guint more = found->len - KR_PIPELINE_FILE_MAX_PROBLEMS;
    const KrProblem *next = found->pdata[KR_PIPELINE_FILE_MAX_PROBLEMS];
    KrPlace place = next->place;

    g_ptr_array_set_size (found, KR_PIPELINE_FILE_MAX_PROBLEMS);
    kr_problems_add (found, path, place, g_strdup ("correct the ones above first"),
                     "%u more mistakes from here on", more);
  }
  g_ptr_array_extend_and_steal (problems, found);
}

KrPipelineFile *
kr_pipeline_file_parse_partly (const char *path, const char *text, gsize length,
                               GHashTable *overrides, char **environment, GPtrArray *problems)
{
  Parser parser = {.path = path, .problems = kr_problems_new ()};

  parser.file = g_new0 (KrPipelineFile, 1);
  parser.file->path = g_strdup (path);
  parser.file->name = kr_pipeline_file_label (path);
  parser.file->pipelines = g_ptr_array_new_with_free_func ((GDestroyNotify)pipeline_spec_free);
  parser.places = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  set_defaults ("Health", &parser.file->health);
  set_defaults ("Handover", &parser.file->handover);
  if (length > KR_PIPELINE_FILE_MAX_BYTES)
    kr_problems_add (parser.problems, path, (KrPlace){1, 1},
                     g_strdup ("is it the right file? Several pipelines can go into several "
                               "files"),
                     "the file is larger than %d KiB", KR_PIPELINE_FILE_MAX_BYTES / 1024);
  else
    parse_text (&parser, text, length, overrides, environment);
  g_hash_table_unref (parser.places);
  hand_over_problems (path, parser.problems, problems);
  return parser.file;
}

KrPipelineFile *
kr_pipeline_file_parse (const char *path, const char *text, gsize length, GHashTable *overrides,
                        char **environment, GPtrArray *problems)
{
  guint before = problems->len;
  g_autoptr (KrPipelineFile) file =
      kr_pipeline_file_parse_partly (path, text, length, overrides, environment, problems);

  return problems->len == before ? g_steal_pointer (&file) : NULL;
}
