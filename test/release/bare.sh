#!/bin/sh
# bare.sh ARCHIVE: installs the archive, and runs its programs, in a root that has glibc and busybox and nothing else.
set -eu
if [ -z "${BARE:-}" ]; then
  work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-bare-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  BARE=$work unshare --mount --pid --fork --kill-child --propagation private sh "$0" "$@"
  exit
fi
root=$BARE
mount -t tmpfs none "$root"
mkdir -p "$root/bin" "$root/tmp" "$root/dev" "$root/proc" "$root/usr/bin" "$root/opt"
cp /bin/busybox "$root/bin/busybox"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
ln -s /bin/env "$root/usr/bin/env"
loader=$(readelf -lW "$(command -v sh)" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
mkdir -p "$root${loader%/*}"
cp -L "$loader" "$root$loader"
libc=$(ldd "$(command -v sh)" | sed -n 's/.*=> \(.*\)\/libc\.so\.6 .*/\1/p')
mkdir -p "$root$libc"
for library in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1; do cp -L "$libc/$library" "$root$libc/"; done
tar -C "$root/tmp" --strip-components=1 -xzf "$1"
mount -t proc none "$root/proc"
mount --rbind /dev "$root/dev"
cat >"$root/tmp/steps" <<'STEPS'
set -eu
export PATH=/usr/local/bin:/bin
find / -xdev -path /proc -prune -o -path /dev -prune -o -path /tmp -prune -o -print | sort >/tmp/before
/tmp/install.sh --prefix /opt/hawser
/opt/hawser/bin/hawser --version
/opt/hawser/bin/hawserd --version
/opt/hawser/lib/hawser/bin/containerd-shim-runc-v2 -v
grep ExecStart= /opt/hawser/lib/systemd/system/hawserd.service
ls /opt/hawser/lib/hawser/lib
# Once more, over what is there; a directory in the way is named.
/tmp/install.sh --prefix /opt/hawser >/dev/null
mkdir -p /other/bin/hawser
! /tmp/install.sh --prefix /other 2>&1 || exit 1
! /tmp/install.sh --prefix 'a b' 2>&1 || exit 1
rm -r /other
/opt/hawser/lib/hawser/uninstall.sh
find / -xdev -path /proc -prune -o -path /dev -prune -o -path /tmp -prune -o -print | sort >/tmp/after
diff /tmp/before /tmp/after && echo 'nothing is left'
STEPS
chroot "$root" /bin/sh /tmp/steps
