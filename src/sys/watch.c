/*
 * Waiting for a descriptor to be ready, by the event loop of Node itself. libuv keeps its ABI within 1.x and what is used
 * of it takes opaque pointers, so no libuv header is needed.
 */
#define _GNU_SOURCE
#include "../monitor/answers.h"
#include "addon.h"
#include "arguments.h"

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*poll_cb)(uv_handle_t *handle, int status, int events);
extern size_t uv_handle_size(int type);
extern const char *uv_handle_type_name(int type);
extern int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, poll_cb cb);
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*cb)(uv_handle_t *handle));
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void uv_unref(uv_handle_t *handle);
#define UV_POLL 8
#define UV_READABLE 1

struct watch {
  uv_handle_t *handle;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  int fd, wanted;
  /* Of a connection, see watchAnswering(): what it is like in the ledger, then the last stream of its client. */
  napi_ref ledger;
  uint32_t *answering, quiet;
};

/* What is ready to be answered has been. */
static bool answered(const struct watch *w, int status, int events) {
  if (!w->answering || status != 0 || events != UV_READABLE || w->wanted != UV_READABLE) return false;
  return w->answering[0] == w->quiet && answers_give(w->fd, &w->answering[1]);
}

static void watch_free(uv_handle_t *handle) {
  struct watch *w = uv_handle_get_data(handle);
  free(handle);
  free(w);
}

static void watch_ready(uv_handle_t *handle, int status, int events) {
  struct watch *w = uv_handle_get_data(handle);
  if (answered(w, status, events)) return;
  napi_env env = w->env;
  napi_handle_scope scope;
  napi_value fn, global, args[2];
  napi_open_handle_scope(env, &scope);
  napi_get_global(env, &global);
  if (w->callback && napi_get_reference_value(env, w->callback, &fn) == napi_ok && fn) {
    args[0] = number(env, status);
    args[1] = number(env, events);
    if (napi_make_callback(env, w->context, global, fn, 2, args, NULL) == napi_pending_exception) {
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

/* watchOpen(fd, callback(status, events)): a handle, or -errno. The descriptor stays the caller's. */
static napi_value watch_open(napi_env env, napi_callback_info info) {
  ARGS(2);
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok) return throw_type(env, "no event loop");
  struct watch *w = calloc(1, sizeof *w);
  w->handle = calloc(1, uv_handle_size(UV_POLL));
  w->env = env;
  w->fd = (int)integer(env, arg[0]);
  int rc = uv_poll_init(loop, w->handle, w->fd);
  if (rc < 0) {
    free(w->handle);
    free(w);
    return number(env, rc);
  }
  uv_handle_set_data(w->handle, w);
  napi_value name, result;
  napi_create_string_utf8(env, "hawser:watch", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &w->context);
  napi_create_reference(env, arg[1], 1, &w->callback);
  napi_create_external(env, w, NULL, NULL, &result);
  return result;
}

static struct watch *watch_of(napi_env env, napi_value value) {
  void *w = NULL;
  napi_get_value_external(env, value, &w);
  return w;
}

/* watchFor(handle, events): 1 readable, 2 writable; 0 pauses. */
static napi_value watch_for(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct watch *w = watch_of(env, arg[0]);
  if (!w) return throw_type(env, "not a watch");
  w->wanted = (int)integer(env, arg[1]);
  return number(env, w->wanted ? uv_poll_start(w->handle, w->wanted, watch_ready) : uv_poll_stop(w->handle));
}

/*
 * watchAnswering(handle, ledger, place, quiet): what comes on this connection is answered without the callback where an answer is ready (answersKeep)
 * and the word at that place of a Uint32Array is this one; the next word is the last stream of its client.
 */
static napi_value watch_answering(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct watch *w = watch_of(env, arg[0]);
  void *words;
  size_t length, place = (size_t)integer(env, arg[2]);
  napi_typedarray_type type;
  if (!w || napi_get_typedarray_info(env, arg[1], &type, &length, &words, NULL, NULL) != napi_ok || type != napi_uint32_array || place + 2 > length || w->ledger)
    return throw_type(env, "not a watch, or not a ledger");
  napi_create_reference(env, arg[1], 1, &w->ledger);
  w->answering = (uint32_t *)words + place;
  w->quiet = (uint32_t)integer(env, arg[3]);
  return NULL;
}

/* watchClose(handle): must be called once, before the descriptor is closed. */
static napi_value watch_close(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct watch *w = watch_of(env, arg[0]);
  if (!w || !w->callback) return throw_type(env, "not an open watch");
  napi_delete_reference(env, w->callback);
  w->callback = NULL;
  w->answering = NULL;
  if (w->ledger) napi_delete_reference(env, w->ledger);
  w->ledger = NULL;
  napi_async_destroy(env, w->context);
  uv_poll_stop(w->handle);
  uv_close(w->handle, watch_free);
  return NULL;
}

/* watchUnref(handle): the watch alone no longer keeps the process running. */
static napi_value watch_unref(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct watch *w = watch_of(env, arg[0]);
  if (w) uv_unref(w->handle);
  return NULL;
}

void register_watch(napi_env env, napi_value exports) {
  if (strcmp(uv_handle_type_name(UV_POLL), "poll") != 0) {
    napi_throw_error(env, NULL, "this Node's libuv numbers its handle types differently");
    return;
  }
  static const struct function table[] = {
      {"watchOpen", watch_open},
      {"watchFor", watch_for},
      {"watchAnswering", watch_answering},
      {"watchClose", watch_close},
      {"watchUnref", watch_unref},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
