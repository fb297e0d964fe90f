/** What `hawser doctor` says of machines that are not this one. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { daemonFindings } from '../../src/cli/doctor/daemons.js';
import type { Finding, Patient, Verdict } from '../../src/cli/doctor/finding.js';
import { kernelFindings } from '../../src/cli/doctor/kernel.js';
import { programFindings } from '../../src/cli/doctor/programs.js';
import { Root, Unreadable } from '../../src/cli/enable/root.js';
import { statusOf } from '../../src/cli/enable/status.js';

const V1 = Object.fromEntries(
  ['cpu', 'memory', 'pids', 'devices', 'freezer'].map((name) => [`sys/fs/cgroup/${name}/tasks`, '']),
);

function patient(t: TestContext, files: Readonly<Record<string, string>>, more: Partial<Patient> = {}): Patient {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-patient-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
    if (text.startsWith('#!')) chmodSync(join(dir, path), 0o755);
  }
  return { root: new Root(dir), release: '6.1.0-18-amd64', uid: 0, library: dir, address: undefined, ...more };
}

const program = (version: string): string => `#!/bin/sh\necho 'program version ${version}'\n`;

function said(findings: readonly Finding[], what: string): [Verdict, string] {
  const found = findings.filter((one) => one.what === what);
  assert.equal(found.length, 1, `${what}: ${JSON.stringify(findings)}`);
  return [found[0]!.verdict, `${found[0]!.found}: ${found[0]!.advice ?? ''}`];
}

function check(findings: readonly Finding[], what: string, verdict: Verdict, text: RegExp): void {
  const [given, words] = said(findings, what);
  assert.equal(given, verdict, words);
  assert.match(words, text);
}

test('kernels by what the shim takes of them', (t) => {
  for (const [release, verdict, text] of [
    ['4.19.0-26-amd64', 'wrong', /Linux 5\.3 and later/],
    ['5.2.21', 'wrong', /upgrade/],
    ['5.10.0-28-amd64', 'missing', /owners are shifted: they take Linux 5\.12/],
    ['6.1.0-18-amd64', 'ok', /^6\.1/],
    ['10.0.0', 'ok', /^10/],
  ] as const)
    check(kernelFindings(patient(t, V1, { release })), 'kernel', verdict, text);
});

test('cgroups: v1, v2, both, delegated, and none', (t) => {
  const all = 'cpuset cpu io memory hugetlb pids\n';
  const { ['sys/fs/cgroup/freezer/tasks']: _, ...noFreezer } = V1;
  const { ['sys/fs/cgroup/memory/tasks']: __, ...noMemory } = V1;
  for (const [files, verdict, text] of [
    [V1, 'ok', /^v1: $/],
    [{ ...V1, 'sys/fs/cgroup/unified/cgroup.controllers': '' }, 'ok', /^v1, with v2 beside it \(hybrid\)/],
    [noMemory, 'missing', /^v1, without memory: no --memory and out-of-memory events$/],
    [noFreezer, 'wrong', /without freezer/],
    [{ 'sys/fs/cgroup/cgroup.controllers': all }, 'ok', /^v2: $/],
    [{ 'sys/fs/cgroup/cgroup.controllers': 'memory\n' }, 'missing', /^v2, without cpu, pids: no --cpus, --pids-limit/],
    [
      {
        'sys/fs/cgroup/cgroup.controllers': all,
        'sys/fs/cgroup/cgroup.type': 'domain\n',
        'sys/fs/cgroup/cgroup.subtree_control': '\n',
      },
      'missing',
      /handed down by cgroup\.subtree_control/,
    ],
    [
      {
        'sys/fs/cgroup/cgroup.controllers': all,
        'sys/fs/cgroup/cgroup.type': 'domain\n',
        'sys/fs/cgroup/cgroup.subtree_control': all,
      },
      'ok',
      /^v2, in a container/,
    ],
    [{}, 'wrong', /mount cgroup2 there/],
  ] as const)
    check(kernelFindings(patient(t, files)), 'cgroups', verdict, text);
});

test('programs: what is not there, too old, or does not run', (t) => {
  const none = programFindings(patient(t, V1));
  for (const [what, verdict] of [
    ['runc', 'wrong'],
    ['crun', 'missing'],
    ['criu', 'missing'],
    ['CNI plugins', 'missing'],
    ['iptables', 'missing'],
    ['ip6tables', 'missing'],
    ['containerd', 'missing'],
    ['docker', 'missing'],
  ] as const)
    check(none, what, verdict, /./);
  const some = programFindings(
    patient(t, {
      'usr/bin/crun': program('1.21'),
      'usr/bin/criu': program('4.0'),
      'usr/bin/containerd': program('github.com/containerd/containerd v1.4.13'),
      'usr/sbin/dockerd': '#!/bin/sh\nexit 1\n',
      ...Object.fromEntries(
        ['bridge', 'host-local', 'portmap', 'firewall', 'tuning'].map((name) => [`opt/cni/bin/${name}`, '']),
      ),
      'usr/sbin/iptables': program('iptables v1.8.9 (nf_tables)'),
    }),
  );
  check(some, 'runc', 'missing', /--runc-binary crun/);
  check(some, 'crun', 'ok', /1\.21/);
  check(some, 'criu', 'ok', /4\.0/);
  check(some, 'CNI plugins', 'ok', /opt/);
  check(some, 'iptables', 'ok', /1\.8\.9/);
  check(some, 'containerd', 'wrong', /^1\.4\.13, .*upgrade it$/);
  check(some, 'docker', 'wrong', /does not run: install it again/);
  const hybrid = programFindings(
    patient(t, {
      'usr/bin/crun': program('1.21'),
      'usr/bin/runc': program('1.3.0'),
      'usr/lib/cni/bridge': '',
      'usr/bin/containerd': program('2.1.0'),
      'etc/containerd/config.toml': 'no toml',
      'usr/bin/dockerd': program('28.0.1'),
      'etc/docker/daemon.json': '{,}',
      'sys/fs/cgroup/unified/cgroup.controllers': '',
    }),
  );
  check(hybrid, 'crun', 'missing', /beside v1/);
  check(hybrid, 'CNI plugins', 'missing', /without host-local, portmap.*containernetworking-plugins/);
  check(hybrid, 'runc', 'ok', /1\.3\.0/);
  check(hybrid, 'containerd', 'wrong', /is no TOML/);
  check(hybrid, 'docker', 'wrong', /is no JSON/);
});

/** Says its version, and fails to list a table, or all. */
function filterProgram(version: string, table: string, words: string): string {
  return `#!/bin/sh\n[ "$1" = --version ] && echo '${version}' && exit\n[ "$3" = ${table} ] || exit 0\necho '${words}' >&2\nexit 3\n`;
}

test('iptables that is there and does not work, by its own words', (t) => {
  const legacy = 'iptables v1.8.9 (legacy)';
  const noTable =
    'can\u2019t initialize iptables table: Table does not exist (do you need to insmod?)\nPerhaps your kernel needs to be upgraded.';
  const with6 = (text: string): Record<string, string> => ({
    'etc/cni/net.d/a.conflist': text,
    'etc/cni/net.d/b': 'x',
  });
  const findings = (files: Readonly<Record<string, string>>, more: Partial<Patient> = {}): Finding[] => {
    const ill = patient(t, files, more);
    Object.defineProperty(ill.root, 'isThisMachine', { value: true });
    return programFindings(ill);
  };
  const works = { 'usr/sbin/iptables': program(legacy), 'usr/sbin/ip6tables': program(legacy) };
  for (const what of ['iptables', 'ip6tables']) check(findings(works), what, 'ok', /^1\.8\.9, \S+tables: $/);
  for (const table of ['nat', 'filter']) {
    const files = { ...works, 'usr/sbin/iptables': filterProgram(legacy, table, noTable) };
    check(
      findings(files),
      'iptables',
      'wrong',
      new RegExp(
        `^1\\.8\\.9, .*, but \`iptables -w -t ${table} -S\` fails: .*do you need to insmod\\?\\); Perhaps .*: no networks but none and host, .*update-alternatives`,
      ),
    );
    // Who is not root may not list them in any case, and another machine's kernel is not this one.
    check(findings(files, { uid: 1000 }), 'iptables', 'ok', /not tried/);
    check(programFindings(patient(t, files)), 'iptables', 'ok', /1\.8\.9/);
  }
  const silent = { ...works, 'usr/sbin/iptables': '#!/bin/sh\nexit 4\n' };
  check(findings(silent), 'iptables', 'wrong', /fails: it ends with 4: /);
  const denied = '# Warning: tables present\nCould not fetch rule set: Permission denied (you must be root)';
  const rightless = { ...works, 'usr/sbin/iptables': filterProgram(legacy, 'nat', denied) };
  check(findings(rightless), 'iptables', 'wrong', /fails: Could not .*: no networks .* CAP_NET_ADMIN$/);
  // A network with IPv6 needs the other one; else it is no fault to have none.
  const no6 = { ...works, 'usr/sbin/ip6tables': filterProgram(legacy, 'nat', 'Address family not supported') };
  check(findings(no6), 'ip6tables', 'missing', /Address family not supported: no networks with IPv6$/);
  check(findings({ ...no6, ...with6('{"subnet": "10.1.0.0/16"}') }), 'ip6tables', 'missing', /./);
  check(findings({ ...no6, ...with6('{"subnet": "fd00:1::/64"}') }), 'ip6tables', 'wrong', /a\.conflist has IPv6, /);
  check(findings({ 'sbin/iptables': program(legacy) }), 'ip6tables', 'missing', /^not found: no networks but /);
});

test('a configuration that this user may not read is no alarm', (t) => {
  const ill = patient(t, { 'usr/bin/containerd': program('2.1.0'), 'usr/bin/dockerd': program('28.0.1') });
  ill.root.read = (path) => {
    throw new Unreadable(`${path} cannot be read`);
  };
  for (const what of ['containerd', 'docker']) check(programFindings(ill), what, 'missing', /was not looked at/);
});

test('sockets: one that was named must answer, others may be missing', async (t) => {
  const ill = patient(t, { 'run/hawser/hawserd.sock': '' });
  mkdirSync(ill.root.at('/run/containerd'), { recursive: true });
  const server = createServer().listen(ill.root.at('/run/containerd/containerd.sock'));
  t.after(() => server.close());
  const found = await daemonFindings(ill);
  check(found, "containerd's socket", 'ok', /answers/);
  check(found, "hawserd's socket", 'missing', /nobody listens/);
  check(found, "docker's socket", 'missing', /is not there/);
  const named = await daemonFindings({ ...ill, address: '/no/such.sock' });
  check(named, 'the socket that was named', 'wrong', /\/no\/such\.sock is not there/);
});

const SHIM = '/opt/hawser/bin/containerd-shim-runc-v2';
const UNITS = {
  'lib/systemd/system/containerd.service': '[Service]\nExecStart=/usr/bin/containerd\nKillMode=process\n',
  'usr/bin/containerd-shim-runc-v2': 'Go',
};

test('what is enabled leads somewhere', async (t) => {
  const lost = patient(t, {
    ...UNITS,
    'etc/systemd/system/containerd.service.d/zz-hawser.conf':
      '# Written by `hawser shim enable`, removed by `hawser shim disable`; sha256 0000000000000000\n[Service]\nEnvironment=PATH=/gone:/usr/bin\n',
    'bin/containerd-shim-runc-v2': '',
  });
  check(await daemonFindings(lost), 'enabled', 'wrong', /containerd\.service leads to \/gone\/.*, which is not there/);
  const nowhere = patient(t, { ...UNITS, 'bin/containerd-shim-runc-v2': '' });
  check(await daemonFindings(nowhere), 'enabled', 'missing', /hawser shim enable/);
});

test('a daemon that was started before is seen to find another shim', (t) => {
  const { root } = patient(t, {
    [SHIM]: "hawser's library: ",
    ...UNITS,
    'etc/systemd/system/containerd.service.d/zz-hawser.conf': `[Service]\nEnvironment=PATH=${dirname(SHIM)}:/usr/bin\n`,
    'proc/7/comm': 'containerd-shim\n',
    'proc/7/cgroup': '1:name=systemd:/system.slice/containerd.service\n',
    'proc/7/cmdline': 'containerd-shim-runc-v2\0-namespace\0x\0-id\0y\0-address\0z\0',
    'proc/8/comm': 'containerd\n',
    'proc/8/cgroup': '1:name=systemd:/system.slice/containerd.service\n',
    'proc/8/environ': 'A=1\0PATH=/usr/bin:/bin\0',
  });
  Object.defineProperty(root, 'isThisMachine', { value: true });
  const { services } = statusOf(root, SHIM, root.at('/proc'));
  assert.deepEqual(services, [
    {
      name: 'containerd.service',
      next: { shim: SHIM, isOurs: true },
      running: { pid: 8, finds: { shim: '/usr/bin/containerd-shim-runc-v2', isOurs: false } },
    },
  ]);
});
