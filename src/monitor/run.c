/* Running Node, passing on what it has to say, and what the launcher itself is seen as. */
#define _GNU_SOURCE
#include "flags.h"
#include "launcher.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int fail(const char *what, const char *subject) {
  fprintf(stderr, RUNTIME ": %s%s%s: %s", what, subject ? " " : "", subject ? subject : "", strerror(errno));
  return 1;
}

int run_node(const char *library, char **argv, int argc) {
  char bundle[PATH_MAX + 16], check[PATH_MAX + 32];
  snprintf(bundle, sizeof bundle, "%s/shim.cjs", library);
  snprintf(check, sizeof check, "--require=%s/node-version.cjs", library);
  static const char *const flags[] = {NODE_FLAGS};
  bool is_linked;
  const char *node = find_node(library, &is_linked);
  if (!node) return 1;
  char **args = calloc((size_t)argc + 3 + sizeof flags / sizeof *flags, sizeof *args);
  if (!args) return fail("calloc", NULL);
  int n = 0;
  args[n++] = argv[0];
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) args[n++] = (char *)flags[i];
  /* Whoever made the link knew which version it is; one that is found may be any. */
  if (!is_linked) args[n++] = check;
  args[n++] = bundle;
  for (int i = 1; i < argc; i++) args[n++] = argv[i];
  /* Else each of Node's nine threads has a heap of its own, and what lies about in it stays. The shim gives the setting to nobody. */
  if (!getenv("MALLOC_ARENA_MAX")) {
    setenv("MALLOC_ARENA_MAX", "1", 1);
    setenv("HAWSER_ARENAS", "1", 1);
  }
  execv(node, args);
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

/*
 * What ps and pgrep show after the program's name: a zygote, and no second shim of the container that this start was for.
 * The arguments lie in one piece, as the kernel put them there; what does not fit is cut off.
 */
void show_as(char **argv, char *const *words) {
  char *end = argv[0], *to;
  for (char **arg = argv; *arg && *arg == end; arg++) end += strlen(*arg) + 1;
  to = argv[0] + strlen(argv[0]) + 1;
  memset(to, 0, (size_t)(end - to));
  /* The last byte stays nought, or the kernel takes the environment for more of it. */
  for (; *words && to < end - 1; words++) to += snprintf(to, (size_t)(end - to), "%s", *words) + 1;
  prctl(PR_SET_NAME, "hawser-zygote");
}
