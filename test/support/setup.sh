#!/bin/sh
# Installs what the tests and `make run` need of a Debian machine, and nothing when it is all there.
set -eu

packages=""
need() { # need PROGRAM PACKAGE
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need containerd containerd
need ctr containerd
need runc runc
need dockerd docker.io
need /usr/bin/docker docker.io
need cc gcc
need python3 python3
need mke2fs e2fsprogs
need strace strace
need tmux tmux
need openssl openssl
need ip iproute2
need iptables iptables
need /usr/lib/cni/bridge containernetworking-plugins
# Debian's busybox package is linked dynamically, and a rootfs of one file needs one that is not.
dpkg-query -W -f '${Status}\n' busybox-static 2>/dev/null | grep -q 'ok installed' || packages="$packages busybox-static"
dpkg-query -W -f '${Status}\n' libc6-dev 2>/dev/null | grep -q 'ok installed' || packages="$packages libc6-dev"

# shellcheck disable=SC2086 # a list of words
sh "$(dirname "$0")/../../src/build/install-packages.sh" $packages
