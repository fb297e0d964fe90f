#!/bin/sh
# Installs Hawser @VERSION@ from this directory: install.sh [--prefix DIR] [--root DIR]
#
#   --prefix DIR   where it goes (/usr/local)
#   --root DIR     the file system that the prefix is in, where that is not this one (/)
#
# Over an older version, too, with containers running: each file is put in its place at once, libraries before programs. Needs
# nothing but glibc @GLIBC@ or later. PREFIX/lib/hawser/uninstall.sh takes everything away again.
set -eu
fail() {
  echo "install.sh: $*" >&2
  exit 1
}

prefix=/usr/local root=
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --root) [ $# -ge 2 ] || fail "$1 takes a directory" ;;
  esac
  case $1 in
    --prefix) prefix=${2%/} && shift 2 ;;
    --root) root=${2%/} && shift 2 ;;
    *) fail "there is no option $1: install.sh [--prefix DIR] [--root DIR]" ;;
  esac
done
case $prefix in
  /*) ;;
  *) fail "--prefix takes an absolute path, and not $prefix" ;;
esac
# It goes into a unit of systemd and into the copy that uninstalls.
case $prefix in
  *[!A-Za-z0-9/._+@-]*) fail "--prefix: $prefix has characters that a unit of systemd would take for something else" ;;
esac
here=$(cd "$(dirname "$0")" && pwd -P)
machine=$(uname -m)
[ "$machine" = @MACHINE@ ] || fail "this is for machines of the kind @MACHINE@, and this one is $machine: take the archive for that"

# Whether it runs here, before anything is changed: with the machine's C++ library, or else with the one that is here.
lib=$here/lib/hawser
runs() { "$lib/node" -e 'process.dlopen({exports:{}},process.argv[1]+"/lmdb.node")' "$lib" 2>&1; }
rm -rf "$lib/lib"
fallback=
if ! why=$(runs); then
  fallback=yes
  mkdir "$lib/lib"
  cp "$here"/fallback/* "$lib/lib/"
  why=$(runs) || fail "this machine cannot run it: $why
It needs glibc @GLIBC@ or later, or where there is no libstdc++ of GCC 11 or later, as here, glibc @GLIBC_FALLBACK@ or later."
fi

to=$root$prefix
files=$here/lib/hawser/files
old=$to/lib/hawser/files
# What is there and isn't a file of an earlier installation's is somebody else's.
while read -r file; do
  if [ -d "$to/$file" ] && ! [ -L "$to/$file" ]; then fail "$to/$file is a directory"; fi
done <"$files"

directory() { # directory PATH: with those around it; what was made for it is noted, to be removed with it
  [ -d "$to/$1" ] && return
  case $1 in
    */*) directory "${1%/*}" ;;
  esac
  mkdir "$to/$1"
  echo "$1" >>"$made"
}

put() { # put FILE: at once, as it may be in use
  directory "${1%/*}"
  cp "$here/$1" "$to/$1.hawser-new"
  case $1 in
    *.service) sed "s|@PREFIX@|$prefix|" "$here/$1" >"$to/$1.hawser-new" ;;
  esac
  chown 0:0 "$to/$1.hawser-new" 2>/dev/null || true
  chmod "$(if [ -x "$here/$1" ]; then echo 755; else echo 644; fi)" "$to/$1.hawser-new"
  mv -f "$to/$1.hawser-new" "$to/$1"
}

note() { # note LIST FILE
  cp "$1" "$2.hawser-new"
  chmod 644 "$2.hawser-new"
  mv -f "$2.hawser-new" "$2"
}

list=$(mktemp)
made=$(mktemp)
trap 'rm -f "$list" "$made"' EXIT
if ! [ -d "$to" ]; then
  mkdir -p "$to"
  echo . >"$made"
fi
if [ -e "$to/lib/hawser/directories" ]; then cat "$to/lib/hawser/directories" >>"$made"; fi
if [ -n "$fallback" ]; then for library in "$here"/fallback/*; do echo "lib/hawser/lib/${library##*/}"; done >"$list"; fi
cat "$files" >>"$list"
directory lib/hawser
if [ -e "$old" ]; then cp "$old" "$old.before"; fi
while read -r file; do
  case $file in
    lib/hawser/files) note "$list" "$old" ;;
    *) put "$file" ;;
  esac
done <"$list"
note "$made" "$to/lib/hawser/directories"
# What an earlier version had and this one has not.
if [ -e "$old.before" ]; then
  while read -r file; do
    grep -qxF -e "$file" "$list" || rm -f "$to/$file"
  done <"$old.before"
  rm -f "$old.before"
fi
rm -rf "$lib/lib"
if [ -z "$root" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then systemctl daemon-reload; fi

echo "Hawser @VERSION@ is in $prefix. No daemon has its shim by that: '$prefix/bin/hawser shim enable' does it, and '$prefix/bin/hawser doctor' looks at the machine."
