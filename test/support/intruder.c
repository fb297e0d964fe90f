/*
 * Runs in a container and tries to get at its host by its streams: one line in the file REPORT for each descriptor and each thing
 * tried, with 0 or an errno. Then it does what it is there for: it copies its input's length and SIZE bytes to its output.
 * Usage: intruder REPORT SIZE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static FILE *report;

static void tell(int fd, const char *what, long result) { fprintf(report, "%d %s %d\n", fd, what, result == -1 ? errno : 0); }

static void reopen(int fd, const char *what, const char *path, int flags) {
  int other = open(path, flags | O_NONBLOCK | O_NOCTTY);
  tell(fd, what, other);
  if (other == -1) return;
  char name[64];
  snprintf(name, sizeof name, "%s:truncate", what);
  tell(fd, name, ftruncate(other, 0));
  close(other);
}

static void try(int fd) {
  char path[64], target[4096] = "";
  struct stat stat;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (readlink(path, target, sizeof target - 1) == -1 || fstat(fd, &stat) == -1) exit(3);
  fprintf(report, "%d is %s\n%d inode %lu:%lu\n", fd, target, fd, (unsigned long)stat.st_dev, (unsigned long)stat.st_ino);
  reopen(fd, "wipe", path, O_WRONLY | O_TRUNC);
  reopen(fd, "both", path, O_RDWR);
  reopen(fd, "append", path, O_WRONLY | O_APPEND);
  reopen(fd, "read", path, O_RDONLY);
  reopen(fd, "name", target, O_RDWR);
  tell(fd, "truncate", truncate(path, 0));
  tell(fd, "ftruncate", ftruncate(fd, 0));
  tell(fd, "fallocate", fallocate(fd, 0, 0, 1 << 20));
  tell(fd, "seek", lseek(fd, 0, SEEK_SET));
  tell(fd, "chmod", chmod(path, 04777));
  tell(fd, "fchmod", fchmod(fd, 04777));
  tell(fd, "chown", chown(path, 1000, 1000));
  tell(fd, "fchown", fchown(fd, 1000, 1000));
  tell(fd, "times", futimens(fd, (struct timespec[2]){{1, 0}, {1, 0}}));
  tell(fd, "attribute", fsetxattr(fd, "user.intruder", "x", 1, 0));
  tell(fd, "unlink", unlink(target));
  tell(fd, "lease", fcntl(fd, F_SETLEASE, F_WRLCK));
  tell(fd, "flock", flock(fd, LOCK_EX | LOCK_NB));
  tell(fd, "lock", fcntl(fd, F_SETLK, &lock));
  tell(fd, "owner", fcntl(fd, F_SETOWN, getpid()));
  tell(fd, "small", fcntl(fd, F_SETPIPE_SZ, 4096));
  tell(fd, "large", fcntl(fd, F_SETPIPE_SZ, 1 << 18));
  tell(fd, "small-again", fcntl(fd, F_SETPIPE_SZ, 4096));
  tell(fd, "nonblocking", fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
  tell(fd, "ioctl", ioctl(fd, FIONBIO, &(int){1}));
}

static void wait_for(int fd, short events) {
  if (errno != EAGAIN || poll(&(struct pollfd){.fd = fd, .events = events}, 1, -1) == -1) exit(4);
}

static void put(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, bytes, length);
    if (n == -1) {
      wait_for(fd, POLLOUT);
      continue;
    }
    bytes += n;
    length -= (size_t)n;
  }
}

int main(int argc, char **argv) {
  char bytes[1000];
  size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0, input = 0;
  report = fopen(argv[1], "w");
  if (!report) return 2;
  for (int fd = 0; fd <= 2; fd++) try(fd);
  for (ssize_t n; (n = read(0, bytes, sizeof bytes)) != 0;) {
    if (n == -1)
      wait_for(0, POLLIN);
    else
      input += (size_t)n;
  }
  fprintf(report, "0 read %lu\n", (unsigned long)input);
  fclose(report);
  memset(bytes, 'x', sizeof bytes);
  for (size_t left = size; left > 0; left -= left < sizeof bytes ? left : sizeof bytes)
    put(1, bytes, left < sizeof bytes ? left : sizeof bytes);
  put(2, "errors\n", 7);
  return 0;
}
