/*
 * Which Node runs the shim: that to which the library has a link, put there by who built or installed it. A package from
 * npm has none, as npm leaves links out. Then it is the Node beside which npm has put the link to this program, or to the
 * command line (PREFIX/bin, for what lies in PREFIX/lib/node_modules), or else that of PATH: daemons are often started with a PATH in which a version
 * manager's Node is not. find-node.sh does the same for the scripts.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char node[PATH_MAX + 16];

/*
 * Only with a link into its packages is a prefix known to be npm's, and not anybody's: of this program, or of the command line, where
 * this program is in the package for its platform, to which npm makes no links.
 */
static bool leads_into(const char *prefix_bin, const char *modules, int length) {
  static const char *const names[] = {"containerd-shim-runc-v2", "hawser"};
  char link[PATH_MAX + 48], program[PATH_MAX];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(link, sizeof link, "%s/%s", prefix_bin, names[i]);
    if (realpath(link, program) && strncmp(program, modules, (size_t)length) == 0) return true;
  }
  return false;
}

static bool is_of_prefix(const char *library) {
  static const char modules[] = "/lib/node_modules/";
  const char *end = NULL;
  for (const char *at = library; (at = strstr(at, modules)); at++) end = at;
  if (!end) return false;
  int length = (int)(end - library);
  snprintf(node, sizeof node, "%.*s/bin", length, library);
  if (!leads_into(node, library, length + (int)strlen(modules))) return false;
  snprintf(node, sizeof node, "%.*s/bin/node", length, library);
  return access(node, X_OK) == 0;
}

/* By absolute path: a zygote runs it from another directory. */
static bool is_of_path(const char *path) {
  for (const char *end; path; path = *end ? end + 1 : NULL) {
    end = strchrnul(path, ':');
    struct stat file;
    if (*path != '/' || snprintf(node, sizeof node, "%.*s/node", (int)(end - path), path) >= (int)sizeof node) continue;
    if (stat(node, &file) == 0 && S_ISREG(file.st_mode) && access(node, X_OK) == 0) return true;
  }
  return false;
}

const char *find_node(const char *library, bool *is_linked) {
  static bool is_found, was_linked;
  const char *path = getenv("PATH");
  if (!is_found) {
    snprintf(node, sizeof node, "%s/node", library);
    was_linked = access(node, X_OK) == 0;
    is_found = was_linked || is_of_prefix(library) || is_of_path(path ? path : "/usr/local/bin:/bin:/usr/bin");
  }
  *is_linked = was_linked;
  if (is_found) return node;
  fprintf(stderr, RUNTIME ": there is no Node to run the shim: %s/node leads to none, and PATH (%s) has none; install Node 20 or later, or make %s/node a link to it",
          library, path ? path : "not set", library);
  return NULL;
}
