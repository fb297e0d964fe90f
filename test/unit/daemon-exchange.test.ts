import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { containerd, pack, ZERO_TIME } from '../../src/api/full.js';
import { EventExchange } from '../../src/daemon/events/exchange.js';
import { windowOf } from '../../src/daemon/events/recent.js';
import type { Envelope } from '../../src/daemon/events/types.js';
import { UnheardExits } from '../../src/daemon/events/unheard.js';
import { Code, TtrpcError } from '../../src/ttrpc/index.js';
import { isPending, within } from '../support/eventually.js';

const exit = (containerId: string, exitStatus = 0) =>
  pack('containerd.events.TaskExit', containerd.events.TaskExit, { containerId, id: containerId, pid: 7, exitStatus });
const never = new AbortController().signal;

function refused(run: () => unknown, text: RegExp): void {
  assert.throws(
    run,
    (error) => error instanceof TtrpcError && error.code === Code.InvalidArgument && text.test(error.message),
  );
}

/** What an iterable has to give now. */
async function take(source: AsyncIterable<Envelope>, count: number): Promise<string[]> {
  const iterator = source[Symbol.asyncIterator]();
  const topics: string[] = [];
  while (topics.length < count) {
    const { value, done } = (await within('an event', iterator.next())) as IteratorResult<Envelope, undefined>;
    if (done) break;
    topics.push(value.topic ?? '');
  }
  return topics;
}

test('a subscriber gets what is published after it subscribed, in order, with the time', async () => {
  const exchange = new EventExchange();
  exchange.publish('ns', '/too/early', exit('a'));
  const before = Date.now();
  const stream = exchange.subscribe([], never);
  exchange.publish('ns', '/tasks/start', exit('a'));
  exchange.publish('ns', '/tasks/exit', exit('a'));
  const iterator = stream[Symbol.asyncIterator]();
  const { value: first } = (await iterator.next()) as { value: Envelope };
  assert.deepEqual(
    [first.topic, first.namespace, first.event?.type_url],
    ['/tasks/start', 'ns', 'containerd.events.TaskExit'],
  );
  assert.ok(Number(first.timestamp?.seconds) >= Math.floor(before / 1000));
  assert.deepEqual(await take(stream, 1), ['/tasks/exit']);
  const waiting = iterator.next();
  assert.ok(await isPending(waiting));
  exchange.publish('ns', '/tasks/delete', exit('a'));
  assert.equal(((await waiting).value as Envelope).topic, '/tasks/delete');
});

for (const [filter, seen] of [
  ['namespace==moby,topic~=|^/tasks/|', ['/tasks/exit']],
  ['namespace==moby', ['/tasks/exit', '/images/create']],
  ['event.container_id==c1', ['/tasks/exit']],
  ['event.exit_status==3', ['/tasks/exit']],
  ['event.container_id!=c1', ['/images/create', '/other/thing', '/tasks/bad']],
  ['event.labels.a==b', ['/images/create']],
  ['event.name', ['/images/create']],
  ['event', []],
  ['nothing', []],
  ['topic.more', []],
] as const) {
  test(`the filter ${filter}`, async () => {
    const exchange = new EventExchange();
    const stream = exchange.subscribe([filter], never);
    exchange.publish('moby', '/tasks/exit', exit('c1', 3));
    exchange.publish(
      'moby',
      '/images/create',
      pack(
        'types.googleapis.com/containerd.services.images.v1.ImageCreate',
        containerd.services.images.v1.ImageCreate,
        { name: 'i', labels: { a: 'b' } },
      ),
    );
    exchange.publish('other', '/other/thing', { type_url: 'their.Own', value: Buffer.from('x') });
    exchange.publish('other', '/tasks/bad', { type_url: 'containerd.events.TaskExit', value: Buffer.from([255]) });
    exchange.publish('moby', '/tasks/last', { type_url: 'none' });
    assert.deepEqual(
      (await take(stream, seen.length)).filter((topic) => topic !== '/tasks/last'),
      seen,
    );
  });
}

test('envelopes that are not in order are refused', () => {
  const exchange = new EventExchange();
  const good: Envelope = { namespace: 'ns', topic: '/a/b', timestamp: { seconds: 1 }, event: exit('a') };
  exchange.forward(good);
  refused(() => exchange.forward({ ...good, namespace: '' }), /namespace .*empty/);
  refused(() => exchange.forward({ ...good, namespace: 'a/b' }), /namespace .*"a\/b"/);
  refused(() => exchange.forward({ ...good, topic: 'a' }), /"a" must start with/);
  refused(() => exchange.forward({ ...good, topic: '' }), /must start with/);
  refused(() => exchange.forward({ ...good, topic: '/' }), /must name something/);
  refused(() => exchange.forward({ ...good, topic: '/a//b' }), /part of the event topic "\/a\/\/b"/);
  refused(() => exchange.forward({ ...good, topic: '/a/b ' }), /topic/);
  refused(() => exchange.forward({ ...good, timestamp: null }), /no timestamp/);
  refused(() => exchange.forward({ ...good, timestamp: ZERO_TIME }), /no timestamp/);
  refused(() => exchange.subscribe(['a='], never), /filter/);
});

test('an aborted subscription ends, whatever is in its queue, and is forgotten', async () => {
  const exchange = new EventExchange();
  const controller = new AbortController();
  const stream = exchange.subscribe([], controller.signal);
  exchange.publish('ns', '/a', exit('a'));
  assert.equal(exchange.subscribers, 1);
  controller.abort();
  assert.deepEqual(await take(stream, 1), []);
  assert.equal(exchange.subscribers, 0);
  assert.deepEqual(await take(exchange.subscribe([], controller.signal), 1), []);
  assert.equal(exchange.subscribers, 0);
  for await (const _ of (() => {
    const leaving = exchange.subscribe([], never);
    exchange.publish('ns', '/a', exit('a'));
    return leaving;
  })())
    break;
  assert.equal(exchange.subscribers, 0, 'who leaves the loop has left');
});

test('a subscriber who never reads is cut off with an error; the others get everything', async () => {
  const exchange = new EventExchange(100 * 300);
  const idle = exchange.subscribe([], never);
  const busy = exchange.subscribe([], never);
  let heard = 0;
  const reading = (async () => {
    for await (const envelope of busy) {
      heard++;
      if (envelope.topic === '/last') break;
    }
  })();
  for (let i = 0; i < 5000; i++) {
    exchange.publish('ns', '/a', exit(`c${i}`));
    if (i % 50 === 0) await delay(0);
  }
  exchange.publish('ns', '/last', exit('a'));
  await within('the other one hears all', reading);
  assert.equal(heard, 5001);
  let got = 0;
  await assert.rejects(
    async () => {
      for await (const { event } of idle)
        assert.equal(containerd.events.TaskExit.decode(event!.value!).containerId, `c${got++}`);
    },
    (error) =>
      error instanceof TtrpcError &&
      error.code === Code.ResourceExhausted &&
      error.message.includes(`left ${got} events unread`),
  );
  assert.ok(got > 50 && got < 5000, String(got));
  assert.equal(exchange.subscribers, 0);
});

test('whatever order of publishing and reading: each gets its own, once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom('publish', 'read'), { maxLength: 80 }), async (steps) => {
      const exchange = new EventExchange();
      const controller = new AbortController();
      const iterator = exchange.subscribe([], controller.signal)[Symbol.asyncIterator]();
      const reads: Promise<IteratorResult<Envelope>>[] = [];
      let published = 0;
      for (const step of steps) {
        if (step === 'publish') exchange.publish('ns', `/n${published++}`, exit('a'));
        else reads.push(iterator.next());
      }
      while (reads.length < published) reads.push(iterator.next());
      controller.abort();
      const topics = (await Promise.all(reads))
        .filter(({ done }) => !done)
        .map(({ value }) => (value as Envelope).topic);
      assert.deepEqual(
        topics,
        Array.from({ length: published }, (_, i) => `/n${i}`),
      );
    }),
  );
});

/** What a subscriber finds waiting, as the ids of containers. */
async function waiting(exchange: EventExchange, filter: string): Promise<string[]> {
  const stream = exchange.subscribe([filter], never);
  exchange.publish('moby', '/the/end', exit('end'));
  const ids: string[] = [];
  for await (const { topic, event } of stream) {
    if (topic === '/the/end') break;
    ids.push(containerd.events.TaskExit.decode(event!.value!).containerId);
  }
  return ids;
}

test('after a start an exit that nobody has heard is kept for those who come, and nothing else is', async () => {
  const told = (topic: string, id: string): Envelope => ({
    namespace: 'moby',
    topic,
    timestamp: { seconds: 1, nanos: 2 },
    event: exit(id),
  });
  const exchange = new EventExchange(undefined, new UnheardExits());
  exchange.forward(told('/tasks/exit', 'a'));
  exchange.forward(told('/tasks/start', 'b'));
  exchange.publish('moby', '/tasks/exit', exit('the-daemons-own'));
  const stopping = new AbortController();
  const deaf = exchange.subscribe(['namespace==other'], stopping.signal);
  exchange.forward(told('/tasks/exit', 'c'));
  assert.deepEqual(await waiting(exchange, 'namespace==moby'), ['a', 'c']);
  assert.deepEqual(await waiting(exchange, 'namespace==moby'), ['a', 'c'], 'for each of them');
  assert.deepEqual(await waiting(exchange, 'topic=="/the/end"'), []);
  stopping.abort();
  assert.deepEqual(await take(deaf, 1), []);
  const listening = exchange.subscribe(['topic=="/tasks/exit"'], never);
  exchange.forward(told('/tasks/exit', 'heard'));
  assert.deepEqual(await waiting(exchange, 'namespace==moby'), ['a', 'c']);
  assert.deepEqual(await take(listening, 3), ['/tasks/exit', '/tasks/exit', '/tasks/exit']);

  // One that is deleted, or that was created after the start, is nobody's to be missed.
  const about = (topic: string, containerId: string): Envelope => ({
    ...told(topic, containerId),
    event: pack('containerd.events.TaskDelete', containerd.events.TaskDelete, { containerId }),
  });
  exchange.publish('moby', '/tasks/delete', about('/tasks/delete', 'a').event!);
  assert.deepEqual(await waiting(exchange, 'namespace==moby'), ['c']);
  exchange.forward({
    ...told('/tasks/create', 'c'),
    event: pack('containerd.events.TaskCreate', containerd.events.TaskCreate, { containerId: 'c' }),
  });
  exchange.forward(told('/tasks/exit', 'c'));
  assert.deepEqual(await waiting(exchange, 'namespace==moby'), []);

  const late = new EventExchange(undefined, new UnheardExits(0));
  late.forward(told('/tasks/exit', 'a'));
  assert.deepEqual(await waiting(late, 'namespace==moby'), []);
});

test('the last events are there for who asks since when, in order, before those that come', async () => {
  const exchange = new EventExchange(undefined, new UnheardExits());
  const told = (second: number, id: string): Envelope => ({
    namespace: 'moby',
    topic: '/tasks/exit',
    timestamp: { seconds: 1_700_000_000 + second, nanos: 5 },
    event: exit(id),
  });
  const at = (second: number, nanos = 5): bigint => BigInt(1_700_000_000 + second) * 1_000_000_000n + BigInt(nanos);
  const idsOf = async (events: AsyncIterable<Envelope>): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { event } of events) ids.push(containerd.events.TaskExit.decode(event!.value!).containerId);
    return ids;
  };
  for (let second = 0; second < 5; second++) exchange.forward(told(second, `c${second}`));
  // Until is over, so this is all.
  assert.deepEqual(await idsOf(exchange.subscribe([], never, { since: at(1), until: at(3) })), ['c1', 'c2', 'c3']);
  assert.deepEqual(await idsOf(exchange.subscribe([], never, { since: at(1, 6), until: at(3, 4) })), ['c2']);
  const unheard = await idsOf(exchange.subscribe([], never, { until: at(3) }));
  assert.equal(unheard.length, 5, 'exits that nobody has heard');
  assert.deepEqual(await idsOf(exchange.subscribe(['event.container_id==c4'], never, { since: 0n, until: at(9) })), [
    'c4',
  ]);
  const stopping = new AbortController();
  const open = exchange.subscribe([], stopping.signal, { since: at(3) });
  exchange.forward(told(9, 'c9'));
  const ids = [];
  for await (const { event } of open) {
    ids.push(containerd.events.TaskExit.decode(event!.value!).containerId);
    if (ids.length === 3) break;
  }
  assert.deepEqual(ids, ['c3', 'c4', 'c9']);
  assert.equal(exchange.subscribers, 0);

  // No more than a thousand, and no more than a mebibyte.
  for (let second = 10; second < 3010; second++) exchange.forward(told(second, `n${second}`));
  const last = await idsOf(exchange.subscribe([], never, { since: 0n, until: at(9999) }));
  assert.deepEqual([last.length, last[0], last.at(-1)], [1000, 'n2010', 'n3009']);
  for (let second = 0; second < 100; second++) exchange.forward(told(4000 + second, 'x'.repeat(50_000)));
  const few = await idsOf(exchange.subscribe([], never, { since: 0n, until: at(9999) }));
  assert.ok(few.length >= 10 && few.length <= 21, `${few.length} of 100 kB are kept`);
});

test('headers of ours say since when and until when, and must be numbers', () => {
  const call = (headers: Record<string, string>) => ({ header: (name: string) => headers[name] });
  assert.deepEqual(windowOf(call({})), { since: undefined, until: undefined });
  assert.deepEqual(windowOf(call({ 'hawser-since': '12', 'hawser-until': '1700000000000000005' })), {
    since: 12n,
    until: 1_700_000_000_000_000_005n,
  });
  for (const text of ['', '-1', '1.5', 'x', '9'.repeat(21)])
    assert.throws(
      () => windowOf(call({ 'hawser-since': text })),
      /header hawser-since: .* is no number of nanoseconds since 1970/,
    );
});
