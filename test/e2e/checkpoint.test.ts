/** Checkpoint and restore by ctr and by docker, with a real criu. Needs root. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { firstCount, lastCount } from '../support/checkpoints.js';
import { criuDirectory } from '../support/criu.js';
import { Containerd, Dockerd, makeImage, shimDir, temporaryDirectory, until } from '../support/daemons.js';
import { Terminal } from '../support/terminal.js';

const IMAGE = 'docker.io/library/busybox:test';
const COUNT = ['/bin/sh', '-c', 'i=0; while :; do i=$((i+1)); echo count $i; sleep 0.2; done'];
let programs: string;
let containerd: Containerd;
let dockerd: Dockerd;

before(async () => {
  // The shims' PATH begins with the directory of the shim; here it has criu too.
  programs = temporaryDirectory('programs');
  for (const file of [join(shimDir, 'containerd-shim-runc-v2'), join(criuDirectory(), 'criu')])
    symlinkSync(file, join(programs, file.slice(file.lastIndexOf('/'))));
  containerd = await new Containerd(programs).start();
  await containerd.ctr(['images', 'import', await makeImage(containerd.dir, containerd.rootfs, IMAGE)]);
  dockerd = await new Dockerd(containerd).start(['--experimental']);
  await dockerd.importImage(containerd.rootfs, 'busybox:test');
});

after(async () => {
  await dockerd.cleanUp();
  await containerd.cleanUp();
  rmSync(programs, { recursive: true });
});

async function status(id: string): Promise<string | undefined> {
  const { stdout } = await containerd.ctr(['tasks', 'ls']);
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([name]) => name === id)?.[2];
}

/** Runs something with a container that counts in the background into a log file. */
async function withCounter(id: string, work: (log: string) => Promise<void>): Promise<void> {
  const log = join(containerd.dir, `${id}.log`);
  await containerd.ctr(['run', '-d', '--log-uri', `file://${log}`, IMAGE, id, ...COUNT]);
  try {
    await work(log);
  } finally {
    await remove(id);
  }
}

async function remove(id: string): Promise<void> {
  await containerd.ctr(['tasks', 'rm', '-f', id], { reject: false });
  await containerd.ctr(['containers', 'rm', id], { reject: false });
}

// ---- ctr -----------------------------------------------------------------------------------------------------------

test('ctr tasks checkpoint into a directory, with and without --exit', async () => {
  await withCounter('into-dir', async () => {
    const [images, work] = [join(containerd.dir, 'images'), join(containerd.dir, 'work')];
    await containerd.ctr(['tasks', 'checkpoint', '--image-path', images, '--work-path', work, 'into-dir']);
    assert.ok(existsSync(join(images, 'inventory.img')));
    assert.ok(readdirSync(work).includes('dump.log'));
    assert.equal(await status('into-dir'), 'RUNNING');
    await containerd.ctr(['tasks', 'checkpoint', '--exit', '--image-path', `${images}-2`, 'into-dir']);
    await until('the end', async () => (await status('into-dir')) === 'STOPPED');
    assert.ok(existsSync(join(`${images}-2`, 'inventory.img')));
  });
});

test('ctr tasks checkpoint into the content store, with and without --exit', async () => {
  await withCounter('into-store', async () => {
    const first = (await containerd.ctr(['tasks', 'checkpoint', 'into-store'])).stdout.trim();
    assert.equal(await status('into-store'), 'RUNNING');
    await containerd.ctr(['images', 'rm', '--sync', first]);
    const second = (await containerd.ctr(['tasks', 'checkpoint', '--exit', 'into-store'])).stdout.trim();
    await until('the end', async () => (await status('into-store')) === 'STOPPED');
    await containerd.ctr(['images', 'rm', '--sync', second]);
  });
});

for (const layer of [[], ['--rw']]) {
  test(`ctr containers checkpoint, and restore --live${layer.length > 0 ? ', with its own layer' : ''}`, async () => {
    const ref = `checkpoint${layer.length}`;
    await containerd.ctr([
      'run',
      '-d',
      '--null-io',
      IMAGE,
      'origin',
      ...COUNT.slice(0, 2),
      `echo mine > /own; ${COUNT[2]!.replace('echo count $i', 'echo $i > /tmp/count')}`,
    ]);
    try {
      // Until it has counted for the first time there is no file.
      const count = async (id: string): Promise<number> =>
        Number(
          (
            await containerd.ctr(['tasks', 'exec', '--exec-id', `e${Date.now()}`, id, 'cat', '/tmp/count'], {
              reject: false,
            })
          ).stdout,
        );
      await until('a count', async () => (await count('origin')) > 3);
      const before = await count('origin');
      await containerd.ctr(['containers', 'checkpoint', '--task', '--image', ...layer, 'origin', ref]);
      assert.equal(await status('origin'), 'RUNNING');
      await remove('origin');
      await containerd.ctr(['containers', 'restore', '--live', ...layer, 'copy', ref]);
      assert.equal(await status('copy'), 'RUNNING');
      await until('a count that goes on', async () => (await count('copy')) > before + 2);
      assert.ok((await count('copy')) < before + 1000);
      const own = await containerd.ctr(['tasks', 'exec', '--exec-id', 'own', 'copy', 'cat', '/own'], { reject: false });
      assert.equal(own.stdout, layer.length > 0 ? 'mine' : '');
      assert.match((await containerd.ctr(['tasks', 'metrics', 'copy'])).stdout, /pids\.current|pids/);
      await containerd.ctr(['tasks', 'kill', '-s', 'KILL', 'copy']);
      await until('the end', async () => (await status('copy')) === 'STOPPED');
    } finally {
      for (const id of ['origin', 'copy']) await remove(id);
      await containerd.ctr(['images', 'rm', '--sync', ref], { reject: false });
    }
  });
}

test('field 40: ctr restores a container with a terminal', async () => {
  const ref = 'checkpoint-tty';
  const terminal = new Terminal(...containerd.command(['run', '-t', IMAGE, 'tty', ...COUNT]));
  let again: Terminal | undefined;
  try {
    await terminal.shows(/count 3\r/);
    await containerd.ctr(['containers', 'checkpoint', '--task', '--image', 'tty', ref]);
    await remove('tty');
    again = new Terminal(...containerd.command(['containers', 'restore', '--live', 'tty2', ref]));
    await until('the container', async () => (await status('tty2')) === 'RUNNING');
    assert.match(
      (await containerd.ctr(['tasks', 'exec', '--exec-id', 'e', 'tty2', 'ls', '-l', '/proc/1/fd/1'])).stdout,
      /\/dev\/(pts\/\d|console)/,
    );
  } finally {
    for (const one of [terminal, again]) one?.kill();
    for (const id of ['tty', 'tty2']) await remove(id);
    assert.equal(await status('tty2'), undefined);
    await containerd.ctr(['images', 'rm', '--sync', ref], { reject: false });
  }
});

// ---- docker --------------------------------------------------------------------------------------------------------

for (const flags of [[], ['-t']]) {
  test(`docker checkpoint create, ls and rm, and start --checkpoint${flags.length > 0 ? ', with a terminal' : ''}`, async () => {
    const name = `counter${flags.length}`;
    const state = async (): Promise<string> =>
      (await dockerd.docker(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name])).stdout;
    const logs = async (): Promise<string> => (await dockerd.docker(['logs', name])).stdout.replaceAll('\r', '') + '\n';
    await dockerd.docker(['run', '-d', ...flags, '--name', name, 'busybox:test', ...COUNT]);
    try {
      await until('a count', async () => lastCount(await logs()) > 2);
      await dockerd.docker(['checkpoint', 'create', '--leave-running', name, 'early']);
      assert.equal(await state(), 'running 0');
      const early = lastCount(await logs());
      await until('more counts', async () => lastCount(await logs()) > early + 3);
      await dockerd.docker(['checkpoint', 'create', name, 'late']);
      await until('the end', async () => (await state()) === 'exited 137');
      assert.deepEqual(
        (await dockerd.docker(['checkpoint', 'ls', name])).stdout
          .split('\n')
          .slice(1)
          .map((line) => line.trim()),
        ['early', 'late'],
      );
      for (const checkpoint of ['late', 'early']) {
        const before = await logs();
        // dockerd puts it into containerd's store, which may still have the same from taking it, until that is collected.
        await until('containerd to take the checkpoint', async () => {
          const { exitCode, stderr } = await dockerd.docker(['start', '--checkpoint', checkpoint, name], {
            reject: false,
          });
          if (exitCode !== 0) assert.match(stderr, /failed to upload checkpoint to containerd: .* already exists/);
          return exitCode === 0;
        });
        assert.equal(await state(), 'running 0');
        const since = async (): Promise<string> => (await logs()).slice(before.length);
        await until('counts again', async () => firstCount(await since()) > 0);
        const first = firstCount(await since());
        assert.ok(
          checkpoint === 'late' ? first >= lastCount(before) : first <= early + 3,
          `${checkpoint}: it went on with ${first} after ${lastCount(before)}`,
        );
        assert.match((await dockerd.docker(['exec', name, 'ps'])).stdout, /1 root/);
        assert.match((await dockerd.docker(['stats', '--no-stream', '--format', '{{.PIDs}}', name])).stdout, /^[1-9]/);
        await dockerd.docker(['kill', name]);
        assert.equal(await state(), 'exited 137');
      }
      await dockerd.docker(['checkpoint', 'rm', name, 'early']);
      assert.equal((await dockerd.docker(['checkpoint', 'ls', name])).stdout.includes('early'), false);
    } finally {
      await dockerd.docker(['rm', '-f', name]);
    }
  });
}

test('docker start from a checkpoint that is spoilt fails, and the container can be started and removed', async () => {
  await dockerd.docker(['run', '-d', '--name', 'spoilt', 'busybox:test', ...COUNT]);
  try {
    const dir = join(containerd.dir, 'checkpoints');
    await dockerd.docker(['checkpoint', 'create', '--checkpoint-dir', dir, 'spoilt', 'one']);
    await until(
      'the end',
      async () => (await dockerd.docker(['inspect', '-f', '{{.State.Running}}', 'spoilt'])).stdout === 'false',
    );
    const image = readdirSync(dir, { recursive: true })
      .map(String)
      .find((name) => name.endsWith('core-1.img'))!;
    truncateSync(join(dir, image), 0);
    // Custom directories are for creating only (moby#37360): the images go where dockerd looks for them.
    const own = join(
      dockerd.dir,
      'data/containers',
      (await dockerd.docker(['inspect', '-f', '{{.Id}}', 'spoilt'])).stdout,
      'checkpoints',
    );
    symlinkSync(join(dir, 'one'), join(own, 'one'));
    const failed = await dockerd.docker(['start', '--checkpoint', 'one', 'spoilt'], { reject: false });
    assert.notEqual(failed.exitCode, 0);
    assert.match(failed.stderr, /OCI runtime restore failed|criu failed/);
    await dockerd.docker(['start', 'spoilt']);
    assert.equal((await dockerd.docker(['inspect', '-f', '{{.State.Running}}', 'spoilt'])).stdout, 'true');
  } finally {
    await dockerd.docker(['rm', '-f', 'spoilt']);
  }
  await until('no task of it', async () => !(await containerd.ctr(['-n', 'moby', 'tasks', 'ls', '-q'])).stdout);
});
