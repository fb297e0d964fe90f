/* Running Node, and passing on what it has to say. */
#define _GNU_SOURCE
#include "flags.h"
#include "launcher.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fail(const char *what, const char *subject) {
  fprintf(stderr, RUNTIME ": %s%s%s: %s", what, subject ? " " : "", subject ? subject : "", strerror(errno));
  return 1;
}

int run_node(const char *library, char **argv, int argc) {
  char node[PATH_MAX + 16], bundle[PATH_MAX + 16];
  snprintf(node, sizeof node, "%s/node", library);
  snprintf(bundle, sizeof bundle, "%s/shim.cjs", library);
  static const char *const flags[] = {NODE_FLAGS};
  char **args = calloc((size_t)argc + 2 + sizeof flags / sizeof *flags, sizeof *args);
  if (!args) return fail("calloc", NULL);
  int n = 0;
  args[n++] = argv[0];
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) args[n++] = (char *)flags[i];
  args[n++] = bundle;
  for (int i = 1; i < argc; i++) args[n++] = argv[i];
  /* Else each of Node's nine threads has a heap of its own, and what lies about in it stays. The shim gives the setting to nobody. */
  if (!getenv("MALLOC_ARENA_MAX")) {
    setenv("MALLOC_ARENA_MAX", "1", 1);
    setenv("HAWSER_ARENAS", "1", 1);
  }
  execv(node, args);
  if (errno == ENOENT) execvp("node", args);
  return fail("cannot run Node as", node);
}

/* Passes the reply on: its first byte is the exit status, the rest is what to print. -1: there was none. */
int forward_reply(int from) {
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
