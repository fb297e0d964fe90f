/*
 * The system calls that Node lacks, a file for each kind. Every function is a thin face over one call: it returns the
 * call's result, or a negative errno of which the file of the same name in TypeScript makes an Error. Nothing here decides
 * anything. This file only registers them.
 *
 * Only N-API and the few libuv functions that watch.c declares are used, so that one build loads in every Node from 20 on.
 */
#include "addon.h"
#include <stdbool.h>
#include <stddef.h>

NAPI_MODULE_INIT() {
  static void (*const parts[])(napi_env env, napi_value exports) = {
      register_process,
      register_spawn,
      register_descriptors,
      register_clock,
      register_sockets,
      register_shared,
      register_watch,
      register_answers,
      register_mount,
      register_loop,
      register_mapped,
      register_files,
      register_terminal,
      register_relay,
      register_migration,
      register_monitor,
      register_job,
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    bool failed = false;
    parts[i](env, exports);
    if (napi_is_exception_pending(env, &failed) != napi_ok || failed) return NULL;
  }
  return exports;
}
