import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { containerd, ContainerdServicesImagesV1Images, ContainerdServicesLeasesV1Leases } from '../../src/api/full.js';
import { BlobFiles } from '../../src/daemon/content/files.js';
import { imagesService, leasesService } from '../../src/daemon/metadata/services.js';
import { Schedule } from '../../src/daemon/metadata/schedule.js';
import { MetadataStore } from '../../src/daemon/metadata/store.js';
import { NativeDriver } from '../../src/daemon/snapshots/native.js';
import { eventually } from '../support/eventually.js';
import { call, handlersOf, recorder, workDirectory } from '../support/records.js';

const NEVER = 1 << 30;

function open(t: TestContext, { dir = workDirectory(), delayMs = NEVER } = {}) {
  const { exchange, published } = recorder();
  const warnings: unknown[] = [];
  const store = new MetadataStore({
    file: join(dir, 'meta.mdb'),
    files: new BlobFiles(join(dir, 'content')),
    drivers: new Map([['native', new NativeDriver(join(dir, 'native'))]]),
    defaultSnapshotter: 'native',
    events: exchange,
    log: { debug: () => undefined, warn: (given: unknown) => void warnings.push(given) },
    collectDelayMs: delayMs,
    collectIntervalMs: NEVER,
  });
  t.after(async () => {
    await store.close();
    assert.deepEqual(warnings, []);
  });
  const put = async (text: string, labels: Record<string, string> = {}, lease?: string) =>
    (await store.content.put('ns', text, Buffer.from(text), { labels, lease })).digest;
  return {
    dir,
    store,
    published,
    put,
    blobs: () => store.content.list('ns', []).map(({ digest }) => digest),
    files: () => readdirSync(join(dir, 'content', 'blobs', 'sha256')).length,
    snapshots: () =>
      store
        .snapshotter('')
        .list('ns', [])
        .map(({ name }) => name),
    layers: () => readdirSync(join(dir, 'native', 'snapshots')).length,
  };
}

const target = (digest: string) => ({ mediaType: 'm', digest, size: 1 });

test('an image keeps what it leads to, and a sync delete takes all of it', async (t) => {
  const { store, put, blobs, files, snapshots, layers, published } = open(t);
  const snapshotter = store.snapshotter('');
  await snapshotter.prepare('ns', 'x', '', {});
  await snapshotter.commit('ns', 'base', 'x', {});
  await snapshotter.prepare('ns', 'y', 'base', {});
  await snapshotter.commit('ns', 'upper', 'y', {});
  const layer = await put('layer');
  const config = await put('config', { 'containerd.io/gc.ref.snapshot.native': 'upper' });
  const manifest = await put('manifest', {
    'containerd.io/gc.ref.content.config': config,
    'containerd.io/gc.ref.content.l.0': layer,
  });
  const stray = await put('stray');
  const rooted = await put('rooted', { 'containerd.io/gc.root': 'now' });
  await snapshotter.prepare('ns', 'stray', '', {});
  await snapshotter.prepare('ns', 'rooted', '', { 'containerd.io/gc.root': 'now' });
  await store.images.create('ns', { name: 'i', target: target(manifest) });
  await store.images.create('ns', { name: 'other', target: target(manifest) });
  await store.collect();
  assert.deepEqual(new Set(blobs()), new Set([layer, config, manifest, rooted]));
  assert.deepEqual(snapshots(), ['base', 'rooted', 'upper']);
  assert.deepEqual([files(), layers()], [4, 3]);
  assert.ok(published.some(({ topic, event }) => topic === '/content/delete' && event.digest === stray));
  const remove = handlersOf(
    imagesService({ images: store.images, collect: () => store.collect() }),
    ContainerdServicesImagesV1Images,
  ).Delete;
  const request = (name: string) => new containerd.services.images.v1.DeleteImageRequest({ name, sync: true });
  await remove(request('i'), call());
  assert.equal(blobs().length, 4, 'the other name still keeps it');
  await remove(request('other'), call());
  assert.deepEqual([blobs(), snapshots()], [[rooted], ['rooted']]);
  assert.deepEqual([files(), layers()], [1, 1]);
});

test('a container keeps its snapshot', async (t) => {
  const { store, snapshots, layers } = open(t);
  await store.snapshotter('').prepare('ns', 'c', '', {});
  await store.snapshotter('').prepare('ns', 'd', '', {});
  await store.containers.create('ns', {
    id: 'c',
    runtime: { name: 'r' },
    spec: { type_url: 's' },
    snapshotter: 'native',
    snapshotKey: 'c',
    labels: { 'containerd.io/gc.ref.snapshot.native/second': 'd' },
  });
  await store.collect();
  assert.deepEqual(snapshots(), ['c', 'd']);
  await store.containers.delete('ns', 'c');
  await store.collect();
  assert.deepEqual([snapshots(), layers()], [[], 0]);
});

test('a sandbox keeps what its labels refer to', async (t) => {
  const { store, put, blobs } = open(t);
  const digest = await put('config');
  await store.sandboxes.create('ns', { sandboxId: 's', labels: { 'containerd.io/gc.ref.content.config': digest } });
  await store.collect();
  assert.deepEqual(blobs(), [digest]);
  await store.sandboxes.update('ns', { sandboxId: 's' }, ['labels']);
  await store.collect();
  assert.deepEqual(blobs(), []);
});

test('a lease keeps what is made under it, until it ends or expires', async (t) => {
  const { store, put, blobs, snapshots } = open(t);
  await store.leases.create('ns', { id: 'l' });
  await store.leases.create('ns', {
    id: 'old',
    labels: { 'containerd.io/gc.expire': new Date(Date.now() - 1000).toISOString() },
  });
  await store.leases.create('ns', { id: 'flat', labels: { 'containerd.io/gc.flat': 'yes' } });
  const leaf = await put('leaf');
  const kept = await put('kept', { 'containerd.io/gc.ref.content.0': leaf }, 'l');
  const past = await put('past', {}, 'old');
  const child = await put('child');
  const flat = await put('flat', { 'containerd.io/gc.ref.content.0': child }, 'flat');
  await store.snapshotter('').prepare('ns', 's', '', {}, 'l');
  await (await store.content.ingest('ns', 'open', { lease: 'l' })).close();
  await store.collect();
  assert.deepEqual(new Set(blobs()), new Set([leaf, kept, flat]));
  assert.ok(!blobs().includes(past) && !blobs().includes(child));
  assert.deepEqual(
    store.leases.list('ns', []).map(({ id }) => id),
    ['flat', 'l'],
  );
  assert.deepEqual(snapshots(), ['s']);
  const { Delete } = handlersOf(
    leasesService({ leases: store.leases, collect: () => store.collect() }),
    ContainerdServicesLeasesV1Leases,
  );
  await Delete(new containerd.services.leases.v1.DeleteRequest({ id: 'l', sync: true }), call());
  assert.deepEqual([blobs(), snapshots()], [[flat], []]);
  assert.deepEqual(store.content.statuses('ns', []).length, 1, 'a write under way lasts for a day');
});

test('what another namespace has stays on disk, and what nobody has goes', async (t) => {
  const { dir, store, files } = open(t);
  const { digest } = await store.content.put('one', 'r', Buffer.from('x'), {
    labels: { 'containerd.io/gc.root': 'x' },
  });
  await store.content.put('two', 'r', Buffer.from('x'), { expected: digest });
  await store.collect();
  assert.equal(files(), 1);
  assert.throws(() => store.content.info('two', digest));
  // As a crash leaves them: a layer and an ingest without a record.
  mkdirSync(join(dir, 'native', 'snapshots', '77'));
  mkdirSync(join(dir, 'native', 'snapshots', 'new-78'));
  mkdirSync(join(dir, 'content', 'ingest', 'a'.repeat(64)));
  const writing = await store.content.ingest('one', 'writing', {});
  await store.collect();
  assert.deepEqual(readdirSync(join(dir, 'native', 'snapshots')), []);
  assert.equal(readdirSync(join(dir, 'content', 'ingest')).length, 1);
  await writing.write(Buffer.from('y'));
  await writing.commit(1, '', {});
  await store.snapshotter('native').prepare('one', 'k', '', {});
  assert.deepEqual(readdirSync(join(dir, 'native', 'snapshots')), ['1']);
  assert.throws(() => store.snapshotter('zfs'), { message: 'snapshotter not loaded: zfs: invalid argument' });
});

test('a collection does not take what is written at the same time', async (t) => {
  const { store, put, dir } = open(t);
  await store.leases.create('ns', { id: 'l' });
  let stop = false;
  const collecting = (async () => {
    while (!stop) await store.collect();
  })();
  try {
    for (let n = 0; n < 30; n++) {
      const digest = await put(`blob ${n}`, {}, 'l');
      await store.snapshotter('').prepare('ns', `s${n}`, '', {}, 'l');
      assert.ok(existsSync(join(dir, 'content', 'blobs', 'sha256', digest.slice(7))));
      assert.ok(existsSync((await store.snapshotter('').mounts('ns', `s${n}`))[0]!.source!));
    }
  } finally {
    stop = true;
    await collecting;
  }
});

test('deletions are followed by a collection', async (t) => {
  const { store, put, blobs } = open(t, { delayMs: 1 });
  await store.leases.create('ns', { id: 'l' });
  const digest = await put('x', {}, 'l');
  assert.deepEqual(blobs(), [digest]);
  await store.leases.delete('ns', 'l');
  await eventually('the blob to go', () => blobs().length === 0);
});

test('a collection that is asked for during another one begins after it', async () => {
  const order: string[] = [];
  let release = (): void => undefined;
  let runs = 0;
  const schedule = new Schedule(
    async () => {
      const n = ++runs;
      order.push(`begin ${n}`);
      if (n === 1) await new Promise<void>((resolve) => (release = resolve));
      order.push(`end ${n}`);
    },
    1,
    NEVER,
    () => undefined,
  );
  const first = schedule.now();
  const [second, third] = [schedule.now(), schedule.now()];
  release();
  await Promise.all([first, second, third]);
  await schedule.close();
  assert.deepEqual(order, ['begin 1', 'end 1', 'begin 2', 'end 2']);
});
