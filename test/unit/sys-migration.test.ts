/** What is said to the kernel before a process is moved to another cgroup: this process is moved to where it is. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { expectMigration } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

/** The hierarchies of this process: the name of each, as it is mounted, and where in it the process is. */
const hierarchies = readFileSync('/proc/self/cgroup', 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line)!;
    return { name: controllers.replace(/^name=/, ''), path };
  });

/** A directory that looks as if a hierarchy were mounted there. */
function mount(dir: string, path: string): string {
  mkdirSync(join(dir, path), { recursive: true });
  const file = join(dir, path, 'cgroup.procs');
  writeFileSync(file, '');
  return file;
}

const threads = (): number => readdirSync('/proc/self/task').length;
/** The test's own; what is said is done by one more. */
const usual = threads();

/** Says it, and waits until that has been done. */
async function said(root?: string): Promise<void> {
  await eventually('another has ended', () => threads() <= usual);
  expectMigration(root);
  await eventually('it has ended', () => threads() <= usual);
}

const older = hierarchies.filter(({ name }) => name !== '');
const without = { skip: older.length === 0 && 'there is no cgroup v1' };

for (const { name, path } of older) {
  test(`where cgroups are mounted at ${name}, this process stays where it is`, async (t) => {
    const root = tempDir(t);
    const file = mount(join(root, name), path);
    // One that is under way does for others too.
    await eventually('it is said', () => {
      expectMigration(root);
      return readFileSync(file, 'utf8') === '0';
    });
  });
}

test('nothing is said of cgroup v2, where runtimes need not move what they make', async (t) => {
  const root = tempDir(t);
  const { path = '/' } = hierarchies.find(({ name }) => name === '') ?? {};
  const files = ['', 'unified'].map((point) => mount(join(root, point), path));
  for (let n = 0; n < 5; n++) await said(root);
  assert.deepEqual(
    files.map((file) => readFileSync(file, 'utf8')),
    ['', ''],
  );
});

test('one hierarchy is enough: they have one lock', without, async (t) => {
  const root = tempDir(t);
  const files = hierarchies.map(({ name, path }) => mount(join(root, name || 'unified'), path));
  const written = (): number => files.filter((file) => readFileSync(file, 'utf8') !== '').length;
  await eventually('it is said', () => {
    expectMigration(root);
    return written() > 0;
  });
  for (let n = 0; n < 50; n++) expectMigration(root);
  await said(root);
  assert.equal(written(), 1);
});

test('where no cgroups are mounted nothing happens, and nothing stays open', async (t) => {
  const root = tempDir(t);
  await said();
  await leavesNothingOpen(async () => {
    for (const place of [root, join(root, 'nowhere'), `${root}/${'long'.repeat(2000)}`]) await said(place);
  });
  assert.deepEqual(readdirSync(root), []);
});

test('this process is where it was', async () => {
  const before = readFileSync('/proc/self/cgroup', 'utf8');
  await said();
  assert.equal(readFileSync('/proc/self/cgroup', 'utf8'), before);
});
