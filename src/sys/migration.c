/*
 * Moving a process to another cgroup takes a lock for which the first to come in a while waits some ten milliseconds: it
 * is made so that fork and exit pay nothing for it, and lasts until every processor has heard of the change (an RCU grace
 * period; cgroup_threadgroup_rwsem in the kernel). Whoever comes shortly after need not wait. A part of the addon.
 *
 * That is so of cgroup v1. On v2 alone crun, and for an exec runc from 1.4 on, have the kernel make the process in its cgroup (clone3(2), CLONE_INTO_CGROUP), without
 * that lock, but with the one under which it is waited for here: they would wait for us, as long as they never would otherwise.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include "thread.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define ROOT_BYTES 128

static atomic_flag under_way = ATOMIC_FLAG_INIT;
/* There is cgroup v2 alone. */
static atomic_bool is_unified;
static char root[ROOT_BYTES];

/* Moves this process to where it is already. 0, or -1 when that is no cgroup. */
static int stay(const char *hierarchy, const char *cgroup) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s%s%s/cgroup.procs", root, hierarchy, cgroup) >= (int)sizeof path) return -1;
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd == -1) return -1;
  ssize_t n = write(fd, "0", 1);
  close(fd);
  return n == 1 ? 0 : -1;
}

/* A line of /proc/self/cgroup: number:controllers:path. The lock is one for all hierarchies; v2's has no controllers there. */
static int stay_by(char *line) {
  char *controllers = strchr(line, ':'), *cgroup = controllers ? strchr(controllers + 1, ':') : NULL;
  char hierarchy[64];
  /* Of a cgroup outside of what is mounted here only the way up is told. */
  if (!cgroup || strncmp(cgroup, ":/..", 4) == 0) return -1;
  *cgroup++ = '\0';
  if (*++controllers == '\0') return -1;
  if (strncmp(controllers, "name=", 5) == 0) controllers += 5;
  snprintf(hierarchy, sizeof hierarchy, "/%s", controllers);
  return stay(hierarchy, cgroup);
}

static void *migrate(void *unused) {
  char text[4096], *line = text, *end;
  pthread_setname_np(pthread_self(), "hawser-migrate");
  int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  ssize_t length = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
  if (fd != -1) close(fd);
  text[length > 0 ? length : 0] = '\0';
  if (strncmp(text, "0::", 3) == 0) atomic_store(&is_unified, true);
  /* What has no end was too long, and would name another. */
  for (; (end = strchr(line, '\n')); line = end + 1) {
    *end = '\0';
    if (stay_by(line) == 0) break;
  }
  atomic_flag_clear(&under_way);
  return unused;
}

/*
 * expectMigration(root): that somebody is about to move a process. It returns at once, and what goes wrong later changes
 * nothing: then that somebody waits.
 */
static napi_value expect_migration(napi_env env, napi_callback_info info) {
  ARGS(1);
  if (atomic_load(&is_unified) || atomic_flag_test_and_set(&under_way)) return NULL;
  size_t length;
  napi_get_value_string_utf8(env, arg[0], root, sizeof root, &length);
  if (start_thread(NULL, migrate, NULL) != 0) atomic_flag_clear(&under_way);
  return NULL;
}

void register_migration(napi_env env, napi_value exports) {
  static const struct function table[] = {{"expectMigration", expect_migration}};
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
