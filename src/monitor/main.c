/*
 * What the daemon executes as containerd-shim-runc-v2. It runs Node with the shim's bundle, in an environment that is
 * free of the daemon's own NODE_ settings.
 *
 * For `start` it forks: the child is the shim, as its monitor (monitor.c), and this process ends when the daemon has its
 * answer, so that nothing of the shim's ever holds the descriptors on whose end the daemon waits. Where it is plain what the answer
 * will be, the daemon has it at once, together with a socket that listens, and who will serve there comes meanwhile (place.c).
 * Else the worker finds out, which is Node: forked from a zygote that an earlier start has left (zygote.c), or booted.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include "replace.h"
#include "wait.h"
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

/* What is ignored while a start is under way, or by a monitor, and how it was before: a shim shall have it so. */
static const int handled[] = {SIGTERM, SIGINT, SIGPIPE, SIGXFSZ};
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

static int nowhere_fd(void) { return open("/dev/null", O_RDWR | O_CLOEXEC); }

/* What the daemon has given us is closed: it waits for its end. */
static void close_standard(int first, int last) {
  int nowhere = nowhere_fd();
  for (int standard = first; nowhere != -1 && standard <= last; standard++) dup2(nowhere, standard);
  if (nowhere > STDERR_FILENO) close(nowhere);
}

static void set_number(const char *name, int number) {
  char text[16];
  snprintf(text, sizeof text, "%d", number);
  setenv(name, text, 1);
}

/* ---- a shim: this process is its monitor, and has a worker -------------------------------------------------------- */

static struct shim {
  const char *library, *zygote;
  /* A socket of ours, while it is not said that anybody serves there. */
  const char *socket;
  char **argv;
  int argc;
} shim;

/* By what this process is now: a worker that wakes is to find it, too. */
static void find_zygote(char **argv) {
  static char path[108];
  if (zygote_socket(shim.library, argv[0], path, sizeof path)) shim.zygote = path;
}

/* A worker that is a child of ours, for which Node boots. What it may have to say then goes to the daemon that waits, or else to its log. Its pid, or -1. */
static pid_t boot_worker(bool is_waited_for, int listener, int reply, struct monitor_ends ends) {
  pid_t child = fork();
  if (child != 0) return child;
  char text[32];
  sigset_t none;
  if (!is_waited_for) {
    int log = open("log", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    close_standard(STDIN_FILENO, STDERR_FILENO);
    if (log != -1) dup2(log, STDERR_FILENO);
  }
  setpgid(0, 0);
  restore_signals();
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  const int kept[] = {listener, reply, ends.control, ends.bell};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (kept[i] != -1) fcntl(kept[i], F_SETFD, 0);
  if (listener != -1) set_number("HAWSER_LISTENER_FD", listener);
  if (reply != -1) set_number("HAWSER_REPLY_FD", reply);
  snprintf(text, sizeof text, "%d,%d", ends.control, ends.bell);
  setenv("HAWSER_MONITOR", text, 1);
  /* Its command line is not its monitor's: who looks for a container's shim finds one. */
  for (int i = 0; i < shim.argc; i++) {
    snprintf(text, sizeof text, "HAWSER_WORD_%d", i);
    setenv(text, shim.argv[i], 1);
  }
  int status = run_node(shim.library, (char *[]){(char *)"hawser-worker", (char *)"worker", NULL}, 2);
  if (shim.socket) unlink(shim.socket);
  _exit(status);
}

/* A worker for a record: one that a zygote forks, or else one of our own, and then a zygote for the next time. */
static pid_t wake(struct monitor_ends *ours) {
  struct monitor_ends theirs;
  int nowhere = nowhere_fd();
  pid_t worker = -1;
  if (nowhere != -1 && open_ends(ours, &theirs)) {
    worker = shim.zygote && start_with_zygote(shim.zygote, shim.argv, -1, nowhere, theirs) ? 0 : boot_worker(false, -1, -1, theirs);
    close_ends(theirs);
    if (worker == -1) close_ends(*ours);
  }
  if (nowhere != -1) close(nowhere);
  if (worker > 0 && shim.zygote) {
    /* What it forks would else be ours. */
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    leave_zygote(shim.library, shim.zygote, shim.argv, restore_signals);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  }
  if (worker == -1) *ours = (struct monitor_ends){-1, -1};
  return worker;
}

/* What the library says of itself; once, as another may have its place later. */
static const char *build_of(const char *library) {
  static char build[128] = "of an unknown version";
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/shim.version", library);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd == -1 ? -1 : read(fd, build, sizeof build - 1);
  if (fd != -1) close(fd);
  if (length > 0) build[strcspn(build, "\n")] = '\0';
  return build;
}

/* For the day when another program is to take this one's place. */
static void be_replaceable(const char *build) {
  uint32_t ignored = 0;
  for (size_t i = 0; i < HANDLED; i++)
    if (before[i].sa_handler == SIG_IGN) ignored |= 1u << i;
  replacement_prepare(&(struct running){.argv = shim.argv, .library = shim.library, .build = build, .ignored = ignored});
}

/* Goes on as the shim, whose first worker is there. */
static int watch_over(struct monitor_ends ours, pid_t worker, char **argv) {
  static const char *const passed[] = {"HAWSER_LAUNCHED_AT", "HAWSER_ANSWERED_AT", "HAWSER_SOCKET", "HAWSER_DAEMON_PID", "HAWSER_DEBUG"};
  shim.socket = NULL;
  if (shim.zygote) leave_zygote(shim.library, shim.zygote, argv, restore_signals);
  for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) unsetenv(passed[i]);
  setenv("HAWSER_WAKE", "1", 1);
  be_replaceable(build_of(shim.library));
  return monitor(ours, worker, wake);
}

/* ---- a shim whose monitor was another program until now (replace.c) ----------------------------------------------- */

/* As it was when the shim was started: only then is it the one that new containers find. Signals that wait must not be lost to that, so another process looks. */
static void find_zygote_as_launcher(char **argv) {
  static char path[108];
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) == -1) return;
  pid_t child = fork();
  if (child == 0) {
    sigset_t none;
    for (size_t i = 0; i < HANDLED; i++) signal(handled[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    find_zygote(argv);
    _exit(!shim.zygote || write(ends[1], shim.zygote, strlen(shim.zygote)) == -1);
  }
  close(ends[1]);
  ssize_t length = read(ends[0], path, sizeof path - 1);
  close(ends[0]);
  while (child != -1 && waitpid(child, NULL, 0) == -1 && errno == EINTR) continue;
  if (length > 0) shim.zygote = path;
}

/* All that it takes to go on; NULL, or what is missing. */
static const char *what_is_missing(char library[PATH_MAX]) {
  bool is_linked;
  if (!find_library(library)) return "the new program does not find its library";
  return find_node(library, &is_linked) ? NULL : "there is no Node to run the new program's library";
}

/* Whether it could is all that is asked. */
static int could_take_over(const char *descriptor) {
  struct table table;
  char library[PATH_MAX];
  const char *wrong = table_read(atoi(descriptor), &table);
  if (wrong) fprintf(stderr, "the new program cannot go on with the monitor's table, as %s", wrong);
  if (wrong || what_is_missing(library)) return 1;
  return write(STDOUT_FILENO, CAN_TAKE_OVER, strlen(CAN_TAKE_OVER)) == -1;
}

/* Takes all of it; its frame goes again. */
static __attribute__((noinline)) void take_table(char **argv, int argc, int file, int former) {
  static char library[PATH_MAX];
  const char *failure = getenv(TAKE_OVER_FAILED);
  struct table table;
  const char *wrong = table_read(file, &table);
  if (failure) snprintf(library, sizeof library, "%s", table.library);
  else if (!wrong) wrong = what_is_missing(library);
  if (!wrong && !monitor_take(&table)) wrong = "there is no memory, or a descriptor is missing";
  if (wrong) replacement_fails(file, former, argv, wrong);
  shim = (struct shim){.library = library, .argv = argv, .argc = argc};
  for (size_t i = 0; i < HANDLED; i++) before[i] = (struct sigaction){.sa_handler = table.ignored & (1u << i) ? SIG_IGN : SIG_DFL};
  be_replaceable(failure ? strdup(table.build) : build_of(library));
  if (table.asker != -1) fcntl(table.asker, F_SETFD, FD_CLOEXEC);
  if (failure) replacement_failed(table.asker, failure);
  else replacement_done(table.asker);
  table_close(&table);
}

static int take_over(char **argv, int argc, const char *descriptors) {
  int file = -1, former = -1;
  /* As the kernel does for a program that is executed by its name. */
  prctl(PR_SET_NAME, "containerd-shim");
  if (sscanf(descriptors, "%d,%d", &file, &former) != 2) return 1;
  take_table(argv, argc, file, former);
  close(file);
  if (former != -1) close(former);
  unsetenv(TAKE_OVER);
  unsetenv(TAKE_OVER_FAILED);
  find_zygote_as_launcher(argv);
  /* What it forks would else be ours. From here on the next worker comes from it. */
  prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  if (shim.zygote) leave_zygote(shim.library, shim.zygote, argv, restore_signals);
  return monitor_again(wake);
}

/* All that comes, as it is; false when nothing does. */
static bool pass_on(int from, int to) {
  char buffer[4096];
  bool is_something = false;
  for (;;) {
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0 || write(to, buffer, (size_t)n) != n) return is_something;
    is_something = true;
  }
}

/* False when there is no zygote, or it has ended with the task in hand: what it was given can be given to another. */
static bool start_by_zygote(char **argv, int reply, struct monitor_ends theirs) {
  int pipe[2];
  if (!shim.zygote || pipe2(pipe, O_CLOEXEC) == -1) return false;
  bool has_begun = start_with_zygote(shim.zygote, argv, -1, pipe[1], theirs);
  close(pipe[1]);
  if (has_begun) has_begun = pass_on(pipe[0], reply);
  close(pipe[0]);
  return has_begun;
}

/* A worker does what Node is to look at first, and gives the reply, which the launcher is waiting for. */
static int start_anew(char **argv, int reply) {
  struct monitor_ends ours, theirs;
  close_standard(STDOUT_FILENO, STDOUT_FILENO);
  if (!open_ends(&ours, &theirs)) return fail("socketpair", NULL);
  pid_t worker = start_by_zygote(argv, reply, theirs) ? 0 : boot_worker(true, -1, reply, theirs);
  close_standard(STDIN_FILENO, STDERR_FILENO);
  close(reply);
  close_ends(theirs);
  if (worker == -1) return fail("fork", NULL);
  setpgid(0, 0);
  return watch_over(ours, worker, argv);
}

/* A worker serves at the place that has been found, and for which the daemon has its answer. */
static int serve(char **argv, const struct place *place) {
  struct monitor_ends ours, theirs;
  int reply[2], status = -1;
  pid_t worker = 0;
  setenv("HAWSER_SOCKET", shim.socket = place->socket, 1);
  if (place->is_debug) setenv("HAWSER_DEBUG", "1", 1);
  if (pipe2(reply, O_CLOEXEC) == -1 || !open_ends(&ours, &theirs)) return 1;
  bool has_begun = shim.zygote && start_with_zygote(shim.zygote, argv, place->listener, reply[1], theirs);
  close(reply[1]);
  if (has_begun) status = forward_reply(reply[0]);
  close(reply[0]);
  /* Whatever became of it: the daemon counts on us. */
  if (status == -1) worker = boot_worker(false, place->listener, -1, theirs);
  close(place->listener);
  close_ends(theirs);
  if (status > 0 || worker == -1) return 1;
  setpgid(0, 0);
  return watch_over(ours, worker, argv);
}

/* ---- start -------------------------------------------------------------------------------------------------------- */

static int answer_at_once(char **argv, const struct place *place) {
  note_time("HAWSER_ANSWERED_AT");
  /* A daemon that has given up gets no shim. */
  ssize_t length = (ssize_t)strlen(place->answer);
  const char *failed = write(STDOUT_FILENO, place->answer, (size_t)length) != length ? "answer the daemon" : NULL;
  pid_t child = failed ? -1 : fork();
  if (child == 0) {
    int status = 0;
    close_standard(STDIN_FILENO, STDERR_FILENO);
    find_zygote(argv);
    if (place->listener != -1) status = serve(argv, place);
    else if (shim.zygote) leave_zygote(shim.library, shim.zygote, argv, restore_signals);
    /* Else it would seem that somebody will answer there. */
    if (shim.socket) unlink(shim.socket);
    _exit(status);
  }
  if (child != -1) return 0;
  int status = fail(failed ? failed : "fork", NULL);
  if (place->listener != -1) unlink(place->socket);
  return status;
}

/* Passes the reply of a worker on, by which it is known what there is to tell the daemon. */
static int answer_by_worker(char **argv) {
  int reply[2], how = 0;
  if (pipe2(reply, O_CLOEXEC) == -1) return fail("pipe", NULL);
  pid_t child = fork();
  if (child == -1) return fail("fork", NULL);
  if (child == 0) {
    close(reply[0]);
    _exit(start_anew(argv, reply[1]));
  }
  close(reply[1]);
  int status = forward_reply(reply[0]);
  if (status >= 0) return status;
  while (waitpid(child, &how, 0) == -1 && errno == EINTR) continue;
  int ended = shell_status(how);
  fprintf(stderr, RUNTIME ": the shim ended before it answered: %s %d", ended > 128 ? "signal" : "exit status", ended > 128 ? ended - 128 : ended);
  return 1;
}

static int start(const char *library, char **argv, int argc) {
  char daemon[32];
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
  shim = (struct shim){.library = library, .argv = argv, .argc = argc};
  if (is_kept && find_place(argv, argc, STDIN_FILENO, getppid(), &place) != UNCLEAR) return answer_at_once(argv, &place);
  if (is_kept) find_zygote(argv);
  return answer_by_worker(argv);
}

/* To `upgrade`, which gives this program to shims that run. */
static void announce(char **argv, int argc) {
  char path[PATH_MAX];
  struct words words = {0};
  ssize_t length = parse_words(argv, argc, &words) && strcmp(words.action, "upgrade") == 0 ? readlink("/proc/self/exe", path, sizeof path - 1) : -1;
  if (length <= 0) return;
  path[length] = '\0';
  setenv("HAWSER_PROGRAM", path, 1);
  set_number("HAWSER_TABLE_FORMAT", table_format());
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "end-zygotes") == 0) return end_zygotes();
  static const char *const ours[] = {"HAWSER_MONITOR", "HAWSER_DEBUG", "HAWSER_WAKE", "HAWSER_REPLY_FD", "HAWSER_DAEMON_PID", "HAWSER_ZYGOTE_SOCKET", "HAWSER_ZYGOTE_LOCK", "HAWSER_ARENAS", "HAWSER_LAUNCHED_AT",
                                     "HAWSER_ANSWERED_AT", "HAWSER_LISTENER_FD", "HAWSER_SOCKET"};
  char library[PATH_MAX];
  const char *taken_over = getenv(TAKE_OVER), *checked = getenv(COULD_TAKE_OVER);
  if (taken_over) return take_over(argv, argc, taken_over);
  if (checked) return could_take_over(checked);
  if (is_authored()) return watch_over_authored();
  if (is_rehearsed()) return watch_over_rehearsal();
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
  announce(argv, argc);
  /* Which word is the action only the flags' grammar tells, and Node knows that. Any word that could be it will do:
   * a child that finds another action replies and ends like any other. */
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "start") == 0) return start(library, argv, argc);
  return run_node(library, argv, argc);
}
