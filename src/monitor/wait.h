/* How a child has ended. */
#ifndef HAWSER_WAIT_H
#define HAWSER_WAIT_H

#include <errno.h>
#include <stdbool.h>
#include <sys/wait.h>

/* The pid of a child that has ended, 0 while it runs, or -errno; status as a shell has it. pid 0: any; keep: it stays a zombie. */
static inline pid_t wait_for_child(pid_t pid, bool keep, int *status) {
  siginfo_t ended = {0};
  int rc;
  do rc = waitid(pid ? P_PID : P_ALL, (id_t)pid, &ended, WEXITED | WNOHANG | (keep ? WNOWAIT : 0));
  while (rc == -1 && errno == EINTR);
  if (rc == -1) return -errno;
  *status = ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status;
  return ended.si_pid;
}

/* What waitpid(2) gives, as a shell has it. */
static inline int shell_status(int how) { return WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how); }

#endif
