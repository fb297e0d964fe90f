/*
 * What passes between a monitor and its worker, on a stream socket between them: the worker asks, and waits for the answer.
 * Each question is a head, with the descriptors that belong to it, and a body. The other way, a pipe takes a byte for each
 * thing that the monitor has noticed. The job for a zygote (zygote.c) is sent with the same functions.
 */
#ifndef HAWSER_HANDOVER_H
#define HAWSER_HANDOVER_H

#include "entries.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* With one message; the kernel takes 253 (unix(7), SCM_MAX_FD). */
#define HANDOVER_DESCRIPTORS 250

/* With a job: input, directory, the pipe for the reply, and the two ends for the monitor. */
#define JOB_DESCRIPTORS 5

enum question {
  /* number: how many arguments, how many settings, SPAWN_* flags; body: file, directory (or nothing), arguments, settings, each with its NUL. Answer: pid or
   * -errno, whether its end is told. */
  ASK_SPAWN = 1,
  /* number: pid or 0 for any, whether to keep it. Answer: pid (0: still running) or -errno, status as a shell has it. */
  ASK_WAIT,
  /* number: how many descriptors, the record's format; body: a struct resting for each of them, then the record. The worker ends then. */
  ASK_REST,
  /* It has the record and the descriptors that it was given; what it leaves next takes their place. Answer: 0, how many answers were given meanwhile. */
  ASK_TAKEN,
  /* From the monitor, without an answer. number: how many descriptors, how long the record, the place of the descriptor that has woken it or
   * WOKEN_BY_*; body: as with ASK_REST, then what copies hold. */
  GIVE_RECORD,
  /* As ASK_REST, without an answer: for the case that the worker ends before the next of these comes. It goes on. */
  ASK_KEEP,
  /* Nobody could go on with what was kept: the worker's end is the shim's. */
  ASK_FORGET,
  /* With a listening socket; number: how many connections at most. Answer: 0 and as many as wait, or one, with it, or -errno. They are kept here, too,
   * until the next record, and given behind the descriptors of an earlier one: a client finds no end though its worker ends when it has just been
   * accepted. */
  ASK_ACCEPT,
  /* Body: a path. Answer: 0 and it opened for reading, without waiting, or -errno. It is kept here like what is accepted: who writes to a FIFO
   * finds a reader though the worker ends. */
  ASK_OPEN,
  /* For while there is no worker: what the next ASK_REST leaves is asked about by these connections, and these are the answers. number: how many connections;
   * body: a struct answering for each of them, then a struct answer_texts for each answer, with both texts behind it. Nothing: there are none. */
  ASK_ANSWERS,
  /* number: pid. Answer: as ASK_WAIT, and what has ended is kept; while it runs (0) its end is told from now on, once (NOTICED_END). */
  ASK_WATCH,
  /* It has heard of the end of this one, without an answer. number: pid. */
  ASK_COLLECT,
  /* After ASK_ANSWERS, for the same connections: what is made anew each time. Body: a struct answer_texts for each, the request and its recipe (recipe.h), which
   * makes what is in the reply's frame; none where it is the next one's. */
  ASK_RECIPES,
  /* Which program is to take the monitor's place. Answer: the newest record that its workers read, or -errno; for how many seconds this
   * one may try to leave, negative when it is only to say whether it could. */
  ASK_SUCCESSOR = 32,
  /* The worker does not leave for that. body: why not, nothing when it could. */
  ASK_STAYS,
};

#define WOKEN_BY_SIGNAL (-1)
#define WOKEN_BY_DEATH (-2)

#define SPAWN_DIES_WITH_PARENT 1
#define SPAWN_OWN_GROUP 2
/* As with ASK_WATCH. */
#define SPAWN_WATCHED 4

/* In the pipe. */
#define NOTICED_CHILD 'C'
#define NOTICED_REPLACEMENT 'R'
/* With two int32_t behind it: the pid of who has ended, its status as a shell has it. */
#define NOTICED_END 'E'
#define NOTICED_END_LENGTH 9

struct head {
  uint32_t length, kind, count;
  int32_t number[3];
};

struct answer {
  int32_t number[2];
};

/* What is done with a descriptor while there is no worker. */
enum rests {
  REST_KEPT,
  REST_WAKES, /* When it can be read, or is hung up. */
  REST_CHANGES, /* Wakes, too: a file of the kernel's that says so when it changes (POLLPRI). */
  REST_COPIED, /* Into the one with the index `into`, for as long as that goes without a question. */
};

/*
 * In `into` of one that wakes: what comes goes into the log with this place, as entries of standard output or error. A monitor of before there were
 * logs of entries does not look at it, and wakes a worker, which does as well.
 */
#define INTO_LOG 0x8000
#define INTO_LOG_OF_STDERR 0x4000
#define INTO_PLACE 0x3fff

struct resting {
  uint16_t how, into;
  uint32_t held;  /* In a record that is given: of the bytes behind it, how many this one's copy has read and not written. */
  uint64_t bytes; /* Of a copy. As it is left: how many it may take, after which there is to be a worker. As it is given: how many are in its sink.
                   * Of one into a log: how many it may write, and how many of its source are in entries. */
};

/* A connection on which answers are given, by its place in the record, and the last stream that its client has begun. */
struct answering {
  uint32_t place, last_stream;
};

/* How long a request's beginning is, and the frame that answers it, for any stream. */
struct answer_texts {
  uint32_t request, reply;
};

/* Also into a log. */
static inline bool is_copied(const struct resting *one) { return one->how == REST_COPIED || (one->how == REST_WAKES && one->into & INTO_LOG); }

static inline enum stream stream_of(const struct resting *one) {
  if (one->how == REST_COPIED) return STREAM_NONE;
  return one->into & INTO_LOG_OF_STDERR ? STREAM_STDERR : STREAM_STDOUT;
}

/* Texts one after the other, each with its NUL: how long they are, and how many. */
static inline size_t texts_length(char *const *list, uint32_t *count) {
  size_t length = 0;
  for (*count = 0; list[*count]; (*count)++) length += strlen(list[*count]) + 1;
  return length;
}

/* Gives where the next ones are to stand. */
static inline char *texts_append(char *to, char *const *list) {
  for (; *list; list++) to = stpcpy(to, *list) + 1;
  return to;
}

/* Sends what stands in some places, with descriptors if there are some; gives how many bytes are sent, or -1. */
static inline ssize_t send_parts(int fd, struct iovec *parts, size_t part_count, const int *descriptors, size_t count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(HANDOVER_DESCRIPTORS * sizeof(int))];
  } control;
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
  if (count > HANDOVER_DESCRIPTORS) return -1;
  if (count > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(count * sizeof *descriptors);
    memset(&control, 0, sizeof(struct cmsghdr));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof *descriptors);
    memcpy(CMSG_DATA(rights), descriptors, count * sizeof *descriptors);
  }
  ssize_t n;
  do n = sendmsg(fd, &message, MSG_NOSIGNAL);
  while (n == -1 && errno == EINTR);
  return n;
}

static inline struct iovec part_of(const void *bytes, size_t length) { return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length}; }

static inline ssize_t send_with(int fd, const void *bytes, size_t length, const int *descriptors, size_t count) {
  struct iovec part = part_of(bytes, length);
  return send_parts(fd, &part, 1, descriptors, count);
}

/* Bytes, and the descriptors that come with them, close-on-exec. */
static inline ssize_t receive_with(int fd, void *bytes, size_t length, int *descriptors, size_t *count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(HANDOVER_DESCRIPTORS * sizeof(int))];
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (n == -1 && errno == EINTR);
  size_t room = *count;
  *count = 0;
  struct cmsghdr *rights = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!rights || rights->cmsg_type != SCM_RIGHTS) return n;
  size_t came = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  int *all = (int *)(void *)CMSG_DATA(rights);
  for (size_t i = 0; i < came; i++) {
    if (i < room) descriptors[(*count)++] = all[i];
    else close(all[i]);
  }
  return n;
}

/* All of it, or false. */
static inline _Bool send_all(int fd, const void *bytes, size_t length, const int *descriptors, size_t count) {
  for (size_t sent = 0; sent < length; count = 0) {
    ssize_t n = send_with(fd, (const char *)bytes + sent, length - sent, descriptors, count);
    if (n <= 0) return 0;
    sent += (size_t)n;
  }
  return 1;
}

/* A question, in one piece as far as there is room: who reads it wakes once. */
static inline _Bool send_question(int fd, const struct head *head, const void *body, const int *descriptors) {
  struct iovec parts[] = {part_of(head, sizeof *head), part_of(body, head->length)};
  ssize_t n = send_parts(fd, parts, 2, descriptors, head->count);
  if (n <= 0) return 0;
  size_t sent = (size_t)n;
  if (sent < sizeof *head) return send_all(fd, (const char *)head + sent, sizeof *head - sent, NULL, 0) && send_all(fd, body, head->length, NULL, 0);
  return send_all(fd, (const char *)body + (sent - sizeof *head), head->length - (sent - sizeof *head), NULL, 0);
}

static inline _Bool receive_all(int fd, void *bytes, size_t length) {
  for (size_t have = 0; have < length;) {
    ssize_t n = read(fd, (char *)bytes + have, length - have);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) return 0;
    have += (size_t)n;
  }
  return 1;
}

#endif
