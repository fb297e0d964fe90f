/** What a zygote tells V8 must be what this Node's V8 knows, or it is an error on the standard error and nothing else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { optimizingEagerly, thresholdOf } from '../../src/shim/zygote/optimize.js';

test('V8 has what makes it optimize, and its default is what is set back', () => {
  const { stdout } = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  const { name, usual } = thresholdOf(process.versions.v8);
  assert.match(stdout, new RegExp(`default: ${name}=${usual}\\n`));
  assert.match(stdout, / --memory-reducer /);
});

test('the work is done, and what it throws is thrown', async () => {
  assert.equal(await optimizingEagerly(() => Promise.resolve(7)), 7);
  await assert.rejects(
    optimizingEagerly(() => Promise.reject(new Error('no'))),
    /no/,
  );
});
