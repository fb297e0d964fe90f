/*
 * hawser-after PID PROGRAM [ARG...]: becomes another program when a process has ended. Waits without using the processor, and
 * takes a few pages of memory, where Node would take some ten thousand.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: hawser-after PID PROGRAM [ARG...]\n");
    return 2;
  }
  int fd = (int)syscall(SYS_pidfd_open, (pid_t)atoi(argv[1]), 0);
  if (fd < 0 && errno != ESRCH) {
    fprintf(stderr, "hawser-after: process %s cannot be watched: %s\n", argv[1], strerror(errno));
    return 1;
  }
  if (fd >= 0) {
    struct pollfd end = { .fd = fd, .events = POLLIN };
    while (poll(&end, 1, -1) < 0 && errno == EINTR) {
    }
    close(fd);
  }
  execv(argv[2], argv + 2);
  fprintf(stderr, "hawser-after: %s: %s\n", argv[2], strerror(errno));
  return 1;
}
