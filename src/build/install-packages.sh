#!/bin/sh
# install-packages.sh PACKAGE…: installs these of Debian's packages; does nothing where none is named.
set -eu

[ $# -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "hawser: these packages are missing, and installing them needs root: apt-get install --no-install-recommends $*" >&2
  exit 1
fi
echo "hawser: installing $*" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" >/dev/null
