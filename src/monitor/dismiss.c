/*
 * `end-zygotes`: ends the zygotes that wait in this process's service, and takes away what they leave. It is for a service that is
 * about to be stopped (ExecStop), as a process that is in its cgroup still when the daemon ends is one that systemd has to tell of.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include "peer.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PREFIX "zygote-"
/* How long one may take to end. */
#define ENDING_MS 2000
/* Where systemd puts what it runs for a service whose cgroup the service itself divides (systemd.exec(5), Delegate=). */
#define CONTROL "/.control"

/* Who listens there: a process of the same user, or 0. */
static pid_t listener_of(const char *path) {
  struct ucred peer;
  int fd = connect_to_peer(path, SOCK_NONBLOCK, NULL, &peer);
  if (fd == -1) return 0;
  close(fd);
  return peer.uid == geteuid() ? peer.pid : 0;
}

static bool cgroups_of(const char *process, char text[8192]) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%s/cgroup", process);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd == -1 ? -1 : read(fd, text, 8191);
  if (fd != -1) close(fd);
  if (length <= 0) return false;
  text[length] = '\0';
  return true;
}

/* Line by line the same, but for what systemd itself has put below. */
static bool is_of_this_service(pid_t pid) {
  static char ours[8192], theirs[8192];
  char number[16], *next_ours = ours, *next_theirs = theirs;
  snprintf(number, sizeof number, "%d", (int)pid);
  if (!cgroups_of("self", ours) || !cgroups_of(number, theirs)) return false;
  while (next_ours && next_theirs && *next_ours && *next_theirs) {
    char *one = strsep(&next_ours, "\n"), *other = strsep(&next_theirs, "\n");
    size_t length = strlen(other);
    if (strncmp(one, other, length) != 0 || (one[length] && strcmp(one + length, CONTROL) != 0)) return false;
  }
  return true;
}

static bool end(pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  /* Looked at once more: by now the number may be another's. */
  bool is_ours = pidfd != -1 && is_of_this_service(pid);
  if (is_ours) {
    syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
    if (poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, ENDING_MS) == 0) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
  }
  if (pidfd != -1) close(pidfd);
  return is_ours;
}

/* Whether a process was made with these words in its arguments. */
static bool has_argument(pid_t process, const char *words) {
  static char text[16384];
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/cmdline", (int)process);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd == -1 ? -1 : read(fd, text, sizeof text);
  if (fd != -1) close(fd);
  return length > 0 && memmem(text, (size_t)length, words, strlen(words)) != NULL;
}

/* Those with these words in their arguments. As long as any is found, since one may just be making another. */
static void end_all_with(const char *words) {
  for (int tries = 0, found = 1; found && tries < 10; tries++) {
    struct dirent *entry;
    DIR *processes = opendir("/proc");
    found = 0;
    while (processes && (entry = readdir(processes))) {
      pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
      if (pid <= 1 || pid == getpid() || !has_argument(pid, words)) continue;
      if (end(pid)) found = 1;
    }
    if (processes) closedir(processes);
  }
}

static int remove_one(const char *path, const struct stat *what, int kind, struct FTW *place) {
  (void)what, (void)kind, (void)place;
  remove(path);
  return 0;
}

/* A rehearsal's stand-in for a container (stand-in.c), which would otherwise wait for some seconds for a shim that is gone. */
static void end_rehearsal(const char *directory, pid_t zygote) {
  char words[PATH_MAX + 16];
  snprintf(words, sizeof words, "%s/r%d/", directory, (int)zygote);
  end_all_with(words);
}

/* What a rehearsal that was broken off has left (rehearsal.ts). */
static void remove_rehearsal(const char *directory, pid_t pid) {
  char path[PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/r%d", directory, (int)pid);
  nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int end_zygotes(void) {
  char directory[PATH_MAX], path[PATH_MAX], lock[PATH_MAX + 8];
  struct dirent *entry;
  struct stat where;
  run_directory(directory);
  /* As for who looks for a zygote: what others may write there is not to be believed. */
  if (lstat(directory, &where) == -1 || !S_ISDIR(where.st_mode) || where.st_uid != geteuid() || (where.st_mode & 022)) return 0;
  DIR *all = opendir(directory);
  while (all && (entry = readdir(all))) {
    size_t length = strlen(entry->d_name);
    if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 || (length > 5 && strcmp(entry->d_name + length - 5, ".lock") == 0)) continue;
    if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path) continue;
    pid_t pid = listener_of(path);
    if (pid <= 1 || !end(pid)) continue;
    snprintf(lock, sizeof lock, "%s.lock", path);
    unlink(path);
    unlink(lock);
    /* Who was forked ahead ends with it, a moment later. */
    end_all_with(path);
    end_rehearsal(directory, pid);
    remove_rehearsal(directory, pid);
  }
  if (all) closedir(all);
  return 0;
}
