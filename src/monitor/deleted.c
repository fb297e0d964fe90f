/*
 * The `delete` action after a deletion that the shim itself saw through: the daemon runs it after each and every one, and
 * there is nothing left to do but to say how the container ended. The shim has left these words in the bundle, as the last
 * thing that it did for the container. Whatever else is found there is for Node to look at.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_RESPONSE 4096

/* -1 when there is no such file, or it is too long to be what we look for. */
static ssize_t read_file(const char *bundle, const char *name, char *to, size_t size) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/%s", bundle, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd == -1) return -1;
  ssize_t length = read(fd, to, size);
  close(fd);
  return length == (ssize_t)size ? -1 : length;
}

/* No socket is left, or somebody serves it who will remove it: a shim that others of the group still need. */
static bool socket_is_settled(const char *bundle) {
  struct sockaddr_un socket_address = {.sun_family = AF_UNIX};
  char address[sizeof socket_address.sun_path + 16] = {0};
  ssize_t length = read_file(bundle, "address", address, sizeof address - 1);
  if (length <= 0 || strncmp(address, "unix://", 7) != 0 || strlen(address + 7) >= sizeof socket_address.sun_path) return false;
  strcpy(socket_address.sun_path, address + 7);
  if (access(socket_address.sun_path, F_OK) == -1) return errno == ENOENT;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) return false;
  bool served = connect(fd, (struct sockaddr *)&socket_address, sizeof socket_address) == 0 || errno == ENOENT;
  close(fd);
  return served;
}

bool was_deleted(char **argv, int argc) {
  struct words words = {0};
  char cwd[PATH_MAX], bundle[PATH_MAX + 256], response[MAX_RESPONSE];
  if (!parse_words(argv, argc, &words) || strcmp(words.action, "delete") != 0) return false;
  if (!words.namespace || !*words.namespace || !words.id || !*words.id || strchr(words.id, '/') || words.id[0] == '.') return false;
  if (!getcwd(cwd, sizeof cwd)) return false;
  *strrchr(cwd, '/') = '\0';
  if (snprintf(bundle, sizeof bundle, "%s/%s", cwd, words.id) >= (int)sizeof bundle) return false;
  ssize_t length = read_file(bundle, "deleted", response, sizeof response);
  if (length <= 0 || !socket_is_settled(bundle)) return false;
  return write(STDOUT_FILENO, response, (size_t)length) == length;
}
