/** JSON of a runtime spec, whose numbers have up to 64 bits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExact, stringifyExact } from '../../src/oci/json.js';

test('numbers of 64 bits stay as they are, in both directions', () => {
  const text =
    '{"process":{"rlimits":[{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":9007199254740993}]},"linux":{"memory":{"limit":9223372036854771712,"swap":-9223372036854775808}},"n":[9007199254740991,-1,0.5,1e3]}';
  const spec = parseExact(text) as { process: { rlimits: { hard: unknown; soft: unknown }[] }; n: number[] };
  assert.deepEqual(
    [spec.process.rlimits[0]!.hard, spec.process.rlimits[0]!.soft],
    [18446744073709551615n, 9007199254740993n],
  );
  assert.deepEqual(spec.n, [9007199254740991, -1, 0.5, 1000], 'what a number holds is one');
  assert.equal(stringifyExact(spec), text.replace('1e3', '1000'));
  assert.deepEqual(parseExact(stringifyExact(spec, 2)), spec);
});

test('a number that is too large for one is written with all its digits', () => {
  assert.equal(
    stringifyExact([18446744073709551615, 9223372036854775807, 2 ** 53, 2 ** 60, -(2 ** 62), 2n ** 64n - 1n, 5n]),
    '[18446744073709551615,9223372036854775807,9007199254740992,1152921504606846976,-4611686018427387904,18446744073709551615,5]',
  );
});

test('texts and names that look like numbers, or like what marks them', () => {
  const value = {
    n12345678901234567890: 'n12345678901234567890',
    s: 's',
    '': '',
    '12345678901234567890': '"12345678901234567890\\',
    __proto__x: 12345678901234567890n,
    'a"n1': ['n', 'n5', '\u0000', '\\'],
  };
  assert.deepEqual(parseExact(stringifyExact(value)), value);
  assert.deepEqual(Object.keys(parseExact('{"__proto__":12345678901234567890}') as object), ['__proto__']);
});

test('JSON otherwise, in both directions', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 4), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      const safe = !/\d{16}/.test(text);
      if (safe) assert.equal(stringifyExact(value, indent), text);
      // With a large number in it, all the rest has to go the other way.
      const both = parseExact(`[12345678901234567890,${text}]`) as unknown[];
      if (safe) assert.deepEqual(both, [12345678901234567890n, JSON.parse(text)]);
    }),
  );
  assert.equal(
    stringifyExact({ a: undefined, b: [undefined], c: new Date(0), d: null, e: NaN, f: {}, g: [] }, 1),
    JSON.stringify({ a: undefined, b: [undefined], c: new Date(0), d: null, e: NaN, f: {}, g: [] }, undefined, 1),
  );
  assert.equal(stringifyExact(undefined), 'null');
  for (const bad of ['', '{', '12345678901234567890x', '012345678901234567890', '[1234567890123456789 1]'])
    assert.throws(() => parseExact(bad), SyntaxError);
});

test('a bigint is a number also where a program has it otherwise', () => {
  const prototype = BigInt.prototype as { toJSON?: () => string };
  prototype.toJSON = function (this: bigint) {
    return this.toString();
  };
  try {
    assert.equal(JSON.stringify([1048576n]), '["1048576"]');
    assert.equal(stringifyExact([1048576n, 18446744073709551615n]), '[1048576,18446744073709551615]');
  } finally {
    delete prototype.toJSON;
  }
});
