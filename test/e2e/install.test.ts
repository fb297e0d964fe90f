/** What `make install` puts down works from anywhere, without the checkout; and the package is importable by its names. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { Containerd, makeRootfs, temporaryDirectory, top, until } from '../support/daemons.js';

const dest = temporaryDirectory('install');

after(() => rmSync(dest, { recursive: true, force: true }));

test('make install: the installed shim serves a container and knows nothing of the checkout', async () => {
  await execa('make', ['install', 'PREFIX=/opt/hawser', `DESTDIR=${dest}`], { cwd: top, stdin: 'ignore' });
  const bin = join(dest, 'opt/hawser/bin');
  const { stdout } = await execa(join(bin, 'containerd-shim-runc-v2'), ['-v'], {
    cwd: '/',
    env: { PATH: '' },
    extendEnv: false,
  });
  assert.match(stdout, /^containerd-shim-runc-v2:\n {2}Version: {2}\d/);

  for (const entry of readdirSync(dest, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.path, entry.name);
    assert.equal(readFileSync(file).includes(top), false, `${file} names the checkout`);
  }

  // A copy that is put elsewhere goes back to where this will be in the end, wherever it was staged.
  assert.ok(readFileSync(join(bin, 'containerd-shim-runc-v2')).includes("hawser's library: /opt/hawser/lib/hawser\0"));
  for (const script of ['hawser', 'hawserd'])
    assert.match(readFileSync(join(bin, script), 'utf8'), /^built_in='\/opt\/hawser\/lib\/hawser'$/m);

  const containerd = await new Containerd(bin).start();
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
          env: { HAWSER_DATA: join(state, 'cli') },
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
