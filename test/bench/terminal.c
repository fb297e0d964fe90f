/*
 * terminal PROGRAM...: runs a program whose standard output is a terminal, reads what it writes, and throws it away.
 *
 * Nobody can have a terminal's output sooner: a read gives four kilobytes at the most, and has the kernel fetch them first (n_tty_read).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int argc, char **argv) {
  static char buffer[64 << 10];
  if (argc < 2) return 2;
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master == -1 || grantpt(master) || unlockpt(master)) return fail("posix_openpt");
  const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal == -1) return fail("open");
  const pid_t writer = fork();
  if (writer == 0) {
    dup2(terminal, 1);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  close(terminal);
  ssize_t n;
  do n = read(master, buffer, sizeof buffer);
  while (n > 0 || (n == -1 && errno == EINTR));
  int status = 0;
  /* EIO: nobody has it open any more. */
  if (n == -1 && errno != EIO) return fail("read");
  return waitpid(writer, &status, 0) == writer && status == 0 ? 0 : 1;
}
