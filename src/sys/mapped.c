/* Mounts whose owners are shifted: the user namespace that says how, the copy of a mount, and where it is put. */
#define _GNU_SOURCE
#include "addon.h"
#include "off-loop.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

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
static long userns_run(const struct slow_call *call) {
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
    result = write_file(path, call->text[0]);
  }
  if (result == 0) {
    snprintf(path, sizeof path, "/proc/%ld/gid_map", pid);
    result = write_file(path, call->text[1]);
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
static napi_value userns_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 2, 0, userns_run); }

static long mapped_run(const struct slow_call *call) {
  /* struct mount_attr, which the C library of old systems does not know. */
  struct {
    uint64_t set, clear, propagation, userns;
  } attributes = {.set = call->number[2] | 0x00100000 /* MOUNT_ATTR_IDMAP */, .userns = call->number[0]};
  unsigned recursive = call->number[1] ? 0x8000 /* AT_RECURSIVE */ : 0;
  long tree = errno_of(syscall(SYS_open_tree, AT_FDCWD, call->text[0], 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC | recursive));
  if (tree < 0) return tree;
  if (syscall(SYS_mount_setattr, (int)tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes) == -1) {
    long why = -errno;
    close((int)tree);
    return why;
  }
  return tree;
}

/* cloneMapped(path, userns, recursive, attributes): a promise of a mount that is nowhere yet, as a descriptor, or -errno. */
static napi_value mapped_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 1, 3, mapped_run); }

static long attach_run(const struct slow_call *call) {
  return errno_of(syscall(SYS_move_mount, (int)call->number[0], "", AT_FDCWD, call->text[0], 4 /* MOVE_MOUNT_F_EMPTY_PATH */));
}

/* attachMount(target, tree): a promise of 0 or -errno. */
static napi_value attach_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 1, 1, attach_run); }

void register_mapped(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"makeUserNamespace", userns_start},
      {"cloneMapped", mapped_start},
      {"attachMount", attach_start},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
