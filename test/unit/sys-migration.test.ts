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

for (const { name, path } of hierarchies) {
  for (const point of name ? [name] : ['', 'unified']) {
    test(`where cgroups are mounted at ${point || 'the root'}, this process stays where it is`, async (t) => {
      const root = tempDir(t);
      const file = mount(join(root, point), path);
      // One that is under way does for others too.
      await eventually('it is said', () => {
        expectMigration(root);
        return readFileSync(file, 'utf8') === '0';
      });
    });
  }
}

test('one hierarchy is enough: they have one lock', async (t) => {
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
