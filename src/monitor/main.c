/*
 * What the daemon executes as containerd-shim-runc-v2. It runs Node with the shim's bundle, in an environment that is
 * free of the daemon's own NODE_ settings.
 *
 * For `start` it forks: the child becomes Node and, having found a place to listen, goes on as the shim, while this
 * process passes the child's one reply on to the daemon and ends. So Node starts once for each shim, not twice, and
 * nothing of the shim's ever holds the descriptors on which the daemon waits for an end. Where an earlier start has left
 * a zygote, Node need not even start (zygote.c). And where it is plain what the reply will be,
 * the daemon has it at once, together with a socket that listens, and who will serve there boots meanwhile (place.c).
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

/* For the shim's timeline: milliseconds since the epoch. */
static void note_time(const char *name) {
  char text[48];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(text, sizeof text, "%lld.%06ld", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, now.tv_nsec % 1000000);
  setenv(name, text, 1);
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

static void close_standard(int error) {
  int nowhere = open("/dev/null", O_RDWR);
  if (nowhere == -1) return;
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  dup2(error == -1 ? nowhere : error, STDERR_FILENO);
  if (nowhere > 2) close(nowhere);
}

/* Becomes the shim of a place that has been found. What Node may have to say at its start, the daemon's log has. */
static int serve(const char *library, char **argv, int argc, const struct place *place) {
  char number[16];
  close_standard(open("log", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  setpgid(0, 0);
  restore_signals();
  fcntl(place->listener, F_SETFD, 0);
  snprintf(number, sizeof number, "%d", place->listener);
  setenv("HAWSER_LISTENER_FD", number, 1);
  return run_node(library, argv, argc);
}

/* While the daemon goes on: the place is given to a zygote's child, or to a new shim; and a zygote is left. `argv` only shows us. */
static void settle(const char *library, char **argv, char **words, int argc, const struct place *place) {
  char zygote[108];
  close_standard(-1);
  bool zygotes = zygote_socket(library, argv[0], zygote, sizeof zygote);
  if (place->listener != -1) {
    setenv("HAWSER_SOCKET", place->socket, 1);
    int status = zygotes ? start_with_zygote(zygote, words, place->listener) : NO_ZYGOTE;
    /* Whatever became of it: the daemon counts on us. */
    pid_t shim = status != 0 ? fork() : 1;
    if (shim == 0) status = serve(library, words, argc, place);
    /* Else it would seem that somebody will answer there. */
    if (shim <= 0) unlink(place->socket);
    if (shim == 0) _exit(status);
    close(place->listener);
    unsetenv("HAWSER_SOCKET");
  }
  if (zygotes) leave_zygote(library, zygote, argv, restore_signals);
}

static int answer_at_once(const char *library, char **argv, int argc, const struct place *place) {
  note_time("HAWSER_ANSWERED_AT");
  char **words = calloc((size_t)argc + 1, sizeof *words);
  for (int i = 0; words && i < argc; i++) words[i] = strdup(argv[i]);
  /* Before the fork: who looks once this process has ended finds no second shim. */
  show_as(argv, (char *[]){(char *)"zygote", NULL});
  /* A daemon that has given up gets no shim. */
  ssize_t length = (ssize_t)strlen(place->answer);
  const char *failed = !words ? "calloc" : write(STDOUT_FILENO, place->answer, (size_t)length) != length ? "answer the daemon" : NULL;
  pid_t child = failed ? -1 : fork();
  if (child == 0) {
    settle(library, argv, words, argc, place);
    _exit(0);
  }
  if (child != -1) return 0;
  int status = fail(failed ? failed : "fork", NULL);
  if (place->listener != -1) unlink(place->socket);
  return status;
}

static int start(const char *library, char **argv, int argc) {
  char daemon[32], zygote[108];
  struct place place = {.listener = -1};
  const char *core = getenv("SCHED_CORE");
  bool is_linked;
  /* The daemon may be answered before Node runs: what cannot be is better said now. */
  if (!find_node(library, &is_linked)) return 1;
  if (core && *core && prctl(PR_SCHED_CORE, SCHED_CORE_CREATE, 0, SCHED_CORE_SCOPE_PROCESS_GROUP, 0) == -1)
    return fail("enable sched core support", NULL);
  snprintf(daemon, sizeof daemon, "%d", (int)getppid());
  setenv("HAWSER_DAEMON_PID", daemon, 1);
  note_time("HAWSER_LAUNCHED_AT");
  /* A unit that is stopped signals all its processes; a start under way still gets to its end. */
  for (size_t i = 0; i < HANDLED; i++) sigaction(handled[i], &(struct sigaction){.sa_handler = SIG_IGN}, &before[i]);
  bool is_kept = keep_input();
  if (is_kept && find_place(argv, argc, STDIN_FILENO, getppid(), &place) != UNCLEAR) return answer_at_once(library, argv, argc, &place);

  bool zygotes = is_kept && zygote_socket(library, argv[0], zygote, sizeof zygote);
  int status = zygotes ? start_with_zygote(zygote, argv, -1) : NO_ZYGOTE;
  if (status == NO_ZYGOTE) status = start_anew(library, argv, argc);
  if (zygotes && status == 0) leave_zygote(library, zygote, argv, restore_signals);
  return status;
}

int main(int argc, char **argv) {
  static const char *const ours[] = {"HAWSER_REPLY_FD", "HAWSER_DAEMON_PID", "HAWSER_ZYGOTE_SOCKET", "HAWSER_ZYGOTE_LOCK", "HAWSER_ARENAS", "HAWSER_LAUNCHED_AT",
                                     "HAWSER_ANSWERED_AT", "HAWSER_LISTENER_FD", "HAWSER_SOCKET"};
  char library[PATH_MAX];
  if (!find_library(library)) return 1;
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
