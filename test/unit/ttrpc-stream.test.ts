import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Code, connect, MAX_MESSAGE_LENGTH, TtrpcError } from '../../src/ttrpc/index.js';
import { collect, deferred, Echo, running, socketPath, until, type EchoHandlers } from '../support/ttrpc-fixture.js';
import { RawPeer, rawFrame, rawRequest } from '../support/ttrpc-raw.js';

const joining: EchoHandlers = {
  Say: (text) => text,
  Join: async (texts) => (await collect(texts)).join(),
  List: (text) => text.split(','),
  Chat: async function* (texts) {
    for await (const text of texts) yield `${text}!`;
  },
};

const open = (streamId: number, name: string, payload = '', flags = 2): Buffer =>
  rawRequest(streamId, { service: 'test.Echo', method: name, payload: Buffer.from(payload) }, flags);

async function rawClient(t: TestContext, handlers = joining): Promise<RawPeer> {
  const { path } = await running(t, handlers);
  const peer = await RawPeer.connect(path);
  t.after(() => peer.socket.destroy());
  return peer;
}

async function refused(peer: RawPeer, streamId: number, message: string): Promise<void> {
  const response = await peer.response();
  assert.deepEqual([response.streamId, response.code, response.message], [streamId, Code.InvalidArgument, message]);
}

test('the server streams', async (t) => {
  const { echo, client, server } = await running(t, joining);
  assert.deepEqual(await collect(echo.List('a,b,c')), ['a', 'b', 'c']);
  assert.deepEqual(await collect(echo.List('')), [''], 'an empty message is a message');
  assert.deepEqual([client.pendingCalls, server.activeCalls], [0, 0]);
});

test('the client streams', async (t) => {
  const { echo, client } = await running(t, joining);
  const call = echo.Join();
  for (const text of ['a', '', 'c']) await call.send(text);
  assert.equal(await call.finish(), 'a,,c');
  assert.equal(await echo.Join().finish(), '');
  await assert.rejects(call.send('late'), { message: 'ttrpc: stream closed' });
  assert.equal(client.pendingCalls, 0);
});

test('both stream, and the answers do not wait for the end of the questions', async (t) => {
  const { echo, server } = await running(t, joining);
  const call = echo.Chat();
  const answers = call[Symbol.asyncIterator]();
  for (const text of ['a', 'b']) {
    await call.send(text);
    assert.deepEqual(await answers.next(), { value: `${text}!`, done: false });
  }
  await call.finish();
  assert.deepEqual(await answers.next(), { value: undefined, done: true });
  await call.finish();
  await until(() => server.activeCalls === 0);
});

test('a stream of many messages arrives whole, however slowly it is read', async (t) => {
  const count = 3000;
  const { echo } = await running(t, {
    List: function* () {
      for (let i = 0; i < count; i++) yield `${i} ${'x'.repeat(500)}`;
    },
  });
  let next = 0;
  for await (const text of echo.List('')) {
    assert.equal(text.split(' ')[0], String(next++));
    if (next % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(next, count);
});

test('a handler that fails ends the stream with its error, after what it said before', async (t) => {
  const failing = function* (): Generator<string> {
    yield 'first';
    throw new TtrpcError(Code.DataLoss, 'no more');
  };
  const { echo, server } = await running(t, {
    List: failing,
    Chat: failing,
    Join: () => {
      throw new Error('never');
    },
  });
  for (const stream of [echo.List(''), echo.Chat()[Symbol.asyncIterator]()]) {
    assert.deepEqual(await stream.next(), { value: 'first', done: false });
    await assert.rejects(stream.next(), { code: Code.DataLoss, message: 'no more' });
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
  }
  await assert.rejects(echo.Join().finish(), { code: Code.Unknown, message: 'never' });
  await until(() => server.activeCalls === 0);
});

test('a message that is too long fails', async (t) => {
  const { echo } = await running(t, { Join: joining.Join!, List: () => ['x'.repeat(MAX_MESSAGE_LENGTH + 1)] });
  await assert.rejects(echo.Join().send('x'.repeat(MAX_MESSAGE_LENGTH + 1)), { code: Code.ResourceExhausted });
  await assert.rejects(collect(echo.List('')), { code: Code.ResourceExhausted, message: /^message length 4194305 / });
});

test('leaving a loop early gives the call up', async (t) => {
  let sent = 0;
  const { echo, client, server } = await running(t, {
    List: async function* () {
      for (; sent < 50; sent++) {
        yield String(sent);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  });
  for await (const text of echo.List('')) if (text === '2') break;
  assert.equal(client.pendingCalls, 0);
  await until(() => server.activeCalls === 0);
  assert.equal(sent, 50, 'ttrpc cannot tell the server');
});

test('cancelling, aborting and a deadline end a stream on the client', async (t) => {
  const { echo, client } = await running(t, {
    Chat: (_texts, { signal }) => ({
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      }),
    }),
    Join: () => new Promise<string>(() => undefined),
  });
  const call = echo.Join();
  const reply = call.finish();
  call.cancel();
  await assert.rejects(reply, { code: Code.Canceled });
  const controller = new AbortController();
  const chat = echo.Chat({ signal: controller.signal })[Symbol.asyncIterator]();
  const next = chat.next();
  controller.abort();
  await assert.rejects(next, { code: Code.Canceled });
  await assert.rejects(collect(echo.Chat({ timeoutMs: 10 })), { code: Code.DeadlineExceeded });
  assert.equal(client.pendingCalls, 0);
});

test('a handler that waits for messages notices its deadline and a peer that goes away', async (t) => {
  const ended: string[] = [];
  const { echo, client, server } = await running(t, {
    Join: async (texts) => {
      try {
        return (await collect(texts)).join();
      } catch (error) {
        ended.push((error as Error).name);
        throw error;
      }
    },
  });
  const late = echo.Join({ timeoutMs: 10 });
  await until(() => ended.length === 1);
  await assert.rejects(late.finish(), { code: Code.DeadlineExceeded });
  const call = echo.Join();
  await call.send('x');
  await until(() => server.activeCalls === 1);
  client.close();
  await assert.rejects(call.finish(), { code: Code.Unavailable });
  await until(() => ended.length === 2);
  assert.deepEqual(ended, ['TimeoutError', 'AbortError']);
  await until(() => server.activeCalls === 0);
});

test("on the wire: the server's messages are data frames, its end a data frame without data", async (t) => {
  const peer = await rawClient(t);
  peer.write(open(1, 'List', 'a,', 1));
  const frames = [await peer.frame(), await peer.frame(), await peer.frame()];
  assert.deepEqual(
    frames.map(({ type, flags, payload }) => [type, flags, String(payload)]),
    [
      [3, 0, 'a'],
      [3, 0, ''],
      [3, 5, ''],
    ],
  );
});

test('on the wire: a first payload is a message unless it is empty', async (t) => {
  const peer = await rawClient(t);
  peer.write(open(1, 'Join', 'first'), rawFrame(1, 3, 0, Buffer.from('second')), rawFrame(1, 3, 5));
  assert.equal((await peer.response()).payload.toString(), 'first,second');
  peer.write(open(3, 'Join'), rawFrame(3, 3, 0, Buffer.from('only')), rawFrame(3, 3, 5));
  assert.equal((await peer.response()).payload.toString(), 'only');
  peer.write(open(5, 'Join', 'closed', 1));
  assert.equal((await peer.response()).payload.toString(), 'closed');
  peer.write(open(7, 'Join'), rawFrame(7, 3, 0), rawFrame(7, 3, 1));
  assert.equal(
    (await peer.response()).payload.toString(),
    ',',
    'closing without saying that there is no data adds an empty message',
  );
});

test('on the wire: data for no stream, after the end, with the end, and for a unary call', async (t) => {
  const hang = deferred<string>();
  const peer = await rawClient(t, { ...joining, Say: () => hang.promise, Join: () => hang.promise });
  peer.write(rawFrame(99, 3, 0, Buffer.from('x')));
  await refused(peer, 99, 'StreamID is no longer active');
  peer.write(open(1, 'Join'), rawFrame(1, 3, 5), rawFrame(1, 3, 0, Buffer.from('x')));
  await refused(peer, 1, 'data handling error: ttrpc: stream closed');
  peer.write(rawFrame(1, 3, 0));
  await refused(peer, 1, 'StreamID is no longer active');
  peer.write(open(3, 'Join'), rawFrame(3, 3, 1, Buffer.from('x')));
  await refused(peer, 3, 'data close message cannot include data');
  peer.write(open(5, 'Say', 'x', 0), rawFrame(5, 3, 0, Buffer.from('x')));
  await refused(peer, 5, 'data handling error: ttrpc: stream closed');
  hang.resolve('too late');
  peer.write(open(7, 'List', 'x', 1));
  assert.deepEqual([(await peer.frame()).streamId, (await peer.frame()).streamId], [7, 7]);
  assert.equal(peer.pending, 0, 'what has been answered is not answered again');
});

test('on the wire: a message that does not decode fails its stream', async (t) => {
  const peer = await rawClient(t);
  peer.write(open(1, 'Join'), rawFrame(1, 3, 0, Buffer.from([0xff])));
  const { code, message } = await peer.response();
  assert.deepEqual([code, message], [Code.Internal, 'ttrpc: error unmarshalling payload: not a text']);
});

test('on the wire: a data frame that is too long fails its stream', async (t) => {
  const aborted = deferred<void>();
  const peer = await rawClient(t, {
    Join: (_texts, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve();
          reject(signal.reason as Error);
        });
      }),
  });
  peer.write(open(1, 'Join'), rawFrame(1, 3, 0, Buffer.alloc(MAX_MESSAGE_LENGTH + 1)));
  assert.equal((await peer.response()).code, Code.ResourceExhausted);
  await aborted.promise;
});

test('a handler that does not read holds up its connection for a limited time', async (t) => {
  const hang = deferred<string>();
  const { path } = await running(t, { ...joining, Join: () => hang.promise }, { server: { stall: { stallMs: 30 } } });
  const peer = await RawPeer.connect(path);
  t.after(() => peer.socket.destroy());
  peer.write(open(1, 'Join'), ...Array.from({ length: 65 }, () => rawFrame(1, 3, 0, Buffer.alloc(100_000, 0x61))));
  peer.write(open(3, 'Say', 'next', 0));
  // What was read together with the message that was too much may be answered before it.
  const [full, next] = [await peer.response(), await peer.response()].sort((a, b) => a.streamId - b.streamId);
  assert.deepEqual(
    [full!.streamId, full!.code, full!.message],
    [1, Code.InvalidArgument, 'data handling error: ttrpc: stream buffer full'],
  );
  assert.deepEqual([next!.streamId, next!.payload.toString()], [3, 'next']);
  hang.resolve('');
});

test('64 messages that nobody reads hold up nothing', async (t) => {
  const hang = deferred<void>();
  const { path } = await running(
    t,
    {
      ...joining,
      Join: async (texts) => {
        await hang.promise;
        return String((await collect(texts)).length);
      },
    },
    { server: { stall: { stallMs: 0 } } },
  );
  const peer = await RawPeer.connect(path);
  t.after(() => peer.socket.destroy());
  peer.write(open(1, 'Join'), ...Array.from({ length: 64 }, () => rawFrame(1, 3, 0)), open(3, 'Say', 'next', 0));
  assert.equal((await peer.response()).streamId, 3);
  hang.resolve();
  peer.write(rawFrame(1, 3, 5));
  assert.equal((await peer.response()).payload.toString(), '64');
});

test('a client that does not read holds up its connection for a limited time', async (t) => {
  const { echo, client } = await running(
    t,
    { ...joining, List: () => Array.from({ length: 200 }, () => 'x'.repeat(100_000)) },
    {
      client: { stall: { stallMs: 30 } },
    },
  );
  const stream = echo.List('');
  await until(() => client.pendingCalls === 0);
  assert.equal(await echo.Say('next'), 'next');
  let read = 0;
  await assert.rejects(
    async () => {
      for await (const _ of stream) read++;
    },
    { code: Code.ResourceExhausted, message: 'ttrpc: stream buffer full' },
  );
  assert.ok(read >= 64 && read < 200, `${read} messages were kept`);
  assert.equal(client.pendingCalls, 0);
});

test('a client takes the ends that other servers write', async (t) => {
  const path = socketPath(t);
  const { accepted, stop } = await RawPeer.listen(path);
  const client = await connect(path);
  const peer = await accepted;
  t.after(() => {
    client.close();
    stop();
  });
  const echo = client.service(Echo);
  const ended = async (...frames: [number, number, Buffer][]): Promise<string[]> => {
    const stream = echo.List('');
    const { streamId, flags } = await peer.request();
    assert.equal(flags, 1);
    for (const [type, flag, payload] of frames) peer.write(rawFrame(streamId, type, flag, payload));
    return collect(stream);
  };
  const none = Buffer.alloc(0);
  assert.deepEqual(await ended([3, 0, Buffer.from('a')], [2, 0, none]), ['a']);
  assert.deepEqual(await ended([3, 1, Buffer.from('last')]), ['last']);
  assert.deepEqual(await ended([3, 5, none]), []);
  const call = echo.Join();
  const { streamId, flags } = await peer.request();
  assert.equal(flags, 2);
  peer.write(rawFrame(streamId, 3, 0, Buffer.from('x')));
  await assert.rejects(call.finish(), { message: 'ttrpc: protocol error: received data from non-streaming server' });
});
