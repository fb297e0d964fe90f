/** Which children are commands that another worker has begun: a command is one as long as it runs, whatever it shows of itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Commands } from '../../src/shim/task/commands.js';

/** Children by pid: what each shows of itself; undefined for one that has ended and is not collected. */
class Children {
  readonly all = new Map<number, string[] | undefined>();
  readonly commands = new Commands(
    (words) => words.includes('--root'),
    (pid) => pid === 1,
    () => [...this.all.keys()],
    (pid) => this.all.get(pid) ?? [],
    (pid) => this.all.get(pid) !== undefined,
  );
}

test('a command is under way until it has ended', () => {
  const { all, commands } = new Children();
  assert.equal(commands.look(), false);
  all.set(10, ['sh', 'runc', '--root']);
  assert.equal(commands.look(), true);
  all.set(10, undefined);
  assert.equal(commands.look(), false);
});

test('one in the middle of an execve is under way, though it shows no words; and so is one that shows others then', () => {
  const { all, commands } = new Children();
  all.set(10, ['']);
  assert.equal(commands.look(), true);
  all.set(10, ['runc', '--root']);
  assert.equal(commands.look(), true);
  all.set(10, ['']);
  for (let look = 0; look < 1000; look++) assert.equal(commands.look(), true);
  all.set(10, ['something else']);
  assert.equal(commands.look(), true);
});

test("one that never shows a word is somebody's, and is not waited for", () => {
  const { all, commands } = new Children();
  all.set(10, ['']);
  let looks = 0;
  while (commands.look()) looks++;
  assert.ok(looks < 200, String(looks));
});

test("the container's processes and others are none", () => {
  const { all, commands } = new Children();
  all.set(1, ['runc', '--root', 'init']).set(11, ['logger']);
  assert.equal(commands.look(), false);
});
