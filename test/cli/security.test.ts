/**
 * What keeps a container in, beside what docker has: found out from inside of containers of both, on one daemon. src/docs/security.md says
 * what is held here.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { boundCapabilities } from '../../src/oci/capabilities.js';
import { Dockerd, makeImage, top } from '../support/daemons.js';
import { changed, STRICTER_MASKS } from './security-differences.js';
import { Lab } from './lab.js';

let lab: Lab;
let dockerd: Dockerd;

before(async () => {
  lab = await Lab.open();
  const calls = join(lab.rootfs, 'bin/calls');
  execFileSync('cc', ['-std=gnu11', '-O1', '-static', '-o', calls, join(top, 'test/support/calls.c')]);
  dockerd = await new Dockerd(lab.daemon).start();
  const archive = await makeImage(lab.daemon.dir, lab.rootfs, 'docker.io/library/plain:latest', ['/bin/sleep', '1000']);
  await lab.ok(['images', 'import', archive]);
  await dockerd.docker(['load', '-i', archive]);
});

after(async () => {
  await dockerd.cleanUp();
  await lab.close();
});

/** What docker's container and ours print. */
async function both(flags: readonly string[], command: readonly string[]): Promise<[docker: string, hawser: string]> {
  const args = ['run', '--rm', '--network', 'none', ...flags, 'plain', ...command];
  const docker = dockerd.docker([...args]);
  // In the host's namespaces each would see what the other does.
  if (flags.includes('host')) await docker;
  const [{ stdout }, hawser] = await Promise.all([docker, lab.ok(args)]);
  return [stdout, hawser];
}

/** All that this machine can give and that docker 20.10 has a name for. */
function manyCapabilities(): string[] {
  const late = ['CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE'];
  return boundCapabilities()
    .filter((name) => !late.includes(name))
    .flatMap((name) => ['--cap-add', name.slice('CAP_'.length)]);
}

/** By call, what it gave. */
function results(text: string): Map<string, string> {
  return new Map(
    text.split('\n').map((line) => {
      const [abi = '', call = '', ...result] = line.split(' ');
      return [`${abi} ${call}`, result.join(' ')];
    }),
  );
}

for (const [name, flags] of [
  ['by default', () => []],
  ['without capabilities', () => ['--cap-drop', 'ALL']],
  ['with many capabilities', manyCapabilities],
  ['with CAP_SYS_ADMIN alone', () => ['--cap-drop', 'ALL', '--cap-add', 'SYS_ADMIN']],
  ['as another user who gains nothing', () => ['--user', 'nobody', '--security-opt', 'no-new-privileges']],
  ['unconfined', () => ['--security-opt', 'seccomp=unconfined']],
] as const)
  test(`every system call gives what it gives under docker: ${name}`, async () => {
    const [docker, hawser] = await both(flags(), ['calls']);
    const [theirs, ours] = [results(docker), results(hawser)];
    assert.ok(ours.size > 500, hawser);
    assert.deepEqual([...ours.keys()], [...theirs.keys()]);
    const differences = [...ours].flatMap(([call, result]) => {
      const other = theirs.get(call)!;
      return result === other || changed(call, other, result)
        ? []
        : [`${call}: ${other} of docker, ${result} of hawser`];
    });
    assert.deepEqual(differences, []);
    if (name === 'by default')
      assert.equal(ours.get('native 425'), '1', 'io_uring_setup is forbidden, whatever docker this is');
  });

/** What is asked of /proc; each is a fact by itself, and lists are sorted. /dev/shm may be the host's: nothing is left there. */
const FACTS = {
  status: `grep -E '^(Cap|Seccomp|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status`,
  limits: 'cat /proc/self/limits',
  'oom score': 'cat /proc/self/oom_score_adj',
  devices:
    "ls -l /dev /dev/pts | grep -v '^total' | while read mode links user group rest; do echo $mode $user $group ${rest%% [A-Z]*} ${rest##* }; done",
  sysctls: 'cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start',
  umask: 'umask',
  writes:
    'for file in /proc/sys/kernel/domainname /sys/fs/cgroup/x /sys/x /proc/sysrq-trigger /dev/x /dev/shm/x /proc/bus/x; do if (echo >$file) 2>/dev/null; then echo $file yes; else echo $file no; fi; done; busybox rm -f /dev/shm/x',
  hidden:
    'for file in /proc/kcore /proc/keys /proc/timer_list /proc/scsi /sys/firmware; do echo $file $(head -c 1 $file 2>/dev/null | wc -c) $(ls $file 2>/dev/null | wc -l); done',
  'devices that are made': 'busybox mknod /tmp/made b 8 0 2>&1; head -c 1 /tmp/made 2>&1',
};

for (const [name, flags] of [
  ['by default', []],
  ['at a terminal', ['-t']],
  ['another user', ['--user', '1000:1000']],
  ['without capabilities', ['--cap-drop', 'ALL', '--cap-add', 'CHOWN']],
  ['nothing gained', ['--security-opt', 'no-new-privileges']],
  ['no filter', ['--security-opt', 'seccomp=unconfined']],
  ['paths of the system shown', ['--security-opt', 'systempaths=unconfined']],
  ["the host's namespaces", ['--pid', 'host', '--ipc', 'host']],
] as const)
  test(`facts from inside are those of docker's: ${name}`, async () => {
    const script = [...Object.values(FACTS), 'cat /proc/self/mounts'].map((one) => `(${one})`).join('; echo ==; ');
    const [docker, hawser] = (await both(flags, ['sh', '-c', script])).map((text) => text.split(/^==\s/m));
    for (const [n, fact] of Object.keys(FACTS).entries()) {
      assert.equal(hawser![n], docker![n], fact);
      assert.notEqual(hawser![n]?.trim(), '', fact);
    }
    const [theirs, ours] = [docker, hawser].map((all) => mounts(all!.at(-1)!));
    assert.deepEqual(
      theirs!.filter((line) => !ours!.includes(line)),
      [],
      'nothing of docker is missing',
    );
    assert.deepEqual(
      ours!.filter((line) => !theirs!.includes(line) && !STRICTER_MASKS.test(line)),
      [],
      'nothing is there that docker has not',
    );
  });

/** Without those of the root file system, and of the files that come with docker's networks. */
function mounts(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !/^\S+ (\/|\/etc\/(resolv\.conf|hosts|hostname)) /.test(line))
    .sort();
}

test("namespaces: its own, and the host's of those that docker shares", async () => {
  const names = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
  const shared = (text: string): string[] => {
    const own = text.split('\n');
    return names.filter((name, n) => own[n]!.trim() === readlinkSync(`/proc/self/ns/${name}`));
  };
  const script = `for name in ${names.join(' ')}; do busybox readlink /proc/self/ns/$name; done`;
  const [docker, hawser] = await both([], ['sh', '-c', script]);
  assert.deepEqual(shared(hawser), shared(docker));
  assert.ok(shared(hawser).includes('user') && !shared(hawser).includes('net'));
});

test('an exec is kept in as its container is', async () => {
  const args = ['run', '-d', '--network', 'none', '--name', 'kept', '--security-opt', 'no-new-privileges', 'plain'];
  await Promise.all([dockerd.docker(args), lab.ok(args)]);
  try {
    for (const flags of [[], ['--user', 'nobody']]) {
      const exec = ['exec', ...flags, 'kept', 'sh', '-c', FACTS.status];
      const [docker, hawser] = await Promise.all([dockerd.docker(exec), lab.ok(exec)]);
      assert.equal(hawser, docker.stdout);
      assert.match(hawser, /^NoNewPrivs:\s1$/m);
      assert.match(hawser, /^Seccomp:\s2$/m);
    }
  } finally {
    await Promise.all([dockerd.docker(['rm', '-f', 'kept']), lab.ok(['rm', '-f', 'kept'])]);
  }
});

test('a profile from a file: what it says is in force, by both', async () => {
  const file = join(lab.daemon.dir, 'profile.json');
  writeFileSync(
    file,
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', args: [], excludes: { caps: ['CAP_SYS_ADMIN'] } },
        { name: 'chmod', action: 'SCMP_ACT_ERRNO', includes: { minKernel: '99.0' } },
      ],
    }),
  );
  const script = 'mkdir /made; touch /file; busybox chmod 600 /file && echo changed';
  for (const flags of [[], ['--cap-add', 'SYS_ADMIN']]) {
    const [docker, hawser] = await both(
      ['--security-opt', `seccomp=${file}`, ...flags],
      ['sh', '-c', `(${script}) 2>&1; ls -d /made 2>&1; true`],
    );
    assert.equal(hawser, docker);
    assert.match(hawser, flags.length === 0 ? /Operation not permitted[^]*changed/ : /^changed\n\/made$/);
  }
  for (const [option, status] of [
    [`seccomp=${file}.none`, 125],
    ['seccomp=/etc/passwd', 125],
    ['no-such-option', 125],
    ['no-new-privileges=perhaps', 125],
  ] as const) {
    const { exitCode, stderr } = await lab.run(['--rm', '--security-opt', option], ['true']);
    assert.equal(exitCode, status, option);
    assert.match(stderr, /^hawser: --security-opt /);
  }
  // docker passes over it where the kernel has no AppArmor; where it has, there is no profile of that name.
  const confined = await Promise.all([
    dockerd.docker(['run', '--rm', '--security-opt', 'apparmor=no-such', 'plain', 'true'], { reject: false }),
    lab.hawser(['run', '--rm', '--security-opt', 'apparmor=no-such', 'plain', 'true']),
  ]);
  assert.equal(confined[1].exitCode === 0, confined[0].exitCode === 0);
});

test('--privileged takes all off', async () => {
  const script = `${FACTS.status}; grep -c . /proc/self/mounts; grep -E ' /(sys|sys/fs/cgroup|proc/[a-z-]+|sys/firmware) ' /proc/self/mounts; ls /dev`;
  const inside = await lab.ok(['run', '--rm', '--privileged', 'plain', 'sh', '-c', script]);
  assert.match(inside, /^Seccomp:\s0$/m);
  assert.match(inside, /^NoNewPrivs:\s0$/m);
  const bound = /^CapBnd:\s(\w+)$/m.exec(execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' }))![1]!;
  assert.match(inside, new RegExp(`^CapEff:\\s${bound}$`, 'm'));
  assert.match(inside, /^sysfs \/sys sysfs rw,/m);
  assert.match(inside, /^(tmpfs|cgroup2?) \/sys\/fs\/cgroup \S+ rw,/m);
  assert.doesNotMatch(inside, / \/proc\/\w+ | \/sys\/firmware /);
  for (const device of [
    'null',
    'urandom',
    ...execFileSync('sh', ['-c', 'cd /dev; ls | grep -x -e vda -e sda -e kmsg || true'], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean),
  ])
    assert.ok(inside.split('\n').includes(device), `/dev/${device}`);
  // What is asked for by name stays on.
  const kept = await lab.ok([
    'run',
    '--rm',
    '--privileged',
    '--security-opt',
    'no-new-privileges',
    '--security-opt',
    'seccomp=builtin',
    'plain',
    'sh',
    '-c',
    FACTS.status,
  ]);
  assert.match(kept, /^NoNewPrivs:\s1$/m);
  assert.match(kept, /^Seccomp:\s2$/m);
});
