# shellcheck shell=bash
# Sourced by run: a Debian 13 of its own for the guest, with systemd, containerd, docker, runc, crun, Node and kernel, all
# from Debian's archive. It is made once, at this machine's own speed, and kept in the cache as an ext4 image that guests
# have below a layer of their own.

DEBIAN_SUITE=trixie
# What a server with docker has, and what the tests take. Node's own certificates and others' recommendations are left out.
DEBIAN_PACKAGES=(systemd systemd-sysv dbus udev kmod iproute2 iptables procps apparmor ca-certificates
  containerd docker.io docker-cli tini runc crun containernetworking-plugins nodejs busybox-static)
# As BOOT_MODULES, and the image's disk.
DEBIAN_BOOT_MODULES=("${BOOT_MODULES[@]}" virtio_blk crc16 mbcache jbd2 crc32c_generic crc32c-intel ext4)
DEBIAN_SIZE=4G

debian_url() {
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" '$1 == suite && $2 == "main" { print $3; exit }'
}

# prepare_debian: sets $debian, the directory that has root.ext4 and kernel, and $initramfs for it
prepare_debian() {
  debian=$cache/debian-$(cat "$here/debian.bash" "$here"/debian/* | sha256sum | head -c 16)
  if [ ! -e "$debian/root.ext4" ]; then
    exec 9>"$cache/lock" && flock 9 || exit 125
    [ -e "$debian/root.ext4" ] || make_debian
    exec 9>&-
  fi
  initramfs=$cache/initramfs.debian.$(cat "$here"/*.bash "$here"/guest/* "$here"/debian/* | sha256sum | head -c 16)
  [ -e "$initramfs" ] || pack_initramfs "$debian" "${DEBIAN_BOOT_MODULES[@]}"
}

make_debian() {
  local new=$cache/new-debian.$$ root started=$SECONDS version
  root=$new/root
  say "making a Debian 13 (once; kept in $cache)"
  rm -rf "$cache"/new-debian.* "$cache"/debian-*
  command -v mmdebstrap >/dev/null || with_apt install -y --no-install-recommends mmdebstrap ||
    failed "mmdebstrap could not be installed"
  mkdir -p "$new/deb"
  mmdebstrap --quiet --mode=root --variant=minbase --components=main --include="$(IFS=, && echo "${DEBIAN_PACKAGES[*]}")" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook="$here/debian/fetch-kernel" \
    "$DEBIAN_SUITE" "$root" "$(debian_url)" >>"$cache/prepare.log" 2>&1 </dev/null || failed "no Debian 13 could be made"
  mv "$root"/var/cache/linux-image-*.deb "$new/deb/" || failed "no kernel was fetched"
  dpkg-deb -x "$new"/deb/linux-image-*.deb "$new/tree" || failed "the kernel could not be unpacked"
  cp -a "$(find "$new/tree" -path '*lib/modules' -type d | head -n 1)" "$root/usr/lib/" || failed "no modules"
  version=$(basename "$root"/usr/lib/modules/*)
  chroot "$root" depmod "$version" || failed "depmod failed"
  mkdir -p "$new/lib" && cp -a "$root/usr/lib/modules" "$new/lib/"
  unpack_kernel "$(find "$new/tree/boot" -name 'vmlinuz-*' | head -n 1)" "$new/kernel" ||
    cp "$(find "$new/tree/boot" -name 'vmlinuz-*' | head -n 1)" "$new/kernel"
  cp "$cache/kernel/busybox" "$new/busybox"
  furnish_debian "$root"
  mke2fs -q -t ext4 -m 0 -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$new/root.ext4" "$DEBIAN_SIZE" >>"$cache/prepare.log" 2>&1 ||
    failed "the image could not be made"
  rm -rf "$root" "$new/deb" "$new/tree"
  mv "$new" "$debian" || exit 125
  say "a Debian 13 was made in $((SECONDS - started)) s: $(du -h "$debian/root.ext4" | cut -f 1)"
}

# furnish_debian ROOT: what an installer would have asked for, and the unit that runs the command
furnish_debian() {
  echo hawser-debian >"$1/etc/hostname"
  printf '127.0.0.1 localhost hawser-debian\n' >"$1/etc/hosts"
  rm -f "$1/etc/resolv.conf" && : >"$1/etc/resolv.conf"
  : >"$1/etc/fstab"
  echo 0123456789abcdef0123456789abcdef >"$1/etc/machine-id"
  install -m 755 "$here/debian/job" "$1/usr/local/sbin/hawser-job"
  install -m 644 "$here/debian/hawser-job.service" "$here/debian/hawser-job.target" "$1/etc/systemd/system/"
  # Nobody logs in, and nothing shall happen by the clock.
  local unit
  for unit in serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer systemd-networkd.service systemd-networkd-wait-online.service; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
  done
}
