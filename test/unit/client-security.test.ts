/** What the client and the command line make of seccomp profiles, AppArmor, and other options of security. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FailedPreconditionError, InvalidArgumentError } from '../../src/client/errors.js';
import { DEFAULT_PROFILE } from '../../src/client/seccomp/default-profile.js';
import { kernelHasSeccomp } from '../../src/client/seccomp/kernel.js';
import { resolveSeccomp, type SeccompPlace } from '../../src/client/seccomp/resolve.js';
import type { SeccompProfile } from '../../src/client/seccomp/types.js';
import { appArmorProfile, type AppArmorHost } from '../../src/client/spec/apparmor.js';
import { addInit } from '../../src/client/spec/init.js';
import { makeSpec } from '../../src/client/spec/make.js';
import type { Spec, SpecOptions } from '../../src/client/spec/types.js';
import { securityOptions } from '../../src/cli/options/security.js';
import { boundCapabilities } from '../../src/oci/capabilities.js';

const X64: SeccompPlace = { capabilities: [], arch: 'x64', kernel: '6.1.0-21-amd64' };

/** The rules about a call, in short: `allow`, `errno 38`, `allow arg0 EQ 1`. */
function rules(call: string, place: Partial<SeccompPlace> = {}, profile = DEFAULT_PROFILE): string[] {
  const { syscalls = [] } = resolveSeccomp(profile, { ...X64, ...place })!;
  return syscalls
    .filter(({ names }) => names.includes(call))
    .map(({ action, errnoRet, args = [] }) =>
      [
        action.replace('SCMP_ACT_', '').toLowerCase(),
        ...(errnoRet === undefined ? [] : [errnoRet]),
        ...args.map(({ index, op, value }) => `arg${index} ${op.replace('SCMP_CMP_', '')} ${value}`),
      ].join(' '),
    );
}

function spec(options: SpecOptions): Promise<Spec> {
  return makeSpec({
    id: 'one',
    namespace: 'space',
    options: { args: ['true'], ...options },
    withRoot: (look) => Promise.resolve(look(undefined)),
  });
}

test('the default profile: by capability, architecture, kernel and arguments', () => {
  const { defaultAction, defaultErrnoRet, architectures } = resolveSeccomp(DEFAULT_PROFILE, X64)!;
  assert.deepEqual([defaultAction, defaultErrnoRet], ['SCMP_ACT_ERRNO', 1]);
  assert.deepEqual(architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']);
  assert.deepEqual(resolveSeccomp(DEFAULT_PROFILE, { ...X64, arch: 'arm64' })!.architectures, [
    'SCMP_ARCH_AARCH64',
    'SCMP_ARCH_ARM',
  ]);
  assert.deepEqual(rules('read'), ['allow']);
  for (const never of [
    'add_key',
    'keyctl',
    'io_uring_setup',
    'userfaultfd',
    'kexec_load',
    'swapon',
    'nfsservctl',
    'uselib',
  ])
    assert.deepEqual(rules(never, { capabilities: boundCapabilities() }), [], never);
  for (const [call, cap] of [
    ['mount', 'CAP_SYS_ADMIN'],
    ['open_by_handle_at', 'CAP_DAC_READ_SEARCH'],
    ['reboot', 'CAP_SYS_BOOT'],
    ['chroot', 'CAP_SYS_CHROOT'],
    ['init_module', 'CAP_SYS_MODULE'],
    ['acct', 'CAP_SYS_PACCT'],
    ['kcmp', 'CAP_SYS_PTRACE'],
    ['iopl', 'CAP_SYS_RAWIO'],
    ['settimeofday', 'CAP_SYS_TIME'],
    ['vhangup', 'CAP_SYS_TTY_CONFIG'],
    ['mbind', 'CAP_SYS_NICE'],
    ['syslog', 'CAP_SYSLOG'],
    ['bpf', 'CAP_BPF'],
    ['perf_event_open', 'CAP_PERFMON'],
  ] as const) {
    assert.deepEqual(rules(call), [], call);
    assert.deepEqual(rules(call, { capabilities: [cap] }), ['allow'], `${call} with ${cap}`);
  }
  assert.deepEqual(rules('ptrace', { kernel: '4.7.9' }), []);
  assert.deepEqual(rules('ptrace', { kernel: '4.8.0' }), ['allow']);
  assert.deepEqual(rules('arch_prctl'), ['allow']);
  assert.deepEqual(rules('arch_prctl', { arch: 'arm64' }), []);
  assert.deepEqual(rules('clone'), [`allow arg0 MASKED_EQ ${0x7e020000}`]);
  assert.deepEqual(rules('clone', { arch: 's390x' }), [`allow arg1 MASKED_EQ ${0x7e020000}`]);
  assert.deepEqual(rules('clone', { capabilities: ['CAP_SYS_ADMIN'] }), ['allow']);
  assert.deepEqual(rules('clone3'), ['errno 38']);
  assert.deepEqual(rules('clone3', { capabilities: ['CAP_SYS_ADMIN'] }), ['allow']);
  const families = rules('socket');
  for (const family of [0, 38, 40]) assert.ok(!families.includes(`allow arg0 EQ ${family}`));
  assert.ok(families.includes('allow arg0 LT 12') && families.includes('allow arg0 EQ 16'));
  assert.equal(rules('personality').length, 5);
  assert.equal(new Set(DEFAULT_PROFILE.syscalls![0]!.names).size, DEFAULT_PROFILE.syscalls![0]!.names!.length);
});

test("a profile of one's own: resolved as docker resolves it, and refused when it contradicts itself", () => {
  const profile = (more: SeccompProfile): SeccompProfile => ({ defaultAction: 'SCMP_ACT_ALLOW', ...more });
  const own = profile({
    architectures: ['SCMP_ARCH_X86_64'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [
      { name: 'mkdir', action: 'SCMP_ACT_ERRNO', errnoRet: 13, args: null },
      { names: ['chown'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_CHOWN', 'CAP_FOWNER'] } },
      { names: ['bpf'], action: 'SCMP_ACT_ERRNO', excludes: { minKernel: '6.0' }, includes: {} },
    ],
  });
  assert.deepEqual(rules('mkdir', {}, own), ['errno 13']);
  assert.deepEqual(rules('chown', {}, own), ['errno']);
  assert.deepEqual(rules('chown', { capabilities: ['CAP_FOWNER'] }, own), [], 'any of those excluded is enough');
  assert.deepEqual(rules('bpf', {}, own), []);
  assert.deepEqual(rules('bpf', { kernel: '5.10' }, own), ['errno']);
  const { architectures, flags, defaultErrnoRet } = resolveSeccomp(own, X64)!;
  assert.deepEqual(
    [architectures, flags, defaultErrnoRet],
    [['SCMP_ARCH_X86_64'], ['SECCOMP_FILTER_FLAG_LOG'], undefined],
  );
  assert.equal(resolveSeccomp({}, X64), undefined, 'nothing is said');
  for (const bad of [
    { syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] },
    profile({ architectures: ['A'], archMap: [{ architecture: 'B' }] }),
    profile({ syscalls: [{ name: 'read', names: ['write'], action: 'SCMP_ACT_ALLOW' }] }),
    profile({ syscalls: [{ action: 'SCMP_ACT_ALLOW' }] }),
    profile({ syscalls: [{ name: 'read', action: 'SCMP_ACT_ALLOW', includes: { minKernel: 'four' } }] }),
    profile({ syscalls: { read: true } as never }),
  ])
    assert.throws(() => resolveSeccomp(bad, X64), InvalidArgumentError, JSON.stringify(bad));
});

test('seccomp of a container: the default by its capabilities, none when privileged, what is chosen always', async () => {
  const allowed = ({ linux }: Spec, call: string): boolean =>
    linux!.seccomp!.syscalls!.some(({ names, args }) => names.includes(call) && args === undefined);
  assert.equal(kernelHasSeccomp('Name:\tcat\n'), false);
  assert.ok(kernelHasSeccomp('NoNewPrivs:\t0\nSeccomp:\t0\n'));
  assert.ok(allowed(await spec({}), 'chroot'));
  assert.ok(!allowed(await spec({}), 'mount'));
  assert.ok(allowed(await spec({ capAdd: ['SYS_ADMIN'] }), 'mount'));
  assert.ok(!allowed(await spec({ capDrop: ['ALL'] }), 'chroot'));
  for (const off of [{ seccomp: 'unconfined' }, { privileged: true }, { seccomp: {} }] as const)
    assert.equal((await spec(off)).linux!.seccomp, undefined);
  assert.ok(allowed(await spec({ privileged: true, seccomp: 'default' }), 'mount'));
  const own = { defaultAction: 'SCMP_ACT_ALLOW' };
  assert.deepEqual((await spec({ seccomp: own })).linux!.seccomp, { ...own, syscalls: [] });
  await assert.rejects(spec({ seccomp: 'strict' as never }), InvalidArgumentError);
});

test('what of /proc, /sys and the devices a container has, and its sysctls', async () => {
  const usual = await spec({});
  assert.ok(usual.linux!.maskedPaths!.includes('/proc/interrupts'));
  assert.ok(usual.linux!.readonlyPaths!.includes('/proc/sys'));
  const options = ({ mounts }: Spec, path: string): string[] =>
    mounts!.find(({ destination }) => destination === path)!.options!;
  assert.ok(options(usual, '/sys/fs/cgroup').includes('ro') && options(usual, '/sys').includes('ro'));
  assert.equal(usual.linux!.sysctl?.['net.ipv4.ip_unprivileged_port_start'], '0');
  const open = await spec({ systemPaths: 'unconfined', sysctl: { 'net.ipv4.ip_unprivileged_port_start': '80' } });
  assert.deepEqual([open.linux!.maskedPaths, open.linux!.readonlyPaths], [[], []]);
  assert.ok(open.linux!.seccomp, 'the rest stays');
  assert.equal(open.linux!.sysctl!['net.ipv4.ip_unprivileged_port_start'], '80');
  assert.equal((await spec({ network: 'host' })).linux!.sysctl, undefined);
  const privileged = await spec({ privileged: true, devices: ['/dev/null'] });
  assert.ok(!options(privileged, '/sys/fs/cgroup').includes('ro') && !options(privileged, '/sys').includes('ro'));
  const paths = privileged.linux!.devices!.map(({ path }) => path);
  assert.equal(paths.filter((path) => path === '/dev/null').length, 1, 'a device is there once');
  assert.ok(!paths.some((path) => path.startsWith('/dev/pts/') || path === '/dev/console'));
  const shm = (await spec({ hostNamespaces: ['ipc'] })).mounts!.find(({ destination }) => destination === '/dev/shm');
  assert.deepEqual([shm?.type, shm?.source], ['bind', '/dev/shm']);
});

test('capabilities: of ALL that are added, those that are dropped by name are not', async () => {
  const set = async (capAdd: string[], capDrop: string[]): Promise<string[]> =>
    (await spec({ capAdd, capDrop })).process!.capabilities!.bounding!;
  assert.deepEqual(
    new Set(await set(['ALL'], ['SYS_ADMIN', 'CHOWN'])),
    new Set(boundCapabilities().filter((name) => !/^CAP_(SYS_ADMIN|CHOWN)$/.test(name))),
  );
  assert.deepEqual(await set(['CHOWN', 'KILL'], ['ALL']), ['CAP_CHOWN', 'CAP_KILL']);
  assert.ok((await set(['CHOWN'], ['CHOWN'])).includes('CAP_CHOWN'), 'what is added wins, as for docker');
  assert.equal((await set(['all'], ['ALL'])).length, boundCapabilities().length);
});

/** A machine with AppArmor, whose parser keeps what it is told to load. */
function appArmorMachine(t: TestContext, { loads = true } = {}): AppArmorHost & { readonly loaded: string } {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-apparmor-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const [enabled, securityfs, parser, loaded] = ['enabled', 'securityfs', 'parser', 'loaded'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string];
  mkdirSync(securityfs);
  writeFileSync(join(securityfs, 'profiles'), 'docker-default (enforce)\n');
  writeFileSync(enabled, 'Y\n');
  writeFileSync(parser, loads ? `#!/bin/sh\ncat >${loaded}\n` : '#!/bin/sh\necho line 1: no >&2; exit 1\n');
  chmodSync(parser, 0o755);
  return { enabled, securityfs, parser, loaded, abi: join(dir, 'abi') };
}

test('AppArmor: loaded where the kernel has it, passed over where not', async (t) => {
  const host = appArmorMachine(t);
  assert.equal(await appArmorProfile('unconfined', host), 'unconfined');
  assert.equal(await appArmorProfile('docker-default', host), 'docker-default');
  assert.ok(!existsSync(host.loaded), 'what others have loaded is theirs');
  assert.equal(await appArmorProfile(undefined, host), 'hawser-default');
  const text = readFileSync(host.loaded, 'utf8');
  assert.match(text, /^profile hawser-default flags=\(attach_disconnected,mediate_deleted\) \{$/m);
  assert.match(text, /^ {2}deny mount,$/m);
  assert.doesNotMatch(text, /^abi/m);
  rmSync(host.loaded);
  writeFileSync(join(host.securityfs, 'profiles'), 'docker-default (enforce)\nhawser-default (enforce)\n');
  assert.equal(await appArmorProfile(undefined, host), 'hawser-default');
  assert.ok(!existsSync(host.loaded), 'it is loaded once');
  writeFileSync(host.enabled, 'N\n');
  for (const name of [undefined, 'unconfined', 'any']) assert.equal(await appArmorProfile(name, host), undefined);
});

test('AppArmor: a profile that cannot be loaded is no container without one', async (t) => {
  const host = appArmorMachine(t, { loads: false });
  await assert.rejects(appArmorProfile(undefined, host), (error: Error) => {
    assert.ok(error instanceof FailedPreconditionError);
    assert.match(
      error.message,
      /^AppArmor profile hawser-default cannot be loaded: line 1: no: install the package apparmor/,
    );
    return true;
  });
  await assert.rejects(
    appArmorProfile(undefined, { ...host, parser: join(host.securityfs, 'none') }),
    /there is no .*none/,
  );
});

test('--security-opt, in all the ways in which docker takes it', (t) => {
  assert.deepEqual(securityOptions(), { noNewPrivileges: false });
  for (const [text, value] of [
    ['no-new-privileges', true],
    ['no-new-privileges=true', true],
    ['no-new-privileges:true', true],
    ['no-new-privileges=1', true],
    ['no-new-privileges=false', false],
  ] as const)
    assert.equal(securityOptions([text]).noNewPrivileges, value, text);
  assert.equal(securityOptions(['no-new-privileges', 'no-new-privileges=false']).noNewPrivileges, false);
  const dir = mkdtempSync(join(tmpdir(), 'hawser-seccomp-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'profile.json');
  writeFileSync(file, '{"defaultAction":"SCMP_ACT_ALLOW"}');
  assert.deepEqual(
    ['unconfined', 'builtin', file].map((value) => securityOptions([`seccomp=${value}`]).seccomp),
    ['unconfined', 'default', { defaultAction: 'SCMP_ACT_ALLOW' }],
  );
  assert.equal(securityOptions(['seccomp:unconfined']).seccomp, 'unconfined');
  assert.equal(securityOptions(['apparmor=mine']).apparmor, 'mine');
  assert.equal(securityOptions(['systempaths=unconfined']).systemPaths, 'unconfined');
  assert.deepEqual(securityOptions(['label=disable']), { noNewPrivileges: false });
  for (const [text, words] of [
    ['nothing', /there are seccomp=unconfined\|builtin\|FILE, apparmor=PROFILE/],
    ['seccomp=', /there are seccomp=/],
    ['no-new-privileges=maybe', /it is true or false/],
    ['label=type:x', /no SELinux labels but `disable`/],
    [`seccomp=${dir}/none`, /the profile cannot be read: ENOENT.*; give a file/],
  ] as const)
    assert.throws(() => securityOptions([text]), words, text);
  for (const content of ['[]', 'text', 'null']) {
    writeFileSync(file, content);
    assert.throws(() => securityOptions([`seccomp=${file}`]), /the file is no profile in docker's format: /, content);
  }
});

test('shared memory, cgroups, groups, the order of killing, an init program', async (t) => {
  const shm = async (options: SpecOptions): Promise<string[] | undefined> =>
    (await spec(options)).mounts!.find(({ destination }) => destination === '/dev/shm')?.options;
  assert.deepEqual(
    (await shm({ shmSize: 4096 }))?.filter((word) => word.startsWith('size')),
    ['size=4096'],
  );
  assert.equal(await shm({ shmSize: 0 }), undefined);
  assert.deepEqual(await shm({ shmSize: 0, hostNamespaces: ['ipc'] }), ['rbind', 'rprivate']);
  const cgroups = async (cgroupNamespace: 'private' | 'host'): Promise<number> =>
    (await spec({ cgroupNamespace })).linux!.namespaces!.filter(({ type }) => type === 'cgroup').length;
  assert.deepEqual([await cgroups('private'), await cgroups('host')], [1, 0]);
  const { process } = await spec({ user: '5:6', groupAdd: ['7', '6'], oomScoreAdj: -5 });
  assert.deepEqual([process?.user.additionalGids, process?.oomScoreAdj], [[6, 7], -5]);
  for (const bad of [{ groupAdd: ['nobody-has-it'] }, { oomScoreAdj: 1001 }, { oomScoreAdj: 0.5 }, { shmSize: -1 }])
    await assert.rejects(spec(bad), InvalidArgumentError, JSON.stringify(bad));

  const dir = mkdtempSync(join(tmpdir(), 'hawser-init-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const plain = await spec({});
  assert.throws(() => addInit(plain, [dir]), /has none of docker-init, .*: install the package tini or catatonit/);
  writeFileSync(join(dir, 'catatonit'), '', { mode: 0o755 });
  addInit(plain, ['/none', dir]);
  assert.deepEqual(plain.process!.args, ['/sbin/docker-init', '--', 'true']);
  assert.equal(plain.mounts!.at(-1)!.source, join(dir, 'catatonit'));
  assert.deepEqual((await spec({ init: true, hostNamespaces: ['pid'] })).process!.args, ['true']);
});
