#define _GNU_SOURCE
#include "copy.h"
#include "clock.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Moves in one step, before others get their turn. */
#define ROUNDS 16
#define MOST (1u << 20)
/*
 * A page that was spliced is never added to, so many small ones would fill a FIFO of 16 pages with 16 lines. While its reader
 * has something to read anyway, less than this is written, which fills pages up.
 */
#define DENSE (4u * PIPE_BUF)

static bool is_pipe(int fd) {
  struct stat stat;
  return fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode);
}

void copy_begin(struct copy *copy, int source, int sink) {
  *copy = (struct copy){.source = source, .sink = sink, .most = UINT64_MAX, .kind = is_pipe(source) && is_pipe(sink) ? COPY_SPLICE : COPY_WRITE};
}

bool copy_first(struct copy *copy, const void *bytes, size_t length) {
  if (length == 0) return true;
  copy->held = malloc(length);
  if (!copy->held) return false;
  memcpy(copy->held, bytes, length);
  copy->from = 0;
  copy->to = length;
  return true;
}

void copy_end(struct copy *copy) {
  free(copy->held);
  copy->held = NULL;
  copy->from = copy->to = 0;
}

static void fail(struct copy *copy, enum copy_state how) {
  copy->error = errno;
  copy->state = how;
}

static size_t waiting(int fd) {
  int count = 0;
  return ioctl(fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

static short ready(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  return poll(&one, 1, 0) == 1 ? one.revents : 0;
}

/* The number of bytes that the sink took. Where it is not all, the state says why. */
static size_t give(struct copy *copy, const char *bytes, size_t length) {
  size_t given = 0;
  while (given < length) {
    ssize_t n = write(copy->sink, bytes + given, length - given);
    if (n > 0)
      given += (size_t)n;
    else if (n == 0 || errno == EAGAIN) {
      copy->state = COPY_WANTS_SINK;
      break;
    } else if (errno != EINTR) {
      fail(copy, COPY_SINK_FAILED);
      break;
    }
  }
  copy->copied += given;
  return given;
}

static void give_held(struct copy *copy) {
  copy->from += give(copy, copy->held + copy->from, copy_holds(copy));
  if (copy_holds(copy) == 0) copy_end(copy);
}

/* How many bytes it may still take of its source, of so many that would be taken. */
static size_t allowed(const struct copy *copy, size_t wanted) {
  uint64_t left = copy->most - copy->copied - copy_holds(copy);
  return left < wanted ? (size_t)left : wanted;
}

/* As much as is there, so that few writes are needed: what comes after it, an end or an error, the next move sees. */
static void read_and_write(struct copy *copy, char *buffer, size_t size) {
  size_t have = 0;
  ssize_t n;
  size = allowed(copy, size);
  do {
    n = read(copy->source, buffer + have, size - have);
    if (n > 0) have += (size_t)n;
  } while ((n > 0 && have < size) || (n == -1 && errno == EINTR));
  if (have == 0) {
    if (n == 0)
      copy->state = COPY_ENDED;
    else if (errno == EAGAIN)
      copy->state = COPY_WANTS_SOURCE;
    else
      fail(copy, COPY_SOURCE_FAILED);
    return;
  }
  size_t given = give(copy, buffer, have);
  if (given == have || copy_first(copy, buffer + given, have - given)) return;
  errno = ENOMEM;
  fail(copy, COPY_SINK_FAILED);
}

/* splice(2) has found either nothing to take or no room, and does not say which. */
static void see_why(struct copy *copy) {
  short source = ready(copy->source, POLLIN);
  if (source & POLLIN)
    copy->state = COPY_WANTS_SINK;
  else
    /* With a full sink the call says the same of a source that has ended. */
    copy->state = source & POLLHUP ? COPY_ENDED : COPY_WANTS_SOURCE;
}

static void move_pages(struct copy *copy, char *buffer, size_t size) {
  size_t there = waiting(copy->source);
  if (there > 0 && there < DENSE && waiting(copy->sink) > 0) {
    /* Only what fits: the rest is better off in the pipe, where its writer is held up by it. */
    if (!ready(copy->sink, POLLOUT))
      copy->state = COPY_WANTS_SINK;
    else
      read_and_write(copy, buffer, size < PIPE_BUF ? size : PIPE_BUF);
    return;
  }
  ssize_t n = splice(copy->source, NULL, copy->sink, NULL, allowed(copy, MOST), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n > 0)
    copy->copied += (uint64_t)n;
  else if (n == 0)
    copy->state = COPY_ENDED;
  else if (errno == EAGAIN)
    see_why(copy);
  else if (errno == EINVAL)
    copy->kind = COPY_WRITE;
  else if (errno != EINTR)
    fail(copy, COPY_SINK_FAILED);
}

enum copy_state copy_step(struct copy *copy, char *buffer, size_t size) {
  copy->state = COPY_GOES_ON;
  for (int round = 0; round < ROUNDS && copy->state == COPY_GOES_ON; round++) {
    if (copy->held)
      give_held(copy);
    else if (copy->copied == copy->most)
      copy->state = COPY_HAS_ALL;
    else if (copy->kind == COPY_SPLICE)
      move_pages(copy, buffer, size);
    else
      read_and_write(copy, buffer, size);
  }
  return copy->state;
}

/* What to wait for; a descriptor of -1 is passed over by poll(2). */
static struct pollfd wanted(const struct copy *copy) {
  switch (copy->state) {
    case COPY_WANTS_SOURCE: return (struct pollfd){.fd = copy->source, .events = POLLIN};
    case COPY_WANTS_SINK: return (struct pollfd){.fd = copy->sink, .events = POLLOUT};
    default: return (struct pollfd){.fd = -1};
  }
}

void copies_serve(struct copy *const copies[], size_t count, int stop, int quiet_ms, int longest_ms) {
  char buffer[COPY_BUFFER];
  struct pollfd polled[COPIES_AT_ONCE + 1];
  int64_t longest = milliseconds() + longest_ms;
  if (count > COPIES_AT_ONCE) abort();
  for (size_t i = 0; i < count; i++) copies[i]->state = COPY_GOES_ON;
  do {
    bool busy = false, waits = false;
    for (size_t i = 0; i < count; i++) {
      if (copies[i]->state == COPY_GOES_ON) copy_step(copies[i], buffer, sizeof buffer);
      busy = busy || copies[i]->state == COPY_GOES_ON;
      waits = waits || !copy_is_over(copies[i]);
      polled[i] = wanted(copies[i]);
    }
    if (!waits) return;
    polled[count] = (struct pollfd){.fd = stop, .events = POLLIN};
    int n = poll(polled, count + 1, busy ? 0 : quiet_ms);
    if (n == 0 && !busy) return;
    if (n > 0 && polled[count].revents) return;
    for (size_t i = 0; n > 0 && i < count; i++)
      if (polled[i].revents) copies[i]->state = COPY_GOES_ON;
  } while (milliseconds() < longest);
}
