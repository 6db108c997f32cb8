/* keeprolling - exit codes
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The codes of sysexits.h under our own names. 64, 65, 66 and 78 cannot be cured by starting
 * again: the systemd unit lists them in RestartPreventExitStatus. */
typedef enum {
  KR_EXIT_OK = 0,           /* stopped as asked */
  KR_EXIT_FOUND = 1,        /* the command did its work and found something (analyze --fail, report) */
  KR_EXIT_USAGE = 64,       /* bad command line */
  KR_EXIT_DATA = 65,        /* bad pipeline file */
  KR_EXIT_NO_INPUT = 66,    /* pipeline file missing or unreadable */
  KR_EXIT_UNAVAILABLE = 69, /* source unavailable (only with Restart=no), or nothing runs */
  KR_EXIT_SOFTWARE = 70,    /* internal error */
  KR_EXIT_CANT_CREATE = 73, /* cannot create output */
  KR_EXIT_IO = 74,          /* input/output error */
  KR_EXIT_TEMP_FAIL = 75,   /* try again */
  KR_EXIT_CONFIG = 78,      /* bad configuration */
} KrExitCode;
