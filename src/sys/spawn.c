/* Starting a program, with exactly the descriptors that it is to have. */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

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

/* The soft limit of open files to give to children: Node raises its own as far as it may. 0: leave it as it is. */
static rlim_t children_nofile;

static napi_value set_children_nofile(napi_env env, napi_callback_info info) {
  ARGS(1);
  children_nofile = (rlim_t)integer(env, arg[0]);
  return NULL;
}

/* What the child does between vfork and exec: only async-signal-safe calls, as it borrows its parent's memory. With nfds -1
 * it keeps 0, 1 and 2, which Node closes on exec as it does all that it has inherited. */
static int become(char *const argv[], char *const envp[], const char *file, const char *cwd, const int *sources, int nfds,
                  bool die_with_parent, bool own_group) {
  sigset_t none;
  /* The kernel's own structure, all zero: SIG_DFL. The C library keeps two signals, 32 and 33, to itself, which may have
   * been ignored by whoever started this process: no concern of a child's. A program that takes this one's place gets
   * them as they were, as from a Go program. */
  unsigned long fallback[8] = {0};
  for (int s = 1; s < NSIG; s++)
    if (s != SIGKILL && s != SIGSTOP && (nfds >= 0 || (s != 32 && s != 33)))
      syscall(SYS_rt_sigaction, s, fallback, NULL, 8);
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

void register_spawn(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"spawn", spawn},
      {"exec", exec_program},
      {"setChildrenNofile", set_children_nofile},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
