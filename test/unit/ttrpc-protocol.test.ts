import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Code, connect, MAX_MESSAGE_LENGTH, type Client } from '../../src/ttrpc/index.js';
import { deferred, Echo, running, socketPath, until, type EchoHandlers } from '../support/ttrpc-fixture.js';
import { RawPeer, rawFrame, rawRequest } from '../support/ttrpc-raw.js';

const say = (streamId: number, text = 'x'): Buffer =>
  rawRequest(streamId, { service: 'test.Echo', method: 'Say', payload: Buffer.from(text) });

async function rawClient(t: TestContext, handlers: EchoHandlers = { Say: (text) => text }): Promise<RawPeer> {
  const { path } = await running(t, handlers);
  const peer = await RawPeer.connect(path);
  t.after(() => peer.socket.destroy());
  return peer;
}

async function rawServer(t: TestContext): Promise<{ client: Client; peer: RawPeer }> {
  const path = socketPath(t);
  const { accepted, stop } = await RawPeer.listen(path);
  const client = await connect(path);
  const peer = await accepted;
  t.after(() => {
    client.close();
    peer.socket.destroy();
    stop();
  });
  return { client, peer };
}

async function refused(peer: RawPeer, streamId: number, code: Code, message: string | RegExp): Promise<void> {
  const response = await peer.response();
  assert.deepEqual([response.streamId, response.code, response.payload.length], [streamId, code, 0]);
  if (typeof message === 'string') assert.equal(response.message, message);
  else assert.match(response.message, message);
}

async function stillWorks(peer: RawPeer, streamId: number): Promise<void> {
  peer.write(say(streamId, 'still here'));
  const { streamId: answered, payload } = await peer.response();
  assert.deepEqual([answered, payload.toString()], [streamId, 'still here']);
}

test('server: an empty result is a payload of no bytes', async (t) => {
  const peer = await rawClient(t);
  peer.write(say(1, ''));
  assert.deepEqual(await peer.frame(), { streamId: 1, type: 2, flags: 0, length: 0, payload: Buffer.alloc(0) });
});

test('server: even stream ids are refused, whatever they carry', async (t) => {
  const peer = await rawClient(t);
  peer.write(say(2));
  await refused(peer, 2, Code.InvalidArgument, 'StreamID must be odd for client initiated streams');
  peer.write(rawFrame(0, 3, 0));
  await refused(peer, 0, Code.InvalidArgument, 'StreamID must be odd for client initiated streams');
  await stillWorks(peer, 1);
});

test('server: stream ids that do not grow are refused, and leave the call that has them alone', async (t) => {
  const reply = deferred<string>();
  const peer = await rawClient(t, { Say: (text) => (text === 'slow' ? reply.promise : text) });
  peer.write(say(5, 'slow'), say(5), say(3));
  await refused(peer, 5, Code.InvalidArgument, 'StreamID cannot be re-used and must increment');
  await refused(peer, 3, Code.InvalidArgument, 'StreamID cannot be re-used and must increment');
  reply.resolve('done');
  assert.equal((await peer.response()).payload.toString(), 'done');
  peer.write(say(5));
  await refused(peer, 5, Code.InvalidArgument, 'StreamID cannot be re-used and must increment');
  await stillWorks(peer, 0xffff_ffff);
});

test('server: an envelope and a payload that do not decode are refused', async (t) => {
  const peer = await rawClient(t);
  peer.write(rawFrame(1, 1, 0, Buffer.from([0x0a, 0x7f, 0x00])));
  await refused(peer, 1, Code.InvalidArgument, /^unmarshal request error: ./);
  peer.write(rawRequest(3, { service: 'test.Echo', method: 'Say', payload: Buffer.from([0xff]) }));
  await refused(peer, 3, Code.Internal, 'ttrpc: error unmarshalling payload: not a text');
  await stillWorks(peer, 5);
});

test('server: an empty envelope names no service', async (t) => {
  const peer = await rawClient(t);
  peer.write(rawFrame(1, 1));
  await refused(peer, 1, Code.Unimplemented, 'service ');
});

test('server: frames of unknown types are ignored', async (t) => {
  const peer = await rawClient(t);
  peer.write(rawFrame(1, 0), rawFrame(1, 2, 0, Buffer.from('x')), rawFrame(1, 4, 0xff), rawFrame(1, 255));
  await stillWorks(peer, 1);
  assert.equal(peer.pending, 0);
});

test('server: a request that is too long is discarded and refused on its stream', async (t) => {
  const peer = await rawClient(t);
  const length = MAX_MESSAGE_LENGTH + 1;
  peer.write(rawFrame(1, 1, 0, Buffer.alloc(length)));
  await refused(peer, 1, Code.ResourceExhausted, `message length ${length} exceed maximum message size of 4194304`);
  await stillWorks(peer, 3);
});

test('server: an HTTP preface is a huge frame, and is read until the peer gives up', async (t) => {
  const { path, server, echo } = await running(t, { Say: (text) => text });
  const peer = await RawPeer.connect(path);
  peer.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(1 << 20));
  assert.equal(await echo.Say('others are served'), 'others are served');
  await until(() => server.connections === 2);
  assert.equal(peer.pending, 0);
  peer.socket.destroy();
  await until(() => server.connections === 1);
});

test('server: a peer that hangs up inside a frame is forgotten', async (t) => {
  const { path, server } = await running(t, { Say: (text) => text });
  for (const length of [1, 9, 10, 15]) {
    const peer = await RawPeer.connect(path);
    peer.socket.end(say(1).subarray(0, length));
    await peer.closed;
  }
  await until(() => server.connections === 1);
  assert.equal(server.activeCalls, 0);
});

test('server: frames that are written byte by byte are answered like others', async (t) => {
  const peer = await rawClient(t);
  for (const byte of say(1, 'slowly')) {
    peer.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await peer.response()).payload.toString(), 'slowly');
});

test('server: requests are dispatched in the order in which they come', async (t) => {
  const seen: string[] = [];
  const peer = await rawClient(t, {
    Say: (text) => {
      seen.push(text);
      return text;
    },
  });
  const texts = Array.from({ length: 100 }, (_, index) => String(index));
  peer.write(Buffer.concat(texts.map((text, index) => say(2 * index + 1, text))));
  for (const text of texts) assert.equal((await peer.response()).payload.toString(), text);
  assert.deepEqual(seen, texts);
});

test('server: a negative timeout is a deadline that has passed', async (t) => {
  const aborted = deferred<boolean>();
  const peer = await rawClient(t, {
    Say: (text, { signal }) => {
      aborted.resolve(signal.aborted);
      return text;
    },
  });
  peer.write(rawRequest(1, { service: 'test.Echo', method: 'Say', timeoutNano: -1 }));
  await peer.response();
  assert.equal(await aborted.promise, true);
});

test('client: the stream ids are odd and grow', async (t) => {
  const { client, peer } = await rawServer(t);
  const calls = [1, 2, 3].map(() => client.service(Echo).Say('x'));
  for (const id of [1, 3, 5]) {
    const { streamId, flags } = await peer.request();
    assert.deepEqual([streamId, flags], [id, 0]);
    peer.write(rawFrame(id, 2));
  }
  assert.deepEqual(await Promise.all(calls), ['', '', '']);
});

test('client: replies that make no sense fail their call only', async (t) => {
  const { client, peer } = await rawServer(t);
  const { Say } = client.service(Echo);
  const bad: [Buffer, object][] = [
    [Buffer.from([0x0a, 0x7f]), { code: Code.Internal, message: /^ttrpc: error unmarshalling response: / }],
    [Buffer.from([0x12, 1, 0xff]), { code: Code.Internal, message: 'ttrpc: error unmarshalling response: not a text' }],
    [
      Buffer.alloc(MAX_MESSAGE_LENGTH + 1),
      { code: Code.ResourceExhausted, message: /^message length 4194305 exceed maximum/ },
    ],
  ];
  const waiting = Say('waiting');
  const { streamId: waitingId } = await peer.request();
  for (const [payload, expected] of bad) {
    const call = Say('x');
    peer.write(rawFrame((await peer.request()).streamId, 2, 0, payload));
    await assert.rejects(call, expected);
  }
  const call = Say('x');
  peer.write(rawFrame((await peer.request()).streamId, 3, 0));
  await assert.rejects(call, { code: Code.Internal, message: /protocol error/ });
  peer.write(rawFrame(998, 2), rawFrame(997, 2), rawFrame(waitingId, 77), rawFrame(waitingId, 2));
  assert.equal(await waiting, '');
});

test('client: a connection that ends inside a frame says so', async (t) => {
  const { client, peer } = await rawServer(t);
  const call = client.service(Echo).Say('x');
  await peer.request();
  peer.socket.end(rawFrame(1, 2, 0, Buffer.from('abc')).subarray(0, 12));
  await assert.rejects(call, { code: Code.Unavailable, message: 'ttrpc: closed: the peer hung up inside a frame' });
});

test('both ways, 4194304 bytes are a message and one more is not', async (t) => {
  const { client, echo } = await running(t, { Bytes: (bytes) => Buffer.alloc(Buffer.from(bytes).readUInt32BE(0)) });
  const size = (reply: number): Buffer => {
    const request = Buffer.alloc(4);
    request.writeUInt32BE(reply);
    return request;
  };
  // Tag and length of the payload in a Response, and in a Request behind both names.
  const fits = MAX_MESSAGE_LENGTH - 5;
  assert.equal((await echo.Bytes(size(fits))).length, fits);
  await assert.rejects(echo.Bytes(size(fits + 1)), {
    code: Code.ResourceExhausted,
    message: 'message length 4194305 exceed maximum message size of 4194304',
  });
  const names = 2 + 'test.Echo'.length + 2 + 'Bytes'.length;
  assert.equal((await echo.Bytes(Buffer.alloc(fits - names))).length, 0);
  await assert.rejects(echo.Bytes(Buffer.alloc(fits - names + 1)), {
    code: Code.ResourceExhausted,
    message: 'message length 4194305 exceed maximum message size of 4194304',
  });
  await assert.rejects(echo.Bytes(Buffer.alloc(MAX_MESSAGE_LENGTH + 1)), { code: Code.ResourceExhausted });
  assert.equal(client.pendingCalls, 0);
});
