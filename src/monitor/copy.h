/*
 * Moving bytes from one descriptor into another, many such copies at a time: a container's pipe into its client's FIFO, a
 * FIFO into the container's input, a pipe into a log file, a terminal either way. Needs nothing but the kernel.
 */
#ifndef HAWSER_COPY_H
#define HAWSER_COPY_H

#include "entries.h"
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
  COPY_LOG,    /* Into a log, as entries (entries.h). */
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
  uint64_t copied; /* Bytes of the source that are in the sink; into a log: that were taken of the source. */
  uint64_t most;   /* Bytes that it may take of the source; into a log: that it may write. It has no bound unless it is given one before the first step. */
  char *held;      /* What was read and is not written, if anything; malloc'ed. Into a log: entries, the first of which may have been begun. */
  size_t from, to; /* Where in it. */
  uint64_t grows_at; /* With so many bytes copied the pipes get more room; UINT64_MAX while nobody serves it, and when they have it. */
  int source_had, sink_had; /* The room they had before, in bytes; 0 for one that has what it had. */
  enum stream stream;
  uint64_t logged; /* Bytes written to a log. */
};

/* The descriptors must be non-blocking, but for a file's, and stay the caller's. SIGPIPE must not end the process. */
void copy_begin(struct copy *copy, int source, int sink);

/* What comes becomes entries of a log. To be called before the first step. */
void copy_logs(struct copy *copy, enum stream stream);

/* These bytes come first, into a log as they are. False when there is no memory; to be called before the first step. */
bool copy_first(struct copy *copy, const void *bytes, size_t length);

/* How many bytes were read and are not written. */
static inline size_t copy_holds(const struct copy *copy) { return copy->to - copy->from; }

/* Moves what can be moved without waiting, up to a bound, so that others get their turn. The buffer has COPY_BUFFER bytes or fewer. */
enum copy_state copy_step(struct copy *copy, char *buffer, size_t size);

/*
 * Pipes that were given more room while there was much to move have what they had, but for one with more in it than would fit then, of which the
 * kernel takes nothing: to be called again. copies_serve() does so at its end.
 */
void copy_gives_room_back(struct copy *copy);

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
