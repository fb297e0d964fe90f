/* The parts of the addon, one for each kind of call: what each of them makes known to JavaScript. */
#ifndef HAWSER_ADDON_H
#define HAWSER_ADDON_H
#ifndef NAPI_VERSION
#define NAPI_VERSION 8
#endif
#include <node_api.h>

void register_process(napi_env env, napi_value exports);
void register_spawn(napi_env env, napi_value exports);
void register_descriptors(napi_env env, napi_value exports);
void register_clock(napi_env env, napi_value exports);
void register_sockets(napi_env env, napi_value exports);
void register_shared(napi_env env, napi_value exports);
void register_watch(napi_env env, napi_value exports);
void register_answers(napi_env env, napi_value exports);
void register_mount(napi_env env, napi_value exports);
void register_loop(napi_env env, napi_value exports);
void register_mapped(napi_env env, napi_value exports);
void register_files(napi_env env, napi_value exports);
void register_terminal(napi_env env, napi_value exports);
void register_relay(napi_env env, napi_value exports);
void register_migration(napi_env env, napi_value exports);
void register_monitor(napi_env env, napi_value exports);
void register_job(napi_env env, napi_value exports);

#endif
