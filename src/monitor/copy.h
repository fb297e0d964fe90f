/*
 * Moving bytes from one descriptor into another, many such copies at a time: a container's pipe into its client's FIFO, a
 * FIFO into the container's input, a pipe into a log file, a terminal either way. Needs nothing but the kernel.
 */
#ifndef HAWSER_COPY_H
#define HAWSER_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one step may use of its caller's memory: as much as a pipe holds. With less it takes more steps. */
#define COPY_BUFFER (64u << 10)

/* How many copies one call serves: a container has three, and each of its execs. */
#define COPIES_AT_ONCE 64

enum copy_kind {
  COPY_SPLICE, /* Between pipes: the kernel hands over pages. */
  COPY_WRITE,  /* All else: files opened for appending refuse splice(2), terminals give a page at a time. */
};

/* What has to happen before a step does anything. */
enum copy_state {
  COPY_GOES_ON,
  COPY_WANTS_SOURCE,
  COPY_WANTS_SINK,
  COPY_ENDED,         /* The source has. */
  COPY_SOURCE_FAILED, /* With .error, like the next. A terminal that nobody has open gives EIO, for as long as that lasts. */
  COPY_SINK_FAILED,
  COPY_HAS_ALL, /* As much as it may take is in the sink. */
};

/* At rest this is all there is of one. */
struct copy {
  int source, sink;
  enum copy_kind kind;
  enum copy_state state;
  int error;
  uint64_t copied; /* Bytes that are in the sink. */
  uint64_t most;   /* Bytes that it may take of the source; it has no bound unless it is given one before the first step. */
  char *held;      /* What was read and is not written, if anything; malloc'ed. */
  size_t from, to; /* Where in it. */
};

/* The descriptors must be non-blocking, but for a file's, and stay the caller's. SIGPIPE must not end the process. */
void copy_begin(struct copy *copy, int source, int sink);

/* These bytes come first. False when there is no memory; to be called before the first step. */
bool copy_first(struct copy *copy, const void *bytes, size_t length);

/* How many bytes were read and are not written. */
static inline size_t copy_holds(const struct copy *copy) { return copy->to - copy->from; }

/* Moves what can be moved without waiting, up to a bound, so that others get their turn. The buffer has COPY_BUFFER bytes or fewer. */
enum copy_state copy_step(struct copy *copy, char *buffer, size_t size);

/* What was held is forgotten. */
void copy_end(struct copy *copy);

/* True for one that no step will bring on. */
static inline bool copy_is_over(const struct copy *copy) { return copy->state >= COPY_ENDED; }

/*
 * Serves these copies, COPIES_AT_ONCE at the most, until they are over, none has had anything to do for quiet_ms, longest_ms have passed, or the
 * descriptor stop is readable. Whatever it was, the next step of each meets the same.
 */
void copies_serve(struct copy *const copies[], size_t count, int stop, int quiet_ms, int longest_ms);

#endif
