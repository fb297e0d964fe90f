#!/bin/sh
# roots.sh SUITE: a clean root of that Debian suite, with its containerd and runc, and Node where the suite's is 20 or later. Made once, from
# the archive that this machine's apt uses, and kept; prints its directory.
#   HAWSER_ROOTS            where they are kept   (~/.cache/hawser/roots)
#   HAWSER_ROOTS_REFRESH=1  makes it anew
set -eu
suite=$1
cache=${HAWSER_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/hawser/roots}
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 900 9
place=$cache/$suite
if [ -e "$place/.made" ] && [ -z "${HAWSER_ROOTS_REFRESH:-}" ]; then
  echo "$place"
  exit
fi
command -v mmdebstrap >/dev/null || sh "$(dirname "$0")/../../src/build/install-packages.sh" mmdebstrap
archive=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
  awk -v suite="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" '$1 == suite && $2 == "main" { print $3; exit }')
[ -n "$archive" ] || { echo "roots.sh: this machine's apt knows no archive of its own suite" >&2; exit 1; }
packages=containerd,runc,busybox-static
case $suite in
  bookworm) ;; # its Node is 18
  *) packages=$packages,nodejs ;;
esac
echo "roots.sh: making a root of $suite" >&2
rm -rf "$place" "$place.new"
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
  --skip=cleanup/apt/lists "$suite" "$place.new" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >&2
touch "$place.new/.made"
mv "$place.new" "$place"
echo "$place"
