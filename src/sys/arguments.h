/* What every function of the addon begins and ends with: its arguments, a number, and its name. */
#ifndef HAWSER_ARGUMENTS_H
#define HAWSER_ARGUMENTS_H

#ifndef NAPI_VERSION
#define NAPI_VERSION 8
#endif
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 8
#define ARGS(n)                                                                 \
  napi_value arg[MAX_ARGS];                                                     \
  size_t argc = MAX_ARGS;                                                       \
  napi_get_cb_info(env, info, &argc, arg, NULL, NULL);                          \
  if (argc < (n)) return throw_type(env, "too few arguments")

static inline napi_value throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static inline napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

/* The call's result, or -errno where it returned -1. */
static inline napi_value result_of(napi_env env, long result) { return number(env, result == -1 ? -errno : result); }

static inline int64_t integer(napi_env env, napi_value value) {
  int64_t result = 0;
  napi_get_value_int64(env, value, &result);
  return result;
}

static inline void set_number(napi_env env, napi_value object, const char *name, int64_t value) {
  napi_set_named_property(env, object, name, number(env, value));
}

/* A copy of a string or Buffer, to be freed; NULL for null and undefined. */
/* Not inlined, as a function that calls vfork must have few variables. */
__attribute__((noinline, unused)) static char *string(napi_env env, napi_value value) {
  size_t length;
  void *data;
  bool buffer = false;
  if (napi_is_buffer(env, value, &buffer) == napi_ok && buffer) {
    napi_get_buffer_info(env, value, &data, &length);
    char *copy = malloc(length + 1);
    if (copy) {
      memcpy(copy, data, length);
      copy[length] = 0;
    }
    return copy;
  }
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *copy = malloc(length + 1);
  if (copy) napi_get_value_string_utf8(env, value, copy, length + 1, &length);
  return copy;
}

struct function {
  const char *name;
  napi_callback call;
};

/* Makes them known to JavaScript. */
__attribute__((unused)) static void register_functions(napi_env env, napi_value exports, const struct function *table, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    napi_create_function(env, table[i].name, NAPI_AUTO_LENGTH, table[i].call, NULL, &function);
    napi_set_named_property(env, exports, table[i].name, function);
  }
}

#endif
