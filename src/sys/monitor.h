/* The worker's end of what is between it and its monitor (monitor/handover.h). */
#ifndef HAWSER_SYS_MONITOR_H
#define HAWSER_SYS_MONITOR_H

#include "../monitor/spawn.h"
#include <stdbool.h>
#include <stddef.h>

/* False where this process has children of its own. */
bool has_monitor(void);
pid_t spawn_by_monitor(const struct program *program, const int *descriptors, size_t count);
/* As waitid(2): the pid, 0 while it runs, or -errno. */
pid_t wait_by_monitor(pid_t pid, bool keep, int *status);

#endif
