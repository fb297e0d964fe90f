/** Volumes by the command line, as docker's users write them. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { makeImage, makeRootfs, until } from '../support/daemons.js';
import { Lab } from './lab.js';

const IMAGE = 'volumes';
let lab: Lab;
before(async () => {
  lab = await Lab.open();
  const files = makeRootfs(join(lab.daemon.dir, 'image-rootfs'));
  mkdirSync(join(files, 'data'));
  writeFileSync(join(files, 'data/file'), 'of the image');
  const archive = await makeImage(lab.daemon.dir, files, `docker.io/library/${IMAGE}:latest`, ['/bin/sleep', '1000'], {
    Volumes: { '/data': {} },
  });
  await lab.ok(['load', '-i', archive]);
});
after(() => lab.close());
afterEach(async () => {
  await lab.removeAll();
  await lab.ok(['volume', 'prune', '-af']);
  assert.equal(await lab.ok(['volume', 'ls', '-q']), '');
});

/** Runs a shell command line in a container of the image. */
function sh(flags: readonly string[], script: string): Promise<string> {
  return lab.ok(['run', '--rm', ...flags, IMAGE, 'sh', '-c', script]);
}

async function volumes(...flags: string[]): Promise<string[]> {
  return (await lab.ok(['volume', 'ls', '-q', ...flags])).split('\n').filter(Boolean);
}

test('run -v: by name, anonymous, read-only, and what the image has', async () => {
  assert.equal(await sh(['-v', 'one:/data'], 'cat /data/file; echo changed >/data/file'), 'of the image');
  assert.equal(
    await sh(['-v', 'one:/elsewhere:ro'], 'cat /elsewhere/file; echo x >/elsewhere/file || echo no'),
    'changed\nno',
  );
  assert.equal(await sh(['-v', 'two:/data:nocopy'], 'ls /data | wc -l'), '0');
  assert.equal(await sh(['--mount', 'type=volume,src=three,dst=/data,readonly'], 'cat /data/file'), 'of the image');
  assert.equal(await sh(['--mount', 'dst=/data,volume-nocopy', '-v', '/more'], 'ls /data /more | grep -vc :'), '1');
  // --rm has taken the anonymous ones.
  assert.deepEqual(await volumes(), ['one', 'three', 'two']);
  const { exitCode, stderr } = await lab.hawser(['run', '--rm', '-v', 'one:/a', '-v', 'two:/a/', IMAGE, 'true']);
  assert.deepEqual(
    [exitCode, stderr],
    [125, "hawser: two mounts are to be at /a: leave out one of them. See 'hawser --help'"],
  );
});

test('rm leaves volumes, rm -v takes the anonymous ones, also of a container that is left by --rm -d', async () => {
  await lab.ok(['create', '--name', 'first', '-v', 'named:/n', '-v', '/a', IMAGE]);
  assert.equal((await volumes()).length, 3);
  await lab.ok(['rm', 'first']);
  assert.equal((await volumes()).length, 3);
  assert.match(
    await lab.ok(['volume', 'prune', '-f']),
    /^Deleted Volumes:\n[0-9a-f]{64}\n[0-9a-f]{64}\n\nTotal reclaimed space: 12B$/,
  );
  await lab.ok(['create', '--name', 'second', '-v', 'named:/n', '-v', '/a', IMAGE]);
  await lab.ok(['rm', '-v', 'second']);
  assert.deepEqual(await volumes(), ['named']);
  await lab.ok([
    'run',
    '-d',
    '--rm',
    '--name',
    'third',
    '-v',
    'named:/n',
    IMAGE,
    'sh',
    '-c',
    'while [ ! -e /n/end ]; do sleep 0.05; done',
  ]);
  assert.equal((await volumes()).length, 2);
  await lab.ok(['exec', 'third', 'touch', '/n/end']);
  await until('what it had to go', async () => (await volumes()).length === 1);
  const failed = await lab.hawser(['run', '--name', 'fourth', '-v', '/a', IMAGE, 'no-such-program']);
  assert.equal(failed.exitCode, 127);
  assert.deepEqual(await volumes(), ['named']);
});

test('--volumes-from: by the name of a container, read-only, and its binds', async () => {
  const bound = join(lab.daemon.dir, 'bound');
  await lab.ok(['run', '-d', '--name', 'source', '-v', 'lent:/lent', '-v', `${bound}:/bound`, IMAGE]);
  await lab.ok(['exec', 'source', 'sh', '-c', 'echo a >/lent/a; echo b >/bound/b']);
  assert.ok(existsSync(join(bound, 'b')));
  assert.equal(
    await sh(['--volumes-from', 'source'], 'cat /lent/a /bound/b /data/file; echo more >>/data/file'),
    'a\nb\nof the image',
  );
  assert.equal(
    await sh(['--volumes-from', 'source:ro'], 'cat /data/file; echo x >/lent/x || echo no'),
    'of the imagemore\nno',
  );
  const missing = await lab.hawser(['run', '--volumes-from', 'nobody', IMAGE]);
  assert.deepEqual([missing.exitCode, missing.stderr.slice(0, 40)], [125, 'hawser: --volumes-from: container nobody']);
  const wrong = await lab.hawser(['run', '--volumes-from', 'source:never', IMAGE]);
  assert.match(
    wrong.stderr,
    /^hawser: --volumes-from "source:never": it is CONTAINER, CONTAINER:ro or CONTAINER:rw\. /,
  );
});

test('volume create, ls, inspect', async () => {
  assert.equal(await lab.ok(['volume', 'create', '--label', 'app=web', '--label', 'tier', 'data']), 'data');
  const anonymous = await lab.ok(['volume', 'create']);
  assert.match(anonymous, /^[0-9a-f]{64}$/);
  assert.deepEqual((await lab.ok(['volume', 'ls'])).split('\n'), [
    'DRIVER   VOLUME NAME',
    ...[anonymous, 'data'].sort().map((name) => `local    ${name}`),
  ]);
  assert.equal(
    await lab.ok(['volume', 'ls', '-f', 'name=dat', '--format', '{{.Name}} {{.Driver}} {{.Labels}} {{.Scope}}']),
    'data local app=web,tier= local',
  );
  const [inspected] = JSON.parse(await lab.ok(['volume', 'inspect', 'data'])) as Record<string, unknown>[];
  assert.deepEqual(
    [inspected!.Name, inspected!.Driver, inspected!.Labels, inspected!.Options, inspected!.Scope],
    ['data', 'local', { app: 'web', tier: '' }, null, 'local'],
  );
  writeFileSync(join(inspected!.Mountpoint as string, 'x'), '12345');
  assert.equal(
    await lab.ok(['volume', 'inspect', '-s', '-f', '{{.Size}} {{.Mountpoint}}', 'data']),
    `5 ${String(inspected!.Mountpoint)}`,
  );
  assert.match(await lab.ok(['volume', 'ls', '-s']), /^DRIVER +VOLUME NAME +SIZE\n[^]*local +data +5B$/m);
  for (const [filter, found] of [
    ['label=app', 1],
    ['label=app=web', 1],
    ['label=app=db', 0],
    ['dangling=true', 1],
    ['dangling=false', 1],
    ['driver=local', 2],
    ['driver=nfs', 0],
  ] as const) {
    if (filter === 'dangling=true')
      await lab.ok(['create', '--name', 'user', '-v', 'data:/d', '--rootfs', lab.rootfs, 'true']);
    assert.equal((await volumes('-f', filter)).length, found, filter);
  }
  const [container] = JSON.parse(await lab.ok(['inspect', 'user'])) as { Mounts: Record<string, unknown>[] }[];
  const mounted = container!.Mounts.find(({ Destination }) => Destination === '/d');
  assert.deepEqual([mounted!.Type, mounted!.Name, mounted!.RW], ['volume', 'data', true]);
  assert.equal(await lab.ok(['ps', '-a', '--format', '{{.Labels}}']), '');
});

test('volume rm and prune: what is in use is not removed, and it is said who uses it', async () => {
  for (const name of ['free', 'other', 'used']) await lab.ok(['volume', 'create', '--label', `is=${name}`, name]);
  await lab.ok(['create', '--name', 'user', '-v', 'used:/d', '--rootfs', lab.rootfs, 'true']);
  const { stdout, stderr, exitCode } = await lab.hawser(['volume', 'rm', 'used', 'nobody', 'free']);
  assert.deepEqual([stdout, exitCode], ['free', 1]);
  assert.deepEqual(stderr.split('\n'), [
    'hawser: volume used is in use by container user: remove that first, as with `hawser rm user`',
    'hawser: volume nobody is not there: `hawser volume ls` lists what is',
  ]);
  assert.equal(await lab.ok(['volume', 'rm', '-f', 'nobody']), '');
  assert.equal(await lab.ok(['volume', 'prune', '-f']), 'Total reclaimed space: 0B');
  assert.equal(await lab.ok(['volume', 'prune', '-af', '--filter', 'label!=is=other']), 'Total reclaimed space: 0B');
  assert.equal(await lab.ok(['volume', 'prune', '-af']), 'Deleted Volumes:\nother\n\nTotal reclaimed space: 0B');
  assert.deepEqual(await volumes(), ['used']);
  const unasked = await lab.hawser(['volume', 'prune']);
  assert.equal(
    unasked.stderr,
    'hawser: volume prune: standard input is no terminal to ask at: say -f when it is meant',
  );
  const terminal = lab.terminal(['volume', 'prune', '-a']);
  await terminal.shows(/This removes all volumes that no container has, .*\[y\/N\] /);
  terminal.type('n\r');
  assert.equal(await terminal.ends(), 130);
});

test('what docker has and volumes here have not is said', async () => {
  for (const [args, says] of [
    [['volume', 'create', '-d', 'nfs', 'x'], /there is local alone; other drivers are dockerd's plugins/],
    [
      ['volume', 'create', '-o', 'type=tmpfs', 'x'],
      /mount another file system by its own type, as run --mount type=nfs/,
    ],
    [['volume', 'create', 'a/b'], /volume "a\/b" must match/],
    [['volume', 'ls', '-f', 'size=1'], /there are name, label, dangling and driver/],
    [['volume', 'prune', '-f', '--filter', 'until=1h'], /there are label=NAME/],
  ] as const) {
    const { stderr, exitCode } = await lab.hawser(args);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, says);
  }
});
