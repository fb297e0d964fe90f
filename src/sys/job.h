#ifndef HAWSER_JOB_H
#define HAWSER_JOB_H
#include <node_api.h>

napi_value fork_for_jobs(napi_env env, napi_callback_info info);
napi_value exit_now(napi_env env, napi_callback_info info);
napi_value set_identity(napi_env env, napi_callback_info info);
napi_value set_name(napi_env env, napi_callback_info info);

#endif
