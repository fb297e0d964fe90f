#!/bin/sh
# Runs hawser on the Node that it was built with, from the checkout (dist/) or from where it was installed (lib/hawser/).
# Starts no other program on its way, as each costs a millisecond. What Node itself would heed is meant for somebody else.
self=$0
if [ -L "$self" ]; then self=$(readlink -f -- "$self") || exit 1; fi
case $self in
  */*) top=${self%/*}/.. ;;
  *) top=.. ;;
esac
for lib in "$top/dist" "$top/lib/hawser"; do
  [ -e "$lib/hawser.mjs" ] && break
done
if ! [ -e "$lib/hawser.mjs" ]; then
  echo "hawser: $lib/hawser.mjs is missing: run 'make build' or 'make install'" >&2
  exit 125
fi
unset NODE_OPTIONS NODE_EXTRA_CA_CERTS NODE_PATH NODE_V8_COVERAGE NODE_DEBUG NODE_COMPILE_CACHE NODE_REDIRECT_WARNINGS
exec "$lib/node" "$lib/hawser.mjs" "$@"
