/* keeprolling - a wall clock that a test can set
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded. The file KR_TEST_CLOCK holds the seconds by which the wall clock is off; monotonic
 * clocks stay as they are. */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__ ((visibility ("default")))

static long
offset (void)
{
  const char *path = getenv ("KR_TEST_CLOCK");
  char text[32] = "";
  int fd = path != NULL ? open (path, O_RDONLY | O_CLOEXEC) : -1;

  if (fd < 0)
    return 0;
  if (read (fd, text, sizeof text - 1) < 0)
    text[0] = '\0';
  close (fd);
  return strtol (text, NULL, 10);
}

EXPORT int
clock_gettime (clockid_t clock, struct timespec *ts)
{
  static int (*real) (clockid_t, struct timespec *);
  int result;

  if (real == NULL)
    real = (int (*) (clockid_t, struct timespec *))dlsym (RTLD_NEXT, "clock_gettime");
  result = real (clock, ts);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    ts->tv_sec += offset ();
  return result;
}

EXPORT int
gettimeofday (struct timeval *restrict tv, void *restrict zone)
{
  struct timespec ts;
  int result = clock_gettime (CLOCK_REALTIME, &ts);

  tv->tv_sec = ts.tv_sec;
  tv->tv_usec = ts.tv_nsec / 1000;
  return result;
}

EXPORT time_t
time (time_t *ret)
{
  struct timespec ts = {0};

  clock_gettime (CLOCK_REALTIME, &ts);
  if (ret != NULL)
    *ret = ts.tv_sec;
  return ts.tv_sec;
}
