import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ContainerdServicesEventsTtrpcV1Events as Events } from '../../src/api/gen/services.js';
import { EventConnection } from '../../src/shim/events/event-connection.js';
import { decodeRequest, errorFrame, replyFrame, type Request } from '../../src/ttrpc/envelope.js';
import { Code, TtrpcError } from '../../src/ttrpc/index.js';
import { FrameDecoder, FrameType, type Frame, type FrameBytes } from '../../src/ttrpc/wire.js';
import { deferred } from '../support/ttrpc-fixture.js';
import { tempDir } from './fixtures/support.js';

const EMPTY = new Uint8Array(0);
const LIMIT_MS = 60_000;

interface Asked {
  readonly frame: Frame;
  readonly request: Request;
  readonly topic: string;
  readonly socket: Socket;
}

function bytesOf(frame: FrameBytes): Uint8Array {
  return frame instanceof Uint8Array ? frame : Buffer.concat(frame);
}

/** A daemon that does with each request what the test says, and a connection to it. */
async function connected(
  t: TestContext,
  answer: (asked: Asked) => void,
  { limitMs = LIMIT_MS, onSocket = (_socket: Socket): void => undefined } = {},
): Promise<{ connection: EventConnection; tell: (topic: string, value?: Uint8Array) => Promise<void> }> {
  const path = join(tempDir(t), 'daemon');
  const server = createServer((socket) => {
    const decoder = new FrameDecoder();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame; frame = decoder.next()) {
        const request = decodeRequest(frame.payload!);
        const { envelope } = Events.methods.Forward.request.decode(request.payload);
        answer({ frame, request, topic: envelope!.topic!, socket });
      }
    });
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const connection = EventConnection.open(path, 'moby', limitMs);
  t.after(() => {
    connection.close();
    server.close();
  });
  const tell = (topic: string, value: Uint8Array = EMPTY): Promise<void> =>
    connection.forward({ envelope: { namespace: 'moby', topic, event: { type_url: 'x', value } } });
  return { connection, tell };
}

const isUnavailable = (text: RegExp) => (error: unknown) =>
  error instanceof TtrpcError && error.code === Code.Unavailable && text.test(error.message);

test('what is told is what any client of the method would send', async (t) => {
  const seen: Asked[] = [];
  const { tell } = await connected(t, (asked) => {
    seen.push(asked);
    asked.socket.write(bytesOf(replyFrame(asked.frame.streamId, EMPTY)));
  });
  await tell('/tasks/start');
  await tell('/tasks/exit');
  assert.deepEqual(
    seen.map(({ frame: { streamId, type, flags }, topic }) => ({ streamId, type, flags, topic })),
    [
      { streamId: 1, type: FrameType.request, flags: 0, topic: '/tasks/start' },
      { streamId: 3, type: FrameType.request, flags: 0, topic: '/tasks/exit' },
    ],
  );
  const { service, method, timeoutMs, metadata } = seen[0]!.request;
  assert.deepEqual([service, method, timeoutMs], [Events.name, 'Forward', LIMIT_MS]);
  assert.deepEqual(
    metadata.map(({ key, value }) => [key, value]),
    [['containerd-namespace-ttrpc', 'moby']],
  );
});

test('an event that is longer than the socket has room for arrives whole', async (t) => {
  let length = 0;
  const { tell } = await connected(
    t,
    ({ request, frame, socket }) => {
      length = request.payload.length;
      socket.write(bytesOf(replyFrame(frame.streamId, EMPTY)));
    },
    {
      onSocket: (socket) => {
        socket.pause();
        setTimeout(() => socket.resume(), 50);
      },
    },
  );
  await tell('/tasks/create', Buffer.alloc(3 << 20, 1));
  assert.ok(length > 3 << 20, String(length));
});

test('a reply in pieces, after one of nobody’s and a frame of another kind', async (t) => {
  const { tell } = await connected(t, ({ frame: { streamId }, socket }) => {
    const other = bytesOf(replyFrame(streamId + 2, EMPTY));
    const data = Buffer.from(bytesOf(replyFrame(streamId, EMPTY)));
    data[8] = FrameType.data;
    const reply = Buffer.from(bytesOf(errorFrame(streamId, new TtrpcError(Code.InvalidArgument, 'no such topic'))));
    socket.write(Buffer.concat([other, data, reply.subarray(0, 7)]));
    setTimeout(() => socket.write(reply.subarray(7)), 20);
  });
  await assert.rejects(tell('/x'), (error) => {
    assert.ok(error instanceof TtrpcError);
    assert.deepEqual([error.code, error.message], [Code.InvalidArgument, 'no such topic']);
    return true;
  });
});

test('a reply that comes before its request is sent ends the connection', async (t) => {
  const path = join(tempDir(t), 'daemon');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('readable', () => {
      socket.read();
      socket.write(bytesOf(errorFrame(1, new TtrpcError(Code.InvalidArgument, 'too much'))));
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const connection = EventConnection.open(path, 'moby', LIMIT_MS);
  t.after(() => server.close());
  const value = Buffer.alloc(3 << 20);
  await assert.rejects(connection.forward({ envelope: { topic: '/x', event: { type_url: 'x', value } } }), {
    code: Code.InvalidArgument,
  });
  await connection.closed;
});

test('a daemon that refuses one event takes the next on the same connection', async (t) => {
  const { tell } = await connected(t, ({ frame: { streamId }, topic, socket }) =>
    socket.write(
      bytesOf(
        topic === '/bad' ? errorFrame(streamId, new TtrpcError(Code.Unimplemented, '')) : replyFrame(streamId, EMPTY),
      ),
    ),
  );
  await assert.rejects(tell('/bad'), { code: Code.Unimplemented });
  await tell('/good');
});

test('one that is not answered in time fails, and its connection is over', async (t) => {
  const { connection, tell } = await connected(t, () => undefined, { limitMs: 30 });
  // The time counts from the telling: this connection has had none to tell for longer than that.
  await new Promise((resolve) => setTimeout(resolve, 60));
  await assert.rejects(tell('/x'), { code: Code.DeadlineExceeded });
  await connection.closed;
  await assert.rejects(tell('/y'), isUnavailable(/^ttrpc: closed$/));
});

test('a daemon that goes away fails what is being told, whether it was amid a frame or not', async (t) => {
  const { connection, tell } = await connected(t, ({ frame, socket }) =>
    socket.end(bytesOf(replyFrame(frame.streamId, EMPTY)).subarray(0, 5)),
  );
  await assert.rejects(tell('/x'), isUnavailable(/inside a frame/));
  await connection.closed;

  const arrived = deferred<Socket>();
  const other = await connected(t, () => undefined, { onSocket: arrived.resolve });
  (await arrived.promise).destroy();
  await other.connection.closed;
  await assert.rejects(other.tell('/x'), isUnavailable(/^ttrpc: closed$/));
});

test('garbage instead of a reply is an error of the event, and of nobody else', async (t) => {
  const { tell } = await connected(t, ({ frame, socket }) => {
    const garbage = Buffer.from(bytesOf(replyFrame(frame.streamId, Buffer.alloc(3))));
    garbage.fill(0xff, 10);
    socket.write(garbage);
  });
  await assert.rejects(tell('/x'), { code: Code.Internal });
});

test('one that is closed lets go of what is being told', async (t) => {
  const { connection, tell } = await connected(t, () => connection.close());
  await assert.rejects(tell('/x'), isUnavailable(/^ttrpc: closed$/));
  await connection.closed;
  connection.close();
});

test('where nobody listens there is no connection', (t) => {
  assert.throws(() => EventConnection.open(join(tempDir(t), 'none'), 'moby', LIMIT_MS), isUnavailable(/ENOENT/));
});
