#include "off-loop.h"

struct queued {
  struct slow_call call;
  slow_run run;
  long result;
  napi_async_work work;
  napi_deferred deferred;
};

static void execute(napi_env env, void *data) {
  (void)env;
  struct queued *job = data;
  job->result = job->run(&job->call);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct queued *job = data;
  napi_resolve_deferred(env, job->deferred, number(env, status == napi_ok ? job->result : -ECANCELED));
  napi_delete_async_work(env, job->work);
  for (size_t i = 0; i < sizeof job->call.text / sizeof *job->call.text; i++) free(job->call.text[i]);
  free(job);
}

napi_value run_off_loop(napi_env env, napi_callback_info info, size_t texts, size_t numbers, slow_run run) {
  ARGS(texts + numbers);
  napi_value promise, name;
  struct queued *job = calloc(1, sizeof *job);
  job->run = run;
  for (size_t i = 0; i < texts; i++) job->call.text[i] = string(env, arg[i]);
  for (size_t i = 0; i < numbers; i++) job->call.number[i] = (unsigned long)integer(env, arg[texts + i]);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "hawser:slow-call", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}
