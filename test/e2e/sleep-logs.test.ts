/** Containers with `ctr run --log-uri` under a real containerd, whose shims sleep while they run. Needs root. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, until } from '../support/daemons.js';
import { allProcesses } from '../support/machine.js';

let containerd: Containerd;

before(async () => {
  // What the daemon has in its environment its shims have.
  process.env.HAWSER_SLEEP = '0.3';
  containerd = await new Containerd(shimDir).start();
});

after(async () => {
  delete process.env.HAWSER_SLEEP;
  await containerd.cleanUp();
});

const inDir = (name: string): string => join(containerd.dir, name);
const read = (name: string): string => (existsSync(inDir(name)) ? readFileSync(inDir(name), 'utf8') : '');
const workers = (id: string): number[] =>
  allProcesses()
    .filter(({ command }) => command.startsWith(`hawser-worker ${containerd.namespace}/${id} `))
    .map(({ pid }) => pid);
const asleep = (id: string): Promise<unknown> => until(`the shim of ${id} to sleep`, () => workers(id).length === 0);
const taskLine = async (id: string): Promise<string> =>
  (await containerd.ctr(['tasks', 'ls'])).stdout.split('\n').find((line) => line.startsWith(`${id} `)) ?? '';

/** Says a line each time that a file in its temporary directory goes, and ends when it is told to. */
const script = (id: string): string =>
  `n=0; while [ $n -lt 5 ]; do while [ ! -e /ask/${id}-$n ]; do sleep 0.05; done; n=$((n+1)); echo "line $n"; echo "complaint $n" >&2; done`;

async function run(id: string, uri: string): Promise<void> {
  const mount = `type=bind,src=${containerd.dir},dst=/ask,options=rbind:ro`;
  const args = ['--log-uri', uri, '--mount', mount, '--rootfs', containerd.rootfs, id, '/bin/sh', '-c', script(id)];
  await containerd.ctr(['run', '-d', ...args]);
}

const ask = (id: string, n: number): void => writeFileSync(inDir(`${id}-${n}`), '');

async function remove(id: string): Promise<void> {
  await until('the container to end', async () => (await taskLine(id)).includes('STOPPED'));
  await containerd.ctr(['tasks', 'rm', id]);
  await containerd.ctr(['containers', 'rm', id]);
}

const out = (n: number): string => Array.from({ length: n }, (_, index) => `line ${index + 1}\n`).join('');
const all = (n: number): string =>
  Array.from({ length: n }, (_, index) => `line ${index + 1}\ncomplaint ${index + 1}\n`).join('');

test('file://: what a container writes is in its log while its shim sleeps, wakes, and sleeps again', async () => {
  await run('file', `file://${inDir('file.log')}`);
  for (let n = 0; n < 4; n++) {
    await asleep('file');
    ask('file', n);
    await until(
      `line ${n + 1}`,
      () =>
        read('file.log').split('\n').sort().join() ===
        all(n + 1)
          .split('\n')
          .sort()
          .join(),
    );
    assert.deepEqual(workers('file'), [], 'nobody had to be woken for that');
    assert.match(await taskLine('file'), /RUNNING/);
  }
  await asleep('file');
  ask('file', 4);
  await remove('file');
  assert.deepEqual(read('file.log').split('\n').sort(), all(5).split('\n').sort());
});

test('binary://: a logger has all of it, and its end, from a container whose shim sleeps', async () => {
  const copy = 'exec 5>&-; cat <&4 >"$dir/err" & cat <&3 >"$dir/out"; wait; echo end >>"$dir/out"';
  writeFileSync(inDir('log'), `#!/bin/sh\nPATH=/usr/bin:/bin\ndir=${containerd.dir}\n${copy}\n`, { mode: 0o755 });
  await run('logged', `binary://${inDir('log')}`);
  for (let n = 0; n < 4; n++) {
    await asleep('logged');
    ask('logged', n);
    await until(`line ${n + 1}`, () => read('out') === out(n + 1));
    assert.deepEqual(workers('logged'), []);
    assert.match(await taskLine('logged'), /RUNNING/);
  }
  // A daemon that restarts finds it.
  await asleep('logged');
  await containerd.stop();
  await containerd.start();
  assert.match(await taskLine('logged'), /RUNNING/);
  ask('logged', 4);
  await remove('logged');
  assert.equal(read('out'), `${out(5)}end\n`);
  assert.equal(read('err').split('\n').length, 6);
});

test('nothing is left: no shim and no logger', async () => {
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
  assert.deepEqual(
    allProcesses().filter(({ command }) => command.includes(inDir('log'))),
    [],
  );
});
