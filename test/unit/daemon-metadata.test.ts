import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millis } from '../../src/api/full.js';
import type { Container } from '../../src/daemon/metadata/types.js';
import { failure, openRecords } from '../support/records.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 7 };

function container(id: string, more: Partial<Container> = {}): Container {
  return {
    id,
    runtime: { name: 'io.containerd.runc.v2' },
    spec: { type_url: 'spec', value: Buffer.from('{}') },
    ...more,
  };
}

test('a container comes back as it was given, with its times, in its namespace alone', async (t) => {
  const { containers, namespaces, published } = openRecords(t);
  const before = Date.now();
  const made = await containers.create(
    'one',
    container('c', {
      image: 'i',
      labels: { a: 'b', empty: '' },
      extensions: { x: { type_url: 'u', value: Buffer.from('v') } },
    }),
  );
  const found = containers.get('one', 'c');
  assert.deepEqual({ ...found.labels }, { a: 'b' }, 'an empty label is none');
  assert.equal(found.image, 'i');
  assert.equal(Buffer.from(found.extensions!.x!.value!).toString(), 'v');
  assert.ok(millis(found.createdAt)! >= before - 1 && millis(found.createdAt) === millis(made.createdAt));
  assert.throws(() => containers.get('two', 'c'), failure('container "c" in namespace "two": not found'));
  assert.deepEqual(containers.list('two', []), []);
  assert.deepEqual(namespaces.list(), ['one'], 'the namespace is there by its use');
  assert.equal(published[0]!.topic, '/containers/create');
  await assert.rejects(containers.create('one', container('c')), failure('container "c": already exists'));
});

test("what makes no container is refused in containerd's words", async (t) => {
  const { containers } = openRecords(t);
  const refused = (given: Container, text: string) =>
    assert.rejects(
      containers.create('ns', given),
      failure(`create container failed validation: ${text}: invalid argument`),
    );
  await refused(container(''), 'container.ID: identifier must not be empty');
  await refused(container('a/b'), 'container.ID: identifier "a/b" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$');
  await refused(
    container('x'.repeat(77)),
    `container.ID: identifier "${'x'.repeat(77)}" greater than maximum length (76 characters)`,
  );
  await refused({ ...container('c'), runtime: {} }, 'container.Runtime.Name must be set');
  await refused({ ...container('c'), spec: null }, 'container.Spec must be set');
  await refused(
    container('c', { snapshotKey: 'k' }),
    'container.Snapshotter must be set if container.SnapshotKey is set',
  );
  await refused(
    container('c', { labels: { key: 'v'.repeat(4094) } }),
    'containers.Labels: label key and value length (4097 bytes) greater than maximum size (4096 bytes), key: key',
  );
  await containers.create('ns', container('c', { labels: { key: 'v'.repeat(4093) } }));
  await assert.rejects(
    containers.create('', container('c')),
    failure('identifier must not be empty: invalid argument'),
  );
});

test('an update changes what its mask names, and nothing else', async (t) => {
  const { containers, published } = openRecords(t);
  await containers.create('ns', container('c', { image: 'i', labels: { a: '1', b: '2' }, snapshotter: 's' }));
  const update = (given: Container, ...paths: string[]) => containers.update('ns', { id: 'c', ...given }, paths);
  assert.deepEqual(
    { ...(await update({ labels: { a: '3' }, image: 'other' }, 'labels.a')).labels },
    { a: '3', b: '2' },
  );
  assert.equal(containers.get('ns', 'c').image, 'i');
  assert.deepEqual(
    { ...(await update({ labels: {} }, 'labels.a')).labels },
    { b: '2' },
    'a label that is not given goes',
  );
  assert.deepEqual(
    { ...(await update({ labels: { 'with.dots': 'x' } }, 'labels.with.dots')).labels },
    { b: '2', 'with.dots': 'x' },
  );
  await update({ extensions: { e: { type_url: 'u' }, f: { type_url: 'w' } } }, 'extensions.e', 'snapshot_key');
  assert.deepEqual(Object.keys(containers.get('ns', 'c').extensions!), ['e']);
  assert.equal((await update({ snapshotKey: 'k' }, 'snapshotkey')).snapshotKey, 'k');
  await assert.rejects(update({}, 'runtime'), failure('cannot update "runtime" field on "c": invalid argument'));
  await assert.rejects(
    update({}, 'labels.b', 'created_at'),
    failure('cannot update "created_at" field on "c": invalid argument'),
  );
  assert.equal(containers.get('ns', 'c').labels!.b, '2', 'a mask that is refused changes nothing');
  await assert.rejects(
    update({ spec: null }, 'spec'),
    failure('update failed validation: container.Spec must be set: invalid argument'),
  );
  await assert.rejects(
    containers.update('ns', container('c'), []),
    failure('container.Snapshotter field is immutable: invalid argument'),
  );
  await assert.rejects(
    containers.update('ns', container('c', { snapshotter: 's', runtime: { name: 'x' } }), []),
    failure('container.Runtime.Name field is immutable: invalid argument'),
  );
  const whole = await containers.update('ns', container('c', { snapshotter: 's', image: 'new' }), []);
  assert.deepEqual({ image: whole.image, labels: whole.labels }, { image: 'new', labels: {} });
  await assert.rejects(
    containers.update('ns', container('none'), []),
    failure('container "none" in namespace "ns": not found'),
  );
  assert.equal(published.at(-1)!.topic, '/containers/update');
});

test('containers are listed by their fields, and deleted once', async (t) => {
  const { containers, deletions, published } = openRecords(t);
  await containers.create('ns', container('a', { image: 'busybox', labels: { 'com.example/x': 'y' } }));
  await containers.create('ns', container('b', { runtime: { name: 'other' } }));
  const ids = (...filters: string[]) => containers.list('ns', filters).map(({ id }) => id);
  assert.deepEqual(ids(), ['a', 'b']);
  assert.deepEqual(ids('id==b'), ['b']);
  assert.deepEqual(ids('image~=busy'), ['a']);
  assert.deepEqual(ids('runtime.name==other'), ['b']);
  assert.deepEqual(ids('labels."com.example/x"==y'), ['a']);
  await containers.delete('ns', 'a');
  await assert.rejects(containers.delete('ns', 'a'), failure('container "a" in namespace "ns": not found'));
  assert.equal(deletions(), 1);
  assert.deepEqual(published.at(-1), {
    namespace: 'ns',
    topic: '/containers/delete',
    type: 'containerd.events.ContainerDelete',
    event: { id: 'a' },
  });
});

test('a namespace that was never made has no labels, and one is deleted when empty', async (t) => {
  const { namespaces, containers, images, leases, published } = openRecords(t);
  assert.deepEqual(namespaces.labels('moby'), {});
  await namespaces.create('n', { a: 'b' });
  await assert.rejects(namespaces.create('n', {}), failure('namespace "n": already exists'));
  await assert.rejects(
    namespaces.create('n/o', {}),
    failure('identifier "n/o" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument'),
  );
  assert.deepEqual(await namespaces.update('n', { c: 'd' }, ['labels.c']), { a: 'b', c: 'd' });
  assert.deepEqual(await namespaces.update('n', { e: 'f' }, []), { e: 'f' });
  await assert.rejects(
    namespaces.update('n', {}, ['name']),
    failure('cannot update "name" field on namespace "n": invalid argument'),
  );
  await containers.create('n', container('c'));
  await images.create('n', { name: 'i', target });
  await leases.create('n', { id: 'l' });
  await assert.rejects(
    namespaces.delete('n'),
    failure('namespace "n" must be empty, but it still has images, containers: failed precondition'),
  );
  await containers.delete('n', 'c');
  await images.delete('n', 'i');
  await namespaces.delete('n');
  assert.deepEqual(leases.list('n', []), [], 'its leases go with it');
  await assert.rejects(namespaces.delete('n'), failure('namespace "n": not found'));
  assert.deepEqual(
    published
      .filter(({ topic }) => topic.startsWith('/namespaces/'))
      .map(({ topic, namespace }) => `${topic} ${namespace}`),
    ['/namespaces/create n', '/namespaces/update n', '/namespaces/update n', '/namespaces/delete n'],
  );
});

test('an image names content, which an update may change', async (t) => {
  const { images, published } = openRecords(t);
  await assert.rejects(images.create('ns', { target }), failure('image name must not be empty: invalid argument'));
  await assert.rejects(
    images.create('ns', { name: 'i', target: { ...target, digest: 'x' } }),
    failure('Target.Digest "x" invalid: invalid checksum digest format: invalid argument'),
  );
  await assert.rejects(
    images.create('ns', { name: 'i', target: { ...target, size: 0 } }),
    failure('Target.Size must be greater than zero: invalid argument'),
  );
  await assert.rejects(
    images.create('ns', { name: 'i', target: { ...target, mediaType: '' } }),
    failure('Target.MediaType must be set: invalid argument'),
  );
  await images.create('ns', { name: 'docker.io/library/x:latest', target, labels: { a: 'b' } }, { seconds: 5 });
  assert.equal(millis(images.get('ns', 'docker.io/library/x:latest').createdAt), 5000);
  await assert.rejects(
    images.create('ns', { name: 'docker.io/library/x:latest', target }),
    failure('image "docker.io/library/x:latest": already exists'),
  );
  const other = `sha256:${'b'.repeat(64)}`;
  const name = 'docker.io/library/x:latest';
  assert.equal(
    (await images.update('ns', { name, target: { ...target, digest: other } }, ['target'])).target!.digest,
    other,
  );
  assert.deepEqual({ ...images.get('ns', name).labels }, { a: 'b' });
  assert.deepEqual(
    {
      ...(await images.update('ns', { name, target: { annotations: { k: 'v' } } }, ['annotations.k'])).target!
        .annotations,
    },
    { k: 'v' },
  );
  await assert.rejects(
    images.update('ns', { name }, ['created_at']),
    failure(`cannot update "created_at" field on image "${name}": invalid argument`),
  );
  assert.equal(images.list('ns', [`target.digest==${other}`]).length, 1);
  assert.equal(images.list('ns', ['name==x']).length, 0);
  await assert.rejects(
    images.delete('ns', name, target),
    failure(`image "${name}" has a target ${other}, not ${DIGEST}: not found`),
  );
  await images.delete('ns', name);
  assert.throws(() => images.get('ns', name), failure(`image "${name}": not found`));
  assert.deepEqual(
    published.map(({ topic, type }) => [topic, type]),
    [
      ['/images/create', 'containerd.services.images.v1.ImageCreate'],
      ['/images/update', 'containerd.services.images.v1.ImageUpdate'],
      ['/images/update', 'containerd.services.images.v1.ImageUpdate'],
      ['/images/delete', 'containerd.services.images.v1.ImageDelete'],
    ],
  );
});

test('a lease keeps a list of what it keeps', async (t) => {
  const { leases } = openRecords(t);
  await leases.create('ns', { id: 'l', labels: { a: 'b' } });
  await assert.rejects(leases.create('ns', { id: 'l' }), failure('lease "l": already exists'));
  await leases.addResource('ns', 'l', { type: 'content', id: DIGEST });
  await leases.addResource('ns', 'l', { type: 'snapshots/overlayfs', id: 'snap' });
  await assert.rejects(
    leases.addResource('ns', 'l', { type: 'what', id: 'x' }),
    failure('resource type what not supported yet: not implemented'),
  );
  await assert.rejects(
    leases.addResource('ns', 'l', { type: 'content', id: 'x' }),
    failure('invalid content resource id: x: invalid checksum digest format: invalid argument'),
  );
  await assert.rejects(leases.addResource('ns', 'none', { type: 'what', id: 'x' }), failure('lease "none": not found'));
  const { id: given } = await leases.create('ns', {});
  assert.match(given!, /^[\w-]{36}$/);
  await leases.delete('ns', given!);
  assert.deepEqual(
    leases.resources('ns', 'l').map(({ type, id }) => `${type} ${id}`),
    [`content ${DIGEST}`, 'snapshots/overlayfs snap'],
  );
  await leases.deleteResource('ns', 'l', { type: 'content', id: DIGEST });
  assert.equal(leases.resources('ns', 'l').length, 1);
  assert.deepEqual(
    leases.list('ns', ['labels.a==b']).map(({ id }) => id),
    ['l'],
  );
  await leases.delete('ns', 'l');
  await assert.rejects(leases.delete('ns', 'l'), failure('lease "l": not found'));
  await leases.create('ns', { id: 'l' });
  assert.deepEqual(leases.resources('ns', 'l'), [], 'a new one under an old name keeps nothing');
});
