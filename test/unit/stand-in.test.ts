/** The init of a zygote's rehearsal: it waits as long as its zygote takes on a busy machine, and not for one that is gone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { becomeSubreaper, reap } from '../../src/sys/index.js';
import { top } from '../support/daemons.js';
import { eventually } from '../support/eventually.js';
import { processState } from './fixtures/support.js';

const standIn = join(top, 'dist/hawser-stand-in');
const dir = mkdtempSync(join(tmpdir(), 'hawser-stand-in-'));
const pidFile = (id: string): string => join(dir, `${id}.pid`);
const words = (id: string): string[] => ['--root', dir, 'create', '--pid-file', pidFile(id), id];
const initOf = (id: string): number => Number(readFileSync(pidFile(id), 'utf8'));
const ended = (pid: number): Promise<unknown> => eventually('its end', () => processState(pid) === 'Z');

/** Has the process a handler for the signal (proc(5), SigCgt)? */
function heeds(pid: number, signal: number): boolean {
  const [, caught = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

before(() => becomeSubreaper());
after(() => rmSync(dir, { recursive: true }));

test('an init that looks whether its zygote is there finds it, and waits on', { timeout: 60_000 }, async () => {
  execFileSync(standIn, words('waits'), { stdio: 'ignore' });
  const pid = initOf('waits');
  // Before that the signal would end it.
  await eventually('it heeds the signal', () => heeds(pid, constants.signals.SIGALRM));
  // What it looks by: the clock sends it.
  process.kill(pid, 'SIGALRM');
  assert.equal(await readFile(join(dir, 'waits/exec.fifo'), 'latin1'), '0', 'it is started');
  await ended(pid);
  assert.equal(reap(pid), true);
});

test('an init whose zygote is gone ends', async () => {
  // A zygote adopts it; here that is not who has it made.
  execFileSync('sh', ['-c', '"$@"; exit', 'sh', standIn, ...words('ends')], { stdio: 'ignore' });
  const pid = initOf('ends');
  await ended(pid);
  assert.equal(reap(pid), true);
});
