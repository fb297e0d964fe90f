/* mount(2) and umount2(2). */
#define _GNU_SOURCE
#include "addon.h"
#include "off-loop.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

static long mount_here(const struct slow_call *call) {
  return errno_of(mount(call->text[0], call->text[1], call->text[2], call->number[0], call->text[3]));
}

struct elsewhere {
  const struct slow_call *call;
  long result;
};

static void *mount_there(void *data) {
  struct elsewhere *job = data;
  job->result = unshare(CLONE_FS) == -1 || chdir(job->call->text[4]) == -1 ? -errno : mount_here(job->call);
  return NULL;
}

/* A thread of its own can have a working directory of its own: overlay's lowerdirs may then be named relatively, which
 * keeps them within the one page that mount(2) reads. */
static long mount_run(const struct slow_call *call) {
  if (!call->text[4]) return mount_here(call);
  struct elsewhere job = {.call = call};
  pthread_t thread;
  int rc = pthread_create(&thread, NULL, mount_there, &job);
  if (rc) return -rc;
  pthread_join(thread, NULL);
  return job.result;
}

/* mount(source, target, type, data, cwd|null, flags): a promise of 0 or -errno. */
static napi_value mount_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 5, 1, mount_run); }

/* Where it is mounted does not matter, as long as there is a directory: nobody else sees it there. */
#define APART "/proc"

static long open_apart(const struct slow_call *call) {
  unsigned long flags = call->number[0];
  if (unshare(CLONE_NEWNS) == -1) return -errno;
  /* What is mounted from now on stays in this namespace. */
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1) return -errno;
  if (call->text[3] && (unshare(CLONE_FS) == -1 || chdir(call->text[3]) == -1)) return -errno;
  if (mount(call->text[0], APART, call->text[1], flags & MS_BIND ? flags & (MS_BIND | MS_REC) : flags, call->text[2]) == -1)
    return -errno;
  /* A bind takes no other flags but in a second call. */
  if (flags & MS_BIND && flags & MS_RDONLY && mount("none", APART, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == -1)
    return -errno;
  return errno_of(open(APART, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void *mount_apart(void *data) {
  struct elsewhere *job = data;
  job->result = open_apart(job->call);
  return NULL;
}

/* A thread of its own has a mount namespace of its own, which ends with it: the mount lives on by the descriptor alone,
 * and no way of dying leaves it behind. */
static long mount_apart_run(const struct slow_call *call) {
  struct elsewhere job = {.call = call};
  pthread_t thread;
  int rc = pthread_create(&thread, NULL, mount_apart, &job);
  if (rc) return -rc;
  pthread_join(thread, NULL);
  return job.result;
}

/* mountApart(source, type, data, cwd|null, flags): a promise of a descriptor of its root, or -errno. */
static napi_value mount_apart_start(napi_env env, napi_callback_info info) {
  return run_off_loop(env, info, 4, 1, mount_apart_run);
}

static long unmount_run(const struct slow_call *call) { return errno_of(umount2(call->text[0], (int)call->number[0])); }

/* unmount(target, flags): a promise of 0 or -errno. */
static napi_value unmount_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 1, 1, unmount_run); }

/* pageSize(): of this kernel. */
static napi_value page_size(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, sysconf(_SC_PAGESIZE));
}

void register_mount(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"mount", mount_start},
      {"mountApart", mount_apart_start},
      {"unmount", unmount_start},
      {"pageSize", page_size},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
