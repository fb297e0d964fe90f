/*
 * What a shim inherits and does not set for itself: namespaces, cgroup, session, limits, capabilities, signals, labels.
 * A zygote takes over only where all of it is the same, so it goes into the name of the socket on which the zygote waits.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/run/hawser"

extern char **environ;

static bool has_prefix(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* FNV-1a: whoever could make two of these alike is root already. */
static void mix(uint64_t *hash, const void *data, size_t length) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < length; i++) *hash = (*hash ^ bytes[i]) * 0x100000001b3ULL;
  *hash = (*hash ^ 0xff) * 0x100000001b3ULL;
}

static bool mix_link(uint64_t *hash, const char *path) {
  char target[PATH_MAX];
  ssize_t length = readlink(path, target, sizeof target);
  if (length > 0) mix(hash, target, (size_t)length);
  return length > 0 || errno == ENOENT;
}

/* A file of /proc, or only its lines with one of these beginnings. */
static bool mix_file(uint64_t *hash, const char *path, const char *const *beginnings) {
  static char text[65536];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return errno == ENOENT;
  ssize_t length = read(fd, text, sizeof text - 1);
  int why = errno;
  close(fd);
  /* Without a security module there is no label to read. */
  if (length < 0) return why == EINVAL;
  if (length == sizeof text - 1) return false;
  text[length] = '\0';
  if (!beginnings) mix(hash, text, (size_t)length);
  else
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
      for (const char *const *b = beginnings; *b; b++)
        if (has_prefix(line, *b)) mix(hash, line, strlen(line));
  return true;
}

static void mix_environment(uint64_t *hash) {
  /* What Node and its libraries read when they start: too early for what they are given later. */
  static const char *const settings[] = {"LD_", "GLIBC_", "MALLOC_", "UV_", "OPENSSL_", "SSL_", "LC_", "LANG", "TZ", "ICU_"};
  for (char **entry = environ; *entry; entry++)
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
      if (has_prefix(*entry, settings[i])) mix(hash, *entry, strlen(*entry));
}

static bool mix_process(uint64_t *hash) {
  static const char *const links[] = {"ns/cgroup", "ns/ipc", "ns/mnt", "ns/net", "ns/pid", "ns/time", "ns/user", "ns/uts", "root"};
  static const char *const status[] = {"Umask:", "Uid:", "Gid:", "Groups:", "SigBlk:", "SigIgn:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:",
                                       "CapAmb:", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:", "Mems_allowed:", NULL};
  static const char *const files[] = {"cgroup", "limits", "attr/current", "loginuid", "coredump_filter", "personality", "timerslack_ns"};
  char path[64];
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    snprintf(path, sizeof path, "/proc/self/%s", links[i]);
    if (!mix_link(hash, path)) return false;
  }
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, "/proc/self/%s", files[i]);
    if (!mix_file(hash, path, NULL)) return false;
  }
  int priority[] = {getpriority(PRIO_PROCESS, 0), sched_getscheduler(0)};
  mix(hash, priority, sizeof priority);
  pid_t session = getsid(0);
  mix(hash, &session, sizeof session);
  return mix_file(hash, "/proc/self/status", status);
}

/* Another build, or the same one after an upgrade in place, is another shim. */
static bool mix_build(uint64_t *hash, const char *library) {
  char bundle[PATH_MAX + 32];
  struct stat file;
  snprintf(bundle, sizeof bundle, "%s/shim.bundle.js", library);
  if (stat(bundle, &file) == -1) return false;
  mix(hash, bundle, strlen(bundle));
  mix(hash, &file.st_ino, sizeof file.st_ino);
  mix(hash, &file.st_mtim, sizeof file.st_mtim);
  return true;
}

void run_directory(char directory[PATH_MAX]) {
  const char *given = getenv("HAWSER_RUN_DIR");
  snprintf(directory, PATH_MAX, "%s", given && *given ? given : DIRECTORY);
}

bool zygote_socket(const char *library, const char *name, char *path, size_t size) {
  const char *wish = getenv("HAWSER_ZYGOTE"), *core = getenv("SCHED_CORE");
  char directory[PATH_MAX];
  struct stat where;
  uint64_t hash = 0xcbf29ce484222325ULL;
  /* A core scheduling cookie is made anew for each start and cannot be given to a process that runs already. */
  if (geteuid() != 0 || (core && *core) || (wish && strcmp(wish, "off") == 0)) return false;
  run_directory(directory);
  if (mkdir(directory, 0700) == -1 && errno != EEXIST) return false;
  /* Who may write there could pretend to be a zygote. */
  if (lstat(directory, &where) == -1 || !S_ISDIR(where.st_mode) || where.st_uid != 0 || (where.st_mode & 022)) return false;
  if (!mix_build(&hash, library) || !mix_process(&hash)) return false;
  mix_environment(&hash);
  /* What it is called decides what it does, too. */
  mix(&hash, name, strlen(name));
  return snprintf(path, size, "%s/zygote-%016llx", directory, (unsigned long long)hash) < (int)size;
}
