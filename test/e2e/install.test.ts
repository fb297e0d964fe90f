/** What `make install` puts down works from anywhere, without the checkout; and the package is importable by its names. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { Containerd, makeRootfs, temporaryDirectory, top, until } from '../support/daemons.js';

const SHIM = 'containerd-shim-runc-v2';
const dest = temporaryDirectory('install');

after(() => rmSync(dest, { recursive: true, force: true }));

test('make install: the installed shim serves a container and knows nothing of the checkout', async () => {
  await execa('make', ['install', 'PREFIX=/opt/hawser', `DESTDIR=${dest}`], { cwd: top, stdin: 'ignore' });
  const bin = join(dest, 'opt/hawser/bin');
  const shims = join(dest, 'opt/hawser/lib/hawser/bin');
  // No PATH leads to the shim before it is enabled, and enabling it leads to nothing else.
  assert.deepEqual(readdirSync(bin).sort(), ['hawser', 'hawserd']);
  assert.deepEqual(readdirSync(shims), [SHIM]);
  const { stdout } = await execa(join(shims, SHIM), ['-v'], { cwd: '/', env: { PATH: '' }, extendEnv: false });
  assert.match(stdout, /^containerd-shim-runc-v2:\n {2}Version: {2}\d/);
  assert.ok(stdout.includes(`\n  Library: ${join(dest, 'opt/hawser/lib/hawser')}\n`), stdout);

  for (const entry of readdirSync(dest, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.path, entry.name);
    assert.equal(readFileSync(file).includes(top), false, `${file} names the checkout`);
  }

  // A copy that is put elsewhere goes back to where this will be in the end, wherever it was staged.
  assert.ok(readFileSync(join(shims, SHIM)).includes("hawser's library: /opt/hawser/lib/hawser\0"));
  for (const script of ['hawser', 'hawserd'])
    assert.match(readFileSync(join(bin, script), 'utf8'), /^built_in='\/opt\/hawser\/lib\/hawser'$/m);

  const containerd = await new Containerd(shims).start();
  try {
    assert.equal((await containerd.run('installed', ['/bin/echo', 'it works'])).stdout, 'it works');
  } finally {
    await containerd.cleanUp();
  }

  const state = temporaryDirectory('installed');
  const address = join(state, 'sock');
  const unit = readFileSync(join(dest, 'opt/hawser/lib/systemd/system/hawserd.service'), 'utf8');
  assert.match(unit, /^ExecStart=\/opt\/hawser\/bin\/hawserd$/m);
  assert.match(readFileSync(join(dest, 'opt/hawser/share/man/man8/hawserd.8'), 'utf8'), /^\.TH HAWSERD 8/);
  assert.match(
    readFileSync(join(dest, 'opt/hawser/share/man/man1/hawser.1'), 'utf8'),
    /^\.TH HAWSER 1[^]*\n\.SS run\n/,
  );
  assert.match(
    readFileSync(join(dest, 'opt/hawser/share/bash-completion/completions/hawser'), 'utf8'),
    /complete -F _hawser hawser/,
  );
  // In a mount namespace where the checkout is not there any more.
  const hidden = ['unshare', '-m', 'sh', '-ec', 'mount -t tmpfs none "$1"; shift; exec "$@"', 'sh', top];
  const daemon = execa(
    hidden[0]!,
    [
      ...hidden.slice(1),
      join(bin, 'hawserd'),
      '--root',
      join(state, 'root'),
      '--state',
      join(state, 'state'),
      '-a',
      address,
    ],
    { reject: false, stdin: 'ignore', cwd: '/' },
  );
  try {
    await until('the installed hawserd serves', () => existsSync(address));
    const rootfs = makeRootfs(join(state, 'rootfs'));
    const { stdout: said } = await execa(
      'ctr',
      ['-a', address, 'run', '--rm', '--rootfs', rootfs, 'installed', '/bin/echo', 'it works'],
      { stdin: 'ignore', timeout: 60_000 },
    );
    assert.equal(said, 'it works');
    const byHawser = [
      ...hidden,
      join(bin, 'hawser'),
      '--address',
      address,
      'run',
      '--rm',
      '-d',
      '--name',
      'gone',
      '--rootfs',
      rootfs,
      '/bin/true',
    ];
    assert.equal(
      (
        await execa(byHawser[0]!, byHawser.slice(1), {
          stdin: 'ignore',
          timeout: 60_000,
          env: { HAWSER_DATA: join(state, 'cli'), HAWSER_NETWORK: 'none' },
        })
      ).stdout,
      'gone',
    );
    await until(
      'the installed hawser to have removed it',
      async () => (await execa(join(bin, 'hawser'), ['--address', address, 'ps', '-aq'])).stdout === '',
    );
  } finally {
    daemon.kill('SIGTERM');
    await daemon;
    rmSync(state, { recursive: true, force: true });
  }

  await execa('make', ['uninstall', 'PREFIX=/opt/hawser', `DESTDIR=${dest}`], { cwd: top, stdin: 'ignore' });
  const left = readdirSync(dest, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  assert.deepEqual(
    left.map((entry) => entry.name),
    [],
  );
});

test('make install leads an earlier installation here and leaves what is not ours', async () => {
  const place = temporaryDirectory('earlier');
  const make = (target: string): Promise<unknown> =>
    execa('make', [target, 'PREFIX=/opt/hawser', `DESTDIR=${place}`], { cwd: top, stdin: 'ignore' });
  const earlier = join(place, 'opt/hawser/bin', SHIM);
  try {
    mkdirSync(dirname(earlier), { recursive: true });
    copyFileSync(join(top, 'npm', SHIM), earlier);
    for (const time of ['once', 'twice']) {
      await make('install');
      assert.equal(realpathSync(earlier), join(place, 'opt/hawser/lib/hawser/bin', SHIM), time);
      const { stdout } = await execa(earlier, ['-v'], { cwd: '/', env: { PATH: '' }, extendEnv: false });
      assert.ok(stdout.includes(`\n  Library: ${join(place, 'opt/hawser/lib/hawser')}\n`), stdout);
    }
    await make('uninstall');
    assert.equal(lstatSync(earlier, { throwIfNoEntry: false }), undefined);

    // containerd's own, as its makers' archive has it, and a link of npm's.
    writeFileSync(earlier, 'the Go shim');
    await make('install');
    await make('uninstall');
    assert.equal(readFileSync(earlier, 'utf8'), 'the Go shim');
    rmSync(earlier);
    symlinkSync(join(top, 'npm', SHIM), earlier);
    await make('install');
    await make('uninstall');
    assert.equal(readlinkSync(earlier), join(top, 'npm', SHIM));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

test('hawser/ttrpc, hawser/runc and hawser/api can be imported, with their types beside them', async () => {
  const script = `
    const { connect, Server, defineService } = await import('hawser/ttrpc');
    const { Runtime } = await import('hawser/runc');
    const { containerd, errdefs } = await import('hawser/api');
    console.log([connect, Server, defineService, Runtime, containerd.task.v2.StateRequest, errdefs.notFound].map((one) => typeof one).join(' '));`;
  const { stdout } = await execa('node', ['--input-type=module', '-e', script], { cwd: top });
  assert.equal(stdout, 'function function function function function function');
  for (const room of ['ttrpc', 'runc', 'api'])
    assert.match(readFileSync(join(top, 'dist', room, 'index.d.ts'), 'utf8'), /export/);
});
