/*
 * The monitor of a zygote's rehearsal (src/shim/zygote/monitored.ts), which is to the zygote what a shim's is to its worker. It connects to its worker, as
 * who has made a socket is known by it, and ends with it.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include "peer.h"
#include "../sys/policy.h"
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PLACE "HAWSER_REHEARSED"
/* Of the pipe in which it says what it has noticed. */
#define BELL 3

bool is_rehearsed(void) { return getenv(PLACE) != NULL; }

/* Whose worker has died has rehearsed enough. */
static pid_t wake_nobody(struct monitor_ends *ours) {
  (void)ours;
  _exit(1);
}

int watch_over_rehearsal(void) {
  struct ucred worker;
  /* Who counts shims by their name must not count what has no container. */
  prctl(PR_SET_NAME, "hawser-zygote");
  /* Its zygote may be, until somebody waits for that, who must not wait for this one then. */
  end_idle_class(getpid());
  int control = connect_to_peer(getenv(PLACE), 0, NULL, &worker);
  if (control == -1) return fail("connect to", getenv(PLACE));
  unsetenv(PLACE);
  return monitor((struct monitor_ends){control, BELL}, 0, wake_nobody);
}
