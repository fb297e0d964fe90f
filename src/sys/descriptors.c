/* What is done with a descriptor, whatever it is of; and pipes, FIFOs, files in memory and counters, which are made here. */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool bytes(napi_env env, napi_value value, char **data, size_t *length) {
  return napi_get_buffer_info(env, value, (void **)data, length) == napi_ok;
}

/* read(fd, buffer): bytes read, 0 at the end, or -errno (EAGAIN among them). */
static napi_value read_fd(napi_env env, napi_callback_info info) {
  ARGS(2);
  char *data;
  size_t length;
  if (!bytes(env, arg[1], &data, &length)) return throw_type(env, "read: not a Buffer");
  ssize_t n;
  do n = read((int)integer(env, arg[0]), data, length);
  while (n == -1 && errno == EINTR);
  return result_of(env, n);
}

/* readMuch(fd, buffer): like read, and goes on while there is more and room for it: a terminal gives a page at a time. */
static napi_value read_much(napi_env env, napi_callback_info info) {
  ARGS(2);
  char *data;
  size_t length, have = 0;
  if (!bytes(env, arg[1], &data, &length)) return throw_type(env, "readMuch: not a Buffer");
  int fd = (int)integer(env, arg[0]);
  ssize_t n;
  do {
    do n = read(fd, data + have, length - have);
    while (n == -1 && errno == EINTR);
    if (n > 0) have += (size_t)n;
  } while (n > 0 && have < length);
  /* What comes after these bytes, an end or an error, the next call sees. */
  return result_of(env, have > 0 ? (ssize_t)have : n);
}

/* write(fd, buffer, from, to): bytes written or -errno. */
static napi_value write_fd(napi_env env, napi_callback_info info) {
  ARGS(4);
  char *data;
  size_t length;
  if (!bytes(env, arg[1], &data, &length)) return throw_type(env, "write: not a Buffer");
  size_t from = (size_t)integer(env, arg[2]), to = (size_t)integer(env, arg[3]);
  if (from > to || to > length) return throw_type(env, "write: range outside the Buffer");
  ssize_t n;
  do n = write((int)integer(env, arg[0]), data + from, to - from);
  while (n == -1 && errno == EINTR);
  return result_of(env, n);
}

/* pipe(): [read end, write end] or -errno. */
static napi_value make_pipe(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) == -1) return number(env, -errno);
  napi_value result;
  napi_create_array_with_length(env, 2, &result);
  napi_set_element(env, result, 0, number(env, fds[0]));
  napi_set_element(env, result, 1, number(env, fds[1]));
  return result;
}

static napi_value make_memfd(napi_env env, napi_callback_info info) {
  ARGS(1);
  char *name = string(env, arg[0]);
  long fd = memfd_create(name ? name : "", MFD_CLOEXEC);
  napi_value result = result_of(env, fd);
  free(name);
  return result;
}

static napi_value make_eventfd(napi_env env, napi_callback_info info) {
  (void)info;
  return result_of(env, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static napi_value make_fifo(napi_env env, napi_callback_info info) {
  ARGS(2);
  char *path = string(env, arg[0]);
  napi_value result = result_of(env, mkfifo(path, (mode_t)integer(env, arg[1])));
  free(path);
  return result;
}

/* copyOf(fd): another number for it, close-on-exec. */
static napi_value copy_of(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, fcntl((int)integer(env, arg[0]), F_DUPFD_CLOEXEC, 3));
}

/* duplicate(fd, onto): dup3 without close-on-exec where onto is a standard descriptor. */
static napi_value duplicate(napi_env env, napi_callback_info info) {
  ARGS(2);
  int onto = (int)integer(env, arg[1]);
  return result_of(env, dup3((int)integer(env, arg[0]), onto, onto > 2 ? O_CLOEXEC : 0));
}

/* copy(fd): another number for the same open file description. */
static napi_value copy_fd(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, fcntl((int)integer(env, arg[0]), F_DUPFD_CLOEXEC, 3));
}

/* isHungUp(fd): 1 when the last writer of a pipe is gone, 0 while there is one, or -errno. */
static napi_value is_hung_up(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct pollfd one = {.fd = (int)integer(env, arg[0]), .events = POLLIN};
  int rc;
  do rc = poll(&one, 1, 0);
  while (rc == -1 && errno == EINTR);
  return number(env, rc == -1 ? -errno : (one.revents & POLLHUP) != 0);
}

/* waiting(fd): bytes that lie unread in a pipe or FIFO, or -errno. */
static napi_value waiting_bytes(napi_env env, napi_callback_info info) {
  ARGS(1);
  int count = 0;
  int rc = ioctl((int)integer(env, arg[0]), FIONREAD, &count);
  return number(env, rc == -1 ? -errno : count);
}

/* setNonblock(fd, on) */
static napi_value set_nonblock(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd = (int)integer(env, arg[0]);
  bool on = false;
  napi_get_value_bool(env, arg[1], &on);
  int flags = fcntl(fd, F_GETFL);
  if (flags == -1) return number(env, -errno);
  return result_of(env, fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

/* pipeSize(fd, size): how many bytes a pipe has room for, or -errno; with a size above 0 it is given that first. */
static napi_value pipe_size(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd = (int)integer(env, arg[0]), size = (int)integer(env, arg[1]);
  return result_of(env, size > 0 ? fcntl(fd, F_SETPIPE_SZ, size) : fcntl(fd, F_GETPIPE_SZ));
}

/* lock(fd): an exclusive lock without waiting; 0 or -errno, EAGAIN when another has it. */
static napi_value lock(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, flock((int)integer(env, arg[0]), LOCK_EX | LOCK_NB));
}

void register_descriptors(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"read", read_fd},
      {"readMuch", read_much},
      {"write", write_fd},
      {"pipe", make_pipe},
      {"memfd", make_memfd},
      {"eventfd", make_eventfd},
      {"mkfifo", make_fifo},
      {"copyOf", copy_of},
      {"duplicate", duplicate},
      {"copy", copy_fd},
      {"waiting", waiting_bytes},
      {"pipeSize", pipe_size},
      {"setNonblock", set_nonblock},
      {"isHungUp", is_hung_up},
      {"lock", lock},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
