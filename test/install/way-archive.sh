# `make dist`: the archive, unpacked, and its install.sh. /artefacts/first and /artefacts/second are two versions.
install_first() { sh /artefacts/first/install.sh; }
install_second() { sh /artefacts/second/install.sh; }
check_installed() {
  [ -e /usr/local/share/man/man1/hawser.1 ] && [ -e /usr/local/lib/systemd/system/hawserd.service ] || fail "pages or units are missing"
  /usr/local/lib/hawser/bin/containerd-shim-runc-v2 -v
}
check_second() {
  grep -q 'second version' /usr/local/lib/hawser/shim.cjs || fail "the second version is not there"
  ! [ -e /usr/local/lib/hawser/of-the-first ] || fail "a file of the first version is left"
}
remove_running() { sh /usr/local/lib/hawser/uninstall.sh; }
remove_all() {
  sh /usr/local/lib/hawser/uninstall.sh
  # As the page has it.
  rm -rf /var/lib/hawser /run/hawser /etc/hawser
}
