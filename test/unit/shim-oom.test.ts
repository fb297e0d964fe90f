/** The watch on a cgroup v2, on files that look like its own. test/shim/oom.test.ts has real kills. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { OomWatch } from '../../src/shim/cgroup/oom.js';
import { eventually } from '../support/eventually.js';
import { tempDir } from './fixtures/support.js';

interface Watched {
  dir: string;
  watch: OomWatch;
  told: () => number;
  write: (oom: number, kills: number) => void;
}

function watched(t: TestContext, kills = 0): Watched {
  const dir = tempDir(t);
  const write = (oom: number, killed: number): void =>
    writeFileSync(
      join(dir, 'memory.events'),
      `low 0\nhigh 0\nmax 9\noom ${oom}\noom_kill ${killed}\noom_group_kill 0\n`,
    );
  write(kills, kills);
  let told = 0;
  const watch = OomWatch.start({ version: 2, dir }, () => told++);
  assert.ok(watch);
  t.after(() => watch.stop());
  return { dir, watch, told: () => told, write };
}

test('a kill is told as it happens, once', async (t) => {
  const { told, write, watch } = watched(t);
  write(1, 1);
  await eventually('it is told', () => told() === 1);
  watch.look();
  assert.equal(told(), 1);
  write(2, 3);
  await eventually('the next is told', () => told() === 2);
});

test('bug 12: what counts is `oom_kill`, not `oom`', (t) => {
  const { told, write, watch } = watched(t);
  write(5, 0);
  watch.look();
  assert.equal(told(), 0);
  write(5, 1);
  watch.look();
  assert.equal(told(), 1);
});

test('kills of before the watch are not told', (t) => {
  const { told, write, watch } = watched(t, 7);
  watch.look();
  assert.equal(told(), 0);
  write(8, 8);
  watch.look();
  assert.equal(told(), 1);
});

test('stopping looks once more, and after that nothing is told', (t) => {
  const { told, write, watch } = watched(t);
  write(1, 1);
  watch.stop();
  assert.equal(told(), 1);
  write(2, 2);
  watch.look();
  watch.stop();
  assert.equal(told(), 1);
});

test('a cgroup that is removed is no kill', (t) => {
  const { told, dir, watch } = watched(t, 3);
  rmSync(join(dir, 'memory.events'));
  watch.look();
  watch.stop();
  assert.equal(told(), 0);
});

test('without a memory controller there is nothing to watch', (t) => {
  const told = (): void => assert.fail('told');
  assert.equal(OomWatch.start({ version: 2, dir: tempDir(t) }, told), undefined);
  assert.equal(OomWatch.start({ version: 1, controllers: {} }, told), undefined);
  assert.equal(OomWatch.start({ version: 1, controllers: { memory: tempDir(t) } }, told), undefined);
});
