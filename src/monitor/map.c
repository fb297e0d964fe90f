/* A file's content, without copying it. */
#define _GNU_SOURCE
#include "launcher.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *map_file(const char *path, int flags, size_t *size) {
  struct stat stat = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return NULL;
  void *bytes = fstat(fd, &stat) == 0 && stat.st_size > 0 ? mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE | flags, fd, 0) : MAP_FAILED;
  close(fd);
  *size = (size_t)stat.st_size;
  return bytes == MAP_FAILED ? NULL : bytes;
}
