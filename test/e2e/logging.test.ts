/** `ctr run --log-uri` under Debian's containerd: logging binaries, and log files with and without rotation. Needs root. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, until } from '../support/daemons.js';

let containerd: Containerd;

before(async () => {
  containerd = await new Containerd(shimDir).start();
});

after(async () => {
  await containerd.cleanUp();
});

const inDir = (name: string): string => join(containerd.dir, name);

/** Runs a container in the background until it has ended, and removes it. */
async function run(id: string, uri: string, script: string): Promise<void> {
  await containerd.ctr(['run', '-d', '--log-uri', uri, '--rootfs', containerd.rootfs, id, '/bin/sh', '-c', script]);
  await remove(id);
}

async function remove(id: string): Promise<void> {
  await until('the container to end', async () =>
    (
      (await containerd.ctr(['tasks', 'ls'])).stdout.split('\n').find((line) => line.startsWith(`${id} `)) ?? ''
    ).includes('STOPPED'),
  );
  await containerd.ctr(['tasks', 'rm', id]);
  await containerd.ctr(['containers', 'rm', id]);
}

function logger(name: string, script: string): string {
  writeFileSync(inDir(name), `#!/bin/sh\nPATH=/usr/bin:/bin\ndir=${containerd.dir}\n${script}\n`, { mode: 0o755 });
  return inDir(name);
}

const COPY =
  'exec 5>&-; cat <&4 >>"$dir/$CONTAINER_NAMESPACE-$CONTAINER_ID.err" & cat <&3 >>"$dir/$CONTAINER_NAMESPACE-$CONTAINER_ID.out"; wait';

test('binary://: a logging binary gets what the container writes, and what ctr says about it', async () => {
  await run(
    'logged',
    `binary://${logger('log', `for a; do echo "[$a]"; done >"$dir/args"; ${COPY}`)}?tag=web&verbose`,
    'echo out; echo err >&2',
  );
  assert.equal(readFileSync(inDir(`${containerd.namespace}-logged.out`), 'utf8'), 'out\n');
  assert.equal(readFileSync(inDir(`${containerd.namespace}-logged.err`), 'utf8'), 'err\n');
  assert.equal(readFileSync(inDir('args'), 'utf8'), '[tag]\n[web]\n[verbose]\n[]\n');
});

test('binary-v2://: a logger that says it is ready; one that does not keeps the container from being made', async () => {
  await run('ready', `binary-v2://${logger('log2', `printf r >&5; ${COPY}`)}`, 'echo out');
  assert.equal(readFileSync(inDir(`${containerd.namespace}-ready.out`), 'utf8'), 'out\n');
  const { stderr, exitCode } = await containerd.ctr(
    [
      'run',
      '-d',
      '--log-uri',
      `binary-v2://${logger('crash', 'exit 1')}`,
      '--rootfs',
      containerd.rootfs,
      'crash',
      '/bin/true',
    ],
    { reject: false },
  );
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /logging binary did not call ready/);
  await containerd.ctr(['containers', 'rm', 'crash'], { reject: false });
});

test('a logging binary that is missing is an error that names it, and nothing is left', async () => {
  const { stderr, exitCode } = await containerd.ctr(
    ['run', '-d', '--log-uri', 'binary:///no/such/logger', '--rootfs', containerd.rootfs, 'missing', '/bin/true'],
    { reject: false },
  );
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /failed to start binary process: fork\/exec \/no\/such\/logger: no such file or directory/);
  assert.equal(existsSync(containerd.bundle('missing')), false);
  await containerd.ctr(['containers', 'rm', 'missing'], { reject: false });
});

test("file://: the container's own file; and with max-size, a log that is rotated", async () => {
  await run('plain', `file://${inDir('plain.log')}`, 'echo out; echo err >&2');
  assert.deepEqual(readFileSync(inDir('plain.log'), 'utf8').split('\n').sort(), ['', 'err', 'out']);
  await run('rotated', `file://${inDir('rotated.log')}?max-size=2k&max-files=3`, 'seq 1 2000');
  const kept = ['rotated.log.2', 'rotated.log.1', 'rotated.log'].map((name) => readFileSync(inDir(name), 'utf8'));
  const all = Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('');
  assert.ok(all.endsWith(kept.join('')));
  for (const part of kept) assert.ok(part.length <= 2048 && part.endsWith('\n'));
  assert.equal(existsSync(inDir('rotated.log.3')), false);
});

test('nothing is left: no shim and no logger', async () => {
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
});
