# shellcheck shell=bash
# Sourced by run: a Debian 13 for arm64, with containerd, docker, runc and crun, and with kernels for pages of 4 and of 16 KiB,
# all from Debian's archive. Its packages are unpacked and not installed, so that nothing of it need run here to make it: no
# emulation of single processes, and no binfmt_misc. Its process 1 is guest/system. It is made once and kept in the cache.

ARM64_SUITE=trixie
ARM64_PACKAGES=(base-files base-passwd netbase dash coreutils grep sed mawk findutils diffutils util-linux bsdutils mount tar gzip procps
  kmod iproute2 iptables ca-certificates containerd docker.io docker-cli tini runc crun containernetworking-plugins busybox-static)
# Pages of 64 KiB are a choice that no kernel of Debian's has.
ARM64_PAGES=(4k 16k)
ARM64_BOOT_MODULES=("${DEBIAN_BOOT_MODULES[@]}")
ARM64_SIZE=3G

# impossible_arm64: prints why this machine can never have that guest, and fails when it can
impossible_arm64() {
  if ! command -v apt-get >/dev/null; then
    echo "it needs Debian"
  elif [ "$(id -u)" -ne 0 ]; then
    echo "it needs root"
  else
    return 1
  fi
}

# prepare_arm64 PAGES: sets $arm64, the directory that has root.ext4, and $initramfs and $kernel for pages of that size
prepare_arm64() {
  local why
  why=$(impossible_arm64) && die "this machine cannot have the virtual machine for arm64: $why"
  [[ " ${ARM64_PAGES[*]} " = *" $1 "* ]] || die "--pages: there is no kernel of Debian's for pages of $1, only for ${ARM64_PAGES[*]}"
  mkdir -p "$cache" || exit 125
  arm64=$cache/arm64-$(cat "$here/arm64.bash" "$here"/arm64/fetch | sha256sum | head -c 16)
  packer=$arm64/own/busybox
  if ! command -v "$QEMU" >/dev/null || [ ! -e "$arm64/root.ext4" ]; then
    exec 9>"$cache/lock" && flock 9 || exit 125
    if ! command -v "$QEMU" >/dev/null; then
      say "installing qemu-system-arm"
      with_apt install -y --no-install-recommends qemu-system-arm xz-utils || failed "qemu-system-arm could not be installed"
    fi
    [ -e "$arm64/root.ext4" ] || make_arm64
    exec 9>&-
  fi
  kernel=$arm64/$1
  initramfs=$cache/initramfs.arm64-$1.$(cat "$here"/*.bash "$here"/guest/* "$here"/arm64/fetch | sha256sum | head -c 16)
  [ -e "$initramfs" ] || pack_initramfs "$kernel" "${ARM64_BOOT_MODULES[@]}"
}

make_arm64() {
  local new=$cache/new-arm64.$$ root started=$SECONDS pages found
  root=$new/root
  say "making a Debian 13 for arm64 (once; kept in $cache)"
  rm -rf "$cache"/new-arm64.* "$cache"/arm64-*
  command -v mmdebstrap >/dev/null || with_apt install -y --no-install-recommends mmdebstrap || failed "mmdebstrap could not be installed"
  mkdir -p "$new/own" "$new/tree"
  # Files of every package, and no maintainer script run. The kernels are fetched while the lists are there.
  ARM64_PAGES="${ARM64_PAGES[*]}" mmdebstrap --quiet --mode=root --variant=extract --architectures=arm64 --components=main \
    --include="$(IFS=, && echo "${ARM64_PACKAGES[*]}")" --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
    --extract-hook="$here/arm64/fetch" "$ARM64_SUITE" "$root" "$(debian_url)" >>"$cache/prepare.log" 2>&1 </dev/null ||
    failed "no Debian 13 for arm64 could be made"
  # One that runs here, too.
  (cd "$new/tree" && with_apt download busybox-static && dpkg-deb -x ./*.deb .) || failed "busybox-static could not be fetched"
  mv "$(find "$new/tree" -name busybox -type f -perm -1 | head -n 1)" "$new/own/" || failed "no busybox in its package"
  rm -rf "$new/tree"
  for pages in "${ARM64_PAGES[@]}"; do
    mkdir -p "$new/$pages/lib"
    dpkg-deb -x "$root/var/cache/kernel-$pages"/*.deb "$new/tree" || failed "the kernel for pages of $pages could not be unpacked"
    mv "$(find "$new/tree" -path '*lib/modules' -type d | head -n 1)" "$new/$pages/lib/" || failed "no modules for pages of $pages"
    "$new/own/busybox" depmod -b "$new/$pages" "$(ls "$new/$pages/lib/modules")" >>"$cache/prepare.log" 2>&1 || failed "depmod failed"
    found=$(find "$new/tree/boot" -name 'vmlinuz-*' | head -n 1)
    unpack_zboot "$found" "$new/$pages/kernel" || cp "$found" "$new/$pages/kernel" || failed "no kernel for pages of $pages"
    cp "$(find "$root/usr/bin" -name busybox -type f)" "$new/$pages/busybox" || failed "no busybox for arm64"
    rm -rf "$new/tree" "$root/var/cache/kernel-$pages"
  done
  furnish_arm64 "$root"
  mke2fs -q -t ext4 -m 0 -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$new/root.ext4" "$ARM64_SIZE" >>"$cache/prepare.log" 2>&1 ||
    failed "the image could not be made"
  rm -rf "$root"
  mv "$new" "$arm64" || exit 125
  say "a Debian 13 for arm64 was made in $((SECONDS - started)) s: $(du -sh "$arm64" | cut -f 1)"
}

# unpack_zboot VMLINUZ OUT: the image inside (Linux' drivers/firmware/efi/libstub/zboot-header.S), which QEMU takes only from version 8.1 on
unpack_zboot() {
  local offset length kind
  [ "$(head -c 8 "$1" | tail -c 4)" = zimg ] || return 1
  offset=$(od -An -tu4 -j 8 -N4 "$1")
  length=$(od -An -tu4 -j 12 -N4 "$1")
  kind=$(tail -c +25 "$1" | head -c 8 | tr -d '\0')
  tail -c +$((offset + 1)) "$1" | head -c "$((length))" | "$kind" -dc >"$2" 2>>"$cache/prepare.log"
  # Of the packed data the last 4 bytes may be the size, which is none of the packer's.
  [ "$(tail -c +57 "$2" | head -c 3)" = ARM ]
}

# furnish_arm64 ROOT: what maintainer scripts would have made
furnish_arm64() {
  local name
  cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"
  cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"
  echo hawser-arm64 >"$1/etc/hostname"
  printf '127.0.0.1 localhost hawser-arm64\n' >"$1/etc/hosts"
  rm -f "$1/etc/resolv.conf" && : >"$1/etc/resolv.conf"
  : >"$1/etc/fstab"
  ln -sf mawk "$1/usr/bin/awk"
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-nft-multi "$1/usr/sbin/$name"
  done
  cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
  # Its loader looks into the directories that it knows; a cache of them takes a run of ldconfig.
  mkdir -p "$1"/{proc,sys,dev,run,tmp,root,var/lib/containerd}
}
