import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  containerd,
  ContainerdServicesContentV1Content,
  ContainerdServicesTransferV1Transfer,
  errdefs,
  pack,
} from '../../src/api/full.js';
import { BlobFiles } from '../../src/daemon/content/files.js';
import { contentService } from '../../src/daemon/content/service.js';
import { encodeHeader, END, padding } from '../../src/oci/tar-writer.js';
import { fromText } from '../../src/sys/byte-string.js';
import type { Differ } from '../../src/daemon/diff/types.js';
import { MetadataStore } from '../../src/daemon/metadata/store.js';
import { CheckpointStore } from '../../src/daemon/tasks/checkpoints.js';
import { TaskManager } from '../../src/daemon/tasks/manager.js';
import type { Task } from '../../src/daemon/tasks/task.js';
import { importArchive } from '../../src/daemon/transfer/import.js';
import { Documents, MediaType } from '../../src/daemon/transfer/oci.js';
import { transferService } from '../../src/daemon/transfer/service.js';
import { Streams } from '../../src/daemon/transfer/streams.js';
import { unpack } from '../../src/daemon/transfer/unpack.js';
import { HeldDriver, Hold, holdNextRemoval } from '../support/held.js';
import { call, failure, handlersOf, recorder, workDirectory } from '../support/records.js';

const NEVER = 1 << 30;
const ROOT = { 'containerd.io/gc.root': 'now' };

function open(t: TestContext, before: (dir: string) => void = () => undefined) {
  const dir = workDirectory();
  before(dir);
  const driver = new HeldDriver(join(dir, 'native'));
  const files = new BlobFiles(join(dir, 'content'));
  const store = new MetadataStore({
    file: join(dir, 'meta.mdb'),
    files,
    drivers: new Map([['native', driver]]),
    defaultSnapshotter: 'native',
    events: recorder().exchange,
    log: { debug: () => undefined, warn: (given: unknown) => assert.fail(String(given)) },
    collectDelayMs: NEVER,
    collectIntervalMs: NEVER,
  });
  t.after(() => store.close());
  const snapshots = store.snapshotter('');
  const commit = async (name: string, file: string): Promise<void> => {
    const [mount] = await snapshots.prepare('ns', `${name} active`, '', ROOT);
    writeFileSync(join(mount!.source!, file), '');
    await snapshots.commit('ns', name, `${name} active`, ROOT);
  };
  return { dir, driver, files, store, snapshots, content: store.content, commit };
}

const digestOf = (data: string | Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

test('a snapshot that is made before a collection and recorded during it keeps its files', async (t) => {
  const { driver, snapshots, store } = open(t, (dir) =>
    mkdirSync(join(dir, 'native', 'snapshots', '5'), { recursive: true }),
  );
  const made = new Hold();
  const removing = new Hold();
  driver.made.set('6', made);
  driver.removing.set('5', removing);
  const preparing = snapshots.prepare('ns', 'k', '', ROOT);
  await made.reached;
  const collecting = store.collect();
  await removing.reached;
  made.release();
  const [mount] = await preparing;
  removing.release();
  await collecting;
  assert.ok(existsSync(mount!.source!));
  await store.collect();
  assert.deepEqual(driver.layers(), ['6'], 'what nobody had is gone');
});

test('a snapshot whose parent goes or is replaced while it is made stands on what is there then', async (t) => {
  const { driver, snapshots, commit, dir } = open(t);
  await commit('base', 'one');
  const [first, second] = [new Hold(), new Hold()];
  driver.made.set('2', first).set('4', second);
  let preparing = snapshots.prepare('ns', 'k', 'base', ROOT);
  await first.reached;
  await snapshots.remove('ns', 'base');
  await commit('base', 'two');
  first.release();
  await Promise.race([second.reached, preparing]);
  await snapshots.remove('ns', 'base');
  await commit('base', 'three');
  second.release();
  const [mount] = await preparing;
  assert.deepEqual(readdirSync(mount!.source!), ['three']);

  await snapshots.remove('ns', 'k');
  const third = new Hold();
  driver.made.set('7', third);
  preparing = snapshots.prepare('ns', 'k', 'base', ROOT);
  await third.reached;
  await snapshots.remove('ns', 'base');
  third.release();
  await assert.rejects(preparing, failure('parent snapshot base does not exist: not found'));
  assert.deepEqual([driver.layers(), readdirSync(join(dir, 'native', 'trash'))], [[], []]);
});

test('the usage of a snapshot that is removed meanwhile is that of none', async (t) => {
  const { driver, snapshots } = open(t);
  await snapshots.prepare('ns', 'k', '', ROOT);
  driver.measuring = () => snapshots.remove('ns', 'k');
  await assert.rejects(snapshots.usage('ns', 'k'), failure('snapshot k does not exist: not found'));
});

test('a write that takes up a reference whose last files are still being removed keeps its own', async (t) => {
  const { files, content, store } = open(t);
  const write = async (between: () => void): Promise<void> => {
    const ingest = await content.ingest('ns', 'r', {});
    await ingest.write(Buffer.from('new'));
    between();
    await ingest.commit(3, digestOf('new'), ROOT);
    await content.delete('ns', digestOf('new'));
  };

  mkdirSync(files.ingestDirectory('ns/1/r'));
  const collection = holdNextRemoval(t);
  const collecting = store.collect();
  await collection.reached;
  await write(() => collection.release());
  await collecting;

  await (await content.ingest('ns', 'r', {})).close();
  const abort = holdNextRemoval(t);
  const aborting = content.abort('ns', 'r');
  await abort.reached;
  await write(() => abort.release());
  await aborting;
});

test('a write is not collected while it is open, however long it has been quiet, and its commit after an abort says so', async (t) => {
  const { files, content, store, dir } = open(t);
  const ingest = await content.ingest('ns', 'r', {});
  await ingest.write(Buffer.from('x'));
  const old = new Date(Date.now() - 48 * 3600 * 1000);
  utimesSync(join(files.ingestDirectory('ns/1/r'), 'data'), old, old);
  writeFileSync(join(files.ingestDirectory('ns/1/r'), 'updatedat'), old.toISOString());
  await store.collect();
  assert.equal(content.status('ns', 'r').ref, 'r');
  await content.abort('ns', 'r');
  await assert.rejects(
    ingest.commit(1, '', {}),
    failure('the write of ns/1/r, which was aborted meanwhile: not found'),
  );
  await (await content.ingest('ns', 'r', {})).close();
  await store.collect();
  assert.deepEqual(readdirSync(join(dir, 'content', 'trash')), []);
});

test('whoever is told that something is there already has it kept by the lease', async (t) => {
  const { store, snapshots, content, commit } = open(t);
  await store.leases.create('ns', { id: 'l' });
  for (const name of ['target', 'name', 'key']) {
    await commit(name, 'f');
    await snapshots.update('ns', { name, labels: {} }, ['labels']);
  }
  const blob = await content.put('ns', 'r', Buffer.from('blob'));
  await assert.rejects(
    snapshots.prepare('ns', 'extract', '', { 'containerd.io/snapshot.ref': 'target' }, 'l'),
    failure('target snapshot "target": already exists'),
  );
  await assert.rejects(snapshots.prepare('ns', 'key', '', {}, 'l'), failure('snapshot "key": already exists'));
  await snapshots.prepare('ns', 'extract', '', {}, 'l');
  await assert.rejects(snapshots.commit('ns', 'name', 'extract', {}, 'l'), failure('snapshot "name": already exists'));
  const { Write } = handlersOf(contentService(content), ContainerdServicesContentV1Content);
  const { WriteContentRequest, WriteAction } = containerd.services.content.v1;
  const requests = (async function* () {
    yield await Promise.resolve(
      new WriteContentRequest({ ref: 'other', action: WriteAction.WRITE, data: Buffer.from('blob') }),
    );
    yield new WriteContentRequest({ action: WriteAction.COMMIT, offset: 4, expected: blob.digest });
  })();
  await assert.rejects(
    async () => {
      for await (const answer of Write(requests, call('ns', 'l'))) assert.ok(answer);
    },
    failure(`blob with expected digest ${blob.digest} exists: already exists`),
  );
  await store.collect();
  assert.deepEqual(
    snapshots.list('ns', []).map(({ name }) => name),
    ['extract', 'key', 'name', 'target'],
  );
  assert.equal(content.info('ns', blob.digest).digest, blob.digest);
});

test('content that goes between two looks at it is written', async (t) => {
  const { content } = open(t);
  const { digest } = await content.put('ns', 'r', Buffer.from('x'));
  const ingest = content.ingest.bind(content);
  content.ingest = async () => {
    content.ingest = ingest;
    await content.delete('ns', digest);
    throw errdefs.alreadyExists(`content ${digest}`);
  };
  assert.deepEqual(await content.put('ns', 'r', Buffer.from('x'), { expected: digest }), { digest, size: 1 });
  assert.equal(Number(content.info('ns', digest).size), 1);
});

const layer = Buffer.alloc(100_000, 'layer');
const entries: [string, Buffer][] = [
  ['config.json', Buffer.from('{}')],
  ['layer.tar', layer],
  ['manifest.json', Buffer.from(JSON.stringify([{ Config: 'config.json', RepoTags: ['x:1'], Layers: ['layer.tar'] }]))],
];

/** What `docker save` writes, held in the midst of its layer. */
async function* dockerArchive(hold?: Hold): AsyncGenerator<Uint8Array> {
  for (const [name, data] of entries) {
    yield encodeHeader({
      name: fromText(name),
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: data.length,
      modified: { seconds: 0, nanos: 0 },
    });
    yield data.subarray(0, data.length >> 1);
    if (data === layer) await hold?.wait();
    yield data.subarray(data.length >> 1);
    yield padding(data.length);
  }
  yield END;
}

test('imports of the same archive do not wait for each other', async (t) => {
  const { store, content } = open(t);
  await store.leases.create('ns', { id: 'l' });
  const hold = new Hold();
  const first = importArchive(new Documents(content, 'ns', 'l'), dockerArchive(hold), true);
  await hold.reached;
  const second = await importArchive(new Documents(content, 'ns', 'l'), dockerArchive(), true);
  hold.release();
  assert.deepEqual(await first, second);
});

test('a layer that an earlier import has compressed, and that goes now, is compressed again', async (t) => {
  const { store, content } = open(t);
  await store.leases.create('ns', { id: 'l' });
  const known = await content.put('ns', 'r', Buffer.from('compressed'), {
    labels: { 'containerd.io/uncompressed': digestOf(layer) },
  });
  const keep = content.keep.bind(content);
  content.keep = async (namespace, digest, lease) => {
    if (digest === known.digest) await store.collect();
    return keep(namespace, digest, lease);
  };
  const documents = new Documents(content, 'ns', 'l');
  const index = await importArchive(documents, dockerArchive(), true);
  const [manifest] = await documents.children(index);
  const [, compressed] = await documents.children(manifest!);
  assert.notEqual(compressed!.digest, known.digest);
  assert.ok(documents.has(compressed!.digest));
});

test('a layer that an import finds unpacked is kept until the image refers to it', async (t) => {
  const { store, content, snapshots, commit } = open(t);
  await store.leases.create('ns', { id: 'l' });
  const chain = digestOf('diff');
  await commit(chain, 'f');
  await snapshots.update('ns', { name: chain, labels: {} }, ['labels']);
  const documents = new Documents(content, 'ns', 'l');
  const config = await documents.write({ rootfs: { diff_ids: [chain] } }, MediaType.DockerConfig);
  const manifest = await documents.write(
    { config, layers: [{ mediaType: 'layer', digest: digestOf('gz'), size: 1 }] },
    MediaType.DockerManifest,
  );
  const update = content.update.bind(content);
  content.update = async (...args) => {
    await store.collect();
    return update(...args);
  };
  const differ: Differ = { apply: () => assert.fail('it is unpacked'), compare: () => assert.fail() };
  await unpack(documents, manifest, snapshots, 'native', differ);
  assert.equal(snapshots.stat('ns', chain).name, chain);
});

test('an image that gets another name keeps its content, though its first name goes meanwhile', async (t) => {
  const { store, content } = open(t);
  const { digest } = await content.put('ns', 'r', Buffer.from('{}'));
  await store.images.create('ns', { name: 'old', target: { mediaType: 'm', digest, size: 2 } });
  const create = store.images.create.bind(store.images);
  store.images.create = async (...args) => {
    await store.images.delete('ns', 'old');
    await store.collect();
    return create(...args);
  };
  const differ: Differ = { apply: () => assert.fail(), compare: () => assert.fail() };
  const { Transfer } = handlersOf(
    transferService({ stores: store, differ, streams: new Streams(), defaultSnapshotter: 'native' }),
    ContainerdServicesTransferV1Transfer,
  );
  const { ImageStore } = containerd.types.transfer;
  const image = (name: string) => pack('containerd.types.transfer.ImageStore', ImageStore, { name });
  await Transfer(
    new containerd.services.transfer.v1.TransferRequest({ source: image('old'), destination: image('new') }),
    call(),
  );
  assert.equal(store.images.get('ns', 'new').target!.digest, digest);
  assert.equal(content.info('ns', digest).digest, digest);
  assert.deepEqual(store.leases.list('ns', []), []);
});

test('a transfer that outlives its lease has done its work', async (t) => {
  const { store, content } = open(t);
  const { digest } = await content.put('ns', 'r', Buffer.from('{}'), { labels: ROOT });
  await store.images.create('ns', { name: 'old', target: { mediaType: 'm', digest, size: 2 } });
  const create = store.images.create.bind(store.images);
  store.images.create = async (...args) => {
    for (const { id } of store.leases.list('ns', [])) await store.leases.delete('ns', id!);
    return create(...args);
  };
  const differ: Differ = { apply: () => assert.fail(), compare: () => assert.fail() };
  const { Transfer } = handlersOf(
    transferService({ stores: store, differ, streams: new Streams(), defaultSnapshotter: 'native' }),
    ContainerdServicesTransferV1Transfer,
  );
  const image = (name: string) =>
    pack('containerd.types.transfer.ImageStore', containerd.types.transfer.ImageStore, { name });
  await Transfer(
    new containerd.services.transfer.v1.TransferRequest({ source: image('old'), destination: image('new') }),
    call(),
  );
  assert.equal(store.images.get('ns', 'new').target!.digest, digest);
});

test('of two checkpoints of one name the first to be done has it, and those of the last container are not those of the next', async (t) => {
  const dir = workDirectory();
  const checkpoints = new CheckpointStore(dir);
  const slow = new Hold();
  const fill =
    (text: string, hold?: Hold) =>
    async (to: string): Promise<void> => {
      writeFileSync(join(to, 'half'), text);
      await hold?.wait();
      writeFileSync(join(to, 'file'), text);
    };
  const first = checkpoints.add('ns', 'c', 'x', fill('slow', slow));
  await slow.reached;
  const { path } = await checkpoints.add('ns', 'c', 'x', fill('quick'));
  slow.release();
  await assert.rejects(first, failure('checkpoint x of container c: already exists'));
  assert.deepEqual(
    [readFileSync(join(path, 'half'), 'utf8'), readFileSync(join(path, 'file'), 'utf8')],
    ['quick', 'quick'],
  );

  const removal = holdNextRemoval(t);
  const deleting = checkpoints.delete('ns', 'c', 'x');
  await removal.reached;
  assert.throws(() => checkpoints.get('ns', 'c', 'x'), failure('checkpoint x of container c: not found'));
  removal.release();
  await deleting;

  await checkpoints.add('ns', 'c', 'x', fill('old'));
  const last = holdNextRemoval(t);
  const forgetting = checkpoints.deleteAll('ns', 'c');
  await last.reached;
  await checkpoints.add('ns', 'c', 'y', fill('new'));
  last.release();
  await forgetting;
  assert.deepEqual(
    checkpoints.list('ns', 'c').map(({ name }) => name),
    ['y'],
  );

  mkdirSync(join(dir, 'ns', 'c', '.begun'));
  mkdirSync(join(dir, 'ns', '.removed'));
  mkdirSync(join(dir, 'ns', 'gone'));
  await checkpoints.prune((_, id) => id === 'c');
  assert.deepEqual([readdirSync(join(dir, 'ns')), readdirSync(join(dir, 'ns', 'c'))], [['c'], ['y']]);
});

test('deletions of one task follow one after the other', async () => {
  let [under, most] = [0, 0];
  const Delete = async (): Promise<never> => {
    most = Math.max(most, ++under);
    await new Promise(setImmediate);
    under--;
    throw errdefs.failedPrecondition('it runs');
  };
  const task = {
    namespace: 'ns',
    id: 'c',
    connection: { task: { Delete } },
    isDeath: () => false,
    deletion: undefined,
  } as unknown as Task;
  const manager = new (class extends TaskManager {
    override find(): Task {
      return task;
    }
  })({} as TaskManager['options']);
  await Promise.all([1, 2, 3].map(() => assert.rejects(manager.delete(task), failure('it runs: failed precondition'))));
  assert.equal(most, 1);
});
