#!/bin/sh
# Runs hawserd on the Node that it was built with, from the checkout (dist/) or from where it was installed (lib/hawser/).
# NODE_OPTIONS, NODE_EXTRA_CA_CERTS and the like are meant for somebody else, and cost time and memory here.
self=$(readlink -f -- "$0") || exit 1
top=${self%/*/*}
for lib in "$top/dist" "$top/lib/hawser"; do
  [ -e "$lib/hawserd.mjs" ] && break
done
if ! [ -e "$lib/hawserd.mjs" ]; then
  echo "hawserd: $lib/hawserd.mjs is missing: run 'make build' or 'make install'" >&2
  exit 1
fi
for name in $(env | sed -n 's/^\(NODE_[A-Za-z0-9_]*\)=.*/\1/p'); do
  unset "$name"
done
exec "$lib/node" "$lib/hawserd.mjs" "$@"
