/*
 * The monitor of an author's shim (src/shim/framework/launch.ts): its worker is the author's program, which is executed anew whenever there
 * is to be one. This one's command line is that of a shim, so the worker's comes by the environment, word by word.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WORD "HAWSER_AUTHORED_"
#define MOST_WORDS 256
/* What `start` has given: the listening socket, and the pipe in which the first worker says that it serves. */
#define FIRST_GIVEN 3
#define LAST_GIVEN 4

static char *words[MOST_WORDS + 1];

bool is_authored(void) {
  char name[sizeof WORD + 8];
  for (int i = 0; i < MOST_WORDS; i++) {
    snprintf(name, sizeof name, WORD "%d", i);
    words[i] = getenv(name);
    if (!words[i]) break;
    words[i] = strdup(words[i]);
    unsetenv(name);
  }
  return words[0] != NULL;
}

static void point_at(const char *path, int flags, int first, int last) {
  int fd = open(path, flags | O_CLOEXEC);
  for (int standard = first; fd != -1 && standard <= last; standard++) dup2(fd, standard);
  if (fd > STDERR_FILENO) close(fd);
}

/* What a worker says before it has a log of its own goes to the daemon's, or to who waits in `start`. */
static pid_t execute(bool is_first, struct monitor_ends ends) {
  pid_t child = fork();
  if (child != 0) return child;
  char text[32];
  sigset_t none;
  if (!is_first) {
    point_at("log", O_WRONLY | O_NONBLOCK, STDERR_FILENO, STDERR_FILENO);
    setenv("HAWSER_WAKE", "1", 1);
  }
  setpgid(0, 0);
  /* One that has not come as far as to hear of its monitor's end goes as well. */
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  fcntl(ends.control, F_SETFD, 0);
  fcntl(ends.bell, F_SETFD, 0);
  snprintf(text, sizeof text, "%d,%d", ends.control, ends.bell);
  setenv("HAWSER_MONITOR", text, 1);
  execv(words[0], words);
  fail("cannot run", words[0]);
  _exit(127);
}

static pid_t wake_authored(struct monitor_ends *ours) {
  struct monitor_ends theirs;
  pid_t worker = -1;
  if (open_ends(ours, &theirs)) {
    worker = execute(false, theirs);
    close_ends(theirs);
    if (worker == -1) close_ends(*ours);
  }
  if (worker == -1) *ours = (struct monitor_ends){-1, -1};
  return worker;
}

int watch_over_authored(void) {
  struct monitor_ends ours, theirs;
  prctl(PR_SET_NAME, "containerd-shim");
  if (!open_ends(&ours, &theirs)) return fail("socketpair", NULL);
  pid_t worker = execute(true, theirs);
  if (worker == -1) return fail("fork", NULL);
  close_ends(theirs);
  for (int fd = FIRST_GIVEN; fd <= LAST_GIVEN; fd++) close(fd);
  point_at("/dev/null", O_RDWR, STDIN_FILENO, STDERR_FILENO);
  return monitor(ours, worker, wake_authored);
}
