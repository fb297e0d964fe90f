/* What the daemon writes to the standard input of `start`. */
#define _GNU_SOURCE
#include "launcher.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* Standard input becomes a file that can be read twice: here, by a zygote, and anew if that fails. */
bool keep_input(void) {
  char buffer[65536];
  int fd = memfd_create("input", 0);
  if (fd == -1) return false;
  for (ssize_t n; (n = read(STDIN_FILENO, buffer, sizeof buffer)) != 0;) {
    if (n == -1 && errno == EINTR) continue;
    if (n == -1) break;
    if (write(fd, buffer, (size_t)n) != n) break;
  }
  bool done = dup2(fd, STDIN_FILENO) != -1 && lseek(STDIN_FILENO, 0, SEEK_SET) == 0;
  close(fd);
  return done;
}
