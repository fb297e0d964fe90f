import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundleOf, isAnothers, isSameBundle } from '../../src/runc/index.js';
import { tempDir } from './fixtures/support.js';

test('the bundle of a container is read as runc, crun and youki write it', (t) => {
  const dir = tempDir(t);
  for (const [name, file, state] of [
    ['runc', 'state.json', { id: 'c', config: { labels: ['other=1', 'bundle=/run/b=1/c'] } }],
    ['crun', 'status', { pid: 1, bundle: '/run/b=1/c' }],
    ['youki', 'state.json', { id: 'c', bundle: '/run/b=1/c' }],
  ] as const) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, file), JSON.stringify(state));
    assert.equal(bundleOf(join(dir, name)), '/run/b=1/c', name);
  }
});

test("nothing is known of a container that is not there, half written, or another runtime's", (t) => {
  const dir = tempDir(t);
  assert.equal(bundleOf(join(dir, 'missing')), undefined);
  for (const text of [
    '',
    '{"id":',
    '[]',
    'null',
    '{"config":null}',
    '{"config":{"labels":null}}',
    '{"config":{"labels":[1]}}',
  ]) {
    writeFileSync(join(dir, 'state.json'), text);
    assert.equal(bundleOf(dir), undefined, text);
    assert.equal(isAnothers(dir, '/x'), false);
  }
});

test('one bundle is one bundle by whatever path, also when it is gone', (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'run', 'c'), { recursive: true });
  symlinkSync('run', join(dir, 'var'));
  assert.ok(isSameBundle(join(dir, 'run/c'), join(dir, 'var/c')));
  assert.ok(isSameBundle(join(dir, 'run/gone/x'), join(dir, 'var/gone/x')));
  assert.ok(!isSameBundle(join(dir, 'run/c'), join(dir, 'run/d')));
});
