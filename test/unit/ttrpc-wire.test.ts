import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { containerd } from '../../src/api/gen/api.js';
import { now } from '../../src/ttrpc/deadline.js';
import {
  decodeRequest,
  decodeResponse,
  EMPTY,
  errorFrame,
  replyFrame,
  requestFrame,
  requestHead,
} from '../../src/ttrpc/envelope.js';
import { Code, Metadata, TtrpcError } from '../../src/ttrpc/index.js';
import { encodeFrame, FrameDecoder, MAX_MESSAGE_LENGTH, type Frame, type FrameBytes } from '../../src/ttrpc/wire.js';
import { rawFrame } from '../support/ttrpc-raw.js';

const { ConnectRequest, ConnectResponse } = containerd.task.v2;

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/[\s|]/g, ''), 'hex');
}

function joined(frame: FrameBytes): Buffer {
  return frame instanceof Uint8Array ? Buffer.from(frame) : Buffer.concat(frame);
}

/** What a decoder finds in chunks, as plain data. */
function decodeChunks(chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push({ ...frame, payload: frame.payload && Buffer.from(frame.payload) });
    }
  }
  assert.equal(decoder.midFrame, false, 'the stream ends after a frame');
  return frames;
}

const CONNECT_REQUEST = hex(`00 00 00 56 00 00 00 01 01 00 |
  0a 17 63 6f 6e 74 61 69 6e 65 72 64 2e 74 61 73 6b 2e 76 32 2e 54 61 73 6b 12 07 43 6f 6e 6e 65 63 74
  1a 05 0a 03 61 62 63 20 80 e4 97 d0 12 2a 25 0a 1a 63 6f 6e 74 61 69 6e 65 72 64 2d 6e 61 6d 65 73 70 61 63 65 2d 74
  74 72 70 63 12 07 64 65 66 61 75 6c 74`);
const CONNECT_REPLY = hex('00 00 00 08 00 00 00 01 02 00 | 12 06 08 d2 09 10 d8 09');
const EMPTY_REPLY = hex('00 00 00 00 00 00 00 03 02 00');
const NOT_FOUND_REPLY = hex(`00 00 00 26 00 00 00 05 02 00 | 0a 24 08 05 12 20 63 6f 6e 74 61 69 6e 65 72 20 6e 6f 74 20
  63 72 65 61 74 65 64 3a 20 6e 6f 74 20 66 6f 75 6e 64`);

test('a request has the bytes that the Go client sends', (t) => {
  // The time left is measured, so the clock has to stand still for the bytes to be known.
  t.mock.method(performance, 'now', () => 1000);
  const head = requestHead('containerd.task.v2.Task', 'Connect');
  const payload = ConnectRequest.encode({ id: 'abc' }).finish();
  const metadata = new Metadata({ 'containerd-namespace-ttrpc': 'default' });
  assert.deepEqual(joined(requestFrame(1, 0, head, payload, now() + 5000, metadata)), CONNECT_REQUEST);
});

test('replies have the bytes that the Go server sends', () => {
  assert.deepEqual(
    joined(replyFrame(1, ConnectResponse.encode({ shimPid: 1234, taskPid: 1240 }).finish())),
    CONNECT_REPLY,
  );
  assert.deepEqual(joined(replyFrame(3, EMPTY)), EMPTY_REPLY);
  assert.deepEqual(
    joined(errorFrame(5, new TtrpcError(Code.NotFound, 'container not created: not found'))),
    NOT_FOUND_REPLY,
  );
});

test('the golden bytes decode to what they were made of', () => {
  const [request, reply, empty, failure] = decodeChunks([
    Buffer.concat([CONNECT_REQUEST, CONNECT_REPLY, EMPTY_REPLY, NOT_FOUND_REPLY]),
  ]);
  const { service, method, payload, timeoutMs, metadata } = decodeRequest(request!.payload!);
  assert.deepEqual(
    { service, method, timeoutMs },
    { service: 'containerd.task.v2.Task', method: 'Connect', timeoutMs: 5000 },
  );
  assert.equal(ConnectRequest.decode(payload).id, 'abc');
  assert.deepEqual(
    [...new Metadata(metadata.map(({ key, value }) => [key, value] as const))],
    [['containerd-namespace-ttrpc', 'default']],
  );
  const { shimPid, taskPid } = ConnectResponse.decode(decodeResponse(reply!.payload!) as Uint8Array);
  assert.deepEqual([shimPid, taskPid], [1234, 1240]);
  assert.equal((decodeResponse(empty!.payload!) as Uint8Array).length, 0);
  const error = decodeResponse(failure!.payload!);
  assert.ok(error instanceof TtrpcError);
  assert.deepEqual([error.code, error.message], [Code.NotFound, 'container not created: not found']);
});

test('a status with code 0 is a success', () => {
  assert.deepEqual(Buffer.from(decodeResponse(hex('0a 00 12 01 2a')) as Uint8Array), hex('2a'));
});

test('frames are found wherever the stream is cut', () => {
  const stream = Buffer.concat([
    rawFrame(1, 1, 0, Buffer.from('abc')),
    rawFrame(3, 2),
    rawFrame(5, 3, 1, Buffer.from('0123456789abcdef')),
    EMPTY_REPLY,
    NOT_FOUND_REPLY,
  ]);
  const whole = decodeChunks([stream]);
  assert.equal(whole.length, 5);
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)];
      assert.deepEqual(decodeChunks(chunks), whole);
    }
  }
  assert.deepEqual(decodeChunks(Array.from(stream, (byte) => Buffer.from([byte]))), whole);
});

test('a payload inside one chunk is a view, one across chunks a copy', () => {
  const bytes = rawFrame(1, 1, 0, Buffer.from('abc'));
  const decoder = new FrameDecoder();
  decoder.push(bytes);
  assert.equal(decoder.next()!.payload!.buffer, bytes.buffer);
  decoder.push(bytes.subarray(0, 11));
  assert.equal(decoder.next(), undefined);
  assert.equal(decoder.midFrame, true);
  decoder.push(bytes.subarray(11));
  const copied = decoder.next()!.payload!;
  bytes.fill(0);
  assert.equal(copied.toString(), 'abc');
});

test('a payload of 4194304 bytes is kept, one byte more is thrown away', () => {
  const most = rawFrame(1, 1, 0, Buffer.alloc(MAX_MESSAGE_LENGTH, 1));
  const more = rawFrame(3, 1, 7, Buffer.alloc(MAX_MESSAGE_LENGTH + 1, 1));
  const [kept, dropped, next] = decodeChunks([most, more.subarray(0, 5000), more.subarray(5000), EMPTY_REPLY]);
  assert.equal(kept!.payload!.length, MAX_MESSAGE_LENGTH);
  assert.deepEqual(dropped, { streamId: 3, type: 1, flags: 7, length: MAX_MESSAGE_LENGTH + 1, payload: undefined });
  assert.equal(next!.streamId, 3);
});

test('an oversized frame is not buffered', () => {
  const decoder = new FrameDecoder();
  const header = rawFrame(1, 1);
  header.writeUInt32BE(0xffff_ffff, 0);
  decoder.push(header);
  assert.equal(decoder.next(), undefined);
  const chunk = Buffer.alloc(1 << 20);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 4095; i++) {
    decoder.push(chunk);
    assert.equal(decoder.next(), undefined);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20);
  decoder.push(chunk.subarray(1));
  assert.equal(decoder.next()?.length, 0xffff_ffff);
  assert.equal(decoder.midFrame, false);
});

test('long payloads are handed on, short ones are copied into one piece', () => {
  const long = Buffer.alloc(100_000);
  const frame = encodeFrame(1, 3, 0, long);
  assert.ok(Array.isArray(frame));
  assert.equal(frame[1], long);
  assert.ok(encodeFrame(1, 3, 0, Buffer.alloc(100)) instanceof Uint8Array);
});

test('property: any frames in any chunks come out as they went in', () => {
  const oneFrame = fc.record({
    streamId: fc.integer({ min: 0, max: 0xffff_ffff }),
    type: fc.integer({ min: 0, max: 255 }),
    flags: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(fc.array(oneFrame, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 400 })), (frames, sizes) => {
      const stream = Buffer.concat(frames.map((f) => joined(encodeFrame(f.streamId, f.type, f.flags, f.payload))));
      const expected = frames.map((f) => ({ ...f, length: f.payload.length, payload: Buffer.from(f.payload) }));
      assert.deepEqual(decodeChunks(cut(stream, sizes)), expected);
    }),
  );
});

test('property: an oversized frame between others hides none of them', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.array(fc.integer({ min: 1, max: 1 << 20 }), { maxLength: 30 }),
      (extra, sizes) => {
        const before = rawFrame(1, 1, 0, Buffer.from('before'));
        const after = rawFrame(5, 1, 0, Buffer.from('after'));
        const large = rawFrame(3, 1, 0, Buffer.alloc(MAX_MESSAGE_LENGTH + extra, 0x55));
        const frames = decodeChunks(cut(Buffer.concat([before, large, after]), sizes));
        assert.deepEqual(
          frames.map((f) => [f.streamId, f.length, f.payload?.toString()]),
          [
            [1, 6, 'before'],
            [3, MAX_MESSAGE_LENGTH + extra, undefined],
            [5, 5, 'after'],
          ],
        );
      },
    ),
    { numRuns: 20 },
  );
});

test('property: bytes that are no envelope are refused by an exception, never by anything worse', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of [decodeRequest, decodeResponse]) {
        try {
          decode(bytes);
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }
    }),
  );
});

/** Cuts a stream into chunks of these sizes, the last one taking the rest. */
function cut(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(stream.subarray(at, at + size));
    at = Math.min(at + size, stream.length);
  }
  return [...chunks, stream.subarray(at)];
}
