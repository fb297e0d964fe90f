/** The spec that the client makes of its options. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InvalidArgumentError } from '../../src/client/errors.js';
import type { ImageConfig } from '../../src/client/image/types.js';
import { signalNumber, stopSignalLabel, stopSignalOf } from '../../src/client/signals.js';
import { boundCapabilities } from '../../src/oci/capabilities.js';
import { readInRoot } from '../../src/client/spec/in-root.js';
import { makeSpec } from '../../src/client/spec/make.js';
import { mergeEnv } from '../../src/client/spec/process.js';
import type { CgroupDriver, Spec, SpecOptions } from '../../src/client/spec/types.js';
import { resolveUser } from '../../src/client/spec/user.js';

function spec(options: SpecOptions, config?: ImageConfig): Promise<Spec> {
  return makeSpec({
    id: 'one',
    namespace: 'space',
    options: { args: ['true'], ...options },
    config,
    withRoot: (look) => Promise.resolve(look(undefined)),
  });
}

test('what a container has when nothing else is said', async () => {
  const { process, root, mounts, linux, hostname } = await spec({});
  assert.deepEqual(process?.args, ['true']);
  assert.deepEqual(
    [process.cwd, process.user, process.noNewPrivileges, process.terminal],
    ['/', { uid: 0, gid: 0, additionalGids: [0] }, true, undefined],
  );
  assert.deepEqual(process.env, ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
  assert.equal(process.capabilities?.bounding?.length, 14);
  assert.deepEqual([root?.path, hostname, linux?.cgroupsPath], ['rootfs', 'one', '/space/one']);
  assert.deepEqual(
    mounts?.map(({ destination }) => destination),
    ['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue', '/sys', '/sys/fs/cgroup'],
  );
  assert.deepEqual(
    linux?.namespaces?.map(({ type }) => type).filter((type) => type !== 'cgroup'),
    ['pid', 'ipc', 'uts', 'mount', 'network'],
  );
});

test("a cgroup's path is what its driver takes", async () => {
  const path = async (options: SpecOptions, cgroupDriver?: CgroupDriver): Promise<string | undefined> => {
    const input = { id: 'one', namespace: 'space', options: { args: ['true'], ...options }, cgroupDriver };
    return (await makeSpec({ ...input, withRoot: (look) => Promise.resolve(look(undefined)) })).linux?.cgroupsPath;
  };
  assert.equal(await path({}), '/space/one');
  assert.equal(await path({ cgroupParent: 'mine/' }, 'cgroupfs'), '/mine/one');
  assert.equal(await path({ cgroupParent: '/web.slice' }), '/web.slice/one');
  assert.equal(await path({}, 'systemd'), 'hawser.slice:hawser-space-:one');
  for (const parent of ['web-front.slice', '/web-front.slice', '/web.slice/web-front.slice/'])
    assert.equal(await path({ cgroupParent: parent }, 'systemd'), 'web-front.slice:hawser-space-:one');
  for (const cgroupParent of ['mine', '/', 'web.service', 'a b.slice', 'a:b.slice'])
    await assert.rejects(path({ cgroupParent }, 'systemd'), (error: Error) => {
      assert.ok(error instanceof InvalidArgumentError);
      assert.match(error.message, /^cgroup parent ".*": systemd makes .* the name of one, such as web\.slice/);
      return true;
    });
  assert.equal(await path({ cgroupsPath: '/as/given', cgroupParent: 'x' }, 'systemd'), '/as/given');
});

test("an image's configuration, and what overrides it", async () => {
  const config: ImageConfig = {
    Entrypoint: ['/entry'],
    Cmd: ['default'],
    Env: ['PATH=/bin', 'A=image'],
    WorkingDir: '/work',
    User: '7:8',
  };
  const plain = (
    await makeSpec({
      id: 'i',
      namespace: 'n',
      options: {},
      config,
      withRoot: (look) => Promise.resolve(look(undefined)),
    })
  ).process!;
  assert.deepEqual(
    [plain.args, plain.cwd, plain.user, plain.env],
    [['/entry', 'default'], '/work', { uid: 7, gid: 8, additionalGids: [8] }, ['PATH=/bin', 'A=image']],
  );
  const over = (await spec({ args: ['mine'], env: { A: 'own', B: '2' }, cwd: '/', user: '1:1' }, config)).process!;
  assert.deepEqual(
    [over.args, over.cwd, over.user.uid, over.env],
    [['/entry', 'mine'], '/', 1, ['PATH=/bin', 'A=own', 'B=2']],
  );
  const entry = (
    await makeSpec({
      id: 'i',
      namespace: 'n',
      options: { entrypoint: ['/other'] },
      config,
      withRoot: (look) => Promise.resolve(look(undefined)),
    })
  ).process!;
  assert.deepEqual(entry.args, ['/other']);
  await assert.rejects(spec({ args: [] }), InvalidArgumentError);
});

test('limits, mounts, namespaces, privileges', async () => {
  const { linux, mounts } = await spec({
    limits: { memory: 1024, memorySwap: -1, cpus: 1.5, cpuShares: 7, cpuset: '0', pids: 9 },
    network: '/run/netns/x',
    hostNamespaces: ['ipc'],
    mounts: [{ destination: '/run', type: 'bind', source: '/mine' }],
    sysctl: { 'net.x': '1' },
    devices: ['/dev/null:/dev/mine:r'],
  });
  assert.deepEqual(linux?.resources?.memory, { limit: 1024, swap: -1 });
  assert.deepEqual(linux.resources.cpu, { quota: 150_000, period: 100_000, shares: 7, cpus: '0' });
  assert.deepEqual(linux.resources.pids, { limit: 9 });
  assert.deepEqual(
    linux.namespaces?.filter(({ type }) => type === 'network' || type === 'ipc'),
    [{ type: 'network', path: '/run/netns/x' }],
  );
  assert.deepEqual(
    mounts?.filter(({ destination }) => destination === '/run'),
    [{ destination: '/run', type: 'bind', source: '/mine' }],
  );
  assert.deepEqual(
    linux.devices?.map(({ path, type, major, minor }) => [path, type, major, minor]),
    [['/dev/mine', 'c', 1, 3]],
  );
  assert.deepEqual(linux.resources.devices?.at(-1), { allow: true, type: 'c', major: 1, minor: 3, access: 'r' });

  const unlimited = 2n ** 64n - 1n;
  const { process } = await spec({
    rlimits: [
      { type: 'core', soft: 1, hard: 2 },
      { type: 'core', soft: 0, hard: -1 },
      { type: 'RLIMIT_NOFILE', soft: 5n, hard: Infinity },
    ],
  });
  assert.deepEqual(
    process?.rlimits,
    [
      { type: 'RLIMIT_CORE', soft: 0, hard: unlimited },
      { type: 'RLIMIT_NOFILE', soft: 5n, hard: unlimited },
    ],
    'the last one of a name holds',
  );

  const host = await spec({ network: 'host', hostNamespaces: ['uts'], hostname: 'x' });
  assert.ok(host.linux?.namespaces?.every(({ type }) => type !== 'network' && type !== 'uts'));
  assert.equal(host.hostname, undefined);
  assert.ok(host.mounts?.some(({ destination }) => destination === '/etc/resolv.conf'));

  const privileged = await spec({ privileged: true, capDrop: ['sys_admin'] });
  assert.deepEqual([privileged.linux?.maskedPaths, privileged.linux?.readonlyPaths], [[], []]);
  const bound = BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]}`);
  assert.equal(boundCapabilities().length, bound.toString(2).replaceAll('0', '').length, 'no more than can be given');
  assert.deepEqual(
    privileged.process?.capabilities?.effective,
    boundCapabilities().filter((name) => name !== 'CAP_SYS_ADMIN'),
  );
  for (const bad of [
    { cwd: 'tmp' },
    { mounts: [{ destination: 'x' }] },
    { devices: ['/etc/passwd'] },
    { capAdd: ['NONE_SUCH'] },
  ])
    await assert.rejects(spec(bad), InvalidArgumentError);
  assert.deepEqual(mergeEnv(['A=1', 'B=2'], ['A=3=4', 'C']), ['A=3=4', 'B=2', 'C']);
});

test('users by name, and links that lead out of the root file system', () => {
  const root = mkdtempSync(join(tmpdir(), 'hawser-users-'));
  try {
    mkdirSync(join(root, 'etc'));
    mkdirSync(join(root, 'data'));
    writeFileSync(
      join(root, 'data/passwd'),
      '# users\nroot:x:0:0::/:/bin/sh\nana:x:501:20::/:/bin/sh\n1000:x:7:7::/:/bin/sh\n',
    );
    // An absolute link means a file of the container, whatever the host has there.
    symlinkSync('/data/passwd', join(root, 'etc/passwd'));
    writeFileSync(join(root, 'etc/group'), 'staff:x:20:\nwheel:x:10:root,ana\n');
    symlinkSync('../../../../../etc/hostname', join(root, 'etc/escape'));
    symlinkSync('loop', join(root, 'etc/loop'));
    assert.deepEqual(resolveUser('ana', root), { uid: 501, gid: 20, additionalGids: [20, 10] });
    assert.deepEqual(resolveUser('ana:wheel', root), { uid: 501, gid: 10, additionalGids: [10] });
    assert.deepEqual(resolveUser('501', root), { uid: 501, gid: 20, additionalGids: [20, 10] });
    assert.deepEqual(resolveUser('4242', root), { uid: 4242, gid: 0, additionalGids: [0] });
    assert.deepEqual(
      resolveUser('1000', root),
      { uid: 1000, gid: 0, additionalGids: [0] },
      'a number is an id, also where a user is called so',
    );
    assert.deepEqual(resolveUser('12:34', undefined), { uid: 12, gid: 34, additionalGids: [34] });
    assert.deepEqual(resolveUser('', root), { uid: 0, gid: 0, additionalGids: [0, 10] });
    assert.equal(readInRoot(root, '/etc/escape'), undefined);
    assert.equal(readInRoot(root, '/etc/loop'), undefined);
    for (const bad of [
      'nobody',
      'ana:nobody',
      'a:b:c',
      '-1',
      '2147483648',
      '1:2147483648',
      'ana:-1',
      '99999999999999999999',
    ])
      assert.throws(() => resolveUser(bad, root), InvalidArgumentError);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('odd lines of /etc/passwd and /etc/group, and files that are none', () => {
  const root = mkdtempSync(join(tmpdir(), 'hawser-users-'));
  const user = (name: string): (number | undefined)[] => {
    const { uid, gid, additionalGids = [] } = resolveUser(name, root);
    return [uid, gid, NaN, ...additionalGids];
  };
  try {
    assert.deepEqual(user('5'), [5, 0, NaN, 0], 'without either file');
    writeFileSync(join(root, 'etc'), 'no directory');
    assert.deepEqual(user('5'), [5, 0, NaN, 0], 'below what is no directory');
    rmSync(join(root, 'etc'));
    mkdirSync(join(root, 'etc'));
    const members = Array.from({ length: 20_000 }, (_, n) => `user${n}`).join(',');
    writeFileSync(
      join(root, 'etc/passwd'),
      '+::::::\n#ana:x:1:1\n  ana:x:501:20:Ana:/:/bin/sh  \r\nana:x:502:21\nother:x:501:22\nbroken:x:one:two\n:x:77:78\nshort:x:9\n',
    );
    writeFileSync(
      join(root, 'etc/group'),
      `empty:x:30:\nnone:x:31\n\n# ana:x:32:ana\nblanks:x:33:, ana ,\n\tmine:x:34:,ana,,\r\nmine:x:35:x\nlong:x:36:${members},ana\nbroken:x::ana\nagain:x:34:ana,ana\n`,
    );
    assert.deepEqual(
      user('ana'),
      [501, 20, NaN, 20, 34, 36],
      'the first line of a name holds; what has no number is none',
    );
    assert.deepEqual(user('501'), [501, 20, NaN, 20, 34, 36]);
    assert.deepEqual(user('ana:mine'), [501, 34, NaN, 34]);
    assert.deepEqual(user('ana:'), user('ana'));
    assert.deepEqual(user(':mine'), [0, 34, NaN, 34]);
    assert.deepEqual(user('77'), [77, 78, NaN, 78], 'who has no name is in no list');
    assert.deepEqual(user('short'), [9, 0, NaN, 0]);
    assert.deepEqual(user('0'), [0, 0, NaN, 0], 'a line of NIS is not root');
    for (const bad of ['+', 'broken', 'ana:broken']) assert.throws(() => resolveUser(bad, root), InvalidArgumentError);
    rmSync(join(root, 'etc/passwd'));
    execFileSync('mkfifo', [join(root, 'etc/passwd')]);
    assert.deepEqual(user('501'), [501, 0, NaN, 0], 'a FIFO is not read');
    rmSync(join(root, 'etc/passwd'));
    writeFileSync(join(root, 'etc/passwd'), '');
    truncateSync(join(root, 'etc/passwd'), 11 << 20);
    assert.throws(() => resolveUser('501', root), InvalidArgumentError);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('what ends a container: of its caller, its image, its labels', () => {
  const label = (text: string): Record<string, string> => ({ 'io.containerd.image.config.stop-signal': text });
  assert.deepEqual(
    [
      stopSignalLabel('QUIT', 'SIGINT'),
      stopSignalLabel(undefined, 'SIGRTMIN+3'),
      stopSignalLabel(2, undefined),
      stopSignalLabel(undefined, ''),
      stopSignalLabel(undefined, undefined),
    ],
    [label('QUIT'), label('SIGRTMIN+3'), label('2'), {}, {}],
  );
  for (const bad of ['NOPE', 0, '0', '99']) assert.throws(() => stopSignalLabel(bad, undefined), InvalidArgumentError);
  assert.deepEqual(
    ['SIGRTMIN+3', '3', '', '0', 'NOPE'].map((text) => stopSignalOf(label(text))),
    ['SIGRTMIN+3', '3', 'SIGTERM', 'SIGTERM', 'SIGTERM'],
    'an image that names what is no signal can be stopped all the same',
  );
  assert.equal(stopSignalOf({}), 'SIGTERM');
});

test('signals by name and number', () => {
  assert.deepEqual(['SIGKILL', 'kill', '15', 9, 'RTMIN+3', 'sigrtmax-1'].map(signalNumber), [9, 9, 15, 9, 37, 63]);
  for (const bad of ['SIGNONE', '65', -1, 1.5, 'RTMIN+99'])
    assert.throws(() => signalNumber(bad), InvalidArgumentError);
});
