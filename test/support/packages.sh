#!/bin/sh
# packages.sh NAME@SUITE…
#
# Fetches programs of other Debian suites into a private cache and makes them run beside this machine's own C library.
# Nothing is installed. Prints a line for each: NAME@SUITE VERSION DIRECTORY, where the directory holds its programs.
#
#   sh test/support/packages.sh containerd@trixie runc@forky crun@trixie criu@trixie docker@forky
#
# NAME is that of a Debian package, or `docker` for the daemon, its helpers and the client together. Libraries come from
# the suite too, and the programs are patched to use them (not by LD_LIBRARY_PATH, which their children would inherit).
#
# The archive is the one that this machine's apt uses for its own suite. Needs amd64 or arm64 Debian, no root.
#   HAWSER_PACKAGES            the cache              (~/.cache/hawser/packages)
#   HAWSER_PACKAGES_ARCHIVE    another archive's URL
#   HAWSER_PACKAGES_REFRESH=1  fetch anew what the cache has
set -eu
export LC_ALL=C

cache=${HAWSER_PACKAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/hawser/packages}

fail() {
  echo "packages.sh: $*" >&2
  exit 1
}

[ $# -gt 0 ] || fail 'usage: packages.sh NAME@SUITE…, for example containerd@trixie'
for tool in apt-get apt-cache dpkg-deb flock; do
  command -v "$tool" >/dev/null || fail "$tool is missing; this needs a Debian machine"
done

# One at a time: others wait for what this one fetches.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 900 9 || fail "another packages.sh holds $cache/lock for 15 minutes"

own_suite() {
  sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# The URL from which this machine's apt takes its own suite.
archive() {
  if [ -n "${HAWSER_PACKAGES_ARCHIVE:-}" ]; then
    echo "$HAWSER_PACKAGES_ARCHIVE"
    return
  fi
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$(own_suite)" '$1 == suite && $2 == "main" { print $3; exit }'
}

# apt SUITE COMMAND… : apt-get or apt-cache with lists of that suite only, in the cache.
apt() {
  dir=$cache/apt/$1
  command=$2
  shift 2
  "$command" -o Dir::State="$dir" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/cache" \
    -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
    -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::http::Timeout=60 \
    -o Acquire::Languages=none -o APT::Update::Post-Invoke-Success::= "$@" </dev/null
}

# again COMMAND… : three tries, as archives have hiccups.
again() {
  for pause in 5 15 0; do
    if "$@" >"$cache/last.log" 2>&1; then return 0; fi
    [ "$pause" = 0 ] || sleep "$pause"
  done
  sed 's/^/  /' "$cache/last.log" >&2
  return 1
}

# lists SUITE [now] : the suite's package lists, at most a day old.
lists() {
  dir=$cache/apt/$1
  if [ "${2:-}" != now ] && [ -f "$dir/updated" ] && [ -z "$(find "$dir/updated" -mmin +1440)" ]; then return; fi
  url=$(archive)
  [ -n "$url" ] || fail "found no archive for $(own_suite) main in this machine's apt sources; set HAWSER_PACKAGES_ARCHIVE"
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $1 main" >"$dir/sources.list"
  # With --error-on=any a list that could not be had is no mere warning.
  again apt "$1" apt-get update -qq --error-on=any || fail "cannot fetch the package lists of $1 from $url"
  touch "$dir/updated"
}

# fetch SUITE PACKAGE… TARGET : unpacks packages into the target.
fetch() {
  suite=$1
  shift
  names=""
  while [ $# -gt 1 ]; do
    names="$names $1"
    shift
  done
  target=$1
  debs=$cache/debs.tmp
  rm -rf "$debs"
  mkdir -p "$debs" "$target"
  # shellcheck disable=SC2086 -- a list of words
  if ! (cd "$debs" && again apt "$suite" apt-get download -qq $names); then
    # An old list names files that the archive has replaced since.
    lists "$suite" now
    # shellcheck disable=SC2086
    (cd "$debs" && again apt "$suite" apt-get download -qq $names) || fail "cannot fetch$names of $suite"
  fi
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$target"; done
  rm -rf "$debs"
}

# The libraries that packages of a suite depend on, at any remove.
libraries() {
  suite=$1
  shift
  seen=""
  todo="$*"
  while [ -n "$todo" ]; do
    # shellcheck disable=SC2086
    found=$(apt "$suite" apt-cache depends -i $todo | sed -n 's/^ [ |]Depends: \(lib[^<>]*\|zlib1g\)$/\1/p' | sort -u)
    todo=""
    for name in $found; do
      case " $seen " in *" $name "*) continue ;; esac
      seen="$seen $name"
      todo="$todo $name"
    done
  done
  echo "$seen"
}

# patchelf is taken from this machine's own suite, where it isn't installed.
patchelf_program() {
  if command -v patchelf; then return; fi
  tool=$cache/$(own_suite)/patchelf/usr/bin/patchelf
  if [ ! -x "$tool" ]; then
    lists "$(own_suite)"
    fetch "$(own_suite)" patchelf "$cache/$(own_suite)/patchelf"
  fi
  echo "$tool"
}

# What docker-init is a link to comes from one package or another.
init_package() {
  apt "$1" apt-cache depends -i docker.io | sed -n 's/^ [ |]Depends: \(tini.*\)$/\1/p' | head -n 1
}

# provide NAME SUITE : fetches it, unless the cache has it, and prints its line.
provide() {
  name=$1
  suite=$2
  place=$cache/$suite/$name
  if [ ! -f "$place/version" ] || [ -n "${HAWSER_PACKAGES_REFRESH:-}" ]; then
    lists "$suite"
    case $name in
      docker) packages="docker.io docker-cli $(init_package "$suite")" ;;
      crun) packages="crun libcriu2" ;;
      *) packages=$name ;;
    esac
    # shellcheck disable=SC2086
    version=$(apt "$suite" apt-cache show ${packages%% *} 2>/dev/null | sed -n 's/^Version: //p' | head -n 1)
    [ -n "$version" ] || fail "$suite has no package ${packages%% *}"
    echo "packages.sh: fetching $name $version of $suite" >&2
    rm -rf "$place"
    # shellcheck disable=SC2086
    fetch "$suite" $packages "$place/root"
    # shellcheck disable=SC2086
    fetch "$suite" $(libraries "$suite" $packages) "$place/root"
    programs "$place"
    [ -n "$(ls "$place/bin")" ] || fail "$name of $suite has no programs"
    echo "$version" >"$place/version"
  fi
  echo "$name@$suite $(cat "$place/version") $place/bin"
}

# programs PLACE : fills PLACE/bin with the unpacked programs, patched to use the unpacked libraries.
programs() {
  patchelf=$(patchelf_program) || exit 1
  root=$1/root
  mkdir -p "$1/bin"
  loader=$(find "$root" -name 'ld-linux-*.so.*' \( -type f -o -type l \) | head -n 1)
  path=$(find "$root" -type d -path '*/lib/*-linux-gnu*' | tr '\n' ':')
  for file in "$root"/usr/bin/* "$root"/usr/sbin/* "$root"/usr/libexec/docker/*; do
    [ -f "$file" ] && [ -x "$file" ] || continue
    to=$1/bin/${file##*/}
    [ -e "$to" ] && continue
    cp -L "$file" "$to" || fail "cannot copy $file"
    "$patchelf" --print-interpreter "$to" >/dev/null 2>&1 || continue # a script, or linked statically
    [ -n "$loader" ] || fail "found no loader for ${file##*/} in $root"
    "$patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "${path%:}" "$to" || fail "cannot patch $to"
  done
  # What isn't run from here only takes room.
  rm -rf "$root"/usr/share "$root"/usr/bin "$root"/usr/sbin
}

for item; do
  case $item in
    ?*@?*) provide "${item%@*}" "${item#*@}" ;;
    *) fail "$item is not of the form NAME@SUITE" ;;
  esac
done
