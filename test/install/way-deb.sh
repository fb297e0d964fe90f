# `make deb`: by apt, and what it depends on besides the distribution's packages from /artefacts, too.
export DEBIAN_FRONTEND=noninteractive
if dpkg --compare-versions "$(dpkg-query -W -f '${Version}' nodejs 2>/dev/null || echo 0)" ge 20; then with=; else with=$(echo /artefacts/hawser-node_*.deb); fi
install_debs() {
  # shellcheck disable=SC2086 # a list
  apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends --allow-downgrades "$@" </dev/null || fail "apt could not install $*"
}
# shellcheck disable=SC2086
install_first() { install_debs /artefacts/first.deb $with; }
# shellcheck disable=SC2086
install_second() { install_debs /artefacts/second.deb $with; }
check_installed() {
  dpkg --verify hawser || fail "dpkg is not content"
  [ -e /usr/share/bash-completion/completions/hawser ] || fail "no completion"
  /usr/lib/hawser/bin/containerd-shim-runc-v2 -v
}
check_second() { [ "$(dpkg-query -W -f '${Version}' hawser)" = "$(dpkg-deb -f /artefacts/second.deb Version)" ] || fail "the second version is not there"; }
remove_running() { apt-get remove -y -qq -o Dpkg::Use-Pty=0 hawser </dev/null; }
remove_all() {
  apt-get purge -y -qq -o Dpkg::Use-Pty=0 hawser </dev/null
  if [ -n "$with" ]; then apt-get purge -y -qq -o Dpkg::Use-Pty=0 hawser-node </dev/null; fi
}
