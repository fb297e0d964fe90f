/*
 * Children of whose end the worker is told with how they have ended, so that it need not ask. It collects them when it has heard: until then each
 * of them is there for whoever comes after it.
 */
#ifndef HAWSER_WATCHED_H
#define HAWSER_WATCHED_H

#include <stdbool.h>
#include <sys/types.h>

/* False for want of memory. */
bool watched_add(pid_t pid);

/* There is no worker any more. */
void watched_forget(void);

/* Those that have ended are told, once: NOTICED_END in the bell. What does not fit stays. */
void watched_tell(int bell);

#endif
