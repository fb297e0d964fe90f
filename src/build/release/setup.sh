#!/bin/sh
# setup.sh ARCH…: installs what it takes to make something for these machines, and nothing when it is all there. The emulator is
# for tests on an arm64 Node. With --tests, what test/install takes.
set -eu

packages=""
need() { # need PROGRAM PACKAGE
  command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need patchelf patchelf
need readelf binutils
here=$(dpkg --print-architecture)
for arch; do
  case $arch in
    --tests)
      need lintian lintian
      need mmdebstrap mmdebstrap
      continue
      ;;
    x64) debian=amd64 gnu=x86_64-linux-gnu package=x86-64-linux-gnu emulator=x86_64 ;;
    *) debian=$arch gnu=aarch64-linux-gnu package=aarch64-linux-gnu emulator=aarch64 ;;
  esac
  [ "$debian" != "$here" ] || continue
  need "$gnu-gcc" "gcc-$package"
  [ -e "/usr/$gnu/lib/libc.a" ] || packages="$packages libc6-dev-$debian-cross"
  [ -e "/usr/$gnu/lib/libstdc++.so.6" ] || packages="$packages libstdc++6-$debian-cross"
  need "qemu-$emulator-static" qemu-user-static
done

# shellcheck disable=SC2086 # a list of words
sh "$(dirname "$0")/../install-packages.sh" $packages
