/* keeprolling - a preloaded library that makes the disk fail on demand
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looks at the calls that touch KR_FAULT_DIR and nothing else.
 *
 * KR_FAULT=CALL:N:WHAT[,CALL:N:WHAT...]: the Nth such call (N+ = it and all after it; counted
 * from 1; 0+ = all) meets WHAT: an errno by name (the call is not made), "kill" (SIGKILL
 * instead of the call), "killafter", or "delay=MS". A write may also be "short": half of it is
 * done. KR_FAULT_TRACE=FILE: a line per call, as made, with its result; write data in
 * FILE.data. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <limits.h>

#define REAL(name) ((__typeof__ (&name))dlsym (RTLD_NEXT, #name))
#define EXPORT     __attribute__ ((visibility ("default")))

void kr_fault_note (const char *text);

enum {
  CALL_OPENAT,
  CALL_MKDIRAT,
  CALL_PWRITEV,
  CALL_FSYNC,
  CALL_FDATASYNC,
  CALL_FTRUNCATE,
  CALL_RENAMEAT2,
  CALL_LINKAT,
  CALL_UNLINKAT,
  CALL_FLOCK,
  CALL_CLOSE,
  N_CALLS
};
static const char *const names[] = {"openat",    "mkdirat",   "pwritev",   "fsync",
                                    "fdatasync", "ftruncate", "renameat2", "linkat",
                                    "unlinkat",  "flock",     "close"};
static const struct {
  const char *name;
  int code;
} codes[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG},
             {"EINVAL", EINVAL}, {"ENOSYS", ENOSYS}, {"EEXIST", EEXIST}, {"EACCES", EACCES},
             {"EROFS", EROFS},   {"EINTR", EINTR},   {"ENOLCK", ENOLCK}, {"EXDEV", EXDEV}};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned counts[N_CALLS];
static int trace_fd = -2, data_fd = -1;

/* The path behind @fd, or behind @name below it. */
static int
resolve (int fd, const char *name, char path[PATH_MAX * 2])
{
  char link[64];
  ssize_t n = 0;

  if (name != NULL && name[0] == '/') {
    snprintf (path, PATH_MAX * 2, "%s", name);
    return 1;
  }
  snprintf (link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
  n = readlink (link, path, PATH_MAX);
  if (n < 0)
    return 0;
  path[n] = '\0';
  if (name != NULL && strcmp (name, ".") != 0)
    snprintf (path + n, PATH_MAX, "/%s", name);
  return 1;
}

static const char *
watched (int fd, const char *name, char path[PATH_MAX * 2])
{
  const char *dir = getenv ("KR_FAULT_DIR");
  size_t n = dir != NULL ? strlen (dir) : 0;

  if (n == 0 || !resolve (fd, name, path) || strncmp (path, dir, n) != 0 ||
      (path[n] != '/' && path[n] != '\0'))
    return NULL;
  return path[n] == '/' ? path + n + 1 : ".";
}

/* Called with the lock held. */
static void
open_trace (void)
{
  const char *path = getenv ("KR_FAULT_TRACE");
  char data[PATH_MAX];

  trace_fd = -1;
  if (path == NULL)
    return;
  snprintf (data, sizeof data, "%s.data", path);
  trace_fd = REAL (open) (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  data_fd = REAL (open) (data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void
put_line (const char *format, ...)
{
  char line[PATH_MAX * 3];
  va_list args;
  int n;

  if (trace_fd == -2)
    open_trace ();
  if (trace_fd < 0)
    return;
  va_start (args, format);
  n = vsnprintf (line, sizeof line, format, args);
  va_end (args);
  if (n > 0 && REAL (write) (trace_fd, line, (size_t)n) != n)
    abort ();
}

EXPORT void
kr_fault_note (const char *text)
{
  pthread_mutex_lock (&lock);
  put_line ("note\t%s\n", text);
  pthread_mutex_unlock (&lock);
}

/* What shall happen to this call: 0 = nothing, > 0 = errno, -1 = kill after, -2 = short. */
static int
fate (int call)
{
  const char *rules = getenv ("KR_FAULT");
  char copy[512], *rule, *save = NULL;
  unsigned n;
  int result = 0;

  pthread_mutex_lock (&lock);
  n = ++counts[call];
  pthread_mutex_unlock (&lock);
  if (rules == NULL)
    return 0;
  snprintf (copy, sizeof copy, "%s", rules);
  for (rule = strtok_r (copy, ",", &save); rule != NULL; rule = strtok_r (NULL, ",", &save)) {
    char name[32], what[32], plus[2] = "";
    unsigned at;

    if (sscanf (rule, "%31[^:]:%u%1[+]:%31s", name, &at, plus, what) != 4 &&
        sscanf (rule, "%31[^:]:%u:%31s", name, &at, what) != 3)
      continue;
    if (strcmp (name, names[call]) != 0 || (plus[0] == '+' ? n < at : n != at))
      continue;
    if (strcmp (what, "kill") == 0)
      kill (getpid (), SIGKILL);
    else if (strcmp (what, "killafter") == 0)
      result = -1;
    else if (strcmp (what, "short") == 0)
      result = -2;
    else if (strncmp (what, "delay=", 6) == 0)
      usleep ((useconds_t)atoi (what + 6) * 1000);
    else
      for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp (what, codes[i].name) == 0)
          result = codes[i].code;
    kr_fault_note (rule);
  }
  return result;
}

/* Ends the call: traces it, dies if that is its fate. */
static long
done (int call, int end, long result, const char *path, const char *more)
{
  int saved = errno;

  pthread_mutex_lock (&lock);
  put_line ("%s\t%s\t%s\t%ld\n", names[call], path, more, result);
  pthread_mutex_unlock (&lock);
  if (end == -1)
    kill (getpid (), SIGKILL);
  errno = saved;
  return result;
}

#define FAIL_OR(call, path, more, real)                                                        \
  do {                                                                                         \
    int end = fate (call);                                                                     \
    long result = -1;                                                                          \
    if (end > 0)                                                                               \
      errno = end;                                                                             \
    else                                                                                       \
      result = (long)(real);                                                                   \
    return (int)done (call, end, result, path, more);                                          \
  } while (0)

static int
do_openat (int dir, const char *name, int flags, mode_t mode)
{
  char buffer[PATH_MAX * 2];
  const char *path = watched (dir, name, buffer);

  if (path == NULL)
    return REAL (openat) (dir, name, flags, mode);
  FAIL_OR (CALL_OPENAT, path, (flags & O_CREAT) != 0 ? "create" : "",
           REAL (openat) (dir, name, flags, mode));
}

static mode_t
take_mode (int flags, va_list args)
{
  return (flags & O_CREAT) != 0 ? va_arg (args, mode_t) : 0;
}

#define OPENAT(symbol)                                                                         \
  EXPORT int symbol (int dir, const char *name, int flags, ...)                                \
  {                                                                                            \
    va_list args;                                                                              \
    mode_t mode;                                                                               \
    va_start (args, flags);                                                                    \
    mode = take_mode (flags, args);                                                            \
    va_end (args);                                                                             \
    return do_openat (dir, name, flags, mode);                                                 \
  }
#define OPEN(symbol)                                                                           \
  EXPORT int symbol (const char *name, int flags, ...)                                         \
  {                                                                                            \
    va_list args;                                                                              \
    mode_t mode;                                                                               \
    va_start (args, flags);                                                                    \
    mode = take_mode (flags, args);                                                            \
    va_end (args);                                                                             \
    return do_openat (AT_FDCWD, name, flags, mode);                                            \
  }
#undef open
#undef open64
#undef openat
#undef openat64
OPENAT (openat)
OPENAT (openat64)
OPEN (open)
OPEN (open64)

EXPORT int
mkdirat (int dir, const char *name, mode_t mode)
{
  char buffer[PATH_MAX * 2];
  const char *path = watched (dir, name, buffer);

  if (path == NULL)
    return REAL (mkdirat) (dir, name, mode);
  FAIL_OR (CALL_MKDIRAT, path, "", REAL (mkdirat) (dir, name, mode));
}

static void
trace_data (const struct iovec *iov, int n, size_t size)
{
  pthread_mutex_lock (&lock);
  if (trace_fd == -2)
    open_trace ();
  for (int i = 0; i < n && size > 0 && data_fd >= 0; i++) {
    size_t part = iov[i].iov_len < size ? iov[i].iov_len : size;

    if (REAL (write) (data_fd, iov[i].iov_base, part) != (ssize_t)part)
      abort ();
    size -= part;
  }
  pthread_mutex_unlock (&lock);
}

static ssize_t
do_pwritev (int fd, const struct iovec *iov, int n, off_t at)
{
  char buffer[PATH_MAX * 2], more[32];
  const char *path = watched (fd, NULL, buffer);
  int end;
  ssize_t result = -1;

  if (path == NULL)
    return REAL (pwritev) (fd, iov, n, at);
  end = fate (CALL_PWRITEV);
  snprintf (more, sizeof more, "%lld", (long long)at);
  if (end > 0) {
    errno = end;
  } else if (end == -2) {
    struct iovec half = {.iov_base = iov[0].iov_base, .iov_len = iov[0].iov_len / 2 + 1};

    result = REAL (pwritev) (fd, &half, 1, at);
  } else {
    result = REAL (pwritev) (fd, iov, n, at);
  }
  if (result > 0)
    trace_data (iov, n, (size_t)result);
  return done (CALL_PWRITEV, end, result, path, more);
}

EXPORT ssize_t
pwritev (int fd, const struct iovec *iov, int n, off_t at)
{
  return do_pwritev (fd, iov, n, at);
}

#undef pwritev64
EXPORT ssize_t
pwritev64 (int fd, const struct iovec *iov, int n, off_t at)
{
  return do_pwritev (fd, iov, n, at);
}

#define BY_FD(symbol, call)                                                                    \
  EXPORT int symbol (int fd)                                                                   \
  {                                                                                            \
    char buffer[PATH_MAX * 2];                                                                 \
    const char *path = watched (fd, NULL, buffer);                                             \
    if (path == NULL)                                                                          \
      return REAL (symbol) (fd);                                                               \
    FAIL_OR (call, path, "", REAL (symbol) (fd));                                              \
  }
BY_FD (fsync, CALL_FSYNC)
BY_FD (fdatasync, CALL_FDATASYNC)

/* A failed close closes all the same, as on Linux. */
EXPORT int
close (int fd)
{
  char buffer[PATH_MAX * 2];
  const char *path = watched (fd, NULL, buffer);
  int end, result;

  if (path == NULL)
    return REAL (close) (fd);
  end = fate (CALL_CLOSE);
  result = REAL (close) (fd);
  if (end > 0) {
    errno = end;
    result = -1;
  }
  return (int)done (CALL_CLOSE, end, result, path, "");
}

EXPORT int
flock (int fd, int operation)
{
  char buffer[PATH_MAX * 2];
  const char *path = watched (fd, NULL, buffer);

  if (path == NULL)
    return REAL (flock) (fd, operation);
  FAIL_OR (CALL_FLOCK, path, "", REAL (flock) (fd, operation));
}

static int
do_ftruncate (int fd, off_t size)
{
  char buffer[PATH_MAX * 2], more[32];
  const char *path = watched (fd, NULL, buffer);

  if (path == NULL)
    return REAL (ftruncate) (fd, size);
  snprintf (more, sizeof more, "%lld", (long long)size);
  FAIL_OR (CALL_FTRUNCATE, path, more, REAL (ftruncate) (fd, size));
}

EXPORT int
ftruncate (int fd, off_t size)
{
  return do_ftruncate (fd, size);
}

#undef ftruncate64
EXPORT int
ftruncate64 (int fd, off_t size)
{
  return do_ftruncate (fd, size);
}

EXPORT int
renameat2 (int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
  char buffer[PATH_MAX * 2], other[PATH_MAX * 2];
  const char *path = watched (from_dir, from, buffer);

  if (path == NULL)
    return REAL (renameat2) (from_dir, from, to_dir, to, flags);
  FAIL_OR (CALL_RENAMEAT2, path, watched (to_dir, to, other),
           REAL (renameat2) (from_dir, from, to_dir, to, flags));
}

EXPORT int
linkat (int from_dir, const char *from, int to_dir, const char *to, int flags)
{
  char buffer[PATH_MAX * 2], other[PATH_MAX * 2];
  const char *path = watched (from_dir, from, buffer);

  if (path == NULL)
    return REAL (linkat) (from_dir, from, to_dir, to, flags);
  FAIL_OR (CALL_LINKAT, path, watched (to_dir, to, other),
           REAL (linkat) (from_dir, from, to_dir, to, flags));
}

EXPORT int
unlinkat (int dir, const char *name, int flags)
{
  char buffer[PATH_MAX * 2];
  const char *path = watched (dir, name, buffer);

  if (path == NULL)
    return REAL (unlinkat) (dir, name, flags);
  FAIL_OR (CALL_UNLINKAT, path, "", REAL (unlinkat) (dir, name, flags));
}
