/** What holds when there is much of everything. Nothing here depends on how fast the machine is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Code, connect } from '../../src/ttrpc/index.js';
import { Echo, running, socketPath, until } from '../support/ttrpc-fixture.js';
import { RawPeer, rawFrame } from '../support/ttrpc-raw.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

test('field 39: 64 calls of 3 MiB with replies of 3 MiB do not lock each other up (ttrpc#72, ttrpc#168)', async (t) => {
  const size = 3 << 20;
  for (const handler of [
    (bytes: Uint8Array) => bytes,
    async (bytes: Uint8Array) => {
      await new Promise((resolve) => setImmediate(resolve));
      return bytes;
    },
  ]) {
    const { echo, client, server } = await running(t, { Bytes: handler });
    const replies = await Promise.all(Array.from({ length: 64 }, (_, index) => echo.Bytes(Buffer.alloc(size, index))));
    for (const [index, reply] of replies.entries()) {
      assert.equal(reply.length, size);
      assert.ok(reply[0] === index && reply[size - 1] === index);
    }
    assert.deepEqual([client.pendingCalls, server.activeCalls], [0, 0]);
    client.close();
  }
});

test('a client that sends and does not read is not read from for ever', async (t) => {
  let handled = 0;
  const reply = Buffer.alloc(100_000);
  const { path } = await running(t, {
    Bytes: () => {
      handled++;
      return reply;
    },
  });
  const client = await connect(path);
  const peer = await RawPeer.connect(path);
  t.after(() => {
    client.close();
    peer.socket.destroy();
  });
  peer.socket.pause();
  const { requestFrame, requestHead, EMPTY } = await import('../../src/ttrpc/envelope.js');
  const head = requestHead('test.Echo', 'Bytes');
  const total = 20_000;
  for (let id = 1; id < 2 * total; id += 2)
    peer.write(requestFrame(id, 0, head, EMPTY, undefined, undefined) as Uint8Array);
  // Another client's call comes after all that the server is willing to read from this one.
  let last: number;
  do {
    last = handled;
    for (let i = 0; i < 20; i++) await client.service(Echo).Bytes(EMPTY);
  } while (handled > last + 20);
  assert.ok(handled < total / 2, `${handled} of ${total} requests were handled though no reply was taken`);
  peer.socket.resume();
  for (let i = 0; i < total; i++) await peer.frame();
});

test('field 39: a call that times out or is aborted in the queue is never written (ttrpc-rust#317)', async (t) => {
  const path = socketPath(t);
  const { accepted, stop } = await RawPeer.listen(path);
  const client = await connect(path);
  const peer = await accepted;
  t.after(() => {
    client.close();
    stop();
  });
  peer.socket.pause();
  const { Bytes, Join } = client.service(Echo);
  const large = Bytes(Buffer.alloc(4_000_000));
  const controller = new AbortController();
  const late = assert.rejects(Bytes(Buffer.from('late'), { timeoutMs: 10 }), { code: Code.DeadlineExceeded });
  const aborted = assert.rejects(Bytes(Buffer.from('aborted'), { signal: controller.signal }), { code: Code.Canceled });
  const stream = Join({ signal: controller.signal });
  const unsent = assert.rejects(stream.send('message'), { code: Code.Canceled });
  const last = Bytes(Buffer.from('last'), { timeoutMs: 60_000 });
  assert.equal(client.pendingCalls, 5);
  controller.abort();
  await Promise.all([late, aborted, unsent]);
  assert.equal(client.pendingCalls, 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  peer.socket.resume();
  assert.equal((await peer.request()).request.payload.length, 4_000_000);
  const { streamId, request } = await peer.request();
  assert.deepEqual(
    [streamId, Buffer.from(request.payload).toString()],
    [3, 'last'],
    'ids are given out when requests are written',
  );
  const nanos = Number(String(request.timeoutNano));
  assert.ok(nanos > 0 && nanos <= 59_985e6, 'the time in the queue is deducted');
  peer.write(rawFrame(1, 2), rawFrame(3, 2));
  await Promise.all([large, last]);
  assert.equal(peer.pending, 0);
  assert.equal(client.pendingCalls, 0);
});

test('field 26: memory does not grow with the number of calls (ttrpc#236)', async (t) => {
  const { echo, client, server } = await running(t, {
    Say: (text) => (text === 'sync' ? text : Promise.resolve(text)),
    List: (text) => [text],
  });
  const phase = async (): Promise<number> => {
    for (let i = 0; i < 30_000; i += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, n) => echo.Say(n % 2 ? 'sync' : 'later', n % 10 ? {} : { timeoutMs: 1e6 })),
      );
      for await (const _ of echo.List('')) continue;
    }
    await until(() => server.activeCalls === 0);
    assert.equal(client.pendingCalls, 0);
    gc();
    return process.memoryUsage().heapUsed;
  };
  await phase();
  // A call that left anything would leave at least some 100 bytes: 3 MB in each phase. What else grows does so once.
  const grown: number[] = [];
  for (let before = await phase(); grown.length < 4 && !grown.some((bytes) => bytes < 1 << 20);) {
    const after = await phase();
    grown.push(after - before);
    before = after;
  }
  assert.ok(
    grown.some((bytes) => bytes < 1 << 20),
    `the heap grew by ${grown.join(', ')} bytes in 30000 calls each`,
  );
});
