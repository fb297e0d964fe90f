/* mount(2) and umount2(2). */
#define _GNU_SOURCE
#include "addon.h"
#include "off-loop.h"
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
      {"unmount", unmount_start},
      {"pageSize", page_size},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
