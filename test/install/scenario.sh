#!/bin/sh
# scenario.sh WAY NAMESPACE: installs Hawser in one way, uses it, upgrades it while a container runs, removes it while one runs, installs it
# again, and removes it for good: nothing may be left then that was not there before. Runs in a root of its own (enter.sh).
set -eu
way=$1 namespace=$2
. "/scenario/way-$way.sh"
step() { echo "== $*"; }
fail() {
  echo "FAILED: $*" >&2
  for process in /proc/[0-9]*; do echo "${process#/proc/} $(tr '\0' ' ' <"$process/cmdline" 2>/dev/null)"; done >&2
  tail -n 20 /run/daemon.log >&2 || true
  exit 1
}
eventually() { # eventually SECONDS WHAT COMMAND…
  seconds=$1 what=$2
  shift 2
  for _ in $(seq $((seconds * 10))); do
    if "$@"; then return; fi
    sleep 0.1
  done
  fail "waited in vain for $what"
}

# What the package manager and daemons write for themselves is no trace of ours.
files() {
  find / -xdev \( -path /proc -o -path /var/lib/containerd -o -path /opt/containerd -o -path /artefacts -o -path /scenario -o -path '/var/lib/dpkg' -o -path '/var/log' -o -path '/var/cache' \
    -o -path '/var/lib/apt' -o -path '/root/.*' -o -path /etc/ld.so.cache -o -path /tmp \) -prune -o -printf '%y %m %u:%g %p %l\n'
  find /run -xdev \( -path /run/containerd -o -path /run/daemon.log -o -path /run/lock \) -prune -o -printf '%y %p\n'
}
# Words of the command lines of shims (by the program that they run), zygotes and workers.
ours() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -cE '^hawser-|hawser.*containerd-shim-runc-v2$|shim\.cjs$' || true; }
shims() { for program in /proc/[0-9]*/exe; do readlink "$program" || true; done 2>/dev/null | grep -c "^$SHIM" || true; }
none_running() { [ "$(ours)" = 0 ]; }
asleep() { ! cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q "hawser-worker $namespace/$1 "; }
has_socket() { [ -S "$1" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
c() { ctr -n "$namespace" "$@"; }
list_before=/tmp/before list_after=/tmp/after

mkdir -p /srv/root/bin /srv/root/proc
cp /bin/busybox /srv/root/bin/sh
cp /bin/busybox /srv/root/bin/busybox
mkdir -p /etc/containerd
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >/etc/containerd/config.toml
files | sort >"$list_before"

step "install ($way)"
install_first
hawser --version
# No daemon has its shim by being installed.
! command -v containerd-shim-runc-v2 | grep -q hawser || fail "the shim is in PATH before it is enabled"
hawser shim status
hawser doctor >/tmp/doctor || true
grep -E '^ok +shim' /tmp/doctor || { cat /tmp/doctor; fail "doctor is not content with the shim"; }
check_installed

step "enable, and start containerd"
hawser shim enable
dropin=/etc/systemd/system/containerd.service.d/zz-hawser.conf
path=$(sed -n 's/^Environment="*PATH=\([^"]*\)"*$/\1/p' "$dropin")
SHIM=${path%%:*}/containerd-shim-runc-v2
env PATH="$path" containerd >/run/daemon.log 2>&1 &
daemon=$!
eventually 20 "containerd's socket" has_socket /run/containerd/containerd.sock

step "a container runs through the shim $SHIM"
run() { # run ID: until there is a file /ID in its root, then it ends with 7
  { c run --rootfs /srv/root "$1" /bin/sh -c "until [ -e /$1 ]; do busybox sleep 0.1; done; exit 7" && echo 0 >"/tmp/status-$1" || echo $? >"/tmp/status-$1"; } &
  eventually 20 "container $1 to run" sh -c "ctr -n $namespace task ls | grep -q '^$1 .*RUNNING'"
}
told() { # told ID: its client has its exit status
  eventually 20 "the client of $1 to end" [ -e "/tmp/status-$1" ]
  [ "$(cat "/tmp/status-$1")" = 7 ] || fail "the client of $1 was told $(cat "/tmp/status-$1"), and not 7"
}
run one
[ "$(shims)" -ge 1 ] || fail "the container's shim is not ours"
[ "$(c task exec --exec-id x one /bin/busybox echo hello)" = hello ] || fail "no exec"

step "upgrade while it runs"
eventually 20 "its shim to sleep" asleep one
install_second
check_second
[ "$(c task exec --exec-id y one /bin/busybox echo again)" = again ] || fail "no exec after the upgrade"
run two
touch /srv/root/one /srv/root/two
told one
told two
c containers rm one two 2>/dev/null || true

step "remove while a container runs"
run three
init=$(c task ls | awk '$1 == "three" { print $2 }')
eventually 20 "its shim to sleep" asleep three
remove_running >/tmp/said 2>&1 || { cat /tmp/said; fail "removing failed"; }
cat /tmp/said
grep -q 'live on' /tmp/said || fail "removing says nothing of what runs"
kill -0 "$init" || fail "removing has ended a container"

step "and install again: it answers"
install_first
[ "$(c task exec --exec-id z three /bin/busybox echo back)" = back ] || fail "no exec after installing again"
touch /srv/root/three
told three
c containers rm three 2>/dev/null || true

step "hawserd"
hawserd >/run/hawserd.log 2>&1 &
hawserd=$!
eventually 20 "hawserd's socket" has_socket /run/hawser/hawserd.sock
[ "$(ctr -a /run/hawser/hawserd.sock -n "$namespace" run --rm --rootfs /srv/root four /bin/busybox echo hello)" = hello ] || { cat /run/hawserd.log; fail "hawserd runs no container"; }
kill "$hawserd"
eventually 20 "hawserd to end" ended "$hawserd"
rm /run/hawserd.log

step "disable, and remove for good"
hawser shim disable
kill "$daemon"
eventually 20 "containerd to end" ended "$daemon"
remove_all
eventually 60 "its processes to end" none_running
rm -rf /run/containerd
files | sort >"$list_after"
if ! diff "$list_before" "$list_after" >/tmp/difference; then
  cat /tmp/difference
  fail "something is left, or gone"
fi
step "nothing is left"
