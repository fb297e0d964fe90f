import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isRunc, releaseInit } from '../../src/runc/exec-fifo.js';
import { makeFifo } from '../../src/sys/index.js';
import { workDirectory } from '../support/records.js';

const never = new Promise(() => undefined);

/** As an init that waits to be started. */
function init(fifo: string, text: string): Promise<number | null> {
  const child = spawn('sh', ['-c', `printf '%s' "$1" >"$0"`, fifo, text], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('exit', resolve));
}

test('an init that waits at the FIFO goes on, and the FIFO is gone', async () => {
  const fifo = join(workDirectory(), 'exec.fifo');
  makeFifo(fifo, 0o600);
  const ended = init(fifo, '0');
  assert.equal(await releaseInit(fifo, never), true);
  assert.equal(await ended, 0);
  assert.equal(existsSync(fifo), false);
});

test('an init that comes to the FIFO later is waited for', async () => {
  const fifo = join(workDirectory(), 'exec.fifo');
  makeFifo(fifo, 0o600);
  const released = releaseInit(fifo, never);
  assert.equal(await Promise.race([released, new Promise((resolve) => setImmediate(resolve, 'waits'))]), 'waits');
  await init(fifo, '0');
  assert.equal(await released, true);
});

test('an init that has ended is not released, and the FIFO stays for who asks runc', async () => {
  const fifo = join(workDirectory(), 'exec.fifo');
  makeFifo(fifo, 0o600);
  assert.equal(await releaseInit(fifo, Promise.resolve()), false);
  assert.equal(existsSync(fifo), true);
  const ended = init(fifo, '');
  assert.equal(await releaseInit(fifo, ended), false);
});

test('what is no FIFO, or is not there, is left to runc', async () => {
  const file = join(workDirectory(), 'exec.fifo');
  assert.equal(await releaseInit(file, never), false);
  writeFileSync(file, '0');
  assert.equal(await releaseInit(file, never), false);
  assert.equal(existsSync(file), true);
});

test('runc is known by what is in it, not by its name', () => {
  const dir = workDirectory();
  copyFileSync('/usr/sbin/runc', join(dir, 'other'));
  copyFileSync('/usr/bin/ctr', join(dir, 'runc'));
  writeFileSync(join(dir, 'script'), '#!/bin/sh\nexec runc "$@"\n');
  assert.deepEqual(
    ['other', 'runc', 'script', 'missing'].map((name) => isRunc(join(dir, name))),
    [true, false, false, false],
  );
});
