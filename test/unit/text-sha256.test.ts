/** Our own SHA-256 against Node's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../../src/text/sha256.js';

test('it is SHA-256, for every length around a block and for any text', () => {
  const expected = (text: string): string => createHash('sha256').update(text).digest('hex');
  for (let length = 0; length < 200; length++)
    assert.equal(sha256('x'.repeat(length)), expected('x'.repeat(length)), `length ${length}`);
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => sha256(text) === expected(text)));
});
