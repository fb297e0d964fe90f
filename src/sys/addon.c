/*
 * The system calls that Node lacks. Every function is a thin face over one call: it returns the call's result, or a
 * negative errno which sys/index.ts turns into an Error. Nothing here decides anything.
 *
 * Only N-API and the few libuv functions declared below are used. libuv keeps its ABI within 1.x and all of these take
 * opaque pointers, so no libuv header is needed and one build loads in every Node from 20 on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "files.h"
#include "job.h"
#include "migration.h"
#include "relay.h"
#include "terminal.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* ---- libuv, as opaque pointers ------------------------------------------------------------------------------- */

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*poll_cb)(uv_handle_t *handle, int status, int events);
extern size_t uv_handle_size(int type);
extern const char *uv_handle_type_name(int type);
extern int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, poll_cb cb);
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*cb)(uv_handle_t *handle));
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void uv_unref(uv_handle_t *handle);
#define UV_POLL 8

/* A NULL-terminated copy of an array of strings, to be freed with free_strings. */
static char **strings(napi_env env, napi_value array) {
  uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  char **result = calloc(length + 1, sizeof *result);
  for (uint32_t i = 0; result && i < length; i++) {
    napi_value item;
    napi_get_element(env, array, i, &item);
    result[i] = string(env, item);
  }
  return result;
}

static void free_strings(char **list) {
  for (char **item = list; item && *item; item++) free(*item);
  free(list);
}

static void set_number(napi_env env, napi_value object, const char *name, int64_t value) {
  napi_set_named_property(env, object, name, number(env, value));
}

/* ---- processes ------------------------------------------------------------------------------------------------ */

static napi_value set_subreaper(napi_env env, napi_callback_info info) {
  (void)info;
  return result_of(env, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

/* waitFor(pid, keep): null while it runs, {pid, status} once it ended (status as a shell has it), or -errno.
 * pid 0 asks for any child; keep leaves the zombie for somebody else to collect. */
static napi_value wait_for(napi_env env, napi_callback_info info) {
  ARGS(2);
  pid_t pid = (pid_t)integer(env, arg[0]);
  bool keep = false;
  napi_get_value_bool(env, arg[1], &keep);
  siginfo_t si = {0};
  int rc;
  do {
    rc = waitid(pid ? P_PID : P_ALL, (id_t)pid, &si, WEXITED | WNOHANG | (keep ? WNOWAIT : 0));
  } while (rc == -1 && errno == EINTR);
  if (rc == -1) return number(env, -errno);
  napi_value result;
  if (si.si_pid == 0) {
    napi_get_null(env, &result);
    return result;
  }
  napi_create_object(env, &result);
  set_number(env, result, "pid", si.si_pid);
  set_number(env, result, "status", si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status);
  return result;
}

static napi_value pidfd_open(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, syscall(SYS_pidfd_open, (pid_t)integer(env, arg[0]), 0));
}

static napi_value pidfd_send_signal(napi_env env, napi_callback_info info) {
  ARGS(2);
  return result_of(env, syscall(SYS_pidfd_send_signal, (int)integer(env, arg[0]), (int)integer(env, arg[1]), NULL, 0));
}

/* The soft limit of open files to give to children: Node raises its own as far as it may. 0: leave it as it is. */
static rlim_t children_nofile;

static napi_value set_children_nofile(napi_env env, napi_callback_info info) {
  ARGS(1);
  children_nofile = (rlim_t)integer(env, arg[0]);
  return NULL;
}

/* Gives the kernel what the allocator keeps for later. */
static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return NULL;
}

/* What the child does between vfork and exec: only async-signal-safe calls, as it borrows its parent's memory. With nfds -1
 * it keeps 0, 1 and 2, which Node closes on exec as it does all that it has inherited. */
static int become(char *const argv[], char *const envp[], const char *file, const char *cwd, const int *sources, int nfds,
                  bool die_with_parent, bool own_group) {
  sigset_t none;
  /* The kernel's own structure, all zero: SIG_DFL. The C library would keep two signals to itself, which may have been
   * ignored by whoever started this process. */
  unsigned long fallback[8] = {0};
  for (int s = 1; s < NSIG; s++)
    if (s != SIGKILL && s != SIGSTOP) syscall(SYS_rt_sigaction, s, fallback, NULL, 8);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (own_group && setpgid(0, 0) == -1) return errno;
  if (die_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1) return errno;
  if (cwd && chdir(cwd) == -1) return errno;
  struct rlimit nofile;
  if (children_nofile && getrlimit(RLIMIT_NOFILE, &nofile) == 0 && children_nofile <= nofile.rlim_max) {
    nofile.rlim_cur = children_nofile;
    setrlimit(RLIMIT_NOFILE, &nofile);
  }
  for (int i = 0; i < nfds; i++)
    if (dup2(sources[i], i) == -1) return errno;
  for (int fd = 0; nfds < 0 && fd <= 2; fd++) fcntl(fd, F_SETFD, 0);
  if (nfds >= 0) syscall(SYS_close_range, nfds, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  execve(file, argv, envp);
  return errno;
}

/* spawn(file, argv, env, cwd|null, fds, dieWithParent, ownGroup): the pid, or -errno, also when exec itself fails.
 * fds[i] becomes the child's descriptor i; everything else is closed. */
static napi_value spawn(napi_env env, napi_callback_info info) {
  ARGS(7);
  uint32_t nfds = 0;
  int sources[64];
  napi_get_array_length(env, arg[4], &nfds);
  if (nfds > 64) return throw_type(env, "too many descriptors");
  /* Copies that lie above every target, so that no dup2 in the child overwrites a source still needed. */
  int failed = 0;
  for (uint32_t i = 0; i < nfds; i++) {
    napi_value item;
    napi_get_element(env, arg[4], i, &item);
    sources[i] = failed ? -1 : fcntl((int)integer(env, item), F_DUPFD_CLOEXEC, (int)nfds);
    if (sources[i] == -1 && !failed) failed = errno;
  }
  char *file = string(env, arg[0]), *cwd = string(env, arg[3]);
  char **argv = strings(env, arg[1]), **envp = strings(env, arg[2]);
  bool die = false, group = false;
  napi_get_value_bool(env, arg[5], &die);
  napi_get_value_bool(env, arg[6], &group);
  pid_t pid = -1;
  if (!failed) {
    /* All signals are held while parent and child share memory, so that no handler runs in the child. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    volatile int why = 0;
    pid = vfork();
    if (pid == 0) {
      why = become(argv, envp, file, cwd, sources, (int)nfds, die, group);
      _exit(127);
    }
    if (pid == -1) failed = errno;
    else if (why) {
      failed = why;
      while (waitpid(pid, NULL, 0) == -1 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  for (uint32_t i = 0; i < nfds; i++)
    if (sources[i] >= 0) close(sources[i]);
  free(file);
  free(cwd);
  free_strings(argv);
  free_strings(envp);
  return number(env, failed ? -failed : pid);
}

/* exec(file, argv, env): -errno, if it returns. Signals have been reset then, and the process is good for saying so. */
static napi_value exec_program(napi_env env, napi_callback_info info) {
  ARGS(3);
  char *file = string(env, arg[0]);
  char **argv = strings(env, arg[1]), **envp = strings(env, arg[2]);
  int why = become(argv, envp, file, NULL, NULL, -1, false, false);
  free(file);
  free_strings(argv);
  free_strings(envp);
  return number(env, -why);
}

/* ---- descriptors ---------------------------------------------------------------------------------------------- */

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

/* realtime(): nanoseconds since the epoch, as a BigInt. */
static napi_value realtime(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  napi_value result;
  napi_create_bigint_int64(env, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &result);
  return result;
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

/* lock(fd): an exclusive lock without waiting; 0 or -errno, EAGAIN when another has it. */
static napi_value lock(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, flock((int)integer(env, arg[0]), LOCK_EX | LOCK_NB));
}

/* ---- sockets -------------------------------------------------------------------------------------------------- */

/* peerCredentials(fd): {pid, uid, gid} or -errno. */
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct ucred cred;
  socklen_t length = sizeof cred;
  if (getsockopt((int)integer(env, arg[0]), SOL_SOCKET, SO_PEERCRED, &cred, &length) == -1) return number(env, -errno);
  napi_value result;
  napi_create_object(env, &result);
  set_number(env, result, "pid", cred.pid);
  set_number(env, result, "uid", cred.uid);
  set_number(env, result, "gid", cred.gid);
  return result;
}

/* listenUnix(path): a listening, non-blocking stream socket, or -errno. A path that begins with NUL is an abstract name. */
static napi_value listen_unix(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = 0;
  if (napi_get_value_string_utf8(env, arg[0], NULL, 0, &length) != napi_ok || length == 0) return number(env, -EINVAL);
  if (length >= sizeof address.sun_path) return number(env, -ENAMETOOLONG);
  napi_get_value_string_utf8(env, arg[0], address.sun_path, sizeof address.sun_path, &length);
  /* An abstract name is as long as the address says; a path ends with its NUL. */
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (address.sun_path[0] ? 1 : 0));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) return number(env, -errno);
  if (bind(fd, (struct sockaddr *)&address, size) == -1 || listen(fd, SOMAXCONN) == -1) {
    int why = errno;
    close(fd);
    return number(env, -why);
  }
  return number(env, fd);
}

/* sendDatagram(path, text): one message to a unix datagram socket; a path that begins with NUL is an abstract name. */
static napi_value send_datagram(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = 0, size = 0;
  char text[1024];
  if (napi_get_value_string_utf8(env, arg[0], NULL, 0, &length) != napi_ok || length == 0) return number(env, -EINVAL);
  if (length >= sizeof address.sun_path) return number(env, -ENAMETOOLONG);
  napi_get_value_string_utf8(env, arg[0], address.sun_path, sizeof address.sun_path, &length);
  if (napi_get_value_string_utf8(env, arg[1], text, sizeof text, &size) != napi_ok) return number(env, -EINVAL);
  socklen_t named = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (address.sun_path[0] ? 1 : 0));
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) return number(env, -errno);
  int why = sendto(fd, text, size, MSG_NOSIGNAL, (struct sockaddr *)&address, named) == -1 ? errno : 0;
  close(fd);
  return number(env, -why);
}

/* accept(fd): a connection (blocking mode as accepted, i.e. blocking), or -errno. */
static napi_value accept_one(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, accept4((int)integer(env, arg[0]), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* receiveDescriptor(socket): the one descriptor of the next message, or -errno; EBADMSG when it holds none or more. */
static napi_value receive_descriptor(napi_env env, napi_callback_info info) {
  ARGS(1);
  char name[4096];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(8 * sizeof(int))];
  } control;
  struct iovec part = {.iov_base = name, .iov_len = sizeof name};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do n = recvmsg((int)integer(env, arg[0]), &message, MSG_CMSG_CLOEXEC);
  while (n == -1 && errno == EINTR);
  if (n == -1) return number(env, -errno);
  int found = -1, count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int many = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < many; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof fd, sizeof fd);
      if (count++ == 0) found = fd;
      else close(fd);
    }
  }
  if (count == 1) return number(env, found);
  if (found >= 0) close(found);
  return number(env, -EBADMSG);
}

/* ---- terminals ------------------------------------------------------------------------------------------------ */

/* setWindowSize(fd, columns, rows) */
static napi_value set_window_size(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct winsize size = {.ws_col = (unsigned short)integer(env, arg[1]), .ws_row = (unsigned short)integer(env, arg[2])};
  return result_of(env, ioctl((int)integer(env, arg[0]), TIOCSWINSZ, &size));
}

/* openTerminalPeer(master): the slave end, without becoming its session. */
static napi_value open_terminal_peer(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, ioctl((int)integer(env, arg[0]), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* ---- readiness ------------------------------------------------------------------------------------------------ */

struct watch {
  uv_handle_t *handle;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
};

static void watch_free(uv_handle_t *handle) {
  struct watch *w = uv_handle_get_data(handle);
  free(handle);
  free(w);
}

static void watch_ready(uv_handle_t *handle, int status, int events) {
  struct watch *w = uv_handle_get_data(handle);
  napi_env env = w->env;
  napi_handle_scope scope;
  napi_value fn, global, args[2];
  napi_open_handle_scope(env, &scope);
  napi_get_global(env, &global);
  if (w->callback && napi_get_reference_value(env, w->callback, &fn) == napi_ok && fn) {
    args[0] = number(env, status);
    args[1] = number(env, events);
    if (napi_make_callback(env, w->context, global, fn, 2, args, NULL) == napi_pending_exception) {
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

/* watchOpen(fd, callback(status, events)): a handle, or -errno. The descriptor stays the caller's. */
static napi_value watch_open(napi_env env, napi_callback_info info) {
  ARGS(2);
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok) return throw_type(env, "no event loop");
  struct watch *w = calloc(1, sizeof *w);
  w->handle = calloc(1, uv_handle_size(UV_POLL));
  w->env = env;
  int rc = uv_poll_init(loop, w->handle, (int)integer(env, arg[0]));
  if (rc < 0) {
    free(w->handle);
    free(w);
    return number(env, rc);
  }
  uv_handle_set_data(w->handle, w);
  napi_value name, result;
  napi_create_string_utf8(env, "hawser:watch", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &w->context);
  napi_create_reference(env, arg[1], 1, &w->callback);
  napi_create_external(env, w, NULL, NULL, &result);
  return result;
}

static struct watch *watch_of(napi_env env, napi_value value) {
  void *w = NULL;
  napi_get_value_external(env, value, &w);
  return w;
}

/* watchFor(handle, events): 1 readable, 2 writable; 0 pauses. */
static napi_value watch_for(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct watch *w = watch_of(env, arg[0]);
  if (!w) return throw_type(env, "not a watch");
  int events = (int)integer(env, arg[1]);
  return number(env, events ? uv_poll_start(w->handle, events, watch_ready) : uv_poll_stop(w->handle));
}

/* watchClose(handle): must be called once, before the descriptor is closed. */
static napi_value watch_close(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct watch *w = watch_of(env, arg[0]);
  if (!w || !w->callback) return throw_type(env, "not an open watch");
  napi_delete_reference(env, w->callback);
  w->callback = NULL;
  napi_async_destroy(env, w->context);
  uv_poll_stop(w->handle);
  uv_close(w->handle, watch_free);
  return NULL;
}

/* watchUnref(handle): the watch alone no longer keeps the process running. */
static napi_value watch_unref(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct watch *w = watch_of(env, arg[0]);
  if (w) uv_unref(w->handle);
  return NULL;
}

/* ---- mounts, which may take long and so run off the loop ------------------------------------------------------- */

struct mount_job {
  /* Gives what the call gave, or -errno. */
  long (*run)(const struct mount_job *job);
  char *text[5];
  unsigned long number[3];
  long result;
  napi_async_work work;
  napi_deferred deferred;
};

static void mount_execute(napi_env env, void *data) {
  (void)env;
  struct mount_job *job = data;
  job->result = job->run(job);
}

static void mount_complete(napi_env env, napi_status status, void *data) {
  (void)status;
  struct mount_job *job = data;
  napi_resolve_deferred(env, job->deferred, number(env, job->result));
  napi_delete_async_work(env, job->work);
  for (size_t i = 0; i < sizeof job->text / sizeof *job->text; i++) free(job->text[i]);
  free(job);
}

/* A promise of what run gives: the strings first, then the numbers, as JavaScript passed them. */
static napi_value mount_queue(napi_env env, napi_callback_info info, size_t texts, size_t numbers,
                              long (*run)(const struct mount_job *job)) {
  ARGS(texts + numbers);
  napi_value promise, name;
  struct mount_job *job = calloc(1, sizeof *job);
  job->run = run;
  for (size_t i = 0; i < texts; i++) job->text[i] = string(env, arg[i]);
  for (size_t i = 0; i < numbers; i++) job->number[i] = (unsigned long)integer(env, arg[texts + i]);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "hawser:mount", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, mount_execute, mount_complete, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

static long errno_of(long result) { return result == -1 ? -errno : result; }

static long mount_here(const struct mount_job *job) {
  return errno_of(mount(job->text[0], job->text[1], job->text[2], job->number[0], job->text[3]));
}

static void *mount_there(void *data) {
  struct mount_job *job = data;
  job->result = unshare(CLONE_FS) == -1 || chdir(job->text[4]) == -1 ? -errno : mount_here(job);
  return NULL;
}

/* A thread of its own can have a working directory of its own: overlay's lowerdirs may then be named relatively, which
 * keeps them within the one page that mount(2) reads. */
static long mount_run(const struct mount_job *job) {
  if (!job->text[4]) return mount_here(job);
  struct mount_job copy = *job;
  pthread_t thread;
  int rc = pthread_create(&thread, NULL, mount_there, &copy);
  if (rc) return -rc;
  pthread_join(thread, NULL);
  return copy.result;
}

/* mount(source, target, type, data, cwd|null, flags): a promise of 0 or -errno. */
static napi_value mount_start(napi_env env, napi_callback_info info) { return mount_queue(env, info, 5, 1, mount_run); }

static long unmount_run(const struct mount_job *job) { return errno_of(umount2(job->text[0], (int)job->number[0])); }

/* unmount(target, flags): a promise of 0 or -errno. */
static napi_value unmount_start(napi_env env, napi_callback_info info) { return mount_queue(env, info, 1, 1, unmount_run); }

/* Ties a file to a loop device that is open: in one step where the kernel can (5.8), else in three. */
static long loop_configure(int device, int file, const char *name, uint32_t flags) {
#ifdef LOOP_CONFIGURE
  struct loop_config config = {.fd = (uint32_t)file, .info.lo_flags = flags};
  strncpy((char *)config.info.lo_file_name, name, LO_NAME_SIZE - 1);
  if (ioctl(device, LOOP_CONFIGURE, &config) == 0) return 0;
  if (errno != EINVAL && errno != ENOTTY) return -errno;
#endif
  struct loop_info64 info = {.lo_flags = flags & LO_FLAGS_AUTOCLEAR};
  strncpy((char *)info.lo_file_name, name, LO_NAME_SIZE - 1);
  if (ioctl(device, LOOP_SET_FD, file) == -1) return -errno;
  if (ioctl(device, LOOP_SET_STATUS64, &info) == 0 &&
      (!(flags & LO_FLAGS_DIRECT_IO) || ioctl(device, LOOP_SET_DIRECT_IO, 1UL) == 0))
    return 0;
  long why = -errno;
  ioctl(device, LOOP_CLR_FD, 0);
  return why;
}

static long loop_open(const char *path, uint32_t flags) {
  int access = (flags & LO_FLAGS_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  int file = open(path, access), control = -1, device = -1;
  long result = -1;
  char name[32];
  if (file != -1) control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control != -1) result = ioctl(control, LOOP_CTL_GET_FREE);
  if (result != -1) {
    snprintf(name, sizeof name, "/dev/loop%ld", result);
    device = open(name, access);
  }
  result = device == -1 ? -errno : loop_configure(device, file, path, flags);
  if (result < 0 && device != -1) close(device);
  if (control != -1) close(control);
  if (file != -1) close(file);
  return result < 0 ? result : device;
}

static long loop_run(const struct mount_job *job) { return loop_open(job->text[0], (uint32_t)job->number[0]); }

/* attachLoop(file, flags): a promise of an open descriptor of a loop device, or -errno; EBUSY when somebody else was
 * faster with the device that was free. */
static napi_value loop_start(napi_env env, napi_callback_info info) { return mount_queue(env, info, 1, 1, loop_run); }

static long write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd == -1) return -errno;
  ssize_t n = write(fd, text, strlen(text));
  long result = n == (ssize_t)strlen(text) ? 0 : n == -1 ? -errno : -EIO;
  close(fd);
  return result;
}

/* A process must live in a user namespace while it is made. It waits for the end of a pipe, so that it cannot outlive
 * this one, and sends no signal when it ends, so that nobody but us collects it. */
static long userns_run(const struct mount_job *job) {
  int ends[2];
  char path[64];
  if (pipe2(ends, O_CLOEXEC) == -1) return -errno;
  long pid = syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0);
  if (pid == 0) {
    char byte;
    syscall(SYS_close, ends[1]);
    syscall(SYS_read, ends[0], &byte, 1);
    for (;;) syscall(SYS_exit_group, 0);
  }
  long result = pid == -1 ? -errno : 0;
  close(ends[0]);
  if (result == 0) {
    snprintf(path, sizeof path, "/proc/%ld/uid_map", pid);
    result = write_file(path, job->text[0]);
  }
  if (result == 0) {
    snprintf(path, sizeof path, "/proc/%ld/gid_map", pid);
    result = write_file(path, job->text[1]);
  }
  if (result == 0) {
    snprintf(path, sizeof path, "/proc/%ld/ns/user", pid);
    result = errno_of(open(path, O_RDONLY | O_CLOEXEC));
  }
  close(ends[1]);
  if (pid != -1)
    while (waitpid((pid_t)pid, NULL, __WALL) == -1 && errno == EINTR);
  return result;
}

/* makeUserNamespace(uidMap, gidMap): a promise of its descriptor, or -errno. The maps are as in /proc/PID/uid_map. */
static napi_value userns_start(napi_env env, napi_callback_info info) { return mount_queue(env, info, 2, 0, userns_run); }

static long mapped_run(const struct mount_job *job) {
  /* struct mount_attr, which the C library of old systems does not know. */
  struct {
    uint64_t set, clear, propagation, userns;
  } attributes = {.set = job->number[2] | 0x00100000 /* MOUNT_ATTR_IDMAP */, .userns = job->number[0]};
  unsigned recursive = job->number[1] ? 0x8000 /* AT_RECURSIVE */ : 0;
  long tree = errno_of(syscall(SYS_open_tree, AT_FDCWD, job->text[0], 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC | recursive));
  if (tree < 0) return tree;
  if (syscall(SYS_mount_setattr, (int)tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes) == -1) {
    long why = -errno;
    close((int)tree);
    return why;
  }
  return tree;
}

/* cloneMapped(path, userns, recursive, attributes): a promise of a mount that is nowhere yet, as a descriptor, or -errno. */
static napi_value mapped_start(napi_env env, napi_callback_info info) { return mount_queue(env, info, 1, 3, mapped_run); }

static long attach_run(const struct mount_job *job) {
  return errno_of(syscall(SYS_move_mount, (int)job->number[0], "", AT_FDCWD, job->text[0], 4 /* MOVE_MOUNT_F_EMPTY_PATH */));
}

/* attachMount(target, tree): a promise of 0 or -errno. */
static napi_value attach_start(napi_env env, napi_callback_info info) { return mount_queue(env, info, 1, 1, attach_run); }

/* ---- registration ---------------------------------------------------------------------------------------------- */

NAPI_MODULE_INIT() {
  static const struct function table[] = {
      {"setSubreaper", set_subreaper},
      {"waitFor", wait_for},
      {"pidfdOpen", pidfd_open},
      {"pidfdSendSignal", pidfd_send_signal},
      {"spawn", spawn},
      {"exec", exec_program},
      {"setChildrenNofile", set_children_nofile},
      {"trimMemory", trim_memory},
      {"read", read_fd},
      {"readMuch", read_much},
      {"write", write_fd},
      {"pipe", make_pipe},
      {"memfd", make_memfd},
      {"eventfd", make_eventfd},
      {"mkfifo", make_fifo},
      {"duplicate", duplicate},
      {"copy", copy_fd},
      {"waiting", waiting_bytes},
      {"setNonblock", set_nonblock},
      {"isHungUp", is_hung_up},
      {"realtime", realtime},
      {"peerCredentials", peer_credentials},
      {"lock", lock},
      {"sendDatagram", send_datagram},
      {"listenUnix", listen_unix},
      {"accept", accept_one},
      {"receiveDescriptor", receive_descriptor},
      {"setWindowSize", set_window_size},
      {"openTerminalPeer", open_terminal_peer},
      {"watchOpen", watch_open},
      {"watchFor", watch_for},
      {"watchClose", watch_close},
      {"watchUnref", watch_unref},
      {"mount", mount_start},
      {"unmount", unmount_start},
      {"forkForJobs", fork_for_jobs},
      {"exitNow", exit_now},
      {"setIdentity", set_identity},
      {"setName", set_name},
      {"attachLoop", loop_start},
      {"makeUserNamespace", userns_start},
      {"cloneMapped", mapped_start},
      {"attachMount", attach_start},
  };
  if (strcmp(uv_handle_type_name(UV_POLL), "poll") != 0) {
    napi_throw_error(env, NULL, "this Node's libuv numbers its handle types differently");
    return NULL;
  }
  register_functions(env, exports, table, sizeof table / sizeof *table);
  register_files(env, exports);
  register_migration(env, exports);
  register_relay(env, exports);
  register_terminal(env, exports);
  return exports;
}
