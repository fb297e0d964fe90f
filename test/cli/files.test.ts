/** Files of containers, from the command line: cp, export, diff, commit, import. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { execa } from 'execa';
import { encodeHeader } from '../../src/oci/tar-writer.js';
import { fromText } from '../../src/sys/byte-string.js';
import { until } from '../support/daemons.js';
import { mountsBelow } from '../support/machine.js';
import { Lab, PROGRAM } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
  await lab.ok(['load', '-i', await lab.image()]);
});
after(() => lab.close());
afterEach(() => lab.removeAll());

test('export refuses a terminal, and leaves no half archive', async () => {
  await lab.ok(['create', '--name', 'one', 'box']);
  const terminal = lab.terminal(['export', 'one']);
  assert.equal(await terminal.ends(), 1);
  assert.match(terminal.screen, /hawser: export: standard output is a terminal: name a file with -o, or send it on/);
  const file = join(lab.daemon.dir, 'out.tar');
  const { stderr, exitCode } = await lab.hawser(['export', '-o', file, 'none']);
  assert.deepEqual([exitCode, existsSync(file)], [1, false]);
  assert.match(stderr, /^hawser: container none does not exist in namespace /);
  assert.equal((await lab.hawser(['export', '-o', '/dev/full', 'one'])).exitCode, 1);
  assert.ok(existsSync('/dev/full'));
});

test('what cannot be: a container of a directory has nothing to compare with', async () => {
  await lab.ok(['create', '--name', 'dir', '--rootfs', lab.rootfs, 'true']);
  const { stderr, exitCode } = await lab.hawser(['diff', 'dir']);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^hawser: container dir was made of a directory and not of an image, so nobody knows what it/);
});

test('cp: forms of the command line, a terminal, nothing but an error', async () => {
  await lab.ok(['create', '--name', 'one', 'box']);
  for (const [args, says, status] of [
    [
      ['a', 'b'],
      /^hawser: cp: neither a nor b is of a container: say CONTAINER:PATH for one of them\. See 'hawser cp --help'$/,
      125,
    ],
    [
      ['one:/etc', 'one:/tmp'],
      /^hawser: cp: one:\/etc and one:\/tmp are both of containers: copy by way of this machine/,
      125,
    ],
    [['./one:x', 'b'], /neither \.\/one:x nor b is of a container/, 125],
    [['/one:x', 'none:/'], /^hawser: container none does not exist in namespace /, 1],
    [['one:/nope', '-'], /^hawser: container one: \/nope: there is no file \/nope in the container: not found$/, 1],
  ] as const) {
    const { stderr, exitCode } = await lab.hawser(['cp', ...args]);
    assert.match(stderr, says);
    assert.equal(exitCode, status);
  }
  const out = lab.terminal(['cp', 'one:/etc', '-']);
  assert.equal(await out.ends(), 1);
  assert.match(out.screen, /hawser: cp: standard output is a terminal: name a file, or send it on to another command/);
  const into = lab.terminal(['container', 'cp', '-', 'one:/etc']);
  assert.equal(await into.ends(), 1);
  assert.match(into.screen, /hawser: cp -: standard input is a terminal/);
  const file = join(lab.daemon.dir, 'passwd');
  assert.equal((await lab.hawser(['container', 'cp', '-q', 'one:/etc/passwd', file])).stderr, '');
  assert.equal(readFileSync(file, 'utf8'), readFileSync(join(lab.rootfs, 'etc/passwd'), 'utf8'));
});

test('a cp that is killed, or interrupted, in the middle leaves nothing mounted', async () => {
  await lab.ok(['create', '--name', 'one', 'box']);
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    const running = execa(PROGRAM, ['cp', '-', 'one:/root'], {
      env: lab.env,
      extendEnv: false,
      stdin: 'pipe',
      reject: false,
    });
    const header = encodeHeader({
      name: fromText('half'),
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 1 << 20,
      modified: { seconds: 1, nanos: 0 },
    });
    running.stdin.on('error', () => undefined);
    running.stdin.write(Buffer.concat([header, Buffer.alloc(4096, 'x')]));
    const upper = join(lab.daemon.dir, 'root');
    await until(
      'the file to be begun',
      () => execFileSync('find', [upper, '-name', 'half'], { encoding: 'utf8' }) !== '',
    );
    running.kill(signal);
    const { exitCode, signal: ended } = await running;
    assert.equal(signal === 'SIGINT' ? exitCode : ended, signal === 'SIGINT' ? 130 : 'SIGKILL');
    assert.deepEqual(mountsBelow(lab.daemon.dir), []);
    assert.equal(await lab.ok(['rm', 'one']), 'one');
    await lab.ok(['create', '--name', 'one', 'box']);
  }
  assert.equal(await lab.daemon.ctr(['leases', 'ls', '-q']).then(({ stdout }) => stdout), '');
});

test('elsewhere, and without rights, it is said what is needed', async () => {
  await lab.ok(['run', '-d', '--name', 'live', 'box', 'sleep', '1000']);
  const elsewhere = await execa(
    'unshare',
    ['--pid', '--fork', '--mount-proc', PROGRAM, 'cp', 'live:/etc/passwd', '-'],
    {
      env: lab.env,
      extendEnv: false,
      reject: false,
    },
  );
  assert.match(
    elsewhere.stderr,
    /^hawser: container live runs, and there is no process \d+ here: its files can be reached on the daemon's machine alone, as root/,
  );
  const weak = await execa('setpriv', ['--bounding-set=-sys_admin', PROGRAM, 'export', 'live'], {
    env: lab.env,
    extendEnv: false,
    reject: false,
  });
  assert.equal(weak.exitCode, 1);
  assert.match(
    weak.stderr,
    /^hawser: container live: export: .*only root of the daemon's machine gets at files of containers: permission denied$/,
  );
});

test('completion of cp: containers, and files', async () => {
  await lab.ok(['create', '--name', 'one', 'box']);
  assert.match(await lab.ok(['__complete', '--', 'cp', 'o']), /^:files\t?\none:\t/);
  assert.match(await lab.ok(['__complete', '--', 'container', 'diff', 'o']), /^one\t/);
});

test('commit and import: what they print, from one to the other, and what cannot be', async () => {
  await lab.ok(['run', '--name', 'one', 'box', 'sh', '-c', 'echo made >/made']);
  const id = await lab.ok(['commit', 'one']);
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await lab.ok(['run', '--rm', id, 'cat', '/made']), 'made');
  assert.match(
    await lab.ok(['images', '--format', '{{.Repository}} {{.Tag}} {{.ID}}']),
    new RegExp(`^<none> <none> ${id.slice(7, 19)}$`, 'm'),
  );
  const file = join(lab.daemon.dir, 'root.tar');
  await lab.ok(['export', '-o', file, 'one']);
  assert.match(
    await lab.ok(['import', '-', 'rooted', '--change', 'CMD cat /made'], { input: readFileSync(file) }),
    /^sha256:/,
  );
  assert.equal(await lab.ok(['run', '--rm', 'rooted']), 'made');
  for (const [args, says] of [
    [
      ['import', 'http://example.com/x.tar'],
      /^hawser: import http:\/\/example.com\/x.tar: nothing is fetched here: `curl -L /,
    ],
    [['import', '/none'], /^hawser: import: there is no file \/none: give a tar archive of a root file system, or -/],
    [
      ['import', '/bin/busybox', 'x'],
      /^hawser: \/bin\/busybox cannot be imported: the archive is no tar archive of a root file system: /,
    ],
    [['import', '/dev/null', 'x'], /^hawser: \/dev\/null cannot be imported: the archive is empty: invalid argument$/],
    [['import', file, 'NO'], /^hawser: .* cannot be imported: .*NO/],
    [['commit', '-c', 'RUN x', 'one'], /^hawser: change "RUN x": there are CMD, /],
    [['commit', 'none'], /^hawser: container none does not exist in namespace /],
  ] as const) {
    const { stderr, exitCode } = await lab.hawser(args);
    assert.match(stderr, says);
    assert.equal(exitCode, 1);
  }
  await lab.ok(['rm', '-f', 'one']);
  await lab.ok(['images', 'prune', '-f']);
  await lab.ok(['rmi', 'rooted']);
  assert.equal((await lab.ok(['images', '-q'])).split('\n').length, 1);
  assert.equal((await lab.daemon.ctr(['leases', 'ls', '-q'])).stdout, '');
});
