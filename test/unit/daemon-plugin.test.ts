import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { EventExchange } from '../../src/daemon/events/exchange.js';
import { orderOf } from '../../src/daemon/plugin/order.js';
import { PluginRegistry, type RegistryOptions } from '../../src/daemon/plugin/registry.js';
import type { InitContext, Registration } from '../../src/daemon/plugin/types.js';
import { Runtimes } from '../../src/daemon/runtime/registry.js';

const directory = mkdtempSync(join(tmpdir(), 'hawser-plugin-'));
after(() => rmSync(directory, { recursive: true }));

function registry(options: Partial<RegistryOptions> = {}): PluginRegistry {
  return new PluginRegistry({
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
    events: new EventExchange(),
    runtimes: new Runtimes({ shim: '/shim' }),
    daemon: { root: join(directory, 'root'), state: join(directory, 'state'), address: '/a', ttrpcAddress: '/t' },
    ...options,
  });
}

type Sketch = Partial<Registration> & { type: string; id: string };

async function started(sketches: Sketch[], options?: Partial<RegistryOptions>): Promise<PluginRegistry> {
  const plugins = registry(options);
  for (const sketch of sketches) plugins.register({ init: () => sketch.id, ...sketch });
  await plugins.start();
  return plugins;
}

const errors = (plugins: PluginRegistry): Record<string, string> =>
  Object.fromEntries(plugins.list().flatMap(({ name, error }) => (error ? [[name, error.message]] : [])));

test('each starts after what it requires: a type, a single one, or all', async () => {
  const plugins = await started([
    { type: 'z', id: 'last', requires: ['*'] },
    { type: 'c', id: '1', requires: ['b.2', 'a'] },
    { type: 'b', id: '1', requires: ['a'] },
    { type: 'b', id: '2' },
    { type: 'a', id: '1' },
    { type: 'a', id: '2', requires: ['b.2'] },
  ]);
  assert.deepEqual(
    plugins.list().map(({ name }) => name),
    ['b.2', 'a.1', 'a.2', 'c.1', 'b.1', 'z.last'],
  );
  assert.deepEqual(errors(plugins), {});
});

test('a duplicate is refused by its name', async () => {
  const plugins = registry();
  plugins.register({ type: 'a', id: '1', init: () => 1 });
  assert.throws(() => plugins.register({ type: 'a', id: '1', init: () => 2 }), /plugin a\.1 is registered twice/);
  await plugins.start();
  assert.equal(plugins.list()[0]?.instance, 1);
});

for (const [what, given] of [
  ['type', { id: 'x', init: () => 1 }],
  ['id', { type: 'a', id: '', init: () => 1 }],
  ['id', { type: 'a', id: '../x', init: () => 1 }],
  ['requires', { type: 'a', id: 'x', requires: 'b', init: () => 1 }],
  ['config', { type: 'a', id: 'x', config: {}, init: () => 1 }],
  ['init', { type: 'a', id: 'x' }],
  ['type', null],
] as const) {
  test(`what is no registration is refused, naming ${what}: ${JSON.stringify(given)}`, () => {
    assert.throws(() => registry().register(given as unknown as Registration), new RegExp(`^.*${what} of plugin`));
  });
}

test('a circle and a requirement that nothing meets are faults of those who have them, by name', async () => {
  const plugins = await started([
    { type: 'a', id: '1', requires: ['b'] },
    { type: 'b', id: '1', requires: ['c.1'] },
    { type: 'c', id: '1', requires: ['a.1'] },
    { type: 'd', id: '1', requires: ['nobody'] },
    { type: 'e', id: '1', requires: ['d'] },
    { type: 'f', id: '1' },
  ]);
  const found = errors(plugins);
  assert.deepEqual(Object.keys(found).sort(), ['a.1', 'b.1', 'c.1', 'd.1', 'e.1']);
  assert.match(found['b.1']!, /circle: a\.1 requires b\.1 requires c\.1 requires a\.1/);
  assert.match(found['d.1']!, /d\.1 requires nobody, and there is no such plugin/);
  assert.match(found['e.1']!, /e\.1 requires d, which has not started \(d\.1: plugin d\.1 requires nobody/);
});

test('a failure takes down only its dependents, and what it left to be done is done', async () => {
  const closed: string[] = [];
  const plugins = await started([
    {
      type: 'a',
      id: 'bad',
      init: (context) => {
        context.onClose(() => {
          closed.push('bad');
        });
        throw new Error('no disk');
      },
    },
    { type: 'a', id: 'good' },
    { type: 'b', id: 'any', requires: ['a'] },
    { type: 'b', id: 'that', requires: ['a.bad'] },
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- plugins may
    { type: 'c', id: 'rude', init: () => Promise.reject('text') },
  ]);
  assert.deepEqual(errors(plugins), {
    'a.bad': 'no disk',
    'b.that': 'plugin b.that requires a.bad, which has not started (a.bad: no disk)',
    'c.rude': 'text',
  });
  assert.deepEqual(closed, ['bad']);
  assert.deepEqual(
    plugins.made('b').map(({ name }) => name),
    ['b.any'],
  );
});

test('the context gives what was required, and nothing else', async () => {
  let seen: unknown[] = [];
  const plugins = await started([
    { type: 'a', id: '1' },
    { type: 'a', id: '2' },
    {
      type: 'b',
      id: '1',
      requires: ['a'],
      init: (context) => {
        seen = [context.get('a'), context.get('a', '2'), [...context.all('a')]];
      },
    },
    { type: 'c', id: '1', init: (context) => context.get('a') },
    { type: 'c', id: '2', init: (context) => context.metadata },
    { type: 'c', id: '3', requires: ['a.1'], init: (context) => context.get('a', '2') },
    { type: 'c', id: '4', requires: ['a'], init: (context) => context.get('a', '7') },
  ]);
  assert.deepEqual(seen, [
    '1',
    '2',
    [
      ['1', '1'],
      ['2', '2'],
    ],
  ]);
  const found = errors(plugins);
  assert.match(found['c.1']!, /c\.1 asks for a, which is not among what it requires/);
  assert.match(found['c.2']!, /asks for io\.containerd\.metadata\.v1/);
  assert.match(found['c.3']!, /asks for a\.2/);
  assert.match(found['c.4']!, /no plugin a\.7 has started/);
});

test('directories are made when first read', async () => {
  const paths: string[] = [];
  await started([
    {
      type: 'a',
      id: 'dirs',
      init: (context) => {
        paths.push(context.root);
      },
    },
    { type: 'a', id: 'none' },
  ]);
  assert.deepEqual(paths, [join(directory, 'root/a.dirs')]);
  assert.ok(existsSync(paths[0]!));
  assert.ok(!existsSync(join(directory, 'root/a.none')) && !existsSync(join(directory, 'state/a.dirs')));
});

test('sections of the configuration reach their plugins; where there is nothing to configure, that is said', async () => {
  let given: unknown;
  const plugins = await started(
    [
      {
        type: 'a',
        id: '1',
        config: (section) => ({ size: 1, ...section }),
        init: ({ config }) => {
          given = config;
        },
      },
      {
        type: 'a',
        id: '2',
        config: () => {
          throw new Error('size must be a number');
        },
      },
      { type: 'a', id: '3' },
      { type: 'io.containerd.x.v1', id: 'x' },
    ],
    { sections: { 'a.1': { size: 2 }, 'a.3': { size: 3 }, 'io.containerd.x.v1.x': { theirs: 1 }, 'a.none': {} } },
  );
  assert.deepEqual(given, { size: 2 });
  assert.deepEqual(errors(plugins), {
    'a.2': 'size must be a number',
    'a.3': 'the plugin has no configuration, but [plugins] gives it size',
  });
});

test('what is disabled is not there', async () => {
  const plugins = await started(
    [
      { type: 'a', id: '1' },
      { type: 'a', id: '2' },
      { type: 'b', id: '1' },
      { type: 'c', id: '1', requires: ['b'] },
    ],
    { disabled: ['a.1', 'b', 'x.unknown'] },
  );
  assert.deepEqual(
    plugins.list().map(({ name }) => name),
    ['a.2', 'c.1'],
  );
  assert.match(errors(plugins)['c.1']!, /requires b, and there is no such plugin; is it disabled/);
});

test('they end last started first, and one that cannot does not keep the others', async () => {
  const closed: string[] = [];
  const closing =
    (name: string, fails = false) =>
    (context: InitContext): void => {
      context.onClose(() => void closed.push(`${name} first`));
      context.onClose(() => {
        closed.push(name);
        if (fails) throw new Error('stuck');
      });
    };
  const plugins = await started([
    { type: 'b', id: '1', requires: ['a'], init: closing('b', true) },
    { type: 'a', id: '1', init: closing('a') },
  ]);
  await plugins.close();
  await plugins.close();
  assert.deepEqual(closed, ['b', 'b first', 'a', 'a first']);
});

test('whatever requires what: each comes after all it requires, or has a fault', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom('a', 'b', 'c'),
          fc.array(fc.constantFrom('a', 'b', 'c', 'a.0', 'b.1', 'c.2', '*'), { maxLength: 2 }),
        ),
        { maxLength: 8 },
      ),
      (given) => {
        const plugins = given.map(([type, requires], i): Registration => ({
          type,
          id: String(i),
          requires,
          init: () => 1,
        }));
        const { order, faults } = orderOf(plugins);
        assert.deepEqual(new Set(order), new Set(plugins));
        for (const [at, plugin] of order.entries()) {
          if (faults.has(plugin)) continue;
          for (const requirement of plugin.requires ?? []) {
            for (const [later, other] of order.entries()) {
              if (later > at && (other.type === requirement || `${other.type}.${other.id}` === requirement))
                assert.ok(faults.has(other) || other === plugin, `${requirement} after ${plugin.type}.${plugin.id}`);
            }
          }
        }
      },
    ),
  );
});
