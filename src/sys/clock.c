/* The wall clock, to the nanosecond. */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include <time.h>

/* realtime(): nanoseconds since the epoch, as a BigInt. */
static napi_value realtime(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  napi_value result;
  napi_create_bigint_int64(env, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &result);
  return result;
}

void register_clock(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"realtime", realtime},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
