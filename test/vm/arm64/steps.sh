#!/bin/sh
# steps.sh ARCHIVE PAGE: run in the emulated machine (../arm64.ts). Installs Hawser from its archive, as the documents say, and uses
# it: containerd and ctr, hawser on that containerd, hawserd. PAGE is the size of a page in bytes. Says what each step gave, and
# stops at the first that is wrong. In the end nothing may be left.
set -eu
archive=$1 page=$2
lib=/usr/local/lib/hawser
shim=$lib/bin/containerd-shim-runc-v2
task=io.containerd.runtime.v2.task
patience=${HAWSER_TEST_PATIENCE:-8}
work=/root/work
mkdir -p "$work"
cd "$work"
mkfifo hold
exec 9<>hold

up() { cut -d' ' -f1 /proc/uptime; }
step() { echo "== $(up) s: $*"; }
gave() { sed 's/^/   /'; }
fail() {
  echo "FAILED: $*" >&2
  ps ax -o pid,ppid,stat,args | grep -v '\[' >&2
  tail -n 30 "$work"/*.log >&2 || true
  exit 1
}
is() { # is WHAT FOUND WANTED
  [ "$2" = "$3" ] || fail "$1 is '$2', and not '$3'"
  echo "   $1: $2"
}
eventually() { # eventually WHAT COMMAND…: within five seconds of an idle, unemulated machine
  what=$1
  shift
  # Not too often: who asks takes time from who is waited for.
  for _ in $(seq $((patience * 10))); do
    if "$@"; then return; fi
    sleep 0.5
  done
  fail "waited in vain for $what"
}
status() { # status COMMAND…: its exit status
  if "$@" >"$work/out" 2>"$work/err" </dev/null; then echo 0; else echo $?; fi
}
has_socket() { [ -S "$1" ]; }
ended() { [ ! -e "/proc/$1" ]; }
with_words() { pgrep -f -- "$1" || true; }
# Of the shim's program, whatever they call themselves: monitors, workers, zygotes.
ours() { for one in /proc/[0-9]*; do case $(readlink "$one/exe") in "$lib"/*) echo "${one#/proc/}" ;; esac done; }
none_of_ours() { [ -z "$(ours)" ]; }
zygote() { with_words ' zygote /run/hawser/'; }
# Until it has rehearsed it has an environment to show, and waits elsewhere.
idle_zygote() {
  one=$(zygote)
  [ -n "$one" ] && [ ! -s "/proc/$one/environ" ] && grep -qE '^(do_sys_poll|poll_schedule_timeout)' "/proc/$one/wchan"
}
asleep() { [ -z "$(with_words "hawser-worker $1 ")" ]; }
awake() { ! asleep "$1"; }
deleted() { # deleted ID: the exit status that ctr tells when it deletes a task
  ctr task delete "$1" >out 2>err || fail "ctr task delete $1: $(cat err)"
  sed -nE 's/.*exit with non-zero exit code ([0-9]+).*/\1/p' err
}
runs() { ctr task ls | grep -q "^$1 .*RUNNING"; }
stopped() { ctr task ls | grep -q "^$1 .*STOPPED"; }
state() { # state BUNDLE SCRIPT: of the state dump `s`
  (cd "$1" && "$shim" debug) >state.json || fail "no state dump"
  "$lib/node" -e "const s = JSON.parse(require('fs').readFileSync('state.json')); console.log($2)"
}
in_terminal() { # in_terminal COMMAND: what it shows on a terminal of 33 rows and 90 columns
  # Its input does not end.
  script -qec "stty rows 33 cols 90; $1" /dev/null <&9 | tr -d '\r'
}
# Of the daemons, runtimes and containers, a namespace's cgroup among them; and hawserd's own data, which an uninstallation names and leaves.
traces() {
  find /run /etc /usr /sys/fs/cgroup -xdev \( -path /run/.vm -o -path /run/containerd/$task -o -path '/usr/lib/modules' \) -prune -o -print |
    grep -vE '^/sys/fs/cgroup/([^/]*|(init|default)/.*)$|^/run/(containerd|docker|crun|hawser|xtables.lock|lock)|^/etc/(docker|cni)'
  cut -d' ' -f2 /proc/mounts | grep -v '^/sys/fs/bpf'
}

step "the machine"
is 'what uname says' "$(uname -m)" aarch64
is 'bytes in a page' "$(awk '/^KernelPageSize/ { print $2 * 1024; exit }' /proc/self/smaps)" "$page"
mkdir -p /srv/root/bin /srv/root/proc /srv/root/tmp /etc/containerd
cp /usr/bin/busybox /srv/root/bin/busybox
for name in sh cat echo sleep stty tty id hostname wget httpd; do ln -s busybox "/srv/root/bin/$name"; done
# What says where it has a terminal, and its size, which comes after the start.
cat >/srv/root/bin/sized <<'SIZED'
#!/bin/sh
until [ "$(stty size 2>/dev/null)" = '33 90' ]; do sleep 1; done
tty
stty size
SIZED
chmod 755 /srv/root/bin/sized
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >/etc/containerd/config.toml
traces | sort >before

step "install it from its archive"
(cd "$(dirname "$archive")" && grep "$(basename "$archive")" SHA256SUMS | sha256sum --check --quiet) || fail "not the archive of SHA256SUMS"
tar -xzf "$archive"
"$(basename "$archive" .tar.gz)"/install.sh | gave
rm -rf "$(basename "$archive" .tar.gz)"
hawser --version | gave
"$shim" -v | gave
hawser shim enable | gave
dropin=/etc/systemd/system/containerd.service.d/zz-hawser.conf
path=$(sed -n 's/^Environment="*PATH=\([^"]*\)"*$/\1/p' "$dropin")
is 'the first directory of PATH in the drop-in' "${path%%:*}" "$lib/bin"

step "containerd"
env PATH="$path" HAWSER_SLEEP=2 containerd >containerd.log 2>&1 &
containerd=$!
eventually "containerd's socket" has_socket /run/containerd/containerd.sock
hawser doctor >doctor || true
gave <doctor
grep -qE '^ok +shim' doctor || fail "hawser doctor is not content with the shim"

step "ctr run, with output"
is 'its exit status' "$(status ctr run --rm --rootfs /srv/root one /bin/sh -c 'echo out; echo err >&2; exit 7')" 7
is 'what it printed' "$(cat out)" out
is 'and its errors' "$(cat err)" err
eventually "a zygote" idle_zygote
zygote=$(zygote)
echo "   its start has left a zygote, which has rehearsed: $zygote"
sleep 3
idle_zygote || fail "the zygote rests for a moment only"
is 'the zygote' "$(zygote)" "$zygote"

step "another, by the zygote"
ctr run -d --rootfs /srv/root two /bin/sh -c 'trap "echo term; exit 3" TERM; echo begins; while :; do sleep 1; done'
two=/run/containerd/$task/default/two
is 'where its shim comes from' "$(state $two "s.timeline.some(({ what }) => what === 'forked')")" true
is 'rehearsals that failed' "$(state $two "s.timeline.filter(({ what }) => what.startsWith('rehearsal failed')).length")" 0
is 'the zygote' "$(zygote)" "$zygote"
is 'complaints of its shim' "$(state $two 'JSON.stringify([s.recentErrors, s.deaths, s.orphans.zombies])')" '[[],{},[]]'
state $two "'Node ' + s.node + ', ' + s.openDescriptors + ' descriptors, rss ' + s.metrics.rssBytes" | gave

step "exec"
is 'its exit status' "$(status ctr task exec --exec-id a two /bin/sh -c 'echo hello; echo sorry >&2; exit 5')" 5
is 'what it printed' "$(cat out)" hello
is 'and its errors' "$(cat err)" sorry
is 'with its input' "$(echo typed | ctr task exec --exec-id b two /bin/cat)" typed

step "a terminal"
is 'of a container' "$(in_terminal 'ctr run --rm -t --rootfs /srv/root three /bin/sized' | tr '\n' ' ')" '/dev/pts/0 33 90 '
is 'of an exec' "$(in_terminal 'ctr task exec -t --exec-id c two /bin/sized' | tr '\n' ' ')" '/dev/pts/0 33 90 '

step "a shim that sleeps"
monitor=$(cat "$two/shim.pid" 2>/dev/null || with_words '-id two start')
eventually "its worker to leave" asleep default/two
echo "   its monitor: $(grep -E '^(Rss|Private_Dirty)' "/proc/$monitor/smaps_rollup" | tr -s ' \n' ' ')"
runs two || fail "ctr task ls does not have it"
asleep default/two || fail "ctr task ls has woken it"
is 'an exec that wakes it' "$(ctr task exec --exec-id d two /bin/echo woken)" woken
awake default/two || fail "no worker after an exec"
is 'how it was woken' "$(state $two '[s.sleep.times >= 1, Boolean(s.sleep.wokenBy)]')" '[ true, true ]'
worker=$(with_words 'hawser-worker default/two ')

step "a worker that is killed"
kill -9 "$worker"
is 'an exec after it' "$(ctr task exec --exec-id e two /bin/echo again)" again
is 'deaths that its shim knows of' "$(state $two 's.deaths.count ?? s.deaths.times ?? JSON.stringify(s.deaths)' | cut -c1-1)" 1

step "pause, ps, metrics"
ctr task pause two
ctr task ls | grep '^two .*PAUSED' | gave
ctr task resume two
runs two || fail "it doesn't go on"
ctr task ps two | gave
ctr task metrics two | grep -E '^(memory.usage|pids.current|cpu.usage)' | gave

step "stop, kill, delete"
ctr task kill --signal SIGTERM two
eventually "its end" stopped two
is 'its exit status' "$(deleted two)" 3
ctr container rm two
ctr run -d --rootfs /srv/root four /bin/sleep 1000
ctr task exec -d --exec-id f four /bin/sleep 1000
ctr task kill --signal SIGKILL four
eventually "its end" stopped four
is 'its exit status' "$(deleted four)" 137
ctr container rm four

step "hawser on that containerd"
export CONTAINERD_ADDRESS=/run/containerd/containerd.sock
is 'hawser run' "$(hawser run --rm --net none --rootfs /srv/root busybox echo hello)" hello
hawser run -d --net none --name five -m 64m --rootfs /srv/root busybox sh -c 'echo begins; while :; do sleep 1; done' >/dev/null
hawser ps | tee ps | gave
grep -q ' five$' ps || fail "hawser ps does not have it"
is 'hawser exec, and the limit of its memory' "$(hawser exec five cat /sys/fs/cgroup/memory.max)" 67108864
hawser stats --no-stream | gave
is 'hawser logs' "$(hawser logs five)" begins
hawser debug five >debug || fail "hawser debug"
hawser stop -t 1 five
is 'hawser wait' "$(hawser wait five)" 137
hawser rm five
is 'a terminal' "$(in_terminal 'hawser run --rm -it --net none --rootfs /srv/root sized' | tail -n 1)" '33 90'
is 'one that takes too much memory' "$(status hawser run --rm --net none -m 16m --rootfs /srv/root sh -c 'a=x; while :; do a=$a$a; done')" 137

step "an image, on overlayfs"
tar -C /srv/root -cf image.tar bin tmp proc
hawser import image.tar example.test/busybox:1 | gave
is 'hawser run' "$(hawser run --rm --net none example.test/busybox:1 sh -c 'echo written >/tmp/x; cat /tmp/x')" written
hawser save -o saved.tar example.test/busybox:1
is 'ctr run' "$(ctr run --rm example.test/busybox:1 six echo hello)" hello
hawser rmi example.test/busybox:1 | gave
unset CONTAINERD_ADDRESS

step "nothing is left of these containers"
is 'tasks' "$(ctr task ls -q)" ''
is 'containers' "$(ctr container ls -q)" ''
is 'bundles' "$(ls /run/containerd/$task/default)" ''
only_zygote() { [ "$(ours)" = "$(zygote)" ]; }
eventually "its shims to go" only_zygote
# That of a namespace stays, whoever's shim it is.
is 'cgroups' "$(find /sys/fs/cgroup -mindepth 2 -type d)" ''
is 'mounts' "$(grep -c "$task\|/run/hawser" /proc/mounts || true)" 0

step "hawserd"
hawserd >hawserd.log 2>&1 &
hawserd=$!
eventually "hawserd's socket" has_socket /run/hawser/hawserd.sock
is 'ctr run' "$(ctr -a /run/hawser/hawserd.sock run --rm --rootfs /srv/root seven /bin/echo hello)" hello
hawser load -i saved.tar | gave
is 'hawser run' "$(hawser run --rm --net none example.test/busybox:1 echo hello)" hello
hawser rmi example.test/busybox:1 | gave
kill "$hawserd"
eventually "hawserd to end" ended "$hawserd"
grep -E '"?level"?[=:]"?(warn|error)' hawserd.log | gave || true

step "disable it, and uninstall"
hawser shim disable | gave
kill "$containerd"
eventually "containerd to end" ended "$containerd"
eventually "its processes to end" none_of_ours
"$lib/uninstall.sh" | gave
# What daemons leave behind is theirs; a worker was killed here.
grep -E 'level=(warning|error)' containerd.log | sed 's/time="[^"]*" //' | sort | uniq -c | gave || true
if grep -E 'level=(warning|error)' containerd.log | grep -E 'runtime=|hawser|shim' | grep -v 'cleaning up after shim disconnected\|the worker ended without a word'; then
  fail "containerd's log has warnings of the shim"
fi
traces | sort >after
if ! diff before after >difference; then
  gave <difference
  fail "something is left, or gone"
fi
step "nothing is left"
