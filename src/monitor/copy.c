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
#include <sys/uio.h>
#include <unistd.h>

/* Moves in one step, before others get their turn. */
#define ROUNDS 16
#define MOST (1u << 20)
/*
 * A page that was spliced is never added to, so many small ones would fill a FIFO of 16 pages with 16 lines. While its reader
 * has something to read anyway, less than this is written, which fills pages up.
 */
#define DENSE (4u * PIPE_BUF)
/*
 * Between two pipes of 64 KiB, writer, copy and reader wake each other every few pages. Where MUCH has gone through since there is a thread for it, and so
 * many bytes come at a time, both are better off with ROOM: half of the MiB that anybody may ask for, so that all of one pipe can still be left in the
 * other. It is given back when there is nothing to move: all that root's pipes have counts against one bound (pipe-user-pages-soft), beyond which new pipes of
 * containers get two pages.
 */
#define MUCH (1u << 20)
#define AT_A_TIME (32u << 10)
#define ROOM (512 << 10)
/* What is written to a log at once, each entry in two parts or three: so entries of several who write to it are never mixed. */
#define PARTS 192

static bool is_pipe(int fd) {
  struct stat stat;
  return fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode);
}

void copy_begin(struct copy *copy, int source, int sink) {
  *copy = (struct copy){.source = source, .sink = sink, .most = UINT64_MAX, .grows_at = UINT64_MAX, .kind = is_pipe(source) && is_pipe(sink) ? COPY_SPLICE : COPY_WRITE};
}

void copy_logs(struct copy *copy, enum stream stream) {
  copy->kind = COPY_LOG;
  copy->stream = stream;
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
  *(copy->kind == COPY_LOG ? &copy->logged : &copy->copied) += given;
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

/* As much as is there, so that few writes are needed: what comes after it, an end or an error, the next move sees. The state says why there is nothing. */
static size_t take(struct copy *copy, char *buffer, size_t size) {
  size_t have = 0;
  ssize_t n;
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
  }
  return have;
}

static void read_and_write(struct copy *copy, char *buffer, size_t size) {
  size_t have = take(copy, buffer, allowed(copy, size));
  size_t given = give(copy, buffer, have);
  if (given == have || copy_first(copy, buffer + given, have - given)) return;
  errno = ENOMEM;
  fail(copy, COPY_SINK_FAILED);
}

/* Entries that are not written now: the rest of some parts, and what was not made into parts. */
static bool hold_entries(struct copy *copy, const struct iovec *parts, size_t count, const struct entry_heads *heads, const char *bytes, size_t length) {
  size_t size = entries_length(bytes, length), put;
  for (size_t i = 0; i < count; i++) size += parts[i].iov_len;
  if (size == 0) return true;
  copy->held = malloc(size);
  if (!copy->held) return false;
  copy->from = copy->to = 0;
  for (size_t i = 0; i < count; copy->to += parts[i++].iov_len) memcpy(copy->held + copy->to, parts[i].iov_base, parts[i].iov_len);
  entries_put(heads, bytes, length, copy->held + copy->to, size - copy->to, &put);
  copy->to += put;
  return true;
}

/* How many of the parts are written to their end; what is left of the next one stands there then, and the state says why. */
static size_t give_parts(struct copy *copy, struct iovec *parts, size_t count) {
  size_t done = 0;
  while (done < count) {
    ssize_t n = writev(copy->sink, parts + done, (int)(count - done));
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) {
      if (n == 0 || errno == EAGAIN)
        copy->state = COPY_WANTS_SINK;
      else
        fail(copy, COPY_SINK_FAILED);
      break;
    }
    copy->logged += (uint64_t)n;
    for (size_t left = (size_t)n; left > 0;) {
      const size_t part = parts[done].iov_len < left ? parts[done].iov_len : left;
      parts[done].iov_base = (char *)parts[done].iov_base + part;
      parts[done].iov_len -= part;
      left -= part;
      if (parts[done].iov_len == 0) done++;
    }
  }
  return done;
}

static struct iovec part_of_entry(const char *bytes, size_t length) { return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length}; }

/* Makes parts of the first of these bytes, as many as may be written; gives how many bytes those are. */
static size_t make_parts(const struct copy *copy, const struct entry_heads *heads, const char *bytes, size_t length, struct iovec *parts, size_t *count) {
  size_t taken = 0;
  uint64_t room = copy->most - copy->logged;
  for (*count = 0; taken < length && *count + 3 <= PARTS;) {
    bool is_whole;
    const size_t content = entry_content(bytes + taken, length - taken, &is_whole);
    if (room < ENTRY_HEAD + content + 1) break;
    room -= ENTRY_HEAD + content + 1;
    parts[(*count)++] = part_of_entry(is_whole ? heads->whole : heads->piece, ENTRY_HEAD);
    if (content + is_whole > 0) parts[(*count)++] = part_of_entry(bytes + taken, content + is_whole);
    if (!is_whole) parts[(*count)++] = part_of_entry("\n", 1);
    taken += content + is_whole;
  }
  return taken;
}

static void read_and_log(struct copy *copy, char *buffer, size_t size) {
  if (copy->most - copy->logged < ENTRY_HEAD + 2) {
    copy->state = COPY_HAS_ALL;
    return;
  }
  struct entry_heads heads;
  struct iovec parts[PARTS];
  const size_t have = take(copy, buffer, size);
  if (have == 0) return;
  copy->copied += have;
  entry_heads(&heads, copy->stream);
  for (size_t at = 0; at < have;) {
    size_t count;
    at += make_parts(copy, &heads, buffer + at, have - at, parts, &count);
    const size_t done = give_parts(copy, parts, count);
    if (count > 0 && done == count) continue;
    if (count == 0) copy->state = COPY_HAS_ALL;
    if (hold_entries(copy, parts + done, count - done, &heads, buffer + at, have - at)) return;
    errno = ENOMEM;
    fail(copy, COPY_SINK_FAILED);
    return;
  }
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

/* What it had, if it has more now: a pipe that is larger stays so, and one that may not grow serves as it is. */
static int grown_from(int pipe) {
  const int had = fcntl(pipe, F_GETPIPE_SZ);
  return had > 0 && had < ROOM && fcntl(pipe, F_SETPIPE_SZ, ROOM) > 0 ? had : 0;
}

static void flows(struct copy *copy, size_t moved) {
  copy->copied += moved;
  if (moved < AT_A_TIME || copy->copied < copy->grows_at) return;
  copy->grows_at = UINT64_MAX;
  if (copy->source_had == 0) copy->source_had = grown_from(copy->source);
  if (copy->sink_had == 0) copy->sink_had = grown_from(copy->sink);
}

/* 0, or what it still is to have. One that somebody else has given another size since stays so: that may be for what is left to be moved. */
static int left_of(int pipe, int had) { return had == 0 || fcntl(pipe, F_GETPIPE_SZ) != ROOM || fcntl(pipe, F_SETPIPE_SZ, had) > 0 ? 0 : had; }

void copy_gives_room_back(struct copy *copy) {
  copy->source_had = left_of(copy->source, copy->source_had);
  copy->sink_had = left_of(copy->sink, copy->sink_had);
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
    flows(copy, (size_t)n);
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
    else if (copy->kind == COPY_LOG)
      read_and_log(copy, buffer, size);
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
  for (size_t i = 0; i < count; i++) {
    copies[i]->state = COPY_GOES_ON;
    copies[i]->grows_at = copies[i]->copied + MUCH;
  }
  do {
    bool busy = false, waits = false;
    for (size_t i = 0; i < count; i++) {
      if (copies[i]->state == COPY_GOES_ON) copy_step(copies[i], buffer, sizeof buffer);
      busy = busy || copies[i]->state == COPY_GOES_ON;
      waits = waits || !copy_is_over(copies[i]);
      polled[i] = wanted(copies[i]);
    }
    if (!waits) break;
    polled[count] = (struct pollfd){.fd = stop, .events = POLLIN};
    int n = poll(polled, count + 1, busy ? 0 : quiet_ms);
    if (n == 0 && !busy) break;
    if (n > 0 && polled[count].revents) break;
    for (size_t i = 0; n > 0 && i < count; i++)
      if (polled[i].revents) copies[i]->state = COPY_GOES_ON;
  } while (milliseconds() < longest);
  for (size_t i = 0; i < count; i++) {
    copies[i]->grows_at = UINT64_MAX;
    copy_gives_room_back(copies[i]);
  }
}
