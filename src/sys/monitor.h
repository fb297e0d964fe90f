/* The worker's end of what is between it and its monitor (monitor/handover.h). */
#ifndef HAWSER_SYS_MONITOR_H
#define HAWSER_SYS_MONITOR_H

#include "../monitor/spawn.h"
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

/* False where this process has children of its own. */
bool has_monitor(void);
pid_t spawn_by_monitor(const struct program *program, const int *descriptors, size_t count);
/* As waitid(2): the pid, 0 while it runs, or -errno. */
pid_t wait_by_monitor(pid_t pid, bool keep, int *status);

/* What JavaScript has of it: null for 0, {pid, status}, or -errno. */
napi_value ended(napi_env env, pid_t pid, int status);

#endif
