/** The watch on a cgroup v2, on files that look like its own. test/shim/oom.test.ts has real kills. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
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

/** As systemd and crun lay it out: the container's cgroup in a scope, and that in a slice, each with a count of its own. */
function scoped(
  t: TestContext,
): Watched & { count: (level: string, kills: number) => void; remove: (level: string) => void } {
  const slice = tempDir(t);
  const levels: Record<string, string> = {
    slice,
    scope: join(slice, 'docker-c.scope'),
    container: join(slice, 'docker-c.scope', 'container'),
  };
  const count = (level: string, kills: number): void => {
    mkdirSync(levels[level]!, { recursive: true });
    writeFileSync(join(levels[level]!, 'memory.events'), `max 9\noom ${kills}\noom_kill ${kills}\n`);
  };
  for (const level of ['slice', 'scope', 'container']) count(level, 0);
  let told = 0;
  const dir = levels.container!;
  const watch = OomWatch.start({ version: 2, dir }, () => told++);
  assert.ok(watch);
  t.after(() => watch.stop());
  return {
    dir,
    watch,
    told: () => told,
    write: (_oom, kills) => count('container', kills),
    count,
    remove: (level) => rmSync(levels[level]!, { recursive: true }),
  };
}

test("where systemd has removed the container's cgroup, the scope around it tells of the kill", (t) => {
  const { told, watch, count, remove } = scoped(t);
  for (const level of ['slice', 'scope', 'container']) count(level, 1);
  remove('container');
  watch.stop();
  assert.equal(told(), 1);
});

test('where the scope is gone, too, it is a kill if there was one in the slice and nobody else has killed the init', (t) => {
  for (const [wasKilled, kills, expected] of [
    [true, 1, 1],
    [false, 1, 0],
    [true, 0, 0],
  ] as const) {
    const { told, watch, count, remove } = scoped(t);
    count('slice', kills);
    remove('scope');
    watch.stop(wasKilled);
    assert.equal(told(), expected, `killed ${wasKilled}, ${kills} kills in the slice`);
  }
});

test('a kill in the slice that was another container is none of this one', (t) => {
  const { told, watch, count, remove } = scoped(t);
  count('slice', 4);
  watch.look(true);
  assert.equal(told(), 0);
  remove('scope');
  watch.stop(true);
  assert.equal(told(), 0, 'it was there when the own count was read for the last time');
});

test('a kill is told once, whichever count tells of it', (t) => {
  const { told, watch, count, remove } = scoped(t);
  for (const level of ['slice', 'scope', 'container']) count(level, 1);
  watch.look();
  assert.equal(told(), 1);
  remove('scope');
  watch.stop(true);
  assert.equal(told(), 1);
});

test('without a memory controller there is nothing to watch', (t) => {
  const told = (): void => assert.fail('told');
  assert.equal(OomWatch.start({ version: 2, dir: tempDir(t) }, told), undefined);
  assert.equal(OomWatch.start({ version: 1, controllers: {} }, told), undefined);
  assert.equal(OomWatch.start({ version: 1, controllers: { memory: tempDir(t) } }, told), undefined);
});
