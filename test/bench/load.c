/*
 * load SOCKET CONNECTIONS DEPTH TOTAL: asks a ttrpc server over and over, and says how long it took.
 *
 * Standard input is the payload of the request, the same for all. On each of CONNECTIONS connections DEPTH requests are under way, until TOTAL are
 * answered. Printed are the seconds that it took, and how many milliseconds one of two, one of a hundred and the slowest request waited.
 *
 * In C, as whoever asks must not be what is measured: a client in JavaScript takes longer for a question than a shim for its answer.
 */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 10, REQUEST = 1, RESPONSE = 2, BUFFER = 1 << 20, MOST_DEPTH = 1024, MOST_CONNECTIONS = 1024 };

struct connection {
  int fd;
  uint32_t next;
  /* When the request with this stream id was sent, by (id / 2) % MOST_DEPTH. */
  double sent[MOST_DEPTH];
  uint8_t in[1 << 16];
  size_t have;
};

static struct connection all[MOST_CONNECTIONS];
static uint8_t frame[BUFFER];
static size_t frame_length;
static long left, answered, total;
static double *took;

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not as it must be");
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void write_all(int fd, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      fail("send");
    }
    bytes += n;
    length -= (size_t)n;
  }
}

/* So many requests more, in one write. */
static void ask(struct connection *one, long count) {
  static uint8_t out[BUFFER];
  size_t used = 0;
  double at = now();
  for (; count > 0 && left > 0; count--, left--) {
    if (used + frame_length > sizeof out) {
      write_all(one->fd, out, used);
      used = 0;
    }
    uint32_t id = htobe32(one->next);
    memcpy(out + used, frame, frame_length);
    memcpy(out + used + 4, &id, sizeof id);
    used += frame_length;
    one->sent[one->next / 2 % MOST_DEPTH] = at;
    one->next += 2;
  }
  if (used > 0) write_all(one->fd, out, used);
}

static uint32_t number(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return be32toh(value);
}

/* A reply that begins with field 1, a status, is an error or says "OK" at length; a shim that is well leaves it out. */
static long read_replies(struct connection *one) {
  ssize_t n = recv(one->fd, one->in + one->have, sizeof one->in - one->have, 0);
  if (n == 0) {
    errno = ECONNRESET;
    fail("recv");
  }
  if (n < 0) {
    if (errno == EINTR) return 0;
    fail("recv");
  }
  one->have += (size_t)n;
  double at = now();
  long count = 0;
  size_t from = 0;
  while (one->have - from >= HEADER) {
    const uint8_t *reply = one->in + from;
    size_t length = number(reply);
    if (length + HEADER > sizeof one->in) fail("a reply is too long");
    if (one->have - from < HEADER + length) break;
    errno = 0;
    if (reply[8] != RESPONSE || length == 0) fail("the reply's frame");
    if (reply[HEADER] != 0x12 && !(reply[HEADER] == 0x0a && reply[HEADER + 1] == 0)) fail("the reply's status");
    took[answered++] = at - one->sent[number(reply + 4) / 2 % MOST_DEPTH];
    from += HEADER + length;
    count++;
  }
  memmove(one->in, one->in + from, one->have - from);
  one->have -= from;
  return count;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: load SOCKET CONNECTIONS DEPTH TOTAL <PAYLOAD\n");
    return 2;
  }
  int connections = atoi(argv[2]), depth = atoi(argv[3]);
  left = total = atol(argv[4]);
  if (connections < 1 || connections > MOST_CONNECTIONS || depth < 1 || depth > MOST_DEPTH || total < 1) fail("a number");
  took = calloc((size_t)total, sizeof *took);
  if (!took) fail("calloc");

  ssize_t n;
  frame_length = HEADER;
  while ((n = read(0, frame + frame_length, sizeof frame - frame_length)) > 0) frame_length += (size_t)n;
  if (n < 0 || frame_length > sizeof frame / 2) fail("read");
  uint32_t length = htobe32((uint32_t)(frame_length - HEADER));
  memcpy(frame, &length, sizeof length);
  frame[8] = REQUEST;

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (epoll < 0 || strlen(argv[1]) >= sizeof address.sun_path) fail("epoll_create1");
  strcpy(address.sun_path, argv[1]);
  for (int i = 0; i < connections; i++) {
    struct connection *one = &all[i];
    one->next = 1;
    one->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one->fd < 0 || connect(one->fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = one };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &want) != 0) fail("epoll_ctl");
  }

  double from = now();
  for (int i = 0; i < connections; i++) ask(&all[i], depth);
  while (answered < total) {
    struct epoll_event events[64];
    int ready = epoll_wait(epoll, events, 64, 60 * 1000);
    if (ready == 0) {
      errno = ETIMEDOUT;
      fail("epoll_wait");
    }
    for (int i = 0; i < ready; i++) {
      struct connection *one = events[i].data.ptr;
      ask(one, read_replies(one));
    }
  }
  double seconds = (now() - from) / 1e3;
  qsort(took, (size_t)total, sizeof *took, ascending);
  printf("%.6f %.6f %.6f %.6f\n", seconds, took[total / 2], took[(total - 1) * 99 / 100], took[total - 1]);
  return 0;
}
