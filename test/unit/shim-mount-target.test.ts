import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { targetOf } from '../../src/shim/rootfs/mount-target.js';
import { tempDir } from './fixtures/support.js';

function rootfs(t: TestContext): {
  root: string;
  outside: string;
  at: (target: string, more?: { source?: string; options?: string[] }) => string;
} {
  const dir = tempDir(t);
  const [root, outside] = [join(dir, 'rootfs'), join(dir, 'outside')];
  for (const path of [root, outside]) mkdirSync(path);
  return { root, outside, at: (target, more = {}) => targetOf(root, { target, source: '', options: [], ...more }) };
}

test('no target is the rootfs', (t) => {
  const { root, at } = rootfs(t);
  assert.equal(at(''), root);
  assert.equal(at('/'), root);
});

test('a directory that is missing is made, with its parents', (t) => {
  const { root, at } = rootfs(t);
  assert.equal(at('/a/b/c'), join(root, 'a/b/c'));
  assert.ok(statSync(join(root, 'a/b/c')).isDirectory());
  assert.equal(at('a/./b//c/'), join(root, 'a/b/c'));
});

test('dots end at the rootfs', (t) => {
  const { root, outside, at } = rootfs(t);
  assert.equal(at('../../outside'), join(root, 'outside'));
  assert.equal(at('/a/../../x'), join(root, 'x'));
  assert.deepEqual(readdirSync(outside), []);
});

test('links are followed as in the container: nothing outside is touched', (t) => {
  const { root, outside, at } = rootfs(t);
  mkdirSync(join(root, 'var'));
  symlinkSync('/run', join(root, 'var/run'));
  assert.equal(at('/var/run/secrets'), join(root, 'run/secrets'));
  symlinkSync(outside, join(root, 'absolute'));
  assert.equal(at('/absolute/x'), join(root, outside, 'x'));
  symlinkSync('../../../../outside', join(root, 'relative'));
  assert.equal(at('/relative/x'), join(root, 'outside/x'));
  symlinkSync('var/run', join(root, 'chain'));
  assert.equal(at('/chain'), join(root, 'run'));
  assert.deepEqual(readdirSync(outside), []);
});

test('links that go in a circle are an error', (t) => {
  const { root, at } = rootfs(t);
  symlinkSync('b', join(root, 'a'));
  symlinkSync('a', join(root, 'b'));
  assert.throws(() => at('/a/x'), { message: 'mount target "/a/x" goes through more than 255 links' });
});

test('a file is bound on a file, made when it is missing, left as it is when not', (t) => {
  const { root, outside, at } = rootfs(t);
  const source = join(outside, 'file');
  writeFileSync(source, 'x');
  for (const word of ['bind', 'rbind']) {
    const path = at(`/etc/${word}`, { source, options: ['ro', word] });
    assert.ok(lstatSync(path).isFile());
    assert.equal(path, join(root, 'etc', word));
  }
  writeFileSync(join(root, 'there'), 'content');
  at('/there', { source, options: ['bind'] });
  assert.equal(statSync(join(root, 'there')).size, 7);
  assert.ok(statSync(at('/image', { source, options: ['loop'] })).isDirectory(), 'an image is mounted on a directory');
});
