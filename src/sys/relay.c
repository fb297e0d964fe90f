/*
 * Copying between two descriptors in a thread, for as long as there is much to copy: a terminal gives at most 4 KB at a
 * time, and the way through the event loop for each costs more than the copy. A part of the addon.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include "thread.h"
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (64u << 10)
/* With nothing to do for so long it ends: then the event loop does as well, and without a thread. */
#define QUIET_MS 20
/* It ends now and then in any case, so that what was copied is counted. */
#define LONGEST_MS 500

struct relay {
  int source, sink;
  int stop, over; /* Told to end; has ended, which is the caller's to close. */
  atomic_bool stopped;
  int64_t longest; /* When it is to end at the latest. */
  pthread_t thread;
  char *buffer;
  size_t from, to; /* What was read and is not written. */
  uint64_t copied;
};

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool may_go_on(const struct relay *r) { return !atomic_load(&r->stopped) && milliseconds() < r->longest; }

/* False when nothing came of it in time, or it is to end. */
static bool is_ready(struct relay *r, int fd, short events) {
  struct pollfd either[] = {{.fd = fd, .events = events}, {.fd = r->stop, .events = POLLIN}};
  return poll(either, 2, QUIET_MS) > 0 && either[0].revents != 0 && may_go_on(r);
}

/* As much as is there, so that few writes are needed. False at the end, at an error, and when nothing came. */
static bool take(struct relay *r) {
  ssize_t n = 0;
  r->from = r->to = 0;
  while (r->to < CHUNK && (n = read(r->source, r->buffer + r->to, CHUNK - r->to)) > 0) r->to += (size_t)n;
  return r->to > 0 || (n == -1 && errno == EAGAIN && is_ready(r, r->source, POLLIN));
}

static bool give(struct relay *r) {
  while (r->from < r->to) {
    ssize_t n = write(r->sink, r->buffer + r->from, r->to - r->from);
    if (n > 0) {
      r->from += (size_t)n;
      r->copied += (uint64_t)n;
    } else if (n == 0 || errno != EAGAIN || !is_ready(r, r->sink, POLLOUT))
      return false;
  }
  return true;
}

/* Whatever ends it, whoever started it goes on and meets the same: an end, an error, a full sink. */
static void *relay_run(void *data) {
  pthread_setname_np(pthread_self(), "hawser-relay");
  struct relay *r = data;
  r->longest = milliseconds() + LONGEST_MS;
  while (may_go_on(r) && take(r) && give(r));
  eventfd_write(r->over, 1);
  return NULL;
}

static void relay_free(struct relay *r) {
  if (r->buffer != MAP_FAILED) munmap(r->buffer, CHUNK);
  if (r->stop != -1) close(r->stop);
  free(r);
}

/* relayStart(source, sink, over): the relay, or -errno. over is an eventfd, told when it has ended. All must be non-blocking. */
static napi_value relay_start(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct relay *r = calloc(1, sizeof *r);
  if (!r) return number(env, -ENOMEM);
  r->source = (int)integer(env, arg[0]);
  r->sink = (int)integer(env, arg[1]);
  r->over = (int)integer(env, arg[2]);
  r->stop = eventfd(0, EFD_CLOEXEC);
  r->buffer = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int why = r->stop == -1 || r->buffer == MAP_FAILED ? errno : start_thread(&r->thread, relay_run, r);
  if (why) {
    relay_free(r);
    return number(env, -why);
  }
  napi_value handle;
  napi_create_external(env, r, NULL, NULL, &handle);
  return handle;
}

/*
 * relayEnd(relay): waits for its end, which is at most one read and one write away, and gives {copied, left}: the number of
 * bytes, and what was read and is not written. Must be called once.
 */
static napi_value relay_end(napi_env env, napi_callback_info info) {
  ARGS(1);
  void *data = NULL;
  napi_value result, left;
  if (napi_get_value_external(env, arg[0], &data) != napi_ok) return throw_type(env, "not a relay");
  struct relay *r = data;
  atomic_store(&r->stopped, true);
  eventfd_write(r->stop, 1);
  pthread_join(r->thread, NULL);
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "copied", number(env, (int64_t)r->copied));
  napi_create_buffer_copy(env, r->to - r->from, r->buffer + r->from, NULL, &left);
  napi_set_named_property(env, result, "left", left);
  relay_free(r);
  return result;
}

void register_relay(napi_env env, napi_value exports) {
  static const struct function table[] = {{"relayStart", relay_start}, {"relayEnd", relay_end}};
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
