/**
 * Every bug of the contract's section 8 and every complaint of the field is held by a test that has its number in its
 * name: `bug 7: …`, `bugs 9 and 20: …`, `field 34, bug 58: …`.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const BUGS = 58;
const FIELD = 41;

/** What a shim has no part in, and why. */
const daemonOnly: Record<string, string> = {
  'field 32': 'a wish that no interface has a place for: which level of the cgroups hit its limit',
};

function namesOfTests(): string[] {
  const top = fileURLToPath(new URL('..', import.meta.url));
  return ['unit', 'shim', 'e2e'].flatMap((room) =>
    readdirSync(join(top, room))
      .filter((file) => file.endsWith('.test.ts'))
      .flatMap((file) =>
        [
          ...readFileSync(join(top, room, file), 'utf8').matchAll(
            /\b(?:shimTest|test|it|describe)\(\s*(['"`])((?:\\.|(?!\1)[\s\S])*)\1/g,
          ),
        ].map(([, , name]) => name!),
      ),
  );
}

/** `bugs 9 and 20, field 3: …` is bug 9, bug 20 and field 3. */
function numbersIn(name: string): string[] {
  return [...name.matchAll(/\b(bug|field)s? (\d+(?:(?:, | and )\d+)*)/g)].flatMap(([, kind, numbers = '']) =>
    numbers.split(/, | and /).map((number) => `${kind} ${number}`),
  );
}

const wanted = [
  ...Array.from({ length: BUGS }, (_, n) => `bug ${n + 1}`),
  ...Array.from({ length: FIELD }, (_, n) => `field ${n + 1}`),
];

test('every bug and every complaint has a test that is named by its number', () => {
  const held = new Set(namesOfTests().flatMap(numbersIn));
  const missing = wanted.filter((name) => !held.has(name) && !(name in daemonOnly));
  assert.deepEqual(missing, []);
});

test('no test is named by a number that there isn’t', () => {
  assert.deepEqual(
    namesOfTests()
      .flatMap(numbersIn)
      .filter((name) => !wanted.includes(name)),
    [],
  );
});

test('names are read as they are meant', () => {
  assert.deepEqual(numbersIn('bugs 9 and 20, field 3: a thing'), ['bug 9', 'bug 20', 'field 3']);
  assert.deepEqual(numbersIn('field 6, field 7: a thing'), ['field 6', 'field 7']);
  assert.deepEqual(numbersIn('debugs 3 things'), []);
});
