/*
 * The place where a container's shim listens (contract §1.7), found and made without Node: what start.ts does, for what
 * daemons up to containerd 2.2 ask every time. The daemon has its answer while the shim behind the socket still boots,
 * and what it sends meanwhile waits there. Whatever is not plain here is left to start.ts, which alone gives errors.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_DIR "/run/containerd/s"
#define BACKLOG 511
#define MAX_ID 76
#define MAX_OPTIONS (64 << 10)
#define SHIM_CGROUP 3

/* Executed by this name the shim fails on purpose, also when it starts (failpoint.ts). */
#define FAILING_PROGRAM "containerd-shim-runc-fp-v1"

struct bytes {
  const unsigned char *at, *end;
};

/* The next field of a message (protobuf's wire format): false at its end, and with `*is_bad` where it is none. */
static bool next_field(struct bytes *message, uint64_t *number, struct bytes *content, bool *is_bad) {
  uint64_t words[2] = {0};
  if (message->at == message->end) return false;
  *is_bad = true;
  for (int i = 0; i < 2; i++) {
    int shift = 0;
    do {
      if (message->at == message->end || shift > 56) return false;
      words[i] |= (uint64_t)(*message->at & 0x7f) << shift;
      shift += 7;
    } while (*message->at++ & 0x80);
    if (i == 0 && (words[0] & 7) != 2 && (words[0] & 7) != 0) return false;
  }
  *number = words[0] >> 3;
  *content = (struct bytes){message->at, message->at};
  if ((words[0] & 7) == 2) {
    if (words[1] > (uint64_t)(message->end - message->at)) return false;
    content->end = message->at += words[1];
  }
  *is_bad = false;
  return true;
}

/* Nothing, or options of runc's own type that say nothing about how the shim is started. */
static bool is_plain_input(int fd, const char *id) {
  static const char type[] = "containerd.runc.v1.Options", prefix[] = "types.containerd.io/";
  static unsigned char input[MAX_OPTIONS];
  ssize_t length = pread(fd, input, sizeof input, 0);
  if (length == 0) return true;
  /* A later containerd's parameters begin with the id where these have the type. */
  if (length < 0 || length == sizeof input || strcmp(id, type) == 0) return false;
  struct bytes any = {input, input + length}, content, options = {0};
  uint64_t number;
  bool is_bad = false, has_type = false;
  while (next_field(&any, &number, &content, &is_bad)) {
    size_t size = (size_t)(content.end - content.at);
    if (number == 1 && size > sizeof prefix - 1 && memcmp(content.at, prefix, sizeof prefix - 1) == 0) {
      content.at += sizeof prefix - 1;
      size -= sizeof prefix - 1;
    }
    if (number == 1 && !has_type && size == sizeof type - 1 && memcmp(content.at, type, size) == 0) has_type = true;
    else if (number == 2 && !options.at) options = content;
    else return false;
  }
  if (is_bad || !has_type) return false;
  while (options.at && next_field(&options, &number, &content, &is_bad))
    if (number == SHIM_CGROUP) return false;
  return !is_bad;
}

/* As it stands in a path that is already as short as it can be. */
static bool is_clean(const char *path) {
  size_t length = strlen(path);
  return length > 1 && path[0] == '/' && path[length - 1] != '/' && !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
         strcmp(path + length - 2, "/.") != 0 && !(length > 2 && strcmp(path + length - 3, "/..") == 0);
}

static bool make_directories(void) {
  static const char *const directories[] = {"/run/containerd", SOCKET_DIR};
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
    if (mkdir(directories[i], 0700) == -1 && errno != EEXIST) return false;
  return true;
}

/* A listening socket; -1 where there is one, living or dead. */
static int listen_at(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) return -1;
  mode_t before = umask(0177);
  bool is_bound = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
  umask(before);
  if (is_bound && listen(fd, BACKLOG) == 0) return fd;
  if (is_bound) unlink(address->sun_path);
  close(fd);
  return -1;
}

static bool is_served(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool is_connected = fd != -1 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
  if (fd != -1) close(fd);
  return is_connected;
}

/* In the bundle, for a daemon that starts anew: the old file or the new one, never a part. */
static bool write_address(const char *text) {
  char temporary[48];
  snprintf(temporary, sizeof temporary, "address.%d.tmp", (int)getpid());
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd == -1) return false;
  bool is_written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  close(fd);
  if (is_written && rename(temporary, "address") == 0) return true;
  unlink(temporary);
  return false;
}

enum placed find_place(char **argv, int argc, int input, pid_t daemon, struct place *place) {
  struct words words = {0};
  char group[NAME_MAX + 1], path[PATH_MAX], *program = strrchr(argv[0], '/');
  const char *wish = getenv("HAWSER_PLACE");
  if (wish && strcmp(wish, "off") == 0) return UNCLEAR;
  if (strcmp(program ? program + 1 : argv[0], FAILING_PROGRAM) == 0) return UNCLEAR;
  if (!parse_words(argv, argc, &words) || strcmp(words.action, "start") != 0) return UNCLEAR;
  if (!words.id || !words.namespace || !words.address) return UNCLEAR;
  if (!is_identifier(words.id) || strlen(words.id) > MAX_ID || !is_identifier(words.namespace) || !is_clean(words.address)) return UNCLEAR;
  if (!is_plain_input(input, words.id) || !group_of("config.json", words.id, group, sizeof group)) return UNCLEAR;
  if (snprintf(path, sizeof path, "%s/%s/%s", words.address, words.namespace, group) >= (int)sizeof path) return UNCLEAR;

  char name[65];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  sha256(path, name);
  snprintf(address.sun_path, sizeof address.sun_path, SOCKET_DIR "/%s", name);
  snprintf(place->socket, sizeof place->socket, "%s", address.sun_path);
  snprintf(place->answer, sizeof place->answer, "unix://%s", address.sun_path);
  if (!make_directories()) return UNCLEAR;
  bool is_json = is_containerd_2(daemon);
  place->listener = listen_at(&address);
  /* What a shim serves that is there already, perhaps another make's, Node asks it where the answer has to say so. */
  if (place->listener == -1 && (is_json || !is_served(&address))) return UNCLEAR;
  if (!write_address(place->answer)) {
    if (place->listener == -1) return UNCLEAR;
    unlink(address.sun_path);
    close(place->listener);
    return UNCLEAR;
  }
  if (is_json) snprintf(place->answer, sizeof place->answer, "{\"version\":3,\"address\":\"unix://%s\",\"protocol\":\"ttrpc\"}", address.sun_path);
  return place->listener == -1 ? SERVED : PLACED;
}
