import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { containerd, ContainerdServicesContentV1Content } from '../../src/api/full.js';
import { contentService } from '../../src/daemon/content/service.js';
import { call, failure, handlersOf, openRecords, workDirectory, type Records } from '../support/records.js';

const { WriteContentRequest, WriteAction } = containerd.services.content.v1;
type Request = containerd.services.content.v1.WriteContentRequest.$Properties;

function digestOf(data: string | Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function handlers(records: Records) {
  return handlersOf(contentService(records.content), ContainerdServicesContentV1Content);
}

/** Sends messages one by one and gathers the answers. */
async function converse(records: Records, requests: Request[], context = call()) {
  const sent = (async function* () {
    for (const request of requests)
      yield await Promise.resolve(WriteContentRequest.decode(WriteContentRequest.encode(request).finish()));
  })();
  const answers = [];
  for await (const answer of handlers(records).Write(sent, context))
    answers.push({ ...answer, offset: Number(answer.offset ?? 0) });
  return answers;
}

async function readAll(records: Records, digest: string, offset = 0, size = 0, context = call()): Promise<Buffer> {
  const chunks = [];
  for await (const { data } of handlers(records).Read({ digest, offset, size }, context)) chunks.push(data!);
  return Buffer.concat(chunks);
}

function names(t: TestContext) {
  const dir = workDirectory();
  return {
    dir,
    records: openRecords(t, dir),
    blob: (digest: string) => join(dir, 'content', 'blobs', 'sha256', digest.slice(7)),
    ingests: () => readdirSync(join(dir, 'content', 'ingest')),
  };
}

test('a blob is written in pieces, and read back in pieces', async (t) => {
  const { records, blob, ingests } = names(t);
  const data = Buffer.alloc(2_500_000, 'hawser');
  const digest = digestOf(data);
  const answers = await converse(records, [
    { ref: 'r', action: WriteAction.STAT, total: data.length, expected: digest },
    { action: WriteAction.WRITE, data: data.subarray(0, 1_000_000) },
    { action: WriteAction.WRITE, data: data.subarray(1_000_000), offset: 1_000_000 },
    {
      action: WriteAction.COMMIT,
      offset: data.length,
      total: data.length,
      expected: digest,
      labels: { 'containerd.io/gc.root': 'now' },
    },
  ]);
  assert.deepEqual(
    answers.map(({ offset }) => offset),
    [0, 1_000_000, data.length, data.length],
  );
  assert.deepEqual([answers[0]!.digest, answers[3]!.digest], [digestOf(''), digest]);
  assert.deepEqual(readFileSync(blob(digest)), data);
  assert.equal(statSync(blob(digest)).mode & 0o777, 0o444);
  assert.deepEqual(ingests(), []);
  const { info } = await handlers(records).Info({ digest }, call());
  assert.deepEqual(
    { size: Number(info!.size), labels: { ...info!.labels } },
    { size: data.length, labels: { 'containerd.io/gc.root': 'now' } },
  );
  assert.deepEqual(await readAll(records, digest), data);
  assert.deepEqual(await readAll(records, digest, 10, 5), data.subarray(10, 15));
  assert.deepEqual(await readAll(records, digest, data.length - 3, 100), data.subarray(-3));
  await assert.rejects(
    readAll(records, digest, data.length + 1),
    failure(`read past object length ${data.length} bytes`),
  );
  const pieces = [];
  for await (const piece of handlers(records).Read({ digest, offset: 0, size: 0 }, call())) pieces.push(piece);
  assert.deepEqual(
    pieces.map((piece) => piece.data!.length),
    [1 << 20, 1 << 20, data.length - (2 << 20)],
  );
  assert.deepEqual(
    records.published.map(({ topic, event }) => [topic, event.digest]),
    [['/content/create', digest]],
  );
});

test('a write that broke off goes on where it was, also after a restart', async (t) => {
  const dir = workDirectory();
  await t.test('first', async (t) => {
    const records = openRecords(t, dir);
    await converse(records, [{ ref: 'r', action: WriteAction.WRITE, data: Buffer.from('abc'), total: 6 }]);
    assert.equal(Number(records.content.status('ns', 'r').offset), 3);
    assert.deepEqual(
      records.content.statuses('ns', ['ref~=^r']).map(({ ref }) => ref),
      ['r'],
    );
    assert.deepEqual(records.content.statuses('other', []), []);
  });
  const records = openRecords(t, dir);
  assert.deepEqual(
    {
      offset: Number(records.content.status('ns', 'r').offset),
      total: Number(records.content.status('ns', 'r').total),
    },
    { offset: 3, total: 6 },
  );
  const answers = await converse(records, [
    { ref: 'r', action: WriteAction.STAT },
    { action: WriteAction.WRITE, data: Buffer.from('def'), offset: 3 },
    { action: WriteAction.COMMIT, offset: 6, total: 6 },
  ]);
  assert.equal(answers[0]!.offset, 3);
  assert.equal(answers[0]!.digest, digestOf('abc'));
  assert.equal(answers[2]!.digest, digestOf('abcdef'));
  assert.throws(() => records.content.status('ns', 'r'), failure('reference r: not found'));
});

test('offsets, sizes and digests have to be as they are expected', async (t) => {
  const { records } = names(t);
  await assert.rejects(
    converse(records, [{ action: WriteAction.STAT }]),
    failure('first message must have a reference: invalid argument'),
  );
  await assert.rejects(
    converse(records, [{ ref: 'r', action: WriteAction.WRITE, data: Buffer.from('x'), offset: 5 }]),
    failure('write @5 must occur at current offset 0'),
  );
  const begun: Request[] = [{ ref: 'r', action: WriteAction.WRITE, data: Buffer.from('abc') }];
  await assert.rejects(
    converse(records, [...begun, { action: WriteAction.COMMIT, offset: 3, total: 4 }]),
    failure('"r" failed size validation: 3 != 4: failed precondition'),
  );
  const wrong = digestOf('other');
  await assert.rejects(
    converse(records, [...begun, { action: WriteAction.COMMIT, offset: 3, expected: wrong }]),
    failure(`unexpected commit digest ${digestOf('abc')}, expected ${wrong}: failed precondition`),
  );
  const again = await converse(records, [
    { ref: 'r', action: WriteAction.STAT },
    { action: WriteAction.WRITE, data: Buffer.from('new'), offset: 0 },
    { action: WriteAction.COMMIT, offset: 3 },
  ]);
  assert.equal(again[2]!.digest, digestOf('new'), 'a write at 0 begins anew');
});

test('one that is there already is told so', async (t) => {
  const { records, ingests } = names(t);
  const digest = digestOf('abc');
  await records.content.put('ns', 'a', Buffer.from('abc'));
  await assert.rejects(
    converse(records, [{ ref: 'b', action: WriteAction.STAT, expected: digest }]),
    failure(`content ${digest}: already exists`),
  );
  await assert.rejects(
    converse(records, [
      { ref: 'b', action: WriteAction.WRITE, data: Buffer.from('abc') },
      { action: WriteAction.COMMIT, offset: 3, expected: digest },
    ]),
    failure(`blob with expected digest ${digest} exists: already exists`),
  );
  await assert.rejects(
    converse(records, [
      { ref: 'b', action: WriteAction.WRITE, data: Buffer.from('abc') },
      { action: WriteAction.COMMIT, offset: 3 },
    ]),
    failure(`content ${digest}: already exists`),
  );
  assert.deepEqual(ingests(), []);
  assert.deepEqual(records.content.statuses('ns', []), []);
  assert.deepEqual(await records.content.put('ns', 'c', Buffer.from('abc'), { expected: digest }), { digest, size: 3 });
});

test('a second namespace sees a blob once it has written it, and finds it written', async (t) => {
  const { records, blob } = names(t);
  const digest = digestOf('shared');
  await records.content.put('one', 'r', Buffer.from('shared'));
  assert.throws(() => records.content.info('two', digest), failure(`content digest ${digest}: not found`));
  await assert.rejects(records.content.open('two', digest), failure(`content digest ${digest}: not found`));
  const answers = await converse(
    records,
    [
      { ref: 'r', action: WriteAction.STAT, expected: digest, total: 6 },
      { action: WriteAction.COMMIT, offset: 6, expected: digest, labels: { a: 'b' } },
    ],
    call('two'),
  );
  assert.deepEqual(
    answers.map(({ offset }) => offset),
    [6, 6],
  );
  assert.deepEqual({ ...records.content.info('two', digest).labels }, { a: 'b' });
  assert.deepEqual({ ...records.content.info('one', digest).labels }, {}, "labels are each namespace's own");
  await records.content.delete('one', digest);
  assert.equal((await readAll(records, digest, 0, 0, call('two'))).toString(), 'shared');
  assert.ok(existsSync(blob(digest)));
  const ingest = await records.content.ingest('three', 'x', { expected: digest });
  await ingest.write(Buffer.from('else'));
  assert.equal(await ingest.commit(10, '', {}), digestOf('sharedelse'), 'a write to what is shared goes to a copy');
});

test('a reference has one writer at a time, and an abort takes the write away', async (t) => {
  const { records, ingests } = names(t);
  const first = await records.content.ingest('ns', 'r', {});
  await assert.rejects(
    records.content.ingest('ns', 'r', {}),
    /^TtrpcError: ref ns\/1\/r locked for [\d.]+s \(since .*\): unavailable$/,
  );
  await (await records.content.ingest('other', 'r', {})).close();
  await first.close();
  await handlers(records).Abort({ ref: 'r' }, call());
  await assert.rejects(
    async () => await handlers(records).Abort({ ref: 'r' }, call()),
    failure('reference r: not found'),
  );
  assert.equal(ingests().length, 1);
});

test('labels of content are updated by mask', async (t) => {
  const { records } = names(t);
  const { digest } = await records.content.put('ns', 'r', Buffer.from('x'), { labels: { a: '1', b: '2' } });
  assert.deepEqual(
    { ...(await records.content.update('ns', { digest, labels: { a: '3' } }, ['labels.a'])).labels },
    { a: '3', b: '2' },
  );
  await assert.rejects(
    records.content.update('ns', { digest }, ['size']),
    failure(`cannot update "size" field on content info "${digest}": invalid argument`),
  );
  await assert.rejects(
    async () => await handlers(records).Info({ digest: 'x' }, call()),
    failure('"x" failed validation: invalid argument'),
  );
  assert.deepEqual(
    records.content.list('ns', ['labels.b==2']).map((info) => info.digest),
    [digest],
  );
  const listed = [];
  for await (const { info } of handlers(records).List({ filters: [] }, call())) listed.push(...info!);
  assert.equal(listed.length, 1);
});

test('what is written under a lease is on its list', async (t) => {
  const { records } = names(t);
  await records.leases.create('ns', { id: 'l' });
  const { digest } = await records.content.put('ns', 'r', Buffer.from('x'), { lease: 'l' });
  const ingest = await records.content.ingest('ns', 'open', { lease: 'l' });
  const kept = () => records.leases.resources('ns', 'l').map(({ type, id }) => `${type} ${id}`);
  assert.deepEqual(kept(), [`content ${digest}`, 'ingests open']);
  await ingest.close();
  await records.content.abort('ns', 'open', 'l');
  assert.deepEqual(kept(), [`content ${digest}`]);
  await assert.rejects(records.content.ingest('ns', 'r2', { lease: 'none' }), failure('lease "none": not found'));
});
