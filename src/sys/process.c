/* Processes that exist: whose children they are, how they ended, signals to them; and this one's memory. */
#define _GNU_SOURCE
#include "addon.h"
#include "../monitor/wait.h"
#include "arguments.h"
#include "monitor.h"
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static napi_value set_subreaper(napi_env env, napi_callback_info info) {
  (void)info;
  return result_of(env, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

/* waitFor(pid, keep): null while it runs, {pid, status} once it ended (status as a shell has it), or -errno.
 * pid 0 asks for any child; keep leaves the zombie for somebody else to collect. A worker's children are its monitor's. */
static napi_value wait_for(napi_env env, napi_callback_info info) {
  ARGS(2);
  pid_t pid = (pid_t)integer(env, arg[0]);
  bool keep = false;
  napi_get_value_bool(env, arg[1], &keep);
  int status = 0;
  pid_t who = has_monitor() ? wait_by_monitor(pid, keep, &status) : wait_for_child(pid, keep, &status);
  return ended(env, who, status);
}

napi_value ended(napi_env env, pid_t pid, int status) {
  if (pid < 0) return number(env, pid);
  napi_value result;
  if (pid == 0) {
    napi_get_null(env, &result);
    return result;
  }
  napi_create_object(env, &result);
  set_number(env, result, "pid", pid);
  set_number(env, result, "status", status);
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

/*
 * releaseFiles(): of files that are mapped to be read, nothing is in this process's memory any more, until it is read again. Where something of
 * a mapping has been written, as where the linker has put addresses, it stays: it could not be read again.
 */
static napi_value release_files(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  char line[PATH_MAX + 128], rights[5] = "";
  unsigned long from = 0, to = 0, offset, kilobytes;
  bool is_file = false, is_written = false;
  FILE *maps = fopen("/proc/self/smaps", "re");
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long start, end;
    char how[5];
    if (sscanf(line, "%lx-%lx %4s %lx", &start, &end, how, &offset) == 4) {
      from = start;
      to = end;
      memcpy(rights, how, sizeof rights);
      is_file = strchr(line, '/') != NULL;
      is_written = false;
    } else if (sscanf(line, "Anonymous: %lu", &kilobytes) == 1 || sscanf(line, "Swap: %lu", &kilobytes) == 1) {
      is_written |= kilobytes > 0;
    } else if (strncmp(line, "VmFlags:", 8) == 0 && is_file && !is_written && rights[0] == 'r' && rights[1] == '-' && rights[3] == 'p') {
      /* The last of what is said of a mapping. */
      madvise((void *)from, to - from, MADV_DONTNEED);
    }
  }
  if (maps) fclose(maps);
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

void register_process(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"setSubreaper", set_subreaper},
      {"waitFor", wait_for},
      {"pidfdOpen", pidfd_open},
      {"pidfdSendSignal", pidfd_send_signal},
      {"trimMemory", trim_memory},
      {"releaseFiles", release_files},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
