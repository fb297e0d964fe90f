#!/bin/sh
# Takes away what install.sh has put down, and nothing else: uninstall.sh [--root DIR]
#
# Containers that run live on, with the shim that they have. What is in /var/lib/hawser and /run/hawser stays.
set -eu
fail() {
  echo "uninstall.sh: $*" >&2
  exit 1
}

root=
case ${1:-} in
  '') ;;
  --root) root=${2:?--root takes a directory} && root=${root%/} ;;
  *) fail "there is no option $1: uninstall.sh [--root DIR]" ;;
esac
lib=$(cd "$(dirname "$0")" && pwd -P)
prefix=${lib%/lib/hawser}
[ -e "$lib/files" ] || fail "$lib/files is missing: it lists what is to be removed"

running=0
for program in /proc/[0-9]*/exe; do
  case $(readlink "$program" || true) in
    "$lib/bin/containerd-shim-runc-v2"*) running=$((running + 1)) ;;
  esac
done 2>/dev/null
if [ "$running" -gt 0 ]; then
  echo "warning: $running shims of Hawser's are running. Their containers live on, but a shim that sleeps cannot wake any more: what is asked of it (stop, exec, logs) waits until Hawser is installed again." >&2
fi
if grep -rqsF "$lib/bin" "$root/etc/systemd/system" "$root/etc/containerd" "$root/etc/docker"; then
  echo "warning: daemons are told of $lib/bin, which goes now. Install again and run 'hawser shim disable', or take it back by hand." >&2
fi
if [ -z "$root" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null && [ -e "$prefix/lib/systemd/system/hawserd.service" ]; then
  systemctl disable --now hawserd.service || true
fi

made=$(LC_ALL=C sort -r "$lib/directories")
while read -r file; do
  rm -f "$prefix/$file"
done <"$lib/files"
rm -f "$lib/directories"
# Whoever else has put something into one keeps it.
for directory in $made; do
  case $directory in
    .) rmdir "$prefix" ;;
    *) rmdir "$prefix/$directory" ;;
  esac 2>/dev/null || true
done
if [ -z "$root" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then systemctl daemon-reload; fi
echo "Hawser is removed from $prefix. Its data, if there is any, is in /var/lib/hawser, /run/hawser and /etc/hawser."
