/*
 * Copies between two descriptors (monitor/copy.c) for JavaScript: step by step from the event loop, or in a thread for as
 * long as there is much to copy. A part of the addon.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "../monitor/copy.h"
#include "arguments.h"
#include "thread.h"
#include <sys/eventfd.h>
#include <unistd.h>

/* With nothing to do for so long a thread ends: then the event loop does as well, and without one. */
#define QUIET_MS 20
/* It ends now and then in any case, so that what was copied is counted. */
#define LONGEST_MS 500
/* On the stack of the event loop, for what is not spliced. */
#define STEP_BUFFER (16u << 10)

struct relay {
  struct copy copy;
  /* While there is a thread, it alone touches the copy. */
  int stop, over;
  pthread_t thread;
};

static struct relay *relay_of(napi_env env, napi_value value) {
  void *data = NULL;
  napi_get_value_external(env, value, &data);
  return data;
}

#define RELAY(r)                              \
  struct relay *r = relay_of(env, arg[0]);    \
  if (!r) return throw_type(env, "not a relay")

/*
 * relayOpen(source, sink, first|null, stream): a relay, or -errno. Both descriptors stay the caller's; first is what is written first. stream: enum
 * stream (monitor/entries.h), whose entries are to be written; 0 for bytes as they are.
 */
static napi_value relay_open(napi_env env, napi_callback_info info) {
  ARGS(4);
  void *first = NULL;
  size_t length = 0;
  struct relay *r = calloc(1, sizeof *r);
  if (!r) return number(env, -ENOMEM);
  copy_begin(&r->copy, (int)integer(env, arg[0]), (int)integer(env, arg[1]));
  if (integer(env, arg[3]) != STREAM_NONE) copy_logs(&r->copy, (enum stream)integer(env, arg[3]));
  r->stop = -1;
  if (napi_get_buffer_info(env, arg[2], &first, &length) == napi_ok && !copy_first(&r->copy, first, length)) {
    free(r);
    return number(env, -ENOMEM);
  }
  napi_value handle;
  napi_create_external(env, r, NULL, NULL, &handle);
  return handle;
}

/* relayStep(relay): what it needs next (enum copy_state). */
static napi_value relay_step(napi_env env, napi_callback_info info) {
  ARGS(1);
  RELAY(r);
  char buffer[STEP_BUFFER];
  enum copy_state state = copy_step(&r->copy, buffer, sizeof buffer);
  if (state != COPY_GOES_ON && state != COPY_WANTS_SINK) copy_gives_room_back(&r->copy);
  return number(env, state);
}

static void *relay_run(void *data) {
  pthread_setname_np(pthread_self(), "hawser-relay");
  struct relay *r = data;
  struct copy *const copies[] = {&r->copy};
  copies_serve(copies, 1, r->stop, QUIET_MS, LONGEST_MS);
  eventfd_write(r->over, 1);
  return NULL;
}

/* relayStart(relay, over): 0 or -errno. A thread copies from now on; over is an eventfd, told when it has come to its end. */
static napi_value relay_start(napi_env env, napi_callback_info info) {
  ARGS(2);
  RELAY(r);
  r->over = (int)integer(env, arg[1]);
  r->stop = eventfd(0, EFD_CLOEXEC);
  if (r->stop == -1) return number(env, -errno);
  int why = start_thread(&r->thread, relay_run, r);
  if (why) {
    close(r->stop);
    r->stop = -1;
  }
  return number(env, -why);
}

/* relayStop(relay): its thread is told to end. */
static napi_value relay_stop(napi_env env, napi_callback_info info) {
  ARGS(1);
  RELAY(r);
  if (r->stop != -1) eventfd_write(r->stop, 1);
  return NULL;
}

/* relayJoin(relay): waits for the thread's end, which is at most one read and one write away once it has been told to. */
static napi_value relay_join(napi_env env, napi_callback_info info) {
  ARGS(1);
  RELAY(r);
  if (r->stop == -1) return NULL;
  pthread_join(r->thread, NULL);
  close(r->stop);
  r->stop = -1;
  return NULL;
}

/* relayNumbers(relay): [bytes copied, bytes held, errno of what has failed, state]. Not while there is a thread, like those below. */
static napi_value relay_numbers(napi_env env, napi_callback_info info) {
  ARGS(1);
  RELAY(r);
  const int64_t numbers[] = {(int64_t)r->copy.copied, (int64_t)copy_holds(&r->copy), r->copy.error, r->copy.state};
  napi_value list;
  napi_create_array_with_length(env, 4, &list);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, list, i, number(env, numbers[i]));
  return list;
}

/* relayTake(relay): what was read and is not written, which is the caller's from now on. */
static napi_value relay_take(napi_env env, napi_callback_info info) {
  ARGS(1);
  RELAY(r);
  napi_value bytes;
  napi_create_buffer_copy(env, copy_holds(&r->copy), r->copy.held ? r->copy.held + r->copy.from : "", NULL, &bytes);
  copy_end(&r->copy);
  return bytes;
}

/* relayClose(relay): must be called once. */
static napi_value relay_close(napi_env env, napi_callback_info info) {
  ARGS(1);
  RELAY(r);
  copy_end(&r->copy);
  free(r);
  return NULL;
}

/* logEntries(bytes, from, to, stream, into, at): [bytes taken, bytes put]; as many entries as there is room for, with the time of now. */
static napi_value log_entries(napi_env env, napi_callback_info info) {
  ARGS(6);
  void *bytes = NULL, *into = NULL;
  size_t length = 0, room = 0, put = 0;
  napi_get_buffer_info(env, arg[0], &bytes, &length);
  napi_get_buffer_info(env, arg[4], &into, &room);
  const size_t from = (size_t)integer(env, arg[1]), to = (size_t)integer(env, arg[2]), at = (size_t)integer(env, arg[5]);
  if (!bytes || !into || from > to || to > length || at > room) return throw_type(env, "bytes, from, to, stream, into, at: not within the buffers");
  struct entry_heads heads;
  entry_heads(&heads, (enum stream)integer(env, arg[3]));
  const size_t taken = entries_put(&heads, (const char *)bytes + from, to - from, (char *)into + at, room - at, &put);
  napi_value list;
  napi_create_array_with_length(env, 2, &list);
  napi_set_element(env, list, 0, number(env, (int64_t)taken));
  napi_set_element(env, list, 1, number(env, (int64_t)put));
  return list;
}

void register_relay(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"relayOpen", relay_open}, {"relayStep", relay_step},       {"relayStart", relay_start}, {"relayStop", relay_stop},
      {"relayJoin", relay_join}, {"relayNumbers", relay_numbers}, {"relayTake", relay_take},   {"relayClose", relay_close},
      {"logEntries", log_entries},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
