/*
 * What a file has beyond what Node's fs can set: device nodes, extended attributes, times to the nanosecond; where its holes are;
 * and flushing a whole file system. Paths are never followed where they end in a symbolic link.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "addon.h"
#include "arguments.h"
#include "off-loop.h"

static napi_value outcome(napi_env env, long result, char *path, char *name) {
  int why = errno;
  free(path);
  free(name);
  return number(env, result == -1 ? -why : result);
}

/*
 * replaceFile(path, temporary, content, mode): makes the file anew under another name, and gives it its own. In one call, as a shim does so
 * while somebody waits to hear of an exit: Node takes four, each of which is slow the first time.
 */
static napi_value replace_file(napi_env env, napi_callback_info info) {
  ARGS(4);
  void *data;
  size_t length;
  if (napi_get_buffer_info(env, arg[2], &data, &length) != napi_ok) return number(env, -EINVAL);
  char *path = string(env, arg[0]), *temporary = string(env, arg[1]);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)integer(env, arg[3]));
  bool is_good = fd != -1;
  for (size_t done = 0; is_good && done < length;) {
    ssize_t n = write(fd, (char *)data + done, length - done);
    is_good = n > 0 || (n == -1 && errno == EINTR);
    if (n > 0) done += (size_t)n;
  }
  is_good = is_good && rename(temporary, path) == 0;
  int why = errno;
  if (fd != -1) {
    close(fd);
    if (!is_good) unlink(temporary);
  }
  errno = why;
  return outcome(env, is_good ? 0 : -1, path, temporary);
}

/* mknod(path, mode, major, minor) */
static napi_value make_node(napi_env env, napi_callback_info info) {
  ARGS(4);
  char *path = string(env, arg[0]);
  dev_t device = makedev((unsigned)integer(env, arg[2]), (unsigned)integer(env, arg[3]));
  return outcome(env, mknod(path, (mode_t)integer(env, arg[1]), device), path, NULL);
}

/* setTimes(path, atime seconds, nanoseconds, mtime seconds, nanoseconds) */
static napi_value set_times(napi_env env, napi_callback_info info) {
  ARGS(5);
  char *path = string(env, arg[0]);
  struct timespec times[2] = {
      {.tv_sec = (time_t)integer(env, arg[1]), .tv_nsec = (long)integer(env, arg[2])},
      {.tv_sec = (time_t)integer(env, arg[3]), .tv_nsec = (long)integer(env, arg[4])},
  };
  return outcome(env, utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), path, NULL);
}

/* setAttribute(path, name, value) */
static napi_value set_attribute(napi_env env, napi_callback_info info) {
  ARGS(3);
  void *data;
  size_t length;
  if (napi_get_buffer_info(env, arg[2], &data, &length) != napi_ok) return number(env, -EINVAL);
  char *path = string(env, arg[0]), *name = string(env, arg[1]);
  return outcome(env, lsetxattr(path, name, data, length, 0), path, name);
}

/* A list or a value of which only a first call tells the size; it may grow between the two. */
static napi_value sized(napi_env env, char *path, char *name) {
  ssize_t size;
  char *data = NULL;
  for (;;) {
    size = name ? lgetxattr(path, name, NULL, 0) : llistxattr(path, NULL, 0);
    if (size <= 0) break;
    char *grown = realloc(data, (size_t)size);
    if (!grown) {
      size = -1;
      errno = ENOMEM;
      break;
    }
    data = grown;
    size = name ? lgetxattr(path, name, data, (size_t)size) : llistxattr(path, data, (size_t)size);
    if (size != -1 || errno != ERANGE) break;
  }
  napi_value result;
  if (size == -1) {
    result = number(env, -errno);
  } else {
    void *copy;
    napi_create_buffer_copy(env, (size_t)size, data ? data : "", &copy, &result);
  }
  free(data);
  free(path);
  free(name);
  return result;
}

/* getAttribute(path, name): a Buffer or -errno. */
static napi_value get_attribute(napi_env env, napi_callback_info info) {
  ARGS(2);
  return sized(env, string(env, arg[0]), string(env, arg[1]));
}

/* listAttributes(path): names, each with a NUL behind it, as a Buffer; or -errno. */
static napi_value list_attributes(napi_env env, napi_callback_info info) {
  ARGS(1);
  return sized(env, string(env, arg[0]), NULL);
}

/* seek(fd, offset, whence): the offset or -errno. */
static napi_value seek(napi_env env, napi_callback_info info) {
  ARGS(3);
  return result_of(env, lseek((int)integer(env, arg[0]), (off_t)integer(env, arg[1]), (int)integer(env, arg[2])));
}

static long sync_run(const struct slow_call *call) {
  int fd = open(call->text[0], O_RDONLY | O_CLOEXEC);
  long result = fd == -1 ? -errno : errno_of(syncfs(fd));
  if (fd != -1) close(fd);
  return result;
}

/* syncFileSystem(path): a promise of 0 or -errno. */
static napi_value sync_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 1, 0, sync_run); }

void register_files(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"replaceFile", replace_file},
      {"mknod", make_node},          {"setTimes", set_times},
      {"setAttribute", set_attribute}, {"getAttribute", get_attribute},
      {"listAttributes", list_attributes}, {"syncFileSystem", sync_start},
      {"seek", seek},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
