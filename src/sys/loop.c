/* Loop devices. */
#define _GNU_SOURCE
#include "addon.h"
#include "off-loop.h"
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Ties a file to a loop device that is open: in one step where the kernel can (5.8), else in three. */
static long loop_configure(int device, int file, const char *name, uint32_t flags) {
#ifdef LOOP_CONFIGURE
  struct loop_config config = {.fd = (uint32_t)file, .info.lo_flags = flags};
  strncpy((char *)config.info.lo_file_name, name, LO_NAME_SIZE - 1);
  if (ioctl(device, LOOP_CONFIGURE, &config) == 0) return 0;
  if (errno != EINVAL && errno != ENOTTY) return -errno;
#endif
  struct loop_info64 info = {.lo_flags = flags & LO_FLAGS_AUTOCLEAR};
  strncpy((char *)info.lo_file_name, name, LO_NAME_SIZE - 1);
  if (ioctl(device, LOOP_SET_FD, file) == -1) return -errno;
  if (ioctl(device, LOOP_SET_STATUS64, &info) == 0 &&
      (!(flags & LO_FLAGS_DIRECT_IO) || ioctl(device, LOOP_SET_DIRECT_IO, 1UL) == 0))
    return 0;
  long why = -errno;
  ioctl(device, LOOP_CLR_FD, 0);
  return why;
}

static long loop_open(const char *path, uint32_t flags) {
  int access = (flags & LO_FLAGS_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  int file = open(path, access), control = -1, device = -1;
  long result = -1;
  char name[32];
  if (file != -1) control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control != -1) result = ioctl(control, LOOP_CTL_GET_FREE);
  if (result != -1) {
    snprintf(name, sizeof name, "/dev/loop%ld", result);
    device = open(name, access);
  }
  result = device == -1 ? -errno : loop_configure(device, file, path, flags);
  if (result < 0 && device != -1) close(device);
  if (control != -1) close(control);
  if (file != -1) close(file);
  return result < 0 ? result : device;
}

static long loop_run(const struct slow_call *call) { return loop_open(call->text[0], (uint32_t)call->number[0]); }

/* attachLoop(file, flags): a promise of an open descriptor of a loop device, or -errno; EBUSY when somebody else was
 * faster with the device that was free. */
static napi_value loop_start(napi_env env, napi_callback_info info) { return run_off_loop(env, info, 1, 1, loop_run); }

void register_loop(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"attachLoop", loop_start},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
