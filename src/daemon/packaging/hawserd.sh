#!/bin/sh
# Runs hawserd on the Node that it was built with, from the checkout (dist/) or from where it was installed (lib/hawser/).
# NODE_OPTIONS, NODE_EXTRA_CA_CERTS and the like are meant for somebody else, and cost time and memory here.
name=hawserd entry=hawserd.mjs
self=$(readlink -f -- "$0") || exit 1
top=${self%/*/*}
# For a copy that lies alone somewhere: written here by the build, in the copy for the checkout and in the one that is installed.
built_in=
for lib in "$top/dist" "$top/lib/hawser" ${built_in:+"$built_in"}; do
  [ -e "$lib/hawserd.mjs" ] && break
done
if ! [ -e "$lib/hawserd.mjs" ] && [ -e "$top/dist/find-platform.sh" ]; then
  status=1
  . "$top/dist/find-platform.sh"
fi
if ! [ -e "$lib/hawserd.mjs" ]; then
  echo "hawserd: hawserd.mjs is neither in $top/dist nor in $top/lib/hawser${built_in:+, nor in $built_in, where it was when this was built or installed}: run 'make build' or 'make install', or link to this program instead of copying it" >&2
  exit 1
fi
# The program that a hook becomes gets back what is kept from Node, and the limit of open files that Node raises.
case " $* " in
  *" oci-hook "*) hook=yes HAWSERD_NOFILE=$(ulimit -Sn) && export HAWSERD_NOFILE ;;
  *) hook= ;;
esac
for setting in $(env | sed -n 's/^\(NODE_[A-Za-z0-9_]*\)=.*/\1/p'); do
  [ -z "$hook" ] || eval "[ -z \"\${$setting+x}\" ] || export HAWSERD_HELD_$setting=\"\$$setting\""
  unset "$setting"
done
[ -x "$lib/node" ] && exec "$lib/node" "$lib/hawserd.mjs" "$@"
. "$lib/find-node.sh"
[ -n "$node" ] || exit 1
exec "$node" --require "$lib/node-version.cjs" "$lib/hawserd.mjs" "$@"
