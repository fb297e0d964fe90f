import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags, usage, UsageError, type Invocation } from '../../src/shim/program/flags.js';

const nothing: Invocation = {
  namespace: '',
  id: '',
  address: '',
  publishBinary: '',
  bundle: '',
  debug: false,
  socket: '',
  debugSocket: '',
  info: false,
  version: false,
  help: false,
  action: '',
  topic: '',
  upgrade: undefined,
};

// What Go's flag package makes of each (flag.FlagSet.parseOne).
const understood: [string[], Partial<Invocation>][] = [
  [[], {}],
  [['-id', 'abc'], { id: 'abc' }],
  [['--id', 'abc'], { id: 'abc' }],
  [['-id=abc'], { id: 'abc' }],
  [['--id=abc'], { id: 'abc' }],
  [['-id='], { id: '' }],
  [['-id', ''], { id: '' }],
  [['-id=a=b'], { id: 'a=b' }],
  [['-id', '-debug'], { id: '-debug' }],
  [['-id', '--'], { id: '--' }],
  [['-id', 'start', 'delete'], { id: 'start', action: 'delete' }],
  [['-id', 'a', '-id', 'b'], { id: 'b' }],
  [['-id', 'two\nlines'], { id: 'two\nlines' }],
  [['-id=two\nlines'], { id: 'two\nlines' }],
  [
    ['-namespace', 'n', '-address', 'a', '-publish-binary', 'p', '-bundle', 'b', '-socket', 's', '-debug-socket', 'd'],
    { namespace: 'n', address: 'a', publishBinary: 'p', bundle: 'b', socket: 's', debugSocket: 'd' },
  ],
  [['-debug'], { debug: true }],
  [['--debug'], { debug: true }],
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((value): [string[], Partial<Invocation>] => [
    [`-debug=${value}`],
    { debug: true },
  ]),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((value): [string[], Partial<Invocation>] => [
    ['-debug', `-debug=${value}`],
    {},
  ]),
  [['-debug', 'false'], { debug: true, action: 'false' }],
  [['-info'], { info: true }],
  [['-v'], { version: true }],
  [['-version'], { version: true }],
  [['--v=false'], {}],
  [['start'], { action: 'start' }],
  [['start', '-id', 'abc', '-nonsense', '-debug=maybe'], { action: 'start' }],
  [['-id', 'abc', 'delete', '-id', 'other'], { id: 'abc', action: 'delete' }],
  [['--', '-id', 'abc'], { action: '-id' }],
  [['-debug', '--', 'start'], { debug: true, action: 'start' }],
  [['-debug', '--'], { debug: true }],
  [['-id', 'abc', 'debug'], { id: 'abc', action: 'debug' }],
  [['debug', 'metrics', 'more'], { action: 'debug', topic: 'metrics' }],
  [['-', 'start'], { action: '-' }],
  [['', 'start'], { action: '', topic: '' }],
  [['anything'], { action: 'anything' }],
];

for (const [args, expected] of understood) {
  test(`understood: ${JSON.stringify(args)}`, () => assert.deepEqual(parseFlags(args), { ...nothing, ...expected }));
}

const refused: [string[], string][] = [
  [['-nonsense'], 'flag provided but not defined: -nonsense'],
  [['--nonsense'], 'flag provided but not defined: -nonsense'],
  [['-nonsense=1'], 'flag provided but not defined: -nonsense'],
  [['-nonsense', 'start'], 'flag provided but not defined: -nonsense'],
  [['-constructor'], 'flag provided but not defined: -constructor'],
  [['-__proto__', 'x'], 'flag provided but not defined: -__proto__'],
  [['-ID', 'x'], 'flag provided but not defined: -ID'],
  [['-id'], 'flag needs an argument: -id'],
  [['--debug', '--namespace'], 'flag needs an argument: -namespace'],
  [['-debug=maybe'], 'invalid boolean value "maybe" for -debug: parse error'],
  [['-debug='], 'invalid boolean value "" for -debug: parse error'],
  [['-v=2'], 'invalid boolean value "2" for -v: parse error'],
  [['---id', 'x'], 'bad flag syntax: ---id'],
  [['-=x'], 'bad flag syntax: -=x'],
  [['--=x'], 'bad flag syntax: --=x'],
];

for (const [args, message] of refused) {
  test(`refused: ${JSON.stringify(args)}`, () => {
    assert.throws(
      () => parseFlags(args),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}

test('help stops the reading of flags, so that nothing after it can be wrong', () => {
  for (const args of [
    ['-h'],
    ['-help'],
    ['--help'],
    ['-debug', '-h'],
    ['-h', '-nonsense'],
    ['--help', '-debug=maybe', 'start'],
  ]) {
    assert.equal(parseFlags(args).help, true, JSON.stringify(args));
  }
  assert.throws(() => parseFlags(['-nonsense', '-h']), UsageError);
  assert.equal(parseFlags(['start', '-h']).help, false);
});

test('the daemon’s own command lines', () => {
  const common = [
    '-namespace',
    'k8s.io',
    '-address',
    '/run/containerd/containerd.sock',
    '-publish-binary',
    '/usr/bin/containerd',
    '-id',
    'abc',
  ];
  const expected = {
    ...nothing,
    namespace: 'k8s.io',
    address: '/run/containerd/containerd.sock',
    publishBinary: '/usr/bin/containerd',
    id: 'abc',
  };
  assert.deepEqual(parseFlags([...common, 'start']), { ...expected, action: 'start' });
  assert.deepEqual(parseFlags([...common, '-debug', 'start']), { ...expected, debug: true, action: 'start' });
  assert.deepEqual(parseFlags([...common, '-bundle', '/run/b', '-debug', 'delete']), {
    ...expected,
    bundle: '/run/b',
    debug: true,
    action: 'delete',
  });
  assert.deepEqual(parseFlags(['-info']), { ...nothing, info: true });
});

test('the usage names every flag, booleans without an argument', () => {
  const text = usage('containerd-shim-runc-v2');
  assert.match(text, /^Usage of containerd-shim-runc-v2:\n/);
  for (const name of ['namespace', 'id', 'address', 'publish-binary', 'bundle', 'socket', 'debug-socket'])
    assert.match(text, new RegExp(`^ {2}-${name} string$`, 'm'));
  for (const name of ['debug', 'info', 'v']) assert.match(text, new RegExp(`^ {2}-${name}$`, 'm'));
});

test('upgrade takes its flags before and after it, and says what it does not understand', () => {
  const order = { namespace: 'n', id: '', address: '', patience: 10, dryRun: false, help: false };
  const all: [string[], object][] = [
    [['-namespace', 'n', 'upgrade', '--all'], order],
    [['upgrade', '--all', '-namespace=n', '-address', '/a'], { ...order, address: '/a' }],
    [['-address', '/a', 'upgrade', '-id', 'c', '-namespace', 'n'], { ...order, id: 'c', address: '/a' }],
    [
      ['-namespace', 'n', '-id', 'c', 'upgrade', '--dry-run', '--wait', '3'],
      { ...order, id: 'c', dryRun: true, patience: 3 },
    ],
    [['upgrade', '-h'], { ...order, namespace: '', help: true }],
  ];
  for (const [args, expected] of all) assert.deepEqual(parseFlags(args).upgrade, expected, args.join(' '));
  assert.equal(parseFlags(['-namespace', 'n', '-id', 'upgrade', 'start']).upgrade, undefined);
  for (const args of [[], ['--all', 'more'], ['--all=yes'], ['-id', 'c'], ['--all', '--wait', '0'], ['--wait']])
    assert.throws(
      () => parseFlags(['upgrade', ...args]),
      (error) => error instanceof UsageError && /^Usage: .* upgrade /.test(error.usage ?? ''),
      args.join(' '),
    );
});
