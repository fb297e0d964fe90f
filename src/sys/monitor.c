/* Asking the monitor (monitor/handover.h): for children and how they have ended, and to keep what a worker leaves. */
#define _GNU_SOURCE
#include "monitor.h"
#include "../monitor/handover.h"
#include "addon.h"
#include "arguments.h"
#include <poll.h>

static int control = -1;

bool has_monitor(void) { return control != -1; }

static struct answer ask(const struct head *head, const void *body, const int *descriptors) {
  struct answer answer;
  if (!send_question(control, head, body, descriptors) || !receive_all(control, &answer, sizeof answer)) return (struct answer){{-EPIPE, 0}};
  return answer;
}

/* The last program that was started is told of when it has ended. */
static bool is_spawned_watched;

pid_t spawn_by_monitor(const struct program *program, const int *descriptors, size_t count) {
  struct head head = {.kind = ASK_SPAWN, .count = (uint32_t)count};
  char *const place[] = {(char *)(uintptr_t)program->file, (char *)(uintptr_t)(program->cwd ? program->cwd : ""), NULL};
  uint32_t places, words, settings;
  size_t length = texts_length(place, &places) + texts_length(program->argv, &words) + texts_length(program->envp, &settings);
  char *body = malloc(length);
  if (!body) return -ENOMEM;
  texts_append(texts_append(texts_append(body, place), program->argv), program->envp);
  head.length = (uint32_t)length;
  head.number[0] = (int32_t)words;
  head.number[1] = (int32_t)settings;
  head.number[2] = (program->die_with_parent ? SPAWN_DIES_WITH_PARENT : 0) | (program->own_group ? SPAWN_OWN_GROUP : 0) | SPAWN_WATCHED;
  struct answer answer = ask(&head, body, descriptors);
  is_spawned_watched = answer.number[0] > 0 && answer.number[1] == 1;
  free(body);
  return answer.number[0];
}

pid_t wait_by_monitor(pid_t pid, bool keep, int *status) {
  struct answer answer = ask(&(struct head){.kind = ASK_WAIT, .number = {pid, keep}}, "", NULL);
  *status = answer.number[1];
  return answer.number[0];
}

/* monitorSpawned(): the last program that was started is told of, as with monitorWatch. */
static napi_value spawned(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_get_boolean(env, is_spawned_watched, &result);
  return result;
}

/* monitorWatch(pid): null while it runs, and its end is told from now on; how it has ended, as with waitFor, and it is kept; or -errno, -ENOSYS where nobody tells. */
static napi_value watch(napi_env env, napi_callback_info info) {
  ARGS(1);
  if (!has_monitor()) return number(env, -ENOSYS);
  struct answer answer = ask(&(struct head){.kind = ASK_WATCH, .number = {(pid_t)integer(env, arg[0])}}, "", NULL);
  return ended(env, answer.number[0], answer.number[1]);
}

/* monitorCollect(pid): 0 or -errno. It has been heard of. */
static napi_value collect(napi_env env, napi_callback_info info) {
  ARGS(1);
  const int none = -1;
  return number(env, send_question(control, &(struct head){.kind = ASK_COLLECT, .number = {(pid_t)integer(env, arg[0])}}, "", &none) ? 0 : -EPIPE);
}

/* monitorAttach(control): from now on this process has no children of its own; with -1 it has. The descriptor stays open. */
static napi_value attach(napi_env env, napi_callback_info info) {
  ARGS(1);
  control = (int)integer(env, arg[0]);
  is_spawned_watched = false;
  return number(env, 0);
}

/*
 * monitorRest(record, format, fds, hows, intos, most, isEnd): 0 or -errno. The monitor has all of it then. At the end this process is to end
 * without touching any of the descriptors; else it goes on. hows: enum rests; most: of copies, in bytes, -1 for no bound.
 */
static napi_value leave_rest(napi_env env, napi_callback_info info) {
  ARGS(7);
  bool is_end = true;
  napi_get_value_bool(env, arg[6], &is_end);
  void *record = NULL;
  size_t size = 0;
  uint32_t count = 0;
  int descriptors[HANDOVER_DESCRIPTORS];
  napi_get_buffer_info(env, arg[0], &record, &size);
  napi_get_array_length(env, arg[2], &count);
  if (count > HANDOVER_DESCRIPTORS) return number(env, -EMFILE);
  struct head head = {.kind = is_end ? ASK_REST : ASK_KEEP, .count = count, .number = {(int32_t)count, (int32_t)integer(env, arg[1])}};
  size_t length = count * sizeof(struct resting) + size;
  char *body = malloc(length + 1);
  if (!body) return number(env, -ENOMEM);
  for (uint32_t i = 0; i < count; i++) {
    napi_value fd, how, into, most;
    napi_get_element(env, arg[2], i, &fd);
    napi_get_element(env, arg[3], i, &how);
    napi_get_element(env, arg[4], i, &into);
    napi_get_element(env, arg[5], i, &most);
    descriptors[i] = (int)integer(env, fd);
    ((struct resting *)(void *)body)[i] =
        (struct resting){.how = (uint16_t)integer(env, how), .into = (uint16_t)integer(env, into), .bytes = (uint64_t)integer(env, most)};
  }
  memcpy(body + count * sizeof(struct resting), record, size);
  head.length = (uint32_t)length;
  int status = is_end ? ask(&head, body, descriptors).number[0] : send_question(control, &head, body, descriptors) ? 0 : -EPIPE;
  free(body);
  return number(env, status);
}

static napi_value buffer_of(napi_env env, const void *bytes, size_t length) {
  napi_value buffer;
  napi_create_buffer_copy(env, length, bytes, NULL, &buffer);
  return buffer;
}

/*
 * monitorRecord(): {record, fds, held, copied, wokenBy, shared} of an earlier worker, or -errno. For each descriptor, held: the bytes that its copy
 * has read, and not written; copied: how many it has written. shared: what it had accepted or opened since.
 */
static napi_value take_record(napi_env env, napi_callback_info info) {
  (void)info;
  struct head head;
  int descriptors[HANDOVER_DESCRIPTORS];
  size_t count = HANDOVER_DESCRIPTORS;
  ssize_t n = receive_with(control, &head, sizeof head, descriptors, &count);
  if (n != sizeof head || head.kind != GIVE_RECORD || count != head.count || count < (size_t)head.number[0]) return number(env, -EPROTO);
  size_t more = count - (size_t)head.number[0];
  count = (size_t)head.number[0];
  char *body = malloc((size_t)head.length + 1);
  if (!body || !receive_all(control, body, head.length)) {
    free(body);
    return number(env, body ? -EPIPE : -ENOMEM);
  }
  const struct resting *how = (const struct resting *)(void *)body;
  const char *at = body + count * sizeof *how;
  napi_value result, fds, held, copied, more_fds;
  napi_create_object(env, &result);
  napi_create_array_with_length(env, more, &more_fds);
  for (uint32_t i = 0; i < more; i++) napi_set_element(env, more_fds, i, number(env, descriptors[count + i]));
  napi_set_named_property(env, result, "shared", more_fds);
  napi_create_array_with_length(env, count, &fds);
  napi_create_array_with_length(env, count, &held);
  napi_create_array_with_length(env, count, &copied);
  napi_set_named_property(env, result, "record", buffer_of(env, at, (size_t)head.number[1]));
  at += head.number[1];
  for (uint32_t i = 0; i < count; i++) {
    napi_set_element(env, fds, i, number(env, descriptors[i]));
    napi_set_element(env, held, i, buffer_of(env, at, how[i].held));
    napi_set_element(env, copied, i, number(env, is_copied(&how[i]) ? (int64_t)how[i].bytes : 0));
    at += how[i].held;
  }
  set_number(env, result, "wokenBy", head.number[2]);
  napi_set_named_property(env, result, "fds", fds);
  napi_set_named_property(env, result, "held", held);
  napi_set_named_property(env, result, "copied", copied);
  free(body);
  return result;
}

/* monitorTaken(): how many requests were answered while there was no worker, or -errno. The monitor forgets what it has given. */
static napi_value taken(napi_env env, napi_callback_info info) {
  (void)info;
  struct answer answer = ask(&(struct head){.kind = ASK_TAKEN}, "", NULL);
  return number(env, answer.number[0] < 0 ? answer.number[0] : answer.number[1]);
}

/* monitorAnswers(connections, bytes): 0 or -errno. For while there is no worker (ASK_ANSWERS). */
static napi_value leave_answers(napi_env env, napi_callback_info info) {
  ARGS(2);
  void *bytes = NULL;
  size_t size = 0;
  napi_get_buffer_info(env, arg[1], &bytes, &size);
  return number(env, ask(&(struct head){.kind = ASK_ANSWERS, .length = (uint32_t)size, .number = {(int32_t)integer(env, arg[0])}}, bytes, NULL).number[0]);
}

/* monitorRecipes(bytes): 0 or -errno (ASK_RECIPES). */
static napi_value leave_recipes(napi_env env, napi_callback_info info) {
  ARGS(1);
  void *bytes = NULL;
  size_t size = 0;
  napi_get_buffer_info(env, arg[0], &bytes, &size);
  return number(env, ask(&(struct head){.kind = ASK_RECIPES, .length = (uint32_t)size}, bytes, NULL).number[0]);
}

/* Descriptors which the monitor has, too, until it has the next record: how many, or -errno. */
static int shared(const struct head *head, const void *body, const int *given, int *descriptors, size_t count) {
  struct answer answer;
  if (!send_question(control, head, body, given) || receive_with(control, &answer, sizeof answer, descriptors, &count) != sizeof answer) return -EPIPE;
  return answer.number[0] < 0 ? answer.number[0] : (int)count;
}

/* monitorAccept(listener, most): connections, or -errno. */
static napi_value accept_by_monitor(napi_env env, napi_callback_info info) {
  ARGS(2);
  int listener = (int)integer(env, arg[0]), descriptors[HANDOVER_DESCRIPTORS];
  /* That nobody waits any more needs nobody else. */
  struct pollfd ready = {.fd = listener, .events = POLLIN};
  if (poll(&ready, 1, 0) == 0) return number(env, -EAGAIN);
  const struct head head = {.kind = ASK_ACCEPT, .count = 1, .number = {(int32_t)integer(env, arg[1])}};
  const int count = shared(&head, "", &listener, descriptors, HANDOVER_DESCRIPTORS);
  if (count < 0) return number(env, count);
  napi_value result;
  napi_create_array_with_length(env, (size_t)count, &result);
  for (int i = 0; i < count; i++) napi_set_element(env, result, (uint32_t)i, number(env, descriptors[i]));
  return result;
}

/* monitorOpen(path): for reading, without waiting for anybody, and not through a link. */
static napi_value open_by_monitor(napi_env env, napi_callback_info info) {
  ARGS(1);
  char *path = string(env, arg[0]);
  if (!path) return number(env, -EINVAL);
  int fd;
  const int count = shared(&(struct head){.kind = ASK_OPEN, .length = (uint32_t)strlen(path)}, path, NULL, &fd, 1);
  free(path);
  return number(env, count == 1 ? fd : count == 0 ? -EPROTO : count);
}

/* monitorForget(): 0 or -errno. What this process has left is nobody's; its end is the shim's. */
static napi_value forget(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, ask(&(struct head){.kind = ASK_FORGET}, "", NULL).number[0]);
}

/* monitorSuccessor(): {readable, seconds} of the program that is to take the monitor's place (ASK_SUCCESSOR), or -errno. */
static napi_value successor(napi_env env, napi_callback_info info) {
  (void)info;
  struct answer answer = ask(&(struct head){.kind = ASK_SUCCESSOR}, "", NULL);
  if (answer.number[0] < 0) return number(env, answer.number[0]);
  napi_value result;
  napi_create_object(env, &result);
  set_number(env, result, "readable", answer.number[0]);
  set_number(env, result, "seconds", answer.number[1]);
  return result;
}

/* monitorStays(why): 0 or -errno. */
static napi_value stays(napi_env env, napi_callback_info info) {
  ARGS(1);
  char why[1024];
  size_t length = 0;
  napi_get_value_string_utf8(env, arg[0], why, sizeof why, &length);
  return number(env, ask(&(struct head){.kind = ASK_STAYS, .length = (uint32_t)length}, why, NULL).number[0]);
}

void register_monitor(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"monitorAttach", attach},
      {"monitorRest", leave_rest},
      {"monitorRecord", take_record},
      {"monitorTaken", taken},
      {"monitorAnswers", leave_answers},
      {"monitorRecipes", leave_recipes},
      {"monitorWatch", watch},
      {"monitorCollect", collect},
      {"monitorSpawned", spawned},
      {"monitorForget", forget},
      {"monitorAccept", accept_by_monitor},
      {"monitorOpen", open_by_monitor},
      {"monitorSuccessor", successor},
      {"monitorStays", stays},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
