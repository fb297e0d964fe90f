/*
 * Which Node runs the shim: that to which the library has a link, put there by who built or installed it. A package from
 * npm has none, as npm leaves links out. Then it is the Node beside which npm has put the link to this program (PREFIX/bin,
 * for what lies in PREFIX/lib/node_modules), or else that of PATH: daemons are often started with a PATH in which a version
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

static bool is_this_program(const char *path) {
  struct stat linked, program;
  return stat(path, &linked) == 0 && stat("/proc/self/exe", &program) == 0 && linked.st_dev == program.st_dev && linked.st_ino == program.st_ino;
}

/* Only with the link is the directory known to be npm's, and not anybody's. */
static bool is_of_prefix(const char *library) {
  static const char modules[] = "/lib/node_modules/";
  const char *end = NULL;
  for (const char *at = library; (at = strstr(at, modules)); at++) end = at;
  if (!end) return false;
  int length = (int)(end - library);
  snprintf(node, sizeof node, "%.*s/bin/containerd-shim-runc-v2", length, library);
  if (!is_this_program(node)) return false;
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
