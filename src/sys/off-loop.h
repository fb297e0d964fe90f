/* Calls that may take long, made by a thread of libuv's pool so that the event loop goes on. */
#ifndef HAWSER_OFF_LOOP_H
#define HAWSER_OFF_LOOP_H

#include "arguments.h"

/* What a call was given: the strings, NULL where JavaScript gave none, and the numbers. */
struct slow_call {
  char *text[5];
  unsigned long number[3];
};

/* Gives what the call gave, or -errno. */
typedef long (*slow_run)(const struct slow_call *call);

/* A promise of what run gives: the strings first, then the numbers, as JavaScript passed them. */
napi_value run_off_loop(napi_env env, napi_callback_info info, size_t texts, size_t numbers, slow_run run);

static inline long errno_of(long result) { return result == -1 ? -errno : result; }

#endif
