/*
 * A zygote: a shim that an earlier `start` has booted, and that forks a process for each container that comes. Such a process is
 * handed what a new one would be given (arguments, environment, directory, input) and becomes the shim, which saves the time
 * and the memory that Node takes to start. No zygote, or any doubt, and the launcher runs Node as if there had never been one.
 *
 *   launcher: job ->          the words below, with input, directory and the pipe for the reply as descriptors
 *   forked:       <- 'A'      it has all of it, and will do it
 *   launcher: 'G' ->          it has not lost its patience meanwhile: only now the other acts. Where the launcher has found
 *                             the container's place, the listening socket is with it (place.c)
 *   forked:       <- reply    through the pipe, as from any shim; with a place, one byte that says that it serves there
 */
#define _GNU_SOURCE
#include "handover.h"
#include "launcher.h"
#include "peer.h"
#include "../sys/policy.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* One that still boots will be there before another that is only begun now. */
#define PATIENCE_MS 1000

/* About as long as a runtime takes to create a container, on a machine that has nothing else to do. */
#define DELAY_MS 40

/* More than come at once. */
#define BACKLOG 511

extern char **environ;

/* A connection to a zygote of the same user, or -1. */
static int connect_to(const char *path) {
  const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
  struct ucred peer;
  int fd = connect_to_peer(path, 0, &patience, &peer);
  if (fd == -1) return -1;
  if (peer.uid == geteuid()) {
    end_idle_class(peer.pid);
    return fd;
  }
  close(fd);
  return -1;
}

static bool send_job(int fd, char **argv, const int *descriptors) {
  uint32_t header[3], words, settings;
  size_t length = sizeof header + texts_length(argv, &words) + texts_length(environ, &settings);
  char *job = calloc(1, length);
  if (!job) return false;
  header[0] = (uint32_t)length;
  header[1] = words;
  header[2] = settings;
  memcpy(job, header, sizeof header);
  texts_append(texts_append(job + sizeof header, argv), environ);
  bool is_sent = send_all(fd, job, length, descriptors, JOB_DESCRIPTORS);
  free(job);
  return is_sent;
}

/* Waits for the zygote's word, and gives ours. The listener goes with that: a zygote that hangs shall not keep it open. */
static bool agree(int fd, int listener, bool *hangs) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  char word;
  *hangs = poll(&ready, 1, PATIENCE_MS) == 0;
  return !*hangs && read(fd, &word, 1) == 1 && word == 'A' && send_with(fd, "G", 1, &listener, listener == -1 ? 0 : 1) == 1;
}

bool start_with_zygote(const char *path, char **argv, int listener, int reply, struct monitor_ends ends) {
  int fd = connect_to(path);
  if (fd == -1) return false;
  bool hangs = false, agreed = false;
  int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory != -1)
    agreed = send_job(fd, argv, (int[]){STDIN_FILENO, directory, reply, ends.control, ends.bell}) && agree(fd, listener, &hangs);
  /* Nobody shall wait for it again. One that is gone has somebody else's job, and there may be another by now. */
  if (hangs) unlink(path);
  lseek(STDIN_FILENO, 0, SEEK_SET);
  if (directory != -1) close(directory);
  close(fd);
  return agreed;
}

/* Listens where the next launcher will look. Only who holds the lock may: there is one zygote at a time. */
static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd == -1) return -1;
  mode_t before = umask(0177);
  unlink(path);
  bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  umask(before);
  if (bound && listen(fd, BACKLOG) == 0) return fd;
  close(fd);
  return -1;
}

static void boot_zygote(const char *library, const char *path, char **words, int lock) {
  char directory[PATH_MAX], number[16];
  int listener = listen_at(path);
  if (listener == -1) return;
  snprintf(number, sizeof number, "%d", listener);
  setenv("HAWSER_ZYGOTE_SOCKET", number, 1);
  fcntl(lock, F_SETFD, 0);
  snprintf(number, sizeof number, "%d", lock);
  setenv("HAWSER_ZYGOTE_LOCK", number, 1);
  /* The container that has just been started comes first, unless the next one is there already. */
  poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, DELAY_MS);
  if (sched_getscheduler(0) == SCHED_OTHER) sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
  snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
  if (chdir(directory) == 0) run_node(library, words, 3);
}

/*
 * Boots a zygote for the containers to come, unless there is one. It is nobody's child, so that what it forks is not ours; what
 * the daemon waits for, the end of its descriptors, must not wait for the zygote.
 */
void leave_zygote(const char *library, const char *path, char **argv, void (*restore_signals)(void)) {
  char lock_path[PATH_MAX];
  snprintf(lock_path, sizeof lock_path, "%s.lock", path);
  int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock == -1) return;
  pid_t middle = flock(lock, LOCK_EX | LOCK_NB) == 0 ? fork() : -1;
  if (middle == 0) {
    int nowhere = open("/dev/null", O_RDWR);
    for (int standard = 0; nowhere != -1 && standard <= 2; standard++) dup2(nowhere, standard);
    if (nowhere > 2) close(nowhere);
    /* Before the next fork: who looks once that has been finds one shim. */
    char *words[] = {strdup(argv[0]), (char *)"zygote", (char *)(uintptr_t)path, NULL};
    show_as(argv, words + 1);
    if (nowhere != -1 && words[0] && fork() == 0) {
      setpgid(0, 0);
      restore_signals();
      /* A monitor has some blocked, which it hears of in its own way. */
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, NULL);
      boot_zygote(library, path, words, lock);
    }
    _exit(0);
  }
  close(lock);
  while (middle != -1 && waitpid(middle, NULL, 0) == -1 && errno == EINTR) continue;
}
