/*
 * What the daemon executes as containerd-shim-runc-v2. It runs Node with the shim's bundle, in an environment that is
 * free of the daemon's own NODE_ settings.
 *
 * For `start` it forks: the child becomes Node and, having found a place to listen, goes on as the shim, while this
 * process passes the child's one reply on to the daemon and ends. So Node starts once for each shim, not twice, and
 * nothing of the shim's ever holds the descriptors on which the daemon waits for an end. Where an earlier start has left
 * a shim that waits for its container, Node need not even start (spare.c).
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
#define SCHED_CORE_CREATE 1
#define SCHED_CORE_SCOPE_PROCESS_GROUP 2

/* What is ignored while a start is under way, and how it was before: a shim shall have it so. */
static const int handled[] = {SIGTERM, SIGINT, SIGPIPE};
#define HANDLED (sizeof handled / sizeof *handled)
static struct sigaction before[HANDLED];

extern char **environ;

/* Where the bundle lies, seen from this program: installed, or in a checkout. */
static bool find_library(char library[PATH_MAX]) {
  static const char *const places[] = {"/../lib/hawser", "/../dist"};
  char self[PATH_MAX], place[PATH_MAX], file[PATH_MAX + 16];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return false;
  self[length] = '\0';
  *strrchr(self, '/') = '\0';
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (snprintf(place, sizeof place, "%s%s", self, places[i]) >= (int)sizeof place || !realpath(place, library)) continue;
    snprintf(file, sizeof file, "%s/shim.cjs", library);
    if (access(file, R_OK) == 0) return true;
  }
  return false;
}

/* NODE_OPTIONS, NODE_EXTRA_CA_CERTS and the like are meant for somebody else, and cost time and memory here. */
static void scrub_environment(void) {
  char **to = environ;
  for (char **from = environ; *from; from++)
    if (strncmp(*from, "NODE_", 5) != 0) *to++ = *from;
  *to = NULL;
}

static void restore_signals(void) {
  for (size_t i = 0; i < HANDLED; i++) sigaction(handled[i], &before[i], NULL);
}

/* Boots a shim of our own. The daemon's pid and the pipe for the reply go by the environment. */
static int start_anew(const char *library, char **argv, int argc) {
  int reply[2];
  char number[32];
  if (pipe(reply) == -1) return fail("pipe", NULL);
  snprintf(number, sizeof number, "%d", reply[1]);
  setenv("HAWSER_REPLY_FD", number, 1);
  pid_t child = fork();
  if (child == -1) return fail("fork", NULL);
  if (child == 0) {
    int nowhere = open("/dev/null", O_RDWR);
    close(reply[0]);
    setpgid(0, 0);
    if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
    if (nowhere > 2) close(nowhere);
    restore_signals();
    return run_node(library, argv, argc);
  }
  close(reply[1]);
  int status = forward_reply(reply[0]);
  close(reply[0]);
  unsetenv("HAWSER_REPLY_FD");
  if (status >= 0) return status;
  int how = 0;
  while (waitpid(child, &how, 0) == -1 && errno == EINTR) continue;
  fprintf(stderr, RUNTIME ": the shim ended before it answered: %s %d", WIFSIGNALED(how) ? "signal" : "exit status",
          WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
  return 1;
}

static int start(const char *library, char **argv, int argc) {
  char daemon[32], launched[48], spare[108];
  const char *core = getenv("SCHED_CORE");
  if (core && *core && prctl(PR_SCHED_CORE, SCHED_CORE_CREATE, 0, SCHED_CORE_SCOPE_PROCESS_GROUP, 0) == -1)
    return fail("enable sched core support", NULL);
  snprintf(daemon, sizeof daemon, "%d", (int)getppid());
  setenv("HAWSER_DAEMON_PID", daemon, 1);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(launched, sizeof launched, "%lld.%06ld", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, now.tv_nsec % 1000000);
  setenv("HAWSER_LAUNCHED_AT", launched, 1);
  bool spares = spare_socket(library, argv[0], spare, sizeof spare);
  /* A unit that is stopped signals all its processes; a start under way still gets to its end. */
  for (size_t i = 0; i < HANDLED; i++) sigaction(handled[i], &(struct sigaction){.sa_handler = SIG_IGN}, &before[i]);
  int status = spares ? start_with_spare(spare, argv) : NO_SPARE;
  if (status == NO_SPARE) status = start_anew(library, argv, argc);
  if (spares && status == 0) leave_spare(library, spare, argv, restore_signals);
  return status;
}

int main(int argc, char **argv) {
  static const char *const ours[] = {"HAWSER_REPLY_FD", "HAWSER_DAEMON_PID", "HAWSER_SPARE_SOCKET", "HAWSER_SPARE_LOCK", "HAWSER_ARENAS", "HAWSER_LAUNCHED_AT"};
  char library[PATH_MAX];
  if (!find_library(library)) {
    fprintf(stderr, RUNTIME ": shim.cjs is neither in ../lib/hawser nor in ../dist, seen from this program; run 'make build' or 'make install'");
    return 1;
  }
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) unsetenv(ours[i]);
  scrub_environment();
  /* Node raises this for itself, and what it runs shall have what the daemon's children have. */
  struct rlimit nofile;
  char soft[32];
  if (getrlimit(RLIMIT_NOFILE, &nofile) == 0 && nofile.rlim_cur != RLIM_INFINITY) {
    snprintf(soft, sizeof soft, "%llu", (unsigned long long)nofile.rlim_cur);
    setenv("HAWSER_NOFILE", soft, 1);
  }
  if (was_deleted(argv, argc)) return 0;
  /* Which word is the action only the flags' grammar tells, and Node knows that. Any word that could be it will do:
   * a child that finds another action replies and ends like any other. */
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "start") == 0) return start(library, argv, argc);
  return run_node(library, argv, argc);
}
