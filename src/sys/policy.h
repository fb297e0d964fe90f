/* A zygote boots with what the processor has left over; from when somebody waits for it, it is like any process. */
#ifndef HAWSER_POLICY_H
#define HAWSER_POLICY_H
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

/* Puts all threads of a process that are idle-class back among the others; their niceness they have kept. */
static inline void end_idle_class(pid_t pid) {
  char path[32];
  const struct sched_param none = {0};
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *tasks = opendir(path);
  if (!tasks) return;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    pid_t task = atoi(entry->d_name);
    if (task > 0 && sched_getscheduler(task) == SCHED_IDLE) sched_setscheduler(task, SCHED_OTHER, &none);
  }
  closedir(tasks);
}

#endif
