/* See watched.h. */
#include "watched.h"
#include "handover.h"
#include "wait.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static pid_t *pids;
static size_t count, room;

bool watched_add(pid_t pid) {
  for (size_t i = 0; i < count; i++)
    if (pids[i] == pid) return true;
  if (count == room) {
    size_t more = room ? 2 * room : 16;
    pid_t *grown = realloc(pids, more * sizeof *pids);
    if (!grown) return false;
    pids = grown;
    room = more;
  }
  pids[count++] = pid;
  return true;
}

void watched_forget(void) {
  free(pids);
  pids = NULL;
  count = room = 0;
}

/* In one piece, or not at all (pipe(7), PIPE_BUF). */
static bool tell(int bell, pid_t pid, int status) {
  char notice[NOTICED_END_LENGTH] = {NOTICED_END};
  const int32_t numbers[] = {pid, status};
  memcpy(notice + 1, numbers, sizeof numbers);
  ssize_t n;
  do n = write(bell, notice, sizeof notice);
  while (n == -1 && errno == EINTR);
  return n == sizeof notice;
}

void watched_tell(int bell) {
  for (size_t i = 0; i < count;) {
    int status = 0;
    pid_t ended = wait_for_child(pids[i], true, &status);
    /* One that somebody else has collected is asked for in vain. */
    if (ended == 0 || (ended == pids[i] && !tell(bell, ended, status))) i++;
    else pids[i] = pids[--count];
  }
}
