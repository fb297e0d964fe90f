import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileFilters, entry, field } from '../../src/daemon/filter/index.js';
import { Code, TtrpcError } from '../../src/ttrpc/index.js';

const thing = { name: 'foo', empty: '', labels: { a: '1', none: '', 'com.example/b-c': 'x, y', 'dotted.key': 'yes' } };

function adapt(path: readonly string[]): string | undefined {
  const [first, ...rest] = path;
  if (first === 'labels') return entry(thing.labels, rest);
  return path.length === 1 && (first === 'name' || first === 'empty') ? field(thing[first]) : undefined;
}

const matches = (...filters: string[]): boolean => compileFilters(filters)(adapt);

function fault(filter: string): string {
  try {
    compileFilters([filter]);
  } catch (error) {
    assert.ok(error instanceof TtrpcError && error.code === Code.InvalidArgument, String(error));
    assert.match(error.message, /: invalid argument$/);
    return error.message;
  }
  assert.fail(`${filter} was read`);
}

test('no filter and an empty one match everything', () => {
  assert.ok(matches());
  assert.ok(matches(''));
  assert.ok(matches('name==bar', ''));
});

for (const [filter, expected] of [
  ['name==foo', true],
  ['name==bar', false],
  ['name!=bar', true],
  ['name!=foo', false],
  ['name~=^f', true],
  ['name~=^o', false],
  ['name', true],
  ['empty', false],
  ['missing', false],
  ['missing!=x', true],
  ['missing==x', false],
  ['missing~=^$', true],
  ['missing==""', false],
  ['name==foo,labels.a==1', true],
  ['name==foo,labels.a==2', false],
  ['name == foo , labels.a', true],
  ['labels.none', true],
  ['labels.none==""', true],
  ['labels."com.example/b-c"', true],
  ['labels."com.example/b-c"=="x, y"', true],
  ['labels.dotted.key==yes', true],
  ['labels.dotted."key"==yes', true],
  ['labels.toString', false],
  ['name=="\\x66\\157\\u006f"', true],
  ['name~=|f.o|', true],
  ['name~=/^fo{2}$/', true],
  ['name~=|^a\\|foo$|', true],
  ['name~="^(foo|bar)$"', true],
  ['name~=(?i)^FOO$', true],
  ['name~=(?P<x>o)o$', true],
  ['name~=\\Afoo\\z', true],
  ['name~=^[[:alpha:]]+$', true],
  ['name~=^\\pL+$', true],
  ['name~=\\Qf.o\\E', false],
  ['name~=f\\-|fo', true],
  ['name==foo=bar', false],
  ['name~=^[^\\-\\_]+$', true],
] as const) {
  test(`${filter} ${expected ? 'matches' : 'does not match'}`, () => assert.equal(matches(filter), expected));
}

test('one of several filters is enough', () => {
  assert.ok(matches('name==bar', 'labels.a==1'));
  assert.equal(matches('name==bar', 'labels.a==2'), false);
});

for (const [filter, place] of [
  ['name=foo', 'name>|=|<foo'],
  ['name==', 'name==>||<'],
  ['==foo', '>|=|<=foo'],
  ['name==foo,', 'name==foo,>||<'],
  ['name==a b', 'name==a >|b|<'],
  ['labels."a', 'labels.>|"|<a'],
  ['name=="\\q"', 'name=="'],
  ['name==/x/', 'name==>|/|<x/'],
  ['name~=(', 'name~=>|(|<'],
  ['a..b', 'a.>|.|<b'],
  ['name===x', 'name>|=|<==x'],
  ['name~=(?=x)', 'name~=>|(|<'],
  ['name~="(x)\\\\1"', 'name~=>|"|<'],
  ['name~=[[:foo:]]', '>|[|<'],
] as const) {
  test(`${filter} is refused, with the place`, () => assert.ok(fault(filter).includes(place), fault(filter)));
}

test('any text can be asked for in quotes', () => {
  const quote = (text: string): string =>
    `"${[...text]
      .map((char) => {
        const code = char.codePointAt(0)!;
        return char === '"' || char === '\\'
          ? `\\${char}`
          : code < 32
            ? `\\x${code.toString(16).padStart(2, '0')}`
            : char;
      })
      .join('')}"`;
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (key, value) => {
      const filter = compileFilters([`labels.${quote(key)}==${quote(value)}`]);
      assert.ok(
        filter(([first, ...rest]) => (first === 'labels' && rest.length === 1 && rest[0] === key ? value : undefined)),
      );
      assert.equal(
        filter(() => undefined),
        false,
      );
    }),
  );
});

test('whatever is given, it is read or refused as an invalid argument', () => {
  const pieces = fc.array(
    fc.oneof(
      fc.constantFrom('==', '!=', '~=', ',', '.', '"', '|', '/', '\\', ' ', 'labels', '(?', '['),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      try {
        assert.equal(typeof matches(parts.join('')), 'boolean');
      } catch (error) {
        assert.ok(error instanceof TtrpcError && error.code === Code.InvalidArgument, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
