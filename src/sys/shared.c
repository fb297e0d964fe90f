/* Memory that lives on when this process does not: of a descriptor that somebody else has, too. */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include <sys/mman.h>

static void unmap(napi_env env, void *data, void *hint) {
  (void)env;
  munmap(data, (size_t)(uintptr_t)hint);
}

/* mapShared(fd, size): a Buffer over the descriptor's first bytes, which must be there, or -errno. What is written to it is in the file at once. */
static napi_value map_shared(napi_env env, napi_callback_info info) {
  ARGS(2);
  size_t size = (size_t)integer(env, arg[1]);
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)integer(env, arg[0]), 0);
  if (data == MAP_FAILED) return number(env, -errno);
  napi_value buffer;
  if (napi_create_external_buffer(env, size, data, unmap, (void *)(uintptr_t)size, &buffer) == napi_ok) return buffer;
  munmap(data, size);
  return number(env, -ENOMEM);
}

void register_shared(napi_env env, napi_value exports) {
  static const struct function table[] = {{"mapShared", map_shared}};
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
