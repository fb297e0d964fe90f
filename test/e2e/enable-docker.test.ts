/** `hawser shim enable --for docker` with a real dockerd that knows shims, which the machine's own need not. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { isHawsers } from '../../src/cli/shim/find.js';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const [docker, newContainerd] = ['docker@trixie', 'containerd@trixie'].map((name) =>
  execFileSync('sh', [join(checkout, 'test/support/packages.sh'), name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
    .trim()
    .split(' ')
    .at(-1)!,
) as [string, string];
// Read when it is loaded.
process.env.HAWSER_TEST_DOCKERD = join(docker, 'dockerd');
process.env.HAWSER_TEST_DOCKER = join(docker, 'docker');
const { Containerd, Dockerd, onHawserd, stockDir, top, until } = await import('../support/daemons.js');

const skip = onHawserd && 'hawserd has its own shim, whatever it is called by';

test('dockerd runs containers of a runtime in our shim, and others in Go’s', { skip, timeout: 200_000 }, async () => {
  const containerd = await new Containerd(
    stockDir,
    join(newContainerd, 'containerd'),
    join(newContainerd, 'ctr'),
  ).start();
  const dockerd = new Dockerd(containerd);
  const { dir } = dockerd;
  const config = join(dir, 'etc/docker/daemon.json');
  const hawser = (...args: string[]): Promise<{ exitCode?: number; stdout: string; stderr: string }> =>
    execa(join(top, 'bin/hawser'), ['shim', ...args, '--root', dir], { stdin: 'ignore', reject: false });
  const ok = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await hawser(...args);
    assert.equal(exitCode, 0, stderr);
    return stdout;
  };
  /** As `systemctl reload docker` does, with the options found where / will be. */
  const reload = async (): Promise<void> => {
    const written = readFileSync(config, 'utf8');
    const count = (): number => dockerd.logText().split('Reloaded configuration').length;
    const before = count();
    writeFileSync(config, written.replaceAll('"/etc/hawser', `"${dir}/etc/hawser`));
    process.kill(dockerd.pid, 'SIGHUP');
    await until('dockerd to read its configuration', () => count() > before);
    writeFileSync(config, written);
  };
  const shimOf = async (name: string, runtime: string[]): Promise<string> => {
    await dockerd.docker(['run', '-d', '--name', name, '--net', 'none', ...runtime, 'box', '/bin/sleep', '1000']);
    const [pid, ...others] = await containerd.shimPids();
    assert.deepEqual(others, []);
    const found = isHawsers(pid!) ? 'ours' : "Go's";
    assert.equal((await dockerd.docker(['exec', name, '/bin/echo', 'in it'])).stdout, 'in it');
    await dockerd.docker(['kill', name]);
    await until('the shim to end', async () => (await containerd.shimPids()).length === 0);
    return found;
  };
  try {
    for (const place of ['etc/docker', 'usr/sbin', 'lib/systemd/system'])
      mkdirSync(join(dir, place), { recursive: true });
    symlinkSync(join(docker, 'dockerd'), join(dir, 'usr/sbin/dockerd'));
    writeFileSync(join(dir, 'lib/systemd/system/docker.service'), '[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n');
    mkdirSync(join(dir, 'var/lib'), { recursive: true });
    symlinkSync('../../data', join(dir, 'var/lib/docker'));
    const before = '{\n    "exec-opts": ["native.cgroupdriver=cgroupfs"],\n    "live-restore": true\n}\n';
    writeFileSync(config, before);
    await dockerd.start(['--config-file', config]);
    await dockerd.importImage(containerd.rootfs, 'box');

    const said = await ok('enable', '--for', 'docker', '--runtime-class', 'hawser');
    assert.match(said, /It takes:\n {2}systemctl reload docker$/);
    assert.match(await ok('enable', '--for', 'docker', '--runtime-class', 'hawser'), /^Nothing to do/);
    assert.match(await ok('status'), /docker's runtime hawser +\S+daemon\.json$/m);
    await reload();
    assert.equal(await shimOf('named', ['--runtime', 'hawser']), 'ours');
    assert.equal(await shimOf('other', []), "Go's");

    // dockerd could not start it again.
    assert.match((await hawser('disable')).stderr, /made for the runtime hawser: named: remove them first/);
    await dockerd.docker(['rm', 'named']);
    assert.doesNotMatch(await ok('disable'), /It takes/);
    assert.equal(existsSync(join(dir, 'etc/hawser/docker-hawser.toml')), false);
    assert.equal(readFileSync(config, 'utf8'), before);
    assert.equal(await shimOf('after', []), "Go's");
    const errors = dockerd
      .logText()
      .split('\n')
      .filter((line) => /level=(error|fatal)/.test(line));
    assert.deepEqual(errors, []);
    const refused = async (why: RegExp): Promise<void> => {
      const run = ['run', '--rm', '--net', 'none', '--runtime', 'hawser', 'box', '/bin/true'];
      assert.match((await dockerd.docker(run, { reject: false })).stderr, why);
    };
    await refused(/no such file or directory, open '.*docker-hawser\.toml'/);
    await dockerd.stop();
    await dockerd.start(['--config-file', config]);
    await refused(/unknown or invalid runtime name: hawser/);
  } finally {
    await dockerd.cleanUp();
    await containerd.cleanUp();
  }
});
