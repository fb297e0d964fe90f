#!/bin/sh
# Runs hawser on the Node that it was built with, from the checkout (dist/) or from where it was installed (lib/hawser/).
# Starts no other program on its way, as each costs a millisecond. What Node itself would heed is meant for somebody else.
name=hawser entry=hawser.cjs
self=$0
if [ -L "$self" ]; then self=$(readlink -f -- "$self") || exit 125; fi
case $self in
  */*) top=${self%/*}/.. ;;
  *) top=.. ;;
esac
# For a copy that lies alone somewhere: written here by the build, in the copy for the checkout and in the one that is installed.
built_in=
for lib in "$top/dist" "$top/lib/hawser" ${built_in:+"$built_in"}; do
  [ -e "$lib/$entry" ] && break
done
if ! [ -e "$lib/$entry" ] && [ -e "$top/dist/find-platform.sh" ]; then
  status=125
  . "$top/dist/find-platform.sh"
fi
if ! [ -e "$lib/$entry" ]; then
  echo "hawser: $entry is neither in $top/dist nor in $top/lib/hawser${built_in:+, nor in $built_in, where it was when this was built or installed}: run 'make build' or 'make install', or link to this program instead of copying it" >&2
  exit 125
fi
# A start of Node takes longer than all of this.
case $#$1 in
  1--version | 1-v) if [ -r "$lib/hawser.version" ] && read -r version <"$lib/hawser.version"; then echo "$version" && exit; fi ;;
esac
unset NODE_OPTIONS NODE_EXTRA_CA_CERTS NODE_PATH NODE_V8_COVERAGE NODE_DEBUG NODE_COMPILE_CACHE NODE_REDIRECT_WARNINGS
# V8's helpers take longer to start than they would save.
[ -x "$lib/node" ] && exec "$lib/node" --v8-pool-size=0 "$lib/$entry" "$@"
. "$lib/find-node.sh"
[ -n "$node" ] || exit 125
exec "$node" --v8-pool-size=0 --require "$lib/node-version.cjs" "$lib/$entry" "$@"
