/* Running Node, and passing on what it has to say. */
#define _GNU_SOURCE
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
  char **args = calloc((size_t)argc + 5, sizeof *args);
  if (!args) return fail("calloc", NULL);
  int n = 0;
  args[n++] = argv[0];
  args[n++] = (char *)"--no-warnings";
  /* Else a busy hour leaves a shim with tens of megabytes of room for garbage (MB, for each half). */
  args[n++] = (char *)"--max-semi-space-size=1";
  args[n++] = (char *)"--expose-gc";
  args[n++] = bundle;
  for (int i = 1; i < argc; i++) args[n++] = argv[i];
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
