/* Starting a program, with exactly the descriptors that it is to have. Needs nothing but the kernel. */
#define _GNU_SOURCE
#include "spawn.h"
#include <errno.h>
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

rlim_t children_nofile;

/* What the child does between vfork and exec: only async-signal-safe calls, as it borrows its parent's memory. With nfds -1
 * it keeps 0, 1 and 2, which Node closes on exec as it does all that it has inherited. */
int become_program(const struct program *program, const int *sources, int nfds) {
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
  if (program->own_group && setpgid(0, 0) == -1) return errno;
  if (program->die_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1) return errno;
  if (program->cwd && chdir(program->cwd) == -1) return errno;
  struct rlimit nofile;
  if (children_nofile && getrlimit(RLIMIT_NOFILE, &nofile) == 0 && children_nofile <= nofile.rlim_max) {
    nofile.rlim_cur = children_nofile;
    setrlimit(RLIMIT_NOFILE, &nofile);
  }
  for (int i = 0; i < nfds; i++)
    if (dup2(sources[i], i) == -1) return errno;
  for (int fd = 0; nfds < 0 && fd <= 2; fd++) fcntl(fd, F_SETFD, 0);
  if (nfds >= 0) syscall(SYS_close_range, nfds, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  execve(program->file, program->argv, program->envp);
  return errno;
}

/* Separate, as a function that calls vfork must have few variables. */
static __attribute__((noinline)) pid_t spawn_from(const struct program *program, const int *sources, int nfds) {
  volatile int why = 0;
  pid_t pid = vfork();
  if (pid == 0) {
    why = become_program(program, sources, nfds);
    _exit(127);
  }
  if (pid == -1) return -errno;
  if (!why) return pid;
  while (waitpid(pid, NULL, 0) == -1 && errno == EINTR) continue;
  return -why;
}

pid_t spawn_program(const struct program *program, const int *descriptors, int nfds) {
  int sources[SPAWN_DESCRIPTORS], failed = nfds > SPAWN_DESCRIPTORS ? EMFILE : 0, copied = 0;
  /* Copies that lie above every target, so that no dup2 in the child overwrites a source still needed. */
  for (; !failed && copied < nfds; copied++) {
    sources[copied] = fcntl(descriptors[copied], F_DUPFD_CLOEXEC, nfds);
    if (sources[copied] == -1) {
      failed = errno;
      break;
    }
  }
  pid_t pid = -failed;
  if (!failed) {
    /* All signals are held while parent and child share memory, so that no handler runs in the child. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = spawn_from(program, sources, nfds);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  while (copied > 0) close(sources[--copied]);
  return pid;
}
