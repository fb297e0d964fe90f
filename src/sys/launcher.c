/*
 * What the daemon executes as containerd-shim-runc-v2. It runs Node with the shim's bundle, in an environment that is
 * free of the daemon's own NODE_ settings.
 *
 * For `start` it forks: the child becomes Node and, having found a place to listen, goes on as the shim, while this
 * process passes the child's one reply on to the daemon and ends. So Node starts once for each shim, not twice, and
 * nothing of the shim's ever holds the descriptors on which the daemon waits for an end.
 */
#define _GNU_SOURCE
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
#include <unistd.h>

#define RUNTIME "io.containerd.runc.v2"
#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
#define SCHED_CORE_CREATE 1
#define SCHED_CORE_SCOPE_PROCESS_GROUP 2

extern char **environ;

static int fail(const char *what, const char *subject) {
  fprintf(stderr, RUNTIME ": %s%s%s: %s", what, subject ? " " : "", subject ? subject : "", strerror(errno));
  return 1;
}

/* Where the bundle lies, seen from this program: installed, or in a checkout. */
static bool find_library(char *library, size_t size) {
  static const char *const places[] = {"/../lib/hawser", "/../dist"};
  char self[PATH_MAX], file[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return false;
  self[length] = '\0';
  *strrchr(self, '/') = '\0';
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (snprintf(library, size, "%s%s", self, places[i]) >= (int)size) continue;
    if (snprintf(file, sizeof file, "%s/shim.cjs", library) >= (int)sizeof file) continue;
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

static int run_node(const char *library, char **argv, int argc) {
  char node[PATH_MAX + 16], bundle[PATH_MAX + 16];
  snprintf(node, sizeof node, "%s/node", library);
  snprintf(bundle, sizeof bundle, "%s/shim.cjs", library);
  char **args = calloc((size_t)argc + 3, sizeof *args);
  if (!args) return fail("calloc", NULL);
  int n = 0;
  args[n++] = argv[0];
  args[n++] = (char *)"--no-warnings";
  args[n++] = bundle;
  for (int i = 1; i < argc; i++) args[n++] = argv[i];
  execv(node, args);
  if (errno == ENOENT) execvp("node", args);
  return fail("cannot run Node as", node);
}

/* Passes the reply on: its first byte is the exit status, the rest is what to print. -1: there was none. */
static int forward_reply(int from) {
  char buffer[65536];
  int status = -1, to = STDERR_FILENO;
  for (;;) {
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) return status;
    char *text = buffer;
    if (status == -1) {
      status = (unsigned char)*text++;
      n--;
      to = status == 0 ? STDOUT_FILENO : STDERR_FILENO;
    }
    while (n > 0) {
      ssize_t written = write(to, text, (size_t)n);
      if (written == -1 && errno == EINTR) continue;
      if (written == -1) return 1;
      text += written;
      n -= written;
    }
  }
}

static int start(const char *library, char **argv, int argc) {
  int reply[2];
  char number[32];
  const char *core = getenv("SCHED_CORE");
  if (core && *core && prctl(PR_SCHED_CORE, SCHED_CORE_CREATE, 0, SCHED_CORE_SCOPE_PROCESS_GROUP, 0) == -1)
    return fail("enable sched core support", NULL);
  if (pipe(reply) == -1) return fail("pipe", NULL);
  snprintf(number, sizeof number, "%d", (int)getppid());
  setenv("HAWSER_DAEMON_PID", number, 1);
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
    return run_node(library, argv, argc);
  }
  /* A unit that is stopped signals all its processes; a start under way still gets to its end. */
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  close(reply[1]);
  int status = forward_reply(reply[0]);
  if (status >= 0) return status;
  int how = 0;
  while (waitpid(child, &how, 0) == -1 && errno == EINTR) continue;
  fprintf(stderr, RUNTIME ": the shim ended before it answered: %s %d", WIFSIGNALED(how) ? "signal" : "exit status",
          WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
  return 1;
}

int main(int argc, char **argv) {
  char library[PATH_MAX];
  if (!find_library(library, sizeof library)) {
    fprintf(stderr, RUNTIME ": shim.cjs is neither in ../lib/hawser nor in ../dist, seen from this program; run 'make build' or 'make install'");
    return 1;
  }
  unsetenv("HAWSER_REPLY_FD");
  scrub_environment();
  /* Node raises this for itself, and what it runs shall have what the daemon's children have. */
  struct rlimit nofile;
  char soft[32];
  if (getrlimit(RLIMIT_NOFILE, &nofile) == 0 && nofile.rlim_cur != RLIM_INFINITY) {
    snprintf(soft, sizeof soft, "%llu", (unsigned long long)nofile.rlim_cur);
    setenv("HAWSER_NOFILE", soft, 1);
  }
  /* Which word is the action only the flags' grammar tells, and Node knows that. Any word that could be it will do:
   * a child that finds another action replies and ends like any other. */
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "start") == 0) return start(library, argv, argc);
  return run_node(library, argv, argc);
}
