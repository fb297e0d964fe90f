/** What refuses a Node that is too old is to be understood by it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Linter } from 'eslint';

test('what refuses an old Node has the language of 2009', () => {
  const file = new URL('../../src/monitor/node-version.cjs', import.meta.url);
  const complaints = new Linter().verify(readFileSync(file, 'utf8'), {
    languageOptions: { ecmaVersion: 5, sourceType: 'script' },
  });
  assert.deepEqual(complaints, []);
});
