/** Records of sandboxes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContainerdServicesSandboxV1Store, millis } from '../../src/api/full.js';
import { sandboxStoreService } from '../../src/daemon/metadata/services.js';
import type { Sandbox } from '../../src/daemon/metadata/types.js';
import { call, failure, handlersOf, openRecords } from '../support/records.js';

const spec = { type_url: 'spec', value: Buffer.from('{}') };

function sandbox(sandboxId: string, more: Partial<Sandbox> = {}): Sandbox {
  return {
    sandboxId,
    runtime: { name: 'io.containerd.runc.v2', options: { type_url: 'o', value: Buffer.from('p') } },
    spec,
    sandboxer: 'shim',
    ...more,
  };
}

test('a sandbox comes back as it was given, with its times, in its namespace alone', async (t) => {
  const { sandboxes, namespaces, published } = openRecords(t);
  const before = Date.now();
  const made = await sandboxes.create(
    'one',
    sandbox('s', {
      labels: { a: 'b', empty: '' },
      extensions: { x: { type_url: 'u', value: Buffer.from('v') } },
      createdAt: { seconds: 1 },
    }),
  );
  const found = sandboxes.get('one', 's');
  assert.deepEqual(
    [found.sandboxId, found.runtime?.name, found.runtime?.options?.type_url, found.spec?.type_url, found.sandboxer],
    ['s', 'io.containerd.runc.v2', 'o', 'spec', 'shim'],
  );
  assert.deepEqual({ ...found.labels }, { a: 'b' }, 'an empty label is none');
  assert.equal(Buffer.from(found.extensions!.x!.value!).toString(), 'v');
  assert.ok(
    millis(found.createdAt)! >= before - 1 && millis(found.createdAt) === millis(made.updatedAt),
    'the times are ours',
  );
  assert.throws(() => sandboxes.get('two', 's'), failure('sandbox "s" in namespace "two": not found'));
  assert.deepEqual(sandboxes.list('two', []), []);
  assert.deepEqual(namespaces.list(), ['one'], 'the namespace is there by its use');
  await assert.rejects(
    sandboxes.create('one', sandbox('s')),
    failure('sandbox "s" in namespace "one": already exists'),
  );
  await assert.rejects(
    namespaces.delete('one'),
    failure('namespace "one" must be empty, but it still has sandboxes: failed precondition'),
  );
  assert.deepEqual(published, [], 'records of sandboxes have no events');
});

test('what makes no sandbox is refused', async (t) => {
  const { sandboxes } = openRecords(t);
  const refused = (given: Sandbox, text: string): Promise<void> =>
    assert.rejects(sandboxes.create('ns', given), failure(`failed to validate sandbox: ${text}: invalid argument`));
  await refused({}, 'invalid sandbox ID: identifier must not be empty');
  await refused(
    sandbox('a/b'),
    'invalid sandbox ID: identifier "a/b" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$',
  );
  await refused(
    sandbox('s', { labels: { key: 'v'.repeat(4094) } }),
    'sandbox.Labels: label key and value length (4097 bytes) greater than maximum size (4096 bytes), key: key',
  );
  await sandboxes.create('ns', { sandboxId: 'bare' });
  assert.equal(sandboxes.get('ns', 'bare').runtime?.name, '', 'clients take a runtime for granted');
});

test('an update changes what its paths name, and nothing else', async (t) => {
  const { sandboxes, deletions } = openRecords(t);
  await sandboxes.create('ns', sandbox('s', { labels: { a: '1', b: '2' }, extensions: { e: { type_url: 'e' } } }));
  const update = (given: Sandbox, ...paths: string[]): Promise<Sandbox> =>
    sandboxes.update('ns', { sandboxId: 's', ...given }, paths);
  assert.deepEqual(
    { ...(await update({ labels: { a: '3' }, sandboxer: 'other' }, 'labels.a')).labels },
    { a: '3', b: '2' },
  );
  assert.equal(sandboxes.get('ns', 's').sandboxer, 'shim');
  assert.deepEqual({ ...(await update({}, 'labels.a')).labels }, { b: '2' }, 'a label that is not given goes');
  await update({ extensions: { f: { type_url: 'f' } } }, 'extensions.f');
  assert.deepEqual(Object.keys(sandboxes.get('ns', 's').extensions!), ['e', 'f']);
  assert.equal((await update({ runtime: { name: 'crun' } }, 'runtime')).runtime?.name, 'crun');
  await assert.rejects(
    update({}, 'labels.b', 'sandboxer'),
    failure('cannot update "sandboxer" field on sandbox "s": invalid argument'),
  );
  assert.equal(sandboxes.get('ns', 's').labels!.b, '2', 'paths that are refused change nothing');
  await assert.rejects(update(sandbox('s')), failure('sandbox.Runtime.Name field is immutable: invalid argument'));
  const all = await update({ runtime: { name: 'crun' }, labels: { c: '4' } });
  assert.deepEqual(
    [{ ...all.labels }, all.spec, Object.keys(all.extensions ?? {})],
    [{ c: '4' }, null, []],
    'no paths mean all that may change',
  );
  assert.ok(millis(all.updatedAt)! >= millis(all.createdAt)!);
  await assert.rejects(
    sandboxes.update('ns', sandbox('none'), []),
    failure('sandbox "none" in namespace "ns": not found'),
  );
  assert.ok(deletions() > 0, 'what the labels kept may go');
});

test('the service lists by id and labels, and a sandbox is deleted once', async (t) => {
  const { sandboxes } = openRecords(t);
  const store = handlersOf(sandboxStoreService({ sandboxes }), ContainerdServicesSandboxV1Store);
  const request = <T>(given: object): T => given as T;
  for (const [id, app] of [
    ['a', 'web'],
    ['b', 'web'],
    ['c', 'db'],
  ] as const) {
    await store.Create(request({ sandbox: sandbox(id, { labels: { app } }) }), call());
  }
  const list = async (...filters: string[]): Promise<unknown> =>
    (await store.List(request({ filters }), call())).list!.map(({ sandboxId }) => sandboxId);
  assert.deepEqual(await list(), ['a', 'b', 'c']);
  assert.deepEqual(await list('labels.app==web,id!=a', 'id==c'), ['b', 'c']);
  assert.deepEqual(await list('runtime==x'), [], 'as in containerd, only id and labels can be asked for');
  await assert.rejects(async () => list('=='), /invalid argument$/);
  await store.Delete(request({ sandboxId: 'a' }), call());
  await assert.rejects(
    async () => store.Delete(request({ sandboxId: 'a' }), call()),
    failure('sandbox "a" in namespace "ns": not found'),
  );
  await assert.rejects(
    async () => store.Get(request({ sandboxId: 'a' }), call()),
    failure('sandbox "a" in namespace "ns": not found'),
  );
  const updated = await store.Update(
    request({ sandbox: { sandboxId: 'b', labels: { app: 'x' } }, fields: ['labels'] }),
    call(),
  );
  assert.equal(updated.sandbox?.labels?.app, 'x');
});

test('a container keeps the name of its sandbox, and is found by it', async (t) => {
  const { containers } = openRecords(t);
  await containers.create('ns', { id: 'in', runtime: { name: 'r' }, spec, sandbox: 's' });
  await containers.create('ns', { id: 'out', runtime: { name: 'r' }, spec });
  await containers.update('ns', { id: 'in', labels: { a: 'b' } }, ['labels']);
  assert.equal(containers.get('ns', 'in').sandbox, 's');
  assert.deepEqual(
    containers.list('ns', ['sandbox==s']).map(({ id }) => id),
    ['in'],
  );
});
