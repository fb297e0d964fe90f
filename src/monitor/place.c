/*
 * The place where a container's shim listens (contract §1.7), found and made without Node: what start.ts does, for what
 * daemons ask every time. The daemon has its answer while the shim behind the socket still boots,
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
/* containerd's LogLevel. */
#define LOG_DEBUG_LEVEL (-4)

/* Executed by this name the shim fails on purpose, also when it starts (failpoint.ts). */
#define FAILING_PROGRAM "containerd-shim-runc-fp-v1"

struct bytes {
  const unsigned char *at, *end;
};

struct field {
  uint64_t number, value;
  struct bytes content; /* Empty for one that is a number. */
};

/* The next field of a message (protobuf's wire format): false at its end, and with `*is_bad` where it is none. */
static bool next_field(struct bytes *message, struct field *field, bool *is_bad) {
  uint64_t words[2] = {0};
  if (message->at == message->end) return false;
  *is_bad = true;
  for (int i = 0; i < 2; i++) {
    int shift = 0;
    do {
      if (message->at == message->end || shift > 63) return false;
      words[i] |= (uint64_t)(*message->at & 0x7f) << shift;
      shift += 7;
    } while (*message->at++ & 0x80);
    if (i == 0 && (words[0] & 7) != 2 && (words[0] & 7) != 0) return false;
  }
  *field = (struct field){words[0] >> 3, words[1], {message->at, message->at}};
  if ((words[0] & 7) == 2) {
    if (words[1] > (uint64_t)(message->end - message->at)) return false;
    field->content.end = message->at += words[1];
  }
  *is_bad = false;
  return true;
}

static bool equals(struct bytes bytes, const char *text) {
  size_t size = (size_t)(bytes.end - bytes.at);
  return size == strlen(text) && memcmp(bytes.at, text, size) == 0;
}

#define OPTIONS "containerd.runc.v1.Options"
#define PREFIX "types.containerd.io/"

/* Options of runc's own type that say nothing about how the shim is started. */
static bool is_plain_any(struct bytes any) {
  struct bytes options = {0};
  struct field field;
  bool is_bad = false, has_type = false;
  while (next_field(&any, &field, &is_bad)) {
    if (field.number == 1 && (size_t)(field.content.end - field.content.at) > sizeof PREFIX - 1 && memcmp(field.content.at, PREFIX, sizeof PREFIX - 1) == 0)
      field.content.at += sizeof PREFIX - 1;
    if (field.number == 1 && !has_type && equals(field.content, OPTIONS)) has_type = true;
    else if (field.number == 2 && !options.at) options = field.content;
    else return false;
  }
  if (is_bad || !has_type) return false;
  while (options.at && next_field(&options, &field, &is_bad))
    if (field.number == SHIM_CGROUP) return false;
  return !is_bad;
}

/* What came with the start. */
struct sent {
  bool is_params, is_debug;
  char socket_dir[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* BootstrapParams of a containerd 2.3 or later, for this very shim, with nothing that would be another's to understand. */
static bool is_plain_params(struct bytes params, const struct words *words, struct sent *sent) {
  struct field field, extension;
  bool is_bad = false, is_id = false, is_namespace = false;
  while (next_field(&params, &field, &is_bad)) {
    bool is_good = true;
    if (field.number == 1) is_good = is_id = !is_id && equals(field.content, words->id);
    else if (field.number == 2) is_good = is_namespace = !is_namespace && equals(field.content, words->namespace);
    else if (field.number == 3) sent->is_debug = (int32_t)(uint32_t)field.value <= LOG_DEBUG_LEVEL;
    else if (field.number == 8) {
      bool is_none = false;
      while (next_field(&field.content, &extension, &is_none)) is_good = is_good && extension.number == 1 && is_plain_any(extension.content);
      is_good = is_good && !is_none;
    } else if (field.number == 9) {
      size_t size = (size_t)(field.content.end - field.content.at);
      is_good = size < sizeof sent->socket_dir && !memchr(field.content.at, '\0', size);
      if (is_good) snprintf(sent->socket_dir, sizeof sent->socket_dir, "%.*s", (int)size, (const char *)field.content.at);
    }
    if (!is_good) return false;
  }
  return sent->is_params = !is_bad && is_id && is_namespace;
}

/* False where only Node could tell. */
static bool is_plain_input(int fd, const struct words *words, struct sent *sent) {
  static unsigned char input[MAX_OPTIONS];
  ssize_t length = pread(fd, input, sizeof input, 0);
  if (length == 0) return true;
  if (length < 0 || length == sizeof input) return false;
  struct bytes message = {input, input + length};
  if (is_plain_params(message, words, sent)) return true;
  *sent = (struct sent){0};
  /* Parameters begin with the id where options have their type. */
  return strcmp(words->id, OPTIONS) != 0 && is_plain_any(message);
}

/* As it stands in a path that is already as short as it can be. */
static bool is_clean(const char *path) {
  size_t length = strlen(path);
  return length > 1 && path[0] == '/' && path[length - 1] != '/' && !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
         strcmp(path + length - 2, "/.") != 0 && !(length > 2 && strcmp(path + length - 3, "/..") == 0);
}

/* Its last two, at the most: what is farther up is not ours to make. */
static bool make_directories(const char *directory) {
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(directory, '/') - directory), directory);
  if (*parent && mkdir(parent, 0700) == -1 && errno != EEXIST) return false;
  return mkdir(directory, 0700) == 0 || errno == EEXIST;
}

/* The protocol comes last, as in dialect.ts. */
static void answer_params(char *answer, size_t size, const char *socket) {
  snprintf(answer, size, "\x08\x03\x12%cunix://%s\x1a\x05ttrpc", (char)(strlen("unix://") + strlen(socket)), socket);
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
  struct sent sent = {0};
  if (!is_plain_input(input, &words, &sent) || (*sent.socket_dir && !is_clean(sent.socket_dir))) return UNCLEAR;
  if (!group_of("config.json", words.id, group, sizeof group)) return UNCLEAR;
  if (snprintf(path, sizeof path, "%s/%s/%s", words.address, words.namespace, group) >= (int)sizeof path) return UNCLEAR;

  char name[65];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  sha256(path, name);
  const char *directory = *sent.socket_dir ? sent.socket_dir : SOCKET_DIR;
  if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name) >= (int)sizeof address.sun_path) return UNCLEAR;
  snprintf(place->socket, sizeof place->socket, "%s", address.sun_path);
  snprintf(place->answer, sizeof place->answer, "unix://%s", address.sun_path);
  if (!make_directories(directory)) return UNCLEAR;
  bool is_json = !sent.is_params && is_containerd_2(daemon);
  place->listener = listen_at(&address);
  /* What a shim serves that is there already, perhaps another make's, Node asks it where the answer has to say so. */
  if (place->listener == -1 && (is_json || sent.is_params || !is_served(&address))) return UNCLEAR;
  if (!write_address(place->answer)) {
    if (place->listener == -1) return UNCLEAR;
    unlink(address.sun_path);
    close(place->listener);
    return UNCLEAR;
  }
  if (is_json) snprintf(place->answer, sizeof place->answer, "{\"version\":3,\"address\":\"unix://%s\",\"protocol\":\"ttrpc\"}", address.sun_path);
  if (sent.is_params) answer_params(place->answer, sizeof place->answer, address.sun_path);
  place->is_debug = sent.is_debug;
  return place->listener == -1 ? SERVED : PLACED;
}
