#!/bin/sh
# enter.sh ROOT ARTEFACTS SCRIPT ARG…: runs a script in a copy of the root (what it writes is nowhere afterwards), in mount and process
# namespaces of its own. It finds ARTEFACTS as /artefacts, and this directory as /scenario. No process outlives it.
set -eu
if [ "${ENTERED:-}" = "" ]; then
  here=$(cd "$(dirname "$0")" && pwd -P)
  work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-root-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  ENTERED=$work HERE=$here unshare --mount --pid --fork --kill-child --propagation private sh "$0" "$@"
  exit
fi
root=$1 artefacts=$2
shift 2
mount -t tmpfs none "$ENTERED"
mkdir "$ENTERED/upper" "$ENTERED/work" "$ENTERED/root"
new=$ENTERED/root
mount -t overlay -o "lowerdir=$root,upperdir=$ENTERED/upper,workdir=$ENTERED/work" overlay "$new"
mount -t proc none "$new/proc"
mount --rbind /sys "$new/sys"
mount --rbind /dev "$new/dev"
mount -t tmpfs none "$new/run"
mount -t tmpfs -o mode=1777 none "$new/tmp"
# Overlays can't be made of overlays.
for dir in var/lib/containerd srv; do
  mkdir -p "$new/$dir"
  mount -t tmpfs none "$new/$dir"
done
mkdir "$new/artefacts" "$new/scenario" "$new/old"
mount --bind "$artefacts" "$new/artefacts"
mount --bind "$HERE" "$new/scenario"
cd "$new"
pivot_root . old
umount -l /old
rmdir /old
script=$1
shift
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 sh "/scenario/$script" "$@"
