/* What relay.c adds to the addon. */
#pragma once
#include <node_api.h>

void register_relay(napi_env env, napi_value exports);
