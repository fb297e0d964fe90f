# For the scripts of the package from npm: what they run is in a package for each platform, @hawser/linux-x64 and so on, of which npm
# installs one. Sets $lib to its directory, which lies where Node would look for it: in a node_modules of this package's or around it.
# Says which one is missing, where there is none, and ends with $status.
place=$(cd -P -- "$top" && pwd -P) || exit "$status"
lib=
while [ -z "$lib" ]; do
  for each in "$place/node_modules/@hawser"/linux-*; do
    [ -e "$each/$entry" ] || continue
    if [ -z "$lib" ]; then
      lib=$each
      continue
    fi
    # Several are there, for other machines to use the directory, too.
    case $(uname -m) in
      x86_64) lib=$place/node_modules/@hawser/linux-x64 ;;
      aarch64) lib=$place/node_modules/@hawser/linux-arm64 ;;
    esac
  done
  [ -n "$place" ] || break
  place=${place%/*}
done
if [ -z "$lib" ]; then
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
  esac
  libc=glibc
  for each in /lib/ld-musl-*; do if [ -e "$each" ]; then libc=musl; fi; done
  echo "$name: the package @hawser/linux-$arch is not installed, which has what it runs on this platform (linux, $arch, $libc). npm leaves it out when it is told to omit optional packages, and when its lock file was written so; install it by 'npm install @hawser/linux-$arch', of the same version. There are such packages for x64 and arm64 with glibc, and for no other platform" >&2
  exit "$status"
fi
