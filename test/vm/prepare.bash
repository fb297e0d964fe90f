# shellcheck shell=bash
# Sourced by run: what the machine needs before a guest can boot. QEMU is installed; a kernel and a static busybox are
# unpacked from Debian's packages into the cache, and an initramfs is made of them. All of it once.

# Loaded at boot, in this order; one that the kernel's package lacks is built in.
BOOT_MODULES=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console
  netfs fscache 9pnet 9pnet_virtio 9p overlay)
# For the guest's modprobe.
MORE_MODULES=(loop crc16 mbcache jbd2 crc32c_generic ext4 veth dummy fuse llc stp bridge)

# impossible: prints why this machine can never have the guest, and fails when it can
impossible() {
  if [ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ]; then
    echo "it needs Debian on amd64"
  elif [ "$(id -u)" -ne 0 ]; then
    echo "it needs root"
  else
    return 1
  fi
}

# prepare: sets $initramfs, and $cache/kernel is there
prepare() {
  local why
  why=$(impossible) && die "this machine cannot have the virtual machine: $why"
  mkdir -p "$cache" || exit 125
  initramfs=$cache/initramfs.$(cat "$here"/*.bash "$here"/guest/* | sha256sum | head -c 16)
  if command -v "$QEMU" >/dev/null && [ -e "$cache/kernel/kernel" ] && [ -e "$initramfs" ]; then return; fi
  exec 9>"$cache/lock" && flock 9 || exit 125
  if ! command -v "$QEMU" >/dev/null; then
    say "installing qemu-system-x86"
    with_apt install -y --no-install-recommends qemu-system-x86 xz-utils || failed "qemu-system-x86 could not be installed"
  fi
  [ -e "$cache/kernel/kernel" ] || prepare_kernel
  [ -e "$initramfs" ] || pack_initramfs "$cache/kernel" "${BOOT_MODULES[@]}"
  exec 9>&-
}

apt_updated=
apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Sandbox::User=root "$@" \
    >>"$cache/prepare.log" 2>&1
}

# with_apt ARGUMENT…: apt-get, and once more with fresh lists when it fails
with_apt() {
  apt "$@" && return
  [ -z "$apt_updated" ] || return 1
  apt_updated=1
  apt update && apt "$@"
}

failed() {
  say "$1; the end of $cache/prepare.log:"
  tail -n 15 "$cache/prepare.log" >&2
  exit 125
}

kernel_package() {
  apt-cache depends linux-image-amd64 2>/dev/null | sed -nE 's/^ *Depends: (linux-image-[0-9][^ ]*-amd64)$/\1/p' | head -n 1
}

prepare_kernel() {
  local new=$cache/new.$$ package wanted module found
  say "getting a kernel (once; kept in $cache)"
  rm -rf "$cache"/new.*
  mkdir -p "$new/deb" "$new/tree" "$new/lib" || exit 125
  package=$(kernel_package)
  if [ -z "$package" ]; then
    apt update
    apt_updated=1
    package=$(kernel_package)
  fi
  [ -n "$package" ] || failed "no kernel package was found"
  (cd "$new/deb" && with_apt download "$package" busybox-static) || failed "$package and busybox-static could not be fetched"
  wanted=()
  for module in "${BOOT_MODULES[@]}" "${MORE_MODULES[@]}"; do wanted+=("*/$module.ko*"); done
  # tar's status says that some modules are not there, which is no failure.
  dpkg --fsys-tarfile "$new"/deb/linux-image-*.deb | tar -x -C "$new/tree" --wildcards --no-anchored \
    'boot/vmlinuz-*' '*/modules.builtin*' '*/modules.order' "${wanted[@]}" 2>>"$cache/prepare.log"
  dpkg -x "$new"/deb/busybox-static*.deb "$new/tree" || failed "busybox could not be unpacked"
  found=$(find "$new/tree" -name busybox -type f -perm -1 | head -n 1)
  mv "$found" "$new/busybox" || failed "no busybox in its package"
  mv "$(find "$new/tree" -path '*lib/modules' -type d | head -n 1)" "$new/lib/" || failed "no modules in $package"
  found=$(find "$new/tree/boot" -name 'vmlinuz-*' | head -n 1)
  [ -n "$found" ] || failed "no kernel in $package"
  "$new/busybox" depmod -b "$new" "${found##*/vmlinuz-}" >>"$cache/prepare.log" 2>&1 || failed "depmod failed"
  # Packed, it boots as well, some seconds later.
  unpack_kernel "$found" "$new/kernel" || cp "$found" "$new/kernel"
  rm -rf "$new/deb" "$new/tree" "$cache/kernel"
  mv "$new" "$cache/kernel" || exit 125
}

# unpack_kernel BZIMAGE OUT: the ELF file inside (Linux' Documentation/arch/x86/boot: setup_sects, payload_offset, payload_length)
unpack_kernel() {
  local setup offset length
  setup=$(od -An -tu1 -j 497 -N1 "$1")
  offset=$(od -An -tu4 -j 584 -N4 "$1")
  length=$(od -An -tu4 -j 588 -N4 "$1")
  # The last 4 bytes are the unpacked size, which is none of the packer's.
  payload() { tail -c +$(((${setup:-4} + 1) * 512 + offset + 1)) "$1" | head -c $((length - 4)); }
  case $(payload "$1" 2>/dev/null | od -An -tx1 -N4 | tr -d ' ') in
    fd377a58) payload "$1" | xz -dc >"$2" ;;
    28b52ffd) payload "$1" | zstd -dcq >"$2" ;;
    02214c18) payload "$1" | lz4 -dcq >"$2" ;;
    1f8b*) payload "$1" | gzip -dc >"$2" ;;
  esac 2>>"$cache/prepare.log"
  [ "$(head -c 4 "$2" 2>/dev/null | od -An -tx1 | tr -d ' ')" = 7f454c46 ]
}

# pack_initramfs KERNEL MODULE…: makes $initramfs, with what the directory KERNEL has
pack_initramfs() {
  local kernel=$1 new=$initramfs.new.$$ module found
  shift
  # Those of other versions may be in use right now: only old ones go.
  find "$cache" -maxdepth 1 -name 'initramfs.*' -mtime +7 -exec rm -rf {} +
  mkdir -p "$new"/{bin,dev,proc,lower,upper,new,modules} || exit 125
  cp "$kernel/busybox" "$new/bin/"
  cp "$here/guest/init" "$here/guest/system" "$new/"
  chmod 755 "$new/init"
  for module; do
    found=$(find "$kernel/lib" -name "$module.ko*" | head -n 1)
    case $found in
      '') continue ;;
      *.xz) xz -dc "$found" >"$new/modules/$module.ko" ;;
      *) cp "$found" "$new/modules/$module.ko" ;;
    esac
    echo "$module"
  done >"$new/modules/order"
  pack "$new" >"$new.cpio" && mv "$new.cpio" "$initramfs" || die "the initramfs could not be made"
  rm -rf "$new"
}

# pack DIR: as the kernel takes it for an initramfs
pack() { (cd "$1" && find . | "$packer" cpio -o -H newc -R 0:0 2>/dev/null); }
